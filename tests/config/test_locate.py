from __future__ import annotations

import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.config.locate import KeyPath, Locations, format_key, locate

BARE = st.text("abcxyz019_-", min_size=1, max_size=4)
QUOTED = st.text(st.sampled_from("ab .=[]{}#'\"\\é\t"), max_size=4)
BLANK = st.sampled_from(["", " ", "  ", "\t"])
BETWEEN = st.sampled_from(["", "\n", "# note = 1\n", "  # [x]\n\n", "\n\t\n"])


def paths_of(value, path: KeyPath = ()) -> dict[KeyPath, object]:
    """Every path of what tomli read, with the value at it: the oracle of which keys there are."""
    found = {path: value} if path else {}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found |= paths_of(item, (*path, key))
    return found


def quoted(key: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "é": "\\u00e9"}
    return '"' + "".join(escapes.get(letter, letter) for letter in key) + '"'


@st.composite
def written_keys(draw, taken: set[str]) -> tuple[str, str]:
    """A key that is not taken, and one of the ways to write it."""
    key = draw(st.one_of(BARE, QUOTED).filter(lambda key: key not in taken))
    ways = [quoted(key)]
    if key and all(letter in "abcxyz019_-" for letter in key):
        ways.append(key)
    if "'" not in key:
        ways.append(f"'{key}'")
    taken.add(key)
    return key, draw(st.sampled_from(ways))


class Writer:
    """Writes a document and notes the line of each value as it goes: the oracle of where they are."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.line)

    def scalar(self) -> None:
        plain = ["1", "-2.5e3", "true", "nan", "1979-05-27 07:32:00", "0xff", "1_000"]
        strings = ['"a\\"]"', "'#=}'", '"""m\n"x" [[t]]\n"""', "'''\nk = 1'' \n'''", '""', '""""q"""""', "''''l'''''"]
        self.text += self.draw(st.sampled_from(plain + strings))

    def value(self, path: KeyPath, depth: int) -> None:
        kind = self.draw(st.sampled_from(["scalar", "scalar", "array", "inline"] if depth else ["scalar"]))
        if kind == "scalar":
            self.scalar()
        elif kind == "array":
            self.array(path, depth - 1)
        else:
            self.inline_table(path, depth - 1)

    def array(self, path: KeyPath, depth: int) -> None:
        self.text += "["
        for index in range(self.draw(st.integers(0, 3))):
            self.text += ("," if index else "") + self.draw(BETWEEN)
            self.note((*path, index))
            self.value((*path, index), depth)
            self.text += self.draw(BETWEEN)
        self.text += "]"

    def inline_table(self, path: KeyPath, depth: int) -> None:
        self.text += "{"
        taken: set[str] = set()
        for index in range(self.draw(st.integers(0, 3))):
            self.text += ", " if index else self.draw(BLANK)
            self.key_value(path, taken, depth)
        self.text += "}"

    def key_value(self, table: KeyPath, taken: set[str], depth: int) -> None:
        path = table
        for number in range(self.draw(st.integers(1, 3))):
            key, written = self.draw(written_keys(taken if not number else set()))
            self.text += (self.draw(BLANK) + "." + self.draw(BLANK) if number else "") + written
            path = (*path, key)
            self.note(path)
        self.text += self.draw(BLANK) + "=" + self.draw(BLANK)
        self.value(path, depth)

    def statements(self, table: KeyPath, taken: set[str]) -> None:
        for _ in range(self.draw(st.integers(0, 3))):
            self.text += self.draw(BETWEEN) + self.draw(BLANK)
            self.key_value(table, taken, 2)
            self.text += self.draw(st.sampled_from(["\n", "  # end\n"]))

    def table(self, parent: KeyPath, names: tuple[str, ...], taken: set[str], depth: int = 2) -> None:
        key, written = self.draw(written_keys(taken))
        path = (*parent, key)
        header = ".".join((*names, written))
        if self.draw(st.booleans()):
            self.text += f"{self.draw(BLANK)}[{header}]\n"
            self.lines[path] = self.line - 1
            self.body(path, (*names, written), depth)
            return
        for index in range(self.draw(st.integers(1, 3))):
            self.text += f"[[ {header} ]]\n"
            self.lines.setdefault(path, self.line - 1)
            self.lines[*path, index] = self.line - 1
            self.body((*path, index), (*names, written), depth)

    def body(self, path: KeyPath, names: tuple[str, ...], depth: int) -> None:
        taken: set[str] = set()
        self.statements(path, taken)
        if depth and self.draw(st.booleans()):
            self.table(path, names, taken, depth - 1)

    def document(self) -> None:
        taken: set[str] = set()
        self.statements((), taken)
        for _ in range(self.draw(st.integers(0, 3))):
            self.text += self.draw(BETWEEN)
            self.table((), (), taken)


@st.composite
def documents(draw) -> tuple[str, dict[KeyPath, int]]:
    writer = Writer(draw)
    writer.document()
    return writer.text, writer.lines


@settings(max_examples=100)
@given(documents())
def test_every_key_that_tomli_reads_is_found_on_the_line_where_it_was_written(document):
    text, lines = document

    located = locate(text)

    assert set(located) == set(paths_of(tomli.loads(text)))
    assert {path: located.line(path) for path in located} == lines


def test_windows_line_ends_count_as_one_line():
    located = locate('a = 1\r\n[t]\r\nb = """x\r\ny"""\r\nc = [\r\n1,\r\n2 ]\r\n')

    assert [located.line(path) for path in (("a",), ("t",), ("t", "b"), ("t", "c"), ("t", "c", 1))] == [1, 2, 3, 5, 7]


def test_a_table_implied_by_another_is_found_where_it_is_first_named():
    located = locate("[a.b]\nc = 1\n[a]\nd = 2\n")

    assert located.line(("a", "b")) == 1
    assert located.line(("a",)) == 3


def test_a_key_that_is_not_there_is_placed_at_the_table_around_it():
    located = locate("[gate]\nx = 1\n[[risk]]\n")

    assert located.line(("gate", "max_position")) == 1
    assert located.line(("risk", 0, "use")) == 3
    assert located.line(("feed", "use")) is None
    assert Locations({}).line(()) is None


def test_a_key_given_as_text_finds_the_longest_table_around_it():
    located = locate('[[risk]]\nuse = "a"\n[[risk]]\nuse = "b"\nlimit = 1\n')

    assert located.line_of_key("risk[1].limit") == 5
    assert located.line_of_key("risk[1].absent.deep") == 3
    assert located.line_of_key("risky") is None


def test_keys_are_shown_as_a_person_would_write_them():
    assert format_key(("risk", 0, "bps", "low")) == "risk[0].bps.low"
    assert format_key(("a b", 'c"\\', "")) == '"a b"."c\\"\\\\".""'
    assert format_key(()) == ""

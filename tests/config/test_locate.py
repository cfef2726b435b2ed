from __future__ import annotations

import random

import tomli
from hypothesis import given, note, settings
from hypothesis import strategies as st

from mmframe.config.locate import KeyPath, Locations, format_key, locate

BARE_LETTERS = "abcxyz019_-"
QUOTED_LETTERS = "ab .=[]{}#'\"\\é\t"
BLANK = ["", " ", "  ", "\t"]
BETWEEN = ["", "\n", "# note = 1\n", "  # [x]\n\n", "\n\t\n"]


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


class Writer:
    """Writes a document and notes the line of each value as it goes: the oracle of where they are."""

    def __init__(self, seed: int) -> None:
        # A seed instead of a draw for each choice: a document takes hundreds of them.
        self.random = random.Random(seed)
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def choose(self, choices):
        return self.random.choice(choices)

    def count(self, least: int, most: int) -> range:
        return range(self.random.randint(least, most))

    def key(self, taken: set[str]) -> tuple[str, str]:
        """A key that is not taken, and one of the ways to write it."""
        key = ""
        while True:
            letters = self.choose([BARE_LETTERS, QUOTED_LETTERS])
            key = "".join(self.choose(letters) for _ in self.count(0, 4))
            if key not in taken:
                break
        ways = [quoted(key)]
        if key and all(letter in BARE_LETTERS for letter in key):
            ways.append(key)
        if "'" not in key:
            ways.append(f"'{key}'")
        taken.add(key)
        return key, self.choose(ways)

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.line)

    def scalar(self) -> None:
        plain = ["1", "-2.5e3", "true", "nan", "1979-05-27 07:32:00", "0xff", "1_000"]
        strings = ['"a\\"]"', "'#=}'", '"""m\n"x" [[t]]\n"""', "'''\nk = 1'' \n'''", '""', '""""q"""""', "''''l'''''"]
        self.text += self.choose(plain + strings)

    def value(self, path: KeyPath, depth: int) -> None:
        kind = self.choose(["scalar", "scalar", "array", "inline"] if depth else ["scalar"])
        if kind == "scalar":
            self.scalar()
        elif kind == "array":
            self.array(path, depth - 1)
        else:
            self.inline_table(path, depth - 1)

    def array(self, path: KeyPath, depth: int) -> None:
        self.text += "["
        for index in self.count(0, 3):
            self.text += ("," if index else "") + self.choose(BETWEEN)
            self.note((*path, index))
            self.value((*path, index), depth)
            self.text += self.choose(BETWEEN)
        self.text += "]"

    def inline_table(self, path: KeyPath, depth: int) -> None:
        self.text += "{"
        taken: set[str] = set()
        for index in self.count(0, 3):
            self.text += ", " if index else self.choose(BLANK)
            self.key_value(path, taken, depth)
        self.text += "}"

    def key_value(self, table: KeyPath, taken: set[str], depth: int) -> None:
        path = table
        for number in self.count(1, 3):
            key, written = self.key(taken if not number else set())
            self.text += (self.choose(BLANK) + "." + self.choose(BLANK) if number else "") + written
            path = (*path, key)
            self.note(path)
        self.text += self.choose(BLANK) + "=" + self.choose(BLANK)
        self.value(path, depth)

    def statements(self, table: KeyPath, taken: set[str]) -> None:
        for _ in self.count(0, 3):
            self.text += self.choose(BETWEEN) + self.choose(BLANK)
            self.key_value(table, taken, 2)
            self.text += self.choose(["\n", "  # end\n"])

    def table(self, parent: KeyPath, names: tuple[str, ...], taken: set[str], depth: int = 2) -> None:
        key, written = self.key(taken)
        path = (*parent, key)
        header = ".".join((*names, written))
        if self.choose([True, False]):
            self.text += f"{self.choose(BLANK)}[{header}]\n"
            self.lines[path] = self.line - 1
            self.body(path, (*names, written), depth)
            return
        for index in self.count(1, 3):
            self.text += f"[[ {header} ]]\n"
            self.lines.setdefault(path, self.line - 1)
            self.lines[*path, index] = self.line - 1
            self.body((*path, index), (*names, written), depth)

    def body(self, path: KeyPath, names: tuple[str, ...], depth: int) -> None:
        taken: set[str] = set()
        self.statements(path, taken)
        if depth and self.choose([True, False]):
            self.table(path, names, taken, depth - 1)

    def document(self) -> None:
        taken: set[str] = set()
        self.statements((), taken)
        for _ in self.count(0, 3):
            self.text += self.choose(BETWEEN)
            self.table((), (), taken)


@settings(max_examples=200)
@given(st.integers(0, 2**64))
def test_every_key_that_tomli_reads_is_found_on_the_line_where_it_was_written(seed):
    writer = Writer(seed)
    writer.document()

    located = locate(writer.text)

    note(writer.text)
    assert set(located) == set(paths_of(tomli.loads(writer.text)))
    assert {path: located.line(path) for path in located} == writer.lines


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

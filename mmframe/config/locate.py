"""Where each key of a TOML text stands, which tomli does not tell.

`locate` scans a text that tomli has accepted; it neither decodes values nor reports errors. Property tests hold it to
tomli's own reading of the same text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tomli

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KeyPath", "Locations", "format_key", "locate"]

KeyPath = tuple[str | int, ...]
"""Keys and array indexes from the root, such as `("optimizer", 1, "bps", "low")`."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
# The delimiter, then anything but an unescaped delimiter. Up to two quotes may stand right before the closing three.
_MULTI_LINE_BASIC = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}(?!")', re.DOTALL)
_MULTI_LINE_LITERAL = re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL)
_BASIC = re.compile(r'"(?:\\.|[^"\\])*"')
_LITERAL = re.compile(r"'[^']*'")
_PLAIN = re.compile(r"[^,\]}#\r\n]+")


def format_key(path: KeyPath) -> str:
    """Return the dotted text of a path, such as `optimizer[1].bps.low`; keys that need quotes get them."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        key = part if _BARE_KEY.fullmatch(part) else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
        text += f".{key}" if text else key
    return text


class Locations:
    """One-based lines of the keys of one TOML text."""

    __slots__ = ("_lines",)

    def __init__(self, lines: dict[KeyPath, int]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._lines)

    def line(self, path: KeyPath) -> int | None:
        """Return the line of `path`, or of the nearest table around it; None when even that is not in the text."""
        while path:
            line = self._lines.get(path)
            if line is not None:
                return line
            path = path[:-1]
        return None

    def line_of_key(self, key: str) -> int | None:
        """Return the line of a key given as text, as `format_key` writes it, or of the nearest table around it."""
        best: tuple[int, int] | None = None
        for path, line in self._lines.items():
            text = format_key(path)
            is_match = key == text or (key.startswith(text) and key[len(text)] in ".[")
            if is_match and (best is None or len(text) > best[0]):
                best = (len(text), line)
        return None if best is None else best[1]


def locate(text: str) -> Locations:
    """Return the lines of all keys, tables and array items of `text`, which must be valid TOML."""
    return Locations(_Scanner(text).scan())


class _Scanner:
    """One pass over the text; `position` is always at the next character to look at."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.line = 1
        self.lines: dict[KeyPath, int] = {}
        self.array_table_sizes: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self.skip(_BETWEEN)
        while self.position < len(self.text):
            if self.text.startswith("[[", self.position):
                table = self.array_table_header()
            elif self.text.startswith("[", self.position):
                table = self.table_header()
            else:
                self.key_value(table)
            self.skip(_BETWEEN)
        return self.lines

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Move over what `pattern` matches here and return it."""
        match = pattern.match(self.text, self.position)
        matched = match.group() if match else ""
        self.position += len(matched)
        self.line += matched.count("\n")
        return matched

    def skip_mark(self, mark: str) -> bool:
        if not self.text.startswith(mark, self.position):
            return False
        self.position += len(mark)
        return True

    def note(self, path: KeyPath) -> None:
        # A table may be mentioned many times: its first mention is where a reader looks.
        self.lines.setdefault(path, self.line)

    def table_header(self) -> KeyPath:
        self.skip_mark("[")
        parts = self.key_parts()
        self.skip_mark("]")
        path: KeyPath = ()
        for part in parts:
            path = self.enter(path, part)
        # `[a]` after `[a.b]` is the table's own place; the first mention was only implied.
        self.lines[path] = self.line
        return path

    def array_table_header(self) -> KeyPath:
        self.skip_mark("[[")
        parts = self.key_parts()
        self.skip_mark("]]")
        path: KeyPath = ()
        for part in parts[:-1]:
            path = self.enter(path, part)
        array: KeyPath = (*path, parts[-1])
        self.note(array)
        index = self.array_table_sizes.get(array, 0)
        self.array_table_sizes[array] = index + 1
        item: KeyPath = (*array, index)
        self.note(item)
        return item

    def enter(self, path: KeyPath, part: str) -> KeyPath:
        """Step into `part`; of an array of tables, into its newest item."""
        path = (*path, part)
        self.note(path)
        if path in self.array_table_sizes:
            path = (*path, self.array_table_sizes[path] - 1)
        return path

    def key_parts(self) -> list[str]:
        parts = []
        while True:
            self.skip(_BLANK)
            parts.append(self.key_part())
            self.skip(_BLANK)
            if not self.skip_mark("."):
                return parts

    def key_part(self) -> str:
        if self.text.startswith('"', self.position):
            # tomli decodes the escapes, so that both agree on what the key is.
            return str(tomli.loads(f"key = {self.skip(_BASIC)}")["key"])
        if self.text.startswith("'", self.position):
            return self.skip(_LITERAL)[1:-1]
        return self.skip(_BARE_KEY)

    def key_value(self, table: KeyPath) -> None:
        path = table
        for part in self.key_parts():
            path = (*path, part)
            self.note(path)
        self.skip_mark("=")
        self.skip(_BLANK)
        self.value(path)

    def value(self, path: KeyPath) -> None:
        if self.text.startswith("[", self.position):
            self.array(path)
        elif self.text.startswith("{", self.position):
            self.inline_table(path)
        elif self.text.startswith('"""', self.position):
            self.skip(_MULTI_LINE_BASIC)
        elif self.text.startswith("'''", self.position):
            self.skip(_MULTI_LINE_LITERAL)
        elif self.text.startswith('"', self.position):
            self.skip(_BASIC)
        elif self.text.startswith("'", self.position):
            self.skip(_LITERAL)
        else:
            self.skip(_PLAIN)

    def array(self, path: KeyPath) -> None:
        self.skip_mark("[")
        index = 0
        while True:
            self.skip(_BETWEEN)
            if self.skip_mark("]"):
                return
            item: KeyPath = (*path, index)
            self.note(item)
            self.value(item)
            index += 1
            self.skip(_BETWEEN)
            self.skip_mark(",")

    def inline_table(self, path: KeyPath) -> None:
        self.skip_mark("{")
        while True:
            self.skip(_BETWEEN)
            if self.skip_mark("}"):
                return
            self.key_value(path)
            self.skip(_BETWEEN)
            self.skip_mark(",")

"""From a file's name to its TOML: everything that can go wrong before the first key is looked at."""

from __future__ import annotations

import hashlib
import re
import stat
from typing import TYPE_CHECKING, Any

import attrs
import tomli

from mmframe.config.locate import Locations, locate
from mmframe.config.problems import nearest_hint
from mmframe.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LARGEST_FILE_BYTES", "TomlSource", "read_toml"]

LARGEST_FILE_BYTES = 1 << 20
"""A strategy is written by a person; what is larger is something else."""

_TOO_DEEP = "expected less nesting: arrays or inline tables are too deep in each other to be read"
_ENDLESS_INTEGER = re.compile(r"[0-9_]{4000,}")

_SYNTAX: tuple[tuple[str, str], ...] = (
    # What tomli says, and what a person can do about it.
    ("Invalid value", "expected a value: text in quotes, a number, true, false, an array or a table"),
    ("Expected '=' after a key", "expected `key = value`"),
    ("Invalid initial character for a key part", "expected a key: letters, digits, `_` and `-`, or text in quotes"),
    (
        "Expected newline or end of document after a statement",
        "expected the end of the line; a value stands alone on its line",
    ),
    ("Unclosed array", "expected `]` or `,`: the array is not closed"),
    ("Unclosed inline table", "expected `}` or `,`: the inline table is not closed"),
    ('Expected "', "expected the closing quote of a string"),
    ("Illegal character '\\n'", "expected the closing quote of a string"),
    ("Unterminated string", "expected the closing quote of a string"),
    ("Cannot overwrite a value", "expected each key once, was here before with another value"),
    ("Cannot declare", "expected each table once, was declared before"),
    ("Cannot mutate immutable namespace", "expected each table in one place, was complete before"),
    ("Duplicate inline table key", "expected each key once, was in this inline table before"),
    ("Expected ']]' at the end of an array declaration", "expected `]]`"),
    ("Expected ']' at the end of a table declaration", "expected `]`"),
)


@attrs.frozen
class TomlSource:
    """A file as read.

    Attributes:
        file: Its name as the user gave it.
        text: Its text.
        digest: SHA-256 of its bytes, hexadecimal.
        raw: What tomli made of it.
        locations: Where its keys stand.
    """

    file: str
    text: str
    digest: str
    raw: dict[str, Any]
    locations: Locations


def read_toml(path: Path) -> TomlSource:
    """Read and parse a TOML file.

    Raises:
        ConfigErrors: With one problem, if it cannot be read, is no text or is no TOML.
    """
    file = str(path)
    data = _bytes_of(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        was = f"expected UTF-8 text, was the byte 0x{data[error.start]:02x}"
        raise _failure(file, was, line=line, hint="save the file as UTF-8") from None
    if not text.strip():
        hint = "`mmframe schema` lists the tables; `examples/` has whole files"
        raise _failure(file, "expected a strategy, was an empty file", hint=hint)
    try:
        raw = tomli.loads(text)
        locations = locate(text)
    except tomli.TOMLDecodeError as error:
        raise _syntax_failure(file, text, error) from None
    except RecursionError:
        raise _failure(file, _TOO_DEEP) from None
    except ValueError:
        # The one thing that tomli lets through: an integer of more digits than Python converts.
        match = _ENDLESS_INTEGER.search(text)
        at = None if match is None else text.count("\n", 0, match.start()) + 1
        was = "expected integers of at most 64 bits, was one of thousands of digits"
        raise _failure(file, was, line=at) from None
    return TomlSource(file=file, text=text, digest=hashlib.sha256(data).hexdigest(), raw=raw, locations=locations)


def _bytes_of(path: Path) -> bytes:
    file = str(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            inside = path / "strategy.toml"
            hint = f"did you mean {str(inside)!r}?" if inside.is_file() else None
            raise _failure(file, "expected a strategy file, was a directory", hint=hint)
        if not stat.S_ISREG(status.st_mode):
            raise _failure(file, "expected a strategy file, was a device or pipe")
        if status.st_size > LARGEST_FILE_BYTES:
            was = f"expected at most {LARGEST_FILE_BYTES} bytes, was {status.st_size}"
            raise _failure(file, was, hint="is this a strategy file?")
        return path.read_bytes()
    except FileNotFoundError:
        siblings = {sibling.name for sibling in path.parent.glob("*.toml")} if path.parent.is_dir() else set()
        raise _failure(file, "no such file", hint=nearest_hint(path.name, siblings)) from None
    except (OSError, ValueError) as error:
        # ValueError: a name with a null character.
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _failure(file, f"cannot be read: {reason}") from None


def _failure(file: str, message: str, *, line: int | None = None, hint: str | None = None) -> ConfigErrors:
    return ConfigErrors((ConfigError(message, key="", file=file, line=line, hint=hint),))


def _syntax_failure(file: str, text: str, error: tomli.TOMLDecodeError) -> ConfigErrors:
    expected = next((ours for theirs, ours in _SYNTAX if error.msg.startswith(theirs)), error.msg)
    lines = text.split("\n")
    line = min(error.lineno, len(lines))
    shown = lines[line - 1].strip()
    return _failure(
        file, f"column {error.colno}: {expected}", line=line, hint=f"the line reads: {shown[:100]}" if shown else None
    )

"""Plain text for people: numbers, times, columns. Uses no terminal library, so that quick commands start quickly."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "columns",
    "count",
    "duration",
    "iso_time",
    "money",
    "note",
    "paint",
    "paragraphs",
    "plain",
    "plural",
    "program_name",
    "shown_path",
    "signed",
    "silence",
    "terminal_width",
    "wall_time",
]

_WIDTH_MAX = 120
"""Longer lines are hard to read even where the terminal is wide."""
_LAST_COLUMN_WIDTH_MIN = 20
_SOURCE_WIDTH = 105
"""A line of source text that could not take the next line's first word within this is taken as full."""
_SMALL_MONEY = Decimal("0.01")
_NS_PER_S = 1_000_000_000
_S_PER_MINUTE = 60
_S_PER_HOUR = 3600


def note(text: str = "") -> bool:
    """Write a line to stderr, where everything goes that is not the result; return False when nobody can read it."""
    try:
        click.echo(text, err=True, color=None if _colour_is_allowed() else False)
    except OSError:
        # What stderr cannot take must not keep the result from stdout, nor the orders from being cancelled.
        silence(sys.stderr)
        return False
    return True


def silence(stream: Any) -> None:
    """Lead a broken stream nowhere, so that the interpreter does not complain about it when it flushes at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError, AttributeError):
        return  # no descriptor behind the stream, so nothing to complain about
    finally:
        os.close(nowhere)


def paint(text: str, **styles: object) -> str:
    """Return `text` with terminal styles; they are dropped where the output is no terminal or NO_COLOR is set."""
    return click.style(text, **styles) if _colour_is_allowed() else text  # type: ignore[arg-type] # click's own keywords


def terminal_width() -> int:
    """Return the columns to fill."""
    return min(shutil.get_terminal_size().columns, _WIDTH_MAX)


def columns(
    rows: Sequence[Sequence[str]], *, headings: Sequence[str] = (), indent: int = 2, numeric: Sequence[int] = ()
) -> list[str]:
    """Return `rows` as aligned lines; the last column is wrapped at the terminal's width.

    Args:
        rows: Cells, as many in each row.
        headings: A row above them.
        indent: Spaces before each line.
        numeric: Columns aligned to the right.
    """
    table = [tuple(headings), *rows] if headings else list(rows)
    if not table:
        return []
    widths = [max(len(row[index]) for row in table) for index in range(len(table[0]) - 1)]
    offset = indent + sum(width + 2 for width in widths)
    room = max(terminal_width() - offset, _LAST_COLUMN_WIDTH_MIN)
    lines: list[str] = []
    for number, row in enumerate(table):
        lead = " " * indent + "".join(
            f"{cell:{'>' if column in numeric else '<'}{width}}  "
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        wrapped = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        body = [(lead + wrapped[0]).rstrip(), *(" " * offset + line for line in wrapped[1:])]
        lines += [paint(line, bold=True) for line in body] if headings and number == 0 else body
    return lines


def paragraphs(text: str, *, indent: int = 2) -> list[str]:
    """Return text wrapped at the terminal's width, each line under its own indent; formulas keep their lines."""
    lines: list[str] = []
    for line in _unwrapped(textwrap.dedent(text).strip("\n").splitlines()):
        lead = " " * (indent + len(line) - len(line.lstrip()))
        room = max(terminal_width() - len(lead), _LAST_COLUMN_WIDTH_MIN)
        wrapped = textwrap.wrap(line.strip(), room, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [(lead + part).rstrip() for part in wrapped]
    return lines


def _unwrapped(lines: Sequence[str]) -> list[str]:
    """Join lines that were broken only because the source was full, so that they can be wrapped anew."""
    joined: list[str] = []
    before = ""
    for line in lines:
        word = line.split(maxsplit=1)[:1]
        if word and before and len(before) + len(word[0]) >= _SOURCE_WIDTH:
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
        before = line
    return joined


def count(value: int) -> str:
    """Return `12,345`."""
    return f"{value:,}"


def plural(value: int, noun: str) -> str:
    """Return `1 order`, `2 orders`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def plain(value: Decimal) -> str:
    """Return the exact decimal without exponent and trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def signed(value: Decimal) -> str:
    """Return the exact decimal with its sign; zero has none."""
    return f"+{plain(value)}" if value > 0 else plain(value)


def money(value: Decimal) -> str:
    """Return an amount for people: signed, four digits behind the point, more where it would vanish."""
    if value == 0:
        return "0.0000"
    if abs(value) >= _SMALL_MONEY:
        return f"{value:+,.4f}"
    return f"{value:+.8f}".rstrip("0").rstrip(".")


def duration(nanoseconds: int) -> str:
    """Return `850 ms`, `12.3 s`, `4 min 05 s` or `2 h 03 min`."""
    seconds = nanoseconds / _NS_PER_S
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _S_PER_MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _S_PER_HOUR:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"


def iso_time(time_ns: int) -> str:
    """Return UTC with all nine digits, as machines read it."""
    moment = datetime.fromtimestamp(time_ns // _NS_PER_S, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % _NS_PER_S:09d}Z"


def wall_time(time_ns: int) -> str:
    """Return UTC to the millisecond, as people read it."""
    moment = datetime.fromtimestamp(time_ns // _NS_PER_S, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ns % _NS_PER_S // 1_000_000:03d} UTC"


def shown_path(path: str | Path) -> str:
    """Return a path as it is shortest to type from here."""
    whole, here = Path(path).absolute(), Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(path)


def program_name() -> str:
    """Return how `mmframe` was started, for commands to copy; whoever starts it says so in `MMFRAME_PROGRAM`."""
    return os.environ.get("MMFRAME_PROGRAM") or "mmframe"


def _colour_is_allowed() -> bool:
    # https://no-color.org: set and not empty means no colour, whatever the value.
    return not os.environ.get("NO_COLOR")

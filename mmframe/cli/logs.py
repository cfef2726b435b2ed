"""Log records for people: one readable line each, on stderr, or in a file while a status is drawn there.

Components log an event's name with its facts as fields. Nothing of the quoting path logs.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmframe.cli.text import note, plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["LOGGER", "LineFormatter", "RepeatFilter", "log_to_file", "log_to_stderr"]

LOGGER = "mmframe"
"""The logger above all of ours and of the components."""

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_REPEATS_MAX = 5
_WINDOW_S = 10.0
_EVENTS_MAX = 1000


class LineFormatter(logging.Formatter):
    """`time level logger event name=value ...`, on one line whatever is in it."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"
    converter = time.gmtime  # type: ignore[assignment] # takes seconds, as the base class calls it

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = " ".join(f"{name}={_shown(value)}" for name, value in vars(record).items() if name not in _STANDARD)
        head = f"{self.formatTime(record)} {record.levelname.lower()} {record.name} {record.getMessage()}"
        text = f"{head} {fields}" if fields else head
        if record.exc_info:
            text = f"{text} {self.formatException(record.exc_info)}"
        return text.replace("\r", "\\r").replace("\n", "\\n")


class RepeatFilter(logging.Filter):
    """Lets the same event through five times in ten seconds; the next one afterwards says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to write the record."""
        key = (record.name, record.msg)
        began_s, count = self._windows.get(key, (record.created, 0))
        if not 0 <= record.created - began_s < _WINDOW_S:
            # Also when the clock was set back, which must not silence anything for as long.
            if count > _REPEATS_MAX:
                record.repeats_left_out = count - _REPEATS_MAX
            began_s, count = record.created, 0
        if len(self._windows) >= _EVENTS_MAX:
            self._windows.clear()
        self._windows[key] = (began_s, count + 1)
        return count < _REPEATS_MAX


class _Stderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(self.format(record))


@contextmanager
def log_to_stderr(level: int = logging.WARNING) -> Iterator[None]:
    """Write log records of `level` and above to stderr."""
    with _handled(_Stderr(), level):
        yield


@contextmanager
def log_to_file(path: Path, level: int = logging.INFO, *, is_alone: bool) -> Iterator[None]:
    """Append log records to a file, which says nothing on stderr but, at the end, how many warnings it holds.

    Args:
        path: The file; made with the first record.
        level: Of the least important records.
        is_alone: Keep the records away from stderr.
    """
    handler = _File(path)
    with _handled(handler, level, is_alone=is_alone):
        yield
    if handler.warnings:
        note(f"{plural(handler.warnings, 'warning')} in {path}")


class _File(logging.FileHandler):
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8", delay=True)
        self.warnings = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.warnings += 1
        try:
            super().emit(record)
        except OSError:
            # Opening is not covered by `handleError`.
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of the base class
        """Go on: a full disk must not keep orders from being cancelled, and the journal says the same more loudly."""


@contextmanager
def _handled(handler: logging.Handler, level: int, *, is_alone: bool = False) -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    before = (logger.level, logger.propagate, list(logger.handlers))
    handler.setFormatter(LineFormatter())
    handler.addFilter(RepeatFilter())
    handler.setLevel(level)
    if is_alone:
        logger.handlers = []
    logger.addHandler(handler)
    logger.setLevel(min(level, logger.level or level))
    logger.propagate = False
    try:
        yield
    finally:
        logger.level, logger.propagate, logger.handlers = before
        handler.close()


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(letter in text for letter in ' ="') else text

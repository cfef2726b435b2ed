"""Moments of a run as people write them, and as text: exact to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from mmframe.config.durations import duration_ns
from mmframe.domain.market import NEVER_NS
from mmframe.errors import DomainError, UsageError

__all__ = ["parse_time_ns", "time_text"]

_NS_PER_S = 1_000_000_000
_DAY_NS = 86_400 * _NS_PER_S
_MAX_DIGITS = 19
"""Of nanoseconds since the epoch."""
_TIME_OF_DAY = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time_ns(text: str, span_ns: tuple[int, int]) -> int:
    """Return the driver's time that a person means.

    Args:
        text: ISO 8601 (`2024-05-01T12:00:00.5Z`; UTC unless it says otherwise), a time of day of the run
            (`12:00:00.5`, UTC), an offset from the run's start (`+12s`, `+1m30s`), or nanoseconds since the epoch.
        span_ns: The run's first and last time, from `JournalReader.span_ns`.

    Raises:
        UsageError: If the text is none of these.
    """
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return min(int(text), NEVER_NS)
    if text.startswith("+"):
        return span_ns[0] + _offset_ns(text)
    if _TIME_OF_DAY.fullmatch(text):
        return _time_of_day_ns(text, span_ns)
    moment = _moment_ns(text)
    if moment is None:
        msg = f"time: expected '2024-05-01T12:00:00Z', '12:00:00', '+12s' or nanoseconds, was {text!r}"
        raise UsageError(msg, hint=f"the run has records from {time_text(span_ns[0])} to {time_text(span_ns[1])}")
    return moment


def time_text(time_ns: int) -> str:
    """Return nanoseconds UTC as ISO 8601 with all nine digits."""
    try:
        moment = datetime.fromtimestamp(time_ns // _NS_PER_S, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time_ns} ns"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ns % _NS_PER_S:09d}Z"


def _offset_ns(text: str) -> int:
    if text in {"+0", "+0s"}:
        return 0
    try:
        return duration_ns(text[1:])
    except DomainError as error:
        msg = f"time {text!r}: {error.message}"
        raise UsageError(msg, hint="an offset from the run's start is written as +12s or +1m30s") from error


def _time_of_day_ns(text: str, span_ns: tuple[int, int]) -> int:
    """Return the time of day on the run's first day, or on a later one when the run reaches it only there."""
    day = datetime.fromtimestamp(span_ns[0] // _NS_PER_S, UTC)
    first = _moment_ns(f"{day:%Y-%m-%d}T{text}")
    if first is None:
        msg = f"time: expected a time of day such as '12:00:00', was {text!r}"
        raise UsageError(msg)
    next_day = first + _DAY_NS
    return next_day if first < span_ns[0] // _NS_PER_S * _NS_PER_S and next_day <= span_ns[1] else first


def _moment_ns(text: str) -> int | None:
    """Return an ISO 8601 time exactly, to the nanosecond; None when it is not one."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(whole + (zone or "Z"))
    except ValueError:
        return None
    delta = moment - _EPOCH
    nanoseconds = int((fraction or ".0")[1:].ljust(9, "0"))
    return (delta.days * 86_400 + delta.seconds) * _NS_PER_S + nanoseconds

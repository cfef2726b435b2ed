"""Lengths of time as people write them: `500ms`, `20s`, `5m`, `1h30m`."""

from __future__ import annotations

import re

from mmframe.errors import DomainError

__all__ = ["duration_ns", "duration_text"]

_UNITS_NS = {"d": 86_400_000_000_000, "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|[dhms])")
_LONGEST_NS = 366 * _UNITS_NS["d"]


def duration_ns(text: str) -> int:
    """Return the nanoseconds of a text such as `1h30m`; parts go from large to small, each unit once.

    Raises:
        DomainError: If the text is not a length of time above zero and up to 366 days.
    """
    parts = _PART.findall(text)
    units = [unit for _, unit in parts]
    is_whole = "".join(number + unit for number, unit in parts) == text
    if not parts or not is_whole or units != [unit for unit in _UNITS_NS if unit in units]:
        msg = f"expected a length of time such as '20s', '5m', '1h30m' or '500ms', was {text!r}"
        raise DomainError(msg)
    total = sum(_exact_ns(number, unit) for number, unit in parts)
    if not 0 < total <= _LONGEST_NS:
        msg = f"expected a length of time above 0 and up to 366d, was {text!r}"
        raise DomainError(msg)
    return total


def duration_text(length_ns: int) -> str:
    """Return the shortest text that `duration_ns` reads back, to whole milliseconds."""
    text = ""
    for unit, size in _UNITS_NS.items():
        count, length_ns = divmod(length_ns, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _exact_ns(number: str, unit: str) -> int:
    whole, _, fraction = number.partition(".")
    # A fraction has at most nine digits, so that this division loses less than a nanosecond.
    return int(whole) * _UNITS_NS[unit] + int(fraction.ljust(9, "0") or 0) * _UNITS_NS[unit] // 10**9

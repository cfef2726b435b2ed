"""The record of limits as the journal tells it: each time that one bound, from when to when and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.domain.orders import ALL_MARKETS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LIMITS_SINCE", "JournalLimit", "read_limits"]

LIMITS_SINCE = 2
"""The first version of the tables with a record of limits."""


class JournalLimit(msgspec.Struct, frozen=True):
    """One time that a limit bound."""

    run: int
    market: int
    """`ALL_MARKETS` for what concerns the whole strategy."""
    stage: str
    """Whose limit: the name of the risk control, `gate <limit>`, `halt`."""
    level: int
    """How far it went, a `RiskLevel`."""
    reason: int
    """A `Reason`, or a component's own code."""
    began_ns: int
    ended_ns: int | None
    """None for one that still bound at the end of the run's record."""
    decisions: int
    """In how many decisions it bound; at least so many while it has not ended."""
    detail: str
    """Figures, for people."""


_COLUMNS = ", ".join(JournalLimit.__struct_fields__)
_SELECT = f"""
SELECT {_COLUMNS} FROM limits
WHERE run = :run AND (:market IS NULL OR market IN (:market, {ALL_MARKETS}))
AND began_ns <= :until AND (ended_ns IS NULL OR ended_ns >= :since)
ORDER BY began_ns, position
"""


def read_limits(
    query: Callable[[str, dict[str, Any]], list[tuple[Any, ...]]],
    *,
    run: int,
    market: int | None,
    span_ns: tuple[int, int],
) -> tuple[JournalLimit, ...]:
    """Return the limits that bound at some time of a span, both ends included; `query` runs a statement."""
    found = query(_SELECT, {"run": run, "market": market, "since": span_ns[0], "until": span_ns[1]})
    return tuple(JournalLimit(*row) for row in found)

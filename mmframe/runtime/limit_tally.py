"""Counts how often each limit bound in a run, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mmframe.domain.orders import ALL_MARKETS
from mmframe.domain.status import LimitCount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.records import LimitRecord

__all__ = ["LimitTally"]


@attrs.define
class _Count:
    times: int = 0
    decisions: int = 0
    bound_ns: int = 0


class LimitTally:
    """Adds up the records of limits.

    Args:
        symbols: The markets, in order.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = symbols
        self._counts: dict[tuple[int, str, int, int], _Count] = {}
        self._open: set[tuple[int, str, int, int, int]] = set()

    def add(self, record: LimitRecord) -> None:
        """Take one record."""
        kind = (record.market, record.stage, record.level, record.reason)
        spell = (*kind, record.began_ns)
        counted = self._counts.setdefault(kind, _Count())
        if spell not in self._open:
            counted.times += 1
            if not record.is_over:
                self._open.add(spell)
                return
        # Its end, or the end of the run while it still binds.
        self._open.discard(spell)
        counted.decisions += record.decisions
        counted.bound_ns += record.now_ns - record.began_ns

    def counts(self) -> tuple[LimitCount, ...]:
        """Return what bound, the most frequent first."""
        counts = [
            LimitCount(
                instrument="" if market == ALL_MARKETS else self._symbols[market],
                stage=stage,
                level=level,
                reason=reason,
                times=counted.times,
                decisions=counted.decisions,
                bound_ns=counted.bound_ns,
            )
            for (market, stage, level, reason), counted in self._counts.items()
        ]
        return tuple(sorted(counts, key=lambda each: (-each.decisions, -each.times, each.instrument, each.stage)))

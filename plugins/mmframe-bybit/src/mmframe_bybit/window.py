"""The levels that a topic shows, kept only to notice a book that cannot be: crossed, or deeper than the topic."""

from __future__ import annotations

from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING

from mmframe.domain.market import Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Window"]

_ABOVE_ALL = 2**63


class Window:
    """The best `depth` levels of both sides.

    Args:
        depth: Levels a side of the topic.
    """

    __slots__ = ("_ask_bound", "_asks", "_bid_bound", "_bids", "_depth")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        # No bid is above, no ask below its bound. The best levels are looked for only when the bounds meet.
        self._bid_bound = 0
        self._ask_bound = _ABOVE_ALL

    def clear(self) -> None:
        """Remove every level."""
        self._bids.clear()
        self._asks.clear()
        self._bid_bound, self._ask_bound = 0, _ABOVE_ALL

    def apply(self, side: Side, ticks: Sequence[int], lots: Sequence[int]) -> None:
        """Set the absolute sizes of levels; 0 lots removes one."""
        if not ticks:
            return
        if side is Side.BUY:
            levels = self._bids
            self._bid_bound = max(self._bid_bound, *ticks)
        else:
            levels = self._asks
            self._ask_bound = min(self._ask_bound, *ticks)
        levels.update(zip(ticks, lots, strict=True))
        if 0 in lots:
            _remove(levels, [tick for tick in ticks if levels.get(tick) == 0])

    def shows(self, side: Side, ticks: Sequence[int], lots: Sequence[int]) -> bool:
        """Tell whether these are exactly the levels of a side."""
        levels = self._bids if side is Side.BUY else self._asks
        return levels == dict(zip(ticks, lots, strict=True))

    def levels(self, side: Side) -> tuple[list[int], list[int]]:
        """Return ticks and lots of every level of a side, in no order."""
        levels = self._bids if side is Side.BUY else self._asks
        return list(levels), list(levels.values())

    def is_crossed(self) -> bool:
        """Tell whether the best bid is at or above the best ask."""
        if self._bid_bound >= self._ask_bound:
            self._ask_bound = min(self._asks, default=_ABOVE_ALL)
        if self._bid_bound >= self._ask_bound:
            self._bid_bound = max(self._bids, default=0)
        return self._bid_bound >= self._ask_bound

    def trim(self, side: Side) -> list[int]:
        """Remove the worst levels beyond the depth and return their ticks."""
        levels = self._bids if side is Side.BUY else self._asks
        surplus = len(levels) - self._depth
        if surplus <= 0:
            return []
        worst = nsmallest(surplus, levels) if side is Side.BUY else nlargest(surplus, levels)
        _remove(levels, worst)
        return worst


def _remove(levels: dict[int, int], ticks: Iterable[int]) -> None:
    for tick in ticks:
        levels.pop(tick, None)

"""The reference book: two dicts, sorted anew for every question. Too slow to trade with and too plain to be wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.market import Side, Touch

if TYPE_CHECKING:
    from array import array

__all__ = ["ReferenceBook"]


class ReferenceBook:
    """The oracle for every book model; see `mmframe.ports.Book` for what the methods mean."""

    def __init__(self) -> None:
        self._sides: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        self._version = 0

    @property
    def version(self) -> int:
        """Return how many messages have been applied since creation."""
        return self._version

    def clear(self) -> None:
        """Remove every level of both sides."""
        self._sides = {Side.BUY: {}, Side.SELL: {}}

    def apply(self, sides: array[int], ticks: array[int], lots: array[int], start: int, end: int) -> None:
        """Set the absolute sizes of changes `start:end`, one after the other."""
        self._version += 1
        for index in range(start, end):
            levels = self._sides[Side(sides[index])]
            levels[ticks[index]] = lots[index]
            if lots[index] == 0:
                del levels[ticks[index]]

    def touch(self) -> Touch:
        """Return the best level of each side; an empty side is 0 ticks, 0 lots."""
        bid = [*self.levels(Side.BUY, 1), (0, 0)][0]
        ask = [*self.levels(Side.SELL, 1), (0, 0)][0]
        return Touch(*bid, *ask)

    def levels(self, side: Side, count: int) -> list[tuple[int, int]]:
        """Return at most `count` `(ticks, lots)` from best to worst."""
        return sorted(self._sides[side].items(), reverse=side == Side.BUY)[: max(0, count)]

    def level_count(self, side: Side) -> int:
        """Return how many levels `side` has."""
        return len(self._sides[side])

    def lots_at(self, side: Side, ticks: int) -> int:
        """Return the size at one price; 0 when there is no level."""
        return self._sides[side].get(ticks, 0)

    def lots_through(self, side: Side, limit_ticks: int) -> int:
        """Return the summed size of all levels of `side` at `limit_ticks` or better."""
        if side == Side.BUY:
            return sum(lots for ticks, lots in self._sides[side].items() if ticks >= limit_ticks)
        return sum(lots for ticks, lots in self._sides[side].items() if ticks <= limit_ticks)

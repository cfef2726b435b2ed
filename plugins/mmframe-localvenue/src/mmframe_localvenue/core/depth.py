"""Book changes collected between two publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmframe_localvenue.core.market import BookChange

__all__ = ["DepthWindow"]


class DepthWindow:
    """What changed in one market since the last `take`; feed it from `Market.on_book`.

    Attributes:
        first_update_id: Of the first change; 0 while there is none.
        last_update_id: Of the last change.
        at_ns: Time of the last change.
    """

    __slots__ = ("_levels", "at_ns", "first_update_id", "last_update_id")

    def __init__(self) -> None:
        self.first_update_id = 0
        self.last_update_id = 0
        self.at_ns = 0
        self._levels: dict[tuple[int, int], int] = {}

    def __bool__(self) -> bool:
        return bool(self._levels)

    def add(self, change: BookChange) -> None:
        """Take one change in."""
        if not self._levels:
            self.first_update_id = change.first_update_id
        self.last_update_id = change.last_update_id
        self.at_ns = change.at_ns
        for side, ticks, lots in change.levels:
            self._levels[side, ticks] = lots

    def take(self) -> list[tuple[int, int, int]]:
        """Return `(side, ticks, lots now)` of every changed level, each once, and begin anew; the ids stay readable."""
        changes = [(side, ticks, lots) for (side, ticks), lots in self._levels.items()]
        self._levels.clear()
        return changes

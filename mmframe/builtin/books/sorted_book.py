"""The book `sorted`: every level in a dict, the best ones also in a sorted list.

Per side a dict from price to size holds all levels, and a list, the *window*, holds the best prices in rising order of
goodness. Almost every change of a real market hits the window's end, where a list moves little memory; what lies deeper
costs one dict write and is sorted only when somebody reads that deep.

Ask prices are stored negated, so that on both sides greater means better and one order serves both.

The invariant, on each side: the window holds exactly the levels at `floor` or better.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import nlargest
from operator import neg
from typing import TYPE_CHECKING, Any

from mmframe.domain.market import Side, Touch
from mmframe.plugin import BookSpec, BuildContext

if TYPE_CHECKING:
    from array import array

__all__ = ["SORTED", "SortedBook"]

_WINDOW_LEVELS = 128
"""Levels in a window after it was cut or refilled."""
_WINDOW_LEVELS_MAX = 256
"""A window that has grown beyond is cut: long lists make inserts slow."""
_WINDOW_LEVELS_MIN = 12
"""A window that has shrunk below is refilled: a top-10 read should never have to sort."""
_BULK_CHANGES = 512
"""A message with more changes (a snapshot) writes the dicts only and makes the windows anew."""

_NO_FLOOR = -(2**63)
"""Below every price: the window holds the whole side."""

_new_tuple = tuple.__new__


class SortedBook:
    """The levels of one market, exact in ticks and lots; see `mmframe.ports.Book`.

    A change costs O(1) on a known level, O(log window) elsewhere; reads at the touch O(1), to depth n in the window O(n).
    Reads beyond the window sort or scan the side's levels: exact, and slow only for whoever reads that deep.
    """

    __slots__ = ("_ask_floor", "_ask_window", "_asks", "_bid_floor", "_bid_window", "_bids", "_touch", "_version")

    def __init__(self) -> None:
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._bid_window: list[int] = []
        self._ask_window: list[int] = []
        self._bid_floor = _NO_FLOOR
        self._ask_floor = _NO_FLOOR
        self._touch: Touch | None = None
        self._version = 0

    @property
    def version(self) -> int:
        """Return how many messages have been applied since creation."""
        return self._version

    def clear(self) -> None:
        """Remove every level of both sides."""
        self._bids.clear()
        self._asks.clear()
        self._bid_window.clear()
        self._ask_window.clear()
        self._bid_floor = self._ask_floor = _NO_FLOOR
        self._touch = None

    def apply(self, sides: array[int], ticks: array[int], lots: array[int], start: int, end: int) -> None:
        """Set the absolute sizes of changes `start:end`; 0 lots removes a level, an absent one silently."""
        self._version += 1
        self._touch = None
        if end - start > _BULK_CHANGES:
            self._apply_in_bulk(sides, ticks, lots, start, end)
            return
        bids, asks = self._bids, self._asks
        bid_window, ask_window = self._bid_window, self._ask_window
        bid_floor, ask_floor = self._bid_floor, self._ask_floor
        # Both sides are written out: choosing the side's containers by a lookup costs a fifth of the whole loop.
        for side, price, size in zip(sides[start:end], ticks[start:end], lots[start:end]):  # noqa: B905 - same slices
            if side:
                price = -price  # noqa: PLW2901 - negated, as everywhere on the ask side
                if size:
                    if price not in asks and price >= ask_floor:
                        insort(ask_window, price)
                    asks[price] = size
                elif price in asks:
                    del asks[price]
                    if price >= ask_floor:
                        del ask_window[bisect_left(ask_window, price)]
            elif size:
                if price not in bids and price >= bid_floor:
                    insort(bid_window, price)
                bids[price] = size
            elif price in bids:
                del bids[price]
                if price >= bid_floor:
                    del bid_window[bisect_left(bid_window, price)]
        if not _WINDOW_LEVELS_MIN <= len(bid_window) <= _WINDOW_LEVELS_MAX:
            self._bid_floor = _resized(bid_window, bids, bid_floor)
        if not _WINDOW_LEVELS_MIN <= len(ask_window) <= _WINDOW_LEVELS_MAX:
            self._ask_floor = _resized(ask_window, asks, ask_floor)

    def touch(self) -> Touch:
        """Return the best level of each side; an empty side is 0 ticks, 0 lots."""
        touch = self._touch
        if touch is None:
            bid_window, ask_window = self._bid_window, self._ask_window
            if bid_window and ask_window:
                bid, ask = bid_window[-1], ask_window[-1]
                # Skips the generated constructor of the NamedTuple, which takes twice as long.
                touch = _new_tuple(Touch, (bid, self._bids[bid], -ask, self._asks[ask]))
            elif bid_window:
                touch = Touch(bid_window[-1], self._bids[bid_window[-1]], 0, 0)
            elif ask_window:
                touch = Touch(0, 0, -ask_window[-1], self._asks[ask_window[-1]])
            else:
                touch = Touch(0, 0, 0, 0)
            self._touch = touch
        return touch

    def levels(self, side: Side, count: int) -> list[tuple[int, int]]:
        """Return at most `count` `(ticks, lots)` from best to worst."""
        if side:
            levels, window, floor = self._asks, self._ask_window, self._ask_floor
        else:
            levels, window, floor = self._bids, self._bid_window, self._bid_floor
        if count <= 0:
            return []
        if count <= len(window) or floor == _NO_FLOOR:
            prices = window[: -count - 1 : -1]
        else:
            prices = nlargest(count, levels)
        sizes = map(levels.__getitem__, prices)
        return list(zip(map(neg, prices), sizes)) if side else list(zip(prices, sizes))  # noqa: B905 - one from the other

    def level_count(self, side: Side) -> int:
        """Return how many levels `side` has."""
        return len(self._asks if side else self._bids)

    def lots_at(self, side: Side, ticks: int) -> int:
        """Return the size at one price; 0 when there is no level."""
        return self._asks.get(-ticks, 0) if side else self._bids.get(ticks, 0)

    def lots_through(self, side: Side, limit_ticks: int) -> int:
        """Return the summed size of all levels of `side` at `limit_ticks` or better."""
        if side:
            levels, window, floor, limit = self._asks, self._ask_window, self._ask_floor, -limit_ticks
        else:
            levels, window, floor, limit = self._bids, self._bid_window, self._bid_floor, limit_ticks
        if limit >= floor:
            return sum(map(levels.__getitem__, window[bisect_left(window, limit) :]))
        return sum([size for price, size in levels.items() if price >= limit])

    def _apply_in_bulk(self, sides: array[int], ticks: array[int], lots: array[int], start: int, end: int) -> None:
        bids, asks = self._bids, self._asks
        for side, price, size in zip(sides[start:end], ticks[start:end], lots[start:end]):  # noqa: B905 - same slices
            levels, key = (asks, -price) if side else (bids, price)
            if size:
                levels[key] = size
            else:
                levels.pop(key, None)
        self._bid_floor = _refilled(self._bid_window, bids)
        self._ask_floor = _refilled(self._ask_window, asks)


def _resized(window: list[int], levels: dict[int, int], floor: int) -> int:
    """Bring a window of the wrong length to the right one and return its floor."""
    if len(window) > _WINDOW_LEVELS_MAX:
        del window[:-_WINDOW_LEVELS]
        return window[0]
    return floor if floor == _NO_FLOOR else _refilled(window, levels)


def _refilled(window: list[int], levels: dict[int, int]) -> int:
    """Fill a window from all levels of its side and return its floor."""
    if len(levels) <= _WINDOW_LEVELS:
        window[:] = sorted(levels)
        return _NO_FLOOR
    best = nlargest(_WINDOW_LEVELS, levels)
    best.reverse()
    window[:] = best
    return window[0]


def _build(options: Any, context: BuildContext) -> SortedBook:  # noqa: ARG001 - the build signature; this book has neither
    return SortedBook()


SORTED = BookSpec(
    name="sorted",
    summary="Dict of all levels plus a sorted window of the best 128; exact at any depth.",
    description="""\
Holds every level that the feed sends, in integer ticks and lots, and answers best, depth to n levels, size at a price and
size through a price exactly, however deep.

Cost: a change O(1) on a known level, a short insert otherwise; touch O(1); n levels O(n) within the best 128. Reading
deeper sorts the side (about 0.1 ms at 1,000 levels), so a strategy that reads deep should do so once a decision.

Fails: never; a removal of an absent level is ignored, as venues send them. Whether the book is in sync is the feed's
business, not the book's.

Example: bids 99.99 x 2 and 99.98 x 1, ask 100.01 x 3 on a tick of 0.01 gives touch (9999, 2, 10001, 3) and
`lots_through(BUY, 9998)` = 3.""",
    build=_build,
)

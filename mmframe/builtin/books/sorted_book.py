"""The book `sorted`: every level in a dict, the best ones also in a sorted list.

Per side a dict from price to size holds all levels, and a list in rising order, the *window*, holds the prices of the
best ones. Almost every change of a real market hits the window, where an insert moves little memory; what lies deeper
costs one dict write and is sorted only when somebody reads that deep.

The invariant, on each side: the window holds exactly the levels at the *edge* or better.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
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

_LOWEST = -(2**63)
_HIGHEST = 2**63
"""Beyond every price: an edge there means that the window holds the whole side."""

_new_tuple = tuple.__new__


class SortedBook:
    """The levels of one market, exact in ticks and lots; see `mmframe.ports.Book`.

    A change costs O(1) on a known level, O(window) in memory moved elsewhere; a read of the touch O(1), of n levels
    within the window O(n). Reads beyond it go through all levels of the side: exact, and slow only for whoever reads
    that deep.
    """

    __slots__ = ("_ask_edge", "_ask_window", "_asks", "_bid_edge", "_bid_window", "_bids", "_touch", "_version")

    def __init__(self) -> None:
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._bid_window: list[int] = []
        self._ask_window: list[int] = []
        self._bid_edge = _LOWEST
        self._ask_edge = _HIGHEST
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
        self._bid_edge = _LOWEST
        self._ask_edge = _HIGHEST
        self._touch = None

    def apply(self, sides: array[int], ticks: array[int], lots: array[int], start: int, end: int) -> None:  # noqa: C901, PLR0912 - written out, see below
        """Set the absolute sizes of changes `start:end`; 0 lots removes a level, an absent one silently."""
        self._version += 1
        self._touch = None
        if end - start > _BULK_CHANGES:
            self._apply_in_bulk(sides, ticks, lots, start, end)
            return
        bids, bid_window, bid_edge = self._bids, self._bid_window, self._bid_edge
        asks, ask_window, ask_edge = self._asks, self._ask_window, self._ask_edge
        # This loop is most of a replay. Both sides are written out and nothing is called that need not be: choosing the
        # side's containers first, or a method for each change, would cost more than the change itself.
        for side, price, size in zip(sides[start:end], ticks[start:end], lots[start:end]):  # noqa: B905 - equal slices
            if side:
                if size:
                    if price not in asks and price <= ask_edge:
                        insort(ask_window, price)
                    asks[price] = size
                elif price in asks:
                    del asks[price]
                    if price <= ask_edge:
                        del ask_window[bisect_left(ask_window, price)]
            elif size:
                if price not in bids and price >= bid_edge:
                    insort(bid_window, price)
                bids[price] = size
            elif price in bids:
                del bids[price]
                if price >= bid_edge:
                    del bid_window[bisect_left(bid_window, price)]
        if not _WINDOW_LEVELS_MIN <= len(bid_window) <= _WINDOW_LEVELS_MAX:
            self._resize_bids()
        if not _WINDOW_LEVELS_MIN <= len(ask_window) <= _WINDOW_LEVELS_MAX:
            self._resize_asks()

    def touch(self) -> Touch:
        """Return the best level of each side; an empty side is 0 ticks, 0 lots."""
        touch = self._touch
        if touch is None:
            bid_window, ask_window = self._bid_window, self._ask_window
            if bid_window and ask_window:
                bid, ask = bid_window[-1], ask_window[0]
                # Skips the generated constructor of the NamedTuple, which takes twice as long.
                touch = _new_tuple(Touch, (bid, self._bids[bid], ask, self._asks[ask]))
            elif bid_window:
                touch = Touch(bid_window[-1], self._bids[bid_window[-1]], 0, 0)
            elif ask_window:
                touch = Touch(0, 0, ask_window[0], self._asks[ask_window[0]])
            else:
                touch = Touch(0, 0, 0, 0)
            self._touch = touch
        return touch

    def levels(self, side: Side, count: int) -> list[tuple[int, int]]:
        """Return at most `count` `(ticks, lots)` from best to worst."""
        if count <= 0:
            return []
        if side:
            levels = self._asks
            prices = self._ask_window[:count]
            if len(prices) < count and self._ask_edge != _HIGHEST:
                prices = sorted(levels)[:count]
        else:
            levels = self._bids
            prices = self._bid_window[: -count - 1 : -1]
            if len(prices) < count and self._bid_edge != _LOWEST:
                prices = sorted(levels, reverse=True)[:count]
        return [(price, levels[price]) for price in prices]

    def level_count(self, side: Side) -> int:
        """Return how many levels `side` has."""
        return len(self._asks if side else self._bids)

    def lots_at(self, side: Side, ticks: int) -> int:
        """Return the size at one price; 0 when there is no level."""
        return (self._asks if side else self._bids).get(ticks, 0)

    def lots_through(self, side: Side, limit_ticks: int) -> int:
        """Return the summed size of all levels of `side` at `limit_ticks` or better."""
        if side:
            levels, window = self._asks, self._ask_window
            if limit_ticks > self._ask_edge:
                return sum([size for price, size in levels.items() if price <= limit_ticks])
            return sum([levels[price] for price in window[: bisect_right(window, limit_ticks)]])
        levels, window = self._bids, self._bid_window
        if limit_ticks < self._bid_edge:
            return sum([size for price, size in levels.items() if price >= limit_ticks])
        return sum([levels[price] for price in window[bisect_left(window, limit_ticks) :]])

    def _apply_in_bulk(self, sides: array[int], ticks: array[int], lots: array[int], start: int, end: int) -> None:
        bids, asks = self._bids, self._asks
        for side, price, size in zip(sides[start:end], ticks[start:end], lots[start:end]):  # noqa: B905 - equal slices
            levels = asks if side else bids
            if size:
                levels[price] = size
            else:
                levels.pop(price, None)
        self._refill_bids()
        self._refill_asks()

    def _resize_bids(self) -> None:
        """Bring a window of the wrong length to the right one; one that holds its whole side may be short."""
        if len(self._bid_window) > _WINDOW_LEVELS_MAX:
            del self._bid_window[:-_WINDOW_LEVELS]
            self._bid_edge = self._bid_window[0]
        elif self._bid_edge != _LOWEST:
            self._refill_bids()

    def _resize_asks(self) -> None:
        if len(self._ask_window) > _WINDOW_LEVELS_MAX:
            del self._ask_window[_WINDOW_LEVELS:]
            self._ask_edge = self._ask_window[-1]
        elif self._ask_edge != _HIGHEST:
            self._refill_asks()

    def _refill_bids(self) -> None:
        self._bid_window = sorted(self._bids)[-_WINDOW_LEVELS:]
        self._bid_edge = self._bid_window[0] if len(self._bids) > _WINDOW_LEVELS else _LOWEST

    def _refill_asks(self) -> None:
        self._ask_window = sorted(self._asks)[:_WINDOW_LEVELS]
        self._ask_edge = self._ask_window[-1] if len(self._asks) > _WINDOW_LEVELS else _HIGHEST


def _build(options: Any, context: BuildContext) -> SortedBook:  # noqa: ARG001 - the build signature; this book has neither
    return SortedBook()


SORTED = BookSpec(
    name="sorted",
    summary="Dict of all levels plus a sorted window of the best 128; exact at any depth.",
    description="""\
Holds every level that the feed sends, in integer ticks and lots, and answers best, depth to n levels, size at a price
and size through a price exactly, however deep.

Cost: a change O(1) on a known level, a short insert otherwise; touch O(1); n levels O(n) within the best 128. Reading
deeper sorts the side (about 0.1 ms at 1,000 levels); a strategy that needs that should read it once a decision.

Fails: never; a removal of an absent level is ignored, as venues send them. Whether the book is in sync is the feed's
business, not the book's.

Example: bids 99.99 x 2 and 99.98 x 1, ask 100.01 x 3 on a tick of 0.01 gives touch (9999, 2, 10001, 3) and
`lots_through(BUY, 9998)` = 3.""",
    build=_build,
)

"""One market of the fill simulation: our resting orders against the recorded book and tape.

Knows nothing of requests, latency or fees: it is told what arrives and says what fills.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmframe.builtin.simulated.queue import QueueLevel, RestingOrder
from mmframe.domain.market import NEVER_NS, MarketBatch, MessageKind, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.builtin.simulated.queue import AheadShare
    from mmframe.ports import Book

__all__ = ["Execution", "SimulatedMarket"]

# Plain integers: comparing with an enum member costs more than the rest of the quick path.
_DELTA = int(MessageKind.DELTA)
_SNAPSHOT = int(MessageKind.SNAPSHOT)
_TRADE = int(MessageKind.TRADE)
_GAP = int(MessageKind.GAP)
_BUY = int(Side.BUY)
_SELL = int(Side.SELL)

_NO_BID_TICKS = -1
_NO_ASK_TICKS = NEVER_NS
_FIRST_LEVELS = 8
"""Levels read first when liquidity is taken; doubled until enough."""


class Execution(NamedTuple):
    """Lots of one of our orders that traded at one price; booked on the order already."""

    order: RestingOrder
    price_ticks: int
    lots: int
    is_maker: bool
    filled_lots: int
    """Of the order, this execution included."""


class SimulatedMarket:
    """Our orders in one market and the recorded market around them.

    Attributes:
        is_synced: The recording is whole; nothing fills while it is not.
    """

    __slots__ = (
        "_asks",
        "_best_ask_ticks",
        "_best_bid_ticks",
        "_bids",
        "_book",
        "_depth_exchange_ns",
        "_fill_on_cross",
        "_share",
        "_taken",
        "_watched_ticks",
        "_worst_known_ticks",
        "is_synced",
    )

    def __init__(self, share: AheadShare | None, *, fill_on_cross: bool) -> None:
        self._share = share
        self._fill_on_cross = fill_on_cross
        self.is_synced = False
        self._book: Book | None = None
        self._bids: list[QueueLevel] = []
        """Best first, as `_asks`."""
        self._asks: list[QueueLevel] = []
        self._best_bid_ticks = _NO_BID_TICKS
        """Ours, not the market's; as `_best_ask_ticks`."""
        self._best_ask_ticks = _NO_ASK_TICKS
        self._taken: dict[tuple[int, int], int] = {}
        """Displayed lots that we have taken already, by side and price of the level."""
        self._watched_ticks: set[int] = set()
        self._depth_exchange_ns = 0
        self._worst_known_ticks: list[int | None] = [None, None]
        """Per side, the price up to which levels are shown; None when not looked up since the last snapshot."""

    def observe(  # noqa: PLR0911 - one way out a kind: nearly every message leaves at the first
        self, batch: MarketBatch, index: int, book: Book
    ) -> list[Execution] | None:
        """Take message `index` of `batch`, which `book` has applied; return what fills, None or empty for nothing.

        Orders that are filled leave their queue.
        """
        kind = batch.kinds[index]
        if kind == _DELTA:
            self._depth_exchange_ns = batch.exchange_ns[index]
            watched = self._watched_ticks
            if not watched or not self.is_synced:
                return None
            if not watched.isdisjoint(batch.ticks[batch.offsets[index] : batch.offsets[index + 1]]):
                self._resize_changed(book)
            bid_ticks, _, ask_ticks, ask_lots = book.touch()
            if bid_ticks >= self._best_ask_ticks or (ask_ticks <= self._best_bid_ticks and ask_lots):
                return self._cross(book)
            return None
        if kind == _TRADE:
            if self.is_synced and (self._bids or self._asks):
                return self._trades(batch, index)
            return None
        if kind == _SNAPSHOT:
            return self._snapshot(batch.exchange_ns[index], book)
        if kind == _GAP:
            self._lose_sync()
        return None

    def orders(self) -> Iterator[RestingOrder]:
        """Iterate over our resting orders, bids first, best first, in queue order."""
        for level in (*self._bids, *self._asks):
            yield from level.orders

    def crosses(self, side: Side, price_ticks: int) -> bool:
        """Tell whether an order at `price_ticks` would trade at once with what the book shows."""
        if not self.is_synced or self._book is None:
            return False
        bid_ticks, bid_lots, ask_ticks, ask_lots = self._book.touch()
        if side == _BUY:
            return ask_lots > 0 and price_ticks >= ask_ticks
        return bid_lots > 0 and price_ticks <= bid_ticks

    def crosses_own(self, side: Side, price_ticks: int) -> bool:
        """Tell whether an order at `price_ticks` would trade with a resting order of ours."""
        if side == _BUY:
            return price_ticks >= self._best_ask_ticks
        return price_ticks <= self._best_bid_ticks

    def takeable_lots(self, side: Side, price_ticks: int) -> int:
        """Return how many displayed lots an order could take at once, without those that we have taken before."""
        if not self.crosses(side, price_ticks) or self._book is None:
            return 0
        other = _SELL if side == _BUY else _BUY
        shown = self._book.lots_through(Side(other), price_ticks)
        beyond = (
            lots
            for (level_side, ticks), lots in self._taken.items()
            if level_side == other and (ticks <= price_ticks if side == _BUY else ticks >= price_ticks)
        )
        return shown - sum(beyond)

    def take(self, order: RestingOrder) -> list[Execution]:
        """Let `order` take what it can at once; every level trades at its own price."""
        if not self.crosses(order.side, order.price_ticks) or self._book is None:
            return []
        parts = self._take(self._book, order)
        self._refresh()
        return [_execute(order, ticks, lots, is_maker=False) for ticks, lots in parts]

    def rest(self, order: RestingOrder) -> None:
        """Put `order` at the back of the queue at its price."""
        levels = self._bids if order.side == _BUY else self._asks
        level = next((level for level in levels if level.ticks == order.price_ticks), None)
        shown = 0 if self._book is None else self._book.lots_at(order.side, order.price_ticks)
        if level is None:
            level = QueueLevel(order.side, order.price_ticks, shown)
            levels.append(level)
            levels.sort(key=lambda each: each.ticks, reverse=order.side == _BUY)
        is_known = self.is_synced and (shown > 0 or self._is_known_empty(order.side, order.price_ticks))
        level.join(order, self._depth_exchange_ns, is_known=is_known)
        self._refresh()

    def remove(self, order: RestingOrder) -> None:
        """Take `order` out of its queue."""
        levels = self._bids if order.side == _BUY else self._asks
        for level in levels:
            if level.ticks == order.price_ticks and order in level.orders:
                level.orders.remove(order)
        self._drop_empty_levels()

    def _trades(self, batch: MarketBatch, index: int) -> list[Execution]:
        executions: list[Execution] = []
        exchange_ns = batch.exchange_ns[index]
        for change in range(batch.offsets[index], batch.offsets[index + 1]):
            side, ticks = batch.sides[change], batch.ticks[change]
            # A taker who sold met bids. Where the taker is not told, the price alone says whom the trade can have met.
            if ticks <= self._best_bid_ticks and side != _BUY:
                executions += self._trade(self._bids, ticks, batch.lots[change], exchange_ns)
            elif ticks >= self._best_ask_ticks and side != _SELL:
                executions += self._trade(self._asks, ticks, batch.lots[change], exchange_ns)
        return self._settle(executions)

    def _trade(self, levels: list[QueueLevel], ticks: int, lots: int, exchange_ns: int) -> list[Execution]:
        executions: list[Execution] = []
        left = lots
        for level in levels:
            if level.ticks == ticks:
                fills = level.trade(left, exchange_ns, recorded_lots=lots)
                executions += [_execute(order, ticks, size, is_maker=True) for order, size in fills]
                break
            if (level.ticks < ticks) if level.side == _BUY else (level.ticks > ticks):
                break
            for order in level.trade_through(exchange_ns):
                size = min(left, order.leaves_lots)
                if size:
                    executions.append(_execute(order, level.ticks, size, is_maker=True))
                    left -= size
        return executions

    def _snapshot(self, exchange_ns: int, book: Book) -> list[Execution]:
        self._book = book
        self.is_synced = True
        self._depth_exchange_ns = exchange_ns
        self._worst_known_ticks = [None, None]
        if not self._watched_ticks:
            return []
        for level in (*self._bids, *self._asks):
            lots = book.lots_at(level.side, level.ticks)
            if lots or self._is_known_empty(level.side, level.ticks):
                level.resize(lots, exchange_ns, self._share)
        self._clip_taken(book)
        return self._cross(book)

    def _lose_sync(self) -> None:
        self.is_synced = False
        for level in (*self._bids, *self._asks):
            level.lose_queue()

    def _resize_changed(self, book: Book) -> None:
        for level in (*self._bids, *self._asks):
            lots = book.lots_at(level.side, level.ticks)
            if lots != level.size_lots:
                level.resize(lots, self._depth_exchange_ns, self._share)
        if self._taken:
            self._clip_taken(book)

    def _clip_taken(self, book: Book) -> None:
        # Only lots that joined since we took can be new: what shrinks is what we took until none of it is left.
        shown = ((key, book.lots_at(Side(key[0]), key[1]), lots) for key, lots in self._taken.items())
        self._taken = {key: min(now, lots) for key, now, lots in shown if now}
        self._refresh()

    def _cross(self, book: Book) -> list[Execution]:
        """Fill orders that the opposite side has reached, each at its own price, with what that side shows."""
        if not self._fill_on_cross:
            return []
        executions: list[Execution] = []
        for level in (*self._bids, *self._asks):
            if not self.crosses(level.side, level.ticks):
                continue
            for order in level.orders:
                lots = sum(lots for _, lots in self._take(book, order))
                if lots:
                    executions.append(_execute(order, level.ticks, lots, is_maker=True))
        return self._settle(executions)

    def _settle(self, executions: list[Execution]) -> list[Execution]:
        """Take filled orders out of their queues."""
        if executions:
            for level in (*self._bids, *self._asks):
                level.orders = [order for order in level.orders if order.leaves_lots]
            self._drop_empty_levels()
        return executions

    def _take(self, book: Book, order: RestingOrder) -> list[tuple[int, int]]:
        """Mark the displayed lots that `order` reaches and still wants as taken; return them by price."""
        wanted_lots = order.leaves_lots
        other = Side.SELL if order.side == _BUY else Side.BUY
        limit = order.price_ticks
        parts: list[tuple[int, int]] = []
        count, seen = _FIRST_LEVELS, 0
        while wanted_lots:
            levels = book.levels(other, count)
            for ticks, lots in levels[seen:]:
                if ticks > limit if order.side == _BUY else ticks < limit:
                    return parts
                before = self._taken.get((other, ticks), 0)
                size = min(wanted_lots, lots - before)
                if size > 0:
                    self._taken[other, ticks] = before + size
                    parts.append((ticks, size))
                    wanted_lots -= size
                if not wanted_lots:
                    return parts
            if len(levels) < count:
                break
            seen, count = count, count * 2
        return parts

    def _is_known_empty(self, side: Side, ticks: int) -> bool:
        """Tell whether an absent level at `ticks` is really empty, not merely worse than the recording's depth."""
        if self._book is None:
            return False
        worst = self._worst_known_ticks[side]
        if worst is None or (ticks < worst if side == _BUY else ticks > worst):
            # Walking the whole side is dear: done once a snapshot, and again only for prices beyond what that found.
            levels = self._book.levels(side, self._book.level_count(side))
            # A side without levels hides none: there is no depth to be beyond.
            worst = levels[-1][0] if levels else (0 if side == _BUY else NEVER_NS)
            self._worst_known_ticks[side] = worst
        return ticks >= worst if side == _BUY else ticks <= worst

    def _drop_empty_levels(self) -> None:
        self._bids = [level for level in self._bids if level.orders]
        self._asks = [level for level in self._asks if level.orders]
        self._refresh()

    def _refresh(self) -> None:
        """Bring what the quick path compares with in line with orders and taken lots."""
        self._best_bid_ticks = self._bids[0].ticks if self._bids else _NO_BID_TICKS
        self._best_ask_ticks = self._asks[0].ticks if self._asks else _NO_ASK_TICKS
        self._watched_ticks = {level.ticks for level in (*self._bids, *self._asks)}
        self._watched_ticks.update(ticks for _, ticks in self._taken)


def _execute(order: RestingOrder, price_ticks: int, lots: int, *, is_maker: bool) -> Execution:
    order.filled_lots += lots
    return Execution(order, price_ticks, lots, is_maker, order.filled_lots)

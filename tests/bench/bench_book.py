"""The book `sorted` against other ways of keeping a book, all from Python on the same integer columns.

Two streams of about 1,000 levels a side and 1 to 40 changes a message, shaped after captures of BTCUSDT on Binance:

- `spot`: 40 % of the changes bring a new price, 40 % remove one, 12 % change a size, 8 % remove what is not there;
- `perpetual`: 87 % change a size, 7 % bring a new price, 5 % remove one, 1 % remove what is not there.

In both, as there, half of the changes lie within the best 100 levels and a tenth within the best 10. After
each message best bid and ask, mid, spread and the best ten levels of each side are read.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable

_MESSAGES = 5_000
_LEVELS = 1_000
_CHANGES_MAX = 40
_GAP_TICKS = 10
_CENTRE_TICKS = 1_000_000
_MAX_LOTS = 100_000
_DEPTH = 10

_Change = tuple[int, int, int]


class Mix(NamedTuple):
    """Shares of the kinds of change; the rest changes a size."""

    insert: float
    remove: float
    remove_absent: float


SPOT = Mix(insert=0.40, remove=0.40, remove_absent=0.08)
PERPETUAL = Mix(insert=0.07, remove=0.05, remove_absent=0.01)


@lru_cache(maxsize=4)
def stream(mix: Mix, messages: int) -> MarketBatch:
    """Return a snapshot and `messages` deltas; the book is never crossed and keeps about its number of levels."""
    source = random.Random(20240808)
    batch = MarketBatch(0)
    bids = [_CENTRE_TICKS - _GAP_TICKS * step for step in range(_LEVELS, 0, -1)]
    asks = [_CENTRE_TICKS + _GAP_TICKS * step for step in range(1, _LEVELS + 1)]
    snapshot = [(0, ticks, 1) for ticks in bids] + [(1, ticks, 1) for ticks in asks]
    batch.add(MessageKind.SNAPSHOT, exchange_ns=0, receive_ns=0, changes=snapshot)
    for index in range(1, messages + 1):
        changes = [_change(source, mix, bids, asks) for _ in range(source.randint(1, _CHANGES_MAX))]
        changes.sort(key=_side)  # bids first, as venues send them
        batch.add(MessageKind.DELTA, exchange_ns=index, receive_ns=index, changes=changes)
    return batch


def _change(source: random.Random, mix: Mix, bids: list[int], asks: list[int]) -> _Change:
    side = source.getrandbits(1)
    prices = asks if side else bids
    rank = min(int(source.lognormvariate(4.6, 1.8)), len(prices) - 1)
    ticks = prices[rank] if side else prices[-1 - rank]
    lots = source.randint(1, _MAX_LOTS)
    dice = source.random()
    if dice < mix.insert + mix.remove_absent:
        better = _next_better(side, rank, bids, asks)
        low, high = min(ticks, better) + 1, max(ticks, better)
        if low < high:
            fresh = source.randrange(low, high)
            if dice >= mix.insert:
                return side, fresh, 0
            prices.insert(bisect_left(prices, fresh), fresh)
            return side, fresh, lots
    elif dice < mix.insert + mix.remove_absent + mix.remove and len(prices) > _LEVELS // 2:
        del prices[rank if side else -1 - rank]
        return side, ticks, 0
    return side, ticks, lots


def _next_better(side: int, rank: int, bids: list[int], asks: list[int]) -> int:
    if rank == 0:
        return bids[-1] if side else asks[0]
    return asks[rank - 1] if side else bids[-rank]


def sorted_book(mix: Mix, scale: float) -> Callable[[], int]:
    """Return the replay through the built-in book."""
    batch = _scaled(mix, scale)

    def work() -> int:
        book = SortedBook()
        apply, touch, levels = book.apply, book.touch, book.levels
        sides, ticks, lots, offsets = batch.sides, batch.ticks, batch.lots, batch.offsets
        for index in range(len(batch)):
            apply(sides, ticks, lots, offsets[index], offsets[index + 1])
            bid, _, ask, _ = touch()
            _read(bid, ask, levels(Side.BUY, _DEPTH), levels(Side.SELL, _DEPTH))
        return len(batch)

    return work


def sorted_dict(mix: Mix, scale: float) -> Callable[[], int]:
    """Return the replay through two `sortedcontainers.SortedDict`, best bid first by negated keys."""
    from sortedcontainers import SortedDict

    batch = _scaled(mix, scale)

    def work() -> int:
        bids: Any = SortedDict()
        asks: Any = SortedDict()
        sides, ticks, lots, offsets = batch.sides, batch.ticks, batch.lots, batch.offsets
        for index in range(len(batch)):
            start, end = offsets[index], offsets[index + 1]
            for side, price, size in zip(sides[start:end], ticks[start:end], lots[start:end], strict=True):
                levels, key = (asks, price) if side else (bids, -price)
                if size:
                    levels[key] = size
                elif key in levels:
                    del levels[key]
            top_bids = [(-key, bids[key]) for key in islice(bids, _DEPTH)]
            top_asks = [(key, asks[key]) for key in islice(asks, _DEPTH)]
            _read(top_bids[0][0], top_asks[0][0], top_bids, top_asks)
        return len(batch)

    return work


def order_book_extension(mix: Mix, scale: float) -> Callable[[], int]:
    """Return the replay through the C extension `order-book`, unbounded, read as its documentation shows."""
    from order_book import OrderBook

    batch = _scaled(mix, scale)

    def work() -> int:
        book: Any = OrderBook()
        bids, asks = book.bids, book.asks
        sides, ticks, lots, offsets = batch.sides, batch.ticks, batch.lots, batch.offsets
        for index in range(len(batch)):
            start, end = offsets[index], offsets[index + 1]
            for side, price, size in zip(sides[start:end], ticks[start:end], lots[start:end], strict=True):
                levels = asks if side else bids
                if size:
                    levels[price] = size
                elif price in levels:
                    del levels[price]
            top_bids = [bids.index(place) for place in range(_DEPTH)]
            top_asks = [asks.index(place) for place in range(_DEPTH)]
            _read(top_bids[0][0], top_asks[0][0], top_bids, top_asks)
        return len(batch)

    return work


def scanned_dict(mix: Mix, scale: float) -> Callable[[], int]:
    """Return the replay through two dicts, searched with `max` and `min`, sorted for depth."""
    batch = _scaled(mix, scale)

    def work() -> int:
        bids: dict[int, int] = {}
        asks: dict[int, int] = {}
        sides, ticks, lots, offsets = batch.sides, batch.ticks, batch.lots, batch.offsets
        for index in range(len(batch)):
            start, end = offsets[index], offsets[index + 1]
            for side, price, size in zip(sides[start:end], ticks[start:end], lots[start:end], strict=True):
                levels = asks if side else bids
                if size:
                    levels[price] = size
                else:
                    levels.pop(price, None)
            bid, ask = max(bids), min(asks)
            top_bids = sorted(bids.items(), reverse=True)[:_DEPTH]
            _read(bid, ask, top_bids, sorted(asks.items())[:_DEPTH])
        return len(batch)

    return work


def _scaled(mix: Mix, scale: float) -> MarketBatch:
    return stream(mix, max(1, int(_MESSAGES * scale)))


def _side(change: _Change) -> int:
    return change[0]


def _read(bid: int, ask: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> tuple[float, int, int, int]:
    return (bid + ask) / 2.0, ask - bid, bids[-1][1], asks[-1][1]


def _benchmark(name: str, mix: Mix, *, times_sorted_dict: float) -> Benchmark:
    return Benchmark(
        name=name,
        unit="message",
        subject=Contender("sorted", partial(sorted_book, mix)),
        references=(
            Contender(
                "sortedcontainers.SortedDict",
                partial(sorted_dict, mix),
                needs="sortedcontainers",
                target_ratio=times_sorted_dict,
            ),
            Contender("order-book (C)", partial(order_book_extension, mix), needs="order_book", target_ratio=1.0),
            Contender("dict with max, min and sorted", partial(scanned_dict, mix), target_ratio=20.0),
        ),
    )


BENCHMARKS = (
    _benchmark("book-spot", SPOT, times_sorted_dict=2.5),
    # Where nearly every change only sets a size, all that is left to win on is the call that a SortedDict makes for it.
    _benchmark("book-perpetual", PERPETUAL, times_sorted_dict=2.0),
)

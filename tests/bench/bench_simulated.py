"""What the simulated venue costs a replay: `observe` for each message, with and without orders it could concern."""

from __future__ import annotations

import random
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.simulated import VENUES
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.domain.orders import Submit
from mmframe.testing import approve, build_component
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BENCHMARKS"]

_MESSAGES = 50_000
_CHANGES = 4
_CENTRE_TICKS = 100_000


@lru_cache(maxsize=2)
def stream(messages: int) -> MarketBatch:
    """Return deltas of four changes each, none of them within ten ticks of the centre."""
    source = random.Random(11)
    batch = MarketBatch(0)
    whole = [
        (int(side), _CENTRE_TICKS + (1 if side else -1) * (10 + step), 50) for side in (0, 1) for step in range(500)
    ]
    batch.add(MessageKind.SNAPSHOT, exchange_ns=1, receive_ns=1, changes=whole)
    for index in range(messages):
        sides = [source.getrandbits(1) for _ in range(_CHANGES)]
        changes = [(side, _CENTRE_TICKS + (1 if side else -1) * source.randint(30, 500), 40) for side in sides]
        batch.add(MessageKind.DELTA, exchange_ns=index + 2, receive_ns=index + 2, changes=changes)
    return batch


def observing(orders: int, scale: float) -> Callable[[], int]:
    """Return the observing of messages that concern none of `orders` resting orders a side."""
    batch = stream(int(_MESSAGES * scale))
    book = SortedBook()
    venue = build_component(VENUES[0], VENUES[0].options(feed_latency_ms=0.0, order_latency_ms=0.0))
    book.apply(batch.sides, batch.ticks, batch.lots, 0, batch.offsets[1])
    venue.observe(batch, 0, book)
    for number in range(orders):
        for side, sign in ((Side.BUY, -1), (Side.SELL, 1)):
            ticks = _CENTRE_TICKS + sign * (10 + number)
            venue.execute(approve(Submit(0, f"{side.name}-{number}", side, ticks, 1)), 1)
    assert len(venue.poll(1)) == 2 * orders
    count = len(batch)

    def work() -> int:
        observe = venue.observe
        for index in range(1, count):
            observe(batch, index, book)
        return count - 1

    return work


def nothing(scale: float) -> Callable[[], int]:
    """Return the same loop around a method that does nothing."""
    batch = stream(int(_MESSAGES * scale))
    book = SortedBook()
    count = len(batch)

    class Idle:
        def observe(self, batch: MarketBatch, index: int, book: SortedBook) -> None:
            """Take a message and leave it."""

    idle = Idle()

    def work() -> int:
        observe = idle.observe
        for index in range(1, count):
            observe(batch, index, book)
        return count - 1

    return work


BENCHMARKS = (
    Benchmark(
        name="simulated venue, observe",
        unit="message",
        subject=Contender("one order a side", partial(observing, 1)),
        references=(
            Contender("no order", partial(observing, 0)),
            Contender("ten orders a side", partial(observing, 10)),
            Contender("an empty method", nothing),
        ),
    ),
)

"""The matching engine on two streams of operations, beside a bare one of `SortedDict` and deques.

The bare one says what the duties cost: it keeps no level sizes (its book could be published only after a walk), no
versions, owners, bounds, outcomes or self-trade prevention, and an amend can only shrink.

- `matching-simple`: limit orders alone, spread evenly around one price, so that about every second one trades;
- `matching-mix`: what an order-driven market looks like: 47 % new orders behind the touch, 42 % cancels, 6 % amends and
  5 % orders that take.

The percentiles are of single operations, the cost of reading the clock twice included.
"""

from __future__ import annotations

import random
from collections import deque
from functools import lru_cache, partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from mmframe.builtin.exchange.matching import MatchingEngine
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPERATIONS = 100_000
_CENTRE_TICKS = 10_000
_RESTING = 2_000
"""Orders that the mix keeps in the book, about."""
_LIMIT, _CANCEL, _AMEND = range(3)

_Operation = tuple[int, int, int, int]
"""`(LIMIT, side, ticks, lots)`, `(CANCEL, order id, 0, 0)` or `(AMEND, order id, ticks, leaves)`; ids start at one."""


@lru_cache(maxsize=4)
def simple(count: int) -> tuple[_Operation, ...]:
    """Return limit orders within 30 ticks of one price."""
    source = random.Random(1)
    return tuple(
        (_LIMIT, source.getrandbits(1), _CENTRE_TICKS + source.randint(-30, 30), source.randint(1, 20))
        for _ in range(count)
    )


@lru_cache(maxsize=4)
def mix(count: int) -> tuple[_Operation, ...]:
    """Return a market in its stride; cancels and amends are of orders that rest when they come."""
    source = random.Random(2)
    engine = MatchingEngine()
    live: list[int] = []
    operations: list[_Operation] = []
    while len(operations) < count:
        operation = _draw(source, engine, live)
        if operation is not None:
            operations.append(operation)
            _apply(engine, operation)
            if operation[0] == _LIMIT:
                live.append(engine._last_order_id)
    return tuple(operations)


def _draw(source: random.Random, engine: MatchingEngine, live: list[int]) -> _Operation | None:
    dice = source.random()
    if dice < 0.05:
        side = source.getrandbits(1)
        best = engine.best(1 - side) or _CENTRE_TICKS
        return _LIMIT, side, best - 3 if side else best + 3, source.randint(1, 40)
    if len(live) < _RESTING or dice < 0.52:
        side = source.getrandbits(1)
        away = int(source.expovariate(0.1))
        opposite = engine.best(1 - side) or _CENTRE_TICKS
        return _LIMIT, side, opposite + 1 + away if side else opposite - 1 - away, source.randint(1, 40)
    place = source.randrange(len(live))
    order = engine.order(live[place])
    if order is None or dice >= 0.58:
        live[place] = live[-1]
        live.pop()
        return None if order is None else (_CANCEL, order.order_id, 0, 0)
    return _AMEND, order.order_id, order.price_ticks, max(1, order.leaves_lots - 1)


def _apply(engine: MatchingEngine, operation: _Operation) -> None:
    kind, first, ticks, lots = operation
    if kind == _LIMIT:
        engine.limit("", first, ticks, lots)
    elif kind == _CANCEL:
        engine.cancel(first)
    else:
        engine.amend(first, price_ticks=ticks, leaves_lots=lots)


def matching_engine(script: Callable[[int], tuple[_Operation, ...]], scale: float) -> Callable[[], int]:
    """Return the work of the built-in engine."""
    operations = script(_count(scale))

    def work() -> int:
        engine = MatchingEngine()
        limit, cancel, amend = engine.limit, engine.cancel, engine.amend
        for kind, first, ticks, lots in operations:
            if kind == _LIMIT:
                limit("", first, ticks, lots)
            elif kind == _CANCEL:
                cancel(first)
            else:
                amend(first, price_ticks=ticks, leaves_lots=lots)
        return len(operations)

    return work


class BareEngine:
    """A SortedDict of deques a side, orders as small lists, cancelled ones skipped when met."""

    def __init__(self) -> None:
        from sortedcontainers import SortedDict

        self.sides: tuple[Any, Any] = (SortedDict(), SortedDict())
        self.orders: dict[int, list[int]] = {}
        self.last_id = 0
        self.trades: list[tuple[int, int, int, int]] = []

    def limit(self, side: int, ticks: int, lots: int) -> None:
        self.last_id += 1
        self.trades = []
        opposite = self.sides[1 - side]
        while lots and opposite:
            best, queue = opposite.peekitem(0 if side == 0 else -1)
            if (best > ticks) if side == 0 else (best < ticks):
                break
            while queue and lots:
                maker = queue[0]
                if maker[3]:
                    traded = min(lots, maker[3])
                    maker[3] -= traded
                    lots -= traded
                    self.trades.append((maker[0], self.last_id, best, traded))
                if not maker[3]:
                    queue.popleft()
                    self.orders.pop(maker[0], None)
            if not queue:
                del opposite[best]
        if lots:
            self.rest([self.last_id, side, ticks, lots])

    def rest(self, order: list[int]) -> None:
        self.orders[order[0]] = order
        levels = self.sides[order[1]]
        queue = levels.get(order[2])
        if queue is None:
            queue = levels[order[2]] = deque()
        queue.append(order)

    def cancel(self, order_id: int) -> None:
        order = self.orders.pop(order_id, None)
        if order is not None:
            order[3] = 0
            queue = self.sides[order[1]][order[2]]
            if len(queue) == 1:
                del self.sides[order[1]][order[2]]

    def amend(self, order_id: int, ticks: int, lots: int) -> None:
        order = self.orders.get(order_id)
        if order is not None and order[2] == ticks and lots <= order[3]:
            order[3] = lots


def bare_engine(script: Callable[[int], tuple[_Operation, ...]], scale: float) -> Callable[[], int]:
    """Return the same work by the bare engine."""
    operations = script(_count(scale))

    def work() -> int:
        engine = BareEngine()
        for kind, first, ticks, lots in operations:
            if kind == _LIMIT:
                engine.limit(first, ticks, lots)
            elif kind == _CANCEL:
                engine.cancel(first)
            else:
                engine.amend(first, ticks, lots)
        return len(operations)

    return work


def percentiles(script: Callable[[int], tuple[_Operation, ...]], scale: float) -> Mapping[str, float]:
    """Return what single operations cost."""
    operations = script(_count(scale))
    engine = MatchingEngine()
    costs = []
    for operation in operations:
        start_ns = perf_counter_ns()
        _apply(engine, operation)
        costs.append(perf_counter_ns() - start_ns)
    costs.sort()
    return {f"p{share}_us": costs[len(costs) * share // 100] / 1e3 for share in (50, 95, 99)}


def _count(scale: float) -> int:
    return max(1, int(_OPERATIONS * scale))


def _benchmark(name: str, script: Callable[[int], tuple[_Operation, ...]]) -> Benchmark:
    return Benchmark(
        name=name,
        unit="order",
        subject=Contender("matching engine", partial(matching_engine, script)),
        references=(Contender("bare SortedDict of deques", partial(bare_engine, script), needs="sortedcontainers"),),
        figures=partial(percentiles, script),
    )


BENCHMARKS = (_benchmark("matching-simple", simple), _benchmark("matching-mix", mix))

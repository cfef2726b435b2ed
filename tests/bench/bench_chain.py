"""What stages cost: a strategy with 8 signals, 4 optimizers and 8 risk controls next to one with a single one of each.

`chain-replay`: both quote through a minute of the embedded exchange, recorded here and replayed, so that both make the
same number of decisions on the same messages; everything between a message in memory and the fill is measured.
`chain-decision`: the engine alone, one message that changes the size at the touch and one decision that leaves the
orders where they are. The reference is the smaller strategy.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.exchange import FEEDS
from mmframe.domain.kinds import Mode
from mmframe.domain.orders import OrderStatus, OrderUpdate, Request, Submit
from mmframe.engine import Engine
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.testing import build_component, delta, make_batch, make_instrument, snapshot
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mmframe.domain.market import MarketBatch
    from mmframe.domain.status import RunResult
    from mmframe.runtime.plan import Plan

_SECONDS = 60
_DECISIONS = 5_000
_STEP_NS = 100_000_000
_GRID = make_instrument("BTC/USDT", tick_size="5", lot_size="0.0001")
_STRATEGY = """
schema = 1
[strategy]
name = "bench"
requote_interval_ms = 100
[[markets]]
instrument = "BTC/USDT"
order_size = "0.02"
[feed]
use = "embedded"
tick_size = "5"
lot_size = "0.0001"
[venue.paper]
use = "simulated"
[gate]
max_position = "0.4"
"""
_ONE = """
[[signal]]
use = "ewma-volatility"
warm_up_s = 1
[[optimizer]]
use = "avellaneda-stoikov"
decay_per_bps = 1.0
inventory_std_orders = 3.0
[[risk]]
use = "layered-limits"
max_position = "0.4"
"""
_MORE = """
[[signal]]
use = "depth"
warm_up_s = 1
[[signal]]
use = "imbalance"
[[signal]]
use = "micro-price"
[[signal]]
use = "trade-flow"
[[signal]]
use = "order-flow-imbalance"
[[signal]]
use = "manipulation"
[[signal]]
use = "spike-flag"
[[optimizer]]
use = "depth-adaptive"
[[optimizer]]
use = "spread-protection"
[[optimizer]]
use = "touch"
apply = "never-better"
[[risk]]
use = "spread-floor"
min_spread_bps = 1.0
[[risk]]
use = "daily-loss"
max_daily_loss_quote = "1000"
[[risk]]
use = "drawdown"
max_drawdown_quote = "1000"
[[risk]]
use = "max-spread"
max_spread_bps = 50
[[risk]]
use = "market-data"
[[risk]]
use = "price-collar"
[[risk]]
use = "balance"
"""


class Recording:
    """A recording in memory."""

    def __init__(self, batches: tuple[MarketBatch, ...]) -> None:
        self._batches = batches

    def batches(self) -> Iterator[MarketBatch]:
        """Yield the batches."""
        yield from self._batches


@lru_cache(maxsize=2)
def _recorded(seconds: float) -> tuple[MarketBatch, ...]:
    feed = build_component(FEEDS[0], FEEDS[0].options(), instruments=(_GRID,))
    end_ns = feed.next_event_ns + int(seconds * 1e9)
    batches: list[MarketBatch] = []
    while feed.next_event_ns <= end_ns:
        batches.extend(feed.poll(feed.next_event_ns))
    return tuple(batches)


def _run(stages: str, scale: float) -> Callable[[], RunResult]:
    batches = _recorded(max(3.0, _SECONDS * scale))

    def work() -> RunResult:
        return run_plan(attrs.evolve(_plan(stages), mode=Mode.BACKTEST, feed=None, history=Recording(batches)))

    return work


def _replay(stages: str, scale: float) -> Callable[[], int]:
    run = _run(stages, scale)
    return lambda: run().status.decisions


def _figures(scale: float) -> Mapping[str, float]:
    """Return what both did: a strategy that does not quote is cheap."""
    more, one = _run(_ONE + _MORE, scale)().status.markets[0], _run(_ONE, scale)().status.markets[0]
    return {"orders": more.orders, "fills": more.fills, "orders_of_one": one.orders, "fills_of_one": one.fills}


def _plan(stages: str) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strategy.toml"
        path.write_text(_STRATEGY + stages)
        return compose(path, mode=Mode.PAPER, no_journal=True)


def _decide(stages: str, scale: float) -> Callable[[], int]:
    plan = _plan(stages)
    engine = Engine(plan.settings, plan.pipelines, plan.venue.capabilities)
    calls = max(100, int(_DECISIONS * scale))
    book = snapshot(
        bids=[(19_999 - level, 5_000) for level in range(20)], asks=[(20_001 + level, 5_000) for level in range(20)]
    )
    messages = (
        delta(bids=[(19_999, 5_000 + number % 7)], asks=[(20_001, 5_000 + number % 5)]) for number in range(calls)
    )
    batch = make_batch(book, *messages, step_ns=_STEP_NS)

    def work() -> int:
        before = engine.decisions
        for index, now_ns in enumerate(batch.receive_ns):
            engine.on_market(batch, index)
            for approved in engine.decide(now_ns):
                if isinstance(approved.action, Submit):
                    client_id = approved.action.client_id
                    engine.handle(OrderUpdate(0, client_id, OrderStatus.OPEN, Request.SUBMIT, now_ns, now_ns))
        return engine.decisions - before

    return work


BENCHMARKS = (
    Benchmark(
        name="chain-decision",
        unit="decision",
        subject=Contender("8 signals, 4 optimizers, 8 risk controls", partial(_decide, _ONE + _MORE)),
        references=(Contender("1 signal, 1 optimizer, 1 risk control", partial(_decide, _ONE)),),
    ),
    Benchmark(
        name="chain-replay",
        unit="decision",
        subject=Contender("8 signals, 4 optimizers, 8 risk controls", partial(_replay, _ONE + _MORE)),
        references=(Contender("1 signal, 1 optimizer, 1 risk control", partial(_replay, _ONE)),),
        figures=_figures,
    ),
)

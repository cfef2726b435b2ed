"""What one call of each built-in rule costs in the event engine, as plain Python."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.builtin.signals import SIGNALS
from mmframe.domain.views import NEUTRAL_ADVICE, BookTick, QuoteProposal, TradeTick
from mmframe.testing import (
    START_NS,
    build_component,
    delta,
    make_batch,
    make_inventory,
    make_options,
    make_signals,
    make_view,
)
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.plugin import ComponentSpec

_CALLS = 50_000
_STEP_NS = 100_000_000
_LEVELS = 200
_OPTIONS: dict[str, dict[str, Any]] = {
    "price-impact": {"size": Decimal(2)},
    "imbalance": {"levels": 5},
    "stoikov-micro-price": {"table": Path(__file__).parents[1] / "builtin" / "signals" / "micro_price_table.json"},
    "vpin": {"bucket_size": Decimal(5)},
    "constant": {"value": 60.0, "unit": "annual-percent"},
    "layered-limits": {
        "max_position": Decimal(1),
        "max_total_notional_quote": Decimal(1_000),
        "max_daily_loss_quote": Decimal(100),
    },
    "spread-floor": {"min_spread_bps": 12.0},
    "daily-loss": {"max_daily_loss_quote": Decimal(100)},
    "drawdown": {"max_drawdown_quote": Decimal(100)},
    "portfolio": {"max_concentration": 0.5, "max_gross_share": 0.5, "capital_quote": Decimal(1_000)},
    "max-spread": {"max_spread_bps": 50.0},
    "emergency-liquidation": {"max_loss_quote": Decimal(1_000)},
    "target-rebalancing": {"taker": True, "band": Decimal(10)},
    "fill-rate": {"max_fills": 10},
    "toxic-flow": {"soft_vpin": 0.3, "hard_vpin": 0.8, "soft_loss_bps": 1.0, "hard_loss_bps": 4.0},
    "request-budget": {"max_orders": 100, "max_requests": 500},
    "pause": {"max_volatility_bps": 5.0, "max_spread_bps": 50.0, "max_loss_quote": Decimal(50)},
    "circuit-breaker": {"move_bps": 100.0, "max_loss_quote": Decimal(100)},
    "avellaneda-stoikov": {"decay_per_price": 50.0, "inventory_std_orders": 3.0},
    "glft": {
        "decay_per_price": 50.0,
        "arrival_rate_per_s": 0.5,
        "inventory_std_orders": 3.0,
        "method": "exact",
    },
    "cartea-jaimungal": {
        "decay_per_price": 50.0,
        "arrival_rate_per_s": 0.5,
        "inventory_std_orders": 3.0,
        "horizon": "session",
    },
}

_VIEW = make_view(
    signals=make_signals(
        volatility=0.01,
        relative_depth=0.9,
        imbalance=0.2,
        manipulation=0.0,
        spike_flag=0.0,
        drift=0.001,
        vpin=0.4,
        market_condition=1.0,
    )
)
_INVENTORY = make_inventory(position=0.5, max_position=1.0)
_PROPOSAL = QuoteProposal(99.95, 0.2, 100.05, 0.2, 0, 0)
_TICK = BookTick(START_NS, 99.99, 1.0, 100.01, 1.0, 100.0)


def _book() -> SortedBook:
    book = SortedBook()
    batch = make_batch(
        delta(
            bids=[(9_999 - step, 1_000 + step) for step in range(_LEVELS)],
            asks=[(10_001 + step, 1_000 + step) for step in range(_LEVELS)],
        )
    )
    book.apply(batch.sides, batch.ticks, batch.lots, 0, batch.offsets[1])
    return book


def _built(spec: ComponentSpec) -> Any:
    return build_component(spec, make_options(spec, _OPTIONS.get(spec.name)), book=_book())


def _stage(spec: ComponentSpec, method: str, scale: float) -> Callable[[], int]:
    call = getattr(_built(spec), method)
    calls = max(1, int(_CALLS * scale))

    def work() -> int:
        for _ in range(calls):
            call(_VIEW, _INVENTORY, NEUTRAL_ADVICE, _PROPOSAL)
        return calls

    return work


def _signal(spec: ComponentSpec, scale: float) -> Callable[[], int]:
    """One touch and one trade, as far as the signal listens, and one read."""
    signal = _built(spec)
    calls = max(1, int(_CALLS * scale))
    times = range(START_NS, START_NS + calls * _STEP_NS, _STEP_NS)
    ticks = [_TICK._replace(now_ns=now_ns) for now_ns in times]
    trades = [TradeTick(now_ns, 100.0, 1.0, 1.0) for now_ns in times]
    on_touch, on_trade, read = signal.on_touch, signal.on_trade, signal.read

    def work() -> int:
        for tick, trade in zip(ticks, trades, strict=True):
            if on_touch is not None:
                on_touch(tick)
            if on_trade is not None:
                on_trade(trade)
            read(tick.now_ns, tick)
        return calls

    return work


BENCHMARKS = (
    *(
        Benchmark(
            name=f"optimizer-{spec.name}", unit="call", subject=Contender(spec.name, partial(_stage, spec, "propose"))
        )
        for spec in OPTIMIZERS
    ),
    *(
        Benchmark(name=f"risk-{spec.name}", unit="call", subject=Contender(spec.name, partial(_stage, spec, "assess")))
        for spec in RISK_CONTROLS
    ),
    *(
        Benchmark(name=f"signal-{spec.name}", unit="update", subject=Contender(spec.name, partial(_signal, spec)))
        for spec in SIGNALS
    ),
)

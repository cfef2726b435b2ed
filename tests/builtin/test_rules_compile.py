"""Every built-in rule can be compiled: numba translates the very same functions, with the same results."""

import math
import random
from collections import namedtuple
from decimal import Decimal
from pathlib import Path

import pytest

from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.builtin.signals import SIGNALS
from mmframe.domain.views import NEUTRAL_ADVICE, BookTick, Inventory, MarketView, QuoteProposal, TradeTick
from mmframe.plugin import OptimizerRule, RiskRule, SignalRule
from mmframe.testing import START_NS, ReferenceBook, build_component, make_options

numba = pytest.importorskip("numba", reason="numba is not installed")
np = pytest.importorskip("numpy", reason="numpy is not installed")

CALLS = 400
OPTIONS = {
    "price-impact": {"size": Decimal(1)},
    "stoikov-micro-price": {"table": Path(__file__).parent / "signals" / "micro_price_table.json"},
    "vpin": {"bucket_size": Decimal(2), "buckets": 7},
    "layered-limits": {
        "max_position": Decimal(1),
        "max_total_notional_quote": Decimal(300),
        "max_daily_loss_quote": Decimal(50),
    },
    "spread-floor": {"min_spread_bps": 12.0},
    "inventory-skew": {"size_skew": 0.5},
    "avellaneda-stoikov": {"decay_per_bps": 0.3, "inventory_std_orders": 3.0},
    "glft": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
    "cartea-jaimungal": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
}
Signals = namedtuple("Signals", ["volatility", "relative_depth"])  # noqa: PYI024 - made at run time, as in a run


def rules(specs, rule_class):
    built = [
        (spec, build_component(spec, make_options(spec, OPTIONS.get(spec.name)), book=ReferenceBook()))
        for spec in specs
    ]
    return [pytest.param(rule, id=spec.name) for spec, rule in built if isinstance(rule, rule_class)]


def numbers(source):
    """Mostly plausible, now and then what breaks formulas."""
    return source.choice((source.uniform(-2.0, 2.0), source.uniform(0.0, 1e3), 0.0, math.nan, math.inf, -math.inf))


def situation(source):
    bid = source.uniform(90.0, 110.0)
    ask = bid + source.uniform(0.01, 1.0)
    view = MarketView(
        now_ns=START_NS,
        bid=bid,
        bid_size=source.choice((0.0, source.random())),
        ask=ask,
        ask_size=source.choice((0.0, source.random())),
        mid=source.choice(((bid + ask) / 2.0,) * 8 + (0.0, math.nan)),
        tick=0.01,
        lot=0.001,
        order_size=source.choice((0.1, 0.1, 0.1, 0.0)),
        age_ns=source.randrange(5_000_000_000),
        lag_ns=source.randrange(-1_000_000_000, 1_000_000_000),
        signals=Signals(abs(source.gauss(0.0, 0.03)) if source.random() < 0.8 else numbers(source), numbers(source)),
    )
    inventory = Inventory(
        position=source.choice((source.uniform(-1.5, 1.5), numbers(source))),
        target=0.0,
        max_position=source.choice((1.0, math.inf)),
        average_price=100.0,
        realised_pnl_quote=0.0,
        unrealised_pnl_quote=0.0,
        fees_quote=0.0,
        day_pnl_quote=source.uniform(-60.0, 60.0),
        total_notional_quote=source.uniform(0.0, 400.0),
        net_notional_quote=source.uniform(-400.0, 400.0),
        concentration=source.random(),
        market_count=source.choice((1.0, 3.0)),
        asset_position=source.choice((source.uniform(-1.5, 1.5), numbers(source))),
        total_pnl_quote=source.uniform(-60.0, 60.0),
        peak_pnl_quote=source.uniform(-60.0, 60.0),
        day_peak_pnl_quote=source.uniform(0.0, 60.0),
        base_balance=source.choice((1.0, math.nan)),
        quote_balance=source.choice((1000.0, math.nan)),
        open_orders=float(source.randrange(10)),
        orders_sent=float(source.randrange(100)),
        requests_sent=float(source.randrange(200)),
        fill_count=float(source.randrange(20)),
    )
    quoted = source.random() < 0.8
    proposal = QuoteProposal(
        bid - source.random() if quoted else math.nan,
        source.random() if quoted else 0.0,
        ask + source.random(),
        source.random(),
        0 if quoted else 2,
        0,
    )
    return view, inventory, NEUTRAL_ADVICE, proposal


def compiled(rule, function):
    """Return the function under numba, on a state and parameters of its own."""
    return numba.njit(function), np.array(rule.state or [0.0])


@pytest.mark.parametrize("rule", rules(OPTIMIZERS, OptimizerRule) + rules(RISK_CONTROLS, RiskRule))
def test_a_stage_gives_the_same_quotes_compiled(rule):
    source = random.Random(1)
    native, state = compiled(rule, rule.function)
    python = rule.propose if isinstance(rule, OptimizerRule) else rule.assess

    for _ in range(CALLS):
        arguments = situation(source)

        expected, was = python(*arguments), native(rule.params, state, *arguments)

        assert tuple(was) == pytest.approx(tuple(expected), rel=0.0, abs=0.0, nan_ok=True)
        assert list(state[: len(rule.state)]) == pytest.approx(rule.state, rel=0.0, abs=0.0, nan_ok=True)


@pytest.mark.parametrize("rule", rules(SIGNALS, SignalRule))
def test_a_signal_gives_the_same_values_compiled(rule):
    source = random.Random(2)
    native_read, state = compiled(rule, rule.read_function)
    native_touch = rule.on_touch_function and numba.njit(rule.on_touch_function)
    native_trade = rule.on_trade_function and numba.njit(rule.on_trade_function)
    now_ns, mid = START_NS, 100.0

    for _ in range(CALLS):
        now_ns += source.choice((0, 1_000_000, 300_000_000, 5_000_000_000))
        mid += source.gauss(0.0, 0.02)
        tick = BookTick(now_ns, mid - 0.01, source.random(), mid + 0.01, source.random(), mid)
        trade = TradeTick(now_ns, mid, source.random(), source.choice((1.0, -1.0, 0.0)))
        if native_touch:
            rule.on_touch(tick)
            native_touch(rule.params, state, tick)
        if native_trade:
            rule.on_trade(trade)
            native_trade(rule.params, state, trade)

        expected, was = rule.read(now_ns + 500, tick), native_read(rule.params, state, now_ns + 500, tick)

        assert was == pytest.approx(expected, rel=0.0, abs=0.0, nan_ok=True)

"""Every built-in rule can be compiled: numba translates the very same functions, with the same results."""

import math
import random
from collections import namedtuple
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import pytest

from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.builtin.signals import SIGNALS
from mmframe.domain.views import (
    NEUTRAL_ADVICE,
    Advice,
    BookTick,
    FillTick,
    Inventory,
    MarketView,
    QuoteProposal,
    TradeTick,
)
from mmframe.plugin import OptimizerRule, RiskRule, SignalRule
from mmframe.testing import START_NS, ReferenceBook, build_component, make_options

numba = pytest.importorskip("numba", reason="numba is not installed")
np = pytest.importorskip("numpy", reason="numpy is not installed")

CALLS = 400
OPTIONS = {
    "price-impact": {"size": Decimal(1)},
    "stoikov-micro-price": {"table": Path(__file__).parent / "signals" / "micro_price_table.json"},
    "vpin": {"bucket_size": Decimal(2), "buckets": 7},
    "constant": {"value": 60.0, "unit": "annual-percent"},
    "spread-floor": {"min_spread_bps": 12.0},
    "portfolio": {
        "max_concentration": 0.5,
        "max_gross_share": 0.3,
        "max_net_share": 0.1,
        "capital_quote": Decimal(1000),
    },
    "inventory-risk": {"max_unrealised_loss_quote": Decimal(50), "full_volatility_bps": 20.0},
    "max-spread": {"max_spread_bps": 50.0},
    "adverse-markouts": {"count": 2, "max_mean_loss_bps": 5.0, "mean_count": 4, "cooldown_s": 3.0},
    "circuit-breaker": {
        "move_bps": 900.0,
        "max_loss_quote": Decimal(100),
        "losing_fills": 4,
        "window_s": 2.0,
        "cooldown_s": 1.0,
        "probe_s": 1.0,
    },
    "fee-floor": {"maker_fee_bps": 2.0},
}
BPS = {"decay_per_bps": 0.3}
PRICE = {"decay_per_price": 50.0}
RATE = {"arrival_rate_per_s": 0.5}
COSTS = {"maker_fee_bps": -0.5, "adverse_move_bps": 3.0, "max_orders": 7}
STD = {"inventory_std_orders": 3.0}
FORMS = {
    "avellaneda-stoikov": (
        {**BPS, **STD},
        {**PRICE, **COSTS, "risk_aversion": 0.1, "horizon": "session"},
        {**PRICE, "risk_aversion": 0.0},
        {**BPS, "risk_aversion": 0.1, "horizon": "infinite"},
        {**PRICE, **COSTS, "risk_aversion": 0.1, "horizon": "infinite", "discount_per_s": 0.01},
    ),
    "glft": (
        {**BPS, **RATE, **STD},
        {**BPS, **RATE, "risk_aversion": 0.1, "drift_per_s": 0.01},
        {**PRICE, **RATE, "risk_aversion": 0.0, "method": "exact"},
        {**BPS, **RATE, **COSTS, "risk_aversion": 0.1, "method": "exact"},
        {**BPS, **RATE, **COSTS, **STD, "method": "exact"},
    ),
    "cartea-jaimungal": (
        {**PRICE, **RATE, **COSTS, "running_penalty_per_s": 2e-5},
        {**PRICE, **RATE, "running_penalty_per_s": 2e-5, "terminal_penalty": 5e-4, "horizon": "session"},
        {**BPS, **RATE, **STD, "horizon": "rolling"},
    ),
    "touch": (
        {"mode": "penny", "min_touch_size": Decimal("0.3")},
        {"mode": "join", "apply": "never-worse"},
        {"mode": "step-back", "step_back_bps": 2.0, "apply": "never-better"},
    ),
    "inventory-skew": (
        {"size_skew": 0.5},
        {"size_decay_per_order": 0.1},
    ),
    "layered-limits": (
        {"max_position": Decimal(1), "max_total_notional_quote": Decimal(300), "max_daily_loss_quote": Decimal(50)},
        {
            "max_long": Decimal(1),
            "max_short": Decimal(0),
            "max_position_notional_quote": Decimal(50),
            "max_asset_position": Decimal(1),
            "max_total_notional_quote": Decimal(300),
            "max_net_notional_quote": Decimal(200),
            "total_shrink_from": 0.5,
        },
    ),
    "daily-loss": (
        {"max_daily_loss_quote": Decimal(50)},
        {"max_daily_loss_quote": Decimal(90), "trailing": True},
    ),
    "drawdown": (
        {"max_drawdown_quote": Decimal(60)},
        {"max_drawdown_share": 0.1, "capital_quote": Decimal(900), "reset": "day"},
    ),
    "price-collar": ({"collar_bps": 100.0, "half_life_s": 10.0}, {"collar_bps": 50.0, "action": "remove"}),
    "emergency-liquidation": (
        {"max_loss_quote": Decimal(50), "max_drawdown_quote": Decimal(60), "position_factor": 1.2},
        {"max_unrealised_loss_quote": Decimal(40), "max_unrealised_loss_bps": 300.0},
    ),
    "target-rebalancing": ({"band": Decimal("0.3"), "taker": True},),
    "balance": ({}, {"require_balances": True}),
    "fill-rate": (
        {"max_fills": 3, "window_s": 6.0, "cooldown_s": 2.0},
        {"max_filled": Decimal("2.5"), "window_s": 60.0, "shrink_from": 0.0},
    ),
    "toxic-flow": (
        {"soft_vpin": 0.5, "hard_vpin": 0.8, "soft_loss_bps": 1.0, "hard_loss_bps": 20.0, "loss_fills": 3},
        {"soft_vpin": 0.5, "hard_vpin": 0.9, "when_unknown": "cancel"},
    ),
    "request-budget": (
        {"max_orders": 150, "order_credit": 2, "orders_window_s": 3.0, "max_order_to_trade": 20.0},
        {"max_requests": 900, "requests_window_s": 6.0, "max_daily_orders": 30_000, "soft_from": 0.1},
    ),
    "pause": (
        {"max_spread_bps": 90.0, "max_imbalance": 0.9, "min_pause_s": 1.0, "cooldown_s": 0.0, "hysteresis": 0.0},
        {"max_volatility_bps": 10.0, "min_relative_depth": 0.1, "max_pauses_per_hour": 3, "min_pause_s": 0.0},
        {"max_loss_quote": Decimal(90), "loss_window_s": 8.0, "min_pause_s": 1.0, "cooldown_s": 0.5},
    ),
}
"""Of rules whose options lead through different branches."""
BOOK = ReferenceBook()
# One class for all calls: numba compiles anew for each class of the tuple.
Signals = namedtuple(  # noqa: PYI024 - made at run time, as in a run
    "Signals",
    ["volatility", "relative_depth", "imbalance", "manipulation", "spike_flag", "vpin", "market_condition", "drift"],
)


def rules(specs, rule_class):
    built = [
        (f"{spec.name}-{place}" if place else spec.name, build_component(spec, make_options(spec, form), book=BOOK))
        for spec in specs
        for place, form in enumerate(forms(spec))
    ]
    return [pytest.param(rule, id=name) for name, rule in built if isinstance(rule, rule_class)]


def forms(spec):
    return FORMS.get(spec.name) or (OPTIONS.get(spec.name),)


def numbers(source):
    """Mostly plausible, now and then what breaks formulas."""
    return source.choice((source.uniform(-2.0, 2.0), source.uniform(0.0, 1e3), 0.0, math.nan, math.inf, -math.inf))


def situation(source, number):
    """The call with this number: time goes on from call to call, and now and then leaps, ahead or back."""
    bid = source.uniform(90.0, 110.0)
    ask = bid + source.uniform(0.01, 1.0)
    view = MarketView(
        now_ns=START_NS + number * 400_000_000 + source.choice((0,) * 18 + (-5_000_000_000, 60_000_000_000)),
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
        signals=Signals(
            volatility=abs(source.gauss(0.0, 0.03)) if source.random() < 0.8 else numbers(source),
            relative_depth=source.choice((source.uniform(0.0, 3.0), numbers(source))),
            imbalance=source.choice((source.uniform(-1.0, 1.0),) * 4 + (math.nan,)),
            manipulation=source.choice((0.0, 0.0, 0.0, 1.0, math.nan)),
            spike_flag=source.choice((0.0, 0.0, 0.0, 1.0)),
            vpin=source.choice((source.uniform(0.0, 1.0),) * 9 + (math.nan,)),
            drift=source.choice((source.gauss(0.0, 0.01), numbers(source))),
            market_condition=source.choice((0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 0.5, math.nan)),
        ),
    )
    inventory = Inventory(
        position=source.choice((source.uniform(-1.5, 1.5), numbers(source))),
        target=0.0,
        max_position=source.choice((1.0, math.inf)),
        average_price=100.0,
        realised_pnl_quote=source.uniform(-5.0, 5.0),
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
    return view, inventory, source.choice((NEUTRAL_ADVICE, advice(source, view.now_ns))), proposal


def advice(source, now_ns):
    return Advice(
        bid_spread_multiplier=source.uniform(0.5, 5.0),
        ask_spread_multiplier=source.uniform(0.5, 5.0),
        size_multiplier=source.choice((0.0, 0.5, 1.0, 2.0)),
        skew_bps=source.choice((source.uniform(-20.0, 20.0), numbers(source))),
        position_scale=source.choice((1.0, 1.0, 0.5)),
        pause=source.choice((0.0,) * 9 + (1.0,)),
        confidence=source.uniform(0.3, 1.0),
        valid_until_ns=now_ns,
    )


translated = lru_cache(maxsize=None)(numba.njit)
"""The function under numba, once for all forms of a rule."""


def compiled(rule, function):
    """Return the function under numba, on a state and parameters of its own."""
    return translated(function), np.array(rule.state or [0.0])


@pytest.mark.parametrize("rule", rules(OPTIMIZERS, OptimizerRule) + rules(RISK_CONTROLS, RiskRule))
def test_a_stage_gives_the_same_quotes_compiled(rule):
    source = random.Random(1)
    native, state = compiled(rule, rule.function)
    native_fill = rule.fill_function and translated(rule.fill_function)
    python = rule.propose if isinstance(rule, OptimizerRule) else rule.assess

    for number in range(CALLS):
        arguments = situation(source, number)
        if native_fill and source.random() < 0.2:
            fill = fill_of(source, arguments[0])
            rule.on_fill(fill)
            native_fill(rule.params, state, fill)

        expected, was = python(*arguments), native(rule.params, state, *arguments)

        assert tuple(was) == pytest.approx(tuple(expected), rel=0.0, abs=0.0, nan_ok=True)
        assert np.array_equal(state[: len(rule.state)], rule.state, equal_nan=True)


def fill_of(source, view):
    side = source.choice((1.0, -1.0))
    return FillTick(view.now_ns, view.bid if side > 0.0 else view.ask, source.uniform(0.0, 0.5), side, view.mid, 1.0)


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

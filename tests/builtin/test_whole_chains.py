"""Whole chains of built-in stages in a real engine: nothing that happens makes a quote that must not be.

Each example is a chain drawn from all built-in optimizers and risk controls, and a sequence of books, signals, fills,
advice, balances and jumps of time. What is held after each decision knows nothing of how the stages work.
"""

from __future__ import annotations

import math
from decimal import Decimal

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.domain.market import Side
from mmframe.domain.orders import (
    Amend,
    BalanceUpdate,
    Cancel,
    CancelAll,
    Fill,
    OrderStatus,
    OrderUpdate,
    Replace,
    Request,
    Submit,
    VenueCapabilities,
)
from mmframe.domain.records import AdviceUpdate, Command, OperatorCommand, StageKind
from mmframe.domain.views import RiskLevel
from mmframe.engine import Engine
from mmframe.engine.settings import (
    EngineSettings,
    GateLimits,
    LadderSettings,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
    NamedRiskControl,
    NamedSignal,
)
from mmframe.errors import DomainError
from mmframe.plugin.options import OPTION_METADATA_KEY
from mmframe.testing import (
    START_NS,
    ReferenceBook,
    build_component,
    gap,
    make_advice,
    make_batch,
    make_instrument,
    make_options,
    snapshot,
)

INSTRUMENT = make_instrument(tick_size="0.01", lot_size="0.001", min_notional_quote="0.5")
ORDER_LOTS, MAX_POSITION_LOTS, MAX_ORDER_LOTS = 10, 100, 15
LIMITS = GateLimits(max_order_lots=MAX_ORDER_LOTS, max_position_lots=MAX_POSITION_LOTS, max_orders_per_second=10_000)
REQUIRED = {
    "avellaneda-stoikov": {"decay_per_bps": 0.3, "inventory_std_orders": 3.0},
    "glft": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
    "cartea-jaimungal": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
}


PRICING = [spec for spec in OPTIMIZERS if spec.name in {"fixed-spread", "volatility-regime", "touch", *REQUIRED}]
# Those that close positions cross the spread on purpose; tests/engine/test_liquidation.py holds what they may do.
CONTROLS = [spec for spec in RISK_CONTROLS if spec.liquidation is None]
NAMES = sorted({name for spec in (*OPTIMIZERS, *CONTROLS) for name in spec.needs})


def all_options(spec):
    """Return options under which a stage does as much as it can: every limit that it has is set, as its help shows."""
    needed, shown = dict(REQUIRED.get(spec.name, {})), {}
    for field in attrs.fields(spec.options):
        example = field.metadata[OPTION_METADATA_KEY].example
        if example is not None and field.name not in needed:
            value = Decimal(example) if "Decimal" in str(field.type) else example
            (needed if field.default is attrs.NOTHING else shown)[field.name] = value
    try:
        return make_options(spec, {**shown, **needed})
    except DomainError:
        # Some options exclude each other.
        return make_options(spec, needed)


class Drawn:
    """A signal whose value the test sets."""

    on_touch = on_trade = None

    def __init__(self):
        self.value = 0.05

    def read(self, now_ns, tick):
        return self.value


class World:
    """One market with a venue that does what it is told, and an account of what could happen at worst."""

    def __init__(self, optimizers, controls, levels):
        self.signals = {name: Drawn() for name in NAMES}
        self.now_ns = START_NS
        self.touch = (0, 0)
        self.position_lots = 0
        self.live = {}
        self.trades = 0
        pipeline = MarketPipeline(
            ReferenceBook(),
            tuple(NamedSignal(name, signal) for name, signal in self.signals.items()),
            tuple(
                NamedOptimizer(spec.name, build_component(spec, all_options(spec), instruments=(INSTRUMENT,)))
                for spec in optimizers
            ),
            tuple(
                NamedRiskControl(
                    spec.name, build_component(spec, all_options(spec), instruments=(INSTRUMENT,)), spec.scope
                )
                for spec in controls
            ),
        )
        market = MarketSettings(INSTRUMENT, ORDER_LOTS, LIMITS, ladder=LadderSettings(levels=levels, size_factor=1.5))
        self.engine = Engine(
            EngineSettings("demo", "0", (market,), requote_interval_ns=0),
            [pipeline],
            VenueCapabilities(is_virtual=True, can_amend=True, can_replace=True),
            records_decisions=True,
        )

    def step(self, step):
        kind, first, second = step
        if kind == "book":
            bid = 10_000 + first % 200 - 100
            self.touch = (bid, bid + 1 + second % 40)
            self.message(snapshot(bids=[(self.touch[0], 1 + second)], asks=[(self.touch[1], 1 + first)]))
        elif kind == "gap":
            self.message(gap())
        elif kind == "signal":
            self.signals[NAMES[first % len(NAMES)]].value = VALUES[second % len(VALUES)]
        elif kind == "fill":
            self.fill(first, second)
        elif kind == "advice":
            advice = ADVICE[first % len(ADVICE)]._replace(valid_until_ns=self.now_ns + second * 10_000_000)
            self.engine.handle(AdviceUpdate(0, advice, self.now_ns))
        elif kind == "balance":
            asset = ("BTC", "USDT")[first % 2]
            self.engine.handle(BalanceUpdate(asset, Decimal(second) / 10, Decimal(0), self.now_ns))
        else:
            self.now_ns += first * second * 1_000_000
        self.decide()
        if self.engine.is_halted:
            # What is latched would end the example here; how halts hold is tested elsewhere.
            self.engine.handle(OperatorCommand(Command.RESUME, self.now_ns))
            self.decide()

    def message(self, message):
        self.now_ns += 1_000_000
        self.engine.on_market(make_batch(message, start_ns=self.now_ns), 0)

    def fill(self, first, second):
        if not self.live:
            return
        client_id = sorted(self.live)[first % len(self.live)]
        side, ticks, lots = self.live[client_id]
        taken = 1 + second % lots
        self.trades += 1
        self.live[client_id] = (side, ticks, lots - taken)
        if taken == lots:
            del self.live[client_id]
        self.position_lots += taken if side == Side.BUY else -taken
        self.engine.handle(
            Fill(0, client_id, str(self.trades), side, ticks, taken, True, Decimal(0), "USDT", self.now_ns, self.now_ns)
        )

    def decide(self):
        approved = self.engine.decide(self.now_ns)
        for decision in self.engine.take_records():
            hold(decision, self.touch)
        for item in approved:
            self.place(item.action)
            self.hold_worst_case()
        for item in approved:
            self.answer(item.action)

    def place(self, action):
        """Take an action as done: what it takes away is gone, what it adds can fill."""
        if isinstance(action, Submit):
            assert action.is_post_only
            assert (
                self.touch[0] < action.price_ticks if action.side == Side.SELL else action.price_ticks < self.touch[1]
            )
            self.live[action.client_id] = (action.side, action.price_ticks, action.size_lots)
        elif isinstance(action, Amend):
            side, _, _ = self.live[action.client_id]
            self.live[action.client_id] = (side, action.price_ticks, action.leaves_lots)
        elif isinstance(action, Replace):
            side, _, _ = self.live.pop(action.client_id)
            self.live[action.new_client_id] = (side, action.price_ticks, action.size_lots)
        elif isinstance(action, Cancel):
            self.live.pop(action.client_id, None)
        elif isinstance(action, CancelAll):
            self.live.clear()

    def answer(self, action):
        status, request, new_id = OrderStatus.OPEN, Request.SUBMIT, ""
        if isinstance(action, Cancel):
            status, request = OrderStatus.CANCELED, Request.CANCEL
        elif isinstance(action, Replace):
            status, request, new_id = OrderStatus.REPLACED, Request.REPLACE, action.new_client_id
        elif isinstance(action, Amend):
            request = Request.AMEND
        elif not isinstance(action, Submit):
            return
        self.engine.handle(
            OrderUpdate(0, action.client_id, status, request, self.now_ns, self.now_ns, new_client_id=new_id)
        )

    def hold_worst_case(self):
        for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
            sizes = [lots for other, _, lots in self.live.values() if other == side]
            assert all(0 < lots <= MAX_ORDER_LOTS for lots in sizes)
            # Resting orders that a fill on the other side made too large are cut with the next decision, not grown.
            assert sum(sizes) + sign * self.position_lots <= MAX_POSITION_LOTS
        bids = [ticks for side, ticks, _ in self.live.values() if side == Side.BUY]
        asks = [ticks for side, ticks, _ in self.live.values() if side == Side.SELL]
        assert not bids or not asks or max(bids) < min(asks)


def hold(decision, touch):
    """Hold what must be true of one decision's record."""
    prices = [level.price_ticks for level in decision.bids], [level.price_ticks for level in decision.asks]
    assert all(type(ticks) is int and ticks > 0 for side in prices for ticks in side)
    assert all(0 < level.size_lots <= MAX_ORDER_LOTS for level in (*decision.bids, *decision.asks))
    if decision.bids or decision.asks:
        assert not decision.bids or prices[0][0] < touch[1]
        assert not decision.asks or prices[1][0] > touch[0]
        assert prices[0] == sorted(set(prices[0]), reverse=True)
        assert prices[1] == sorted(set(prices[1]))
    if decision.bids and decision.asks:
        assert prices[0][0] < prices[1][0]
    assert decision.bids or decision.bid_reason
    assert decision.asks or decision.ask_reason
    before = None
    for stage in decision.stages:
        for number in (stage.bid, stage.bid_size, stage.ask, stage.ask_size):
            assert number is None or math.isfinite(number)
        if stage.kind is StageKind.RISK and before is not None:
            assert stage.bid_size <= before.bid_size
            assert stage.ask_size <= before.ask_size
            assert not stage.bid_size or stage.bid <= before.bid
            assert not stage.ask_size or stage.ask >= before.ask
            assert stage.level < RiskLevel.CANCEL_ONLY or not (stage.bid_size or stage.ask_size)
        if stage.kind in {StageKind.ROUNDING, StageKind.LADDER, StageKind.RISK}:
            before = stage


VALUES = (0.0, 0.01, 0.05, 0.3, 0.9, 1.0, 2.0, 5.0, -0.5, -1.0, 50.0, math.nan, math.inf, -math.inf, 1e300)
ADVICE = (
    make_advice(),
    make_advice(bid_spread_multiplier=0.25, ask_spread_multiplier=4.0, confidence=1.0),
    make_advice(size_multiplier=2.0, skew_bps=50.0, position_scale=0.0, confidence=0.9),
    make_advice(size_multiplier=0.0, confidence=1.0),
    make_advice(pause=1.0, confidence=1.0),
    make_advice(skew_bps=math.nan, bid_spread_multiplier=math.inf, size_multiplier=-1.0, confidence=math.nan),
)
KINDS = ("book", "book", "book", "fill", "fill", "time", "signal", "advice", "balance", "gap")
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 400), st.integers(0, 400)), min_size=20, max_size=60)
LATER = st.lists(st.sampled_from(OPTIMIZERS), max_size=4, unique_by=lambda spec: spec.name)
CHAINED = st.lists(st.sampled_from(CONTROLS), max_size=6, unique_by=lambda spec: spec.name)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(first=st.sampled_from(PRICING), later=LATER, controls=CHAINED, levels=st.integers(1, 3), steps=STEPS)
def test_no_chain_makes_a_quote_that_must_not_be_whatever_happens(first, later, controls, levels, steps):
    world = World([first, *later], controls, levels)

    for step in steps:
        world.step(step)

    assert list(world.engine.fault_notes) == []


@pytest.mark.parametrize("spec", PRICING, ids=lambda spec: spec.name)
def test_these_worlds_do_quote(spec):
    """Otherwise nothing above would be held."""
    world = World([spec], [], 2)
    world.step(("book", 100, 30))

    assert len(world.live) == 4


@pytest.mark.parametrize("spec", CONTROLS, ids=lambda spec: spec.name)
def test_every_risk_control_is_drawn_with_its_limits_set(spec):
    """A control without limits would hold nothing back."""
    options = all_options(spec)

    assert any(getattr(options, name) is not None for name in spec.limits or attrs.asdict(options))

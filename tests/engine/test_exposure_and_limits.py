from __future__ import annotations

import math
from decimal import Decimal

import msgspec
import pytest

from mmframe.domain.kinds import Scope
from mmframe.domain.market import Side
from mmframe.domain.orders import ALL_MARKETS, BalanceUpdate, Fill, Submit, VenueCapabilities
from mmframe.domain.records import Command, OperatorCommand
from mmframe.domain.views import FillTick, Reason, RiskLevel, RiskVerdict
from mmframe.engine import Engine
from mmframe.engine.limits import LimitLog
from mmframe.engine.settings import (
    EngineSettings,
    GateLimits,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
    NamedRiskControl,
)
from mmframe.engine.state import RestoredFill, RestoredRun
from mmframe.plugin import RiskRule
from mmframe.testing import make_batch, make_instrument, snapshot
from mmframe.testing.reference import ReferenceBook

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
SYMBOLS = ("AAA/USDT", "BBB/USDT", "AAA/USDC")


class Watcher:
    """Quotes both sides and keeps what it is shown; may be told to raise on a fill."""

    def __init__(self, error=None):
        self.inventories = []
        self.views = []
        self.fills = []
        self.error = error

    def propose(self, view, inventory, advice, proposal):
        self.views.append(view)
        self.inventories.append(inventory)
        return proposal._replace(bid=view.mid - 5.0, bid_size=10.0, ask=view.mid + 5.0, ask_size=10.0)

    def on_fill(self, fill):
        self.fills.append(fill)
        if self.error is not None:
            raise self.error


def allow(_params, _state, _view, _inventory, _advice, proposal):
    return RiskVerdict(0, proposal.bid, proposal.bid_size, proposal.ask, proposal.ask_size, 0)


def make_engine(*symbols, controls=(), watchers=None, capabilities=None, keeps_state=False):
    watchers = watchers or [Watcher() for _ in symbols]
    markets = tuple(
        MarketSettings(
            make_instrument(symbol, tick_size="1", lot_size="1"),
            10,
            GateLimits(),
        )
        for symbol in symbols
    )
    named = tuple(
        NamedRiskControl(f"control-{number}", control, scope, keeps_state)
        for number, (control, scope) in enumerate(controls)
    )
    pipelines = [
        MarketPipeline(
            ReferenceBook(),
            (),
            (NamedOptimizer("watcher", watcher),),
            named,
        )
        for watcher in watchers
    ]
    capabilities = capabilities or VenueCapabilities(is_virtual=True)
    return Engine(EngineSettings("demo", "0", markets), pipelines, capabilities), watchers


def show(engine, market, *, mid=100, now_ns=START_NS, exchange_lag_ns=0):
    batch = make_batch(snapshot(bids=[(mid - 1, 50)], asks=[(mid + 1, 50)]), start_ns=now_ns, market=market)
    batch.exchange_ns[0] = now_ns - exchange_lag_ns
    engine.on_market(batch, 0)
    return [item.action for item in engine.decide(now_ns)]


def filled(engine, market, side, ticks, lots, *, trade_id, now_ns=START_NS):
    engine.handle(Fill(market, "x", trade_id, side, ticks, lots, True, Decimal(0), "USDT", now_ns, now_ns))


def last_inventory(engine, watchers, market, now_ns):
    engine.handle(OperatorCommand(Command.RESUME, now_ns, market=market))
    engine.decide(now_ns)
    return watchers[market].inventories[-1]


def test_exposure_is_summed_over_the_markets_with_one_quote_asset_and_with_one_base_asset():
    engine, watchers = make_engine(*SYMBOLS)
    for market in range(3):
        show(engine, market)
    filled(engine, 0, Side.BUY, 100, 30, trade_id="1")
    filled(engine, 1, Side.SELL, 100, 10, trade_id="2")
    filled(engine, 2, Side.BUY, 100, 7, trade_id="3")

    first = last_inventory(engine, watchers, 0, START_NS + SECOND_NS)
    other = last_inventory(engine, watchers, 2, START_NS + SECOND_NS)

    assert (first.total_notional_quote, first.net_notional_quote, first.market_count) == (4000.0, 2000.0, 2.0)
    assert first.concentration == pytest.approx((3000.0**2 + 1000.0**2) / 4000.0**2)
    assert (first.position, first.asset_position, first.fill_count) == (30.0, 37.0, 1.0)
    assert (other.total_notional_quote, other.concentration, other.market_count) == (700.0, 1.0, 1.0)


def test_high_water_marks_rise_with_profit_outlive_a_restart_and_start_anew_when_an_operator_resumes():
    engine, watchers = make_engine("AAA/USDT")
    show(engine, 0)
    filled(engine, 0, Side.BUY, 100, 10, trade_id="1")
    show(engine, 0, mid=120, now_ns=START_NS + SECOND_NS)
    show(engine, 0, mid=90, now_ns=START_NS + 2 * SECOND_NS)

    was = watchers[0].inventories[-1]
    assert (was.total_pnl_quote, was.peak_pnl_quote, was.day_peak_pnl_quote) == (-100.0, 200.0, 200.0)

    again, others = make_engine("AAA/USDT")
    again.restore(RestoredRun(state=engine.state(), orders=(), fills=()))
    show(again, 0, now_ns=START_NS + 3 * SECOND_NS)
    assert others[0].inventories[-1].peak_pnl_quote == 200.0

    engine.handle(OperatorCommand(Command.RESUME, START_NS + 3 * SECOND_NS, market=ALL_MARKETS))
    show(engine, 0, mid=91, now_ns=START_NS + 4 * SECOND_NS)
    now = watchers[0].inventories[-1]
    assert (now.total_pnl_quote, now.peak_pnl_quote, now.day_peak_pnl_quote) == (-90.0, -90.0, -90.0)


def test_a_released_run_starts_its_high_water_marks_at_the_first_prices_of_all_that_it_holds():
    engine, _ = make_engine("AAA/USDT", "BBB/USDT")
    show(engine, 0, mid=150)
    fills = tuple(
        RestoredFill(
            Fill(market, "x", str(market), Side.BUY, 100, 10, True, Decimal(0), "USDT", START_NS, START_NS), 200
        )
        for market in (0, 1)
    )
    stopped = RestoredRun(engine.state(), (), fills)

    seen = {}
    for name, run in (("resumed", stopped), ("released", stopped.released())):
        again, watchers = make_engine("AAA/USDT", "BBB/USDT")
        again.restore(run)
        show(again, 0, mid=90, now_ns=START_NS + SECOND_NS)
        show(again, 1, mid=80, now_ns=START_NS + 2 * SECOND_NS)
        show(again, 0, mid=85, now_ns=START_NS + 3 * SECOND_NS)
        now = watchers[0].inventories[-1]
        seen[name] = (now.total_pnl_quote, now.peak_pnl_quote, now.day_peak_pnl_quote)

    # Both fills were worth 100 when they were made; what the market did since is no fall from a new peak.
    assert seen == {"resumed": (-350.0, 0.0, 0.0), "released": (-350.0, -300.0, -300.0)}


def test_no_loss_is_judged_and_nothing_quoted_before_the_book_of_every_position_has_been_seen():
    def halt_on_loss(_params, _state, _view, inventory, _advice, proposal):
        level = RiskLevel.HALT if inventory.day_pnl_quote <= -100.0 else RiskLevel.ALLOW
        return RiskVerdict(int(level), *proposal[:4], 0)

    symbols, controls = ("AAA/USDT", "BBB/USDT", "AAA/USDC"), ((RiskRule(halt_on_loss, ()), Scope.STRATEGY),)
    engine, _ = make_engine(*symbols, controls=controls)
    fill = Fill(1, "x", "1", Side.BUY, 100, 10, True, Decimal(0), "USDT", START_NS, START_NS)
    # The day begins when what was bought at 100 is worth 150.
    show(engine, 1, mid=150, now_ns=START_NS - SECOND_NS)
    state = msgspec.structs.replace(engine.state(), day_start_pnl_quote=Decimal(500))
    again, watchers = make_engine(*symbols, controls=controls)
    again.restore(RestoredRun(state, (), (RestoredFill(fill, 200),)))

    early = show(again, 0, now_ns=START_NS)
    other = show(again, 2, now_ns=START_NS)

    assert (early, watchers[0].inventories, len(other)) == ([], [], 2)
    assert again.status(START_NS, started_ns=0, mode="paper").markets[0].bid_reason == Reason.NOT_VALUED

    show(again, 1, mid=150, now_ns=START_NS + SECOND_NS)
    quotes = again.decide(START_NS + SECOND_NS)

    assert not again.is_halted
    assert watchers[0].inventories[-1].day_pnl_quote == 0.0
    assert {each.action.market for each in quotes} <= {0}


def test_the_day_s_high_water_mark_begins_at_midnight():
    engine, watchers = make_engine("AAA/USDT")
    show(engine, 0)
    filled(engine, 0, Side.BUY, 100, 10, trade_id="1")
    show(engine, 0, mid=120, now_ns=START_NS + SECOND_NS)
    midnight_ns = (START_NS // (86_400 * SECOND_NS) + 1) * 86_400 * SECOND_NS
    show(engine, 0, mid=110, now_ns=midnight_ns + SECOND_NS)

    was = watchers[0].inventories[-1]
    # The day began with the first decision after midnight, at a mid of 110.
    assert (was.peak_pnl_quote, was.day_pnl_quote, was.day_peak_pnl_quote) == (200.0, 0.0, 0.0)


def test_a_rising_profit_is_saved_now_and_then_and_not_with_every_decision():
    engine, _ = make_engine("AAA/USDT")
    show(engine, 0)
    filled(engine, 0, Side.BUY, 100, 10, trade_id="1")
    show(engine, 0, mid=101, now_ns=START_NS + SECOND_NS)
    revision = engine.state_revision

    for second in range(2, 10):
        show(engine, 0, mid=100 + second, now_ns=START_NS + second * SECOND_NS)
    assert engine.state_revision == revision
    show(engine, 0, mid=130, now_ns=START_NS + 12 * SECOND_NS)
    assert engine.state_revision == revision + 1


def test_balances_and_counts_of_requests_are_shown():
    engine, watchers = make_engine("AAA/USDT")
    show(engine, 0)
    assert math.isnan(watchers[0].inventories[-1].quote_balance)

    engine.handle(BalanceUpdate("USDT", Decimal(900), Decimal(100), START_NS))
    engine.handle(BalanceUpdate("AAA", Decimal(3), Decimal(4), START_NS))
    show(engine, 0, mid=101, now_ns=START_NS + SECOND_NS)

    was = watchers[0].inventories[-1]
    assert (was.base_balance, was.quote_balance) == (7.0, 1000.0)
    assert (was.orders_sent, was.requests_sent, was.open_orders) == (2.0, 2.0, 2.0)


def test_where_the_venue_keeps_positions_a_base_balance_says_nothing():
    engine, watchers = make_engine("AAA/USDT", capabilities=VenueCapabilities(is_virtual=True, reports_positions=True))
    engine.handle(BalanceUpdate("AAA", Decimal(3), Decimal(4), START_NS))
    market = engine._markets[0]

    assert math.isnan(market.base_balance)
    assert not watchers[0].inventories


def test_the_view_tells_the_age_and_the_lag_of_the_newest_book_message():
    engine, watchers = make_engine("AAA/USDT")
    show(engine, 0, exchange_lag_ns=-1_272_000_000)
    engine.decide(START_NS + 2 * SECOND_NS)

    assert [(view.age_ns, view.lag_ns) for view in watchers[0].views] == [
        (0, -1_272_000_000),
        (2 * SECOND_NS, -1_272_000_000),
    ]


def test_stages_see_our_fills_with_the_mid_of_the_moment():
    engine, watchers = make_engine("AAA/USDT")
    show(engine, 0)

    filled(engine, 0, Side.SELL, 103, 4, trade_id="1")
    filled(engine, 0, Side.SELL, 103, 4, trade_id="1")

    assert watchers[0].fills == [FillTick(START_NS, 103.0, 4.0, -1.0, 100.0, 1.0)]


@pytest.mark.parametrize("is_risk", [False, True])
def test_a_stage_that_raises_on_a_fill_is_contained_as_in_a_decision(is_risk):
    class Control(Watcher):
        def assess(self, view, inventory, advice, proposal):
            return allow((), [], view, inventory, advice, proposal)

    error = ValueError("no")
    watcher = Watcher(None if is_risk else error)
    controls = ((Control(error), Scope.MARKET),) if is_risk else ()
    engine, _ = make_engine("AAA/USDT", watchers=[watcher], controls=controls)
    show(engine, 0)
    filled(engine, 0, Side.BUY, 99, 1, trade_id="1")

    assert "on a fill: ValueError: no" in engine.fault_notes[-1]
    # A risk control that failed halts its scope; another stage only counts a fault.
    assert engine.is_halted is is_risk


def test_what_a_risk_control_remembers_outlives_a_restart_only_where_its_spec_says_so():
    def count(_params, state, view, _inventory, _advice, proposal):
        state[0] += 1.0
        return RiskVerdict(
            int(RiskLevel.SHRINK), proposal.bid, 0.0, proposal.ask, proposal.ask_size, int(Reason.PAUSED)
        )

    for keeps_state, expected in ((True, 2.0), (False, 0.0)):
        engine, _ = make_engine(
            "AAA/USDT", controls=((RiskRule(count, (), (0.0,)), Scope.MARKET),), keeps_state=keeps_state
        )
        show(engine, 0)
        show(engine, 0, mid=101, now_ns=START_NS + SECOND_NS)
        rule = RiskRule(count, (), (0.0,))
        again, _ = make_engine("AAA/USDT", controls=((rule, Scope.MARKET),), keeps_state=keeps_state)
        again.restore(RestoredRun(state=engine.state(), orders=(), fills=()))
        assert rule.state == [expected]


def test_a_remembered_state_of_another_length_is_another_rule_s_and_is_left_alone():
    engine, _ = make_engine("AAA/USDT", controls=((RiskRule(allow, (), (7.0,)), Scope.MARKET),), keeps_state=True)
    rule = RiskRule(allow, (), (1.0, 2.0))
    again, _ = make_engine("AAA/USDT", controls=((rule, Scope.MARKET),), keeps_state=True)

    again.restore(RestoredRun(state=engine.state(), orders=(), fills=()))

    assert rule.state == [1.0, 2.0]


def brief(records):
    return [
        (
            record.stage,
            record.level,
            record.reason,
            (record.now_ns - START_NS) / SECOND_NS,
            record.decisions,
            record.is_over,
        )
        for record in records
    ]


def test_a_limit_is_on_record_when_it_begins_and_when_it_has_ended():
    records = []
    log = LimitLog(0, records.append)
    for tenth in range(5):
        log.note("cap", 1, 10, START_NS + tenth * SECOND_NS // 10)
    log.expire(START_NS + SECOND_NS)
    log.expire(START_NS + 14 * SECOND_NS // 10)

    assert brief(records) == [("cap", 1, 10, 0.0, 1, False), ("cap", 1, 10, 1.4, 5, True)]
    assert not log.has_bound


def test_a_limit_that_flickers_on_its_edge_is_one_record_and_one_that_grows_stricter_another():
    records = []
    log = LimitLog(0, records.append)
    log.note("cap", 2, 10, START_NS)
    log.note("cap", 1, 10, START_NS + 1)
    log.note("cap", 2, 11, START_NS + 2)
    log.note("cap", 3, 10, START_NS + 3)

    assert [(record.level, record.decisions, record.is_over) for record in records] == [
        (2, 1, False),
        (2, 3, True),
        (3, 1, False),
    ]


def test_what_binds_in_a_run_is_on_record_with_the_gate_s_refusals_and_halts():
    def cut(_params, _state, _view, _inventory, _advice, proposal):
        return RiskVerdict(
            1, proposal.bid, proposal.bid_size / 2, proposal.ask, proposal.ask_size, int(Reason.INVENTORY)
        )

    engine, _ = make_engine("AAA/USDT", controls=((RiskRule(cut, ()), Scope.MARKET),))
    actions = show(engine, 0)
    assert [action.size_lots for action in actions if isinstance(action, Submit)] == [5, 10]
    assert [(record.stage, record.level, record.reason) for record in engine.take_limits()] == [
        ("control-0", 1, int(Reason.INVENTORY))
    ]
    assert engine.take_limits() == []

    engine.handle(OperatorCommand(Command.KILL, START_NS + SECOND_NS, reason="enough"))
    engine.decide(START_NS + SECOND_NS)
    (halt, *_) = engine.take_limits()
    assert (halt.market, halt.stage, halt.level, halt.detail) == (ALL_MARKETS, "halt", RiskLevel.HALT, "killed: enough")

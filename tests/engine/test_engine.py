from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import LiquidationTerms
from mmframe.domain.market import NEVER_NS, BookState, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    BalanceUpdate,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderReport,
    OrderState,
    OrderStatus,
    OrderUpdate,
    QueryOrder,
    Request,
    Submit,
    VenueCapabilities,
    VenueStatus,
)
from mmframe.domain.records import AdviceUpdate, Command, OperatorCommand, StageKind
from mmframe.domain.views import NEUTRAL_ADVICE, Reason, RiskLevel, RiskVerdict
from mmframe.engine import Engine, client_id_prefix
from mmframe.engine.settings import (
    EngineSettings,
    FaultBudget,
    GateLimits,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
    NamedRiskControl,
)
from mmframe.engine.state import EngineState, RestoredFill, RestoredOrder, RestoredRun
from mmframe.errors import DomainError
from mmframe.testing import delta, gap, make_batch, make_instrument, snapshot, trade
from mmframe.testing.reference import ReferenceBook

SECOND_NS = 1_000_000_000


def quotes(bid=99.0, bid_size=10.0, ask=101.0, ask_size=10.0):
    from mmframe.domain.views import QuoteProposal

    return QuoteProposal(bid, bid_size, ask, ask_size, 0, 0)


def fill(client_id, side, ticks, lots, *, trade_id="1", now_ns=0, fee="0"):
    return Fill(0, client_id, trade_id, side, ticks, lots, True, Decimal(fee), "USDT", now_ns, now_ns)


def update(client_id, status, request=Request.STREAM, **fields):
    return OrderUpdate(0, client_id, status, request, fields.pop("now_ns", 0), fields.pop("receive_ns", 0), **fields)


def reasons(bench):
    status = bench.engine.status(bench.now_ns, started_ns=0, mode="paper").markets[0]
    return Reason(status.bid_reason), Reason(status.ask_reason)


def test_nothing_is_sent_before_the_book_is_in_sync(bench):
    made = bench()

    assert made.message(delta(bids=[(98, 5)], asks=[(102, 5)])) == []
    assert made.message(trade(Side.BUY, 100, 1)) == []
    assert reasons(made) == (Reason.BOOK_UNSYNCED, Reason.BOOK_UNSYNCED)


def test_the_first_snapshot_brings_both_quotes(bench):
    made = bench()

    assert made.book() == [
        Submit(0, "mm-demo-0-1", Side.BUY, 99, 10),
        Submit(0, "mm-demo-0-2", Side.SELL, 101, 10),
    ]


def test_a_decision_waits_for_the_requote_interval(quoting):
    quoting.quoter.answer = quotes(bid=98.0)
    quoting.now_ns += 50_000_000

    assert quoting.touch(bid=98, lots=7) == []
    assert quoting.engine.wake_ns == quoting.now_ns + 50_000_000
    assert quoting.after(0.05) == [Amend(0, "mm-demo-0-1", 98, 10, 1)]


def test_a_change_behind_the_touch_is_no_reason_to_decide(quoting):
    decisions = quoting.engine.decisions

    quoting.now_ns += SECOND_NS // 2
    quoting.touch(bid=90)

    assert quoting.engine.decisions == decisions


def test_quotes_are_looked_at_again_when_nothing_happens_for_long(quoting):
    decisions = quoting.engine.decisions

    quoting.after(0.99)
    assert quoting.engine.decisions == decisions
    quoting.after(0.01)

    assert quoting.engine.decisions == decisions + 1


def test_a_gap_pulls_quotes_at_once(quoting):
    quoting.now_ns += 1
    actions = quoting.message(gap())

    assert actions == [Cancel(0, "mm-demo-0-1"), Cancel(0, "mm-demo-0-2")]
    assert reasons(quoting) == (Reason.BOOK_UNSYNCED, Reason.BOOK_UNSYNCED)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (delta(bids=[(102, 5)]), Reason.BOOK_CROSSED),
        (delta(asks=[(102, 0), (103, 0)]), Reason.BOOK_EMPTY),
        (snapshot(bids=[], asks=[]), Reason.BOOK_EMPTY),
    ],
    ids=["crossed", "one side gone", "empty"],
)
def test_a_book_that_cannot_be_quoted_on_pulls_quotes_at_once(quoting, message, reason):
    quoting.now_ns += 1

    actions = quoting.message(message)

    assert actions == [Cancel(0, "mm-demo-0-1"), Cancel(0, "mm-demo-0-2")]
    assert reasons(quoting) == (reason, reason)


def test_quoting_resumes_with_the_next_snapshot(quoting):
    quoting.accept(quoting.message(gap()))
    quoting.now_ns += SECOND_NS

    assert [type(action) for action in quoting.book()] == [Submit, Submit]


def test_a_book_without_news_turns_stale_and_pulls_quotes_on_time(bench):
    made = bench(stale_after_ns=300_000_000)
    made.accept(made.book())
    made.after(0.1)

    assert made.engine.wake_ns == made.now_ns + 200_000_000
    assert made.after(0.199) == []
    assert [type(action) for action in made.after(0.001)] == [Cancel, Cancel]
    assert reasons(made) == (Reason.BOOK_STALE, Reason.BOOK_STALE)
    assert made.engine.wake_ns > made.now_ns + 1


def test_a_book_that_turns_stale_while_the_venue_is_down_is_not_decided_again_and_again(bench):
    made = bench(stale_after_ns=300_000_000)
    made.accept(made.book())
    made.accept(made.handle(VenueStatus(is_up=False, receive_ns=made.now_ns)))

    made.after(0.3)

    assert made.engine.wake_ns > made.now_ns + 1


def test_a_stale_book_is_quoted_again_after_any_message(bench):
    made = bench(stale_after_ns=300_000_000)
    made.accept(made.book())
    made.accept(made.after(0.3))

    made.now_ns += SECOND_NS
    actions = made.touch(bid=90)

    assert [type(action) for action in actions] == [Submit, Submit]


def test_a_fill_moves_the_position_and_the_quote_is_refilled(quoting):
    quoting.now_ns += SECOND_NS // 2

    actions = quoting.handle(fill("mm-demo-0-1", Side.BUY, 99, 10, now_ns=quoting.now_ns))

    status = quoting.engine.status(quoting.now_ns, started_ns=0, mode="paper").markets[0]
    assert (status.position, status.fills, status.pnl.spread_capture) == (Decimal(10), 1, Decimal(10))
    assert actions == [Submit(0, "mm-demo-0-3", Side.BUY, 99, 10)]


def test_a_fill_told_twice_counts_once(quoting):
    event = fill("mm-demo-0-1", Side.BUY, 99, 4, now_ns=quoting.now_ns)
    quoting.handle(event)
    before = quoting.engine.decision_hash()

    quoting.handle(event)

    assert quoting.engine.status(quoting.now_ns, started_ns=0, mode="paper").markets[0].position == 4
    assert quoting.engine.decision_hash() == before


def test_an_order_of_unknown_outcome_blocks_its_side_only(bench):
    made = bench()
    made.book()
    made.accept(made.sent[1:])
    made.now_ns += SECOND_NS

    made.engine.handle(update("mm-demo-0-1", OrderStatus.UNKNOWN, Request.SUBMIT, receive_ns=made.now_ns))
    actions = made.decide()

    assert actions == [QueryOrder(0, "mm-demo-0-1")]
    assert made.orders["mm-demo-0-1"] == ("BUY", 99, 10)


def test_a_request_without_answer_is_asked_about_and_never_sent_again(bench):
    made = bench(max_quote_age_ns=60 * SECOND_NS)
    made.book()

    assert made.engine.wake_ns == made.now_ns + 5 * SECOND_NS
    actions = made.after(5)
    assert actions == [QueryOrder(0, "mm-demo-0-1"), QueryOrder(0, "mm-demo-0-2")]
    actions = made.after(1)

    assert actions == [QueryOrder(0, "mm-demo-0-1"), QueryOrder(0, "mm-demo-0-2")]
    assert not any(isinstance(action, Submit) for action in made.sent[2:])


def test_a_stray_order_is_cancelled(quoting):
    report = OpenOrdersReport(0, (OrderReport("mm-demo-0-77", "", Side.BUY, 90, 1, 0),), quoting.now_ns, quoting.now_ns)

    assert Cancel(0, "mm-demo-0-77") in quoting.handle(report)


def test_a_venue_that_is_down_is_not_quoted_on(quoting):
    actions = quoting.handle(VenueStatus(is_up=False, receive_ns=quoting.now_ns))
    assert [type(action) for action in actions] == [Cancel, Cancel]
    assert reasons(quoting) == (Reason.VENUE_DOWN, Reason.VENUE_DOWN)

    quoting.accept(actions)
    quoting.now_ns += SECOND_NS
    assert [type(a) for a in quoting.handle(VenueStatus(is_up=True, receive_ns=quoting.now_ns))] == [Submit, Submit]


def test_pause_pulls_quotes_and_resume_brings_them_back(quoting):
    quoting.accept(quoting.handle(OperatorCommand(Command.PAUSE, quoting.now_ns)))
    assert quoting.orders == {}
    assert reasons(quoting) == (Reason.PAUSED, Reason.PAUSED)

    quoting.now_ns += SECOND_NS
    actions = quoting.handle(OperatorCommand(Command.RESUME, quoting.now_ns))

    assert [type(action) for action in actions] == [Submit, Submit]


def test_kill_cannot_be_resumed(quoting):
    quoting.handle(OperatorCommand(Command.KILL, quoting.now_ns, reason="fat finger"))
    quoting.handle(OperatorCommand(Command.RESUME, quoting.now_ns))

    assert quoting.engine.is_halted
    assert quoting.engine.halt_reason == "killed: fat finger"
    assert quoting.engine.state().is_killed
    assert quoting.book() == []


def test_a_daily_loss_halts_the_strategy_and_resume_releases_it(bench):
    made = bench(limits=GateLimits(max_daily_loss_quote=Decimal(20)))
    made.accept(made.book())
    made.handle(fill("mm-demo-0-1", Side.BUY, 99, 10, now_ns=made.now_ns))
    made.now_ns += SECOND_NS

    made.message(snapshot(bids=[(95, 50)], asks=[(98, 50)]))

    assert made.engine.is_halted
    assert made.engine.halt_reason == "daily loss 25.00 USDT, limit 20"
    assert reasons(made) == (Reason.DAILY_LOSS, Reason.DAILY_LOSS)
    made.accept(made.sent[-2:])
    made.message(snapshot(bids=[(99, 50)], asks=[(101, 50)]))
    assert made.after(5) == []
    assert [type(a) for a in made.handle(OperatorCommand(Command.RESUME, made.now_ns))] == [Submit, Submit]


@pytest.mark.parametrize("what", ["optimizer", "signal"])
def test_a_daily_loss_halts_also_while_a_stage_fails_and_a_control_could_close_positions(bench, what):
    signal = FailingRead()
    control = (lambda asked: RiskVerdict(0, *asked[:4], 0), Scope.STRATEGY, LiquidationTerms())
    limits = GateLimits(max_daily_loss_quote=Decimal(20))
    made = bench(limits=limits, controls=[control], signals=[("it", signal)], faults=FaultBudget(halt_after=99))
    made.accept(made.book())
    made.handle(fill("mm-demo-0-1", Side.BUY, 99, 10, now_ns=made.now_ns))
    made.now_ns += SECOND_NS
    if what == "optimizer":
        made.quoter.answer = ZeroDivisionError("spread")
    else:
        signal.is_failing = True

    made.message(snapshot(bids=[(95, 50)], asks=[(98, 50)]))

    assert made.engine.halt_reason == "daily loss 25.00 USDT, limit 20"
    assert made.engine.faults == 1


def test_a_new_day_starts_the_daily_loss_anew(bench):
    made = bench(limits=GateLimits(max_daily_loss_quote=Decimal(20)))
    made.accept(made.book())
    made.handle(fill("mm-demo-0-1", Side.BUY, 99, 10, now_ns=made.now_ns))
    made.message(snapshot(bids=[(97, 50)], asks=[(98, 50)]))
    day = made.engine.day

    made.after(86_400)
    made.message(snapshot(bids=[(95, 50)], asks=[(97, 50)]))

    assert made.engine.day == day + 1
    assert not made.engine.is_halted
    assert made.engine.state().day_start_pnl_quote == Decimal(-15)


def test_a_fault_is_skipped_then_pulls_quotes_then_halts(bench):
    made = bench(faults=FaultBudget(pull_after=2, halt_after=3))
    made.accept(made.book())
    made.quoter.answer = ZeroDivisionError("spread")

    assert made.after(1) == []
    assert made.engine.faults == 1
    assert [type(action) for action in made.after(1)] == [Cancel, Cancel]
    assert reasons(made) == (Reason.STRATEGY_ERROR, Reason.STRATEGY_ERROR)
    made.after(1)

    assert made.engine.is_halted
    assert made.engine.halt_reason == "3 strategy faults, last: optimizer 'quoter': ZeroDivisionError: spread"


def test_a_good_decision_ends_a_row_of_faults(bench):
    made = bench(faults=FaultBudget(pull_after=2, halt_after=20))
    made.accept(made.book())
    for _ in range(4):
        made.quoter.answer = ZeroDivisionError("spread")
        assert made.after(1) == []
        made.quoter.answer = quotes()
        made.after(1)

    assert made.engine.faults == 4
    assert made.orders


def test_a_risk_control_that_raises_halts_its_market_at_once(bench):
    made = bench(controls=[RuntimeError("limits file gone")])

    made.book()

    assert made.sent == []
    assert made.engine.is_halted
    assert made.engine.halt_reason == ""
    status = made.engine.status(made.now_ns, started_ns=0, mode="paper")
    assert status.halt_reason == "risk 'control-0': RuntimeError: limits file gone"
    assert status.markets[0].risk_level == RiskLevel.HALT


def test_a_risk_control_of_strategy_scope_halts_everything(bench):
    def stop(proposal):
        return RiskVerdict(3, 0.0, 0.0, 0.0, 0.0, int(Reason.DAILY_LOSS))

    made = bench(controls=[(stop, Scope.STRATEGY)])
    made.book()

    assert made.engine.halt_reason == "risk control 'control-0': daily loss"
    assert made.engine.state().halt_reason


def test_a_halt_with_a_plugins_own_reason_names_its_number(bench):
    made = bench(controls=[(lambda proposal: RiskVerdict(3, 0.0, 0.0, 0.0, 0.0, 1007), Scope.STRATEGY)])

    made.book()

    assert made.engine.halt_reason == "risk control 'control-0': reason 1007"


class FailingRead:
    on_touch = on_trade = None
    is_failing = False

    def read(self, now_ns, tick):
        if self.is_failing:
            raise ZeroDivisionError("volatility")
        return 0.0


class RaisingSignal:
    on_trade = None

    def __init__(self, where):
        self.where = where
        self.on_touch = self._touch

    def _touch(self, tick):
        if self.where == "touch":
            raise ValueError("bad touch")

    def read(self, now_ns, tick):
        if self.where == "read":
            raise ValueError("bad read")
        return 1.5


@pytest.mark.parametrize("where", ["touch", "read"])
def test_a_signal_that_raises_is_contained_and_counted(bench, where):
    made = bench(signals=[("volatility", RaisingSignal(where))])

    made.book()

    assert made.engine.faults >= 1
    assert f"ValueError: bad {where}" in made.engine.fault_notes[0]
    assert not made.engine.is_halted


def test_signals_reach_the_optimizer_by_name(bench):
    made = bench(signals=[("volatility", RaisingSignal("never"))])

    made.book()

    view = made.quoter.seen[0][0]
    assert view.signals.volatility == 1.5
    assert (view.bid, view.ask, view.mid, view.order_size) == (98.0, 102.0, 100.0, 10.0)


class TradeCounter:
    on_touch = None

    def __init__(self):
        self.trades = []
        self.on_trade = self.trades.append

    def read(self, now_ns, tick):
        return float(len(self.trades))


def test_trades_reach_the_signals_that_want_them(bench):
    counter = TradeCounter()
    made = bench(signals=[("flow", counter)])
    made.message(trade(Side.SELL, 100, 3))
    made.book()
    made.now_ns += SECOND_NS

    made.message(trade(Side.BUY, 101, 2))

    assert [(tick.price, tick.size, tick.side) for tick in counter.trades] == [(100.0, 3.0, -1.0), (101.0, 2.0, 1.0)]
    assert made.quoter.seen[-1][0].signals.flow == 2.0


def test_off_book_trades_are_nothing_to_anybody(bench):
    from mmframe.domain.market import MessageKind
    from mmframe.testing.builders import Message

    counter = TradeCounter()
    made = bench(signals=[("flow", counter)])
    made.book()

    made.message(Message(MessageKind.OFF_BOOK_TRADE, ((0, 50, 1),)))

    assert counter.trades == []


def test_advice_is_in_force_until_it_expires(quoting):
    advice = NEUTRAL_ADVICE._replace(size_multiplier=0.5, valid_until_ns=quoting.now_ns + 3 * SECOND_NS)
    quoting.handle(AdviceUpdate(0, advice, quoting.now_ns))

    quoting.after(2)
    assert quoting.quoter.seen[-1][2] is advice
    quoting.after(2)

    assert quoting.quoter.seen[-1][2] is NEUTRAL_ADVICE


def test_stop_cancels_everything_and_quotes_no_more(quoting):
    actions = [item.action for item in quoting.engine.stop(quoting.now_ns, "interrupted")]

    assert actions == [CancelAll(0, "interrupted")]
    quoting.engine.handle(update("mm-demo-0-1", OrderStatus.CANCELED, Request.CANCEL))
    quoting.engine.handle(update("mm-demo-0-2", OrderStatus.CANCELED, Request.CANCEL))
    assert not quoting.engine.has_live_orders
    assert quoting.engine.count_canceled(["mm-demo-0-1", "mm-demo-0-2", "other"]) == 2
    assert quoting.after(5) == []
    assert quoting.engine.stop(quoting.now_ns, "again") == []


def test_a_replacing_venue_is_used_as_it_can(bench):
    made = bench(capabilities=VenueCapabilities(can_replace=True, is_virtual=True))
    made.accept(made.book())
    made.quoter.answer = quotes(bid=98.0)

    actions = made.after(1)
    assert [type(action).__name__ for action in actions] == ["Replace"]
    made.accept(actions)

    assert set(made.orders.values()) == {("BUY", 98, 10), ("SELL", 101, 10)}


def test_an_order_ahead_of_its_target_is_cancelled_when_it_may_not_be_moved(bench):
    made = bench(limits=GateLimits(max_orders_per_second=2))
    made.accept(made.book())
    made.quoter.answer = quotes(bid=97.0, ask=103.0)

    actions = made.after(0.2)

    assert actions == [Cancel(0, "mm-demo-0-1"), Cancel(0, "mm-demo-0-2")]
    assert made.engine.last_rejections[-1].limit == "max_orders_per_second"


def test_an_order_larger_than_its_target_is_cancelled_when_it_may_not_be_shrunk(bench):
    made = bench(limits=GateLimits(max_orders_per_second=2))
    made.accept(made.book())
    made.quoter.answer = quotes(bid_size=3.0)

    assert made.after(0.2) == [Cancel(0, "mm-demo-0-1")]


def test_an_order_behind_its_target_keeps_its_place_when_it_may_not_be_moved(bench):
    made = bench(answer=quotes(bid=97.0, ask=103.0), limits=GateLimits(max_orders_per_second=2))
    made.accept(made.book(bid=96, ask=104))
    made.quoter.answer = quotes()

    assert made.after(0.2) == []
    assert len(made.orders) == 2
    assert [type(action) for action in made.after(1)] == [Amend, Amend]


def test_a_replace_for_which_there_is_no_room_becomes_a_cancel_and_a_submit(bench):
    made = bench(
        answer=quotes(bid=97.0, ask_size=0.0, ask=0.0),
        limits=GateLimits(max_position_lots=15),
        capabilities=VenueCapabilities(can_replace=True, is_virtual=True),
    )
    made.accept(made.book())
    made.quoter.answer = quotes(bid=98.0, ask_size=0.0, ask=0.0)

    cancel = made.after(1)
    made.accept(cancel)

    assert cancel == [Cancel(0, "mm-demo-0-1")]
    assert [(action.price_ticks, action.size_lots) for action in made.after(1)] == [(98, 10)]


@pytest.mark.parametrize("in_flight", ["submit", "amend"])
def test_a_quote_in_flight_when_the_book_is_lost_is_pulled_with_its_answer(bench, in_flight):
    made = bench(requote_interval_ns=10 * SECOND_NS)
    actions = made.book()
    if in_flight == "amend":
        made.accept(actions)
        made.quoter.answer = quotes(bid=98.0, ask=102.0)
        actions = made.after(10)
        assert [type(action) for action in actions] == [Amend, Amend]
    made.now_ns += 1_000_000
    assert made.message(gap()) == []

    made.now_ns += 1_000_000
    made.accept(actions)

    assert [type(action) for action in made.decide()] == [Cancel, Cancel]


def test_an_order_in_doubt_when_the_book_is_lost_is_pulled_as_soon_as_it_is_found(bench):
    made = bench(requote_interval_ns=10 * SECOND_NS)
    made.book()
    for client_id in ("mm-demo-0-1", "mm-demo-0-2"):
        made.engine.handle(update(client_id, OrderStatus.UNKNOWN, receive_ns=made.now_ns))
    made.decide()
    made.message(gap())
    made.now_ns += 1_000_000

    for client_id in ("mm-demo-0-1", "mm-demo-0-2"):
        made.engine.handle(update(client_id, OrderStatus.OPEN, Request.QUERY, receive_ns=made.now_ns, version=1))

    assert [type(action) for action in made.decide()] == [Cancel, Cancel]


def test_refused_actions_are_counted_and_shown(bench):
    made = bench(limits=GateLimits(price_collar_bps=50.0), records=True)
    made.book()

    assert made.sent == []
    assert made.engine.refused_count == 2
    record = made.engine.take_records()[-1]
    assert [rejection.limit for rejection in record.rejections] == ["price_collar_bps", "price_collar_bps"]


def test_a_record_explains_a_decision_stage_by_stage(bench):
    made = bench(records=True, signals=[("volatility", RaisingSignal("never"))])
    made.accept(made.book())
    made.after(1)

    first, second = made.engine.take_records()

    assert first.view["bid"] == 98.0
    assert first.view["signals.volatility"] == 1.5
    assert first.inventory["max_position"] is None
    assert [stage.kind for stage in first.stages] == [StageKind.OPTIMIZER, StageKind.ROUNDING]
    assert [(level.price_ticks, level.size_lots) for level in first.bids] == [(99, 10)]
    assert [type(action) for action in first.actions] == [Submit, Submit]
    assert second.kept == ("mm-demo-0-1", "mm-demo-0-2")
    assert made.engine.take_records() == []


def test_a_record_of_no_quote_names_the_precondition(bench):
    made = bench(records=True)
    made.message(gap())

    record = made.engine.take_records()[0]

    assert (record.stages[0].kind, record.stages[0].note) == (StageKind.ENGINE, "book_unsynced")
    assert record.bid_reason == Reason.BOOK_UNSYNCED
    assert record.view["bid"] is None
    assert record.inventory == {}


def test_a_record_of_a_skipped_decision_says_so(bench):
    made = bench(answer=ZeroDivisionError("x"), records=True)
    made.book()

    record = made.engine.take_records()[0]

    cause = "optimizer 'quoter': ZeroDivisionError: x"
    assert record.stages[-1].note == f"{cause}; decision skipped, orders left as they are"
    assert record.bid_reason == Reason.STRATEGY_ERROR


def run_script(made):
    made.accept(made.book())
    made.after(0.5)
    made.handle(fill("mm-demo-0-1", Side.BUY, 99, 4, now_ns=made.now_ns))
    made.quoter.answer = quotes(bid=97.0)
    made.accept(made.after(1))
    made.touch(ask=103)
    made.after(1)
    return made.engine.decision_hash()


def test_the_same_events_give_the_same_hash_and_recording_changes_nothing(bench):
    assert run_script(bench()) == run_script(bench()) == run_script(bench(records=True))


def test_another_decision_gives_another_hash(bench):
    assert run_script(bench()) != run_script(bench(answer=quotes(ask=102.0)))


def test_a_restored_run_has_its_position_profit_and_halt_and_doubts_its_orders(quoting, bench):
    quoting.handle(fill("mm-demo-0-1", Side.BUY, 99, 4, now_ns=quoting.now_ns, fee="0.5"))
    before = quoting.engine.status(quoting.now_ns, started_ns=0, mode="paper").markets[0]
    state = quoting.engine.state()

    again = bench()
    again.engine.restore(
        RestoredRun(
            state=state,
            orders=(RestoredOrder(0, "mm-demo-0-1", Side.BUY, 99, 10, 4, OrderState.PARTIALLY_FILLED, 1),),
            fills=(RestoredFill(fill("mm-demo-0-1", Side.BUY, 99, 4, fee="0.5"), 200),),
        )
    )
    again.now_ns = quoting.now_ns

    after = again.engine.status(again.now_ns, started_ns=0, mode="paper").markets[0]
    assert (after.position, after.pnl, after.average_price) == (before.position, before.pnl, before.average_price)
    assert again.engine.wake_ns == 0
    assert again.decide() == [QueryOrder(0, "mm-demo-0-1")]
    again.now_ns += SECOND_NS // 2
    assert [action.client_id for action in again.book() if isinstance(action, Submit)] == ["mm-demo-0-3"]


def test_a_latched_halt_survives_a_restart(bench):
    made = bench()
    made.engine.restore(RestoredRun(EngineState(halt_reason="daily loss", is_killed=False), (), ()))

    assert made.book() == []
    assert made.engine.is_halted


def test_only_a_fresh_engine_can_be_restored(quoting):
    with pytest.raises(DomainError, match="has handled nothing yet"):
        quoting.engine.restore(RestoredRun(EngineState(), (), ()))


def test_an_event_of_a_market_that_is_not_there_is_refused(quoting):
    with pytest.raises(DomainError, match="market: expected an index below 1, was 3"):
        quoting.engine.handle(OpenOrdersReport(3, (), 0, 0))


def test_balances_are_kept(quoting):
    quoting.engine.handle(BalanceUpdate("USDT", Decimal(5), Decimal(0), 0))

    assert quoting.engine.balances["USDT"].free == Decimal(5)


def test_an_engine_needs_one_pipeline_a_market():
    settings = EngineSettings("demo", "0", (MarketSettings(make_instrument(), 1, GateLimits()),))

    with pytest.raises(DomainError, match="expected one pipeline a market"):
        Engine(settings, [], VenueCapabilities())


def test_client_ids_fit_every_venue():
    prefix = client_id_prefix("A very long strategy name, with spaces & signs")

    assert prefix == "mm-averylongstrat"
    assert len(f"{prefix}-12345678-999999") <= 36


def test_status_shows_working_orders_and_events(quoting):
    status = quoting.engine.status(quoting.now_ns, started_ns=7, mode="paper")
    market = status.markets[0]

    assert (market.our_bid, market.our_ask, market.bid, market.ask) == (99, 101, 98, 102)
    assert [(order.side, order.state) for order in market.working] == [("buy", "open"), ("sell", "open")]
    assert market.book_state is BookState.SYNCED
    assert status.events == quoting.engine.events == 3
    assert quoting.engine.book(0).touch().bid_ticks == 98
    assert quoting.engine.mark_half_ticks(0) == 200
    assert quoting.engine.last_sequence == 2
    assert quoting.engine.unresolved_ids() == ("mm-demo-0-1", "mm-demo-0-2")


def test_two_markets_share_the_daily_loss_of_one_quote_asset_and_nothing_else(bench):
    instruments = [
        make_instrument(symbol, tick_size="1", lot_size="1") for symbol in ("BTC/USDT", "ETH/USDT", "ETH/BTC")
    ]
    quoters = [bench().quoter for _ in instruments]
    engine = Engine(
        EngineSettings(
            "demo",
            "0",
            tuple(MarketSettings(each, 10, GateLimits(max_daily_loss_quote=Decimal(20))) for each in instruments),
        ),
        [MarketPipeline(ReferenceBook(), (), (NamedOptimizer("q", quoter),), ()) for quoter in quoters],
        VenueCapabilities(is_virtual=True),
    )
    now_ns = 1_800_000_000 * SECOND_NS
    for index in range(3):
        batch = make_batch(snapshot(bids=[(98, 5)], asks=[(102, 5)]), market=index, start_ns=now_ns)
        engine.on_market(batch, 0)
    engine.decide(now_ns)
    engine.handle(Fill(1, "x", "1", Side.BUY, 100, 30, True, Decimal(0), "USDT", now_ns, now_ns))
    engine.handle(OperatorCommand(Command.PAUSE, now_ns, market=ALL_MARKETS))
    engine.handle(OperatorCommand(Command.RESUME, now_ns, market=ALL_MARKETS))

    engine.on_market(make_batch(delta(bids=[(98, 1)]), market=2, start_ns=now_ns + SECOND_NS), 0)
    engine.decide(now_ns + SECOND_NS)
    assert not engine.is_halted
    assert quoters[0].seen[-1][1].total_notional_quote == 3000.0
    assert quoters[2].seen[-1][1].total_notional_quote == 0.0
    engine.on_market(
        make_batch(snapshot(bids=[(96, 5)], asks=[(102, 5)]), market=1, start_ns=now_ns + 2 * SECOND_NS), 0
    )
    engine.decide(now_ns + 2 * SECOND_NS)

    assert engine.halt_reason == "daily loss 30.00 USDT, limit 20"
    assert engine.wake_ns < NEVER_NS


def two_markets(bench, *, controls=((), ()), symbols=("BTC/USDT", "ETH/BTC"), limits=None, **fields):
    """Return an engine of two markets that quote 99/101, both books at 98/102, and its two quoters."""
    instruments = [make_instrument(symbol, tick_size="1", lot_size="1") for symbol in symbols]
    quoters = [bench().quoter for _ in instruments]
    engine = Engine(
        EngineSettings(
            "demo", "0", tuple(MarketSettings(each, 10, limits or GateLimits()) for each in instruments), **fields
        ),
        [
            MarketPipeline(
                ReferenceBook(),
                (),
                (NamedOptimizer("q", quoter),),
                tuple(NamedRiskControl(f"r{number}", control) for number, control in enumerate(market_controls)),
            )
            for quoter, market_controls in zip(quoters, controls, strict=True)
        ],
        VenueCapabilities(is_virtual=True),
    )
    return engine, quoters


def show_books(engine, now_ns, *, markets=(0, 1), bid=98, ask=102):
    for market in markets:
        batch = make_batch(snapshot(bids=[(bid, 50)], asks=[(ask, 50)]), market=market, start_ns=now_ns)
        engine.on_market(batch, 0)
    return [item.action for item in engine.decide(now_ns)]


class Stopper:
    """A risk control that halts its market."""

    def assess(self, view, inventory, advice, proposal):
        return RiskVerdict(3, 0.0, 0.0, 0.0, 0.0, int(Reason.INVENTORY))


def test_a_halt_of_one_market_leaves_the_other_and_survives_a_restart(bench):
    engine, _ = two_markets(bench, controls=((Stopper(),), ()))
    now_ns = 1_800_000_000 * SECOND_NS

    assert [action.market for action in show_books(engine, now_ns)] == [1, 1]
    assert not engine.is_halted
    again, _ = two_markets(bench)
    again.restore(RestoredRun(engine.state(), (), ()))

    assert [action.market for action in show_books(again, now_ns)] == [1, 1]
    assert again.status(now_ns, started_ns=0, mode="paper").halt_reason == "risk control 'r0': inventory"


def test_a_halt_of_the_only_market_survives_a_restart(bench):
    made = bench(controls=[RuntimeError("limits file gone")])
    made.book()

    again = bench()
    again.engine.restore(RestoredRun(made.engine.state(), (), ()))

    assert again.engine.is_halted
    assert again.book() == []


def test_a_pause_survives_a_restart(quoting, bench):
    quoting.handle(OperatorCommand(Command.PAUSE, quoting.now_ns))

    again = bench()
    again.engine.restore(RestoredRun(quoting.engine.state(), (), ()))

    assert again.book() == []
    assert [type(action) for action in again.handle(OperatorCommand(Command.RESUME, again.now_ns))] == [Submit, Submit]


def test_a_command_for_one_market_is_for_that_market_only(bench):
    engine, _ = two_markets(bench, controls=((Stopper(),), ()))
    now_ns = 1_800_000_000 * SECOND_NS
    show_books(engine, now_ns)
    engine.handle(OperatorCommand(Command.PAUSE, now_ns, market=1))
    status = engine.status(now_ns, started_ns=0, mode="paper")
    assert "r0" in status.halt_reason

    engine.handle(OperatorCommand(Command.RESUME, now_ns, market=1))
    engine.decide(now_ns + SECOND_NS)

    status = engine.status(now_ns, started_ns=0, mode="paper")
    assert "r0" in status.halt_reason
    assert status.markets[1].bid_reason == 0


def test_a_command_for_a_market_that_is_not_there_is_refused(quoting):
    with pytest.raises(DomainError, match="market: expected an index below 1, was 4"):
        quoting.engine.handle(OperatorCommand(Command.PAUSE, quoting.now_ns, market=4))


def test_the_start_of_the_day_comes_back_for_every_quote_asset(bench):
    limits = GateLimits(max_daily_loss_quote=Decimal(20))
    engine, _ = two_markets(bench, limits=limits)
    now_ns = 1_800_000_000 * SECOND_NS
    fills = (
        Fill(0, "x", "1", Side.BUY, 103, 10, True, Decimal(0), "USDT", now_ns, now_ns),
        Fill(1, "y", "2", Side.BUY, 103, 10, True, Decimal(0), "BTC", now_ns, now_ns),
    )
    for each in fills:
        engine.handle(each)
    show_books(engine, now_ns)
    # The next day begins at a loss of 30 in either asset, which is not today's.
    next_ns = now_ns + 86_400 * SECOND_NS
    engine.decide(next_ns)

    again, quoters = two_markets(bench, limits=limits)
    again.restore(RestoredRun(engine.state(), (), tuple(RestoredFill(each, 206) for each in fills)))
    show_books(again, next_ns)

    assert not again.is_halted
    assert [quoter.seen[-1][1].day_pnl_quote for quoter in quoters] == [0.0, 0.0]


def test_a_restored_position_is_marked_where_the_market_was_last_seen(bench):
    fills = [
        RestoredFill(Fill(0, "x", "1", Side.BUY, 50, 10, True, Decimal(0), "USDT", 0, 0), 100),
        RestoredFill(Fill(0, "x", "2", Side.BUY, 100, 10, True, Decimal(0), "USDT", 0, 0), 200),
    ]
    made = bench(limits=GateLimits(max_daily_loss_quote=Decimal(20)))
    made.engine.restore(RestoredRun(EngineState(day=1), (), tuple(fills)))

    # A new day: what was earned before it is not today's.
    made.decide()
    made.book()

    assert made.quoter.seen[-1][1].day_pnl_quote == 0.0


@pytest.mark.parametrize("mid", [80, 100, 120])
def test_what_the_market_did_while_a_run_was_away_over_midnight_is_not_todays_profit(bench, mid):
    bought = RestoredFill(Fill(0, "x", "1", Side.BUY, 100, 10, True, Decimal(0), "USDT", 0, 0), 200)
    lost = RestoredOrder(0, "mm-demo-0-1", Side.BUY, 90, 2, 0, OrderState.OPEN)
    made = bench(limits=GateLimits(max_daily_loss_quote=Decimal(50)), requote_interval_ns=0)
    made.engine.restore(RestoredRun(EngineState(day=1), (lost,), (bought,)))
    # The venue answers before the feed: an order has filled meanwhile, at 90.
    made.decide()
    made.handle(Fill(0, lost.client_id, "2", Side.BUY, 90, 2, True, Decimal(0), "USDT", made.now_ns, made.now_ns))

    made.book(bid=mid - 2, ask=mid + 2)

    assert not made.engine.is_halted
    assert made.quoter.seen[-1][1].day_pnl_quote == 2 * (mid - 90)
    assert made.engine.state().day_start_pnl_quote == 10 * (mid - 100)


def test_a_day_that_began_without_a_book_is_valued_by_the_first_one_also_in_the_next_process(bench):
    bought = RestoredFill(Fill(0, "x", "1", Side.BUY, 100, 10, True, Decimal(0), "USDT", 0, 0), 200)
    first = bench()
    first.engine.restore(RestoredRun(EngineState(day=1), (), (bought,)))
    first.decide()
    first.engine.handle(OperatorCommand(Command.PAUSE, first.now_ns))
    first.decide()

    # Its process dies before the feed's first book.
    again = bench(limits=GateLimits(max_daily_loss_quote=Decimal(50)))
    again.engine.restore(RestoredRun(first.engine.state(), (), (bought,)))
    again.engine.handle(OperatorCommand(Command.RESUME, again.now_ns))
    again.book(bid=78, ask=82)

    assert not again.engine.is_halted
    assert again.quoter.seen[-1][1].day_pnl_quote == 0.0
    assert again.engine.state().old_marks == {}


def test_a_halt_outside_a_decision_wakes_every_market_at_once(bench):
    engine, _ = two_markets(bench, faults=FaultBudget(halt_after=1), max_quote_age_ns=60 * SECOND_NS)
    now_ns = 1_800_000_000 * SECOND_NS
    for action in show_books(engine, now_ns):
        event = OrderUpdate(action.market, action.client_id, OrderStatus.OPEN, Request.SUBMIT, now_ns, now_ns)
        engine.handle(event)
    engine.decide(now_ns + SECOND_NS)
    engine._markets[1]._apply = Raiser()

    engine.on_market(make_batch(delta(bids=[(98, 1)]), market=1, start_ns=now_ns + 2 * SECOND_NS), 0)

    assert engine.wake_ns <= now_ns + 2 * SECOND_NS
    assert len(engine.decide(now_ns + 2 * SECOND_NS)) == 4


class Raiser:
    def __call__(self, *arguments):
        raise IndexError("level")


@pytest.mark.parametrize("message", [delta(bids=[(98, 7)]), snapshot(bids=[(98, 7)], asks=[(102, 7)])])
def test_a_book_that_raises_is_not_quoted_on_until_the_next_snapshot(quoting, message):
    market = quoting.engine._markets[0]
    apply, market._apply = market._apply, Raiser()
    quoting.now_ns += 1

    actions = quoting.message(message)

    assert [type(action) for action in actions] == [Cancel, Cancel]
    assert reasons(quoting) == (Reason.BOOK_UNSYNCED, Reason.BOOK_UNSYNCED)
    assert quoting.engine.fault_notes[-1] == "book: IndexError: level"
    market._apply = apply
    quoting.accept(actions)
    quoting.now_ns += SECOND_NS
    assert [type(action) for action in quoting.book()] == [Submit, Submit]


def test_a_signal_that_raises_for_ever_halts_within_the_budget(bench):
    made = bench(signals=[("volatility", RaisingSignal("touch"))], faults=FaultBudget(pull_after=3, halt_after=10))
    made.book()

    for size in range(20):
        made.now_ns += 1_000_000
        made.touch(bid=98, lots=size + 1)

    assert made.engine.is_halted
    assert "signal 'volatility': ValueError: bad touch" in made.engine.halt_reason


def test_quotes_are_looked_at_again_when_advice_expires(bench):
    made = bench(max_quote_age_ns=60 * SECOND_NS)
    made.accept(made.book())
    until_ns = made.now_ns + 3 * SECOND_NS
    made.handle(AdviceUpdate(0, NEUTRAL_ADVICE._replace(pause=1.0, valid_until_ns=until_ns), made.now_ns))
    made.after(0.2)

    assert made.engine.wake_ns == until_ns + 1
    made.after(2.8)
    made.now_ns += 1
    made.decide()
    assert made.quoter.seen[-1][2] is NEUTRAL_ADVICE


@pytest.mark.parametrize(
    "answer",
    [quotes(ask=1e14, ask_size=1e14), quotes(bid_size=9e18), quotes()._replace(bid_reason=object())],
    ids=["price", "size", "reason"],
)
def test_an_answer_that_cannot_be_put_into_numbers_is_a_fault(bench, answer):
    made = bench(instrument=make_instrument(tick_size="0.00000001", lot_size="0.00000001"))
    made.quoter.answer = answer

    made.book()

    assert made.engine.faults == 1
    assert made.sent == []


def test_a_cancel_that_is_refused_again_and_again_leaves_room_for_others(bench):
    made = bench(query_interval_ns=SECOND_NS)
    made.accept(made.book())
    made.engine.handle(OperatorCommand(Command.PAUSE, made.now_ns))
    bid = "mm-demo-0-1"
    cancels = []

    for step in range(40):
        sent = made.decide()
        cancels += [step for action in sent if action == Cancel(0, bid)]
        if Cancel(0, bid) in sent:
            for answer in (
                update(bid, OrderStatus.UNCHANGED, Request.CANCEL, receive_ns=made.now_ns),
                update(bid, OrderStatus.OPEN, Request.QUERY, size_lots=10, receive_ns=made.now_ns),
            ):
                made.engine.handle(answer)
        made.now_ns += SECOND_NS // 10

    # Three as fast as decisions are made, then one a second.
    assert cancels[:3] == [0, 1, 2]
    assert len(cancels) == 6


def test_an_order_that_came_to_the_venue_after_the_cancel_all_is_cancelled_as_soon_as_it_shows_up(bench):
    made = bench()
    bid, ask = made.book()
    made.engine.stop(made.now_ns, "interrupted")

    def news(client_id, status, request):
        return made.handle(OrderUpdate(0, client_id, status, request, made.now_ns, made.now_ns, version=1))

    assert news(bid.client_id, OrderStatus.OPEN, Request.SUBMIT) == [Cancel(0, bid.client_id)]
    # The other one was there in time.
    assert news(ask.client_id, OrderStatus.CANCELED, Request.STREAM) == []
    news(bid.client_id, OrderStatus.CANCELED, Request.CANCEL)
    assert not made.engine.has_live_orders


def test_a_market_that_was_killed_stays_so_until_it_is_named(bench):
    engine, _ = two_markets(bench)
    now_ns = 1_800_000_000 * SECOND_NS
    show_books(engine, now_ns)

    engine.handle(OperatorCommand(Command.KILL, now_ns, market=1, reason="delisted"))
    engine.handle(OperatorCommand(Command.RESUME, now_ns))
    engine.decide(now_ns + SECOND_NS)

    again, _ = two_markets(bench)
    again.restore(RestoredRun(engine.state(), (), ()))
    for each in (engine, again):
        assert (each.is_stopped_by_operator(0), each.is_stopped_by_operator(1)) == (False, True)
        assert each.state().market_halts == ("", "killed: delisted")
        assert not each.is_halted
    engine.handle(OperatorCommand(Command.RESUME, now_ns + SECOND_NS, market=1))
    assert engine.state().market_halts == ()
    assert engine.state().killed_markets == ()

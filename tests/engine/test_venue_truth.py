"""A live venue's own lists against ours: before the first quote, after each break, after the last order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.domain.kinds import OnOpenOrders, OnPosition
from mmframe.domain.market import Side
from mmframe.domain.orders import (
    Amend,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderReport,
    OrderState,
    OrderStatus,
    OrderUpdate,
    PositionReport,
    QueryOpenOrders,
    QueryOrder,
    Request,
    Submit,
    VenueCapabilities,
    VenueStatus,
)
from mmframe.domain.views import Reason
from mmframe.engine.state import EngineState, RestoredFill, RestoredOrder, RestoredRun

LIVE = VenueCapabilities(can_amend=True)
DERIVATIVES = VenueCapabilities(can_amend=True, reports_positions=True)
STRAY = OrderReport("mm-demo-old-7", "77", Side.BUY, 90, 4, 0)


def live(bench, **fields):
    return bench(requote_interval_ns=0, **fields)


def up(made):
    return made.handle(VenueStatus(is_up=True, receive_ns=made.now_ns))


def down(made):
    return made.handle(VenueStatus(is_up=False, receive_ns=made.now_ns, reason="private stream lost"))


def listed(made, *orders):
    return made.handle(OpenOrdersReport(0, orders, made.now_ns, made.now_ns))


def position(made, lots, *, mark=100):
    return made.handle(PositionReport(0, lots, mark, made.now_ns, made.now_ns))


def opening(made):
    """Do what a driver does before each decision."""
    fills = made.engine.opening_fills(made.now_ns)
    for fill in fills:
        made.engine.handle(fill)
    return fills


def kinds(actions):
    return [type(action) for action in actions]


def bid_reason(made):
    return made.engine.status(made.now_ns, started_ns=0, mode="live").markets[0].bid_reason


def test_nothing_is_quoted_until_the_venue_is_up_and_its_open_orders_agree(bench):
    made = live(bench, capabilities=LIVE)

    assert made.book() == []
    assert bid_reason(made) == Reason.VENUE_DOWN
    assert up(made) == [QueryOpenOrders(0)]
    assert bid_reason(made) == Reason.NOT_COMPARED
    assert kinds(listed(made)) == [Submit, Submit]


def test_the_list_is_asked_for_again_until_it_comes(bench):
    made = live(bench, capabilities=LIVE)
    made.book()

    assert up(made) == [QueryOpenOrders(0)]
    assert made.engine.wake_ns <= made.now_ns + 1_000_000_000
    assert made.after(0.5) == []
    assert made.after(0.5) == [QueryOpenOrders(0)]


def test_orders_of_an_earlier_run_are_cancelled_before_the_first_quote(bench):
    made = live(bench, capabilities=LIVE)
    made.book()
    up(made)

    assert listed(made, STRAY) == [Cancel(0, "mm-demo-old-7")]
    assert bid_reason(made) == Reason.NOT_COMPARED
    assert made.after(1) == [QueryOpenOrders(0)]
    assert listed(made, STRAY) == [Cancel(0, "mm-demo-old-7")]
    assert made.after(1) == [QueryOpenOrders(0)]
    assert kinds(listed(made)) == [Submit, Submit]


def test_orders_of_others_are_left_alone(bench):
    made = live(bench, capabilities=LIVE)
    made.book()
    up(made)
    foreign = [
        OrderReport("web_1a2b", "5", Side.BUY, 90, 4, 0),
        OrderReport("mm-demo2-0-1", "6", Side.BUY, 90, 4, 0),
    ]

    assert kinds(listed(made, *foreign)) == [Submit, Submit]


def test_a_fill_of_a_stray_counts(bench):
    made = live(bench, capabilities=LIVE)
    made.book()
    up(made)
    listed(made, STRAY)

    made.engine.handle(
        Fill(0, STRAY.client_id, "t1", Side.BUY, 90, 4, True, Decimal(0), "USDT", made.now_ns, made.now_ns)
    )

    assert made.engine.status(made.now_ns, started_ns=0, mode="live").markets[0].position == 4


def test_adopted_orders_become_quotes_and_those_with_fills_are_cancelled(bench):
    made = live(bench, capabilities=LIVE, on_open_orders=OnOpenOrders.ADOPT)
    made.book()
    up(made)
    filled = OrderReport("mm-demo-old-8", "78", Side.SELL, 120, 4, 1)

    assert listed(made, STRAY, filled) == [Cancel(0, "mm-demo-old-8")]
    assert made.after(1) == [QueryOpenOrders(0)]
    actions = listed(made, STRAY)

    # The adopted bid is moved to where the strategy wants it; the ask is new.
    assert kinds(actions) == [Amend, Submit]
    assert actions[0].client_id == "mm-demo-old-7"


def test_refusing_halts_and_leaves_the_orders_where_they_are(bench):
    made = live(bench, capabilities=LIVE, on_open_orders=OnOpenOrders.REFUSE)
    made.book()
    up(made)

    assert listed(made, STRAY) == []
    assert made.engine.is_halted
    assert "mm-demo-old-7" in made.engine.status(made.now_ns, started_ns=0, mode="live").halt_reason
    assert [item.action for item in made.engine.stop(made.now_ns, "halted")] == []
    assert made.after(5) == []
    assert made.engine.is_end_known
    assert not made.engine.is_confirmed_empty


def test_a_broken_private_stream_pulls_the_quotes_and_everything_is_compared_again(bench):
    made = live(bench, capabilities=LIVE)
    made.book()
    up(made)
    made.accept(listed(made))

    assert kinds(down(made)) == [Cancel, Cancel]
    assert up(made) == [QueryOpenOrders(0)]
    assert bid_reason(made) == Reason.NOT_COMPARED


def test_answers_not_found_from_before_and_after_a_break_prove_nothing_together(bench):
    made = live(bench, capabilities=LIVE, acknowledge_timeout_ns=1_000_000_000)
    made.book()
    up(made)
    submit, _ = listed(made)

    def not_found():
        made.engine.handle(
            OrderUpdate(0, submit.client_id, OrderStatus.NOT_FOUND, Request.QUERY, made.now_ns, made.now_ns)
        )

    made.after(2)
    not_found()
    down(made)
    up(made)
    made.after(2)
    not_found()
    assert submit.client_id in made.engine.unresolved_ids()
    made.after(2)
    not_found()
    assert submit.client_id not in made.engine.unresolved_ids()


def test_absence_is_no_proof_while_the_request_may_still_take_effect(bench):
    slow = VenueCapabilities(can_amend=True, absence_delay_ns=20_000_000_000)
    made = live(bench, capabilities=slow, acknowledge_timeout_ns=1_000_000_000)
    made.book()
    up(made)
    submit, _ = listed(made)

    for _ in range(9):
        made.after(2)
        made.engine.handle(
            OrderUpdate(0, submit.client_id, OrderStatus.NOT_FOUND, Request.QUERY, made.now_ns, made.now_ns)
        )
        assert submit.client_id in made.engine.unresolved_ids()
    made.after(2)
    made.engine.handle(OrderUpdate(0, submit.client_id, OrderStatus.NOT_FOUND, Request.QUERY, made.now_ns, made.now_ns))
    assert submit.client_id not in made.engine.unresolved_ids()


def test_a_run_is_over_when_the_venue_has_listed_nothing_of_ours_twice(bench):
    made = live(bench, capabilities=LIVE)
    made.book()
    up(made)
    made.accept(listed(made))
    foreign = OrderReport("web_1", "5", Side.BUY, 90, 4, 0)

    stopping = [item.action for item in made.engine.stop(made.now_ns, "interrupted")]
    assert kinds(stopping) == [CancelAll]
    assert made.after(1) == []
    for client_id in made.engine.unresolved_ids():
        made.engine.handle(OrderUpdate(0, client_id, OrderStatus.CANCELED, Request.CANCEL, made.now_ns, made.now_ns))
    assert made.after(1) == [QueryOpenOrders(0)]
    listed(made, foreign)
    assert not made.engine.is_confirmed_empty
    # One of ours shows up after all: it goes, and the count begins anew.
    assert made.after(1) == [QueryOpenOrders(0)]
    assert listed(made, STRAY) == [Cancel(0, "mm-demo-old-7")]
    for _ in range(2):
        assert not made.engine.is_confirmed_empty
        assert made.after(1) == [QueryOpenOrders(0)]
        listed(made, foreign)
    assert made.engine.is_confirmed_empty
    assert made.after(5) == []


def test_the_end_is_confirmed_even_while_the_private_stream_is_away(bench):
    made = live(bench, capabilities=LIVE)
    made.book()

    made.engine.stop(made.now_ns, "interrupted")

    assert made.decide() == [QueryOpenOrders(0)]
    listed(made)
    made.after(1)
    listed(made)
    assert made.engine.is_confirmed_empty


def test_a_venue_that_keeps_positions_tells_one_before_the_first_quote(bench):
    made = live(bench, capabilities=DERIVATIVES)
    made.book()
    up(made)

    assert listed(made) == []
    assert bid_reason(made) == Reason.NOT_COMPARED
    assert kinds(position(made, 0)) == [Submit, Submit]


def test_an_unknown_position_halts(bench):
    made = live(bench, capabilities=DERIVATIVES)
    made.book()
    up(made)
    listed(made)

    assert position(made, 5) == []

    assert made.engine.is_halted
    reason = made.engine.status(made.now_ns, started_ns=0, mode="live").halt_reason
    assert reason.startswith("position at the venue is 5 BTC, by the fills of this run 0; go on with its journal")


@pytest.mark.parametrize(("lots", "side"), [(5, Side.BUY), (-5, Side.SELL)])
def test_an_adopted_position_is_an_opening_execution_at_the_mark(bench, lots, side):
    made = live(bench, capabilities=DERIVATIVES, on_position=OnPosition.ADOPT)
    made.book()
    up(made)
    listed(made)
    made.engine.handle(PositionReport(0, lots, 99, made.now_ns, made.now_ns))

    fills = opening(made)

    assert [(fill.side, fill.price_ticks, fill.size_lots, fill.fee) for fill in fills] == [(side, 99, 5, 0)]
    assert opening(made) == []
    assert kinds(made.decide()) == [Submit, Submit]
    assert made.engine.status(made.now_ns, started_ns=0, mode="live").markets[0].position == lots


def test_a_position_is_adopted_once_no_order_of_an_earlier_run_can_tell_its_fills_any_more(bench):
    made = live(bench, capabilities=DERIVATIVES, on_position=OnPosition.ADOPT)
    made.book()
    position(made, 5)
    up(made)
    partly_filled = OrderReport("mm-demo-old-7", "77", Side.BUY, 90, 4, 3)

    assert listed(made, partly_filled) == [Cancel(0, "mm-demo-old-7")]
    assert opening(made) == []
    made.engine.handle(
        Fill(0, "mm-demo-old-7", "t1", Side.BUY, 90, 3, True, Decimal(0), "USDT", made.now_ns, made.now_ns)
    )
    made.after(1)
    made.engine.handle(OpenOrdersReport(0, (), made.now_ns, made.now_ns))
    (adopted,) = opening(made)

    assert (adopted.side, adopted.size_lots) == (Side.BUY, 2)
    assert kinds(made.decide()) == [Submit, Submit]


def test_a_position_without_a_mark_price_cannot_be_adopted(bench):
    made = live(bench, capabilities=DERIVATIVES, on_position=OnPosition.ADOPT)
    made.book()
    up(made)
    listed(made)

    made.engine.handle(PositionReport(0, 5, 0, made.now_ns, made.now_ns))

    assert opening(made) == []
    made.decide()
    assert made.engine.is_halted
    assert "told no mark price" in made.engine.status(made.now_ns, started_ns=0, mode="live").halt_reason


def test_fills_and_positions_may_come_in_any_order_within_the_grace(bench):
    made = live(bench, capabilities=DERIVATIVES)
    made.book()
    up(made)
    listed(made)
    made.accept(position(made, 0))
    bid = next(action for action in made.sent if isinstance(action, Submit) and action.side == Side.BUY)

    position(made, 3)
    made.after(5)
    assert not made.engine.is_halted
    made.engine.handle(
        Fill(0, bid.client_id, "t1", Side.BUY, bid.price_ticks, 3, True, Decimal(0), "USDT", made.now_ns, made.now_ns)
    )
    made.after(60)
    assert not made.engine.is_halted


def test_a_position_that_stays_another_halts_the_market(bench):
    made = live(bench, capabilities=DERIVATIVES, position_grace_ns=3_000_000_000)
    made.book()
    up(made)
    listed(made)
    made.accept(position(made, 0))

    position(made, 3)
    assert made.engine.wake_ns <= made.now_ns + 3_000_000_000
    made.after(2)
    assert not made.engine.is_halted
    actions = made.after(1)

    assert made.engine.is_halted
    assert kinds(actions) == [Cancel, Cancel]


def test_a_resumed_run_waits_for_what_became_of_its_orders_before_it_judges_the_position(bench):
    made = live(bench, capabilities=DERIVATIVES)
    order = RestoredOrder(0, "mm-demo-0-1", Side.BUY, 99, 10, 0, OrderState.OPEN, 1, "5")
    made.engine.restore(RestoredRun(EngineState(last_sequence=1), (order,), ()))
    made.book()
    assert QueryOpenOrders(0) in up(made)
    listed(made)
    position(made, 10)
    assert not made.engine.is_halted

    made.engine.handle(
        Fill(0, "mm-demo-0-1", "t1", Side.BUY, 99, 10, True, Decimal(0), "USDT", made.now_ns, made.now_ns)
    )
    actions = made.after(1)

    assert not made.engine.is_halted
    assert kinds(action for action in actions if not isinstance(action, QueryOrder | QueryOpenOrders)) == [Submit] * 2


def test_a_resumed_run_adopts_a_position_that_changed_while_it_was_away(bench):
    first = live(bench, capabilities=DERIVATIVES, on_position=OnPosition.ADOPT)
    first.book()
    up(first)
    listed(first)
    first.engine.handle(PositionReport(0, 5, 99, first.now_ns, first.now_ns))
    (before,) = opening(first)
    resumed = live(bench, capabilities=DERIVATIVES, on_position=OnPosition.ADOPT)
    resumed.engine.restore(RestoredRun(EngineState(), (), (RestoredFill(before, 198),)))
    resumed.book()
    up(resumed)
    listed(resumed)
    resumed.engine.handle(PositionReport(0, 2, 99, resumed.now_ns, resumed.now_ns))

    (after,) = opening(resumed)

    # One id for two executions would end the run at its journal.
    assert after.venue_trade_id != before.venue_trade_id
    assert (after.side, after.size_lots) == (Side.SELL, 3)
    assert kinds(resumed.decide()) == [Submit, Submit]


SLOW = VenueCapabilities(can_amend=True, absence_delay_ns=20_000_000_000)


def rests(made, client_id):
    news = OrderUpdate(0, client_id, OrderStatus.OPEN, Request.STREAM, made.now_ns, made.now_ns, price_ticks=90)
    return made.handle(news)


def halt_reason(made):
    return made.engine.status(made.now_ns, started_ns=0, mode="live").halt_reason


def quoting_live(bench, **fields):
    made = live(bench, capabilities=SLOW, **fields)
    made.book()
    up(made)
    made.accept(listed(made))
    return made


def test_an_order_that_an_earlier_run_sent_at_its_end_is_cancelled_when_it_arrives(bench):
    made = quoting_live(bench)
    made.after(19)

    assert rests(made, "mm-demo-old-9") == [Cancel(0, "mm-demo-old-9")]
    made.after(60)
    # More news of the same order is no other order.
    assert rests(made, "mm-demo-old-9") == [Cancel(0, "mm-demo-old-9")]
    assert not made.engine.is_halted


def test_an_order_of_another_run_that_is_placed_while_this_one_trades_halts(bench):
    made = quoting_live(bench)
    made.after(21)

    actions = rests(made, "mm-demo-new-1")

    assert made.engine.is_halted
    assert halt_reason(made).startswith("order mm-demo-new-1 of another run of this strategy appeared")
    assert kinds(actions) == [Cancel] * 3


def test_a_run_that_starts_beside_another_does_not_cancel_its_orders_for_ever(bench):
    made = live(bench, capabilities=SLOW)
    made.book()
    up(made)
    for number in range(20):
        # The other process places a new order for each one that goes.
        assert listed(made, OrderReport(f"mm-demo-old-{number}", "1", Side.BUY, 90, 4, 0))
        assert not made.engine.is_halted
        made.after(1)

    listed(made, OrderReport("mm-demo-old-20", "1", Side.BUY, 90, 4, 0))

    assert made.engine.is_halted
    assert "mm-demo-old-20" in halt_reason(made)


def test_a_stray_whose_cancels_are_refused_is_no_other_process(bench):
    made = live(bench, capabilities=SLOW)
    made.book()
    up(made)

    for _ in range(30):
        assert listed(made, STRAY) == [Cancel(0, STRAY.client_id)]
        made.after(1)

    assert not made.engine.is_halted


def test_news_of_others_and_from_before_the_first_list_places_and_halts_nothing(bench):
    made = live(bench, capabilities=SLOW)
    made.book()
    up(made)
    assert rests(made, "mm-demo-old-9") == []
    made.accept(listed(made))
    made.after(60)

    assert not any(isinstance(action, Cancel) for action in rests(made, "web_1"))
    assert not any(isinstance(action, Cancel) for action in rests(made, "mm-demo2-0-1"))
    assert not made.engine.is_halted


def test_what_another_process_places_at_the_stop_goes_too(bench):
    made = quoting_live(bench)
    made.after(60)
    made.engine.stop(made.now_ns, "interrupted")

    assert rests(made, "mm-demo-new-1") == [Cancel(0, "mm-demo-new-1")]
    assert not made.engine.is_halted


def executed(made, client_id, *, seconds=0.0):
    at_ns = made.now_ns + int(seconds * 1_000_000_000)
    return Fill(0, client_id, "t1", Side.BUY, 90, 4, True, Decimal(0), "USDT", at_ns, made.now_ns)


@pytest.mark.parametrize(("client_id", "counts"), [("mm-demo-old-7", False), ("mm-demo-0-1", True), ("web_1", False)])
def test_what_an_earlier_run_had_executed_and_the_venue_tells_again_does_not_count(bench, client_id, counts):
    made = live(bench, capabilities=LIVE)
    made.book()

    # Told before the venue is up, as what may have been missed is.
    assert made.engine.is_ours(executed(made, client_id, seconds=-30)) is counts
    made.after(1)
    up(made)
    # Told with the end of an order that was filled in part.
    assert made.engine.is_ours(executed(made, client_id, seconds=-30)) is counts


def test_an_order_of_an_earlier_run_that_fills_while_this_one_runs_counts(bench):
    made = live(bench, capabilities=LIVE)
    made.book()
    up(made)
    made.after(5)

    assert made.engine.is_ours(executed(made, STRAY.client_id, seconds=-1))
    # A break does not move the begin.
    down(made)
    made.after(5)
    up(made)
    assert made.engine.is_ours(executed(made, STRAY.client_id, seconds=-6))


def test_executions_of_an_adopted_order_count_whenever_they_were(bench):
    made = live(bench, capabilities=LIVE, on_open_orders=OnOpenOrders.ADOPT)
    made.book()
    up(made)
    listed(made, STRAY)

    assert made.engine.is_ours(executed(made, STRAY.client_id, seconds=-1))


def test_the_execution_of_an_opening_position_counts(bench):
    made = live(bench, capabilities=DERIVATIVES, on_position=OnPosition.ADOPT)
    made.book()
    up(made)
    listed(made)
    made.engine.handle(PositionReport(0, 5, 99, 0, made.now_ns))

    assert [made.engine.is_ours(fill) for fill in opening(made)] == [True]


@pytest.mark.parametrize("ahead_s", [-30, 0, 30])
def test_what_an_earlier_run_executed_is_told_apart_by_the_exchanges_own_clock(bench, ahead_s):
    made = live(bench, capabilities=LIVE)
    made.book()
    up(made)
    ahead_ns = ahead_s * 1_000_000_000
    made.handle(OpenOrdersReport(0, (STRAY,), made.now_ns + ahead_ns, made.now_ns))

    def executed(after_ns, trade_id):
        at_ns = made.now_ns + ahead_ns + after_ns
        return Fill(0, STRAY.client_id, trade_id, Side.BUY, 90, 1, True, Decimal(0), "USDT", at_ns, made.now_ns)

    assert not made.engine.is_ours(executed(-1_000_000_000, "t1"))
    assert made.engine.is_ours(executed(1_000_000_000, "t2"))

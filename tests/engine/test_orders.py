from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import (
    Amend,
    Cancel,
    Fill,
    OpenOrdersReport,
    OrderReport,
    OrderState,
    OrderStatus,
    OrderUpdate,
    Replace,
    Request,
    Submit,
)
from mmframe.engine.orders import OrderTracker
from mmframe.engine.state import RestoredOrder

TIMEOUT_NS = 5_000
QUERY_NS = 1_000


def tracker():
    return OrderTracker(0, acknowledge_timeout_ns=TIMEOUT_NS, query_interval_ns=QUERY_NS)


def submitted(orders, client_id="c-1", *, side=Side.BUY, ticks=100, lots=10, now_ns=0):
    return orders.on_submit(Submit(0, client_id, side, ticks, lots), now_ns)


def update(client_id, status, request=Request.SUBMIT, **fields):
    return OrderUpdate(
        market=0, client_id=client_id, status=status, request=request, exchange_ns=1, receive_ns=1, **fields
    )


def fill(client_id="c-1", lots=1, trade_id="1"):
    return Fill(0, client_id, trade_id, Side.BUY, 100, lots, True, Decimal(0), "USDT", 1, 1)


def opened(orders, client_id="c-1", **kwargs):
    order = submitted(orders, client_id, **kwargs)
    orders.on_update(update(client_id, OrderStatus.OPEN, version=1), 1)
    return order


def test_an_acknowledged_order_is_open_and_reserves_its_size():
    orders = tracker()
    order = opened(orders)

    assert order.state is OrderState.OPEN
    assert order.is_resting
    assert orders.reserved_lots(Side.BUY) == 10
    assert orders.reserved_lots(Side.SELL) == 0


def test_a_submit_without_answer_turns_unknown_and_keeps_its_reservation():
    orders = tracker()
    order = submitted(orders)

    assert orders.deadline_ns == TIMEOUT_NS
    assert orders.expire(TIMEOUT_NS - 1) == []
    assert order.state is OrderState.SENT
    assert orders.expire(TIMEOUT_NS) == [order]

    assert order.state is OrderState.UNKNOWN
    assert orders.reserved_lots(Side.BUY) == 10
    assert orders.sides()[2:] == (True, False)


def test_an_unknown_order_is_asked_for_again_after_the_query_interval_only():
    orders = tracker()
    order = submitted(orders)
    orders.expire(TIMEOUT_NS)

    assert orders.expire(TIMEOUT_NS + QUERY_NS - 1) == []
    assert orders.expire(TIMEOUT_NS + QUERY_NS) == [order]


def test_one_answer_not_found_proves_nothing():
    orders = tracker()
    order = submitted(orders)
    orders.expire(TIMEOUT_NS)

    orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), TIMEOUT_NS)

    assert order.state is OrderState.UNKNOWN


def test_two_answers_not_found_after_the_timeout_prove_absence():
    orders = tracker()
    submitted(orders)
    orders.expire(TIMEOUT_NS)

    orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), TIMEOUT_NS)
    state = orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), TIMEOUT_NS + QUERY_NS)

    assert state is OrderState.NOT_PLACED
    assert not orders.live


def test_not_found_before_the_timeout_never_ends_an_order_however_often():
    orders = tracker()
    order = submitted(orders)

    for _ in range(5):
        orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), TIMEOUT_NS - 1)

    assert order.state is OrderState.UNKNOWN


def test_an_order_that_was_open_and_is_proved_absent_ends_as_canceled():
    orders = tracker()
    opened(orders)
    orders.on_update(update("c-1", OrderStatus.UNKNOWN, Request.CANCEL), TIMEOUT_NS)

    for now_ns in (2 * TIMEOUT_NS, 2 * TIMEOUT_NS + QUERY_NS):
        state = orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), now_ns)

    assert state is OrderState.CANCELED


def test_an_unknown_order_that_the_venue_lists_is_open_again():
    orders = tracker()
    order = submitted(orders)
    orders.expire(TIMEOUT_NS)

    orders.on_open_orders(OpenOrdersReport(0, (OrderReport("c-1", "v", Side.BUY, 100, 10, 0, 3),), 1, 1), TIMEOUT_NS)

    assert order.state is OrderState.OPEN
    assert (order.version, order.venue_order_id) == (3, "v")


def test_an_unknown_order_missing_from_the_venues_list_twice_is_absent():
    orders = tracker()
    submitted(orders)
    orders.expire(TIMEOUT_NS)
    report = OpenOrdersReport(0, (), 1, 1)

    orders.on_open_orders(report, TIMEOUT_NS)
    orders.on_open_orders(report, TIMEOUT_NS + QUERY_NS)

    assert orders.final_state("c-1") is OrderState.NOT_PLACED


def test_an_order_listed_that_we_do_not_know_is_a_stray():
    orders = tracker()

    orders.on_open_orders(OpenOrdersReport(0, (OrderReport("c-9", "", Side.BUY, 1, 1, 0),), 1, 1), 1)

    assert orders.stray_ids == ["c-9"]


def test_fills_make_an_order_partially_filled_then_filled():
    orders = tracker()
    order = opened(orders)

    orders.on_fill(fill(lots=4))
    assert (order.state, order.leaves_lots) == (OrderState.PARTIALLY_FILLED, 6)
    orders.on_fill(fill(lots=6, trade_id="2"))

    assert orders.final_state("c-1") is OrderState.FILLED
    assert orders.reserved_lots(Side.BUY) == 0


def test_a_fill_before_the_acknowledgement_counts():
    orders = tracker()
    order = submitted(orders)

    orders.on_fill(fill(lots=3))
    orders.on_update(update("c-1", OrderStatus.OPEN, version=1), 1)

    assert (order.state, order.leaves_lots) == (OrderState.PARTIALLY_FILLED, 7)


def test_a_cancel_that_counts_more_fills_than_we_saw_waits_for_them():
    orders = tracker()
    order = opened(orders)
    orders.on_cancel(Cancel(0, "c-1"), 10)

    orders.on_update(update("c-1", OrderStatus.CANCELED, Request.CANCEL, filled_lots=4), 20)
    assert (orders.reserved_lots(Side.BUY), order.is_resting) == (4, False)
    orders.on_fill(fill(lots=3))
    assert orders.final_state("c-1") is None
    orders.on_fill(fill(lots=1, trade_id="2"))

    assert orders.final_state("c-1") is OrderState.CANCELED


def test_fills_that_never_arrive_make_the_order_unknown():
    orders = tracker()
    order = opened(orders)
    orders.on_update(update("c-1", OrderStatus.FILLED, Request.STREAM), 20)

    assert orders.reserved_lots(Side.BUY) == 10
    assert orders.expire(20 + TIMEOUT_NS) == [order]
    assert order.state is OrderState.UNKNOWN


def test_an_order_can_fill_while_its_cancel_is_under_way():
    orders = tracker()
    order = opened(orders)
    orders.on_cancel(Cancel(0, "c-1"), 10)
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.STREAM), 11)

    orders.on_fill(fill(lots=4))
    assert order.state is OrderState.PENDING_CANCEL
    orders.on_fill(fill(lots=6, trade_id="2"))

    assert orders.final_state("c-1") is OrderState.FILLED


def test_a_refused_cancel_makes_the_order_unknown_unless_the_venue_says_that_it_rests():
    orders = tracker()
    first, second = opened(orders), opened(orders, "c-2")
    orders.on_cancel_all(10)

    orders.on_update(update("c-1", OrderStatus.UNCHANGED, Request.CANCEL), 11)
    orders.on_update(update("c-2", OrderStatus.UNCHANGED, Request.CANCEL, price_ticks=100, size_lots=10), 11)

    assert first.state is OrderState.UNKNOWN
    assert second.state is OrderState.OPEN


def test_an_amend_reserves_the_larger_size_until_its_answer():
    orders = tracker()
    order = opened(orders)

    orders.on_amend(Amend(0, "c-1", 101, 25, 1), 10)
    assert (orders.reserved_lots(Side.BUY), order.will_rest) == (25, True)
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.STREAM, price_ticks=100, size_lots=10), 11)
    assert order.state is OrderState.PENDING_REPLACE
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.AMEND, version=2), 12)

    assert (order.price_ticks, order.size_lots, order.version) == (101, 25, 2)


def test_an_older_version_of_an_order_is_not_news():
    orders = tracker()
    order = opened(orders)
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.STREAM, version=5, price_ticks=120), 12)

    orders.on_update(update("c-1", OrderStatus.OPEN, Request.STREAM, version=4, price_ticks=110), 13)

    assert order.price_ticks == 120


@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.FILLED, OrderStatus.EXPIRED])
def test_the_end_of_an_order_is_news_whatever_its_version(status):
    orders = tracker()
    opened(orders)
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.STREAM, version=5), 12)

    orders.on_update(update("c-1", status, Request.STREAM, version=4, size_lots=10, filled_lots=2), 13)
    assert orders.reserved_lots(Side.BUY) == 2
    orders.on_fill(fill(lots=2))

    assert orders.final_state("c-1").value == status.value


@pytest.mark.parametrize(
    ("status", "old", "new"),
    [
        (OrderStatus.REPLACED, OrderState.CANCELED, OrderState.OPEN),
        (OrderStatus.CANCELED_ONLY, OrderState.CANCELED, OrderState.REJECTED),
        (OrderStatus.BOTH_LIVE, OrderState.OPEN, OrderState.OPEN),
        (OrderStatus.UNCHANGED, OrderState.UNKNOWN, OrderState.REJECTED),
    ],
    ids=lambda value: value.value,
)
def test_every_outcome_of_a_replace(status, old, new):
    orders = tracker()
    first = opened(orders)
    orders.on_replace(Replace(0, "c-1", "c-2", 101, 7), 10)
    second = orders.live["c-2"]
    assert orders.reserved_lots(Side.BUY) == 17

    orders.on_update(update("c-1", status, Request.REPLACE, new_client_id="c-2"), 11)

    assert (first.state, second.state) == (old, new)


def test_a_replace_of_unknown_outcome_keeps_both_orders_reserved():
    orders = tracker()
    opened(orders)
    orders.on_replace(Replace(0, "c-1", "c-2", 101, 7), 10)

    due = orders.expire(10 + TIMEOUT_NS)

    assert [order.client_id for order in due] == ["c-1", "c-2"]
    assert orders.reserved_lots(Side.BUY) == 17


def test_refusals_are_counted_until_an_order_is_accepted():
    orders = tracker()
    for number in range(3):
        submitted(orders, f"c-{number}")
        orders.on_update(update(f"c-{number}", OrderStatus.REJECTED), 1)
    assert orders.refusals_in_a_row == [3, 0]

    opened(orders, "c-9")

    assert orders.refusals_in_a_row == [0, 0]


def test_expired_and_late_news_of_final_orders():
    orders = tracker()
    opened(orders)
    orders.on_update(update("c-1", OrderStatus.EXPIRED, Request.STREAM), 2)

    assert orders.on_update(update("c-1", OrderStatus.CANCELED, Request.STREAM), 3) is OrderState.EXPIRED
    assert orders.on_fill(fill()) is None
    assert orders.unmatched_count == 1
    assert orders.stray_ids == []


def test_an_order_proved_absent_that_shows_up_after_all_is_a_stray():
    orders = tracker()
    submitted(orders)
    orders.expire(TIMEOUT_NS)
    for now_ns in (TIMEOUT_NS, TIMEOUT_NS + QUERY_NS):
        orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), now_ns)

    orders.on_update(update("c-1", OrderStatus.OPEN, Request.STREAM), TIMEOUT_NS + QUERY_NS + 1)

    assert orders.stray_ids == ["c-1"]


def test_a_restored_order_is_unknown_and_due_for_a_query_at_once():
    orders = tracker()

    orders.restore(RestoredOrder(0, "c-1", Side.SELL, 100, 10, 4, OrderState.OPEN, 2, "v"))

    order = orders.live["c-1"]
    assert (order.state, order.reserved_lots) == (OrderState.UNKNOWN, 6)
    assert orders.deadline_ns == 0
    assert orders.expire(10**18) == [order]


def test_an_empty_tracker_has_no_deadline():
    orders = tracker()

    orders.expire(1)

    assert orders.deadline_ns == NEVER_NS
    assert len(orders) == 0
    assert "c-1" in repr(submitted(orders))


def test_a_fill_does_not_settle_an_amend_of_unknown_outcome():
    orders = tracker()
    order = opened(orders)
    orders.on_amend(Amend(0, "c-1", 101, 25, 1), 10)
    orders.on_update(update("c-1", OrderStatus.UNKNOWN, Request.AMEND), 11)

    orders.on_fill(fill(lots=10))

    # Without the amend the order is filled; with it, 15 lots more can fill.
    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.UNKNOWN, 15)
    assert "c-1" in orders.live


def test_a_fill_does_not_settle_a_cancel_of_unknown_outcome():
    orders = tracker()
    order = opened(orders)
    orders.on_cancel(Cancel(0, "c-1"), 10)
    orders.on_update(update("c-1", OrderStatus.UNKNOWN, Request.CANCEL), 11)

    orders.on_fill(fill(lots=4))

    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.UNKNOWN, 6)
    assert orders.expire(11) == [order]


def test_a_fill_proves_that_a_submit_of_unknown_outcome_was_placed():
    orders = tracker()
    order = submitted(orders)
    orders.on_update(update("c-1", OrderStatus.UNKNOWN), 11)

    orders.on_fill(fill(lots=4))

    assert order.state is OrderState.PARTIALLY_FILLED


@pytest.mark.parametrize("request_", [Request.QUERY, Request.STREAM], ids=lambda value: value.value)
def test_news_of_an_order_does_not_settle_an_amend_that_may_still_take_effect(request_):
    orders = tracker()
    order = opened(orders)
    orders.on_amend(Amend(0, "c-1", 101, 25, 1), 10)
    orders.on_update(update("c-1", OrderStatus.UNKNOWN, Request.AMEND), 11)
    as_before = update("c-1", OrderStatus.OPEN, request_, price_ticks=100, size_lots=10, version=1)

    orders.on_update(as_before, 12)
    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.UNKNOWN, 25)
    orders.on_update(as_before, 10 + TIMEOUT_NS)

    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.OPEN, 10)


def test_news_of_an_order_as_the_amend_wants_it_settles_the_amend():
    orders = tracker()
    order = opened(orders)
    orders.on_amend(Amend(0, "c-1", 101, 25, 1), 10)
    orders.on_update(update("c-1", OrderStatus.UNKNOWN, Request.AMEND), 11)

    orders.on_update(update("c-1", OrderStatus.OPEN, Request.QUERY, price_ticks=101, size_lots=25, version=2), 12)

    assert (order.state, order.price_ticks, orders.reserved_lots(Side.BUY)) == (OrderState.OPEN, 101, 25)


def test_the_late_answer_of_an_earlier_amend_is_not_the_answer_of_the_next():
    orders = tracker()
    order = opened(orders)
    orders.on_amend(Amend(0, "c-1", 101, 12, 1), 10)
    orders.expire(10 + TIMEOUT_NS)
    told = {"price_ticks": 101, "size_lots": 12, "version": 2}
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.QUERY, **told), 20 + TIMEOUT_NS)
    orders.on_amend(Amend(0, "c-1", 102, 30, 2), 30 + TIMEOUT_NS)

    orders.on_update(update("c-1", OrderStatus.OPEN, Request.AMEND, **told), 40 + TIMEOUT_NS)

    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.PENDING_REPLACE, 30)


def test_the_late_refusal_of_a_cancel_does_not_settle_a_change_under_way():
    orders = tracker()
    order = opened(orders)
    orders.on_replace(Replace(0, "c-1", "c-2", 101, 7), 10)

    orders.on_update(update("c-1", OrderStatus.UNCHANGED, Request.CANCEL, size_lots=10), 11)

    assert order.state is OrderState.PENDING_REPLACE
    assert orders.reserved_lots(Side.BUY) == 17


def test_a_refused_cancel_says_nothing_of_an_amend_without_answer():
    orders = tracker()
    order = opened(orders)
    orders.on_amend(Amend(0, "c-1", 101, 25, 1), 10)
    orders.on_cancel_all(11)

    orders.on_update(update("c-1", OrderStatus.UNCHANGED, Request.CANCEL, size_lots=10), 12)

    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.UNKNOWN, 25)


def test_an_amend_that_is_answered_while_a_cancel_is_under_way_takes_effect():
    orders = tracker()
    order = opened(orders)
    orders.on_amend(Amend(0, "c-1", 101, 25, 1), 10)
    orders.on_cancel_all(11)

    orders.on_update(update("c-1", OrderStatus.OPEN, Request.AMEND, price_ticks=101, size_lots=25, version=2), 12)
    assert (order.state, order.price_ticks, order.size_lots) == (OrderState.PENDING_CANCEL, 101, 25)
    orders.on_update(update("c-1", OrderStatus.UNCHANGED, Request.CANCEL), 13)

    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.UNKNOWN, 25)


def test_a_refused_cancel_leaves_what_once_replaced_the_order_alone():
    orders = tracker()
    opened(orders)
    orders.on_replace(Replace(0, "c-1", "c-2", 101, 7), 10)
    orders.expire(10 + TIMEOUT_NS)
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.QUERY, size_lots=10, version=1), 10 + TIMEOUT_NS)
    orders.on_cancel(Cancel(0, "c-1"), 11 + TIMEOUT_NS)

    orders.on_update(update("c-1", OrderStatus.UNCHANGED, Request.CANCEL, size_lots=10), 12 + TIMEOUT_NS)

    assert orders.reserved_lots(Side.BUY) == 17
    assert orders.live["c-2"].state is OrderState.UNKNOWN


@pytest.mark.parametrize(
    ("status", "new"),
    [
        (OrderStatus.UNCHANGED, OrderState.REJECTED),
        (OrderStatus.CANCELED_ONLY, OrderState.REJECTED),
        (OrderStatus.REPLACED, OrderState.OPEN),
    ],
    ids=lambda value: value.value,
)
@pytest.mark.parametrize("names_new", [True, False], ids=["named", "not named"])
def test_a_replace_that_is_answered_after_its_order_has_filled_is_settled_at_once(status, new, names_new):
    orders = tracker()
    opened(orders)
    orders.on_replace(Replace(0, "c-1", "c-2", 101, 7), 10)
    orders.on_update(update("c-1", OrderStatus.FILLED, Request.STREAM, size_lots=10, filled_lots=10), 11)
    orders.on_fill(fill(lots=10))
    second = orders.live["c-2"]

    orders.on_update(update("c-1", status, Request.REPLACE, new_client_id="c-2" if names_new else ""), 12)

    assert second.state is new


def test_one_answer_told_twice_is_one_round():
    orders = tracker()
    order = submitted(orders)
    orders.expire(TIMEOUT_NS)

    for _ in range(3):
        orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), TIMEOUT_NS + 1)

    assert order.state is OrderState.UNKNOWN
    orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), TIMEOUT_NS + 1 + QUERY_NS)
    assert orders.final_state("c-1") is OrderState.NOT_PLACED


def test_a_restored_order_is_not_absent_before_its_request_can_no_longer_take_effect():
    """The process may have died while the request was on its way: the timeout counts from the restart."""
    orders = tracker()
    orders.restore(RestoredOrder(0, "c-1", Side.SELL, 100, 10, 0, OrderState.INTENT))
    start_ns = 10**18
    orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), start_ns)
    orders.expire(start_ns)

    for now_ns in range(start_ns, start_ns + TIMEOUT_NS, QUERY_NS):
        orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), now_ns)
        assert orders.reserved_lots(Side.SELL) == 10
    orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), start_ns + TIMEOUT_NS)

    assert orders.final_state("c-1") is OrderState.NOT_PLACED


def test_an_open_order_that_the_venue_does_not_list_is_asked_about():
    orders = tracker()
    order = opened(orders)

    orders.on_open_orders(OpenOrdersReport(0, (), 5, 5), 5)

    assert (order.state, orders.reserved_lots(Side.BUY)) == (OrderState.UNKNOWN, 10)
    assert orders.expire(5) == [order]


def test_a_filled_order_waits_for_just_the_lots_that_the_venue_counts():
    orders = tracker()
    order = opened(orders)

    orders.on_update(update("c-1", OrderStatus.FILLED, Request.STREAM, filled_lots=6), 5)
    assert order.reserved_lots == 6
    orders.on_fill(fill(lots=6))

    assert orders.final_state("c-1") is OrderState.FILLED


def test_refused_changes_count_as_refusals_and_news_of_the_order_does_not_clear_them():
    orders = tracker()
    opened(orders)
    for number in range(3):
        orders.on_amend(Amend(0, "c-1", 101, 5, 1), number)
        orders.on_update(update("c-1", OrderStatus.UNCHANGED, Request.AMEND), number)
        orders.on_update(update("c-1", OrderStatus.OPEN, Request.QUERY, version=1), number)
    assert orders.refusals_in_a_row == [3, 0]

    orders.on_amend(Amend(0, "c-1", 101, 5, 1), 10)
    orders.on_update(update("c-1", OrderStatus.OPEN, Request.AMEND, version=2), 11)

    assert orders.refusals_in_a_row == [0, 0]


class _TrueVenue:
    """What really happened to one order, told to the tracker late, twice or never: the oracle of the property below."""

    def __init__(self, lots):
        self.is_placed = False
        self.is_gone = False
        self.size = lots
        self.filled = 0

    @property
    def can_still_fill(self):
        return self.size - self.filled if self.is_placed and not self.is_gone else 0


STEPS = st.lists(
    st.sampled_from(["place", "fill", "cancel", "tell_open", "tell_end", "tell_unknown", "query", "time", "lose_fill"]),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=300)
def test_whatever_is_lost_or_late_the_reservation_covers_what_can_still_fill(steps):
    """No interleaving of truth and news makes the tracker reserve less than what can still fill."""
    orders, venue, now_ns, trade = tracker(), _TrueVenue(10), 0, 0
    order = submitted(orders)
    unseen = []
    for step in steps:
        now_ns += 100
        if step == "place" and not venue.is_gone and now_ns < TIMEOUT_NS:
            venue.is_placed = True
        elif step == "fill" and venue.can_still_fill:
            trade += 1
            venue.filled += 1
            unseen.append(fill(lots=1, trade_id=str(trade)))
        elif step == "lose_fill" and unseen:
            orders.on_fill(unseen.pop(0))
        elif step == "cancel" and venue.is_placed:
            venue.is_gone = True
            if "c-1" in orders.live:
                orders.on_cancel(Cancel(0, "c-1"), now_ns)
        elif step == "tell_open" and venue.can_still_fill:
            orders.on_update(update("c-1", OrderStatus.OPEN, Request.STREAM), now_ns)
        elif step == "tell_end" and venue.is_gone:
            orders.on_update(update("c-1", OrderStatus.CANCELED, Request.STREAM, filled_lots=venue.filled), now_ns)
        elif step == "tell_unknown":
            orders.on_update(update("c-1", OrderStatus.UNKNOWN), now_ns)
        elif step == "query":
            status = OrderStatus.OPEN if venue.can_still_fill else None
            if not venue.is_placed:
                status = OrderStatus.NOT_FOUND
            if status is not None:
                orders.on_update(update("c-1", status, Request.QUERY), now_ns)
        elif step == "time":
            now_ns += TIMEOUT_NS
            orders.expire(now_ns)

        still_reserved = order.reserved_lots if "c-1" in orders.live else 0
        assert still_reserved >= venue.can_still_fill
        assert order.filled_lots <= venue.filled


def test_an_order_that_has_ended_is_not_absent_before_its_executions_have_come():
    orders = tracker()
    opened(orders)
    orders.on_update(update("c-1", OrderStatus.FILLED, Request.STREAM, size_lots=10, filled_lots=10), 1)

    for now_ns in range(2 * TIMEOUT_NS, 2 * TIMEOUT_NS + 5 * QUERY_NS, QUERY_NS):
        assert [order.client_id for order in orders.expire(now_ns)] == ["c-1"]
        orders.on_open_orders(OpenOrdersReport(0, (), now_ns, now_ns), now_ns)
        orders.on_update(update("c-1", OrderStatus.NOT_FOUND, Request.QUERY), now_ns)
        assert orders.reserved_lots(Side.BUY) == 10

    orders.on_fill(fill(lots=10))
    assert orders.final_state("c-1") is OrderState.FILLED


def test_changes_that_the_venue_refuses_in_a_row_are_counted():
    orders = tracker()
    order = submitted(orders)
    orders.on_update(update("c-1", OrderStatus.OPEN), 1)
    counts = []
    for number, status in enumerate([OrderStatus.UNCHANGED, OrderStatus.UNCHANGED, OrderStatus.OPEN]):
        orders.on_amend(Amend(0, "c-1", 99 - number, 10, 0), 2)
        orders.on_update(update("c-1", status, Request.AMEND, price_ticks=99 - number, size_lots=10), 3)
        counts.append(order.move_refusals)
    orders.on_cancel(Cancel(0, "c-1"), 4)
    orders.on_update(update("c-1", OrderStatus.UNCHANGED, Request.CANCEL, price_ticks=97, size_lots=10), 5)

    assert [*counts, order.move_refusals] == [1, 2, 0, 0]

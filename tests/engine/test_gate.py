from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import (
    _SEAL,
    Amend,
    Approved,
    Cancel,
    CancelAll,
    Fill,
    OrderState,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
)
from mmframe.domain.records import GateRejection
from mmframe.engine.gate import Gate, MarketGate, approve_removal
from mmframe.engine.orders import OrderTracker
from mmframe.engine.portfolio import MarketLedger
from mmframe.engine.settings import GateLimits, MarketSettings
from mmframe.errors import DomainError
from mmframe.testing import make_instrument

INSTRUMENT = make_instrument(tick_size="1", lot_size="1")


class Desk:
    def __init__(self, *, instrument=INSTRUMENT, mid=100, **limits):
        fields = {"max_orders_per_second": 1000, **limits}
        settings_ = MarketSettings(instrument, 10, GateLimits(**fields))
        self.tracker = OrderTracker(0, acknowledge_timeout_ns=5_000, query_interval_ns=1_000)
        self.ledger = MarketLedger(instrument)
        self.market = MarketGate(settings_, self.tracker, self.ledger)
        self.market.view.is_tradable = True
        self.market.view.mid_half_ticks = 2 * mid
        self.gate = Gate((self.market,), max_orders_per_second=fields["max_orders_per_second"])
        self.sequence = 0

    def submit(self, side=Side.BUY, ticks=99, lots=10, *, now_ns=0, is_open=True):
        self.sequence += 1
        action = Submit(0, f"c-{self.sequence}", side, ticks, lots)
        result = self.gate.check(action, now_ns)
        if isinstance(result, Approved):
            self.tracker.on_submit(action, now_ns)
            if is_open:
                self.tell(action.client_id, OrderStatus.OPEN)
        return result

    def tell(self, client_id, status, request=Request.SUBMIT, **fields):
        self.tracker.on_update(OrderUpdate(0, client_id, status, request, 0, 0, **fields), 0)

    def refused(self, *args, **kwargs):
        result = self.submit(*args, **kwargs)
        assert isinstance(result, GateRejection)
        return result.limit


def test_an_order_within_every_limit_is_approved():
    result = Desk().submit()

    assert isinstance(result, Approved)
    assert "c-1" in repr(result)


@pytest.mark.parametrize(
    "fields",
    [{"is_post_only": False}, {"time_in_force": TimeInForce.IOC}, {"time_in_force": TimeInForce.FOK}],
    ids=["may cross", "immediate", "whole or not"],
)
def test_nothing_takes_outside_of_the_lane_that_closes_positions(fields):
    desk = Desk()
    desk.submit()
    desk.market.view.close_cap_bps = 100.0

    result = desk.gate.check(Submit(0, "x", Side.BUY, 101, 5, **fields), 0)

    assert isinstance(result, GateRejection)
    assert result.limit == "post_only"


def test_a_replace_takes_nothing_either():
    desk = Desk()
    desk.submit()

    result = desk.gate.check(Replace(0, "c-1", "x", 101, 5, is_post_only=False), 0)

    assert isinstance(result, GateRejection)
    assert result.limit == "post_only"


def test_nobody_but_the_gate_can_approve():
    with pytest.raises(TypeError, match="only the gate approves actions"):
        Approved(Cancel(0, "c-1"), object())


@pytest.mark.parametrize(
    ("limits", "order", "limit"),
    [
        ({"max_order_lots": 9}, {}, "max_order_size"),
        ({"max_order_notional_quote": Decimal(989)}, {}, "max_order_notional_quote"),
        ({"max_position_lots": 9}, {}, "max_position"),
        ({"max_position_notional_quote": Decimal(999)}, {}, "max_position_notional_quote"),
        ({"price_collar_bps": 50.0}, {}, "price_collar_bps"),
        ({}, {"lots": 0}, "order"),
        ({}, {"ticks": 0}, "order"),
        ({}, {"ticks": -5}, "order"),
    ],
    ids=str,
)
def test_each_limit_of_one_order_refuses_by_name(limits, order, limit):
    assert Desk(**limits).refused(**order) == limit


@pytest.mark.parametrize(
    "limits",
    [
        {"max_order_lots": 10},
        {"max_order_notional_quote": Decimal(990)},
        {"max_position_lots": 10},
        {"max_position_notional_quote": Decimal(1000)},
        {"price_collar_bps": 100.0},
    ],
    ids=str,
)
def test_each_limit_allows_just_what_it_says(limits):
    assert isinstance(Desk(**limits).submit(), Approved)


def test_a_market_that_is_not_tradable_takes_no_order():
    desk = Desk()
    desk.market.view.is_tradable = False

    assert desk.refused() == "book"


def test_the_position_limit_counts_what_is_open_in_flight_unknown_and_being_cancelled():
    desk = Desk(max_position_lots=35)
    desk.submit(ticks=99)
    desk.submit(ticks=98, is_open=False)
    desk.submit(ticks=97)
    desk.tracker.on_cancel(Cancel(0, "c-3"), 0)

    assert desk.refused(ticks=96) == "max_position"
    desk.tell("c-2", OrderStatus.UNKNOWN)
    assert desk.refused(ticks=96) == "max_position"
    assert isinstance(desk.submit(Side.SELL, 101), Approved)


def test_orders_that_reduce_a_position_pass_its_limit():
    desk = Desk(max_position_lots=10)
    desk.ledger.position_lots = 20

    assert desk.refused() == "max_position"
    assert isinstance(desk.submit(Side.SELL, 101, 20), Approved)
    assert desk.market.capacity_lots(Side.BUY) == 0
    assert desk.market.capacity_lots(Side.SELL) == 30


def test_the_number_of_open_orders_is_bounded():
    desk = Desk(max_open_orders=2)
    desk.submit(ticks=99)
    desk.submit(ticks=98)

    assert desk.refused(ticks=97) == "max_open_orders"


def test_orders_are_bounded_per_second_and_cancels_are_not():
    desk = Desk(max_orders_per_second=2)
    desk.submit(ticks=99)
    desk.submit(ticks=98)

    assert desk.refused(ticks=97, now_ns=999_999_999) == "max_orders_per_second"
    for action in (Cancel(0, "c-1"), CancelAll(0, "stop"), QueryOrder(0, "c-1")):
        assert isinstance(desk.gate.check(action, 0), Approved)
    assert isinstance(desk.submit(ticks=97, now_ns=1_000_000_000), Approved)


def test_the_same_order_is_not_sent_again_while_it_is_on_its_way():
    desk = Desk()
    desk.submit(is_open=False)

    assert desk.refused() == "duplicate"
    desk.tell("c-1", OrderStatus.OPEN)
    assert isinstance(desk.submit(), Approved)


def test_an_order_never_crosses_our_own():
    desk = Desk()
    desk.submit(Side.SELL, 101)

    assert desk.refused(Side.BUY, 101) == "self_cross"
    desk.submit(Side.BUY, 99)
    assert desk.refused(Side.SELL, 99) == "self_cross"


def test_an_order_never_crosses_where_an_amend_of_ours_may_put_another():
    desk = Desk()
    desk.submit(Side.SELL, 104)
    desk.tracker.on_amend(Amend(0, "c-1", 102, 10, 1), 0)

    assert desk.refused(Side.BUY, 103) == "self_cross"
    desk.submit(Side.BUY, 96)
    desk.tracker.on_amend(Amend(0, "c-3", 98, 10, 1), 0)
    assert desk.refused(Side.SELL, 97) == "self_cross"


def test_a_replace_needs_room_for_one_order_more():
    desk = Desk(max_open_orders=2)
    desk.submit(ticks=99)
    desk.submit(ticks=98)

    result = desk.gate.check(Replace(0, "c-1", "c-9", 97, 10), 0)

    assert isinstance(result, GateRejection)
    assert result.limit == "max_open_orders"
    assert isinstance(desk.gate.check(Amend(0, "c-1", 97, 10, 1), 0), Approved)


def test_refusals_by_the_venue_in_a_row_pause_the_side():
    desk = Desk(max_repeats=2, repeat_pause_ns=100)
    for _ in range(2):
        desk.submit(is_open=False)
        desk.tell(f"c-{desk.sequence}", OrderStatus.REJECTED)

    assert desk.refused(now_ns=10) == "max_repeats"
    assert isinstance(desk.submit(Side.SELL, 101, now_ns=10), Approved)
    assert isinstance(desk.submit(now_ns=110), Approved)


def test_a_halt_refuses_every_order_and_no_cancel():
    desk = Desk()
    desk.gate.halt_reason = "daily loss"

    assert desk.refused() == "halted"
    assert isinstance(desk.gate.check(Cancel(0, "c-1"), 0), Approved)
    assert desk.gate.refused_count == 1


def test_an_amend_counts_the_larger_of_both_sizes_once():
    desk = Desk(max_position_lots=25)
    desk.submit(lots=10)
    desk.submit(ticks=98, lots=10)

    assert isinstance(desk.gate.check(Amend(0, "c-1", 99, 15, 1), 0), Approved)
    result = desk.gate.check(Amend(0, "c-1", 99, 16, 1), 0)
    assert isinstance(result, GateRejection)
    assert result.limit == "max_position"
    assert isinstance(desk.gate.check(Amend(0, "c-1", 99, 5, 1), 0), Approved)


def test_a_replace_counts_both_orders():
    desk = Desk(max_position_lots=20)
    desk.submit(lots=10)

    assert isinstance(desk.gate.check(Replace(0, "c-1", "c-2", 98, 10), 0), Approved)
    result = desk.gate.check(Replace(0, "c-1", "c-2", 98, 11), 0)
    assert isinstance(result, GateRejection)
    assert (result.limit, result.detail) == ("max_position", "worst case 21, limit 20, 1 too much")


GRID = make_instrument(tick_size="0.5", lot_size="0.01")
REFUSED = {
    "too small": (
        {"instrument": make_instrument(tick_size="0.5", lot_size="0.01", min_size_lots=5)},
        dict(ticks=199, lots=4),
        "order: size 0.04 at 99.5; expected a price above 0 and at least 0.05",
    ),
    "size": ({"max_order_lots": 8}, dict(lots=10), "max_order_size: 0.10, limit 0.08, 0.02 too much"),
    "value": (
        {"max_order_notional_quote": Decimal(9)},
        dict(ticks=199, lots=10),
        "max_order_notional_quote: worth 9.950, limit 9",
    ),
    "collar": (
        {"price_collar_bps": 50.0},
        dict(ticks=198),
        "price_collar_bps: price 99.0, 100.00 bps from the mid 100.0, limit 50 bps",
    ),
    "position": (
        {"max_position_lots": 15},
        dict(lots=10, position=7),
        "max_position: worst case 0.17, limit 0.15, 0.02 too much",
    ),
    "position value": (
        {"max_position_notional_quote": Decimal(15)},
        dict(lots=10, position=7),
        "max_position_notional_quote: worst case 0.17, worth 17.000 at the mid, limit 15",
    ),
}


@pytest.mark.parametrize(("limits", "order", "text"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_tells_its_figures_in_the_market_s_own_units(limits, order, text):
    desk = Desk(**{"instrument": GRID, "mid": 200, **limits})
    desk.ledger.position_lots = order.get("position", 0)

    refused = desk.submit(ticks=order.get("ticks", 199), lots=order.get("lots", 10))

    assert f"{refused.limit}: {refused.detail}" == text


@pytest.mark.parametrize(
    "action", [Amend(0, "c-9", 99, 5, 1), Replace(0, "c-9", "c-10", 99, 5)], ids=["amend", "replace"]
)
def test_an_order_that_does_not_rest_cannot_be_changed(action):
    result = Desk().gate.check(action, 0)

    assert isinstance(result, GateRejection)
    assert result.detail == "c-9 does not rest"


def test_caps_say_what_the_gate_could_approve():
    desk = Desk(max_order_lots=8, max_order_notional_quote=Decimal(500), max_position_notional_quote=Decimal(1200))
    desk.ledger.position_lots = 2

    assert desk.market.order_cap_lots(100) == 5
    assert desk.market.order_cap_lots(50) == 8
    assert desk.market.order_cap_lots(0) == 8
    assert desk.market.capacity_lots(Side.BUY) == 10
    assert desk.market.capacity_lots(Side.SELL) == 14
    assert Desk().market.capacity_lots(Side.BUY) is None
    assert Desk(max_order_notional_quote=Decimal(500)).market.order_cap_lots(100) == 5
    assert Desk(max_position_lots=7, max_position_notional_quote=Decimal(500)).market.capacity_lots(Side.BUY) == 5


@pytest.mark.parametrize(
    ("limits", "position", "asked", "text"),
    [
        ({}, 0, [(100, 9)], ""),
        ({"max_order_lots": 8}, 0, [(100, 8), (99, 9)], "max_order_size 8 leaves 8 of 9, 1 less"),
        (
            {"max_order_lots": 8, "max_order_notional_quote": Decimal(500)},
            0,
            [(100, 6)],
            "max_order_notional_quote 500 leaves 5 of 6, 1 less",
        ),
        ({"max_position_lots": 10}, 7, [(99, 3), (98, 3)], "max_position 10 leaves 3 of 6, 3 less"),
        ({"max_position_lots": 10}, 12, [(99, 3)], "max_position 10 leaves 0 of 3, 3 less"),
        (
            {"max_position_lots": 10, "max_position_notional_quote": Decimal(900)},
            7,
            [(99, 3)],
            "max_position_notional_quote 900 leaves 2 of 3, 1 less",
        ),
        (
            {"max_order_lots": 4, "max_position_lots": 10},
            7,
            [(99, 6)],
            "max_order_size 4 leaves 4 of 6, 2 less; max_position 10 leaves 3 of 4, 1 less",
        ),
    ],
    ids=["none", "size", "value", "position", "beyond", "position value", "both"],
)
def test_a_bound_names_the_limit_and_by_how_much_it_was_passed(limits, position, asked, text):
    desk = Desk(**limits)
    desk.ledger.position_lots = position

    assert desk.market.bound_text(Side.BUY, asked) == text


@pytest.mark.parametrize("limit", [Decimal("NaN"), Decimal("Infinity"), Decimal(-1)], ids=str)
def test_a_limit_that_is_no_amount_is_refused(limit):
    with pytest.raises(DomainError, match="expected a finite amount"):
        Desk(max_order_notional_quote=limit)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "amend", "replace", "cancel", "fill", "open", "unknown", "canceled"]),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(0, 5),
        st.integers(1, 30),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=200)
def test_no_sequence_of_approvals_and_fills_takes_the_position_over_its_limit(steps):
    """Even if everything that was ever approved and is not proved gone fills at once."""
    desk = Desk(max_position_lots=50)
    trade = 0
    for kind, side, pick, lots in steps:
        live = list(desk.tracker)
        order = live[pick % len(live)] if live else None
        if kind == "submit":
            desk.submit(side, 99 - pick if side == Side.BUY else 101 + pick, lots, is_open=False)
        elif order is None:
            continue
        elif kind == "amend":
            action = Amend(0, order.client_id, order.price_ticks, lots, order.version)
            if isinstance(desk.gate.check(action, 0), Approved):
                desk.tracker.on_amend(action, 0)
        elif kind == "replace":
            desk.sequence += 1
            replace = Replace(0, order.client_id, f"c-{desk.sequence}", order.price_ticks, lots)
            if isinstance(desk.gate.check(replace, 0), Approved):
                desk.tracker.on_replace(replace, 0)
        elif kind == "cancel":
            desk.tracker.on_cancel(Cancel(0, order.client_id), 0)
        elif kind == "fill" and order.leaves_lots:
            trade += 1
            fill = Fill(
                0,
                order.client_id,
                str(trade),
                order.side,
                order.price_ticks,
                min(lots, order.leaves_lots),
                True,
                Decimal(0),
                "USDT",
                0,
                0,
            )
            desk.ledger.apply(fill, 200)
            desk.tracker.on_fill(fill)
        elif kind == "open":
            desk.tell(order.client_id, OrderStatus.OPEN, Request.AMEND if order.pending_leaves_lots else Request.SUBMIT)
        elif kind == "unknown":
            desk.tell(order.client_id, OrderStatus.UNKNOWN)
        elif kind == "canceled" and order.state is OrderState.PENDING_CANCEL:
            desk.tell(order.client_id, OrderStatus.CANCELED, Request.CANCEL, filled_lots=order.filled_lots)

        assert desk.ledger.position_lots + desk.tracker.reserved_lots(Side.BUY) <= 50
        assert -desk.ledger.position_lots + desk.tracker.reserved_lots(Side.SELL) <= 50


def test_the_seal_is_the_gates_own():
    assert Approved(Cancel(0, "c"), _SEAL).action == Cancel(0, "c")


def test_a_clean_up_tool_gets_approval_for_what_takes_risk_away_alone():
    for action in (Cancel(0, "c"), CancelAll(0, "kill"), QueryOrder(0, "c"), QueryOpenOrders(0)):
        assert approve_removal(action).action is action
    with pytest.raises(DomainError, match="expected a cancel or a query, was Submit"):
        approve_removal(Submit(0, "c", Side.BUY, 100, 1))

"""The private stream as events: whatever it holds, nothing but events, counts and a demand to ask anew comes of it."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.orders import BalanceUpdate, Fill, OrderReport, PositionReport
from mmframe.testing import START_NS, make_instrument
from mmframe_bybit.trading.evidence import Demand, Evidence, Outbox
from mmframe_bybit.trading.messages import OrderRow
from mmframe_bybit.trading.tracking import OrderRecords

BTC = make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001")
TOPICS = ["order.linear", "execution.linear", "position.linear", "wallet", "order", "greeks", ""]
FIELDS = [
    "symbol", "category", "orderId", "orderLinkId", "orderStatus", "side", "price", "qty", "cumExecQty", "updatedTime",
    "execId", "execType", "execPrice", "execQty", "execFee", "isMaker", "execTime", "size", "positionIdx", "markPrice",
    "coin", "walletBalance", "locked",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            "BTCUSDT",
            "linear",
            "mm-t-0-1",
            "New",
            "Filled",
            "Buy",
            "Sell",
            "Trade",
            "AdlTrade",
            "100.5",
            "0.010",
            "0",
            "",
        ]
    ),
    st.sampled_from(["NaN", "Infinity", "1E+1000000", "-1", "0.0001", "9" * 400, "1e5", "1700000000123"]),
    st.none(),
    st.booleans(),
    st.integers(-1, 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.just([{}]),
)


class Stream:
    """An evidence with what came of it."""

    def __init__(self, **more):
        self.records = OrderRecords()
        self.outbox = Outbox(self.records)
        self.evidence = Evidence(
            "linear",
            (BTC,),
            ("BTCUSDT",),
            records=self.records,
            outbox=self.outbox,
            logger=logging.getLogger("mmframe.testing"),
            **more,
        )

    def push(self, topic, *entries):
        frame = json.dumps({"id": "m", "topic": topic, "creationTime": 1, "data": list(entries)}).encode()
        return self.evidence.on_frame(frame, START_NS)


@pytest.fixture
def stream():
    return Stream()


def execution(**changes):
    fields = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "execId": "e-1",
        "execType": "Trade",
        "orderId": "o-1",
        "orderLinkId": "mm-t-0-1",
        "side": "Buy",
        "execPrice": "100.5",
        "execQty": "0.010",
        "execFee": "0.01",
        "isMaker": True,
        "execTime": "1700000000123",
    }
    return {**fields, **changes}


@settings(max_examples=300)
@given(st.sampled_from(TOPICS), st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=14), max_size=3))
def test_no_entry_makes_it_fail(topic, entries):
    stream = Stream()

    demand = stream.push(topic, *entries)

    assert isinstance(demand, Demand)
    assert bool(demand.resync) >= bool(stream.evidence.bad_entries)
    for event in stream.outbox.drain():
        if isinstance(event, Fill):
            assert event.price_ticks > 0
            assert event.size_lots > 0
        elif isinstance(event, BalanceUpdate):
            assert event.free.is_finite()


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_no_frame_makes_it_fail(data):
    stream = Stream()

    demand = stream.evidence.on_frame(data, START_NS)

    assert demand.resync or not stream.evidence.bad_entries
    assert stream.outbox.drain() == []


def test_a_bad_entry_spoils_no_other(stream):
    demand = stream.push("execution.linear", execution(execPrice="NaN"), execution(execId="e-2"))

    assert [event.venue_trade_id for event in stream.outbox.drain()] == ["e-2"]
    assert demand.resync.startswith("an entry of 'execution' could not be read: price: expected a decimal number")
    assert stream.evidence.bad_entries == 1


@pytest.mark.parametrize("kind", ["AdlTrade", "BustTrade", "Settle", "Delivery", "CorporateAction", "SomethingNew"])
def test_what_is_no_trade_may_have_moved_the_position(stream, kind):
    assert stream.push("execution.linear", execution(execType=kind)) == Demand(positions=True)
    assert stream.outbox.drain() == []


def test_other_categories_and_symbols_are_not_ours(stream):
    stream.push("execution.linear", execution(category="inverse"), execution(symbol="ETHUSDT"))

    assert stream.outbox.drain() == []


def test_orders_of_earlier_runs_are_ours_and_those_of_other_strategies_are_not(stream):
    stream.evidence.learn("mm-maker-7-3")

    assert stream.evidence.is_ours("mm-maker-1-9")
    assert not stream.evidence.is_ours("mm-taker-1-9")
    assert not stream.evidence.is_ours("")


def test_hedge_mode_is_a_reason_to_ask_anew(stream):
    position = {"symbol": "BTCUSDT", "side": "Buy", "size": "0.001", "positionIdx": 1}

    demand = stream.push("position.linear", position)

    assert demand.resync == "BTC/USDT: expected one-way mode, was hedge mode (positionIdx 1)"
    assert [event for event in stream.outbox.drain() if isinstance(event, PositionReport)] == []


def test_who_places_nothing_rounds_what_is_off_the_grid():
    stream = Stream(rounds=True)
    row = OrderRow(
        symbol="BTCUSDT",
        order_id="o-1",
        order_status="New",
        side="Sell",
        order_link_id="mm-t-0-1",
        price="100.26",
        qty="0.0101",
    )

    assert stream.evidence.report(row, 0) == OrderReport(
        client_id="mm-t-0-1", venue_order_id="o-1", side=1, price_ticks=201, size_lots=11, filled_lots=0
    )

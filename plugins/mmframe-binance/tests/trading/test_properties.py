"""What holds whatever is received: no frame breaks the reader, and each execution is told once."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import Fill
from mmframe.net.timing import Timing
from mmframe.testing import ManualClock, make_instrument
from mmframe_binance.trading.clock import ClockOffset
from mmframe_binance.trading.telling import Execution, Teller
from mmframe_binance.trading.wire import WireError, parse_spot_event, parse_usdm_event, socket_reply_id

BTC = make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001")
REPORT = {
    "e": "executionReport",
    "s": "BTCUSDT",
    "c": "mm-1",
    "S": "BUY",
    "q": "1.00",
    "p": "50000.00",
    "x": "NEW",
    "X": "NEW",
    "i": 7,
    "z": "0",
    "T": 2,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_readers(data):
    for read in (parse_spot_event, parse_usdm_event):
        with contextlib.suppress(WireError):
            read(data)
    socket_reply_id(data)


@given(field=st.sampled_from(sorted(REPORT)), value=JSON)
def test_no_value_of_a_field_breaks_the_reader(field, value):
    event = {**REPORT, field: value}

    with contextlib.suppress(WireError):
        parse_spot_event(json.dumps({"event": event}).encode())


def executions():
    sizes = st.lists(st.integers(1, 9), min_size=1, max_size=6)
    return sizes.flatmap(
        lambda lots: st.tuples(st.just(lots), st.lists(st.integers(0, len(lots) - 1), max_size=20)).map(
            lambda drawn: (drawn[0], [*drawn[1], *range(len(drawn[0]))])
        )
    )


@settings(max_examples=50)
@given(executions())
def test_each_execution_is_told_once_however_often_and_in_whatever_order_it_comes(drawn):
    lots, told = drawn
    clock = ManualClock()
    teller = Teller((BTC,), ("BTCUSDT",), ClockOffset(), Timing(clock))
    order = teller.orders.know(0, "mm-1", clock.now_ns())
    teller.orders.belongs(order, 77)

    for number in told:
        size = format(BTC.lot_size * lots[number], "f")
        teller.fill(order, Execution(number, Side.SELL, "50000.00", size, "0.1", "USDT", True, number), 5)

    fills = [event for event in teller.drain() if isinstance(event, Fill)]
    assert sorted(fill.venue_trade_id for fill in fills) == sorted(f"{number}-77" for number in range(len(lots)))
    assert sum(fill.size_lots for fill in fills) == sum(lots) == order.told_lots
    assert {fill.fee for fill in fills} == {Decimal("0.1")}
    assert teller.last_trade_id == [len(lots) - 1]

"""Private messages: exact on the grid, and nothing but an error for what cannot be read."""

from __future__ import annotations

import json

import pytest

from mmframe.domain.market import Side
from mmframe.testing import make_instrument
from mmframe_bybit.trading.messages import (
    ControlFrame,
    ExecutionRow,
    OrderRow,
    PositionRow,
    PrivateFrame,
    decode,
    decode_rows,
    decode_trade_reply,
    execution_facts,
    order_facts,
    parse_private_frame,
    position_facts,
    sane_decimal,
)
from mmframe_bybit.wire import FrameError

BTC = make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001")
ORDER = {
    "symbol": "BTCUSDT",
    "orderId": "o-1",
    "orderLinkId": "mm-t-0-1",
    "side": "Buy",
    "price": "100.5",
    "qty": "0.010",
    "cumExecQty": "0.004",
    "avgPrice": "",
    "leavesQty": "",
    "orderStatus": "PartiallyFilled",
    "rejectReason": "EC_NoError",
    "cancelType": "UNKNOWN",
    "updatedTime": "1700000000123",
}
EXECUTION = {
    "symbol": "BTCUSDT",
    "execId": "e-1",
    "execType": "Trade",
    "orderLinkId": "mm-t-0-1",
    "side": "Sell",
    "execPrice": "100.5",
    "execQty": "0.004",
    "execFee": "-0.00001",
    "isMaker": True,
    "execTime": "1700000000123",
}


def order(**changes):
    return order_facts(decode(json.dumps({**ORDER, **changes}).encode(), OrderRow), BTC)


def execution(**changes):
    return execution_facts(decode(json.dumps({**EXECUTION, **changes}).encode(), ExecutionRow), BTC)


def test_an_order_on_the_grid():
    facts = order()

    assert (facts.price_ticks, facts.size_lots, facts.filled_lots) == (201, 10, 4)
    assert (facts.side, facts.status, facts.updated_ms) == (Side.BUY, "PartiallyFilled", 1_700_000_000_123)


def test_texts_of_numbers_may_be_empty():
    facts = order(price="", cumExecQty="", updatedTime="")

    assert (facts.price_ticks, facts.filled_lots, facts.updated_ms) == (0, 0, 0)


def test_an_execution_on_the_grid():
    facts = execution()

    assert (facts.price_ticks, facts.size_lots, str(facts.fee), facts.fee_asset) == (201, 4, "-0.00001", "USDT")
    assert execution(feeCurrency="BTC").fee_asset == "BTC"


BAD_NUMBERS = ["NaN", "Infinity", "1E+1000000", "1e999999999", "-1", "0.0001", "abc", "1_0", "٣", "9" * 10_000, "0x10"]


@pytest.mark.parametrize("text", BAD_NUMBERS, ids=lambda text: text[:12])
@pytest.mark.parametrize("field", ["qty", "cumExecQty"])
def test_a_size_that_is_none_is_an_error(field, text):
    with pytest.raises(FrameError):
        order(**{field: text})


@pytest.mark.parametrize("text", [*BAD_NUMBERS, "", "0"], ids=lambda text: text[:12])
@pytest.mark.parametrize("field", ["execPrice", "execQty"])
def test_an_execution_without_price_and_size_is_an_error(field, text):
    with pytest.raises(FrameError):
        execution(**{field: text})


@pytest.mark.parametrize("changes", [{"side": "None"}, {"updatedTime": "1e5"}, {"updatedTime": "9" * 30}])
def test_other_fields_that_make_no_sense(changes):
    with pytest.raises(FrameError):
        order(**changes)


def test_a_position_has_a_sign():
    row = PositionRow(symbol="BTCUSDT", side="Sell", size="0.004", mark_price="100.26", position_idx=0)

    assert position_facts(row, BTC)[:3] == (-4, 201, 0)
    assert position_facts(PositionRow(symbol="BTCUSDT", side="", size="0"), BTC).position_lots == 0
    with pytest.raises(FrameError):
        position_facts(PositionRow(symbol="BTCUSDT", side="", size="0.001"), BTC)


def test_frames_are_told_apart():
    pong = b'{"req_id":"","op":"pong","args":["1700000000000"],"conn_id":"c"}'
    topic = b'{"id":"i","topic":"order","creationTime":1,"data":[{"a":1},{"a":2}]}'

    assert isinstance(parse_private_frame(pong), ControlFrame)
    message = parse_private_frame(topic)
    assert isinstance(message, PrivateFrame)
    assert len(message.data) == 2


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"{}",
        b"<html>502 Bad Gateway</html>",
        b"\xff\xfe\x00",
        b'{"topic":17}',
        b'{"topic":"order","data":{}}',
        b'{"topic":"order","data":' + b"[" * 100_000,
    ],
    ids=range(8),
)
def test_frames_that_are_none(frame):
    with pytest.raises(FrameError) as caught:
        parse_private_frame(frame)

    assert len(str(caught.value)) < 200


def test_a_list_with_one_bad_entry_is_no_list():
    body = json.dumps({"list": [ORDER, {"symbol": 7}], "nextPageCursor": "x"}).encode()

    with pytest.raises(FrameError):
        decode_rows(body, OrderRow)


def test_answers_of_the_trade_socket():
    reply = decode_trade_reply(
        b'{"reqId":"q-1","retCode":10006,"retMsg":"x","op":"order.create","data":{},"header":{"X-Bapi-Limit":"10"}}'
    )

    assert (reply.req_id, reply.ret_code, reply.headers()) == ("q-1", 10006, {"x-bapi-limit": "10"})
    with pytest.raises(FrameError):
        decode_trade_reply(b"[]")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('{"X-Bapi-Limit":10,"Timenow":null,"More":{"a":[]}}', {"x-bapi-limit": "10"}),
        ("null", {}),
        ("[1]", {}),
    ],
)
def test_what_stands_in_the_header_of_an_answer_does_not_make_it_none(header, expected):
    reply = decode_trade_reply(f'{{"reqId":"q-1","retCode":0,"op":"order.create","header":{header}}}'.encode())

    assert reply.req_id == "q-1"
    assert expected.items() <= reply.headers().items()


def test_amounts_of_any_sign_are_numbers():
    assert str(sane_decimal("-0.5", "x")) == "-0.5"

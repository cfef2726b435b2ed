"""Frames as they come, and as they should not."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe_bybit.wire import (
    BookFrame,
    BookTopic,
    FrameError,
    Reply,
    ReplyKind,
    TradeFrame,
    book_topic,
    frame_time_ms,
    parse_frame,
)

BOOK = {
    "topic": "orderbook.50.BTCUSDT",
    "type": "snapshot",
    "ts": 1700000000123,
    "data": {"s": "BTCUSDT", "b": [["60000.10", "0.5"]], "a": [["60000.20", "1.1"]], "u": 900, "seq": 70001},
    "cts": 1700000000120,
}
TRADE = {
    "T": 1700000000120,
    "s": "BTCUSDT",
    "S": "Buy",
    "v": "0.01",
    "p": "60000.20",
    "L": "PlusTick",
    "i": "x",
    "BT": False,
    "RPI": False,
    "seq": 70010,
}


def dumped(value, **changes):
    return json.dumps({**value, **changes}, separators=(",", ":")).encode()


@pytest.mark.parametrize("order", [list(BOOK), sorted(BOOK), list(reversed(BOOK))], ids=["usual", "sorted", "reversed"])
def test_a_book_is_read_whatever_the_order_of_its_keys(order):
    frame = parse_frame(json.dumps({key: BOOK[key] for key in order}).encode())

    assert isinstance(frame, BookFrame)
    assert (frame.topic, frame.type, frame.ts, frame.cts) == (
        "orderbook.50.BTCUSDT",
        "snapshot",
        BOOK["ts"],
        BOOK["cts"],
    )
    assert (frame.data.b, frame.data.a) == ([("60000.10", "0.5")], [("60000.20", "1.1")])
    assert (frame.data.u, frame.data.seq) == (900, 70001)


def test_an_older_book_without_the_time_of_the_matching_engine_is_read():
    frame = parse_frame(dumped({key: BOOK[key] for key in BOOK if key != "cts"}))

    assert isinstance(frame, BookFrame)
    assert frame.cts is None


def test_trades_are_read_with_or_without_what_spot_leaves_out():
    spot = {key: TRADE[key] for key in TRADE if key != "L"}

    frame = parse_frame(dumped({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 1, "data": [TRADE, spot]}))

    assert isinstance(frame, TradeFrame)
    assert [(trade.S, trade.p, trade.v, trade.BT) for trade in frame.data] == [("Buy", "60000.20", "0.01", False)] * 2


@pytest.mark.parametrize(
    "frame",
    [
        {"topic": "tickers.BTCUSDT", "type": "delta", "data": {"bid1Price": "1"}, "ts": 1},
        {"topic": "kline.1.BTCUSDT", "type": "snapshot", "data": [], "ts": 1},
        {
            "topic": "orderbook.rpi.BTCUSDT",
            "type": "snapshot",
            "ts": 1,
            "data": {"s": "BTCUSDT", "b": [["1", "2", "3"]]},
        },
        {"topic": "orderbook.full.BTCUSDT", "type": "delta", "ts": 1, "data": {}},
        {"topic": "allLiquidation.BTCUSDT", "data": "é"},
    ],
    ids=lambda frame: frame["topic"],
)
def test_other_topics_are_passed_over(frame):
    assert parse_frame(dumped(frame)) is None


@pytest.mark.parametrize(
    ("frame", "reply"),
    [
        pytest.param(
            {"success": True, "ret_msg": "", "op": "subscribe", "req_id": "s1", "conn_id": "c"},
            Reply(ReplyKind.REQUEST, "subscribe", is_success=True, text="", request_id="s1"),
            id="subscribed",
        ),
        pytest.param(
            {"success": False, "ret_msg": "error:handler not found", "op": "subscribe", "conn_id": "c"},
            Reply(ReplyKind.REQUEST, "subscribe", is_success=False, text="error:handler not found", request_id=""),
            id="refused",
        ),
        pytest.param(
            {"success": True, "ret_msg": "pong", "conn_id": "c", "req_id": "p1", "op": "ping"},
            Reply(ReplyKind.PING, "ping", is_success=True, text="pong", request_id="p1"),
            id="public pong",
        ),
        pytest.param(
            {"req_id": "p1", "op": "pong", "args": ["1700000000000"], "conn_id": "c"},
            Reply(ReplyKind.PING, "pong", is_success=True, text="", request_id="p1"),
            id="private pong",
        ),
        pytest.param(
            {"retCode": 0, "op": "pong", "data": ["1700000000000"], "connId": "c"},
            Reply(ReplyKind.PING, "pong", is_success=True, text="", request_id=""),
            id="pong of the order socket",
        ),
        pytest.param(
            {"reqId": "q", "retCode": 10404, "retMsg": "bad op", "op": "x", "connId": "c"},
            Reply(ReplyKind.REQUEST, "x", is_success=False, text="bad op", request_id="q"),
            id="refused by the order socket",
        ),
    ],
)
def test_answers_are_told_from_data(frame, reply):
    assert parse_frame(dumped(frame)) == reply


def with_data(**changes):
    return dumped(BOOK, data={**BOOK["data"], **changes})


BAD_FRAMES = {
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "nothing": b"",
    "cut off": dumped(BOOK)[:-20],
    "two frames": dumped(BOOK) + dumped(BOOK),
    "neither topic nor op": b'{"data":1}',
    "a list": b"[1,2]",
    "a number as price": with_data(b=[[60000.1, "0.5"]]),
    "NaN": dumped(BOOK).replace(b'"60000.10"', b"NaN"),
    "a level of three": with_data(b=[["1", "2", "3"]]),
    "a level of one": with_data(a=[["1"]]),
    "no u": dumped(BOOK, data={key: value for key, value in BOOK["data"].items() if key != "u"}),
    "negative u": with_data(u=-1),
    "u as text": with_data(u="900"),
    "huge u": with_data(u=2**63),
    "huge seq": with_data(seq=10**400),
    "a time beyond the columns": dumped(BOOK, ts=10**18),
    "a negative time": dumped(BOOK, cts=-1),
    "unknown type": dumped(BOOK, type="update"),
    "another symbol inside": with_data(s="ETHUSDT"),
    "a long number": with_data(b=[["9" * 5000, "1"]]),
    "digits that are none": with_data(b=[["²", "1"]]),
    "digits of another script": json.dumps(
        {**BOOK, "data": {**BOOK["data"], "b": [["٣", "1"]]}}, ensure_ascii=False
    ).encode(),
    "broken UTF-8": dumped(BOOK).replace(b"BTCUSDT", b"\xff\xfe"),
    "a trade of no side": dumped({"topic": "publicTrade.X", "ts": 1, "data": [{**TRADE, "S": "None"}]}),
    "deeply nested": b'{"topic":"orderbook.50.BTCUSDT","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deeply nested beside a topic": b'{"x":' + b'{"x":' * 100_000 + b"1" + b"}" * 100_001,
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_what_is_no_frame_is_an_error_that_shows_it(frame):
    with pytest.raises(FrameError) as caught:
        parse_frame(frame)

    assert caught.value.message.startswith("expected a frame of a v5 public stream, was ")
    assert len(caught.value.message) < 400


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_error_or_nothing(frame):
    with contextlib.suppress(FrameError):
        assert parse_frame(frame) is None


@given(st.integers(0, 250), st.integers(0, 255))
def test_a_damaged_book_is_a_book_or_a_frame_error(place, byte):
    frame = bytearray(dumped(BOOK))
    frame[place % len(frame)] = byte
    try:
        message = parse_frame(bytes(frame))
    except FrameError:
        return
    assert message is None or isinstance(message, (BookFrame, Reply))


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("orderbook.1.BTCUSDT", BookTopic(1, "BTCUSDT")),
        ("orderbook.1000.BTC-26DEC25", BookTopic(1000, "BTC-26DEC25")),
        ("orderbook.25.BTCUSDT", None),
        ("orderbook.²00.BTCUSDT", None),
        ("orderbook.50.", None),
        ("orderbook.50", None),
        ("publicTrade.BTCUSDT", None),
        ("", None),
    ],
)
def test_a_topic_tells_depth_and_symbol(topic, expected):
    assert book_topic(topic) == expected


def test_a_download_without_a_time_is_an_error():
    assert frame_time_ms(dumped(BOOK)) == 1700000000123
    with pytest.raises(FrameError):
        frame_time_ms(b'{"topic":"orderbook.50.BTCUSDT"}')

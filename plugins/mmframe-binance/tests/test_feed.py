"""The live feeds against real sockets and a real HTTP server on loopback, which say what each test has them say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from websockets.asyncio.server import serve

from mmframe.builtin.books import BOOKS
from mmframe.domain.market import NEVER_NS, BookState, MessageKind, Side
from mmframe.errors import DomainError, FeedError
from mmframe.net.timing import Timing
from mmframe.registry import compose
from mmframe.runtime.driver import StopRequest, run_plan
from mmframe.testing import FeedConformance, build_component, build_context, make_instrument
from mmframe_binance import plugin
from mmframe_binance.book import STALE_RUN_MAX
from mmframe_binance.feed import FRAME_BYTES_MAX, LiveFeed
from mmframe_binance.venues import SPOT, USDM

PATIENCE_S = 10
QUICK = 20
"""By how much waits of the feed are shorter here than on a real network."""

SPECS = {spec.name: spec for spec in plugin.FEEDS}


class RealClock:
    def now_ns(self):
        return time.time_ns()


class Exchange:
    """Sockets that take subscriptions and snapshots that are handed out in turn, the last one again and again."""

    def __init__(self):
        self.sockets = []
        self.paths = []
        self.subscribed = []
        self.requests = []
        self.request_times = []
        self.snapshots = {}
        self.on_subscribed = None
        self.on_request = None

    @contextlib.asynccontextmanager
    async def serving(self):
        http = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with serve(self._hold, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1, max_size=None) as streams:
            self.stream_url = f"ws://127.0.0.1:{streams.sockets[0].getsockname()[1]}"
            self.rest_url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
            try:
                yield self
            finally:
                http.close()
                for socket in self.sockets:
                    socket.transport.abort()

    async def say(self, *frames, socket=-1):
        for frame in frames:
            await self.sockets[socket].send(frame)

    async def _hold(self, connection):
        with contextlib.suppress(Exception):
            async for text in connection:
                request = json.loads(text)
                assert request["method"] == "SUBSCRIBE"
                self.paths.append(connection.request.path)
                self.subscribed.append(request["params"])
                await connection.send(json.dumps({"result": None, "id": request["id"]}))
                self.sockets.append(connection)
                if self.on_subscribed is not None:
                    await self.on_subscribed()
            await connection.wait_closed()

    async def _answer(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = urlsplit(head.split()[1].decode())
                query = parse_qs(target.query)
                symbol = query["symbol"][0]
                self.requests.append((target.path, symbol, int(query["limit"][0])))
                self.request_times.append(time.monotonic())
                if self.on_request is not None:
                    await self.on_request(len(self.requests))
                queue = self.snapshots[symbol]
                answer = queue.pop(0) if len(queue) > 1 else queue[0]
                status, headers, body = answer if isinstance(answer, tuple) else (200, "", answer)
                data = body.encode()
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(data)}\r\n{headers}\r\n".encode() + data)
                await writer.drain()
        writer.close()


class Driven:
    """A feed as a driver drains it, with the book that follows from it."""

    def __init__(self, feed, instruments):
        self.feed = feed
        self.books = [build_component(BOOKS[0]) for _ in instruments]
        self.messages = []

    def drain(self):
        for batch in self.feed.poll(time.time_ns()):
            batch.validate()
            for index in range(len(batch)):
                kind = MessageKind(batch.kinds[index])
                self.messages.append((batch.market, kind.name, batch.changes(index)))
                book = self.books[batch.market]
                if kind == MessageKind.SNAPSHOT:
                    book.clear()
                if kind in {MessageKind.SNAPSHOT, MessageKind.DELTA}:
                    book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])

    def kinds(self, market=0):
        return [kind for each, kind, _ in self.messages if each == market]

    def bids(self, market=0):
        return [ticks for ticks, _ in self.books[market].levels(Side.BUY, 99)]

    async def until(self, condition):
        with anyio.fail_after(PATIENCE_S):
            while True:
                self.drain()
                if condition():
                    return
                await anyio.sleep(0.002)

    async def until_kinds(self, *kinds, market=0):
        try:
            await self.until(lambda: self.kinds(market)[: len(kinds)] == list(kinds))
        except TimeoutError:
            pytest.fail(f"expected {kinds}, was {self.kinds(market)}")
        assert self.kinds(market) == list(kinds)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def exchange(wire):
    made = Exchange()
    made.snapshots = {"BTCUSDT": [wire.snapshot(100)], "ETHUSDT": [wire.snapshot(500)]}
    return made


@pytest.fixture
def running(exchange, wire):
    """Return a context manager that runs a feed against the exchange."""

    @contextlib.asynccontextmanager
    async def run(name="spot", *, instruments=(wire.BTC,), **options):
        async with exchange.serving():
            made = SPECS[name].options(stream_url=exchange.stream_url, rest_url=exchange.rest_url, **options)

            async def sleep(seconds):
                await anyio.sleep(seconds / QUICK if seconds < PATIENCE_S else seconds)

            feed = LiveFeed(
                {"spot": SPOT, "usdm": USDM}[name],
                made,
                build_context(instruments=instruments, clock=RealClock()),
                Timing(RealClock(), sleep),
            )
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(feed.run, lambda: None)
                yield Driven(feed, instruments)
                tasks.cancel_scope.cancel()

    return run


async def test_a_book_starts_from_a_snapshot_and_follows_the_diffs(exchange, running, wire):
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(101, 102, bids=[("99", "1")]), wire.trade("100", "1", sold=True))
        await driven.until_kinds("SNAPSHOT", "DELTA", "TRADE")

    assert driven.bids() == [10_000, 9_900]
    assert driven.messages[2][2] == [(Side.SELL, 10_000, 1000)]
    assert exchange.paths == ["/stream"]
    assert exchange.subscribed == [["btcusdt@depth@100ms", "btcusdt@trade"]]
    assert exchange.requests == [("/api/v3/depth", "BTCUSDT", 1000)]


async def test_a_snapshot_may_lie_inside_a_diff(exchange, running, wire):
    async def tell(_number):
        await exchange.say(wire.depth(90, 98), wire.depth(99, 103, bids=[("98", "1")]))

    exchange.on_request = tell
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT", "DELTA")

    assert driven.bids() == [10_000, 9_800]


async def test_a_snapshot_older_than_the_diffs_is_fetched_again(exchange, running, wire):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(105), wire.snapshot(111)]
    exchange.on_subscribed = lambda: exchange.say(wire.depth(110, 112, bids=[("97", "1")]))
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT", "DELTA")

    assert len(exchange.requests) == 3
    assert driven.feed.book_counts["BTC/USDT"].old_snapshots == 2


async def test_a_gap_voids_the_book_until_one_new_snapshot(exchange, running, wire):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(112, bids=[("95", "1")])]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(101, 101), *(wire.depth(number, number) for number in range(105, 114)))
        await driven.until_kinds("SNAPSHOT", "DELTA", "GAP", "SNAPSHOT", "DELTA")

    assert len(exchange.requests) == 2
    assert driven.bids() == [9_500]


async def test_a_lost_connection_voids_the_book_and_it_comes_back(exchange, running, wire):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(200)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(101, 101), wire.trade("100", "1", t=7))
        await driven.until_kinds("SNAPSHOT", "DELTA", "TRADE")
        exchange.sockets[0].transport.abort()
        await driven.until_kinds("SNAPSHOT", "DELTA", "TRADE", "GAP", "SNAPSHOT")
        await exchange.say(wire.depth(201, 201), wire.trade("100", "1", t=1))
        await driven.until_kinds("SNAPSHOT", "DELTA", "TRADE", "GAP", "SNAPSHOT", "DELTA", "TRADE")

    assert driven.feed.counts.lost_connections == 1


async def test_what_comes_twice_or_late_counts_once(exchange, running, wire):
    diffs = [wire.depth(101, 102, bids=[("99", "1")]), wire.depth(103, 104, bids=[("99", "2")])]
    trades = [wire.trade("100", "1", t=5), wire.trade("100", "1", t=6)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(*diffs, diffs[0], *trades, *trades, diffs[1], wire.depth(105, 105))
        await driven.until_kinds("SNAPSHOT", "DELTA", "DELTA", "TRADE", "TRADE", "DELTA")

    assert driven.books[0].lots_at(Side.BUY, 9_900) == 2000
    assert driven.feed.counts.duplicate_trades == 2
    assert driven.feed.book_counts["BTC/USDT"].stale == 2


@pytest.mark.parametrize(
    "bad",
    [
        '{"stream":"btcusdt@depth","data":{"E":1,"s":"BTCUSDT","U":102,"u":102,"b":[["NaN","1"]],"a":[]}}',
        '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUp',
        "<html>502 Bad Gateway</html>",
    ],
    ids=["not a number", "cut off", "something else"],
)
async def test_a_bad_frame_voids_the_book_that_it_may_be_of(exchange, running, wire, bad):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(102)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(101, 101), bad, wire.depth(103, 103))
        await driven.until_kinds("SNAPSHOT", "DELTA", "GAP", "SNAPSHOT", "DELTA")

    assert driven.feed.counts.bad_frames == 1
    assert len(exchange.sockets) == 1


async def test_a_bad_trade_or_one_of_another_market_touches_no_book(exchange, running, wire):
    async with running(instruments=(wire.BTC, wire.ETH)) as driven:
        await driven.until(lambda: driven.kinds(0) == driven.kinds(1) == ["SNAPSHOT"])
        await exchange.say(
            wire.trade("NaN", "1", t=1),
            wire.depth(1, 2, symbol="DOGEUSDT"),
            wire.depth(501, 501, symbol="ETHUSDT", bids=[("x", "1")]),
            wire.depth(101, 101),
        )
        await driven.until(lambda: "GAP" in driven.kinds(1) and driven.kinds(0) == ["SNAPSHOT", "DELTA"])

    assert driven.feed.counts.bad_frames == 2
    assert exchange.subscribed == [["btcusdt@depth@100ms", "btcusdt@trade", "ethusdt@depth@100ms", "ethusdt@trade"]]


async def test_a_time_that_no_clock_shows_is_taken_for_none(exchange, running, wire):
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(
            *(wire.depth(101 + number, 101 + number, time=e) for number, e in enumerate((10**13, 10**17, -1))),
            wire.trade("100", "1", E=10**18),
        )
        await driven.until_kinds("SNAPSHOT", "DELTA", "DELTA", "DELTA", "TRADE")


async def test_an_oversize_frame_costs_the_connection_and_nothing_more(exchange, running, wire):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(200)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say("x" * (FRAME_BYTES_MAX + 1))
        await driven.until_kinds("SNAPSHOT", "GAP", "SNAPSHOT")

    assert len(exchange.sockets) == 2


async def test_frames_that_nobody_takes_in_are_dropped_and_the_book_is_fetched_anew(exchange, running, wire):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(150)]
    async with running(queue_frames_max=4) as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(*(wire.depth(number, number) for number in range(101, 120)))
        # The answer to a ping comes after everything that was sent before it has been read.
        await (await exchange.sockets[0].ping())
        await driven.until_kinds("SNAPSHOT", "DELTA", "DELTA", "DELTA", "DELTA", "GAP", "SNAPSHOT")

    assert driven.feed.counts.overflows == 1


async def test_too_many_requests_are_followed_by_silence(exchange, running, wire):
    limited = (429, "Retry-After: 1\r\n", '{"code":-1003,"msg":"Too many requests"}')
    exchange.snapshots["BTCUSDT"] = [limited, (200, "", "<html>"), wire.snapshot(100)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")

    assert len(exchange.requests) == 3
    assert exchange.request_times[1] - exchange.request_times[0] >= 0.9


async def test_a_symbol_that_the_exchange_does_not_have_ends_the_feed(exchange, running):
    exchange.snapshots["BTCUSDT"] = [(400, "", '{"code":-1121,"msg":"Invalid symbol."}')]
    with pytest.raises(ExceptionGroup) as caught:
        async with running() as driven:
            await driven.until(lambda: False)

    errors = caught.value
    while isinstance(errors, ExceptionGroup):
        errors = errors.exceptions[0]
    assert isinstance(errors, FeedError)
    assert "BTCUSDT" in errors.message
    assert "-1121" in errors.message


async def test_before_a_shutdown_a_second_connection_takes_over_without_a_gap(exchange, running, wire):
    shutdown = wire.frame("!serverShutdown", e="serverShutdown", E=1)
    both = [wire.depth(102, 102), wire.trade("100", "1", t=2)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(101, 101), wire.trade("100", "1", t=1), shutdown)
        await driven.until(lambda: len(exchange.sockets) == 2)
        await exchange.say(*both, socket=0)
        await exchange.say(*both, wire.depth(103, 103), socket=1)
        await driven.until(lambda: len(driven.messages) == 6)
        with anyio.fail_after(PATIENCE_S):
            await exchange.sockets[0].wait_closed()
        await exchange.say(wire.depth(104, 104))
        await driven.until(lambda: len(driven.messages) == 7)

    assert sorted(driven.kinds()) == ["DELTA"] * 4 + ["SNAPSHOT"] + ["TRADE"] * 2
    assert len(exchange.requests) == 1
    assert driven.feed.counts.lost_connections == 0


async def test_futures_follow_the_previous_id(exchange, running, wire):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(96), wire.snapshot(110)]
    async with running("usdm", snapshot_levels=200) as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(
            wire.depth(95, 98, previous=90),
            wire.depth(101, 104, previous=98),
            wire.trade("100", "1", t=1, X="INSURANCE_FUND"),
            wire.depth(106, 108, previous=105),
        )
        await driven.until_kinds("SNAPSHOT", "DELTA", "DELTA", "OFF_BOOK_TRADE", "GAP", "SNAPSHOT")

    assert exchange.paths == ["/public/stream"]
    assert exchange.requests[0] == ("/fapi/v1/depth", "BTCUSDT", 500)


async def test_aggregate_trades_of_futures_come_on_a_socket_of_their_own(exchange, running, wire):
    agg = wire.frame("btcusdt@aggTrade", e="aggTrade", E=1, s="BTCUSDT", a=9, p="100", q="1", m=False)
    async with running("usdm", trades="aggTrade", depth_speed="250ms") as driven:
        await driven.until(lambda: len(exchange.sockets) == 2 and driven.kinds() == ["SNAPSHOT"])
        market = exchange.paths.index("/market/stream")
        await exchange.say(agg, agg, socket=market)
        await driven.until_kinds("SNAPSHOT", "TRADE")
        exchange.sockets[market].transport.abort()
        await driven.until(lambda: len(exchange.sockets) == 3)
        await exchange.say(wire.depth(95, 101, previous=94), socket=exchange.paths.index("/public/stream"))
        await driven.until_kinds("SNAPSHOT", "TRADE", "DELTA")

    assert sorted(map(tuple, exchange.subscribed[:2])) == [("btcusdt@aggTrade",), ("btcusdt@depth",)]


DEPTH_HEAD = '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":102,"u":102,'


@pytest.mark.parametrize(
    "bad",
    [
        DEPTH_HEAD + '"b":[["1E+1000000","1"]],"a":[]}}',
        DEPTH_HEAD + '"b":[["100","1E+1000000"]],"a":[]}}',
        DEPTH_HEAD + '"b":[["100","1E-1000000"]],"a":[]}}',
        DEPTH_HEAD + '"b":[["Infinity","1"]],"a":[]}}',
        DEPTH_HEAD + '"b":[["100","NaN"]],"a":[]}}',
        DEPTH_HEAD + '"b":[["-100","1"]],"a":[]}}',
        DEPTH_HEAD + '"b":[["' + "9" * 5000 + '","1"]],"a":[]}}',
        DEPTH_HEAD + '"b":[[100,1]],"a":[]}}',
        DEPTH_HEAD + '"b":[["100"]],"a":[]}}',
        DEPTH_HEAD + '"b":' + "[" * 100_000,
        DEPTH_HEAD.replace('"u":102', '"u":"102"') + '"b":[],"a":[]}}',
        DEPTH_HEAD.replace('"u":102', '"u":1e400') + '"b":[],"a":[]}}',
        DEPTH_HEAD.replace('"u":102', '"u":NaN') + '"b":[],"a":[]}}',
        "[" * 100_000,
        "null",
        "",
        b"\xff\xfe{",
    ],
    ids=lambda bad: (bad[100:130] if len(bad) > 130 else bad) or "nothing",
)
async def test_whatever_a_frame_holds_it_is_counted_and_voids_the_book_alone(exchange, running, wire, bad):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(102)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(101, 101))
        # As the exchange sends it: text, be it valid or not.
        await exchange.sockets[-1].send(bad, text=True)
        await exchange.say(wire.depth(103, 103, bids=[("99", "1")]))
        await driven.until_kinds("SNAPSHOT", "DELTA", "GAP", "SNAPSHOT", "DELTA")

    assert driven.feed.counts.bad_frames == 1
    assert driven.bids() == [10_000, 9_900]
    assert len(exchange.sockets) == 1


@pytest.mark.parametrize("product", ["spot", "usdm"])
@pytest.mark.parametrize("absurd", [10**11, 10**18, 2**63, 2**70], ids=["large", "huge", "2^63", "2^70"])
async def test_an_id_that_no_market_gets_to_is_a_gap_and_not_believed(exchange, running, wire, product, absurd):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(102)]
    async with running(product) as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(99, 101, previous=98), wire.depth(102, absurd, previous=101))
        await driven.until_kinds("SNAPSHOT", "DELTA", "GAP", "SNAPSHOT")
        await exchange.say(wire.depth(101, 103, previous=101), wire.depth(104, 104, bids=[("99", "1")], previous=103))
        await driven.until_kinds("SNAPSHOT", "DELTA", "GAP", "SNAPSHOT", "DELTA", "DELTA")

    assert driven.feed.book_counts["BTC/USDT"].implausible == 1
    assert driven.bids() == [10_000, 9_900]


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_a_snapshot_with_an_absurd_id_is_found_out_by_the_next_diff(exchange, running, wire, product):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(10**18), wire.snapshot(101)]
    async with running(product) as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(wire.depth(99, 101, previous=98))
        await driven.until_kinds("SNAPSHOT", "GAP", "SNAPSHOT")
        await exchange.say(wire.depth(101, 102, previous=100, bids=[("99", "1")]))
        await driven.until_kinds("SNAPSHOT", "GAP", "SNAPSHOT", "DELTA")


async def test_diffs_that_are_old_on_and_on_mean_that_the_book_has_a_wrong_id(exchange, running, wire):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(900_000), wire.snapshot(200)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(*(wire.depth(100, 100) for _ in range(STALE_RUN_MAX)))
        await exchange.say(wire.trade("100", "1"))
        await driven.until_kinds("SNAPSHOT", "TRADE")
        await exchange.say(wire.depth(200, 200), wire.depth(201, 201))
        await driven.until_kinds("SNAPSHOT", "TRADE", "GAP", "SNAPSHOT", "DELTA")


async def test_a_trade_with_an_absurd_id_does_not_silence_those_that_follow(exchange, running, wire):
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(*(wire.trade("100", "1", t=number) for number in (7, 10**18, 8, 8, 9)))
        await driven.until_kinds("SNAPSHOT", *["TRADE"] * 4)

    assert driven.feed.counts.duplicate_trades == 1


PAGE = "<html><h1>Forbidden</h1>"


@pytest.mark.parametrize(
    "answer",
    [
        (200, "", PAGE),
        (400, "", PAGE),
        (502, "", PAGE),
        (503, "", PAGE),
        (200, "", "[" * 100_000),
        (400, "", "[" * 100_000),
        (200, "", '{"lastUpdateId":"a","bids":[],"asks":[]}'),
        (200, "", '{"lastUpdateId":1' + "0" * 400 + ',"bids":[["NaN","1"]],"asks":[]}'),
        (200, "", '{"lastUpdateId":100,"bids":[["1E+1000000","1"]],"asks":[]}'),
        (200, "", '{"lastUpdateId":100,"bids":[],"asks":[["1","1E+1000000"]]}'),
        (200, "", "x" * (17 << 20)),
        (200, "", ""),
    ],
    ids=lambda answer: f"{answer[0]} {answer[2][:50]}",
)
async def test_an_answer_that_is_no_snapshot_is_asked_for_again(exchange, running, wire, answer):
    exchange.snapshots["BTCUSDT"] = [answer, wire.snapshot(100)]
    async with running() as driven:
        await driven.until_kinds("SNAPSHOT")

    assert len(exchange.requests) == 2


def best(update_id, bid="100", size="1", product="spot"):
    if product == "usdm":
        data = {"e": "depthUpdate", "E": 1_700_000_000_000, "s": "BTCUSDT", "U": update_id - 3, "u": update_id, "pu": 1}
        return json.dumps({"stream": "btcusdt@depth20@100ms", "data": data | {"b": [[bid, size]], "a": [["101", "1"]]}})
    data = {"lastUpdateId": update_id, "bids": [[bid, size]], "asks": [["101", "1"]]}
    return json.dumps({"stream": "btcusdt@depth20@100ms", "data": data})


@pytest.mark.parametrize("product", ["spot", "usdm"])
async def test_the_best_levels_alone_make_a_book_without_rest(exchange, running, product):
    async with running(product, book="depth20") as driven:
        await driven.until(lambda: exchange.sockets)
        await exchange.say(best(10, product=product), best(12, "99", product=product), best(12, "99", product=product))
        await exchange.say(best(11, "98", product=product), best(10**15, "97", product=product))
        await driven.until_kinds("SNAPSHOT", "SNAPSHOT", "GAP")
        await exchange.say(best(13, "96", product=product))
        await driven.until_kinds("SNAPSHOT", "SNAPSHOT", "GAP", "SNAPSHOT")
        exchange.sockets[0].transport.abort()
        await driven.until(lambda: len(exchange.sockets) == 2)
        await exchange.say(best(5, "95", product=product))
        await driven.until_kinds("SNAPSHOT", "SNAPSHOT", "GAP", "SNAPSHOT", "GAP", "SNAPSHOT")

    assert driven.bids() == [9_500]
    assert exchange.requests == []
    assert exchange.subscribed[0] == ["btcusdt@depth20@100ms", "btcusdt@trade"]
    assert driven.feed.book_counts["BTC/USDT"].stale == 2


def ticker(update_id, bid="100", size="1"):
    return json.dumps(
        {
            "stream": "btcusdt@bookTicker",
            "data": {"u": update_id, "s": "BTCUSDT", "b": bid, "B": size, "a": "101", "A": "1"},
        }
    )


async def test_a_book_that_lastingly_shows_another_touch_is_fetched_anew(exchange, running, wire, caplog):
    exchange.snapshots["BTCUSDT"] = [wire.snapshot(100), wire.snapshot(120)]
    async with running(cross_check=True, cross_check_disagreements_max=2) as driven:
        await driven.until_kinds("SNAPSHOT")
        # One before its diff, one after it, one of no diff's last id; one alone that disagrees, then three in a row.
        await exchange.say(ticker(101, size="2"), wire.depth(101, 101, bids=[("100", "2")]), ticker(101, size="2"))
        await exchange.say(ticker(102), wire.depth(102, 103, bids=[("100", "3")]), ticker(103, size="9"))
        await exchange.say(wire.depth(104, 104, bids=[("100", "4")]), ticker(104, size="4"))
        for number in (105, 106):
            await exchange.say(ticker(number, "100.5"), wire.depth(number, number))
        await driven.until_kinds("SNAPSHOT", *["DELTA"] * 5)
        await exchange.say(ticker(107, "100.5"), wire.depth(107, 107))
        await driven.until_kinds("SNAPSHOT", *["DELTA"] * 6, "GAP", "SNAPSHOT")
        await exchange.say(wire.depth(121, 121), ticker(121))
        await driven.until_kinds("SNAPSHOT", *["DELTA"] * 6, "GAP", "SNAPSHOT", "DELTA")
        await driven.until(lambda: driven.feed.counts.cross_checked == 8)

    assert driven.feed.counts.disagreements == 4
    assert [record.symbol for record in caplog.records if record.message == "touch_disagrees"] == ["BTCUSDT"]
    assert exchange.subscribed == [["btcusdt@depth@100ms", "btcusdt@bookTicker", "btcusdt@trade"]]


async def test_a_ticker_that_cannot_be_read_touches_no_book(exchange, running, wire):
    async with running(cross_check=True) as driven:
        await driven.until_kinds("SNAPSHOT")
        await exchange.say(
            ticker(101, "NaN"), ticker(100, "100", "1E+1000000"), '{"stream":"btcusdt@bookTicker","data":{}}'
        )
        await exchange.say(wire.depth(101, 101))
        await driven.until_kinds("SNAPSHOT", "DELTA")

    assert driven.feed.counts.bad_frames == 3


def test_an_address_that_is_not_safe_is_refused():
    for name, options in (("spot", {"stream_url": "ws://example.com"}), ("usdm", {"rest_url": "http://example.com"})):
        with pytest.raises(DomainError, match="not this machine"):
            build_component(SPECS[name], SPECS[name].options(**options))


def test_more_markets_than_a_connection_carries_are_refused():
    instruments = tuple(make_instrument(f"X{number}/USDT") for number in range(513))
    with pytest.raises(DomainError, match="expected at most 1024, was 1026"):
        build_component(SPECS["spot"], instruments=instruments)


STRATEGY = """\
schema = 1
[strategy]
name = "paper"
[run]
mode = "paper"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
tick_size = "0.01"
lot_size = "0.001"
[feed]
use = "binance/spot"
stream_url = "{stream_url}"
rest_url = "{rest_url}"
[venue.paper]
use = "simulated"
[[optimizer]]
use = "fixed-spread"
"""


class Settled:
    """Stops the run once it has decided on a book in sync."""

    interval_s = 0.01

    def __init__(self, stop):
        self.stop = stop
        self.market = None

    def on_status(self, status):
        market = status.markets[0]
        if market.our_bid is not None and market.our_ask is not None:
            self.market = market
            self.stop.request("seen")


def test_a_strategy_trades_on_paper_on_the_live_book(exchange, wire, tmp_path):
    async def talk():
        async with exchange.serving():
            ready.append(exchange)
            number = 101
            while not over:
                if exchange.sockets:
                    with contextlib.suppress(Exception):
                        await exchange.say(wire.depth(number, number, bids=[("99.5", str(1 + number % 7))]))
                        number += 1
                await anyio.sleep(0.01)

    ready, over = [], []
    thread = threading.Thread(target=lambda: anyio.run(talk))
    thread.start()
    try:
        while not ready:
            time.sleep(0.01)
        file = tmp_path / "strategy.toml"
        file.write_text(STRATEGY.format(stream_url=exchange.stream_url, rest_url=exchange.rest_url))
        stop = StopRequest()
        seen = Settled(stop)
        result = run_plan(compose(file, no_journal=True), stop=stop, observer=seen, limit_ns=PATIENCE_S * 10**9)
    finally:
        over.append(True)
        thread.join()

    assert result.ended_because == "seen"
    assert result.market_messages > 0
    assert result.faults == 0
    assert result.status.decisions > 0
    assert seen.market.book_state == BookState.SYNCED
    assert (seen.market.bid, seen.market.ask) == (Decimal("100.00"), Decimal("101.00"))


class TestSpot(FeedConformance):
    spec = SPECS["spot"]

    def test_it_has_no_time_of_its_own(self):
        assert self.build().next_event_ns == NEVER_NS


class TestUsdm(FeedConformance):
    spec = SPECS["usdm"]

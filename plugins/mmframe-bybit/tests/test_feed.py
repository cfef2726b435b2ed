"""The live feeds against a real websocket server on loopback that speaks the v5 public protocol."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

import anyio
import anyio.from_thread
import pytest
from websockets.asyncio.server import serve

from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS, MessageKind
from mmframe.errors import ConfigErrors, DomainError, FeedError
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.testing import ManualClock, build_component, build_context, make_instrument, make_options
from mmframe_bybit.feed import LiveFeed
from mmframe_bybit.plugin import FEEDS, HISTORIES

PATIENCE_S = 10
"""How long a test waits for what has to happen on real sockets; reached only by a failure."""

BAD_FRAMES = [
    b"<html>502 Bad Gateway</html>",
    b"",
    b"\xff\xfe\x00",
    b"null",
    b"{}",
    b'{"topic":17}',
    b'{"op":["subscribe"]}',
    b"NaN",
    b"[" * 100_000,
]


class Exchange:
    """A public stream of the exchange: acknowledges, answers pings, and sends what the test says."""

    def __init__(self):
        self.symbols = {"BTCUSDT", "ETHUSDT"}
        self.snapshots = {}
        self.requests = []
        self.connections = []
        self.answers_pings = True
        self.answers_requests = True
        self.ack_text = ""
        self._serving = None

    @property
    def url(self):
        return f"ws://127.0.0.1:{self._serving.sockets[0].getsockname()[1]}/v5/public/linear"

    async def start(self):
        self._serving = await serve(self._handle, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1)

    async def stop(self):
        self._serving.close()
        for connection in self.connections:
            connection.transport.abort()
        await self._serving.wait_closed()

    def asked(self, operation):
        return [request for request in self.requests if request["op"] == operation]

    async def send(self, *frames, to=-1):
        for frame in frames:
            await self.connections[to].send(frame, text=True)

    async def _handle(self, connection):
        self.connections.append(connection)
        with contextlib.suppress(Exception):
            async for text in connection:
                request = json.loads(text)
                self.requests.append(request)
                await self._answer(connection, request)

    async def _answer(self, connection, request):
        operation, topics = request["op"], request.get("args", [])
        if operation == "ping":
            if self.answers_pings:
                await connection.send(json.dumps({"success": True, "ret_msg": "pong", "conn_id": "c", "op": "ping"}))
            return
        if not self.answers_requests:
            return
        unknown = [topic for topic in topics if topic.rpartition(".")[2] not in self.symbols]
        text = f"error:handler not found,topic:{unknown[0]}" if unknown else self.ack_text
        reply = {"success": not unknown, "ret_msg": text, "conn_id": "c", "req_id": request["req_id"], "op": operation}
        await connection.send(json.dumps(reply))
        for topic in topics if operation == "subscribe" and not unknown else ():
            if topic in self.snapshots:
                await connection.send(self.snapshots[topic], text=True)


class ManualTime:
    """A clock with sleepers: they wake when the test moves time past their due moment."""

    def __init__(self):
        self.clock = ManualClock()
        self._sleepers = []

    async def sleep(self, seconds):
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (self.clock.now_ns() + round(seconds * 1e9), anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, seconds):
        self.clock.advance(s=seconds)
        for due_ns, event in self._sleepers:
            if due_ns <= self.clock.now_ns():
                event.set()


class Reader:
    """Runs a feed and gathers what it tells, as `(market, kind, changes)`."""

    def __init__(self, feed, time):
        self.feed = feed
        self.time = time
        self.batches = []
        self.notified = 0

    @property
    def rows(self):
        found = []
        for batch in self.batches:
            batch.validate()
            found += [(batch.market, MessageKind(batch.kinds[i]).name, batch.changes(i)) for i in range(len(batch))]
        return found

    @property
    def kinds(self):
        return [kind for _, kind, _ in self.rows]

    def notify(self):
        self.notified += 1

    async def until(self, condition, *, step_s=0.0):
        """Poll until `condition()` holds; `step_s` of the feed's time passes between two polls."""
        with anyio.fail_after(PATIENCE_S):
            while True:
                self.batches += self.feed.poll(self.time.clock.now_ns())
                if condition():
                    return
                await anyio.sleep(0.001)
                self.time.advance(step_s)

    @contextlib.asynccontextmanager
    async def running(self):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.feed.run, self.notify)
            yield self
            tasks.cancel_scope.cancel()


@pytest.fixture
def time():
    return ManualTime()


@pytest.fixture
async def exchange(capture):
    exchange = Exchange()
    exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 10)
    exchange.snapshots["orderbook.50.ETHUSDT"] = capture.book(
        "snapshot", 70, bids=[["50", "1"]], asks=[["51", "1"]], symbol="ETHUSDT"
    )
    await exchange.start()
    yield exchange
    await exchange.stop()


@pytest.fixture
def reader_of(exchange, time, capture):
    """Return a function that makes a feed on the server, with a reader."""

    def make(*instruments, category="linear", **options):
        context = build_context(instruments=instruments or (capture.btc,), clock=time.clock)
        parsed = make_options(FEEDS[0], {"stream_url": exchange.url, **options})
        return Reader(LiveFeed(category, parsed, context, sleep=time.sleep), time)

    return make


def whole(capture, u, size="1", **more):
    return capture.book("snapshot", u, bids=[["100", size]], asks=[["101", "1"]], **more)


def delta(capture, u, size="2", **more):
    return capture.book("delta", u, bids=[["100", size]], **more)


BOOK = [(0, 200, 1000), (1, 202, 1000)]


@pytest.mark.parametrize(("category", "ack_text"), [("spot", "subscribe"), ("linear", "")])
async def test_a_book_and_its_trades_from_the_start(exchange, reader_of, capture, category, ack_text):
    exchange.ack_text = ack_text
    reader = reader_of(category=category)

    async with reader.running():
        await reader.until(lambda: len(reader.rows) == 1)
        await exchange.send(delta(capture, 11), capture.trades(["Buy", "101", "0.5"]))
        await reader.until(lambda: len(reader.rows) == 3)

    assert [request["args"] for request in exchange.requests] == [["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"]]
    assert reader.rows == [
        (0, "SNAPSHOT", BOOK),
        (0, "DELTA", [(0, 200, 2000)]),
        (0, "TRADE", [(0, 202, 500)]),
    ]
    assert reader.feed.next_event_ns == NEVER_NS
    assert reader.notified >= 3


async def test_a_live_book_is_that_of_the_capture(exchange, reader_of, shared_data):
    name = "linear_btcusdt_20260809.raw.gz"
    instrument = make_instrument("BTC/USDT", tick_size="0.1", lot_size="0.001")
    options = make_options(HISTORIES[0], {"paths": (Path(name),), "category": "linear"})
    folder = shared_data / "bybit_v5"
    history = build_component(HISTORIES[0], options, instruments=(instrument,), directory=folder)
    expected = [row for batch in history.batches() for row in facts(batch)]
    frames = [line.frame for line in history._files[0].lines(lambda _: None)]
    reader = reader_of(instrument, depth=200)

    async with reader.running():
        await reader.until(lambda: exchange.requests)
        await exchange.send(*frames)
        await reader.until(lambda: sum(map(len, reader.batches)) >= len(expected))

    assert len(expected) > 414
    assert [row for batch in reader.batches for row in facts(batch)] == expected


def facts(batch):
    return [(batch.kinds[i], batch.exchange_ns[i], batch.changes(i)) for i in range(len(batch))]


async def test_two_markets_on_one_socket(exchange, reader_of, capture):
    reader = reader_of(capture.btc, capture.eth)

    async with reader.running():
        await reader.until(lambda: len(reader.rows) == 2)
        await exchange.send(capture.book("delta", 71, bids=[["50", "0"]], symbol="ETHUSDT"), delta(capture, 11))
        await reader.until(lambda: len(reader.rows) == 4)

    assert len(exchange.connections) == 1
    assert [(market, kind) for market, kind, _ in reader.rows] == [
        (0, "SNAPSHOT"),
        (1, "SNAPSHOT"),
        (1, "DELTA"),
        (0, "DELTA"),
    ]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda capture: delta(capture, 12),
        lambda capture: capture.book("delta", 11, bids=[["101.5", "1"]]),
        lambda capture: capture.book("delta", 11, bids=[["NaN", "1"]]),
        lambda capture: capture.book("delta", 11, bids=[["100.3", "1"]]),
        lambda capture: capture.book("delta", 11, bids=[["100", 1]]),
    ],
    ids=["missing", "crossed", "not-a-number", "off-grid", "shape"],
)
async def test_a_book_that_is_lost_is_subscribed_to_anew(exchange, reader_of, capture, spoil):
    reader = reader_of(capture.btc, capture.eth)

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 20, "5")
        await exchange.send(spoil(capture))
        await reader.until(lambda: len(reader.rows) == 4)

    assert [(market, kind) for market, kind, _ in reader.rows[2:]] == [(0, "GAP"), (0, "SNAPSHOT")]
    assert [(request["op"], request["args"]) for request in exchange.requests[2:]] == [
        ("unsubscribe", ["orderbook.50.BTCUSDT"]),
        ("subscribe", ["orderbook.50.BTCUSDT"]),
    ]
    assert len(exchange.connections) == 1


async def test_a_resubscription_without_a_snapshot_is_repeated_more_slowly(exchange, reader_of, capture, time):
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        snapshot = exchange.snapshots.pop("orderbook.50.BTCUSDT")
        await exchange.send(delta(capture, 15))
        await reader.until(lambda: len(exchange.asked("unsubscribe")) == 1)
        began_ns = time.clock.now_ns()
        await reader.until(lambda: len(exchange.asked("unsubscribe")) == 4, step_s=0.01)
        assert time.clock.now_ns() - began_ns >= 3_000_000_000
        exchange.snapshots["orderbook.50.BTCUSDT"] = snapshot
        await reader.until(lambda: reader.feed.is_synced, step_s=0.01)

    assert reader.kinds == ["SNAPSHOT", "GAP", "SNAPSHOT"]


async def test_a_restart_of_the_service_replaces_the_book_after_a_gap(exchange, reader_of, capture):
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        await exchange.send(capture.book("delta", 1, bids=[["90", "1"]], asks=[["91", "1"]]))
        await reader.until(lambda: len(reader.rows) == 3)

    assert reader.rows[1:] == [(0, "GAP", []), (0, "SNAPSHOT", [(0, 180, 1000), (1, 182, 1000)])]
    assert exchange.asked("unsubscribe") == []


async def test_a_lost_connection_voids_the_books_until_the_next_ones_snapshots(exchange, reader_of, capture):
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 5, "7")
        exchange.connections[0].transport.abort()
        await reader.until(lambda: "GAP" in reader.kinds)
        assert not reader.feed.is_synced
        await reader.until(lambda: reader.feed.is_synced, step_s=0.01)

    assert reader.rows[1:] == [(0, "GAP", []), (0, "SNAPSHOT", [(0, 200, 7000), (1, 202, 1000)])]


async def test_repeated_and_late_messages_change_nothing(exchange, reader_of, capture):
    reader = reader_of()
    trade = capture.trades(["Buy", "101", "0.5"])

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        await exchange.send(delta(capture, 11), trade, delta(capture, 11), whole(capture, 11, "2"), delta(capture, 10))
        await exchange.send(trade, delta(capture, 12, "3"))
        await reader.until(lambda: len(reader.rows) == 4)

    assert reader.kinds == ["SNAPSHOT", "DELTA", "TRADE", "DELTA"]
    assert reader.feed.counts["BTC/USDT"].stale == 2


async def test_a_renewed_connection_takes_over_without_a_gap_when_it_is_as_far(exchange, reader_of, capture):
    reader = reader_of()
    trade = capture.trades(["Buy", "101", "0.5"])

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        await exchange.send(delta(capture, 11, "2"), trade, delta(capture, 12, "3"))
        await reader.until(lambda: len(reader.rows) == 4)
        exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 11, "2")
        reader.feed._session.renew()
        await reader.until(lambda: len(exchange.connections) == 2 and len(exchange.requests) == 2, step_s=0.01)
        await exchange.send(trade)
        await exchange.send(delta(capture, 13, "4"), to=0)
        await reader.until(lambda: len(reader.rows) == 5)
        await exchange.send(delta(capture, 12, "3"), delta(capture, 13, "4"))
        await reader.until(lambda: len(reader.rows) == 6)
        await exchange.send(delta(capture, 14, "9"))
        await reader.until(lambda: len(reader.rows) == 7, step_s=0.01)

    assert reader.kinds == ["SNAPSHOT", "DELTA", "TRADE", "DELTA", "DELTA", "SNAPSHOT", "DELTA"]
    assert reader.rows[5][2] == [(0, 200, 4000), (1, 202, 1000)]
    assert reader.rows[6][2] == [(0, 200, 9000)]


async def test_bad_frames_are_counted_and_touch_no_book(exchange, reader_of, capture, caplog):
    reader = reader_of()

    with caplog.at_level(logging.WARNING):
        async with reader.running():
            await reader.until(lambda: reader.feed.is_synced)
            await exchange.send(*(frame.decode("utf-8", "replace") for frame in BAD_FRAMES))
            await exchange.send(capture.trades(["Buy", "nan", "1"]), delta(capture, 11))
            await reader.until(lambda: len(reader.rows) == 2)

    assert reader.kinds == ["SNAPSHOT", "DELTA"]
    assert reader.feed.bad_frames == len(BAD_FRAMES) + 1
    # Each time that the number doubles: 1, 2, 4, 8.
    assert [record.message for record in caplog.records].count("bad_frame") == 4


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "1E+1000000", "1E-1000000", "-1", "9" * 5000, "0x10", "1_0", "", "100.25"],
    ids=lambda text: text[:12] or "nothing",
)
@pytest.mark.parametrize("is_price", [True, False], ids=["price", "size"])
async def test_a_number_that_is_none_voids_the_book_and_a_snapshot_heals_it(
    exchange, reader_of, capture, text, is_price
):
    if (text, is_price) == ("100.25", False):
        text = "0.00001"  # off the grid of sizes
    level = [text, "1"] if is_price else ["100", text]
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 20)
        await exchange.send(capture.book("delta", 11, bids=[level]), delta(capture, 12))
        await reader.until(lambda: reader.kinds == ["SNAPSHOT", "GAP", "SNAPSHOT"])

    assert reader.feed.bad_frames == 1
    assert len(exchange.connections) == 1


@pytest.mark.parametrize(
    "absurd", [10**9, 10**18, 2**63 - 1, 2**63, 2**70], ids=["10^9", "10^18", "max", "2^63", "2^70"]
)
@pytest.mark.parametrize("field", ["u", "seq"])
@pytest.mark.parametrize("kind", ["snapshot", "delta"])
async def test_an_absurd_counter_makes_nothing_that_follows_look_old(exchange, reader_of, capture, absurd, field, kind):
    """The book is void at the latest with the message after it, and the next snapshot is believed."""
    reader = reader_of()
    numbers = {"u": 11, "seq": 11_000} | {field: absurd}

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 20)
        await exchange.send(capture.book(kind, bids=[["100", "2"]], asks=[["101", "1"]], **numbers))
        await exchange.send(delta(capture, 12))
        await reader.until(lambda: len(exchange.asked("unsubscribe")) == 1 and reader.kinds[-1] == "SNAPSHOT")
        await exchange.send(delta(capture, 21))
        await reader.until(lambda: reader.kinds[-1] == "DELTA" and reader.feed.is_synced)

    assert reader.kinds[-3:] == ["GAP", "SNAPSHOT", "DELTA"]
    assert reader.rows[-1][2] == [(0, 200, 2000)]


@pytest.mark.parametrize("field", ["ts", "cts"])
@pytest.mark.parametrize("time_ms", [-1, 10**18, 2**70], ids=["before 1970", "far", "farther"])
async def test_a_time_that_no_clock_shows_voids_the_book(exchange, reader_of, capture, field, time_ms):
    frame = json.loads(delta(capture, 11)) | {field: time_ms}
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 20)
        await exchange.send(json.dumps(frame).encode())
        await reader.until(lambda: reader.kinds == ["SNAPSHOT", "GAP", "SNAPSHOT"])


async def test_a_message_that_is_too_long_ends_the_connection_only(exchange, reader_of, capture):
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        await exchange.send("x" * (5 << 20))
        await reader.until(lambda: reader.kinds == ["SNAPSHOT", "GAP", "SNAPSHOT"], step_s=0.01)

    assert len(exchange.connections) == 2


async def test_frames_beyond_the_queue_void_the_books_and_are_asked_for_anew(exchange, reader_of, capture):
    reader = reader_of(queue_frames_max=16)

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        notified = reader.notified
        await exchange.send(*(delta(capture, 11 + index) for index in range(20)))
        with anyio.fail_after(PATIENCE_S):
            while reader.notified < notified + 20:  # noqa: ASYNC110 - the engine is busy and does not poll
                await anyio.sleep(0.001)
        await reader.until(lambda: reader.kinds[-1] == "SNAPSHOT" and len(reader.rows) > 1)

    assert reader.kinds == ["SNAPSHOT", *["DELTA"] * 16, "GAP", "SNAPSHOT"]
    assert len(exchange.asked("unsubscribe")) == 1


async def test_a_market_that_the_exchange_refuses_ends_the_feed_by_name(reader_of, capture):
    unknown = make_instrument("DOGE/USDT", tick_size="0.1", lot_size="1")
    reader = reader_of(capture.btc, unknown)

    with pytest.raises(FeedError) as caught:
        await reader.feed.run(reader.notify)

    assert "DOGE/USDT: the exchange refused orderbook.50.DOGEUSDT" in caught.value.message
    assert "handler not found" in caught.value.message
    assert "venue_symbol" in caught.value.hint


async def test_a_refusal_of_what_was_taken_before_is_no_end(exchange, reader_of):
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        exchange.symbols.clear()
        exchange.connections[0].transport.abort()
        await reader.until(lambda: len(exchange.asked("subscribe")) == 3, step_s=0.01)
        exchange.symbols.add("BTCUSDT")
        await reader.until(lambda: reader.feed.is_synced, step_s=0.01)


async def test_subscriptions_without_an_answer_are_sent_on_another_connection(exchange, reader_of):
    exchange.answers_requests = False
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: exchange.requests)
        exchange.answers_requests = True
        await reader.until(lambda: len(exchange.connections) == 2, step_s=0.1)
        await reader.until(lambda: reader.feed.is_synced, step_s=0.01)

    assert len(exchange.connections) == 2


async def test_pings_keep_a_quiet_connection(exchange, reader_of, time):
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        began_ns = time.clock.now_ns()
        for count in (1, 2, 3):
            await reader.until(lambda count=count: len(exchange.asked("ping")) == count, step_s=0.2)
            assert time.clock.now_ns() - began_ns >= count * 20e9
            # The answer has come when nobody waits for it any more.
            await reader.until(lambda: next(iter(reader.feed._session._open_links.values()))._pong is None)

    assert exchange.requests[1:] == [{"op": "ping"}] * 3
    assert reader.kinds == ["SNAPSHOT"]
    assert len(exchange.connections) == 1


async def test_a_connection_without_a_sign_of_life_is_replaced(exchange, reader_of, time):
    exchange.answers_pings = False
    reader = reader_of()

    async with reader.running():
        await reader.until(lambda: reader.feed.is_synced)
        began_ns = time.clock.now_ns()
        await reader.until(lambda: "GAP" in reader.kinds, step_s=0.1)
        assert 29.9e9 <= time.clock.now_ns() - began_ns <= 40e9
        await reader.until(lambda: reader.feed.is_synced, step_s=0.01)

    assert len(exchange.connections) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 500}, "depth: expected one of 1, 50, 200, 1000, was 500"),
        ({"stream_url": "ws://stream.bybit.com/v5/public/spot"}, "expected wss"),
        ({"stream_url": "https://api.bybit.com"}, "expected wss://host"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(DomainError, match=message):
        build_component(FEEDS[0], make_options(FEEDS[0], options))


def test_more_markets_than_one_connection_takes_are_refused():
    instruments = tuple(make_instrument(f"COIN{number}/USDT") for number in range(600))

    with pytest.raises(DomainError, match="at most 21000 characters together"):
        build_component(FEEDS[0], instruments=instruments)


STRATEGY = """
schema = 1
[strategy]
name = "live-paper"
[run]
mode = "paper"
[[markets]]
instrument = "BTC/USDT"
{grid}
order_size = "0.01"
[feed]
use = "bybit/linear"
stream_url = "{url}"
[venue.paper]
use = "simulated"
maker_fee_bps = 2
taker_fee_bps = 5
[[optimizer]]
use = "fixed-spread"
spread_bps = 200
[gate]
max_order_size = 1
max_position = 1
max_daily_loss_quote = 50
"""
GRID = 'tick_size = "0.5"\nlot_size = "0.001"'


def test_a_strategy_quotes_on_a_live_book(tmp_path, capture):
    exchange = Exchange()
    exchange.snapshots["orderbook.50.BTCUSDT"] = whole(capture, 10)
    file = tmp_path / "strategy.toml"

    with anyio.from_thread.start_blocking_portal() as portal:
        portal.call(exchange.start)
        file.write_text(STRATEGY.format(url=exchange.url, grid=GRID))
        plan = compose(file, mode=Mode.PAPER, no_journal=True)
        result = run_plan(plan, limit_ns=2_000_000_000)
        portal.call(exchange.stop)

    (market,) = result.status.markets
    assert result.ended_because == "duration"
    assert result.market_messages == 1
    assert market.orders >= 2
    assert market.fills == 0
    assert (result.faults, result.unresolved) == (0, ())


def test_the_grid_comes_from_the_strategy_file(tmp_path):
    file = tmp_path / "strategy.toml"
    file.write_text(STRATEGY.format(url="ws://127.0.0.1:1", grid=""))

    with pytest.raises(ConfigErrors) as caught:
        compose(file, mode=Mode.PAPER, no_journal=True)

    (problem,) = caught.value.problems
    assert problem.key.endswith("tick_size")

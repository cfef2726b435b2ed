"""What `mmframe record` writes of a live Bybit feed replays to the very batches that the feed delivered."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager, suppress
from itertools import count

import attrs
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from mmframe.domain.market import MessageKind
from mmframe.errors import DataError
from mmframe.registry.record import compose_recording
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.recorder import RecorderSettings, read_manifest, record_feed
from mmframe.testing import build_component, make_options
from mmframe_bybit.plugin import HISTORIES

PATIENCE_S = 60
STRATEGY = """\
schema = 1
[strategy]
name = "recording"
[[markets]]
instrument = "BTC/USDT"
tick_size = "{tick}"
lot_size = "0.000001"
[feed]
use = "bybit/{category}"
stream_url = "{url}"
depth = {depth}
"""


class Exchange:
    """Acknowledges what is asked; each connection then plays the script of its number."""

    def __init__(self, *scripts):
        self.scripts = scripts
        self.numbers = count()
        self.connected = 0
        self.resubscribed = lambda connection: None
        self.url = ""

    @contextmanager
    def serving(self):
        with serve(self._handle, "127.0.0.1", 0, ping_interval=None, compression=None) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            self.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/v5/public/linear"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def _handle(self, connection):
        number = next(self.numbers)
        self.connected = number + 1
        playing = None
        with suppress(ConnectionClosed):
            for text in connection:
                request = json.loads(text)
                reply = {"success": True, "ret_msg": "", "conn_id": "c", "op": request["op"]}
                connection.send(json.dumps(reply | {"req_id": request.get("req_id", "")}))
                if request["op"] == "subscribe" and playing is None:
                    playing = threading.Thread(target=self._play, args=(number, connection))
                    playing.start()
                elif request["op"] == "subscribe":
                    self.resubscribed(connection)
        if playing is not None:
            playing.join()

    def _play(self, number, connection):
        with suppress(ConnectionClosed):
            self.scripts[min(number, len(self.scripts) - 1)](connection)


class Spied:
    """A feed whose batches are kept as a driver would get them; asks the recording to stop when a condition holds."""

    next_event_ns = property(lambda self: self.feed.next_event_ns)

    def __init__(self, feed, until, stop):
        self.feed = feed
        self.until = until
        self.stop = stop
        self.rows = []

    async def run(self, notify):
        await self.feed.run(notify)

    def poll(self, now_ns):
        batches = self.feed.poll(now_ns)
        self.rows += rows(batches)
        if self.until(self):
            self.stop.request("enough")
        return batches


def rows(batches):
    found = []
    for batch in batches:
        batch.validate()
        found += [
            (batch.market, batch.kinds[i], batch.exchange_ns[i], batch.receive_ns[i], batch.changes(i))
            for i in range(len(batch))
        ]
    return found


def kinds(delivered):
    return [MessageKind(row[1]).name for row in delivered]


class Recorded:
    """A recording, what the feed delivered while it was made, and the way to replay it."""

    def __init__(self, plan, result, delivered):
        self.plan = plan
        self.delivered = delivered
        self.folder = result.directory
        self.manifest = read_manifest(self.folder / "manifest.json")
        self.paths = [self.folder / facts.name for facts in self.manifest.files if facts.market is not None]

    def replay(self, paths=None, **options):
        keys = {key: value for key, value in self.plan.replay.items() if key != "use"} | options
        made = make_options(HISTORIES[0], {"paths": tuple(paths or self.paths), **keys})
        return rows(build_component(HISTORIES[0], made, instruments=self.plan.instruments).batches())


@pytest.fixture
def record(tmp_path):
    """Return a function that records what an exchange plays until a condition of the feed holds."""

    def make(exchange, until, *, category="linear", depth=50, tick="0.5", more="", **settings):
        with exchange.serving():
            file = tmp_path / "strategy.toml"
            file.write_text(STRATEGY.format(category=category, depth=depth, tick=tick, url=exchange.url) + more)
            stop, spied = StopRequest(), []
            plan = compose_recording(file)

            def make_feed(on_frame):
                spied.append(Spied(plan.make_feed(on_frame), until, stop))
                return spied[-1]

            bounds = RecorderSettings(directory=tmp_path / "captures", **settings)
            patience_ns = PATIENCE_S * 10**9
            result = record_feed(attrs.evolve(plan, make_feed=make_feed), bounds, stop=stop, limit_ns=patience_ns)
            assert result.manifest.ended_because == "enough"
        return Recorded(plan, result, [row for feed in spied for row in feed.rows])

    return make


def play(*frames):
    def script(connection):
        for frame in frames:
            connection.send(frame, text=True)

    return script


def whole(capture, u):
    return capture.book("snapshot", u, bids=[["100", str(u)]], asks=[["101", "1"]])


def change(capture, u):
    return capture.book("delta", u, bids=[["100", str(u)]])


def told(capture, number):
    frame = json.loads(capture.trades(["Buy", "101", "1"]))
    frame["data"][0]["i"] = f"t-{number}"
    return json.dumps(frame).encode()


@pytest.mark.parametrize("name", ["linear_btcusdt_20260809", "spot_btcusdt_20260809"])
def test_a_real_capture_played_live_and_recorded_replays_as_it_was_delivered(record, shared_data, name):
    with gzip.open(shared_data / "bybit_v5" / f"{name}.raw.gz") as file:
        frames = [line.partition(b" ")[2].rstrip() for line in file]
    last = json.loads(next(frame for frame in reversed(frames) if b'"orderbook.' in frame))["data"]["u"]

    recorded = record(
        Exchange(play(*frames)),
        lambda feed: feed.feed._streams[0]._leader.book.last_u == last,
        category=name.partition("_")[0],
        depth=200,
        tick="0.01" if name.startswith("spot") else "0.1",
    )

    assert len(recorded.delivered) > 300
    assert "GAP" not in kinds(recorded.delivered)
    assert recorded.replay(on_bad_frame="error") == recorded.delivered
    assert recorded.manifest.gap_count == recorded.manifest.dropped_frames == 0


def test_several_markets_have_files_of_their_own_and_replay_each_as_it_was(record, capture):
    def of_eth(frame):
        return frame.replace(b"BTCUSDT", b"ETHUSDT")

    frames = [whole(capture, 10), of_eth(whole(capture, 10))]
    for u in range(11, 60):
        frames += [change(capture, u), of_eth(change(capture, u)), told(capture, u), of_eth(told(capture, -u))]
    market = '[[markets]]\ninstrument = "ETH/USDT"\ntick_size = "0.5"\nlot_size = "0.000001"\n'
    recorded = record(Exchange(play(*frames)), lambda feed: len(feed.rows) == 198, more=market)

    found = recorded.replay()

    assert [path.name for path in recorded.paths] == ["btcusdt-0001.raw.gz", "ethusdt-0001.raw.gz"]
    for index in (0, 1):
        assert [row for row in found if row[0] == index] == [row for row in recorded.delivered if row[0] == index]
    assert [row[3] for row in found] == sorted(row[3] for row in found)


def test_a_lost_connection_is_a_gap_at_the_same_place_in_the_replay(record, capture):
    def first(connection):
        play(whole(capture, 10), *(change(capture, u) for u in range(11, 31)), told(capture, 1))(connection)
        connection.socket.close()

    second = play(whole(capture, 31), told(capture, 1), told(capture, 2), change(capture, 32))
    recorded = record(Exchange(first, second), lambda feed: "DELTA" in kinds(feed.rows[-1:]) and len(feed.rows) > 24)

    assert kinds(recorded.delivered)[22:] == ["GAP", "SNAPSHOT", "TRADE", "DELTA"]
    assert recorded.replay() == recorded.delivered


def test_a_renewed_connection_takes_over_at_the_same_frame_in_the_replay(record, capture):
    """Both connections tell the same, the newer one behind at first: nothing is lost, nothing counts twice."""
    renewed, both = threading.Event(), [change(capture, u) for u in range(31, 61)]

    def first(connection):
        play(whole(capture, 10), *(change(capture, u) for u in range(11, 31)), told(capture, 1))(connection)
        renewed.wait(PATIENCE_S)
        play(*both[:20], told(capture, 2))(connection)

    def second(connection):
        play(whole(capture, 25))(connection)
        renewed.set()
        play(*(change(capture, u) for u in range(26, 31)), *both, told(capture, 2), told(capture, 3))(connection)

    asked = []

    def until(feed):
        if len(feed.rows) == 22 and not asked:
            asked.append(feed.feed._session.renew())
        return feed.feed._streams[0].is_synced and feed.feed._streams[0].counts.trades == 3 and feed_is_at(feed, 60)

    recorded = record(Exchange(first, second), until)

    assert "GAP" not in kinds(recorded.delivered)
    assert kinds(recorded.delivered).count("SNAPSHOT") == 2
    assert kinds(recorded.delivered).count("TRADE") == 3
    assert recorded.replay() == recorded.delivered


def feed_is_at(feed, u):
    return feed.feed._streams[0]._leader.book.last_u == u


def test_unreadable_frames_stand_apart_and_void_the_book_in_the_replay_too(record, capture):
    cut = b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":null}'
    exchange = Exchange(play(whole(capture, 10), change(capture, 11), b"[" * 1000, cut, change(capture, 12)))
    exchange.resubscribed = play(whole(capture, 20), change(capture, 21))
    recorded = record(exchange, lambda feed: feed_is_at(feed, 21))

    assert kinds(recorded.delivered) == ["SNAPSHOT", "DELTA", "GAP", "SNAPSHOT", "DELTA"]
    assert recorded.replay() == recorded.delivered
    other = gzip.decompress((recorded.folder / "other-0001.raw.gz").read_bytes()).splitlines()
    assert [line.partition(b" ")[2] for line in other if b'"op"' not in line] == [b"[" * 1000, cut]


def test_a_recorder_that_is_too_slow_says_what_it_lost_and_begins_anew(record, capture):
    exchange = Exchange(play(*(whole(capture, 10), *(change(capture, u) for u in range(11, 400)))))
    # The feed may be at its end before the recorder has noticed what it lost.
    recorded = record(
        exchange,
        lambda feed: exchange.connected > 1 and feed_is_at(feed, 399),
        queue_frames_max=2,
        flush_interval_s=30.0,
    )

    found = recorded.replay()

    assert recorded.manifest.dropped_frames > 0
    anew = next(gap for gap in recorded.manifest.gaps if gap.reason == "the recorder connected anew")
    assert anew.to_ns is not None
    assert any(gap.frames for gap in recorded.manifest.gaps)
    assert "GAP" in kinds(found)
    assert [row for row in found if kinds([row]) != ["GAP"]] == [row for row in recorded.delivered if row in found]


def test_a_rotated_recording_is_one_and_a_cut_one_says_where(record, capture):
    frames = [whole(capture, 10), *(change(capture, u) for u in range(11, 811))]
    recorded = record(
        Exchange(play(*frames)), lambda feed: feed_is_at(feed, 810), rotate_bytes=2000, block_bytes=20_000
    )

    assert len(recorded.paths) > 3
    assert recorded.replay() == recorded.delivered

    # All but the last file have the size at which they were rotated.
    *before, path = paths = recorded.paths[:-1]
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=rf"{path.name}:\d+: cut at line \d+: the gzip stream ends"):
        recorded.replay(paths, on_bad_frame="error")
    found = recorded.replay(paths)
    assert len(recorded.replay(before)) < len(found) < len(recorded.delivered)
    assert found == recorded.delivered[: len(found)]

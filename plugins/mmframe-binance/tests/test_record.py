"""What `mmframe record` writes of a live Binance feed replays to the very batches that the feed delivered.

A server on loopback plays real captures as the exchange sent them: diffs first, the snapshot when it is asked for.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import attrs
import pytest
from websockets.sync.server import serve

from mmframe.domain.market import MessageKind
from mmframe.errors import DataError
from mmframe.registry.record import compose_recording
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.recorder import RecorderSettings, read_manifest, record_feed
from mmframe.testing import build_component
from mmframe_binance.plugin import HISTORIES

PATIENCE_S = 60
STRATEGY = """\
schema = 1
[strategy]
name = "recording"
[[markets]]
instrument = "{instrument}"
tick_size = "{tick}"
lot_size = "{lot}"
[feed]
use = "binance/{product}"
stream_url = "{stream_url}"
rest_url = "{rest_url}"
{options}
"""


class Player:
    """Plays lines of a capture: what comes before the snapshot at once, the rest after the snapshot was fetched.

    Where nothing comes before it, the rest waits until the book stands: then the order of the lines is known.
    """

    def __init__(self, frames):
        is_snapshot = [b'"lastUpdateId"' in frame[:40] for frame in frames]
        first = is_snapshot.index(True)
        self.early, self.snapshot, self.late = frames[:first], frames[first], frames[first + 1 :]
        self.fetched = threading.Event()
        self.stands = threading.Event()
        self.over = threading.Event()
        self.drops_after = None
        self.taken_in = threading.Event()
        self.second_snapshot = self.snapshot
        self.connections = count(1)

    @contextmanager
    def serving(self):
        player = self

        class Rest(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(player.snapshot)))
                self.end_headers()
                self.wfile.write(player.snapshot)
                player.fetched.set()
                player.snapshot = player.second_snapshot

            def log_message(self, *arguments):
                pass

        rest = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
        rest.daemon_threads = True
        with serve(self._play, "127.0.0.1", 0, ping_interval=None, compression=None) as streams:
            threads = [threading.Thread(target=server.serve_forever) for server in (rest, streams)]
            for thread in threads:
                thread.start()
            self.stream_url = f"ws://127.0.0.1:{streams.socket.getsockname()[1]}"
            self.rest_url = f"http://127.0.0.1:{rest.server_address[1]}"
            try:
                yield self
            finally:
                for event in (self.fetched, self.stands, self.over, self.taken_in):
                    event.set()
                rest.shutdown()
                rest.server_close()
                streams.shutdown()
                for thread in threads:
                    thread.join()

    def _play(self, connection):
        request = json.loads(connection.recv())
        connection.send(json.dumps({"result": None, "id": request["id"]}))
        number = next(self.connections)
        late = self.late[: self.drops_after] if number == 1 else self.late[self.drops_after or 0 :]
        for frame in self.early if number == 1 else ():
            connection.send(frame, text=True)
        (self.fetched if self.early else self.stands).wait(PATIENCE_S)
        for frame in late:
            connection.send(frame, text=True)
        if number == 1 and self.drops_after:
            self.taken_in.wait(PATIENCE_S)
            connection.socket.close()
            return
        self.over.wait(PATIENCE_S)


class Spied:
    """A feed whose batches are kept as a driver would get them; asks the recording to stop after some frames."""

    def __init__(self, feed, player, until, stop):
        self.feed = feed
        self.player = player
        self.until = until
        self.stop = stop
        self.rows = []

    next_event_ns = property(lambda self: self.feed.next_event_ns)

    async def run(self, notify):
        await self.feed.run(notify)

    def poll(self, now_ns):
        batches = self.feed.poll(now_ns)
        self.rows += rows(batches)
        if self.rows:
            self.player.stands.set()
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


class Recorded:
    """A recording, what the feed delivered while it was made, and the way to replay it."""

    def __init__(self, plan, result, delivered, counts):
        self.plan = plan
        self.counts = counts
        self.result = result
        self.delivered = delivered
        self.folder = result.directory
        self.manifest = read_manifest(self.folder / "manifest.json")

    def paths(self):
        return [self.folder / facts.name for facts in self.manifest.files if facts.market is not None]

    def replay(self, paths=None, **options):
        keys = {key: value for key, value in self.plan.replay.items() if key != "use"} | options
        made = HISTORIES[0].options(paths=tuple(paths or self.paths()), **keys)
        return rows(build_component(HISTORIES[0], made, instruments=self.plan.instruments).batches())


@pytest.fixture
def record(tmp_path):
    """Return a function that records what a player plays until a condition of the feed holds."""

    def make(player, until, *, product="spot", grid=("BTC/USDT", "0.01", "0.001"), options="", **settings):
        with player.serving():
            file = tmp_path / "strategy.toml"
            urls = {"stream_url": player.stream_url, "rest_url": player.rest_url}
            instrument, tick, lot = grid
            file.write_text(
                STRATEGY.format(product=product, instrument=instrument, tick=tick, lot=lot, options=options, **urls)
            )
            stop, spied = StopRequest(), []
            plan = compose_recording(file)

            def make_feed(on_frame):
                spied.append(Spied(plan.make_feed(on_frame), player, until, stop))
                return spied[-1]

            bounds = RecorderSettings(directory=tmp_path / "captures", **settings)
            patience_ns = PATIENCE_S * 10**9
            result = record_feed(attrs.evolve(plan, make_feed=make_feed), bounds, stop=stop, limit_ns=patience_ns)
            assert result.manifest.ended_because == "enough"
        return Recorded(plan, result, [row for feed in spied for row in feed.rows], spied[-1].feed.counts)

    return make


def lines_of(path, limit):
    with gzip.open(path) as file:
        return [line.partition(b" ")[2].rstrip() for line, _ in zip(file, range(limit), strict=False)]


def kinds(delivered):
    return [MessageKind(row[1]).name for row in delivered]


@pytest.mark.parametrize(
    ("name", "product", "grid"),
    [
        ("binance_spot/start2021_nknusdt", "spot", ("NKN/USDT", "0.00001", "0.1")),
        ("binance_spot/nexousdt_20240723", "spot", ("NEXO/USDT", "0.001", "0.01")),
        ("binance_usdm/btcusdt_20230404", "usdm", ("BTC/USDT", "0.1", "0.001")),
        ("binance_usdm/start2021_akrousdt", "usdm", ("AKRO/USDT", "0.00001", "1")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_real_capture_played_live_and_recorded_replays_as_it_was_delivered(record, shared_data, name, product, grid):
    frames = lines_of(shared_data / f"{name}.raw.gz", 4000)
    last = json.loads(next(frame for frame in reversed(frames) if b"@depth" in frame))["data"]["u"]
    trades = '"aggTrade"' if b"@aggTrade" in b"".join(frames) and product == "spot" else '"trade"'

    recorded = record(
        Player(frames),
        lambda feed: feed.feed._books[0].last_id == last,
        product=product,
        grid=grid,
        options=f"trades = {trades}\ncross_check = true",
    )

    assert len(recorded.delivered) > 100 or "akro" in name
    assert "DELTA" in kinds(recorded.delivered)
    assert "GAP" not in kinds(recorded.delivered)
    # The short ones hold few ids that coincide once the book is joined.
    assert recorded.counts.cross_checked > 20 or "start2021" in name
    assert recorded.counts.disagreements == 0
    assert recorded.replay(on_bad_frame="error") == recorded.delivered
    assert recorded.manifest.gap_count == recorded.manifest.dropped_frames == 0
    for facts in recorded.manifest.files:
        assert hashlib.sha256((recorded.folder / facts.name).read_bytes()).hexdigest() == facts.sha256


def made_up(wire, count=60):
    diffs = [wire.depth(101 + n, 101 + n, bids=[(str(90 + n % 9), str(1 + n))]) for n in range(count)]
    trades = [wire.trade("100", "1", t=n) for n in range(count)]
    return [text.encode() for pair in zip(diffs, trades, strict=True) for text in pair]


def test_a_lost_connection_is_a_gap_at_the_same_place_in_the_replay(record, wire):
    player = Player([wire.snapshot(100).encode(), *made_up(wire)])
    player.drops_after, player.second_snapshot = 40, wire.snapshot(125).encode()

    def until(feed):
        if len(feed.rows) >= 41:
            player.taken_in.set()
        return feed.feed._books[0].last_id == 160

    recorded = record(player, until)

    assert [kind for kind in kinds(recorded.delivered) if kind in {"GAP", "SNAPSHOT"}] == [
        "SNAPSHOT",
        "GAP",
        "SNAPSHOT",
    ]
    assert recorded.replay() == recorded.delivered
    assert [gap.reason for gap in recorded.manifest.gaps] == ["the connection was lost"]


def test_files_are_rotated_by_size_and_replayed_as_one(record, wire):
    player = Player([wire.snapshot(100).encode(), *made_up(wire, 400)])
    recorded = record(player, lambda feed: len(feed.rows) >= 801, rotate_bytes=1000, block_bytes=10_000)

    assert len(recorded.paths()) > 3
    assert recorded.replay() == recorded.delivered
    ends = [(facts.first_receive_ns, facts.last_receive_ns) for facts in recorded.manifest.files if facts.market]
    assert ends == sorted(ends)


def test_without_one_of_its_files_the_book_is_void_and_never_wrong(record, wire):
    player = Player([wire.snapshot(100).encode(), *made_up(wire, 400)])
    recorded = record(player, lambda feed: len(feed.rows) >= 801, rotate_bytes=1000, block_bytes=10_000)
    paths = recorded.paths()

    found = recorded.replay([*paths[:1], *paths[2:]])

    gap = kinds(found).index("GAP")
    assert set(kinds(found)[gap + 1 :]) == {"TRADE"}
    delivered = [row for row in recorded.delivered if kinds([row]) != ["TRADE"]]
    shown = [row for row in found[:gap] if kinds([row]) != ["TRADE"]]
    assert 10 < len(shown) < len(delivered)
    assert shown == delivered[: len(shown)]


def test_a_recording_that_is_cut_off_says_where_and_is_used_up_to_there(record, wire):
    player = Player([wire.snapshot(100).encode(), *made_up(wire, 400)])
    recorded = record(player, lambda feed: len(feed.rows) >= 801, block_bytes=10_000)
    path = recorded.paths()[0]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 5])

    with pytest.raises(DataError, match=r"btcusdt-0001.raw.gz:\d+: cut at line \d+: ") as caught:
        recorded.replay(on_bad_frame="error")
    found = recorded.replay()

    assert found == recorded.delivered[: len(found)]
    assert 0 < caught.value.line - 1 == len(found)


def test_unreadable_frames_stand_apart_and_void_the_book_in_the_replay_too(record, wire):
    bad = [
        wire.depth(161, 161, bids=[("NaN", "1")]).encode(),
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUp',
        b"<html>\n<h1>502</h1>",
    ]
    player = Player([wire.snapshot(100).encode(), *made_up(wire, 60), *bad])
    recorded = record(player, lambda feed: feed.feed.counts.bad_frames == 3)

    assert kinds(recorded.delivered)[-1] == "GAP"
    assert recorded.replay() == recorded.delivered
    other = gzip.decompress((recorded.folder / "other-0001.raw.gz").read_bytes()).splitlines()
    assert [line.partition(b" ")[2] for line in other] == [bad[1], b'"<html>\\n<h1>502</h1>"']
    assert recorded.manifest.rewritten_frames == 1


def test_best_levels_and_the_cross_check_are_recorded_and_replayed(record, wire):
    partial = [
        wire.frame("btcusdt@depth20@100ms", lastUpdateId=100 + n, bids=[["100", str(1 + n)]], asks=[["101", "1"]])
        for n in range(20)
    ]
    ticker = wire.frame("btcusdt@bookTicker", u=119, s="BTCUSDT", b="100", B="20", a="101", A="1")
    player = Player([ticker.encode(), wire.snapshot(1).encode(), *(text.encode() for text in partial)])
    player.fetched.set()
    recorded = record(player, lambda feed: len(feed.rows) == 20, options='book = "depth20"\ncross_check = true')

    assert kinds(recorded.delivered) == ["SNAPSHOT"] * 20
    assert recorded.replay() == recorded.delivered
    assert recorded.plan.replay["book"] == "partial"


def test_a_recorder_that_is_too_slow_says_what_it_lost(record, wire):
    """At the queue's bound frames are dropped and marked, and a feed built anew brings a whole book again."""
    player = Player([wire.snapshot(100).encode(), *made_up(wire, 400)])
    recorded = record(
        player,
        lambda feed: len(feed.rows) >= 300,
        queue_frames_max=50,
        flush_interval_s=30.0,
    )

    assert recorded.manifest.dropped_frames > 0
    assert recorded.manifest.gaps[0].frames > 0
    found = recorded.replay()
    assert "GAP" in kinds(found)
    assert [row for row in found if kinds([row]) != ["GAP"]] == [row for row in recorded.delivered if row in found]

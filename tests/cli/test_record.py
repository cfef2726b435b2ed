"""`mmframe record`, with a feed from a local plugin that makes its frames up."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
import tomllib

import pytest

from mmframe.cli.record import RecordDisplay, progress_line
from mmframe.domain.market import BookState
from mmframe.runtime.recorder import RecordStatus

STRATEGY = """\
schema = 1

[strategy]
name = "listener"

[plugins]
local = ["./ticker.py"]

[[markets]]
instrument = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.001"

[feed]
use = "ticker/live"
{options}

[venue.live]
use = "nowhere/at-all"
api_key = {{ env = "NO_SUCH_KEY" }}
"""

PLUGIN = """\
import anyio
import attrs

from mmframe.domain.market import NEVER_NS, MarketBatch, MessageKind
from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import FeedError
from mmframe.plugin import FeedSpec, Secret, hookimpl, option
from mmframe.plugin.notes import capture_note

MMFRAME_API = 1


@attrs.frozen
class Options:
    frames: int = option(help="Frames.", default=10)
    fails: bool = option(help="Fails after them.", default=False)
    ends: bool = option(help="Ends after them.", default=True)
    token: Secret | None = option(help="A secret.", default=None)
    proxy_url: str | None = option(help="A proxy.", default=None)


class Feed:
    next_event_ns = NEVER_NS

    def __init__(self, options, context):
        self.options, self.context, self.batches = options, context, []

    def poll(self, now_ns):
        batches, self.batches = self.batches, []
        return batches

    async def run(self, notify):
        for number in range(self.options.frames):
            now_ns = self.context.clock.now_ns()
            batch = MarketBatch(0)
            kind = MessageKind.SNAPSHOT if number % 5 == 0 else MessageKind.DELTA
            batch.add(kind, exchange_ns=now_ns, receive_ns=now_ns, changes=((0, 100 + number, 1),))
            if number % 5 == 4:
                self.context.on_frame(0, now_ns, capture_note("loss", reason="made up"))
                batch.add(MessageKind.GAP, exchange_ns=now_ns, receive_ns=now_ns)
            self.context.on_frame(0, now_ns, b'{"n":%d}' % number)
            self.batches.append(batch)
            notify()
            await anyio.sleep(0)
        self.context.on_frame(ALL_MARKETS, self.context.clock.now_ns(), b"bye")
        if self.options.fails:
            raise FeedError("the exchange is gone", hint="wait")
        if not self.options.ends:
            await anyio.sleep_forever()


@hookimpl
def mmframe_register_feeds():
    return (
        FeedSpec(
            name="live",
            summary="Made up.",
            build=Feed,
            options=Options,
            replay=lambda options: {"use": "ticker/capture", "product": 'a "b"', "depth": None, "strict": True},
        ),
        FeedSpec(name="silent", summary="Tells no frames.", build=Feed, options=Options),
    )
"""


@pytest.fixture
def strategy(tmp_path, monkeypatch):
    """Write a strategy that listens to the local plugin's feed; `options` go into its [feed]."""
    monkeypatch.chdir(tmp_path)

    def write(options="", change=lambda text: text):
        (tmp_path / "ticker.py").write_text(PLUGIN, encoding="utf-8")
        path = tmp_path / "strategy.toml"
        path.write_text(change(STRATEGY.format(options=options)), encoding="utf-8")
        return path

    return write


def test_it_writes_files_a_manifest_and_the_table_that_replays_them(invoke, strategy, tmp_path):
    ended = invoke("record", strategy(), "--out", "captures/monday")

    folder = tmp_path / "captures" / "monday"
    assert ended.status == 0, ended.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        "btcusdt-0001.raw.gz",
        "manifest.json",
        "other-0001.raw.gz",
    ]
    assert len(gzip.decompress((folder / "btcusdt-0001.raw.gz").read_bytes()).splitlines()) == 12
    table = tomllib.loads(ended.stdout[ended.stdout.index("[history]") :])["history"]
    assert table == {
        "use": "ticker/capture",
        "product": 'a "b"',
        "strict": True,
        "paths": ["captures/monday/btcusdt-0001.raw.gz"],
    }
    assert "put this into strategy.toml and run `mmframe run" in ended.stdout
    assert "2 times a book was void" in ended.stdout
    assert "end of data: 11 frames in captures/monday" in ended.stderr


def test_json_says_the_same_to_a_machine(invoke, strategy, tmp_path):
    ended = invoke("record", strategy(), "--json", "--quiet")

    result = json.loads(ended.stdout)
    assert (result["frames"], result["dropped_frames"], result["gap_count"]) == (11, 0, 2)
    assert result["books"] == {"BTC/USDT": "unsynced"}
    assert (result["feed"], result["ended_because"]) == ("ticker/live", "end of data")
    assert [facts["market"] for facts in result["files"]] == ["BTC/USDT", None]
    assert tomllib.loads(result["history_toml"])["history"] == result["history"]
    assert result["directory"].startswith(str(tmp_path / "mmframe-captures" / "listener-2"))
    assert all((tmp_path / path).is_file() for path in result["history"]["paths"])


def test_no_key_is_read_and_nothing_but_the_feed_matters(invoke, strategy, monkeypatch, tmp_path):
    monkeypatch.setenv("TOKEN", "canary-9")
    options = 'token = { env = "TOKEN" }\nproxy_url = "http://me:canary-9@127.0.0.1:1"'

    ended = invoke("record", strategy(options), "--out", "x")

    assert ended.status == 0, ended.stderr
    options = json.loads((tmp_path / "x" / "manifest.json").read_text())["feed"]["options"]
    assert options == {"frames": 10, "fails": False, "ends": True, "proxy_url": "http://127.0.0.1:1"}
    assert "canary" not in "".join(path.read_text("latin-1") for path in (tmp_path / "x").iterdir())
    assert "canary" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("change", "message", "status"),
    [
        (("ticker/live", "ticker/silent"), "which tells no raw frames", 2),
        (("ticker/live", "ticker/lve"), "feed.use", 3),
        (('tick_size = "0.01"', 'tick_size = "x"'), "markets[0].tick_size", 2),
        (("[feed]", "[feeed]"), "feeed", 2),
        (("[feed]", "[feed]\nframe = 3"), "feed.frame", 2),
    ],
    ids=["silent", "no such feed", "grid", "misspelt table", "unknown option"],
)
def test_what_concerns_the_feed_is_told_before_anything_is_written(invoke, strategy, tmp_path, change, message, status):
    ended = invoke("record", strategy(change=lambda text: text.replace(*change)), "--out", "x")

    assert ended.status == status
    assert message in ended.stderr
    assert "strategy.toml" in ended.stderr
    assert not (tmp_path / "x").exists()


def test_a_market_that_is_made_up_cannot_be_recorded(invoke, strategy):
    grid = 'tick_size = "0.01"\nlot_size = "0.001"\n'

    ended = invoke("record", strategy(change=lambda text: text.replace("ticker/live", "embedded").replace(grid, "")))

    assert ended.status == 2
    expected = "feed.use: expected a feed that can be recorded, was 'embedded', which lives on virtual time"
    assert expected in ended.stderr


def test_a_feed_that_gives_up_leaves_what_was_recorded(invoke, strategy, tmp_path):
    ended = invoke("record", strategy("fails = true"), "--out", "x")

    assert ended.status == 4
    assert "error[feed]: the exchange is gone" in ended.stderr
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text())
    assert (manifest["ended_because"], manifest["frames"]) == ("a failure", 11)


def test_a_recording_of_nothing_is_a_failure(invoke, strategy):
    text = PLUGIN.replace("self.context.on_frame(", "(lambda *a: None)(")
    file = strategy()
    (file.parent / "ticker.py").write_text(text)

    ended = invoke("record", file, "--out", "x")

    assert ended.status == 4
    assert "ticker/live: expected frames of BTC/USDT, was not one in" in ended.stderr


def test_a_folder_that_is_there_is_left_alone(invoke, strategy, tmp_path):
    (tmp_path / "x").mkdir()

    ended = invoke("record", strategy(), "--out", "x")

    assert ended.status == 2
    assert "x: expected a new folder, was one that is there already" in ended.stderr
    assert list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize("words", [("--for", "soon"), ("--rotate-mb", "0"), ("--fsync", "often")])
def test_a_wrong_option_is_refused_with_its_name(invoke, strategy, words):
    ended = invoke("record", strategy(), *words)

    assert ended.status == 2
    assert f"error[usage]: {words[0]}: " in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "SIGTERM"])
def test_a_signal_completes_the_files(start, strategy, tmp_path, number):
    process = start("record", strategy("ends = false"), "--out", "x", "--json")
    deadline = time.monotonic() + 60
    while not (tmp_path / "x" / "btcusdt-0001.raw.gz").exists():
        assert time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.02)

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)

    assert process.returncode == 0, stderr
    assert json.loads(stdout)["frames"] == 11
    assert "completing the files" in stderr


def test_the_time_that_was_asked_for_ends_it(invoke, strategy):
    ended = invoke("record", strategy("ends = false"), "--for", "300ms", "--json")

    assert ended.status == 0
    assert json.loads(ended.stdout)["ended_because"] == "duration"


def test_the_progress_says_what_a_person_wants_to_know():
    status = RecordStatus(
        elapsed_ns=65_000_000_000,
        frames=12_345,
        raw_bytes=5_432_100,
        disk_bytes=654_000,
        dropped_frames=7,
        gaps=1,
        books={"BTC/USDT": BookState.SYNCED, "ETH/USDT": BookState.UNSYNCED, "X/Y": BookState.SYNCED},
    )

    assert progress_line(status, 98.7) == (
        "[1 min 05 s] 12,345 frames (99/s), 5.4 MB raw, 654.0 kB on disk, books: 2 synced, 1 unsynced, 1 gap, 7 DROPPED"
    )


def test_the_rate_is_that_since_the_line_before(capsys):
    seconds = iter([0.0, 10.0, 20.0])
    display = RecordDisplay(is_quiet=False, now_s=lambda: next(seconds))
    for frames in (1000, 4000):
        display.on_status(RecordStatus(0, frames, 0, 0, 0, 0, {}))
    display.close()

    assert "(100/s)" in (lines := capsys.readouterr().err.splitlines())[0]
    assert "(300/s)" in lines[1]


def test_standard_error_that_is_gone_does_not_end_a_recording(monkeypatch):
    def broken(descriptor, data):
        raise OSError(32, "Broken pipe")

    monkeypatch.setattr(os, "write", broken)

    RecordDisplay(is_quiet=True).on_stop_requested("stopped by Ctrl+C")

"""What the recorder's thread leaves on the disk: every frame once, in order, in files that are whole by themselves."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import DataError
from mmframe.plugin.notes import capture_note, read_note
from mmframe.runtime.recorder import Fsync, RecorderSettings, read_manifest
from mmframe.runtime.recorder import files as files_module

HOUR_NS = 3_600_000_000_000
START_NS = 490_000 * HOUR_NS


def test_each_market_has_files_of_its_own_with_every_frame_in_order(writer, folder, lines):
    source = random.Random(4)
    sent = {0: [], 1: [], ALL_MARKETS: []}
    made = writer(block_bytes=2000)
    for number in range(3000):
        market = source.choice([0, 1, ALL_MARKETS])
        frame = b'{"n":%d}' % number
        made.put(market, START_NS + number, frame)
        sent[market].append((START_NS + number, frame))

    manifest = made.close("test")

    names = {0: "btcusdt", 1: "ethusdt", ALL_MARKETS: "other"}
    assert sorted(path.name for path in folder.iterdir()) == [
        "btcusdt-0001.raw.gz",
        "ethusdt-0001.raw.gz",
        "manifest.json",
        "other-0001.raw.gz",
    ]
    for market, name in names.items():
        assert lines(folder / f"{name}-0001.raw.gz") == sent[market]
    assert manifest.frames == 3000
    assert manifest.raw_bytes == sum(len(frame) for rows in sent.values() for _, frame in rows)


def test_the_manifest_says_what_the_files_hold(writer, folder, clock):
    made = writer(steady_ns=lambda: 0)
    made.put(0, START_NS, b"{}")
    made.put(0, START_NS + 7, capture_note("loss", reason="why"))
    made.put(0, START_NS + 5, b"[1]")
    clock.advance(s=2)

    manifest = made.close("stopped by Ctrl+C")

    told = read_manifest(folder / "manifest.json")
    assert told == manifest
    data = (folder / "btcusdt-0001.raw.gz").read_bytes()
    facts = told.files[0]
    assert (facts.name, facts.market, facts.lines, facts.frames) == ("btcusdt-0001.raw.gz", "BTC/USDT", 3, 2)
    assert (facts.first_receive_ns, facts.last_receive_ns) == (START_NS, START_NS + 7)
    assert (facts.bytes, facts.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert facts.raw_bytes == len(gzip.decompress(data))
    assert (told.feed.use, told.feed.distribution, told.feed.options) == ("venue/spot", "mmframe-venue", {"depth": 50})
    assert [(market.venue_symbol, market.tick_size) for market in told.markets] == [
        ("BTCUSDT", "0.01"),
        ("ETHUSDT", "0.05"),
    ]
    assert (told.ended_because, told.gap_count, told.gaps[0].reason) == ("stopped by Ctrl+C", 1, "why")
    # The clock ran two seconds ahead of the steady one, and one frame bore an earlier time than the one before it.
    assert (told.clock.adjusted_ms, told.clock.steps_back) == (2000.0, 1)
    assert told.open_files == ()


def test_the_manifest_of_a_recording_that_goes_on_says_so(writer, folder):
    made = writer()

    told = read_manifest(folder / "manifest.json")

    assert (told.ended, told.files, told.frames) == (None, (), 0)
    made.close("test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected the manifest of a recording"),
        ('{"schema": 2}', "expected a manifest of schema 1, was 2"),
        ('{"schema": 1}', "expected the manifest of a recording"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_an_error_with_its_name(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)

    with pytest.raises(DataError, match=message) as caught:
        read_manifest(tmp_path / "manifest.json")

    assert caught.value.file.endswith("manifest.json")


def test_a_file_ends_with_its_hour_and_by_its_size(writer, folder, lines):
    made = writer(rotate_every_ns=HOUR_NS)
    for minute in (0, 30, 59, 60, 61, 185):
        made.put(0, START_NS + minute * 60_000_000_000, b"%d" % minute)
    manifest = made.close("test")

    found = [[frame for _, frame in lines(folder / facts.name)] for facts in manifest.files]
    assert found == [[b"0", b"30", b"59"], [b"60", b"61"], [b"185"]]


def test_a_file_that_is_large_enough_is_followed_by_another(writer, folder, lines):
    source = random.Random(1)
    frames = [source.randbytes(300).hex().encode() for _ in range(100)]
    made = writer(rotate_bytes=5000, block_bytes=1000)
    for number, frame in enumerate(frames):
        made.put(0, START_NS + number, frame)
    manifest = made.close("test")

    assert len(manifest.files) > 4
    assert all(5000 <= facts.bytes < 7000 for facts in manifest.files[:-1])
    assert [frame for facts in manifest.files for _, frame in lines(folder / facts.name)] == frames


def test_what_does_not_fit_the_queue_is_dropped_counted_and_marked_in_its_place(writer, folder, lines):
    made = writer(queue_frames_max=3, flush_interval_s=60.0)
    # The thread cannot take anything meanwhile: the queue alone decides.
    take, made._take = made._take, lambda: ([], {})
    for number in range(5):
        made.put(0, START_NS + number, b"%d" % number)
    made.put(1, START_NS + 5, b"5")
    made.put(0, START_NS + 6, capture_note("from", connection=2))
    made._take = take

    manifest = made.close("test")

    first = lines(folder / "btcusdt-0001.raw.gz")
    assert [frame for _, frame in first[:3]] == [b"0", b"1", b"2"]
    assert [read_note(frame).mmframe for _, frame in first[3:]] == ["from", "loss"]
    assert [time_ns for time_ns, _ in first] == sorted(time_ns for time_ns, _ in first)
    assert [read_note(frame).mmframe for _, frame in lines(folder / "ethusdt-0001.raw.gz")] == ["loss"]
    assert (manifest.frames, manifest.dropped_frames, manifest.dropped_bytes) == (3, 3, 3)
    assert [(gap.market, gap.from_ns, gap.to_ns, gap.frames) for gap in manifest.gaps] == [
        ("BTC/USDT", START_NS + 3, START_NS + 4, 2),
        ("ETH/USDT", START_NS + 5, START_NS + 5, 1),
    ]


def test_a_frame_of_several_lines_is_written_as_one(writer, folder, lines):
    made = writer()
    made.put(0, START_NS, b'{\n "lastUpdateId": 1,\r\n "bids": []\n}')
    made.put(0, START_NS + 1, b"<html>\n\xff</html>")
    manifest = made.close("test")

    assert lines(folder / "btcusdt-0001.raw.gz") == [(START_NS, b'{  "lastUpdateId": 1,\r  "bids": [] }')]
    assert lines(folder / "other-0001.raw.gz") == [(START_NS + 1, b'"<html>\\n\\\\xff</html>"')]
    assert manifest.rewritten_frames == 2


@pytest.mark.parametrize(
    ("policy", "calls"), [(Fsync.NEVER, 0), (Fsync.ROTATE, 1), (Fsync.INTERVAL, 4)], ids=["never", "rotate", "interval"]
)
def test_data_are_forced_to_the_disk_as_often_as_was_asked(writer, folder, monkeypatch, policy, calls):
    forced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: forced.append(os.fstat(descriptor).st_ino))
    made = writer(fsync=policy, block_bytes=1, flush_interval_s=60.0)
    for number in range(3):
        made.put(0, START_NS + number, b"x")
    made.close("test")

    assert forced.count((folder / "btcusdt-0001.raw.gz").stat().st_ino) == calls
    assert bool(forced) == bool(calls)


def test_a_disk_that_is_full_ends_the_recording_with_what_is_whole(writer, folder, lines, monkeypatch):
    made = writer(block_bytes=1000, flush_interval_s=60.0)
    blocks = []

    class Full:
        """The disk takes two blocks and then half of one."""

        def __init__(self, file):
            self.file = file

        def write(self, data):
            blocks.append(len(data))
            if len(blocks) > 3:
                raise OSError(28, "No space left on device")
            return self.file.write(data if len(blocks) < 3 else data[: len(data) // 2])

        def __getattr__(self, name):
            return getattr(self.file, name)

    opened = files_module._OpenFile.__init__

    def init(self, *arguments):
        opened(self, *arguments)
        self._file = Full(self._file)

    monkeypatch.setattr(files_module._OpenFile, "__init__", init)
    for number in range(100):
        made.put(0, START_NS + number, b"%060d" % number)

    with pytest.raises(OSError, match="No space left"):
        made.close("a failure")

    found = lines(folder / "btcusdt-0001.raw.gz")
    assert 10 < len(found) < 100
    assert [frame for _, frame in found] == [b"%060d" % number for number in range(len(found))]
    told = read_manifest(folder / "manifest.json")
    assert (told.ended_because, told.files[0].lines) == ("a failure", len(found))
    assert hashlib.sha256((folder / "btcusdt-0001.raw.gz").read_bytes()).hexdigest() == told.files[0].sha256


def test_a_recording_never_writes_over_another(writer):
    made = writer()

    with pytest.raises(FileExistsError):
        writer()

    made.close("test")


@pytest.mark.parametrize("symbols", [("BTC-USDT", "BTC_USDT"), ("other", "btc/usdt:perp"), ("±", "ETHUSDT")])
def test_file_names_are_plain_and_each_its_own(symbols):
    from mmframe.runtime.recorder.writer import _stems

    stems = _stems(symbols)

    assert len({*stems, "other"}) == 3
    assert all(re.fullmatch(r"[a-z0-9-]+", stem) for stem in stems)


def test_bounds_must_be_positive(tmp_path):
    from mmframe.errors import DomainError

    with pytest.raises(DomainError, match="expected positive bounds"):
        RecorderSettings(directory=tmp_path, rotate_bytes=0)


CHILD = """\
    import sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from mmframe.runtime.clocks import SystemClock
    from mmframe.runtime.plan import Provenance
    from mmframe.runtime.recorder import CaptureWriter, RecorderSettings, RecordPlan
    from mmframe.testing import make_instrument

    folder = Path(sys.argv[1])
    clock = SystemClock()
    plan = RecordPlan(
        name="killed", directory=folder, strategy_hash="", instruments=(make_instrument(),), feed_use="x/y",
        feed_options={{}}, provenance=Provenance("x", "x", "1"), replay={{}}, clock=clock, make_feed=lambda _: None,
    )
    settings = RecorderSettings(
        directory=folder / "capture", flush_interval_s=0.01, block_bytes=4000, rotate_bytes=100_000
    )
    writer = CaptureWriter(plan, settings)
    writer.start()
    number = 0
    while True:
        writer.put(0, clock.now_ns(), b'{{"n":%d}}' % number)
        number += 1
        if number % 500 == 0:
            print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("prints", [1, 7, 40])
def test_a_killed_recorder_leaves_files_that_read_to_their_end(tmp_path, lines, prints):
    script = textwrap.dedent(CHILD).format(tests=str(Path(__file__).parents[3]))
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    for _ in range(prints):
        child.stdout.readline()
    while not list((tmp_path / "capture").glob("btcusdt-*")):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()

    found = [line for path in sorted((tmp_path / "capture").glob("btcusdt-*")) for line in lines(path)]

    frames = [frame for _, frame in found if read_note(frame) is None]
    assert len(frames) == len(found)
    assert frames == [b'{"n":%d}' % number for number in range(len(frames))]
    manifest = read_manifest(tmp_path / "capture" / "manifest.json")
    assert manifest.ended is None
    for facts in manifest.files:
        data = (tmp_path / "capture" / facts.name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == facts.sha256

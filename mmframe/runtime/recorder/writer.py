"""The one thread that writes: frames come in over a bounded queue, lines go out in blocks.

Whoever receives frames never waits for the disk. At the queue's bound frames are dropped until the thread has taken the
rest; the loss has one place in each file, marked by a note, and stands in the manifest.
"""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import attrs
import msgspec

from mmframe import __version__
from mmframe.domain.orders import ALL_MARKETS
from mmframe.plugin.notes import capture_note, is_note, read_note
from mmframe.runtime.recorder.files import LineFiles
from mmframe.runtime.recorder.gaps import GapLog
from mmframe.runtime.recorder.manifest import CaptureManifest, ClockNotes, FeedFacts, MarketFacts, write_manifest
from mmframe.runtime.recorder.settings import Fsync

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.runtime.recorder.plan import RecordPlan
    from mmframe.runtime.recorder.settings import RecorderSettings

__all__ = ["CaptureWriter"]

_OTHER = "other"
_NS_PER_S = 1_000_000_000
_NS_PER_MS = 1_000_000
_SCHEMA = 1


class _Line(NamedTuple):
    stream: int
    receive_ns: int
    frame: bytes


@attrs.define
class _Drop:
    """What was dropped of one stream since the thread last took the queue."""

    from_ns: int
    to_ns: int
    frames: int = 0
    bytes: int = 0


class CaptureWriter:
    """Writes what a feed hands over: a row of files for each market, one for what is of no market, and the manifest.

    Args:
        plan: What is recorded.
        settings: Where to, and how.
        steady_ns: A clock that is never set, for what is said of the other one; nanoseconds of any origin.

    Attributes:
        frames: Frames taken, notes not among them.
        raw_bytes: Their bytes.
        dropped_frames: Frames dropped because the queue was full.
        dropped_bytes: Their bytes.
        losses: Times that the queue was full and has been taken since.
        gaps: Where books are void, for the manifest.
        failure: Why nothing more can be written, or None.
    """

    def __init__(
        self, plan: RecordPlan, settings: RecorderSettings, *, steady_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._steady_ns = steady_ns
        stems = _stems([instrument.venue_symbol for instrument in plan.instruments])
        symbols: list[str | None] = [instrument.symbol for instrument in plan.instruments]
        self._symbols = [*symbols, None]
        self._streams = [LineFiles(*stream, settings) for stream in zip([*stems, _OTHER], self._symbols, strict=True)]
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._is_closing = False
        self._items: list[_Line] = []
        self._item_bytes = 0
        self._drops: dict[int, _Drop] = {}
        self._steps_back = 0
        self._rewritten = 0
        self._files_seen = 0
        self._started_ns = 0
        self._started_steady_ns = 0
        self._thread = threading.Thread(target=self._run, name="mmframe-recorder", daemon=True)
        self.frames = 0
        self.raw_bytes = 0
        self.dropped_frames = 0
        self.dropped_bytes = 0
        self.losses = 0
        self.gaps = GapLog()
        self.failure: Exception | None = None

    @property
    def disk_bytes(self) -> int:
        """Return the size of all files so far."""
        return sum(stream.disk_bytes for stream in self._streams)

    def start(self) -> None:
        """Make the folder, write the first manifest and begin.

        Raises:
            OSError: If the folder is there already or cannot be written.
        """
        self._started_ns, self._started_steady_ns = self._plan.clock.now_ns(), self._steady_ns()
        self._settings.directory.mkdir(parents=True)
        write_manifest(self._settings.directory, self._manifest(), is_durable=self._is_durable)
        self._thread.start()

    def put(self, market: int, receive_ns: int, frame: bytes) -> None:
        """Take one frame or note; never waits for the disk. At the queue's bound a frame is dropped, a note is not."""
        stream = len(self._streams) - 1 if market == ALL_MARKETS else market
        size = len(frame)
        is_frame = not is_note(frame)
        settings = self._settings
        with self._lock:
            is_full = (
                len(self._items) >= settings.queue_frames_max or self._item_bytes + size > settings.queue_bytes_max
            )
            if is_frame and (self._drops or is_full):
                self._drop(stream, receive_ns, size)
            else:
                self._items.append(_Line(stream, receive_ns, frame))
                self._item_bytes += size
                if is_frame:
                    self.frames += 1
                    self.raw_bytes += size
            is_much = self._drops or 2 * self._item_bytes > settings.queue_bytes_max
        if is_much:
            self._work.set()

    def close(self, ended_because: str) -> CaptureManifest:
        """Write what is left and the last manifest, and return it.

        Raises:
            OSError: If something could not be written, now or before.
            Exception: Whatever else kept the thread from going on.
        """
        self._is_closing = True
        self._work.set()
        self._thread.join()
        if self.failure is None:
            self._attempt(self._complete)
        for files in self._streams:
            files.abandon()
        manifest = self._manifest(ended_because)
        # After a failure too: what is whole is told, if there is room for that.
        self._attempt(lambda: write_manifest(self._settings.directory, manifest, is_durable=self._is_durable))
        if self.failure is not None:
            raise self.failure
        return manifest

    @property
    def _is_durable(self) -> bool:
        return self._settings.fsync is not Fsync.NEVER

    def _drop(self, stream: int, receive_ns: int, size: int) -> None:
        drop = self._drops.setdefault(stream, _Drop(receive_ns, receive_ns))
        drop.to_ns = receive_ns
        drop.frames += 1
        drop.bytes += size
        self.dropped_frames += 1
        self.dropped_bytes += size

    def _run(self) -> None:
        while not self._is_closing and self.failure is None:
            self._work.wait(self._settings.flush_interval_s)
            self._work.clear()
            self._attempt(self._write)
        if self.failure is None:
            self._attempt(self._write)

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised by whoever closes; a thread that just ends would go unnoticed
            self.failure = self.failure or error

    def _take(self) -> tuple[list[_Line], dict[int, _Drop]]:
        with self._lock:
            taken = self._items, self._drops
            self._items, self._item_bytes, self._drops = [], 0, {}
        return taken

    def _write(self) -> None:
        lines, drops = self._take()
        for stream, receive_ns, frame in lines:
            self._add(stream, receive_ns, frame)
        for stream, drop in drops.items():
            self._add_loss(stream, drop)
        for files in self._streams:
            files.flush()
        if drops:
            self.losses += 1
        files_seen = sum(len(files.complete) + (files.open_file is not None) for files in self._streams)
        if files_seen != self._files_seen:
            self._files_seen = files_seen
            write_manifest(self._settings.directory, self._manifest(), is_durable=self._is_durable)

    def _complete(self) -> None:
        for files in self._streams:
            files.rotate()

    def _add(self, stream: int, receive_ns: int, frame: bytes) -> None:
        note = read_note(frame)
        if note is not None and note.reason:
            self.gaps.explain(
                self._symbols[stream], receive_ns, note.reason, is_gap=note.mmframe in {"loss", "restart"}
            )
        if b"\n" in frame:
            self._rewritten += 1
            stream, frame = self._as_one_line(stream, frame)
        files = self._streams[stream]
        if receive_ns < files.last_ns:
            self._steps_back += 1
            receive_ns = files.last_ns
        files.add(receive_ns, frame, is_note=note is not None)

    def _as_one_line(self, stream: int, frame: bytes) -> tuple[int, bytes]:
        """Return a frame of several lines as one, and the stream that it goes to.

        In JSON a line break can only be white space between values. What is no JSON becomes a JSON text of its own, and
        is nothing that a market's history could read.
        """
        try:
            msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return len(self._streams) - 1, msgspec.json.encode(frame.decode("utf-8", "backslashreplace"))
        return stream, frame.replace(b"\n", b" ")

    def _add_loss(self, stream: int, drop: _Drop) -> None:
        self.gaps.on_dropped(self._symbols[stream], drop.from_ns, drop.to_ns, frames=drop.frames, size_bytes=drop.bytes)
        at_ns = max(drop.from_ns, self._streams[stream].last_ns)
        note = capture_note("loss", reason="the recorder could not keep up")
        self._streams[stream].add(at_ns, note, is_note=True)

    def _manifest(self, ended_because: str | None = None) -> CaptureManifest:
        plan = self._plan
        now_ns = plan.clock.now_ns()
        adjusted_ns = (now_ns - self._started_ns) - (self._steady_ns() - self._started_steady_ns)
        return CaptureManifest(
            schema=_SCHEMA,
            mmframe=__version__,
            strategy=plan.name,
            strategy_sha256=plan.strategy_hash,
            feed=FeedFacts(
                use=plan.feed_use,
                plugin=plan.provenance.plugin,
                distribution=plan.provenance.distribution,
                version=plan.provenance.version,
                options=dict(plan.feed_options),
            ),
            markets=tuple(map(_market_facts, plan.instruments)),
            started=_iso(self._started_ns),
            ended=None if ended_because is None else _iso(now_ns),
            ended_because=ended_because,
            frames=self.frames,
            raw_bytes=self.raw_bytes,
            dropped_frames=self.dropped_frames,
            dropped_bytes=self.dropped_bytes,
            rewritten_frames=self._rewritten,
            gap_count=self.gaps.count,
            gaps=self.gaps.gaps(),
            clock=ClockNotes("clock of this machine at receipt, UTC", adjusted_ns / _NS_PER_MS, self._steps_back),
            files=tuple(facts for files in self._streams for facts in files.complete),
            open_files=tuple(files.open_file for files in self._streams if files.open_file is not None),
            replay=dict(plan.replay),
        )


def _stems(symbols: Sequence[str]) -> list[str]:
    """Return beginnings of file names that are safe everywhere and each its own."""
    stems: list[str] = []
    for symbol in symbols:
        stem = re.sub(r"[^a-z0-9]+", "-", symbol.lower()).strip("-") or "market"
        taken = {*stems, _OTHER}
        numbered = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(symbols) + 2))
        stems.append(next(name for name in numbered if name not in taken))
    return stems


def _market_facts(instrument: Instrument) -> MarketFacts:
    return MarketFacts(
        instrument=instrument.symbol,
        venue_symbol=instrument.venue_symbol,
        tick_size=f"{instrument.tick_size:f}",
        lot_size=f"{instrument.lot_size:f}",
    )


def _iso(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, _NS_PER_S)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest_ns:09d}Z"

"""Runs a feed for its frames alone: no venue, no orders, no engine.

The feed is driven as in a run, so that it syncs its books: the snapshots that it asks for are part of the recording. A
recording that lost frames goes on with a feed built anew, whose books begin with snapshots again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio
import attrs

from mmframe.domain.market import BookState, MessageKind
from mmframe.errors import MmframeError, UsageError
from mmframe.plugin.notes import capture_note
from mmframe.runtime.recorder.writer import CaptureWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from anyio.abc import TaskGroup

    from mmframe.domain.market import MarketBatch
    from mmframe.ports import Feed
    from mmframe.runtime.driver import StopRequest
    from mmframe.runtime.recorder.manifest import CaptureManifest
    from mmframe.runtime.recorder.plan import RecordPlan
    from mmframe.runtime.recorder.settings import RecorderSettings

__all__ = ["RecordObserver", "RecordResult", "RecordStatus", "record_feed"]

_LONGEST_WAIT_S = 0.25
_RESTART_PAUSE_NS = 30_000_000_000
"""Shortest time between two feeds: a disk that stays too slow must not make the exchange send snapshots on and on."""


@attrs.frozen
class RecordStatus:
    """How far a recording is.

    Attributes:
        elapsed_ns: Since the start.
        frames: Taken so far.
        raw_bytes: Their bytes.
        disk_bytes: What is on disk of them, compressed.
        dropped_frames: Frames that are lost because the disk was too slow.
        gaps: Times that a book became void or frames were lost.
        books: State of each market's book, by unified symbol.
    """

    elapsed_ns: int
    frames: int
    raw_bytes: int
    disk_bytes: int
    dropped_frames: int
    gaps: int
    books: dict[str, BookState]


@attrs.frozen
class RecordResult:
    """What became of a recording.

    Attributes:
        directory: The folder.
        manifest: As it was written there last.
    """

    status: RecordStatus
    directory: Path
    manifest: CaptureManifest


class RecordObserver(Protocol):
    """Looks at a recording now and then."""

    interval_s: float
    """Shortest time between two looks."""

    def on_status(self, status: RecordStatus) -> None:
        """Take the recording's state; called between steps and once at the end."""
        ...


def record_feed(
    plan: RecordPlan,
    settings: RecorderSettings,
    *,
    stop: StopRequest,
    observer: RecordObserver | None = None,
    limit_ns: int | None = None,
) -> RecordResult:
    """Record until asked to stop, until the time is up, or until the feed gives up.

    Raises:
        ConfigErrors: If the feed refuses its options.
        UsageError: If the files cannot be written; what was written before is whole.
        FeedError: If the feed gives up; the recording up to there is whole.
    """

    async def record() -> RecordResult:
        # Made inside of the loop that its scopes and events belong to.
        return await _RecordSession(plan, settings, stop=stop, observer=observer, limit_ns=limit_ns).run()

    return anyio.run(record)


class _RecordSession:
    """One recording."""

    def __init__(
        self,
        plan: RecordPlan,
        settings: RecorderSettings,
        *,
        stop: StopRequest,
        observer: RecordObserver | None,
        limit_ns: int | None,
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._stop = stop
        self._observer = observer
        self._limit_ns = limit_ns
        self._writer = CaptureWriter(plan, settings)
        self._feed = plan.make_feed(self._writer.put)
        self._scope = anyio.CancelScope()
        self._news = anyio.Event()
        self._is_over = False
        self._failure: Exception | None = None
        self._books = [BookState.UNSYNCED for _ in plan.instruments]
        self._losses_seen = 0
        self._started_ns = 0
        self._restarted_ns = 0
        self._next_look_ns = 0

    async def run(self) -> RecordResult:
        """Record to the end and return the result."""
        self._started_ns = self._plan.clock.now_ns()
        try:
            self._writer.start()
        except OSError as error:
            raise self._cannot_write(error) from None
        ended_because = "a failure"
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._run_feed, self._feed, self._scope)
                ended_because = await self._until_over(tasks)
                tasks.cancel_scope.cancel()
        finally:
            manifest = self._close(ended_because)
        if self._failure is not None:
            raise self._failure
        result = RecordResult(self._status(), self._settings.directory, manifest)
        if self._observer is not None:
            self._observer.on_status(result.status)
        return result

    async def _until_over(self, tasks: TaskGroup) -> str:
        end_ns = None if self._limit_ns is None else self._started_ns + self._limit_ns
        while True:
            self._news = anyio.Event()
            is_over = self._is_over
            now_ns = self._plan.clock.now_ns()
            self._take(self._feed.poll(now_ns))
            self._look(now_ns)
            if self._failure is not None or self._writer.failure is not None:
                return "a failure"
            if self._stop.reason is not None:
                return self._stop.reason
            if end_ns is not None and now_ns >= end_ns:
                return "duration"
            if is_over:
                return "end of data"
            if self._writer.losses > self._losses_seen and now_ns - self._restarted_ns >= _RESTART_PAUSE_NS:
                self._restart(tasks, now_ns)
            wait_s = _LONGEST_WAIT_S if end_ns is None else min(_LONGEST_WAIT_S, (end_ns - now_ns) / 1e9)
            with anyio.move_on_after(wait_s):
                await self._news.wait()

    async def _run_feed(self, feed: Feed, scope: anyio.CancelScope) -> None:
        with scope:
            try:
                await feed.run(self._notify)
            except Exception as error:  # noqa: BLE001 - raised when the files are closed
                self._failure = _first_expected(error)
            self._is_over = True
            self._notify()

    def _notify(self) -> None:
        self._news.set()

    def _take(self, batches: Iterable[MarketBatch]) -> None:
        gaps = self._writer.gaps
        for batch in batches:
            market = batch.market
            symbol = self._plan.instruments[market].symbol
            for kind, receive_ns in zip(batch.kinds, batch.receive_ns, strict=True):
                if kind == MessageKind.GAP:
                    gaps.on_void(symbol, receive_ns)
                    self._books[market] = BookState.UNSYNCED
                elif kind == MessageKind.SNAPSHOT and self._books[market] is not BookState.SYNCED:
                    gaps.on_whole(symbol, receive_ns)
                    self._books[market] = BookState.SYNCED

    def _restart(self, tasks: TaskGroup, now_ns: int) -> None:
        """Go on with a new feed: the books of the old one stay void in the files, for want of what was lost."""
        self._losses_seen = self._writer.losses
        self._restarted_ns = now_ns
        self._scope.cancel()
        self._scope = anyio.CancelScope()
        for market, instrument in enumerate(self._plan.instruments):
            self._books[market] = BookState.UNSYNCED
            self._writer.gaps.on_void(instrument.symbol, now_ns)
            self._writer.put(market, now_ns, capture_note("restart", reason="the recorder connected anew"))
        self._feed = self._plan.make_feed(self._writer.put)
        tasks.start_soon(self._run_feed, self._feed, self._scope)

    def _look(self, now_ns: int) -> None:
        if self._observer is not None and now_ns >= self._next_look_ns:
            self._next_look_ns = now_ns + int(self._observer.interval_s * 1e9)
            self._observer.on_status(self._status())

    def _status(self) -> RecordStatus:
        writer = self._writer
        symbols = (instrument.symbol for instrument in self._plan.instruments)
        return RecordStatus(
            elapsed_ns=self._plan.clock.now_ns() - self._started_ns,
            frames=writer.frames,
            raw_bytes=writer.raw_bytes,
            disk_bytes=writer.disk_bytes,
            dropped_frames=writer.dropped_frames,
            gaps=writer.gaps.count,
            books=dict(zip(symbols, self._books, strict=True)),
        )

    def _close(self, ended_because: str) -> CaptureManifest:
        try:
            return self._writer.close(ended_because)
        except OSError as error:
            raise self._cannot_write(error) from None

    def _cannot_write(self, error: OSError) -> UsageError:
        folder = self._settings.directory
        if isinstance(error, FileExistsError):
            msg = f"{folder}: expected a new folder, was one that is there already"
            return UsageError(msg, hint="choose another one with --out: a recording never writes over another")
        msg = f"{folder}: cannot write the recording: {error.strerror or type(error).__name__}"
        return UsageError(msg, hint="free the disk, or choose another folder with --out")


def _first_expected(error: Exception) -> Exception:
    """Return the error that a person should see: of a group ours if there is one, else the first."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_first_expected(each) for each in error.exceptions]
    return next((each for each in leaves if isinstance(each, MmframeError)), leaves[0])

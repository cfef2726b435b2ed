"""The live path on loopback: from a socket to the order that leaves the engine, and its memory over a long run.

`loopback_market.py`, a process of its own, sends diffs of a book, each of which moves the touch, so that both quotes
have to follow; the real feed, engine and real-time driver take them, and a venue that answers at once notes when each
action reached it. Sent as fast as they are read, frames pile up and are applied before one decision, as in a live run;
at a pace below that each frame has its own, which is where the times from socket to action are taken: from the moment
that the frame was read (`read_to_action`) and from the one that the sender wrote into it (`sent_to_action`), on the
same clock. No journal is written unless a figure says so.

Benchmarks measure processor time of this process, so the sender costs nothing and waiting for it neither.

`python tests/bench/bench_live.py [SECONDS]` is the run of the memory figures alone, ten minutes by default.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from functools import lru_cache, partial
from pathlib import Path
from time import process_time_ns, time_ns
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS, MarketBatch, MessageKind
from mmframe.domain.orders import (
    ALL_MARKETS,
    Cancel,
    CancelAll,
    OpenOrdersReport,
    OrderReport,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    VenueCapabilities,
    VenueStatus,
)
from mmframe.registry import compose
from mmframe.runtime.driver import StopRequest, run_plan
from mmframe.runtime.journal import Journal, RunHeader
from mmframe.runtime.session import Session
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from mmframe.domain.orders import Action, Approved, VenueEvent
    from mmframe.domain.status import RunResult
    from mmframe.ports import Feed
    from mmframe.runtime.plan import Plan

__all__ = ["BENCHMARKS", "AcknowledgingVenue"]

_MARKET_FILE = Path(__file__).with_name("loopback_market.py")
_PACED_PER_S = 500.0
_PACED_S = 10.0
_PACED_FRAMES_MIN = 40
_WARM_UP_SHARE = 0.05
"""Of the times from socket to action, the first ones: imports and caches that a run meets once."""
_MEMORY_S = 60.0
_MEMORY_PER_S = 200.0
"""Twenty symbols at ten diffs a second, as the exchange sends them."""
_MEMORY_GAP_EVERY_S = 2.0
_MEMORY_REQUOTE_INTERVAL_MS = 100
_RESYNCED_S = 2.0
_FSYNCS = 101
_BYBIT_DEPTH = 200
_PATIENCE_NS = 300_000_000_000
_STRATEGY = """
schema = 1
[strategy]
name = "bench"
requote_interval_ms = {requote_interval_ms}
[feed]
use = "{feed}"
stale_after_ms = 2000
stream_url = "{stream_url}"
{keys}
[venue.paper]
use = "simulated"
[[optimizer]]
use = "fixed-spread"
spread_bps = 2
[gate]
max_position = "10"
max_orders_per_second = 1000000
"""
_MARKET = """
[[markets]]
instrument = "{base}/USDT"
order_size = "0.01"
tick_size = "{tick_size}"
lot_size = "{lot_size}"
"""


@attrs.frozen
class Case:
    """What is sent and who takes it."""

    name: str
    changes: int
    frames: int
    """In a round, of all symbols together."""
    symbols: int = 1
    venue: str = "binance"


TWENTY_LEVELS = Case("binance/spot, 20 levels", changes=20, frames=20_000)
TWO_HUNDRED_LEVELS = Case("binance/spot, 200 levels", changes=200, frames=4_000)
TWENTY_SYMBOLS = Case("binance/spot, 20 symbols", changes=20, frames=20_000, symbols=20)
BYBIT = Case("bybit/linear, 20 levels", changes=20, frames=20_000, venue="bybit")


class Sender:
    """The market's process, gone at the latest when this one is."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(_MARKET_FILE), json.dumps(settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        addresses = json.loads(self._process.stdout.readline())
        self.rest_url: str = addresses["rest_url"]
        self.stream_url: str = addresses["stream_url"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


class WatchedFeed:
    """A feed, and when the newest frame of each market was sent and read.

    Args:
        feed: The real one.
        stop: Asked to end the run once all diffs are in.
        frames: How many that are; None for no end.

    Attributes:
        frames: Diffs taken up to now.
        gaps: Times that a book was void.
        first_ns: When the first of them was read.
        last_ns: When the last one was taken.
        newest: By market, when the newest frame was sent and read, nanoseconds UTC.
    """

    next_event_ns = NEVER_NS

    def __init__(self, feed: Feed, stop: StopRequest, frames: int | None) -> None:
        self._feed = feed
        self._stop = stop
        self._frames_max = frames
        self.frames = 0
        self.gaps = 0
        self.first_ns = 0
        self.last_ns = 0
        self.newest: dict[int, tuple[int, int]] = {}

    async def run(self, notify: Callable[[], None]) -> None:
        """Run the feed."""
        await self._feed.run(notify)

    def poll(self, now_ns: int) -> Sequence[MarketBatch]:
        """Return the feed's batches."""
        batches = self._feed.poll(now_ns)
        for batch in batches:
            self.frames += batch.kinds.count(MessageKind.DELTA)
            self.gaps += batch.kinds.count(MessageKind.GAP)
            self.newest[batch.market] = batch.exchange_ns[-1], batch.receive_ns[-1]
        if batches and self.frames:
            self.first_ns = self.first_ns or batches[0].receive_ns[0]
            self.last_ns = time_ns()
        if self._frames_max is not None and self.frames >= self._frames_max:
            self._stop.request("all frames taken")
        return batches


class AcknowledgingVenue:
    """Answers every request at once and lets nothing trade, like a real one in all that the engine sees of it.

    Args:
        on_action: Called with the market and the moment of each action.

    Attributes:
        actions: How many arrived.
    """

    capabilities = VenueCapabilities(can_replace=True)
    next_event_ns = NEVER_NS

    def __init__(self, on_action: Callable[[int, int], None] | None = None) -> None:
        self._on_action = on_action
        self._notify: Callable[[], None] = _nothing
        self._open: dict[str, Submit] = {}
        self._events: list[VenueEvent] = []
        self._is_up = False
        self.actions = 0

    async def run(self, notify: Callable[[], None]) -> None:
        """Return at once: there is nothing to connect to."""
        self._notify = notify

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:
        """Return the answers."""
        if not self._is_up:
            self._is_up = True
            return [VenueStatus(is_up=True, receive_ns=now_ns)]
        events, self._events = self._events, []
        return events

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Note the moment, then answer."""
        at_ns = time_ns()
        self.actions += 1
        action = approved.action
        if self._on_action is not None:
            self._on_action(action.market, at_ns)
        self._events += self._answers(action, now_ns)
        self._notify()

    def _answers(self, action: Action, now_ns: int) -> Iterator[VenueEvent]:
        if isinstance(action, Submit):
            self._open[action.client_id] = action
            yield self._update(action, Request.SUBMIT, OrderStatus.OPEN, now_ns)
        elif isinstance(action, Replace):
            old = self._open.pop(action.client_id)
            new = Submit(action.market, action.new_client_id, old.side, action.price_ticks, action.size_lots)
            self._open[new.client_id] = new
            yield OrderUpdate(
                action.market,
                action.client_id,
                OrderStatus.REPLACED,
                Request.REPLACE,
                now_ns,
                now_ns,
                venue_order_id=new.client_id,
                price_ticks=new.price_ticks,
                size_lots=new.size_lots,
                new_client_id=new.client_id,
            )
        elif isinstance(action, Cancel):
            yield self._update(self._open.pop(action.client_id), Request.CANCEL, OrderStatus.CANCELED, now_ns)
        elif isinstance(action, CancelAll):
            for order in [order for order in self._open.values() if action.market in {order.market, ALL_MARKETS}]:
                del self._open[order.client_id]
                yield self._update(order, Request.CANCEL, OrderStatus.CANCELED, now_ns)
        elif isinstance(action, QueryOpenOrders):
            yield OpenOrdersReport(action.market, self._reports(action.market), now_ns, now_ns)
        elif isinstance(action, QueryOrder):
            order = self._open[action.client_id]
            yield self._update(order, Request.QUERY, OrderStatus.OPEN, now_ns)

    def _reports(self, market: int) -> tuple[OrderReport, ...]:
        return tuple(
            OrderReport(order.client_id, order.client_id, order.side, order.price_ticks, order.size_lots, 0)
            for order in self._open.values()
            if order.market == market
        )

    @staticmethod
    def _update(order: Submit, request: Request, status: OrderStatus, now_ns: int) -> OrderUpdate:
        return OrderUpdate(
            order.market,
            order.client_id,
            status,
            request,
            now_ns,
            now_ns,
            venue_order_id=order.client_id,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
        )


class Stopwatch:
    """Times from the newest frame of a market to the first action that follows from it, in nanoseconds."""

    def __init__(self) -> None:
        self.feed: WatchedFeed | None = None
        self.from_read: list[int] = []
        self.from_sent: list[int] = []
        self._last_sent_ns: dict[int, int] = {}

    def on_action(self, market: int, at_ns: int) -> None:
        """Take an action."""
        assert self.feed is not None
        sent_ns, read_ns = self.feed.newest.get(market, (0, 0))
        if sent_ns != self._last_sent_ns.get(market, 0):
            self._last_sent_ns[market] = sent_ns
            self.from_sent.append(at_ns - sent_ns)
            self.from_read.append(at_ns - read_ns)

    def figures(self) -> dict[str, float]:
        """Return P50, P99 and the longest of both times, in microseconds."""
        figures: dict[str, float] = {"actions_timed": float(len(self.from_read))}
        for what, all_samples in (("read_to_action", self.from_read), ("sent_to_action", self.from_sent)):
            samples = sorted(all_samples[int(len(all_samples) * _WARM_UP_SHARE) :]) or [0]
            for rank in (50, 99):
                figures[f"{what}_p{rank}_us"] = samples[(len(samples) - 1) * rank // 100] / 1e3
            figures[f"{what}_max_us"] = samples[-1] / 1e3
        return figures


def market_settings(case: Case, frames: int, **settings: Any) -> dict[str, Any]:
    """Return what the sender is told."""
    return {"venue": case.venue, "symbols": case.symbols, "changes": case.changes, "frames": frames, **settings}


def plan_of(case: Case, sender: Sender | None = None, *, requote_interval_ms: int = 0) -> Plan:
    """Return the strategy on the sender's addresses; its venue is still to be given."""
    market_module = _loopback_market()
    stream_url = "ws://127.0.0.1:1" if sender is None else sender.stream_url
    rest_url = "http://127.0.0.1:1" if sender is None else sender.rest_url
    keys = f"depth = {_BYBIT_DEPTH}" if case.venue == "bybit" else f'rest_url = "{rest_url}"'
    text = _STRATEGY.format(
        feed="bybit/linear" if case.venue == "bybit" else "binance/spot",
        stream_url=stream_url,
        keys=keys,
        requote_interval_ms=requote_interval_ms,
    )
    for number in range(case.symbols):
        text += _MARKET.format(
            base=f"S{number:02d}",
            tick_size=market_module.TICK_SIZES[case.venue],
            lot_size=market_module.LOT_SIZES[case.venue],
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strategy.toml"
        path.write_text(text, encoding="utf-8")
        plan = compose(path, mode=Mode.PAPER, no_journal=True)
    # At the end the venue's list is asked for twice, which is no part of what is measured.
    settings = attrs.evolve(plan.settings, query_interval_ns=1_000_000)
    return attrs.evolve(plan, mode=Mode.LIVE, settings=settings)


@attrs.frozen
class Run:
    """A finished run on loopback."""

    result: RunResult
    feed: WatchedFeed
    venue: AcknowledgingVenue
    processor_ns: int


def run(
    plan: Plan,
    *,
    frames: int | None = None,
    stopwatch: Stopwatch | None = None,
    keeps_journal: bool = False,
    limit_ns: int = _PATIENCE_NS,
) -> Run:
    """Run the live path until `frames` diffs are in, or for `limit_ns`.

    Raises:
        AssertionError: If frames were lost on the way, or an action failed.
    """
    stop = StopRequest()
    assert plan.feed is not None
    feed = WatchedFeed(plan.feed, stop, frames)
    if stopwatch is not None:
        stopwatch.feed = feed
    venue = AcknowledgingVenue(None if stopwatch is None else stopwatch.on_action)
    plan = attrs.evolve(plan, feed=feed, venue=venue)
    with _journal(plan) if keeps_journal else contextlib.nullcontext() as journal:
        start_ns = process_time_ns()
        result = run_plan(plan, stop=stop, journal=journal, limit_ns=limit_ns)
        processor_ns = process_time_ns() - start_ns
    assert (result.faults, result.rejections, result.unresolved) == (0, 0, ()), result
    assert frames is None or feed.frames >= frames, feed.frames
    return Run(result, feed, venue, processor_ns)


def live(case: Case, scale: float) -> Callable[[], int]:
    """Return the live path on frames as fast as they are read."""
    frames = _frames(case, scale)
    sender = Sender(market_settings(case, frames))
    plan = plan_of(case, sender)

    def work() -> int:
        with sender:
            feed = run(plan, frames=frames).feed
        assert (feed.frames, feed.gaps) == (frames, 0), "every frame went into the book"
        return frames

    return work


def feed_alone(case: Case, scale: float) -> Callable[[], int]:
    """Return the feed with the driver's way of draining it, and nothing behind it."""
    frames = _frames(case, scale)
    sender = Sender(market_settings(case, frames))
    feed = plan_of(case, sender).feed
    assert feed is not None

    async def drained() -> int:
        news = asyncio.Event()
        task = asyncio.create_task(feed.run(news.set))
        taken = 0
        while taken < frames:
            await news.wait()
            news.clear()
            taken += sum(batch.kinds.count(MessageKind.DELTA) for batch in feed.poll(time_ns()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return taken

    def work() -> int:
        with sender:
            return asyncio.run(drained())

    return work


def plain_client(case: Case, scale: float) -> Callable[[], int]:
    """Return a plain client of the library `websockets` that reads the same frames with `json.loads`."""
    from websockets.asyncio.client import connect

    frames = _frames(case, scale)
    sender = Sender(market_settings(case, frames))
    names = _loopback_market().symbols(_loopback_market().MarketSettings(symbols=case.symbols))
    is_binance = case.venue == "binance"
    marker = "depthUpdate" if is_binance else "delta"

    async def read() -> int:
        taken = 0
        async with connect(sender.stream_url, compression=None, max_size=None) as connection:
            if is_binance:
                await connection.send(json.dumps({"method": "SUBSCRIBE", "params": [], "id": 1}))
                for name in names:
                    await asyncio.to_thread(_fetch, f"{sender.rest_url}/api/v3/depth?symbol={name}&limit=1000")
            else:
                topics = [f"orderbook.{_BYBIT_DEPTH}.{name}" for name in names]
                await connection.send(json.dumps({"op": "subscribe", "args": topics}))
            while taken < frames:
                message = json.loads(await connection.recv())
                taken += (message["data"]["e"] if "stream" in message else message.get("type")) == marker
        return taken

    def work() -> int:
        with sender:
            return asyncio.run(read())

    return work


def engine_alone(case: Case, scale: float) -> Callable[[], int]:
    """Return the engine on the same messages in memory, a decision for each."""
    batches = messages(case, _frames(case, scale))
    venue = AcknowledgingVenue()
    session = Session(attrs.evolve(plan_of(case), feed=None, venue=venue))

    def work() -> int:
        engine = session.engine
        for batch in batches:
            now_ns = batch.receive_ns[0]
            engine.on_market(batch, 0)
            session.advance_to(now_ns)
            session.on_venue(now_ns)
            if engine.wake_ns <= now_ns:
                session.decide(now_ns)
        assert venue.actions > len(batches), venue.actions
        return len(batches)

    return work


@lru_cache(maxsize=1)
def messages(case: Case, frames: int) -> tuple[MarketBatch, ...]:
    """Return snapshots and diffs as the feed makes them, a batch each, a millisecond apart."""
    market_module = _loopback_market()
    settings = market_module.MarketSettings(**market_settings(case, frames))
    snapshots, diffs = market_module.payloads(settings)
    takers = _takers(case, plan_of(case).instruments)
    batches = []
    for index, payload in enumerate([*snapshots, *diffs]):
        batch = MarketBatch(index % case.symbols)
        takers[batch.market](payload, batch, 1_786_000_000_000_000_000 + 1_000_000 * index)
        batches.append(batch)
    return tuple(batches)


def _takers(case: Case, instruments: Sequence[Any]) -> list[Callable[[bytes, MarketBatch, int], None]]:
    """Return what each market does with a frame."""
    if case.venue == "bybit":
        from mmframe_bybit import wire as bybit_wire
        from mmframe_bybit.book import SymbolBook as BybitBook

        books = [BybitBook(instrument, _BYBIT_DEPTH) for instrument in instruments]

        def take_bybit(book: BybitBook, data: bytes, batch: MarketBatch, receive_ns: int) -> None:
            message = bybit_wire.parse_frame(data)
            if isinstance(message, bybit_wire.BookFrame):
                book.on_book(message, batch, receive_ns)

        return [partial(take_bybit, book) for book in books]
    from mmframe_binance import wire
    from mmframe_binance.book import SymbolBook
    from mmframe_binance.sync import SpotContinuity

    def take(book: SymbolBook, data: bytes, batch: MarketBatch, receive_ns: int) -> None:
        message = wire.parse_frame(data)
        if isinstance(message, wire.DepthSnapshot):
            book.on_snapshot(message, batch, receive_ns)
        elif isinstance(message, wire.DepthUpdate):
            book.on_depth(message, batch, receive_ns)

    return [partial(take, SymbolBook(instrument, SpotContinuity())) for instrument in instruments]


def figures(case: Case, scale: float) -> Mapping[str, float]:
    """Return how often was decided flat out, and the times from socket to action at a pace."""
    frames = _frames(case, scale)
    with Sender(market_settings(case, frames)) as sender:
        done = run(plan_of(case, sender), frames=frames)
    figures = {
        "flat_out_frames_per_s_of_wall_time": done.feed.frames / (done.feed.last_ns - done.feed.first_ns) * 1e9,
        "flat_out_frames_per_decision": frames / done.result.status.decisions,
        "flat_out_actions_per_frame": done.venue.actions / frames,
        "paced_frames_per_s": _PACED_PER_S,
    }
    frames = max(_PACED_FRAMES_MIN, int(_PACED_PER_S * _PACED_S * scale))
    for name, keeps_journal in (("", False), ("_journaled", True)):
        stopwatch = Stopwatch()
        with Sender(market_settings(case, frames, frames_per_second=_PACED_PER_S)) as sender:
            done = run(plan_of(case, sender), frames=frames, stopwatch=stopwatch, keeps_journal=keeps_journal)
        figures |= {f"{key}{name}": value for key, value in stopwatch.figures().items()}
        figures[f"processor_us_per_paced_frame{name}"] = done.processor_ns / 1e3 / frames
    return {**figures, "fsync_p50_us": _fsync_us()}


def resyncs(scale: float, *, gap_every_s: float) -> Callable[[], int]:
    """Return a paced run of twenty symbols, with a gap now and then."""
    frames = max(_PACED_FRAMES_MIN, int(_MEMORY_PER_S * _RESYNCED_S * scale))
    # Diffs that a snapshot overtook are not counted; the run ends before these have all been sent.
    settings = market_settings(TWENTY_SYMBOLS, 3 * frames, frames_per_second=_MEMORY_PER_S, gap_every_s=gap_every_s)
    sender = Sender(settings)
    plan = plan_of(TWENTY_SYMBOLS, sender)

    def work() -> int:
        with sender:
            return run(plan, frames=frames).feed.frames

    return work


def memory_run(seconds: float) -> dict[str, float]:
    """Return the resident memory of this process in the course of a run, and what the run did."""
    settings = {"frames_per_second": _MEMORY_PER_S, "gap_every_s": min(_MEMORY_GAP_EVERY_S, seconds / 4)}
    figures: dict[str, float] = {"seconds": seconds}

    def look(percent: int) -> None:
        figures[f"rss_mib_at_{percent}_percent"] = _resident_mib()

    timers = [threading.Timer(seconds * percent / 100, look, (percent,)) for percent in (10, 25, 50, 75)]
    with Sender(market_settings(TWENTY_SYMBOLS, 2 * int(_MEMORY_PER_S * seconds), **settings)) as sender:
        plan = plan_of(TWENTY_SYMBOLS, sender, requote_interval_ms=_MEMORY_REQUOTE_INTERVAL_MS)
        for timer in timers:
            timer.start()
        done = run(plan, keeps_journal=True, limit_ns=int(seconds * 1e9))
        look(100)
    return {
        **figures,
        "frames": float(done.feed.frames),
        "resyncs": float(done.feed.gaps),
        "decisions": float(done.result.status.decisions),
        "actions": float(done.venue.actions),
        "processor_share": done.processor_ns / 1e9 / seconds,
    }


def memory_figures(scale: float) -> Mapping[str, float]:
    """Return the same of a fresh process: what was freed here before would hide a growth."""
    seconds = max(1.0, _MEMORY_S * scale)
    made = subprocess.run([sys.executable, __file__, str(seconds)], stdout=subprocess.PIPE, check=True)
    figures: dict[str, float] = json.loads(made.stdout)
    return figures


def _frames(case: Case, scale: float) -> int:
    return max(10 * case.symbols, int(case.frames * scale))


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 2**20


@contextlib.contextmanager
def _journal(plan: Plan) -> Iterator[Journal]:
    header = RunHeader.of(plan, started_ns=time_ns(), strategy_text="", reasons=plan.reasons)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.create(Path(folder) / "bench.journal", header)
        try:
            yield journal
        finally:
            journal.close()


def _fsync_us() -> float:
    """Return what the disk asks for making one page durable: no journal can be quicker."""
    times: list[int] = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(_FSYNCS):
            file.write(bytes(4096))
            start_ns = time_ns()
            os.fsync(file.fileno())
            times.append(time_ns() - start_ns)
    return sorted(times)[_FSYNCS // 2] / 1e3


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
    return body


@lru_cache(maxsize=1)
def _loopback_market() -> Any:
    spec = importlib.util.spec_from_file_location(_MARKET_FILE.stem, _MARKET_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _nothing() -> None:
    """Do nothing: nobody waits for an answer in memory."""


def _benchmark(case: Case) -> Benchmark:
    return Benchmark(
        name=f"live path, {case.name}",
        unit="frame",
        subject=Contender("feed, engine and driver", partial(live, case)),
        references=(
            Contender("websockets and json.loads", partial(plain_client, case)),
            Contender("feed alone", partial(feed_alone, case)),
            Contender("engine alone, in memory", partial(engine_alone, case)),
        ),
        figures=partial(figures, case),
    )


_CASES = {
    "mmframe_binance": (TWENTY_LEVELS, TWO_HUNDRED_LEVELS, TWENTY_SYMBOLS),
    "mmframe_bybit": (BYBIT,),
}

MEMORY = Benchmark(
    name="live path, memory",
    unit="frame",
    subject=Contender("20 symbols at a pace, with resyncs", partial(resyncs, gap_every_s=0.5)),
    references=(Contender("the same without", partial(resyncs, gap_every_s=0.0)),),
    figures=memory_figures,
)

BENCHMARKS = (
    *(_benchmark(case) for module, cases in _CASES.items() if importlib.util.find_spec(module) for case in cases),
    *((MEMORY,) if importlib.util.find_spec("mmframe_binance") and Path("/proc/self/statm").exists() else ()),
)

if __name__ == "__main__":
    sys.stdout.write(json.dumps(memory_run(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0)) + "\n")

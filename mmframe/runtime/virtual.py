"""The driver on virtual time: backtests, and paper on a simulated market, at any pace.

It merges three sources in time order: the venue's events, market messages, the engine's timers; in this order at equal
times. No wall clock is read but for pacing and for the observer's interval, so the pace changes nothing that happens.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from mmframe.domain.market import NEVER_NS
from mmframe.errors import FeedError
from mmframe.runtime.session import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmframe.domain.market import MarketBatch
    from mmframe.domain.status import RunResult
    from mmframe.ports import Feed
    from mmframe.runtime.driver import RunObserver, StopRequest
    from mmframe.runtime.operator_desk import OperatorDesk
    from mmframe.runtime.session import Session

__all__ = ["VirtualDriver"]

_CLEAN_UP_NS = 30_000_000_000
"""Virtual time that the orders get to be gone after a stop."""

_CHECK_EVERY = 256
"""Steps between two looks at the wall clock and the stop request when running as fast as possible."""

_LONGEST_SLEEP_S = 0.05
"""So that a stop request and the observer are served while pacing."""

_CLEAN_UP_STEPS = 1_000_000


class VirtualDriver:
    """Runs one session on virtual time.

    Args:
        session: The run.
        speed: Virtual seconds a wall second; None for as fast as possible.
        stop: Looked at between steps.
        observer: Gets the state now and then.
        limit_ns: Virtual length after which the run ends, or None.
        desk: Lets operators' commands take effect, at any finite speed. They do so when everything due at the time of
            the last step has happened, so that the same commands at the same times give the same run again.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each thing that differs between runs
        self,
        session: Session,
        *,
        speed: float | None,
        stop: StopRequest,
        observer: RunObserver | None,
        limit_ns: int | None,
        desk: OperatorDesk | None = None,
    ) -> None:
        self._session = session
        self._desk = desk if speed is not None else None
        self._speed = speed
        self._stop = stop
        self._observer = observer
        self._limit_ns = limit_ns
        self._end_ns = NEVER_NS
        self._wall_start = 0.0
        self._next_look = 0.0
        self._countdown = _CHECK_EVERY
        self._opened: _Source | None = None

    def run(self) -> RunResult:
        """Run to the end and return the result.

        Raises:
            Exception: What ended the run, after its sinks were closed and the journal has its end. Orders are left to
                the simulation: there is nobody who could still fill them.
        """
        session = self._session
        self._wall_start = time.monotonic()
        ended_because = FAILED
        try:
            ended_because = self._run_market()
            if session.failure is None:
                self._clean_up(ended_because)
        except Exception as error:  # noqa: BLE001 - raised below
            session.fail(error)
        result = session.finish(FAILED if session.failure is not None else ended_because)
        if session.failure is not None:
            raise session.failure
        if self._observer is not None:
            self._observer.on_status(result.status)
        return result

    def run_until(self, end_ns: int) -> str:
        """Run up to a moment, with what is due at it, and leave everything as it stands there: to look at it.

        Returns:
            `duration` when the moment was reached, else why not; a later call goes on from there.
        """
        self._end_ns = end_ns
        return self._run_market()

    @property
    def _source(self) -> _Source:
        if self._opened is None:
            self._opened = _source(self._session)
        return self._opened

    def _run_market(self) -> str:
        session, source, engine, venue = self._session, self._source, self._session.engine, self._session.venue
        while True:
            market_ns = source.next_ns
            if market_ns == NEVER_NS and source.is_over:
                return "end of data"
            now_ns = max(session.now_ns, min(market_ns, venue.next_event_ns, engine.wake_ns))
            if now_ns > self._end_ns:
                session.advance_to(self._end_ns)
                return "duration"
            if not session.started_ns:
                # Virtual time begins with the market. An engine that takes back orders wants to be called at once, at
                # 0; from there the clock would have to walk all the way, second by second.
                now_ns = min(market_ns, venue.next_event_ns)
                self._begin(now_ns)
            reason = self._between_steps(now_ns)
            if reason is not None:
                return reason
            if self._desk is not None and self._hears(now_ns):
                # What is due next may be something else now.
                self._desk.apply()
                continue
            session.advise(now_ns)
            is_market_next = market_ns == now_ns < venue.next_event_ns and engine.wake_ns >= now_ns
            if self._speed is None and is_market_next and now_ns < session.advice_ns:
                self._run_messages(source)
            else:
                self._step(now_ns, market_ns)
            if session.failure is not None:
                return FAILED
            if engine.is_over:
                return "halted"

    def _run_messages(self, source: _Source) -> None:
        """Apply messages in a row, for as long as nothing else is due before the next one: the hot loop of a replay."""
        session, engine, venue = self._session, self._session.engine, self._session.venue
        on_message, take, end_ns = session.on_message, source.take, min(self._end_ns, session.advice_ns - 1)
        for _ in range(_CHECK_EVERY):
            now_ns = source.next_ns
            if now_ns > end_ns or venue.next_event_ns <= now_ns or engine.wake_ns < now_ns or engine.is_over:
                return
            batch, index = take(now_ns)
            session.advance_to(now_ns)
            if batch is not None:
                on_message(batch, index, now_ns)
            self._countdown -= 1

    def _step(self, now_ns: int, market_ns: int) -> None:
        """Do the first thing that is due at `now_ns`: what the venue says, a market message, a decision."""
        session = self._session
        session.advance_to(now_ns)
        if session.venue.next_event_ns <= now_ns:
            session.on_venue(now_ns)
        elif market_ns <= now_ns:
            batch, index = self._source.take(now_ns)
            if batch is not None:
                session.on_message(batch, index, now_ns)
        else:
            session.decide(now_ns)

    def _begin(self, now_ns: int) -> None:
        if self._limit_ns is not None:
            self._end_ns = now_ns + self._limit_ns

    def _clean_up(self, reason: str) -> None:
        """Cancel everything and go on, at full pace, until no order of ours is left."""
        session, source = self._session, self._source
        if not session.started_ns:
            return
        session.stop(reason)
        end_ns = session.now_ns + _CLEAN_UP_NS
        for _ in range(_CLEAN_UP_STEPS):
            if session.is_clean:
                break
            market_ns = source.next_ns
            now_ns = max(session.now_ns, min(market_ns, session.venue.next_event_ns, session.engine.wake_ns))
            if now_ns > end_ns:
                break
            self._step(now_ns, market_ns)

    def _between_steps(self, now_ns: int) -> str | None:
        """Pace, serve the observer, and return why to stop, if anybody asked."""
        if self._speed is None:
            self._countdown -= 1
            if self._countdown > 0:
                return None
            self._countdown = _CHECK_EVERY
            self._look()
            return self._stop.reason
        due = self._wall_start + (now_ns - (self._session.started_ns or now_ns)) / 1e9 / self._speed
        while self._stop.reason is None and (ahead := due - time.monotonic()) > 0.0:
            self._look()
            if self._hears(now_ns):
                break
            time.sleep(min(ahead, _LONGEST_SLEEP_S))
        self._look()
        return self._stop.reason

    def _hears(self, next_ns: int) -> bool:
        """Tell whether an operator's command is to take effect before what is due at `next_ns`."""
        session = self._session
        if self._desk is None or self._speed is None or session.now_ns >= next_ns:
            return False
        if not session.started_ns:
            return self._desk.look(next_ns, next_ns)
        paced_ns = session.started_ns + int((time.monotonic() - self._wall_start) * self._speed * 1e9)
        return self._desk.look(max(session.now_ns, min(paced_ns, next_ns - 1)), next_ns)

    def _look(self) -> None:
        if self._observer is None:
            return
        wall = time.monotonic()
        if wall >= self._next_look and self._session.started_ns:
            self._next_look = wall + self._observer.interval_s
            self._observer.on_status(self._session.status())


class _Source(Protocol):
    """Market messages one at a time, in receive order."""

    @property
    def next_ns(self) -> int:
        """The time of the next message; `NEVER_NS` when there is none (yet)."""
        ...

    @property
    def is_over(self) -> bool:
        """Nothing more will come."""
        ...

    def take(self, now_ns: int) -> tuple[MarketBatch | None, int]:
        """Return the next message as batch and index; None when the source had only to be advanced."""
        ...


class _HistorySource:
    """Walks the batches of a history."""

    __slots__ = ("_batch", "_batches", "_index", "_last_ns", "_receive_ns", "is_over", "next_ns")

    def __init__(self, batches: Iterator[MarketBatch]) -> None:
        self._batches = batches
        self._batch: MarketBatch | None = None
        self._index = 0
        self._receive_ns: Sequence[int] = ()
        self._last_ns = 0
        self.next_ns = NEVER_NS
        self.is_over = False
        self._load()

    def take(self, now_ns: int) -> tuple[MarketBatch | None, int]:  # noqa: ARG002 - a history does not live on time
        batch, index = self._batch, self._index
        try:
            self.next_ns = self._receive_ns[index + 1]
            self._index = index + 1
        except IndexError:
            self._load()
        return batch, index

    def _load(self) -> None:
        for batch in self._batches:
            if len(batch):
                self._batch, self._index, self._receive_ns = batch, 0, batch.receive_ns
                self.next_ns = batch.receive_ns[0]
                if self.next_ns < self._last_ns:
                    msg = f"history: receive time went back from {self._last_ns} to {self.next_ns} ns between batches"
                    raise FeedError(msg, hint="the history plugin must yield batches in receive order")
                self._last_ns = batch.receive_ns[-1]
                return
        self._batch, self._receive_ns, self.next_ns = None, (), NEVER_NS
        self.is_over = True


class _FeedSource:
    """Walks what a virtual feed has ready."""

    __slots__ = ("_feed", "_index", "_pending")

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._pending: deque[MarketBatch] = deque()
        self._index = 0

    @property
    def is_over(self) -> bool:
        return not self._pending and self._feed.next_event_ns == NEVER_NS

    @property
    def next_ns(self) -> int:
        if self._pending:
            return self._pending[0].receive_ns[self._index]
        return self._feed.next_event_ns

    def take(self, now_ns: int) -> tuple[MarketBatch | None, int]:
        if not self._pending:
            self._pending.extend(batch for batch in self._feed.poll(now_ns) if len(batch))
            self._index = 0
            if not self._pending:
                return None, 0
        batch, index = self._pending[0], self._index
        if index + 1 < len(batch):
            self._index = index + 1
        else:
            self._pending.popleft()
            self._index = 0
        return batch, index


def _source(session: Session) -> _Source:
    plan = session.plan
    if plan.history is not None:
        return _HistorySource(iter(plan.history.batches()))
    if plan.feed is None:
        msg = "plan: expected a feed or a history, was neither"
        raise FeedError(msg, hint="add a [feed] or a [history] table to the strategy file")
    return _FeedSource(plan.feed)

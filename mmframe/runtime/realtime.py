"""The driver on the machine's clock: paper on a live feed, and live.

Feed and venue run as tasks that only receive, queue and notify; one loop drains them in time order and steps the
session. The loop never waits while something is due, and nothing of the quoting path awaits.

Whatever fails (feed, venue, journal, the engine itself), the orders are cancelled before the error is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from mmframe.domain.records import Command, OperatorCommand
from mmframe.errors import FeedError, MmframeError
from mmframe.runtime.clocks import SystemClock
from mmframe.runtime.session import FAILED

if TYPE_CHECKING:
    from mmframe.domain.status import RunResult
    from mmframe.ports import Clock, Feed
    from mmframe.runtime.driver import RunObserver, StopRequest
    from mmframe.runtime.kill_switch import KillSwitch
    from mmframe.runtime.operator_desk import OperatorDesk
    from mmframe.runtime.session import Session

__all__ = ["RealTimeDriver"]

_LONGEST_WAIT_S = 0.25
"""So that a stop request, the observer and the clock are served when nothing else happens."""

_KILL_LOOK_NS = 100_000_000
"""Between two looks at the kill switch."""

_CLEAN_UP_S = 30.0
"""Shortest time that the orders get to be gone after a stop."""

_AFTER_ABSENCE_S = 15.0
"""Time that they get beyond the venue's own delay, before which an order without an answer cannot be proved absent."""

_FAILED_WAIT_S = 0.01
"""Between two steps after a failure, which may happen again with each of them."""


class RealTimeDriver:
    """Runs one session on the machine's clock.

    Args:
        session: The run.
        stop: Looked at between steps.
        observer: Gets the state now and then.
        limit_ns: Length after which the run ends, or None.
        clock: Where the time comes from; by default the plan's clock, else the machine's.
        kill_switch: Looked at before each step that may send something; set, it kills the strategy.
        desk: Lets operators' commands take effect, before each step that may send something.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each thing that differs between runs
        self,
        session: Session,
        *,
        stop: StopRequest,
        observer: RunObserver | None,
        limit_ns: int | None,
        clock: Clock | None = None,
        kill_switch: KillSwitch | None = None,
        desk: OperatorDesk | None = None,
    ) -> None:
        self._session = session
        self._stop = stop
        self._observer = observer
        self._limit_ns = limit_ns
        self._clock: Clock = clock or session.plan.clock or SystemClock()
        self._next_look_ns = 0
        self._kill_switch = kill_switch
        self._desk = desk
        self._next_kill_look_ns = 0
        self._is_feed_over = False
        self._is_venue_over = False
        self._is_advised = True
        self._decides_once = not session.venue.capabilities.is_virtual
        self._news = anyio.Event()

    def run(self) -> RunResult:
        """Run to the end and return the result."""
        return anyio.run(self.run_async)

    async def run_async(self) -> RunResult:
        """Run to the end inside a running event loop.

        Raises:
            FeedError: If the strategy file has no feed, or it gave up.
            Exception: Whatever else ended the run, after the orders were cancelled, if the venue could be reached.
        """
        session = self._session
        feed = session.plan.feed
        if feed is None:
            msg = "live feed: the strategy file has none"
            raise FeedError(msg, hint="add a [feed] table to the strategy file")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_feed, feed)
            tasks.start_soon(self._run_venue)
            ended_because = await self._run_market()
            await self._clean_up(ended_because)
            tasks.cancel_scope.cancel()
        result = session.finish(FAILED if session.failure is not None else ended_because)
        if session.failure is not None:
            raise session.failure
        if self._observer is not None:
            self._observer.on_status(result.status)
        return result

    async def _run_feed(self, feed: Feed) -> None:
        try:
            await feed.run(self._notify)
        except Exception as error:  # noqa: BLE001 - raised when the orders are gone
            self._session.fail(_first_expected(error))
        self._is_feed_over = True
        self._notify()

    async def _run_venue(self) -> None:
        try:
            await self._session.venue.run(self._notify)
        except Exception as error:  # noqa: BLE001 - raised at the end of the run, which it is
            self._session.fail(_first_expected(error))
            self._is_venue_over = True
        self._notify()

    def _notify(self) -> None:
        self._news.set()

    async def _run_market(self) -> str:
        session = self._session
        end_ns = None if self._limit_ns is None else self._clock.now_ns() + self._limit_ns
        session.advance_to(self._clock.now_ns())
        while True:
            self._news = anyio.Event()
            is_over = self._is_feed_over
            self._step()
            if session.failure is not None:
                return FAILED
            if self._stop.reason is not None:
                return self._stop.reason
            if session.engine.is_over:
                return "halted"
            if end_ns is not None and session.now_ns >= end_ns:
                return "duration"
            if is_over:
                return "end of data"
            await self._wait()

    async def _clean_up(self, reason: str) -> None:
        """Cancel everything and go on until no order of ours is left or the time is up."""
        session = self._session
        self._is_advised = False
        try:
            session.stop(reason)
        except Exception as error:  # noqa: BLE001 - raised at the end of the run
            session.fail(error)
        absence_s = session.venue.capabilities.absence_delay_ns / 1e9
        with anyio.move_on_after(max(_CLEAN_UP_S, absence_s + _AFTER_ABSENCE_S)):
            while not (session.is_clean or self._is_venue_over):
                self._news = anyio.Event()
                self._step()
                if not session.is_clean:
                    await self._wait()

    def _step(self) -> None:
        """Take everything that is known by now, in time order; what fails ends the run, not the clean-up after it."""
        session = self._session
        try:
            if self._kill_switch is not None:
                self._heed(self._kill_switch)
            if self._desk is not None and self._desk.look(max(self._clock.now_ns(), session.now_ns)):
                self._desk.apply()
            if session.failure is None:
                self._take_market()
            now_ns = max(self._clock.now_ns(), session.now_ns)
            if self._is_advised and session.failure is None:
                session.advise(now_ns)
            session.advance_to(now_ns)
            session.on_venue(session.now_ns)
            if session.engine.wake_ns <= session.now_ns:
                session.decide(session.now_ns)
            if session.failure is None:
                self._look()
        except Exception as error:  # noqa: BLE001 - raised when the orders are gone
            session.fail(error)

    def _heed(self, kill_switch: KillSwitch) -> None:
        """Kill the strategy once somebody has set the switch: also a process that hung comes here before it sends."""
        session, now_ns = self._session, self._clock.now_ns()
        if session.engine.is_killed or now_ns < self._next_kill_look_ns:
            return
        self._next_kill_look_ns = now_ns + _KILL_LOOK_NS
        if kill_switch.is_set():
            session.advance_to(max(now_ns, session.now_ns))
            session.on_event(OperatorCommand(Command.KILL, session.now_ns, reason=kill_switch.reason()))

    def _take_market(self) -> None:
        session, venue = self._session, self._session.venue
        feed = session.plan.feed
        for batch in feed.poll(self._clock.now_ns()) if feed is not None else ():
            for index, receive_ns in enumerate(batch.receive_ns):
                if self._decides_once:
                    # A real venue gets no order for a market that is over: what has piled up is applied first.
                    session.engine.on_market(batch, index)
                    continue
                if venue.next_event_ns <= receive_ns:
                    session.on_venue(receive_ns)
                session.advance_to(max(receive_ns, session.now_ns))
                session.on_message(batch, index, session.now_ns)

    async def _wait(self) -> None:
        due_s = (self._session.next_due_ns() - self._clock.now_ns()) / 1e9
        shortest_s = 0.0 if self._session.failure is None else _FAILED_WAIT_S
        is_watched = self._kill_switch is not None or self._desk is not None
        longest_s = _KILL_LOOK_NS / 1e9 if is_watched else _LONGEST_WAIT_S
        with anyio.move_on_after(max(shortest_s, min(due_s, longest_s))):
            await self._news.wait()

    def _look(self) -> None:
        if self._observer is not None and self._session.now_ns >= self._next_look_ns:
            self._next_look_ns = self._session.now_ns + int(self._observer.interval_s * 1e9)
            self._observer.on_status(self._session.status())


def _first_expected(error: Exception) -> Exception:
    """Return the error that a person should see: of a group ours if there is one, else the first."""
    leaves: list[Exception] = []
    pending = [error]
    while pending:
        each = pending.pop(0)
        if isinstance(each, ExceptionGroup):
            pending.extend(each.exceptions)
        else:
            leaves.append(each)
    return next((each for each in leaves if isinstance(each, MmframeError)), leaves[0])

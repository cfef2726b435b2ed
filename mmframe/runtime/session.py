"""One run in progress: the engine with its venue, journal and sinks, advanced step by step by a driver.

A driver only decides *when*; everything that happens at a moment is here, once, for paper, backtest and live.

It fails closed: after a failure (`fail`) nothing leaves that adds risk, cancels and queries still do, and what the
venue says is still taken in. The driver ends the run and raises the failure when the orders are gone.
"""

from __future__ import annotations

import logging
import shlex
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mmframe.domain.market import NEVER_NS
from mmframe.domain.orders import Amend, Fill, OrderUpdate, Replace, Submit
from mmframe.domain.records import AdviceUpdate, OperatorCommand
from mmframe.domain.status import RunResult
from mmframe.engine import Engine
from mmframe.errors import JournalError
from mmframe.ports import MarketObserver
from mmframe.runtime.clocks import VirtualClock
from mmframe.runtime.limit_tally import LimitTally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.domain.advice import AdviceCall
    from mmframe.domain.market import MarketBatch
    from mmframe.domain.orders import Approved, VenueEvent
    from mmframe.domain.records import LimitRecord
    from mmframe.domain.status import RunStatus
    from mmframe.engine.engine import EngineEvent
    from mmframe.engine.state import EngineState, RestoredRun
    from mmframe.ports import Sink
    from mmframe.runtime.advice.desk import AdviceDesk
    from mmframe.runtime.journal import Journal
    from mmframe.runtime.plan import Plan

__all__ = ["FAILED", "Session"]

FAILED = "failed"
"""`RunResult.ended_because` of a run that an error ended; the error is raised."""

_T = TypeVar("_T")
_ADDS_RISK = (Submit, Amend, Replace)
_LOG = logging.getLogger("mmframe.runtime")


class Session:
    """The moving parts of one run.

    Args:
        plan: What to run.
        journal: Where intents, fills and decisions are written before they matter; None for no record.
        restored: A journaled run to continue from.

    Attributes:
        engine: The decision core.
        now_ns: The time of the last step; 0 before the first.
        started_ns: The time of the first step.
        failure: What ends the run with an error; None while all is well.
        advice: Where advice enters the run; None without advisers. Opened by `open_advice`.
    """

    def __init__(self, plan: Plan, *, journal: Journal | None = None, restored: RestoredRun | None = None) -> None:
        self.plan = plan
        self.journal = journal
        self._sinks = plan.sinks
        wants_decisions = any(sink.wants_decisions for sink in plan.sinks) or (
            journal is not None and journal.wants_decisions
        )
        self.engine = Engine(plan.settings, plan.pipelines, plan.venue.capabilities, records_decisions=wants_decisions)
        self.venue = plan.venue
        self._observe = plan.venue.observe if isinstance(plan.venue, MarketObserver) else None
        self._books = tuple(self.engine.book(index) for index in range(len(plan.instruments)))
        self._clock = plan.clock if isinstance(plan.clock, VirtualClock) else None
        self._may_open = plan.venue.capabilities.reports_positions
        self._saved_revision = -1
        self._limits = LimitTally([instrument.symbol for instrument in plan.instruments])
        self._live_at_stop: tuple[str, ...] = ()
        self._sink_notes: list[str] = []
        self.failure: Exception | None = None
        self.advice: AdviceDesk | None = None
        self.now_ns = 0
        self.started_ns = 0
        if restored is not None:
            self.engine.restore(restored)

    def open_advice(self) -> None:
        """Let the plan's advisers take part; nobody is asked anything before the first step.

        Raises:
            DataError: If recorded replies cannot be read.
            JournalError: If they are in a journal that cannot be read.
        """
        if self.plan.advisers:
            from mmframe.runtime.advice.desk import AdviceDesk  # noqa: PLC0415 - loaded where there is an adviser

            self.advice = AdviceDesk(self, self.plan.advisers)

    @property
    def advice_ns(self) -> int:
        """Return when advice next wants to be looked at; never without advisers."""
        return NEVER_NS if self.advice is None else self.advice.wake_ns

    def advise(self, now_ns: int) -> None:
        """Let advice take effect, and questions be asked, before anything else happens at a new time.

        A time at which something has happened already is none: what came since waits for the next.

        Raises:
            DataError: If a recorded reply is missing and the strategy file wants that to be an error.
        """
        advice = self.advice
        if advice is not None and now_ns > self.now_ns and advice.is_due(now_ns):
            self.advance_to(now_ns)
            advice.step(now_ns)

    def on_message(self, batch: MarketBatch, index: int, now_ns: int) -> None:
        """Let one market message take effect: on the book, on our resting orders, on the quotes."""
        engine = self.engine
        engine.on_market(batch, index)
        if self._observe is not None:
            self._observe(batch, index, self._books[batch.market])
            if self.venue.next_event_ns <= now_ns:
                self.on_venue(now_ns)
        if engine.wake_ns <= now_ns:
            self.decide(now_ns)

    def on_venue(self, now_ns: int) -> None:
        """Take everything that the venue has to say up to `now_ns`; an event that fails does not keep out the next."""
        for event in self.venue.poll(now_ns):
            try:
                self._on_venue_event(event)
            except Exception as error:  # noqa: BLE001 - it ends the run, but each event comes only once
                self.fail(error)

    def on_event(self, event: EngineEvent) -> None:
        """Take advice or an operator's command."""
        if isinstance(event, OperatorCommand):
            self.on_command(event)
            return
        self.engine.handle(event)
        if isinstance(event, AdviceUpdate):
            if self.journal is not None:
                self._record(self.journal.on_advice, event)
            self._tell("on_advice", event)

    def on_advice_call(self, call: AdviceCall) -> None:
        """Record a question to a model and what became of it."""
        if self.journal is not None:
            self._record(self.journal.on_advice_call, call)

    def on_command(self, command: OperatorCommand, number: int = 0) -> None:
        """Let an operator's command take effect, and record it with what it left in one commit.

        Args:
            command: In the driver's time.
            number: Of a command that was sent; 0 for one that was not.
        """
        self.engine.handle(command)
        limits = self._record_limits()
        if self.journal is not None:
            self._saved_revision = self.engine.state_revision
            self._record(self.journal.on_command, command, self.engine.state(), number)
        self._tell_limits(limits)

    def fail(self, error: Exception) -> None:
        """End the run with `error`; the first one stays."""
        if self.failure is None:
            self.failure = error

    def decide(self, now_ns: int) -> None:
        """Make the decisions that are due and send what they approved."""
        for opening in self.engine.opening_fills(now_ns) if self._may_open else ():
            self._on_venue_event(opening)
        approved = self.engine.decide(now_ns)
        # In the commit that holds what was decided with them: what a limit took must not be without its reason.
        limits = self._record_limits()
        self._send(approved, now_ns)
        if self.engine.records_decisions:
            self._write_decisions()
        self._tell_limits(limits)

    def stop(self, reason: str) -> None:
        """Stop quoting and cancel everything; keep stepping until `is_clean`."""
        self._live_at_stop = self.engine.unresolved_ids()
        self._send(self.engine.stop(self.now_ns, reason), self.now_ns)

    @property
    def is_clean(self) -> bool:
        """Tell whether no order of ours can still be at the venue, by our count and by the venue's own lists."""
        return not self.engine.has_live_orders and self.engine.is_end_known

    def advance_to(self, now_ns: int) -> None:
        """Move the session's time; the first call starts the run."""
        if not self.started_ns:
            self.started_ns = now_ns
        self.now_ns = now_ns
        if self._clock is not None:
            self._clock.advance_to(now_ns)

    def next_due_ns(self) -> int:
        """Return when the venue or the engine next wants to be called."""
        return min(self.venue.next_event_ns, self.engine.wake_ns)

    def status(self) -> RunStatus:
        """Return the run at this moment, for people."""
        status = self.engine.status(self.now_ns, started_ns=self.started_ns, mode=self.plan.mode.value)
        if self.advice is None:
            return status
        return msgspec.structs.replace(status, advice=self.advice.lines(self.now_ns))

    def finish(self, ended_because: str) -> RunResult:
        """Close sinks and return the result; the journal gets it and stays open for its owner to close.

        After a failure, or when the journal cannot be written, the caller raises `failure`.
        """
        engine = self.engine
        if self.advice is not None:
            self.advice.close(self.now_ns)
        engine.tell_open_limits(self.now_ns)
        self._tell_limits(self._record_limits())
        for sink in self._sinks:
            self._close(sink)
        result = RunResult(
            status=self.status(),
            decision_hash=engine.decision_hash(),
            ended_because=ended_because,
            assumptions=self.plan.assumptions,
            journal=self.plan.journal.path if self.journal is not None else None,
            market_messages=engine.market_messages,
            faults=engine.faults,
            rejections=engine.refused_count,
            cancelled=engine.count_canceled(self._live_at_stop),
            unresolved=engine.unresolved_ids(),
            fault_notes=(*self._sink_notes, *engine.fault_notes),
            is_confirmed_empty=engine.is_confirmed_empty,
            limits=self._limits.counts(),
        )
        if self.journal is not None:
            self._record(self.journal.save_state, engine.state())
            self._record(self.journal.finish, result)
        if self.failure is not None and self._live_at_stop:
            self.failure.add_note(_what_became(result, self.plan.strategy_file))
        return result

    def _send(self, approved: Sequence[Approved], now_ns: int) -> None:
        if approved:
            if self.journal is not None:
                # On disk before it is on the wire: a crash leaves nothing at the venue that the journal does not know,
                # and nothing that the engine decided together with it is forgotten.
                self._record(self.journal.begin, [item.action for item in approved], now_ns, self._changed_state())
            if self.failure is not None:
                approved = [item for item in approved if not isinstance(item.action, _ADDS_RISK)]
            for item in approved:
                self.venue.execute(item, now_ns)
            for item in approved if self._sinks else ():
                self._tell("on_action", item.action, now_ns)
        if self.journal is not None:
            self._save_state()

    def _on_venue_event(self, event: VenueEvent) -> None:
        engine, journal = self.engine, self.journal
        if isinstance(event, Fill):
            if not engine.is_ours(event):
                self._note_foreign(event)
                return
            mid = engine.mark_half_ticks(event.market) or 2 * event.price_ticks
            # A fill that could not be recorded has happened all the same.
            if journal is not None and self._record(journal.on_fill, event, mid) is False:
                return
            engine.handle(event)
            self._tell("on_fill", event)
            return
        state = engine.handle(event)
        if isinstance(event, OrderUpdate):
            if journal is not None and state is not None:
                self._record(journal.on_order_update, event, state)
            self._tell("on_order_update", event)

    def _note_foreign(self, fill: Fill) -> None:
        """Say that somebody else trades on the account, or an earlier run did; a position that follows halts."""
        symbol = self.plan.instruments[fill.market].symbol
        _LOG.warning("foreign_fill", extra={"market": symbol, "client_id": fill.client_id, "lots": fill.size_lots})

    def _write_decisions(self) -> None:
        for record in self.engine.take_records():
            if self.journal is not None and self.journal.wants_decisions:
                self._record(self.journal.on_decision, record)
            for sink in self._sinks:
                if sink.wants_decisions:
                    self._tell_one(sink, "on_decision", record)

    def _changed_state(self) -> EngineState | None:
        """Return what must survive when it changed, and take it as saved; the sequence follows from the intents."""
        engine = self.engine
        if engine.state_revision == self._saved_revision:
            return None
        self._saved_revision = engine.state_revision
        return engine.state()

    def _record_limits(self) -> Sequence[LimitRecord]:
        """Have the journal write, with its next commit, which limits began and ended to bind; return them."""
        records = self.engine.take_limits()
        for record in records:
            self._limits.add(record)
            if self.journal is not None:
                self._record(self.journal.on_limit, record)
        return records

    def _tell_limits(self, records: Sequence[LimitRecord]) -> None:
        for record in records:
            self._tell("on_limit", record)

    def _save_state(self) -> None:
        state = self._changed_state() if self.journal is not None else None
        if state is not None and self.journal is not None:
            self._record(self.journal.save_state, state)

    def _record(self, write: Callable[..., _T], *values: object) -> _T | None:
        """Write to the journal; one that cannot be written ends the run."""
        try:
            return write(*values)
        except JournalError as error:
            self.fail(error)
            return None

    def _tell(self, method: str, *values: object) -> None:
        for sink in self._sinks:
            self._tell_one(sink, method, *values)

    def _tell_one(self, sink: Sink, method: str, *values: object) -> None:
        """Tell a sink; one that raises is told nothing more: watching must not change what is watched."""
        try:
            getattr(sink, method)(*values)
        except Exception as error:  # noqa: BLE001 - a sink may raise anything; it is noted
            self._note_sink(sink, method, error)
            self._sinks = tuple(other for other in self._sinks if other is not sink)
            self._close(sink)

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except Exception as error:  # noqa: BLE001 - as above; the other sinks are to be closed too
            self._note_sink(sink, "close", error)

    def _note_sink(self, sink: Sink, method: str, error: Exception) -> None:
        note = f"sink {type(sink).__name__}.{method}: {type(error).__name__}: {error}; it is told nothing more"
        self._sink_notes.append(note)
        _LOG.warning("sink_failed: %s", note)


def _what_became(result: RunResult, strategy_file: str) -> str:
    left = ", ".join(result.unresolved) or "none"
    text = f"{result.cancelled} orders cancelled; left at the venue or in doubt: {left}"
    if result.is_confirmed_empty:
        return text
    # Whoever finds the process gone has to act: nobody looks after what rests.
    return (
        f"{text}; the venue has not confirmed the end: `mmframe kill {shlex.quote(strategy_file)}` removes what is left"
    )

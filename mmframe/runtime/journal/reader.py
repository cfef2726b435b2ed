"""The reader: what a journal tells, while a run writes it, after its end, and after a crash.

It writes nothing and takes no lock that a writer waits for. Long answers are read in pages, so that a slow reader does
not keep the writer's log from being folded back into the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import msgspec

from mmframe.domain.orders import Action, Fill, OrderState
from mmframe.domain.records import Command, OperatorCommand
from mmframe.domain.status import RunResult
from mmframe.errors import JournalError, UsageError
from mmframe.runtime.journal import rows
from mmframe.runtime.journal.header import RunHeader
from mmframe.runtime.journal.limits import LIMITS_SINCE, read_limits
from mmframe.runtime.journal.restore import read_restored, read_state
from mmframe.runtime.journal.schema import connect_reader, journal_errors, require_journal, require_sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from mmframe.domain.advice import AdviceCall
    from mmframe.domain.records import AdviceUpdate, QuoteDecision
    from mmframe.engine.state import EngineState, RestoredRun
    from mmframe.runtime.journal.limits import JournalLimit
    from mmframe.runtime.journal.orders import JournalOrder

__all__ = ["JournalFill", "JournalIntent", "JournalReader", "JournalRun", "OrderEvent"]

_CALLS_SINCE = 3
"""The first version of the tables with a record of questions to models."""
_PAGE = 256
"""Rows read at a time."""


class JournalRun(msgspec.Struct, frozen=True):
    """One run in a journal: its header, and its result when it ended by itself."""

    number: int
    """From 1; each resume adds one."""
    header: RunHeader
    ended_ns: int | None
    """The driver's clock; None when the run still goes on or its process died."""
    ended_because: str | None
    result: RunResult | None


class JournalIntent(msgspec.Struct, frozen=True):
    """An action as it was recorded before it was sent."""

    run: int
    at_ns: int
    action: Action


class JournalFill(msgspec.Struct, frozen=True):
    """A fill as it was counted, with the mid at the time."""

    run: int
    fill: Fill
    mid_half_ticks: int


class OrderEvent(msgspec.Struct, frozen=True):
    """One thing that happened to an order, and how it stood afterwards."""

    run: int
    at_ns: int
    exchange_ns: int | None
    client_id: str
    market: int
    event: str
    """An action's kind, `answer to <request>`, `news` from the venue's stream, or `fill`."""
    status: str | None
    state: OrderState | None
    price_ticks: int
    size_lots: int
    counted_lots: int
    version: int
    reason: str


_EVENT_COLUMNS = ", ".join(OrderEvent.__struct_fields__)


class JournalReader:
    """A journal, open for reading.

    Args:
        path: The journal's file.

    Raises:
        JournalError: If it is missing, no journal, damaged, or of another version. So does every method when the file
            turns out to be damaged.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            what = "a folder" if path.is_dir() else "missing"
            msg = f"journal {str(path)!r}: expected a file, was {what}"
            raise JournalError(msg, hint="`mmframe run` names the journal that it writes")
        self.path = path
        with journal_errors(path):
            self._connection = connect_reader(path)
            try:
                self._version = require_journal(path, self._connection)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    def check(self) -> None:
        """Run SQLite's `quick_check` over the whole file.

        Raises:
            JournalError: If the file is damaged.
        """
        with journal_errors(self.path):
            require_sound(self.path, self._connection)

    # Runs.

    def runs(self) -> tuple[JournalRun, ...]:
        """Return every run in the file, oldest first; there is at least one."""
        found = self._all("SELECT number, header, ended_ns, ended_because, result FROM run ORDER BY number")
        return tuple(
            JournalRun(
                number=number,
                header=msgspec.json.decode(header, type=RunHeader),
                ended_ns=ended_ns,
                ended_because=ended_because,
                result=None if result is None else msgspec.json.decode(result, type=RunResult),
            )
            for number, header, ended_ns, ended_because, result in found
        )

    def run(self, number: int | None = None) -> JournalRun:
        """Return one run; the newest when `number` is None.

        Raises:
            UsageError: If there is no such run.
        """
        runs = self.runs()
        if number is None:
            return runs[-1]
        if not 1 <= number <= len(runs):
            msg = f"run: expected 1 to {len(runs)}, was {number}"
            raise UsageError(
                msg, hint=f"journal {str(self.path)!r} holds {len(runs)} run{'' if len(runs) == 1 else 's'}"
            )
        return runs[number - 1]

    def span_ns(self, run: int | None = None) -> tuple[int, int] | None:
        """Return the driver's time of a run's first and last record; None when it has none."""
        number = self._number(run)
        (first_ns, last_ns) = self._one(
            "SELECT min(low), max(high) FROM ("
            " SELECT min(now_ns) AS low, max(now_ns) AS high FROM decisions WHERE run = :run"
            " UNION ALL SELECT min(at_ns), max(at_ns) FROM intents WHERE run = :run"
            " UNION ALL SELECT min(receive_ns), max(receive_ns) FROM fills WHERE run = :run"
            " UNION ALL SELECT ended_ns, ended_ns FROM run WHERE number = :run)",
            {"run": number},
        )
        return None if first_ns is None else (first_ns, last_ns)

    # Decisions.

    def decisions(
        self, at_ns: int | None = None, market: int | None = None, *, run: int | None = None
    ) -> tuple[QuoteDecision, ...]:
        """Return the decisions in force at a moment: of each market the last at or before it.

        Args:
            at_ns: The driver's time; None for the end.
            market: One market alone.
            run: Number of the run; the newest when None.
        """
        header = self.run(run).header
        markets = range(len(header.instruments)) if market is None else (market,)
        found = (
            self._decision(
                "WHERE run = ? AND market = ? AND now_ns <= ? ORDER BY now_ns DESC, position DESC",
                (self._number(run), index, _LAST_NS if at_ns is None else at_ns),
            )
            for index in markets
        )
        return tuple(decision for decision in found if decision is not None)

    def decision(self, sequence: int, *, run: int | None = None) -> QuoteDecision | None:
        """Return the decision with a sequence number, or None."""
        return self._decision("WHERE run = ? AND sequence = ?", (self._number(run), sequence))

    def first_decision(self, market: int, *, run: int | None = None) -> QuoteDecision | None:
        """Return the first decision of a market, or None."""
        return self._decision("WHERE run = ? AND market = ? ORDER BY now_ns, position", (self._number(run), market))

    def each_decision(
        self, market: int | None = None, *, run: int | None = None, since_ns: int = 0, until_ns: int | None = None
    ) -> Iterator[QuoteDecision]:
        """Yield the decisions of a run in the order in which they were made.

        Args:
            market: One market alone.
            run: Number of the run; the newest when None.
            since_ns: The driver's time, included.
            until_ns: The driver's time, included; None for the end.
        """
        statement = (
            "SELECT position, body FROM decisions WHERE position > :after AND run = :run"
            " AND (:market IS NULL OR market = :market) AND now_ns BETWEEN :since AND :until"
            " ORDER BY position LIMIT :page"
        )
        named = {
            "run": self._number(run),
            "market": market,
            "since": since_ns,
            "until": _LAST_NS if until_ns is None else until_ns,
        }
        for (body,) in self._pages(statement, named):
            yield rows.decision_from(body)

    # Orders and fills.

    def fills(self, market: int | None = None, *, run: int | None = None) -> tuple[JournalFill, ...]:
        """Return fills in the order in which they were counted: of all runs, or of one."""
        found = self._all(
            f"SELECT run, mid_half_ticks, {rows.FILL_COLUMNS} FROM fills"
            " WHERE (:market IS NULL OR market = :market) AND (:run IS NULL OR run = :run) ORDER BY position",
            {"market": market, "run": run},
        )
        return tuple(JournalFill(number, rows.fill_from(row), mid) for number, mid, *row in found)

    def orders(self, market: int | None = None, *, run: int | None = None) -> tuple[JournalOrder, ...]:
        """Return orders as they stand now, oldest first: of all runs, or those that one run made."""
        found = self._all(
            f"SELECT {rows.ORDER_COLUMNS} FROM orders"
            " WHERE (:market IS NULL OR market = :market) AND (:run IS NULL OR created_run = :run)"
            " ORDER BY created_run, created_ns, client_id",
            {"market": market, "run": run},
        )
        return tuple(rows.order_from(row) for row in found)

    def order(self, client_id: str) -> JournalOrder | None:
        """Return one order as it stands now, or None."""
        found = self._all(f"SELECT {rows.ORDER_COLUMNS} FROM orders WHERE client_id = ?", (client_id,))
        return rows.order_from(found[0]) if found else None

    def order_events(self, client_id: str) -> tuple[OrderEvent, ...]:
        """Return what happened to an order, in order."""
        found = self._all(
            f"SELECT {_EVENT_COLUMNS} FROM order_events WHERE client_id = ? ORDER BY position", (client_id,)
        )
        return tuple(_event_from(row) for row in found)

    def working_orders(
        self, at_ns: int, market: int, *, run: int | None = None
    ) -> tuple[tuple[JournalOrder, OrderEvent], ...]:
        """Return the orders that were not final at a moment, each with how it stood then.

        Args:
            at_ns: The driver's time; what happened at that very time has happened.
            market: The market.
            run: Number of the run; the newest when None.
        """
        named = {"run": self._number(run), "at": at_ns, "market": market}
        found = self._all(
            f"SELECT {rows.ORDER_COLUMNS} FROM orders WHERE market = :market"
            " AND (created_run < :run OR (created_run = :run AND created_ns <= :at))"
            " AND (ended_run IS NULL OR ended_run > :run OR (ended_run = :run AND ended_ns > :at))"
            " ORDER BY created_run, created_ns, client_id",
            named,
        )
        working = []
        for order in map(rows.order_from, found):
            event = self._all(
                f"SELECT {_EVENT_COLUMNS} FROM order_events WHERE client_id = :client_id"
                " AND (run < :run OR (run = :run AND at_ns <= :at)) ORDER BY position DESC LIMIT 1",
                {**named, "client_id": order.client_id},
            )
            working.append((order, _event_from(event[0])))
        return tuple(working)

    def intents(self, *, run: int | None = None) -> Iterator[JournalIntent]:
        """Yield the recorded actions in order: of all runs, or of one."""
        statement = (
            "SELECT position, run, at_ns, action FROM intents WHERE position > :after"
            " AND (:run IS NULL OR run = :run) ORDER BY position LIMIT :page"
        )
        for number, at_ns, action in self._pages(statement, {"run": run}):
            yield JournalIntent(number, at_ns, rows.action_from(action))

    # The rest.

    def advice(self, market: int | None = None, *, run: int | None = None) -> tuple[AdviceUpdate, ...]:
        """Return the advice that came into force, in order: of all runs, or of one."""
        found = self._all(
            "SELECT body FROM advice WHERE (:market IS NULL OR market = :market) AND (:run IS NULL OR run = :run)"
            " ORDER BY position",
            {"market": market, "run": run},
        )
        return tuple(rows.advice_from(body) for (body,) in found)

    def advice_calls(self, *, adviser: str | None = None, run: int | None = None) -> tuple[AdviceCall, ...]:
        """Return the questions to models, in the order in which their outcomes took effect: of all runs, or of one."""
        if self._version < _CALLS_SINCE:
            return ()
        found = self._all(
            "SELECT body FROM advice_calls WHERE (:adviser IS NULL OR adviser = :adviser)"
            " AND (:run IS NULL OR run = :run) ORDER BY position",
            {"adviser": adviser, "run": run},
        )
        return tuple(rows.call_from(body) for (body,) in found)

    def commands(self, *, run: int | None = None) -> tuple[OperatorCommand, ...]:
        """Return the operators' orders, in order: of all runs, or of one."""
        found = self._all(
            "SELECT command, at_ns, market, reason FROM commands WHERE (:run IS NULL OR run = :run) ORDER BY position",
            {"run": run},
        )
        return tuple(
            OperatorCommand(Command(command), at_ns, market, reason) for command, at_ns, market, reason in found
        )

    def limits(
        self, market: int | None = None, *, run: int | None = None, since_ns: int = 0, until_ns: int | None = None
    ) -> tuple[JournalLimit, ...]:
        """Return the limits that bound, in the order in which they began.

        Args:
            market: Those of one market and of the whole strategy; None for all.
            run: Number of the run; the newest when None.
            since_ns: The driver's time; one that had ended before is left out.
            until_ns: The driver's time; one that began later is left out. None for the end.
        """
        if self._version < LIMITS_SINCE:
            return ()
        return read_limits(
            self._all,
            run=self._number(run),
            market=market,
            span_ns=(since_ns, _LAST_NS if until_ns is None else until_ns),
        )

    def state(self) -> EngineState:
        """Return the engine's state as last recorded."""
        with journal_errors(self.path):
            return read_state(self._connection)

    def restored(self) -> RestoredRun:
        """Return what `Journal.reopen` would give to the next run."""
        with journal_errors(self.path):
            return read_restored(self._connection)

    def summary(self, run: int | None = None) -> RunResult:
        """Return how a run ended; of one that did not end, the same figures as far as its records tell.

        Args:
            run: Number of the run; the newest when None.
        """
        chosen = self.run(run)
        if chosen.result is not None:
            return chosen.result
        from mmframe.runtime.journal.summary import summarise  # noqa: PLC0415 - needed for unfinished runs alone

        return summarise(self, chosen)

    def decision_count(self, *, run: int | None = None) -> int:
        """Return how many decisions of a run are recorded."""
        (count,) = self._one("SELECT count(*) FROM decisions WHERE run = ?", (self._number(run),))
        return int(count)

    def _number(self, run: int | None) -> int:
        return self.run(run).number

    def _decision(self, where: str, values: Sequence[Any]) -> QuoteDecision | None:
        found = self._all(f"SELECT body FROM decisions {where} LIMIT 1", values)
        return rows.decision_from(found[0][0]) if found else None

    def _one(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...]:
        (row,) = self._all(statement, values)
        return row

    def _all(self, statement: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        with journal_errors(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _pages(self, statement: str, named: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows behind their position, a page at a time."""
        after = 0
        while True:
            page = self._all(statement, {**named, "after": after, "page": _PAGE})
            for _, *row in page:
                yield tuple(row)
            if len(page) < _PAGE:
                return
            after = page[-1][0]


_LAST_NS = 2**63 - 1


def _event_from(row: Sequence[Any]) -> OrderEvent:
    values = dict(zip(OrderEvent.__struct_fields__, row, strict=True))
    values["state"] = None if values["state"] is None else OrderState(values["state"])
    return OrderEvent(**values)

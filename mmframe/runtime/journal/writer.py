"""The writer: one process, one connection, commits that have reached the disk before an action leaves.

Decisions, advice, limits and order updates explain; they wait in memory for the next commit. Intents, fills, commands
and the engine's state are what money depends on; each call that records them returns only when they are durable.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import msgspec

from mmframe.domain.orders import CancelAll, OrderStatus, Replace, Request, Submit
from mmframe.errors import JournalError
from mmframe.runtime.journal import orders, rows
from mmframe.runtime.journal.header import RunHeader, require_same_run
from mmframe.runtime.journal.lock import JournalLock
from mmframe.runtime.journal.restore import read_last_command, read_live_orders, read_restored
from mmframe.runtime.journal.schema import (
    connect_writer,
    create_tables,
    journal_errors,
    require_journal,
    require_sound,
    update_tables,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from mmframe.domain.advice import AdviceCall
    from mmframe.domain.orders import Action, Fill, OrderState, OrderUpdate
    from mmframe.domain.records import AdviceUpdate, LimitRecord, OperatorCommand, QuoteDecision
    from mmframe.domain.status import RunResult
    from mmframe.engine.state import EngineState, RestoredRun
    from mmframe.runtime.journal.orders import JournalOrder
    from mmframe.runtime.journal.rows import Row

__all__ = ["MAX_WAITING_NS", "MAX_WAITING_ROWS", "Journal"]

MAX_WAITING_ROWS = 512
"""Rows that may wait in memory; at the bound they are written."""
MAX_WAITING_NS = 1_000_000_000
"""Time of the driver's clock that the oldest row may wait; a later record writes them."""

_INSERT_RUN = "INSERT INTO run (run_id, strategy, mode, started_ns, header) VALUES (?, ?, ?, ?, ?)"
_END_RUN = "UPDATE run SET ended_ns = ?, ended_because = ?, result = ? WHERE number = ?"
_SELECT_ORDER = f"SELECT {rows.ORDER_COLUMNS} FROM orders WHERE client_id = ?"
_SELECT_FILL = f"SELECT {rows.FILL_COLUMNS} FROM fills WHERE market = ? AND venue_trade_id = ?"
_SET_STATE = "REPLACE INTO state (only, run, body) VALUES (1, ?, ?)"

_REPLACE_OUTCOMES = frozenset(
    {OrderStatus.REPLACED, OrderStatus.BOTH_LIVE, OrderStatus.CANCELED_ONLY, OrderStatus.UNCHANGED}
)


class Journal:
    """The journal of one run, open for writing; `create` and `reopen` make it.

    A driver calls `begin` before it sends anything, and sends nothing when `begin` raises. Every method raises
    `JournalError` when the file cannot be written; what was committed before stays as it was, and what was waiting is
    written by the next call that succeeds.

    Attributes:
        path: The file.
        run: Number of this run in the file, from 1.
        wants_decisions: Whether decisions are to be recorded.
        last_command: The newest command that was sent and has taken effect; 0 for none.
    """

    def __init__(  # noqa: PLR0913 - what `create` and `reopen` have opened
        self,
        path: Path,
        connection: sqlite3.Connection,
        lock: JournalLock,
        *,
        run: int,
        state: EngineState | None,
        wants_decisions: bool,
    ) -> None:
        self.path = path
        self.run = run
        self.wants_decisions = wants_decisions
        self.last_command = read_last_command(connection)
        self._connection = connection
        self._lock = lock
        self._is_open = True
        self._is_synchronous_full = True
        self._state = state
        self._waiting: list[Row] = []
        self._oldest_waiting_ns = 0
        # Every order that is not final, and those that became final and are not committed yet.
        self._orders: dict[str, JournalOrder] = {}

    @classmethod
    def create(cls, path: Path, header: RunHeader, *, wants_decisions: bool = True) -> Journal:
        """Make a new journal and record the header.

        Args:
            path: A file that does not exist; missing folders are made.
            header: Who runs what.
            wants_decisions: Whether decisions are to be recorded, for `mmframe explain`.

        Raises:
            JournalError: If the file exists, cannot be made, or another process is writing it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"journal {str(path)!r}: cannot make its folder: {error.strerror}"
            raise JournalError(msg, hint="choose a folder that can be written") from error
        lock = JournalLock(path, run_id=header.run_id)
        try:
            _make_file(path)
            try:
                with journal_errors(path):
                    connection, run = _initialise(path, header)
            except BaseException:
                # It holds nothing yet; in the way it would only keep the next attempt from starting.
                _remove_file(path)
                raise
        except BaseException:
            lock.release()
            raise
        return cls(path, connection, lock, run=run, state=None, wants_decisions=wants_decisions)

    @classmethod
    def reopen(cls, path: Path, header: RunHeader, *, wants_decisions: bool = True) -> tuple[Journal, RestoredRun]:
        """Continue a journal: check it, record the new run's header and return what the last run left.

        Args:
            path: The journal of an earlier run, ended or crashed.
            header: Who goes on with it.
            wants_decisions: Whether decisions are to be recorded, for `mmframe explain`.

        Raises:
            JournalError: If the file is missing, no journal, damaged, of another version, of another run (strategy,
                mode, markets or grid), or another process is writing it.
        """
        if not path.is_file():
            what = "a folder" if path.is_dir() else "missing"
            msg = f"journal {str(path)!r}: expected a file, was {what}"
            raise JournalError(msg, hint="name the journal of an earlier run, or start a new one")
        lock = JournalLock(path, run_id=header.run_id)
        try:
            with journal_errors(path):
                connection, run, live, restored = _continue(path, header)
        except BaseException:
            lock.release()
            raise
        journal = cls(path, connection, lock, run=run, state=restored.state, wants_decisions=wants_decisions)
        journal._orders = {order.client_id: order for order in live}
        return journal, restored

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What money depends on: durable when the call returns.

    def begin(self, actions: Sequence[Action], now_ns: int, state: EngineState | None = None) -> None:
        """Record actions that are about to be sent, in one commit, before any of them is.

        Args:
            actions: In the order in which they will be sent; none, and nothing is written.
            now_ns: The driver's time.
            state: The engine's state if it changed, to spare a commit of its own.

        Raises:
            JournalError: If they are not durable, or a client id was used before; nothing may be sent then.
        """
        if not actions:
            return
        changed: dict[str, JournalOrder] = {}
        written: list[Row] = []
        for action in actions:
            written.append(rows.intent_row(self.run, action, now_ns))
            written += self._action_rows(action, now_ns, changed)
        if state is not None and state != self._state:
            written.append(self._state_row(state))
        self._commit(written, is_durable=True)
        self._orders.update(changed)
        self._state = state or self._state

    def on_fill(self, fill: Fill, mid_half_ticks: int) -> bool:
        """Record an execution; return False when its market and venue trade id were there already.

        Args:
            fill: The execution.
            mid_half_ticks: Best bid + best ask in ticks at the time; twice the fill's price when there was no book.

        Raises:
            JournalError: If it is not durable, or the id belongs to a different execution: then one of the two can't
                be counted, and no figure of the run can be trusted.
        """
        statement, values = rows.fill_row(self.run, fill, mid_half_ticks)
        order = self._find(fill.client_id)
        changed = None if order is None else orders.after_fill(order, fill, run=self.run)
        with self._transaction(is_durable=True):
            is_new = self._connection.execute(statement, values).rowcount == 1
            if is_new and changed is not None:
                event = rows.event_row(
                    self.run, changed, event="fill", at_ns=fill.receive_ns, exchange_ns=fill.exchange_ns
                )
                for row in (rows.order_row(changed), event):
                    self._connection.execute(*row)
            if not is_new:
                self._require_same_fill(fill)
        if is_new and changed is not None:
            self._keep(changed)
        return is_new

    def save_state(self, state: EngineState) -> None:
        """Record the engine's state; does nothing when it is the one recorded last.

        Raises:
            JournalError: If it is not durable.
        """
        if state == self._state:
            return
        self._commit([self._state_row(state)], is_durable=True)
        self._state = state

    def finish(self, result: RunResult) -> None:
        """Record how the run ended, and with it all that was waiting.

        Raises:
            JournalError: If it is not durable.
        """
        text = msgspec.json.encode(result).decode()
        row = (_END_RUN, (result.status.now_ns, result.ended_because, text, self.run))
        self._commit([row], is_durable=True)

    def on_command(self, command: OperatorCommand, state: EngineState | None = None, number: int = 0) -> None:
        """Record an operator's order, with the engine's state after it in one commit.

        Args:
            command: In the driver's time.
            state: What it left; so a command that was sent has taken effect and is known to have, or neither.
            number: Of a command that was sent; 0 for one that was not.

        Raises:
            JournalError: If it is not durable.
        """
        written = [rows.command_row(self.run, command, number)]
        if state is not None:
            written.append(self._state_row(state))
        self._commit(written, is_durable=True)
        self.last_command = max(self.last_command, number)
        self._state = state or self._state

    # What explains: written with the next commit, at a bound, by `flush`, and at the end.

    def on_order_update(self, update: OrderUpdate, state: OrderState | None) -> None:
        """Record what the venue said of an order.

        Args:
            update: What it said.
            state: The order's state for the engine afterwards; None when it is no order of the engine's.
        """
        order = None if state is None else self._find(update.client_id)
        if order is None or state is None:
            self._wait([rows.update_event_row(self.run, None, update, state)], update.receive_ns)
            return
        changed = orders.after_update(order, update, state, run=self.run)
        self._orders[changed.client_id] = changed
        written = [rows.order_row(changed), rows.update_event_row(self.run, changed, update, state)]
        new = self._replacement_of(update)
        if new is not None:
            settled = orders.after_replacement(new, update, run=self.run)
            if settled is not new:
                self._orders[settled.client_id] = settled
                event = rows.event_row(
                    self.run, settled, event="replace", at_ns=update.receive_ns, exchange_ns=update.exchange_ns
                )
                written += [rows.order_row(settled), event]
        self._wait(written, update.receive_ns)

    def on_decision(self, decision: QuoteDecision) -> None:
        """Record a decision."""
        self._wait([rows.decision_row(self.run, decision)], decision.now_ns)

    def on_advice(self, update: AdviceUpdate) -> None:
        """Record advice that came into force."""
        self._wait([rows.advice_row(self.run, update)], update.receive_ns)

    def on_advice_call(self, call: AdviceCall) -> None:
        """Record a question to a model, its answer and what became of it."""
        self._wait([rows.call_row(self.run, call)], call.applied_ns)

    def on_limit(self, limit: LimitRecord) -> None:
        """Record that a limit began to bind, or how long it did."""
        self._wait([rows.limit_row(self.run, limit)], limit.now_ns)

    def flush(self) -> None:
        """Write what is waiting, so that readers see it and the death of the process loses nothing of it.

        A loss of power may still lose it; only the durable calls wait for the disk.
        """
        if self._waiting:
            self._commit([], is_durable=False)

    def close(self) -> None:
        """Write what is waiting, close the file and give it free; a second call does nothing.

        Raises:
            JournalError: If what was waiting cannot be written. The file is closed all the same.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            if self._waiting:
                self._commit([], is_durable=True)
        finally:
            self._connection.close()
            self._lock.release()

    def _action_rows(self, action: Action, now_ns: int, changed: dict[str, JournalOrder]) -> list[Row]:
        """Return the rows of the orders that `action` touches, and note those orders in `changed`."""
        named = getattr(action, "client_id", "")
        new_id = self._new_client_id(action, changed)
        order = changed.get(named) or self._find(named)
        live = {**self._orders, **changed}.values() if isinstance(action, CancelAll) else ()
        written: list[Row] = []
        for moved in orders.after_action(action, order=order, live=live, run=self.run, now_ns=now_ns):
            changed[moved.client_id] = moved
            event = rows.event_row(self.run, moved, event=str(action.__struct_config__.tag), at_ns=now_ns)
            written += [rows.new_order_row(moved) if moved.client_id == new_id else rows.order_row(moved), event]
        return written

    def _new_client_id(self, action: Action, changed: dict[str, JournalOrder]) -> str | None:
        """Return the client id that `action` uses for the first time."""
        if isinstance(action, Submit):
            new_id = action.client_id
        elif isinstance(action, Replace):
            new_id = action.new_client_id
        else:
            return None
        if new_id in changed or self._find(new_id) is not None:
            msg = f"journal {str(self.path)!r}: client id {new_id!r} was used before"
            raise JournalError(msg, hint="an id is used once, forever: two orders under one id could not be told apart")
        return new_id

    def _replacement_of(self, update: OrderUpdate) -> JournalOrder | None:
        """Return the order that the replace of the update's order was to place, if it is still to be settled."""
        if update.status not in _REPLACE_OUTCOMES or update.request is Request.CANCEL:
            # A refused cancel leaves its order unchanged and says nothing of a replace.
            return None
        if update.new_client_id:
            return self._orders.get(update.new_client_id)
        return next((order for order in self._orders.values() if order.replaces == update.client_id), None)

    def _find(self, client_id: str) -> JournalOrder | None:
        order = self._orders.get(client_id)
        if order is not None or not client_id:
            return order
        with journal_errors(self.path):
            row = self._connection.execute(_SELECT_ORDER, (client_id,)).fetchone()
        return None if row is None else rows.order_from(row)

    def _keep(self, order: JournalOrder) -> None:
        if order.is_final:
            self._orders.pop(order.client_id, None)
        else:
            self._orders[order.client_id] = order

    def _state_row(self, state: EngineState) -> Row:
        return _SET_STATE, (self.run, rows.state_text(state))

    def _require_same_fill(self, fill: Fill) -> None:
        row = self._connection.execute(_SELECT_FILL, (fill.market, fill.venue_trade_id)).fetchone()
        known = rows.fill_from(row)
        was = (known.client_id, known.side, known.price_ticks, known.size_lots)
        now = (fill.client_id, fill.side, fill.price_ticks, fill.size_lots)
        if was != now:
            msg = (
                f"journal {str(self.path)!r}: trade id {fill.venue_trade_id!r} of market {fill.market}: "
                f"expected {_execution(known)}, was {_execution(fill)}"
            )
            raise JournalError(msg, hint="the venue gave one trade id to two executions; start a new journal with it")

    def _wait(self, written: list[Row], at_ns: int) -> None:
        if not self._waiting:
            self._oldest_waiting_ns = at_ns
        self._waiting += written
        if len(self._waiting) >= MAX_WAITING_ROWS or at_ns - self._oldest_waiting_ns >= MAX_WAITING_NS:
            self.flush()

    def _commit(self, written: Sequence[Row], *, is_durable: bool) -> None:
        with self._transaction(is_durable=is_durable):
            for statement, values in written:
                self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self, *, is_durable: bool) -> Iterator[None]:
        """Write what is waiting, then what the block writes, in one commit; undo both when anything fails."""
        connection = self._connection
        with journal_errors(self.path):
            if is_durable != self._is_synchronous_full:
                # In WAL mode NORMAL commits without waiting for the disk; a later FULL commit makes them durable too.
                connection.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'NORMAL'}")
                self._is_synchronous_full = is_durable
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in self._waiting:
                    connection.execute(statement, values)
                yield
                connection.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        if self._waiting:
            self._waiting.clear()
            for client_id in [order.client_id for order in self._orders.values() if order.is_final]:
                del self._orders[client_id]


def _make_file(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError as error:
        msg = f"journal {str(path)!r} exists already"
        raise JournalError(
            msg, hint="resume it with --resume, or name another file; a journal is never overwritten"
        ) from error
    except OSError as error:
        msg = f"journal {str(path)!r} cannot be made: {error.strerror}"
        raise JournalError(msg, hint="choose a folder that can be written") from error


def _remove_file(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _initialise(path: Path, header: RunHeader) -> tuple[sqlite3.Connection, int]:
    """Make the tables and the first run's row in one commit."""
    connection = connect_writer(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        create_tables(connection)
        run = _insert_run(connection, header)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection, run


def _continue(path: Path, header: RunHeader) -> tuple[sqlite3.Connection, int, list[JournalOrder], RestoredRun]:
    """Check the file, read back what it holds, and add the new run's row."""
    connection = connect_writer(path)
    try:
        require_journal(path, connection)
        require_sound(path, connection)
        (text,) = connection.execute("SELECT header FROM run ORDER BY number DESC LIMIT 1").fetchone()
        require_same_run(path, msgspec.json.decode(text, type=RunHeader), header)
        live, restored = read_live_orders(connection), read_restored(connection)
        connection.execute("BEGIN IMMEDIATE")
        update_tables(connection)
        run = _insert_run(connection, header)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection, run, live, restored


def _insert_run(connection: sqlite3.Connection, header: RunHeader) -> int:
    values = (header.run_id, header.strategy, header.mode, header.started_ns, msgspec.json.encode(header).decode())
    (number,) = connection.execute(f"{_INSERT_RUN} RETURNING number", values).fetchone()
    return int(number)


def _execution(fill: Fill) -> str:
    return f"{fill.side.name} {fill.size_lots} lots at {fill.price_ticks} ticks of order {fill.client_id!r}"

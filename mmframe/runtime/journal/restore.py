"""Reads back what a run must continue with: open orders, every fill, the engine's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mmframe.engine.state import EngineState, RestoredFill, RestoredRun
from mmframe.runtime.journal import rows

if TYPE_CHECKING:
    import sqlite3

    from mmframe.runtime.journal.orders import JournalOrder

__all__ = ["read_last_command", "read_live_orders", "read_restored", "read_state", "sequence_of"]

_LIVE_ORDERS = f"""
SELECT {rows.ORDER_COLUMNS} FROM orders WHERE ended_run IS NULL ORDER BY created_run, created_ns, client_id
"""
_ALL_FILLS = f"SELECT mid_half_ticks, {rows.FILL_COLUMNS} FROM fills ORDER BY position"


def read_restored(connection: sqlite3.Connection) -> RestoredRun:
    """Return the run as its journal knows it."""
    state = read_state(connection)
    # The state is not written for each client id: the ids themselves are there, and none may be used twice.
    last_sequence = max(
        (sequence_of(client_id) for (client_id,) in connection.execute("SELECT client_id FROM orders")), default=0
    )
    return RestoredRun(
        state=msgspec.structs.replace(state, last_sequence=max(state.last_sequence, last_sequence)),
        orders=tuple(order.restored() for order in read_live_orders(connection)),
        fills=tuple(RestoredFill(rows.fill_from(row), mid) for mid, *row in connection.execute(_ALL_FILLS)),
    )


def read_state(connection: sqlite3.Connection) -> EngineState:
    """Return the engine's state as last recorded; that of a new engine when there is none."""
    row = connection.execute("SELECT body FROM state").fetchone()
    return EngineState() if row is None else rows.state_from(row[0])


def read_last_command(connection: sqlite3.Connection) -> int:
    """Return the number of the newest command that was sent and has taken effect; 0 for none."""
    (number,) = connection.execute("SELECT max(number) FROM commands").fetchone()
    return number or 0


def read_live_orders(connection: sqlite3.Connection) -> list[JournalOrder]:
    """Return the orders that are not final, oldest first."""
    return [rows.order_from(row) for row in connection.execute(_LIVE_ORDERS)]


def sequence_of(client_id: str) -> int:
    """Return the number behind the last dash of a client id; 0 when there is none."""
    number = client_id.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdigit() else 0

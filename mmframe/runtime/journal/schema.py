"""The journal's tables, the checks on opening one, and the translation of SQLite's failures into `JournalError`."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmframe.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "connect_reader",
    "connect_writer",
    "create_tables",
    "journal_errors",
    "require_journal",
    "require_sound",
    "update_tables",
]

APPLICATION_ID = 0x6D6D6A31
"""SQLite's `application_id` of a journal: "mmj1"."""
SCHEMA_VERSION = 3
"""SQLite's `user_version` of the tables below."""
_FIRST_VERSION = 1
"""The oldest that can be read as it is, and that a run that goes on brings up to date."""

_OLDEST_SQLITE = (3, 37, 0)
"""The first with STRICT tables."""
_BUSY_TIMEOUT_S = 5.0
"""How long a statement waits for a reader that holds a lock for a moment (recovery, end of a checkpoint)."""

_TABLES = """
CREATE TABLE run (
    number        INTEGER PRIMARY KEY,
    run_id        TEXT NOT NULL,
    strategy      TEXT NOT NULL,
    mode          TEXT NOT NULL,
    started_ns    INTEGER NOT NULL,
    header        TEXT NOT NULL,
    ended_ns      INTEGER,
    ended_because TEXT,
    result        TEXT
) STRICT;

CREATE TABLE intents (
    position      INTEGER PRIMARY KEY,
    run           INTEGER NOT NULL,
    at_ns         INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    market        INTEGER NOT NULL,
    client_id     TEXT,
    new_client_id TEXT,
    action        TEXT NOT NULL
) STRICT;
CREATE INDEX intents_by_time ON intents (run, at_ns);

CREATE TABLE orders (
    client_id             TEXT PRIMARY KEY,
    market                INTEGER NOT NULL,
    side                  TEXT NOT NULL CHECK (side IN ('buy', 'sell')),
    state                 TEXT NOT NULL,
    price_ticks           INTEGER NOT NULL,
    size_lots             INTEGER NOT NULL,
    created_run           INTEGER NOT NULL,
    created_ns            INTEGER NOT NULL,
    requested_price_ticks INTEGER,
    requested_size_lots   INTEGER,
    counted_lots          INTEGER NOT NULL,
    reported_lots         INTEGER NOT NULL,
    ends_as               TEXT,
    version               INTEGER NOT NULL,
    venue_order_id        TEXT NOT NULL,
    replaces              TEXT NOT NULL,
    reason                TEXT NOT NULL,
    ended_run             INTEGER,
    ended_ns              INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_by_end ON orders (ended_run, ended_ns);

CREATE TABLE order_events (
    position     INTEGER PRIMARY KEY,
    run          INTEGER NOT NULL,
    at_ns        INTEGER NOT NULL,
    exchange_ns  INTEGER,
    client_id    TEXT NOT NULL,
    market       INTEGER NOT NULL,
    event        TEXT NOT NULL,
    status       TEXT,
    state        TEXT,
    price_ticks  INTEGER NOT NULL,
    size_lots    INTEGER NOT NULL,
    counted_lots INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    reason       TEXT NOT NULL
) STRICT;
CREATE INDEX order_events_by_order ON order_events (client_id, position);

CREATE TABLE fills (
    position       INTEGER PRIMARY KEY,
    run            INTEGER NOT NULL,
    market         INTEGER NOT NULL,
    client_id      TEXT NOT NULL,
    venue_trade_id TEXT NOT NULL,
    side           TEXT NOT NULL CHECK (side IN ('buy', 'sell')),
    price_ticks    INTEGER NOT NULL,
    size_lots      INTEGER NOT NULL,
    is_maker       INTEGER NOT NULL CHECK (is_maker IN (0, 1)),
    fee            TEXT NOT NULL,
    fee_asset      TEXT NOT NULL,
    exchange_ns    INTEGER NOT NULL,
    receive_ns     INTEGER NOT NULL,
    venue_order_id TEXT NOT NULL,
    mid_half_ticks INTEGER NOT NULL,
    UNIQUE (market, venue_trade_id)
) STRICT;

CREATE TABLE decisions (
    position   INTEGER PRIMARY KEY,
    run        INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    market     INTEGER NOT NULL,
    now_ns     INTEGER NOT NULL,
    bid_ticks  INTEGER,
    ask_ticks  INTEGER,
    bid_reason INTEGER NOT NULL,
    ask_reason INTEGER NOT NULL,
    body       BLOB NOT NULL
) STRICT;
CREATE INDEX decisions_by_time ON decisions (run, market, now_ns);
CREATE INDEX decisions_by_sequence ON decisions (run, sequence);

CREATE TABLE advice (
    position       INTEGER PRIMARY KEY,
    run            INTEGER NOT NULL,
    market         INTEGER NOT NULL,
    at_ns          INTEGER NOT NULL,
    valid_until_ns INTEGER NOT NULL,
    source         TEXT NOT NULL,
    note           TEXT NOT NULL,
    body           BLOB NOT NULL
) STRICT;

CREATE TABLE commands (
    position INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL,
    at_ns    INTEGER NOT NULL,
    market   INTEGER NOT NULL,
    command  TEXT NOT NULL,
    reason   TEXT NOT NULL,
    number   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE limits (
    position  INTEGER PRIMARY KEY,
    run       INTEGER NOT NULL,
    market    INTEGER NOT NULL,
    stage     TEXT NOT NULL,
    level     INTEGER NOT NULL,
    reason    INTEGER NOT NULL,
    began_ns  INTEGER NOT NULL,
    ended_ns  INTEGER,
    decisions INTEGER NOT NULL,
    detail    TEXT NOT NULL,
    UNIQUE (run, market, stage, level, reason, began_ns)
) STRICT;

CREATE TABLE advice_calls (
    position     INTEGER PRIMARY KEY,
    run          INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    adviser      TEXT NOT NULL,
    requested_ns INTEGER NOT NULL,
    applied_ns   INTEGER NOT NULL,
    request_hash TEXT NOT NULL,
    model        TEXT NOT NULL,
    status       TEXT NOT NULL,
    latency_ns   INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd     TEXT NOT NULL,
    verdict      TEXT NOT NULL,
    body         BLOB NOT NULL
) STRICT;

CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    run  INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
"""

_LIMITS_TABLE = _TABLES[_TABLES.index("CREATE TABLE limits") : _TABLES.index("CREATE TABLE advice_calls")]
_CALLS_TABLE = _TABLES[_TABLES.index("CREATE TABLE advice_calls") : _TABLES.index("CREATE TABLE state")]
_MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: ("ALTER TABLE commands ADD COLUMN number INTEGER NOT NULL DEFAULT 0", _LIMITS_TABLE),
    2: (_CALLS_TABLE,),
}
"""By version: what makes the next one of it."""


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Raise what SQLite raises inside as a `JournalError` about `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open `path`, which exists, for writing, in WAL mode, with commits that reach the disk.

    Raises:
        JournalError: If SQLite is too old, or the file's place does not allow WAL.
        sqlite3.Error: If the file is no database or cannot be read.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        oldest = ".".join(str(part) for part in _OLDEST_SQLITE)
        msg = f"journal {str(path)!r}: expected SQLite {oldest} or newer, was {sqlite3.sqlite_version}"
        raise JournalError(msg, hint="use a Python that is built with a newer SQLite")
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S
    )
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            msg = f"journal {str(path)!r}: expected journal mode 'wal', was {mode!r}"
            raise JournalError(msg, hint="put the journal on a local disk")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open `path` for reading alone; a writer may be at work, and a crashed one may have left its `-wal` file.

    Raises:
        sqlite3.Error: If the file is no database or cannot be read.
    """
    uri = path.resolve().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        # On read-only media SQLite cannot make the shared-memory file of WAL mode; a journal that was closed cleanly
        # is whole without it.
        return sqlite3.connect(f"{uri}?mode=ro&immutable=1", uri=True, isolation_level=None)
    return connection


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables inside the caller's transaction: a journal has all of them or is empty."""
    for statement in _TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def update_tables(connection: sqlite3.Connection) -> None:
    """Bring the tables of an older version up to date, inside the caller's transaction."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for older in range(version, SCHEMA_VERSION):
        for statement in _MIGRATIONS[older]:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def require_journal(path: Path, connection: sqlite3.Connection) -> int:
    """Check that the open database is a journal, of this version or of one that can still be read; return which.

    Raises:
        JournalError: If it is another program's database, empty, or of another version.
    """
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            msg = f"journal {str(path)!r} is empty: the run that made it ended before it began"
            raise JournalError(msg, hint="nothing was recorded in it; start a new journal")
        msg = f"journal {str(path)!r}: expected application id {APPLICATION_ID:#x}, was {application_id:#x}"
        raise JournalError(msg, hint="this is another program's SQLite database; name a journal of mmframe")
    if version > SCHEMA_VERSION:
        msg = f"journal {str(path)!r} is of a newer version: expected {SCHEMA_VERSION}, was {version}"
        raise JournalError(msg, hint="upgrade mmframe: pip install --upgrade mmframe")
    if version < _FIRST_VERSION:
        msg = f"journal {str(path)!r} is of an older version: expected {_FIRST_VERSION} or newer, was {version}"
        raise JournalError(msg, hint="read it with the mmframe version named in its `run` table; start a new journal")
    return int(version)


def require_sound(path: Path, connection: sqlite3.Connection) -> None:
    """Run SQLite's `quick_check`.

    Raises:
        JournalError: If the file is damaged.
    """
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, verdict)


def _damaged(path: Path, what: object) -> JournalError:
    return JournalError(
        f"journal {str(path)!r} is damaged: {what}",
        hint="keep a copy; `sqlite3 FILE .recover` saves what can be read; check orders and positions at the venue",
    )


def _translated(path: Path, error: sqlite3.Error) -> JournalError:
    # Python adds these attributes only to errors that come from SQLite itself.
    name = getattr(error, "sqlite_errorname", "")
    where = f"journal {str(path)!r}"
    if name.startswith("SQLITE_CORRUPT"):
        return _damaged(path, error)
    if name.startswith("SQLITE_NOTADB"):
        return JournalError(f"{where}: expected a SQLite database, was another file", hint="name a journal of mmframe")
    if name.startswith("SQLITE_FULL"):
        return JournalError(
            f"{where} cannot be written: the disk is full",
            hint="what was committed is safe; free some space, then resume the run",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return JournalError(
            f"{where} cannot be opened: {error}", hint="check that the file and its folder can be written"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return JournalError(f"{where} is locked by another program", hint="close the program that writes to the file")
    return JournalError(
        f"{where}: {error} ({name or type(error).__name__})", hint="what was committed is safe; check the disk"
    )

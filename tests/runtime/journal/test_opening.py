"""Making, reopening and refusing journals."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import textwrap
from decimal import Decimal

import pytest

from mmframe.domain.records import Command, LimitRecord, OperatorCommand
from mmframe.engine.state import EngineState
from mmframe.errors import ExitCode, JournalError
from mmframe.runtime.journal import APPLICATION_ID, SCHEMA_VERSION, Journal, JournalReader, RecordedInstrument, schema


def pragma(path, name):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]
    finally:
        connection.close()


def journal_files(path):
    return sorted(child.name for child in path.parent.iterdir() if child.name.startswith(path.name))


def test_a_new_journal_is_a_sqlite_file_in_wal_mode_that_names_itself(journal, path):
    assert pragma(path, "journal_mode") == "wal"
    assert pragma(path, "application_id") == APPLICATION_ID
    assert pragma(path, "user_version") == SCHEMA_VERSION


def test_intents_are_committed_with_full_synchronisation(journal, values):
    journal.on_decision(values.decision(1))
    journal.flush()

    journal.begin([values.submit(1)], values.NS)

    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_every_table_is_strict(journal, path):
    connection = sqlite3.connect(path)

    loose = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict = 0 AND name NOT LIKE 'sqlite_%'"
    )

    assert loose.fetchall() == []
    connection.close()


def test_missing_folders_are_made(tmp_path, values):
    path = tmp_path / "a" / "b" / "run.journal"

    Journal.create(path, values.header()).close()

    assert path.is_file()


def test_a_closed_journal_leaves_no_log_beside_it(journal, path):
    journal.close()

    assert journal_files(path) == ["run.journal", "run.journal.lock"]


def test_closing_twice_does_nothing(journal):
    journal.close()
    journal.close()


def test_the_header_comes_back_as_it_was(journal, path, values):
    with JournalReader(path) as reader:
        (run,) = reader.runs()

    assert run.header == values.header()
    assert (run.number, run.ended_ns, run.ended_because, run.result) == (1, None, None, None)


def test_a_header_is_made_of_a_plan(values):
    from mmframe.domain.kinds import Mode
    from mmframe.engine.settings import EngineSettings, MarketPipeline, NamedSignal
    from mmframe.runtime.journal import RunHeader
    from mmframe.runtime.plan import JournalPlan, Plan, Provenance

    instrument = values.header().instruments[0].instrument()
    plan = Plan(
        name="btc-maker",
        mode=Mode.PAPER,
        strategy_file="strategy.toml",
        strategy_hash="00",
        instruments=(instrument,),
        settings=EngineSettings("btc-maker", "7", ()),
        pipelines=(MarketPipeline(None, (NamedSignal("volatility", None),), (), ()),),
        feed=None,
        history=None,
        venue=None,
        sinks=(),
        journal=JournalPlan(None),
        assumptions=("a",),
        provenance=(Provenance("core", "mmframe", "0.1.0"),),
        is_virtual=True,
        duration_ns=None,
    )

    header = RunHeader.of(plan, started_ns=5, strategy_text="schema = 1", reasons={1000: "x"})

    assert header.instruments == (RecordedInstrument.of(instrument),)
    assert header.signals == (("volatility",),)
    assert (header.run_id, header.mode, header.reasons, header.assumptions) == ("7", "paper", {1000: "x"}, ("a",))
    assert header.provenance == plan.provenance


# Refusals.


def test_an_existing_file_is_never_overwritten(path, values):
    path.write_text("dear diary")

    with pytest.raises(JournalError) as caught:
        Journal.create(path, values.header())

    assert caught.value.message == f"journal {str(path)!r} exists already"
    assert caught.value.hint == "resume it with --resume, or name another file; a journal is never overwritten"
    assert caught.value.exit_code is ExitCode.USAGE
    assert path.read_text() == "dear diary"


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path, values):
    (tmp_path / "runs").write_text("")

    with pytest.raises(JournalError) as caught:
        Journal.create(tmp_path / "runs" / "run.journal", values.header())

    assert "cannot make its folder: File exists" in caught.value.message


def test_a_folder_in_place_of_the_file_is_told(path, values):
    path.mkdir()

    with pytest.raises(JournalError) as created:
        Journal.create(path, values.header())
    with pytest.raises(JournalError) as reopened:
        Journal.reopen(path, values.header())
    with pytest.raises(JournalError) as read:
        JournalReader(path)

    assert created.value.message == f"journal {str(path)!r} exists already"
    assert reopened.value.message == read.value.message == f"journal {str(path)!r}: expected a file, was a folder"


def test_a_missing_file_is_told(path, values):
    for open_it in (lambda: Journal.reopen(path, values.header()), lambda: JournalReader(path)):
        with pytest.raises(JournalError) as caught:
            open_it()

        assert caught.value.message == f"journal {str(path)!r}: expected a file, was missing"


def test_a_folder_that_cannot_be_written_is_told(path, values, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(JournalError) as caught:
        Journal.create(path, values.header())

    assert caught.value.message.endswith("cannot make its lock file 'run.journal.lock': Permission denied")


def test_a_file_that_cannot_be_made_is_told_and_the_lock_given_free(path, values, monkeypatch):
    real = os.open

    def refuse(name, *arguments, **options):
        if str(name) == str(path):
            raise OSError(30, "Read-only file system")
        return real(name, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(JournalError) as caught:
            Journal.create(path, values.header())

    assert caught.value.message == f"journal {str(path)!r} cannot be made: Read-only file system"
    Journal.create(path, values.header()).close()


def test_a_failed_creation_leaves_nothing_in_the_way(path, values, monkeypatch):
    def fail(connection):
        connection.execute("SELECT * FROM no_such_table")

    with monkeypatch.context() as patch:
        patch.setattr("mmframe.runtime.journal.writer.create_tables", fail)
        with pytest.raises(JournalError, match="no such table"):
            Journal.create(path, values.header())

    assert not path.exists()
    Journal.create(path, values.header()).close()


NOT_JOURNALS = {
    "text": (b"schema = 1\n" * 500, "expected a SQLite database, was another file"),
    "empty": (b"", "is empty: the run that made it ended before it began"),
}


@pytest.mark.parametrize(("content", "message"), NOT_JOURNALS.values(), ids=NOT_JOURNALS)
def test_what_is_no_journal_is_refused(path, values, content, message):
    path.write_bytes(content)

    for open_it in (lambda: Journal.reopen(path, values.header()), lambda: JournalReader(path)):
        with pytest.raises(JournalError) as caught:
            open_it()
        assert message in caught.value.message
    if content:
        assert path.read_bytes() == content


def test_another_program_s_database_is_refused(path, values):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.close()

    for open_it in (lambda: Journal.reopen(path, values.header()), lambda: JournalReader(path)):
        with pytest.raises(JournalError) as caught:
            open_it()
        assert caught.value.message == f"journal {str(path)!r}: expected application id 0x6d6d6a31, was 0x0"


@pytest.mark.parametrize(
    ("version", "message", "hint"),
    [
        (
            SCHEMA_VERSION + 1,
            "is of a newer version: expected 3, was 4",
            "upgrade mmframe: pip install --upgrade mmframe",
        ),
        (
            0,
            "is of an older version: expected 1 or newer, was 0",
            "read it with the mmframe version named in its `run` table; start a new journal",
        ),
    ],
    ids=["newer", "older"],
)
def test_another_version_is_refused(journal, path, values, version, message, hint):
    journal.close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()

    for open_it in (lambda: Journal.reopen(path, values.header()), lambda: JournalReader(path)):
        with pytest.raises(JournalError) as caught:
            open_it()
        assert caught.value.message == f"journal {str(path)!r} {message}"
        assert caught.value.hint == hint


def test_a_journal_of_the_first_version_is_read_as_it_is_and_goes_on_as_a_new_one(journal, path, values):
    journal.on_command(OperatorCommand(Command.PAUSE, values.NS, reason="lunch"), EngineState(is_paused=True), 5)
    journal.close()
    connection = sqlite3.connect(path)
    connection.executescript(
        "ALTER TABLE commands DROP COLUMN number; DROP TABLE limits; DROP TABLE advice_calls; PRAGMA user_version = 1"
    )
    connection.close()

    with JournalReader(path) as reader:
        assert reader.limits() == ()
        assert reader.advice_calls() == ()
        assert [command.reason for command in reader.commands()] == ["lunch"]
    again, restored = Journal.reopen(path, values.header())
    with again:
        assert restored.state.is_paused
        assert again.last_command == 0
        again.on_limit(LimitRecord(0, "gate", 1, 0, values.NS, values.NS, 1, is_over=False))
        again.on_command(OperatorCommand(Command.RESUME, values.NS), None, 6)

    assert pragma(path, "user_version") == SCHEMA_VERSION
    with JournalReader(path) as reader:
        assert [limit.stage for limit in reader.limits()] == ["gate"]
        assert len(reader.commands()) == 2
    assert Journal.reopen(path, values.header())[0].last_command == 6


def test_a_truncated_journal_is_refused_and_left_as_it_is(journal, path, values):
    for number in range(200):
        journal.on_decision(values.decision(number))
    journal.close()
    path.write_bytes(path.read_bytes()[: -3 * 4096])
    content = path.read_bytes()

    with pytest.raises(JournalError) as caught:
        Journal.reopen(path, values.header())

    assert "is damaged" in caught.value.message
    assert caught.value.hint.startswith("keep a copy")
    assert path.read_bytes() == content


def test_a_journal_with_an_overwritten_page_is_refused(journal, path, values):
    for number in range(200):
        journal.on_decision(values.decision(number))
    journal.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)

    with pytest.raises(JournalError, match="is damaged"):
        Journal.reopen(path, values.header())
    with JournalReader(path) as reader, pytest.raises(JournalError, match="is damaged"):
        reader.check()
    with JournalReader(path) as reader, pytest.raises(JournalError, match="is damaged"):
        list(reader.each_decision())


OTHER_RUNS = {
    "strategy": (dict(strategy="eth-maker"), "strategy: expected 'btc-maker', was 'eth-maker'"),
    "mode": (dict(mode="live"), "mode: expected 'paper', was 'live'"),
    "markets": (
        dict(instruments=(RecordedInstrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")),)),
        "markets: expected 'BTC/USDT, ETH/USDT', was 'BTC/USDT'",
    ),
    "tick": (
        dict(
            instruments=(
                RecordedInstrument("BTC/USDT", Decimal("0.1"), Decimal("0.001")),
                RecordedInstrument("ETH/USDT", Decimal("0.1"), Decimal("0.01")),
            )
        ),
        "BTC/USDT tick_size: expected '0.01', was '0.1'",
    ),
    "lot": (
        dict(
            instruments=(
                RecordedInstrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")),
                RecordedInstrument("ETH/USDT", Decimal("0.1"), Decimal("0.1")),
            )
        ),
        "ETH/USDT lot_size: expected '0.01', was '0.1'",
    ),
}


@pytest.mark.parametrize(("changes", "message"), OTHER_RUNS.values(), ids=OTHER_RUNS)
def test_another_run_s_journal_is_refused(journal, path, values, changes, message):
    journal.close()

    with pytest.raises(JournalError) as caught:
        Journal.reopen(path, values.header(**changes))

    assert caught.value.message == f"journal {str(path)!r} belongs to another run: {message}"
    with JournalReader(path) as reader:
        assert len(reader.runs()) == 1


LIVE_VENUE = '[venue.live]\nuse = "binance/spot"\n'


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            f'{LIVE_VENUE}environment = "testnet"\n',
            f'{LIVE_VENUE}environment = "live"\n',
            "venue.live.environment: expected 'testnet', was 'live'",
        ),
        (LIVE_VENUE, '[venue.live]\nuse = "bybit/spot"\n', "venue.live.use: expected 'binance/spot', was 'bybit/spot'"),
    ],
)
def test_fills_of_a_testnet_do_not_pass_for_real_ones(path, values, before, after, message):
    Journal.create(path, values.header(mode="live", strategy_text=before)).close()

    with pytest.raises(JournalError) as caught:
        Journal.reopen(path, values.header(mode="live", strategy_text=after))

    assert caught.value.message == f"journal {str(path)!r} belongs to another run: {message}"


@pytest.mark.parametrize(
    "after", [f'{LIVE_VENUE}environment = "live"\nkey = 1\n', "", "no = toml = ", 'venue = "x"', "[venue]\nlive = 5\n"]
)
def test_what_the_strategy_file_does_not_say_keeps_nobody_from_going_on(path, values, after):
    Journal.create(path, values.header(mode="live", strategy_text=LIVE_VENUE)).close()

    journal, _ = Journal.reopen(path, values.header(mode="live", strategy_text=after))

    journal.close()


def test_an_old_sqlite_is_told(path, values, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")

    with pytest.raises(JournalError) as caught:
        Journal.create(path, values.header())

    assert caught.value.message == f"journal {str(path)!r}: expected SQLite 3.37.0 or newer, was 3.34.1"


def test_a_place_without_wal_is_told(path, values, monkeypatch):
    class NoWal(sqlite3.Connection):
        def execute(self, statement, *arguments):
            return super().execute("SELECT 'delete'" if "journal_mode" in statement else statement, *arguments)

    real = sqlite3.connect
    monkeypatch.setattr(schema.sqlite3, "connect", lambda *a, **k: real(*a, factory=NoWal, **k))

    with pytest.raises(JournalError) as caught:
        Journal.create(path, values.header())

    assert caught.value.message == f"journal {str(path)!r}: expected journal mode 'wal', was 'delete'"


# One writer.


def test_a_second_writer_in_the_same_process_is_refused(journal, path, values):
    with pytest.raises(JournalError) as caught:
        Journal.reopen(path, values.header())

    assert f"is being written by process {os.getpid()} on host " in caught.value.message
    assert caught.value.message.endswith("run '7'")
    assert caught.value.hint.startswith("stop that run first")


def test_a_second_writer_in_another_process_is_refused(journal, path):
    script = f"""
        from pathlib import Path
        from mmframe.runtime.journal import Journal, JournalReader
        from mmframe.errors import JournalError
        path = Path({str(path)!r})
        header = JournalReader(path).runs()[0].header
        try:
            Journal.reopen(path, header)
        except JournalError as error:
            print(error.message)
    """

    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )

    assert f"is being written by process {os.getpid()} on host " in result.stdout


def test_a_holder_without_a_name_is_another_process(journal, path, values):
    os.truncate(path.with_name("run.journal.lock"), 0)

    with pytest.raises(JournalError, match=r"is being written by another process$"):
        Journal.reopen(path, values.header())


def test_a_file_system_without_locks_is_told(path, values, monkeypatch):
    from mmframe.runtime.journal import lock

    def refuse(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock, "_try_lock", refuse)

    with pytest.raises(JournalError) as caught:
        Journal.create(path, values.header())

    assert caught.value.message == f"journal {str(path)!r} cannot be locked: No locks available"


def test_the_lock_is_free_after_a_refused_reopening(journal, path, values):
    journal.close()
    with pytest.raises(JournalError):
        Journal.reopen(path, values.header(strategy="other"))

    following, _ = Journal.reopen(path, values.header())

    following.close()


def test_a_write_lock_of_another_program_is_told(journal, path, values):
    journal._connection.execute("PRAGMA busy_timeout = 0")
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")

    with pytest.raises(JournalError) as caught:
        journal.begin([values.submit(1)], values.NS)

    assert caught.value.message == f"journal {str(path)!r} is locked by another program"
    intruder.execute("ROLLBACK")
    intruder.close()
    journal.begin([values.submit(1)], values.NS)

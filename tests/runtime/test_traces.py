from __future__ import annotations

import os
from decimal import Decimal

import pytest

from mmframe.errors import UsageError
from mmframe.runtime.journal import Journal, RecordedInstrument, RunHeader
from mmframe.runtime.journal.lock import lock_holder
from mmframe.runtime.traces import RunTraces, sole_live_run


def header(strategy="maker", mode="live"):
    return RunHeader(
        run_id="5f",
        strategy=strategy,
        mode=mode,
        strategy_file="strategy.toml",
        strategy_hash="",
        started_ns=1,
        instruments=(RecordedInstrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")),),
    )


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mmframe-runs"
    path.mkdir()
    return path


def traces(folder, journal=None):
    return RunTraces.of(folder.parent / "strategy.toml", "maker", journal)


def test_a_journal_that_is_being_written_tells_by_whom(folder):
    path = folder / "maker-1.journal"

    with Journal.create(path, header()):
        (process,) = traces(folder).processes()
        during = lock_holder(path), process.is_alive(), str(process)

    assert (during[0].pid, during[0].run_id, *during[1:]) == (os.getpid(), "5f", True, f"process {os.getpid()}")
    assert lock_holder(path) is None
    assert not process.is_alive()
    assert traces(folder).processes() == ()


def test_a_run_of_another_user_is_seen_too(folder, monkeypatch):
    """Its lock file cannot be opened for writing."""
    path = folder / "maker-1.journal"
    real = os.open

    def read_only(name, flags, *rest):
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *rest)

    with Journal.create(path, header()):
        monkeypatch.setattr(os, "open", read_only)
        holder = lock_holder(path)
        monkeypatch.undo()

    assert holder.pid == os.getpid()


def test_asking_who_writes_a_journal_does_not_keep_its_writer_out(folder):
    path = folder / "maker-1.journal"
    Journal.create(path, header()).close()

    assert lock_holder(path) is None
    following, _ = Journal.reopen(path, header())
    following.close()


def test_only_live_runs_of_the_strategy_count(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere.journal"
    for path, about in (
        (folder / "maker-1.journal", header()),
        (folder / "maker-2.journal", header(mode="paper")),
        (folder / "maker-two-1.journal", header("maker-two")),
        (elsewhere, header()),
    ):
        Journal.create(path, about).close()
    (folder / "damaged.journal").write_text("no database")

    assert [path.name for path in traces(folder).journals] == ["maker-1.journal"]
    assert [path.name for path in traces(folder, elsewhere).journals] == ["elsewhere.journal", "maker-1.journal"]


def test_the_last_write_is_that_of_the_newest_journal_its_log_included(folder):
    for number, written_ns in ((1, 5_000), (2, 3_000)):
        path = folder / f"maker-{number}.journal"
        Journal.create(path, header()).close()
        os.utime(path, ns=(written_ns, written_ns))
    found = traces(folder)
    log = folder / "maker-2.journal-wal"
    log.write_bytes(b"frame")
    os.utime(log, ns=(9_000, 9_000))

    assert RunTraces(found.journals[:1]).last_written_ns() == 5_000
    assert found.last_written_ns() == 9_000
    assert RunTraces(()).last_written_ns() is None


def sole(folder, journal=None, run_id="60"):
    return sole_live_run(folder.parent / "strategy.toml", "maker", run_id=run_id, journal=journal)


def test_a_second_live_run_of_a_strategy_is_refused_whatever_it_writes(folder):
    with sole(folder, folder / "maker-1.journal"):
        with pytest.raises(UsageError) as caught, sole(folder, folder.parent / "other.journal"):
            pass
        with pytest.raises(UsageError), sole(folder):
            pass
        with sole_live_run(folder.parent / "strategy.toml", "maker-two", run_id="61", journal=None):
            pass

    assert caught.value.message.endswith(f"process {os.getpid()} runs 'maker' live already")
    with sole(folder):
        pass


def test_a_run_that_failed_keeps_nobody_out(folder):
    with pytest.raises(ValueError, match="it failed"), sole(folder):
        raise ValueError("it failed")

    with sole(folder):
        pass


def test_a_run_without_a_journal_is_seen_and_nobody_knows_when_it_sent_something(folder):
    Journal.create(folder / "maker-1.journal", header()).close()

    with sole(folder):
        (process,) = traces(folder).processes()
        during = str(process), process.is_alive()

    assert during == (f"process {os.getpid()}", True)
    assert not process.is_alive()
    assert traces(folder).last_written_ns() is None


def test_the_journal_of_the_last_run_is_found_wherever_it_is(folder, tmp_path):
    Journal.create(folder / "maker-1.journal", header()).close()
    elsewhere = tmp_path / "elsewhere" / "run.journal"

    with sole(folder, elsewhere), Journal.create(elsewhere, header()):
        assert [process.journal for process in traces(folder).processes()] == [elsewhere]
    os.utime(elsewhere, ns=(7_000, 7_000))
    os.utime(folder / "maker-1.journal", ns=(5_000, 5_000))

    assert traces(folder).last_written_ns() == 7_000
    elsewhere.unlink()
    assert traces(folder).last_written_ns() is None

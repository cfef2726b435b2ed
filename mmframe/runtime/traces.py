"""What live runs of a strategy left on this machine: a lock for the strategy, and journals.

A process that hangs holds the strategy's lock and its journal's; one that is gone holds neither, however it ended.
"""

from __future__ import annotations

import platform
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from mmframe.domain.kinds import Mode
from mmframe.errors import JournalError, UsageError
from mmframe.runtime.journal import JournalReader
from mmframe.runtime.journal.lock import JournalLock, last_holder, lock_holder
from mmframe.runtime.plan import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.runtime.journal.lock import LockHolder

__all__ = ["LiveProcess", "RunTraces", "sole_live_run"]

_LIVE = ".live"


@attrs.frozen
class LiveProcess:
    """A process that runs the strategy live, or hangs.

    Attributes:
        journal: What it writes; where it writes none, what stands for the strategy's lock.
        holder: Its process id, host and run.
    """

    journal: Path
    holder: LockHolder

    def is_alive(self) -> bool:
        """Tell whether that process is still there, running or hanging."""
        return lock_holder(self.journal) == self.holder

    def __str__(self) -> str:
        if not self.holder.pid:
            return f"a process that writes {self.journal.name}"
        where = "" if self.holder.host == platform.node() else f" on host {self.holder.host}"
        return f"process {self.holder.pid}{where}"


@attrs.frozen
class RunTraces:
    """The journals of a strategy's live runs.

    Attributes:
        journals: Those that can be found: in the folder of runs, where the strategy file says, and the last run's.
        live: Stands for the strategy's lock.
    """

    journals: tuple[Path, ...]
    live: Path | None = None

    @classmethod
    def of(cls, strategy_file: Path, strategy: str, journal: Path | None) -> Self:
        """Find the journals of the live runs of the strategy with this name in this file.

        Args:
            strategy_file: Beside it stands the folder of runs.
            strategy: The strategy's name.
            journal: The journal that the file names, or None.
        """
        found = set((strategy_file.parent.absolute() / RUNS_FOLDER).glob("*.journal"))
        live = _live_path(strategy_file, strategy)
        last = last_holder(live)
        named = (journal, None if last is None or not last.journal else Path(last.journal))
        found |= {path.absolute() for path in named if path is not None and path.exists()}
        return cls(tuple(sorted(path for path in found if _may_be_of(path, strategy))), live)

    def processes(self) -> tuple[LiveProcess, ...]:
        """Return the processes that run the strategy now."""
        holders = [(journal, lock_holder(journal)) for journal in self.journals]
        found = [LiveProcess(journal, holder) for journal, holder in holders if holder is not None]
        alone = None if self.live is None else lock_holder(self.live)
        if self.live is not None and alone is not None and not any(_is_same(alone, one.holder) for one in found):
            found.append(LiveProcess(self.live, alone))
        return tuple(found)

    def last_written_ns(self) -> int | None:
        """Return when the last of the journals was written; None without any, or when the last run's is not there.

        Nothing leaves a run that its journal does not hold, so a process that is gone sent nothing after it.
        """
        last = None if self.live is None else last_holder(self.live)
        if last is not None and Path(last.journal) not in self.journals:
            return None
        times = [_written_ns(path) for path in self.journals]
        return max(times, default=None)


@contextmanager
def sole_live_run(strategy_file: Path, strategy: str, *, run_id: str, journal: Path | None) -> Iterator[None]:
    """Be the only process that runs the strategy with this name in this file live, as far as this folder tells.

    Args:
        strategy_file: Beside it stands the folder of runs.
        strategy: The strategy's name.
        run_id: Told to whoever comes second.
        journal: What the run will write, or None.

    Raises:
        UsageError: If another process runs it.
        JournalError: If the lock cannot be made.
    """
    live = _live_path(strategy_file, strategy)
    try:
        live.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{str(live.parent)!r}: cannot be made: {error.strerror}"
        raise JournalError(msg, hint="put the strategy file in a folder that can be written") from error
    try:
        lock = JournalLock(live, run_id=run_id, writes="" if journal is None else str(journal.absolute()))
    except JournalError as error:
        holder = lock_holder(live)
        if holder is None:
            raise
        msg = f"{strategy_file}: {LiveProcess(live, holder)} runs {strategy!r} live already"
        hint = "two would each fill up the limits and cancel the other's orders: stop it first"
        raise UsageError(msg, hint=hint) from error
    try:
        yield
    finally:
        lock.release()


def _live_path(strategy_file: Path, strategy: str) -> Path:
    return strategy_file.parent.absolute() / RUNS_FOLDER / f"{strategy}{_LIVE}"


def _is_same(one: LockHolder, other: LockHolder) -> bool:
    return (one.pid, one.host) == (other.pid, other.host)


def _may_be_of(journal: Path, strategy: str) -> bool:
    try:
        with JournalReader(journal) as reader:
            header = reader.run().header
    except JournalError:
        # One that is being made, or is damaged, may be of any strategy; only a lock on it would matter.
        return lock_holder(journal) is not None
    return header.strategy == strategy and header.mode == Mode.LIVE.value


def _written_ns(journal: Path) -> int:
    times = [0]
    for path in (journal, journal.with_name(journal.name + "-wal")):
        try:
            status = path.stat()
        except OSError:
            continue
        # A reader, too, leaves a log behind: an empty one.
        if status.st_size:
            times.append(status.st_mtime_ns)
    return max(times)

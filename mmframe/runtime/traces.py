"""What live runs of a strategy left on this machine: journals, and with them whether a process still writes one.

A process that hangs holds its journal's lock; one that is gone does not, however it ended. A run without a journal
leaves no trace.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Self

import attrs

from mmframe.domain.kinds import Mode
from mmframe.errors import JournalError
from mmframe.runtime.journal import JournalReader
from mmframe.runtime.journal.lock import lock_holder
from mmframe.runtime.plan import RUNS_FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from mmframe.runtime.journal.lock import LockHolder

__all__ = ["LiveProcess", "RunTraces"]


@attrs.frozen
class LiveProcess:
    """A process that runs the strategy live, or hangs.

    Attributes:
        journal: What it writes.
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
        journals: Those that can be found: in the folder of runs and where the strategy file says.
    """

    journals: tuple[Path, ...]

    @classmethod
    def of(cls, strategy_file: Path, strategy: str, journal: Path | None) -> Self:
        """Find the journals of the live runs of the strategy with this name in this file.

        Args:
            strategy_file: Beside it stands the folder of runs.
            strategy: The strategy's name.
            journal: The journal that the file names, or None.
        """
        found = set((strategy_file.parent.absolute() / RUNS_FOLDER).glob("*.journal"))
        if journal is not None and journal.exists():
            found.add(journal)
        return cls(tuple(sorted(path for path in found if _may_be_of(path, strategy))))

    def processes(self) -> tuple[LiveProcess, ...]:
        """Return the processes that write one of the journals now."""
        holders = ((journal, lock_holder(journal)) for journal in self.journals)
        return tuple(LiveProcess(journal, holder) for journal, holder in holders if holder is not None)

    def last_written_ns(self) -> int | None:
        """Return when the last of the journals was written; None without any.

        Nothing leaves a run that its journal does not hold, so a process that is gone sent nothing after it.
        """
        times = [_written_ns(path) for path in self.journals]
        return max(times, default=None)


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

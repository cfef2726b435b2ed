"""One writer a journal: an operating-system lock on a side file, which dies with the process that holds it.

The lock cannot be on the database itself: closing any descriptor of that file would drop the locks that SQLite holds
on it (POSIX), and readers must not be kept out. The side file stays when the lock is gone; it means nothing then.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

import msgspec

from mmframe.errors import JournalError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["JournalLock", "LockHolder", "last_holder", "lock_holder", "lock_path"]

# The holder's name stands at the start of the file and must stay readable, so Windows, whose locks forbid reading what
# they cover, locks a byte far behind it.
_LOCKED_BYTE = 1 << 20

if sys.platform == "win32":  # pragma: no cover - the other system's branch
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class LockHolder(msgspec.Struct, frozen=True):
    """Who holds the lock."""

    pid: int
    host: str
    run_id: str
    journal: str = ""
    """What it writes, where the lock is not that journal's own; empty for none."""


class JournalLock:
    """The exclusive right to write one journal, held until `release`.

    Args:
        journal: The journal's path; the lock is `<journal>.lock` beside it.
        run_id: Told to whoever comes second.
        writes: The journal that the holder writes, where `journal` only stands for something else.

    Raises:
        JournalError: If another writer holds it, or the folder cannot be written.
    """

    def __init__(self, journal: Path, *, run_id: str, writes: str = "") -> None:
        path = lock_path(journal)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            msg = f"journal {str(journal)!r}: cannot make its lock file {path.name!r}: {error.strerror}"
            raise JournalError(msg, hint="choose a folder that can be written") from error
        try:
            _try_lock(descriptor)
        except OSError as error:
            holder = _read_holder(descriptor)
            os.close(descriptor)
            raise _refusal(journal, holder, error) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(LockHolder(os.getpid(), platform.node(), run_id, writes)), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the journal free; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_path(journal: Path) -> Path:
    """Return the side file that carries the lock of a journal."""
    return journal.with_name(journal.name + ".lock")


def lock_holder(journal: Path) -> LockHolder | None:
    """Return who is writing a journal now, or None when nobody is; a process that hangs still is.

    A holder that has not written its name yet, or cannot be read, has process 0 and no host.
    """
    descriptor = _open_to_look(lock_path(journal))
    if descriptor is None:
        return None
    try:
        _try_lock(descriptor)
    except (BlockingIOError, PermissionError):
        return _read_holder(descriptor) or LockHolder(0, "", "")
    except OSError:
        # A file system without locks tells nothing.
        return None
    else:
        return None
    finally:
        os.close(descriptor)


def last_holder(journal: Path) -> LockHolder | None:
    """Return who holds the lock or held it last, or None when that is not known."""
    descriptor = _open_to_look(lock_path(journal))
    if descriptor is None:
        return None
    try:
        return _read_holder(descriptor)
    finally:
        os.close(descriptor)


def _open_to_look(path: Path) -> int | None:
    # A run of another user can be looked at, and the lock asked for, without a right to write.
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            return os.open(path, flags)
        except PermissionError:
            continue
        except OSError:
            return None
    return None


def _read_holder(descriptor: int) -> LockHolder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=LockHolder)
    except (OSError, msgspec.DecodeError):
        # It locked the file a moment ago and has not written its name yet.
        return None


def _refusal(journal: Path, holder: LockHolder | None, error: OSError) -> JournalError:
    if isinstance(error, BlockingIOError | PermissionError):
        who = (
            "another process"
            if holder is None
            else f"process {holder.pid} on host {holder.host!r}, run {holder.run_id!r}"
        )
        return JournalError(
            f"journal {str(journal)!r} is being written by {who}",
            hint="stop that run first (Ctrl+C or SIGTERM lets it cancel its orders), or name another journal",
        )
    return JournalError(
        f"journal {str(journal)!r} cannot be locked: {error.strerror}",
        hint="put the journal on a local disk; network file systems may have no locks",
    )

"""The kill switch: a file beside the strategy that ends a live strategy and keeps it from starting again.

Who sets it needs nothing from the strategy's process, which may hang or be gone. A file of any content counts, also one
made by `touch`; what cannot be looked at counts as set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

import msgspec

from mmframe.errors import JournalError
from mmframe.runtime.durable import write_durably
from mmframe.runtime.plan import RUNS_FOLDER

__all__ = ["KillRecord", "KillSwitch"]

_SUFFIX = ".killed"
_OPERATOR = "operator"


class KillRecord(msgspec.Struct, frozen=True):
    """What a kill file says."""

    when_ns: int
    """Nanoseconds UTC; 0 when the file does not say."""
    reason: str
    asked_by: str


class KillSwitch:
    """The kill switch of one strategy.

    Args:
        path: The kill file.
    """

    __slots__ = ("_name", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        # What `stat` takes without a conversion: it is called every 100 ms.
        self._name = os.fspath(path)

    @classmethod
    def of(cls, strategy_file: Path, strategy: str) -> Self:
        """Return the kill switch of the strategy with this name in this file."""
        return cls(strategy_file.parent.absolute() / RUNS_FOLDER / f"{strategy}{_SUFFIX}")

    def is_set(self) -> bool:
        """Tell whether the strategy must not trade; one `stat`, so it can be asked between any two steps."""
        try:
            os.stat(self._name)  # noqa: PTH116 - as cheap as can be
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            # It may be there: not to know is no permission to trade.
            return True
        return True

    def reason(self) -> str:
        """Return why it is set, for people; empty when it is not set."""
        record = self.record()
        return "" if record is None else record.reason

    def record(self) -> KillRecord | None:
        """Return what the kill file says, or None when there is none."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=KillRecord)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return KillRecord(0, f"{self.path.name} cannot be read: {error.strerror}", "unknown")
        except msgspec.DecodeError:
            return KillRecord(0, f"{self.path.name} is there", "unknown")

    def set(self, reason: str, now_ns: int) -> None:
        """Set it, whole or not at all; what is on disk when this returns survives a loss of power.

        Args:
            reason: Why, for whoever finds the strategy stopped.
            now_ns: When, nanoseconds UTC.

        Raises:
            JournalError: If the file cannot be written.
        """
        try:
            write_durably(self.path, msgspec.json.encode(KillRecord(now_ns, reason, _OPERATOR)))
        except OSError as error:
            msg = f"kill switch {str(self.path)!r}: cannot be set: {error.strerror}"
            raise JournalError(msg, hint="end the strategy's process yourself: it is not told to stop") from error

    def release(self) -> bool:
        """Allow the strategy to start again; return whether it was set.

        Raises:
            JournalError: If the file cannot be removed.
        """
        try:
            self.path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            msg = f"kill switch {str(self.path)!r}: cannot be released: {error.strerror}"
            raise JournalError(msg, hint="remove the file yourself") from error
        return True

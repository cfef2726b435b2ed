"""Operators' commands on their way to the processes that run a strategy: a folder beside it that outlives them all.

`send` puts a command there, durably and numbered, whether a process is there or not. A process (`CommandInbox`) finds
it with one `stat` every 100 ms, lets it take effect exactly once, also over a restart, and answers. A pause, and the
kill of a market, stand until they are resumed: a run that starts later begins with them.
"""

from __future__ import annotations

import os
import platform
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import attrs
import msgspec

from mmframe.domain.records import Command, OperatorCommand
from mmframe.errors import JournalError
from mmframe.runtime.durable import write_durably
from mmframe.runtime.journal.lock import JournalLock, LockHolder, lock_holder, lock_path
from mmframe.runtime.plan import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mmframe.domain.kinds import Mode

__all__ = [
    "ANSWER_WITHIN_S",
    "Answer",
    "CommandFolder",
    "CommandInbox",
    "CommandSource",
    "Listener",
    "SentCommand",
    "send",
    "standing",
    "wait_for_answers",
]

ANSWER_WITHIN_S = 5.0
"""Time in which a process that runs is expected to have taken a command and its orders to be gone."""

_SUFFIX = ".operator"
_COMMANDS = "commands.json"
_LOCK = "commands"
_PROCESS = "process-"
_LOOK_S = 0.1
"""Between two looks of a process, and of a sender that waits."""
_LOCK_WAIT_S = 2.0
"""Longest wait for another sender."""
_LOCK_STEP_S = 0.01
_DEAD_AFTER_S = 60.0
_KEPT = 64
"""Commands that are kept though they do not stand: for processes that are slow to look, and for people."""
_ANSWERS_KEPT = 8


class SentCommand(msgspec.Struct, frozen=True):
    """A command with its number.

    Attributes:
        number: Grows from command to command, also when the file was removed in between; 0 for one that nobody sent.
        symbol: The market that it is for, by name: its place in the strategy may change; empty for the strategy.
        command: `receive_ns` is the wall time of sending until a process has taken it; `market` is set there.
    """

    number: int
    symbol: str
    command: OperatorCommand


class Answer(msgspec.Struct, frozen=True):
    """What became of a command in one process."""

    number: int
    problem: str = ""
    """Why it could not take effect; empty when it did."""
    pulled: int = 0
    """Orders that were not final, in its scope, when it took effect; 0 for one that pulls nothing."""
    left: int = 0
    """Of these, the ones whose end the venue has not confirmed yet."""


class CommandSource(Protocol):
    """Where a driver gets commands from."""

    def take(self, now_ns: int, next_ns: int) -> Sequence[SentCommand]:
        """Return what is to take effect now, each with the driver's time in `command.receive_ns`.

        Args:
            now_ns: The driver's time.
            next_ns: When the next event is due; what is to take effect later than that is left for later calls.
        """
        ...

    def answer(self, answer: Answer) -> None:
        """Tell what became of a command; called again when its figures change."""
        ...


@attrs.frozen
class Listener:
    """A process that takes commands."""

    path: Path
    holder: LockHolder

    def is_alive(self) -> bool:
        """Tell whether that process is still there, running or hanging."""
        return lock_holder(self.path) is not None

    def answer(self, number: int) -> Answer | None:
        """Return what the process says of a command; None while it says nothing."""
        try:
            answers = msgspec.json.decode(_answers_path(self.path).read_bytes(), type=tuple[Answer, ...])
        except (OSError, msgspec.DecodeError):
            return None
        return next((answer for answer in answers if answer.number == number), None)

    def __str__(self) -> str:
        where = "" if self.holder.host == platform.node() else f" on host {self.holder.host}"
        return f"process {self.holder.pid}{where}" if self.holder.pid else "a process"


class CommandFolder:
    """The commands to one strategy in one mode.

    Args:
        path: The folder; it need not be there.
    """

    __slots__ = ("file", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / _COMMANDS

    @classmethod
    def of(cls, strategy_file: Path, strategy: str, mode: Mode) -> Self:
        """Return the folder of the strategy with this name in this file.

        Each mode has its own: to resume paper must not resume live.
        """
        return cls(strategy_file.parent.absolute() / RUNS_FOLDER / f"{strategy}.{mode.value}{_SUFFIX}")

    def commands(self) -> tuple[SentCommand, ...]:
        """Return the commands that are kept, oldest first: all that stand, and the last few others.

        Raises:
            JournalError: If the file is there and cannot be read.
        """
        try:
            return msgspec.json.decode(self.file.read_bytes(), type=tuple[SentCommand, ...])
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except (OSError, msgspec.DecodeError) as error:
            msg = f"commands {str(self.file)!r}: cannot be read: {error}"
            raise JournalError(msg, hint="remove the file; what runs stays paused until `mmframe resume`") from error

    def send(self, command: OperatorCommand, symbol: str = "") -> SentCommand:
        """Add a command; it survives a loss of power when this returns.

        Raises:
            JournalError: If the folder cannot be written, or what is in it cannot be read.
        """
        try:
            lock = _lock(self.path / _LOCK, run_id="")
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            known = self.commands()
            # By the clock, so that numbers grow even after somebody has removed the file.
            last = known[-1].number if known else 0
            sent = SentCommand(max(last + 1, time.time_ns()), symbol, command)
            stands = {each.number for each in standing((*known, sent))}
            kept = [each for each in known if each.number in stands or each in known[-_KEPT:]]
            write_durably(self.file, msgspec.json.encode([*kept, sent]))
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            lock.release()
        return sent

    def listeners(self) -> tuple[Listener, ...]:
        """Return the processes that take commands now; one that hangs is among them."""
        paths = [path.with_suffix("") for path in sorted(self.path.glob(f"{_PROCESS}*.lock"))]
        found = [(path, lock_holder(path)) for path in paths]
        return tuple(Listener(path, holder) for path, holder in found if holder is not None)

    def _unwritable(self, error: OSError) -> JournalError:
        msg = f"commands {str(self.file)!r}: cannot be written: {error.strerror}"
        return JournalError(msg, hint="nothing was sent; Ctrl+C or SIGTERM stops the process itself")


def send(
    strategy_file: Path, strategy: str, command: OperatorCommand, *, mode: Mode, symbol: str = ""
) -> tuple[CommandFolder, SentCommand]:
    """Send a command to every process that runs a strategy in one mode, and to those that will.

    Only pauses and the kill of a market stand for a process that starts later; of the rest it hears nothing.

    Args:
        strategy_file: Beside it stands the folder of runs.
        strategy: The strategy's name.
        command: What to do; `receive_ns` is the wall time, `market` is not looked at.
        mode: Which processes.
        symbol: The market that it is for; empty for the whole strategy.

    Returns:
        Where it was put, for `wait_for_answers`, and the command with its number.

    Raises:
        JournalError: If it cannot be written; nothing was sent.
    """
    folder = CommandFolder.of(strategy_file, strategy, mode)
    return folder, folder.send(command, symbol)


def wait_for_answers(
    folder: CommandFolder, sent: SentCommand, *, within_s: float = ANSWER_WITHIN_S
) -> tuple[tuple[Listener, Answer | None], ...]:
    """Wait until each process has let a command take effect and the orders that it pulls are gone.

    Returns:
        What each process says in the end; None for one that said nothing in time, or that has ended meanwhile.
    """
    listeners = folder.listeners()
    end_s = time.monotonic() + within_s
    while True:
        answers = tuple((each, each.answer(sent.number)) for each in listeners)
        is_open = [
            each for each, answer in answers if (answer is None or (answer.left and not answer.problem))
            and each.is_alive()
        ]  # fmt: skip
        if not is_open or time.monotonic() >= end_s:
            return answers
        time.sleep(_LOOK_S / 2)


def standing(commands: Iterable[SentCommand]) -> tuple[SentCommand, ...]:
    """Return the commands that no later one has taken back, of those that outlive the process: see `send`.

    A resume is among them while nothing later stands in its scope, since a run that goes on may still be paused.
    """
    kept: dict[tuple[str, bool], SentCommand] = {}
    for sent in commands:
        what = sent.command.command
        if what is Command.PAUSE:
            kept[sent.symbol, False] = sent
        elif what is Command.KILL and sent.symbol:
            kept[sent.symbol, True] = sent
        elif what is Command.RESUME:
            for symbol, is_kill in list(kept):
                # The resume of a strategy leaves the markets dead that were killed by themselves.
                if symbol == sent.symbol or (not sent.symbol and not is_kill):
                    del kept[symbol, is_kill]
            kept[sent.symbol, False] = sent
    return tuple(sorted(kept.values(), key=lambda sent: sent.number))


class CommandInbox:
    """What one process hears: the `CommandSource` of a run at its own pace.

    Args:
        folder: Where commands come.
        path: Stands for this process.
        lock: Held while the process is there.
        after: The newest command that took effect in the run that this one goes on with; 0 for a new one.
        now_s: Wall time of any origin, for the interval between looks.
    """

    def __init__(
        self,
        folder: CommandFolder,
        path: Path,
        lock: JournalLock,
        *,
        after: int = 0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._path = path
        self._lock = lock
        self._after = after
        self._now_s = now_s
        self._name = os.fspath(folder.file)
        self._is_first = True
        self._next_look_s = now_s()
        self._seen: tuple[int, int, int] | None = None
        self._answers: deque[Answer] = deque(maxlen=_ANSWERS_KEPT)

    @classmethod
    def open(
        cls,
        folder: CommandFolder,
        *,
        run_id: str,
        after: int = 0,
        now_s: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Begin to listen.

        Args:
            folder: Where commands come.
            run_id: Told to whoever asks who listens.
            after: As of the class.
            now_s: As of the class.

        Raises:
            JournalError: If the folder cannot be made or written.
        """
        path = folder.path / f"{_PROCESS}{os.getpid()}-{time.time_ns():x}"
        try:
            _remove_dead(folder)
            lock = _lock(path, run_id=run_id)
        except OSError as error:
            msg = f"commands {str(folder.path)!r}: cannot be made: {error.strerror}"
            raise JournalError(msg, hint="put the strategy file in a folder that can be written") from error
        return cls(folder, path, lock, after=after, now_s=now_s)

    def take(self, now_ns: int, next_ns: int) -> Sequence[SentCommand]:  # noqa: ARG002 - it always takes effect now
        """Return the commands that have come; one `stat` at most every 100 ms."""
        now_s = self._now_s()
        if now_s < self._next_look_s:
            return ()
        self._next_look_s = now_s + _LOOK_S
        try:
            status = os.stat(self._name)  # noqa: PTH116 - as cheap as can be
        except (FileNotFoundError, NotADirectoryError):
            self._is_first = False
            return ()
        except OSError as error:
            return self._unreadable((-1, -1, -1), str(error.strerror), now_ns)
        seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        if seen == self._seen:
            return ()
        try:
            commands = self._folder.commands()
        except JournalError as error:
            return self._unreadable(seen, error.message, now_ns)
        self._seen = seen
        if self._is_first:
            self._is_first = False
            commands = standing(commands)
        news = [sent for sent in commands if sent.number > self._after]
        self._after = max((self._after, *(sent.number for sent in news)))
        return [_at(sent, now_ns) for sent in news]

    def answer(self, answer: Answer) -> None:
        """Tell the sender what became of a command; that it cannot be told is no reason to stop."""
        for known in [known for known in self._answers if known.number == answer.number]:
            self._answers.remove(known)
        self._answers.append(answer)
        path = _answers_path(self._path)
        unfinished = path.with_suffix(".new")
        with suppress(OSError):
            unfinished.write_bytes(msgspec.json.encode(tuple(self._answers)))
            unfinished.replace(path)

    def close(self) -> None:
        """Stop listening, and leave nothing behind but the commands themselves."""
        for path in (_answers_path(self._path), lock_path(self._path)):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._lock.release()
        for folder in (self._folder.path, self._folder.path.parent):
            # Only where nobody ever sent a command, and no run left anything.
            with suppress(OSError):
                folder.rmdir()

    def _unreadable(self, seen: tuple[int, int, int], why: str, now_ns: int) -> Sequence[SentCommand]:
        """Pause: what cannot be read may be a pause, and not to know is no permission to trade."""
        if seen == self._seen:
            return ()
        self._seen = seen
        return [SentCommand(0, "", OperatorCommand(Command.PAUSE, now_ns, reason=why))]


def _lock(path: Path, *, run_id: str) -> JournalLock:
    """Return a lock, after a short wait for whoever has it: another sender, or one who looks whether it is held.

    Raises:
        OSError: If its folder cannot be made.
        JournalError: If it was not to be had.
    """
    end_s = time.monotonic() + _LOCK_WAIT_S
    while True:
        # Each time: a process that ends removes a folder in which nothing is.
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return JournalLock(path, run_id=run_id)
        except JournalError:
            if time.monotonic() >= end_s:
                raise
        time.sleep(_LOCK_STEP_S)


def _at(sent: SentCommand, now_ns: int) -> SentCommand:
    return msgspec.structs.replace(sent, command=msgspec.structs.replace(sent.command, receive_ns=now_ns))


def _answers_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _remove_dead(folder: CommandFolder) -> None:
    """Remove what processes left that did not end by themselves."""
    for lock in folder.path.glob(f"{_PROCESS}*.lock"):
        path = lock.with_suffix("")
        # One that has just been made may be about to be locked.
        if lock.stat().st_mtime < time.time() - _DEAD_AFTER_S and lock_holder(path) is None:
            for left in (_answers_path(path), lock):
                left.unlink(missing_ok=True)

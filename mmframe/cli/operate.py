"""Sends an operator's command to a strategy and says what became of it: behind `pause`, `resume` and their kind."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from mmframe.cli.text import paint, plural, program_name
from mmframe.domain.kinds import Mode
from mmframe.domain.records import Command, OperatorCommand
from mmframe.errors import DomainError, ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.config import StrategyFile
    from mmframe.runtime.commands import Answer, CommandFolder, Listener, SentCommand

__all__ = [
    "Target",
    "Told",
    "folder_of",
    "give",
    "market_option",
    "mode_option",
    "named_strategy",
    "problem_lines",
    "read_target",
    "require_market",
    "told_object",
    "told_status",
    "within_option",
]

_NAME_KEYS = frozenset({"strategy", "strategy.name"})
_Function = TypeVar("_Function", bound="Callable[..., Any]")


@attrs.frozen
class Target:
    """Whom a command is for.

    Attributes:
        strategy: As far as it could be read; of its problems only those of the name are in the way.
        symbol: The market; empty for the whole strategy.
        modes: Which of its runs.
    """

    strategy: StrategyFile
    symbol: str
    modes: tuple[Mode, ...]

    @property
    def name(self) -> str:
        """Return the strategy's name."""
        return self.strategy.strategy.name

    @property
    def title(self) -> str:
        """Return what messages call it."""
        return f"{self.symbol} of {self.name!r}" if self.symbol else repr(self.name)


@attrs.frozen
class Told:
    """What became of a command in one mode.

    Attributes:
        answers: What each process says; None for one that said nothing in time.
    """

    mode: Mode
    sent: SentCommand
    answers: tuple[tuple[Listener, Answer | None], ...]

    @property
    def problems(self) -> list[str]:
        """Return what a person must know: processes that did not do it, or not wholly."""
        found = []
        for listener, answer in self.answers:
            if answer is None:
                state = "has not answered: it hangs, or is busy" if listener.is_alive() else "ended before it answered"
                found.append(f"{listener} {state}")
            elif answer.problem:
                found.append(f"{listener}: {answer.problem}")
            elif answer.left:
                found.append(f"{listener}: the venue has not confirmed the end of {plural(answer.left, 'order')} yet")
        return found

    @property
    def pulled(self) -> int:
        """Return how many orders the processes pulled."""
        return sum(answer.pulled for _, answer in self.answers if answer is not None)


def _duration(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    from mmframe.config.durations import duration_ns

    try:
        return duration_ns(value)
    except DomainError as error:
        raise click.BadParameter(error.message, ctx=ctx, param=parameter) from None


market_option = click.option("--market", "symbol", metavar="SYMBOL", help="One market; the whole strategy without it.")
mode_option = click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    help="Which runs of it; by default those that are running.",
)


def within_option(default: str, text: str) -> Callable[[_Function], _Function]:
    """Return the option `--within`, a length of time in nanoseconds."""
    return click.option(
        "--within",
        "within_ns",
        metavar="TIME",
        default=default,
        show_default=True,
        callback=_duration,
        help=text,
    )


def named_strategy(file: Path) -> StrategyFile:
    """Return a strategy file as far as it could be read: what stops a strategy is its name alone.

    Other problems of the file are told where they matter.

    Raises:
        ConfigErrors: If it has no name that can be read.
    """
    from mmframe.config.strategy import read_strategy_file

    strategy, problems = read_strategy_file(file)
    problems.only(_NAME_KEYS.__contains__).raise_if_any()
    return strategy


def require_market(strategy: StrategyFile, symbol: str) -> None:
    """Check that a strategy has a market.

    Raises:
        UsageError: If it has none of this name.
    """
    symbols = [market.table.instrument for market in strategy.markets if market.table.instrument]
    if symbol not in symbols:
        message = f"--market: expected one of {', '.join(symbols)}, was {symbol!r}"
        raise UsageError(message, hint=f"the markets of {strategy.path}")


def read_target(file: Path, symbol: str | None, mode: str | None) -> Target:
    """Find out whom a command is for; without `mode` it is for the runs that are running.

    With none running, `modes` is empty and the command's own rule decides.

    Raises:
        ConfigErrors: If the file has no name that can be read.
        UsageError: If it has no such market.
    """
    from mmframe.runtime.commands import CommandFolder

    strategy = named_strategy(file)
    name = strategy.strategy.name
    if symbol is not None:
        require_market(strategy, symbol)
    if mode is not None:
        return Target(strategy, symbol or "", (Mode(mode),))
    running = tuple(each for each in Mode if CommandFolder.of(file, name, each).listeners())
    return Target(strategy, symbol or "", running)


def folder_of(target: Target, mode: Mode) -> CommandFolder:
    """Return where the commands of a target are."""
    from mmframe.runtime.commands import CommandFolder

    return CommandFolder.of(target.strategy.path, target.name, mode)


def give(target: Target, command: Command, *, reason: str, within_ns: int) -> tuple[Told, ...]:
    """Send a command in each of the target's modes, all before the first answer is waited for.

    Raises:
        JournalError: If it cannot be sent.
    """
    from mmframe.runtime.commands import send, wait_for_answers

    order = OperatorCommand(command, time.time_ns(), reason=reason)
    sent = [
        (mode, *send(target.strategy.path, target.name, order, mode=mode, symbol=target.symbol))
        for mode in target.modes
    ]
    return tuple(
        Told(mode, given, wait_for_answers(folder, given, within_s=within_ns / 1e9)) for mode, folder, given in sent
    )


def told_status(told: Sequence[Told]) -> int:
    """Return the exit status: 4 where a process did not do what it was told, or not wholly."""
    return int(ExitCode.VENUE if any(each.problems for each in told) else ExitCode.OK)


def problem_lines(target: Target, told: Sequence[Told]) -> list[str]:
    """Return what went wrong and the way out, for people; none when nothing did."""
    lines = [paint(f"{problem}.", fg="red", bold=True) for each in told for problem in each.problems]
    if any(answer is None and listener.is_alive() for each in told for listener, answer in each.answers):
        lines.append(f"What does not react: {program_name()} kill {target.strategy.path}")
    return lines


def told_object(target: Target, told: Sequence[Told], command: Command) -> dict[str, Any]:
    """Return the same for a machine."""
    return {
        "strategy": target.name,
        "command": command.value,
        "market": target.symbol or None,
        "modes": [
            {
                "mode": each.mode.value,
                "number": each.sent.number,
                "processes": [_process_object(listener, answer) for listener, answer in each.answers],
            }
            for each in told
        ],
        "pulled": sum(each.pulled for each in told),
        "problems": [problem for each in told for problem in each.problems],
    }


def _process_object(listener: Listener, answer: Answer | None) -> dict[str, Any]:
    return {
        "pid": listener.holder.pid,
        "host": listener.holder.host,
        "has_answered": answer is not None,
        "pulled": None if answer is None else answer.pulled,
        "left": None if answer is None else answer.left,
        "problem": answer.problem or None if answer is not None else None,
    }

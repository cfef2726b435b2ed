"""`mmframe pause` and `mmframe resume`: pull the quotes of a strategy or of one market, and let them come back."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from mmframe.cli.operate import (
    Target,
    folder_of,
    give,
    market_option,
    mode_option,
    problem_lines,
    read_target,
    told_object,
    told_status,
    within_option,
)
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import paint, plural, program_name
from mmframe.domain.kinds import Mode
from mmframe.domain.records import Command
from mmframe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.cli.operate import Told

__all__ = ["pause_command", "resume_command"]

_LASTING = (Mode.PAPER, Mode.LIVE)
"""What a pause is for when nothing runs: a backtest is over before anybody could pause it."""

_PAUSE_EPILOG = """\
\b
Examples:
  mmframe pause strategy.toml                      pull all quotes, keep everything else running
  mmframe pause strategy.toml --market ETH/USDT    those of one market
  mmframe pause strategy.toml --reason "CPI at 14:30"

The process sees it within 100 ms, cancels its orders and says so. The position stays as it is. A pause stands until
`mmframe resume`: also a run that starts later, or goes on after a crash, begins with it. With no process there, it is
for paper and live.

Exit status: 0 paused, 2 wrong usage or strategy file, 4 a process did not answer, or the venue has not confirmed that
all orders are gone.
"""

_RESUME_EPILOG = """\
\b
Examples:
  mmframe resume strategy.toml                     quote again
  mmframe resume strategy.toml --market ETH/USDT   quote one market again

It takes back a pause, and releases halted markets of a strategy that runs. A market that was killed by itself
(`mmframe kill --market`) is released only when it is named. A resume of the strategy ends the pauses of its markets
too; a resume of one market does not end a pause of the strategy.

Exit status: 0 resumed, 2 wrong usage or strategy file, 4 a process did not answer.
"""


@click.command(epilog=_PAUSE_EPILOG, short_help="Pull the quotes of a running strategy.")
@click.argument("file", type=click.Path(path_type=Path))
@market_option
@mode_option
@click.option("--reason", default="", metavar="TEXT", help="Why, for whoever finds it paused.")
@within_option("5s", "How long to wait for its answer.")
@json_option
def pause_command(  # noqa: PLR0913 - one parameter for each option
    *, file: Path, symbol: str | None, mode: str | None, reason: str, within_ns: int, as_json: bool
) -> int:
    """Pull the quotes of the strategy in FILE, or of one of its markets, until `mmframe resume`."""
    target = read_target(file, symbol, mode)
    if not target.modes:
        target = attrs.evolve(target, modes=_LASTING)
    told = give(target, Command.PAUSE, reason=reason, within_ns=within_ns)
    if as_json:
        write_json(told_object(target, told, Command.PAUSE))
    else:
        write_lines(_pause_lines(target, told))
    return told_status(told)


@click.command(epilog=_RESUME_EPILOG, short_help="Let a paused strategy quote again.")
@click.argument("file", type=click.Path(path_type=Path))
@market_option
@mode_option
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@within_option("5s", "How long to wait for its answer.")
@json_option
def resume_command(  # noqa: PLR0913 - one parameter for each option
    *, file: Path, symbol: str | None, mode: str | None, reason: str, within_ns: int, as_json: bool
) -> int:
    """Let the strategy in FILE, or one of its markets, quote again."""
    target = _resumable(read_target(file, symbol, mode))
    told = give(target, Command.RESUME, reason=reason, within_ns=within_ns)
    if as_json:
        write_json(told_object(target, told, Command.RESUME))
    else:
        write_lines(_resume_lines(target, told))
    return told_status(told)


def _resumable(target: Target) -> Target:
    """Return the target with the mode that is meant: to resume paper must not resume live by the way."""
    if len(target.modes) > 1:
        modes = " and ".join(mode.value for mode in target.modes)
        message = f"{target.title} runs in {modes}: which one is meant?"
        raise UsageError(message, hint=f"add --mode {target.modes[0].value} or --mode {target.modes[1].value}")
    if target.modes:
        return target
    paused = tuple(mode for mode in Mode if folder_of(target, mode).commands())
    return attrs.evolve(target, modes=paused or _LASTING)


def _pause_lines(target: Target, told: Sequence[Told]) -> list[str]:
    lines = []
    for each in told:
        for listener, answer in each.answers:
            if answer is not None and not answer.problem:
                pulled = f"{plural(answer.pulled, 'order')} pulled"
                lines.append(paint(f"Paused {target.title} ({each.mode.value}, {listener}): {pulled}.", fg="green"))
    if not any(each.answers for each in told):
        modes = " or ".join(each.mode.value for each in told)
        lines.append(f"No process runs {target.name!r} in {modes}: it will be paused when it starts.")
    lines += problem_lines(target, told)
    scope = f" --market {target.symbol}" if target.symbol else ""
    resume = f"{program_name()} resume {shlex.quote(str(target.strategy.path))}{scope}"
    return [*lines, f"It quotes again only after: {resume}"]


def _resume_lines(target: Target, told: Sequence[Told]) -> list[str]:
    lines = [
        paint(f"Resumed {target.title} ({each.mode.value}, {listener}).", fg="green")
        for each in told
        for listener, answer in each.answers
        if answer is not None and not answer.problem
    ]
    if not any(each.answers for each in told):
        modes = " or ".join(each.mode.value for each in told)
        lines.append(f"No process runs {target.name!r} in {modes}: it will quote when it starts.")
    return [*lines, *problem_lines(target, told)]

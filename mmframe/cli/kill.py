"""`mmframe kill`: stop live strategies, or one market, for good and remove their orders, whatever became of a process.

What tells a process to stop is set first, for all of them, and only then is a venue connected to.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from mmframe.cli.kill_outcome import (
    Outcome,
    Steps,
    after_failure,
    outcome_lines,
    outcome_object,
    scope_lines,
    scope_object,
)
from mmframe.cli.operate import within_option
from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import iso_time, note, plural, program_name, shown_path, wall_time
from mmframe.domain.kinds import Mode
from mmframe.errors import ExitCode, JournalError, MmframeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio import CapacityLimiter

    from mmframe.cli.kill_targets import Targets
    from mmframe.config import StrategyFile
    from mmframe.runtime.kill_switch import KillRecord, KillSwitch
    from mmframe.runtime.plan import VenuePlan
    from mmframe.runtime.traces import RunTraces

__all__ = ["kill_command"]

_EPILOG = """\
\b
Examples:
  mmframe kill strategy.toml                      ask first, then stop it and remove its orders
  mmframe kill strategy.toml --yes --json         for a program
  mmframe kill strategy.toml --market ETH/USDT    one market for good; the others go on
  mmframe kill --venue binance/spot strategies/   every strategy in the folder that trades there live
  mmframe kill --all strategies/                  every live strategy in the folder
  mmframe kill strategy.toml --release            let it start again

It sets the kill switch (mmframe-runs/NAME.killed beside FILE): a strategy that runs sees it, cancels its orders and
ends; one that is started refuses. Then it connects to the venue of [venue.live] with the keys in FILE and cancels until
the venue has listed no open order twice in a row, at a time when nothing that was sent before can still arrive.

The cancel is the venue's own cancel-all: EVERY order of the account in the markets of FILE goes, also those of other
strategies and those placed by hand. The position stays as it is.

With several strategies, the switches of all are set before the first venue is connected to; then they are cleaned up
side by side, and one that fails does not hold up the others. A folder stands for its strategy files (*.toml), those in
its folders too; one that cannot be read is named, and makes the exit status 4.

With --market the running process pulls that market's orders and quotes it no more, in this run and in later ones, until
`mmframe kill FILE --market SYMBOL --release`; then its orders are removed from here too, as above.

Exit status: 0 no order of the strategy is left, 2 wrong usage or strategy file, 3 a plugin, 4 not proved: what is left
is listed.
"""


_SIDE_BY_SIDE = 8
"""Strategies that are cleaned up at the same time; more would wait for each other at the venue's limits anyway."""
_ANSWER_NS = 5_000_000_000
"""Longest wait for a process that is told to leave a market, before its orders are removed from here."""


@click.command(epilog=_EPILOG, short_help="Stop live strategies and remove their orders.")
@click.argument("paths", metavar="FILE|FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--market", "symbol", metavar="SYMBOL", help="One market of FILE; the others go on.")
@click.option("--venue", "use", metavar="USE", help="The strategies that trade live on this plugin or venue.")
@click.option("--all", "is_all", is_flag=True, help="Every strategy of the folders that trades live.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal to ask on.")
@within_option("30s", "Give up after.")
@click.option(
    "--others", "includes_others", is_flag=True, help="Go on until orders of others in these markets are gone too."
)
@click.option("--reason", default="mmframe kill", metavar="TEXT", help="Why, for whoever finds the strategy stopped.")
@click.option("--release", is_flag=True, help="Take it back, so that the strategy can start, or the market be quoted.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.LIVE.value,
    hidden=True,
    help="Only live strategies have orders that outlive their process; --market knows paper too.",
)
@json_option
@click.pass_context
def kill_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    *,
    paths: tuple[Path, ...],
    symbol: str | None,
    use: str | None,
    is_all: bool,
    yes: bool,
    within_ns: int,
    includes_others: bool,
    reason: str,
    release: bool,
    mode: str,
    as_json: bool,
) -> int:
    """Stop live strategies for good and remove their orders, also when their processes hang or are gone."""
    from mmframe.cli.kill_targets import find_targets

    if mode != Mode.LIVE.value and symbol is None:
        message = f"--mode: expected live, was {mode}: its orders exist in its own process alone"
        raise UsageError(message, hint="Ctrl+C or SIGTERM stops a run on a simulated venue")
    targets = find_targets(paths, symbol=symbol, use=use, is_all=is_all)
    wanted = _Wanted(
        symbol=symbol or "",
        mode=Mode(mode),
        blocked=blocked_names(ctx),
        within_ns=within_ns,
        includes_others=includes_others,
        reason=reason,
    )
    if release:
        return _release_all(targets, wanted, as_json=as_json)
    _confirm(targets.strategies, wanted.symbol, is_confirmed=yes or wanted.mode is not Mode.LIVE)
    outcomes = _kill(targets, wanted)
    if not targets.is_scope and outcomes[0].error is not None:
        error = outcomes[0].error
        error.add_note(after_failure(outcomes[0]))
        raise error
    if as_json:
        write_json(scope_object(targets, outcomes) if targets.is_scope else outcome_object(outcomes[0]))
    else:
        write_lines(scope_lines(targets, outcomes) if targets.is_scope else outcome_lines(outcomes[0]))
    is_clean = not targets.unread and all(outcome.is_clean for outcome in outcomes)
    return int(ExitCode.OK if is_clean else ExitCode.VENUE)


@attrs.frozen
class _Wanted:
    """What the command line asks for, besides whom it is about."""

    symbol: str
    mode: Mode
    blocked: frozenset[str]
    within_ns: int
    includes_others: bool
    reason: str


def _kill(targets: Targets, wanted: _Wanted) -> list[Outcome]:
    """Tell all processes to stop, then remove what the strategies left; a failure is an outcome."""
    import anyio

    from mmframe.runtime.kill_switch import KillSwitch

    began_s = time.monotonic()
    outcomes = []
    # Before anything that takes time: from here on a running strategy sends nothing more.
    for strategy in targets.strategies:
        name = strategy.strategy.name
        steps = Steps(began_s, name if targets.is_scope else "")
        switch = KillSwitch.of(strategy.path, name)
        is_told = True if wanted.symbol else _set(switch, wanted.reason, steps.say)
        outcomes.append(Outcome(strategy, wanted.symbol, switch, wanted.mode, is_told, steps))
    obeyed: frozenset[tuple[int, str]] = frozenset()
    if wanted.symbol:
        outcomes[0].is_told, obeyed = _tell_market(outcomes[0], wanted)
        if wanted.mode is not Mode.LIVE:
            return outcomes

    # Outside of the event loop: what a plugin does to build its venue is its own affair.
    for outcome in outcomes:
        _compose(outcome, wanted)

    async def remove_all() -> None:
        limiter = anyio.CapacityLimiter(_SIDE_BY_SIDE)
        async with anyio.create_task_group() as tasks:
            for outcome in outcomes:
                if outcome.plan is not None:
                    tasks.start_soon(_remove, outcome, outcome.plan, wanted, obeyed, limiter)

    anyio.run(remove_all)
    return outcomes


def _compose(outcome: Outcome, wanted: _Wanted) -> None:
    from mmframe.registry import compose_venue

    try:
        outcome.plan = compose_venue(outcome.strategy.path, blocked=wanted.blocked)
    except MmframeError as error:
        outcome.error = error
        return
    outcome.steps.say(f"connecting to {outcome.plan.use}")


def _named_journal(strategy: StrategyFile) -> Path | None:
    path = strategy.journal.path
    return None if path is None else strategy.directory / path


def _confirm(strategies: Sequence[StrategyFile], symbol: str, *, is_confirmed: bool) -> None:
    if is_confirmed:
        return
    first = strategies[0]
    if not sys.stdin.isatty():
        message = f"{first.path}: kill removes real orders and needs --yes where there is no terminal to ask on"
        raise UsageError(message, hint=f"{program_name()} kill {shlex.quote(str(first.path))} --yes")
    for strategy in strategies if len(strategies) > 1 else ():
        note(f"{strategy.path}: {strategy.strategy.name!r}, {_markets(strategy)}{_place(strategy)}")
    if len(strategies) > 1:
        question = f"Stop these {len(strategies)} strategies and cancel EVERY order of their accounts in their markets?"
    else:
        what = f"quoting {symbol} in {first.strategy.name!r}" if symbol else repr(first.strategy.name)
        question = f"Stop {what} and cancel EVERY order of the account in {symbol or _markets(first)}{_place(first)}?"
    click.confirm(question, abort=True, err=True)


def _markets(strategy: StrategyFile) -> str:
    return ", ".join(market.title for market in strategy.markets)


def _place(strategy: StrategyFile) -> str:
    venue = strategy.venue_for(Mode.LIVE)
    return "" if venue is None else f" at {venue.use}"


def _set(switch: KillSwitch, reason: str, say: Callable[[str], None]) -> bool:
    """Set the kill switch; orders are removed all the same where it cannot be."""
    try:
        switch.set(reason, time.time_ns())
    except JournalError as error:
        say(f"{error.message}; {error.hint}")
        return False
    say(f"kill switch set: {shown_path(switch.path)}")
    return True


def _tell_market(outcome: Outcome, wanted: _Wanted) -> tuple[bool, frozenset[tuple[int, str]]]:
    """Tell the processes to quote a market no more; return whether that stands, and which have pulled its orders."""
    from mmframe.cli.operate import Target, give
    from mmframe.domain.records import Command

    say = outcome.steps.say
    target = Target(outcome.strategy, wanted.symbol, (wanted.mode,))
    try:
        (told,) = give(target, Command.KILL, reason=wanted.reason, within_ns=min(wanted.within_ns, _ANSWER_NS))
    except JournalError as error:
        say(f"{error.message}; {error.hint}")
        return False, frozenset()
    say(f"{wanted.symbol} is not to be quoted any more")
    for listener, answer in told.answers:
        if answer is not None and not answer.problem:
            say(f"{listener} pulled {plural(answer.pulled, 'order')}")
    for problem in told.problems:
        say(problem)
    obeyed = {
        (listener.holder.pid, listener.holder.host)
        for listener, answer in told.answers
        if answer is not None and not answer.problem
    }
    # In paper nobody but the process itself knows of the orders.
    return wanted.mode is Mode.LIVE or not told.problems, frozenset(obeyed)


async def _remove(
    outcome: Outcome, plan: VenuePlan, wanted: _Wanted, obeyed: frozenset[tuple[int, str]], limiter: CapacityLimiter
) -> None:
    from mmframe.runtime.clean_up import remove_orders
    from mmframe.runtime.traces import RunTraces

    strategy = outcome.strategy
    async with limiter:
        outcome.removal = await remove_orders(
            plan,
            RunTraces.of(strategy.path, strategy.strategy.name, _named_journal(strategy)),
            includes_others=wanted.includes_others,
            within_ns=wanted.within_ns,
            say=outcome.steps.say,
            only=wanted.symbol,
            obeyed=obeyed,
        )


def _release_all(targets: Targets, wanted: _Wanted, *, as_json: bool) -> int:
    """Take back what keeps strategies, or a market, from being quoted; one that cannot be released is named."""
    from mmframe.runtime.kill_switch import KillSwitch
    from mmframe.runtime.traces import RunTraces

    if wanted.symbol:
        return _release_market(targets.strategies[0], wanted, as_json=as_json)
    released: list[dict[str, Any]] = []
    lines: list[str] = []
    problems: list[UsageError] = []
    for strategy in targets.strategies:
        name = strategy.strategy.name
        switch = KillSwitch.of(strategy.path, name)
        try:
            record = _release(name, switch, RunTraces.of(strategy.path, name, _named_journal(strategy)))
        except UsageError as error:
            problems.append(error)
            continue
        was = None if record is None else {"when": iso_time(record.when_ns), "reason": record.reason}
        released.append(
            {"strategy": name, "kill_switch": str(switch.path), "was_set": record is not None, "record": was}
        )
        lines += _release_lines(strategy, record)
    if problems and not targets.is_scope:
        raise problems[0]
    for problem in problems:
        note(f"{problem.message}; {problem.hint}")
    if as_json:
        write_json(released[0] if not targets.is_scope else {"strategies": released})
    else:
        write_lines(lines)
    return int(ExitCode.USAGE if problems or targets.unread else ExitCode.OK)


def _release(name: str, switch: KillSwitch, traces: RunTraces) -> KillRecord | None:
    record = switch.record()
    processes = traces.processes()
    if record is not None and processes:
        message = f"the kill switch of {name!r} stays: {processes[0]} still runs the strategy and would go on trading"
        raise UsageError(message, hint=f"end it first: kill -9 {processes[0].holder.pid}")
    switch.release()
    return record


def _release_lines(strategy: StrategyFile, record: KillRecord | None) -> list[str]:
    if record is None:
        return [f"The kill switch of {strategy.strategy.name!r} was not set."]
    since = f" since {wall_time(record.when_ns)}" if record.when_ns else ""
    start = f"{program_name()} run {shlex.quote(str(strategy.path))} --mode live --yes-live"
    return [f"Released: it was set{since} ({record.reason}).", f"Start it: {start}"]


def _release_market(strategy: StrategyFile, wanted: _Wanted, *, as_json: bool) -> int:
    from mmframe.cli.operate import Target, give, problem_lines, told_object, told_status
    from mmframe.domain.records import Command

    target = Target(strategy, wanted.symbol, (wanted.mode,))
    told = give(target, Command.RESUME, reason=wanted.reason, within_ns=min(wanted.within_ns, _ANSWER_NS))
    if as_json:
        write_json(told_object(target, told, Command.RESUME))
    else:
        write_lines([f"Released: {target.title} may be quoted again.", *problem_lines(target, told)])
    return told_status(told)

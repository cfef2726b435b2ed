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

from mmframe.cli.operate import within_option
from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, iso_time, note, paint, plain, plural, program_name, shown_path, wall_time
from mmframe.domain.kinds import Mode
from mmframe.errors import ExitCode, JournalError, MmframeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio import CapacityLimiter

    from mmframe.cli.kill_targets import Targets
    from mmframe.config import StrategyFile
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import OrderReport
    from mmframe.runtime.clean_up import MarketLeft, Removal
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
_WEB_PAGE = "look at the open orders on the exchange's web page and cancel them there"


@attrs.frozen
class _Step:
    at_ns: int
    text: str


class _Steps:
    """What was done so far; each step is told on stderr as it happens.

    Args:
        began_s: Begin on the monotonic clock.
        title: Stands before each step where several strategies are killed.
    """

    def __init__(self, began_s: float, title: str = "") -> None:
        self.taken: list[_Step] = []
        self._began_s = began_s
        self._title = f"{title}: " if title else ""

    def say(self, text: str) -> None:
        self.taken.append(_Step(time.time_ns(), text))
        note(f"[{time.monotonic() - self._began_s:5.2f} s] {self._title}{text}")


@attrs.define
class _Outcome:
    """What became of one strategy, or of one market of it.

    Attributes:
        is_told: What tells its processes to stop is there.
        plan: None while its venue could not be built.
        error: Why nothing was removed from here.
    """

    strategy: StrategyFile
    symbol: str
    switch: KillSwitch
    is_told: bool
    steps: _Steps
    plan: VenuePlan | None = None
    removal: Removal | None = None
    error: MmframeError | None = None

    @property
    def is_clean(self) -> bool:
        return self.is_told and self.removal is not None and self.removal.is_clean


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
    _confirm(targets.strategies, wanted.symbol, is_confirmed=yes)
    outcomes = _kill(targets, wanted)
    if not targets.is_scope and outcomes[0].error is not None:
        error = outcomes[0].error
        error.add_note(_after_failure(outcomes[0]))
        raise error
    if as_json:
        write_json(_object(outcomes[0]) if not targets.is_scope else _scope_object(targets, outcomes))
    else:
        write_lines(_lines(outcomes[0], wanted) if not targets.is_scope else _scope_lines(targets, outcomes, wanted))
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


def _kill(targets: Targets, wanted: _Wanted) -> list[_Outcome]:
    """Tell all processes to stop, then remove what the strategies left; a failure is an outcome."""
    import anyio

    from mmframe.runtime.kill_switch import KillSwitch

    began_s = time.monotonic()
    outcomes = []
    # Before anything that takes time: from here on a running strategy sends nothing more.
    for strategy in targets.strategies:
        name = strategy.strategy.name
        steps = _Steps(began_s, name if targets.is_scope else "")
        switch = KillSwitch.of(strategy.path, name)
        is_told = True if wanted.symbol else _set(switch, wanted.reason, steps.say)
        outcomes.append(_Outcome(strategy, wanted.symbol, switch, is_told, steps))
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


def _compose(outcome: _Outcome, wanted: _Wanted) -> None:
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


def _tell_market(outcome: _Outcome, wanted: _Wanted) -> tuple[bool, frozenset[tuple[int, str]]]:
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
    outcome: _Outcome, plan: VenuePlan, wanted: _Wanted, obeyed: frozenset[tuple[int, str]], limiter: CapacityLimiter
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


def _after_failure(outcome: _Outcome) -> str:
    if outcome.symbol:
        told = "a process that runs the strategy pulls them itself" if outcome.is_told else "no process is told either"
    elif outcome.is_told:
        told = "a strategy that still runs sees the kill switch, cancels its orders and ends"
    else:
        told = "no kill switch is set either"
    return f"no order was removed from here; {told}; {_WEB_PAGE}"


def _lines(outcome: _Outcome, wanted: _Wanted) -> list[str]:
    name, plan, removal = outcome.strategy.strategy.name, outcome.plan, outcome.removal
    scope = f" --market {shlex.quote(outcome.symbol)}" if outcome.symbol else ""
    command = f"{program_name()} kill {shlex.quote(str(outcome.strategy.path))}{scope}"
    lines = []
    if removal is not None and plan is not None:
        where = f" in {outcome.symbol}" if outcome.symbol else ""
        took = f"{removal.took_ns / 1e9:.1f} s"
        if removal.is_clean:
            lines = [paint(f"No order of {name!r} is left{where} at {plan.use} ({took}).", fg="green", bold=True)]
        else:
            lines = [paint(f"NOT PROVED after {took}: {removal.failure}.", fg="red", bold=True)]
        lines += _removal_lines(removal)
        if not removal.is_clean:
            lines.append(f"{_WEB_PAGE[0].upper()}{_WEB_PAGE[1:]}, or try again: {command}")
    elif outcome.error is not None:
        lines = [paint(f"{name!r} FAILED: {outcome.error.message}.", fg="red", bold=True)]
        lines.append(f"{_after_failure(outcome)}.")
    elif wanted.mode is not Mode.LIVE:
        color = "green" if outcome.is_told else "red"
        lines = [paint(f"{outcome.symbol} of {name!r}: {outcome.steps.taken[-1].text}.", fg=color, bold=True)]
    if outcome.is_told:
        again = "It is quoted again" if outcome.symbol else "It starts again"
        mode = "" if wanted.mode is Mode.LIVE else f" --mode {wanted.mode.value}"
        lines.append(f"{again} only after: {command}{mode} --release")
    return lines


def _removal_lines(removal: Removal) -> list[str]:
    lines = []
    for market in removal.markets:
        lines += _market_lines(market)
    for process in removal.processes:
        end = f"kill -9 {process.holder.pid}" if process.holder.pid else "end it"
        lines.append(paint(f"{process} is still there: `{end}` before anything else.", fg="red"))
    if removal.fills:
        lines.append(f"{plural(removal.fills, 'fill')} arrived meanwhile; a resumed run counts what its journal lacks.")
    return lines


def _scope_lines(targets: Targets, outcomes: Sequence[_Outcome], wanted: _Wanted) -> list[str]:
    lines = []
    for outcome in outcomes:
        lines += [paint(str(outcome.strategy.path), bold=True), *(f"  {line}" for line in _lines(outcome, wanted))]
    lines += [paint(f"NOT LOOKED AT: {problem}", fg="red", bold=True) for problem in targets.unread]
    clean = sum(outcome.is_clean for outcome in outcomes)
    return [*lines, "", f"{clean} of {plural(len(outcomes), 'strategy file')} proved without an order."]


def _scope_object(targets: Targets, outcomes: Sequence[_Outcome]) -> dict[str, Any]:
    return {
        "is_clean": not targets.unread and all(outcome.is_clean for outcome in outcomes),
        "strategies": [_object(outcome) for outcome in outcomes],
        "unread": list(targets.unread),
    }


def _market_lines(market: MarketLeft) -> list[str]:
    instrument = market.instrument
    lines = []
    for owner, orders in (("of this strategy", market.ours), ("of others, left alone", market.others)):
        if orders:
            lines.append(f"{instrument.symbol}: {plural(len(orders), 'open order')} {owner}")
            lines += columns([_order_cells(order, instrument) for order in orders])
    if market.position_lots:
        position = f"{plain(instrument.size(market.position_lots))} {instrument.base}"
        lines.append(f"{instrument.symbol}: a position of {position} stays")
    return lines


def _order_cells(order: OrderReport, instrument: Instrument) -> tuple[str, ...]:
    facts = _order_object(order, instrument)
    return (facts["side"], facts["leaves"], "at", facts["price"], order.client_id or order.venue_order_id)


def _order_object(order: OrderReport, instrument: Instrument) -> dict[str, str]:
    return {
        "client_id": order.client_id,
        "venue_order_id": order.venue_order_id,
        "side": order.side.name.lower(),
        "price": plain(instrument.price(order.price_ticks)),
        "leaves": plain(instrument.size(order.size_lots - order.filled_lots)),
    }


def _object(outcome: _Outcome) -> dict[str, Any]:
    plan, removal = outcome.plan, outcome.removal
    failure = removal.failure if removal is not None else outcome.error.message if outcome.error is not None else ""
    return {
        "strategy": outcome.strategy.strategy.name,
        "file": str(outcome.strategy.path),
        "market": outcome.symbol or None,
        "venue": None if plan is None else plan.use,
        "is_clean": outcome.is_clean if removal is None else removal.is_clean,
        "failure": failure or None,
        "kill_switch": str(outcome.switch.path) if outcome.is_told and not outcome.symbol else None,
        "took_s": None if removal is None else removal.took_ns / 1e9,
        "markets": [_market_object(market) for market in (() if removal is None else removal.markets)],
        "fills": 0 if removal is None else removal.fills,
        "processes": [
            {"pid": process.holder.pid, "host": process.holder.host, "journal": str(process.journal)}
            for process in (() if removal is None else removal.processes)
        ],
        "steps": [{"at": iso_time(step.at_ns), "text": step.text} for step in outcome.steps.taken],
    }


def _market_object(market: MarketLeft) -> dict[str, Any]:
    return {
        "instrument": market.instrument.symbol,
        "is_known": bool(market.reports),
        "orders": [_order_object(order, market.instrument) for order in market.ours],
        "orders_of_others": [_order_object(order, market.instrument) for order in market.others],
        "position": _position(market),
    }


def _position(market: MarketLeft) -> str | None:
    return None if market.position_lots is None else plain(market.instrument.size(market.position_lots))


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

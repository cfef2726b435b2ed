"""`mmframe kill`: stop a live strategy for good and remove its orders, whatever became of its process."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, iso_time, note, paint, plain, plural, program_name, shown_path, wall_time
from mmframe.domain.kinds import Mode
from mmframe.errors import DomainError, ExitCode, JournalError, MmframeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.config import StrategyFile
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import OrderReport
    from mmframe.runtime.clean_up import MarketLeft, Removal
    from mmframe.runtime.kill_switch import KillSwitch
    from mmframe.runtime.plan import VenuePlan
    from mmframe.runtime.traces import RunTraces

__all__ = ["kill_command"]

_EPILOG = """\
\b
Examples:
  mmframe kill strategy.toml                 ask first, then stop it and remove its orders
  mmframe kill strategy.toml --yes --json    for a program
  mmframe kill strategy.toml --release       let it start again

It sets the kill switch (mmframe-runs/NAME.killed beside FILE): a strategy that runs sees it, cancels its orders and
ends; one that is started refuses. Then it connects to the venue of [venue.live] with the keys in FILE and cancels until
the venue has listed no open order twice in a row, at a time when nothing that was sent before can still arrive.

The cancel is the venue's own cancel-all: EVERY order of the account in the markets of FILE goes, also those of other
strategies and those placed by hand. The position stays as it is.

Exit status: 0 no order of the strategy is left, 2 wrong usage or strategy file, 3 a plugin, 4 not proved: what is left
is listed.
"""


_NAME_KEYS = frozenset({"strategy", "strategy.name"})
_WEB_PAGE = "look at the open orders on the exchange's web page and cancel them there"


@attrs.frozen
class _Work:
    """What to remove, and for how long to try."""

    file: Path
    blocked: frozenset[str]
    traces: RunTraces
    within_ns: int
    includes_others: bool


@attrs.frozen
class _Step:
    at_ns: int
    text: str


class _Steps:
    """What was done so far; each step is told on stderr as it happens."""

    def __init__(self) -> None:
        self.taken: list[_Step] = []
        self._began_s = time.monotonic()

    def say(self, text: str) -> None:
        self.taken.append(_Step(time.time_ns(), text))
        note(f"[{time.monotonic() - self._began_s:5.2f} s] {text}")


def _duration(ctx: click.Context, parameter: click.Parameter, value: str) -> int:
    from mmframe.config.durations import duration_ns

    try:
        return duration_ns(value)
    except DomainError as error:
        raise click.BadParameter(error.message, ctx=ctx, param=parameter) from None


@click.command(epilog=_EPILOG, short_help="Stop a live strategy and remove its orders.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal to ask on.")
@click.option(
    "--within", "within_ns", metavar="TIME", default="30s", show_default=True, callback=_duration, help="Give up after."
)
@click.option(
    "--all", "includes_others", is_flag=True, help="Go on until orders of others in these markets are gone too."
)
@click.option("--reason", default="mmframe kill", metavar="TEXT", help="Why, for whoever finds the strategy stopped.")
@click.option("--release", is_flag=True, help="Take the kill switch back, so that the strategy can start again.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.LIVE.value,
    hidden=True,
    help="Only live strategies have orders that outlive their process.",
)
@json_option
@click.pass_context
def kill_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    *,
    file: Path,
    yes: bool,
    within_ns: int,
    includes_others: bool,
    reason: str,
    release: bool,
    mode: str,
    as_json: bool,
) -> int:
    """Stop the live strategy in FILE for good and remove its orders, also when its process hangs or is gone."""
    from mmframe.config.strategy import read_strategy_file
    from mmframe.runtime.kill_switch import KillSwitch
    from mmframe.runtime.traces import RunTraces

    if mode != Mode.LIVE.value:
        message = f"--mode: expected live, was {mode}: its orders exist in its own process alone"
        raise UsageError(message, hint="Ctrl+C or SIGTERM stops a run on a simulated venue")
    # What stops the strategy is its name alone; other problems of the file are told where they matter.
    strategy, problems = read_strategy_file(file)
    problems.only(_NAME_KEYS.__contains__).raise_if_any()
    name = strategy.strategy.name
    switch = KillSwitch.of(file, name)
    journal = _named_journal(strategy)
    if release:
        return _release(file, name, switch, RunTraces.of(file, name, journal), as_json=as_json)
    _confirm(strategy, is_confirmed=yes)
    steps = _Steps()
    # Before anything that takes time: from here on a running strategy sends nothing more.
    is_switch_set = _set(switch, reason, steps.say)
    work = _Work(
        file=file,
        blocked=blocked_names(ctx),
        traces=RunTraces.of(file, name, journal),
        within_ns=within_ns,
        includes_others=includes_others,
    )
    try:
        plan, removal = _remove(work, steps.say)
    except MmframeError as error:
        error.add_note(_after_failure(is_switch_set=is_switch_set))
        raise
    if as_json:
        write_json(_object(plan, removal, switch, steps, is_switch_set=is_switch_set))
    else:
        write_lines(_lines(file, plan, removal, is_switch_set=is_switch_set))
    return int(ExitCode.OK if removal.is_clean and is_switch_set else ExitCode.VENUE)


def _named_journal(strategy: StrategyFile) -> Path | None:
    path = strategy.journal.path
    return None if path is None else strategy.directory / path


def _confirm(strategy: StrategyFile, *, is_confirmed: bool) -> None:
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        message = f"{strategy.path}: kill removes real orders and needs --yes where there is no terminal to ask on"
        raise UsageError(message, hint=f"{program_name()} kill {shlex.quote(str(strategy.path))} --yes")
    markets = ", ".join(market.title for market in strategy.markets)
    venue = strategy.venue_for(Mode.LIVE)
    where = "" if venue is None else f" at {venue.use}"
    question = f"Stop {strategy.strategy.name!r} and cancel EVERY order of the account in {markets}{where}?"
    click.confirm(question, abort=True, err=True)


def _set(switch: KillSwitch, reason: str, say: Callable[[str], None]) -> bool:
    """Set the kill switch; orders are removed all the same where it cannot be."""
    try:
        switch.set(reason, time.time_ns())
    except JournalError as error:
        say(f"{error.message}; {error.hint}")
        return False
    say(f"kill switch set: {shown_path(switch.path)}")
    return True


def _remove(work: _Work, say: Callable[[str], None]) -> tuple[VenuePlan, Removal]:
    import anyio

    from mmframe.registry import compose_venue
    from mmframe.runtime.clean_up import remove_orders

    plan = compose_venue(work.file, blocked=work.blocked)
    say(f"connecting to {plan.use}")

    async def remove() -> Removal:
        return await remove_orders(
            plan, work.traces, includes_others=work.includes_others, within_ns=work.within_ns, say=say
        )

    return plan, anyio.run(remove)


def _after_failure(*, is_switch_set: bool) -> str:
    switch = "a strategy that still runs sees the kill switch, cancels its orders and ends" if is_switch_set else ""
    return f"no order was removed from here; {switch or 'no kill switch is set either'}; {_WEB_PAGE}"


def _lines(file: Path, plan: VenuePlan, removal: Removal, *, is_switch_set: bool) -> list[str]:
    took = f"{removal.took_ns / 1e9:.1f} s"
    if removal.is_clean:
        lines = [paint(f"No order of {plan.name!r} is left at {plan.use} ({took}).", fg="green", bold=True)]
    else:
        lines = [paint(f"NOT PROVED after {took}: {removal.failure}.", fg="red", bold=True)]
    for market in removal.markets:
        lines += _market_lines(market)
    for process in removal.processes:
        end = f"kill -9 {process.holder.pid}" if process.holder.pid else "end it"
        lines.append(paint(f"{process} is still there: `{end}` before anything else.", fg="red"))
    if removal.fills:
        lines.append(f"{plural(removal.fills, 'fill')} arrived meanwhile; a resumed run counts what its journal lacks.")
    command = f"{program_name()} kill {shlex.quote(str(file))}"
    if not removal.is_clean:
        lines.append(f"{_WEB_PAGE[0].upper()}{_WEB_PAGE[1:]}, or try again: {command}")
    if is_switch_set:
        lines.append(f"It starts again only after: {command} --release")
    return lines


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


def _object(
    plan: VenuePlan, removal: Removal, switch: KillSwitch, steps: _Steps, *, is_switch_set: bool
) -> dict[str, Any]:
    return {
        "strategy": plan.name,
        "venue": plan.use,
        "is_clean": removal.is_clean,
        "failure": removal.failure or None,
        "kill_switch": str(switch.path) if is_switch_set else None,
        "took_s": removal.took_ns / 1e9,
        "markets": [
            {
                "instrument": market.instrument.symbol,
                "is_known": bool(market.reports),
                "orders": [_order_object(order, market.instrument) for order in market.ours],
                "orders_of_others": [_order_object(order, market.instrument) for order in market.others],
                "position": _position(market),
            }
            for market in removal.markets
        ],
        "fills": removal.fills,
        "processes": [
            {"pid": process.holder.pid, "host": process.holder.host, "journal": str(process.journal)}
            for process in removal.processes
        ],
        "steps": [{"at": iso_time(step.at_ns), "text": step.text} for step in steps.taken],
    }


def _position(market: MarketLeft) -> str | None:
    return None if market.position_lots is None else plain(market.instrument.size(market.position_lots))


def _release(file: Path, name: str, switch: KillSwitch, traces: RunTraces, *, as_json: bool) -> int:
    record = switch.record()
    processes = traces.processes()
    if record is not None and processes:
        message = f"the kill switch of {name!r} stays: {processes[0]} still runs the strategy and would go on trading"
        raise UsageError(message, hint=f"end it first: kill -9 {processes[0].holder.pid}")
    switch.release()
    if as_json:
        was = None if record is None else {"when": iso_time(record.when_ns), "reason": record.reason}
        write_json({"strategy": name, "kill_switch": str(switch.path), "was_set": record is not None, "record": was})
    elif record is None:
        write_lines([f"The kill switch of {name!r} was not set."])
    else:
        since = f" since {wall_time(record.when_ns)}" if record.when_ns else ""
        start = f"{program_name()} run {shlex.quote(str(file))} --mode live --yes-live"
        write_lines([f"Released: it was set{since} ({record.reason}).", f"Start it: {start}"])
    return 0

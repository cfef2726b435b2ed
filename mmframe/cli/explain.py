"""`mmframe explain`: why a quote stood where it stood, or why there was none, from a run's journal."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from mmframe.cli.explanation import answer_lines, detail_lines
from mmframe.cli.limits import (
    LimitsRecord,
    binding_lines,
    limit_object,
    limits_lines,
    operator_object,
    operator_text,
    orders_in_force,
)
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import note, paint, program_name, shown_path, wall_time
from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.records import Command
from mmframe.domain.views import Reason
from mmframe.errors import UsageError
from mmframe.runtime.plan import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.records import OperatorCommand
    from mmframe.runtime.explain import Explanation
    from mmframe.runtime.journal import JournalReader

__all__ = ["explain_command", "journal_of"]

_SIDES = {"bid": (Side.BUY,), "ask": (Side.SELL,)}
_EPILOG = """\
\b
Examples:
  mmframe explain strategy.toml                       the last decision of the newest run
  mmframe explain strategy.toml --at +12.5s           12.5 s after the run's start
  mmframe explain PATH --at 14:03:07 --side bid       a time of day of the run, UTC
  mmframe explain PATH --sequence 120 --json          decision 120, for a program
  mmframe explain PATH --limits --from +10s           each time that a limit bound from then on

TIME is an offset from the run's start (+12.5s, +1m30s), a time of day (14:03:07.25), an ISO 8601 time, or nanoseconds
since 1970. The decision in force then is the last one at or before it. A run still going on can be explained too.
"""


@click.command(epilog=_EPILOG, short_help="Say why a quote stands where it stands.")
@click.argument("file", metavar="JOURNAL|STRATEGY", type=click.Path(path_type=Path))
@click.option(
    "--at", "moment", metavar="TIME", help="The moment; by default the last decision before the run was stopped."
)
@click.option("--market", "symbol", metavar="SYMBOL", help="The market; by default the first one.")
@click.option("--side", type=click.Choice(list(_SIDES)), help="Tell of one side only.")
@click.option("--sequence", type=click.IntRange(min=1), metavar="N", help="The decision number N instead of a moment.")
@click.option(
    "--run", "run", type=click.IntRange(min=1), metavar="N", help="Run N of a resumed journal; the newest by default."
)
@click.option(
    "--limits", "wants_limits", is_flag=True, help="List each time that a limit bound, instead of a decision."
)
@click.option("--from", "since", metavar="TIME", help="With --limits: what bound at or after this time.")
@click.option("--to", "until", metavar="TIME", help="With --limits: what bound at or before this time.")
@json_option
def explain_command(  # noqa: PLR0913 - one parameter for each option
    *,
    file: Path,
    moment: str | None,
    symbol: str | None,
    side: str | None,
    sequence: int | None,
    run: int | None,
    wants_limits: bool,
    since: str | None,
    until: str | None,
    as_json: bool,
) -> int:
    """Tell from a JOURNAL why there was a quote, or none: stage by stage, what each one got, gave and why.

    For a STRATEGY file its newest journal is read.
    """
    from mmframe.runtime.explain import explain
    from mmframe.runtime.journal import JournalReader
    from mmframe.runtime.moments import parse_time_ns

    if moment is not None and sequence is not None:
        message = "--at and --sequence: expected at most one of them"
        raise UsageError(message)
    _require_fitting(wants_limits=wants_limits, of_a_decision=(moment, sequence, side), of_limits=(since, until))
    with JournalReader(journal_of(file)) as reader:
        if wants_limits:
            _tell_limits(reader, symbol, run, span=(since, until), as_json=as_json)
            return 0
        market = _market(reader, symbol, run)
        at_ns = None
        if moment is not None:
            at_ns = parse_time_ns(moment, reader.span_ns(run) or (0, 0))
        elif sequence is None:
            at_ns = _before_the_stop_ns(reader, market, run)
        explanation = explain(
            reader,
            market=market,
            sides=_SIDES.get(side or "", (Side.BUY, Side.SELL)),
            at_ns=at_ns,
            sequence=sequence,
            run=run,
        )
        now_ns = explanation.now_ns
        limits = LimitsRecord.read(reader, market=market, run=run, since_ns=now_ns, until_ns=now_ns)
        orders = orders_in_force(reader, market, now_ns, run)
    if as_json:
        write_json(
            {
                **msgspec.to_builtins(explanation, str_keys=True),
                "limits": [limit_object(limit, limits) for limit in limits.limits],
                "operator": [operator_object(order) for order in orders],
            }
        )
    else:
        write_lines([*_lines(explanation, orders), *binding_lines(limits, now_ns)])
    return 0


def _require_fitting(*, wants_limits: bool, of_a_decision: Sequence[object], of_limits: Sequence[object]) -> None:
    if wants_limits and any(value is not None for value in of_a_decision):
        message = "--limits: cannot be combined with --at, --sequence or --side"
        raise UsageError(message, hint="--from and --to say which time is meant")
    if not wants_limits and any(value is not None for value in of_limits):
        message = "--from and --to: expected --limits beside them"
        raise UsageError(message, hint="--at names the moment of a decision")


def _tell_limits(
    reader: JournalReader, symbol: str | None, run: int | None, *, span: tuple[str | None, str | None], as_json: bool
) -> None:
    from mmframe.runtime.moments import parse_time_ns

    of_run_ns = reader.span_ns(run) or (0, 0)
    since_ns, until_ns = (None if text is None else parse_time_ns(text, of_run_ns) for text in span)
    record = LimitsRecord.read(
        reader,
        market=None if symbol is None else _market(reader, symbol, run),
        run=run,
        since_ns=since_ns or 0,
        until_ns=until_ns,
    )
    if as_json:
        write_json({"limits": [limit_object(limit, record) for limit in record.limits]})
    else:
        write_lines(limits_lines(record))


def journal_of(file: Path) -> Path:
    """Return the journal that a person means by a path: itself, or of a strategy file its newest.

    Raises:
        UsageError: If the strategy has none.
    """
    if file.suffix != ".toml":
        return file
    from mmframe.config import load_strategy_file

    strategy = load_strategy_file(file)
    if strategy.journal.path is not None:
        return strategy.directory / strategy.journal.path
    newest = _newest_journal(strategy.directory / RUNS_FOLDER, strategy.strategy.name)
    if newest is None:
        message = (
            f"{file}: no journal of strategy {strategy.strategy.name!r} in {str(strategy.directory / RUNS_FOLDER)!r}"
        )
        raise UsageError(message, hint=f"run it first: {program_name()} run {shlex.quote(str(file))}")
    note(f"reading {shown_path(newest)}")
    return newest


def _newest_journal(folder: Path, strategy: str) -> Path | None:
    from mmframe.errors import JournalError
    from mmframe.runtime.journal import JournalReader

    started: list[tuple[int, Path]] = []
    for path in folder.glob("*.journal"):
        try:
            with JournalReader(path) as reader:
                header = reader.run().header
        except JournalError as error:
            note(f"passed over: {error.message}")
            continue
        if header.strategy == strategy:
            started.append((header.started_ns, path))
    return max(started)[1] if started else None


def _market(reader: JournalReader, symbol: str | None, run: int | None) -> int:
    symbols = [instrument.symbol for instrument in reader.run(run).header.instruments]
    if symbol is None:
        if len(symbols) > 1:
            note(f"of {symbols[0]}; --market names another of {', '.join(symbols)}")
        return 0
    if symbol not in symbols:
        message = f"--market: expected one of {', '.join(symbols)}, was {symbol!r}"
        raise UsageError(message)
    return symbols.index(symbol)


def _before_the_stop_ns(reader: JournalReader, market: int, run: int | None) -> int | None:
    """Return the time of the last decision that was not made because the run was ending; None when there is none.

    Every run ends by pulling its quotes; that is hardly what somebody asks about, unless an operator paused it before.
    """
    if any(order.command is Command.PAUSE for order in orders_in_force(reader, market, NEVER_NS, run)):
        return None
    at_ns = None
    while found := reader.decisions(at_ns, market, run=run):
        decision = found[0]
        if {decision.bid_reason, decision.ask_reason} != {Reason.PAUSED}:
            return decision.now_ns
        at_ns = decision.now_ns - 1
    return None


def _lines(explanation: Explanation, orders: Sequence[OperatorCommand]) -> list[str]:
    when = f"{wall_time(explanation.now_ns)}, {explanation.since_start_ns / 1e9:.3f} s into the run"
    what = f"{explanation.strategy} {explanation.mode}, {explanation.instrument}"
    lines = [*answer_lines(explanation), "", f"{what}: decision {explanation.sequence} at {when}"]
    if explanation.halt_reason:
        lines.append(paint(f"halted: {explanation.halt_reason}", fg="red", bold=True))
    lines += [paint(operator_text(order), fg="yellow", bold=True) for order in orders]
    return [*lines, "", *detail_lines(explanation)]

"""`mmframe explain`: why a quote stood where it stood, or why there was none, from a run's journal."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, note, paint, program_name, shown_path, wall_time
from mmframe.domain.market import Side
from mmframe.domain.views import Reason
from mmframe.errors import UsageError
from mmframe.runtime.plan import RUNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.runtime.explain import Explanation, QuoteExplained, StageChange, StageExplained
    from mmframe.runtime.journal import JournalReader

__all__ = ["explain_command"]

_SIDES = {"bid": (Side.BUY,), "ask": (Side.SELL,)}
_EPILOG = """\
\b
Examples:
  mmframe explain strategy.toml                       the last decision of the newest run
  mmframe explain strategy.toml --at +12.5s           12.5 s after the run's start
  mmframe explain PATH --at 14:03:07 --side bid       a time of day of the run, UTC
  mmframe explain PATH --sequence 120 --json          decision 120, for a program

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
@json_option
def explain_command(  # noqa: PLR0913 - one parameter for each option
    *,
    file: Path,
    moment: str | None,
    symbol: str | None,
    side: str | None,
    sequence: int | None,
    run: int | None,
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
    with JournalReader(_journal(file)) as reader:
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
    if as_json:
        write_json(msgspec.to_builtins(explanation, str_keys=True))
    else:
        write_lines(_lines(explanation))
    return 0


def _journal(file: Path) -> Path:
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

    Every run ends by pulling its quotes; that is hardly what somebody asks about.
    """
    at_ns = None
    while found := reader.decisions(at_ns, market, run=run):
        decision = found[0]
        if {decision.bid_reason, decision.ask_reason} != {Reason.PAUSED}:
            return decision.now_ns
        at_ns = decision.now_ns - 1
    return None


def _lines(explanation: Explanation) -> list[str]:
    lines = [_answer(explanation, quote) for quote in explanation.quotes]
    when = f"{wall_time(explanation.now_ns)}, {explanation.since_start_ns / 1e9:.3f} s into the run"
    what = f"{explanation.strategy} {explanation.mode}, {explanation.instrument}"
    lines += ["", f"{what}: decision {explanation.sequence} at {when}"]
    if explanation.halt_reason:
        lines.append(paint(f"halted: {explanation.halt_reason}", fg="red", bold=True))
    lines += ["", *_stage_table(explanation)]
    advice = {} if explanation.is_advice_neutral else explanation.advice
    figures = [
        ("market", _figures(explanation.view)),
        ("signals", _figures(explanation.signals, missing="not known yet")),
        ("inventory", _figures(explanation.inventory, missing="no limit")),
        ("advice", _figures(advice) or "none in force"),
    ]
    lines += ["", paint("What it saw", bold=True), *columns([row for row in figures if row[1]])]
    if explanation.rejections:
        rows = [(refused.limit, f"{refused.action}: {refused.detail}") for refused in explanation.rejections]
        lines += ["", paint("Refused by the gate", bold=True), *columns(rows)]
    lines += ["", paint("Sent", bold=True), *([f"  {action.words}" for action in explanation.actions] or ["  nothing"])]
    orders = [
        (
            order.client_id,
            order.side,
            f"{order.leaves:f} at {order.price:,f}",
            order.state + (", kept" if order.is_kept else ""),
        )
        for order in explanation.working
    ]
    lines += ["", paint("Our orders at that moment", bold=True), *(columns(orders) or ["  none"])]
    return lines


def _answer(explanation: Explanation, quote: QuoteExplained) -> str:
    """Return the one sentence that answers the question."""
    at = f"in {explanation.instrument} at {wall_time(explanation.now_ns).split(' ')[1]}"
    if quote.levels:
        best = quote.levels[0]
        base = explanation.instrument.partition("/")[0]
        distance = "" if best.distance_bps is None else f", {best.distance_bps:.2f} bps from the mid"
        more = f" and {len(quote.levels) - 1} more behind it" if len(quote.levels) > 1 else ""
        moved = _last_word(explanation, quote.side)
        head = paint(f"The {quote.side} {at} is {best.size:f} {base} at {best.price:,f}{distance}{more}", bold=True)
        return f"{head}{f': {moved}' if moved else ''}. {_sentence(quote.outcome)}"
    head = paint(f"There is no {quote.side} {at}", bold=True)
    return f"{head}: {_remover(explanation, quote)}."


def _remover(explanation: Explanation, quote: QuoteExplained) -> str:
    for stage in reversed(explanation.stages):
        for change in stage.changes:
            if change.side == quote.side and change.size_before and not change.size_after:
                return (
                    f"{_stage_name(stage.kind, stage.name)} removed it: {change.reason or stage.note or quote.reason}"
                )
    return quote.reason or quote.outcome


def _last_word(explanation: Explanation, side: str) -> str:
    """Return which stage changed the quote last, how and why, when it gave a reason."""
    for stage in reversed(explanation.stages):
        for change in stage.changes:
            if change.side == side and change.is_changed and change.reason:
                return f"{_stage_name(stage.kind, stage.name)} {_deed(change)}: {change.reason}"
    return ""


def _deed(change: StageChange) -> str:
    if not change.size_before:
        return "set it"
    is_moved, is_smaller = change.price_after != change.price_before, change.size_after < change.size_before
    return (
        "moved it and made it smaller" if is_moved and is_smaller else "made it smaller" if is_smaller else "moved it"
    )


def _stage_table(explanation: Explanation) -> list[str]:
    rows = []
    for stage in explanation.stages:
        name = f"{stage.number} {_stage_name(stage.kind, stage.name)}"
        level = f"{stage.level}" if stage.level not in {"", "allow"} else ""
        for number, change in enumerate(stage.changes):
            why = "; ".join(part for part in (level if not number else "", _why(stage, change)) if part)
            rows.append((name if not number else "", change.side, _quote(change, after=False), _output(change), why))
    return columns(rows, headings=("stage", "side", "gets", "gives", "why"), indent=0)


def _why(stage: StageExplained, change: StageChange) -> str:
    # The kernel's own note names the component that failed and its exception; its reason only says that one did.
    return stage.note if change.reason_code == Reason.STRATEGY_ERROR and " " in stage.note else change.reason


def _output(change: StageChange) -> str:
    return _quote(change, after=True) if change.is_changed else "the same"


def _quote(change: StageChange, *, after: bool) -> str:
    price, size = (change.price_after, change.size_after) if after else (change.price_before, change.size_before)
    return "no quote" if price is None else f"{size:.8g} at {price:,.10g}"


def _stage_name(kind: str, name: str) -> str:
    words = {"risk": "risk control ", "optimizer": "optimizer "}
    return f"{words.get(kind, '')}{name}"


def _figures(values: Mapping[str, float | None], *, missing: str = "-") -> str:
    return ", ".join(f"{name} {missing if value is None else f'{value:,.8g}'}" for name, value in values.items())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""

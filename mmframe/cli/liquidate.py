"""`mmframe liquidate`: show what closing all positions would come to, or have a running strategy do it."""

from __future__ import annotations

import shlex
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.operate import give, mode_option, problem_lines, read_target, told_object, told_status, within_option
from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, duration, iso_time, money, paint, plain, plural, program_name, wall_time
from mmframe.domain.records import Command
from mmframe.errors import UsageError

if TYPE_CHECKING:
    from mmframe.cli.operate import Target
    from mmframe.domain.liquidation import LiquidationTerms
    from mmframe.runtime.liquidation_view import LiquidationView, MarketView

__all__ = ["liquidate_command"]

_EPILOG = """\
\b
Examples:
  mmframe liquidate strategy.toml --dry-run           what it would do, by the newest journal
  mmframe liquidate strategy.toml --dry-run --json    for a program
  mmframe liquidate strategy.toml                     ask first, then close all positions
  mmframe liquidate strategy.toml --market ETH/USDT   those of one market

A running strategy halts, cancels its orders and closes its positions, the worst market first, in slices that take and
only reduce, at the pace and within the price cap of its risk control `emergency-liquidation`; without one, a tenth of
the position every 5 s within 50 bps of the mid. Then it ends, halted, with exit status 5. `mmframe pause` holds it up,
this command goes on with it, `mmframe resume` ends it and quotes again, `mmframe kill` ends it.

--dry-run reads the newest journal of the strategy, or --journal PATH, and sends nothing. It counts with orders that
fill whole: those that do not make it longer. Prices are the last ones recorded.

Exit status: 0 asked for or shown, 2 wrong usage or strategy file, 4 a process did not answer.
"""


def _fee(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        message = f"expected a number of bps, was {value!r}"
        raise click.BadParameter(message, ctx=ctx, param=parameter)
    return number


@click.command(epilog=_EPILOG, short_help="Close all positions of a running strategy, or show what that would do.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show what it would do now and send nothing.")
@click.option("--journal", type=click.Path(path_type=Path), metavar="PATH", help="With --dry-run: read this journal.")
@click.option(
    "--taker-fee-bps",
    metavar="BPS",
    callback=_fee,
    help="With --dry-run: what taking costs; by default what it has cost in the journal.",
)
@click.option("--market", "symbol", metavar="SYMBOL", help="One market; the whole strategy without it.")
@mode_option
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal to ask on.")
@within_option("5s", "How long to wait for its answer.")
@json_option
@click.pass_context
def liquidate_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    *,
    file: Path,
    dry_run: bool,
    journal: Path | None,
    taker_fee_bps: Decimal | None,
    symbol: str | None,
    mode: str | None,
    reason: str,
    yes: bool,
    within_ns: int,
    as_json: bool,
) -> int:
    """Close the positions of the strategy in FILE slice by slice, and halt it."""
    if dry_run:
        view = _view(file, journal, symbol, taker_fee_bps, blocked=blocked_names(ctx))
        if as_json:
            write_json(_view_object(view))
        else:
            write_lines(_view_lines(view))
        return 0
    if journal is not None or taker_fee_bps is not None:
        option = "--journal" if journal is not None else "--taker-fee-bps"
        message = f"{option}: expected --dry-run beside it"
        raise UsageError(message, hint="a running strategy closes what it holds, at what its venue charges")
    target = read_target(file, symbol, mode)
    _require_running(target)
    _confirm(target, is_confirmed=yes)
    told = give(target, Command.LIQUIDATE, reason=reason, within_ns=within_ns)
    if as_json:
        write_json(told_object(target, told, Command.LIQUIDATE))
    else:
        write_lines(
            [
                paint(f"Closing {target.title} ({each.mode.value}, {listener}).", fg="green")
                for each in told
                for listener, answer in each.answers
                if answer is not None and not answer.problem
            ]
            + problem_lines(target, told)
        )
    return told_status(told)


def _require_running(target: Target) -> None:
    from mmframe.cli.operate import folder_of

    if any(folder_of(target, mode).listeners() for mode in target.modes):
        return
    message = f"no process runs {target.name!r}: there is nobody who could close its positions"
    resume = f"{program_name()} run {shlex.quote(str(target.strategy.path))} --resume JOURNAL"
    raise UsageError(message, hint=f"go on with its journal first, then ask again: {resume}")


def _confirm(target: Target, *, is_confirmed: bool) -> None:
    if is_confirmed:
        return
    if not sys.stdin.isatty():
        file = shlex.quote(str(target.strategy.path))
        message = f"{target.strategy.path}: liquidate sends real orders and needs --yes where there is no terminal"
        raise UsageError(message, hint=f"look first: {program_name()} liquidate {file} --dry-run")
    modes = " and ".join(mode.value for mode in target.modes)
    click.confirm(f"Halt {target.title} ({modes}) and close its positions by taking?", abort=True, err=True)


def _view(
    file: Path, journal: Path | None, symbol: str | None, taker_fee_bps: Decimal | None, *, blocked: frozenset[str]
) -> LiquidationView:
    import attrs

    from mmframe.cli.explain import journal_of
    from mmframe.registry import compose_look
    from mmframe.runtime.journal import JournalReader
    from mmframe.runtime.liquidation_view import liquidation_view

    plan = compose_look(file, blocked=blocked)
    symbols = [instrument.symbol for instrument in plan.instruments]
    if symbol is not None and symbol not in symbols:
        message = f"--market: expected one of {', '.join(symbols)}, was {symbol!r}"
        raise UsageError(message, hint=f"the markets of {file}")
    with JournalReader(journal_of(file) if journal is None else journal) as reader:
        view = liquidation_view(plan, reader, taker_fee_bps)
    if symbol is None:
        return view
    kept = tuple(market for market in view.markets if market.instrument.symbol == symbol)
    count = sum(market.slices for market in kept)
    return attrs.evolve(view, markets=kept, duration_ns=max(0, count - 1) * view.terms.interval_ns)


def _view_lines(view: LiquidationView) -> list[str]:
    lines = [f"A liquidation is in progress: {each.reason}." for each in view.in_progress]
    if not view.markets:
        return [*lines, "There is nothing to close: every position is flat."]
    terms = view.terms
    what = f"{plural(view.slices, 'order')} in {plural(len(view.markets), 'market')}"
    lines += [
        paint(f"Closing everything now would take {what} and {duration(view.duration_ns)}.", bold=True),
        _terms_line(terms),
        "",
    ]
    headings = ("market", "position", "mark", "unrealised", "slices", "size", "worst", "at touch", "at worst", "fees")
    lines += columns([_row(market) for market in view.markets], headings=headings, indent=0, numeric=range(1, 10))
    lines += [""]
    for market in view.markets:
        if market.dust:
            base = market.instrument.base
            lines.append(
                f"{market.instrument.symbol}: {plain(market.dust)} {base} is below the smallest order and stays."
            )
        if market.mark_ns:
            lines.append(f"{market.instrument.symbol}: the market as of {wall_time(market.mark_ns)}.")
    fee = view.taker_fee_bps
    fees = f"at {fee.normalize():f} bps" if fee is not None else "not known; --taker-fee-bps tells them"
    return [*lines, f"Costs are in the quote asset: half the spread, what the cap allows at worst, and fees ({fees})."]


def _terms_line(terms: LiquidationTerms) -> str:
    return (
        f"{terms.slice_share:.3g} of the position a slice, one every {terms.interval_ns / 1e9:g} s, within "
        f"{terms.price_cap_bps:g} bps of the mid; the worst market first."
    )


def _row(market: MarketView) -> tuple[str, ...]:
    return (
        market.instrument.symbol,
        plain(market.position),
        _price(market.mark),
        money(market.unrealised),
        str(market.slices),
        plain(market.slice_size),
        _price(market.worst_price),
        _cost(market.cost_at_touch),
        _cost(market.cost_at_worst),
        _cost(market.fees),
    )


def _price(value: Decimal | None) -> str:
    return "-" if value is None else plain(value)


def _cost(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:,.4f}"


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _view_object(view: LiquidationView) -> dict[str, Any]:
    terms = view.terms
    return {
        "terms": {
            "slice_share": terms.slice_share,
            "interval_s": terms.interval_ns / 1e9,
            "price_cap_bps": terms.price_cap_bps,
            "max_duration_s": None if terms.max_duration_ns is None else terms.max_duration_ns / 1e9,
        },
        "slices": view.slices,
        "duration_s": view.duration_ns / 1e9,
        "taker_fee_bps": _text(view.taker_fee_bps),
        "in_progress": [
            {"source": each.source, "reason": each.reason, "slices": sum(market.slices for market in each.markets)}
            for each in view.in_progress
        ],
        "markets": [
            {
                "instrument": market.instrument.symbol,
                "position": plain(market.position),
                "mark": _text(market.mark),
                "as_of": iso_time(market.mark_ns) if market.mark_ns else None,
                "unrealised": plain(market.unrealised),
                "slices": market.slices,
                "slice_size": plain(market.slice_size),
                "worst_price": _text(market.worst_price),
                "cost_at_touch": _text(market.cost_at_touch),
                "cost_at_worst": _text(market.cost_at_worst),
                "fees": _text(market.fees),
                "dust": plain(market.dust),
            }
            for market in view.markets
        ],
    }

"""`mmframe breakeven`: what a round trip earns, which spread breaks even and how much volume pays the fixed costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, paint
from mmframe.errors import DomainError, UsageError

if TYPE_CHECKING:
    from mmframe.builtin.economics import Economics, Sensitivity, TradingCase

__all__ = ["breakeven_command"]

_OPTIONS = {
    "spread_bps": ("--spread-bps", "Between our bid and our ask, bps of the mid."),
    "maker_fee_bps": ("--maker-fee-bps", "Fee of each fill; a rebate is negative."),
    "adverse_bps": ("--adverse-bps", "Expected move of the mid against us after a fill."),
    "order_value_quote": ("--order-value", "Value of one fill, quote asset."),
    "fills_per_day": ("--fills-per-day", "Fills of both sides; needs --order-value."),
    "volume_per_day_quote": ("--volume-per-day", "Value of all fills instead, quote asset."),
    "fixed_cost_per_day_quote": ("--fixed-cost-per-day", "What is paid whether or not anything trades, quote asset."),
    "holding_s": ("--holding-s", "Seconds between the two fills of a round trip."),
    "funding_bps_per_day": ("--funding-bps-per-day", "Paid for carrying a position a day; negative is earned."),
    "sigma_bps_per_sqrt_s": ("--sigma-bps", "Volatility, bps per root second; needs --risk-aversion."),
    "risk_aversion": ("--risk-aversion", "Gamma, 1 / quote asset; needs --sigma-bps, --holding-s, --order-value."),
}
"""Field of `TradingCase`: its option and what it is for."""

_EPILOG = """\
\b
Examples:
  mmframe breakeven --spread-bps 8 --maker-fee-bps 1 --adverse-bps 1.5
  mmframe breakeven --spread-bps 8 --maker-fee-bps 1 --adverse-bps 1.5 --order-value 500 --fills-per-day 400 \\
      --fixed-cost-per-day 24
  mmframe breakeven --spread-bps 4 --maker-fee-bps -0.5 --volume-per-day 1e6 --json

A round trip is one buy and one sell of the same value, both as a maker; volume counts both. `mmframe.builtin.economics`
has the same as functions, with the formulas.

With --json, stdout holds one object: inputs, results (inventory_bps, edge_bps, break_even_spread_bps,
break_even_spread_with_fixed_bps, edge_per_round_trip_quote, volume_per_day_quote, pnl_per_day_quote,
minimum_volume_per_day_quote) and sensitivity (a list). null is a figure for which a number was not given, or a volume
that does not exist.
"""


def _case_options(command: Any) -> Any:
    for name, (option, text) in reversed(_OPTIONS.items()):
        command = click.option(option, name, type=float, required=name == "spread_bps", metavar="NUMBER", help=text)(
            command
        )
    return command


@click.command(epilog=_EPILOG, short_help="Say which spread and volume pay for fees, adverse moves and inventory.")
@_case_options
@json_option
def breakeven_command(*, as_json: bool, **inputs: float | None) -> int:
    """Say what a round trip earns, which spread breaks even, and how much volume a day pays the fixed costs."""
    from mmframe.builtin.economics import TradingCase, economics, sensitivity

    given = {name: value for name, value in inputs.items() if value is not None}
    try:
        case = TradingCase(**given)
        result, moved = economics(case), sensitivity(case)
    except DomainError as error:
        raise UsageError(_with_option(error.message), hint="`mmframe breakeven --help` shows what it takes") from error
    if as_json:
        write_json(
            {
                "inputs": {name: getattr(case, name) for name in _OPTIONS},
                "results": result._asdict(),
                "sensitivity": [row._asdict() for row in moved],
            }
        )
    else:
        write_lines(_lines(case, result, moved))
    return 0


def _with_option(message: str) -> str:
    """Return the message with the options' names instead of the fields'."""
    for name, (option, _) in _OPTIONS.items():
        message = message.replace(name, option)
    return message


def _lines(case: TradingCase, result: Economics, moved: tuple[Sensitivity, ...]) -> list[str]:
    verdict = "earns" if result.edge_bps > 0 else "loses" if result.edge_bps < 0 else "earns nothing:"
    lines = [
        paint(f"A round trip at {case.spread_bps:g} bps {verdict} {abs(result.edge_bps):.4g} bps", bold=True)
        + f"; it breaks even at {result.break_even_spread_bps:.4g} bps."
    ]
    lines += ["", paint("A round trip", bold=True), *columns(_round_trip(case, result), numeric=(1,))]
    day = _day(case, result)
    if day:
        lines += ["", paint("A day", bold=True), *columns(day, numeric=(1,))]
    return [*lines, "", *_sensitivity_table(moved, has_pnl=result.pnl_per_day_quote is not None)]


def _sensitivity_table(moved: tuple[Sensitivity, ...], *, has_pnl: bool) -> list[str]:
    headings = ("10 % less and more of", "from", "to", "edge bps", "", "P&L a day", "")
    rows = [
        (
            _OPTIONS[row.name][0],
            f"{row.low:.6g}",
            f"{row.high:.6g}",
            f"{row.edge_bps_at_low:+.4f}",
            f"{row.edge_bps_at_high:+.4f}",
            _amount(row.pnl_per_day_quote_at_low),
            _amount(row.pnl_per_day_quote_at_high),
        )
        for row in moved
    ]
    if has_pnl:
        return columns(rows, headings=headings, indent=0, numeric=(1, 2, 3, 4, 5))
    return columns([row[:5] for row in rows], headings=headings[:5], indent=0, numeric=(1, 2, 3))


def _round_trip(case: TradingCase, result: Economics) -> list[tuple[str, str, str]]:
    rows = [
        ("spread", _bps(case.spread_bps), "bps"),
        ("two maker fees", _bps(-2.0 * case.maker_fee_bps), "bps" + (", a rebate" if case.maker_fee_bps < 0 else "")),
        ("two adverse moves", _bps(-2.0 * case.adverse_bps), "bps"),
        ("inventory", _bps(-result.inventory_bps), "bps"),
        ("edge", _bps(result.edge_bps), "bps of one fill's value"),
    ]
    if result.edge_per_round_trip_quote is not None:
        rows.append(("", f"{result.edge_per_round_trip_quote:+,.4f}", "in the quote asset"))
    return rows


def _day(case: TradingCase, result: Economics) -> list[tuple[str, str, str]]:
    rows = []
    if result.volume_per_day_quote is not None:
        rows.append(("volume", f"{result.volume_per_day_quote:,.2f}", "both sides"))
    if result.pnl_per_day_quote is not None:
        fixed = f", after {case.fixed_cost_per_day_quote:,.2f} of fixed costs" if case.fixed_cost_per_day_quote else ""
        rows.append(("expected P&L", f"{result.pnl_per_day_quote:+,.2f}", f"in the quote asset{fixed}"))
    if case.fixed_cost_per_day_quote:
        least = result.minimum_volume_per_day_quote
        what = "pays the fixed costs" if least is not None else "no volume pays the fixed costs at this spread"
        rows.append(("minimum volume", "-" if least is None else f"{least:,.2f}", what))
        if result.break_even_spread_with_fixed_bps is not None:
            rows.append(
                ("break-even spread", f"{result.break_even_spread_with_fixed_bps:.4f}", "bps, fixed costs included")
            )
    return rows


def _bps(value: float) -> str:
    # What is nothing has no sign.
    return f"{value:+.4f}" if value else "0.0000"


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:+,.2f}"

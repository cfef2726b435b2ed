"""The command `mmframe drill`: what becomes of a strategy when its exchange goes wrong, before money is at risk."""

from __future__ import annotations

import json
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mmframe.errors import ExitCode, UsageError
from mmframe.testing.drill import DrillSubject, run_drill
from mmframe_localvenue.drill import DRILLS, KEY, KEY_OPTIONS, SECRET, dialect_of, open_local_peer, options_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.testing.drill import Drill, DrillResult

__all__ = ["drill"]

_NAMES = tuple(each.name for each in DRILLS)

_EPILOG = """\
\b
Examples:
  mmframe drill strategy.toml                        all faults, eight at a time
  mmframe drill strategy.toml --only lost-reply      one fault
  mmframe drill --list                               what can go wrong

The strategy's own file runs in mode live, with its own feed and venue plugins on real sockets, against a local venue
that speaks the exchange's protocol. No real key is read and nothing leaves this machine. After each fault the orders
must agree with the venue's, the position must be the sum of its executions, and quoting must go on by itself.
Ends with status 0 if everything held, 4 if not.
"""


def _prices(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, Decimal]:
    prices = {}
    for value in values:
        symbol, _, text = value.partition("=")
        try:
            prices[symbol] = Decimal(text)
        except InvalidOperation:
            prices[symbol] = Decimal(0)
        if not (prices[symbol].is_finite() and prices[symbol] > 0):
            message = f"expected SYMBOL=PRICE such as BTC/USDT=50000, was {value!r}"
            raise click.BadParameter(message, ctx=ctx, param=parameter)
    return prices


def _list(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's way
    if value:
        width = max(map(len, _NAMES))
        click.echo("\n".join(f"{each.name:{width}}  {each.summary}" for each in DRILLS))
        ctx.exit()


@click.command(epilog=_EPILOG, short_help="Try a strategy against a venue that goes wrong on purpose.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--only", multiple=True, type=click.Choice(_NAMES), metavar="NAME", help="This fault; may be repeated.")
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="Show the faults and end."
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    callback=_prices,
    metavar="SYMBOL=PRICE",
    help="Where a market begins; by default where an order is worth half of gate.max_order_notional_quote.",
)
@click.option("--at-once", type=click.IntRange(1, 32), default=8, show_default=True, help="Faults tried side by side.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout instead of text.")
def drill(file: Path, *, only: Sequence[str], prices: dict[str, Decimal], at_once: int, as_json: bool) -> int:
    """Run the strategy in FILE against a venue that goes wrong on purpose, one fault at a time."""
    os.environ["MMFRAME_DRILL_KEY"], os.environ["MMFRAME_DRILL_SECRET"] = KEY, SECRET
    subject = DrillSubject(file, KEY_OPTIONS)
    dialect_of(subject.use)
    unknown = sorted(prices.keys() - {instrument.symbol for instrument in subject.instruments})
    if unknown:
        message = f"--price: expected a market of {file}, was {unknown[0]!r}"
        raise UsageError(message)
    chosen = [each for each in DRILLS if not only or each.name in only]
    with _progress() as progress:
        task = progress.add_task("drills", total=len(chosen))
        results = anyio.run(
            _run_all, subject, chosen, {**subject.prices(), **prices}, at_once, lambda: progress.advance(task)
        )
    if as_json:
        click.echo(json.dumps(_object(file, results), indent=2))
    else:
        Console().print(_table(results))
        for line in _failures(results):
            click.echo(line)
    return int(ExitCode.OK if all(result.is_passed for result in results) else ExitCode.VENUE)


async def _run_all(
    subject: DrillSubject,
    chosen: Sequence[Drill],
    prices: dict[str, Decimal],
    at_once: int,
    on_done: Callable[[], None],
) -> list[DrillResult]:
    results: dict[str, DrillResult] = {}
    limiter = anyio.CapacityLimiter(at_once)

    async def run(number: int, each: Drill) -> None:
        async with limiter:
            results[each.name] = await run_drill(
                each,
                lambda peer: subject.plan(options_for(subject.use, peer.venue), run_id=f"{number:x}"),
                lambda: open_local_peer(subject.use, subject.instruments, prices, seed=number + 1),
            )
        on_done()

    async with anyio.create_task_group() as tasks:
        for number, each in enumerate(chosen):
            tasks.start_soon(run, number, each)
    return [results[each.name] for each in chosen]


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _table(results: Sequence[DrillResult]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("fault", "held", "pulled", "quoting again", "what goes wrong"):
        table.add_column(heading, justify="right" if heading in {"pulled", "quoting again"} else "left")
    for result in results:
        style, word = ("green", "yes") if result.is_passed else ("bold red", "NO")
        table.add_row(
            result.drill.name,
            f"[{style}]{word}[/]",
            _shown(result, "pulled_after_ms", "ms"),
            _shown(result, "resumed_after_s", "s"),
            result.drill.summary,
        )
    return table


def _shown(result: DrillResult, name: str, unit: str) -> str:
    value = result.figures.get(name, -1.0)
    return "" if value < 0 else f"{value:.1f} {unit}"


def _failures(results: Sequence[DrillResult]) -> list[str]:
    broken = [(result, check) for result in results for check in result.checks if not check.is_kept]
    lines = [f"{result.drill.name}: {check.name}: {check.text}" for result, check in broken]
    passed = sum(result.is_passed for result in results)
    return [*lines, f"{passed} of {len(results)} faults: everything held"]


def _object(file: Path, results: Sequence[DrillResult]) -> dict[str, object]:
    return {
        "strategy_file": str(file),
        "is_passed": all(result.is_passed for result in results),
        "drills": [
            {
                "name": result.drill.name,
                "summary": result.drill.summary,
                "is_passed": result.is_passed,
                "figures": dict(result.figures),
                "checks": [
                    {"name": check.name, "is_kept": check.is_kept, "text": check.text} for check in result.checks
                ],
            }
            for result in results
        ],
    }

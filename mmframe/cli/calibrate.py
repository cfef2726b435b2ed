"""`mmframe calibrate`: measure on recorded data what a quoting model must be told, and write it as TOML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mmframe.cli.errors import error_text
from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import note, shown_path
from mmframe.errors import DomainError, ExitCode, FeedError, MmframeError, UsageError

if TYPE_CHECKING:
    from mmframe.cli.calibration import Calibrated, Target
    from mmframe.runtime.plan import HistoryPlan

__all__ = ["calibrate_command"]

_FILL_INTENSITY, _MICRO_PRICE = "fill-intensity", "micro-price"
_STDOUT = "-"
_OWN_OPTIONS = {
    _FILL_INTENSITY: ("distances", "window_ns", "fit_range", "horizon_ns", "optimizer"),
    _MICRO_PRICE: ("imbalance_buckets", "spreads", "table"),
}
"""Options that only one of the models has."""
_OPTION_OF = {
    "distances": "--distances",
    "fit_range": "--fit-range",
    "window_s": "--window",
    "horizon_s": "--horizon",
    "imbalance_buckets": "--imbalance-buckets",
    "spreads": "--spreads",
}
"""What the estimators call a choice, and where it was made."""

_EPILOG = """\
\b
Examples:
  mmframe calibrate strategy.toml                            A, k and sigma, and the TOML for glft
  mmframe calibrate strategy.toml --fit-range 1:6 --toml glft.toml
  mmframe calibrate strategy.toml --window 2s --distances 0.5:20:1 --json
  mmframe calibrate strategy.toml --model micro-price        the table of stoikov-micro-price

fill-intensity: on each side an order without size is followed at several distances from the mid and posted anew every
--window. Its fills over the time it waited, also in vain, are the rate at that distance; A exp(-k distance) is fitted
to them over --fit-range by Poisson likelihood. Distances are in ticks from the mid: LO:HI, LO:HI:STEP or a list such as
0.5,1.5,3; multiples of a half, at least 1 apart.

micro-price: the table is written to --table, by default beside FILE.

Exit status: 0 figures were found, also when warnings stand beside them; 2 wrong usage or strategy file; 3 a plugin; 4
the data do not tell: no trades, no book, or a rate of fills that does not fall with the distance.

With --json, stdout holds one object: strategy, market, model, data, is_usable, warnings, toml (the text, or null),
toml_file, and, for fill-intensity, tick_size, mid, half_spread_ticks, window_s, fit_range_ticks, distances (each with
its counts by side), fits (both, bids, asks), sigma and quoted; for micro-price, table (the file), imbalance_buckets,
spreads, adjustments_ticks and observations.
"""


def _duration(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    from mmframe.config.durations import duration_ns

    try:
        return duration_ns(value)
    except DomainError as error:
        raise click.BadParameter(error.message, ctx=ctx, param=parameter) from None


def _distances(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    try:
        if ":" not in value:
            return tuple(float(part) for part in value.split(","))
        first, last, *rest = (float(part) for part in value.split(":"))
        (step,) = rest or (1.0,)
        steps = int((last - first) / step)
        if not 0 <= steps < 1_000:
            raise ValueError
        return tuple(first + step * number for number in range(steps + 1))
    except (ValueError, ArithmeticError):
        message = f"expected LO:HI, LO:HI:STEP or numbers with commas between, was {value!r}"
        raise click.BadParameter(message, ctx=ctx, param=parameter) from None


def _fit_range(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        first, last = (float(part) for part in value.split(":"))
    except ValueError:
        message = f"expected LO:HI in ticks, was {value!r}"
        raise click.BadParameter(message, ctx=ctx, param=parameter) from None
    return first, last


@click.command(epilog=_EPILOG, short_help="Measure the parameters of a quoting model on recorded data.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--market", "symbol", metavar="SYMBOL", help="The market; by default the first one.")
@click.option(
    "--model",
    type=click.Choice([_FILL_INTENSITY, _MICRO_PRICE]),
    default=_FILL_INTENSITY,
    show_default=True,
    help="What to measure: A, k and sigma, or the table of the signal stoikov-micro-price.",
)
@click.option("--for", "limit_ns", metavar="TIME", callback=_duration, help="Read only the first part, such as 1h.")
@click.option("--distances", metavar="TICKS", callback=_distances, help="Where orders rest; by default as data reach.")
@click.option(
    "--window",
    "window_ns",
    metavar="TIME",
    callback=_duration,
    default="5s",
    show_default=True,
    help="Time after which orders are posted anew at the mid: about as long as a quote rests.",
)
@click.option(
    "--fit-range",
    metavar="LO:HI",
    callback=_fit_range,
    help="Distances to fit, in ticks; by default from as near as the curve holds where glft would quote.",
)
@click.option(
    "--horizon",
    "horizon_ns",
    metavar="TIME",
    callback=_duration,
    default="10s",
    show_default=True,
    help="Time over which a move of the mid counts for sigma.",
)
@click.option(
    "--optimizer",
    type=click.Choice(["glft", "avellaneda-stoikov", "cartea-jaimungal"]),
    default="glft",
    show_default=True,
    help="The model that the TOML is for.",
)
@click.option(
    "--imbalance-buckets", metavar="N", type=int, default=9, show_default=True, help="Of the micro-price table; odd."
)
@click.option("--spreads", metavar="N", type=int, default=3, show_default=True, help="Of the micro-price table.")
@click.option("--table", type=click.Path(path_type=Path), metavar="PATH", help="Where the micro-price table goes.")
@click.option("--toml", metavar="PATH|-", help="Write the TOML to a file; - writes it alone to stdout.")
@json_option
@click.option("--quiet", "-q", is_flag=True, help="Show no progress.")
@click.pass_context
def calibrate_command(  # noqa: PLR0913 - one parameter for each option
    ctx: click.Context,
    /,
    *,
    file: Path,
    symbol: str | None,
    model: str,
    limit_ns: int | None,
    toml: str | None,
    as_json: bool,
    quiet: bool,
    **choices: Any,
) -> int:
    """Measure on the [history] of FILE what a quoting model must be told, say how far to trust it, and write the TOML.

    The rest of FILE may still be incomplete. Progress goes to stderr, the result to stdout.
    """
    from mmframe.cli.calibration import Target, measure_fill_intensity, measure_micro_price
    from mmframe.registry import compose_history

    _require_one_use(ctx, model, toml, as_json=as_json)
    plan = compose_history(file, blocked=blocked_names(ctx))
    _require_own_file(toml)
    target = Target(plan=plan, market=_market(plan, symbol), limit_ns=limit_ns, is_quiet=quiet)
    try:
        if model == _FILL_INTENSITY:
            found = measure_fill_intensity(target, **{name: choices[name] for name in _OWN_OPTIONS[model]})
        else:
            found = measure_micro_price(target, **{name: choices[name] for name in _OWN_OPTIONS[model]})
    except DomainError as error:
        raise _located(error, target) from error
    if toml is not None and toml != _STDOUT and found.toml is not None:
        _write(Path(toml), found.toml)
    if as_json:
        written = None if toml is None or found.toml is None else str(Path(toml).absolute())
        write_json({**found.answer, "toml": found.toml, "toml_file": written})
    elif toml == _STDOUT:
        for line in found.lines:
            note(line)
        if found.toml is not None:
            write_lines(found.toml.splitlines())
    else:
        write_lines([*found.lines, *_closing_lines(found, toml, file)])
    if found.toml is None:
        hint = "look at the rates by distance; --distances and --fit-range choose others"
        note(error_text(_located(DomainError(found.trouble.rstrip("."), hint=hint), target)))
        return int(ExitCode.VENUE)
    return int(ExitCode.OK)


def _require_one_use(ctx: click.Context, model: str, toml: str | None, *, as_json: bool) -> None:
    if as_json and toml == _STDOUT:
        message = "--json and --toml -: expected at most one of them"
        raise UsageError(message, hint="the object that --json writes holds the TOML as `toml`")
    for other, names in _OWN_OPTIONS.items():
        for name in names if other != model else ():
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                option = next(parameter.opts[0] for parameter in ctx.command.params if parameter.name == name)
                message = f"{option}: expected --model {other} beside it, was {model}"
                raise UsageError(message)


def _require_own_file(toml: str | None) -> None:
    """Refuse to write over anything that is no snippet, such as the strategy file itself."""
    from mmframe.cli.calibration import TOML_MARK

    if toml is None or toml == _STDOUT:
        return
    try:
        head = Path(toml).read_bytes()[: len(TOML_MARK)]
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"--toml: expected a file that can be written, was {toml!r}: {error.strerror}"
        raise UsageError(message) from error
    if head and head != TOML_MARK.encode():
        message = f"--toml: expected a new file or one that this command wrote, was {toml!r}"
        raise UsageError(message, hint="name another one, and copy the tables from there")


def _market(plan: HistoryPlan, symbol: str | None) -> int:
    symbols = [instrument.symbol for instrument in plan.instruments]
    if symbol is None:
        if len(symbols) > 1:
            note(f"of {symbols[0]}; --market names another of {', '.join(symbols)}")
        return 0
    if symbol not in symbols:
        message = f"--market: expected one of {', '.join(symbols)}, was {symbol!r}"
        raise UsageError(message, hint=f"the markets are those of {plan.strategy_file}")
    return symbols.index(symbol)


def _located(error: DomainError, target: Target) -> MmframeError:
    """Return an estimator's refusal as what it means here: a wrong option, or data that do not tell."""
    name, _, rest = error.message.partition(":")
    if name in _OPTION_OF:
        return UsageError(f"{_OPTION_OF[name]}:{rest}", hint=error.hint)
    plan = target.plan
    return FeedError(
        f"{plan.strategy_file}: {target.instrument.symbol} in {plan.use}: {error.message}", hint=error.hint
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"--toml: expected a file that can be written, was {str(path)!r}: {error.strerror}"
        raise UsageError(message) from error


def _closing_lines(found: Calibrated, toml: str | None, file: Path) -> list[str]:
    if found.toml is None:
        return []
    if toml is not None:
        return ["", f"{shown_path(toml)} holds the tables for {file.name}."]
    return ["", f"Put this into {file.name}:", "", *found.toml.splitlines()]

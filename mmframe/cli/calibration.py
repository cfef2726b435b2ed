"""What `mmframe calibrate` finds on a recording: as lines, as JSON and as the TOML of a strategy file."""

from __future__ import annotations

import textwrap
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.calibration import calibrate_fill_intensity, read_tape
from mmframe.builtin.calibration.volatility import SAMPLES_PER_HORIZON
from mmframe.builtin.signals.micro_price_table import (
    calibrate_micro_price,
    load_micro_price_table,
    save_micro_price_table,
    touches_of,
)
from mmframe.cli.reading import reading
from mmframe.cli.text import columns, count, duration, iso_time, paint, shown_path, wall_time
from mmframe.config.text import toml_text
from mmframe.errors import DomainError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.builtin.calibration import DistanceCount, FillIntensity, FittedSide
    from mmframe.builtin.signals.micro_price_table import MicroPriceTable
    from mmframe.domain.instrument import Instrument
    from mmframe.runtime.plan import HistoryPlan

__all__ = ["TOML_MARK", "Calibrated", "Target", "measure_fill_intensity", "measure_micro_price"]

TOML_MARK = "# Written by `mmframe calibrate`"
"""How every snippet begins: a file that does may be written over."""
_BPS = 10_000.0
_TOML_WIDTH = 110
_INVENTORY_STD_ORDERS = 3.0
"""What the snippet asks for; the reader is told to choose."""
_WINDOW_HORIZONS = 30
_OBSERVATIONS_MIN = 30
"""A state that came more rarely has an adjustment that is mostly chance."""


@attrs.frozen(kw_only=True)
class Target:
    """What is measured: one market of a recording.

    Attributes:
        limit_ns: Read so much of the recording only, or None.
        is_quiet: Show no progress.
    """

    plan: HistoryPlan
    market: int
    limit_ns: int | None = None
    is_quiet: bool = False

    @property
    def instrument(self) -> Instrument:
        """Return the market's instrument."""
        return self.plan.instruments[self.market]


@attrs.frozen(kw_only=True)
class Calibrated:
    """What was found.

    Attributes:
        lines: For a person.
        answer: For a machine.
        toml: Tables for the strategy file; None when the figures are of no use.
        trouble: Why they are not.
    """

    lines: tuple[str, ...]
    answer: dict[str, Any]
    toml: str | None
    trouble: str = ""


# --- fill intensity --------------------------------------------------------------------------------------------------


def measure_fill_intensity(  # noqa: PLR0913 - one keyword for each option of the command
    target: Target,
    *,
    distances: Sequence[float] | None,
    window_ns: int,
    fit_range: tuple[float, float] | None,
    horizon_ns: int,
    optimizer: str,
) -> Calibrated:
    """Return A, k and sigma of the recording, and the tables of the optimizer and of its volatility.

    Raises:
        DomainError: If a choice cannot be, or the recording has no trades or no touch.
        DataError: If the recording cannot be read.
    """
    title = f"reading {target.instrument.symbol}"
    with reading(target.plan.history, title, is_quiet=target.is_quiet) as watched:
        tape = read_tape(watched, SortedBook(), market=target.market, limit_ns=target.limit_ns)
    found = calibrate_fill_intensity(
        tape,
        tick=target.instrument.tick,
        window_s=window_ns / 1e9,
        distances_ticks=distances,
        fit_range_ticks=fit_range,
        horizon_s=horizon_ns / 1e9,
        inventory_std_orders=_INVENTORY_STD_ORDERS,
    )
    span_ns = tape.start_ns, tape.end_ns
    toml = None
    if found.is_usable:
        toml = _intensity_toml(target, found, span_ns, optimizer=optimizer, horizon_s=horizon_ns / 1e9)
    return Calibrated(
        lines=tuple(_intensity_lines(target, found, span_ns)),
        answer=_intensity_object(target, found, span_ns),
        toml=toml,
        trouble=found.warnings[0] if toml is None else "",
    )


def _intensity_lines(target: Target, found: FillIntensity, span_ns: tuple[int, int]) -> list[str]:
    first, last = found.fit_range_ticks
    rows = [
        *_data_rows(target, span_ns),
        ("trades", _trades_text(found)),
        (
            "mid",
            f"{found.mid:.6g} {target.instrument.quote} on average, half the spread {found.half_spread_ticks:g} ticks",
        ),
        ("orders", f"posted anew every {found.window_s:g} s, fitted from {first:g} to {last:g} ticks"),
    ]
    return [
        paint(f"{target.plan.name}: fill intensity of {target.instrument.symbol}", bold=True),
        *columns(rows),
        "",
        *_distance_table(found),
        "",
        *_fit_table(target, found),
        "",
        *columns(_consequence_rows(target, found)),
        "",
        *_verdict_lines(found.warnings, is_usable=found.is_usable),
    ]


def _distance_table(found: FillIntensity) -> list[str]:
    fit = found.both.fit
    rows = []
    for bids, asks, both in zip(found.bids, found.asks, found.pooled, strict=True):
        is_fitted = fit is not None and found.is_fitted(both)
        rows.append(
            (
                f"{both.distance / found.tick:.1f}",
                f"{both.distance / found.mid * _BPS:.2f}",
                duration(round(both.exposure_s * 1e9)),
                count(bids.fills),
                count(asks.fills),
                f"{both.rate_per_s:.5f}",
                f"{both.rate_std_error:.5f}" if both.fills else "-",
                f"{fit.rate_per_s(both.distance):.5f}" if fit is not None and is_fitted else "-",
            )
        )
    headings = ("ticks", "bps", "waited", "bid fills", "ask fills", "rate 1/s", "±", "fit 1/s")
    return columns(rows, headings=headings, numeric=range(7))


def _fit_table(target: Target, found: FillIntensity) -> list[str]:
    rows = []
    for name, side in (("both", found.both), ("bids", found.bid_side), ("asks", found.ask_side)):
        fit = side.fit
        if fit is None:
            rows.append((name, *["-"] * 6, side.trouble))
            continue
        dispersion = f"{fit.dispersion:.2f}" if fit.degrees_of_freedom else "-"
        rows.append(
            (
                name,
                f"{fit.arrival_rate_per_s:.4g}",
                f"{fit.arrival_rate_std_error:.2g}",
                _error_text(side.arrival_rate_block_error),
                f"{fit.decay:.4g}",
                f"{fit.decay_std_error:.2g}",
                _error_text(side.decay_block_error),
                f"{count(fit.fills)} fills, chi2/dof {dispersion}, R2 {fit.pseudo_r2:.3f}",
            )
        )
    headings = ("", "A 1/s", "± fit", "± parts", f"k 1/{target.instrument.quote}", "± fit", "± parts", "goodness")
    return columns(rows, headings=headings, numeric=range(1, 7))


def _error_text(error: float) -> str:
    return f"{error:.2g}" if isfinite(error) else "-"


def _consequence_rows(target: Target, found: FillIntensity) -> list[tuple[str, str]]:
    rows = []
    quote, sigma, quoted = target.instrument.quote, found.volatility, found.quoted
    if sigma is not None:
        text = (
            f"{sigma.realised:.4g} ± {_error_text(sigma.realised_std_error)} {quote} per sqrt(s) "
            f"({sigma.realised / found.mid * _BPS:.3g} bps) over {sigma.horizon_s:g} s; "
            f"{sigma.two_scale:.4g} ± {_error_text(sigma.two_scale_std_error)} without the bounce of the touch"
        )
        rows.append(("sigma", text))
    if quoted is not None:
        nearest, flat, furthest = map(_short, (quoted.nearest_ticks, quoted.flat_ticks, quoted.furthest_ticks))
        text = (
            f"would quote {flat} ticks ({quoted.flat_ticks * found.tick / found.mid * _BPS:.3g} bps) from the mid when "
            f"flat, {nearest} and {furthest} with {quoted.inventory_std_orders:g} orders held"
        )
        rows.append(("glft", text))
    return rows


def _trades_text(found: FillIntensity) -> str:
    unknown = f", and {count(found.unknown_trades)} whose taker is not told" if found.unknown_trades else ""
    return f"{count(found.trades)}{unknown}"


def _intensity_object(target: Target, found: FillIntensity, span_ns: tuple[int, int]) -> dict[str, Any]:
    sigma, quoted = found.volatility, found.quoted
    rows = zip(found.bids, found.asks, found.pooled, strict=True)
    return {
        **_head_object(target, "fill-intensity", span_ns),
        "trades": found.trades,
        "unknown_trades": found.unknown_trades,
        "tick_size": str(target.instrument.tick_size),
        "mid": found.mid,
        "half_spread_ticks": found.half_spread_ticks,
        "window_s": found.window_s,
        "fit_range_ticks": list(found.fit_range_ticks),
        "distances": [_distance_object(found, *row) for row in rows],
        "fits": {
            "both": _fit_object(found.both),
            "bids": _fit_object(found.bid_side),
            "asks": _fit_object(found.ask_side),
        },
        "sigma": None if sigma is None else _finite(attrs.asdict(sigma)),
        "quoted": None if quoted is None else _finite(attrs.asdict(quoted)),
        "is_usable": found.is_usable,
        "warnings": list(found.warnings),
    }


def _distance_object(
    found: FillIntensity, bids: DistanceCount, asks: DistanceCount, both: DistanceCount
) -> dict[str, Any]:
    return {
        "distance_ticks": round(both.distance / found.tick, 1),
        "distance": both.distance,
        "is_fitted": found.is_fitted(both),
        **{
            name: _finite({**row._asdict(), "rate_per_s": row.rate_per_s, "rate_std_error": row.rate_std_error})
            for name, row in (("both", both), ("bids", bids), ("asks", asks))
        },
    }


def _fit_object(side: FittedSide) -> dict[str, Any]:
    if side.fit is None:
        return {"trouble": side.trouble}
    return _finite(
        {
            **attrs.asdict(side.fit),
            "degrees_of_freedom": side.fit.degrees_of_freedom,
            "arrival_rate_block_error": side.arrival_rate_block_error,
            "decay_block_error": side.decay_block_error,
        }
    )


def _intensity_toml(
    target: Target, found: FillIntensity, span_ns: tuple[int, int], *, optimizer: str, horizon_s: float
) -> str:
    fit = found.both.fit
    if fit is None:
        msg = "usable figures have a fit"
        raise AssertionError(msg)
    quote, sigma = target.instrument.quote, found.volatility
    first, last = found.fit_range_ticks
    figures = (
        f"A = {fit.arrival_rate_per_s:.4g} +- {found.both.arrival_rate_error:.2g} fills per s of a quote at the mid, "
        f"one side; k = {fit.decay:.4g} +- {found.both.decay_error:.2g} per {quote}, fitted from {first:g} to {last:g} "
        f"ticks ({count(fit.fills)} fills)."
    )
    told = [figures, *(f"Care: {warning}" for warning in found.warnings)]
    if sigma is not None:
        told.insert(1, f"Sigma was {sigma.realised:.4g} {quote} per sqrt(s) over {sigma.horizon_s:g} s.")
    signal = {
        "use": "realised-volatility",
        "name": "volatility",
        "horizon_s": horizon_s,
        "window_s": _WINDOW_HORIZONS * horizon_s,
        "sample_interval_ms": round(horizon_s * 1_000.0 / SAMPLES_PER_HORIZON),
    }
    model = {
        "use": optimizer,
        **({} if optimizer == "avellaneda-stoikov" else {"arrival_rate_per_s": _rounded(fit.arrival_rate_per_s)}),
        "decay_per_price": _rounded(fit.decay),
        "inventory_std_orders": _INVENTORY_STD_ORDERS,
    }
    notes = {
        "arrival_rate_per_s": "A, 1 / s",
        "decay_per_price": f"k, 1 / {quote}",
        "inventory_std_orders": "choose: how many orders the inventory may wander",
    }
    return _toml(target, span_ns, told, {"signal": signal, "optimizer": model}, notes)


# --- micro-price -----------------------------------------------------------------------------------------------------


def measure_micro_price(target: Target, *, imbalance_buckets: int, spreads: int, table: Path | None) -> Calibrated:
    """Write the table of `stoikov-micro-price`, and return what it holds and the table of the signal.

    Raises:
        DomainError: If a choice cannot be, or the mid of the recording never moves.
        DataError: If the recording cannot be read.
        UsageError: If the file cannot be written, or is something else.
    """
    name = f"micro-price-{target.instrument.venue_symbol.lower()}.json"
    path = target.plan.directory / name if table is None else table
    _require_table(path)
    with reading(target.plan.history, f"reading {target.instrument.symbol}", is_quiet=target.is_quiet) as watched:
        touches = touches_of(watched, SortedBook(), market=target.market, limit_ns=target.limit_ns)
        made = calibrate_micro_price(
            touches, tick_size=target.instrument.tick_size, imbalance_buckets=imbalance_buckets, spreads=spreads
        )
        start_ns, end_ns = watched.spans_ns[target.market]
    span_ns = start_ns, end_ns if target.limit_ns is None else min(end_ns, start_ns + target.limit_ns)
    try:
        save_micro_price_table(made, path)
    except OSError as error:
        message = f"--table: expected a file that can be written, was {str(path)!r}: {error.strerror}"
        raise UsageError(message) from error
    warnings = _micro_price_warnings(made)
    answer = {
        **_head_object(target, "micro-price", span_ns),
        "is_usable": True,
        "warnings": warnings,
        "table": str(path.absolute()),
        "imbalance_buckets": made.imbalance_buckets,
        "spreads": made.spreads,
        "adjustments_ticks": [value if isfinite(value) else None for value in made.adjustments_ticks],
        "observations": list(made.observations),
    }
    signal = {"use": "stoikov-micro-price", "table": _from_strategy(target, path)}
    told = [
        f"The mid that is to be expected: {count(sum(made.observations))} changes of the touch, with mirror images."
    ]
    return Calibrated(
        lines=tuple(_micro_price_lines(target, made, span_ns, warnings, path)),
        answer=answer,
        toml=_toml(target, span_ns, told, {"signal": signal}, {}),
    )


def _require_table(path: Path) -> None:
    """Refuse to write over anything but a table."""
    if not path.exists():
        return
    try:
        load_micro_price_table(path)
    except (DomainError, OSError) as error:
        message = f"--table: expected a new file or a micro-price table, was {str(path)!r}"
        raise UsageError(message, hint="name another one with --table") from error


def _micro_price_lines(
    target: Target, made: MicroPriceTable, span_ns: tuple[int, int], warnings: Sequence[str], path: Path
) -> list[str]:
    buckets = made.imbalance_buckets
    rows = []
    for spread in range(made.spreads):
        states = range(spread * buckets, (spread + 1) * buckets)
        more = " or more" if spread + 1 == made.spreads else ""
        adjustments = [made.adjustments_ticks[state] for state in states]
        rows.append(
            (
                f"{spread + 1}{more}",
                *(f"{round(value, 2) + 0.0:+.2f}" if isfinite(value) else "-" for value in adjustments),
                # Each change was counted with its mirror image, which has the same spread.
                count(sum(made.observations[state] for state in states) // 2),
            )
        )
    shares = [f"{(bucket + 0.5) / buckets:.2f}" for bucket in range(buckets)]
    return [
        paint(f"{target.plan.name}: micro-price of {target.instrument.symbol}", bold=True),
        *columns([*_data_rows(target, span_ns), ("table", shown_path(path))]),
        "",
        "Ticks above the mid, by spread and by bid size / (bid size + ask size):",
        "",
        *columns(rows, headings=("spread", *shares, "changes"), numeric=range(1, buckets + 1)),
        "",
        *_verdict_lines(warnings, is_usable=True),
    ]


def _micro_price_warnings(made: MicroPriceTable) -> list[str]:
    unknown = sum(not isfinite(value) for value in made.adjustments_ticks)
    rare = sum(0 < number < _OBSERVATIONS_MIN for number in made.observations)
    warnings = []
    if unknown:
        warnings.append(f"{unknown} of {len(made.observations)} states never came: there the signal has no value.")
    if rare:
        warnings.append(f"{rare} states came fewer than {_OBSERVATIONS_MIN} times: take fewer buckets or a longer day.")
    return warnings


def _from_strategy(target: Target, path: Path) -> str:
    """Return a path as the strategy file would write it."""
    path, folder = path.absolute(), target.plan.directory
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


# --- both ------------------------------------------------------------------------------------------------------------


def _data_rows(target: Target, span_ns: tuple[int, int]) -> list[tuple[str, str]]:
    start_ns, end_ns = span_ns
    length = duration(end_ns - start_ns)
    return [("data", f"{target.plan.use}, {wall_time(start_ns)} to {wall_time(end_ns)}, {length}")]


def _head_object(target: Target, model: str, span_ns: tuple[int, int]) -> dict[str, Any]:
    start_ns, end_ns = span_ns
    return {
        "strategy": target.plan.name,
        "market": target.instrument.symbol,
        "model": model,
        "data": {
            "use": target.plan.use,
            "start": iso_time(start_ns),
            "end": iso_time(end_ns),
            "seconds": (end_ns - start_ns) / 1e9,
        },
    }


def _verdict_lines(warnings: Sequence[str], *, is_usable: bool) -> list[str]:
    if not is_usable:
        verdict = paint("Not usable.", fg="red", bold=True)
    elif warnings:
        verdict = paint("Usable with care:", fg="yellow", bold=True)
    else:
        verdict = paint("Usable: nothing here speaks against these figures.", fg="green", bold=True)
    return [verdict, *columns([("-", warning) for warning in warnings])]


def _toml(
    target: Target,
    span_ns: tuple[int, int],
    told: Sequence[str],
    tables: dict[str, dict[str, Any]],
    notes: dict[str, str],
) -> str:
    """Return tables for the strategy file, under comments that say where the figures come from."""
    start_ns, end_ns = span_ns
    length = duration(end_ns - start_ns)
    is_one_of_many = len(target.plan.instruments) > 1
    lines = [f"{TOML_MARK} from {target.instrument.symbol}, {wall_time(start_ns)}, {length} of {target.plan.use}."]
    if is_one_of_many:
        told = [*told, f"These tables belong right below the [[markets]] table of {target.instrument.symbol}."]
    for sentence in told:
        lines += textwrap.wrap(sentence, _TOML_WIDTH, initial_indent="# ", subsequent_indent="#   ")
    for number, (kind, table) in enumerate(tables.items()):
        lines += [""] if number else []
        lines.append(f"[[{'markets.' if is_one_of_many else ''}{kind}]]")
        for key, value in table.items():
            line = f"{key} = {toml_text(value)}"
            lines.append(f"{line:<40}# {notes[key]}" if key in notes else line)
    return "\n".join(lines) + "\n"


def _rounded(value: float) -> float:
    """Return a figure with the digits that a standard error of a per cent leaves it, and two more."""
    return float(f"{value:.4g}")


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values as JSON holds them: it knows no NaN."""
    return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in values.items()}


def _short(value: float) -> str:
    """Return three digits, without an exponent where people would not write one."""
    return f"{float(f'{value:.3g}'):,.12g}"

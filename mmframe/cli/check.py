"""`mmframe check`: every problem of a strategy file at once, or what it would run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, paint, plain, program_name
from mmframe.config.text import json_value, toml_text
from mmframe.domain.kinds import Mode
from mmframe.domain.orders import ALL_MARKETS
from mmframe.plugin.options import Secret, Use
from mmframe.registry import check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.config.advice_tables import AdviserKeys
    from mmframe.domain.instrument import Instrument
    from mmframe.engine.settings import GateLimits, MarketSettings
    from mmframe.registry import CheckedComponent, CheckReport

__all__ = ["check_command"]

_EPILOG = """\
\b
Examples:
  mmframe check strategy.toml
  mmframe check strategy.toml --mode backtest
  mmframe check strategy.toml --json

Exit status: 0 it would run, 2 the file has problems, 3 plugins are all that is wrong.
"""


@click.command(epilog=_EPILOG, short_help="Show everything wrong with a strategy file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="Driver; the file's by default.")
@json_option
@click.pass_context
def check_command(ctx: click.Context, *, file: Path, mode: str | None, as_json: bool) -> int:
    """Go the way of `mmframe run FILE` up to the first connection: show all problems at once, or what would run."""
    report = check(file, mode=None if mode is None else Mode(mode), blocked=blocked_names(ctx))
    if as_json:
        write_json(_report_object(report))
    else:
        write_lines(_report_lines(report))
    return 0


def _report_lines(report: CheckReport) -> list[str]:
    where = "on virtual markets" if report.is_virtual else "on live market data"
    lines = [paint(f"{report.strategy_file}: no problems", fg="green", bold=True)]
    lines += [f"{report.name}, {report.mode.value} {where}", ""]
    for index, (instrument, settings) in enumerate(zip(report.instruments, report.settings.markets, strict=True)):
        lines += [paint(instrument.symbol, bold=True), *columns(_market_rows(instrument, settings))]
        lines += [*_component_lines(report, index), ""]
    lines += [paint("Around them", bold=True), *_component_lines(report, ALL_MARKETS)]
    if report.advisers:
        lines += ["", paint("Advice", bold=True), *columns(_adviser_rows(report.advisers))]
    for title, sentences in (("Warnings", report.warnings), ("Results will assume", report.assumptions)):
        if sentences:
            lines += ["", paint(title, bold=True), *columns([("-", sentence) for sentence in sentences])]
    used = ", ".join(f"{used.distribution} {used.version}" for used in report.provenance)
    return [*lines, "", f"Plugins  {used}", f"Run it   {program_name()} run {shlex.quote(str(report.strategy_file))}"]


def _market_rows(instrument: Instrument, settings: MarketSettings) -> list[tuple[str, str]]:
    base, quote = instrument.base, instrument.quote
    rows = [
        ("order size", f"{plain(instrument.size(settings.order_size_lots))} {base}, at most {_ladder(settings)}"),
        ("grid", f"tick {plain(instrument.tick_size)} {quote}, lot {plain(instrument.lot_size)} {base}"),
        ("limits", _limits_text(instrument, settings.limits)),
    ]
    if settings.target_position_lots:
        rows.insert(1, ("target", f"{plain(instrument.size(settings.target_position_lots))} {base}"))
    return rows


def _ladder(settings: MarketSettings) -> str:
    ladder = settings.ladder
    if ladder.levels == 1:
        return "one order a side"
    return f"{ladder.levels} orders a side, {ladder.spacing}"


def _limits_text(instrument: Instrument, limits: GateLimits) -> str:
    def lots(value: int | None) -> str:
        return "unlimited" if value is None else f"{plain(instrument.size(value))} {instrument.base}"

    def money(value: Any) -> str:
        return "unlimited" if value is None else f"{plain(value)} {instrument.quote}"

    parts = {
        "order": lots(limits.max_order_lots),
        "order value": money(limits.max_order_notional_quote),
        "position": lots(limits.max_position_lots),
        "position value": money(limits.max_position_notional_quote),
        "daily loss": money(limits.max_daily_loss_quote),
        "open orders": str(limits.max_open_orders),
        "orders a second": str(limits.max_orders_per_second),
        "price collar": f"{limits.price_collar_bps:g} bps",
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items())


def _adviser_rows(advisers: Mapping[str, AdviserKeys]) -> list[tuple[str, str]]:
    """Return when each adviser asks, what that may cost, and what its answers may change."""
    return [row for name, keys in advisers.items() for row in zip((name, "", ""), _adviser_texts(keys), strict=True)]


def _adviser_texts(keys: AdviserKeys) -> tuple[str, str, str]:
    bounds, budget = keys.bounds, keys.budget
    asks = f"asks every {keys.every_s:g} s" + "".join(f", on {trigger}" for trigger in keys.triggers)
    asks += f", waits {keys.timeout_s:g} s, advice lasts {keys.ttl_s:g} s"
    asks += "; replays recorded calls" if keys.replay is not None else ""
    cost, tokens = budget.max_cost_usd_per_day, budget.max_tokens_per_day
    spends = [
        "cost unlimited" if cost is None else f"at most ${cost:f} a day",
        *([] if tokens is None else [f"{tokens:,} tokens a day"]),
        f"{budget.max_requests_per_minute} requests a minute",
    ]
    moves = (
        f"distance x{bounds.min_spread_multiplier:g} to x{bounds.max_spread_multiplier:g}, size "
        f"x{bounds.min_size_multiplier:g} to x{bounds.max_size_multiplier:g}, position from x"
        f"{bounds.min_position_scale:g}, shift up to {bounds.max_skew_bps:g} bps, "
        f"{'may' if bounds.may_pause else 'may not'} pause; towards more risk {bounds.max_riskier_step:g} an answer"
    )
    return asks, ", ".join(spends), "shadow: changes nothing" if keys.shadow else moves


def _component_lines(report: CheckReport, market: int) -> list[str]:
    rows = [
        (
            component.key,
            component.use + (" (default)" if component.is_default else ""),
            _options_text(component.options),
        )
        for component in report.components
        if component.market == market
    ]
    return columns(rows)


def _options_text(options: Any) -> str:
    shown = _values(options)
    return ", ".join(f"{name} = {text}" for name, text in shown.items()) or "no options"


def _values(options: Any) -> dict[str, str]:
    return {
        field.alias or field.name: _value_text(value)
        for field in attrs.fields(type(options))
        if (value := getattr(options, field.name)) is not None
    }


def _value_text(value: Any) -> str:
    match value:
        case Secret():
            return str(value)
        case Use():
            inner = (
                "".join(f", {name} = {text}" for name, text in _values(value.options).items()) if value.options else ""
            )
            return f'{{ use = "{value.use}"{inner} }}'
        case _ if attrs.has(type(value)):
            return f"{{ {', '.join(f'{name} = {text}' for name, text in _values(value).items())} }}"
        case _:
            return toml_text(value)


def _value_object(value: Any) -> Any:
    match value:
        case Secret():
            return str(value)
        case Use():
            return {"use": value.use, **(_options_object(value.options) if value.options else {})}
        case tuple():
            return [_value_object(item) for item in value]
        case _ if attrs.has(type(value)):
            return _options_object(value)
        case _:
            return json_value(value)


def _options_object(options: Any) -> dict[str, Any]:
    return {
        field.alias or field.name: _value_object(getattr(options, field.name)) for field in attrs.fields(type(options))
    }


def _report_object(report: CheckReport) -> dict[str, Any]:
    return {
        "strategy": report.name,
        "mode": report.mode.value,
        "strategy_file": report.strategy_file,
        "strategy_hash": report.strategy_hash,
        "is_virtual": report.is_virtual,
        "markets": [
            {
                "instrument": instrument.symbol,
                "tick_size": plain(instrument.tick_size),
                "lot_size": plain(instrument.lot_size),
                "order_size": plain(instrument.size(settings.order_size_lots)),
                "limits": {name: json_value(value) for name, value in attrs.asdict(settings.limits).items()},
            }
            for instrument, settings in zip(report.instruments, report.settings.markets, strict=True)
        ],
        "components": [_component_object(component) for component in report.components],
        "advisers": [{**_options_object(keys), "name": name} for name, keys in report.advisers.items()],
        "warnings": list(report.warnings),
        "assumptions": list(report.assumptions),
        "plugins": [attrs.asdict(used) for used in report.provenance],
    }


def _component_object(component: CheckedComponent) -> dict[str, Any]:
    return {
        "key": component.key,
        "kind": component.kind.value,
        "use": component.use,
        "distribution": component.distribution,
        "version": component.version,
        "market": None if component.market == ALL_MARKETS else component.market,
        "is_default": component.is_default,
        "options": _options_object(component.options),
    }

"""What about the built-in risk controls of a strategy can never bind, told before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmframe.builtin.risk.emergency_liquidation import EMERGENCY_LIQUIDATION, TRIGGERS
from mmframe.builtin.risk.portfolio import PORTFOLIO
from mmframe.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mmframe.builtin.risk.emergency_liquidation import EmergencyLiquidationOptions
    from mmframe.plugin.plan import PlanSummary

__all__ = ["check_plan"]

_FACTOR = "position_factor"


def check_plan(plan: PlanSummary) -> Iterable[ConfigError]:
    """Return a problem for each control that can never bind and is there for a limit, a warning for the harmless."""
    return (*_factors_of_nothing(plan), *_small_portfolios(plan))


def _tables(plan: PlanSummary, name: str) -> dict[str, tuple[Any, list[int]]]:
    """Return by key the options of each table that uses a control, and the markets that it is for."""
    tables: dict[str, tuple[Any, list[int]]] = {}
    for component in plan.components:
        if component.use == f"core/{name}":
            tables.setdefault(component.key, (component.options, []))[1].append(component.market)
    return tables


def _factors_of_nothing(plan: PlanSummary) -> Iterator[ConfigError]:
    """Yield each `position_factor` that has no limit to multiply: beyond it no position ever is."""
    for table, (options, markets) in _tables(plan, EMERGENCY_LIQUIDATION.name).items():
        unlimited = [plan.instruments[market].symbol for market in markets if plan.max_positions[market] is None]
        if options.position_factor is None or not unlimited:
            continue
        key = f"{table}.{_FACTOR}"
        hint = "add `max_position` to [gate], or set another trigger"
        if len(unlimited) == len(markets) and _is_alone(options):
            text = "expected gate.max_position, of which it is a multiple, was none: this only trigger can never hold"
            yield ConfigError(f"{key}: {text}", key=key, hint=hint)
        else:
            text = f"expected gate.max_position, was none in {', '.join(unlimited)}: it never holds there"
            yield ConfigError(f"{key}: {text}", key=key, hint=hint, is_warning=True)


def _is_alone(options: EmergencyLiquidationOptions) -> bool:
    return all(getattr(options, name) is None for name in TRIGGERS if name != _FACTOR)


def _small_portfolios(plan: PlanSummary) -> Iterator[ConfigError]:
    """Yield each group of markets that is too small to be a portfolio: it is left alone, and nobody is told later."""
    for table, (options, markets) in _tables(plan, PORTFOLIO.name).items():
        key = f"{table}.min_markets"
        for quote in dict.fromkeys(plan.instruments[market].quote for market in markets):
            count = sum(instrument.quote == quote for instrument in plan.instruments)
            if count < options.min_markets:
                text = (
                    f"expected at least {options.min_markets} markets with quote asset {quote}, was {count}: "
                    f"'{PORTFOLIO.name}' never binds there"
                )
                yield ConfigError(f"{key}: {text}", key=key, is_warning=True)

"""What is wrong with the signals that a strategy lets its advisers tell, told before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.builtin.advisers import ADVISERS
from mmframe.builtin.signals import SIGNALS
from mmframe.builtin.signals._volatility_unit import QUOTE_UNIT, UNIT_WORDS
from mmframe.errors import ConfigError
from mmframe.plugin import ComponentKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mmframe.plugin.plan import ComponentUse, PlanSummary

__all__ = ["check_plan"]

_ADVISERS = {f"core/{spec.name}" for spec in ADVISERS}
_UNITS = {f"core/{spec.name}": spec.unit for spec in SIGNALS}


def check_plan(plan: PlanSummary) -> Iterable[ConfigError]:
    """Return a problem for each signal that is to be told and is not there, or would tell the price level.

    Signals of other plugins are taken as they are: what their values are in is not known here.
    """
    advisers = [use for use in plan.components if use.kind is ComponentKind.ADVISER and use.use in _ADVISERS]
    return [problem for adviser in advisers for problem in _problems(adviser, plan)]


def _problems(adviser: ComponentUse, plan: PlanSummary) -> Iterator[ConfigError]:
    options = adviser.options
    signals = [use for use in plan.components if use.kind is ComponentKind.SIGNAL]
    for option in ("signals", "price_signals"):
        for name in getattr(options, option):
            found = [signal for signal in signals if signal.provides == name]
            key = f"{adviser.key}.{option}"
            if not found:
                known = ", ".join(sorted({repr(signal.provides) for signal in signals})) or "none"
                yield ConfigError(
                    f"{key}: expected a signal of the strategy, was {name!r}", key=key, hint=f"there is: {known}"
                )
            elif option == "signals" and options.anonymise and any(map(_tells_price, found)):
                yield ConfigError(
                    f"{key}: expected signals that do not tell the price level, was {name!r}, in quote units",
                    key=key,
                    hint="give the signal a unit in bps where it has that option, name it in `price_signals` if it is "
                    "a price, or set `anonymise = false`",
                )


def _tells_price(signal: ComponentUse) -> bool:
    unit = _UNITS.get(signal.use, "")
    if unit == UNIT_WORDS:
        return bool(signal.options.unit == QUOTE_UNIT)
    return "quote unit" in unit

"""What is wrong with how a strategy feeds its stages with signals, told before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.signals import SIGNALS
from mmframe.builtin.signals._volatility_unit import QUOTE_UNIT, UNIT_WORDS
from mmframe.errors import ConfigError
from mmframe.plugin import ComponentKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mmframe.plugin.plan import ComponentUse, PlanSummary

__all__ = ["check_plan"]

_FIELD = "volatility"
_READERS = {f"core/{spec.name}" for spec in OPTIMIZERS if _FIELD in spec.needs}
_VOLATILITIES = {f"core/{spec.name}" for spec in SIGNALS if spec.unit == UNIT_WORDS}


def check_plan(plan: PlanSummary) -> Iterable[ConfigError]:
    """Return a problem for each volatility in bps or percent that a stage would take for quote units.

    A model fed with 60 (percent a year) instead of 5.34 (quote units per root second) quotes ten times too wide, and
    with another price ten times too close: no bound at run time tells that from a lively market.
    """
    problems = {problem.key: problem for problem in _problems(plan)}
    return problems.values()


def _problems(plan: PlanSummary) -> Iterator[ConfigError]:
    for signal in plan.components:
        if signal.provides != _FIELD or signal.use not in _VOLATILITIES or signal.options.unit == QUOTE_UNIT:
            continue
        reader = _reader(plan, signal.market)
        if reader is not None:
            key = f"{signal.key}.unit"
            use = reader.use.removeprefix("core/")
            yield ConfigError(
                f"{key}: expected {QUOTE_UNIT!r} of the signal {_FIELD!r}, which {use!r} reads, "
                f"was {signal.options.unit!r}",
                key=key,
                hint='remove `unit`, or give this signal another name with `name = "..."` and add one for the stage',
            )


def _reader(plan: PlanSummary, market: int) -> ComponentUse | None:
    readers = (use for use in plan.components if use.kind is ComponentKind.OPTIMIZER and use.market == market)
    return next((use for use in readers if use.use in _READERS), None)

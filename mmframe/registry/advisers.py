"""What a strategy's advisers need beyond their own options, and what is probably not meant about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mmframe.domain.kinds import Mode
from mmframe.runtime.advice.triggers import TRIGGER_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmframe.config.advice_tables import AdviserKeys
    from mmframe.config.problems import Problems
    from mmframe.registry.resolve import ParsedComponent, ParsedMarket

__all__ = ["ParsedAdviser", "adviser_warnings", "check_advisers"]

_APPLIES_ADVICE = "advice"
"""The built-in optimizer that does what advice says."""


@attrs.frozen
class ParsedAdviser:
    """One adviser of a strategy file with the provider that it asks.

    Attributes:
        name: What records call it; each once.
        keys: The kernel's keys in its table.
    """

    name: str
    component: ParsedComponent
    provider: ParsedComponent
    keys: AdviserKeys


def check_advisers(advisers: Sequence[ParsedAdviser], markets: Sequence[ParsedMarket], problems: Problems) -> None:
    """Report names that stand twice, triggers that could never go off, and recordings that are not there."""
    seen: dict[str, str] = {}
    for adviser in advisers:
        path = adviser.component.table.path
        if adviser.name in seen:
            text = f"expected each adviser's name once, was {adviser.name!r} again"
            problems.add((*path, "name"), text, hint=f'that of {seen[adviser.name]}; give this one a `name = "..."`')
        seen.setdefault(adviser.name, adviser.component.table.key)
        for trigger in adviser.keys.triggers:
            _check_trigger(adviser, trigger, markets, problems)
        replay = adviser.keys.replay
        if replay is not None and not replay.is_file():
            was = f"expected a journal or a file of calls, was a folder: {replay.name!r}"
            problems.add((*path, "replay"), was if replay.is_dir() else f"no such file: {replay.name!r}")


def _check_trigger(adviser: ParsedAdviser, trigger: str, markets: Sequence[ParsedMarket], problems: Problems) -> None:
    path = (*adviser.component.table.path, "triggers")
    names = TRIGGER_SIGNALS.get(trigger, ())
    for market in markets:
        title = market.config.title
        if names and not {name for name, _ in market.signals} & set(names):
            wanted = " or ".join(f"'{name}'" for name in names)
            text = f"{trigger!r} needs a signal named {wanted} in {title}, expected one, was none"
            problems.add(path, text, hint=f"add a `[[signal]]` that provides {wanted}, or remove the trigger")
        if not names and market.config.gate.max_position is None:
            text = f"{trigger!r} needs a limit on the position of {title}, expected gate.max_position, was none"
            problems.add(path, text, hint="add `max_position` to [gate], or remove the trigger")


def adviser_warnings(advisers: Sequence[ParsedAdviser], markets: Sequence[ParsedMarket], mode: Mode) -> Iterator[str]:
    """Yield what works and is probably not meant."""
    for adviser in advisers:
        key = adviser.component.table.key
        if mode is Mode.BACKTEST and adviser.keys.replay is None:
            yield f"{key}: a backtest asks nobody; without `replay` the advice of {adviser.name!r} is neutral"
        budget = adviser.keys.budget
        if mode is not Mode.BACKTEST and adviser.keys.replay is None and budget.max_cost_usd_per_day is None:
            yield f"{key}: no limit of cost: budget.max_cost_usd_per_day; {adviser.name!r} asks whatever it costs"
    uses = {optimizer.spec.name for market in markets for optimizer in market.optimizers}
    if any(not adviser.keys.shadow for adviser in advisers) and _APPLIES_ADVICE not in uses:
        yield 'no `[[optimizer]]` with `use = "advice"`: unless another stage reads advice, it changes nothing'

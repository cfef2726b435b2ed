"""The built-in plugin `core`: hands over the specs of every built-in component.

Each hook imports its components when it is called, so that asking for the optimizers costs no exchange.
"""

# ruff: noqa: PLC0415 - imports inside the hooks are the point, see above

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.errors import ConfigError
    from mmframe.plugin import (
        AdviserSpec,
        BookSpec,
        FeedSpec,
        OptimizerSpec,
        RiskControlSpec,
        SignalSpec,
        SinkSpec,
        VenueSpec,
    )
    from mmframe.plugin.plan import PlanSummary

__all__ = ["MMFRAME_API"]

MMFRAME_API = 1


@hookimpl
def mmframe_register_books() -> Iterable[BookSpec]:
    """Return the built-in book models."""
    from mmframe.builtin.books import BOOKS

    return BOOKS


@hookimpl
def mmframe_register_signals() -> Iterable[SignalSpec]:
    """Return the built-in signals."""
    from mmframe.builtin.signals import SIGNALS

    return SIGNALS


@hookimpl
def mmframe_register_optimizers() -> Iterable[OptimizerSpec]:
    """Return the built-in optimizers."""
    from mmframe.builtin.optimizers import OPTIMIZERS

    return OPTIMIZERS


@hookimpl
def mmframe_register_risk_controls() -> Iterable[RiskControlSpec]:
    """Return the built-in risk controls."""
    from mmframe.builtin.risk import RISK_CONTROLS

    return RISK_CONTROLS


@hookimpl
def mmframe_register_feeds() -> Iterable[FeedSpec]:
    """Return the built-in feeds."""
    from mmframe.builtin.exchange import FEEDS

    return FEEDS


@hookimpl
def mmframe_register_venues() -> Iterable[VenueSpec]:
    """Return the built-in venues."""
    from mmframe.builtin import exchange, simulated

    return (*exchange.VENUES, *simulated.VENUES)


@hookimpl
def mmframe_register_advisers() -> Iterable[AdviserSpec]:
    """Return the built-in advisers."""
    from mmframe.builtin.advisers import ADVISERS

    return ADVISERS


@hookimpl
def mmframe_register_sinks() -> Iterable[SinkSpec]:
    """Return the built-in sinks."""
    from mmframe.builtin.sinks import SINKS

    return SINKS


@hookimpl
def mmframe_check_plan(plan: PlanSummary) -> Iterable[ConfigError]:
    """Return what is wrong with how the strategy combines built-in components."""
    from mmframe.builtin import exchange
    from mmframe.builtin.advisers import check as advisers
    from mmframe.builtin.optimizers import check as optimizers
    from mmframe.builtin.risk import check as risk

    return (
        *exchange.check_plan(plan),
        *optimizers.check_plan(plan),
        *risk.check_plan(plan),
        *advisers.check_plan(plan),
    )

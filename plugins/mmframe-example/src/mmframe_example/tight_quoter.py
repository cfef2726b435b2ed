"""The optimizer `tight-quoter`: stands in front of the touch while there is room, except where pressure says not to."""

from __future__ import annotations

from math import floor, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.views import QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.domain.views import Advice, Inventory, MarketView

__all__ = ["SPREAD_TOO_NARROW", "TIGHT_QUOTER", "TightQuoterOptions"]

SPREAD_TOO_NARROW = int(Reason.PLUGIN) + 1
"""A plugin's own reasons start at `Reason.PLUGIN`; `reasons` of the spec gives `mmframe explain` the words."""

_NONE = int(Reason.NONE)
_WARMING_UP = int(Reason.WARMING_UP)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_GRID_TOLERANCE = 1e-6
"""Share of a tick that binary floats may be off by."""


@attrs.frozen
class TightQuoterOptions:
    """Options of `tight-quoter`: each is checked before a run starts, with file, line and nearest name."""

    improve_ticks: int = option(
        help="How far in front of the touch to stand, as far as there is room.",
        default=1,
        minimum=0,
        maximum=1_000,
        unit="ticks",
    )
    min_spread_ticks: int = option(
        help="No quotes while the market's own spread is narrower.", default=2, minimum=1, unit="ticks"
    )
    pressure_limit: float = option(
        help="Join the touch instead of improving it on the side that the pressure runs into.",
        default=0.3,
        minimum=0.0,
        maximum=1.0,
    )


class TightQuoterParams(NamedTuple):
    """The options as the rule reads them: numbers only."""

    improve_ticks: int
    min_spread_ticks: int
    pressure_limit: float


def tight_quoter(  # noqa: PLR0913, PLR0917 - the rule signature
    params: TightQuoterParams,
    state: list[float],  # noqa: ARG001 - the rule signature
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,  # noqa: ARG001 - replaced: this stage is meant to be the first
) -> QuoteProposal:
    """Return both quotes, or none with the reason why.

    A rule: numbers and tuples in, a tuple out, no objects, strings or exceptions, so that it can be compiled as it is.
    """
    signals: Any = view.signals  # a NamedTuple whose fields are the strategy's signals
    pressure = signals.touch_pressure
    reason = _NONE
    spread_ticks = floor((view.ask - view.bid) / view.tick + _GRID_TOLERANCE)
    if pressure != pressure:  # noqa: PLR0124 - only NaN differs from itself
        reason = _WARMING_UP
    elif not view.order_size > 0.0:
        reason = _BELOW_MINIMUM
    elif spread_ticks < params.min_spread_ticks:
        reason = SPREAD_TOO_NARROW
    if reason:
        return QuoteProposal(nan, 0.0, nan, 0.0, reason, reason)
    # At least one tick must stay between our own quotes.
    improve_ticks = min(params.improve_ticks, (spread_ticks - 1) // 2)
    bid_ticks = 0 if pressure < -params.pressure_limit else improve_ticks
    ask_ticks = 0 if pressure > params.pressure_limit else improve_ticks
    return QuoteProposal(
        view.bid + bid_ticks * view.tick,
        view.order_size,
        view.ask - ask_ticks * view.tick,
        view.order_size,
        _NONE,
        _NONE,
    )


def build(options: TightQuoterOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    """Return the optimizer of one market."""
    params = TightQuoterParams(options.improve_ticks, options.min_spread_ticks, options.pressure_limit)
    return OptimizerRule(tight_quoter, params)


TIGHT_QUOTER = OptimizerSpec(
    name="tight-quoter",
    summary="Stands in front of the touch while there is room, except where pressure says not to.",
    description="""\
    bid = best bid + improve_ticks x tick        ask = best ask - improve_ticks x tick

Where the spread has no room for both, each side improves by half of what there is, and one tick stays between them. The
ask only joins the touch while touch_pressure is above pressure_limit, as buyers wait and the price is likelier to rise;
the bid while it is below -pressure_limit. Sizes are the market's order size.

No quote: 1001 while the market's spread is narrower than min_spread_ticks, WARMING_UP before the first touch_pressure.

Needs the signal touch_pressure.""",
    options=TightQuoterOptions,
    build=build,
    needs=("touch_pressure",),
    reasons={SPREAD_TOO_NARROW: "the market's spread is narrower than min_spread_ticks"},
)

"""The optimizer `depth-adaptive`: wider where the book is thinner than usual, closer where it is deeper."""

from __future__ import annotations

from math import exp, inf, log, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["DEPTH_ADAPTIVE", "DepthAdaptiveOptions", "depth_adaptive"]

_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_WARMING_UP = int(Reason.WARMING_UP)
_THINNEST = 1e-9
"""Of the usual depth; below it the multiplier is the largest one."""


@attrs.frozen
class DepthAdaptiveOptions:
    """Options of `depth-adaptive`."""

    elasticity: float = option(
        help="How strongly distance answers to depth: 1 doubles it at half the usual depth, 0.5 makes it 1.41 times.",
        default=0.5,
        above=0.0,
        maximum=4.0,
    )
    side_weight: float = option(
        help="How much of the imbalance between the sides counts; 0 takes both sides for equally deep.",
        default=0.5,
        minimum=0.0,
        maximum=1.0,
    )
    min_multiplier: float = option(help="Smallest multiplier, in a deep book.", default=0.8, minimum=0.1, maximum=1.0)
    max_multiplier: float = option(help="Largest multiplier, in a thin book.", default=2.0, minimum=1.0, maximum=10.0)


class DepthAdaptiveParams(NamedTuple):
    """The options as the rule reads them."""

    elasticity: float
    side_weight: float
    min_multiplier: float
    max_multiplier: float


def depth_adaptive(  # noqa: PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: DepthAdaptiveParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, each further out or closer in as its side of the book is thin or deep."""
    signals: Any = view.signals
    relative_depth = signals.relative_depth
    imbalance = signals.imbalance
    if not 0.0 < view.mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    if not (0.0 <= relative_depth < inf and -1.0 <= imbalance <= 1.0):
        return QuoteProposal(nan, 0.0, nan, 0.0, _WARMING_UP, _WARMING_UP)
    bid_depth = relative_depth * (1.0 + params.side_weight * imbalance)
    ask_depth = relative_depth * (1.0 - params.side_weight * imbalance)
    bid_multiplier = exp(-params.elasticity * log(bid_depth)) if bid_depth > _THINNEST else inf
    ask_multiplier = exp(-params.elasticity * log(ask_depth)) if ask_depth > _THINNEST else inf
    low = params.min_multiplier
    high = params.max_multiplier
    # Comparisons cost a third of min and max, and this runs at each decision.
    bid_multiplier = low if bid_multiplier < low else high if bid_multiplier > high else bid_multiplier
    ask_multiplier = low if ask_multiplier < low else high if ask_multiplier > high else ask_multiplier

    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    if bid_size > 0.0 and ask_size > 0.0:
        width = ask - bid
        bid -= (bid_multiplier - 1.0) * width / 2.0
        ask += (ask_multiplier - 1.0) * width / 2.0
        # Closer than a step of the grid, both quotes would round to one price.
        least = width if width < view.tick else view.tick
        missing = least - (ask - bid)
        if missing > 0.0:
            bid -= missing / 2.0
            ask += missing / 2.0
    elif bid_size > 0.0:
        bid -= (bid_multiplier - 1.0) * abs(view.mid - bid)
    elif ask_size > 0.0:
        ask += (ask_multiplier - 1.0) * abs(ask - view.mid)
    if bid_size > 0.0 and not 0.0 < bid < inf:
        bid = nan
        bid_size = 0.0
        bid_reason = _BELOW_MINIMUM
    if ask_size > 0.0 and not 0.0 < ask < inf:
        ask = nan
        ask_size = 0.0
        ask_reason = _BELOW_MINIMUM
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: DepthAdaptiveOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    params = DepthAdaptiveParams(
        options.elasticity, options.side_weight, options.min_multiplier, options.max_multiplier
    )
    return OptimizerRule(depth_adaptive, params)


DEPTH_ADAPTIVE = OptimizerSpec(
    name="depth-adaptive",
    summary="Widens each quote where its side of the book is thinner than usual, and narrows it where it is deeper.",
    description="""\
    bid depth = relative_depth x (1 + side_weight x imbalance)
    ask depth = relative_depth x (1 - side_weight x imbalance)
    multiplier = depth^(-elasticity), held within min_multiplier and max_multiplier
    bid - (multiplier of the bid - 1) x width / 2        ask + (multiplier of the ask - 1) x width / 2

width is the distance of the two quotes that it is given; for quotes around the mid this multiplies each one's distance
from the mid, and quotes that lean against a position keep leaning. Of one quote alone the distance from the mid is
multiplied. relative_depth is the depth of both sides over the usual one; an imbalance measured near the mid parts it
between them, and is best taken over 10 levels or so: that of the touch flickers.

It adapts the quotes of the stages before it and adds none; sizes stay. Two quotes at least a tick apart stay so.

Needs the signals relative_depth (`depth`) and imbalance (`imbalance`).

When it fails: depth that is not meant to trade looks like depth; `manipulation` and `spread-protection` are for that.

No quote: WARMING_UP while a signal is not known or out of its range, BOOK_EMPTY when the mid is no price above 0,
BELOW_MINIMUM when a price would not be above 0; a side that comes without a quote stays without, for its own reason.

Source: a rule of practice, not of a paper; with elasticity 0.5 a distance answers to depth as impact does to size under
the square-root law.

Example: mid 100, quotes 99.90 / 100.10, relative_depth 0.5, imbalance 0.4, elasticity 1, side_weight 0.5: bid depth
0.6, ask depth 0.4; multipliers 1.6667 and, bounded, 2: bid 99.90 - 0.6667 x 0.1 = 99.8333, ask 100.20.""",
    options=DepthAdaptiveOptions,
    build=_build,
    needs=("relative_depth", "imbalance"),
)

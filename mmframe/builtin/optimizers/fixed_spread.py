"""The optimizer `fixed-spread`: quotes at constant distances from a reference price."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["FIXED_SPREAD", "FixedSpreadOptions", "fixed_spread"]

_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_NONE = int(Reason.NONE)


@attrs.frozen
class FixedSpreadOptions:
    """Options of `fixed-spread`."""

    spread_bps: float = option(
        help="Distance between bid and ask; half of it on each side of the reference.",
        default=10.0,
        unit="bps",
        above=0.0,
        maximum=10_000.0,
    )
    bid_distance_bps: float | None = option(
        help="Distance of the bid below the reference, instead of half the spread.",
        default=None,
        unit="bps",
        above=0.0,
        maximum=5_000.0,
    )
    ask_distance_bps: float | None = option(
        help="Distance of the ask above the reference, instead of half the spread.",
        default=None,
        unit="bps",
        above=0.0,
        maximum=5_000.0,
    )
    reference: str = option(
        help="Price that the distances count from: the mid, or the touch weighted by the sizes opposite.",
        default="mid",
        choices=("mid", "micro_price"),
    )


class FixedSpreadParams(NamedTuple):
    """The options as the rule reads them: shares of the reference price."""

    bid_distance: float
    ask_distance: float
    is_micro_price: bool


def fixed_spread(  # noqa: PLR0913, PLR0917 - the rule signature
    params: FixedSpreadParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,  # noqa: ARG001 - replaced: this stage is meant to be the first
) -> QuoteProposal:
    """Return both quotes at their distance from the reference, each for the order size."""
    reference = view.mid
    sizes = view.bid_size + view.ask_size
    if params.is_micro_price and 0.0 < sizes < inf:
        reference = (view.bid * view.ask_size + view.ask * view.bid_size) / sizes
    if not 0.0 < reference < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    if not 0.0 < view.order_size < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BELOW_MINIMUM, _BELOW_MINIMUM)
    return QuoteProposal(
        reference * (1.0 - params.bid_distance),
        view.order_size,
        reference * (1.0 + params.ask_distance),
        view.order_size,
        _NONE,
        _NONE,
    )


def _build(options: FixedSpreadOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    half_bps = options.spread_bps / 2.0
    bid_bps = half_bps if options.bid_distance_bps is None else options.bid_distance_bps
    ask_bps = half_bps if options.ask_distance_bps is None else options.ask_distance_bps
    params = FixedSpreadParams(bid_bps / 10_000.0, ask_bps / 10_000.0, options.reference == "micro_price")
    return OptimizerRule(fixed_spread, params)


FIXED_SPREAD = OptimizerSpec(
    name="fixed-spread",
    summary="Quotes at a constant distance from the mid or the micro-price.",
    description="""\
    bid = reference x (1 - bid_distance_bps / 10,000)
    ask = reference x (1 + ask_distance_bps / 10,000)

Both distances are spread_bps / 2 unless they are set. The reference is the mid, (bid + ask) / 2, or the micro-price,
(bid x ask_size + ask x bid_size) / (bid_size + ask_size), which leans to the side about to give way. Each side is for
the market's order size. It sets both sides anew, whatever came before, so it belongs first in the chain.

No quote: BOOK_EMPTY when the reference is not a price above 0, BELOW_MINIMUM when the order size is not above 0.

Example: spread_bps = 10 and mid 100.00 gives bid 99.95 and ask 100.05.""",
    options=FixedSpreadOptions,
    build=_build,
)

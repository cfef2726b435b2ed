"""The optimizer `target-allocation`: leans the quotes so that a share of the account's value is held in the asset."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["TARGET_ALLOCATION", "TargetAllocationOptions", "target_allocation"]

NO_BALANCE = 1190

_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_NOT_FINITE = int(Reason.NOT_FINITE)
_INVENTORY = int(Reason.INVENTORY)


@attrs.frozen
class TargetAllocationOptions:
    """Options of `target-allocation`."""

    target_share: float = option(
        help="Share of position value plus quote balance that is to be held in the base asset.",
        default=0.5,
        minimum=0.0,
        maximum=1.0,
    )
    tolerance: float = option(
        help="Distance from the target share up to which nothing is shifted.", default=0.02, minimum=0.0, maximum=1.0
    )
    full_share: float = option(
        help="Distance from the target share, beyond the tolerance, at which the shift is full.",
        default=0.2,
        above=0.0,
        maximum=1.0,
    )
    skew_bps: float = option(
        help="Largest shift of both quotes.", default=10.0, unit="bps", minimum=0.0, maximum=1_000.0
    )


class TargetAllocationParams(NamedTuple):
    """The options as the rule reads them."""

    target_share: float
    tolerance: float
    full_share: float
    skew: float
    """Share of the mid."""


def target_allocation(  # noqa: PLR0913, PLR0917 - the rule signature
    params: TargetAllocationParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, shifted down when too much of the asset is held and up when too little."""
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    if not -inf < inventory.position < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
    if not 0.0 < view.mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    value = inventory.position * view.mid
    total = value + inventory.quote_balance
    # False as well where the balance is not told: then there is no share to compare with.
    if not 0.0 < total < inf:
        return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason or NO_BALANCE, ask_reason or NO_BALANCE)
    excess = value / total - params.target_share
    beyond = excess - params.tolerance if excess > params.tolerance else 0.0
    beyond = excess + params.tolerance if excess < -params.tolerance else beyond
    lean = beyond / params.full_share
    lean = 1.0 if lean > 1.0 else (-1.0 if lean < -1.0 else lean)
    shift = -params.skew * lean * view.mid
    bid += shift
    ask += shift
    # A shift below a price of 0 leaves no bid.
    if not (bid_size > 0.0 and bid > 0.0):
        if bid_size > 0.0:
            bid_reason = _INVENTORY
        bid = nan
        bid_size = 0.0
    if not (ask_size > 0.0 and ask > 0.0):
        if ask_size > 0.0:
            ask_reason = _INVENTORY
        ask = nan
        ask_size = 0.0
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: TargetAllocationOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the signature
    params = TargetAllocationParams(
        options.target_share, options.tolerance, options.full_share, options.skew_bps / 10_000.0
    )
    return OptimizerRule(target_allocation, params)


TARGET_ALLOCATION = OptimizerSpec(
    name="target-allocation",
    summary="Shifts both quotes so that a chosen share of the account's value is held in the base asset.",
    description="""\
    share = position x mid / (position x mid + quote balance)
    e = share - target_share, brought towards 0 by tolerance
    shift = -skew_bps / 10,000 x mid x e / full_share, held within -skew_bps and skew_bps of the mid

Holding too much, both quotes move down: the ask is likelier to be taken, the bid less; holding too little, up. Nothing
is bought or sold but by quotes, and the distance between them stays. It adapts the quotes of the stages before it and
adds none.

The quote balance is the account's, free and locked; the position is the strategy's own. Where the venue does not tell a
balance (simulations) or the two add up to nothing above 0, the quotes stay as they are, marked with reason 1190 where
they carry no other.

No quote: a side that comes without one stays without; INVENTORY when the shift leaves no price above 0; NOT_FINITE when
the position is not a number; BOOK_EMPTY when the mid is no price.

Example: position 6, mid 100, quote balance 400: share 600 / 1000 = 0.6. With target_share = 0.5, tolerance = 0.02,
full_share = 0.2 and skew_bps = 10: e = 0.08, shift = -10 / 10,000 x 100 x 0.4 = -0.04; 99.95 / 100.05 becomes
99.91 / 100.01.""",
    options=TargetAllocationOptions,
    build=_build,
    reasons={NO_BALANCE: "the share held is not known, so nothing was shifted"},
)

"""The optimizer `inventory-skew`: leans both quotes against the position, so that trades bring it back."""

from __future__ import annotations

from decimal import Decimal
from math import exp, inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["INVENTORY_SKEW", "InventorySkewOptions", "inventory_skew"]

_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_NOT_FINITE = int(Reason.NOT_FINITE)
_INVENTORY = int(Reason.INVENTORY)
_DEFAULT_FULL_ORDERS = 10.0
"""Without any limit on the position, a full skew is at this many order sizes."""


@attrs.frozen
class InventorySkewOptions:
    """Options of `inventory-skew`.

    Raises:
        DomainError: If sizes are to shrink in two ways.
    """

    skew_bps: float = option(
        help="Shift of both quotes at the full position.", default=10.0, unit="bps", minimum=0.0, maximum=1_000.0
    )
    size_skew: float = option(
        help="Share by which the side that adds to the position shrinks at the full position; 0 leaves sizes alone.",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
    )
    size_decay_per_order: float = option(
        help="eta: the side that adds to the position shrinks by e^-eta for each order held; instead of size_skew.",
        default=0.0,
        unit="1 / order sizes",
        minimum=0.0,
        maximum=10.0,
    )
    full_position: Decimal | None = option(
        help="Position, relative to the target, at which the skew is full; by default the gate's max_position, and "
        "without that 10 order sizes.",
        default=None,
        unit="base units",
        above=0.0,
        example="1.5",
    )

    def __attrs_post_init__(self) -> None:
        if self.size_skew and self.size_decay_per_order:
            msg = f"size_decay_per_order: expected 0 beside size_skew, was {self.size_decay_per_order:g}"
            raise DomainError(msg, hint="sizes shrink either in proportion or exponentially: remove one of them")


class InventorySkewParams(NamedTuple):
    """The options as the rule reads them."""

    skew: float
    """Share of the mid."""
    size_skew: float
    size_decay_per_order: float
    full_position: float
    """0 when the file sets none."""


def inventory_skew(  # noqa: C901, PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: InventorySkewParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, shifted down when long and up when short, the adding side smaller."""
    excess = inventory.position - inventory.target
    if not -inf < excess < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
    if not 0.0 < view.mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    full = params.full_position
    if full <= 0.0:
        full = inventory.max_position
    if not 0.0 < full < inf:
        full = _DEFAULT_FULL_ORDERS * view.order_size
    share = 0.0
    if 0.0 < full < inf:
        share = excess / full if -full < excess < full else (1.0 if excess > 0.0 else -1.0)
    shift = -params.skew * share * view.mid

    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    bid += shift
    ask += shift
    left = 1.0 - params.size_skew * abs(share)
    if params.size_decay_per_order > 0.0:
        left = exp(-params.size_decay_per_order * abs(excess) / view.order_size) if view.order_size > 0.0 else 0.0
    if excess > 0.0:
        bid_size *= left
    else:
        ask_size *= left
    # A side without a quote keeps its own reason; one that the skew takes away, by size or below a price of 0, says so.
    if not (bid_size > 0.0 and bid > 0.0):
        bid = nan
        bid_size = 0.0
        if proposal.bid_size > 0.0:
            bid_reason = _INVENTORY
    if not (ask_size > 0.0 and ask > 0.0):
        ask = nan
        ask_size = 0.0
        if proposal.ask_size > 0.0:
            ask_reason = _INVENTORY
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: InventorySkewOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    params = InventorySkewParams(
        options.skew_bps / 10_000.0,
        options.size_skew,
        options.size_decay_per_order,
        0.0 if options.full_position is None else float(options.full_position),
    )
    return OptimizerRule(inventory_skew, params)


INVENTORY_SKEW = OptimizerSpec(
    name="inventory-skew",
    summary="Shifts both quotes against the position and, if asked, shrinks the side that adds to it.",
    description="""\
    r = (position - target) / full_position, held within -1 and 1
    shift = -skew_bps x r / 10,000 x mid        added to bid and ask alike
    bid size x (1 - size_skew x r) when long, ask size x (1 + size_skew x r) when short
    or, with size_decay_per_order = eta: that side's size x e^(-eta |position - target| / order size)

Long, both quotes move down: the ask is likelier to be taken, the bid less. The distance between them stays. It adapts
the quotes of the stages before it and adds none. full_position is the option, or else the gate's max_position, or else
10 order sizes. The kernel rounds the result and keeps it off the other side's touch.

No quote: a side that comes without one stays without, for its own reason; INVENTORY when the size shrinks to nothing or
the price would not be above 0; NOT_FINITE when the position is not a number; BOOK_EMPTY when the mid is no price.

The exponential form counts orders and needs no full position: each fill of one order shrinks the next by the same
share, until it is below the smallest order.

Source of the exponential size: Fushimi, Gonzalez Rojas and Herman, Optimal high-frequency market making, Stanford
University, 2018. The rest is common practice.

Example: mid 100, quotes 99.95 / 100.05, skew_bps = 10, position 0.5 of 1.0: shift -10 x 0.5 / 10,000 x 100 = -0.05,
quotes 99.90 / 100.00. With order size 0.1 and size_decay_per_order = 0.1, a bid of 0.4 shrinks to 0.4 x e^-0.5 =
0.24261.""",
    options=InventorySkewOptions,
    build=_build,
)

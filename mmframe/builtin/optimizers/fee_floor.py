"""The optimizer `fee-floor`: the side that closes the open position is not quoted at a loss."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["AVERAGE_UNKNOWN", "FEE_FLOOR", "FLOOR_BINDS", "FLOOR_OUT_OF_REACH", "FeeFloorOptions", "fee_floor"]

FLOOR_BINDS = int(Reason.PLUGIN) + 120
FLOOR_OUT_OF_REACH = int(Reason.PLUGIN) + 121
AVERAGE_UNKNOWN = int(Reason.PLUGIN) + 122
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_NOT_FINITE = int(Reason.NOT_FINITE)


@attrs.frozen
class FeeFloorOptions:
    """Options of `fee-floor`.

    Raises:
        DomainError: If both a profit is asked for and a loss allowed.
    """

    maker_fee_bps: float = option(
        help="What a maker fill costs; it counts for the way in and the way out. A rebate is negative.",
        default=0.0,
        unit="bps",
        minimum=-100.0,
        maximum=500.0,
    )
    min_profit_bps: float = option(
        help="What closing must earn after both fees.", default=0.0, unit="bps", minimum=0.0, maximum=5_000.0
    )
    allow_loss_bps: float = option(
        help="What closing may lose after both fees.", default=0.0, unit="bps", minimum=0.0, maximum=5_000.0
    )
    max_distance_bps: float = option(
        help="With its floor further than this from the mid, the closing side is not quoted at all; more than "
        "gate.price_collar_bps makes no sense.",
        default=500.0,
        unit="bps",
        above=0.0,
        maximum=10_000.0,
    )

    def __attrs_post_init__(self) -> None:
        if self.min_profit_bps and self.allow_loss_bps:
            msg = f"allow_loss_bps: expected 0 beside min_profit_bps, was {self.allow_loss_bps:g}"
            raise DomainError(msg, hint="remove one of them")


class FeeFloorParams(NamedTuple):
    """The options as the rule reads them."""

    sell_over_average: float
    """Lowest price of a sale over the average price of a long position."""
    buy_over_average: float
    """Highest price of a purchase over the average price of a short position."""
    max_distance: float
    """Share of the mid."""


def fee_floor(  # noqa: C901, PLR0911, PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: FeeFloorParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, the closing one moved out to where it pays for the round trip."""
    position = inventory.position
    average = inventory.average_price
    if not -inf < position < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
    if not 0.0 < view.mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    # Less than half a lot is rounding, not a position.
    half_lot = view.lot / 2.0
    if position > half_lot and ask_size > 0.0:
        floor = average * params.sell_over_average
        removed = 0
        if not 0.0 < average < inf:
            removed = AVERAGE_UNKNOWN
        elif not floor <= view.mid * (1.0 + params.max_distance):
            removed = FLOOR_OUT_OF_REACH
        if removed > 0:
            return QuoteProposal(bid, bid_size, nan, 0.0, bid_reason, removed)
        if ask < floor:
            return QuoteProposal(bid, bid_size, floor, ask_size, bid_reason, FLOOR_BINDS)
    elif position < -half_lot and bid_size > 0.0:
        ceiling = average * params.buy_over_average
        removed = 0
        if not 0.0 < average < inf:
            removed = AVERAGE_UNKNOWN
        elif not (ceiling > 0.0 and ceiling >= view.mid * (1.0 - params.max_distance)):
            removed = FLOOR_OUT_OF_REACH
        if removed > 0:
            return QuoteProposal(nan, 0.0, ask, ask_size, removed, ask_reason)
        if bid > ceiling:
            return QuoteProposal(ceiling, bid_size, ask, ask_size, FLOOR_BINDS, ask_reason)
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: FeeFloorOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    fee = options.maker_fee_bps / 10_000.0
    edge = (options.min_profit_bps - options.allow_loss_bps) / 10_000.0
    params = FeeFloorParams(
        (1.0 + fee) / (1.0 - fee) * (1.0 + edge),
        (1.0 - fee) / (1.0 + fee) * (1.0 - edge),
        options.max_distance_bps / 10_000.0,
    )
    return OptimizerRule(fee_floor, params)


FEE_FLOOR = OptimizerSpec(
    name="fee-floor",
    summary="Does not close the open position at a loss: keeps that side beyond its average price plus both fees.",
    description="""\
With fee = maker_fee_bps / 10,000, edge = (min_profit_bps - allow_loss_bps) / 10,000 and the average price of the open
position, before fees:

    long:  ask >= average x (1 + fee) / (1 - fee) x (1 + edge)
    short: bid <= average x (1 - fee) / (1 + fee) x (1 - edge)

That is the price at which what comes in, less the fee of the way out, is what went out plus the fee of the way in. The
closing side moves out to it and never in; the other side, and both while flat, stay as they are. The whole quote moves,
also the part that is larger than the position. It goes by the position itself and not by the target.

`spread-floor` is another thing: it keeps bid and ask far enough apart for a round trip at this moment's prices, knows
no position, and is a risk control. This one remembers what was paid.

Reasons: FLOOR_BINDS (1120) beside a quote that was moved. No quote: FLOOR_OUT_OF_REACH (1121) on the closing side when
its floor is further than max_distance_bps from the mid, on the far side; AVERAGE_UNKNOWN (1122) there when the average
price is not above 0; NOT_FINITE when the position is not a number; BOOK_EMPTY when the mid is no price; a side that
comes without a quote stays without, for its own reason.

When it fails: a market that does not come back. The position is then held for ever, as anyone knows who has refused to
sell at a loss; a limit on the position and on the day's loss is needed beside it, and allow_loss_bps bounds it.

Example: long at an average of 100, maker_fee_bps = 10, min_profit_bps = 20: the ask is at least 100 x 1.001 / 0.999 x
1.002 = 100.4006. A quote 99.90 / 100.10 becomes 99.90 / 100.4006.""",
    options=FeeFloorOptions,
    build=_build,
    reasons={
        FLOOR_BINDS: "moved out to where closing the position pays for both fees and the profit asked for",
        FLOOR_OUT_OF_REACH: "closing the position without a loss is further from the mid than max_distance_bps",
        AVERAGE_UNKNOWN: "the average price of the open position is not known, so neither is a loss",
    },
)

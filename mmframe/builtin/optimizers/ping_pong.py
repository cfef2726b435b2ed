"""The optimizer `ping-pong`: what was bought is sold before more is bought, and the other way round."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["OTHER_SIDE_FIRST", "PING_PONG", "PingPongOptions", "ping_pong"]

OTHER_SIDE_FIRST = int(Reason.PLUGIN) + 150
_NOT_FINITE = int(Reason.NOT_FINITE)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)

_WAITS_FOR = 0
"""State: 1.0 while only sells bring the position back, -1.0 while only buys do, 0.0 while both sides are open."""


@attrs.frozen
class PingPongOptions:
    """Options of `ping-pong`."""

    max_orders: int = option(
        help="How many order sizes may be bought, or sold, before the other side must bring them back; a ladder's "
        "orders together are more than one.",
        default=1,
        unit="order sizes",
        minimum=1,
        maximum=1_000,
    )


class PingPongParams(NamedTuple):
    """The options as the rule reads them."""

    max_orders: float
    min_size: float
    """Of an order of this instrument, base units."""
    min_notional: float
    """Of an order of this instrument, quote units."""


def ping_pong(  # noqa: C901, PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: PingPongParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, without the side that has to wait, and no larger than what is left of a turn."""
    held = inventory.position - inventory.target
    full = params.max_orders * view.order_size
    if not -inf < held < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
    if not 0.0 < full < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BELOW_MINIMUM, _BELOW_MINIMUM)
    # Less than half a lot is rounding of a sum of fills.
    half_lot = view.lot / 2.0
    waits_for = state[_WAITS_FOR]
    if (waits_for > 0.0 and held < half_lot) or (waits_for < 0.0 and held > -half_lot):
        waits_for = 0.0
    if held > full - half_lot:
        waits_for = 1.0
    elif held < half_lot - full:
        waits_for = -1.0
    state[_WAITS_FOR] = waits_for

    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    if waits_for > 0.0:
        if bid_size > 0.0:
            bid_reason = OTHER_SIDE_FIRST
        bid = nan
        bid_size = 0.0
        # Exactly what is to come back, but for a rest too small to be an order.
        least = params.min_notional / ask if ask > 0.0 else 0.0
        least = least if least > params.min_size else params.min_size
        back = held if held > least else least
        ask_size = ask_size if ask_size < back else back
    elif waits_for < 0.0:
        if ask_size > 0.0:
            ask_reason = OTHER_SIDE_FIRST
        ask = nan
        ask_size = 0.0
        least = params.min_notional / bid if bid > 0.0 else 0.0
        least = least if least > params.min_size else params.min_size
        back = -held if -held > least else least
        bid_size = bid_size if bid_size < back else back
    elif held > 0.0:
        bid_size = bid_size if bid_size < full - held else full - held
    elif held < 0.0:
        ask_size = ask_size if ask_size < full + held else full + held
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: PingPongOptions, context: BuildContext) -> OptimizerRule:
    instrument = context.instrument
    params = PingPongParams(
        float(options.max_orders), instrument.min_size_lots * instrument.lot, float(instrument.min_notional_quote)
    )
    return OptimizerRule(ping_pong, params, (0.0,))


PING_PONG = OptimizerSpec(
    name="ping-pong",
    summary="After a buy only sells until the position is back, and the other way round.",
    description="""\
With held = position - target and full = max_orders x order size:

    held reaches full      only the ask is quoted, for held at most, until held is back at 0
    held reaches -full     only the bid is quoted, for -held at most, until held is back at 0
    else                   both; bid size at most full - held when held > 0, ask size at most full + held when held < 0

So a part of a fill changes no turn: what is left of the bid stays, no larger than that, and the ask beside it. Once a
turn is complete it waits for the whole of it to come back, whatever the parts. It adapts the quotes of the stages
before it: prices stay, sizes never grow.

It counts the position and not orders. So it knows after a restart what is still to come back (though not that it had
been waiting when only a part was left), no fill is missed, and a position away from its target is brought back first. A
rest too small to be an order is brought back by the smallest order; what that overshoots by begins the other turn.

Different from hummingbot's ping pong: that one counts completed orders and takes away as many of the best levels of
their side as have not been answered. Here a ladder is quoted as a whole or not at all; set max_orders to the order
sizes that it sums up to.

Reason OTHER_SIDE_FIRST (1150) on the side that waits. No quote on either: NOT_FINITE when the position is not a number,
BELOW_MINIMUM when the order size is not above 0.

When it fails: a trend. It waits with one quote for a price that does not come back; `hanging-orders` keeps that quote
where it was, `fee-floor` where it pays.

Example: order size 0.1, target 0. Flat: both sides. 0.04 bought: bid size 0.06, ask size 0.1. Another 0.06: ask only.
0.07 sold: ask only, for 0.03. 0.03 sold: both sides.""",
    options=PingPongOptions,
    build=_build,
    reasons={OTHER_SIDE_FIRST: "ping-pong: the other side has to bring the position back first"},
)

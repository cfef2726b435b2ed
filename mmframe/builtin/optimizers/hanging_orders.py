"""The optimizer `hanging-orders`: after a fill the quote opposite stays where it is instead of following the market."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, FillTick, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["HANGING", "HANGING_ORDERS", "HangingOrdersOptions", "hanging_orders", "on_fill"]

HANGING = int(Reason.PLUGIN) + 160
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)

_SIDE = 0
"""State: 1.0 while the bid hangs, -1.0 while the ask does, 0.0 while none does."""
_PRICE = 1
_LEFT = 2
"""What has not been filled of the hanging quote, base units."""
_SINCE_NS = 3
"""A float here, exact to 256 ns in this century."""
_BID, _BID_SIZE, _ASK, _ASK_SIZE = 4, 5, 6, 7
"""What was proposed last."""
_BOUGHT, _SOLD = 8, 9
"""What has been filled of a side since an order's worth of it last was, base units."""
_STATE_SIZE = 10


@attrs.frozen
class HangingOrdersOptions:
    """Options of `hanging-orders`."""

    cancel_percent: float = option(
        help="A hanging quote further than this from the mid is given up.",
        default=10.0,
        unit="percent",
        above=0.0,
        maximum=100.0,
    )
    max_age_s: float = option(
        help="A quote that has hung for longer than this is given up.",
        default=1_800.0,
        unit="s",
        above=0.0,
        maximum=31_622_400.0,
    )


class HangingOrdersParams(NamedTuple):
    """The options as the rule reads them."""

    cancel_share: float
    """Of the mid."""
    max_age_ns: float
    half_lot: float
    min_size: float
    """Of an order of this instrument, base units."""
    min_notional: float
    """Of an order of this instrument, quote units."""


def on_fill(params: HangingOrdersParams, state: State, fill: FillTick) -> None:
    """Count the fill; the one that completes a quote lets the other side hang."""
    if not fill.size > 0.0:
        return
    if fill.side * state[_SIDE] > 0.0:
        # The hanging quote itself. Its fill completes a round trip, and lets nothing hang.
        state[_LEFT] -= fill.size
        if not state[_LEFT] > params.half_lot:
            state[_SIDE] = 0.0
    elif fill.side > 0.0:
        state[_BOUGHT] += fill.size
        if state[_BOUGHT] > state[_BID_SIZE] - params.half_lot:
            state[_BOUGHT] = 0.0
            if state[_SIDE] == 0.0 and state[_ASK_SIZE] > 0.0:
                state[_SIDE] = -1.0
                state[_PRICE] = state[_ASK]
                state[_LEFT] = state[_ASK_SIZE]
                state[_SINCE_NS] = float(fill.now_ns)
    elif fill.side < 0.0:
        state[_SOLD] += fill.size
        if state[_SOLD] > state[_ASK_SIZE] - params.half_lot:
            state[_SOLD] = 0.0
            if state[_SIDE] == 0.0 and state[_BID_SIZE] > 0.0:
                state[_SIDE] = 1.0
                state[_PRICE] = state[_BID]
                state[_LEFT] = state[_BID_SIZE]
                state[_SINCE_NS] = float(fill.now_ns)


def hanging_orders(  # noqa: PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: HangingOrdersParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, the hanging one at its old price and for what is left of it."""
    if not 0.0 < view.mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    if state[_SIDE] != 0.0:
        now_ns = float(view.now_ns)
        # A clock that went back, as on a replay: the age counts anew.
        state[_SINCE_NS] = state[_SINCE_NS] if state[_SINCE_NS] < now_ns else now_ns
        is_near = abs(state[_PRICE] - view.mid) <= params.cancel_share * view.mid
        # A rest that no venue takes would keep the side empty until it is too old.
        least = params.min_notional / state[_PRICE]
        least = least if least > params.min_size else params.min_size
        is_order = state[_LEFT] > least - params.half_lot
        if not (is_near and is_order and now_ns - state[_SINCE_NS] <= params.max_age_ns):
            state[_SIDE] = 0.0
    # Where the market has come through its price, what the stages before propose is the better price.
    if state[_SIDE] > 0.0 and bid_size > 0.0 and state[_PRICE] < view.ask:
        bid = state[_PRICE]
        bid_size = state[_LEFT]
        bid_reason = HANGING
        if ask_size > 0.0 and ask < bid + view.tick:
            ask = bid + view.tick
    elif state[_SIDE] < 0.0 and ask_size > 0.0 and state[_PRICE] > view.bid:
        ask = state[_PRICE]
        ask_size = state[_LEFT]
        ask_reason = HANGING
        if bid_size > 0.0 and bid > ask - view.tick:
            bid = ask - view.tick
            if not bid > 0.0:
                bid = nan
                bid_size = 0.0
                bid_reason = _BELOW_MINIMUM
    state[_BID] = bid
    state[_BID_SIZE] = bid_size
    state[_ASK] = ask
    state[_ASK_SIZE] = ask_size
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: HangingOrdersOptions, context: BuildContext) -> OptimizerRule:
    instrument = context.instrument
    params = HangingOrdersParams(
        options.cancel_percent / 100.0,
        options.max_age_s * 1e9,
        instrument.lot / 2.0,
        instrument.min_size_lots * instrument.lot,
        float(instrument.min_notional_quote),
    )
    return OptimizerRule(hanging_orders, params, (0.0,) * _STATE_SIZE, on_fill=on_fill)


HANGING_ORDERS = OptimizerSpec(
    name="hanging-orders",
    summary="After one side is filled, keeps the other one's price until it is filled too, too far away or too old.",
    description="""\
When fills of one side add up to the size of its quote, the quote of the other side hangs: its price stays as it was
proposed last, for what is left of its size, whatever the stages before propose for that side. It ends when fills have
taken all of it but for a rest too small to be an order, when it is further than cancel_percent of the mid away, or when
it has hung for max_age_s. While the market is beyond it, so that it would cross, the side is quoted as the stages
before propose, which is the better price. The side that was filled is quoted anew as they propose, though never closer
than one tick to the hanging quote.
So each round trip earns the spread that it began with, if the price comes back.

An order that keeps its price keeps its place in the queue, too. Parts of a fill count: they add up over the orders that
they come from. A hanging quote that is filled in parts stays with the rest, and its own fill lets nothing hang. While
one hangs, further fills opposite to it let nothing hang either. A stage that takes the side away (a pause, a limit of
the inventory) is obeyed; the quote comes back to its price with the side, within its age. It belongs last in the chain:
what a later stage moves is not what hangs.

Different from hummingbot's hanging orders: there the orders that hang stay beside new ones of the same side, and there
may be many. Here a side has one proposal, so one quote hangs, in place of a new one of that side, and the position can
grow by what the other side is filled meanwhile: `ping-pong` before it keeps that side from being quoted. Of a ladder
the best level counts, and the others stand behind it. What hangs is forgotten on a restart.

Reason HANGING (1160) beside the quote that hangs. No quote: BOOK_EMPTY when the mid is no price above 0, BELOW_MINIMUM
for a bid that would have to go to 0 to keep away from a hanging ask; a side that comes without a quote stays without,
for its own reason.

When it fails: a trend against the position, as with `ping-pong`; cancel_percent and max_age_s bound the wait, and the
loss is then taken by whatever quotes instead.

Example: quotes 99.90 / 100.10, 1 each. 0.4 and 0.6 of the bid are filled: from now on the ask is 100.10, while the bid
follows the market, down to 99.50. 0.3 of the ask is taken: 0.7 at 100.10 are left. They are taken: both sides follow
the market again.""",
    options=HangingOrdersOptions,
    build=_build,
    reasons={HANGING: "hanging: it stays at this price since the other side was filled"},
)

"""The optimizer `advice`: applies what an adviser says to the quotes, within its own bounds."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["ADVICE", "ADVICE_CLAMPED", "ADVICE_IGNORED", "AdviceOptions", "advised"]

ADVICE_IGNORED = int(Reason.PLUGIN) + 140
ADVICE_CLAMPED = int(Reason.PLUGIN) + 141
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_NOT_FINITE = int(Reason.NOT_FINITE)
_INVENTORY = int(Reason.INVENTORY)
_ADVICE_PAUSE = int(Reason.ADVICE_PAUSE)
_DEFAULT_FULL_ORDERS = 10.0
"""Without any limit on the position, the whole position is this many order sizes."""


@attrs.frozen
class AdviceOptions:
    """Options of `advice`: how far an adviser may go. Little towards more risk, much towards less."""

    min_confidence: float = option(
        help="Advice with less confidence than this is passed over, whatever it says.",
        default=0.5,
        minimum=0.0,
        maximum=1.0,
    )
    min_spread_multiplier: float = option(
        help="Closest that advice may bring a quote, times its distance.", default=0.9, minimum=0.1, maximum=1.0
    )
    max_spread_multiplier: float = option(
        help="Furthest that advice may move a quote, times its distance.", default=4.0, minimum=1.0, maximum=100.0
    )
    max_skew_bps: float = option(
        help="Largest shift of both quotes, up or down.", default=10.0, unit="bps", minimum=0.0, maximum=1_000.0
    )
    min_size_multiplier: float = option(
        help="Smallest size that advice may ask for, as a multiple; 0 lets it take a side away.",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
    )
    max_size_multiplier: float = option(
        help="Largest size that advice may ask for, as a multiple.", default=1.0, minimum=1.0, maximum=10.0
    )
    min_position_scale: float = option(
        help="Smallest share of the full position that advice may ask to stay within.",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
    )
    full_position: Decimal | None = option(
        help="Position of which position_scale is a share; by default the gate's max_position, and without that 10 "
        "order sizes.",
        default=None,
        unit="base units",
        above=0.0,
        example="1.5",
    )


class AdviceParams(NamedTuple):
    """The options as the rule reads them."""

    min_confidence: float
    min_spread_multiplier: float
    max_spread_multiplier: float
    max_skew_bps: float
    min_size_multiplier: float
    max_size_multiplier: float
    min_position_scale: float
    full_position: float
    """0 when the file sets none."""


def advised(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: AdviceParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,
    advice: Advice,
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, as advised; the very same ones when the advice is neutral, expired or unsure."""
    if view.now_ns > advice.valid_until_ns or advice.confidence < params.min_confidence:
        return proposal
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    has_bid = bid_size > 0.0
    has_ask = ask_size > 0.0
    # A sum of numbers is a number; one that is none makes it none.
    total = (
        advice.bid_spread_multiplier
        + advice.ask_spread_multiplier
        + advice.size_multiplier
        + advice.skew_bps
        + advice.position_scale
        + advice.pause
        + advice.confidence
    )
    if not -inf < total < inf:
        return QuoteProposal(
            bid,
            bid_size,
            ask,
            ask_size,
            ADVICE_IGNORED if has_bid else bid_reason,
            ADVICE_IGNORED if has_ask else ask_reason,
        )
    bid_multiplier = min(max(advice.bid_spread_multiplier, params.min_spread_multiplier), params.max_spread_multiplier)
    ask_multiplier = min(max(advice.ask_spread_multiplier, params.min_spread_multiplier), params.max_spread_multiplier)
    size_multiplier = min(max(advice.size_multiplier, params.min_size_multiplier), params.max_size_multiplier)
    skew_bps = min(max(advice.skew_bps, -params.max_skew_bps), params.max_skew_bps)
    scale = min(max(advice.position_scale, params.min_position_scale), 1.0)
    is_clamped = (
        bid_multiplier != advice.bid_spread_multiplier
        or ask_multiplier != advice.ask_spread_multiplier
        or size_multiplier != advice.size_multiplier
        or skew_bps != advice.skew_bps
        or scale != advice.position_scale
    )
    if advice.pause > 0.5:
        return QuoteProposal(
            nan, 0.0, nan, 0.0, _ADVICE_PAUSE if has_bid else bid_reason, _ADVICE_PAUSE if has_ask else ask_reason
        )
    if (
        not is_clamped
        and bid_multiplier == 1.0
        and ask_multiplier == 1.0
        and size_multiplier == 1.0
        and skew_bps == 0.0
        and scale == 1.0
    ):
        return proposal
    if not 0.0 < view.mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)

    shift = skew_bps / 10_000.0 * view.mid
    if has_bid and has_ask:
        width = ask - bid
        bid -= (bid_multiplier - 1.0) * width / 2.0
        ask += (ask_multiplier - 1.0) * width / 2.0
        # Closer than a step of the grid, both quotes would round to one price.
        least = width if width < view.tick else view.tick
        missing = least - (ask - bid)
        if missing > 0.0:
            bid -= missing / 2.0
            ask += missing / 2.0
    elif has_bid:
        bid -= (bid_multiplier - 1.0) * abs(view.mid - bid)
    elif has_ask:
        ask += (ask_multiplier - 1.0) * abs(ask - view.mid)
    bid += shift
    ask += shift
    bid_size *= size_multiplier
    ask_size *= size_multiplier
    if has_bid:
        bid_reason = ADVICE_CLAMPED if is_clamped else bid_reason
        if not bid_size > 0.0:
            bid_reason = _ADVICE_PAUSE
    if has_ask:
        ask_reason = ADVICE_CLAMPED if is_clamped else ask_reason
        if not ask_size > 0.0:
            ask_reason = _ADVICE_PAUSE

    if scale < 1.0:
        position = inventory.position
        if not -inf < position < inf:
            return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
        full = params.full_position
        if full <= 0.0:
            full = inventory.max_position
        if not 0.0 < full < inf:
            full = _DEFAULT_FULL_ORDERS * view.order_size
        # What may still be bought or sold within the share. Half a lot decides whether there is a lot left.
        room_to_buy = scale * full - position
        room_to_sell = scale * full + position
        if bid_size > room_to_buy:
            bid_size = room_to_buy if room_to_buy > view.lot / 2.0 else 0.0
            bid_reason = _INVENTORY if has_bid else bid_reason
        if ask_size > room_to_sell:
            ask_size = room_to_sell if room_to_sell > view.lot / 2.0 else 0.0
            ask_reason = _INVENTORY if has_ask else ask_reason

    if not (bid_size > 0.0 and 0.0 < bid < inf):
        if bid_size > 0.0:
            bid_reason = _BELOW_MINIMUM
        bid = nan
        bid_size = 0.0
    if not (ask_size > 0.0 and 0.0 < ask < inf):
        if ask_size > 0.0:
            ask_reason = _BELOW_MINIMUM
        ask = nan
        ask_size = 0.0
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: AdviceOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    params = AdviceParams(
        options.min_confidence,
        options.min_spread_multiplier,
        options.max_spread_multiplier,
        options.max_skew_bps,
        options.min_size_multiplier,
        options.max_size_multiplier,
        options.min_position_scale,
        0.0 if options.full_position is None else float(options.full_position),
    )
    return OptimizerRule(advised, params)


ADVICE = OptimizerSpec(
    name="advice",
    summary="Applies an adviser's spread multipliers, skew, size, position scale and pause, within its own bounds.",
    description="""\
    bid - (bid_spread_multiplier - 1) x width / 2 + skew_bps / 10,000 x mid
    ask + (ask_spread_multiplier - 1) x width / 2 + skew_bps / 10,000 x mid
    sizes x size_multiplier
    bid size at most position_scale x full_position - position, ask size at most position_scale x full_position +
    position, when position_scale is below 1
    pause: no quotes

width is the distance of the two quotes that it is given: for quotes around the mid this multiplies each one's distance
from the mid, and for quotes that lean a multiplier above 1 still only ever moves them out. Of one quote alone the
distance from the mid is multiplied. Two quotes at least a tick apart stay so. full_position is the option, or else the
gate's max_position, or else 10 order sizes.

Every number is first held within the options, whatever the adviser was allowed to say: advice may make the strategy a
tenth tighter and four times wider, its orders no larger, its position no larger. Reason ADVICE_CLAMPED (1141) then
stands beside the quotes. Advice in which anything is not a number is ignored, with ADVICE_IGNORED (1140) beside them.

Neutral advice, expired advice (valid_until) and advice of less confidence than min_confidence leave the proposal as it
is, bit for bit. So an adviser that is slow, wrong or gone does nothing. That holds for a pause too.

It adapts the quotes of the stages before it and adds none; stages after it may still skew, widen or limit.

No quote: ADVICE_PAUSE on both sides, or when the size is multiplied by 0; INVENTORY on the side whose fill would carry
the position beyond its share; BELOW_MINIMUM when a price would not be above 0; BOOK_EMPTY when the mid is no price
above 0; NOT_FINITE when the position is not a number.

When it fails: advice that is confident and wrong. The bounds are all that stands against it.

Example: mid 100, quotes 99.90 / 100.10, sizes 2; advice: bid spread x 2, ask spread x 0.5, size x 0.5, skew 5 bps. The
0.5 becomes 0.9: bid 99.90 - 0.10 + 0.05 = 99.85, ask 100.10 - 0.01 + 0.05 = 100.14, sizes 1, ADVICE_CLAMPED.""",
    options=AdviceOptions,
    build=_build,
    reasons={
        ADVICE_IGNORED: "the advice holds something that is not a number: passed over",
        ADVICE_CLAMPED: "the advice asked for more than the options of this stage allow: held within them",
    },
)

"""The risk control `layered-limits`: a limit for the asset, one for the whole book of positions, one for the day."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import BuildContext, RiskControlSpec, RiskRule, Scope, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["LAYERED_LIMITS", "LayeredLimitsOptions", "layered_limits"]

_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_HALT = int(RiskLevel.HALT)
_NONE = int(Reason.NONE)
_NOT_FINITE = int(Reason.NOT_FINITE)
_POSITION_LIMIT = int(Reason.POSITION_LIMIT)
_TOTAL_LIMIT = int(Reason.TOTAL_LIMIT)
_DAILY_LOSS = int(Reason.DAILY_LOSS)


@attrs.frozen
class LayeredLimitsOptions:
    """Options of `layered-limits`; a limit that is not set does not bind."""

    max_position: Decimal | None = option(
        help="Largest absolute position of this market's asset.",
        default=None,
        unit="base units",
        above=0.0,
        example="1.5",
    )
    max_total_notional_quote: Decimal | None = option(
        help="Largest sum of absolute position values over all markets.",
        default=None,
        unit="quote units",
        above=0.0,
        example="100000",
    )
    max_daily_loss_quote: Decimal | None = option(
        help="Loss since midnight UTC over all markets, fees included, that halts the strategy.",
        default=None,
        unit="quote units",
        above=0.0,
        example="500",
    )
    shrink_from: float = option(
        help="Share of max_position from which on the side that adds to the position shrinks; 1 never shrinks early.",
        default=0.8,
        minimum=0.0,
        maximum=1.0,
    )


class LayeredLimitsParams(NamedTuple):
    """The options as the rule reads them; a limit that is not set is infinity."""

    max_position: float
    max_total_notional_quote: float
    max_daily_loss_quote: float
    shrink_from: float


def layered_limits(  # noqa: C901, PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: LayeredLimitsParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes cut to what the limits leave room for."""
    position = inventory.position
    total_quote = inventory.total_notional_quote
    if params.max_daily_loss_quote < inf and not inventory.day_pnl_quote > -params.max_daily_loss_quote:
        # Worded so that a profit that is not a number halts as well: what cannot be known is not within a limit.
        return RiskVerdict(_HALT, proposal.bid, 0.0, proposal.ask, 0.0, _DAILY_LOSS)
    if not (-inf < position < inf and -inf < total_quote < inf and 0.0 < view.mid < inf):
        return RiskVerdict(_CANCEL_ONLY, proposal.bid, 0.0, proposal.ask, 0.0, _NOT_FINITE)

    bid, bid_size, ask, ask_size, _, _ = proposal
    reason = _NONE

    # The layer of the asset: never beyond max_position, and tapering off on the adding side before that.
    if params.max_position < inf:
        bid_room = params.max_position - position
        ask_room = params.max_position + position
        used = abs(position) / params.max_position
        if used > params.shrink_from and params.shrink_from < 1.0:
            share = (1.0 - used) / (1.0 - params.shrink_from)
            if position > 0.0:
                bid_room = bid_room if bid_room < bid_size * share else bid_size * share
            else:
                ask_room = ask_room if ask_room < ask_size * share else ask_size * share
        if bid_size > bid_room:
            bid_size = bid_room if bid_room > 0.0 else 0.0
            reason = _POSITION_LIMIT
        if ask_size > ask_room:
            ask_size = ask_room if ask_room > 0.0 else 0.0
            reason = _POSITION_LIMIT

    # The layer of the whole: reducing to flat is always allowed, adding only as far as the total has room.
    if params.max_total_notional_quote < inf:
        room = (params.max_total_notional_quote - total_quote) / view.mid
        room = room if room > 0.0 else 0.0
        bid_room = room - position if position < 0.0 else room
        ask_room = room + position if position > 0.0 else room
        if bid_size > bid_room:
            bid_size = bid_room
            reason = _TOTAL_LIMIT
        if ask_size > ask_room:
            ask_size = ask_room
            reason = _TOTAL_LIMIT

    level = _ALLOW
    if reason != _NONE:
        level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _limit(value: Decimal | None) -> float:
    return inf if value is None else float(value)


def _build(options: LayeredLimitsOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    return RiskRule(
        layered_limits,
        LayeredLimitsParams(
            _limit(options.max_position),
            _limit(options.max_total_notional_quote),
            _limit(options.max_daily_loss_quote),
            options.shrink_from,
        ),
    )


LAYERED_LIMITS = RiskControlSpec(
    name="layered-limits",
    summary="Limits of one asset's position, of all positions together and of the day's loss.",
    description="""\
Three layers, each of which can only take away:

1. Asset. bid size <= max_position - position, ask size <= max_position + position (base units). Above the share
   shrink_from of max_position the side that adds to the position is also cut to
   (1 - |position| / max_position) / (1 - shrink_from) of its size. Reason POSITION_LIMIT.
2. Total. The side that adds may add at most (max_total_notional_quote - total) / mid base units beyond flat; the side
   that reduces may always go to flat. Reason TOTAL_LIMIT.
3. Day. When the profit since midnight UTC, over all markets and after fees, is at or below -max_daily_loss_quote, the
   whole strategy halts until an operator resumes it. Reason DAILY_LOSS.

A side that is left without size is cancelled while the other one is quoted (level SHRINK); when neither is left the
level is CANCEL_ONLY. The figures are those of filled positions; orders that may still fill are counted by the gate,
whose limits stand behind these.

Fails safe: a profit that is not a number halts, a position, total or mid that is not a number cancels (NOT_FINITE).

Example: max_position = 1, shrink_from = 0.8, position 0.9, both sides 0.2: the bid has room 0.1 and is tapered to
0.2 x (1 - 0.9) / (1 - 0.8) = 0.1; the ask stays 0.2.""",
    options=LayeredLimitsOptions,
    build=_build,
    scope=Scope.STRATEGY,
)

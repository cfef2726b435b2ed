"""The risk control `layered-limits`: limits of one market, one asset, all positions together, and of the day."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, Scope, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "ASSET_LIMIT",
    "LAYERED_LIMITS",
    "NET_LIMIT",
    "NOTIONAL_LIMIT",
    "LayeredLimitsOptions",
    "layered_limits",
]

NOTIONAL_LIMIT = int(Reason.PLUGIN) + 200
ASSET_LIMIT = int(Reason.PLUGIN) + 201
NET_LIMIT = int(Reason.PLUGIN) + 202
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_HALT = int(RiskLevel.HALT)
_NONE = int(Reason.NONE)
_NOT_FINITE = int(Reason.NOT_FINITE)
_POSITION_LIMIT = int(Reason.POSITION_LIMIT)
_TOTAL_LIMIT = int(Reason.TOTAL_LIMIT)
_DAILY_LOSS = int(Reason.DAILY_LOSS)
_LIMITS = (
    "max_position",
    "max_long",
    "max_short",
    "max_position_notional_quote",
    "max_asset_position",
    "max_total_notional_quote",
    "max_net_notional_quote",
    "max_daily_loss_quote",
)


@attrs.frozen
class LayeredLimitsOptions:
    """Options of `layered-limits`; a limit that is not set does not bind, at least one is needed.

    Raises:
        DomainError: If there is no limit.
    """

    max_position: Decimal | None = option(
        help="Largest absolute position of this market.",
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
        help="Share of a limit of the market or the asset from which on the side that adds to the position shrinks; "
        "1 never shrinks early.",
        default=0.8,
        minimum=0.0,
        maximum=1.0,
    )
    max_long: Decimal | None = option(
        help="Largest long position of this market, where it is to be smaller than max_position; 0 is never long.",
        default=None,
        unit="base units",
        minimum=0.0,
        example="1",
    )
    max_short: Decimal | None = option(
        help="Largest short position of this market, as an amount without sign; 0 is never short.",
        default=None,
        unit="base units",
        minimum=0.0,
        example="0.5",
    )
    max_position_notional_quote: Decimal | None = option(
        help="Largest value of this market's position at the mid, long or short.",
        default=None,
        unit="quote units",
        above=0.0,
        example="50000",
    )
    max_asset_position: Decimal | None = option(
        help="Largest absolute position of this market's base asset, summed over all markets that trade it.",
        default=None,
        unit="base units",
        above=0.0,
        example="2",
    )
    max_net_notional_quote: Decimal | None = option(
        help="Largest absolute sum of signed position values over all markets.",
        default=None,
        unit="quote units",
        above=0.0,
        example="40000",
    )
    total_shrink_from: float = option(
        help="Share of max_total_notional_quote and max_net_notional_quote from which on the side that adds shrinks; "
        "1 never shrinks early.",
        default=1.0,
        minimum=0.0,
        maximum=1.0,
    )

    def __attrs_post_init__(self) -> None:
        if all(getattr(self, name) is None for name in _LIMITS):
            msg = f"{_LIMITS[0]}: expected at least one limit ({', '.join(_LIMITS)}), was none"
            raise DomainError(msg, hint="write the largest position of a market, in base units")


class LayeredLimitsParams(NamedTuple):
    """The options as the rule reads them; a limit that is not set is infinity."""

    max_long: float
    """The smaller of max_long and max_position."""
    max_short: float
    max_position_notional_quote: float
    max_asset_position: float
    max_total_notional_quote: float
    max_net_notional_quote: float
    max_daily_loss_quote: float
    shrink_from: float
    total_shrink_from: float


def layered_limits(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
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
    if (
        not (-inf < position < inf and -inf < total_quote < inf and 0.0 < view.mid < inf)
        or (params.max_asset_position < inf and not -inf < inventory.asset_position < inf)
        or (params.max_net_notional_quote < inf and not -inf < inventory.net_notional_quote < inf)
    ):
        return RiskVerdict(_CANCEL_ONLY, proposal.bid, 0.0, proposal.ask, 0.0, _NOT_FINITE)

    bid, bid_size, ask, ask_size, _, _ = proposal
    reason = _NONE

    # The layer of the market: never beyond the limit of each direction, and tapering off on the adding side before it.
    max_long = params.max_long
    long_reason = _POSITION_LIMIT
    max_short = params.max_short
    short_reason = _POSITION_LIMIT
    if params.max_position_notional_quote < inf:
        most = params.max_position_notional_quote / view.mid
        if most < max_long:
            max_long = most
            long_reason = NOTIONAL_LIMIT
        if most < max_short:
            max_short = most
            short_reason = NOTIONAL_LIMIT
    bid_room = max_long - position
    ask_room = max_short + position
    if params.shrink_from < 1.0:
        if 0.0 < position < max_long < inf and position / max_long > params.shrink_from:
            tapered = bid_size * (1.0 - position / max_long) / (1.0 - params.shrink_from)
            bid_room = bid_room if bid_room < tapered else tapered
        elif 0.0 < -position < max_short < inf and -position / max_short > params.shrink_from:
            tapered = ask_size * (1.0 + position / max_short) / (1.0 - params.shrink_from)
            ask_room = ask_room if ask_room < tapered else tapered
    if bid_size > bid_room:
        bid_size = bid_room if bid_room > 0.0 else 0.0
        reason = long_reason
    if ask_size > ask_room:
        ask_size = ask_room if ask_room > 0.0 else 0.0
        reason = short_reason

    # The layer of the asset: as of the market, for the sum of the markets that trade it.
    if params.max_asset_position < inf:
        held = inventory.asset_position
        used = abs(held) / params.max_asset_position
        bid_room = params.max_asset_position - held
        ask_room = params.max_asset_position + held
        if params.shrink_from < used < 1.0:
            share = (1.0 - used) / (1.0 - params.shrink_from)
            if held > 0.0:
                bid_room = bid_room if bid_room < bid_size * share else bid_size * share
            else:
                ask_room = ask_room if ask_room < ask_size * share else ask_size * share
        if bid_size > bid_room:
            bid_size = bid_room if bid_room > 0.0 else 0.0
            reason = ASSET_LIMIT
        if ask_size > ask_room:
            ask_size = ask_room if ask_room > 0.0 else 0.0
            reason = ASSET_LIMIT

    # The layer of the whole: reducing to flat is always allowed, adding only as far as the total has room.
    if params.max_total_notional_quote < inf:
        room = (params.max_total_notional_quote - total_quote) / view.mid
        room = room if room > 0.0 else 0.0
        used = total_quote / params.max_total_notional_quote
        share = 1.0
        if params.total_shrink_from < used < 1.0:
            share = (1.0 - used) / (1.0 - params.total_shrink_from)
        bid_room = room if room < bid_size * share else bid_size * share
        ask_room = room if room < ask_size * share else ask_size * share
        if position < 0.0:
            bid_room -= position
        if position > 0.0:
            ask_room += position
        if bid_size > bid_room:
            bid_size = bid_room
            reason = _TOTAL_LIMIT
        if ask_size > ask_room:
            ask_size = ask_room
            reason = _TOTAL_LIMIT

    # The layer of the net: what a purchase adds to it, a sale takes from it, whatever this market holds.
    if params.max_net_notional_quote < inf:
        net_quote = inventory.net_notional_quote
        used = abs(net_quote) / params.max_net_notional_quote
        bid_room = (params.max_net_notional_quote - net_quote) / view.mid
        ask_room = (params.max_net_notional_quote + net_quote) / view.mid
        if params.total_shrink_from < used < 1.0:
            share = (1.0 - used) / (1.0 - params.total_shrink_from)
            if net_quote > 0.0:
                bid_room = bid_room if bid_room < bid_size * share else bid_size * share
            else:
                ask_room = ask_room if ask_room < ask_size * share else ask_size * share
        if bid_size > bid_room:
            bid_size = bid_room if bid_room > 0.0 else 0.0
            reason = NET_LIMIT
        if ask_size > ask_room:
            ask_size = ask_room if ask_room > 0.0 else 0.0
            reason = NET_LIMIT

    level = _ALLOW
    if reason != _NONE:
        level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _limit(value: Decimal | None) -> float:
    return inf if value is None else float(value)


def _build(options: LayeredLimitsOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    max_position = _limit(options.max_position)
    return RiskRule(
        layered_limits,
        LayeredLimitsParams(
            min(max_position, _limit(options.max_long)),
            min(max_position, _limit(options.max_short)),
            _limit(options.max_position_notional_quote),
            _limit(options.max_asset_position),
            _limit(options.max_total_notional_quote),
            _limit(options.max_net_notional_quote),
            _limit(options.max_daily_loss_quote),
            options.shrink_from,
            options.total_shrink_from,
        ),
    )


LAYERED_LIMITS = RiskControlSpec(
    name="layered-limits",
    summary="Limits of a market, of an asset over its markets, of all positions together and of the day's loss.",
    description="""\
Five layers, each of which can only take away. A limit that is not set does not bind; at least one is needed.

1. Market, in base units. bid size <= longest - position, ask size <= shortest + position, where longest is the smallest
   of max_position, max_long and max_position_notional_quote / mid, and shortest that of max_position, max_short and the
   same notional. Above the share shrink_from of its limit the side that adds to the position is also cut to
   (1 - |position| / limit) / (1 - shrink_from) of its size. Reason POSITION_LIMIT, or NOTIONAL_LIMIT (1200) where the
   value is what binds.
2. Asset, in base units: the same with max_asset_position and the sum of the positions of all markets with this market's
   base asset (BTC/USDT and BTC/USDC). It is the sum that counts: a market that is long may not sell when the asset as a
   whole is as short as it may be. Reason ASSET_LIMIT (1201).
3. Total, in quote units: the sum of absolute position values. The side that adds may add at most
   (max_total_notional_quote - total) / mid base units beyond flat; the side that reduces may always go to flat. Reason
   TOTAL_LIMIT.
4. Net, in quote units: the sum of signed position values. bid size <= (max_net_notional_quote - net) / mid, ask size <=
   (max_net_notional_quote + net) / mid. Reason NET_LIMIT (1202).
   Total and net taper as layer 1 does, from the share total_shrink_from of their limits.
5. Day. When the profit since midnight UTC, over all markets and after fees, is at or below -max_daily_loss_quote, the
   whole strategy halts until an operator resumes it. Reason DAILY_LOSS. `daily-loss` does this with a soft part and
   from the day's peak, if asked.

Total, net and day go over the group: all markets of the strategy with this market's quote asset, since only these can
be added up. A strategy trades on one venue, so its total is the total of the venue; a limit over several venues is a
limit over several strategies, and has to be divided among their files.

A side that is left without size is cancelled while the other one is quoted (level SHRINK); when neither is left the
level is CANCEL_ONLY. Where several layers bind, the last one gives the reason. The figures are those of filled
positions; orders that may still fill are counted by the gate, whose limits stand behind these.

Fails safe: a profit that is not a number halts; a position, total or mid that is not a number cancels (NOT_FINITE), and
so does the position of the asset or the net value where it has a limit.

Example: max_position = 1, shrink_from = 0.8, position 0.9, both sides 0.2: the bid has room 0.1 and is tapered to
0.2 x (1 - 0.9) / (1 - 0.8) = 0.1; the ask stays 0.2. With max_short = 0 and position 0.1 the ask is 0.1: what is held
may be sold and nothing else. With max_net_notional_quote = 1000, net 990 and mid 100 the bid is 0.1, the ask 0.2.""",
    options=LayeredLimitsOptions,
    build=_build,
    scope=Scope.STRATEGY,
    reasons={
        NOTIONAL_LIMIT: "the value of this market's position is at or near its limit",
        ASSET_LIMIT: "the asset's position over all its markets is at or near its limit",
        NET_LIMIT: "the net value of all positions is at or near its limit",
    },
    limits={
        "max_position": LimitFacts(),
        "max_long": LimitFacts(),
        "max_short": LimitFacts(),
        "max_position_notional_quote": LimitFacts(),
        "max_asset_position": LimitFacts(scope="asset"),
        "max_total_notional_quote": LimitFacts(scope="group"),
        "max_net_notional_quote": LimitFacts(scope="group"),
        "max_daily_loss_quote": LimitFacts(scope="group", is_latched=True),
        "shrink_from": LimitFacts(is_hard=False),
        "total_shrink_from": LimitFacts(scope="group", is_hard=False),
    },
)

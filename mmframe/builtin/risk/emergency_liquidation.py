"""The risk control `emergency-liquidation`: halts and closes the positions when a loss or a position is too large."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import LiquidationTerms
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["EMERGENCY_LIQUIDATION", "TRIGGERS", "EmergencyLiquidationOptions", "emergency_liquidation"]

DAY_LOSS = 1280
DRAWDOWN = 1281
POSITION_TOO_LARGE = 1282
UNREALISED_LOSS = 1283
UNREALISED_LOSS_BPS = 1284

_ALLOW = int(RiskLevel.ALLOW)
_HALT = int(RiskLevel.HALT)
_LIQUIDATE = int(RiskLevel.LIQUIDATE)
_NOT_FINITE = int(Reason.NOT_FINITE)
_SECOND_NS = 1_000_000_000
_LONGEST_S = 604_800.0
TRIGGERS = (
    "max_loss_quote",
    "max_drawdown_quote",
    "position_factor",
    "max_unrealised_loss_quote",
    "max_unrealised_loss_bps",
)


@attrs.frozen
class EmergencyLiquidationOptions:
    """Options of `emergency-liquidation`: what triggers it, of which at least one is needed, and how it then closes.

    Raises:
        DomainError: If nothing could ever trigger it.
    """

    max_loss_quote: Decimal | None = option(
        help="Trigger: loss since midnight UTC over all markets with this quote asset, fees included.",
        default=None,
        unit="quote units",
        above=0.0,
        example="500",
    )
    max_drawdown_quote: Decimal | None = option(
        help="Trigger: profit of the run given back since its peak, over all markets with this quote asset.",
        default=None,
        unit="quote units",
        above=0.0,
        example="800",
    )
    position_factor: float | None = option(
        help="Trigger: absolute position beyond so many times the gate's max_position; without one it never is.",
        default=None,
        minimum=1.0,
        maximum=1_000.0,
        example=1.2,
    )
    max_unrealised_loss_quote: Decimal | None = option(
        help="Trigger: unrealised loss of this market's position.",
        default=None,
        unit="quote units",
        above=0.0,
        example="300",
    )
    max_unrealised_loss_bps: float | None = option(
        help="Trigger: unrealised loss of this market's position, of what it cost.",
        default=None,
        unit="bps",
        above=0.0,
        maximum=100_000.0,
        example=500.0,
    )
    slice_share: float = option(
        help="Share of a market's position at the start that one order closes.", default=0.1, above=0.0, maximum=1.0
    )
    interval_s: float = option(
        help="Time from one order to the next, over all markets.", default=5.0, unit="s", minimum=0.01, maximum=3_600.0
    )
    price_cap_bps: float = option(
        help="How far from the mid an order may reach; the gate's price_collar_bps binds as well.",
        default=50.0,
        unit="bps",
        above=0.0,
        maximum=5_000.0,
    )
    max_duration_s: float = option(
        help="Time after which it is given up, and what is left is reported.",
        default=3_600.0,
        unit="s",
        above=0.0,
        maximum=_LONGEST_S,
    )
    scope: str = option(
        help="What is halted and closed: the market in which it was triggered, or all of the strategy.",
        default="strategy",
        choices=("market", "strategy"),
    )

    def __attrs_post_init__(self) -> None:
        if all(getattr(self, name) is None for name in TRIGGERS):
            msg = f"{TRIGGERS[0]}: expected at least one trigger ({', '.join(TRIGGERS)}), was none"
            raise DomainError(msg, hint="say at which loss or position everything is to be closed")


class EmergencyLiquidationParams(NamedTuple):
    """The triggers as the rule reads them; one that is not set is infinity."""

    max_loss_quote: float
    max_drawdown_quote: float
    position_factor: float
    max_unrealised_loss_quote: float
    max_unrealised_loss: float
    """Share of the cost."""


def emergency_liquidation(  # noqa: PLR0911, PLR0913, PLR0917 - the rule signature, and one return for each trigger
    params: EmergencyLiquidationParams,
    state: State,  # noqa: ARG001
    view: MarketView,  # noqa: ARG001
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes as they are, or that everything is to be closed."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    position = inventory.position
    cost = abs(position) * inventory.average_price
    loss = -inventory.unrealised_pnl_quote
    drawdown = inventory.peak_pnl_quote - inventory.total_pnl_quote
    # Nothing is sold on figures that are none; what cannot be known is not safe to go on with either.
    if not (
        -inf < position < inf
        and (params.max_loss_quote == inf or -inf < inventory.day_pnl_quote < inf)
        and (params.max_drawdown_quote == inf or -inf < drawdown < inf)
        and ((params.max_unrealised_loss_quote == inf and params.max_unrealised_loss == inf) or -inf < loss < inf)
        and (params.max_unrealised_loss == inf or 0.0 <= cost < inf)
    ):
        return RiskVerdict(_HALT, bid, 0.0, ask, 0.0, _NOT_FINITE)
    if params.max_loss_quote < inf and -inventory.day_pnl_quote >= params.max_loss_quote:
        return RiskVerdict(_LIQUIDATE, bid, 0.0, ask, 0.0, DAY_LOSS)
    if params.max_drawdown_quote < inf and drawdown >= params.max_drawdown_quote:
        return RiskVerdict(_LIQUIDATE, bid, 0.0, ask, 0.0, DRAWDOWN)
    if params.position_factor < inf and abs(position) > params.position_factor * inventory.max_position:
        return RiskVerdict(_LIQUIDATE, bid, 0.0, ask, 0.0, POSITION_TOO_LARGE)
    if position != 0.0 and params.max_unrealised_loss_quote < inf and loss >= params.max_unrealised_loss_quote:
        return RiskVerdict(_LIQUIDATE, bid, 0.0, ask, 0.0, UNREALISED_LOSS)
    if position != 0.0 and params.max_unrealised_loss < inf and loss >= params.max_unrealised_loss * cost > 0.0:
        return RiskVerdict(_LIQUIDATE, bid, 0.0, ask, 0.0, UNREALISED_LOSS_BPS)
    return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, 0)


def _trigger(value: Decimal | float | None, scale: float = 1.0) -> float:
    return inf if value is None else float(value) * scale


def _build(options: EmergencyLiquidationOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the signature
    params = EmergencyLiquidationParams(
        _trigger(options.max_loss_quote),
        _trigger(options.max_drawdown_quote),
        _trigger(options.position_factor),
        _trigger(options.max_unrealised_loss_quote),
        _trigger(options.max_unrealised_loss_bps, 1e-4),
    )
    return RiskRule(emergency_liquidation, params)


def _terms(options: EmergencyLiquidationOptions) -> LiquidationTerms:
    return LiquidationTerms(
        slice_share=options.slice_share,
        interval_ns=round(options.interval_s * _SECOND_NS),
        price_cap_bps=options.price_cap_bps,
        max_duration_ns=round(options.max_duration_s * _SECOND_NS),
        scope=Scope(options.scope),
    )


_OF_GROUP = LimitFacts(scope="group", is_latched=True)
_OF_MARKET = LimitFacts(is_latched=True)

EMERGENCY_LIQUIDATION = RiskControlSpec(
    name="emergency-liquidation",
    summary="Halts and closes the positions slice by slice when a loss or a position is too large.",
    description="""\
Triggers, each of which may be left out, at least one is needed; the first that holds is the reason:

    -profit since midnight UTC >= max_loss_quote                                        reason 1280
    peak profit of the run - profit of the run >= max_drawdown_quote                    reason 1281
    |position| > position_factor x the gate's max_position                              reason 1282
    -unrealised profit of this market >= max_unrealised_loss_quote                      reason 1283
    -unrealised profit >= max_unrealised_loss_bps / 10,000 x |position| x average price reason 1284

Profits are marked to the mid, in quote units; those of the day and the run are sums over all markets with this quote
asset, after fees. Triggers are looked at in every decision for which the book is in order, also when nothing is quoted.

Then what `scope` names is halted, and closed: resting orders are cancelled first, nothing is sent in a market before
they are gone, and every interval_s one order takes in the worst market (most negative unrealised profit first) that can
be traded: max(smallest order, slice_share x position at the start), at most the position, as an immediate order that
may reach price_cap_bps from the mid. It passes the gate as reduce-only: it can neither flip a position nor make it
larger. While a book is not in order, or its touch lies beyond the cap, that market waits. What is left below the
smallest order is reported. The halt stays until an operator resumes.

A halt for another reason does not stop it, an operator's pause, kill or resume does. It goes on after a restart from
the journal. Set max_loss_quote at or below the gate's max_daily_loss_quote: beyond that one the strategy halts, and
whoever has halted is not asked any more.

Fails safe: a figure of a trigger that is not a number halts and closes nothing (NOT_FINITE).

Example: max_loss_quote = 500, max_unrealised_loss_bps = 300, long 2 at an average of 100, mid 96.9: unrealised -6.2,
cost 200, 3 % of it is 6: reason 1284. With slice_share = 0.1 the first order sells 0.2; price_cap_bps = 50 lets it
reach 96.9 x (1 - 50 / 10,000) = 96.4155, so on a tick of 0.01 it is priced 96.42.""",
    options=EmergencyLiquidationOptions,
    build=_build,
    scope=Scope.STRATEGY,
    liquidation=_terms,
    limits={
        "max_loss_quote": _OF_GROUP,
        "max_drawdown_quote": _OF_GROUP,
        "position_factor": _OF_MARKET,
        "max_unrealised_loss_quote": _OF_MARKET,
        "max_unrealised_loss_bps": _OF_MARKET,
    },
    reasons={
        DAY_LOSS: "the day's loss has reached max_loss_quote",
        DRAWDOWN: "the profit has fallen by max_drawdown_quote from its peak",
        POSITION_TOO_LARGE: "the position is beyond position_factor x max_position",
        UNREALISED_LOSS: "the position's unrealised loss has reached max_unrealised_loss_quote",
        UNREALISED_LOSS_BPS: "the position's unrealised loss has reached max_unrealised_loss_bps of its cost",
    },
)

"""The risk control `daily-loss`: quote less as the day's loss grows, and stop for the day at its limit."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, Scope, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["DAILY_LOSS", "DAY_GIVE_BACK", "NEAR_DAILY_LOSS", "DailyLossOptions", "daily_loss"]

NEAR_DAILY_LOSS = int(Reason.PLUGIN) + 203
DAY_GIVE_BACK = int(Reason.PLUGIN) + 204
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_HALT = int(RiskLevel.HALT)
_NONE = int(Reason.NONE)
_NOT_FINITE = int(Reason.NOT_FINITE)
_DAILY_LOSS = int(Reason.DAILY_LOSS)


@attrs.frozen
class DailyLossOptions:
    """Options of `daily-loss`."""

    max_daily_loss_quote: Decimal = option(
        help="Loss of the day over all markets, fees included, that halts the strategy.",
        unit="quote units",
        above=0.0,
        example="500",
    )
    shrink_from: float = option(
        help="Share of max_daily_loss_quote from which on sizes that add to the position shrink; 1 never shrinks.",
        default=0.5,
        minimum=0.0,
        maximum=1.0,
    )
    trailing: bool = option(
        help="Count the loss from the day's highest profit instead of from midnight: what may be given back.",
        default=False,
    )


class DailyLossParams(NamedTuple):
    """The options as the rule reads them."""

    max_loss_quote: float
    shrink_from: float
    trailing: float
    """1.0 or 0.0."""


def daily_loss(  # noqa: PLR0913, PLR0917 - the rule signature
    params: DailyLossParams,
    state: State,  # noqa: ARG001
    view: MarketView,  # noqa: ARG001
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes with less size as the loss grows, or a HALT at its limit."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    loss_quote = -inventory.day_pnl_quote
    reason = _DAILY_LOSS
    if params.trailing > 0.0:
        loss_quote += inventory.day_peak_pnl_quote
        reason = DAY_GIVE_BACK
    # Worded so that a loss that is not a number halts as well: what cannot be known is not within a limit.
    if not loss_quote < params.max_loss_quote:
        return RiskVerdict(_HALT, bid, 0.0, ask, 0.0, reason)
    used = loss_quote / params.max_loss_quote
    if used <= params.shrink_from:
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    position = inventory.position
    if not -inf < position < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _NOT_FINITE)

    # What brings the position to flat stays: it takes risk away.
    share = (1.0 - used) / (1.0 - params.shrink_from)
    closing = -position if position < 0.0 else 0.0
    if bid_size > closing:
        bid_size = closing + (bid_size - closing) * share
    closing = position if position > 0.0 else 0.0
    if ask_size > closing:
        ask_size = closing + (ask_size - closing) * share
    if bid_size == proposal.bid_size and ask_size == proposal.ask_size:
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    return RiskVerdict(_SHRINK, bid, bid_size, ask, ask_size, NEAR_DAILY_LOSS)


def _build(options: DailyLossOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = DailyLossParams(float(options.max_daily_loss_quote), options.shrink_from, 1.0 if options.trailing else 0.0)
    return RiskRule(daily_loss, params)


DAILY_LOSS = RiskControlSpec(
    name="daily-loss",
    summary="Shrinks quotes as the day's loss nears its limit, and halts the strategy there.",
    description="""\
    loss = -day_pnl_quote
    loss = day_peak_pnl_quote - day_pnl_quote          with trailing
    used = loss / max_daily_loss_quote
    size = closing + (size - closing) x (1 - used) / (1 - shrink_from)

day_pnl_quote is the profit since midnight UTC, realised and not, fees included, over the group: all markets of the
strategy with this market's quote asset. closing is the part of a side that brings the position to flat; it stays.

Soft: above the share shrink_from sizes fall in a straight line to nothing at the limit (SHRINK, reason NEAR_DAILY_LOSS,
1203); a flat book may stand still short of it, with sizes too small to be placed. Hard: at the limit the whole strategy
halts, latched (HALT, reason DAILY_LOSS, or DAY_GIVE_BACK, 1204, with trailing): orders are cancelled and nothing is
quoted until an operator resumes, also after a restart, also tomorrow.

When it begins anew: the day's profit and its peak start at 0 with the first decision after midnight UTC. A resume on
the same day does not undo the day's loss: as long as it stands at the limit, the next quote halts the strategy again.
To go on the same day, raise the limit first. With trailing a resume starts the peak where the profit stands, so the
whole limit may be given back once more.

The gate has a max_daily_loss_quote of its own. That is the backstop: a live run demands it, it is looked at before any
stage at every decision, whether there is a quote or not, it has no soft part and cannot be taken out of the chain.
This one is the working limit in front of it: set it smaller. It is looked at whenever there is something to quote.

Fails safe: a profit or peak that is not a number halts; a position that is not a number cancels (NOT_FINITE) while
sizes shrink.

Example: max_daily_loss_quote = 100, shrink_from = 0.5, day_pnl_quote = -75, position 0.05, both sides 0.2: used is 0.75
and the share (1 - 0.75) / (1 - 0.5) = 0.5. The bid becomes 0.1, the ask 0.05 + (0.2 - 0.05) x 0.5 = 0.125.""",
    options=DailyLossOptions,
    build=_build,
    scope=Scope.STRATEGY,
    reasons={
        NEAR_DAILY_LOSS: "the day's loss nears its limit: sizes that add to the position are smaller",
        DAY_GIVE_BACK: "the day's profit has fallen from its peak by the limit",
    },
    limits={
        "max_daily_loss_quote": LimitFacts(scope="group", is_latched=True),
        "shrink_from": LimitFacts(scope="group", is_hard=False),
    },
)

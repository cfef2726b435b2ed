"""The risk control `drawdown`: quote less as profit falls from its peak, and stop at a limit."""

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

__all__ = ["DRAWDOWN", "DRAWDOWN_LIMIT", "NEAR_DRAWDOWN", "DrawdownOptions", "drawdown"]

DRAWDOWN_LIMIT = int(Reason.PLUGIN) + 205
NEAR_DRAWDOWN = int(Reason.PLUGIN) + 206
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_HALT = int(RiskLevel.HALT)
_NONE = int(Reason.NONE)
_NOT_FINITE = int(Reason.NOT_FINITE)


@attrs.frozen
class DrawdownOptions:
    """Options of `drawdown`; where both limits are set the smaller binds.

    Raises:
        DomainError: If there is no limit, or a share without a capital to take it of.
    """

    max_drawdown_quote: Decimal | None = option(
        help="Fall of the profit from its peak, over all markets, fees included, that halts the strategy.",
        default=None,
        unit="quote units",
        above=0.0,
        example="1000",
    )
    max_drawdown_share: float | None = option(
        help="The same as a share of capital_quote.", default=None, above=0.0, maximum=1.0, example=0.05
    )
    capital_quote: Decimal | None = option(
        help="What the strategy trades with, for max_drawdown_share.",
        default=None,
        unit="quote units",
        above=0.0,
        example="20000",
    )
    reset: str = option(
        help="When the peak begins anew besides on a resume: `run` never, `day` at midnight UTC.",
        default="run",
        choices=("run", "day"),
    )
    shrink_from: float = option(
        help="Share of the limit from which on sizes that add to the position shrink; 1 never shrinks.",
        default=0.5,
        minimum=0.0,
        maximum=1.0,
    )

    def __attrs_post_init__(self) -> None:
        if self.max_drawdown_share is not None and self.capital_quote is None:
            msg = f"capital_quote: expected an amount beside max_drawdown_share = {self.max_drawdown_share:g}, was none"
            raise DomainError(msg, hint="say what the strategy trades with, or use max_drawdown_quote")
        if self.max_drawdown_quote is None and self.max_drawdown_share is None:
            msg = "max_drawdown_quote: expected a limit here or in max_drawdown_share, was none"
            raise DomainError(msg, hint='write max_drawdown_quote = "1000", or max_drawdown_share and capital_quote')


class DrawdownParams(NamedTuple):
    """The options as the rule reads them."""

    max_drawdown_quote: float
    shrink_from: float
    by_day: float
    """1.0 or 0.0."""


def drawdown(  # noqa: PLR0913, PLR0917 - the rule signature
    params: DrawdownParams,
    state: State,  # noqa: ARG001
    view: MarketView,  # noqa: ARG001
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes with less size as profit falls from its peak, or a HALT at the limit."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    fall_quote = inventory.peak_pnl_quote - inventory.total_pnl_quote
    if params.by_day > 0.0:
        fall_quote = inventory.day_peak_pnl_quote - inventory.day_pnl_quote
    # Worded so that a fall that is not a number halts as well: what cannot be known is not within a limit.
    if not fall_quote < params.max_drawdown_quote:
        return RiskVerdict(_HALT, bid, 0.0, ask, 0.0, DRAWDOWN_LIMIT)
    used = fall_quote / params.max_drawdown_quote
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
    return RiskVerdict(_SHRINK, bid, bid_size, ask, ask_size, NEAR_DRAWDOWN)


def _build(options: DrawdownOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    limit_quote = inf if options.max_drawdown_quote is None else float(options.max_drawdown_quote)
    if options.max_drawdown_share is not None and options.capital_quote is not None:
        limit_quote = min(limit_quote, options.max_drawdown_share * float(options.capital_quote))
    return RiskRule(drawdown, DrawdownParams(limit_quote, options.shrink_from, 1.0 if options.reset == "day" else 0.0))


DRAWDOWN = RiskControlSpec(
    name="drawdown",
    summary="Shrinks quotes as profit falls from its peak, and halts the strategy at a limit.",
    description="""\
    fall = peak_pnl_quote - total_pnl_quote
    fall = day_peak_pnl_quote - day_pnl_quote          with reset = "day"
    limit = min(max_drawdown_quote, max_drawdown_share x capital_quote)
    used = fall / limit
    size = closing + (size - closing) x (1 - used) / (1 - shrink_from)

The profit is that of the whole run, restarts included, realised and not, fees included, over the group: all markets of
the strategy with this market's quote asset. It starts at 0, so a run that only ever lost has its peak at 0. The share
is one of capital_quote as it is given; it does not grow with the profit. closing is the part of a side that brings the
position to flat; it stays.

Soft: above the share shrink_from sizes fall in a straight line to nothing at the limit (SHRINK, reason NEAR_DRAWDOWN,
1206); a flat book may stand still short of it, with sizes too small to be placed. Hard: at the limit the whole strategy
halts, latched (HALT, reason DRAWDOWN_LIMIT, 1205): orders are cancelled and nothing is quoted until an operator
resumes, also after a restart.

When the peak begins anew: with a resume, where the profit stands then, so that the whole limit is there again; with
reset = "day" at midnight UTC as well, which does not end a halt. The peak is in the journal and survives a restart; it
is saved every 10 s while it rises, so that a crash can lower it by what was gained in the last 10 s.

`daily-loss` knows the loss since midnight; this one also sees a profit that is given back and a loss that grows slowly
over days. With reset = "day" it is daily-loss with trailing, as a share if asked.

Fails safe: a profit or peak that is not a number halts; a position that is not a number cancels (NOT_FINITE) while
sizes shrink.

Example: max_drawdown_share = 0.02, capital_quote = 10000: the limit is 200. The peak is 50, the profit now -100: the
fall is 150, used 0.75. With shrink_from = 0.5, flat, both sides 0.2: both become 0.2 x 0.25 / 0.5 = 0.1.""",
    options=DrawdownOptions,
    build=_build,
    scope=Scope.STRATEGY,
    reasons={
        DRAWDOWN_LIMIT: "profit has fallen from its peak by the limit",
        NEAR_DRAWDOWN: "profit has fallen from its peak towards the limit: sizes that add to the position are smaller",
    },
    limits={
        "max_drawdown_quote": LimitFacts(scope="group", is_latched=True),
        "max_drawdown_share": LimitFacts(scope="group", is_latched=True),
        "shrink_from": LimitFacts(scope="group", is_hard=False),
    },
)

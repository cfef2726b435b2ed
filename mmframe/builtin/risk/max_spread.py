"""The risk control `max-spread`: no quotes while the market's own spread is out of all proportion."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["MAX_SPREAD", "WIDE_SPREAD", "MaxSpreadOptions", "max_spread"]

WIDE_SPREAD = int(Reason.PLUGIN) + 214
_ALLOW = int(RiskLevel.ALLOW)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)


@attrs.frozen
class MaxSpreadOptions:
    """Options of `max-spread`."""

    max_spread_bps: float = option(
        help="Largest distance of the market's best ask from its best bid at which is quoted.",
        unit="bps of the mid",
        above=0.0,
        maximum=20_000.0,
        example=50.0,
    )
    hysteresis: float = option(
        help="Quotes come back when the spread is at or below max_spread_bps x (1 - hysteresis).",
        default=0.2,
        minimum=0.0,
        maximum=0.9,
    )


class MaxSpreadParams(NamedTuple):
    """The options as the rule reads them, as shares of the mid."""

    max_spread: float
    back_at: float


def max_spread(  # noqa: PLR0913, PLR0917 - the rule signature
    params: MaxSpreadParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes as they are, or none while the market's spread is too wide."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    if not 0.0 < view.mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    limit = params.back_at if state[0] > 0.0 else params.max_spread
    # Worded so that a spread that is not a number is too wide.
    if not view.ask - view.bid <= limit * view.mid:
        state[0] = 1.0
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, WIDE_SPREAD)
    state[0] = 0.0
    return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)


def _build(options: MaxSpreadOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    share = options.max_spread_bps / 10_000.0
    return RiskRule(max_spread, MaxSpreadParams(share, share * (1.0 - options.hysteresis)), (0.0,))


MAX_SPREAD = RiskControlSpec(
    name="max-spread",
    summary="Pulls all quotes while the market's spread is wider than a limit.",
    description="""\
    spread_bps = (best ask - best bid) / mid x 10,000

Above max_spread_bps everything is pulled (CANCEL_ONLY, reason WIDE_SPREAD, 1214) until the spread is at or below
max_spread_bps x (1 - hysteresis). A market that others have left has a mid that means little, and whoever quotes inside
of it alone is the one that the next informed order meets.

It is about the market's spread, our own orders at the touch included, since the book holds them. How far apart our two
quotes are is no risk and not looked at.

Fails safe: a spread that is not a number is too wide; a mid that is no price above 0 cancels (BOOK_EMPTY).

Example: max_spread_bps = 50, hysteresis = 0.2. At 99.70 / 100.30 the spread is 60 bps: no quotes. At 99.775 / 100.225,
45 bps, still none; at 99.80 / 100.20, 40 bps, they are back.""",
    options=MaxSpreadOptions,
    build=_build,
    reasons={WIDE_SPREAD: "the market's spread is wider than max_spread_bps"},
    limits={"max_spread_bps": LimitFacts()},
)

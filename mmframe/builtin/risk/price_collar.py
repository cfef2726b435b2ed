"""The risk control `price-collar`: no bid far above, and no ask far below, where the market has been."""

from __future__ import annotations

from math import exp, inf, log
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["OUTSIDE_COLLAR", "PRICE_COLLAR", "PriceCollarOptions", "price_collar"]

OUTSIDE_COLLAR = int(Reason.PLUGIN) + 212
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
# The state.
_REFERENCE = 0
"""0.0 before the first mid."""
_MID = 1
"""The mid that has been in force since `_SINCE_NS`."""
_SINCE_NS = 2


@attrs.frozen
class PriceCollarOptions:
    """Options of `price-collar`."""

    collar_bps: float = option(
        help="How far a bid may be above, and an ask below, the reference.",
        default=100.0,
        unit="bps",
        above=0.0,
        maximum=5_000.0,
    )
    half_life_s: float = option(
        help="Time after which the reference has made half of its way to a new mid.",
        default=60.0,
        unit="s",
        above=0.0,
        maximum=86_400.0,
    )
    action: str = option(
        help="What becomes of a quote outside: `move` puts it on the collar, `remove` takes it away.",
        default="move",
        choices=("move", "remove"),
    )


class PriceCollarParams(NamedTuple):
    """The options as the rule reads them."""

    collar: float
    """Share of the reference."""
    decay_per_ns: float
    removes: float
    """1.0 or 0.0."""


def price_collar(  # noqa: PLR0913, PLR0917 - the rule signature
    params: PriceCollarParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes, a bid above or an ask below the collar moved onto it or taken away."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    mid = view.mid
    if not 0.0 < mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    if state[_REFERENCE] == 0.0:
        state[_REFERENCE] = mid
    else:
        # What counts is the mid that was in force meanwhile: a jump after a silence has been there for no time at all.
        elapsed_ns = view.now_ns - state[_SINCE_NS]
        if elapsed_ns > 0.0:
            state[_REFERENCE] += (state[_MID] - state[_REFERENCE]) * (1.0 - exp(-params.decay_per_ns * elapsed_ns))
    state[_MID] = mid
    state[_SINCE_NS] = float(view.now_ns)

    highest_bid = state[_REFERENCE] * (1.0 + params.collar)
    lowest_ask = state[_REFERENCE] * (1.0 - params.collar)
    is_bid_outside = bid_size > 0.0 and not bid <= highest_bid
    is_ask_outside = ask_size > 0.0 and not ask >= lowest_ask
    if not (is_bid_outside or is_ask_outside):
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    if is_bid_outside:
        if params.removes > 0.0:
            bid_size = 0.0
        else:
            bid = highest_bid
    if is_ask_outside:
        if params.removes > 0.0:
            ask_size = 0.0
        else:
            ask = lowest_ask
    level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, OUTSIDE_COLLAR)


def _build(options: PriceCollarOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = PriceCollarParams(
        options.collar_bps / 10_000.0,
        log(2.0) / (options.half_life_s * 1e9),
        1.0 if options.action == "remove" else 0.0,
    )
    return RiskRule(price_collar, params, (0.0, 0.0, 0.0))


PRICE_COLLAR = RiskControlSpec(
    name="price-collar",
    summary="Keeps bids from following a spike up and asks from following one down.",
    description="""\
    reference += (mid before - reference) x (1 - 2^(-time / half_life_s))
    bid <= reference x (1 + collar_bps / 10,000)
    ask >= reference x (1 - collar_bps / 10,000)

The reference is an average of the mid over time. It starts at the first mid, and is brought up to date whenever there
is something to quote, with the mid that was in force since the time before; a new mid counts only from now on. So one
wild message moves no reference.

A bid above its bound would buy dearer, an ask below it would sell cheaper, than the market has been: it is moved onto
the bound (action = "move") or taken away ("remove"). Quotes that are further away on the safe side are nobody's risk
and stay: a control moves quotes back, never nearer. Level SHRINK, or CANCEL_ONLY when no side is left; reason
OUTSIDE_COLLAR (1212).

The gate has a collar too, against the mid of this very moment and for every request: it catches a wrong price. This
one catches a wrong market. It is forgotten by a restart, which begins at the mid that it finds.

When it fails: a real move beyond the collar is a spike to it until the reference has followed; for about one half-life
the strategy then only trades with those who bet on the way back. Choose collar_bps well above what the market moves in
half_life_s.

Fails safe: a mid that is no price above 0 cancels (BOOK_EMPTY) and leaves the reference as it was.

Example: the reference is 100.00, collar_bps = 50, and the mid jumps to 101.00 with quotes 100.95 / 101.05: the bid goes
to 100.50, the ask stays. With half_life_s = 60, a minute later the reference is 100.50 and the bid may be at
101.0025: it stays at 100.95.""",
    options=PriceCollarOptions,
    build=_build,
    reasons={OUTSIDE_COLLAR: "on the wrong side of where the market has been of late"},
    limits={"collar_bps": LimitFacts(is_hard=False)},
)

"""The risk control `adverse-markouts`: a side whose fills keep losing right after they happened is pulled a while."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.risk._clock import CLOCK_TEXT, JITTER_S
from mmframe.builtin.risk._pending import (
    CAPACITY,
    COUNT,
    FIRST,
    NOW_S,
    OWN,
    PENDING_TEXT,
    PRICES,
    SIDES,
    TIMES,
    on_fill,
)
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["ADVERSE_MARKOUTS", "ADVERSE_MEAN", "ADVERSE_STREAK", "AdverseMarkoutsOptions", "adverse_markouts"]

ADVERSE_STREAK = int(Reason.PLUGIN) + 243
ADVERSE_MEAN = int(Reason.PLUGIN) + 244
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)

_STREAK = 0
"""Of a side: adverse markouts in a row."""
_KNOWN = 1
"""Markouts remembered for the mean."""
_NEXT = 2
"""Place of the next one."""
_PULLED_S = 3
"""When the side was pulled; 0 for never."""
_PULLED_FOR = 4
"""The reason then."""
_MARKOUTS = 5
"""Of a side: the last `mean_count` markouts, bps."""


@attrs.frozen
class AdverseMarkoutsOptions:
    """Options of `adverse-markouts`; one of `count` and `max_mean_loss_bps` must be on.

    Raises:
        DomainError: If neither is on.
    """

    horizon_s: float = option(
        help="Time after a fill at which the mid tells what it was worth.",
        default=5.0,
        unit="s",
        above=0.0,
        maximum=3_600.0,
    )
    threshold_bps: float = option(
        help="A markout that loses more than this is adverse.", default=2.0, unit="bps", minimum=0.0, maximum=1_000.0
    )
    count: int = option(
        help="Adverse markouts in a row that pull the side; 0 does not look at rows.",
        default=5,
        unit="fills",
        minimum=0,
        maximum=1_000,
    )
    max_mean_loss_bps: float | None = option(
        help="A mean loss over the last mean_count markouts beyond this pulls the side, too.",
        default=None,
        unit="bps",
        minimum=0.0,
        maximum=1_000.0,
        example=1.0,
    )
    mean_count: int = option(
        help="Markouts in the mean; with fewer there is none.", default=20, unit="fills", minimum=1, maximum=1_000
    )
    cooldown_s: float = option(
        help="How long what is pulled stays away.", default=30.0, unit="s", above=0.0, maximum=86_400.0
    )
    pulls: str = option(
        help="Count each side's fills by themselves and pull that side, or count them together and pull both.",
        default="side",
        choices=("side", "both"),
    )

    def __attrs_post_init__(self) -> None:
        if self.count == 0 and self.max_mean_loss_bps is None:
            msg = "count: expected more than 0 where max_mean_loss_bps is not set, was 0"
            raise DomainError(msg, hint="without either nothing is ever pulled: leave the control out instead")


class AdverseMarkoutsParams(NamedTuple):
    """The options as the rule reads them; what is not set is infinity."""

    horizon_s: float
    threshold_bps: float
    streak: float
    max_mean_loss_bps: float
    mean_count: int
    cooldown_s: float
    pulls_both: float


def adverse_markouts(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: AdverseMarkoutsParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Judge the fills whose time has come, and return the quotes without a side that is pulled."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    mid = view.mid
    if not 0.0 < mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    now_s = view.now_ns / 1e9
    remembered_s = state[NOW_S]
    part = _MARKOUTS + params.mean_count
    if now_s < remembered_s - JITTER_S:
        state[COUNT] = 0.0
        for side in range(2):
            pulled_s = state[OWN + side * part + _PULLED_S]
            is_away = pulled_s > 0.0 and remembered_s - pulled_s < params.cooldown_s
            state[OWN + side * part + _PULLED_S] = now_s if is_away else 0.0
    elif now_s < remembered_s:
        now_s = remembered_s
    state[NOW_S] = now_s

    first = int(state[FIRST])
    count = int(state[COUNT])
    while count > 0 and now_s - state[TIMES + first] >= params.horizon_s:
        price = state[PRICES + first]
        is_buy = state[SIDES + first] > 0.0
        markout_bps = (mid - price) / price * 10_000.0
        if not is_buy:
            markout_bps = -markout_bps
        base = OWN if is_buy or params.pulls_both > 0.0 else OWN + part
        state[base + _STREAK] = state[base + _STREAK] + 1.0 if markout_bps < -params.threshold_bps else 0.0
        place = int(state[base + _NEXT])
        state[base + _MARKOUTS + place] = markout_bps
        state[base + _NEXT] = float((place + 1) % params.mean_count)
        known = int(min(state[base + _KNOWN] + 1.0, float(params.mean_count)))
        state[base + _KNOWN] = float(known)
        why = _NONE
        if known == params.mean_count:
            total = 0.0
            for index in range(known):
                total += state[base + _MARKOUTS + index]
            if total < -params.max_mean_loss_bps * known:
                why = ADVERSE_MEAN
        if state[base + _STREAK] >= params.streak:
            why = ADVERSE_STREAK
        if why != _NONE:
            # From here on it takes new fills to pull the side again.
            state[base + _PULLED_S] = now_s
            state[base + _PULLED_FOR] = float(why)
            state[base + _STREAK] = 0.0
            state[base + _KNOWN] = 0.0
            state[base + _NEXT] = 0.0
        first = (first + 1) % CAPACITY
        count -= 1
    state[FIRST] = float(first)
    state[COUNT] = float(count)

    reason = _NONE
    pulled_s = state[OWN + _PULLED_S]
    if pulled_s > 0.0 and now_s - pulled_s < params.cooldown_s:
        if bid_size > 0.0 or (ask_size > 0.0 and params.pulls_both > 0.0):
            reason = int(state[OWN + _PULLED_FOR])
        bid_size = 0.0
        if params.pulls_both > 0.0:
            ask_size = 0.0
    pulled_s = state[OWN + part + _PULLED_S]
    if pulled_s > 0.0 and now_s - pulled_s < params.cooldown_s and ask_size > 0.0:
        reason = int(state[OWN + part + _PULLED_FOR])
        ask_size = 0.0
    level = _ALLOW
    if reason != _NONE:
        level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _build(options: AdverseMarkoutsOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = AdverseMarkoutsParams(
        options.horizon_s,
        options.threshold_bps,
        float(options.count) if options.count else inf,
        inf if options.max_mean_loss_bps is None else options.max_mean_loss_bps,
        options.mean_count,
        options.cooldown_s,
        1.0 if options.pulls == "both" else 0.0,
    )
    state = (0.0,) * (OWN + 2 * (_MARKOUTS + params.mean_count))
    return RiskRule(adverse_markouts, params, state, on_fill=on_fill)


ADVERSE_MARKOUTS = RiskControlSpec(
    name="adverse-markouts",
    summary="Pulls a side for a while when the mid keeps moving against its fills right after them.",
    description=f"""\
    markout_bps = side x (mid then - price) / price x 10,000

side is 1 for what was bought and -1 for what was sold, price the fill's, then is horizon_s after it. It includes the
half-spread that the fill earned: a maker's fill in a market that stands still has a markout above 0. A side is pulled
for cooldown_s

- when its last `count` markouts are all below -threshold_bps (ADVERSE_STREAK, 1243), or
- when the mean of its last mean_count markouts is below -max_mean_loss_bps (ADVERSE_MEAN, 1244).

What pulled it is then forgotten: it takes as many new fills to pull it again. With pulls = "both" the fills of both
sides are counted in one row, and both are pulled. Hard; ends by itself. Level SHRINK while a side is left, CANCEL_ONLY
when none is.

{PENDING_TEXT}

{CLOCK_TEXT} Fills that wait then are not judged.

Fails safe: a mid that is not a price above 0 cancels (BOOK_EMPTY).

When it fails: a markout is noise of about sigma x sqrt(horizon_s); a threshold below that pulls by chance. With p the
chance of an adverse markout, `count` in a row come once in about 1 / p^count fills.

Source: the markout, or price improvement after a trade, as of the realised spread of Huang & Stoll, Dealer versus
auction markets (1996).

Example: horizon_s = 5, threshold_bps = 2, count = 2, cooldown_s = 30. Bought at 100.00 at 0 s and at 99.98 at 1 s; the
mid is 99.97 at 5 s (-3 bps) and 99.95 at 6 s (-3.0006 bps): the bid is away from 6 s to 36 s.""",
    options=AdverseMarkoutsOptions,
    build=_build,
    reasons={
        ADVERSE_STREAK: "too many fills in a row were followed by an adverse move",
        ADVERSE_MEAN: "the mean markout of the last fills is worse than its bound",
    },
    limits={"count": LimitFacts(), "max_mean_loss_bps": LimitFacts()},
    keeps_state=True,
)

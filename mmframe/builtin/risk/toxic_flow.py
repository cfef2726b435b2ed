"""The risk control `toxic-flow`: quotes move away from the mid while those who trade seem to know more than we do."""

from __future__ import annotations

from math import ceil, exp, inf, log
from typing import TYPE_CHECKING, Any, NamedTuple

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

__all__ = ["TOO_TOXIC", "TOXIC_FLOW", "TOXIC_WIDENED", "ToxicFlowOptions", "toxic_flow"]

TOXIC_WIDENED = int(Reason.PLUGIN) + 246
TOO_TOXIC = int(Reason.PLUGIN) + 247
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_WARMING_UP = int(Reason.WARMING_UP)

_LOSS = OWN
"""State: sum of what fills lost by their markouts, bps, each counting half after the half-life."""
_WEIGHT = OWN + 1
"""Sum of what the fills count."""
_DECAYED_S = OWN + 2
"""When the last fill was judged: both are as of then."""
_IS_VPIN_HARD = OWN + 3
_IS_LOSS_HARD = OWN + 4
_SIZE = OWN + 5

_ROUNDING = 1e-9
"""Share of a step that a widening may be beyond a whole one by rounding alone."""
_UNKNOWN_ALLOWS, _UNKNOWN_WIDENS, _UNKNOWN_CANCELS = 0.0, 1.0, 2.0
_UNKNOWN = {"allow": _UNKNOWN_ALLOWS, "widen": _UNKNOWN_WIDENS, "cancel": _UNKNOWN_CANCELS}


@attrs.frozen
class ToxicFlowOptions:
    """Options of `toxic-flow`; a measure whose two bounds are not set does not count.

    Raises:
        DomainError: If no measure is set, or one without its other bound, or bounds that do not rise.
    """

    soft_vpin: float | None = option(
        help="The signal vpin above which quotes begin to widen.",
        default=None,
        unit="share",
        minimum=0.0,
        maximum=1.0,
        example=0.5,
    )
    hard_vpin: float | None = option(
        help="The signal vpin above which nothing is quoted; 1 only widens.",
        default=None,
        unit="share",
        above=0.0,
        maximum=1.0,
        example=0.8,
    )
    soft_loss_bps: float | None = option(
        help="Mean loss of our own fills by their markouts above which quotes begin to widen.",
        default=None,
        unit="bps",
        minimum=0.0,
        maximum=1_000.0,
        example=1.0,
    )
    hard_loss_bps: float | None = option(
        help="Mean loss of our own fills above which nothing is quoted.",
        default=None,
        unit="bps",
        above=0.0,
        maximum=1_000.0,
        example=4.0,
    )
    max_widening_bps: float = option(
        help="How far each side moves away from the mid at the hard bound.",
        default=10.0,
        unit="bps",
        above=0.0,
        maximum=1_000.0,
    )
    widening_step_bps: float = option(
        help="Widenings are rounded up to whole steps, so that a slow change does not move the quotes all the time.",
        default=1.0,
        unit="bps",
        above=0.0,
        maximum=100.0,
    )
    hysteresis: float = option(
        help="After a hard bound quotes come back below it times 1 minus this.",
        default=0.2,
        unit="share",
        minimum=0.0,
        maximum=0.9,
    )
    when_unknown: str = option(
        help="What holds while vpin is not known yet: quote as if nothing were, at the full widening, or not at all.",
        default="widen",
        choices=("allow", "widen", "cancel"),
    )
    horizon_s: float = option(
        help="Time after a fill at which the mid tells what it was worth.",
        default=5.0,
        unit="s",
        above=0.0,
        maximum=3_600.0,
    )
    loss_half_life_s: float = option(
        help="Time after which a fill counts half in the mean loss.",
        default=300.0,
        unit="s",
        above=0.0,
        maximum=604_800.0,
    )
    loss_fills: int = option(
        help="The mean loss is taken over at least this many fills; what is missing counts as no loss.",
        default=10,
        unit="fills",
        minimum=1,
        maximum=10_000,
    )

    def __attrs_post_init__(self) -> None:
        if self.soft_vpin is None and self.soft_loss_bps is None:
            msg = "soft_vpin: expected this or soft_loss_bps, was neither"
            raise DomainError(msg, hint="without a measure nothing is toxic: leave the control out instead")
        _check_bounds("vpin", self.soft_vpin, self.hard_vpin)
        _check_bounds("loss_bps", self.soft_loss_bps, self.hard_loss_bps)


def _check_bounds(name: str, soft: float | None, hard: float | None) -> None:
    if (soft is None) != (hard is None):
        missing, given = ("hard", "soft") if hard is None else ("soft", "hard")
        msg = f"{missing}_{name}: expected a number, as {given}_{name} is one, was none"
        raise DomainError(msg, hint="the widening grows from the soft bound to the hard one: set both or neither")
    if soft is not None and hard is not None and not soft < hard:
        msg = f"hard_{name}: expected more than soft_{name}, {soft:g}, was {hard:g}"
        raise DomainError(msg)


class ToxicFlowParams(NamedTuple):
    """The options as the rule reads them; bounds that are not set are infinity."""

    soft_vpin: float
    hard_vpin: float
    soft_loss_bps: float
    hard_loss_bps: float
    max_widening_bps: float
    widening_step_bps: float
    keep: float
    """1 - hysteresis."""
    when_unknown: float
    horizon_s: float
    mean_life_s: float
    loss_fills: float


def toxic_flow(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: ToxicFlowParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes, moved away from the mid as far as the flow is toxic."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    mid = view.mid
    if not 0.0 < mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    signals: Any = view.signals
    vpin = signals.vpin
    now_s = view.now_ns / 1e9
    remembered_s = state[NOW_S]
    if now_s < remembered_s - JITTER_S:
        state[COUNT] = 0.0
        # As far from now as it was from then.
        state[_DECAYED_S] += now_s - remembered_s
    elif now_s < remembered_s:
        now_s = remembered_s
    state[NOW_S] = now_s

    # Our own fills: what they lost by the time of the horizon, decayed.
    share = 0.0
    is_hard = False
    if params.soft_loss_bps < inf:
        first = int(state[FIRST])
        count = int(state[COUNT])
        while count > 0 and now_s - state[TIMES + first] >= params.horizon_s:
            price = state[PRICES + first]
            markout_bps = (mid - price) / price * 10_000.0
            if state[_WEIGHT] > 0.0:
                decay = exp((state[_DECAYED_S] - now_s) / params.mean_life_s)
                state[_LOSS] *= decay
                state[_WEIGHT] *= decay
            state[_DECAYED_S] = now_s
            state[_LOSS] += -markout_bps if state[SIDES + first] > 0.0 else markout_bps
            state[_WEIGHT] += 1.0
            first = (first + 1) % CAPACITY
            count -= 1
        state[FIRST] = float(first)
        state[COUNT] = float(count)
        weight = state[_WEIGHT]
        weight = weight if weight > params.loss_fills else params.loss_fills
        # Both are as of the last fill. If the weight decayed on as the sum does, a mean of many fills would not fade.
        loss_bps = 0.0
        if state[_LOSS] != 0.0:
            loss_bps = state[_LOSS] / weight * exp((state[_DECAYED_S] - now_s) / params.mean_life_s)
        if loss_bps > params.hard_loss_bps:
            state[_IS_LOSS_HARD] = 1.0
        elif loss_bps < params.hard_loss_bps * params.keep:
            state[_IS_LOSS_HARD] = 0.0
        is_hard = state[_IS_LOSS_HARD] > 0.0
        if loss_bps > params.soft_loss_bps:
            share = (loss_bps - params.soft_loss_bps) / (params.hard_loss_bps - params.soft_loss_bps)

    if params.soft_vpin < inf:
        if 0.0 <= vpin <= 1.0:
            if vpin > params.hard_vpin:
                state[_IS_VPIN_HARD] = 1.0
            elif vpin < params.hard_vpin * params.keep:
                state[_IS_VPIN_HARD] = 0.0
            if vpin > params.soft_vpin:
                way = (vpin - params.soft_vpin) / (params.hard_vpin - params.soft_vpin)
                share = way if way > share else share
        elif params.when_unknown == _UNKNOWN_CANCELS:
            return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _WARMING_UP)
        elif params.when_unknown == _UNKNOWN_WIDENS:
            share = 1.0
        is_hard = is_hard or state[_IS_VPIN_HARD] > 0.0

    if is_hard:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, TOO_TOXIC)
    if not share > 0.0 or not (bid_size > 0.0 or ask_size > 0.0):
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    share = share if share < 1.0 else 1.0
    steps = ceil(share * params.max_widening_bps / params.widening_step_bps - _ROUNDING)
    if steps == 0:
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    widening_bps = steps * params.widening_step_bps
    widening_bps = widening_bps if widening_bps < params.max_widening_bps else params.max_widening_bps
    distance = widening_bps / 10_000.0 * mid
    if bid_size > 0.0:
        bid -= distance
    if ask_size > 0.0:
        ask += distance
    if bid_size > 0.0 and not bid > 0.0:
        bid = proposal.bid
        bid_size = 0.0
    return RiskVerdict(_SHRINK, bid, bid_size, ask, ask_size, TOXIC_WIDENED)


def _bound(value: float | None) -> float:
    return inf if value is None else value


def _build(options: ToxicFlowOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = ToxicFlowParams(
        _bound(options.soft_vpin),
        _bound(options.hard_vpin),
        _bound(options.soft_loss_bps),
        _bound(options.hard_loss_bps),
        options.max_widening_bps,
        options.widening_step_bps,
        1.0 - options.hysteresis,
        _UNKNOWN[options.when_unknown],
        options.horizon_s,
        options.loss_half_life_s / log(2.0),
        float(options.loss_fills),
    )
    return RiskRule(toxic_flow, params, (0.0,) * _SIZE, on_fill=on_fill)


TOXIC_FLOW = RiskControlSpec(
    name="toxic-flow",
    summary="Moves quotes away from the mid while order flow is toxic by VPIN or by the markouts of our own fills.",
    description=f"""\
Two measures, each used when its bounds are set; the one that asks for more counts:

    vpin        the signal: one-sidedness of taker volume, 0 to 1
    loss_bps    sum of w_i x -markout_i / max(sum of w_i, loss_fills)
    markout_i   side x (mid then - price) / price x 10,000
    w_i         2^(-age_i / loss_half_life_s); below the line with the ages of when a fill was last judged

    share     = (measure - soft) / (hard - soft), from 0 to 1
    widening  = share x max_widening_bps, up to whole widening_step_bps
    bid       = bid - widening x mid
    ask       = ask + widening x mid

side is 1 for what we bought and -1 for what we sold, price the fill's, then is horizon_s after it, age_i since then.

Above its hard bound nothing is quoted, until the measure is below hard x (1 - hysteresis). Without fills loss_bps fades
by its half-life, so that what our own fills stopped does not stay stopped; vpin goes on with the trades of others.

Soft: TOXIC_WIDENED (1246), level SHRINK. Hard: TOO_TOXIC (1247), CANCEL_ONLY; ends by itself. Prices only ever move
away from the mid and sizes stay, except that a bid which would have to go to 0 or below is not quoted.

{PENDING_TEXT}

{CLOCK_TEXT} Fills that wait then are not judged.

Needs the signal vpin; where its bounds are not set, `use = "constant"` with `name = "vpin"` stands in for it. While
vpin is not known, which is until its buckets are full, when_unknown decides (WARMING_UP when it cancels). A mid that is
not a price above 0 cancels (BOOK_EMPTY).

When it fails: the level of VPIN depends on its bucket, so choose the bounds from its own past; it says that flow is
one-sided, not that it is informed. A markout is noise of sigma x sqrt(horizon_s) for each fill.

Source: Easley, Lopez de Prado & O'Hara, Flow toxicity and liquidity in a high-frequency world (2012), for the measure;
the response is a choice.

Example: soft_vpin = 0.5, hard_vpin = 0.8, max_widening_bps = 10, mid 100.00. vpin 0.6 is a third of the way: 3.33 bps,
rounded up to 4: quotes 99.95 / 100.05 become 99.91 / 100.09. vpin 0.81 cancels, until it is below 0.64.""",
    options=ToxicFlowOptions,
    build=_build,
    needs=("vpin",),
    reasons={
        TOXIC_WIDENED: "order flow is toxic: quotes are moved away from the mid",
        TOO_TOXIC: "order flow is too toxic to quote",
    },
    limits={
        "soft_vpin": LimitFacts(is_hard=False),
        "hard_vpin": LimitFacts(),
        "soft_loss_bps": LimitFacts(is_hard=False),
        "hard_loss_bps": LimitFacts(),
    },
    keeps_state=True,
)

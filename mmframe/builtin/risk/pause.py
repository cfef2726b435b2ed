"""The risk control `pause`: quotes go while the market is not one to quote in, and come back when it is calm."""

from __future__ import annotations

from decimal import Decimal
from math import floor, inf
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.builtin.risk._clock import CLOCK_TEXT, JITTER_S
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "PAUSE",
    "PAUSED_DEPTH",
    "PAUSED_IMBALANCE",
    "PAUSED_LOSS",
    "PAUSED_SPREAD",
    "PAUSED_VOLATILITY",
    "TOO_MANY_PAUSES",
    "PauseOptions",
    "pause",
]

PAUSED_VOLATILITY = int(Reason.PLUGIN) + 255
PAUSED_SPREAD = int(Reason.PLUGIN) + 256
PAUSED_DEPTH = int(Reason.PLUGIN) + 257
PAUSED_IMBALANCE = int(Reason.PLUGIN) + 258
PAUSED_LOSS = int(Reason.PLUGIN) + 259
TOO_MANY_PAUSES = int(Reason.PLUGIN) + 260
_ALLOW = int(RiskLevel.ALLOW)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_HALT = int(RiskLevel.HALT)
_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_WARMING_UP = int(Reason.WARMING_UP)

_HOUR_S = 3_600.0
_PARTS = 16
"""Of the loss window; each remembers the best profit in it, so that memory is bounded."""
_SLOTS = _PARTS + 1

_NOW_S = 0
_HAS_BEGUN = 1
_IS_PAUSED = 2
_PAUSED_S = 3
_REASON = 4
_IS_CALM = 5
_CALM_S = 6
_NUMBER = 7
"""State: the number of the part of the loss window that is open."""
_OPEN = 8
"""Its place in the ring."""
_EARLIER_BEST = 9
"""Best profit in the other parts."""
_PNL = 10
"""The profit at the last decision."""
_NEXT = 11
"""Place of the next time in the ring of pauses."""
_BESTS = 12
_PAUSES = _BESTS + _SLOTS
"""From here on when the last max_pauses_per_hour pauses began; 0 for none."""


@attrs.frozen
class PauseOptions:
    """Options of `pause`; a condition that is not set does not pause, and one of them must be set.

    Raises:
        DomainError: If no condition is set.
    """

    max_volatility_bps: float | None = option(
        help="The signal volatility above which quotes pause, as a share of the mid.",
        default=None,
        unit="bps per sqrt(s)",
        above=0.0,
        maximum=1_000.0,
        example=5.0,
    )
    max_spread_bps: float | None = option(
        help="The market's spread above which quotes pause.",
        default=None,
        unit="bps",
        above=0.0,
        maximum=10_000.0,
        example=50.0,
    )
    min_relative_depth: float | None = option(
        help="The signal relative_depth (1 is usual) below which quotes pause.",
        default=None,
        unit="ratio",
        above=0.0,
        maximum=1.0,
        example=0.3,
    )
    max_imbalance: float | None = option(
        help="The signal imbalance, either way, above which quotes pause.",
        default=None,
        unit="share",
        above=0.0,
        maximum=1.0,
        example=0.9,
    )
    max_loss_quote: Decimal | None = option(
        help="Fall of the group's profit from its best within loss_window_s above which quotes pause.",
        default=None,
        unit="quote units",
        above=0.0,
        example="50",
    )
    loss_window_s: float = option(
        help="How far back the best profit is looked for.", default=300.0, unit="s", above=0.0, maximum=86_400.0
    )
    hysteresis: float = option(
        help="A condition has ended when its value is back within its limit by this share.",
        default=0.2,
        unit="share",
        minimum=0.0,
        maximum=0.9,
    )
    cooldown_s: float = option(
        help="How long every condition must have ended before quotes come back.",
        default=10.0,
        unit="s",
        minimum=0.0,
        maximum=86_400.0,
    )
    min_pause_s: float = option(help="Shortest pause.", default=30.0, unit="s", minimum=0.0, maximum=86_400.0)
    max_pauses_per_hour: int | None = option(
        help="One pause more than this within an hour halts the market.",
        default=None,
        unit="pauses",
        minimum=1,
        maximum=1_000,
        example=6,
    )

    def __attrs_post_init__(self) -> None:
        conditions = ("max_volatility_bps", "max_spread_bps", "min_relative_depth", "max_imbalance", "max_loss_quote")
        if all(getattr(self, name) is None for name in conditions):
            msg = f"{conditions[0]}: expected this or another of {', '.join(conditions[1:])}, was none"
            raise DomainError(msg, hint="without a condition nothing ever pauses: leave the control out instead")


class PauseParams(NamedTuple):
    """The options as the rule reads them; an upper limit that is not set is infinity, the lower one -1."""

    max_volatility: float
    """Share of the mid per sqrt(s)."""
    max_spread: float
    """Share of the mid."""
    min_depth: float
    max_imbalance: float
    max_loss_quote: float
    part_s: float
    hysteresis: float
    cooldown_s: float
    min_pause_s: float
    max_pauses: int
    """0 when the file sets none."""


def pause(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: PauseParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes as they are, or none while a pause lasts."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    mid = view.mid
    if not 0.0 < mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    now_s = view.now_ns / 1e9
    is_anew = now_s < state[_NOW_S] - JITTER_S
    if is_anew:
        # A clock that began anew: a pause that is under way begins anew with it, earlier ones are forgotten.
        state[_PAUSED_S] = now_s
        state[_IS_CALM] = 0.0
        for index in range(params.max_pauses):
            state[_PAUSES + index] = 0.0
    elif now_s < state[_NOW_S]:
        now_s = state[_NOW_S]
    state[_NOW_S] = now_s

    why = _NONE
    is_calm = True
    is_unknown = False
    keep = 1.0 - params.hysteresis
    signals: Any = view.signals
    # Later conditions count before earlier ones where several hold. Worded so that what is no number is not calm.
    if params.max_imbalance < inf:
        imbalance = abs(signals.imbalance)
        if not imbalance <= params.max_imbalance * keep:
            is_calm = False
        if imbalance > params.max_imbalance:
            why = PAUSED_IMBALANCE
        elif not imbalance <= params.max_imbalance:
            is_unknown = True
    if params.min_depth >= 0.0:
        depth = signals.relative_depth
        if not depth >= params.min_depth * (1.0 + params.hysteresis):
            is_calm = False
        if depth < params.min_depth:
            why = PAUSED_DEPTH
        elif not depth >= params.min_depth:
            is_unknown = True
    if params.max_spread < inf:
        spread = (view.ask - view.bid) / mid
        if not spread <= params.max_spread * keep:
            is_calm = False
        if not spread <= params.max_spread:
            why = PAUSED_SPREAD
    if params.max_volatility < inf:
        volatility = signals.volatility / mid
        if not volatility <= params.max_volatility * keep:
            is_calm = False
        if volatility > params.max_volatility:
            why = PAUSED_VOLATILITY
        elif not volatility <= params.max_volatility:
            is_unknown = True
    pnl_quote = inventory.total_pnl_quote
    if params.max_loss_quote < inf:
        if not -inf < pnl_quote < inf:
            is_calm = False
            is_unknown = True
        else:
            number = floor(now_s / params.part_s)
            passed = number - int(state[_NUMBER])
            if is_anew or state[_HAS_BEGUN] == 0.0 or passed >= _SLOTS:
                # Nothing is known of the whole window: it begins here.
                state[_HAS_BEGUN] = 1.0
                state[_EARLIER_BEST] = pnl_quote
                for index in range(_SLOTS):
                    state[_BESTS + index] = pnl_quote
            elif passed > 0:
                place = int(state[_OPEN])
                for _ in range(passed):
                    place = (place + 1) % _SLOTS
                    # A part opens with the profit that stood until now: what happens in a silence counts.
                    state[_BESTS + place] = state[_PNL]
                best = state[_BESTS]
                for index in range(_SLOTS):
                    best = max(best, state[_BESTS + index])
                state[_EARLIER_BEST] = best
                state[_OPEN] = float(place)
            state[_NUMBER] = float(number)
            state[_PNL] = pnl_quote
            place = int(state[_OPEN])
            best = state[_BESTS + place]
            state[_BESTS + place] = best = pnl_quote if pnl_quote > best else best
            earlier = state[_EARLIER_BEST]
            loss_quote = (earlier if earlier > best else best) - pnl_quote
            if loss_quote > params.max_loss_quote * keep:
                is_calm = False
            if loss_quote > params.max_loss_quote:
                why = PAUSED_LOSS

    if state[_IS_PAUSED] == 0.0:
        if why == _NONE:
            if is_unknown:
                return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _WARMING_UP)
            return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
        state[_IS_PAUSED] = 1.0
        state[_PAUSED_S] = now_s
        state[_REASON] = float(why)
        state[_IS_CALM] = 0.0
        if params.max_pauses > 0:
            place = int(state[_NEXT])
            began_s = state[_PAUSES + place]
            if began_s > 0.0 and now_s - began_s < _HOUR_S:
                # Whoever resumes begins with a clean sheet.
                for index in range(params.max_pauses):
                    state[_PAUSES + index] = 0.0
                return RiskVerdict(_HALT, bid, 0.0, ask, 0.0, TOO_MANY_PAUSES)
            state[_PAUSES + place] = now_s
            state[_NEXT] = float((place + 1) % params.max_pauses)
    if not is_calm:
        state[_IS_CALM] = 0.0
    elif state[_IS_CALM] == 0.0:
        state[_IS_CALM] = 1.0
        state[_CALM_S] = now_s
    if (
        state[_IS_CALM] > 0.0
        and now_s - state[_CALM_S] >= params.cooldown_s
        and now_s - state[_PAUSED_S] >= params.min_pause_s
    ):
        state[_IS_PAUSED] = 0.0
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, int(state[_REASON]))


def _share(bps: float | None) -> float:
    return inf if bps is None else bps / 10_000.0


def _build(options: PauseOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = PauseParams(
        _share(options.max_volatility_bps),
        _share(options.max_spread_bps),
        -1.0 if options.min_relative_depth is None else options.min_relative_depth,
        inf if options.max_imbalance is None else options.max_imbalance,
        inf if options.max_loss_quote is None else float(options.max_loss_quote),
        options.loss_window_s / _PARTS,
        options.hysteresis,
        options.cooldown_s,
        options.min_pause_s,
        options.max_pauses_per_hour or 0,
    )
    return RiskRule(pause, params, (0.0,) * (_PAUSES + params.max_pauses))


PAUSE = RiskControlSpec(
    name="pause",
    summary="Pauses quoting while volatility, spread, depth, imbalance or a loss is out of bounds, with hysteresis.",
    description=f"""\
A pause begins when a condition that is set holds, and cancels everything:

    PAUSED_VOLATILITY (1255)   volatility / mid > max_volatility_bps
    PAUSED_SPREAD     (1256)   (ask - bid) / mid > max_spread_bps
    PAUSED_DEPTH      (1257)   relative_depth < min_relative_depth
    PAUSED_IMBALANCE  (1258)   |imbalance| > max_imbalance
    PAUSED_LOSS       (1259)   fall of profit > max_loss_quote

The fall is from the best profit within loss_window_s, of the group, realised or not, fees included.

It ends when all conditions have ended for cooldown_s without a break, and not before min_pause_s. A condition has ended
at its limit x (1 - hysteresis), that of depth at its limit x (1 + hysteresis). Until then its reason is the one with
which it began, so that the record of limits has one entry for one pause (where several hold at once: loss, volatility,
spread, depth, imbalance, in this order).

With max_pauses_per_hour, one pause more than that within 3,600 s is a HALT of the market, latched, with TOO_MANY_PAUSES
(1260); after it the count begins anew. All else is hard, level CANCEL_ONLY, and ends by itself. Time is looked at with
each decision, so a pause ends at the first one after its time (strategy.max_quote_age_ms at the latest).

The loss window is counted in 16 parts and the one that is open, so it reaches back between its length and 1/16 more; it
begins anew when no decision was made for that long. {CLOCK_TEXT} A pause outlives a restart.

Needs the signals volatility (quote units per sqrt(s)), relative_depth (`depth`) and imbalance (`imbalance`). One that
no condition looks at can be `use = "constant"`. While one that a condition looks at is not known nothing is quoted
either (WARMING_UP): that is no pause and is not counted, and in a pause it is not calm.

When it fails: it sees what has happened already. A market that is always beyond a limit is paused for ever; start from
limits that are passed a few times a day.

Example: max_spread_bps = 50, hysteresis = 0.2, cooldown_s = 10, min_pause_s = 30. The spread is 60 bps at 0 s: a pause.
At 5 s it is 45: not ended, 40 is. At 12 s it is 39: all have ended, but a pause lasts 30 s. At 25 s it is 45 for a
moment, at 26 s 39 again: quotes come back at 36 s.""",
    options=PauseOptions,
    build=_build,
    needs=("volatility", "relative_depth", "imbalance"),
    reasons={
        PAUSED_VOLATILITY: "paused: volatility was above its limit and has not been calm for long enough",
        PAUSED_SPREAD: "paused: the market's spread was above its limit and has not been calm for long enough",
        PAUSED_DEPTH: "paused: depth was below its limit and has not been calm for long enough",
        PAUSED_IMBALANCE: "paused: the imbalance was above its limit and has not been calm for long enough",
        PAUSED_LOSS: "paused: the loss within the window was above its limit and has not been calm for long enough",
        TOO_MANY_PAUSES: "more pauses within an hour than max_pauses_per_hour",
    },
    limits={
        "max_volatility_bps": LimitFacts(),
        "max_spread_bps": LimitFacts(),
        "min_relative_depth": LimitFacts(),
        "max_imbalance": LimitFacts(),
        "max_loss_quote": LimitFacts(scope="group"),
        "max_pauses_per_hour": LimitFacts(is_latched=True),
    },
    keeps_state=True,
)

"""The risk control `circuit-breaker`: nothing is quoted after a shock, then a little, then everything again."""

from __future__ import annotations

from decimal import Decimal
from math import floor, inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.risk._clock import CLOCK_TEXT, JITTER_S
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "BREAKER_HALF_OPEN",
    "BREAKER_OPEN_FILLS",
    "BREAKER_OPEN_LOSS",
    "BREAKER_OPEN_MOVE",
    "CIRCUIT_BREAKER",
    "CircuitBreakerOptions",
    "circuit_breaker",
]

BREAKER_OPEN_MOVE = int(Reason.PLUGIN) + 265
BREAKER_OPEN_LOSS = int(Reason.PLUGIN) + 266
BREAKER_OPEN_FILLS = int(Reason.PLUGIN) + 267
BREAKER_HALF_OPEN = int(Reason.PLUGIN) + 268
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_NOT_FINITE = int(Reason.NOT_FINITE)

_CLOSED, _OPENED, _HALF_OPEN = 0.0, 1.0, 2.0
_MOST_TRIPS = 60.0
"""Beyond it twice as long is no other number of seconds than the maximum."""
_PARTS = 16
"""Of the window; each remembers the extremes in it, so that memory is bounded."""
_SLOTS = _PARTS + 1

_NOW_S = 0
_HAS_BEGUN = 1
_STATE = 2
_SINCE_S = 3
"""State: when it opened, or half-opened."""
_REASON = 4
_TRIPS = 5
"""How often it has opened since it was last closed."""
_ROW = 6
"""Losing fills in a row."""
_REALISED = 7
"""Realised profit and number of fills at the last decision."""
_FILLS = 8
_PROBE_FILLS = 9
"""Number of fills when it half-opened."""
_NUMBER = 10
"""The number of the part of the window that is open."""
_PLACE = 11
"""Its place in the ring."""
_MID = 12
"""Mid and profit at the last decision."""
_PNL = 13
_EARLIER_LOW = 14
"""Extremes of the other parts."""
_EARLIER_HIGH = 15
_EARLIER_BEST = 16
_LOWS = 17
_HIGHS = _LOWS + _SLOTS
_BESTS = _HIGHS + _SLOTS
_SIZE = _BESTS + _SLOTS


@attrs.frozen
class CircuitBreakerOptions:
    """Options of `circuit-breaker`; a shock that is not set does not open it, and one of them must be set.

    Raises:
        DomainError: If no shock is set, or max_cooldown_s is below cooldown_s.
    """

    move_bps: float | None = option(
        help="Range of the mid within window_s above which it opens.",
        default=None,
        unit="bps",
        above=0.0,
        maximum=10_000.0,
        example=100.0,
    )
    max_loss_quote: Decimal | None = option(
        help="Fall of the group's profit from its best within window_s above which it opens.",
        default=None,
        unit="quote units",
        above=0.0,
        example="100",
    )
    losing_fills: int | None = option(
        help="Fills in a row that realised a loss with which it opens.",
        default=None,
        unit="fills",
        minimum=1,
        maximum=1_000,
        example=5,
    )
    window_s: float = option(
        help="How far back move and loss are looked at.", default=60.0, unit="s", above=0.0, maximum=86_400.0
    )
    cooldown_s: float = option(
        help="How long it is open the first time; twice as long each time that the trial fails.",
        default=60.0,
        unit="s",
        above=0.0,
        maximum=86_400.0,
    )
    max_cooldown_s: float = option(
        help="Longest time that it is open.", default=3_600.0, unit="s", above=0.0, maximum=604_800.0
    )
    probe_share: float = option(
        help="Share of each size that is quoted while half-open.", default=0.25, unit="share", above=0.0, maximum=1.0
    )
    probe_s: float = option(
        help="Time half-open without a shock after which it closes.",
        default=60.0,
        unit="s",
        minimum=0.0,
        maximum=86_400.0,
    )
    probe_fills: int | None = option(
        help="Fills half-open without a shock with which it closes before that.",
        default=None,
        unit="fills",
        minimum=1,
        maximum=1_000,
        example=5,
    )

    def __attrs_post_init__(self) -> None:
        if self.move_bps is None and self.max_loss_quote is None and self.losing_fills is None:
            msg = "move_bps: expected this or another of max_loss_quote, losing_fills, was none"
            raise DomainError(msg, hint="without a shock it never opens: leave the control out instead")
        if self.max_cooldown_s < self.cooldown_s:
            msg = f"max_cooldown_s: expected at least cooldown_s, {self.cooldown_s:g}, was {self.max_cooldown_s:g}"
            raise DomainError(msg)


class CircuitBreakerParams(NamedTuple):
    """The options as the rule reads them; a shock that is not set is infinity."""

    move: float
    """Share of the mid."""
    max_loss_quote: float
    losing_fills: float
    part_s: float
    cooldown_s: float
    max_cooldown_s: float
    probe_share: float
    probe_s: float
    probe_fills: float


def circuit_breaker(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: CircuitBreakerParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes as they are when closed, a share of them when half-open, none when open."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    mid = view.mid
    pnl_quote = inventory.total_pnl_quote
    realised_quote = inventory.realised_pnl_quote
    fills = inventory.fill_count
    if not 0.0 < mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    if not (-inf < pnl_quote < inf and -inf < realised_quote < inf and 0.0 <= fills < inf):
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _NOT_FINITE)
    now_s = view.now_ns / 1e9
    is_anew = now_s < state[_NOW_S] - JITTER_S
    if is_anew:
        # A clock that began anew: what is under way begins anew with it.
        state[_SINCE_S] = now_s
    elif now_s < state[_NOW_S]:
        now_s = state[_NOW_S]
    state[_NOW_S] = now_s

    if state[_HAS_BEGUN] == 0.0 or fills < state[_FILLS]:
        state[_REALISED] = realised_quote
        state[_FILLS] = fills
    elif fills > state[_FILLS]:
        if realised_quote < state[_REALISED]:
            state[_ROW] += 1.0
        elif realised_quote > state[_REALISED]:
            state[_ROW] = 0.0
        state[_REALISED] = realised_quote
        state[_FILLS] = fills

    is_trial_due = False
    if state[_STATE] == _OPENED:
        open_s = min(params.cooldown_s * 2.0 ** (state[_TRIPS] - 1.0), params.max_cooldown_s)
        if now_s - state[_SINCE_S] < open_s:
            return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, int(state[_REASON]))
        is_trial_due = True
        state[_STATE] = _HALF_OPEN
        state[_SINCE_S] = now_s
        state[_ROW] = 0.0
        state[_PROBE_FILLS] = fills

    number = floor(now_s / params.part_s)
    passed = number - int(state[_NUMBER])
    if is_anew or is_trial_due or state[_HAS_BEGUN] == 0.0 or passed >= _SLOTS:
        # The shock is over, or nothing is known of the whole window: it begins here.
        state[_HAS_BEGUN] = 1.0
        for index in range(_SLOTS):
            state[_LOWS + index] = mid
            state[_HIGHS + index] = mid
            state[_BESTS + index] = pnl_quote
        state[_EARLIER_LOW] = mid
        state[_EARLIER_HIGH] = mid
        state[_EARLIER_BEST] = pnl_quote
    elif passed > 0:
        place = int(state[_PLACE])
        for _ in range(passed):
            place = (place + 1) % _SLOTS
            # A part opens with what stood until now: a jump after a silence is a jump.
            state[_LOWS + place] = state[_MID]
            state[_HIGHS + place] = state[_MID]
            state[_BESTS + place] = state[_PNL]
        low = state[_LOWS]
        high = state[_HIGHS]
        best = state[_BESTS]
        for index in range(_SLOTS):
            low = min(low, state[_LOWS + index])
            high = max(high, state[_HIGHS + index])
            best = max(best, state[_BESTS + index])
        state[_EARLIER_LOW] = low
        state[_EARLIER_HIGH] = high
        state[_EARLIER_BEST] = best
        state[_PLACE] = float(place)
    state[_NUMBER] = float(number)
    state[_MID] = mid
    state[_PNL] = pnl_quote
    place = int(state[_PLACE])
    # Comparisons cost a third of min and max.
    low = state[_LOWS + place]
    high = state[_HIGHS + place]
    best = state[_BESTS + place]
    state[_LOWS + place] = low = mid if mid < low else low
    state[_HIGHS + place] = high = mid if mid > high else high
    state[_BESTS + place] = best = pnl_quote if pnl_quote > best else best
    earlier = state[_EARLIER_LOW]
    low = earlier if earlier < low else low
    earlier = state[_EARLIER_HIGH]
    high = earlier if earlier > high else high
    earlier = state[_EARLIER_BEST]
    best = earlier if earlier > best else best

    why = _NONE
    if state[_ROW] >= params.losing_fills:
        why = BREAKER_OPEN_FILLS
    if best - pnl_quote > params.max_loss_quote:
        why = BREAKER_OPEN_LOSS
    if high - low > params.move * mid:
        why = BREAKER_OPEN_MOVE
    if why != _NONE:
        state[_STATE] = _OPENED
        state[_SINCE_S] = now_s
        state[_REASON] = float(why)
        state[_TRIPS] = min(state[_TRIPS] + 1.0, _MOST_TRIPS)
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, why)
    if state[_STATE] == _HALF_OPEN:
        if now_s - state[_SINCE_S] < params.probe_s and fills - state[_PROBE_FILLS] < params.probe_fills:
            share = params.probe_share
            return RiskVerdict(_SHRINK, bid, bid_size * share, ask, ask_size * share, BREAKER_HALF_OPEN)
        state[_STATE] = _CLOSED
        state[_TRIPS] = 0.0
    return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)


def _build(options: CircuitBreakerOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = CircuitBreakerParams(
        inf if options.move_bps is None else options.move_bps / 10_000.0,
        inf if options.max_loss_quote is None else float(options.max_loss_quote),
        inf if options.losing_fills is None else float(options.losing_fills),
        options.window_s / _PARTS,
        options.cooldown_s,
        options.max_cooldown_s,
        options.probe_share,
        options.probe_s,
        inf if options.probe_fills is None else float(options.probe_fills),
    )
    return RiskRule(circuit_breaker, params, (0.0,) * _SIZE)


CIRCUIT_BREAKER = RiskControlSpec(
    name="circuit-breaker",
    summary="Stops quoting after a jump, a fast loss or a row of losing fills; then tries small before all again.",
    description=f"""\
Closed, it lets quotes pass, and opens when a shock that is set occurs:

    BREAKER_OPEN_MOVE  (1265)   highest - lowest mid > move_bps of the mid
    BREAKER_OPEN_LOSS  (1266)   best profit - profit now > max_loss_quote
    BREAKER_OPEN_FILLS (1267)   losing_fills fills in a row lost

Highest, lowest and best are those within window_s. The profit is that of the group, realised or not, fees included. A
fill loses when the market's realised profit, before fees, fell with it; one that only adds to the position realises
nothing and neither ends nor lengthens the row. Fills between two decisions are judged together, as one.

Open, it lets nothing be quoted (CANCEL_ONLY, the reason of the shock), for

    min(cooldown_s x 2^(n - 1), max_cooldown_s)

n being how often it opened since it was last closed. Then it is half-open: probe_share of each size is quoted (SHRINK,
BREAKER_HALF_OPEN, 1268). A shock opens it again; probe_s or probe_fills fills without one, whichever comes first, close
it, and n is 0 again. Shocks are looked for from the beginning of the trial on: what opened it does not open it twice.

The window is counted in 16 parts and the one that is open, so it reaches back between its length and 1/16 more; it
begins anew when no decision was made for that long. {CLOCK_TEXT} Its state, the time until it half-opens and n outlive
a restart. Both limits are hard and end by themselves; half-open is soft.

Fails safe: a mid that is not a price above 0 cancels (BOOK_EMPTY), a profit or count that is not a number, too
(NOT_FINITE).

When it fails: a shock has happened by the time it is seen; what rested then may have been taken. A size below the
venue's smallest is not quoted, so a small probe_share of a small size tries nothing; probe_s closes it all the same.

Source: the breaker of electrical nets, as software knows it since M. Nygard, Release It! (2007); for trading, the halts
and their reopening by steps of exchanges.

Example: move_bps = 100, window_s = 60, cooldown_s = 60, probe_share = 0.25, probe_s = 30. The mid falls from 100.00 to
98.90 within 10 s, 111 bps of it: open until 70 s, then a quarter of each size. It falls to 97.80 at 80 s, 112 bps: open
for 120 s, until 200 s; half-open until 230 s; closed.""",
    options=CircuitBreakerOptions,
    build=_build,
    reasons={
        BREAKER_OPEN_MOVE: "the breaker is open: the mid moved too far within the window",
        BREAKER_OPEN_LOSS: "the breaker is open: too much was lost within the window",
        BREAKER_OPEN_FILLS: "the breaker is open: too many fills in a row realised a loss",
        BREAKER_HALF_OPEN: "the breaker is half-open: a share of each size is quoted on trial",
    },
    limits={
        "move_bps": LimitFacts(),
        "max_loss_quote": LimitFacts(scope="group"),
        "losing_fills": LimitFacts(),
        "probe_share": LimitFacts(is_hard=False),
    },
    keeps_state=True,
)

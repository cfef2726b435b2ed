"""The optimizer `spread-protection`: a spread that widens at once, narrows slowly, and doubles while a flag is up."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["FLAGGED", "HELD_WIDE", "SPREAD_PROTECTION", "SpreadProtectionOptions", "spread_protection"]

HELD_WIDE = int(Reason.PLUGIN) + 130
FLAGGED = int(Reason.PLUGIN) + 131
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_WARMING_UP = int(Reason.WARMING_UP)
_NOT_FINITE = int(Reason.NOT_FINITE)
_SPREAD_FLOOR = int(Reason.SPREAD_FLOOR)

_HELD = 0
"""State: the spread in force, a share of the mid; 0 before the first."""
_CHANGED_NS = 1
"""State: when it last changed. A float here, exact to 256 ns in this century."""


@attrs.frozen
class SpreadProtectionOptions:
    """Options of `spread-protection`."""

    min_spread_bps: float = option(
        help="Smallest distance between bid and ask.", default=2.0, unit="bps", minimum=0.0, maximum=5_000.0
    )
    max_shrink_percent: float = option(
        help="How much a spread may narrow in one step; 100 lets it narrow at once.",
        default=5.0,
        unit="percent",
        above=0.0,
        maximum=100.0,
    )
    cooldown_ms: int = option(
        help="Time since the spread last changed before it may narrow by a step.",
        default=1_000,
        unit="ms",
        minimum=0,
        maximum=3_600_000,
    )
    flag_multiplier: float = option(
        help="What the spread is multiplied by while the manipulation or the spike flag is up; 1 ignores both.",
        default=2.0,
        minimum=1.0,
        maximum=10.0,
    )


class SpreadProtectionParams(NamedTuple):
    """The options as the rule reads them."""

    min_spread: float
    """Share of the mid."""
    kept: float
    """Share of a spread that a step leaves."""
    cooldown_ns: float
    flag_multiplier: float


def spread_protection(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: SpreadProtectionParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> QuoteProposal:
    """Return the quotes it is given, moved apart to the spread in force."""
    mid = view.mid
    signals: Any = view.signals
    manipulation = signals.manipulation
    spike = signals.spike_flag
    if not 0.0 < mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    if not (-inf < manipulation < inf and -inf < spike < inf):
        return QuoteProposal(nan, 0.0, nan, 0.0, _WARMING_UP, _WARMING_UP)
    bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
    multiplier = 1.0
    reason = _SPREAD_FLOOR
    if manipulation > 0.5 or spike > 0.5:
        multiplier = params.flag_multiplier
        reason = FLAGGED
    least = params.min_spread * multiplier

    if bid_size > 0.0 and ask_size > 0.0:
        given = (ask - bid) / mid
        wanted = given * multiplier
        wanted = wanted if wanted > least else least
        if not 0.0 < wanted < inf:
            return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
        held = state[_HELD]
        now_ns = float(view.now_ns)
        if wanted > held:
            state[_CHANGED_NS] = now_ns
            held = wanted
        elif wanted < held:
            reason = HELD_WIDE
            if now_ns < state[_CHANGED_NS]:
                # A clock that went back, as on a restart: the spread stays, and its wait begins anew.
                state[_CHANGED_NS] = now_ns
            elif now_ns - state[_CHANGED_NS] >= params.cooldown_ns:
                held *= params.kept
                held = held if held > wanted else wanted
                state[_CHANGED_NS] = now_ns
        state[_HELD] = held
        missing = held * mid - (ask - bid)
        # Less than a thousandth of a tick is rounding.
        if missing > view.tick * 1e-3:
            bid -= missing / 2.0
            ask += missing / 2.0
            bid_reason = reason
            ask_reason = reason
    elif bid_size > 0.0:
        # One side alone tells no spread: it keeps half of the smallest one, and what is in force waits.
        limit = mid * (1.0 - least / 2.0)
        if bid > limit:
            bid = limit
            bid_reason = reason
    elif ask_size > 0.0:
        limit = mid * (1.0 + least / 2.0)
        if ask < limit:
            ask = limit
            ask_reason = reason

    if bid_size > 0.0 and not 0.0 < bid < inf:
        bid = nan
        bid_size = 0.0
        bid_reason = reason
    if ask_size > 0.0 and not 0.0 < ask < inf:
        ask = nan
        ask_size = 0.0
        ask_reason = reason
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: SpreadProtectionOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    params = SpreadProtectionParams(
        options.min_spread_bps / 10_000.0,
        1.0 - options.max_shrink_percent / 100.0,
        options.cooldown_ms * 1e6,
        options.flag_multiplier,
    )
    return OptimizerRule(spread_protection, params, (0.0, 0.0))


SPREAD_PROTECTION = OptimizerSpec(
    name="spread-protection",
    summary="Keeps a smallest spread, widens at once, narrows by at most 5 % a step, doubles while a flag is up.",
    description="""\
    wanted = max(ask - bid, min_spread_bps of the mid) x (flag_multiplier while a flag is up)
    held   = wanted                                             when wanted is wider: at once
           = max(wanted, held x (1 - max_shrink_percent / 100))  when it is narrower, and nothing has changed for
                                                                 cooldown_ms; else it stays
    bid and ask each move out by half of held - (ask - bid)

held is a share of the mid, so the spread follows the price. A flag is up while the signal manipulation or spike_flag is
above 0.5. After it has gone, the spread comes back in steps like any other.

Only the distance of the two quotes is held, so that a lean against the position passes unhindered; prices only move
out, sizes stay. One side alone tells no spread: it is kept at least half the smallest spread (flags included) from the
mid, and what is held waits. A clock that goes back, as on a restart or a replay, leaves the spread and begins its wait
anew; the first quotes of a run are taken as they come. It belongs after the stages that set and scale a spread.

Needs the signals manipulation and spike_flag, 0 or 1 (`manipulation`, `spike-flag`). A flag that is not wanted is
`[[signal]]` with `use = "constant"`, `value = 0` and its name.

Reasons, beside quotes that were moved: HELD_WIDE (1130), FLAGGED (1131), SPREAD_FLOOR. No quote: WARMING_UP while a
flag is not known, BOOK_EMPTY when the mid is no price above 0, NOT_FINITE when the spread is no number; on a side whose
price would not be above 0, the reason that moved it.

When it fails: flags see what has happened already, and a spread that narrows slowly misses the best of a calm.

Example: mid 100, min_spread_bps = 2, cooldown_ms = 1000. Quotes 99.90 / 100.10 with a flag up: 99.80 / 100.20. The flag
goes; until a second after its rise they stay, then the spread is 0.4 x 0.95 = 0.38: 99.81 / 100.19, and another second
later 0.361.""",
    options=SpreadProtectionOptions,
    build=_build,
    needs=("manipulation", "spike_flag"),
    reasons={
        HELD_WIDE: "the spread was wider and narrows step by step",
        FLAGGED: "the manipulation or the spike flag is up: the spread is multiplied by flag_multiplier",
    },
)

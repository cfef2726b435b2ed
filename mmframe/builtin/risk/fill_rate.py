"""The risk control `fill-rate`: a side that is filled too often or too much in a short time is taken away."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.risk._clock import CLOCK_TEXT, JITTER_S
from mmframe.domain.views import Advice, FillTick, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["FILL_RATE", "SIDE_BRAKED", "SIDE_TAPERED", "FillRateOptions", "fill_rate", "on_fill"]

SIDE_TAPERED = int(Reason.PLUGIN) + 240
SIDE_BRAKED = int(Reason.PLUGIN) + 241
_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)

_REMEMBERED = 64
"""Fewest fills a side that are remembered one by one."""
_NOW_S = 0
"""State: the newest time seen."""
_SIDES = 1
"""State: from here on the bid's part, then the ask's, each of the fields below."""
_FIRST = 0
"""Of a side: place of the oldest fill in the ring."""
_COUNT = 1
_FILLED = 2
"""Sum of the sizes in the ring, base units."""
_TRIPPED_S = 3
"""When a limit was last passed; 0 for never."""
_TIMES = 4
"""Of a side: `capacity` times, then as many sizes."""


@attrs.frozen
class FillRateOptions:
    """Options of `fill-rate`; at least one of the two limits must be set.

    Raises:
        DomainError: If neither limit is set.
    """

    max_fills: int | None = option(
        help="Most executions of one side within window_s.", default=None, unit="fills", minimum=1, maximum=10_000,
        example=10,
    )  # fmt: skip
    max_filled: Decimal | None = option(
        help="Most that is executed on one side within window_s.",
        default=None,
        unit="base units",
        above=0.0,
        example="0.5",
    )
    window_s: float = option(help="How far back fills count.", default=10.0, unit="s", above=0.0, maximum=86_400.0)
    cooldown_s: float = option(
        help="How long a side stays away after a limit was last passed.",
        default=30.0,
        unit="s",
        minimum=0.0,
        maximum=86_400.0,
    )
    shrink_from: float = option(
        help="Share of a limit from which on the side shrinks; 1 never shrinks early.",
        default=0.5,
        minimum=0.0,
        maximum=1.0,
    )

    def __attrs_post_init__(self) -> None:
        if self.max_fills is None and self.max_filled is None:
            msg = "max_fills: expected this or max_filled, was neither"
            raise DomainError(msg, hint="a brake without a limit never brakes: leave the control out instead")


class FillRateParams(NamedTuple):
    """The options as the rule reads them; a limit that is not set is infinity."""

    max_fills: float
    max_filled: float
    window_s: float
    cooldown_s: float
    shrink_from: float
    capacity: int


def on_fill(params: FillRateParams, state: State, fill: FillTick) -> None:
    """Remember a fill and note the time when its side has passed a limit."""
    capacity = params.capacity
    base = _SIDES if fill.side > 0.0 else _SIDES + _TIMES + 2 * capacity
    times = base + _TIMES
    sizes = times + capacity
    now_s = max(fill.now_ns / 1e9, state[_NOW_S])
    first = int(state[base + _FIRST])
    count = int(state[base + _COUNT])
    while count > 0 and now_s - state[times + first] >= params.window_s:
        first = (first + 1) % capacity
        count -= 1
    if count == capacity:
        # The ring is full: what the oldest filled is counted with the next one, so never too little.
        oldest = first
        first = (first + 1) % capacity
        count -= 1
        state[sizes + first] += state[sizes + oldest]
    newest = (first + count) % capacity
    state[times + newest] = now_s
    state[sizes + newest] = fill.size
    count += 1
    filled = 0.0
    for age in range(count):
        filled += state[sizes + (first + age) % capacity]
    state[_NOW_S] = now_s
    state[base + _FIRST] = float(first)
    state[base + _COUNT] = float(count)
    state[base + _FILLED] = filled
    if count > params.max_fills or filled > params.max_filled:
        state[base + _TRIPPED_S] = now_s


def fill_rate(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: FillRateParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes without a side that is braked, and smaller where a limit is near."""
    capacity = params.capacity
    now_s = view.now_ns / 1e9
    remembered_s = state[_NOW_S]
    is_anew = now_s < remembered_s - JITTER_S
    if not is_anew and now_s < remembered_s:
        now_s = remembered_s
    state[_NOW_S] = now_s
    bid, bid_size, ask, ask_size, _, _ = proposal
    ask_side = _SIDES + _TIMES + 2 * capacity
    if (
        state[_SIDES + _COUNT] == 0.0
        and state[ask_side + _COUNT] == 0.0
        and state[_SIDES + _TRIPPED_S] == 0.0
        and state[ask_side + _TRIPPED_S] == 0.0
    ):
        # No fill lately, which is the usual case.
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    bid_share = 1.0
    ask_share = 1.0
    for side in range(2):
        base = _SIDES + side * (_TIMES + 2 * capacity)
        times = base + _TIMES
        sizes = times + capacity
        tripped_s = state[base + _TRIPPED_S]
        if is_anew:
            state[base + _COUNT] = 0.0
            state[base + _FILLED] = 0.0
            is_away = tripped_s > 0.0 and remembered_s - tripped_s < params.cooldown_s
            tripped_s = now_s if is_away else 0.0
            state[base + _TRIPPED_S] = tripped_s
        count = int(state[base + _COUNT])
        first = int(state[base + _FIRST])
        if count > 0 and now_s - state[times + first] >= params.window_s:
            while count > 0 and now_s - state[times + first] >= params.window_s:
                first = (first + 1) % capacity
                count -= 1
            # Summed anew, not carried on: what rounding leaves would stay for ever.
            filled = 0.0
            for age in range(count):
                filled += state[sizes + (first + age) % capacity]
            state[base + _FIRST] = float(first)
            state[base + _COUNT] = float(count)
            state[base + _FILLED] = filled
        filled = state[base + _FILLED]
        share = 1.0
        if tripped_s > 0.0 and now_s - tripped_s >= params.cooldown_s:
            tripped_s = 0.0
            state[base + _TRIPPED_S] = 0.0
        if tripped_s > 0.0 or count > params.max_fills or filled > params.max_filled:
            share = 0.0
        elif count > 0:
            used = max(count / (params.max_fills + 1.0), filled / params.max_filled)
            if used > params.shrink_from:
                share = (1.0 - used) / (1.0 - params.shrink_from)
        if side == 0:
            bid_share = share
        else:
            ask_share = share

    reason = _NONE
    if bid_size > 0.0 and bid_share < 1.0:
        bid_size *= bid_share
        reason = SIDE_TAPERED
    if ask_size > 0.0 and ask_share < 1.0:
        ask_size *= ask_share
        reason = SIDE_TAPERED
    if (proposal.bid_size > 0.0 and bid_share == 0.0) or (proposal.ask_size > 0.0 and ask_share == 0.0):
        reason = SIDE_BRAKED
    level = _ALLOW
    if reason != _NONE:
        level = _SHRINK if bid_size > 0.0 or ask_size > 0.0 else _CANCEL_ONLY
    return RiskVerdict(level, bid, bid_size, ask, ask_size, reason)


def _build(options: FillRateOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    # One more than the limit must fit, or passing it could not be seen.
    capacity = max(_REMEMBERED, (options.max_fills or 0) + 2)
    params = FillRateParams(
        inf if options.max_fills is None else float(options.max_fills),
        inf if options.max_filled is None else float(options.max_filled),
        options.window_s,
        options.cooldown_s,
        options.shrink_from,
        capacity,
    )
    return RiskRule(fill_rate, params, (0.0,) * (_SIDES + 2 * (_TIMES + 2 * capacity)), on_fill=on_fill)


FILL_RATE = RiskControlSpec(
    name="fill-rate",
    summary="Takes a side away for a while when it is filled too often or too much within a window.",
    description=f"""\
For each side by itself, over the executions of the last window_s (an execution of that very age is out):

    used = max(fills / (max_fills + 1), filled / max_filled)
    size = size x (1 - used) / (1 - shrink_from)    when used > shrink_from
    away                      when fills > max_fills or filled > max_filled

and for cooldown_s after the last execution that was too many.

A quote that is taken again and again in one direction is mispriced, whatever the reason: somebody knows more, or the
model is wrong. The brake costs the fills it forgoes. A side that is away needs no execution of its own to come back;
while it is away the other side is quoted, so that the position can be reduced.

Soft: SIDE_TAPERED (1240). Hard: SIDE_BRAKED (1241). Both end by themselves. Level SHRINK while one side is left,
CANCEL_ONLY when none is. Executions of orders that were already under way still happen and still count.

{CLOCK_TEXT}
The last {_REMEMBERED} executions of a side (more when max_fills is larger) are remembered one by one; beyond that the
size of the oldest counts with the next one, which is too long, never too short. What is remembered outlives a restart,
as of the last time that a limit of the market began or ceased to bind.

When it fails: it counts executions, so an order that is filled in many small parts counts many times; use max_filled
where that is usual.

Example: max_fills = 3, window_s = 10, cooldown_s = 30, shrink_from = 0.5. Bids are filled at 0, 1 and 2 s: used is 3/4,
and the bid is halved: (1 - 0.75) / (1 - 0.5). A fourth fill at 3 s takes the bid away until 33 s. The ask stays.""",
    options=FillRateOptions,
    build=_build,
    reasons={
        SIDE_TAPERED: "a side was filled often lately: its size shrinks",
        SIDE_BRAKED: "a side was filled too often or too much: it is away until its cooldown is over",
    },
    limits={"max_fills": LimitFacts(), "max_filled": LimitFacts(), "shrink_from": LimitFacts(is_hard=False)},
    keeps_state=True,
)

"""The signal `kyle-lambda`: how far the mid moves for each unit that takers buy more than they sell."""

from __future__ import annotations

from math import exp, inf, log, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import BookTick, TradeTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["KYLE_LAMBDA", "KyleLambdaOptions", "on_touch", "on_trade", "read"]

_HAS_BEGUN = 0
_INTERVAL = 1
"""Number of the interval that is open, counted from 1970."""
_MID = 2
"""The mid in force; 0.0 before the first touch."""
_FIRST_MID = 3
"""The mid in force when the open interval began; 0.0 when there was none."""
_SIGNED = 4
"""Bought less sold in the open interval, base units."""
_PRODUCTS = 5
"""Decayed sum of signed volume x move of the mid."""
_SQUARES = 6
"""Decayed sum of signed volume squared."""
_COUNT = 7
"""Decayed number of intervals in which the signed volume was not 0."""
_STATE_SIZE = 8


@attrs.frozen
class KyleLambdaOptions:
    """Options of `kyle-lambda`."""

    interval_s: float = option(
        help="Time over which volume and move are set against each other; intervals begin at its whole multiples.",
        default=5.0,
        unit="s",
        minimum=0.01,
        maximum=3_600.0,
    )
    half_life_s: float = option(
        help="Time after which an interval counts half.", default=900.0, unit="s", above=0.0, maximum=604_800.0
    )
    intervals_min: float = option(
        help="Intervals with trades, each counted with its weight, below which there is no value.",
        default=20.0,
        unit="intervals",
        minimum=1.0,
        maximum=10_000.0,
    )


class KyleLambdaParams(NamedTuple):
    """The options as the rule reads them."""

    interval_ns: int
    mean_life: float
    """Half-life over ln 2, in intervals."""
    intervals_min: float


def on_touch(params: KyleLambdaParams, state: State, tick: BookTick) -> None:
    """Close the open interval if it has ended, and note the new mid."""
    number = tick.now_ns // params.interval_ns
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_INTERVAL] = float(number)
    elif number > state[_INTERVAL]:
        if state[_SIGNED] != 0.0 and state[_FIRST_MID] > 0.0:
            state[_PRODUCTS] += state[_SIGNED] * (state[_MID] - state[_FIRST_MID])
            state[_SQUARES] += state[_SIGNED] * state[_SIGNED]
            state[_COUNT] += 1.0
        decay = exp((state[_INTERVAL] - number) / params.mean_life)
        state[_PRODUCTS] *= decay
        state[_SQUARES] *= decay
        state[_COUNT] *= decay
        state[_SIGNED] = 0.0
        state[_FIRST_MID] = state[_MID]
        state[_INTERVAL] = float(number)
    state[_MID] = tick.mid


def on_trade(params: KyleLambdaParams, state: State, trade: TradeTick) -> None:
    """Close the open interval if it has ended, and add the trade to the one that is open."""
    number = trade.now_ns // params.interval_ns
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_INTERVAL] = float(number)
    elif number > state[_INTERVAL]:
        if state[_SIGNED] != 0.0 and state[_FIRST_MID] > 0.0:
            state[_PRODUCTS] += state[_SIGNED] * (state[_MID] - state[_FIRST_MID])
            state[_SQUARES] += state[_SIGNED] * state[_SIGNED]
            state[_COUNT] += 1.0
        decay = exp((state[_INTERVAL] - number) / params.mean_life)
        state[_PRODUCTS] *= decay
        state[_SQUARES] *= decay
        state[_COUNT] *= decay
        state[_SIGNED] = 0.0
        state[_FIRST_MID] = state[_MID]
        state[_INTERVAL] = float(number)
    state[_SIGNED] += trade.side * trade.size


def read(params: KyleLambdaParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the slope over the intervals that were closed; NaN when those still remembered are too few."""
    passed = max(0.0, now_ns // params.interval_ns - state[_INTERVAL])
    if not state[_COUNT] * exp(-passed / params.mean_life) >= params.intervals_min:
        return nan
    if not state[_SQUARES] > 0.0:
        return nan
    slope = state[_PRODUCTS] / state[_SQUARES]
    return slope if -inf < slope < inf else nan


def _build(options: KyleLambdaOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    params = KyleLambdaParams(
        round(options.interval_s * 1e9), options.half_life_s / log(2.0) / options.interval_s, options.intervals_min
    )
    return SignalRule(read, params, (0.0,) * _STATE_SIZE, on_touch=on_touch, on_trade=on_trade)


KYLE_LAMBDA = SignalSpec(
    name="kyle-lambda",
    summary="Price impact of taker flow: the move of the mid for each base unit bought more than sold.",
    description="""\
Time is cut into intervals of interval_s. In interval i takers buy x_i more than they sell (base units) and the mid
moves by d_i (quote units). The value is the slope of the line through the origin that fits best, weighted in time:

    kyle_lambda = sum of w_i x_i d_i / sum of w_i x_i^2        w_i = 2^(-age_i / half_life_s)

Intervals without signed volume say nothing and are left out.

Unit: quote units per base unit: times a size it is the expected move, times a size over the mid the expected share. A
negative value says that the mid has been moving against the takers. NaN: while the decayed number of intervals with
signed volume is below intervals_min, so also after a long silence.

When it fails: a large trade weighs with its square; a move that comes before or after its volume falls into another
interval when interval_s is short; news moves the mid without volume. An interval is closed by the first event after its
end, and the one that is open does not count.

Source: Kyle, Continuous auctions and insider trading (1985); estimated through the origin as in Hasbrouck, Trading
costs and returns for U.S. equities (2009).

Example: intervals with x = 2, d = 0.04 and x = -1, d = -0.05, weighted alike: (0.08 + 0.05) / (4 + 1) = 0.026 quote
units per base unit.""",
    options=KyleLambdaOptions,
    build=_build,
    provides="kyle_lambda",
    unit="quote units per base unit",
)

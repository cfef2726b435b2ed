"""The signal `ewma-volatility`: how far the mid moves in a second, as a standard deviation, on irregular data."""

from __future__ import annotations

from math import exp, expm1, log, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.signals._volatility_unit import UNIT_WORDS, VolatilityUnit, unit_option, volatility_unit
from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["EWMA_VOLATILITY", "EwmaVolatilityOptions", "on_touch", "read"]

_HAS_BEGUN = 0
_BEGAN_NS = 1
_SAMPLED_NS = 2
"""When the last interval ended. Times are floats here, exact to 256 ns in this century."""
_SAMPLED_MID = 3
_MID = 4
"""The mid in force."""
_VARIANCE = 5
"""Weighted sum of squared changes a second; divided by the weight it is the variance a second."""
_WEIGHT = 6
"""Sum of the weights of all time observed, from 0 towards 1."""
_STATE_SIZE = 7


@attrs.frozen
class EwmaVolatilityOptions:
    """Options of `ewma-volatility`."""

    half_life_s: float = option(
        help="Time after which an observation counts half.", default=60.0, unit="s", above=0.0, maximum=86_400.0
    )
    sample_interval_ms: int = option(
        help="Shortest time over which a change of the mid is measured; longer ignores the flicker of the touch.",
        default=1_000,
        unit="ms",
        minimum=0,
        maximum=3_600_000,
    )
    warm_up_s: float = option(
        help="Time to observe before there is a value.", default=10.0, unit="s", minimum=0.0, maximum=86_400.0
    )
    unit: str = unit_option()


class EwmaVolatilityParams(NamedTuple):
    """The options as the rule reads them."""

    mean_life_s: float
    """Half-life over ln 2."""
    sample_interval_ns: float
    warm_up_ns: float
    unit: VolatilityUnit


def on_touch(params: EwmaVolatilityParams, state: State, tick: BookTick) -> None:
    """Close the interval that ends now, if it is long enough, and note the new mid."""
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_BEGAN_NS] = float(tick.now_ns)
        state[_SAMPLED_NS] = float(tick.now_ns)
        state[_SAMPLED_MID] = tick.mid
    else:
        elapsed_ns = tick.now_ns - state[_SAMPLED_NS]
        if elapsed_ns >= params.sample_interval_ns:
            change = state[_MID] - state[_SAMPLED_MID]
            elapsed_s = elapsed_ns * 1e-9
            if elapsed_s > 0.0:
                gained = -expm1(-elapsed_s / params.mean_life_s)
                decay = exp(-elapsed_s / params.mean_life_s)
                state[_VARIANCE] = decay * state[_VARIANCE] + gained / elapsed_s * change * change
                state[_WEIGHT] = decay * state[_WEIGHT] + gained
            else:
                state[_VARIANCE] += change * change / params.mean_life_s
            state[_SAMPLED_NS] = float(tick.now_ns)
            state[_SAMPLED_MID] = state[_MID]
    state[_MID] = tick.mid


def read(params: EwmaVolatilityParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the standard deviation a square-root second, counting the interval that is still open."""
    if state[_HAS_BEGUN] == 0.0 or now_ns - state[_BEGAN_NS] < params.warm_up_ns:
        return nan
    variance = state[_VARIANCE]
    weight = state[_WEIGHT]
    elapsed_ns = now_ns - state[_SAMPLED_NS]
    if elapsed_ns >= params.sample_interval_ns:
        change = state[_MID] - state[_SAMPLED_MID]
        elapsed_s = elapsed_ns * 1e-9
        if elapsed_s > 0.0:
            gained = -expm1(-elapsed_s / params.mean_life_s)
            decay = exp(-elapsed_s / params.mean_life_s)
            variance = decay * variance + gained / elapsed_s * change * change
            weight = decay * weight + gained
        else:
            variance += change * change / params.mean_life_s
    if weight <= 0.0:
        return nan
    value = sqrt(variance / weight) * params.unit.scale
    if not params.unit.is_share_of_mid:
        return value
    mid = state[_MID]
    return value / mid if mid > 0.0 else nan


def _build(options: EwmaVolatilityOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    params = EwmaVolatilityParams(
        options.half_life_s / log(2.0),
        options.sample_interval_ms * 1e6,
        options.warm_up_s * 1e9,
        volatility_unit(options.unit),
    )
    return SignalRule(read, params, (0.0,) * _STATE_SIZE, on_touch=on_touch)


EWMA_VOLATILITY = SignalSpec(
    name="ewma-volatility",
    summary="Standard deviation of the mid per square-root second, exponentially weighted in time.",
    description="""\
Time is cut into intervals that end at the first change of the touch after at least sample_interval_ms. Over interval i,
of length dt_i seconds, the mid moves by d_i quote units; the variance a second in it is d_i^2 / dt_i. The value is the
root of its mean, weighted with the exponential kernel e^(-age / tau), tau = half_life_s / ln 2, integrated over each
interval:

    V <- w V + (1 - w) d^2 / dt        W <- w W + (1 - w)        w = e^(-dt / tau)
    volatility = sqrt(V / W)

So it does not depend on how often data comes, a gap of any length weighs at most as much as all that came before, and
time without a change lowers it. An interval of length 0 (equal timestamps) adds d^2 / tau to V and nothing to W. At a
read the interval still open counts when it is long enough. Each interval ends with the mid in force just before the
change that closes it, so a touch that flickers for less than sample_interval_ms adds nothing.

Unit: quote units per sqrt(s), which is what the stages that read `volatility` expect. With `unit = "bps-per-sqrt-s"` it
is divided by the mid and multiplied by 10,000, with `unit = "annual-percent"` divided by the mid and multiplied by
100 x 5,617.6 (the root of the seconds of 365.25 days): give it another name then.

NaN: until warm_up_s after the first touch. A market that has not moved since has volatility 0.

Source: RiskMetrics Technical Document (1996), section 5.2, extended to irregular times.

Example: the mid steps 0.02 up or down every second at 100: d^2 / dt = 0.0004 in every interval, the value is 0.02 quote
units per sqrt(s), 2 bps per sqrt(s), 112.35 % a year.""",
    options=EwmaVolatilityOptions,
    build=_build,
    provides="volatility",
    unit=UNIT_WORDS,
)

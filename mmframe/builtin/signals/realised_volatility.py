"""The signals `realised-volatility` and `two-scale-volatility`: how far the mid moves over a horizon."""

from __future__ import annotations

from math import ceil, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.signals._volatility_unit import (
    UNIT_DESCRIPTION,
    UNIT_WORDS,
    VolatilityUnit,
    unit_option,
    volatility_unit,
)
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "REALISED_VOLATILITY",
    "TWO_SCALE_VOLATILITY",
    "RealisedVolatilityOptions",
    "TwoScaleVolatilityOptions",
    "on_touch",
    "read",
    "realised_volatility_rule",
    "two_scale_volatility_rule",
]

_SAMPLES_MAX = 1_000
"""Most samples of a window: a read after a silence goes through all of them."""
_LAG_MIN_OF_TWO_SCALES = 2

_HAS_BEGUN = 0
_STEP = 1
"""Number of the sample interval that is open, counted from 1970."""
_MID = 2
"""The mid in force."""
_FILLED = 3
"""Samples taken, at most those of a window."""
_NEWEST = 4
_VARIANCE = 5
"""Variance a second over the samples taken; NaN while there are too few."""
_FAST = 6
"""Sum of the squared moves from sample to sample."""
_SLOW = 7
"""Sum of the squared moves over the lag."""
_SAMPLES = 8


@attrs.frozen
class RealisedVolatilityOptions:
    """Options of `realised-volatility`."""

    horizon_s: float = option(
        help="Time over which a move is measured: about as long as a quote rests or a position is held.",
        default=10.0,
        unit="s",
        above=0.0,
        maximum=86_400.0,
    )
    window_s: float = option(help="How far back moves count.", default=300.0, unit="s", above=0.0, maximum=604_800.0)
    sample_interval_ms: int = option(
        help="Time between two samples of the mid; horizon and window are rounded to whole samples.",
        default=1_000,
        unit="ms",
        minimum=10,
        maximum=3_600_000,
    )
    warm_up_s: float = option(
        help="Time to observe before there is a value; at least one horizon.",
        default=60.0,
        unit="s",
        minimum=0.0,
        maximum=604_800.0,
    )
    unit: str = unit_option()


@attrs.frozen
class TwoScaleVolatilityOptions:
    """Options of `two-scale-volatility`."""

    slow_s: float = option(
        help="The slow scale: moves over this time, of which the noise is then taken away.",
        default=10.0,
        unit="s",
        above=0.0,
        maximum=86_400.0,
    )
    window_s: float = option(help="How far back moves count.", default=300.0, unit="s", above=0.0, maximum=604_800.0)
    sample_interval_ms: int = option(
        help="The fast scale: time between two samples of the mid. Slow scale and window are rounded to whole samples.",
        default=1_000,
        unit="ms",
        minimum=10,
        maximum=3_600_000,
    )
    warm_up_s: float = option(
        help="Time to observe before there is a value; at least one move over the slow scale.",
        default=60.0,
        unit="s",
        minimum=0.0,
        maximum=604_800.0,
    )
    unit: str = unit_option()


class RealisedVolatilityParams(NamedTuple):
    """The options as the rule reads them, times in samples."""

    interval_ns: int
    samples: int
    """Of a window, both ends included."""
    lag: int
    """Samples in the horizon, or in the slow scale."""
    warm_up: int
    is_two_scale: bool
    unit: VolatilityUnit


def on_touch(  # noqa: C901, PLR0915 - a rule cannot call another function
    params: RealisedVolatilityParams, state: State, tick: BookTick
) -> None:
    """Sample the mid in force at each end of an interval that has passed, and note the new mid."""
    number = tick.now_ns // params.interval_ns
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_STEP] = float(number)
    passed = int(min(number - state[_STEP], float(params.samples)))
    if passed > 0:
        mid = state[_MID]
        newest = int(state[_NEWEST])
        filled = int(state[_FILLED])
        fast = state[_FAST]
        slow = state[_SLOW]
        for _ in range(passed):
            place = (newest + 1) % params.samples
            if filled == params.samples:
                oldest = state[_SAMPLES + place]
                change = state[_SAMPLES + (place + 1) % params.samples] - oldest
                fast -= change * change
                change = state[_SAMPLES + (place + params.lag) % params.samples] - oldest
                slow -= change * change
            if filled > 0:
                change = mid - state[_SAMPLES + newest]
                fast += change * change
            if filled >= params.lag:
                change = mid - state[_SAMPLES + (place - params.lag) % params.samples]
                slow += change * change
            state[_SAMPLES + place] = mid
            newest = place
            filled = min(filled + 1, params.samples)
            if place == 0:
                # Once a window the sums are made anew, or what rounding leaves of a large move would stay for ever.
                fast = 0.0
                slow = 0.0
                for age in range(filled - 1):
                    sample = state[_SAMPLES + (place - age) % params.samples]
                    change = sample - state[_SAMPLES + (place - age - 1) % params.samples]
                    fast += change * change
                    if age + params.lag < filled:
                        change = sample - state[_SAMPLES + (place - age - params.lag) % params.samples]
                        slow += change * change
        state[_NEWEST] = float(newest)
        state[_FILLED] = float(filled)
        state[_FAST] = fast
        state[_SLOW] = slow
        state[_STEP] = float(number)
        moves = filled - 1
        if moves >= params.warm_up:
            overlapping = moves - params.lag + 1
            variance = slow / (overlapping * params.lag)
            if params.is_two_scale:
                noise_share = overlapping / (params.lag * moves)
                # Not (1 - noise_share) x moves: fewer moves over the lag begin and end near the ends of the window.
                variance = (slow / params.lag - noise_share * fast) * params.lag / ((params.lag - 1) * overlapping)
            state[_VARIANCE] = max(0.0, variance) / (params.interval_ns * 1e-9)
    state[_MID] = tick.mid


def read(params: RealisedVolatilityParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the volatility over the window that ends with the last whole interval, in the unit asked for."""
    if state[_HAS_BEGUN] == 0.0:
        return nan
    variance = state[_VARIANCE]
    mid = state[_MID]
    passed = int(min(now_ns // params.interval_ns - state[_STEP], float(params.samples)))
    if passed > 0:
        # Intervals that ended since the last touch: the mid in force stands at each of them.
        moves = int(min(state[_FILLED] + passed, float(params.samples))) - 1
        if moves < params.warm_up:
            return nan
        newest = int(state[_NEWEST]) + passed
        fast = 0.0
        slow = 0.0
        for age in range(moves):
            sample = mid if age < passed else state[_SAMPLES + (newest - age) % params.samples]
            before = mid if age + 1 < passed else state[_SAMPLES + (newest - age - 1) % params.samples]
            fast += (sample - before) * (sample - before)
            if age + params.lag <= moves:
                old = age + params.lag
                before = mid if old < passed else state[_SAMPLES + (newest - old) % params.samples]
                slow += (sample - before) * (sample - before)
        overlapping = moves - params.lag + 1
        variance = slow / (overlapping * params.lag)
        if params.is_two_scale:
            noise_share = overlapping / (params.lag * moves)
            variance = (slow / params.lag - noise_share * fast) * params.lag / ((params.lag - 1) * overlapping)
        variance = max(0.0, variance) / (params.interval_ns * 1e-9)
    value = sqrt(variance) * params.unit.scale
    if not params.unit.is_share_of_mid:
        return value
    return value / mid if mid > 0.0 else nan


def realised_volatility_rule(options: RealisedVolatilityOptions) -> SignalRule:
    """Return the rule of `realised-volatility`.

    Raises:
        DomainError: If the window holds no move over the horizon, or too many samples.
    """
    lag = max(1, round(options.horizon_s * 1_000.0 / options.sample_interval_ms))
    return _rule(options, lag=lag, lag_option="horizon_s", is_two_scale=False)


def two_scale_volatility_rule(options: TwoScaleVolatilityOptions) -> SignalRule:
    """Return the rule of `two-scale-volatility`.

    Raises:
        DomainError: If the slow scale is no longer than the fast one, or the window does not fit.
    """
    lag = round(options.slow_s * 1_000.0 / options.sample_interval_ms)
    if lag < _LAG_MIN_OF_TWO_SCALES:
        msg = f"slow_s: expected at least 2 sample intervals of {options.sample_interval_ms} ms, was {options.slow_s} s"
        raise DomainError(msg, hint="make the slow scale longer or sample_interval_ms shorter")
    return _rule(options, lag=lag, lag_option="slow_s", is_two_scale=True)


def _build_realised(options: RealisedVolatilityOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    return realised_volatility_rule(options)


def _build_two_scale(options: TwoScaleVolatilityOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    return two_scale_volatility_rule(options)


def _rule(
    options: RealisedVolatilityOptions | TwoScaleVolatilityOptions, *, lag: int, lag_option: str, is_two_scale: bool
) -> SignalRule:
    moves = round(options.window_s * 1_000.0 / options.sample_interval_ms)
    if moves < lag:
        shortest_s = lag * options.sample_interval_ms / 1e3
        msg = f"window_s: expected at least {lag_option} = {shortest_s:g}, was {options.window_s:g}"
        raise DomainError(msg, hint="a window holds at least one move over the horizon")
    if moves >= _SAMPLES_MAX:
        msg = f"window_s: expected fewer than {_SAMPLES_MAX} samples in the window, was {moves}"
        raise DomainError(msg, hint="make sample_interval_ms longer or the window shorter")
    warm_up = min(moves, max(lag, ceil(options.warm_up_s * 1_000.0 / options.sample_interval_ms)))
    params = RealisedVolatilityParams(
        options.sample_interval_ms * 1_000_000,
        moves + 1,
        lag,
        warm_up,
        is_two_scale,
        volatility_unit(options.unit),
    )
    state = [0.0] * (_SAMPLES + params.samples)
    state[_VARIANCE] = nan
    return SignalRule(read, params, state, on_touch=on_touch)


REALISED_VOLATILITY = SignalSpec(
    name="realised-volatility",
    summary="Standard deviation of the mid's moves over a chosen horizon, per square-root second.",
    description=f"""\
The mid in force is sampled at whole multiples of sample_interval_ms. With h = horizon_s, over all pairs of samples that
lie h apart within the last window_s (they overlap):

    volatility = sqrt(mean of (mid(t) - mid(t - h))^2 / h)

A longer horizon leaves out what comes back within it, such as the bounce of the touch, and has fewer independent moves:
the standard error is about 0.6 x sqrt(h / window_s) of the value. Times without a change of the touch count as moves
of 0.

{UNIT_DESCRIPTION}

NaN: until warm_up_s (and one horizon) after the first sample. A market that has not moved since has volatility 0.

When it fails: a single jump stays in with full weight for window_s and then leaves at once. The horizon is part of the
answer: where moves come back the value falls with it, where they go on it rises.

Cost: one pass over the window for each window_s, and for a read when no touch has changed for sample_interval_ms.

Source: Andersen, Bollerslev, Diebold & Labys, The distribution of realized exchange rate volatility (2001); overlapping
as in Zhang, Mykland & Ait-Sahalia (2005), section 2.2.

Example: horizon 2 s, samples each second 100.00, 100.02, 100.00, 100.04: moves over 2 s are 0.00 and 0.02, the mean
square is 0.0002, over 2 s 0.0001 a second: 0.01 quote units per sqrt(s). Moves over 1 s, with a horizon of 1 s, give
sqrt(0.0024 / 3) = 0.028: most of it came back.""",
    options=RealisedVolatilityOptions,
    build=_build_realised,
    provides="realised_volatility",
    unit=UNIT_WORDS,
)

TWO_SCALE_VOLATILITY = SignalSpec(
    name="two-scale-volatility",
    summary="Volatility of the price behind the mid: moves over a slow scale less the noise seen at a fast one.",
    description=f"""\
The mid in force is sampled at whole multiples of sample_interval_ms: n moves in the last window_s, K sample intervals
in slow_s, a = (n - K + 1) / K.

    S = sum of (mid_i - mid_(i-K))^2 / K        F = sum of (mid_i - mid_(i-1))^2
    variance = (S - a / n x F) / (a x (K - 1))    per sample interval; 0 when that is negative
    volatility = sqrt(variance / sample_interval)

Noise that is new at each sample (the bounce of the touch, rounding to ticks) adds as much to a move over a long time as
to one over a short time. F has n times the noise, S has a times; the difference has none. Of a walk's variance per
sample S has a x K times and a / n x F a times, so the mean is exact in a window of any length. (The paper divides by
1 - a / n and n, which is (n - K + 1) / (n + 1) of it: the moves at both ends of a window are in fewer sums.)

{UNIT_DESCRIPTION}

NaN: until warm_up_s (and slow_s) after the first sample. 0 when all that moved was noise.

When it fails: noise that lasts longer than a sample interval is taken for movement; in few moves (window_s below some
20 x slow_s) the difference is itself noisy.

Cost: one pass over the window for each window_s, and for a read when no touch has changed for sample_interval_ms.

Source: Zhang, Mykland & Ait-Sahalia, A tale of two time scales (2005), section 4, with the adjustment for small
samples in place of its own.

Example: samples each second 100, 101, 100, 101, 100 (pure noise) with K = 2: moves over 2 s are 0, so S = 0, F = 4,
n = 4, a = 1.5, and S - 1.5 / 4 x 4 = -1.5 is below 0: the volatility is 0, where the realised one over 1 s is 1.
Samples 100, 101, 103, 103, 104: F = 6, S = (9 + 4 + 1) / 2 = 7, and (7 - 1.5 / 4 x 6) / 1.5 = 3.17 a second: 1.78
quote units per sqrt(s).""",
    options=TwoScaleVolatilityOptions,
    build=_build_two_scale,
    provides="two_scale_volatility",
    unit=UNIT_WORDS,
)

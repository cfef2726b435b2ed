"""The signals `parkinson`, `garman-klass` and `rogers-satchell`: volatility from the ranges of bars of the mid."""

from __future__ import annotations

from math import log, nan, sqrt
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
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.plugin.rules import State

__all__ = ["GARMAN_KLASS", "PARKINSON", "ROGERS_SATCHELL", "RangeVolatilityOptions", "on_touch", "read"]

_HAS_BEGUN = 0
_BAR = 1
"""Number of the bar that is open, counted from 1970."""
_IS_WHOLE = 2
"""Whether the open bar was seen from its beginning."""
_OPEN = 3
_HIGH = 4
_LOW = 5
_CLOSE = 6
"""The mid in force."""
_FILLED = 7
_NEWEST = 8
_SUM = 9
"""Of the variances in the ring."""
_VARIANCES = 10


@attrs.frozen
class RangeVolatilityOptions:
    """Options of the volatilities from bars."""

    bar_s: float = option(
        help="Length of a bar; bars begin at its whole multiples.",
        default=60.0,
        unit="s",
        minimum=0.1,
        maximum=86_400.0,
    )
    bars: int = option(
        help="Complete bars in the window; the bar that is open does not count.",
        default=10,
        unit="bars",
        minimum=1,
        maximum=1_000,
    )
    warm_up_bars: int = option(
        help="Complete bars before there is a value; more than `bars` counts as `bars`.",
        default=3,
        unit="bars",
        minimum=1,
        maximum=1_000,
    )
    unit: str = unit_option()


class RangeVolatilityParams(NamedTuple):
    """The options as the rule reads them, and what makes one estimator of the three.

    With u, d, c the high, low and close of a bar over its open, the bar's variance is
    range_weight x (u - d)^2 + close_weight x c^2 + path_weight x (u (u - c) + d (d - c)).
    """

    bar_ns: int
    bars: int
    warm_up_bars: int
    range_weight: float
    close_weight: float
    path_weight: float
    unit: VolatilityUnit


def on_touch(params: RangeVolatilityParams, state: State, tick: BookTick) -> None:
    """Close the bars that have ended, the last mid in force through all of them, and widen the open one."""
    number = tick.now_ns // params.bar_ns
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_BAR] = float(number)
        state[_OPEN] = tick.mid
        state[_HIGH] = tick.mid
        state[_LOW] = tick.mid
    elif number > state[_BAR]:
        newest = int(state[_NEWEST])
        filled = int(state[_FILLED])
        if state[_IS_WHOLE] != 0.0:
            up = state[_HIGH] - state[_OPEN]
            down = state[_LOW] - state[_OPEN]
            change = state[_CLOSE] - state[_OPEN]
            newest = (newest + 1) % params.bars
            filled += 1
            state[_VARIANCES + newest] = (
                params.range_weight * (up - down) * (up - down)
                + params.close_weight * change * change
                + params.path_weight * (up * (up - change) + down * (down - change))
            )
        silent = int(min(number - state[_BAR] - 1.0, float(params.bars)))
        for _ in range(silent):
            newest = (newest + 1) % params.bars
            state[_VARIANCES + newest] = 0.0
        filled = min(filled + silent, params.bars)
        # Summed anew, not carried on: what rounding leaves would stay for ever.
        total = 0.0
        for age in range(filled):
            total += state[_VARIANCES + (newest - age) % params.bars]
        state[_SUM] = total
        state[_NEWEST] = float(newest)
        state[_FILLED] = float(filled)
        state[_BAR] = float(number)
        state[_IS_WHOLE] = 1.0
        state[_OPEN] = state[_CLOSE]
        state[_HIGH] = state[_CLOSE]
        state[_LOW] = state[_CLOSE]
    state[_HIGH] = max(state[_HIGH], tick.mid)
    state[_LOW] = min(state[_LOW], tick.mid)
    state[_CLOSE] = tick.mid


def read(params: RangeVolatilityParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the root of the mean variance of the complete bars, a second, in the unit asked for."""
    if state[_HAS_BEGUN] == 0.0:
        return nan
    filled = int(state[_FILLED])
    total = state[_SUM]
    mid = state[_CLOSE]
    passed = now_ns // params.bar_ns - state[_BAR]
    if passed > 0.0:
        # Bars that ended since the last touch: the one then open, and silent ones.
        joining = int(min(passed - 1.0, float(params.bars)))
        total = 0.0
        if state[_IS_WHOLE] != 0.0 and joining < params.bars:
            up = state[_HIGH] - state[_OPEN]
            down = state[_LOW] - state[_OPEN]
            change = mid - state[_OPEN]
            total = (
                params.range_weight * (up - down) * (up - down)
                + params.close_weight * change * change
                + params.path_weight * (up * (up - change) + down * (down - change))
            )
            joining += 1
        kept = min(filled, params.bars - joining)
        for age in range(kept):
            total += state[_VARIANCES + (int(state[_NEWEST]) - age) % params.bars]
        filled = kept + joining
    if filled < params.warm_up_bars:
        return nan
    value = sqrt(max(0.0, total) / (filled * (params.bar_ns * 1e-9))) * params.unit.scale
    if not params.unit.is_share_of_mid:
        return value
    return value / mid if mid > 0.0 else nan


def _build(
    *, range_weight: float, close_weight: float, path_weight: float
) -> Callable[[RangeVolatilityOptions, BuildContext], SignalRule]:
    def build(options: RangeVolatilityOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
        params = RangeVolatilityParams(
            round(options.bar_s * 1e9),
            options.bars,
            min(options.bars, options.warm_up_bars),
            range_weight,
            close_weight,
            path_weight,
            volatility_unit(options.unit),
        )
        return SignalRule(read, params, [0.0] * (_VARIANCES + params.bars), on_touch=on_touch)

    return build


_BARS_DESCRIPTION = """\
Bars of bar_s are made of the mid in force. A bar opens with the mid in force at its beginning, so nothing is lost
between bars; H, L and C are its highest, lowest and last mid less that first one (H >= 0 >= L). Over the last `bars`
complete bars:"""
_NAN_DESCRIPTION = f"""\
The estimators were made for logarithms of prices; over bars of minutes a difference of prices over the mid is the same.

{UNIT_DESCRIPTION}

NaN: until warm_up_bars bars are complete; the first one, which was not seen from its beginning, is left out. Bars
without a change of the touch count as 0."""

PARKINSON = SignalSpec(
    name="parkinson",
    summary="Volatility from the range of rolling bars: about 5 times as efficient as closing prices.",
    description=f"""\
{_BARS_DESCRIPTION}

    volatility = sqrt(mean of (H - L)^2 / (4 ln 2) / bar_s)

{_NAN_DESCRIPTION}

When it fails: a trend counts as volatility. Moves between few ticks show too small a range (the mid jumps over the true
extremes), a bouncing touch too large a one.

Source: Parkinson, The extreme value method for estimating the variance of the rate of return (1980).

Example: one bar of 60 s that opens at 100.00 with high 100.10 and low 99.90: 0.04 / (4 x 0.6931) / 60 = 0.0002404, the
value is 0.0155 quote units per sqrt(s), 1.55 bps.""",
    options=RangeVolatilityOptions,
    build=_build(range_weight=1.0 / (4.0 * log(2.0)), close_weight=0.0, path_weight=0.0),
    provides="parkinson_volatility",
    unit=UNIT_WORDS,
)

GARMAN_KLASS = SignalSpec(
    name="garman-klass",
    summary="Volatility from range and close of rolling bars: about 7 times as efficient as closing prices.",
    description=f"""\
{_BARS_DESCRIPTION}

    volatility = sqrt(mean of ((H - L)^2 / 2 - (2 ln 2 - 1) C^2) / bar_s)

the paper's practical estimator without its small cross terms. Never negative, since |C| <= H - L.

{_NAN_DESCRIPTION}

When it fails: as `parkinson`; a trend counts as volatility, though less.

Source: Garman & Klass, On the estimation of security price volatilities from historical data (1980).

Example: one bar of 60 s that opens at 100.00 with high 100.10, low 99.90 and close 100.05:
(0.04 / 2 - 0.3863 x 0.0025) / 60 = 0.0003172, the value is 0.0178 quote units per sqrt(s), 1.78 bps.""",
    options=RangeVolatilityOptions,
    build=_build(range_weight=0.5, close_weight=1.0 - 2.0 * log(2.0), path_weight=0.0),
    provides="garman_klass_volatility",
    unit=UNIT_WORDS,
)

ROGERS_SATCHELL = SignalSpec(
    name="rogers-satchell",
    summary="Volatility from rolling bars that a trend does not raise.",
    description=f"""\
{_BARS_DESCRIPTION}

    volatility = sqrt(mean of (H (H - C) + L (L - C)) / bar_s)

A bar that goes straight from its open to its close adds 0: the estimator is right whatever the drift.

{_NAN_DESCRIPTION}

When it fails: a market that jumps once a bar and stands shows 0, so it misses volatility that comes as single jumps.
The range is that of mids seen, as of `parkinson`.

Source: Rogers & Satchell, Estimating variance from high, low and closing prices (1991).

Example: one bar of 60 s that opens at 100.00 with high 100.10, low 99.90 and close 100.05:
(0.10 x 0.05 + 0.10 x 0.15) / 60 = 0.0003333, the value is 0.0183 quote units per sqrt(s), 1.83 bps.""",
    options=RangeVolatilityOptions,
    build=_build(range_weight=0.0, close_weight=0.0, path_weight=1.0),
    provides="rogers_satchell_volatility",
    unit=UNIT_WORDS,
)

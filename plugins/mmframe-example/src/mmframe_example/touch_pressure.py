"""The signal `touch-pressure`: which side of the touch has been heavier of late."""

from __future__ import annotations

from math import exp, inf, log, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.domain.views import BookTick

__all__ = ["TOUCH_PRESSURE", "TouchPressureOptions"]

# Places in the state. It starts as (NaN, NaN, 0): nothing seen yet.
_MEAN, _NOW, _SINCE_NS = 0, 1, 2


@attrs.frozen
class TouchPressureOptions:
    """Options of `touch-pressure`: each is checked before a run starts, with file, line and nearest name."""

    half_life_s: float = option(
        help="Time after which what was seen counts half.", default=2.0, above=0.0, maximum=86_400.0, unit="s"
    )


class TouchPressureParams(NamedTuple):
    """The options as the rule reads them: numbers, in the units of the formula."""

    decay_per_s: float


def on_touch(params: TouchPressureParams, state: list[float], tick: BookTick) -> None:
    """Take a new touch: what stood until now counts for as long as it stood."""
    if state[_MEAN] != state[_MEAN]:  # NaN, the one number that differs from itself: the first touch
        state[_MEAN] = state[_NOW]
    else:
        age_s = max(0.0, (tick.now_ns - state[_SINCE_NS]) * 1e-9)
        state[_MEAN] = state[_NOW] + (state[_MEAN] - state[_NOW]) * exp(-params.decay_per_s * age_s)
    sizes = tick.bid_size + tick.ask_size
    state[_NOW] = (tick.bid_size - tick.ask_size) / sizes if 0.0 < sizes < inf else nan
    # A float of nanoseconds is exact to 256 ns, far below any half life.
    state[_SINCE_NS] = float(tick.now_ns)


def read(params: TouchPressureParams, state: list[float], now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the rule signature
    """Return the average at `now_ns`; NaN before the first touch. Reading changes nothing."""
    if state[_MEAN] != state[_MEAN]:
        return state[_NOW]
    age_s = max(0.0, (now_ns - state[_SINCE_NS]) * 1e-9)
    return state[_NOW] + (state[_MEAN] - state[_NOW]) * exp(-params.decay_per_s * age_s)


def build(options: TouchPressureOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    """Return the signal of one market."""
    return SignalRule(read, TouchPressureParams(log(2.0) / options.half_life_s), (nan, nan, 0.0), on_touch=on_touch)


TOUCH_PRESSURE = SignalSpec(
    name="touch-pressure",
    summary="Imbalance of the touch, averaged over time; positive when buyers wait.",
    description="""\
(bid_size - ask_size) / (bid_size + ask_size), averaged over time with exponential decay: a touch counts for as
long as it stood, and half as much half_life_s later. From -1, all offered, to 1, all bid; NaN before the first
touch.""",
    provides="touch_pressure",
    unit="share, -1 to 1",
    options=TouchPressureOptions,
    build=build,
)

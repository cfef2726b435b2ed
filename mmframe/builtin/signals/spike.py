"""The signal `spike`: how far the mid has been apart within a short window."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["SPIKE", "SpikeOptions", "on_touch", "read"]

_SLOTS = 16
"""Parts of the window; each remembers the lowest and the highest mid in it, so memory is bounded."""
_HAS_BEGUN = 0
_MID = 1
_NUMBERS = 2
_LOWS = _NUMBERS + _SLOTS
_HIGHS = _LOWS + _SLOTS
_STATE_SIZE = _HIGHS + _SLOTS


@attrs.frozen
class SpikeOptions:
    """Options of `spike`."""

    window_ms: int = option(
        help="How far back the mid is looked at.", default=2_000, unit="ms", minimum=16, maximum=3_600_000
    )


class SpikeParams(NamedTuple):
    """The options as the rule reads them."""

    slot_ns: int


def on_touch(params: SpikeParams, state: State, tick: BookTick) -> None:
    """Widen the range of the slot that is now."""
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_MID] = tick.mid
    number = tick.now_ns // params.slot_ns
    slot = number % _SLOTS
    if state[_NUMBERS + slot] != number:
        # A new slot opens with the mid that was in force until now: a jump after a silence is a jump.
        state[_NUMBERS + slot] = float(number)
        state[_LOWS + slot] = state[_MID]
        state[_HIGHS + slot] = state[_MID]
    state[_LOWS + slot] = min(state[_LOWS + slot], tick.mid)
    state[_HIGHS + slot] = max(state[_HIGHS + slot], tick.mid)
    state[_MID] = tick.mid


def read(params: SpikeParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the range of the mid over the window in bps of the mid now."""
    mid = state[_MID]
    if state[_HAS_BEGUN] == 0.0 or not mid > 0.0:
        return nan
    oldest = now_ns // params.slot_ns - _SLOTS
    low = mid
    high = mid
    for slot in range(_SLOTS):
        if state[_NUMBERS + slot] > oldest:
            slot_low = state[_LOWS + slot]
            slot_high = state[_HIGHS + slot]
            low = slot_low if slot_low < low else low
            high = slot_high if slot_high > high else high
    return (high - low) / mid * 10_000.0


def _build(options: SpikeOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    state = [0.0] * _STATE_SIZE
    state[_NUMBERS:_LOWS] = [-1.0] * _SLOTS
    return SignalRule(read, SpikeParams(options.window_ms * 1_000_000 // _SLOTS), state, on_touch=on_touch)


SPIKE = SignalSpec(
    name="spike",
    summary="Range of the mid over a short window, in bps: large while a jump is fresh, even one that came back.",
    description="""\
    spike = (highest mid - lowest mid) / mid now x 10,000        over the last window_ms

The window moves in 16 steps, so it reaches back between 15/16 and all of window_ms. The mid in force at its beginning
counts, hence a jump after a silence shows in full.

Unit: bps. NaN: before the first touch. 0 in a market that stands still.

Example: within 2 s the mid goes 100.00, 100.30, 100.10: 0.30 / 100.10 x 10,000 = 29.97 bps.""",
    options=SpikeOptions,
    build=_build,
    provides="spike",
    unit="bps",
)

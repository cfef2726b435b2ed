"""The signal `drift`: how fast the mid has been moving in one direction, exponentially weighted in time."""

from __future__ import annotations

from math import exp, expm1, log, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["DRIFT", "DriftOptions", "on_touch", "read"]

_HAS_BEGUN = 0
_BEGAN_NS = 1
_MOVED_NS = 2
"""When the mid in force came. Times are floats here, exact to 256 ns in this century."""
_MID = 3
_SUM = 4
"""Sum of the changes, each weighted by its age, over the kernel's mean life: quote units per s."""
_STATE_SIZE = 5


@attrs.frozen
class DriftOptions:
    """Options of `drift`."""

    half_life_s: float = option(
        help="Time after which a change counts half.", default=300.0, unit="s", minimum=0.1, maximum=604_800.0
    )
    warm_up_s: float = option(
        help="Time to observe before there is a value.", default=60.0, unit="s", above=0.0, maximum=604_800.0
    )


class DriftParams(NamedTuple):
    """The options as the rule reads them."""

    mean_life_s: float
    """Half-life over ln 2."""
    warm_up_ns: float


def on_touch(params: DriftParams, state: State, tick: BookTick) -> None:
    """Add the change of the mid to what is left of the earlier ones."""
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_BEGAN_NS] = float(tick.now_ns)
    else:
        elapsed_s = (tick.now_ns - state[_MOVED_NS]) * 1e-9
        kept = exp(-elapsed_s / params.mean_life_s) if elapsed_s > 0.0 else 1.0
        state[_SUM] = state[_SUM] * kept + (tick.mid - state[_MID]) / params.mean_life_s
    state[_MOVED_NS] = float(tick.now_ns)
    state[_MID] = tick.mid


def read(params: DriftParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the mean change a second; NaN until there was time to observe one."""
    observed_ns = now_ns - state[_BEGAN_NS]
    if state[_HAS_BEGUN] == 0.0 or not observed_ns >= params.warm_up_ns:
        return nan
    elapsed_s = (now_ns - state[_MOVED_NS]) * 1e-9
    kept = exp(-elapsed_s / params.mean_life_s) if elapsed_s > 0.0 else 1.0
    weight = -expm1(-observed_ns * 1e-9 / params.mean_life_s)
    return state[_SUM] * kept / weight


def _build(options: DriftOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    params = DriftParams(options.half_life_s / log(2.0), options.warm_up_s * 1e9)
    return SignalRule(read, params, (0.0,) * _STATE_SIZE, on_touch=on_touch)


DRIFT = SignalSpec(
    name="drift",
    summary="Mean change of the mid a second, exponentially weighted in time: positive in a rising market.",
    description="""\
    drift = sum of d_i e^(-age_i / tau) / tau / (1 - e^(-T / tau))

over all changes d_i of the mid, each age_i ago, with tau = half_life_s / ln 2 and T the time observed. It does not
depend on how often data comes; a flicker that returns adds nothing; time without a change brings it towards 0.

Unit: quote units per s. NaN: until warm_up_s after the first touch.

When it fails: a price without any drift shows one, of about volatility / sqrt(2 tau): with volatility 0.02 and a
half-life of 300 s, 0.00068 quote units per s. Believe in a multiple of that only.

`drift-skew` quotes by it. `drift_per_s` of `glft` is in the same unit, and an option because that model takes a drift
for lasting.

Example: half_life_s = 69.315 (tau 100 s). At 100 s of observation the mid has moved once, by 1.00, 50 s ago:
1 x e^-0.5 / 100 / (1 - e^-1) = 0.0095952 quote units per s.""",
    options=DriftOptions,
    build=_build,
    provides="drift",
    unit="quote units per s",
)

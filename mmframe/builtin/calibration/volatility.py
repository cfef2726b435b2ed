"""The volatility of a whole recording, by the very estimators that the signals use, with its standard error."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.calibration.tape import Mark
from mmframe.builtin.signals.realised_volatility import (
    RealisedVolatilityOptions,
    TwoScaleVolatilityOptions,
    realised_volatility_rule,
    two_scale_volatility_rule,
)
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.builtin.calibration.tape import Tape
    from mmframe.plugin import SignalRule

__all__ = ["SAMPLES_PER_HORIZON", "VolatilityEstimate", "measure_volatility"]

SAMPLES_PER_HORIZON = 10
_HORIZONS_PER_WINDOW = 10
_NO_TICK = BookTick(0, 0.0, 0.0, 0.0, 0.0, 0.0)


@attrs.frozen
class VolatilityEstimate:
    """Volatility over a recording, in price units per square-root second.

    Attributes:
        realised: Root of the mean of `realised-volatility` squared over windows that do not overlap.
        realised_std_error: From how much the windows differ, so that a volatility which comes in bursts is known less
            well; NaN with one window.
        two_scale: Likewise of `two-scale-volatility`: without the bounce of the touch.
        two_scale_std_error: Likewise.
        horizon_s: Time over which moves are measured, seconds.
        windows: How many windows there were.
    """

    realised: float
    realised_std_error: float
    two_scale: float
    two_scale_std_error: float
    horizon_s: float
    windows: int


def measure_volatility(tape: Tape, *, tick: float, horizon_s: float = 10.0) -> VolatilityEstimate:
    """Return the volatility of the mid.

    The mid is sampled ten times a horizon, windows are ten horizons long and begin anew where continuity was lost.

    Args:
        tape: The recording.
        tick: Size of a tick in price units.
        horizon_s: Time over which moves are measured, seconds, 0.1 to 3600; it is also the slow scale of the two.

    Raises:
        DomainError: If the horizon cannot be, or no window is whole.
    """
    if not 0.1 <= horizon_s <= 3_600.0:
        msg = f"horizon_s: expected 0.1 to 3600, was {horizon_s:g}"
        raise DomainError(msg)
    sample_interval_ms = round(horizon_s * 1_000.0 / SAMPLES_PER_HORIZON)
    window_s = sample_interval_ms * SAMPLES_PER_HORIZON * _HORIZONS_PER_WINDOW / 1_000.0
    realised = RealisedVolatilityOptions(
        horizon_s=horizon_s, window_s=window_s, sample_interval_ms=sample_interval_ms, warm_up_s=window_s
    )
    two_scale = TwoScaleVolatilityOptions(
        slow_s=horizon_s, window_s=window_s, sample_interval_ms=sample_interval_ms, warm_up_s=window_s
    )
    rules = (lambda: realised_volatility_rule(realised)), (lambda: two_scale_volatility_rule(two_scale))
    window_ns, sample_ns = round(window_s * 1e9), sample_interval_ms * 1_000_000
    variances = [_variances(tape, tick, make, window_ns=window_ns, sample_ns=sample_ns) for make in rules]
    windows = len(variances[0])
    if not windows:
        msg = f"touches: expected {window_s:g} s or more without a gap, was less"
        raise DomainError(msg, hint="a longer recording, or a shorter horizon")
    (sigma, error), (sigma_behind, error_behind) = map(_root_mean, variances)
    return VolatilityEstimate(sigma, error, sigma_behind, error_behind, horizon_s, windows)


def _variances(
    tape: Tape, tick: float, make_rule: Callable[[], SignalRule], *, window_ns: int, sample_ns: int
) -> list[float]:
    """Return what the rule says, squared, at the end of each whole window."""
    variances: list[float] = []
    rule: SignalRule | None = None
    last, end_ns = _NO_TICK, 0
    for time_ns, mark, low_ticks, high_ticks in tape.entries():
        if rule is not None:
            ends = range(end_ns, time_ns + 1, window_ns)
            variances += [rule.read(now_ns, last) ** 2 for now_ns in ends]
            end_ns += len(ends) * window_ns
        if mark == Mark.VOID:
            rule = None
        elif mark == Mark.TOUCH:
            bid, ask = low_ticks * tick, high_ticks * tick
            last = BookTick(time_ns, bid, 0.0, ask, 0.0, (bid + ask) / 2.0)
            if rule is None:
                rule = make_rule()
                # A window begins with the first sample, at the end of the interval that is open now.
                end_ns = (time_ns // sample_ns + 1) * sample_ns + window_ns
            if rule.on_touch is not None:
                rule.on_touch(last)
    return variances


def _root_mean(variances: Sequence[float]) -> tuple[float, float]:
    """Return the root of the mean with its standard error."""
    number = len(variances)
    mean = sum(variances) / number
    if number == 1 or mean <= 0.0:
        return sqrt(mean), nan
    error = sqrt(sum((variance - mean) ** 2 for variance in variances) / (number - 1) / number)
    return sqrt(mean), error / (2.0 * sqrt(mean))

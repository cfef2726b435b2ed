"""The rate of fills as a function of distance, fitted to counts: `arrival_rate x exp(-decay x distance)`.

The counts at each distance are taken as Poisson, with the exposure as their offset, and the two parameters are those of
largest likelihood. A line through the logarithms of the rates would weigh a rate known from two fills like one known
from a thousand, and could not use a distance without any fill at all.
"""

from __future__ import annotations

from math import exp, isfinite, log, nan, sqrt
from typing import TYPE_CHECKING

import attrs

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmframe.builtin.calibration.fills import DistanceCount

__all__ = ["IntensityFit", "block_std_error", "fit_intensity"]

_STEPS_MAX = 200
_CONVERGED = 1e-12
_LN_MAX = 690.0
"""Beyond it a rate would leave the range of a double."""
_MU_MIN = 1e-300
"""Expected fills that are too few for a double."""
_BLOCKS_MIN = 8
"""Fewer parts of a recording say little of how much they differ."""


@attrs.frozen
class IntensityFit:
    """The fit of `arrival_rate_per_s x exp(-decay x distance)` to counts.

    Attributes:
        arrival_rate_per_s: A: fills a second of one order at the mid, one side.
        arrival_rate_std_error: Its standard error from the Fisher information, 1 / s.
        decay: k: 1 / unit of distance. At most 0 when the rate does not fall with distance.
        decay_std_error: Likewise.
        correlation: Of the two estimates; close to 1 when the distances are far from the mid.
        fills: In all.
        distances: How many were fitted.
        deviance: Twice the logarithm of the likelihood that the fit falls short of the rates as they are.
        chi2: Pearson's: sum of (fills - expected)^2 / expected.
        pseudo_r2: Share of the deviance from one rate for all distances that the fit explains.
    """

    arrival_rate_per_s: float
    arrival_rate_std_error: float
    decay: float
    decay_std_error: float
    correlation: float
    fills: int
    distances: int
    deviance: float
    chi2: float
    pseudo_r2: float

    @property
    def degrees_of_freedom(self) -> int:
        """Return the distances less the two parameters."""
        return self.distances - 2

    @property
    def dispersion(self) -> float:
        """Return chi2 / degrees of freedom: about 1 where counts scatter as Poisson ones; NaN with two distances."""
        return self.chi2 / self.degrees_of_freedom if self.degrees_of_freedom else nan

    def rate_per_s(self, distance: float) -> float:
        """Return the fitted rate at a distance."""
        return exp(log(self.arrival_rate_per_s) - self.decay * distance)


def fit_intensity(counts: Iterable[DistanceCount]) -> IntensityFit:
    """Return the fit of largest likelihood.

    The likelihood is that of fills_i ~ Poisson(exposure_i x A exp(-k distance_i)). Whatever k is, the best A makes the
    expected fills as many as were counted; what is left is the k at which the expected mean distance of a fill is the
    counted one. That mean falls as k rises, so there is one, found by Newton's steps inside a bracket.

    Args:
        counts: At each distance; those without exposure are passed over, those without fills are not.

    Raises:
        DomainError: If there are not two distances, no fills, or all fills at the nearest or all at the furthest one:
            then no finite k is the best.
    """
    rows = sorted(row for row in counts if row.exposure_s > 0.0)
    distances = [row.distance for row in rows]
    fills = sum(row.fills for row in rows)
    _require_enough(rows, fills)
    nearest, width = distances[0], distances[-1] - distances[0]
    places = [(distance - nearest) / width for distance in distances]
    exposures = [row.exposure_s for row in rows]
    wanted = sum(row.fills * place for row, place in zip(rows, places, strict=True)) / fills
    slope = _slope(places, exposures, wanted)

    mean, variance, ln_total = _moments(places, exposures, slope)
    decay = slope / width
    ln_arrival = log(fills) - ln_total + decay * nearest
    if not -_LN_MAX < ln_arrival < _LN_MAX:
        msg = f"distances: expected some near the mid, was {nearest:g} as the nearest: the rate there is out of range"
        raise DomainError(msg)
    mean_distance, distance_variance = nearest + mean * width, variance * width * width
    expected = [
        exp(log(fills) - ln_total - slope * place) * time for place, time in zip(places, exposures, strict=True)
    ]
    flat = [fills * time / sum(exposures) for time in exposures]
    deviance, null_deviance = _deviance(rows, expected), _deviance(rows, flat)
    return IntensityFit(
        arrival_rate_per_s=exp(ln_arrival),
        arrival_rate_std_error=exp(ln_arrival) * sqrt((1.0 + mean_distance**2 / distance_variance) / fills),
        decay=decay,
        decay_std_error=1.0 / sqrt(fills * distance_variance),
        correlation=mean_distance / sqrt(distance_variance + mean_distance**2),
        fills=fills,
        distances=len(rows),
        deviance=deviance,
        chi2=sum((row.fills - mu) ** 2 / mu for row, mu in zip(rows, expected, strict=True) if mu > 0.0),
        pseudo_r2=1.0 - deviance / null_deviance if null_deviance > 0.0 else 0.0,
    )


def block_std_error(values: Sequence[float]) -> float:
    """Return the standard error of an estimate from what it becomes without each part of the data in turn.

    It needs no assumption on how counts scatter. NaN for fewer than 8 parts, or when an estimate is not a number.

    Source: Tukey's jackknife, in groups; Kunsch, The jackknife and the bootstrap for general stationary observations,
    Annals of Statistics 17(3), 1989, for parts of a series.
    """
    number = len(values)
    if number < _BLOCKS_MIN or not all(map(isfinite, values)):
        return nan
    mean = sum(values) / number
    return sqrt((number - 1) / number * sum((value - mean) ** 2 for value in values))


def _require_enough(rows: Sequence[DistanceCount], fills: int) -> None:
    if len({row.distance for row in rows}) < 2:
        was = f"only {rows[0].distance:g}" if rows else "none"
        msg = f"distances: expected at least 2 at which orders have rested, was {was}"
        raise DomainError(msg, hint="a decay is a difference between distances: widen the range of the fit")
    if not fills:
        msg = "fills: expected some, was none"
        raise DomainError(msg, hint="a longer recording, or distances closer to the mid")
    for row in (rows[0], rows[-1]):
        if row.fills == fills:
            msg = f"fills: expected some at two distances or more, was all {fills} at {row.distance:g}"
            raise DomainError(msg, hint="a longer recording, or distances closer together")


def _moments(places: Sequence[float], exposures: Sequence[float], slope: float) -> tuple[float, float, float]:
    """Return mean and variance of the place of a fill, and the logarithm of the sum of the weights."""
    highest = max(-slope * place for place in places)
    weights = [time * exp(-slope * place - highest) for place, time in zip(places, exposures, strict=True)]
    total = sum(weights)
    mean = sum(weight * place for weight, place in zip(weights, places, strict=True)) / total
    variance = sum(weight * (place - mean) ** 2 for weight, place in zip(weights, places, strict=True)) / total
    return mean, variance, log(total) + highest


def _slope(places: Sequence[float], exposures: Sequence[float], wanted: float) -> float:
    """Return the slope at which the mean place of a fill, which falls as the slope rises, is the wanted one."""
    low = high = 0.0
    step = 1.0
    while _moments(places, exposures, high)[0] > wanted:
        low, high, step = high, high + step, 2.0 * step
    while _moments(places, exposures, low)[0] < wanted:
        high, low, step = low, low - step, 2.0 * step
    slope = (low + high) / 2.0
    for _ in range(_STEPS_MAX):
        mean, variance, _ln_total = _moments(places, exposures, slope)
        low, high = (slope, high) if mean > wanted else (low, slope)
        tried = slope + (mean - wanted) / variance if variance > 0.0 else low
        tried = tried if low < tried < high else (low + high) / 2.0
        if abs(tried - slope) <= _CONVERGED * (1.0 + abs(slope)):
            return tried
        slope = tried
    return slope


def _deviance(rows: Sequence[DistanceCount], expected: Sequence[float]) -> float:
    deviance = 0.0
    for row, mu in zip(rows, expected, strict=True):
        deviance += mu - row.fills
        if row.fills:
            deviance += row.fills * log(row.fills / max(mu, _MU_MIN))
    return max(0.0, 2.0 * deviance)

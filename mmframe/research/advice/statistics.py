"""What separates a difference from noise: moving-block bootstrap, ranks, and the block that dependence asks for. Pure.

Increments of profit and returns over overlapping horizons depend on their neighbours; blocks keep that dependence, and
an interval that forgot it would be too narrow.
"""

from __future__ import annotations

from itertools import accumulate
from math import cbrt, ceil, isfinite, log10, nan, sqrt
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Interval", "adjusted", "correlation", "fitting_block", "mean_ranks", "rank_correlation", "total"]

_LEVEL = 0.95
_NORMAL = 1.959964
"""The normal quantile of that level."""
_RESAMPLES = 4_000
_UNCORRELATED = 2.0
"""A correlation within so many times sqrt(log10(n) / n) of 0 counts as none."""
_FEWEST = 8
"""With fewer values there is nothing that a block could be chosen by."""


class Interval(NamedTuple):
    """An estimate with its bootstrap interval of 95 %."""

    estimate: float
    low: float
    high: float
    p_value: float
    """How often chance alone goes as far from 0, two-sided; never below 1 / (resamples + 1)."""


def fitting_block(values: Sequence[float]) -> int:
    """Return the length of block that the values' own dependence asks for, 1 to a third of them.

    Source: Politis & White (2004), with the correction of Patton, Politis & White (2009): the rule of the circular
    bootstrap, which is that of moving blocks.
    """
    count = len(values)
    most = max(1, ceil(min(3.0 * sqrt(count), count / 3.0)))
    if count < _FEWEST:
        return most
    mean = sum(values) / count
    centred = [value - mean for value in values]
    run = max(5, int(log10(count)))
    lags = min(ceil(sqrt(count)) + run, count - 1)
    covariances = [sum(a * b for a, b in zip(centred[lag:], centred, strict=False)) / count for lag in range(lags + 1)]
    if not covariances[0] > 0.0:
        return 1
    bound = _UNCORRELATED * sqrt(log10(count) / count) * covariances[0]
    # The last lag that still matters, before a run of lags that do not; one more, to be on the safe side.
    last = next(
        (
            lag
            for lag in range(lags - run + 1)
            if all(abs(covariances[lag + step]) < bound for step in range(1, run + 1))
        ),
        lags,
    )
    width = min(2 * (last + 1), lags)
    weights = [min(1.0, 2.0 * (1.0 - lag / width)) for lag in range(width + 1)]
    slope = 2.0 * sum(weights[lag] * lag * covariances[lag] for lag in range(1, width + 1))
    spectrum = covariances[0] + 2.0 * sum(weights[lag] * covariances[lag] for lag in range(1, width + 1))
    if not spectrum > 0.0:
        return most
    wanted = cbrt(1.5 * slope * slope / (spectrum * spectrum) * count)
    return min(max(1, ceil(wanted)), most)


def total(values: Sequence[float], *, block: int, seed: int, resamples: int = _RESAMPLES) -> Interval:
    """Return the sum of values with the interval of a moving-block bootstrap.

    Args:
        values: Equally spaced in time; of a paired comparison the differences.
        block: How many neighbours stay together.
        seed: Of the chance that draws blocks.
        resamples: How often.

    Raises:
        DomainError: If there are fewer than two blocks, or a value is not finite.
    """
    count = len(values)
    _require(block, count, values)
    sums = list(accumulate(values, initial=0.0))
    full = [sums[start + block] - sums[start] for start in range(count - block + 1)]
    blocks = ceil(count / block)
    rest = count - (blocks - 1) * block
    last = [sums[start + rest] - sums[start] for start in range(count - block + 1)]
    centre = (blocks - 1) * (sum(full) / len(full)) + sum(last) / len(last)
    widening = _widening(count, block)
    chance = Random(seed)  # noqa: S311 - a simulation, never a secret
    deviations = sorted(
        widening * (sum(chance.choices(full, k=blocks - 1)) + chance.choice(last) - centre) for _ in range(resamples)
    )
    return _interval(sums[-1], deviations)


def mean_ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, from 1; equal ones share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end + 1 < len(order) and values[order[end + 1]] == values[order[begin]]:
            end += 1
        for place in range(begin, end + 1):
            ranks[order[place]] = (begin + end) / 2.0 + 1.0
        begin = end + 1
    return ranks


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Pearson's correlation; NaN where one of the two does not vary."""
    count = len(first)
    if not count:
        return nan
    mean_first, mean_second = sum(first) / count, sum(second) / count
    product = sum((a - mean_first) * (b - mean_second) for a, b in zip(first, second, strict=True))
    spread_first = sum((a - mean_first) ** 2 for a in first)
    spread_second = sum((b - mean_second) ** 2 for b in second)
    return product / sqrt(spread_first * spread_second) if spread_first > 0.0 and spread_second > 0.0 else nan


def rank_correlation(
    first: Sequence[float], second: Sequence[float], *, block: int, seed: int, resamples: int = _RESAMPLES
) -> Interval:
    """Return Spearman's rank correlation with the interval of a moving-block bootstrap of pairs.

    Ranks are those of the whole sample, in each resample too. Without variation the estimate is NaN, and so are the
    bounds.

    Args:
        first: In time order.
        second: As many.
        block: How many neighbouring pairs stay together.
        seed: Of the chance that draws blocks.
        resamples: How often.

    Raises:
        DomainError: If there are fewer than two blocks, or a value is not finite.
    """
    count = len(first)
    _require(block, count, (*first, *second))
    middle = (count + 1) / 2.0
    x = [rank - middle for rank in mean_ranks(first)]
    y = [rank - middle for rank in mean_ranks(second)]
    estimate = correlation(x, y)
    if not isfinite(estimate):
        return Interval(nan, nan, nan, 1.0)
    rows = list(
        zip(x, y, [a * b for a, b in zip(x, y, strict=True)], [a * a for a in x], [b * b for b in y], strict=True)
    )
    starts = count - block + 1
    columns = [list(accumulate(column, initial=0.0)) for column in zip(*rows, strict=True)]
    blocks = [tuple(sums[start + block] - sums[start] for sums in columns) for start in range(starts)]
    chance = Random(seed)  # noqa: S311 - as above
    drawn = []
    for _ in range(resamples):
        sx, sy, sxy, sxx, syy = map(sum, zip(*chance.choices(blocks, k=ceil(count / block)), strict=True))
        size = ceil(count / block) * block
        spread = (sxx - sx * sx / size) * (syy - sy * sy / size)
        if spread > 0.0:
            drawn.append((sxy - sx * sy / size) / sqrt(spread))
    if not drawn:
        return Interval(estimate, nan, nan, 1.0)
    centre = sum(drawn) / len(drawn)
    widening = _widening(count, block)
    found = _interval(estimate, sorted(widening * (value - centre) for value in drawn))
    return found._replace(low=max(found.low, -1.0), high=min(found.high, 1.0))


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values as they stand after several looks at once, by Holm's rule.

    Source: Holm (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    found = [1.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, p_values[index] * (len(order) - place)))
        found[index] = highest
    return found


def _require(block: int, count: int, values: Sequence[float]) -> None:
    if not 1 <= block <= count // 2:
        msg = f"block: expected 1 to {count // 2} of {count} values, was {block}"
        raise DomainError(
            msg, hint="fewer than two blocks tell nothing of chance: a longer recording, or shorter blocks"
        )
    if not all(map(isfinite, values)):
        msg = "values: expected finite numbers"
        raise DomainError(msg)


def _widening(count: int, block: int) -> float:
    """Return by how much chance deviations of few blocks are too small.

    Blocks vary around their own mean by too little, and of how much they vary there are only so many witnesses: what
    Student's t is to the normal quantile, by the expansion of Fisher & Cornish (1960).
    """
    freedom = max(count / block - 1.0, 1.0)
    z2 = _NORMAL * _NORMAL
    student = 1.0 + (z2 + 1.0) / (4.0 * freedom) + (5.0 * z2 * z2 + 16.0 * z2 + 3.0) / (96.0 * freedom * freedom)
    return student * sqrt(count / max(count - block, 1))


def _interval(estimate: float, deviations: Sequence[float]) -> Interval:
    """Return the interval of an estimate whose chance deviations are known, sorted: what it may be less by, or more."""
    if deviations[0] == deviations[-1]:
        return Interval(estimate, estimate, estimate, 1.0 if estimate == 0.0 else 1.0 / (len(deviations) + 1))
    tail = (1.0 - _LEVEL) / 2.0
    further = sum(abs(deviation) >= abs(estimate) for deviation in deviations)
    return Interval(
        estimate,
        estimate - _quantile(deviations, 1.0 - tail),
        estimate - _quantile(deviations, tail),
        (further + 1.0) / (len(deviations) + 1.0),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])

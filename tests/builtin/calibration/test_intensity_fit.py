"""The fit of A and k is the one of largest likelihood, and its errors are those that it has."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmframe.builtin.calibration import DistanceCount, block_std_error, fit_intensity
from mmframe.errors import DomainError


def test_two_distances_by_hand():
    """Rates 0.8 and 0.2 a unit apart: k = ln 4, A = 0.8 e^k, and the curve goes through both."""
    fit = fit_intensity([DistanceCount(1.0, 80, 100.0), DistanceCount(2.0, 20, 100.0)])

    assert fit.decay == pytest.approx(math.log(4.0), rel=1e-12)
    assert fit.arrival_rate_per_s == pytest.approx(3.2, rel=1e-12)
    # ln A = 2 ln r1 - ln r2 and k = ln r1 - ln r2, with Var(ln r) = 1 / fills.
    assert fit.decay_std_error == pytest.approx(math.sqrt(1 / 80 + 1 / 20))
    assert fit.arrival_rate_std_error == pytest.approx(3.2 * math.sqrt(4 / 80 + 1 / 20))
    assert fit.correlation == pytest.approx((2 / 80 + 1 / 20) / math.sqrt((4 / 80 + 1 / 20) * (1 / 80 + 1 / 20)))
    assert (fit.deviance, fit.chi2) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert (fit.pseudo_r2, fit.fills, fit.degrees_of_freedom) == pytest.approx((1.0, 100, 0))
    assert math.isnan(fit.dispersion)
    assert fit.rate_per_s(1.5) == pytest.approx(0.4)


def test_goodness_by_hand():
    """Expected 80, 40 and 20 fills against 78, 44 and 18 counted."""
    fit = fit_intensity([DistanceCount(1.0, 78, 40.0), DistanceCount(2.0, 44, 40.0), DistanceCount(3.0, 18, 40.0)])

    # Totals and mean distance agree: 140 fills, and 78 + 88 + 54 = 80 + 80 + 60 = 220.
    assert fit.decay == pytest.approx(math.log(2.0), rel=1e-12)
    assert fit.arrival_rate_per_s == pytest.approx(4.0, rel=1e-12)
    assert fit.chi2 == pytest.approx(4 / 80 + 16 / 40 + 4 / 20)
    assert fit.dispersion == pytest.approx(0.65)
    terms = [(78, 80), (44, 40), (18, 20)]
    assert fit.deviance == pytest.approx(2 * sum(n * math.log(n / mu) for n, mu in terms))
    null = 2 * sum(n * math.log(n / (140 / 3)) for n, _ in terms)
    assert fit.pseudo_r2 == pytest.approx(1.0 - fit.deviance / null)


def ln_likelihood(rows, ln_arrival, decay):
    return math.fsum(
        row.fills * (ln_arrival - decay * row.distance + math.log(row.exposure_s))
        - row.exposure_s * math.exp(ln_arrival - decay * row.distance)
        for row in rows
    )


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.floats(0.01, 1e5)), min_size=2, max_size=12),
    st.floats(0.001, 100.0),
    st.floats(0.0, 3.0),
)
def test_no_other_curve_is_more_likely(counts, spacing, nearest):
    rows = [DistanceCount(spacing * (nearest + place), *count) for place, count in enumerate(counts)]
    fills = sum(row.fills for row in rows)
    assume(fills and fills not in {rows[0].fills, rows[-1].fills})

    fit = fit_intensity(rows)

    best = ln_likelihood(rows, math.log(fit.arrival_rate_per_s), fit.decay)
    for share in (0.01, 1.0):
        # One step along each axis of the ellipse of errors: ln A is the level at the mean distance plus k x mean.
        mean = sum(row.fills * row.distance for row in rows) / fills
        for level, slope in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1)):
            decay = fit.decay + share * slope * fit.decay_std_error
            ln_arrival = math.log(fit.arrival_rate_per_s) + share * (
                slope * fit.decay_std_error * mean + level / math.sqrt(fills)
            )
            assert ln_likelihood(rows, ln_arrival, decay) < best + 1e-9 * abs(best)


def poisson(source, mean):
    """Fills within `mean` mean waiting times."""
    number, waited = -1, 0.0
    while waited < mean:
        waited += source.expovariate(1.0)
        number += 1
    return number


def simulated(source, arrival_rate, decay, exposure_s=400.0):
    distances = [0.5 + place for place in range(8)]
    return [
        DistanceCount(one, poisson(source, exposure_s * arrival_rate * math.exp(-decay * one)), exposure_s)
        for one in distances
    ]


@pytest.mark.parametrize("seed", range(4))
def test_known_parameters_are_found_within_four_standard_errors(seed):
    arrival_rate, decay = 2.0, 0.6

    fit = fit_intensity(simulated(random.Random(seed), arrival_rate, decay, exposure_s=2_000.0))

    assert abs(fit.arrival_rate_per_s - arrival_rate) < 4 * fit.arrival_rate_std_error
    assert abs(fit.decay - decay) < 4 * fit.decay_std_error
    assert fit.decay_std_error < 0.02 * decay
    assert fit.dispersion < 3.0


def test_the_standard_errors_are_the_ones_that_the_estimates_have():
    """Of 300 simulations about 95 % lie within 1.96 standard errors, and the mean is where it should be."""
    arrival_rate, decay, source = 0.5, 0.7, random.Random(2024)
    fits = [fit_intensity(simulated(source, arrival_rate, decay)) for _ in range(300)]

    off_decay = [(fit.decay - decay) / fit.decay_std_error for fit in fits]
    off_rate = [
        (math.log(fit.arrival_rate_per_s / arrival_rate)) * fit.arrival_rate_per_s / fit.arrival_rate_std_error
        for fit in fits
    ]

    for off in (off_decay, off_rate):
        assert 0.91 < sum(abs(one) < 1.96 for one in off) / len(off) < 0.985
        assert abs(sum(off) / len(off)) < 0.25


def test_a_distance_without_fills_counts():
    rows = [DistanceCount(1.0, 90, 100.0), DistanceCount(2.0, 30, 100.0)]
    quiet = [DistanceCount(distance, 0, 1_000.0) for distance in (4.0, 5.0)]

    with_quiet, without = fit_intensity([*rows, *quiet]), fit_intensity(rows)

    assert with_quiet.decay > 1.5 * without.decay
    assert with_quiet.distances == 4
    assert math.isfinite(with_quiet.deviance + with_quiet.chi2)


def test_a_distance_at_which_nothing_rested_does_not_count():
    rows = [DistanceCount(1.0, 90, 100.0), DistanceCount(2.0, 30, 100.0)]

    assert fit_intensity([*rows, DistanceCount(3.0, 0, 0.0)]) == fit_intensity(rows)


def test_a_rate_that_rises_has_a_decay_below_zero():
    assert fit_intensity([DistanceCount(1.0, 20, 100.0), DistanceCount(2.0, 80, 100.0)]).decay < 0.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "distances: expected at least 2 at which orders have rested, was none"),
        ([(0.5, 7, 10.0)], "distances: expected at least 2 at which orders have rested, was only 0.5"),
        ([(0.5, 7, 10.0), (1.5, 0, 0.0)], "distances: expected at least 2 at which orders have rested, was only 0.5"),
        ([(0.5, 0, 10.0), (1.5, 0, 10.0)], "fills: expected some, was none"),
        ([(0.5, 7, 9.0), (1.5, 0, 9.0)], "fills: expected some at two distances or more, was all 7 at 0.5"),
        ([(0.5, 0, 9.0), (1.5, 7, 9.0)], "fills: expected some at two distances or more, was all 7 at 1.5"),
        (
            [(1e5, 100, 9.0), (1e5 + 1.0, 30, 9.0)],
            "distances: expected some near the mid, was 100000 as the nearest: the rate there is out of range",
        ),
    ],
)
def test_counts_that_allow_no_fit_are_refused(rows, message):
    with pytest.raises(DomainError) as caught:
        fit_intensity([DistanceCount(*row) for row in rows])

    assert caught.value.message == message


def test_the_error_over_parts_of_a_mean_is_that_of_the_mean():
    """For a mean of equal parts the jackknife is exact: the standard deviation over the root of the number."""
    parts = [3.0, 5.0, 4.0, 8.0, 1.0, 3.0, 7.0, 9.0]
    without = [(sum(parts) - part) / 7 for part in parts]

    std = math.sqrt(sum((part - 5.0) ** 2 for part in parts) / 7)

    assert block_std_error(without) == pytest.approx(std / math.sqrt(8))


@pytest.mark.parametrize("values", [[1.0] * 7, [1.0] * 8 + [math.nan]], ids=["few parts", "no number"])
def test_the_error_over_parts_is_unknown_when_they_are_few_or_unknown(values):
    assert math.isnan(block_std_error(values))

"""Figures of the bootstrap against arch, SciPy and statsmodels, as they gave them once for the same numbers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.errors import DomainError
from mmframe.research.advice.statistics import (
    adjusted,
    correlation,
    fitting_block,
    mean_ranks,
    rank_correlation,
    total,
)


def autoregressive(phi, count, seed):
    source, value, found = random.Random(seed), 0.0, []
    for _ in range(count):
        value = phi * value + source.gauss(0.0, 1.0)
        found.append(value)
    return found


@pytest.mark.parametrize(("phi", "wanted"), [(0.0, 2), (0.4, 13), (0.8, 33)])
def test_the_block_is_that_of_politis_and_white(phi, wanted):
    # arch.bootstrap.optimal_block_length, column `circular`: 1.46, 12.40, 32.35; here rounded up.
    assert fitting_block(autoregressive(phi, 600, 7)) == wanted


def test_an_interval_is_that_of_a_moving_block_bootstrap():
    found = total(autoregressive(0.4, 600, 7), block=12, seed=1)

    # arch.bootstrap.MovingBlockBootstrap(12): deviations from -88.1 to 85.3; wider here by 3.6 % for few blocks.
    assert found.estimate == pytest.approx(25.920277)
    assert found.estimate - found.low == pytest.approx(85.3 * 1.036, rel=0.06)
    assert found.high - found.estimate == pytest.approx(88.1 * 1.036, rel=0.06)
    assert found.p_value == pytest.approx(0.56, abs=0.05)


def test_intervals_of_dependent_noise_hold_0_about_as_often_as_they_say():
    found = [
        total(values, block=fitting_block(values), seed=seed, resamples=300)
        for seed in range(100)
        for values in [autoregressive(0.3, 200, seed)]
    ]

    assert 88 <= sum(interval.low <= 0.0 <= interval.high for interval in found) <= 99
    # With the dependence forgotten they are too narrow, so the blocks do something.
    forgetful = [total(autoregressive(0.6, 200, seed), block=1, seed=seed, resamples=300) for seed in range(100)]
    assert sum(interval.low <= 0.0 <= interval.high for interval in forgetful) < 80


@given(st.lists(st.floats(-100.0, 100.0), min_size=4, max_size=60), st.floats(0.5, 8.0), st.integers(0, 5))
def test_an_interval_scales_with_its_values(values, factor, seed):
    found = total(values, block=2, seed=seed, resamples=50)
    scaled = total([factor * value for value in values], block=2, seed=seed, resamples=50)

    assert found.estimate == pytest.approx(sum(values), abs=1e-9)
    assert scaled.low == pytest.approx(factor * found.low, abs=1e-6)
    assert scaled.high == pytest.approx(factor * found.high, abs=1e-6)


def test_no_difference_is_no_difference():
    assert total([0.0] * 30, block=3, seed=0) == (0.0, 0.0, 0.0, 1.0)


def test_fewer_than_two_blocks_are_refused():
    with pytest.raises(DomainError) as refused:
        total([1.0] * 9, block=5, seed=0)

    assert refused.value.message == "block: expected 1 to 4 of 9 values, was 5"


def test_ranks_share_their_mean_where_values_are_equal():
    assert mean_ranks([10.0, 20.0, 20.0, 5.0]) == [2.0, 3.5, 3.5, 1.0]


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        # scipy.stats.spearmanr
        ([1, 2, 3, 4, 5], [5, 6, 7, 8, 7], 0.8207826816681233),
        ([1, 1, 2, 3, 3, 3, 4], [2, 1, 1, 5, 4, 4, 3], 0.657411243046284),
    ],
)
def test_a_rank_correlation_is_spearmans(first, second, wanted):
    assert correlation(mean_ranks(first), mean_ranks(second)) == pytest.approx(wanted)
    assert rank_correlation(first, second, block=1, seed=0, resamples=20).estimate == pytest.approx(wanted)


def test_a_rank_correlation_of_noise_holds_0_and_one_of_a_signal_does_not():
    source = random.Random(3)
    signal = [source.gauss(0.0, 1.0) for _ in range(300)]
    noise = [source.gauss(0.0, 1.0) for _ in range(300)]
    mixed = [value + 2.0 * other for value, other in zip(signal, noise, strict=True)]

    unrelated = rank_correlation(signal, noise, block=5, seed=0, resamples=500)
    related = rank_correlation(signal, mixed, block=5, seed=0, resamples=500)

    assert unrelated.low < 0.0 < unrelated.high
    assert 0.0 < related.low < related.estimate < related.high
    assert related.p_value < 0.01


def test_what_does_not_vary_has_no_rank_correlation():
    found = rank_correlation([1.0] * 10, list(map(float, range(10))), block=2, seed=0)

    assert found.estimate != found.estimate
    assert found.p_value == 1.0


def test_several_looks_are_allowed_for_by_holms_rule():
    # statsmodels.stats.multitest.multipletests(method="holm")
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

"""Realised and two-scale volatility equal their definitions, summed over samples taken from the whole path."""

import math
import random
from itertools import accumulate, pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.signals.ewma_volatility import EWMA_VOLATILITY
from mmframe.builtin.signals.realised_volatility import (
    REALISED_VOLATILITY,
    TWO_SCALE_VOLATILITY,
    RealisedVolatilityOptions,
    TwoScaleVolatilityOptions,
)
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component

SECOND_NS = 1_000_000_000
START_S = START_NS // SECOND_NS


def tick(now_ns, mid):
    return BookTick(now_ns, mid - 0.01, 1.0, mid + 0.01, 1.0, mid)


def value(spec, options, path, read_ns):
    """Path: `(nanoseconds, mid)`; a touch at the very end of a sample interval comes after the sample."""
    each = build_component(spec, options)
    for now_ns, mid in path:
        each.on_touch(tick(now_ns, mid))
    return each.read(read_ns, tick(read_ns, path[-1][1]))


def samples_of(path, read_ns, interval_ns, count):
    """The mid in force just before each whole multiple of the interval, by looking through the whole path."""
    taken = [
        [mid for at_ns, mid in path if at_ns < number * interval_ns][-1]
        for number in range(path[0][0] // interval_ns + 1, read_ns // interval_ns + 1)
    ]
    return taken[-count:]


def realised(samples, lag, interval_s):
    moves = [late - early for early, late in zip(samples, samples[lag:], strict=False)]
    return math.sqrt(math.fsum(move * move for move in moves) / len(moves) / (lag * interval_s))


def two_scale(samples, lag, interval_s):
    count = len(samples) - 1
    mean_count = (count - lag + 1) / lag
    slow = math.fsum((late - early) ** 2 for early, late in zip(samples, samples[lag:], strict=False)) / lag
    fast = math.fsum((late - early) ** 2 for early, late in pairwise(samples))
    variance = (slow - mean_count / count * fast) / (mean_count * (lag - 1))
    return math.sqrt(max(0.0, variance) / interval_s)


def each_second(mids):
    """The mid that each second ends with; the last one is sampled by a read a second later."""
    return [(START_NS + second * SECOND_NS + SECOND_NS // 2, mid) for second, mid in enumerate(mids)]


def test_moves_over_the_horizon_are_averaged():
    path = each_second([100.00, 100.02, 100.00, 100.04])
    read_ns = START_NS + 4 * SECOND_NS

    def over(horizon_s):
        options = RealisedVolatilityOptions(horizon_s=horizon_s, warm_up_s=0.0)
        return value(REALISED_VOLATILITY, options, path, read_ns)

    assert over(2.0) == pytest.approx(0.01)
    assert over(1.0) == pytest.approx(math.sqrt(0.0024 / 3.0))


def test_pure_noise_has_no_two_scale_volatility():
    path = each_second([100.0, 101.0, 100.0, 101.0, 100.0])
    options = TwoScaleVolatilityOptions(slow_s=2.0, warm_up_s=0.0)

    assert value(TWO_SCALE_VOLATILITY, options, path, START_NS + 5 * SECOND_NS) == 0.0


def test_the_two_scales_by_hand():
    path = each_second([100.0, 101.0, 103.0, 103.0, 104.0])
    options = TwoScaleVolatilityOptions(slow_s=2.0, warm_up_s=0.0)

    was = value(TWO_SCALE_VOLATILITY, options, path, START_NS + 5 * SECOND_NS)

    # Moves 1, 2, 0, 1: F = 6. Over two seconds 3, 2, 1: S = 14 / 2 = 7. n = 4, a = 1.5.
    assert was == pytest.approx(math.sqrt((7.0 - 0.375 * 6.0) / 1.5))


@pytest.mark.parametrize(("moves", "lag"), [(4, 2), (5, 4), (6, 6), (9, 3), (10, 10)])
@pytest.mark.parametrize("waits", [False, True], ids=["on-touch", "on-read"])
def test_the_mean_of_the_two_scales_over_every_walk_is_the_variance_of_its_steps(moves, lag, waits):
    # All walks of steps of one, so nothing is left to chance; F is n in each. What the floor of 0 adds is taken off.
    options = TwoScaleVolatilityOptions(slow_s=float(lag), window_s=float(moves), warm_up_s=0.0)
    share = (moves - lag + 1) / (lag * moves)
    squares = []
    for walk in product((-1.0, 1.0), repeat=moves):
        mids = list(accumulate(walk, initial=1_000.0))
        path = each_second(mids if waits else [*mids, mids[-1]])
        read_ns = path[-1][0] + (SECOND_NS if waits else 0)
        was = value(TWO_SCALE_VOLATILITY, options, path, read_ns) ** 2
        slow = math.fsum((late - early) ** 2 for early, late in zip(mids, mids[lag:], strict=False)) / lag
        floored = min(0.0, slow - share * moves) / (share * moves * (lag - 1))
        squares.append(was + floored)

    assert math.fsum(squares) / len(squares) == pytest.approx(1.0)


steps = st.lists(
    st.tuples(st.sampled_from((0, 1, 300_000_000, SECOND_NS, 2_500_000_000, 40 * SECOND_NS)), st.integers(-5, 5)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100)
@given(steps, st.integers(2, 4), st.integers(4, 12), st.sampled_from((0, 1, SECOND_NS, 3 * SECOND_NS, 30 * SECOND_NS)))
@pytest.mark.parametrize("spec", [REALISED_VOLATILITY, TWO_SCALE_VOLATILITY], ids=lambda spec: spec.name)
def test_it_equals_the_definition_on_irregular_times(spec, steps, lag, window, wait_ns):
    now_ns, mid, path = START_NS, 100.0, []
    for step_ns, move in steps:
        now_ns, mid = now_ns + step_ns, mid + move * 0.01
        path.append((now_ns, mid))
    read_ns = now_ns + wait_ns
    scale = "horizon_s" if spec is REALISED_VOLATILITY else "slow_s"
    options = spec.options(**{scale: float(lag)}, window_s=float(window), warm_up_s=0.0)
    samples = samples_of(path, read_ns, SECOND_NS, window + 1)

    was = value(spec, options, path, read_ns)

    if len(samples) <= lag:
        assert math.isnan(was)
    else:
        reference = realised if spec is REALISED_VOLATILITY else two_scale
        # Squares of moves: what is left of a difference of equal squares is up to 1e-9 of a move.
        assert was == pytest.approx(reference(samples, lag, 1.0), rel=1e-6, abs=1e-8)


def noisy_walk(sigma, noise, seconds, seed):
    source, price, path = random.Random(seed), 1_000.0, []
    for second in range(seconds):
        price += source.gauss(0.0, sigma)
        path.append((START_NS + second * SECOND_NS + 1, price + source.gauss(0.0, noise)))
    return path


def test_two_scales_find_the_volatility_behind_the_noise_that_one_scale_adds_up():
    path = noisy_walk(sigma=0.02, noise=0.03, seconds=6_000, seed=7)
    fine = RealisedVolatilityOptions(horizon_s=1.0, window_s=300.0)
    two = TwoScaleVolatilityOptions(slow_s=20.0, window_s=300.0)

    def mean_square(spec, options):
        each = build_component(spec, options)
        squares = []
        for now_ns, mid in path:
            each.on_touch(tick(now_ns, mid))
            if (now_ns // SECOND_NS - START_S) % 300 == 299:
                squares.append(each.read(now_ns, tick(now_ns, mid)) ** 2)
        return math.sqrt(math.fsum(squares) / len(squares))

    assert mean_square(REALISED_VOLATILITY, fine) == pytest.approx(math.sqrt(0.02**2 + 2 * 0.03**2), rel=0.05)
    assert mean_square(TWO_SCALE_VOLATILITY, two) == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("spec", [REALISED_VOLATILITY, TWO_SCALE_VOLATILITY], ids=lambda spec: spec.name)
def test_nothing_is_left_of_a_crash_two_windows_later(spec):
    crash = [61_602.01 + 0.01 * (second % 3) - (20_000.03 if second == 50 else 0.0) for second in range(100)]
    path = each_second([*crash, *[61_602.01 + 1e-6 * (second % 2) for second in range(200)], *[61_602.01] * 300])
    # A touch each second, so that nothing is summed at the read.
    assert value(spec, spec.options(window_s=150.0), path, path[-1][0]) == 0.0


def test_it_agrees_with_the_exponential_volatility_on_a_steady_market():
    path = [(START_NS + second * SECOND_NS + 1, 100.0 + 0.02 * (second % 2)) for second in range(600)]
    read_ns = path[-1][0]

    exponential = value(EWMA_VOLATILITY, None, path, read_ns)
    assert value(REALISED_VOLATILITY, RealisedVolatilityOptions(horizon_s=1.0), path, read_ns) == pytest.approx(
        exponential, rel=1e-3
    )


def test_units_are_conversions_of_the_same_value():
    path = each_second([100.0, 100.02, 100.0, 100.04, 100.0])
    read_ns = START_NS + 5 * SECOND_NS

    def told_in(unit):
        options = RealisedVolatilityOptions(horizon_s=1.0, warm_up_s=0.0, unit=unit)
        return value(REALISED_VOLATILITY, options, path, read_ns)

    quote = told_in("quote-per-sqrt-s")
    assert told_in("bps-per-sqrt-s") == pytest.approx(quote / 100.0 * 10_000.0)
    assert told_in("annual-percent") == pytest.approx(quote / 100.0 * 100.0 * math.sqrt(365.25 * 86_400.0))


def test_there_is_no_value_before_the_warm_up():
    each = build_component(REALISED_VOLATILITY, RealisedVolatilityOptions(horizon_s=5.0, warm_up_s=8.0))
    assert math.isnan(each.read(START_NS, tick(START_NS, 100.0)))
    each.on_touch(tick(START_NS + 1, 100.0))

    # The first sample is at second 1, the eighth move ends at second 9.
    assert math.isnan(each.read(START_NS + 9 * SECOND_NS - 1, tick(0, 100.0)))
    assert each.read(START_NS + 9 * SECOND_NS, tick(0, 100.0)) == 0.0


@pytest.mark.parametrize(
    ("spec", "values", "message"),
    [
        pytest.param(
            REALISED_VOLATILITY,
            {"horizon_s": 60.0, "window_s": 30.0},
            "window_s: expected at least horizon_s = 60, was 30",
            id="window shorter than the horizon",
        ),
        pytest.param(
            REALISED_VOLATILITY,
            {"window_s": 3_600.0},
            "window_s: expected fewer than 1000 samples in the window, was 3600",
            id="too many samples",
        ),
        pytest.param(
            TWO_SCALE_VOLATILITY,
            {"slow_s": 1.0},
            "slow_s: expected at least 2 sample intervals of 1000 ms, was 1.0 s",
            id="one scale",
        ),
    ],
)
def test_options_that_do_not_fit_together_are_refused(spec, values, message):
    with pytest.raises(DomainError) as caught:
        build_component(spec, spec.options(**values))

    assert caught.value.message == message

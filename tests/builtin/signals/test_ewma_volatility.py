"""The volatility is the root of a time-weighted mean of squared changes a second, however irregular the data is."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.signals.ewma_volatility import EWMA_VOLATILITY, EwmaVolatilityOptions
from mmframe.domain.views import BookTick
from mmframe.testing import START_NS, build_component

SECOND_NS = 1_000_000_000


def tick(now_ns, mid):
    return BookTick(now_ns, mid - 0.01, 1.0, mid + 0.01, 1.0, mid)


def signal(**options):
    return build_component(EWMA_VOLATILITY, EwmaVolatilityOptions(**options))


def feed(each, path):
    for now_ns, mid in path:
        each.on_touch(tick(now_ns, mid))


def reference(path, read_ns, *, half_life_s, interval_ns):
    """The definition, summed over all intervals at once instead of step by step."""
    intervals, (start_ns, start_mid), mid = [], path[0], path[0][1]
    for now_ns, new_mid in [*path[1:], (read_ns, None)]:
        if now_ns - start_ns >= interval_ns:
            intervals.append((start_ns, now_ns, mid - start_mid))
            start_ns, start_mid = now_ns, mid
        mid = new_mid
    tau = half_life_s / math.log(2)
    end_ns = start_ns

    def kernel(from_ns, to_ns):  # integral of e^(-age / tau) / tau over the interval
        old, young = (end_ns - from_ns) / 1e9, (end_ns - to_ns) / 1e9
        return math.exp(-young / tau) - math.exp(-old / tau)

    weight = math.fsum(kernel(a, b) for a, b, _ in intervals)
    total = math.fsum(
        kernel(a, b) * d * d / ((b - a) / 1e9) if b > a else d * d / tau * math.exp(-(end_ns - b) / 1e9 / tau)
        for a, b, d in intervals
    )
    return math.sqrt(total / weight) if weight else math.nan


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((0, 1_024, 5_000_192, SECOND_NS, 30 * SECOND_NS, 7_200 * SECOND_NS)), st.integers(-5, 5)
        ),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from((0, 200, 1_000)),
    st.sampled_from((0, 512, 3 * SECOND_NS)),
)
def test_it_equals_the_definition_on_irregular_times(steps, interval_ms, wait_ns):
    # Multiples of 256 ns: the times that a float holds exactly.
    now_ns, mid, path = START_NS // 256 * 256, 100.0, []
    for step_ns, move in steps:
        now_ns, mid = now_ns + step_ns // 256 * 256, mid + move * 0.01
        path.append((now_ns, mid))
    each = signal(sample_interval_ms=interval_ms, warm_up_s=0.0, half_life_s=20.0)
    feed(each, path)

    value = each.read(now_ns + wait_ns, tick(now_ns, mid))

    expected = reference(path, now_ns + wait_ns, half_life_s=20.0, interval_ns=interval_ms * 1e6)
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-12, nan_ok=True)


def test_the_example_of_its_description_holds():
    each = signal()
    feed(each, [(START_NS + second * SECOND_NS, 100.0 + 0.02 * (second % 2)) for second in range(2_000)])

    assert each.read(START_NS + 2_000 * SECOND_NS, tick(0, 100.0)) == pytest.approx(0.02, rel=1e-6)


@pytest.mark.parametrize("steps_per_s", [1, 20])
def test_a_random_walk_is_measured_alike_at_any_rate_of_data(steps_per_s):
    source, sigma, mid, path = random.Random(7), 0.05, 1_000.0, []
    for index in range(4_000 * steps_per_s):
        mid += source.gauss(0.0, sigma / math.sqrt(steps_per_s))
        path.append((START_NS + index * SECOND_NS // steps_per_s, mid))
    each = signal(half_life_s=1_200.0, sample_interval_ms=0)
    feed(each, path)

    assert each.read(path[-1][0], tick(0, mid)) == pytest.approx(sigma, rel=0.08)


def test_a_flicker_shorter_than_the_interval_adds_nothing():
    each = signal(warm_up_s=0.0)
    path = []
    for second in range(60):
        path += [(START_NS + second * SECOND_NS, 100.02), (START_NS + second * SECOND_NS + 1_000_000, 100.0)]
    feed(each, [(START_NS - SECOND_NS, 100.0), *path])

    assert each.read(START_NS + 60 * SECOND_NS, tick(0, 100.0)) == 0.0


def test_it_is_not_known_before_the_first_touch_and_during_warm_up():
    each = signal(warm_up_s=10.0)

    assert math.isnan(each.read(START_NS, tick(START_NS, 100.0)))
    feed(each, [(START_NS, 100.0), (START_NS + 5 * SECOND_NS, 101.0)])
    assert math.isnan(each.read(START_NS + 10 * SECOND_NS - 1_000, tick(0, 101.0)))
    assert each.read(START_NS + 10 * SECOND_NS, tick(0, 101.0)) > 0.0


def test_time_without_a_change_lowers_it():
    each = signal()
    feed(each, [(START_NS + second * SECOND_NS, 100.0 + second % 2) for second in range(1_200)])
    end_ns = START_NS + 1_200 * SECOND_NS

    later = [each.read(end_ns + minutes * 60 * SECOND_NS, tick(0, 101.0)) for minutes in range(1, 6)]

    assert later == sorted(later, reverse=True)
    assert later[0] / later[1] == pytest.approx(math.sqrt(2.0), rel=0.01)


@pytest.mark.parametrize(
    ("unit", "expected"), [("quote-per-sqrt-s", 0.02), ("bps-per-sqrt-s", 2.0), ("annual-percent", 112.35)]
)
def test_the_example_of_its_description_holds_in_each_unit(unit, expected):
    each = signal(unit=unit, half_life_s=5.0)
    feed(each, [(START_NS + step * SECOND_NS, 100.0 + 0.02 * (step % 2)) for step in range(301)])

    assert each.read(START_NS + 300 * SECOND_NS, tick(START_NS, 100.0)) == pytest.approx(expected, rel=5e-5)

"""`drift` is the time-weighted mean of the changes of the mid, however irregular the data is."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.signals.drift import DRIFT, DriftOptions
from mmframe.domain.views import BookTick
from mmframe.testing import START_NS, build_component

SECOND_NS = 1_000_000_000
BEGIN_NS = START_NS // 256 * 256


def tick(now_ns, mid):
    return BookTick(now_ns, mid - 0.01, 1.0, mid + 0.01, 1.0, mid)


def drift(path, read_ns, **options):
    signal = build_component(DRIFT, DriftOptions(**options))
    for now_ns, mid in path:
        signal.on_touch(tick(now_ns, mid))
    return signal.read(read_ns, tick(*path[-1]) if path else tick(read_ns, 100.0))


def test_the_example_of_its_description_holds():
    path = [(START_NS, 100.0), (START_NS + 50 * SECOND_NS, 101.0)]

    was = drift(path, START_NS + 100 * SECOND_NS, half_life_s=100.0 * math.log(2.0))

    assert was == pytest.approx(0.0095952, abs=5e-8)


def test_a_steady_move_is_its_own_drift_from_the_start_on():
    path = [(START_NS + step * SECOND_NS // 10, 100.0 - 0.001 * step) for step in range(2_000)]

    for count in (700, 2_000):
        assert drift(path[:count], path[count - 1][0], half_life_s=60.0) == pytest.approx(-0.01, rel=2e-3)


def test_a_flicker_at_one_instant_adds_nothing():
    path = [(START_NS, 100.0), (START_NS + SECOND_NS, 101.0), (START_NS + SECOND_NS, 100.0)]

    assert drift(path, START_NS + 2 * SECOND_NS, warm_up_s=1.0) == 0.0


@pytest.mark.parametrize("elapsed_ns", [-SECOND_NS, 0, 60 * SECOND_NS - 512])
def test_there_is_no_value_before_the_warm_up(elapsed_ns):
    assert math.isnan(drift([(START_NS, 100.0)], START_NS + elapsed_ns))
    assert math.isnan(drift([], START_NS))


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from((0, 1_024, SECOND_NS, 7_200 * SECOND_NS)), st.integers(-5, 5)), max_size=30),
    st.sampled_from((0, SECOND_NS, 3_600 * SECOND_NS)),
)
def test_it_is_the_weighted_sum_of_all_changes(steps, wait_ns):
    path = [(BEGIN_NS, 100.0)]
    for step_ns, change in steps:
        path.append((path[-1][0] + step_ns, path[-1][1] + change * 0.01))
    read_ns = path[-1][0] + wait_ns + 10 * SECOND_NS

    was = drift(path, read_ns, half_life_s=30.0, warm_up_s=10.0)

    tau = 30.0 / math.log(2.0)
    total = math.fsum(
        (after - before) * math.exp(-(read_ns - at_ns) / 1e9 / tau) / tau
        for (_, before), (at_ns, after) in pairwise(path)
    )
    assert was == pytest.approx(total / (1.0 - math.exp(-(read_ns - BEGIN_NS) / 1e9 / tau)), abs=1e-9)

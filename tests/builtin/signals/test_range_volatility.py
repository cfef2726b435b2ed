"""The volatilities from bars equal their formulas on bars cut from the whole path."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.signals.range_volatility import (
    GARMAN_KLASS,
    PARKINSON,
    ROGERS_SATCHELL,
    RangeVolatilityOptions,
)
from mmframe.domain.views import BookTick
from mmframe.testing import START_NS, build_component

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
START_BAR_NS = START_NS // MINUTE_NS * MINUTE_NS
SPECS = [PARKINSON, GARMAN_KLASS, ROGERS_SATCHELL]
LN_2 = math.log(2.0)

VARIANCES = {
    "parkinson": lambda opening, high, low, close: (high - low) ** 2 / (4.0 * LN_2),
    "garman-klass": lambda opening, high, low, close: (
        0.5 * (high - low) ** 2 - (2.0 * LN_2 - 1.0) * (close - opening) ** 2
    ),
    "rogers-satchell": lambda opening, high, low, close: (
        (high - opening) * (high - close) + (low - opening) * (low - close)
    ),
}


def tick(now_ns, mid):
    return BookTick(now_ns, mid - 0.01, 1.0, mid + 0.01, 1.0, mid)


def fed(spec, path, **options):
    each = build_component(spec, RangeVolatilityOptions(**options))
    for now_ns, mid in path:
        each.on_touch(tick(now_ns, mid))
    return each


def bars_of(path, read_ns, bar_ns):
    """Open, high, low and close of each bar seen from its beginning to its end, by looking through the whole path."""
    bars = []
    for number in range(path[0][0] // bar_ns + 1, read_ns // bar_ns):
        start_ns, end_ns = number * bar_ns, (number + 1) * bar_ns
        opening = [mid for at_ns, mid in path if at_ns < start_ns][-1]
        mids = [opening, *(mid for at_ns, mid in path if start_ns <= at_ns < end_ns)]
        bars.append((opening, max(mids), min(mids), mids[-1]))
    return bars


@pytest.mark.parametrize(
    ("spec", "close", "value"),
    [
        pytest.param(PARKINSON, 100.05, math.sqrt(0.04 / (4.0 * LN_2) / 60.0), id="parkinson"),
        pytest.param(GARMAN_KLASS, 100.05, 0.017810, id="garman-klass"),
        pytest.param(ROGERS_SATCHELL, 100.05, math.sqrt(0.02 / 60.0), id="rogers-satchell"),
    ],
)
def test_one_bar_by_hand(spec, close, value):
    path = [(START_BAR_NS - 1, 100.0)]
    path += [(START_BAR_NS + number, mid) for number, mid in enumerate((100.1, 99.9, close))]

    each = fed(spec, path, warm_up_bars=1)

    assert math.isnan(each.read(START_BAR_NS + MINUTE_NS - 1, tick(0, close)))
    assert each.read(START_BAR_NS + MINUTE_NS, tick(0, close)) == pytest.approx(value, rel=1e-4)


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from((0, 1, 20, 60, 61, 200, 1_000)), st.integers(-9, 9)),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from((0, 59, 60, 150, 700)),
)
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_it_equals_the_formula_on_the_bars_of_the_path(spec, steps, count, warm_up, wait_s):
    now_ns, mid, path = START_NS, 100.0, []
    for step_s, move in steps:
        now_ns, mid = now_ns + step_s * SECOND_NS, mid + move * 0.01
        path.append((now_ns, mid))
    read_ns = now_ns + wait_s * SECOND_NS
    bars = bars_of(path, read_ns, MINUTE_NS)[-count:]

    value = fed(spec, path, bars=count, warm_up_bars=warm_up).read(read_ns, tick(read_ns, mid))

    if len(bars) < min(count, warm_up):
        assert math.isnan(value)
    else:
        variance = math.fsum(VARIANCES[spec.name](*bar) for bar in bars) / len(bars) / 60.0
        assert value == pytest.approx(math.sqrt(max(0.0, variance)), rel=1e-6, abs=1e-7)


def walk(drift, sigma, bars, seed):
    source, mid, path = random.Random(seed), 10_000.0, []
    for step in range(bars * 600):
        mid += source.gauss(drift, sigma * math.sqrt(0.1))
        path.append((START_BAR_NS + step * SECOND_NS // 10, mid))
    return path


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_it_finds_the_volatility_of_a_random_walk(spec):
    path = walk(0.0, 0.5, 60, seed=3)

    value = fed(spec, path, bars=58).read(path[-1][0], tick(0, path[-1][1]))

    # Steps of a tenth of a second hide a little of the range: the estimate is low by some per cent.
    assert value == pytest.approx(0.5, rel=0.12)


def test_only_rogers_satchell_is_not_raised_by_a_trend():
    path = walk(0.02, 0.5, 60, seed=4)
    values = {spec.name: fed(spec, path, bars=58).read(path[-1][0], tick(0, path[-1][1])) for spec in SPECS}

    assert values["rogers-satchell"] == pytest.approx(0.5, rel=0.12)
    assert values["parkinson"] > values["garman-klass"] > 0.6


def test_units_are_conversions_of_the_same_value():
    path = [(START_BAR_NS - 1, 100.0), (START_BAR_NS, 100.1), (START_BAR_NS + 1, 100.0)]

    def told_in(unit):
        each = fed(PARKINSON, path, warm_up_bars=1, unit=unit)
        return each.read(START_BAR_NS + MINUTE_NS, tick(0, 100.0))

    quote = told_in("quote-per-sqrt-s")
    assert told_in("bps-per-sqrt-s") == pytest.approx(quote * 100.0)
    assert told_in("annual-percent") == pytest.approx(quote * math.sqrt(365.25 * 86_400.0))

"""Flags and regimes turn on and off where their descriptions say, and do not flicker in between."""

import math
import random
from array import array
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.signals.manipulation import MANIPULATION, SPIKE_FLAG, ManipulationOptions, SpikeFlagOptions
from mmframe.builtin.signals.regime import (
    LIQUIDITY_REGIME,
    MARKET_CONDITION,
    LiquidityRegimeOptions,
    MarketConditionOptions,
)
from mmframe.builtin.signals.spike import SPIKE, SpikeOptions
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component

SECOND_NS = 1_000_000_000
STABLE, VOLATILE, UP, DOWN, LOW_LIQUIDITY = 0.0, 1.0, 2.0, 3.0, 4.0


def at(now_ns, mid, spread=0.02, size=5.0):
    return BookTick(now_ns, mid - spread / 2.0, size, mid + spread / 2.0, size, mid)


def set_levels(book, bids, asks):
    book.clear()
    rows = [(side, *level) for side, levels in ((0, bids), (1, asks)) for level in levels]
    columns = [array(code, column) for code, column in zip("bqq", zip(*rows, strict=True), strict=True)]
    book.apply(*columns, 0, len(rows))


# --- spike-flag ---


def test_a_spike_of_its_own_example_is_held():
    flag = build_component(SPIKE_FLAG)
    values = []
    for offset_ms, mid in ((0, 100.0), (700, 102.5), (1_400, 100.0)):
        flag.on_touch(at(START_NS + offset_ms * 1_000_000, mid))
        values.append(flag.read(START_NS + offset_ms * 1_000_000, at(0, mid)))

    assert values == [0.0, 1.0, 1.0]
    assert flag.read(START_NS + 11_400 * 1_000_000 - 1_000, at(0, 100.0)) == 1.0
    assert flag.read(START_NS + 11_400 * 1_000_000 + 1_000, at(0, 100.0)) == 0.0


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(-30, 30)), min_size=1, max_size=40), st.integers(0, 20_000)
)
def test_the_flag_is_set_while_the_last_spike_beyond_the_limit_is_held(steps, wait_ms):
    flag = build_component(SPIKE_FLAG, SpikeFlagOptions(range_bps=250.0, hold_s=5.0))
    spike = build_component(SPIKE, SpikeOptions())
    now_ms, spiked_ms, mid = START_NS // 1_000_000, -math.inf, 1_000.0
    for step_ms, move in steps:
        now_ms, mid = now_ms + step_ms, mid + move
        tick = at(now_ms * 1_000_000, mid)
        flag.on_touch(tick)
        spike.on_touch(tick)
        if spike.read(tick.now_ns, tick) > 250.0:
            spiked_ms = now_ms
    now_ms += wait_ms

    if abs(now_ms - spiked_ms - 5_000) > 1:  # times are floats in a rule, exact to 256 ns
        assert flag.read(now_ms * 1_000_000, at(0, mid)) == float(now_ms - spiked_ms <= 5_000)


# --- manipulation ---


@pytest.fixture
def book():
    """10 levels of 5 a side around 100.00, on a tick of 0.01 and a lot of 0.001; and 100 more 5 % away."""
    made = SortedBook()
    set_levels(made, *even_levels())
    return made


def even_levels(bid_lots=5_000, ask_lots=5_000):
    bids = [(9_999 - step, bid_lots) for step in range(10)]
    asks = [(10_001 + step, ask_lots) for step in range(10)]
    return [*bids, (9_500, 100_000)], [*asks, (10_500, 100_000)]


def looked_at(book, books, **options):
    """The value after each of these books, 250 ms apart; each a pair of bids and asks."""
    each = build_component(MANIPULATION, ManipulationOptions(**options), book=book)
    values = []
    for number, levels in enumerate(books):
        set_levels(book, *levels)
        now_ns = START_NS + number * SECOND_NS // 4
        each.on_touch(at(now_ns, 100.0))
        values.append(each.read(now_ns, at(now_ns, 100.0)))
    return values


def test_a_book_lopsided_for_three_looks_sets_the_flag(book):
    lopsided, even = even_levels(bid_lots=9_500, ask_lots=500), even_levels()
    options = {"impact_notional_quote": Decimal(100)}

    assert looked_at(book, [lopsided] * 3, **options) == [0.0, 0.0, 1.0]
    assert looked_at(book, [lopsided, lopsided, even, lopsided, lopsided], **options) == [0.0] * 5
    assert looked_at(book, [lopsided] * 3 + [even] * 42, **options) == [0.0, 0.0] + [1.0] * 41 + [0.0] * 2


@pytest.mark.parametrize(
    ("notional", "value"),
    [
        pytest.param("4999", 0.0, id="less than the 50 within 2 %"),
        pytest.param("5000", 1.0, id="all of the 50 within 2 %"),
    ],
)
def test_a_book_too_thin_for_the_notional_sets_the_flag(book, notional, value):
    options = {"impact_notional_quote": Decimal(notional), "looks": 1}

    assert looked_at(book, [even_levels()], **options) == [value]


def impact_bps(levels, lots):
    """How far taking `lots` moves the best price of a side, level by level."""
    best = levels[0][0]
    for ticks, level_lots in levels:
        if lots < level_lots:
            return abs(ticks - best) / best * 10_000.0
        lots -= level_lots
    return math.inf


@settings(max_examples=100)
@given(st.integers(0, 10**6), st.floats(1.0, 3_000.0), st.floats(0.2, 0.9))
def test_the_flag_agrees_with_walking_the_book(seed, notional, limit):
    source, book = random.Random(seed), SortedBook()

    def side(best, direction):
        steps = sorted(source.sample(range(1, 400), 8))
        return [(best + direction * step, source.randint(1, 4_000)) for step in steps]

    bids, asks = side(10_000, -1), side(10_000, 1)
    set_levels(book, bids, asks)
    notional = Decimal(round(notional))
    options = ManipulationOptions(imbalance=limit, impact_notional_quote=notional, levels=5, looks=1)
    each = build_component(MANIPULATION, options, book=book)

    each.on_touch(at(START_NS, 100.0))

    bid_lots, ask_lots = (sum(lots for _, lots in levels[:5]) for levels in (bids, asks))
    is_lopsided = abs(bid_lots - ask_lots) / (bid_lots + ask_lots) > limit
    mid = (bids[0][0] + asks[0][0]) / 2.0 * 0.01
    is_thin = any(impact_bps(levels, float(notional) / mid / 0.001) > 200.0 for levels in (bids, asks))
    assert each.read(START_NS, at(START_NS, 100.0)) == float(is_lopsided or is_thin)


# --- liquidity-regime ---


def regime_of(path, read_ns=None, **options):
    """Path: `(nanoseconds, spread, size of each side)`; the value after each."""
    lives = {"half_life_s": 5.0, "usual_half_life_s": 600.0}
    each = build_component(LIQUIDITY_REGIME, LiquidityRegimeOptions(**lives, **options))
    values = []
    for now_ns, spread, size in path:
        each.on_touch(at(now_ns, 100.0, spread, size))
        values.append(each.read(now_ns, at(0, 100.0)))
    return values if read_ns is None else each.read(read_ns, at(0, 100.0))


def test_a_wide_and_thin_touch_turns_the_regime_low_and_back():
    seconds = [(0.02, 5.0)] * 100 + [(0.04, 2.0)] * 30 + [(0.02, 5.0)] * 60
    path = [(START_NS + second * SECOND_NS, *touch) for second, touch in enumerate(seconds)]

    values = regime_of(path)

    assert all(math.isnan(value) for value in values[:60])
    assert set(values[60:100]) == {1.0}
    assert values[129] == 0.0
    assert values[-1] == 1.0
    assert sum(a != b for a, b in pairwise(values[60:])) == 2


def mean_over_time(path, now_ns, half_life_s):
    """Path: `(nanoseconds, value)`, each in force until the next; the first stands for all time before."""
    mean, ends = path[0][1] * 0.5 ** ((now_ns - path[0][0]) / 1e9 / half_life_s), [at for at, _ in path[1:]]
    for (start_ns, value), end_ns in zip(path, [*ends, now_ns], strict=True):
        old, young = (0.5 ** ((now_ns - edge) / 1e9 / half_life_s) for edge in (start_ns, end_ns))
        mean += (young - old) * value
    return mean


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from((0.01, 0.02, 0.08)), st.sampled_from((0.0, 1.0, 4.0, 16.0))),
        min_size=2,
        max_size=30,
    )
)
def test_the_regime_follows_from_the_means_of_the_whole_past(steps):
    now_ns, path = START_NS, []
    for step_s, spread, size in steps:
        now_ns += step_s * SECOND_NS
        path.append((now_ns, spread, size))

    values = regime_of(path, warm_up_s=0.0)

    code = 1.0
    for number in range(1, len(path)):
        at_ns, past = path[number][0], path[:number]
        spreads, sizes = [(t, spread) for t, spread, _ in past], [(t, 2.0 * size) for t, _, size in past]
        now = mean_over_time(sizes, at_ns, 5.0) * mean_over_time(spreads, at_ns, 600.0)
        usual = mean_over_time(sizes, at_ns, 600.0) * mean_over_time(spreads, at_ns, 5.0)
        if any(math.isclose(now, edge * usual, rel_tol=1e-6) for edge in (0.5, 0.7, 1.5, 2.0)):
            return  # on an edge: rounding decides
        if now < 0.5 * usual:
            code = 0.0
        elif now > 2.0 * usual:
            code = 2.0
        elif (code == 0.0 and now > 0.7 * usual) or (code == 2.0 and now < 1.5 * usual):
            code = 1.0
        assert values[number] == code


# --- market-condition ---


def conditions_of(path, **options):
    """Path: `(mid, spread)` second by second; the value after each."""
    each = build_component(MARKET_CONDITION, MarketConditionOptions(**options))
    values = []
    for second, (mid, spread) in enumerate(path):
        now_ns = START_NS + second * SECOND_NS
        each.on_touch(at(now_ns, mid, spread))
        values.append(each.read(now_ns, at(0, mid)))
    return values


def bouncing(seconds, size, mid=100.0, spread=0.02):
    return [(mid + (size if second % 2 else -size), spread) for second in range(seconds)]


def changes(values):
    return [code for number, code in enumerate(values) if number == 0 or code != values[number - 1]]


def test_a_calm_market_that_turns_wild_is_volatile_and_then_stable_again():
    values = conditions_of(bouncing(600, 0.01) + bouncing(40, 0.05) + bouncing(400, 0.01))

    assert all(math.isnan(value) for value in values[:120])
    assert changes(values[120:]) == [STABLE, VOLATILE, STABLE]


def test_a_market_that_never_moves_is_stable():
    values = conditions_of([(61_602.017, 0.02)] * 1_000)

    assert changes(values[120:]) == [STABLE]


@pytest.mark.parametrize(("step", "code"), [(0.02, UP), (-0.02, DOWN)], ids=["up", "down"])
def test_a_steady_climb_or_fall_is_a_trend(step, code):
    trend = [(100.0 + step * second, 0.02) for second in range(100)]
    values = conditions_of(bouncing(600, 0.01) + trend + bouncing(600, 0.01, mid=trend[-1][0]))

    assert changes(values[120:]) == [STABLE, code, STABLE]


def test_a_wide_spread_is_low_liquidity_whatever_else():
    wild = [(mid, 0.2) for mid, _ in bouncing(60, 0.05)]
    values = conditions_of(bouncing(600, 0.01) + wild)

    assert values[-1] == LOW_LIQUIDITY


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(-4, 4), st.sampled_from((0.02, 0.04, 0.16))), min_size=2, max_size=30
    )
)
def test_the_condition_follows_from_the_means_of_the_whole_past(steps):
    each = build_component(MARKET_CONDITION, MarketConditionOptions(warm_up_s=0.0))
    now_ns, mid, path, values = START_NS, 100.0, [], []
    for step_s, move, spread in steps:
        now_ns, mid = now_ns + step_s * SECOND_NS, mid + move * 0.01
        path.append((now_ns, mid, spread))
        each.on_touch(at(now_ns, mid, spread))
        values.append(each.read(now_ns, at(0, mid)))

    is_volatile, is_low, trend = False, False, 0
    for number in range(1, len(path)):
        at_ns, past = path[number][0], path[:number]
        # In the interval that ends at a touch the mid moves to the touch before it, and so does the spread.
        moves = [0.0, *(b[1] - a[1] for a, b in pairwise(past))]
        times = [*(t for t, _, _ in past), at_ns]
        variances = [m * m / ((times[i + 1] - times[i]) / 1e9) for i, m in enumerate(moves)]

        def mean(column, half_life_s, start=None, *, at_ns=at_ns, past=past):
            rows = [(t, value) for (t, _, _), value in zip(past, column, strict=True)]
            kept = 0.5 ** ((at_ns - rows[0][0]) / 1e9 / half_life_s)
            if start is None:  # a mean of what was seen, nothing standing for the time before
                return (mean_over_time(rows, at_ns, half_life_s) - kept * rows[0][1]) / (1.0 - kept)
            return mean_over_time(rows, at_ns, half_life_s) + kept * (start - rows[0][1])

        now, usual = (math.sqrt(mean(variances, half_life_s)) for half_life_s in (30.0, 1_800.0))
        spreads = [spread for _, _, spread in past]
        wide, narrow = (mean(spreads, half_life_s, path[0][2]) for half_life_s in (30.0, 1_800.0))
        distance = past[-1][1] - mean([m for _, m, _ in past], 30.0, path[0][1])
        deviation = max(1e-8, usual * math.sqrt(30.0 / math.log(2.0) / 2.0))
        edges = [(now, edge * usual) for edge in (1.5, 2.0)] + [(wide, edge * narrow) for edge in (1.5, 2.0)]
        edges += [(abs(distance), edge * deviation) for edge in (1.0, 2.5)]
        if any(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12) and a != b for a, b in edges):
            return  # on an edge: rounding decides
        is_volatile = now > (1.5 if is_volatile else 2.0) * usual
        is_low = wide > (1.5 if is_low else 2.0) * narrow
        if trend * distance <= deviation:
            trend = 0
        if abs(distance) > 2.5 * deviation:
            trend = 1 if distance > 0.0 else -1
        code = LOW_LIQUIDITY if is_low else {1: UP, -1: DOWN, 0: VOLATILE if is_volatile else STABLE}[trend]
        assert values[number] == code


@pytest.mark.parametrize(
    ("spec", "values", "message"),
    [
        pytest.param(
            LIQUIDITY_REGIME,
            {"low_below": 0.9},
            "low_until: expected at least low_below = 0.9, was 0.7",
            id="low ends before it begins",
        ),
        pytest.param(
            MARKET_CONDITION,
            {"volatile_until": 3.0},
            "volatile_above: expected at least volatile_until = 3, was 2",
            id="volatile ends above where it begins",
        ),
    ],
)
def test_thresholds_that_would_flicker_are_refused(spec, values, message):
    with pytest.raises(DomainError) as caught:
        build_component(spec, spec.options(**values))

    assert caught.value.message == message


@pytest.mark.parametrize("spec", [SPIKE_FLAG, MANIPULATION, LIQUIDITY_REGIME, MARKET_CONDITION], ids=lambda s: s.name)
def test_nothing_is_known_before_any_data(spec, book):
    assert math.isnan(build_component(spec, book=book).read(START_NS, at(START_NS, 100.0)))

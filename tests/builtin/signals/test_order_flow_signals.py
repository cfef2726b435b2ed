"""Order-flow imbalance, VPIN and Kyle's lambda equal their definitions, summed over the whole past at once."""

import math
import random
from array import array
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.signals.kyle_lambda import KYLE_LAMBDA, KyleLambdaOptions
from mmframe.builtin.signals.order_flow_imbalance import ORDER_FLOW_IMBALANCE, OrderFlowImbalanceOptions
from mmframe.builtin.signals.vpin import VPIN, VpinOptions
from mmframe.domain.views import BookTick, TradeTick
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component

SECOND_NS = 1_000_000_000


def touch(now_ns, bid, bid_size, ask, ask_size):
    return BookTick(now_ns, bid, bid_size, ask, ask_size, (bid + ask) / 2.0)


def at(now_ns, mid):
    return touch(now_ns, mid - 0.01, 1.0, mid + 0.01, 1.0)


def trade(now_ns, size, side):
    return TradeTick(now_ns, 100.0, size, side)


# --- order-flow imbalance ---


def flow_of(ticks, read_ns, **options):
    each = build_component(ORDER_FLOW_IMBALANCE, OrderFlowImbalanceOptions(**options))
    for tick in ticks:
        each.on_touch(tick)
    return each.read(read_ns, ticks[-1])


OPENING = touch(START_NS - 20 * SECOND_NS, 100.00, 5.0, 100.02, 4.0)


@pytest.mark.parametrize(
    ("after", "contribution"),
    [
        pytest.param((100.00, 7.0, 100.02, 4.0), 2.0, id="the bid grows"),
        pytest.param((100.00, 5.0, 100.02, 1.0), 3.0, id="the ask shrinks"),
        pytest.param((100.01, 2.0, 100.02, 4.0), 2.0, id="a better bid adds its size"),
        pytest.param((99.99, 9.0, 100.02, 4.0), -5.0, id="a bid that gives way takes its former size"),
        pytest.param((100.00, 5.0, 100.01, 3.0), -3.0, id="a better ask takes its size"),
        pytest.param((100.00, 5.0, 100.03, 6.0), 4.0, id="an ask that gives way adds its former size"),
        pytest.param((100.01, 2.0, 100.03, 6.0), 6.0, id="both at once"),
    ],
)
def test_a_change_of_the_touch_contributes_as_in_the_paper(after, contribution):
    ticks = [OPENING, touch(START_NS, *after)]

    assert flow_of(ticks, START_NS) == pytest.approx(contribution)
    assert flow_of(ticks, START_NS + 10 * SECOND_NS) == pytest.approx(contribution / 2.0)


def test_the_flow_of_its_own_example_is_6():
    ticks = [OPENING, touch(START_NS, 100.00, 7.0, 100.02, 4.0), touch(START_NS, 100.00, 7.0, 100.03, 6.0)]

    assert flow_of(ticks, START_NS) == pytest.approx(6.0)


def test_over_depth_it_is_the_move_in_ticks_of_an_evenly_deep_book():
    # Each level holds 4: the ask is eaten step by step, a bid of 4 follows, and the whole touch is one tick higher.
    ticks = [touch(START_NS - 600 * SECOND_NS, 99.99, 4.0, 100.00, 4.0)]
    ticks += [touch(START_NS, 99.99, 4.0, 100.00, size) for size in (3.0, 2.0, 1.0)]
    ticks += [touch(START_NS, 99.99, 4.0, 100.01, 4.0), touch(START_NS, 100.00, 4.0, 100.01, 4.0)]

    assert flow_of(ticks, START_NS, in_units_of="depth") == pytest.approx(1.0)
    assert flow_of(ticks, START_NS) == pytest.approx(8.0)


touches = st.lists(
    st.tuples(
        st.integers(0, 20 * SECOND_NS),
        st.integers(-3, 3),
        st.integers(1, 3),
        st.integers(1, 50),
        st.integers(1, 50),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=100)
@given(touches, st.integers(0, 60 * SECOND_NS))
def test_the_flow_equals_the_definition(steps, wait_ns):
    now_ns, ticks = START_NS, []
    for step_ns, bid, spread, bid_size, ask_size in steps:
        now_ns += step_ns
        ticks.append(touch(now_ns, 100.0 + bid, float(bid_size), 100.0 + bid + spread, float(ask_size)))
    read_ns = now_ns + wait_ns

    value, over_depth = flow_of(ticks, read_ns), flow_of(ticks, read_ns, in_units_of="depth")

    def contribution(was, tick):
        bids = (tick.bid >= was.bid) * tick.bid_size - (tick.bid <= was.bid) * was.bid_size
        asks = (tick.ask <= was.ask) * tick.ask_size - (tick.ask >= was.ask) * was.ask_size
        return bids - asks

    def kernel(at_ns):
        return 0.5 ** ((read_ns - at_ns) / 1e10)

    if read_ns - START_NS - steps[0][0] < 10 * SECOND_NS - 1_000:
        assert math.isnan(value)
        assert math.isnan(over_depth)
    elif read_ns - START_NS - steps[0][0] > 10 * SECOND_NS + 1_000:
        expected = math.fsum(contribution(a, b) * kernel(b.now_ns) for a, b in pairwise(ticks))
        ends = [*ticks[1:], ticks[-1]._replace(now_ns=read_ns)]
        weights = [kernel(end.now_ns) - kernel(start.now_ns) for start, end in zip(ticks, ends, strict=True)]
        depths = [(tick.bid_size + tick.ask_size) / 2.0 for tick in ticks]
        depth = math.fsum(w * d for w, d in zip(weights, depths, strict=True)) / math.fsum(weights)
        assert value == pytest.approx(expected, rel=1e-6, abs=1e-5)
        assert over_depth == pytest.approx(expected / (2.0 * depth), rel=1e-6, abs=1e-5)


def set_levels(book, bids, asks):
    book.clear()
    rows = [(side, *level) for side, levels in ((0, bids), (1, asks)) for level in levels]
    columns = [array(code, column) for code, column in zip("bqq", zip(*rows, strict=True), strict=True)]
    book.apply(*columns, 0, len(rows))


def test_several_levels_give_the_mean_of_their_flows():
    book = SortedBook()
    each = build_component(ORDER_FLOW_IMBALANCE, OrderFlowImbalanceOptions(levels=3), book=book)
    set_levels(book, bids=[(9_999, 2_000), (9_998, 5_000)], asks=[(10_001, 1_000), (10_002, 4_000), (10_003, 1_000)])
    each.on_touch(at(START_NS - 10 * SECOND_NS, 100.0))
    set_levels(book, bids=[(9_999, 3_000), (9_998, 1_000)], asks=[(10_001, 1_000), (10_003, 1_000)])

    each.on_touch(at(START_NS, 100.0))

    # Level 1: +1. Level 2: 1 - 5 at the bid, the ask gave way from 4: 0. The bid side has no level 3: it says nothing.
    assert each.read(START_NS, at(START_NS, 100.0)) == pytest.approx((1.0 + 0.0) / 2.0)


def test_one_level_read_from_the_book_is_the_flow_of_the_touch():
    source, book = random.Random(5), SortedBook()
    deep = build_component(ORDER_FLOW_IMBALANCE, OrderFlowImbalanceOptions(levels=2), book=book)
    flat = build_component(ORDER_FLOW_IMBALANCE, OrderFlowImbalanceOptions())
    for number in range(60):
        now_ns = START_NS + number * SECOND_NS
        bid, ask = 9_999 + source.randint(-3, 0), 10_001 + source.randint(0, 3)
        bid_lots, ask_lots = source.randint(1, 9_000), source.randint(1, 9_000)
        set_levels(book, bids=[(bid, bid_lots)], asks=[(ask, ask_lots)])
        tick = touch(now_ns, bid * 0.01, bid_lots * 0.001, ask * 0.01, ask_lots * 0.001)
        deep.on_touch(tick)
        flat.on_touch(tick)

    assert deep.read(now_ns, tick) == pytest.approx(flat.read(now_ns, tick))


# --- VPIN ---


def vpin_of(trades, bucket_size, buckets):
    each = build_component(VPIN, VpinOptions(bucket_size=Decimal(bucket_size), buckets=buckets))
    for size, side in trades:
        each.on_trade(trade(START_NS, size, side))
    return each.read(START_NS, at(START_NS, 100.0))


def test_vpin_of_its_own_example_is_a_fifth():
    assert math.isnan(vpin_of([(6.0, 1.0), (8.0, -1.0)], 10, 2))
    assert vpin_of([(6.0, 1.0), (8.0, -1.0), (6.0, 1.0)], 10, 2) == pytest.approx(0.2)


def test_a_trade_larger_than_all_buckets_leaves_one_side_only():
    assert vpin_of([(3.0, 1.0), (1e12, -1.0)], 10, 50) == 1.0


def test_trades_without_a_side_count_as_balanced():
    assert vpin_of([(25.0, 0.0)], 10, 2) == 0.0


def test_a_bucket_smaller_than_a_lot_is_refused():
    with pytest.raises(DomainError) as caught:
        vpin_of([], "1e-400", 50)

    assert caught.value.message == "bucket_size: expected at least one lot of 0.001, was 1E-400"


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 400), st.sampled_from((1, 0, -1))), max_size=60),
    st.integers(1, 32),
    st.integers(1, 8),
)
def test_vpin_equals_the_definition_unit_by_unit(trades, bucket_size, buckets):
    # The reference lays every single unit of volume in a row and cuts the row into buckets.
    row = [side for size, side in trades for _ in range(size)]
    full = len(row) // bucket_size
    cut = [row[number * bucket_size : (number + 1) * bucket_size] for number in range(full)][-buckets:]

    value = vpin_of([(float(size), float(side)) for size, side in trades], bucket_size, buckets)

    if full < buckets:
        assert math.isnan(value)
    else:
        assert value == float(Fraction(sum(abs(sum(bucket)) for bucket in cut), buckets * bucket_size))


# --- Kyle's lambda ---


def lambda_of(events, read_ns, **options):
    """Events: `(nanoseconds, mid or None, signed size)`."""
    each = build_component(KYLE_LAMBDA, KyleLambdaOptions(**options))
    for now_ns, mid, signed in events:
        if mid is not None:
            each.on_touch(at(now_ns, mid))
        if signed:
            each.on_trade(trade(now_ns, abs(signed), math.copysign(1.0, signed)))
    return each.read(read_ns, at(read_ns, 100.0))


def test_lambda_of_its_own_example():
    base_ns = START_NS // (5 * SECOND_NS) * 5 * SECOND_NS
    events = [
        (base_ns - 1, 100.00, 9.0),
        (base_ns, None, 2.0),
        (base_ns + 1, 100.04, 0.0),
        (base_ns + 5 * SECOND_NS, None, -1.0),
        (base_ns + 6 * SECOND_NS, 99.99, 0.0),
        (base_ns + 10 * SECOND_NS, 99.99, 0.0),
    ]
    options = {"half_life_s": 604_800.0, "intervals_min": 1.9}

    assert lambda_of(events, events[-1][0], **options) == pytest.approx(0.026, rel=1e-4)
    assert math.isnan(lambda_of(events[:-1], events[-1][0], **options))


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from((0, 1, 3, 6, 17, 100)), st.sampled_from((None, -4, -1, 0, 2, 5)), st.integers(-5, 5)),
        min_size=1,
        max_size=60,
    ),
    st.sampled_from((0, 4, 30)),
)
def test_lambda_equals_the_regression_over_the_intervals(steps, wait_s):
    now_ns, mid, events = START_NS, 100.0, []
    for step_s, move, signed in steps:
        now_ns += step_s * SECOND_NS
        mid += 0.0 if move is None else move * 0.01
        events.append((now_ns, None if move is None else mid, float(signed)))
    read_ns = now_ns + wait_s * SECOND_NS

    value = lambda_of(events, read_ns, half_life_s=60.0, intervals_min=1.5)

    interval_ns = 5 * SECOND_NS
    heard = [at_ns for at_ns, new_mid, signed in events if new_mid is not None or signed]
    points = []
    for number in range(START_NS // interval_ns, (heard[-1] if heard else 0) // interval_ns):
        start_ns, end_ns = number * interval_ns, (number + 1) * interval_ns
        before = [m for at_ns, m, _ in events if m is not None and at_ns < start_ns]
        within = [m for at_ns, m, _ in events if m is not None and at_ns < end_ns]
        volume = sum(signed for at_ns, _, signed in events if start_ns <= at_ns < end_ns)
        if before and volume:
            points.append((0.5 ** ((read_ns // interval_ns - number) * 5.0 / 60.0), volume, within[-1] - before[-1]))
    count = math.fsum(weight for weight, _, _ in points)
    if count < 1.5 - 1e-9:
        assert math.isnan(value)
    elif count > 1.5 + 1e-9:
        slope = math.fsum(w * x * d for w, x, d in points) / math.fsum(w * x * x for w, x, _ in points)
        assert value == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_lambda_is_found_in_noise_and_forgotten_in_a_long_silence():
    source, mid, events = random.Random(11), 100.0, []
    for number in range(2_000):
        now_ns = START_NS + number * 5 * SECOND_NS
        signed = source.gauss(0.0, 2.0)
        mid += 0.03 * signed + source.gauss(0.0, 0.02)
        events.append((now_ns, mid, signed))
    end_ns = events[-1][0]

    assert lambda_of(events, end_ns) == pytest.approx(0.03, rel=0.1)
    assert math.isnan(lambda_of(events, end_ns + 4 * 3_600 * SECOND_NS))


@pytest.mark.parametrize("spec", [ORDER_FLOW_IMBALANCE, KYLE_LAMBDA], ids=lambda spec: spec.name)
def test_nothing_is_known_before_any_data(spec):
    assert math.isnan(build_component(spec).read(START_NS, at(START_NS, 100.0)))

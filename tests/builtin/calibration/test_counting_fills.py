"""Fills and waiting times at each distance, against vectors by hand, a slow reference and known rates."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.calibration import Mark, Tape, count_fills, half_spread_ticks, reach_ticks
from mmframe.domain.market import Side
from mmframe.errors import DomainError

S = 1_000_000_000
START = 1_700_000_000 * S


def tape_of(*entries, until_s):
    """Make a tape of `(seconds, mark, low, high)`."""
    tape = Tape()
    for seconds, *entry in entries:
        tape.add(START + round(seconds * S), *entry)
        tape.trades += entry[0] in {Mark.BOUGHT, Mark.SOLD}
    tape.reach(START + round(until_s * S))
    return tape


def rows(counts, side):
    return [(row.distance, row.fills, row.exposure_s) for row in counts.counts(side)]


def test_a_vector_by_hand():
    tape = tape_of(
        (0, Mark.TOUCH, 100, 101),  # mid 100.5: bids at 100 and 99, asks at 101 and 102
        (2, Mark.SOLD, 100, 100),  # fills the bid at 100 after 2 s; it comes back at 2.5
        (2.2, Mark.SOLD, 100, 100),  # the same taker still: nothing rests there
        (2.4, Mark.TOUCH, 99, 100),  # mid 99.5: at 2.5 the bid is posted at 99; the other one rests at 99 since 0
        (4, Mark.SOLD, 99, 99),  # fills both, after 1.5 s and 4 s; they come back at 4.5
        (12, Mark.BOUGHT, 101, 102),  # since 10 the asks rest at 100 and 101: both, after 2 s; they come back at 12.5
        until_s=20,
    )

    counts = count_fills(tape, [0.5, 1.5], window_s=10)

    assert rows(counts, Side.BUY) == [(0.5, 2, 2 + 1.5 + 15.5), (1.5, 1, 4 + 15.5)]
    assert rows(counts, Side.SELL) == [(0.5, 1, 10 + 2 + 7.5), (1.5, 1, 10 + 2 + 7.5)]
    assert rows(counts, None) == [(0.5, 3, 38.5), (1.5, 2, 39)]
    assert counts.counts()[0].rate_per_s == 3 / 38.5
    assert counts.counts()[0].rate_std_error == pytest.approx(3**0.5 / 38.5)


def test_an_order_stands_where_there_is_a_price_and_is_counted_there():
    tape = tape_of((0, Mark.TOUCH, 100, 102), (4, Mark.TOUCH, 100, 101), until_s=10)

    near = count_fills(tape, [0.5, 1.5], window_s=5)
    coarse = count_fills(tape, [0.5, 4.5], window_s=5)

    # The mid is 101 for a window, so prices are whole ticks away; then 100.5.
    assert rows(near, Side.BUY) == [(0.5, 0, 5), (1.0, 0, 5), (1.5, 0, 5), (2.0, 0, 5)]
    assert rows(coarse, Side.SELL) == [(0.75, 0, 10), (4.75, 0, 10)]


def test_without_a_touch_nothing_rests():
    tape = tape_of(
        (0, Mark.SOLD, 1, 1),
        (1, Mark.TOUCH, 100, 101),
        (3, Mark.VOID),
        (4, Mark.SOLD, 1, 1),
        (16, Mark.TOUCH, 100, 101),
        (18, Mark.BOUGHT, 101, 101),
        until_s=20,
    )

    counts = count_fills(tape, [0.5], window_s=5)

    assert rows(counts, Side.BUY) == [(0.5, 0, 2 + 4)]
    assert rows(counts, Side.SELL) == [(0.5, 1, 2 + 2 + 1.5)]  # back after half a second


def test_there_is_no_bid_below_the_first_tick():
    tape = tape_of((0, Mark.TOUCH, 1, 2), until_s=5)

    assert rows(count_fills(tape, [0.5, 3.5]), Side.BUY) == [(0.5, 0, 5), (3.5, 0, 0)]


def reference(tape, distance, side, window_ns):
    """Fills and nanoseconds by actual half ticks: one order at a time, every window stepped through."""
    fills, exposure = {}, {}
    mid2 = order = None
    due = 0

    def end(now):
        nonlocal order
        if order is not None:
            _, away, since = order
            exposure[away] = exposure.get(away, 0) + now - since
            order = None

    def post(now):
        nonlocal order
        if mid2 is not None and order is None and due <= now:
            exact = (mid2 - 2 * distance) / 2 if side == Side.BUY else (mid2 + 2 * distance) / 2
            price = math.floor(exact) if side == Side.BUY else math.ceil(exact)
            order = (price, abs(mid2 - 2 * price), now)

    boundary = tape.start_ns + window_ns
    for now, mark, low, high in tape.entries():
        for moment in sorted({due, *range(boundary, now + 1, window_ns)}):
            if moment <= now and (moment == due or moment >= boundary):
                if moment >= boundary and (moment - boundary) % window_ns == 0:
                    end(moment)
                post(moment)
        boundary += max(0, (now - boundary) // window_ns + 1) * window_ns
        if mark == Mark.TOUCH:
            is_first, mid2 = mid2 is None, low + high
            if is_first:
                post(now)
        elif mark == Mark.VOID:
            end(now)
            mid2 = None
        elif order is not None and (mark == Mark.SOLD) == (side == Side.BUY):
            price, away, _ = order
            if (price >= low) if side == Side.BUY else (price <= high):
                end(now)
                fills[away] = fills.get(away, 0) + 1
                due = now + S // 2
    return fills, exposure


@st.composite
def tapes(draw):
    seconds = sorted(draw(st.lists(st.integers(0, 600), min_size=2, max_size=40)))
    entries = [(0, Mark.TOUCH, 100, 101)]
    for tenth in seconds:
        bid = 100 + draw(st.integers(-4, 4))
        width = draw(st.integers(1, 3))
        mark = draw(st.sampled_from((Mark.TOUCH, Mark.TOUCH, Mark.SOLD, Mark.BOUGHT, Mark.VOID)))
        entries.append((tenth / 10, mark, bid, bid + width))
    return tape_of(*entries, until_s=max(seconds) / 10 + draw(st.integers(0, 30)) / 10)


@settings(max_examples=80)
@given(tapes(), st.sampled_from((0.5, 2.0, 7.0)), st.sampled_from(([0.5, 1.5, 2.5], [0.0, 1.0], [1.5])))
def test_the_counts_are_those_of_one_order_at_a_time(tape, window_s, distances):
    try:
        counts = count_fills(tape, distances, window_s=window_s)
    except DomainError:
        assert all(sum(reference(tape, one, Side.BUY, round(window_s * S))[1].values()) == 0 for one in distances)
        return

    for side in (Side.BUY, Side.SELL):
        told = {round(row.distance * 2): row for row in counts.counts(side)} if len(distances) > 1 else None
        expected_fills, expected_ns = {}, {}
        for distance in distances:
            fills, exposure = reference(tape, distance, side, round(window_s * S))
            for away in exposure:
                expected_fills[away] = expected_fills.get(away, 0) + fills.get(away, 0)
                expected_ns[away] = expected_ns.get(away, 0) + exposure[away]
        if told is None:
            (row,) = counts.counts(side)
            assert row.fills == sum(expected_fills.values())
            assert row.exposure_s == pytest.approx(sum(expected_ns.values()) / S)
            continue
        for away, nanoseconds in expected_ns.items():
            if away in told:
                assert told[away].fills == expected_fills[away]
                assert told[away].exposure_s == pytest.approx(nanoseconds / S)
            else:
                assert nanoseconds == 0


def test_parts_of_the_recording_add_up():
    source = random.Random(5)
    entries = [(0, Mark.TOUCH, 100, 101)]
    for number in range(1, 400):
        mark = source.choice((Mark.TOUCH, Mark.SOLD, Mark.BOUGHT))
        entries.append((number / 2, mark, 99 + number % 3, 100 + number % 3))
    tape = tape_of(*entries, until_s=200)

    counts = count_fills(tape, [0.5, 1.5], window_s=5, blocks=8)

    assert counts.blocks == 8
    whole = counts.counts(Side.BUY)
    without = [counts.counts(Side.BUY, without_block=block) for block in range(8)]
    for place, row in enumerate(whole):
        assert sum(each[place].fills for each in without) == 7 * row.fills
        assert sum(each[place].exposure_s for each in without) == pytest.approx(7 * row.exposure_s)
        assert all(each[place].exposure_s == pytest.approx(row.exposure_s * 7 / 8, rel=0.1) for each in without)


def poisson_tape(rate, *, seconds, seed):
    """Takers sell at the bid at exponential waiting times."""
    source, entries, now = random.Random(seed), [(0.0, Mark.TOUCH, 100, 101)], 0.0
    while (now := now + source.expovariate(rate)) < seconds:
        entries.append((now, Mark.SOLD, 100, 100))
    return tape_of(*entries, until_s=seconds)


@pytest.mark.parametrize("window_s", [0.7, 5.0, 60.0])
def test_the_rate_is_right_however_often_a_wait_is_cut_short(window_s):
    rate = 0.2  # one fill in 5 s: nearly all short waits are in vain
    tape = poisson_tape(rate, seconds=20_000, seed=11)

    row = count_fills(tape, [0.5], window_s=window_s).counts(Side.BUY)[0]

    assert abs(row.rate_per_s - rate) < 4 * row.rate_std_error
    assert row.rate_std_error < 0.02 * rate


def test_leaving_out_the_waits_in_vain_would_be_wrong():
    """The control of the test above: the estimate that it guards against fails it by far."""
    rate, window_s, source = 0.2, 0.5, random.Random(12)
    waits = [source.expovariate(rate) for _ in range(4_000)]
    done = [wait for wait in waits if wait < window_s]

    naive = len(done) / sum(done)

    assert naive > 10 * rate
    assert abs(len(done) / sum(min(wait, window_s) for wait in waits) - rate) < 4 * rate / len(done) ** 0.5


def test_the_usual_spread_is_a_median_over_time():
    tape = tape_of(
        (0, Mark.TOUCH, 100, 104), (3, Mark.TOUCH, 100, 101), (3.5, Mark.VOID), (9, Mark.TOUCH, 100, 103), until_s=12
    )

    assert half_spread_ticks(tape) == 1.5  # 4 ticks for 3 s, 1 for half a second, 3 for 3 s


def test_the_reach_is_what_takers_hardly_go_beyond():
    # Nine windows of 5 s; in one of them a taker sells 2.5 ticks below its first mid, in another buys 1.5 above.
    tape = tape_of(
        (0, Mark.TOUCH, 100, 101),
        (1, Mark.SOLD, 98, 99),
        (21, Mark.BOUGHT, 102, 102),
        until_s=49,
    )

    assert reach_ticks(tape, window_s=5, share=0.99) == 2.5
    assert reach_ticks(tape, window_s=5, share=0.9) == 1.5
    assert reach_ticks(tape, window_s=5, share=0.25) == 0.0


@pytest.mark.parametrize(
    ("distances", "window_s", "message"),
    [
        ([], 5, "distances: expected 1 to 200, was 0"),
        ([0.5] * 201, 5, "distances: expected 1 to 200, was 201"),
        ([0.3], 5, "distances: expected multiples of half a tick from 0 up, was 0.3"),
        ([-1.0], 5, "distances: expected multiples of half a tick from 0 up, was -1"),
        ([math.nan], 5, "distances: expected multiples of half a tick from 0 up, was nan"),
        ([0.5, 1.0], 5, "distances: expected each at least 1 tick further than the last, was 1 after 0.5"),
        ([0.5], 0, "window_s: expected 0.001 to 86400, was 0"),
        ([0.5], math.inf, "window_s: expected 0.001 to 86400, was inf"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(distances, window_s, message):
    with pytest.raises(DomainError) as caught:
        count_fills(tape_of((0, Mark.TOUCH, 100, 101), until_s=10), distances, window_s=window_s)

    assert caught.value.message == message


@pytest.mark.parametrize("estimate", [lambda tape: count_fills(tape, [0.5]), half_spread_ticks, reach_ticks])
def test_without_any_touch_there_is_no_estimate(estimate):
    with pytest.raises(DomainError) as caught:
        estimate(tape_of((0, Mark.SOLD, 100, 100), until_s=100))

    assert caught.value.message == "touches: expected some with a bid and an ask, was none"

"""The micro-price table is the sum of all expected moves of the recorded chain, and the signal adds it to the mid."""

import math
import random
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.signals.micro_price_table import (
    MicroPriceTable,
    calibrate_micro_price,
    load_micro_price_table,
    save_micro_price_table,
    state_of,
    touches_of,
)
from mmframe.builtin.signals.stoikov_micro_price import STOIKOV_MICRO_PRICE, StoikovMicroPriceOptions
from mmframe.domain.market import MessageKind, Side, Touch
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, delta, make_batch, snapshot, trade

TICK = Decimal("0.01")


def test_a_chain_that_can_be_solved_by_hand():
    # Even, then heavy at the bid, then up by a tick and even again. Mirrored: even goes either way, one half each.
    touches = []
    for step in range(10):
        touches += [Touch(100 + step, 5, 101 + step, 5), Touch(100 + step, 9, 101 + step, 1)]

    table = calibrate_micro_price(touches, tick_size=TICK, imbalance_buckets=3, spreads=1)

    assert table.adjustments_ticks == pytest.approx((-1.0, 0.0, 1.0))
    assert table.observations == (9, 20, 9)


def chain_of(touches, buckets, spreads):
    """The chances and expected moves of the mirrored chain, counted one by one."""
    states = range(buckets * spreads)
    counts = {state: [] for state in states}
    for last, touch in pairwise(touches):
        move = (touch.bid_ticks + touch.ask_ticks - last.bid_ticks - last.ask_ticks) / 2.0
        for seen, sign in (((last, touch), 1.0), (tuple(map(mirrored, (last, touch))), -1.0)):
            early, late = (state_of(each, imbalance_buckets=buckets, spreads=spreads) for each in seen)
            counts[early].append((late, sign * move))
    return counts


def mirrored(touch):
    return Touch(touch.bid_ticks, touch.ask_lots, touch.ask_ticks, touch.bid_lots)


def product(one, other):
    columns = list(zip(*other, strict=True))
    return [[math.fsum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in one]


def expected_moves(counts):
    """Sum of P^k d over all k: move by move, without inverses; the sum doubles its reach."""
    size = len(counts)
    chances = [[0.0] * size for _ in range(size)]
    total = [[0.0] for _ in range(size)]
    for state, seen in counts.items():
        for end, move in seen:
            chances[state][end] += 1.0 / len(seen)
            total[state][0] += move / len(seen)
    for _ in range(40):
        total = [[a[0] + b[0]] for a, b in zip(total, product(chances, total), strict=True)]
        chances = product(chances, chances)
    return [row[0] for row in total]


def random_touches(seed, count):
    source, bid, touches = random.Random(seed), 10_000, []
    heavy = 0.5
    for _ in range(count):
        spread = source.choice((1, 1, 1, 2, 3))
        if source.random() < 0.4:
            bid += 1 if source.random() < heavy else -1
        heavy = source.random()
        touches.append(Touch(bid, 1 + round(99 * heavy), bid + spread, 1 + round(99 * (1.0 - heavy))))
    return touches


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from((3, 5)), st.integers(1, 3))
def test_the_table_is_the_expected_sum_of_all_moves(seed, buckets, spreads):
    touches = random_touches(seed, 400)
    counts = chain_of(touches, buckets, spreads)
    assume(all(counts.values()))

    table = calibrate_micro_price(touches, tick_size=TICK, imbalance_buckets=buckets, spreads=spreads)

    assert table.adjustments_ticks == pytest.approx(expected_moves(counts), abs=1e-6)
    assert table.observations == tuple(len(seen) for seen in counts.values())
    for spread in range(spreads):
        row = table.adjustments_ticks[spread * buckets : (spread + 1) * buckets]
        assert row == pytest.approx([-value for value in reversed(row)], abs=1e-6)


def test_it_foretells_the_mid_better_than_the_mid_does():
    touches = random_touches(seed=1, count=6_000)
    table = calibrate_micro_price(touches[:3_000], tick_size=TICK, imbalance_buckets=5, spreads=3)

    def squared_errors(adjustment):
        later = zip(touches[3_000:], touches[3_010:], strict=False)
        return math.fsum(
            ((b.bid_ticks + b.ask_ticks - a.bid_ticks - a.ask_ticks) / 2.0 - adjustment(a)) ** 2 for a, b in later
        )

    def adjusted(touch):
        return table.adjustments_ticks[state_of(touch, imbalance_buckets=5, spreads=3)]

    assert squared_errors(adjusted) < squared_errors(lambda _: 0.0)


def test_a_state_without_data_is_not_known():
    touches = [Touch(100 + step // 2, 5, 101 + step // 2, 5 if step % 2 else 1) for step in range(20)]

    table = calibrate_micro_price(touches, tick_size=TICK, imbalance_buckets=3, spreads=2)

    assert all(math.isnan(value) for value in table.adjustments_ticks[3:])
    assert all(math.isfinite(value) for value in table.adjustments_ticks[:3])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({}, "touches: expected some in which the mid moves, was none", id="no move"),
        pytest.param(
            {"imbalance_buckets": 4}, "imbalance_buckets: expected an odd number from 3 to 51, was 4", id="even buckets"
        ),
        pytest.param({"spreads": 0}, "spreads: expected 1 to 20 and at most 300 states, was 0", id="no spread"),
    ],
)
def test_what_makes_no_table_is_refused(values, message):
    touches = [Touch(100, 5, 101, size) for size in (1, 2, 3)]

    with pytest.raises(DomainError) as caught:
        calibrate_micro_price(touches, tick_size=TICK, **values)

    assert caught.value.message == message


class Recording:
    def __init__(self, *batches):
        self._batches = batches

    def batches(self):
        return iter(self._batches)


def test_touches_of_a_recording_break_where_continuity_is_lost():
    batch = make_batch(
        delta(bids=[(1, 1)]),
        snapshot(bids=[(9_999, 5)], asks=[(10_001, 5)]),
        delta(bids=[(9_990, 7)]),
        trade(Side.BUY, 10_001, 2),
        delta(asks=[(10_001, 3)]),
    )
    batch.add(MessageKind.GAP, exchange_ns=START_NS * 2, receive_ns=START_NS * 2)
    other = make_batch(snapshot(bids=[(5, 5)], asks=[(6, 5)]), market=1)
    again = make_batch(snapshot(bids=[(9_990, 1)], asks=[(9_991, 1)]))

    touches = list(touches_of(Recording(batch, other, again), SortedBook()))

    assert touches == [
        Touch(9_999, 5, 10_001, 5),
        Touch(9_999, 5, 10_001, 3),
        None,
        Touch(9_990, 1, 9_991, 1),
    ]


TABLE = MicroPriceTable(TICK, 3, 2, (-0.25, 0.0, 0.25, -0.5, math.nan, 0.5), (4, 2, 4, 1, 0, 1))


def at(bid, bid_size, ask, ask_size):
    return BookTick(START_NS, bid, bid_size, ask, ask_size, (bid + ask) / 2.0)


@pytest.fixture
def signal(tmp_path):
    save_micro_price_table(TABLE, tmp_path / "table.json")
    return build_component(STOIKOV_MICRO_PRICE, StoikovMicroPriceOptions(table=tmp_path / "table.json"))


@pytest.mark.parametrize(
    ("tick", "value"),
    [
        pytest.param(at(100.00, 8.0, 100.01, 1.0), 100.0075, id="heavy bid at one tick"),
        pytest.param(at(100.00, 1.0, 100.01, 1.0), 100.005, id="even"),
        pytest.param(at(100.00, 1.0, 100.02, 8.0), 100.005, id="heavy ask at two ticks"),
        pytest.param(at(100.00, 1.0, 100.09, 0.0), 100.05, id="wider than the table"),
        pytest.param(at(100.00, 1.0, 100.02, 1.0), math.nan, id="state without data"),
        pytest.param(at(100.00, 0.0, 100.01, 0.0), math.nan, id="no size"),
        pytest.param(at(100.01, 1.0, 100.00, 1.0), math.nan, id="crossed"),
    ],
)
def test_the_signal_is_the_mid_plus_the_adjustment_of_its_state(signal, tick, value):
    assert signal.read(START_NS, tick) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("buckets", [3, 5, 9])
def test_a_touch_and_its_mirror_image_have_opposite_places_also_on_the_edge_of_two_buckets(tmp_path, buckets):
    table = MicroPriceTable(TICK, buckets, 1, tuple(float(n - buckets // 2) for n in range(buckets)), (1,) * buckets)
    save_micro_price_table(table, tmp_path / "table.json")
    signal = build_component(STOIKOV_MICRO_PRICE, StoikovMicroPriceOptions(table=tmp_path / "table.json"))

    def told(bid_lots, ask_lots):
        return signal.read(START_NS, at(100.00, bid_lots * 0.1, 100.01, ask_lots * 0.1)) - 100.005

    for bid_lots in range(1, 19):
        for ask_lots in range(1, 19):
            place = state_of(Touch(1, bid_lots, 2, ask_lots), imbalance_buckets=buckets, spreads=1)

            assert told(bid_lots, ask_lots) == pytest.approx(-told(ask_lots, bid_lots), abs=1e-9)
            assert told(bid_lots, ask_lots) == pytest.approx(0.01 * (place - buckets // 2), abs=1e-9)


def test_a_table_comes_back_from_its_file_as_it_was(tmp_path):
    save_micro_price_table(TABLE, tmp_path / "table.json")

    loaded = load_micro_price_table(tmp_path / "table.json")

    assert loaded.adjustments_ticks == pytest.approx(TABLE.adjustments_ticks, abs=0.0, rel=0.0, nan_ok=True)
    assert (loaded.tick_size, loaded.imbalance_buckets, loaded.spreads, loaded.observations) == (
        TABLE.tick_size, 3, 2, TABLE.observations,
    )  # fmt: skip


def test_a_table_of_another_tick_size_is_refused(tmp_path):
    coarse = MicroPriceTable(Decimal("0.1"), 3, 1, (0.0, 0.0, 0.0), (0, 0, 0))
    save_micro_price_table(coarse, tmp_path / "table.json")

    with pytest.raises(DomainError, match=r"table: expected one for a tick size of 0.01, was 0.1"):
        build_component(STOIKOV_MICRO_PRICE, StoikovMicroPriceOptions(table=tmp_path / "table.json"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="no JSON"),
        pytest.param('{"format": "mmframe-micro-price-table/1"}', id="fields missing"),
        pytest.param(
            '{"format": "other", "tick_size": "1", "imbalance_buckets": 3, "spreads": 1,'
            ' "adjustments_ticks": [0, 0, 0], "observations": [0, 0, 0]}',
            id="another format",
        ),
        pytest.param(
            '{"format": "mmframe-micro-price-table/1", "tick_size": "1", "imbalance_buckets": 3, "spreads": 1,'
            ' "adjustments_ticks": [0, 0], "observations": [0, 0, 0]}',
            id="too short",
        ),
        pytest.param(
            '{"format": "mmframe-micro-price-table/1", "tick_size": "x", "imbalance_buckets": 3, "spreads": 1,'
            ' "adjustments_ticks": [0, 0, 0], "observations": [0, 0, 0]}',
            id="no tick size",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "table.json").write_text(text)

    with pytest.raises(DomainError, match=r"^table: expected"):
        load_micro_price_table(tmp_path / "table.json")


def test_a_missing_file_says_so():
    with pytest.raises(DomainError) as caught:
        build_component(STOIKOV_MICRO_PRICE, StoikovMicroPriceOptions(table=Path("nothing.json")))

    assert caught.value.message == (
        "table: expected a file that can be read, was 'nothing.json': No such file or directory"
    )

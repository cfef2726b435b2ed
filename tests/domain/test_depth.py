"""Sweeps, imbalance, limits in bps and the book hash, against their definitions."""

import hashlib
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.domain.depth import SweepCost, book_hash, imbalance, limit_ticks_within_bps, sweep
from mmframe.domain.market import Side
from mmframe.errors import DomainError
from mmframe.testing import ReferenceBook, delta, make_batch, make_instrument

ASKS = [(101, 2), (103, 3), (110, 5)]
LEVELS = st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), max_size=20)


@pytest.mark.parametrize(
    ("size_lots", "expected"),
    [
        pytest.param(1, SweepCost(1, 101, 101), id="within the best"),
        pytest.param(2, SweepCost(2, 202, 101), id="the whole best"),
        pytest.param(4, SweepCost(4, 408, 103), id="into the second"),
        pytest.param(99, SweepCost(10, 202 + 309 + 550, 110), id="more than there is"),
    ],
)
def test_a_sweep_takes_level_by_level(size_lots, expected):
    assert sweep(ASKS, size_lots) == expected


@given(LEVELS, st.integers(1, 10**7))
def test_a_sweep_costs_what_its_single_lots_cost(levels, size_lots):
    cost = sweep(levels, size_lots)

    total = sum(lots for _, lots in levels)
    assert cost.filled_lots == min(size_lots, total)
    left, expected = size_lots, 0
    for ticks, lots in levels:
        expected += ticks * max(0, min(lots, left))
        left -= lots
    assert cost.cost_tick_lots == expected


def test_the_average_price_is_cost_over_size():
    assert sweep(ASKS, 4).vwap_ticks == 102.0
    assert math.isnan(sweep([], 4).vwap_ticks)


@pytest.mark.parametrize("size_lots", [0, -1])
def test_a_sweep_of_nothing_is_refused(size_lots):
    with pytest.raises(DomainError) as caught:
        sweep(ASKS, size_lots)

    assert caught.value.message == f"sweep size: expected lots above 0, was {size_lots}"


@pytest.mark.parametrize(("bid_lots", "ask_lots", "value"), [(3, 1, 0.5), (0, 7, -1.0), (7, 0, 1.0), (0, 0, 0.0)])
def test_the_imbalance_is_the_share_of_the_difference(bid_lots, ask_lots, value):
    assert imbalance(bid_lots, ask_lots) == value


@given(st.integers(1, 10**9), st.floats(0.001, 9_000.0), st.sampled_from((Side.BUY, Side.SELL)))
def test_the_limit_is_the_last_price_within_reach(reference_half_ticks, bps, side):
    reference = reference_half_ticks / 2

    limit = limit_ticks_within_bps(side, reference, bps)

    reach, distance = Fraction(reference) * Fraction(bps) / 10_000, 1 if side == Side.SELL else -1
    rounding = Fraction(reference) / 10**12
    assert (limit - Fraction(reference)) * distance <= reach + rounding
    assert (limit + distance - Fraction(reference)) * distance > reach - rounding


@pytest.mark.parametrize("book_class", [SortedBook, ReferenceBook])
def test_the_hash_is_that_of_the_canonical_text(book_class):
    instrument, book = make_instrument(tick_size="0.50", lot_size="0.10"), book_class()
    batch = make_batch(delta(bids=[(199, 10), (200, 5)], asks=[(201, 1), (400, 20)]))
    book.apply(batch.sides, batch.ticks, batch.lots, 0, 4)

    text = "bid,100,0.5\nbid,99.5,1\nask,100.5,0.1\nask,200,2"
    assert book_hash(book, instrument) == hashlib.sha256(text.encode()).hexdigest()


def test_the_hash_of_an_empty_book_is_that_of_no_text():
    assert book_hash(SortedBook(), make_instrument()) == hashlib.sha256(b"").hexdigest()

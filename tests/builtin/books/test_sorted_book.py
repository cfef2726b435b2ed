"""The book `sorted` agrees with the reference book after every message, whatever its window has been through."""

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.books.sorted_book import SORTED, SortedBook
from mmframe.domain.market import Side, Touch
from mmframe.ports import Book
from mmframe.testing import build_component
from mmframe.testing.reference import ReferenceBook

SIDES = (Side.BUY, Side.SELL)
BEST = {Side.BUY: 1_000, Side.SELL: 1_001}
AWAY = {Side.BUY: -1, Side.SELL: 1}

# Blocks of neighbouring levels: lengths around the window's bounds (12, 128, 256) and the bulk limit (512), so that a
# few draws cut, drain and refill it. Depth 0 is the best price of a full book.
BLOCK = st.tuples(
    st.sampled_from(SIDES),
    st.one_of(st.just(0), st.integers(0, 300)),
    st.sampled_from((1, 2, 11, 12, 13, 100, 127, 128, 129, 245, 256, 257, 400, 600)),
    st.integers(0, 3),
)
SINGLE = st.tuples(st.sampled_from(SIDES), st.integers(0, 700), st.just(1), st.integers(0, 1_000_000))
MESSAGE = st.lists(st.one_of(BLOCK, SINGLE), max_size=4)


def changes_of(message):
    return [
        (side, BEST[side] + AWAY[side] * (depth + step), lots)
        for side, depth, length, lots in message
        for step in range(length)
    ]


def apply(book, changes):
    # Entries before and after the range must not be read.
    rows = [(0, 7, 7), *changes, (1, 8, 8)]
    sides, ticks, lots = (array(code, column) for code, column in zip("bqq", zip(*rows, strict=True), strict=True))
    book.apply(sides, ticks, lots, 1, len(rows) - 1)


def assert_equal_books(book, reference):
    assert book.touch() == reference.touch()
    for side in SIDES:
        count = reference.level_count(side)
        assert book.level_count(side) == count
        for depth in (-1, 0, 1, 10, 12, 128, 129, count - 1, count, count + 1):
            assert book.levels(side, depth) == reference.levels(side, depth)
        for depth in (-1, 0, 5, 11, 127, 128, 300, 5_000):
            ticks = BEST[side] + AWAY[side] * depth
            assert book.lots_through(side, ticks) == reference.lots_through(side, ticks)
            assert book.lots_at(side, ticks) == reference.lots_at(side, ticks)
    assert book.version == reference.version


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(MESSAGE, st.just("clear")), min_size=1, max_size=12))
def test_it_answers_as_the_reference_book_after_every_message(messages):
    book, reference = SortedBook(), ReferenceBook()

    for message in messages:
        if message == "clear":
            book.clear()
            reference.clear()
        else:
            apply(book, changes_of(message))
            apply(reference, changes_of(message))

        assert_equal_books(book, reference)


@pytest.mark.parametrize("side", SIDES)
def test_a_side_eaten_level_by_level_stays_exact_through_every_refill(side):
    book, reference = SortedBook(), ReferenceBook()
    levels = [(side, BEST[side] + AWAY[side] * depth, depth + 1) for depth in range(400)]
    for each in (book, reference):
        apply(each, levels)

    for _, ticks, _ in levels:
        for each in (book, reference):
            apply(each, [(side, ticks, 0)])

        assert book.touch() == reference.touch()
        assert book.levels(side, 20) == reference.levels(side, 20)
        assert book.lots_through(side, ticks + AWAY[side] * 200) == reference.lots_through(
            side, ticks + AWAY[side] * 200
        )


@pytest.mark.parametrize("side", SIDES)
def test_the_level_at_the_edge_of_the_window_may_leave_and_come_back(side):
    book, reference = SortedBook(), ReferenceBook()
    edge = BEST[side] + AWAY[side] * 127
    messages = [
        [(side, BEST[side] + AWAY[side] * depth, 1) for depth in range(600)],
        [(side, edge, 0)],
        [(side, edge, 5)],
        [(side, edge, 0)],
    ]

    for message in messages:
        for each in (book, reference):
            apply(each, message)

        for ticks in (edge - 1, edge, edge + 1):
            assert book.lots_through(side, ticks) == reference.lots_through(side, ticks)


@pytest.mark.parametrize("side", SIDES)
def test_a_market_that_runs_away_keeps_the_best_levels_in_reach(side):
    book, reference = SortedBook(), ReferenceBook()

    for step in range(1_000):
        for each in (book, reference):
            apply(each, [(side, BEST[side] + 1_000 - AWAY[side] * step, step + 1)])

        assert book.levels(side, 15) == reference.levels(side, 15)


def test_a_change_repeated_in_one_message_counts_as_the_last_one_says():
    book = SortedBook()

    apply(book, [(Side.BUY, 99, 5), (Side.BUY, 99, 0), (Side.SELL, 101, 1), (Side.SELL, 101, 7)])

    assert book.touch() == Touch(0, 0, 101, 7)


def test_removing_an_absent_level_changes_nothing_but_the_version():
    book = SortedBook()
    apply(book, [(Side.BUY, 99, 5)])

    apply(book, [(Side.BUY, 98, 0), (Side.SELL, 98, 0)])

    assert book.touch() == Touch(99, 5, 0, 0)
    assert book.version == 2


def test_clearing_is_no_message_and_forgets_the_touch():
    book = SortedBook()
    apply(book, [(Side.BUY, 99, 5), (Side.SELL, 101, 5)])
    book.touch()

    book.clear()

    assert book.touch() == Touch(0, 0, 0, 0)
    assert book.version == 1


def test_the_largest_prices_of_a_column_are_ordered_like_any_other():
    book = SortedBook()
    largest = 2**63 - 1

    apply(book, [(Side.BUY, -largest, 1), (Side.BUY, 1, 2), (Side.SELL, largest, 3), (Side.SELL, 2, 4)])

    assert book.levels(Side.BUY, 2) == [(1, 2), (-largest, 1)]
    assert book.levels(Side.SELL, 2) == [(2, 4), (largest, 3)]


def test_the_spec_builds_a_book():
    assert isinstance(build_component(SORTED), Book)

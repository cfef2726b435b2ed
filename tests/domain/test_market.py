"""A market batch holds messages as columns and says when its columns cannot be."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.errors import DomainError
from mmframe.testing.strategies import l2_streams

MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(MessageKind),
        st.integers(0, 10**18),
        st.lists(st.tuples(st.sampled_from(Side), st.integers(-(2**62), 2**62), st.integers(0, 2**62)), max_size=5),
    ),
    max_size=8,
)


def batch():
    made = MarketBatch(1)
    made.add(MessageKind.SNAPSHOT, exchange_ns=5, receive_ns=10, changes=[(Side.BUY, 99, 1), (Side.SELL, 101, 2)])
    made.add(MessageKind.GAP, exchange_ns=15, receive_ns=20)
    made.add(MessageKind.TRADE, exchange_ns=25, receive_ns=20, changes=[(Side.UNKNOWN, 100, 3)])
    return made


@given(MESSAGES)
def test_what_is_added_is_read_back(messages):
    made, receive_ns = MarketBatch(0), 0
    for kind, step_ns, changes in messages:
        receive_ns = max(receive_ns, step_ns)
        made.add(kind, exchange_ns=step_ns, receive_ns=receive_ns, changes=changes)

    made.validate()

    assert len(made) == len(messages)
    assert list(made.kinds) == [kind for kind, _, _ in messages]
    assert [made.changes(index) for index in range(len(made))] == [changes for _, _, changes in messages]


@given(l2_streams())
def test_generated_streams_are_valid(stream):
    for each in stream:
        each.validate()


def test_it_shows_its_size_and_not_its_content():
    assert repr(batch()) == "MarketBatch(market=1, messages=3, changes=3)"


def test_a_message_may_be_closed_over_columns_filled_by_a_parser():
    made = MarketBatch(0)
    for column, value in ((made.sides, 0), (made.ticks, 99), (made.lots, 4)):
        column.append(value)

    made.end_message(MessageKind.DELTA, exchange_ns=1, receive_ns=2)

    assert made.changes(0) == [(0, 99, 4)]


@pytest.mark.parametrize(
    ("column", "index", "value", "problem"),
    [
        ("kinds", 1, 9, "batch message 1: expected a MessageKind, was 9"),
        ("receive_ns", 2, 19, "batch message 2: receive_ns went back from 20 to 19"),
        ("offsets", 2, 1, "batch message 1: offset went back from 2 to 1"),
        ("offsets", 0, 1, "batch.offsets: expected to run from 0 to 3, was 1 to 3"),
        ("offsets", 3, 2, "batch.offsets: expected to run from 0 to 3, was 0 to 2"),
        ("sides", 1, 3, "batch change 1: expected a Side and lots >= 0, was 3, 2"),
        ("lots", 2, -3, "batch change 2: expected a Side and lots >= 0, was 2, -3"),
    ],
)
def test_a_wrong_entry_is_named(column, index, value, problem):
    made = batch()
    getattr(made, column)[index] = value

    with pytest.raises(DomainError) as caught:
        made.validate()

    assert caught.value.message == problem


@pytest.mark.parametrize("column", ["exchange_ns", "receive_ns", "offsets", "sides", "lots"])
def test_a_column_of_the_wrong_length_is_named(column):
    made = batch()
    expected = len(getattr(made, column))
    getattr(made, column).append(0)

    with pytest.raises(DomainError) as caught:
        made.validate()

    assert caught.value.message == f"batch.{column}: expected {expected} entries, was {expected + 1}"


def test_an_empty_batch_is_valid():
    MarketBatch(0).validate()

    assert MarketBatch(0).offsets == array("q", [0])

"""The comparison of the rebuilt touch with the exchange's own, step by step."""

from __future__ import annotations

import random

import pytest

from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.errors import DomainError
from mmframe.testing import make_instrument
from mmframe_binance.crosscheck import TICKERS_HELD_MAX, TouchCheck
from mmframe_binance.wire import BookTicker

GRID = make_instrument("BTC/USDT", tick_size="1", lot_size="1")


def ticker(update_id, bid="100", bid_size="1", ask="101", ask_size="1"):
    return BookTicker(u=update_id, s="BTCUSDT", b=bid, B=bid_size, a=ask, A=ask_size)


def told(kind, *changes):
    batch = MarketBatch(0)
    batch.add(kind, exchange_ns=1, receive_ns=1, changes=changes)
    return batch


BOOK = ((Side.BUY, 100, 1), (Side.SELL, 101, 1))


@pytest.fixture
def check():
    made = TouchCheck(GRID, 1)
    assert not made.follow(told(MessageKind.SNAPSHOT, *BOOK), 0, 10)
    return made


def test_only_one_more_than_are_allowed_in_a_row_is_lasting(check):
    wrong, right = ticker(10, "99"), ticker(10)

    assert [check.on_ticker(each, 10) for each in (wrong, right, wrong, wrong)] == [False, False, False, True]
    assert (check.compared, check.disagreed) == (4, 3)


@pytest.mark.parametrize("kind", [MessageKind.GAP, MessageKind.SNAPSHOT])
def test_a_book_that_begins_anew_has_not_disagreed_yet(check, kind):
    check.on_ticker(ticker(10, "99"), 10)
    check.follow(told(MessageKind.GAP), 0, 10)
    assert not check.on_ticker(ticker(10, "99"), 10), "a void book has no touch to compare"
    check.follow(told(MessageKind.SNAPSHOT, *BOOK), 0, 20)

    assert not check.on_ticker(ticker(20, "99"), 20)
    assert check.on_ticker(ticker(20, "99"), 20)


def test_a_side_that_is_empty_agrees_with_zeros(check):
    check.follow(told(MessageKind.DELTA, (Side.BUY, 100, 0)), 0, 11)

    assert not check.on_ticker(ticker(11, "0.00000000", "0.00000000"), 11)
    assert (check.compared, check.disagreed) == (1, 0)


def test_a_ticker_that_cannot_be_read_is_an_error_and_compares_nothing(check):
    with pytest.raises(DomainError, match="BTC/USDT price"):
        check.on_ticker(ticker(10, "1.5"), 10)

    assert check.compared == 0


def test_tickers_that_wait_are_bounded_and_those_of_the_past_forgotten(check):
    for number in range(TICKERS_HELD_MAX + 10):
        check.on_ticker(ticker(11 + number), 10)
    assert len(check._told) == TICKERS_HELD_MAX

    check.follow(told(MessageKind.DELTA), 0, 10 + TICKERS_HELD_MAX)

    assert len(check._told) == 10
    assert check.compared == 1


def test_a_sound_book_never_disagrees_whatever_comes_between():
    """Against a plain book of every change: each change is told at once, the diffs in batches behind them."""
    source, bids, asks = random.Random(7), {90: 5}, {110: 5}
    check = TouchCheck(GRID, 0)
    check.follow(told(MessageKind.SNAPSHOT, (Side.BUY, 90, 5), (Side.SELL, 110, 5)), 0, 0)
    update_id, compared = 0, 0
    for _ in range(300):
        changes = {}
        for _ in range(source.randint(1, 6)):
            side, levels = source.choice([(Side.BUY, bids), (Side.SELL, asks)])
            ticks, lots = source.randint(90, 99) + 11 * side, source.choice([0, 1, 2, 3])
            update_id += 1
            if lots or len(levels) > 1 or ticks not in levels:
                levels[ticks] = lots
                levels = {price: size for price, size in levels.items() if size}
                bids, asks = (levels, asks) if side is Side.BUY else (bids, levels)
                changes[side, ticks] = lots
            bid, ask = max(bids), min(asks)
            assert not check.on_ticker(ticker(update_id, str(bid), str(bids[bid]), str(ask), str(asks[ask])), compared)
        compared = update_id
        batch = told(MessageKind.DELTA, *((side, ticks, lots) for (side, ticks), lots in changes.items()))
        assert not check.follow(batch, 0, update_id)

    assert (check.compared, check.disagreed) == (300, 0)

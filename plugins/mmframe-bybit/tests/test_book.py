"""What one symbol's messages become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.market import MessageKind, Side
from mmframe.errors import DomainError
from mmframe_bybit.book import BookCounts, SymbolBook, TradeTape
from mmframe_bybit.window import Window
from mmframe_bybit.wire import parse_frame


@pytest.fixture
def book(capture):
    return SymbolBook(capture.btc, 50)


def feed(book, batch, *frames):
    """Hand frames over as bytes; return what they became, as `(kind, changes)`."""
    start = len(batch)
    for number, frame in enumerate(frames):
        book.on_book(parse_frame(frame), batch, 1_000 + number)
    batch.validate()
    return [(MessageKind(batch.kinds[index]).name, batch.changes(index)) for index in range(start, len(batch))]


@pytest.fixture
def start(capture):
    """Return the snapshot u=900 of bids 100, 99 and ask 101."""
    return capture.book("snapshot", 900, bids=[["100", "1"], ["99", "2"]], asks=[["101", "1"]])


SNAPSHOT = ("SNAPSHOT", [(0, 200, 1000), (0, 198, 2000), (1, 202, 1000)])


def test_snapshot_and_deltas_are_written_as_they_come(book, batch, capture, start):
    written = feed(
        book,
        batch,
        start,
        capture.book("delta", 901, bids=[["100", "0"]]),
        capture.book("delta", 902, asks=[["100.5", "3"]], ms=7),
    )

    assert written == [SNAPSHOT, ("DELTA", [(0, 200, 0)]), ("DELTA", [(1, 201, 3000)])]
    assert book.is_synced
    assert (book.last_u, book.last_seq) == (902, 902_000)
    # The matching engine's time, not the gateway's.
    assert batch.exchange_ns[2] == capture.base_ns + 2_000_000
    assert list(batch.receive_ns) == [1_000, 1_001, 1_002]


def test_the_gateways_time_stands_in_for_a_missing_one(book, batch, capture, start):
    frame = start.replace(b'"cts"', b'"old"')

    feed(book, batch, frame)

    assert batch.exchange_ns[0] == capture.base_ns


def test_a_gap_applies_nothing_until_the_next_snapshot(book, batch, capture, start):
    written = feed(
        book,
        batch,
        start,
        capture.book("delta", 905, bids=[["100", "0"]]),
        capture.book("delta", 906, bids=[["99", "0"]]),
        capture.book("snapshot", 950, bids=[["90", "1"]], asks=[["91", "1"]]),
        capture.book("delta", 951, bids=[["90.5", "1"]]),
    )

    assert [kind for kind, _ in written] == ["SNAPSHOT", "GAP", "SNAPSHOT", "DELTA"]
    assert written[1][1] == []
    assert book.counts == BookCounts(snapshots=2, deltas=3, applied=3, early=1, gaps=1)


def test_a_snapshot_in_the_middle_says_that_something_is_missing(book, batch, capture, start):
    written = feed(book, batch, start, capture.book("snapshot", 950, bids=[["90", "1"]], asks=[["91", "1"]]))

    assert [kind for kind, _ in written] == ["SNAPSHOT", "GAP", "SNAPSHOT"]
    assert book.is_synced
    assert book.counts.gaps == 1


def test_u_of_one_replaces_the_book_whatever_its_type(book, batch, capture, start):
    written = feed(
        book,
        batch,
        start,
        capture.book("delta", 1, bids=[["90", "1"], ["89", "0"]], asks=[["91", "1"]], seq=5),
        capture.book("delta", 2, bids=[["90", "0"]], seq=6),
    )

    assert written[1:] == [("GAP", []), ("SNAPSHOT", [(0, 180, 1000), (1, 182, 1000)]), ("DELTA", [(0, 180, 0)])]


def test_repeated_snapshots_of_depth_one_make_no_message(capture, batch):
    book = SymbolBook(capture.btc, 1)
    levels = {"bids": [["100", "1"]], "asks": [["101", "1"]], "depth": 1}
    later = capture.book("snapshot", 9, bids=[["100", "2"]], asks=[["101", "1"]], depth=1)

    written = feed(book, batch, *(capture.book("snapshot", 7, seq=seq, **levels) for seq in (70, 75, 80)), later)

    assert [kind for kind, _ in written] == ["SNAPSHOT", "SNAPSHOT"]
    assert book.counts == BookCounts(snapshots=4, applied=2, repeats=2)


def test_a_repeated_number_with_another_book_is_no_repeat(book, batch, capture, start):
    other = capture.book("snapshot", 900, bids=[["100", "1"]], asks=[["101", "1"]])

    written = feed(book, batch, start, other)

    assert written == [SNAPSHOT, ("SNAPSHOT", [(0, 200, 1000), (1, 202, 1000)])]
    assert book.counts.repeats == 0


def test_a_duplicated_delta_changes_nothing(book, batch, capture, start):
    delta = capture.book("delta", 901, bids=[["100", "0"]])

    written = feed(book, batch, start, delta, delta)

    assert [kind for kind, _ in written] == ["SNAPSHOT", "DELTA"]
    assert book.counts.stale == 1


@pytest.mark.parametrize("bid", ["101", "101.5"], ids=["locked", "crossed"])
def test_a_crossed_book_is_void(book, batch, capture, start, bid):
    written = feed(
        book,
        batch,
        start,
        capture.book("delta", 901, bids=[[bid, "1"]]),
        capture.book("delta", 902, bids=[[bid, "0"]]),
    )

    assert written == [SNAPSHOT, ("GAP", [])]
    assert not book.is_synced
    assert (book.counts.crossed, book.counts.gaps, book.counts.early) == (1, 1, 1)


def test_a_crossed_first_snapshot_makes_no_message(book, batch, capture):
    assert feed(book, batch, capture.book("snapshot", 5, bids=[["101", "1"]], asks=[["100", "1"]])) == []
    assert not book.is_synced


def test_a_touch_that_moved_away_and_was_met_is_not_crossed(book, batch, capture, start):
    written = feed(
        book,
        batch,
        start,
        capture.book("delta", 901, bids=[["100", "0"]]),
        capture.book("delta", 902, asks=[["99.5", "1"]]),
        capture.book("delta", 903, bids=[["98.5", "1"], ["99", "0"]], asks=[["99", "1"]]),
    )

    assert [kind for kind, _ in written] == ["SNAPSHOT", "DELTA", "DELTA", "DELTA"]


@pytest.mark.parametrize(
    ("bids", "message"),
    [
        ([["100.3", "1"]], "BTC/USDT price: expected a multiple of tick_size 0.5, was '100.3'"),
        ([["100", "0.0001"]], "BTC/USDT size: expected a multiple of lot_size 0.001, was '0.0001'"),
        ([["0", "1"]], "BTC/USDT price: expected above 0, was '0'"),
        ([["100", "-1"]], "BTC/USDT size: expected 0 or above, was '-1'"),
        ([["NaN", "1"]], "BTC/USDT price: expected a finite number of sane magnitude, was 'NaN'"),
        ([["100", "NaN"]], "BTC/USDT size: expected a finite number of sane magnitude, was 'NaN'"),
        ([["1E+1000000", "1"]], "BTC/USDT price: expected a finite number of sane magnitude, was '1E+1000000'"),
        ([["100", "Infinity"]], "BTC/USDT size: expected a finite number of sane magnitude, was 'Infinity'"),
        ([["", "1"]], "BTC/USDT price: expected a decimal number, was ''"),
        ([["1_00", "1"]], "BTC/USDT price: expected a decimal number, was '1_00'"),
    ],
)
@pytest.mark.parametrize("kind", ["delta", "snapshot"])
def test_a_number_that_is_none_voids_the_book(book, batch, capture, start, kind, bids, message):
    feed(book, batch, start)

    with pytest.raises(DomainError) as caught:
        feed(book, batch, capture.book(kind, 901, bids=[["99.5", "1"], *bids], asks=[["102", "1"]]))

    assert caught.value.message == message
    assert not book.is_synced
    assert batch.kinds[-1] == MessageKind.GAP
    assert feed(book, batch, capture.book("delta", 902)) == []
    assert feed(book, batch, start) == [SNAPSHOT]


def test_a_snapshot_deeper_than_its_topic_is_an_error(batch, capture):
    book = SymbolBook(capture.btc, 1)

    with pytest.raises(DomainError) as caught:
        feed(book, batch, capture.book("snapshot", 5, depth=1, bids=[["100", "1"], ["99", "1"]]))

    assert caught.value.message == "orderbook.1.BTCUSDT: expected a snapshot of at most 1 levels a side, was 2"


def test_levels_beyond_the_depth_are_removed(batch, capture):
    book = SymbolBook(capture.btc, 1)
    snapshot = capture.book("snapshot", 5, depth=1, bids=[["100", "1"]], asks=[["102", "1"]])
    delta = capture.book("delta", 6, depth=1, bids=[["100.5", "1"]], asks=[["101", "1"]])

    written = feed(book, batch, snapshot, delta)

    assert written[1] == ("DELTA", [(0, 201, 1000), (0, 200, 0), (1, 202, 1000), (1, 204, 0)])
    assert book.counts.trimmed_levels == 2


def test_a_lost_connection_voids_the_book_once(book, batch, start):
    feed(book, batch, start)

    book.lose(batch, 5_000, 5_000)
    book.lose(batch, 6_000, 6_000)

    assert list(batch.kinds) == [MessageKind.SNAPSHOT, MessageKind.GAP]
    assert book.counts.gaps == 1


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([Side.BUY, Side.SELL]), st.integers(90, 110), st.integers(0, 2)), max_size=6
        ),
        max_size=30,
    )
)
def test_the_window_agrees_with_plain_dicts(messages):
    window, depth = Window(4), 4
    books = {Side.BUY: {}, Side.SELL: {}}
    for message in messages:
        for side in (Side.BUY, Side.SELL):
            changes = [(tick, lot) for which, tick, lot in message if which is side]
            window.apply(side, [tick for tick, _ in changes], [lot for _, lot in changes])
            for tick, lot in changes:
                books[side][tick] = lot
            books[side] = {tick: lot for tick, lot in books[side].items() if lot}
            ranked = sorted(books[side], reverse=side is Side.BUY)
            assert sorted(window.trim(side)) == sorted(ranked[depth:])
            books[side] = {tick: books[side][tick] for tick in ranked[:depth]}
        is_crossed = bool(books[Side.BUY] and books[Side.SELL]) and max(books[Side.BUY]) >= min(books[Side.SELL])
        assert window.is_crossed() == is_crossed
        if is_crossed:
            window.clear()
            books = {Side.BUY: {}, Side.SELL: {}}


def tape(capture, batch, frame):
    counts = BookCounts()
    TradeTape(capture.btc, counts).on_trades(parse_frame(frame), batch, 9_000)
    batch.validate()
    return counts, [(MessageKind(kind).name, batch.changes(index)) for index, kind in enumerate(batch.kinds)]


def test_trades_of_one_moment_are_one_message(capture, batch):
    frame = capture.trades(["Sell", "100", "1"], ["Sell", "99.5", "2"], ["Buy", "101", "0.5"], times_ms=(0, 0, 3))

    counts, written = tape(capture, batch, frame)

    assert written == [("TRADE", [(1, 200, 1000), (1, 199, 2000)]), ("TRADE", [(0, 202, 500)])]
    assert list(batch.exchange_ns) == [capture.base_ns, capture.base_ns + 3_000_000]
    assert (counts.trades, counts.off_book_trades) == (3, 0)


def test_block_trades_are_off_the_book(capture, batch):
    counts, written = tape(capture, batch, capture.trades(["Buy", "101", "500"], block=True))

    assert written == [("OFF_BOOK_TRADE", [(0, 202, 500_000)])]
    assert counts.off_book_trades == 1


def test_a_trade_frame_with_a_bad_number_writes_nothing(capture, batch):
    with pytest.raises(DomainError) as caught:
        tape(capture, batch, capture.trades(["Buy", "101", "1"], ["Buy", "101", "0"]))

    assert caught.value.message == "BTC/USDT size: expected above 0, was '0'"
    assert len(batch) == len(batch.ticks) == 0


def test_no_trades_are_no_message(capture, batch):
    assert tape(capture, batch, capture.trades()) == (BookCounts(), [])

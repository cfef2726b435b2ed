"""Trades, and several files and markets as one stream."""

from __future__ import annotations

import pytest

from mmframe.domain.market import Side
from mmframe.errors import DataError, DomainError

BUY, SELL, UNKNOWN = int(Side.BUY), int(Side.SELL), int(Side.UNKNOWN)


def test_the_side_of_a_trade_is_the_takers(recording):
    recording.trades(
        "trades.csv",
        recording.trade(0, "buy", "101", "1"),
        recording.trade(1, "sell", "100", "2"),
        recording.trade(2, "unknown", "100", "3"),
        recording.trade(3, "", "100", "4"),
    )

    assert recording.messages() == [
        (0, "TRADE", 0, [(BUY, 202, 1000)]),
        (0, "TRADE", 1, [(SELL, 200, 2000)]),
        (0, "TRADE", 2, [(UNKNOWN, 200, 3000)]),
        (0, "TRADE", 3, [(UNKNOWN, 200, 4000)]),
    ]


def test_trades_received_together_are_one_message_unless_they_happened_apart(recording):
    recording.trades(
        "trades.csv",
        recording.trade(5, "buy", "101", "1"),
        recording.trade(5, "buy", "101.5", "2"),
        recording.trade(5, "buy", "102", "3", lag_ms=4),
    )

    assert [len(message[3]) for message in recording.messages()] == [2, 1]


def test_files_are_merged_by_local_timestamp_and_ties_go_by_file_order(recording):
    recording.changes("book.csv", *recording.sample)
    recording.trades(
        "trades.csv",
        recording.trade(-5, "buy", "101", "1"),
        recording.trade(0, "buy", "101", "1"),
        recording.trade(100, "sell", "100", "1"),
        recording.trade(150, "sell", "99.5", "1"),
    )

    def order(*paths):
        return [(kind, ms) for _, kind, ms, _ in recording.messages(paths=paths)]

    assert order("book.csv", "trades.csv") == [
        ("TRADE", -5),
        ("SNAPSHOT", 0),
        ("TRADE", 0),
        ("DELTA", 100),
        ("TRADE", 100),
        ("TRADE", 150),
    ]
    assert order("trades.csv", "book.csv") == [
        ("TRADE", -5),
        ("TRADE", 0),
        ("SNAPSHOT", 0),
        ("TRADE", 100),
        ("DELTA", 100),
        ("TRADE", 150),
    ]


def test_markets_of_several_files_are_in_one_order(recording):
    recording.changes("btc.csv", *recording.sample, recording.change(300, "bid", "99", "1"))
    recording.changes(
        "eth.csv",
        *(recording.change(ms, "bid", "10.01", "1", snapshot=ms == 50, symbol="ETHUSDT") for ms in (50, 60, 200)),
    )

    found = recording.messages(instruments=(recording.eth, recording.btc))

    assert [(market, ms) for market, _, ms, _ in found] == [(1, 0), (0, 50), (0, 60), (1, 100), (0, 200), (1, 300)]


def test_a_file_of_many_instruments_is_filtered_by_symbol(recording):
    recording.changes(
        "grouped.csv",
        recording.change(0, "bid", "100", "1", snapshot=True),
        recording.change(0, "bid", "10.01", "1", snapshot=True, symbol="ETHUSDT"),
        recording.change(0, "bid", "7", "1", snapshot=True, symbol="XRPUSDT"),
        recording.change(5, "bid", "100", "2"),
        recording.change(5, "bid", "10.01", "2", symbol="ETHUSDT"),
    )
    history = recording.history(instruments=(recording.btc, recording.eth))

    found = [(batch.market, batch.receive_ns[0]) for batch in history.batches()]

    assert [market for market, _ in found] == [0, 1, 0, 1]
    assert history.counts["grouped.csv"].foreign_rows == 1


def test_the_book_of_a_later_file_begins_behind_a_gap(recording):
    recording.changes("day1.csv", *recording.sample)
    recording.changes(
        "day2.csv", recording.change(500, "bid", "98", "1"), recording.change(501, "bid", "97", "1", snapshot=True)
    )
    recording.trades("trades1.csv", recording.trade(1, "buy", "101", "1"))
    recording.trades("trades2.csv", recording.trade(600, "buy", "101", "1"))

    kinds = [(kind, ms) for _, kind, ms, _ in recording.messages()]

    assert kinds == [
        ("SNAPSHOT", 0),
        ("TRADE", 1),
        ("DELTA", 100),
        ("GAP", 501),
        ("SNAPSHOT", 501),
        ("TRADE", 600),
    ]


@pytest.mark.parametrize("kind", ["changes", "trades"])
def test_files_of_one_market_that_overlap_in_time_are_an_error(recording, kind):
    row = recording.change if kind == "changes" else recording.trade
    side = "bid" if kind == "changes" else "buy"
    for name, times in (("a.csv", (0, 10, 20)), ("b.csv", (5, 15))):
        rows = [row(ms, side, "100", "1") for ms in times]
        if kind == "changes":
            rows[0] = rows[0].replace("false", "true")
        getattr(recording, kind)(name, *rows)

    with pytest.raises(DataError) as caught:
        recording.messages()

    what = "book changes" if kind == "changes" else "trades"
    assert caught.value.message == f"a.csv: its {what} overlap in time with those of b.csv"
    assert caught.value.hint == "name each period of a market once in `paths`"


def test_patterns_match_files_in_sorted_order(recording):
    recording.changes("book_2.csv", recording.change(500, "bid", "98", "1", snapshot=True))
    recording.changes("book_1.csv", *recording.sample)

    history = recording.history(paths=("book_*.csv",))

    assert list(history.counts) == ["book_1.csv", "book_2.csv"]


class TestSymbols:
    def test_rows_can_be_named_for_a_market(self, recording):
        recording.changes("book.csv", recording.change(0, "bid", "100", "1", snapshot=True, symbol="XBTUSD"))

        assert len(recording.messages(symbols=("xbtusd=BTC/USDT",))) == 1

    def test_an_exchange_can_be_named_where_a_symbol_exists_twice(self, recording):
        for name in ("bybit", "bybit-spot"):
            recording.changes(
                f"{name}.csv",
                recording.change(0, "bid", "100", "1" if name == "bybit" else "2", snapshot=True, exchange=name),
                recording.change(0, "bid", "7", "1", snapshot=True, exchange=name, symbol="OTHER"),
            )

        with pytest.raises(DataError) as caught:
            recording.messages()
        assert caught.value.message == (
            "bybit-spot.csv:2: BTC/USDT: rows of 'BTCUSDT' come from two exchanges, 'bybit' and 'bybit-spot'"
        )
        assert caught.value.hint == 'choose one: symbols = ["bybit:BTCUSDT=BTC/USDT"]'

        found = recording.messages(paths=("bybit-spot.csv",), symbols=("bybit-spot:BTCUSDT=BTC/USDT",))
        assert found == [(0, "SNAPSHOT", 0, [(BUY, 200, 2000)])]

    @pytest.mark.parametrize("entry", ["BTCUSDT", "=BTC/USDT", "BTCUSDT=DOGE/USDT"])
    def test_an_entry_that_means_nothing_is_an_error(self, recording, entry):
        recording.changes("book.csv", *recording.sample)

        with pytest.raises(DomainError) as caught:
            recording.history(symbols=(entry,))

        assert caught.value.message == f"symbols: expected 'SYMBOL=BASE/QUOTE' with one of ['BTC/USDT'], was {entry!r}"

    def test_two_markets_cannot_take_the_same_rows(self, recording):
        recording.changes("book.csv", *recording.sample)

        with pytest.raises(DomainError) as caught:
            recording.history(instruments=(recording.btc, recording.eth), symbols=("BTCUSDT=ETH/USDT",))

        assert caught.value.message == "symbols: ETH/USDT and BTC/USDT both take the rows of 'BTCUSDT'"

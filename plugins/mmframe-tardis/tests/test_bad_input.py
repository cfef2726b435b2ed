"""What cannot be read is an error with file and line, or counted and skipped where the strategy file says so."""

from __future__ import annotations

import gzip
import logging

import pytest

from mmframe.errors import DataError, DomainError

SKIP_HINT = 'say on_bad_row = "skip" to count such rows and go on'
GRID_HINT = "set tick_size and lot_size of the market to the steps of the venue at that time"

GOOD = "binance,BTCUSDT,1700000000200000,1700000000200000,false,bid,100,7"
BAD_ROWS = {
    "truncated row": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bi",
        "expected 8 columns, was 6: 'binance,BTCUSDT,1700000000150000,1700000000150000,false,bi'",
        SKIP_HINT,
    ),
    "unknown side": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,buy,100,1",
        "side: expected one of 'bid', 'ask', was 'buy'",
        SKIP_HINT,
    ),
    "unknown flag": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,True,bid,100,1",
        "is_snapshot: expected one of 'true', 'false', was 'True'",
        SKIP_HINT,
    ),
    "off-grid price": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bid,100.3,1",
        "BTC/USDT price: expected a multiple of tick_size 0.5, was '100.3'",
        GRID_HINT,
    ),
    "off-grid size": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bid,100,0.0001",
        "BTC/USDT size: expected a multiple of lot_size 0.001, was '0.0001'",
        GRID_HINT,
    ),
    "price of zero": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bid,0,1",
        "BTC/USDT price: expected above 0, was '0'",
        SKIP_HINT,
    ),
    "negative amount": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bid,100,-1",
        "BTC/USDT size: expected 0 or above, was '-1'",
        SKIP_HINT,
    ),
    "no amount": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bid,100,",
        "BTC/USDT size: expected a decimal number, was ''",
        SKIP_HINT,
    ),
    "NaN": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bid,NaN,1",
        "BTC/USDT price: expected a finite number of sane magnitude, was 'NaN'",
        SKIP_HINT,
    ),
    "grouped digits": (
        "binance,BTCUSDT,1700000000150000,1700000000150000,false,bid,1_00,1",
        "BTC/USDT price: expected a decimal number, was '1_00'",
        SKIP_HINT,
    ),
    "milliseconds": (
        "binance,BTCUSDT,1700000000150,1700000000150,false,bid,100,1",
        "local_timestamp: expected microseconds since 1970, 16 digits, was '1700000000150'",
        SKIP_HINT,
    ),
    "broken exchange time": (
        "binance,BTCUSDT,x,1700000000150000,false,bid,100,1",
        "timestamp: expected microseconds since 1970, 16 digits, was 'x'",
        SKIP_HINT,
    ),
    "time goes back": (
        "binance,BTCUSDT,1700000000050000,1700000000050000,false,bid,100,1",
        "local_timestamp: expected 1700000000100000 or later, was 1700000000050000",
        SKIP_HINT,
    ),
    "header again": (
        "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount",
        "local_timestamp: expected microseconds since 1970, 16 digits, was 'local_timestamp'",
        SKIP_HINT,
    ),
}
bad_rows = pytest.mark.parametrize(("row", "message", "hint"), BAD_ROWS.values(), ids=BAD_ROWS.keys())


@bad_rows
@pytest.mark.parametrize("name", ["book.csv", "book.csv.gz"])
def test_a_bad_row_is_an_error_with_file_line_and_way_out(recording, name, row, message, hint):
    recording.changes(name, *recording.sample, row, GOOD)

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert caught.value.message == f"{name}:6: {message}"
    assert (caught.value.file, caught.value.line, caught.value.hint) == (name, 6, hint)


@bad_rows
@pytest.mark.parametrize("filler", [0, 3000], ids=["first block", "later block"])
def test_a_bad_row_is_counted_and_skipped_on_request(recording, row, message, hint, filler):
    good = [GOOD.replace("200000", "100000")] * filler
    recording.changes("book.csv", *recording.sample, *good, row, GOOD)
    history = recording.history(on_bad_row="skip")

    found = [batch.changes(index) for batch in history.batches() for index in range(len(batch))]

    assert found[-1] == [(0, 200, 7000)]
    assert sum(map(len, found)) == 4 + filler + 1
    assert history.counts["book.csv"].bad_rows == 1


def test_the_line_of_a_bad_row_deep_in_a_file_is_right(recording):
    good = [GOOD.replace("200000", "100000")] * 5000
    recording.changes("book.csv", *recording.sample, *good, BAD_ROWS["off-grid price"][0])

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert caught.value.line == 5006


def test_a_trade_of_nothing_is_an_error(recording):
    recording.trades("trades.csv", recording.trade(0, "buy", "100", "0"))

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert caught.value.message == "trades.csv:2: BTC/USDT size: expected above 0, was '0'"


def test_a_quote_with_a_price_and_no_size_is_an_error(recording):
    recording.quotes("quotes.csv", recording.quote(0, "1", "101", "100", ""))

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert caught.value.message == "quotes.csv:2: BTC/USDT size: expected a decimal number, was ''"


@pytest.mark.parametrize("name", ["book.csv", "book.csv.gz"])
def test_a_last_line_without_its_end_is_an_error(recording, name):
    recording.changes(name, *recording.sample, end="")

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert caught.value.message == (
        f"{name}:5: the last line has no line end and may be cut off: {recording.sample[-1]!r}"
    )


def test_a_cut_off_gzip_file_is_an_error_and_on_request_used_up_to_there(recording, caplog):
    rows = [recording.change(ms, "bid", "100", f"0.{ms:03}") for ms in range(1000)]
    data = "\n".join(["exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount", *rows, ""])
    whole = gzip.compress(data.replace("false", "true", 1).encode())
    recording.put("book.csv.gz", whole[: len(whole) * 2 // 3])

    with pytest.raises(DataError) as caught:
        recording.messages()
    assert "the gzip stream is cut off" in caught.value.message
    assert caught.value.hint == 'fetch the file again, or say on_bad_row = "skip" to use it up to here'

    history = recording.history(on_bad_row="skip")
    with caplog.at_level(logging.WARNING):
        list(history.batches())
    assert history.counts["book.csv.gz"].bad_rows == 1
    assert [(record.message, record.damage) for record in caplog.records] == [
        ("history_read", "the gzip stream is cut off")
    ]


def test_a_broken_gzip_file_is_an_error(recording):
    whole = bytearray(gzip.compress(b"exchange,symbol\n" * 1000))
    whole[20] ^= 0xFF
    recording.put("book.csv.gz", bytes(whole))

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert "the gzip stream is broken" in caught.value.message


def test_a_file_that_is_no_text_is_an_error(recording):
    recording.changes("book.csv", recording.sample[0].replace("BTC", "\u20bf"))

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert caught.value.message == "book.csv:1: expected ASCII text, was byte 0xe2"


@pytest.mark.parametrize("data", [b"", gzip.compress(b"")], ids=["empty file", "empty gzip"])
def test_a_day_without_data_is_no_error(recording, data):
    recording.put("empty.csv.gz", data)
    recording.changes("book.csv", *recording.sample)

    assert len(recording.messages()) == 2


def test_a_header_alone_is_no_error(recording):
    recording.changes("book.csv")

    assert recording.messages() == []


def test_a_header_of_another_kind_is_an_error_before_anything_runs(recording):
    recording.write("funding.csv", "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate")

    with pytest.raises(DataError) as caught:
        recording.history()

    assert caught.value.message == (
        "funding.csv:1: the header is that of no kind that can be read (incremental_book_L2, trades, book_snapshot_N, "
        "quotes); of incremental_book_L2 it lacks is_snapshot, side, price, amount"
    )


def test_two_kinds_of_book_are_an_error(recording):
    recording.changes("book.csv", *recording.sample)
    recording.quotes("quotes.csv", recording.quote(0, "1", "101", "100", "2"))

    with pytest.raises(DataError) as caught:
        recording.history()

    assert caught.value.message == "quotes.csv: its quotes and the incremental_book_L2 of book.csv both make the book"


def test_a_file_without_any_row_of_ours_is_an_error(recording):
    recording.changes("book.csv", recording.change(0, "bid", "7", "1", snapshot=True, symbol="XRPUSDT"))

    with pytest.raises(DataError) as caught:
        recording.messages()

    assert caught.value.message == (
        "book.csv: no row is of a market of the strategy: expected BTCUSDT, was binance:XRPUSDT"
    )
    assert caught.value.hint == 'set venue_symbol of the market, or add to [history] symbols = ["XRPUSDT=BTC/USDT"]'


def test_a_missing_file_is_an_error(recording):
    with pytest.raises(DomainError) as caught:
        recording.history(paths=("nowhere.csv",))

    assert caught.value.message == "paths: no file 'nowhere.csv' beside the strategy file"


def test_a_file_named_twice_is_an_error(recording):
    recording.changes("book.csv", *recording.sample)

    with pytest.raises(DomainError) as caught:
        recording.history(paths=("book.csv", "*.csv"))

    assert caught.value.message == "paths: 'book.csv' is named twice"


def test_no_file_at_all_is_an_error(recording):
    with pytest.raises(DomainError) as caught:
        recording.history()

    assert caught.value.message == "paths: expected at least one file, was none"

"""The book, fed with captures of real markets, agrees with an independent replay and with the venue itself."""

import gzip
import hashlib
import json
from array import array

import pytest

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.domain.depth import book_hash
from mmframe.domain.market import Side
from mmframe.testing import make_instrument

CAPTURES = {
    "nexousdt_spot": make_instrument("NEXO/USDT", tick_size="0.001", lot_size="0.01"),
    # Rests of orders from days of a finer grid are off today's lot of 0.00001, such as 25.426189.
    "btcusdt_spot": make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.00000001"),
    "btcusdt_usdm_2023": make_instrument("BTC/USDT", tick_size="0.1", lot_size="0.001"),
}


def frames(folder, files):
    for file in files:
        with gzip.open(folder / file, "rt") as lines:
            for line in lines:
                frame = json.loads(line.partition(" ")[2])
                yield frame.get("data", frame)


def apply(book, instrument, bids, asks):
    rows = [(side, *level) for side, levels in ((0, bids), (1, asks)) for level in levels]
    sides = array("b", [side for side, _, _ in rows])
    ticks = array("q", [instrument.price_ticks(price) for _, price, _ in rows])
    lots = array("q", [instrument.size_lots(size) for _, _, size in rows])
    book.apply(sides, ticks, lots, 0, len(rows))


def top_hash(book, instrument, depth):
    lines = [
        f"{name},{instrument.price(ticks).normalize():f},{instrument.size(lots).normalize():f}"
        for side, name in ((Side.BUY, "bid"), (Side.SELL, "ask"))
        for ticks, lots in book.levels(side, depth)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def ticker_touch(instrument, ticker):
    price, size = instrument.price_ticks, instrument.size_lots
    return (price(ticker["b"]), size(ticker["B"]), price(ticker["a"]), size(ticker["A"]))


@pytest.mark.parametrize("name", CAPTURES)
def test_the_rebuilt_book_equals_every_oracle_of_the_capture(shared_data, name):
    expected = json.loads((shared_data / "checks.json").read_text())["binance"][name]
    marks = {mark["applied"]: mark for mark in expected["marks"]}
    instrument, book = CAPTURES[name], SortedBook()
    snapshot_id, last_id, waiting, tickers = None, None, [], {}
    applied = compared = disagreed = crossed = 0

    for frame in frames(shared_data, expected["files"]):
        kind = frame.get("e")
        if kind is None and "lastUpdateId" in frame:
            snapshot_id = frame["lastUpdateId"]
            book.clear()
            apply(book, instrument, frame["bids"], frame["asks"])
            due = [event for event in waiting if event["u"] >= snapshot_id + (name != "btcusdt_usdm_2023")]
        elif kind == "bookTicker" or "B" in frame:
            tickers[frame["u"]] = frame
            if frame["u"] == last_id:
                compared += 1
                disagreed += book.touch() != ticker_touch(instrument, frame)
            continue
        elif kind == "depthUpdate" and snapshot_id is None:
            waiting.append(frame)
            continue
        else:
            due = [frame] if kind == "depthUpdate" else []
        for event in due:
            apply(book, instrument, event["b"], event["a"])
            applied += 1
            last_id = event["u"]
            touch = book.touch()
            crossed += touch.bid_ticks >= touch.ask_ticks
            if last_id in tickers:
                compared += 1
                disagreed += touch != ticker_touch(instrument, tickers[last_id])
            if mark := marks.get(applied):
                assert (mark["u"], mark["levels"]) == (last_id, [book.level_count(side) for side in (0, 1)])
                assert mark["top20_sha256"] == top_hash(book, instrument, 20)

    assert applied == expected["applied"]
    assert crossed == 0
    assert disagreed == 0
    # The independent replay compared with tickers that came first; here those that came after the depth count as well.
    assert compared >= expected["book_ticker_equal"]
    assert [book.level_count(Side.BUY), book.level_count(Side.SELL)] == expected["final_levels"]
    assert book_hash(book, instrument) == expected["final_book_sha256"]

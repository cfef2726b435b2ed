"""Real recorded books agree with every oracle that comes with them."""

from __future__ import annotations

import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from mmframe.domain.depth import book_hash
from mmframe.domain.market import MessageKind, Side
from mmframe.testing import build_component, make_instrument, make_options
from mmframe.testing.reference import ReferenceBook
from mmframe_tardis.plugin import HISTORIES

NEXO = make_instrument("NEXO/USDT", tick_size="0.001", lot_size="0.01")


def open_history(folder, *names, instrument, **options):
    values = {"paths": tuple(map(Path, names)), **options}
    return build_component(
        HISTORIES[0], make_options(HISTORIES[0], values), instruments=(instrument,), directory=folder
    )


def name(kind):
    return f"binance_{kind}_2024-07-23_NEXOUSDT.csv.gz"


@pytest.fixture(scope="module")
def derived(shared_data):
    return shared_data / "tardis_derived"


@pytest.fixture(scope="module")
def expected(shared_data):
    checks = json.loads((shared_data / "checks.json").read_text())
    return checks["tardis_derived"]["NEXOUSDT_20240723"]


@pytest.fixture(scope="module")
def replayed(derived):
    """Return the book at the end, the counts, and per local_timestamp (us) the touch and top 25 after its message."""
    history = open_history(derived, name("incremental_book_L2"), instrument=NEXO)
    book = ReferenceBook()
    snapshots = rows_by_time(derived, "book_snapshot_25")
    quotes = rows_by_time(derived, "quotes")
    touches, tops = {}, {}
    for batch in history.batches():
        for index in range(len(batch)):
            if batch.kinds[index] == MessageKind.SNAPSHOT:
                book.clear()
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
            time = batch.receive_ns[index] // 1000
            if time in quotes:
                touches[time] = book.touch()
            if time in snapshots:
                tops[time] = {side: book.levels(side, 25) for side in (Side.BUY, Side.SELL)}
    return book, history.counts, touches, tops


def rows_by_time(folder, kind):
    with gzip.open(folder / name(kind), "rt", newline="") as file:
        return {int(row["local_timestamp"]): row for row in csv.DictReader(file)}


def test_the_final_book_has_the_expected_hash_and_touch(replayed, expected):
    book, counts, _, _ = replayed

    assert book_hash(book, NEXO) == expected["final_book_sha256"]
    bid_ticks, bid_lots, ask_ticks, ask_lots = book.touch()
    best = [[NEXO.price(bid_ticks), NEXO.size(bid_lots)], [NEXO.price(ask_ticks), NEXO.size(ask_lots)]]
    assert best == [[Decimal(text) for text in level] for level in expected["final_best"]]
    assert counts[name("incremental_book_L2")].rows == expected["rows_incremental"]


def test_the_touch_equals_every_quote(replayed, derived, expected):
    _, _, touches, _ = replayed
    quotes = rows_by_time(derived, "quotes")

    assert len(quotes) == expected["rows_quotes"] == len(touches)
    for time, row in quotes.items():
        was = touches[time]
        assert was == (
            NEXO.price_ticks(row["bid_price"]),
            NEXO.size_lots(row["bid_amount"]),
            NEXO.price_ticks(row["ask_price"]),
            NEXO.size_lots(row["ask_amount"]),
        )


def test_the_top_of_the_book_equals_every_snapshot(replayed, derived, expected):
    _, _, _, tops = replayed
    snapshots = rows_by_time(derived, "book_snapshot_25")

    assert len(snapshots) == expected["rows_book_snapshot_25"] == len(tops)
    for time, row in snapshots.items():
        for side, word in ((Side.BUY, "bids"), (Side.SELL, "asks")):
            levels = [
                (NEXO.price_ticks(row[f"{word}[{level}].price"]), NEXO.size_lots(row[f"{word}[{level}].amount"]))
                for level in range(25)
            ]
            assert tops[time][side] == levels


def test_the_snapshot_file_gives_the_same_books_as_the_changes(replayed, derived):
    _, _, _, tops = replayed
    history = open_history(derived, name("book_snapshot_25"), instrument=NEXO)

    count = 0
    for batch in history.batches():
        for index in range(len(batch)):
            changes = batch.changes(index)
            top = tops[batch.receive_ns[index] // 1000]
            assert sorted(changes) == sorted((side, *level) for side, levels in top.items() for level in levels)
            count += 1
    assert count == len(tops)


def test_every_trade_comes_once_and_in_order(derived, expected):
    history = open_history(derived, name("incremental_book_L2"), name("trades"), instrument=NEXO)

    trades, last_ns = 0, 0
    for batch in history.batches():
        batch.validate()
        assert batch.receive_ns[0] >= last_ns
        last_ns = batch.receive_ns[-1]
        trades += batch.kinds.count(MessageKind.TRADE)

    assert trades == expected["rows_trades"]


@pytest.mark.parametrize(
    ("file", "instrument", "symbol", "rows", "kinds"),
    [
        pytest.param(
            "binance-futures_book_snapshot_25_BTCUSDT.csv",
            make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001"),
            "BTCUSDT",
            10,
            {MessageKind.SNAPSHOT},
            id="book_snapshot_25",
        ),
        pytest.param(
            "binance-futures_book_snapshot_5_BTCUSDT.csv",
            make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001"),
            "BTCUSDT",
            10,
            {MessageKind.SNAPSHOT},
            id="book_snapshot_5",
        ),
        pytest.param(
            "deribit_incremental_book_L2_BTC-PERPETUAL.csv",
            make_instrument("BTC/USD", tick_size="0.5", lot_size="10"),
            "BTC-PERPETUAL",
            15,
            {MessageKind.SNAPSHOT},
            id="incremental_book_L2",
        ),
    ],
)
def test_the_vendors_own_files_are_read(shared_data, file, instrument, symbol, rows, kinds):
    history = open_history(
        shared_data / "tardis_real", file, instrument=instrument, symbols=(f"{symbol}={instrument.symbol}",)
    )

    batches = list(history.batches())

    assert history.counts[file].rows == rows
    assert {kind for batch in batches for kind in batch.kinds} == kinds

"""Real captures against exact oracles: counts, ids, book hashes, and the exchange's own touch wherever ids coincide."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

from mmframe.builtin.books import BOOKS
from mmframe.domain.depth import book_hash
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.testing import build_component, make_instrument
from mmframe_binance.book import SymbolBook
from mmframe_binance.plugin import HISTORIES
from mmframe_binance.sync import SpotContinuity, UsdmContinuity
from mmframe_binance.wire import BookTicker, DepthSnapshot, DepthUpdate, parse_frame

# Levels may be older than the last change of a step (25.42618900 BTC, 0.25974 NKN): a finer one keeps them exact.
GRIDS = {
    "nexousdt_spot": ("NEXO/USDT", "0.001", "0.01", "spot"),
    "btcusdt_spot": ("BTC/USDT", "0.01", "0.00000001", "spot"),
    "start2021_nknusdt": ("NKN/USDT", "0.00001", "0.1", "spot"),
    "start2021_blzeth": ("BLZ/ETH", "0.00000001", "1", "spot"),
    "start2021_lrcbtc": ("LRC/BTC", "0.00000001", "1", "spot"),
    "start2021_runeeur": ("RUNE/EUR", "0.001", "0.1", "spot"),
    "btcusdt_usdm_2023": ("BTC/USDT", "0.1", "0.001", "usdm"),
    "start2021_usdm_sushiusdt": ("SUSHI/USDT", "0.001", "1", "usdm"),
    "start2021_usdm_akrousdt": ("AKRO/USDT", "0.00001", "1", "usdm"),
}


@pytest.fixture(scope="session")
def oracles(shared_data):
    return json.loads((shared_data / "checks.json").read_text())["binance"]


def instrument(name):
    symbol, tick, lot, _ = GRIDS[name]
    return make_instrument(symbol, tick_size=tick, lot_size=lot)


def top_hash(book, grid, count=20):
    lines = []
    for side, word in ((Side.BUY, "bid"), (Side.SELL, "ask")):
        for ticks, lots in book.levels(side, count):
            price, size = grid.price(ticks).normalize(), grid.size(lots).normalize()
            lines.append(f"{word},{price:f},{size:f}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def history(name, oracle, shared_data):
    options = HISTORIES[0].options(paths=tuple(Path(file) for file in oracle["files"]), product=GRIDS[name][3])
    return build_component(HISTORIES[0], options, instruments=(instrument(name),), directory=shared_data)


@pytest.mark.parametrize("name", GRIDS)
def test_a_capture_replays_to_its_oracle(name, oracles, shared_data):
    oracle, grid = oracles[name], instrument(name)
    made = history(name, oracle, shared_data)
    book = build_component(BOOKS[0])
    marks = {mark["applied"]: mark for mark in oracle["marks"]}
    applied = crossed = traded_lots = 0

    for batch in made.batches():
        batch.validate()
        for index, kind in enumerate(batch.kinds):
            start, end = batch.offsets[index], batch.offsets[index + 1]
            if kind in {MessageKind.TRADE, MessageKind.OFF_BOOK_TRADE}:
                traded_lots += sum(batch.lots[start:end])
                continue
            assert kind != MessageKind.GAP
            if kind == MessageKind.SNAPSHOT:
                book.clear()
            book.apply(batch.sides, batch.ticks, batch.lots, start, end)
            touch = book.touch()
            crossed += touch.bid_ticks >= touch.ask_ticks
            applied += kind == MessageKind.DELTA
            if kind == MessageKind.DELTA and applied in marks:
                mark = marks[applied]
                assert top_hash(book, grid) == mark["top20_sha256"]
                assert [book.level_count(Side.BUY), book.level_count(Side.SELL)] == mark["levels"]

    counts = made.counts[grid.symbol]
    assert (counts.depth_updates, counts.stale) == (oracle["depth_events"], oracle["dropped_stale"])
    assert (counts.applied, applied) == (oracle["applied"], oracle["applied"])
    assert (counts.gaps, crossed) == (0, 0)
    assert made._books[0].last_id == oracle["last_u"]
    assert book_hash(book, grid) == oracle["final_book_sha256"]
    if GRIDS[name][0] in {"NEXO/USDT", "BTC/USDT"}:
        assert (counts.trades, counts.off_book_trades) == (oracle["trades"], oracle["offbook_trades"])
        assert grid.size(traded_lots) == Decimal(oracle["trade_qty_sum"])


def frames(oracle, shared_data):
    for file in oracle["files"]:
        with gzip.open(shared_data / file) as lines:
            for line in lines:
                yield line.partition(b" ")[2]


@pytest.mark.parametrize("name", [name for name in GRIDS if name != "start2021_runeeur"])
def test_the_touch_is_the_exchanges_own_wherever_ids_coincide(name, oracles, shared_data):
    """Every `bookTicker` whose id is a diff's last id shows the very touch that the rebuilt book has there."""
    oracle, grid = oracles[name], instrument(name)
    rule = SpotContinuity() if GRIDS[name][3] == "spot" else UsdmContinuity()
    symbol, book, batch = SymbolBook(grid, rule), build_component(BOOKS[0]), MarketBatch(0)
    told, at_id, checked = {}, {}, 0
    for frame in frames(oracle, shared_data):
        message = parse_frame(frame)
        if isinstance(message, BookTicker):
            told[message.u] = (
                grid.price_ticks(message.b),
                grid.size_lots(message.B),
                grid.price_ticks(message.a),
                grid.size_lots(message.A),
            )
            continue
        if isinstance(message, DepthSnapshot):
            symbol.on_snapshot(message, batch, 1)
        elif isinstance(message, DepthUpdate):
            symbol.on_depth(message, batch, 1)
        for index, kind in enumerate(batch.kinds):
            if kind == MessageKind.SNAPSHOT:
                book.clear()
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
        batch = MarketBatch(0)
        if symbol.is_synced and isinstance(message, DepthUpdate):
            at_id[symbol.last_id] = tuple(book.touch())
    for update_id, touch in at_id.items():
        if update_id in told:
            checked += 1
            assert told[update_id] == touch
    # The oracle compares only tickers that came before the diff.
    assert checked >= oracle["book_ticker_checked"]


def test_a_capture_without_a_snapshot_never_shows_a_book(oracles, shared_data):
    oracle = oracles["btcusdt_spot_nosnapshot"]
    options = HISTORIES[0].options(paths=tuple(Path(file) for file in oracle["files"]))
    made = build_component(HISTORIES[0], options, instruments=(instrument("btcusdt_spot"),), directory=shared_data)

    kinds = {kind for batch in made.batches() for kind in batch.kinds}

    assert kinds == {MessageKind.TRADE}
    counts = made.counts["BTC/USDT"]
    assert (counts.depth_updates, counts.applied, counts.trades) == (oracle["depth_events"], 0, oracle["trades"])


def truth(updates, snapshot, grid, rule):
    """Return the true touch after each diff's last id, from the undisturbed stream."""
    symbol, book = SymbolBook(grid, rule), build_component(BOOKS[0])
    after = {}
    for message in (snapshot, *updates):
        batch = MarketBatch(0)
        if isinstance(message, DepthSnapshot):
            symbol.on_snapshot(message, batch, 1)
        else:
            symbol.on_depth(message, batch, 1)
        for index, kind in enumerate(batch.kinds):
            if kind == MessageKind.SNAPSHOT:
                book.clear()
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
        after[symbol.last_id] = tuple(book.touch())
    return after


@pytest.mark.parametrize("name", ["nexousdt_spot", "btcusdt_spot", "btcusdt_usdm_2023"])
@pytest.mark.parametrize("damage", ["delete", "duplicate", "swap"])
def test_a_damaged_stream_is_void_or_right_and_never_wrong(name, damage, oracles, shared_data):
    grid, source = instrument(name), random.Random(f"{name} {damage}")
    make_rule = SpotContinuity if GRIDS[name][3] == "spot" else UsdmContinuity
    snapshot, updates = None, []
    for frame in frames(oracles[name], shared_data):
        message = parse_frame(frame)
        if isinstance(message, DepthSnapshot):
            snapshot = message
        elif isinstance(message, DepthUpdate):
            updates.append(message)
        if len(updates) == 1500:
            break
    after = truth(updates, snapshot, grid, make_rule())
    damaged = list(updates)
    for place in sorted(source.sample(range(100, 1400), 20), reverse=True):
        if damage == "delete":
            del damaged[place]
        elif damage == "duplicate":
            damaged.insert(place + source.randrange(3), damaged[place])
        else:
            damaged[place], damaged[place + 1] = damaged[place + 1], damaged[place]

    symbol, book, shown, voids = SymbolBook(grid, make_rule()), build_component(BOOKS[0]), 0, 0
    for message in (snapshot, *damaged):
        batch = MarketBatch(0)
        if isinstance(message, DepthSnapshot):
            symbol.on_snapshot(message, batch, 1)
        else:
            symbol.on_depth(message, batch, 1)
        for index, kind in enumerate(batch.kinds):
            if kind == MessageKind.SNAPSHOT:
                book.clear()
            if kind == MessageKind.GAP:
                voids += 1
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
        if symbol.is_synced:
            shown += 1
            assert tuple(book.touch()) == after[symbol.last_id]

    assert shown > 10
    assert voids == (0 if damage == "duplicate" else 1)

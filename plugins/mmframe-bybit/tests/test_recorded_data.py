"""Captures of the exchange, against figures that another program found; and the same captures damaged."""

from __future__ import annotations

import gzip
import json
import random
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmframe.builtin.books import BOOKS
from mmframe.domain.depth import book_hash
from mmframe.domain.instrument import Instrument
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.testing import ReferenceBook, build_component, make_options
from mmframe_bybit.book import SymbolBook
from mmframe_bybit.instruments import parse_instruments
from mmframe_bybit.plugin import HISTORIES
from mmframe_bybit.wire import BookFrame, book_topic, parse_frame

SORTED = next(spec for spec in BOOKS if spec.name == "sorted")

# Markets that the recorded instruments do not list: the steps that their prices and sizes show.
UNLISTED = {
    "BANDUSDT": Instrument(symbol="BAND/USDT", tick_size=Decimal("0.0001"), lot_size=Decimal("0.1")),
    "RADUSDT": Instrument(symbol="RAD/USDT", tick_size=Decimal("0.0001"), lot_size=Decimal("0.1")),
    "SNTUSDT": Instrument(symbol="SNT/USDT", tick_size=Decimal("0.00001"), lot_size=Decimal(1)),
    "AIOZUSDT": Instrument(symbol="AIOZ/USDT", tick_size=Decimal("0.0001"), lot_size=Decimal(1)),
}
TOPICS = {
    "linear_btcusdt_20260809.raw.gz": ("orderbook.200.BTCUSDT",),
    "linear_solusdt_20260809.raw.gz": ("orderbook.200.SOLUSDT",),
    "spot_btcusdt_20260809.raw.gz": ("orderbook.200.BTCUSDT",),
    "l1_linear_20250613.raw.gz": tuple(f"orderbook.1.{symbol}" for symbol in UNLISTED),
    "hist_ob500_xrpusdt_20241201.data.gz": ("orderbook.500.XRPUSDT",),
}
each_capture = pytest.mark.parametrize("name", TOPICS)


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "bybit_v5"


@pytest.fixture(scope="module")
def listed(shared_data):
    files = shared_data / "instruments"
    return {
        category: parse_instruments((files / f"bybit_{category}_instruments_20260809_subset.json").read_bytes())
        for category in ("linear", "spot")
    }


@pytest.fixture(scope="module")
def instrument_of(listed):
    def find(name, symbol):
        page = listed["spot" if name.startswith("spot") else "linear"]
        return UNLISTED.get(symbol) or page.instruments[symbol]

    return find


def open_history(folder, names, instruments, **options):
    values = make_options(HISTORIES[0], {"paths": tuple(map(Path, names)), **options})
    return build_component(HISTORIES[0], values, instruments=instruments, directory=folder)


def symbols_of(name):
    return [book_topic(topic).symbol for topic in TOPICS[name]]


@pytest.fixture(scope="module")
def expected(shared_data):
    return json.loads((shared_data / "checks.json").read_text())["bybit"]


@each_capture
def test_it_replays_whole_with_the_expected_final_book(folder, expected, instrument_of, name):
    instruments = tuple(instrument_of(name, symbol) for symbol in symbols_of(name))
    history = open_history(folder, [name], instruments, category="linear")
    books = [build_component(SORTED, make_options(SORTED), instruments=(each,)) for each in instruments]
    synced, last_ns = set(), 0

    for batch in history.batches():
        batch.validate()
        book = books[batch.market]
        for index in range(len(batch)):
            assert batch.receive_ns[index] >= last_ns
            last_ns = batch.receive_ns[index]
            kind = batch.kinds[index]
            if kind == MessageKind.TRADE:
                continue
            assert kind in {MessageKind.SNAPSHOT, MessageKind.DELTA}
            if kind == MessageKind.SNAPSHOT:
                book.clear()
                synced.add(batch.market)
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
            touch = book.touch()
            assert 0 < touch.bid_ticks < touch.ask_ticks

    assert history.bad_frames == 0
    assert synced == set(range(len(instruments)))
    for topic, instrument, book in zip(TOPICS[name], instruments, books, strict=True):
        oracle = expected[name][topic]
        counts = history.counts[instrument.symbol]
        assert book_hash(book, instrument) == oracle["final_book_sha256"]
        assert [book.level_count(Side.BUY), book.level_count(Side.SELL)] == oracle["levels"]
        bid_ticks, bid_lots, ask_ticks, ask_lots = book.touch()
        assert [instrument.price(bid_ticks), instrument.size(bid_lots)] == list(map(Decimal, oracle["best_bid"]))
        assert [instrument.price(ask_ticks), instrument.size(ask_lots)] == list(map(Decimal, oracle["best_ask"]))
        assert (counts.snapshots, counts.deltas) == (oracle["snapshot"], oracle.get("delta", 0))
        assert counts.repeats == oracle.get("repeat_same_u", 0)
        assert counts.applied == counts.snapshots + counts.deltas - counts.repeats
        assert (counts.gaps, counts.stale, counts.early, counts.crossed, counts.trimmed_levels) == (0, 0, 0, 0, 0)
        trades = expected[name].get(topic.replace("orderbook.200", "publicTrade"), {}).get("trades", 0)
        assert (counts.trades, counts.off_book_trades) == (trades, 0)


def book_frames(folder, name, topic):
    """Return the frames of one topic, parsed, in order."""
    with gzip.open(folder / name) as file:
        frames = [parse_frame(line if line.startswith(b"{") else line.partition(b" ")[2]) for line in file]
    return [frame for frame in frames if isinstance(frame, BookFrame) and frame.topic == topic]


@each_capture
def test_number_and_seq_end_as_expected(folder, expected, instrument_of, name):
    for topic in TOPICS[name]:
        book = SymbolBook(instrument_of(name, book_topic(topic).symbol), book_topic(topic).depth)
        batch = MarketBatch(0)

        for frame in book_frames(folder, name, topic):
            book.on_book(frame, batch, 0)

        assert (book.last_u, book.last_seq) == (expected[name][topic]["last_u"], expected[name][topic]["last_seq"])


def test_captures_of_several_markets_are_merged_by_receive_time(folder, expected, listed):
    names = ["linear_solusdt_20260809.raw.gz", "linear_btcusdt_20260809.raw.gz"]
    instruments = tuple(listed["linear"].instruments[symbol] for symbol in ("BTCUSDT", "SOLUSDT"))
    history = open_history(folder, names, instruments, category="linear")
    merged, books = [], [ReferenceBook(), ReferenceBook()]

    for batch in history.batches():
        for index in range(len(batch)):
            merged.append((batch.receive_ns[index], batch.market))
            if batch.kinds[index] != MessageKind.TRADE:
                books[batch.market].apply(
                    batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1]
                )

    assert [time for time, _ in merged] == sorted(time for time, _ in merged)
    assert sum(before[1] != after[1] for before, after in pairwise(merged)) > 100
    for book, instrument, name in zip(books, instruments, reversed(names), strict=True):
        assert book_hash(book, instrument) == expected[name][TOPICS[name][0]]["final_book_sha256"]


class Recording:
    """One topic's frames, and the true book after each of them, kept with plain decimals and dicts."""

    def __init__(self, folder, name, topic, instrument):
        self.topic = book_topic(topic)
        self.instrument = instrument
        self.frames = book_frames(folder, name, topic)
        self.truth = {}
        sides = {}
        for frame in self.frames:
            if frame.type == "snapshot":
                sides = {"b": {}, "a": {}}
            for side, levels in sides.items():
                for price, size in getattr(frame.data, side):
                    levels[Decimal(price)] = Decimal(size)
                    if not Decimal(size):
                        del levels[Decimal(price)]
            bid, ask = max(sides["b"]), min(sides["a"])
            self.truth[frame.data.u] = ((bid, sides["b"][bid]), (ask, sides["a"][ask]))

    def check(self, frames):
        """Feed `frames`; fail if a book that says it is in sync shows a touch that never was at its `u`.

        Return how many messages were shown, and whether the book was in sync at the end.
        """
        book, batch, shown = SymbolBook(self.instrument, self.topic.depth), MarketBatch(0), ReferenceBook()
        seen, is_synced, count, newest_seq = 0, False, 0, -1
        for frame in frames:
            book.on_book(frame, batch, 0)
            for index in range(seen, len(batch)):
                kind = batch.kinds[index]
                assert kind != MessageKind.DELTA or is_synced
                is_synced = kind != MessageKind.GAP
                if kind == MessageKind.SNAPSHOT:
                    shown.clear()
                shown.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
                count += 1
            seen = len(batch)
            assert book.is_synced == is_synced
            if is_synced:
                touch = shown.touch()
                assert self.truth[book.last_u] == (
                    (self.instrument.price(touch.bid_ticks), self.instrument.size(touch.bid_lots)),
                    (self.instrument.price(touch.ask_ticks), self.instrument.size(touch.ask_lots)),
                )
                # Nor does it go back in time without having been void.
                assert book.last_seq >= newest_seq
                newest_seq = book.last_seq
            else:
                newest_seq = -1
        return count, is_synced

    def snapshot_at(self, index):
        """Return what the exchange would send as a snapshot after frame `index`: the whole true book."""
        book, batch = SymbolBook(self.instrument, self.topic.depth), MarketBatch(0)
        levels = {"b": {}, "a": {}}
        for frame in self.frames[: index + 1]:
            book.on_book(frame, batch, 0)
            for side, known in levels.items():
                known.update(getattr(frame.data, side))
        frame = self.frames[index]
        whole = {side: [level for level in known.items() if Decimal(level[1])] for side, known in levels.items()}
        data = type(frame.data)(s=frame.data.s, b=whole["b"], a=whole["a"], u=frame.data.u, seq=frame.data.seq)
        return BookFrame(topic=frame.topic, type="snapshot", ts=frame.ts, data=data, cts=frame.cts)


@pytest.fixture(scope="module")
def recordings(folder, instrument_of):
    return {
        (name, topic): Recording(folder, name, topic, instrument_of(name, book_topic(topic).symbol))
        for name, topics in TOPICS.items()
        for topic in topics
    }


def test_undamaged_every_touch_is_true_and_the_book_stays_in_sync(recordings):
    for recording in recordings.values():
        count, is_synced = recording.check(recording.frames)

        assert is_synced
        assert count == len({frame.data.u for frame in recording.frames})


def damaged(frames, chance):
    """Return `frames` with some lines deleted, doubled, swapped with the next, or repeated much later."""
    found = list(frames)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(found) - 1)
        how = chance.choice(("delete", "double", "swap", "repeat"))
        if how == "delete":
            del found[place : place + chance.choice((1, 1, 5))]
        elif how == "double":
            found.insert(place, found[place])
        elif how == "swap":
            found[place], found[place + 1] = found[place + 1], found[place]
        else:
            found.insert(chance.randrange(place, len(found)), found[place])
        if len(found) < 2:
            break
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_damaged_no_touch_in_sync_is_ever_wrong(recordings, seed):
    chance = random.Random(seed)
    recording = chance.choice(list(recordings.values()))

    recording.check(damaged(recording.frames, chance))


@pytest.mark.parametrize("seed", range(8))
def test_damaged_it_comes_back_with_the_next_snapshot(recordings, seed):
    chance = random.Random(seed)
    recording = recordings["linear_solusdt_20260809.raw.gz", "orderbook.200.SOLUSDT"]
    frames = recording.frames
    half = len(frames) // 2
    first = damaged(frames[:half], chance)
    again = [recording.snapshot_at(half + 10), *frames[half + 11 :]]

    count, is_synced = recording.check([*first, frames[half + 5], *again])

    assert is_synced
    assert count >= len(again)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_file_is_replayed_to_its_end(folder, tmp_path, listed, seed):
    chance = random.Random(seed)
    name = "linear_btcusdt_20260809.raw.gz"
    with gzip.open(folder / name) as file:
        lines = file.readlines()
    for place in sorted(chance.sample(range(10, len(lines)), 5), reverse=True):
        lines[place] = chance.choice((b"", b"<html>\n", lines[place][: len(lines[place]) // 2] + b"\n"))
    (tmp_path / "a.raw").write_bytes(b"".join(lines))
    instrument = listed["linear"].instruments["BTCUSDT"]

    history = open_history(tmp_path, ["a.raw"], (instrument,), on_bad_frame="skip")
    kinds = [kind for batch in history.batches() for kind in batch.kinds]
    counts = history.counts[instrument.symbol]

    assert history.progress() == 1.0
    assert counts.gaps == kinds.count(MessageKind.GAP) <= 1
    assert counts.applied == kinds.count(MessageKind.DELTA) + kinds.count(MessageKind.SNAPSHOT)
    assert counts.applied + counts.early + counts.gaps == counts.snapshots + counts.deltas

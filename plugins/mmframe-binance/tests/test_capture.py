from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mmframe.domain.market import Side
from mmframe.errors import DataError, DomainError
from mmframe.testing import HistoryConformance, PluginConformance, build_component, make_instrument
from mmframe_binance import plugin
from mmframe_binance.book import HELD_UPDATES_MAX, SymbolBook
from mmframe_binance.sync import SpotContinuity
from mmframe_binance.wire import FrameError, parse_frame

BASE = 1_700_000_000_000


def test_diffs_before_the_snapshot_wait_for_it_and_old_ones_are_dropped(capture, wire):
    read = capture(
        [
            wire.depth(95, 99, bids=[("90", "9")]),
            wire.depth(100, 103, bids=[("99", "2")]),
            wire.snapshot(101),
            wire.depth(104, 105, asks=[("102", "3")]),
        ]
    )

    counts = read.history.counts["BTC/USDT"]
    assert read.kinds == ["SNAPSHOT", "DELTA", "DELTA"]
    assert (counts.stale, counts.applied, counts.gaps) == (1, 2, 0)
    assert read.books[0].levels(Side.BUY, 9) == [(10_000, 1000), (9_900, 2000)]
    assert read.books[0].levels(Side.SELL, 9) == [(10_100, 1000), (10_200, 3000)]


def test_a_gap_applies_nothing_and_voids_the_book_until_the_next_snapshot(capture, wire):
    read = capture(
        [
            wire.snapshot(100),
            wire.depth(101, 101, bids=[("99", "1")]),
            wire.depth(103, 104, bids=[("98", "1")]),
            wire.depth(105, 106, bids=[("97", "1")]),
            wire.snapshot(104),
            wire.depth(107, 107),
        ]
    )

    assert read.kinds == ["SNAPSHOT", "DELTA", "GAP", "SNAPSHOT", "DELTA", "DELTA"]
    assert read.history.counts["BTC/USDT"].gaps == 1
    assert [ticks for ticks, _ in read.books[0].levels(Side.BUY, 9)] == [10_000, 9_700]


def test_a_snapshot_older_than_the_diffs_held_is_not_used(capture, wire):
    read = capture([wire.depth(110, 111), wire.snapshot(100), wire.snapshot(109), wire.depth(112, 113)])

    assert read.kinds == ["SNAPSHOT", "DELTA", "DELTA"]
    assert read.history.counts["BTC/USDT"].old_snapshots == 1


def test_futures_follow_the_previous_id(capture, wire):
    read = capture(
        [
            wire.snapshot(100),
            wire.depth(90, 100, previous=89),
            wire.depth(120, 130, previous=100),
            wire.depth(150, 160, previous=129),
        ],
        product="usdm",
    )

    assert read.kinds == ["SNAPSHOT", "DELTA", "DELTA", "GAP"]


def test_trades_tell_the_taker_and_those_off_the_book_are_marked(capture, wire):
    read = capture(
        [
            wire.trade("100.5", "0.01"),
            wire.trade("100.4", "0.02", sold=True),
            wire.trade("200", "1", X="INSURANCE_FUND"),
            wire.frame("btcusdt@aggTrade", e="aggTrade", E=BASE, s="BTCUSDT", a=1, p="100", q="0.5", f=1, l=2, m=False),
        ]
    )

    assert read.messages == [
        (0, read.messages[0][1], [(Side.BUY, 10_050, 10)]),
        (0, read.messages[0][1], [(Side.SELL, 10_040, 20)]),
        (0, read.messages[2][1], [(Side.BUY, 20_000, 1000)]),
        (0, read.messages[0][1], [(Side.BUY, 10_000, 500)]),
    ]
    assert read.kinds == ["TRADE", "TRADE", "OFF_BOOK_TRADE", "TRADE"]
    assert read.history.counts["BTC/USDT"].off_book_trades == 1


def test_streams_that_say_nothing_of_book_or_tape_are_passed_over(capture, wire):
    read = capture(
        [
            wire.frame("btcusdt@kline_1m", e="kline"),
            wire.frame("btcusdt@bookTicker", u=1, s="BTCUSDT", b="1", B="1", a="2", A="1"),
            '{"result":null,"id":1}',
            wire.frame("btcusdt@markPrice@1s", e="markPriceUpdate"),
            wire.snapshot(5),
        ]
    )

    assert read.kinds == ["SNAPSHOT"]


def test_markets_are_merged_by_receive_time(capture, wire):
    read = capture(
        [wire.snapshot(1), wire.depth(2, 2), wire.trade("100", "1")],
        instruments=(wire.BTC, wire.ETH),
        raw=b"".join(
            f"{wire.BASE_NS + offset} {line}\n".encode()
            for offset, line in (
                (500_000, wire.snapshot(7)),
                (1_500_000, wire.depth(8, 8, symbol="ETHUSDT")),
                (2_500_000, wire.trade("100", "1", symbol="ETHUSDT")),
            )
        ),
    )

    assert [market for market, _, _ in read.messages] == [0, 1, 0, 1, 0, 1]
    assert all(read.is_synced)


def test_files_of_one_symbol_continue_each_other(capture, wire):
    read = capture([wire.snapshot(1), wire.depth(2, 2)], [wire.depth(3, 4), wire.depth(5, 5)])

    assert read.kinds == ["SNAPSHOT", "DELTA", "DELTA", "DELTA"]
    assert read.history.progress() == 1.0


@pytest.mark.parametrize("unit", [10**6, 10**3, 1], ids=["ms", "us", "ns"])
def test_receive_times_are_read_in_their_unit(capture, wire, unit):
    line = wire.trade("100", "1")
    read = capture(raw=f"{wire.BASE_NS // unit} {line}\n".encode())

    batch = next(iter(read.history.batches()))
    assert batch.receive_ns[0] == wire.BASE_NS
    assert batch.exchange_ns[0] == 1_700_000_000_000_000_000


def test_event_times_in_microseconds_are_recognised(capture, wire):
    read = capture([wire.trade("100", "1", E=1_700_000_000_000_001)])

    assert next(iter(read.history.batches())).exchange_ns[0] == 1_700_000_000_000_001_000


BAD = {
    "html": ("<html><body>Bad gateway", "expected a frame of a market stream, was '<html>"),
    "truncated": ('{"stream":"btcusdt@trade","data":{"e":"trade","E":1', "expected a frame of a market stream"),
    "deeply nested": ('{"x":' * 5000 + "1" + "}" * 5000, "expected a frame of a market stream"),
    "array": ("[1,2,3]", "neither of a combined stream nor a depth snapshot"),
    "unknown object": ('{"hello":1}', "neither of a combined stream nor a depth snapshot"),
    "wrong type": ('{"stream":"btcusdt@trade","data":{"e":"trade","E":"x"}}', "expected a frame of a market stream"),
}


@pytest.mark.parametrize(("line", "message"), BAD.values(), ids=BAD)
def test_a_frame_that_is_none_names_file_and_line(capture, wire, line, message):
    with pytest.raises(DataError, match=r"capture-0\.raw\.gz:2: ") as caught:
        capture([wire.snapshot(1), line, wire.depth(2, 2)])

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("price", "message"),
    [
        ("NaN", "expected a finite number"),
        ("1E+1000000", "expected a finite number of sane magnitude"),
        ("100.001", "expected a multiple of tick_size 0.01"),
        ("-1", "expected above 0"),
        ("abc", "expected a decimal number"),
    ],
)
def test_a_number_that_is_none_or_off_the_grid_names_file_and_line(capture, wire, price, message):
    with pytest.raises(DataError, match=r"capture-0\.raw\.gz:2: ") as caught:
        capture([wire.snapshot(1), wire.depth(2, 2, bids=[(price, "1")])])

    assert message in str(caught.value)


def test_a_bad_frame_that_is_skipped_is_counted_and_voids_the_book(capture, wire):
    read = capture(
        [
            wire.snapshot(1),
            wire.depth(2, 2, bids=[("99", "NaN")]),
            wire.depth(3, 3),
            wire.snapshot(3),
            wire.depth(4, 4),
        ],
        on_bad_frame="skip",
    )

    assert read.history.bad_frames == 1
    assert read.kinds == ["SNAPSHOT", "GAP", "SNAPSHOT", "DELTA"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"hello world\n", "expected '<receive time> <frame>', was 'hello world"),
        (b"12345 {}\n", "expected '<receive time> <frame>', was '12345"),
        (b"", "was no stream at all"),
        (b'1700000000000 {"stream":"ethusdt@trade","data":{}}\n', "expected streams of BTCUSDT, was ETHUSDT"),
    ],
    ids=["text", "short time", "empty", "another market"],
)
def test_a_file_that_is_no_capture_of_ours_is_refused_at_once(capture, raw, message):
    with pytest.raises(DataError, match="raw") as caught:
        capture(raw=raw)

    assert message in str(caught.value)


def test_a_receive_time_that_goes_back_is_refused(capture, wire):
    line = wire.trade("100", "1")
    with pytest.raises(DataError, match="raw:2: receive time goes back"):
        capture(raw=f"1700000000001 {line}\n1700000000000 {line}\n".encode())


def test_files_of_a_symbol_in_the_wrong_order_are_refused(capture, wire, tmp_path):
    capture([wire.trade("100", "1")], [wire.trade("100", "1")])
    options = plugin.HISTORIES[0].options(paths=(Path("capture-1.raw.gz"), Path("capture-0.raw.gz")))
    history = build_component(plugin.HISTORIES[0], options, instruments=(wire.BTC,), directory=tmp_path)

    with pytest.raises(DataError, match="begins before the end of the file named before it"):
        list(history.batches())


def test_a_gzip_that_is_cut_off_loses_nothing_before_the_cut(capture, wire):
    lines = "".join(f"{wire.BASE_NS + number} {wire.trade('100', '1')}\n" for number in range(2000))
    whole = gzip.compress(lines.encode())

    with pytest.raises(DataError, match=r"cut at line \d+: the gzip stream ends in the middle"):
        capture(raw=whole[: len(whole) // 2])


def test_a_snapshot_in_a_file_of_several_symbols_is_nobodys(capture, wire):
    with pytest.raises(DataError, match="a depth snapshot names no symbol, and this file holds several"):
        capture(
            [wire.depth(1, 1), wire.depth(1, 1, symbol="ETHUSDT"), wire.snapshot(5)],
            instruments=(wire.BTC, wire.ETH),
        )


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((), "expected at least one file"),
        (("nothing.gz",), "no file 'nothing.gz' beside the strategy file"),
        (("capture-0.raw.gz", "capture-0.raw.gz"), "'capture-0.raw.gz' is named twice"),
    ],
)
def test_paths_that_cannot_work_are_refused(capture, wire, tmp_path, paths, message):
    capture([wire.trade("100", "1")])
    options = plugin.HISTORIES[0].options(paths=tuple(map(Path, paths)))

    with pytest.raises(DomainError) as caught:
        build_component(plugin.HISTORIES[0], options, instruments=(wire.BTC,), directory=tmp_path)

    assert message in str(caught.value)


def test_diffs_that_wait_for_a_snapshot_are_bounded(wire):
    from mmframe.domain.market import MarketBatch

    book, batch = SymbolBook(wire.BTC, SpotContinuity()), MarketBatch(0)
    for number in range(HELD_UPDATES_MAX + 10):
        book.on_depth(parse_frame(wire.depth(number, number).encode()), batch, wire.BASE_NS)

    old = parse_frame(wire.snapshot(5).encode())
    fresh = parse_frame(wire.snapshot(20).encode())
    assert not book.on_snapshot(old, batch, wire.BASE_NS)
    assert book.on_snapshot(fresh, batch, wire.BASE_NS)
    assert book.last_id == HELD_UPDATES_MAX + 9


def test_a_combined_frame_with_another_key_order_is_read(wire):
    text = wire.trade("100", "1").replace("btcusdt@trade", "btcusdt@trade")
    data = text.partition('"data":')[2][:-1]

    assert parse_frame(f'{{ "data": {data}, "stream": "btcusdt@trade" }}'.encode()).p == "100"
    with pytest.raises(FrameError):
        parse_frame(b"\xff\xfe")


def test_a_bad_ask_leaves_nothing_of_its_message_in_the_next_one(capture, wire):
    bad = [wire.snapshot(1, bids=[("100", "1")], asks=[("NaN", "1")]), wire.trade("100.5", "1"), wire.snapshot(1)]

    read = capture([*bad, wire.depth(2, 2, bids=[("99", "1")], asks=[("x", "1")])], on_bad_frame="skip")

    assert read.kinds == ["TRADE", "SNAPSHOT", "GAP"]
    assert read.messages[0][2] == [(Side.BUY, 10_050, 1000)]
    assert read.messages[2][2] == []


class TestCapture(HistoryConformance):
    spec = plugin.HISTORIES[0]

    @pytest.fixture(autouse=True)
    def files(self, tmp_path, wire):
        lines = [wire.snapshot(1), *(wire.depth(number, number, bids=[("99", str(number))]) for number in range(2, 40))]
        text = "".join(f"{wire.BASE_NS + number * 1000} {line}\n" for number, line in enumerate(lines))
        (tmp_path / "good.raw").write_text(text)
        (tmp_path / "bad.raw").write_text(f"{text}{wire.BASE_NS * 2} oops\n")
        self.directory = tmp_path
        self.instruments = (wire.BTC,)

    @pytest.fixture
    def good_options(self):
        return self.spec.options(paths=(Path("good.raw"),))

    @pytest.fixture
    def bad_options(self):
        return self.spec.options(paths=(Path("bad.raw"),)), "bad.raw", 40


class TestPlugin(PluginConformance):
    module = "mmframe_binance.plugin"
    entry_point = "binance"


def test_instruments_may_have_names_of_their_own(capture, wire):
    instrument = make_instrument("XBT/USDT", tick_size="0.01", lot_size="0.001")
    with pytest.raises(DataError, match="expected streams of XBTUSDT, was BTCUSDT") as caught:
        capture([wire.trade("100", "1")], instruments=(instrument,))

    assert caught.value.hint == "set venue_symbol of the market to the symbol in the file"


def test_other_symbols_are_nobodys_business(capture, wire):
    read = capture([wire.trade("nonsense", "1", symbol="DOGEUSDT"), wire.trade("100", "1")])

    assert read.kinds == ["TRADE"]


def test_levels_off_the_grid_are_fitted_and_counted_on_request(capture, wire):
    lines = [
        wire.snapshot(1, bids=[("100", "1.0005"), ("99.995", "1"), ("99", "0.0001"), ("98", "2")]),
        wire.depth(2, 2),
    ]

    with pytest.raises(DataError, match="expected a multiple of"):
        capture(lines)
    read = capture(lines, off_grid="fit")

    assert read.books[0].levels(Side.BUY, 9) == [(10_000, 1000), (9_900, 1), (9_800, 2000)]
    assert read.history.counts["BTC/USDT"].off_grid_levels == 3
    with pytest.raises(DataError, match="expected a finite number"):
        capture([wire.snapshot(1, bids=[("NaN", "1")]), wire.depth(2, 2)], off_grid="fit")

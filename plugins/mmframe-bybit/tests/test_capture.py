"""Files: their forms, their order, their markets, and what is wrong with them."""

from __future__ import annotations

import gzip
import logging

import pytest

from mmframe.errors import DataError, DomainError
from mmframe.testing import make_instrument
from mmframe_bybit.files import LINE_BYTES_MAX, PEEK_LINES

SKIP_HINT = 'say on_bad_frame = "skip" to count such frames and go on'
GRID_HINT = "set tick_size and lot_size of the market to the steps of the venue at that time"
TIME_HINT = "receive times are milliseconds, microseconds or nanoseconds since 1970; unpack .zip downloads"

SAMPLE = [
    (0, "SNAPSHOT", 0.0, [(0, 200, 1000), (0, 198, 2000), (1, 202, 1000)]),
    (0, "TRADE", 20.0, [(0, 202, 500)]),
    (0, "DELTA", 40.0, [(0, 200, 0)]),
]


@pytest.mark.parametrize("name", ["a.raw", "a.raw.gz"])
def test_a_capture_is_read_plain_or_packed(capture, name):
    capture.write(name, *capture.sample)

    assert capture.messages() == SAMPLE


@pytest.mark.parametrize("drop", [0, 3, 6], ids=["nanoseconds", "microseconds", "milliseconds"])
def test_times_are_told_by_their_digits(capture, drop):
    lines = [line.partition(b" ") for line in capture.sample]
    capture.write("a.raw", *(digits[: len(digits) - drop] + space + frame for digits, space, frame in lines))

    assert capture.messages() == SAMPLE


def test_a_download_takes_the_gateways_time(capture):
    capture.write(
        "a.data",
        capture.book("snapshot", 10, bids=[["100", "1"]], asks=[["101", "1"]], depth=500),
        capture.book("delta", 11, bids=[["100", "0"]], depth=500, ms=100),
    )

    assert [(kind, ms) for _, kind, ms, _ in capture.messages()] == [("SNAPSHOT", 0.0), ("DELTA", 100.0)]


def test_a_reading_can_be_repeated_and_tells_its_progress(capture):
    capture.write("a.raw.gz", *capture.sample)
    history = capture.history()

    assert history.progress() == 0.0
    assert capture.rows(history.batches()) == SAMPLE
    assert history.progress() == 1.0
    assert capture.rows(history.batches()) == SAMPLE
    assert history.counts["BTC/USDT"].applied == 2


def test_markets_of_several_files_are_merged_by_time(capture):
    capture.write("btc.raw", *capture.sample)
    capture.write(
        "eth.raw",
        capture.line(0, capture.book("snapshot", 3, bids=[["9", "1"]], asks=[["10", "1"]], symbol="ETHUSDT")),
        capture.line(30, capture.book("delta", 4, bids=[["9", "2"]], symbol="ETHUSDT")),
        capture.line(40, capture.book("delta", 5, bids=[["9", "3"]], symbol="ETHUSDT")),
    )

    found = capture.messages(instruments=(capture.btc, capture.eth))

    assert [(market, ms) for market, _, ms, _ in found] == [(0, 0), (1, 0), (0, 20), (1, 30), (0, 40), (1, 40)]


def test_several_markets_of_one_file_are_told_apart(capture):
    eth = capture.line(30, capture.book("snapshot", 3, bids=[["9", "1"]], asks=[["10", "1"]], symbol="ETHUSDT"))
    doge = capture.line(31, capture.book("snapshot", 3, bids=[["9.123", "1"]], symbol="DOGEUSDT"))
    capture.write("a.raw", *capture.sample[:3], eth, doge, *capture.sample[3:])

    found = capture.messages(instruments=(capture.eth, capture.btc))

    assert [market for market, *_ in found] == [1, 1, 0, 1]


def test_a_book_goes_on_in_the_next_file_whatever_the_order_of_names(capture):
    capture.write("second.raw", capture.sample[3])
    capture.write("first.raw", *capture.sample[:3])

    assert capture.messages() == SAMPLE


def test_book_and_trades_may_come_from_different_files(capture):
    capture.write("book.raw", *capture.sample[:2], capture.sample[3])
    capture.write("trades.raw", capture.sample[2])

    assert capture.messages() == SAMPLE


def test_two_files_that_tell_of_the_same_book_are_an_error(capture):
    capture.write("a.raw", *capture.sample)
    capture.write("b.raw", *capture.sample[:3])

    with pytest.raises(DataError) as caught:
        capture.messages()

    assert caught.value.message == "a.raw:4: goes on although b.raw already tells of the same market"


def test_two_depths_in_a_file_need_a_choice(capture):
    capture.write(
        "a.raw",
        *capture.sample[:1],
        capture.line(5, capture.book("snapshot", 77, bids=[["100", "9"]], asks=[["101", "9"]], depth=1)),
    )

    with pytest.raises(DataError) as caught:
        capture.messages()

    assert caught.value.message == "a.raw:2: expected one book of BTC/USDT, was depth 1 beside depth 50"
    assert caught.value.hint == "say depth = 50 or depth = 1"
    assert [changes for *_, changes in capture.messages(depth=50)] == [SAMPLE[0][3]]
    assert [changes for *_, changes in capture.messages(depth=1)] == [[(0, 200, 9000), (1, 202, 9000)]]


def test_an_unknown_depth_is_an_error(capture):
    capture.write("a.raw", *capture.sample)

    with pytest.raises(DomainError) as caught:
        capture.history(depth=25)

    assert caught.value.message == "depth: expected one of 1, 50, 200, 500, 1000, was 25"


def test_a_perpetual_in_usdc_has_its_own_symbol_on_linear(capture):
    usdc = make_instrument("BTC/USDC", tick_size="0.5", lot_size="0.001")
    capture.write("a.raw", *(line.replace(b"BTCUSDT", b"BTCPERP") for line in capture.sample))

    assert capture.messages(instruments=(usdc,), category="linear") == SAMPLE
    with pytest.raises(DataError) as caught:
        capture.history(instruments=(usdc,), category="spot")
    assert caught.value.message == (
        f"a.raw: expected books or trades of BTCUSDC in the first {PEEK_LINES} lines, was BTCPERP"
    )


def test_a_refused_subscription_is_logged(capture, caplog):
    refused = capture.line(1, capture.reply(success=False, text="error:handler not found"))
    capture.write("a.raw", capture.sample[0], refused, *capture.sample[2:])
    history = capture.history()

    with caplog.at_level(logging.WARNING):
        assert capture.rows(history.batches()) == SAMPLE

    assert history.refused_requests == 1
    assert [record.text for record in caplog.records if record.message == "request_refused"] == [
        "error:handler not found"
    ]


def bad_lines():
    """Return `(line, message, hint)` by name; each stands between the third and the last line of the sample."""
    shown = "expected a frame of a v5 public stream, was "
    time = b"1700000000030000000 "
    book = (
        b'{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1,"data":{"s":"BTCUSDT","b":[["%s","%s"]],"a":[],"u":11,'
    )
    book += b'"seq":11000}}'
    number = "expected a finite number of sane magnitude, was"
    return {
        "HTML": (time + b"<html>502</html>", shown + "'<html>502</html>': JSON is malformed", SKIP_HINT),
        "cut off": (time + b'{"topic":"orderbook.50', shown, SKIP_HINT),
        "no frame": (time, shown + "''", SKIP_HINT),
        "deeply nested": (time + b'{"topic":' + b"[" * 100_000, shown, SKIP_HINT),
        "NaN": (time + book % (b"NaN", b"1"), f"BTC/USDT price: {number} 'NaN'", SKIP_HINT),
        "huge": (time + book % (b"100", b"1E+1000000"), f"BTC/USDT size: {number} '1E+1000000'", SKIP_HINT),
        "off the grid": (
            time + book % (b"100.3", b"1"),
            "BTC/USDT price: expected a multiple of tick_size 0.5, was '100.3'",
            GRID_HINT,
        ),
        "no time": (
            b'{"topic":"x"}',
            "expected '<receive time> <frame>' or a frame, was '{\"topic\":\"x\"}'",
            TIME_HINT,
        ),
        "blank": (b"", "expected '<receive time> <frame>' or a frame, was ''", TIME_HINT),
        "seconds": (b"1700000000 {}", "expected '<receive time> <frame>' or a frame, was '1700000000 {}'", TIME_HINT),
        "digits that are none": ("²".encode() * 19 + b" {}", "expected '<receive time> <frame>'", TIME_HINT),
        "back in time": (
            b"1600000000000000000 {}",
            "time goes back from 1700000000020000000 to 1600000000000000000 ns",
            None,
        ),
        "overlong": (time + b"x" * LINE_BYTES_MAX * 2, f"the line is longer than {LINE_BYTES_MAX} bytes", None),
    }


BAD_LINES = bad_lines()
each_bad_line = pytest.mark.parametrize(("line", "message", "hint"), BAD_LINES.values(), ids=BAD_LINES.keys())


@each_bad_line
@pytest.mark.parametrize("name", ["a.raw", "a.raw.gz"])
def test_a_bad_line_is_an_error_with_file_line_and_way_out(capture, name, line, message, hint):
    capture.write(name, *capture.sample[:3], line, capture.sample[3])

    with pytest.raises(DataError) as caught:
        capture.messages()

    assert caught.value.message.startswith(f"{name}:4: {message}")
    assert (caught.value.line, caught.value.hint) == (4, hint)


@each_bad_line
def test_a_bad_line_is_counted_and_passed_over_on_request(capture, line, message, hint):
    capture.write("a.raw", *capture.sample[:3], line, capture.sample[3])
    history = capture.history(on_bad_frame="skip")

    found = capture.rows(history.batches())

    assert history.bad_frames == 1
    # A number that cannot be read spoils the book; a line that is no frame of it does not.
    is_book = b"orderbook" in line and line.endswith(b"}}")
    assert found == ([*SAMPLE[:2], (0, "GAP", 30.0, [])] if is_book else SAMPLE)


def test_a_lost_delta_shows_at_the_next_one(capture):
    capture.write(
        "a.raw",
        *capture.sample[:3],
        capture.line(40, b'{"topic":"orderbook.50.BTCUSDT","type":"del'),
        capture.line(60, capture.book("delta", 12, bids=[["99", "0"]])),
        capture.line(80, capture.book("snapshot", 20, bids=[["98", "1"]], asks=[["99", "1"]])),
    )

    found = capture.messages(on_bad_frame="skip")

    assert [(kind, ms) for _, kind, ms, _ in found[2:]] == [("GAP", 60.0), ("SNAPSHOT", 80.0)]


def test_a_cut_off_gzip_file_is_an_error_or_used_up_to_there(capture):
    lines = [capture.line(ms, capture.book("delta", ms, bids=[["100", f"{ms}"]])) for ms in range(11, 1500)]
    data = gzip.compress(b"\n".join([capture.sample[0], *lines, b""]))
    (capture.folder / "a.raw.gz").write_bytes(data[: len(data) // 2])
    capture.names.append("a.raw.gz")

    with pytest.raises(DataError) as caught:
        capture.messages()
    assert "the gzip stream ends in the middle" in caught.value.message

    history = capture.history(on_bad_frame="skip")
    found = capture.rows(history.batches())
    assert 100 < len(found) < 1490
    assert caught.value.line == len(found) + 1
    assert history.bad_frames == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected books or trades of BTCUSDT in the first 2000 lines, was none of either"),
        (b"<html>502</html>\n", ":1: expected '<receive time> <frame>' or a frame, was '<html>502</html>'"),
        (b"PK\x03\x04\x00", ":1: expected '<receive time> <frame>' or a frame, was 'PK\\x03\\x04\\x00'"),
        (b'{"topic":"orderbook.50.BTCUSDT"}\n', ":1: expected a frame of a v5 public stream"),
    ],
    ids=["empty", "HTML", "zip", "a download without time"],
)
def test_what_is_no_capture_is_told_before_the_run(capture, data, message):
    (capture.folder / "a.raw").write_bytes(data)

    with pytest.raises(DataError) as caught:
        capture.history(paths=("a.raw",))

    assert message in caught.value.message


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (("none.raw",), "paths: no file 'none.raw' beside the strategy file"),
        (("a.raw", "./a.raw"), "paths: 'a.raw' is named twice"),
    ],
)
def test_paths_must_name_files_and_each_once(capture, paths, message):
    capture.write("a.raw", *capture.sample)

    with pytest.raises(DomainError) as caught:
        capture.history(paths=paths)

    assert caught.value.message == message


def test_no_paths_are_an_error(capture):
    with pytest.raises(DomainError) as caught:
        capture.history()

    assert caught.value.message == "paths: expected at least one file, was none"


def test_batches_are_bounded(capture):
    lines = [capture.line(ms, capture.book("delta", ms, bids=[["100", f"{ms}"]])) for ms in range(11, 9000)]
    capture.write("a.raw", capture.sample[0], *lines)

    sizes = [len(batch) for batch in capture.history().batches()]

    assert sum(sizes) == 8990
    assert max(sizes) == 4096

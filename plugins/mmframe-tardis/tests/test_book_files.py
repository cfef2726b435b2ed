"""How rows of files that make a book become messages."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe_tardis import lines as lines_module
from mmframe_tardis import merge as merge_module
from mmframe_tardis import tables

BUY, SELL = int(Side.BUY), int(Side.SELL)


def test_rows_with_one_local_timestamp_are_one_message(recording):
    recording.changes("book.csv", *recording.sample)

    assert recording.messages() == [
        (0, "SNAPSHOT", 0, [(BUY, 200, 1000), (SELL, 202, 2000)]),
        (0, "DELTA", 100, [(BUY, 200, 0), (BUY, 199, 3000)]),
    ]


def test_times_are_microseconds_in_the_file_and_nanoseconds_in_the_engine(recording):
    recording.changes("book.csv", *recording.sample)

    (batch,) = recording.history().batches()

    assert list(batch.receive_ns) == [1_700_000_000_000_000_000, 1_700_000_000_100_000_000]
    assert list(batch.exchange_ns) == [1_699_999_999_990_000_000, 1_700_000_000_090_000_000]


def test_a_row_without_exchange_time_takes_its_time_of_receipt(recording):
    recording.changes("book.csv", "binance,BTCUSDT,,1700000000000000,true,bid,100,1")

    (batch,) = recording.history().batches()

    assert batch.exchange_ns == batch.receive_ns


def test_changes_before_the_first_snapshot_are_skipped_and_counted(recording):
    recording.changes(
        "book.csv", recording.change(-20, "bid", "90", "5"), recording.change(-10, "bid", "91", "5"), *recording.sample
    )
    history = recording.history()

    kinds = [kind for batch in history.batches() for kind in batch.kinds]

    assert kinds == [MessageKind.SNAPSHOT, MessageKind.DELTA]
    assert history.counts["book.csv"].rows_before_snapshot == 2


def test_a_snapshot_after_changes_clears_the_book_behind_a_gap(recording):
    recording.changes("book.csv", *recording.sample, recording.change(900, "bid", "98", "1", snapshot=True))

    assert recording.messages()[2:] == [(0, "GAP", 900, []), (0, "SNAPSHOT", 900, [(BUY, 196, 1000)])]
    history = recording.history()
    list(history.batches())
    assert history.counts["book.csv"].gaps == 1


def test_consecutive_snapshot_groups_are_one_snapshot(recording):
    recording.changes(
        "book.csv",
        recording.change(0, "bid", "100", "1", snapshot=True),
        recording.change(1, "ask", "101", "2", snapshot=True),
    )

    assert recording.messages() == [
        (0, "SNAPSHOT", 0, [(BUY, 200, 1000)]),
        (0, "DELTA", 1, [(SELL, 202, 2000)]),
    ]


def test_snapshot_and_change_rows_of_one_time_are_two_messages(recording):
    recording.changes(
        "book.csv", recording.change(0, "bid", "100", "1", snapshot=True), recording.change(0, "bid", "100", "3")
    )

    assert [message[1] for message in recording.messages()] == ["SNAPSHOT", "DELTA"]


def test_a_repeated_row_is_harmless(recording):
    recording.changes("book.csv", *recording.sample, recording.sample[-1])

    assert recording.messages()[-1] == (0, "DELTA", 100, [(BUY, 200, 0), (BUY, 199, 3000), (BUY, 199, 3000)])


def test_columns_are_found_by_name_and_new_ones_ignored(recording):
    header = "amount,price,side,is_snapshot,local_timestamp,timestamp,symbol,exchange,new"
    recording.write("book.csv", header, "1,100,bid,true,1700000000000000,1700000000000000,BTCUSDT,binance,x")

    assert recording.messages() == [(0, "SNAPSHOT", 0, [(BUY, 200, 1000)])]


@pytest.mark.parametrize("text", ["100", "100.0", "100.50", "1E+2", "0100.5"])
def test_every_way_to_write_a_number_on_the_grid_is_read_exactly(recording, text):
    recording.changes("book.csv", recording.change(0, "bid", text, "0.0010", snapshot=True))

    ((_, _, _, changes),) = recording.messages()

    assert changes == [(BUY, 200 if float(text) == 100 else 201, 1)]


def test_gzip_is_told_by_content_not_by_name(recording):
    recording.changes("book.csv.gz", *recording.sample)
    (recording.folder / "book.csv").write_bytes((recording.folder / "book.csv.gz").read_bytes())

    assert recording.messages(paths=("book.csv",)) == recording.messages(paths=("book.csv.gz",))


def test_quoted_fields_and_windows_line_ends_are_read(recording):
    recording.changes("plain.csv", *recording.sample)
    text = (recording.folder / "plain.csv").read_text()
    quoted = "\r\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()) + "\r\n"
    recording.put("quoted.csv", quoted.encode())

    assert recording.messages(paths=("quoted.csv",)) == recording.messages(paths=("plain.csv",))


def test_snapshot_files_give_a_whole_book_a_row(recording):
    header = "exchange,symbol,timestamp,local_timestamp," + ",".join(
        f"{side}[{level}].{what}" for level in range(2) for side in ("asks", "bids") for what in ("price", "amount")
    )
    prefix = "binance,BTCUSDT,1700000000000000"
    recording.write(
        "snapshots.csv",
        header,
        f"{prefix},1700000000000000,101,1,100,2,101.5,3,99.5,4",
        f"{prefix},1700000000005000,101,1,,,101.5,3,,",
    )

    assert recording.messages() == [
        (0, "SNAPSHOT", 0, [(SELL, 202, 1000), (BUY, 200, 2000), (SELL, 203, 3000), (BUY, 199, 4000)]),
        (0, "SNAPSHOT", 5, [(SELL, 202, 1000), (SELL, 203, 3000)]),
    ]


def test_quotes_are_read_in_their_own_column_order(recording):
    recording.quotes("quotes.csv", recording.quote(0, "1", "101", "100", "2"), recording.quote(7, "", "", "99", "5"))

    assert recording.messages() == [
        (0, "SNAPSHOT", 0, [(SELL, 202, 1000), (BUY, 200, 2000)]),
        (0, "SNAPSHOT", 7, [(BUY, 198, 5000)]),
    ]


def reference_messages(rows):
    """Group parsed rows as the rules say, in the plainest way."""
    found, key, started, was_snapshot = [], None, False, False
    for ms, is_snapshot, side, ticks, lots in rows:
        if (ms, is_snapshot) != key:
            key = (ms, is_snapshot)
            if is_snapshot and not was_snapshot:
                if started:
                    found.append((0, "GAP", ms, []))
                found.append((0, "SNAPSHOT", ms, []))
                started = True
            elif started:
                found.append((0, "DELTA", ms, []))
            was_snapshot = is_snapshot
        if started:
            found[-1][3].append((side, ticks, lots))
    return found


row_lists = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 9).map(lambda number: number == 0),
        st.sampled_from([BUY, SELL]),
        st.integers(1, 400),
        st.integers(0, 5000),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=row_lists, block_bytes=st.sampled_from([90, 200, 1000, 1 << 16]))
def test_any_file_reads_as_the_rules_say_wherever_its_blocks_end(recording, monkeypatch, steps, block_bytes):
    ms, rows = 0, []
    for step, *rest in steps:
        ms += step
        rows.append((ms, *rest))
    recording.names.clear()
    recording.changes(
        "book.csv",
        *(
            recording.change(ms, "ask" if side else "bid", f"{ticks / 2:g}", f"{lots / 1000:.3f}", snapshot=snapshot)
            for ms, snapshot, side, ticks, lots in rows
        ),
    )
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", block_bytes)

    assert recording.messages() == reference_messages(rows)


def test_batches_are_bounded_and_a_message_is_never_split(recording, monkeypatch):
    for module in (tables, merge_module):
        monkeypatch.setattr(module, "BATCH_MESSAGES_MAX", 10)
    monkeypatch.setattr(lines_module, "BLOCK_BYTES", 500)
    rows = [recording.change(ms, "bid", "100", str(ms + 1)) for ms in range(1, 400) for _ in range(3)]
    recording.changes("book.csv", recording.change(0, "bid", "100", "1", snapshot=True), *rows)

    batches = list(recording.history().batches())

    assert max(map(len, batches)) <= 20
    assert sum(map(len, batches)) == 400
    assert all(
        len(batch.changes(index)) == 3 for batch in batches for index in range(len(batch)) if batch.kinds[index] == 0
    )


def test_reading_again_starts_anew(recording):
    recording.changes("book.csv", *recording.sample)
    history = recording.history()

    first = [batch.changes(0) for batch in history.batches()]

    assert [batch.changes(0) for batch in history.batches()] == first
    assert history.counts["book.csv"].rows == 4


def test_progress_runs_from_nothing_to_all(recording):
    recording.changes("book.csv", *recording.sample)
    history = recording.history()
    assert history.progress() < 1.0

    batches = list(history.batches())

    assert isinstance(batches[0], MarketBatch)
    assert history.progress() == 1.0


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(recording):
    def peak(name, rows):
        recording.changes(
            name,
            recording.change(0, "bid", "100", "1", snapshot=True),
            *(recording.change(ms, "bid", "100", f"{ms % 9999}.{ms % 1000:03}") for ms in range(1, rows)),
        )
        history = recording.history(paths=(name,))
        tracemalloc.start()
        messages = sum(len(batch) for batch in history.batches())
        _, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert messages == rows
        return most_bytes

    small = peak("small.csv.gz", 10_000)

    assert peak("large.csv.gz", 30_000) < 1.5 * small

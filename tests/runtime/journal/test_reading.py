"""Reading a journal: while a run writes it, after a crash, at a moment."""

from __future__ import annotations

import os
import shutil
import sqlite3
from decimal import Decimal

import pytest

from mmframe.domain.market import BookState, Side
from mmframe.domain.orders import Cancel, OrderState, OrderStatus, Request
from mmframe.engine.portfolio import MarketLedger
from mmframe.engine.state import EngineState
from mmframe.errors import JournalError, UsageError
from mmframe.runtime.journal import Journal, JournalReader

NS = 1_000_000_000


@pytest.fixture
def reader(journal, path):
    with JournalReader(path) as reader:
        yield reader


def crashed(path, tmp_path):
    """Return a copy of a journal with its log, as the death of the process leaves them."""
    folder = tmp_path / "crashed"
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", folder)
    return folder / path.name


# While it is written.


def test_a_reader_sees_each_commit_of_a_run_in_progress(journal, reader, values):
    seen = []
    for number in (1, 2, 3):
        journal.begin([values.submit(number)], number * NS)
        seen.append(len(reader.orders()))

    assert seen == [1, 2, 3]


def test_a_reader_in_the_middle_of_an_answer_does_not_hold_up_the_writer(journal, reader, values):
    for number in range(600):
        journal.on_decision(values.decision(number))
    journal.flush()
    answer = reader.each_decision()
    next(answer)

    journal.begin([values.submit(1)], NS)
    busy, _, _ = journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    assert busy == 0
    assert [decision.sequence for decision in answer] == list(range(1, 600))


def test_a_reader_cannot_write(reader):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM run")


# After a crash.


def test_a_crashed_run_is_read_with_what_its_log_holds(journal, path, tmp_path, values):
    journal.begin([values.submit(1)], NS)
    journal.on_fill(values.fill("t-1"), 20_000)

    copy = crashed(path, tmp_path)

    with JournalReader(copy) as reader:
        reader.check()
        assert [order.counted_lots for order in reader.orders()] == [2]
        assert reader.runs()[0].result is None


def test_a_torn_end_of_the_log_loses_only_what_was_not_committed(journal, path, tmp_path, values):
    journal.begin([values.submit(1)], NS)
    committed = path.with_name(f"{path.name}-wal").stat().st_size
    journal.begin([values.submit(2)], NS)
    copy = crashed(path, tmp_path)
    os.truncate(f"{copy}-wal", committed + 5_000)

    following, restored = Journal.reopen(copy, values.header())

    following.close()
    assert [order.client_id for order in restored.orders] == ["mm-btcmaker-7-1"]


def test_a_journal_on_read_only_media_can_be_read_when_its_run_ended_cleanly(journal, path, values, monkeypatch):
    journal.on_decision(values.decision(1))
    journal.close()
    real = sqlite3.connect

    class NoSharedMemory(sqlite3.Connection):
        def execute(self, statement, *arguments):
            if "schema_version" in statement:
                raise sqlite3.OperationalError("unable to open database file")
            return super().execute(statement, *arguments)

    def connect(name, **options):
        return real(name, **options) if "immutable" in name else real(name, factory=NoSharedMemory, **options)

    monkeypatch.setattr(sqlite3, "connect", connect)

    with JournalReader(path) as reader:
        assert reader.decision_count() == 1


def test_a_crashed_journal_on_read_only_media_is_refused(journal, path, tmp_path, values, monkeypatch):
    journal.on_decision(values.decision(1))
    journal.flush()
    copy = crashed(path, tmp_path)
    real = sqlite3.connect

    class NoSharedMemory(sqlite3.Connection):
        def execute(self, statement, *arguments):
            if "schema_version" in statement:
                raise sqlite3.OperationalError("unable to open database file")
            return super().execute(statement, *arguments)

    monkeypatch.setattr(sqlite3, "connect", lambda name, **options: real(name, factory=NoSharedMemory, **options))

    with pytest.raises(JournalError, match="unable to open database file"):
        JournalReader(copy)


# Runs and times.


def test_a_run_is_picked_by_its_number(journal, reader, path, values):
    journal.close()
    Journal.reopen(path, values.header(started_ns=2))[0].close()

    assert reader.run().number == reader.run(2).number == 2
    assert reader.run(1).header.started_ns == values.header().started_ns
    for number in (0, 3):
        with pytest.raises(UsageError) as caught:
            reader.run(number)
        assert caught.value.message == f"run: expected 1 to 2, was {number}"
        assert caught.value.hint == f"journal {str(path)!r} holds 2 runs"


def test_a_run_spans_from_its_first_record_to_its_last(journal, reader, values):
    assert reader.span_ns() is None
    journal.on_decision(values.decision(1, 5 * NS))
    journal.begin([values.submit(1)], 7 * NS)
    journal.on_fill(values.fill("t-1", at_ns=9 * NS), 20_000)

    assert reader.span_ns() == (5 * NS, 9 * NS)


# Decisions.


def test_the_decision_in_force_is_the_last_at_or_before_the_moment(journal, reader, values):
    for sequence, at_ns in ((1, 10), (2, 20), (3, 20), (4, 30)):
        journal.on_decision(values.decision(sequence, at_ns))
    journal.on_decision(values.decision(5, 15, market=1))
    journal.flush()

    def sequences(at_ns, market=0):
        return [decision.sequence for decision in reader.decisions(at_ns, market)]

    assert [sequences(at_ns) for at_ns in (9, 10, 19, 20, 29, 30, 99, None)] == [[], [1], [1], [3], [3], [4], [4], [4]]
    assert sequences(20, None) == [3, 5]
    assert reader.first_decision(0).sequence == 1
    assert reader.first_decision(1, run=1).sequence == 5


def test_decisions_are_iterated_by_market_and_time(journal, reader, values):
    for number in range(10):
        journal.on_decision(values.decision(number, number * 10, market=number % 2))
    journal.flush()

    def sequences(*arguments, **options):
        return [decision.sequence for decision in reader.each_decision(*arguments, **options)]

    assert sequences() == list(range(10))
    assert sequences(1) == [1, 3, 5, 7, 9]
    assert sequences(1, since_ns=30, until_ns=70) == [3, 5, 7]


def test_decisions_are_those_of_one_run(journal, reader, path, values):
    journal.on_decision(values.decision(1, 50))
    journal.close()
    following, _ = Journal.reopen(path, values.header())
    following.on_decision(values.decision(1, 10, bid_reason=17))
    following.close()

    assert reader.decision(1).bid_reason == 17
    assert reader.decision(1, run=1).bid_reason == 0
    assert reader.decision(2) is None
    assert [decision.now_ns for decision in reader.decisions(99, 0)] == [10]


# Orders at a moment.


def test_working_orders_are_those_that_were_not_final_at_the_moment(journal, reader, values):
    journal.begin([values.submit(1), values.submit(2, Side.SELL), values.submit(3, market=1)], 10)
    journal.on_order_update(values.update(1, OrderStatus.OPEN, at_ns=20), OrderState.OPEN)
    journal.on_fill(values.fill("t-1", 1, size_lots=2, at_ns=30), 20_000)
    journal.begin([Cancel(0, "mm-btcmaker-7-1")], 40)
    journal.on_order_update(values.update(1, OrderStatus.CANCELED, Request.CANCEL, at_ns=50), OrderState.CANCELED)
    journal.flush()

    def at(moment):
        return [
            (order.client_id[-1], event.state.value, event.size_lots - event.counted_lots)
            for order, event in reader.working_orders(moment, 0)
        ]

    assert at(9) == []
    assert at(10) == [("1", "intent", 5), ("2", "intent", 5)]
    assert at(20) == [("1", "open", 5), ("2", "intent", 5)]
    assert at(30) == [("1", "partially_filled", 3), ("2", "intent", 5)]
    assert at(40) == [("1", "pending_cancel", 3), ("2", "intent", 5)]
    assert at(50) == [("2", "intent", 5)]


def test_an_order_left_by_a_crashed_run_works_on_in_the_next(journal, reader, path, values):
    journal.begin([values.submit(1)], 100)
    journal.close()
    following, _ = Journal.reopen(path, values.header())
    # The next run's clock may start earlier: virtual time begins anew.
    following.on_order_update(values.update(1, OrderStatus.NOT_FOUND, Request.QUERY, at_ns=5), OrderState.NOT_PLACED)
    following.close()

    assert [order.client_id for order, _ in reader.working_orders(4, 0)] == ["mm-btcmaker-7-1"]
    assert reader.working_orders(5, 0) == ()
    assert len(reader.working_orders(100, 0, run=1)) == 1
    assert reader.working_orders(99, 0, run=1) == ()


def test_an_order_the_journal_does_not_know_is_none(reader):
    assert reader.order("x") is None
    assert reader.order_events("x") == ()


def test_fills_and_orders_are_picked_by_market_and_run(journal, reader, path, values):
    journal.begin([values.submit(1), values.submit(2, market=1)], NS)
    journal.on_fill(values.fill("a"), 20_000)
    journal.on_fill(values.fill("b", 2, market=1), 30_000)
    journal.close()
    following, _ = Journal.reopen(path, values.header())
    following.begin([values.submit(3)], NS)
    following.on_fill(values.fill("c", 3), 20_002)
    following.close()

    assert [counted.fill.venue_trade_id for counted in reader.fills()] == ["a", "b", "c"]
    assert [counted.mid_half_ticks for counted in reader.fills(0)] == [20_000, 20_002]
    assert [counted.run for counted in reader.fills(run=2)] == [2]
    assert [order.client_id[-1] for order in reader.orders(0)] == ["1", "3"]
    assert [order.client_id[-1] for order in reader.orders(run=1)] == ["1", "2"]
    assert [intent.run for intent in reader.intents()] == [1, 1, 2]
    assert [intent.run for intent in reader.intents(run=2)] == [2]


# The summary of a run that did not end.


def test_an_unfinished_run_is_summed_up_from_its_records(journal, reader, path, values):
    journal.begin([values.submit(1, size_lots=5), values.submit(2, Side.SELL, price_ticks=10_020, size_lots=4)], NS)
    fills = [values.fill("a", 1, size_lots=3), values.fill("b", 2, Side.SELL, price_ticks=10_020, size_lots=1)]
    ledger = MarketLedger(values.header().instruments[0].instrument())
    for fill in fills:
        journal.on_fill(fill, 20_010)
        ledger.apply(fill, 20_010)
    journal.on_decision(values.decision(1, 2 * NS, bid_reason=10, view={"bid": 100.1, "ask": 100.13}))
    ledger.mark_half_ticks = 10_010 + 10_013
    journal.save_state(EngineState(halt_reason="loss"))

    result = reader.summary()

    market, other = result.status.markets
    assert result.ended_because == "not ended"
    assert result.journal == str(path)
    assert (result.status.started_ns, result.status.now_ns, result.status.decisions) == (NS, 2 * NS, 1)
    assert (result.status.is_halted, result.status.halt_reason) == (True, "loss")
    assert result.unresolved == ("mm-btcmaker-7-1", "mm-btcmaker-7-2")
    assert market.position == Decimal("0.002")
    assert market.pnl == ledger.profit_and_loss()
    assert market.average_price == Decimal(100)
    assert (market.orders, market.fills, market.volume) == (2, 2, Decimal("0.004"))
    assert (market.bid, market.ask, market.book_state) == (Decimal("100.10"), Decimal("100.13"), BookState.UNSYNCED)
    assert (market.our_bid, market.our_ask) == (Decimal("100.00"), Decimal("100.20"))
    assert [(order.side, order.state, order.leaves) for order in market.working] == [
        ("buy", "partially_filled", Decimal("0.002")),
        ("sell", "partially_filled", Decimal("0.003")),
    ]
    assert market.bid_reason == 10
    assert other.position == 0
    assert (other.bid, other.our_bid, other.bid_reason) == (None, None, 0)


def test_without_decisions_the_mark_is_the_mid_of_the_last_fill(journal, reader, values):
    journal.on_fill(values.fill("a", size_lots=1), 20_000)
    journal.on_fill(values.fill("b", size_lots=1), 20_100)

    profit = reader.summary().status.markets[0].pnl

    # Two lots of 0.001 bought at 100.00, marked at 100.50; the fees stand in quote units.
    assert (profit.total, profit.fees) == (Decimal("0.001") - Decimal("0.0246"), Decimal("-0.0246"))


def test_an_unfinished_run_without_records_is_summed_up_as_empty(reader, values):
    result = reader.summary()

    assert result.status.now_ns == result.status.started_ns == values.header().started_ns
    assert result.unresolved == ()


def test_a_later_run_s_fills_do_not_count_in_an_earlier_one(journal, reader, path, values):
    journal.on_fill(values.fill("a", size_lots=1), 20_000)
    journal.close()
    following, _ = Journal.reopen(path, values.header())
    following.on_fill(values.fill("b", size_lots=1), 20_000)
    following.close()

    positions = [reader.summary(run).status.markets[0].position for run in (1, 2)]

    assert positions == [Decimal("0.001"), Decimal("0.002")]
    assert reader.restored().state == EngineState()

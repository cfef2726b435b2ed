"""What is written, when it is durable, and what comes back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from decimal import Decimal

import msgspec
import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    Cancel,
    CancelAll,
    OrderState,
    OrderStatus,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
)
from mmframe.domain.records import AdviceUpdate, Command, LimitRecord, OperatorCommand
from mmframe.domain.status import ProfitAndLoss, RunResult, RunStatus
from mmframe.domain.views import NEUTRAL_ADVICE
from mmframe.engine.state import EngineState, RestoredFill, RestoredOrder
from mmframe.errors import JournalError
from mmframe.runtime.journal import Journal, JournalLimit, JournalReader
from mmframe.runtime.journal.writer import MAX_WAITING_NS, MAX_WAITING_ROWS

NS = 1_000_000_000


def committed(path, table):
    """Count the rows that another connection sees."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        connection.close()


def states(path):
    with JournalReader(path) as reader:
        return {order.client_id.rpartition("-")[2]: order.state for order in reader.orders()}


# Intents.


def test_intents_are_readable_by_others_before_begin_returns(journal, path, values):
    actions = [values.submit(1), values.submit(2, Side.SELL, price_ticks=10_010)]

    journal.begin(actions, NS)

    with JournalReader(path) as reader:
        assert [(intent.at_ns, intent.action) for intent in reader.intents()] == [(NS, actions[0]), (NS, actions[1])]
        assert [order.state for order in reader.orders()] == [OrderState.INTENT, OrderState.INTENT]


def test_all_actions_of_a_decision_are_one_commit(journal, values):
    commits = []
    journal._connection.set_trace_callback(
        lambda statement: commits.append(statement) if statement == "COMMIT" else None
    )

    journal.begin([values.submit(1), values.submit(2), values.submit(3)], NS, EngineState(last_sequence=3))

    assert commits == ["COMMIT"]


def test_nothing_is_committed_for_no_action(journal):
    statements = []
    journal._connection.set_trace_callback(statements.append)

    journal.begin([], NS)

    assert statements == []


def test_every_kind_of_action_is_recorded_as_it_is(journal, path, values):
    journal.begin([values.submit(1), values.submit(2)], NS)
    journal.on_order_update(values.update(1, OrderStatus.OPEN), OrderState.OPEN)
    actions = [
        Amend(0, "mm-btcmaker-7-1", 9_999, 3, 1),
        Replace(0, "mm-btcmaker-7-2", "mm-btcmaker-7-3", 9_998, 4),
        Cancel(0, "mm-btcmaker-7-1"),
        CancelAll(ALL_MARKETS, "stopping"),
        QueryOrder(0, "mm-btcmaker-7-1"),
        QueryOpenOrders(1),
        Cancel(0, "a-stray-of-the-venue"),
    ]

    journal.begin(actions, 2 * NS)

    with JournalReader(path) as reader:
        assert [intent.action for intent in reader.intents()][2:] == actions


@pytest.mark.parametrize(
    "how", ["in one commit", "after a commit", "of a final order", "by a replace", "in a later run"]
)
def test_a_client_id_is_used_once_forever(journal, path, values, how):
    first, again = values.submit(1), values.submit(1, Side.SELL)
    if how == "in one commit":
        with pytest.raises(JournalError) as caught:
            journal.begin([first, again], NS)
    else:
        journal.begin([first], NS)
        if how == "of a final order":
            journal.on_order_update(values.update(1, OrderStatus.REJECTED), OrderState.REJECTED)
            journal.flush()
        if how == "by a replace":
            journal.begin([values.submit(2)], NS)
            again = Replace(0, "mm-btcmaker-7-2", "mm-btcmaker-7-1", 1, 1)
        if how == "in a later run":
            journal.close()
            journal, _ = Journal.reopen(path, values.header())
        with pytest.raises(JournalError) as caught:
            journal.begin([again], NS)

    assert caught.value.message == f"journal {str(path)!r}: client id 'mm-btcmaker-7-1' was used before"
    assert committed(path, "intents") == {"in one commit": 0, "by a replace": 2}.get(how, 1)
    journal.close()


# What risk controls remember.


def test_figures_that_are_not_finite_come_back_as_they_were(journal, path, reopened):
    kept = (0.1, float("inf"), -float("inf"), float("nan"), True)

    journal.save_state(EngineState(last_sequence=4, is_paused=True, risk_states={"BTC/USDT pause": kept}))

    state = reopened(journal).state
    assert (state.last_sequence, state.is_paused, type(state)) == (4, True, EngineState)
    assert str(state.risk_states) == "{'BTC/USDT pause': (0.1, inf, -inf, nan, 1.0)}"


def test_a_figure_that_an_older_journal_has_as_null_is_not_known_and_keeps_nothing_from_going_on(journal, path, values):
    journal.save_state(EngineState(halt_reason="loss", risk_states={"BTC/USDT pause": (1.5, 2.5)}))
    journal.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE state SET body = replace(body, '2.5', 'null')")
    connection.commit()
    connection.close()

    following, restored = Journal.reopen(path, values.header())
    following.close()

    assert restored.state.halt_reason == "loss"
    assert str(restored.state.risk_states["BTC/USDT pause"]) == "(1.5, nan)"


# What waits.


def test_decisions_wait_and_go_with_the_next_commit(journal, path, values):
    journal.on_decision(values.decision(1))
    before = committed(path, "decisions")

    journal.begin([values.submit(1)], NS)

    assert (before, committed(path, "decisions")) == (0, 1)


def test_flush_shows_what_waits_without_waiting_for_the_disk(journal, path, values):
    journal.on_decision(values.decision(1))

    journal.flush()

    assert committed(path, "decisions") == 1
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (1,)


def test_flush_of_nothing_does_nothing(journal):
    statements = []
    journal._connection.set_trace_callback(statements.append)

    journal.flush()

    assert statements == []


def test_what_waits_is_written_at_the_bound_of_rows(journal, path, values):
    for number in range(MAX_WAITING_ROWS - 1):
        journal.on_decision(values.decision(number))
    before = committed(path, "decisions")

    journal.on_decision(values.decision(MAX_WAITING_ROWS))

    assert (before, committed(path, "decisions")) == (0, MAX_WAITING_ROWS)


def test_what_waits_is_written_when_it_is_a_second_old(journal, path, values):
    journal.on_decision(values.decision(1, NS))
    journal.on_decision(values.decision(2, NS + MAX_WAITING_NS - 1))
    before = committed(path, "decisions")

    journal.on_decision(values.decision(3, NS + MAX_WAITING_NS))

    assert (before, committed(path, "decisions")) == (0, 3)


def test_a_command_and_what_it_left_are_one_durable_commit(journal, path, values):
    journal.on_command(OperatorCommand(Command.PAUSE, NS, reason="lunch"), EngineState(is_paused=True), 7)

    with JournalReader(path) as reader:
        assert reader.commands() == (OperatorCommand(Command.PAUSE, NS, reason="lunch"),)
        assert reader.state().is_paused
    assert journal.last_command == 7
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_each_time_that_a_limit_bound_is_one_record_with_its_end(journal, path, values):
    first = LimitRecord(0, "spread-floor", 1, 13, NS, NS, 1, is_over=False, detail="0.4 bps")
    journal.on_limit(first)
    journal.on_limit(LimitRecord(ALL_MARKETS, "halt", 3, 30, 2 * NS, 2 * NS, 1, is_over=False))
    journal.on_limit(msgspec.structs.replace(first, now_ns=3 * NS, decisions=9, is_over=True, detail=""))
    journal.on_limit(msgspec.structs.replace(first, began_ns=4 * NS, now_ns=4 * NS))
    journal.flush()

    with JournalReader(path) as reader:
        spell = JournalLimit(1, 0, "spread-floor", 1, 13, NS, 3 * NS, 9, "0.4 bps")
        halt = JournalLimit(1, ALL_MARKETS, "halt", 3, 30, 2 * NS, None, 1, "")
        again = JournalLimit(1, 0, "spread-floor", 1, 13, 4 * NS, None, 1, "0.4 bps")
        assert reader.limits() == (spell, halt, again)
        assert reader.limits(market=1) == (halt,)
        assert reader.limits(market=0, since_ns=3 * NS + 1) == (halt, again)
        assert reader.limits(until_ns=NS) == (spell,)
        assert reader.limits(since_ns=2 * NS, until_ns=2 * NS) == (spell, halt)


def test_a_clean_end_loses_nothing(journal, path, values):
    advice = AdviceUpdate(0, NEUTRAL_ADVICE._replace(skew_bps=2.5, valid_until_ns=5 * NS), NS, "calm", "quiet night")
    command = OperatorCommand(Command.PAUSE, NS, reason="lunch")
    journal.on_decision(values.decision(1))
    journal.on_advice(advice)
    journal.on_command(command)
    journal.on_order_update(values.update(9, OrderStatus.OPEN), None)

    journal.close()

    with JournalReader(path) as reader:
        assert list(reader.each_decision()) == [values.decision(1)]
        assert reader.advice() == reader.advice(0, run=1) == (advice,)
        assert reader.commands() == (command,)
        assert [event.status for event in reader.order_events("mm-btcmaker-7-9")] == ["open"]


def test_a_decision_keeps_nan_and_infinity(journal, path, values):
    stage = values.decision(1).stages[0]
    from msgspec.structs import replace

    odd = values.decision(1, inventory={"max_position": float("inf")}, stages=(replace(stage, bid_size=float("nan")),))

    journal.on_decision(odd)
    journal.flush()

    with JournalReader(path) as reader:
        back = reader.decision(1)
    assert back.inventory == {"max_position": float("inf")}
    assert back.stages[0].bid_size != back.stages[0].bid_size


# Fills.


def test_a_fill_counts_once_forever(journal, path, values):
    journal.begin([values.submit(1)], NS)

    first = journal.on_fill(values.fill("t-1"), 20_001)
    second = journal.on_fill(values.fill("t-1", at_ns=2 * NS), 20_005)
    journal.close()
    following, restored = Journal.reopen(path, values.header())
    third = following.on_fill(values.fill("t-1"), 20_001)
    following.close()

    assert (first, second, third) == (True, False, False)
    assert restored.fills == (RestoredFill(values.fill("t-1"), 20_001),)


def test_the_same_trade_id_in_another_market_is_another_fill(journal, values):
    assert journal.on_fill(values.fill("t-1", market=0), 20_000)
    assert journal.on_fill(values.fill("t-1", market=1), 20_000)


def test_a_trade_id_of_a_different_execution_stops_the_run(journal, path, values):
    journal.on_decision(values.decision(1))
    journal.on_fill(values.fill("t-1"), 20_000)

    with pytest.raises(JournalError) as caught:
        journal.on_fill(values.fill("t-1", Side.SELL and 1, Side.SELL, size_lots=3), 20_000)

    assert caught.value.message == (
        f"journal {str(path)!r}: trade id 't-1' of market 0: expected BUY 2 lots at 10000 ticks of order "
        "'mm-btcmaker-7-1', was SELL 3 lots at 10000 ticks of order 'mm-btcmaker-7-1'"
    )
    assert committed(path, "fills") == 1


def test_fees_come_back_exactly(journal, reopened, values):
    fill = values.fill("t-1", fee=Decimal("-0.000000000000000001230"), fee_asset="BNB", is_maker=False)

    journal.on_fill(fill, 20_000)

    (back,) = reopened(journal).fills
    assert back.fill == fill
    assert str(back.fill.fee) == "-1.230E-18"


# Orders.


def test_an_order_that_may_have_been_sent_comes_back_as_intent(journal, reopened, values):
    journal.begin([values.submit(1)], NS)

    restored = reopened(journal)

    assert restored.orders == (RestoredOrder(0, "mm-btcmaker-7-1", Side.BUY, 10_000, 5, 0, OrderState.INTENT),)
    assert restored.state.last_sequence == 1


def test_final_orders_do_not_come_back(journal, reopened, values):
    journal.begin([values.submit(number) for number in range(1, 5)], NS)
    journal.on_order_update(values.update(1, OrderStatus.CANCELED), OrderState.CANCELED)
    journal.on_order_update(values.update(2, OrderStatus.REJECTED, reason="post only"), OrderState.REJECTED)
    journal.on_order_update(values.update(3, OrderStatus.OPEN, venue_order_id="v3", version=2), OrderState.OPEN)
    journal.on_fill(values.fill("t-1", 4, size_lots=5), 20_000)

    restored = reopened(journal)

    assert restored.orders == (RestoredOrder(0, "mm-btcmaker-7-3", Side.BUY, 10_000, 5, 0, OrderState.OPEN, 2, "v3"),)
    assert restored.state.last_sequence == 4


def test_an_amend_without_answer_comes_back_with_the_larger_size(journal, reopened, values):
    journal.begin([values.submit(1, size_lots=5), values.submit(2, size_lots=5)], NS)
    for number in (1, 2):
        journal.on_order_update(values.update(number, OrderStatus.OPEN), OrderState.OPEN)
    journal.on_fill(values.fill("t-1", 1, size_lots=2), 20_000)

    journal.begin([Amend(0, "mm-btcmaker-7-1", 9_000, 7, 1), Amend(0, "mm-btcmaker-7-2", 9_000, 1, 1)], NS)

    grown, shrunk = reopened(journal).orders
    assert (grown.size_lots, grown.filled_lots, grown.price_ticks, grown.state) == (
        9,
        2,
        10_000,
        OrderState.PENDING_REPLACE,
    )
    assert (shrunk.size_lots, shrunk.filled_lots) == (5, 0)


AMEND_ANSWERS = {
    "taken as asked": (dict(status=OrderStatus.OPEN), OrderState.OPEN, (9_000, 7)),
    "taken otherwise": (dict(status=OrderStatus.OPEN, price_ticks=9_001, size_lots=6), OrderState.OPEN, (9_001, 6)),
    "refused": (dict(status=OrderStatus.UNCHANGED), OrderState.UNKNOWN, (10_000, 5)),
    "no answer": (dict(status=OrderStatus.UNKNOWN), OrderState.UNKNOWN, (10_000, 7)),
}


@pytest.mark.parametrize(("answer", "state", "expected"), AMEND_ANSWERS.values(), ids=AMEND_ANSWERS)
def test_the_answer_to_an_amend_settles_price_and_size(journal, reopened, values, answer, state, expected):
    journal.begin([values.submit(1)], NS)
    journal.on_order_update(values.update(1, OrderStatus.OPEN), OrderState.OPEN)
    journal.begin([Amend(0, "mm-btcmaker-7-1", 9_000, 7, 1)], NS)

    journal.on_order_update(values.update(1, request=Request.AMEND, **answer), state)

    (order,) = reopened(journal).orders
    assert (order.price_ticks, order.size_lots) == expected


REPLACE_OUTCOMES = {
    "replaced": (OrderStatus.REPLACED, OrderState.CANCELED, {"1": "canceled", "2": "open"}),
    "both live": (OrderStatus.BOTH_LIVE, OrderState.OPEN, {"1": "open", "2": "open"}),
    "cancelled only": (OrderStatus.CANCELED_ONLY, OrderState.CANCELED, {"1": "canceled", "2": "rejected"}),
    "unchanged": (OrderStatus.UNCHANGED, OrderState.OPEN, {"1": "open", "2": "rejected"}),
    "unknown": (OrderStatus.UNKNOWN, OrderState.UNKNOWN, {"1": "unknown", "2": "intent"}),
}


@pytest.mark.parametrize("names_new", [True, False], ids=["names the new order", "does not name it"])
@pytest.mark.parametrize(("status", "state", "expected"), REPLACE_OUTCOMES.values(), ids=REPLACE_OUTCOMES)
def test_a_replace_settles_both_orders(journal, path, values, status, state, expected, names_new):
    journal.begin([values.submit(1)], NS)
    journal.on_order_update(values.update(1, OrderStatus.OPEN), OrderState.OPEN)
    journal.begin([Replace(0, "mm-btcmaker-7-1", "mm-btcmaker-7-2", 9_990, 4)], NS)
    new_id = "mm-btcmaker-7-2" if names_new else ""

    journal.on_order_update(values.update(1, status, Request.REPLACE, new_client_id=new_id), state)

    journal.close()
    assert {number: state.value for number, state in states(path).items()} == expected
    with JournalReader(path) as reader:
        assert reader.order("mm-btcmaker-7-2").replaces == "mm-btcmaker-7-1"


def test_a_cancel_leaves_an_order_that_may_still_fill(journal, path, values):
    journal.begin([values.submit(1), values.submit(2), values.submit(3, market=1)], NS)
    journal.on_order_update(values.update(1, OrderStatus.OPEN), OrderState.OPEN)
    journal.on_order_update(values.update(3, OrderStatus.OPEN, market=1), OrderState.OPEN)

    journal.begin([CancelAll(0, "stop"), Cancel(1, "mm-btcmaker-7-3")], 2 * NS)

    assert states(path) == {
        "1": OrderState.PENDING_CANCEL,
        "2": OrderState.INTENT,
        "3": OrderState.PENDING_CANCEL,
    }


def test_an_order_that_awaits_fills_ends_with_the_last_of_them(journal, path, values):
    journal.begin([values.submit(1)], NS)
    journal.on_fill(values.fill("t-1", size_lots=1), 20_000)
    # The engine keeps it: the venue counts three lots, of which one has been seen.
    journal.on_order_update(values.update(1, OrderStatus.CANCELED, filled_lots=3), OrderState.PARTIALLY_FILLED)
    journal.flush()
    before = states(path)["1"]

    journal.on_fill(values.fill("t-2", size_lots=2), 20_000)

    assert (before, states(path)["1"]) == (OrderState.PARTIALLY_FILLED, OrderState.CANCELED)


def test_a_late_fill_of_a_final_order_is_counted_and_changes_nothing_else(journal, path, values):
    journal.begin([values.submit(1)], NS)
    journal.on_order_update(values.update(1, OrderStatus.CANCELED), OrderState.CANCELED)
    journal.flush()

    journal.on_fill(values.fill("t-1", size_lots=1, at_ns=3 * NS), 20_000)

    with JournalReader(path) as reader:
        order = reader.order("mm-btcmaker-7-1")
    assert (order.state, order.counted_lots, order.ended_ns) == (OrderState.CANCELED, 1, NS)


def test_old_news_of_an_order_changes_nothing(journal, path, values):
    journal.begin([values.submit(1)], NS)
    journal.on_order_update(values.update(1, OrderStatus.OPEN, version=5, price_ticks=9_999), OrderState.OPEN)

    journal.on_order_update(values.update(1, OrderStatus.OPEN, version=4, price_ticks=1), OrderState.OPEN)

    journal.flush()
    with JournalReader(path) as reader:
        assert reader.order("mm-btcmaker-7-1").price_ticks == 9_999


def test_everything_that_happened_to_an_order_is_kept_in_order(journal, path, values):
    journal.begin([values.submit(1)], NS)
    journal.on_order_update(values.update(1, OrderStatus.OPEN, at_ns=2 * NS), OrderState.OPEN)
    journal.on_fill(values.fill("t-1", size_lots=2, at_ns=3 * NS), 20_000)
    journal.begin([Cancel(0, "mm-btcmaker-7-1")], 4 * NS)
    journal.on_order_update(
        values.update(1, OrderStatus.CANCELED, Request.STREAM, at_ns=5 * NS, reason="as asked", filled_lots=2),
        OrderState.CANCELED,
    )
    journal.close()

    with JournalReader(path) as reader:
        events = reader.order_events("mm-btcmaker-7-1")

    assert [
        (event.at_ns // NS, event.event, event.status, event.state.value, event.counted_lots) for event in events
    ] == [
        (1, "submit", None, "intent", 0),
        (2, "answer to submit", "open", "open", 0),
        (3, "fill", None, "partially_filled", 2),
        (4, "cancel", None, "pending_cancel", 2),
        (5, "news", "canceled", "canceled", 2),
    ]
    assert events[-1].reason == "as asked"


# State and the end.


def test_the_state_comes_back(journal, reopened, values):
    state = EngineState(
        last_sequence=12, day=20_000, day_start_pnl_quote=Decimal("-1.5"), halt_reason="loss", is_killed=True
    )
    journal.save_state(EngineState(last_sequence=3))

    journal.save_state(state)

    assert reopened(journal).state == state


def test_a_state_that_did_not_change_is_not_written_again(journal):
    journal.save_state(EngineState(day=3))
    statements = []
    journal._connection.set_trace_callback(statements.append)

    journal.save_state(EngineState(day=3))

    assert statements == []


def test_a_state_can_go_with_the_intents(journal, reopened, values):
    journal.begin([values.submit(1)], NS, EngineState(day=3))
    journal.begin([values.submit(2)], NS, EngineState(day=3))

    assert reopened(journal).state == EngineState(last_sequence=2, day=3)


def test_the_sequence_follows_from_the_ids_when_the_state_is_older(journal, reopened, values):
    journal.save_state(EngineState(last_sequence=1))
    journal.begin([values.submit(41), values.submit(8)], NS)

    assert reopened(journal).state.last_sequence == 41


def a_result(journal):
    profit = ProfitAndLoss(*(Decimal(number) for number in ("1.25", "2", "-0.5", "-0.25", "1", "0.5")))
    status = RunStatus("btc-maker", "paper", 9 * NS, NS, 10, 4, (), is_halted=False, halt_reason="")
    del profit
    return RunResult(status, "f" * 64, "duration", ("a",), str(journal.path), 9, 0, 0, 2, ("x",))


def test_the_result_comes_back_as_it_was(journal, path, values):
    result = a_result(journal)
    journal.on_decision(values.decision(1))

    journal.finish(result)
    journal.close()

    with JournalReader(path) as reader:
        (run,) = reader.runs()
        assert (run.ended_ns, run.ended_because, run.result) == (9 * NS, "duration", result)
        assert reader.summary() == result
        assert reader.decision_count() == 1


def test_each_reopening_adds_a_run(journal, path, values):
    journal.close()
    for number in (2, 3):
        following, _ = Journal.reopen(path, values.header(started_ns=number))
        assert following.run == number
        following.close()

    with JournalReader(path) as reader:
        assert [run.header.started_ns for run in reader.runs()] == [1_700_000_000 * NS, 2, 3]


# Failure to write.


def test_a_full_disk_is_told_and_loses_nothing(journal, path, values):
    journal.begin([values.submit(1)], NS)
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(100):
        journal.on_decision(values.decision(number))

    with pytest.raises(JournalError) as caught:
        journal.begin([values.submit(2)], NS)

    assert caught.value.message == f"journal {str(path)!r} cannot be written: the disk is full"
    assert caught.value.hint == "what was committed is safe; free some space, then resume the run"
    assert states(path) == {"1": OrderState.INTENT}
    journal._connection.execute("PRAGMA max_page_count = 1000000")
    journal.begin([values.submit(2)], NS)
    assert states(path) == {"1": OrderState.INTENT, "2": OrderState.INTENT}
    assert committed(path, "decisions") == 100


def test_a_disk_that_fills_up_for_real_is_told_and_loses_nothing(path, values):
    script = f"""
        import resource, sys
        sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
        from conftest import Values as values
        from pathlib import Path
        from mmframe.errors import JournalError
        from mmframe.runtime.journal import Journal
        journal = Journal.create(Path({str(path)!r}), values.header())
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
        number = 0
        try:
            while True:
                number += 1
                journal.begin([values.submit(number)], number)
                print(number, flush=True)
        except JournalError as error:
            print(error.message)
    """

    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True, timeout=60
    )

    *sent, message = result.stdout.splitlines()
    assert message.startswith(f"journal {str(path)!r}")
    assert "disk" in message
    following, restored = Journal.reopen(path, values.header())
    assert len(sent) > 10
    assert [order.client_id.rpartition("-")[2] for order in restored.orders] == sorted(sent, key=int)
    following.close()


def test_a_close_that_cannot_write_says_so_and_gives_the_journal_free(journal, path, values):
    journal.begin([values.submit(1)], NS)
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(100):
        journal.on_decision(values.decision(number))

    with pytest.raises(JournalError, match="the disk is full"):
        journal.close()

    following, restored = Journal.reopen(path, values.header())
    following.close()
    assert len(restored.orders) == 1


def test_a_closed_journal_refuses_to_write(journal, path, values):
    journal.close()

    with pytest.raises(JournalError, match="closed"):
        journal.begin([values.submit(1)], NS)

"""What follows from rows and executions, in whatever order they come."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, Cancel, Fill, OrderStatus, OrderUpdate, Request, Submit
from mmframe_bybit.trading.messages import ExecutionFacts, OrderFacts
from mmframe_bybit.trading.tracking import ENDED_ORDERS_MAX, OrderRecords

NOW = 1_700_000_000_000_000_000
ID = "mm-t-0-1"


def row(status="New", *, filled=0, price=200, size=10, ms=1, reject="EC_NoError", cancel="UNKNOWN", client_id=ID):
    return OrderFacts(client_id, "o-1", Side.BUY, price, size, filled, status, reject, cancel, ms)


def execution(number, lots, client_id=ID):
    return ExecutionFacts(client_id, "o-1", f"e-{number}", Side.BUY, 200, lots, True, Decimal("0.1"), "USDT", 1)


@pytest.fixture
def records():
    records = OrderRecords()
    records.on_submit(Submit(0, ID, Side.BUY, 200, 10))
    return records


def told(events):
    return [
        (event.request.name, event.status.name) if isinstance(event, OrderUpdate) else event.size_lots
        for event in events
    ]


def test_the_first_row_answers_the_submit(records):
    assert told(records.on_order(0, row(), NOW)) == [("SUBMIT", "OPEN")]


def test_repetitions_and_partial_fills_tell_nothing_more(records):
    records.on_order(0, row(), NOW)

    assert records.on_order(0, row(ms=2), NOW) == []
    assert told(records.on_execution(0, execution(1, 4), NOW)) == [4]
    assert records.on_order(0, row("PartiallyFilled", filled=4, ms=3), NOW) == []


def test_an_update_waits_for_the_executions_that_it_counts(records):
    records.on_order(0, row(), NOW)

    assert records.on_order(0, row("Filled", filled=10, ms=2), NOW) == []
    assert told(records.on_execution(0, execution(1, 4), NOW)) == [4]
    assert told(records.on_execution(0, execution(2, 6), NOW)) == [6, ("STREAM", "FILLED")]


def test_a_cancel_with_a_filled_part_tells_both(records):
    records.on_order(0, row(), NOW)
    records.on_cancel(Cancel(0, ID))
    held = records.on_order(0, row("Cancelled", filled=3, ms=2, cancel="CancelByUser"), NOW)

    events = records.on_execution(0, execution(1, 3), NOW)

    assert held == []
    assert told(events) == [3, ("CANCEL", "CANCELED")]
    assert (events[1].filled_lots, events[1].reason) == (3, "CancelByUser")


def test_a_second_message_of_the_end_is_none(records):
    records.on_order(0, row(), NOW)
    records.on_execution(0, execution(1, 10), NOW)
    first = records.on_order(0, row("Filled", filled=10, ms=2), NOW)

    second = records.on_order(
        0, row("Filled", filled=10, ms=3, reject="EC_OrigClOrdIDDoesNotExist", cancel="CancelByUser"), NOW
    )

    assert told(first) == [("STREAM", "FILLED")]
    assert second == []


@pytest.mark.parametrize("status", ["Cancelled", "Rejected"])
def test_a_post_only_order_that_would_take_is_a_refused_submit(records, status):
    events = records.on_order(0, row(status, reject="EC_PostOnlyWillTakeLiquidity"), NOW)

    assert told(events) == [("SUBMIT", "REJECTED")]
    assert events[0].reason == "EC_PostOnlyWillTakeLiquidity"


def test_one_that_was_moved_so_is_a_cancel(records):
    records.on_order(0, row(), NOW)
    records.on_amend(Amend(0, ID, 210, 10, 0))

    events = records.on_order(0, row("Cancelled", ms=2, reject="EC_PostOnlyWillTakeLiquidity"), NOW)

    assert told(events) == [("STREAM", "CANCELED")]


@pytest.mark.parametrize("status", ["PartiallyFilledCanceled", "Cancelled", "Deactivated"])
def test_every_way_to_be_cancelled(records, status):
    records.on_order(0, row(), NOW)

    assert told(records.on_order(0, row(status, ms=2), NOW)) == [("STREAM", "CANCELED")]


@pytest.mark.parametrize("status", ["Triggered", "SomethingNew"])
def test_a_status_that_does_not_last_or_is_not_known_is_no_evidence(records, status):
    assert records.on_order(0, row(status), NOW) == []


def test_an_amend_names_the_fills_that_the_strategy_knows_and_the_rest(records):
    records.on_order(0, row(), NOW)
    known = records.on_execution(0, execution(1, 2), NOW)
    records.on_polled(known[0])
    records.on_execution(0, execution(2, 3), NOW)

    size_lots = records.on_amend(Amend(0, ID, 198, 6, 0))

    assert size_lots == 8


def test_a_row_as_amended_answers_the_amend_and_one_as_before_does_not(records):
    records.on_order(0, row(), NOW)
    records.on_amend(Amend(0, ID, 198, 6, 0))

    before = records.on_order(0, row(ms=2), NOW)
    after = records.on_order(0, row(price=198, size=6, ms=3), NOW)

    assert before == []
    assert told(after) == [("AMEND", "OPEN")]
    assert (after[0].price_ticks, after[0].size_lots) == (198, 6)


def test_an_older_row_changes_nothing(records):
    records.on_order(0, row(price=198, ms=5), NOW)

    assert records.on_order(0, row(price=200, ms=4), NOW) == []
    assert records.get(ID).price_ticks == 198


def test_an_end_is_news_even_if_the_clock_of_the_exchange_was_set_back(records):
    records.on_order(0, row(ms=5), NOW)

    assert told(records.on_order(0, row(status="Cancelled", ms=4), NOW)) == [("STREAM", "CANCELED")]


def test_an_end_is_news_also_when_the_exchanges_clock_went_back(records):
    records.on_order(0, row(ms=5000), NOW)

    assert told(records.on_order(0, row("Cancelled", ms=2000), NOW)) == [("STREAM", "CANCELED")]


def test_a_refusal_does_not_outdo_the_stream(records):
    records.on_order(0, row(), NOW)

    assert records.refused_submit(records.get(ID), "170210: late", NOW) == []


def test_an_order_that_shows_after_its_refusal_is_told(records):
    refused = records.refused_submit(records.get(ID), "10006: too many", NOW)

    assert told(refused) == [("SUBMIT", "REJECTED")]
    assert told(records.on_order(0, row(), NOW)) == [("STREAM", "OPEN")]


def test_what_was_not_changed_stands_as_last_seen_or_is_in_doubt(records):
    records.on_order(0, row(), NOW)
    record = records.get(ID)

    stands = records.unchanged(record, Request.CANCEL, "110079", NOW)[0]
    doubt = records.unchanged(record, Request.CANCEL, "110001", NOW, is_in_doubt=True)[0]

    assert (stands.status, stands.size_lots, stands.price_ticks) == (OrderStatus.UNCHANGED, 10, 200)
    assert (doubt.status, doubt.size_lots, doubt.price_ticks) == (OrderStatus.UNCHANGED, 0, 0)


def test_what_the_exchange_has_shown_is_not_put_in_doubt_again(records):
    records.on_order(0, row(), NOW)
    records.on_amend(Amend(0, ID, 198, 6, 0))
    before = records.unknown(records.get(ID), Request.AMEND, "no answer", NOW)
    records.on_order(0, row(price=198, size=6, ms=3), NOW)

    assert told(before) == [("AMEND", "UNKNOWN")]
    assert records.unknown(records.get(ID), Request.AMEND, "no answer", NOW) == []
    assert records.unknown(records.get(ID), Request.SUBMIT, "no answer", NOW) == []
    assert told(records.unknown(records.get(ID), Request.CANCEL, "no answer", NOW)) == [("CANCEL", "UNKNOWN")]


def test_an_order_that_was_never_seen_is_in_doubt_too():
    records = OrderRecords()
    record = records.note(0, ID)

    assert records.unchanged(record, Request.CANCEL, "x", NOW)[0].size_lots == 0


def test_ended_orders_are_forgotten_at_the_bound():
    records = OrderRecords()
    for number in range(ENDED_ORDERS_MAX + 1):
        records.on_order(0, row("Cancelled", client_id=f"mm-t-0-{number}"), NOW)

    assert records.get("mm-t-0-0") is None
    assert records.get("mm-t-0-1").is_ended
    assert list(records) == []


@st.composite
def arrivals(draw):
    """Return rows and executions of one order that fills bit by bit, in any order of arrival and some of them twice."""
    lots = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    total = sum(lots) + draw(st.integers(0, 3))
    news = [("row", row(size=total, ms=1))]
    filled = 0
    for number, size in enumerate(lots):
        filled += size
        status = "Filled" if filled == total else "PartiallyFilled"
        news += [("execution", execution(number, size)), ("row", row(status, filled=filled, size=total, ms=2 + number))]
    if filled < total:
        news.append(("row", row("Cancelled", filled=filled, size=total, ms=99)))
    repeated = draw(st.lists(st.sampled_from(news), max_size=4))
    return draw(st.permutations(news + repeated)), lots, total


@settings(max_examples=200)
@given(arrivals())
def test_in_any_order_each_fill_is_told_once_and_before_the_update_that_counts_it(case):
    news, lots, total = case
    records = OrderRecords()
    records.on_submit(Submit(0, ID, Side.BUY, 200, total))
    events = []
    for kind, facts in news:
        events += records.on_order(0, facts, NOW) if kind == "row" else records.on_execution(0, facts, NOW)

    seen = 0
    for event in events:
        if isinstance(event, Fill):
            seen += event.size_lots
        else:
            assert event.filled_lots <= seen
    ends = [event for event in events if isinstance(event, OrderUpdate) and event.status is not OrderStatus.OPEN]
    assert seen == sum(lots)
    assert len(ends) == 1
    assert ends[0] is events[-1] or not isinstance(events[-1], OrderUpdate)
    assert ends[0].filled_lots == sum(lots)

"""Orders, actions and events are values: they encode the same everywhere and read back as they were."""

import subprocess
import sys
from decimal import Decimal

import msgspec
import pytest

from mmframe.domain.advice import AdviceRequest, CompletionReply, CompletionRequest, ReplyStatus, Usage
from mmframe.domain.market import Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Action,
    Amend,
    Approved,
    BalanceUpdate,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderReport,
    OrderState,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    VenueEvent,
    VenueStatus,
    action_bytes,
)
from mmframe.domain.records import AdviceUpdate, Command, OperatorCommand
from mmframe.domain.views import NEUTRAL_ADVICE
from mmframe.testing import approve

SUBMIT = Submit(0, "c-1", Side.BUY, 100, 5)
ACTIONS = [
    SUBMIT,
    Amend(0, "c-1", 99, 4, expected_version=2),
    Replace(0, "c-1", "c-2", 99, 4),
    Cancel(0, "c-1"),
    CancelAll(ALL_MARKETS, "stop"),
    QueryOrder(0, "c-1"),
    QueryOpenOrders(0),
]
EVENTS = [
    OrderUpdate(0, "c-1", OrderStatus.OPEN, Request.SUBMIT, 1, 2, price_ticks=100, size_lots=5),
    Fill(
        0,
        "c-1",
        "t-1",
        Side.SELL,
        100,
        5,
        is_maker=True,
        fee=Decimal("-0.010"),
        fee_asset="BNB",
        exchange_ns=1,
        receive_ns=2,
    ),
    OpenOrdersReport(0, (OrderReport("c-1", "v-1", Side.BUY, 100, 5, 0),), 1, 2),
    BalanceUpdate("USDT", Decimal("1.50"), Decimal(0), 2),
    VenueStatus(is_up=False, receive_ns=2, reason="lost"),
]
RECORDS = [
    AdviceUpdate(0, NEUTRAL_ADVICE, 1, source="spread-adviser"),
    OperatorCommand(Command.KILL, 1),
    AdviceRequest((0,), CompletionRequest("s", "p", b"{}", "advice", 100), "4f2a"),
    CompletionReply(ReplyStatus.OK, "{}", "m", 5, Usage(10, output_tokens=2), reported_cost_usd=Decimal("0.0001")),
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_an_action_reads_back_from_its_canonical_bytes(action):
    assert msgspec.json.decode(action_bytes(action), type=Action) == action


def test_the_canonical_bytes_are_the_same_in_every_process():
    program = (
        "from mmframe.domain.orders import Submit, action_bytes; from mmframe.domain.market import Side;"
        "print(action_bytes(Submit(0, 'c-1', Side.BUY, 100, 5)).decode())"
    )

    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert printed == {action_bytes(SUBMIT).decode()}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_reads_back_with_its_money_to_the_digit(event):
    encoded = msgspec.json.encode(event)

    assert msgspec.json.decode(encoded, type=VenueEvent) == event
    assert msgspec.json.encode(msgspec.json.decode(encoded, type=VenueEvent)) == encoded


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_reads_back_as_it_was(record):
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record


@pytest.mark.parametrize("value", [*ACTIONS, *EVENTS, *RECORDS], ids=lambda value: type(value).__name__)
def test_values_do_not_change(value):
    field = value.__struct_fields__[0]

    with pytest.raises(AttributeError):
        setattr(value, field, None)


def test_only_the_gate_approves():
    with pytest.raises(TypeError) as caught:
        Approved(SUBMIT, object())

    assert str(caught.value) == "Approved: only the gate approves actions; hand the action to the engine instead"


def test_what_is_approved_shows_its_action():
    assert repr(approve(SUBMIT)) == f"Approved({SUBMIT!r})"


def test_an_order_ends_in_five_ways_and_unknown_is_none_of_them():
    final = {state.name for state in OrderState if state.is_final}

    assert final == {"FILLED", "CANCELED", "REJECTED", "EXPIRED", "NOT_PLACED"}

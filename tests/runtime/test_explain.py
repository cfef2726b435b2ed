"""Decisions explained: a whole run's, and written ones for what a quiet run does not show."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import (
    Amend,
    Cancel,
    CancelAll,
    OrderState,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
)
from mmframe.domain.records import GateRejection, LadderLevel, QuoteDecision, StageKind, StageRecord
from mmframe.domain.views import NEUTRAL_ADVICE, Reason
from mmframe.engine.state import EngineState
from mmframe.errors import UsageError
from mmframe.runtime.explain import explain, reason_text
from mmframe.runtime.journal import Journal, JournalReader, RecordedInstrument, RunHeader

NS = 1_000_000_000
HEADER = RunHeader(
    run_id="0",
    strategy="btc-maker",
    mode="paper",
    strategy_file="s.toml",
    strategy_hash="",
    started_ns=0,
    instruments=(
        RecordedInstrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")),
        RecordedInstrument("ETH/USDT", Decimal("0.01"), Decimal("0.001")),
    ),
    reasons={1001: "the moon is full"},
)
VIEW = {"bid": 99.99, "bid_size": 1.0, "ask": 100.01, "ask_size": 2.0, "mid": 100.0, "signals.volatility": 0.5}


def stage(name, bid=None, ask=None, *, kind=StageKind.OPTIMIZER, reasons=(0, 0), level=0, note=""):
    """A stage's output; a side is `(price, size)` or None."""
    return StageRecord(kind, name, *(bid or (None, 0.0)), *(ask or (None, 0.0)), *reasons, level=level, note=note)


def decision(sequence=1, now_ns=NS, **changes):
    values = dict(
        market=0,
        view=VIEW,
        inventory={"position": 0.002, "max_position": None},
        advice={name: float(value) for name, value in NEUTRAL_ADVICE._asdict().items()},
        stages=(stage("fixed-spread", (99.9, 0.01), (100.1, 0.01)),),
        bids=(LadderLevel(9_990, 10),),
        asks=(LadderLevel(10_010, 10),),
        bid_reason=0,
        ask_reason=0,
        actions=(),
        rejections=(),
    )
    return QuoteDecision(sequence=sequence, now_ns=now_ns, **{**values, **changes})


@pytest.fixture
def journal(tmp_path):
    with Journal.create(tmp_path / "run.journal", HEADER) as journal:
        yield journal


@pytest.fixture
def told(journal):
    """Return a function that records decisions and explains the last one."""

    def tell(*decisions, **options):
        for one in decisions:
            journal.on_decision(one)
        journal.flush()
        with JournalReader(journal.path) as reader:
            return explain(reader, **options)

    return tell


def submitted(journal, number, side=Side.BUY, *, ticks=9_990, lots=10, at_ns=NS, opened=True):
    client_id = f"mm-s-0-{number}"
    journal.begin([Submit(0, client_id, side, ticks, lots)], at_ns)
    if opened:
        update = OrderUpdate(0, client_id, OrderStatus.OPEN, Request.SUBMIT, at_ns, at_ns)
        journal.on_order_update(update, OrderState.OPEN)
    return client_id


# Which decision.


def test_the_decision_is_the_last_at_or_before_the_moment(told):
    explanation = told(decision(1, NS), decision(2, 2 * NS), decision(3, 3 * NS), at_ns=2 * NS + 5)

    assert (explanation.sequence, explanation.now_ns, explanation.asked_ns) == (2, 2 * NS, 2 * NS + 5)
    assert explanation.since_start_ns == NS


def test_without_a_moment_it_is_the_latest(told):
    assert told(decision(1, NS), decision(2, 2 * NS)).sequence == 2


def test_a_decision_is_picked_by_its_number_whatever_its_market(told):
    explanation = told(decision(1), decision(2, market=1), decision(3), sequence=2)

    assert (explanation.sequence, explanation.instrument, explanation.market) == (2, "ETH/USDT", 1)


NOT_FOUND = {
    "before the first": (
        dict(at_ns=5),
        "no decision of BTC/USDT at or before 1970-01-01T00:00:00.000000005Z",
        "the first one is at 1970-01-01T00:00:01.000000000Z",
    ),
    "no such number": (dict(sequence=9), "no decision 9 in run 1 of", "the run has 1 recorded decisions"),
    "no such market": (dict(market=2), "market: expected one of 0 (BTC/USDT), 1 (ETH/USDT), was 2", None),
    "none of that market": (
        dict(market=1),
        "no decision of ETH/USDT in run 1 of",
        "decisions are recorded unless the strategy file says [journal] decisions = false",
    ),
    "no such run": (dict(run=2), "run: expected 1 to 1, was 2", None),
}


@pytest.mark.parametrize(("options", "message", "hint"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_is_not_there_is_told(told, options, message, hint):
    with pytest.raises(UsageError) as caught:
        told(decision(), **options)

    assert caught.value.message.startswith(message)
    if hint is not None:
        assert caught.value.hint == hint


# Stages.


def test_each_stage_tells_what_it_got_what_it_gave_and_why(told):
    explanation = told(
        decision(
            stages=(
                stage("fixed-spread", (99.95, 0.01), (100.05, 0.01)),
                stage("inventory-skew", (99.94, 0.01), (100.05, 0.01), reasons=(Reason.INVENTORY, 0)),
                stage(
                    "rounding", (99.94, 0.01), (100.05, 0.01), kind=StageKind.ROUNDING, reasons=(Reason.INVENTORY, 0)
                ),
                stage("moon", (99.94, 0.005), None, kind=StageKind.RISK, reasons=(15, 1001), level=1, note="1001"),
            ),
            asks=(),
            ask_reason=1001,
        )
    )

    bids = [step.changes[0] for step in explanation.stages]
    asks = [step.changes[1] for step in explanation.stages]
    assert [change.words for change in bids] == [
        "set to 0.01 at 99.95",
        "99.95 -> 99.94 (1 bps away from the other side): inventory moved or removed this side",
        "unchanged, 0.01 at 99.94",
        "size 0.01 -> 0.005: the moon is full",
    ]
    assert [change.words for change in asks] == [
        "set to 0.01 at 100.05",
        "unchanged, 0.01 at 100.05",
        "unchanged, 0.01 at 100.05",
        "removed 0.01 at 100.05: the moon is full",
    ]
    assert [step.is_binding for step in explanation.stages] == [False, False, False, True]
    assert explanation.stages[-1].level == "shrink"
    assert explanation.bound == (
        "risk moon (shrink): bid size 0.01 -> 0.005: the moon is full; ask removed 0.01 at 100.05: the moon is full",
    )
    assert [(quote.side, quote.reason) for quote in explanation.quotes] == [("bid", ""), ("ask", "the moon is full")]


def test_a_quote_moved_back_from_the_touch_is_bound_by_rounding(told):
    explanation = told(
        decision(
            stages=(
                stage("eager", (100.02, 0.01), (100.1, 0.01)),
                stage("rounding", (100.0, 0.01), (100.1, 0.01), kind=StageKind.ROUNDING, reasons=(Reason.POST_ONLY, 0)),
            )
        ),
        sides=(Side.BUY,),
    )

    moved = "bid 100.02 -> 100 (2 bps away from the other side): moved back so that it does not cross the touch"
    assert explanation.bound == (f"rounding: {moved}",)
    assert explanation.sides == ("bid",)


def test_a_reason_is_told_by_the_stage_that_gave_it_and_by_none_that_hands_it_on(told):
    stages = (
        stage("fixed-spread", (99.951, 0.01), (100.05, 0.01)),
        stage("floor", (99.931, 0.01), (100.05, 0.01), reasons=(Reason.SPREAD_FLOOR, 0)),
        stage("lean", (99.921, 0.01), (100.04, 0.01), reasons=(Reason.SPREAD_FLOOR, 0)),
        stage("rounding", (99.92, 0.01), (100.04, 0.01), kind=StageKind.ROUNDING, reasons=(Reason.SPREAD_FLOOR, 0)),
    )

    bids = [step.changes[0] for step in told(decision(stages=stages)).stages]

    assert [change.reason for change in bids] == ["", "moved out to the smallest spread allowed", "", ""]
    assert bids[3].words == "99.921 -> 99.92 (0.1 bps away from the other side)"


def test_who_takes_a_quote_away_tells_why_though_the_same_reason_stood_there(told):
    reasons = (Reason.INVENTORY, 0)
    stages = (
        stage("lean", (99.9, 0.01), (100.1, 0.01), reasons=reasons),
        stage("full", None, (100.1, 0.01), reasons=reasons),
        stage("rounding", None, (100.1, 0.01), kind=StageKind.ROUNDING, reasons=reasons),
    )

    bids = [step.changes[0] for step in told(decision(stages=stages, bids=())).stages]

    inventory = "inventory moved or removed this side"
    assert [change.reason for change in bids] == [inventory, inventory, ""]


def test_a_ladder_behind_a_quote_that_was_moved_back_from_the_touch_does_not_bind(told):
    reasons = (Reason.POST_ONLY, 0)
    stages = (
        stage("eager", (100.02, 0.01), (100.1, 0.01)),
        stage("rounding", (100.0, 0.01), (100.1, 0.01), kind=StageKind.ROUNDING, reasons=reasons),
        stage("ladder", (100.0, 0.03), (100.1, 0.03), kind=StageKind.LADDER, reasons=reasons),
    )

    assert [step.is_binding for step in told(decision(stages=stages)).stages] == [False, True, False]


def test_a_limit_of_the_gate_is_told_with_its_figures(told):
    capped = stage("gate limits", (99.9, 0.004), None, kind=StageKind.ENGINE, reasons=(0, Reason.POSITION_LIMIT))
    bounds = {
        "bid_bound": "max_order_size 0.004 leaves 0.004 of 0.010, 0.006 less",
        "ask_bound": "max_position 0.5 leaves 0.000 of 0.010, 0.010 less",
    }
    stages = (stage("fixed-spread", (99.9, 0.01), (100.1, 0.01)), msgspec.structs.replace(capped, **bounds))

    explanation = told(decision(stages=stages, asks=(), ask_reason=Reason.POSITION_LIMIT))

    bid, ask = explanation.stages[1].changes
    assert (bid.bound, ask.bound) == tuple(bounds.values())
    assert bid.words == f"size 0.01 -> 0.004: {bounds['bid_bound']}"
    assert explanation.bound == (
        f"engine gate limits: bid {bid.words}; ask removed 0.01 at 100.1: {bounds['ask_bound']}",
    )


def test_a_move_is_measured_away_from_the_other_side(told):
    stages = (
        stage("first", (100.0, 0.01), (101.0, 0.01)),
        stage("second", (99.0, 0.01), (100.495, 0.01)),
        stage("third", (99.0, 0.02), None),
    )

    moves = [[change.moved_bps for change in step.changes] for step in told(decision(stages=stages)).stages]

    assert moves == [[None, None], [pytest.approx(100.0), pytest.approx(-50.0)], [0.0, None]]


def test_a_quote_that_moves_in_is_told_as_towards_the_other_side(told):
    stages = (stage("wide", None, (100.5, 0.01)), stage("tight", None, (100.1, 0.01)))

    explanation = told(decision(stages=stages), sides=(Side.SELL,))

    assert explanation.stages[1].changes[0].words == "100.5 -> 100.1 (39.8 bps towards the other side)"


def test_a_precondition_that_failed_is_the_whole_story(told):
    reasons = (Reason.BOOK_STALE, Reason.BOOK_STALE)
    precondition = stage("precondition", kind=StageKind.ENGINE, reasons=reasons, note="book_stale")

    explanation = told(
        decision(stages=(precondition,), bids=(), asks=(), bid_reason=4, ask_reason=4, view={"bid": None, "ask": None})
    )

    words = "still no quote: the book has had no message for too long"
    assert explanation.bound == (f"engine precondition: bid {words}; ask {words}",)
    assert [(quote.levels, quote.reason, quote.outcome) for quote in explanation.quotes] == [
        ((), "the book has had no message for too long", "nothing rests"),
    ] * 2


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ("daily_loss", "the daily loss limit is reached"),
        ("1001", "the moon is full"),
        ("1002", "reason 1002, of which the journal has no text"),
        ("by hand", "by hand"),
    ],
)
def test_a_risk_control_s_note_is_put_into_words(told, note, reason):
    stages = (
        stage("fixed-spread", (99.9, 0.01)),
        stage("limits", None, kind=StageKind.RISK, level=3, note=note),
    )

    explanation = told(decision(stages=stages), sides=(Side.BUY,))

    assert explanation.stages[1].changes[0].words == f"removed 0.01 at 99.9: {reason}"


def test_a_binding_control_that_changed_nothing_is_named_with_its_note(told):
    stages = (
        stage("fixed-spread", (99.9, 0.01)),
        stage("watch", (99.9, 0.01), kind=StageKind.RISK, level=1, note="close to the limit"),
    )

    assert told(decision(stages=stages)).bound == ("risk watch (shrink): close to the limit",)


# What was seen.


def test_figures_are_sorted_into_market_signals_inventory_and_advice(told):
    explanation = told(decision())

    assert explanation.view == {"bid": 99.99, "bid_size": 1.0, "ask": 100.01, "ask_size": 2.0, "mid": 100.0}
    assert explanation.signals == {"volatility": 0.5}
    assert explanation.inventory == {"position": 0.002, "max_position": None}
    assert explanation.is_advice_neutral


def test_advice_in_force_is_told(told):
    advice = {**{name: float(value) for name, value in NEUTRAL_ADVICE._asdict().items()}, "bid_spread_multiplier": 2.0}

    assert not told(decision(advice=advice)).is_advice_neutral


def test_a_halt_is_told_with_its_reason(journal, told):
    journal.save_state(EngineState(halt_reason="daily loss 501.00 USDT, limit 500"))

    halted = told(decision(bids=(), asks=(), bid_reason=17, ask_reason=17))

    assert halted.halt_reason == "daily loss 501.00 USDT, limit 500"
    assert told(decision(2, 2 * NS)).halt_reason == ""


def test_the_loss_that_halts_is_told_in_the_decision_that_finds_it(journal, told):
    journal.save_state(EngineState(halt_reason="daily loss 501.00 USDT, limit 500"))
    reasons = (Reason.DAILY_LOSS, Reason.DAILY_LOSS)
    facts = dict(bids=(), asks=(), bid_reason=Reason.DAILY_LOSS, ask_reason=Reason.DAILY_LOSS)

    by_gate = told(decision(stages=(stage("precondition", kind=StageKind.ENGINE, reasons=reasons),), **facts))
    by_control = told(decision(2, 2 * NS, stages=(stage("limits", kind=StageKind.RISK, reasons=reasons),), **facts))

    assert by_gate.halt_reason == "daily loss 501.00 USDT, limit 500"
    assert by_control.halt_reason == ""


# What became of the quotes.


def test_quotes_are_exact_with_their_distance_from_the_mid(told):
    explanation = told(decision(bids=(LadderLevel(9_990, 10), LadderLevel(9_980, 5))))

    bid, ask = explanation.quotes
    assert [(level.price, level.size) for level in bid.levels] == [
        (Decimal("99.90"), Decimal("0.010")),
        (Decimal("99.80"), Decimal("0.005")),
    ]
    assert [round(level.distance_bps, 6) for level in (*bid.levels, *ask.levels)] == [10.0, 20.0, 10.0]
    assert (bid.outcome, ask.outcome) == ("nothing sent", "nothing sent")


def test_without_a_mid_there_is_no_distance(told):
    explanation = told(decision(view={"bid": None}))

    assert explanation.quotes[0].levels[0].distance_bps is None


def test_a_kept_order_is_told_as_kept(journal, told):
    client_id = submitted(journal, 1)

    explanation = told(decision(kept=(client_id,)), sides=(Side.BUY,))

    assert explanation.quotes[0].outcome == "kept mm-s-0-1, close enough to keep its place in the queue"
    (order,) = explanation.working
    assert (order.client_id, order.side, order.state, order.price, order.leaves, order.is_kept) == (
        client_id, "bid", "open", Decimal("99.90"), Decimal("0.010"), True,
    )  # fmt: skip


def test_an_order_in_the_venue_s_hands_explains_why_nothing_was_sent(journal, told):
    submitted(journal, 1, opened=False)

    assert told(decision(), sides=(Side.BUY,)).quotes[0].outcome == (
        "nothing sent; in the venue's hands: mm-s-0-1 (intent)"
    )


def test_every_request_is_told_in_words(journal, told):
    first = submitted(journal, 1)
    second = submitted(journal, 2, Side.SELL, ticks=10_010)
    third = submitted(journal, 3, Side.SELL, ticks=10_020)
    actions = (
        Cancel(0, third),
        Cancel(0, "a-stray"),
        Amend(0, first, 9_980, 4, 1),
        Replace(0, second, "mm-s-0-4", 10_030, 7),
        Submit(0, "mm-s-0-5", Side.BUY, 9_970, 3),
        CancelAll(0, "stopping"),
        QueryOrder(0, first),
        QueryOpenOrders(0),
    )

    explanation = told(decision(actions=actions))

    assert [action.words for action in explanation.actions] == [
        "cancel ask mm-s-0-3",
        "cancel a-stray",
        "amend bid mm-s-0-1 to 0.004 at 99.80",
        "replace ask mm-s-0-2 by 0.007 at 100.30 as mm-s-0-4",
        "submit bid 0.003 at 99.70 as mm-s-0-5",
        "cancel all: stopping",
        "ask for mm-s-0-1",
        "ask for all open orders",
    ]
    assert [action.side for action in explanation.actions] == ["ask", "", "bid", "ask", "bid", "", "bid", ""]


def test_only_the_requests_and_orders_of_the_side_are_told(journal, told):
    submitted(journal, 1)
    ask = submitted(journal, 2, Side.SELL, ticks=10_010)
    refused = GateRejection(Submit(0, "mm-s-0-9", Side.BUY, 1, 1), "price_collar_bps", "too far")

    explanation = told(
        decision(actions=(Cancel(0, "mm-s-0-1"), Cancel(0, ask)), rejections=(refused,)), sides=(Side.SELL,)
    )

    assert [action.client_id for action in explanation.actions] == [ask]
    assert [order.client_id for order in explanation.working] == [ask]
    assert explanation.rejections == ()
    assert explanation.quotes[0].outcome == "sent cancel"


def test_a_refusal_of_the_gate_is_told_with_its_limit(told):
    refused = GateRejection(Submit(0, "mm-s-0-9", Side.BUY, 9_990, 10), "max_order_size", "10 lots, limit 5")

    explanation = told(decision(rejections=(refused,)))

    assert explanation.quotes[0].outcome == "the gate refused it: max_order_size, 10 lots, limit 5"
    assert explanation.quotes[1].outcome == "nothing sent"
    assert explanation.bound == (
        "gate, max_order_size: 10 lots, limit 5; refused to submit bid 0.010 at 99.90 as mm-s-0-9",
    )


def test_an_order_adopted_without_a_state_is_not_known(journal, told):
    submitted(journal, 1)
    stray = OrderUpdate(0, "mm-s-0-1", OrderStatus.OPEN, Request.STREAM, NS, NS)
    journal.on_order_update(stray, None)

    assert told(decision()).working[0].state == "not known"


def test_an_explanation_is_json(told):
    text = msgspec.json.encode(told(decision()))

    assert msgspec.json.decode(text)["quotes"][0]["levels"][0]["price"] == "99.90"


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_every_reason_of_the_kernel_has_words(reason):
    assert bool(reason_text(reason)) is (reason is not Reason.NONE)
    assert reason_text(reason) == reason_text(int(reason), {})


def test_a_text_of_the_journal_wins():
    assert reason_text(1001, {1001: "the moon is full"}) == "the moon is full"

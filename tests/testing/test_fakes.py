"""Clock, builders, scripted transport and fake venue do what tests rely on."""

from __future__ import annotations

import math

import pytest

from mmframe.domain.market import NEVER_NS, MessageKind, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    Approved,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    VenueStatus,
)
from mmframe.errors import DomainError, UsageError
from mmframe.plugin import OptimizerSpec, SinkSpec, option
from mmframe.ports import Clock, Venue
from mmframe.testing import (
    START_NS,
    Cut,
    Duplicate,
    Expect,
    FakeVenue,
    FillDuringCancel,
    Frame,
    LateAnswer,
    ManualClock,
    NoAnswer,
    Reject,
    ScriptedTransport,
    TransportCutError,
    UnclearAnswer,
    approve,
    build_component,
    build_context,
    chunks,
    delta,
    gap,
    make_advice,
    make_batch,
    make_instrument,
    make_inventory,
    make_signals,
    make_view,
    snapshot,
    trade,
)

MS = 1_000_000
BID = Submit(0, "c-1", Side.BUY, 100, 10)


# Clock -------------------------------------------------------------------------------------------------------------


def test_the_clock_stands_until_it_is_moved():
    clock = ManualClock()

    readings = [clock.now_ns() - START_NS, clock.advance(s=1, ms=2, ns=3) - START_NS, clock.now_ns() - START_NS]

    assert readings == [0, 1_002_000_003, 1_002_000_003]
    assert isinstance(clock, Clock)


def test_the_clock_never_goes_back():
    clock = ManualClock(50)

    with pytest.raises(DomainError) as failure:
        clock.advance_to(49)

    assert failure.value.message == "clock: expected a time at or after 50, was 49"
    assert clock.now_ns() == 50


# Builders ----------------------------------------------------------------------------------------------------------


def test_a_batch_is_made_from_messages():
    batch = make_batch(
        snapshot(bids=[(99, 5)], asks=[(101, 4)]),
        delta(bids=[(99, 0)]),
        trade(Side.SELL, 99, 2),
        gap(),
        market=1,
        step_ns=10,
        latency_ns=3,
    )

    assert list(batch.kinds) == [MessageKind.SNAPSHOT, MessageKind.DELTA, MessageKind.TRADE, MessageKind.GAP]
    assert [batch.changes(index) for index in range(4)] == [[(0, 99, 5), (1, 101, 4)], [(0, 99, 0)], [(1, 99, 2)], []]
    assert [(r - START_NS, r - e) for r, e in zip(batch.receive_ns, batch.exchange_ns, strict=True)] == [
        (0, 3),
        (10, 3),
        (20, 3),
        (30, 3),
    ]


def test_a_view_knows_its_signals_by_name():
    view = make_view(99.0, 101.0, signals=make_signals(volatility=0.5), instrument=make_instrument(tick_size="0.5"))

    assert (view.mid, view.tick, view.signals.volatility) == (100.0, 0.5, 0.5)


@pytest.mark.parametrize(("bid", "ask"), [(100.0, 100.0), (0.0, 1.0), (1.0, math.inf), (math.nan, 1.0)])
def test_no_view_is_made_that_the_engine_would_never_make(bid, ask):
    with pytest.raises(DomainError, match="view: expected 0 < bid < ask"):
        make_view(bid, ask)


def test_inventory_and_advice_are_neutral_unless_told():
    inventory, advice = make_inventory(position=-2.0), make_advice(pause=1.0)

    assert (inventory.position, inventory.max_position, inventory.day_pnl_quote) == (-2.0, math.inf, 0.0)
    assert (advice.pause, advice.size_multiplier) == (1.0, 1.0)


def _optimizer_spec():
    import attrs

    @attrs.frozen
    class Options:
        width_bps: float = option(help="The width.", unit="bps")
        name: str = option(help="The name.", default="x")

    return OptimizerSpec(name="x", summary="X.", options=Options, build=lambda options, context: (options, context))


def test_a_component_is_built_from_its_options_and_a_context_of_its_market():
    spec = _optimizer_spec()

    options, context = build_component(spec, spec.options(width_bps=1.0), seed=7)

    assert (options.width_bps, options.name) == (1.0, "x")
    assert (context.market, context.instrument.symbol) == (0, "BTC/USDT")
    assert context.random.random() == build_context(seed=7).random.random()


def test_a_component_of_all_markets_gets_no_market_of_its_own():
    spec = SinkSpec(name="s", summary="S.", build=lambda _options, context: context.market)

    assert build_component(spec) == ALL_MARKETS


def test_a_required_option_that_is_missing_is_named():
    with pytest.raises(DomainError) as failure:
        build_component(_optimizer_spec())

    assert failure.value.message == (
        "options of 'x': unknown [], missing ['width_bps'], expected ['name', 'width_bps']"
    )


def test_options_of_another_class_are_refused():
    with pytest.raises(DomainError, match="options of 'x': expected Options, was dict"):
        build_component(_optimizer_spec(), {"width_bps": 1.0})


@pytest.mark.parametrize(
    "action",
    [
        BID,
        Submit(3, "c-2", Side.SELL, 1, 1),
        Amend(0, "c-1", 100, 5, 1),
        Replace(0, "c-1", "c-2", 100, 5),
        Cancel(0, "c-1"),
        CancelAll(ALL_MARKETS, "stop"),
        QueryOrder(0, "c-1"),
        QueryOpenOrders(0),
    ],
    ids=lambda action: type(action).__name__,
)
def test_every_sound_action_can_be_approved(action):
    approved = approve(action)

    assert type(approved) is Approved
    assert approved.action is action


def test_what_no_gate_lets_pass_is_not_approved():
    with pytest.raises(DomainError, match="approve: the gate refuses Submit"):
        approve(Submit(0, "c-1", Side.BUY, 0, 1))


# Scripted transport ------------------------------------------------------------------------------------------------


def test_frames_come_in_order_at_their_times():
    line = ScriptedTransport([Frame(b"a", after_ns=5), Frame(b"b", after_ns=7)])
    line.connect()

    received = [(line.receive(), line.clock.now_ns() - START_NS) for _ in range(2)]

    assert received == [(b"a", 5), (b"b", 12)]
    assert line.is_done
    with pytest.raises(EOFError):
        line.receive()


def test_after_a_cut_nothing_is_sent_or_received_until_connected_again():
    line = ScriptedTransport([Cut("reset by peer"), Frame(b"a")])
    line.connect()

    with pytest.raises(TransportCutError, match="reset by peer"):
        line.receive()
    for use in (line.receive, lambda: line.send(b"x")):
        with pytest.raises(TransportCutError, match="no open connection"):
            use()
    line.connect()

    assert list(line.frames()) == [b"a"]
    assert (line.connections, line.sent) == (2, [])


def test_connecting_twice_is_an_error():
    line = ScriptedTransport([])
    line.connect()

    with pytest.raises(UsageError, match="expected no open connection"):
        line.connect()


def test_the_other_side_waits_for_what_it_expects():
    line = ScriptedTransport([Expect(lambda sent: sent == b"ping", "a ping"), Frame(b"pong")])
    line.connect()
    line.send(b"other")

    with pytest.raises(AssertionError, match="expected a ping before the next frame"):
        line.receive()
    line.send(b"ping")

    assert line.receive() == b"pong"
    assert line.sent == [b"other", b"ping"]


def test_chunks_cover_the_data_whatever_their_size():
    data = bytes(range(10))

    assert all(b"".join(chunks(data, size)) == data for size in range(1, 12))
    with pytest.raises(UsageError):
        list(chunks(data, 0))


# Fake venue --------------------------------------------------------------------------------------------------------


@pytest.fixture
def venue():
    return FakeVenue(latency_ms=1)


def _events(venue, action, *, now_ns=0, wait_ms=10_000):
    venue.execute(approve(action), now_ns)
    return venue.poll(now_ns + wait_ms * MS)


def _statuses(events):
    return [(event.request, event.status) for event in events if isinstance(event, OrderUpdate)]


def test_it_is_a_venue(venue):
    assert isinstance(venue, Venue)
    with pytest.raises(TypeError, match="expected an Approved, was Submit"):
        venue.execute(BID, 0)


def test_without_a_script_requests_are_answered_after_the_latency(venue):
    venue.execute(approve(BID), 0)

    assert venue.next_event_ns == 1 * MS
    assert venue.poll(1 * MS - 1) == []
    assert _statuses(venue.poll(1 * MS)) == [(Request.SUBMIT, OrderStatus.OPEN)]
    assert venue.next_event_ns == NEVER_NS


@pytest.mark.parametrize("takes_effect", [True, False])
def test_no_answer_may_or_may_not_have_taken_effect(venue, takes_effect):
    venue.script(submit=NoAnswer(takes_effect=takes_effect))

    assert _events(venue, BID) == []
    assert len(venue.open_orders()) == takes_effect


@pytest.mark.parametrize("takes_effect", [True, False])
def test_an_unclear_answer_is_unknown(venue, takes_effect):
    venue.script(submit=UnclearAnswer(takes_effect=takes_effect))

    assert _statuses(_events(venue, BID)) == [(Request.SUBMIT, OrderStatus.UNKNOWN)]
    assert len(venue.open_orders()) == takes_effect


def test_a_late_answer_comes_late_and_the_order_rests_before(venue):
    venue.script(submit=LateAnswer(after_ms=800))

    assert _events(venue, BID, wait_ms=799) == []
    assert len(venue.open_orders()) == 1
    assert _statuses(venue.poll(800 * MS)) == [(Request.SUBMIT, OrderStatus.OPEN)]


def test_a_reject_is_rejected_for_a_submit_and_unchanged_for_the_rest(venue):
    venue.script(submit=[Reject("no margin"), UnclearAnswer(takes_effect=False)], cancel=Reject())

    (refused,) = _events(venue, BID)

    assert (refused.status, refused.reason) == (OrderStatus.REJECTED, "no margin")
    assert venue.open_orders() == ()
    assert _statuses(_events(venue, Cancel(0, "c-1"))) == [(Request.CANCEL, OrderStatus.UNCHANGED)]


def test_a_duplicate_says_everything_twice(venue):
    venue.script(submit=Duplicate())

    events = _events(venue, BID)

    assert len(events) == 2
    assert events[0] == events[1]
    assert len(venue.open_orders()) == 1


@pytest.mark.parametrize(
    ("lots", "cancel", "filled"),
    [(4, OrderStatus.CANCELED, 4), (None, OrderStatus.UNCHANGED, 10)],
    ids=["a part", "all"],
)
def test_a_fill_overtakes_a_cancel(venue, lots, cancel, filled):
    venue.script(cancel=FillDuringCancel(lots))
    _events(venue, BID)

    events = _events(venue, Cancel(0, "c-1"))

    assert [event.size_lots for event in events if isinstance(event, Fill)] == [filled]
    assert isinstance(events[0], Fill)
    assert _statuses(events)[-1] == (Request.CANCEL, cancel)
    assert venue.open_orders() == ()


def test_a_fill_during_a_cancel_of_nothing_is_a_mistake_of_the_test(venue):
    venue.script(cancel=FillDuringCancel())

    with pytest.raises(UsageError, match="FillDuringCancel: expected a cancel of a resting order"):
        venue.execute(approve(Cancel(0, "c-1")), 0)


def test_an_unknown_request_cannot_be_scripted(venue):
    with pytest.raises(UsageError) as failure:
        venue.script(sumbit=Reject())

    assert failure.value.message == "script: expected one of amend, cancel, query, replace, submit, was 'sumbit'"


def test_outcomes_are_used_up_one_a_request(venue):
    venue.script(submit=[Reject()])

    answers = [_events(venue, Submit(0, f"c-{number}", Side.BUY, 100, 1))[0].status for number in range(2)]

    assert answers == [OrderStatus.REJECTED, OrderStatus.OPEN]


def test_fills_are_partial_until_the_order_is_done(venue):
    _events(venue, BID)

    ids = [venue.fill("c-1", 4, now_ns=5), venue.fill("c-1", now_ns=6, price_ticks=99)]
    events = venue.poll(10)

    fills = [event for event in events if isinstance(event, Fill)]
    assert [(fill.size_lots, fill.price_ticks) for fill in fills] == [(4, 100), (6, 99)]
    assert [fill.venue_trade_id for fill in fills] == ids
    assert _statuses(events) == [(Request.STREAM, OrderStatus.OPEN), (Request.STREAM, OrderStatus.FILLED)]
    with pytest.raises(UsageError, match="expected a resting order, was 'c-1'"):
        venue.fill("c-1", now_ns=7)


def test_more_than_what_is_left_cannot_be_filled(venue):
    _events(venue, BID)

    with pytest.raises(UsageError, match="fill of c-1: expected 1 to 10 lots, was 11"):
        venue.fill("c-1", 11, now_ns=5)


def test_orders_are_amended_replaced_expired_and_queried(venue):
    _events(venue, BID)

    amended = _events(venue, Amend(0, "c-1", 101, 3, expected_version=1))
    stale = _events(venue, Amend(0, "c-1", 102, 3, expected_version=1))
    replaced = _events(venue, Replace(0, "c-1", "c-2", 99, 7))
    (known, unknown) = (*_events(venue, QueryOrder(0, "c-2")), *_events(venue, QueryOrder(0, "c-9")))
    venue.expire("c-2", now_ns=20_000 * MS)

    assert (amended[0].price_ticks, amended[0].size_lots, amended[0].version) == (101, 3, 2)
    assert _statuses(stale) == [(Request.AMEND, OrderStatus.UNCHANGED)]
    assert (replaced[0].status, replaced[0].new_client_id) == (OrderStatus.REPLACED, "c-2")
    assert (known.status, known.price_ticks, unknown.status) == (OrderStatus.OPEN, 99, OrderStatus.NOT_FOUND)
    assert _statuses(venue.poll(20_000 * MS)) == [(Request.STREAM, OrderStatus.EXPIRED)]


def test_cancel_all_and_the_report_keep_to_their_market(venue):
    _events(venue, BID)
    _events(venue, Submit(1, "c-2", Side.SELL, 100, 1))

    _events(venue, CancelAll(0, "stop"))
    (report,) = [event for event in _events(venue, QueryOpenOrders(1)) if isinstance(event, OpenOrdersReport)]

    assert [order.client_id for order in report.orders] == ["c-2"]
    assert [order.client_id for order in venue.open_orders()] == ["c-2"]


def test_it_can_say_that_it_is_down(venue):
    venue.say_status(is_up=False, now_ns=5, reason="maintenance")

    assert venue.poll(5) == [VenueStatus(is_up=False, receive_ns=5, reason="maintenance")]

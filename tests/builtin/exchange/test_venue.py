"""What becomes of our orders on the embedded exchange, and when we hear of it."""

from decimal import Decimal

import pytest

from mmframe.builtin.exchange import VENUES
from mmframe.domain.market import MessageKind, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderStatus,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
)
from mmframe.errors import DomainError
from mmframe.testing import approve, build_component

BUY, SELL = Side.BUY, Side.SELL
OPEN, UNCHANGED = OrderStatus.OPEN, OrderStatus.UNCHANGED


def bid(trader, client_id="c-1", *, behind=0, lots=100, **fields):
    return Submit(0, client_id, BUY, trader.best(BUY) - behind, lots, **fields)


def lift(trader, client_id="taker", *, through=0, lots=100, time_in_force=TimeInForce.GTC):
    price = trader.best(SELL) + through
    return Submit(0, client_id, BUY, price, lots, time_in_force, is_post_only=False)


def told(events):
    return [
        (event.client_id, event.size_lots)
        if isinstance(event, Fill)
        else (event.client_id, event.request, event.status)
        for event in events
    ]


def test_an_answer_comes_after_both_latencies_and_the_book_shows_the_order(open_market):
    trader = open_market({"feed_latency_ms": 3.0}, {"order_latency_ms": 7.0})
    sent_ns = trader.now_ns

    (answer,) = [event for event in trader.ask(bid(trader, behind=400)) if event.client_id == "c-1"]

    assert (answer.request, answer.status, answer.version) == (Request.SUBMIT, OPEN, 1)
    assert answer.exchange_ns == sent_ns + 7_000_000
    assert answer.receive_ns == sent_ns + 10_000_000
    assert trader.books[0][BUY][answer.price_ticks] == 100


def test_our_order_waits_its_turn_behind_those_who_were_there(quiet):
    ahead = quiet.books[0][SELL][quiet.best(SELL)]
    quiet.ask(Submit(0, "mine", SELL, quiet.best(SELL), 50))

    # Exactly what stood there before us, so that our own order is not met.
    events = quiet.ask(lift(quiet, lots=ahead))

    fills = [event for event in events if isinstance(event, Fill)]
    assert [(fill.client_id, fill.is_maker) for fill in fills] == [("taker", False)]
    assert quiet.books[0][SELL][fills[0].price_ticks] == 50


def test_a_taker_is_acknowledged_then_filled_then_told_how_it_stands(quiet):
    touch = quiet.books[0][SELL][quiet.best(SELL)]

    events = quiet.ask(lift(quiet, lots=touch + 30))

    assert told(events) == [
        ("taker", Request.SUBMIT, OPEN),
        ("taker", touch),
        ("taker", Request.STREAM, OPEN),
    ]
    last = events[-1]
    assert (last.filled_lots, last.size_lots, last.version) == (touch, touch + 30, 2)


@pytest.mark.parametrize(
    ("options", "fee", "asset"),
    [
        ({}, "0.0025", "USDT"),
        ({"taker_fee_bps": Decimal("7.5"), "fee_asset": "base"}, "0.000000075", "BTC"),
        ({"taker_fee_bps": Decimal("-0.333")}, "-0.0001665", "USDT"),
    ],
    ids=["quote", "base", "rebate"],
)
def test_fees_are_exact(open_quiet_market, options, fee, asset):
    trader = open_quiet_market(options)

    (fill,) = [e for e in trader.ask(lift(trader, lots=1)) if isinstance(e, Fill)]

    share = fill.fee / (Decimal(1) if asset == "BTC" else Decimal(fill.price_ticks) / 10_000)
    assert (share, fill.fee_asset) == (Decimal(fee), asset)


def test_the_crowd_fills_resting_orders_and_the_public_sees_each_fill(open_market):
    trader = open_market(venue={"maker_fee_bps": Decimal(-1)})
    for number in range(100):
        trader.send(CancelAll(0, "requote"))
        trader.send(Submit(0, f"b-{number}", BUY, trader.best(BUY), 100))
        trader.send(Submit(0, f"s-{number}", SELL, trader.best(SELL), 100))
        trader.run(0.2)

    fills = [fill for fill in trader.fills if fill.is_maker]
    assert len(fills) > 10
    assert len({fill.venue_trade_id for fill in trader.fills}) == len(trader.fills)
    trades = {
        (exchange_ns, side, ticks, lots)
        for _, kind, exchange_ns, _, changes in trader.messages
        if kind is MessageKind.TRADE
        for side, ticks, lots in changes
    }
    for fill in fills:
        assert (fill.exchange_ns, 1 - fill.side, fill.price_ticks, fill.size_lots) in trades
        assert fill.fee == -trader.instruments[0].notional_quote(fill.price_ticks, fill.size_lots) / 10_000
        assert fill.receive_ns == fill.exchange_ns + 2_000_000


def test_fills_and_cumulated_sizes_agree(open_market):
    trader = open_market()
    for number in range(60):
        side = SELL if number % 2 else BUY
        price = trader.best(side) + (1 if side == BUY else -1)
        trader.send(Submit(0, f"c-{number}", side, price, 700, is_post_only=False))
        trader.run(0.5)

    filled = dict.fromkeys((f"c-{number}" for number in range(60)), 0)
    for event in trader.events:
        if isinstance(event, Fill):
            filled[event.client_id] += event.size_lots
        elif event.request is Request.STREAM:
            assert event.filled_lots == filled[event.client_id]
            assert (event.status is OrderStatus.FILLED) == (event.filled_lots == event.size_lots)
    assert sum(filled.values()) > 1_000


def test_a_post_only_order_that_would_take_is_rejected(quiet):
    (answer,) = quiet.ask(Submit(0, "c-1", BUY, quiet.best(SELL), 100))

    assert (answer.status, answer.reason) == (OrderStatus.REJECTED, "post-only order would take")


def test_an_ioc_order_that_finds_nothing_expires_at_once(quiet):
    order = Submit(0, "c-1", BUY, quiet.best(SELL) - 1, 100, TimeInForce.IOC, is_post_only=False)

    (answer,) = quiet.ask(order)

    assert (answer.request, answer.status) == (Request.SUBMIT, OrderStatus.EXPIRED)


def test_an_fok_order_is_filled_whole_or_not_at_all(quiet):
    touch = quiet.books[0][SELL][quiet.best(SELL)]

    too_much = quiet.ask(lift(quiet, "c-1", lots=touch + 1, time_in_force=TimeInForce.FOK))
    just_right = quiet.ask(lift(quiet, "c-2", lots=touch, time_in_force=TimeInForce.FOK))

    assert told(too_much) == [("c-1", Request.SUBMIT, OrderStatus.EXPIRED)]
    assert told(just_right)[1:] == [("c-2", touch), ("c-2", Request.STREAM, OrderStatus.FILLED)]


def test_a_client_id_is_never_taken_twice_even_after_its_order_has_ended(quiet):
    order = bid(quiet)
    quiet.ask(order)
    quiet.ask(Cancel(0, "c-1"))

    (answer,) = quiet.ask(order)

    assert (answer.status, answer.reason) == (OrderStatus.REJECTED, "client id was used before")


def test_an_amend_names_the_version_that_it_expects(quiet):
    quiet.ask(bid(quiet, behind=5))
    price = quiet.best(BUY) - 6

    (moved,) = quiet.ask(Amend(0, "c-1", price, 80, expected_version=1))
    (late,) = quiet.ask(Amend(0, "c-1", price, 70, expected_version=1))

    assert (moved.request, moved.status, moved.version) == (Request.AMEND, OPEN, 2)
    assert (moved.price_ticks, moved.size_lots) == (price, 80)
    assert (late.status, late.version, late.size_lots) == (UNCHANGED, 2, 80)
    assert late.reason == "order has another version"


def test_an_amend_through_the_touch_is_acknowledged_before_its_fills(quiet):
    touch = quiet.books[0][SELL][quiet.best(SELL)]
    quiet.ask(bid(quiet, behind=5, lots=touch, is_post_only=False))

    events = quiet.ask(Amend(0, "c-1", quiet.best(SELL), touch, expected_version=1))

    assert told(events) == [
        ("c-1", Request.AMEND, OPEN),
        ("c-1", touch),
        ("c-1", Request.STREAM, OrderStatus.FILLED),
    ]
    assert [event.version for event in events if not isinstance(event, Fill)] == [2, 3]


def test_a_replace_answers_for_the_old_order_and_then_for_the_new_one(quiet):
    quiet.ask(bid(quiet, "old", behind=5))

    answer, news = quiet.ask(Replace(0, "old", "new", quiet.best(BUY) - 7, 60))

    assert (answer.client_id, answer.status, answer.new_client_id) == ("old", OrderStatus.REPLACED, "new")
    assert (news.client_id, news.status, news.size_lots, news.version) == ("new", OPEN, 60, 1)


def test_a_replace_that_would_take_leaves_only_the_cancel(quiet):
    quiet.ask(bid(quiet, "old", behind=5))

    (answer,) = quiet.ask(Replace(0, "old", "new", quiet.best(SELL), 60))

    assert (answer.status, answer.reason) == (OrderStatus.CANCELED_ONLY, "post-only order would take")
    assert quiet.ask(QueryOrder(0, "old"))[0].status is OrderStatus.CANCELED
    assert quiet.ask(QueryOrder(0, "new"))[0].status is OrderStatus.NOT_FOUND


@pytest.mark.parametrize(
    "action",
    [Amend(0, "nobody", 9_000, 10, expected_version=1), Replace(0, "nobody", "new", 9_000, 10), Cancel(0, "nobody")],
    ids=lambda action: type(action).__name__,
)
def test_a_change_of_an_unknown_order_changes_nothing(quiet, action):
    (answer,) = quiet.ask(action)

    assert (answer.client_id, answer.status, answer.reason) == ("nobody", UNCHANGED, "unknown order")


def test_a_cancel_that_comes_too_late_says_how_the_order_ended(quiet):
    quiet.ask(lift(quiet, "c-1", lots=1))

    (answer,) = quiet.ask(Cancel(0, "c-1"))

    assert (answer.status, answer.reason) == (UNCHANGED, "order is filled")


def test_queries_tell_how_orders_stand(quiet):
    touch = quiet.books[0][SELL][quiet.best(SELL)]
    quiet.ask(bid(quiet, "resting", behind=5))
    quiet.ask(lift(quiet, "partly", lots=touch + 5))
    quiet.ask(Cancel(0, "partly"))
    quiet.ask(lift(quiet, "done", lots=1))

    answers = {name: quiet.ask(QueryOrder(0, name))[0] for name in ("resting", "partly", "done", "never")}

    assert {name: (answer.status, answer.filled_lots) for name, answer in answers.items()} == {
        "resting": (OPEN, 0),
        "partly": (OrderStatus.CANCELED, touch),
        "done": (OrderStatus.FILLED, 1),
        "never": (OrderStatus.NOT_FOUND, 0),
    }


def test_a_request_that_trades_nothing_tells_of_no_trade_again(quiet):
    quiet.ask(lift(quiet, "c-1", lots=1))
    published = len(quiet.messages)

    events = quiet.ask(QueryOrder(0, "c-1")) + quiet.ask(Cancel(0, "nobody")) + quiet.ask(lift(quiet, "c-1", lots=1))

    assert told(events) == [
        ("c-1", Request.QUERY, OrderStatus.FILLED),
        ("nobody", Request.CANCEL, UNCHANGED),
        ("c-1", Request.SUBMIT, OrderStatus.REJECTED),
    ]
    assert len(quiet.messages) == published


def test_cancel_all_reaches_every_market_and_the_report_is_empty_afterwards(open_market):
    trader = open_market(symbols=("BTC/USDT", "ETH/USDT"))
    for market in 0, 1:
        trader.ask(Submit(market, f"c-{market}", BUY, trader.best(BUY, market) - 300, 100))

    events = trader.ask(CancelAll(ALL_MARKETS, "a test"))
    reports = [trader.ask(QueryOpenOrders(market))[0] for market in (0, 1)]

    canceled = [(event.market, event.client_id) for event in events if event.status is OrderStatus.CANCELED]
    assert canceled == [(0, "c-0"), (1, "c-1")]
    assert [report.orders for report in reports if isinstance(report, OpenOrdersReport)] == [(), ()]


@pytest.mark.parametrize(
    ("mode", "taker", "maker"),
    [
        ("expire_taker", OrderStatus.EXPIRED, OPEN),
        ("expire_maker", OPEN, OrderStatus.EXPIRED),
        ("expire_both", OrderStatus.EXPIRED, OrderStatus.EXPIRED),
        ("none", OrderStatus.FILLED, OrderStatus.FILLED),
    ],
)
def test_our_orders_meet_as_the_option_says(open_quiet_market, mode, taker, maker):
    trader = open_quiet_market({"self_trade_prevention": mode})
    price = trader.best(SELL) - 1
    trader.ask(Submit(0, "maker", SELL, price, 100))
    trader.ask(Submit(0, "taker", BUY, price, 100, is_post_only=False))

    statuses = {name: trader.ask(QueryOrder(0, name))[0].status for name in ("maker", "taker")}

    assert statuses == {"maker": maker, "taker": taker}


def test_only_approved_actions_are_taken(quiet):
    with pytest.raises(TypeError) as caught:
        quiet.venue.execute(bid(quiet), quiet.now_ns)

    assert str(caught.value) == "venue 'embedded': expected an Approved action, was Submit"


def test_a_venue_without_its_feed_says_what_is_missing():
    venue = build_component(VENUES[0])

    with pytest.raises(DomainError) as caught:
        venue.execute(approve(Cancel(0, "c-1")), 0)

    assert caught.value.message == "venue 'embedded': there is no embedded market to trade in"
    assert caught.value.hint == 'use it together with [feed] use = "embedded", or choose venue "simulated"'

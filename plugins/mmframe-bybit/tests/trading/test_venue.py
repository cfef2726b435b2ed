"""The venue against an exchange on loopback: what it tells of orders, and what it makes of every way to fail."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    BalanceUpdate,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderStatus,
    OrderUpdate,
    PositionReport,
    QueryOpenOrders,
    QueryOrder,
    Submit,
    VenueStatus,
)
from mmframe.errors import DomainError, VenueError
from mmframe.testing import build_component, make_instrument
from mmframe_bybit.plugin import VENUES

ID = "mm-t-0-1"
ETH = make_instrument("ETH/USDT", tick_size="0.01", lot_size="0.1")


def bid(client_id=ID, price_ticks=200, size_lots=10, **more):
    return Submit(0, client_id, Side.BUY, price_ticks, size_lots, **more)


async def resting(trader, *client_ids):
    """Let orders rest, as the strategy knows."""
    for client_id in client_ids or (ID,):
        trader.do(bid(client_id))
        await trader.until(lambda client_id=client_id: (client_id, "SUBMIT", "OPEN") in trader.updates)
    trader.events.clear()


# Up and down.


async def test_it_is_up_after_wallet_and_position_were_told(exchange, trader_of):
    short = {"symbol": "BTCUSDT", "side": "Sell", "size": "0.004", "positionIdx": 0, "markPrice": "100.2"}
    exchange.positions = [short]
    trader = trader_of()

    async with trader.running():
        pass

    balances = {(event.asset, str(event.free), str(event.locked)) for event in trader.of(BalanceUpdate)}
    assert [type(event) for event in trader.events] == [PositionReport, BalanceUpdate, BalanceUpdate, VenueStatus]
    assert trader.of(PositionReport)[0].position_lots == -4
    assert trader.of(PositionReport)[0].mark_price_ticks == 200
    assert balances == {("BTC", "0", "0"), ("USDT", "990", "10")}
    assert exchange.topics == [["order.linear", "execution.linear", "position.linear"], ["wallet"]]
    assert trader.venue.next_event_ns == NEVER_NS


async def test_spot_has_no_positions(exchange, trader_of):
    trader = trader_of(category="spot")

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: exchange.asked("order.create"))

    assert trader.of(PositionReport) == []
    assert not trader.venue.capabilities.reports_positions
    assert exchange.topics == [["order.spot", "execution.spot"], ["wallet"]]
    assert "positionIdx" not in exchange.asked("order.create")[0]
    assert exchange.asked("/v5/position/list") == []


async def test_futures_orders_out_of_limits_are_set_to_be_refused(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        pass

    assert exchange.asked("/v5/account/set-limit-px-action") == [{"category": "linear", "modifyEnable": False}]


async def test_it_is_down_at_once_when_the_stream_is_lost_and_up_after_asking_for_what_was_missed(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader, ID, "mm-t-0-2")
        exchange.pushes = False
        await exchange.trade_with(ID, "0.004")
        await exchange.end("mm-t-0-2")
        for connection in exchange.private:
            connection.transport.abort()
        exchange.private.clear()
        await trader.until(lambda: trader.of(VenueStatus))
        assert not trader.is_up
        assert trader.of(VenueStatus)[0].reason.startswith("the private stream is lost")
        exchange.pushes = True
        await trader.until(lambda: trader.is_up, step_s=0.05)

    kinds = [type(event).__name__ for event in trader.events]
    assert trader.fills == [(ID, exchange.executions[0]["execId"], 4)]
    assert ("mm-t-0-2", "STREAM", "CANCELED") in trader.updates
    assert kinds.index("Fill") < len(kinds) - 1
    assert kinds[-1] == "VenueStatus"


async def test_a_silent_stream_is_a_lost_one(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        exchange._on_private = lambda *_: trader.settle(rounds=1)
        await trader.until(lambda: trader.of(VenueStatus)[-1].is_up is False, step_s=0.5)

    assert "no pong" in trader.of(VenueStatus)[-1].reason or "no frame" in trader.of(VenueStatus)[-1].reason


async def test_quotes_are_refused_unsent_while_it_is_down_and_cancels_go_by_http(exchange, trader_of):
    trader = trader_of(order_entry="rest")

    async with trader.running():
        await resting(trader)
        exchange.refuses_login = "later"
        for connection in exchange.private:
            connection.transport.abort()
        exchange.private.clear()
        await trader.until(lambda: not trader.of(VenueStatus)[-1].is_up if trader.of(VenueStatus) else False)
        trader.do(bid("mm-t-0-2"), Cancel(0, ID))
        await trader.until(lambda: exchange.asked("/v5/order/cancel"))
        await trader.until(lambda: trader.updates)

    assert trader.updates == [("mm-t-0-2", "SUBMIT", "REJECTED")]
    assert trader.of(OrderUpdate)[0].reason == "the venue is down"
    assert len(exchange.asked("/v5/order/create")) == 1


# The life of orders.


@pytest.mark.parametrize("order_entry", ["websocket", "rest"])
async def test_the_life_of_an_order(exchange, trader_of, order_entry):
    trader = trader_of(order_entry=order_entry)
    path = {"websocket": "order.create", "rest": "/v5/order/create"}[order_entry]

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: trader.updates)
        await exchange.trade_with(ID, "0.004")
        await trader.until(lambda: trader.fills)
        trader.do(Amend(0, ID, 198, 5, 0))
        await trader.until(lambda: len(trader.updates) == 2)
        trader.do(Cancel(0, ID))
        await trader.until(lambda: len(trader.updates) == 3)

    assert exchange.asked(path) == [
        {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.010",
            "price": "100.0",
            "timeInForce": "PostOnly",
            "orderLinkId": ID,
            "smpType": "CancelTaker",
            "positionIdx": 0,
        }
    ]
    amended = exchange.asked(path.replace("create", "amend"))
    assert [(row["qty"], row["price"]) for row in amended] == [("0.009", "99.0")]
    assert trader.updates == [(ID, "SUBMIT", "OPEN"), (ID, "AMEND", "OPEN"), (ID, "CANCEL", "CANCELED")]
    last = trader.of(OrderUpdate)[-1]
    assert (last.price_ticks, last.size_lots, last.filled_lots) == (198, 9, 4)
    assert trader.fills == [(ID, exchange.executions[0]["execId"], 4)]


async def test_a_fill_is_told_as_the_exchange_has_it(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        await exchange.trade_with(ID, "0.010", exec_id="e-7", fee="-0.0003")
        await trader.until(lambda: trader.updates)

    fill = trader.of(Fill)[0]
    assert (fill.market, fill.client_id, fill.venue_trade_id, fill.side) == (0, ID, "e-7", Side.BUY)
    assert (fill.price_ticks, fill.size_lots, fill.is_maker) == (200, 10, True)
    assert (fill.fee, fill.fee_asset) == (Decimal("-0.0003"), "USDT")
    assert trader.updates == [(ID, "STREAM", "FILLED")]


async def test_an_acknowledgement_is_no_evidence(exchange, trader_of):
    exchange.pushes = False
    trader = trader_of()

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: exchange.asked("order.create"))
        await trader.settle()

    assert trader.updates == []


async def test_executions_go_before_the_update_that_counts_them_also_when_they_come_late(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        await exchange.trade_with(ID, "0.010", order_first=True)
        await trader.until(lambda: trader.updates)

    assert [type(event) for event in trader.events] == [Fill, OrderUpdate]


async def test_executions_that_do_not_come_are_asked_for(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        exchange.pushes = False
        await exchange.trade_with(ID, "0.010", exec_id="e-9")
        exchange.pushes = True
        await exchange.push("order.linear", exchange.orders[ID])
        await trader.settle()
        assert trader.events == []
        await trader.until(lambda: trader.updates, step_s=0.05)

    assert trader.fills == [(ID, "e-9", 10)]
    assert [type(event) for event in trader.events] == [Fill, OrderUpdate]


async def test_an_execution_that_comes_twice_is_told_once(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        execution = await exchange.trade_with(ID, "0.004")
        await exchange.push("execution.linear", execution)
        await exchange.push("wallet", {"coin": []})
        await trader.settle()

    assert len(trader.fills) == 1


async def test_orders_and_executions_of_others_are_not_ours(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        for client_id in ("foreign-1", "mm-other-0-1", ""):
            exchange.place(client_id)
            await exchange.trade_with(client_id, "0.001")
        await trader.settle()

    assert trader.events == []


async def test_a_position_moved_by_the_exchange_is_told(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        exchange.positions = [
            {"symbol": "BTCUSDT", "side": "Buy", "size": "0.003", "positionIdx": 0, "markPrice": "100"}
        ]
        await exchange.trade_with(ID, "0.003", kind="AdlTrade")
        await trader.until(lambda: trader.of(PositionReport))

    assert trader.fills == []
    assert trader.of(PositionReport)[0].position_lots == 3


async def test_funding_is_no_fill_and_no_position(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        asked = len(exchange.asked("/v5/position/list"))
        await resting(trader)
        await exchange.trade_with(ID, "0.003", kind="Funding")
        await trader.settle(step_s=0.01)

    assert trader.fills == []
    assert len(exchange.asked("/v5/position/list")) == asked


async def test_unchanged_positions_are_told_once(exchange, trader_of):
    trader = trader_of()
    position = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "size": "0.002", "markPrice": "99.9"}

    async with trader.running():
        trader.events.clear()
        await exchange.push("position.linear", position)
        await exchange.push("position.linear", position)
        await trader.settle()

    assert [event.position_lots for event in trader.of(PositionReport)] == [2]


# Refusals and doubt.


@pytest.mark.parametrize("order_entry", ["websocket", "rest"])
@pytest.mark.parametrize(
    ("code", "submit", "amend", "cancel"),
    [
        (110007, "REJECTED", "UNCHANGED", "UNCHANGED"),
        (10006, "REJECTED", "UNCHANGED", "UNCHANGED"),
        (10002, "REJECTED", "UNCHANGED", "UNCHANGED"),
        (110079, "REJECTED", "UNCHANGED", "UNCHANGED"),
        (110072, "UNKNOWN", "UNKNOWN", "UNKNOWN"),
        (10016, "UNKNOWN", "UNKNOWN", "UNKNOWN"),
        (987654, "UNKNOWN", "UNKNOWN", "UNKNOWN"),
    ],
)
async def test_what_a_code_makes_of_a_request(exchange, trader_of, order_entry, code, submit, amend, cancel):
    trader = trader_of(order_entry=order_entry)
    prefix = {"websocket": "order.", "rest": "/v5/order/"}[order_entry]

    async with trader.running():
        await resting(trader)
        for name in ("create", "amend", "cancel"):
            exchange.script[prefix + name].append(code)
        trader.do(bid("mm-t-0-2"))
        await trader.until(lambda: len(trader.updates) == 1)
        trader.do(Amend(0, ID, 198, 6, 0))
        await trader.until(lambda: len(trader.updates) == 2)
        trader.do(Cancel(0, ID))
        await trader.until(lambda: len(trader.updates) == 3)

    assert trader.updates == [("mm-t-0-2", "SUBMIT", submit), (ID, "AMEND", amend), (ID, "CANCEL", cancel)]
    unchanged = [update for update in trader.of(OrderUpdate) if update.status is OrderStatus.UNCHANGED]
    assert all((update.price_ticks, update.size_lots) == (200, 10) for update in unchanged)
    assert all(update.reason.startswith(str(code)) for update in trader.of(OrderUpdate))


async def test_a_cancel_that_finds_no_order_leaves_it_in_doubt(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        exchange.pushes = False
        await exchange.end(ID)
        trader.do(Cancel(0, ID))
        await trader.until(lambda: trader.updates)

    update = trader.of(OrderUpdate)[0]
    assert (update.status, update.size_lots, update.reason) == (OrderStatus.UNCHANGED, 0, "110001: no such order")


@pytest.mark.parametrize("order_entry", ["websocket", "rest"])
async def test_a_request_without_an_answer_is_in_doubt_and_not_sent_again(exchange, trader_of, order_entry):
    trader = trader_of(order_entry=order_entry)
    path = {"websocket": "order.create", "rest": "/v5/order/create"}[order_entry]
    exchange.script[path].append(exchange.silence)

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: exchange.asked(path))
        await trader.until(lambda: trader.updates, step_s=0.2)

    assert trader.updates == [(ID, "SUBMIT", "UNKNOWN")]
    assert len(exchange.asked("order.create") + exchange.asked("/v5/order/create")) == 1


async def test_a_trade_socket_that_is_lost_before_the_answer_leaves_doubt(exchange, trader_of):
    exchange.script["order.create"].append(exchange.silence)
    trader = trader_of()

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: exchange.asked("order.create"))
        exchange.trade[-1].transport.abort()
        await trader.until(lambda: trader.updates)

        assert trader.updates == [(ID, "SUBMIT", "UNKNOWN")]
        assert "lost before the answer" in trader.of(OrderUpdate)[0].reason
        trader.do(bid("mm-t-0-2"))
        await trader.until(lambda: ("mm-t-0-2", "SUBMIT", "OPEN") in trader.updates)

    assert exchange.asked("/v5/order/create")[0]["orderLinkId"] == "mm-t-0-2"


@pytest.mark.parametrize(
    ("answer", "told"),
    [(10003, "UNCHANGED"), (10019, "UNCHANGED"), ("silence", "UNKNOWN")],
    ids=["sessions", "restarts", "silent"],
)
async def test_a_trade_socket_that_takes_no_more_is_given_up_so_that_cancels_go_by_http(
    exchange, trader_of, answer, told
):
    exchange.script["order.cancel"].extend([exchange.silence if answer == "silence" else answer] * 5)
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        trader.do(Cancel(0, ID))
        await trader.until(lambda: (ID, "CANCEL", told) in trader.updates, step_s=0.2)
        trader.do(Cancel(0, ID))
        await trader.until(lambda: (ID, "CANCEL", "CANCELED") in trader.updates)
        await trader.until(lambda: trader.venue._running.trade.is_connected, step_s=0.1)

        assert trader.of(VenueStatus) == []

    assert len(exchange.asked("order.cancel")) == 1
    assert len(exchange.asked("/v5/order/cancel")) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((502, b"<html>Bad Gateway</html>"), "UNKNOWN"),
        ((200, b"<html>hello</html>"), "UNKNOWN"),
        ((200, b""), "UNKNOWN"),
        ((200, b"[" * 200_000), "UNKNOWN"),
        ((200, b'{"retCode":"0"}'), "UNKNOWN"),
        ((429, b""), "UNKNOWN"),
        ((404, b""), "REJECTED"),
        ((403, b"access too frequent"), "REJECTED"),
    ],
    ids=["502", "html", "empty", "deep", "text code", "429", "404", "403"],
)
async def test_answers_that_are_none(exchange, trader_of, answer, status):
    exchange.script["/v5/order/create"].append(answer)
    trader = trader_of(order_entry="rest")

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: trader.updates)

    assert trader.updates == [(ID, "SUBMIT", status)]


async def test_forbidden_is_down_for_ten_minutes_and_then_up_again(exchange, trader_of, time):
    exchange.script["/v5/order/create"].append((403, b""))
    trader = trader_of(order_entry="rest")

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: trader.of(VenueStatus) and not trader.is_up)
        began_ns, requests = time.clock.now_ns(), len(exchange.requests)
        await trader.until(lambda: trader.is_up, step_s=2.0)

    assert time.clock.now_ns() - began_ns >= 600 * 10**9 - 10**9
    assert exchange.requests[requests][0] == "/v5/market/time"


async def test_more_orders_than_the_limit_are_refused_unsent_and_cancels_go(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        trader.do(*(bid(f"mm-t-0-{number}") for number in range(2, 13)), Cancel(0, ID))
        await trader.until(lambda: len(trader.updates) == 12, step_s=0.02)

    refused = [update for update in trader.of(OrderUpdate) if update.status is OrderStatus.REJECTED]
    assert len(refused) == 2
    assert refused[0].reason.startswith("rate limit: /v5/order/create is free in")
    assert (ID, "CANCEL", "CANCELED") in trader.updates


async def test_a_change_without_room_is_refused_soon_so_that_its_order_can_be_cancelled(exchange, trader_of, time):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        for number in range(10):
            trader.do(Amend(0, ID, 190 - number, 10, 0))
            await trader.until(lambda number=number: len(trader.updates) == number + 1)
        time.advance(0.7)
        trader.do(Amend(0, ID, 170, 10, 0))
        await trader.until(lambda: len(trader.updates) == 11)

    assert trader.updates[-1] == (ID, "AMEND", "UNCHANGED")
    assert (trader.of(OrderUpdate)[-1].price_ticks, trader.of(OrderUpdate)[-1].size_lots) == (181, 10)


@pytest.mark.parametrize(
    ("prevent", "reason"),
    [
        (lambda trader: trader.do(CancelAll(0, "halt")), "everything is being cancelled"),
        (lambda trader: trader.do(CancelAll(ALL_MARKETS, "halt")), "everything is being cancelled"),
        (lambda trader: trader.exchange.private[-1].transport.abort(), "the venue is down"),
    ],
    ids=["cancel all of it", "cancel all", "stream lost"],
)
@pytest.mark.parametrize("order_entry", ["websocket", "rest"])
async def test_a_quote_that_waits_for_room_is_not_sent_when_it_is_unwanted_by_then(
    exchange, trader_of, time, order_entry, prevent, reason
):
    trader = trader_of(order_entry=order_entry)

    async with trader.running():
        await resting(trader, *(f"mm-t-0-{number}" for number in range(10)))
        time.advance(0.8)
        trader.do(bid("mm-t-0-20"), Amend(0, "mm-t-0-1", 190, 10, 0))
        await trader.until(lambda: ("mm-t-0-1", "AMEND", "OPEN") in trader.updates)
        prevent(trader)
        await trader.until(lambda: "SUBMIT" in {row[1] for row in trader.updates}, step_s=0.01)

    assert ("mm-t-0-20", "SUBMIT", "REJECTED") in trader.updates
    assert next(update for update in trader.of(OrderUpdate) if update.client_id == "mm-t-0-20").reason == reason
    assert "mm-t-0-20" not in exchange.orders


async def test_at_the_bound_of_open_requests_the_next_is_refused_at_once(exchange, trader_of):
    exchange.script["order.create"].extend([exchange.silence] * 8)
    trader = trader_of(requests_max=8)

    async with trader.running():
        trader.do(*(bid(f"mm-t-0-{number}") for number in range(9)))
        await trader.until(lambda: trader.updates)

    assert trader.updates == [("mm-t-0-8", "SUBMIT", "REJECTED")]
    assert trader.of(OrderUpdate)[0].reason == "8 requests wait or are under way already"


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (bid("mm t"), "client id: expected at most 36 of 0-9 A-Z a-z - _, was 'mm t'"),
        (bid("m" * 37), f"client id: expected at most 36 of 0-9 A-Z a-z - _, was '{'m' * 37}'"),
        (bid(size_lots=5001), "size: expected at most 5000 lots, the exchange's maximum, was 5001"),
        (bid(size_lots=4), "value: expected at least 0.5 USDT, was 0.4000"),
    ],
    ids=["blank", "long", "large", "worthless"],
)
async def test_what_the_exchange_would_refuse_is_not_sent(exchange, trader_of, order, reason):
    trader = trader_of()

    async with trader.running():
        trader.do(order)
        await trader.until(lambda: trader.updates)

    assert trader.of(OrderUpdate)[0].status is OrderStatus.REJECTED
    assert trader.of(OrderUpdate)[0].reason == reason
    assert exchange.asked("order.create") == []


async def test_a_key_without_permission_shuts_the_venue(exchange, trader_of, logs):
    exchange.script["order.create"].append(10005)
    trader = trader_of()

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: trader.of(VenueStatus) and not trader.is_up)
        await trader.settle(step_s=1.0)

    assert not trader.is_up
    assert trader.updates == [(ID, "SUBMIT", "REJECTED")]
    assert [record.message for record in logs.records].count("venue_latched") == 1


async def test_a_request_out_of_time_has_the_clock_read_again(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        exchange.ahead_ms = 7_000
        trader.do(bid())
        exchange.script["order.create"].append(10002)
        before = len(exchange.asked("/v5/market/time"))
        await trader.until(lambda: len(exchange.asked("/v5/market/time")) > before)
        await trader.settle()
        trader.do(QueryOpenOrders(0))
        await trader.until(lambda: trader.of(OpenOrdersReport))

    assert trader.updates == [(ID, "SUBMIT", "REJECTED")]


async def test_a_clock_that_was_read_wrong_does_not_keep_orders_from_being_cancelled(exchange, trader_of):
    exchange.ahead_ms = 3_000
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        exchange.ahead_ms = 0
        trader.do(CancelAll(0, "stop"))
        await trader.until(lambda: not exchange.open_orders(), step_s=0.05)

    assert len(exchange.asked("/v5/order/cancel-all")) == 2


async def test_a_clock_that_differs_is_allowed_for(exchange, trader_of):
    exchange.ahead_ms = -60_000
    trader = trader_of()

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: trader.updates)

    assert trader.updates == [(ID, "SUBMIT", "OPEN")]


# Questions.


async def test_a_query_tells_the_executions_first(exchange, trader_of):
    exchange.pushes = False
    trader = trader_of()

    async with trader.running():
        exchange.place(ID)
        await exchange.trade_with(ID, "0.004", exec_id="e-1")
        trader.do(QueryOrder(0, ID))
        await trader.until(lambda: trader.updates)

    assert trader.fills == [(ID, "e-1", 4)]
    assert trader.updates[-1] == (ID, "QUERY", "OPEN")
    last = trader.of(OrderUpdate)[-1]
    assert (last.price_ticks, last.size_lots, last.filled_lots) == (200, 10, 4)


async def test_an_order_that_is_in_the_history_alone_is_found(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        exchange.place(ID, status="Cancelled")
        exchange.script["/v5/order/realtime"].append((200, b'{"retCode":0,"result":{"list":[]}}'))
        body = json.dumps({"retCode": 0, "result": {"list": [exchange.orders[ID]]}}).encode()
        exchange.script["/v5/order/history"].append((200, body))
        trader.do(QueryOrder(0, ID))
        await trader.until(lambda: trader.updates)

    assert trader.updates[-1] == (ID, "QUERY", "CANCELED")


async def test_an_order_that_nobody_knows_is_not_asked_for_after_every_break(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        trader.do(Cancel(0, "mm-t-0-7"))
        await trader.until(lambda: trader.updates)
        for breaks in (1, 2):
            await exchange.push_raw("{")
            await trader.until(lambda breaks=breaks: len(trader.of(VenueStatus)) == 1 + 2 * breaks, step_s=0.05)

    assert len([row for row in exchange.asked("/v5/order/realtime") if row.get("orderLinkId") == "mm-t-0-7"]) == 1


async def test_not_found_takes_all_three_lists(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        trader.do(QueryOrder(0, ID))
        await trader.until(lambda: trader.updates)

    assert trader.updates == [(ID, "QUERY", "NOT_FOUND")]
    assert all(
        [row["orderLinkId"] for row in exchange.asked(path)] == [ID]
        for path in ("/v5/order/realtime", "/v5/order/history", "/v5/execution/list")
    )


async def test_executions_without_an_order_are_not_not_found(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        exchange.place(ID)
        exchange.pushes = False
        await exchange.trade_with(ID, "0.004")
        del exchange.orders[ID]
        trader.do(QueryOrder(0, ID))
        await trader.until(lambda: trader.updates, step_s=0.1)

    assert len(trader.fills) == 1
    assert trader.updates == [(ID, "QUERY", "UNKNOWN")]


@pytest.mark.parametrize("answer", [10016, (500, b""), (200, b"nonsense")])
async def test_a_query_without_an_answer_says_so_after_a_pause(exchange, trader_of, time, answer):
    exchange.script["/v5/order/history"].append(answer)
    trader = trader_of()

    async with trader.running():
        trader.do(QueryOrder(0, ID))
        began_ns = time.clock.now_ns()
        await trader.until(lambda: trader.updates, step_s=0.1)

    assert trader.updates == [(ID, "QUERY", "UNKNOWN")]
    assert time.clock.now_ns() - began_ns >= 10**9


async def test_all_pages_of_open_orders_are_told_those_of_others_too(exchange, trader_of):
    exchange.page_size = 3
    trader = trader_of()

    async with trader.running():
        for number in range(7):
            exchange.place(f"mm-t-0-{number}")
        exchange.place("foreign-1", qty="0.00004", price="33.333", side="Sell")
        exchange.place("foreign-2", qty="NaN", price="", status="Untriggered")
        trader.do(QueryOpenOrders(0))
        await trader.until(lambda: trader.of(OpenOrdersReport))

    report = trader.of(OpenOrdersReport)[0]
    assert [order.client_id for order in report.orders[:7]] == [f"mm-t-0-{number}" for number in range(7)]
    foreign = [(order.client_id, order.price_ticks, order.size_lots) for order in report.orders[7:]]
    assert foreign == [("o-8", 67, 1), ("o-9", 0, 0)]


async def test_open_orders_that_cannot_be_listed_are_asked_for_until_they_can(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        exchange.script["/v5/order/realtime"].extend([10016, (200, b'{"retCode":0,"result":{"list":[7]}}'), (500, b"")])
        trader.do(QueryOpenOrders(0))
        await trader.until(lambda: trader.of(OpenOrdersReport), step_s=0.1)

    assert trader.of(OpenOrdersReport)[0].orders == ()
    assert len(exchange.asked("/v5/order/realtime")) == 4


async def test_a_report_tells_the_fills_of_what_it_lists_first(exchange, trader_of):
    exchange.pushes = False
    trader = trader_of()

    async with trader.running():
        trader.do(QueryOrder(0, "mm-t-0-9"))
        exchange.place(ID)
        await exchange.trade_with(ID, "0.004")
        trader.do(QueryOpenOrders(0))
        await trader.until(lambda: trader.of(OpenOrdersReport))

    assert len(trader.fills) == 1
    assert trader.of(OpenOrdersReport)[0].orders[0].filled_lots == 4


async def test_questions_asked_again_meanwhile_do_not_pile_up(exchange, trader_of):
    trader = trader_of(requests_max=8)
    exchange.script["/v5/order/history"].extend([exchange.silence] * 2)

    async with trader.running():
        exchange.script["/v5/order/realtime"].append(exchange.silence)
        trader.do(*(QueryOpenOrders(0) for _ in range(6)), *(QueryOrder(0, ID) for _ in range(6)))
        await trader.settle()
        trader.do(bid("mm-t-0-2"))
        await trader.until(lambda: trader.updates)
        await trader.until(lambda: len(trader.of(OpenOrdersReport)) == 2, step_s=0.2)

    assert trader.updates[0] == ("mm-t-0-2", "SUBMIT", "OPEN")
    assert len(trader.of(OpenOrdersReport)) == 2


async def test_cancels_have_room_where_quotes_have_none(exchange, trader_of):
    exchange.script["order.create"].extend([exchange.silence] * 8)
    trader = trader_of(requests_max=8)

    async with trader.running():
        exchange.place("mm-t-0-20")
        trader.do(*(bid(f"mm-t-0-{number}") for number in range(9)), Cancel(0, "mm-t-0-20"))
        await trader.until(lambda: len(trader.updates) == 2)

    assert trader.updates == [("mm-t-0-8", "SUBMIT", "REJECTED"), ("mm-t-0-20", "CANCEL", "CANCELED")]


async def test_cancels_do_not_wait_for_answers_that_do_not_come(exchange, trader_of):
    exchange.script["/v5/order/create"].extend([None, None] + [exchange.silence] * 12)
    trader = trader_of(order_entry="rest")

    async with trader.running():
        await resting(trader, ID, "mm-t-0-2")
        trader.do(*(bid(f"mm-t-1-{number}") for number in range(8)))
        exchange.script["/v5/order/realtime"].extend([exchange.silence] * 5)
        trader.do(*(QueryOrder(0, f"mm-t-1-{number}") for number in range(5)))
        await trader.until(
            lambda: len(exchange.asked("/v5/order/create")) == 10 and len(exchange.asked("/v5/order/realtime")) == 2
        )
        trader.do(Cancel(0, ID), CancelAll(0, "halt"))
        await trader.until(lambda: len([row for row in trader.updates if row[2] == "CANCELED"]) == 2)

    assert exchange.open_orders() == []


async def test_cancel_all_goes_on_until_nothing_is_listed(exchange, trader_of):
    exchange.cancel_all_max = 2
    trader = trader_of()

    async with trader.running():
        await resting(trader, *(f"mm-t-0-{number}" for number in range(5)))
        exchange.place("foreign-1")
        trader.do(CancelAll(ALL_MARKETS, "the run ends"))
        await trader.until(lambda: not exchange.open_orders() and len(trader.updates) == 5, step_s=0.05)

    assert {update[2] for update in trader.updates} == {"CANCELED"}
    assert len(exchange.asked("/v5/order/cancel-all")) == 3


async def test_cancel_all_goes_over_the_trade_socket_while_http_is_shut_out(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader, ID, "mm-t-0-2")
        exchange.script["/v5/order/realtime"].append((403, b""))
        trader.do(QueryOrder(0, ID))
        await trader.until(lambda: trader.venue._running.rest.limits.ban() is not None)
        trader.do(CancelAll(0, "halt"))
        await trader.until(lambda: len([row for row in trader.updates if row[2] == "CANCELED"]) == 2, step_s=0.01)

    assert exchange.open_orders() == []
    assert exchange.asked("/v5/order/cancel-all") == []
    assert len(exchange.asked("order.cancel")) == 2


async def test_after_cancel_all_ends_that_the_stream_did_not_show_are_asked_for(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        exchange.pushes = False
        trader.do(CancelAll(0, "halt"))
        await trader.until(lambda: trader.updates, step_s=0.05)

    assert trader.updates == [(ID, "STREAM", "CANCELED")]


# What must not run at all.


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda e: e.listed.update(BTCUSDT=("0.1", "0.001")), "tick_size: expected 0.1 as the exchange says, was 0.5"),
        (lambda e: e.listed.update(BTCUSDT=("0.5", "0.01")), "lot_size: expected 0.01 as the exchange says, was 0.001"),
        (lambda e: e.listed.clear(), "BTC/USDT: the exchange lists no BTCUSDT in linear"),
        (lambda e: setattr(e, "account_mode", 1), "account: expected a unified trading account, was mode 1"),
        (
            lambda e: e.positions.append({"symbol": "BTCUSDT", "side": "", "size": "0", "positionIdx": 1}),
            "BTC/USDT: expected one-way mode, was hedge mode (positionIdx 1)",
        ),
        (lambda e: e.script["/v5/account/info"].append(10003), "/v5/account/info: 10003"),
        (lambda e: setattr(e, "refuses_login", "API key expired"), "the exchange refused the key: 'API key expired'"),
    ],
    ids=["tick", "lot", "symbol", "classic", "hedge", "key", "login"],
)
async def test_what_ends_the_run_at_its_start(exchange, trader_of, prepare, message):
    prepare(exchange)
    trader = trader_of()

    with pytest.raises(VenueError) as caught:
        await trader.venue.run(lambda: None)

    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e.listed.update(BTCUSDT=("0.05", "0.001")), "BTC/USDT tick_size: expected 0.05"),
        (
            lambda e: e.positions.append({"symbol": "BTCUSDT", "side": "Buy", "size": "0.004", "positionIdx": 1}),
            "BTC/USDT: expected one-way mode, was hedge mode",
        ),
    ],
    ids=["tick", "hedge"],
)
async def test_what_would_end_the_run_at_its_start_keeps_it_down_later_so_that_orders_can_be_cancelled(
    exchange, trader_of, logs, change, reason
):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        change(exchange)
        await exchange.push_raw("{")
        await trader.until(lambda: any(record.message == "venue_latched" for record in logs.records), step_s=0.02)
        trader.do(bid("mm-t-0-2"), Cancel(0, ID))
        await trader.until(lambda: len(trader.updates) == 2)
        await trader.settle(step_s=0.5)

    assert ("mm-t-0-2", "SUBMIT", "REJECTED") in trader.updates
    assert (ID, "CANCEL", "CANCELED") in trader.updates
    assert not trader.is_up
    assert next(record for record in logs.records if record.message == "venue_latched").reason.startswith(reason)


async def test_who_only_removes_needs_neither_grid_nor_mode(exchange, trader_of):
    exchange.listed["BTCUSDT"] = ("0.05", "0.0001")
    exchange.account_mode = 1
    exchange.positions.append({"symbol": "BTCUSDT", "side": "Buy", "size": "0.0001", "positionIdx": 1})
    exchange.place(ID, price="100.05", qty="0.0105")
    trader = trader_of(removes_only=True)

    async with trader.running():
        trader.do(QueryOpenOrders(0))
        await trader.until(lambda: trader.of(OpenOrdersReport))
        trader.do(CancelAll(0, "kill"))
        await trader.until(
            lambda: not exchange.open_orders() and (ID, "STREAM", "CANCELED") in trader.updates, step_s=0.05
        )
        trader.do(QueryOpenOrders(0))
        await trader.until(lambda: len(trader.of(OpenOrdersReport)) == 2)

    first, second = trader.of(OpenOrdersReport)
    assert [(order.client_id, order.price_ticks, order.size_lots) for order in first.orders] == [(ID, 200, 11)]
    assert second.orders == ()
    assert trader.is_up


async def test_cancel_on_disconnect_is_set_where_the_account_has_it(exchange, trader_of):
    exchange.dcp = [{"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "10"}]
    trader = trader_of(disconnect_cancel_s=20)

    async with trader.running():
        # A connection that does not ping in time counts as lost for it.
        await trader.until(lambda: exchange.private_pings == 1)

    assert trader.venue.capabilities.has_dead_man_switch
    assert exchange.asked("/v5/order/disconnected-cancel-all") == [{"product": "DERIVATIVES", "timeWindow": 20}]
    assert ["dcp.future"] in exchange.topics


async def test_cancel_on_disconnect_that_the_account_has_not_ends_the_run(trader_of):
    trader = trader_of(disconnect_cancel_s=20)

    with pytest.raises(VenueError, match=r"expected an account with cancel on disconnect \(DCP\), was one without"):
        await trader.venue.run(lambda: None)


async def test_demo_has_no_trade_socket(trader_of):
    trader = trader_of(environment="demo")

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: trader.updates)

    assert trader.venue._addresses.trade is None
    assert trader.exchange.asked("/v5/order/create")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rest_url": "https://api.example.com"}, "rest_url: expected a host of environment 'live' or this machine"),
        (
            {"private_stream_url": "wss://stream-testnet.bybit.com/v5/private"},
            "private_stream_url: expected a host of environment 'live' or this machine",
        ),
        ({"rest_url": "http://api.bybit.com"}, "expected https, was http"),
    ],
)
async def test_signed_requests_go_to_the_exchange_alone(venue_options, options, message):
    with pytest.raises(DomainError) as caught:
        build_component(VENUES[1], venue_options(**options))

    assert message in caught.value.message


async def test_a_regional_site_is_the_exchange(venue_options):
    urls = {"rest_url": "https://api.bybit.eu", "private_stream_url": "wss://stream.bybit.eu/v5/private"}

    assert build_component(VENUES[0], venue_options(**urls)) is not None


# Bad input.


@pytest.mark.parametrize(
    "frame",
    [
        "<html>502 Bad Gateway</html>",
        "[" * 100_000,
        '{"topic":"execution.linear","data":[{"symbol":"BTCUSDT"}]}',
        json.dumps(
            {
                "topic": "execution.linear",
                "data": [
                    {
                        "symbol": "BTCUSDT",
                        "execId": "e",
                        "execType": "Trade",
                        "orderLinkId": ID,
                        "side": "Buy",
                        "execPrice": "1E+1000000",
                        "execQty": "NaN",
                    }
                ],
            }
        ),
    ],
    ids=["html", "deep", "missing", "number"],
)
async def test_an_unreadable_message_has_everything_asked_for(exchange, trader_of, frame):
    trader = trader_of()

    async with trader.running():
        await resting(trader)
        exchange.pushes = False
        await exchange.trade_with(ID, "0.004", exec_id="e-5")
        await exchange.push_raw(frame)
        await trader.until(lambda: trader.of(VenueStatus) and trader.is_up, step_s=0.05)

    assert [status.is_up for status in trader.of(VenueStatus)] == [False, True]
    assert trader.fills == [(ID, "e-5", 4)]
    assert trader.venue.bad_entries == 1


async def test_an_oversized_frame_ends_the_connection_alone(exchange, trader_of):
    trader = trader_of()

    async with trader.running():
        trader.events.clear()
        await exchange.push_raw("x" * (5 * 1024 * 1024))
        await trader.until(lambda: trader.of(VenueStatus) and trader.is_up, step_s=0.05)

    assert [status.is_up for status in trader.of(VenueStatus)] == [False, True]


async def test_several_markets_and_their_orders(exchange, trader_of):
    exchange.listed["ETHUSDT"] = ("0.01", "0.1")
    trader = trader_of(instruments=(make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001"), ETH))

    async with trader.running():
        trader.do(Submit(1, ID, Side.SELL, 5000, 3))
        await trader.until(lambda: trader.updates)

    update = trader.of(OrderUpdate)[0]
    assert (update.market, update.price_ticks, update.size_lots) == (1, 5000, 3)
    assert exchange.asked("order.create")[0]["price"] == "50.00"


async def test_only_approved_actions_are_taken(trader_of):
    trader = trader_of()

    with pytest.raises(TypeError, match="expected an Approved"):
        trader.venue.execute(bid(), 0)

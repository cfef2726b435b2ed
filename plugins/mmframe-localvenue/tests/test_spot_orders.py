"""Orders on Binance spot: what they do, what is answered, what the private stream says, and how each is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.domain.market import Side
from mmframe_localvenue import AccountSetup, MarketSetup


def error(answer):
    return answer.status_code, answer.json()["code"], answer.json()["msg"]


async def test_an_order_rests_trades_and_ends_alike_in_answers_stream_and_truth(venue, client):
    async with client.private() as stream:
        placed = (await client.place("a-1", newOrderRespType="RESULT")).json()
        new = await stream.event()
        locked = await stream.event()
        venue.god.trade_against("a-1", 20_000)
        trade = await stream.event("executionReport")
        canceled = (await client.cancel("a-1", newClientOrderId="c-1")).json()
        end = await stream.event("executionReport")
        asked = (await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="a-1")).json()

    assert (placed["status"], placed["origQty"], placed["executedQty"]) == ("NEW", "0.50000000", "0.00000000")
    assert (new["x"], new["X"], new["c"], new["C"], new["w"], new["t"]) == ("NEW", "NEW", "a-1", "", True, -1)
    assert locked["e"] == "outboundAccountPosition"
    assert locked["B"] == [{"a": "USDT", "f": "975000.00500000", "l": "24999.99500000"}]
    assert (trade["x"], trade["X"], trade["l"], trade["z"]) == ("TRADE", "PARTIALLY_FILLED", "0.20000000", "0.20000000")
    assert (trade["L"], trade["Y"], trade["m"], trade["n"], trade["N"]) == (
        "49999.99000000",
        "9999.99800000",
        True,
        "0.00020000",
        "BTC",
    )
    assert (canceled["status"], canceled["origClientOrderId"], canceled["clientOrderId"]) == ("CANCELED", "a-1", "c-1")
    assert (end["x"], end["X"], end["c"], end["C"], end["i"]) == ("CANCELED", "CANCELED", "c-1", "a-1", new["i"])
    assert (asked["status"], asked["executedQty"], asked["cummulativeQuoteQty"]) == (
        "CANCELED",
        "0.20000000",
        "9999.99800000",
    )
    truth = venue.god.order("a-1")
    assert truth.filled == Decimal("0.2")
    assert venue.god.account().money.balances["USDT"].locked == 0
    assert venue.god.balance("BTC") == Decimal(10) + Decimal("0.2") * Decimal("0.999")
    assert venue.god.balance("USDT") == Decimal(1_000_000) - Decimal("0.2") * Decimal("49999.99")


async def test_a_taker_is_told_new_before_its_trades_and_its_fills_in_the_answer(venue, client):
    async with client.private() as stream:
        placed = (await client.place("t-1", price="50000.02", quantity="1.5")).json()
        kinds = [(event["x"], event["X"]) for event in [await stream.event("executionReport") for _ in range(3)]]

    assert kinds == [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("TRADE", "FILLED")]
    assert placed["status"] == "FILLED"
    assert [(fill["price"], fill["qty"]) for fill in placed["fills"]] == [
        ("50000.01000000", "1.00000000"),
        ("50000.02000000", "0.50000000"),
    ]
    assert placed["cummulativeQuoteQty"] == "75000.02000000"


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"timeInForce": "IOC", "quantity": "1.5", "price": "50000.01"}, "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ({"timeInForce": "FOK", "quantity": "1.5", "price": "50000.01"}, "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED"),
        ({"type": "MARKET", "quantity": "20.5", "price": None}, "EXPIRED", "INSUFFICIENT_LIQUIDITY"),
        ({"timeInForce": "IOC", "quantity": "0.5", "price": "50000.01"}, "FILLED", None),
    ],
    ids=["ioc", "fok", "market", "ioc-whole"],
)
async def test_what_does_not_rest_expires_with_its_reason(open_venue, more, status, reason):
    rich = AccountSetup(balances={"USDT": Decimal(10_000_000)})
    async with open_venue(accounts=(rich,)) as (_, client), client.private() as stream:
        placed = (await client.place("e-1", **more)).json()
        last = await stream.event("executionReport")
        while last["X"] in {"NEW", "PARTIALLY_FILLED"}:
            last = await stream.event("executionReport")

    assert placed["status"] == status == last["X"]
    assert placed.get("expiryReason") == last.get("eR") == reason


@pytest.mark.parametrize(
    ("more", "code", "msg"),
    [
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"side": "LONG"}, -1117, "Invalid side."),
        ({"type": "GUESS"}, -1116, "Invalid orderType."),
        ({"timeInForce": "GTD"}, -1115, "Invalid timeInForce."),
        ({"type": "LIMIT_MAKER", "timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"price": None}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"quantity": ""}, -1105, "Parameter 'quantity' was empty."),
        ({"quantity": "1e-3"}, -1100, None),
        ({"quantity": "NaN"}, -1100, None),
        ({"quantity": "-1"}, -1100, None),
        ({"quantity": "0.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"newClientOrderId": "no spaces"}, -1100, None),
        ({"newClientOrderId": "x" * 37}, -1100, None),
        ({"novelty": "1"}, -1104, None),
        ({"price": "49999.995"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "2000000"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": "0"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"quantity": "0"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.000015"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "9001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"price": "300000"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": "0.00009"}, -1013, "Filter failure: NOTIONAL"),
        ({"quantity": "25"}, -2010, "Account has insufficient balance for requested action."),
        ({"type": "LIMIT_MAKER", "price": "50000.01"}, -2010, "Order would immediately match and take."),
        ({"type": "STOP_LOSS_LIMIT"}, -2010, "Stop loss limit orders are not supported for this symbol."),
        ({"icebergQty": "0.1"}, -2010, "Iceberg orders are not supported for this symbol."),
        ({"selfTradePreventionMode": "TRANSFER"}, -1013, None),
        ({"strategyType": "5"}, -1134, "`strategyType` was less than 1000000."),
    ],
    ids=str,
)
async def test_a_bad_order_is_refused_as_documented_and_changes_nothing(venue, client, more, code, msg):
    answer = await client.place(**({"client_id": "bad"} | more))

    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert msg is None or answer.json()["msg"] == msg
    assert venue.god.orders() == []
    assert venue.god.account().money.balances["USDT"].locked == 0


async def test_an_open_client_id_is_a_duplicate_and_free_again_afterwards(client):
    first = await client.place("twice")
    second = await client.place("twice")
    await client.cancel("twice")
    third = await client.place("twice")

    assert first.status_code == third.status_code == 200
    assert error(second) == (400, -2010, "Duplicate order sent.")


async def test_unknown_orders_have_a_code_for_cancel_and_one_for_query(client):
    canceled = await client.cancel("never")
    asked = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="never")
    all_gone = await client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")

    assert error(canceled) == error(all_gone) == (400, -2011, "Unknown order sent.")
    assert error(asked) == (400, -2013, "Order does not exist.")


async def test_a_wrong_pair_of_ids_is_refused(client):
    number = (await client.place("a-1")).json()["orderId"]

    answer = await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", orderId=number, origClientOrderId="other")

    assert error(answer) == (400, -2039, "Client order ID is not correct for this order ID.")


async def test_cancel_restrictions_hold(venue, client):
    await client.place("a-1")
    venue.god.trade_against("a-1", 1)

    answer = await client.cancel("a-1", cancelRestrictions="ONLY_NEW")
    partial = await client.cancel("a-1", cancelRestrictions="ONLY_PARTIALLY_FILLED")

    assert error(answer) == (400, -2011, "Order was not canceled due to cancel restrictions.")
    assert partial.status_code == 200


async def test_cancel_all_ends_the_symbols_orders_and_leaves_the_others(open_venue):
    markets = (MarketSetup(), MarketSetup(symbol="ETH/USDT", price=Decimal(2_000)))
    async with open_venue(markets=markets) as (venue, client):
        await client.place("a-1")
        await client.place("a-2", side="SELL", price="50000.50")
        await client.place("e-1", symbol="ETHUSDT", price="1999")

        answers = (await client.signed("DELETE", "/api/v3/openOrders", symbol="BTCUSDT")).json()

        assert {one["origClientOrderId"] for one in answers} == {"a-1", "a-2"}
        assert [order.client_id for order in venue.god.open_orders()] == ["e-1"]


# Cancel and replace


async def replace(client, **more):
    params = dict(
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT_MAKER",
        cancelReplaceMode="STOP_ON_FAILURE",
        cancelOrigClientOrderId="old",
        newClientOrderId="new",
        quantity="0.1",
        price="49999.98",
        newOrderRespType="RESULT",
    )
    return await client.signed("POST", "/api/v3/order/cancelReplace", **(params | more))


async def test_a_replacement_takes_the_old_orders_place(venue, client):
    await client.place("old")

    answer = await replace(client)

    assert answer.status_code == 200
    body = answer.json()
    assert (body["cancelResult"], body["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert body["cancelResponse"]["status"] == "CANCELED"
    assert body["newOrderResponse"]["status"] == "NEW"
    assert [order.client_id for order in venue.god.open_orders()] == ["new"]


async def test_a_replacement_that_would_take_leaves_the_side_empty(venue, client):
    await client.place("old")

    answer = await replace(client, price="50000.01")

    body = answer.json()
    assert (answer.status_code, body["code"], body["msg"]) == (409, -2021, "Order cancel-replace partially failed.")
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("SUCCESS", "FAILURE")
    assert body["data"]["newOrderResponse"] == {"code": -2010, "msg": "Order would immediately match and take."}
    assert venue.god.open_orders() == []


async def test_a_replacement_of_nothing_is_not_attempted(venue, client):
    answer = await replace(client)

    body = answer.json()
    assert (answer.status_code, body["code"], body["msg"]) == (400, -2022, "Order cancel-replace failed.")
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("FAILURE", "NOT_ATTEMPTED")
    assert body["data"]["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
    assert body["data"]["newOrderResponse"] is None
    assert venue.god.orders() == []


async def test_allow_failure_places_although_nothing_was_cancelled(venue, client):
    answer = await replace(client, cancelReplaceMode="ALLOW_FAILURE")

    body = answer.json()
    assert (answer.status_code, body["code"]) == (409, -2021)
    assert (body["data"]["cancelResult"], body["data"]["newOrderResult"]) == ("FAILURE", "SUCCESS")
    assert [order.client_id for order in venue.god.open_orders()] == ["new"]


async def test_filters_are_checked_before_the_old_order_is_touched(venue, client):
    await client.place("old")

    answer = await replace(client, quantity="0.000001")

    assert error(answer)[:2] == (400, -1013)
    assert [order.client_id for order in venue.god.open_orders()] == ["old"]


@pytest.mark.parametrize(("mode", "left"), [("DO_NOTHING", ["old"]), ("CANCEL_ONLY", [])])
async def test_a_replacement_over_the_order_count_does_as_its_mode_says(open_venue, mode, left):
    async with open_venue(order_limits=((10, 1),)) as (venue, client):
        await client.place("old")

        answer = await replace(client, orderRateLimitExceededMode=mode)

        assert answer.status_code == 429
        assert "Retry-After" in answer.headers
        assert answer.json()["code"] == (-1015 if mode == "DO_NOTHING" else -2021)
        assert [order.client_id for order in venue.god.open_orders()] == left


# Amend


async def amend(client, new_size, **more):
    params = dict(symbol="BTCUSDT", origClientOrderId="a-1", newQty=new_size, newClientOrderId="a-1") | more
    return await client.signed("PUT", "/api/v3/order/amend/keepPriority", **params)


async def test_an_amend_shrinks_and_keeps_the_place_in_the_queue(venue, client):
    async with client.private() as stream:
        await client.place("a-1")
        behind = venue.god.place_other("BTC/USDT", Side.BUY, price="49999.99", size="1")

        answer = await amend(client, "0.3", newClientOrderId="a-2")
        report = await stream.event("executionReport")
        while report["x"] != "REPLACED":
            report = await stream.event("executionReport")
        # The still book's own order of 1 stands first, then ours, then the stranger's.
        venue.god.place_other("BTC/USDT", Side.SELL, price="49999.99", size="1.3", is_immediate=True)

    body = answer.json()["amendedOrder"]
    assert (body["qty"], body["origClientOrderId"], body["clientOrderId"]) == ("0.30000000", "a-1", "a-2")
    assert (report["X"], report["q"], report["c"], report["C"]) == ("NEW", "0.30000000", "a-2", "a-1")
    assert venue.god.order("a-2").filled == Decimal("0.3")
    assert behind.filled_lots == 0


@pytest.mark.parametrize(
    ("new_size", "code", "msg"),
    [
        ("0.6", -2038, "Order amend (quantity increase) is not supported."),
        ("0.5", -2038, "The requested action would change no state; rejecting."),
        ("0.1", -2038, "The requested action would change no state; rejecting."),
        ("0.000001", -1013, "Filter failure: LOT_SIZE"),
    ],
)
async def test_an_amend_can_only_shrink(venue, client, new_size, code, msg):
    await client.place("a-1")
    venue.god.trade_against("a-1", 10_000)

    answer = await amend(client, new_size)

    assert error(answer) == (400, code, msg)
    assert venue.god.order("a-1").size == Decimal("0.5")


async def test_amends_of_one_order_are_counted(open_venue):
    async with open_venue(markets=(MarketSetup(max_amends=1),)) as (_, client):
        await client.place("a-1")

        first, second = await amend(client, "0.4"), await amend(client, "0.3")

        assert first.status_code == 200
        assert error(second) == (400, -1013, "Filter failure: MAX_NUM_ORDER_AMENDS")


# Self-trade prevention


@pytest.mark.parametrize(
    ("mode", "resting", "incoming"),
    [
        ("EXPIRE_MAKER", "EXPIRED_IN_MATCH", "FILLED"),
        ("EXPIRE_TAKER", "NEW", "EXPIRED_IN_MATCH"),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        ("NONE", "FILLED", "FILLED"),
    ],
)
async def test_the_takers_mode_decides_who_expires(venue, client, mode, resting, incoming):
    venue.god.empty_book("BTC/USDT", Side.SELL)
    async with client.private() as stream:
        await client.place("mine", side="SELL", price="50000.00", quantity="0.1")
        venue.god.place_other("BTC/USDT", Side.SELL, price="50000.01", size="1")

        await client.place("again", side="BUY", price="50000.01", quantity="0.1", selfTradePreventionMode=mode)
        states = {}
        while states != {"mine": resting, "again": incoming}:
            event = await stream.event("executionReport")
            states[event["c"]] = event["X"]
            if event["X"] == "EXPIRED_IN_MATCH":
                assert event["x"] == "TRADE_PREVENTION"
                assert event["U"] in {order.order_id for order in venue.god.orders()}
                assert event["A"] == "0.10000000"

    told = {order.client_id: order.state.name for order in venue.god.orders()}
    assert told == {name: "SELF_TRADE" if state == "EXPIRED_IN_MATCH" else state for name, state in states.items()}


@pytest.mark.parametrize(
    ("mode", "sizes"),
    [
        ("EXPIRE_MAKER", {"makerPreventedQuantity": "0.10000000"}),
        ("EXPIRE_TAKER", {"takerPreventedQuantity": "0.30000000"}),
        ("EXPIRE_BOTH", {"takerPreventedQuantity": "0.30000000", "makerPreventedQuantity": "0.10000000"}),
    ],
)
async def test_a_prevented_match_is_one_record_for_both_orders(client, mode, sizes):
    maker = (await client.place("mine", side="SELL", price="50000.00", quantity="0.1")).json()["orderId"]
    taker = (await client.place("again", price="50000.00", quantity="0.3", selfTradePreventionMode=mode)).json()

    async def prevented(**query):
        return (await client.signed("GET", "/api/v3/myPreventedMatches", symbol="BTCUSDT", **query)).json()

    by_maker, by_taker, by_number = (
        await prevented(orderId=maker),
        await prevented(orderId=taker["orderId"]),
        await prevented(preventedMatchId=1),
    )
    expired = [
        order
        for order in (await client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json()
        if order["status"] == "EXPIRED_IN_MATCH"
    ]

    told = {"preventedMatchId": 1, "makerOrderId": maker, "price": "50000.00000000"}
    assert taker["preventedMatches"] == [told | sizes]
    assert by_maker == by_taker == by_number
    assert by_number[0].items() >= (told | sizes | {"takerOrderId": taker["orderId"], "symbol": "BTCUSDT"}).items()
    assert by_number[0]["selfTradePreventionMode"] == mode
    assert [order["preventedMatchId"] for order in expired] == [1] * len(sizes)
    assert await prevented(orderId=maker, fromPreventedMatchId=2) == []
    assert (await prevented())["code"] == -1128


# Queries


async def test_trades_and_orders_are_found_by_id_and_time(venue, client, time):
    first = (await client.place("a-1")).json()["orderId"]
    venue.god.trade_against("a-1", 10_000)
    begin = time.now_ms
    await time.advance(2)
    venue.god.trade_against("a-1", 20_000)
    await client.place("a-2", price="49999.97")

    async def trades(**more):
        found = (await client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT", **more)).json()
        return [one["qty"] for one in found]

    assert await trades() == ["0.10000000", "0.20000000"]
    assert await trades(startTime=begin + 1) == ["0.20000000"]
    assert await trades(orderId=first, limit=1) == ["0.20000000"]
    last_id = venue.god.fills()[-1].trade_id
    assert await trades(fromId=last_id) == ["0.20000000"]
    orders = (await client.signed("GET", "/api/v3/allOrders", symbol="BTCUSDT")).json()
    assert [(one["clientOrderId"], one["status"]) for one in orders] == [("a-1", "PARTIALLY_FILLED"), ("a-2", "NEW")]


async def test_a_key_that_can_withdraw_shows_it(open_venue):
    from mmframe_localvenue import ApiKey, Permission

    key = ApiKey(permissions=frozenset(Permission))
    async with open_venue(accounts=(AccountSetup(keys=(key,)),)) as (_, client):
        answer = (await client.signed("GET", "/sapi/v1/account/apiRestrictions")).json()

        assert (answer["enableWithdrawals"], answer["enableSpotAndMarginTrading"]) == (True, True)


async def test_fees_are_taken_in_the_discount_asset_while_there_is_enough(open_venue):
    account = AccountSetup(balances={"USDT": Decimal(100_000), "BNB": Decimal("0.01")}, fee_asset="BNB")
    async with open_venue(accounts=(account,)) as (venue, client):
        first = (await client.place("a-1", price="50000.01", quantity="0.1")).json()
        second = (await client.place("a-2", price="50000.01", quantity="0.1")).json()

        assert first["fills"][0]["commissionAsset"] == "BNB"
        assert second["fills"][0]["commissionAsset"] == "BTC"
        assert venue.god.balance("BNB") == Decimal("0.01") - Decimal("0.00833334")


async def test_the_socket_places_amends_and_cancels_like_rest(venue, client):
    async with client.socket(venue.ws_api_url) as socket:
        placed = await socket.ask_signed(
            "order.place",
            symbol="BTCUSDT",
            side="SELL",
            type="LIMIT_MAKER",
            price="50000.50",
            quantity="0.5",
            newClientOrderId="w-1",
            newOrderRespType="RESULT",
        )
        amended = await socket.ask_signed(
            "order.amend.keepPriority", symbol="BTCUSDT", origClientOrderId="w-1", newQty="0.2", newClientOrderId="w-1"
        )
        listed = await socket.ask_signed("openOrders.status", symbol="BTCUSDT")
        refused = await socket.ask_signed("order.cancel", symbol="BTCUSDT", origClientOrderId="w-2")
        canceled = await socket.ask_signed("order.cancel", symbol="BTCUSDT", origClientOrderId="w-1")
        quiet = await socket.ask("time", returnRateLimits=False)

    assert placed["result"]["status"] == "NEW"
    kinds = [(one["rateLimitType"], one["interval"]) for one in placed["rateLimits"]]
    assert kinds == [("ORDERS", "SECOND"), ("ORDERS", "DAY"), ("REQUEST_WEIGHT", "MINUTE")]
    assert amended["result"]["amendedOrder"]["qty"] == "0.20000000"
    assert [one["origQty"] for one in listed["result"]] == ["0.20000000"]
    assert (refused["status"], refused["error"]) == (400, {"code": -2011, "msg": "Unknown order sent."})
    assert canceled["result"]["status"] == "CANCELED"
    assert set(quiet) == {"id", "status", "result"}


async def test_numbers_on_the_socket_are_signed_as_they_are_written(venue, client):
    async with client.socket(venue.ws_api_url) as socket:
        payload = f"apiKey=local-key&limit=5&symbol=BTCUSDT&timestamp={client.time.now_ms}"
        text = (
            '{"id":"x-1","method":"myTrades","params":{"symbol":"BTCUSDT","limit":5,"apiKey":"local-key",'
            f'"timestamp":{client.time.now_ms},"signature":"{client.sign(payload)}"}}}}'
        )

        await socket.raw.send(text)
        answer = await socket.next()

        assert (answer["id"], answer["status"], answer["result"]) == ("x-1", 200, [])


async def test_whatever_is_sent_on_the_socket_is_signed_the_wish_for_no_limits_too(venue, client):
    async with client.socket(venue.ws_api_url) as socket:
        payload = f"apiKey=local-key&returnRateLimits=false&symbol=BTCUSDT&timestamp={client.time.now_ms}"
        fields = {"apiKey": "local-key", "returnRateLimits": False, "symbol": "BTCUSDT"}

        answer = await socket.ask("myTrades", **fields, timestamp=client.time.now_ms, signature=client.sign(payload))

        assert answer == {"id": 1, "status": 200, "result": []}


async def test_candles_are_made_of_trades_and_repeat_the_last_close(venue, client, time):
    await time.advance(60 - time.now_ms // 1000 % 60)
    venue.god.place_other("BTC/USDT", Side.BUY, price="50000.02", size="1.5", is_immediate=True)
    venue.god.place_other("BTC/USDT", Side.SELL, price="49999.99", size="0.2", is_immediate=True)
    opened = time.now_ms
    await time.advance(60)

    answer = await client.http.get("/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "1m"})
    unknown = await client.http.get("/api/v3/klines", params={"symbol": "BTCUSDT", "interval": "7m"})

    first, second = answer.json()
    assert first[:7] == [
        opened,
        "50000.01000000",
        "50000.02000000",
        "49999.99000000",
        "49999.99000000",
        "1.70000000",
        opened + 59_999,
    ]
    assert first[8:10] == [3, "1.50000000"]
    assert second[1:6] == ["49999.99000000"] * 4 + ["0.00000000"]
    assert error(unknown) == (400, -1120, "Invalid interval.")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"id":1}',
        "null",
        '{"id":1,"method":"x","params":[]}',
        '{"method":"ping","id":' + "9" * 5_000 + "}",
        '{"method":"depth","id":1,"params":{"symbol":{"a":[1]}}}',
    ],
    ids=["cut", "list", "deep", "no-method", "null", "params", "huge-id", "nested"],
)
async def test_nonsense_on_the_socket_is_answered_and_harms_nothing(venue, client, text):
    async with client.socket(venue.ws_api_url) as socket:
        await socket.raw.send(text)
        answer = await socket.next()
        after = await socket.ask("ping")

        assert answer["status"] == 400
        assert after["result"] == {}


@pytest.mark.parametrize(
    "names", ["[" * 2_000, "[1]", "{}", "BTCUSDT", '["nope"]'], ids=["deep", "number", "object", "bare", "unknown"]
)
async def test_nonsense_in_a_list_of_symbols_is_refused(client, names):
    answer = await client.http.get("/api/v3/ticker/price", params={"symbols": names})

    assert answer.status_code == 400
    assert answer.json()["code"] in {-1100, -1121}


async def test_user_data_ends_on_request_and_says_so(venue, client):
    async with client.private() as stream:
        again = await stream.ask_signed("userDataStream.subscribe.signature")
        await stream.send(id=7, method="userDataStream.unsubscribe")
        ended = await stream.event()
        answer = await stream.next()
        inactive = await stream.ask("userDataStream.unsubscribe")

        assert again["error"]["code"] == -2035
        assert ended["e"] == "eventStreamTerminated"
        assert (answer["id"], answer["result"]) == (7, {})
        assert inactive["error"]["code"] == -2036


async def test_the_fees_of_one_symbol_or_of_all_can_be_asked_for(open_venue):
    account = AccountSetup(maker_fee=Decimal("-0.0001"), taker_fee=Decimal("0.0005"))
    markets = (MarketSetup(), MarketSetup("ETH/USDT", price=Decimal(2_500)))
    async with open_venue(accounts=(account,), markets=markets) as (_, client):
        everything = (await client.signed("GET", "/sapi/v1/asset/tradeFee")).json()
        one = (await client.signed("GET", "/sapi/v1/asset/tradeFee", symbol="ETHUSDT")).json()
        unknown = (await client.signed("GET", "/sapi/v1/asset/tradeFee", symbol="NOPE")).json()

    assert [fee["symbol"] for fee in everything] == ["BTCUSDT", "ETHUSDT"]
    assert one == [{"symbol": "ETHUSDT", "makerCommission": "-0.0001", "takerCommission": "0.0005"}]
    assert unknown["code"] == -1121

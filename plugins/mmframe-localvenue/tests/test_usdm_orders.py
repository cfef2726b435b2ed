"""Orders on Binance USD-M: what they do to the book and to the position, what is answered, and how each is refused."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from mmframe.domain.market import Side
from mmframe_localvenue import AccountSetup, Fault, MarketSetup
from mmframe_localvenue.binance.usdm import OVERLOADED, UNAVAILABLE

LEAN = AccountSetup(balances={"USDT": Decimal(1_000)}, maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.0005"))


def error(answer):
    return answer.status_code, answer.json()["code"], answer.json()["msg"]


def picked(event, names):
    return tuple(event[name] for name in names)


async def event(socket, kind):
    return await socket.until(lambda message: message.get("e") == kind)


async def test_a_maker_order_rests_trades_and_ends_alike_in_answers_stream_and_truth(futures):
    async with futures.private() as stream:
        placed = (await futures.place()).json()
        new = (await event(stream, "ORDER_TRADE_UPDATE"))["o"]
        futures.venue.god.trade_against("f-1", 20_000)
        lite = await event(stream, "TRADE_LITE")
        trade = (await event(stream, "ORDER_TRADE_UPDATE"))["o"]
        account = (await event(stream, "ACCOUNT_UPDATE"))["a"]
        canceled = (await futures.cancel()).json()
        end = (await event(stream, "ORDER_TRADE_UPDATE"))["o"]
        asked = (await futures.ask("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="f-1")).json()

    assert (placed["status"], placed["origQty"], placed["executedQty"], placed["positionSide"]) == (
        "NEW",
        "0.5",
        "0",
        "BOTH",
    )
    assert "avgPrice" not in placed
    assert picked(new, "scSofqpxXizmR") == (
        "BTCUSDT", "f-1", "BUY", "LIMIT", "GTC", "0.5", "49999.99", "NEW", "NEW", placed["orderId"], "0", False, False,
    )  # fmt: skip
    assert picked(lite, "slLmi") == ("BTCUSDT", "0.20000", "49999.99", True, placed["orderId"])
    assert picked(trade, "xXlLzmN") == ("TRADE", "PARTIALLY_FILLED", "0.20000", "49999.99", "0.2", True, "USDT")
    assert trade["ap"] == "49999.99000"
    assert (trade["t"], trade["n"], trade["rp"]) == (lite["t"], "9.999998", "0")
    assert account["m"] == "ORDER"
    assert account["B"] == [{"a": "USDT", "wb": "999990.000002", "cw": "999990.000002", "bc": "0"}]
    assert (account["P"][0]["pa"], account["P"][0]["ep"], account["P"][0]["ps"]) == ("0.2", "49999.99", "BOTH")
    assert (canceled["status"], canceled["executedQty"]) == ("CANCELED", "0.2")
    assert picked(end, "cxXz") == ("f-1", "CANCELED", "CANCELED", "0.2")
    assert (asked["status"], asked["avgPrice"], asked["cumQuote"]) == ("CANCELED", "49999.99000", "9999.998")
    assert futures.venue.god.net_lots("BTCUSDT") == 20_000


async def test_placing_and_cancelling_without_a_fill_say_nothing_of_the_account(futures):
    async with futures.private() as stream:
        await futures.place()
        await futures.cancel()
        futures.venue.god.deposit("USDT", Decimal(5))
        kinds = [await stream.next() for _ in range(3)]

    assert [message["e"] for message in kinds] == ["ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"]
    assert kinds[2]["a"] == {
        "m": "DEPOSIT",
        "B": [{"a": "USDT", "wb": "1000005", "cw": "1000005", "bc": "5"}],
        "P": [],
    }


@pytest.mark.parametrize(
    ("show", "shown"),
    [("ACK", ("NEW", "0")), ("RESULT", ("FILLED", "0.5"))],
)
async def test_only_a_result_says_how_a_market_order_ended(futures, show, shown):
    answer = (await futures.take(newOrderRespType=show)).json()

    assert (answer["status"], answer["executedQty"]) == shown
    assert futures.venue.god.net_lots("BTCUSDT") == 50_000


async def test_a_limit_order_that_can_rest_is_answered_as_accepted_even_if_it_traded(futures):
    answer = (await futures.place(price="50000.01", newOrderRespType="RESULT")).json()

    assert (answer["status"], answer["executedQty"]) == ("NEW", "0")
    assert futures.venue.god.order("f-1").filled_lots == 50_000


async def test_a_post_only_order_that_would_take_never_was(futures):
    async with futures.private() as stream:
        refused = await futures.place(price="50000.01", timeInForce="GTX")
        await futures.place("f-2", timeInForce="GTX")
        first = (await stream.next())["o"]
        asked = await futures.ask("GET", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId="f-1")

    assert error(refused) == (
        400,
        -5022,
        (
            "Due to the order could not be executed as maker, the Post Only order will be rejected."
            " The order will not be recorded in the order history"
        ),
    )
    assert (first["c"], first["f"], first["X"]) == ("f-2", "GTX", "NEW")
    assert error(asked) == (400, -2013, "Order does not exist.")
    assert [order.client_id for order in futures.venue.god.orders()] == ["f-2"]


async def test_a_fill_or_kill_order_that_cannot_be_filled_never_was(futures):
    refused = await futures.place(price="50000.01", quantity="1.5", timeInForce="FOK")
    filled = await futures.place(price="50000.02", quantity="1.5", timeInForce="FOK", newOrderRespType="RESULT")

    assert error(refused)[:2] == (400, -5021)
    assert filled.json()["status"] == "FILLED"


async def test_the_remainder_of_an_immediate_order_expires(futures):
    async with futures.private() as stream:
        answer = await futures.place(price="50000.01", quantity="1.5", timeInForce="IOC", newOrderRespType="RESULT")
        updates = [(await event(stream, "ORDER_TRADE_UPDATE"))["o"] for _ in range(3)]

    assert (answer.json()["status"], answer.json()["executedQty"]) == ("EXPIRED", "1")
    assert [(one["x"], one["X"], one["er"]) for one in updates] == [
        ("NEW", "NEW", "0"),
        ("TRADE", "PARTIALLY_FILLED", "0"),
        ("EXPIRED", "EXPIRED", "2"),
    ]


async def test_a_taker_ends_the_own_order_that_it_meets(futures):
    await futures.place("maker", side="SELL", price="50000.00")
    async with futures.private() as stream:
        await futures.place("taker", price="50000.00", timeInForce="IOC")
        ended = await stream.until(lambda message: message.get("o", {}).get("c") == "maker")

    assert (ended["o"]["x"], ended["o"]["X"], ended["o"]["er"]) == ("EXPIRED", "EXPIRED_IN_MATCH", "1")
    assert futures.venue.god.fills() == []


REFUSED = {
    "unknown symbol": (dict(symbol="NOPE"), -1121, "Invalid symbol."),
    "side": (dict(side="BUYS"), -1117, "Invalid side."),
    "type": (dict(type="LIMIT_MAKER"), -1116, "Invalid orderType."),
    "algo type": (
        dict(type="STOP_MARKET"),
        -4120,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    ),
    "time in force": (dict(timeInForce="GTD"), -1115, "Invalid timeInForce."),
    "no size": (dict(quantity="0"), -4003, "Quantity less than or equal to zero."),
    "off the tick": (dict(price="49999.51"), -4014, "Price not increased by tick size."),
    "too many price digits": (dict(price="49999.999"), -1111, "Precision is over the maximum defined for this asset."),
    "off the lot": (dict(quantity="0.03"), -4023, "Qty not increased by step size."),
    "too many size digits": (dict(quantity="0.031"), -1111, "Precision is over the maximum defined for this asset."),
    "too large": (dict(quantity="100.02"), -4005, "Quantity greater than max quantity."),
    "above the band": (dict(price="55000.02"), -4016, "Limit price can't be higher than 55000."),
    "below the band": (dict(side="SELL", price="44999.98"), -4024, "Limit price can't be lower than 45000."),
    "too little": (
        dict(quantity="0.02", price="4000.00"),
        -4164,
        "Order's notional must be no smaller than 100 (unless you choose reduce only).",
    ),
    "too poor": (dict(quantity="20.00"), -2019, "Margin is insufficient."),
    "nothing to reduce": (dict(reduceOnly="true"), -2022, "ReduceOnly Order is rejected."),
    "hedge side": (dict(positionSide="LONG"), -4061, "Order's position side does not match user's setting."),
    "long client id": (
        dict(newClientOrderId="x" * 37),
        -4015,
        "Client order id length should not be more than 36 chars",
    ),
    "odd client id": (
        dict(newClientOrderId="no spaces"),
        -1100,
        r"Illegal characters found in parameter 'newClientOrderId'; legal range is '^[\.A-Z\:/a-z0-9_-]{1,36}$'.",
    ),
    "full answer": (
        dict(newOrderRespType="FULL"),
        -1130,
        "Data sent for parameter 'newOrderRespType' is not valid.",
    ),
}


@pytest.mark.parametrize(("change", "code", "msg"), REFUSED.values(), ids=REFUSED.keys())
async def test_an_order_off_the_rules_is_refused_with_the_rule(open_futures, change, code, msg):
    market = MarketSetup(
        tick_size=Decimal("0.02"), lot_size=Decimal("0.02"), min_size=Decimal("0.02"), max_size=Decimal(100),
        min_notional=Decimal(100), band_up=Decimal("1.1"), band_down=Decimal("0.9"),
    )  # fmt: skip
    async with open_futures(markets=(market,), accounts=(LEAN,)) as futures:
        answer = await futures.place(**({"price": "49999.98", "quantity": "0.02"} | change))

        assert error(answer) == (400, code, msg)
        assert futures.venue.god.orders() == []


async def test_a_client_id_is_free_again_when_its_order_has_ended(futures):
    await futures.place()
    twice = await futures.place()
    await futures.cancel()
    again = await futures.place()

    assert error(twice) == (400, -4116, "ClientOrderId is duplicated.")
    assert again.status_code == 200
    assert len(futures.venue.god.orders_of("f-1")) == 2


async def test_what_is_not_there_can_neither_be_cancelled_nor_modified_nor_asked_for(futures):
    assert error(await futures.cancel("nope")) == (400, -2011, "Unknown order sent.")
    assert error(await futures.modify("nope", price="1.00", quantity="1")) == (400, -2013, "Order does not exist.")
    asked = await futures.ask("GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=7)
    assert error(asked) == (400, -2013, "Order does not exist.")


async def test_a_modified_order_keeps_its_id_and_loses_its_place(futures):
    await futures.place(price="49999.50", quantity="1")
    futures.venue.god.place_other("BTCUSDT", Side.BUY, price="49999.50", size="1")
    async with futures.private() as stream:
        answer = (await futures.modify(price="49999.50", quantity="0.4", modifyId=9)).json()
        amended = (await event(stream, "ORDER_TRADE_UPDATE"))["o"]

    assert (answer["origQty"], answer["clientOrderId"], answer["modifyId"]) == ("0.4", "f-1", 9)
    assert (amended["x"], amended["X"], amended["q"], amended["c"]) == ("AMENDMENT", "NEW", "0.4", "f-1")
    order = futures.venue.god.order("f-1")
    queue = list(order.market.engine.orders_at(Side.BUY, order.price_ticks))
    assert queue[-1].order_id == order.engine_id
    assert order.amends == 1


async def test_a_modification_that_changes_nothing_is_refused(futures):
    await futures.place()

    answer = await futures.modify(price="49999.99", quantity="0.5")

    assert error(answer) == (400, -5027, "No need to modify the order.")


async def test_a_modification_to_too_little_leaves_the_order_as_it_was(futures):
    await futures.place()

    answer = await futures.modify(price="49999.99", quantity="0.00005")

    assert error(answer) == (400, -5029, "Order's notional must be no smaller than 5")
    assert futures.venue.god.order("f-1").leaves_lots == 50_000


async def test_no_more_orders_may_be_open_than_the_filter_says(open_futures):
    async with open_futures(markets=(MarketSetup(max_open_orders=1),)) as futures:
        await futures.place("f-1")
        second = await futures.place("f-2")

    assert error(second) == (400, -2025, "Reach max open order limit.")


async def test_no_order_is_taken_while_the_symbol_is_closed(futures):
    await futures.place("f-1")
    futures.venue.god.set_trading("BTCUSDT", is_trading=False)

    assert error(await futures.place("f-2")) == (400, -4141, "Symbol is closed.")
    assert error(await futures.modify("f-1", price="49999.98", quantity="0.5"))[:2] == (400, -5024)
    assert (await futures.cancel("f-1")).json()["status"] == "CANCELED"


async def test_a_post_only_order_modified_to_take_is_gone(futures):
    await futures.place(timeInForce="GTX")
    async with futures.private() as stream:
        answer = await futures.modify(price="50000.01", quantity="0.5")
        end = (await event(stream, "ORDER_TRADE_UPDATE"))["o"]

    assert error(answer)[:2] == (400, -5022)
    assert (end["x"], end["X"]) == ("CANCELED", "CANCELED")
    assert futures.venue.god.open_orders() == []


async def test_an_order_modified_to_what_is_filled_ends(futures):
    await futures.place()
    futures.venue.god.trade_against("f-1", 20_000)

    answer = (await futures.modify(price="49999.99", quantity="0.2")).json()

    assert (answer["status"], answer["executedQty"]) == ("CANCELED", "0.2")


async def test_all_orders_of_a_symbol_are_cancelled_at_once(futures):
    await futures.place("f-1")
    await futures.place("f-2")

    answer = await futures.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")

    assert answer.json() == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert futures.venue.god.open_orders() == []


async def test_a_batch_answers_each_order_by_itself(futures):
    def order(client_id, **more):
        fields = dict(symbol="BTCUSDT", side="BUY", type="LIMIT", quantity="0.5", price="49999.99", timeInForce="GTC")
        return fields | {"newClientOrderId": client_id} | more

    batch = json.dumps([order("f-1"), order("f-2", price="50000.01", timeInForce="GTX")])
    placed = (await futures.ask("POST", "/fapi/v1/batchOrders", batchOrders=batch)).json()
    names = json.dumps(["f-1", "f-2"])
    ended = (await futures.ask("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", origClientOrderIdList=names)).json()

    assert (placed[0]["clientOrderId"], placed[1]["code"]) == ("f-1", -5022)
    assert (ended[0]["status"], ended[1]) == ("CANCELED", {"code": -2011, "msg": "Unknown order sent."})


async def test_a_batch_modifies_each_order_by_itself(futures):
    for client_id in ("f-1", "f-2"):
        await futures.place(client_id)
    wanted = dict(symbol="BTCUSDT", side="BUY", quantity="0.25", price="49999.50")
    batch = json.dumps([wanted | {"origClientOrderId": name} for name in ("f-1", "f-9", "f-2")])

    answers = (await futures.ask("PUT", "/fapi/v1/batchOrders", batchOrders=batch)).json()

    assert [answer.get("clientOrderId", answer.get("code")) for answer in answers] == ["f-1", -2013, "f-2"]
    assert {(str(order.price), str(order.size)) for order in futures.venue.god.open_orders()} == {
        ("49999.50", "0.25000")
    }


@pytest.mark.parametrize("name", ["orderIdList", "orderidlist"])
async def test_a_list_to_cancel_may_be_named_in_lower_case(futures, name):
    placed = (await futures.place("f-1")).json()

    ended = (
        await futures.ask("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", **{name: f"[{placed['orderId']}]"})
    ).json()

    assert [order["status"] for order in ended] == ["CANCELED"]


async def test_a_position_turns_round_with_the_profit_of_what_was_closed(open_futures):
    async with open_futures(accounts=(LEAN,), markets=(MarketSetup(still_levels=0),)) as futures:
        god = futures.venue.god

        async def fill(client_id, side, price, quantity):
            await futures.place(client_id, side=side, price=price, quantity=quantity)
            god.trade_against(client_id)

        await fill("a", "BUY", "100.00", "10")
        await fill("b", "BUY", "130.00", "5")
        opened = (await futures.ask("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")).json()[0]
        await fill("c", "SELL", "120.00", "20")
        turned = (await futures.ask("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")).json()[0]
        trades = (await futures.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")).json()
        wallet = (await futures.ask("GET", "/fapi/v3/balance")).json()[0]

    # Bought 10 at 100 and 5 at 130: 15 at 110. Sold 20 at 120: 15 won 10 each, 5 are short at 120.
    assert (opened["positionAmt"], opened["entryPrice"]) == ("15", "110")
    assert (turned["positionAmt"], turned["entryPrice"]) == ("-5", "120")
    assert [trade["realizedPnl"] for trade in trades] == ["0", "0", "150"]
    fees = Decimal("0.0002") * (1_000 + 650 + 2_400)
    assert Decimal(wallet["balance"]) == 1_000 + 150 - fees
    assert [trade["maker"] for trade in trades] == [True, True, True]


async def test_a_position_is_worth_what_the_mark_price_says(futures):
    await futures.take("BUY", "1")
    god = futures.venue.god
    god.empty_book("BTCUSDT", Side.SELL)
    god.empty_book("BTCUSDT", Side.BUY)
    god.place_other("BTCUSDT", Side.BUY, price="51000.00", size="1")
    god.place_other("BTCUSDT", Side.SELL, price="51002.00", size="1")

    position = (await futures.ask("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")).json()[0]
    account = (await futures.ask("GET", "/fapi/v2/account")).json()
    index = (await futures.client.raw("GET", "/fapi/v1/premiumIndex", "symbol=BTCUSDT")).json()

    assert (position["entryPrice"], position["markPrice"], position["unRealizedProfit"]) == (
        "50000.01",
        "51001.00000000",
        "1000.99000000",
    )
    assert account["totalUnrealizedProfit"] == "1000.99000000"
    assert index["markPrice"] == "51001.00000000"


async def test_a_reduce_only_order_never_turns_the_position_round(futures):
    god = futures.venue.god
    await futures.take("BUY", "1")
    cut = (await futures.place("r-1", side="SELL", price="50010.00", quantity="3", reduceOnly="true")).json()
    more = await futures.place("r-2", side="SELL", price="50011.00", quantity="1", reduceOnly="true")
    async with futures.private() as stream:
        await futures.take("SELL", "0.6")
        ended = await stream.until(lambda message: message.get("o", {}).get("c") == "r-1")

    assert (cut["origQty"], cut["reduceOnly"]) == ("1", True)
    assert error(more)[:2] == (400, -2022)
    assert (ended["o"]["X"], ended["o"]["er"], ended["o"]["R"]) == ("EXPIRED", "4", True)
    assert god.net_lots("BTCUSDT") == 40_000


async def test_orders_are_counted_in_the_answers_and_refused_over_the_limit(open_futures):
    async with open_futures(order_limits=((10, 3), (60, 100))) as futures:
        first = await futures.place("f-1")
        futures.venue.god.trade_against("f-1")
        second = await futures.place("f-2")
        third = await futures.modify("f-2", price="49999.98", quantity="0.5")
        fourth = await futures.place("f-4")

    counts = [answer.headers["X-MBX-ORDER-COUNT-10S"] for answer in (first, second, third)]
    assert counts == ["1", "2", "3"]
    assert third.headers["X-MBX-ORDER-COUNT-1M"] == "3"
    assert first.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    assert error(fourth) == (429, -1015, "Too many new orders; current limit is 3 orders per 10 SECOND.")


@pytest.mark.parametrize(
    ("script", "code", "msg", "is_placed"),
    [
        (dict(fault=Fault.UNKNOWN_DONE), -1000, "Unknown error, please check your request or try again later.", True),
        (
            dict(fault=Fault.UNKNOWN_NOT_DONE),
            -1000,
            "Unknown error, please check your request or try again later.",
            False,
        ),
        (dict(fault=Fault.UNKNOWN_NOT_DONE, body=UNAVAILABLE), -1001, "Service Unavailable.", False),
        (
            dict(fault=Fault.UNKNOWN_NOT_DONE, body=OVERLOADED),
            -1008,
            (
                "Request throttled by system-level protection."
                " Reduce-only/close-position orders are exempt. Please try again."
            ),
            False,
        ),
    ],
    ids=["unknown and done", "unknown and not done", "unavailable", "overloaded"],
)
async def test_a_503_means_what_its_text_says(futures, script, code, msg, is_placed):
    futures.venue.faults.next("order.place", script.pop("fault"), **script)

    answer = await futures.place()

    assert error(answer) == (503, code, msg)
    assert len(futures.venue.god.orders()) == is_placed

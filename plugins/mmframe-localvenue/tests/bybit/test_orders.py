"""What becomes of an order: the reply says accepted, the stream says what happened."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from mmframe.domain.market import Side
from mmframe_localvenue import AccountSetup, Fault

EMPTY_RESULT = {}


async def test_a_reply_has_two_ids_and_the_stream_tells_the_rest(client):
    async with client.private("order") as private:
        reply = await client.create("a-1", qty="0.5", price="49999.5", timeInForce="PostOnly")
        told = await private.item()

    assert reply["retMsg"] == "OK"
    assert set(reply["result"]) == {"orderId", "orderLinkId"}
    assert (
        told
        | {
            "category": "linear",
            "orderId": reply["result"]["orderId"],
            "orderLinkId": "a-1",
            "orderStatus": "New",
            "timeInForce": "PostOnly",
            "price": "49999.5",
            "qty": "0.500",
            "leavesQty": "0.500",
            "cumExecQty": "0.000",
            "avgPrice": "",
            "rejectReason": "EC_NoError",
        }
        == told
    )


@pytest.mark.parametrize("category", ["linear", "spot"])
async def test_a_post_only_order_that_would_take_is_accepted_and_cancelled(venue, client, category):
    async with client.private("order") as private:
        reply = await client.create(category=category, price="50000.1", timeInForce="PostOnly")
        told = await private.item()

    assert reply["retCode"] == 0
    assert (told["orderStatus"], told["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    assert told["cumExecQty"] == venue.market(f"BTC/USDT:{category}").instrument.size_text(0)
    assert venue.god.fills() == []


@pytest.mark.parametrize(
    ("force", "qty", "status", "reason", "filled"),
    [
        ("IOC", "1.5", "Cancelled", "EC_NoImmediateQtyToFill", "1.000"),
        ("IOC", "0.5", "Filled", "EC_NoError", "0.500"),
        ("FOK", "1.5", "Cancelled", "EC_CancelForNoFullFill", "0.000"),
        ("FOK", "1", "Filled", "EC_NoError", "1.000"),
        ("GTC", "1.5", "PartiallyFilled", "EC_NoError", "1.000"),
    ],
)
async def test_what_a_taker_order_ends_as_on_linear(client, force, qty, status, reason, filled):
    async with client.private("order") as private:
        await client.create(price="50000.1", qty=qty, timeInForce=force)
        told = await private.item()

    assert (told["orderStatus"], told["rejectReason"], told["cumExecQty"]) == (status, reason, filled)


@pytest.mark.parametrize(("category", "status"), [("linear", "Cancelled"), ("spot", "PartiallyFilledCanceled")])
async def test_what_was_partly_filled_and_cancelled_is_called_differently(venue, client, category, status):
    async with client.private("order", "execution") as private:
        await client.create(category=category, qty="0.5")
        await private.item()
        venue.god.trade_against("a-1", venue.market(f"BTC/USDT:{category}").instrument.size_lots("0.2"))
        fill = await private.item("execution")
        await client.cancel(category=category)
        told = await private.item()
        if told["orderStatus"] == "PartiallyFilled":  # the executions may come before the orders or after them
            told = await private.item()

    assert Decimal(fill["execQty"]) == Decimal("0.2")
    assert (told["orderStatus"], told["cancelType"]) == (status, "CancelByUser")
    assert Decimal(told["cumExecQty"]) == Decimal("0.2")
    assert Decimal(told["leavesQty"]) == 0


async def test_a_cancel_that_loses_the_race_is_accepted_and_told_as_a_second_filled(venue, client):
    venue.faults.next("order.cancel", Fault.RACED)

    async with client.private("order") as private:
        await client.create()
        await private.item()
        reply = await client.cancel()
        first, second = await private.item(), await private.item()

    assert reply["retCode"] == 0
    assert (first["orderStatus"], first["rejectReason"]) == ("Filled", "EC_NoError")
    assert (second["orderStatus"], second["cancelType"]) == ("Filled", "CancelByUser")
    assert second["rejectReason"] == "EC_OrigClOrdIDDoesNotExist"
    assert venue.god.net_lots("BTC/USDT:linear") == 500


async def test_the_reply_can_come_before_its_news_and_after_it(venue, client):
    late_news = venue.faults.next("user-stream", Fault.LATE)
    late_reply = venue.faults.next("order.amend", Fault.LATE_REPLY)

    async with client.private("order") as private, client.trade() as trade:
        created = await trade.order("order.create", client.ticket())
        late_news.release()
        new = await private.item()
        await trade.send(
            op="order.amend",
            header={"X-BAPI-TIMESTAMP": str(client.time.now_ms)},
            args=[{"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "a-1", "qty": "0.4"}],
        )
        amended = await private.item()
        late_reply.release()
        reply = await trade.next()

    assert (created["retCode"], new["orderStatus"]) == (0, "New")
    assert (amended["qty"], reply["op"], reply["retCode"]) == ("0.400", "order.amend", 0)


@pytest.mark.parametrize(
    ("prevention", "resting", "incoming"),
    [
        ("CancelMaker", "Cancelled", "New"),
        ("CancelTaker", "New", "Cancelled"),
        ("CancelBoth", "Cancelled", "Cancelled"),
        (None, "Filled", "Filled"),
    ],
)
async def test_self_match_prevention_follows_the_incoming_order(venue, client, prevention, resting, incoming):
    venue.god.empty_book("BTC/USDT:linear", Side.SELL)
    await client.create("rest", side="Sell", price="50000.1", qty="0.5", smpType="CancelBoth")

    await client.create("come", side="Buy", price="50000.1", qty="0.5", smpType=prevention)
    (rest,), (come,) = [await client.realtime(orderLinkId=link) for link in ("rest", "come")]

    assert (rest["orderStatus"], come["orderStatus"]) == (resting, incoming)
    for order in (rest, come):
        assert order["cancelType"] == ("CancelBySmp" if order["orderStatus"] == "Cancelled" else "UNKNOWN")
    for order, other in ((rest, come), (come, rest)):
        assert order["smpOrderId"] == (other["orderId"] if order["orderStatus"] == "Cancelled" else "")


@pytest.mark.parametrize(("category", "code"), [("linear", 110072), ("spot", 170141)])
async def test_an_order_link_id_is_never_used_twice_in_a_category(venue, client, category, code):
    await client.create(category=category)
    while_open = await client.create(category=category)
    await client.cancel(category=category)
    after_end = await client.create(category=category)
    elsewhere = await client.create(category="spot" if category == "linear" else "linear")

    assert (while_open["retCode"], after_end["retCode"], elsewhere["retCode"]) == (code, code, 0)
    assert len(venue.god.orders_of("a-1")) == 2


@pytest.mark.parametrize(
    ("change", "linear", "spot"),
    [
        ({"category": "futures"}, 10001, 10001),
        ({"symbol": "NOPEUSDT"}, 10001, 170121),
        ({"symbol": "btcusdt"}, 10001, 170121),
        ({"side": "BUY"}, 10001, 170117),
        ({"orderType": "LIMIT"}, 10001, 170116),
        ({"timeInForce": "GTX"}, 10001, 170115),
        ({"qty": 1}, 10001, 10001),
        ({"qty": "NaN"}, 10001, 10001),
        ({"qty": "1E+3"}, 10001, 10001),
        ({"qty": "0.0000001"}, 10001, 170137),
        ({"qty": "0"}, 10001, 170136),
        ({"qty": "10000"}, 10001, 170124),
        ({"price": "49999.999"}, 10001, 170134),
        ({"price": None}, 10001, 10001),
        ({"price": "1000000.1"}, 110003, 170132),
        ({"price": "1", "qty": "0.001"}, 110094, 170140),
        ({"price": "50500.1"}, 0, 170193),
        ({"orderLinkId": "with space"}, 10001, 10001),
        ({"orderLinkId": "x" * 37}, 10001, 10001),
        ({"qty": "401"}, 110007, 170131),
    ],
    ids=str,
)
async def test_what_is_refused_at_once_has_the_code_of_its_category(venue, client, change, linear, spot):
    for category, code in (("linear", linear), ("spot", spot)):
        answer = await client.create("x-1", **({"category": category} | change))

        assert (answer["retCode"], bool(answer["result"])) == (code, not code)
    assert all(order.client_id == "x-1" for order in venue.god.orders())


async def test_hedge_mode_positions_are_refused(client):
    answer = await client.create(positionIdx=1)

    assert (answer["retCode"], answer["retMsg"]) == (10001, "position idx not match position mode")


@pytest.mark.parametrize(
    ("side", "price", "limit", "code"), [("Buy", "51000", "50500.0", 110121), ("Sell", "49000", "49500.0", 110120)]
)
async def test_linear_moves_a_price_beyond_the_limit_until_told_to_refuse(client, side, price, limit, code):
    told = (await client.ask("/v5/market/price-limit", category="linear", symbol="BTCUSDT"))["result"]

    moved = await client.create("a-1", side=side, price=price, timeInForce="IOC", qty="0.001")
    (order,) = await client.realtime(orderLinkId="a-1")
    await client.post("/v5/account/set-limit-px-action", category="linear", modifyEnable=False)
    refused = await client.create("a-2", side=side, price=price, timeInForce="IOC", qty="0.001")

    assert limit in {told["buyLmt"], told["sellLmt"]}
    assert (moved["retCode"], order["price"]) == (0, limit)
    assert refused["retCode"] == code


async def test_a_spot_market_buy_spends_quote_unless_it_says_otherwise(venue, client):
    await client.create("by-value", category="spot", orderType="Market", price=None, qty="500")
    await client.create("by-size", category="spot", orderType="Market", price=None, qty="0.2", marketUnit="baseCoin")
    await client.create("sell", category="spot", orderType="Market", price=None, qty="0.2", side="Sell")

    sizes = {order.client_id: order.filled for order in venue.god.orders()}

    assert sizes == {"by-value": Decimal("0.00999"), "by-size": Decimal("0.20000"), "sell": Decimal("0.20000")}


async def test_a_spot_buy_pays_its_fee_in_the_coin_that_it_gets(venue, client):
    async with client.private("execution") as private:
        await client.create(category="spot", qty="0.1")
        venue.god.trade_against("a-1")
        fill = await private.item("execution")

    assert (fill["execFee"], fill["feeCurrency"], fill["isMaker"]) == ("0.0001", "BTC", True)
    assert venue.god.balance("BTC") == Decimal("10.0999")


async def test_a_rebate_comes_in_the_coin_that_was_given(open_venue):
    account = AccountSetup(maker_fee=Decimal("-0.0001"))

    async with open_venue(accounts=(account,)) as (venue, client), client.private("execution") as private:
        await client.create(category="spot", qty="0.1", price="49999")
        venue.god.trade_against("a-1")
        fill = await private.item("execution")

    assert (fill["execFee"], fill["feeCurrency"]) == ("-0.49999", "USDT")


async def test_an_amend_keeps_the_order_and_names_the_values_after_it(client):
    created = await client.create(qty="0.5", price="49999.5")

    async with client.private("order") as private:
        smaller = await client.amend(qty="0.3")
        first = await private.item()
        moved = await client.amend(price="49999.1", qty="0.7")
        second = await private.item()

    assert smaller["result"] == moved["result"] == created["result"]
    assert (first["qty"], first["price"], first["orderStatus"]) == ("0.300", "49999.5", "New")
    assert (second["qty"], second["price"]) == ("0.700", "49999.1")


async def test_an_order_is_amended_as_often_as_one_likes(client):
    await client.create(qty="0.5")

    codes = [(await client.amend(qty=f"0.{number}"))["retCode"] for number in range(101, 125)]

    assert set(codes) == {0}


@pytest.mark.parametrize(
    ("change", "linear", "spot"),
    [
        ({"qty": "0.2"}, 110064, 170313),
        ({"qty": "0.5"}, 10001, 10001),
        ({}, 10001, 10001),
        ({"orderLinkId": "other", "qty": "1"}, 110001, 170213),
    ],
    ids=["below filled", "unchanged", "nothing", "unknown"],
)
async def test_an_amend_that_cannot_be_leaves_the_order_as_it_was(venue, client, change, linear, spot):
    for category, code in (("linear", linear), ("spot", spot)):
        await client.create(category=category)
        venue.god.trade_against("a-1", venue.market(f"BTC/USDT:{category}").instrument.size_lots("0.3"))

        answer = await client.amend(**({"link": "a-1", "category": category} | _renamed(change)))
        (order,) = await client.realtime(category=category, orderLinkId="a-1")

        assert answer["retCode"] == code
        assert (order["orderStatus"], Decimal(order["qty"])) == ("PartiallyFilled", Decimal("0.5"))


def _renamed(change):
    return {"link" if name == "orderLinkId" else name: value for name, value in change.items()}


async def test_a_post_only_order_amended_into_the_other_side_is_cancelled(client):
    await client.create(timeInForce="PostOnly")

    async with client.private("order") as private:
        reply = await client.amend(price="50000.1")
        told = await private.item()

    assert reply["retCode"] == 0
    assert (told["orderStatus"], told["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")


@pytest.mark.parametrize(
    ("category", "unknown", "cancelled", "filled"),
    [("linear", 110001, 110001, 110001), ("spot", 170213, 170142, 170139)],
)
async def test_a_cancel_that_finds_nothing_open_says_why(venue, client, category, unknown, cancelled, filled):
    await client.create("gone", category=category)
    await client.cancel("gone", category=category)
    await client.create("full", category=category, price="50000.1", qty="0.5")

    codes = [(await client.cancel(link, category=category))["retCode"] for link in ("nobody", "gone", "full")]

    assert codes == [unknown, cancelled, filled]


async def test_the_exchange_id_wins_over_the_link(venue, client):
    first = await client.create("a-1", price="49999.1")
    await client.create("a-2", price="49999.2")

    reply = await client.cancel("a-2", orderId=first["result"]["orderId"])

    assert reply["result"]["orderLinkId"] == "a-1"
    assert [order.client_id for order in venue.god.open_orders()] == ["a-2"]


async def test_cancel_all_on_linear_names_what_it_means(venue, client):
    for number in range(3):
        await client.create(f"l-{number}", price=f"49999.{number}")
    await client.create("s-1", category="spot")

    vague = await client.post("/v5/order/cancel-all", category="linear")
    answer = await client.post("/v5/order/cancel-all", category="linear", settleCoin="USDT")
    left = [order.client_id for order in venue.god.open_orders()]
    rest = await client.post("/v5/order/cancel-all", category="spot")

    assert vague["retCode"] == 10001
    assert {one["orderLinkId"] for one in answer["result"]["list"]} == {"l-0", "l-1", "l-2"}
    assert left == ["s-1"]
    assert [one["orderLinkId"] for one in rest["result"]["list"]] == ["s-1"]


async def test_one_cancel_all_on_linear_takes_five_hundred(open_venue, perpetual):
    many = attrs.evolve(perpetual, max_open_orders=600)

    async with open_venue(markets=(many,), order_limits=((1, 10_000),)) as (venue, client):
        for start in range(0, 520, 20):
            tickets = [client.ticket(f"o-{start + number}", qty="0.001") for number in range(20)]
            await client.post("/v5/order/create-batch", category="linear", request=tickets)
        counts = [len(venue.god.open_orders())]
        for _ in range(2):
            await client.post("/v5/order/cancel-all", category="linear", symbol="BTCUSDT")
            counts.append(len(venue.god.open_orders()))

    assert counts == [520, 20, 0]


async def test_more_open_orders_than_allowed_are_refused(open_venue, perpetual):
    async with open_venue(markets=(attrs.evolve(perpetual, max_open_orders=2),)) as (_, client):
        codes = [(await client.create(f"o-{number}"))["retCode"] for number in range(3)]

    assert codes == [0, 0, 110020]


async def test_a_batch_is_judged_order_by_order(venue, client):
    tickets = [client.ticket("b-1"), client.ticket("b-2", qty="0.0001"), client.ticket("b-1"), client.ticket("b-3")]

    answer = await client.post("/v5/order/create-batch", category="linear", request=tickets)

    assert answer["retCode"] == 0
    assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 10001, 110072, 0]
    assert [bool(one["orderId"]) for one in answer["result"]["list"]] == [True, False, False, True]
    assert [order.client_id for order in venue.god.open_orders()] == ["b-1", "b-3"]


async def test_batches_amend_and_cancel_order_by_order_too(venue, client):
    for link in ("b-1", "b-2"):
        await client.create(link)
    named = [{"symbol": "BTCUSDT", "orderLinkId": link} for link in ("b-1", "none", "b-2")]

    amended = await client.post(
        "/v5/order/amend-batch", category="linear", request=[one | {"qty": "0.4"} for one in named]
    )
    sizes = [order.size for order in venue.god.open_orders()]
    cancelled = await client.post("/v5/order/cancel-batch", category="linear", request=named)

    for answer in (amended, cancelled):
        assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0, 110001, 0]
    assert sizes == [Decimal("0.400")] * 2
    assert venue.god.open_orders() == []


@pytest.mark.parametrize(("category", "most"), [("linear", 20), ("spot", 10)])
async def test_a_batch_has_a_size(venue, client, category, most):
    tickets = [client.ticket(f"b-{number}", category=None, qty="0.001") for number in range(most + 1)]

    answer = await client.post("/v5/order/create-batch", category=category, request=tickets)

    assert (answer["retCode"], venue.god.orders()) == (10001, [])


async def test_a_reduce_only_order_only_reduces(venue, client):
    flat = await client.create("r-1", side="Sell", price="50000.1", reduceOnly=True)
    await client.create("open", side="Buy", price="50000.1", qty="0.3")
    cut = await client.create("r-2", side="Sell", price="50000.2", qty="0.5", reduceOnly=True)

    assert (flat["retCode"], cut["retCode"]) == (110017, 0)
    assert venue.god.order("r-2").size == Decimal("0.300")


async def test_a_position_opens_turns_and_closes(venue, client):
    venue.god.empty_book("BTC/USDT:linear", Side.BUY)
    venue.god.place_other("BTC/USDT:linear", Side.BUY, price="49900", size="5")

    async with client.private("position") as private:
        await client.create("buy", price="50000.1", qty="0.4")
        long = await private.item("position")
        await client.create("sell", side="Sell", price="49900", qty="1")
        short = await private.item("position")
        listed = (await client.get("/v5/position/list", category="linear", symbol="BTCUSDT"))["result"]["list"]

    assert (long["side"], long["size"], long["entryPrice"]) == ("Buy", "0.400", "50000.1")
    assert (short["side"], short["size"], short["entryPrice"]) == ("Sell", "0.600", "49900")
    assert Decimal(short["cumRealisedPnl"]) == Decimal("0.4") * (Decimal(49900) - Decimal("50000.1"))
    assert [(one["side"], one["size"], one["avgPrice"]) for one in listed] == [("Sell", "0.600", "49900")]


async def test_a_body_that_is_no_object_is_a_parameter_error(client):
    for body in ("[]", "{", "", "[" * 1_000, '"text"'):
        answer = await client.raw("POST", "/v5/order/create", body=body, headers=client.headers(body))

        assert (answer.status_code, answer.json()["retCode"]) == (200, 10001)

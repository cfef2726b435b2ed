"""What a Binance USD-M account can be asked and set, and what the exchange says of its markets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe_localvenue import AccountSetup, ApiKey, MarketSetup, Permission

POOR = AccountSetup(balances={"USDT": Decimal(1_000)}, taker_fee=Decimal(0), leverage=20)


def error(answer):
    return answer.status_code, answer.json()["code"], answer.json()["msg"]


async def public(futures, path, query=""):
    return (await futures.client.raw("GET", f"/fapi/{path}", query)).json()


async def test_the_exchange_says_its_grid_filters_and_limits(open_futures):
    market = MarketSetup(tick_size=Decimal("0.10"), lot_size=Decimal("0.001"), min_size=Decimal("0.001"))
    async with open_futures(markets=(market,)) as futures:
        info = await public(futures, "v1/exchangeInfo")
    symbol = info["symbols"][0]
    filters = {one["filterType"]: one for one in symbol["filters"]}

    assert info["rateLimits"] == [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
    ]
    assert (symbol["contractType"], symbol["status"], symbol["marginAsset"]) == ("PERPETUAL", "TRADING", "USDT")
    assert (symbol["pricePrecision"], symbol["quantityPrecision"]) == (1, 3)
    assert filters["PRICE_FILTER"]["tickSize"] == "0.1"
    assert filters["LOT_SIZE"] == {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "9000", "stepSize": "0.001"}
    assert filters["MIN_NOTIONAL"] == {"filterType": "MIN_NOTIONAL", "notional": "5"}
    assert filters["MAX_NUM_ORDERS"]["limit"] == 200


async def test_public_figures_agree_with_the_book_and_the_tape(futures):
    await futures.take("BUY", "1")
    await futures.take("SELL", "0.5")

    assert await public(futures, "v1/ping") == {}
    trades = await public(futures, "v1/trades", "symbol=BTCUSDT&limit=2")
    ticker = await public(futures, "v1/ticker/bookTicker", "symbol=BTCUSDT")
    day = await public(futures, "v1/ticker/24hr", "symbol=BTCUSDT")
    prices = await public(futures, "v2/ticker/price")
    assert [(one["price"], one["qty"], one["isBuyerMaker"]) for one in trades] == [
        ("50000.01", "1.00000", False),
        ("49999.99", "0.50000", True),
    ]
    assert (ticker["bidPrice"], ticker["bidQty"], ticker["askPrice"]) == ("49999.99", "0.50000", "50000.02")
    assert (day["highPrice"], day["lowPrice"], day["volume"], day["count"]) == ("50000.01", "49999.99", "1.50000", 2)
    assert [(one["symbol"], one["price"]) for one in prices] == [("BTCUSDT", "49999.99")]


async def test_only_the_documented_depths_can_be_asked_for(futures):
    shallow = await public(futures, "v1/depth", "symbol=BTCUSDT&limit=5")
    odd = await futures.client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=7")

    assert (len(shallow["bids"]), len(shallow["asks"])) == (5, 5)
    assert error(odd) == (400, -4021, "'7' is not valid depth limit.")


async def test_requests_cost_their_documented_weight(futures):
    used = []
    for method, path, params in (
        ("GET", "/fapi/v1/openOrders", {}),
        ("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}),
        ("GET", "/fapi/v3/account", {}),
        ("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"}),
    ):
        answer = await futures.ask(method, path, **params)
        used.append(int(answer.headers["X-MBX-USED-WEIGHT-1M"]))
    for limit in (50, 100, 500, 1000):
        answer = await futures.client.raw("GET", "/fapi/v1/depth", f"symbol=BTCUSDT&limit={limit}")
        used.append(int(answer.headers["X-MBX-USED-WEIGHT-1M"]))

    assert [after - before for before, after in zip([0, *used], used, strict=False)] == [40, 1, 5, 5, 2, 5, 10, 20]


async def test_margin_is_what_open_orders_and_positions_put_up(open_futures):
    async with open_futures(accounts=(POOR,)) as futures:
        await futures.place("f-1", price="40000.00", quantity="0.1")
        await futures.take("BUY", "0.2")
        account = (await futures.ask("GET", "/fapi/v3/account")).json()
        position = (await futures.ask("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")).json()[0]

    # 0.1 at 40000 and 0.2 at the mark of 50000, both with 20 times leverage; bought one tick above the mark.
    assert account["totalOpenOrderInitialMargin"] == "200.00000000"
    assert account["totalPositionInitialMargin"] == "500.00000000"
    assert account["totalUnrealizedProfit"] == "-0.00200000"
    assert account["availableBalance"] == "299.99800000"
    assert (position["bidNotional"], position["askNotional"]) == ("4000", "0")


async def test_leverage_is_of_the_symbol_and_moves_the_margin_of_its_orders(open_futures):
    async with open_futures(accounts=(POOR,)) as futures:
        await futures.place("f-1", price="40000.00", quantity="0.1")
        async with futures.private() as socket:
            set_to = (await futures.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)).json()
            told = await socket.next()
        account = (await futures.ask("GET", "/fapi/v3/account")).json()
        too_much = await futures.place("f-2", price="40000.00", quantity="0.1")
        wrong = await futures.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=126)
        listed = (await futures.ask("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")).json()

    assert (set_to["leverage"], set_to["symbol"]) == (5, "BTCUSDT")
    assert (told["e"], told["ac"]) == ("ACCOUNT_CONFIG_UPDATE", {"s": "BTCUSDT", "l": 5})
    assert account["totalOpenOrderInitialMargin"] == "800.00000000"
    assert error(too_much) == (400, -2019, "Margin is insufficient.")
    assert error(wrong) == (400, -4028, "Leverage 126 is not valid")
    assert listed[0]["leverage"] == 5


async def test_hedge_mode_is_told_refuses_orders_and_needs_an_empty_account(futures):
    def switch(value):
        return futures.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition=value)

    first = (await futures.ask("GET", "/fapi/v1/positionSide/dual")).json()
    same = await switch("false")
    await futures.place()
    busy = await switch("true")
    await futures.cancel()
    done = await switch("true")
    then = (await futures.ask("GET", "/fapi/v1/positionSide/dual")).json()
    refused = await futures.place()

    assert (first, then) == ({"dualSidePosition": False}, {"dualSidePosition": True})
    assert error(same) == (400, -4059, "No need to change position side.")
    assert error(busy) == (400, -4067, "Position side cannot be changed if there exists open orders.")
    assert done.json() == {"code": 200, "msg": "success"}
    assert error(refused) == (400, -4061, "Order's position side does not match user's setting.")


async def test_margin_type_changes_only_on_an_empty_symbol(futures):
    def change(kind):
        return futures.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType=kind)

    same = await change("CROSSED")
    await futures.take("BUY", "1")
    held = await change("ISOLATED")
    await futures.take("SELL", "1")
    done = await change("ISOLATED")
    position = (await futures.ask("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")).json()[0]

    assert error(same) == (400, -4046, "No need to change margin type.")
    assert error(held) == (400, -4048, "Margin type cannot be changed if there exists position.")
    assert done.json()["code"] == 200
    assert position["marginType"] == "isolated"


async def test_fees_brackets_modes_and_limits_can_be_asked_for(futures):
    fees = (await futures.ask("GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")).json()
    brackets = (await futures.ask("GET", "/fapi/v1/leverageBracket")).json()
    modes = (await futures.ask("GET", "/fapi/v1/multiAssetsMargin")).json()
    limits = (await futures.ask("GET", "/fapi/v1/rateLimit/order")).json()
    status = (await futures.ask("GET", "/fapi/v1/apiTradingStatus")).json()

    assert (fees["makerCommissionRate"], fees["takerCommissionRate"]) == ("0.001", "0.001")
    assert brackets[0]["brackets"][0]["initialLeverage"] == 125
    assert isinstance(brackets[0]["brackets"][0]["cum"], int)
    assert modes == {"multiAssetsMargin": False}
    assert [limit["limit"] for limit in limits] == [300, 1200]
    assert status["indicators"] == {}


@pytest.mark.parametrize("permission", [Permission.READ, Permission.TRADE, Permission.WITHDRAW])
async def test_a_key_says_what_it_may_and_is_held_to_it(open_futures, permission):
    granted = frozenset({Permission.READ, permission})
    account = AccountSetup(keys=(ApiKey(permissions=granted),))
    async with open_futures(accounts=(account,)) as futures:
        told = (await futures.ask("GET", "/sapi/v1/account/apiRestrictions")).json()
        placed = await futures.place()

    assert (told["enableReading"], told["enableFutures"], told["enableWithdrawals"]) == (
        True,
        permission is Permission.TRADE,
        permission is Permission.WITHDRAW,
    )
    assert placed.status_code == (200 if permission is Permission.TRADE else 401)


async def test_a_request_out_of_its_time_or_falsely_signed_is_refused(futures):
    futures.venue.faults.skew_clock(10)
    late = await futures.place()
    futures.venue.faults.skew_clock(-10)
    early = await futures.place()
    futures.venue.faults.heal()
    futures.client.secret = "another"
    forged = await futures.place()

    assert error(late) == (400, -1021, "Timestamp for this request is outside of the recvWindow.")
    assert error(early) == (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    assert error(forged) == (400, -1022, "Signature for this request is not valid.")
    assert futures.venue.god.orders() == []


async def test_orders_and_trades_are_listed_by_id_time_and_number(futures, time):
    for number in range(4):
        await futures.place(f"f-{number}", quantity="0.1")
        futures.venue.god.trade_against(f"f-{number}")
        await time.advance(1)
    trades = (await futures.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")).json()
    second = trades[1]

    async def ids(path, **params):
        return [one["orderId"] for one in (await futures.ask("GET", path, symbol="BTCUSDT", **params)).json()]

    all_ids = [trade["orderId"] for trade in trades]
    assert await ids("/fapi/v1/userTrades", fromId=second["id"]) == all_ids[1:]
    assert await ids("/fapi/v1/userTrades", startTime=second["time"], limit=2) == all_ids[1:3]
    assert await ids("/fapi/v1/userTrades", endTime=second["time"]) == all_ids[:2]
    assert await ids("/fapi/v1/userTrades", orderId=second["orderId"]) == all_ids[1:2]
    assert await ids("/fapi/v1/userTrades", limit=1) == all_ids[-1:]
    assert await ids("/fapi/v1/allOrders", orderId=second["orderId"]) == all_ids[1:]
    week = await futures.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", startTime=0, endTime=8 * 86_400_000)
    assert error(week) == (400, -4165, "Maximum time interval is 7 days")


async def test_income_and_candles_are_made_of_the_trades(futures, time):
    await futures.take("BUY", "1")
    await time.advance(1)
    await futures.take("SELL", "1")

    income = (await futures.ask("GET", "/fapi/v1/income", symbol="BTCUSDT")).json()
    won = (await futures.ask("GET", "/fapi/v1/income", incomeType="REALIZED_PNL")).json()
    candles = await public(futures, "v1/klines", "symbol=BTCUSDT&interval=1d")
    assert [(one["incomeType"], one["income"]) for one in income] == [
        ("COMMISSION", "-50.00001"),
        ("REALIZED_PNL", "-0.02"),
        ("COMMISSION", "-49.99999"),
    ]
    assert len({one["tranId"] for one in income}) == 3
    assert won == [income[1]]
    opened, high, low, close, volume = (Decimal(figure) for figure in candles[0][1:6])
    assert (opened, high, low, close, volume) == (
        Decimal("50000.01"), Decimal("50000.01"), Decimal("49999.99"), Decimal("49999.99"), 2,
    )  # fmt: skip

"""What an account and everybody may ask, and how long answers are known."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from mmframe.domain.market import Side
from mmframe_localvenue import AccountSetup

HOUR_S = 3_600


async def _all_pages(client, path, **params):
    """Return every record, read by cursor until there is none, and the sizes of the pages."""
    records, sizes, cursor = [], [], ""
    while True:
        more = {"cursor": cursor} if cursor else {}
        result = (await client.get(path, **params, **more))["result"]
        records += result["list"]
        sizes.append(len(result["list"]))
        cursor = result["nextPageCursor"]
        if not cursor:
            return records, sizes


@pytest.mark.parametrize(("limit", "sizes"), [(2, [2, 2, 1, 0]), (5, [5, 0]), (50, [5, 0])])
async def test_open_orders_come_newest_first_in_pages(client, limit, sizes):
    for number in range(5):
        await client.create(f"o-{number}")

    records, read = await _all_pages(client, "/v5/order/realtime", category="linear", symbol="BTCUSDT", limit=limit)

    assert [record["orderLinkId"] for record in records] == ["o-4", "o-3", "o-2", "o-1", "o-0"]
    assert read == sizes


async def test_a_cursor_stays_good_when_its_order_ends(venue, client):
    for number in range(4):
        await client.create(f"o-{number}")
    first = (await client.get("/v5/order/realtime", category="linear", symbol="BTCUSDT", limit=2))["result"]

    await client.cancel("o-2")
    second = await client.get(
        "/v5/order/realtime", category="linear", symbol="BTCUSDT", limit=2, cursor=first["nextPageCursor"]
    )

    assert "%3A" in first["nextPageCursor"]
    assert [one["orderLinkId"] for one in second["result"]["list"]] == ["o-1", "o-0"]


async def test_a_closed_order_is_found_by_id_until_the_service_restarts_and_in_the_history_after(venue, client):
    await client.create()
    await client.cancel()

    open_only = await client.realtime()
    closed = await client.realtime(openOnly=1)
    by_id = await client.realtime(orderLinkId="a-1")
    venue.faults.restart()
    forgotten = await client.realtime(orderLinkId="a-1")
    history = (await client.get("/v5/order/history", category="linear", orderLinkId="a-1"))["result"]["list"]

    assert open_only == forgotten == []
    assert [one["orderStatus"] for one in (*closed, *by_id, *history)] == ["Cancelled"] * 3


async def test_a_restart_keeps_open_orders(venue, client):
    await client.create()

    venue.faults.restart()

    assert [one["orderStatus"] for one in await client.realtime(orderLinkId="a-1")] == ["New"]


async def test_unfilled_orders_leave_the_history_after_a_day_and_filled_ones_after_a_week(venue, client, time):
    await client.create("empty")
    await client.cancel("empty")
    await client.create("full", price="50000.1")

    async def known():
        listed = (await client.get("/v5/order/history", category="linear"))["result"]["list"]
        return {one["orderLinkId"] for one in listed}

    seen = [await known()]
    for hours in (25, 6 * 24):
        time.clock.advance(s=hours * HOUR_S)
        seen.append(await known())

    assert seen == [{"empty", "full"}, {"full"}, set()]


@pytest.mark.parametrize(
    ("selector", "code"),
    [({}, 10001), ({"settleCoin": "USDT"}, 0), ({"baseCoin": "BTC"}, 0), ({"symbol": "BTCUSDT"}, 0)],
)
async def test_open_orders_of_linear_need_a_selector(client, selector, code):
    await client.create()

    answer = await client.get("/v5/order/realtime", category="linear", **selector)

    assert answer["retCode"] == code
    assert len(answer["result"].get("list", [])) == (0 if code else 1)


async def test_executions_are_listed_as_they_were_told(venue, client, time):
    async with client.private("execution") as private:
        await client.create(qty="0.5")
        told = []
        for lots in (100, 200, 200):
            venue.god.trade_against("a-1", lots)
            told.append(await private.item("execution"))
            time.clock.advance(s=1)
    since = int(told[1]["execTime"])

    listed, _ = await _all_pages(client, "/v5/execution/list", category="linear", limit=2)
    recent, _ = await _all_pages(client, "/v5/execution/list", category="linear", startTime=since)
    by_link, _ = await _all_pages(client, "/v5/execution/list", category="linear", orderLinkId="a-1", startTime=since)

    assert [{"category": "linear"} | one for one in listed] == told[::-1]
    assert [one["execId"] for one in recent] == [told[2]["execId"], told[1]["execId"]]
    assert len(by_link) == 3
    assert [one["leavesQty"] for one in told] == ["0.400", "0.200", "0.000"]


async def test_a_span_of_more_than_a_week_is_refused(client):
    now = client.time.now_ms
    answer = await client.get("/v5/execution/list", category="linear", startTime=now - 8 * 86_400_000, endTime=now)

    assert answer["retCode"] == 10001


async def test_spot_and_linear_know_nothing_of_each_others_orders(client):
    await client.create("perp")
    await client.create("cash", category="spot")

    seen = {
        category: [one["orderLinkId"] for one in await client.realtime(category=category)]
        for category in ("linear", "spot")
    }

    assert seen == {"linear": ["perp"], "spot": ["cash"]}


async def test_the_wallet_is_one_and_tells_what_each_kind_of_order_locks(venue, client):
    await client.create("perp", price="49999", qty="1")
    await client.create("cash", category="spot", price="49000", qty="1")

    (wallet,) = (await client.get("/v5/account/wallet-balance", accountType="UNIFIED"))["result"]["list"]
    coins = {coin["coin"]: coin for coin in wallet["coin"]}

    assert (wallet["accountType"], set(coins)) == ("UNIFIED", {"USDT", "BTC", "ETH"})
    assert coins["USDT"]["walletBalance"] == "1000000"
    assert coins["USDT"]["locked"] == "49000"
    assert Decimal(coins["USDT"]["totalOrderIM"]) == Decimal(49999) / 20


async def test_the_wallet_narrows_to_coins_and_knows_one_type(client):
    (wallet,) = (await client.get("/v5/account/wallet-balance", accountType="UNIFIED", coin="BTC,ETH"))["result"][
        "list"
    ]
    other = await client.get("/v5/account/wallet-balance", accountType="CONTRACT")

    assert [coin["coin"] for coin in wallet["coin"]] == ["BTC", "ETH"]
    assert other["retCode"] == 10001


async def test_a_flat_position_is_listed_by_symbol_only(client):
    by_symbol = await client.get("/v5/position/list", category="linear", symbol="BTCUSDT")
    by_coin = await client.get("/v5/position/list", category="linear", settleCoin="USDT")
    by_nothing = await client.get("/v5/position/list", category="linear")

    (flat,) = by_symbol["result"]["list"]
    assert (flat["side"], flat["size"], flat["positionIdx"]) == ("", "0.000", 0)
    assert (by_coin["result"]["list"], by_nothing["retCode"]) == ([], 10001)


async def test_settings_of_a_position_that_change_nothing_say_so(client):
    one_way = await client.post("/v5/position/switch-mode", category="linear", symbol="BTCUSDT", mode=0)
    hedge = await client.post("/v5/position/switch-mode", category="linear", coin="USDT", mode=3)
    changed, same = [
        await client.post(
            "/v5/position/set-leverage", category="linear", symbol="BTCUSDT", buyLeverage="10", sellLeverage="10"
        )
        for _ in range(2)
    ]

    assert [one["retCode"] for one in (one_way, hedge, changed, same)] == [110025, 110029, 0, 110043]


async def test_fees_are_those_of_the_account(open_venue):
    account = AccountSetup(maker_fee=Decimal("0.0002"), taker_fee=Decimal("0.00055"))

    async with open_venue(accounts=(account,)) as (_, client):
        answer = await client.get("/v5/account/fee-rate", category="linear", symbol="BTCUSDT")

    assert answer["result"]["list"] == [{"symbol": "BTCUSDT", "takerFeeRate": "0.00055", "makerFeeRate": "0.0002"}]


async def test_instruments_carry_the_grid_of_each_category(client):
    linear, spot = [
        (await client.ask("/v5/market/instruments-info", category=category, symbol="BTCUSDT"))["result"]["list"][0]
        for category in ("linear", "spot")
    ]

    assert linear["priceFilter"] == {"minPrice": "0.1", "maxPrice": "1000000", "tickSize": "0.1"}
    assert (linear["lotSizeFilter"]["qtyStep"], linear["lotSizeFilter"]["minNotionalValue"]) == ("0.001", "5")
    assert (linear["contractType"], linear["settleCoin"], linear["priceScale"]) == ("LinearPerpetual", "USDT", "1")
    assert (spot["priceFilter"]["tickSize"], spot["lotSizeFilter"]["basePrecision"]) == ("0.01", "0.00001")
    assert spot["lotSizeFilter"]["minOrderAmt"] == "5"


async def test_linear_instruments_are_paged_by_cursor(open_venue, perpetual):
    names = [f"C{number}/USDT" for number in range(5)]
    markets = tuple(attrs.evolve(perpetual, symbol=name) for name in names)

    async with open_venue(markets=markets) as (_, client):
        found, cursor, pages = [], "", 0
        while pages == 0 or cursor:
            more = {"cursor": cursor} if cursor else {}
            answer = await client.ask("/v5/market/instruments-info", category="linear", limit=2, **more)
            found += [one["symbol"] for one in answer["result"]["list"]]
            cursor, pages = answer["result"]["nextPageCursor"], pages + 1

    assert found == [name.replace("/", "") for name in names]
    assert pages == 3


async def test_a_halted_market_is_not_listed_and_takes_nothing(venue, client):
    venue.god.set_trading("BTC/USDT:linear", is_trading=False)

    listed = (await client.ask("/v5/market/instruments-info", category="linear"))["result"]["list"]
    named = (await client.ask("/v5/market/instruments-info", category="linear", symbol="BTCUSDT"))["result"]["list"]

    assert (listed, named[0]["status"]) == ([], "Closed")
    assert (await client.create())["retCode"] == 110074


async def test_book_trades_and_ticker_agree_with_the_market(venue, client):
    venue.god.place_other("BTC/USDT:linear", Side.BUY, size="1.5")
    ask = {"category": "linear", "symbol": "BTCUSDT"}

    book = (await client.ask("/v5/market/orderbook", limit=1, **ask))["result"]
    trades = (await client.ask("/v5/market/recent-trade", **ask))["result"]["list"]
    ticker = (await client.ask("/v5/market/tickers", **ask))["result"]["list"][0]

    assert (book["b"], book["a"]) == ([["49999.9", "1.000"]], [["50000.2", "0.500"]])
    assert [(one["price"], one["size"], one["side"]) for one in trades] == [
        ("50000.2", "0.500", "Buy"),
        ("50000.1", "1.000", "Buy"),
    ]
    assert (ticker["bid1Price"], ticker["ask1Price"], ticker["lastPrice"]) == ("49999.9", "50000.2", "50000.2")
    assert ticker["volume24h"] == "1.500"


async def test_candles_are_made_of_trades_and_repeat_the_last_close(venue, client, time):
    ask = {"category": "linear", "symbol": "BTCUSDT", "interval": "1"}
    minute = time.now_ms // 60_000 * 60_000
    venue.god.place_other("BTC/USDT:linear", Side.BUY, size="1.5")
    await time.advance(120)
    venue.god.place_other("BTC/USDT:linear", Side.SELL, size="0.5")

    told = (await client.ask("/v5/market/kline", **ask))["result"]
    newest = (await client.ask("/v5/market/kline", limit=1, **ask))["result"]["list"]
    first = (await client.ask("/v5/market/kline", start=minute, end=minute, **ask))["result"]["list"]
    before = (await client.ask("/v5/market/kline", end=minute - 1, **ask))["result"]["list"]
    unknown = await client.ask("/v5/market/kline", **ask | {"interval": "7"})

    assert (told["category"], told["symbol"]) == ("linear", "BTCUSDT")
    assert told["list"] == [
        [str(minute + 120_000), "49999.9", "49999.9", "49999.9", "49999.9", "0.5", "24999.95"],
        [str(minute + 60_000), "50000.2", "50000.2", "50000.2", "50000.2", "0", "0"],
        [str(minute), "50000.1", "50000.2", "50000.1", "50000.2", "1.5", "75000.2"],
    ]
    assert (newest, first, before) == (told["list"][:1], told["list"][2:], [])
    assert unknown["retCode"] == 10001


async def test_categories_without_markets_are_empty_and_unknown_ones_refused(client):
    empty = await client.ask("/v5/market/instruments-info", category="option")
    unknown = await client.ask("/v5/market/instruments-info", category="future")

    assert (empty["retCode"], empty["result"]["list"], unknown["retCode"]) == (0, [], 10001)


@pytest.mark.parametrize("path", ["order/realtime", "order/history", "execution/list", "position/list"])
async def test_an_account_has_nothing_in_categories_without_markets(client, path):
    await client.create(price="50000.1")

    answer = await client.get(f"/v5/{path}", category="inverse", symbol="BTCUSD")

    assert (answer["retCode"], answer["result"]["list"], answer["result"]["category"]) == (0, [], "inverse")


async def test_the_history_is_narrowed_by_what_an_order_is(client):
    await client.create("gone")
    await client.cancel("gone")
    await client.create("full", price="50000.1")

    async def links(**filters):
        listed = (await client.get("/v5/order/history", category="linear", **filters))["result"]["list"]
        return [one["orderLinkId"] for one in listed]

    assert await links(orderStatus="Filled") == await links(baseCoin="BTC", orderLinkId="full") == ["full"]
    assert await links(settleCoin="USDT") == ["full", "gone"]
    assert await links(symbol="ETHUSDT") == await links(settleCoin="USDC") == []


async def test_what_happens_to_prices_beyond_the_limit_can_be_read_back(client):
    before = (await client.get("/v5/account/user-setting-config"))["result"]
    await client.post("/v5/account/set-limit-px-action", category="linear", modifyEnable=False)
    after = (await client.get("/v5/account/user-setting-config"))["result"]

    assert (before["lpaSpot"], before["lpaPerp"]) == (False, True)
    assert (after["lpaSpot"], after["lpaPerp"]) == (False, False)


async def test_the_coins_are_those_of_the_wallet(client):
    every = (await client.get("/v5/asset/coin/query-info"))["result"]["rows"]
    one = (await client.get("/v5/asset/coin/query-info", coin="BTC"))["result"]["rows"]

    assert [row["coin"] for row in every] == ["USDT", "BTC", "ETH"]
    assert [row["coin"] for row in one] == ["BTC"]


@pytest.mark.parametrize(
    ("hand", "cancel_type", "reason"),
    [("cancel", "CancelByUser", "EC_PerCancelRequest"), ("expire", "CancelByAdmin", "EC_NoError")],
)
async def test_an_order_that_others_end_says_who_did(venue, client, hand, cancel_type, reason):
    await client.create()

    getattr(venue.god, hand)("a-1")
    (order,) = await client.realtime(orderLinkId="a-1")

    assert (order["orderStatus"], order["cancelType"], order["rejectReason"]) == ("Cancelled", cancel_type, reason)

"""The venue against an exchange on loopback: what it tells of orders, and what it makes of every way to fail."""

from __future__ import annotations

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
    OrderUpdate,
    PositionReport,
    QueryOpenOrders,
    QueryOrder,
    Submit,
    VenueStatus,
)


def bid(client_id="mm-t-0-1", price_ticks=200, size_lots=10, **more):
    return Submit(0, client_id, Side.BUY, price_ticks, size_lots, **more)


async def test_it_is_up_after_wallet_and_position_were_told(exchange, trader_of):
    exchange.positions = [
        {"symbol": "BTCUSDT", "side": "Sell", "size": "0.004", "positionIdx": 0, "markPrice": "100.2"}
    ]
    trader = trader_of()

    async with trader.running():
        pass

    assert [type(event) for event in trader.events] == [PositionReport, BalanceUpdate, BalanceUpdate, VenueStatus]
    assert trader.of(PositionReport)[0].position_lots == -4
    assert trader.of(PositionReport)[0].mark_price_ticks == 200
    assert {(e.asset, str(e.free), str(e.locked)) for e in trader.of(BalanceUpdate)} == {
        ("BTC", "0", "0"),
        ("USDT", "990", "10"),
    }
    assert exchange.topics == [["order.linear", "execution.linear", "position.linear"], ["wallet"]]
    assert trader.venue.next_event_ns == NEVER_NS


@pytest.mark.parametrize("order_entry", ["websocket", "rest"])
async def test_the_life_of_an_order(exchange, trader_of, order_entry):
    trader = trader_of(order_entry=order_entry)
    path = {"websocket": "order.create", "rest": "/v5/order/create"}[order_entry]

    async with trader.running():
        trader.do(bid())
        await trader.until(lambda: trader.updates)
        await exchange.trade_with("mm-t-0-1", "0.004")
        await trader.until(lambda: trader.fills)
        trader.do(Amend(0, "mm-t-0-1", 198, 5, 0))
        await trader.until(lambda: len(trader.updates) == 2)
        trader.do(Cancel(0, "mm-t-0-1"))
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
            "orderLinkId": "mm-t-0-1",
            "smpType": "CancelTaker",
            "positionIdx": 0,
        }
    ]
    amended = exchange.asked(path.replace("create", "amend"))
    assert [(row["qty"], row["price"]) for row in amended] == [("0.009", "99.0")]
    assert trader.updates == [
        ("mm-t-0-1", "SUBMIT", "OPEN"),
        ("mm-t-0-1", "AMEND", "OPEN"),
        ("mm-t-0-1", "CANCEL", "CANCELED"),
    ]
    last = trader.of(OrderUpdate)[-1]
    assert (last.price_ticks, last.size_lots, last.filled_lots) == (198, 9, 4)
    assert trader.fills == [("mm-t-0-1", exchange.executions[0]["execId"], 4)]

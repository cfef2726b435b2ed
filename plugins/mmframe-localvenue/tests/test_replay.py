"""A recording as the market: its book and tape come at its pace, and orders of accounts fill by the simulation."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.errors import DomainError
from mmframe_localvenue import MarketSetup

BUY, SELL = Side.BUY, Side.SELL
RECORDED_NS = 1_500_000_000_000_000_000
GRID = dict(tick_size=Decimal("0.01"), lot_size=Decimal("0.001"), min_size=Decimal("0.001"), max_size=Decimal(1_000))


class Recording:
    """A history of one market: `(second, kind, changes)`, prices in ticks around 100.00, sizes in lots of 0.001."""

    def __init__(self, *messages):
        self.messages = messages

    def batches(self):
        for second, kind, *changes in self.messages:
            batch = MarketBatch(0)
            at_ns = RECORDED_NS + round(second * 1e9)
            batch.add(kind, exchange_ns=at_ns, receive_ns=at_ns, changes=changes)
            yield batch


WHOLE = (
    (BUY, 9_999, 1_000),
    (BUY, 9_998, 2_000),
    (SELL, 10_001, 1_500),
    (SELL, 10_002, 4_000),
)
START = (0, MessageKind.SNAPSHOT, *WHOLE)


def replayed(*messages):
    return (MarketSetup(replay=Recording(*messages), **GRID),)


async def place(client, client_id, price, *, side="BUY", quantity="0.500", **more):
    answer = await client.place(client_id, price=price, side=side, quantity=quantity, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_recorded_book_and_tape_come_at_their_pace(open_venue, time):
    markets = replayed(
        (-5, MessageKind.TRADE, (SELL, 9_990, 1)),  # before the first whole book: not shown
        START,
        (1, MessageKind.DELTA, (BUY, 9_999, 0), (SELL, 10_000, 300)),
        (2, MessageKind.TRADE, (BUY, 10_000, 100)),
        (3, MessageKind.SNAPSHOT, (BUY, 9_997, 10), (SELL, 10_003, 20)),
    )
    async with open_venue(markets=markets) as (_, client), client.stream("btcusdt@depth@100ms") as socket:
        await socket.ask_list()
        books = []
        for _ in range(4):
            book = (await client.http.get("/api/v3/depth", params={"symbol": "BTCUSDT"})).json()
            books.append((book["bids"][0], book["asks"][0]))
            await time.advance(1.05)
        first, second = (await socket.next())["data"], (await socket.next())["data"]
        tape = (await client.http.get("/api/v3/trades", params={"symbol": "BTCUSDT"})).json()

    assert [(bid[0][:6], ask[0][:6]) for bid, ask in books] == [
        ("99.990", "100.01"),
        ("99.980", "100.00"),
        ("99.980", "100.00"),
        ("99.970", "100.03"),
    ]
    assert first["b"] == [["99.99000000", "0.00000000"]]
    assert first["a"] == [["100.00000000", "0.30000000"]]
    # The whole book of second 3 arrives as what it changed.
    assert (second["U"], second["u"]) == (first["u"] + 1, first["u"] + len(second["b"]) + len(second["a"]))
    assert ["99.98000000", "0.00000000"] in second["b"]
    assert [(one["price"], one["qty"], one["isBuyerMaker"]) for one in tape] == [("100.00000000", "0.10000000", False)]


async def test_a_resting_order_fills_when_the_tape_has_taken_what_stood_before_it(open_venue, time):
    markets = replayed(
        START,
        (1, MessageKind.TRADE, (SELL, 9_999, 900)),
        (2, MessageKind.TRADE, (SELL, 9_999, 300)),
        (3, MessageKind.TRADE, (SELL, 9_998, 5_000)),
    )
    async with open_venue(markets=markets) as (venue, client), client.private() as stream:
        await place(client, "a-1", "99.99", type="LIMIT_MAKER")
        filled = []
        for _ in range(3):
            await time.advance(1.01)
            filled.append(venue.god.order("a-1").filled_lots)
        trade = await stream.event("executionReport")
        while trade["x"] != "TRADE":
            trade = await stream.event("executionReport")
        book = (await client.http.get("/api/v3/depth", params={"symbol": "BTCUSDT"})).json()

    # 1000 lots stood before it: 900 and 100 of them traded, then 200 of ours, then the rest as the price went through.
    assert filled == [0, 200, 500]
    assert (trade["l"], trade["L"], trade["m"]) == ("0.20000000", "99.99000000", True)
    assert book["bids"][0] == ["99.99000000", "1.00000000"]  # the recording knows nothing of us


async def test_a_taker_takes_what_is_shown_and_the_same_only_once(open_venue):
    async with open_venue(markets=replayed(START)) as (venue, client):
        first = await place(client, "t-1", "100.02", quantity="2.000")
        second = await place(client, "t-2", "100.02", quantity="9.000", timeInForce="IOC")
        third = await client.place("t-3", type="MARKET", price=None, quantity="1.000")

    assert [(fill["price"], fill["qty"]) for fill in first["fills"]] == [
        ("100.01000000", "1.50000000"),
        ("100.02000000", "0.50000000"),
    ]
    assert (second["status"], second["executedQty"]) == ("EXPIRED", "3.50000000")
    assert (third.json()["status"], third.json()["executedQty"]) == ("EXPIRED", "0.00000000")
    assert len({fill.trade_id for fill in venue.god.fills()}) == len(venue.god.fills()) == 3


async def test_nothing_fills_while_the_recording_has_a_gap(open_venue, time):
    markets = replayed(
        START,
        (1, MessageKind.GAP),
        (2, MessageKind.TRADE, (SELL, 9_000, 5_000)),
        (3, MessageKind.SNAPSHOT, *WHOLE),
        (4, MessageKind.TRADE, (SELL, 9_000, 5_000)),
    )
    async with open_venue(markets=markets) as (venue, client):
        await place(client, "a-1", "99.99")
        await time.advance(3.5)
        before = venue.god.order("a-1").filled_lots
        await time.advance(1)

        assert (before, venue.god.order("a-1").filled_lots) == (0, 500)


async def test_orders_are_refused_amended_cancelled_and_prevented_as_in_any_market(open_venue):
    async with open_venue(markets=replayed(START)) as (venue, client):
        taking = await client.place("a-1", price="100.01", type="LIMIT_MAKER")
        fok = await place(client, "a-2", "100.01", quantity="2.000", timeInForce="FOK")
        await place(client, "a-3", "99.99")
        amended = await client.signed(
            "PUT",
            "/api/v3/order/amend/keepPriority",
            symbol="BTCUSDT",
            origClientOrderId="a-3",
            newClientOrderId="a-3",
            newQty="0.200",
        )
        hit = venue.god.trade_against("a-3", 50)
        against = await place(client, "a-4", "99.99", side="SELL", quantity="0.100")
        ended = venue.god.order("a-3")

    assert taking.json()["msg"] == "Order would immediately match and take."
    assert (fok["status"], fok["expiryReason"]) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
    assert amended.json()["amendedOrder"]["qty"] == "0.20000000"
    assert hit == 50
    assert (ended.state.name, ended.filled_lots) == ("SELF_TRADE", 50)
    assert against["status"] == "FILLED"
    balances = venue.god.account().money.balances
    assert {balance.locked for balance in balances.values()} == {0}


async def test_an_amend_to_another_price_may_take(open_venue):
    async with open_venue(markets=replayed(START)) as (venue, client):
        await place(client, "a-1", "99.99")
        order = venue.god.order("a-1")

        venue.core.exchange.amend(order, price_ticks=10_001, size_lots=2_000)

        assert (order.filled_lots, order.leaves_lots) == (1_500, 500)
        assert order.market.engine.order(order.engine_id).leaves_lots == 500


async def test_strangers_are_those_of_the_recording(open_venue):
    async with open_venue(markets=replayed(START)) as (venue, _):
        with pytest.raises(DomainError) as caught:
            venue.god.place_other("BTC/USDT", Side.BUY, size="1")

        assert str(caught.value) == "a replayed market has no strangers but those of the recording"


async def test_a_recording_without_a_whole_book_is_refused(open_venue):
    with pytest.raises(DomainError) as caught:
        async with open_venue(markets=replayed((0, MessageKind.TRADE, (BUY, 1, 1)))):
            pass

    assert str(caught.value) == "replay: expected a recording with a whole book of market 0, found none"

"""The public sockets: books that can be followed exactly, trades, tickers, pings."""

from __future__ import annotations

import random
from decimal import Decimal

import attrs
import pytest

from mmframe.domain.market import Side
from mmframe_localvenue import Fault, Role

INTERVAL_S = {1: 0.01, 50: 0.02, 200: 0.1, 1000: 0.2}


class Follower:
    """A book rebuilt by the documented rules, as strictly as can be."""

    def __init__(self):
        self.bids, self.asks, self.last = {}, {}, None

    def take(self, message):
        data = message["data"]
        if message["type"] == "snapshot":
            self.bids, self.asks = dict(data["b"]), dict(data["a"])
        else:
            assert data["u"] == self.last + 1
            for side, changes in ((self.bids, data["b"]), (self.asks, data["a"])):
                for price, size in changes:
                    if size == "0":
                        del side[price]
                    else:
                        side[price] = size
        self.last = data["u"]

    def levels(self):
        return sorted(_numbers(self.bids.items()), reverse=True), sorted(_numbers(self.asks.items()))


def _numbers(levels):
    return [(Decimal(price), Decimal(size)) for price, size in levels]


@pytest.mark.parametrize("category", ["linear", "spot"])
@pytest.mark.parametrize("depth", [1, 50, 200, 1000])
async def test_a_book_followed_by_the_rules_is_the_true_window(open_venue, perpetual, spot_market, category, depth):
    # More levels than the window holds: what leaves it has to be deleted, what enters it to be told.
    deep = attrs.evolve(perpetual if category == "linear" else spot_market, still_levels=depth + 30)
    chance, follower = random.Random(f"{category}{depth}"), Follower()

    async with (
        open_venue(markets=(deep,)) as (venue, client),
        client.public(f"orderbook.{depth}.BTCUSDT", category=category) as socket,
    ):
        market = venue.market("BTC/USDT")
        follower.take(await socket.next())
        for _ in range(40):
            before = tuple(_numbers(market.levels(side, depth)) for side in (Side.BUY, Side.SELL))
            for _ in range(chance.randint(1, 3)):
                side = chance.choice([Side.BUY, Side.SELL])
                ticks = market.best(side)[0] + chance.randint(-60, 60)
                venue.core.exchange.place_other(market, side, chance.randint(1, 3_000), ticks)
            now = tuple(_numbers(market.levels(side, depth)) for side in (Side.BUY, Side.SELL))
            await client.time.advance(INTERVAL_S[depth])
            if now != before:
                follower.take(await socket.next())

            assert follower.levels() == now


async def test_a_topic_begins_with_a_snapshot_that_the_next_delta_follows(venue, client, time):
    async with client.public("orderbook.50.BTCUSDT") as early:
        await early.next()
        venue.god.place_other("BTC/USDT:linear", Side.BUY, price="49999.9", size="2")
        async with client.public("orderbook.50.BTCUSDT") as late:
            snapshot = await late.next()
            await time.advance(0.02)
            first, second = await early.next(), await late.next()

    assert (snapshot["type"], snapshot["data"]["b"][0]) == ("snapshot", ["49999.9", "1.000"])
    assert first == second
    assert (second["type"], second["data"]["b"], second["data"]["a"]) == ("delta", [["49999.9", "3.000"]], [])
    assert second["data"]["u"] == snapshot["data"]["u"] + 1
    assert second["data"]["seq"] > snapshot["data"]["seq"]


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_rest_book_carries_the_number_of_the_deepest_stream(venue, client, is_heard):
    async with client.public(*(["orderbook.1000.BTCUSDT"] if is_heard else [])) as socket:
        numbers = []
        for size in ("1", "2"):
            venue.god.place_other("BTC/USDT:linear", Side.BUY, price="49999.9", size=size)
            book = (await client.ask("/v5/market/orderbook", category="linear", symbol="BTCUSDT", limit=1))["result"]
            numbers.append((book["u"], book["b"]))
        told = [await socket.next() for _ in range(3)] if is_heard else []

    assert [book for _, book in numbers] == [[["49999.9", "2.000"]], [["49999.9", "4.000"]]]
    assert numbers[1][0] == numbers[0][0] + 1
    assert [one["data"]["u"] for one in told[1:]] == ([number for number, _ in numbers] if is_heard else [])


async def test_level_one_repeats_its_snapshot_after_three_quiet_seconds(client, time):
    async with client.public("orderbook.1.BTCUSDT") as socket:
        first = await socket.next()
        await time.advance(3)
        second = await socket.next()

    assert (first["type"], second["type"]) == ("snapshot", "snapshot")
    assert second["data"] == first["data"]


async def test_a_restart_sends_books_anew_from_update_one(venue, client, time):
    async with client.public("orderbook.50.BTCUSDT") as socket:
        before = await socket.next()
        venue.faults.restart()
        anew = await socket.next()
        venue.god.place_other("BTC/USDT:linear", Side.SELL, price="50000.1", size="1")
        await time.advance(0.02)
        delta = await socket.next()

    assert (anew["type"], anew["data"]["u"]) == ("snapshot", 1)
    assert anew["data"]["b"] == before["data"]["b"]
    assert (delta["type"], delta["data"]["u"]) == ("delta", 2)


@pytest.mark.parametrize(
    ("topic", "category", "keys"),
    [
        ("orderbook.50.BTCUSDT", "linear", ["topic", "type", "ts", "data", "cts"]),
        ("orderbook.1.BTCUSDT", "linear", ["topic", "ts", "type", "data", "cts"]),
        ("orderbook.50.BTCUSDT", "spot", ["topic", "ts", "type", "data", "cts"]),
    ],
)
async def test_the_keys_stand_in_the_order_of_their_category(client, topic, category, keys):
    async with client.public(topic, category=category) as socket:
        message = await socket.next()

    assert list(message) == keys


async def test_after_unsubscribing_nothing_comes_and_after_subscribing_again_a_snapshot(venue, client, time):
    async with client.public("orderbook.50.BTCUSDT") as socket:
        await socket.next()
        left = await socket.ask("unsubscribe", args=["orderbook.50.BTCUSDT"])
        venue.god.place_other("BTC/USDT:linear", Side.BUY, price="49999.9", size="2")
        await time.advance(1)
        back = await socket.ask("subscribe", args=["orderbook.50.BTCUSDT"])
        message = await socket.next()

    assert (left["success"], back["success"], message["type"]) == (True, True, "snapshot")
    assert message["data"]["b"][0] == ["49999.9", "3.000"]


@pytest.mark.parametrize(
    ("category", "topics"),
    [
        ("linear", ["orderbook.500.BTCUSDT"]),
        ("linear", ["orderbook.50.btcusdt"]),
        ("linear", []),
        ("spot", [f"orderbook.50.C{number}USDT" for number in range(11)]),
    ],
    ids=["depth", "lower case", "none", "too many"],
)
async def test_what_cannot_be_subscribed_is_refused_by_the_acknowledgement(client, category, topics):
    async with client.public(category=category) as socket:
        answer = await socket.ask("subscribe", args=topics, req_id="s-1")

    assert (answer["success"], answer["op"], answer["req_id"]) == (False, "subscribe", "s-1")
    assert answer["ret_msg"]


async def test_a_public_pong_is_called_ping(client):
    async with client.public() as socket:
        answer = await socket.ask("ping", req_id="p-1")

    assert answer | {"success": True, "ret_msg": "pong", "req_id": "p-1", "op": "ping"} == answer


async def test_trades_carry_the_takers_side_and_no_history(venue, client):
    venue.god.place_other("BTC/USDT:linear", Side.BUY, size="0.1")

    async with client.public("publicTrade.BTCUSDT") as socket:
        venue.god.place_other("BTC/USDT:linear", Side.SELL, size="1.5")
        message = await socket.next()

    assert message["type"] == "snapshot"
    assert [(one["S"], one["p"], one["v"], one["BT"]) for one in message["data"]] == [
        ("Sell", "49999.9", "1.000", False),
        ("Sell", "49999.8", "0.500", False),
    ]
    assert message["data"][0]["i"] != message["data"][1]["i"]


async def test_a_linear_ticker_sends_what_changed_and_a_spot_one_everything(venue, client, time):
    async with client.public("tickers.BTCUSDT") as linear, client.public("tickers.BTCUSDT", category="spot") as spot:
        whole, spot_whole = await linear.next(), await spot.next()
        for category in ("linear", "spot"):
            venue.god.place_other(f"BTC/USDT:{category}", Side.SELL, size="0.5")
        await time.advance(0.1)
        delta, spot_next = await linear.next(), await spot.next()

    assert (whole["type"], whole["data"]["markPrice"]) == ("snapshot", "50000.0")
    assert (delta["type"], delta["data"]["lastPrice"]) == ("delta", "49999.9")
    # The touch's price has not changed, but travels with its size.
    assert (delta["data"]["bid1Price"], delta["data"]["bid1Size"]) == ("49999.9", "0.500")
    assert "ask1Price" not in delta["data"]
    assert (spot_whole["type"], spot_next["type"]) == ("snapshot", "snapshot")
    assert set(spot_next["data"]) == set(spot_whole["data"])
    assert spot_next["data"]["lastPrice"] == "49999.99"


async def test_a_gap_uses_its_number_up(venue, client, time):
    async with client.public("orderbook.50.BTCUSDT") as socket:
        first = await socket.next()
        venue.faults.next("depth", Fault.GAP)
        for size in ("1", "2"):
            venue.god.place_other("BTC/USDT:linear", Side.BUY, price="49999.9", size=size)
            await time.advance(0.02)
        message = await socket.next()

    assert message["data"]["u"] == first["data"]["u"] + 2


async def test_an_idle_connection_is_closed_and_a_pinging_one_is_not(client, time):
    async with client.public() as idle, client.public() as busy:
        for _ in range(22):
            await time.advance(30)
            assert (await busy.ask("ping"))["ret_msg"] == "pong"
        code = await idle.closed()

    assert code == 1001


async def test_the_private_stream_can_be_lost_while_the_public_one_lives(venue, client, time):
    async with client.public("orderbook.1.BTCUSDT") as public, client.private("order") as private:
        await public.next()
        venue.faults.lose(Role.PRIVATE)
        await private.closed()
        await time.advance(3)
        message = await public.next()

    assert message["topic"] == "orderbook.1.BTCUSDT"

"""Market streams, listen keys and dead-man switches of Binance USD-M."""

from __future__ import annotations

from decimal import Decimal

import pytest
from websockets.exceptions import InvalidStatus

from mmframe.domain.market import Side
from mmframe_localvenue import CrowdSetup, Fault, MarketSetup, Role

CROWD = MarketSetup(crowd=CrowdSetup())
HOUR_S = 3_600


class Follower:
    """A book kept by the recipe of the futures documents: drop `u < L`, begin at `U <= L <= u`, then chain by `pu`."""

    def __init__(self, snapshot):
        self.snapshot_id = snapshot["lastUpdateId"]
        self.last = None
        self.sides = {name: {Decimal(p): Decimal(q) for p, q in snapshot[name + "s"]} for name in ("bid", "ask")}

    def apply(self, event):
        if self.last is None:
            if event["u"] < self.snapshot_id:
                return
            assert event["U"] <= self.snapshot_id <= event["u"]
        else:
            assert event["pu"] == self.last
        self.last = event["u"]
        for side, name in (("bid", "b"), ("ask", "a")):
            for price, size in event[name]:
                self.sides[side][Decimal(price)] = Decimal(size)

    def levels(self, instrument):
        return [
            [
                (instrument.price_ticks(price), instrument.size_lots(size))
                for price, size in sorted(self.sides[side].items(), reverse=side == "bid")
                if size
            ]
            for side in ("bid", "ask")
        ]


def true_levels(market):
    return [market.engine.levels(side, 10_000) for side in (Side.BUY, Side.SELL)]


def stream(futures, branch, *names):
    return futures.client.socket(f"{futures.venue.stream_url}/{branch}stream?streams={'/'.join(names)}")


async def private(futures, socket, kind):
    return await socket.until(lambda message: message.get("e") == kind)


async def is_silent(socket):
    """Tell whether nothing is on its way: an answer comes after everything sent before it."""
    await socket.send(method="GET_PROPERTY", params=["combined"], id=-7)
    return (await socket.next()).get("id") == -7


@pytest.mark.parametrize(("name", "step_s"), [("depth@100ms", 0.1), ("depth", 0.25), ("depth@500ms", 0.5)])
async def test_snapshot_and_diffs_make_the_true_book(open_futures, time, name, step_s):
    truth, holes = {}, 0
    async with open_futures(markets=(CROWD,)) as futures, stream(futures, "public/", f"btcusdt@{name}") as socket:
        market = futures.venue.market("BTC/USDT")
        market.on_book.append(lambda one, _: truth.__setitem__(one.update_id, true_levels(one)))
        await socket.ask_list()
        await time.advance(2)
        raw = await futures.client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=1000")
        follower = Follower(raw.json())
        ids = {}
        events = []
        for _ in range(12):
            await time.advance(step_s * 2)
            ids[(await depth_id(futures))] = true_levels(market)
            events.append((await socket.next())["data"])
            events.append((await socket.next())["data"])
        for event in events:
            previous = follower.last
            follower.apply(event)
            holes += previous is not None and event["U"] != previous + 1
            if event["u"] in ids:
                assert follower.levels(market.instrument) == ids[event["u"]]
                ids["matched"] = True

    assert ids.get("matched")
    assert holes


async def depth_id(futures):
    answer = await futures.client.raw("GET", "/fapi/v1/depth", "symbol=BTCUSDT&limit=5")
    return answer.json()["lastUpdateId"]


async def test_a_partial_book_names_its_kind_and_does_not_wait_for_a_change(futures, time):
    async with stream(futures, "public/", "btcusdt@depth5@100ms") as socket:
        await socket.ask_list()
        await time.advance(0.1)
        first = (await socket.next())["data"]
        await time.advance(1)
        futures.venue.god.place_other("BTCUSDT", Side.BUY, price="49999.99", size="1")
        await time.advance(0.1)
        second = (await socket.next())["data"]

    assert (first["e"], len(first["b"]), len(first["a"])) == ("depthUpdate", 5, 5)
    assert first["b"][0] == ["49999.99", "1.00000"]
    assert second["b"][0] == ["49999.99", "2.00000"]
    assert first["u"] < second["U"]


async def test_each_path_carries_its_own_streams_only(futures, time):
    names = ("btcusdt@trade", "btcusdt@aggTrade", "btcusdt@bookTicker", "btcusdt@markPrice@1s")
    async with (
        stream(futures, "public/", *names) as public,
        stream(futures, "market/", *names) as market,
        stream(futures, "", *names) as plain,
    ):
        for socket in (public, market, plain):
            assert await socket.ask_list() == list(names)
        await futures.take("SELL", "1.5")
        await time.advance(1)
        heard = {}
        for name, socket, count in (("public", public, 3), ("market", market, 3), ("plain", plain, 6)):
            heard[name] = sorted([(await socket.next())["stream"].partition("@")[2] for _ in range(count)])
        assert all([await is_silent(socket) for socket in (public, market, plain)])

    assert heard["public"] == ["bookTicker", "trade", "trade"]
    assert heard["market"] == ["aggTrade", "aggTrade", "markPrice@1s"]
    assert heard["plain"] == sorted(heard["public"] + heard["market"])


async def test_the_statistics_of_a_day_come_every_two_seconds(futures, time):
    async with stream(futures, "market/", "btcusdt@ticker", "btcusdt@miniTicker") as socket:
        await socket.ask_list()
        await futures.take("SELL", "1.5")
        await time.advance(2)
        whole, mini = (await socket.next())["data"], (await socket.next())["data"]
        shown = (await futures.client.raw("GET", "/fapi/v1/ticker/24hr", "symbol=BTCUSDT")).json()
        await time.advance(1)
        assert await is_silent(socket)

    assert (whole["e"], mini["e"]) == ("24hrTicker", "24hrMiniTicker")
    assert (whole["c"], whole["v"], whole["n"]) == (shown["lastPrice"], shown["volume"], shown["count"])
    assert (shown["volume"], shown["count"]) == ("1.50000", 2)
    assert mini == {name: whole[name] for name in "Escohlvq"} | {"e": "24hrMiniTicker"}


async def test_trades_of_one_price_within_100_ms_are_one_aggregate(futures, time):
    god = futures.venue.god
    async with futures.client.socket(f"{futures.venue.stream_url}/market/ws/btcusdt@aggTrade") as socket:
        await socket.ask_list()
        for _ in range(2):
            god.place_other("BTCUSDT", Side.BUY, size="0.25", is_immediate=True)
        await time.advance(0.1)
        first = await socket.next()
        god.place_other("BTCUSDT", Side.BUY, size="0.25", is_immediate=True)
        await time.advance(0.1)
        second = await socket.next()
        listed = (await futures.client.raw("GET", "/fapi/v1/aggTrades", "symbol=BTCUSDT")).json()

    assert (first["q"], first["l"] - first["f"], first["p"], first["m"]) == ("0.50000", 1, "50000.01", False)
    assert (second["q"], second["a"]) == ("0.25000", first["a"] + 1)
    assert [(one["a"], one["q"]) for one in listed] == [(first["a"], "0.50000"), (second["a"], "0.25000")]


async def test_a_trade_says_that_it_is_of_the_book_and_the_ticker_shows_the_touch(futures):
    async with stream(futures, "public/", "btcusdt@trade", "btcusdt@bookTicker") as socket:
        await socket.ask_list()
        futures.venue.god.place_other("BTCUSDT", Side.SELL, size="1", is_immediate=True)
        trade, ticker = [(await socket.next())["data"] for _ in range(2)]

    assert (trade["e"], trade["X"], trade["m"], trade["p"], trade["q"]) == (
        "trade",
        "MARKET",
        True,
        "49999.99",
        "1.00000",
    )
    assert (ticker["e"], ticker["b"], ticker["B"], ticker["a"]) == ("bookTicker", "49999.98", "1.00000", "50000.01")


async def test_more_than_ten_messages_a_second_end_the_connection(futures):
    async with futures.client.socket(f"{futures.venue.stream_url}/public/ws") as socket:
        for number in range(11):
            await socket.send(method="LIST_SUBSCRIPTIONS", id=number)
        code = await socket.closed()

    assert code == 1008


async def test_what_is_not_a_command_is_answered_with_an_error(futures):
    async with futures.client.socket(f"{futures.venue.stream_url}/market/ws") as socket:
        await socket.raw.send("{")
        broken = await socket.next()
        await socket.send(method="SING", id=2)
        unknown = await socket.next()
        await socket.send(method="SET_PROPERTY", params=["combined", True], id=3)
        switched = await socket.next()
        await socket.send(method="SUBSCRIBE", params=["btcusdt@aggTrade"], id=4)
        await socket.next()
        await socket.send(method="UNSUBSCRIBE", params=["btcusdt@aggTrade"], id=5)
        await socket.next()
        left = await socket.ask_list()

    assert (broken["error"]["code"], unknown["error"]["code"]) == (3, 2)
    assert switched == {"result": None, "id": 3}
    assert left == []


# Listen keys


async def leap(time, seconds):
    """Move time on at once: what wakes in between wakes late, and once."""
    await time.advance(0)
    time.clock.advance_to(time.clock.now_ns() + seconds * 10**9)
    await time.advance(0.01)


async def test_a_listen_key_lives_an_hour_and_each_renewal_another(futures, time):
    first = (await futures.listen_key()).json()["listenKey"]
    again = (await futures.listen_key()).json()["listenKey"]
    await leap(time, HOUR_S - 60)
    kept = (await futures.listen_key("PUT")).json()["listenKey"]
    await leap(time, HOUR_S - 60)
    async with futures.client.socket(f"{futures.venue.private_url}/ws/{first}") as socket:
        await socket.ask_list()
        await leap(time, 61)
        expired = await socket.next()
        await futures.place()
        assert await is_silent(socket)
    gone = await futures.listen_key("PUT")
    fresh = (await futures.listen_key()).json()["listenKey"]

    assert first == again == kept
    assert (expired["e"], expired["listenKey"]) == ("listenKeyExpired", first)
    assert (gone.status_code, gone.json()) == (400, {"code": -1125, "msg": "This listenKey does not exist."})
    assert fresh != first


async def test_a_deleted_listen_key_ends_its_streams(futures):
    async with futures.private() as socket:
        answer = await futures.listen_key("DELETE")
        await socket.closed()

    assert answer.json() == {}


async def test_a_listen_key_that_nobody_made_is_taken_and_stays_silent(futures):
    await futures.listen_key()
    async with futures.client.socket(f"{futures.venue.private_url}/ws/{'0' * 64}") as socket:
        await socket.ask_list()
        await futures.place()
        assert await is_silent(socket)


async def test_user_events_come_on_each_form_of_the_private_path(futures):
    key = (await futures.listen_key()).json()["listenKey"]
    base = futures.venue.private_url
    async with (
        futures.client.socket(f"{base}/stream?streams={key}") as combined,
        futures.client.socket(f"{base}/ws?listenKey={key}&events=ACCOUNT_UPDATE") as filtered,
        futures.client.socket(f"{base}/stream") as subscribed,
        futures.client.socket(f"{futures.venue.stream_url}/ws/{key}") as plain,
    ):
        await subscribed.send(method="SUBSCRIBE", params=[key], id=1)
        await subscribed.next()
        for socket in (combined, filtered, plain):
            await socket.ask_list()
        await futures.take()
        wrapped = [await combined.next(), await subscribed.next()]
        only = await filtered.next()
        bare = await plain.next()

    assert [(one["stream"], one["data"]["e"]) for one in wrapped] == [(key, "ORDER_TRADE_UPDATE")] * 2
    assert only["e"] == "ACCOUNT_UPDATE"
    assert bare["o"]["x"] == "NEW"


async def test_the_private_stream_can_be_lost_while_the_public_one_lives(futures):
    async with futures.private() as socket, stream(futures, "public/", "btcusdt@bookTicker") as public:
        await public.ask_list()
        lost = futures.venue.faults.lose(Role.PRIVATE)
        await socket.closed()
        await futures.take("BUY", "1")
        told = await public.next()
        with pytest.raises(InvalidStatus, match="503"):
            async with futures.private():
                pass
        futures.venue.faults.heal()
        async with futures.private() as back:
            await futures.cancel("nope")
            assert await is_silent(back)

    assert lost == 1
    assert told["data"]["e"] == "bookTicker"


async def test_stream_faults_hit_user_events_by_name(futures):
    async with futures.private() as socket:
        futures.venue.faults.next("user-stream", Fault.GAP)
        await futures.place()
        await futures.cancel()
        heard = await socket.next()

    assert heard["o"]["x"] == "CANCELED"


# Dead-man switch


async def count_down(futures, milliseconds):
    params = dict(symbol="BTCUSDT", countdownTime=milliseconds)
    return (await futures.ask("POST", "/fapi/v1/countdownCancelAll", **params)).json()


async def test_orders_end_when_nobody_renews_the_countdown(futures, time):
    await futures.place()
    answer = await count_down(futures, 10_000)
    async with futures.private() as socket:
        await time.advance(9)
        await count_down(futures, 10_000)
        await time.advance(9.9)
        was_open = len(futures.venue.god.open_orders())
        await time.advance(0.2)
        ended = (await private(futures, socket, "ORDER_TRADE_UPDATE"))["o"]

    assert answer == {"symbol": "BTCUSDT", "countdownTime": "10000"}
    assert was_open == 1
    assert (ended["c"], ended["X"]) == ("f-1", "CANCELED")
    assert futures.venue.god.open_orders() == []


async def test_a_countdown_of_nothing_stops_it(futures, time):
    await futures.place()
    await count_down(futures, 10_000)
    await count_down(futures, 0)

    await time.advance(60)

    assert len(futures.venue.god.open_orders()) == 1

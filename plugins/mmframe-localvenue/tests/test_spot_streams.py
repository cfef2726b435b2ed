"""Market streams: a book followed by the documented recipe is the true one; limits and life of a connection."""

from __future__ import annotations

import json
from decimal import Decimal

import anyio
import pytest

from mmframe.domain.market import Side
from mmframe_localvenue import CrowdSetup, Fault, MarketSetup, Role

CROWD = MarketSetup(crowd=CrowdSetup())


class Follower:
    """A book kept by the exchange's recipe "How to manage a local order book correctly"."""

    def __init__(self, snapshot):
        self.last = snapshot["lastUpdateId"]
        self.sides = {
            "b": {Decimal(p): Decimal(q) for p, q in snapshot["bids"]},
            "a": {Decimal(p): Decimal(q) for p, q in snapshot["asks"]},
        }
        self.gaps = 0

    def apply(self, event):
        if event["u"] <= self.last:
            return
        if event["U"] > self.last + 1:
            self.gaps += 1
        for side, levels in self.sides.items():
            for price, size in event[side]:
                if Decimal(size):
                    levels[Decimal(price)] = Decimal(size)
                else:
                    levels.pop(Decimal(price), None)
        self.last = event["u"]

    def levels(self, instrument):
        sides = (sorted(self.sides["b"].items(), reverse=True), sorted(self.sides["a"].items()))
        return [[(instrument.price_ticks(p), instrument.size_lots(q)) for p, q in side] for side in sides]


def true_levels(market):
    return [market.engine.levels(side, 10_000) for side in (Side.BUY, Side.SELL)]


async def test_snapshot_and_diffs_make_the_true_book(open_venue, time):
    truth = {}
    async with open_venue(markets=(CROWD,)) as (venue, client), client.stream("btcusdt@depth@100ms") as socket:
        market = venue.market("BTC/USDT")
        market.on_book.append(lambda one, change: truth.__setitem__(change.last_update_id, true_levels(one)))
        await time.advance(0.3)
        snapshot = (await client.http.get("/api/v3/depth", params={"symbol": "BTCUSDT", "limit": 5000})).json()
        follower = Follower(snapshot)
        end = market.update_id + 200
        while market.update_id < end + 100:
            await time.advance(0.5)

        compared = 0
        while follower.last < end:
            follower.apply((await socket.next())["data"])
            if follower.last > snapshot["lastUpdateId"]:
                assert follower.levels(market.instrument) == truth[follower.last]
                compared += 1

    assert follower.gaps == 0
    assert compared > 5


async def test_the_same_seed_makes_the_same_market(open_venue, time):
    books = []
    for _ in range(2):
        time.clock._now_ns = 1_700_000_000_000_000_000
        async with open_venue(markets=(CROWD,), seed=7) as (venue, _):
            await time.advance(3)
            market = venue.market("BTC/USDT")
            books.append((market.levels(Side.BUY, 50), market.update_id, len(market.trades)))

    assert books[0] == books[1]
    assert books[0][2] > 0


async def test_a_gap_a_duplicate_and_a_swap_show_as_such(open_venue, time):
    async with open_venue() as (venue, client), client.stream("btcusdt@depth@100ms") as socket:
        for fault in (Fault.GAP, Fault.DUPLICATE, Fault.REORDER):
            venue.faults.next("depth", fault)
            for size in ("1", "2"):
                venue.god.place_other("BTC/USDT", Side.BUY, price="49990", size=size)
                await time.advance(0.1)

        ids = [(await socket.next())["data"]["u"] for _ in range(6)]

    first = ids[0]
    assert ids == [first, first + 1, first + 1, first + 2, first + 4, first + 3]
    assert first == 1_000_002  # the first update never came


async def test_partial_books_come_whole_and_without_an_event_name(open_venue, time):
    async with open_venue() as (_, client), client.stream("btcusdt@depth5@100ms") as socket:
        await socket.ask_list()

        await time.advance(0.1)
        message = await socket.next()

        assert message["stream"] == "btcusdt@depth5@100ms"
        assert set(message["data"]) == {"lastUpdateId", "bids", "asks"}
        assert len(message["data"]["bids"]) == len(message["data"]["asks"]) == 5
        assert message["data"]["bids"][0] == ["49999.99000000", "1.00000000"]


async def test_trades_of_one_taker_are_told_singly_and_together(open_venue):
    async with open_venue() as (venue, client), client.stream("btcusdt@trade", "btcusdt@aggTrade") as socket:
        await socket.ask_list()
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="1")
        venue.god.place_other("BTC/USDT", Side.SELL, price="49999.99", size="0.2")
        for _ in range(2):
            venue.god.place_other("BTC/USDT", Side.BUY, price="49999.99", size="0.5")

        # Takes what is left of the bid: the still book's 0.8, then the two of 0.5.
        venue.god.place_other("BTC/USDT", Side.SELL, price="49999.99", size="1.5", is_immediate=True)

        messages = [(await socket.next())["data"] for _ in range(7)]

    told = [(one["e"], one["p"], one["q"], one["m"]) for one in messages]
    bid, ask = "49999.99000000", "50000.01000000"
    assert told == [
        ("trade", ask, "1.00000000", False),
        ("aggTrade", ask, "1.00000000", False),
        ("trade", bid, "0.20000000", True),
        ("aggTrade", bid, "0.20000000", True),
        ("trade", bid, "0.80000000", True),
        ("trade", bid, "0.50000000", True),
        ("trade", bid, "0.20000000", True),
    ]


async def test_the_statistics_of_a_day_come_every_second(open_venue, time):
    async with open_venue() as (venue, client), client.stream("btcusdt@ticker", "btcusdt@miniTicker") as socket:
        venue.god.place_other("BTCUSDT", Side.BUY, size="1.5", is_immediate=True)
        await time.advance(1)
        whole, mini = (await socket.next())["data"], (await socket.next())["data"]
        shown = (await client.http.get("/api/v3/ticker/24hr", params={"symbol": "BTCUSDT"})).json()

    assert (whole["e"], mini["e"]) == ("24hrTicker", "24hrMiniTicker")
    assert (whole["c"], whole["v"], whole["n"]) == (shown["lastPrice"], shown["volume"], shown["count"])
    assert (whole["b"], whole["A"]) == (shown["bidPrice"], shown["askQty"])
    assert (shown["volume"], shown["count"]) == ("1.50000000", 2)
    assert mini == {name: whole[name] for name in "Escohlvq"} | {"e": "24hrMiniTicker"}


async def test_the_touch_is_told_when_it_changes_and_only_then(open_venue):
    async with open_venue() as (venue, client), client.stream("btcusdt@bookTicker") as socket:
        await socket.ask_list()
        venue.god.place_other("BTC/USDT", Side.BUY, price="49990", size="1")
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.00", size="0.4")

        first, second = (await socket.next())["data"], (await socket.next())["data"]

    assert first["b"] == "49999.99000000"  # the first one after opening tells where it stands
    assert (second["b"], second["B"], second["a"]) == ("50000.00000000", "0.40000000", "50000.01000000")


async def test_live_subscriptions_are_acknowledged_and_listed(venue, client):
    async with client.socket(f"{venue.stream_url}/ws") as socket:
        await socket.send(method="SUBSCRIBE", params=["btcusdt@trade", "btcusdt@depth"], id=1)
        subscribed = await socket.next()
        await socket.send(method="UNSUBSCRIBE", params=["btcusdt@depth"], id="two")
        left = await socket.next()
        await socket.send(method="LIST_SUBSCRIPTIONS", id=None)
        listed = await socket.next()
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="1")
        trade = await socket.next()

    assert subscribed == {"result": None, "id": 1}
    assert left == {"result": None, "id": "two"}
    assert listed == {"result": ["btcusdt@trade"], "id": None}
    assert trade["e"] == "trade"  # raw: no wrapper


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", 3),
        ("[" * 100_000, 3),
        ('{"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[]}', 2),
        ('{"method":"SHOUT","params":[],"id":1}', 2),
        ('{"method":"GET_PROPERTY","params":["colour"],"id":1}', 0),
    ],
)
async def test_bad_commands_are_answered_in_the_exchanges_words(venue, client, text, code):
    async with client.socket(f"{venue.stream_url}/ws") as socket:
        await socket.raw.send(text)

        assert (await socket.next())["code"] == code


async def test_a_sixth_message_within_a_second_ends_the_connection(venue, client, time):
    async with client.socket(f"{venue.stream_url}/ws") as socket:
        for number in range(5):
            await socket.send(method="LIST_SUBSCRIPTIONS", id=number)
            await socket.next()
        await time.advance(1)
        for number in range(6):
            await socket.send(method="LIST_SUBSCRIPTIONS", id=number)

        assert await socket.closed() == 1008


async def test_a_client_that_answers_no_ping_is_cut(open_venue, time):
    async with open_venue() as (venue, client), client.stream("btcusdt@trade") as socket:
        await time.advance(19)
        pongs = venue.god.connections[0]

        # A library answers pings by itself; this one is muted below it.
        socket.raw.protocol.pong_sent = None
        socket.raw.transport.pause_reading()
        await time.advance(1)
        await time.advance(61)

        await venue.god.until(lambda: pongs not in venue.god.connections)
        socket.raw.transport.resume_reading()


async def test_a_connection_lives_no_longer_than_it_may_and_is_told_before(open_venue, time):
    async with (
        open_venue(socket_lifetime_s=90.0) as (_, client),
        client.stream("btcusdt@trade") as combined,
        client.private() as private,
    ):
        for _ in range(8):
            await time.advance(10)
            for socket in (combined, private):
                with anyio.fail_after(10):
                    # Its pongs to the venue's own pings have arrived by then.
                    await (await socket.raw.ping("still here"))
        await time.advance(11)

        warned = await combined.next()
        wrapped = await private.event()

        assert warned["stream"] == "!serverShutdown"
        assert warned["data"]["e"] == wrapped["e"] == "serverShutdown"
        assert await combined.closed() == 1001
        assert await private.closed() == 1001


async def test_a_server_that_goes_says_so_first(open_venue):
    async with (
        open_venue() as (venue, client),
        client.socket(f"{venue.stream_url}/ws/btcusdt@trade") as raw,
        client.private() as private,
    ):
        await raw.ask_list()
        assert venue.faults.shut_down(Role.MARKET) == 1

        assert (await raw.next())["e"] == "serverShutdown"
        assert await raw.closed() == 1001
        assert (await private.ask("ping"))["result"] == {}


async def test_a_server_that_goes_may_leave_time_to_connect_anew(open_venue, time):
    async with (
        open_venue() as (venue, client),
        client.socket(f"{venue.stream_url}/ws/btcusdt@trade") as old,
    ):
        await old.ask_list()
        venue.faults.shut_down(Role.MARKET, after_s=600)
        warned = await old.next()
        await time.advance(599)
        async with client.socket(f"{venue.stream_url}/ws/btcusdt@trade") as new:
            await new.ask_list()
            venue.god.place_other("BTC/USDT", Side.BUY, size="1", is_immediate=True)
            heard = [await old.next(), await new.next()]
            await time.advance(1)

            assert await old.closed() == 1001
            assert await new.ask_list() == ["btcusdt@trade"]

    assert warned["e"] == "serverShutdown"
    assert heard[0] == heard[1]


async def test_stale_data_stops_while_the_connection_lives(open_venue, time):
    async with open_venue() as (venue, client), client.stream("btcusdt@trade") as socket:
        venue.faults.hold_data(Role.MARKET)
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="1")
        alive = await socket.ask_list()
        venue.faults.heal()
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.02", size="1")
        first = await socket.next()

        assert alive == ["btcusdt@trade"]
        assert first["data"]["p"] == "50000.02000000"


async def test_a_half_open_socket_takes_everything_and_says_nothing(open_venue):
    async with open_venue() as (venue, client), client.stream("btcusdt@trade") as socket:
        venue.faults.silence(Role.MARKET)
        await socket.send(method="LIST_SUBSCRIPTIONS", id=1)
        pong = await socket.raw.ping("anybody?")
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="1")
        async with client.stream("btcusdt@trade") as late:
            await late.send(method="LIST_SUBSCRIPTIONS", id=2)
            # The venue has read both requests before it heals: it stays silent about them for good.
            await client.http.get("/api/v3/ping")
            assert not pong.done()
        venue.faults.cut(Role.MARKET)

        assert await socket.closed() == 1006
        assert not pong.done() or pong.exception() is not None


async def test_the_private_stream_can_be_lost_alone(open_venue):
    async with open_venue() as (venue, client), client.stream("btcusdt@trade") as public:
        async with client.private() as private:
            assert venue.faults.lose(Role.PRIVATE) == 1
            assert await private.closed() == 1006
        async with client.socket(venue.ws_api_url) as api:
            await api.send(id=1, method="ping")
            assert (await api.next())["result"] == {}
            await api.send(id=2, method="userDataStream.subscribe.signature", params=client.signed_frame({}))
            assert await api.closed() == 1006
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="1")
        assert (await public.next())["data"]["e"] == "trade"

        venue.faults.heal()
        async with client.private():
            pass


@pytest.mark.parametrize(
    ("fault", "looks_like"),
    [
        (Fault.CORRUPT, lambda text: not text.endswith("}")),
        (Fault.HUGE, lambda text: len(text) > 2**25),
        (Fault.NESTED, lambda text: text.startswith("[" * 1000)),
    ],
    ids=["corrupt", "huge", "nested"],
)
async def test_a_frame_can_be_spoiled(open_venue, fault, looks_like):
    async with open_venue() as (venue, client), client.stream("btcusdt@trade") as socket:
        await socket.ask_list()
        injection = venue.faults.next("trade", fault)
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="0.1")
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="0.2")

        assert looks_like(await socket.text())
        assert json.loads(await socket.text())["data"]["q"] == "0.20000000"
        assert injection.used == 1


@pytest.mark.parametrize(("fault", "code"), [(Fault.CLOSE, 1012), (Fault.CUT, 1006)], ids=["close", "cut"])
async def test_a_message_can_end_its_connection(open_venue, fault, code):
    async with open_venue() as (venue, client), client.stream("btcusdt@trade") as socket:
        await socket.ask_list()
        venue.faults.next("trade", fault, code=code)
        venue.god.place_other("BTC/USDT", Side.BUY, price="50000.01", size="0.1")

        assert await socket.closed() == code

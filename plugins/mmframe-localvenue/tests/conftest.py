"""A venue on a clock that the test moves, and a client that speaks bare HTTP and websocket frames."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from decimal import Decimal
from urllib.parse import quote

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from mmframe.net.timing import Timing
from mmframe.testing import ManualClock
from mmframe_localvenue import AccountSetup, LocalVenue, MarketSetup, VenueSetup

PATIENCE_S = 10
"""How long a test waits for what has to happen on real sockets; reached only by a failure."""


class ManualTime:
    """A clock with sleepers: they wake when the test moves time past their due moment."""

    def __init__(self):
        self.clock = ManualClock()
        self.timing = Timing(self.clock, self.sleep)
        self._sleepers = []

    @property
    def now_ms(self):
        return self.clock.now_ns() // 1_000_000

    async def sleep(self, seconds):
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (self.clock.now_ns() + round(seconds * 1e9), anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def advance(self, seconds):
        """Move time forward through each moment at which somebody wakes."""
        end_ns = self.clock.now_ns() + round(seconds * 1e9)
        while True:
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            due_ns = min((due for due, _ in self._sleepers if due <= end_ns), default=None)
            if due_ns is None:
                break
            self.clock.advance_to(max(due_ns, self.clock.now_ns()))
            for due, event in self._sleepers:
                if due <= self.clock.now_ns():
                    event.set()
        self.clock.advance_to(end_ns)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()


class Socket:
    """One websocket: JSON in, JSON out."""

    def __init__(self, raw, client):
        self.raw = raw
        self.client = client
        self._last_id = 0

    async def send(self, **frame):
        await self.raw.send(json.dumps(frame))

    async def text(self):
        with anyio.fail_after(PATIENCE_S):
            return await self.raw.recv()

    async def next(self):
        return json.loads(await self.text())

    async def until(self, condition):
        """Return the next message for which `condition` holds, and forget those before it."""
        while True:
            message = await self.next()
            if condition(message):
                return message

    async def ask(self, method, **params):
        """Send a request of the WebSocket API and return its answer."""
        self._last_id += 1
        number = self._last_id
        await self.send(id=number, method=method, params=params)
        return await self.until(lambda message: message.get("id") == number)

    async def ask_signed(self, method, **params):
        return await self.ask(method, **self.client.signed_frame(params))

    async def ask_list(self):
        """Return the streams that the venue counts as subscribed: it has served the socket by then."""
        await self.send(method="LIST_SUBSCRIPTIONS", id=-1)
        return (await self.until(lambda message: message.get("id") == -1))["result"]

    async def event(self, kind=None):
        """Return the next private event, of one kind if told."""
        while True:
            message = await self.next()
            event = message.get("event")
            if event is not None and (kind is None or event["e"] == kind):
                return event

    async def closed(self):
        """Wait until the other side has ended the connection, and return the close code."""
        with anyio.fail_after(PATIENCE_S):
            await self.raw.wait_closed()
        return self.raw.close_code


class Client:
    """Signed requests as the documents describe them."""

    def __init__(self, venue, http, time, *, key="local-key", secret="local-secret"):
        self.venue = venue
        self.http = http
        self.time = time
        self.key = key
        self.secret = secret

    def sign(self, payload):
        return hmac.new(self.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def signed_frame(self, params):
        fields = {"apiKey": self.key, "timestamp": self.time.now_ms, **params}
        payload = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
        return fields | {"signature": self.sign(payload)}

    async def raw(self, method, path, query="", *, body="", headers=None):
        url = f"{path}?{query}" if query else path
        sent = {"X-MBX-APIKEY": self.key, "Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
        return await self.http.request(method, url, content=body or None, headers=sent)

    async def signed(self, method, path, **params):
        query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())
        payload = "&".join(part for part in (query, f"timestamp={self.time.now_ms}") if part)
        return await self.raw(method, path, f"{payload}&signature={self.sign(payload)}")

    async def place(self, client_id="a-1", *, side="BUY", price="49999.99", quantity="0.5", **more):
        params = dict(symbol="BTCUSDT", side=side, type="LIMIT", quantity=quantity, newClientOrderId=client_id)
        if price is not None:
            params["price"] = price
        params |= more
        if params["type"] == "LIMIT":
            params.setdefault("timeInForce", "GTC")
        return await self.signed("POST", "/api/v3/order", **params)

    async def cancel(self, client_id="a-1", **more):
        return await self.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=client_id, **more)

    @contextlib.asynccontextmanager
    async def socket(self, url):
        async with connect(url, proxy=None, compression=None, max_size=2**26, max_queue=None) as raw:
            yield Socket(raw, self)

    @contextlib.asynccontextmanager
    async def private(self):
        """Open the WebSocket API with the account's events on it."""
        async with self.socket(self.venue.ws_api_url) as socket:
            answer = await socket.ask_signed("userDataStream.subscribe.signature")
            assert answer["result"] == {"subscriptionId": 0}
            yield socket

    def stream(self, *names):
        return self.socket(f"{self.venue.stream_url}/stream?streams={'/'.join(names)}")


class Futures:
    """Requests of a USD-M account, and its private stream."""

    def __init__(self, venue, client):
        self.venue = venue
        self.client = client

    async def ask(self, method, path, **params):
        return await self.client.signed(method, path, **params)

    async def place(self, client_id="f-1", *, side="BUY", price="49999.99", quantity="0.5", **more):
        params = dict(symbol="BTCUSDT", side=side, type="LIMIT", quantity=quantity, newClientOrderId=client_id) | more
        if params["type"] == "LIMIT":
            params = {"price": price, "timeInForce": "GTC"} | params
        return await self.ask("POST", "/fapi/v1/order", **params)

    async def take(self, side="BUY", quantity="0.5", **more):
        return await self.place(f"t-{side}-{quantity}", side=side, quantity=quantity, type="MARKET", **more)

    async def modify(self, client_id="f-1", *, side="BUY", price, quantity, **more):
        params = dict(symbol="BTCUSDT", origClientOrderId=client_id, side=side, price=price, quantity=quantity)
        return await self.ask("PUT", "/fapi/v1/order", **params, **more)

    async def cancel(self, client_id="f-1"):
        return await self.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", origClientOrderId=client_id)

    async def listen_key(self, method="POST"):
        return await self.client.raw(method, "/fapi/v1/listenKey")

    @contextlib.asynccontextmanager
    async def private(self):
        key = (await self.listen_key()).json()["listenKey"]
        async with self.client.socket(f"{self.venue.private_url}/ws/{key}") as socket:
            assert await socket.ask_list() == [key]
            yield socket


@pytest.fixture
def time():
    return ManualTime()


@pytest.fixture
def open_venue(time):
    """Return a context manager that opens a venue and yields it with a client of its first account."""

    @contextlib.asynccontextmanager
    async def open_it(**setup):
        async with (
            LocalVenue(VenueSetup(timing=time.timing, **setup)) as venue,
            httpx.AsyncClient(base_url=venue.rest_url, timeout=PATIENCE_S, trust_env=False) as http,
        ):
            key = next(iter(venue.god.account().keys.values()))
            yield venue, Client(venue, http, time, key=key.key, secret=key.secret)

    return open_it


@pytest.fixture
async def venue_and_client(open_venue):
    async with open_venue() as pair:
        yield pair


@pytest.fixture
def venue(venue_and_client):
    return venue_and_client[0]


@pytest.fixture
def client(venue_and_client):
    return venue_and_client[1]


@pytest.fixture
def rich():
    """Return an account of round figures."""
    return AccountSetup(balances={"USDT": Decimal(100_000), "BTC": Decimal(2)})


@pytest.fixture
def btc():
    return MarketSetup()


@pytest.fixture
def open_futures(open_venue):
    @contextlib.asynccontextmanager
    async def open_it(**setup):
        async with open_venue(dialect="binance-usdm", **setup) as (venue, client):
            yield Futures(venue, client)

    return open_it


@pytest.fixture
async def futures(open_futures):
    async with open_futures() as one:
        yield one

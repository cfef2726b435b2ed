"""A Bybit venue on a clock that the test moves, and a client that speaks bare HTTP and websocket frames."""

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

from mmframe.domain.instrument import InstrumentKind
from mmframe_localvenue import LocalVenue, MarketSetup, VenueSetup

PATIENCE_S = 10
"""How long a test waits for what has to happen on real sockets; reached only by a failure."""


class Socket:
    """One websocket: JSON in, JSON out."""

    def __init__(self, raw, client):
        self.raw = raw
        self.client = client

    async def send(self, **frame):
        await self.raw.send(json.dumps(frame))

    async def next(self):
        with anyio.fail_after(PATIENCE_S):
            return json.loads(await self.raw.recv())

    async def topic(self, *names):
        """Return the next message of one of these topics, and forget those before it."""
        while True:
            message = await self.next()
            if message.get("topic") in names:
                return message

    async def item(self, topic="order"):
        """Return the only record of the next message of a topic."""
        (record,) = (await self.topic(topic))["data"]
        return record

    async def ask(self, operation, **frame):
        """Send an operation and return its answer, forgetting the data before it."""
        await self.send(op=operation, **frame)
        while True:
            message = await self.next()
            if message.get("op") in {operation, "pong"}:
                return message

    async def log_on(self, *, key=None, secret=None, expires_ms=None):
        expires = self.client.time.now_ms + 10_000 if expires_ms is None else expires_ms
        sign = self.client.sign(f"GET/realtime{expires}", secret)
        return await self.ask("auth", args=[key or self.client.key, expires, sign])

    async def order(self, operation, *args, request_id=None, timestamp=None, **header):
        """Send an operation of the trade socket and return its answer."""
        sent = {"X-BAPI-TIMESTAMP": str(self.client.time.now_ms) if timestamp is None else timestamp} | header
        frame = {"header": sent, "args": list(args)}
        return await self.ask(operation, **(frame if request_id is None else frame | {"reqId": request_id}))

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

    def sign(self, payload, secret=None):
        return hmac.new((secret or self.secret).encode(), payload.encode(), hashlib.sha256).hexdigest()

    def headers(self, payload, *, window="5000", timestamp=None, key=None, sign=None):
        stamp, name = str(self.time.now_ms if timestamp is None else timestamp), key or self.key
        return {
            "X-BAPI-API-KEY": name,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": sign or self.sign(f"{stamp}{name}{window}{payload}"),
            "Content-Type": "application/json",
        }

    async def raw(self, method, path, query="", *, body="", headers=None):
        return await self.http.request(
            method, f"{path}?{query}" if query else path, content=body or None, headers=headers
        )

    async def ask(self, path, **params):
        """Return the answer to a public GET."""
        return (await self.raw("GET", path, _query(params))).json()

    async def get(self, path, **params):
        query = _query(params)
        return (await self.raw("GET", path, query, headers=self.headers(query))).json()

    async def post(self, path, **fields):
        return (await self.response(path, **fields)).json()

    async def response(self, path, **fields):
        body = json.dumps(fields)
        return await self.raw("POST", path, body=body, headers=self.headers(body))

    def ticket(self, link="a-1", *, category="linear", side="Buy", price="49999.9", qty="0.5", **more):
        fields = dict(category=category, symbol="BTCUSDT", side=side, orderType="Limit", qty=qty, orderLinkId=link)
        if price is not None:
            fields["price"] = price
        return {name: value for name, value in (fields | more).items() if value is not None}

    async def create(self, link="a-1", **more):
        return await self.post("/v5/order/create", **self.ticket(link, **more))

    async def amend(self, link="a-1", *, category="linear", **more):
        return await self.post("/v5/order/amend", category=category, symbol="BTCUSDT", orderLinkId=link, **more)

    async def cancel(self, link="a-1", *, category="linear", **more):
        return await self.post("/v5/order/cancel", category=category, symbol="BTCUSDT", orderLinkId=link, **more)

    async def realtime(self, *, category="linear", **more):
        answer = await self.get("/v5/order/realtime", category=category, symbol="BTCUSDT", **more)
        return answer["result"]["list"]

    @contextlib.asynccontextmanager
    async def socket(self, url):
        async with connect(url, proxy=None, compression=None, max_size=2**26, max_queue=None) as raw:
            yield Socket(raw, self)

    @contextlib.asynccontextmanager
    async def public(self, *topics, category="linear"):
        async with self.socket(f"{self.venue.stream_url}/{category}") as socket:
            if topics:
                answer = await socket.ask("subscribe", args=list(topics))
                assert answer["success"] is True
            yield socket

    @contextlib.asynccontextmanager
    async def private(self, *topics, query=""):
        async with self.socket(f"{self.venue.private_url}{query}") as socket:
            assert (await socket.log_on())["success"] is True
            if topics:
                answer = await socket.ask("subscribe", args=list(topics))
                assert answer["success"] is True
            yield socket

    @contextlib.asynccontextmanager
    async def trade(self):
        async with self.socket(self.venue.ws_api_url) as socket:
            assert (await socket.log_on())["retCode"] == 0
            yield socket


def _query(params):
    return "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())


@pytest.fixture
def perpetual():
    """Return the perpetual: 20 levels a side of 1 BTC around 50000, one tick of 0.1 apart."""
    return MarketSetup(
        tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), min_size=Decimal("0.001"), min_price=Decimal("0.1")
    )


@pytest.fixture
def spot_market():
    return MarketSetup(kind=InstrumentKind.SPOT)


@pytest.fixture
def open_venue(time, perpetual, spot_market):
    """Return a context manager that opens a venue and yields it with a client of its first account."""

    @contextlib.asynccontextmanager
    async def open_it(**setup):
        setup = {"markets": (perpetual, spot_market)} | setup
        async with (
            LocalVenue(VenueSetup(dialect="bybit", timing=time.timing, **setup)) as venue,
            httpx.AsyncClient(base_url=venue.rest_url, timeout=PATIENCE_S, trust_env=False) as http,
        ):
            key = next(iter(venue.god.account().keys.values()))
            yield venue, Client(venue, http, time, key=key.key, secret=key.secret)

    return open_it


@pytest.fixture
async def venue_and_client(open_venue):
    async with open_venue(order_limits=((1, 1_000),)) as pair:
        yield pair


@pytest.fixture
def venue(venue_and_client):
    return venue_and_client[0]


@pytest.fixture
def client(venue_and_client):
    return venue_and_client[1]

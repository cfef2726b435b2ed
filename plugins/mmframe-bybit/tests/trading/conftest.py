"""A small exchange on loopback that speaks the v5 account side: HTTP, private stream and trade socket, all real."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
import logging
from collections import defaultdict, deque
from urllib.parse import parse_qs, urlsplit

import anyio
import attrs
import pytest
from websockets.asyncio.server import serve

from mmframe.domain.kinds import Mode
from mmframe.domain.orders import Fill, OrderUpdate, VenueStatus
from mmframe.plugin import Secret
from mmframe.testing import ManualClock, approve, build_context, make_instrument, make_options
from mmframe_bybit.plugin import VENUES
from mmframe_bybit.trading.venue import LiveVenue

PATIENCE_S = 10
"""How long a test waits for what has to happen on real sockets; reached only by a failure."""

KEY = "test-key-0001"
SECRET = "canary-5f2b9c"
BASE_MS = 1_700_000_000_000
SILENCE = object()
"""A request that is never answered."""


class Exchange:
    """One account. Requests take effect and are answered as the documents say, unless `script` says otherwise.

    Attributes:
        requests: Every request as `(what, fields)`, the trade socket's under their operation.
        script: By path or operation: what to answer the next ones with. A number is a `retCode`, an `(int, bytes)` an
            HTTP status and body, `SILENCE` no answer, a callable is called with the fields and returns one of these
            or None for the usual.
        orders: By `orderLinkId`.
    """

    def __init__(self):
        self.requests = []
        self.script = defaultdict(deque)
        self.orders = {}
        self.executions = []
        self.positions = []
        self.listed = {"BTCUSDT": ("0.5", "0.001")}
        self.coins = [
            {"coin": "USDT", "walletBalance": "1000", "locked": "10", "totalOrderIM": "", "totalPositionIM": ""}
        ]
        self.account_mode = 5
        self.key = {
            "readOnly": 0,
            "permissions": {
                "ContractTrade": ["Order", "Position"],
                "Spot": ["SpotTrade"],
                "Wallet": ["AccountTransfer"],
            },
            "ips": ["127.0.0.1"],
            "uta": 1,
        }
        self.moves_prices = True
        self.dcp = []
        self.page_size = 50
        self.cancel_all_max = 500
        self.pushes = True
        self.silence = SILENCE
        self.headers = {}
        self.ahead_ms = 0
        self.now_ms = lambda: BASE_MS
        self.private = []
        self.trade = []
        self.logins = []
        self.topics = []
        self.private_pings = 0
        self.refuses_login = ""
        self._ids = itertools.count(1)
        self._changed = deque()
        self._serving = set()
        self._http = self._sockets = None

    async def start(self):
        self._http = await asyncio.start_server(self._serve_http, "127.0.0.1", 0)
        self._sockets = await serve(self._serve_socket, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1)

    async def stop(self):
        self._http.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*list(self._serving), return_exceptions=True)
        self._sockets.close()
        for connection in (*self.private, *self.trade):
            connection.transport.abort()
        await self._sockets.wait_closed()

    @property
    def rest_url(self):
        return f"http://127.0.0.1:{self._http.sockets[0].getsockname()[1]}"

    @property
    def stream_url(self):
        return f"ws://127.0.0.1:{self._sockets.sockets[0].getsockname()[1]}/v5"

    def asked(self, what):
        return [fields for name, fields in self.requests if name == what]

    async def push(self, topic, *entries):
        frame = json.dumps({"id": "m", "topic": topic, "creationTime": self._time(), "data": list(entries)})
        await self.push_raw(frame)

    async def push_raw(self, frame):
        for connection in self.private:
            with contextlib.suppress(Exception):
                await connection.send(frame)

    async def trade_with(self, client_id, qty, *, exec_id=None, order_first=False, kind="Trade", fee="0.01"):
        """Let an order fill: its execution and its new state are pushed."""
        order = self.orders[client_id]
        filled = float(order["cumExecQty"]) + float(qty)
        order["cumExecQty"] = f"{filled:.3f}"
        order["orderStatus"] = "Filled" if filled >= float(order["qty"]) else "PartiallyFilled"
        self._touch(order)
        execution = {
            "category": order["category"],
            "symbol": order["symbol"],
            "orderId": order["orderId"],
            "orderLinkId": client_id,
            "side": order["side"],
            "execId": exec_id or f"e-{next(self._ids)}",
            "execPrice": order["price"],
            "execQty": qty,
            "execFee": fee,
            "feeCurrency": "USDT",
            "execType": kind,
            "isMaker": True,
            "execTime": str(self._time()),
        }
        self.executions.insert(0, execution)
        pushes = [("execution.linear", execution), ("order.linear", dict(order))]
        for topic, entry in pushes[::-1] if order_first else pushes:
            if self.pushes:
                await self.push(topic, entry)
        return execution

    async def end(self, client_id, status="Cancelled", **more):
        order = self.orders[client_id]
        order.update({"orderStatus": status, "cancelType": "CancelByUser", **more})
        self._touch(order)
        if self.pushes:
            await self.push("order.linear", dict(order))

    def place(self, client_id, *, qty="0.010", price="100", side="Buy", symbol="BTCUSDT", status="New", **more):
        """Let an order rest without anybody having been told."""
        order = self.orders[client_id] = {
            "category": "linear",
            "symbol": symbol,
            "orderId": f"o-{next(self._ids)}",
            "orderLinkId": client_id if not client_id.startswith("foreign") else "",
            "side": side,
            "price": price,
            "qty": qty,
            "cumExecQty": "0",
            "avgPrice": "",
            "leavesQty": "",
            "orderStatus": status,
            "rejectReason": "EC_NoError",
            "cancelType": "UNKNOWN",
            "updatedTime": str(self._time()),
            **more,
        }
        return order

    def _time(self):
        return self.now_ms() + self.ahead_ms

    def _touch(self, order):
        order["updatedTime"] = str(max(self._time(), int(order["updatedTime"]) + 1))

    def open_orders(self, symbol=None):
        return [
            order
            for order in self.orders.values()
            if order["orderStatus"] in {"New", "PartiallyFilled", "Untriggered"} and symbol in {None, order["symbol"]}
        ]

    def _scripted(self, what, fields):
        row = self.script[what]
        answer = row.popleft() if row else None
        return answer(fields) if callable(answer) else answer

    # HTTP.

    async def _serve_http(self, reader, writer):
        task = asyncio.current_task()
        self._serving.add(task)
        try:
            with contextlib.suppress(Exception):
                while await self._serve_request(reader, writer):
                    pass
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def _serve_request(self, reader, writer):
        line = await reader.readline()
        if not line:
            return False
        method, target, _ = line.decode().split()
        headers = {}
        while line := (await reader.readline()).decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        fields = json.loads(body) if body else {name: row[0] for name, row in parse_qs(parts.query).items()}
        self.requests.append((parts.path, fields))
        answer = self._scripted(parts.path, fields)
        if answer is SILENCE:
            await anyio.sleep_forever()
        if isinstance(answer, tuple):
            status, data = answer
        else:
            code = answer if isinstance(answer, int) else self._check(method, parts, headers, body)
            result = await self._result(parts.path, fields) if code == 0 else {}
            if isinstance(result, int):
                code, result = result, {}
            status, data = 200, _envelope(code, result, self._time())
        head = {"Content-Type": "application/json", **self.headers, "Content-Length": len(data)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())
        writer.write(data)
        await writer.drain()
        await self._after()
        return True

    def _check(self, method, parts, headers, body):
        if parts.path.startswith("/v5/market/"):
            return 0
        content = parts.query if method == "GET" else body.decode()
        timestamp, window = headers["x-bapi-timestamp"], headers["x-bapi-recv-window"]
        if headers["x-bapi-api-key"] != KEY:
            return 10003
        if not self._time() - int(window) <= int(timestamp) < self._time() + 1000:
            return 10002
        text = f"{timestamp}{KEY}{window}{content}"
        return 0 if headers["x-bapi-sign"] == _sign(text) else 10004

    async def _result(self, path, fields):  # noqa: PLR0911 - one branch an endpoint
        if path == "/v5/market/time":
            return {"timeSecond": str(self._time() // 1000), "timeNano": str(self._time() * 1_000_000)}
        if path == "/v5/market/instruments-info":
            return {"category": fields["category"], "list": self._listed(fields)}
        if path == "/v5/account/info":
            return {"unifiedMarginStatus": self.account_mode, "marginMode": "REGULAR_MARGIN"}
        if path == "/v5/account/user-setting-config":
            return {"lpaSpot": False, "lpaPerp": not self.moves_prices}
        if path == "/v5/account/set-limit-px-action":
            self.moves_prices = fields["modifyEnable"]
            return {}
        if path == "/v5/account/query-dcp-info":
            return {"dcpInfos": self.dcp}
        if path == "/v5/account/wallet-balance":
            return {"list": [{"accountType": "UNIFIED", "coin": self.coins}]}
        if path == "/v5/account/fee-rate":
            return {"list": [{"symbol": fields["symbol"], "makerFeeRate": "0.0002", "takerFeeRate": "0.00055"}]}
        if path == "/v5/user/query-api":
            return self.key
        if path == "/v5/position/list":
            rows = [row for row in self.positions if row["symbol"] == fields["symbol"]]
            nil = {"symbol": fields["symbol"], "side": "", "size": "0", "positionIdx": 0, "markPrice": "100"}
            return {"list": rows or [nil]}
        if path in {"/v5/order/realtime", "/v5/order/history"}:
            return self._page(self._orders(path, fields), fields)
        if path == "/v5/execution/list":
            since = int(fields.get("startTime", 0))
            wanted = fields.get("orderLinkId")
            rows = [
                row for row in self.executions if wanted in {None, row["orderLinkId"]} and int(row["execTime"]) >= since
            ]
            return self._page(rows, fields)
        if path == "/v5/order/disconnected-cancel-all":
            return {}
        return self._order_request(path, fields)

    def _listed(self, fields):
        if fields["symbol"] not in self.listed:
            return []
        tick, lot = self.listed[fields["symbol"]]
        return [
            {
                "symbol": fields["symbol"],
                "status": "Trading",
                "baseCoin": fields["symbol"].removesuffix("USDT"),
                "quoteCoin": "USDT",
                "contractType": "LinearPerpetual" if fields["category"] == "linear" else "",
                "priceFilter": {"tickSize": tick},
                "lotSizeFilter": {
                    "qtyStep": lot,
                    "basePrecision": lot,
                    "minOrderQty": lot,
                    "maxOrderQty": "5",
                    "maxLimitOrderQty": "5",
                    "minNotionalValue": "0.5",
                    "minOrderAmt": "0.5",
                },
            }
        ]

    def _orders(self, path, fields):
        if "orderLinkId" in fields:
            order = self.orders.get(fields["orderLinkId"])
            return [] if order is None or path.endswith("history") else [order]
        return self.open_orders(fields["symbol"])

    def _page(self, rows, fields):
        start = int(fields.get("cursor", 0))
        size = min(int(fields.get("limit", 20)), self.page_size)
        end = start + size
        return {"list": rows[start:end], "nextPageCursor": str(end) if end < len(rows) else ""}

    # Orders, the same over both ways.

    def _order_request(self, path, fields):
        operation = path.rpartition("/")[2]
        if operation == "cancel-all":
            for order in self.open_orders(fields["symbol"])[: self.cancel_all_max]:
                self._queue_end(order)
            return {"list": [], "success": "1"}
        order = self.orders.get(fields["orderLinkId"])
        if operation == "create":
            if order is not None:
                return 110072
            order = self.place(
                fields["orderLinkId"], **{name: fields[name] for name in ("qty", "price", "side", "symbol")}
            )
        elif order is None or order["orderStatus"] not in {"New", "PartiallyFilled"}:
            return 110001
        elif operation == "amend":
            order.update(qty=fields["qty"], price=fields["price"])
            self._touch(order)
        else:
            self._queue_end(order)
        self._changed.append(dict(order))
        return {"orderId": order["orderId"], "orderLinkId": order["orderLinkId"]}

    def _queue_end(self, order):
        order.update(orderStatus="Cancelled", cancelType="CancelByUser")
        self._touch(order)
        self._changed.append(dict(order))

    async def _after(self):
        """Push what changed, after the acknowledgement."""
        while self._changed:
            order = self._changed.popleft()
            if self.pushes:
                await self.push("order.linear", order)

    # Sockets.

    async def _serve_socket(self, connection):
        is_trade = connection.request.path.endswith("/trade")
        with contextlib.suppress(Exception):
            async for text in connection:
                request = json.loads(text)
                if is_trade:
                    await self._on_trade(connection, request)
                else:
                    await self._on_private(connection, request)

    async def _on_private(self, connection, request):
        if request["op"] == "ping":
            self.private_pings += 1
            await connection.send(json.dumps({"req_id": "", "op": "pong", "args": [str(self._time())], "conn_id": "c"}))
            return
        problem = self._login_problem(request) if request["op"] == "auth" else ""
        reply = {"success": not problem, "ret_msg": problem, "op": request["op"], "conn_id": "c"}
        if request["op"] != "auth":
            # The real answer to a login does not repeat the id.
            reply["req_id"] = request["req_id"]
            self.topics.append(request["args"])
        await connection.send(json.dumps(reply))
        if request["op"] == "subscribe" and "wallet" in request["args"]:
            self.private.append(connection)

    def _login_problem(self, request):
        key, expires, signature = request["args"]
        self.logins.append(expires)
        is_right = key == KEY and signature == _sign(f"GET/realtime{expires}") and expires > self._time()
        return self.refuses_login or ("" if is_right else "Params Error")

    async def _on_trade(self, connection, request):
        operation = request["op"]
        if operation == "ping":
            await connection.send(json.dumps({"retCode": 0, "op": "pong", "data": [str(self._time())], "connId": "c"}))
            return
        if operation == "auth":
            code = 10004 if self._login_problem(request) else 0
            await connection.send(
                json.dumps({"reqId": request["reqId"], "retCode": code, "retMsg": "OK", "op": "auth"})
            )
            self.trade.append(connection)
            return
        fields = request["args"][0]
        self.requests.append((operation, fields))
        answer = self._scripted(operation, fields)
        if answer is SILENCE:
            return
        result = answer if isinstance(answer, int) else self._order_request(operation.replace(".", "/"), fields)
        code, data = (result, {}) if isinstance(result, int) else (0, result)
        reply = {"reqId": request["reqId"], "retCode": code, "retMsg": "", "op": operation, "data": data}
        await connection.send(json.dumps({**reply, "header": dict(self.headers), "connId": "c"}))
        await self._after()


def _sign(text):
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def _envelope(code, result, time_ms):
    message = "OK" if code == 0 else f"said {code}"
    return json.dumps(
        {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": time_ms}
    ).encode()


class ManualTime:
    """A clock with sleepers: they wake when the test moves time past their due moment."""

    def __init__(self):
        self.clock = ManualClock()
        self._sleepers = []

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

    def advance(self, seconds):
        self.clock.advance(s=seconds)
        for due_ns, event in self._sleepers:
            if due_ns <= self.clock.now_ns():
                event.set()


class Trader:
    """Runs a venue, hands it actions and gathers what it tells."""

    def __init__(self, venue, time, exchange):
        self.venue = venue
        self.time = time
        self.exchange = exchange
        self.events = []

    def do(self, *actions):
        for action in actions:
            self.venue.execute(approve(action), self.time.clock.now_ns())

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def updates(self):
        """Return `(client id, request, status)` of every order update."""
        return [(event.client_id, event.request.name, event.status.name) for event in self.of(OrderUpdate)]

    @property
    def fills(self):
        return [(fill.client_id, fill.venue_trade_id, fill.size_lots) for fill in self.of(Fill)]

    @property
    def is_up(self):
        statuses = self.of(VenueStatus)
        return bool(statuses) and statuses[-1].is_up

    async def until(self, condition, *, step_s=0.0):
        """Poll until `condition()` holds; `step_s` of the venue's time passes between two polls."""
        with anyio.fail_after(PATIENCE_S):
            while True:
                self.events += self.venue.poll(self.time.clock.now_ns())
                if condition():
                    return
                await anyio.sleep(0.001)
                self.time.advance(step_s)

    async def settle(self, *, step_s=0.0, rounds=30):
        """Let everything that is under way come through."""
        for _ in range(rounds):
            self.events += self.venue.poll(self.time.clock.now_ns())
            await anyio.sleep(0.001)
            self.time.advance(step_s)

    @contextlib.asynccontextmanager
    async def running(self, *, until_up=True):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.venue.run, lambda: None)
            if until_up:
                await self.until(lambda: self.is_up)
                trade = self.venue._addresses.trade
                await self.until(lambda: trade is None or self.venue._running.trade.is_connected)
            yield self
            tasks.cancel_scope.cancel()


@pytest.fixture
def time():
    return ManualTime()


@pytest.fixture
async def exchange(time):
    exchange = Exchange()
    exchange.now_ms = lambda: time.clock.now_ns() // 1_000_000
    await exchange.start()
    yield exchange
    await exchange.stop()


@pytest.fixture
def venue_options(exchange):
    def make(**options):
        values = {
            "api_key": Secret(KEY, "env KEY"),
            "api_secret": Secret(SECRET, "env SECRET"),
            "rest_url": exchange.rest_url,
            "private_stream_url": exchange.stream_url + "/private",
            "trade_stream_url": exchange.stream_url + "/trade",
            **options,
        }
        return make_options(VENUES[1], values)

    return make


@pytest.fixture
def trader_of(exchange, time, venue_options):
    """Return a function that makes a venue on the exchange, with a trader."""

    def make(*, category="linear", instruments=None, removes_only=False, **options):
        instruments = instruments or (make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001"),)
        context = build_context(instruments=instruments, clock=time.clock, mode=Mode.LIVE)
        context = attrs.evolve(context, removes_only=removes_only)
        venue = LiveVenue(category, venue_options(**options), context, sleep=time.sleep)
        return Trader(venue, time, exchange)

    return make


@pytest.fixture
def logs(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog

"""A live plugin for the tests: a still market, and a venue that speaks JSON lines to the exchange of `conftest.py`."""

from __future__ import annotations

import json
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from mmframe.domain.findings import Finding, FindingLevel
from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS, MarketBatch, MessageKind, Side
from mmframe.domain.orders import (
    Approved,
    BalanceUpdate,
    Cancel,
    CancelAll,
    OpenOrdersReport,
    OrderReport,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Request,
    Submit,
    VenueCapabilities,
    VenueStatus,
)
from mmframe.errors import VenueError
from mmframe.plugin import BuildContext, FeedSpec, Secret, VenueSpec, hookimpl, option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import SocketStream

    from mmframe.domain.orders import Action, VenueEvent

MMFRAME_API = 1

_LEVELS = [(Side.BUY, 9_999, 50), (Side.BUY, 9_998, 80), (Side.SELL, 10_001, 50), (Side.SELL, 10_002, 80)]
_REQUESTS = {Submit: "submit", Cancel: "cancel", CancelAll: "cancel_all", QueryOrder: "order", QueryOpenOrders: "list"}


class StillFeed:
    """The same book again and again, so that nothing moves but what a test moves."""

    next_event_ns = NEVER_NS

    def __init__(self, context: BuildContext) -> None:
        self._context = context
        self._batches: deque[MarketBatch] = deque()

    def poll(self, now_ns: int) -> Sequence[MarketBatch]:
        del now_ns
        batches = list(self._batches)
        self._batches.clear()
        return batches

    async def run(self, notify: Callable[[], None]) -> None:
        while True:
            for market in range(len(self._context.instruments)):
                batch, now_ns = MarketBatch(market), self._context.clock.now_ns()
                batch.add(MessageKind.SNAPSHOT, exchange_ns=now_ns, receive_ns=now_ns, changes=_LEVELS)
                self._batches.append(batch)
            notify()
            await anyio.sleep(0.05)


@attrs.frozen
class WireOptions:
    port: int = option(help="Where the exchange listens on this machine.", minimum=1)
    api_key: Secret = option(help="Key of the account.")
    absence_delay_ms: int = option(help="How long a request may be under way.", default=0, minimum=0, unit="ms")


class WireVenue:
    capabilities = VenueCapabilities()
    next_event_ns = NEVER_NS

    def __init__(self, options: WireOptions, context: BuildContext) -> None:
        self.capabilities = VenueCapabilities(absence_delay_ns=options.absence_delay_ms * 1_000_000)
        self._options = options
        self._context = context
        self._to_send: deque[Action] = deque()
        self._events: deque[VenueEvent] = deque()
        self._under_way: dict[int, Action] = {}
        self._wake = anyio.Event()
        self._sequence = 0

    def execute(self, approved: Approved, now_ns: int) -> None:
        del now_ns
        if type(approved) is not Approved:
            raise TypeError("execute: expected an Approved")
        self._to_send.append(approved.action)
        self._wake.set()

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:
        del now_ns
        events = list(self._events)
        self._events.clear()
        return events

    async def run(self, notify: Callable[[], None]) -> None:
        while True:
            try:
                async with await anyio.connect_tcp("127.0.0.1", self._options.port) as stream:
                    await self._talk(stream, notify)
            except* (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                self._say(VenueStatus(is_up=False, receive_ns=self._now_ns(), reason="not connected"), notify)
            await anyio.sleep(0.05)

    async def _talk(self, stream: SocketStream, notify: Callable[[], None]) -> None:
        await _send(stream, {"do": "hello", "key": self._options.api_key.reveal()})
        lines = _Lines(stream)
        hello = await lines.next()
        if not hello["ok"]:
            raise VenueError("the exchange does not know the key", hint="make a new one")
        for asset in ("BTC", "USDT"):
            self._say(BalanceUpdate(asset, Decimal(100), Decimal(0), self._now_ns()), notify)
        self._say(VenueStatus(is_up=True, receive_ns=self._now_ns()), notify)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send_all, stream)
            while True:
                self._on_reply(await lines.next(), notify)

    async def _send_all(self, stream: SocketStream) -> None:
        while True:
            self._wake = anyio.Event()
            while self._to_send:
                action = self._to_send.popleft()
                self._sequence += 1
                self._under_way[self._sequence] = action
                facts = {"do": _REQUESTS[type(action)], "id": self._sequence, "market": action.market}
                for name in ("client_id", "price_ticks", "size_lots"):
                    if hasattr(action, name):
                        facts[name] = getattr(action, name)
                if isinstance(action, Submit):
                    facts["side"] = action.side.name
                await _send(stream, facts)
            await self._wake.wait()

    def _on_reply(self, reply: dict[str, Any], notify: Callable[[], None]) -> None:
        action = self._under_way.pop(reply["id"])
        found = reply["orders"]
        match action:
            case QueryOpenOrders():
                orders = tuple(
                    OrderReport(one["client_id"], one["id"], Side[one["side"]], one["price_ticks"], one["size_lots"], 0)
                    for one in found
                )
                now_ns = self._now_ns()
                self._say(OpenOrdersReport(action.market, orders, exchange_ns=now_ns, receive_ns=now_ns), notify)
            case CancelAll():
                for one in found:
                    self._update(action.market, one["client_id"], OrderStatus.CANCELED, Request.STREAM, one, notify)
            case Submit():
                self._update(action.market, action.client_id, OrderStatus.OPEN, Request.SUBMIT, found[0], notify)
            case Cancel():
                status = OrderStatus.CANCELED if found else OrderStatus.UNCHANGED
                self._update(action.market, action.client_id, status, Request.CANCEL, (found or [{}])[0], notify)
            case QueryOrder():
                status = OrderStatus.OPEN if found else OrderStatus.NOT_FOUND
                if found and found[0]["is_gone"]:
                    status = OrderStatus.CANCELED
                self._update(action.market, action.client_id, status, Request.QUERY, (found or [{}])[0], notify)

    def _update(
        self,
        market: int,
        client_id: str,
        status: OrderStatus,
        request: Request,
        order: dict[str, Any],
        notify: Callable[[], None],
    ) -> None:
        now_ns = self._now_ns()
        update = OrderUpdate(
            market,
            client_id,
            status,
            request,
            exchange_ns=now_ns,
            receive_ns=now_ns,
            venue_order_id=order.get("id", ""),
            price_ticks=order.get("price_ticks", 0),
            size_lots=order.get("size_lots", 0),
        )
        self._say(update, notify)

    def _say(self, event: VenueEvent, notify: Callable[[], None]) -> None:
        self._events.append(event)
        notify()

    def _now_ns(self) -> int:
        return self._context.clock.now_ns()


class _Lines:
    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._rest = b""

    async def next(self) -> Any:
        while b"\n" not in self._rest:
            self._rest += await self._stream.receive()
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)


async def _send(stream: SocketStream, facts: dict[str, Any]) -> None:
    await stream.send(json.dumps(facts).encode() + b"\n")


async def ask(options: WireOptions, context: BuildContext) -> Sequence[Finding]:
    del context
    try:
        async with await anyio.connect_tcp("127.0.0.1", options.port) as stream:
            await _send(stream, {"do": "hello", "key": options.api_key.reveal()})
            hello = await _Lines(stream).next()
    except OSError:
        return [Finding("reachability", FindingLevel.FAILED, "nothing listens there", "start the exchange")]
    found = [Finding("reachability", FindingLevel.OK, "answered")]
    if not hello["ok"]:
        return [*found, Finding("key permissions", FindingLevel.FAILED, "the key is unknown", "make a new one")]
    if hello["can_withdraw"]:
        text = "the key can withdraw, expected one that can only trade"
        return [*found, Finding("key permissions", FindingLevel.FAILED, text, "make a key without that right")]
    return [*found, Finding("key permissions", FindingLevel.OK, "trade")]


@hookimpl
def mmframe_register_feeds() -> list[FeedSpec]:
    return [FeedSpec(name="still", summary="A market that stands still.", build=lambda _, context: StillFeed(context))]


@hookimpl
def mmframe_register_venues() -> list[VenueSpec]:
    return [
        VenueSpec(
            name="orders",
            summary="An exchange on this machine.",
            build=WireVenue,
            options=WireOptions,
            modes=frozenset({Mode.LIVE}),
            doctor=ask,
        )
    ]

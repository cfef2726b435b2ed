"""The server: one port on loopback for everything, a dialect on it, the fault script in between.

A dialect gets a `Core` and returns routes. For each request it builds a `RequestSeen` and a function that carries the
request out and returns a `Reply`; `Core.answer` logs it for the god view, lets the fault script have its way, and says
what is to be delivered. REST handlers then `await core.deliver(request, ...)`, websocket handlers call
`core.deliver_socket`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import anyio
import attrs
from aiohttp import web

from mmframe.domain.instrument import InstrumentKind
from mmframe.errors import DomainError
from mmframe.net.timing import Timing
from mmframe_localvenue.core.exchange import Exchange
from mmframe_localvenue.core.faults import Fault, FaultScript, Injection
from mmframe_localvenue.core.god import GodView, RequestSeen
from mmframe_localvenue.core.sockets import Connection, Heartbeat, Role, spoiled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from anyio.abc import TaskGroup

    from mmframe_localvenue.core.market import Market
    from mmframe_localvenue.core.setup import VenueSetup

__all__ = ["Core", "Delivery", "Dialect", "LocalVenue", "Reply", "Urls", "Words"]

_BODY_MAX_BYTES = 1 << 20
_HTML_STATUS = 502
_REPLACING = frozenset(
    {
        Fault.LOST_REPLY,
        Fault.LOST_REQUEST,
        Fault.LATE_REPLY,
        Fault.LATE_REQUEST,
        Fault.UNKNOWN_DONE,
        Fault.UNKNOWN_NOT_DONE,
        Fault.THROTTLED,
        Fault.BANNED,
    }
)
"""Faults after which the client does not get the request's own answer in time; the others spoil it on its way."""


@attrs.frozen
class Reply:
    """An answer in the exchange's words.

    Attributes:
        status: HTTP status, also where it goes over a websocket.
        text: JSON.
        headers: Of the HTTP answer.
        code: The exchange's error code; 0 for none.
    """

    status: int
    text: str
    headers: dict[str, str] = attrs.field(factory=dict)
    code: int = 0


class Words(Protocol):
    """How an exchange says what the fault script makes it say."""

    def unknown_outcome(self, injection: Injection) -> Reply:
        """Return the answer after which nobody knows whether the request was carried out."""
        ...

    def throttled(self, injection: Injection) -> Reply:
        """Return the refusal of too many requests, `injection.retry_after_s` seconds to wait."""
        ...

    def banned(self, injection: Injection) -> Reply:
        """Return the refusal of an address that went on in spite of that."""
        ...


@attrs.frozen
class Delivery:
    """What the client is to get.

    Attributes:
        reply: The answer; None for none.
        injection: What happens to it on its way; None for nothing.
    """

    reply: Reply | None
    injection: Injection | None = None


@attrs.frozen
class Urls:
    """Where a dialect is to be found; empty where it has no such thing."""

    rest: str
    stream: str
    ws_api: str = ""
    private: str = ""


class Dialect(Protocol):
    """One exchange's protocols. Built with the core; `kind` and `order_limits` are asked of the class before."""

    kind: ClassVar[InstrumentKind]
    order_limits: ClassVar[tuple[tuple[int, int], ...]]
    """Unfilled orders per account, `(seconds, count)`."""

    def __init__(self, core: Core) -> None: ...

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Return the HTTP and websocket routes."""
        ...

    def urls(self, host: str) -> Urls:
        """Return its addresses at `host`, which is `address:port`."""
        ...

    async def run(self) -> None:
        """Do what is done by the clock (publish books at intervals, expire keys), until cancelled."""
        ...


class Core:
    """What a dialect works with.

    Attributes:
        setup: Of the venue.
        exchange: Markets, accounts and operations.
        clock: The venue's time; `clock.timing` waits by it.
        faults: The script.
        god: The god view.
        tasks: For what must go on after its request is gone; set while the venue is open.
    """

    tasks: TaskGroup

    def __init__(
        self, setup: VenueSetup, kind: InstrumentKind, timing: Timing, order_limits: tuple[tuple[int, int], ...]
    ) -> None:
        self.setup = setup
        self.exchange = Exchange(setup, kind, timing, order_limits=order_limits)
        self.clock = self.exchange.clock
        self._connections: list[Connection] = []
        self.faults = FaultScript(self.clock, self.connections)
        self.god = GodView(self.exchange, self.connections)

    def connections(self) -> tuple[Connection, ...]:
        """Return the open websockets, oldest first."""
        return tuple(self._connections)

    async def answer(self, seen: RequestSeen, carry_out: Callable[[], Reply], words: Words) -> Delivery:
        """Log a request, carry it out as the fault script lets it, and return what is to be delivered.

        `carry_out` runs at most once. What is held back is carried out even if the client has gone by then.
        """
        injection = self.faults.take_request(seen.operation, seen.account or None)
        self.god.requests.append(seen)
        if injection is not None:
            seen.fault = injection.fault.value
        self.god.note_change()
        reply = await self._reply(injection, seen, carry_out, words)
        if reply is not None:
            seen.status, seen.code = reply.status, reply.code
        self.god.note_change()
        return Delivery(reply, injection)

    async def deliver(self, request: web.Request, delivery: Delivery) -> web.StreamResponse:
        """Answer over HTTP, or break or hang the connection as the fault wants it."""
        reply, injection = delivery.reply, delivery.injection
        fault = None if injection is None else injection.fault
        if reply is None and injection is not None and injection.hangs:
            await anyio.sleep_forever()
        if reply is None or fault in {Fault.CUT, Fault.CLOSE}:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=499)
        if injection is not None and fault in {Fault.HTML, Fault.CORRUPT, Fault.HUGE, Fault.NESTED}:
            is_html = fault is Fault.HTML
            return web.Response(
                status=injection.status or (_HTML_STATUS if is_html else reply.status),
                text=spoiled(injection, reply.text),
                content_type="text/html" if is_html else "application/json",
            )
        return web.Response(
            status=reply.status, text=reply.text, headers=reply.headers, content_type="application/json"
        )

    def deliver_socket(self, connection: Connection, delivery: Delivery, frame: Callable[[Reply], str]) -> None:
        """Answer over a websocket; `frame` words a reply for it. A lost reply leaves the connection open and silent."""
        reply, injection = delivery.reply, delivery.injection
        if reply is None:
            return
        if injection is not None and injection.fault in {
            Fault.CUT,
            Fault.CLOSE,
            Fault.HTML,
            Fault.CORRUPT,
            Fault.HUGE,
            Fault.NESTED,
        }:
            connection.send_spoiled(injection, frame(reply))
            return
        connection.send(frame(reply))

    async def open_socket(
        self,
        request: web.Request,
        role: Role,
        heartbeat: Heartbeat,
        serve: Callable[[Connection], Awaitable[None]],
    ) -> web.StreamResponse:
        """Turn a request into a websocket and `serve` it; refuse it with 503 while its role is refused."""
        if role in self.faults.refused_roles:
            return web.Response(status=503)
        if self.setup.socket_lifetime_s is not None:
            heartbeat = Heartbeat(
                ping_s=heartbeat.ping_s, pong_s=heartbeat.pong_s, lifetime_s=self.setup.socket_lifetime_s
            )
        connection = Connection(request, self.clock, self.faults, role, heartbeat)
        self._connections.append(connection)
        self.god.note_change()
        try:
            await serve(connection)
        finally:
            self._connections.remove(connection)
            self.god.note_change()
        return connection.response

    async def _reply(
        self, injection: Injection | None, seen: RequestSeen, carry_out: Callable[[], Reply], words: Words
    ) -> Reply | None:
        fault = None if injection is None else injection.fault
        if injection is None or fault not in _REPLACING:
            if fault is Fault.RACED and seen.account and seen.client_id:
                with contextlib.suppress(DomainError):
                    self.god.trade_against(seen.client_id, account=seen.account)
            seen.is_done = True
            return carry_out()
        refusals = {
            Fault.UNKNOWN_NOT_DONE: words.unknown_outcome,
            Fault.THROTTLED: words.throttled,
            Fault.BANNED: words.banned,
        }
        if fault in refusals:
            return _worded(injection, refusals[fault](injection))
        if fault is Fault.LOST_REQUEST:
            return None
        seen.is_done = True
        if fault is Fault.LATE_REQUEST:
            return await self._hold(injection, carry_out)
        reply = carry_out()
        if fault is Fault.LATE_REPLY:
            await injection.hold(self.clock)
            return reply
        return _worded(injection, words.unknown_outcome(injection)) if fault is Fault.UNKNOWN_DONE else None

    async def _hold(self, injection: Injection, carry_out: Callable[[], Reply]) -> Reply:
        """Carry out late, in a task of the venue: the client may give up, the request is on its way all the same."""
        replies: list[Reply] = []
        is_done = anyio.Event()

        async def later() -> None:
            await injection.hold(self.clock)
            replies.append(carry_out())
            is_done.set()

        self.tasks.start_soon(later)
        await is_done.wait()
        return replies[0]


class LocalVenue:
    """A venue on this machine, open while its context is.

    Args:
        setup: What it is made of.

    Attributes:
        core: Everything inside, for what the properties do not show.

    Raises:
        DomainError: If the dialect is unknown, or on entering if the event loop is not asyncio's.
    """

    def __init__(self, setup: VenueSetup) -> None:
        from mmframe_localvenue import DIALECTS  # noqa: PLC0415 - the package names this class too

        if setup.dialect not in DIALECTS:
            msg = f"dialect: expected one of {', '.join(sorted(DIALECTS))}, was {setup.dialect!r}"
            raise DomainError(msg)
        module, _, name = DIALECTS[setup.dialect].partition(":")
        kind: type[Dialect] = getattr(importlib.import_module(module), name)
        timing = Timing(_SystemClock()) if setup.timing is None else setup.timing
        self.setup = setup
        self.core = Core(setup, kind.kind, timing, kind.order_limits)
        self._dialect = kind(self.core)
        self._stack = AsyncExitStack()
        self._urls = Urls("", "")
        self.port = 0

    @property
    def rest_url(self) -> str:
        """Return the base of REST requests; paths begin after it."""
        return self._urls.rest

    @property
    def stream_url(self) -> str:
        """Return the base of public market streams."""
        return self._urls.stream

    @property
    def ws_api_url(self) -> str:
        """Return the address of the websocket that takes requests; empty where the exchange has none."""
        return self._urls.ws_api

    @property
    def private_url(self) -> str:
        """Return the address of private streams where they have one of their own, else empty."""
        return self._urls.private

    @property
    def urls(self) -> Urls:
        """Return all addresses."""
        return self._urls

    @property
    def god(self) -> GodView:
        """Return the god view."""
        return self.core.god

    @property
    def faults(self) -> FaultScript:
        """Return the fault script."""
        return self.core.faults

    def market(self, symbol: str) -> Market:
        """Return a market by either name, `BTC/USDT` or `BTCUSDT`."""
        return self.core.god.market(symbol)

    async def __aenter__(self) -> Self:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            msg = "local venue: expected the asyncio event loop, was another one"
            raise DomainError(msg) from None
        app = web.Application(client_max_size=_BODY_MAX_BYTES)
        app.add_routes(self._dialect.routes())
        # A handler is cancelled when its client goes: one that hangs on purpose must not outlive the connection.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self.setup.host, self.setup.port)
        try:
            await site.start()
        except OSError:
            await self._stack.aclose()
            raise
        self.port = runner.addresses[0][1]
        host = f"[{self.setup.host}]" if ":" in self.setup.host else self.setup.host
        self._urls = self._dialect.urls(f"{host}:{self.port}")
        self.core.tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self.core.tasks.start_soon(self.core.exchange.run_crowd)
        self.core.tasks.start_soon(self._dialect.run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        for connection in self.core.connections():
            connection.cut()
        self.core.tasks.cancel_scope.cancel()
        if isinstance(error, Exception):
            # What went wrong inside passes as it is, not wrapped in a group of the venue's tasks.
            await self._stack.__aexit__(None, None, None)
            return None
        return await self._stack.__aexit__(kind, error, traceback)


def _worded(injection: Injection, reply: Reply) -> Reply:
    """Return a reply with the text that the script wants instead of the exchange's."""
    return attrs.evolve(reply, text=injection.body, code=0) if injection.body else reply


class _SystemClock:
    """The machine's clock, UTC."""

    def now_ns(self) -> int:
        """Return nanoseconds UTC."""
        return time.time_ns()

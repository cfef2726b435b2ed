"""One websocket of a client: a bounded queue out, pings, and the faults that hit messages and whole connections."""

from __future__ import annotations

import contextlib
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

import anyio
from aiohttp import WSCloseCode, WSMsgType, web

from mmframe_localvenue.core.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from mmframe_localvenue.core.exchange import VenueClock
    from mmframe_localvenue.core.faults import FaultScript, Injection

__all__ = ["Connection", "Heartbeat", "Role", "spoiled"]

_QUEUE_MAX = 20_000
"""Messages that may wait for a slow reader; beyond it the connection is cut, as exchanges do."""
_FRAME_MAX_BYTES = 1 << 20
_NESTING = 100_000


class Role(Enum):
    """What a websocket is used for; one can have several."""

    MARKET = "market"
    """Public market data."""
    PRIVATE = "private"
    """News of an account's orders and balances."""
    API = "api"
    """Requests and answers."""


class Heartbeat:
    """How the server looks after a connection.

    Args:
        ping_s: Seconds between the server's pings; None sends none.
        pong_s: Seconds without a pong for a ping after which the connection is cut.
        lifetime_s: Seconds after which the server closes it in any case.
    """

    __slots__ = ("lifetime_s", "ping_s", "pong_s")

    def __init__(self, *, ping_s: float | None = None, pong_s: float = 60.0, lifetime_s: float = 86_400.0) -> None:
        self.ping_s = ping_s
        self.pong_s = pong_s
        self.lifetime_s = lifetime_s


class Connection:
    """One websocket.

    Args:
        request: The HTTP request that becomes it.
        clock: The venue's.
        faults: The venue's script.
        role: What it is for at first.
        heartbeat: Pings and life.

    Attributes:
        path: Of the URL.
        query: Of the URL.
        roles: What it is used for by now.
        account: Whose news it carries, or who logged on; empty for nobody.
        opened_ns: Venue time.
        on_shutdown: Says that the server is about to go, in the dialect's words; None says nothing.
        on_control: Called for each ping and pong of the client: exchanges count them as messages.
    """

    def __init__(
        self, request: web.Request, clock: VenueClock, faults: FaultScript, role: Role, heartbeat: Heartbeat
    ) -> None:
        self.path = request.path
        self.query = dict(request.query)
        self.roles = {role}
        self.account = ""
        self.opened_ns = clock.now_ns()
        self.on_shutdown: Callable[[], None] | None = None
        self.on_control: Callable[[], None] | None = None
        self._request = request
        self._clock = clock
        self._faults = faults
        self._heartbeat = heartbeat
        # Pings are answered here, not by the library: a half-open connection must not.
        self._socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=_FRAME_MAX_BYTES
        )
        self._queue: deque[str | int] = deque()
        self._wake = anyio.Event()
        self._held: dict[str, str] = {}
        self._is_over = False
        self._pong = anyio.Event()
        self._ping = b""
        self._tasks: TaskGroup | None = None

    @property
    def response(self) -> web.WebSocketResponse:
        """Return what the HTTP handler returns in the end."""
        return self._socket

    @property
    def is_silent(self) -> bool:
        """Tell whether it is half-open: it takes what comes and says nothing."""
        return bool(self.roles & self._faults.silent_roles)

    def join(self, role: Role) -> bool:
        """Take on a further use; cut the connection and return False while that role is refused."""
        if role in self._faults.refused_roles:
            self.cut()
            return False
        self.roles.add(role)
        return True

    async def serve(self, on_text: Callable[[str], Awaitable[None]]) -> None:
        """Shake hands and hand each text message to `on_text` until the connection is over."""
        await self._socket.prepare(self._request)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write)
            tasks.start_soon(self._keep_alive)
            tasks.start_soon(self._end_of_life)
            self._tasks = tasks
            try:
                await self._read(on_text)
            finally:
                self._is_over = True
                tasks.cancel_scope.cancel()

    def send(self, text: str) -> None:
        """Queue an answer or other control message."""
        if not self.is_silent:
            self._put(text)

    def send_data(self, operation: str, text: str, role: Role = Role.MARKET) -> None:
        """Queue a stream message; `operation` is its name in the fault script."""
        if self.is_silent or role in self._faults.stale_roles:
            return
        injection = self._faults.take_message(operation, self.account or None)
        held = self._held.pop(operation, None)
        if injection is None:
            self._put(text)
        else:
            self._spoil(injection, operation, text)
        if held is not None:
            self._put(held)

    def send_spoiled(self, injection: Injection, text: str) -> None:
        """Send an answer as a fault of the script wants it."""
        if not self.is_silent:
            self._spoil(injection, "", text)

    def close_soon(self, code: int = WSCloseCode.GOING_AWAY, *, after_s: float = 0.0) -> None:
        """Close with `code` after what is queued, `after_s` seconds from now."""
        if after_s and self._tasks is not None:
            self._tasks.start_soon(self._close_late, int(code), after_s)
        else:
            self._put(int(code))

    def cut(self) -> None:
        """Break the connection without a word."""
        self._is_over = True
        transport = self._request.transport
        if transport is not None:
            transport.abort()

    # Private

    def _put(self, item: str | int) -> None:
        if self._is_over:
            return
        if len(self._queue) >= _QUEUE_MAX:
            self.cut()
            return
        self._queue.append(item)
        self._wake.set()

    def _spoil(self, injection: Injection, operation: str, text: str) -> None:
        match injection.fault:
            case Fault.DUPLICATE:
                self._put(text)
                self._put(text)
            case Fault.REORDER:
                self._held[operation] = text
            case Fault.CORRUPT | Fault.HUGE | Fault.NESTED | Fault.HTML:
                self._put(spoiled(injection, text))
            case Fault.CLOSE:
                self.close_soon(injection.code)
            case Fault.CUT:
                self.cut()
            case Fault.LATE if self._tasks is not None:
                self._tasks.start_soon(self._put_late, injection, text)
            case _:
                pass  # GAP: its numbers are used up, the message is not sent.

    async def _put_late(self, injection: Injection, text: str) -> None:
        await injection.hold(self._clock)
        self._put(text)

    async def _close_late(self, code: int, after_s: float) -> None:
        await self._clock.timing.sleep(after_s)
        self._put(code)

    async def _write(self) -> None:
        while True:
            while self._queue:
                item = self._queue.popleft()
                with contextlib.suppress(ConnectionError):
                    if isinstance(item, int):
                        await self._socket.close(code=item)
                        return
                    await self._socket.send_str(item)
            self._wake = anyio.Event()
            await self._wake.wait()

    async def _read(self, on_text: Callable[[str], Awaitable[None]]) -> None:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT:
                if not self.is_silent:
                    await on_text(message.data)
            elif message.type is WSMsgType.PING:
                await self._answer_ping(message.data)
            elif message.type is WSMsgType.PONG:
                self._take_pong(message.data)
            elif message.type is WSMsgType.CLOSE:
                if self.is_silent:
                    # Nobody answers: the connection hangs until the client breaks it off, which cancels this.
                    await anyio.sleep_forever()
                await self._socket.close()
                return
            elif message.type is not WSMsgType.BINARY:
                return

    def _take_pong(self, payload: bytes) -> None:
        # A pong that answers no ping does not keep the connection alive.
        if payload == self._ping:
            self._pong.set()
        if self.on_control is not None:
            self.on_control()

    async def _answer_ping(self, payload: bytes) -> None:
        if self.is_silent:
            return
        if self.on_control is not None:
            self.on_control()
        with contextlib.suppress(ConnectionError):
            await self._socket.pong(payload)

    async def _keep_alive(self) -> None:
        ping_s, timing = self._heartbeat.ping_s, self._clock.timing
        if ping_s is None:
            return
        while True:
            await timing.sleep(ping_s)
            if self.is_silent:
                continue
            self._pong = anyio.Event()
            self._ping = str(self._clock.now_ms()).encode()
            with contextlib.suppress(ConnectionError):
                await self._socket.ping(self._ping)
            try:
                await timing.within(self._heartbeat.pong_s, self._pong.wait)
            except TimeoutError:
                if not self.is_silent:
                    self.cut()
                    return

    async def _end_of_life(self) -> None:
        await self._clock.timing.sleep(self._heartbeat.lifetime_s)
        if self.on_shutdown is not None:
            self.on_shutdown()
        self.close_soon()


def spoiled(injection: Injection, text: str) -> str:
    """Return a text as the fault leaves it."""
    match injection.fault:
        case Fault.CORRUPT:
            return text[: max(1, len(text) // 2)]
        case Fault.HUGE:
            return '{"filler":"' + "x" * injection.size_bytes + '"}'
        case Fault.NESTED:
            return "[" * _NESTING + "]" * _NESTING
        case Fault.HTML:
            return "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
        case _:
            return text

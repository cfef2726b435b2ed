"""A socket that stays: reconnects for ever, notices silence, renews itself before the venue's cut, bounds what waits.

`WebsocketSession.run` is the only place that connects; frames and what happened to the connection arrive as events in
one bounded queue, in order. The owner drains it with `poll` (from a driver) or `receive` (from a task of its own).
"""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException

from mmframe.errors import DomainError
from mmframe.net.backoff import Backoff
from mmframe.net.budget import retry_after_ns
from mmframe.net.connection import (
    Connection,
    Link,
    ProtocolPings,
    ServerPings,
    SubscriptionError,
    TextPings,
    WebsocketLimits,
    open_wire,
)
from mmframe.net.events import Connected, Disconnected, Event, EventQueue, Frame, Overflow, Retired
from mmframe.net.redact import described, origin, quiet_wire_loggers, require_proxy_url, require_safe_url
from mmframe.net.request import NotSent, OutcomeUnknown, Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Hashable
    from random import Random

    from anyio.abc import TaskGroup

    from mmframe.net.connection import Wire
    from mmframe.net.timing import Timing

__all__ = [
    "Connected",
    "Connection",
    "Disconnected",
    "Event",
    "Frame",
    "Overflow",
    "ProtocolPings",
    "Retired",
    "ServerPings",
    "SubscriptionError",
    "TextPings",
    "WebsocketLimits",
    "WebsocketSession",
]

_LOG = logging.getLogger("mmframe.net.websocket")


class WebsocketSession:
    """Keeps one connection to one address, for as long as `run` runs.

    Args:
        url: The address, or what makes one for each connection (a new listen key); `wss`, or `ws` to loopback. What it
            raises is treated like what `subscribe` raises.
        subscribe: Called on each new connection: sends the subscriptions and awaits their answers. A
            `SubscriptionError` leads to another attempt after the backoff; any other error ends `run`: a refused key
            stays refused.
        timing: Clock and sleep.
        randomness: Source of the backoff's jitter.
        limits: Bounds.
        pings: Who keeps the connection alive, and how.
        reply_id: Reads from a frame the id of the request that it answers, None for a frame that answers none; must not
            raise. Asked only while an answer is awaited.
        backoff: Delays between attempts; made from `randomness` by default.
        proxy: Address of an HTTP proxy, or None for none; the environment is not looked at.
        ssl_context: Whom to trust; by default the machine's certificates.

    Raises:
        DomainError: If a fixed address is not safe or the proxy's is none.
    """

    def __init__(  # noqa: PLR0913 - what differs between venues, each thing by its name
        self,
        url: str | Callable[[], Awaitable[str]],
        *,
        subscribe: Callable[[Connection], Awaitable[None]],
        timing: Timing,
        randomness: Random,
        limits: WebsocketLimits | None = None,
        pings: ServerPings | ProtocolPings | TextPings | None = None,
        reply_id: Callable[[bytes], Hashable] = lambda _frame: None,
        backoff: Backoff | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if isinstance(url, str):
            require_safe_url(url, scheme="ws")
        if proxy is not None:
            require_proxy_url(proxy)
        quiet_wire_loggers()
        self._limits = limits or WebsocketLimits()
        self._pings = pings or ServerPings()
        self._url = url
        self._subscribe = subscribe
        self._timing = timing
        self._reply_id = reply_id
        self._backoff = backoff or Backoff(randomness)
        self._proxy = proxy
        self._ssl_context = ssl_context
        self._queue = EventQueue(frames_max=self._limits.queue_frames_max, bytes_max=self._limits.queue_bytes_max)
        self._origin = origin(url) if isinstance(url, str) else "address not yet known"
        self._generation = 0
        self._active: Link | None = None
        self._open_links: dict[int, Link] = {}
        self._outage: _Outage | None = None
        self._attempts = 0
        self._renewal = anyio.Event()
        self._news = anyio.Event()
        self._notify: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<WebsocketSession {self._origin}, generation {self._generation}>"

    @property
    def origin(self) -> str:
        """Return scheme, host and port: what may be shown."""
        return self._origin

    @property
    def connection(self) -> Connection | None:
        """Return the subscribed connection, or None while there is none."""
        active = self._active
        return active if active is not None and active.is_open else None

    @property
    def dropped_frames(self) -> int:
        """Return how many frames were dropped because the queue was full, ever."""
        return self._queue.dropped_frames

    async def run(self, notify: Callable[[], None] | None = None) -> None:
        """Connect and stay connected until cancelled; the sockets are closed when this returns.

        Args:
            notify: Called after each event that was queued.

        Raises:
            Exception: What `subscribe` or the address raised, unless it was a `SubscriptionError`.
        """
        self._notify = notify
        failures: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            try:
                await self._stay_connected(tasks)
            # Raised outside of the group, so that the owner sees its own error and not a group around it.
            except Exception as error:  # noqa: BLE001
                failures.append(error)
                tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]

    def poll(self) -> list[Event]:
        """Return everything that is queued, in order; each event once."""
        return self._queue.drain()

    async def receive(self) -> list[Event]:
        """Wait until something is queued and return all of it, in order. For one task at a time."""
        while not self._queue:
            self._news = anyio.Event()
            await self._news.wait()
        return self._queue.drain()

    async def send(self, text: str) -> None:
        """Send one text frame on the subscribed connection.

        Raises:
            SubscriptionError: If there is none, or the frame did not leave.
        """
        connection = self.connection
        if connection is None:
            msg = f"{self._origin}: not connected"
            raise SubscriptionError(msg, hint="the session reconnects by itself")
        await connection.send(text)

    async def request(self, text: str, request_id: Hashable, *, within_s: float) -> Reply | NotSent | OutcomeUnknown:
        """Send one text frame on the subscribed connection and return the frame that answers it.

        Args:
            text: The request.
            request_id: What `reply_id` reads from the answer; unique among those awaited.
            within_s: Time for the whole of it.

        Raises:
            DomainError: If an answer with this id is awaited already.
        """
        connection = self.connection
        if connection is None:
            return NotSent("not connected")
        return await connection.request(text, request_id, within_s=within_s)

    def renew(self, generation: int | None = None) -> None:
        """Open a new connection and drop the old one after the new one's first frame.

        Args:
            generation: Of the frame that announced the venue's shutdown; an older one than the subscribed connection's
                asks for nothing. None renews in any case.
        """
        if generation is None or self._active is None or generation >= self._active.generation:
            self._renewal.set()

    def reconnect(self, reason: str, generation: int | None = None) -> None:
        """Drop a connection and open another: what it delivers cannot be trusted.

        Args:
            reason: For the log and the event.
            generation: Of the connection; one that is gone already is ignored. None drops whatever is open.
        """
        for link in list(self._open_links.values()):
            if generation is None or link.generation == generation:
                link.drop(reason)

    async def _stay_connected(self, tasks: TaskGroup) -> None:
        while True:
            old = self._active
            new = await self._establish(tasks)
            self._active = new
            if old is not None and not old.ended.is_set():
                tasks.start_soon(self._hand_over, old)
            await self._until_lost_or_due(new)

    async def _establish(self, tasks: TaskGroup) -> Link:
        """Return a subscribed connection, however many attempts it takes; an old one that lives is not touched."""
        if self._active is not None:
            # Before a renewal too: a venue that announces its shutdown on each connection must not be circled.
            self._backoff.on_lost(self._timing.now_ns())
            await self._timing.sleep(self._backoff.next_delay_s())
        self._attempts = 0
        while True:
            self._attempts += 1
            try:
                link = await self._open(tasks)
                await self._subscribe_on(link)
            except _AttemptError as error:
                self._log_outage(error.reason)
                await self._timing.sleep(max(self._backoff.next_delay_s(), error.wait_s))
                continue
            if await self._is_proven(link):
                break
            await self._timing.sleep(self._backoff.next_delay_s())
        now_ns = self._timing.now_ns()
        self._backoff.on_opened(now_ns)
        self._renewal = anyio.Event()
        self._log_return(link, now_ns)
        return link

    async def _open(self, tasks: TaskGroup) -> Link:
        url = await self._address()
        opening = partial(
            open_wire,
            url,
            timing=self._timing,
            frame_bytes_max=self._limits.frame_bytes_max,
            proxy=self._proxy,
            ssl_context=self._ssl_context,
        )
        try:
            wire = await self._timing.within(self._limits.open_s, opening)
        except InvalidStatus as error:
            headers = {name.lower(): value for name, value in error.response.headers.raw_items()}
            wait_ns = retry_after_ns(headers, self._timing.now_ns()) or 0
            raise _AttemptError(f"HTTP {error.response.status_code}", wait_s=wait_ns / 1e9) from None
        except InvalidURI:
            msg = f"address {self._origin}: expected a websocket address, was something else"
            raise DomainError(msg) from None
        except (OSError, EOFError, WebSocketException) as error:
            raise _AttemptError(described(error)) from None
        return await self._start(wire, tasks)

    async def _address(self) -> str:
        if isinstance(self._url, str):
            return self._url
        try:
            url = await self._timing.within(self._limits.open_s, self._url)
        except (SubscriptionError, TimeoutError) as error:
            raise _AttemptError(f"no address: {described(error)}") from None
        require_safe_url(url, scheme="ws")
        self._origin = origin(url)
        return url

    async def _start(self, wire: Wire, tasks: TaskGroup) -> Link:
        self._generation += 1
        link = Link(
            wire,
            self._generation,
            timing=self._timing,
            limits=self._limits,
            pings=self._pings,
            reply_id=self._reply_id,
            deliver=self._deliver,
        )
        self._open_links[link.generation] = link
        self._queue.put(Connected(link.generation))
        self._wake()
        await tasks.start(partial(self._serve, link))
        return link

    async def _serve(self, link: Link, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            await link.run(task_status=task_status)
        finally:
            del self._open_links[link.generation]
        if link.is_retired:
            self._queue.put(Retired(link.generation))
        else:
            loss = link.loss()
            self._queue.put(loss)
            if self._active is None or link.generation >= self._active.generation:
                self._log_outage(loss.reason, loss)
        self._wake()

    async def _subscribe_on(self, link: Link) -> None:
        try:
            await self._timing.within(self._limits.subscribe_s, partial(self._subscribe, link))
        except (SubscriptionError, TimeoutError) as error:
            link.drop("not subscribed")
            await link.ended.wait()
            reason = error.message if isinstance(error, SubscriptionError) else "no answer in time"
            raise _AttemptError(f"not subscribed: {reason}") from None

    async def _is_proven(self, link: Link) -> bool:
        """Tell whether a connection can take over: it delivers, or there is no old one that does."""
        old = self._active
        if old is not None:
            await _first_of(link.first_frame, link.ended, old.ended)
        return not link.ended.is_set()

    async def _hand_over(self, old: Link) -> None:
        await self._timing.sleep(self._limits.overlap_s)
        await old.retire()

    async def _until_lost_or_due(self, link: Link) -> None:
        with contextlib.suppress(TimeoutError):
            await self._timing.within(self._limits.renew_after_s, partial(_first_of, link.ended, self._renewal))

    def _deliver(self, frame: Frame) -> None:
        if not self._queue.put_frame(frame):
            _LOG.warning("websocket_overflow", extra={"address": self._origin, "generation": frame.generation})
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        if self._notify is not None:
            self._notify()

    def _log_outage(self, reason: str, loss: Disconnected | None = None) -> None:
        """Log the loss once, however many attempts it takes until the return."""
        # With the old connection still delivering nothing is lost yet.
        event = "websocket_lost" if self.connection is None else "websocket_renewal_failed"
        if self._outage is not None and event in {self._outage.event, "websocket_renewal_failed"}:
            return
        self._outage = _Outage(event, self._timing.now_ns())
        fields: dict[str, object] = {"address": self._origin, "reason": reason}
        if loss is not None:
            fields |= {"generation": loss.generation, "close_code": loss.close_code}
        _LOG.warning(event, extra=fields)

    def _log_return(self, link: Link, now_ns: int) -> None:
        fields: dict[str, object] = {
            "address": self._origin,
            "generation": link.generation,
            "attempts": self._attempts,
        }
        if self._outage is not None:
            fields["outage_s"] = (now_ns - self._outage.began_ns) / 1e9
            self._outage = None
        _LOG.info("websocket_up", extra=fields)


class _Outage(NamedTuple):
    """What was logged of an outage, and when it began."""

    event: str
    began_ns: int


class _AttemptError(Exception):
    """An attempt to connect failed: why, and how long the server told us to wait at least."""

    def __init__(self, reason: str, *, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


async def _first_of(*events: anyio.Event) -> None:
    """Return when the first of the events is set."""
    async with anyio.create_task_group() as tasks:

        async def wait(event: anyio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        for event in events:
            tasks.start_soon(wait, event)

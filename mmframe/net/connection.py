"""One websocket connection: opened, read, kept alive, closed. What becomes of it in the long run is the session's."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

import anyio
import attrs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from mmframe.errors import DomainError, FeedError
from mmframe.net.events import Disconnected, Frame
from mmframe.net.request import NotSent, OutcomeUnknown, Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Hashable

    from anyio.abc import TaskStatus

    from mmframe.net.timing import Timing

__all__ = [
    "Connection",
    "Link",
    "ProtocolPings",
    "ServerPings",
    "SubscriptionError",
    "TextPings",
    "WebsocketLimits",
    "Wire",
    "open_wire",
]

_ABNORMAL_CLOSURE = 1006
_REASON_CHARACTERS_MAX = 123
"""As long as the protocol lets a close reason be."""


class SubscriptionError(FeedError):
    """The venue did not take a subscription or a login for now, or the connection is gone: another one is opened."""

    code = "subscription"


@attrs.frozen
class ServerPings:
    """The server pings and the library answers; its pings count as signs of life."""


@attrs.frozen
class ProtocolPings:
    """We send pings of the protocol and expect the pong.

    Attributes:
        interval_s: Time between pings, > 0.
        pong_within_s: Time for the pong, > 0; after it the connection is dropped.
    """

    interval_s: float = 20.0
    pong_within_s: float = 10.0


@attrs.frozen
class TextPings:
    """We send a text frame and expect a frame that answers it, as venues with a heartbeat of their own want.

    Attributes:
        text: Returns the frame for the n-th ping of a connection, counted from 1.
        is_pong: Tells whether a frame answers a ping; must not raise. Asked only while an answer is awaited; the pong
            is not delivered.
        interval_s: Time between pings, > 0.
        pong_within_s: Time for the pong, > 0; after it the connection is dropped.
    """

    text: Callable[[int], str]
    is_pong: Callable[[bytes], bool]
    interval_s: float = 20.0
    pong_within_s: float = 10.0


@attrs.frozen
class WebsocketLimits:
    """Bounds of a session; times in seconds.

    Attributes:
        open_s: Time for a connection and its opening handshake.
        subscribe_s: Time for the owner's `subscribe`.
        silence_s: Time without any frame, pings and pongs included, after which a connection counts as dead.
        renew_after_s: Age at which a new connection is opened beside the old one; less than the venue's own limit.
        overlap_s: Time for which the old one goes on after the new one's first frame: it may still be behind it.
        send_s: Time for a frame to leave; a peer that reads nothing blocks writing.
        close_s: Time for the closing handshake; then the socket is cut.
        frame_bytes_max: Longest message; a longer one ends the connection.
        queue_frames_max: Frames that wait for the owner; at the bound further ones are dropped and counted.
        queue_bytes_max: The same in bytes.

    Raises:
        DomainError: If a bound is not positive (`overlap_s` may be 0).
    """

    open_s: float = 10.0
    subscribe_s: float = 30.0
    silence_s: float = 60.0
    renew_after_s: float = 23 * 3600.0
    overlap_s: float = 2.0
    send_s: float = 5.0
    close_s: float = 1.0
    frame_bytes_max: int = 4 * 1024 * 1024
    queue_frames_max: int = 16_384
    queue_bytes_max: int = 64 * 1024 * 1024

    def __attrs_post_init__(self) -> None:
        bounds = attrs.asdict(self)
        if bounds.pop("overlap_s") < 0 or not all(bound > 0 for bound in bounds.values()):
            msg = f"websocket limits: expected positive bounds, was {self!r}"
            raise DomainError(msg)


class Connection(Protocol):
    """One open connection, as the owner's `subscribe` sees it."""

    generation: int
    """Number of the connection, as in its events."""

    async def send(self, text: str) -> None:
        """Send one text frame.

        Raises:
            SubscriptionError: If the connection is gone or the frame did not leave in time.
        """
        ...

    async def request(self, text: str, request_id: Hashable, *, within_s: float) -> Reply | NotSent | OutcomeUnknown:
        """Send one text frame and return the frame that answers it; that one is not delivered as an event.

        Args:
            text: The request.
            request_id: What the session's `reply_id` reads from the answer; unique among those awaited.
            within_s: Time for the whole of it.

        Raises:
            DomainError: If an answer with this id is awaited already.
        """
        ...

    def drop(self, reason: str) -> None:
        """Give the connection up: the session opens another one."""
        ...


class Wire(ClientConnection):
    """The library's connection, which also remembers when the last frame of any kind came."""

    last_frame_ns = 0
    _read_clock: Callable[[], int] | None = None

    def use_clock(self, read_clock: Callable[[], int]) -> None:
        """Stamp frames with this clock from now on."""
        self._read_clock = read_clock
        self.last_frame_ns = read_clock()

    def process_event(self, event: Any) -> None:
        """Take one frame from the parser; pings and pongs are signs of life too."""
        if self._read_clock is not None:
            self.last_frame_ns = self._read_clock()
        super().process_event(event)


class _Opener(connect):
    """The library's opener, which follows no redirect: an order socket does not move because a server says so."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_wire(
    url: str, *, timing: Timing, frame_bytes_max: int, proxy: str | None, ssl_context: ssl.SSLContext | None
) -> Wire:
    """Open a connection. All times are the caller's to keep, on its own clock.

    Raises:
        OSError, EOFError, WebSocketException: What stood in the way; their text may quote the address.
    """
    options: dict[str, Any] = {}
    if ssl_context is not None and urlsplit(url).scheme == "wss":
        options["ssl"] = ssl_context
    opener = _Opener(
        url,
        create_connection=Wire,
        compression=None,
        proxy=proxy,
        open_timeout=None,
        ping_interval=None,
        close_timeout=None,
        max_size=frame_bytes_max,
        user_agent_header="mmframe",
        **options,
    )
    wire = cast("Wire", await opener)
    wire.use_clock(timing.now_ns)
    return wire


class Link:
    """One open connection, as its session sees it. Satisfies `Connection`.

    Args:
        wire: The open connection.
        generation: Its number.
        timing: Clock and sleep.
        limits: Bounds.
        pings: Who keeps it alive, and how.
        reply_id: Reads from a frame the id of the request that it answers.
        deliver: Takes each frame that nobody awaited.
    """

    def __init__(  # noqa: PLR0913 - what a connection needs from its session, each thing by its name
        self,
        wire: Wire,
        generation: int,
        *,
        timing: Timing,
        limits: WebsocketLimits,
        pings: ServerPings | ProtocolPings | TextPings,
        reply_id: Callable[[bytes], Hashable],
        deliver: Callable[[Frame], None],
    ) -> None:
        self.generation = generation
        self.first_frame = anyio.Event()
        """Set when the first frame was delivered."""
        self.ended = anyio.Event()
        """Set when the socket is closed."""
        self._wire = wire
        self._timing = timing
        self._limits = limits
        self._pings = pings
        self._reply_id = reply_id
        self._deliver = deliver
        self._requests: dict[Hashable, _Pending] = {}
        self._pong: anyio.Event | None = None
        self._is_retiring = False
        self._failure: str | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.generation}>"

    @property
    def is_open(self) -> bool:
        """Tell whether frames can still be sent."""
        return self._failure is None and self._wire.state is State.OPEN

    @property
    def is_retired(self) -> bool:
        """Tell whether it was closed on purpose, as planned."""
        return self._is_retiring and self._failure is None

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Serve the connection until it ends, or is cancelled; then the socket is closed."""
        task_status.started()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch)
                tasks.start_soon(self._ping)
                await self._read()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._close()
            for pending in self._requests.values():
                pending.settled.set()
            self.ended.set()

    async def send(self, text: str) -> None:
        """Send one text frame.

        Raises:
            SubscriptionError: If the connection is gone or the frame did not leave in time.
        """
        try:
            await self._timing.within(self._limits.send_s, partial(self._wire.send, text))
        except (ConnectionClosed, OSError) as error:
            reason = "the connection is closed"
            if isinstance(error, TimeoutError):
                reason = f"a frame did not leave within {self._limits.send_s:g} s"
                self.drop(reason)
            msg = f"connection {self.generation}: {reason}"
            raise SubscriptionError(msg, hint="the session reconnects by itself") from None

    async def request(self, text: str, request_id: Hashable, *, within_s: float) -> Reply | NotSent | OutcomeUnknown:
        """Send one text frame and return the frame that answers it; see `Connection.request`.

        Raises:
            DomainError: If an answer with this id is awaited already.
        """
        if request_id in self._requests:
            msg = f"request id {request_id!r}: expected one that is not in use, was one whose answer is awaited"
            raise DomainError(msg)
        if not self.is_open:
            return NotSent("the connection is closed")
        pending = self._requests[request_id] = _Pending()
        try:
            return await self._timing.within(within_s, partial(self._exchange, text, pending))
        # A frame that a closing connection refused cannot be told from one that was lost on the way.
        except (ConnectionClosed, OSError) as error:
            is_late = isinstance(error, TimeoutError)
            return OutcomeUnknown(f"no answer within {within_s:g} s" if is_late else _LOST_BEFORE_ANSWER)
        finally:
            del self._requests[request_id]

    def drop(self, reason: str) -> None:
        """Cut the socket at once: a peer that is silent would not take part in a closing handshake either."""
        if self._failure is None and not self.ended.is_set():
            self._failure = reason
            self._wire.transport.abort()

    async def retire(self) -> None:
        """Close politely after the successor took over; what still comes until then is delivered."""
        if not self.ended.is_set():
            self._is_retiring = True
            await self._close()

    def loss(self) -> Disconnected:
        """Return how the connection ended."""
        sent, received = self._wire.protocol.close_sent, self._wire.protocol.close_rcvd
        close = sent if sent is not None and not self._wire.protocol.close_rcvd_then_sent else received
        code = _ABNORMAL_CLOSURE if close is None else close.code
        return Disconnected(self.generation, self._failure or _printable("" if close is None else close.reason), code)

    async def _exchange(self, text: str, pending: _Pending) -> Reply | OutcomeUnknown:
        await self._wire.send(text)
        await pending.settled.wait()
        return pending.reply or OutcomeUnknown(_LOST_BEFORE_ANSWER)

    async def _read(self) -> None:
        wire, timing, first_frame = self._wire, self._timing, self.first_frame
        with contextlib.suppress(ConnectionClosed):
            while True:
                data = await wire.recv(decode=False)
                receive_ns = timing.now_ns()
                if (self._requests or self._pong) and self._is_answer(data, receive_ns):
                    continue
                self._deliver(Frame(data, receive_ns, self.generation))
                if not first_frame.is_set():
                    first_frame.set()

    def _is_answer(self, data: bytes, receive_ns: int) -> bool:
        """Hand a frame to who awaits it, if anybody does."""
        if self._pong is not None and isinstance(self._pings, TextPings) and self._pings.is_pong(data):
            self._pong.set()
            return True
        pending = self._requests.get(self._reply_id(data)) if self._requests else None
        if pending is None:
            return False
        pending.reply = Reply(data, receive_ns)
        pending.settled.set()
        return True

    async def _watch(self) -> None:
        silence_ns = round(self._limits.silence_s * 1e9)
        while True:
            left_ns = self._wire.last_frame_ns + silence_ns - self._timing.now_ns()
            if left_ns <= 0:
                self.drop(f"no frame for {self._limits.silence_s:g} s")
                return
            await self._timing.sleep(left_ns / 1e9)

    async def _ping(self) -> None:
        pings, count = self._pings, 0
        while not isinstance(pings, ServerPings):
            await self._timing.sleep(pings.interval_s)
            count += 1
            try:
                await self._timing.within(pings.pong_within_s, partial(self._ping_once, pings, count))
            except TimeoutError:
                self.drop(f"no pong within {pings.pong_within_s:g} s")
                return
            except (ConnectionClosed, OSError):
                return

    async def _ping_once(self, pings: ProtocolPings | TextPings, count: int) -> None:
        if isinstance(pings, ProtocolPings):
            await (await self._wire.ping())
            return
        self._pong = anyio.Event()
        try:
            await self._wire.send(pings.text(count))
            await self._pong.wait()
        finally:
            self._pong = None

    async def _close(self) -> None:
        with contextlib.suppress(TimeoutError):
            await self._timing.within(self._limits.close_s, self._wire.close)
        self._wire.transport.abort()
        await self._wire.wait_closed()


_LOST_BEFORE_ANSWER = "the connection was lost before the answer"


class _Pending:
    """An answer that is awaited."""

    __slots__ = ("reply", "settled")

    def __init__(self) -> None:
        self.settled = anyio.Event()
        self.reply: Reply | None = None


def _printable(reason: str) -> str:
    """Return a close reason fit for a log: it is whatever the other side wrote."""
    said = reason[:_REASON_CHARACTERS_MAX]
    return "".join(character if character.isprintable() else "?" for character in said) or "closed without a reason"

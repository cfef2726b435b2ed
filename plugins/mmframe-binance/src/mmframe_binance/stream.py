"""One socket of combined streams: subscribed in few messages, and known to deliver or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mmframe.errors import DomainError
from mmframe.net.events import Disconnected, Frame, Retired
from mmframe.net.request import Reply
from mmframe.net.websocket import ProtocolPings, ServerPings, SubscriptionError, WebsocketLimits, WebsocketSession

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from random import Random

    from mmframe.net.events import Event
    from mmframe.net.timing import Timing
    from mmframe.net.websocket import Connection

__all__ = ["StreamSocket", "is_shutdown"]

_STREAMS_MAX = 1024
"""Streams of one connection, as the exchange limits them."""

_STREAMS_A_MESSAGE = 100
_MESSAGE_PAUSE_S = 0.5
"""The exchange cuts a connection that sends more than five messages a second."""

_ANSWER_S = 10.0
_ANSWER_BYTES_MAX = 4096
_SHUTDOWN_BYTES_MAX = 200


class _Answer(msgspec.Struct, frozen=True):
    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: msgspec.Raw = msgspec.Raw(b"null")
    code: int | None = None


_answer = msgspec.json.Decoder(_Answer)


class StreamSocket:
    """The session of one set of streams.

    Args:
        url: Of the combined streams, without any in it.
        streams: Names to subscribe to.
        on_subscribed: Called on each new connection once the exchange has taken the subscriptions.
        carries_books: Whether diffs come here.
        carries_trades: Whether trades do.
        pings: Whether we ping.
        timing: Clock and sleep.
        randomness: Of the delays between attempts.
        limits: Bounds.
        proxy: Address of an HTTP proxy, or None.

    Attributes:
        session: The connection that stays.
        carries_books: As given.
        carries_trades: As given.

    Raises:
        DomainError: If there are more streams than a connection may have, or the address is not safe.
    """

    def __init__(  # noqa: PLR0913 - what a socket needs, each thing by its name
        self,
        url: str,
        streams: Sequence[str],
        *,
        on_subscribed: Callable[[], None],
        carries_books: bool,
        carries_trades: bool,
        pings: bool,
        timing: Timing,
        randomness: Random,
        limits: WebsocketLimits,
        proxy: str | None,
    ) -> None:
        if len(streams) > _STREAMS_MAX:
            msg = f"streams of one connection: expected at most {_STREAMS_MAX}, was {len(streams)}"
            raise DomainError(msg, hint="run the markets in several strategies")
        self._streams = streams
        self._on_subscribed = on_subscribed
        self._timing = timing
        self.carries_books = carries_books
        self.carries_trades = carries_trades
        self.session = WebsocketSession(
            url,
            subscribe=self._subscribe,
            timing=timing,
            randomness=randomness,
            limits=limits,
            pings=ProtocolPings() if pings else ServerPings(),
            reply_id=_reply_id,
            proxy=proxy,
        )
        self._delivering: set[int] = set()

    def is_lost_with(self, event: Event) -> bool:
        """Take note of an event; return whether it leaves no connection that delivers."""
        if isinstance(event, Frame):
            self._delivering.add(event.generation)
        elif isinstance(event, (Disconnected, Retired)):
            self._delivering.discard(event.generation)
        return isinstance(event, Disconnected) and not self._delivering

    async def _subscribe(self, connection: Connection) -> None:
        for number, start in enumerate(range(0, len(self._streams), _STREAMS_A_MESSAGE), start=1):
            if number > 1:
                await self._timing.sleep(_MESSAGE_PAUSE_S)
            request = {"method": "SUBSCRIBE", "params": self._streams[start : start + _STREAMS_A_MESSAGE], "id": number}
            reply = await connection.request(msgspec.json.encode(request).decode(), number, within_s=_ANSWER_S)
            if not isinstance(reply, Reply):
                raise SubscriptionError(reply.reason)
            answer = _answer.decode(reply.data)
            if answer.code is not None or bytes(answer.error) != b"null" or bytes(answer.result) != b"null":
                msg = "the exchange refused the subscription"
                raise SubscriptionError(msg)
        self._on_subscribed()


def is_shutdown(frame: bytes) -> bool:
    """Tell whether a frame announces that the exchange will close this connection."""
    return len(frame) <= _SHUTDOWN_BYTES_MAX and b'"serverShutdown"' in frame


def _reply_id(frame: bytes) -> Hashable:
    if len(frame) > _ANSWER_BYTES_MAX or frame.startswith(b'{"stream"'):
        return None
    try:
        return _answer.decode(frame).id
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None

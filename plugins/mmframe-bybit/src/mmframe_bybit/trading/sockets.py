"""The two private sockets: the stream that brings evidence, and the one that takes orders."""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from mmframe.errors import VenueError
from mmframe.net.request import NotSent
from mmframe.net.request import Reply as Answered
from mmframe.net.websocket import (
    Disconnected,
    Frame,
    Overflow,
    SubscriptionError,
    TextPings,
    WebsocketLimits,
    WebsocketSession,
)
from mmframe_bybit.options import PING_INTERVAL_S
from mmframe_bybit.trading.messages import ControlFrame, TradeReply, decode_trade_reply, parse_private_frame
from mmframe_bybit.trading.outcome import Accepted, NeverSent, Outcome, Unclear
from mmframe_bybit.wire import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from mmframe.net.budget import Lane
    from mmframe.net.timing import Timing
    from mmframe.net.websocket import Connection
    from mmframe_bybit.trading.auth import Credentials
    from mmframe_bybit.trading.limits import Endpoint
    from mmframe_bybit.trading.rest import RestClient

__all__ = ["PrivateStream", "TradeSocket"]

_LOG = logging.getLogger("mmframe_bybit.trading")
_PING = '{"op":"ping"}'
_LOGIN_ID = "login"
_LOGIN_VALID_MS = 10_000
_ANSWER_S = 10.0
_TAKES_NO_MORE = {10003: "too many sessions", 10019: "the trade service restarts"}
"""Codes that every further request on this connection would be answered with, cancels too."""

_ALREADY_LOGGED_IN = 20001


class PrivateStream:
    """Orders, executions, positions and wallet as the exchange tells them.

    Args:
        url: Whole address.
        topics: Requests of topics; the exchange wants general ones and those of a category apart.
        credentials: The key.
        rest: Gives the exchange's clock.
        timing: Clock and sleep.
        randomness: Source of the backoff's jitter.
        liveness_s: Time without a sign of life after which the connection counts as dead.
        on_up: Called with the generation of each connection that is logged in and subscribed.
        on_lost: Called with the reason when no such connection is left, or frames of it were lost.
    """

    def __init__(  # noqa: PLR0913 - what a stream needs, each thing by its name
        self,
        url: str,
        *,
        topics: Sequence[Sequence[str]],
        credentials: Credentials,
        rest: RestClient,
        timing: Timing,
        randomness: Random,
        liveness_s: float,
        on_up: Callable[[int], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._topics = topics
        self._credentials = credentials
        self._rest = rest
        self._on_up = on_up
        self._on_lost = on_lost
        self._request_numbers = count(1)
        self._generation = 0
        self._session = WebsocketSession(
            url,
            subscribe=self._subscribe,
            timing=timing,
            randomness=randomness,
            limits=WebsocketLimits(silence_s=liveness_s, subscribe_s=_ANSWER_S * (2 + len(topics))),
            pings=TextPings(
                text=lambda _number: _PING,
                is_pong=_is_private_pong,
                interval_s=PING_INTERVAL_S,
                pong_within_s=liveness_s - PING_INTERVAL_S,
            ),
            reply_id=_private_reply_id,
        )

    @property
    def dropped_frames(self) -> int:
        """Return how many frames were dropped because the queue was full."""
        return self._session.dropped_frames

    async def run(self) -> None:
        """Connect and stay connected until cancelled.

        Raises:
            VenueError: If the exchange refuses the key or a topic of the very first connection.
        """
        await self._session.run()

    async def receive(self) -> list[Frame]:
        """Wait for news and return the frames among them; losses are told to `on_lost` in between."""
        frames = []
        for event in await self._session.receive():
            if isinstance(event, Frame):
                frames.append(event)
            elif isinstance(event, Overflow):
                self.reconnect(f"{event.dropped} frames were lost: the queue was full")
                self._on_lost("the private stream's queue was full")
            elif isinstance(event, Disconnected) and event.generation == self._generation:
                self._on_lost(f"the private stream is lost: {event.reason}")
        return frames

    def reconnect(self, reason: str) -> None:
        """Drop the connection and open another."""
        self._session.reconnect(reason)

    async def _subscribe(self, connection: Connection) -> None:
        expires_ms = self._rest.clock.now_ms() + _LOGIN_VALID_MS
        await self._ask(connection, "auth", _LOGIN_ID, self._credentials.login(expires_ms), "the key")
        for topics in self._topics:
            request_id = f"s{next(self._request_numbers)}"
            await self._ask(connection, "subscribe", request_id, list(topics), " and ".join(topics))
        # After a break the exchange's own cancel waits for a ping as well; the first one of the session comes late.
        await connection.send(_PING)
        if self._generation and self._session.connection is None:
            # Its loss may still wait in the queue; what follows is not the same unbroken stream.
            self._on_lost("the private stream was lost")
        self._generation = connection.generation
        self._on_up(connection.generation)

    async def _ask(
        self, connection: Connection, operation: str, request_id: str, arguments: Sequence[str | int], what: str
    ) -> None:
        text = msgspec.json.encode({"op": operation, "req_id": request_id, "args": arguments}).decode()
        answer = await connection.request(text, request_id, within_s=_ANSWER_S)
        if not isinstance(answer, Answered):
            msg = f"{operation}: {answer.reason}"
            raise SubscriptionError(msg)
        reply = _control(answer.data)
        if reply is not None and reply.success:
            return
        words = "an answer that is none" if reply is None else self._credentials.shown(reply.ret_msg)
        msg = f"private stream: the exchange refused {what}: {words!r}"
        if self._generation:
            raise SubscriptionError(msg, hint="it was taken before: the session tries again")
        raise VenueError(msg, hint="check key, environment and the clock; `mmframe doctor` looks at all of them")


class TradeSocket:
    """Order requests over a socket, each answered once; what comes of them shows on the private stream.

    Args:
        url: Whole address.
        credentials: The key.
        rest: Gives the exchange's clock and the limits, which both ways share.
        timing: Clock and sleep.
        randomness: Source of the backoff's jitter.
        liveness_s: Time without a sign of life after which the connection counts as dead.
        timeout_s: Time for an answer.
    """

    def __init__(  # noqa: PLR0913 - as above
        self,
        url: str,
        *,
        credentials: Credentials,
        rest: RestClient,
        timing: Timing,
        randomness: Random,
        liveness_s: float,
        timeout_s: float,
    ) -> None:
        self._credentials = credentials
        self._rest = rest
        self._timing = timing
        self._timeout_s = timeout_s
        # Unique beyond this process: the exchange refuses an id that it has seen in this session or another.
        self._id_prefix = f"{timing.now_ns() // 1000:x}"
        self._request_numbers = count(1)
        self._session = WebsocketSession(
            url,
            subscribe=self._log_in,
            timing=timing,
            randomness=randomness,
            limits=WebsocketLimits(silence_s=liveness_s, subscribe_s=2 * _ANSWER_S),
            pings=TextPings(
                text=lambda _number: _PING,
                is_pong=_is_trade_pong,
                interval_s=PING_INTERVAL_S,
                pong_within_s=liveness_s - PING_INTERVAL_S,
            ),
            reply_id=_trade_reply_id,
        )

    @property
    def is_connected(self) -> bool:
        """Tell whether requests can go this way now."""
        return self._session.connection is not None

    async def run(self) -> None:
        """Connect and stay connected until cancelled."""
        await self._session.run(self._drain)

    async def ask(  # noqa: PLR0913 - as above
        self,
        endpoint: Endpoint,
        operation: str,
        fields: Mapping[str, object],
        *,
        lane: Lane,
        within_s: float,
        unless: Callable[[], str] = lambda: "",
    ) -> Outcome:
        """Send one order request once and return what became of it.

        Args:
            endpoint: Whose limit it counts for.
            operation: Such as `order.create`.
            fields: The order.
            lane: What for.
            within_s: How long it may wait for room in the limits.
            unless: Tells, once there is room, why it is not to be sent any more; empty if it is.
        """
        refusal = await self._rest.limits.take(endpoint, lane, within_s=within_s, over_http=False) or unless()
        if refusal:
            return NeverSent(refusal, self._timing.now_ns())
        request_id = f"{self._id_prefix}-{next(self._request_numbers)}"
        header = {
            "X-BAPI-TIMESTAMP": str(self._rest.clock.now_ms()),
            "X-BAPI-RECV-WINDOW": str(self._credentials.recv_window_ms),
        }
        message = {"reqId": request_id, "header": header, "op": operation, "args": [fields]}
        text = msgspec.json.encode(message).decode()
        generation = 0 if self._session.connection is None else self._session.connection.generation
        answer = await self._session.request(text, request_id, within_s=self._timeout_s)
        now_ns = self._timing.now_ns()
        if isinstance(answer, NotSent):
            return NeverSent(answer.reason, now_ns)
        if not isinstance(answer, Answered):
            # Where one request went nowhere the next cancel is not to follow: HTTP takes it meanwhile.
            self._session.reconnect("a request was not answered", generation)
            return Unclear(answer.reason, now_ns)
        return self._outcome(endpoint, decode_trade_reply(answer.data), answer.receive_ns)

    def _outcome(self, endpoint: Endpoint, reply: TradeReply, receive_ns: int) -> Outcome:
        headers = reply.headers()
        self._rest.limits.on_headers(endpoint, headers)
        if reply.ret_code == 0:
            return Accepted(reply.data, receive_ns)
        if reply.ret_code in _TAKES_NO_MORE:
            self._session.reconnect(_TAKES_NO_MORE[reply.ret_code])
        return self._rest.refused(endpoint, reply.ret_code, reply.ret_msg, headers, receive_ns)

    async def _log_in(self, connection: Connection) -> None:
        expires_ms = self._rest.clock.now_ms() + _LOGIN_VALID_MS
        login = {"op": "auth", "reqId": _LOGIN_ID, "args": self._credentials.login(expires_ms)}
        answer = await connection.request(msgspec.json.encode(login).decode(), _LOGIN_ID, within_s=_ANSWER_S)
        if not isinstance(answer, Answered):
            msg = f"trade socket: {answer.reason}"
            raise SubscriptionError(msg)
        reply = decode_trade_reply(answer.data)
        if reply.ret_code not in {0, _ALREADY_LOGGED_IN}:
            # Never the end of the run: orders go over HTTP meanwhile, and the private stream judges the key.
            words = self._credentials.shown(reply.ret_msg)
            msg = f"trade socket: the exchange refused the key: {reply.ret_code} {words!r}"
            raise SubscriptionError(msg, hint="orders go over HTTP until it is taken")

    def _drain(self) -> None:
        """Drop what nobody awaited: answers that came too late, and pongs."""
        late = [event for event in self._session.poll() if isinstance(event, Frame)]
        if late:
            _LOG.debug("trade_frames_dropped", extra={"frames": len(late)})


def _control(frame: bytes) -> ControlFrame | None:
    if b'"op"' not in frame:
        return None
    try:
        message = parse_private_frame(frame)
    except FrameError:
        return None
    return message if isinstance(message, ControlFrame) else None


def _private_reply_id(frame: bytes) -> str | None:
    reply = _control(frame)
    if reply is None:
        return None
    # The answer to a login does not always repeat the request's id.
    return _LOGIN_ID if reply.op == "auth" else reply.req_id or None


def _is_private_pong(frame: bytes) -> bool:
    reply = _control(frame)
    return reply is not None and (reply.op == "pong" or (reply.op == "ping" and reply.ret_msg == "pong"))


def _trade(frame: bytes) -> TradeReply | None:
    try:
        return decode_trade_reply(frame)
    except FrameError:
        return None


def _trade_reply_id(frame: bytes) -> str | None:
    reply = _trade(frame)
    if reply is None:
        return None
    return _LOGIN_ID if reply.op == "auth" else reply.req_id or None


def _is_trade_pong(frame: bytes) -> bool:
    reply = _trade(frame)
    return reply is not None and reply.op == "pong"

"""The live feeds: one socket a category, its frames through the very books of a capture."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import anyio
import msgspec

from mmframe.domain.market import NEVER_NS, MarketBatch
from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import DomainError, FeedError
from mmframe.net.backoff import Backoff
from mmframe.net.redact import require_safe_url
from mmframe.net.request import Reply as Answered
from mmframe.net.timing import Timing
from mmframe.net.websocket import (
    Connected,
    Disconnected,
    Frame,
    Overflow,
    Retired,
    SubscriptionError,
    TextPings,
    WebsocketLimits,
    WebsocketSession,
)
from mmframe.plugin.notes import capture_note
from mmframe_bybit.instruments import venue_symbol
from mmframe_bybit.options import PING_INTERVAL_S
from mmframe_bybit.stream import MarketStream
from mmframe_bybit.wire import (
    LIVE_BOOK_DEPTHS,
    BookFrame,
    FrameError,
    Reply,
    ReplyKind,
    frame_topic,
    parse_frame,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from mmframe.net.websocket import Connection, Event
    from mmframe.plugin import BuildContext
    from mmframe_bybit.book import BookCounts
    from mmframe_bybit.options import FeedOptions

__all__ = ["LiveFeed"]

_HOSTS = {
    "live": "wss://stream.bybit.com",
    "testnet": "wss://stream-testnet.bybit.com",
    "demo": "wss://stream.bybit.com",
}
_TOPIC_CHARACTERS_MAX = 21_000
"""Of the topics of one connection together, as the exchange limits them."""

_ANSWER_S = 10.0
"""Time for the answer to a subscription."""

_RESYNC_PAUSE_S = 1.0
"""Shortest time between two resubscriptions of a topic: a snapshot is on its way meanwhile."""

_PING = '{"op":"ping"}'
_TEXT_SHOWN_MAX = 200
_GRID_HINT = "set tick_size and lot_size of the market to the steps of the venue"


class LiveFeed:
    """Public market data of one category. Satisfies `mmframe.ports.Feed`.

    Frames wait in the socket session's bounded queue; `poll` reads them, so that a book is never further than what the
    engine has seen of it.

    Args:
        category: `spot` or `linear`.
        options: As in the strategy file.
        context: Gives markets, clock, chance and logger.
        sleep: Waits for a number of seconds; a test may move time instead.

    Attributes:
        next_event_ns: Never: news come by `notify`.
        bad_frames: Frames that could not be read or are off the grid.

    Raises:
        DomainError: If `depth` is none that there is, the address is not safe, or the markets are too many for one
            connection.
    """

    def __init__(
        self,
        category: str,
        options: FeedOptions,
        context: BuildContext,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        if options.depth not in LIVE_BOOK_DEPTHS:
            msg = f"depth: expected one of {', '.join(map(str, LIVE_BOOK_DEPTHS))}, was {options.depth}"
            raise DomainError(msg)
        self.next_event_ns = NEVER_NS
        self.bad_frames = 0
        self._url = options.stream_url or f"{_HOSTS[options.environment]}/v5/public/{category}"
        require_safe_url(self._url, scheme="ws")
        self._options = options
        self._logger = context.logger
        self._randomness = context.random
        self._timing = Timing(context.clock, sleep)
        self._streams = tuple(
            MarketStream(market, instrument, venue_symbol(instrument, category), options.depth)
            for market, instrument in enumerate(context.instruments)
        )
        self._by_symbol = {stream.symbol: stream for stream in self._streams}
        self._on_frame_received = context.on_frame
        # The connection that a recording takes a market's next frame to be of.
        self._recorded_connections = [1 for _ in self._streams]
        self._require_room()
        # The newest connection on which each market was accepted.
        self._connections: dict[int, Connection] = {}
        self._request_numbers = count(1)
        self._session: WebsocketSession | None = None
        self._lost: dict[int, anyio.Event] = {}
        self._last_ns = 0

    @property
    def counts(self) -> Mapping[str, BookCounts]:
        """Return what became of each market's messages, by unified symbol."""
        return {stream.instrument.symbol: stream.counts for stream in self._streams}

    @property
    def is_synced(self) -> bool:
        """Tell whether every book is whole, as far as `poll` has read."""
        return all(stream.is_synced for stream in self._streams)

    def poll(self, now_ns: int) -> Sequence[MarketBatch]:
        """Return what has been received, in receive order; each batch once.

        A frame that cannot be read is counted and voids at most its own book.
        """
        if self._session is None:
            return ()
        batches = [batch for batch in self._batches(self._session.poll(), now_ns) if len(batch)]
        for stream in self._streams:
            if stream.lost_generation:
                self._lost[stream.market].set()
        return batches

    async def run(self, notify: Callable[[], None]) -> None:
        """Connect, keep connected and every book in sync until cancelled.

        Raises:
            FeedError: If the exchange refuses a market.
        """
        options = self._options
        self._lost = {stream.market: anyio.Event() for stream in self._streams}
        session = self._session = WebsocketSession(
            self._url,
            subscribe=self._subscribe,
            timing=self._timing,
            randomness=self._randomness,
            limits=WebsocketLimits(
                silence_s=options.liveness_timeout_s,
                subscribe_s=_ANSWER_S * (1 + len(self._streams)),
                queue_frames_max=options.queue_frames_max,
            ),
            pings=TextPings(
                text=lambda _number: _PING,
                is_pong=_is_pong,
                interval_s=PING_INTERVAL_S,
                pong_within_s=options.liveness_timeout_s - PING_INTERVAL_S,
            ),
            reply_id=_request_id,
        )
        failures: list[FeedError] = []
        async with anyio.create_task_group() as tasks:
            for stream in self._streams:
                tasks.start_soon(self._keep_synced, stream)
            try:
                await session.run(notify)
            except FeedError as error:
                # Raised outside of the group: the error itself says what is wrong.
                failures.append(error)
            tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]

    def _require_room(self) -> None:
        length = len(_request("subscribe", "0", [topic for stream in self._streams for topic in stream.topics]))
        if length > _TOPIC_CHARACTERS_MAX:
            msg = f"markets: expected topics of at most {_TOPIC_CHARACTERS_MAX} characters together, was {length}"
            raise DomainError(msg, hint="split the markets into several strategies")

    async def _subscribe(self, connection: Connection) -> None:
        # A request a market: the answer then tells which one is refused, and the ten topics that spot allows suffice.
        for stream in self._streams:
            refusal = await self._ask(connection, "subscribe", stream.topics)
            if refusal is None:
                self._connections[stream.market] = connection
                continue
            msg = f"{stream.instrument.symbol}: the exchange refused {' and '.join(stream.topics)}: {refusal!r}"
            if stream.market in self._connections:
                raise SubscriptionError(msg, hint="it was taken before: the session tries again")
            raise FeedError(msg, hint="set venue_symbol of the market to a symbol that this category has")

    async def _ask(self, connection: Connection, operation: str, topics: Sequence[str]) -> str | None:
        """Return the exchange's words of refusal, or None if it agreed.

        Raises:
            SubscriptionError: If there was no answer.
        """
        request_id = str(next(self._request_numbers))
        text = _request(operation, request_id, topics)
        answer = await connection.request(text, request_id, within_s=_ANSWER_S)
        if not isinstance(answer, Answered):
            msg = f"{operation} {', '.join(topics)}: {answer.reason}"
            raise SubscriptionError(msg)
        reply = parse_frame(answer.data)
        if not isinstance(reply, Reply):
            return "an answer that is none"
        return None if reply.is_success else reply.text[:_TEXT_SHOWN_MAX]

    async def _keep_synced(self, stream: MarketStream) -> None:
        """Ask for a new snapshot whenever the book is void, more and more slowly while that does not help."""
        backoff = Backoff(self._randomness)
        while True:
            await self._lost[stream.market].wait()
            self._lost[stream.market] = anyio.Event()
            backoff.on_lost(self._timing.now_ns())
            while stream.lost_generation:
                await self._resubscribe(stream)
                await self._timing.sleep(_RESYNC_PAUSE_S + backoff.next_delay_s())
            backoff.on_opened(self._timing.now_ns())

    async def _resubscribe(self, stream: MarketStream) -> None:
        connection = self._connections.get(stream.market)
        if connection is None or connection.generation != stream.lost_generation:
            return
        self._logger.warning("book_resync", extra={"market": stream.instrument.symbol, "topic": stream.book_topic})
        try:
            for operation in ("unsubscribe", "subscribe"):
                refusal = await self._ask(connection, operation, (stream.book_topic,))
                if refusal is not None:
                    connection.drop(f"{operation} {stream.book_topic} was refused: {refusal!r}")
                    return
        except SubscriptionError as error:
            connection.drop(error.message)

    def _batches(self, events: Sequence[Event], now_ns: int) -> Iterator[MarketBatch]:
        for index, event in enumerate(events):
            if isinstance(event, Frame):
                yield self._on_frame(event)
            else:
                yield from self._on_connection(event, _time_of(events, index, now_ns))

    def _on_frame(self, frame: Frame) -> MarketBatch:
        # A clock that is set back must not turn the order round.
        receive_ns = self._last_ns = max(self._last_ns, frame.receive_ns)
        try:
            message = parse_frame(frame.data)
        except FrameError as error:
            return self._on_unreadable(frame, error, receive_ns)
        topic = "" if message is None or isinstance(message, Reply) else message.topic
        stream = self._stream_of(topic)
        if self._on_frame_received is not None:
            self._record(frame, stream, receive_ns)
        if stream is None or message is None or isinstance(message, Reply):
            return _NOTHING
        batch = MarketBatch(stream.market)
        try:
            if isinstance(message, BookFrame):
                stream.on_book(message, frame.generation, batch, receive_ns)
            else:
                stream.on_trades(message, batch, receive_ns)
        except DomainError as error:
            self._count_bad(error.message, hint=_GRID_HINT if "multiple of" in error.message else error.hint)
        return batch

    def _on_unreadable(self, frame: Frame, error: FrameError, receive_ns: int) -> MarketBatch:
        self._count_bad(error.message, hint=None)
        topic = frame_topic(frame.data)
        stream = self._stream_of(topic)
        if self._on_frame_received is not None:
            self._record(frame, None, receive_ns)
        if stream is None or topic != stream.book_topic:
            return _NOTHING
        self._record_note(
            stream,
            capture_note("loss", connection=frame.generation, reason="a frame could not be read"),
            receive_ns,
        )
        batch = MarketBatch(stream.market)
        stream.on_unreadable(frame.generation, batch, receive_ns)
        return batch

    def _on_connection(self, event: Connected | Disconnected | Retired | Overflow, at_ns: int) -> Iterable[MarketBatch]:
        receive_ns = self._last_ns = max(self._last_ns, at_ns)
        for stream in self._streams:
            batch = MarketBatch(stream.market)
            if isinstance(event, Connected):
                self._record_connected(stream, event.generation, receive_ns)
                stream.on_connected(event.generation)
            elif isinstance(event, Overflow):
                reason = "frames were dropped because nobody took them in"
                self._record_note(stream, capture_note("loss", reason=reason), receive_ns)
                stream.on_loss(batch, receive_ns)
            else:
                reason = "" if isinstance(event, Retired) else "the connection was lost"
                note = capture_note("ended", connection=event.generation, reason=reason)
                self._record_note(stream, note, receive_ns)
                stream.on_ended(event.generation, batch, receive_ns)
            yield batch

    def _record(self, frame: Frame, stream: MarketStream | None, receive_ns: int) -> None:
        """Hand a frame to the recorder: to the file of its market, after a note if it came on another connection."""
        if self._on_frame_received is None:
            return
        if stream is None:
            self._on_frame_received(ALL_MARKETS, receive_ns, frame.data)
            return
        if frame.generation != self._recorded_connections[stream.market]:
            self._recorded_connections[stream.market] = frame.generation
            self._record_note(stream, capture_note("from", connection=frame.generation), receive_ns)
        self._on_frame_received(stream.market, receive_ns, frame.data)

    def _record_connected(self, stream: MarketStream, generation: int, receive_ns: int) -> None:
        if generation > 1:
            self._recorded_connections[stream.market] = generation
            self._record_note(stream, capture_note("connected", connection=generation), receive_ns)

    def _record_note(self, stream: MarketStream, note: bytes, receive_ns: int) -> None:
        if self._on_frame_received is not None:
            self._on_frame_received(stream.market, receive_ns, note)

    def _stream_of(self, topic: str) -> MarketStream | None:
        stream = self._by_symbol.get(topic.rpartition(".")[2])
        return stream if stream is not None and topic in stream.topics else None

    def _count_bad(self, message: str, *, hint: str | None) -> None:
        self.bad_frames += 1
        # Each time that their number has doubled: a stream of nonsense must not fill the disk.
        if self.bad_frames & (self.bad_frames - 1) == 0:
            self._logger.warning("bad_frame", extra={"reason": message, "hint": hint, "bad_frames": self.bad_frames})


_NOTHING = MarketBatch(0)
"""What a frame without market data becomes; never handed out."""


def _time_of(events: Sequence[Event], index: int, now_ns: int) -> int:
    """Return when something happened that bears no time: no later than the next frame came."""
    return next((event.receive_ns for event in events[index + 1 :] if isinstance(event, Frame)), now_ns)


def _request(operation: str, request_id: str, topics: Sequence[str]) -> str:
    return msgspec.json.encode({"op": operation, "req_id": request_id, "args": topics}).decode()


def _request_id(frame: bytes) -> str | None:
    reply = _reply(frame)
    return reply.request_id if reply is not None and reply.kind is ReplyKind.REQUEST else None


def _is_pong(frame: bytes) -> bool:
    reply = _reply(frame)
    return reply is not None and reply.kind is ReplyKind.PING


def _reply(frame: bytes) -> Reply | None:
    """Return the answer that a frame is; None for market data, which is told by its bytes alone, and for nonsense."""
    if b'"op"' not in frame:
        return None
    try:
        message = parse_frame(frame)
    except FrameError:
        return None
    return message if isinstance(message, Reply) else None

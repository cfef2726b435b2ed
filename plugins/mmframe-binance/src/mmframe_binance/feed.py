"""The live feeds `spot` and `usdm`: sockets and snapshots in, batches out, through the sync rules of a capture.

Sockets and snapshots only receive and queue, within the sessions' bounds. What they say is read in `poll`, by whoever
drives, in the order of receipt: one place decides what a book may believe.
"""

from __future__ import annotations

import heapq
import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from mmframe.domain.market import NEVER_NS, MarketBatch
from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import DomainError
from mmframe.net.budget import RateBudget, Window
from mmframe.net.events import Frame, Overflow
from mmframe.net.http import HttpSession
from mmframe.net.redact import require_proxy_url, require_safe_url
from mmframe.net.timing import Timing
from mmframe.net.websocket import WebsocketLimits
from mmframe.plugin.notes import capture_note
from mmframe_binance.book import SymbolBook
from mmframe_binance.crosscheck import TouchCheck
from mmframe_binance.snapshots import Fetched, SnapshotFetcher
from mmframe_binance.stream import StreamSocket, is_shutdown
from mmframe_binance.wire import BookTicker, DepthUpdate, FrameError, PartialDepth, Trade, parse_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mmframe.net.events import Event
    from mmframe.plugin import BuildContext
    from mmframe_binance.book import BookCounts
    from mmframe_binance.options import SpotOptions, UsdmOptions
    from mmframe_binance.venues import Product
    from mmframe_binance.wire import MarketMessage

__all__ = ["FRAME_BYTES_MAX", "FeedCounts", "LiveFeed"]

FRAME_BYTES_MAX = 4 << 20
"""Longest frame; a longer one ends the connection."""

_MINUTE_NS = 60_000_000_000
_BATCH_MESSAGES_MAX = 4096
_STREAM_NAME = re.compile(rb'"stream"\s*:\s*"([^"@]{1,64})@(\w{1,20})')
_HEAD_BYTES = 200
"""Of a bad frame: what is looked at for the stream that it came from."""

_REPEATED_IDS_MAX = 100_000
"""Trade ids by which a trade can be behind the last one and still be a repeated one. Further behind, either ids began
anew or the last one was wrong: to leave such trades out would mean to leave out all that follow."""


@attrs.define
class FeedCounts:
    """What went wrong and was dealt with.

    Attributes:
        bad_frames: Frames that could not be read.
        cross_checked: Times that the book's touch was compared with the exchange's own.
        disagreements: Those in which it was another one.
        duplicate_trades: Trades that a second connection told again.
        lost_connections: Times that no connection was left.
        overflows: Times that frames were dropped because nobody took them in.
    """

    bad_frames: int = 0
    cross_checked: int = 0
    disagreements: int = 0
    duplicate_trades: int = 0
    lost_connections: int = 0
    overflows: int = 0


class LiveFeed:
    """Market data of one product as it happens.

    Args:
        product: Spot or USDⓈ-M.
        options: From the strategy file.
        context: Gives markets, clock and randomness.
        timing: Clock and sleep; by default the context's clock and real sleep.

    Attributes:
        next_event_ns: `NEVER_NS`: it is the network that says when.

    Raises:
        DomainError: If an address is not safe, or there are more markets than a connection can carry.
    """

    next_event_ns = NEVER_NS

    def __init__(
        self, product: Product, options: SpotOptions | UsdmOptions, context: BuildContext, timing: Timing | None = None
    ) -> None:
        endpoints = product.environments[options.environment]
        self._rest_url = (options.rest_url or endpoints.rest_url).rstrip("/")
        require_safe_url(self._rest_url, scheme="http")
        if options.proxy_url is not None:
            require_proxy_url(options.proxy_url)
        self._proxy = options.proxy_url
        self._timing = timing or Timing(context.clock)
        self._logger = context.logger
        self._symbols = tuple(instrument.venue_symbol.upper() for instrument in context.instruments)
        self._unified = tuple(instrument.symbol for instrument in context.instruments)
        self._markets = {symbol: index for index, symbol in enumerate(self._symbols)}
        self._books = tuple(SymbolBook(instrument, product.continuity()) for instrument in context.instruments)
        self._on_frame_received = context.on_frame
        self._is_partial = options.book != "diff"
        self._checks = tuple(
            TouchCheck(instrument, options.cross_check_disagreements_max)
            for instrument in (context.instruments if options.cross_check else ())
        )
        self._is_aggregate = options.trades == "aggTrade"
        self._last_trade_ids = [-1 for _ in self._symbols]
        self._last_ns = 0
        self._output: list[MarketBatch] = []
        self._counts = FeedCounts()
        self._sockets = self._make_sockets(product, options, endpoints.stream_url, context)
        levels, weight = product.snapshot_size(options.snapshot_levels)
        self._snapshots = SnapshotFetcher(
            self._symbols,
            path=product.depth_path,
            levels=levels,
            weight=weight,
            budget=context.shared(f"weight of {self._rest_url}", lambda: _weight_budget(product)),
            timing=self._timing,
            randomness=context.random,
            logger=context.logger,
            is_connected=self._is_connected,
        )

    @property
    def counts(self) -> FeedCounts:
        """Return what went wrong and was dealt with, up to now."""
        counts = self._counts
        counts.cross_checked = sum(check.compared for check in self._checks)
        counts.disagreements = sum(check.disagreed for check in self._checks)
        return counts

    @property
    def book_counts(self) -> Mapping[str, BookCounts]:
        """Return what became of each market's messages, by unified symbol."""
        return {symbol: book.counts for symbol, book in zip(self._unified, self._books, strict=True)}

    async def run(self, notify: Callable[[], None]) -> None:
        """Stay connected and fetch snapshots until cancelled; see `mmframe.ports.Feed`.

        Raises:
            ExceptionGroup: With a FeedError, if the exchange says that a request is wrong, as for a symbol that it does
                not have.
        """
        async with (
            HttpSession(self._rest_url, timing=self._timing, proxy=self._proxy) as http,
            anyio.create_task_group() as tasks,
        ):
            for socket in self._sockets:
                tasks.start_soon(socket.session.run, notify)
            tasks.start_soon(self._snapshots.run, http, notify)

    def poll(self, now_ns: int) -> Sequence[MarketBatch]:
        """Return what has been received since the last call, in receive order; see `mmframe.ports.Feed`."""
        sources: list[list[tuple[int, StreamSocket | None, Any]]] = [
            [(at_ns, socket, event) for at_ns, event in _timed(socket.session.poll(), now_ns)]
            for socket in self._sockets
        ]
        sources.append([(fetched.receive_ns, None, fetched) for fetched in self._snapshots.drain()])
        for at_ns, socket, event in heapq.merge(*sources, key=itemgetter(0)):
            self._last_ns = max(self._last_ns, at_ns)
            if socket is None:
                self._on_snapshot(event)
            else:
                self._on_event(event, socket)
        batches, self._output = self._output, []
        return [batch for batch in batches if len(batch)]

    def _make_sockets(
        self, product: Product, options: SpotOptions | UsdmOptions, environment_url: str, context: BuildContext
    ) -> tuple[StreamSocket, ...]:
        base_url = (options.stream_url or environment_url).rstrip("/")
        speed = "" if options.depth_speed == product.default_depth_speed else f"@{options.depth_speed}"
        trade_path = product.aggregate_stream_path if self._is_aggregate else product.book_stream_path
        streams: dict[str, list[str]] = {product.book_stream_path: []}
        for symbol in self._symbols:
            depth = "depth" if options.book == "diff" else options.book
            streams[product.book_stream_path].append(f"{symbol.lower()}@{depth}{speed}")
            if options.cross_check:
                streams[product.book_stream_path].append(f"{symbol.lower()}@bookTicker")
            streams.setdefault(trade_path, []).append(f"{symbol.lower()}@{options.trades}")
        limits = WebsocketLimits(
            silence_s=options.liveness_timeout_s,
            frame_bytes_max=FRAME_BYTES_MAX,
            queue_frames_max=options.queue_frames_max,
        )
        return tuple(
            StreamSocket(
                base_url + path,
                names,
                on_subscribed=self._on_subscribed if path == product.book_stream_path else _nothing,
                carries_books=path == product.book_stream_path,
                carries_trades=path == trade_path,
                pings=product.pings,
                timing=self._timing,
                randomness=context.random,
                limits=limits,
                proxy=self._proxy,
            )
            for path, names in streams.items()
        )

    def _is_connected(self) -> bool:
        return all(socket.session.connection is not None for socket in self._sockets if socket.carries_books)

    def _on_subscribed(self) -> None:
        for market, book in enumerate(self._books):
            if not book.is_synced:
                self._want(market)

    def _want(self, market: int) -> None:
        # The best levels come whole by themselves.
        if not self._is_partial:
            self._snapshots.want(market)

    def _on_event(self, event: Event, socket: StreamSocket) -> None:
        if socket.is_lost_with(event):
            self._on_lost_connection(socket)
        elif isinstance(event, Overflow):
            self._counts.overflows += 1
            self._lose_all(socket, "frames were dropped because nobody took them in")
        elif isinstance(event, Frame):
            self._on_frame(event, socket)

    def _on_lost_connection(self, socket: StreamSocket) -> None:
        self._counts.lost_connections += 1
        if socket.carries_trades:
            # The next one tells nothing twice, and the ids of a test network may have begun anew.
            self._last_trade_ids = [-1 for _ in self._symbols]
        if socket.carries_books:
            self._snapshots.epoch += 1
            self._lose_all(socket, "the connection was lost")

    def _on_frame(self, frame: Frame, socket: StreamSocket) -> None:
        try:
            message = parse_frame(frame.data)
        except FrameError as error:
            self._record(ALL_MARKETS, frame.data)
            self._on_bad_frame(frame.data, socket, error)
            return
        market = self._market_of(message)
        is_repeated = isinstance(message, Trade) and market is not None and self._is_repeated(message, market)
        if message is None or market is None or is_repeated:
            self._record(ALL_MARKETS, frame.data)
            self._counts.duplicate_trades += is_repeated
            if is_shutdown(frame.data):
                socket.session.renew(frame.generation)
            return
        if self._on_frame_received is not None:
            self._record(market, frame.data)
        try:
            self._on_message(message, market)
        except DomainError as error:
            self._on_bad_frame(frame.data, socket, error)

    def _market_of(self, message: MarketMessage | None) -> int | None:
        """Return the market of a frame of a stream; a bare snapshot has no business on a socket."""
        if isinstance(message, (DepthUpdate, Trade, BookTicker, PartialDepth)):
            return self._markets.get(message.s.upper())
        return None

    def _on_message(self, message: MarketMessage, market: int) -> None:
        book, batch = self._books[market], self._batch(market)
        first = len(batch)
        if isinstance(message, DepthUpdate):
            book.on_depth(message, batch, self._last_ns)
        elif isinstance(message, PartialDepth):
            book.on_partial(message, batch, self._last_ns)
        elif isinstance(message, Trade):
            book.on_trade(message, batch, self._last_ns)
            self._last_trade_ids[market] = self._trade_id(message)
            return
        elif isinstance(message, BookTicker):
            self._on_ticker(message, market)
            return
        self._check(market, batch, first)
        if not book.is_synced:
            self._want(market)

    def _trade_id(self, trade: Trade) -> int:
        return trade.a if self._is_aggregate else trade.t

    def _is_repeated(self, trade: Trade, market: int) -> bool:
        trade_id, last_id = self._trade_id(trade), self._last_trade_ids[market]
        return trade_id >= 0 and last_id - _REPEATED_IDS_MAX < trade_id <= last_id

    def _on_ticker(self, ticker: BookTicker, market: int) -> None:
        if self._checks and self._checks[market].on_ticker(ticker, self._books[market].last_id):
            self._on_disagreement(market)

    def _check(self, market: int, batch: MarketBatch, first: int) -> None:
        """Compare the book with what the exchange told of its touch, after messages from `first` on."""
        if self._checks and self._checks[market].follow(batch, first, self._books[market].last_id):
            self._on_disagreement(market)

    def _on_disagreement(self, market: int) -> None:
        if self._books[market].is_synced:
            self._logger.warning("touch_disagrees", extra={"symbol": self._symbols[market]})
            self._lose(market, "the touch was another one than the exchange's own")

    def _on_snapshot(self, fetched: Fetched) -> None:
        market = fetched.market
        book, batch = self._books[market], self._batch(market)
        if fetched.epoch != self._snapshots.epoch or not self._is_connected():
            # The diffs that follow it were lost with a connection.
            self._record(ALL_MARKETS, fetched.body)
            self._snapshots.failed(market)
            return
        self._record(market, fetched.body)
        first = len(batch)
        try:
            is_joined = book.on_snapshot(fetched.snapshot, batch, self._last_ns)
        except DomainError as error:
            self._note_bad(self._symbols[market], error)
            book.lose(batch, self._last_ns, self._last_ns)
            is_joined = False
        if is_joined:
            self._snapshots.joined(market)
        else:
            self._logger.info("snapshot_not_joined", extra={"symbol": self._symbols[market]})
            self._snapshots.failed(market)
        self._check(market, batch, first)

    def _on_bad_frame(self, data: bytes, socket: StreamSocket, error: DomainError | FrameError) -> None:
        """Void the book that a bad frame may have belonged to: what it said is not known."""
        found = _STREAM_NAME.search(data[:_HEAD_BYTES])
        symbol, kind = (found[1].decode("utf-8", "replace").upper(), found[2]) if found else ("", b"")
        self._note_bad(symbol, error)
        if symbol not in self._markets:
            self._lose_all(socket, "a frame of no known market could not be read")
        elif kind.startswith(b"depth"):
            self._lose(self._markets[symbol], "a frame could not be read")

    def _note_bad(self, symbol: str, error: DomainError | FrameError) -> None:
        counts = self._counts
        counts.bad_frames += 1
        # The 1st, 2nd, 4th, 8th...: a stream of them must not fill the disk.
        if counts.bad_frames & (counts.bad_frames - 1) == 0:
            fields = {"symbol": symbol, "count": counts.bad_frames, "reason": error.message}
            self._logger.warning("bad_frame", extra=fields)

    def _lose_all(self, socket: StreamSocket, reason: str) -> None:
        if socket.carries_books:
            for market in range(len(self._books)):
                self._lose(market, reason)

    def _lose(self, market: int, reason: str) -> None:
        book, batch = self._books[market], self._batch(market)
        if book.is_synced:
            self._record(market, capture_note("loss", reason=reason))
        first = len(batch)
        book.lose(batch, self._last_ns, self._last_ns)
        self._check(market, batch, first)
        self._want(market)

    def _record(self, market: int, data: bytes) -> None:
        if self._on_frame_received is not None:
            self._on_frame_received(market, self._last_ns, data)

    def _batch(self, market: int) -> MarketBatch:
        """Return the batch that messages of `market` go into now."""
        if not self._output or self._output[-1].market != market or len(self._output[-1]) >= _BATCH_MESSAGES_MAX:
            self._output.append(MarketBatch(market))
        return self._output[-1]


def _timed(events: list[Event], now_ns: int) -> Iterator[tuple[int, Event]]:
    """Give each event a time: a frame's receipt, for others that of the frame after it."""
    timed: list[tuple[int, Event]] = []
    at_ns = now_ns
    for event in reversed(events):
        if isinstance(event, Frame):
            at_ns = event.receive_ns
        timed.append((at_ns, event))
    return reversed(timed)


def _weight_budget(product: Product) -> RateBudget:
    return RateBudget([Window("1M", product.weight_per_minute, _MINUTE_NS)])


def _nothing() -> None:
    """Do nothing: a socket without books has no snapshots to ask for."""

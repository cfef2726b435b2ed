"""The history `capture`: recorded frames through the very parser and sync rules of a live book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.market import MarketBatch
from mmframe.errors import DataError, DomainError
from mmframe.plugin.notes import CaptureNote, read_note
from mmframe_bybit.book import BookCounts, TradeTape
from mmframe_bybit.files import find_files, merge
from mmframe_bybit.instruments import venue_symbol
from mmframe_bybit.stream import MarketStream
from mmframe_bybit.wire import BOOK_DEPTHS, BookFrame, FrameError, Reply, book_topic, parse_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mmframe.domain.instrument import Instrument
    from mmframe.plugin import BuildContext
    from mmframe_bybit.files import CaptureFile, Line
    from mmframe_bybit.options import CaptureOptions
    from mmframe_bybit.wire import PublicMessage, TradeFrame

__all__ = ["CaptureHistory"]

_BATCH_MESSAGES_MAX = 4_096
_BATCH_CHANGES_MAX = 65_536
_SKIP_HINT = 'say on_bad_frame = "skip" to count such frames and go on'
_GRID_HINT = "set tick_size and lot_size of the market to the steps of the venue at that time"


class CaptureHistory:
    """Recorded market data of one category.

    The first lines are read when it is made, so that a check finds what is missing; the rest while `batches` is walked.

    Attributes:
        bad_frames: Lines skipped in the current reading.
        refused_requests: Subscriptions that the server refused, in the current reading.

    Raises:
        DomainError: If a path names no file or one twice, or `depth` is none that there is.
        DataError: If a file is no capture, or is of no market of the strategy.
    """

    def __init__(self, options: CaptureOptions, context: BuildContext) -> None:
        if options.depth is not None and options.depth not in BOOK_DEPTHS:
            msg = f"depth: expected one of {', '.join(map(str, BOOK_DEPTHS))}, was {options.depth}"
            raise DomainError(msg)
        self._logger = context.logger
        self._depth = options.depth
        self._skips_bad = options.on_bad_frame == "skip"
        self._instruments = context.instruments
        symbols = [venue_symbol(instrument, options.category) for instrument in context.instruments]
        self._markets = {symbol: index for index, symbol in enumerate(symbols)}
        self._readers: list[_MarketReader] = []
        self._files = find_files(options.paths, context.directory)
        for file in self._files:
            file.peek(self._markets.keys())
        self._begin()

    @property
    def counts(self) -> Mapping[str, BookCounts]:
        """Return what became of each market's messages in the current reading, by unified symbol."""
        return {reader.instrument.symbol: reader.counts for reader in self._readers}

    def progress(self) -> float:
        """Return how much of the files has been read, from 0.0 to 1.0."""
        total = sum(file.size_bytes for file in self._files)
        return sum(file.bytes_read for file in self._files) / total if total else 1.0

    def batches(self) -> Iterator[MarketBatch]:
        """Yield batches in receive order from the start; see `mmframe.ports.History`.

        Raises:
            DataError: If a line cannot be read and is not to be skipped, a file has books of several depths and
                `depth` does not choose, or two files overlap in time.
        """
        self._begin()
        batch = MarketBatch(0)
        for line in merge(self._files, self._on_bad):
            try:
                message = read_note(line.frame) or parse_frame(line.frame)
                market = self._market(message, self._files[line.order])
                if market is None or message is None or isinstance(message, Reply):
                    continue
                if market != batch.market or _is_full(batch):
                    if len(batch):
                        yield batch
                    batch = MarketBatch(market)
                self._readers[market].take(message, self._files[line.order], line, batch)
            except (FrameError, DomainError) as error:
                self._on_bad(self._located(error, line))
        if len(batch):
            yield batch
        self._report()

    def _begin(self) -> None:
        self.bad_frames = 0
        self.refused_requests = 0
        self._readers = [
            _MarketReader(market, instrument, self._depth) for market, instrument in enumerate(self._instruments)
        ]
        for file in self._files:
            file.bytes_read = 0

    def _market(self, message: PublicMessage | CaptureNote | None, file: CaptureFile) -> int | None:
        """Return the market that a line concerns, or None if it is nothing to a book or a tape."""
        if isinstance(message, Reply):
            self._on_reply(message)
            return None
        if isinstance(message, CaptureNote):
            return self._markets.get(file.symbol)
        return None if message is None else self._markets.get(message.topic.rpartition(".")[2])

    def _located(self, error: FrameError | DomainError, line: Line) -> DataError:
        file = self._files[line.order]
        if isinstance(error, FrameError) and line.is_cut:
            return file.cut(line.number)
        hint = _GRID_HINT if "multiple of" in error.message else _SKIP_HINT
        return DataError(error.message, file=file.name, line=line.number, hint=hint)

    def _on_bad(self, error: DataError) -> None:
        # A frame that is lost so shows by itself: the next delta of its book does not carry the next number.
        if not self._skips_bad:
            raise error
        self.bad_frames += 1

    def _on_reply(self, reply: Reply) -> None:
        if not reply.is_success:
            self.refused_requests += 1
            self._logger.warning("request_refused", extra={"op": reply.op, "text": reply.text})

    def _report(self) -> None:
        for symbol, counts in self.counts.items():
            fields = {
                "market": symbol,
                "applied": counts.applied,
                "stale": counts.stale,
                "gaps": counts.gaps,
                "crossed": counts.crossed,
                "trades": counts.trades,
                "bad_frames": self.bad_frames,
            }
            log = self._logger.warning if counts.gaps or self.bad_frames else self._logger.info
            log("capture_read", extra=fields)


class _MarketReader:
    """What one market's frames become: a book of one depth, and a tape.

    Without notes everything came on one connection, which leads from the start and has the number 0.
    """

    def __init__(self, market: int, instrument: Instrument, depth: int | None) -> None:
        self.instrument = instrument
        self.counts = BookCounts()
        self._market = market
        self._depth = depth
        self._is_depth_chosen = depth is not None
        self._stream: MarketStream | None = None
        self._connection = 0
        self._has_notes = False
        self._tape = TradeTape(instrument, self.counts)
        self._book_source = _Source()
        self._trade_source = _Source()

    def take(
        self, message: BookFrame | TradeFrame | CaptureNote, file: CaptureFile, line: Line, batch: MarketBatch
    ) -> None:
        """Write what a line says into `batch`."""
        if isinstance(message, CaptureNote):
            self._heed(message, batch, line.receive_ns)
            return
        if not isinstance(message, BookFrame):
            self._trade_source.check(file, line)
            tape = self._stream or self._tape
            tape.on_trades(message, batch, line.receive_ns)
            return
        topic = book_topic(message.topic)
        depth = 0 if topic is None else topic.depth
        if self._depth is None:
            self._depth = depth
        if depth != self._depth:
            if self._is_depth_chosen:
                return
            msg = f"expected one book of {self.instrument.symbol}, was depth {depth} beside depth {self._depth}"
            hint = f"say depth = {self._depth} or depth = {depth}"
            raise DataError(msg, file=file.name, line=line.number, hint=hint)
        self._book_source.check(file, line)
        stream = self._stream = self._stream or self._new_stream(depth)
        stream.on_book(message, self._connection, batch, line.receive_ns)

    def _heed(self, note: CaptureNote, batch: MarketBatch, receive_ns: int) -> None:
        """Take what a note says, as the live feed that wrote it took what happened."""
        self._has_notes = True
        # The first connection needs no note: it is the one that leads from the start.
        connection = 0 if note.connection == 1 else note.connection
        if note.mmframe in {"connected", "from"}:
            self._connection = connection
        stream = self._stream
        if stream is None:
            return
        stream.skips_repeated = True
        if note.mmframe == "connected":
            stream.on_connected(connection)
        elif note.mmframe == "ended":
            stream.on_ended(connection, batch, receive_ns)
        elif note.mmframe == "restart":
            stream.on_loss(batch, receive_ns)
            self._stream, self._connection = None, 0
        elif note.mmframe == "loss" and note.connection:
            stream.on_unreadable(connection, batch, receive_ns)
        elif note.mmframe == "loss":
            stream.on_loss(batch, receive_ns)

    def _new_stream(self, depth: int) -> MarketStream:
        stream = MarketStream(self._market, self.instrument, self.instrument.venue_symbol, depth, self.counts)
        # Of files without notes nothing is known of connections; nor whether each of their trades has its own id.
        stream.skips_repeated = self._has_notes
        if self._connection:
            stream.on_connected(self._connection)
        return stream


class _Source:
    """Which file tells of one thing at a time."""

    def __init__(self) -> None:
        self._now: CaptureFile | None = None
        self._ended: list[CaptureFile] = []

    def check(self, file: CaptureFile, line: Line) -> None:
        """Note that `file` goes on.

        Raises:
            DataError: If another file has taken over from it.
        """
        if file is self._now:
            return
        if file in self._ended:
            msg = f"goes on although {self._now.name if self._now else ''} already tells of the same market"
            raise DataError(msg, file=file.name, line=line.number, hint="name only one of the two files")
        if self._now is not None:
            self._ended.append(self._now)
        self._now = file


def _is_full(batch: MarketBatch) -> bool:
    return len(batch) >= _BATCH_MESSAGES_MAX or len(batch.ticks) >= _BATCH_CHANGES_MAX

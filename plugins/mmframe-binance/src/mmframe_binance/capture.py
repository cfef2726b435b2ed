"""The history `capture`: recorded frames through the very parser and sync rules of a live book."""

from __future__ import annotations

import gzip
import heapq
import os
import zlib
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mmframe.domain.market import MarketBatch
from mmframe.errors import DataError, DomainError
from mmframe.plugin.notes import is_note, read_note
from mmframe_binance.book import SymbolBook
from mmframe_binance.sync import SpotContinuity, UsdmContinuity
from mmframe_binance.wire import DepthSnapshot, DepthUpdate, FrameError, PartialDepth, Trade, parse_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mmframe.plugin import BuildContext
    from mmframe_binance.book import BookCounts
    from mmframe_binance.options import CaptureOptions
    from mmframe_binance.wire import MarketMessage

__all__ = ["LINE_BYTES_MAX", "CaptureHistory"]

LINE_BYTES_MAX = 8 << 20
"""Longest line: a snapshot of 5,000 levels a side is about 400 kB."""

_BATCH_MESSAGES_MAX = 4096
_PEEK_LINES = 200
_GZIP_MAGIC = b"\x1f\x8b"
_SNAPSHOT_START = b'"lastUpdateId"'
_HEAD_BYTES = 200
_CUT_HINT = 'the recorder may have been killed; say on_bad_frame = "skip" to use the file up to here'
_NS_BY_DIGITS = {13: 1_000_000, 16: 1_000, 19: 1}
"""Nanoseconds a unit, by the digits of a time in this century."""


class _Line(NamedTuple):
    """One frame with where it stands."""

    receive_ns: int
    order: int
    """Of its file among `paths`: breaks ties between files."""
    number: int
    frame: bytes
    is_cut: bool = False
    """The file ends here without a line's end: perhaps in the middle of it."""


class CaptureHistory:
    """Recorded market data of one product.

    Files are opened when it is made, so that a check finds what is missing; lines are read while `batches` is walked.

    Raises:
        DomainError: If a path names no file or one twice.
        DataError: If a file is no capture, or is of no market of the strategy.
    """

    def __init__(self, options: CaptureOptions, context: BuildContext) -> None:
        self._instruments = context.instruments
        self._logger = context.logger
        self._is_spot = options.product == "spot"
        self._fits_grid = options.off_grid == "fit"
        self._skips_bad = options.on_bad_frame == "skip"
        self._book_kinds = DepthUpdate if options.book == "diff" else PartialDepth
        self._markets = {instrument.venue_symbol.upper(): index for index, instrument in enumerate(self._instruments)}
        self._files = [
            _CaptureFile(path, order, name)
            for order, (path, name) in enumerate(_found(options.paths, context.directory))
        ]
        for file in self._files:
            file.find_symbol(self._markets)
        self._books: dict[int, SymbolBook] = {}
        self.bad_frames = 0

    @property
    def counts(self) -> Mapping[str, BookCounts]:
        """Return what became of each market's messages in the current reading, by unified symbol."""
        return {self._instruments[market].symbol: book.counts for market, book in self._books.items()}

    def progress(self) -> float:
        """Return how much of the files has been read, from 0.0 to 1.0."""
        total = sum(file.size_bytes for file in self._files)
        return sum(file.bytes_read for file in self._files) / total if total else 1.0

    def batches(self) -> Iterator[MarketBatch]:
        """Yield batches in receive order from the start; see `mmframe.ports.History`.

        Raises:
            DataError: If a line cannot be read or a file is cut off and that is not to be skipped, or receive time
                goes back.
        """
        self.bad_frames = 0
        self._books = {
            market: SymbolBook(
                instrument, SpotContinuity() if self._is_spot else UsdmContinuity(), fits_grid=self._fits_grid
            )
            for market, instrument in enumerate(self._instruments)
        }
        batch = MarketBatch(0)
        for line in self._lines():
            file = self._files[line.order]
            message = None
            try:
                message = None if is_note(line.frame) else parse_frame(line.frame)
                market = self._market(message, line, file)
                if market is None:
                    continue
                if batch.market != market or len(batch) >= _BATCH_MESSAGES_MAX:
                    if len(batch):
                        yield batch
                    batch = MarketBatch(market)
                self._take(message, self._books[market], batch, line.receive_ns)
            except (FrameError, DomainError) as error:
                self._on_bad(error, line, file)
                if not isinstance(message, Trade):
                    self._lose(file, batch, line.receive_ns)
        if len(batch):
            yield batch
        self._report()

    def _take(self, message: MarketMessage | None, book: SymbolBook, batch: MarketBatch, receive_ns: int) -> None:
        if message is None:
            book.lose(batch, receive_ns, receive_ns)
        elif isinstance(message, Trade):
            book.on_trade(message, batch, receive_ns)
        elif isinstance(message, DepthSnapshot):
            if not book.on_snapshot(message, batch, receive_ns):
                self._logger.warning("snapshot_not_joined", extra={"last_update_id": message.lastUpdateId})
        elif isinstance(message, DepthUpdate):
            book.on_depth(message, batch, receive_ns)
        elif isinstance(message, PartialDepth):
            book.on_partial(message, batch, receive_ns)

    def _market(self, message: MarketMessage | None, line: _Line, file: _CaptureFile) -> int | None:
        """Return the market that a line concerns, or None if it is nothing to a book or a tape."""
        if message is None:
            # Connections are nothing to a book here: what two of them tell has one row of ids.
            note = read_note(line.frame)
            is_loss = note is not None and note.mmframe in {"loss", "restart"}
            return self._markets.get(file.symbol or "") if is_loss else None
        if isinstance(message, DepthSnapshot):
            if file.symbol is None:
                msg = "a depth snapshot names no symbol, and this file holds several"
                raise FrameError(msg, hint="record one symbol a file, or split the file by symbol")
            return self._markets.get(file.symbol)
        return self._markets.get(message.s.upper()) if isinstance(message, (self._book_kinds, Trade)) else None

    def _on_bad(self, error: FrameError | DomainError, line: _Line, file: _CaptureFile) -> None:
        """Count what cannot be read.

        Raises:
            DataError: If that is not to be skipped.
        """
        if not self._skips_bad:
            if line.is_cut:
                raise _cut(file.name, line.number, "the file ends in the middle of it")
            raise DataError(error.message, file=file.name, line=line.number, hint=error.hint)
        self.bad_frames += 1

    def _lose(self, file: _CaptureFile, batch: MarketBatch, receive_ns: int) -> None:
        """Void the book that a bad line may have belonged to: what it said is not known."""
        market = batch.market if file.symbol is None else self._markets.get(file.symbol, batch.market)
        if market == batch.market:
            self._books[market].lose(batch, receive_ns, receive_ns)

    def _lines(self) -> Iterator[_Line]:
        """Merge the symbols' files by receive time; files of one symbol follow each other."""
        groups: dict[str, list[_CaptureFile]] = {}
        for file in self._files:
            groups.setdefault(file.symbol or f"file {file.order}", []).append(file)
        chains = [_chain(files, self._on_cut) for files in groups.values()]
        yield from chains[0] if len(chains) == 1 else heapq.merge(*chains)

    def _on_cut(self, error: DataError) -> None:
        """Use a file that is cut off up to there, if that is what is wanted; what follows shows the gap by itself."""
        if not self._skips_bad:
            raise error
        self.bad_frames += 1
        self._logger.warning("capture_cut", extra={"file": error.file, "line": error.line})

    def _report(self) -> None:
        for symbol, counts in self.counts.items():
            fields = {
                "market": symbol,
                "applied": counts.applied,
                "stale": counts.stale,
                "gaps": counts.gaps,
                "trades": counts.trades,
                "off_grid_levels": counts.off_grid_levels,
                "bad_frames": self.bad_frames,
            }
            log = self._logger.warning if counts.gaps or self.bad_frames else self._logger.info
            log("capture_read", extra=fields)


class _CaptureFile:
    """The lines of one file.

    Attributes:
        name: The path as given, for messages.
        symbol: The one symbol that its streams are of, upper case; None when there are several.
        size_bytes: On disk.
        bytes_read: Of these, in the current reading.
    """

    def __init__(self, path: Path, order: int, name: str) -> None:
        self.order = order
        self.name = name
        self.symbol: str | None = None
        self.size_bytes = path.stat().st_size
        self.bytes_read = 0
        self._path = path

    def find_symbol(self, markets: Mapping[str, int]) -> None:
        """Read the first lines and note whose streams they are.

        Raises:
            DataError: If there is no line of a stream, or none of a market of the strategy.
        """
        symbols = set()
        is_recording = False
        for line in islice(self.lines(_leave_to_the_reading), _PEEK_LINES):
            is_recording = is_recording or is_note(line.frame) or _SNAPSHOT_START in line.frame[:_HEAD_BYTES]
            try:
                stream = _stream_name.decode(line.frame).stream
            except (msgspec.DecodeError, RecursionError):
                continue
            if "@" in stream:
                symbols.add(stream.partition("@")[0].upper())
        if not symbols and is_recording and len(markets) == 1:
            # A file that ended before the market stirred.
            symbols = set(markets)
        if not symbols & markets.keys():
            found = ", ".join(sorted(symbols)) or "no stream at all"
            msg = f"expected streams of {', '.join(sorted(markets))}, was {found}"
            raise DataError(msg, file=self.name, hint="set venue_symbol of the market to the symbol in the file")
        self.symbol = symbols.pop() if len(symbols) == 1 else None

    def lines(self, on_cut: Callable[[DataError], None]) -> Iterator[_Line]:
        """Yield every line; tell `on_cut`, which may raise, if the file ends in the middle of something.

        Raises:
            DataError: If a line has no receive time or is too long.
        """
        number, last_ns = 0, 0
        with self._path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            try:
                while text := stream.readline(LINE_BYTES_MAX):
                    number += 1
                    is_cut = not text.endswith(b"\n") and len(text) < LINE_BYTES_MAX
                    if is_cut and b" " not in text and number > 1:
                        on_cut(_cut(self.name, number, "the file ends in the middle of it"))
                        break
                    receive_ns = self._receive_ns(text, number)
                    if receive_ns < last_ns:
                        msg = f"receive time goes back from {last_ns} to {receive_ns} ns"
                        raise DataError(msg, file=self.name, line=number)
                    last_ns = receive_ns
                    self.bytes_read = raw.tell()
                    yield _Line(receive_ns, self.order, number, text.partition(b" ")[2].rstrip(), is_cut)
            except EOFError:
                on_cut(_cut(self.name, number + 1, "the gzip stream ends in the middle of it"))
            except (gzip.BadGzipFile, zlib.error) as error:
                msg = f"damaged after line {number}: the gzip stream cannot be read on ({error})"
                on_cut(DataError(msg, file=self.name, line=number, hint=_CUT_HINT))
        self.bytes_read = self.size_bytes

    def _receive_ns(self, text: bytes, number: int) -> int:
        digits = text.partition(b" ")[0]
        unit_ns = _NS_BY_DIGITS.get(len(digits))
        if unit_ns is None or not digits.isdigit():
            msg = f"expected '<receive time> <frame>', was {text[:40].decode('utf-8', 'replace')!r}"
            hint = "receive times are milliseconds, microseconds or nanoseconds since 1970"
            raise DataError(msg, file=self.name, line=number, hint=hint)
        if not text.endswith(b"\n") and len(text) >= LINE_BYTES_MAX:
            msg = f"the line is longer than {LINE_BYTES_MAX} bytes"
            raise DataError(msg, file=self.name, line=number)
        return int(digits) * unit_ns


def _cut(name: str, number: int, how: str) -> DataError:
    return DataError(f"cut at line {number}: {how}", file=name, line=number, hint=_CUT_HINT)


def _leave_to_the_reading(_: DataError) -> None:
    """Say nothing of a cut when only the first lines are looked at."""


class _StreamName(msgspec.Struct):
    stream: str


_stream_name = msgspec.json.Decoder(_StreamName)


def _chain(files: Sequence[_CaptureFile], on_cut: Callable[[DataError], None]) -> Iterator[_Line]:
    last_ns = 0
    for file in files:
        for line in file.lines(on_cut):
            if line.receive_ns < last_ns:
                msg = f"begins before the end of the file named before it ({line.receive_ns} < {last_ns} ns)"
                raise DataError(msg, file=file.name, line=line.number, hint="name the files in the order of time")
            yield line
            last_ns = line.receive_ns


def _found(paths: Sequence[Path], directory: Path) -> list[tuple[Path, str]]:
    """Return the files that `paths` name, with their names as the strategy file would write them."""
    found: dict[Path, str] = {}
    for path in paths:
        file = (directory / path).resolve()
        name = os.path.relpath(file, directory.resolve())
        if not file.is_file():
            msg = f"paths: no file {name!r} beside the strategy file"
            raise DomainError(msg)
        if file in found:
            msg = f"paths: {name!r} is named twice"
            raise DomainError(msg, hint="its frames would count twice")
        found[file] = name
    if not found:
        msg = "paths: expected at least one file, was none"
        raise DomainError(msg)
    return list(found.items())

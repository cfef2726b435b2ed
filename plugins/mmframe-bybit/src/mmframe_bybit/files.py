"""The lines of capture files: found, opened when their time comes, merged by receive time."""

from __future__ import annotations

import gzip
import os
import zlib
from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from mmframe.errors import DataError, DomainError
from mmframe.plugin.notes import is_note
from mmframe_bybit.wire import FrameError, book_topic, frame_time_ms, frame_topic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from io import BufferedReader
    from pathlib import Path

__all__ = ["LINE_BYTES_MAX", "PEEK_LINES", "CaptureFile", "Line", "find_files", "merge"]

LINE_BYTES_MAX = 4 << 20
"""Longest line: a snapshot of 1,000 levels a side is about 80 kB."""

PEEK_LINES = 2_000
"""Lines in which a file must name a market of the strategy."""

_GZIP_MAGIC = b"\x1f\x8b"
_NS_PER_MS = 1_000_000
_NS_BY_DIGITS = {13: 1_000_000, 16: 1_000, 19: 1}
"""Nanoseconds a unit, by the digits of a time in this century."""
_SHOWN_BYTES = 40
_CUT_HINT = 'the recorder may have been killed; say on_bad_frame = "skip" to use the file up to here'


class Line(NamedTuple):
    """One frame with where it stands; sorts by time, then by file."""

    receive_ns: int
    order: int
    """Of its file among `paths`."""
    number: int
    frame: bytes
    is_cut: bool = False
    """The file ends here without a line's end: perhaps in the middle of it."""


class CaptureFile:
    """One file of frames.

    Args:
        path: Where it is.
        order: Its place among `paths`.
        name: For messages.

    Attributes:
        order: As given.
        name: As given.
        first_ns: Receive time of its first line.
        symbol: The first of the strategy's that it names; whose the notes are that a recorder wrote.
        size_bytes: On disk.
        bytes_read: Of these, in the current reading.
    """

    def __init__(self, path: Path, order: int, name: str) -> None:
        self.order = order
        self.name = name
        self.first_ns = 0
        self.symbol = ""
        self.size_bytes = path.stat().st_size
        self.bytes_read = 0
        self._path = path
        self._is_download = False

    def peek(self, symbols: Collection[str]) -> None:
        """Read the first lines: note when they begin, and that they are of one of `symbols`.

        Raises:
            DataError: If there is no frame of a book or of trades, or none of `symbols`, or a line cannot be read.
        """
        found: set[str] = set()
        for line in islice(self.lines(_pass_by), PEEK_LINES):
            self.first_ns = self.first_ns or line.receive_ns
            symbol = "" if is_note(line.frame) else _market_symbol(frame_topic(line.frame))
            if symbol in symbols:
                self.symbol = symbol
                return
            if symbol:
                found.add(symbol)
        first_error = self._first_error() if not found else None
        if first_error is not None:
            raise first_error
        shown = ", ".join(sorted(found)[:5]) or "none of either"
        msg = f"expected books or trades of {', '.join(sorted(symbols))} in the first {PEEK_LINES} lines, was {shown}"
        raise DataError(msg, file=self.name, hint="set venue_symbol of the market to the symbol in the file")

    def lines(self, on_bad: Callable[[DataError], None]) -> Iterator[Line]:
        """Yield every line that has a time; hand the others to `on_bad`, which may raise, and go on after them."""
        number, last_ns = 0, 0
        self.bytes_read = 0
        with self._path.open("rb") as raw:
            is_gzip = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            # The content decides, not the name: files are often unpacked and keep it, or the other way round.
            stream: gzip.GzipFile | BufferedReader = gzip.GzipFile(fileobj=raw) if is_gzip else raw
            try:
                while text := stream.readline(LINE_BYTES_MAX):
                    number += 1
                    self.bytes_read = raw.tell()
                    if number == 1:
                        self._is_download = text.startswith(b"{")
                    try:
                        if not text.endswith(b"\n") and len(text) == LINE_BYTES_MAX:
                            _pass_over(stream)
                            self._fail(f"the line is longer than {LINE_BYTES_MAX} bytes", number)
                        line = self._line(text, number)
                        if line.receive_ns < last_ns:
                            self._fail(f"time goes back from {last_ns} to {line.receive_ns} ns", number)
                    except DataError as error:
                        is_whole = text.endswith(b"\n") or len(text) == LINE_BYTES_MAX or number == 1
                        on_bad(error if is_whole else self.cut(number))
                        continue
                    last_ns = line.receive_ns
                    yield line if text.endswith(b"\n") else line._replace(is_cut=True)
            except EOFError:
                on_bad(self.cut(number + 1, "the gzip stream ends in the middle of it"))
            except (gzip.BadGzipFile, zlib.error) as error:
                msg = f"damaged after line {number}: the gzip stream cannot be read on ({error})"
                on_bad(DataError(msg, file=self.name, line=number, hint=_CUT_HINT))
        self.bytes_read = self.size_bytes

    def cut(self, number: int, how: str = "the file ends in the middle of it") -> DataError:
        """Return the error of a file that is cut off."""
        return DataError(f"cut at line {number}: {how}", file=self.name, line=number, hint=_CUT_HINT)

    def _line(self, text: bytes, number: int) -> Line:
        if self._is_download:
            # A history download. The gateway's time is the only one of the whole file that does not go back.
            try:
                return Line(frame_time_ms(text) * _NS_PER_MS, self.order, number, text.rstrip())
            except FrameError as error:
                self._fail(error.message, number)
        digits, _, frame = text.partition(b" ")
        unit_ns = _NS_BY_DIGITS.get(len(digits))
        receive_ns = int(digits) * (unit_ns or 0) if digits.isdigit() and len(digits) <= max(_NS_BY_DIGITS) else 0
        if not 0 < receive_ns < 2**63:
            shown = text[:_SHOWN_BYTES].rstrip().decode("utf-8", "replace")
            hint = "receive times are milliseconds, microseconds or nanoseconds since 1970; unpack .zip downloads"
            self._fail(f"expected '<receive time> <frame>' or a frame, was {shown!r}", number, hint=hint)
        return Line(receive_ns, self.order, number, frame.rstrip())

    def _fail(self, message: str, number: int, *, hint: str | None = None) -> None:
        raise DataError(message, file=self.name, line=number, hint=hint)

    def _first_error(self) -> DataError | None:
        errors: list[DataError] = []
        for _ in self.lines(errors.append):
            return None
        return errors[0] if errors else None


def find_files(paths: Sequence[Path], directory: Path) -> list[CaptureFile]:
    """Return the files that `paths` name, in order.

    Raises:
        DomainError: If a path names no file or one twice, or there is none.
    """
    found: dict[Path, CaptureFile] = {}
    for path in paths:
        file = directory / path
        name = os.path.relpath(file, directory)
        if not file.is_file():
            msg = f"paths: no file {name!r} beside the strategy file"
            raise DomainError(msg)
        if file.resolve() in found:
            msg = f"paths: {name!r} is named twice"
            raise DomainError(msg, hint="its frames would count twice")
        found[file.resolve()] = CaptureFile(file, len(found), name)
    if not found:
        msg = "paths: expected at least one file, was none"
        raise DomainError(msg)
    return list(found.values())


def merge(files: Sequence[CaptureFile], on_bad: Callable[[DataError], None]) -> Iterator[Line]:
    """Yield the lines of all files by receive time; at equal times the file named earlier comes first.

    A file is opened when its time comes, so that any number of files that follow each other needs one open file.
    """
    waiting = sorted(files, key=lambda file: (file.first_ns, file.order), reverse=True)
    heads: list[tuple[Line, Iterator[Line]]] = []
    while waiting or heads:
        while waiting and (not heads or waiting[-1].first_ns <= heads[0][0].receive_ns):
            _push(heads, waiting.pop().lines(on_bad))
        if heads:
            line, lines = heappop(heads)
            yield line
            _push(heads, lines)


def _push(heads: list[tuple[Line, Iterator[Line]]], lines: Iterator[Line]) -> None:
    line = next(lines, None)
    if line is not None:
        # Lines of two files never compare equal, so the iterators are never compared.
        heappush(heads, (line, lines))


def _market_symbol(topic: str) -> str:
    """Return whose book or trades a topic is of; empty for any other."""
    book = book_topic(topic)
    if book is not None:
        return book.symbol
    stream, _, symbol = topic.partition(".")
    return symbol if stream == "publicTrade" else ""


def _pass_by(_: DataError) -> None:
    """Leave the judgement to the reading itself."""


def _pass_over(stream: gzip.GzipFile | BufferedReader) -> None:
    """Read to the end of an overlong line, a bounded piece at a time."""
    while (rest := stream.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
        pass

"""The kinds of file, told apart by their header, and how their rows become messages.

Source: the vendor's documentation of the columns of its CSV files and of rebuilding a book from them.
"""

from __future__ import annotations

from enum import Enum
from itertools import compress
from operator import itemgetter, le, ne
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.domain.grid import price_column, size_column
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.errors import DataError, DomainError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe_tardis.lines import LineFile
    from mmframe_tardis.symbols import SymbolMap

__all__ = ["BATCH_CHANGES_MAX", "BATCH_MESSAGES_MAX", "ReadCounts", "Table", "TableKind", "open_table"]

BATCH_MESSAGES_MAX = 4_096
"""A batch is handed on with so many messages,"""
BATCH_CHANGES_MAX = 65_536
"""or with so many changes, whichever comes first; a single message may be larger."""

_US_DIGITS = 16
"""Of microseconds since 1970, from 2001 to 2286: milliseconds and nanoseconds have 13 and 19."""
_NS_PER_US = 1_000
_FIRST_NS = 10 ** (_US_DIGITS - 1) * _NS_PER_US
_LAST_NS = 10**_US_DIGITS * _NS_PER_US - _NS_PER_US


class TableKind(Enum):
    """The data types that can be read. The value is the vendor's name, with N for a number."""

    CHANGES = "incremental_book_L2"
    TRADES = "trades"
    SNAPSHOTS = "book_snapshot_N"
    QUOTES = "quotes"

    @property
    def is_book(self) -> bool:
        """Tell whether such a file makes the book."""
        return self is not TableKind.TRADES


_COMMON_COLUMNS = ("exchange", "symbol", "timestamp", "local_timestamp")
# In this order: the header of changes has every column that tells trades apart but `id`, and so on.
_COLUMNS = {
    TableKind.CHANGES: (*_COMMON_COLUMNS, "is_snapshot", "side", "price", "amount"),
    TableKind.TRADES: (*_COMMON_COLUMNS, "id", "side", "price", "amount"),
    TableKind.QUOTES: (*_COMMON_COLUMNS, "ask_amount", "ask_price", "bid_price", "bid_amount"),
    TableKind.SNAPSHOTS: (*_COMMON_COLUMNS, "asks[0].price", "asks[0].amount", "bids[0].price", "bids[0].amount"),
}


@attrs.define
class ReadCounts:
    """What became of the rows of one file in one reading.

    Attributes:
        rows: Read in all.
        bad_rows: Unreadable and skipped, a cut-off end included.
        foreign_rows: Of symbols that are no market of the strategy.
        rows_before_snapshot: Changes before the first snapshot, which nothing can be made of.
        gaps: Snapshots after changes, where the recorder may have been away.
    """

    rows: int = 0
    bad_rows: int = 0
    foreign_rows: int = 0
    rows_before_snapshot: int = 0
    gaps: int = 0


class Table:
    """One file of a known kind.

    Attributes:
        kind: What its rows are.
        file: Where they come from.
        counts: Of the current reading.
    """

    def __init__(self, kind: TableKind, file: LineFile, header: Sequence[str]) -> None:
        self.kind = kind
        self.file = file
        self.counts = ReadCounts()
        self._header = list(header)

    def batches(
        self, symbols: SymbolMap, instruments: Sequence[Instrument], *, skips_bad: bool
    ) -> Iterator[MarketBatch]:
        """Yield the file's messages from its start, in receive order, one market a batch.

        Args:
            symbols: Which rows are which market's.
            instruments: The strategy's markets.
            skips_bad: Count unreadable rows instead of raising.

        Raises:
            DataError: If a row cannot be read, or none belongs to a market of the strategy.
        """
        self.counts = ReadCounts()
        reading = _Reading(self, symbols, instruments, skips_bad=skips_bad)
        if self.kind in {TableKind.CHANGES, TableKind.TRADES}:
            yield from reading.tall_rows()
        else:
            yield from reading.wide_rows()
        reading.check_end()

    def column(self, name: str) -> int:
        """Return the index of a column."""
        return self._header.index(name)

    @property
    def width(self) -> int:
        """Return how many columns a row has."""
        return len(self._header)

    def level_columns(self) -> list[tuple[Side, int, int]]:
        """Return `(side, index of the price, index of the size)` of every level of a wide row."""
        if self.kind is TableKind.QUOTES:
            names = [(Side.SELL, "ask_price", "ask_amount"), (Side.BUY, "bid_price", "bid_amount")]
        else:
            depth = sum(name.endswith("].price") for name in self._header) // 2
            names = [
                (side, f"{word}[{level}].price", f"{word}[{level}].amount")
                for level in range(depth)
                for side, word in ((Side.SELL, "asks"), (Side.BUY, "bids"))
            ]
        return [(side, self.column(price), self.column(amount)) for side, price, amount in names]


def open_table(file: LineFile) -> Table | None:
    """Return the table in `file`, None when the file is empty, as it is for a day without data.

    Raises:
        DataError: If the header is that of no kind that can be read.
    """
    _, text = next(file.blocks(), (1, ""))
    if not text:
        return None
    header = text.partition("\n")[0].split(",")
    kind = _kind(header)
    if kind is not None:
        return Table(kind, file, header)
    nearest = max(_COLUMNS, key=lambda each: len(set(_COLUMNS[each]) & set(header)))
    missing = [name for name in _COLUMNS[nearest] if name not in header]
    known = ", ".join(each.value for each in TableKind)
    msg = f"the header is that of no kind that can be read ({known}); of {nearest.value} it lacks {', '.join(missing)}"
    raise DataError(
        msg, file=file.name, line=1, hint="see docs/how-to/replay-recorded-data.md for the columns of each kind"
    )


def _kind(header: Sequence[str]) -> TableKind | None:
    present = set(header)
    for kind, columns in _COLUMNS.items():
        if present.issuperset(columns):
            return kind
    return None


class _Choices(dict[str, int]):
    """The words that a column may hold, with their codes."""

    def __init__(self, name: str, codes: dict[str, int]) -> None:
        super().__init__(codes)
        self._name = name

    def __missing__(self, text: str) -> int:
        expected = ", ".join(repr(word) for word in self if word)
        msg = f"{self._name}: expected one of {expected}, was {text!r}"
        raise DomainError(msg)


_BOOK_SIDES = _Choices("side", {"bid": int(Side.BUY), "ask": int(Side.SELL)})
# The vendor leaves a cell empty when it does not know the value.
_TAKER_SIDES = _Choices(
    "side", {"buy": int(Side.BUY), "sell": int(Side.SELL), "unknown": int(Side.UNKNOWN), "": int(Side.UNKNOWN)}
)
_FLAGS = _Choices("is_snapshot", {"true": 1, "false": 0})


class _Cursor:
    """Where the reading of one market's rows in one file stands."""

    __slots__ = ("exchange", "has_snapshot", "market", "prices", "sizes", "was_snapshot")

    def __init__(self, market: int, instrument: Instrument, *, exchange: str, is_book: bool) -> None:
        self.market = market
        self.exchange = exchange
        self.prices = price_column(instrument)
        self.sizes = size_column(instrument, units_min=0 if is_book else 1)
        self.has_snapshot = False
        self.was_snapshot = False


class _TallLayout:
    """Where the cells of a row with one change stand."""

    __slots__ = ("change", "key", "side_codes")

    def __init__(self, table: Table) -> None:
        is_changes = table.kind is TableKind.CHANGES
        # One local_timestamp is one message of the exchange. A trade's own time matters to the queue, so it splits too.
        other = "is_snapshot" if is_changes else "timestamp"
        self.key = (table.column("local_timestamp"), table.column(other), table.column("symbol"))
        self.change = (table.column("side"), table.column("price"), table.column("amount"))
        self.side_codes = _BOOK_SIDES if is_changes else _TAKER_SIDES


class _WideLayout:
    """Where the levels of a row that holds a whole book stand."""

    __slots__ = ("_prices", "_sides", "_sizes")

    def __init__(self, table: Table) -> None:
        levels = table.level_columns()
        self._sides = [int(side) for side, _, _ in levels]
        self._prices = itemgetter(*(price for _, price, _ in levels))
        self._sizes = itemgetter(*(size for _, _, size in levels))

    def levels(self, row: Sequence[str], cursor: _Cursor) -> tuple[list[int], list[int], list[int]]:
        """Return sides, ticks and lots of the levels of `row`.

        Raises:
            DomainError: If a price or size cannot be read, or a level has only one of them.
        """
        prices, sizes = self._prices(row), self._sizes(row)
        if "" not in prices and "" not in sizes:
            lots = list(map(cursor.sizes.__getitem__, sizes))
            if 0 not in lots:
                return self._sides, list(map(cursor.prices.__getitem__, prices)), lots
        shown = [
            (side, cursor.prices[price], cursor.sizes[size])
            for side, price, size in zip(self._sides, prices, sizes, strict=True)
            # A short side leaves both cells empty.
            if price or size
        ]
        kept = [level for level in shown if level[2]]
        return [level[0] for level in kept], [level[1] for level in kept], [level[2] for level in kept]


class _Reading:
    """One pass over one file."""

    def __init__(self, table: Table, symbols: SymbolMap, instruments: Sequence[Instrument], *, skips_bad: bool) -> None:
        self._table = table
        self._symbols = symbols
        self._instruments = instruments
        self._skips_bad = skips_bad
        self._counts = table.counts
        self._exchange_at = table.column("exchange")
        self._symbol_at = table.column("symbol")
        self._timestamp_at = table.column("timestamp")
        self._local_at = table.column("local_timestamp")
        self._flag_at = table.column("is_snapshot") if table.kind is TableKind.CHANGES else -1
        self._cursors: dict[tuple[str, str], _Cursor | None] = {}
        self._ready: list[MarketBatch] = []
        self._batch = MarketBatch(0)
        # Of the message being read: what tells its rows from those of others, and what is known of it.
        self._key = ("", "", "")
        self._cursor: _Cursor | None = None
        self._kind = int(MessageKind.DELTA)
        self._exchange_ns = 0
        self._receive_ns = 0

    def tall_rows(self) -> Iterator[MarketBatch]:
        """Yield the messages of a file with one change a row; the rows of one group are one message."""
        layout = _TallLayout(self._table)
        for number, text in self._blocks():
            if not self._take_block(text, layout):
                self._take_rows(number, text, layout)
            yield from self._hand_on()
        self._end_message()
        yield from self._hand_on(is_last=True)

    def wide_rows(self) -> Iterator[MarketBatch]:
        """Yield the messages of a file with a whole book a row, however deep."""
        layout = _WideLayout(self._table)
        for number, text in self._blocks():
            for offset, line in enumerate(text.split("\n")):
                row = line.split(",")
                try:
                    if self._is_blank(row):
                        continue
                    cursor = self._begin(row, number + offset)
                    if cursor is None:
                        self._count_unused(row)
                        continue
                    sides, ticks, lots = layout.levels(row, cursor)
                except DomainError as error:
                    self._bad_row(error, number + offset)
                    continue
                batch = self._batch
                batch.sides.extend(sides)
                batch.ticks.extend(ticks)
                batch.lots.extend(lots)
                batch.end_message(MessageKind.SNAPSHOT, exchange_ns=self._exchange_ns, receive_ns=self._receive_ns)
            yield from self._hand_on()
        yield from self._hand_on(is_last=True)

    def _take_rows(self, number: int, text: str, layout: _TallLayout) -> None:
        """Take a block row by row: any rows, each with its own line for errors."""
        local_at, other_at, symbol_at = layout.key
        side_at, price_at, size_at = layout.change
        codes = layout.side_codes
        for offset, line in enumerate(text.split("\n")):
            row = line.split(",")
            try:
                if self._is_blank(row):
                    continue
                key = (row[local_at], row[other_at], row[symbol_at])
                if key != self._key:
                    # A row that cannot begin a message ends the one before all the same.
                    self._key = ("", "", "")
                    self._end_message()
                    self._cursor = self._begin(row, number + offset)
                    self._key = key
                cursor = self._cursor
                if cursor is None:
                    self._count_unused(row)
                    continue
                side, ticks, lots = codes[row[side_at]], cursor.prices[row[price_at]], cursor.sizes[row[size_at]]
            except DomainError as error:
                self._bad_row(error, number + offset)
                continue
            batch = self._batch
            batch.sides.append(side)
            batch.ticks.append(ticks)
            batch.lots.append(lots)

    def _take_block(self, text: str, layout: _TallLayout) -> bool:
        """Take a block by columns if all its rows are good rows of the market being read and begin no snapshot.

        Nearly every block is of that kind, and columns are several times faster than rows. Nothing is changed unless
        all of it is taken; return whether it was.
        """
        cursor = self._cursor
        if cursor is None or not self._key[0]:
            return False
        columns = self._columns(text, cursor)
        if columns is None:
            return False
        local_at, other_at, _ = layout.key
        starts = self._starts(columns, layout)
        receive_ns = _nanosecond_column([columns[local_at][start] for start in starts])
        exchange_ns = _nanosecond_column([columns[self._timestamp_at][start] for start in starts])
        if receive_ns is None or exchange_ns is None or not all(map(le, [self._receive_ns, *receive_ns], receive_ns)):
            return False
        side_at, price_at, size_at = layout.change
        try:
            sides = list(map(layout.side_codes.__getitem__, columns[side_at]))
            ticks = list(map(cursor.prices.__getitem__, columns[price_at]))
        except DomainError:
            return False
        lots = cursor.sizes.plain(columns[size_at])
        if lots is None:
            return False
        if starts:
            self._end_messages(starts, receive_ns, exchange_ns)
            self._key = (columns[local_at][-1], columns[other_at][-1], self._key[2])
            cursor.was_snapshot = False
        self._batch.sides.extend(sides)
        self._batch.ticks.extend(ticks)
        self._batch.lots.extend(lots)
        return True

    def _columns(self, text: str, cursor: _Cursor) -> list[list[str]] | None:
        """Return a block's cells by column, None unless every row is whole and of the market being read."""
        count = text.count("\n") + 1
        width = self._table.width
        cells = text.replace("\n", ",").split(",")
        if len(cells) != count * width:
            return None
        columns = [cells[index::width] for index in range(width)]
        # One name in every row's place also proves that no row is short where another is long.
        is_one_market = (
            columns[self._symbol_at].count(self._key[2]) == count
            and columns[self._exchange_at].count(cursor.exchange) == count
        )
        is_without_snapshot = self._flag_at < 0 or columns[self._flag_at].count("false") == count
        return columns if is_one_market and is_without_snapshot else None

    def _starts(self, columns: list[list[str]], layout: _TallLayout) -> list[int]:
        """Return the rows of a block that begin a message, given what tells the one under way."""
        local_at, other_at, _ = layout.key
        keys: list[Any] = columns[local_at]
        before: Any = self._key[0]
        if self._flag_at < 0:
            keys = list(zip(columns[local_at], columns[other_at], strict=True))
            before = self._key[:2]
        elif self._key[1] != "false":
            # The message under way is a snapshot, which the block's first row does not belong to at any time.
            before = ""
        return list(compress(range(len(keys)), map(ne, keys, [before, *keys])))

    def _end_messages(self, starts: list[int], receive_ns: list[int], exchange_ns: list[int]) -> None:
        """End the message under way and all that begin at `starts` but the last, which stays under way.

        Args:
            starts: Where messages begin among the changes of a block that is not in the batch yet.
            receive_ns: Theirs.
            exchange_ns: Theirs.
        """
        batch = self._batch
        base = len(batch.ticks)
        kind = int(MessageKind.TRADE if self._flag_at < 0 else MessageKind.DELTA)
        if base + starts[0] > batch.offsets[-1]:
            batch.end_message(self._kind, exchange_ns=self._exchange_ns, receive_ns=self._receive_ns)
            batch.offsets[-1] = base + starts[0]
        batch.kinds.extend([kind] * (len(starts) - 1))
        batch.exchange_ns.extend(exchange_ns[:-1])
        batch.receive_ns.extend(receive_ns[:-1])
        batch.offsets.extend([base + start for start in starts[1:]])
        self._kind, self._exchange_ns, self._receive_ns = kind, exchange_ns[-1], receive_ns[-1]

    def check_end(self) -> None:
        """Check that the file had something to say of the strategy's markets.

        Raises:
            DataError: If it has rows and none is of a market of the strategy.
        """
        if self._cursors and not any(self._cursors.values()):
            seen = ", ".join(f"{exchange}:{symbol}" for exchange, symbol in list(self._cursors)[:5])
            msg = f"no row is of a market of the strategy: expected {self._symbols.wanted()}, was {seen}"
            hint = f"set venue_symbol of the market, or add to [history] {self._example()}"
            raise DataError(msg, file=self._table.file.name, hint=hint)

    def _blocks(self) -> Iterator[tuple[int, str]]:
        file = self._table.file
        for number, text in file.blocks(stops_at_damage=self._skips_bad):
            if number == 1:
                # The header.
                _, newline, rows = text.partition("\n")
                if newline:
                    self._counts.rows += rows.count("\n") + 1
                    yield 2, rows
                continue
            self._counts.rows += text.count("\n") + 1
            yield number, text
        self._counts.bad_rows += bool(file.damage)

    def _begin(self, row: Sequence[str], line: int) -> _Cursor | None:
        """Begin the message of `row`; return where its changes go, None when it is not used."""
        receive_ns = _nanoseconds(row[self._local_at], "local_timestamp")
        exchange_ns = _nanoseconds(row[self._timestamp_at], "timestamp") if row[self._timestamp_at] else receive_ns
        if receive_ns < self._receive_ns:
            before_us = self._receive_ns // _NS_PER_US
            msg = f"local_timestamp: expected {before_us} or later, was {row[self._local_at]}"
            raise DomainError(msg)
        is_snapshot = _FLAGS[row[self._flag_at]] if self._flag_at >= 0 else 0
        self._receive_ns, self._exchange_ns = receive_ns, exchange_ns
        cursor = self._cursor_of(row, line)
        if cursor is None:
            return None
        if self._batch.market != cursor.market:
            self._next_batch(cursor.market)
        if self._flag_at < 0:
            # Of trades; a row that holds a whole book is added at once and needs no kind.
            self._kind = MessageKind.TRADE
            return cursor
        return self._begin_changes(cursor, is_snapshot=bool(is_snapshot))

    def _begin_changes(self, cursor: _Cursor, *, is_snapshot: bool) -> _Cursor | None:
        # Consecutive snapshot groups are one snapshot: the first clears, the others add to it.
        is_first = is_snapshot and not cursor.was_snapshot
        cursor.was_snapshot = is_snapshot
        if not is_snapshot and not cursor.has_snapshot:
            return None
        if is_first and cursor.has_snapshot:
            # The recorder came back; when it left is not in the file.
            self._counts.gaps += 1
            self._batch.add(MessageKind.GAP, exchange_ns=self._exchange_ns, receive_ns=self._receive_ns)
        cursor.has_snapshot = True
        self._kind = MessageKind.SNAPSHOT if is_first else MessageKind.DELTA
        return cursor

    def _end_message(self) -> None:
        batch = self._batch
        if len(batch.ticks) > batch.offsets[-1]:
            batch.end_message(self._kind, exchange_ns=self._exchange_ns, receive_ns=self._receive_ns)

    def _next_batch(self, market: int) -> None:
        """Set the batch aside for handing on and begin one of `market`; no message is under way."""
        if len(self._batch):
            self._ready.append(self._batch)
        self._batch = MarketBatch(market)

    def _hand_on(self, *, is_last: bool = False) -> Iterator[MarketBatch]:
        """Yield the batches that are full, or all at the end; a message under way stays."""
        batch = self._batch
        if is_last or len(batch) >= BATCH_MESSAGES_MAX or len(batch.ticks) >= BATCH_CHANGES_MAX:
            start = batch.offsets[-1]
            self._next_batch(batch.market)
            for column in ("sides", "ticks", "lots"):
                getattr(self._batch, column).extend(getattr(batch, column)[start:])
                del getattr(batch, column)[start:]
        ready, self._ready = self._ready, []
        yield from ready

    def _cursor_of(self, row: Sequence[str], line: int) -> _Cursor | None:
        key = (row[self._exchange_at], row[self._symbol_at])
        if key not in self._cursors:
            try:
                market = self._symbols.market(*key)
            except DomainError as error:
                raise DataError(error.message, file=self._table.file.name, line=line, hint=error.hint) from error
            self._cursors[key] = (
                None
                if market is None
                else _Cursor(market, self._instruments[market], exchange=key[0], is_book=self._table.kind.is_book)
            )
        return self._cursors[key]

    def _count_unused(self, row: Sequence[str]) -> None:
        if self._cursors[row[self._exchange_at], row[self._symbol_at]] is None:
            self._counts.foreign_rows += 1
        else:
            self._counts.rows_before_snapshot += 1

    def _is_blank(self, row: Sequence[str]) -> bool:
        """Tell whether the line is empty.

        Raises:
            DomainError: If it has not as many columns as the header.
        """
        width = self._table.width
        if len(row) == width:
            return False
        if row == [""]:
            return True
        msg = f"expected {width} columns, was {len(row)}: {','.join(row)[:80]!r}"
        raise DomainError(msg)

    def _bad_row(self, error: DomainError, line: int) -> None:
        if self._skips_bad:
            self._counts.bad_rows += 1
            return
        hint = error.hint or 'say on_bad_row = "skip" to count such rows and go on'
        if "multiple of" in error.message:
            hint = "set tick_size and lot_size of the market to the steps of the venue at that time"
        raise DataError(error.message, file=self._table.file.name, line=line, hint=hint) from error

    def _example(self) -> str:
        symbol = next(iter(self._cursors))[1]
        return f'symbols = ["{symbol}={self._instruments[0].symbol}"]'


def _nanoseconds(text: str, name: str) -> int:
    if len(text) != _US_DIGITS or not text.isdigit():
        msg = f"{name}: expected microseconds since 1970, 16 digits, was {text!r}"
        raise DomainError(msg)
    return int(text) * _NS_PER_US


def _nanosecond_column(texts: list[str]) -> list[int] | None:
    """Return all of `texts` as `_nanoseconds` does, None if one of them is not so written."""
    if not texts:
        return []
    if "" in texts or not "".join(texts).isdigit():
        return None
    times = [int(text) * _NS_PER_US for text in texts]
    return times if min(times) >= _FIRST_NS and max(times) <= _LAST_NS else None

"""What an estimate of fills needs of a recording, in columns: the touch and its changes, and where takers traded."""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.calibration.replay import played
from mmframe.domain.market import MessageKind, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.ports import Book, History

__all__ = ["Mark", "Tape", "read_tape"]


class Mark(IntEnum):
    """What an entry of a tape says."""

    TOUCH = 0
    """The best bid and ask from here on."""
    BOUGHT = 1
    """Takers bought, between the two prices."""
    SOLD = 2
    """Takers sold, between the two prices."""
    VOID = 3
    """There is no touch from here on: continuity was lost, or a side of the book is empty, or the book is crossed."""


@attrs.define
class Tape:
    """Touches and trades of one market in receive order, 25 bytes each.

    Attributes:
        times_ns: `array('q')`, time of receipt, nanoseconds UTC, never decreasing.
        marks: `array('b')`, one `Mark` an entry.
        low_ticks: `array('q')`, the best bid of a touch, the lowest price of a message's trades, in ticks.
        high_ticks: `array('q')`, the best ask of a touch, the highest price of a message's trades, in ticks.
        start_ns: Time of the first message.
        end_ns: Time of the last message.
        trades: Executions whose taker is told.
        unknown_trades: Executions whose taker is not told; they are on no side, and no estimate counts them.
    """

    times_ns: array[int] = attrs.field(factory=lambda: array("q"), repr=False)
    marks: array[int] = attrs.field(factory=lambda: array("b"), repr=False)
    low_ticks: array[int] = attrs.field(factory=lambda: array("q"), repr=False)
    high_ticks: array[int] = attrs.field(factory=lambda: array("q"), repr=False)
    start_ns: int = 0
    end_ns: int = 0
    trades: int = 0
    unknown_trades: int = 0

    def __len__(self) -> int:
        return len(self.times_ns)

    def reach(self, time_ns: int) -> None:
        """Note that the recording goes up to this time, whether or not anything happened then."""
        self.start_ns = self.start_ns or time_ns
        self.end_ns = time_ns

    def add(self, time_ns: int, mark: Mark, low_ticks: int = 0, high_ticks: int = 0) -> None:
        """Append one entry, which is at or after the last one."""
        self.reach(time_ns)
        self.times_ns.append(time_ns)
        self.marks.append(mark)
        self.low_ticks.append(low_ticks)
        self.high_ticks.append(high_ticks)

    def entries(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield `(time_ns, mark, low_ticks, high_ticks)` of each entry, and a void at the end."""
        yield from zip(self.times_ns, self.marks, self.low_ticks, self.high_ticks, strict=True)
        yield self.end_ns, Mark.VOID, 0, 0


def read_tape(history: History, book: Book, *, market: int = 0, limit_ns: int | None = None) -> Tape:
    """Return the tape of one market of a recording.

    Trades that never met the book are left out. The executions of one message and side are one entry: they are one
    taker's, and would fill an order once.

    Args:
        history: The recording.
        book: An empty book to play it into.
        market: Index of the market in the history.
        limit_ns: Read so much of the recording only, counted from the market's first message.

    Raises:
        DataError: If a row of the recording cannot be read.
    """
    tape = Tape()
    touch: tuple[int, int] | None = None
    for batch, index, is_synced in played(history, book, market=market, limit_ns=limit_ns):
        kind, time_ns = batch.kinds[index], batch.receive_ns[index]
        tape.reach(time_ns)
        if kind == MessageKind.TRADE:
            for side, mark in ((Side.BUY, Mark.BOUGHT), (Side.SELL, Mark.SOLD)):
                prices = _prices(batch.sides, batch.ticks, batch.offsets[index], batch.offsets[index + 1], side)
                if prices:
                    tape.trades += len(prices)
                    tape.add(time_ns, mark, min(prices), max(prices))
            unknown = batch.sides[batch.offsets[index] : batch.offsets[index + 1]].count(Side.UNKNOWN)
            tape.unknown_trades += unknown
        elif kind != MessageKind.OFF_BOOK_TRADE:
            now = _touch(book) if is_synced else None
            if now is None and touch is not None:
                tape.add(time_ns, Mark.VOID)
            elif now is not None and now != touch:
                tape.add(time_ns, Mark.TOUCH, *now)
            touch = now
    return tape


def _prices(sides: array[int], ticks: array[int], start: int, end: int, side: Side) -> list[int]:
    return [ticks[change] for change in range(start, end) if sides[change] == side]


def _touch(book: Book) -> tuple[int, int] | None:
    touch = book.touch()
    if touch.bid_lots and touch.ask_lots and touch.bid_ticks < touch.ask_ticks:
        return touch.bid_ticks, touch.ask_ticks
    return None

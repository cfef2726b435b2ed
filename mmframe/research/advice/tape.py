"""What a comparison needs of the recorded market: the mid whenever it changed, and what takers traded, in columns."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from mmframe.domain.market import MarketBatch, MessageKind, Side

if TYPE_CHECKING:
    from mmframe.ports import Book

__all__ = ["MarketTape"]


class MarketTape:
    """The mids and trades of one market, in order of receipt.

    Attributes:
        start_ns: Time of the first message; 0 before it.
        end_ns: Time of the last message.
        mid_times_ns: `array('q')`, when the mid changed.
        mid_half_ticks: `array('q')`, best bid + best ask from then on, in ticks.
        trade_times_ns: `array('q')`, when takers traded.
        trade_lots: `array('q')`, how much: positive they bought, negative they sold.
    """

    __slots__ = ("_is_synced", "end_ns", "mid_half_ticks", "mid_times_ns", "start_ns", "trade_lots", "trade_times_ns")

    def __init__(self) -> None:
        self.start_ns = 0
        self.end_ns = 0
        self.mid_times_ns = array("q")
        self.mid_half_ticks = array("q")
        self.trade_times_ns = array("q")
        self.trade_lots = array("q")
        self._is_synced = False

    def add(self, batch: MarketBatch, index: int, book: Book) -> None:
        """Take message `index` of a batch, which `book` has already applied."""
        now_ns, kind = batch.receive_ns[index], batch.kinds[index]
        self.start_ns = self.start_ns or now_ns
        self.end_ns = now_ns
        if kind in {MessageKind.DELTA, MessageKind.SNAPSHOT}:
            self._is_synced = self._is_synced or kind == MessageKind.SNAPSHOT
            touch = book.touch()
            if self._is_synced and touch.bid_lots and touch.ask_lots and touch.bid_ticks < touch.ask_ticks:
                self.mark(now_ns, touch.bid_ticks + touch.ask_ticks)
        elif kind == MessageKind.GAP:
            self._is_synced = False
        elif kind == MessageKind.TRADE:
            bought = 0
            for change in range(batch.offsets[index], batch.offsets[index + 1]):
                side = batch.sides[change]
                bought += batch.lots[change] if side == Side.BUY else -batch.lots[change] if side == Side.SELL else 0
            if bought:
                self.trade_times_ns.append(now_ns)
                self.trade_lots.append(bought)

    def mark(self, time_ns: int, half_ticks: int) -> None:
        """Note the mid at a time; the same as before is not news."""
        if not self.mid_half_ticks or self.mid_half_ticks[-1] != half_ticks:
            self.mid_times_ns.append(time_ns)
            self.mid_half_ticks.append(half_ticks)

    def half_ticks_at(self, time_ns: int) -> int:
        """Return best bid + best ask as last known at a time; 0 before the first."""
        place = bisect_right(self.mid_times_ns, time_ns)
        return self.mid_half_ticks[place - 1] if place else 0

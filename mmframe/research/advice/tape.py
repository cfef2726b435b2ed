"""What a comparison needs of the recorded market: the mid whenever it changed, and what takers traded, in columns."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.calibration.replay import played
from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.errors import DataError
from mmframe.registry import compose_history

if TYPE_CHECKING:
    from pathlib import Path

    from mmframe.domain.instrument import Instrument
    from mmframe.ports import Book, History

__all__ = ["MarketTape", "Watch", "read_tapes", "unwatched"]


class Watch(Protocol):
    """Lets somebody see how far a recording has been read."""

    def __call__(self, history: History, title: str, /) -> AbstractContextManager[History]:
        """Return the history that is read instead, for as long as it is read."""
        ...


def unwatched(history: History, title: str, /) -> AbstractContextManager[History]:
    """Show nothing."""
    del title
    return nullcontext(history)


def read_tapes(
    path: Path,
    *,
    limit_ns: int | None = None,
    blocked: frozenset[str] = frozenset(),
    watch: Watch = unwatched,
) -> tuple[tuple[Instrument, MarketTape], ...]:
    """Return the tape of each market of a strategy file's recording.

    Args:
        path: The strategy file; only its markets and its `[history]` matter.
        limit_ns: Read so much of the recording only.
        blocked: Plugins that must not be imported.
        watch: Shows how far the recording has been read, once for each market.

    Raises:
        ConfigErrors: With every problem that concerns the history.
        DataError: If the recording cannot be read, or a market has no book in it.
    """
    found = []
    for market, instrument in enumerate(compose_history(path, blocked=blocked).instruments):
        tape, book = MarketTape(), SortedBook()
        with watch(compose_history(path, blocked=blocked).history, f"reading {instrument.symbol}") as history:
            for batch, index, _ in played(history, book, market=market, limit_ns=limit_ns):
                tape.add(batch, index, book)
        if not tape.mid_times_ns:
            msg = f"{instrument.symbol} has no book in the recording, so nothing can be measured"
            raise DataError(msg, file=str(path))
        found.append((instrument, tape))
    return tuple(found)


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

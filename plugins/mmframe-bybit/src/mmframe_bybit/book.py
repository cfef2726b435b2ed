"""One symbol's messages put in order: what goes into a market batch, and what voids the book."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.grid import price_column, size_column
from mmframe.domain.market import MessageKind, Side
from mmframe.errors import DomainError
from mmframe_bybit.sync import Continuity, Verdict
from mmframe_bybit.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.market import MarketBatch
    from mmframe_bybit.wire import BookFrame, Level, Trade, TradeFrame

__all__ = ["BookCounts", "SymbolBook", "TradeTape"]

_NS_PER_MS = 1_000_000


@attrs.define
class BookCounts:
    """What became of one symbol's messages.

    Attributes:
        snapshots: Snapshot frames seen, repeated ones among them.
        deltas: Delta frames seen.
        applied: Frames that went into the book.
        repeats: Snapshots that say what the book shows already.
        stale: Deltas whose changes were in the book already.
        early: Deltas while there was no book.
        gaps: Times that a book in sync was voided or replaced without continuity.
        crossed: Books that a message left crossed.
        trimmed_levels: Levels beyond the topic's depth that the exchange did not remove.
        trades: Executions, off-book ones among them.
        off_book_trades: Block trades.
    """

    snapshots: int = 0
    deltas: int = 0
    applied: int = 0
    repeats: int = 0
    stale: int = 0
    early: int = 0
    gaps: int = 0
    crossed: int = 0
    trimmed_levels: int = 0
    trades: int = 0
    off_book_trades: int = 0


class _SideLevels(NamedTuple):
    side: Side
    ticks: list[int]
    lots: list[int]


class SymbolBook:
    """Follows one `orderbook` topic and writes what holds into a batch.

    A gap or a crossed book applies nothing: it is written as GAP, and everything waits for the next snapshot.

    Args:
        instrument: Gives the grid.
        depth: Levels a side of the topic.
        counts: Where to count.

    Attributes:
        depth: As given.
        is_synced: The book is whole.
        counts: What became of the messages.
    """

    def __init__(self, instrument: Instrument, depth: int, counts: BookCounts | None = None) -> None:
        self.depth = depth
        self.is_synced = False
        self.counts = counts or BookCounts()
        self._continuity = Continuity(depth)
        self._window = Window(depth)
        self._exchange_ns = 0
        self._prices = price_column(instrument)
        self._sizes = size_column(instrument, units_min=0)

    @property
    def last_u(self) -> int:
        """Return `u` of the last message that is in the book."""
        return self._continuity.last_u

    @property
    def last_seq(self) -> int:
        """Return `seq` of the last message that is in the book."""
        return self._continuity.last_seq

    def on_book(self, frame: BookFrame, batch: MarketBatch, receive_ns: int) -> None:
        """Apply a message if it follows.

        Raises:
            DomainError: If a price or size cannot be read or is off the grid, or a snapshot is deeper than the topic;
                the book is void then.
        """
        is_snapshot = frame.type == "snapshot"
        if is_snapshot:
            self.counts.snapshots += 1
        else:
            self.counts.deltas += 1
        exchange_ns = (frame.ts if frame.cts is None else frame.cts) * _NS_PER_MS
        verdict = self._continuity.judge(frame.data.u, frame.data.seq, is_snapshot=is_snapshot)
        if verdict is Verdict.GAP:
            self._void(batch, exchange_ns, receive_ns)
        elif verdict is Verdict.EARLY:
            self.counts.early += 1
        elif verdict is Verdict.STALE:
            self.counts.stale += 1
        else:
            if verdict is Verdict.RESTART:
                self._void(batch, exchange_ns, receive_ns)
            self._write(verdict, frame, batch, exchange_ns, receive_ns)

    def lose(self, batch: MarketBatch, exchange_ns: int, receive_ns: int) -> None:
        """Void the book until the next snapshot, as after a lost connection."""
        self._continuity.lose()
        self._void(batch, exchange_ns, receive_ns)

    def write_whole(self, batch: MarketBatch, receive_ns: int) -> None:
        """Write the book as it stands as a SNAPSHOT, for a reader that has seen none of its messages."""
        for side in (Side.BUY, Side.SELL):
            ticks, lots = self._window.levels(side)
            batch.sides.extend([int(side)] * len(ticks))
            batch.ticks.extend(ticks)
            batch.lots.extend(lots)
        batch.end_message(MessageKind.SNAPSHOT, exchange_ns=self._exchange_ns, receive_ns=receive_ns)

    def _write(self, verdict: Verdict, frame: BookFrame, batch: MarketBatch, exchange_ns: int, receive_ns: int) -> None:
        kind = MessageKind.DELTA if verdict is Verdict.APPLY else MessageKind.SNAPSHOT
        try:
            sides = self._read(kind, frame)
        except DomainError:
            self.lose(batch, exchange_ns, receive_ns)
            raise
        window = self._window
        if verdict is Verdict.REPEAT and all(window.shows(side, ticks, lots) for side, ticks, lots in sides):
            self.counts.repeats += 1
            return
        if kind is MessageKind.SNAPSHOT:
            window.clear()
        for side, ticks, lots in sides:
            window.apply(side, ticks, lots)
        if window.is_crossed():
            self.counts.crossed += 1
            self.lose(batch, exchange_ns, receive_ns)
            return
        for side, ticks, lots in sides:
            surplus = window.trim(side)
            batch.sides.extend([int(side)] * (len(ticks) + len(surplus)))
            batch.ticks.extend(ticks)
            batch.lots.extend(lots)
            if surplus:
                self.counts.trimmed_levels += len(surplus)
                batch.ticks.extend(surplus)
                batch.lots.extend([0] * len(surplus))
        batch.end_message(kind, exchange_ns=exchange_ns, receive_ns=receive_ns)
        self._exchange_ns = exchange_ns
        self.counts.applied += 1
        self.is_synced = True

    def _read(self, kind: MessageKind, frame: BookFrame) -> tuple[_SideLevels, _SideLevels]:
        bids = self._levels(Side.BUY, frame.data.b)
        asks = self._levels(Side.SELL, frame.data.a)
        if kind is MessageKind.DELTA:
            return bids, asks
        return self._whole(bids, frame.topic), self._whole(asks, frame.topic)

    def _levels(self, side: Side, levels: Sequence[Level]) -> _SideLevels:
        # Most messages are small and most texts have been seen: looking them up beats reading them all at once.
        prices, sizes = self._prices, self._sizes
        return _SideLevels(side, [prices[price] for price, _ in levels], [sizes[size] for _, size in levels])

    def _whole(self, levels: _SideLevels, topic: str) -> _SideLevels:
        if len(levels.ticks) > self.depth:
            msg = f"{topic}: expected a snapshot of at most {self.depth} levels a side, was {len(levels.ticks)}"
            raise DomainError(msg)
        if 0 not in levels.lots:
            return levels
        kept = [(tick, lot) for tick, lot in zip(levels.ticks, levels.lots, strict=True) if lot]
        return _SideLevels(levels.side, [tick for tick, _ in kept], [lot for _, lot in kept])

    def _void(self, batch: MarketBatch, exchange_ns: int, receive_ns: int) -> None:
        if self.is_synced:
            self.is_synced = False
            self.counts.gaps += 1
            batch.add(MessageKind.GAP, exchange_ns=exchange_ns, receive_ns=receive_ns)


class TradeTape:
    """Writes the executions of one symbol into a batch.

    Args:
        instrument: Gives the grid.
        counts: Where to count.
    """

    def __init__(self, instrument: Instrument, counts: BookCounts) -> None:
        self._counts = counts
        self._prices = price_column(instrument)
        self._sizes = size_column(instrument, units_min=1)

    def on_trades(self, frame: TradeFrame, batch: MarketBatch, receive_ns: int) -> None:
        """Write the executions; those of one moment and kind are one message.

        Trades with orders that the book does not show (RPI) are trades like any: every visible order at that price or
        a better one came before them. Block trades never met the book and are marked so.

        Raises:
            DomainError: If a price or size cannot be read or is off the grid; nothing of the frame is written then.
        """
        trades = frame.data
        ticks = [self._prices[trade.p] for trade in trades]
        lots = [self._sizes[trade.v] for trade in trades]
        for index, trade in enumerate(trades):
            batch.sides.append(Side.BUY if trade.S == "Buy" else Side.SELL)
            batch.ticks.append(ticks[index])
            batch.lots.append(lots[index])
            if index + 1 == len(trades) or _moment(trades[index + 1]) != _moment(trade):
                kind = MessageKind.OFF_BOOK_TRADE if trade.BT else MessageKind.TRADE
                batch.end_message(kind, exchange_ns=trade.T * _NS_PER_MS, receive_ns=receive_ns)
        self._counts.trades += len(trades)
        self._counts.off_book_trades += sum(trade.BT for trade in trades)


def _moment(trade: Trade) -> tuple[int, bool]:
    return trade.T, trade.BT

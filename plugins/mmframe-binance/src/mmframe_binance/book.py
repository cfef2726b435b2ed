"""One symbol's messages put in order: what goes into a market batch, and what has to wait for a snapshot."""

from __future__ import annotations

from collections import deque
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import attrs

from mmframe.domain.grid import price_column, size_column
from mmframe.domain.market import NEVER_NS, MessageKind, Side
from mmframe.errors import DomainError
from mmframe_binance.sync import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.market import MarketBatch
    from mmframe_binance.sync import Continuity
    from mmframe_binance.wire import DepthSnapshot, DepthUpdate, Level, PartialDepth, Trade

__all__ = ["HELD_UPDATES_MAX", "STALE_RUN_MAX", "BookCounts", "SymbolBook"]

HELD_UPDATES_MAX = 10_000
"""Diffs that wait for a snapshot; at the bound the oldest goes, and a snapshot must be newer than it."""

STALE_RUN_MAX = 250
"""Diffs that may be old in a row: more than two connections that overlap are apart, and more than come while the stream
catches up with a snapshot. Further ones void the book, because then it is the book's own id that is wrong."""

_NS_PER_MS = 1_000_000
_MICROSECONDS_FROM = 10**15
"""Times of streams that were opened with microseconds are at least so large, those in milliseconds never."""

_MARKET_TRADE = "MARKET"

# Whole numbers, as the columns hold them.
_BUY = int(Side.BUY)
_SELL = int(Side.SELL)


@attrs.define
class BookCounts:
    """What became of one symbol's messages.

    Attributes:
        depth_updates: Diffs seen.
        applied: Diffs that went into the book.
        stale: Diffs whose changes were in the book already.
        implausible: Diffs whose ids, or the book's, could not be right.
        gaps: Times that continuity was lost.
        snapshots: Snapshots that the book started from.
        old_snapshots: Snapshots that diffs held could not be joined to.
        off_grid_levels: Levels that were left out or cut because they are off the grid.
    """

    depth_updates: int = 0
    applied: int = 0
    stale: int = 0
    implausible: int = 0
    gaps: int = 0
    snapshots: int = 0
    old_snapshots: int = 0
    trades: int = 0
    off_book_trades: int = 0
    off_grid_levels: int = 0


class SymbolBook:
    """Joins snapshot and diffs of one symbol and writes what holds into a batch.

    A gap applies nothing: it is written as GAP, and everything waits for the next snapshot.

    Args:
        instrument: Gives the grid.
        continuity: The product's rule.
        fits_grid: Fit levels that are off the grid to it, instead of raising.

    Attributes:
        is_synced: The book is whole.
        counts: What became of the messages.
    """

    def __init__(self, instrument: Instrument, continuity: Continuity, *, fits_grid: bool = False) -> None:
        self._instrument = instrument
        self._fits_grid = fits_grid
        self.is_synced = False
        self.counts = BookCounts()
        self._continuity = continuity
        self._held: deque[DepthUpdate] = deque(maxlen=HELD_UPDATES_MAX)
        self._stale_run = 0
        self._prices = price_column(instrument)
        self._level_sizes = size_column(instrument, units_min=0)
        self._trade_sizes = size_column(instrument, units_min=1)

    @property
    def last_id(self) -> int:
        """Return the id of the last diff applied, or the snapshot's."""
        return self._continuity.last_id

    def on_snapshot(self, snapshot: DepthSnapshot, batch: MarketBatch, receive_ns: int) -> bool:
        """Start from a snapshot, with the diffs that were held; return whether it could be joined.

        Raises:
            DomainError: If a price or size is off the grid.
        """
        while self._held and self._held[0].u < snapshot.lastUpdateId:
            self._held.popleft()
            self.counts.stale += 1
        if self._held and self._continuity.is_older_than(snapshot.lastUpdateId, self._held[0]):
            self.counts.old_snapshots += 1
            return False
        self._put_levels(batch, snapshot.bids, snapshot.asks)
        batch.end_message(MessageKind.SNAPSHOT, exchange_ns=_event_ns(snapshot.E, receive_ns), receive_ns=receive_ns)
        self._join(snapshot.lastUpdateId)
        held, self._held = self._held, deque(maxlen=HELD_UPDATES_MAX)
        for update in held:
            self._continue(update, batch, receive_ns)
        return self.is_synced

    def on_depth(self, update: DepthUpdate, batch: MarketBatch, receive_ns: int) -> None:
        """Apply a diff if it follows; hold it if there is no book yet.

        Raises:
            DomainError: If a price or size is off the grid.
        """
        self.counts.depth_updates += 1
        if self.is_synced:
            self._continue(update, batch, receive_ns)
        else:
            self._held.append(update)

    def on_partial(self, partial: PartialDepth, batch: MarketBatch, receive_ns: int) -> None:
        """Take the best levels for the whole book; one that is no newer than what there is says nothing.

        Raises:
            DomainError: If a price or size is off the grid.
        """
        self.counts.depth_updates += 1
        ahead = partial.u - self.last_id
        if self.is_synced and abs(ahead) > self._continuity.ids_max:
            self.counts.implausible += 1
            self.lose(batch, _event_ns(partial.E, receive_ns), receive_ns)
            return
        if self.is_synced and ahead <= 0 and self._stale_run < STALE_RUN_MAX:
            self.counts.stale += 1
            # The same one again, as while nothing changes, is no sign of a wrong id.
            self._stale_run += ahead < 0
            return
        self._put_levels(batch, partial.bids, partial.asks)
        batch.end_message(MessageKind.SNAPSHOT, exchange_ns=_event_ns(partial.E, receive_ns), receive_ns=receive_ns)
        self.counts.applied += 1
        self._join(partial.u)

    def on_trade(self, trade: Trade, batch: MarketBatch, receive_ns: int) -> None:
        """Write an execution; one that never met the book is marked so.

        Raises:
            DomainError: If price or size is off the grid.
        """
        self.counts.trades += 1
        kind = MessageKind.TRADE
        if trade.X != _MARKET_TRADE:
            self.counts.off_book_trades += 1
            kind = MessageKind.OFF_BOOK_TRADE
        ticks, lots = self._prices[trade.p], self._trade_sizes[trade.q]
        batch.sides.append(Side.SELL if trade.m else Side.BUY)
        batch.ticks.append(ticks)
        batch.lots.append(lots)
        batch.end_message(kind, exchange_ns=_event_ns(trade.E, receive_ns), receive_ns=receive_ns)

    def lose(self, batch: MarketBatch, exchange_ns: int, receive_ns: int) -> None:
        """Void the book until the next snapshot, as after a lost connection."""
        if self.is_synced:
            self.is_synced = False
            self.counts.gaps += 1
            batch.add(MessageKind.GAP, exchange_ns=exchange_ns, receive_ns=receive_ns)

    def _join(self, update_id: int) -> None:
        self._continuity.join(update_id)
        self._stale_run = 0
        self.is_synced = True
        self.counts.snapshots += 1

    def _continue(self, update: DepthUpdate, batch: MarketBatch, receive_ns: int) -> None:
        if not self.is_synced:
            self._held.append(update)
            return
        verdict = self._continuity.judge(update)
        if verdict is Verdict.STALE and self._stale_run >= STALE_RUN_MAX:
            verdict = Verdict.IMPLAUSIBLE
        if verdict is Verdict.APPLY:
            self.counts.applied += 1
            self._stale_run = 0
            self._put_levels(batch, update.b, update.a)
            batch.end_message(MessageKind.DELTA, exchange_ns=_event_ns(update.E, receive_ns), receive_ns=receive_ns)
        elif verdict is Verdict.STALE:
            self.counts.stale += 1
            self._stale_run += 1
        elif verdict is Verdict.IMPLAUSIBLE:
            # It is not held: the next snapshot would meet it again.
            self.counts.implausible += 1
            self.lose(batch, _event_ns(update.E, receive_ns), receive_ns)
        else:
            self.lose(batch, _event_ns(update.E, receive_ns), receive_ns)
            self._held.append(update)

    def _put_levels(self, batch: MarketBatch, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        # Both sides are read before either is written: an error leaves the batch as it was. Read together they cost
        # little more than one alone.
        bid_count, ask_count = len(bids), len(asks)
        try:
            ticks, lots = self._read([*bids, *asks])
        except DomainError:
            if not self._fits_grid:
                raise
            fitted_bids, fitted_asks = self._fitted(bids), self._fitted(asks)
            bid_count, ask_count = len(fitted_bids), len(fitted_asks)
            ticks, lots = self._read(fitted_bids + fitted_asks)
        batch.sides.extend([_BUY] * bid_count + [_SELL] * ask_count)
        batch.ticks.extend(ticks)
        batch.lots.extend(lots)

    def _read(self, levels: Sequence[Level]) -> tuple[list[int], list[int]]:
        prices, sizes = self._prices, self._level_sizes
        ticks = [prices[price] for price, _ in levels]
        texts = [size for _, size in levels]
        lots = sizes.plain(texts)
        return ticks, [sizes[text] for text in texts] if lots is None else lots

    def _fitted(self, levels: Sequence[Level]) -> list[Level]:
        """Return the levels of a side as they fit the grid."""
        return [level for level in map(self._fitted_level, levels) if level is not None]

    def _fitted_level(self, level: Level) -> Level | None:
        """Return a level on the grid; None for a price between ticks. What is no number at all is left to fail."""
        price, size = level
        tick_size, lot_size = self._instrument.tick_size, self._instrument.lot_size
        try:
            beside_tick, beside_lot = Decimal(price) % tick_size, Decimal(size) % lot_size
        except InvalidOperation:
            return level
        if beside_tick.is_nan() or beside_lot.is_nan():
            return level
        is_between, is_cut = bool(beside_tick), bool(beside_lot)
        if is_between or is_cut:
            self.counts.off_grid_levels += 1
        if is_between:
            return None
        return (price, str(max(Decimal(size) // lot_size, Decimal(1)) * lot_size)) if is_cut else level


def _event_ns(event_time: int | None, receive_ns: int) -> int:
    """Return the exchange's time; the receive time where it gives none, or one that no clock shows."""
    if event_time is None:
        return receive_ns
    event_ns = event_time * 1000 if event_time >= _MICROSECONDS_FROM else event_time * _NS_PER_MS
    return event_ns if 0 <= event_ns < NEVER_NS else receive_ns

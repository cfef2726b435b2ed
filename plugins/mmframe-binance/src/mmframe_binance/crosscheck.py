"""The rebuilt touch against the one that the exchange tells itself, wherever both are of the same moment.

A `bookTicker` bears the id of the last change that it shows. It is comparable with the book exactly when that is also
the last id of a diff; tickers run ahead of the diffs, which come in batches, so they wait for theirs. In real captures
every comparable ticker agrees, so one that does not means something; but one alone may be the ticker's own fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.grid import price_column, size_column
from mmframe.domain.market import MessageKind, Touch

if TYPE_CHECKING:
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.market import MarketBatch
    from mmframe_binance.wire import BookTicker

__all__ = ["TICKERS_HELD_MAX", "TouchCheck"]

TICKERS_HELD_MAX = 4096
"""Tickers that wait for the diff with their id; at the bound the oldest goes unchecked."""


class TouchCheck:
    """One market's comparison.

    Args:
        instrument: Gives the grid.
        disagreements_max: Comparisons in a row that may fail; one more is lasting.

    Attributes:
        compared: Comparisons made.
        disagreed: Those that failed.
    """

    def __init__(self, instrument: Instrument, disagreements_max: int) -> None:
        self._disagreements_max = disagreements_max
        self._prices = price_column(instrument)
        self._sizes = size_column(instrument, units_min=0)
        self._levels: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._told: dict[int, Touch] = {}
        self._is_synced = False
        self._in_a_row = 0
        self.compared = 0
        self.disagreed = 0

    def follow(self, batch: MarketBatch, first: int, last_id: int) -> bool:
        """Take the messages of `batch` from `first` on, after which the book has `last_id`.

        Return whether the touch has lastingly been another one than the exchange's.
        """
        for index in range(first, len(batch)):
            self._apply(batch, index)
        told = self._told
        while told and (oldest := next(iter(told))) < last_id:
            del told[oldest]
        touch = told.pop(last_id, None)
        return touch is not None and self._is_synced and self._compare(touch)

    def on_ticker(self, ticker: BookTicker, last_id: int) -> bool:
        """Compare a ticker with the book as it stands after `last_id`, or keep it for its diff; return as `follow`.

        Raises:
            DomainError: If a price or size is off the grid.
        """
        if ticker.u < last_id:
            return False
        touch = Touch(*self._best(ticker.b, ticker.B), *self._best(ticker.a, ticker.A))
        if ticker.u == last_id:
            return self._is_synced and self._compare(touch)
        if len(self._told) >= TICKERS_HELD_MAX:
            del self._told[next(iter(self._told))]
        self._told[ticker.u] = touch
        return False

    def _apply(self, batch: MarketBatch, index: int) -> None:
        kind = batch.kinds[index]
        if kind in (MessageKind.SNAPSHOT, MessageKind.GAP):
            for levels in self._levels:
                levels.clear()
            # What is void or begins anew has not disagreed yet; books of best levels alone begin anew each time.
            if not (self._is_synced and kind == MessageKind.SNAPSHOT):
                self._in_a_row = 0
            self._is_synced = kind == MessageKind.SNAPSHOT
        if kind in (MessageKind.SNAPSHOT, MessageKind.DELTA):
            for change in range(batch.offsets[index], batch.offsets[index + 1]):
                levels, ticks, lots = self._levels[batch.sides[change]], batch.ticks[change], batch.lots[change]
                if lots:
                    levels[ticks] = lots
                else:
                    levels.pop(ticks, None)

    def _compare(self, told: Touch) -> bool:
        bids, asks = self._levels
        bid, ask = max(bids, default=0), min(asks, default=0)
        self.compared += 1
        if told == Touch(bid, bids.get(bid, 0), ask, asks.get(ask, 0)):
            self._in_a_row = 0
            return False
        self.disagreed += 1
        self._in_a_row += 1
        return self._in_a_row > self._disagreements_max

    def _best(self, price: str, size: str) -> tuple[int, int]:
        """Return one side of a ticker; an empty one is told as zeros."""
        if not price.strip("0."):
            return 0, 0
        return self._prices[price], self._sizes[size]

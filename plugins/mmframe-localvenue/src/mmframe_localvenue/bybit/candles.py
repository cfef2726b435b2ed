"""Candles made of the trades that a market still knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mmframe_localvenue.bybit.envelope import BybitError
from mmframe_localvenue.bybit.records import plain

if TYPE_CHECKING:
    from mmframe_localvenue.core import Market, PublicTrade

__all__ = ["candles", "interval_ms"]

_MINUTE_MS = 60_000
_INTERVALS_MS = {str(count): count * _MINUTE_MS for count in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)} | {
    "D": 1_440 * _MINUTE_MS
}


@attrs.define
class _Candle:
    """Prices in ticks, volume in lots, `worth` in ticks times lots."""

    opened: int
    high: int
    low: int
    close: int
    volume: int = 0
    worth: int = 0

    def add(self, trade: PublicTrade) -> None:
        self.high = max(self.high, trade.price_ticks)
        self.low = min(self.low, trade.price_ticks)
        self.close = trade.price_ticks
        self.volume += trade.size_lots
        self.worth += trade.price_ticks * trade.size_lots

    def row(self, market: Market, opens_ms: int) -> list[str]:
        instrument = market.instrument
        prices = (self.opened, self.high, self.low, self.close)
        figures = (instrument.size(self.volume), instrument.notional_quote(1, self.worth))
        return [str(opens_ms), *map(instrument.price_text, prices), *map(plain, figures)]


def interval_ms(text: str) -> int:
    """Return how long a candle of an interval lasts.

    Raises:
        BybitError: If it is none of the exchange's, or a week or longer: no market here is that old.
    """
    if text not in _INTERVALS_MS:
        raise BybitError(10001, "Invalid period!")
    return _INTERVALS_MS[text]


def candles(market: Market, length_ms: int, *, since_ms: int, until_ms: int, most: int) -> list[list[str]]:
    """Return the newest candles that begin between two times, newest first.

    One in which nobody traded repeats the close before it; none is older than the first trade.
    """
    known: dict[int, _Candle] = {}
    for trade in market.trades:
        price = trade.price_ticks
        known.setdefault(trade.at_ns // 1_000_000 // length_ms, _Candle(price, price, price, price)).add(trade)
    rows: list[list[str]] = []
    begun = sorted(known)
    number = until_ms // length_ms
    while begun and number >= begun[0] and number * length_ms >= since_ms and len(rows) < most:
        while begun[-1] > number:
            begun.pop()
        candle = known[begun[-1]]
        close = candle.close
        told = candle if begun[-1] == number else _Candle(close, close, close, close)
        rows.append(told.row(market, number * length_ms))
        number -= 1
    return rows

"""Candles made of the trades that a market still knows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmframe.domain.market import Side
from mmframe_localvenue.binance.errors import BinanceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.binance.params import Params
    from mmframe_localvenue.core import Market, PublicTrade

__all__ = ["candles"]

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_INTERVALS_MS = (
    {"1s": 1_000}
    | {f"{count}m": count * _MINUTE_MS for count in (1, 3, 5, 15, 30)}
    | {f"{count}h": count * _HOUR_MS for count in (1, 2, 4, 6, 8, 12)}
    | {"1d": _DAY_MS, "3d": 3 * _DAY_MS}
)


def candles(  # noqa: PLR0913 - what a request of candles is about
    market: Market, params: Params, stamp: Callable[[int], int], *, now_ns: int, default: int, largest: int
) -> list[list[Any]]:
    """Return the candles that a request asks for, oldest first; one without a trade repeats the close before it.

    Raises:
        BinanceError: If the interval is none of the exchange's, or a week or longer: no market here is that old.
    """
    length_ms = _INTERVALS_MS.get(params.required("interval"))
    if length_ms is None:
        raise BinanceError(-1120, "Invalid interval.")
    start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
    limit = params.limit(default, largest)
    buckets: dict[int, list[PublicTrade]] = {}
    for trade in market.trades:
        buckets.setdefault(trade.at_ns // 1_000_000 // length_ms, []).append(trade)
    if not buckets:
        return []
    last = max(*buckets, now_ns // 1_000_000 // length_ms)
    first = max(min(buckets), last - 100 * largest)
    shown: list[list[Any]] = []
    close = Decimal(0)
    for bucket in range(first, last + 1):
        candle, close = _candle(market, buckets.get(bucket, []), close, bucket * length_ms, length_ms, stamp)
        opens_ms = bucket * length_ms
        if (start_ms is None or opens_ms >= start_ms) and (end_ms is None or opens_ms <= end_ms):
            shown.append(candle)
    return shown[:limit] if start_ms is not None else shown[-limit:]


def _candle(  # noqa: PLR0913, PLR0917 - a candle has these facts
    market: Market,
    trades: list[PublicTrade],
    close: Decimal,
    opens_ms: int,
    length_ms: int,
    stamp: Callable[[int], int],
) -> tuple[list[Any], Decimal]:
    instrument = market.instrument
    prices = [instrument.price(trade.price_ticks) for trade in trades] or [close]
    sizes = [instrument.size(trade.size_lots) for trade in trades]
    values = [price * size for price, size in zip(prices, sizes, strict=False)]
    bought = [trade.taker_side is Side.BUY for trade in trades]
    zero = Decimal(0)
    figures = [
        sum(sizes, zero),
        sum(values, zero),
        sum((size for size, is_buy in zip(sizes, bought, strict=True) if is_buy), zero),
        sum((value for value, is_buy in zip(values, bought, strict=False) if is_buy), zero),
    ]
    volume, value, bought_volume, bought_value = (f"{figure:.8f}" for figure in figures)
    row = [
        stamp(opens_ms * 1_000_000),
        *(f"{price:.8f}" for price in (prices[0], max(prices), min(prices), prices[-1])),
        volume,
        stamp((opens_ms + length_ms) * 1_000_000) - 1,
        value,
        len(trades),
        bought_volume,
        bought_value,
        "0",
    ]
    return row, prices[-1]

"""Spot statistics: the touch, and the last 24 hours."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmframe.domain.market import Side
from mmframe_localvenue.binance.spot_orders import amount

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.core import Market

__all__ = ["book_ticker_json", "day_json"]


def book_ticker_json(market: Market) -> dict[str, Any]:
    """Return the touch as REST shows it."""
    instrument = market.instrument
    (bid, bid_lots), (ask, ask_lots) = market.best(Side.BUY), market.best(Side.SELL)
    return {
        "symbol": market.name,
        "bidPrice": amount(instrument.price(bid)),
        "bidQty": amount(instrument.size(bid_lots)),
        "askPrice": amount(instrument.price(ask)),
        "askQty": amount(instrument.size(ask_lots)),
    }


def day_json(market: Market, now_ns: int, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return the figures of the last 24 hours as REST shows them; `stamp` writes a time."""
    instrument = market.instrument
    trades = market.day_trades(now_ns)
    last = market.last_price
    prices = [instrument.price(one.price_ticks) for one in trades] or [last]
    sizes = [instrument.size(one.size_lots) for one in trades]
    volume = sum(sizes, Decimal(0))
    value = sum((price * size for price, size in zip(prices, sizes, strict=False)), Decimal(0))
    change = prices[-1] - prices[0]
    book = book_ticker_json(market)
    return {
        "symbol": market.name,
        "priceChange": amount(change),
        "priceChangePercent": f"{change / prices[0] * 100:.3f}",
        "weightedAvgPrice": amount(value / volume if volume else last),
        "prevClosePrice": amount(prices[0]),
        "lastPrice": amount(prices[-1]),
        "lastQty": amount(sizes[-1] if sizes else Decimal(0)),
        **{name: book[name] for name in ("bidPrice", "bidQty", "askPrice", "askQty")},
        "openPrice": amount(prices[0]),
        "highPrice": amount(max(prices)),
        "lowPrice": amount(min(prices)),
        "volume": amount(volume),
        "quoteVolume": amount(value),
        "openTime": stamp(now_ns - 86_400_000_000_000),
        "closeTime": stamp(now_ns),
        "firstId": trades[0].trade_id if trades else -1,
        "lastId": trades[-1].trade_id if trades else -1,
        "count": len(trades),
    }

"""Tickers: the last 24 hours, the touch, and on linear mark and funding, in the fields of REST and of the streams."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from mmframe.domain.market import Side
from mmframe_localvenue.bybit.envelope import SPOT
from mmframe_localvenue.bybit.records import category_of, plain, public_text

if TYPE_CHECKING:
    from mmframe_localvenue.core import Market

__all__ = ["stream_ticker", "tick_direction", "ticker"]

_FUNDING_MS = 8 * 3_600_000
_HOUR_NS = 3_600_000_000_000
_UNCHANGING = {
    "openInterest": "0",
    "openInterestValue": "0",
    "singleOpenInterest": "0",
    "singleOpenInterestValue": "0",
    "fundingRate": "0.0001",
    "fundingIntervalHour": "8",
    "fundingCap": "0.00375",
    "predictedDeliveryPrice": "",
    "basisRate": "",
    "deliveryFeeRate": "",
    "deliveryTime": "0",
    "basis": "",
    "preOpenPrice": "",
    "preQty": "",
    "curPreListingPhase": "",
    "basisRateYear": "",
}
"""Nobody holds these positions for hours: there is no funding and no open interest to speak of."""
_SPOT_REST = [
    "symbol",
    "bid1Price",
    "bid1Size",
    "ask1Price",
    "ask1Size",
    "lastPrice",
    "prevPrice24h",
    "price24hPcnt",
    "highPrice24h",
    "lowPrice24h",
    "turnover24h",
    "volume24h",
    "usdIndexPrice",
]
_LINEAR_REST = [
    "symbol",
    "lastPrice",
    "indexPrice",
    "markPrice",
    "prevPrice24h",
    "price24hPcnt",
    "highPrice24h",
    "lowPrice24h",
    "prevPrice1h",
    "openInterest",
    "openInterestValue",
    "turnover24h",
    "volume24h",
    "fundingRate",
    "nextFundingTime",
    "predictedDeliveryPrice",
    "basisRate",
    "deliveryFeeRate",
    "deliveryTime",
    "ask1Size",
    "bid1Price",
    "ask1Price",
    "bid1Size",
    "basis",
    "preOpenPrice",
    "preQty",
    "curPreListingPhase",
    "fundingIntervalHour",
    "basisRateYear",
    "fundingCap",
]
_SPOT_STREAM = [
    "symbol",
    "lastPrice",
    "highPrice24h",
    "lowPrice24h",
    "prevPrice24h",
    "volume24h",
    "turnover24h",
    "price24hPcnt",
    "usdIndexPrice",
]
_LINEAR_STREAM = [
    "symbol",
    "tickDirection",
    "price24hPcnt",
    "lastPrice",
    "prevPrice24h",
    "highPrice24h",
    "lowPrice24h",
    "prevPrice1h",
    "markPrice",
    "indexPrice",
    "openInterest",
    "openInterestValue",
    "turnover24h",
    "volume24h",
    "fundingIntervalHour",
    "fundingCap",
    "singleOpenInterest",
    "singleOpenInterestValue",
    "nextFundingTime",
    "fundingRate",
    "bid1Price",
    "bid1Size",
    "ask1Price",
    "ask1Size",
    "preOpenPrice",
    "preQty",
    "curPreListingPhase",
]


def ticker(market: Market, now_ns: int) -> dict[str, str]:
    """Return the ticker of a market as REST gives it: the last 24 hours, the touch, on linear mark and funding."""
    figures = _figures(market, now_ns)
    names = _SPOT_REST if category_of(market) == SPOT else _LINEAR_REST
    return {name: figures[name] for name in names}


def stream_ticker(market: Market, now_ns: int) -> dict[str, str]:
    """Return the ticker of a market as the stream gives it; that of spot knows no touch."""
    figures = _figures(market, now_ns)
    names = _SPOT_STREAM if category_of(market) == SPOT else _LINEAR_STREAM
    return {name: figures[name] for name in names}


def _figures(market: Market, now_ns: int) -> dict[str, str]:
    instrument = market.instrument
    day = market.day_trades(now_ns)
    last = market.last_price
    ticks = [trade.price_ticks for trade in day]
    hour_old = next((trade for trade in day if trade.at_ns >= now_ns - _HOUR_NS), None)
    first = instrument.price(ticks[0]) if ticks else last
    (bid, bid_lots), (ask, ask_lots) = market.best(Side.BUY), market.best(Side.SELL)
    now_ms = now_ns // 1_000_000

    def price(number: Decimal) -> str:
        return public_text(market, format(number.quantize(instrument.tick_size), "f"))

    def size(lots: int) -> str:
        return public_text(market, instrument.size_text(lots))

    return _UNCHANGING | {
        "symbol": market.name,
        "bid1Price": price(instrument.price(bid)) if bid else "",
        "bid1Size": size(bid_lots) if bid else "",
        "ask1Price": price(instrument.price(ask)) if ask else "",
        "ask1Size": size(ask_lots) if ask else "",
        "lastPrice": price(last),
        "prevPrice24h": price(first),
        "price24hPcnt": plain(((last - first) / first).quantize(Decimal("1e-6"))),
        "highPrice24h": price(instrument.price(max(ticks)) if ticks else last),
        "lowPrice24h": price(instrument.price(min(ticks)) if ticks else last),
        "turnover24h": plain(instrument.notional_quote(1, sum(trade.price_ticks * trade.size_lots for trade in day))),
        "volume24h": size(sum(trade.size_lots for trade in day)),
        "usdIndexPrice": plain(last),
        "tickDirection": tick_direction(ticks[-1], ticks[-2]) if len(ticks) > 1 else "ZeroPlusTick",
        "indexPrice": price(last),
        "markPrice": price(last),
        "prevPrice1h": price(last if hour_old is None else instrument.price(hour_old.price_ticks)),
        "nextFundingTime": str((now_ms // _FUNDING_MS + 1) * _FUNDING_MS),
    }


def tick_direction(ticks: int, before: int) -> str:
    """Return how a trade's price stands to the one before."""
    return "PlusTick" if ticks > before else "MinusTick" if ticks < before else "ZeroPlusTick"

"""What everybody may ask: time, instruments, books, trades, tickers, price limits."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mmframe.domain.market import Side
from mmframe_localvenue.bybit.candles import candles, interval_ms
from mmframe_localvenue.bybit.envelope import SPOT, BybitError
from mmframe_localvenue.bybit.orders import LIMIT_RATIO_X, LIMIT_RATIO_Y, price_limits
from mmframe_localvenue.bybit.params import category_in, integer_of
from mmframe_localvenue.bybit.records import category_of, plain, public_text, side_text
from mmframe_localvenue.bybit.tickers import ticker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mmframe_localvenue.bybit.orders import OrderDesk
    from mmframe_localvenue.core import Exchange, Market, PublicTrade

__all__ = ["MarketData", "trade_text_id"]

_LINEAR = "linear"
_SPOT_TRADE_BASE = 2_290_000_000_000_000_000
_CATEGORIES = (SPOT, _LINEAR, "inverse", "option")


class MarketData:
    """Answers of the public endpoints.

    Args:
        exchange: The markets.
        desk: Knows them by category.
        book_id: Returns the update id of a market's 1000-level stream: the one that a REST book carries.
    """

    def __init__(self, exchange: Exchange, desk: OrderDesk, book_id: Callable[[Market], int]) -> None:
        self._exchange = exchange
        self._desk = desk
        self._book_id = book_id

    def time(self, query: Mapping[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """Answer `market/time`."""
        now_ns = self._exchange.clock.now_ns()
        return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}

    def instruments(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `market/instruments-info`; spot is never paged."""
        category = category_in(query, _CATEGORIES)
        markets = self._markets(category)
        if query.get("symbol"):
            markets = [self._desk.market(category, query["symbol"])]
        if query.get("baseCoin") and category != SPOT:
            markets = [market for market in markets if market.instrument.base == query["baseCoin"]]
        status = query.get("status") or "Trading"
        markets = sorted(
            (market for market in markets if _status(market) == status or query.get("symbol")), key=lambda one: one.name
        )
        if category == SPOT:
            return {"category": category, "list": [_spot_instrument(market) for market in markets]}
        limit = _limit(query, default=500, most=1000)
        after = unquote(query.get("cursor", "")).partition("last=")[2]
        page = [market for market in markets if market.name > after][:limit]
        is_last = not page or page[-1] is markets[-1]
        cursor = "" if is_last else f"first%3D{page[0].name}%26last%3D{page[-1].name}"
        return {
            "category": category,
            "list": [_linear_instrument(market) for market in page],
            "nextPageCursor": cursor,
        }

    def orderbook(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `market/orderbook`; `u` is that of the 1000-level stream."""
        category = category_in(query, _CATEGORIES)
        market = self._desk.market(category, query.get("symbol"))
        limit = _limit(query, default=1 if category == SPOT else 25, most=1000)
        now_ms = self._exchange.clock.now_ms()
        return {
            "s": market.name,
            "a": _levels(market, Side.SELL, limit),
            "b": _levels(market, Side.BUY, limit),
            "ts": now_ms,
            "u": self._book_id(market),
            "seq": market.update_id,
            "cts": now_ms,
        }

    def tickers(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `market/tickers`."""
        category = category_in(query, _CATEGORIES)
        markets = [self._desk.market(category, query["symbol"])] if query.get("symbol") else self._markets(category)
        now_ns = self._exchange.clock.now_ns()
        return {"category": category, "list": [ticker(market, now_ns) for market in markets]}

    def candles(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `market/kline`; linear is meant where no category is given."""
        category = query.get("category") or _LINEAR
        market = self._desk.market(category, query.get("symbol"))
        length_ms = interval_ms(query.get("interval", ""))
        now_ms = self._exchange.clock.now_ms()
        rows = candles(
            market,
            length_ms,
            since_ms=integer_of(query.get("start") or "0", "start"),
            until_ms=min(now_ms, integer_of(query.get("end") or str(now_ms), "end")),
            most=_limit(query, default=200, most=1000),
        )
        return {"category": category, "symbol": market.name, "list": rows}

    def trades(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `market/recent-trade`, newest first."""
        category = category_in(query, _CATEGORIES)
        market = self._desk.market(category, query.get("symbol"))
        most = 60 if category == SPOT else 1000
        count = _limit(query, default=min(500, most), most=most)
        newest = list(market.trades)[: -count - 1 : -1]
        return {
            "category": category,
            "list": [
                {
                    "execId": trade_text_id(market, trade),
                    "symbol": market.name,
                    "price": market.instrument.price_text(trade.price_ticks),
                    "size": market.instrument.size_text(trade.size_lots),
                    "side": side_text(trade.taker_side),
                    "time": str(trade.at_ns // 1_000_000),
                    "isBlockTrade": False,
                    "isRPITrade": False,
                    "seq": str(market.update_id),
                }
                for trade in newest
            ],
        }

    def price_limit(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Answer `market/price-limit`; linear is meant where no category is given."""
        market = self._desk.market(query.get("category") or _LINEAR, query.get("symbol"))
        highest, lowest = price_limits(market)
        return {
            "symbol": market.name,
            "buyLmt": market.instrument.price_text(highest),
            "sellLmt": market.instrument.price_text(lowest),
            "ts": str(self._exchange.clock.now_ms()),
        }

    def _markets(self, category: str) -> list[Market]:
        return [market for market in self._exchange.markets.values() if category_of(market) == category]


def trade_text_id(market: Market, trade: PublicTrade) -> str:
    """Return a public trade's id: a number on spot, a UUID on linear."""
    if category_of(market) == SPOT:
        return str(_SPOT_TRADE_BASE + trade.trade_id)
    return f"{trade.trade_id:08x}-0000-5000-8000-{trade.at_ns & (2**48 - 1):012x}"


def _levels(market: Market, side: Side, count: int) -> list[tuple[str, str]]:
    return [(public_text(market, price), public_text(market, size)) for price, size in market.levels(side, count)]


def _limit(query: Mapping[str, str], *, default: int, most: int) -> int:
    limit = integer_of(query.get("limit") or str(default), "limit")
    if limit < 1:
        raise BybitError(10001, "params error: limit invalid")
    return min(limit, most)


def _status(market: Market) -> str:
    return "Trading" if market.is_trading else "Closed"


def _linear_instrument(market: Market) -> dict[str, Any]:
    setup, instrument = market.setup, market.instrument
    return {
        "symbol": market.name,
        "contractType": "LinearPerpetual",
        "status": _status(market),
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(_digits(setup.tick_size)),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": format(setup.min_price, "f"),
            "maxPrice": format(setup.max_price, "f"),
            "tickSize": format(setup.tick_size, "f"),
        },
        "lotSizeFilter": {
            "maxOrderQty": instrument.size_text(instrument.size_lots(setup.max_size)),
            "minOrderQty": format(setup.min_size, "f"),
            "qtyStep": format(setup.lot_size, "f"),
            "postOnlyMaxOrderQty": instrument.size_text(instrument.size_lots(setup.max_size)),
            "maxMktOrderQty": instrument.size_text(instrument.size_lots(setup.max_size)),
            "minNotionalValue": plain(setup.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": instrument.quote,
        "copyTrading": "none",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": str(LIMIT_RATIO_X), "priceLimitRatioY": str(LIMIT_RATIO_Y)},
        "displayName": "",
        "symbolType": "",
        "forbidUplWithdrawal": False,
        "symbolId": market.index + 1,
    }


def _spot_instrument(market: Market) -> dict[str, Any]:
    setup, instrument = market.setup, market.instrument
    return {
        "symbolId": market.index + 1,
        "symbol": market.name,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": _status(market),
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": format(setup.lot_size, "f"),
            "quotePrecision": format(setup.tick_size * setup.lot_size, "f"),
            "minOrderQty": format(setup.min_size, "f"),
            "maxOrderQty": plain(setup.max_size),
            "minOrderAmt": plain(setup.min_notional),
            "maxOrderAmt": plain(setup.max_notional),
            "maxLimitOrderQty": plain(setup.max_size),
            "maxMarketOrderQty": plain(setup.max_size),
            "postOnlyMaxLimitOrderSize": plain(setup.max_size),
        },
        "priceFilter": {"tickSize": format(setup.tick_size, "f")},
        "riskParameters": {"priceLimitRatioX": str(LIMIT_RATIO_X), "priceLimitRatioY": str(LIMIT_RATIO_Y)},
        "symbolType": "",
    }


def _digits(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0

"""The futures dialect: public market data, and the assembly of everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from mmframe.domain.instrument import InstrumentKind
from mmframe_localvenue.binance.candles import candles
from mmframe_localvenue.binance.errors import BinanceError
from mmframe_localvenue.binance.gateway import Call
from mmframe_localvenue.binance.usdm.accounts import Accounts
from mmframe_localvenue.binance.usdm.deadlines import Deadlines
from mmframe_localvenue.binance.usdm.figures import decimals, plain
from mmframe_localvenue.binance.usdm.gateway import UsdmGateway
from mmframe_localvenue.binance.usdm.markets import MarketData, book_ticker_json, day_json, trade_json
from mmframe_localvenue.binance.usdm.orders import TIMES_IN_FORCE, filters_json
from mmframe_localvenue.binance.usdm.sockets import StreamSockets
from mmframe_localvenue.binance.usdm.state import AccountModes
from mmframe_localvenue.binance.usdm.trading import Trading
from mmframe_localvenue.binance.usdm.user_data import UserData
from mmframe_localvenue.core import Urls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp import web

    from mmframe_localvenue.binance.gateway import Caller
    from mmframe_localvenue.binance.params import Params
    from mmframe_localvenue.core import Core, Market

__all__ = ["UsdmDialect"]

_WEIGHT_PER_MINUTE = 2_400
_DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1_000: 20}
_DEPTH_DEFAULT = 500
_TRADES, _TRADES_MAX = 500, 1_000
_CANDLES, _CANDLES_MAX = 500, 1_500
_CANDLE_WEIGHTS = ((100, 1), (500, 2), (1_001, 5), (_CANDLES_MAX, 10))
"""Weight of a request for less than so many candles."""
_FAR_FUTURE_MS = 4_133_404_800_000
_LISTED_SINCE_MS = 1_569_398_400_000


class UsdmDialect:
    """Binance USDⓈ-M on one port.

    Args:
        core: Of the venue.
    """

    kind: ClassVar[InstrumentKind] = InstrumentKind.LINEAR
    order_limits: ClassVar[tuple[tuple[int, int], ...]] = ((10, 300), (60, 1_200))

    def __init__(self, core: Core) -> None:
        self._core = core
        self._deadlines = Deadlines(core.clock)
        self._sockets = StreamSockets(core)
        self._data = MarketData(core, self._sockets)
        user_data = UserData(core, self._sockets, self._deadlines)
        self._sockets.owner_of_key = user_data.owner
        modes = AccountModes()
        self._trading = Trading(core, modes, self._deadlines)
        accounts = Accounts(core, self._trading, modes, user_data)
        calls = [*self._public_calls(), *self._trading.calls(), *accounts.calls()]
        self._gateway = self._trading.gateway = UsdmGateway(core, calls, weight_limit=_WEIGHT_PER_MINUTE)

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Return the HTTP and websocket routes."""
        return [*self._gateway.routes(), *self._sockets.routes()]

    def urls(self, host: str) -> Urls:
        """Return its addresses; the paths `/public`, `/market` and `/private` come after `stream`."""
        return Urls(rest=f"http://{host}", stream=f"ws://{host}", private=f"ws://{host}/private")

    async def run(self) -> None:
        """Publish at intervals, expire listen keys and fire dead-man switches, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._data.run)
            tasks.start_soon(self._deadlines.run)

    def _public_calls(self) -> list[Call]:
        def get(operation: str, run: Callable[[Caller], Any], path: str, weight: Any = 1) -> Call:
            return Call(operation, run, ("GET", f"/fapi/{path}"), weight=weight)

        return [
            get("ping", lambda _: {}, "v1/ping"),
            get("time", lambda _: {"serverTime": self._core.clock.now_ms()}, "v1/time"),
            get("info", self._info, "v1/exchangeInfo"),
            get("depth", self._depth, "v1/depth", _depth_weight),
            get("trades", self._trades, "v1/trades", 5),
            get("trades", self._aggregate_trades, "v1/aggTrades", 20),
            get("candles", self._candles, "v1/klines", _candles_weight),
            get("ticker", self._book_ticker, "v1/ticker/bookTicker", _weight_by_symbol(2, 5)),
            get("ticker", self._price, "v1/ticker/price", _weight_by_symbol(1, 2)),
            get("ticker", self._price, "v2/ticker/price", _weight_by_symbol(1, 2)),
            get("ticker", self._day, "v1/ticker/24hr", _weight_by_symbol(1, 40)),
            get("ticker", self._premium_index, "v1/premiumIndex", _weight_by_symbol(1, 10)),
        ]

    def _info(self, _: Caller) -> Any:
        markets = list(self._core.exchange.markets.values())
        assets = sorted({asset for market in markets for asset in (market.instrument.base, market.instrument.quote)})
        limits = [limit for limit in self._gateway.rate_limits() if limit["rateLimitType"] != "RAW_REQUESTS"]
        return {
            "timezone": "UTC",
            "serverTime": self._core.clock.now_ms(),
            "futuresType": "U_MARGINED",
            "rateLimits": limits,
            "exchangeFilters": [],
            "assets": [{"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in assets],
            "symbols": [_symbol_json(market) for market in markets],
        }

    def _depth(self, caller: Caller) -> Any:
        market = self._trading.market(caller.params)
        limit = caller.params.integer("limit")
        if limit is not None and limit not in _DEPTH_WEIGHTS:
            raise BinanceError(-4021, f"'{limit}' is not valid depth limit.")
        return self._data.depth(market, limit or _DEPTH_DEFAULT)

    def _trades(self, caller: Caller) -> Any:
        market = self._trading.market(caller.params)
        limit = caller.params.limit(_TRADES, _TRADES_MAX)
        return [trade_json(market, trade) for trade in list(market.trades)[-limit:]]

    def _aggregate_trades(self, caller: Caller) -> Any:
        params, market = caller.params, self._trading.market(caller.params)
        limit, first = params.limit(_TRADES, _TRADES_MAX), params.integer("fromId")
        start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
        found = [
            aggregate
            for aggregate in self._data.aggregates(market)
            if (first is None or aggregate.number >= first)
            and (start_ms is None or aggregate.at_ns // 1_000_000 >= start_ms)
            and (end_ms is None or aggregate.at_ns // 1_000_000 <= end_ms)
        ]
        chosen = found[-limit:] if first is None and start_ms is None else found[:limit]
        return [aggregate.show(market) for aggregate in chosen]

    def _candles(self, caller: Caller) -> Any:
        market, now_ns = self._trading.market(caller.params), self._core.clock.now_ns()
        return candles(market, caller.params, caller.stamp, now_ns=now_ns, default=_CANDLES, largest=_CANDLES_MAX)

    def _book_ticker(self, caller: Caller) -> Any:
        return self._each(caller, lambda market: book_ticker_json(market, self._core.clock.now_ms()))

    def _price(self, caller: Caller) -> Any:
        now_ms = self._core.clock.now_ms()
        return self._each(
            caller, lambda market: {"symbol": market.name, "price": plain(market.last_price), "time": now_ms}
        )

    def _day(self, caller: Caller) -> Any:
        return self._each(caller, lambda market: day_json(market, self._core.clock.now_ns()))

    def _premium_index(self, caller: Caller) -> Any:
        return self._each(caller, self._data.premium_index)

    def _each(self, caller: Caller, show: Callable[[Market], dict[str, Any]]) -> Any:
        """Return one market's figures where a symbol is named, else a list of all."""
        if "symbol" in caller.params:
            return show(self._trading.market(caller.params))
        return [show(market) for market in self._core.exchange.markets.values()]


def _symbol_json(market: Market) -> dict[str, Any]:
    instrument, setup = market.instrument, market.setup
    return {
        "symbol": market.name,
        "pair": market.name,
        "contractType": "PERPETUAL",
        "deliveryDate": _FAR_FUTURE_MS,
        "onboardDate": _LISTED_SINCE_MS,
        "status": "TRADING" if market.is_trading else "CLOSE",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.quote,
        "pricePrecision": decimals(setup.tick_size),
        "quantityPrecision": decimals(setup.lot_size),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": filters_json(market),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": list(TIMES_IN_FORCE),
        "permissionSets": ["GRID", "COPY"],
    }


def _depth_weight(params: Params) -> int:
    text = params.text("limit") or str(_DEPTH_DEFAULT)
    return _DEPTH_WEIGHTS.get(int(text), 1) if text.isdecimal() else 1


def _candles_weight(params: Params) -> int:
    text = params.text("limit") or str(_CANDLES)
    wanted = int(text) if text.isdecimal() else _CANDLES
    return next((weight for below, weight in _CANDLE_WEIGHTS if wanted < below), _CANDLE_WEIGHTS[-1][1])


def _weight_by_symbol(one: int, every: int) -> Callable[[Params], int]:
    return lambda params: one if "symbol" in params else every

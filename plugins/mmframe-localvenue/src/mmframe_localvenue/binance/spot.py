"""Binance spot: REST under /api/v3 and the parts of /sapi that a trader asks for, market streams, WebSocket API.

Written from binance/binance-spot-api-docs. Left out: conditional, iceberg, pegged and list orders (their parameters are
refused as on a symbol that does not allow them), SBE, FIX, margin.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from aiohttp import web

from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import Side
from mmframe.errors import DomainError
from mmframe_localvenue.binance.candles import candles
from mmframe_localvenue.binance.errors import BinanceError
from mmframe_localvenue.binance.gateway import Call, Caller, Gateway, Security
from mmframe_localvenue.binance.permissions import restrictions_json
from mmframe_localvenue.binance.session import ApiSession
from mmframe_localvenue.binance.spot_orders import (
    DEFAULT_PREVENTION,
    ORDER_TYPES,
    PREVENTION_MODES,
    amended_json,
    amount,
    canceled_json,
    check_filters,
    filters_json,
    order_json,
    placed_json,
    refusal,
    ticket_of,
    trade_json,
)
from mmframe_localvenue.binance.spot_tickers import book_ticker_json, day_json
from mmframe_localvenue.binance.streams import MarketStreams
from mmframe_localvenue.binance.user_data import UserData
from mmframe_localvenue.core import Heartbeat, Permission, Refusal, RefusedError, Role, Urls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe_localvenue.binance.params import Params
    from mmframe_localvenue.core import Account, Connection, Core, Market, PublicTrade, Ticket, VenueOrder

__all__ = ["SpotDialect"]

_WEIGHT_PER_MINUTE = 6_000
_CONNECT_WEIGHT = 2
_DEPTH_MAX = 5_000
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1_000, 50), (_DEPTH_MAX, 250))
_LIST_MAX = 1_000
_LOOKUP_MAX_MS = 86_400_000
_RESPONSE_TYPES = ("ACK", "RESULT", "FULL")
_PING_S, _PONG_S, _LIFETIME_S = 20.0, 60.0, 86_400.0
_BATCH_WEIGHTS = ((20, 2), (100, 40))


class SpotDialect:
    """The protocols of Binance spot.

    Args:
        core: Of the venue.
    """

    kind: ClassVar[InstrumentKind] = InstrumentKind.SPOT
    order_limits: ClassVar[tuple[tuple[int, int], ...]] = ((10, 100), (86_400, 200_000))

    def __init__(self, core: Core) -> None:
        self.core = core
        self.exchange = core.exchange
        self.gateway = Gateway(core, self._calls(), weight_limit=_WEIGHT_PER_MINUTE)
        self.streams = MarketStreams(core)
        self.user_data = UserData(core)
        self._last_id = 0

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Return the HTTP and websocket routes."""
        return [
            *self.gateway.routes(),
            web.get("/ws", self._open_stream),
            web.get("/ws/{streams:.*}", self._open_stream),
            web.get("/stream", self._open_stream),
            web.get("/ws-api/v3", self._open_api),
        ]

    def urls(self, host: str) -> Urls:
        """Return its addresses."""
        return Urls(rest=f"http://{host}", stream=f"ws://{host}", ws_api=f"ws://{host}/ws-api/v3")

    async def run(self) -> None:
        """Publish books at their intervals."""
        await self.streams.run()

    # Sockets

    async def _open_stream(self, request: web.Request) -> web.StreamResponse:
        return await self.core.open_socket(request, Role.MARKET, self._heartbeat(), self.streams.serve)

    async def _open_api(self, request: web.Request) -> web.StreamResponse:
        try:
            self.gateway.limits.charge(_CONNECT_WEIGHT)
        except BinanceError as error:
            reply = self.gateway.refused(error)
            return web.Response(status=reply.status, text=reply.text, headers=reply.headers)

        async def serve(connection: Connection) -> None:
            await ApiSession(connection, self.gateway, self.user_data).serve()

        return await self.core.open_socket(request, Role.API, self._heartbeat(), serve)

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(ping_s=_PING_S, pong_s=_PONG_S, lifetime_s=_LIFETIME_S)

    # The table

    def _calls(self) -> list[Call]:
        return [*self._public_calls(), *self._order_calls(), *self._account_calls()]

    def _public_calls(self) -> list[Call]:
        def get(path: str) -> tuple[str, str]:
            return "GET", f"/api/v3/{path}"

        return [
            Call("ping", lambda _: {}, get("ping"), "ping"),
            Call("time", self._time, get("time"), "time"),
            Call("info", self._info, get("exchangeInfo"), "exchangeInfo", weight=20),
            Call("depth", self._depth, get("depth"), "depth", weight=_depth_weight),
            Call("trades", self._trades, get("trades"), "trades.recent", weight=25),
            Call("trades", self._trades, get("historicalTrades"), "trades.historical", weight=25),
            Call("trades", self._aggregate_trades, get("aggTrades"), "trades.aggregate", weight=4),
            Call("candles", self._candles, get("klines"), "klines", weight=2),
            Call("candles", self._candles, get("uiKlines"), "uiKlines", weight=2),
            Call("ticker", self._average, get("avgPrice"), "avgPrice", weight=2),
            Call("ticker", self._ticker_day, get("ticker/24hr"), "ticker.24hr", weight=_day_weight),
            Call("ticker", self._ticker_price, get("ticker/price"), "ticker.price", weight=_ticker_weight),
            Call("ticker", self._ticker_book, get("ticker/bookTicker"), "ticker.book", weight=_ticker_weight),
        ]

    def _order_calls(self) -> list[Call]:
        def trade(
            operation: str, run: Callable[[Caller], Any], http: tuple[str, str], method: str, weight: int = 1
        ) -> Call:
            # A successful order costs no weight since 2026-04; an amend still does.
            return Call(operation, run, http, method, Security.TRADE, weight, is_free=operation != "order.amend")

        order = "/api/v3/order"
        return [
            trade("order.place", self._place, ("POST", order), "order.place"),
            Call(
                "order.test",
                self._test,
                ("POST", f"{order}/test"),
                "order.test",
                Security.TRADE,
                lambda params: 20 if params.flag("computeCommissionRates") else 1,
            ),
            trade("order.cancel", self._cancel, ("DELETE", order), "order.cancel"),
            trade("order.cancel-all", self._cancel_all, ("DELETE", "/api/v3/openOrders"), "openOrders.cancelAll"),
            trade("order.replace", self._replace, ("POST", f"{order}/cancelReplace"), "order.cancelReplace"),
            trade("order.amend", self._amend, ("PUT", f"{order}/amend/keepPriority"), "order.amend.keepPriority", 4),
        ]

    def _account_calls(self) -> list[Call]:
        def query(
            operation: str,
            run: Callable[[Caller], Any],
            path: str,
            method: str,
            weight: int | Callable[[Params], int],
        ) -> Call:
            return Call(operation, run, ("GET", path), method, Security.USER_DATA, weight)

        api = "/api/v3"
        return [
            query("order.status", self._status, f"{api}/order", "order.status", 4),
            query("orders.open", self._open_orders, f"{api}/openOrders", "openOrders.status", _open_weight),
            query("orders.all", self._all_orders, f"{api}/allOrders", "allOrders", 20),
            query("trades.mine", self._my_trades, f"{api}/myTrades", "myTrades", _my_trades_weight),
            query(
                "orders.prevented",
                self._prevented,
                f"{api}/myPreventedMatches",
                "myPreventedMatches",
                _prevented_weight,
            ),
            query("account", self._account, f"{api}/account", "account.status", 20),
            query("account", self._commission, f"{api}/account/commission", "account.commission", 20),
            query("limits", self._order_counts, f"{api}/rateLimit/order", "account.rateLimits.orders", 40),
            query("permissions", self._restrictions, "/sapi/v1/account/apiRestrictions", "", 1),
            # General clients ask for these before they trade; there is no margin here.
            query("account", self._assets, "/sapi/v1/capital/config/getall", "", 10),
            query("account", self._trade_fees, "/sapi/v1/asset/tradeFee", "", 1),
            Call("info", lambda _: [], ("GET", "/sapi/v1/margin/allPairs"), "", Security.MARKET_DATA),
            query("info", lambda _: [], "/sapi/v1/margin/isolated/allPairs", "", 10),
        ]

    # Public

    def _time(self, caller: Caller) -> Any:
        return {"serverTime": caller.stamp(self.core.clock.now_ns())}

    def _info(self, caller: Caller) -> Any:
        return {
            "timezone": "UTC",
            "serverTime": caller.stamp(self.core.clock.now_ns()),
            "rateLimits": self.gateway.rate_limits(),
            "exchangeFilters": [],
            "symbols": [_symbol_json(market) for market in self._markets(caller.params)],
        }

    def _depth(self, caller: Caller) -> Any:
        market = self._market(caller.params)
        limit = caller.params.limit(100, _DEPTH_MAX)
        return {
            "lastUpdateId": market.update_id,
            "bids": padded(market, Side.BUY, limit),
            "asks": padded(market, Side.SELL, limit),
        }

    def _trades(self, caller: Caller) -> Any:
        market = self._market(caller.params)
        limit = caller.params.limit(500, _LIST_MAX)
        first = caller.params.integer("fromId")
        trades = list(market.trades)
        chosen = trades[-limit:] if first is None else [one for one in trades if one.trade_id >= first][:limit]
        return [_public_trade_json(market, one, caller) for one in chosen]

    def _aggregate_trades(self, caller: Caller) -> Any:
        market, params = self._market(caller.params), caller.params
        limit = params.limit(500, _LIST_MAX)
        first, start, end = params.integer("fromId"), params.integer("startTime"), params.integer("endTime")
        known = [
            one
            for one in self.streams.aggregates(market)
            if (first is None or one.number >= first) and _is_within(one.at_ns, start, end)
        ]
        chosen = known[-limit:] if first is None and start is None else known[:limit]
        return [one.rest_json(market, caller.stamp) for one in chosen]

    def _candles(self, caller: Caller) -> Any:
        now_ns = self.core.clock.now_ns()
        market = self._market(caller.params)
        return candles(market, caller.params, caller.stamp, now_ns=now_ns, default=500, largest=_LIST_MAX)

    def _average(self, caller: Caller) -> Any:
        market = self._market(caller.params)
        now_ns = self.core.clock.now_ns()
        at_ns = market.trades[-1].at_ns if market.trades else now_ns
        return {"mins": 5, "price": amount(market.average_price(now_ns)), "closeTime": caller.stamp(at_ns)}

    def _ticker_price(self, caller: Caller) -> Any:
        return self._each(caller.params, lambda one: {"symbol": one.name, "price": amount(one.last_price)})

    def _ticker_book(self, caller: Caller) -> Any:
        return self._each(caller.params, book_ticker_json)

    def _ticker_day(self, caller: Caller) -> Any:
        now_ns = self.core.clock.now_ns()
        return self._each(caller.params, lambda one: day_json(one, now_ns, caller.stamp))

    # Orders

    def _place(self, caller: Caller) -> Any:
        market, ticket = self._ticket(caller)
        kind = _response_type(caller.params)
        caller.params.check_all_read()
        check_filters(ticket, market, caller.account, self.core.clock.now_ns())
        self.gateway.check_order_count(caller.account)
        order = self._engine_place(caller.account, market, ticket)
        caller.places_order = True
        return placed_json(order, kind, caller.stamp)

    def _test(self, caller: Caller) -> Any:
        market, ticket = self._ticket(caller)
        _response_type(caller.params)
        rates = caller.params.flag("computeCommissionRates")
        caller.params.check_all_read()
        check_filters(ticket, market, caller.account, self.core.clock.now_ns())
        if not rates:
            return {}
        setup = caller.account.setup
        none = {"maker": amount(Decimal(0)), "taker": amount(Decimal(0))}
        return {
            "standardCommissionForOrder": {"maker": amount(setup.maker_fee), "taker": amount(setup.taker_fee)},
            "specialCommissionForOrder": none,
            "taxCommissionForOrder": none,
            "discount": self._discount(caller.account),
        }

    def _cancel(self, caller: Caller) -> Any:
        params = caller.params
        market = self._market(params)
        order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
        request_id = params.client_id("newClientOrderId") or self._new_id()
        restriction = _restriction(params)
        params.check_all_read()
        return self._engine_cancel(caller, market, order_id, client_id, request_id, restriction)

    def _cancel_all(self, caller: Caller) -> Any:
        market = self._market(caller.params)
        caller.params.check_all_read()
        orders = caller.account.open_orders(market)
        if not orders:
            raise BinanceError(-2011, "Unknown order sent.")
        answers = []
        for order in orders:
            request_id = self._new_id()
            self.exchange.cancel(order, request_id=request_id)
            answers.append(canceled_json(order, request_id, caller.stamp))
        return answers

    def _replace(self, caller: Caller) -> Any:
        params = caller.params
        market, ticket = self._ticket(caller)
        mode = params.required("cancelReplaceMode")
        if mode not in {"STOP_ON_FAILURE", "ALLOW_FAILURE"}:
            raise BinanceError(-1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
        wrong = BinanceError(-1130, "Data sent for parameter 'orderRateLimitExceededMode' is not valid.")
        exceeded_mode = params.choice("orderRateLimitExceededMode", ("DO_NOTHING", "CANCEL_ONLY"), wrong)
        order_id, client_id = params.integer("cancelOrderId"), params.text("cancelOrigClientOrderId")
        request_id = params.client_id("cancelNewClientOrderId") or self._new_id()
        kind, restriction = _response_type(params), _restriction(params)
        params.check_all_read()
        if order_id is None and client_id is None:
            msg = "Param 'cancelOrigClientOrderId' or 'cancelOrderId' must be sent, but both were empty/null!"
            raise BinanceError(-1102, msg)
        # Filters and the order count are looked at before anything is cancelled.
        self._check_replacement_filters(caller, market, ticket, order_id, client_id)
        exceeded = self._exceeded(caller.account)
        if exceeded is not None and exceeded_mode != "CANCEL_ONLY":
            raise exceeded

        def cancel() -> dict[str, Any]:
            return self._engine_cancel(caller, market, order_id, client_id, request_id, restriction)

        def place() -> dict[str, Any]:
            if exceeded is not None:
                raise exceeded
            order = self._engine_place(caller.account, market, ticket)
            caller.places_order = True
            return placed_json(order, kind, caller.stamp)

        return _replaced(cancel, place, goes_on=mode == "ALLOW_FAILURE", exceeded=exceeded)

    def _amend(self, caller: Caller) -> Any:
        params = caller.params
        market = self._market(params)
        order = self._find(caller.account, market, params.integer("orderId"), params.text("origClientOrderId"), -2038)
        new_size = params.decimal("newQty")
        new_id = params.client_id("newClientOrderId") or self._new_id()
        params.check_all_read()
        if new_size is None:
            raise BinanceError(-1102, "Mandatory parameter 'newQty' was not sent, was empty/null, or malformed.")
        lots = _grid_lots(market, new_size)
        if not order.state.is_open:
            raise BinanceError(-2038, "Unknown order sent.")
        if lots > order.size_lots:
            raise BinanceError(-2038, "Order amend (quantity increase) is not supported.")
        if lots == order.size_lots or lots <= order.filled_lots:
            raise BinanceError(-2038, "The requested action would change no state; rejecting.")
        old_id = order.client_id
        try:
            self.exchange.amend(order, price_ticks=order.price_ticks, size_lots=lots, client_id=new_id)
        except RefusedError as error:
            if error.refusal is Refusal.TOO_MANY_AMENDS:
                raise BinanceError(-1013, "Filter failure: MAX_NUM_ORDER_AMENDS") from error
            code, msg = refusal(error).code, refusal(error).msg
            raise BinanceError(-2038 if code == -2010 else code, msg) from error
        return amended_json(order, self.user_data.last_execution_id, old_id, caller.stamp)

    # Account

    def _status(self, caller: Caller) -> Any:
        params = caller.params
        market = self._market(params)
        order = self._find(caller.account, market, params.integer("orderId"), params.text("origClientOrderId"), -2013)
        return order_json(order, caller.stamp)

    def _open_orders(self, caller: Caller) -> Any:
        market = self._market(caller.params) if "symbol" in caller.params else None
        return [order_json(order, caller.stamp) for order in caller.account.open_orders(market)]

    def _all_orders(self, caller: Caller) -> Any:
        params = caller.params
        market = self._market(params)
        first, (start, end) = params.integer("orderId"), _period(params)
        limit = params.limit(500, _LIST_MAX)
        known = [
            order
            for order in caller.account.orders.values()
            if order.market is market
            and (first is None or order.order_id >= first)
            and _is_within(order.created_ns, start, end)
        ]
        chosen = known[-limit:] if first is None and start is None else known[:limit]
        return [order_json(order, caller.stamp) for order in chosen]

    def _my_trades(self, caller: Caller) -> Any:
        params = caller.params
        market = self._market(params)
        order_id, first, (start, end) = params.integer("orderId"), params.integer("fromId"), _period(params)
        limit = params.limit(500, _LIST_MAX)
        known = [
            fill
            for fill in caller.account.fills
            if fill.order.market is market
            and (order_id is None or fill.order.order_id == order_id)
            and (first is None or fill.trade_id >= first)
            and _is_within(fill.at_ns, start, end)
        ]
        chosen = known[-limit:] if first is None and start is None else known[:limit]
        return [trade_json(fill, caller.stamp) for fill in chosen]

    def _prevented(self, caller: Caller) -> Any:
        params, market = caller.params, self._market(caller.params)
        number, order_id = params.integer("preventedMatchId"), params.integer("orderId")
        first, limit = params.integer("fromPreventedMatchId"), params.limit(500, _LIST_MAX)
        if (number is None) == (order_id is None) or (number is not None and first is not None):
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        known = [
            match
            for match in self.user_data.prevented.of(caller.account.orders)
            if match.taker.market is market
            and (number is None or match.number == number)
            and (order_id is None or order_id in {match.taker.order_id, match.maker.order_id})
            and (first is None or match.number >= first)
        ]
        return [match.rest_json(caller.stamp) for match in known[:limit]]

    def _account(self, caller: Caller) -> Any:
        account, setup = caller.account, caller.account.setup
        omit_zero = caller.params.flag("omitZeroBalances")
        key = caller.key
        return {
            "makerCommission": int(setup.maker_fee * 10_000),
            "takerCommission": int(setup.taker_fee * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": amount(setup.maker_fee),
                "taker": amount(setup.taker_fee),
                "buyer": amount(Decimal(0)),
                "seller": amount(Decimal(0)),
            },
            "canTrade": account.can_trade,
            "canWithdraw": key is not None and Permission.WITHDRAW in key.permissions,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": caller.stamp(self.core.clock.now_ns()),
            "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": amount(balance.free), "locked": amount(balance.locked)}
                for asset, balance in account.money.balances.items()
                if balance.total or not omit_zero
            ],
            "permissions": ["SPOT"],
            "uid": 1 + list(self.exchange.accounts).index(account.name),
        }

    def _commission(self, caller: Caller) -> Any:
        market, setup = self._market(caller.params), caller.account.setup
        none = {name: amount(Decimal(0)) for name in ("maker", "taker", "buyer", "seller")}
        return {
            "symbol": market.name,
            "standardCommission": none | {"maker": amount(setup.maker_fee), "taker": amount(setup.taker_fee)},
            "specialCommission": none,
            "taxCommission": none,
            "discount": self._discount(caller.account),
        }

    def _trade_fees(self, caller: Caller) -> Any:
        params, setup = caller.params, caller.account.setup
        markets = [self._market(params)] if "symbol" in params else self.exchange.markets.values()
        fees = {"makerCommission": format(setup.maker_fee, "f"), "takerCommission": format(setup.taker_fee, "f")}
        return [{"symbol": market.name} | fees for market in markets]

    def _order_counts(self, caller: Caller) -> Any:
        return self.gateway.order_counts(caller.account)

    def _restrictions(self, caller: Caller) -> Any:
        return restrictions_json(caller.key, caller.stamp(self.core.clock.now_ns()), is_futures=False)

    def _assets(self, caller: Caller) -> Any:
        return [
            {
                "coin": asset,
                "name": asset,
                "free": amount(balance.free),
                "locked": amount(balance.locked),
                "freeze": amount(Decimal(0)),
                "withdrawing": amount(Decimal(0)),
                "ipoing": amount(Decimal(0)),
                "ipoable": amount(Decimal(0)),
                "storage": amount(Decimal(0)),
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "isLegalMoney": False,
                "trading": True,
                "networkList": [],
            }
            for asset, balance in caller.account.money.balances.items()
        ]

    # Private

    def _market(self, params: Params) -> Market:
        name = params.required("symbol")
        market = self.exchange.markets.get(name)
        if market is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return market

    def _markets(self, params: Params) -> list[Market]:
        params.pass_over("permissions", "showPermissionSets", "symbolStatus", "type")
        if "symbol" in params and "symbols" in params:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in params:
            return [self._market(params)]
        text = params.text("symbols")
        if text is None:
            return list(self.exchange.markets.values())
        names = _names(text)
        if not names or not all(name in self.exchange.markets for name in names):
            raise BinanceError(-1121, "Invalid symbol.")
        return [self.exchange.markets[name] for name in names]

    def _each(self, params: Params, show: Callable[[Market], dict[str, Any]]) -> Any:
        """Return one object for `symbol`, a list otherwise."""
        shown = [show(market) for market in self._markets(params)]
        return shown[0] if "symbol" in params else shown

    def _ticket(self, caller: Caller) -> tuple[Market, Ticket]:
        market = self._market(caller.params)
        return market, ticket_of(caller.params, market, self._new_id())

    def _new_id(self) -> str:
        """Return a client id as the exchange makes them up: 22 characters, never twice."""
        self._last_id += 1
        return f"x{self._last_id:021d}"

    def _find(
        self, account: Account, market: Market, order_id: int | None, client_id: str | None, code: int
    ) -> VenueOrder:
        if order_id is None and client_id is None:
            msg = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise BinanceError(-1102, msg)
        order = account.order(market, order_id=order_id, client_id=client_id)
        if order is None:
            raise BinanceError(code, "Order does not exist." if code == -2013 else "Unknown order sent.")
        if order_id is not None and client_id is not None and order.client_id != client_id:
            raise BinanceError(-2039, "Client order ID is not correct for this order ID.")
        return order

    def _engine_place(self, account: Account, market: Market, ticket: Ticket) -> VenueOrder:
        try:
            return self.exchange.place(account, market, ticket)
        except RefusedError as error:
            raise refusal(error) from error

    def _engine_cancel(  # noqa: PLR0913, PLR0917 - what a cancel says
        self,
        caller: Caller,
        market: Market,
        order_id: int | None,
        client_id: str | None,
        request_id: str,
        restriction: str | None,
    ) -> dict[str, Any]:
        order = self._find(caller.account, market, order_id, client_id, -2011)
        if not order.state.is_open:
            raise BinanceError(-2011, "Unknown order sent.")
        wanted = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}.get(restriction or "")
        if wanted is not None and order.state.name != wanted:
            raise BinanceError(-2011, "Order was not canceled due to cancel restrictions.")
        self.exchange.cancel(order, request_id=request_id)
        return canceled_json(order, request_id, caller.stamp)

    def _check_replacement_filters(
        self, caller: Caller, market: Market, ticket: Ticket, order_id: int | None, client_id: str | None
    ) -> None:
        try:
            check_filters(ticket, market, caller.account, self.core.clock.now_ns())
        except BinanceError as error:
            old = caller.account.order(market, order_id=order_id, client_id=client_id)
            # The order that goes makes room for the one that comes.
            if not error.msg.endswith("MAX_NUM_ORDERS") or old is None or not old.state.is_open:
                raise

    def _exceeded(self, account: Account) -> BinanceError | None:
        try:
            self.gateway.check_order_count(account)
        except BinanceError as error:
            return error
        return None

    def _discount(self, account: Account) -> dict[str, Any]:
        asset = account.setup.fee_asset
        return {
            "enabledForAccount": asset is not None,
            "enabledForSymbol": asset is not None,
            "discountAsset": asset or "BNB",
            "discount": amount(Decimal(0)),
        }


def padded(market: Market, side: Side, count: int) -> list[list[str]]:
    """Return levels as `[price, size]` with eight decimals, best first."""
    instrument = market.instrument
    return [
        [amount(instrument.price(ticks)), amount(instrument.size(lots))]
        for ticks, lots in market.engine.levels(side, count)
    ]


def _replaced(
    cancel: Callable[[], dict[str, Any]],
    place: Callable[[], dict[str, Any]],
    *,
    goes_on: bool,
    exceeded: BinanceError | None,
) -> dict[str, Any]:
    """Cancel, then place as far as the mode lets it; return the answer of a success.

    Raises:
        BinanceError: -2021 or -2022 with both results as its data.
    """
    errors: list[BinanceError] = []
    answers: dict[str, Any] = {
        "cancelResult": "SUCCESS",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": None,
        "newOrderResponse": None,
    }
    try:
        answers["cancelResponse"] = cancel()
    except BinanceError as error:
        errors.append(error)
        answers |= {"cancelResult": "FAILURE", "cancelResponse": error.body}
    if not errors or goes_on:
        try:
            answers["newOrderResponse"] = place()
            answers["newOrderResult"] = "SUCCESS"
        except BinanceError as error:
            errors.append(error)
            answers |= {"newOrderResult": "FAILURE", "newOrderResponse": error.body}
    if not errors:
        return answers
    is_partial = "SUCCESS" in {answers["cancelResult"], answers["newOrderResult"]}
    if is_partial:
        status, code, msg = 409, -2021, "Order cancel-replace partially failed."
    else:
        status, code, msg = 400, -2022, "Order cancel-replace failed."
    if exceeded is not None:
        status = 429
    wait_s = None if exceeded is None else exceeded.retry_after_s
    raise BinanceError(code, msg, status=status, data=answers, retry_after_s=wait_s)


def _response_type(params: Params) -> str | None:
    error = BinanceError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return params.choice("newOrderRespType", _RESPONSE_TYPES, error)


def _restriction(params: Params) -> str | None:
    error = BinanceError(-1145, "Invalid cancelRestrictions")
    return params.choice("cancelRestrictions", ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"), error)


def _period(params: Params) -> tuple[int | None, int | None]:
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and end - start > _LOOKUP_MAX_MS:
        raise BinanceError(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def _is_within(at_ns: int, start_ms: int | None, end_ms: int | None) -> bool:
    at_ms = at_ns // 1_000_000
    return (start_ms is None or at_ms >= start_ms) and (end_ms is None or at_ms <= end_ms)


def _grid_lots(market: Market, size: Decimal) -> int:
    try:
        lots = market.instrument.size_lots(size)
    except DomainError:
        lots = 0
    if lots < market.instrument.min_size_lots:
        raise BinanceError(-1013, "Filter failure: LOT_SIZE")
    return lots


def _names(text: str) -> list[str]:
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BinanceError(
            -1100,
            "Illegal characters found in parameter 'symbols'; legal range is"
            ' \'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$\'.',
        )
    return names


def _symbol_json(market: Market) -> dict[str, Any]:
    instrument = market.instrument
    return {
        "symbol": market.name,
        "status": "TRADING" if market.is_trading else "HALT",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters_json(market),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": DEFAULT_PREVENTION,
        "allowedSelfTradePreventionModes": list(PREVENTION_MODES),
    }


def _public_trade_json(market: Market, trade: PublicTrade, caller: Caller) -> dict[str, Any]:
    price, size = market.instrument.price(trade.price_ticks), market.instrument.size(trade.size_lots)
    return {
        "id": trade.trade_id,
        "price": amount(price),
        "qty": amount(size),
        "quoteQty": amount(price * size),
        "time": caller.stamp(trade.at_ns),
        "isBuyerMaker": trade.taker_side is Side.SELL,
        "isBestMatch": True,
    }


def _depth_weight(params: Params) -> int:
    limit = params.limit(100, _DEPTH_MAX)
    return next(weight for most, weight in _DEPTH_WEIGHTS if limit <= most)


def _open_weight(params: Params) -> int:
    return 6 if "symbol" in params else 80


def _prevented_weight(params: Params) -> int:
    return 20 if "orderId" in params else 2


def _my_trades_weight(params: Params) -> int:
    return 5 if "orderId" in params else 20


def _ticker_weight(params: Params) -> int:
    return 2 if "symbol" in params else 4


def _day_weight(params: Params) -> int:
    if "symbol" in params:
        return 2
    text = params.text("symbols")
    count = len(_names(text)) if text else None
    return next((weight for most, weight in _BATCH_WEIGHTS if count is not None and count <= most), 80)

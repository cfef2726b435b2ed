"""The calls that place, modify, cancel and ask for futures orders."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe_localvenue.binance.errors import BinanceError
from mmframe_localvenue.binance.gateway import Call, Security
from mmframe_localvenue.binance.params import Params
from mmframe_localvenue.binance.usdm.orders import (
    FOK_REFUSAL,
    GTX_REFUSAL,
    answer_json,
    check_filters,
    order_json,
    read_price_and_size,
    refusal,
    ticket_of,
    trade_json,
)
from mmframe_localvenue.core import Refusal, RefusedError, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.binance.gateway import Caller
    from mmframe_localvenue.binance.usdm.deadlines import Deadlines
    from mmframe_localvenue.binance.usdm.gateway import UsdmGateway
    from mmframe_localvenue.binance.usdm.state import AccountModes
    from mmframe_localvenue.core import Account, Core, Market, VenueOrder

__all__ = ["Trading"]

_AMENDS_MAX = 10_000
_CHANGED_AT_ONCE_MAX, _CANCELED_AT_ONCE_MAX = 5, 10
_LISTED, _LISTED_MAX = 500, 1_000
_PERIOD_MAX_MS = 7 * 86_400_000
_UNKNOWN_ORDER = BinanceError(-2011, "Unknown order sent.")
_NO_ORDER = BinanceError(-2013, "Order does not exist.")
_ALL_CANCELED = {"code": 200, "msg": "The operation of cancel all open order is done."}


class Trading:
    """Orders of all accounts.

    Args:
        core: Of the venue.
        modes: Position mode and the like of the accounts.
        deadlines: Holds the dead-man switches.
    """

    def __init__(self, core: Core, modes: AccountModes, deadlines: Deadlines) -> None:
        self._core = core
        self._modes = modes
        self._deadlines = deadlines
        self._named = 0
        self.gateway: UsdmGateway

    def calls(self) -> list[Call]:
        """Return the table of calls."""

        def trade(operation: str, run: Callable[[Caller], Any], method: str, path: str, weight: int = 1) -> Call:
            return Call(operation, run, (method, f"/fapi/v1/{path}"), "", Security.TRADE, weight)

        def query(operation: str, run: Callable[[Caller], Any], path: str, weight: Any = 1) -> Call:
            return Call(operation, run, ("GET", f"/fapi/v1/{path}"), "", Security.USER_DATA, weight)

        return [
            # Placing and modifying cost order count, not weight.
            trade("order.place", self._place, "POST", "order", 0),
            trade("order.test", self._test, "POST", "order/test", 0),
            trade("order.amend", self._modify, "PUT", "order", 0),
            trade("order.cancel", self._cancel, "DELETE", "order"),
            trade("order.place", self._place_many, "POST", "batchOrders", 5),
            trade("order.amend", self._modify_many, "PUT", "batchOrders", 5),
            trade("order.cancel", self._cancel_many, "DELETE", "batchOrders"),
            trade("order.cancel-all", self._cancel_all, "DELETE", "allOpenOrders"),
            trade("dead-man", self._count_down, "POST", "countdownCancelAll", 10),
            query("order.status", self._status, "order"),
            query("order.status", self._open_order, "openOrder"),
            query("orders.open", self._open_orders, "openOrders", _open_weight),
            query("orders.all", self._all_orders, "allOrders", 5),
            query("trades.mine", self._trades, "userTrades", 5),
        ]

    # Placing

    def _place(self, caller: Caller) -> Any:
        market = self.market(caller.params)
        show = _response_type(caller.params)
        ticket = self._ticket(caller, market)
        return self._enter(caller, market, ticket, show)

    def _test(self, caller: Caller) -> Any:
        market = self.market(caller.params)
        _response_type(caller.params)
        ticket = self._ticket(caller, market)
        try:
            self._core.exchange.check(caller.account, market, ticket)
        except RefusedError as error:
            raise refusal(error) from error
        return {}

    def _place_many(self, caller: Caller) -> Any:
        return _each(caller, self._place)

    def _ticket(self, caller: Caller, market: Market) -> Ticket:
        self._named += 1
        is_hedged = self._modes.of(caller.account).is_hedged
        ticket = ticket_of(caller.params, market, f"local-{self._named}", is_hedged=is_hedged)
        check_filters(ticket, market)
        return ticket

    def _enter(self, caller: Caller, market: Market, ticket: Ticket, show: str) -> Any:
        self.gateway.check_order_count(caller.account)
        if ticket.time_in_force is TimeInForce.FOK and not _is_fillable(market, ticket):
            raise FOK_REFUSAL
        try:
            order = self._core.exchange.place(caller.account, market, ticket)
        except RefusedError as error:
            raise refusal(error) from error
        caller.places_order = True
        body = answer_json(order, caller.stamp)
        # Only orders that cannot rest are answered with how they ended.
        is_final = show == "RESULT" and (not order.price_ticks or ticket.labels["timeInForce"] != "GTC")
        if is_final:
            return body
        created = {"status": "NEW", "executedQty": "0", "cumQty": "0", "updateTime": caller.stamp(order.created_ns)}
        return body | created

    # Modifying

    def _modify(self, caller: Caller) -> Any:
        params, market = caller.params, self.market(caller.params)
        order = self._find(caller, market)
        side = params.required("side")
        modify_id = params.integer("modifyId")
        params.choice("priceMatch", ("NONE",), BinanceError(-5037, "Invalid price match"))
        price_ticks, lots = read_price_and_size(params, market, has_price=True)
        self.gateway.check_order_count(caller.account)
        if order is None or not order.state.is_open:
            raise _NO_ORDER
        if side != order.side.name:
            raise BinanceError(-1117, "Invalid side.")
        if not market.is_trading:
            raise BinanceError(-5024, "Symbol is not in trading status. Order amendment is not permitted.")
        changed = Ticket(order.side, lots, price_ticks, order.client_id, is_reduce_only=order.is_reduce_only)
        check_filters(changed, market, is_modified=True)
        self._amend(order, price_ticks, lots)
        for window in caller.account.order_counts:
            window.add(1, self._core.clock.now_ns())
        caller.places_order = True
        body = answer_json(order, caller.stamp)
        return body if modify_id is None else body | {"modifyId": modify_id}

    def _modify_many(self, caller: Caller) -> Any:
        return _each(caller, self._modify)

    def _amend(self, order: VenueOrder, price_ticks: int, lots: int) -> None:
        exchange = self._core.exchange
        if lots <= order.filled_lots:
            exchange.cancel(order)
            return
        try:
            exchange.amend(order, price_ticks=price_ticks, size_lots=lots, requeues=True, amends_max=_AMENDS_MAX)
        except RefusedError as error:
            # A post-only order that would take is not refused its modification: it is gone.
            if error.refusal is Refusal.WOULD_TAKE:
                exchange.cancel(order)
                raise GTX_REFUSAL from error
            raise refusal(error) from error

    # Cancelling

    def _cancel(self, caller: Caller) -> Any:
        order = self._find(caller, self.market(caller.params))
        return self._cancel_one(caller, order)

    def _cancel_many(self, caller: Caller) -> Any:
        params, market = caller.params, self.market(caller.params)
        # The exchange takes these two names in lower case as well, and common clients send them so.
        numbers, names = (
            _list(params.text(name) or params.text(name.lower()) or "[]", name, kind)
            for name, kind in (("orderIdList", int), ("origClientOrderIdList", str))
        )
        if not 0 < len(numbers or names) <= _CANCELED_AT_ONCE_MAX:
            raise BinanceError(-4032, "Exceed maximum cancel order size.")
        account = caller.account
        found = [account.order(market, order_id=number) for number in numbers]
        found = found or [account.order(market, client_id=name) for name in names]
        answers = []
        for order in found:
            try:
                answers.append(self._cancel_one(caller, order))
            except BinanceError as error:
                answers.append(error.body)
        return answers

    def _cancel_one(self, caller: Caller, order: VenueOrder | None) -> dict[str, Any]:
        if order is None or not order.state.is_open:
            raise _UNKNOWN_ORDER
        self._core.exchange.cancel(order)
        return answer_json(order, caller.stamp)

    def _cancel_all(self, caller: Caller) -> Any:
        self._cancel_everything(caller.account, self.market(caller.params))
        return _ALL_CANCELED

    def _cancel_everything(self, account: Account, market: Market) -> None:
        for order in account.open_orders(market):
            if order.state.is_open:
                self._core.exchange.cancel(order)

    def _count_down(self, caller: Caller) -> Any:
        account, market = caller.account, self.market(caller.params)
        countdown_ms = caller.params.integer("countdownTime")
        if countdown_ms is None:
            msg = "Mandatory parameter 'countdownTime' was not sent, was empty/null, or malformed."
            raise BinanceError(-1102, msg)
        key = ("countdown", account.name, market.name)
        if countdown_ms:
            at_ns = self._core.clock.now_ns() + countdown_ms * 1_000_000
            self._deadlines.set(key, at_ns, lambda: self._cancel_everything(account, market))
        else:
            self._deadlines.clear(key)
        return {"symbol": market.name, "countdownTime": str(countdown_ms)}

    # Asking

    def _status(self, caller: Caller) -> Any:
        order = self._find(caller, self.market(caller.params))
        if order is None:
            raise _NO_ORDER
        return order_json(order, caller.stamp)

    def _open_order(self, caller: Caller) -> Any:
        order = self._find(caller, self.market(caller.params))
        if order is None or not order.state.is_open:
            raise _NO_ORDER
        return order_json(order, caller.stamp)

    def _open_orders(self, caller: Caller) -> Any:
        market = self.market(caller.params) if "symbol" in caller.params else None
        return [order_json(order, caller.stamp) for order in caller.account.open_orders(market)]

    def _all_orders(self, caller: Caller) -> Any:
        params, market = caller.params, self.market(caller.params)
        first, limit = params.integer("orderId"), params.limit(_LISTED, _LISTED_MAX)
        start_ms, end_ms = self._period(params)
        found = [
            order
            for order in caller.account.orders.values()
            if order.market is market
            and (start_ms <= order.created_ns // 1_000_000 <= end_ms if first is None else order.order_id >= first)
        ]
        chosen = found[:limit] if first is not None or "startTime" in params else found[-limit:]
        return [order_json(order, caller.stamp) for order in chosen]

    def _trades(self, caller: Caller) -> Any:
        params, market = caller.params, self.market(caller.params)
        order_id, first = params.integer("orderId"), params.integer("fromId")
        limit = params.limit(_LISTED, _LISTED_MAX)
        start_ms, end_ms = self._period(params)
        found = [
            fill
            for fill in caller.account.fills
            if fill.order.market is market
            and (order_id is None or fill.order.order_id == order_id)
            and (start_ms <= fill.at_ns // 1_000_000 <= end_ms if first is None else fill.trade_id >= first)
        ]
        chosen = found[:limit] if first is not None or "startTime" in params else found[-limit:]
        return [trade_json(fill, caller.stamp) for fill in chosen]

    # Shared

    def market(self, params: Params) -> Market:
        """Return the market that a request is about.

        Raises:
            BinanceError: If there is none of that name.
        """
        market = self._core.exchange.markets.get(params.required("symbol"))
        if market is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return market

    def _find(self, caller: Caller, market: Market) -> VenueOrder | None:
        params = caller.params
        order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
        if order_id is None and client_id is None:
            msg = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise BinanceError(-1102, msg)
        if order_id is not None:
            return caller.account.order(market, order_id=order_id)
        return caller.account.order(market, client_id=client_id)

    def _period(self, params: Params) -> tuple[int, int]:
        """Return the first and the last millisecond asked for, the last seven days where nothing was."""
        start_ms, end_ms = params.integer("startTime"), params.integer("endTime")
        last_ms = self._core.clock.now_ms() + 1_000 if end_ms is None else end_ms
        if start_ms is None:
            return last_ms - _PERIOD_MAX_MS, last_ms
        if end_ms is None:
            return start_ms, start_ms + _PERIOD_MAX_MS
        if end_ms - start_ms > _PERIOD_MAX_MS:
            raise BinanceError(-4165, "Maximum time interval is 7 days")
        return start_ms, end_ms


def _is_fillable(market: Market, ticket: Ticket) -> bool:
    other = Side.SELL if ticket.side is Side.BUY else Side.BUY
    left = ticket.size_lots
    for ticks, lots in market.engine.levels(other, market.engine.level_count(other)):
        if ticks > ticket.price_ticks if ticket.side is Side.BUY else ticks < ticket.price_ticks:
            break
        left -= lots
    return left <= 0


def _each(caller: Caller, act: Callable[[Caller], Any]) -> list[Any]:
    """Return the answers to the orders of `batchOrders`, each placed or modified by itself."""
    batch = _list(caller.params.required("batchOrders"), "batchOrders", dict)
    if not 0 < len(batch) <= _CHANGED_AT_ONCE_MAX:
        raise BinanceError(-4082, f"Invalid number of batch place orders: {len(batch)}.")
    answers = []
    for fields in batch:
        single = attrs.evolve(caller, params=Params({name: _text(value) for name, value in fields.items()}))
        try:
            answers.append(act(single))
        except BinanceError as error:
            answers.append(error.body)
    caller.places_order = True
    return answers


def _response_type(params: Params) -> str:
    error = BinanceError(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return params.choice("newOrderRespType", ("ACK", "RESULT"), error) or "ACK"


def _list(text: str, name: str, kind: type) -> list[Any]:
    """Return a parameter that is a JSON list of `kind`."""
    try:
        values = json.loads(text, parse_float=str)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")
    return values


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _open_weight(params: Params) -> int:
    return 1 if "symbol" in params else 40

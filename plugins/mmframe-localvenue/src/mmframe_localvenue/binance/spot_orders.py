"""Spot orders as Binance words them: parameters to tickets, filters, and orders to JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmframe.builtin.exchange.matching import SelfTradePrevention
from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe.errors import DomainError
from mmframe_localvenue.binance.errors import BinanceError, missing
from mmframe_localvenue.core import OrderState, PostOnly, Refusal, RefusedError, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.binance.params import Params
    from mmframe_localvenue.core import Account, Market, VenueFill, VenueOrder

__all__ = [
    "ORDER_TYPES",
    "PREVENTION_MODES",
    "amount",
    "canceled_json",
    "check_filters",
    "filters_json",
    "order_json",
    "placed_json",
    "refusal",
    "status_of",
    "ticket_of",
    "trade_json",
]

_SIDES = ("BUY", "SELL")
ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET")
_KNOWN_TYPES = (*ORDER_TYPES, "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
PREVENTION_MODES = {mode.name: mode for mode in SelfTradePrevention}
DEFAULT_PREVENTION = "EXPIRE_MAKER"
_STATES = {OrderState.SELF_TRADE: "EXPIRED_IN_MATCH"}
_REFUSALS = {
    Refusal.MARKET_CLOSED: (-2010, "Market is closed."),
    Refusal.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
    Refusal.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    Refusal.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Refusal.TOO_MANY_OPEN_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Refusal.NO_LIQUIDITY: (-2010, "Order book liquidity is less than symbol minimum quantity."),
}
_EXPIRY = {
    "no more liquidity within the limit": "UNFILLED_IOC_QUANTITY_EXPIRED",
    "fill-or-kill order cannot be filled whole": "UNFILLED_FOK_ORDER_EXPIRED",
}
_STRATEGY_TYPE_MIN = 1_000_000


def refusal(error: RefusedError) -> BinanceError:
    """Return what the exchange says when its engine refuses a new order."""
    code, msg = _REFUSALS.get(error.refusal, (-2010, error.refusal.value))
    return BinanceError(code, msg)


def ticket_of(params: Params, market: Market, client_id: str, *, id_name: str = "newClientOrderId") -> Ticket:
    """Return the ticket that the parameters of a new order ask for, filters not yet checked.

    Args:
        params: Of the request.
        market: Where.
        client_id: The order's name where the client gives none.
        id_name: Parameter that holds the client's own name.

    Raises:
        BinanceError: If a parameter is missing, malformed or not to be sent with this type.
    """
    side = params.required("side")
    if side not in _SIDES:
        raise BinanceError(-1117, "Invalid side.")
    kind = params.required("type")
    if kind not in _KNOWN_TYPES:
        raise BinanceError(-1116, "Invalid orderType.")
    if kind not in ORDER_TYPES:
        name = kind.replace("_", " ").capitalize()
        raise BinanceError(-2010, f"{name} orders are not supported for this symbol.")
    for name in ("icebergQty", "stopPrice", "trailingDelta", "pegPriceType", "pegOffsetValue", "pegOffsetType"):
        _refuse_parameter(params, name)
    time_in_force = _time_in_force(params, kind)
    quote_qty, size, price = _amounts(params, kind)
    labels = _labels(params, kind)
    prevention = _prevention(params)
    if quote_qty is not None:
        lots = market.lots_for_quote(Side[side], quote_qty)
        labels["quote_qty"] = quote_qty
        if lots < 1:
            raise BinanceError(-2010, "Order book liquidity is less than `LOT_SIZE` filter minimum quantity.")
    else:
        lots = _lots(market, size, "LOT_SIZE" if price is not None else "MARKET_LOT_SIZE")
    return Ticket(
        side=Side[side],
        size_lots=lots,
        price_ticks=0 if price is None else _ticks(market, price),
        client_id=params.client_id(id_name) or client_id,
        time_in_force=time_in_force,
        post_only=PostOnly.REFUSED if kind == "LIMIT_MAKER" else PostOnly.NO,
        prevention=prevention,
        labels=labels,
    )


def check_filters(ticket: Ticket, market: Market, account: Account, now_ns: int) -> None:
    """Check an order against the filters of its symbol, in the order in which the exchange lists them.

    Raises:
        BinanceError: -1013 with the filter's name.
    """
    setup, instrument = market.setup, market.instrument
    size = instrument.size(ticket.size_lots)
    if ticket.price_ticks and not setup.min_price <= instrument.price(ticket.price_ticks) <= setup.max_price:
        raise _filter("PRICE_FILTER")
    if not setup.min_size <= size <= setup.max_size:
        raise _filter("LOT_SIZE" if ticket.price_ticks else "MARKET_LOT_SIZE")
    average = market.average_price(now_ns)
    if ticket.price_ticks:
        price = instrument.price(ticket.price_ticks)
        if not average * setup.band_down <= price <= average * setup.band_up:
            raise _filter("PERCENT_PRICE_BY_SIDE")
    else:
        price = average
    if not setup.min_notional <= price * size <= setup.max_notional:
        raise _filter("NOTIONAL")
    if ticket.price_ticks and len(account.open_orders(market)) >= setup.max_open_orders:
        raise _filter("MAX_NUM_ORDERS")


def filters_json(market: Market) -> list[dict[str, Any]]:
    """Return the filters as `exchangeInfo` lists them."""
    setup = market.setup
    sizes = {"minQty": amount(setup.min_size), "maxQty": amount(setup.max_size), "stepSize": amount(setup.lot_size)}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": amount(setup.min_price),
            "maxPrice": amount(setup.max_price),
            "tickSize": amount(setup.tick_size),
        },
        {"filterType": "LOT_SIZE", **sizes},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {"filterType": "MARKET_LOT_SIZE", **sizes},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": format(setup.band_up, "f"),
            "bidMultiplierDown": format(setup.band_down, "f"),
            "askMultiplierUp": format(setup.band_up, "f"),
            "askMultiplierDown": format(setup.band_down, "f"),
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": amount(setup.min_notional),
            "applyMinToMarket": True,
            "maxNotional": amount(setup.max_notional),
            "applyMaxToMarket": True,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": setup.max_open_orders},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": setup.max_amends},
    ]


def status_of(order: VenueOrder) -> str:
    """Return the exchange's word for how an order stands."""
    return _STATES.get(order.state, order.state.name)


def amount(value: Decimal) -> str:
    """Return a price or size as the exchange writes it: eight decimals."""
    return f"{value:.8f}"


def order_json(order: VenueOrder, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return an order as queries show it."""
    return {
        **_identity(order),
        "clientOrderId": order.client_id,
        **_figures(order),
        "stopPrice": amount(Decimal(0)),
        "icebergQty": amount(Decimal(0)),
        "time": stamp(order.created_ns),
        "updateTime": stamp(order.updated_ns),
        "isWorking": order.is_working,
        "workingTime": stamp(order.created_ns),
        "origQuoteOrderQty": amount(order.labels.get("quote_qty", Decimal(0))),
        "selfTradePreventionMode": order.prevention.name,
        **_conditional(order),
    }


def placed_json(order: VenueOrder, kind: str | None, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return the answer to a new order.

    Args:
        order: As it stands.
        kind: ACK, RESULT or FULL; None takes what its type has by default.
        stamp: Writes a time.
    """
    kind = kind or ("ACK" if order.labels["type"] == "LIMIT_MAKER" else "FULL")
    body = {**_identity(order), "clientOrderId": order.client_id, "transactTime": stamp(order.updated_ns)}
    if kind == "ACK":
        return body
    body |= {
        **_figures(order),
        "origQuoteOrderQty": amount(order.labels.get("quote_qty", Decimal(0))),
        "workingTime": stamp(order.created_ns),
        "selfTradePreventionMode": order.prevention.name,
        **_conditional(order),
    }
    if kind == "FULL":
        body["fills"] = [
            {
                "price": amount(fill.price),
                "qty": amount(fill.size),
                "commission": amount(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in order.fills
        ]
        if "preventedMatches" in order.labels:
            body["preventedMatches"] = [match.answer_json() for match in order.labels["preventedMatches"]]
    return body


def canceled_json(order: VenueOrder, request_id: str, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return the answer to a cancel."""
    return {
        **_identity(order),
        "origClientOrderId": order.client_id,
        "clientOrderId": request_id,
        "transactTime": stamp(order.updated_ns),
        **_figures(order),
        "origQuoteOrderQty": amount(order.labels.get("quote_qty", Decimal(0))),
        "selfTradePreventionMode": order.prevention.name,
    }


def amended_json(order: VenueOrder, execution_id: int, old_id: str, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return the answer to an amend."""
    return {
        "transactTime": stamp(order.updated_ns),
        "executionId": execution_id,
        "amendedOrder": {
            **_identity(order),
            "origClientOrderId": old_id,
            "clientOrderId": order.client_id,
            "price": amount(order.price),
            "qty": amount(order.size),
            "executedQty": amount(order.filled),
            "preventedQty": amount(Decimal(0)),
            "quoteOrderQty": amount(order.labels.get("quote_qty", Decimal(0))),
            "cumulativeQuoteQty": amount(order.filled_quote),
            "status": status_of(order),
            "timeInForce": order.time_in_force.name,
            "type": order.labels["type"],
            "side": order.side.name,
            "workingTime": stamp(order.created_ns),
            "selfTradePreventionMode": order.prevention.name,
        },
    }


def trade_json(fill: VenueFill, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return one of the account's executions."""
    return {
        "symbol": fill.order.market.name,
        "id": fill.trade_id,
        "orderId": fill.order.order_id,
        "orderListId": -1,
        "price": amount(fill.price),
        "qty": amount(fill.size),
        "quoteQty": amount(fill.price * fill.size),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": stamp(fill.at_ns),
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def expiry_reason(reason: str) -> str:
    """Return the exchange's word for why an order expired."""
    return _EXPIRY.get(reason, reason or "EXCHANGE_CANCELED")


def _identity(order: VenueOrder) -> dict[str, Any]:
    return {"symbol": order.market.name, "orderId": order.order_id, "orderListId": -1}


def _figures(order: VenueOrder) -> dict[str, Any]:
    return {
        "price": amount(order.price),
        "origQty": amount(order.size),
        "executedQty": amount(order.filled),
        "cummulativeQuoteQty": amount(order.filled_quote),
        "status": status_of(order),
        "timeInForce": order.time_in_force.name,
        "type": order.labels["type"],
        "side": order.side.name,
    }


def _conditional(order: VenueOrder) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: order.labels[name] for name in ("strategyId", "strategyType") if name in order.labels
    }
    if order.state is OrderState.EXPIRED and "expiryReason" in order.labels:
        fields["expiryReason"] = order.labels["expiryReason"]
    if order.state is OrderState.SELF_TRADE and "preventedMatchId" in order.labels:
        fields["preventedMatchId"] = order.labels["preventedMatchId"]
        fields["preventedQuantity"] = amount(order.size - order.filled)
    return fields


def _filter(name: str) -> BinanceError:
    return BinanceError(-1013, f"Filter failure: {name}")


def _refuse_parameter(params: Params, name: str) -> None:
    if name not in params:
        return
    if name == "icebergQty":
        raise BinanceError(-2010, "Iceberg orders are not supported for this symbol.")
    if name.startswith("peg"):
        raise BinanceError(-2010, "Pegged orders are not supported for this symbol.")
    raise BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def _time_in_force(params: Params, kind: str) -> TimeInForce:
    if kind != "LIMIT":
        if "timeInForce" in params:
            raise BinanceError(-1106, "Parameter 'timeInForce' sent when not required.")
        return TimeInForce.GTC
    text = params.required("timeInForce")
    if text not in {"GTC", "IOC", "FOK"}:
        raise BinanceError(-1115, "Invalid timeInForce.")
    return TimeInForce[text]


def _amounts(params: Params, kind: str) -> tuple[Decimal | None, Decimal, Decimal | None]:
    """Return quote quantity, quantity and price."""
    zero = Decimal(0)
    if kind == "MARKET":
        if "price" in params:
            raise BinanceError(-1106, "Parameter 'price' sent when not required.")
        size, quote_qty = params.decimal("quantity"), params.decimal("quoteOrderQty")
        if size is None and quote_qty is None:
            raise BinanceError(-1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!")
        if size is not None and quote_qty is not None:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        return quote_qty, zero if size is None else size, None
    if "quoteOrderQty" in params:
        raise BinanceError(-1106, "Parameter 'quoteOrderQty' sent when not required.")
    size, price = params.decimal("quantity"), params.decimal("price")
    if size is None:
        raise missing("quantity")
    if price is None:
        raise missing("price")
    return None, size, price


def _labels(params: Params, kind: str) -> dict[str, Any]:
    labels: dict[str, Any] = {"type": kind}
    for name in ("strategyId", "strategyType"):
        value = params.integer(name)
        if value is not None:
            labels[name] = value
    if labels.get("strategyType", _STRATEGY_TYPE_MIN) < _STRATEGY_TYPE_MIN:
        raise BinanceError(-1134, "`strategyType` was less than 1000000.")
    return labels


def _prevention(params: Params) -> SelfTradePrevention:
    error = BinanceError(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    mode = params.choice("selfTradePreventionMode", PREVENTION_MODES, error)
    return PREVENTION_MODES[mode or DEFAULT_PREVENTION]


def _ticks(market: Market, price: Decimal) -> int:
    try:
        ticks = market.instrument.price_ticks(price)
    except DomainError:
        raise _filter("PRICE_FILTER") from None
    if ticks < 1:
        raise _filter("PRICE_FILTER")
    return ticks


def _lots(market: Market, size: Decimal, name: str) -> int:
    try:
        lots = market.instrument.size_lots(size)
    except DomainError:
        raise _filter(name) from None
    if lots < 1:
        raise _filter(name)
    return lots

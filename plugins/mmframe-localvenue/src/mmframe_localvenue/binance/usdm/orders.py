"""Futures orders as Binance words them: parameters to tickets, filters, and orders to JSON."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mmframe.builtin.exchange.matching import SelfTradePrevention
from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe.errors import DomainError
from mmframe_localvenue.binance.errors import BinanceError, missing
from mmframe_localvenue.binance.usdm.figures import average_text, decimals, mark_price, plain
from mmframe_localvenue.core import OrderState, PostOnly, Refusal, RefusedError, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.binance.params import Params
    from mmframe_localvenue.core import Market, VenueFill, VenueOrder

__all__ = [
    "FOK_REFUSAL",
    "GTX_REFUSAL",
    "PREVENTION_MODES",
    "TIMES_IN_FORCE",
    "answer_json",
    "check_filters",
    "filters_json",
    "order_json",
    "read_price_and_size",
    "refusal",
    "status_of",
    "ticket_of",
    "trade_json",
]

TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTX")
_ALGO_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
_CLIENT_ID_LENGTH_MAX = 36
PREVENTION_MODES = {mode.name: mode for mode in SelfTradePrevention}
_DEFAULT_PREVENTION = "EXPIRE_MAKER"

GTX_REFUSAL = BinanceError(
    -5022,
    "Due to the order could not be executed as maker, the Post Only order will be rejected."
    " The order will not be recorded in the order history",
)
FOK_REFUSAL = BinanceError(
    -5021,
    "Due to the order could not be filled immediately, the FOK order has been rejected."
    " The order will not be recorded in the order history",
)
_REFUSALS = {
    Refusal.MARKET_CLOSED: (-4141, "Symbol is closed."),
    Refusal.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    Refusal.INSUFFICIENT_BALANCE: (-2019, "Margin is insufficient."),
    Refusal.WOULD_TAKE: (GTX_REFUSAL.code, GTX_REFUSAL.msg),
    Refusal.TOO_MANY_OPEN_ORDERS: (-2025, "Reach max open order limit."),
    Refusal.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Refusal.NO_LIQUIDITY: (-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."),
    Refusal.NO_CHANGE: (-5027, "No need to modify the order."),
    Refusal.NOT_REDUCING: (-2022, "ReduceOnly Order is rejected."),
    Refusal.TOO_MANY_AMENDS: (-5026, "Exceed maximum modify order limit."),
}
_STATES = {OrderState.SELF_TRADE: "EXPIRED_IN_MATCH"}


def refusal(error: RefusedError) -> BinanceError:
    """Return what the exchange says when its engine refuses."""
    code, msg = _REFUSALS[error.refusal]
    return BinanceError(code, msg)


def ticket_of(params: Params, market: Market, client_id: str, *, is_hedged: bool) -> Ticket:
    """Return the ticket that the parameters of a new order ask for, filters not yet checked.

    Args:
        params: Of the request.
        market: Where.
        client_id: The order's name where the client gives none.
        is_hedged: Whether the account is in hedge mode.

    Raises:
        BinanceError: If a parameter is missing, malformed or not to be sent with this type.
    """
    side = params.required("side")
    if side not in {"BUY", "SELL"}:
        raise BinanceError(-1117, "Invalid side.")
    _check_position_side(params, is_hedged=is_hedged)
    kind = params.required("type")
    if kind in _ALGO_TYPES:
        msg = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        raise BinanceError(-4120, msg)
    if kind not in {"LIMIT", "MARKET"}:
        raise BinanceError(-1116, "Invalid orderType.")
    params.pass_over("stopPrice", "activationPrice", "callbackRate", "workingType", "priceProtect", "goodTillDate")
    if params.flag("closePosition"):
        raise BinanceError(-4136, "Target strategy invalid for orderType 'LIMIT', closePosition 'true'.")
    params.choice("priceMatch", ("NONE",), BinanceError(-5037, "Invalid price match"))
    word = _time_in_force(params, kind)
    price, lots = read_price_and_size(params, market, has_price=kind == "LIMIT")
    return Ticket(
        side=Side[side],
        size_lots=lots,
        price_ticks=price,
        client_id=_client_id(params) or client_id,
        time_in_force=TimeInForce[word] if word in TimeInForce.__members__ else TimeInForce.GTC,
        post_only=PostOnly.REFUSED if word == "GTX" else PostOnly.NO,
        prevention=_prevention(params),
        is_reduce_only=params.flag("reduceOnly"),
        labels={"type": kind, "timeInForce": word},
    )


def read_price_and_size(params: Params, market: Market, *, has_price: bool) -> tuple[int, int]:
    """Return `price` in ticks, 0 where there is none, and `quantity` in lots.

    Raises:
        BinanceError: If one is missing, off its grid, or the price is not to be sent.
    """
    size = params.decimal("quantity")
    if size is None:
        raise missing("quantity")
    price = params.decimal("price")
    if price is not None and not has_price:
        raise BinanceError(-1106, "Parameter 'price' sent when not required.")
    if price is None and has_price:
        raise missing("price")
    if not size:
        raise BinanceError(-4003, "Quantity less than or equal to zero.")
    lots = _units(market.instrument.size_lots, size, market.setup.lot_size, -4023, "Qty not increased by step size.")
    if price is None:
        return 0, lots
    if not price:
        raise BinanceError(-4001, "Price less than 0.")
    step = market.setup.tick_size
    return _units(market.instrument.price_ticks, price, step, -4014, "Price not increased by tick size."), lots


def check_filters(ticket: Ticket, market: Market, *, is_modified: bool = False) -> None:
    """Check an order, or what it is to be modified to, against the filters of its symbol.

    Raises:
        BinanceError: With a code of its own for each.
    """
    setup, instrument, mark = market.setup, market.instrument, mark_price(market)
    size = instrument.size(ticket.size_lots)
    price = instrument.price(ticket.price_ticks) if ticket.price_ticks else mark
    if size < setup.min_size:
        raise BinanceError(-4004, "Quantity less than min quantity.")
    if size > setup.max_size:
        raise BinanceError(-4005, "Quantity greater than max quantity.")
    if price > setup.max_price:
        raise BinanceError(-4002, "Price greater than max price.")
    if price < setup.min_price:
        raise BinanceError(-4013, "Price less than min price.")
    # One-sided: a bid may be as low, an ask as high as it likes.
    highest, lowest = mark * setup.band_up, mark * setup.band_down
    if ticket.side is Side.BUY and price > highest:
        raise BinanceError(-4016, f"Limit price can't be higher than {plain(highest)}.")
    if ticket.side is Side.SELL and price < lowest:
        raise BinanceError(-4024, f"Limit price can't be lower than {plain(lowest)}.")
    if price * size < setup.min_notional and not ticket.is_reduce_only:
        msg = f"Order's notional must be no smaller than {plain(setup.min_notional)}"
        raise (
            BinanceError(-5029, msg) if is_modified else BinanceError(-4164, f"{msg} (unless you choose reduce only).")
        )


def filters_json(market: Market) -> list[dict[str, Any]]:
    """Return the filters as `exchangeInfo` lists them."""
    setup = market.setup
    sizes = {"minQty": plain(setup.min_size), "maxQty": plain(setup.max_size), "stepSize": plain(setup.lot_size)}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": plain(setup.min_price),
            "maxPrice": plain(setup.max_price),
            "tickSize": plain(setup.tick_size),
        },
        {"filterType": "LOT_SIZE", **sizes},
        {"filterType": "MARKET_LOT_SIZE", **sizes},
        {"filterType": "MAX_NUM_ORDERS", "limit": setup.max_open_orders},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": plain(setup.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": plain(setup.band_up),
            "multiplierDown": plain(setup.band_down),
            "multiplierDecimal": "4",
        },
    ]


def status_of(order: VenueOrder) -> str:
    """Return the exchange's word for how an order stands."""
    return _STATES.get(order.state, order.state.name)


def answer_json(order: VenueOrder, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return an order as answers to placing, modifying and cancelling show it."""
    filled = plain(order.filled)
    return {
        "orderId": order.order_id,
        "symbol": order.market.name,
        "pair": order.market.name,
        "status": status_of(order),
        "clientOrderId": order.client_id,
        "price": plain(order.price),
        "origQty": plain(order.size),
        "executedQty": filled,
        "cumQty": filled,
        "timeInForce": order.labels["timeInForce"],
        "type": order.labels["type"],
        "reduceOnly": order.is_reduce_only,
        "closePosition": False,
        "side": order.side.name,
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": order.labels["type"],
        "priceMatch": "NONE",
        "selfTradePreventionMode": order.prevention.name,
        "goodTillDate": 0,
        "updateTime": stamp(order.updated_ns),
    }


def order_json(order: VenueOrder, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return an order as queries show it."""
    body = answer_json(order, stamp)
    del body["cumQty"]
    return body | {
        "avgPrice": average_text(order.market, order.filled_quote, order.filled),
        "cumQuote": plain(order.filled_quote),
        "time": stamp(order.created_ns),
    }


def trade_json(fill: VenueFill, stamp: Callable[[int], int]) -> dict[str, Any]:
    """Return a fill as `userTrades` shows it."""
    order, instrument = fill.order, fill.order.market.instrument
    return {
        "symbol": order.market.name,
        "pair": order.market.name,
        "id": fill.trade_id,
        "orderId": order.order_id,
        "side": fill.side.name,
        "price": instrument.price_text(fill.price_ticks),
        "qty": instrument.size_text(fill.size_lots),
        "realizedPnl": plain(fill.realized_quote),
        "quoteQty": plain(fill.price * fill.size),
        "baseQty": instrument.size_text(fill.size_lots),
        "commission": plain(fill.fee),
        "commissionAsset": fill.fee_asset,
        "marginAsset": instrument.quote,
        "time": stamp(fill.at_ns),
        "positionSide": "BOTH",
        "buyer": fill.side is Side.BUY,
        "maker": fill.is_maker,
    }


def _check_position_side(params: Params, *, is_hedged: bool) -> None:
    side = params.text("positionSide") or "BOTH"
    if side not in {"BOTH", "LONG", "SHORT"}:
        raise BinanceError(-4060, "Invalid position side.")
    if (side == "BOTH") is is_hedged:
        raise BinanceError(-4061, "Order's position side does not match user's setting.")
    if is_hedged:
        raise BinanceError(-1020, "This operation is not supported.")


def _time_in_force(params: Params, kind: str) -> str:
    word = params.text("timeInForce")
    if kind == "MARKET":
        if word is not None:
            raise BinanceError(-1106, "Parameter 'timeInForce' sent when not required.")
        return "GTC"
    if word is None:
        raise missing("timeInForce")
    if word not in TIMES_IN_FORCE:
        raise BinanceError(-1115, "Invalid timeInForce.")
    return word


def _prevention(params: Params) -> SelfTradePrevention:
    error = BinanceError(-5039, "Invalid self trade prevention mode")
    word = params.choice("selfTradePreventionMode", PREVENTION_MODES, error)
    return PREVENTION_MODES[word or _DEFAULT_PREVENTION]


def _client_id(params: Params) -> str | None:
    if len(params.text("newClientOrderId") or "") > _CLIENT_ID_LENGTH_MAX:
        raise BinanceError(-4015, "Client order id length should not be more than 36 chars")
    return params.client_id("newClientOrderId", _CLIENT_ID)


def _units(convert: Callable[[Decimal], int], value: Decimal, step: Decimal, code: int, msg: str) -> int:
    # Two refusals for one thing: digits that the symbol does not have, and steps between those that it has.
    if decimals(value) > decimals(step):
        raise BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    try:
        return convert(value)
    except DomainError as error:
        raise BinanceError(code, msg) from error

"""Orders as they are sent: what is checked, with which code it is refused, and what it becomes.

`OrderDesk` serves REST and the trade socket alike: each method takes the JSON object of the request and returns the
JSON object of the result, or raises `BybitError`.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.builtin.exchange.matching import SelfTradePrevention
from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe.errors import DomainError
from mmframe_localvenue.bybit.envelope import SPOT, BybitError, refused
from mmframe_localvenue.bybit.params import category_in, choice_of, number_of
from mmframe_localvenue.bybit.records import category_of, link_of, order_id_of, plain
from mmframe_localvenue.core import PostOnly, Refusal, RefusedError, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mmframe_localvenue.bybit.ledger import Ledger
    from mmframe_localvenue.bybit.news import News
    from mmframe_localvenue.core import Account, Exchange, Market, VenueOrder

__all__ = ["BATCH_MAX", "LIMIT_RATIO_X", "LIMIT_RATIO_Y", "OrderDesk", "Settings", "price_limits"]

LIMIT_RATIO_X, LIMIT_RATIO_Y = Decimal("0.01"), Decimal("0.02")
"""Band of order prices around the mark, as `riskParameters` of the instrument says."""
BATCH_MAX = {"linear": 20, SPOT: 10}
_CANCEL_ALL_MAX = 500
_LINK = re.compile(r"[0-9A-Za-z_-]{1,36}")
_FORCES = {
    "": TimeInForce.GTC,
    "GTC": TimeInForce.GTC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
    "PostOnly": TimeInForce.GTC,
}
_PREVENTIONS = {
    "": SelfTradePrevention.NONE,
    "None": SelfTradePrevention.NONE,
    "CancelMaker": SelfTradePrevention.EXPIRE_MAKER,
    "CancelTaker": SelfTradePrevention.EXPIRE_TAKER,
    "CancelBoth": SelfTradePrevention.EXPIRE_BOTH,
}
_UNBOUNDED = 2**31
_NOTHING: tuple[object, ...] = (None, "", "0", 0, False)
_UNSUPPORTED = (
    "triggerPrice",
    "triggerDirection",
    "takeProfit",
    "stopLoss",
    "closeOnTrigger",
    "isLeverage",
    "bboSideType",
    "slippageTolerance",
    "orderIv",
    "mmp",
)
"""What the exchange knows of orders and this venue does not: refused, as an order without it is another order."""
POST_ONLY_REASON = "EC_PostOnlyWillTakeLiquidity"


@attrs.define
class Settings:
    """What an account has set.

    Attributes:
        moves_prices: By category: whether an order priced beyond the limit is moved to it instead of being refused.
    """

    moves_prices: dict[str, bool] = attrs.field(factory=lambda: {SPOT: False, "linear": True})


def price_limits(market: Market) -> tuple[int, int]:
    """Return the highest price of a buy and the lowest of a sell, in ticks.

    The documented formula with index and mark both at the last price and no premium.
    """
    mark, tick = market.last_price, market.instrument.tick_size
    highest = int((mark * (1 + LIMIT_RATIO_X) / tick).to_integral_value(ROUND_FLOOR))
    lowest = int((mark * (1 - LIMIT_RATIO_X) / tick).to_integral_value(ROUND_CEILING))
    return highest, max(1, lowest)


class OrderDesk:
    """Takes orders.

    Args:
        exchange: Where they go.
        ledger: What was there before.
        news: Hears what each request did as one piece.
    """

    def __init__(self, exchange: Exchange, ledger: Ledger, news: News) -> None:
        self._exchange = exchange
        self._ledger = ledger
        self._news = news
        self._settings = {name: Settings() for name in exchange.accounts}
        self._unnamed = 0

    def settings(self, account: Account) -> Settings:
        """Return what an account has set."""
        return self._settings[account.name]

    def market(self, category: str, symbol: object) -> Market:
        """Return a market by category and name.

        Raises:
            BybitError: 10001 (linear) or 170121 (spot) when there is none.
        """
        if isinstance(symbol, str) and ":" not in symbol and "/" not in symbol:
            market = self._exchange.find(f"{symbol}:{category}")
            if market is not None:
                return market
        if category == SPOT:
            raise BybitError(170121, "Invalid symbol.")
        raise BybitError(10001, f"params error: symbol invalid {symbol}")

    def create(self, account: Account, args: Mapping[str, Any]) -> dict[str, Any]:
        """Take a new order; whether it rests, trades or is cancelled at once is told by the stream only.

        Raises:
            BybitError: If it never becomes an order.
        """
        category = category_in(args, BATCH_MAX)
        market = self.market(category, args.get("symbol"))
        link = self._new_link(account, category, args)
        ticket = self._ticket(account, market, args, link)
        with self._news.one_request():
            try:
                order = self._exchange.place(account, market, ticket)
            except RefusedError as error:
                raise refused(error.refusal, category) from None
        return _ids(order)

    def amend(self, account: Account, args: Mapping[str, Any]) -> dict[str, Any]:
        """Change price, quantity or both of an open order.

        A post-only order that would take at its new price is cancelled; the documents do not say what happens.

        Raises:
            BybitError: If it stays as it was.
        """
        category = category_in(args, BATCH_MAX)
        market = self.market(category, args.get("symbol"))
        order = self._order(account, category, args)
        if not order.state.is_open:
            raise refused(Refusal.UNKNOWN_ORDER, category)
        _check_supported(args)
        price, qty = args.get("price") or None, args.get("qty") or None
        if price is None and qty is None:
            raise BybitError(10001, "params error: price and qty are both empty")
        price_ticks = order.price_ticks if price is None else self._price(account, market, order.side, price)
        size_lots = order.size_lots if qty is None else self._quantity(market, qty)
        if size_lots <= order.filled_lots:
            if category == SPOT:
                raise BybitError(170313, "The modified contract quantity cannot be less than to the filled quantity")
            raise BybitError(
                110064, "The modified contract quantity cannot be less than or equal to the filled quantity"
            )
        _check_notional(market, price_ticks, size_lots)
        with self._news.one_request():
            try:
                self._exchange.amend(order, price_ticks=price_ticks, size_lots=size_lots, amends_max=_UNBOUNDED)
            except RefusedError as error:
                if error.refusal is not Refusal.WOULD_TAKE:
                    raise refused(error.refusal, category) from None
                order.labels["reject_reason"] = POST_ONLY_REASON
                self._exchange.expire(order, POST_ONLY_REASON)
        return _ids(order)

    def cancel(self, account: Account, args: Mapping[str, Any], *, is_raced: bool = False) -> dict[str, Any]:
        """Cancel an open order.

        Args:
            account: Whose.
            args: The request.
            is_raced: A fill came in while the request was on its way to the matching engine: the answer is that of an
                accepted cancel, and a second `Filled` message tells that it failed.

        Raises:
            BybitError: If there is no such open order.
        """
        category = category_in(args, BATCH_MAX)
        self.market(category, args.get("symbol"))
        order = self._order(account, category, args)
        if is_raced and not order.state.is_open:
            self._news.tell_lost_cancel(order)
            return _ids(order)
        if not order.state.is_open:
            if category == SPOT:
                raise BybitError(
                    *(
                        (170139, "Order has been filled.")
                        if order.filled_lots == order.size_lots
                        else (170142, "Order has been cancelled.")
                    )
                )
            raise refused(Refusal.UNKNOWN_ORDER, category)
        self._cancel(order)
        return _ids(order)

    def cancel_all(self, account: Account, args: Mapping[str, Any]) -> dict[str, Any]:
        """Cancel every open order of a symbol, base coin or settlement coin; at most 500 on linear.

        Raises:
            BybitError: If linear is asked without any of the three.
        """
        category = category_in(args, BATCH_MAX)
        orders = self.selected(account, category, args)
        if category != SPOT:
            orders = orders[:_CANCEL_ALL_MAX]
        for order in orders:
            self._cancel(order)
        return {"list": [_ids(order) for order in orders], "success": "1"}

    def cancel_for(self, account: Account, category: str, cancel_type: str) -> None:
        """Cancel every open order of a category on the exchange's own account."""
        for order in account.open_orders():
            if category_of(order.market) == category:
                self._cancel(order, cancel_type, "EC_NoError")

    def selected(self, account: Account, category: str, args: Mapping[str, Any]) -> list[VenueOrder]:
        """Return the open orders of the symbol, base coin or settlement coin that a request names, in this priority.

        Raises:
            BybitError: If linear is asked without any of the three, or the symbol is unknown.
        """
        orders = [order for order in account.open_orders() if category_of(order.market) == category]
        return list(self.narrowed(orders, category, args))

    def narrowed(self, orders: Iterable[VenueOrder], category: str, args: Mapping[str, Any]) -> Iterable[VenueOrder]:
        """Narrow orders of a category to what a request names.

        Raises:
            BybitError: As `selected`.
        """
        symbol, base, settle = (args.get(name) or "" for name in ("symbol", "baseCoin", "settleCoin"))
        if symbol:
            market = self.market(category, symbol)
            return [order for order in orders if order.market is market]
        if base:
            return [order for order in orders if order.market.instrument.base == base]
        if settle and category != SPOT:
            return [order for order in orders if order.market.instrument.quote == settle]
        if category != SPOT:
            raise BybitError(10001, "params error: symbol, baseCoin and settleCoin are all empty")
        return orders

    # Private

    def _cancel(
        self, order: VenueOrder, cancel_type: str = "CancelByUser", reason: str = "EC_PerCancelRequest"
    ) -> None:
        order.labels["cancel_type"] = cancel_type
        order.labels["reject_reason"] = reason
        with self._news.one_request():
            self._exchange.cancel(order)

    def _order(self, account: Account, category: str, args: Mapping[str, Any]) -> VenueOrder:
        order_id, link = args.get("orderId") or "", args.get("orderLinkId") or ""
        if not order_id and not link:
            raise BybitError(10001, "params error: orderId or orderLinkId is required")
        order = self._ledger.find(account, category, order_id=str(order_id), link=str(link))
        if order is None or order.market.name != args.get("symbol"):
            raise refused(Refusal.UNKNOWN_ORDER, category)
        return order

    def _new_link(self, account: Account, category: str, args: Mapping[str, Any]) -> str:
        link = args.get("orderLinkId") or ""
        if not link:
            return ""
        if not isinstance(link, str) or not _LINK.fullmatch(link):
            raise BybitError(10001, f"params error: orderLinkId invalid {link}")
        if self._ledger.is_link_used(account, category, link):
            raise refused(Refusal.DUPLICATE_CLIENT_ID, category)
        return link

    def _ticket(self, account: Account, market: Market, args: Mapping[str, Any], link: str) -> Ticket:
        category = category_of(market)
        _check_supported(args)
        side = choice_of(args, "side", {"Buy": Side.BUY, "Sell": Side.SELL}, 170117, category)
        is_market = choice_of(args, "orderType", {"Market": True, "Limit": False}, 170116, category)
        force = choice_of(args, "timeInForce", _FORCES, 170115, category)
        prevention = choice_of(args, "smpType", _PREVENTIONS, 10001, category)
        if category != SPOT and str(args.get("positionIdx") or 0) != "0":
            raise BybitError(10001, "position idx not match position mode")
        labels: dict[str, Any] = {
            "link": link,
            "smp_type": args.get("smpType") or "None",
            "last_price": plain(market.last_price) if category != SPOT else "",
        }
        if is_market:
            size_lots = self._market_quantity(market, side, args, labels)
            price_ticks, force, post_only = 0, TimeInForce.IOC, PostOnly.NO
        else:
            size_lots = self._quantity(market, args.get("qty"))
            price_ticks = self._price(account, market, side, args.get("price"))
            post_only = PostOnly.EXPIRED if args.get("timeInForce") == "PostOnly" else PostOnly.NO
            _check_notional(market, price_ticks, size_lots, is_reduce_only=args.get("reduceOnly") is True)
        self._unnamed += 1
        return Ticket(
            side,
            size_lots,
            price_ticks,
            link or f"~{self._unnamed}",
            force,
            post_only,
            prevention,
            is_reduce_only=category != SPOT and args.get("reduceOnly") is True,
            labels=labels,
        )

    def _market_quantity(self, market: Market, side: Side, args: Mapping[str, Any], labels: dict[str, Any]) -> int:
        """Return the lots of a market order; a spot buy names an amount of quote coin unless it says otherwise."""
        qty = args.get("qty")
        if category_of(market) != SPOT:
            return self._quantity(market, qty)
        unit = choice_of(
            args,
            "marketUnit",
            {
                "": "quoteCoin" if side is Side.BUY else "baseCoin",
                "baseCoin": "baseCoin",
                "quoteCoin": "quoteCoin",
            },
            10001,
            SPOT,
        )
        labels["market_unit"] = unit
        if unit == "baseCoin":
            return self._quantity(market, qty)
        amount = number_of(qty, "qty")
        if amount < market.setup.min_notional:
            raise BybitError(170140, "Order value exceeded lower limit.")
        labels["quote_amount"] = amount
        lots = market.lots_for_quote(side, amount)
        if lots < 1:
            raise refused(Refusal.NO_LIQUIDITY, SPOT)
        return lots

    def _quantity(self, market: Market, value: object) -> int:
        category, setup = category_of(market), market.setup
        size = number_of(value, "qty")
        try:
            lots = market.instrument.size_lots(size)
        except DomainError:
            if category == SPOT:
                raise BybitError(170137, "Order volume decimal too long.") from None
            raise BybitError(10001, "Qty invalid") from None
        if size < setup.min_size or lots < 1:
            if category == SPOT:
                raise BybitError(170136, "Order quantity lower than the minimum.")
            raise BybitError(10001, "The number of contracts exceeds minimum limit allowed")
        if size > setup.max_size:
            if category == SPOT:
                raise BybitError(170124, "Order amount too large.")
            raise BybitError(10001, "The number of contracts exceeds maximum limit allowed: too large")
        return lots

    def _price(self, account: Account, market: Market, side: Side, value: object) -> int:
        """Return a limit in ticks, moved to the price limit where the account lets it be moved."""
        category, setup = category_of(market), market.setup
        price = number_of(value, "price")
        try:
            ticks = market.instrument.price_ticks(price)
        except DomainError:
            if category == SPOT:
                raise BybitError(170134, "Order price decimal too long.") from None
            raise BybitError(10001, "Price invalid") from None
        if not setup.min_price <= price <= setup.max_price:
            if category != SPOT:
                raise BybitError(110003, "Order price exceeds the allowable range.")
            if price > setup.max_price:
                raise BybitError(170132, "Order price too high.")
            raise BybitError(170133, "Order price lower than the minimum.")
        highest, lowest = price_limits(market)
        bound = min(ticks, highest) if side is Side.BUY else max(ticks, lowest)
        if bound != ticks and not self.settings(account).moves_prices[category]:
            raise _beyond_limit(category, side, market.instrument.price_text(bound))
        return bound


def _check_supported(args: Mapping[str, Any]) -> None:
    for name in _UNSUPPORTED:
        if args.get(name) not in _NOTHING:
            raise BybitError(10001, f"params error: {name} is not supported by this venue")
    if args.get("orderFilter") not in (None, "", "Order"):
        raise BybitError(10001, "params error: orderFilter is not supported by this venue")


def _beyond_limit(category: str, side: Side, limit: str) -> BybitError:
    is_buy = side is Side.BUY
    if category == SPOT:
        if is_buy:
            return BybitError(170193, f"Buy order price cannot be higher than {limit}.")
        return BybitError(170194, f"Sell order price cannot be lower than {limit}.")
    if is_buy:
        return BybitError(110121, f"Order price cannot be higher than {limit}, the price limitation")
    return BybitError(110120, f"Order price cannot be smaller than {limit}, the price limitation")


def _check_notional(market: Market, price_ticks: int, size_lots: int, *, is_reduce_only: bool = False) -> None:
    value = market.instrument.notional_quote(price_ticks, size_lots)
    if value >= market.setup.min_notional or is_reduce_only:
        return
    if category_of(market) == SPOT:
        raise BybitError(170140, "Order value exceeded lower limit.")
    raise BybitError(110094, f"Order does not meet minimum order value {plain(market.setup.min_notional)}USDT")


def _ids(order: VenueOrder) -> dict[str, Any]:
    return {"orderId": order_id_of(order), "orderLinkId": link_of(order)}

"""Orders, fills and what is told of them: the exchange's own records, in no exchange's words.

A dialect reads these and words them its way; it changes nothing but `VenueOrder.labels`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.builtin.exchange.matching import SelfTradePrevention
from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce

if TYPE_CHECKING:
    from mmframe_localvenue.core.accounts import Account
    from mmframe_localvenue.core.market import Market

__all__ = [
    "Funding",
    "OrderEvent",
    "OrderEventKind",
    "OrderState",
    "PostOnly",
    "Refusal",
    "RefusedError",
    "Ticket",
    "VenueFill",
    "VenueOrder",
]


class OrderState(Enum):
    """How an order stands."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    SELF_TRADE = "self_trade"
    """Ended by self-trade prevention."""

    @property
    def is_open(self) -> bool:
        """Tell whether it may still trade."""
        return self in {OrderState.NEW, OrderState.PARTIALLY_FILLED}


class OrderEventKind(Enum):
    """What happened to an order."""

    NEW = "new"
    TRADE = "trade"
    CANCELED = "canceled"
    AMENDED = "amended"
    EXPIRED = "expired"
    """Ended by the exchange: remainder of IOC, FOK that cannot be filled, post-only that would take."""
    SELF_TRADE = "self_trade"


class PostOnly(Enum):
    """What becomes of an order that would take although it must not."""

    NO = "no"
    """It may take."""
    REFUSED = "refused"
    """It never becomes an order."""
    EXPIRED = "expired"
    """It is accepted and ends at once."""


class Refusal(Enum):
    """Why the exchange would not do it. The texts are the core's own; a dialect has its exchange's."""

    MARKET_CLOSED = "the market is closed"
    DUPLICATE_CLIENT_ID = "an open order has this client id"
    INSUFFICIENT_BALANCE = "not enough free balance"
    WOULD_TAKE = "a post-only order would take"
    TOO_MANY_OPEN_ORDERS = "too many open orders in the market"
    UNKNOWN_ORDER = "no such open order"
    NO_LIQUIDITY = "nothing to take"
    NO_CHANGE = "the order is like that already"
    NOT_REDUCING = "a reduce-only order would not reduce the position"
    TOO_MANY_AMENDS = "the order was amended too often"


class RefusedError(Exception):
    """An operation that was refused and changed nothing.

    Attributes:
        refusal: Why.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@attrs.frozen
class Ticket:
    """A new order as the exchange takes it, filters already checked.

    Attributes:
        price_ticks: Limit; 0 for a market order.
        client_id: Never empty: the dialect makes one up where the client gave none.
        prevention: Self-trade prevention of this order when it takes.
        is_reduce_only: May only make a position smaller (derivatives).
        labels: What the dialect wants to find on the order again: its type, the words of the request.
    """

    side: Side
    size_lots: int
    price_ticks: int
    client_id: str
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: PostOnly = PostOnly.NO
    prevention: SelfTradePrevention = SelfTradePrevention.NONE
    is_reduce_only: bool = False
    labels: dict[str, Any] = attrs.field(factory=dict)


@attrs.define(eq=False)
class VenueOrder:
    """One order, from its acceptance on. Read it while an event of it is told; it moves on afterwards.

    Attributes:
        order_id: Unique in the venue, rising.
        price_ticks: Limit; 0 for a market order.
        size_lots: Whole size, filled part included, as last amended.
        filled_quote: Sum of price times size of its fills.
        is_working: Whether it has come to rest in the book.
        amends: How often it was amended.
        reserve_per_lot: What each open lot keeps locked, in `reserve_asset`.
        labels: The dialect's own notes.
    """

    order_id: int
    account: Account = attrs.field(repr=False)
    market: Market = attrs.field(repr=False)
    client_id: str
    side: Side
    price_ticks: int
    size_lots: int
    time_in_force: TimeInForce
    is_post_only: bool
    is_reduce_only: bool
    prevention: SelfTradePrevention
    created_ns: int
    updated_ns: int
    labels: dict[str, Any]
    engine_id: int = 0
    state: OrderState = OrderState.NEW
    filled_lots: int = 0
    filled_quote: Decimal = Decimal(0)
    is_working: bool = False
    amends: int = 0
    reserve_asset: str = ""
    reserve_per_lot: Decimal = Decimal(0)
    fills: list[VenueFill] = attrs.field(factory=list, repr=False)

    @property
    def leaves_lots(self) -> int:
        """Return what may still be filled; 0 once it has ended."""
        return self.size_lots - self.filled_lots if self.state.is_open else 0

    @property
    def price(self) -> Decimal:
        """Return the limit in quote units; 0 for a market order."""
        return self.market.instrument.price(self.price_ticks)

    @property
    def size(self) -> Decimal:
        """Return the whole size in base units."""
        return self.market.instrument.size(self.size_lots)

    @property
    def filled(self) -> Decimal:
        """Return the filled size in base units."""
        return self.market.instrument.size(self.filled_lots)


@attrs.frozen
class VenueFill:
    """One execution of one account's order.

    Attributes:
        trade_id: Of the trade, unique in its market.
        fee: What it cost, in `fee_asset`; negative was paid out.
        realized_quote: Profit that it realised (derivatives).
    """

    trade_id: int
    order: VenueOrder = attrs.field(repr=False)
    side: Side
    price_ticks: int
    size_lots: int
    is_maker: bool
    fee: Decimal
    fee_asset: str
    at_ns: int
    realized_quote: Decimal = Decimal(0)

    @property
    def price(self) -> Decimal:
        """Return the price in quote units."""
        return self.order.market.instrument.price(self.price_ticks)

    @property
    def size(self) -> Decimal:
        """Return the size in base units."""
        return self.order.market.instrument.size(self.size_lots)


@attrs.frozen
class Funding:
    """What holding a position through a funding time cost one account.

    Attributes:
        size_lots: Of the position, signed; long is positive.
        price: Mark price that it was valued at.
        rate: Longs pay a positive one to shorts.
        paid: In the settlement asset; negative was received.
        number: As `OrderEvent.number`.
    """

    account: Account = attrs.field(repr=False)
    market: Market = attrs.field(repr=False)
    size_lots: int
    price: Decimal
    rate: Decimal
    paid: Decimal
    at_ns: int
    number: int


@attrs.frozen
class OrderEvent:
    """Something happened to an order; `order` is as it stands right after it.

    Attributes:
        fill: With TRADE.
        request_id: Client id of the request that caused it where it has one of its own (a cancel's), else empty.
        number: Rises by one with each event of the venue: an execution id.
        reason: Why it expired, in the matching engine's words (`Reject`), or empty.
        counter_order_id: With SELF_TRADE, the account's other order; 0 where it is not known.
    """

    kind: OrderEventKind
    order: VenueOrder
    at_ns: int
    number: int
    fill: VenueFill | None = None
    request_id: str = ""
    reason: str = ""
    counter_order_id: int = 0

"""Spot user data: order and balance events, and who listens to whose."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from mmframe_localvenue.binance.errors import BinanceError
from mmframe_localvenue.binance.prevention import PreventedMatches
from mmframe_localvenue.binance.spot_orders import amount, expiry_reason, status_of
from mmframe_localvenue.core import OrderEventKind, OrderState, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.core import Account, Connection, Core, OrderEvent

__all__ = ["Subscription", "UserData"]

_ACTIVE_MAX, _TOTAL_MAX = 1_000, 65_535
_EXECUTION_TYPES = {
    OrderEventKind.NEW: "NEW",
    OrderEventKind.TRADE: "TRADE",
    OrderEventKind.CANCELED: "CANCELED",
    OrderEventKind.AMENDED: "REPLACED",
    OrderEventKind.EXPIRED: "EXPIRED",
    OrderEventKind.SELF_TRADE: "TRADE_PREVENTION",
}


@attrs.define(eq=False)
class Subscription:
    """One account's events on one socket.

    Attributes:
        number: Its `subscriptionId` there.
        is_session: Opened by `userDataStream.subscribe`: it ends with the session's logout.
    """

    number: int
    account: Account
    connection: Connection
    stamp: Callable[[int], int]
    is_session: bool


class UserData:
    """Tells subscribers of an account what happens to it.

    Args:
        core: Of the venue.

    Attributes:
        last_execution_id: Of the last event told.
        prevented: What self-trade prevention kept from matching.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._subscriptions: list[Subscription] = []
        self.prevented = PreventedMatches()
        self.last_execution_id = 0
        core.exchange.on_order.append(self._hear_order)
        core.exchange.on_balances.append(self._hear_balances)

    def subscribe(
        self,
        connection: Connection,
        account: Account,
        number: int,
        stamp: Callable[[int], int],
        *,
        is_session: bool,
    ) -> Subscription | None:
        """Begin to tell a socket of an account; None when the venue refuses private streams for now.

        Raises:
            BinanceError: If it listens already, or has too many subscriptions.
        """
        own = self.of(connection)
        if any(one.account is account for one in own):
            raise BinanceError(-2035, "User Data Stream subscription already active.")
        if number >= _TOTAL_MAX or len(own) >= _ACTIVE_MAX:
            raise BinanceError(-2042, "Maximum subscription ID reached for this connection.")
        if not connection.join(Role.PRIVATE):
            return None
        connection.account = account.name
        subscription = Subscription(number, account, connection, stamp, is_session)
        self._subscriptions.append(subscription)
        return subscription

    def of(self, connection: Connection) -> list[Subscription]:
        """Return the subscriptions of a socket."""
        return [one for one in self._subscriptions if one.connection is connection]

    def end(self, subscription: Subscription) -> None:
        """End a subscription, and say so on its socket."""
        event = {"e": "eventStreamTerminated", "E": subscription.stamp(self._core.clock.now_ns())}
        self._send(subscription, event)
        self._subscriptions.remove(subscription)
        if not self.of(subscription.connection):
            subscription.connection.roles.discard(Role.PRIVATE)

    def forget(self, connection: Connection) -> None:
        """Drop the subscriptions of a socket that is over."""
        self._subscriptions = [one for one in self._subscriptions if one.connection is not connection]

    def _hear_order(self, event: OrderEvent) -> None:
        self.last_execution_id = event.number
        order = event.order
        if event.kind is OrderEventKind.EXPIRED:
            order.labels["expiryReason"] = _reason(event)
        if event.kind is OrderEventKind.SELF_TRADE:
            self.prevented.note(event)
        for subscription in self._subscriptions:
            if subscription.account is order.account:
                self._send(subscription, _execution_report(event, subscription.stamp))

    def _hear_balances(self, account: Account, assets: frozenset[str], at_ns: int) -> None:
        balances = account.money.balances
        for subscription in self._subscriptions:
            if subscription.account is account:
                stamp = subscription.stamp(at_ns)
                listed = [
                    {"a": asset, "f": amount(balances[asset].free), "l": amount(balances[asset].locked)}
                    for asset in sorted(assets)
                ]
                self._send(subscription, {"e": "outboundAccountPosition", "E": stamp, "u": stamp, "B": listed})

    def _send(self, subscription: Subscription, event: dict[str, Any]) -> None:
        body = {"subscriptionId": subscription.number, "event": event}
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        subscription.connection.send_data("user-stream", text, Role.PRIVATE)


def _reason(event: OrderEvent) -> str:
    """Return why an order expired; a market order that found too little has a word of its own."""
    if event.order.labels["type"] == "MARKET":
        return "INSUFFICIENT_LIQUIDITY"
    return expiry_reason(event.reason)


def _execution_report(event: OrderEvent, stamp: Callable[[int], int]) -> dict[str, Any]:
    order, fill = event.order, event.fill
    nothing = amount(Decimal(0))
    client_id, original_id = order.client_id, ""
    if event.kind is OrderEventKind.CANCELED:
        client_id, original_id = event.request_id or order.client_id, order.client_id
    elif event.kind is OrderEventKind.AMENDED:
        original_id = order.labels.get("previous_client_id", order.client_id)
    report: dict[str, Any] = {
        "e": "executionReport",
        "E": stamp(event.at_ns),
        "s": order.market.name,
        "c": client_id,
        "S": order.side.name,
        "o": order.labels["type"],
        "f": order.time_in_force.name,
        "q": amount(order.size),
        "p": amount(order.price),
        "P": nothing,
        "F": nothing,
        "g": -1,
        "C": original_id,
        "x": _EXECUTION_TYPES[event.kind],
        "X": status_of(order),
        "r": "NONE",
        "i": order.order_id,
        "l": nothing if fill is None else amount(fill.size),
        "z": amount(order.filled),
        "L": nothing if fill is None else amount(fill.price),
        "n": "0" if fill is None else amount(fill.fee),
        "N": None if fill is None else fill.fee_asset,
        "T": stamp(event.at_ns),
        "t": -1 if fill is None else fill.trade_id,
        "I": event.number,
        "w": (order.state.is_open and event.kind is not OrderEventKind.TRADE) or _rests(event),
        "m": fill is not None and fill.is_maker,
        "M": False,
        "O": stamp(order.created_ns),
        "Z": amount(order.filled_quote),
        "Y": nothing if fill is None else amount(fill.price * fill.size),
        "Q": amount(order.labels.get("quote_qty", Decimal(0))),
        "W": stamp(order.created_ns),
        "V": order.prevention.name,
    }
    return report | _conditional(event)


def _rests(event: OrderEvent) -> bool:
    return event.order.state.is_open and event.fill is not None and event.fill.is_maker


def _conditional(event: OrderEvent) -> dict[str, Any]:
    order = event.order
    fields: dict[str, Any] = {}
    for letter, name in (("j", "strategyId"), ("J", "strategyType")):
        if name in order.labels:
            fields[letter] = order.labels[name]
    if order.state is OrderState.EXPIRED:
        fields["eR"] = order.labels.get("expiryReason", "EXCHANGE_CANCELED")
    if order.state is OrderState.SELF_TRADE:
        prevented = amount(order.size - order.filled)
        fields |= {"v": order.labels["preventedMatchId"], "A": prevented, "B": prevented, "u": 1}
        if event.counter_order_id:
            fields |= {"U": event.counter_order_id}
    return fields

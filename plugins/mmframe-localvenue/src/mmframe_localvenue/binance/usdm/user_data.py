"""Futures user data: listen keys with their hour of life, and what their streams tell of orders and the account."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.domain.market import Side
from mmframe_localvenue.binance.errors import BinanceError
from mmframe_localvenue.binance.usdm.figures import PositionFigures, average_text, plain
from mmframe_localvenue.binance.usdm.orders import status_of
from mmframe_localvenue.core import OrderEventKind, OrderState, Refusal, Role

if TYPE_CHECKING:
    from mmframe_localvenue.binance.usdm.deadlines import Deadlines
    from mmframe_localvenue.binance.usdm.sockets import StreamSockets
    from mmframe_localvenue.core import Account, Core, Market, OrderEvent, VenueOrder

__all__ = ["LISTEN_KEY_LIFE_NS", "UserData"]

LISTEN_KEY_LIFE_NS = 3_600_000_000_000
_OPERATION = "user-stream"
_EXECUTION_TYPES = {
    OrderEventKind.NEW: "NEW",
    OrderEventKind.TRADE: "TRADE",
    OrderEventKind.CANCELED: "CANCELED",
    OrderEventKind.AMENDED: "AMENDMENT",
    OrderEventKind.EXPIRED: "EXPIRED",
    OrderEventKind.SELF_TRADE: "EXPIRED",
}
_SELF_TRADE_EXPIRY, _IMMEDIATE_EXPIRY, _REDUCE_ONLY_EXPIRY, _NO_EXPIRY = "1", "2", "4", "0"


@attrs.define
class _Told:
    """What the last account update of an account said, so that the next one says only what changed."""

    balances: dict[str, Decimal]
    positions: dict[int, tuple[int, Decimal]]
    has_filled: bool = False


class UserData:
    """Listen keys and events of all accounts.

    Args:
        core: Of the venue.
        sockets: Where the events go.
        deadlines: Ends the keys.
    """

    def __init__(self, core: Core, sockets: StreamSockets, deadlines: Deadlines) -> None:
        self._core = core
        self._sockets = sockets
        self._deadlines = deadlines
        self._keys: dict[str, str] = {}
        self._made = 0
        self._told = {account.name: _snapshot(account) for account in core.exchange.accounts.values()}
        core.exchange.on_order.append(self._hear_order)
        core.exchange.on_balances.append(self._hear_balances)

    # Listen keys

    def open_key(self, account: Account) -> str:
        """Return the account's listen key, a new one if it has none, good for an hour from now."""
        key = self._keys.get(account.name)
        if key is None:
            self._made += 1
            material = f"{self._core.setup.seed}/{account.name}/{self._made}/{self._core.clock.now_ns()}"
            key = hashlib.sha256(material.encode()).hexdigest()
            self._keys[account.name] = key
        self._prolong(account.name, key)
        return key

    def keep_key(self, account: Account) -> str:
        """Let the account's listen key live for an hour from now, and return it.

        Raises:
            BinanceError: If it has none.
        """
        key = self._keys.get(account.name)
        if key is None:
            raise BinanceError(-1125, "This listenKey does not exist.")
        self._prolong(account.name, key)
        return key

    def close_key(self, account: Account) -> None:
        """End the account's listen key and the streams that use it."""
        key = self._keys.pop(account.name, None)
        if key is not None:
            self._deadlines.clear(("listenKey", account.name))
            for connection in self._sockets.listening(key):
                connection.close_soon()

    def owner(self, key: str) -> str:
        """Return the account that a listen key is of; empty for none."""
        return next((name for name, known in self._keys.items() if known == key), "")

    def tell(self, account: Account, payload: dict[str, Any]) -> None:
        """Send an event to whoever listens to the account."""
        key = self._keys.get(account.name)
        if key is not None:
            self._sockets.publish(key, _OPERATION, payload, Role.PRIVATE)

    # What happens

    def _prolong(self, name: str, key: str) -> None:
        def expire() -> None:
            del self._keys[name]
            payload = {"e": "listenKeyExpired", "E": self._core.clock.now_ms(), "listenKey": key}
            self._sockets.publish(key, _OPERATION, payload, Role.PRIVATE)

        self._deadlines.set(("listenKey", name), self._core.clock.now_ns() + LISTEN_KEY_LIFE_NS, expire)

    def _hear_order(self, event: OrderEvent) -> None:
        account = event.order.account
        at_ms = event.at_ns // 1_000_000
        if event.fill is not None:
            self._told[account.name].has_filled = True
            self.tell(account, _trade_lite(event, at_ms))
        payload = {"e": "ORDER_TRADE_UPDATE", "T": at_ms, "E": self._core.clock.now_ms(), "o": _order_update(event)}
        self.tell(account, payload)

    def _hear_balances(self, account: Account, assets: frozenset[str], at_ns: int) -> None:
        before, now = self._told[account.name], _snapshot(account)
        self._told[account.name] = now
        changed = sorted(one for one in assets if now.balances.get(one) != before.balances.get(one))
        moved = [index for index, position in now.positions.items() if position != before.positions.get(index)]
        # An order that only locks or frees margin changes neither wallet nor position, and is not told.
        if not changed and not moved and not before.has_filled:
            return
        gains = {one: now.balances[one] - before.balances.get(one, Decimal(0)) for one in changed}
        is_trade = before.has_filled
        reason = "ORDER" if is_trade else "DEPOSIT" if all(gain >= 0 for gain in gains.values()) else "WITHDRAW"
        markets = list(self._core.exchange.markets.values())
        update = {
            "m": reason,
            "B": [
                {
                    "a": one,
                    "wb": plain(now.balances[one]),
                    "cw": plain(now.balances[one]),
                    "bc": "0" if is_trade else plain(gains[one]),
                }
                for one in changed
            ],
            "P": [_position_update(account, markets[index]) for index in moved],
        }
        payload = {"e": "ACCOUNT_UPDATE", "T": at_ns // 1_000_000, "E": self._core.clock.now_ms(), "a": update}
        self.tell(account, payload)


def _snapshot(account: Account) -> _Told:
    money = account.money
    return _Told(
        balances={asset: balance.total for asset, balance in money.balances.items()},
        positions={index: (one.size_lots, one.entry_quote) for index, one in money.positions.items()},
    )


def _position_update(account: Account, market: Market) -> dict[str, Any]:
    figures = PositionFigures.of(account, market)
    return {
        "s": market.name,
        "pa": plain(figures.amount),
        "ep": plain(figures.entry),
        "bep": plain(figures.break_even),
        "cr": plain(account.money.positions[market.index].realized_quote),
        "up": plain(figures.unrealized),
        "mt": "cross",
        "iw": "0",
        "ps": "BOTH",
    }


def _order_update(event: OrderEvent) -> dict[str, Any]:
    order, fill, market = event.order, event.fill, event.order.market
    instrument = market.instrument
    figures = PositionFigures.of(order.account, market)
    update: dict[str, Any] = {
        "s": market.name,
        "c": order.client_id,
        "S": order.side.name,
        "o": order.labels["type"],
        "f": order.labels["timeInForce"],
        "q": plain(order.size),
        "p": plain(order.price),
        "ap": average_text(market, order.filled_quote, order.filled),
        "sp": "0",
        "x": _EXECUTION_TYPES[event.kind],
        "X": status_of(order),
        "i": order.order_id,
        "l": "0" if fill is None else instrument.size_text(fill.size_lots),
        "z": plain(order.filled),
        "L": "0" if fill is None else instrument.price_text(fill.price_ticks),
        "n": "0" if fill is None else plain(fill.fee),
        "N": instrument.quote if fill is None else fill.fee_asset,
        "T": event.at_ns // 1_000_000,
        "t": 0 if fill is None else fill.trade_id,
        "b": plain(figures.bid_notional),
        "a": plain(figures.ask_notional),
        "m": fill is not None and fill.is_maker,
        "R": order.is_reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.labels["type"],
        "ps": "BOTH",
        "cp": False,
        "rp": "0" if fill is None else plain(fill.realized_quote),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": order.prevention.name,
        "pm": "NONE",
        "gtd": 0,
        "er": _expiry(event),
    }
    return update


def _expiry(event: OrderEvent) -> str:
    order: VenueOrder = event.order
    if order.state is OrderState.SELF_TRADE:
        return _SELF_TRADE_EXPIRY
    if event.kind is not OrderEventKind.EXPIRED:
        return _NO_EXPIRY
    if event.reason == Refusal.NOT_REDUCING.value:
        return _REDUCE_ONLY_EXPIRY
    return _IMMEDIATE_EXPIRY if order.labels["timeInForce"] == "IOC" or not order.price_ticks else _NO_EXPIRY


def _trade_lite(event: OrderEvent, at_ms: int) -> dict[str, Any]:
    order, fill = event.order, event.fill
    assert fill is not None, "a lite trade tells of a fill"  # noqa: S101 - tells the type checker
    instrument = order.market.instrument
    return {
        "e": "TRADE_LITE",
        "E": at_ms,
        "T": at_ms,
        "s": order.market.name,
        "q": plain(order.size),
        "p": plain(order.price),
        "m": fill.is_maker,
        "c": order.client_id,
        "S": Side(fill.side).name,
        "L": instrument.price_text(fill.price_ticks),
        "l": instrument.size_text(fill.size_lots),
        "t": fill.trade_id,
        "i": order.order_id,
    }

"""The god view: what is true at the venue, whatever anybody was told, and hands to make things happen.

It sees every order, fill, balance and request. Tests compare a client's belief with it, and move the market by it.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import anyio
import attrs

from mmframe.domain.market import Side
from mmframe.domain.orders import TimeInForce
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.builtin.exchange.matching import Order
    from mmframe_localvenue.core.accounts import Account, Position
    from mmframe_localvenue.core.exchange import Exchange
    from mmframe_localvenue.core.market import Market
    from mmframe_localvenue.core.orders import VenueFill, VenueOrder
    from mmframe_localvenue.core.sockets import Connection

__all__ = ["GodView", "RequestSeen"]

_REQUESTS_KEPT = 100_000
_Value = TypeVar("_Value")


@attrs.define(eq=False)
class RequestSeen:
    """One request that reached the venue, over REST or a websocket.

    Attributes:
        operation: Exchange-neutral name, such as `order.place`; the exchange's own path or method where there is none.
        method: `GET`, `POST`... or `WS`.
        path: Path of the URL, or the websocket request's method.
        account: Whose key signed it; empty for public ones and unknown keys.
        client_id: Client order id that it names, or empty.
        at_ns: Venue time.
        fault: Name of the fault that hit it, or empty.
        is_done: Whether it was carried out (a refusal counts as carried out).
        status: HTTP status of the answer; 0 when none was given.
        code: The exchange's error code; 0 for none.
    """

    operation: str
    method: str
    path: str
    at_ns: int
    account: str = ""
    client_id: str = ""
    fault: str = ""
    is_done: bool = False
    status: int = 0
    code: int = 0


class GodView:
    """See and move everything.

    Args:
        exchange: The truth.
        connections: Returns the open websockets.

    Attributes:
        requests: Every request seen, oldest first (the last 100,000).
    """

    def __init__(self, exchange: Exchange, connections: Callable[[], tuple[Connection, ...]]) -> None:
        self._exchange = exchange
        self._connections = connections
        self._changed = anyio.Event()
        self.requests: deque[RequestSeen] = deque(maxlen=_REQUESTS_KEPT)
        exchange.on_change.append(self.note_change)

    # What is

    def account(self, name: str | None = None) -> Account:
        """Return an account; without a name the first one.

        Raises:
            DomainError: If there is none of that name.
        """
        accounts = self._exchange.accounts
        if name is None:
            return next(iter(accounts.values()))
        return _known(accounts, name, "account")

    def market(self, symbol: str) -> Market:
        """Return a market by either name, `BTC/USDT` or `BTCUSDT`, with `:spot` or `:linear` where both are traded.

        Raises:
            DomainError: If there is none of that name.
        """
        market = self._exchange.find(symbol)
        return _known(self._exchange.markets, symbol, "symbol") if market is None else market

    def orders(self, account: str | None = None) -> list[VenueOrder]:
        """Return every order that ever was, oldest first."""
        return list(self.account(account).orders.values())

    def open_orders(self, symbol: str | None = None, account: str | None = None) -> list[VenueOrder]:
        """Return what rests or may still trade, oldest first."""
        return self.account(account).open_orders(None if symbol is None else self.market(symbol))

    def orders_of(self, client_id: str, account: str | None = None) -> list[VenueOrder]:
        """Return every order ever accepted under that client id: more than one for one intent is a client's bug."""
        return [order for order in self.orders(account) if order.client_id == client_id]

    def order(self, client_id: str, account: str | None = None) -> VenueOrder:
        """Return the newest order of that client id.

        Raises:
            DomainError: If there is none.
        """
        found = self.orders_of(client_id, account)
        if not found:
            msg = f"order: expected one of client id {client_id!r}, was none"
            raise DomainError(msg)
        return found[-1]

    def fills(self, symbol: str | None = None, account: str | None = None) -> list[VenueFill]:
        """Return every fill, oldest first."""
        market = None if symbol is None else self.market(symbol)
        return [fill for fill in self.account(account).fills if market is None or fill.order.market is market]

    def net_lots(self, symbol: str, account: str | None = None) -> int:
        """Return the signed sum of fills, in lots."""
        return sum(fill.size_lots if fill.side is Side.BUY else -fill.size_lots for fill in self.fills(symbol, account))

    def balance(self, asset: str, account: str | None = None) -> Decimal:
        """Return what the account owns of an asset, locked part included."""
        balance = self.account(account).money.balances.get(asset)
        return Decimal(0) if balance is None else balance.total

    def position(self, symbol: str, account: str | None = None) -> Position | None:
        """Return the position in a derivatives market; None where there was never one."""
        return self.account(account).money.positions.get(self.market(symbol).index)

    def requests_of(self, operation: str) -> list[RequestSeen]:
        """Return the requests of one operation, oldest first."""
        return [seen for seen in self.requests if seen.operation == operation]

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Return the open websockets, oldest first."""
        return self._connections()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition()` holds; it is asked again after everything that happens at the venue."""
        while not condition():
            await self._changed.wait()

    def note_change(self) -> None:
        """Wake whoever waits in `until`."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    # What shall be

    def place_other(
        self,
        symbol: str,
        side: Side,
        *,
        price: str | Decimal | None = None,
        size: str | Decimal,
        is_immediate: bool = False,
    ) -> Order:
        """Let a stranger send an order: a limit at `price`, or a market order without; `is_immediate` rests nothing.

        Raises:
            DomainError: If price or size is off the grid, or the market is a recording: it has its own strangers.
        """
        market = self.market(symbol)
        instrument = market.instrument
        return self._exchange.place_other(
            market,
            side,
            instrument.size_lots(size),
            0 if price is None else instrument.price_ticks(price),
            TimeInForce.IOC if is_immediate else TimeInForce.GTC,
        )

    def trade_against(self, client_id: str, lots: int | None = None, account: str | None = None) -> int:
        """Let a stranger take an open order of an account, whatever stands in the queue before it; return lots filled.

        Args:
            client_id: Of the order.
            lots: How much of it; None takes it whole.
            account: Whose; None for the first account.

        Raises:
            DomainError: If it is not open or has less left.
        """
        order = self.order(client_id, account)
        leaves = order.leaves_lots
        wanted = leaves if lots is None else lots
        if not 0 < wanted <= leaves:
            msg = f"order {client_id!r}: expected 1 to {leaves} lots to trade against, was {wanted}"
            raise DomainError(msg)
        before = order.filled_lots
        self._exchange.trade_against(order, wanted, _lots_ahead(order))
        return order.filled_lots - before

    def empty_book(self, symbol: str, side: Side) -> None:
        """Cancel every stranger's order of one side; the accounts' stay."""
        market = self.market(symbol)
        engine = market.engine
        for ticks, _ in engine.levels(side, engine.level_count(side)):
            for order in list(engine.orders_at(side, ticks)):
                if not order.owner:
                    self._exchange.cancel_other(market, order.order_id)

    def cancel(self, client_id: str, account: str | None = None) -> None:
        """Let the account's other hand (its web page) cancel an open order."""
        self._exchange.cancel(self.order(client_id, account))

    def expire(self, client_id: str, account: str | None = None) -> None:
        """Let the exchange end an open order by itself."""
        self._exchange.expire(self.order(client_id, account), "EXCHANGE_CANCELED")

    def deposit(self, asset: str, amount: Decimal, account: str | None = None) -> None:
        """Change a free balance from outside."""
        self._exchange.deposit(self.account(account), asset, amount)

    def fund(self, symbol: str, rate: str | Decimal) -> None:
        """Settle funding in a derivatives market: longs pay `rate` of their position's value, shorts get it."""
        self._exchange.fund(self.market(symbol), Decimal(rate))

    def set_trading(self, symbol: str, *, is_trading: bool) -> None:
        """Halt or reopen a market."""
        self.market(symbol).is_trading = is_trading
        self.note_change()

    def revoke_key(self, key: str) -> None:
        """Make a key unknown from now on."""
        for account in self._exchange.accounts.values():
            account.keys.pop(key, None)
        self.note_change()


def _known(values: dict[str, _Value], name: str, what: str) -> _Value:
    if name not in values:
        msg = f"{what}: expected one of {', '.join(sorted(values))}, was {name!r}"
        raise DomainError(msg)
    return values[name]


def _lots_ahead(order: VenueOrder) -> int:
    """Return what would be filled before an order: better levels, and its own level's queue up to it."""
    engine, side = order.market.engine, order.side
    lots = 0
    for ticks, level_lots in engine.levels(side, engine.level_count(side)):
        if ticks != order.price_ticks:
            lots += level_lots
            continue
        for resting in engine.orders_at(side, ticks):
            if resting.order_id == order.engine_id:
                return lots
            lots += resting.leaves_lots
    return lots

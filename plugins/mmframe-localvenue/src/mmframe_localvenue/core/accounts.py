"""Accounts: what they own, what is locked for open orders, what fills cost, and how many orders they may place.

`SpotMoney` moves two assets per fill; `LinearMoney` keeps positions and margin in the settlement asset; `UnifiedMoney`
does both out of one wallet. All refuse an order that the account cannot pay for, locked amounts considered.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import attrs

from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe_localvenue.core.market import Market
    from mmframe_localvenue.core.orders import Ticket, VenueFill, VenueOrder
    from mmframe_localvenue.core.setup import AccountSetup, ApiKey

__all__ = ["Account", "Balance", "LinearMoney", "Money", "Position", "RateWindow", "SpotMoney", "UnifiedMoney"]

_ORDERS_KEPT = 200_000
"""Orders of one account known to queries and to the god view; beyond it the oldest ended ones are forgotten."""
_FILLS_KEPT = 400_000
_NS = 1_000_000_000


@attrs.define
class Balance:
    """One asset of one account."""

    free: Decimal = Decimal(0)
    locked: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """Return what it owns, locked or not."""
        return self.free + self.locked


@attrs.define
class Position:
    """What an account holds in one derivatives market.

    Attributes:
        size_lots: Signed; long is positive.
        entry_quote: Value at which it was entered, >= 0.
        realized_quote: Profit realised so far, fees not counted.
    """

    size_lots: int = 0
    entry_quote: Decimal = Decimal(0)
    realized_quote: Decimal = Decimal(0)


class RateWindow:
    """Counts in windows aligned to the clock, as exchanges do: a burst across a border is legal.

    Args:
        seconds: Length of a window.
        limit: What may be counted in one.
    """

    __slots__ = ("_count", "_window", "limit", "seconds")

    def __init__(self, seconds: int, limit: int) -> None:
        self.seconds = seconds
        self.limit = limit
        self._window = -1
        self._count = 0

    def count(self, now_ns: int) -> int:
        """Return what was counted in the window of `now_ns`."""
        self._roll(now_ns)
        return self._count

    def add(self, amount: int, now_ns: int) -> int:
        """Count `amount`, never below zero, and return the new count."""
        self._roll(now_ns)
        self._count = max(0, self._count + amount)
        return self._count

    def left_s(self, now_ns: int) -> float:
        """Return the seconds to the window's end."""
        length_ns = self.seconds * _NS
        return (length_ns - now_ns % length_ns) / _NS

    def _roll(self, now_ns: int) -> None:
        window = now_ns // (self.seconds * _NS)
        if window != self._window:
            self._window = window
            self._count = 0


class Money(Protocol):
    """What an account owns, by the rules of one kind of market."""

    balances: dict[str, Balance]
    positions: dict[int, Position]
    """By market index; empty on spot."""

    def can_pay(self, market: Market, ticket: Ticket) -> bool:
        """Tell whether the free balance covers the order."""
        ...

    def reservation(self, market: Market, ticket: Ticket) -> tuple[str, Decimal]:
        """Return the asset and the amount that each open lot of the order locks."""
        ...

    def settle(self, fill: VenueFill) -> tuple[VenueFill, set[str]]:
        """Move what a fill moves; return it with fee and profit filled in, and the assets touched."""
        ...


class SpotMoney:
    """Cash and inventory.

    Args:
        setup: Start balances and fees.
    """

    def __init__(self, setup: AccountSetup) -> None:
        self._setup = setup
        self.balances = {asset: Balance(free=amount) for asset, amount in setup.balances.items()}
        self.positions: dict[int, Position] = {}

    def can_pay(self, market: Market, ticket: Ticket) -> bool:
        """Tell whether the free balance covers the order."""
        instrument = market.instrument
        if ticket.side is Side.SELL:
            return _of(self.balances, instrument.base).free >= instrument.size(ticket.size_lots)
        if not ticket.price_ticks:
            return _of(self.balances, instrument.quote).free >= market.cost(ticket.side, ticket.size_lots)
        return _of(self.balances, instrument.quote).free >= instrument.notional_quote(
            ticket.price_ticks, ticket.size_lots
        )

    def reservation(self, market: Market, ticket: Ticket) -> tuple[str, Decimal]:
        """Return base for sells, quote at the limit for buys; a market order locks nothing as it never rests."""
        instrument = market.instrument
        if not ticket.price_ticks:
            return instrument.quote, Decimal(0)
        if ticket.side is Side.SELL:
            return instrument.base, instrument.lot_size
        return instrument.quote, instrument.notional_quote(ticket.price_ticks, 1)

    def settle(self, fill: VenueFill) -> tuple[VenueFill, set[str]]:
        """Exchange base for quote; take the fee from what was received, or in the fee asset where there is enough."""
        instrument = fill.order.market.instrument
        size, value = fill.size, fill.price * fill.size
        base, quote = _of(self.balances, instrument.base), _of(self.balances, instrument.quote)
        if fill.side is Side.BUY:
            base.free += size
            quote.free -= value
            received, asset = size, instrument.base
        else:
            base.free -= size
            quote.free += value
            received, asset = value, instrument.quote
        rate = self._setup.maker_fee if fill.is_maker else self._setup.taker_fee
        if rate < 0:
            # A rebate comes in the asset that was given, as Bybit documents it ("Spot Fee Currency Instruction").
            received, asset = (value, instrument.quote) if fill.side is Side.BUY else (size, instrument.base)
        fee, fee_asset = _fee(self._setup, self.balances, received * rate, asset, value * rate)
        _of(self.balances, fee_asset).free -= fee
        return attrs.evolve(fill, fee=fee, fee_asset=fee_asset), {instrument.base, instrument.quote, fee_asset}


class LinearMoney:
    """Positions on margin, settled in the quote asset of their market.

    Args:
        setup: Start balances, fees and leverage.

    Attributes:
        leverage: Of markets that have none of their own.
        leverages: By market index.
    """

    def __init__(self, setup: AccountSetup) -> None:
        self._setup = setup
        self.balances = {asset: Balance(free=amount) for asset, amount in setup.balances.items()}
        self.positions: dict[int, Position] = {}
        self._markets: dict[int, Market] = {}
        self.leverage = setup.leverage
        self.leverages: dict[int, int] = {}

    def leverage_of(self, index: int) -> int:
        """Return the notional per margin in the market of that index."""
        return self.leverages.get(index, self.leverage)

    def available(self, asset: str) -> Decimal:
        """Return what may still be put up as margin in `asset`: wallet less margin of positions and open orders."""
        used = sum(
            (
                position.entry_quote / self.leverage_of(index)
                for index, position in self.positions.items()
                if self._markets[index].instrument.quote == asset
            ),
            Decimal(0),
        )
        return _of(self.balances, asset).free - used

    def can_pay(self, market: Market, ticket: Ticket) -> bool:
        """Tell whether the margin of what the order may add to the position is there."""
        instrument = market.instrument
        position = self.positions.get(market.index, Position())
        against = -position.size_lots if ticket.side is Side.BUY else position.size_lots
        adding = ticket.size_lots - max(0, against)
        if adding <= 0:
            return True
        value = (
            instrument.notional_quote(ticket.price_ticks, adding)
            if ticket.price_ticks
            else market.cost(ticket.side, adding)
        )
        return self.available(instrument.quote) >= value / self.leverage_of(market.index)

    def reservation(self, market: Market, ticket: Ticket) -> tuple[str, Decimal]:
        """Return the margin of one lot; a reduce-only or market order locks none."""
        instrument = market.instrument
        if not ticket.price_ticks or ticket.is_reduce_only:
            return instrument.quote, Decimal(0)
        return instrument.quote, instrument.notional_quote(ticket.price_ticks, 1) / self.leverage_of(market.index)

    def settle(self, fill: VenueFill) -> tuple[VenueFill, set[str]]:
        """Move the position, realise profit of what was closed, and take the fee in the settlement asset."""
        market = fill.order.market
        instrument = market.instrument
        self._markets[market.index] = market
        position = self.positions.setdefault(market.index, Position())
        signed = fill.size_lots if fill.side is Side.BUY else -fill.size_lots
        closed = min(abs(signed), abs(position.size_lots)) if signed * position.size_lots < 0 else 0
        realized = Decimal(0)
        if closed:
            held = abs(position.size_lots)
            # The last lot takes the whole rest with it: a division would leave dust behind.
            entry = position.entry_quote if closed == held else position.entry_quote * closed / held
            value = instrument.notional_quote(fill.price_ticks, closed)
            realized = value - entry if position.size_lots > 0 else entry - value
            position.entry_quote -= entry
        position.entry_quote += instrument.notional_quote(fill.price_ticks, abs(signed) - closed)
        position.size_lots += signed
        position.realized_quote += realized
        rate = self._setup.maker_fee if fill.is_maker else self._setup.taker_fee
        fee_quote = fill.price * fill.size * rate
        fee, fee_asset = _fee(self._setup, self.balances, fee_quote, instrument.quote, fee_quote)
        _of(self.balances, instrument.quote).free += realized
        _of(self.balances, fee_asset).free -= fee
        return attrs.evolve(fill, fee=fee, fee_asset=fee_asset, realized_quote=realized), {instrument.quote, fee_asset}


class UnifiedMoney:
    """Spot and derivatives out of one wallet: each market by the rules of its kind, all on the same balances.

    Args:
        setup: Start balances, fees and leverage.
    """

    def __init__(self, setup: AccountSetup) -> None:
        self.spot = SpotMoney(setup)
        self.linear = LinearMoney(setup)
        self.balances = self.linear.balances = self.spot.balances
        self.positions = self.linear.positions

    def can_pay(self, market: Market, ticket: Ticket) -> bool:
        """Tell whether the wallet covers the order."""
        return self._rules(market).can_pay(market, ticket)

    def reservation(self, market: Market, ticket: Ticket) -> tuple[str, Decimal]:
        """Return what an open lot locks in a market of that kind."""
        return self._rules(market).reservation(market, ticket)

    def settle(self, fill: VenueFill) -> tuple[VenueFill, set[str]]:
        """Move what a fill moves in a market of that kind."""
        return self._rules(fill.order.market).settle(fill)

    def _rules(self, market: Market) -> SpotMoney | LinearMoney:
        return self.spot if market.instrument.kind is InstrumentKind.SPOT else self.linear


class Account:
    """One account.

    Args:
        setup: As given.
        kinds: Of the venue's markets.
        order_limits: Unfilled orders that it may place, `(seconds, count)`.

    Attributes:
        name: Owner of its orders in the matching engine.
        keys: Its keys by their public part; the god view may revoke one.
        money: What it owns.
        orders: Every order, oldest first, by venue-wide order id.
        fills: Every fill, oldest first.
        order_counts: Unfilled orders per window.
        can_trade: False makes the exchange refuse its orders.
    """

    def __init__(
        self, setup: AccountSetup, kinds: frozenset[InstrumentKind], order_limits: Iterable[tuple[int, int]]
    ) -> None:
        self.setup = setup
        self.name = setup.name
        self.keys: dict[str, ApiKey] = {key.key: key for key in setup.keys}
        self.money: Money = _money(setup, kinds)
        self.orders: dict[int, VenueOrder] = {}
        self.fills: deque[VenueFill] = deque(maxlen=_FILLS_KEPT)
        self.order_counts = [RateWindow(seconds, count) for seconds, count in order_limits]
        self.can_trade = True
        self._open: dict[int, VenueOrder] = {}
        self._by_client: dict[tuple[int, str], VenueOrder] = {}

    def open_orders(self, market: Market | None = None) -> list[VenueOrder]:
        """Return what may still trade, oldest first, in one market or in all."""
        return [order for order in self._open.values() if market is None or order.market is market]

    def order(self, market: Market, *, order_id: int | None = None, client_id: str | None = None) -> VenueOrder | None:
        """Return the order of that id, or the newest of that client id; None when there is none in that market."""
        if order_id is not None:
            order = self.orders.get(order_id)
            return order if order is not None and order.market is market else None
        return None if client_id is None else self._by_client.get((market.index, client_id))

    def remember(self, order: VenueOrder) -> None:
        """Take a new order into the books."""
        self.orders[order.order_id] = order
        self._open[order.order_id] = order
        self._by_client[order.market.index, order.client_id] = order
        if len(self.orders) > _ORDERS_KEPT:
            oldest = next((known for known in self.orders.values() if not known.state.is_open), None)
            if oldest is not None:
                del self.orders[oldest.order_id]
                self._by_client.pop((oldest.market.index, oldest.client_id), None)

    def rename(self, order: VenueOrder, client_id: str) -> None:
        """Give an open order another client id; the old one is free again."""
        if self._by_client.get((order.market.index, order.client_id)) is order:
            del self._by_client[order.market.index, order.client_id]
        order.client_id = client_id
        self._by_client[order.market.index, client_id] = order

    def ended(self, order: VenueOrder) -> None:
        """Note that an order is no longer open."""
        self._open.pop(order.order_id, None)

    def lock(self, order: VenueOrder, lots: int) -> None:
        """Lock what `lots` of the order need; a negative count gives back."""
        balance = _of(self.money.balances, order.reserve_asset)
        amount = order.reserve_per_lot * lots
        balance.free -= amount
        balance.locked += amount


def _money(setup: AccountSetup, kinds: frozenset[InstrumentKind]) -> Money:
    if len(kinds) > 1:
        return UnifiedMoney(setup)
    return SpotMoney(setup) if InstrumentKind.SPOT in kinds else LinearMoney(setup)


def _of(balances: dict[str, Balance], asset: str) -> Balance:
    return balances.setdefault(asset, Balance())


def _fee(
    setup: AccountSetup, balances: dict[str, Balance], fee: Decimal, asset: str, fee_quote: Decimal
) -> tuple[Decimal, str]:
    """Return fee and asset: the discount asset's where the account has enough of it."""
    if setup.fee_asset is None:
        return _rounded(fee), asset
    discounted = _rounded(fee_quote / setup.fee_asset_price)
    if _of(balances, setup.fee_asset).free >= discounted:
        return discounted, setup.fee_asset
    return _rounded(fee), asset


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("1e-8"))

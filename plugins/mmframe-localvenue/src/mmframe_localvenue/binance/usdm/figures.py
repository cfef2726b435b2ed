"""What positions and wallets are worth, and how the futures exchange writes numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.domain.market import Side
from mmframe_localvenue.core import Balance, LinearMoney, Position

if TYPE_CHECKING:
    from mmframe_localvenue.core import Account, Market

__all__ = [
    "PositionFigures",
    "Wallet",
    "average_text",
    "decimals",
    "linear_money",
    "mark_price",
    "plain",
    "rounded",
]

MAINTENANCE_RATE = Decimal("0.004")
_PRICE_DECIMALS = 5
_ENTRY_STEP = Decimal("1e-11")
_ZERO = Decimal(0)


def plain(value: Decimal) -> str:
    """Return a number without exponent and without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: Decimal, digits: int = 8) -> str:
    """Return a number with exactly that many decimals."""
    return f"{value:.{digits}f}"


def decimals(value: Decimal) -> int:
    """Return how many decimals a number has, zeros at its end not counted."""
    return len(plain(value).partition(".")[2])


def linear_money(account: Account) -> LinearMoney:
    """Return the purse of an account of this exchange."""
    money = account.money
    assert isinstance(money, LinearMoney), "the dialect's markets are linear"  # noqa: S101 - tells the type checker
    return money


def mark_price(market: Market) -> Decimal:
    """Return the middle of the book, or the last trade's price while a side is empty."""
    bid, ask = market.engine.best(Side.BUY), market.engine.best(Side.SELL)
    return market.instrument.tick_size * (bid + ask) / 2 if bid and ask else market.last_price


@attrs.frozen
class PositionFigures:
    """One account's position in one market, marked.

    Attributes:
        amount: Signed size, base units.
        entry: Average entry price; 0 without a position.
        break_even: Price at which closing as taker wins and loses nothing, what opening it cost not counted.
        unrealized: Profit at the mark price, quote units.
        notional: Signed value at the mark price, quote units.
        initial_margin: Margin of the position at the mark price.
        maintenance_margin: Margin below which it would be liquidated.
        order_margin: Margin of the open orders.
        bid_notional: Value of the open buy orders.
        ask_notional: Value of the open sell orders.
    """

    amount: Decimal
    entry: Decimal
    mark: Decimal
    break_even: Decimal
    unrealized: Decimal
    notional: Decimal
    leverage: int
    initial_margin: Decimal
    maintenance_margin: Decimal
    order_margin: Decimal
    bid_notional: Decimal
    ask_notional: Decimal

    @classmethod
    def of(cls, account: Account, market: Market) -> PositionFigures:
        """Return the figures as they are now."""
        money = linear_money(account)
        position = money.positions.get(market.index, Position())
        amount, mark = market.instrument.size(position.size_lots), mark_price(market)
        entry_value = position.entry_quote if amount >= 0 else -position.entry_quote
        entry = (entry_value / amount).quantize(_ENTRY_STEP) if amount else _ZERO
        fee = account.setup.taker_fee
        notional = amount * mark
        leverage = money.leverage_of(market.index)
        orders = account.open_orders(market)
        values = {
            side: sum((order.price * (order.size - order.filled) for order in orders if order.side is side), _ZERO)
            for side in (Side.BUY, Side.SELL)
        }
        return cls(
            amount=amount,
            entry=entry,
            mark=mark,
            break_even=(entry / (1 - fee if amount > 0 else 1 + fee)).quantize(_ENTRY_STEP),
            unrealized=notional - entry_value,
            notional=notional,
            leverage=leverage,
            initial_margin=abs(notional) / leverage,
            maintenance_margin=abs(notional) * MAINTENANCE_RATE,
            order_margin=sum((order.reserve_per_lot * order.leaves_lots for order in orders), _ZERO),
            bid_notional=values[Side.BUY],
            ask_notional=values[Side.SELL],
        )


@attrs.frozen
class Wallet:
    """What one account has in one asset.

    Attributes:
        balance: Deposits, realised profit and fees.
        unrealized: Profit of the open positions that settle in it.
        available: What new orders may put up as margin.
    """

    asset: str
    balance: Decimal
    unrealized: Decimal
    position_margin: Decimal
    order_margin: Decimal
    maintenance_margin: Decimal
    available: Decimal

    @classmethod
    def of(cls, account: Account, asset: str, markets: list[Market]) -> Wallet:
        """Return the figures as they are now; `markets` are all that the exchange has."""
        held = [PositionFigures.of(account, market) for market in markets if market.instrument.quote == asset]
        balance = account.money.balances.get(asset, Balance()).total
        unrealized = sum((one.unrealized for one in held), _ZERO)
        position_margin = sum((one.initial_margin for one in held), _ZERO)
        order_margin = sum((one.order_margin for one in held), _ZERO)
        return cls(
            asset=asset,
            balance=balance,
            unrealized=unrealized,
            position_margin=position_margin,
            order_margin=order_margin,
            maintenance_margin=sum((one.maintenance_margin for one in held), _ZERO),
            available=max(_ZERO, balance + unrealized - position_margin - order_margin),
        )

    @property
    def margin_balance(self) -> Decimal:
        """Return the balance with the profit of open positions."""
        return self.balance + self.unrealized


def average_text(market: Market, value: Decimal, size: Decimal) -> str:
    """Return an average price as orders show it; zeros before the first fill."""
    digits = max(_PRICE_DECIMALS, decimals(market.instrument.tick_size) + 1)
    return rounded(value / size if size else _ZERO, digits)

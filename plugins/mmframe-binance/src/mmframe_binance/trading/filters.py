"""The exchange's filters of a symbol: whether the strategy's grid is the exchange's, and whether an order can pass.

Source: the exchange's documentation of filters, spot and USDⓈ-M.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import attrs

from mmframe_binance.trading.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.domain.instrument import Instrument
    from mmframe_binance.trading.wire import SymbolFilter, SymbolInfo

__all__ = ["SymbolRules"]

_ZERO = Decimal(0)
_MAGNITUDE_MAX = 30


@attrs.frozen
class SymbolRules:
    """What the exchange demands of orders of one symbol; 0 is no bound.

    Attributes:
        symbol: The exchange's name.
        status: `TRADING` when it can be quoted.
        tick_size: Price step.
        step_size: Size step.
        price_min: Lowest price.
        price_max: Highest price.
        size_min: Smallest order.
        size_max: Largest order.
        notional_min: Smallest price times size.
        notional_max: Largest price times size.
        orders_max: Open orders of the account.
        can_amend: Spot: an order can be made smaller in its place.
        can_replace: Spot: cancel and new order in one request.
        self_trade_modes: Spot: what `selfTradePreventionMode` may be; empty when not told.
    """

    symbol: str
    status: str
    tick_size: Decimal
    step_size: Decimal
    price_min: Decimal = _ZERO
    price_max: Decimal = _ZERO
    size_min: Decimal = _ZERO
    size_max: Decimal = _ZERO
    notional_min: Decimal = _ZERO
    notional_max: Decimal = _ZERO
    orders_max: int = 0
    can_amend: bool = False
    can_replace: bool = False
    self_trade_modes: tuple[str, ...] = ()

    @classmethod
    def of(cls, info: SymbolInfo) -> SymbolRules:
        """Return the rules that `exchangeInfo` lists.

        Raises:
            WireError: If a filter that orders need is missing or no number.
        """
        filters = {each.filter_type: each for each in info.filters}
        price, size = filters.get("PRICE_FILTER"), filters.get("LOT_SIZE")
        if price is None or size is None:
            raise WireError(f"exchangeInfo of {info.symbol}: expected PRICE_FILTER and LOT_SIZE, was one without")
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL")
        orders = filters.get("MAX_NUM_ORDERS")
        return cls(
            symbol=info.symbol,
            status=info.status,
            tick_size=_number(price.tick_size),
            step_size=_number(size.step_size),
            price_min=_number(price.min_price),
            price_max=_number(price.max_price),
            size_min=_number(size.min_qty),
            size_max=_number(size.max_qty),
            notional_min=_smallest_notional(notional),
            notional_max=_ZERO if notional is None else _number(notional.max_notional),
            orders_max=0 if orders is None else orders.max_num_orders or orders.limit or 0,
            can_amend=info.amend_allowed,
            can_replace=info.cancel_replace_allowed,
            self_trade_modes=tuple(info.allowed_self_trade_prevention_modes),
        )

    def grid_problems(self, instrument: Instrument) -> Iterator[str]:
        """Yield how the strategy's grid differs from the exchange's; nothing when it does not."""
        for name, was, expected in (
            ("tick_size", instrument.tick_size, self.tick_size),
            ("lot_size", instrument.lot_size, self.step_size),
        ):
            if expected and was != expected:
                yield f"{name}: expected {_plain(expected)} as the exchange says, was {_plain(was)}"

    def order_problem(
        self, instrument: Instrument, price_ticks: int, size_lots: int, *, is_reduce_only: bool = False
    ) -> str:
        """Return why the exchange would certainly refuse an order; empty when it may pass.

        Args:
            instrument: The market's grid.
            price_ticks: The order's price.
            size_lots: The order's size.
            is_reduce_only: The exchange is told that it only reduces a position: then it may be worth less than others.
        """
        price, size = instrument.price(price_ticks), instrument.size(size_lots)
        for what, value, least, most in (
            ("price", price, self.price_min, self.price_max),
            ("size", size, self.size_min, self.size_max),
            ("notional", price * size, _ZERO if is_reduce_only else self.notional_min, self.notional_max),
        ):
            if value < least:
                return f"{what}: expected at least {_plain(least)}, was {_plain(value)}"
            if most and value > most:
                return f"{what}: expected at most {_plain(most)}, was {_plain(value)}"
        return ""


def _smallest_notional(notional: SymbolFilter | None) -> Decimal:
    if notional is None:
        return _ZERO
    return max(_number(notional.min_notional), _number(notional.notional))


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0 or abs(number.adjusted()) > _MAGNITUDE_MAX:
        raise WireError(f"exchangeInfo: expected a number of 0 or more in a filter, was {text[:40]!r}")
    return number


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text

"""What is traded and on which grid: exact conversion between decimal text and integer ticks and lots."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import Enum

import attrs

from mmframe.errors import DomainError

__all__ = ["Instrument", "InstrumentKind"]

_MAX_GRID_UNITS = 2**53
"""Largest tick or lot count: beyond it the float views of optimizers would no longer be exact."""


class InstrumentKind(Enum):
    """How positions in the instrument settle."""

    SPOT = "spot"
    LINEAR = "linear"


def _positive(instance: object, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:  # noqa: ARG001 - attrs calls it so
    if not value.is_finite() or value <= 0:
        msg = f"{attribute.name}: expected a finite number above 0, was {str(value)!r}"
        raise DomainError(msg)


@attrs.frozen
class Instrument:
    """A market's identity and grid.

    Args:
        symbol: Unified name, `BASE/QUOTE`.
        tick_size: Price step, in quote units per base unit.
        lot_size: Size step, in base units.
        min_size_lots: Smallest order, in lots.
        max_size_lots: Largest order, in lots, or None.
        min_notional_quote: Smallest order value, in quote units.
        venue_symbol: The venue's own name; by default the unified name without its slash.

    Raises:
        DomainError: If a step is not a finite number above 0 or the symbol has no slash.
    """

    symbol: str
    tick_size: Decimal = attrs.field(validator=_positive)
    lot_size: Decimal = attrs.field(validator=_positive)
    min_size_lots: int = 1
    max_size_lots: int | None = None
    min_notional_quote: Decimal = Decimal(0)
    kind: InstrumentKind = InstrumentKind.SPOT
    venue_symbol: str = ""
    base: str = attrs.field(init=False)
    quote: str = attrs.field(init=False)
    tick: float = attrs.field(init=False, eq=False, repr=False)
    lot: float = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        base, slash, quote = self.symbol.partition("/")
        if not (base and slash and quote):
            msg = f"symbol: expected 'BASE/QUOTE', was {self.symbol!r}"
            raise DomainError(msg)
        # attrs' documented way to fill derived fields of a frozen class.
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "quote", quote)
        object.__setattr__(self, "tick", float(self.tick_size))
        object.__setattr__(self, "lot", float(self.lot_size))
        if not self.venue_symbol:
            object.__setattr__(self, "venue_symbol", base + quote)

    def price_ticks(self, price: str | Decimal) -> int:
        """Return the exact tick count of `price`.

        Raises:
            DomainError: If it is not a finite number on the tick grid.
        """
        return self._units(price, self.tick_size, "price", "tick_size")

    def size_lots(self, size: str | Decimal) -> int:
        """Return the exact lot count of `size`.

        Raises:
            DomainError: If it is not a finite number on the lot grid.
        """
        return self._units(size, self.lot_size, "size", "lot_size")

    def price(self, ticks: int) -> Decimal:
        """Return the exact price of `ticks`, in quote units per base unit."""
        return self.tick_size * ticks

    def size(self, lots: int) -> Decimal:
        """Return the exact size of `lots`, in base units."""
        return self.lot_size * lots

    def price_text(self, ticks: int) -> str:
        """Return the price as plain decimal text, as a venue's API takes it."""
        return format(self.tick_size * ticks, "f")

    def size_text(self, lots: int) -> str:
        """Return the size as plain decimal text, as a venue's API takes it."""
        return format(self.lot_size * lots, "f")

    def notional_quote(self, ticks: int, lots: int) -> Decimal:
        """Return the exact value of `lots` at `ticks`, in quote units."""
        return self.tick_size * self.lot_size * (ticks * lots)

    def _units(self, value: str | Decimal, step: Decimal, name: str, step_name: str) -> int:
        try:
            number = Decimal(value)
        except InvalidOperation:
            msg = f"{self.symbol} {name}: expected a decimal number, was {value!r}"
            raise DomainError(msg) from None
        if not number.is_finite() or abs(number.adjusted()) > 30:
            msg = f"{self.symbol} {name}: expected a finite number of sane magnitude, was {str(value)!r}"
            raise DomainError(msg)
        units = number / step
        count = int(units)
        if count * step != number:
            msg = f"{self.symbol} {name}: expected a multiple of {step_name} {step}, was {str(value)!r}"
            raise DomainError(msg)
        if abs(count) > _MAX_GRID_UNITS:
            msg = f"{self.symbol} {name}: expected at most {_MAX_GRID_UNITS} steps of {step}, was {str(value)!r}"
            raise DomainError(msg)
        return count

"""From decimal text to ticks and lots, exactly and once per distinct text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from mmframe.domain.instrument import Instrument

__all__ = ["CACHED_TEXTS_MAX", "GridColumn", "price_column", "size_column"]

CACHED_TEXTS_MAX = 65_536
"""Distinct texts that a column remembers; at the bound it forgets all and starts anew."""

_PLAIN_LENGTH_MAX = 40
"""Longest number that is read as plain digits; Python refuses to make an integer of thousands of them."""

_DIGITS = b"0123456789"

_UNITS_MAX = 2**53
"""As of `Instrument`: beyond it floats are no longer exact."""


class GridColumn(dict[str, int]):
    """A column's texts with their whole numbers of steps; `column[text]` converts what it has not seen.

    Args:
        step: Tick or lot size.
        convert: The instrument's own exact conversion, for every text that is not plain digits on the grid.
        units_min: Smallest number of steps allowed.
        name: What the column is, for errors.

    Raises:
        DomainError: From `column[text]`, if the text is not a decimal number on the grid of at least `units_min` steps.
    """

    __slots__ = ("_convert", "_decimals", "_factors", "_name", "_step_units", "_units_min")

    def __init__(self, step: Decimal, convert: Callable[[str], int], *, units_min: int, name: str) -> None:
        super().__init__()
        exponent = step.as_tuple().exponent
        self._decimals = max(0, -exponent) if isinstance(exponent, int) else 0
        self._step_units = int(step.scaleb(self._decimals))
        """The step as a whole number of the last decimal's units: 5 for 0.05."""
        self._factors = tuple(10**missing for missing in range(self._decimals, -1, -1))
        """By how many decimals a text has, what makes it a whole number of the last decimal's units."""
        self._convert = convert
        self._units_min = units_min
        self._name = name

    def __missing__(self, text: str) -> int:
        # Digits with at most one dot are nearly all there is; the instrument's own conversion takes the rest.
        whole, _, fraction = text.partition(".")
        if len(fraction) > self._decimals and not fraction[self._decimals :].strip("0"):
            # Exchanges write a fixed number of digits, whatever the step is.
            fraction = fraction[: self._decimals]
        digits = whole + fraction
        units, rest = 0, 1
        if len(fraction) <= self._decimals and len(text) <= _PLAIN_LENGTH_MAX and digits.isascii() and digits.isdigit():
            units, rest = divmod(int(digits) * self._factors[len(fraction)], self._step_units)
        if rest or not self._units_min <= units <= _UNITS_MAX:
            units = self._careful(text)
        if len(self) >= CACHED_TEXTS_MAX:
            self.clear()
        self[text] = units
        return units

    def plain(self, texts: Sequence[str]) -> list[int] | None:
        """Return the steps of `texts`, None unless all are digits with at most one dot, on the grid and in bounds.

        Remembers nothing: faster than looking up texts of which most are new, as sizes are.
        """
        if not texts:
            return []
        units = self._of_fixed_form(texts)
        if units is not None:
            return self._steps(units)
        parts = [text.partition(".") for text in texts]
        fractions = [fraction for _, _, fraction in parts]
        decimals = self._decimals
        if max(map(len, fractions)) > decimals:
            if any(fraction[decimals:].strip("0") for fraction in fractions):
                return None
            fractions = [fraction[:decimals] for fraction in fractions]
        digits = [part[0] + fraction for part, fraction in zip(parts, fractions, strict=True)]
        joined = "".join(digits)
        is_plain = "" not in digits and joined.isascii() and joined.isdigit()
        if not is_plain or max(map(len, digits)) > _PLAIN_LENGTH_MAX:
            return None
        factors = self._factors
        return self._steps([int(text) * factors[len(part)] for text, part in zip(digits, fractions, strict=True)])

    def _of_fixed_form(self, texts: Sequence[str]) -> list[int] | None:
        """Return units of the last decimal if all texts have the same count of decimals, as some exchanges write."""
        first, count = texts[0], len(texts)
        written = len(first) - 1 - first.find(".")
        if not 0 < written < len(first):
            return None
        # Nearly all of the work is done by a few calls for all texts together.
        joined = " ".join(texts)
        if joined.encode("ascii", "replace").translate(None, _DIGITS) != b" ".join([b"."] * count):
            return None
        # Digits with one dot each; now the dots must stand alike, behind at least one digit.
        lengths = list(map(len, texts))
        if max(lengths) > _PLAIN_LENGTH_MAX or min(lengths) < written + 2:
            return None
        dot = -1 - written
        if [text[dot] for text in texts].count(".") != count:
            return None
        digits = joined.replace(".", "")
        surplus = written - self._decimals
        if surplus > 0:
            # What is beyond the last decimal must be zeros, and goes before the numbers are read.
            cut = f"{digits} ".replace("0" * surplus + " ", " ")
            if len(digits) + 1 - len(cut) != surplus * count:
                return None
            digits = cut
        units = list(map(int, digits.split()))
        return [unit * self._factors[written] for unit in units] if surplus < 0 else units

    def _steps(self, units: list[int]) -> list[int] | None:
        """Return whole steps of units of the last decimal, None if one is off the grid or out of bounds."""
        step = self._step_units
        if step != 1:
            if any(unit % step for unit in units):
                return None
            units = [unit // step for unit in units]
        return units if min(units) >= self._units_min and max(units) <= _UNITS_MAX else None

    def _careful(self, text: str) -> int:
        if "_" in text or not text.isascii():
            # Python's own numbers may be grouped so, or be written in other scripts; no exchange writes them.
            msg = f"{self._name}: expected a decimal number, was {text!r}"
            raise DomainError(msg)
        units = self._convert(text)
        if units < self._units_min:
            expected = "above 0" if self._units_min else "0 or above"
            msg = f"{self._name}: expected {expected}, was {text!r}"
            raise DomainError(msg)
        return units


def price_column(instrument: Instrument) -> GridColumn:
    """Return the column of prices of `instrument`, in ticks above 0."""
    return GridColumn(instrument.tick_size, instrument.price_ticks, units_min=1, name=f"{instrument.symbol} price")


def size_column(instrument: Instrument, *, units_min: int) -> GridColumn:
    """Return a column of sizes of `instrument`, in lots; a book level may be 0, a trade may not."""
    return GridColumn(instrument.lot_size, instrument.size_lots, units_min=units_min, name=f"{instrument.symbol} size")

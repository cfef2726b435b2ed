"""The option `unit` of the volatility signals: what their value is told in."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

from mmframe.plugin import option

__all__ = ["QUOTE_UNIT", "UNIT_DESCRIPTION", "UNIT_WORDS", "VolatilityUnit", "unit_option", "volatility_unit"]

_YEAR_S = 31_557_600.0
"""365.25 days: markets that never close have no other year."""
QUOTE_UNIT = "quote-per-sqrt-s"
_BPS = "bps-per-sqrt-s"
_ANNUAL_PERCENT = "annual-percent"

UNIT_WORDS = "quote units per sqrt(s), unless `unit` says otherwise"
UNIT_DESCRIPTION = """\
Unit: quote units per sqrt(s), as of `ewma-volatility`, so `name = "volatility"` hands it to the stages that read
`volatility`. With `unit = "bps-per-sqrt-s"` it is divided by the mid and multiplied by 10,000, with
`unit = "annual-percent"` divided by the mid and multiplied by 100 x 5,617.6 (the root of the seconds of 365.25 days);
stages that read `volatility` expect neither."""


class VolatilityUnit(NamedTuple):
    """How a rule turns quote units per sqrt(s) into the unit asked for."""

    scale: float
    is_share_of_mid: bool


def unit_option() -> Any:
    """Return the option."""
    return option(
        help="What the value is told in; stages that read `volatility` expect the default.",
        default=QUOTE_UNIT,
        choices=(QUOTE_UNIT, _BPS, _ANNUAL_PERCENT),
    )


def volatility_unit(unit: str) -> VolatilityUnit:
    """Return the conversion to `unit`, one of the option's choices."""
    if unit == _BPS:
        return VolatilityUnit(10_000.0, is_share_of_mid=True)
    if unit == _ANNUAL_PERCENT:
        return VolatilityUnit(100.0 * sqrt(_YEAR_S), is_share_of_mid=True)
    return VolatilityUnit(1.0, is_share_of_mid=False)

"""What a round trip earns, which spread breaks even, and how much volume pays the fixed costs.

Pure functions of numbers, for a person before a strategy is written and for research; nothing here runs in the quoting
loop, and `mmframe breakeven` shows the same. They stand beside the components because they speak the same units: bps of
the price, the quote asset, seconds.

A *round trip* is one buy at our bid and one sell at our ask, both filled as a maker, each of the same value. Volume
counts both fills, as exchanges count it, so a day's round trips are worth half of the day's volume.

An adverse move is charged for both fills, as fills are marked one by one. That is the careful side: it is what is lost
where fills come whatever is held. Of two fills that close each other the second one's move finds nothing held, so a
maker whose inventory always comes back loses one adverse move a round trip; the option `adverse_move_bps` of the
quoting models therefore adds half of it to each quote, where breaking even here asks for the whole.

Worked example: a spread of 8 bps, a fee of 1 bp a fill and an adverse move of 1.5 bps a fill; each fill is worth 500
and stays for 120 s in a market that moves 0.9 bps in a second, with a risk aversion of 0.0004 per unit of the quote
asset. Inventory costs 0.0004 / 2 x 500 x 0.9^2 x 120 / 10,000 = 0.000972 bps, so a round trip earns
8 - 2 x 1 - 2 x 1.5 - 0.000972 = 2.999028 bps and 5.000972 bps break even. 400 fills are a volume of 200,000 a day and
earn 2.999028 / 10,000 x 100,000 = 29.99028; after fixed costs of 24 a day 5.99028 remain, and a volume of
2 x 24 / 0.0002999028 = 160,051.86 would have paid them.
"""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import attrs

from mmframe.errors import DomainError

__all__ = [
    "SENSITIVITY_SHARE",
    "Economics",
    "Sensitivity",
    "TradingCase",
    "break_even_spread_bps",
    "economics",
    "inventory_cost_bps",
    "minimum_volume_per_day_quote",
    "pnl_per_day_quote",
    "round_trip_edge_bps",
    "sensitivity",
]

SENSITIVITY_SHARE = 0.1
"""By which share `sensitivity` moves each input unless told."""

_BPS = 10_000.0
_DAY_S = 86_400.0
_WIDEST_BPS = 20_000.0
"""A spread of twice the mid: the bid would be 0."""


def inventory_cost_bps(
    *,
    sigma_bps_per_sqrt_s: float = 0.0,
    holding_s: float = 0.0,
    risk_aversion: float = 0.0,
    order_value_quote: float = 0.0,
    funding_bps_per_day: float = 0.0,
) -> float:
    """Return what it costs to hold one fill until the other one closes it, in bps of its value.

    `risk_aversion / 2 x order_value x sigma^2 x holding / 10,000 + funding x holding / 86,400`: what an exponential
    utility would give up to be rid of the variance, and what carrying the position costs.

    Args:
        sigma_bps_per_sqrt_s: Volatility of the price, bps per square-root second, >= 0.
        holding_s: Seconds between the two fills of a round trip, >= 0.
        risk_aversion: Gamma, 1 / quote asset, >= 0, as the optimizer `avellaneda-stoikov` has it.
        order_value_quote: Value of one fill, quote asset, >= 0.
        funding_bps_per_day: Paid for carrying a position for a day, bps of its value; negative is earned.

    Raises:
        DomainError: If a number is not finite or out of its range.

    Source: Avellaneda & Stoikov (2008), section 2.2, the agent who holds his inventory until the end.
    """
    _require("sigma_bps_per_sqrt_s", sigma_bps_per_sqrt_s, minimum=0.0)
    _require("holding_s", holding_s, minimum=0.0)
    _require("risk_aversion", risk_aversion, minimum=0.0)
    _require("order_value_quote", order_value_quote, minimum=0.0)
    _require("funding_bps_per_day", funding_bps_per_day, minimum=-_BPS, maximum=_BPS)
    risk = risk_aversion / 2.0 * order_value_quote * sigma_bps_per_sqrt_s**2 * holding_s / _BPS
    return _finite("inventory_cost_bps", risk + funding_bps_per_day * holding_s / _DAY_S)


def round_trip_edge_bps(
    spread_bps: float, *, maker_fee_bps: float = 0.0, adverse_bps: float = 0.0, inventory_bps: float = 0.0
) -> float:
    """Return what one round trip earns: `spread - 2 x maker_fee - 2 x adverse - inventory`, in bps of one fill's value.

    Args:
        spread_bps: Between our bid and our ask, bps of the mid, from 0 to below 20,000.
        maker_fee_bps: Of each fill; a rebate is negative.
        adverse_bps: Expected move of the mid against us after a fill, bps; negative when fills are followed by gains.
        inventory_bps: Of a round trip, from `inventory_cost_bps`.

    Raises:
        DomainError: If a number is not finite or out of its range.
    """
    _require_spread(spread_bps)
    return _finite("edge", spread_bps - _costs_bps(maker_fee_bps, adverse_bps, inventory_bps))


def break_even_spread_bps(*, maker_fee_bps: float = 0.0, adverse_bps: float = 0.0, inventory_bps: float = 0.0) -> float:
    """Return the smallest spread at which a round trip loses nothing, in bps of the mid.

    `max(0, 2 x maker_fee + 2 x adverse + inventory)`: 0 where a rebate pays for everything, as no spread is negative.

    Arguments and errors as of `round_trip_edge_bps`.
    """
    return max(0.0, _costs_bps(maker_fee_bps, adverse_bps, inventory_bps))


def pnl_per_day_quote(edge_bps: float, *, volume_per_day_quote: float, fixed_cost_per_day_quote: float = 0.0) -> float:
    """Return a day's expected profit, `edge / 10,000 x volume / 2 - fixed costs`, in the quote asset.

    Args:
        edge_bps: Of a round trip.
        volume_per_day_quote: Value of all fills of both sides, >= 0.
        fixed_cost_per_day_quote: What is paid whether or not anything trades, >= 0.

    Raises:
        DomainError: If a number is not finite or out of its range.
    """
    _require("edge_bps", edge_bps)
    _require("volume_per_day_quote", volume_per_day_quote, minimum=0.0)
    _require("fixed_cost_per_day_quote", fixed_cost_per_day_quote, minimum=0.0)
    return _finite("pnl", edge_bps / _BPS * volume_per_day_quote / 2.0 - fixed_cost_per_day_quote)


def minimum_volume_per_day_quote(edge_bps: float, *, fixed_cost_per_day_quote: float) -> float | None:
    """Return the volume that pays the fixed costs: `2 x fixed costs / (edge / 10,000)`, in the quote asset.

    None when no volume does: a round trip earns nothing, or loses. 0.0 when there is nothing to pay.

    Arguments and errors as of `pnl_per_day_quote`.
    """
    _require("edge_bps", edge_bps)
    _require("fixed_cost_per_day_quote", fixed_cost_per_day_quote, minimum=0.0)
    if edge_bps < 0.0 or (not edge_bps and fixed_cost_per_day_quote):
        return None
    if not fixed_cost_per_day_quote:
        return 0.0
    volume = 2.0 * fixed_cost_per_day_quote / edge_bps * _BPS
    return volume if isfinite(volume) else None


@attrs.frozen(kw_only=True)
class TradingCase:
    """How somebody means to trade, as numbers.

    Attributes:
        spread_bps: Between our bid and our ask, bps of the mid.
        maker_fee_bps: Of each fill; a rebate is negative.
        adverse_bps: Expected move of the mid against us after a fill, bps.
        sigma_bps_per_sqrt_s: Volatility of the price; counts only together with `risk_aversion` and `holding_s`.
        holding_s: Seconds between the two fills of a round trip.
        risk_aversion: 1 / quote asset; 0 charges nothing for risk.
        funding_bps_per_day: For carrying a position a day; negative is earned.
        order_value_quote: Value of one fill; None when it is not known.
        fills_per_day: Both sides; None when it is not known.
        volume_per_day_quote: Value of all fills; None for `fills_per_day x order_value_quote`.
        fixed_cost_per_day_quote: What is paid whether or not anything trades.

    Raises:
        DomainError: If a number is not finite or out of its range, or stands without one that it needs.
    """

    spread_bps: float
    maker_fee_bps: float = 0.0
    adverse_bps: float = 0.0
    sigma_bps_per_sqrt_s: float = 0.0
    holding_s: float = 0.0
    risk_aversion: float = 0.0
    funding_bps_per_day: float = 0.0
    order_value_quote: float | None = None
    fills_per_day: float | None = None
    volume_per_day_quote: float | None = None
    fixed_cost_per_day_quote: float = 0.0

    def __attrs_post_init__(self) -> None:
        _require_spread(self.spread_bps)
        if self.order_value_quote is not None:
            _require("order_value_quote", self.order_value_quote, above=0.0)
        if self.fills_per_day is not None:
            _require("fills_per_day", self.fills_per_day, minimum=0.0)
        _require("risk_aversion", self.risk_aversion, minimum=0.0)
        self._require_companions()
        # What is left is checked where it is used.
        economics(self)

    def _require_companions(self) -> None:
        """Refuse a number that would silently count for nothing."""
        if self.volume_per_day_quote is not None and self.fills_per_day is not None:
            _wrong("volume_per_day_quote", "expected none beside fills_per_day", self.volume_per_day_quote)
        if self.fills_per_day is not None and self.order_value_quote is None:
            _wrong("order_value_quote", "expected the value of one fill beside fills_per_day", None)
        if self.risk_aversion:
            for name in ("sigma_bps_per_sqrt_s", "holding_s"):
                if not getattr(self, name):
                    _wrong(name, "expected more than 0 beside risk_aversion", getattr(self, name))
            if self.order_value_quote is None:
                _wrong("order_value_quote", "expected the value of one fill beside risk_aversion", None)
        elif self.sigma_bps_per_sqrt_s:
            _wrong("risk_aversion", "expected more than 0 beside sigma_bps_per_sqrt_s", self.risk_aversion)
        if self.funding_bps_per_day and not self.holding_s:
            _wrong("holding_s", "expected more than 0 beside funding_bps_per_day", self.holding_s)
        if self.holding_s and not (self.risk_aversion or self.funding_bps_per_day):
            _wrong("holding_s", "expected risk_aversion or funding_bps_per_day beside it", self.holding_s)


class Economics(NamedTuple):
    """What a `TradingCase` comes to. A figure for which a number is missing is None."""

    inventory_bps: float
    """Cost of holding one fill until the other, bps of its value."""
    edge_bps: float
    """Earned by a round trip, bps of one fill's value."""
    break_even_spread_bps: float
    """Smallest spread at which a round trip loses nothing."""
    break_even_spread_with_fixed_bps: float | None
    """Smallest spread at which the volume also pays the fixed costs; None without a volume."""
    edge_per_round_trip_quote: float | None
    """None without the value of a fill."""
    volume_per_day_quote: float | None
    pnl_per_day_quote: float | None
    """After the fixed costs; None without a volume."""
    minimum_volume_per_day_quote: float | None
    """That pays the fixed costs; None when no volume does."""


class Sensitivity(NamedTuple):
    """What one input does to the result when it is a share lower or higher, all others as they were."""

    name: str
    low: float
    high: float
    edge_bps_at_low: float
    edge_bps_at_high: float
    pnl_per_day_quote_at_low: float | None
    pnl_per_day_quote_at_high: float | None


def economics(case: TradingCase) -> Economics:
    """Return what a case comes to; the module's text has the formulas and a worked example.

    Raises:
        DomainError: If the numbers are so large that a result leaves the range of a double.
    """
    inventory_bps = inventory_cost_bps(
        sigma_bps_per_sqrt_s=case.sigma_bps_per_sqrt_s,
        holding_s=case.holding_s,
        risk_aversion=case.risk_aversion,
        order_value_quote=case.order_value_quote or 0.0,
        funding_bps_per_day=case.funding_bps_per_day,
    )
    costs = {"maker_fee_bps": case.maker_fee_bps, "adverse_bps": case.adverse_bps, "inventory_bps": inventory_bps}
    edge_bps = round_trip_edge_bps(case.spread_bps, **costs)
    fixed = case.fixed_cost_per_day_quote
    volume = case.volume_per_day_quote
    if volume is None and case.fills_per_day is not None and case.order_value_quote is not None:
        volume = _finite("volume_per_day_quote", case.fills_per_day * case.order_value_quote)
    pnl = None
    spread_with_fixed = None
    if volume is not None:
        pnl = pnl_per_day_quote(edge_bps, volume_per_day_quote=volume, fixed_cost_per_day_quote=fixed)
        if volume:
            # What each round trip has to bring in for the fixed costs stands beside its other costs.
            share = 2.0 * fixed / volume * _BPS
            total = max(0.0, _costs_bps(**costs) + share)
            spread_with_fixed = total if total < _WIDEST_BPS else None
    value = case.order_value_quote
    return Economics(
        inventory_bps=inventory_bps,
        edge_bps=edge_bps,
        break_even_spread_bps=break_even_spread_bps(**costs),
        break_even_spread_with_fixed_bps=spread_with_fixed,
        edge_per_round_trip_quote=None if value is None else _finite("edge", edge_bps / _BPS * value),
        volume_per_day_quote=volume,
        pnl_per_day_quote=pnl,
        minimum_volume_per_day_quote=minimum_volume_per_day_quote(edge_bps, fixed_cost_per_day_quote=fixed),
    )


def sensitivity(case: TradingCase, *, share: float = SENSITIVITY_SHARE) -> tuple[Sensitivity, ...]:
    """Return what each input does when it is `share` lower and higher, the strongest effect first.

    The effect is that on the day's profit, or on the edge where no volume is known. An input that is 0 or not given is
    left out: a share of nothing is nothing.

    Raises:
        DomainError: If `share` is not between 0 and 1, or moves an input out of its range.
    """
    if not 0.0 < share < 1.0:
        _wrong("share", "expected between 0 and 1", share)
    found = [
        _moved(case, field.name, float(value), share)
        for field in attrs.fields(TradingCase)
        if (value := getattr(case, field.name))
    ]
    return tuple(sorted(found, key=_effect, reverse=True))


def _moved(case: TradingCase, name: str, value: float, share: float) -> Sensitivity:
    low, high = sorted((value * (1.0 - share), value * (1.0 + share)))
    at_low, at_high = (economics(attrs.evolve(case, **{name: moved})) for moved in (low, high))
    return Sensitivity(
        name=name,
        low=low,
        high=high,
        edge_bps_at_low=at_low.edge_bps,
        edge_bps_at_high=at_high.edge_bps,
        pnl_per_day_quote_at_low=at_low.pnl_per_day_quote,
        pnl_per_day_quote_at_high=at_high.pnl_per_day_quote,
    )


def _effect(moved: Sensitivity) -> tuple[float, float]:
    """Return how far the results lie apart, to sort by."""
    low, high = moved.pnl_per_day_quote_at_low or 0.0, moved.pnl_per_day_quote_at_high or 0.0
    return abs(high - low), abs(moved.edge_bps_at_high - moved.edge_bps_at_low)


def _costs_bps(maker_fee_bps: float, adverse_bps: float, inventory_bps: float) -> float:
    """Return what a round trip costs."""
    _require("maker_fee_bps", maker_fee_bps, minimum=-_BPS, maximum=_BPS)
    _require("adverse_bps", adverse_bps, minimum=-_BPS, maximum=_BPS)
    _require("inventory_bps", inventory_bps)
    return 2.0 * maker_fee_bps + 2.0 * adverse_bps + inventory_bps


def _require_spread(spread_bps: float) -> None:
    _require("spread_bps", spread_bps, minimum=0.0)
    if spread_bps >= _WIDEST_BPS:
        _wrong("spread_bps", f"expected less than {_WIDEST_BPS:g}, at which the bid would be 0", spread_bps)


def _require(
    name: str, value: float, *, minimum: float | None = None, maximum: float | None = None, above: float | None = None
) -> None:
    if not isfinite(value):
        _wrong(name, "expected a finite number", value)
    if above is not None and value <= above:
        _wrong(name, f"expected more than {above:g}", value)
    if minimum is not None and value < minimum:
        _wrong(name, f"expected at least {minimum:g}", value)
    if maximum is not None and value > maximum:
        _wrong(name, f"expected at most {maximum:g}", value)


def _finite(name: str, value: float) -> float:
    if not isfinite(value):
        msg = f"{name}: expected numbers small enough for a finite result, was {value!r}"
        raise DomainError(msg)
    return value


def _wrong(name: str, expected: str, was: float | None) -> None:
    msg = f"{name}: {expected}, was {'none' if was is None else f'{was:g}'}"
    raise DomainError(msg)

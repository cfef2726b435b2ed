"""Exact moments of profit and inventory under quotes that depend on time and inventory alone.

The simulation that papers run (in each step one trial a side, then a move of the mid by plus or minus sigma sqrt(dt))
is a Markov chain of the inventory, with wealth riding on it. Its moments are propagated here instead of sampled, so
they carry no sampling error. For research and tests; nothing here runs in the quoting loop.
"""

from __future__ import annotations

from math import exp, inf, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ChainMoments", "chain_moments"]

_NEGLIGIBLE = 1e-22
"""Probability below which an inventory is dropped: the moments of profit do not feel it."""
_Moments = tuple[float, float, float, float, float]


class ChainMoments(NamedTuple):
    """Moments at the end; profit in quote units, inventory in orders."""

    profit_mean: float
    profit_std: float
    profit_kurtosis: float
    """Fourth central moment over the squared variance; 3 for a normal, NaN for a certain profit. It sets
    the error of a sampled deviation."""
    inventory_mean: float
    inventory_std: float
    probability: float
    """Sum over all inventories kept: 1 but for what was dropped."""
    cut_share: float
    """Share of the steps, each as likely as it is, in which more than one fill of a side was due and a probability was
    cut to 1. Where it is not small the steps are too long, and the result is the simulation's and not the model's."""

    def profit_std_error(self, simulations: int) -> float:
        """Return the standard error of the deviation of profit as that many simulations estimate it."""
        return self.profit_std * sqrt((self.profit_kurtosis - 1.0) / (4.0 * simulations))


def chain_moments(  # noqa: PLR0913 - each is one parameter of the papers' simulation
    distances: Callable[[int, int], tuple[float, float]],
    *,
    steps: int,
    step_s: float,
    sigma: float,
    arrival_rate: float,
    decay: float,
) -> ChainMoments:
    """Return the exact moments of wealth, cash plus inventory at the mid, and of inventory after all steps.

    In each step a buy fills with probability `arrival_rate x exp(-decay x bid distance) x step_s`, cut to 1 above,
    a sell likewise and independently; then the mid moves by `sigma x sqrt(step_s)`, up or down alike.

    Args:
        distances: `(step, orders) -> (bid below the mid, ask above the mid)`; infinity is a side without a quote.
        steps: Number of steps.
        step_s: Length of one, seconds.
        sigma: Price units per square-root second.
        arrival_rate: Of each side at distance 0, per second.
        decay: 1 / price units.

    Raises:
        DomainError: If `steps` is below 1 or `step_s` is not above 0.
    """
    if steps < 1 or not 0.0 < step_s < inf:
        msg = f"steps: expected at least 1 of more than 0 s, was {steps} of {step_s:g} s"
        raise DomainError(msg)
    variance = sigma * sigma * step_s
    cut = 0.0
    states: dict[int, _Moments] = {0: (1.0, 0.0, 0.0, 0.0, 0.0)}
    for step in range(steps):
        reached: dict[int, list[float]] = {}
        for orders, moments in states.items():
            bid, ask = distances(step, orders)
            buys, sells = (_expected(arrival_rate, decay, distance, step_s) for distance in (bid, ask))
            if buys > 1.0 or sells > 1.0:
                cut += moments[0]
                buys, sells = min(buys, 1.0), min(sells, 1.0)
            # A side without a quote has probability 0, and its infinite distance must not meet it in a product.
            earned_by_buy, earned_by_sell = (bid if buys else 0.0), (ask if sells else 0.0)
            for weight, change, earned in (
                ((1.0 - buys) * (1.0 - sells), 0, 0.0),
                (buys * (1.0 - sells), 1, earned_by_buy),
                ((1.0 - buys) * sells, -1, earned_by_sell),
                (buys * sells, 0, earned_by_buy + earned_by_sell),
            ):
                if weight:
                    _add(reached.setdefault(orders + change, [0.0] * 5), weight, _shifted(moments, earned))
        states = {
            orders: _spread(moments, orders * orders * variance)
            for orders, moments in reached.items()
            if moments[0] > _NEGLIGIBLE
        }
    return _summary(states, cut_share=cut / steps)


def _expected(arrival_rate: float, decay: float, distance: float, step_s: float) -> float:
    exponent = -decay * distance
    return arrival_rate * exp(exponent) * step_s if exponent < 700.0 else inf


def _add(total: list[float], weight: float, moments: _Moments) -> None:
    for power, moment in enumerate(moments):
        total[power] += weight * moment


def _shifted(moments: _Moments, by: float) -> _Moments:
    """Return the raw moments of wealth plus a constant."""
    if not by:
        return moments
    one, first, second, third, fourth = moments
    square = by * by
    return (
        one,
        first + by * one,
        second + 2.0 * by * first + square * one,
        third + 3.0 * by * second + 3.0 * square * first + square * by * one,
        fourth + 4.0 * by * third + 6.0 * square * second + 4.0 * square * by * first + square * square * one,
    )


def _spread(moments: list[float], variance: float) -> _Moments:
    """Return the raw moments of wealth plus an independent move, up or down alike, of that variance."""
    one, first, second, third, fourth = moments
    return (
        one,
        first,
        second + variance * one,
        third + 3.0 * variance * first,
        fourth + 6.0 * variance * second + variance * variance * one,
    )


def _summary(states: dict[int, _Moments], *, cut_share: float) -> ChainMoments:
    one, first, second, third, fourth = (sum(moments[power] for moments in states.values()) for power in range(5))
    mean = first / one
    # Rounding may leave a certain profit with a variance a little below 0.
    variance = max(0.0, second / one - mean**2)
    central = fourth / one - 4.0 * mean * third / one + 6.0 * mean**2 * second / one - 3.0 * mean**4
    orders = sum(place * moments[0] for place, moments in states.items()) / one
    squares = sum(place * place * moments[0] for place, moments in states.items()) / one
    return ChainMoments(
        profit_mean=mean,
        profit_std=sqrt(variance),
        profit_kurtosis=central / variance**2 if variance else nan,
        inventory_mean=orders,
        inventory_std=sqrt(max(0.0, squares - orders**2)),
        probability=one,
        cut_share=cut_share,
    )

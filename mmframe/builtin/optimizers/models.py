"""The formulas behind the model-based optimizers: reservation prices, half spreads, exact solutions and inventories.

Pure functions for research, tests and the build of a rule's tables; nothing here runs in the quoting loop. Inventory is
counted in order sizes ("orders"), long positive; distances are price units from the mid; fills come at the rate
`arrival_rate x exp(-decay x distance)` on each side. With an order size other than 1, hand over the risk aversion times
the order size: a trade of that size is then the model's unit.

Sources: Avellaneda & Stoikov, High-frequency trading in a limit order book, Quantitative Finance 8(3), 2008;
Guéant, Lehalle & Fernandez-Tapia, Dealing with the inventory risk, Mathematics and Financial Economics 7, 2013;
Cartea, Jaimungal & Penalva, Algorithmic and High-Frequency Trading, 2015, chapter 10.
"""

from __future__ import annotations

from itertools import pairwise
from math import exp, isfinite, log, log1p, sqrt
from typing import TYPE_CHECKING

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MARCH_TERMS_MAX",
    "asymptotic_skew",
    "gaussian_std",
    "infinite_reservation_distances",
    "liquidity_half_spread",
    "marched_skews",
    "reservation_price",
    "risk_aversion_of_skew",
    "stationary_distribution",
    "stationary_skews",
    "std_of",
]

_TINY = 1e-8
"""Below it a series replaces log1p(y) / y, whose error would be rounding alone."""
_BISECTIONS = 64
_SERIES_SHARE = 1e-17
_STEP_TERMS = 64.0
"""Largest exponent of one series: beyond it the sum would leave the range of a double."""
MARCH_TERMS_MAX = 12_000
"""Terms that one march through time may take; more is a model far out of any sane range, and a second of waiting."""


def liquidity_half_spread(risk_aversion: float, decay: float) -> float:
    """Return `ln(1 + risk_aversion / decay) / risk_aversion`, in price units; `1 / decay` without risk aversion.

    Args:
        risk_aversion: Of one order: 1 / price units, >= 0.
        decay: How fast fills thin out with distance, 1 / price units, > 0.

    Source: Avellaneda & Stoikov (2008), eq. 30, second term over 2.
    """
    _require("risk_aversion", risk_aversion, is_kept=risk_aversion >= 0.0, expected="at least 0")
    _require("decay", decay, is_kept=decay > 0.0, expected="more than 0")
    ratio = risk_aversion / decay
    return (log1p(ratio) / ratio if ratio > _TINY else 1.0 - ratio / 2.0) / decay


def reservation_price(mid: float, orders: float, *, risk_aversion: float, sigma: float, horizon_s: float) -> float:
    """Return the price at which one order more or less is worth the same: `mid - orders x gamma x sigma^2 x horizon`.

    Args:
        mid: Mid price, quote units.
        orders: Signed inventory in order sizes; long lowers the result.
        risk_aversion: Of one order: 1 / price units.
        sigma: Volatility, price units per square-root second.
        horizon_s: Seconds to the end, >= 0.

    Source: Avellaneda & Stoikov (2008), eq. 29.
    """
    _require("horizon_s", horizon_s, is_kept=horizon_s >= 0.0, expected="at least 0")
    return mid - orders * risk_aversion * sigma * sigma * horizon_s


def infinite_reservation_distances(
    orders: float, *, risk_aversion: float, sigma: float, discount_per_s: float
) -> tuple[float, float]:
    """Return how far the reservation bid and ask without a horizon lie above the mid, in price units.

    Args:
        orders: Signed inventory in order sizes.
        risk_aversion: Of one order: 1 / price units, > 0.
        sigma: Price units per square-root second.
        discount_per_s: The paper's omega. `risk_aversion^2 sigma^2 (largest + 1)^2 / 2` bounds the inventory by
            `largest`.

    Raises:
        DomainError: If the discount is too small for the inventory: the utility is then infinite.

    Source: Avellaneda & Stoikov (2008), section 2.3.
    """
    variance = (risk_aversion * sigma) ** 2
    room = 2.0 * discount_per_s - variance * orders * orders
    _require("discount_per_s", discount_per_s, is_kept=room > 0.0, expected="more than gamma^2 sigma^2 orders^2 / 2")
    bid, ask = (-1.0 - 2.0 * orders) * variance / room, (1.0 - 2.0 * orders) * variance / room
    _require("orders", orders, is_kept=bid > -1.0 and ask > -1.0, expected="an inventory that the discount allows")
    return log1p(bid) / risk_aversion, log1p(ask) / risk_aversion


def asymptotic_skew(*, risk_aversion: float, sigma: float, arrival_rate: float, decay: float) -> float:
    """Return C, by which both quotes move down for each order held, in price units.

    `C = sigma x sqrt(gamma / (2 k A) x (1 + gamma / k)^(1 + k / gamma))`; the quotes of the closed form stand
    `liquidity_half_spread + C x (2 orders + 1) / 2` below and `liquidity_half_spread - C x (2 orders - 1) / 2` above
    the mid.

    Source: Guéant, Lehalle & Fernandez-Tapia (2013), proposition 4, its approximation of the stationary quotes.
    """
    _require("arrival_rate", arrival_rate, is_kept=arrival_rate > 0.0, expected="more than 0")
    ratio = risk_aversion / decay
    # (1 + y)^(1 + 1/y) as its logarithm; it tends to e without risk aversion.
    power = (1.0 + 1.0 / ratio) * log1p(ratio) if ratio > _TINY else 1.0 + ratio / 2.0
    return sigma * sqrt(ratio / (2.0 * arrival_rate)) * exp(power / 2.0)


def risk_aversion_of_skew(skew: float, *, sigma: float, arrival_rate: float, decay: float) -> float:
    """Return the risk aversion whose `asymptotic_skew` is `skew`, by bisection; C rises with it, so there is one.

    Raises:
        DomainError: If an argument is not above 0 and finite.
    """
    for name, value in (("skew", skew), ("sigma", sigma), ("arrival_rate", arrival_rate), ("decay", decay)):
        _require(name, value, is_kept=value > 0.0, expected="more than 0")
    low, high = -300.0, 300.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        found = asymptotic_skew(risk_aversion=decay * exp(middle), sigma=sigma, arrival_rate=arrival_rate, decay=decay)
        if found < skew:
            low = middle
        else:
            high = middle
    return decay * exp((low + high) / 2.0)


def gaussian_std(skew: float, decay: float) -> float:
    """Return the stationary standard deviation of inventory, in orders, where both quotes move by `skew` an order.

    Up and down rates balance at `p(n + 1) / p(n) = exp(-decay x skew x (2 n + 1))`, so `p(n)` is in proportion to
    `exp(-decay x skew x n^2)`: a discrete normal with `std = 1 / sqrt(2 x decay x skew)`. The sum over whole orders
    differs from the integral by a share of the order of `exp(-pi^2 / (decay x skew))`: nothing above one order.
    """
    _require("skew", skew, is_kept=skew > 0.0, expected="more than 0")
    return 1.0 / sqrt(2.0 * decay * skew)


def stationary_distribution(
    bid_distances: Sequence[float], ask_distances: Sequence[float], *, decay: float
) -> tuple[float, ...]:
    """Return the exact long-run probabilities of each inventory, lowest first, by detailed balance.

    Args:
        bid_distances: At each inventory but the highest, price units below the mid.
        ask_distances: At each inventory but the lowest, price units above the mid.
        decay: 1 / price units. The arrival rate is the same on both sides and cancels.

    Raises:
        DomainError: If the two are not of one length.
    """
    if len(bid_distances) != len(ask_distances):
        msg = f"ask_distances: expected {len(bid_distances)}, as many as bid_distances, was {len(ask_distances)}"
        raise DomainError(msg)
    logarithms = [0.0]
    for bid, ask in zip(bid_distances, ask_distances, strict=True):
        logarithms.append(logarithms[-1] + decay * (ask - bid))
    top = max(logarithms)
    weights = [exp(value - top) for value in logarithms]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def std_of(probabilities: Sequence[float], *, lowest: int) -> float:
    """Return the standard deviation of an inventory with these probabilities, from `lowest` upwards."""
    mean = sum(weight * (lowest + place) for place, weight in enumerate(probabilities))
    return sqrt(sum(weight * (lowest + place - mean) ** 2 for place, weight in enumerate(probabilities)))


def stationary_skews(ratio: float, max_orders: int, *, drift: float = 0.0) -> tuple[float, ...]:
    """Return `ln(f(n) / f(n + 1))` for n from -max_orders to max_orders - 1: the exact stationary skew, times decay.

    f is the eigenvector of the smallest eigenvalue of the tridiagonal matrix with `ratio^2 n^2 - drift n` on the
    diagonal and -1 beside it. The bid stands `half + skew(n) / decay` below the mid, the ask `half - skew(n - 1) /
    decay` above it. Where the inventory limit is far away this is `ratio x (2 n + 1) / 2`, the closed form.

    The entries of f span hundreds of orders of magnitude, beyond what a general eigensolver resolves. So only ratios of
    neighbours are computed, by continued fractions from both ends, whose terms are all positive below the eigenvalue;
    a denominator that is not tells that the trial is above it, as in a Sturm count.

    Args:
        ratio: `decay x C`; see `asymptotic_skew`. 0 is the risk-neutral limit: only the inventory limit skews.
        max_orders: Largest inventory either way, Q.
        drift: `decay x drift of the mid / eta`, with `eta = A (1 + gamma / k)^-(1 + k / gamma)`.

    Source: Guéant, Lehalle & Fernandez-Tapia (2013), theorem 2 and, with a drift, section 5.1.
    """
    _require("ratio", ratio, is_kept=ratio >= 0.0, expected="at least 0")
    diagonal = [ratio * ratio * n * n - drift * n for n in range(-max_orders, max_orders + 1)]
    centre = min(range(len(diagonal)), key=diagonal.__getitem__)
    low, high = diagonal[centre] - 2.0, diagonal[centre]
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if _is_above_eigenvalue(diagonal, centre, middle):
            high = middle
        else:
            low = middle
    down, up = _neighbours(diagonal, centre, low)
    # `down[i]` is f(i) / f(i + 1) below the centre, `up[i]` is f(i + 1) / f(i) above it.
    return (*(log(value) for value in down), *(-log(value) for value in up))


def _neighbours(diagonal: list[float], centre: int, eigenvalue: float) -> tuple[list[float], list[float]]:
    """Return the ratios of neighbours that fall away from the centre; empty lists at the first that is not positive."""
    up: list[float] = []
    beyond = 0.0
    for place in range(len(diagonal) - 1, centre, -1):
        denominator = diagonal[place] - eigenvalue - beyond
        if denominator <= 0.0:
            return [], []
        beyond = 1.0 / denominator
        up.append(beyond)
    down: list[float] = []
    beyond = 0.0
    for place in range(centre):
        denominator = diagonal[place] - eigenvalue - beyond
        if denominator <= 0.0:
            return [], []
        beyond = 1.0 / denominator
        down.append(beyond)
    return down, up[::-1]


def _is_above_eigenvalue(diagonal: list[float], centre: int, trial: float) -> bool:
    down, up = _neighbours(diagonal, centre, trial)
    if len(down) + len(up) < len(diagonal) - 1:
        return True
    beside = (down[-1] if down else 0.0) + (up[0] if up else 0.0)
    return diagonal[centre] - trial < beside


def marched_skews(
    ratio: float, max_orders: int, *, terminal: float, times: Sequence[float]
) -> tuple[tuple[float, ...], ...]:
    """Return the skews of `stationary_skews` with time to go, one row for each of `times`.

    The solution is `w(t) = exp(-M t) z` with M as in `stationary_skews` and `z(n) = exp(-terminal n^2)`. Each step sums
    the series of `exp((c - M) t)`, c the largest diagonal entry, whose terms are all positive: nothing cancels, and
    each entry keeps its relative precision however small it is. What the factor `exp(-c t)` takes cancels in ratios.

    Args:
        ratio: As of `stationary_skews`; its square is `decay x running penalty / eta`.
        max_orders: Largest inventory either way.
        terminal: `decay x terminal penalty of one order`, >= 0.
        times: `eta x seconds to go`, rising, > 0.

    Raises:
        DomainError: If it would take more than MARCH_TERMS_MAX terms, or z leaves the range of a double.

    Source: Cartea, Jaimungal & Penalva (2015), section 10.2.
    """
    orders = range(-max_orders, max_orders + 1)
    _require("terminal", terminal, is_kept=0.0 <= terminal * max_orders**2 <= 600.0, expected="at most 600 / orders^2")
    largest = ratio * ratio * max_orders * max_orders
    # The shift keeps every entry of c - M at or above 0.
    diagonal = [largest - ratio * ratio * n * n for n in orders]
    weights = [exp(-terminal * n * n) for n in orders]
    bound = largest + 2.0
    if times and bound * times[-1] + 20.0 * len(times) > MARCH_TERMS_MAX:
        msg = f"march: expected at most {MARCH_TERMS_MAX} terms, was {bound * times[-1]:.3g}"
        raise DomainError(msg, hint="shorten the horizon, or lower the inventory limit or the penalty")
    rows = []
    was = 0.0
    for time in times:
        steps = max(1, int(bound * (time - was) / _STEP_TERMS) + 1)
        for _ in range(steps):
            weights = _series_step(diagonal, weights, (time - was) / steps, bound)
        was = time
        rows.append(tuple(log(here / above) for here, above in pairwise(weights)))
    return tuple(rows)


def _series_step(diagonal: list[float], weights: list[float], time: float, bound: float) -> list[float]:
    """Return `exp((diagonal + neighbours) x time)` of the weights, scaled to a largest entry of 1."""
    term = weights
    total = list(weights)
    place = 0
    share = 1.0
    while share > _SERIES_SHARE:
        place += 1
        padded = [0.0, *term, 0.0]
        factor = time / place
        term = [factor * (diagonal[i] * padded[i + 1] + padded[i] + padded[i + 2]) for i in range(len(diagonal))]
        total = [was + more for was, more in zip(total, term, strict=True)]
        # Past the largest term the rest falls off like a geometric series.
        share = max(more / whole for more, whole in zip(term, total, strict=True)) if place > time * bound else 1.0
    top = max(total)
    return [value / top for value in total]


def _require(name: str, value: float, *, is_kept: bool, expected: str) -> None:
    if not (is_kept and isfinite(value)):
        msg = f"{name}: expected {expected}, was {value:g}"
        raise DomainError(msg)

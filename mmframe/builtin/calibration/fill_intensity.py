"""The fill intensity of a market from its recording: A, k and sigma of the quoting models, and whether to believe them.

The models of Avellaneda & Stoikov and of Guéant, Lehalle & Fernandez-Tapia take a quote at the distance d from the mid
to be filled at the rate

    Lambda(d) = A exp(-k d)

A in 1 / s, for one side; d in quote units per base unit; k in 1 / quote unit. `calibrate_fill_intensity` counts what
orders at several distances would have met (`mmframe.builtin.calibration.fills`) and fits the two
(`mmframe.builtin.calibration.intensity`), bids and asks apart and taken together.

When it fails: inside of the usual spread the rate hardly depends on the distance, far out a few sweeps make it; between
them an exponential is an approximation, so fit over the distances that will be quoted. Orders here have no size, stand
first in their queue and change nothing: real ones are filled less often. A book that moves through an order without a
trade does not fill it. A and k change with the time of day and with the volatility.

Source: Avellaneda & Stoikov, High-frequency trading in a limit order book, Quantitative Finance 8(3), 2008, section
2.5; Guéant, Lehalle & Fernandez-Tapia, Dealing with the inventory risk, Mathematics and Financial Economics 7, 2013.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil, exp, floor, hypot, inf, isfinite, log, nan
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.calibration.fills import DistanceCount, count_fills, half_spread_ticks, reach_ticks
from mmframe.builtin.calibration.intensity import IntensityFit, block_std_error, fit_intensity
from mmframe.builtin.calibration.tape import Mark
from mmframe.builtin.calibration.volatility import VolatilityEstimate, measure_volatility
from mmframe.builtin.optimizers.models import liquidity_half_spread, risk_aversion_of_skew
from mmframe.domain.market import Side
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.builtin.calibration.fills import FillCounts
    from mmframe.builtin.calibration.tape import Tape

__all__ = [
    "FillIntensity",
    "FittedSide",
    "QuotedRange",
    "calibrate_fill_intensity",
    "default_distances",
    "quoted_range",
]

_DISTANCES = 20
_REACH_MIN_TICKS = 4.5
_FILLS_MIN = 50
_DISPERSION_MAX = 4.0
"""Counts that scatter like this make the Poisson errors half of the true ones."""
_PSEUDO_R2_MIN = 0.9
_RELATIVE_ERROR_MAX = 0.25
_DISAGREEMENT_MAX = 1.25
"""Factor by which curve and counts may differ where it matters."""
_ROUNDING = 1e-9
_SIDES_APART = 3.0
"""Standard errors by which the sides may differ."""


@attrs.frozen
class FittedSide:
    """The fit of one side, or of both.

    Attributes:
        fit: In quote units, or None where the counts allow none.
        trouble: Why there is none.
        arrival_rate_block_error: Standard error of A from leaving out parts of the recording, 1 / s; NaN when unknown.
        decay_block_error: Likewise of k, 1 / quote unit.
    """

    fit: IntensityFit | None
    trouble: str = ""
    arrival_rate_block_error: float = nan
    decay_block_error: float = nan

    @property
    def arrival_rate_error(self) -> float:
        """Return the larger of the two standard errors of A; NaN without a fit."""
        return nan if self.fit is None else _larger(self.fit.arrival_rate_std_error, self.arrival_rate_block_error)

    @property
    def decay_error(self) -> float:
        """Return the larger of the two standard errors of k; NaN without a fit."""
        return nan if self.fit is None else _larger(self.fit.decay_std_error, self.decay_block_error)


@attrs.frozen
class QuotedRange:
    """Where `glft` would quote with these figures, in ticks from the mid."""

    nearest_ticks: float
    flat_ticks: float
    """Without inventory."""
    furthest_ticks: float
    inventory_std_orders: float
    """The nearest and furthest are those with this much inventory either way."""


@attrs.frozen
class FillIntensity:
    """What a recording says of A, k and sigma.

    Attributes:
        tick: Size of a tick, quote units.
        mid: Mean mid over time, quote units.
        seconds: Length of the recording.
        trades: Executions that were counted.
        unknown_trades: Executions left out because their taker is not told.
        window_s: Time after which orders were posted anew, seconds.
        half_spread_ticks: Median over time.
        fit_range_ticks: Distances that were fitted, first and last.
        bids: Counts of each distance in quote units, in the fit or not; `asks` and `pooled` likewise.
        both: The fit of bids and asks together, which the models take; each side's for comparison.
        volatility: None when the recording is too short for it.
        quoted: None without a fit that falls with distance.
        warnings: What speaks against using the figures, a sentence each.
    """

    tick: float
    mid: float
    seconds: float
    trades: int
    unknown_trades: int
    window_s: float
    half_spread_ticks: float
    fit_range_ticks: tuple[float, float]
    bids: tuple[DistanceCount, ...]
    asks: tuple[DistanceCount, ...]
    pooled: tuple[DistanceCount, ...]
    both: FittedSide
    bid_side: FittedSide
    ask_side: FittedSide
    volatility: VolatilityEstimate | None
    quoted: QuotedRange | None
    warnings: tuple[str, ...]

    @property
    def is_usable(self) -> bool:
        """Tell whether a model can be given these figures at all; the warnings say whether it should."""
        return self.both.fit is not None and self.both.fit.decay > 0.0

    def is_fitted(self, count: DistanceCount) -> bool:
        """Tell whether a distance was within the range of the fit."""
        return _is_within(count, self.fit_range_ticks, self.tick)


def calibrate_fill_intensity(  # noqa: PLR0913 - one keyword for each choice of the person who calibrates
    tape: Tape,
    *,
    tick: float,
    window_s: float = 5.0,
    distances_ticks: Sequence[float] | None = None,
    fit_range_ticks: tuple[float, float] | None = None,
    horizon_s: float = 10.0,
    inventory_std_orders: float = 3.0,
) -> FillIntensity:
    """Return A, k and sigma of a recording, with standard errors and what speaks against them.

    Args:
        tape: The recording.
        tick: Size of a tick, quote units.
        window_s: Time after which orders are posted anew at the mid, seconds: about as long as a quote rests.
        distances_ticks: As of `count_fills`; by default up to where 1 % of the windows reach.
        fit_range_ticks: First and last distance of the fit. By default it ends at the furthest and begins as near to
            the mid, from half the usual spread up, as the curve agrees with the counts where `glft` would then quote:
            at the touch itself trades are mostly far more frequent than the curve through the others says.
        horizon_s: Time over which moves are measured for sigma, seconds.
        inventory_std_orders: Inventory up to which the distances that `glft` would quote are compared with the range.

    Raises:
        DomainError: If the recording has no trades whose taker is told, or no touch, or a choice cannot be.
    """
    if not tape.trades:
        unknown = f", and {tape.unknown_trades} whose taker is not told" if tape.unknown_trades else ""
        msg = f"trades: expected some whose taker is told, was none{unknown}"
        raise DomainError(msg, hint="the recording needs trades with the taker's side")
    half_spread = half_spread_ticks(tape)
    distances = default_distances(tape, window_s=window_s) if distances_ticks is None else distances_ticks
    counts = count_fills(tape, distances, window_s=window_s)
    volatility = _volatility(tape, tick=tick, horizon_s=horizon_s)
    fitted = fit_range_ticks
    if fitted is None:
        rows = counts.counts(tick=tick)
        first = _first_distance(rows, half_spread * tick, volatility, inventory_std_orders) / tick
        fitted = round(first, 2), round(rows[-1].distance / tick, 2)
    elif not 0.0 <= fitted[0] < fitted[1]:
        msg = f"fit_range: expected 0 <= first < last, was {fitted[0]:g} to {fitted[1]:g} ticks"
        raise DomainError(msg, hint="an exponential is fitted to two distances or more")
    both, bid_side, ask_side = (_fitted(counts, side, fitted, tick) for side in (None, Side.BUY, Side.SELL))
    quoted = None
    if both.fit is not None and both.fit.decay > 0.0:
        quoted = quoted_range(both.fit, tick=tick, volatility=volatility, inventory_std_orders=inventory_std_orders)
    found = FillIntensity(
        tick=tick,
        mid=_mean_mid(tape, tick),
        seconds=(tape.end_ns - tape.start_ns) / 1e9,
        trades=tape.trades,
        unknown_trades=tape.unknown_trades,
        window_s=window_s,
        half_spread_ticks=half_spread,
        fit_range_ticks=fitted,
        bids=counts.counts(Side.BUY, tick=tick),
        asks=counts.counts(Side.SELL, tick=tick),
        pooled=counts.counts(tick=tick),
        both=both,
        bid_side=bid_side,
        ask_side=ask_side,
        volatility=volatility,
        quoted=quoted,
        warnings=(),
    )
    return attrs.evolve(found, warnings=tuple(_warnings(found)))


def default_distances(tape: Tape, *, window_s: float = 5.0) -> tuple[float, ...]:
    """Return at most 20 distances in ticks, evenly from half a tick to where takers reach in 1 % of all windows.

    Raises:
        DomainError: If the recording has no touch.
    """
    reach = max(reach_ticks(tape, window_s=window_s), _REACH_MIN_TICKS)
    step = max(1, ceil((reach - 0.5) / (_DISTANCES - 1)))
    return tuple(0.5 + step * place for place in range(floor((reach - 0.5) / step) + 1))


def quoted_range(
    fit: IntensityFit, *, tick: float, volatility: VolatilityEstimate | None, inventory_std_orders: float
) -> QuotedRange:
    """Return how far from the mid `glft` would quote when it is tuned to this standard deviation of the inventory.

    Args:
        fit: With a decay above 0, 1 / quote unit.
        tick: Size of a tick, quote units.
        volatility: None stands for the risk-neutral limit, 1 / k.
        inventory_std_orders: In order sizes, > 0.
    """
    skew = 1.0 / (2.0 * fit.decay * inventory_std_orders**2)
    sigma = 0.0 if volatility is None else volatility.realised
    risk_aversion = 0.0
    if sigma > 0.0:
        risk_aversion = risk_aversion_of_skew(skew, sigma=sigma, arrival_rate=fit.arrival_rate_per_s, decay=fit.decay)
    flat = liquidity_half_spread(risk_aversion, fit.decay) + skew / 2.0
    lean = skew * inventory_std_orders
    return QuotedRange(max(0.0, flat - lean) / tick, flat / tick, (flat + lean) / tick, inventory_std_orders)


def _first_distance(
    rows: Sequence[DistanceCount], half_spread: float, volatility: VolatilityEstimate | None, orders: float
) -> float:
    """Return the nearest distance at which a fit can begin and agree with the counts where it makes a model quote."""
    beyond = [row for row in rows if row.distance >= half_spread * (1.0 - _ROUNDING)] or list(rows)
    for place in range((len(beyond) + 1) // 2):
        try:
            fit = fit_intensity(beyond[place:])
        except DomainError:
            continue
        if fit.decay <= 0.0:
            continue
        flat = quoted_range(fit, tick=1.0, volatility=volatility, inventory_std_orders=orders).flat_ticks
        if _disagreement(fit, rows, flat) <= _DISAGREEMENT_MAX:
            return beyond[place].distance
    return beyond[0].distance


def _disagreement(fit: IntensityFit, rows: Sequence[DistanceCount], distance: float) -> float:
    """Return by which factor the curve and the counts disagree at a distance; infinite where nothing was counted."""
    counted = _counted_rate(rows, distance)
    if not counted > 0.0:
        return inf
    ratio = fit.rate_per_s(distance) / counted
    return max(ratio, 1.0 / ratio) if ratio > 0.0 else inf


def _counted_rate(rows: Sequence[DistanceCount], distance: float) -> float:
    """Return the rate at a distance as counted, between two rows on the curve through both; NaN beyond them."""
    for before, after in pairwise(rows):
        if before.distance <= distance <= after.distance and before.fills and after.fills:
            share = (distance - before.distance) / (after.distance - before.distance)
            return exp((1.0 - share) * log(before.rate_per_s) + share * log(after.rate_per_s))
    return nan


def _fitted(counts: FillCounts, side: Side | None, fit_range: tuple[float, float], tick: float) -> FittedSide:
    def fit(block: int | None = None) -> IntensityFit:
        rows = counts.counts(side, tick=tick, without_block=block)
        return fit_intensity(row for row in rows if _is_within(row, fit_range, tick))

    try:
        whole = fit()
    except DomainError as error:
        return FittedSide(None, error.message)
    ln_arrivals, decays = [], []
    for block in range(counts.blocks):
        try:
            part = fit(block)
        except DomainError:
            # Without this part nothing can be said, so nothing either of how much the parts differ.
            return FittedSide(whole)
        ln_arrivals.append(log(part.arrival_rate_per_s))
        decays.append(part.decay)
    return FittedSide(whole, "", whole.arrival_rate_per_s * block_std_error(ln_arrivals), block_std_error(decays))


def _volatility(tape: Tape, *, tick: float, horizon_s: float) -> VolatilityEstimate | None:
    try:
        return measure_volatility(tape, tick=tick, horizon_s=horizon_s)
    except DomainError as error:
        if error.message.startswith("horizon_s"):
            raise
        return None


def _mean_mid(tape: Tape, tick: float) -> float:
    weighted = held = 0
    mid2, since_ns = 0, 0
    for time_ns, mark, low_ticks, high_ticks in tape.entries():
        if mark in {Mark.TOUCH, Mark.VOID}:
            if mid2:
                weighted += mid2 * (time_ns - since_ns)
                held += time_ns - since_ns
            mid2, since_ns = low_ticks + high_ticks, time_ns
    return weighted / held / 2.0 * tick


def _is_within(count: DistanceCount, fit_range: tuple[float, float], tick: float) -> bool:
    # A quarter of a tick is half the distance between two neighbours: room for rounding, not for another distance.
    return fit_range[0] - 0.25 <= count.distance / tick <= fit_range[1] + 0.25


def _larger(one: float, other: float) -> float:
    return max(one, other) if isfinite(other) else one


def _warnings(found: FillIntensity) -> list[str]:
    fit = found.both.fit
    if fit is None:
        return [f"There is no fit: {found.both.trouble}."]
    warnings = [*_of_the_decay(found, fit), *_of_the_fit(fit), *_of_the_range(found), *_of_the_sides(found)]
    if found.unknown_trades:
        warnings.append(
            f"{found.unknown_trades:,} of {found.unknown_trades + found.trades:,} executions do not tell their taker "
            "and count for neither side: A is too low for it."
        )
    if found.volatility is None:
        warnings.append("Sigma is not known: the recording has no stretch without a gap that is long enough.")
    return warnings


def _of_the_decay(found: FillIntensity, fit: IntensityFit) -> list[str]:
    if fit.decay <= 0.0:
        return ["k is not above 0: over these distances the rate of fills does not fall with the distance."]
    warnings = []
    if found.both.decay_error > _RELATIVE_ERROR_MAX * fit.decay:
        warnings.append(
            f"k is known only to {found.both.decay_error / fit.decay:.0%}: a longer recording tells it better."
        )
    # A taker who reaches far fills an order at every distance on the way, so the sum would count takers many times.
    takers = max(row.fills for row in found.pooled if found.is_fitted(row))
    if takers < _FILLS_MIN:
        warnings.append(
            f"At no distance of the fit were there more than {takers} fills: a longer recording tells more."
        )
    return warnings


def _of_the_fit(fit: IntensityFit) -> list[str]:
    if not fit.degrees_of_freedom:
        return ["Any two rates lie on an exponential: with two distances nothing says whether it is one."]
    warnings = []
    if fit.dispersion > _DISPERSION_MAX:
        warnings.append(
            f"The counts scatter {fit.dispersion:.1f} times as much around the curve as Poisson counts would: an "
            "exponential is a rough picture of them. Fit over the distances that will be quoted, and go by the errors "
            "from parts of the recording."
        )
    if fit.pseudo_r2 < _PSEUDO_R2_MIN and fit.decay > 0.0:
        warnings.append(f"The curve explains only {fit.pseudo_r2:.0%} of how the rate changes with the distance.")
    return warnings


def _of_the_range(found: FillIntensity) -> list[str]:
    quoted, fit = found.quoted, found.both.fit
    if quoted is None or fit is None:
        return []
    warnings = []
    first, last = found.fit_range_ticks
    nearest, flat, furthest = map(_short, (quoted.nearest_ticks, quoted.flat_ticks, quoted.furthest_ticks))
    if quoted.nearest_ticks < first - 0.5 or quoted.furthest_ticks > last:
        warnings.append(
            f"`glft` would quote {nearest} to {furthest} ticks from the mid with up to {quoted.inventory_std_orders:g} "
            f"orders held, and the fit is over {first:g} to {last:g}: beyond it A and k are a guess."
        )
    distance = quoted.flat_ticks * found.tick
    factor = _disagreement(fit, found.pooled, distance)
    if first <= quoted.flat_ticks <= last and _DISAGREEMENT_MAX < factor < inf:
        curve, counted = _short(fit.rate_per_s(distance)), _short(_counted_rate(found.pooled, distance))
        warnings.append(
            f"{flat} ticks from the mid, where `glft` would quote, the curve says {curve} fills a second, and "
            f"{counted} were counted: fit over distances around it."
        )
    if quoted.flat_ticks < max(0.5, found.half_spread_ticks):
        warnings.append(
            f"`glft` would quote {flat} ticks from the mid, closer than half the usual spread, "
            f"{found.half_spread_ticks:g}: the tick decides where quotes stand, the model only on which side to lean."
        )
    return warnings


def _of_the_sides(found: FillIntensity) -> list[str]:
    bids, asks = found.bid_side, found.ask_side
    if bids.fit is None or asks.fit is None:
        side, trouble = ("bids", bids.trouble) if bids.fit is None else ("asks", asks.trouble)
        return [f"There is no fit of the {side} alone: {trouble}."]
    apart_decay = abs(bids.fit.decay - asks.fit.decay)
    apart_rate = abs(bids.fit.arrival_rate_per_s - asks.fit.arrival_rate_per_s)
    if apart_decay > _SIDES_APART * hypot(bids.decay_error, asks.decay_error) or apart_rate > _SIDES_APART * hypot(
        bids.arrival_rate_error, asks.arrival_rate_error
    ):
        return ["Bids and asks differ by more than chance: one A and one k stand for two different sides."]
    return []


def _short(value: float) -> str:
    """Return three digits, without an exponent where people would not write one."""
    return f"{float(f'{value:.3g}'):,.12g}"

"""How good forecasts were: Brier score, calibration, information coefficient, hits by confidence.

A forecast counts from the moment at which it took effect, not from the question: nobody could have used it earlier. So
advice that was only written down, in shadow mode, is scored as that which was applied.
"""

from __future__ import annotations

from bisect import bisect_right
from math import cbrt, ceil, isfinite, log
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mmframe.errors import DomainError
from mmframe.research.advice.statistics import Interval, fitting_block, rank_correlation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmframe.domain.advice import AdviceCall

__all__ = ["ConfidenceBucket", "Forecast", "MidSeries", "Score", "brier", "buckets", "forecasts_of", "score"]

_BPS = 10_000.0
_NS_PER_S = 1_000_000_000
_BUCKETS = 5
_FEWEST_FOR_INTERVAL = 8


class MidSeries(NamedTuple):
    """The mids of one market: quote units, or any unit that stays the same."""

    times_ns: Sequence[int]
    """Never decreasing."""
    mids: Sequence[float]
    end_ns: int
    """Until when the last one is known to have stood."""

    def at(self, time_ns: int) -> float | None:
        """Return the mid as last known at a time; None before the first and after the end."""
        place = bisect_right(self.times_ns, time_ns)
        return self.mids[place - 1] if place and time_ns <= self.end_ns else None


class Forecast(NamedTuple):
    """One forecast and what came."""

    time_ns: int
    direction: float
    """-1 down to 1 up."""
    confidence: float | None
    """0 to 1: the probability that the direction is right, as the model sees it; None where it did not say."""
    return_bps: float
    """Of the mid over the horizon."""

    @property
    def is_call(self) -> bool:
        """Tell whether it can be right or wrong: it names a side, and the mid moved."""
        return self.direction != 0.0 and self.return_bps != 0.0

    @property
    def is_hit(self) -> bool:
        """Tell whether the mid moved to the side that it names."""
        return self.direction * self.return_bps > 0.0


class ConfidenceBucket(msgspec.Struct, frozen=True):
    """Forecasts of like confidence, and how often they were right."""

    low: float
    high: float
    count: int
    mean_confidence: float
    hit_rate: float


class Score(msgspec.Struct, frozen=True):
    """The forecasts of one adviser in one market over one horizon."""

    adviser: str
    market: str
    horizon_s: float
    forecasts: int
    """With a direction, and a mid at both ends."""
    unresolved: int
    """Forecasts without: the horizon ends after the record does, or there was no book."""
    unchanged: int
    """Of the forecasts that name a side: after the horizon the mid was where it had been, neither hit nor miss."""
    hits: int
    misses: int
    hit_rate: float | None
    brier: float | None
    """Mean squared distance of the confidence from 1 for a hit and 0 for a miss; 0 is perfect."""
    brier_of_base_rate: float | None
    """What a constant confidence, equal to the hit rate, would have scored: less than this is skill."""
    information_coefficient: float | None
    """Rank correlation of direction and return."""
    information_low: float | None
    information_high: float | None
    information_p: float | None
    block: int
    """Forecasts that stayed together in the bootstrap."""
    mean_return_bps: float | None
    """Of the mid, in the direction of the forecast."""
    buckets: tuple[ConfidenceBucket, ...]


def forecasts_of(
    calls: Sequence[AdviceCall], market: int, mids: MidSeries, horizon_ns: int
) -> tuple[list[Forecast], int]:
    """Return what was forecast of a market and what came, in time order, and how many cannot be scored yet."""
    found, unresolved = [], 0
    for call in sorted(calls, key=lambda call: call.applied_ns):
        for verdict in call.verdicts:
            if verdict.market != market or verdict.direction is None or not isfinite(verdict.direction):
                continue
            before, after = mids.at(call.applied_ns), mids.at(call.applied_ns + horizon_ns)
            if not before or not after:
                unresolved += 1
                continue
            confidence = None if verdict.advice is None else verdict.advice.confidence
            found.append(Forecast(call.applied_ns, verdict.direction, confidence, log(after / before) * _BPS))
    return found, unresolved


def brier(confidences: Sequence[float], hits: Sequence[bool]) -> float:
    """Return the mean squared distance of confidences from what came.

    Source: Brier (1950), of two outcomes, halved to 0..1 as is usual now.
    """
    return sum((confidence - hit) ** 2 for confidence, hit in zip(confidences, hits, strict=True)) / len(hits)


def buckets(
    confidences: Sequence[float], hits: Sequence[bool], *, count: int = _BUCKETS
) -> tuple[ConfidenceBucket, ...]:
    """Return how often forecasts were right by their confidence, in equal parts of 0 to 1; empty parts are left out."""
    groups: list[list[tuple[float, bool]]] = [[] for _ in range(count)]
    for confidence, hit in zip(confidences, hits, strict=True):
        groups[min(int(confidence * count), count - 1)].append((confidence, hit))
    return tuple(
        ConfidenceBucket(
            low=number / count,
            high=(number + 1) / count,
            count=len(group),
            mean_confidence=sum(confidence for confidence, _ in group) / len(group),
            hit_rate=sum(hit for _, hit in group) / len(group),
        )
        for number, group in enumerate(groups)
        if group
    )


def score(
    calls: Sequence[AdviceCall],
    markets: Mapping[int, tuple[str, MidSeries]],
    *,
    horizons_s: Sequence[float],
    seed: int = 0,
    block: int | None = None,
) -> tuple[Score, ...]:
    """Return the scores of every adviser that forecast a direction, in every market and over every horizon.

    Args:
        calls: To models, of any advisers.
        markets: By index: symbol and mids.
        horizons_s: Times after which a forecast is held against the mid, seconds.
        seed: Of the bootstrap.
        block: Forecasts that stay together in the bootstrap; None for what overlap and dependence ask for.

    Raises:
        DomainError: If a horizon is not above 0, or the block is longer than half of the forecasts.
    """
    if not all(isfinite(horizon_s) and horizon_s > 0.0 for horizon_s in horizons_s):
        msg = f"horizons_s: expected times above 0, was {tuple(horizons_s)!r}"
        raise DomainError(msg)
    found = []
    for adviser in sorted({call.adviser for call in calls}):
        own = [call for call in calls if call.adviser == adviser]
        for market, (symbol, mids) in markets.items():
            for horizon_s in horizons_s:
                forecasts, unresolved = forecasts_of(own, market, mids, int(horizon_s * _NS_PER_S))
                if forecasts or unresolved:
                    found.append(_score(adviser, symbol, horizon_s, forecasts, unresolved, seed=seed, block=block))
    return tuple(found)


def _score(  # noqa: PLR0913 - what one row of the table is made of
    adviser: str,
    symbol: str,
    horizon_s: float,
    forecasts: Sequence[Forecast],
    unresolved: int,
    *,
    seed: int,
    block: int | None,
) -> Score:
    calls = [forecast for forecast in forecasts if forecast.is_call]
    sure = [(forecast.confidence, forecast.is_hit) for forecast in calls if forecast.confidence is not None]
    confidences, outcomes = [confidence for confidence, _ in sure], [hit for _, hit in sure]
    hits = sum(forecast.is_hit for forecast in calls)
    hit_rate = hits / len(calls) if calls else None
    base = sum(outcomes) / len(outcomes) if outcomes else None
    length = block if block is not None else _block(forecasts, horizon_s)
    interval = _information(forecasts, length, seed)
    return Score(
        adviser=adviser,
        market=symbol,
        horizon_s=horizon_s,
        forecasts=len(forecasts),
        unresolved=unresolved,
        unchanged=sum(forecast.direction != 0.0 and forecast.return_bps == 0.0 for forecast in forecasts),
        hits=hits,
        misses=len(calls) - hits,
        hit_rate=hit_rate,
        brier=brier(confidences, outcomes) if sure else None,
        brier_of_base_rate=None if base is None else base * (1.0 - base),
        information_coefficient=None if interval is None else interval.estimate,
        information_low=None if interval is None else interval.low,
        information_high=None if interval is None else interval.high,
        information_p=None if interval is None else interval.p_value,
        block=length,
        mean_return_bps=_mean_return(forecasts),
        buckets=buckets(confidences, outcomes),
    )


def _block(forecasts: Sequence[Forecast], horizon_s: float) -> int:
    """Return how many neighbours depend on one another: those whose horizons overlap, and what the products show."""
    count = len(forecasts)
    if count < _FEWEST_FOR_INTERVAL:
        return 1
    span_s = (forecasts[-1].time_ns - forecasts[0].time_ns) / _NS_PER_S
    overlapping = ceil(horizon_s * (count - 1) / span_s) if span_s > 0.0 else count
    products = [forecast.direction * forecast.return_bps for forecast in forecasts]
    return min(max(overlapping, fitting_block(products), ceil(cbrt(count))), count // 2)


def _information(forecasts: Sequence[Forecast], block: int, seed: int) -> Interval | None:
    """Return the rank correlation of direction and return; None where there is too little, or no variation."""
    if len(forecasts) < _FEWEST_FOR_INTERVAL:
        return None
    interval = rank_correlation(
        [forecast.direction for forecast in forecasts],
        [forecast.return_bps for forecast in forecasts],
        block=block,
        seed=seed,
    )
    return interval if all(map(isfinite, interval)) else None


def _mean_return(forecasts: Sequence[Forecast]) -> float | None:
    named = [forecast for forecast in forecasts if forecast.direction != 0.0]
    if not named:
        return None
    return sum(forecast.return_bps if forecast.direction > 0.0 else -forecast.return_bps for forecast in named) / len(
        named
    )

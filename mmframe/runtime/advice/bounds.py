"""What a model's answer may change: from its answer to the advice that the engine gets. Pure.

Less risk is taken up at once: quotes further out, smaller sizes, a smaller position, a pause. More risk comes in small
steps and within tight bounds. Static limits are not known here: they stand behind all advice.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.advice import AdviceVerdict
from mmframe.domain.views import NEUTRAL_ADVICE, Advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmframe.config.advice_tables import BoundsTable
    from mmframe.domain.advice import Answer

__all__ = ["Bounded", "bounded", "combined"]

_PAUSES = 0.5
_NS_PER_S = 1_000_000_000
_NUMBERS = (
    "bid_spread_multiplier",
    "ask_spread_multiplier",
    "size_multiplier",
    "skew_bps",
    "position_scale",
    "pause",
    "confidence",
)


class Bounded(NamedTuple):
    """What an answer comes to.

    `advice` is None unless the verdict is APPLIED or CLAMPED.
    """

    verdict: AdviceVerdict
    advice: Advice | None
    detail: str = ""


def bounded(  # noqa: PLR0913 - an answer, and all that bounds it
    answer: Answer, before: Advice, bounds: BoundsTable, *, asked_ns: int, now_ns: int, ttl_ns: int
) -> Bounded:
    """Return the advice that an answer comes to, within its bounds.

    Args:
        answer: The model's.
        before: What is in force of the same adviser; neutral when nothing is.
        bounds: Of the strategy file.
        asked_ns: When the question was asked: the life of advice counts from there.
        now_ns: When the advice would take effect.
        ttl_ns: Its longest life.
    """
    values = {name: float(getattr(answer, name)) for name in _NUMBERS}
    broken = next((name for name, value in values.items() if not isfinite(value)), None)
    if broken is not None:
        return Bounded(AdviceVerdict.NOT_FINITE, None, f"{broken}: expected a finite number")
    confidence = min(max(values["confidence"], 0.0), 1.0)
    if confidence < bounds.min_confidence:
        return Bounded(AdviceVerdict.NOTED, None, f"confidence {confidence:g} is below {bounds.min_confidence:g}")
    until_ns = asked_ns + _life_ns(answer, ttl_ns)
    if until_ns <= now_ns:
        return Bounded(AdviceVerdict.TOO_LATE, None, "its time to live was over before it could be applied")
    step = bounds.max_riskier_step
    spread_low, spread_high = bounds.min_spread_multiplier, bounds.max_spread_multiplier
    advice = Advice(
        bid_spread_multiplier=max(
            _within(values["bid_spread_multiplier"], spread_low, spread_high), before.bid_spread_multiplier - step
        ),
        ask_spread_multiplier=max(
            _within(values["ask_spread_multiplier"], spread_low, spread_high), before.ask_spread_multiplier - step
        ),
        size_multiplier=min(
            _within(values["size_multiplier"], bounds.min_size_multiplier, bounds.max_size_multiplier),
            before.size_multiplier + step,
        ),
        skew_bps=_skew(values["skew_bps"], before.skew_bps, bounds),
        position_scale=min(
            _within(values["position_scale"], bounds.min_position_scale, 1.0), before.position_scale + step
        ),
        pause=1.0 if values["pause"] > _PAUSES and bounds.may_pause else 0.0,
        confidence=confidence,
        valid_until_ns=until_ns,
    )
    held = [name for name in _NUMBERS if name != "pause" and getattr(advice, name) != values[name]]
    if values["pause"] > _PAUSES and not bounds.may_pause:
        held.append("pause")
    if not held:
        return Bounded(AdviceVerdict.APPLIED, advice)
    shown = ", ".join(f"{name} {values[name]:g} became {getattr(advice, name):g}" for name in held)
    return Bounded(AdviceVerdict.CLAMPED, advice, shown)


def combined(advices: Iterable[Advice]) -> Advice:
    """Return what several advisers come to together: the most careful word on each number, never more than one says.

    A shift brings one quote closer, so only those of the highest confidence shift, no further than the furthest of
    them; of the others a shift the other way counts, towards 0. It lasts as long as the shortest of them; with none it
    is neutral.
    """
    found = list(advices)
    if len(found) <= 1:
        return found[0] if found else NEUTRAL_ADVICE
    return Advice(
        bid_spread_multiplier=max(advice.bid_spread_multiplier for advice in found),
        ask_spread_multiplier=max(advice.ask_spread_multiplier for advice in found),
        size_multiplier=min(advice.size_multiplier for advice in found),
        skew_bps=_combined_skew(found),
        position_scale=min(advice.position_scale for advice in found),
        pause=max(advice.pause for advice in found),
        confidence=max(advice.confidence for advice in found),
        valid_until_ns=min(advice.valid_until_ns for advice in found),
    )


def _combined_skew(advices: Sequence[Advice]) -> float:
    confidence = max(advice.confidence for advice in advices)
    surest = [advice.skew_bps for advice in advices if advice.confidence == confidence]
    skew = max(0.0, *surest) + min(0.0, *surest)
    others = [advice.skew_bps for advice in advices if advice.confidence < confidence and advice.skew_bps * skew < 0.0]
    less = max(map(abs, others), default=0.0)
    return skew - _within(skew, -less, less)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _skew(wanted: float, before: float, bounds: BoundsTable) -> float:
    """Return the shift: towards 0 at once, away from it step by step."""
    target = _within(wanted, -bounds.max_skew_bps, bounds.max_skew_bps)
    step = bounds.max_skew_step_bps
    # Whoever changes sides starts from 0.
    start = before if before * target > 0.0 else 0.0
    if abs(target) <= abs(start):
        return target
    return _within(target, start - step, start + step)


def _life_ns(answer: Answer, ttl_ns: int) -> int:
    wanted_s = answer.valid_for_s
    if wanted_s is None:
        return ttl_ns
    # NaN is no length of time, and compares as such.
    return (
        min(ttl_ns, int(wanted_s * _NS_PER_S))
        if 0.0 < wanted_s < ttl_ns / _NS_PER_S
        else (ttl_ns if wanted_s > 0.0 else 0)
    )

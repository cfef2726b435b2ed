"""Advice as a function of time: what was in force when, its mean level, and the same at other times. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.advice import AdviceVerdict
from mmframe.domain.market import NEVER_NS
from mmframe.domain.records import AdviceUpdate
from mmframe.domain.views import NEUTRAL_ADVICE, Advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmframe.domain.advice import AdviceCall

__all__ = ["InForce", "as_neutral", "constant_updates", "in_force", "mean_advice", "shifted_updates", "updates_of"]

_VALID = frozenset({AdviceVerdict.APPLIED, AdviceVerdict.CLAMPED, AdviceVerdict.SHADOW})
_PAUSES = 0.5


class InForce(NamedTuple):
    """One stretch of time in which one piece of advice was in force."""

    begin_ns: int
    end_ns: int
    advice: Advice


def updates_of(calls: Iterable[AdviceCall], market: int) -> list[AdviceUpdate]:
    """Return what calls brought into force in a market, or would have in shadow mode, in time order."""
    return sorted(
        (
            AdviceUpdate(market, verdict.advice, call.applied_ns, source=call.adviser)
            for call in calls
            for verdict in call.verdicts
            if verdict.market == market and verdict.advice is not None and verdict.verdict in _VALID
        ),
        key=lambda update: update.receive_ns,
    )


def in_force(updates: Sequence[AdviceUpdate], start_ns: int, end_ns: int) -> list[InForce]:
    """Return the stretches of a span in which advice was in force; between them it was neutral.

    Args:
        updates: Of one market, in time order.
        start_ns: Of the span.
        end_ns: Of the span, not included.
    """
    begins = [update.receive_ns for update in updates[1:]] + [NEVER_NS]
    found = []
    for update, next_ns in zip(updates, begins, strict=False):
        begin_ns = max(update.receive_ns, start_ns)
        # Advice is in force at the last nanosecond of its life too.
        stop_ns = min(update.advice.valid_until_ns + 1, next_ns, end_ns)
        if begin_ns < stop_ns:
            found.append(InForce(begin_ns, stop_ns, update.advice))
    return found


def as_neutral(advice: Advice) -> bool:
    """Tell whether advice changes nothing, however sure it is."""
    return advice[:6] == NEUTRAL_ADVICE[:6]


def mean_advice(stretches: Sequence[InForce], start_ns: int, end_ns: int, *, min_confidence: float) -> Advice:
    """Return the mean over time of what was in force, valid for ever.

    Where nothing was in force, or nothing sure enough to be heeded, it was neutral. A pause counts as size 0: a
    constant cannot pause a tenth of the time, but it can trade a tenth less.

    Args:
        stretches: As `in_force` gives them.
        start_ns: Of the span.
        end_ns: Of the span.
        min_confidence: Below it advice is passed over by the stage that applies it.
    """
    heeded = [stretch for stretch in stretches if stretch.advice.confidence >= min_confidence]
    span = end_ns - start_ns

    def mean(pick: int, neutral: float) -> float:
        excess = sum((stretch.advice[pick] - neutral) * (stretch.end_ns - stretch.begin_ns) for stretch in heeded)
        return neutral + excess / span

    size = (
        1.0
        + sum(
            ((0.0 if stretch.advice.pause > _PAUSES else stretch.advice.size_multiplier) - 1.0)
            * (stretch.end_ns - stretch.begin_ns)
            for stretch in heeded
        )
        / span
    )
    return Advice(
        bid_spread_multiplier=mean(0, 1.0),
        ask_spread_multiplier=mean(1, 1.0),
        size_multiplier=size,
        skew_bps=mean(3, 0.0),
        position_scale=mean(4, 1.0),
        pause=0.0,
        confidence=1.0,
        valid_until_ns=NEVER_NS,
    )


def constant_updates(advice: Advice, market: int, start_ns: int) -> list[AdviceUpdate]:
    """Return one piece of advice, in force from the start."""
    return [AdviceUpdate(market, advice, start_ns, source="constant")]


def shifted_updates(
    stretches: Sequence[InForce], market: int, *, start_ns: int, end_ns: int, offset_ns: int
) -> list[AdviceUpdate]:
    """Return the same advice for as long, so much later; what would pass the end comes at the start.

    Its distribution over time is the same, and so is the order in which it comes; when it comes is not.

    Args:
        stretches: As `in_force` gives them.
        market: Index of the market.
        start_ns: Of the span.
        end_ns: Of the span.
        offset_ns: How much later, less than the span.
    """
    span = end_ns - start_ns
    moved = []
    for begin_ns, stop_ns, advice in stretches:
        first = start_ns + (begin_ns - start_ns + offset_ns) % span
        length = stop_ns - begin_ns
        room = min(length, end_ns - first)
        moved.append((first, first + room, advice))
        if room < length:
            moved.append((start_ns, start_ns + length - room, advice))
    return [
        AdviceUpdate(market, advice._replace(valid_until_ns=stop_ns - 1), begin_ns, source="shifted")
        for begin_ns, stop_ns, advice in sorted(moved, key=lambda stretch: stretch[0])
    ]

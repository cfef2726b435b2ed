"""The rule that a model has to beat: wider when the market is livelier than usual, leaning with what takers buy.

It asks at the moments at which the model was asked, and its answers take effect when the model's did, within the same
bounds. It sees public data up to the question and nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from math import exp, log, sqrt
from typing import TYPE_CHECKING

from mmframe.domain.advice import Answer
from mmframe.domain.records import AdviceUpdate
from mmframe.domain.views import NEUTRAL_ADVICE, Advice
from mmframe.runtime.advice.bounds import bounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.config.advice_tables import BoundsTable
    from mmframe.domain.advice import AdviceCall
    from mmframe.research.advice.tape import MarketTape

__all__ = ["RULE_TEXT", "rule_answer", "rule_updates"]

RULE_TEXT = (
    "spread x volatility of the last 2 min / that of the last 30 min, skew 2 bps x (bought - sold) / traded by takers "
    "in the last minute; what is older weighs less, and before 30 min of data it is neutral"
)

_SAMPLE_NS = 10_000_000_000
_WARM_UP_NS = 1_800_000_000_000
_FAST_NS = 120_000_000_000
_SLOW_NS = 1_800_000_000_000
_FLOW_NS = 60_000_000_000
_FLOW_WINDOWS = 8
"""What is older weighs less than half a per cent, and is left out."""
_SKEW_BPS = 2.0


def rule_answer(tape: MarketTape, market: int, now_ns: int) -> Answer:
    """Return what the rule says at a time, from what was known then. Times are half-lives of the weights."""
    if not tape.start_ns or now_ns - tape.start_ns < _WARM_UP_NS:
        return Answer(market)
    ratio = _volatility_ratio(tape, now_ns)
    return Answer(
        market,
        bid_spread_multiplier=ratio,
        ask_spread_multiplier=ratio,
        skew_bps=_SKEW_BPS * _flow(tape, now_ns),
        confidence=1.0,
    )


def rule_updates(
    tape: MarketTape, market: int, calls: Sequence[AdviceCall], *, bounds: BoundsTable, ttl_ns: int
) -> list[AdviceUpdate]:
    """Return the rule's advice for a market at the moments of the calls that asked about it, in time order."""
    before, updates = NEUTRAL_ADVICE, []
    for call in sorted((call for call in calls if market in call.markets), key=lambda call: call.applied_ns):
        if before.valid_until_ns < call.applied_ns:
            before = NEUTRAL_ADVICE
        answer = rule_answer(tape, market, call.requested_ns)
        advice: Advice | None = bounded(
            answer, before, bounds, asked_ns=call.requested_ns, now_ns=call.applied_ns, ttl_ns=ttl_ns
        ).advice
        if advice is not None:
            before = advice
            updates.append(AdviceUpdate(market, advice, call.applied_ns, source="rule"))
    return updates


def _volatility_ratio(tape: MarketTape, now_ns: int) -> float:
    """Return the deviation of moves over 10 s lately, over that of the last half hour; 1 when nothing moved."""
    # Three half-lives back: what is older weighs an eighth, and the rule need not remember it.
    samples = min(3 * _SLOW_NS, now_ns - tape.start_ns) // _SAMPLE_NS
    fast = slow = fast_weight = slow_weight = 0.0
    later = tape.half_ticks_at(now_ns)
    for age in range(int(samples)):
        earlier = tape.half_ticks_at(now_ns - (age + 1) * _SAMPLE_NS)
        if not earlier:
            break
        square = log(later / earlier) ** 2
        near, far = _weight(age * _SAMPLE_NS, _FAST_NS), _weight(age * _SAMPLE_NS, _SLOW_NS)
        fast, fast_weight = fast + near * square, fast_weight + near
        slow, slow_weight = slow + far * square, slow_weight + far
        later = earlier
    if not slow > 0.0:
        return 1.0
    return sqrt((fast / fast_weight) / (slow / slow_weight))


def _flow(tape: MarketTape, now_ns: int) -> float:
    """Return takers' buying minus selling over both, -1 to 1; 0 when nobody traded."""
    net = traded = 0.0
    first = bisect_right(tape.trade_times_ns, now_ns - _FLOW_WINDOWS * _FLOW_NS)
    for place in range(first, bisect_right(tape.trade_times_ns, now_ns)):
        weight = _weight(now_ns - tape.trade_times_ns[place], _FLOW_NS)
        net += weight * tape.trade_lots[place]
        traded += weight * abs(tape.trade_lots[place])
    return net / traded if traded > 0.0 else 0.0


def _weight(age_ns: int, half_life_ns: int) -> float:
    return exp(-log(2.0) * age_ns / half_life_ns)

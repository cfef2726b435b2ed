"""The risk control `market-data`: no quotes on a book that is old, or that comes later than it used to."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["DATA_LATE", "DATA_OLD", "MARKET_DATA", "MarketDataOptions", "market_data"]

DATA_OLD = int(Reason.PLUGIN) + 215
DATA_LATE = int(Reason.PLUGIN) + 216
_ALLOW = int(RiskLevel.ALLOW)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
# The state.
_BASELINE_NS = 0
"""The lag when nothing is late; infinity before the first message."""
_SINCE_NS = 1
_LATE_UNTIL_NS = 2


@attrs.frozen
class MarketDataOptions:
    """Options of `market-data`."""

    max_age_ms: int = option(
        help="Oldest newest message of the book with which is quoted.",
        default=1_000,
        unit="ms",
        minimum=1,
        maximum=3_600_000,
    )
    max_late_ms: int = option(
        help="How much longer than usual a message may take from the exchange.",
        default=250,
        unit="ms",
        minimum=1,
        maximum=3_600_000,
    )
    hold_ms: int = option(
        help="No quotes for this long after the last late message: lateness comes in bursts.",
        default=500,
        unit="ms",
        minimum=0,
        maximum=3_600_000,
    )
    creep_ms_per_min: float = option(
        help="How fast the usual lag may rise, so that drifting clocks and a changed route are forgiven in time.",
        default=10.0,
        unit="ms per minute",
        minimum=0.0,
        maximum=60_000.0,
    )


class MarketDataParams(NamedTuple):
    """The options as the rule reads them."""

    max_age_ns: float
    max_late_ns: float
    hold_ns: float
    creep: float
    """ns of baseline per ns of time."""


def market_data(  # noqa: PLR0913, PLR0917 - the rule signature
    params: MarketDataParams,
    state: State,
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes as they are, or none while the data is old or late."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    lag_ns = float(view.lag_ns)
    # As the state holds it: compared with the whole number, the same instant would be before or after itself.
    now_ns = float(view.now_ns)
    elapsed_ns = now_ns - state[_SINCE_NS]
    if elapsed_ns > 0.0:
        state[_BASELINE_NS] += params.creep * elapsed_ns
        state[_SINCE_NS] = now_ns
    # A message without an exchange time (a snapshot that was asked for) is dated by its receipt: its 0 is no lag.
    if lag_ns != 0.0:
        state[_BASELINE_NS] = min(state[_BASELINE_NS], lag_ns)
        if lag_ns - state[_BASELINE_NS] > params.max_late_ns:
            state[_LATE_UNTIL_NS] = now_ns + params.hold_ns
            return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, DATA_LATE)
    if view.age_ns > params.max_age_ns:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, DATA_OLD)
    if now_ns < state[_LATE_UNTIL_NS]:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, DATA_LATE)
    return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)


def _build(options: MarketDataOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = MarketDataParams(
        options.max_age_ms * 1e6,
        options.max_late_ms * 1e6,
        options.hold_ms * 1e6,
        options.creep_ms_per_min / 60_000.0,
    )
    return RiskRule(market_data, params, (inf, 0.0, -inf))


MARKET_DATA = RiskControlSpec(
    name="market-data",
    summary="Pulls all quotes while the book is old, or arrives later than it used to.",
    description="""\
    age  = now - receive time of the book's newest message
    lag  = receive time - exchange time of that message
    usual lag = min(lag, usual lag before + creep_ms_per_min x time)
    late = lag - usual lag

Old: age above max_age_ms (CANCEL_ONLY, reason DATA_OLD, 1215). Late: late above max_late_ms (CANCEL_ONLY, reason
DATA_LATE, 1216), and for hold_ms after it was last seen.

Only changes of the lag count. It holds the network and the difference of two clocks, is off by a constant in many
recordings (received 1,272 ms "before" it was sent), and so says nothing by itself. The usual lag is the smallest seen,
and creeps up by creep_ms_per_min, so that a clock that drifts (100 ppm are 6 ms a minute) or a route that became longer
is forgiven in time. The price of that: a delay that stays is taken for usual after (late - max_late_ms) /
creep_ms_per_min minutes; 0 forgives nothing. The first message is taken for usual until a faster one comes. A message
without an exchange time, as some snapshots are, has a lag of exactly 0 and is passed over. A restart forgets all of it.

feed.stale_after_ms is the harder of the two for age: the kernel looks at it by itself, and there it wakes for it. This
control is asked whenever a decision is due: at news, and every max_quote_age_ms without any. Set max_age_ms below
stale_after_ms.

A book that is crossed, locked, empty or out of sync never reaches a control: the kernel quotes nothing then
(BOOK_CROSSED, BOOK_EMPTY, BOOK_UNSYNCED). There is nothing to set for that here.

Fails safe: both times are integers and always known; before the first message there is no view.

Example: lags of -1272, -1270 and, 100 ms later, -900 ms with max_late_ms = 250: the usual lag is about -1272, the last
message 372 ms late: no quotes. Back at -1268 they return 500 ms after the last late one.""",
    options=MarketDataOptions,
    build=_build,
    reasons={
        DATA_OLD: "the newest message of the book is older than max_age_ms",
        DATA_LATE: "the book arrives later than it used to",
    },
    limits={"max_age_ms": LimitFacts(), "max_late_ms": LimitFacts()},
)

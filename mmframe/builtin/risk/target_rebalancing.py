"""The risk control `target-rebalancing`: takes to bring a position that is too large back to its target."""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import CloseTo, LiquidationTerms
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["TARGET_REBALANCING", "TargetRebalancingOptions", "target_rebalancing"]

EXCESS = 1288

_ALLOW = int(RiskLevel.ALLOW)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_LIQUIDATE = int(RiskLevel.LIQUIDATE)
_NOT_FINITE = int(Reason.NOT_FINITE)
_SECOND_NS = 1_000_000_000
_LONGEST_S = 604_800.0

_ROUNDING_NS = 1_024.0
"""What the difference of two times as floats may be off by."""

# Places in the state.
_ASKED_NS = 0
_RESTS_UNTIL_NS = 1


@attrs.frozen
class TargetRebalancingOptions:
    """Options of `target-rebalancing`.

    Raises:
        DomainError: If it is not allowed to take.
    """

    band: Decimal = option(
        help="How far the position may be above the target, in its own direction, before it is brought back.",
        unit="base units",
        above=0.0,
        example="0.5",
    )
    taker: bool = option(
        help="Must be true: it crosses the spread and pays for it.",
        default=False,
    )
    slice_share: float = option(
        help="Share of the excess at the start that one order closes.", default=0.25, above=0.0, maximum=1.0
    )
    interval_s: float = option(
        help="Time from one order to the next.", default=5.0, unit="s", minimum=0.01, maximum=3_600.0
    )
    price_cap_bps: float = option(
        help="How far from the mid an order may reach; the gate's price_collar_bps binds as well.",
        default=10.0,
        unit="bps",
        above=0.0,
        maximum=5_000.0,
    )

    max_duration_s: float = option(
        help="Time after which it is given up; the market is then quoted for as long before it is tried again.",
        default=600.0,
        unit="s",
        minimum=1.0,
        maximum=_LONGEST_S,
    )

    def __attrs_post_init__(self) -> None:
        if not self.taker:
            msg = "taker: expected true, was false"
            raise DomainError(
                msg,
                hint="it rebalances by taking; to do so by quotes alone use the optimizer target-allocation or "
                "inventory-skew instead",
            )


class TargetRebalancingParams(NamedTuple):
    """The options as the rule reads them."""

    band: float
    max_duration_ns: float


def target_rebalancing(  # noqa: PLR0913, PLR0917 - the rule signature
    params: TargetRebalancingParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes as they are, or that the excess is to be closed."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    position = inventory.position
    target = inventory.target
    if not (-inf < position < inf and -inf < target < inf):
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _NOT_FINITE)
    # In the direction of the position: what lies beyond flat is for quotes to build up.
    excess = position - max(target, 0.0) if position >= 0.0 else min(target, 0.0) - position
    if not excess > params.band:
        state[_ASKED_NS] = 0.0
        state[_RESTS_UNTIL_NS] = 0.0
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, 0)
    now_ns = float(view.now_ns)
    # What is still there so much later was given up.
    if state[_ASKED_NS] > 0.0 and now_ns - state[_ASKED_NS] >= params.max_duration_ns - _ROUNDING_NS:
        state[_ASKED_NS] = 0.0
        state[_RESTS_UNTIL_NS] = now_ns + params.max_duration_ns
    if now_ns >= state[_RESTS_UNTIL_NS]:
        if state[_ASKED_NS] <= 0.0:
            state[_ASKED_NS] = now_ns
        return RiskVerdict(_LIQUIDATE, bid, 0.0, ask, 0.0, EXCESS)
    return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, 0)


def _build(options: TargetRebalancingOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    params = TargetRebalancingParams(float(options.band), options.max_duration_s * _SECOND_NS)
    return RiskRule(target_rebalancing, params, (0.0, 0.0))


def _terms(options: TargetRebalancingOptions) -> LiquidationTerms:
    return LiquidationTerms(
        slice_share=options.slice_share,
        interval_ns=round(options.interval_s * _SECOND_NS),
        price_cap_bps=options.price_cap_bps,
        max_duration_ns=round(options.max_duration_s * _SECOND_NS),
        scope=Scope.MARKET,
        close_to=CloseTo.TARGET,
        is_latched=False,
    )


TARGET_REBALANCING = RiskControlSpec(
    name="target-rebalancing",
    summary="Takes, slice by slice, what a position has too much beyond its target; quoting goes on afterwards.",
    description="""\
    excess = position - max(target, 0) when long, min(target, 0) - position when short       base units
    excess > band: the market's quotes are pulled and the excess is closed; reason 1288

The target is the market's target_position. Every interval_s one immediate order closes max(smallest order,
slice_share x excess at the start), never more than the excess, within price_cap_bps of the mid. It passes the gate as
reduce-only. When the position is at its target, or the rest is below the smallest order, the market is quoted again;
nothing is halted. Until then it is not quoted, also while it waits for a touch within the cap: leave price_cap_bps room
for the market's spread. After max_duration_s it is given up, and the market is quoted as it is for as long before it is
tried again. Losses are judged meanwhile; a halt, for whatever reason, ends it. An excess below the smallest order can't
be closed, and the market is not quoted for max_duration_s before that is given up: choose a band of at least that size.

It only reduces: a position that is too small, or on the other side of a target, is left to the quotes. Taking costs
half the spread and the taker fee each time, so `taker = true` has to be said; the optimizers `inventory-skew` and
`target-allocation` do the same by quotes.

Fails safe: a position or target that is not a number cancels (NOT_FINITE).

Example: target 1, band 0.5, position 1.7: excess 0.7 > 0.5; with slice_share = 0.25 the first order sells 0.175.""",
    options=TargetRebalancingOptions,
    build=_build,
    liquidation=_terms,
    limits={"band": LimitFacts()},
    reasons={EXCESS: "the position is more than band beyond its target and is brought back"},
)

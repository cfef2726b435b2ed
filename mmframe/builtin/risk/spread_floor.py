"""The risk control `spread-floor`: never quote closer than what a round trip costs."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import BuildContext, LimitFacts, RiskControlSpec, RiskRule, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["SPREAD_FLOOR", "SpreadFloorOptions", "spread_floor"]

_ALLOW = int(RiskLevel.ALLOW)
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_SPREAD_FLOOR = int(Reason.SPREAD_FLOOR)


@attrs.frozen
class SpreadFloorOptions:
    """Options of `spread-floor`; the larger of the two floors binds."""

    min_spread_bps: float = option(
        help="Smallest distance between bid and ask.", default=0.0, unit="bps", minimum=0.0, maximum=5_000.0
    )
    maker_fee_bps: float = option(
        help="What a maker fill costs; the fee floor is two of them plus the edge. A rebate is negative.",
        default=0.0,
        unit="bps",
        minimum=-100.0,
        maximum=500.0,
    )
    min_edge_bps: float = option(
        help="What a round trip must earn after fees.", default=0.0, unit="bps", minimum=0.0, maximum=2_000.0
    )


class SpreadFloorParams(NamedTuple):
    """The options as the rule reads them: the floor as a share of the mid."""

    floor: float


def spread_floor(  # noqa: PLR0913, PLR0917 - the rule signature
    params: SpreadFloorParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,  # noqa: ARG001
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,
) -> RiskVerdict:
    """Return the quotes, moved apart where they are closer than the floor."""
    bid, bid_size, ask, ask_size, _, _ = proposal
    if not 0.0 < view.mid < inf:
        return RiskVerdict(_CANCEL_ONLY, bid, 0.0, ask, 0.0, _BOOK_EMPTY)
    floor = params.floor * view.mid
    moved = False
    if bid_size > 0.0 and ask_size > 0.0:
        missing = floor - (ask - bid)
        # Less than a thousandth of a tick is rounding: two prices on the grid that are far enough apart stay put.
        if missing > view.tick * 1e-3:
            bid -= missing / 2.0
            ask += missing / 2.0
            moved = True
    elif bid_size > 0.0:
        limit = view.mid - floor / 2.0
        moved = bid > limit
        bid = limit if moved else bid
    elif ask_size > 0.0:
        limit = view.mid + floor / 2.0
        moved = ask < limit
        ask = limit if moved else ask
    if not moved:
        return RiskVerdict(_ALLOW, bid, bid_size, ask, ask_size, _NONE)
    # Beside a huge floor there may be no price left for a bid.
    if bid_size > 0.0 and not bid > 0.0:
        bid = proposal.bid
        bid_size = 0.0
    return RiskVerdict(_SHRINK, bid, bid_size, ask, ask_size, _SPREAD_FLOOR)


def _build(options: SpreadFloorOptions, context: BuildContext) -> RiskRule:  # noqa: ARG001 - the build signature
    floor_bps = max(options.min_spread_bps, 2.0 * options.maker_fee_bps + options.min_edge_bps)
    return RiskRule(spread_floor, SpreadFloorParams(floor_bps / 10_000.0))


SPREAD_FLOOR = RiskControlSpec(
    name="spread-floor",
    summary="Moves quotes apart until a round trip pays its fees and leaves an edge.",
    description="""\
    floor_bps = max(min_spread_bps, 2 x maker_fee_bps + min_edge_bps)

When bid and ask are closer than floor_bps of the mid, each moves outward by half of what is missing. With one side
quoted, that side is kept at least floor_bps / 2 from the mid. The kernel then rounds the bid down and the ask up, so
the distance is kept. Prices only ever move away from the other side; sizes stay, except that a bid which would have to
go to 0 or below is not quoted. Level SHRINK, reason SPREAD_FLOOR when it binds.

Fails safe: a mid that is not a price above 0 cancels (CANCEL_ONLY, BOOK_EMPTY).

Example: maker_fee_bps = 2, min_edge_bps = 1, mid 100.00: the floor is 5 bps, 0.05. Quotes 99.99 / 100.01 become
99.975 / 100.025.""",
    options=SpreadFloorOptions,
    limits={
        "min_spread_bps": LimitFacts(is_hard=False),
        "min_edge_bps": LimitFacts(is_hard=False),
    },
    build=_build,
)

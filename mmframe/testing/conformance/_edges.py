"""Situations that every run meets sooner or later; tried before the generated ones, so that chance has no say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.testing.builders import make_inventory, make_signals, make_view
from mmframe.testing.clock import START_NS
from mmframe.testing.strategies import Situation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.views import Inventory, MarketView

__all__ = ["calm_view", "edge_situations"]

_CALM_BID_TICKS = 1_000_000
_LIMIT_LOTS = 100
_ABSENT = int(Reason.ONE_SIDED)


def calm_view(
    grid: Instrument, signals: Mapping[str, float], *, now_ns: int = START_NS, bid_ticks: int = _CALM_BID_TICKS
) -> MarketView:
    """Return a view two ticks wide, with `signals` as they are."""
    return make_view(
        bid_ticks * grid.tick,
        (bid_ticks + 2) * grid.tick,
        order_size=10 * grid.lot,
        now_ns=now_ns,
        signals=make_signals(**signals),
        instrument=grid,
    )


def edge_situations(grid: Instrument, signals: Mapping[str, float], *, rounded: bool) -> list[Situation]:
    """Return calm and very cheap markets with every kind of inventory and earlier quotes.

    Args:
        grid: The instrument.
        signals: A plausible value of each.
        rounded: Quotes as risk controls get them.
    """
    return [
        Situation(view, inventory, NEUTRAL_ADVICE, proposal)
        for view in (calm_view(grid, signals), calm_view(grid, signals, bid_ticks=1))
        for inventory in _inventories(grid)
        for proposal in _proposals(view, rounded=rounded)
    ]


def _inventories(grid: Instrument) -> list[Inventory]:
    limit = _LIMIT_LOTS * grid.lot
    # Beyond the limit: it may be lowered under a position that is there already.
    positions = [share * limit for share in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)]
    limited = [make_inventory(position, max_position=limit) for position in positions]
    losing = make_inventory(limit, max_position=limit, day_pnl_quote=-1e9, total_notional_quote=1e12)
    return [*limited, make_inventory(), make_inventory(limit, target=-limit), losing]


def _proposals(view: MarketView, *, rounded: bool) -> list[QuoteProposal]:
    size, no_price = view.order_size, 0.0 if rounded else math.nan
    both = QuoteProposal(view.bid, size, view.ask, size, 0, 0)
    bid_only = QuoteProposal(view.bid, size, no_price, 0.0, 0, _ABSENT)
    ask_only = QuoteProposal(no_price, 0.0, view.ask, size, _ABSENT, 0)
    return [both, bid_only, ask_only] if rounded else [NO_QUOTE, both, bid_only, ask_only]

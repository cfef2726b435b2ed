"""A market as those see it who look now and then: made on request, from what is there, and nothing follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.advice import MarketPicture
from mmframe.domain.market import BookState, Side

if TYPE_CHECKING:
    from mmframe.engine.market import EngineMarket

__all__ = ["market_picture"]


def market_picture(market: EngineMarket, *, levels: int, trades: int) -> MarketPicture | None:
    """Return a market as of its last decision, with the book as it stands; None while there is nothing to be seen.

    No signal is read: reading may change one, and looking must change nothing.

    Args:
        market: The market.
        levels: Levels a side.
        trades: Newest executions.
    """
    view, inventory = market.last_view, market.last_inventory
    if view is None or inventory is None or market.book_state is not BookState.SYNCED or not market.has_touch:
        return None
    tape = market.tape
    return MarketPicture(
        market=market.index,
        symbol=market.instrument.symbol,
        view=view,
        signals=market.signal_values(),
        inventory=inventory,
        bids=_levels(market, Side.BUY, levels),
        asks=_levels(market, Side.SELL, levels),
        trades=tuple(tape)[-trades:] if tape is not None and trades > 0 else (),
    )


def _levels(market: EngineMarket, side: Side, count: int) -> tuple[tuple[float, float], ...]:
    tick, lot = market.instrument.tick, market.instrument.lot
    found = market.book.levels(side, count) if count > 0 else []
    return tuple((ticks * tick, lots * lot) for ticks, lots in found)

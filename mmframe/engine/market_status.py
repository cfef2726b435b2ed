"""A market at one moment, for status lines and summaries. Made on request, never on the hot path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.market import Side
from mmframe.domain.status import MarketStatus, WorkingOrder
from mmframe.domain.views import RiskLevel

if TYPE_CHECKING:
    from mmframe.engine.market import EngineMarket

__all__ = ["market_status"]


def market_status(market: EngineMarket, *, is_paused: bool) -> MarketStatus:
    """Return the whole state of a market; `is_paused` tells of the strategy's pause too."""
    instrument, ledger, touch = market.instrument, market.ledger, market.touch
    resting: dict[Side, int] = {}
    working = []
    for order in market.tracker:
        working.append(
            WorkingOrder(
                client_id=order.client_id,
                side=order.side.name.lower(),
                state=order.state.value,
                price=instrument.price(order.price_ticks),
                leaves=instrument.size(order.leaves_lots),
            )
        )
        if order.has_been_open:
            best = max if order.side == Side.BUY else min
            resting[order.side] = best(order.price_ticks, resting.get(order.side, order.price_ticks))
    our_bid, our_ask = resting.get(Side.BUY), resting.get(Side.SELL)
    return MarketStatus(
        instrument=instrument.symbol,
        book_state=market.book_state,
        bid=instrument.price(touch.bid_ticks) if touch.bid_lots else None,
        ask=instrument.price(touch.ask_ticks) if touch.ask_lots else None,
        our_bid=None if our_bid is None else instrument.price(our_bid),
        our_ask=None if our_ask is None else instrument.price(our_ask),
        position=instrument.size(ledger.position_lots),
        average_price=ledger.average_price(),
        pnl=ledger.profit_and_loss(),
        orders=market.tracker.submitted_count,
        fills=ledger.fill_count,
        working=tuple(working),
        bid_reason=market.bid_reason,
        ask_reason=market.ask_reason,
        risk_level=market.risk_level if not market.halt_reason else int(RiskLevel.HALT),
        volume=instrument.size(ledger.volume_lots),
        quote_asset=instrument.quote,
        unvalued_fees=dict(ledger.unvalued_fees),
        is_paused=is_paused,
    )

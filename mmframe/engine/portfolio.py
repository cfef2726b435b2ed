"""Positions and profit, exact in tick-lots: nothing here is rounded before it is shown.

A market's cash and cost are integers of tick x lot. Profit is marked to the mid in *half* ticks (best bid + best ask),
so that it stays an integer too. The split holds by construction: total = spread capture + inventory + fees.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from mmframe.domain.market import Side
from mmframe.domain.status import ProfitAndLoss

if TYPE_CHECKING:
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Fill

__all__ = ["MarketLedger"]


class MarketLedger:
    """One market's position, cost and profit.

    Attributes:
        position_lots: Signed position.
        cash_tick_lots: What fills brought in, negative when we paid.
        cost_tick_lots: What the open position cost, signed like the position.
        spread_half_tick_lots: Sum over fills of the distance to the mid, twice, times size.
        fees_quote: Fees that could be valued in the quote asset; positive is paid.
        unvalued_fees: Fees in other assets.
        volume_lots: Both sides.
        mark_half_ticks: Last known best bid + best ask; 0 before the first.
    """

    __slots__ = (
        "_half_value",
        "_seen_trade_ids",
        "_value",
        "cash_tick_lots",
        "cost_tick_lots",
        "fees_float",
        "fees_quote",
        "fill_count",
        "instrument",
        "mark_half_ticks",
        "position_lots",
        "spread_half_tick_lots",
        "unvalued_fees",
        "volume_lots",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.position_lots = 0
        self.cash_tick_lots = 0
        self.cost_tick_lots = 0
        self.spread_half_tick_lots = 0
        self.fees_quote = Decimal(0)
        self.fees_float = 0.0
        self.unvalued_fees: dict[str, Decimal] = {}
        self.volume_lots = 0
        self.fill_count = 0
        self.mark_half_ticks = 0
        self._seen_trade_ids: set[str] = set()
        self._value = instrument.tick_size * instrument.lot_size
        self._half_value = float(self._value) / 2.0

    def has_counted(self, venue_trade_id: str) -> bool:
        """Tell whether the execution is in the ledger already."""
        return venue_trade_id in self._seen_trade_ids

    def apply(self, fill: Fill, mid_half_ticks: int) -> bool:
        """Count one execution; return False when its trade id has been counted before.

        Args:
            fill: The execution.
            mid_half_ticks: Best bid + best ask in ticks at the time; twice the fill's price when there was no book.
        """
        if fill.venue_trade_id in self._seen_trade_ids:
            return False
        self._seen_trade_ids.add(fill.venue_trade_id)
        sign = 1 if fill.side == Side.BUY else -1
        ticks, lots = fill.price_ticks, fill.size_lots
        self._move_position(sign, ticks, lots)
        self.spread_half_tick_lots += sign * (mid_half_ticks - 2 * ticks) * lots
        self.volume_lots += lots
        self.fill_count += 1
        if not self.mark_half_ticks:
            self.mark_half_ticks = mid_half_ticks
        self._charge(fill)
        return True

    def total_float(self) -> float:
        """Return the marked profit after fees in quote units, as a float for statistics and limits."""
        return (
            2 * self.cash_tick_lots + self.position_lots * self.mark_half_ticks
        ) * self._half_value - self.fees_float

    def unrealised_float(self) -> float:
        """Return the profit of the open position in quote units, as a float."""
        return (self.position_lots * self.mark_half_ticks - 2 * self.cost_tick_lots) * self._half_value

    def realised_float(self) -> float:
        """Return the profit of what was closed in quote units, before fees, as a float."""
        return 2 * (self.cash_tick_lots + self.cost_tick_lots) * self._half_value

    def notional_float(self) -> float:
        """Return the absolute value of the position at the mark in quote units, as a float."""
        return abs(self.position_lots) * self.mark_half_ticks * self._half_value

    def average_price_float(self) -> float:
        """Return the average price of the open position, 0.0 when flat, as a float."""
        return self.cost_tick_lots / self.position_lots * self.instrument.tick if self.position_lots else 0.0

    def average_price(self) -> Decimal | None:
        """Return the average price of the open position; None when flat."""
        if not self.position_lots:
            return None
        return self.instrument.tick_size * self.cost_tick_lots / self.position_lots

    def profit_and_loss(self) -> ProfitAndLoss:
        """Return the exact split of profit in quote units."""
        total_half = 2 * self.cash_tick_lots + self.position_lots * self.mark_half_ticks
        half = self._value / 2
        realised = self._value * (self.cash_tick_lots + self.cost_tick_lots)
        return ProfitAndLoss(
            total=half * total_half - self.fees_quote,
            spread_capture=half * self.spread_half_tick_lots,
            inventory=half * (total_half - self.spread_half_tick_lots),
            fees=-self.fees_quote,
            realised=realised,
            unrealised=half * total_half - realised,
        )

    def _move_position(self, sign: int, ticks: int, lots: int) -> None:
        position = self.position_lots
        self.cash_tick_lots -= sign * ticks * lots
        closing = min(lots, abs(position)) if position * sign < 0 else 0
        if closing:
            # Average cost. What integer division leaves stays in the open cost, so nothing is lost over partial closes.
            self.cost_tick_lots -= self.cost_tick_lots * closing // abs(position)
        self.cost_tick_lots += sign * ticks * (lots - closing)
        self.position_lots = position + sign * lots

    def _charge(self, fill: Fill) -> None:
        if not fill.fee:
            return
        if fill.fee_asset == self.instrument.quote:
            self.fees_quote += fill.fee
        elif fill.fee_asset == self.instrument.base:
            self.fees_quote += fill.fee * self.instrument.price(fill.price_ticks)
        else:
            self.unvalued_fees[fill.fee_asset] = self.unvalued_fees.get(fill.fee_asset, Decimal(0)) + fill.fee
        self.fees_float = float(self.fees_quote)

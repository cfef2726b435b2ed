"""What of the engine must outlive the process: enough to come back with the same orders, position and profit."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from mmframe.domain.market import Side
from mmframe.domain.orders import Fill, OrderState
from mmframe.engine.liquidation import LiquidationState

__all__ = ["EngineState", "RestoredFill", "RestoredOrder", "RestoredRun"]


class EngineState(msgspec.Struct, frozen=True):
    """The few facts that do not follow from orders and fills. Journaled whenever it changes."""

    last_sequence: int = 0
    """Of client ids."""
    day: int = 0
    """Days since the epoch, UTC, of the current trading day."""
    day_start_pnl_quote: Decimal = Decimal(0)
    """Total profit when the day began, of the markets with the first market's quote asset."""
    halt_reason: str = ""
    """A latched HALT or kill of the strategy; empty when there is none."""
    is_killed: bool = False
    is_paused: bool = False
    """The operator paused the strategy."""
    market_halts: tuple[str, ...] = ()
    """Latched HALTs of single markets, in market order; empty for one that is not halted."""
    paused_markets: tuple[int, ...] = ()
    """Markets that the operator paused by themselves."""
    killed_markets: tuple[int, ...] = ()
    """Markets that the operator killed by themselves; each has its halt too."""
    other_day_start_pnl_quote: dict[str, Decimal] = {}
    """Total profit when the day began, by every other quote asset."""
    peaks_pnl_quote: dict[str, tuple[float, float]] = {}
    """High-water marks by quote asset: of the run's profit, and of the day's."""
    risk_states: dict[str, tuple[float, ...]] = {}
    """What risk controls remember, by market and name."""
    liquidations: tuple[LiquidationState, ...] = ()
    """Positions that are being closed, and how far that is."""
    old_marks: dict[int, tuple[int, int]] = {}
    """By market: lots held as the day began and their mark in half ticks, until the day's first book values them."""


class RestoredOrder(msgspec.Struct, frozen=True):
    """An order as the journal last knew it."""

    market: int
    client_id: str
    side: Side
    price_ticks: int
    size_lots: int
    filled_lots: int
    state: OrderState
    version: int = 0
    venue_order_id: str = ""


class RestoredFill(msgspec.Struct, frozen=True):
    """A fill with the mid at the time, which the split of profit needs."""

    fill: Fill
    mid_half_ticks: int
    """Best bid + best ask in ticks when the fill was handled; twice the fill's own price when there was no book."""


class RestoredRun(msgspec.Struct, frozen=True):
    """Everything read back from a journal."""

    state: EngineState
    orders: tuple[RestoredOrder, ...]
    """Those that are not final."""
    fills: tuple[RestoredFill, ...]
    """All, in the order in which they were counted."""
    is_released: bool = False
    """A person has looked into its halts: the high-water marks start anew, as on a resume."""

    def released(self) -> RestoredRun:
        """Return the run without its halts, its kill and its liquidations: a person has looked into them."""
        state = msgspec.structs.replace(
            self.state, halt_reason="", is_killed=False, market_halts=(), killed_markets=(), liquidations=()
        )
        return msgspec.structs.replace(self, state=state, is_released=True)

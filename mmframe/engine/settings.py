"""The engine's numbers, all in integers of the market's own grid or in plain floats for statistics."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.domain.kinds import OnOpenOrders, OnPosition, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.liquidation import LiquidationTerms
    from mmframe.ports import Book, Optimizer, RiskControl, Signal

__all__ = [
    "EngineSettings",
    "FaultBudget",
    "GateLimits",
    "LadderSettings",
    "MarketPipeline",
    "MarketSettings",
    "NamedOptimizer",
    "NamedRiskControl",
    "NamedSignal",
    "ReconcileSettings",
]


@attrs.frozen
class LadderSettings:
    """How one quote a side becomes several.

    Attributes:
        levels: Orders a side, >= 1.
        step_bps: Distance from the best level to the second, in bps of the best level's price.
        step_factor: Each further distance between two levels relative to the one before it, >= 1.
        size_factor: Size of a level relative to the one before it.
    """

    levels: int = 1
    step_bps: float = 5.0
    step_factor: float = 1.0
    size_factor: float = 1.0

    @property
    def rungs(self) -> tuple[tuple[float, float], ...]:
        """Return of each level its distance from the best one, in first steps, and its size relative to it."""
        rungs, distance = [], 0.0
        for level in range(self.levels):
            rungs.append((distance, self.size_factor**level))
            distance += self.step_factor**level
        return tuple(rungs)

    @property
    def spacing(self) -> str:
        """Return in words how far apart the levels are and how their sizes go."""
        steps = "" if self.step_factor == 1.0 else f", each step {self.step_factor:g} x the one before"
        return f"{self.step_bps:g} bps apart{steps}, each {self.size_factor:g} x the one before"


@attrs.frozen
class ReconcileSettings:
    """When a live order is close enough to its target to keep its place in the queue.

    Attributes:
        price_tolerance_ticks: Kept when it is at most so many ticks less aggressive than the target; one that is more
            aggressive than the target is never kept.
        size_tolerance: Kept when its size is within this share of the target's and not above a risk limit.
    """

    price_tolerance_ticks: int = 0
    size_tolerance: float = 0.1


@attrs.frozen
class GateLimits:
    """The gate's limits of one market, and the strategy-wide ones (marked *all*).

    None means not limited; a live run refuses to start with an unlimited one.
    """

    max_order_lots: int | None = None
    max_order_notional_quote: Decimal | None = None
    max_position_lots: int | None = None
    """Worst case: position plus every order that may still fill on one side."""
    max_position_notional_quote: Decimal | None = None
    max_open_orders: int = 50
    max_orders_per_second: int = 20
    """*All*; submits, amends and replaces. Cancels have a lane of their own and are never refused for rate."""
    max_daily_loss_quote: Decimal | None = None
    """*All*; since midnight UTC, fees included. Latches HALT."""
    price_collar_bps: float = 500.0
    """Largest distance of an order's price from the mid."""
    max_repeats: int = 5
    """Identical orders refused by the venue in a row before the side is paused for `repeat_pause_ns`."""
    repeat_pause_ns: int = 5_000_000_000


@attrs.frozen
class FaultBudget:
    """How many strategy faults lead to what: skip the decision, pull quotes, HALT.

    Attributes:
        pull_after: Consecutive faults after which quotes are pulled; before that the decision is skipped.
        halt_after: Faults in the whole run after which the strategy halts.
    """

    pull_after: int = 3
    halt_after: int = 20


@attrs.frozen
class MarketSettings:
    """One market's numbers."""

    instrument: Instrument
    order_size_lots: int
    limits: GateLimits
    target_position_lots: int = 0
    ladder: LadderSettings = LadderSettings()
    reconcile: ReconcileSettings = ReconcileSettings()

    @property
    def max_position(self) -> float:
        """Return the largest absolute position in base units, infinity when there is none."""
        lots = self.limits.max_position_lots
        return math.inf if lots is None else lots * self.instrument.lot


@attrs.frozen
class EngineSettings:
    """What a strategy file says to the engine.

    Attributes:
        strategy: The strategy's name.
        run_id: Distinguishes runs in client ids; digits and lower-case letters.
        requote_interval_ns: Shortest time between two decisions of a market.
        max_quote_age_ns: Longest time between two decisions of a market even if nothing changed.
        stale_after_ns: A book without a message for longer is STALE and quotes are pulled; 0 turns it off.
        acknowledge_timeout_ns: A request without an answer for longer makes its order UNKNOWN.
        query_interval_ns: Time between two queries of an UNKNOWN order, or for the open orders of a live venue.
        position_grace_ns: How long the venue's position may differ from the sum of fills before the market halts:
            fills and positions come by different ways.
        on_open_orders: What a live start does with orders of ours that it does not know.
        on_position: What a live start does with a position that it does not know.
        markets: In the order of the file; the index is the market's number everywhere.
    """

    strategy: str
    run_id: str
    markets: tuple[MarketSettings, ...]
    requote_interval_ns: int = 100_000_000
    max_quote_age_ns: int = 1_000_000_000
    stale_after_ns: int = 0
    acknowledge_timeout_ns: int = 5_000_000_000
    query_interval_ns: int = 1_000_000_000
    position_grace_ns: int = 10_000_000_000
    on_open_orders: OnOpenOrders = OnOpenOrders.CANCEL
    on_position: OnPosition = OnPosition.REFUSE
    faults: FaultBudget = FaultBudget()


@attrs.frozen
class NamedSignal:
    """A built signal and the field of `view.signals` that it fills."""

    name: str
    signal: Signal


@attrs.frozen
class NamedOptimizer:
    """A built optimizer and the name that records show."""

    name: str
    optimizer: Optimizer


@attrs.frozen
class NamedRiskControl:
    """A built risk control, its name, what its HALT stops, and whether its `state` outlives a restart.

    Attributes:
        liquidation: How positions are closed when it asks for that; None when it may not.
        reasons: Texts of its own reason codes.
    """

    name: str
    control: RiskControl
    scope: Scope = Scope.MARKET
    keeps_state: bool = False
    liquidation: LiquidationTerms | None = None
    reasons: Mapping[int, str] = attrs.field(factory=dict)


@attrs.frozen
class MarketPipeline:
    """One market's built components, in order."""

    book: Book
    signals: tuple[NamedSignal, ...]
    optimizers: tuple[NamedOptimizer, ...]
    risk_controls: tuple[NamedRiskControl, ...]

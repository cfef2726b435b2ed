"""One arm of the comparison: a backtest with given advice, and what came of it."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.domain.market import Side
from mmframe.engine.portfolio import MarketLedger
from mmframe.research.advice.injection import AdvisedVenue, FillLog
from mmframe.runtime.driver import run_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Fill
    from mmframe.domain.records import AdviceUpdate
    from mmframe.domain.status import RunResult
    from mmframe.research.advice.tape import MarketTape
    from mmframe.runtime.plan import Plan

__all__ = ["MARKOUT_HORIZONS_S", "ArmFigures", "Curves", "Grid", "arm_figures", "run_arm"]

MARKOUT_HORIZONS_S = (1, 5, 30, 60)

_BPS = 10_000.0
_NS_PER_S = 1_000_000_000


@attrs.frozen
class Grid:
    """The blocks of time in which arms are compared.

    Attributes:
        times_ns: Their borders, the first at the start of the recording and the last at its end.
    """

    times_ns: tuple[int, ...]

    @classmethod
    def over(cls, start_ns: int, end_ns: int, step_ns: int) -> Grid:
        """Return blocks of `step_ns`; the last one may be shorter."""
        return cls((*range(start_ns, end_ns, step_ns), end_ns))

    def place(self, time_ns: int) -> int:
        """Return the block that a time belongs to; of one beyond an end, the nearest."""
        return min(max(bisect_left(self.times_ns, time_ns) - 1, 0), len(self.times_ns) - 2)


@attrs.frozen
class Curves:
    """What an arm earned and held over time, summed over its markets, in quote units.

    Attributes:
        increments: Of the profit before API cost, one a block.
        costs: API cost, one a block.
        positions: Signed value of the position at the end of each block.
    """

    increments: tuple[float, ...]
    costs: tuple[float, ...]
    positions: tuple[float, ...]

    @property
    def net(self) -> tuple[float, ...]:
        """Return the increments after API cost."""
        return tuple(gained - cost for gained, cost in zip(self.increments, self.costs, strict=True))


class ArmFigures(msgspec.Struct, frozen=True):
    """What came of one arm, in quote units; of several shifts the mean."""

    arm: str
    net_pnl: float
    """After fees and API cost, marked to the mid."""
    api_cost: float
    spread_capture: float
    """Distance from the mid at the time of each fill, times size."""
    inventory_pnl: float
    """What the position gained or lost as the mid moved."""
    fees: float
    """Negative is paid."""
    fills: float
    volume: float
    """Both sides, quote units."""
    markouts_bps: dict[str, float | None]
    """By horizon: what a fill was worth then, against its price, weighted by value; None without a fill."""
    inventory_std: float
    """Standard deviation over time of the position's value."""
    max_drawdown: float
    """Largest fall of the net profit from a peak, by blocks."""
    ended_because: str = "end of data"
    decision_hash: str = ""
    """Of the run; empty for a mean over runs."""


def run_arm(plan: Plan, updates: Sequence[AdviceUpdate]) -> tuple[RunResult, Sequence[Fill]]:
    """Run a backtest that gets this advice and no other.

    Args:
        plan: Composed for this run alone, on virtual time.
        updates: In time order.
    """
    log = FillLog()
    advised = attrs.evolve(plan, venue=AdvisedVenue(plan.venue, updates), sinks=(log,), advisers=())
    return run_plan(advised), log.fills


def arm_figures(  # noqa: PLR0913 - what one arm is measured with
    arm: str,
    *,
    instruments: Sequence[Instrument],
    tapes: Sequence[MarketTape],
    grid: Grid,
    result: RunResult,
    fills: Sequence[Fill],
    costs: Sequence[float],
) -> tuple[ArmFigures, Curves]:
    """Return what came of an arm and how it came about over time.

    Args:
        arm: Its name.
        instruments: The markets.
        tapes: Of each market.
        grid: Blocks of time.
        result: Of the run.
        fills: Of the run, in order.
        costs: API cost in each block, quote units.
    """
    increments = [0.0] * (len(grid.times_ns) - 1)
    positions = [0.0] * (len(grid.times_ns) - 1)
    for index, instrument in enumerate(instruments):
        own = [fill for fill in fills if fill.market == index]
        for place, (gained, held) in enumerate(_curve(instrument, tapes[index], own, grid, result.status.now_ns)):
            increments[place] += gained
            positions[place] += held
    curves = Curves(tuple(increments), tuple(costs), tuple(positions))
    splits = [market.pnl for market in result.status.markets]
    cost = sum(costs)
    figures = ArmFigures(
        arm=arm,
        net_pnl=float(sum(split.total for split in splits)) - cost,
        api_cost=cost,
        spread_capture=float(sum(split.spread_capture for split in splits)),
        inventory_pnl=float(sum(split.inventory for split in splits)),
        fees=float(sum(split.fees for split in splits)),
        fills=float(len(fills)),
        volume=sum(_value(instruments[fill.market], fill) for fill in fills),
        markouts_bps={
            f"{horizon_s}s": _markout(instruments, tapes, fills, horizon_s * _NS_PER_S)
            for horizon_s in MARKOUT_HORIZONS_S
        },
        inventory_std=_deviation(positions),
        max_drawdown=_drawdown(curves.net),
        ended_because=result.ended_because,
        decision_hash=result.decision_hash,
    )
    return figures, curves


def _curve(
    instrument: Instrument, tape: MarketTape, fills: Sequence[Fill], grid: Grid, end_ns: int
) -> list[tuple[float, float]]:
    """Return profit and position value of each block, by the ledger that the engine itself keeps.

    After the end of the run, which a halt may bring forward, nothing is gained or lost any more.
    """
    ledger = MarketLedger(instrument)
    before, found, place = 0.0, [], 0
    for last, (_, stop_ns) in enumerate(pairwise(grid.times_ns), 1):
        is_last = last == len(grid.times_ns) - 1
        while place < len(fills) and (fills[place].receive_ns <= stop_ns or is_last):
            fill = fills[place]
            ledger.apply(fill, tape.half_ticks_at(fill.receive_ns) or 2 * fill.price_ticks)
            place += 1
        ledger.mark_half_ticks = (
            tape.half_ticks_at(end_ns if is_last else min(stop_ns, end_ns)) or ledger.mark_half_ticks
        )
        now = ledger.total_float()
        held = ledger.position_lots * ledger.mark_half_ticks / 2.0 * instrument.tick * instrument.lot
        found.append((now - before, held))
        before = now
    return found


def _value(instrument: Instrument, fill: Fill) -> float:
    return fill.price_ticks * instrument.tick * fill.size_lots * instrument.lot


def _markout(
    instruments: Sequence[Instrument], tapes: Sequence[MarketTape], fills: Sequence[Fill], horizon_ns: int
) -> float | None:
    """Return the mean over fills of how far the mid was on our side of the price after a time, weighted by value."""
    gained = value = 0.0
    for fill in fills:
        instrument, tape = instruments[fill.market], tapes[fill.market]
        if fill.receive_ns + horizon_ns > tape.end_ns:
            continue
        sign = 1.0 if fill.side == Side.BUY else -1.0
        half_ticks = tape.half_ticks_at(fill.receive_ns + horizon_ns)
        gained += sign * (half_ticks / 2.0 - fill.price_ticks) * instrument.tick * fill.size_lots * instrument.lot
        value += _value(instrument, fill)
    return gained / value * _BPS if value > 0.0 else None


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _drawdown(increments: Sequence[float]) -> float:
    peak = level = worst = 0.0
    for increment in increments:
        level += increment
        peak = max(peak, level)
        worst = max(worst, peak - level)
    return worst

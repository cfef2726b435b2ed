"""How far does a market order move the price, and how much of that is left a few seconds later?

Buys sizes from 0.1 to 2 BTC in the synthetic market, each in eight fresh markets of their own, and prints what they
cost. The same seeds give the same table on every machine.
"""

from __future__ import annotations

from decimal import Decimal
from statistics import mean
from typing import NamedTuple, TypeVar

from mmframe.builtin.exchange import EmbeddedFeedOptions, Laboratory
from mmframe.domain.instrument import Instrument
from mmframe.domain.market import Side

Figure = TypeVar("Figure", float, Decimal)

GRID = Instrument(symbol="BTC/USDT", tick_size=Decimal(5), lot_size=Decimal("0.0001"))
# Nobody learns anything and nobody else takes: whatever the price does, our order did.
CROWD = EmbeddedFeedOptions(volatility_bps_per_sqrt_s=0.0, noise_takers_per_s=0.0)
SIZES = ("0.1", "0.25", "0.5", "1", "2")
SEEDS = range(1, 9)
SETTLE_S = 5.0


class Row(NamedTuple):
    """What one size does, averaged over the seeds; in basis points of the mid before the order."""

    size: str
    spread_bps: float
    slippage_bps: float
    impact_bps: float
    impact_after_1s_bps: float
    impact_after_5s_bps: float


def measure(size: str, seed: int) -> Row:
    """Buy once in a fresh market and watch the mid come back."""
    laboratory = Laboratory(GRID)
    laboratory.admit_crowd(CROWD, seed=seed)
    laboratory.run(SETTLE_S)
    spread_bps = known(laboratory.spread_bps)

    report = laboratory.market("me", Side.BUY, size)
    before = known(report.mid_before)
    laboratory.run(1.0)
    after_1s = known(laboratory.mid)
    laboratory.run(4.0)
    after_5s = known(laboratory.mid)

    return Row(
        size,
        spread_bps,
        known(report.slippage_bps),
        known(report.impact_bps),
        float((after_1s - before) / before * 10_000),
        float((after_5s - before) / before * 10_000),
    )


def known(figure: Figure | None) -> Figure:
    """Return a figure; there is none where a side of the book is empty."""
    if figure is None:
        message = "a side of the book is empty: choose smaller sizes or a larger crowd"
        raise SystemExit(message)
    return figure


def average(rows: list[Row]) -> Row:
    """Return the mean of each column."""
    return Row(rows[0].size, *(mean(column) for column in list(zip(*rows, strict=True))[1:]))


def table() -> str:
    """Return the experiment as text."""
    lines = ["bps       spread  slippage   impact  after 1 s  after 5 s"]
    for size in SIZES:
        row = average([measure(size, seed) for seed in SEEDS])
        figures = (row.spread_bps, row.slippage_bps, row.impact_bps, row.impact_after_1s_bps, row.impact_after_5s_bps)
        spread, slippage, impact, after_1s, after_5s = (f"{figure:.2f}" for figure in figures)
        lines.append(f"{row.size:>4} BTC  {spread:>6}  {slippage:>8}  {impact:>7}  {after_1s:>9}  {after_5s:>9}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201 - the result of the experiment

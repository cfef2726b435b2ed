"""The three published tables of Avellaneda and Stoikov, next to the exact moments of the same simulation.

Asks the optimizer `avellaneda-stoikov`, the very component that a strategy file names, for its quotes at each of the
200 steps and each inventory, and propagates the Markov chain of the inventory under them. Nothing is sampled.
"""

from __future__ import annotations

import sys
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from mmframe.builtin.optimizers.avellaneda_stoikov import AVELLANEDA_STOIKOV, AvellanedaStoikovOptions
from mmframe.builtin.optimizers.chain import ChainMoments, chain_moments
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE
from mmframe.testing import build_component, make_inventory, make_signals, make_view

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS, STEP_S = 200, 0.005
SIGMA, DECAY, ARRIVAL_PER_S = 2.0, 1.5, 140.0
SESSION_S = 1.0

Distances = tuple[float, float]


class Printed(NamedTuple):
    """One row of the paper's tables; each is an average over 1000 sampled paths."""

    spread: float
    profit: float
    profit_std: float
    inventory: float
    inventory_std: float


TABLES = {
    0.1: {"inventory": Printed(1.49, 65.0, 6.6, 0.08, 2.9), "symmetric": Printed(1.49, 68.4, 12.7, 0.26, 8.4)},
    0.01: {"inventory": Printed(1.35, 68.6, 8.7, 0.12, 5.1), "symmetric": Printed(1.35, 68.8, 12.8, 0.09, 8.7)},
    1.0: {"inventory": Printed(3.02, 31.4, 5.0, 0.02, 1.7), "symmetric": Printed(3.02, 44.0, 11.0, 0.00, 5.1)},
}


def quotes_of(gamma: float) -> Callable[[int, int], Distances]:
    """Return the optimizer's distances of bid and ask from the mid, by step and inventory in orders."""
    options = AvellanedaStoikovOptions(
        decay_per_price=DECAY,
        risk_aversion=gamma,
        horizon="session",
        horizon_s=SESSION_S,
        max_orders=60,
        max_half_spread_bps=5_000.0,
    )
    optimizer = build_component(AVELLANEDA_STOIKOV, options)
    view = make_view(order_size=1.0, signals=make_signals(volatility=SIGMA))

    def distances(step: int, orders: int) -> Distances:
        now_ns = 10_000_000_000 + step * int(STEP_S * 1e9)
        quotes = optimizer.propose(
            view._replace(now_ns=now_ns), make_inventory(float(orders)), NEUTRAL_ADVICE, NO_QUOTE
        )
        bid = view.mid - quotes.bid if quotes.bid_size else inf
        return bid, quotes.ask - view.mid if quotes.ask_size else inf

    return distances


def average_spread(gamma: float) -> float:
    """Return the spread of a flat inventory, averaged over the session with both its ends alike."""
    distances = quotes_of(gamma)
    at_the_steps = sum(sum(distances(step, 0)) for step in range(STEPS)) / STEPS
    # The risk term falls linearly to 0: the mean over the steps alone is half a step too early.
    return at_the_steps - gamma * SIGMA**2 * STEP_S / 2.0


def exact_moments(gamma: float, strategy: str) -> ChainMoments:
    """Return the moments of profit and inventory of one row of a table."""
    half = average_spread(gamma) / 2.0
    quotes = quotes_of(gamma) if strategy == "inventory" else lambda _step, _orders: (half, half)
    return chain_moments(quotes, steps=STEPS, step_s=STEP_S, sigma=SIGMA, arrival_rate=ARRIVAL_PER_S, decay=DECAY)


def row(label: str, values: tuple[float, ...], decimals: tuple[int, ...]) -> str:
    """Return one line of the table."""
    widths = (8, 8, 13, 11, 16)
    cells = (f"{value:{width}.{places}f}" for value, width, places in zip(values, widths, decimals, strict=True))
    return f"{label:<24}{''.join(cells)}\n"


def main() -> None:
    """Write what the paper has, and below it what is exact."""
    sys.stdout.write(f"{'gamma':<24}  spread  profit  std(profit)  inventory  std(inventory)\n")
    for gamma, rows in TABLES.items():
        spread = average_spread(gamma)
        for strategy, printed in rows.items():
            exact = exact_moments(gamma, strategy)
            # Quotes on both sides alike give a mean of 0 but for rounding, whose sign says nothing.
            values = (spread, exact.profit_mean, exact.profit_std, abs(exact.inventory_mean), exact.inventory_std)
            sys.stdout.write(row(f"{gamma:<5g} {strategy:<9}  paper", printed, (2, 1, 1, 2, 1)))
            sys.stdout.write(row(f"{'':<17}exact", values, (4, 2, 2, 2, 2)))


if __name__ == "__main__":
    main()

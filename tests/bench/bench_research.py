"""What one market costs of many that are quoted in one call, against the bare rules and a chain built for each."""

from __future__ import annotations

import random
from array import array
from typing import TYPE_CHECKING, Any

from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE
from mmframe.research import Stage, quote_many
from mmframe.testing import build_component, make_inventory, make_options, make_signals, make_view
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable

_MARKETS = 1_000
_REPEATS = 5
_SPECS = {spec.name: spec for spec in OPTIMIZERS}
_CHAIN = (
    ("avellaneda-stoikov", {"decay_per_bps": 0.2, "risk_aversion": 0.1, "max_half_spread_bps": 500.0}),
    ("inventory-skew", {"skew_bps": 2.0}),
)


def _columns(scale: float) -> tuple[int, array[float], array[float], array[float], array[float]]:
    """Return how often to repeat, and bids, asks, volatilities and positions of the markets."""
    count = max(1, int(_MARKETS * min(1.0, scale)))
    chance = random.Random(1)
    bids = array("d", (chance.uniform(10.0, 1_000.0) for _ in range(count)))
    asks = array("d", (bid * (1.0 + chance.uniform(1e-5, 1e-3)) for bid in bids))
    volatilities = array("d", (bid * chance.uniform(1e-5, 1e-3) for bid in bids))
    positions = array("d", (chance.uniform(-1.0, 1.0) for _ in bids))
    return max(1, int(_REPEATS * scale)), bids, asks, volatilities, positions


def _in_one_call(scale: float) -> Callable[[], int]:
    repeats, bids, asks, volatilities, positions = _columns(scale)
    chain = [Stage(name, options) for name, options in _CHAIN]

    def work() -> int:
        for _ in range(repeats):
            quote_many(
                chain, bid=bids, ask=asks, signals={"volatility": volatilities}, position=positions, max_position=2.0
            )
        return repeats * len(bids)

    # The first call looks for the installed plugins.
    work()
    return work


def _bare(scale: float) -> Callable[[], int]:
    """The rules alone, on views and inventories that were made before."""
    repeats, *columns = _columns(scale)
    stages = [_built(name, options) for name, options in _CHAIN]
    markets = [
        (make_view(bid, ask, signals=make_signals(volatility=sigma)), make_inventory(position=position))
        for bid, ask, sigma, position in zip(*columns, strict=True)
    ]

    def work() -> int:
        for _ in range(repeats):
            for view, inventory in markets:
                proposal = NO_QUOTE
                for stage in stages:
                    proposal = stage.propose(view, inventory, NEUTRAL_ADVICE, proposal)
        return repeats * len(markets)

    return work


def _built_for_each(scale: float) -> Callable[[], int]:
    repeats, *columns = _columns(scale)

    def work() -> int:
        for _ in range(repeats):
            for bid, ask, sigma, position in zip(*columns, strict=True):
                view = make_view(bid, ask, signals=make_signals(volatility=sigma))
                inventory = make_inventory(position=position, max_position=2.0)
                proposal = NO_QUOTE
                for name, options in _CHAIN:
                    proposal = _built(name, options).propose(view, inventory, NEUTRAL_ADVICE, proposal)
        return repeats * len(columns[0])

    return work


def _built(name: str, options: dict[str, Any]) -> Any:
    spec = _SPECS[name]
    return build_component(spec, make_options(spec, options))


BENCHMARKS = (
    Benchmark(
        name="research-quote-many",
        unit="market",
        subject=Contender("quote_many", _in_one_call),
        references=(
            Contender("the rules alone", _bare),
            Contender("a chain built for each", _built_for_each),
        ),
    ),
)

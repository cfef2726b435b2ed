"""The whole engine on a replay: book, signals, optimizers, risk, gate, reconcile, fill simulation, driver.

Two recordings: five minutes of the embedded exchange, busy, made here; and, where it is present, the Tardis-schema
NEXO/USDT recording beside the repository, calm (about one message a second). The strategy quotes with
`volatility-regime` and `inventory-skew` under two risk controls, at most every 100 ms of market time.

The reference is the same recording applied to the book alone with the touch read after each message: what no engine
on that book can be faster than.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.exchange import FEEDS
from mmframe.domain.kinds import Mode
from mmframe.domain.market import MessageKind
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.testing import build_component
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.market import MarketBatch
    from mmframe.domain.status import RunResult

_NEXO = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tardis_derived"
_NEXO_FILES = ("binance_incremental_book_L2_2024-07-23_NEXOUSDT.csv.gz", "binance_trades_2024-07-23_NEXOUSDT.csv.gz")
_NEXO_QUOTE_AGE_MS = 60_000
"""So that decisions follow from the market and not from its silence."""

_BUSY_SECONDS = 300
_STRATEGY = """
schema = 1
[strategy]
name = "bench"
requote_interval_ms = 100
max_quote_age_ms = {quote_age_ms}
[[markets]]
instrument = "{symbol}"
order_size = "{size}"
[feed]
use = "embedded"
tick_size = "{tick}"
lot_size = "{lot}"
[venue.paper]
use = "simulated"
[[signal]]
use = "ewma-volatility"
[[signal]]
use = "depth"
[[optimizer]]
use = "volatility-regime"
[[optimizer]]
use = "inventory-skew"
[gate]
max_position = "{limit}"
[[risk]]
use = "layered-limits"
max_position = "{limit}"
[[risk]]
use = "spread-floor"
min_spread_bps = 1.0
"""


class Recording:
    """A recording in memory: what is measured is the engine, not a file."""

    def __init__(self, batches: tuple[MarketBatch, ...]) -> None:
        self._batches = batches

    def batches(self) -> Iterator[MarketBatch]:
        """Yield the batches."""
        yield from self._batches


@attrs.frozen
class Case:
    """A recording with the strategy's numbers for it."""

    name: str
    symbol: str
    tick: str
    lot: str
    size: str
    limit: str
    quote_age_ms: int

    @property
    def instrument(self) -> Instrument:
        """Return the market's grid."""
        from decimal import Decimal

        from mmframe.domain.instrument import Instrument

        return Instrument(self.symbol, Decimal(self.tick), Decimal(self.lot))


BUSY = Case("embedded exchange", "BTC/USDT", "5", "0.0001", "0.02", "0.4", 1000)
CALM = Case("NEXO/USDT recording", "NEXO/USDT", "0.001", "0.01", "50", "1000", _NEXO_QUOTE_AGE_MS)


@lru_cache(maxsize=4)
def recording(case: Case, scale: float) -> tuple[MarketBatch, ...]:
    """Return the batches of a case; `scale` shortens the synthetic one and cuts the real one."""
    if case is BUSY:
        return tuple(_busy(case, max(1.0, _BUSY_SECONDS * scale)))
    from mmframe_tardis.plugin import HISTORIES

    options = HISTORIES[0].options(paths=tuple(_NEXO / name for name in _NEXO_FILES))
    history = build_component(HISTORIES[0], options, instruments=(case.instrument,))
    batches: list[MarketBatch] = []
    for batch in history.batches():
        batches.append(batch)
        if scale < 1.0:
            break
    return tuple(batches)


def _busy(case: Case, seconds: float) -> Iterator[MarketBatch]:
    options = FEEDS[0].options()
    feed = build_component(FEEDS[0], options, instruments=(case.instrument,))
    end_ns = feed.next_event_ns + int(seconds * 1e9)
    while feed.next_event_ns <= end_ns:
        yield from feed.poll(feed.next_event_ns)


def run(case: Case, scale: float) -> tuple[Callable[[], int], list[RunResult]]:
    """Return the replay as a function, and the list that its results go to."""
    batches = recording(case, scale)
    text = _STRATEGY.format(**attrs.asdict(case))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "strategy.toml"
        path.write_text(text)
        plan = compose(path, mode=Mode.PAPER, no_journal=True)
    plan = attrs.evolve(plan, mode=Mode.BACKTEST, feed=None, history=Recording(batches))
    results: list[RunResult] = []

    def replay() -> int:
        results.append(run_plan(plan))
        return results[-1].market_messages

    return replay, results


def engine(case: Case, scale: float) -> Callable[[], int]:
    """Return the whole engine's work."""
    return run(case, scale)[0]


def book_alone(case: Case, scale: float) -> Callable[[], int]:
    """Return the book's work."""
    batches = recording(case, scale)

    def replay() -> int:
        book = SortedBook()
        messages = 0
        for batch in batches:
            offsets = batch.offsets
            for index, kind in enumerate(batch.kinds):
                if kind in {MessageKind.DELTA, MessageKind.SNAPSHOT}:
                    book.apply(batch.sides, batch.ticks, batch.lots, offsets[index], offsets[index + 1])
                    book.touch()
            messages += len(batch)
        return messages

    return replay


def figures(case: Case, scale: float) -> Mapping[str, float]:
    """Return decisions, fills and what one decision costs if it paid for everything."""
    from time import process_time_ns

    replay, results = run(case, scale)
    start_ns = process_time_ns()
    replay()
    took_ns = process_time_ns() - start_ns
    result = results[0]
    return {
        "decisions": float(result.status.decisions),
        "decisions_per_s": result.status.decisions / took_ns * 1e9,
        "us_per_decision_all_in": took_ns / 1e3 / max(1, result.status.decisions),
        "orders": float(sum(market.orders for market in result.status.markets)),
        "fills": float(sum(market.fills for market in result.status.markets)),
    }


def _benchmark(case: Case) -> Benchmark:
    return Benchmark(
        name=f"engine, {case.name}",
        unit="message",
        subject=Contender("whole engine", partial(engine, case)),
        references=(Contender("book alone", partial(book_alone, case)),),
        figures=partial(figures, case),
    )


BENCHMARKS = tuple(_benchmark(case) for case in (BUSY, CALM) if case is BUSY or _NEXO.is_dir())

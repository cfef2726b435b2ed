"""The whole engine on a replay: book, signals, optimizers, risk, gate, reconcile, fill simulation, driver.

Five minutes of the embedded exchange, busy, made here; and, where they are present, recordings beside the repository:
NEXO/USDT, calm (about one message a second), four hours in Tardis' schema and a whole day from a capture, and
eleven minutes of BTC/USDT (forty messages a second). The strategy quotes with `volatility-regime` and `inventory-skew`
under two risk controls, at most every 100 ms of market time. What is measured is the engine on messages in memory.

The reference is the same recording applied to the book alone with the touch read after each message: what no engine
on that book can be faster than.
"""

from __future__ import annotations

import importlib
import tempfile
from decimal import Decimal
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from time import process_time_ns
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.exchange import FEEDS
from mmframe.domain.instrument import Instrument
from mmframe.domain.kinds import Mode
from mmframe.domain.market import MessageKind
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.testing import build_component
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mmframe.domain.market import MarketBatch
    from mmframe.domain.status import RunResult

_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
_QUOTE_AGE_MS = 60_000
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
    quote_age_ms: int = _QUOTE_AGE_MS
    plugin: str = ""
    """Module of the history; empty for the embedded exchange."""
    files: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def instrument(self) -> Instrument:
        """Return the market's grid."""
        return Instrument(self.symbol, Decimal(self.tick), Decimal(self.lot))


BUSY = Case("embedded exchange", "BTC/USDT", "5", "0.0001", "0.02", "0.4", quote_age_ms=1000)
TARDIS = Case(
    "NEXO/USDT, four hours of Tardis files",
    "NEXO/USDT",
    "0.001",
    "0.01",
    "50",
    "1000",
    plugin="mmframe_tardis.plugin",
    files=(
        "tardis_derived/binance_incremental_book_L2_2024-07-23_NEXOUSDT.csv.gz",
        "tardis_derived/binance_trades_2024-07-23_NEXOUSDT.csv.gz",
    ),
)
DAY = attrs.evolve(
    TARDIS,
    name="NEXO/USDT, a day's capture",
    plugin="mmframe_binance.plugin",
    files=("binance_spot/nexousdt_20240723.raw.gz", "binance_spot/nexousdt_20240724.raw.gz"),
)
BTC = Case(
    "BTC/USDT, eleven minutes' capture",
    "BTC/USDT",
    "0.01",
    "0.00001",
    "0.01",
    "0.2",
    plugin="mmframe_binance.plugin",
    files=("binance_spot/btcusdt_20240808.raw.gz", "binance_spot/btcusdt_20240809.raw.gz"),
    options=(("off_grid", "fit"),),
)


@lru_cache(maxsize=8)
def recording(case: Case, scale: float) -> tuple[MarketBatch, ...]:
    """Return the batches of a case; `scale` shortens the synthetic one and cuts a real one after its first batch."""
    if not case.plugin:
        return tuple(_busy(case, max(1.0, _BUSY_SECONDS * scale)))
    spec = importlib.import_module(case.plugin).HISTORIES[0]
    options = spec.options(paths=tuple(_DATA / name for name in case.files), **dict(case.options))
    history = build_component(spec, options, instruments=(case.instrument,))
    return tuple(history.batches() if scale >= 1.0 else islice(history.batches(), 1))


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


BENCHMARKS = tuple(_benchmark(case) for case in (BUSY, TARDIS, DAY, BTC) if not case.plugin or _DATA.is_dir())

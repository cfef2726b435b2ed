"""Reading recorded CSV files: by columns as the history does, row by row with exact decimals, and the bare csv module.

The file is generated: changes of a book of one market, two rows a message, prices from some hundred, sizes mostly new,
as in recordings of Binance spot. Gzip, as the vendor ships it.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import random
import tempfile
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mmframe.domain.market import MarketBatch, MessageKind
from mmframe.testing import build_component, make_instrument
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BENCHMARKS"]

_ROWS = 200_000
_HEADER = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount\n"
_INSTRUMENT = make_instrument("NEXO/USDT", tick_size="0.001", lot_size="0.01")
# Lives as long as the process, and goes with it.
_FOLDER = tempfile.TemporaryDirectory(prefix="mmframe-bench-")


@lru_cache(maxsize=4)
def recording(rows: int) -> Path:
    """Return a file of `rows` rows."""
    source = random.Random(20240723)
    path = Path(_FOLDER.name) / f"changes-{rows}.csv.gz"
    time_us = 1_721_749_182_850_494
    lines = [_HEADER]
    for number in range(rows):
        time_us += source.randint(50_000, 150_000) * (number % 2)
        price = f"{source.randint(1_100, 1_340) / 1000:g}"
        amount = f"{source.randint(0, 999_999) / 100:g}"
        side = source.choice(("bid", "ask"))
        flag = "true" if number < 100 else "false"
        lines.append(f"binance,NEXOUSDT,{time_us - 40_000},{time_us},{flag},{side},{price},{amount}\n")
    path.write_bytes(gzip.compress("".join(lines).encode(), compresslevel=6))
    return path


def history(scale: float) -> Callable[[], int]:
    """Return the reading by the history."""
    from mmframe_tardis.plugin import HISTORIES

    rows = int(_ROWS * scale)
    options = HISTORIES[0].options(paths=(recording(rows),))
    component = build_component(HISTORIES[0], options, instruments=(_INSTRUMENT,))

    def work() -> int:
        assert sum(len(batch.ticks) for batch in component.batches()) == rows
        return rows

    return work


def rows_with_decimals(scale: float) -> Callable[[], int]:
    """Return the reading row by row, each number through `Decimal`."""
    rows = int(_ROWS * scale)
    path = recording(rows)

    def work() -> int:
        batch = MarketBatch(0)
        last = ""
        changes: list[tuple[int, int, int]] = []
        with gzip.open(path, "rt", newline="") as file:
            for row in csv.DictReader(file):
                if row["local_timestamp"] != last and changes:
                    _add(batch, last, changes)
                    changes = []
                last = row["local_timestamp"]
                changes.append(
                    (
                        int(row["side"] == "ask"),
                        int(Decimal(row["price"]) / _INSTRUMENT.tick_size),
                        int(Decimal(row["amount"]) / _INSTRUMENT.lot_size),
                    )
                )
        _add(batch, last, changes)
        assert len(batch.ticks) == rows
        return rows

    return work


def csv_alone(scale: float) -> Callable[[], int]:
    """Return the reading by `csv.reader` that makes nothing of the rows."""
    rows = int(_ROWS * scale)
    path = recording(rows)

    def work() -> int:
        with gzip.open(path, "rt", newline="") as file:
            assert sum(1 for _ in csv.reader(file)) == rows + 1
        return rows

    return work


def _add(batch: MarketBatch, local_timestamp: str, changes: list[tuple[int, int, int]]) -> None:
    time_ns = int(local_timestamp) * 1000
    batch.add(MessageKind.DELTA, exchange_ns=time_ns, receive_ns=time_ns, changes=changes)


BENCHMARKS = (
    (
        Benchmark(
            name="tardis csv",
            unit="row",
            subject=Contender("history tardis/csv", history),
            references=(
                Contender("csv.DictReader and Decimal", rows_with_decimals, target_ratio=2.0),
                Contender("csv.reader alone", csv_alone),
            ),
        ),
    )
    if importlib.util.find_spec("mmframe_tardis")
    else ()
)

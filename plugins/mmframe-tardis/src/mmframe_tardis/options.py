"""What a strategy file may say of recorded CSV files."""

from __future__ import annotations

from pathlib import Path

import attrs

from mmframe.plugin import option

__all__ = ["CsvOptions"]


@attrs.frozen
class CsvOptions:
    """Keys of `[history]` with `use = "tardis/csv"`."""

    paths: tuple[Path, ...] = option(
        help="Files, .csv or .csv.gz, relative to this file; `*`, `?`, `[...]` in a name match several, sorted.",
        example=["data/binance_incremental_book_L2_2024-09-01_BTCUSDT.csv.gz"],
    )
    symbols: tuple[str, ...] = option(
        help="Which rows belong to a market whose `venue_symbol` is not the file's: `SYMBOL=BASE/QUOTE`, "
        "or `exchange:SYMBOL=BASE/QUOTE` where a symbol exists on several exchanges.",
        default=(),
        example=["bybit-spot:BTCUSDT=BTC/USDT"],
    )
    on_bad_row: str = option(
        help="What an unreadable row does: `error` ends the run with file and line, `skip` counts it and goes on.",
        default="error",
        choices=("error", "skip"),
    )

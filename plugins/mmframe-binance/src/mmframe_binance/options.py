"""What a strategy file may say of captures."""

from __future__ import annotations

from pathlib import Path

import attrs

from mmframe.plugin import option

__all__ = ["CaptureOptions"]


@attrs.frozen
class CaptureOptions:
    """Keys of `[history]` with `use = "binance/capture"`."""

    paths: tuple[Path, ...] = option(
        help="Capture files, plain or gzip, relative to this file; those of one symbol in the order of time.",
        example=["captures/btcusdt_20240808.raw.gz"],
    )
    product: str = option(
        help="Whose continuity rule holds: spot's, or that of USDⓈ-M futures.",
        default="spot",
        choices=("spot", "usdm"),
    )
    off_grid: str = option(
        help="What a level off the grid does, as levels older than a change of tick or lot size are: `error` ends the "
        "run; `fit` leaves out a price between ticks and cuts a size to whole lots, at least one, and counts both.",
        default="error",
        choices=("error", "fit"),
    )
    on_bad_frame: str = option(
        help="What an unreadable line does: `error` ends the run with file and line; `skip` counts it, and the book "
        "is void until the next snapshot if it was a diff.",
        default="error",
        choices=("error", "skip"),
    )

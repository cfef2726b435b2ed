"""What a strategy file may say of captures."""

from __future__ import annotations

from pathlib import Path

import attrs

from mmframe.plugin import option

__all__ = ["CaptureOptions"]


@attrs.frozen
class CaptureOptions:
    """Keys of `[history]` with `use = "bybit/capture"`."""

    paths: tuple[Path, ...] = option(
        help="Capture files or unpacked history downloads, plain or gzip, relative to this file; merged by time.",
        example=["captures/linear_btcusdt_20260809.raw.gz"],
    )
    category: str = option(
        help="Whose symbols the files hold. The rules are the same; perpetuals in USDC are called BTCPERP on linear.",
        default="spot",
        choices=("spot", "linear"),
    )
    depth: int | None = option(
        help="Which of the orderbook topics makes the book: 1, 50, 200, 500 or 1000; needed where a file has several.",
        default=None,
    )
    on_bad_frame: str = option(
        help="What an unreadable line does: `error` ends the run with file and line; `skip` counts it, and the book is "
        "void from where the loss shows until the next snapshot.",
        default="error",
        choices=("error", "skip"),
    )

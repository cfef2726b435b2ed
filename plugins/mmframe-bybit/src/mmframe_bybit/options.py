"""What a strategy file may say of captures and of live feeds."""

from __future__ import annotations

from pathlib import Path

import attrs

from mmframe.plugin import option

__all__ = ["PING_INTERVAL_S", "CaptureOptions", "FeedOptions"]

PING_INTERVAL_S = 20.0
"""How often the exchange wants to hear from us, in seconds."""


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


@attrs.frozen
class FeedOptions:
    """Keys of `[feed]` with `use = "bybit/spot"` or `"bybit/linear"`."""

    environment: str = option(
        help="Which exchange: `demo` has no market data of its own and shows that of `live`.",
        default="live",
        choices=("live", "testnet", "demo"),
    )
    stream_url: str | None = option(
        help="Whole address of the category's public stream, in place of the environment's: wss, or ws to loopback.",
        default=None,
        example="wss://stream.bybit.eu/v5/public/spot",
    )
    depth: int = option(
        help="Levels a side of the book: 1 (every 10 ms), 50 (20 ms), 200 (100 ms) or 1000 (200 ms).", default=50
    )
    liveness_timeout_s: float = option(
        help="Time without any sign of life after which the connection counts as dead; a ping goes out every 20 s.",
        default=30.0,
        unit="seconds",
        minimum=PING_INTERVAL_S + 1,
        maximum=600.0,
    )
    queue_frames_max: int = option(
        help="Frames that may wait for the engine; beyond it they are dropped and every book is void until a snapshot.",
        default=16_384,
        minimum=16,
        maximum=1_000_000,
    )

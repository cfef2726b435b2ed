"""What a strategy file may say of captures and live feeds."""

from __future__ import annotations

from pathlib import Path

import attrs

from mmframe.plugin import option

__all__ = ["CaptureOptions", "FeedOptions", "SpotOptions", "UsdmOptions"]


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
    book: str = option(
        help="What makes the book: snapshots and diffs (`diff`), or the whole best levels of `depth5`, `depth10` or "
        "`depth20` (`partial`).",
        default="diff",
        choices=("diff", "partial"),
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


@attrs.frozen(kw_only=True)
class FeedOptions:
    """What both live feeds have."""

    stream_url: str | None = option(
        help="Scheme, host and port of the market streams instead of the environment's; `wss`, or `ws` to loopback.",
        default=None,
        example="wss://stream.example.com:9443",
    )
    rest_url: str | None = option(
        help="Scheme, host and port of the REST endpoints instead of the environment's; `https`, or `http` to "
        "loopback.",
        default=None,
        example="https://api.example.com",
    )
    proxy_url: str | None = option(
        help="An HTTP proxy for both; the environment's variables are not looked at.",
        default=None,
        example="http://127.0.0.1:3128",
    )
    trades: str = option(
        help="Each execution by itself (`trade`), or a taker's executions at one price as one (`aggTrade`).",
        default="trade",
        choices=("trade", "aggTrade"),
    )
    book: str = option(
        help="What makes the book: snapshots and diffs of all levels (`diff`), or each time the whole best 5, 10 or 20 "
        "levels, without continuity to check and without REST.",
        default="diff",
        choices=("diff", "depth5", "depth10", "depth20"),
    )
    cross_check: bool = option(
        help="Whether the best bid and ask of the book are compared with the exchange's own (`bookTicker`) wherever "
        "both are of the same moment; a book that disagrees lastingly is void and fetched anew.",
        default=False,
    )
    cross_check_disagreements_max: int = option(
        help="Comparisons in a row that may fail; one more voids the book.", default=2, minimum=0, maximum=1000
    )
    snapshot_levels: int = option(
        help="Levels a side of a snapshot; more weigh more, and those beyond stay unknown until they change.",
        default=1000,
        unit="levels",
        minimum=1,
        maximum=5000,
    )
    liveness_timeout_s: float = option(
        help="Time without any frame after which a connection counts as dead and is replaced.",
        default=60.0,
        unit="seconds",
        above=0,
    )
    queue_frames_max: int = option(
        help="Frames that wait to be taken in; at the bound further ones are dropped and all books are fetched anew.",
        default=16_384,
        unit="frames",
        minimum=1,
    )


@attrs.frozen(kw_only=True)
class SpotOptions(FeedOptions):
    """Keys of `[feed]` with `use = "binance/spot"`."""

    environment: str = option(
        help="Where: the exchange itself, its data-only hosts, its test network, its demo mode, or Binance.US.",
        default="live",
        choices=("live", "data", "testnet", "demo", "us"),
    )
    depth_speed: str = option(
        help="How often changes of the book are told.", default="100ms", choices=("100ms", "1000ms")
    )


@attrs.frozen(kw_only=True)
class UsdmOptions(FeedOptions):
    """Keys of `[feed]` with `use = "binance/usdm"`."""

    environment: str = option(
        help="Where: the exchange itself, or its demo mode.", default="live", choices=("live", "demo")
    )
    depth_speed: str = option(
        help="How often changes of the book are told.", default="100ms", choices=("100ms", "250ms", "500ms")
    )

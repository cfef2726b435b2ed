"""The plugin `binance`: hands over the history `capture` and the live feeds `spot` and `usdm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import FeedSpec, HistorySpec, hookimpl
from mmframe_binance.options import CaptureOptions, FeedOptions, SpotOptions, UsdmOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mmframe.plugin import BuildContext
    from mmframe_binance.capture import CaptureHistory
    from mmframe_binance.feed import LiveFeed

__all__ = ["FEEDS", "HISTORIES", "MMFRAME_API"]

MMFRAME_API = 1

_DESCRIPTION = """\
Reads files of raw frames, one a line: `<receive time> <frame>`, with the time in milliseconds, microseconds or
nanoseconds. Frames are those of combined streams (`depth`, `trade`, `aggTrade`, `bookTicker`) and the bodies of depth
snapshots at the line where they arrived. Snapshot and diffs are joined by the product's own rule: diffs before the
first snapshot wait for it, a gap voids the book (GAP) until the next snapshot. Trades that never met the book (futures,
insurance fund) are marked and fill nothing. A bare snapshot names no symbol: it belongs to the symbol of its file.

Source: the exchange's documentation of market streams and of managing a local order book.
"""

_FEED_DESCRIPTION = """\
Diffs and trades of all markets over combined streams, snapshots over REST, no key. A book is in sync once a snapshot
and the diffs that follow it join by the product's own rule. A gap, a lost connection, an unreadable diff or an overflow
of the queue voids it (GAP) until the next snapshot; snapshots are fetched one at a time within a weight budget. Before
the exchange's own cut a new connection takes over from the old one, and what both tell counts once. The exchange is not
asked for tick and lot sizes: the strategy file must say `tick_size` and `lot_size` of each market.

Source: the exchange's documentation of market streams and of managing a local order book.
"""


def _replay(product: str) -> Callable[[FeedOptions], Mapping[str, object]]:
    def keys(options: FeedOptions) -> Mapping[str, object]:
        book: dict[str, object] = {} if options.book == "diff" else {"book": "partial"}
        return {"use": "binance/capture", "product": product, **book, "on_bad_frame": "skip"}

    return keys


def _build(options: CaptureOptions, context: BuildContext) -> CaptureHistory:
    from mmframe_binance.capture import CaptureHistory  # noqa: PLC0415 - asking for the spec reads no file code

    return CaptureHistory(options, context)


def _build_spot(options: SpotOptions, context: BuildContext) -> LiveFeed:
    from mmframe_binance.feed import LiveFeed  # noqa: PLC0415 - asking for the spec loads no network library
    from mmframe_binance.venues import SPOT  # noqa: PLC0415

    return LiveFeed(SPOT, options, context)


def _build_usdm(options: UsdmOptions, context: BuildContext) -> LiveFeed:
    from mmframe_binance.feed import LiveFeed  # noqa: PLC0415 - asking for the spec loads no network library
    from mmframe_binance.venues import USDM  # noqa: PLC0415

    return LiveFeed(USDM, options, context)


FEEDS = (
    FeedSpec(
        name="spot",
        summary="Live books and trades of spot markets.",
        description=_FEED_DESCRIPTION,
        build=_build_spot,
        options=SpotOptions,
        replay=_replay("spot"),
    ),
    FeedSpec(
        name="usdm",
        summary="Live books and trades of USDⓈ-M futures.",
        description=_FEED_DESCRIPTION,
        build=_build_usdm,
        options=UsdmOptions,
        replay=_replay("usdm"),
    ),
)

HISTORIES = (
    HistorySpec(
        name="capture",
        summary="Raw frames of spot or USDⓈ-M market streams, sequence-checked message by message.",
        description=_DESCRIPTION,
        build=_build,
        options=CaptureOptions,
    ),
)


@hookimpl
def mmframe_register_histories() -> Iterable[HistorySpec]:
    """Return the plugin's histories."""
    return HISTORIES


@hookimpl
def mmframe_register_feeds() -> Iterable[FeedSpec]:
    """Return the plugin's feeds."""
    return FEEDS

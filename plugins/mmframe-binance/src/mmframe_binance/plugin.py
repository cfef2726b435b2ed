"""The plugin `binance`: hands over the history `capture`, the live feeds and the venues `spot` and `usdm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import FeedSpec, HistorySpec, Mode, VenueSpec, hookimpl
from mmframe_binance.options import CaptureOptions, FeedOptions, SpotOptions, UsdmOptions
from mmframe_binance.trading.options import SpotTradingOptions, UsdmTradingOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mmframe.domain.findings import Finding
    from mmframe.plugin import BuildContext
    from mmframe_binance.capture import CaptureHistory
    from mmframe_binance.feed import LiveFeed
    from mmframe_binance.trading.spot import SpotVenue
    from mmframe_binance.trading.usdm import UsdmVenue

__all__ = ["FEEDS", "HISTORIES", "MMFRAME_API", "VENUES"]

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
the exchange's own cut a new connection takes over from the old one, and what both tell counts once. The best bid and
ask can be held against `bookTicker`. `mmframe record` writes what it receives for `binance/capture`. The exchange is
not asked for tick and lot sizes: the strategy file must say `tick_size` and `lot_size` of each market.

Source: the exchange's documentation of market streams and of managing a local order book.
"""


_SPOT_VENUE_DESCRIPTION = """\
Orders go over the websocket API (`LIMIT_MAKER` when post-only), the account's events come on the same socket, questions
over REST. Another price is one cancel-and-replace, a smaller size an amend that keeps the place in the queue. The venue
is up once the clock is known, the account's events are subscribed to, balances are told and missed fills were fetched.
A request without a clear answer is asked for and never sent again; what each error code leads to is in the reference of
error codes. There is no dead-man switch on spot.

Source: the exchange's documentation of REST, websocket API and user data streams.
"""

_USDM_VENUE_DESCRIPTION = """\
Orders go over REST (`GTX` when post-only), the account's events come on a socket that a listen key names. Another price
or size is a change of the order, which loses its place in the queue. Positions are told beside the fills. While it runs
the exchange's dead-man switch is wound: without a word from us for `dead_man_s` the exchange cancels every order of the
account in the strategy's markets. A request without a clear answer is asked for and never sent again.

Source: the exchange's documentation of USDⓈ-M futures: trade, user data streams, auto-cancel.
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


def _build_spot_venue(options: SpotTradingOptions, context: BuildContext) -> SpotVenue:
    from mmframe_binance.trading.spot import SpotVenue  # noqa: PLC0415 - asking for the spec loads no network library

    return SpotVenue(options, context)


def _build_usdm_venue(options: UsdmTradingOptions, context: BuildContext) -> UsdmVenue:
    from mmframe_binance.trading.usdm import UsdmVenue  # noqa: PLC0415 - asking for the spec loads no network library

    return UsdmVenue(options, context)


async def _examine_spot(options: SpotTradingOptions, context: BuildContext) -> Sequence[Finding]:
    from mmframe_binance.trading.doctor import examine  # noqa: PLC0415 - asking for the spec loads no network library
    from mmframe_binance.trading.spot import SPOT_TRADING  # noqa: PLC0415

    return await examine(SPOT_TRADING, options, context)


async def _examine_usdm(options: UsdmTradingOptions, context: BuildContext) -> Sequence[Finding]:
    from mmframe_binance.trading.doctor import examine  # noqa: PLC0415 - asking for the spec loads no network library
    from mmframe_binance.trading.usdm import USDM_TRADING  # noqa: PLC0415

    return await examine(USDM_TRADING, options, context)


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

VENUES = (
    VenueSpec(
        name="spot",
        summary="Orders on spot markets.",
        description=_SPOT_VENUE_DESCRIPTION,
        build=_build_spot_venue,
        options=SpotTradingOptions,
        modes=frozenset({Mode.LIVE}),
        doctor=_examine_spot,
    ),
    VenueSpec(
        name="usdm",
        summary="Orders on USDⓈ-M futures, in one-way mode.",
        description=_USDM_VENUE_DESCRIPTION,
        build=_build_usdm_venue,
        options=UsdmTradingOptions,
        modes=frozenset({Mode.LIVE}),
        doctor=_examine_usdm,
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


@hookimpl
def mmframe_register_venues() -> Iterable[VenueSpec]:
    """Return the plugin's venues."""
    return VENUES

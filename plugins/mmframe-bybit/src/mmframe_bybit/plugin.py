"""The plugin `bybit`: hands over the feeds and venues `spot` and `linear`, and the history `capture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.errors import ConfigError
from mmframe.plugin import ComponentKind, FeedSpec, HistorySpec, Mode, VenueSpec, hookimpl
from mmframe_bybit.options import CaptureOptions, FeedOptions
from mmframe_bybit.trading.options import VenueOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from mmframe.domain.findings import Finding
    from mmframe.plugin import BuildContext
    from mmframe.plugin.plan import PlanSummary
    from mmframe_bybit.capture import CaptureHistory
    from mmframe_bybit.feed import LiveFeed
    from mmframe_bybit.trading.venue import LiveVenue

__all__ = ["FEEDS", "HISTORIES", "MMFRAME_API", "VENUES"]

MMFRAME_API = 1

_DESCRIPTION = """\
Reads files of raw v5 frames, one a line: `<receive time> <frame>`, with the time in milliseconds, microseconds or
nanoseconds; or history downloads, one frame a line, which hold no receive time: there the gateway's `ts` stands for it,
as if nothing had taken time on the way. Frames are those of `orderbook` (depth 1, 50, 200, 500, 1000) and
`publicTrade`; others are passed over. A snapshot replaces the book, a delta must carry the next `u`; a gap or a crossed
book voids it (GAP) until the next snapshot. Block trades are marked and fill nothing. Files are merged by receive time.

Source: the exchange's v5 documentation of public websocket topics.
"""


_FEED_DESCRIPTION = """\
One socket for all markets of the strategy: `orderbook` and `publicTrade` of each. Books go by the rules of
`bybit/capture`; one that is void (GAP) is subscribed to anew, more and more slowly while that does not help. A lost
connection voids every book until the next one's snapshots; one that is renewed hands over without a gap. Frames that
cannot be read are counted and void at most their own book. `tick_size` and `lot_size` of a market come from the
strategy file. Fails if the exchange refuses a market's topics at the first subscription.

Source: the exchange's v5 documentation of websocket connections and public topics.
"""


def _replay(category: str) -> Callable[[FeedOptions], Mapping[str, object]]:
    def keys(options: FeedOptions) -> Mapping[str, object]:
        return {"use": "bybit/capture", "category": category, "depth": options.depth, "on_bad_frame": "skip"}

    return keys


_VENUE_DESCRIPTION = """\
Limit orders, post-only unless told otherwise, over the trade websocket while it is connected, else by HTTP. An
acknowledged request is no evidence: orders are told as the private stream shows them, fills by its executions, each
once. A reply with a code that certainly had no effect is a refusal; without a clear answer the order is UNKNOWN and is
queried (open, recent and past orders, executions). After a break of the stream everything that may have been missed is
asked for before the venue is up again. Needs a unified account, for linear in one-way mode, and steps of price and size
as the exchange has them. Every order bears a self-match setting; an amend names the whole size.

Source: the exchange's v5 documentation of trade, account and private websocket topics.
"""


def _build(options: CaptureOptions, context: BuildContext) -> CaptureHistory:
    from mmframe_bybit.capture import CaptureHistory  # noqa: PLC0415 - asking for the spec reads no file code

    return CaptureHistory(options, context)


def _build_spot(options: FeedOptions, context: BuildContext) -> LiveFeed:
    from mmframe_bybit.feed import LiveFeed  # noqa: PLC0415 - asking for the spec loads no network code

    return LiveFeed("spot", options, context)


def _build_linear(options: FeedOptions, context: BuildContext) -> LiveFeed:
    from mmframe_bybit.feed import LiveFeed  # noqa: PLC0415

    return LiveFeed("linear", options, context)


FEEDS = (
    FeedSpec(
        name="spot",
        summary="Live order books and trades of v5 spot markets, without keys.",
        description=_FEED_DESCRIPTION,
        build=_build_spot,
        options=FeedOptions,
        replay=_replay("spot"),
    ),
    FeedSpec(
        name="linear",
        summary="Live order books and trades of v5 linear perpetuals, without keys.",
        description=_FEED_DESCRIPTION,
        build=_build_linear,
        options=FeedOptions,
        replay=_replay("linear"),
    ),
)


def _build_spot_venue(options: VenueOptions, context: BuildContext) -> LiveVenue:
    from mmframe_bybit.trading.venue import LiveVenue  # noqa: PLC0415

    return LiveVenue("spot", options, context)


def _build_linear_venue(options: VenueOptions, context: BuildContext) -> LiveVenue:
    from mmframe_bybit.trading.venue import LiveVenue  # noqa: PLC0415

    return LiveVenue("linear", options, context)


def _examine_spot(options: VenueOptions, context: BuildContext) -> Awaitable[Sequence[Finding]]:
    from mmframe_bybit.trading.doctor import examine  # noqa: PLC0415

    return examine("spot", options, context)


def _examine_linear(options: VenueOptions, context: BuildContext) -> Awaitable[Sequence[Finding]]:
    from mmframe_bybit.trading.doctor import examine  # noqa: PLC0415

    return examine("linear", options, context)


VENUES = (
    VenueSpec(
        name="spot",
        summary="Orders on v5 spot markets of a unified account.",
        description=_VENUE_DESCRIPTION,
        build=_build_spot_venue,
        options=VenueOptions,
        modes=frozenset({Mode.LIVE}),
        doctor=_examine_spot,
    ),
    VenueSpec(
        name="linear",
        summary="Orders on v5 linear perpetuals of a unified account, in one-way mode.",
        description=_VENUE_DESCRIPTION,
        build=_build_linear_venue,
        options=VenueOptions,
        modes=frozenset({Mode.LIVE}),
        doctor=_examine_linear,
    ),
)

HISTORIES = (
    HistorySpec(
        name="capture",
        summary="Raw frames of v5 spot or linear market streams, sequence-checked message by message.",
        description=_DESCRIPTION,
        build=_build,
        options=CaptureOptions,
    ),
)


@hookimpl
def mmframe_register_feeds() -> Iterable[FeedSpec]:
    """Return the plugin's feeds."""
    return FEEDS


@hookimpl
def mmframe_register_venues() -> Iterable[VenueSpec]:
    """Return the plugin's venues."""
    return VENUES


@hookimpl
def mmframe_register_histories() -> Iterable[HistorySpec]:
    """Return the plugin's histories."""
    return HISTORIES


@hookimpl
def mmframe_check_plan(plan: PlanSummary) -> Iterable[ConfigError]:
    """Return the problem of quoting on one exchange by the prices of another."""
    ours = {"bybit/spot", "bybit/linear"}
    feed, venue = (
        next((each for each in plan.components if each.kind is kind and each.use in ours), None)
        for kind in (ComponentKind.FEED, ComponentKind.VENUE)
    )
    if feed is None or venue is None or feed.options.stream_url is not None:
        return
    # The demo account trades on the live market's prices.
    shown, traded = (each.options.environment.replace("demo", "live") for each in (feed, venue))
    if shown != traded:
        yield ConfigError(
            f"feed.environment: expected {traded!r}, where the orders go, was {feed.options.environment!r}",
            key="feed.environment",
            hint="prices of one exchange say nothing of another's book",
        )

"""An exchange inside the process: a price-time matching engine, a synthetic crowd, and a laboratory to experiment in.

As components it is feed `embedded` and venue `embedded`, the market of the first run.
"""

from __future__ import annotations

from mmframe.builtin.exchange.check import check_plan
from mmframe.builtin.exchange.components import build_feed, build_venue
from mmframe.builtin.exchange.laboratory import Laboratory
from mmframe.builtin.exchange.options import (
    EmbeddedFeedOptions,
    EmbeddedVenueOptions,
    instruments,
    venue_assumptions,
)
from mmframe.plugin import FeedSpec, Mode, VenueSpec

__all__ = ["FEEDS", "VENUES", "EmbeddedFeedOptions", "EmbeddedVenueOptions", "Laboratory", "check_plan"]

FEEDS = (
    FeedSpec(
        name="embedded",
        summary="A synthetic market on virtual time: seeded makers, noise takers and informed takers.",
        description=(
            "Makers quote ladders around a latent fundamental price (a random walk with jumps) that they look at only"
            " now and then; informed takers take what is mispriced, noise takers whatever comes. The same seed and the"
            " same orders of ours give the same market, byte for byte. Each instrument is a market of its own."
        ),
        build=build_feed,
        options=EmbeddedFeedOptions,
        is_virtual=True,
        instruments=instruments,
    ),
)

VENUES = (
    VenueSpec(
        name="embedded",
        summary="Trades in the market of feed `embedded`: a price-time matching engine, not a fill model.",
        description=(
            "Orders arrive after `order_latency_ms`, rest in the same queues as the crowd's and are part of the public"
            " book; answers and fills come back after the feed's `feed_latency_ms`. Post-only, IOC, FOK, amend"
            " (shrinking keeps the place in the queue), replace, self-trade prevention. Needs feed `embedded`."
        ),
        build=build_venue,
        options=EmbeddedVenueOptions,
        modes=frozenset({Mode.PAPER}),
        is_virtual=True,
        assumptions=venue_assumptions,
        instruments=None,
    ),
)

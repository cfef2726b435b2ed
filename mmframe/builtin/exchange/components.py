"""The embedded exchange as components: a feed and a venue that are two doors to one `Exchange`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.builtin.exchange.account import FeeSchedule
from mmframe.builtin.exchange.matching import SelfTradePrevention
from mmframe.builtin.exchange.options import start_ns
from mmframe.builtin.exchange.world import Access, Door, Exchange, MarketSettings
from mmframe.domain.orders import Approved, VenueCapabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.builtin.exchange.options import EmbeddedFeedOptions, EmbeddedVenueOptions
    from mmframe.domain.market import MarketBatch
    from mmframe.domain.orders import VenueEvent
    from mmframe.plugin import BuildContext

__all__ = ["EmbeddedFeed", "EmbeddedVenue", "build_feed", "build_venue"]

_SHARED_KEY = "embedded-exchange"
_SEED_BITS = 64


class EmbeddedFeed(Door):
    """Public market data of the embedded exchange: a snapshot, then changes and trades."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def poll(self, now_ns: int) -> Sequence[MarketBatch]:
        """Return what has been received up to `now_ns`, in receive order; each message once."""
        return self._exchange.take_messages(now_ns)

    async def run(self, notify: Callable[[], None]) -> None:
        """Return at once: the market lives on the driver's clock."""


class EmbeddedVenue(Door):
    """Order entry of the embedded exchange."""

    capabilities = VenueCapabilities(
        can_amend=True, shrink_keeps_priority=True, can_replace=True, has_idempotent_client_id=True, is_virtual=True
    )

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Send one approved action; it arrives an order latency later.

        Raises:
            TypeError: If it is not an `Approved`.
            DomainError: If the strategy's feed is not the embedded one.
        """
        if type(approved) is not Approved:
            msg = f"venue 'embedded': expected an Approved action, was {type(approved).__name__}"
            raise TypeError(msg)
        self._exchange.send(approved.action, now_ns)

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:
        """Return the answers and fills seen up to `now_ns`, in order; each once."""
        return self._exchange.take_events(now_ns)

    async def run(self, notify: Callable[[], None]) -> None:
        """Return at once: the market lives on the driver's clock."""


def build_feed(options: EmbeddedFeedOptions, context: BuildContext) -> EmbeddedFeed:
    """Return the feed and define the markets that the venue trades in.

    Raises:
        DomainError: If price or typical size are off an instrument's grid.
    """
    exchange = context.shared(_SHARED_KEY, Exchange)
    feed = EmbeddedFeed(exchange)
    exchange.define(_market_settings(options, seed=context.random.getrandbits(_SEED_BITS)), context.instruments, feed)
    return feed


def build_venue(options: EmbeddedVenueOptions, context: BuildContext) -> EmbeddedVenue:
    """Return the venue on the exchange that the feed defines."""
    exchange = context.shared(_SHARED_KEY, Exchange)
    venue = EmbeddedVenue(exchange)
    fees = FeeSchedule(options.maker_fee_bps, options.taker_fee_bps, is_in_base=options.fee_asset == "base")
    access = Access(
        order_latency_ns=_nanoseconds(options.order_latency_ms),
        fees=fees,
        prevention=SelfTradePrevention(options.self_trade_prevention),
    )
    exchange.connect(access, venue)
    return venue


def _market_settings(options: EmbeddedFeedOptions, *, seed: int) -> MarketSettings:
    return MarketSettings(
        crowd=options,
        opens_ns=start_ns(options),
        interval_ns=options.message_interval_ms * 1_000_000,
        feed_latency_ns=_nanoseconds(options.feed_latency_ms),
        seed=seed,
    )


def _nanoseconds(milliseconds: float) -> int:
    return round(milliseconds * 1e6)

"""The exchange's products and environments: where they are reached and what differs between them.

Source: the exchange's documentation of endpoints, spot and USDⓈ-M; the split stream addresses of futures (2026-03-06).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mmframe_binance.sync import SpotContinuity, UsdmContinuity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe_binance.sync import Continuity

__all__ = ["SPOT", "USDM", "Endpoints", "Product"]


@attrs.frozen
class Endpoints:
    """One environment of a product.

    Attributes:
        stream_url: Scheme, host and port of the market streams.
        rest_url: Scheme, host and port of the REST endpoints.
    """

    stream_url: str
    rest_url: str


@attrs.frozen
class Product:
    """What differs between the products.

    Attributes:
        environments: By the name in the strategy file.
        continuity: The product's rule of diffs.
        depth_path: Of the snapshot.
        snapshot_weights: Levels a side that can be asked for, with the request weight up to each.
        takes_any_levels: Whether counts between those are answered too.
        weight_per_minute: What the feed uses at most, half of what the exchange grants an address.
        book_stream_path: Of the combined streams of books and raw trades.
        aggregate_stream_path: Of those of aggregate trades.
        default_depth_speed: The speed that the stream's name leaves out.
        pings: Whether the exchange pings too rarely to tell a dead connection, so that we do.
    """

    environments: Mapping[str, Endpoints]
    continuity: type[Continuity]
    depth_path: str
    snapshot_weights: tuple[tuple[int, int], ...]
    takes_any_levels: bool
    weight_per_minute: int
    book_stream_path: str
    aggregate_stream_path: str
    default_depth_speed: str
    pings: bool

    def snapshot_size(self, levels: int) -> tuple[int, int]:
        """Return how many levels a side to ask for to get `levels` or the most there are, and the request's weight."""
        for offered, weight in self.snapshot_weights:
            if levels <= offered:
                return (levels if self.takes_any_levels else offered), weight
        return self.snapshot_weights[-1]


SPOT = Product(
    environments={
        "live": Endpoints("wss://stream.binance.com:9443", "https://api.binance.com"),
        "data": Endpoints("wss://data-stream.binance.vision", "https://data-api.binance.vision"),
        "testnet": Endpoints("wss://stream.testnet.binance.vision", "https://testnet.binance.vision"),
        "demo": Endpoints("wss://demo-stream.binance.com", "https://demo-api.binance.com"),
        "us": Endpoints("wss://stream.binance.us:9443", "https://api.binance.us"),
    },
    continuity=SpotContinuity,
    depth_path="/api/v3/depth",
    snapshot_weights=((100, 5), (500, 25), (1000, 50), (5000, 250)),
    takes_any_levels=True,
    weight_per_minute=3000,
    book_stream_path="/stream",
    aggregate_stream_path="/stream",
    default_depth_speed="1000ms",
    pings=False,
)

USDM = Product(
    environments={
        "live": Endpoints("wss://fstream.binance.com", "https://fapi.binance.com"),
        "demo": Endpoints("wss://demo-fstream.binance.com", "https://demo-fapi.binance.com"),
    },
    continuity=UsdmContinuity,
    depth_path="/fapi/v1/depth",
    snapshot_weights=((5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20)),
    takes_any_levels=False,
    weight_per_minute=1200,
    book_stream_path="/public/stream",
    aggregate_stream_path="/market/stream",
    default_depth_speed="250ms",
    pings=True,
)

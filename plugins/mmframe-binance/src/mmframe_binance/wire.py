"""Frames of the market streams as typed values: bytes in, values out, nothing kept.

Names of the fields are the exchange's own. Numbers stay decimal text here; `SymbolBook` puts them on the grid.

Source: the exchange's documentation of market streams, spot and USDⓈ-M.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mmframe.errors import FeedError

__all__ = [
    "BookTicker",
    "DepthSnapshot",
    "DepthUpdate",
    "FrameError",
    "MarketMessage",
    "PartialDepth",
    "Trade",
    "parse_frame",
]

Level = tuple[str, str]
"""Price and absolute size as decimal text; size zero removes the level."""


class FrameError(FeedError):
    """A frame that is not what the stream promises."""

    code = "binance-frame"


class DepthUpdate(msgspec.Struct, frozen=True, gc=False):
    """One diff of the book. Spot has no `pu`; futures do, and their `U` is not the last `u` plus one."""

    E: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]
    pu: int | None = None


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One execution, or one taker's executions at one price (`aggTrade`). `m` is true when the seller was the taker."""

    E: int
    s: str
    p: str
    q: str
    m: bool
    t: int = -1
    a: int = -1
    X: str = "MARKET"
    """Futures: what kind of trade; anything but MARKET never met the book."""


class BookTicker(msgspec.Struct, frozen=True, gc=False):
    """The touch as the exchange itself tells it; `u` is comparable with a diff's `u`."""

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class DepthSnapshot(msgspec.Struct, frozen=True, gc=False):
    """The answer of the depth endpoint. It does not say of which symbol."""

    lastUpdateId: int  # noqa: N815 - the exchange's name
    bids: list[Level]
    asks: list[Level]
    E: int | None = None


class PartialDepth(msgspec.Struct, frozen=True, gc=False):
    """The best levels of a symbol, whole. Spot's frames say neither when nor, but in the stream's name, of what."""

    s: str
    u: int
    bids: list[Level]
    asks: list[Level]
    E: int | None = None


MarketMessage = DepthUpdate | Trade | BookTicker | DepthSnapshot | PartialDepth


class _Combined(msgspec.Struct, frozen=True, gc=False):
    stream: str
    data: msgspec.Raw


class _SpotPartial(msgspec.Struct, frozen=True, gc=False):
    lastUpdateId: int  # noqa: N815 - the exchange's name
    bids: list[Level]
    asks: list[Level]


_combined = msgspec.json.Decoder(_Combined)
_snapshot = msgspec.json.Decoder(DepthSnapshot)
_spot_partial = msgspec.json.Decoder(_SpotPartial)
_depth = msgspec.json.Decoder(DepthUpdate)
_trade = msgspec.json.Decoder(Trade)
_ticker = msgspec.json.Decoder(BookTicker)
_anything = msgspec.json.Decoder()
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "depth": _depth,
    "trade": _trade,
    "aggTrade": _trade,
    "bookTicker": _ticker,
}

_PARTIAL_KINDS = frozenset({"depth5", "depth10", "depth20"})
_COMBINED_START = b'{"stream"'


def parse_frame(frame: bytes) -> MarketMessage | None:
    """Return what one frame says; None for a stream that is nothing to a book or a tape.

    Args:
        frame: A frame of a combined stream (`{"stream": ..., "data": ...}`), or the body of a depth snapshot.

    Raises:
        FrameError: If it is no JSON of the promised shape.
    """
    try:
        if not frame.startswith(_COMBINED_START):
            return _bare(frame)
        combined = _combined.decode(frame)
        symbol, _, rest = combined.stream.partition("@")
        kind = rest.partition("@")[0]
        decoder = _DECODERS.get(kind)
        if decoder is not None:
            return decoder.decode(combined.data)  # type: ignore[no-any-return] # of the kinds above
        return _partial(symbol, bytes(combined.data)) if kind in _PARTIAL_KINDS else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        shown = frame[:60].decode("utf-8", "replace")
        msg = f"expected a frame of a market stream, was {shown!r}: {error}"
        raise FrameError(msg) from None


def _partial(symbol: str, data: bytes) -> PartialDepth:
    if b'"depthUpdate"' in data:
        # Futures write it like a diff.
        update = _depth.decode(data)
        return PartialDepth(update.s, update.u, update.b, update.a, update.E)
    spot = _spot_partial.decode(data)
    return PartialDepth(symbol.upper(), spot.lastUpdateId, spot.bids, spot.asks)


def _bare(frame: bytes) -> MarketMessage | None:
    if b'"lastUpdateId"' in frame[:200]:
        return _snapshot.decode(frame)
    value = _anything.decode(frame)
    if isinstance(value, dict):
        if "stream" in value and "data" in value:
            return parse_frame(msgspec.json.encode({"stream": value["stream"], "data": value["data"]}))
        # Answers to requests, announcements: a capture may hold them, a book has no use for them.
        if "result" in value or "e" in value or "error" in value:
            return None
    msg = "it is neither of a combined stream nor a depth snapshot"
    raise msgspec.ValidationError(msg)

"""Frames of the v5 public streams as typed values: bytes in, values out, nothing kept.

Names of the fields are the exchange's own. Prices and sizes stay decimal text here; `SymbolBook` puts them on the grid.

Source: the exchange's v5 documentation of websocket connections, `orderbook` and `publicTrade`.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec

from mmframe.errors import FeedError

__all__ = [
    "BOOK_DEPTHS",
    "LIVE_BOOK_DEPTHS",
    "NUMBER_LENGTH_MAX",
    "BookData",
    "BookFrame",
    "BookTopic",
    "FrameError",
    "PublicMessage",
    "Reply",
    "ReplyKind",
    "Trade",
    "TradeFrame",
    "book_topic",
    "frame_time_ms",
    "frame_topic",
    "parse_frame",
]

BOOK_DEPTHS = (1, 50, 200, 500, 1000)
"""Levels a side of the `orderbook` topics, today's and those of older recordings."""

LIVE_BOOK_DEPTHS = (1, 50, 200, 1000)
"""Levels a side of the `orderbook` topics that spot and linear have today."""

NUMBER_LENGTH_MAX = 40
"""Longest text of a price or size; longer ones are no numbers of a market."""

_Number = Annotated[str, msgspec.Meta(max_length=NUMBER_LENGTH_MAX)]
# Milliseconds up to the year 2255: as nanoseconds they fit the columns of a batch.
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
_Counter = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Id = Annotated[str, msgspec.Meta(max_length=64)]

Level = tuple[_Number, _Number]
"""Price and absolute size as decimal text; size zero removes the level."""


class FrameError(FeedError):
    """A frame that is not what the streams promise."""

    code = "bybit-frame"


class BookData(msgspec.Struct, frozen=True, gc=False):
    """Levels that changed, or all of them.

    `u` numbers the messages of one topic. `seq` is the matching engine's own count: it grows, not by one, and tells
    which of two messages is older, whatever topic they are of.
    """

    s: str
    b: list[Level]
    a: list[Level]
    u: _Counter
    seq: _Counter


class BookFrame(msgspec.Struct, frozen=True, gc=False):
    """One message of an `orderbook` topic. `ts` is the gateway's time, `cts` the matching engine's; ms."""

    topic: str
    type: Literal["snapshot", "delta"]
    ts: _Milliseconds
    data: BookData
    cts: _Milliseconds | None = None


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One execution. `S` is the taker's side, `i` its id; a block trade (`BT`) was agreed on outside the book."""

    T: _Milliseconds
    s: str
    S: Literal["Buy", "Sell"]
    v: _Number
    p: _Number
    i: _Id = ""
    BT: bool = False


class TradeFrame(msgspec.Struct, frozen=True, gc=False):
    """One message of a `publicTrade` topic."""

    topic: str
    ts: _Milliseconds
    data: list[Trade]


class ReplyKind(Enum):
    """What the server answers to."""

    REQUEST = "request"
    PING = "ping"


class Reply(NamedTuple):
    """An answer to something that was sent: no market data.

    Attributes:
        kind: To what.
        op: The operation as the server names it.
        is_success: The server agrees.
        text: Its words, often none.
        request_id: The `req_id` that was sent, often empty.
    """

    kind: ReplyKind
    op: str
    is_success: bool
    text: str
    request_id: str


class BookTopic(NamedTuple):
    """What an `orderbook` topic is of."""

    depth: int
    symbol: str


PublicMessage = BookFrame | TradeFrame | Reply


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    topic: str | None = None
    op: str | None = None
    success: bool | None = None
    ret_msg: str | None = None
    req_id: str | None = None
    # The order socket spells the same things otherwise.
    retCode: int | None = None  # noqa: N815 - the exchange's name
    retMsg: str | None = None  # noqa: N815 - the exchange's name
    reqId: str | None = None  # noqa: N815 - the exchange's name


class _Timed(msgspec.Struct, frozen=True, gc=False):
    ts: _Milliseconds


_book = msgspec.json.Decoder(BookFrame)
_trades = msgspec.json.Decoder(TradeFrame)
_envelope = msgspec.json.Decoder(_Envelope)
_timed = msgspec.json.Decoder(_Timed)

_BOOK_START = b'{"topic":"orderbook.'
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_SHOWN_BYTES = 60


def parse_frame(frame: bytes) -> PublicMessage | None:
    """Return what one frame says; None for a topic that is nothing to a book or a tape, such as `tickers`.

    Raises:
        FrameError: If it is no JSON of the promised shape.
    """
    try:
        # Books are most of the traffic and usually begin so. The order of keys is not promised: the rest goes by name.
        book = _decode_book(frame) if frame.startswith(_BOOK_START) else None
        return book or _by_name(frame)
    except _UNREADABLE as error:
        raise _frame_error(frame, str(error)) from None


@lru_cache(maxsize=4096)
def book_topic(topic: str) -> BookTopic | None:
    """Return depth and symbol of an `orderbook` topic; None for any other, `orderbook.rpi` and `.full` among them."""
    stream, _, rest = topic.partition(".")
    depth, _, symbol = rest.partition(".")
    is_known = stream == "orderbook" and depth in _DEPTH_TEXTS and symbol
    return BookTopic(int(depth), symbol) if is_known else None


def frame_topic(frame: bytes) -> str:
    """Return the topic of a frame; empty if it has none or is unreadable."""
    try:
        return _envelope.decode(frame).topic or ""
    except _UNREADABLE:
        return ""


def frame_time_ms(frame: bytes) -> int:
    """Return the gateway's time of a frame, in ms.

    Raises:
        FrameError: If it has none.
    """
    try:
        return _timed.decode(frame).ts
    except _UNREADABLE as error:
        raise _frame_error(frame, str(error)) from None


_DEPTH_TEXTS = frozenset(map(str, BOOK_DEPTHS))


def _decode_book(frame: bytes) -> BookFrame | None:
    try:
        book = _book.decode(frame)
    except msgspec.DecodeError:
        # Perhaps another kind of book, with levels of another shape.
        return None
    return book if _is_plain(frame) and _is_consistent(book) else None


def _is_plain(frame: bytes) -> bool:
    """Tell whether every text is ASCII as it stands: Unicode has digits that read as numbers and are none here."""
    return frame.isascii() and b"\\" not in frame


def _is_consistent(book: BookFrame) -> bool:
    topic = book_topic(book.topic)
    return topic is not None and topic.symbol == book.data.s


def _by_name(frame: bytes) -> PublicMessage | None:
    envelope = _envelope.decode(frame)
    topic = envelope.topic
    if topic is None:
        return _reply(envelope)
    is_trades = topic.startswith("publicTrade.")
    if not is_trades and book_topic(topic) is None:
        return None
    if not _is_plain(frame):
        msg = "it holds more than plain ASCII"
        raise msgspec.ValidationError(msg)
    if is_trades:
        return _trades.decode(frame)
    book = _book.decode(frame)
    if not _is_consistent(book):
        msg = f"data.s: expected the symbol of topic {topic!r}, was {book.data.s!r}"
        raise msgspec.ValidationError(msg)
    return book


def _reply(envelope: _Envelope) -> Reply:
    if envelope.op is None:
        msg = "it has neither `topic` nor `op`"
        raise msgspec.ValidationError(msg)
    text = envelope.ret_msg or envelope.retMsg or ""
    # Three dialects of the pong: public sockets keep `op` at ping and say pong in words, the others say it in `op`.
    is_pong = envelope.op == "pong" or (envelope.op == "ping" and text == "pong")
    return Reply(
        kind=ReplyKind.PING if is_pong else ReplyKind.REQUEST,
        op=envelope.op,
        is_success=envelope.success is not False and not envelope.retCode,
        text=text,
        request_id=envelope.req_id or envelope.reqId or "",
    )


def _frame_error(frame: bytes, cause: str) -> FrameError:
    shown = frame[:_SHOWN_BYTES].decode("utf-8", "replace")
    msg = f"expected a frame of a v5 public stream, was {shown!r}: {cause}"
    return FrameError(msg)

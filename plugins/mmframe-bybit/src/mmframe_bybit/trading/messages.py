"""Private messages and answers of v5 as typed values: bytes in, values out, nothing kept.

Numbers travel as text and may be empty. Each is read once, here, onto the grid of the strategy; what is no number or
off the grid is a `FrameError` of that one entry and spoils no other.

Source: the exchange's v5 documentation of orders, executions, positions, wallet and websocket order entry.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from mmframe.domain.market import Side
from mmframe.errors import DomainError
from mmframe_bybit.wire import NUMBER_LENGTH_MAX, FrameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.instrument import Instrument

__all__ = [
    "AccountCoin",
    "ControlFrame",
    "Envelope",
    "ExecutionFacts",
    "ExecutionRow",
    "OrderFacts",
    "OrderRow",
    "Page",
    "PositionFacts",
    "PositionRow",
    "PrivateFrame",
    "TradeReply",
    "WalletRow",
    "decode",
    "decode_rows",
    "decode_trade_reply",
    "execution_facts",
    "json_text",
    "nearest_lots",
    "nearest_ticks",
    "order_facts",
    "parse_private_frame",
    "position_facts",
    "sane_decimal",
]

_T = TypeVar("_T")
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_MAGNITUDE_MAX = 30
_MILLISECONDS_MAX = 9_000_000_000_000
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """The envelope of every answer over HTTP."""

    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")
    time: int = 0


class TradeReply(msgspec.Struct, frozen=True, rename="camel"):
    """An answer on the trade socket, to a login, an order request or a ping."""

    ret_code: int = 0
    ret_msg: str = ""
    op: str = ""
    req_id: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    # What it holds is for the limits alone: whatever stands there, the answer is one.
    header: msgspec.Raw = msgspec.Raw(b"{}")

    def headers(self) -> dict[str, str]:
        """Return the headers by lower-case name, those of them that are texts or numbers."""
        try:
            named = msgspec.json.decode(self.header, type=dict[str, msgspec.Raw])
        except _UNREADABLE:
            return {}
        return {name.lower(): bytes(value).decode("utf-8", "replace").strip('"') for name, value in named.items()}


class ControlFrame(msgspec.Struct, frozen=True):
    """What the private stream says besides its topics."""

    op: str
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class PrivateFrame(msgspec.Struct, frozen=True):
    """One message of a private topic; its entries are read one by one."""

    topic: str
    data: list[msgspec.Raw]


class Page(msgspec.Struct, frozen=True):
    """One page of a list."""

    entries: list[msgspec.Raw] = msgspec.field(name="list", default_factory=list)
    next_cursor: str = msgspec.field(name="nextPageCursor", default="")


class OrderRow(msgspec.Struct, frozen=True, rename="camel"):
    """An order as the stream and the lists show it."""

    symbol: str
    order_id: str
    order_status: str
    side: str = ""
    category: str = ""
    order_link_id: str = ""
    price: str = ""
    qty: str = ""
    cum_exec_qty: str = ""
    reject_reason: str = ""
    cancel_type: str = ""
    updated_time: str = ""


class ExecutionRow(msgspec.Struct, frozen=True, rename="camel"):
    """An execution as the stream and the list show it."""

    symbol: str
    exec_id: str
    exec_type: str
    order_id: str = ""
    order_link_id: str = ""
    side: str = ""
    category: str = ""
    exec_price: str = ""
    exec_qty: str = ""
    exec_fee: str = ""
    fee_currency: str = ""
    is_maker: bool = False
    exec_time: str = ""


class PositionRow(msgspec.Struct, frozen=True, rename="camel"):
    """A position as the stream and the list show it."""

    symbol: str
    side: str = ""
    category: str = ""
    size: str = ""
    position_idx: int = 0
    mark_price: str = ""
    updated_time: str = ""


class AccountCoin(msgspec.Struct, frozen=True, rename="camel"):
    """One coin of the wallet."""

    coin: str
    wallet_balance: str = ""
    locked: str = ""
    total_order_im: str = msgspec.field(name="totalOrderIM", default="")
    total_position_im: str = msgspec.field(name="totalPositionIM", default="")


class WalletRow(msgspec.Struct, frozen=True, rename="camel"):
    """The wallet of one account."""

    account_type: str = ""
    coin: list[AccountCoin] = []


class _PrivateEnvelope(msgspec.Struct, frozen=True):
    topic: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")
    op: str | None = None
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class OrderFacts(NamedTuple):
    """What one order row says, on the grid. `price_ticks` is 0 for an order without a price."""

    client_id: str
    venue_order_id: str
    side: Side
    price_ticks: int
    size_lots: int
    filled_lots: int
    status: str
    reject_reason: str
    cancel_type: str
    updated_ms: int


class ExecutionFacts(NamedTuple):
    """What one execution of kind Trade says, on the grid."""

    client_id: str
    venue_order_id: str
    venue_trade_id: str
    side: Side
    price_ticks: int
    size_lots: int
    is_maker: bool
    fee: Decimal
    fee_asset: str
    time_ms: int


class PositionFacts(NamedTuple):
    """What one position row says. `position_index` is 0 in one-way mode, 1 and 2 in hedge mode."""

    position_lots: int
    mark_price_ticks: int
    position_index: int
    updated_ms: int


_private = msgspec.json.Decoder(_PrivateEnvelope)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_trade_reply = msgspec.json.Decoder(TradeReply)


def decode(data: bytes | msgspec.Raw, what: type[_T]) -> _T:
    """Return `data` as a `what`.

    Raises:
        FrameError: If it is no such thing.
    """
    try:
        return msgspec.json.decode(data, type=what)
    except _UNREADABLE as error:
        raise _frame_error(bytes(data), what.__name__, error) from None


def decode_trade_reply(data: bytes) -> TradeReply:
    """Return an answer of the trade socket.

    Raises:
        FrameError: If it is none.
    """
    try:
        return _trade_reply.decode(data)
    except _UNREADABLE as error:
        raise _frame_error(data, "an answer of the trade socket", error) from None


def decode_rows(result: bytes | msgspec.Raw, what: type[_T]) -> tuple[list[_T], str]:
    """Return the entries of one page and the cursor of the next, empty after the last.

    Raises:
        FrameError: If the page or any entry cannot be read: a list with holes proves nothing.
    """
    page = decode(result, Page)
    return [decode(entry, what) for entry in page.entries], page.next_cursor


def parse_private_frame(frame: bytes) -> PrivateFrame | ControlFrame:
    """Return what one frame of the private stream is.

    Raises:
        FrameError: If it is no JSON of the promised shape.
    """
    try:
        envelope = _private.decode(frame)
        if envelope.topic is not None:
            return PrivateFrame(envelope.topic, _list.decode(envelope.data))
    except _UNREADABLE as error:
        raise _frame_error(frame, "a private message", error) from None
    if envelope.op is None:
        raise _frame_error(frame, "a private message", "it has neither `topic` nor `op`")
    return ControlFrame(envelope.op, envelope.success, envelope.ret_msg, envelope.req_id)


def order_facts(row: OrderRow, instrument: Instrument, *, rounds: bool = False) -> OrderFacts:
    """Return what `row` says on the grid of `instrument`; `rounds` is for who will place nothing on that grid.

    Raises:
        FrameError: If a number is none or, unless `rounds`, off the grid.
    """
    return OrderFacts(
        client_id=row.order_link_id,
        venue_order_id=row.order_id,
        side=_side(row.side),
        price_ticks=_ticks(row.price, instrument, rounds=rounds),
        size_lots=_lots(row.qty, instrument, "qty", rounds=rounds),
        filled_lots=_lots(row.cum_exec_qty or "0", instrument, "cumExecQty", rounds=rounds),
        status=row.order_status,
        reject_reason=row.reject_reason,
        cancel_type=row.cancel_type,
        updated_ms=_milliseconds(row.updated_time),
    )


def execution_facts(row: ExecutionRow, instrument: Instrument, *, rounds: bool = False) -> ExecutionFacts:
    """Return what an execution of kind Trade says on the grid of `instrument`; `rounds` as of `order_facts`.

    Raises:
        FrameError: If a number is none, off the grid unless `rounds`, or a price or size is not above 0.
    """
    price_ticks = _ticks(row.exec_price, instrument, rounds=rounds)
    size_lots = _lots(row.exec_qty, instrument, "execQty", rounds=rounds)
    if price_ticks <= 0 or size_lots <= 0 or not row.exec_id:
        msg = f"execution {row.exec_id!r}: expected a price and size above 0, was {row.exec_price!r}, {row.exec_qty!r}"
        raise FrameError(msg)
    return ExecutionFacts(
        client_id=row.order_link_id,
        venue_order_id=row.order_id,
        venue_trade_id=row.exec_id,
        side=_side(row.side),
        price_ticks=price_ticks,
        size_lots=size_lots,
        is_maker=row.is_maker,
        fee=sane_decimal(row.exec_fee or "0", "execFee"),
        # Linear executions may leave it out: they settle in the quote coin.
        fee_asset=row.fee_currency or instrument.quote,
        time_ms=_milliseconds(row.exec_time),
    )


def position_facts(row: PositionRow, instrument: Instrument, *, rounds: bool = False) -> PositionFacts:
    """Return what `row` says on the grid of `instrument`; `rounds` as of `order_facts`.

    Raises:
        FrameError: If a number is none, or the size is off the grid unless `rounds`, or has no side.
    """
    size = _lots(row.size or "0", instrument, "size", rounds=rounds)
    sign = 0 if not size else 1 if _side(row.side) is Side.BUY else -1
    mark = sane_decimal(row.mark_price or "0", "markPrice")
    return PositionFacts(
        sign * size, nearest_ticks(mark, instrument), row.position_idx, _milliseconds(row.updated_time)
    )


def nearest_ticks(price: Decimal, instrument: Instrument) -> int:
    """Return `price` in ticks, rounded."""
    return int((price / instrument.tick_size).to_integral_value(rounding=ROUND_HALF_EVEN))


def nearest_lots(size: Decimal, instrument: Instrument) -> int:
    """Return `size` in lots, rounded up: what may trade is not to be understated."""
    return int((size / instrument.lot_size).to_integral_value(rounding=ROUND_CEILING))


def sane_decimal(text: str, name: str) -> Decimal:
    """Return the number that `text` is.

    Raises:
        FrameError: If it is none, not finite, or of a magnitude or length that no amount has.
    """
    try:
        is_plain = len(text) <= NUMBER_LENGTH_MAX and text.isascii() and "_" not in text
        number = Decimal(text if is_plain else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _MAGNITUDE_MAX:
        msg = f"{name}: expected a decimal number, was {text[:NUMBER_LENGTH_MAX]!r}"
        raise FrameError(msg)
    return number


def json_text(fields: Mapping[str, object]) -> bytes:
    """Return the JSON of a request, made once: these bytes are signed and sent."""
    return msgspec.json.encode(fields)


def _ticks(text: str, instrument: Instrument, *, rounds: bool) -> int:
    number = sane_decimal(text or "0", "price")
    if rounds:
        return nearest_ticks(number, instrument)
    try:
        return instrument.price_ticks(number)
    except DomainError as error:
        raise FrameError(error.message) from None


def _lots(text: str, instrument: Instrument, name: str, *, rounds: bool) -> int:
    number = sane_decimal(text, name)
    try:
        lots = nearest_lots(number, instrument) if rounds else instrument.size_lots(number)
    except DomainError as error:
        raise FrameError(error.message) from None
    if lots < 0:
        msg = f"{name}: expected 0 or above, was {text!r}"
        raise FrameError(msg)
    return lots


def _side(text: str) -> Side:
    side = _SIDES.get(text)
    if side is None:
        msg = f"side: expected 'Buy' or 'Sell', was {text[:NUMBER_LENGTH_MAX]!r}"
        raise FrameError(msg)
    return side


def _milliseconds(text: str) -> int:
    """Return a time in ms, 0 when it is not told."""
    if not text:
        return 0
    is_time = text.isascii() and text.isdigit() and len(text) < len(str(_MILLISECONDS_MAX)) + 1
    if not is_time or int(text) > _MILLISECONDS_MAX:
        msg = f"time: expected milliseconds, was {text[:NUMBER_LENGTH_MAX]!r}"
        raise FrameError(msg)
    return int(text)


def _frame_error(data: bytes, expected: str, cause: object) -> FrameError:
    # Not the bytes themselves: what is private is not for logs.
    msg = f"expected {expected}, was something else of {len(data)} bytes: {cause}"
    return FrameError(msg)

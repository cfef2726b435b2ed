"""Answers and private events as typed values: bytes in, values out, nothing kept.

Names of the fields are the exchange's own. Numbers stay decimal text here; the venue puts them on the grid.

Source: the exchange's documentation of REST, websocket API and user data streams, spot and USDⓈ-M.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mmframe.errors import VenueError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "AccountEvent",
    "AccountPosition",
    "AmendAnswer",
    "BalanceLine",
    "ConfigAnswer",
    "ErrorAnswer",
    "ExchangeInfo",
    "ExecutionReport",
    "FuturesBalance",
    "FuturesOrder",
    "FuturesOrderEvent",
    "KeyRights",
    "ListenKey",
    "OrderAnswer",
    "PositionEvent",
    "PositionLine",
    "PositionMode",
    "RateLimit",
    "ReplaceAnswer",
    "ServerTime",
    "SocketAnswer",
    "SpotAccount",
    "StreamNotice",
    "SymbolFilter",
    "SymbolInfo",
    "TradeLine",
    "WireError",
    "decoded",
    "parse_socket_answer",
    "parse_spot_event",
    "parse_usdm_event",
    "socket_reply_id",
]

_T = TypeVar("_T")


class WireError(VenueError):
    """An answer or event that is not what the exchange promises."""

    code = "binance-wire"


class _Wire(msgspec.Struct, frozen=True, gc=False):
    pass


class _Camel(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    pass


class ErrorAnswer(_Wire, frozen=True, gc=False):
    """What went wrong with a request."""

    code: int
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class OrderAnswer(_Camel, frozen=True, gc=False):
    """One order, as an answer to placing, changing, cancelling, asking, or in a list; fields by the kind of answer."""

    symbol: str
    order_id: int
    client_order_id: str = ""
    orig_client_order_id: str = ""
    price: str = "0"
    orig_qty: str = "0"
    qty: str = ""
    """Of an amended spot order, in place of `origQty`."""
    executed_qty: str = "0"
    status: str = ""
    side: str = "BUY"
    transact_time: int = 0
    update_time: int = 0
    time: int = 0

    @property
    def time_ms(self) -> int:
        """Return the exchange's time of what the answer tells, 0 when it says none."""
        return self.transact_time or self.update_time or self.time

    @property
    def size(self) -> str:
        """Return the whole size."""
        return self.qty or self.orig_qty


class AmendAnswer(_Camel, frozen=True, gc=False):
    """Spot: an order that was made smaller."""

    amended_order: OrderAnswer
    transact_time: int = 0


class ReplaceAnswer(_Camel, frozen=True, gc=False):
    """Spot: what became of the two halves of a cancel-and-replace, each an order or an error."""

    cancel_result: str
    new_order_result: str
    cancel_response: msgspec.Raw = msgspec.Raw(b"null")
    new_order_response: msgspec.Raw = msgspec.Raw(b"null")


class TradeLine(_Camel, frozen=True, gc=False):
    """One of the account's trades."""

    symbol: str
    id: int
    order_id: int
    price: str
    qty: str
    commission: str = "0"
    commission_asset: str = ""
    time: int = 0
    is_buyer: bool | None = None
    is_maker: bool | None = None
    buyer: bool | None = None
    maker: bool | None = None

    @property
    def bought(self) -> bool:
        """Tell whether the account bought; spot and futures name it differently."""
        return bool(self.is_buyer if self.is_buyer is not None else self.buyer)

    @property
    def made(self) -> bool:
        """Tell whether the account was the maker."""
        return bool(self.is_maker if self.is_maker is not None else self.maker)


class BalanceLine(_Wire, frozen=True, gc=False):
    """Spot: one asset of the account."""

    asset: str
    free: str
    locked: str


class SpotAccount(_Camel, frozen=True, gc=False):
    """Spot: the account."""

    can_trade: bool = False
    can_withdraw: bool = False
    account_type: str = ""
    balances: list[BalanceLine] = []


class FuturesBalance(_Camel, frozen=True, gc=False):
    """Futures: one asset of the account."""

    asset: str
    balance: str
    cross_wallet_balance: str = "0"


class PositionLine(_Camel, frozen=True, gc=False):
    """Futures: one position."""

    symbol: str
    position_amt: str
    position_side: str = "BOTH"
    mark_price: str = "0"
    update_time: int = 0


class PositionMode(_Camel, frozen=True, gc=False):
    """Futures: whether long and short are kept apart (hedge mode)."""

    dual_side_position: bool


class ConfigAnswer(_Camel, frozen=True, gc=False):
    """Futures: the account's modes and rights."""

    can_trade: bool = False
    can_withdraw: bool = False
    dual_side_position: bool = False
    multi_assets_margin: bool = False


class KeyRights(_Camel, frozen=True, gc=False):
    """What the key itself may do; an endpoint of the exchange proper, not of its test networks."""

    ip_restrict: bool = False
    enable_withdrawals: bool = False
    enable_spot_and_margin_trading: bool = False
    enable_futures: bool = False


class RateLimit(_Camel, frozen=True, gc=False):
    """One limit, with the count so far where an answer tells it."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int
    count: int = 0


class ServerTime(_Camel, frozen=True, gc=False):
    """The exchange's clock."""

    server_time: int


class ListenKey(_Camel, frozen=True, gc=False):
    """Futures: what names a private stream."""

    listen_key: str


class SymbolFilter(_Camel, frozen=True, gc=False):
    """One filter; which fields it has depends on its type."""

    filter_type: str
    min_price: str = "0"
    max_price: str = "0"
    tick_size: str = "0"
    min_qty: str = "0"
    max_qty: str = "0"
    step_size: str = "0"
    min_notional: str = "0"
    max_notional: str = "0"
    notional: str = "0"
    max_num_orders: int | None = None
    limit: int | None = None


class SymbolInfo(_Camel, frozen=True, gc=False):
    """One symbol of `exchangeInfo`."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[SymbolFilter]
    amend_allowed: bool = False
    cancel_replace_allowed: bool = False
    allowed_self_trade_prevention_modes: list[str] = []
    contract_type: str = ""


class ExchangeInfo(_Camel, frozen=True, gc=False):
    """What can be traded, and how often asked."""

    symbols: list[SymbolInfo]
    rate_limits: list[RateLimit] = []


class SocketAnswer(_Camel, frozen=True, gc=False):
    """The answer to a request on the socket."""

    id: str | int | None = None
    status: int = 0
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: ErrorAnswer | None = None
    rate_limits: list[RateLimit] = []


class ExecutionReport(_Wire, frozen=True, gc=False):
    """Spot: something happened to an order."""

    s: str
    i: int
    c: str
    S: str
    q: str
    p: str
    x: str
    X: str
    z: str
    T: int
    C: str = ""
    r: str = "NONE"
    l: str = "0"  # noqa: E741 - the exchange's name
    L: str = "0"
    n: str = "0"
    N: str | None = None
    t: int = -1
    I: int = 0  # noqa: E741 - the exchange's name
    m: bool = False
    E: int = 0
    eR: str = ""  # noqa: N815 - the exchange's name

    @property
    def client_id(self) -> str:
        """Return the order's own client id: of a cancel, `c` is the cancel's and `C` the order's."""
        return self.C or self.c


class AssetLine(_Wire, frozen=True, gc=False):
    """Spot: an asset after a change."""

    a: str
    f: str
    l: str  # noqa: E741 - the exchange's name


class AccountPosition(_Wire, frozen=True, gc=False):
    """Spot: assets that changed, whole amounts."""

    B: list[AssetLine]


class StreamNotice(_Wire, frozen=True, gc=False):
    """News of the stream itself: `eventStreamTerminated`, `serverShutdown`, `listenKeyExpired`."""

    e: str


class FuturesOrder(_Wire, frozen=True, gc=False):
    """Futures: the order inside of an order event."""

    s: str
    i: int
    c: str
    S: str
    q: str
    p: str
    x: str
    X: str
    z: str
    T: int = 0
    l: str = "0"  # noqa: E741 - the exchange's name
    L: str = "0"
    n: str = "0"
    N: str | None = None
    t: int = 0
    m: bool = False
    ps: str = "BOTH"
    er: str = ""


class FuturesOrderEvent(_Wire, frozen=True, gc=False):
    """Futures: something happened to an order."""

    o: FuturesOrder
    E: int = 0
    T: int = 0


class WalletLine(_Wire, frozen=True, gc=False):
    """Futures: an asset after a change."""

    a: str
    wb: str
    cw: str


class PositionEvent(_Wire, frozen=True, gc=False):
    """Futures: a position after a change."""

    s: str
    pa: str
    ps: str = "BOTH"


class AccountChange(_Wire, frozen=True, gc=False):
    """Futures: what changed, and why."""

    m: str = ""
    B: list[WalletLine] = []
    P: list[PositionEvent] = []


class AccountEvent(_Wire, frozen=True, gc=False):
    """Futures: balances and positions that changed, whole amounts."""

    a: AccountChange
    E: int = 0
    T: int = 0


class _Kind(_Wire, frozen=True, gc=False):
    e: str = ""


class _SpotEnvelope(_Camel, frozen=True, gc=False):
    event: msgspec.Raw = msgspec.Raw(b"null")


class _Combined(_Wire, frozen=True, gc=False):
    stream: str
    data: msgspec.Raw


_socket_answer = msgspec.json.Decoder(SocketAnswer)
_envelope = msgspec.json.Decoder(_SpotEnvelope)
_combined = msgspec.json.Decoder(_Combined)
_kind = msgspec.json.Decoder(_Kind)
_SPOT_EVENTS: dict[str, msgspec.json.Decoder[Any]] = {
    "executionReport": msgspec.json.Decoder(ExecutionReport),
    "outboundAccountPosition": msgspec.json.Decoder(AccountPosition),
    "eventStreamTerminated": msgspec.json.Decoder(StreamNotice),
    "serverShutdown": msgspec.json.Decoder(StreamNotice),
}
_USDM_EVENTS: dict[str, msgspec.json.Decoder[Any]] = {
    "ORDER_TRADE_UPDATE": msgspec.json.Decoder(FuturesOrderEvent),
    "ACCOUNT_UPDATE": msgspec.json.Decoder(AccountEvent),
    "listenKeyExpired": msgspec.json.Decoder(StreamNotice),
    "serverShutdown": msgspec.json.Decoder(StreamNotice),
}
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_ANSWER_BYTES_MAX = 8 << 20


def decoded(data: bytes | msgspec.Raw, kind: type[_T], what: str) -> _T:
    """Return an answer's body as `kind`.

    Args:
        data: JSON.
        kind: What it must be.
        what: For the error.

    Raises:
        WireError: If it is something else.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except _ERRORS as error:
        raise WireError(f"{what}: expected {_name(kind)}, was something else: {_told(error)}") from None


def parse_socket_answer(frame: bytes) -> SocketAnswer:
    """Return the answer to a request on the socket.

    Raises:
        WireError: If it is none.
    """
    try:
        return _socket_answer.decode(frame)
    except _ERRORS as error:
        raise WireError(f"answer on the socket: expected one with id and status: {_told(error)}") from None


def socket_reply_id(frame: bytes) -> str | int | None:
    """Return the id of the request that a frame answers; None for an event, or for what cannot be read."""
    if b'"event"' in frame[:64] or len(frame) > _ANSWER_BYTES_MAX:
        return None
    try:
        return _socket_answer.decode(frame).id
    except _ERRORS:
        return None


def parse_spot_event(frame: bytes) -> ExecutionReport | AccountPosition | StreamNotice | None:
    """Return what a frame of the user data stream says; None for what is nothing to orders and balances.

    Raises:
        WireError: If it is no event of the promised shape.
    """
    return _event(frame, _SPOT_EVENTS, _spot_body)  # type: ignore[no-any-return] # by the table


def parse_usdm_event(frame: bytes) -> FuturesOrderEvent | AccountEvent | StreamNotice | None:
    """Return the same of futures; `TRADE_LITE` is left out, since it tells no fee and the order event follows.

    Raises:
        WireError: If it is no event of the promised shape.
    """
    return _event(frame, _USDM_EVENTS, _usdm_body)  # type: ignore[no-any-return] # by the table


def _event(frame: bytes, decoders: dict[str, msgspec.json.Decoder[Any]], unwrap: Callable[[bytes], bytes]) -> Any:
    try:
        body = unwrap(frame)
        if body == b"null":
            return None
        decoder = decoders.get(_kind.decode(body).e)
        return None if decoder is None else decoder.decode(body)
    except _ERRORS as error:
        raise WireError(f"private event: expected one of the documented shape: {_told(error)}") from None


def _spot_body(frame: bytes) -> bytes:
    return bytes(_envelope.decode(frame).event)


def _usdm_body(frame: bytes) -> bytes:
    return bytes(_combined.decode(frame).data) if frame.startswith(b'{"stream"') else frame


def _told(error: Exception) -> str:
    # The text of a validation error names a path and types, never the value; others might quote the input.
    return str(error) if isinstance(error, msgspec.ValidationError) else type(error).__name__


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))

"""What the exchange says of its instruments, as `Instrument`; and what it calls the markets of a strategy.

Source: v5 documentation, `market/instruments-info`.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import NamedTuple

import msgspec

from mmframe.domain.instrument import Instrument, InstrumentKind
from mmframe.errors import DomainError, VenueError
from mmframe_bybit.wire import NUMBER_LENGTH_MAX, FrameError

__all__ = ["InstrumentPage", "parse_instruments", "venue_symbol"]

_MAGNITUDE_MAX = 30
_USDC = "USDC"


class InstrumentPage(NamedTuple):
    """One page of instruments.

    Attributes:
        instruments: Those that can be traded now, by the exchange's own symbol.
        left_out: The others, with the reason.
        next_cursor: What to ask the next page with; empty after the last.
    """

    instruments: dict[str, Instrument]
    left_out: dict[str, str]
    next_cursor: str


class _PriceFilter(msgspec.Struct, frozen=True, rename="camel"):
    tick_size: str


class _LotSizeFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Linear has `qtyStep` and `minNotionalValue`, spot `basePrecision` (a step, not a count) and `minOrderAmt`."""

    qty_step: str = ""
    base_precision: str = ""
    min_order_qty: str = ""
    max_order_qty: str = ""
    max_limit_order_qty: str = ""
    min_notional_value: str = ""
    min_order_amt: str = ""


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    symbol: str
    status: str
    base_coin: str
    quote_coin: str
    price_filter: _PriceFilter
    lot_size_filter: _LotSizeFilter
    contract_type: str = ""


class _Named(msgspec.Struct, frozen=True):
    symbol: str = "?"


class _Result(msgspec.Struct, frozen=True, rename="camel"):
    category: str
    entries: list[msgspec.Raw] = msgspec.field(name="list")
    next_page_cursor: str = ""


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")


_answer = msgspec.json.Decoder(_Answer)
_result = msgspec.json.Decoder(_Result)
_entry = msgspec.json.Decoder(_Entry)
_named = msgspec.json.Decoder(_Named)
_KINDS = {"spot": InstrumentKind.SPOT, "linear": InstrumentKind.LINEAR}
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def parse_instruments(body: bytes) -> InstrumentPage:
    """Return the instruments of one answer of `instruments-info`, category spot or linear.

    An entry that cannot be used is left out with its reason and does not spoil the others. Dated futures are left out:
    a perpetual and its futures would share one unified symbol.

    Raises:
        FrameError: If it is no such answer.
        VenueError: If the exchange refused the request.
    """
    try:
        answer = _answer.decode(body)
        if answer.ret_code != 0:
            msg = f"instruments-info: expected retCode 0, was {answer.ret_code} ({answer.ret_msg})"
            raise VenueError(msg)
        result = _result.decode(answer.result)
    except _UNREADABLE as error:
        shown = body[:NUMBER_LENGTH_MAX].decode("utf-8", "replace")
        msg = f"expected an answer of instruments-info, was {shown!r}: {error}"
        raise FrameError(msg) from None
    kind = _KINDS.get(result.category)
    if kind is None:
        msg = f"instruments-info: expected category spot or linear, was {result.category!r}"
        raise FrameError(msg)
    instruments: dict[str, Instrument] = {}
    left_out: dict[str, str] = {}
    for raw in result.entries:
        try:
            entry = _entry.decode(raw)
            instruments[entry.symbol] = _instrument(entry, kind)
        except DomainError as error:
            left_out[entry.symbol] = error.message
        except _UNREADABLE as error:
            left_out[_symbol(raw)] = str(error)
    return InstrumentPage(instruments, left_out, result.next_page_cursor)


def venue_symbol(instrument: Instrument, category: str) -> str:
    """Return what the exchange calls `instrument`: its `venue_symbol`, but a perpetual in USDC ends in PERP.

    A `venue_symbol` that the strategy file set to something else stays as it is.
    """
    is_default = instrument.venue_symbol == instrument.base + instrument.quote
    if category == "linear" and instrument.quote == _USDC and is_default:
        return f"{instrument.base}PERP"
    return instrument.venue_symbol


def _instrument(entry: _Entry, kind: InstrumentKind) -> Instrument:
    if entry.status != "Trading":
        msg = f"status: expected 'Trading', was {entry.status!r}"
        raise DomainError(msg)
    if entry.contract_type not in {"", "LinearPerpetual"}:
        msg = f"contractType: expected 'LinearPerpetual', was {entry.contract_type!r}"
        raise DomainError(msg)
    lots = entry.lot_size_filter
    is_spot = kind is InstrumentKind.SPOT
    step = _number("basePrecision" if is_spot else "qtyStep", lots.base_precision if is_spot else lots.qty_step)
    smallest = _number("minOrderQty", lots.min_order_qty or str(step))
    largest = (lots.max_limit_order_qty if is_spot else "") or lots.max_order_qty
    notional = (lots.min_order_amt if is_spot else lots.min_notional_value) or "0"
    return Instrument(
        symbol=f"{entry.base_coin}/{entry.quote_coin}",
        tick_size=_number("tickSize", entry.price_filter.tick_size),
        lot_size=step,
        # Bounds are not always on the grid (1542.6000000000001): the nearest allowed size counts.
        min_size_lots=max(1, _steps(smallest, step, ROUND_CEILING)),
        max_size_lots=_steps(_number("maxOrderQty", largest), step, ROUND_FLOOR) if largest else None,
        min_notional_quote=_number("minNotional", notional, may_be_zero=True),
        kind=kind,
        venue_symbol=entry.symbol,
    )


def _number(name: str, text: str, *, may_be_zero: bool = False) -> Decimal:
    try:
        number = Decimal(text) if len(text) <= NUMBER_LENGTH_MAX else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    is_sane = number.is_finite() and abs(number.adjusted()) <= _MAGNITUDE_MAX
    if not is_sane or number < 0 or (number == 0 and not may_be_zero):
        expected = "a number of 0 or above" if may_be_zero else "a number above 0"
        msg = f"{name}: expected {expected}, was {text[:NUMBER_LENGTH_MAX]!r}"
        raise DomainError(msg)
    return number


def _steps(size: Decimal, step: Decimal, rounding: str) -> int:
    return int((size / step).to_integral_value(rounding=rounding))


def _symbol(raw: msgspec.Raw) -> str:
    try:
        return _named.decode(raw).symbol
    except _UNREADABLE:
        return "?"

"""Orders, the actions that the engine asks for, and the events that a venue answers with.

All are immutable `msgspec.Struct` values, cheap to make and encoded to the journal as they are. Sizes are lots, prices
ticks, times nanoseconds UTC; money is `Decimal`.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, IntEnum

import msgspec

from mmframe.domain.market import Side

__all__ = [
    "ALL_MARKETS",
    "Action",
    "Amend",
    "Approved",
    "BalanceUpdate",
    "Cancel",
    "CancelAll",
    "Fill",
    "OpenOrdersReport",
    "OrderReport",
    "OrderState",
    "OrderStatus",
    "OrderUpdate",
    "PositionReport",
    "QueryOpenOrders",
    "QueryOrder",
    "Replace",
    "Request",
    "Submit",
    "TimeInForce",
    "VenueCapabilities",
    "VenueEvent",
    "VenueStatus",
    "action_bytes",
]

ALL_MARKETS = -1
"""Market index that means every market of the strategy."""


class TimeInForce(IntEnum):
    """How long an order may rest."""

    GTC = 0
    IOC = 1
    FOK = 2


class OrderState(Enum):
    """Where our order stands. Only evidence from the venue ends one."""

    INTENT = "intent"
    """Journaled, exposure reserved, not sent."""
    SENT = "sent"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    UNKNOWN = "unknown"
    """The outcome of a request is not known; keeps its whole reserved exposure."""
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NOT_PLACED = "not_placed"
    """Proved absent at the venue."""

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more can happen to the order."""
        return self in _FINAL_STATES


_FINAL_STATES = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED, OrderState.NOT_PLACED}
)


class OrderStatus(Enum):
    """What a venue says of one of our requests or orders."""

    OPEN = "open"
    """Acknowledged or amended; rests, or rests with its remainder."""
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    """The submit was refused; nothing was placed."""
    EXPIRED = "expired"
    REPLACED = "replaced"
    """A replace took effect: the old order is gone and the new one rests."""
    CANCELED_ONLY = "canceled_only"
    """A replace removed the old order and placed no new one."""
    UNCHANGED = "unchanged"
    """A cancel, amend or replace was refused; the order stands as it was."""
    BOTH_LIVE = "both_live"
    """A replace placed the new order and left the old one."""
    NOT_FOUND = "not_found"
    """A query's answer: the venue does not know the client id (now)."""
    UNKNOWN = "unknown"
    """No or an unclear answer: the request may or may not have taken effect."""


class Request(Enum):
    """Which request an update answers."""

    SUBMIT = "submit"
    AMEND = "amend"
    REPLACE = "replace"
    CANCEL = "cancel"
    QUERY = "query"
    STREAM = "stream"
    """None: the venue told it by itself."""


class Submit(msgspec.Struct, frozen=True, gc=False, tag="submit"):
    """Place a limit order."""

    market: int
    client_id: str
    side: Side
    price_ticks: int
    size_lots: int
    time_in_force: TimeInForce = TimeInForce.GTC
    is_post_only: bool = True
    is_reduce_only: bool = False
    """May only make our position smaller: the gate judges it by its own rules, and a venue that knows positions is told
    the same."""


class Amend(msgspec.Struct, frozen=True, gc=False, tag="amend"):
    """Change price or remaining size of a resting order, keeping its identity."""

    market: int
    client_id: str
    price_ticks: int
    leaves_lots: int
    """The size that shall rest after the amend, in lots, > 0.

    It is meant beside the fills that were told before. Where one comes in between, no more may rest for it: a venue
    with versions refuses the amend, an adapter of one without names the whole size, fills told plus `leaves_lots`.
    """
    expected_version: int


class Replace(msgspec.Struct, frozen=True, gc=False, tag="replace"):
    """Cancel one order and place another in one request; no venue makes it truly atomic."""

    market: int
    client_id: str
    new_client_id: str
    price_ticks: int
    size_lots: int
    is_post_only: bool = True


class Cancel(msgspec.Struct, frozen=True, gc=False, tag="cancel"):
    """Remove a resting order."""

    market: int
    client_id: str


class CancelAll(msgspec.Struct, frozen=True, gc=False, tag="cancel_all"):
    """Remove every order of ours in a market, or in all (`ALL_MARKETS`)."""

    market: int
    reason: str


class QueryOrder(msgspec.Struct, frozen=True, gc=False, tag="query_order"):
    """Ask the venue what became of a client id."""

    market: int
    client_id: str


class QueryOpenOrders(msgspec.Struct, frozen=True, gc=False, tag="query_open_orders"):
    """Ask the venue for every open order of ours in a market."""

    market: int


Action = Submit | Amend | Replace | Cancel | CancelAll | QueryOrder | QueryOpenOrders

_encoder = msgspec.json.Encoder(order="deterministic")


_NOT_REDUCE_ONLY = b',"is_reduce_only":false}'


def action_bytes(action: Action) -> bytes:
    """Return the canonical encoding of an action: the same action gives the same bytes in every process.

    A plain order leaves `is_reduce_only` away, so that the hashes of runs from before it existed still compare.
    """
    encoded = _encoder.encode(action)
    return encoded.removesuffix(_NOT_REDUCE_ONLY) + b"}" if encoded.endswith(_NOT_REDUCE_ONLY) else encoded


class _Seal:
    """The gate's proof of approval; one object, known to `mmframe.engine.gate` alone."""


_SEAL = _Seal()


class Approved:
    """An action that passed the gate: the only thing that a venue executes.

    Nothing outside `mmframe.engine.gate` can make one (an architecture test holds that no other module names the seal).

    Raises:
        TypeError: If made without the gate's seal.
    """

    __slots__ = ("action",)

    def __init__(self, action: Action, seal: _Seal) -> None:
        if seal is not _SEAL:
            msg = "Approved: only the gate approves actions; hand the action to the engine instead"
            raise TypeError(msg)
        self.action = action

    def __repr__(self) -> str:
        return f"Approved({self.action!r})"


class OrderUpdate(msgspec.Struct, frozen=True, gc=False, tag="order_update"):
    """What the venue says of one order, as an answer to `request` or unasked (`Request.STREAM`)."""

    market: int
    client_id: str
    status: OrderStatus
    request: Request
    exchange_ns: int
    receive_ns: int
    venue_order_id: str = ""
    price_ticks: int = 0
    """The order's price now; 0 when the venue did not say."""
    size_lots: int = 0
    """The order's whole size now, filled part included; 0 when the venue did not say."""
    filled_lots: int = 0
    """Cumulated; 0 when the venue did not say."""
    version: int = 0
    """The order's version now; 0 when the venue has none."""
    new_client_id: str = ""
    """Of a replace: the order that took the old one's place."""
    reason: str = ""


class Fill(msgspec.Struct, frozen=True, gc=False, tag="fill"):
    """One execution of our order. `(market, venue_trade_id)` is unique forever and is what makes it count once."""

    market: int
    client_id: str
    venue_trade_id: str
    side: Side
    price_ticks: int
    size_lots: int
    is_maker: bool
    fee: Decimal
    """In `fee_asset`; positive is paid, negative is a rebate."""
    fee_asset: str
    exchange_ns: int
    receive_ns: int
    venue_order_id: str = ""


class OrderReport(msgspec.Struct, frozen=True, gc=False):
    """One open order as the venue lists it."""

    client_id: str
    venue_order_id: str
    side: Side
    price_ticks: int
    size_lots: int
    filled_lots: int
    version: int = 0


class OpenOrdersReport(msgspec.Struct, frozen=True, gc=False, tag="open_orders"):
    """The venue's whole list of the account's open orders in a market at one moment.

    Orders of others on the same account may be among them: the engine tells ours by the start of their client ids.
    """

    market: int
    orders: tuple[OrderReport, ...]
    exchange_ns: int
    """When the list was true, by the exchange's clock; our own time where that is not known."""
    receive_ns: int


class BalanceUpdate(msgspec.Struct, frozen=True, gc=False, tag="balance"):
    """Free and locked amount of one asset."""

    asset: str
    free: Decimal
    locked: Decimal
    receive_ns: int


class PositionReport(msgspec.Struct, frozen=True, gc=False, tag="position"):
    """The account's signed position in a market, from a venue that keeps positions; spot venues report balances."""

    market: int
    position_lots: int
    mark_price_ticks: int
    """What the venue values it at, rounded to a tick: an opening position is taken over at it; 0 when not told."""
    exchange_ns: int
    receive_ns: int


class VenueStatus(msgspec.Struct, frozen=True, gc=False, tag="venue_status"):
    """Whether the venue can be traded on: its private stream is up and unbroken since the last report.

    A live venue is down until it says that it is up, and says so only after it has told every fill and every change of
    an order that it may have missed. Down pulls the quotes; up again makes the engine compare open orders first.
    """

    is_up: bool
    receive_ns: int
    reason: str = ""


VenueEvent = OrderUpdate | Fill | OpenOrdersReport | BalanceUpdate | PositionReport | VenueStatus


class VenueCapabilities(msgspec.Struct, frozen=True, gc=False):
    """What a venue can do beyond submit and cancel."""

    can_amend: bool = False
    """Price and size of a resting order in one request."""
    shrink_keeps_priority: bool = False
    """An amend that only lowers the size keeps the queue position."""
    amend_only_shrinks: bool = False
    """An amend can lower the size and nothing else: another price is a replace, or a cancel and a new order."""
    can_replace: bool = False
    has_idempotent_client_id: bool = True
    """A second submit with the same client id is refused."""
    has_dead_man_switch: bool = False
    is_virtual: bool = False
    """Runs on the driver's clock and needs no network: simulations."""
    reports_positions: bool = False
    """Tells a `PositionReport` of each market; nothing is quoted before the first one agrees with the fills."""
    absence_delay_ns: int = 0
    """How long after it was sent a request may still take effect: the venue's acceptance window, its own timeout and a
    margin. Only after that do answers 'not found' prove that an order was never placed."""

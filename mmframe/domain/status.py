"""What a run looks like at one moment, for status lines and summaries. Made on request, never on the hot path."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from mmframe.domain.market import BookState

__all__ = ["LimitCount", "MarketStatus", "ProfitAndLoss", "RunResult", "RunStatus", "WorkingOrder"]


class ProfitAndLoss(msgspec.Struct, frozen=True):
    """Profit in quote units; `total == spread_capture + inventory + fees`, exactly.

    Attributes:
        total: Marked to the mid, fees included.
        spread_capture: Distance from the mid at the time of each fill, times size; positive is earned.
        inventory: What the position gained or lost as the mid moved.
        fees: Negative is paid. Fees in an asset that cannot be valued in the quote asset are not in here but listed in
            `MarketStatus.unvalued_fees`.
        realised: Of closed positions, by average cost, before fees.
        unrealised: Of the open position, marked to the mid.
    """

    total: Decimal
    spread_capture: Decimal
    inventory: Decimal
    fees: Decimal
    realised: Decimal
    unrealised: Decimal


class WorkingOrder(msgspec.Struct, frozen=True):
    """One order that is not final."""

    client_id: str
    side: str
    state: str
    price: Decimal
    leaves: Decimal
    """Base units."""


class MarketStatus(msgspec.Struct, frozen=True):
    """One market at one moment; prices in quote units, sizes in base units."""

    instrument: str
    book_state: BookState
    bid: Decimal | None
    ask: Decimal | None
    our_bid: Decimal | None
    """Our best resting bid."""
    our_ask: Decimal | None
    position: Decimal
    average_price: Decimal | None
    pnl: ProfitAndLoss
    orders: int
    """Submitted so far."""
    fills: int
    working: tuple[WorkingOrder, ...]
    bid_reason: int
    """Why there is no bid (a `Reason`), 0 when there is one."""
    ask_reason: int
    risk_level: int
    volume: Decimal
    """Base units traded so far, both sides."""
    quote_asset: str = ""
    unvalued_fees: dict[str, Decimal] = {}
    is_paused: bool = False
    """The operator paused it, alone or with the strategy."""


class RunStatus(msgspec.Struct, frozen=True):
    """A run at one moment."""

    strategy: str
    mode: str
    now_ns: int
    started_ns: int
    events: int
    """Market messages, venue events, timers and commands handled."""
    decisions: int
    markets: tuple[MarketStatus, ...]
    is_halted: bool
    halt_reason: str
    advice: tuple[str, ...] = ()
    """One line an adviser."""
    is_paused: bool = False
    """The operator paused the whole strategy."""


class LimitCount(msgspec.Struct, frozen=True):
    """How often one limit bound in a run, for one reason."""

    instrument: str
    """Empty for what concerns the whole strategy."""
    stage: str
    """Whose limit: the name of the risk control, `gate <limit>`, `halt`."""
    level: int
    """How far it went, a `RiskLevel`."""
    reason: int
    """A `Reason`, or a component's own code."""
    times: int
    decisions: int
    bound_ns: int
    """For how long together."""


class RunResult(msgspec.Struct, frozen=True):
    """How a run ended."""

    status: RunStatus
    decision_hash: str
    """SHA-256 over every decision, approved action and fill; equal exactly when the runs were."""
    ended_because: str
    """`end of data`, `duration`, `interrupted`, `halted`, `failed`."""
    assumptions: tuple[str, ...]
    journal: str | None
    market_messages: int
    faults: int
    """Strategy faults that were contained."""
    rejections: int
    """Actions that the gate refused."""
    cancelled: int = 0
    """Orders that still rested when the run was ending and that the venue then confirmed as gone."""
    unresolved: tuple[str, ...] = ()
    """Client ids whose outcome was unknown at the end, or that could not be cancelled."""
    fault_notes: tuple[str, ...] = ()
    """The last few faults, oldest first."""
    is_confirmed_empty: bool = True
    """At the end a live venue listed no order of ours, twice; always True on a virtual venue."""
    limits: tuple[LimitCount, ...] = ()
    """Which limits bound, the most frequent first."""

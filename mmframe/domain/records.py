"""What the engine takes besides market data and venue events, and what it writes down for people and sinks."""

from __future__ import annotations

from enum import Enum

import msgspec

from mmframe.domain.orders import ALL_MARKETS, Action
from mmframe.domain.views import Advice

__all__ = [
    "AdviceUpdate",
    "Command",
    "GateRejection",
    "LadderLevel",
    "LimitRecord",
    "OperatorCommand",
    "QuoteDecision",
    "StageKind",
    "StageRecord",
]


class Command(Enum):
    """What an operator may order."""

    PAUSE = "pause"
    """Pull quotes; keep everything else running."""
    RESUME = "resume"
    """Quote again; also releases a latched HALT."""
    KILL = "kill"
    """Cancel everything and never quote again in this run."""
    LIQUIDATE = "liquidate"
    """Halt, cancel everything and close the positions slice by slice; goes on with a liquidation that was paused."""


class OperatorCommand(msgspec.Struct, frozen=True, tag="operator"):
    """A person's order to the engine."""

    command: Command
    receive_ns: int
    market: int = ALL_MARKETS
    reason: str = ""


class AdviceUpdate(msgspec.Struct, frozen=True, tag="advice"):
    """New advice for one market; in force until `advice.valid_until_ns`."""

    market: int
    advice: Advice
    receive_ns: int
    source: str = ""
    note: str = ""


class StageKind(Enum):
    """The kinds of stage a quote passes, in order."""

    OPTIMIZER = "optimizer"
    ROUNDING = "rounding"
    """Onto the grid, and off the touch."""
    LADDER = "ladder"
    """One quote a side becomes several; sizes are then the side's total."""
    RISK = "risk"
    ENGINE = "engine"
    """A precondition of the kernel: book state, halt, pause, unknown orders."""


class StageRecord(msgspec.Struct, frozen=True):
    """One stage's output. Sizes are base units; NaN prices are written as null."""

    kind: StageKind
    name: str
    bid: float | None
    bid_size: float
    ask: float | None
    ask_size: float
    bid_reason: int
    ask_reason: int
    level: int = 0
    """Of a risk control: its `RiskLevel`."""
    note: str = ""
    bid_bound: str = ""
    """The kernel's own limits that left less of the bid than was asked, with the figures, for people."""
    ask_bound: str = ""


class LadderLevel(msgspec.Struct, frozen=True):
    """One target order."""

    price_ticks: int
    size_lots: int


class GateRejection(msgspec.Struct, frozen=True):
    """An action that the gate refused, and the limit that bound."""

    action: Action
    limit: str
    detail: str


class LimitRecord(msgspec.Struct, frozen=True, tag="limit"):
    """A limit began to bind, or no longer does, or still does as the run ends.

    What binds again within a second has never stopped.
    """

    market: int
    """`ALL_MARKETS` for what concerns the whole strategy."""
    stage: str
    """Whose limit: the name of the risk control, `gate`, `halt`."""
    level: int
    """How far it goes, a `RiskLevel`."""
    reason: int
    """Why: a `Reason`, or a component's own code."""
    began_ns: int
    now_ns: int
    """When this was written: the beginning, or the end, of the limit or of the run."""
    decisions: int
    """In how many decisions it bound so far."""
    is_over: bool
    detail: str = ""
    """Figures, for people."""


class QuoteDecision(msgspec.Struct, frozen=True, tag="decision"):
    """Why the quotes of one market stand where they stand, stage by stage. Made only when a sink asks for it."""

    sequence: int
    market: int
    now_ns: int
    view: dict[str, float | None]
    """Fields of the `MarketView`; signals as `signals.<name>`; NaN as null."""
    inventory: dict[str, float | None]
    advice: dict[str, float]
    stages: tuple[StageRecord, ...]
    bids: tuple[LadderLevel, ...]
    asks: tuple[LadderLevel, ...]
    bid_reason: int
    ask_reason: int
    actions: tuple[Action, ...]
    rejections: tuple[GateRejection, ...]
    kept: tuple[str, ...] = ()
    """Client ids of orders that were left alone because they are within tolerance."""

"""Market data as the engine takes it: columns of messages, one batch per market.

A batch holds any number of messages. Per message: kind, exchange time, receive time and where its changes start; per
change: side, price in ticks, size in lots. Buffers are `array.array`, so a compiled engine or NumPy reads them without
a copy. A live feed makes a batch per frame, a history a batch per some thousand messages; the engine cannot tell which.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NEVER_NS", "BookState", "MarketBatch", "MessageKind", "Side", "Touch"]

NEVER_NS = 2**63 - 1
"""A time that never comes, in nanoseconds UTC."""


class Side(IntEnum):
    """Side of an order, a book level (BUY is the bid side) or the taker of a trade."""

    BUY = 0
    SELL = 1
    UNKNOWN = 2
    """Only of a trade whose taker the source does not tell."""


class MessageKind(IntEnum):
    """What one message of a batch is."""

    DELTA = 0
    """Changed levels with their new absolute sizes; size 0 removes the level."""
    SNAPSHOT = 1
    """The whole book: everything known before is void. Puts the book in sync."""
    TRADE = 2
    """Executions; the side is the taker's."""
    OFF_BOOK_TRADE = 3
    """Executions that never met the book (insurance fund, block trade): no order of ours may fill from them."""
    GAP = 4
    """Continuity was lost: the book is out of sync until the next SNAPSHOT. Has no changes."""


class BookState(IntEnum):
    """Whether a book may be quoted on."""

    UNSYNCED = 0
    SYNCED = 1
    STALE = 2


class Touch(NamedTuple):
    """Best level of each side. A side with 0 lots is empty and its ticks are 0."""

    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


class MarketBatch:
    """Messages of one market in receive order, as columns.

    Attributes:
        market: Index of the market in the strategy.
        kinds: `array('b')`, one `MessageKind` a message.
        exchange_ns: `array('q')`, the venue's time a message, nanoseconds UTC; equals `receive_ns` where it gives none.
        receive_ns: `array('q')`, our time of receipt a message, nanoseconds UTC, never decreasing.
        offsets: `array('q')` of len + 1; message i has the changes `offsets[i] : offsets[i + 1]`.
        sides: `array('b')`, one `Side` a change.
        ticks: `array('q')`, price a change, in ticks.
        lots: `array('q')`, size a change, in lots.
    """

    __slots__ = ("exchange_ns", "kinds", "lots", "market", "offsets", "receive_ns", "sides", "ticks")

    def __init__(self, market: int) -> None:
        self.market = market
        self.kinds = array("b")
        self.exchange_ns = array("q")
        self.receive_ns = array("q")
        self.offsets = array("q", (0,))
        self.sides = array("b")
        self.ticks = array("q")
        self.lots = array("q")

    def __len__(self) -> int:
        return len(self.kinds)

    def __repr__(self) -> str:
        return f"MarketBatch(market={self.market}, messages={len(self.kinds)}, changes={len(self.ticks)})"

    def add(
        self, kind: int, *, exchange_ns: int, receive_ns: int, changes: Iterable[tuple[int, int, int]] = ()
    ) -> None:
        """Append one message; `changes` are `(side, ticks, lots)`."""
        sides, ticks, lots = self.sides, self.ticks, self.lots
        for side, tick, lot in changes:
            sides.append(side)
            ticks.append(tick)
            lots.append(lot)
        self.end_message(kind, exchange_ns=exchange_ns, receive_ns=receive_ns)

    def end_message(self, kind: int, *, exchange_ns: int, receive_ns: int) -> None:
        """Close a message whose changes were appended to the columns directly, as a fast parser does."""
        self.kinds.append(kind)
        self.exchange_ns.append(exchange_ns)
        self.receive_ns.append(receive_ns)
        self.offsets.append(len(self.ticks))

    def changes(self, index: int) -> list[tuple[int, int, int]]:
        """Return the `(side, ticks, lots)` of message `index`; for people and tests, not for the hot path."""
        start, end = self.offsets[index], self.offsets[index + 1]
        return list(zip(self.sides[start:end], self.ticks[start:end], self.lots[start:end], strict=True))

    def validate(self) -> None:
        """Check the shape of the columns and the order of time.

        Raises:
            DomainError: If a column has the wrong length, receive time goes back, a kind or side is unknown, or a size
                is negative.
        """
        messages, changes = len(self.kinds), len(self.ticks)
        lengths = {
            "exchange_ns": (len(self.exchange_ns), messages),
            "receive_ns": (len(self.receive_ns), messages),
            "offsets": (len(self.offsets), messages + 1),
            "sides": (len(self.sides), changes),
            "lots": (len(self.lots), changes),
        }
        for name, (was, expected) in lengths.items():
            if was != expected:
                msg = f"batch.{name}: expected {expected} entries, was {was}"
                raise DomainError(msg)
        kinds, sides = {int(kind) for kind in MessageKind}, {int(side) for side in Side}
        last_ns, last_offset = 0, 0
        for index in range(messages):
            if self.kinds[index] not in kinds:
                msg = f"batch message {index}: expected a MessageKind, was {self.kinds[index]}"
                raise DomainError(msg)
            if self.receive_ns[index] < last_ns:
                msg = f"batch message {index}: receive_ns went back from {last_ns} to {self.receive_ns[index]}"
                raise DomainError(msg)
            if self.offsets[index + 1] < last_offset:
                msg = f"batch message {index}: offset went back from {last_offset} to {self.offsets[index + 1]}"
                raise DomainError(msg)
            last_ns, last_offset = self.receive_ns[index], self.offsets[index + 1]
        if self.offsets[0] != 0 or last_offset != changes:
            msg = f"batch.offsets: expected to run from 0 to {changes}, was {self.offsets[0]} to {last_offset}"
            raise DomainError(msg)
        for index in range(changes):
            if self.sides[index] not in sides or self.lots[index] < 0:
                msg = (
                    f"batch change {index}: expected a Side and lots >= 0, was {self.sides[index]}, {self.lots[index]}"
                )
                raise DomainError(msg)

"""Figures that follow from book levels: the same for every book model, so no model computes its own.

Levels are `(ticks, lots)` from best to worst, as `Book.levels` returns them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mmframe.domain.market import Side
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument

__all__ = ["LevelSource", "SweepCost", "book_hash", "imbalance", "limit_ticks_within_bps", "sweep"]


class LevelSource(Protocol):
    """What has levels to read: a book model, or the book of an exchange itself."""

    def levels(self, side: Side, count: int) -> list[tuple[int, int]]:
        """Return at most `count` `(ticks, lots)` from best to worst."""
        ...

    def level_count(self, side: Side) -> int:
        """Return how many levels `side` has."""
        ...


class SweepCost(NamedTuple):
    """What taking a size from one side of the book costs."""

    filled_lots: int
    """Less than asked for when the side is too thin."""
    cost_tick_lots: int
    """Sum of ticks x lots; the volume-weighted average price is this over `filled_lots`, in ticks."""
    worst_ticks: int

    @property
    def vwap_ticks(self) -> float:
        """Return the average price in ticks; NaN when nothing was filled."""
        return self.cost_tick_lots / self.filled_lots if self.filled_lots else float("nan")


def sweep(levels: Sequence[tuple[int, int]], size_lots: int) -> SweepCost:
    """Walk `levels` from the best until `size_lots` are taken.

    Raises:
        DomainError: If `size_lots` is not above 0.
    """
    if size_lots <= 0:
        msg = f"sweep size: expected lots above 0, was {size_lots}"
        raise DomainError(msg)
    left, cost, worst = size_lots, 0, 0
    for ticks, lots in levels:
        taken = lots if lots < left else left
        cost += ticks * taken
        left -= taken
        worst = ticks
        if not left:
            break
    return SweepCost(size_lots - left, cost, worst)


def imbalance(bid_lots: int, ask_lots: int) -> float:
    """Return (bid - ask) / (bid + ask) in [-1, 1]; 0.0 when both are empty."""
    total = bid_lots + ask_lots
    return (bid_lots - ask_lots) / total if total else 0.0


def limit_ticks_within_bps(side: Side, reference_ticks: float, bps: float) -> int:
    """Return the worst price of `side` that lies within `bps` of `reference_ticks`, for `Book.lots_through`."""
    distance = reference_ticks * bps / 10_000.0
    if side == Side.BUY:
        limit = reference_ticks - distance
        return int(limit) + (int(limit) < limit)
    return int(reference_ticks + distance)


def book_hash(book: LevelSource, instrument: Instrument) -> str:
    """Return the SHA-256 of the whole book in canonical text.

    Lines `bid,<price>,<size>` best to worst, then `ask,...`, joined with newlines; plain decimals without trailing
    zeros. Two books with the same levels give the same hash, whatever model or process they live in.
    """
    lines = []
    for side, name in ((Side.BUY, "bid"), (Side.SELL, "ask")):
        for ticks, lots in book.levels(side, book.level_count(side)):
            lines.append(f"{name},{_plain(instrument.price_text(ticks))},{_plain(instrument.size_text(lots))}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _plain(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text

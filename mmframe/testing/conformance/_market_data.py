"""What histories and feeds are held to alike: valid batches in receive order that begin with a whole book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.market import MarketBatch, MessageKind
from mmframe.errors import DomainError
from mmframe.testing._check import expect, fail

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Row", "check_anchored", "check_batches", "rows"]

Row = tuple[int, int, int, int, tuple[tuple[int, int, int], ...]]
"""Market, kind, exchange ns, receive ns and changes of one message: comparable, whatever batch it came in."""


def rows(batches: Iterable[MarketBatch]) -> list[Row]:
    """Return every message of `batches`."""
    return [
        (
            batch.market,
            batch.kinds[index],
            batch.exchange_ns[index],
            batch.receive_ns[index],
            tuple(batch.changes(index)),
        )
        for batch in batches
        for index in range(len(batch))
    ]


def check_batches(case_id: str, batches: Sequence[MarketBatch], *, markets: int) -> None:
    """Fail `case_id` unless each batch is a valid MarketBatch of one of `markets`."""
    for number, batch in enumerate(batches):
        expect(case_id, type(batch) is MarketBatch, was=f"batch {number} is {batch!r}", expected="a MarketBatch")
        expect(
            case_id,
            0 <= batch.market < markets,
            was=f"batch {number} is of market {batch.market}",
            expected=f"a market from 0 to {markets - 1}",
        )
        try:
            batch.validate()
        except DomainError as error:
            fail(case_id, was=f"batch {number}: {error.message}", expected="columns of equal length, in receive order")


def check_anchored(case_id: str, messages: Iterable[Row]) -> None:
    """Fail `case_id` if a DELTA comes before its market's first SNAPSHOT, or between a GAP and the next one."""
    synced: dict[int, bool] = {}
    for number, (market, kind, _, _, _) in enumerate(messages):
        if kind in (MessageKind.SNAPSHOT, MessageKind.GAP):
            synced[market] = kind == MessageKind.SNAPSHOT
        elif kind == MessageKind.DELTA and not synced.get(market, False):
            since = "the GAP before it" if market in synced else "the start"
            fail(
                case_id,
                was=f"message {number}, a DELTA of market {market}, with no SNAPSHOT since {since}",
                expected="a SNAPSHOT first",
            )

"""A recording played into a book, message by message: what every estimate from recorded data starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.market import MarketBatch, MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.ports import Book, History

__all__ = ["Played", "played"]


class Played(NamedTuple):
    """One message that the book has taken."""

    batch: MarketBatch
    place: int
    """Of the message in the batch."""
    is_synced: bool
    """Whether the book is to be believed after it."""


def played(history: History, book: Book, *, market: int = 0, limit_ns: int | None = None) -> Iterator[Played]:
    """Yield every message of one market after the book has taken it.

    Args:
        history: The recording.
        book: An empty book to play it into.
        market: Index of the market in the history.
        limit_ns: Stop at the first message that was received so long after the market's first one.

    Raises:
        DataError: If a row of the recording cannot be read.
    """
    is_synced = False
    end_ns: int | None = None
    for batch in history.batches():
        if batch.market != market:
            continue
        if end_ns is None and limit_ns is not None and len(batch):
            end_ns = batch.receive_ns[0] + limit_ns
        for index, kind in enumerate(batch.kinds):
            if end_ns is not None and batch.receive_ns[index] >= end_ns:
                return
            if kind == MessageKind.GAP:
                is_synced = False
            elif kind == MessageKind.SNAPSHOT:
                is_synced = True
                book.clear()
            if is_synced and kind in {MessageKind.DELTA, MessageKind.SNAPSHOT}:
                book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
            yield Played(batch, index, is_synced)

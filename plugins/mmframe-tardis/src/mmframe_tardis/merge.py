"""Several files become one stream in receive order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.market import MarketBatch, MessageKind
from mmframe.errors import DataError
from mmframe_tardis.tables import BATCH_CHANGES_MAX, BATCH_MESSAGES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Stream", "merge"]


class Stream(NamedTuple):
    """One file's batches.

    Attributes:
        name: The file, for messages.
        is_book: It makes the book; else it holds trades.
    """

    name: str
    is_book: bool
    batches: Iterator[MarketBatch]


class _Head:
    """The next message of one stream."""

    __slots__ = ("batch", "index", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.batch = MarketBatch(0)
        self.index = 0

    def load(self) -> bool:
        """Take the next batch; tell whether there was one."""
        for batch in self.stream.batches:
            if len(batch):
                self.batch, self.index = batch, 0
                return True
        return False

    def run_end(self, limit: tuple[int, int] | None, order: int) -> int:
        """Return the index after the last message that comes before `limit`, another stream's time and place."""
        if limit is None:
            return len(self.batch)
        search = bisect_right if order < limit[1] else bisect_left
        return search(self.batch.receive_ns, limit[0], self.index)


def merge(streams: Sequence[Stream]) -> Iterator[MarketBatch]:
    """Yield the messages of all streams in receive order; at equal times the earlier stream comes first.

    A batch holds messages of one market and ends where another market's begin. Where a market's book goes on in another
    file a GAP comes first.

    Raises:
        DataError: If two files hold book changes, or trades, of one market at the same time.
    """
    heads = [_Head(stream) for stream in streams]
    queue = [(head.batch.receive_ns[0], order) for order, head in enumerate(heads) if head.load()]
    heapify(queue)
    sources = _Sources(streams)
    out = MarketBatch(0)
    while queue:
        order = queue[0][1]
        head = heads[order]
        batch, start = head.batch, head.index
        end = head.run_end(min(queue[1:3], default=None), order)
        if out.market != batch.market or len(out) >= BATCH_MESSAGES_MAX or len(out.ticks) >= BATCH_CHANGES_MAX:
            if len(out):
                yield out
            out = MarketBatch(batch.market)
        if sources.is_another_book(batch.market, order):
            out.add(MessageKind.GAP, exchange_ns=batch.exchange_ns[start], receive_ns=batch.receive_ns[start])
        _copy(batch, start, end, out)
        head.index = end
        if end < len(batch) or head.load():
            heapreplace(queue, (head.batch.receive_ns[head.index], order))
        else:
            heappop(queue)
    if len(out):
        yield out


class _Sources:
    """Which file each market's book and trades come from now."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams
        self._now: dict[tuple[int, bool], int] = {}
        self._left: set[tuple[int, int]] = set()

    def is_another_book(self, market: int, order: int) -> bool:
        """Tell whether the market's book came from another file until now.

        Raises:
            DataError: If it came from this one before that other.
        """
        stream = self._streams[order]
        before = self._now.get((market, stream.is_book))
        if before == order:
            return False
        self._now[market, stream.is_book] = order
        if before is None:
            return False
        if (market, order) in self._left:
            what = "book changes" if stream.is_book else "trades"
            msg = f"its {what} overlap in time with those of {self._streams[before].name}"
            raise DataError(msg, file=stream.name, hint="name each period of a market once in `paths`")
        self._left.add((market, before))
        return stream.is_book


def _copy(batch: MarketBatch, start: int, end: int, out: MarketBatch) -> None:
    first, last = batch.offsets[start], batch.offsets[end]
    shift = len(out.ticks) - first
    out.kinds.extend(batch.kinds[start:end])
    out.exchange_ns.extend(batch.exchange_ns[start:end])
    out.receive_ns.extend(batch.receive_ns[start:end])
    out.offsets.extend([offset + shift for offset in batch.offsets[start + 1 : end + 1]])
    out.sides.extend(batch.sides[first:last])
    out.ticks.extend(batch.ticks[first:last])
    out.lots.extend(batch.lots[first:last])

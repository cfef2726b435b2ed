"""One market of a live feed: which connection's book leads, and when another one takes over. Synchronous, without I/O.

While a connection renews itself two are open, and each tells the whole story: the book of the newer one is followed in
silence until it is as far as the older one's, then it leads at once and the older one's frames are passed over. Nothing
is lost on the way, so there is no GAP; after a loss the newer book leads as soon as it is whole.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mmframe.domain.market import MarketBatch
from mmframe_bybit.book import BookCounts, SymbolBook, TradeTape

if TYPE_CHECKING:
    from mmframe.domain.instrument import Instrument
    from mmframe_bybit.wire import BookFrame, TradeFrame

__all__ = ["MarketStream"]

_TRADE_IDS_MAX = 16_384
"""Trades among which a repeated one is noticed: more than two connections that overlap are apart."""


class _Branch(NamedTuple):
    """One connection's view of the book."""

    generation: int
    book: SymbolBook


class MarketStream:
    """What the frames of one market become, whichever connection they come on.

    Args:
        market: Index of the market in the strategy.
        instrument: Gives the grid.
        symbol: What the exchange calls it.
        depth: Levels a side of the topic.
        counts: Where to count.

    Attributes:
        market: As given.
        instrument: As given.
        symbol: As given.
        book_topic: Name of the book's topic.
        topics: Names of both topics, the book's and the trades'.
        counts: What became of the messages of all connections.
        passed_over: Book frames of a connection that another one has replaced.
        repeated_trades: Executions that came a second time.
        lost_generation: The newest connection, if its book is void and no snapshot is to be expected; else 0.
        skips_repeated: Executions that come a second time are left out, as is right where connections overlap.
    """

    def __init__(
        self, market: int, instrument: Instrument, symbol: str, depth: int, counts: BookCounts | None = None
    ) -> None:
        self.market = market
        self.instrument = instrument
        self.symbol = symbol
        self.counts = counts or BookCounts()
        self.skips_repeated = True
        self.passed_over = 0
        self.repeated_trades = 0
        self.lost_generation = 0
        self.book_topic = f"orderbook.{depth}.{symbol}"
        self.topics = (self.book_topic, f"publicTrade.{symbol}")
        self._depth = depth
        self._newest = 0
        self._leader = self._branch(0)
        self._follower: _Branch | None = None
        self._tape = TradeTape(instrument, self.counts)
        self._trade_ids: set[str] = set()
        self._trade_id_order: deque[str] = deque()

    @property
    def is_synced(self) -> bool:
        """Tell whether the book that leads is whole."""
        return self._leader.book.is_synced

    def on_connected(self, generation: int) -> None:
        """Expect a first snapshot on a new connection."""
        self._newest = generation
        self._follower = self._branch(generation)
        self.lost_generation = 0

    def on_ended(self, generation: int, batch: MarketBatch, receive_ns: int) -> None:
        """Expect nothing more on a connection."""
        if self.lost_generation == generation:
            # The next connection brings a snapshot by itself.
            self.lost_generation = 0
        if self._follower is not None and self._follower.generation == generation:
            self._follower = None
        if self._leader.generation == generation:
            self._leader.book.lose(batch, receive_ns, receive_ns)
            self._take_over(batch, receive_ns)

    def on_loss(self, batch: MarketBatch, receive_ns: int) -> None:
        """Void everything: frames are missing, and nobody knows which."""
        self._leader.book.lose(batch, receive_ns, receive_ns)
        if self._follower is not None:
            self._follower.book.lose(MarketBatch(self.market), receive_ns, receive_ns)
        self.lost_generation = self._newest

    def on_unreadable(self, generation: int, batch: MarketBatch, receive_ns: int) -> None:
        """Void the book of a connection: one of its messages cannot be read."""
        branch = self._of(generation)
        if branch is not None:
            branch.book.lose(self._target(branch, batch), receive_ns, receive_ns)
            self._note(branch)

    def on_book(self, frame: BookFrame, generation: int, batch: MarketBatch, receive_ns: int) -> None:
        """Apply a message to the book of its connection.

        Raises:
            DomainError: As `SymbolBook.on_book`.
        """
        branch = self._of(generation)
        if branch is None:
            self.passed_over += 1
            return
        try:
            branch.book.on_book(frame, self._target(branch, batch), receive_ns)
        finally:
            self._note(branch)
        self._take_over(batch, receive_ns)

    def on_trades(self, frame: TradeFrame, batch: MarketBatch, receive_ns: int) -> None:
        """Write the executions that are new.

        Raises:
            DomainError: As `TradeTape.on_trades`.
        """
        fresh = [trade for trade in frame.data if not self.skips_repeated or trade.i not in self._trade_ids]
        repeated = len(frame.data) - len(fresh)
        self.repeated_trades += repeated
        if not fresh:
            return
        self._tape.on_trades(msgspec.structs.replace(frame, data=fresh) if repeated else frame, batch, receive_ns)
        for trade in fresh:
            if trade.i:
                self._remember(trade.i)

    def _branch(self, generation: int) -> _Branch:
        return _Branch(generation, SymbolBook(self.instrument, self._depth, self.counts))

    def _of(self, generation: int) -> _Branch | None:
        if generation == self._leader.generation:
            return self._leader
        follower = self._follower
        return follower if follower is not None and follower.generation == generation else None

    def _target(self, branch: _Branch, batch: MarketBatch) -> MarketBatch:
        return batch if branch is self._leader else MarketBatch(self.market)

    def _note(self, branch: _Branch) -> None:
        if branch.generation == self._newest:
            self.lost_generation = 0 if branch.book.is_synced else branch.generation

    def _take_over(self, batch: MarketBatch, receive_ns: int) -> None:
        follower, leader = self._follower, self._leader.book
        if follower is None or not follower.book.is_synced:
            return
        if leader.is_synced and follower.book.last_seq < leader.last_seq:
            return
        self._leader, self._follower = follower, None
        follower.book.write_whole(batch, receive_ns)

    def _remember(self, trade_id: str) -> None:
        if trade_id in self._trade_ids:
            return
        self._trade_ids.add(trade_id)
        self._trade_id_order.append(trade_id)
        if len(self._trade_id_order) > _TRADE_IDS_MAX:
            self._trade_ids.discard(self._trade_id_order.popleft())

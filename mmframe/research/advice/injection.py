"""Puts advice into a backtest at given times, and keeps what the comparison needs of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mmframe.ports import MarketObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.domain.market import MarketBatch
    from mmframe.domain.orders import Action, Approved, Fill, OrderUpdate, VenueCapabilities, VenueEvent
    from mmframe.domain.records import AdviceUpdate, LimitRecord, QuoteDecision
    from mmframe.ports import Book, Venue

__all__ = ["AdvisedVenue", "FillLog"]


class AdvisedVenue:
    """A virtual venue that also hands the engine advice at given times: one more input, and nothing else differs.

    The driver merges what a venue says with market data and timers in time order, and the engine takes advice as it
    takes any other event; so a run with given advice needs no second engine, driver or venue.

    Args:
        venue: Takes the orders and fills them.
        updates: In time order. What is due before the first market message comes with it.
    """

    def __init__(self, venue: Venue, updates: Sequence[AdviceUpdate]) -> None:
        self.capabilities: VenueCapabilities = venue.capabilities
        self.next_event_ns = venue.next_event_ns
        self._venue = venue
        self._observe = venue.observe if isinstance(venue, MarketObserver) else None
        self._updates = tuple(updates)
        self._next = 0
        self._has_begun = False

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Pass an action on."""
        self._venue.execute(approved, now_ns)
        self._reschedule()

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:
        """Return the advice that is due, then what the venue has to say: advice comes before all else of its time."""
        events: list[VenueEvent] = []
        while self._has_begun and self._next < len(self._updates) and self._updates[self._next].receive_ns <= now_ns:
            # The engine takes advice from the same queue; only the port's type does not say so.
            events.append(cast("VenueEvent", self._updates[self._next]))
            self._next += 1
        events.extend(self._venue.poll(now_ns))
        self._reschedule()
        return events

    def observe(self, batch: MarketBatch, index: int, book: Book) -> None:
        """Pass a message on."""
        self._has_begun = True
        if self._observe is not None:
            self._observe(batch, index, book)
        self._reschedule()

    async def run(self, notify: Callable[[], None]) -> None:
        """Let the venue run; a virtual one returns at once."""
        await self._venue.run(notify)

    def _reschedule(self) -> None:
        due_ns = self._venue.next_event_ns
        if self._has_begun and self._next < len(self._updates):
            due_ns = min(due_ns, self._updates[self._next].receive_ns)
        self.next_event_ns = due_ns


class FillLog:
    """A sink that keeps the fills of a run.

    Attributes:
        fills: In the order in which they were counted.
    """

    wants_decisions = False

    def __init__(self) -> None:
        self.fills: list[Fill] = []

    def on_fill(self, fill: Fill) -> None:
        """Keep one execution."""
        self.fills.append(fill)

    def on_decision(self, decision: QuoteDecision) -> None:
        """Ignore it; none is made for this sink."""

    def on_action(self, action: Action, now_ns: int) -> None:
        """Ignore it."""

    def on_order_update(self, update: OrderUpdate) -> None:
        """Ignore it."""

    def on_advice(self, update: AdviceUpdate) -> None:
        """Ignore it."""

    def on_limit(self, limit: LimitRecord) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Have nothing to release."""

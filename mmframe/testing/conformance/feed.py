"""Conformance of feeds. A virtual feed is driven through its market; a live one is held to what needs no network."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import anyio
import pytest

from mmframe.domain.market import NEVER_NS, MarketBatch, MessageKind
from mmframe.plugin import FeedSpec
from mmframe.testing._check import ComponentConformance, case, expect, fail
from mmframe.testing.conformance._market_data import check_anchored, check_batches, rows
from mmframe.testing.reference import ReferenceBook

if TYPE_CHECKING:
    from mmframe.ports import Feed

__all__ = ["FeedConformance"]

_POLLS_AT_ONE_INSTANT_MAX = 10_000
_RUN_TIMEOUT_S = 5.0
"""Wall time that a task gets to end once cancelled; reached only by a feed that hangs."""


class FeedConformance(ComponentConformance):
    """Subclass it and set `spec` (a FeedSpec), and `options` if it has required ones.

    Attributes:
        duration_s: Length of virtual time that a virtual feed is driven through.
    """

    spec_class: ClassVar[type[FeedSpec]] = FeedSpec
    duration_s: ClassVar[float] = 5.0

    @case("MM-F01")
    def test_the_next_event_is_a_time(self) -> None:
        """MM-F01."""
        due = self.build().next_event_ns
        expect("MM-F01", type(due) is int, was=due, expected="an int of nanoseconds UTC")
        if type(self).spec.is_virtual:
            expect("MM-F01", due < NEVER_NS, was="NEVER_NS after being built", expected="the time of the first message")
        else:
            expect("MM-F01", due == NEVER_NS, was=due, expected="NEVER_NS from a live feed")

    @case("MM-F02")
    def test_poll_returns_only_what_is_due(self) -> None:
        """MM-F02."""
        feed = self._virtual()
        early = feed.poll(feed.next_event_ns - 1)
        expect("MM-F02", not rows(early), was=f"{rows(early)[:1]} before next_event_ns", expected="nothing yet")
        for now_ns, batches in self._driven(feed):
            for _, _, _, receive_ns, _ in rows(batches):
                expect("MM-F02", receive_ns <= now_ns, was=f"{receive_ns} at {now_ns} ns", expected="not after now_ns")

    @case("MM-F03")
    def test_each_message_comes_once(self) -> None:
        """MM-F03."""
        feed = self._virtual()
        for now_ns, _ in self._driven(feed):
            again = rows(feed.poll(now_ns))
            expect("MM-F03", not again, was=f"{again[:1]} again at {now_ns} ns", expected="nothing more at one instant")

    @case("MM-F04")
    def test_the_pace_of_polling_changes_nothing(self) -> None:
        """MM-F04."""
        expected = rows(batch for _, batches in self._driven(self._virtual()) for batch in batches)
        feed = self._virtual()
        start_ns = feed.next_event_ns
        end_ns = start_ns + round(self.duration_s * 1e9)
        was = []
        for now_ns in [*range(start_ns, end_ns, 137_000_000), end_ns]:
            was += rows(feed.poll(now_ns))
        for number, (one, other) in enumerate(zip(was, expected, strict=False)):
            expect("MM-F04", one == other, was=f"message {number}: {one}", expected=other)
        expect("MM-F04", len(was) == len(expected), was=f"{len(was)} messages", expected=f"{len(expected)} messages")

    @case("MM-F05")
    def test_batches_are_valid(self) -> None:
        """MM-F05."""
        batches = [batch for _, polled in self._driven(self._virtual()) for batch in polled]
        check_batches("MM-F05", batches, markets=len(self.instruments))
        times = [receive_ns for _, _, _, receive_ns, _ in rows(batches)]
        for before, after in pairwise(times):
            expect("MM-F05", before <= after, was=f"{before} then {after} ns", expected="receive order")

    @case("MM-F06")
    def test_books_begin_with_a_snapshot(self) -> None:
        """MM-F06."""
        messages = rows(batch for _, polled in self._driven(self._virtual()) for batch in polled)
        check_anchored("MM-F06", messages)
        seen = {market for market, kind, *_ in messages if kind == MessageKind.SNAPSHOT}
        expected = set(range(len(self.instruments)))
        expect("MM-F06", seen == expected, was=f"snapshots of markets {sorted(seen)}", expected=sorted(expected))

    @case("MM-F07")
    def test_run_ends(self) -> None:
        """MM-F07."""
        is_virtual = type(self).spec.is_virtual

        async def main() -> bool:
            with anyio.move_on_after(_RUN_TIMEOUT_S) as limit:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self.build().run, lambda: None)
                    if not is_virtual:
                        tasks.cancel_scope.cancel()
            return not limit.cancelled_caught

        expected = "to return by itself" if is_virtual else "to end when cancelled"
        expect("MM-F07", anyio.run(main), was=f"still running after {_RUN_TIMEOUT_S} s", expected=expected)

    @case("MM-F08")
    def test_the_same_seed_gives_the_same_market(self) -> None:
        """MM-F08."""
        was, expected = (
            rows(batch for _, polled in self._driven(self._virtual()) for batch in polled) for _ in range(2)
        )
        for number, (one, other) in enumerate(zip(was, expected, strict=False)):
            expect("MM-F08", one == other, was=f"message {number}: {one}", expected=other)
        expect("MM-F08", len(was) == len(expected), was=f"{len(was)} messages", expected=f"{len(expected)} messages")

    @case("MM-F09")
    def test_time_moves_on(self) -> None:
        """MM-F09."""
        feed = self._virtual()
        last_ns = feed.next_event_ns
        for now_ns, _ in self._driven(feed):
            due = feed.next_event_ns
            expect(
                "MM-F09", due > now_ns, was=f"due at {due} after being drained at {now_ns} ns", expected="a later time"
            )
            expect("MM-F09", due >= last_ns, was=f"due at {last_ns}, then at {due} ns", expected="no step back")
            last_ns = due

    @case("MM-F10")
    def test_the_book_is_never_crossed(self) -> None:
        """MM-F10."""
        books = [ReferenceBook() for _ in self.instruments]
        for _, batches in self._driven(self._virtual()):
            for batch in batches:
                for index in range(len(batch)):
                    self._check_uncrossed(books[batch.market], batch, index)

    def _check_uncrossed(self, book: ReferenceBook, batch: MarketBatch, index: int) -> None:
        kind = batch.kinds[index]
        if kind in (MessageKind.TRADE, MessageKind.OFF_BOOK_TRADE):
            return
        if kind != MessageKind.DELTA:
            book.clear()
        book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
        touch = book.touch()
        is_kept = not (touch.bid_lots and touch.ask_lots) or touch.bid_ticks < touch.ask_ticks
        expect("MM-F10", is_kept, was=f"{touch} at {batch.receive_ns[index]} ns", expected="bid < ask")

    def _virtual(self) -> Feed:
        if not type(self).spec.is_virtual:
            pytest.skip("only a virtual feed can be driven without a network")
        feed: Feed = self.build()
        return feed

    def _driven(self, feed: Feed) -> list[tuple[int, list[MarketBatch]]]:
        """Return what the feed yields at each of its instants, driven as the driver does."""
        end_ns = feed.next_event_ns + round(self.duration_s * 1e9)
        driven: list[tuple[int, list[MarketBatch]]] = []
        while (now_ns := feed.next_event_ns) <= end_ns:
            polled: list[MarketBatch] = []
            for _ in range(_POLLS_AT_ONE_INSTANT_MAX):
                polled += feed.poll(now_ns)
                if feed.next_event_ns > now_ns:
                    break
            else:
                fail("MM-F09", was=f"due forever at {now_ns} ns", expected="a later time after being drained")
            driven.append((now_ns, polled))
        return driven

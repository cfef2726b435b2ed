"""Conformance of book models: any stream of messages, compared with the slow and obvious reference book."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, ClassVar

from mmframe.domain.depth import book_hash
from mmframe.domain.market import MarketBatch, MessageKind, Side, Touch
from mmframe.plugin import BookSpec
from mmframe.testing._check import ComponentConformance, case, expect, fail
from mmframe.testing.reference import ReferenceBook
from mmframe.testing.strategies import l2_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mmframe.ports import Book

__all__ = ["BookConformance"]

_BOOK_KINDS = frozenset({int(MessageKind.DELTA), int(MessageKind.SNAPSHOT)})
_DEEP_LEVELS = 2_000
_EMPTY = Touch(0, 0, 0, 0)


class BookConformance(ComponentConformance):
    """Subclass it and set `spec` (a BookSpec), and `options` if it has required ones."""

    spec_class: ClassVar[type[BookSpec]] = BookSpec

    @case("MM-B01")
    def test_the_touch_equals_the_reference(self) -> None:
        """MM-B01."""

        def holds(stream: list[MarketBatch]) -> None:
            self._compare("MM-B01", stream, lambda book: book.touch())

        self.for_all(holds, stream=l2_streams(trades=False))

    @case("MM-B02")
    def test_levels_equal_the_reference(self) -> None:
        """MM-B02."""

        def read(book: Book) -> object:
            return [
                (book.level_count(side), book.levels(side, 0), book.levels(side, 3), book.levels(side, 10_000))
                for side in (Side.BUY, Side.SELL)
            ]

        def holds(stream: list[MarketBatch]) -> None:
            self._compare("MM-B02", stream, read)

        self.for_all(holds, stream=l2_streams(trades=False))

    @case("MM-B03")
    def test_sizes_at_and_through_a_price_equal_the_reference(self) -> None:
        """MM-B03."""

        def read(book: Book) -> object:
            touch = book.touch()
            prices = sorted(
                {touch.bid_ticks + step for step in (-40, -3, -1, 0, 1)}
                | {touch.ask_ticks + step for step in (-1, 0, 1, 40)}
            )
            return [
                (ticks, book.lots_at(side, ticks), book.lots_through(side, ticks))
                for side in (Side.BUY, Side.SELL)
                for ticks in prices
            ]

        def holds(stream: list[MarketBatch]) -> None:
            self._compare("MM-B03", stream, read)

        self.for_all(holds, stream=l2_streams(trades=False))

    @case("MM-B04")
    def test_removing_an_absent_level_changes_nothing(self) -> None:
        """MM-B04."""
        book = self.build()
        _set(book, [(Side.BUY, 100, 5), (Side.SELL, 102, 7)])
        before = _levels(book)

        _set(book, [(Side.BUY, 99, 0), (Side.BUY, 101, 0), (Side.SELL, 101, 0), (Side.SELL, 500, 0)])

        expect("MM-B04", _levels(book) == before, was=_levels(book), expected=before)

    @case("MM-B05")
    def test_an_empty_book_answers_zeros(self) -> None:
        """MM-B05."""
        book = self.build()
        for _ in range(2):
            expect("MM-B05", book.touch() == _EMPTY, was=book.touch(), expected=_EMPTY)
            for side in (Side.BUY, Side.SELL):
                was = (book.levels(side, 5), book.level_count(side), book.lots_at(side, 1), book.lots_through(side, 1))
                expect("MM-B05", was == ([], 0, 0, 0), was=was, expected=([], 0, 0, 0))
            _set(book, [(Side.BUY, 100, 5), (Side.SELL, 102, 7)])
            book.clear()

    @case("MM-B06")
    def test_the_version_counts_messages(self) -> None:
        """MM-B06."""
        book = self.build()
        for changes in ([(Side.BUY, 100, 5)], [], [(Side.BUY, 100, 5)], [(Side.BUY, 100, 0)]):
            before = book.version
            _set(book, changes)
            expect(
                "MM-B06", book.version == before + 1, was=f"{before} -> {book.version} by apply", expected=before + 1
            )
        before = book.version
        book.clear()
        expect("MM-B06", book.version >= before, was=f"{before} -> {book.version} by clear", expected=f">= {before}")

    @case("MM-B07")
    def test_apply_reads_only_its_slice(self) -> None:
        """MM-B07."""
        batch = MarketBatch(0)
        batch.add(MessageKind.DELTA, exchange_ns=1, receive_ns=1, changes=[(0, 90, 1), (1, 110, 1)])
        batch.add(MessageKind.DELTA, exchange_ns=2, receive_ns=2, changes=[(0, 91, 2), (1, 109, 2)])
        batch.add(MessageKind.DELTA, exchange_ns=3, receive_ns=3, changes=[(0, 92, 3), (1, 108, 3)])
        columns = (batch.sides, batch.ticks, batch.lots)
        before = [array(column.typecode, column) for column in columns]
        book = self.build()

        book.apply(*columns, 2, 4)

        was, expected = _levels(book), [[(91, 2)], [(109, 2)]]
        expect("MM-B07", was == expected, was=was, expected=expected)
        expect("MM-B07", list(columns) == before, was="the columns were changed", expected="unchanged columns")

    @case("MM-B08")
    def test_huge_ticks_and_lots_are_exact(self) -> None:
        """MM-B08."""
        huge = 2**53
        book = self.build()
        _set(book, [(Side.BUY, huge - 2, huge - 1), (Side.BUY, huge - 3, huge), (Side.SELL, huge - 1, 1)])

        was = (book.touch(), book.lots_through(Side.BUY, huge - 3))
        expected = (Touch(huge - 2, huge - 1, huge - 1, 1), 2 * huge - 1)

        expect("MM-B08", was == expected, was=was, expected=expected)

    @case("MM-B09")
    def test_returned_levels_belong_to_the_caller(self) -> None:
        """MM-B09."""
        book = self.build()
        _set(book, [(Side.BUY, 100, 5), (Side.BUY, 99, 6)])

        book.levels(Side.BUY, 5).clear()

        levels, expected = book.levels(Side.BUY, 5), [(100, 5), (99, 6)]
        expect("MM-B09", levels == expected, was=levels, expected=expected)

    @case("MM-B10")
    def test_books_are_separate_and_hash_alike(self) -> None:
        """MM-B10."""
        instrument = self.instruments[0]
        one, other, third = self.build(), self.build(), self.build()
        _set(one, [(Side.BUY, 100, 5), (Side.SELL, 102, 7)])
        _set(other, [(Side.SELL, 102, 7)])
        _set(other, [(Side.BUY, 100, 5), (Side.BUY, 98, 1)])
        _set(other, [(Side.BUY, 98, 0)])

        expect("MM-B10", third.touch() == _EMPTY, was=third.touch(), expected="a book nobody wrote to is empty")
        hashes = book_hash(one, instrument), book_hash(other, instrument)
        expect("MM-B10", hashes[0] == hashes[1], was=hashes, expected="one hash for the same levels")

    @case("MM-B11")
    def test_a_deep_book_survives_a_sweep(self) -> None:
        """MM-B11."""
        book, reference = self.build(), ReferenceBook()
        centre, depth = 1_000_000, _DEEP_LEVELS
        rows = [
            (side, centre + step * (1 if side else -1), 1 + step % 7) for step in range(1, depth) for side in (0, 1)
        ]
        rounds: list[list[tuple[int, int, int]]] = [rows]
        for start in range(1, depth - 100, 97):
            # A sweep of one side's best levels, then new levels beyond the far end and a few back at the touch.
            rounds.append([(1, centre + step, 0) for step in range(start, start + 97)])
            rounds.append([(1, centre + depth + start, 3), (0, centre - depth - start, 4), (1, centre + start + 40, 2)])
        for changes in rounds:
            for target in (book, reference):
                _set(target, changes)
            was, expected = _state(book), _state(reference)
            expect("MM-B11", was == expected, was=_difference(was, expected)[0], expected=_difference(was, expected)[1])

    @case("MM-B12")
    def test_a_crossed_book_stays_crossed(self) -> None:
        """MM-B12."""

        def holds(stream: list[MarketBatch]) -> None:
            self._compare("MM-B12", stream, _state)

        self.for_all(holds, stream=l2_streams(trades=False, crossed=True))

    def _compare(self, case_id: str, stream: list[MarketBatch], read: Callable[[Book], object]) -> None:
        book, reference = self.build(), ReferenceBook()
        for number, (batch, index) in enumerate(_messages(stream)):
            for target in (book, reference):
                _play(target, batch, index)
            was, expected = read(book), read(reference)
            if was != expected:
                fail(case_id, was=f"{was!r} after message {number}", expected=expected)


def _messages(stream: list[MarketBatch]) -> Iterator[tuple[MarketBatch, int]]:
    return ((batch, index) for batch in stream for index in range(len(batch)))


def _play(book: Book, batch: MarketBatch, index: int) -> None:
    kind = batch.kinds[index]
    if kind in (MessageKind.SNAPSHOT, MessageKind.GAP):
        book.clear()
    if kind in _BOOK_KINDS:
        book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])


def _set(book: Book, changes: Iterable[tuple[int, int, int]]) -> None:
    batch = MarketBatch(0)
    batch.add(MessageKind.DELTA, exchange_ns=0, receive_ns=0, changes=changes)
    _play(book, batch, 0)


def _levels(book: Book) -> list[list[tuple[int, int]]]:
    return [book.levels(side, book.level_count(side)) for side in (Side.BUY, Side.SELL)]


def _state(book: Book) -> list[object]:
    return [book.touch(), book.level_count(Side.BUY), book.level_count(Side.SELL), *_levels(book)]


def _difference(was: list[object], expected: list[object]) -> tuple[object, object]:
    return next(((one, other) for one, other in zip(was, expected, strict=True) if one != other), (was, expected))

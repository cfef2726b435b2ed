"""Conformance of histories: recorded data in order, anchored, streamed, and errors that say where."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mmframe.domain.market import MessageKind
from mmframe.errors import DataError
from mmframe.plugin import HistorySpec
from mmframe.testing._check import ComponentConformance, case, expect, fail
from mmframe.testing.builders import build_component
from mmframe.testing.conformance._market_data import check_anchored, check_batches, rows

if TYPE_CHECKING:
    from mmframe.domain.market import MarketBatch
    from mmframe.ports import History

__all__ = ["HistoryConformance"]


class HistoryConformance(ComponentConformance):
    """Subclass it and set `spec` (a HistorySpec) and `options` of a small recording.

    Where files are made by a fixture, override `good_options` and `bad_options` instead.

    Attributes:
        batch_messages_max: Most messages of a batch.
    """

    spec_class: ClassVar[type[HistorySpec]] = HistorySpec
    batch_messages_max: ClassVar[int] = 65_536

    @pytest.fixture
    def good_options(self) -> Any:
        """Return the options of a readable recording; by default `options`."""
        return type(self).options

    @pytest.fixture
    def bad_options(self) -> tuple[Any, str, int] | None:
        """Return options of a recording with a bad row, and the file name and line that the error must name."""
        return None

    def open(self, options: Any) -> History:
        """Return a new history of `options`."""
        history: History = build_component(
            type(self).spec, options, instruments=self.instruments, mode=self.mode, directory=self.directory
        )
        return history

    @case("MM-H01")
    def test_batches_are_valid(self, good_options: Any) -> None:
        """MM-H01."""
        check_batches("MM-H01", self._batches(good_options), markets=len(self.instruments))

    @case("MM-H02")
    def test_receive_time_never_goes_back(self, good_options: Any) -> None:
        """MM-H02."""
        times = [receive_ns for _, _, _, receive_ns, _ in rows(self._batches(good_options))]
        for before, after in pairwise(times):
            expect("MM-H02", before <= after, was=f"{before} then {after} ns", expected="no step back")

    @case("MM-H03")
    def test_it_can_be_read_again(self, good_options: Any) -> None:
        """MM-H03."""
        history = self.open(good_options)
        first, second = rows(history.batches()), rows(history.batches())
        expect("MM-H03", first == second, was=f"{len(first)} then {len(second)} messages", expected="the same twice")

    @case("MM-H04")
    def test_books_begin_with_a_snapshot(self, good_options: Any) -> None:
        """MM-H04."""
        check_anchored("MM-H04", rows(self._batches(good_options)))

    @case("MM-H05")
    def test_a_bad_row_is_an_error_with_file_and_line(self, bad_options: tuple[Any, str, int] | None) -> None:
        """MM-H05."""
        if bad_options is None:
            pytest.skip("MM-H05 needs a bad recording: override the fixture bad_options")
        options, file_name, line = bad_options
        try:
            count = sum(len(batch) for batch in self.open(options).batches())
        except DataError as error:
            was = f"{error.file}:{error.line}"
            expect("MM-H05", was.endswith(f"{file_name}:{line}"), was=was, expected=f"{file_name}:{line}")
        else:
            fail("MM-H05", was=f"{count} messages and no error", expected=f"a DataError at {file_name}:{line}")

    @case("MM-H06")
    def test_batches_are_bounded(self, good_options: Any) -> None:
        """MM-H06."""
        for batch in self._batches(good_options):
            expect(
                "MM-H06",
                len(batch) <= self.batch_messages_max,
                was=f"{len(batch)} messages",
                expected=f"at most {self.batch_messages_max}",
            )

    @case("MM-H07")
    def test_prices_and_sizes_are_plausible(self, good_options: Any) -> None:
        """MM-H07."""
        for number, (_, kind, _, _, changes) in enumerate(rows(self._batches(good_options))):
            if kind == MessageKind.GAP:
                expect("MM-H07", not changes, was=f"message {number}, a GAP with {changes}", expected="no changes")
            for _, ticks, lots in changes:
                is_kept = ticks > 0 and (lots > 0 or (lots == 0 and kind == MessageKind.DELTA))
                was = f"message {number}, {MessageKind(kind).name}: {ticks} ticks, {lots} lots"
                expect("MM-H07", is_kept, was=was, expected="above 0, or 0 lots in a DELTA")

    @case("MM-H08")
    def test_it_is_not_empty(self, good_options: Any) -> None:
        """MM-H08."""
        count = sum(len(batch) for batch in self._batches(good_options))
        expect("MM-H08", count > 0, was="no message", expected="at least one")

    def _batches(self, options: Any) -> list[MarketBatch]:
        return list(self.open(options).batches())

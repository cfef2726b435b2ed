"""The history `csv`: recorded files as one stream of market batches."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mmframe.errors import DataError, DomainError
from mmframe_tardis.lines import LineFile
from mmframe_tardis.merge import Stream, merge
from mmframe_tardis.symbols import SymbolMap
from mmframe_tardis.tables import ReadCounts, Table, open_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mmframe.domain.market import MarketBatch
    from mmframe.plugin import BuildContext
    from mmframe_tardis.options import CsvOptions

__all__ = ["CsvHistory"]

_WILDCARDS = frozenset("*?[")


class CsvHistory:
    """Recorded market data from CSV files.

    Files are opened when it is made, so that a check finds what is missing or of an unknown kind; rows are read while
    `batches` is walked, some thousand at a time.

    Raises:
        DomainError: If a path names no file or one twice, or `symbols` cannot be read.
        DataError: If a file is of no kind that can be read, or files of different kinds would both make a book.
    """

    def __init__(self, options: CsvOptions, context: BuildContext) -> None:
        self._instruments = context.instruments
        self._logger = context.logger
        self._entries = options.symbols
        self._skips_bad = options.on_bad_row == "skip"
        SymbolMap(self._instruments, self._entries)
        self._files = [LineFile(path, name) for path, name in _expand(options.paths, context.directory)]
        self._tables = [table for table in map(open_table, self._files) if table is not None]
        _check_one_book_kind(self._tables)
        self._rewind()

    @property
    def counts(self) -> Mapping[str, ReadCounts]:
        """Return what became of the rows of each file that is not empty, in the current reading."""
        return {table.file.name: table.counts for table in self._tables}

    def progress(self) -> float:
        """Return how much of the files has been read, from 0.0 to 1.0."""
        total = sum(file.size_bytes for file in self._files)
        return sum(file.bytes_read for file in self._files) / total if total else 1.0

    def batches(self) -> Iterator[MarketBatch]:
        """Yield batches in receive order from the start; see `mmframe.ports.History`.

        Raises:
            DataError: If a row cannot be read and is not to be skipped, local_timestamp goes back, a file is cut off,
                has no row of a market of the strategy, or overlaps in time with another.
        """
        self._rewind()
        # Made anew: it remembers which exchange a market's rows came from.
        symbols = SymbolMap(self._instruments, self._entries)
        streams = [
            Stream(
                table.file.name,
                table.kind.is_book,
                table.batches(symbols, self._instruments, skips_bad=self._skips_bad),
            )
            for table in self._tables
        ]
        yield from merge(streams)
        self._report()

    def _rewind(self) -> None:
        for file in self._files:
            file.bytes_read = 0

    def _report(self) -> None:
        for table in self._tables:
            counts = table.counts
            fields = {
                "file": table.file.name,
                "rows": counts.rows,
                "bad_rows": counts.bad_rows,
                "foreign_rows": counts.foreign_rows,
                "rows_before_snapshot": counts.rows_before_snapshot,
                "gaps": counts.gaps,
                "damage": table.file.damage,
            }
            log = self._logger.warning if counts.bad_rows else self._logger.info
            log("history_read", extra=fields)


def _expand(paths: Sequence[Path], directory: Path) -> list[tuple[Path, str]]:
    """Return the files that `paths` name, with their names for messages, in order."""
    found: list[tuple[Path, str]] = []
    for path in paths:
        matches = _matches(directory / path)
        if not matches:
            msg = f"paths: no file {_name(directory / path, directory)!r} beside the strategy file"
            raise DomainError(msg, hint="the first day of each month is free: see docs/how-to/replay-recorded-data.md")
        found += [(file, _name(file, directory)) for file in matches]
    if not found:
        msg = "paths: expected at least one file, was none"
        raise DomainError(msg)
    names = [file.resolve() for file, _ in found]
    for (_, name), file in zip(found, names, strict=True):
        if names.count(file) > 1:
            msg = f"paths: {name!r} is named twice"
            raise DomainError(msg, hint="its rows would count twice")
    return found


def _matches(path: Path) -> list[Path]:
    if _WILDCARDS.intersection(path.name):
        return sorted(file for file in path.parent.glob(path.name) if file.is_file())
    return [path] if path.is_file() else []


def _name(file: Path, directory: Path) -> str:
    """Return the path as the strategy file would write it, for messages."""
    return os.path.relpath(file, directory)


def _check_one_book_kind(tables: Sequence[Table]) -> None:
    books = [table for table in tables if table.kind.is_book]
    for table in books:
        if table.kind is not books[0].kind:
            msg = f"its {table.kind.value} and the {books[0].kind.value} of {books[0].file.name} both make the book"
            hint = "keep one kind; incremental_book_L2 is the most exact"
            raise DataError(msg, file=table.file.name, hint=hint)

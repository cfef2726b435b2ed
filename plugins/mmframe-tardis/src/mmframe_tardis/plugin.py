"""The plugin `tardis`: hands over the history `csv`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import HistorySpec, hookimpl
from mmframe_tardis.options import CsvOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.plugin import BuildContext
    from mmframe_tardis.history import CsvHistory

__all__ = ["HISTORIES", "MMFRAME_API"]

MMFRAME_API = 1

_DESCRIPTION = """\
Reads `incremental_book_L2`, `trades`, `book_snapshot_5`, `book_snapshot_25` and `quotes` files, told apart by their
header, and merges them by `local_timestamp`; at equal times the order of `paths` decides. Rows with the same
`local_timestamp` are one message. Rows before a file's first snapshot are skipped. A snapshot after changes, and the
start of a later file of the same market, is preceded by a GAP: the recorder may have been away. Times are microseconds
in the files and nanoseconds in the engine.

Source: the vendor's documentation of its CSV files and order book reconstruction.
"""


def _build(options: CsvOptions, context: BuildContext) -> CsvHistory:
    from mmframe_tardis.history import CsvHistory  # noqa: PLC0415 - asking for the spec reads no file code

    return CsvHistory(options, context)


HISTORIES = (
    HistorySpec(
        name="csv",
        summary="Order books, trades and quotes from Tardis.dev CSV files.",
        description=_DESCRIPTION,
        build=_build,
        options=CsvOptions,
    ),
)


@hookimpl
def mmframe_register_histories() -> Iterable[HistorySpec]:
    """Return the plugin's histories."""
    return HISTORIES

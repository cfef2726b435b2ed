"""The plugin `binance`: hands over the history `capture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import HistorySpec, hookimpl
from mmframe_binance.options import CaptureOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.plugin import BuildContext
    from mmframe_binance.capture import CaptureHistory

__all__ = ["HISTORIES", "MMFRAME_API"]

MMFRAME_API = 1

_DESCRIPTION = """\
Reads files of raw frames, one a line: `<receive time> <frame>`, with the time in milliseconds, microseconds or
nanoseconds. Frames are those of combined streams (`depth`, `trade`, `aggTrade`, `bookTicker`) and the bodies of depth
snapshots at the line where they arrived. Snapshot and diffs are joined by the product's own rule: diffs before the
first snapshot wait for it, a gap voids the book (GAP) until the next snapshot. Trades that never met the book (futures,
insurance fund) are marked and fill nothing. A bare snapshot names no symbol: it belongs to the symbol of its file.

Source: the exchange's documentation of market streams and of managing a local order book.
"""


def _build(options: CaptureOptions, context: BuildContext) -> CaptureHistory:
    from mmframe_binance.capture import CaptureHistory  # noqa: PLC0415 - asking for the spec reads no file code

    return CaptureHistory(options, context)


HISTORIES = (
    HistorySpec(
        name="capture",
        summary="Raw frames of spot or USDⓈ-M market streams, sequence-checked message by message.",
        description=_DESCRIPTION,
        build=_build,
        options=CaptureOptions,
    ),
)


@hookimpl
def mmframe_register_histories() -> Iterable[HistorySpec]:
    """Return the plugin's histories."""
    return HISTORIES

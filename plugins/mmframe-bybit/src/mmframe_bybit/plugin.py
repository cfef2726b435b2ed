"""The plugin `bybit`: hands over the history `capture`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import HistorySpec, hookimpl
from mmframe_bybit.options import CaptureOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.plugin import BuildContext
    from mmframe_bybit.capture import CaptureHistory

__all__ = ["HISTORIES", "MMFRAME_API"]

MMFRAME_API = 1

_DESCRIPTION = """\
Reads files of raw v5 frames, one a line: `<receive time> <frame>`, with the time in milliseconds, microseconds or
nanoseconds; or history downloads, one frame a line, which hold no receive time: there the gateway's `ts` stands for it,
as if nothing had taken time on the way. Frames are those of `orderbook` (depth 1, 50, 200, 500, 1000) and
`publicTrade`; others are passed over. A snapshot replaces the book, a delta must carry the next `u`; a gap or a crossed
book voids it (GAP) until the next snapshot. Block trades are marked and fill nothing. Files are merged by receive time.

Source: the exchange's v5 documentation of public websocket topics.
"""


def _build(options: CaptureOptions, context: BuildContext) -> CaptureHistory:
    from mmframe_bybit.capture import CaptureHistory  # noqa: PLC0415 - asking for the spec reads no file code

    return CaptureHistory(options, context)


HISTORIES = (
    HistorySpec(
        name="capture",
        summary="Raw frames of v5 spot or linear market streams, sequence-checked message by message.",
        description=_DESCRIPTION,
        build=_build,
        options=CaptureOptions,
    ),
)


@hookimpl
def mmframe_register_histories() -> Iterable[HistorySpec]:
    """Return the plugin's histories."""
    return HISTORIES

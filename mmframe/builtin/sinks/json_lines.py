"""The sink `jsonl`: everything that happens as one JSON object a line, for `tail -f`, `jq` and notebooks.

It is no journal: nothing waits for it, nothing is read back from it, and when it cannot be written the run goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import msgspec

from mmframe.errors import UsageError
from mmframe.plugin import BuildContext, SinkSpec, option

if TYPE_CHECKING:
    import logging
    from typing import BinaryIO

    from mmframe.domain.orders import Action, Fill, OrderUpdate
    from mmframe.domain.records import AdviceUpdate, LimitRecord, QuoteDecision

__all__ = ["JSONL", "JsonLinesOptions", "JsonLinesSink"]

_BUFFER_BYTES = 1 << 16


@attrs.frozen
class JsonLinesOptions:
    """Options of `jsonl`."""

    path: Path = option(
        help="File to append to, relative to the strategy file; made with its folders when missing.",
        example="records.jsonl",
    )
    decisions: bool = option(help="Write every decision with its stages; the largest part of the file.", default=True)
    flush: str = option(
        help=(
            "When lines reach the file: `line` at once, so that they can be followed and outlive the process; "
            "`buffered` every 64 KiB and at the end, which is faster."
        ),
        default="line",
        choices=("line", "buffered"),
    )


class JsonLinesSink:
    """Writes records as JSON lines; opens the file with the first one.

    A file that cannot be written stops the sink, not the run: the failure is logged once, and at the end how many
    records came after it.

    Args:
        path: File to append to.
        header: Written as the first line of this run.
        wants_decisions: Write decisions too.
        flushes_lines: Hand each line to the system at once.
        logger: Told of a failure.
    """

    def __init__(
        self,
        path: Path,
        *,
        header: dict[str, Any],
        wants_decisions: bool,
        flushes_lines: bool,
        logger: logging.Logger,
    ) -> None:
        self.path = path
        self.wants_decisions = wants_decisions
        self.missing_count = 0
        self._header = header
        self._flushes_lines = flushes_lines
        self._logger = logger
        self._encode = msgspec.json.Encoder().encode
        self._file: BinaryIO | None = None

    def on_decision(self, decision: QuoteDecision) -> None:
        """Write one decision."""
        if self.wants_decisions:
            self._write(decision)

    def on_action(self, action: Action, now_ns: int) -> None:
        """Write one action that the gate approved, with the time at which it was sent."""
        self._write({"type": "action", "now_ns": now_ns, "action": action})

    def on_order_update(self, update: OrderUpdate) -> None:
        """Write what the venue said of an order."""
        self._write(update)

    def on_fill(self, fill: Fill) -> None:
        """Write one execution."""
        self._write(fill)

    def on_advice(self, update: AdviceUpdate) -> None:
        """Write advice that came into force, its fields by name."""
        fields = {**msgspec.structs.asdict(update), "advice": update.advice._asdict()}
        self._write({"type": "advice", **fields})

    def on_limit(self, limit: LimitRecord) -> None:
        """Write that a limit began to bind, or how long it did."""
        self._write(limit)

    def close(self) -> None:
        """Write what is buffered and close the file."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._fail(error)
        if self.missing_count:
            self._logger.error("sink_incomplete", extra={"path": str(self.path), "missing_count": self.missing_count})

    def _write(self, record: Any) -> None:
        if self.missing_count:
            # A line may have been cut short; another one behind it would be read as its rest.
            self.missing_count += 1
            return
        try:
            if self._file is None:
                self._file = self._opened()
            self._file.write(self._encode(record) + b"\n")
            if self._flushes_lines:
                self._file.flush()
        except OSError as error:
            self._fail(error)

    def _opened(self) -> BinaryIO:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab", buffering=_BUFFER_BYTES)
        file.write(self._encode(self._header) + b"\n")
        return file

    def _fail(self, error: OSError) -> None:
        if not self.missing_count:
            self._logger.error("sink_failed", extra={"path": str(self.path), "cause": error.strerror})
        self.missing_count += 1


def _build(options: JsonLinesOptions, context: BuildContext) -> JsonLinesSink:
    path = context.directory / options.path
    if path.is_dir():
        msg = f"sink 'jsonl': path: expected a file, was the folder {str(path)!r}"
        raise UsageError(msg, hint="name a file in it")
    return JsonLinesSink(
        path,
        header=_header(context),
        wants_decisions=options.decisions,
        flushes_lines=options.flush == "line",
        logger=context.logger,
    )


def _header(context: BuildContext) -> dict[str, Any]:
    """Return the first line: without the grid, the ticks and lots behind it would mean nothing."""
    return {
        "type": "run",
        "mode": context.mode.value,
        "instruments": [
            {"symbol": instrument.symbol, "tick_size": instrument.tick_size, "lot_size": instrument.lot_size}
            for instrument in context.instruments
        ],
    }


JSONL = SinkSpec(
    name="jsonl",
    summary="Decisions, requests, order updates, fills, limits and advice as JSON lines.",
    description=(
        "One JSON object a line with a `type`: `run` (first line of a run: mode and the grid of each market), "
        "`decision`, `action`, `order_update`, `fill`, `limit`, `advice`. Prices are ticks, sizes lots, times "
        "nanoseconds UTC, money decimal text; NaN and infinity are null. An existing file is appended to."
    ),
    options=JsonLinesOptions,
    build=_build,
)

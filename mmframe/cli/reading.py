"""How far a recording has been read: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmframe.cli.status import stderr_is_terminal
from mmframe.cli.text import count, wall_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmframe.domain.market import MarketBatch
    from mmframe.ports import History

__all__ = ["WatchedHistory", "reading"]


class WatchedHistory:
    """A history that tells of each batch before it hands it on.

    Args:
        history: The recording.
        on_batch: Gets each batch; called in the middle of the reading.

    Attributes:
        messages: Messages handed on so far, of all markets.
        spans_ns: First and last time of receipt so far, by market.
    """

    def __init__(self, history: History, on_batch: Callable[[MarketBatch], None] | None = None) -> None:
        self._history = history
        self._on_batch = on_batch
        self.messages = 0
        self.spans_ns: dict[int, tuple[int, int]] = {}

    @property
    def fraction(self) -> float | None:
        """Return how much has been read, 0 to 1; None when nobody can know."""
        progress = getattr(self._history, "progress", None)
        return float(progress()) if callable(progress) else None

    def batches(self) -> Iterator[MarketBatch]:
        """Yield the batches of the history."""
        for batch in self._history.batches():
            self.messages += len(batch)
            if len(batch):
                first_ns, _ = self.spans_ns.get(batch.market, (batch.receive_ns[0], 0))
                self.spans_ns[batch.market] = first_ns, batch.receive_ns[-1]
            if self._on_batch is not None:
                self._on_batch(batch)
            yield batch


@contextmanager
def reading(history: History, title: str, *, is_quiet: bool = False) -> Iterator[WatchedHistory]:
    """Show on stderr how far a history has been read, while it is read; only on a terminal.

    Args:
        history: The recording.
        title: What is done with it.
        is_quiet: Show nothing.
    """
    if is_quiet or not stderr_is_terminal():
        yield WatchedHistory(history)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[seen]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=1.0 if callable(getattr(history, "progress", None)) else None, seen="")

        def show(batch: MarketBatch) -> None:
            at = f", {wall_time(batch.receive_ns[-1])}" if len(batch) else ""
            seen = f"{count(watched.messages)} messages{at}"
            progress.update(task, completed=watched.fraction or 0.0, seen=seen)

        watched = WatchedHistory(history, show)
        yield watched

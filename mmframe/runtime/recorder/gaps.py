"""Where books are void in a recording: what the feed's batches show, with the reasons that its notes give."""

from __future__ import annotations

import threading

import attrs

from mmframe.runtime.recorder.manifest import GAPS_MAX, Gap

__all__ = ["GapLog"]

_BROKEN_SEQUENCE = "the feed found that messages were missing or cannot be right"


@attrs.define
class _Entry:
    """One gap as far as it is known."""

    market: str | None
    from_ns: int
    to_ns: int | None = None
    reason: str = _BROKEN_SEQUENCE
    frames: int = 0
    bytes: int = 0


class GapLog:
    """The gaps of one recording. Told by two threads: the one that drives the feed, and the one that writes.

    The same gap is known by its market and time, whoever tells of it first. Beyond `GAPS_MAX` gaps are counted only.

    Attributes:
        count: How many there are.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[str | None, int], _Entry] = {}
        self._open: dict[str, _Entry] = {}
        # Reasons of what may turn out to be a gap, as the end of one of two connections.
        self._reasons: dict[tuple[str | None, int], str] = {}
        self.count = 0

    def on_void(self, market: str, at_ns: int) -> None:
        """Note that a book became void; one that was void already ends that gap with this one."""
        with self._lock:
            entry = self._entry(market, at_ns)
            entry.reason = self._reasons.pop((market, at_ns), entry.reason)
            before = self._open.get(market, entry)
            if before is not entry:
                before.to_ns = at_ns
            self._open[market] = entry

    def on_whole(self, market: str, at_ns: int) -> None:
        """Note that a book is whole again."""
        with self._lock:
            entry = self._open.pop(market, None)
            if entry is not None:
                entry.to_ns = at_ns

    def explain(self, market: str | None, at_ns: int, reason: str, *, is_gap: bool) -> None:
        """Give the reason of what happens at a time; if `is_gap`, it is a gap in any case."""
        with self._lock:
            if is_gap or (market, at_ns) in self._entries:
                self._entry(market, at_ns).reason = reason
            elif len(self._reasons) < GAPS_MAX:
                self._reasons[market, at_ns] = reason

    def on_dropped(self, market: str | None, from_ns: int, to_ns: int, *, frames: int, size_bytes: int) -> None:
        """Note frames that the recorder itself could not take."""
        with self._lock:
            entry = self._entry(market, from_ns)
            entry.reason, entry.to_ns = "the recorder could not keep up", to_ns
            entry.frames += frames
            entry.bytes += size_bytes

    def gaps(self) -> tuple[Gap, ...]:
        """Return the gaps by time."""
        with self._lock:
            entries = sorted(self._entries.values(), key=lambda entry: entry.from_ns)
            return tuple(Gap(*attrs.astuple(entry)) for entry in entries)

    def _entry(self, market: str | None, at_ns: int) -> _Entry:
        entry = self._entries.get((market, at_ns))
        if entry is None:
            self.count += 1
            entry = _Entry(market, at_ns)
            if len(self._entries) < GAPS_MAX:
                self._entries[market, at_ns] = entry
        return entry

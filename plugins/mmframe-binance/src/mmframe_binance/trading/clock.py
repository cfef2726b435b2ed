"""The difference between our clock and the exchange's. Pure: who asks the exchange is somebody else."""

from __future__ import annotations

__all__ = ["ClockOffset"]

_MS_NS = 1_000_000


class ClockOffset:
    """What is to be added to our time to get the exchange's.

    An answer says the exchange's time at some moment between question and answer: half-way is off by at most half of
    the round trip. Of several measurements the one with the shortest round trip is believed.
    """

    __slots__ = ("_offset_ns", "_round_trip_ns")

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._round_trip_ns = 0

    @property
    def is_known(self) -> bool:
        """Tell whether there was a measurement."""
        return self._offset_ns is not None

    @property
    def offset_ms(self) -> float:
        """Return by how much the exchange is ahead of us; 0 before the first measurement."""
        return (self._offset_ns or 0) / _MS_NS

    @property
    def round_trip_ms(self) -> float:
        """Return how long the believed question and answer took; the offset is good to half of it."""
        return self._round_trip_ns / _MS_NS

    def measured(self, asked_ns: int, server_ms: int, answered_ns: int, *, is_first: bool) -> None:
        """Take one measurement.

        Args:
            asked_ns: When the question left, our clock.
            server_ms: What the exchange said.
            answered_ns: When the answer came, our clock.
            is_first: It begins a new round; of those that follow only a shorter round trip changes anything.
        """
        round_trip_ns = max(0, answered_ns - asked_ns)
        if is_first or self._offset_ns is None or round_trip_ns < self._round_trip_ns:
            self._offset_ns = server_ms * _MS_NS - (asked_ns + answered_ns) // 2
            self._round_trip_ns = round_trip_ns

    def timestamp_ms(self, now_ns: int) -> int:
        """Return the exchange's time at our `now_ns`, as requests carry it."""
        return (now_ns + (self._offset_ns or 0)) // _MS_NS

"""Clocks: the machine's, and one that a driver moves."""

from __future__ import annotations

import time

__all__ = ["SystemClock", "VirtualClock"]


class SystemClock:
    """The machine's clock, UTC, which never goes back.

    When the machine's time is set back, this one goes on from where it was, ahead by what the machine lost: nothing
    would be due, and orders would rest untouched, until the machine had made up for it.
    """

    __slots__ = ("_ahead_ns", "_latest_ns")

    def __init__(self) -> None:
        self._ahead_ns = 0
        self._latest_ns = 0

    def now_ns(self) -> int:
        """Return nanoseconds UTC."""
        now_ns = time.time_ns() + self._ahead_ns
        if now_ns < self._latest_ns:
            self._ahead_ns += self._latest_ns - now_ns
            now_ns = self._latest_ns
        self._latest_ns = now_ns
        return now_ns


class VirtualClock:
    """A clock that stands still until its driver moves it.

    Attributes:
        time_ns: The current time; never goes back.
    """

    __slots__ = ("time_ns",)

    def __init__(self, start_ns: int = 0) -> None:
        self.time_ns = start_ns

    def now_ns(self) -> int:
        """Return nanoseconds UTC."""
        return self.time_ns

    def advance_to(self, now_ns: int) -> None:
        """Move to `now_ns`; an earlier time is ignored."""
        self.time_ns = max(self.time_ns, now_ns)

"""Clocks: the machine's, and one that a driver moves."""

from __future__ import annotations

import time

__all__ = ["SystemClock", "VirtualClock"]


class SystemClock:
    """The machine's clock, UTC."""

    def now_ns(self) -> int:
        """Return nanoseconds UTC."""
        return time.time_ns()


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

"""A clock that a test moves by hand."""

from __future__ import annotations

from mmframe.errors import DomainError

__all__ = ["START_NS", "ManualClock"]

START_NS = 1_700_000_000_000_000_000
"""Where the kit's time begins: 2023-11-14 22:13:20 UTC. Any fixed instant would do; a real one prints well."""


class ManualClock:
    """Time that stands still until a test moves it; satisfies `mmframe.ports.Clock`.

    Args:
        start_ns: First reading, nanoseconds UTC.
    """

    __slots__ = ("_now_ns",)

    def __init__(self, start_ns: int = START_NS) -> None:
        self._now_ns = start_ns

    def __repr__(self) -> str:
        return f"ManualClock({self._now_ns})"

    def now_ns(self) -> int:
        """Return nanoseconds UTC."""
        return self._now_ns

    def advance(self, *, s: float = 0, ms: float = 0, ns: int = 0) -> int:
        """Move time forward by the sum of the arguments and return the new reading.

        Raises:
            DomainError: If the sum is negative.
        """
        return self.advance_to(self._now_ns + round(s * 1_000_000_000) + round(ms * 1_000_000) + ns)

    def advance_to(self, now_ns: int) -> int:
        """Move time forward to `now_ns` and return it.

        Raises:
            DomainError: If `now_ns` lies in the past: a clock that goes back hides the bug that a test looks for.
        """
        if now_ns < self._now_ns:
            msg = f"clock: expected a time at or after {self._now_ns}, was {now_ns}"
            raise DomainError(msg)
        self._now_ns = now_ns
        return now_ns

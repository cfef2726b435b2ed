"""How long to wait before the next attempt: exponential, full jitter, capped. Pure: it neither waits nor reads time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from random import Random

__all__ = ["Backoff"]


class Backoff:
    """Delays between attempts.

    Each delay is drawn evenly from zero up to a ceiling that doubles from `base_s` to `cap_s`: clients that lost the
    same server come back spread out. A connection that lived for `stable_after_s` starts the ceiling over; one that is
    accepted and cut at once does not.

    Args:
        randomness: Source of the jitter; handed in, so that a run can be repeated.
        base_s: First ceiling, > 0.
        cap_s: Highest ceiling, >= `base_s`.
        stable_after_s: Life of a connection after which it counts as good, >= 0.

    Raises:
        DomainError: If a duration is out of its range.

    Source: M. Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015), full jitter.
    """

    __slots__ = ("_base_s", "_cap_s", "_ceiling_s", "_opened_ns", "_randomness", "_stable_after_ns", "attempts")

    def __init__(
        self, randomness: Random, *, base_s: float = 0.5, cap_s: float = 30.0, stable_after_s: float = 60.0
    ) -> None:
        if not (0 < base_s <= cap_s < math.inf and 0 <= stable_after_s < math.inf):
            msg = (
                "backoff: expected 0 < base_s <= cap_s and stable_after_s >= 0,"
                f" was base_s={base_s!r}, cap_s={cap_s!r}, stable_after_s={stable_after_s!r}"
            )
            raise DomainError(msg)
        self._randomness = randomness
        self._base_s = base_s
        self._cap_s = cap_s
        self._stable_after_ns = round(stable_after_s * 1e9)
        self._ceiling_s = base_s
        self._opened_ns: int | None = None
        self.attempts = 0
        """Delays handed out since the last stable connection."""

    @property
    def ceiling_s(self) -> float:
        """Return the longest delay that `next_delay_s` can give now."""
        return self._ceiling_s

    def next_delay_s(self) -> float:
        """Return how long to wait before the next attempt and raise the ceiling for the one after it."""
        delay_s = self._randomness.random() * self._ceiling_s
        self._ceiling_s = min(self._cap_s, self._ceiling_s * 2)
        self.attempts += 1
        return delay_s

    def on_opened(self, now_ns: int) -> None:
        """Take note that a connection came up."""
        self._opened_ns = now_ns

    def on_lost(self, now_ns: int) -> None:
        """Take note that it was lost; start over if it had been stable. Without a connection, do nothing."""
        if self._opened_ns is not None and now_ns - self._opened_ns >= self._stable_after_ns:
            self._ceiling_s = self._base_s
            self.attempts = 0
        self._opened_ns = None

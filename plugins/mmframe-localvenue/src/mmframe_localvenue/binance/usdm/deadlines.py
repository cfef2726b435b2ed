"""Things that happen at a time of the venue's clock unless somebody puts it off: expiring keys, dead-man switches."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mmframe_localvenue.core import VenueClock

__all__ = ["Deadlines"]


class Deadlines:
    """All of them.

    Args:
        clock: The venue's.
    """

    def __init__(self, clock: VenueClock) -> None:
        self._clock = clock
        self._due: dict[Hashable, tuple[int, Callable[[], None]]] = {}
        self._changed = anyio.Event()

    def set(self, key: Hashable, at_ns: int, act: Callable[[], None]) -> None:
        """Let `act` happen at `at_ns`, in place of what the key stood for before."""
        self._due[key] = (at_ns, act)
        self._changed.set()

    def clear(self, key: Hashable) -> None:
        """Let nothing happen for the key."""
        self._due.pop(key, None)

    def run_due(self) -> None:
        """Do what is due, the earliest first."""
        now_ns = self._clock.now_ns()
        for key, (at_ns, act) in sorted(self._due.items(), key=lambda item: item[1][0]):
            if at_ns > now_ns:
                return
            # An act may have cleared or put off a later one.
            if self._due.get(key, (0, None))[1] is act:
                del self._due[key]
                act()

    async def run(self) -> None:
        """Do each in its time, until cancelled."""
        while True:
            self._changed = anyio.Event()
            self.run_due()
            if not self._due:
                await self._changed.wait()
                continue
            wait_ns = min(at_ns for at_ns, _ in self._due.values()) - self._clock.now_ns()
            with contextlib.suppress(TimeoutError):
                await self._clock.timing.within(wait_ns / 1e9, self._changed.wait)

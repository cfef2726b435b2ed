"""Clock and sleep in one value, so that whoever waits can be made to wait on a test's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mmframe.ports import Clock

__all__ = ["Timing"]

_Result = TypeVar("_Result")


class Timing:
    """What time it is, and how to wait.

    Args:
        clock: Where the time comes from.
        sleep: Waits for a number of seconds; `anyio.sleep` outside of tests.
    """

    __slots__ = ("_clock", "_sleep")

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep

    def now_ns(self) -> int:
        """Return nanoseconds UTC."""
        return self._clock.now_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; zero or less only lets others run."""
        await self._sleep(max(0.0, seconds))

    async def within(self, seconds: float, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Return what `work` returns, if it does so within `seconds`; else cancel it.

        Raises:
            TimeoutError: If the time is up first. What `work` raises passes unchanged, in no group.
        """
        results: list[_Result] = []
        failures: list[Exception] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_after, seconds, tasks.cancel_scope)
            try:
                results.append(await work())
            except Exception as error:  # noqa: BLE001 - raised again below, outside of the group
                failures.append(error)
            tasks.cancel_scope.cancel()
        if failures:
            raise failures[0]
        if not results:
            msg = f"no result within {seconds:g} s"
            raise TimeoutError(msg)
        return results[0]

    async def _cancel_after(self, seconds: float, scope: anyio.CancelScope) -> None:
        await self.sleep(seconds)
        scope.cancel()

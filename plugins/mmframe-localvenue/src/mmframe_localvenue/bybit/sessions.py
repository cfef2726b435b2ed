"""What the three kinds of socket have in common: a connection id, the idle limit, a loop over JSON objects."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from mmframe_localvenue.bybit.rest import object_of
from mmframe_localvenue.core import Heartbeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mmframe_localvenue.core import Connection, VenueClock

__all__ = ["NO_PINGS", "Session"]

NO_PINGS = Heartbeat(ping_s=None)
"""The exchange sends no pings; the client does."""
_IDLE_S = 600
_IDLE_MIN_S, _IDLE_MAX_S = 30, 600
_SCAN_S = 30
_NS = 1_000_000_000
_DURATION = re.compile(r"([0-9]{1,3})([sm])")


class Session:
    """One socket.

    Args:
        connection: The websocket.
        clock: The venue's.
    """

    def __init__(self, connection: Connection, clock: VenueClock) -> None:
        self.connection = connection
        self.connection_id = uuid.uuid4().hex[:20]
        self._clock = clock
        self._active_ns = clock.now_ns()
        self._idle_ns = _idle_s(connection.query.get("max_active_time", "")) * _NS

    def say(self, message: dict[str, Any]) -> None:
        """Send an answer."""
        self.connection.send(msgspec.json.encode(message).decode())

    def touch(self) -> None:
        """Note a ping or news: the connection is in use."""
        self._active_ns = self._clock.now_ns()

    async def serve(self, on_object: Callable[[dict[str, Any] | None], Awaitable[None]]) -> None:
        """Hand each message to `on_object` (None for what is no JSON object) until the connection is over."""

        async def on_text(text: str) -> None:
            await on_object(object_of(text))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            await self.connection.serve(on_text)
            tasks.cancel_scope.cancel()

    async def _watch(self) -> None:
        """Close the connection when nothing went over it for too long; looked at every 30 s, as the exchange does."""
        while True:
            await self._clock.timing.sleep(_SCAN_S)
            if self._clock.now_ns() - self._active_ns > self._idle_ns:
                self.connection.close_soon()


def _idle_s(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None:
        return _IDLE_S
    seconds = int(found[1]) * (60 if found[2] == "m" else 1)
    return min(max(seconds, _IDLE_MIN_S), _IDLE_MAX_S)

"""What a websocket session tells its owner, and the bounded queue in which it waits. Synchronous, without I/O."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import attrs

__all__ = ["Connected", "Disconnected", "Event", "EventQueue", "Frame", "Overflow", "Retired"]


class Frame(NamedTuple):
    """One message.

    Attributes:
        data: Its bytes; text is not decoded.
        receive_ns: When it was read, nanoseconds UTC.
        generation: Of the connection that it came on.
    """

    data: bytes
    receive_ns: int
    generation: int


@attrs.frozen
class Connected:
    """A connection opened and the subscriptions are on their way; its frames follow.

    While a connection renews itself two are open, and frames of both generations arrive interleaved. The owner skips
    what it has seen, by the venue's own numbers, or moves over to the newer one.

    Attributes:
        generation: Number of the connection, counted from 1.
    """

    generation: int


@attrs.frozen
class Disconnected:
    """A connection was lost; nothing more comes from it. What it told is stale unless a newer one is open.

    Attributes:
        generation: Number of the connection.
        reason: Why, without secrets.
        close_code: As the protocol numbers it; 1006 when the connection ended without a word.
    """

    generation: int
    reason: str
    close_code: int


@attrs.frozen
class Retired:
    """A connection was closed by us after its successor took over: nothing was lost.

    Attributes:
        generation: Number of the connection.
    """

    generation: int


@attrs.frozen
class Overflow:
    """Frames were dropped at this place in the queue because it was full: what they said is unknown.

    Attributes:
        dropped: How many, >= 1.
    """

    dropped: int


Event = Frame | Connected | Disconnected | Retired | Overflow


class EventQueue:
    """Events in order, with a bound on the frames among them.

    At the bound frames are dropped until the owner drains, so that the loss has one place in the order, marked by one
    `Overflow`. Events about connections are never dropped; each costs the session a delay, so they stay few.

    Args:
        frames_max: Frames that may wait.
        bytes_max: Their bytes that may wait.
    """

    __slots__ = ("_bytes", "_bytes_max", "_dropped", "_events", "_frames", "_frames_max", "dropped_frames")

    def __init__(self, *, frames_max: int, bytes_max: int) -> None:
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._events: deque[Event] = deque()
        self._frames = 0
        self._bytes = 0
        self._dropped = 0
        self.dropped_frames = 0
        """Frames dropped since creation."""

    def __bool__(self) -> bool:
        return bool(self._events)

    def put_frame(self, frame: Frame) -> bool:
        """Queue one frame, or drop and count it; return False for the first one that is dropped since a drain."""
        size = len(frame.data)
        if self._dropped or self._frames >= self._frames_max or self._bytes + size > self._bytes_max:
            self._dropped += 1
            self.dropped_frames += 1
            return self._dropped > 1
        self._frames += 1
        self._bytes += size
        self._events.append(frame)
        return True

    def put(self, event: Connected | Disconnected | Retired) -> None:
        """Queue what happened to a connection."""
        self._mark_drops()
        self._events.append(event)

    def drain(self) -> list[Event]:
        """Return everything in order; each event once."""
        self._mark_drops()
        events = list(self._events)
        self._events.clear()
        self._frames = 0
        self._bytes = 0
        return events

    def _mark_drops(self) -> None:
        if self._dropped:
            self._events.append(Overflow(self._dropped))
            self._dropped = 0

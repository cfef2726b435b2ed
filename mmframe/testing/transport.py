"""A connection that plays a script: frames, cuts and expected requests, without a socket.

For feeds and venues whose parsing and session rules are plain classes: feed them `receive()`, collect what they
`send()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mmframe.errors import FeedError, UsageError
from mmframe.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Cut", "Expect", "Frame", "ScriptedTransport", "TransportCutError", "chunks"]


@attrs.frozen
class Frame:
    """One frame from the other side.

    Attributes:
        data: Its bytes.
        after_ns: Time since the step before it.
    """

    data: bytes
    after_ns: int = 0


@attrs.frozen
class Cut:
    """The connection breaks; what follows in the script comes after a reconnect.

    Attributes:
        reason: As a close frame or the operating system would say it.
        after_ns: Time since the step before it.
    """

    reason: str = "connection reset"
    after_ns: int = 0


@attrs.frozen
class Expect:
    """The other side goes on only after we sent a frame.

    Attributes:
        matches: Tells whether the sent frame is the expected one.
        description: What is expected, for the failure.
    """

    matches: Callable[[bytes], bool]
    description: str


class TransportCutError(FeedError):
    """The scripted connection broke, or none is open."""

    code = "transport-cut"


class ScriptedTransport:
    """Plays a script of `Frame`, `Cut` and `Expect`.

    Args:
        script: What the other side does, in order.
        clock: Moved to each frame's time as it is received.

    Attributes:
        sent: Every frame that we sent, in order.
        connections: How often we connected.
    """

    def __init__(self, script: Iterable[Frame | Cut | Expect], *, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.sent: list[bytes] = []
        self.connections = 0
        self._script = list(script)
        self._position = 0
        self._unmatched: list[bytes] = []
        self._is_open = False

    @property
    def is_done(self) -> bool:
        """Tell whether the whole script was played."""
        return self._position == len(self._script)

    def connect(self) -> None:
        """Open the connection, or open it again after a cut.

        Raises:
            UsageError: If it is open already.
        """
        if self._is_open:
            msg = "transport: expected no open connection before connect, was open"
            raise UsageError(msg)
        self._is_open = True
        self.connections += 1
        self._unmatched.clear()

    def send(self, data: bytes) -> None:
        """Send one frame.

        Raises:
            TransportCutError: If the connection is not open.
        """
        self._require_open()
        self.sent.append(data)
        self._unmatched.append(data)

    def receive(self) -> bytes:
        """Return the next frame and move the clock to its time.

        Raises:
            TransportCutError: If the script cuts the connection here, or it is not open.
            EOFError: If the script is over.
            AssertionError: If the script expects a frame that was not sent.
        """
        self._require_open()
        while not self.is_done:
            step = self._script[self._position]
            if isinstance(step, Expect):
                self._check_sent(step)
                self._position += 1
                continue
            self._position += 1
            self.clock.advance(ns=step.after_ns)
            if isinstance(step, Frame):
                return step.data
            self._is_open = False
            raise TransportCutError(step.reason, hint="reconnect and resynchronise")
        msg = "the script is over"
        raise EOFError(msg)

    def frames(self) -> Iterator[bytes]:
        """Yield frames until the script is over; a cut raises as in `receive`."""
        while True:
            try:
                yield self.receive()
            except EOFError:
                return

    def _check_sent(self, step: Expect) -> None:
        for index, data in enumerate(self._unmatched):
            if step.matches(data):
                del self._unmatched[: index + 1]
                return
        msg = f"transport: expected {step.description} before the next frame, was {self._unmatched!r}"
        raise AssertionError(msg)

    def _require_open(self) -> None:
        if not self._is_open:
            msg = "no open connection"
            raise TransportCutError(msg, hint="call connect() first")


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    """Yield `data` in pieces of `size` bytes: a stream parser must not care where a read ends.

    Raises:
        UsageError: If `size` is below 1.
    """
    if size < 1:
        msg = f"chunks: expected a size of at least 1 byte, was {size}"
        raise UsageError(msg)
    for start in range(0, len(data), size):
        yield data[start : start + size]

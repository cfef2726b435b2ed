"""What goes wrong, and when: a script that a test writes and the server reads at two places.

**Requests** (REST and socket requests alike) are addressed by operation name, such as `order.place`: the server asks
once per request, before it is carried out. **Stream messages** are addressed by the operation of the stream, such as
`depth`: asked once per message and connection. What concerns whole connections happens at once and lasts until `heal`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import anyio
import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe_localvenue.core.exchange import VenueClock
    from mmframe_localvenue.core.sockets import Connection, Role

__all__ = ["ANY", "Fault", "FaultScript", "Injection"]

ANY = "*"
"""Operation name that meets every request (or every stream message)."""


class Fault(Enum):
    """One way to go wrong.

    The first part is for requests, the second for stream messages; CORRUPT, HUGE, NESTED, CUT and CLOSE are for both.
    """

    LOST_REPLY = "lost_reply"
    """Carried out; the answer never comes. Over REST the connection breaks (`hangs=True`: it stays silent instead)."""
    LOST_REQUEST = "lost_request"
    """Not carried out, and no answer either."""
    LATE_REPLY = "late_reply"
    """Carried out at once, answered late."""
    LATE_REQUEST = "late_request"
    """Carried out late, then answered."""
    UNKNOWN_DONE = "unknown_done"
    """Carried out; the answer is the exchange's "outcome unknown" (5xx)."""
    UNKNOWN_NOT_DONE = "unknown_not_done"
    """Not carried out; the same answer as UNKNOWN_DONE, so that nobody can tell."""
    THROTTLED = "throttled"
    """Refused with 429 (or the exchange's word for it) and when to come again."""
    BANNED = "banned"
    """Refused with 418 (or the exchange's word for it) and when to come again."""
    RACED = "raced"
    """A stranger takes the order that the request names whole, just before it is carried out."""
    HTML = "html"
    """Carried out; the answer is a web page of a proxy, status 502 unless `status` says otherwise."""

    CORRUPT = "corrupt"
    """The text breaks off in the middle."""
    HUGE = "huge"
    """Text of `size_bytes`, 32 MiB by default, valid JSON."""
    NESTED = "nested"
    """100,000 lists in each other."""
    CUT = "cut"
    """The connection breaks without a word. A request was carried out before."""
    CLOSE = "close"
    """The websocket is closed with `code`. A request was carried out before."""

    GAP = "gap"
    """The message is not sent; its numbers are used up."""
    DUPLICATE = "duplicate"
    """The message is sent twice."""
    REORDER = "reorder"
    """The message is sent after the next one of its stream and connection."""
    LATE = "late"
    """The message is sent late; what comes after it does not wait."""


REQUEST_FAULTS = frozenset(Fault) - {Fault.GAP, Fault.DUPLICATE, Fault.REORDER, Fault.LATE}
STREAM_FAULTS = frozenset(
    {
        Fault.CORRUPT,
        Fault.HUGE,
        Fault.NESTED,
        Fault.CUT,
        Fault.CLOSE,
        Fault.GAP,
        Fault.DUPLICATE,
        Fault.REORDER,
        Fault.LATE,
    }
)


@attrs.define(eq=False)
class Injection:
    """One line of the script.

    Attributes:
        operation: What it waits for; `ANY` for all.
        fault: What happens.
        left: How often it is still to happen.
        used: How often it has happened.
        skip: How many requests or messages pass first.
        delay_s: With LATE and LATE_*: how late, by the venue's clock; None waits for `release`.
        retry_after_s: With THROTTLED and BANNED.
        status: HTTP status where the fault lets one choose.
        code: With CLOSE.
        size_bytes: With HUGE.
        body: Text of the answer where the fault replaces it (UNKNOWN_*, THROTTLED, BANNED); empty takes the exchange's
            usual words. With `status` it makes any refusal that an exchange has.
        hangs: A lost REST reply or request leaves the connection open and silent.
        account: Only requests of this account; None for any.
    """

    operation: str
    fault: Fault
    left: int = 1
    used: int = 0
    skip: int = 0
    delay_s: float | None = None
    retry_after_s: int = 1
    status: int = 0
    code: int = 1001
    size_bytes: int = 32 * 2**20
    body: str = ""
    hangs: bool = False
    account: str | None = None
    _used: anyio.Event = attrs.field(factory=anyio.Event, init=False)
    _released: anyio.Event = attrs.field(factory=anyio.Event, init=False)

    async def happened(self) -> None:
        """Wait until it has happened at least once."""
        await self._used.wait()

    def release(self) -> None:
        """Let what it holds back go on."""
        self._released.set()

    async def hold(self, clock: VenueClock) -> None:
        """Wait as it says."""
        if self.delay_s is None:
            await self._released.wait()
        else:
            await clock.timing.sleep(self.delay_s)

    def meets(self, operation: str, account: str | None) -> bool:
        """Tell whether it is for this one, counting down those that pass first."""
        if not self.left or self.operation not in {ANY, operation}:
            return False
        if self.account is not None and self.account != account:
            return False
        if self.skip:
            self.skip -= 1
            return False
        return True

    def take(self) -> None:
        """Note that it happens now."""
        self.left -= 1
        self.used += 1
        self._used.set()


class FaultScript:
    """All that is to go wrong.

    Args:
        clock: The venue's; its skew is set here.
        connections: Returns the open websockets.

    Attributes:
        injections: Lines that are still to happen, in the order in which they are asked.
        used: Lines that have happened, oldest first.
        on_restart: Called by `restart`; a dialect whose exchange documents what a restart looks like adds to it.
    """

    def __init__(self, clock: VenueClock, connections: Callable[[], tuple[Connection, ...]]) -> None:
        self._clock = clock
        self._connections = connections
        self.injections: list[Injection] = []
        self.used: list[Injection] = []
        self.silent_roles: set[Role] = set()
        self.stale_roles: set[Role] = set()
        self.refused_roles: set[Role] = set()
        self.on_restart: list[Callable[[], None]] = []

    def next(  # noqa: PLR0913 - each fault has its own figures
        self,
        operation: str,
        fault: Fault,
        *,
        count: int = 1,
        skip: int = 0,
        delay_s: float | None = None,
        retry_after_s: int = 1,
        status: int = 0,
        code: int = 1001,
        size_bytes: int = 32 * 2**20,
        body: str = "",
        hangs: bool = False,
        account: str | None = None,
    ) -> Injection:
        """Let the next request or stream message of that operation go wrong; see `Injection` for the figures.

        Returns:
            The line of the script: await `happened()`, call `release()`, read `used`.
        """
        injection = Injection(
            operation,
            fault,
            left=count,
            skip=skip,
            delay_s=delay_s,
            retry_after_s=retry_after_s,
            status=status,
            code=code,
            size_bytes=size_bytes,
            body=body,
            hangs=hangs,
            account=account,
        )
        self.injections.append(injection)
        return injection

    def cut(self, role: Role | None = None) -> int:
        """Break every open websocket of that role (None: all) without a word; return how many."""
        return self._each(role, lambda connection: connection.cut())

    def close(self, code: int, role: Role | None = None) -> int:
        """Close every open websocket of that role with `code`; return how many."""
        return self._each(role, lambda connection: connection.close_soon(code))

    def shut_down(self, role: Role | None = None, *, code: int = 1001, after_s: float = 0.0) -> int:
        """Say on every open websocket of that role that the server goes, in the dialect's words; then close them.

        Args:
            role: Which; None for all.
            code: Of the close frame.
            after_s: Time that the client has to connect anew before the old connection ends.

        Returns:
            How many there were.
        """

        def act(connection: Connection) -> None:
            if connection.on_shutdown is not None:
                connection.on_shutdown()
            connection.close_soon(code, after_s=after_s)

        return self._each(role, act)

    def silence(self, role: Role) -> None:
        """Make websockets of that role half-open, new ones too: they take what comes and never say or ping anything."""
        self.silent_roles.add(role)

    def hold_data(self, role: Role) -> None:
        """Stop the data of websockets of that role while the connection lives: stale data."""
        self.stale_roles.add(role)

    def lose(self, role: Role) -> int:
        """Break the websockets of that role and refuse new ones; the other roles live on. Return how many broke."""
        self.refused_roles.add(role)
        return self.cut(role)

    def skew_clock(self, seconds: float) -> None:
        """Put the venue's clock ahead (or, negative, behind) of the real time."""
        self._clock.skew_ns = round(seconds * 1e9)

    def restart(self) -> None:
        """Let the exchange restart its services behind open connections, with what clients see of that by its docs."""
        for hear in self.on_restart:
            hear()

    def heal(self) -> None:
        """End everything that lasts, drop what has not happened yet, release what is held, and set the clock right."""
        self.silent_roles.clear()
        self.stale_roles.clear()
        self.refused_roles.clear()
        self._clock.skew_ns = 0
        for injection in (*self.injections, *self.used):
            injection.left = 0
            injection.release()
        self.injections.clear()

    def take_request(self, operation: str, account: str | None) -> Injection | None:
        """Return what is to happen to a request that has just come; the server asks once."""
        return self._take(operation, account, REQUEST_FAULTS)

    def take_message(self, operation: str, account: str | None) -> Injection | None:
        """Return what is to happen to a stream message; the server asks once per connection."""
        return self._take(operation, account, STREAM_FAULTS)

    def _take(self, operation: str, account: str | None, faults: frozenset[Fault]) -> Injection | None:
        for injection in self.injections:
            if injection.fault in faults and injection.meets(operation, account):
                injection.take()
                if injection.used == 1:
                    self.used.append(injection)
                if not injection.left:
                    self.injections.remove(injection)
                return injection
        return None

    def _each(self, role: Role | None, act: Callable[[Connection], None]) -> int:
        found = [one for one in self._connections() if role is None or role in one.roles]
        for connection in found:
            act(connection)
        return len(found)

"""A circuit breaker for one endpoint: when it keeps failing, ask less. Pure: time is passed in, nothing is sent."""

from __future__ import annotations

from enum import Enum

import attrs

from mmframe.errors import DomainError

__all__ = ["Breaker", "BreakerState", "Permit", "Result"]


class BreakerState(Enum):
    """Whether requests pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Result(Enum):
    """What became of a permitted request, as far as the endpoint's health goes.

    A refusal that shows a working endpoint (a filter failure, an unknown order) is a SUCCESS here.
    """

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


@attrs.frozen
class Permit:
    """Leave to send one request; handed back with its result.

    Attributes:
        epoch: Which period of the breaker it belongs to; a result from an earlier period changes nothing.
    """

    epoch: int


class Breaker:
    """Closed: all pass. Open: none pass for a while. Half-open: one probe passes, and its result decides.

    An unknown outcome counts like a failure: the endpoint that does not answer is left alone. What became of the
    request itself is for its owner to find out by asking, never by sending again. Each failed probe doubles the time
    to the next, up to `open_max_ns`.

    Args:
        failures_max: Results other than success in a row that open it, >= 1.
        open_ns: First time to stay open, > 0.
        open_max_ns: Longest time to stay open, >= `open_ns`.
        probe_timeout_ns: A probe whose result never comes counts as unknown after this, > 0.

    Raises:
        DomainError: If an argument is out of its range.
    """

    __slots__ = (
        "_epoch",
        "_failures",
        "_failures_max",
        "_next_open_ns",
        "_open_max_ns",
        "_open_ns",
        "_open_until_ns",
        "_probe_timeout_ns",
        "_probe_until_ns",
        "_state",
    )

    def __init__(
        self,
        *,
        failures_max: int = 5,
        open_ns: int = 1_000_000_000,
        open_max_ns: int = 60_000_000_000,
        probe_timeout_ns: int = 30_000_000_000,
    ) -> None:
        if failures_max < 1 or not 0 < open_ns <= open_max_ns or probe_timeout_ns <= 0:
            msg = (
                "breaker: expected failures_max >= 1, 0 < open_ns <= open_max_ns, probe_timeout_ns > 0,"
                f" was {failures_max}, {open_ns}, {open_max_ns}, {probe_timeout_ns}"
            )
            raise DomainError(msg)
        self._failures_max = failures_max
        self._open_ns = open_ns
        self._open_max_ns = open_max_ns
        self._probe_timeout_ns = probe_timeout_ns
        self._state = BreakerState.CLOSED
        self._epoch = 0
        self._failures = 0
        self._next_open_ns = open_ns
        self._open_until_ns = 0
        self._probe_until_ns = 0

    @property
    def state(self) -> BreakerState:
        """Return the state as of the last call; OPEN also when its time is up and no probe has been asked for."""
        return self._state

    def wait_ns(self, now_ns: int) -> int:
        """Return how long no request will pass; 0 when one may be asked for now."""
        if self._state is BreakerState.OPEN:
            return max(0, self._open_until_ns - now_ns)
        if self._state is BreakerState.HALF_OPEN:
            return max(0, self._probe_until_ns - now_ns)
        return 0

    def enter(self, now_ns: int) -> Permit | None:
        """Return leave to send one request, or None; every permit is to be settled."""
        if self._state is BreakerState.HALF_OPEN and now_ns >= self._probe_until_ns:
            self._open(now_ns)
        if self._state is BreakerState.OPEN and now_ns >= self._open_until_ns:
            self._begin(BreakerState.HALF_OPEN)
            self._probe_until_ns = now_ns + self._probe_timeout_ns
            return Permit(self._epoch)
        return Permit(self._epoch) if self._state is BreakerState.CLOSED else None

    def settle(self, permit: Permit, result: Result, now_ns: int) -> None:
        """Take the result of a permitted request; a late one from an earlier period changes nothing."""
        if permit.epoch != self._epoch:
            return
        if result is Result.SUCCESS:
            self._failures = 0
            self._next_open_ns = self._open_ns
            if self._state is BreakerState.HALF_OPEN:
                self._begin(BreakerState.CLOSED)
            return
        self._failures += 1
        if self._state is BreakerState.HALF_OPEN or self._failures >= self._failures_max:
            self._open(now_ns)

    def _open(self, now_ns: int) -> None:
        self._begin(BreakerState.OPEN)
        self._open_until_ns = now_ns + self._next_open_ns
        self._next_open_ns = min(self._open_max_ns, self._next_open_ns * 2)

    def _begin(self, state: BreakerState) -> None:
        self._state = state
        self._epoch += 1
        self._failures = 0

"""Rate budgets: how much may be asked of a venue now. Pure and synchronous: time is passed in, nobody waits here.

Cancels come first. Each window keeps room that queries, and room that queries and orders, cannot use up, so that quotes
can always be pulled.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import IntEnum
from typing import TYPE_CHECKING

import attrs

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FOREVER_NS", "Block", "Lane", "RateBudget", "Window", "retry_after_ns", "try_take_all"]

FOREVER_NS = 2**63 - 1
"""The wait under a latch without an end."""

_SECOND_NS = 1_000_000_000
_RETRY_AFTER_MAX_S = 3 * 86_400
"""Longest ban that a venue documents; a longer `Retry-After` is taken for a date or a mistake."""
_TOO_MANY_REQUESTS = 429
_LATCHING = frozenset({403, 418})


class Lane(IntEnum):
    """What a request is for; a higher lane may use room that a lower one may not."""

    QUERY = 0
    ORDER = 1
    CANCEL = 2


@attrs.frozen
class Window:
    """One limit of a venue.

    Attributes:
        name: As the venue's own header calls it, such as `1M`; unique in a budget.
        limit: Weight in each window, > 0. Give less than the venue allows where others share the limit or the clocks
            differ: a request sent late in one calendar window is counted by the venue in the next.
        length_ns: Length of the window, > 0.
        is_sliding: Whether it covers the last `length_ns` at each moment; else it starts anew at each multiple of
            `length_ns` since the epoch, as the calendar's minutes and days do.
        kept_for_cancels: Weight that only cancels can use, >= 0.
        kept_for_orders: Weight besides that only orders and cancels can use, >= 0.

    Raises:
        DomainError: If a figure is out of its range or nothing is left for queries.
    """

    name: str
    limit: int
    length_ns: int
    is_sliding: bool = False
    kept_for_cancels: int = 0
    kept_for_orders: int = 0

    def __attrs_post_init__(self) -> None:
        if (
            self.length_ns <= 0
            or self.kept_for_cancels < 0
            or self.kept_for_orders < 0
            or self.capacity(Lane.QUERY) < 1
        ):
            msg = f"rate window {self.name!r}: expected a length > 0 and room left for queries, was {self!r}"
            raise DomainError(msg)

    def capacity(self, lane: Lane) -> int:
        """Return the weight up to which `lane` may fill this window."""
        if lane is Lane.CANCEL:
            return self.limit
        if lane is Lane.ORDER:
            return self.limit - self.kept_for_cancels
        return self.limit - self.kept_for_cancels - self.kept_for_orders


@attrs.frozen
class Block:
    """The venue said stop: nothing passes, cancels included.

    Attributes:
        until_ns: When it ends; `FOREVER_NS` for a latch that only `release` opens.
        reason: For the person who has to know.
    """

    until_ns: int
    reason: str


class RateBudget:
    """The limits of one venue on one kind of weight, several windows at once.

    Args:
        windows: All of them must have room for a request to pass.

    Raises:
        DomainError: If there is no window or two have one name.
    """

    __slots__ = ("_block", "_meters")

    def __init__(self, windows: Sequence[Window]) -> None:
        if not windows or len({window.name for window in windows}) != len(windows):
            msg = f"rate budget: expected one or more windows of different names, was {[w.name for w in windows]!r}"
            raise DomainError(msg)
        self._meters: dict[str, _CalendarMeter | _SlidingMeter] = {
            window.name: _SlidingMeter(window) if window.is_sliding else _CalendarMeter(window) for window in windows
        }
        self._block: Block | None = None

    def wait_ns(self, lane: Lane, weight: int, now_ns: int) -> int:
        """Return how long `weight` has to wait; 0 when it may be taken now. Takes nothing.

        Raises:
            DomainError: If `weight` is negative or more than the lane can ever have.
        """
        block = self.block(now_ns)
        if block is not None:
            return FOREVER_NS if block.until_ns == FOREVER_NS else block.until_ns - now_ns
        return max(meter.wait_ns(lane, weight, now_ns) for meter in self._meters.values())

    def try_take(self, lane: Lane, weight: int, now_ns: int) -> int:
        """Take `weight` and return 0, or take nothing and return how long to wait before asking again.

        Raises:
            DomainError: If `weight` is negative or more than the lane can ever have.
        """
        wait_ns = self.wait_ns(lane, weight, now_ns)
        if wait_ns == 0:
            for meter in self._meters.values():
                meter.add(weight, now_ns)
        return wait_ns

    def used(self, name: str, now_ns: int) -> int:
        """Return the weight used in window `name`, by our count or the venue's, whichever is more."""
        return self._meters[name].used(now_ns)

    def on_used(self, name: str, used: int, now_ns: int) -> None:
        """Take the venue's own count, from a header of its answer. A window that is not known is ignored.

        It raises our count and never lowers it: an answer does not know of the requests that are still under way.
        """
        meter = self._meters.get(name)
        if meter is not None:
            meter.raise_to(used, now_ns)

    def on_status(self, status: int, headers: Mapping[str, str], now_ns: int, *, default_wait_ns: int) -> None:
        """Block as an HTTP status demands: 429 until `Retry-After`, 418 and 403 as a ban of at least that long.

        Args:
            status: Of any answer; others than these three change nothing.
            headers: By lower-case name.
            now_ns: When the answer came.
            default_wait_ns: For an answer that does not say how long; `FOREVER_NS` latches.
        """
        if status != _TOO_MANY_REQUESTS and status not in _LATCHING:
            return
        told_ns = retry_after_ns(headers, now_ns)
        wait_ns = default_wait_ns if told_ns is None else told_ns
        until_ns = FOREVER_NS if wait_ns >= FOREVER_NS - now_ns else now_ns + wait_ns
        what = "too many requests" if status == _TOO_MANY_REQUESTS else "banned or refused"
        self.block_until(until_ns, f"HTTP {status}: {what}")

    def block_until(self, until_ns: int, reason: str) -> None:
        """Let nothing pass until `until_ns`; `FOREVER_NS` latches. A block that lasts longer stays."""
        if self._block is None or until_ns > self._block.until_ns:
            self._block = Block(until_ns, reason)

    def block(self, now_ns: int) -> Block | None:
        """Return what blocks everything at `now_ns`, or None."""
        if self._block is not None and now_ns >= self._block.until_ns:
            self._block = None
        return self._block

    def release(self) -> None:
        """Lift a block or latch: a person has looked into it."""
        self._block = None


def try_take_all(parts: Sequence[tuple[RateBudget, int]], lane: Lane, now_ns: int) -> int:
    """Take from several budgets at once, or from none: a request that costs address weight and an order count.

    Returns:
        0 when all was taken, else how long to wait before asking again.

    Raises:
        DomainError: If a weight is negative or more than the lane can ever have.
    """
    wait_ns = max((budget.wait_ns(lane, weight, now_ns) for budget, weight in parts), default=0)
    if wait_ns == 0:
        for budget, weight in parts:
            budget.try_take(lane, weight, now_ns)
    return wait_ns


def retry_after_ns(headers: Mapping[str, str], now_ns: int) -> int | None:
    """Return how long the `Retry-After` header tells to wait, at most three days; None when there is none to read.

    Args:
        headers: By lower-case name. The value is seconds or an HTTP date.
        now_ns: When the answer came.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        # The length first: converting a number of a million digits is itself a way to be blocked.
        seconds = int(text) if len(text) < len(str(_RETRY_AFTER_MAX_S)) + 1 else _RETRY_AFTER_MAX_S
        return min(seconds, _RETRY_AFTER_MAX_S) * _SECOND_NS
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    wait_ns = round(date.timestamp()) * _SECOND_NS - now_ns
    return min(max(0, wait_ns), _RETRY_AFTER_MAX_S * _SECOND_NS)


class _CalendarMeter:
    """Counts one window that starts anew at each multiple of its length."""

    __slots__ = ("_index", "_used", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._index = 0
        self._used = 0

    def used(self, now_ns: int) -> int:
        # A clock that goes back must not give the same window twice.
        index = now_ns // self._window.length_ns
        if index > self._index:
            self._index = index
            self._used = 0
        return self._used

    def wait_ns(self, lane: Lane, weight: int, now_ns: int) -> int:
        if self.used(now_ns) + weight <= _capacity(self._window, lane, weight):
            return 0
        return (self._index + 1) * self._window.length_ns - now_ns

    def add(self, weight: int, now_ns: int) -> None:
        self._used = self.used(now_ns) + weight

    def raise_to(self, used: int, now_ns: int) -> None:
        self._used = max(self.used(now_ns), used)


class _SlidingMeter:
    """Counts the last `length_ns`. It holds at most `limit` takings: each has a weight of one or more."""

    __slots__ = ("_last_ns", "_taken", "_used", "_window")

    def __init__(self, window: Window) -> None:
        self._window = window
        self._taken: deque[tuple[int, int]] = deque()
        self._used = 0
        self._last_ns = 0

    def used(self, now_ns: int) -> int:
        self._last_ns = max(self._last_ns, now_ns)
        while self._taken and self._taken[0][0] + self._window.length_ns <= self._last_ns:
            self._used -= self._taken.popleft()[1]
        return self._used

    def wait_ns(self, lane: Lane, weight: int, now_ns: int) -> int:
        excess = self.used(now_ns) + weight - _capacity(self._window, lane, weight)
        for at_ns, taken in self._taken:
            if excess <= 0:
                break
            excess -= taken
            free_ns = at_ns + self._window.length_ns
            if excess <= 0:
                return free_ns - now_ns
        return 0

    def add(self, weight: int, now_ns: int) -> None:
        self.used(now_ns)
        if weight > 0:
            self._taken.append((self._last_ns, weight))
            self._used += weight

    def raise_to(self, used: int, now_ns: int) -> None:
        self.add(max(0, used - self.used(now_ns)), now_ns)


def _capacity(window: Window, lane: Lane, weight: int) -> int:
    capacity = window.capacity(lane)
    if not 0 <= weight <= capacity:
        msg = f"rate window {window.name!r}: expected a weight of 0 to {capacity} in lane {lane.name}, was {weight}"
        raise DomainError(msg)
    return capacity

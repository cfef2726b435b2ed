"""How often one may ask: per account and endpoint in a rolling second, per address in five seconds.

Source: rate-limit/rate-limit.mdx. Orders of a batch count one by one; each batch endpoint has a bucket of its own.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from mmframe_localvenue.bybit.envelope import SPOT

if TYPE_CHECKING:
    from mmframe_localvenue.core import VenueClock, VenueSetup

__all__ = ["Allowance", "Limits", "Quota"]

_NS = 1_000_000_000
_ADDRESS_WINDOW_NS = 5 * _NS
_ADDRESS_MAX = 600
_BAN_NS = 600 * _NS
_SOCKET_MAX = 3_000


@attrs.frozen
class Quota:
    """Requests per second of one endpoint, by category."""

    name: str
    linear: int
    spot: int
    is_order_entry: bool = False


@attrs.frozen
class Allowance:
    """What an account may still do.

    Attributes:
        limit: Per second.
        left: After this request.
        reset_ms: When a full second's worth is free again; now while nothing is exceeded.
        granted: How many of the orders asked for are within the limit.
    """

    limit: int
    left: int
    reset_ms: int
    granted: int

    def headers(self) -> dict[str, str]:
        """Return the three headers that tell it."""
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.left),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class Limits:
    """Counts.

    Args:
        setup: Of the venue: `order_limits` replaces the per-second figure of order entry, `weight_limit` the requests
            that an address has in five seconds.
        clock: The venue's.
    """

    def __init__(self, setup: VenueSetup, clock: VenueClock) -> None:
        self._clock = clock
        self._order_limit = setup.order_limits[0][1] if setup.order_limits else None
        self._address_max = setup.weight_limit or _ADDRESS_MAX
        self._used: dict[tuple[str, str, str], deque[int]] = {}
        self._address: deque[int] = deque()
        self._sockets: deque[int] = deque()
        self._banned_until_ns = 0

    def is_banned(self) -> bool:
        """Count a REST request of the address; tell whether it asks too often or did so less than ten minutes ago."""
        now_ns = self._clock.now_ns()
        if now_ns < self._banned_until_ns:
            return True
        _roll(self._address, now_ns - _ADDRESS_WINDOW_NS)
        self._address.append(now_ns)
        if len(self._address) <= self._address_max:
            return False
        self._banned_until_ns = now_ns + _BAN_NS
        return True

    def is_flooded(self) -> bool:
        """Count a request over the trade socket; tell whether the address sends more than 3,000 a second."""
        now_ns = self._clock.now_ns()
        _roll(self._sockets, now_ns - _NS)
        self._sockets.append(now_ns)
        return len(self._sockets) > _SOCKET_MAX

    def take(self, account: str, quota: Quota, category: str, count: int = 1) -> Allowance:
        """Count `count` orders or one request; grant what is within the limit."""
        now_ns = self._clock.now_ns()
        limit = quota.spot if category == SPOT else quota.linear
        if quota.is_order_entry and self._order_limit is not None:
            limit = self._order_limit
        used = self._used.setdefault((account, quota.name, category), deque())
        _roll(used, now_ns - _NS)
        granted = min(count, limit - len(used))
        used.extend([now_ns] * granted)
        is_exceeded = granted < count
        reset_ns = used[0] + _NS if is_exceeded and used else now_ns
        return Allowance(limit, limit - len(used), -(-reset_ns // 1_000_000), granted)


def _roll(times: deque[int], before_ns: int) -> None:
    while times and times[0] <= before_ns:
        times.popleft()

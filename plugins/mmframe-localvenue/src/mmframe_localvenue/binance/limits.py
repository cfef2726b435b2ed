"""Request weight per address, and what happens to those who go on after a 429."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mmframe_localvenue.binance.errors import BinanceError
from mmframe_localvenue.core import RateWindow

if TYPE_CHECKING:
    from mmframe_localvenue.core import VenueClock

__all__ = ["WeightLimits"]

_WARNINGS_MAX = 5
"""Requests after the first 429 of a window that are merely refused; the next one brings a ban."""
_BAN_S = 120
_BAN_MAX_S = 3 * 86_400
_NS = 1_000_000_000


class WeightLimits:
    """Weight of one address; on loopback there is only one.

    Args:
        clock: The venue's.
        limit: Weight per minute.
    """

    def __init__(self, clock: VenueClock, limit: int) -> None:
        self._clock = clock
        self._window = RateWindow(60, limit)
        self._refused = RateWindow(60, _WARNINGS_MAX)
        self._banned_until_ns = 0
        self._bans = 0

    @property
    def limit(self) -> int:
        """Return the weight that a minute has."""
        return self._window.limit

    @property
    def used(self) -> int:
        """Return the weight used in this minute."""
        return self._window.count(self._clock.now_ns())

    def charge(self, weight: int) -> None:
        """Take the weight of a request.

        Raises:
            BinanceError: 429 over the limit, 418 for an address that would not listen.
        """
        now_ns = self._clock.now_ns()
        if now_ns < self._banned_until_ns:
            raise self._banned()
        if self._window.count(now_ns) + weight <= self._window.limit:
            self._window.add(weight, now_ns)
            return
        self._window.add(weight, now_ns)
        if self._refused.add(1, now_ns) > self._refused.limit:
            self.ban(min(_BAN_S * 2**self._bans, _BAN_MAX_S))
            self._bans += 1
            raise self._banned()
        raise self.throttled(math.ceil(self._window.left_s(now_ns)))

    def refund(self, weight: int) -> None:
        """Give back the weight of a request that costs nothing when it succeeds."""
        self._window.add(-weight, self._clock.now_ns())

    def ban(self, seconds: float) -> None:
        """Refuse everything for `seconds`."""
        self._banned_until_ns = self._clock.now_ns() + round(seconds * _NS)

    def throttled(self, retry_after_s: float) -> BinanceError:
        """Return the refusal of too much weight."""
        return BinanceError(
            -1003,
            f"Too much request weight used; current limit is {self.limit} request weight per 1 MINUTE."
            " Please use WebSocket Streams for live updates to avoid polling the API.",
            status=429,
            retry_after_s=retry_after_s,
        )

    def banned(self, retry_after_s: float) -> BinanceError:
        """Return the refusal of a banned address."""
        until_ms = self._clock.now_ms() + round(retry_after_s * 1000)
        return BinanceError(
            -1003,
            f"Way too much request weight used; IP banned until {until_ms}."
            " Please use WebSocket Streams for live updates to avoid bans.",
            status=418,
            retry_after_s=retry_after_s,
        )

    def _banned(self) -> BinanceError:
        return self.banned(math.ceil((self._banned_until_ns - self._clock.now_ns()) / _NS))

"""How much may be asked of the exchange now: one budget an endpoint and second, one for the address.

Source: the exchange's v5 documentation, rate limit rules.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from mmframe.net.budget import Lane, RateBudget, Window, try_take_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.net.timing import Timing

__all__ = ["Endpoint", "Limits"]

_SECOND_NS = 1_000_000_000
_ROLLING_NS = 1_100_000_000
"""A little more than the exchange's second: what leaves a second apart may arrive closer together."""

_ADDRESS_NAME = "address"
_ADDRESS_LIMIT = 550
"""Of the 600 requests in five seconds: others may share the address."""

_ADDRESS_NS = 5 * _SECOND_NS
_BAN_NS = 600 * _SECOND_NS
"""After 403 the exchange wants ten minutes of silence."""

_REST_MAX_NS = 60 * _SECOND_NS
"""Longest rest that a reset time is believed for; clocks may differ, and no limit is per more than a minute."""

_LIMIT_MAX = 10_000
_MILLISECONDS_MAX = 9_000_000_000_000
_SLEEP_MAX_S = 1.0


class Endpoint(Enum):
    """What is asked for: path, whether it is a POST, and how often a second (linear, spot) before the exchange says."""

    CREATE = ("/v5/order/create", True, 10, 20)
    AMEND = ("/v5/order/amend", True, 10, 10)
    CANCEL = ("/v5/order/cancel", True, 10, 20)
    CANCEL_ALL = ("/v5/order/cancel-all", True, 10, 20)
    OPEN_ORDERS = ("/v5/order/realtime", False, 50, 50)
    ORDER_HISTORY = ("/v5/order/history", False, 50, 50)
    EXECUTIONS = ("/v5/execution/list", False, 50, 50)
    POSITIONS = ("/v5/position/list", False, 50, 50)
    WALLET = ("/v5/account/wallet-balance", False, 50, 50)
    FEE_RATE = ("/v5/account/fee-rate", False, 10, 5)
    ACCOUNT = ("/v5/account/info", False, 50, 50)
    SETTINGS = ("/v5/account/user-setting-config", False, 5, 5)
    SET_PRICE_LIMIT = ("/v5/account/set-limit-px-action", True, 5, 5)
    DCP = ("/v5/account/query-dcp-info", False, 5, 5)
    SET_DCP = ("/v5/order/disconnected-cancel-all", True, 5, 5)
    KEY = ("/v5/user/query-api", False, 10, 10)
    TIME = ("/v5/market/time", False, 50, 50)
    INSTRUMENTS = ("/v5/market/instruments-info", False, 50, 50)

    @property
    def path(self) -> str:
        """Return the path."""
        return self.value[0]

    @property
    def is_post(self) -> bool:
        """Tell whether it takes a body."""
        return self.value[1]

    @property
    def is_public(self) -> bool:
        """Tell whether it needs no signature."""
        return self.path.startswith("/v5/market/")

    def per_second(self, category: str) -> int:
        """Return how often a second it may be asked before the exchange tells the account's own limit."""
        return self.value[3] if category == "spot" else self.value[2]


class Limits:
    """The budgets of one account and address.

    Args:
        category: `spot` or `linear`; orders have limits of their own in each.
        timing: Clock and sleep.
    """

    def __init__(self, category: str, timing: Timing) -> None:
        self._timing = timing
        self._category = category
        self._address = RateBudget(
            [
                Window(
                    _ADDRESS_NAME,
                    _ADDRESS_LIMIT,
                    _ADDRESS_NS,
                    is_sliding=True,
                    kept_for_cancels=100,
                    kept_for_orders=200,
                )
            ]
        )
        self._allowed = {endpoint: endpoint.per_second(category) for endpoint in Endpoint}
        self._budgets = {endpoint: _budget(endpoint, self._allowed[endpoint]) for endpoint in Endpoint}

    def allowed(self, endpoint: Endpoint) -> int:
        """Return how often a second the endpoint may be asked, as far as is known."""
        return self._allowed[endpoint]

    def ban(self) -> str | None:
        """Return why the address is shut out now, or None."""
        block = self._address.block(self._timing.now_ns())
        return None if block is None else block.reason

    def ban_left_s(self) -> float:
        """Return how long the address is shut out."""
        now_ns = self._timing.now_ns()
        block = self._address.block(now_ns)
        return 0.0 if block is None else (block.until_ns - now_ns) / _SECOND_NS

    async def take(self, endpoint: Endpoint, lane: Lane, *, within_s: float, over_http: bool) -> str | None:
        """Wait for room and take it; return None, or at once why it would not come in time.

        Args:
            endpoint: What is to be asked.
            lane: What for.
            within_s: How long the request is worth waiting for.
            over_http: Whether it counts for the address too; frames of the trade socket do not.
        """
        deadline_ns = self._timing.now_ns() + round(within_s * _SECOND_NS)
        while True:
            now_ns = self._timing.now_ns()
            parts = [(self._budgets[endpoint], 1)]
            if over_http:
                parts.append((self._address, 1))
            wait_ns = try_take_all(parts, lane, now_ns)
            if wait_ns == 0:
                return None
            if now_ns + wait_ns > deadline_ns:
                return self._why_not(endpoint, wait_ns, over_http=over_http)
            await self._timing.sleep(min(wait_ns / _SECOND_NS, _SLEEP_MAX_S))

    def on_headers(self, endpoint: Endpoint, headers: Mapping[str, str]) -> None:
        """Take the account's limit and what is left of it from an answer; names in lower case."""
        limit = _count(headers.get("x-bapi-limit"), _LIMIT_MAX)
        left = _count(headers.get("x-bapi-limit-status"), _LIMIT_MAX)
        now_ns = self._timing.now_ns()
        if limit and limit != self._allowed[endpoint]:
            used = self._budgets[endpoint].used(endpoint.path, now_ns)
            self._allowed[endpoint] = limit
            self._budgets[endpoint] = _budget(endpoint, limit)
            self._budgets[endpoint].on_used(endpoint.path, min(used, limit), now_ns)
        if limit and left is not None and left <= limit:
            self._budgets[endpoint].on_used(endpoint.path, limit - left, now_ns)

    def on_throttled(self, endpoint: Endpoint, headers: Mapping[str, str], *, server_ahead_ns: int) -> None:
        """Let an endpoint rest until the time that the answer tells, on the server's clock; a second without one."""
        now_ns = self._timing.now_ns()
        told_ms = _count(headers.get("x-bapi-limit-reset-timestamp"), _MILLISECONDS_MAX) or 0
        rest_ns = told_ms * 1_000_000 - server_ahead_ns - now_ns
        rest_ns = rest_ns if 0 < rest_ns <= _REST_MAX_NS else _SECOND_NS
        self._budgets[endpoint].block_until(now_ns + rest_ns, f"{endpoint.path}: too many requests")

    def on_forbidden(self) -> None:
        """Stop all requests over HTTP for the ten minutes that the exchange demands after 403."""
        self._address.block_until(self._timing.now_ns() + _BAN_NS, "HTTP 403: too many requests, or not served here")

    def _why_not(self, endpoint: Endpoint, wait_ns: int, *, over_http: bool) -> str:
        if over_http and (ban := self.ban()) is not None:
            return f"{ban}; {self.ban_left_s():.0f} s left"
        return f"rate limit: {endpoint.path} is free in {wait_ns / 1e6:.0f} ms"


def _budget(endpoint: Endpoint, per_second: int) -> RateBudget:
    return RateBudget([Window(endpoint.path, per_second, _ROLLING_NS, is_sliding=True)])


def _count(text: str | None, maximum: int) -> int | None:
    """Return a header's number; None for one that is none or makes no sense."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > len(str(maximum)):
        return None
    number = int(text)
    return number if number <= maximum else None

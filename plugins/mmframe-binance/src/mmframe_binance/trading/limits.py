"""The exchange's two counts, request weight of the address and new orders of the account, fed by its own answers.

The limits themselves come from `exchangeInfo`; until then the documented ones hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.net.budget import RateBudget, Window, retry_after_ns, try_take_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mmframe.net.budget import Block, Lane
    from mmframe_binance.trading.wire import RateLimit

__all__ = ["TradingLimits"]

_SECOND_NS = 1_000_000_000
_INTERVALS = {"SECOND": ("S", _SECOND_NS), "MINUTE": ("M", 60 * _SECOND_NS), "DAY": ("D", 86_400 * _SECOND_NS)}
_WEIGHT, _ORDERS = "REQUEST_WEIGHT", "ORDERS"
_WEIGHT_HEADER, _ORDERS_HEADER = "x-mbx-used-weight-", "x-mbx-order-count-"
_BAN_NS = 120 * _SECOND_NS
"""How long to be silent after an answer that says stop and not for how long: the shortest ban."""

_MARGIN_NS = 50_000_000
"""Added to waits that the exchange told: its clock and ours differ."""

_HOLD_MAX_NS = 3 * 86_400 * _SECOND_NS
"""The longest ban that the exchange documents."""

_MS_NS = 1_000_000


class TradingLimits:
    """Budgets of weight and of new orders.

    Args:
        weight_a_minute: The documented limit on weight.
        orders: The documented limits on new orders, by length as headers name it, such as `10S`.
    """

    def __init__(self, weight_a_minute: int, orders: Mapping[str, int]) -> None:
        self._windows = [_weight_window("1M", weight_a_minute)]
        self._weight = RateBudget(self._windows)
        self._orders = RateBudget(
            [Window(name, limit, _length_ns(name)) for name, limit in sorted(orders.items())],
        )

    def use(self, limits: Sequence[RateLimit], now_ns: int) -> None:
        """Take the limits that the exchange lists; counts begin anew, a block stays."""
        listed = [(limit, name) for limit in limits if limit.limit > 0 and (name := _name(limit))]
        weight = [_weight_window(name, limit.limit) for limit, name in listed if limit.rate_limit_type == _WEIGHT]
        orders = [
            Window(name, each.limit, _length_ns(name)) for each, name in listed if each.rate_limit_type == _ORDERS
        ]
        if weight:
            block = self._weight.block(now_ns)
            self._windows, self._weight = weight, RateBudget(weight)
            if block is not None:
                self._weight.block_until(block.until_ns, block.reason)
        if orders:
            hold = self._orders.block(now_ns)
            self._orders = RateBudget(orders)
            if hold is not None:
                self._orders.block_until(hold.until_ns, hold.reason)

    def wait_ns(self, lane: Lane, weight: int, orders: int, now_ns: int) -> int:
        """Take weight and order count and return 0, or take nothing and return how long to wait."""
        # A request that weighs more than a lane may ever use would wait for ever.
        weight = min([weight, *(window.capacity(lane) for window in self._windows)])
        parts = [(self._weight, weight)] if not orders else [(self._weight, weight), (self._orders, orders)]
        return try_take_all(parts, lane, now_ns)

    def block(self, now_ns: int) -> Block | None:
        """Return what blocks everything, or None."""
        return self._weight.block(now_ns)

    def hold_orders(self, now_ns: int, wait_ns: int = 0) -> None:
        """Let no new order pass for as long as told, the shortest window at least: the exchange counted one too many.

        It may be the day's window that is full. Who asks again before the time is over gets the address banned, and
        then cancels do not pass either.
        """
        wait_ns = min(max(wait_ns, 10 * _SECOND_NS), _HOLD_MAX_NS)
        self._orders.block_until(now_ns + wait_ns, "too many new orders")

    def on_answer(self, status: int, headers: Mapping[str, str], now_ns: int, *, is_order_limit: bool) -> None:
        """Take what an HTTP answer says of counts and of having to stop.

        Args:
            status: HTTP status.
            headers: By lower-case name.
            now_ns: When it came.
            is_order_limit: It says that there were too many new orders: cancels and queries may go on.
        """
        for name, value in headers.items():
            if value.isascii() and value.isdigit() and len(value) < 19:
                if name.startswith(_WEIGHT_HEADER):
                    self._weight.on_used(name.removeprefix(_WEIGHT_HEADER).upper(), int(value), now_ns)
                elif name.startswith(_ORDERS_HEADER):
                    self._orders.on_used(name.removeprefix(_ORDERS_HEADER).upper(), int(value), now_ns)
        if is_order_limit:
            self.hold_orders(now_ns, retry_after_ns(headers, now_ns) or 0)
        else:
            self._weight.on_status(status, headers, now_ns, default_wait_ns=_BAN_NS)

    def on_socket_answer(  # noqa: PLR0913 - what a socket's answer says, each thing by its name
        self,
        status: int,
        limits: Iterable[RateLimit],
        retry_after_ms: int,
        now_ns: int,
        *,
        server_ms: int,
        is_order_limit: bool,
    ) -> None:
        """Take the same from an answer on the socket.

        Args:
            status: As HTTP's.
            limits: The counts that came with it.
            retry_after_ms: When to go on, by the exchange's clock; 0 when it did not say.
            now_ns: When it came, our clock.
            server_ms: The exchange's time then.
            is_order_limit: As of `on_answer`.
        """
        for limit in limits:
            budget = self._weight if limit.rate_limit_type == _WEIGHT else self._orders
            if limit.rate_limit_type in {_WEIGHT, _ORDERS}:
                budget.on_used(_name(limit), limit.count, now_ns)
        told_ns = (retry_after_ms - server_ms) * _MS_NS + _MARGIN_NS if retry_after_ms > server_ms else 0
        if is_order_limit:
            self.hold_orders(now_ns, told_ns)
        elif told_ns and status in {403, 418, 429}:
            self._weight.block_until(now_ns + min(told_ns, _HOLD_MAX_NS), f"status {status}")
        else:
            self._weight.on_status(status, {}, now_ns, default_wait_ns=_BAN_NS)


def _weight_window(name: str, limit: int) -> Window:
    return Window(name, limit, _length_ns(name), kept_for_cancels=limit // 10, kept_for_orders=limit // 5)


def _name(limit: RateLimit) -> str:
    letter, _ = _INTERVALS.get(limit.interval, ("", 0))
    return f"{limit.interval_num}{letter}" if letter and limit.interval_num > 0 else ""


def _length_ns(name: str) -> int:
    return int(name[:-1]) * dict(_INTERVALS.values())[name[-1]]

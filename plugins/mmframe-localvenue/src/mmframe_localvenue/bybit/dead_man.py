"""Disconnection protection (DCP): orders are cancelled when every connection that asked for it has been gone too long.

An open connection counts as there, pings or not; a half-open one is gone once it is cut for idleness. Only accounts
that the exchange grants it have it. Sources: order/dcp.mdx, websocket/private/dcp.mdx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmframe_localvenue.bybit.envelope import SPOT, BybitError

if TYPE_CHECKING:
    from mmframe_localvenue.bybit.orders import OrderDesk
    from mmframe_localvenue.core import Account, Connection, Core

__all__ = ["DeadMan"]

_PRODUCTS = ("SPOT", "DERIVATIVES", "OPTIONS")
_TOPICS = {"dcp.spot": "SPOT", "dcp.future": "DERIVATIVES", "dcp.option": "OPTIONS"}
_CATEGORIES = {"SPOT": SPOT, "DERIVATIVES": "linear"}
_DEFAULT_S = 10
_WINDOW_MIN_S, _WINDOW_MAX_S = 3, 300


class DeadMan:
    """Watches the connections that subscribe `dcp.*`.

    Args:
        core: The venue.
        desk: Cancels.
    """

    def __init__(self, core: Core, desk: OrderDesk) -> None:
        self._core = core
        self._desk = desk
        self._windows = {
            (name, product): _DEFAULT_S
            for name, account in core.exchange.accounts.items()
            if account.setup.has_dead_man_switch
            for product in _PRODUCTS
        }
        self._alive: dict[tuple[str, str], set[Connection]] = {}
        self._unproven: set[Connection] = set()
        self._round: dict[tuple[str, str], int] = {}

    def window_s(self, account: Account, product: str) -> int | None:
        """Return the time window in seconds; None for an account without the protection."""
        return self._windows.get((account.name, product))

    def infos(self, account: Account) -> list[dict[str, Any]]:
        """Return what `query-dcp-info` lists."""
        return [
            {"product": product, "dcpStatus": "ON", "timeWindow": str(window_s)}
            for product in _PRODUCTS
            if (window_s := self.window_s(account, product)) is not None
        ]

    def configure(self, account: Account, product: object, window_s: object) -> None:
        """Set a window, at once (the exchange takes up to ten seconds).

        Raises:
            BybitError: 10001 for a window outside of 3 to 300 s, 10005 for an account without the protection.
        """
        if product not in _PRODUCTS or not isinstance(window_s, int) or isinstance(window_s, bool):
            raise BybitError(10001, "params error: product or timeWindow invalid")
        if not _WINDOW_MIN_S <= window_s <= _WINDOW_MAX_S:
            raise BybitError(10001, "params error: timeWindow invalid")
        if not account.setup.has_dead_man_switch:
            raise BybitError(10005, "Permission denied, please check your API key permissions.")
        self._windows[account.name, str(product)] = window_s

    def subscribed(self, connection: Connection, topics: set[str]) -> None:
        """Note what a connection subscribes now; while a countdown runs, its next ping ends it."""
        for topic, product in _TOPICS.items():
            if topic not in topics:
                continue
            key = connection.account, product
            if self._round.get(key, 0) and not self._alive.get(key):
                self._unproven.add(connection)
            self._alive.setdefault(key, set()).add(connection)
            if connection not in self._unproven:
                self._round[key] = self._round.get(key, 0) + 1

    def pinged(self, connection: Connection) -> None:
        """Note that a connection is proven alive."""
        self._unproven.discard(connection)
        for key, connections in self._alive.items():
            if connection in connections:
                self._round[key] = self._round.get(key, 0) + 1

    def gone(self, connection: Connection) -> None:
        """Note that a connection is over; begin to count when it was the last."""
        self._unproven.discard(connection)
        for key, connections in self._alive.items():
            if connection not in connections:
                continue
            connections.discard(connection)
            window_s = self._windows.get(key)
            if not connections and window_s is not None:
                self._round[key] = self._round.get(key, 0) + 1
                self._core.tasks.start_soon(self._count_down, key, self._round[key], window_s)

    async def _count_down(self, key: tuple[str, str], number: int, window_s: int) -> None:
        await self._core.clock.timing.sleep(window_s)
        name, product = key
        if self._round[key] == number and product in _CATEGORIES:
            self._desk.cancel_for(self._core.exchange.accounts[name], _CATEGORIES[product], "CancelByDCP")

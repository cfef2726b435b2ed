"""The orders that this process has had to do with: whose ids belong together, and which fills were told.

It is no second order tracker: states are the engine's. It only knows what an adapter must know to ask and to answer.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.domain.market import Side

__all__ = ["OUR_PREFIX", "KnownOrder", "KnownOrders", "cancel_id", "own_id"]

_FINISHED_MAX = 4096
"""Ended orders remembered, so that late news of them find their client id."""

_TRADES_MAX = 16_384
"""Trade ids of a market remembered as told; the engine counts each one once in any case."""

_CLIENT_ID_MAX = 36
_CANCEL_SUFFIX = "_c"
OUR_PREFIX = "mm-"
"""How client ids of this framework begin. All of them in a market are the run's: two runs do not share one."""


class KnownOrder:
    """One order.

    Attributes:
        market: Index of its market.
        client_id: Ours.
        venue_order_id: The exchange's; 0 while it is not known.
        side: As placed; None while it is not known.
        price_ticks: As last told; 0 while it is not known.
        size_lots: The whole size as last told; 0 while it is not known.
        told_lots: Sum of the fills that were told.
        taken_lots: Sum of those that the driver has taken: what the engine knew when it decided.
        is_over: The exchange has said how it ended.
        execution_id: Spot: the last execution that was told, so that a second connection tells nothing anew.
        asked_ns: When it was placed or first heard of, by our clock.
    """

    __slots__ = (
        "asked_ns",
        "client_id",
        "execution_id",
        "is_over",
        "market",
        "price_ticks",
        "side",
        "size_lots",
        "taken_lots",
        "told_lots",
        "venue_order_id",
    )

    def __init__(self, market: int, client_id: str, asked_ns: int) -> None:
        self.market = market
        self.client_id = client_id
        self.venue_order_id = 0
        self.side: Side | None = None
        self.price_ticks = 0
        self.size_lots = 0
        self.told_lots = 0
        self.taken_lots = 0
        self.is_over = False
        self.execution_id = 0
        self.asked_ns = asked_ns

    def __repr__(self) -> str:
        return f"KnownOrder({self.client_id!r}, {self.told_lots} of {self.size_lots} lots told)"


class KnownOrders:
    """All of them, by client id and by the exchange's id."""

    def __init__(self) -> None:
        self._by_client: dict[tuple[int, str], KnownOrder] = {}
        self._by_venue: dict[tuple[int, int], KnownOrder] = {}
        self._over: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._told: dict[int, OrderedDict[tuple[int, int], None]] = {}
        self._foreign: OrderedDict[tuple[int, int], None] = OrderedDict()

    def live(self, market: int) -> Iterator[KnownOrder]:
        """Yield the orders of a market that have not ended, oldest first."""
        return iter([order for order in self._by_client.values() if order.market == market and not order.is_over])

    def get(self, market: int, client_id: str) -> KnownOrder | None:
        """Return the order with a client id, if it is known."""
        return self._by_client.get((market, client_id))

    def by_venue_id(self, market: int, venue_order_id: int) -> KnownOrder | None:
        """Return the order with an id of the exchange, if it is known."""
        return self._by_venue.get((market, venue_order_id))

    def know(self, market: int, client_id: str, now_ns: int) -> KnownOrder:
        """Return the order with a client id, a new one when it was not known."""
        order = self._by_client.get((market, client_id))
        if order is None:
            order = self._by_client[(market, client_id)] = KnownOrder(market, client_id, now_ns)
        return order

    def belongs(self, order: KnownOrder, venue_order_id: int) -> None:
        """Note the exchange's id of an order."""
        if venue_order_id > 0:
            order.venue_order_id = venue_order_id
            self._by_venue[(order.market, venue_order_id)] = order

    def end(self, order: KnownOrder) -> None:
        """Note that an order is over; beyond the bound the one that ended first is forgotten."""
        order.is_over = True
        key = (order.market, order.client_id)
        self._over[key] = None
        self._over.move_to_end(key)
        while len(self._over) > _FINISHED_MAX:
            oldest, _ = self._over.popitem(last=False)
            gone = self._by_client.pop(oldest, None)
            if gone is not None:
                self._by_venue.pop((gone.market, gone.venue_order_id), None)

    def forget(self, order: KnownOrder) -> None:
        """Drop an order that the exchange does not know; should it show up after all, it is known by its name."""
        self._by_client.pop((order.market, order.client_id), None)
        self._by_venue.pop((order.market, order.venue_order_id), None)

    def tell_trade(self, market: int, trade_id: int, venue_order_id: int) -> bool:
        """Note a trade as told; False when it was told before."""
        told = self._told.setdefault(market, OrderedDict())
        key = (trade_id, venue_order_id)
        if key in told:
            return False
        told[key] = None
        if len(told) > _TRADES_MAX:
            told.popitem(last=False)
        return True

    def note_foreign(self, market: int, venue_order_id: int) -> None:
        """Note that an order of the exchange is not ours, so that nobody asks again."""
        self._foreign[(market, venue_order_id)] = None
        if len(self._foreign) > _FINISHED_MAX:
            self._foreign.popitem(last=False)

    def is_foreign(self, market: int, venue_order_id: int) -> bool:
        """Tell whether an order is known not to be ours."""
        return (market, venue_order_id) in self._foreign


def cancel_id(client_id: str) -> str:
    """Return the id that a cancelled spot order gets, empty when it would be too long.

    The exchange renames an order as it is cancelled, at random unless it is told how. With this name the order is
    still recognised among its trades.
    """
    name = client_id + _CANCEL_SUFFIX
    return name if len(name) <= _CLIENT_ID_MAX else ""


def own_id(client_id: str) -> str:
    """Return the client id with which an order was placed, whether it was cancelled since or not."""
    return client_id.removesuffix(_CANCEL_SUFFIX) if client_id.startswith(OUR_PREFIX) else client_id

"""Queue position: how many lots stand before our order at its price, from what a level-2 recording shows.

Three things move the estimate, and never twice for the same lots:

- a **trade** at the price takes lots from the front;
- a **decrease** of the level that no trade explains was cancelled before or behind us: the risk-averse model says
  behind, the probability model shares it;
- the **level's size** bounds what can be ahead.

Trades and depth arrive on different channels, so a trade usually comes before the decrease that it caused (then it
explains it) and sometimes after (then the lots by which the decrease advanced us are taken off the trade). Which of the
two a trade is follows from the venue's own clock, the same for both channels.

Sources: E. Rigtorp, "Estimating order queue position" (2013), for the shared decrease with f(x) = log(1 + x);
hftbacktest's documented queue models for the risk-averse one and for f(x) = x^n.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mmframe.domain.orders import OrderStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.builtin.simulated.options import SimulatedOptions
    from mmframe.domain.market import Side

    AheadShare = Callable[[float, float], float]

__all__ = ["UNKNOWN_QUEUE", "QueueLevel", "RestingOrder", "ahead_share"]

UNKNOWN_QUEUE = math.inf
"""Lots ahead of an order whose queue is not known: no trade at its price reaches it until the level is seen again."""

_NO_TIME_NS = -1


def ahead_share(options: SimulatedOptions) -> AheadShare | None:
    """Return the function `(ahead, behind) -> share of a decrease that was ahead`, None for the risk-averse model.

    `ahead` is above 0, `behind` is not negative, the share is in [0, 1].
    """
    if options.queue == "risk-averse":
        return None
    if options.queue_function == "log":
        return lambda ahead, behind: math.log1p(ahead) / (math.log1p(ahead) + math.log1p(behind))
    exponent = options.queue_exponent
    # (behind / ahead)^n instead of two powers: the ratio cannot overflow where it matters.
    return lambda ahead, behind: 1.0 / (1.0 + (behind / ahead) ** exponent)


class RestingOrder:
    """One order of ours at the simulated venue, and what became of it.

    Attributes:
        size_lots: Whole size, filled part included.
        ahead_lots: Lots of others before us; a fraction under the probability model; `UNKNOWN_QUEUE` when not known.
        joined_exchange_ns: Venue time of the last depth update before it joined its queue; no older trade reaches it.
        version: Counts accepted amends and fills, from 1.
        fill_count: Executions so far; the next one's number in its trade id.
    """

    __slots__ = (
        "ahead_lots",
        "client_id",
        "fill_count",
        "filled_lots",
        "is_post_only",
        "joined_exchange_ns",
        "price_ticks",
        "side",
        "size_lots",
        "status",
        "venue_order_id",
        "version",
    )

    def __init__(self, *, client_id: str, venue_order_id: str, side: Side, price_ticks: int, size_lots: int) -> None:
        self.client_id = client_id
        self.venue_order_id = venue_order_id
        self.side = side
        self.price_ticks = price_ticks
        self.size_lots = size_lots
        self.is_post_only = False
        self.status = OrderStatus.OPEN
        self.filled_lots = 0
        self.fill_count = 0
        self.version = 1
        self.joined_exchange_ns = _NO_TIME_NS
        self.ahead_lots: float = UNKNOWN_QUEUE

    @property
    def leaves_lots(self) -> int:
        """Return what is still to fill."""
        return self.size_lots - self.filled_lots


class QueueLevel:
    """Our orders at one price of one side, front first, in the recorded queue.

    Attributes:
        size_lots: What the recording shows at the price.
    """

    __slots__ = (
        "_changed_ns",
        "_last_trade_ns",
        "_traded_lots",
        "_unprinted_lots",
        "orders",
        "side",
        "size_lots",
        "ticks",
    )

    def __init__(self, side: Side, ticks: int, size_lots: int) -> None:
        self.side = side
        self.ticks = ticks
        self.size_lots = size_lots
        self.orders: list[RestingOrder] = []
        self._traded_lots = 0
        """Trades since the last decrease that can have shown them."""
        self._last_trade_ns = _NO_TIME_NS
        self._changed_ns = _NO_TIME_NS
        self._unprinted_lots: float = 0
        """Lots by which depth advanced the front order, and whose trade print may still come."""

    def join(self, order: RestingOrder, exchange_ns: int, *, is_known: bool) -> None:
        """Put `order` at the back.

        Args:
            order: The order.
            exchange_ns: The venue's time of the last depth update.
            is_known: Whether depth shows this price, so that `size_lots` is what stands before the order.
        """
        order.joined_exchange_ns = exchange_ns
        order.ahead_lots = UNKNOWN_QUEUE
        self.orders.append(order)
        if is_known:
            for queued in self.orders:
                queued.ahead_lots = min(queued.ahead_lots, self.size_lots)

    def trade(self, lots: int, exchange_ns: int, *, recorded_lots: int) -> list[tuple[RestingOrder, int]]:
        """Take a trade at this price; return what of it fills our orders, front first.

        Args:
            lots: What our orders at better prices left of it.
            exchange_ns: The venue's time of the trade.
            recorded_lots: Its whole size, which the recorded level will lose.
        """
        volume = lots
        if exchange_ns <= self._changed_ns:
            known = min(volume, math.floor(self._unprinted_lots))
            self._unprinted_lots -= known
            volume -= known
        else:
            self._traded_lots += recorded_lots
            self._last_trade_ns = max(self._last_trade_ns, exchange_ns)
        return self._consume(volume, exchange_ns)

    def trade_through(self, exchange_ns: int) -> list[RestingOrder]:
        """Take that the market traded beyond this price: nobody is before us; return our orders that it reaches."""
        reached = [order for order in self.orders if order.joined_exchange_ns < exchange_ns]
        for order in reached:
            order.ahead_lots = 0
        return reached

    def resize(self, size_lots: int, exchange_ns: int, share: AheadShare | None) -> None:
        """Take the level's new size, as of `exchange_ns`."""
        decrease = max(0, self.size_lots - size_lots)
        explained = min(decrease, self._traded_lots)
        # A depth update older than the last trade does not show that trade yet: it may still explain a later decrease.
        self._traded_lots = 0 if self._last_trade_ns <= exchange_ns else self._traded_lots - explained
        remaining = self.size_lots - explained
        front_before = self.orders[0].ahead_lots if self.orders else 0
        ahead_of_us: float = 0
        for order in self.orders:
            advanced = _advanced(order.ahead_lots, remaining, decrease - explained, size_lots, share)
            # A steep share can carry a later order past an earlier one; a queue has one order.
            order.ahead_lots = ahead_of_us = max(advanced, ahead_of_us)
        if self.orders and front_before != UNKNOWN_QUEUE:
            self._unprinted_lots += front_before - self.orders[0].ahead_lots
        self.size_lots = size_lots
        self._changed_ns = exchange_ns

    def lose_queue(self) -> None:
        """Take a gap in the recording: where we stand is not known until the level is seen again."""
        for order in self.orders:
            order.ahead_lots = UNKNOWN_QUEUE
        self._traded_lots = 0
        self._unprinted_lots = 0

    def _consume(self, volume: int, exchange_ns: int) -> list[tuple[RestingOrder, int]]:
        fills: list[tuple[RestingOrder, int]] = []
        reached = [order for order in self.orders if order.joined_exchange_ns < exchange_ns]
        consumed: float = 0
        for order in reached:
            between = order.ahead_lots - consumed
            if volume <= between:
                consumed += volume
                break
            # A fraction of a lot before us keeps the whole lot from us.
            volume -= math.ceil(between)
            consumed = order.ahead_lots
            size = min(volume, order.leaves_lots)
            if size:
                fills.append((order, size))
                volume -= size
            if not volume:
                break
        for order in reached:
            order.ahead_lots = max(0, order.ahead_lots - consumed)
        return fills


def _advanced(ahead: float, remaining: int, unexplained: int, size_lots: int, share: AheadShare | None) -> float:
    """Return the lots ahead after `unexplained` of the level's `remaining` lots went away and left `size_lots`."""
    if share is not None and unexplained and 0 < ahead != UNKNOWN_QUEUE:
        ahead = max(0.0, ahead - unexplained * share(ahead, max(0.0, remaining - ahead)))
    return ahead if ahead < size_lots else size_lots

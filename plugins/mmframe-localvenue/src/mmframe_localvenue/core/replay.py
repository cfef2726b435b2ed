"""A market that repeats a recording: the book and the tape are the recording's, our orders are filled by simulation.

It offers what the venue asks of `mmframe.builtin.exchange`'s matching engine, so that accounts, dialects and the god
view do not know the difference. What does differ: orders of accounts are not part of the public book, their trades are
not on the public tape, accounts do not trade with each other, and strangers cannot be made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.exchange.matching import Execution, Order, Reject, SelfTradePrevention
from mmframe.builtin.simulated.market import SimulatedMarket
from mmframe.builtin.simulated.queue import RestingOrder
from mmframe.domain.market import NEVER_NS, MessageKind, Side
from mmframe.domain.orders import OrderStatus, TimeInForce
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.builtin.simulated.market import Execution as Simulated
    from mmframe.domain.market import MarketBatch
    from mmframe.ports import History

__all__ = ["ReplayEngine"]

_FIRST_FILL_ID = 10**9
"""Fills of accounts are not on the public tape, whose ids go on without them."""
_ANY_PRICE_TICKS = {Side.BUY: NEVER_NS, Side.SELL: 0}
_STRANGERS = "a replayed market has no strangers but those of the recording"


class ReplayEngine:
    """One recorded market.

    Args:
        history: Where the recording is read, batch by batch, as its time comes.
        index: The market's index in the history.
        opens_ns: When the venue opens; the first whole book is shown at that time.

    Attributes:
        executions: Fills of accounts' orders by the last operation or message; the other side has order id 0.
        prevented: Resting orders that the last operation's self-trade prevention removed.
        next_ns: When the next message of the recording is due; `NEVER_NS` after the last.

    Raises:
        DomainError: If the recording has no whole book of that market.
        DataError: If it cannot be read.
    """

    def __init__(self, history: History, index: int, *, opens_ns: int) -> None:
        self._index = index
        self._messages = self._read(history)
        self._book = SortedBook()
        self._simulated = SimulatedMarket(None, fill_on_cross=True)
        self._orders: dict[int, Order] = {}
        self._resting: dict[int, RestingOrder] = {}
        self._changed: set[tuple[int, int]] = set()
        self._last_order_id = 0
        self._last_print_id = 0
        self._last_fill_id = _FIRST_FILL_ID
        self.executions: list[Execution] = []
        self.prevented: list[Order] = []
        self._tape: list[Execution] = []
        self._next: tuple[MarketBatch, int] | None = next(self._messages, None)
        self._shift_ns = 0
        self._skip_to_book(opens_ns)

    @property
    def next_ns(self) -> int:
        """Return when the next message is due, in the venue's time."""
        if self._next is None:
            return NEVER_NS
        batch, place = self._next
        return batch.receive_ns[place] + self._shift_ns

    def step(self) -> None:
        """Take the next message of the recording."""
        if self._next is None:
            return
        self.begin()
        batch, place = self._next
        self._next = next(self._messages, None)
        kind = batch.kinds[place]
        if kind == MessageKind.TRADE:
            self._print(batch, place)
        elif kind != MessageKind.GAP:
            self._apply(batch, place, is_whole=kind == MessageKind.SNAPSHOT)
        self._book_fills(self._simulated.observe(batch, place, self._book) or [])

    # What the matching engine offers

    def begin(self) -> None:
        """Forget what the last operation filled."""
        self.executions = []
        self.prevented = []

    def limit(  # noqa: PLR0913 - an order has these facts
        self,
        owner: str,
        side: int,
        price_ticks: int,
        size_lots: int,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        is_post_only: bool = False,
        client_id: str = "",
        prevention: SelfTradePrevention | None = None,
    ) -> Order:
        """Submit a limit order and return it as it stands afterwards.

        Raises:
            DomainError: If it has no owner.
        """
        if not owner:
            raise DomainError(_STRANGERS, hint="use `trade_against`, or a market with a crowd or a still book")
        self.begin()
        self._last_order_id += 1
        mode = prevention or SelfTradePrevention.NONE
        order = Order(self._last_order_id, owner, side, price_ticks, size_lots, client_id, is_post_only, mode)
        if is_post_only and self.would_take(side, price_ticks):
            return _end(order, OrderStatus.REJECTED, Reject.WOULD_TAKE)
        takeable = self._simulated.takeable_lots(Side(side), price_ticks)
        if time_in_force is TimeInForce.FOK and takeable < size_lots:
            return _end(order, OrderStatus.EXPIRED, Reject.NOT_FILLABLE)
        if self._prevents(order):
            return _end(order, OrderStatus.EXPIRED, Reject.SELF_TRADE)
        self._enter(order, may_rest=time_in_force is TimeInForce.GTC)
        return order

    def market(
        self,
        owner: str,
        side: int,
        size_lots: int,
        *,
        client_id: str = "",
        prevention: SelfTradePrevention | None = None,
    ) -> Order:
        """Submit a market order and return it as it stands afterwards."""
        order = self.limit(
            owner,
            side,
            _ANY_PRICE_TICKS[Side(side)],
            size_lots,
            time_in_force=TimeInForce.IOC,
            client_id=client_id,
            prevention=prevention,
        )
        order.price_ticks = 0
        return order

    def cancel(self, order_id: int) -> Reject:
        """Remove a resting order; UNKNOWN_ORDER when there is none."""
        self.begin()
        order = self._orders.get(order_id)
        if order is None:
            return Reject.UNKNOWN_ORDER
        self._remove(order, OrderStatus.CANCELED)
        return Reject.NONE

    def amend(
        self, order_id: int, *, price_ticks: int, leaves_lots: int, expected_version: int | None = None
    ) -> Reject:
        """Change price or remaining size; only a smaller size at the same price keeps the place in the queue."""
        self.begin()
        order = self._orders.get(order_id)
        if order is None:
            return Reject.UNKNOWN_ORDER
        if expected_version is not None and expected_version != order.version:
            return Reject.VERSION_CONFLICT
        if order.is_post_only and self.would_take(order.side, price_ticks):
            return Reject.WOULD_TAKE
        keeps_place = price_ticks == order.price_ticks and leaves_lots <= order.leaves_lots
        resting = self._resting[order_id]
        if not keeps_place:
            self._simulated.remove(resting)
        order.price_ticks = resting.price_ticks = price_ticks
        order.leaves_lots = leaves_lots
        order.size_lots = resting.size_lots = order.filled_lots + leaves_lots
        order.version += 1
        if not keeps_place:
            del self._orders[order_id], self._resting[order_id]
            self._enter(order, may_rest=True)
        return Reject.NONE

    def order(self, order_id: int) -> Order | None:
        """Return a resting order, or None."""
        return self._orders.get(order_id)

    def fill(self, order_id: int, lots: int) -> None:
        """Fill a resting order as maker out of nothing: a stranger's hand, not the recording's."""
        self.begin()
        order = self._orders[order_id]
        resting = self._resting[order_id]
        resting.filled_lots += lots
        if not resting.leaves_lots:
            self._simulated.remove(resting)
        self._execute(order, order.price_ticks, lots, is_maker=True)

    def best(self, side: int) -> int:
        """Return the best recorded price of a side, in ticks; 0 when it is empty."""
        levels = self._book.levels(Side(side), 1)
        return levels[0][0] if levels else 0

    def would_take(self, side: int, price_ticks: int) -> bool:
        """Tell whether an order at that price would meet the other side."""
        return self._simulated.crosses(Side(side), price_ticks)

    def level_count(self, side: int) -> int:
        """Return how many levels a side has."""
        return self._book.level_count(Side(side))

    def levels(self, side: int, count: int) -> list[tuple[int, int]]:
        """Return at most `count` `(ticks, lots)` from best to worst."""
        return self._book.levels(Side(side), count)

    def orders_at(self, side: int, price_ticks: int) -> Iterator[Order]:
        """Yield the accounts' orders at one price."""
        for order in self._orders.values():
            if order.side == side and order.price_ticks == price_ticks:
                yield order

    def take_changes(self) -> list[tuple[int, int, int]]:
        """Return `(side, ticks, lots now)` of every level touched since the last call, bids first."""
        changes = [(side, ticks, self._book.lots_at(Side(side), ticks)) for side, ticks in sorted(self._changed)]
        self._changed.clear()
        return changes

    def take_tape(self) -> list[Execution]:
        """Return the recorded trades since the last call, as executions between nobody and nobody."""
        tape, self._tape = self._tape, []
        return tape

    # Private

    def _read(self, history: History) -> Iterator[tuple[MarketBatch, int]]:
        for batch in history.batches():
            if batch.market == self._index:
                for place in range(len(batch)):
                    yield batch, place

    def _skip_to_book(self, opens_ns: int) -> None:
        while self._next is not None:
            batch, place = self._next
            if batch.kinds[place] == MessageKind.SNAPSHOT:
                self._shift_ns = opens_ns - batch.receive_ns[place]
                self.step()
                self.take_changes()
                return
            self._next = next(self._messages, None)
        msg = f"replay: expected a recording with a whole book of market {self._index}, found none"
        raise DomainError(msg)

    def _apply(self, batch: MarketBatch, place: int, *, is_whole: bool) -> None:
        if is_whole:
            for side in (Side.BUY, Side.SELL):
                count = self._book.level_count(side)
                self._changed.update((int(side), ticks) for ticks, _ in self._book.levels(side, count))
            self._book.clear()
        start, end = batch.offsets[place], batch.offsets[place + 1]
        self._book.apply(batch.sides, batch.ticks, batch.lots, start, end)
        self._changed.update((batch.sides[change], batch.ticks[change]) for change in range(start, end))

    def _print(self, batch: MarketBatch, place: int) -> None:
        for side, ticks, lots in batch.changes(place):
            self._last_print_id += 1
            self._tape.append(Execution(self._last_print_id, 0, 0, "", "", side, ticks, lots))

    def _prevents(self, order: Order) -> bool:
        """Remove the owner's orders that a new one would meet, as its mode wants; return whether the new one ends."""
        if order.prevention is SelfTradePrevention.NONE:
            return False
        other = Side.SELL if order.side == Side.BUY else Side.BUY
        met = [
            one
            for one in self._orders.values()
            if one.owner == order.owner
            and one.side == other
            and (
                one.price_ticks <= order.price_ticks if order.side == Side.BUY else one.price_ticks >= order.price_ticks
            )
        ]
        if met and order.prevention is not SelfTradePrevention.EXPIRE_TAKER:
            for one in met:
                self._remove(one, OrderStatus.EXPIRED)
                one.reject = Reject.SELF_TRADE
                self.prevented.append(one)
        return bool(met) and order.prevention is not SelfTradePrevention.EXPIRE_MAKER

    def _enter(self, order: Order, *, may_rest: bool) -> None:
        """Let an order take what the recording shows, then rest or expire."""
        resting = RestingOrder(
            client_id=str(order.order_id),
            venue_order_id="",
            side=Side(order.side),
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
        )
        resting.filled_lots = order.filled_lots
        self._orders[order.order_id] = order
        self._resting[order.order_id] = resting
        self._book_fills(self._simulated.take(resting))
        if order.status is not OrderStatus.OPEN:
            return
        if may_rest:
            self._simulated.rest(resting)
            return
        self._forget(order)
        _end(order, OrderStatus.EXPIRED, Reject.NO_LIQUIDITY)

    def _book_fills(self, fills: list[Simulated]) -> None:
        for fill in fills:
            order = self._orders[int(fill.order.client_id)]
            self._execute(order, fill.price_ticks, fill.lots, is_maker=fill.is_maker)

    def _execute(self, order: Order, price_ticks: int, lots: int, *, is_maker: bool) -> None:
        self._last_fill_id += 1
        maker, taker = (order.order_id, 0) if is_maker else (0, order.order_id)
        taker_side = order.side if not is_maker else 1 - order.side
        self.executions.append(
            Execution(
                self._last_fill_id,
                maker,
                taker,
                order.owner if is_maker else "",
                "" if is_maker else order.owner,
                taker_side,
                price_ticks,
                lots,
            )
        )
        order.filled_lots += lots
        order.leaves_lots -= lots
        order.version += 1
        if not order.leaves_lots:
            order.status = OrderStatus.FILLED
            self._forget(order)

    def _remove(self, order: Order, status: OrderStatus) -> None:
        self._simulated.remove(self._resting[order.order_id])
        self._forget(order)
        order.status = status
        order.leaves_lots = 0

    def _forget(self, order: Order) -> None:
        del self._orders[order.order_id], self._resting[order.order_id]


def _end(order: Order, status: OrderStatus, reject: Reject) -> Order:
    order.status = status
    order.reject = reject
    order.leaves_lots = 0
    return order

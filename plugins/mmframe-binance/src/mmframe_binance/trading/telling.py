"""What the venues tell the driver: the exchange's texts as events on the grid, and the orders that they are about."""

from __future__ import annotations

from collections import deque
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.grid import price_column, size_column
from mmframe.domain.market import Side
from mmframe.domain.orders import BalanceUpdate, Fill, OrderReport, OrderStatus, OrderUpdate
from mmframe.errors import DomainError
from mmframe_binance.trading.orders import OUR_PREFIX, KnownOrders, own_id
from mmframe_binance.trading.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Request, VenueEvent
    from mmframe.net.timing import Timing
    from mmframe_binance.trading.clock import ClockOffset
    from mmframe_binance.trading.orders import KnownOrder
    from mmframe_binance.trading.wire import OrderAnswer

__all__ = ["ENDS", "MS_NS", "ORDER_STATUSES", "Execution", "Teller", "amount", "side_of"]

MS_NS = 1_000_000
_MAGNITUDE_MAX = 30

ORDER_STATUSES = {
    "NEW": OrderStatus.OPEN,
    "PENDING_NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.OPEN,
    "PENDING_CANCEL": OrderStatus.OPEN,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
}
"""By the exchange's word; another word says nothing that we know."""

ENDS = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


class Execution(NamedTuple):
    """One execution, however the exchange told it."""

    trade_id: int
    side: Side
    price: str
    size: str
    fee: str
    fee_asset: str
    is_maker: bool
    time_ms: int


class Teller:
    """Events in order, made from answers and private events, and what is known of the orders in them.

    Args:
        instruments: The strategy's markets, by index.
        symbols: The exchange's names of them.
        clock: The exchange's clock against ours.
        timing: Our clock.
        cuts_to_grid: Whether figures off the strategy's grid are cut to it, for who only removes orders; otherwise they
            are errors.

    Attributes:
        orders: The orders that this process has had to do with.
        last_trade_ms: By market: the exchange's time of the newest trade seen; 0 before the first.
        last_trade_id: By market: its id.
        notify: Called after each event.
    """

    def __init__(
        self,
        instruments: tuple[Instrument, ...],
        symbols: Sequence[str],
        clock: ClockOffset,
        timing: Timing,
        *,
        cuts_to_grid: bool = False,
    ) -> None:
        self.orders = KnownOrders()
        self.last_trade_ms = [0 for _ in symbols]
        self.last_trade_id = [0 for _ in symbols]
        self.notify: Callable[[], None] = _nothing
        self._instruments = instruments
        self._symbols = symbols
        self._clock = clock
        self._timing = timing
        self._cuts_to_grid = cuts_to_grid
        self._prices = tuple(price_column(instrument) for instrument in instruments)
        self._sizes = tuple(size_column(instrument, units_min=0) for instrument in instruments)
        self._events: deque[VenueEvent] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def drain(self) -> list[VenueEvent]:
        """Return what was told, in order; each event once."""
        events = list(self._events)
        self._events.clear()
        for event in events:
            if isinstance(event, Fill):
                order = self.orders.get(event.market, event.client_id)
                if order is not None:
                    order.taken_lots += event.size_lots
        return events

    def tell(self, event: VenueEvent) -> None:
        """Tell one event."""
        self._events.append(event)
        self.notify()

    # Orders.

    def state(  # noqa: PLR0913 - what an update says, each thing by its name
        self,
        order: KnownOrder,
        status: OrderStatus,
        request: Request,
        *,
        filled_lots: int,
        time_ms: int,
        receive_ns: int,
        reason: str = "",
    ) -> None:
        """Tell how an order stands by the exchange's word."""
        if status in ENDS:
            self.orders.end(order)
        self.tell(
            OrderUpdate(
                market=order.market,
                client_id=order.client_id,
                status=status,
                request=request,
                exchange_ns=time_ms * MS_NS,
                receive_ns=receive_ns,
                venue_order_id=str(order.venue_order_id or ""),
                price_ticks=order.price_ticks,
                size_lots=order.size_lots,
                filled_lots=filled_lots,
                reason=reason,
            )
        )

    def answer(  # noqa: PLR0913 - what an update says, each thing by its name
        self,
        market: int,
        client_id: str,
        status: OrderStatus,
        request: Request,
        now_ns: int,
        *,
        reason: str = "",
        order: KnownOrder | None = None,
        new_client_id: str = "",
        filled_lots: int = 0,
    ) -> None:
        """Tell what became of a request; with an order, also the figures that it keeps."""
        self.tell(
            OrderUpdate(
                market=market,
                client_id=client_id,
                status=status,
                request=request,
                exchange_ns=self._clock.timestamp_ms(now_ns) * MS_NS,
                receive_ns=now_ns,
                price_ticks=0 if order is None else order.price_ticks,
                size_lots=0 if order is None else order.size_lots,
                filled_lots=filled_lots,
                new_client_id=new_client_id,
                reason=reason,
            )
        )

    def unchanged(
        self, order: KnownOrder, request: Request, now_ns: int, reason: str, *, new_client_id: str = ""
    ) -> None:
        """Tell that an order stands as it did; without a size when that is not known, so that it is asked for."""
        self.answer(
            order.market,
            order.client_id,
            OrderStatus.UNCHANGED,
            request,
            now_ns,
            reason=reason,
            order=order if order.venue_order_id and not order.is_over else None,
            new_client_id=new_client_id,
        )

    def report(self, market: int, answer: OrderAnswer) -> OrderReport:
        """Return one open order of a list; others' may be off our grid and are cut to it."""
        instrument = self._instruments[market]
        order = self.orders.by_venue_id(market, answer.order_id)
        return OrderReport(
            client_id=order.client_id if order is not None else answer.client_order_id,
            venue_order_id=str(answer.order_id),
            side=side_of(answer.side),
            price_ticks=_whole_units(answer.price, instrument.tick_size),
            size_lots=_whole_units(answer.size, instrument.lot_size),
            filled_lots=_whole_units(answer.executed_qty, instrument.lot_size),
        )

    def ours(self, market: int, venue_order_id: int, *names: str) -> KnownOrder | None:
        """Return the order of ours that something is about, None for others'.

        Args:
            market: Index of the market.
            venue_order_id: The exchange's id.
            names: Client ids that it may have, the order's own first.
        """
        order = self.orders.by_venue_id(market, venue_order_id)
        if order is not None:
            return order
        for name in map(own_id, names):
            if name and (name.startswith(OUR_PREFIX) or self.orders.get(market, name) is not None):
                order = self.orders.know(market, name, self._timing.now_ns())
                self.orders.belongs(order, venue_order_id)
                return order
        self.orders.note_foreign(market, venue_order_id)
        return None

    def note(self, order: KnownOrder, *, side: str, price: str, size: str) -> None:
        """Note an order's figures.

        Raises:
            DomainError: If they are off the strategy's grid.
        """
        order.side = side_of(side)
        order.price_ticks = self._ticks(order.market, price)
        order.size_lots = self.lots(order.market, size)

    def lots(self, market: int, size: str) -> int:
        """Return a size of ours in lots.

        Raises:
            DomainError: If it is off the strategy's grid.
        """
        if self._cuts_to_grid:
            return _whole_units(size, self._instruments[market].lot_size)
        return self._sizes[market][size]

    def signed_lots(self, market: int, size: str) -> int:
        """Return a position in lots.

        Raises:
            DomainError: If it is off the strategy's grid.
        """
        instrument = self._instruments[market]
        return _whole_units(size, instrument.lot_size) if self._cuts_to_grid else instrument.size_lots(size)

    def _ticks(self, market: int, price: str) -> int:
        if self._cuts_to_grid:
            return _whole_units(price, self._instruments[market].tick_size)
        return self._prices[market][price]

    # Executions and money.

    def fill(self, order: KnownOrder, execution: Execution, receive_ns: int) -> bool:
        """Tell one execution of an order of ours; False when it was told before, or has no place on a grid that is cut.

        Raises:
            DomainError: If it is off the strategy's grid.
            WireError: If its fee is no amount.
        """
        try:
            price_ticks, lots = self._prices[order.market][execution.price], self._sizes[order.market][execution.size]
        except DomainError:
            if self._cuts_to_grid:
                return False
            raise
        fee = amount(execution.fee)
        # With the order's id: both sides of a trade with ourselves have the same trade id.
        if not self.orders.tell_trade(order.market, execution.trade_id, order.venue_order_id):
            return False
        order.told_lots += lots
        order.side = execution.side
        self.seen_trade(order.market, execution.trade_id, execution.time_ms)
        self.tell(
            Fill(
                market=order.market,
                client_id=order.client_id,
                venue_trade_id=f"{execution.trade_id}-{order.venue_order_id}",
                side=execution.side,
                price_ticks=price_ticks,
                size_lots=lots,
                is_maker=execution.is_maker,
                fee=fee,
                fee_asset=execution.fee_asset,
                exchange_ns=execution.time_ms * MS_NS,
                receive_ns=receive_ns,
                venue_order_id=str(order.venue_order_id),
            )
        )
        return True

    def seen_trade(self, market: int, trade_id: int, time_ms: int) -> None:
        """Note how far the account's trades are known."""
        self.last_trade_ms[market] = max(self.last_trade_ms[market], time_ms)
        self.last_trade_id[market] = max(self.last_trade_id[market], trade_id)

    def balance(self, asset: str, free: Decimal, locked: Decimal, receive_ns: int) -> None:
        """Tell what there is of an asset."""
        self.tell(BalanceUpdate(asset, free, locked, receive_ns))


def amount(text: str) -> Decimal:
    """Return an amount that the exchange wrote.

    Raises:
        WireError: If it is not a finite number of sane magnitude.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > _MAGNITUDE_MAX:
        raise WireError(f"amount: expected a finite number of sane magnitude, was {text[:40]!r}")
    return number


def side_of(text: str) -> Side:
    """Return the side that the exchange names."""
    return Side.BUY if text == "BUY" else Side.SELL


def _whole_units(text: str, step: Decimal) -> int:
    return int(amount(text) // step)


def _nothing() -> None:
    """Do nothing: nobody drives yet."""

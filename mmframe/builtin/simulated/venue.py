"""The simulated venue: takes requests after their latency, answers them, and reports what the recorded market fills.

One time frame, the receive clock of the market data: what we see at r happened `feed_latency` earlier at the venue, so
a request sent at t meets the messages received at t + order latency + feed latency, and its answer is seen then.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mmframe.builtin.simulated.fees import FeeSchedule
from mmframe.builtin.simulated.market import SimulatedMarket
from mmframe.builtin.simulated.queue import RestingOrder, ahead_share
from mmframe.domain.market import NEVER_NS, MarketBatch, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Action,
    Amend,
    Approved,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderReport,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
    VenueCapabilities,
    VenueEvent,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

    from mmframe.builtin.simulated.market import Execution
    from mmframe.builtin.simulated.options import SimulatedOptions
    from mmframe.domain.instrument import Instrument
    from mmframe.ports import Book

__all__ = ["REMEMBERED_ORDERS_MAX", "SimulatedVenue"]

REMEMBERED_ORDERS_MAX = 10_000
"""Ended orders of a market that queries and the check for repeated ids know; beyond it the oldest is forgotten."""

_NS_PER_MS = 1_000_000

_WOULD_TAKE = "post-only order would take"
_OWN_ORDER = "order would trade with another order of ours"


class SimulatedVenue:
    """A venue whose fills follow from public market data.

    Requests arrive in the order in which they were sent, whatever the jitter, as on one connection. How many are under
    way is bounded by the gate's order rate times the latency.
    """

    capabilities = VenueCapabilities(
        can_amend=True,
        shrink_keeps_priority=True,
        can_replace=True,
        has_idempotent_client_id=True,
        is_virtual=True,
    )

    def __init__(self, instruments: Sequence[Instrument], options: SimulatedOptions, source: random.Random) -> None:
        """Make the venue.

        Args:
            instruments: The strategy's markets, in market order.
            options: As in the strategy file.
            source: Seeded numbers for the jitter.

        Raises:
            DomainError: If fees are in an asset without a price.
        """
        share = ahead_share(options)
        self.next_event_ns = NEVER_NS
        self._instruments = tuple(instruments)
        self._markets = [SimulatedMarket(share, fill_on_cross=options.fill_on_cross) for _ in instruments]
        self._fees = [FeeSchedule.from_options(options, instrument) for instrument in instruments]
        self._orders: list[dict[str, RestingOrder]] = [{} for _ in instruments]
        self._ended: list[dict[str, RestingOrder]] = [{} for _ in instruments]
        self._order_count = 0
        self._feed_latency_ns = round(options.feed_latency_ms * _NS_PER_MS)
        self._delay_ns = self._feed_latency_ns + round(options.order_latency_ms * _NS_PER_MS)
        self._jitter_ns = options.latency_jitter_ms * _NS_PER_MS
        self._random = source
        self._under_way: deque[tuple[int, Action]] = deque()
        self._last_arrival_ns = 0
        self._events: list[VenueEvent] = []
        self._handlers: dict[type, Callable[..., None]] = {
            Submit: self._submit,
            Amend: self._amend,
            Replace: self._replace,
            Cancel: self._cancel,
            CancelAll: self._cancel_all,
            QueryOrder: self._query_order,
            QueryOpenOrders: self._query_open_orders,
        }

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Send one approved action; it arrives after the latency.

        Raises:
            TypeError: If it is not an `Approved`.
        """
        if type(approved) is not Approved:
            msg = f"execute: expected an Approved action, was {type(approved).__name__}"
            raise TypeError(msg)
        arrival_ns = now_ns + self._delay_ns
        if self._jitter_ns:
            arrival_ns += int(self._random.random() * self._jitter_ns)
        self._last_arrival_ns = max(self._last_arrival_ns, arrival_ns)
        self._under_way.append((self._last_arrival_ns, approved.action))
        self.next_event_ns = min(self.next_event_ns, self._last_arrival_ns)

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:
        """Let requests arrive that are due, and return what happened up to `now_ns`."""
        if now_ns < self.next_event_ns:
            return ()
        under_way = self._under_way
        while under_way and under_way[0][0] <= now_ns:
            arrival_ns, action = under_way.popleft()
            self._handlers[type(action)](action, arrival_ns)
        events, self._events = self._events, []
        self.next_event_ns = under_way[0][0] if under_way else NEVER_NS
        return events

    async def run(self, notify: Callable[[], None]) -> None:
        """Return at once: this venue lives on the driver's clock."""

    def observe(self, batch: MarketBatch, index: int, book: Book) -> None:
        """Take message `index` of `batch`, which `book` has already applied."""
        executions = self._markets[batch.market].observe(batch, index, book)
        if executions:
            receive_ns = batch.receive_ns[index]
            self._report(batch.market, executions, exchange_ns=batch.exchange_ns[index], receive_ns=receive_ns)
            self.next_event_ns = min(self.next_event_ns, receive_ns)

    def _submit(self, action: Submit, now_ns: int) -> None:
        market = action.market
        refusal = self._refusal(action, action.side, action.size_lots, post_only=action.is_post_only)
        if action.client_id in self._orders[market] or action.client_id in self._ended[market]:
            refusal = "client id was used before"
        if refusal:
            self._answer_refused(market, action.client_id, Request.SUBMIT, OrderStatus.REJECTED, refusal, now_ns)
            return
        order = self._new_order(action.client_id, action.side, action.price_ticks, action.size_lots)
        order.is_post_only = action.is_post_only
        takeable = self._markets[market].takeable_lots(order.side, order.price_ticks)
        needed = {TimeInForce.IOC: 1, TimeInForce.FOK: order.size_lots}.get(action.time_in_force, 0)
        if takeable < needed:
            self._end(market, order, OrderStatus.EXPIRED)
            self._answer(market, order, Request.SUBMIT, now_ns, reason=f"{takeable} lots to take, {needed} needed")
            return
        self._answer(market, order, Request.SUBMIT, now_ns)
        self._enter(market, order, now_ns, may_rest=action.time_in_force == TimeInForce.GTC)

    def _amend(self, action: Amend, now_ns: int) -> None:
        market = action.market
        order = self._orders[market].get(action.client_id)
        refusal = self._amend_refusal(market, order, action)
        if order is None:
            self._answer_refused(market, action.client_id, Request.AMEND, OrderStatus.UNCHANGED, refusal, now_ns)
            return
        if refusal:
            self._answer(market, order, Request.AMEND, now_ns, status=OrderStatus.UNCHANGED, reason=refusal)
            return
        keeps_place = action.price_ticks == order.price_ticks and action.leaves_lots <= order.leaves_lots
        if not keeps_place:
            self._markets[market].remove(order)
        order.size_lots = order.filled_lots + action.leaves_lots
        order.price_ticks = action.price_ticks
        order.version += 1
        self._answer(market, order, Request.AMEND, now_ns)
        if not keeps_place:
            self._enter(market, order, now_ns, may_rest=True)

    def _replace(self, action: Replace, now_ns: int) -> None:
        market = action.market
        old = self._orders[market].get(action.client_id)
        if old is None:
            reason = self._absence(market, action.client_id)
            self._answer_refused(market, action.client_id, Request.REPLACE, OrderStatus.UNCHANGED, reason, now_ns)
            return
        self._markets[market].remove(old)
        refusal = self._refusal(action, old.side, action.size_lots, post_only=action.is_post_only)
        if action.new_client_id in self._orders[market] or action.new_client_id in self._ended[market]:
            refusal = "new client id was used before"
        self._end(market, old, OrderStatus.CANCELED)
        if refusal:
            self._answer(market, old, Request.REPLACE, now_ns, status=OrderStatus.CANCELED_ONLY, reason=refusal)
            return
        new = self._new_order(action.new_client_id, old.side, action.price_ticks, action.size_lots)
        new.is_post_only = action.is_post_only
        self._answer(
            market, old, Request.REPLACE, now_ns, status=OrderStatus.REPLACED, new_client_id=action.new_client_id
        )
        self._answer(market, new, Request.STREAM, now_ns)
        self._enter(market, new, now_ns, may_rest=True)

    def _cancel(self, action: Cancel, now_ns: int) -> None:
        order = self._orders[action.market].get(action.client_id)
        if order is None:
            reason = self._absence(action.market, action.client_id)
            self._answer_refused(action.market, action.client_id, Request.CANCEL, OrderStatus.UNCHANGED, reason, now_ns)
            return
        self._remove(action.market, order, now_ns)

    def _cancel_all(self, action: CancelAll, now_ns: int) -> None:
        for market in self._selected(action.market):
            for order in tuple(self._orders[market].values()):
                self._remove(market, order, now_ns)

    def _query_order(self, action: QueryOrder, now_ns: int) -> None:
        market, client_id = action.market, action.client_id
        order = self._orders[market].get(client_id) or self._ended[market].get(client_id)
        if order is None:
            reason = self._absence(market, client_id)
            self._answer_refused(market, client_id, Request.QUERY, OrderStatus.NOT_FOUND, reason, now_ns)
            return
        self._answer(market, order, Request.QUERY, now_ns)

    def _query_open_orders(self, action: QueryOpenOrders, now_ns: int) -> None:
        for market in self._selected(action.market):
            reports = tuple(
                OrderReport(
                    client_id=order.client_id,
                    venue_order_id=order.venue_order_id,
                    side=order.side,
                    price_ticks=order.price_ticks,
                    size_lots=order.size_lots,
                    filled_lots=order.filled_lots,
                    version=order.version,
                )
                for order in self._orders[market].values()
            )
            self._events.append(
                OpenOrdersReport(
                    market=market, orders=reports, exchange_ns=now_ns - self._feed_latency_ns, receive_ns=now_ns
                )
            )

    def _enter(self, market: int, order: RestingOrder, now_ns: int, *, may_rest: bool) -> None:
        """Let an accepted order take what it can, then rest or expire."""
        self._orders[market][order.client_id] = order
        executions = self._markets[market].take(order)
        self._report(market, executions, exchange_ns=now_ns - self._feed_latency_ns, receive_ns=now_ns)
        if not order.leaves_lots:
            return
        if may_rest:
            self._markets[market].rest(order)
            return
        self._end(market, order, OrderStatus.EXPIRED)
        self._answer(market, order, Request.STREAM, now_ns, reason="remainder of an immediate order")

    def _remove(self, market: int, order: RestingOrder, now_ns: int) -> None:
        self._markets[market].remove(order)
        self._end(market, order, OrderStatus.CANCELED)
        self._answer(market, order, Request.CANCEL, now_ns)

    def _new_order(self, client_id: str, side: Side, price_ticks: int, size_lots: int) -> RestingOrder:
        self._order_count += 1
        return RestingOrder(
            client_id=client_id,
            venue_order_id=f"simulated-{self._order_count}",
            side=side,
            price_ticks=price_ticks,
            size_lots=size_lots,
        )

    def _end(self, market: int, order: RestingOrder, status: OrderStatus) -> None:
        order.status = status
        self._orders[market].pop(order.client_id, None)
        ended = self._ended[market]
        ended[order.client_id] = order
        if len(ended) > REMEMBERED_ORDERS_MAX:
            del ended[next(iter(ended))]

    def _selected(self, market: int) -> Iterable[int]:
        return range(len(self._markets)) if market == ALL_MARKETS else (market,)

    def _refusal(self, action: Submit | Amend | Replace, side: Side, size_lots: int, *, post_only: bool) -> str:
        """Return why the venue refuses such an order, empty when it does not."""
        instrument, simulated = self._instruments[action.market], self._markets[action.market]
        ticks = action.price_ticks
        if ticks <= 0:
            return f"price is {ticks} ticks, expected above 0"
        lots_max = instrument.max_size_lots or size_lots
        if not instrument.min_size_lots <= size_lots <= lots_max:
            return f"size is {size_lots} lots, expected {instrument.min_size_lots} to {instrument.max_size_lots}"
        if instrument.notional_quote(ticks, size_lots) < instrument.min_notional_quote:
            return f"value is below {instrument.min_notional_quote} {instrument.quote}"
        if simulated.crosses_own(side, ticks):
            return _OWN_ORDER
        return _WOULD_TAKE if post_only and simulated.crosses(side, ticks) else ""

    def _amend_refusal(self, market: int, order: RestingOrder | None, action: Amend) -> str:
        if order is None:
            return self._absence(market, action.client_id)
        if action.expected_version not in {0, order.version}:
            return f"version conflict: expected {action.expected_version}, was {order.version}"
        if action.price_ticks == order.price_ticks and 0 < action.leaves_lots <= order.leaves_lots:
            return ""
        return self._refusal(action, order.side, action.leaves_lots, post_only=order.is_post_only)

    def _absence(self, market: int, client_id: str) -> str:
        ended = self._ended[market].get(client_id)
        return "no order has this client id" if ended is None else f"order is {ended.status.value}"

    def _report(self, market: int, executions: Iterable[Execution], *, exchange_ns: int, receive_ns: int) -> None:
        fees = self._fees[market]
        for execution in executions:
            order = execution.order
            order.fill_count += 1
            order.version += 1
            if not order.leaves_lots and order.status is OrderStatus.OPEN:
                self._end(market, order, OrderStatus.FILLED)
            self._events.append(
                Fill(
                    market=market,
                    client_id=order.client_id,
                    # Client ids are unique over runs, so this is too, and the same in every repetition of a run.
                    venue_trade_id=f"{order.client_id}-{order.fill_count}",
                    side=order.side,
                    price_ticks=execution.price_ticks,
                    size_lots=execution.lots,
                    is_maker=execution.is_maker,
                    fee=fees.fee(execution.price_ticks, execution.lots, is_maker=execution.is_maker),
                    fee_asset=fees.asset,
                    exchange_ns=exchange_ns,
                    receive_ns=receive_ns,
                    venue_order_id=order.venue_order_id,
                )
            )
            is_last = execution.filled_lots == order.size_lots
            self._events.append(
                OrderUpdate(
                    market=market,
                    client_id=order.client_id,
                    status=OrderStatus.FILLED if is_last else OrderStatus.OPEN,
                    request=Request.STREAM,
                    exchange_ns=exchange_ns,
                    receive_ns=receive_ns,
                    venue_order_id=order.venue_order_id,
                    price_ticks=order.price_ticks,
                    size_lots=order.size_lots,
                    filled_lots=execution.filled_lots,
                    version=order.version,
                )
            )

    def _answer(  # noqa: PLR0913 - each argument is one thing that an answer can say
        self,
        market: int,
        order: RestingOrder,
        request: Request,
        now_ns: int,
        *,
        status: OrderStatus | None = None,
        new_client_id: str = "",
        reason: str = "",
    ) -> None:
        self._events.append(
            OrderUpdate(
                market=market,
                client_id=order.client_id,
                status=status or order.status,
                request=request,
                exchange_ns=now_ns - self._feed_latency_ns,
                receive_ns=now_ns,
                venue_order_id=order.venue_order_id,
                price_ticks=order.price_ticks,
                size_lots=order.size_lots,
                filled_lots=order.filled_lots,
                # Of a replace it would be read as the new order's, whose own update follows.
                version=0 if new_client_id else order.version,
                new_client_id=new_client_id,
                reason=reason,
            )
        )

    def _answer_refused(  # noqa: PLR0913, PLR0917 - as `_answer`
        self, market: int, client_id: str, request: Request, status: OrderStatus, reason: str, now_ns: int
    ) -> None:
        self._events.append(
            OrderUpdate(
                market=market,
                client_id=client_id,
                status=status,
                request=request,
                exchange_ns=now_ns - self._feed_latency_ns,
                receive_ns=now_ns,
                reason=reason,
            )
        )

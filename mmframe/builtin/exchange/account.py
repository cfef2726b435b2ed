"""Our side of the embedded exchange: what each request does in a market, and the answers it is given.

Everything here happens at the exchange's time; the answers carry the time at which we see them. Matching knows neither
money nor requests, so fees and the wording of outcomes are here.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.exchange.matching import Execution, MatchingEngine, Order, Reject
from mmframe.domain.market import Side
from mmframe.domain.orders import (
    Amend,
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
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action, VenueEvent

__all__ = ["MAX_RESTING_ORDERS", "OWNER", "Account", "FeeSchedule"]

OWNER = "strategy"
"""Owner of our orders in every market."""

_MAX_REMEMBERED_ORDERS = 100_000
"""Orders of one market known to queries and to the check for reused client ids; beyond it the oldest final ones are
forgotten, as venues do after some days."""

MAX_RESTING_ORDERS = 10_000
"""Of ours in one market; the next one is rejected."""

_EXACT = Context(prec=60)
"""More digits than the product of a price, a size and a rate can have."""
_PER_BPS = Decimal("0.0001")


@attrs.frozen
class FeeSchedule:
    """What a fill costs; negative rates are rebates.

    Attributes:
        maker_bps: Rate of fills of resting orders.
        taker_bps: Rate of fills that take.
        is_in_base: Taken in the base asset of the market instead of the quote asset.
    """

    maker_bps: Decimal = Decimal(0)
    taker_bps: Decimal = Decimal(0)
    is_in_base: bool = False

    def fee(self, instrument: Instrument, price_ticks: int, size_lots: int, *, is_maker: bool) -> Decimal:
        """Return the exact fee, in the asset that it is taken in."""
        size = _EXACT.multiply(instrument.lot_size, Decimal(size_lots))
        amount = size if self.is_in_base else _EXACT.multiply(size, instrument.price(price_ticks))
        rate = _EXACT.multiply(self.maker_bps if is_maker else self.taker_bps, _PER_BPS)
        return _EXACT.multiply(amount, rate)

    def asset(self, instrument: Instrument) -> str:
        """Return the asset that fees are taken in."""
        return instrument.base if self.is_in_base else instrument.quote


class Account:
    """Our orders in one market.

    Args:
        market: The market's index.
        instrument: Its grid.
        matching: Where the orders meet the others.
        latency_ns: From the exchange to us.
        fees: What fills cost.
    """

    __slots__ = ("_by_order_id", "_fees", "_instrument", "_latency_ns", "_market", "_matching", "_orders", "_resting")

    def __init__(
        self, market: int, instrument: Instrument, matching: MatchingEngine, *, latency_ns: int, fees: FeeSchedule
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._matching = matching
        self._latency_ns = latency_ns
        self._fees = fees
        self._orders: dict[str, Order] = {}
        self._by_order_id: dict[int, Order] = {}
        self._resting: list[Order] = []

    def act(self, action: Action, now_ns: int) -> list[VenueEvent]:
        """Carry out one request that has arrived and return its answers; the trades are for `on_executions`."""
        match action:
            case CancelAll():
                return self._cancel_all(now_ns)
            case Replace():
                return self._replace(action, now_ns)
            case QueryOpenOrders():
                return [self._open_orders(now_ns)]
            case Submit():
                update = self._submit(action, now_ns)
            case Amend():
                update = self._amend(action, now_ns)
            case Cancel():
                update = self._cancel(action, now_ns)
            case QueryOrder():
                update = self._query(action, now_ns)
        return [update]

    def on_executions(
        self, executions: Sequence[Execution], prevented: Sequence[Order], now_ns: int
    ) -> list[VenueEvent]:
        """Return what trades and self-trade prevention mean for us: each fill, then how its order stands."""
        events: list[VenueEvent] = []
        touched: dict[int, Order] = {}
        for execution in executions:
            if execution.maker_owner == OWNER:
                order = self._by_order_id[execution.maker_order_id]
                touched[order.order_id] = order
                events.append(self._fill(execution, order, now_ns, is_maker=True))
            if execution.taker_owner == OWNER:
                order = self._by_order_id[execution.taker_order_id]
                touched[order.order_id] = order
                events.append(self._fill(execution, order, now_ns, is_maker=False))
        for order in prevented:
            if order.owner == OWNER:
                touched[order.order_id] = order
        events.extend(self._update(order, Request.STREAM, now_ns) for order in touched.values())
        return events

    def _submit(self, action: Submit, now_ns: int) -> OrderUpdate:
        if action.client_id in self._orders:
            return self._refused(action.client_id, "client id was used before", now_ns)
        notional = self._instrument.notional_quote(action.price_ticks, action.size_lots)
        if notional < self._instrument.min_notional_quote:
            return self._refused(action.client_id, f"value {notional} is below the minimum", now_ns)
        order = self._matching.limit(
            OWNER,
            action.side,
            action.price_ticks,
            action.size_lots,
            time_in_force=TimeInForce(action.time_in_force),
            is_post_only=action.is_post_only,
            client_id=action.client_id,
        )
        if order.status is OrderStatus.REJECTED:
            return self._refused(action.client_id, order.reject.value, now_ns)
        self._remember(order)
        if not order.filled_lots:
            return self._update(order, Request.SUBMIT, now_ns)
        return self._accepted(order, Request.SUBMIT, now_ns, price_ticks=action.price_ticks, size_lots=action.size_lots)

    def _amend(self, action: Amend, now_ns: int) -> OrderUpdate:
        order = self._orders.get(action.client_id)
        if order is None or order.status is not OrderStatus.OPEN:
            return self._unchanged(action.client_id, Request.AMEND, Reject.UNKNOWN_ORDER, now_ns)
        filled_before, version_before = order.filled_lots, order.version
        reject = self._matching.amend(
            order.order_id,
            price_ticks=action.price_ticks,
            leaves_lots=action.leaves_lots,
            expected_version=action.expected_version,
        )
        if reject is not Reject.NONE:
            return self._unchanged(action.client_id, Request.AMEND, reject, now_ns)
        if order.filled_lots == filled_before:
            return self._update(order, Request.AMEND, now_ns)
        return self._accepted(
            order,
            Request.AMEND,
            now_ns,
            price_ticks=action.price_ticks,
            size_lots=filled_before + action.leaves_lots,
            filled_lots=filled_before,
            version=version_before + 1,
        )

    def _replace(self, action: Replace, now_ns: int) -> list[VenueEvent]:
        old = self._orders.get(action.client_id)
        if old is None or old.status is not OrderStatus.OPEN:
            return [self._unchanged(action.client_id, Request.REPLACE, Reject.UNKNOWN_ORDER, now_ns)]
        if action.new_client_id in self._orders:
            return [self._unchanged(action.client_id, Request.REPLACE, Reject.DUPLICATE_CLIENT_ID, now_ns)]
        price_ticks, size_lots, filled_lots = old.price_ticks, old.size_lots, old.filled_lots
        replacement = self._matching.replace(
            old.order_id,
            price_ticks=action.price_ticks,
            size_lots=action.size_lots,
            is_post_only=action.is_post_only,
            client_id=action.new_client_id,
        )
        if replacement.status is OrderStatus.UNCHANGED:
            return [self._unchanged(action.client_id, Request.REPLACE, replacement.reject, now_ns)]
        # No version: the two orders have one each, and a reader that orders news by version must not drop this one.
        answer = OrderUpdate(
            market=self._market,
            client_id=action.client_id,
            status=replacement.status,
            request=Request.REPLACE,
            exchange_ns=now_ns,
            receive_ns=now_ns + self._latency_ns,
            venue_order_id=str(old.order_id),
            price_ticks=price_ticks,
            size_lots=size_lots,
            filled_lots=filled_lots,
            new_client_id=action.new_client_id,
            reason=replacement.reject.value,
        )
        new = replacement.order
        if replacement.status is OrderStatus.CANCELED_ONLY or new is None:
            return [answer]
        self._remember(new)
        if not new.filled_lots:
            return [answer, self._update(new, Request.STREAM, now_ns)]
        accepted = self._accepted(
            new, Request.STREAM, now_ns, price_ticks=action.price_ticks, size_lots=action.size_lots
        )
        return [answer, accepted]

    def _cancel(self, action: Cancel, now_ns: int) -> OrderUpdate:
        order = self._orders.get(action.client_id)
        if order is None or self._matching.cancel(order.order_id) is not Reject.NONE:
            return self._unchanged(action.client_id, Request.CANCEL, Reject.UNKNOWN_ORDER, now_ns)
        return self._update(order, Request.CANCEL, now_ns)

    def _cancel_all(self, now_ns: int) -> list[VenueEvent]:
        events: list[VenueEvent] = []
        for order in self._open():
            self._matching.cancel(order.order_id)
            events.append(self._update(order, Request.CANCEL, now_ns))
        return events

    def _query(self, action: QueryOrder, now_ns: int) -> OrderUpdate:
        order = self._orders.get(action.client_id)
        if order is not None:
            return self._update(order, Request.QUERY, now_ns)
        return self._answer(action.client_id, OrderStatus.NOT_FOUND, Request.QUERY, now_ns)

    def _open_orders(self, now_ns: int) -> OpenOrdersReport:
        reports = tuple(
            OrderReport(
                client_id=order.client_id,
                venue_order_id=str(order.order_id),
                side=Side(order.side),
                price_ticks=order.price_ticks,
                size_lots=order.size_lots,
                filled_lots=order.filled_lots,
                version=order.version,
            )
            for order in self._open()
        )
        return OpenOrdersReport(self._market, reports, now_ns, now_ns + self._latency_ns)

    def _open(self) -> list[Order]:
        """Return what rests, oldest first."""
        self._resting = [order for order in self._resting if order.status is OrderStatus.OPEN]
        return self._resting

    def _remember(self, order: Order) -> None:
        self._orders[order.client_id] = order
        self._by_order_id[order.order_id] = order
        self._resting.append(order)
        if len(self._resting) > 2 * MAX_RESTING_ORDERS:
            self._open()
        if len(self._orders) > _MAX_REMEMBERED_ORDERS:
            oldest = next((known for known in self._orders.values() if known.status is not OrderStatus.OPEN), None)
            if oldest is not None:
                del self._orders[oldest.client_id], self._by_order_id[oldest.order_id]

    def _fill(self, execution: Execution, order: Order, now_ns: int, *, is_maker: bool) -> Fill:
        price_ticks, size_lots = execution.price_ticks, execution.size_lots
        return Fill(
            market=self._market,
            client_id=order.client_id,
            # A market that is started again counts its trades from one; client ids are never used twice.
            venue_trade_id=f"{order.client_id}/{execution.trade_id}",
            side=Side(order.side),
            price_ticks=price_ticks,
            size_lots=size_lots,
            is_maker=is_maker,
            fee=self._fees.fee(self._instrument, price_ticks, size_lots, is_maker=is_maker),
            fee_asset=self._fees.asset(self._instrument),
            exchange_ns=now_ns,
            receive_ns=now_ns + self._latency_ns,
            venue_order_id=str(order.order_id),
        )

    def _update(self, order: Order, request: Request, now_ns: int) -> OrderUpdate:
        """Return how an order stands now."""
        return OrderUpdate(
            market=self._market,
            client_id=order.client_id,
            status=order.status,
            request=request,
            exchange_ns=now_ns,
            receive_ns=now_ns + self._latency_ns,
            venue_order_id=str(order.order_id),
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            filled_lots=order.filled_lots,
            version=order.version,
            reason=order.reject.value,
        )

    def _accepted(  # noqa: PLR0913 - the order as it stood before its trades
        self,
        order: Order,
        request: Request,
        now_ns: int,
        *,
        price_ticks: int,
        size_lots: int,
        filled_lots: int = 0,
        version: int = 1,
    ) -> OrderUpdate:
        """Return the acknowledgement of an order that has traded since: first the answer, then its fills."""
        return OrderUpdate(
            market=self._market,
            client_id=order.client_id,
            status=OrderStatus.OPEN,
            request=request,
            exchange_ns=now_ns,
            receive_ns=now_ns + self._latency_ns,
            venue_order_id=str(order.order_id),
            price_ticks=price_ticks,
            size_lots=size_lots,
            filled_lots=filled_lots,
            version=version,
        )

    def _refused(self, client_id: str, reason: str, now_ns: int) -> OrderUpdate:
        return self._answer(client_id, OrderStatus.REJECTED, Request.SUBMIT, now_ns, reason=reason)

    def _unchanged(self, client_id: str, request: Request, reject: Reject, now_ns: int) -> OrderUpdate:
        """Return the refusal of a change, with the order as it stands when it still rests."""
        order = self._orders.get(client_id)
        if order is None or order.status is not OrderStatus.OPEN:
            ended = reject.value if order is None else f"order is {order.status.value}"
            return self._answer(client_id, OrderStatus.UNCHANGED, request, now_ns, reason=ended)
        return OrderUpdate(
            market=self._market,
            client_id=client_id,
            status=OrderStatus.UNCHANGED,
            request=request,
            exchange_ns=now_ns,
            receive_ns=now_ns + self._latency_ns,
            venue_order_id=str(order.order_id),
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            filled_lots=order.filled_lots,
            version=order.version,
            reason=reject.value,
        )

    def _answer(
        self, client_id: str, status: OrderStatus, request: Request, now_ns: int, *, reason: str = ""
    ) -> OrderUpdate:
        return OrderUpdate(
            market=self._market,
            client_id=client_id,
            status=status,
            request=request,
            exchange_ns=now_ns,
            receive_ns=now_ns + self._latency_ns,
            reason=reason,
        )

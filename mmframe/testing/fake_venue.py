"""A venue whose answers a test scripts: late, lost, doubled, refused, or overtaken by a fill.

It satisfies the `Venue` port on virtual time and keeps the truth apart from what it says: an order can rest although
its submit was never answered. That is the case that an engine must survive, and the one that a simulation never shows.
"""

from __future__ import annotations

import heapq
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
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
    VenueStatus,
)
from mmframe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mmframe.domain.orders import Action

__all__ = [
    "Answer",
    "Duplicate",
    "FakeVenue",
    "FillDuringCancel",
    "LateAnswer",
    "NoAnswer",
    "Outcome",
    "Reject",
    "UnclearAnswer",
]

_MS = 1_000_000


@attrs.frozen
class Answer:
    """The request takes effect and is answered after the venue's latency: what happens without a script."""


@attrs.frozen
class LateAnswer:
    """It takes effect at once and is answered late.

    Attributes:
        after_ms: Time until the answer.
    """

    after_ms: float


@attrs.frozen
class NoAnswer:
    """It is never answered.

    Attributes:
        takes_effect: Whether it reached the venue all the same.
    """

    takes_effect: bool = True


@attrs.frozen
class UnclearAnswer:
    """It is answered with UNKNOWN, as after a timeout or a 5xx.

    Attributes:
        takes_effect: Whether it reached the venue all the same.
    """

    takes_effect: bool = True


@attrs.frozen
class Reject:
    """It is refused: REJECTED for a submit, UNCHANGED for the rest.

    Attributes:
        reason: In the venue's words.
    """

    reason: str = "scripted"


@attrs.frozen
class Duplicate:
    """It takes effect, and everything that follows from it is said twice."""


@attrs.frozen
class FillDuringCancel:
    """The order trades while a cancel is on its way; the cancel gets what is left.

    Attributes:
        lots: How much trades; None for all, which refuses the cancel.
    """

    lots: int | None = None


Outcome = Answer | LateAnswer | NoAnswer | UnclearAnswer | Reject | Duplicate | FillDuringCancel

_REQUESTS: dict[type[Action], Request] = {
    Submit: Request.SUBMIT,
    Amend: Request.AMEND,
    Replace: Request.REPLACE,
    Cancel: Request.CANCEL,
    CancelAll: Request.CANCEL,
    QueryOrder: Request.QUERY,
    QueryOpenOrders: Request.QUERY,
}


@attrs.define
class _Order:
    market: int
    client_id: str
    side: Side
    price_ticks: int
    size_lots: int
    venue_order_id: str
    filled_lots: int = 0
    version: int = 1
    status: OrderStatus = OrderStatus.OPEN

    @property
    def leaves_lots(self) -> int:
        return self.size_lots - self.filled_lots


class FakeVenue:
    """A venue under a test's control, on virtual time.

    Orders rest until `fill`, a cancel or an expiry; nothing trades by itself. One whose capabilities are not virtual
    says that it is up at its first poll, as a live venue does once its private stream is there.

    Args:
        latency_ms: Time from a request to its answer.
        capabilities: What it claims to be able to do; by default everything.

    Attributes:
        received: Every approved action, in order.
        next_event_ns: When `poll` next has something.
    """

    def __init__(self, *, latency_ms: float = 1.0, capabilities: VenueCapabilities | None = None) -> None:
        self.capabilities = capabilities or VenueCapabilities(
            can_amend=True, shrink_keeps_priority=True, can_replace=True, is_virtual=True
        )
        self._has_begun = self.capabilities.is_virtual
        self.next_event_ns = NEVER_NS if self._has_begun else 0
        self.received: list[Action] = []
        self._latency_ns = round(latency_ms * _MS)
        self._orders: dict[str, _Order] = {}
        self._scripts: dict[Request, deque[Outcome]] = {request: deque() for request in Request}
        self._queue: list[tuple[int, int, VenueEvent]] = []
        self._sequence = 0
        self._trades = 0
        self._effects: dict[type, Callable[..., None]] = {
            Submit: self._submit,
            Amend: self._amend,
            Replace: self._replace,
            Cancel: self._cancel,
            CancelAll: self._cancel_all,
            QueryOrder: self._query,
            QueryOpenOrders: self._report,
        }

    def script(self, **outcomes: Outcome | Iterable[Outcome]) -> None:
        """Set what happens to the next requests, such as `script(submit=NoAnswer(), cancel=[Reject(), Answer()])`.

        Keys are the values of `Request`; outcomes are used up one a request, then `Answer` again.

        Raises:
            UsageError: If a key is no request.
        """
        for name, scripted in outcomes.items():
            known = {request.value: request for request in Request if request is not Request.STREAM}
            if name not in known:
                msg = f"script: expected one of {', '.join(sorted(known))}, was {name!r}"
                raise UsageError(msg)
            row = [scripted] if isinstance(scripted, Outcome) else list(scripted)
            self._scripts[known[name]].extend(row)

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Take one approved action.

        Raises:
            TypeError: If it is not an `Approved`.
        """
        if type(approved) is not Approved:
            msg = f"execute: expected an Approved, was {type(approved).__name__}"
            raise TypeError(msg)
        action = approved.action
        self.received.append(action)
        script = self._scripts[_REQUESTS[type(action)]]
        self._carry_out(action, script.popleft() if script else Answer(), now_ns)

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:
        """Return what is known up to `now_ns`, in order; each event once."""
        events: list[VenueEvent] = []
        if not self._has_begun:
            self._has_begun = True
            events.append(VenueStatus(is_up=True, receive_ns=now_ns))
        while self._queue and self._queue[0][0] <= now_ns:
            events.append(heapq.heappop(self._queue)[2])
        self._reschedule()
        return events

    async def run(self, notify: Callable[[], None]) -> None:
        """Return at once: nothing to connect to."""

    def fill(self, client_id: str, lots: int | None = None, *, now_ns: int, price_ticks: int | None = None) -> str:
        """Let an order trade and return the trade's id; told at once, as a private stream does.

        Args:
            client_id: The order.
            lots: How much; None for all that is left.
            now_ns: When.
            price_ticks: At which price; None for the order's own.

        Raises:
            UsageError: If the order does not rest or is smaller.
        """
        order = self._resting(client_id)
        size = order.leaves_lots if lots is None else lots
        if not 0 < size <= order.leaves_lots:
            msg = f"fill of {client_id}: expected 1 to {order.leaves_lots} lots, was {size}"
            raise UsageError(msg)
        return self._trade(order, size, now_ns, price_ticks=price_ticks)

    def expire(self, client_id: str, *, now_ns: int, reason: str = "expired") -> None:
        """Let an order expire.

        Raises:
            UsageError: If the order does not rest.
        """
        order = self._resting(client_id)
        order.status = OrderStatus.EXPIRED
        self._say(self._update(order, Request.STREAM, now_ns, reason=reason), now_ns)

    def say_status(self, *, is_up: bool, now_ns: int, reason: str = "") -> None:
        """Report that the venue can, or cannot, be traded on."""
        self._say(VenueStatus(is_up=is_up, receive_ns=now_ns, reason=reason), now_ns)

    def open_orders(self, market: int = ALL_MARKETS) -> tuple[OrderReport, ...]:
        """Return what really rests, whatever was answered."""
        return tuple(
            OrderReport(
                client_id=order.client_id,
                venue_order_id=order.venue_order_id,
                side=order.side,
                price_ticks=order.price_ticks,
                size_lots=order.size_lots,
                filled_lots=order.filled_lots,
                version=order.version,
            )
            for order in self._orders.values()
            if order.status is OrderStatus.OPEN and market in {order.market, ALL_MARKETS}
        )

    def _carry_out(self, action: Action, outcome: Outcome, now_ns: int) -> None:
        answer_ns = now_ns + self._latency_ns
        sequence = self._sequence
        match outcome:
            case Reject(reason=reason):
                self._refuse(action, reason, answer_ns)
            case NoAnswer(takes_effect=takes_effect):
                if takes_effect:
                    self._silently(action, now_ns)
            case UnclearAnswer(takes_effect=takes_effect):
                if takes_effect:
                    self._silently(action, now_ns)
                self._refuse(action, "no clear answer", answer_ns, status=OrderStatus.UNKNOWN)
            case LateAnswer(after_ms=after_ms):
                self._effects[type(action)](action, now_ns + round(after_ms * _MS))
            case FillDuringCancel(lots=lots):
                self._fill_during(action, lots, answer_ns)
            case _:
                self._effects[type(action)](action, answer_ns)
        if isinstance(outcome, Duplicate):
            for due, _, event in sorted(entry for entry in self._queue if entry[1] > sequence):
                self._say(event, due)
        self._reschedule()

    def _silently(self, action: Action, now_ns: int) -> None:
        """Let a request take effect and lose everything that it would be answered with."""
        queue, self._queue = self._queue, []
        self._effects[type(action)](action, now_ns)
        self._queue = queue

    def _fill_during(self, action: Action, lots: int | None, now_ns: int) -> None:
        order = self._orders.get(getattr(action, "client_id", ""))
        if not isinstance(action, Cancel) or order is None or order.status is not OrderStatus.OPEN:
            msg = f"FillDuringCancel: expected a cancel of a resting order, was {action!r}"
            raise UsageError(msg)
        self._trade(order, min(order.leaves_lots, lots or order.leaves_lots), now_ns, price_ticks=None)
        self._cancel(action, now_ns)

    def _refuse(self, action: Action, reason: str, now_ns: int, *, status: OrderStatus | None = None) -> None:
        if isinstance(action, (CancelAll, QueryOpenOrders)):
            return
        request = _REQUESTS[type(action)]
        refused = OrderStatus.REJECTED if request is Request.SUBMIT else OrderStatus.UNCHANGED
        if request is Request.QUERY:
            refused = OrderStatus.UNKNOWN
        self._answer(action.market, action.client_id, request, status or refused, now_ns, reason=reason)

    def _submit(self, action: Submit, now_ns: int) -> None:
        if action.client_id in self._orders:
            self._refuse(action, "duplicate client id", now_ns)
            return
        order = _Order(
            action.market,
            action.client_id,
            action.side,
            action.price_ticks,
            action.size_lots,
            f"v-{len(self._orders) + 1}",
        )
        self._orders[action.client_id] = order
        if action.time_in_force is not TimeInForce.GTC:
            order.status = OrderStatus.CANCELED
        self._say(self._update(order, Request.SUBMIT, now_ns), now_ns)

    def _amend(self, action: Amend, now_ns: int) -> None:
        order = self._orders.get(action.client_id)
        if order is None or order.status is not OrderStatus.OPEN:
            self._refuse(action, "order does not rest", now_ns)
        elif order.version != action.expected_version:
            self._refuse(action, f"version {order.version}, expected {action.expected_version}", now_ns)
        else:
            order.price_ticks = action.price_ticks
            order.size_lots = order.filled_lots + action.leaves_lots
            order.version += 1
            self._say(self._update(order, Request.AMEND, now_ns), now_ns)

    def _replace(self, action: Replace, now_ns: int) -> None:
        order = self._orders.get(action.client_id)
        if order is None or order.status is not OrderStatus.OPEN:
            self._refuse(action, "order does not rest", now_ns)
            return
        order.status = OrderStatus.CANCELED
        if action.new_client_id in self._orders:
            self._answer(action.market, action.client_id, Request.REPLACE, OrderStatus.CANCELED_ONLY, now_ns)
            return
        successor = _Order(
            action.market,
            action.new_client_id,
            order.side,
            action.price_ticks,
            action.size_lots,
            f"v-{len(self._orders) + 1}",
        )
        self._orders[action.new_client_id] = successor
        self._say(
            OrderUpdate(
                market=action.market,
                client_id=action.client_id,
                status=OrderStatus.REPLACED,
                request=Request.REPLACE,
                exchange_ns=now_ns,
                receive_ns=now_ns,
                venue_order_id=successor.venue_order_id,
                price_ticks=successor.price_ticks,
                size_lots=successor.size_lots,
                version=successor.version,
                new_client_id=action.new_client_id,
            ),
            now_ns,
        )

    def _cancel(self, action: Cancel, now_ns: int) -> None:
        order = self._orders.get(action.client_id)
        if order is None or order.status is not OrderStatus.OPEN:
            self._refuse(action, "order does not rest", now_ns)
            return
        order.status = OrderStatus.CANCELED
        self._say(self._update(order, Request.CANCEL, now_ns), now_ns)

    def _cancel_all(self, action: CancelAll, now_ns: int) -> None:
        for report in self.open_orders(action.market):
            order = self._orders[report.client_id]
            order.status = OrderStatus.CANCELED
            self._say(self._update(order, Request.CANCEL, now_ns, reason=action.reason), now_ns)

    def _query(self, action: QueryOrder, now_ns: int) -> None:
        order = self._orders.get(action.client_id)
        if order is None:
            self._answer(action.market, action.client_id, Request.QUERY, OrderStatus.NOT_FOUND, now_ns)
        else:
            self._say(self._update(order, Request.QUERY, now_ns), now_ns)

    def _report(self, action: QueryOpenOrders, now_ns: int) -> None:
        report = OpenOrdersReport(
            market=action.market, orders=self.open_orders(action.market), exchange_ns=now_ns, receive_ns=now_ns
        )
        self._say(report, now_ns)

    def _trade(self, order: _Order, lots: int, now_ns: int, *, price_ticks: int | None) -> str:
        self._trades += 1
        trade_id = f"t-{self._trades}"
        order.filled_lots += lots
        if not order.leaves_lots:
            order.status = OrderStatus.FILLED
        fill = Fill(
            market=order.market,
            client_id=order.client_id,
            venue_trade_id=trade_id,
            side=order.side,
            price_ticks=order.price_ticks if price_ticks is None else price_ticks,
            size_lots=lots,
            is_maker=True,
            fee=Decimal(0),
            fee_asset="USDT",
            exchange_ns=now_ns,
            receive_ns=now_ns,
            venue_order_id=order.venue_order_id,
        )
        self._say(fill, now_ns)
        self._say(self._update(order, Request.STREAM, now_ns), now_ns)
        return trade_id

    def _answer(  # noqa: PLR0913 - the fields of an answer without an order
        self, market: int, client_id: str, request: Request, status: OrderStatus, now_ns: int, *, reason: str = ""
    ) -> None:
        update = OrderUpdate(
            market=market,
            client_id=client_id,
            status=status,
            request=request,
            exchange_ns=now_ns,
            receive_ns=now_ns,
            reason=reason,
        )
        self._say(update, now_ns)

    def _update(self, order: _Order, request: Request, now_ns: int, *, reason: str = "") -> OrderUpdate:
        return OrderUpdate(
            market=order.market,
            client_id=order.client_id,
            status=order.status,
            request=request,
            exchange_ns=now_ns,
            receive_ns=now_ns,
            venue_order_id=order.venue_order_id,
            price_ticks=order.price_ticks,
            size_lots=order.size_lots,
            filled_lots=order.filled_lots,
            version=order.version,
            reason=reason,
        )

    def _resting(self, client_id: str) -> _Order:
        order = self._orders.get(client_id)
        if order is None or order.status is not OrderStatus.OPEN:
            msg = f"fake venue: expected a resting order, was {client_id!r} ({order and order.status})"
            raise UsageError(msg)
        return order

    def _say(self, event: VenueEvent, due_ns: int) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (due_ns, self._sequence, event))
        self._reschedule()

    def _reschedule(self) -> None:
        next_ns = self._queue[0][0] if self._queue else NEVER_NS
        self.next_event_ns = next_ns if self._has_begun else 0

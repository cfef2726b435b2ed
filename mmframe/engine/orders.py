"""What we know of our own orders. Only evidence from the venue ends one; a request without an answer is UNKNOWN.

The tracker never guesses: an order of unknown outcome keeps its whole reserved size until a stream event, a query's
answer or proof of absence resolves it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import (
    Amend,
    Cancel,
    Fill,
    OpenOrdersReport,
    OrderState,
    OrderStatus,
    OrderUpdate,
    Replace,
    Request,
    Submit,
    TimeInForce,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.domain.orders import OrderReport
    from mmframe.engine.state import RestoredOrder

__all__ = ["ABSENCE_ROUNDS", "OrderTracker", "TrackedOrder"]

ABSENCE_ROUNDS = 2
"""Agreeing 'not found' answers, a query interval apart, that prove an order absent."""

_QUICK_CANCELS = 3
"""Cancels of one order that follow each other at once when they are refused; the next ones wait a query interval."""

_MAX_FINISHED = 1024
"""Final orders remembered so that late news of them is recognised; beyond it the oldest is forgotten."""

# Bound once: in Python 3.11 looking up an enum member costs ten times a module name, and these are on the hot path.
_OPEN = OrderState.OPEN
_PARTIALLY_FILLED = OrderState.PARTIALLY_FILLED
_UNKNOWN = OrderState.UNKNOWN

_IN_FLIGHT = frozenset({OrderState.INTENT, OrderState.SENT, OrderState.PENDING_CANCEL, OrderState.PENDING_REPLACE})
_REPLACE_OUTCOMES = frozenset(
    {OrderStatus.REPLACED, OrderStatus.BOTH_LIVE, OrderStatus.CANCELED_ONLY, OrderStatus.UNCHANGED}
)
_STANDS = frozenset({OrderStatus.OPEN, OrderStatus.UNCHANGED})
_NEVER_RESTED = frozenset({OrderState.NOT_PLACED, OrderState.REJECTED})


class TrackedOrder:
    """One order of ours.

    Attributes:
        filled_lots: Sum of the fills that were counted, never the venue's own cumulation.
        pending_leaves_lots: What an amend under way would leave resting; 0 when there is none.
        awaits_fills_lots: Fills that the venue's cumulation says exist and that have not arrived yet.
        ends_as: The final state to take once those fills have arrived.
        request_ns: When the last request for this order was made; `NEVER_NS` while that is not known.
        amended_version: The version that the last amend named: what has it, or an older one, is no answer to it.
        replaces: Client id of the order whose place it is to take.
        absences: 'Not found' answers in a row, a query interval apart.
        absent_ns: When the last of them was counted.
        cancel_refusals: Cancels that were refused.
        cancel_again_ns: Not before then is another cancel sent, after several were refused.
        move_refusals: Changes in a row that the venue refused.
        is_immediate: It takes at once or ends: nothing of it ever rests, so it is never moved or cancelled.
    """

    __slots__ = (
        "absences",
        "absent_ns",
        "amended_version",
        "awaits_fills_lots",
        "cancel_again_ns",
        "cancel_refusals",
        "client_id",
        "ends_as",
        "filled_lots",
        "has_been_open",
        "is_immediate",
        "last_query_ns",
        "market",
        "move_refusals",
        "pending_leaves_lots",
        "pending_price_ticks",
        "price_ticks",
        "replacement_id",
        "replaces",
        "request_ns",
        "side",
        "size_lots",
        "state",
        "venue_order_id",
        "version",
    )

    def __init__(self, market: int, client_id: str, side: Side, price_ticks: int, size_lots: int) -> None:
        self.market = market
        self.client_id = client_id
        self.side = side
        self.price_ticks = price_ticks
        self.size_lots = size_lots
        self.filled_lots = 0
        self.state = OrderState.INTENT
        self.version = 0
        self.venue_order_id = ""
        self.pending_price_ticks = 0
        self.pending_leaves_lots = 0
        self.amended_version = 0
        self.replacement_id = ""
        self.replaces = ""
        self.awaits_fills_lots = 0
        self.ends_as: OrderState | None = None
        self.has_been_open = False
        self.request_ns = 0
        self.last_query_ns = 0
        self.absences = 0
        self.absent_ns = 0
        self.cancel_refusals = 0
        self.cancel_again_ns = 0
        self.move_refusals = 0
        self.is_immediate = False

    def __repr__(self) -> str:
        return (
            f"TrackedOrder({self.client_id!r}, {self.side.name}, {self.state.value}, {self.price_ticks} ticks, "
            f"{self.leaves_lots} of {self.size_lots} lots)"
        )

    @property
    def leaves_lots(self) -> int:
        """Return what may still fill if no request is under way."""
        if self.ends_as is not None:
            return self.awaits_fills_lots
        return self.size_lots - self.filled_lots

    @property
    def reserved_lots(self) -> int:
        """Return the most that may still fill, an amend under way included."""
        leaves = self.leaves_lots
        return leaves if leaves > self.pending_leaves_lots else self.pending_leaves_lots

    @property
    def is_resting(self) -> bool:
        """Tell whether the order rests and no request for it is under way, so that it can be changed."""
        state = self.state
        return (state is _OPEN or state is _PARTIALLY_FILLED) and self.ends_as is None and not self.is_immediate

    @property
    def will_rest(self) -> bool:
        """Tell whether a request under way is going to leave an order resting."""
        state = self.state
        return self.ends_as is None and (
            state is OrderState.SENT or state is OrderState.PENDING_REPLACE or state is OrderState.INTENT
        )

    @property
    def may_yet_rest(self) -> bool:
        """Tell whether the order may turn out to rest although it cannot be cancelled yet."""
        return self.will_rest or self.state is _UNKNOWN

    @property
    def is_in_flight(self) -> bool:
        """Tell whether an answer is awaited; of an immediate order its end."""
        state = self.state
        return state in _IN_FLIGHT or (self.is_immediate and state is not _UNKNOWN)


class OrderTracker:
    """All orders of one market that are not final.

    Args:
        market: The market's index.
        acknowledge_timeout_ns: A request without an answer for longer makes its order UNKNOWN.
        query_interval_ns: Time between two queries of an UNKNOWN order.
        absence_delay_ns: How long after it was sent a request may still take effect at the venue.

    Attributes:
        live: Orders that are not final, by client id, oldest first.
        deadline_ns: When `expire` is next to be called.
        stray_ids: Client ids that rest at the venue and should not.
        refusals_in_a_row: By `Side`: submits and changes refused by the venue since the last one accepted.
        revision: Grows with every call that may have changed an order.
    """

    __slots__ = (
        "_acknowledge_timeout_ns",
        "_finished",
        "_query_interval_ns",
        "_takes_effect_ns",
        "deadline_ns",
        "live",
        "market",
        "refusals_in_a_row",
        "revision",
        "stray_ids",
        "submitted_count",
        "unmatched_count",
    )

    def __init__(
        self, market: int, *, acknowledge_timeout_ns: int, query_interval_ns: int, absence_delay_ns: int = 0
    ) -> None:
        self.market = market
        self.live: dict[str, TrackedOrder] = {}
        self.deadline_ns = NEVER_NS
        self.stray_ids: list[str] = []
        self.revision = 0
        self.refusals_in_a_row = [0, 0]
        self.submitted_count = 0
        self.unmatched_count = 0
        self._finished: OrderedDict[str, OrderState] = OrderedDict()
        self._acknowledge_timeout_ns = acknowledge_timeout_ns
        self._query_interval_ns = query_interval_ns
        self._takes_effect_ns = max(acknowledge_timeout_ns, absence_delay_ns)

    def __iter__(self) -> Iterator[TrackedOrder]:
        return iter(self.live.values())

    def __len__(self) -> int:
        return len(self.live)

    def reserved_lots(self, side: Side) -> int:
        """Return the most that may still fill on `side`: open, in flight, unknown and being cancelled."""
        return sum(order.reserved_lots for order in self.live.values() if order.side == side)

    def sides(self) -> tuple[list[TrackedOrder], list[TrackedOrder], bool, bool]:
        """Return the live orders of each side, and whether one of unknown outcome blocks the side."""
        buys: list[TrackedOrder] = []
        sells: list[TrackedOrder] = []
        is_buy_blocked = is_sell_blocked = False
        for order in self.live.values():
            is_unknown = order.state is _UNKNOWN
            if order.side:
                sells.append(order)
                is_sell_blocked = is_sell_blocked or is_unknown
            else:
                buys.append(order)
                is_buy_blocked = is_buy_blocked or is_unknown
        return buys, sells, is_buy_blocked, is_sell_blocked

    def final_state(self, client_id: str) -> OrderState | None:
        """Return how an order ended, if it is among those remembered."""
        return self._finished.get(client_id)

    # Requests: the engine calls these when the gate has approved an action and it is on its way.

    def on_submit(self, action: Submit, now_ns: int) -> TrackedOrder:
        """Take a new order as SENT."""
        self.revision += 1
        order = TrackedOrder(self.market, action.client_id, action.side, action.price_ticks, action.size_lots)
        order.is_immediate = action.time_in_force is not TimeInForce.GTC
        self.live[action.client_id] = order
        self.submitted_count += 1
        self._requested(order, OrderState.SENT, now_ns)
        return order

    def on_amend(self, action: Amend, now_ns: int) -> None:
        """Note an amend under way; both sizes stay reserved until the answer."""
        self.revision += 1
        order = self.live[action.client_id]
        order.pending_price_ticks = action.price_ticks
        order.pending_leaves_lots = action.leaves_lots
        order.amended_version = action.expected_version
        self._requested(order, OrderState.PENDING_REPLACE, now_ns)

    def on_replace(self, action: Replace, now_ns: int) -> None:
        """Note a replace under way: the old order and the new one are both reserved until the answer."""
        self.revision += 1
        old = self.live[action.client_id]
        old.replacement_id = action.new_client_id
        self._requested(old, OrderState.PENDING_REPLACE, now_ns)
        new = TrackedOrder(self.market, action.new_client_id, old.side, action.price_ticks, action.size_lots)
        new.replaces = action.client_id
        self.live[action.new_client_id] = new
        self.submitted_count += 1
        self._requested(new, OrderState.SENT, now_ns)

    def on_cancel(self, action: Cancel, now_ns: int) -> None:
        """Note a cancel under way; the order can still fill."""
        self.revision += 1
        order = self.live.get(action.client_id)
        if order is not None and order.state is not OrderState.UNKNOWN:
            self._requested(order, OrderState.PENDING_CANCEL, now_ns)

    def on_cancel_all(self, now_ns: int) -> None:
        """Note that everything that rests is being cancelled.

        A submit without an answer yet may come to the venue after that: its order is cancelled when it shows up.
        """
        self.revision += 1
        for order in self.live.values():
            if order.state not in {OrderState.UNKNOWN, OrderState.SENT, OrderState.INTENT}:
                self._requested(order, OrderState.PENDING_CANCEL, now_ns)

    # Evidence from the venue.

    def on_update(self, update: OrderUpdate, now_ns: int) -> OrderState | None:
        """Apply what the venue says; return the order's state afterwards, or None when it is no order of ours."""
        self.revision += 1
        order = self.live.get(update.client_id)
        if order is None:
            return self._unmatched(update, now_ns)
        if update.version and update.version < order.version and update.status in _STANDS:
            # Old news. An order ends once, so news of its end never is.
            return order.state
        if update.venue_order_id:
            order.venue_order_id = update.venue_order_id
        self._apply_status(order, update, now_ns)
        return order.state

    def on_fill(self, fill: Fill) -> TrackedOrder | None:
        """Apply an execution that the ledger has counted; return the order, or None when it was final or foreign."""
        self.revision += 1
        order = self.live.get(fill.client_id)
        if order is None:
            return None
        order.filled_lots += fill.size_lots
        order.absences = 0
        is_first_sign = not order.has_been_open
        order.has_been_open = True
        if order.pending_leaves_lots:
            order.pending_leaves_lots = max(0, order.pending_leaves_lots - fill.size_lots)
        if order.ends_as is not None:
            order.awaits_fills_lots = max(0, order.awaits_fills_lots - fill.size_lots)
            if not order.awaits_fills_lots:
                self._finish(order, order.ends_as)
        elif order.state is OrderState.PENDING_REPLACE:
            pass
        elif order.filled_lots >= order.size_lots and not order.pending_leaves_lots:
            self._finish(order, OrderState.FILLED)
        elif order.state in {OrderState.OPEN, OrderState.SENT} or (order.state is _UNKNOWN and is_first_sign):
            # It proves that a submit was placed, and nothing of a later cancel or amend whose outcome is not known.
            order.state = OrderState.PARTIALLY_FILLED
        return order

    def on_open_orders(self, report: OpenOrdersReport, now_ns: int) -> None:
        """Compare with the venue's whole list: what it lists is open, what it does not list was once found absent."""
        self.revision += 1
        listed = {entry.client_id: entry for entry in report.orders}
        for client_id, entry in listed.items():
            order = self.live.get(client_id)
            if order is None:
                self.stray_ids.append(client_id)
                continue
            order.absences = 0
            order.version = max(order.version, entry.version)
            order.venue_order_id = entry.venue_order_id or order.venue_order_id
            if order.state in {OrderState.UNKNOWN, OrderState.SENT, OrderState.INTENT} and not self._can_still_change(
                order, entry.price_ticks, entry.size_lots, now_ns
            ):
                order.price_ticks, order.size_lots = entry.price_ticks, entry.size_lots
                self._rest(order)
        for order in list(self.live.values()):
            if order.client_id not in listed and (order.state is OrderState.UNKNOWN or order.is_resting):
                self._absent(order, now_ns)

    def adopt(self, entry: OrderReport) -> None:
        """Take over an order of an earlier run, without a fill, as one of ours."""
        self.revision += 1
        order = TrackedOrder(self.market, entry.client_id, entry.side, entry.price_ticks, entry.size_lots)
        order.version = entry.version
        order.venue_order_id = entry.venue_order_id
        self.live[order.client_id] = order
        self._rest(order)

    def forget_absences(self) -> None:
        """Count 'not found' anew: news of the orders may have been lost in between."""
        self.revision += 1
        for order in self.live.values():
            order.absences = 0

    def expire(self, now_ns: int) -> list[TrackedOrder]:
        """Make overdue requests UNKNOWN; return the UNKNOWN orders that are due for a query and mark them asked."""
        self.revision += 1
        due = []
        deadline = NEVER_NS
        for order in self.live.values():
            if order.is_in_flight or order.ends_as is not None:
                expires_ns = order.request_ns + self._acknowledge_timeout_ns
                if now_ns < expires_ns:
                    deadline = min(deadline, expires_ns)
                    continue
                order.state = OrderState.UNKNOWN
            if order.state is OrderState.UNKNOWN:
                if order.request_ns == NEVER_NS:
                    order.request_ns = now_ns
                if now_ns >= order.last_query_ns + self._query_interval_ns:
                    order.last_query_ns = now_ns
                    due.append(order)
                deadline = min(deadline, order.last_query_ns + self._query_interval_ns)
        self.deadline_ns = deadline
        return due

    def restore(self, restored: RestoredOrder) -> None:
        """Take back an order from the journal: UNKNOWN until the venue says what became of it."""
        self.revision += 1
        order = TrackedOrder(
            restored.market, restored.client_id, restored.side, restored.price_ticks, restored.size_lots
        )
        order.filled_lots = restored.filled_lots
        order.version = restored.version
        order.venue_order_id = restored.venue_order_id
        order.has_been_open = restored.state not in {OrderState.INTENT, OrderState.SENT}
        order.state = OrderState.UNKNOWN
        # Its last request may have left just before the process died: it counts as made when the first query is.
        order.request_ns = NEVER_NS
        self.live[order.client_id] = order
        self.deadline_ns = 0

    def _apply_status(self, order: TrackedOrder, update: OrderUpdate, now_ns: int) -> None:
        status = update.status
        if status is OrderStatus.OPEN:
            self._on_open(order, update, now_ns)
        elif status is OrderStatus.FILLED:
            if update.size_lots:
                order.size_lots = update.size_lots
            self._end(order, OrderState.FILLED, update.filled_lots or order.size_lots, now_ns)
        elif status is OrderStatus.CANCELED:
            self._end(order, OrderState.CANCELED, update.filled_lots, now_ns)
        elif status is OrderStatus.EXPIRED:
            self._end(order, OrderState.EXPIRED, update.filled_lots, now_ns)
        elif status is OrderStatus.REJECTED:
            self.refusals_in_a_row[order.side] += 1
            self._end(order, OrderState.REJECTED, update.filled_lots, now_ns)
        elif status is OrderStatus.UNCHANGED:
            self._on_unchanged(order, update, now_ns)
        elif status is OrderStatus.NOT_FOUND:
            self._absent(order, now_ns)
        elif status is OrderStatus.UNKNOWN:
            self._unknown(order, now_ns)
        else:
            self._on_replace_outcome(order, update, now_ns)

    def _on_open(self, order: TrackedOrder, update: OrderUpdate, now_ns: int) -> None:
        order.absences = 0
        answers_amend = update.request is Request.AMEND
        is_old = answers_amend and 0 < update.version <= order.amended_version
        order.version = max(order.version, update.version)
        state = order.state
        if state is OrderState.PENDING_REPLACE and (is_old or not answers_amend):
            # News of the order as it was; the change's own answer is still to come.
            return
        if state is OrderState.PENDING_CANCEL and not answers_amend:
            return
        if not answers_amend and self._can_still_change(order, update.price_ticks, update.size_lots, now_ns):
            return
        if update.price_ticks:
            order.price_ticks = update.price_ticks
        if update.size_lots:
            order.size_lots = update.size_lots
        elif answers_amend and order.pending_leaves_lots:
            order.price_ticks = order.pending_price_ticks
            order.size_lots = order.filled_lots + order.pending_leaves_lots
        if update.request is Request.SUBMIT or answers_amend:
            self.refusals_in_a_row[order.side] = 0
            order.move_refusals = 0
        if state is OrderState.PENDING_CANCEL:
            order.pending_leaves_lots = order.pending_price_ticks = 0
            return
        self._rest(order)

    def _can_still_change(self, order: TrackedOrder, price_ticks: int, size_lots: int, now_ns: int) -> bool:
        """Tell whether an amend of unknown outcome may take effect after the venue said how the order stands."""
        if not order.pending_leaves_lots or now_ns >= order.request_ns + self._takes_effect_ns:
            return False
        is_as_amended = (price_ticks, size_lots) == (
            order.pending_price_ticks,
            order.filled_lots + order.pending_leaves_lots,
        )
        return not is_as_amended

    def _on_unchanged(self, order: TrackedOrder, update: OrderUpdate, now_ns: int) -> None:
        """A cancel, amend or replace was refused. Unless the venue says that the order rests, it must be asked."""
        is_cancel = update.request is Request.CANCEL
        if is_cancel and order.state is OrderState.PENDING_REPLACE:
            # The refusal of an earlier cancel; the change's own answer is still to come.
            return
        if is_cancel:
            order.cancel_refusals += 1
            if order.cancel_refusals >= _QUICK_CANCELS:
                # Asking and cancelling in turns as fast as the answers come would use up the room that others need.
                order.cancel_again_ns = now_ns + self._query_interval_ns
        else:
            self.refusals_in_a_row[order.side] += 1
            order.move_refusals += 1
            order.pending_leaves_lots = order.pending_price_ticks = 0
            new = self._replacement_of(update)
            if new is not None:
                self._finish(new, OrderState.REJECTED)
            order.replacement_id = ""
        order.version = max(order.version, update.version)
        if update.size_lots:
            order.price_ticks = update.price_ticks or order.price_ticks
            order.size_lots = update.size_lots
        if order.state is OrderState.PENDING_CANCEL and not is_cancel:
            return
        if not update.size_lots or order.pending_leaves_lots:
            self._unknown(order, now_ns)
            return
        self._rest(order)

    def _on_replace_outcome(self, order: TrackedOrder, update: OrderUpdate, now_ns: int) -> None:
        self._settle_replacement(update, now_ns)
        order.replacement_id = ""
        if update.status is OrderStatus.BOTH_LIVE:
            self._rest(order)
        else:
            self._end(order, OrderState.CANCELED, update.filled_lots, now_ns)

    def _settle_replacement(self, update: OrderUpdate, now_ns: int) -> None:
        """Apply the outcome of a replace to the order that was to take the old one's place."""
        new = self._replacement_of(update)
        if new is None:
            return
        if update.status is OrderStatus.CANCELED_ONLY:
            self.refusals_in_a_row[new.side] += 1
            self._end(new, OrderState.REJECTED, 0, now_ns)
        elif update.status is OrderStatus.UNCHANGED:
            self._finish(new, OrderState.REJECTED)
        elif new.state is OrderState.SENT:
            new.version = max(new.version, update.version)
            self._rest(new)

    def _replacement_of(self, update: OrderUpdate) -> TrackedOrder | None:
        """Return the order that a replace of the update's order was to place, unless it has shown up already."""
        if update.new_client_id:
            new = self.live.get(update.new_client_id)
        else:
            new = next((order for order in self.live.values() if order.replaces == update.client_id), None)
        return None if new is None or new.has_been_open else new

    def _rest(self, order: TrackedOrder) -> None:
        order.pending_leaves_lots = 0
        order.pending_price_ticks = 0
        order.replacement_id = ""
        order.has_been_open = True
        order.absences = 0
        if order.filled_lots >= order.size_lots:
            self._finish(order, OrderState.FILLED)
            return
        order.state = OrderState.PARTIALLY_FILLED if order.filled_lots else OrderState.OPEN

    def _end(self, order: TrackedOrder, state: OrderState, venue_filled_lots: int, now_ns: int) -> None:
        missing = max(0, venue_filled_lots - order.filled_lots)
        order.pending_leaves_lots = 0
        if not missing:
            self._finish(order, state)
            return
        # The venue counts executions that we have not seen: keep just those reserved until they arrive.
        order.ends_as = state
        order.awaits_fills_lots = missing
        order.request_ns = now_ns
        self.deadline_ns = min(self.deadline_ns, now_ns + self._acknowledge_timeout_ns)

    def _unknown(self, order: TrackedOrder, now_ns: int) -> None:
        order.state = OrderState.UNKNOWN
        order.last_query_ns = now_ns - self._query_interval_ns
        self.deadline_ns = min(self.deadline_ns, now_ns)

    def _absent(self, order: TrackedOrder, now_ns: int) -> None:
        """Count one answer 'not found'. Proof needs several, and that the request can no longer take effect."""
        if order.ends_as is not None:
            # What has ended is in no list. Its executions are still to come, and must not be forgotten with it.
            return
        if order.state is not OrderState.UNKNOWN:
            self._unknown(order, now_ns)
        if not order.absences or now_ns >= order.absent_ns + self._query_interval_ns:
            # Told twice, or late and thus close to the next one, it is one answer.
            order.absences += 1
            order.absent_ns = now_ns
        is_overdue = now_ns >= order.request_ns + self._takes_effect_ns
        if order.absences < ABSENCE_ROUNDS or not is_overdue:
            return
        self._finish(order, OrderState.CANCELED if order.has_been_open else OrderState.NOT_PLACED)

    def _requested(self, order: TrackedOrder, state: OrderState, now_ns: int) -> None:
        order.state = state
        order.request_ns = now_ns
        self.deadline_ns = min(self.deadline_ns, now_ns + self._acknowledge_timeout_ns)

    def _finish(self, order: TrackedOrder, state: OrderState) -> None:
        order.state = state
        order.ends_as = None
        order.awaits_fills_lots = 0
        order.pending_leaves_lots = 0
        self.live.pop(order.client_id, None)
        self._finished[order.client_id] = state
        if len(self._finished) > _MAX_FINISHED:
            self._finished.popitem(last=False)

    def _unmatched(self, update: OrderUpdate, now_ns: int) -> OrderState | None:
        self.unmatched_count += 1
        if update.request is Request.REPLACE and update.status in _REPLACE_OUTCOMES:
            # The old order filled or was cancelled before the answer: that still says what became of the new one.
            self._settle_replacement(update, now_ns)
        if update.status is not OrderStatus.OPEN:
            return self._finished.get(update.client_id)
        # A late acknowledgement of an order that has filled is normal. One of an order that we hold for never placed
        # is not: it rests, and must go.
        ended_as = self._finished.get(update.client_id)
        if ended_as in _NEVER_RESTED or (ended_as is OrderState.CANCELED and update.request is Request.QUERY):
            self.stray_ids.append(update.client_id)
        return ended_as

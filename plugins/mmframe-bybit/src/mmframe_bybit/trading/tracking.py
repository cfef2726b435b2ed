"""What the exchange has said of our orders, and what follows from it for the strategy. Pure: facts in, events out.

Only evidence makes an event: rows of the order stream and the lists, executions, and refusals that are certain. Fills
come from executions alone and go before the update that counts them: an update whose executions are still missing is
held back until they are there.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from mmframe.domain.orders import Fill, OrderStatus, OrderUpdate, Request, VenueEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmframe.domain.market import Side
    from mmframe.domain.orders import Amend, Cancel, Submit
    from mmframe_bybit.trading.messages import ExecutionFacts, OrderFacts

__all__ = ["OrderRecord", "OrderRecords", "status_of"]

ENDED_ORDERS_MAX = 4096
"""Ended orders that are remembered, so that late news of them is recognised; beyond it the oldest are forgotten."""

EXECUTIONS_MAX = 65_536
"""Executions that are remembered so as to be told once; the journal's ledger counts each once in any case."""

_POST_ONLY_WOULD_TAKE = "EC_PostOnlyWillTakeLiquidity"
_OPEN_STATUSES = frozenset({"New", "PartiallyFilled", "Untriggered"})
_CANCELED_STATUSES = frozenset({"Cancelled", "PartiallyFilledCanceled", "Deactivated"})
_NO_REASONS = frozenset({"", "UNKNOWN", "EC_NoError"})
_MS = 1_000_000


def status_of(facts: OrderFacts, *, was_amended: bool) -> OrderStatus | None:
    """Return what an order row says; None for a state of passage or one that is not documented.

    A post-only order that would have taken is cancelled after it was acknowledged: for the submit that is a refusal. An
    order that was moved onto the other side by an amend had rested before, so it is a cancel.
    """
    if facts.status in _OPEN_STATUSES:
        return OrderStatus.OPEN
    if facts.status == "Filled":
        return OrderStatus.FILLED
    if facts.status == "Rejected":
        return OrderStatus.REJECTED
    if facts.status in _CANCELED_STATUSES:
        is_refusal = facts.reject_reason == _POST_ONLY_WOULD_TAKE and not facts.filled_lots and not was_amended
        return OrderStatus.REJECTED if is_refusal else OrderStatus.CANCELED
    return None


class OrderRecord:
    """One order, as far as it is known.

    Attributes:
        side: None until a request or the exchange told it.
        price_ticks: As the exchange last told it, else as it was submitted.
        size_lots: The same of the whole size; 0 when it is not known.
        fetched_lots: Sum of the executions that became fills.
        told_lots: Sum of the fills that the strategy has taken.
        amended_to: Price and size of the amend under way.
        held: An update that counts executions which have not come yet.
        status: What was last told of it; None before the first news.
        is_ended: The exchange has shown its end.
    """

    __slots__ = (
        "amended_to",
        "client_id",
        "fetched_lots",
        "filled_lots",
        "held",
        "is_cancelling",
        "is_ended",
        "is_submitting",
        "market",
        "price_ticks",
        "reason",
        "side",
        "size_lots",
        "status",
        "told_lots",
        "updated_ms",
        "venue_order_id",
        "was_amended",
    )

    def __init__(self, market: int, client_id: str) -> None:
        self.market = market
        self.client_id = client_id
        self.side: Side | None = None
        self.price_ticks = 0
        self.size_lots = 0
        self.filled_lots = 0
        self.fetched_lots = 0
        self.told_lots = 0
        self.updated_ms = 0
        self.venue_order_id = ""
        self.amended_to: tuple[int, int] | None = None
        self.held: OrderFacts | None = None
        self.status: OrderStatus | None = None
        self.reason = ""
        self.is_submitting = False
        self.is_cancelling = False
        self.was_amended = False
        self.is_ended = False

    def __repr__(self) -> str:
        return f"<OrderRecord {self.client_id} {self.status}>"

    @property
    def rests(self) -> bool:
        """Tell whether the exchange has shown the order open and not yet its end."""
        return self.status is OrderStatus.OPEN


class OrderRecords:
    """The orders of all markets of one venue, by client id."""

    def __init__(self) -> None:
        self._live: dict[str, OrderRecord] = {}
        self._ended: OrderedDict[str, OrderRecord] = OrderedDict()
        self._executions: OrderedDict[tuple[int, str], None] = OrderedDict()

    def __iter__(self) -> Iterator[OrderRecord]:
        return iter(list(self._live.values()))

    def get(self, client_id: str) -> OrderRecord | None:
        """Return the record of an order, if there is one."""
        return self._live.get(client_id) or self._ended.get(client_id)

    def note(self, market: int, client_id: str) -> OrderRecord:
        """Return the record of an order; a new one if nothing is known of it."""
        record = self.get(client_id)
        if record is None:
            record = self._live[client_id] = OrderRecord(market, client_id)
        return record

    # Requests: noted when they are handed over, before they are sent.

    def on_submit(self, action: Submit) -> None:
        """Take note of a new order."""
        record = self.note(action.market, action.client_id)
        record.side = action.side
        record.price_ticks, record.size_lots = action.price_ticks, action.size_lots
        record.is_submitting = True

    def on_amend(self, action: Amend) -> int:
        """Take note of an amend and return the whole size to ask for: the fills that the strategy knows, and the rest.

        A fill that it does not know yet makes the rest smaller, as it should.
        """
        record = self.note(action.market, action.client_id)
        size_lots = record.told_lots + action.leaves_lots
        record.amended_to = (action.price_ticks, size_lots)
        record.was_amended = True
        return size_lots

    def on_cancel(self, action: Cancel) -> None:
        """Take note of a cancel."""
        self.note(action.market, action.client_id).is_cancelling = True

    def on_polled(self, fill: Fill) -> None:
        """Take note that the strategy has taken a fill."""
        record = self.get(fill.client_id)
        if record is not None:
            record.told_lots += fill.size_lots

    # Evidence.

    def on_order(self, market: int, facts: OrderFacts, receive_ns: int) -> list[VenueEvent]:
        """Return what is to be told after an order row, of the stream or of a list."""
        record = self.note(market, facts.client_id)
        if not self._is_news(record, facts):
            return []
        record.side = facts.side
        record.updated_ms = max(record.updated_ms, facts.updated_ms)
        record.filled_lots = max(record.filled_lots, facts.filled_lots)
        record.venue_order_id = facts.venue_order_id or record.venue_order_id
        if facts.filled_lots > record.fetched_lots:
            record.held = facts
            return []
        record.held = None
        return self._tell(record, facts, receive_ns)

    def on_execution(self, market: int, facts: ExecutionFacts, receive_ns: int) -> list[VenueEvent]:
        """Return what is to be told after an execution: its fill, and an update that waited for it."""
        key = (market, facts.venue_trade_id)
        if key in self._executions:
            return []
        self._executions[key] = None
        if len(self._executions) > EXECUTIONS_MAX:
            self._executions.popitem(last=False)
        record = self.note(market, facts.client_id)
        record.side = facts.side
        record.fetched_lots += facts.size_lots
        record.venue_order_id = record.venue_order_id or facts.venue_order_id
        fill = Fill(
            market=market,
            client_id=facts.client_id,
            venue_trade_id=facts.venue_trade_id,
            side=facts.side,
            price_ticks=facts.price_ticks,
            size_lots=facts.size_lots,
            is_maker=facts.is_maker,
            fee=facts.fee,
            fee_asset=facts.fee_asset,
            exchange_ns=facts.time_ms * _MS or receive_ns,
            receive_ns=receive_ns,
            venue_order_id=facts.venue_order_id,
        )
        held = record.held
        if held is not None and record.fetched_lots >= held.filled_lots:
            return [fill, *self.release(record, receive_ns)]
        return [fill]

    def release(self, record: OrderRecord, receive_ns: int) -> list[VenueEvent]:
        """Return the update that was held back, whether or not its executions have come."""
        held, record.held = record.held, None
        return [] if held is None else self._tell(record, held, receive_ns)

    def holding(self) -> list[OrderRecord]:
        """Return the orders with an update that waits for executions."""
        return [record for record in self._live.values() if record.held is not None]

    def forget(self, record: OrderRecord) -> None:
        """Drop a record of which the exchange knows nothing; what comes after all makes a new one."""
        if record.status is None and not record.fetched_lots:
            self._live.pop(record.client_id, None)

    def answer(self, record: OrderRecord, request: Request, receive_ns: int) -> list[VenueEvent]:
        """Return how an order stands by all that is known, in answer to `request`; nothing while nothing is known."""
        events = self.release(record, receive_ns)
        if record.status is not None:
            events.append(self._update(record, record.status, request, receive_ns, reason=record.reason))
        return events

    # Answers to our requests.

    def refused_submit(self, record: OrderRecord, reason: str, receive_ns: int) -> list[VenueEvent]:
        """Return the answer to a submit that certainly placed nothing."""
        if record.status is not None or record.held is not None:
            # The stream has shown the order: it knows better than an answer that came late.
            return []
        self._live.pop(record.client_id, None)
        return [self._update(record, OrderStatus.REJECTED, Request.SUBMIT, receive_ns, reason=reason)]

    def unchanged(
        self, record: OrderRecord, request: Request, reason: str, receive_ns: int, *, is_in_doubt: bool = False
    ) -> list[VenueEvent]:
        """Return the answer to an amend or cancel that was certainly not carried out.

        `is_in_doubt` leaves out how the order stands: the exchange found none that it could change.
        """
        if request is Request.AMEND:
            record.amended_to = None
        else:
            record.is_cancelling = False
        if record.is_ended:
            return []
        is_known = record.rests and not is_in_doubt
        return [self._update(record, OrderStatus.UNCHANGED, request, receive_ns, reason=reason, tells_size=is_known)]

    def unknown(self, record: OrderRecord, request: Request, reason: str, receive_ns: int) -> list[VenueEvent]:
        """Return the answer to a request of which nobody knows what became of it, unless the exchange has shown it."""
        has_shown_submit = request is Request.SUBMIT and (record.status is not None or record.held is not None)
        has_shown_amend = request is Request.AMEND and record.amended_to is None
        if record.is_ended or has_shown_submit or has_shown_amend:
            return []
        return [
            self._update(record, OrderStatus.UNKNOWN, request, receive_ns, reason=reason, tells_size=False),
        ]

    # Inside.

    def _is_news(self, record: OrderRecord, facts: OrderFacts) -> bool:
        """Tell whether a row is not an older one, a second one of an end, or one that says nothing that lasts."""
        if record.is_ended or facts.filled_lots < record.filled_lots:
            return False
        status = status_of(facts, was_amended=record.was_amended)
        if status is OrderStatus.OPEN and facts.updated_ms < record.updated_ms:
            # An order ends once, so an end is news whatever its time says: the exchange's clock may have been set back.
            return False
        if record.held is not None and record.held.status not in _OPEN_STATUSES:
            # An end that waits for its executions: nothing comes after it.
            return False
        return status is not None

    def _tell(self, record: OrderRecord, facts: OrderFacts, receive_ns: int) -> list[VenueEvent]:
        status = status_of(facts, was_amended=record.was_amended)
        if status is None:
            return []
        request = self._answered(record, facts, status)
        before = (record.status, record.price_ticks, record.size_lots)
        record.status = status
        record.price_ticks = facts.price_ticks or record.price_ticks
        record.size_lots = facts.size_lots or record.size_lots
        is_open = status is OrderStatus.OPEN
        record.reason = "" if is_open or status is OrderStatus.FILLED else _reason(facts)
        if not is_open:
            self._end(record)
        elif request is Request.STREAM and before == (status, record.price_ticks, record.size_lots):
            # Partial fills and repetitions: the fills have been told.
            return []
        return [self._update(record, status, request, receive_ns, reason=record.reason)]

    def _answered(self, record: OrderRecord, facts: OrderFacts, status: OrderStatus) -> Request:
        """Return the request that a row shows the outcome of; STREAM if none."""
        if record.is_submitting:
            record.is_submitting = False
            return Request.SUBMIT
        if record.amended_to == (facts.price_ticks, facts.size_lots) and status is OrderStatus.OPEN:
            record.amended_to = None
            return Request.AMEND
        if record.is_cancelling and status is OrderStatus.CANCELED:
            return Request.CANCEL
        return Request.STREAM

    def _end(self, record: OrderRecord) -> None:
        record.is_ended = True
        self._live.pop(record.client_id, None)
        self._ended[record.client_id] = record
        if len(self._ended) > ENDED_ORDERS_MAX:
            self._ended.popitem(last=False)

    def _update(  # noqa: PLR0913 - the parts of an update, each by its name
        self,
        record: OrderRecord,
        status: OrderStatus,
        request: Request,
        receive_ns: int,
        *,
        reason: str = "",
        tells_size: bool = True,
    ) -> OrderUpdate:
        return OrderUpdate(
            market=record.market,
            client_id=record.client_id,
            status=status,
            request=request,
            exchange_ns=record.updated_ms * _MS or receive_ns,
            receive_ns=receive_ns,
            venue_order_id=record.venue_order_id,
            price_ticks=record.price_ticks if tells_size else 0,
            size_lots=record.size_lots if tells_size else 0,
            filled_lots=record.filled_lots,
            reason=reason,
        )


def _reason(facts: OrderFacts) -> str:
    """Return why an order ended, in the exchange's words."""
    words = [word for word in (facts.cancel_type, facts.reject_reason) if word not in _NO_REASONS]
    return ", ".join(words)

"""What the journal knows of one order, and how an action, an update or a fill moves it: pure functions.

The states follow the same evidence as the engine's tracker. Where the journal is told less (a request that timed out
is no evidence), it holds the more careful view: an order that may rest is never final here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mmframe.domain.market import Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    Cancel,
    CancelAll,
    OrderState,
    OrderStatus,
    Replace,
    Request,
    Submit,
)
from mmframe.engine.state import RestoredOrder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.domain.orders import Action, Fill, OrderUpdate

__all__ = ["JournalOrder", "after_action", "after_fill", "after_replacement", "after_update"]

_RESTING = frozenset({OrderState.OPEN, OrderState.PARTIALLY_FILLED})
_STANDS = frozenset({OrderStatus.OPEN, OrderStatus.UNCHANGED})
"""What a venue may say more than once of an order, so that it can be old news."""
_MAY_REST = _RESTING | {OrderState.PENDING_REPLACE}
_FILL_SHOWS = frozenset({OrderState.INTENT, OrderState.SENT, OrderState.OPEN, OrderState.UNKNOWN})
"""States in which an execution proves that the order rests or rested."""

_ENDS_AS = {
    OrderStatus.FILLED: OrderState.FILLED,
    OrderStatus.CANCELED: OrderState.CANCELED,
    OrderStatus.EXPIRED: OrderState.EXPIRED,
    OrderStatus.REJECTED: OrderState.REJECTED,
    OrderStatus.REPLACED: OrderState.CANCELED,
    OrderStatus.CANCELED_ONLY: OrderState.CANCELED,
}
_NEW_ORDER_STATES = {
    OrderStatus.REPLACED: OrderState.OPEN,
    OrderStatus.BOTH_LIVE: OrderState.OPEN,
    OrderStatus.CANCELED_ONLY: OrderState.REJECTED,
    OrderStatus.UNCHANGED: OrderState.REJECTED,
}
"""What a replace's outcome says of the order that was to take the old one's place."""


class JournalOrder(msgspec.Struct, frozen=True):
    """One order as the journal knows it: a row of `orders`. Ticks, lots, and nanoseconds UTC of the driver's clock."""

    client_id: str
    market: int
    side: Side
    state: OrderState
    price_ticks: int
    size_lots: int
    created_run: int
    created_ns: int
    requested_price_ticks: int | None = None
    """Of an amend whose answer is not known."""
    requested_size_lots: int | None = None
    """The whole size after that amend, filled part included."""
    counted_lots: int = 0
    """Sum of its fills."""
    reported_lots: int = 0
    """The largest cumulated size that the venue told."""
    ends_as: OrderState | None = None
    """The final state that the venue told; the order takes it when `counted_lots` has reached `reported_lots`."""
    version: int = 0
    venue_order_id: str = ""
    replaces: str = ""
    """Client id of the order whose place it took, or was to take."""
    reason: str = ""
    ended_run: int | None = None
    ended_ns: int | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more can happen to the order."""
        return self.state.is_final

    def restored(self) -> RestoredOrder:
        """Return what an engine needs to take the order back; of two sizes that may rest, the larger."""
        return RestoredOrder(
            market=self.market,
            client_id=self.client_id,
            side=self.side,
            price_ticks=self.price_ticks,
            size_lots=max(self.size_lots, self.requested_size_lots or 0),
            filled_lots=self.counted_lots,
            state=self.state,
            version=self.version,
            venue_order_id=self.venue_order_id,
        )


def after_action(
    action: Action, *, order: JournalOrder | None, live: Iterable[JournalOrder], run: int, now_ns: int
) -> list[JournalOrder]:
    """Return the orders that `action` makes or changes, as they stand before it is sent.

    Args:
        action: What is about to be sent.
        order: The order that it names, if the journal knows it.
        live: Every order that is not final.
        run: Number of the run.
        now_ns: The driver's time.
    """
    if isinstance(action, Submit):
        return [_intended(action, action.client_id, action.side, run=run, now_ns=now_ns)]
    if isinstance(action, CancelAll):
        cancelled = [other for other in live if action.market in {ALL_MARKETS, other.market}]
    elif isinstance(action, Cancel):
        cancelled = [order] if order is not None else []
    elif order is not None:
        return _after_change(action, order, run=run, now_ns=now_ns)
    else:
        return []
    return [
        msgspec.structs.replace(other, state=OrderState.PENDING_CANCEL)
        for other in cancelled
        if other.state in _MAY_REST
    ]


def after_update(order: JournalOrder, update: OrderUpdate, state: OrderState, *, run: int) -> JournalOrder:
    """Return `order` after the venue's `update`, which left it in `state` for the engine."""
    if update.version and update.version < order.version and update.status in _STANDS:
        return order
    if update.status is OrderStatus.OPEN and _is_news_of_before(update, state):
        return msgspec.structs.replace(
            order,
            state=state,
            version=max(order.version, update.version),
            venue_order_id=update.venue_order_id or order.venue_order_id,
        )
    is_answer = update.request in {Request.AMEND, Request.REPLACE} and update.status is not OrderStatus.UNKNOWN
    is_amended = update.request is Request.AMEND and update.status is OrderStatus.OPEN
    price_ticks, size_lots = order.price_ticks, order.size_lots
    if is_amended:
        price_ticks = order.requested_price_ticks or price_ticks
        size_lots = order.requested_size_lots or size_lots
    size_lots = update.size_lots or size_lots
    reported_lots = max(update.filled_lots, size_lots) if update.status is OrderStatus.FILLED else update.filled_lots
    return msgspec.structs.replace(
        order,
        state=state,
        price_ticks=update.price_ticks or price_ticks,
        size_lots=size_lots,
        requested_price_ticks=None if is_answer or state.is_final else order.requested_price_ticks,
        requested_size_lots=None if is_answer or state.is_final else order.requested_size_lots,
        reported_lots=max(order.reported_lots, reported_lots),
        ends_as=_ENDS_AS.get(update.status, order.ends_as),
        version=max(order.version, update.version),
        venue_order_id=update.venue_order_id or order.venue_order_id,
        reason=update.reason or order.reason,
        ended_run=(order.ended_run or run) if state.is_final else None,
        ended_ns=(order.ended_ns or update.receive_ns) if state.is_final else None,
    )


def after_replacement(new: JournalOrder, update: OrderUpdate, *, run: int) -> JournalOrder:
    """Return the order that a replace was to place, after the replace's outcome told by `update`."""
    state = _NEW_ORDER_STATES.get(update.status)
    if state is None or new.state is not OrderState.INTENT:
        return new
    return msgspec.structs.replace(
        new,
        state=state,
        ended_run=run if state.is_final else None,
        ended_ns=update.receive_ns if state.is_final else None,
    )


def after_fill(order: JournalOrder, fill: Fill, *, run: int) -> JournalOrder:
    """Return `order` after an execution that was counted for the first time."""
    counted_lots = order.counted_lots + fill.size_lots
    if order.is_final:
        return msgspec.structs.replace(order, counted_lots=counted_lots)
    state = order.state
    if order.ends_as is not None and counted_lots >= order.reported_lots:
        state = order.ends_as
    elif state is not OrderState.PENDING_REPLACE and counted_lots >= max(
        order.size_lots, order.requested_size_lots or 0
    ):
        state = OrderState.FILLED
    elif state in _FILL_SHOWS:
        state = OrderState.PARTIALLY_FILLED
    return msgspec.structs.replace(
        order,
        state=state,
        counted_lots=counted_lots,
        ended_run=run if state.is_final else None,
        ended_ns=fill.receive_ns if state.is_final else None,
    )


def _is_news_of_before(update: OrderUpdate, state: OrderState) -> bool:
    """Tell whether `update` shows the order as it stood before a request whose own answer is still to come."""
    if state is OrderState.PENDING_REPLACE:
        # An amend's own answer would have ended this state: what came is the late answer of an earlier one.
        return True
    return state is OrderState.PENDING_CANCEL and update.request is not Request.AMEND


def _after_change(action: Action, order: JournalOrder, *, run: int, now_ns: int) -> list[JournalOrder]:
    """Return `order` while an amend or replace of it is under way, and the order that a replace is to place."""
    state = OrderState.PENDING_REPLACE if order.state in _RESTING else order.state
    if isinstance(action, Amend):
        return [
            msgspec.structs.replace(
                order,
                state=state,
                requested_price_ticks=action.price_ticks,
                requested_size_lots=order.counted_lots + action.leaves_lots,
            )
        ]
    if isinstance(action, Replace):
        new = _intended(action, action.new_client_id, order.side, run=run, now_ns=now_ns)
        return [
            msgspec.structs.replace(order, state=state),
            msgspec.structs.replace(new, replaces=action.client_id),
        ]
    return []


def _intended(action: Submit | Replace, client_id: str, side: Side, *, run: int, now_ns: int) -> JournalOrder:
    return JournalOrder(
        client_id=client_id,
        market=action.market,
        side=side,
        state=OrderState.INTENT,
        price_ticks=action.price_ticks,
        size_lots=action.size_lots,
        created_run=run,
        created_ns=now_ns,
    )

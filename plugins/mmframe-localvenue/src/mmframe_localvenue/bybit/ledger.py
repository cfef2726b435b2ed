"""What the exchange remembers of each account beyond the orders themselves: ids, executions, recently closed orders."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from mmframe_localvenue.bybit.records import category_of, execution_record, funding_record, link_of, order_id_of
from mmframe_localvenue.core import OrderEventKind

if TYPE_CHECKING:
    from mmframe_localvenue.core import Account, Exchange, Funding, OrderEvent, VenueOrder

__all__ = ["ExecutionNote", "Ledger"]

_RECENT_MAX = 500
"""Closed orders of one account and category that `order/realtime` still shows."""
_EXECUTIONS_MAX = 100_000
_HISTORY_MAX = 100_000


@attrs.frozen
class ExecutionNote:
    """One execution as it was told, and what a query filters by."""

    number: int
    category: str
    at_ms: int
    record: dict[str, Any]


class Ledger:
    """All accounts' memory; hears every order event.

    Args:
        exchange: Whose.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._by_id: dict[tuple[str, str], VenueOrder] = {}
        self._by_link: dict[tuple[str, str, str], VenueOrder] = {}
        self._recent: dict[tuple[str, str], deque[VenueOrder]] = {}
        self._history: dict[tuple[str, str], deque[VenueOrder]] = {}
        self._executions: dict[str, deque[ExecutionNote]] = {
            name: deque(maxlen=_EXECUTIONS_MAX) for name in exchange.accounts
        }

    def hear(self, event: OrderEvent) -> dict[str, Any] | None:
        """Remember what happened; return the execution's record when it was one."""
        order = event.order
        account, category = order.account.name, category_of(order.market)
        if event.kind is OrderEventKind.NEW:
            self._by_id[account, order_id_of(order)] = order
            link = link_of(order)
            if link:
                self._by_link[account, category, link] = order
        if not order.state.is_open:
            key = account, category
            self._recent.setdefault(key, deque(maxlen=_RECENT_MAX)).appendleft(order)
            self._history.setdefault(key, deque(maxlen=_HISTORY_MAX)).appendleft(order)
        if event.fill is None:
            return None
        record = execution_record(event, event.fill, order.market.update_id + 1)
        self._executions[account].appendleft(ExecutionNote(event.number, category, event.at_ns // 1_000_000, record))
        return record

    def hear_funding(self, funding: Funding) -> dict[str, Any]:
        """Remember a funding settlement and return the execution's record."""
        record = funding_record(funding)
        note = ExecutionNote(funding.number, category_of(funding.market), funding.at_ns // 1_000_000, record)
        self._executions[funding.account.name].appendleft(note)
        return record

    def is_link_used(self, account: Account, category: str, link: str) -> bool:
        """Tell whether an order of that category ever had this `orderLinkId`: they are unique for good."""
        return (account.name, category, link) in self._by_link

    def find(self, account: Account, category: str, *, order_id: str = "", link: str = "") -> VenueOrder | None:
        """Return an order by either id; `orderId` wins where both are given."""
        if order_id:
            order = self._by_id.get((account.name, order_id))
            return order if order is not None and category_of(order.market) == category else None
        return self._by_link.get((account.name, category, link))

    def recent(self, account: Account, category: str) -> list[VenueOrder]:
        """Return the closed orders that `order/realtime` still knows, newest first."""
        return list(self._recent.get((account.name, category), ()))

    def history(self, account: Account, category: str) -> list[VenueOrder]:
        """Return every closed order, newest first."""
        return list(self._history.get((account.name, category), ()))

    def executions(self, account: Account, category: str) -> list[ExecutionNote]:
        """Return every execution, newest first."""
        return [note for note in self._executions[account.name] if note.category == category]

    def restart(self) -> None:
        """Forget the recently closed orders, as a restart of the exchange's service does; the history stays."""
        self._recent.clear()

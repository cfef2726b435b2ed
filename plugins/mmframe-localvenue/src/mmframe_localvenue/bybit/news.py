"""Private news: what happened to an account, worded when it happens, sent to its private sockets a moment later.

One request's doings are told as one piece: an order that is accepted and cancelled at once is told as cancelled, not as
new before that. Whether executions or orders come first is nobody's promise: it alternates.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from mmframe.builtin.exchange.matching import Reject
from mmframe_localvenue.bybit.envelope import SPOT
from mmframe_localvenue.bybit.records import (
    category_of,
    order_id_of,
    order_record,
    position_record,
    wallet_record,
)
from mmframe_localvenue.core import OrderEventKind, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mmframe_localvenue.bybit.ledger import Ledger
    from mmframe_localvenue.bybit.sessions import Session
    from mmframe_localvenue.core import Account, Core, Funding, Market, OrderEvent, VenueOrder

__all__ = ["PRIVATE_TOPICS", "News"]

PRIVATE_TOPICS = frozenset(
    {"order", "execution", "execution.fast", "position", "wallet", "greeks"}
    | {
        f"{topic}.{category}"
        for topic in ("order", "execution", "position", "execution.fast")
        for category in (SPOT, "linear", "inverse", "option")
    }
    | {"dcp.future", "dcp.spot", "dcp.option"}
)
_OPERATION = "user-stream"
_FAST_FIELDS = (
    "symbol",
    "execId",
    "execPrice",
    "execQty",
    "orderId",
    "isMaker",
    "orderLinkId",
    "side",
    "execTime",
    "seq",
)


class _Piece:
    """What one request (or one thing that came from outside) did to one account."""

    def __init__(self) -> None:
        self.executions: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.orders: dict[str, tuple[str, dict[str, Any]]] = {}
        self.markets: dict[int, Market] = {}
        self.coins: set[str] = set()


class News:
    """Everybody's private news.

    Args:
        core: The venue.
        ledger: Remembers executions; hears each event first.
    """

    def __init__(self, core: Core, ledger: Ledger) -> None:
        self._core = core
        self._ledger = ledger
        self._topics: dict[Session, set[str]] = {}
        self._pieces: dict[str, _Piece] = {}
        self._is_in_request = False
        self._orders_first = False
        self._number = 0
        self._waiting: list[Callable[[], None]] = []
        self._wake = anyio.Event()
        core.exchange.on_order.append(self._hear_order)
        core.exchange.on_balances.append(self._hear_balances)
        core.exchange.on_funding.append(self._hear_funding)
        core.exchange.on_change.append(self._end_piece)

    def subscribe(self, session: Session, topics: set[str]) -> None:
        """Set what a socket hears."""
        self._topics[session] = topics

    def forget(self, session: Session) -> None:
        """Drop a socket that is over."""
        self._topics.pop(session, None)

    @contextmanager
    def one_request(self) -> Iterator[None]:
        """Take what happens inside as one piece."""
        self._is_in_request = True
        try:
            yield
        finally:
            self._is_in_request = False
            self._end_piece()

    def tell_lost_cancel(self, order: VenueOrder) -> None:
        """Send the second `Filled` message of a cancel that came too late."""
        record = order_record(order) | {
            "cancelType": "CancelByUser",
            "rejectReason": "EC_OrigClOrdIDDoesNotExist",
        }
        self._say(order.account, "order", category_of(order.market), [record])

    async def run(self) -> None:
        """Send what is waiting, after whoever caused it was answered; until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            waiting, self._waiting = self._waiting, []
            for send in waiting:
                send()

    # Private

    def _hear_order(self, event: OrderEvent) -> None:
        self._label(event)
        execution = self._ledger.hear(event)
        order = event.order
        piece = self._pieces.setdefault(order.account.name, _Piece())
        category = category_of(order.market)
        if execution is not None:
            piece.executions.setdefault((category, order_id_of(order)), []).append(execution)
        piece.orders[order_id_of(order)] = category, order_record(order)
        if category != SPOT:
            piece.markets[order.market.index] = order.market
        if not self._is_in_request:
            self._end_piece()

    def _label(self, event: OrderEvent) -> None:
        """Note on the order why it ended, in the exchange's words."""
        order, labels = event.order, event.order.labels
        if event.kind is OrderEventKind.EXPIRED:
            reason = {
                Reject.WOULD_TAKE.value: "EC_PostOnlyWillTakeLiquidity",
                Reject.NOT_FILLABLE.value: "EC_CancelForNoFullFill",
                Reject.NO_LIQUIDITY.value: "EC_NoImmediateQtyToFill",
            }.get(event.reason)
            if reason is not None:
                labels["reject_reason"] = reason
            elif event.reason.startswith("EC_"):
                labels["reject_reason"] = event.reason
            else:
                labels.setdefault("cancel_type", "CancelByAdmin")
        elif event.kind is OrderEventKind.CANCELED and not labels.get("cancel_type"):
            labels |= {"cancel_type": "CancelByUser", "reject_reason": "EC_PerCancelRequest"}
        elif event.kind is OrderEventKind.SELF_TRADE:
            labels["cancel_type"] = "CancelBySmp"
            other = order.account.orders.get(event.counter_order_id)
            if other is not None:
                labels["smp_order_id"] = order_id_of(other)

    def _hear_funding(self, funding: Funding) -> None:
        record = self._ledger.hear_funding(funding)
        self._say(funding.account, "execution", category_of(funding.market), [record])
        self._pieces.setdefault(funding.account.name, _Piece()).markets[funding.market.index] = funding.market

    def _hear_balances(self, account: Account, coins: frozenset[str], at_ns: int) -> None:  # noqa: ARG002
        self._pieces.setdefault(account.name, _Piece()).coins |= coins

    def _end_piece(self) -> None:
        if self._is_in_request:
            return
        pieces, self._pieces = self._pieces, {}
        for name, piece in pieces.items():
            self._tell(self._core.exchange.accounts[name], piece)

    def _tell(self, account: Account, piece: _Piece) -> None:
        if piece.orders:
            self._orders_first = not self._orders_first
            steps = [self._tell_executions, self._tell_orders]
            for step in reversed(steps) if self._orders_first else steps:
                step(account, piece)
        for market in piece.markets.values():
            record = position_record(self._core.exchange, account, market, is_stream=True)
            self._say(account, "position", "linear", [record])
        if piece.coins:
            wallet = wallet_record(self._core.exchange, account, sorted(piece.coins))
            self._say(account, "wallet", "", [wallet])

    def _tell_executions(self, account: Account, piece: _Piece) -> None:
        for (category, _), records in piece.executions.items():
            fast = [{name: record[name] for name in _FAST_FIELDS} for record in records]
            for record in fast:
                if record["isMaker"]:
                    record["orderLinkId"] = ""
            self._say(account, "execution.fast", category, fast)
            self._say(account, "execution", category, records)

    def _tell_orders(self, account: Account, piece: _Piece) -> None:
        for category, record in piece.orders.values():
            self._say(account, "order", category, [record])

    def _say(self, account: Account, topic: str, category: str, records: list[dict[str, Any]]) -> None:
        """Word a message now and send it once whoever caused it was answered."""
        now_ms = self._core.clock.now_ms()
        if category:
            records = [{"category": category} | record for record in records]
        self._number += 1
        number = self._number

        def send() -> None:
            for session, topics in list(self._topics.items()):
                connection = session.connection
                for name in (topic, f"{topic}.{category}"):
                    if connection.account == account.name and name in topics:
                        message = {"topic": name, "id": f"{account.name}_{number}", "creationTime": now_ms}
                        text = msgspec.json.encode(message | {"data": records}).decode()
                        session.touch()
                        connection.send_data(_OPERATION, text, Role.PRIVATE)

        self._waiting.append(send)
        self._wake.set()

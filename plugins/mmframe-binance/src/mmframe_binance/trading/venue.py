"""What the venues `spot` and `usdm` make of requests and answers: only evidence says what became of an order.

A request that may have left is never sent again; what became of it is asked. One that certainly did not leave, or that
the exchange refused by its own rules, leaves things as they were.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.domain.orders import (
    Amend,
    Cancel,
    CancelAll,
    OpenOrdersReport,
    OrderStatus,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
)
from mmframe.errors import DomainError
from mmframe.net.request import NotSent
from mmframe.net.timing import Timing
from mmframe_binance.trading.client import Done, NotYetError, Outcome, Refused, Unclear
from mmframe_binance.trading.errors import Verdict
from mmframe_binance.trading.orders import own_id
from mmframe_binance.trading.telling import MS_NS, ORDER_STATUSES, Execution
from mmframe_binance.trading.wire import OrderAnswer, WireError, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from mmframe.domain.orders import Action, VenueCapabilities
    from mmframe.net.websocket import WebsocketSession
    from mmframe.plugin import BuildContext
    from mmframe_binance.trading.calls import Call
    from mmframe_binance.trading.options import TradingOptions
    from mmframe_binance.trading.orders import KnownOrder

from mmframe_binance.trading.connected import ConnectedVenue, TradingProduct

__all__ = ["NOT_EXECUTED", "TradingVenue", "is_post_only"]

_OFF_RULES = frozenset({-1013, -1111, -4014, -4023})
"""Refusals that a changed grid leads to."""

_OVERTAKEN = frozenset({Request.SUBMIT, Request.AMEND})
"""Answers that say no more than the stream, which may have been faster and have told the end."""

NOT_EXECUTED = frozenset({Verdict.REFUSED, Verdict.FATAL, Verdict.THROTTLED, Verdict.CLOCK})
"""What a definite refusal is."""


class TradingVenue(ConnectedVenue):
    """One account's orders in the strategy's markets; spot and futures add their stream and how orders are changed."""

    def __init__(  # noqa: PLR0913 - as of the connection
        self,
        product: TradingProduct,
        options: TradingOptions,
        context: BuildContext,
        *,
        rest_url: str,
        capabilities: VenueCapabilities,
        timing: Timing | None = None,
    ) -> None:
        super().__init__(product, options, context, rest_url=rest_url, capabilities=capabilities, timing=timing)
        self._handlers: dict[type[Any], Callable[[Any], Coroutine[Any, Any, None]]] = {
            Submit: self._submit,
            Amend: self._amend,
            Replace: self._replace,
            Cancel: self._cancel,
            CancelAll: self._cancel_all,
            QueryOrder: self._query,
            QueryOpenOrders: self._query_open_orders,
        }

    # What a product adds.

    def _place_fields(self, action: Submit) -> dict[str, str]:
        """Return the parameters of a new order."""
        raise NotImplementedError

    def _cancel_fields(self, order: KnownOrder) -> dict[str, str]:
        """Return the parameters of a cancel."""
        raise NotImplementedError

    async def _amend(self, action: Amend) -> None:
        """Change a resting order."""
        raise NotImplementedError

    async def _replace(self, action: Replace) -> None:
        """Cancel one order and place another."""
        raise NotImplementedError

    def _order_socket(self) -> WebsocketSession | None:
        """Return the socket on which orders are sent now, None for REST."""
        return None

    # Requests.

    async def _perform(self, action: Action) -> None:
        try:
            await self._handlers[type(action)](action)
        except (WireError, DomainError, NotYetError) as error:
            # An answer that cannot be read says nothing about what was done.
            self.counts.bad_frames += 1
            self._unclear(action, error.message if isinstance(error, (WireError, DomainError)) else str(error))
        finally:
            self._wave_of.pop(action, None)
            if isinstance(action, Amend):
                self._whole_lots.pop(action, None)
            self._in_flight -= 1
            self._work.set()

    async def _send(self, action: Submit | Amend | Replace, call: Call, fields: Mapping[str, str]) -> Outcome:
        """Send what adds risk, unless everything was to be cancelled or the venue went down while it waited."""
        wave = self._wave_of.get(action)

        def refusal() -> str:
            if wave != self._waves[action.market]:
                return "everything is being cancelled"
            return "" if self._is_up else f"the venue is down: {self._down_reason}"

        return await self._asking.ask(call, fields, socket=self._order_socket(), refusal=refusal)

    async def _submit(self, action: Submit) -> None:
        now_ns = self._timing.now_ns()
        problem = self._rules[action.market].order_problem(
            self._instruments[action.market],
            action.price_ticks,
            action.size_lots,
            # Spot knows no positions, and is told nothing of the kind.
            is_reduce_only=action.is_reduce_only and self.capabilities.reports_positions,
        )
        if problem:
            self._refuse(action, problem, now_ns)
            return
        order = self._teller.orders.know(action.market, action.client_id, now_ns)
        order.side, order.price_ticks, order.size_lots = action.side, action.price_ticks, action.size_lots
        outcome = await self._send(action, self._product.calls.place, self._place_fields(action))
        await self._on_placed(order, outcome)

    async def _on_placed(self, order: KnownOrder, outcome: Outcome) -> None:
        now_ns = self._timing.now_ns()
        if isinstance(outcome, Done):
            answer = decoded(outcome.data, OrderAnswer, "new order")
            await self._tell_order(order, answer, Request.SUBMIT, outcome.receive_ns)
        elif isinstance(outcome, NotSent) or (isinstance(outcome, Refused) and outcome.verdict in NOT_EXECUTED):
            if isinstance(outcome, Refused) and outcome.code in _OFF_RULES:
                self._rules_wanted.set()
            self._teller.orders.end(order)
            self._teller.answer(
                order.market, order.client_id, OrderStatus.REJECTED, Request.SUBMIT, now_ns, reason=outcome.reason
            )
        elif not order.venue_order_id:  # Otherwise the stream has told it already: it was placed.
            self._teller.answer(
                order.market, order.client_id, OrderStatus.UNKNOWN, Request.SUBMIT, now_ns, reason=outcome.reason
            )

    async def _cancel(self, action: Cancel) -> None:
        order = self._teller.orders.know(action.market, action.client_id, self._timing.now_ns())
        outcome = await self._asking.ask(
            self._product.calls.cancel, self._cancel_fields(order), socket=self._order_socket()
        )
        if isinstance(outcome, Done):
            answer = decoded(outcome.data, OrderAnswer, "cancel")
            await self._tell_order(order, answer, Request.CANCEL, outcome.receive_ns)
        else:
            self._not_done(order, Request.CANCEL, outcome)

    def _not_done(self, order: KnownOrder, request: Request, outcome: Refused | Unclear | NotSent) -> None:
        """Tell what an amend or cancel that did not work leaves behind."""
        now_ns = outcome.receive_ns if isinstance(outcome, Refused) else self._timing.now_ns()
        if isinstance(outcome, NotSent) or (isinstance(outcome, Refused) and outcome.verdict in NOT_EXECUTED):
            self._teller.unchanged(order, request, now_ns, outcome.reason)
        elif isinstance(outcome, Refused) and outcome.verdict is Verdict.GONE:
            # No size: the order may have filled, ended or never been, so it has to be asked for.
            self._teller.answer(
                order.market, order.client_id, OrderStatus.UNCHANGED, request, now_ns, reason=outcome.reason
            )
        elif not order.is_over:  # Otherwise the stream has told the end already.
            self._teller.answer(
                order.market, order.client_id, OrderStatus.UNKNOWN, request, now_ns, reason=outcome.reason
            )

    def _tell_amended(self, order: KnownOrder, price_ticks: int, size_lots: int) -> bool:
        """Tell an amend without a clear answer that the stream has shown; False when it has not."""
        if order.is_over or (order.price_ticks, order.size_lots) != (price_ticks, size_lots):
            return False
        now_ns = self._timing.now_ns()
        self._teller.answer(order.market, order.client_id, OrderStatus.OPEN, Request.AMEND, now_ns, order=order)
        return True

    async def _cancel_all(self, action: CancelAll) -> None:
        for market in self._markets_of(action.market):
            fields = {"symbol": self._symbols[market]}
            outcome = await self._asking.ask(self._product.calls.cancel_all, fields, socket=self._order_socket())
            if isinstance(outcome, Done):
                await self._on_cancelled_all(market, outcome)
                continue
            for order in list(self._teller.orders.live(market)):
                self._not_done(order, Request.CANCEL, outcome)

    async def _on_cancelled_all(self, market: int, outcome: Done) -> None:
        """Tell the end of each order that the answer lists."""
        for each in decoded(outcome.data, list[msgspec.Raw], "cancel of all orders"):
            try:
                answer = decoded(each, OrderAnswer, "cancelled order")
            except WireError:
                continue  # An order list: none of ours.
            order = self._ours(market, answer)
            if order is not None:
                await self._tell_order(order, answer, Request.CANCEL, outcome.receive_ns)

    async def _query(self, action: QueryOrder) -> None:
        order = self._teller.orders.know(action.market, action.client_id, self._timing.now_ns())
        outcome = await self._ask_order(order)
        if isinstance(outcome, Done):
            answer = decoded(outcome.data, OrderAnswer, "order")
            await self._tell_order(order, answer, Request.QUERY, outcome.receive_ns)
        elif isinstance(outcome, Refused) and outcome.verdict is Verdict.GONE:
            await self._query_absent(order)
        else:
            self.counts.unanswered_queries += 1
            self._logger.info("query_unanswered", extra={"client_id": order.client_id, "reason": outcome.reason})

    async def _query_absent(self, order: KnownOrder) -> None:
        """Say 'not found' only when open orders and recent trades do not know the order either."""
        market = order.market
        open_orders = await self._fetch_open_orders(market)
        listed = next((each for each in open_orders if own_id(each.client_order_id) == order.client_id), None)
        if listed is not None:
            await self._tell_order(order, listed, Request.QUERY, self._timing.now_ns())
            return
        if order.venue_order_id:
            await self._fills.tell_of(order)
        else:
            await self._fills.tell_since(market, order.asked_ns)
        if order.told_lots:
            return  # It was there: no proof of absence. The engine asks again.
        self._teller.orders.forget(order)
        self._teller.answer(market, order.client_id, OrderStatus.NOT_FOUND, Request.QUERY, self._timing.now_ns())

    async def _query_open_orders(self, action: QueryOpenOrders) -> None:
        for market in self._markets_of(action.market):
            answers = await self._fetch_open_orders(market)
            now_ns = self._timing.now_ns()
            for answer in answers:
                order = self._ours(market, answer)
                if order is not None:
                    self._teller.orders.belongs(order, answer.order_id)
                    self._note(order, answer)
                    await self._settle(order, self._teller.lots(market, answer.executed_qty))
            reports = tuple(self._teller.report(market, answer) for answer in answers)
            self._teller.tell(OpenOrdersReport(market, reports, self.clock.timestamp_ms(now_ns) * MS_NS, now_ns))

    async def _fetch_open_orders(self, market: int) -> list[OrderAnswer]:
        outcome = await self._asking.ask(self._product.calls.open_orders, {"symbol": self._symbols[market]})
        return decoded(self._required(outcome, "open orders"), list[OrderAnswer], "open orders")

    async def _ask_order(self, order: KnownOrder) -> Outcome:
        fields = {"symbol": self._symbols[order.market]}
        if order.venue_order_id:
            fields["orderId"] = str(order.venue_order_id)
        else:
            fields["origClientOrderId"] = order.client_id
        return await self._asking.ask(self._product.calls.order, fields)

    # What was not sent, and what nobody knows.

    def _refuse(self, action: Action, reason: str, now_ns: int) -> None:
        """Answer an action that was certainly not sent."""
        self.counts.refused_unsent += 1
        if isinstance(action, Submit):
            self._teller.answer(
                action.market, action.client_id, OrderStatus.REJECTED, Request.SUBMIT, now_ns, reason=reason
            )
        elif isinstance(action, (Amend, Replace, Cancel)):
            order = self._teller.orders.know(action.market, action.client_id, now_ns)
            self._teller.unchanged(order, _request_of(action), now_ns, reason, new_client_id=_new_id(action))
        elif isinstance(action, CancelAll):
            for market in self._markets_of(action.market):
                for order in self._teller.orders.live(market):
                    self._teller.unchanged(order, Request.CANCEL, now_ns, reason)
        else:
            self.counts.unanswered_queries += 1

    def _unclear(self, action: Action, reason: str) -> None:
        """Answer an action whose outcome nobody knows."""
        now_ns = self._timing.now_ns()
        if isinstance(action, (Submit, Amend, Cancel)):
            order = self._teller.orders.know(action.market, action.client_id, now_ns)
            is_told = order.is_over or (isinstance(action, Submit) and order.venue_order_id > 0)
            if not is_told:
                self._teller.answer(
                    action.market, action.client_id, OrderStatus.UNKNOWN, _request_of(action), now_ns, reason=reason
                )
        elif isinstance(action, Replace):
            self._unknown_replace(action, reason, now_ns)
        elif isinstance(action, CancelAll):
            for market in self._markets_of(action.market):
                for order in self._teller.orders.live(market):
                    self._teller.answer(
                        market, order.client_id, OrderStatus.UNKNOWN, Request.CANCEL, now_ns, reason=reason
                    )
        else:
            # A query without an answer is no news; the engine asks again.
            self.counts.unanswered_queries += 1

    def _unknown_replace(self, action: Replace, reason: str, now_ns: int) -> None:
        """Tell that nobody knows, of each of the two orders of which the stream has not told it already."""
        old = self._teller.orders.get(action.market, action.client_id)
        new = self._teller.orders.get(action.market, action.new_client_id)
        if old is None or not old.is_over:
            self._teller.answer(
                action.market, action.client_id, OrderStatus.UNKNOWN, Request.REPLACE, now_ns, reason=reason
            )
        if new is None or not new.venue_order_id:
            self._teller.answer(
                action.market, action.new_client_id, OrderStatus.UNKNOWN, Request.SUBMIT, now_ns, reason=reason
            )

    # Telling.

    async def _tell_order(self, order: KnownOrder, answer: OrderAnswer, request: Request, receive_ns: int) -> None:
        """Tell how an order stands, after the fills that this counts.

        Raises:
            WireError: If the answer is of another order.
        """
        market = order.market
        names = {own_id(answer.client_order_id), own_id(answer.orig_client_order_id)}
        if answer.symbol.upper() != self._symbols[market] or not (
            order.client_id in names or (order.venue_order_id and order.venue_order_id == answer.order_id)
        ):
            raise WireError(f"order {order.client_id!r}: expected an answer about it, was one about another order")
        self._teller.orders.belongs(order, answer.order_id)
        self._note(order, answer)
        filled_lots = self._teller.lots(market, answer.executed_qty)
        if filled_lots > order.told_lots:
            try:
                await self._settle(order, filled_lots)
            except NotYetError as error:
                # The order's count is told all the same: the engine keeps what is missing reserved.
                self._logger.warning("fills_not_fetched", extra={"reason": str(error)})
        status = ORDER_STATUSES.get(answer.status, OrderStatus.UNKNOWN)
        if order.is_over and status is OrderStatus.OPEN and request in _OVERTAKEN:
            return  # The stream was faster and told the end.
        self._teller.state(
            order, status, request, filled_lots=filled_lots, time_ms=answer.time_ms, receive_ns=receive_ns
        )

    async def _tell_live_orders(self, market: int) -> None:
        """Tell how every order that was not over stands, as the exchange has it now."""
        if next(self._teller.orders.live(market), None) is None:
            return
        listed = {own_id(each.client_order_id): each for each in await self._fetch_open_orders(market)}
        for order in list(self._teller.orders.live(market)):
            answer = listed.get(order.client_id)
            if answer is None:
                outcome = await self._ask_order(order)
                if isinstance(outcome, Refused) and outcome.verdict is Verdict.GONE:
                    continue  # Perhaps on its way; the engine asks until that is proved or refuted.
                answer = decoded(self._required(outcome, "order"), OrderAnswer, "order")
            await self._tell_order(order, answer, Request.STREAM, self._timing.now_ns())

    def _tell_execution(self, order: KnownOrder, told: Execution, receive_ns: int, *, filled_lots: int) -> None:
        """Tell a fill that the stream brought; where the exchange counts more, the others are fetched."""
        self._teller.fill(order, told, receive_ns)
        if order.told_lots < filled_lots:
            self._spawn(partial(self._fills.settle_quietly, order, filled_lots, is_streaming=bool(self._subscribed)))

    async def _settle(self, order: KnownOrder, filled_lots: int) -> None:
        await self._fills.settle(order, filled_lots, is_streaming=bool(self._subscribed))

    def _ours(self, market: int, answer: OrderAnswer) -> KnownOrder | None:
        return self._teller.ours(market, answer.order_id, answer.orig_client_order_id, answer.client_order_id)

    def _note(self, order: KnownOrder, answer: OrderAnswer) -> None:
        self._teller.note(order, side=answer.side, price=answer.price, size=answer.size)


def is_post_only(action: Submit) -> bool:
    """Tell whether an order must not take; one that may not rest cannot be."""
    return action.is_post_only and action.time_in_force is TimeInForce.GTC


def _request_of(action: Submit | Amend | Replace | Cancel) -> Request:
    if isinstance(action, Submit):
        return Request.SUBMIT
    if isinstance(action, Amend):
        return Request.AMEND
    return Request.REPLACE if isinstance(action, Replace) else Request.CANCEL


def _new_id(action: Action) -> str:
    return action.new_client_id if isinstance(action, Replace) else ""

"""The venue `spot`: orders over the websocket API, the account's events on the same socket, questions over REST.

Source: the exchange's documentation of the websocket API, user data streams and order amends (2026).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.orders import Amend, OrderStatus, Replace, Request, Submit, TimeInForce, VenueCapabilities
from mmframe.errors import VenueError
from mmframe.net.request import NotSent, OutcomeUnknown
from mmframe.net.websocket import ServerPings, SubscriptionError, WebsocketSession
from mmframe_binance.trading.calls import SPOT_AMEND, SPOT_CALLS, SPOT_REPLACE
from mmframe_binance.trading.client import Done, Refused, Unclear
from mmframe_binance.trading.connected import TradingProduct, absence_delay_ns
from mmframe_binance.trading.errors import SPOT_ERRORS, Verdict, verdict_of
from mmframe_binance.trading.hosts import SPOT_HOSTS, chosen_url
from mmframe_binance.trading.orders import cancel_id
from mmframe_binance.trading.telling import ORDER_STATUSES, Execution, amount, side_of
from mmframe_binance.trading.venue import NOT_EXECUTED, TradingVenue, is_post_only
from mmframe_binance.trading.wire import (
    AccountPosition,
    AmendAnswer,
    ErrorAnswer,
    ExecutionReport,
    OrderAnswer,
    ReplaceAnswer,
    SpotAccount,
    WireError,
    decoded,
    parse_spot_event,
    socket_reply_id,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from mmframe.net.events import Frame
    from mmframe.net.timing import Timing
    from mmframe.net.websocket import Connection
    from mmframe.plugin import BuildContext
    from mmframe_binance.trading.client import Outcome
    from mmframe_binance.trading.filters import SymbolRules
    from mmframe_binance.trading.options import SpotTradingOptions
    from mmframe_binance.trading.orders import KnownOrder
    from mmframe_binance.trading.wire import StreamNotice

__all__ = ["SPOT_TRADING", "SpotVenue", "is_post_only"]

SPOT_TRADING = TradingProduct(
    name="spot",
    calls=SPOT_CALLS,
    errors=SPOT_ERRORS,
    weight_a_minute=6000,
    orders={"10S": 100, "1D": 200_000},
    takes_symbols=True,
)

_SUBSCRIBE = "userDataStream.subscribe.signature"
_ALREADY_SUBSCRIBED = -2035
_ANSWER_S = 10.0
_SUCCESS, _FAILURE = "SUCCESS", "FAILURE"
_TRADE = "TRADE"


class SpotVenue(TradingVenue):
    """Spot trading.

    Args:
        options: From the strategy file.
        context: Gives markets, clock and randomness.
        timing: Clock and sleep; by default the context's clock and real sleep.

    Raises:
        DomainError: If an address is not allowed or the type of key cannot be used here.
    """

    def __init__(self, options: SpotTradingOptions, context: BuildContext, timing: Timing | None = None) -> None:
        hosts = SPOT_HOSTS[options.environment]
        super().__init__(
            SPOT_TRADING,
            options,
            context,
            rest_url=chosen_url("rest_url", options.rest_url, hosts.rest_urls, options.environment),
            capabilities=VenueCapabilities(
                can_amend=options.can_amend,
                shrink_keeps_priority=options.can_amend,
                amend_only_shrinks=options.can_amend,
                can_replace=options.can_replace,
                absence_delay_ns=absence_delay_ns(options),
            ),
            timing=timing,
        )
        self._spot_options = options
        self._session = WebsocketSession(
            chosen_url("ws_api_url", options.ws_api_url, hosts.socket_urls, options.environment),
            subscribe=self._subscribe,
            timing=self._timing,
            randomness=context.random,
            limits=self._stream_limits(),
            pings=ServerPings(),
            reply_id=socket_reply_id,
            proxy=options.proxy_url,
        )

    # The socket.

    @property
    def _stream(self) -> WebsocketSession:
        return self._session

    def _start(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._session.run)

    def _order_socket(self) -> WebsocketSession | None:
        if self._spot_options.order_entry == "rest" or self._session.connection is None:
            return None
        return self._session

    async def _subscribe(self, connection: Connection) -> None:
        """Have the account's events sent on a new connection.

        Raises:
            SubscriptionError: If that did not work; another connection is tried.
            VenueError: If the exchange refuses the key, the first time.
        """
        text, request_id = self._asking.signed_text(_SUBSCRIBE, {})
        reply = await connection.request(text, request_id, within_s=_ANSWER_S)
        if isinstance(reply, (NotSent, OutcomeUnknown)):
            raise SubscriptionError(reply.reason)
        outcome = self._asking.outcome_of_reply(reply)
        if isinstance(outcome, Refused) and outcome.code != _ALREADY_SUBSCRIBED:
            self._on_subscription_refused(outcome)
        if not isinstance(outcome, (Done, Refused)):
            raise SubscriptionError(outcome.reason)
        self._on_subscribed(connection.generation)

    def _on_subscription_refused(self, refused: Refused) -> None:
        if refused.verdict is Verdict.CLOCK:
            self._on_clock_error()
        elif refused.verdict is Verdict.FATAL:
            if not self._has_been_up:
                msg = f"user data: expected a subscription, was refused: {refused.reason}"
                raise VenueError(msg, hint="`mmframe doctor` looks at the key and its permissions")
            self._hold(refused.reason)
        raise SubscriptionError(refused.reason)

    def _on_frame(self, frame: Frame) -> None:
        event = parse_spot_event(frame.data)
        if isinstance(event, ExecutionReport):
            self._on_execution(event, frame.receive_ns)
        elif isinstance(event, AccountPosition):
            for line in event.B:
                self._teller.balance(line.a, amount(line.f), amount(line.l), frame.receive_ns)
        elif event is not None:
            self._on_notice(event, frame)

    def _on_notice(self, notice: StreamNotice, frame: Frame) -> None:
        if notice.e == "serverShutdown":
            self._session.renew(frame.generation)
        else:
            # The connection lives and tells nothing of the account any more: another one is safer than a repair.
            self._session.reconnect("the user data stream was ended", frame.generation)

    def _on_execution(self, report: ExecutionReport, receive_ns: int) -> None:
        market = self._markets.get(report.s.upper())
        if market is None:
            return
        # Of a cancel, `c` is the cancel's own id.
        order = self._teller.ours(market, report.i, report.client_id)
        if order is None or 0 < report.I <= order.execution_id:
            return
        self._teller.orders.belongs(order, report.i)
        self._teller.note(order, side=report.S, price=report.p, size=report.q)
        filled_lots = self._teller.lots(market, report.z)
        if report.x == _TRADE:
            execution = Execution(
                report.t, side_of(report.S), report.L, report.l, report.n, report.N or "", report.m, report.T
            )
            self._tell_execution(order, execution, receive_ns, filled_lots=filled_lots)
        order.execution_id = max(order.execution_id, report.I)
        status = ORDER_STATUSES.get(report.X, OrderStatus.UNKNOWN)
        if order.is_over and status is OrderStatus.OPEN:
            return
        self._teller.state(
            order,
            status,
            Request.STREAM,
            filled_lots=filled_lots,
            time_ms=report.T,
            receive_ns=receive_ns,
            reason=_why(report),
        )

    # Coming up.

    async def _fetch_account(self) -> None:
        outcome = await self._asking.ask(SPOT_CALLS.account, {"omitZeroBalances": "true"})
        account = decoded(self._required(outcome, "account"), SpotAccount, "account")
        if not account.can_trade and not self._has_been_up and not self._removes_only:
            msg = "account: expected one that can trade, was one that cannot"
            raise VenueError(msg, hint="allow spot trading for the key, or use another one")
        now_ns = self._timing.now_ns()
        for line in account.balances:
            self._teller.balance(line.asset, amount(line.free), amount(line.locked), now_ns)

    def _check_rules(self, rules: SymbolRules) -> None:
        options = self._spot_options
        for name, wanted, allowed in (
            ("can_amend", options.can_amend, rules.can_amend),
            ("can_replace", options.can_replace, rules.can_replace),
        ):
            if wanted and not allowed:
                msg = f"{rules.symbol}: expected {name} = false, since the exchange does not offer it there, was true"
                raise VenueError(msg, hint=f"set {name} = false in [venue.live]")
        mode = options.self_trade_prevention
        if mode is not None and rules.self_trade_modes and mode not in rules.self_trade_modes:
            msg = f"self_trade_prevention: expected one of {', '.join(rules.self_trade_modes)}, was {mode!r}"
            raise VenueError(msg, hint=f"the exchange's modes for {rules.symbol}; leave it out for its default")

    # Orders.

    def _place_fields(self, action: Submit) -> dict[str, str]:
        instrument = self._instruments[action.market]
        fields = {"symbol": self._symbols[action.market], "side": action.side.name}
        fields |= _kind(is_post_only=is_post_only(action), time_in_force=action.time_in_force)
        fields |= {
            "quantity": instrument.size_text(action.size_lots),
            "price": instrument.price_text(action.price_ticks),
            "newClientOrderId": action.client_id,
            "newOrderRespType": "RESULT",
        }
        return fields | self._self_trade_fields()

    def _self_trade_fields(self) -> dict[str, str]:
        mode = self._spot_options.self_trade_prevention
        return {} if mode is None else {"selfTradePreventionMode": mode}

    def _cancel_fields(self, order: KnownOrder) -> dict[str, str]:
        fields = {"symbol": self._symbols[order.market]}
        if order.venue_order_id:
            fields["orderId"] = str(order.venue_order_id)
        else:
            fields["origClientOrderId"] = order.client_id
        name = cancel_id(order.client_id)
        return fields | ({"newClientOrderId": name} if name else {})

    async def _amend(self, action: Amend) -> None:
        now_ns = self._timing.now_ns()
        order = self._teller.orders.know(action.market, action.client_id, now_ns)
        whole_lots = self._whole_lots[action]
        if action.price_ticks != order.price_ticks or not 0 < whole_lots < order.size_lots:
            expected = f"a smaller size than {order.size_lots} lots at {order.price_ticks} ticks"
            reason = f"amend: expected {expected}, was {whole_lots} lots at {action.price_ticks} ticks"
            self._teller.unchanged(order, Request.AMEND, now_ns, reason)
            return
        fields = {
            "symbol": self._symbols[action.market],
            **self._named(order),
            # Without it the exchange would give the order a new name, at random.
            "newClientOrderId": order.client_id,
            "newQty": self._instruments[action.market].size_text(whole_lots),
        }
        outcome = await self._send(action, SPOT_AMEND, fields)
        if isinstance(outcome, Done):
            answer = decoded(outcome.data, AmendAnswer, "amend").amended_order
            await self._tell_order(order, answer, Request.AMEND, outcome.receive_ns)
        elif not (isinstance(outcome, Unclear) and self._tell_amended(order, action.price_ticks, whole_lots)):
            self._not_done(order, Request.AMEND, outcome)

    def _named(
        self, order: KnownOrder, order_id: str = "orderId", client_id: str = "origClientOrderId"
    ) -> dict[str, str]:
        if order.venue_order_id:
            return {order_id: str(order.venue_order_id)}
        return {client_id: order.client_id}

    async def _replace(self, action: Replace) -> None:
        market, now_ns = action.market, self._timing.now_ns()
        old = self._teller.orders.know(market, action.client_id, now_ns)
        problem = self._rules[market].order_problem(self._instruments[market], action.price_ticks, action.size_lots)
        if old.side is None:
            problem = "replace: expected an order whose side is known, was one that has to be asked for"
        if problem:
            self._refuse(action, problem, now_ns)
            return
        new = self._teller.orders.know(market, action.new_client_id, now_ns)
        new.side, new.price_ticks, new.size_lots = old.side, action.price_ticks, action.size_lots
        outcome = await self._send(action, SPOT_REPLACE, self._replace_fields(action, old))
        await self._on_replaced(action, old, new, outcome)

    def _replace_fields(self, action: Replace, old: KnownOrder) -> dict[str, str]:
        instrument = self._instruments[action.market]
        name = cancel_id(old.client_id)
        return {
            "symbol": self._symbols[action.market],
            "side": old.side.name if old.side is not None else "",
            **_kind(is_post_only=action.is_post_only, time_in_force=TimeInForce.GTC),
            "cancelReplaceMode": "STOP_ON_FAILURE",
            **self._named(old, "cancelOrderId", "cancelOrigClientOrderId"),
            **({"cancelNewClientOrderId": name} if name else {}),
            "quantity": instrument.size_text(action.size_lots),
            "price": instrument.price_text(action.price_ticks),
            "newClientOrderId": action.new_client_id,
            "newOrderRespType": "RESULT",
            **self._self_trade_fields(),
        }

    async def _on_replaced(self, action: Replace, old: KnownOrder, new: KnownOrder, outcome: Outcome) -> None:
        """Tell what became of both orders; the two halves of a replace work or fail one by one."""
        now_ns = self._timing.now_ns()
        if isinstance(outcome, Done):
            answer = decoded(outcome.data, ReplaceAnswer, "replace")
            await self._on_replace_parts(action, old, new, answer, now_ns)
        elif isinstance(outcome, Refused) and (outcome.verdict is Verdict.PARTIAL or _has_parts(outcome.data)):
            answer = decoded(outcome.data, ReplaceAnswer, "replace")
            await self._on_replace_parts(action, old, new, answer, now_ns, reason=outcome.reason)
        elif isinstance(outcome, NotSent) or (isinstance(outcome, Refused) and outcome.verdict in NOT_EXECUTED):
            self._teller.orders.end(new)
            self._teller.unchanged(old, Request.REPLACE, now_ns, outcome.reason, new_client_id=action.new_client_id)
        elif isinstance(outcome, Refused) and outcome.verdict is Verdict.GONE:
            self._teller.orders.end(new)
            self._answer_replace(action, OrderStatus.UNCHANGED, now_ns, reason=outcome.reason)
        else:
            self._unknown_replace(action, outcome.reason, now_ns)

    async def _on_replace_parts(  # noqa: PLR0913 - what became of two orders, each thing by its name
        self,
        action: Replace,
        old: KnownOrder,
        new: KnownOrder,
        answer: ReplaceAnswer,
        now_ns: int,
        *,
        reason: str = "",
    ) -> None:
        cancelled = _order_of(answer.cancel_response) if answer.cancel_result == _SUCCESS else None
        placed = _order_of(answer.new_order_response) if answer.new_order_result == _SUCCESS else None
        filled_lots = 0
        if cancelled is not None:
            filled_lots = self._teller.lots(action.market, cancelled.executed_qty)
            self._teller.orders.belongs(old, cancelled.order_id)
            await self._fills.settle_quietly(old, filled_lots, is_streaming=bool(self._subscribed))
        if placed is not None:
            self._teller.orders.belongs(new, placed.order_id)
        if cancelled is not None and placed is not None:
            self._teller.orders.end(old)
            self._answer_replace(action, OrderStatus.REPLACED, now_ns, filled_lots=filled_lots)
            await self._tell_order(new, placed, Request.SUBMIT, now_ns)
        elif cancelled is not None and _verdict(answer.new_order_response) in NOT_EXECUTED:
            self._teller.orders.end(old)
            self._teller.orders.end(new)
            why = self._said(answer.new_order_response) or reason
            self._answer_replace(action, OrderStatus.CANCELED_ONLY, now_ns, filled_lots=filled_lots, reason=why)
        elif placed is not None and answer.cancel_result == _FAILURE:
            self._answer_replace(action, OrderStatus.BOTH_LIVE, now_ns, reason=reason)
        elif cancelled is None and answer.cancel_result == _FAILURE:
            self._on_cancel_part_failed(action, old, new, answer, now_ns)
        else:
            self._unknown_replace(action, reason or "replace: its parts are not known", now_ns)

    def _on_cancel_part_failed(
        self, action: Replace, old: KnownOrder, new: KnownOrder, answer: ReplaceAnswer, now_ns: int
    ) -> None:
        """Nothing was placed, as asked. What became of the old order depends on why it could not be cancelled."""
        verdict, why = _verdict(answer.cancel_response), self._said(answer.cancel_response)
        if verdict is Verdict.UNKNOWN:
            self._unknown_replace(action, why, now_ns)
            return
        self._teller.orders.end(new)
        if verdict in NOT_EXECUTED:
            self._teller.unchanged(old, Request.REPLACE, now_ns, why, new_client_id=action.new_client_id)
        else:
            # No size: it may have filled, so it has to be asked for.
            self._answer_replace(action, OrderStatus.UNCHANGED, now_ns, reason=why)

    def _said(self, part: bytes) -> str:
        error = _error_of(part)
        return "" if error is None else f"{error.code}: {self._asking.said(error.msg)}"

    def _answer_replace(
        self, action: Replace, status: OrderStatus, now_ns: int, *, filled_lots: int = 0, reason: str = ""
    ) -> None:
        self._teller.answer(
            action.market,
            action.client_id,
            status,
            Request.REPLACE,
            now_ns,
            reason=reason,
            new_client_id=action.new_client_id,
            filled_lots=filled_lots,
        )


def _kind(*, is_post_only: bool, time_in_force: TimeInForce) -> dict[str, str]:
    # LIMIT_MAKER takes no timeInForce: it is post-only and rests until it is cancelled.
    return {"type": "LIMIT_MAKER"} if is_post_only else {"type": "LIMIT", "timeInForce": time_in_force.name}


def _why(report: ExecutionReport) -> str:
    """Return why an order ended, where the exchange says it."""
    parts = [part for part in (report.r if report.r != "NONE" else "", report.eR) if part]
    if report.x == "TRADE_PREVENTION":
        parts.append("self-trade prevention")
    return ", ".join(parts)[:100]


def _order_of(part: bytes) -> OrderAnswer | None:
    try:
        return decoded(part, OrderAnswer, "part of a replace")
    except WireError:
        return None


def _error_of(part: bytes) -> ErrorAnswer | None:
    try:
        return decoded(part, ErrorAnswer, "part of a replace")
    except WireError:
        return None


def _verdict(part: bytes) -> Verdict:
    error = _error_of(part)
    return Verdict.UNKNOWN if error is None else verdict_of(SPOT_ERRORS, _BAD_REQUEST, error.code, error.msg)


def _has_parts(data: bytes) -> bool:
    try:
        decoded(data, ReplaceAnswer, "replace")
    except WireError:
        return False
    return True


_BAD_REQUEST = 400

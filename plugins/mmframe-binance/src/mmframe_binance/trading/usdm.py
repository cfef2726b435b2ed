"""The venue `usdm`: orders over REST, the account's events on a socket that a listen key names, and a dead-man switch.

Source: the exchange's documentation of USDⓈ-M futures: trade, user data streams, auto-cancel (2026).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import anyio

from mmframe.domain.orders import (
    Amend,
    OrderStatus,
    PositionReport,
    Replace,
    Request,
    Submit,
    VenueCapabilities,
)
from mmframe.errors import VenueError
from mmframe.net.websocket import ProtocolPings, SubscriptionError, WebsocketSession
from mmframe_binance.trading.calls import (
    USDM_CALLS,
    USDM_COUNTDOWN,
    USDM_KEEP_LISTEN_KEY,
    USDM_LISTEN_KEY,
    USDM_MODIFY,
    USDM_POSITION_MODE,
    USDM_POSITIONS,
)
from mmframe_binance.trading.client import Done, Refused, Unclear
from mmframe_binance.trading.connected import TradingProduct, absence_delay_ns
from mmframe_binance.trading.errors import USDM_ERRORS, Verdict
from mmframe_binance.trading.hosts import USDM_HOSTS, chosen_url
from mmframe_binance.trading.telling import MS_NS, ORDER_STATUSES, Execution, amount, side_of
from mmframe_binance.trading.venue import TradingVenue, is_post_only
from mmframe_binance.trading.wire import (
    AccountEvent,
    FuturesBalance,
    FuturesOrderEvent,
    ListenKey,
    OrderAnswer,
    PositionLine,
    PositionMode,
    WireError,
    decoded,
    parse_usdm_event,
)

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from mmframe.net.events import Frame
    from mmframe.net.timing import Timing
    from mmframe.net.websocket import Connection
    from mmframe.plugin import BuildContext
    from mmframe_binance.trading.options import UsdmTradingOptions
    from mmframe_binance.trading.orders import KnownOrder
    from mmframe_binance.trading.wire import FuturesOrder, StreamNotice

__all__ = ["USDM_TRADING", "UsdmVenue"]

USDM_TRADING = TradingProduct(
    name="usdm",
    calls=USDM_CALLS,
    errors=USDM_ERRORS,
    weight_a_minute=2400,
    orders={"10S": 300, "1M": 1200},
    takes_symbols=False,
)

_LISTEN_KEY_REFRESH_S = 30 * 60.0
"""Half of a listen key's life."""

_RETRY_S = 10.0
_LISTEN_KEY_GONE = -1125
_SWITCH_REFRESHES = 3
"""How often the dead-man switch is wound within its time: two refreshes may be lost."""

_BEFORE_UP_S = 0.1
_LEAVE_S = 2.0
_TRADE = "TRADE"
_ONE_WAY = "BOTH"
_STANDS_CODES = frozenset({-5024, -5025, -5026, -5027, -5028, -5029})
"""Refusals of a change, of 5xxx, that leave the order as it was; others may have cancelled it."""


class UsdmVenue(TradingVenue):
    """Trading USDⓈ-M futures, in one-way mode.

    Args:
        options: From the strategy file.
        context: Gives markets, clock and randomness.
        timing: Clock and sleep; by default the context's clock and real sleep.

    Raises:
        DomainError: If an address is not allowed or the type of key cannot be used here.
    """

    def __init__(self, options: UsdmTradingOptions, context: BuildContext, timing: Timing | None = None) -> None:
        hosts = USDM_HOSTS[options.environment]
        super().__init__(
            USDM_TRADING,
            options,
            context,
            rest_url=chosen_url("rest_url", options.rest_url, hosts.rest_urls, options.environment),
            capabilities=VenueCapabilities(
                can_amend=True,
                has_dead_man_switch=options.dead_man_s > 0,
                reports_positions=True,
                absence_delay_ns=absence_delay_ns(options),
            ),
            timing=timing,
        )
        self._dead_man_s = options.dead_man_s
        self._position_ms = [0 for _ in self._symbols]
        """By market: the exchange's time of the position that the stream told last."""
        self._self_trade_prevention = options.self_trade_prevention
        self._stream_url = chosen_url("stream_url", options.stream_url, hosts.socket_urls, options.environment)
        self._session = WebsocketSession(
            self._listen_address,
            subscribe=self._subscribe,
            timing=self._timing,
            randomness=context.random,
            limits=self._stream_limits(),
            # The exchange pings too rarely to tell a dead connection.
            pings=ProtocolPings(interval_s=options.liveness_timeout_s / 3),
            proxy=options.proxy_url,
        )

    # The private stream.

    @property
    def _stream(self) -> WebsocketSession:
        return self._session

    def _start(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._session.run)
        tasks.start_soon(self._keep_listen_key)
        if self._dead_man_s > 0 and not self._removes_only:
            tasks.start_soon(self._wind_switch)

    async def _leave(self) -> None:
        """Put the dead-man switch off when nothing of ours rests; otherwise it is there for just this."""
        is_clean = all(next(self._teller.orders.live(market), None) is None for market in range(len(self._symbols)))
        if self._dead_man_s > 0 and self._has_been_up and is_clean and not self._removes_only:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_LEAVE_S):
                await self._set_switch(0)

    async def _listen_address(self) -> str:
        outcome = await self._asking.ask(USDM_LISTEN_KEY, {})
        if isinstance(outcome, Done):
            try:
                key = decoded(outcome.data, ListenKey, "listen key").listen_key
            except WireError as error:
                raise SubscriptionError(error.message) from None
            return f"{self._stream_url}/private/ws/{key}"
        if isinstance(outcome, Refused) and outcome.verdict is Verdict.FATAL and not self._has_been_up:
            msg = f"listen key: expected one, was refused: {outcome.reason}"
            raise VenueError(msg, hint="`mmframe doctor` looks at the key and its permissions")
        raise SubscriptionError(f"listen key: {outcome.reason}")

    async def _subscribe(self, connection: Connection) -> None:
        # The address itself is the subscription.
        self._on_subscribed(connection.generation)

    async def _keep_listen_key(self) -> None:
        wait_s = _LISTEN_KEY_REFRESH_S
        while True:
            await self._timing.sleep(wait_s)
            outcome = await self._asking.ask(USDM_KEEP_LISTEN_KEY, {})
            wait_s = _LISTEN_KEY_REFRESH_S if isinstance(outcome, Done) else _RETRY_S
            if isinstance(outcome, Refused) and outcome.code == _LISTEN_KEY_GONE:
                self._session.reconnect("the listen key is gone")
                wait_s = _LISTEN_KEY_REFRESH_S

    def _on_frame(self, frame: Frame) -> None:
        event = parse_usdm_event(frame.data)
        if isinstance(event, FuturesOrderEvent):
            self._on_order(event.o, event.T or event.E, frame.receive_ns)
        elif isinstance(event, AccountEvent):
            self._on_account(event, frame.receive_ns)
        elif event is not None:
            self._on_notice(event, frame)

    def _on_notice(self, notice: StreamNotice, frame: Frame) -> None:
        if notice.e == "serverShutdown":
            self._session.renew(frame.generation)
        else:
            self._session.reconnect("the listen key expired", frame.generation)

    def _on_order(self, told: FuturesOrder, time_ms: int, receive_ns: int) -> None:
        market = self._markets.get(told.s.upper())
        order = None if market is None else self._teller.ours(market, told.i, told.c)
        if market is None or order is None:
            return  # Liquidations and others' orders move the position, which the account's event tells.
        self._teller.orders.belongs(order, told.i)
        self._teller.note(order, side=told.S, price=told.p, size=told.q)
        filled_lots = self._teller.lots(market, told.z)
        at_ms = told.T or time_ms
        if told.x == _TRADE:
            execution = Execution(told.t, side_of(told.S), told.L, told.l, told.n, told.N or "", told.m, at_ms)
            self._tell_execution(order, execution, receive_ns, filled_lots=filled_lots)
        status = ORDER_STATUSES.get(told.X, OrderStatus.UNKNOWN)
        if order.is_over and status is OrderStatus.OPEN:
            return
        self._teller.state(
            order,
            status,
            Request.STREAM,
            filled_lots=filled_lots,
            time_ms=at_ms,
            receive_ns=receive_ns,
            reason=told.er if told.er not in {"", "0"} else "",
        )

    def _on_account(self, event: AccountEvent, receive_ns: int) -> None:
        for line in event.a.B:
            self._tell_wallet(line.a, line.wb, line.cw, receive_ns)
        for position in event.a.P:
            market = self._markets.get(position.s.upper())
            if market is not None and position.ps == _ONE_WAY:
                self._position_ms[market] = event.T or event.E
                self._tell_position(market, position.pa, "0", event.T or event.E, receive_ns)

    # Coming up.

    async def _fetch_account(self) -> None:
        if not self._has_been_up and not self._removes_only:
            await self._require_one_way()
        outcome = await self._asking.ask(USDM_CALLS.account, {})
        now_ns = self._timing.now_ns()
        for line in decoded(self._required(outcome, "balance"), list[FuturesBalance], "balance"):
            self._tell_wallet(line.asset, line.balance, line.cross_wallet_balance, now_ns)

    async def _require_one_way(self) -> None:
        outcome = await self._asking.ask(USDM_POSITION_MODE, {})
        mode = decoded(self._required(outcome, "position mode"), PositionMode, "position mode")
        if mode.dual_side_position:
            msg = "position mode: expected one-way, was hedge mode"
            raise VenueError(msg, hint="switch the futures account to one-way mode; both sides of a position net here")

    async def _fetch_positions(self) -> None:
        for market, symbol in enumerate(self._symbols):
            outcome = await self._asking.ask(USDM_POSITIONS, {"symbol": symbol})
            lines = decoded(self._required(outcome, "positions"), list[PositionLine], "positions")
            now_ns = self._timing.now_ns()
            # A market without position and orders is not listed.
            line = next((each for each in lines if each.symbol == symbol and each.position_side == _ONE_WAY), None)
            if line is None:
                self._tell_position(market, "0", "0", self.clock.timestamp_ms(now_ns), now_ns)
            elif not 0 < line.update_time < self._position_ms[market]:  # Else the stream has told a newer one.
                self._tell_position(market, line.position_amt, line.mark_price, line.update_time, now_ns)

    def _tell_position(self, market: int, size: str, mark_price: str, time_ms: int, receive_ns: int) -> None:
        instrument = self._instruments[market]
        mark = amount(mark_price)
        self._teller.tell(
            PositionReport(
                market=market,
                position_lots=self._teller.signed_lots(market, size),
                mark_price_ticks=round(mark / instrument.tick_size),
                exchange_ns=time_ms * MS_NS,
                receive_ns=receive_ns,
            )
        )

    def _tell_wallet(self, asset: str, wallet: str, cross: str, receive_ns: int) -> None:
        """Tell a balance: what isolated positions hold is locked."""
        free = amount(cross)
        self._teller.balance(asset, free, max(Decimal(0), amount(wallet) - free), receive_ns)

    # Orders.

    def _place_fields(self, action: Submit) -> dict[str, str]:
        instrument = self._instruments[action.market]
        fields = {
            "symbol": self._symbols[action.market],
            "side": action.side.name,
            "type": "LIMIT",
            "timeInForce": "GTX" if is_post_only(action) else action.time_in_force.name,
            "quantity": instrument.size_text(action.size_lots),
            "price": instrument.price_text(action.price_ticks),
            "newClientOrderId": action.client_id,
            "newOrderRespType": "RESULT",
        }
        if action.is_reduce_only:
            # One-way mode: the exchange itself refuses or cuts what would turn the position around.
            fields["reduceOnly"] = "true"
        mode = self._self_trade_prevention
        return fields | ({} if mode is None else {"selfTradePreventionMode": mode})

    def _cancel_fields(self, order: KnownOrder) -> dict[str, str]:
        return {"symbol": self._symbols[order.market], **_named(order)}

    async def _on_cancelled_all(self, market: int, outcome: Done) -> None:
        """Say nothing: the answer lists no orders, so each one's end is for the stream to tell or for a query."""

    async def _amend(self, action: Amend) -> None:
        now_ns = self._timing.now_ns()
        market = action.market
        order = self._teller.orders.know(market, action.client_id, now_ns)
        whole_lots = self._whole_lots[action]
        problem = self._rules[market].order_problem(self._instruments[market], action.price_ticks, whole_lots)
        if order.side is None:
            problem = "amend: expected an order whose side is known, was one that has to be asked for"
        if problem or order.side is None:
            self._teller.unchanged(order, Request.AMEND, now_ns, problem)
            return
        instrument = self._instruments[market]
        fields = {
            "symbol": self._symbols[market],
            **_named(order),
            "side": order.side.name,
            # The whole size, filled part included: a fill on its way leaves that much less to rest.
            "quantity": instrument.size_text(whole_lots),
            "price": instrument.price_text(action.price_ticks),
        }
        outcome = await self._send(action, USDM_MODIFY, fields)
        if isinstance(outcome, Done):
            answer = decoded(outcome.data, OrderAnswer, "modify")
            await self._tell_order(order, answer, Request.AMEND, outcome.receive_ns)
        elif isinstance(outcome, Refused) and _may_have_cancelled(outcome):
            self._teller.answer(
                market, order.client_id, OrderStatus.UNCHANGED, Request.AMEND, now_ns, reason=outcome.reason
            )
        elif not (isinstance(outcome, Unclear) and self._tell_amended(order, action.price_ticks, whole_lots)):
            self._not_done(order, Request.AMEND, outcome)

    async def _replace(self, action: Replace) -> None:
        self._refuse(
            action, "replace: the exchange has no such request; an amend moves an order", self._timing.now_ns()
        )

    # The dead-man switch.

    async def _wind_switch(self) -> None:
        """Tell the exchange, again and again, to cancel everything unless it hears from us."""
        is_wound = True
        while True:
            if not self._has_been_up:
                # Nothing of ours rests yet, and others' orders are none of our business.
                await self._timing.sleep(_BEFORE_UP_S)
                continue
            reason = await self._set_switch(round(self._dead_man_s * 1000))
            if bool(reason) is is_wound:
                is_wound = not reason
                event = "dead_man_switch_wound" if is_wound else "dead_man_switch_not_wound"
                self._logger.log(_WARNING if reason else _INFO, event, extra={"reason": reason})
            await self._timing.sleep(self._dead_man_s / _SWITCH_REFRESHES)

    async def _set_switch(self, countdown_ms: int) -> str:
        """Set the countdown of each market, 0 for off; return why one did not work, empty when all did."""
        reasons = []
        for symbol in self._symbols:
            fields = {"symbol": symbol, "countdownTime": str(countdown_ms)}
            outcome = await self._asking.ask(USDM_COUNTDOWN, fields)
            if not isinstance(outcome, Done):
                reasons.append(outcome.reason)
        return reasons[0] if reasons else ""


_INFO, _WARNING = 20, 30


def _named(order: KnownOrder) -> dict[str, str]:
    if order.venue_order_id:
        return {"orderId": str(order.venue_order_id)}
    return {"origClientOrderId": order.client_id}


def _may_have_cancelled(refused: Refused) -> bool:
    """Tell whether a refused change may have ended the order, as a post-only order that would have taken does."""
    return refused.verdict is Verdict.REFUSED and refused.code < -5000 and refused.code not in _STANDS_CODES

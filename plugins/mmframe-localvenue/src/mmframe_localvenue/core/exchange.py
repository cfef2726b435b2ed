"""The exchange itself, in no exchange's words: markets, accounts, and what each operation does and tells.

All operations are synchronous and take effect when they return. Listeners are called in the order of events, while the
order stands as the event says: a NEW before its trades, a maker's fill before the taker's, balances last. A listener
must not call an operation.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.exchange.matching import ANONYMOUS, Reject
from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import OrderStatus, TimeInForce
from mmframe_localvenue.core.accounts import Account, Balance
from mmframe_localvenue.core.market import Market
from mmframe_localvenue.core.orders import (
    Funding,
    OrderEvent,
    OrderEventKind,
    OrderState,
    PostOnly,
    Refusal,
    RefusedError,
    Ticket,
    VenueFill,
    VenueOrder,
)
from mmframe_localvenue.core.replay import ReplayEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mmframe.builtin.exchange.matching import Execution, Order
    from mmframe.net.timing import Timing
    from mmframe_localvenue.core.setup import ApiKey, VenueSetup

__all__ = ["Exchange", "VenueClock"]

_FIRST_ORDER_ID = 1_000_000
_MONEY_STEP = Decimal("1e-8")
_TAKER_RETURN, _MAKER_RETURN = -1, -5
"""Unfilled orders that a first fill gives back on spot; derivatives count orders, filled or not."""


class VenueClock:
    """The venue's time: the injected one, off by a skew that a test sets.

    Args:
        timing: The machine's or a test's time; waits go by it, unskewed.
    """

    __slots__ = ("skew_ns", "timing")

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.skew_ns = 0

    def now_ns(self) -> int:
        """Return nanoseconds UTC as the venue believes."""
        return self.timing.now_ns() + self.skew_ns

    def now_ms(self) -> int:
        """Return milliseconds UTC as the venue believes."""
        return self.now_ns() // 1_000_000


class Exchange:
    """Markets and accounts.

    Args:
        setup: Of the venue.
        kind: Spot or linear: how money moves in markets that do not say.
        timing: Time.
        order_limits: Unfilled orders per account, `(seconds, count)`; the setup's win.

    Attributes:
        markets: By the exchange's own name, `BTCUSDT`; a further market of that name by `BTCUSDT:spot`.
        accounts: By name.
        on_order: Called with each `OrderEvent` of any account.
        on_balances: Called with an account, the assets that changed, and the time.
        on_funding: Called with each `Funding` of a position.
        on_change: Called after everything that happened: for those who wait for a condition.
    """

    def __init__(
        self,
        setup: VenueSetup,
        kind: InstrumentKind,
        timing: Timing,
        *,
        order_limits: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.clock = VenueClock(timing)
        self.kind = kind
        limits = tuple(order_limits if setup.order_limits is None else setup.order_limits)
        now_ns = timing.now_ns()
        markets = [
            Market(index, one, one.kind or kind, seed=setup.seed, now_ns=now_ns)
            for index, one in enumerate(setup.markets)
        ]
        self.markets: dict[str, Market] = {}
        for market in markets:
            key = f"{market.name}:{market.instrument.kind.value}" if market.name in self.markets else market.name
            self.markets[key] = market
        kinds = frozenset(market.instrument.kind for market in markets)
        self.accounts = {one.name: Account(one, kinds, limits) for one in setup.accounts}
        self.on_order: list[Callable[[OrderEvent], None]] = []
        self.on_balances: list[Callable[[Account, frozenset[str], int], None]] = []
        self.on_funding: list[Callable[[Funding], None]] = []
        self.on_change: list[Callable[[], None]] = []
        self._by_engine: dict[tuple[int, int], VenueOrder] = {}
        self._last_order_id = _FIRST_ORDER_ID
        self._last_event = 0
        self._touched: dict[str, set[str]] = {}
        self._acting: VenueOrder | None = None

    def owner_of(self, key: str) -> tuple[Account, ApiKey] | None:
        """Return the account of a key and the key; None when nobody has it."""
        for account in self.accounts.values():
            if key in account.keys:
                return account, account.keys[key]
        return None

    def find(self, symbol: str) -> Market | None:
        """Return a market by `BTC/USDT`, `BTCUSDT`, or with its kind `BTC/USDT:spot`; None when there is none."""
        name, _, kind = symbol.replace("/", "").partition(":")
        for market in self.markets.values():
            if market.name == name and kind in {"", market.instrument.kind.value}:
                return market
        return None

    # Operations of accounts

    def check(self, account: Account, market: Market, ticket: Ticket) -> None:
        """Check what `place` would refuse without touching anything.

        Raises:
            RefusedError: MARKET_CLOSED, DUPLICATE_CLIENT_ID, TOO_MANY_OPEN_ORDERS, NOT_REDUCING, NO_LIQUIDITY,
                INSUFFICIENT_BALANCE or WOULD_TAKE, in this order.
        """
        if not market.is_trading or not account.can_trade:
            raise RefusedError(Refusal.MARKET_CLOSED)
        known = account.order(market, client_id=ticket.client_id)
        if known is not None and known.state.is_open:
            raise RefusedError(Refusal.DUPLICATE_CLIENT_ID)
        if ticket.price_ticks and len(account.open_orders(market)) >= market.setup.max_open_orders:
            raise RefusedError(Refusal.TOO_MANY_OPEN_ORDERS)
        if ticket.is_reduce_only and self._reducible(account, market, ticket.side) < 1:
            raise RefusedError(Refusal.NOT_REDUCING)
        other = Side.SELL if ticket.side is Side.BUY else Side.BUY
        if not ticket.price_ticks and not market.engine.best(other):
            raise RefusedError(Refusal.NO_LIQUIDITY)
        if not account.money.can_pay(market, ticket):
            raise RefusedError(Refusal.INSUFFICIENT_BALANCE)
        if ticket.post_only is PostOnly.REFUSED and market.engine.would_take(ticket.side, ticket.price_ticks):
            raise RefusedError(Refusal.WOULD_TAKE)

    def place(self, account: Account, market: Market, ticket: Ticket) -> VenueOrder:
        """Accept an order and let it trade and rest; return it as it stands then.

        Raises:
            RefusedError: As `check`; it never became an order.
        """
        self.check(account, market, ticket)
        if ticket.is_reduce_only:
            # What goes beyond the position is cut off, not refused.
            reducible = self._reducible(account, market, ticket.side)
            ticket = attrs.evolve(ticket, size_lots=min(ticket.size_lots, reducible))
        now_ns = self.clock.now_ns()
        order = self._accept(account, market, ticket, now_ns)
        self._tell(OrderEventKind.NEW, order, now_ns)
        engine = market.engine
        if ticket.price_ticks:
            known = engine.limit(
                account.name,
                ticket.side,
                ticket.price_ticks,
                ticket.size_lots,
                time_in_force=ticket.time_in_force,
                is_post_only=ticket.post_only is not PostOnly.NO,
                prevention=ticket.prevention,
            )
        else:
            known = engine.market(account.name, ticket.side, ticket.size_lots, prevention=ticket.prevention)
        order.engine_id = known.order_id
        self._by_engine[market.index, known.order_id] = order
        order.is_working = known.status is not OrderStatus.REJECTED
        self._settle_taker(order, known, now_ns)
        self._tell_balances(now_ns)
        return order

    def cancel(self, order: VenueOrder, *, request_id: str = "") -> None:
        """Take an order out of the book.

        Raises:
            RefusedError: UNKNOWN_ORDER when it is no longer open.
        """
        if not order.state.is_open:
            raise RefusedError(Refusal.UNKNOWN_ORDER)
        now_ns = self.clock.now_ns()
        order.market.engine.cancel(order.engine_id)
        self._end(order, OrderState.CANCELED, now_ns)
        self._tell(OrderEventKind.CANCELED, order, now_ns, request_id=request_id)
        self.settle(order.market, now_ns)
        self._tell_balances(now_ns)

    def amend(  # noqa: PLR0913 - exchanges differ in what an amend keeps
        self,
        order: VenueOrder,
        *,
        price_ticks: int,
        size_lots: int,
        client_id: str = "",
        requeues: bool = False,
        amends_max: int | None = None,
    ) -> None:
        """Change limit or whole size (filled part included) of an open order.

        A smaller size at the same price keeps the place in the queue; everything else goes to its end, and may take.

        Args:
            order: Which.
            price_ticks: Its new limit.
            size_lots: Its new whole size, above what is filled.
            client_id: Its new client id; empty leaves the old one.
            requeues: Even a mere smaller size goes to the end of the queue.
            amends_max: How often an order may be amended; None takes the market's.

        Raises:
            RefusedError: UNKNOWN_ORDER, NOT_REDUCING, TOO_MANY_AMENDS, NO_CHANGE, DUPLICATE_CLIENT_ID,
                INSUFFICIENT_BALANCE, or WOULD_TAKE for a post-only order; the order stands as it was.
        """
        account, market = order.account, order.market
        leaves_lots = size_lots - order.filled_lots
        self._check_amend(order, price_ticks, leaves_lots, client_id, amends_max)
        now_ns = self.clock.now_ns()
        account.lock(order, -order.leaves_lots)
        ticket = Ticket(order.side, leaves_lots, price_ticks, order.client_id, is_reduce_only=order.is_reduce_only)
        if not account.money.can_pay(market, ticket):
            account.lock(order, order.leaves_lots)
            raise RefusedError(Refusal.INSUFFICIENT_BALANCE)
        known = market.engine.order(order.engine_id)
        if requeues and price_ticks == order.price_ticks and leaves_lots < order.leaves_lots:
            # The engine lets an order that only shrinks keep its place; one that grows for a moment loses it.
            market.engine.amend(order.engine_id, price_ticks=price_ticks, leaves_lots=order.leaves_lots + 1)
        reject = market.engine.amend(order.engine_id, price_ticks=price_ticks, leaves_lots=leaves_lots)
        if reject is not Reject.NONE:
            account.lock(order, order.leaves_lots)
            raise RefusedError(Refusal.WOULD_TAKE if reject is Reject.WOULD_TAKE else Refusal.UNKNOWN_ORDER)
        order.price_ticks, order.size_lots = price_ticks, size_lots
        order.reserve_asset, order.reserve_per_lot = account.money.reservation(market, ticket)
        account.lock(order, order.leaves_lots)
        self._touch(account, {order.reserve_asset})
        if client_id and client_id != order.client_id:
            order.labels["previous_client_id"] = order.client_id
            account.rename(order, client_id)
        order.amends += 1
        order.updated_ns = now_ns
        self._tell(OrderEventKind.AMENDED, order, now_ns)
        if known is not None:
            self._settle_taker(order, known, now_ns)
        self._tell_balances(now_ns)

    # Everybody else

    def place_other(
        self, market: Market, side: Side, size_lots: int, price_ticks: int, time_in_force: TimeInForce = TimeInForce.GTC
    ) -> Order:
        """Let somebody without an account send an order, at market with 0 ticks; return the engine's order."""
        now_ns = self.clock.now_ns()
        engine = market.engine
        if price_ticks:
            order = engine.limit(ANONYMOUS, side, price_ticks, size_lots, time_in_force=time_in_force)
        else:
            order = engine.market(ANONYMOUS, side, size_lots)
        self.settle(market, now_ns)
        self._tell_balances(now_ns)
        return order

    def trade_against(self, order: VenueOrder, lots: int, ahead_lots: int) -> None:
        """Let somebody without an account take `lots` of an open order, and `ahead_lots` that stand before it.

        In a replayed market nobody is in the way, and nobody else is touched.
        """
        engine = order.market.engine
        if not isinstance(engine, ReplayEngine):
            side = Side.SELL if order.side is Side.BUY else Side.BUY
            self.place_other(order.market, side, ahead_lots + lots, order.price_ticks, TimeInForce.IOC)
            return
        now_ns = self.clock.now_ns()
        engine.fill(order.engine_id, lots)
        self.settle(order.market, now_ns)
        self._tell_balances(now_ns)

    def cancel_other(self, market: Market, engine_id: int) -> bool:
        """Cancel somebody else's order; return whether it was still there."""
        is_gone = market.engine.cancel(engine_id) is Reject.NONE
        self.settle(market, self.clock.now_ns())
        return is_gone

    def expire(self, order: VenueOrder, reason: str) -> None:
        """End an open order on the exchange's own account."""
        now_ns = self.clock.now_ns()
        order.market.engine.cancel(order.engine_id)
        self._end(order, OrderState.EXPIRED, now_ns)
        self._tell(OrderEventKind.EXPIRED, order, now_ns, reason=reason)
        self.settle(order.market, now_ns)
        self._tell_balances(now_ns)

    def deposit(self, account: Account, asset: str, amount: Decimal) -> None:
        """Change a free balance from outside, as a deposit or (negative) a withdrawal does."""
        account.money.balances.setdefault(asset, Balance()).free += amount
        self._touch(account, {asset})
        self._tell_balances(self.clock.now_ns())

    def fund(self, market: Market, rate: Decimal) -> None:
        """Settle funding: each position in the market pays (or gets) `rate` of its value at the last price."""
        now_ns, price, asset = self.clock.now_ns(), market.last_price, market.instrument.quote
        for account in self.accounts.values():
            position = account.money.positions.get(market.index)
            if position is None or not position.size_lots:
                continue
            paid = (market.instrument.size(position.size_lots) * price * rate).quantize(_MONEY_STEP)
            account.money.balances.setdefault(asset, Balance()).free -= paid
            self._touch(account, {asset})
            self._last_event += 1
            funding = Funding(account, market, position.size_lots, price, rate, paid, now_ns, self._last_event)
            for hear in self.on_funding:
                hear(funding)
        self._tell_balances(now_ns)

    async def run_crowd(self) -> None:
        """Let crowds and recordings go on as their time comes, until cancelled."""
        timing = self.clock.timing
        while (next_ns := min(market.next_ns for market in self.markets.values())) != NEVER_NS:
            await timing.sleep((next_ns - timing.now_ns()) / 1e9)
            for market in self.markets.values():
                market.act_until(timing.now_ns(), self._settle_crowd)

    def settle(self, market: Market, now_ns: int) -> None:
        """Bring what the engine's last operation did to accounts and public; called after each operation."""
        executions, prevented = market.engine.executions, market.engine.prevented
        market.engine.begin()
        for execution in executions:
            self._execute(market, execution, now_ns)
        for engine_order in prevented:
            order = self._by_engine.get((market.index, engine_order.order_id))
            if order is not None:
                self._end(order, OrderState.SELF_TRADE, now_ns)
                counter = 0 if self._acting is None else self._acting.order_id
                self._tell(OrderEventKind.SELF_TRADE, order, now_ns, counter_order_id=counter)
        market.publish(executions, now_ns)
        for hear in self.on_change:
            hear()

    # Private

    def _settle_crowd(self, market: Market, at_ns: int) -> None:
        now_ns = at_ns + self.clock.skew_ns
        self.settle(market, now_ns)
        self._tell_balances(now_ns)

    def _accept(self, account: Account, market: Market, ticket: Ticket, now_ns: int) -> VenueOrder:
        self._last_order_id += 1
        asset, per_lot = account.money.reservation(market, ticket)
        order = VenueOrder(
            order_id=self._last_order_id,
            account=account,
            market=market,
            client_id=ticket.client_id,
            side=ticket.side,
            price_ticks=ticket.price_ticks,
            size_lots=ticket.size_lots,
            time_in_force=ticket.time_in_force,
            is_post_only=ticket.post_only is not PostOnly.NO,
            is_reduce_only=ticket.is_reduce_only,
            prevention=ticket.prevention,
            created_ns=now_ns,
            updated_ns=now_ns,
            labels=ticket.labels,
            reserve_asset=asset,
            reserve_per_lot=per_lot,
        )
        account.remember(order)
        account.lock(order, order.size_lots)
        self._touch(account, {asset})
        for window in account.order_counts:
            window.add(1, now_ns)
        return order

    def _execute(self, market: Market, execution: Execution, now_ns: int) -> None:
        for engine_id, is_maker in ((execution.maker_order_id, True), (execution.taker_order_id, False)):
            order = self._by_engine.get((market.index, engine_id))
            if order is not None:
                self._fill(order, execution, now_ns, is_maker=is_maker)

    def _fill(self, order: VenueOrder, execution: Execution, now_ns: int, *, is_maker: bool) -> None:
        account, lots = order.account, execution.size_lots
        account.lock(order, -lots)
        is_first = not order.filled_lots
        raw = VenueFill(
            trade_id=execution.trade_id,
            order=order,
            side=order.side,
            price_ticks=execution.price_ticks,
            size_lots=lots,
            is_maker=is_maker,
            fee=Decimal(0),
            fee_asset="",
            at_ns=now_ns,
        )
        fill, assets = account.money.settle(raw)
        self._touch(account, assets)
        order.filled_lots += lots
        order.filled_quote += fill.price * fill.size
        order.fills.append(fill)
        order.updated_ns = now_ns
        account.fills.append(fill)
        if order.filled_lots == order.size_lots:
            order.state = OrderState.FILLED
            self._forget(order)
        else:
            order.state = OrderState.PARTIALLY_FILLED
        if is_first and self.kind is InstrumentKind.SPOT:
            for window in account.order_counts:
                window.add(_MAKER_RETURN if is_maker else _TAKER_RETURN, now_ns)
        self._tell(OrderEventKind.TRADE, order, now_ns, fill=fill)

    def _settle_taker(self, order: VenueOrder, known: Order, now_ns: int) -> None:
        """Settle what an order did on its way in, and say how it ended if it neither rests nor was filled whole."""
        market = order.market
        counter = self._own_counter(order, known)
        self._acting = order
        self.settle(market, now_ns)
        self._acting = None
        if not order.state.is_open or known.status is OrderStatus.OPEN:
            return
        is_self_trade = known.reject is Reject.SELF_TRADE
        self._end(order, OrderState.SELF_TRADE if is_self_trade else OrderState.EXPIRED, now_ns)
        kind = OrderEventKind.SELF_TRADE if is_self_trade else OrderEventKind.EXPIRED
        self._tell(kind, order, now_ns, reason=known.reject.value, counter_order_id=counter)

    def _own_counter(self, order: VenueOrder, known: Order) -> int:
        """Return the id of the account's own order that a self-trade prevention was about; 0 for none."""
        if known.reject is not Reject.SELF_TRADE:
            return 0
        market = order.market
        resting = list(market.engine.prevented[-1:])
        if not resting:
            other = Side.SELL if order.side is Side.BUY else Side.BUY
            best = market.engine.best(other)
            resting = [one for one in market.engine.orders_at(other, best) if one.owner == known.owner][:1]
        counter = self._by_engine.get((market.index, resting[0].order_id)) if resting else None
        return 0 if counter is None else counter.order_id

    def _end(self, order: VenueOrder, state: OrderState, now_ns: int) -> None:
        order.account.lock(order, -order.leaves_lots)
        self._touch(order.account, {order.reserve_asset})
        order.state = state
        order.updated_ns = now_ns
        self._forget(order)

    def _forget(self, order: VenueOrder) -> None:
        order.account.ended(order)
        self._by_engine.pop((order.market.index, order.engine_id), None)

    def _check_amend(
        self, order: VenueOrder, price_ticks: int, leaves_lots: int, client_id: str, amends_max: int | None
    ) -> None:
        if not order.state.is_open or leaves_lots < 1:
            raise RefusedError(Refusal.UNKNOWN_ORDER)
        if price_ticks == order.price_ticks and leaves_lots == order.leaves_lots:
            raise RefusedError(Refusal.NO_CHANGE)
        spare_lots = self._reducible(order.account, order.market, order.side)
        if order.is_reduce_only and leaves_lots > order.leaves_lots + spare_lots:
            raise RefusedError(Refusal.NOT_REDUCING)
        if order.amends >= (order.market.setup.max_amends if amends_max is None else amends_max):
            raise RefusedError(Refusal.TOO_MANY_AMENDS)
        other = order.account.order(order.market, client_id=client_id) if client_id else None
        if other is not None and other is not order and other.state.is_open:
            raise RefusedError(Refusal.DUPLICATE_CLIENT_ID)

    def _reducible(self, account: Account, market: Market, side: Side) -> int:
        """Return how many lots of the position an order of that side could close besides those that rest to do so."""
        resting = sum(
            order.leaves_lots for order in account.open_orders(market) if order.is_reduce_only and order.side is side
        )
        return max(0, _closable(account, market, side) - resting)

    def _end_unreducing(self, account: Account, now_ns: int) -> None:
        """End reduce-only orders that would turn the position round, the newest first."""
        for order in reversed(account.open_orders()):
            if not order.is_reduce_only or not order.state.is_open:
                continue
            same = [one for one in account.open_orders(order.market) if one.is_reduce_only and one.side is order.side]
            if sum(one.leaves_lots for one in same) > _closable(account, order.market, order.side):
                order.market.engine.cancel(order.engine_id)
                self._end(order, OrderState.EXPIRED, now_ns)
                self._tell(OrderEventKind.EXPIRED, order, now_ns, reason=Refusal.NOT_REDUCING.value)
                self.settle(order.market, now_ns)

    def _tell(  # noqa: PLR0913 - an event has these facts
        self,
        kind: OrderEventKind,
        order: VenueOrder,
        now_ns: int,
        *,
        fill: VenueFill | None = None,
        request_id: str = "",
        reason: str = "",
        counter_order_id: int = 0,
    ) -> None:
        self._last_event += 1
        event = OrderEvent(
            kind,
            order,
            now_ns,
            self._last_event,
            fill=fill,
            request_id=request_id,
            reason=reason,
            counter_order_id=counter_order_id,
        )
        for hear in self.on_order:
            hear(event)

    def _touch(self, account: Account, assets: set[str]) -> None:
        self._touched.setdefault(account.name, set()).update(assets)

    def _tell_balances(self, now_ns: int) -> None:
        if self.kind is not InstrumentKind.SPOT:
            for name in tuple(self._touched):
                self._end_unreducing(self.accounts[name], now_ns)
        touched, self._touched = self._touched, {}
        for name, assets in touched.items():
            for hear in self.on_balances:
                hear(self.accounts[name], frozenset(assets), now_ns)
        for hear_change in self.on_change:
            hear_change()


def _closable(account: Account, market: Market, side: Side) -> int:
    """Return how many lots of the position orders of that side could close."""
    position = account.money.positions.get(market.index)
    held = 0 if position is None else position.size_lots
    return max(0, -held if side is Side.BUY else held)

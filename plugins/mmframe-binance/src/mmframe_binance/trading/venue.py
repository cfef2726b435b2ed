"""What the venues `spot` and `usdm` have in common: a queue in, events out, and only evidence in between.

`execute` queues. `run` sends each request once, listens to the private stream and says that the venue is up only when
nothing can be missing. No request that may have left is ever sent again; what became of it is asked.
"""

from __future__ import annotations

import contextlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import msgspec

from mmframe.domain.market import NEVER_NS
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    Approved,
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
    VenueStatus,
)
from mmframe.errors import DomainError, VenueError
from mmframe.net.backoff import Backoff
from mmframe.net.budget import Lane
from mmframe.net.events import Disconnected, Frame, Overflow, Retired
from mmframe.net.http import HttpLimits, HttpSession
from mmframe.net.redact import require_proxy_url
from mmframe.net.request import NotSent
from mmframe.net.timing import Timing
from mmframe.net.websocket import WebsocketLimits
from mmframe_binance.trading.client import Client, Done, NotYetError, Outcome, Refused, Unclear
from mmframe_binance.trading.clock import ClockOffset
from mmframe_binance.trading.errors import Verdict
from mmframe_binance.trading.fills import FillFetcher
from mmframe_binance.trading.filters import SymbolRules
from mmframe_binance.trading.limits import TradingLimits
from mmframe_binance.trading.orders import own_id
from mmframe_binance.trading.signing import make_signer, require_key_type
from mmframe_binance.trading.telling import MS_NS, ORDER_STATUSES, Execution, Teller
from mmframe_binance.trading.wire import ExchangeInfo, OrderAnswer, ServerTime, WireError, decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from anyio.abc import TaskGroup

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action, VenueCapabilities, VenueEvent
    from mmframe.net.websocket import WebsocketSession
    from mmframe.plugin import BuildContext
    from mmframe_binance.trading.calls import Call, Calls
    from mmframe_binance.trading.errors import ErrorCode
    from mmframe_binance.trading.options import TradingOptions
    from mmframe_binance.trading.orders import KnownOrder

__all__ = [
    "NOT_EXECUTED",
    "TradingProduct",
    "TradingVenue",
    "VenueCounts",
    "absence_delay_ns",
    "is_post_only",
    "measure_clock",
]

_SECOND_NS = 1_000_000_000

_QUEUED_MAX = 256
"""Requests that wait to be sent; at the bound a further one is refused at once."""

_IN_FLIGHT_MAX = 64
"""Requests under way; cancels may be as many again."""

_EVENTS_MAX = 65_536
"""Events that wait for the driver; at the bound the private stream is no longer read, until it overflows itself."""

_CLOCK_SAMPLES = 3
_RULES_PAUSE_S = 60.0
"""At least between two looks at the rules."""

_OFF_RULES = frozenset({-1013, -1111, -4014, -4023})
"""Refusals that a changed grid leads to."""

_ENGINE_TIMEOUT_S = 10
_ABSENCE_MARGIN_S = 2
_OVERTAKEN = frozenset({Request.SUBMIT, Request.AMEND})
NOT_EXECUTED = frozenset({Verdict.REFUSED, Verdict.FATAL, Verdict.THROTTLED, Verdict.CLOCK})
_LANES: dict[type[Any], Lane] = {
    Cancel: Lane.CANCEL,
    CancelAll: Lane.CANCEL,
    Submit: Lane.ORDER,
    Amend: Lane.ORDER,
    Replace: Lane.ORDER,
    QueryOrder: Lane.QUERY,
    QueryOpenOrders: Lane.QUERY,
}
_ADDS_RISK = (Submit, Amend, Replace)


@attrs.frozen
class TradingProduct:
    """What differs between the products.

    Attributes:
        name: As in `use = "binance/NAME"`.
        calls: Requests that both have.
        errors: Its table of error codes.
        weight_a_minute: Documented limit, until the exchange's own list is read.
        orders: The same on new orders, by length of the window.
        takes_symbols: Whether `exchangeInfo` can be asked for some symbols only.
    """

    name: str
    calls: Calls
    errors: Mapping[int, ErrorCode]
    weight_a_minute: int
    orders: Mapping[str, int]
    takes_symbols: bool


@attrs.define
class VenueCounts:
    """What went wrong and was dealt with.

    Attributes:
        lost_streams: Times that no private stream was left.
        bad_frames: Private frames and answers that could not be read.
        refused_unsent: Requests that were refused without being sent.
        unanswered_queries: Queries whose answer could not be had; the engine asks again.
    """

    lost_streams: int = 0
    bad_frames: int = 0
    refused_unsent: int = 0
    unanswered_queries: int = 0


class TradingVenue:
    """One account's orders in the strategy's markets; spot and futures add their stream and how orders are changed.

    Args:
        product: Which one.
        options: From the strategy file.
        context: Gives markets, clock and randomness.
        rest_url: Where to ask.
        capabilities: What it can do.
        timing: Clock and sleep; by default the context's clock and real sleep.

    Attributes:
        capabilities: What it can do.
        next_event_ns: `NEVER_NS`: it is the network that says when.
        counts: What went wrong and was dealt with.
        clock: The exchange's clock against ours.

    Raises:
        DomainError: If an address is not allowed or the type of key cannot be used here.
    """

    next_event_ns = NEVER_NS

    def __init__(  # noqa: PLR0913 - what a venue is made of, each thing by its name
        self,
        product: TradingProduct,
        options: TradingOptions,
        context: BuildContext,
        *,
        rest_url: str,
        capabilities: VenueCapabilities,
        timing: Timing | None = None,
    ) -> None:
        require_key_type(options.key_type)
        if options.proxy_url is not None:
            require_proxy_url(options.proxy_url)
        self.capabilities = capabilities
        self.counts = VenueCounts()
        self.clock = ClockOffset()
        self._product = product
        self._options = options
        self._rest_url = rest_url
        self._timing = timing or Timing(context.clock)
        self._randomness = context.random
        self._logger = context.logger
        self._removes_only = context.removes_only
        self._instruments: tuple[Instrument, ...] = context.instruments
        self._symbols = tuple(instrument.venue_symbol.upper() for instrument in context.instruments)
        self._markets = {symbol: index for index, symbol in enumerate(self._symbols)}
        self._limits = TradingLimits(product.weight_a_minute, product.orders)
        self._rules: list[SymbolRules] = []
        self._teller = Teller(self._instruments, self._symbols, self.clock, self._timing)
        self._fills = FillFetcher(
            product.calls,
            self._symbols,
            client=lambda: self._asking,
            required=self._required,
            teller=self._teller,
            clock=self.clock,
            timing=self._timing,
            margin_s=options.backfill_margin_s,
            logger=context.logger,
        )
        self._queues: dict[Lane, deque[Action]] = {lane: deque() for lane in Lane}
        self._waves = [0 for _ in self._symbols]
        """By market: raised with every cancel of all. What was approved before that and has not left is not sent."""
        self._wave_of: dict[Action, int] = {}
        self._in_flight = 0
        self._work = anyio.Event()
        self._room = anyio.Event()
        self._clock_wanted = anyio.Event()
        self._rules_wanted = anyio.Event()
        self._up_wanted = anyio.Event()
        self._is_up = False
        self._has_been_up = False
        self._down_reason = ""
        self._epoch = 0
        """Raised with every break of what the private stream tells: what was fetched before it proves nothing."""
        self._subscribed: set[int] = set()
        self._latch = ""
        self._client: Client | None = None
        self._tasks: TaskGroup | None = None
        self._handlers: dict[type[Any], Callable[[Any], Coroutine[Any, Any, None]]] = {
            Submit: self._submit,
            Amend: self._amend,
            Replace: self._replace,
            Cancel: self._cancel,
            CancelAll: self._cancel_all,
            QueryOrder: self._query,
            QueryOpenOrders: self._query_open_orders,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self._symbols)}>"

    # The port.

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Queue one approved action; see `mmframe.ports.Venue`.

        Raises:
            TypeError: If it is not an `Approved`.
        """
        if type(approved) is not Approved:
            msg = f"execute: expected an Approved, was {type(approved).__name__}"
            raise TypeError(msg)
        action = approved.action
        if isinstance(action, _ADDS_RISK) and not self._is_up:
            self._refuse(action, f"the venue is down: {self._down_reason or 'no private stream'}", now_ns)
            return
        if sum(len(queue) for queue in self._queues.values()) >= _QUEUED_MAX:
            self._refuse(action, f"{_QUEUED_MAX} requests wait already", now_ns)
            return
        if isinstance(action, CancelAll):
            for market in self._markets_of(action.market):
                self._waves[market] += 1
        elif isinstance(action, _ADDS_RISK):
            self._wave_of[action] = self._waves[action.market]
        self._queues[_LANES[type(action)]].append(action)
        self._work.set()

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:  # noqa: ARG002 - a live venue knows no future
        """Return what is known, in order; each event once."""
        events = self._teller.drain()
        self._room.set()
        return events

    async def run(self, notify: Callable[[], None]) -> None:
        """Connect, keep connected, send and receive until cancelled; see `mmframe.ports.Venue`.

        Raises:
            VenueError: If the exchange refuses the key, a market or its grid. It may come inside of an ExceptionGroup.
            DomainError: If the key's secret is of another type than the options say.
        """
        self._teller.notify = notify
        signer = make_signer(self._options.key_type, self._options.api_secret)
        async with HttpSession(
            self._rest_url,
            timing=self._timing,
            proxy=self._options.proxy_url,
            limits=HttpLimits(total_s=self._options.request_timeout_s),
        ) as http:
            self._client = self._made_client(http)
            self._client.use_key(self._options.api_key.reveal(), signer)
            await self._prepare()
            try:
                async with anyio.create_task_group() as tasks:
                    self._tasks = tasks
                    tasks.start_soon(self._dispatch)
                    tasks.start_soon(self._keep_clock)
                    tasks.start_soon(self._keep_rules)
                    tasks.start_soon(self._keep_up)
                    tasks.start_soon(self._listen)
                    self._start(tasks)
            finally:
                self._tasks = None
                await self._leave()

    # What a product adds.

    def _start(self, tasks: TaskGroup) -> None:
        """Start the private stream and what else the product keeps going."""
        raise NotImplementedError

    async def _leave(self) -> None:
        """Do what is to be done when the run ends, quickly."""

    @property
    def _stream(self) -> WebsocketSession:
        """Return the session of the private stream."""
        raise NotImplementedError

    def _on_frame(self, frame: Frame) -> None:
        """Take one frame of the private stream.

        Raises:
            WireError: If it cannot be read.
            DomainError: If it does not fit the strategy's grid.
        """
        raise NotImplementedError

    async def _fetch_account(self) -> None:
        """Tell the balances."""
        raise NotImplementedError

    async def _fetch_positions(self) -> None:
        """Tell the positions, where there are any."""

    def _place_fields(self, action: Submit) -> dict[str, str]:
        """Return the parameters of a new order."""
        raise NotImplementedError

    def _cancel_fields(self, order: KnownOrder) -> dict[str, str]:
        """Return the parameters of a cancel."""
        raise NotImplementedError

    def _check_rules(self, rules: SymbolRules) -> None:
        """Refuse a market that does not allow what the options want.

        Raises:
            VenueError: With what to change.
        """

    async def _amend(self, action: Amend) -> None:
        """Change a resting order."""
        raise NotImplementedError

    async def _replace(self, action: Replace) -> None:
        """Cancel one order and place another."""
        raise NotImplementedError

    def _order_socket(self) -> WebsocketSession | None:
        """Return the socket on which orders are sent now, None for REST."""
        return None

    # Coming up.

    async def _prepare(self) -> None:
        """Learn the clock, the limits and the rules, however long that takes; nothing is sent before."""
        backoff = Backoff(self._randomness)
        while True:
            try:
                await self._measure_clock()
                await self._fetch_rules()
            except (NotYetError, WireError) as error:
                self._tell_down(str(error))
                self._logger.warning("venue_not_ready", extra={"reason": str(error)})
                await self._timing.sleep(backoff.next_delay_s())
            else:
                return

    async def _measure_clock(self) -> None:
        reason = await measure_clock(self._asking, self._product.calls.time, self.clock, self._timing)
        if reason:
            raise NotYetError(reason)

    async def _fetch_rules(self) -> None:
        fields = {}
        if self._product.takes_symbols:
            fields["symbols"] = msgspec.json.encode(self._symbols).decode()
        outcome = await self._asking.ask(self._product.calls.exchange_info, fields)
        info = decoded(self._required(outcome, "exchangeInfo"), ExchangeInfo, "exchangeInfo")
        listed = {each.symbol: each for each in info.symbols}
        rules = []
        for symbol, instrument in zip(self._symbols, self._instruments, strict=True):
            if symbol not in listed:
                msg = f"{instrument.symbol}: expected a market that the exchange lists, was {symbol!r}"
                raise VenueError(msg, hint="venue_symbol in [[markets]] gives it the exchange's name")
            found = SymbolRules.of(listed[symbol])
            problems = [] if self._removes_only else list(found.grid_problems(instrument))
            if problems:
                msg = f"{instrument.symbol}: {'; '.join(problems)}"
                raise VenueError(msg, hint="set tick_size and lot_size in [[markets]] to the exchange's")
            if not self._removes_only:
                self._check_rules(found)
            rules.append(found)
        self._rules = rules
        self._limits.use(info.rate_limits, self._timing.now_ns())

    async def _keep_rules(self) -> None:
        """Read the rules anew when an order was refused by them: the exchange may have changed its grid."""
        while True:
            await self._rules_wanted.wait()
            try:
                await self._fetch_rules()
            except (NotYetError, WireError) as error:
                self._logger.warning("rules_not_fetched", extra={"reason": str(error)})
            except VenueError as error:
                self._hold(error.message)
            await self._timing.sleep(_RULES_PAUSE_S)
            self._rules_wanted = anyio.Event()

    async def _keep_clock(self) -> None:
        while True:
            self._clock_wanted = anyio.Event()
            with contextlib.suppress(TimeoutError):
                await self._timing.within(self._options.clock_refresh_s, self._clock_wanted.wait)
            try:
                await self._measure_clock()
            except NotYetError as error:
                self._logger.warning("clock_not_measured", extra={"reason": str(error)})
                await self._timing.sleep(1.0)

    async def _keep_up(self) -> None:
        """Say up when everything that may have been missed was told, as often as it takes."""
        backoff = Backoff(self._randomness)
        while True:
            self._up_wanted = anyio.Event()
            if self._is_up or not self._subscribed or self._latch:
                await self._up_wanted.wait()
                continue
            epoch = self._epoch
            try:
                await self._catch_up()
            except (NotYetError, WireError) as error:
                self._logger.warning("venue_not_up", extra={"reason": str(error)})
                await self._timing.sleep(backoff.next_delay_s())
                continue
            except DomainError as error:
                self._on_off_grid(error)
            if epoch == self._epoch and self._subscribed and not self._latch:
                backoff = Backoff(self._randomness)
                self._is_up = self._has_been_up = True
                self._teller.tell(VenueStatus(is_up=True, receive_ns=self._timing.now_ns()))
                self._logger.info("venue_up", extra={"markets": len(self._symbols)})

    async def _catch_up(self) -> None:
        if not self.clock.is_known:
            await self._measure_clock()
        await self._fetch_account()
        for market in range(len(self._symbols)):
            await self._fills.backfill(market)
            await self._tell_live_orders(market)
        await self._fetch_positions()

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

    def _required(self, outcome: Outcome, what: str) -> bytes:
        """Return the body of an answer without which there is no going on.

        Raises:
            NotYetError: If it can be had later.
            VenueError: If the exchange refuses for good.
        """
        if isinstance(outcome, Done):
            return outcome.data
        is_refused = isinstance(outcome, Refused) and outcome.verdict in {Verdict.REFUSED, Verdict.FATAL}
        if is_refused and not self._has_been_up:
            msg = f"{what}: expected an answer, was refused: {outcome.reason}"
            raise VenueError(msg, hint="`mmframe doctor` looks at key, permissions, clock and markets one by one")
        raise NotYetError(f"{what}: {outcome.reason}")

    # The private stream.

    def _on_subscribed(self, generation: int) -> None:
        """Take note that a connection delivers the account's events."""
        self._subscribed.add(generation)
        self._up_wanted.set()

    def _lose_stream(self, reason: str) -> None:
        """Take note that something of the account's events may be missing from now on."""
        self._epoch += 1
        if self._is_up:
            self.counts.lost_streams += 1
        self._tell_down(reason)
        self._up_wanted.set()

    def _tell_down(self, reason: str) -> None:
        if self._is_up or reason != self._down_reason:
            self._is_up = False
            self._down_reason = reason
            self._teller.tell(VenueStatus(is_up=False, receive_ns=self._timing.now_ns(), reason=reason))

    def _hold(self, reason: str) -> None:
        """Be down for good: only a person can help. Cancels and queries go on as far as they can."""
        if not self._latch:
            self._latch = reason
            self._logger.error("venue_latched", extra={"reason": reason})
            self._lose_stream(reason)

    async def _listen(self) -> None:
        """Take what comes on the private stream, as long as the driver takes what follows from it."""
        while True:
            for event in await self._stream.receive():
                if isinstance(event, Frame):
                    self._read(event)
                elif isinstance(event, Overflow):
                    self._lose_stream(f"{event.dropped} private frames were dropped")
                elif isinstance(event, Disconnected | Retired):
                    self._on_end(event)
            while len(self._teller) >= _EVENTS_MAX:
                self._room = anyio.Event()
                await self._room.wait()

    def _on_end(self, event: Disconnected | Retired) -> None:
        was_subscribed = event.generation in self._subscribed
        self._subscribed.discard(event.generation)
        if was_subscribed and not self._subscribed:
            reason = event.reason if isinstance(event, Disconnected) else "closed"
            self._lose_stream(f"private stream lost: {reason}")

    def _read(self, frame: Frame) -> None:
        try:
            self._on_frame(frame)
        except WireError as error:
            self.counts.bad_frames += 1
            self._logger.warning("bad_private_frame", extra={"reason": error.message})
            self._lose_stream("a private frame could not be read")
        except DomainError as error:
            self._on_off_grid(error)

    def _on_off_grid(self, error: DomainError) -> None:
        """The exchange changed its grid: nothing that we say of prices and sizes can be trusted any more."""
        self._hold(f"off the strategy's grid: {error.message}")

    # Sending.

    async def _dispatch(self) -> None:
        while True:
            self._work = anyio.Event()
            while (action := self._next_action()) is not None:
                self._in_flight += 1
                self._spawn(partial(self._perform, action))
            await self._work.wait()

    def _next_action(self) -> Action | None:
        for lane in sorted(Lane, reverse=True):
            bound = 2 * _IN_FLIGHT_MAX if lane is Lane.CANCEL else _IN_FLIGHT_MAX
            if self._queues[lane] and self._in_flight < bound:
                return self._queues[lane].popleft()
        return None

    async def _perform(self, action: Action) -> None:
        try:
            await self._handlers[type(action)](action)
        except (WireError, DomainError, NotYetError) as error:
            # An answer that cannot be read says nothing about what was done.
            self.counts.bad_frames += 1
            self._unclear(action, error.message if isinstance(error, (WireError, DomainError)) else str(error))
        finally:
            self._wave_of.pop(action, None)
            self._in_flight -= 1
            self._work.set()

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(work)

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

    # Requests.

    async def _send(self, action: Submit | Amend | Replace, call: Call, fields: Mapping[str, str]) -> Outcome:
        """Send what adds risk, unless everything was to be cancelled while it waited."""
        wave = self._wave_of.get(action)

        def refusal() -> str:
            return "" if wave == self._waves[action.market] else "everything is being cancelled"

        return await self._asking.ask(call, fields, socket=self._order_socket(), refusal=refusal)

    async def _submit(self, action: Submit) -> None:
        now_ns = self._timing.now_ns()
        problem = self._rules[action.market].order_problem(
            self._instruments[action.market], action.price_ticks, action.size_lots
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
        await self._fills.tell_since(market, order.asked_ns)
        if order.told_lots or order.venue_order_id:
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

    # Helpers.

    @property
    def _asking(self) -> Client:
        if self._client is None:
            msg = "venue: expected to be running, was not"
            raise VenueError(msg)
        return self._client

    def _made_client(self, http: HttpSession) -> Client:
        client = Client(
            http,
            timing=self._timing,
            clock=self.clock,
            limits=self._limits,
            errors=self._product.errors,
            recv_window_ms=self._options.recv_window_ms,
            timeout_s=self._options.request_timeout_s,
        )
        client.on_clock_error = self._on_clock_error
        client.on_fatal = self._on_fatal
        client.on_stop = self._on_stop
        return client

    def _on_clock_error(self) -> None:
        self._clock_wanted.set()

    def _on_fatal(self, reason: str) -> None:
        if self._has_been_up:
            self._hold(reason)

    def _on_stop(self, reason: str) -> None:
        """The exchange told us to be silent: quotes cannot be pulled, so none may be made."""
        if self._is_up:
            self._lose_stream(f"told to stop: {reason}")

    def _stream_limits(self) -> WebsocketLimits:
        return WebsocketLimits(silence_s=self._options.liveness_timeout_s)

    def _markets_of(self, market: int) -> range:
        return range(len(self._symbols)) if market == ALL_MARKETS else range(market, market + 1)


async def measure_clock(client: Client, call: Call, clock: ClockOffset, timing: Timing) -> str:
    """Ask the exchange's time a few times; return why that did not work, empty when it did."""
    for sample in range(_CLOCK_SAMPLES):
        asked_ns = timing.now_ns()
        outcome = await client.ask(call, {})
        if not isinstance(outcome, Done):
            return f"time: {outcome.reason}"
        try:
            server = decoded(outcome.data, ServerTime, "time")
        except WireError as error:
            return error.message
        clock.measured(asked_ns, server.server_time, outcome.receive_ns, is_first=sample == 0)
    return ""


def absence_delay_ns(options: TradingOptions) -> int:
    """Return how long after it was sent a request may still be executed."""
    return options.recv_window_ms * MS_NS + (_ENGINE_TIMEOUT_S + _ABSENCE_MARGIN_S) * _SECOND_NS


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

"""What keeps a venue connected: a queue in, events out, a private stream, and 'up' only when nothing can be missing."""

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
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Submit,
    VenueStatus,
)
from mmframe.errors import DomainError, VenueError
from mmframe.net.backoff import Backoff
from mmframe.net.budget import Lane
from mmframe.net.events import Disconnected, Frame, Overflow, Retired
from mmframe.net.http import HttpLimits, HttpSession
from mmframe.net.redact import require_proxy_url
from mmframe.net.timing import Timing
from mmframe.net.websocket import WebsocketLimits
from mmframe_binance.trading.client import Client, Done, NotYetError, Outcome, Refused
from mmframe_binance.trading.clock import ClockOffset
from mmframe_binance.trading.errors import Verdict
from mmframe_binance.trading.fills import FillFetcher
from mmframe_binance.trading.filters import SymbolRules
from mmframe_binance.trading.limits import TradingLimits
from mmframe_binance.trading.signing import make_signer, require_key_type
from mmframe_binance.trading.telling import MS_NS, Teller
from mmframe_binance.trading.wire import ExchangeInfo, ServerTime, WireError, decoded

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

__all__ = ["ConnectedVenue", "TradingProduct", "VenueCounts", "absence_delay_ns", "measure_clock"]

_SECOND_NS = 1_000_000_000

_QUEUED_MAX = 256
"""Requests that wait to be sent, cancels as many again; at the bound a further one is refused at once."""

_IN_FLIGHT_MAX = 64
"""Requests under way; cancels may be as many again."""

_EVENTS_MAX = 65_536
"""Events that wait for the driver; at the bound the private stream is no longer read, until it overflows itself."""

_CLOCK_SAMPLES = 3
_RULES_PAUSE_S = 60.0
"""At least between two looks at the rules."""

_ENGINE_TIMEOUT_S = 10
_ABSENCE_MARGIN_S = 2
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


class ConnectedVenue:
    """A connection to one account: the queue of requests, the private stream, and whether nothing can be missing.

    What a request leads to is its child's to say.

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
        self._teller = Teller(
            self._instruments, self._symbols, self.clock, self._timing, cuts_to_grid=context.removes_only
        )
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
        self._whole_lots: dict[Amend, int] = {}
        """The size that an amend leaves, with the fills that the engine knew of."""
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
        lane = _LANES[type(action)]
        waiting = sum(len(queue) for queue in self._queues.values())
        if waiting >= (2 * _QUEUED_MAX if lane is Lane.CANCEL else _QUEUED_MAX):
            self._refuse(action, f"{waiting} requests wait already", now_ns)
            return
        if isinstance(action, CancelAll):
            for market in self._markets_of(action.market):
                self._waves[market] += 1
        elif isinstance(action, _ADDS_RISK):
            self._wave_of[action] = self._waves[action.market]
        if isinstance(action, Amend):
            # What was filled since the engine looked must not rest again.
            order = self._teller.orders.get(action.market, action.client_id)
            self._whole_lots[action] = (0 if order is None else order.taken_lots) + action.leaves_lots
        self._queues[lane].append(action)
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
        async with self._made_http() as http, self._made_http() as cancel_http:
            self._client = self._made_client(http)
            self._client.cancel_http = cancel_http
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

    # What a child adds.

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

    def _check_rules(self, rules: SymbolRules) -> None:
        """Refuse a market that does not allow what the options want.

        Raises:
            VenueError: With what to change.
        """

    async def _perform(self, action: Action) -> None:
        """Carry out one action and tell what became of it; called once, when its turn has come."""
        raise NotImplementedError

    def _refuse(self, action: Action, reason: str, now_ns: int) -> None:
        """Answer an action that was certainly not sent."""
        raise NotImplementedError

    async def _tell_live_orders(self, market: int) -> None:
        """Tell how every order that was not over stands, as the exchange has it now."""
        raise NotImplementedError

    # Coming up.

    async def _prepare(self) -> None:
        """Learn the clock, the limits and the rules, however long that takes; nothing is sent before."""
        backoff = Backoff(self._randomness)
        while True:
            try:
                await self._measure_clock()
                if (
                    not self._removes_only
                ):  # A market that is gone must not keep orders of the others from being removed.
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
            problems = list(found.grid_problems(instrument))
            if problems:
                msg = f"{instrument.symbol}: {'; '.join(problems)}"
                raise VenueError(msg, hint="set tick_size and lot_size in [[markets]] to the exchange's")
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

    def _required(self, outcome: Outcome, what: str) -> bytes:
        """Return the body of an answer without which there is no going on.

        Raises:
            NotYetError: If it can be had later.
            VenueError: If the exchange refuses for good.
        """
        if isinstance(outcome, Done):
            return outcome.data
        final = {Verdict.FATAL} if self._removes_only else {Verdict.FATAL, Verdict.REFUSED}
        if isinstance(outcome, Refused) and outcome.verdict in final and not self._has_been_up:
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

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(work)

    # Helpers.

    @property
    def _asking(self) -> Client:
        if self._client is None:
            msg = "venue: expected to be running, was not"
            raise VenueError(msg)
        return self._client

    def _made_http(self) -> HttpSession:
        return HttpSession(
            self._rest_url,
            timing=self._timing,
            proxy=self._options.proxy_url,
            limits=HttpLimits(total_s=self._options.request_timeout_s),
        )

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

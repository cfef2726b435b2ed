"""The venue: takes approved actions, sends each once, and tells only what the exchange has shown.

It is down until the private stream is there and everything that it may have missed has been asked for; it goes down the
moment that this stream is lost. A reply to an order request is never evidence that the order rests: the stream is.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio

from mmframe.domain.market import NEVER_NS
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    Approved,
    Cancel,
    CancelAll,
    OpenOrdersReport,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    VenueCapabilities,
)
from mmframe.errors import MmframeError
from mmframe.net.budget import Lane
from mmframe.net.timing import Timing
from mmframe_bybit.instruments import venue_symbol
from mmframe_bybit.trading.account import Account, AskError
from mmframe_bybit.trading.auth import Credentials
from mmframe_bybit.trading.codes import CodeClass
from mmframe_bybit.trading.evidence import Evidence, Outbox
from mmframe_bybit.trading.limits import Endpoint, Limits
from mmframe_bybit.trading.options import addresses
from mmframe_bybit.trading.orders import amend_fields, cancel_fields, create_fields, is_client_id
from mmframe_bybit.trading.outcome import Accepted, NeverSent, Refused
from mmframe_bybit.trading.rest import RestClient
from mmframe_bybit.trading.sockets import PrivateStream, TradeSocket
from mmframe_bybit.trading.sync import Synchroniser
from mmframe_bybit.trading.tracking import OrderRecords
from mmframe_bybit.wire import FrameError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action, VenueEvent
    from mmframe.plugin import BuildContext
    from mmframe_bybit.trading.options import VenueOptions
    from mmframe_bybit.trading.outcome import Outcome
    from mmframe_bybit.trading.tracking import OrderRecord

__all__ = ["LiveVenue"]

_MS = 1_000_000
_OWN_TIMEOUT_NS = 10_000_000_000
"""How long the exchange may itself work on a request that it has taken, before it gives up."""

_MARGIN_NS = 5_000_000_000
_CANCEL_PATIENCE_S = 5.0
_PATIENCE_S = {Endpoint.CREATE: 0.5, Endpoint.AMEND: 0.1, Endpoint.CANCEL: _CANCEL_PATIENCE_S}
"""How long a request may wait for room in the limits. A quote that waits longer is of yesterday; while a change waits
its order stays where it is not wanted, and cannot be cancelled."""

_FILLS_PATIENCE_S = 0.5
"""How long an update waits for its executions on the stream before they are asked for."""

_PAUSE_S = 1.0
"""Before a question that got no answer is asked again, or answered with UNKNOWN: the strategy asks again at once."""

_PAUSE_MAX_S = 10.0
_CANCEL_ALL_ROUNDS = 30
_CANCEL_ALL_PAUSE_S = 0.3
_CLOCK_CHECK_S = 300.0
_SESSIONS_CODE = 10003
"""On the trade socket it may also mean too many sessions."""


_OPERATIONS = {
    Endpoint.CREATE: "order.create",
    Endpoint.AMEND: "order.amend",
    Endpoint.CANCEL: "order.cancel",
}


class _Work(NamedTuple):
    """One action on its way.

    `size_lots` is the whole size that a submit or amend asks for, `removals` how many times everything had been
    cancelled in its market before it.
    """

    action: Action
    size_lots: int = 0
    removals: int = 0


class _Everything(NamedTuple):
    """All orders of a market, or of all: what `CancelAll` is about, whatever its reason."""

    market: int


class _Running(NamedTuple):
    """What exists only while the venue runs."""

    rest: RestClient
    account: Account
    sync: Synchroniser
    stream: PrivateStream
    trade: TradeSocket | None


class LiveVenue:
    """Orders of one category on one account. Satisfies `mmframe.ports.Venue`.

    Args:
        category: `spot` or `linear`.
        options: As in the strategy file.
        context: Gives markets, clock, chance and logger.
        sleep: Waits for a number of seconds; a test may move time instead.

    Attributes:
        capabilities: What it can do.
        next_event_ns: Never: news come by `notify`.

    Raises:
        DomainError: If an address is not safe or not the environment's.
    """

    def __init__(
        self,
        category: str,
        options: VenueOptions,
        context: BuildContext,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.capabilities = VenueCapabilities(
            can_amend=True,
            # Not documented, so not assumed.
            shrink_keeps_priority=False,
            can_replace=False,
            has_idempotent_client_id=True,
            has_dead_man_switch=options.disconnect_cancel_s is not None,
            reports_positions=category == "linear",
            absence_delay_ns=options.recv_window_ms * _MS + _OWN_TIMEOUT_NS + _MARGIN_NS,
        )
        self.next_event_ns = NEVER_NS
        self._category = category
        self._options = options
        self._addresses = addresses(options)
        self._instruments = context.instruments
        self._symbols = tuple(venue_symbol(instrument, category) for instrument in context.instruments)
        self._logger = context.logger
        self._randomness = context.random
        self._removes_only = context.removes_only
        self._timing = Timing(context.clock, sleep)
        self._records = OrderRecords()
        self._outbox = Outbox(self._records)
        self._evidence = Evidence(
            category,
            self._instruments,
            self._symbols,
            records=self._records,
            outbox=self._outbox,
            logger=context.logger,
            rounds=context.removes_only,
        )
        self._work: deque[_Work] = deque()
        self._open_work = 0
        self._removals = [0] * len(self._symbols)
        self._under_way: set[Hashable] = set()
        self._again: set[Hashable] = set()
        self._running: _Running | None = None
        self._work_news = anyio.Event()
        self._wanted = {name: anyio.Event() for name in ("clock", "fills", "positions")}

    @property
    def bad_entries(self) -> int:
        """Return how many frames and entries of the private stream could not be read."""
        return self._evidence.bad_entries

    def execute(self, approved: Approved, now_ns: int) -> None:
        """Queue one approved action; at the bound it is answered at once as never sent.

        Raises:
            TypeError: If it is not an `Approved`.
        """
        if type(approved) is not Approved:
            msg = f"execute: expected an Approved, was {type(approved).__name__}"
            raise TypeError(msg)
        work = self._noted(approved.action)
        # What takes risk away finds room where quotes no longer do.
        limit = self._options.requests_max * (1 if isinstance(work.action, Submit | Amend | Replace) else 2)
        if self._open_work >= limit:
            self._answer_unsent(work.action, f"{self._open_work} requests wait or are under way already", now_ns)
            return
        self._open_work += 1
        self._work.append(work)
        self._work_news.set()

    def poll(self, now_ns: int) -> Sequence[VenueEvent]:  # noqa: ARG002 - of the port: what is queued is known
        """Return what is known, in order; each event once."""
        return self._outbox.drain()

    async def run(self, notify: Callable[[], None]) -> None:
        """Connect, stay connected, send and receive until cancelled.

        Raises:
            VenueError: If the account, the key or a market cannot be traded as configured.
        """
        options = self._options
        self._outbox.notify = notify
        credentials = Credentials(options.api_key, options.api_secret, recv_window_ms=options.recv_window_ms)
        limits = Limits(self._category, self._timing)
        failures: list[MmframeError] = []
        async with RestClient(
            self._addresses.rest,
            credentials,
            limits=limits,
            timing=self._timing,
            timeout_s=options.request_timeout_s,
        ) as rest:
            running = self._assembled(rest, credentials)
            rest.on_clock_wrong = self._want_clock
            async with anyio.create_task_group() as tasks:

                async def guarded(work: Callable[[], Awaitable[None]]) -> None:
                    try:
                        await work()
                    except MmframeError as error:
                        # Raised outside of the group: the error itself says what is wrong.
                        failures.append(error)
                        tasks.cancel_scope.cancel()

                await self._first_clock(running)
                self._running = running
                for work in self._tasks(running):
                    tasks.start_soon(guarded, work)
            self._running = None
        if failures:
            raise failures[0]

    # Assembly.

    def _assembled(self, rest: RestClient, credentials: Credentials) -> _Running:
        options = self._options
        account = Account(self._category, rest, self._instruments)
        sync = Synchroniser(
            account,
            evidence=self._evidence,
            records=self._records,
            outbox=self._outbox,
            timing=self._timing,
            randomness=self._randomness,
            logger=self._logger,
            disconnect_cancel_s=options.disconnect_cancel_s,
            removes_only=self._removes_only,
        )
        stream = PrivateStream(
            self._addresses.private,
            topics=self._topics(),
            credentials=credentials,
            rest=rest,
            timing=self._timing,
            randomness=self._randomness,
            liveness_s=options.liveness_timeout_s,
            on_up=sync.on_stream_up,
            on_lost=sync.on_stream_lost,
        )
        trade = None
        if self._addresses.trade is not None:
            trade = TradeSocket(
                self._addresses.trade,
                credentials=credentials,
                rest=rest,
                timing=self._timing,
                randomness=self._randomness,
                liveness_s=options.liveness_timeout_s,
                timeout_s=options.request_timeout_s,
            )
        return _Running(rest, account, sync, stream, trade)

    def _topics(self) -> list[list[str]]:
        """Return the topics a request: general ones and those of a category must not come in one."""
        of_category = [f"order.{self._category}", f"execution.{self._category}"]
        if self._category == "linear":
            of_category.append("position.linear")
        topics = [of_category, ["wallet"]]
        if self._options.disconnect_cancel_s is not None:
            topics.append(["dcp.spot" if self._category == "spot" else "dcp.future"])
        return topics

    def _tasks(self, running: _Running) -> list[Callable[[], Awaitable[None]]]:
        tasks: list[Callable[[], Awaitable[None]]] = [
            running.stream.run,
            running.sync.run,
            lambda: self._read_stream(running),
            lambda: self._dispatch(running),
            lambda: self._whenever("clock", running, running.sync.read_clock),
            lambda: self._whenever("positions", running, running.sync.read_positions),
            lambda: self._whenever("fills", running, lambda: self._read_missing_fills(running)),
            self._ask_for_clock,
        ]
        if running.trade is not None:
            tasks.append(running.trade.run)
        return tasks

    async def _first_clock(self, running: _Running) -> None:
        """Wait until the exchange's clock is known: nothing can be signed before."""
        pause_s, is_logged = _PAUSE_S, False
        while True:
            try:
                await running.sync.read_clock()
            except (AskError, FrameError) as error:
                if not is_logged:
                    self._logger.warning("venue_not_reached", extra={"reason": str(error)})
                is_logged = True
                await self._timing.sleep(max(pause_s, running.rest.limits.ban_left_s()))
                pause_s = min(_PAUSE_MAX_S, 2 * pause_s)
            else:
                return

    # What goes on all the time.

    async def _read_stream(self, running: _Running) -> None:
        while True:
            for frame in await running.stream.receive():
                demand = self._evidence.on_frame(frame.data, frame.receive_ns)
                running.sync.on_news()
                if demand.resync:
                    running.sync.resync(demand.resync)
                if demand.positions:
                    self._wanted["positions"].set()
            if self._records.holding():
                self._wanted["fills"].set()

    async def _whenever(self, name: str, running: _Running, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` each time that it is wanted, until it succeeds."""
        while True:
            await self._wanted[name].wait()
            self._wanted[name] = anyio.Event()
            try:
                await work()
            except (AskError, FrameError) as error:
                self._logger.warning("venue_question_failed", extra={"about": name, "reason": str(error)})
                await self._timing.sleep(max(_PAUSE_S, running.rest.limits.ban_left_s()))
                self._wanted[name].set()

    def _want_clock(self) -> None:
        self._wanted["clock"].set()

    async def _ask_for_clock(self) -> None:
        while True:
            await self._timing.sleep(_CLOCK_CHECK_S)
            self._want_clock()

    async def _read_missing_fills(self, running: _Running) -> None:
        """Ask for the executions that an update waits for, if the stream does not bring them soon; then let it go."""
        await self._timing.sleep(_FILLS_PATIENCE_S)
        for record in self._records.holding():
            await running.sync.read_fills(record)
            self._outbox.put(self._records.release(record, self._timing.now_ns()))

    async def _dispatch(self, running: _Running) -> None:
        async with anyio.create_task_group() as tasks:
            while True:
                while self._work:
                    # Each at once: what has to wait for room in the limits lets cancels overtake it.
                    tasks.start_soon(self._carry_out, running, self._work.popleft())
                self._work_news = anyio.Event()
                await self._work_news.wait()

    # Actions.

    def _noted(self, action: Action) -> _Work:
        if isinstance(action, Submit):
            self._evidence.learn(action.client_id)
            self._records.on_submit(action)
            return _Work(action, action.size_lots, self._removals[action.market])
        if isinstance(action, Amend):
            return _Work(action, self._records.on_amend(action), self._removals[action.market])
        if isinstance(action, Cancel):
            self._evidence.learn(action.client_id)
            self._records.on_cancel(action)
        elif isinstance(action, QueryOrder):
            self._evidence.learn(action.client_id)
            self._records.note(action.market, action.client_id)
        elif isinstance(action, CancelAll):
            for market in self._markets_of(action):
                self._removals[market] += 1
        return _Work(action)

    async def _carry_out(self, running: _Running, work: _Work) -> None:
        action = work.action
        try:
            if isinstance(action, QueryOrder):
                await self._once(action, partial(self._query, running, action))
            elif isinstance(action, QueryOpenOrders):
                await self._once(action, partial(self._report, running, action))
            elif isinstance(action, CancelAll):
                await self._once(_Everything(action.market), partial(self._cancel_all, running, action))
            else:
                await self._change(running, work)
        finally:
            self._open_work -= 1

    async def _once(self, what: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, unless the same is under way: then that is done once more when it is through.

        While the exchange does not answer the strategy asks again and again; its questions must not pile up.
        """
        if what in self._under_way:
            self._again.add(what)
            return
        self._under_way.add(what)
        try:
            await work()
            while what in self._again:
                self._again.discard(what)
                await work()
        finally:
            self._under_way.discard(what)

    async def _change(self, running: _Running, work: _Work) -> None:
        action = work.action
        refusal = self._refusal(running, work)
        if refusal:
            self._answer_unsent(action, refusal, self._timing.now_ns())
            return
        instrument, symbol = self._instruments[action.market], self._symbols[action.market]
        if isinstance(action, Submit):
            fields = create_fields(
                action, instrument, category=self._category, symbol=symbol, self_match=self._options.self_match
            )
            outcome = await self._send(running, Endpoint.CREATE, fields, work)
        elif isinstance(action, Amend):
            fields = amend_fields(action, instrument, category=self._category, symbol=symbol, size_lots=work.size_lots)
            outcome = await self._send(running, Endpoint.AMEND, fields, work)
        elif isinstance(action, Cancel):
            fields = cancel_fields(action.client_id, category=self._category, symbol=symbol)
            outcome = await self._send(running, Endpoint.CANCEL, fields, work)
        else:
            return
        self._answer(action, outcome)

    async def _send(self, running: _Running, endpoint: Endpoint, fields: Mapping[str, object], work: _Work) -> Outcome:
        """Send one order request once, over the trade socket while it is connected."""
        lane, within_s = Lane.CANCEL if endpoint is Endpoint.CANCEL else Lane.ORDER, _PATIENCE_S[endpoint]
        # What it waits for may be what makes it unwanted: a stream that is lost, or the end of everything.
        unless = partial(self._refusal, running, work)
        trade = running.trade
        if trade is not None and trade.is_connected:
            operation = _OPERATIONS[endpoint]
            outcome = await trade.ask(endpoint, operation, fields, lane=lane, within_s=within_s, unless=unless)
            is_fatal = isinstance(outcome, Refused) and outcome.code != _SESSIONS_CODE
        else:
            outcome = await running.rest.ask(endpoint, fields, lane=lane, within_s=within_s, unless=unless)
            is_fatal = True
        if isinstance(outcome, Refused) and outcome.kind is CodeClass.FATAL and is_fatal:
            running.sync.shut(outcome.reason)
        if running.rest.limits.ban() is not None and running.sync.is_up:
            running.sync.resync(running.rest.limits.ban() or "")
        return outcome

    def _refusal(self, running: _Running, work: _Work) -> str:
        """Return why an order request is not even sent; empty if it is."""
        action = work.action
        if isinstance(action, Cancel):
            return "" if is_client_id(action.client_id) else _client_id_problem(action.client_id)
        if not isinstance(action, Submit | Amend):
            return "the exchange cannot replace orders"
        if work.removals != self._removals[action.market]:
            return "everything is being cancelled"
        if not running.sync.is_up:
            return "the venue is down"
        if not is_client_id(action.client_id):
            return _client_id_problem(action.client_id)
        instrument = running.sync.listed.get(action.market, self._instruments[action.market])
        return _filter_problem(instrument, action.price_ticks, work.size_lots)

    def _answer(self, action: Submit | Amend | Cancel, outcome: Outcome) -> None:
        """Tell what is certain about a request; that it was taken is told by the stream alone."""
        if isinstance(outcome, Accepted):
            return
        record = self._records.note(action.market, action.client_id)
        if isinstance(outcome, NeverSent) or (isinstance(outcome, Refused) and outcome.kind.is_refusal):
            self._answer_unsent(action, outcome.reason, outcome.receive_ns)
            return
        request = _request(action)
        is_gone = isinstance(outcome, Refused) and outcome.kind is CodeClass.GONE and request is not Request.SUBMIT
        if is_gone:
            events = self._records.unchanged(record, request, outcome.reason, outcome.receive_ns, is_in_doubt=True)
        else:
            events = self._records.unknown(record, request, outcome.reason, outcome.receive_ns)
        self._outbox.put(events)

    def _answer_unsent(self, action: Action, reason: str, now_ns: int) -> None:
        """Tell that a request certainly had no effect."""
        if isinstance(action, Submit):
            record = self._records.note(action.market, action.client_id)
            self._outbox.put(self._records.refused_submit(record, reason, now_ns))
        elif isinstance(action, Amend | Cancel):
            record = self._records.note(action.market, action.client_id)
            self._outbox.put(self._records.unchanged(record, _request(action), reason, now_ns))
        elif isinstance(action, Replace):
            update = OrderUpdate(
                market=action.market,
                client_id=action.client_id,
                status=OrderStatus.UNCHANGED,
                request=Request.REPLACE,
                exchange_ns=now_ns,
                receive_ns=now_ns,
                new_client_id=action.new_client_id,
                reason=reason,
            )
            self._outbox.put([update])
        else:
            # A question; the strategy asks again.
            self._logger.warning("venue_question_dropped", extra={"reason": reason})

    # Questions.

    async def _query(self, running: _Running, action: QueryOrder) -> None:
        record = self._records.note(action.market, action.client_id)
        fetched_lots = record.fetched_lots
        try:
            is_known = await running.sync.look_up(record)
        except (AskError, FrameError) as error:
            await self._unanswered(running, record, str(error))
            return
        record = self._records.note(action.market, action.client_id)
        now_ns = self._timing.now_ns()
        if record.is_ended or (is_known and record.status is not None):
            self._outbox.put(self._records.answer(record, Request.QUERY, now_ns))
        elif is_known:
            await self._unanswered(running, record, "the order is in a state that is not documented")
        elif record.fetched_lots > fetched_lots:
            await self._unanswered(running, record, "there are executions of an order that no list shows")
        else:
            self._outbox.put([_not_found(record, now_ns)])
            self._records.forget(record)

    async def _unanswered(self, running: _Running, record: OrderRecord, reason: str) -> None:
        """Answer a question with UNKNOWN after a pause, as the strategy asks again at once."""
        await self._timing.sleep(max(_PAUSE_S, min(_PAUSE_MAX_S, running.rest.limits.ban_left_s())))
        self._outbox.put(self._records.unknown(record, Request.QUERY, reason, self._timing.now_ns()))

    async def _report(self, running: _Running, action: QueryOpenOrders) -> None:
        pause_s = _PAUSE_S
        while True:
            try:
                self._outbox.put([await self._listed(running, action.market)])
            except (AskError, FrameError) as error:
                self._logger.warning("open_orders_not_listed", extra={"reason": str(error)})
                await self._timing.sleep(max(pause_s, running.rest.limits.ban_left_s()))
                pause_s = min(_PAUSE_MAX_S, 2 * pause_s)
            else:
                return

    async def _listed(self, running: _Running, market: int) -> OpenOrdersReport:
        """Return every open order of a market, after telling what its row and executions show of ours."""
        rows = await running.account.open_orders(market)
        now_ns = self._timing.now_ns()
        for row in rows:
            self._evidence.on_order_row(row, now_ns)
        for record in self._records.holding():
            if record.market == market:
                await running.sync.read_fills(record)
                self._outbox.put(self._records.release(record, self._timing.now_ns()))
        reports = [self._evidence.report(row, market) for row in rows]
        return OpenOrdersReport(
            market=market,
            orders=tuple(report for report in reports if report is not None),
            exchange_ns=now_ns + running.rest.clock.ahead_ns,
            receive_ns=self._timing.now_ns(),
        )

    async def _cancel_all(self, running: _Running, action: CancelAll) -> None:
        async with anyio.create_task_group() as tasks:
            for market in self._markets_of(action):
                tasks.start_soon(self._cancel_market, running, market)

    def _markets_of(self, action: CancelAll) -> Sequence[int]:
        return range(len(self._symbols)) if action.market == ALL_MARKETS else (action.market,)

    async def _cancel_market(self, running: _Running, market: int) -> None:
        """Cancel until the exchange lists nothing: once takes at most 500 orders, which ones is not said."""
        for attempt in range(_CANCEL_ALL_ROUNDS):
            outcome = await running.account.cancel_all(market, is_first=attempt == 0)
            if not isinstance(outcome, Accepted):
                self._logger.warning("cancel_all_not_taken", extra={"reason": outcome.reason})
            if isinstance(outcome, NeverSent):
                await self._cancel_known(running, market)
            await self._timing.sleep(_CANCEL_ALL_PAUSE_S)
            try:
                if not await running.account.open_orders(market):
                    await self._tell_ends(running, market)
                    return
            except (AskError, FrameError) as error:
                self._logger.warning("open_orders_not_listed", extra={"reason": str(error)})
                await self._timing.sleep(_PAUSE_S)
        self._logger.error("cancel_all_incomplete", extra={"market": self._instruments[market].symbol})

    async def _cancel_known(self, running: _Running, market: int) -> None:
        """Cancel the orders that are known over the trade socket: it still takes them when HTTP is shut out."""
        trade = running.trade
        if trade is None or not trade.is_connected:
            return
        async with anyio.create_task_group() as tasks:
            for record in self._records:
                if record.market == market and record.rests:
                    fields = cancel_fields(record.client_id, category=self._category, symbol=self._symbols[market])
                    send = partial(trade.ask, lane=Lane.CANCEL, within_s=_CANCEL_PATIENCE_S)
                    tasks.start_soon(send, Endpoint.CANCEL, _OPERATIONS[Endpoint.CANCEL], fields)

    async def _tell_ends(self, running: _Running, market: int) -> None:
        """Ask for the end of those orders of a market that the stream has not shown."""
        for record in self._records:
            if record.market == market and record.rests:
                await running.sync.look_up(record)


def _request(action: Submit | Amend | Cancel) -> Request:
    if isinstance(action, Submit):
        return Request.SUBMIT
    return Request.AMEND if isinstance(action, Amend) else Request.CANCEL


def _not_found(record: OrderRecord, now_ns: int) -> OrderUpdate:
    return OrderUpdate(
        market=record.market,
        client_id=record.client_id,
        status=OrderStatus.NOT_FOUND,
        request=Request.QUERY,
        exchange_ns=now_ns,
        receive_ns=now_ns,
        reason="neither the open nor the past orders nor the executions know it",
    )


def _filter_problem(instrument: Instrument, price_ticks: int, lots: int) -> str:
    """Return which of the exchange's bounds an order would break; empty for none."""
    largest = instrument.max_size_lots
    if largest is not None and lots > largest:
        return f"size: expected at most {largest} lots, the exchange's maximum, was {lots}"
    if lots < instrument.min_size_lots:
        return f"size: expected at least {instrument.min_size_lots} lots, the exchange's minimum, was {lots}"
    value = instrument.notional_quote(price_ticks, lots)
    if value < instrument.min_notional_quote:
        return f"value: expected at least {instrument.min_notional_quote} {instrument.quote}, was {value}"
    return ""


def _client_id_problem(client_id: str) -> str:
    return f"client id: expected at most 36 of 0-9 A-Z a-z - _, was {client_id[:60]!r}"

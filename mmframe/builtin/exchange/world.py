"""One embedded exchange: its markets on virtual time, what they publish, and what becomes of our orders.

The feed and the venue of a strategy are two doors to one `Exchange`. It advances on request only. What happens at `t`
is seen at `t + feed latency`; what we send at `t` arrives at `t + order latency`. Nothing depends on how often it is
polled: the order of events follows from their times alone. At equal times ours comes before the crowd's, but after what
could be seen when it was sent.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.exchange.account import MAX_RESTING_ORDERS, Account, FeeSchedule
from mmframe.builtin.exchange.flow import SyntheticFlow
from mmframe.builtin.exchange.matching import MatchingEngine, MatchingLimits, SelfTradePrevention
from mmframe.domain.market import NEVER_NS, MarketBatch, MessageKind, Side
from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.builtin.exchange.options import EmbeddedFeedOptions
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action, VenueEvent

__all__ = ["Access", "Door", "Exchange", "MarketSettings"]

_LOOKAHEAD_NS = 1_000_000_000
"""How far the markets may run ahead of what is seen while no order of ours can arrive in between."""
_WARM_UP_NS = 5_000_000_000
"""Trading before the opening that nobody sees: the first snapshot is of a market in its stride."""
_MAX_ORDERS = 1_000_000
"""Resting orders of everybody in one market."""

_Message = tuple[int, int, int, int, list[tuple[int, int, int]]]
"""Receive time, market, kind, exchange time, changes."""
_SNAPSHOT, _DELTA, _TRADE = int(MessageKind.SNAPSHOT), int(MessageKind.DELTA), int(MessageKind.TRADE)


@attrs.frozen
class MarketSettings:
    """What the feed's table says of every market.

    Attributes:
        crowd: Who trades there.
        opens_ns: Virtual time of the first snapshot, at the exchange.
        interval_ns: Book changes are published together once per interval; 0 publishes each event's by itself.
        feed_latency_ns: From the exchange to us.
        seed: Of all markets; each draws from a stream of its own.
    """

    crowd: EmbeddedFeedOptions
    opens_ns: int
    interval_ns: int
    feed_latency_ns: int
    seed: int


@attrs.frozen
class Access:
    """What the venue's table says of our way in."""

    order_latency_ns: int = 0
    fees: FeeSchedule = attrs.field(factory=FeeSchedule)
    prevention: SelfTradePrevention = SelfTradePrevention.EXPIRE_TAKER


class _Market:
    """One market: matching, crowd, our account, and which public message comes next.

    Attributes:
        step_ns: When the crowd acts or a book message falls due, whichever is earlier.
    """

    __slots__ = ("_interval_ns", "_message_ns", "account", "flow", "index", "matching", "step_ns")

    def __init__(self, index: int, instrument: Instrument, settings: MarketSettings, access: Access) -> None:
        self.index = index
        self.matching = MatchingEngine(
            MatchingLimits(
                min_size_lots=instrument.min_size_lots,
                max_size_lots=2**53 if instrument.max_size_lots is None else instrument.max_size_lots,
                max_open_orders=_MAX_ORDERS,
                max_open_orders_per_owner=MAX_RESTING_ORDERS,
            ),
            prevention=access.prevention,
            tracks_changes=True,
        )
        self.account = Account(index, instrument, self.matching, latency_ns=settings.feed_latency_ns, fees=access.fees)
        # A string seeds through SHA-512, whatever the process's hash seed: the same market in every process.
        stream = random.Random(f"{settings.seed}/{instrument.symbol}")  # noqa: S311 - a simulation must be repeatable
        self.flow = SyntheticFlow(
            settings.crowd, instrument, self.matching, random=stream, start_ns=settings.opens_ns - _WARM_UP_NS
        )
        self._interval_ns = settings.interval_ns
        self._message_ns = NEVER_NS
        self.step_ns = self.flow.next_ns
        while self.step_ns <= settings.opens_ns:
            self.flow.step()
            self.step_ns = self.flow.next_ns
        self.matching.take_changes()

    @property
    def is_message_due(self) -> bool:
        """Tell whether the step at `step_ns` is the publication of book changes, not an act of the crowd."""
        return self._message_ns == self.step_ns

    def note_changes(self, now_ns: int) -> bool:
        """Plan the publication of what has changed; return whether it is to be published at once."""
        publishes_now = False
        if self._message_ns == NEVER_NS and self.matching.has_changes:
            if self._interval_ns:
                self._message_ns = (now_ns // self._interval_ns + 1) * self._interval_ns
            else:
                publishes_now = True
        self._plan()
        return publishes_now

    def published(self) -> None:
        """Note that the changes so far are out."""
        self._message_ns = NEVER_NS
        self._plan()

    def whole_book(self) -> list[tuple[int, int, int]]:
        """Return every level as a change, bids first, best first."""
        matching = self.matching
        return [
            (int(side), ticks, lots)
            for side in (Side.BUY, Side.SELL)
            for ticks, lots in matching.levels(side, matching.level_count(side))
        ]

    def _plan(self) -> None:
        flow_ns = self.flow.next_ns
        self.step_ns = self._message_ns if self._message_ns <= flow_ns else flow_ns


class Door:
    """One way into the exchange.

    Attributes:
        next_event_ns: When something is, or may be, to be had there; kept up to date by the exchange.
    """

    next_event_ns: int = NEVER_NS


class Exchange:
    """All markets behind one feed and one venue.

    The feed calls `define`, the venue `connect`, in any order; the markets open at the first poll.

    Attributes:
        market_door: Where public messages come out.
        order_door: Where our requests go in and their answers come out.
    """

    def __init__(self) -> None:
        self._settings: MarketSettings | None = None
        self._instruments: tuple[Instrument, ...] = ()
        self._access = Access()
        self._markets: tuple[_Market, ...] = ()
        self._arrivals: deque[tuple[int, Action]] = deque()
        self._messages: deque[_Message] = deque()
        self._events: deque[VenueEvent] = deque()
        self._latency_ns = 0
        self._lookahead_ns = _LOOKAHEAD_NS
        self._next_ns = NEVER_NS
        self.market_door = Door()
        self.order_door = Door()

    def define(self, settings: MarketSettings, instruments: Sequence[Instrument], door: Door) -> None:
        """Say what is traded here, and through which door it is published.

        Raises:
            DomainError: If it was said before.
        """
        if self._settings is not None:
            msg = "embedded exchange: expected one feed, was a second one"
            raise DomainError(msg, hint="use one [feed] for all markets of the strategy")
        self._settings = settings
        self._instruments = tuple(instruments)
        self._latency_ns = settings.feed_latency_ns
        self._next_ns = settings.opens_ns
        self.market_door = door
        self._ring()

    def connect(self, access: Access, door: Door) -> None:
        """Say how our orders get here and what they cost.

        Raises:
            DomainError: If the markets have opened already.
        """
        if self._markets:
            msg = "embedded exchange: expected its venue before the first poll"
            raise DomainError(msg)
        self._access = access
        self._lookahead_ns = min(access.order_latency_ns, _LOOKAHEAD_NS)
        self.order_door = door
        self._ring()

    def send(self, action: Action, now_ns: int) -> None:
        """Put a request on its way.

        Raises:
            DomainError: If no feed has defined the markets.
        """
        if self._settings is None:
            msg = "venue 'embedded': there is no embedded market to trade in"
            raise DomainError(msg, hint='use it together with [feed] use = "embedded", or choose venue "simulated"')
        # With no latency at all an order arrives at the instant of its sending: after all that was to be seen by then.
        self._advance(now_ns)
        arrival_ns = now_ns + self._access.order_latency_ns
        self._arrivals.append((arrival_ns, action))
        self._next_ns = min(self._next_ns, arrival_ns)
        self._ring()

    def take_messages(self, now_ns: int) -> list[MarketBatch]:
        """Return the public messages received up to `now_ns`, one batch for each run of messages of one market."""
        self._advance(now_ns)
        batches: list[MarketBatch] = []
        messages = self._messages
        batch: MarketBatch | None = None
        while messages and messages[0][0] <= now_ns:
            receive_ns, market, kind, exchange_ns, changes = messages.popleft()
            if batch is None or batch.market != market:
                batch = MarketBatch(market)
                batches.append(batch)
            batch.add(kind, exchange_ns=exchange_ns, receive_ns=receive_ns, changes=changes)
        self._look_ahead(now_ns)
        self._ring()
        return batches

    def take_events(self, now_ns: int) -> list[VenueEvent]:
        """Return the answers and fills received up to `now_ns`."""
        self._advance(now_ns)
        events = self._events
        taken: list[VenueEvent] = []
        while events and events[0].receive_ns <= now_ns:
            taken.append(events.popleft())
        self._look_ahead(now_ns)
        self._ring()
        return taken

    def _advance(self, now_ns: int) -> None:
        """Let everything happen that is seen by `now_ns`."""
        seen_ns = now_ns - self._latency_ns
        while self._next_ns <= seen_ns:
            self._happen()

    def _look_ahead(self, now_ns: int) -> None:
        """Go on until it is known what is seen next, so that nobody has to ask in between.

        It stops where a request sent at `now_ns` could arrive: the crowd must not act before it.
        """
        safe_ns = now_ns + self._lookahead_ns
        while self._next_ns < safe_ns and not self._messages and not self._events:
            self._happen()

    def _happen(self) -> None:
        """Let the next thing happen, at `_next_ns`."""
        arrivals = self._arrivals
        if not self._markets:
            self._open()
        elif arrivals and arrivals[0][0] <= self._next_ns:
            self._arrive(*arrivals.popleft())
        else:
            self._step(self._next_ns)
        next_ns = min(market.step_ns for market in self._markets)
        self._next_ns = arrivals[0][0] if arrivals and arrivals[0][0] < next_ns else next_ns

    def _open(self) -> None:
        settings = self._settings
        if settings is None:
            msg = "embedded exchange: expected a feed that defines the markets"
            raise DomainError(msg)
        self._markets = tuple(
            _Market(index, instrument, settings, self._access) for index, instrument in enumerate(self._instruments)
        )
        for market in self._markets:
            self._publish(market, _SNAPSHOT, market.whole_book(), settings.opens_ns)

    def _step(self, now_ns: int) -> None:
        """Let the first market whose time has come publish, or its crowd act."""
        market = next(market for market in self._markets if market.step_ns == now_ns)
        if market.is_message_due:
            self._publish_changes(market, now_ns)
            return
        market.matching.begin()
        market.flow.step()
        self._settle(market, now_ns)

    def _arrive(self, now_ns: int, action: Action) -> None:
        markets = self._markets if action.market == ALL_MARKETS else (self._markets[action.market],)
        for market in markets:
            market.matching.begin()
            self._events.extend(market.account.act(action, now_ns))
            self._settle(market, now_ns)

    def _settle(self, market: _Market, now_ns: int) -> None:
        """Tell the public and us what the last operation traded and changed."""
        executions, prevented = market.matching.executions, market.matching.prevented
        if executions:
            trades = [(trade.taker_side, trade.price_ticks, trade.size_lots) for trade in executions]
            self._publish(market, _TRADE, trades, now_ns)
        if executions or prevented:
            self._events.extend(market.account.on_executions(executions, prevented, now_ns))
        if market.note_changes(now_ns):
            self._publish_changes(market, now_ns)

    def _publish_changes(self, market: _Market, now_ns: int) -> None:
        changes = market.matching.take_changes()
        market.published()
        self._publish(market, _DELTA, changes, now_ns)

    def _publish(self, market: _Market, kind: int, changes: list[tuple[int, int, int]], now_ns: int) -> None:
        self._messages.append((now_ns + self._latency_ns, market.index, kind, now_ns, changes))

    def _ring(self) -> None:
        """Tell both doors when to look again."""
        next_seen_ns = self._next_ns + self._latency_ns if self._next_ns != NEVER_NS else NEVER_NS
        self.market_door.next_event_ns = self._messages[0][0] if self._messages else next_seen_ns
        self.order_door.next_event_ns = self._events[0].receive_ns if self._events else next_seen_ns

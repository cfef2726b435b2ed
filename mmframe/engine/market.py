"""One market inside the engine: its book and touch, its signals, its orders, its ledger."""

from __future__ import annotations

from collections import deque, namedtuple
from math import nan
from typing import TYPE_CHECKING

from mmframe.domain.kinds import Scope
from mmframe.domain.market import NEVER_NS, BookState, MessageKind, Touch
from mmframe.domain.records import StageKind
from mmframe.domain.views import NEUTRAL_ADVICE, BookTick, Inventory, MarketView, Reason, TradeTick
from mmframe.engine.gate import MarketGate
from mmframe.engine.limits import LimitLog
from mmframe.engine.orders import OrderTracker
from mmframe.engine.pipeline import Pipeline
from mmframe.engine.portfolio import MarketLedger
from mmframe.engine.reconcile import Reconciler
from mmframe.engine.venue_truth import VenueTruth

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.domain.market import MarketBatch
    from mmframe.domain.orders import VenueCapabilities
    from mmframe.domain.records import LimitRecord
    from mmframe.domain.views import Advice, FillTick
    from mmframe.engine.groups import QuoteGroup
    from mmframe.engine.settings import EngineSettings, MarketPipeline, MarketSettings

__all__ = ["EngineMarket", "SignalFault"]

# Bound once: in Python 3.11 looking up an enum member costs ten times a module name, and these are on the hot path.
_DELTA = int(MessageKind.DELTA)
_SNAPSHOT = int(MessageKind.SNAPSHOT)
_TRADE = int(MessageKind.TRADE)
_GAP = int(MessageKind.GAP)
_UNSYNCED = BookState.UNSYNCED
_STALE = BookState.STALE

_EMPTY_TOUCH = Touch(0, 0, 0, 0)
_TAKER_SIGN = (1.0, -1.0, 0.0)
"""By `Side`: bought, sold, not told."""

_make = tuple.__new__
"""Builds a NamedTuple without its Python-level constructor, which costs three times as much on this path."""


class SignalFault(Exception):
    """A signal raised on a touch or a trade; never leaves the engine. The book is as whole as it was."""


class EngineMarket:
    """The engine's state of one market.

    Attributes:
        due_ns: When the next decision is due.
        is_killed: By the operator, who has to name it to release it.
        is_paused: By the operator.
        needs_pull: The book stopped being quotable, so that the requote interval does not apply.
        is_pulling: An order that should not rest could not be cancelled yet because a request for it is under way.
        asset_ledgers: Ledgers of all markets with this one's base asset; set once all markets are there.
        base_balance: On the account, NaN where not told.
        quote_balance: On the account, NaN where not told.
        orders_sent: New orders asked for: submits and replaces.
        requests_sent: All requests about orders.
        limits: Which limits bind.
        fill_listeners: Stages that learn from fills: name, kind, scope of a HALT, and the call.
        settled: Orders and targets of the last reconcile that needed no action: the same again needs none either.
        book_losses: How often the book was out of sync; one that was asked about and has been lost since is gone.
        tape: The newest public executions, for those who look now and then; None when nobody does.
    """

    __slots__ = (
        "_apply",
        "_lag_ns",
        "_last_book_ns",
        "_lot",
        "_max_position",
        "_order_size",
        "_signal_names",
        "_signal_reads",
        "_signals",
        "_signals_type",
        "_target",
        "_tick",
        "_tick_signals",
        "_touch",
        "_trade_signals",
        "advice",
        "ask_reason",
        "asset_ledgers",
        "base_balance",
        "bid_reason",
        "book",
        "book_losses",
        "book_state",
        "consecutive_faults",
        "due_ns",
        "fill_listeners",
        "gate",
        "halt_reason",
        "index",
        "instrument",
        "is_killed",
        "is_paused",
        "is_pulling",
        "last_decision_ns",
        "last_inventory",
        "last_view",
        "ledger",
        "limits",
        "needs_pull",
        "order_size_lots",
        "orders_sent",
        "pipeline",
        "quote_balance",
        "reconciler",
        "requests_sent",
        "risk_level",
        "settled",
        "stale_after_ns",
        "tape",
        "touch",
        "tracker",
        "truth",
    )

    def __init__(  # noqa: PLR0913, PLR0915 - what one market is made of
        self,
        index: int,
        market: MarketSettings,
        components: MarketPipeline,
        *,
        capabilities: VenueCapabilities,
        settings: EngineSettings,
        client_id_prefix: str,
        next_client_id: Callable[[], str],
        on_limit: Callable[[LimitRecord], None],
    ) -> None:
        self.index = index
        self.instrument = market.instrument
        self.book = components.book
        self.touch = _EMPTY_TOUCH
        self.book_state = BookState.UNSYNCED
        self.stale_after_ns = settings.stale_after_ns
        self.tracker = OrderTracker(
            index,
            acknowledge_timeout_ns=settings.acknowledge_timeout_ns,
            query_interval_ns=settings.query_interval_ns,
            absence_delay_ns=capabilities.absence_delay_ns,
        )
        self.ledger = MarketLedger(market.instrument)
        self.truth = VenueTruth(
            index,
            capabilities=capabilities,
            settings=settings,
            client_id_prefix=client_id_prefix,
            tracker=self.tracker,
            ledger=self.ledger,
        )
        self.gate = MarketGate(market, self.tracker, self.ledger)
        self.limits = LimitLog(index, on_limit)
        self.pipeline = Pipeline(market, components, self.gate, self.limits)
        self.fill_listeners = _fill_listeners(components)
        self.asset_ledgers: tuple[MarketLedger, ...] = (self.ledger,)
        self.base_balance = nan
        self.quote_balance = nan
        self.orders_sent = 0
        self.requests_sent = 0
        self.reconciler = Reconciler(index, market.reconcile, capabilities, next_client_id)
        self.advice: Advice = NEUTRAL_ADVICE
        self.due_ns = NEVER_NS
        self.last_decision_ns = -(10**18)
        self.needs_pull = False
        self.is_pulling = False
        self.is_killed = False
        self.is_paused = False
        self.halt_reason = ""
        self.consecutive_faults = 0
        self.bid_reason = int(Reason.BOOK_UNSYNCED)
        self.ask_reason = int(Reason.BOOK_UNSYNCED)
        self.risk_level = 0
        self.settled: object = None
        self.book_losses = 0
        self.tape: deque[TradeTick] | None = None
        self.last_view: MarketView | None = None
        self.last_inventory: Inventory | None = None
        self._last_book_ns = 0
        self._lag_ns = 0
        self._apply = components.book.apply
        self._touch = components.book.touch
        self._tick = market.instrument.tick
        self._lot = market.instrument.lot
        self.order_size_lots = market.order_size_lots
        self._order_size = market.order_size_lots * self._lot
        self._target = market.target_position_lots * self._lot
        self._max_position = market.max_position
        signals = components.signals
        self._signal_names = tuple(named.name for named in signals)
        self._signals_type: type[tuple[float, ...]] = namedtuple("Signals", self._signal_names)  # type: ignore[misc] # noqa: PYI024 - its fields are the strategy file's
        self._signals = tuple(named.signal for named in signals)
        self._signal_reads = tuple(named.signal.read for named in signals)
        self._tick_signals = tuple(take for named in signals if (take := named.signal.on_touch) is not None)
        self._trade_signals = tuple(react for named in signals if (react := named.signal.on_trade) is not None)

    @property
    def stale_deadline_ns(self) -> int:
        """Return when the book turns stale if nothing more arrives."""
        return self._last_book_ns + self.stale_after_ns

    @property
    def last_book_ns(self) -> int:
        """Return when the newest message of the book was received; 0 before the first."""
        return self._last_book_ns

    @property
    def has_touch(self) -> bool:
        """Tell whether the ledger's mark is that of the book as it stands."""
        touch = self.touch
        return bool(touch.bid_lots and touch.ask_lots and touch.bid_ticks < touch.ask_ticks)

    def on_message(self, batch: MarketBatch, index: int) -> bool:  # noqa: PLR0911 - one return for each kind of message
        """Apply one message; return whether the quotes may have to change.

        Raises:
            SignalFault: If a signal raised. Anything else comes from the book or the batch: then call `lose_book`.
        """
        kind = batch.kinds[index]
        if kind == _DELTA:
            if self.book_state is _UNSYNCED:
                return False
            offsets = batch.offsets
            self._apply(batch.sides, batch.ticks, batch.lots, offsets[index], offsets[index + 1])
            self._last_book_ns = batch.receive_ns[index]
            self._lag_ns = self._last_book_ns - batch.exchange_ns[index]
            touch = self._touch()
            if touch == self.touch:
                return self._revive()
            self._on_touch(touch, self._last_book_ns)
            return True
        if kind == _TRADE:
            return self._on_trades(batch, index)
        if kind == _SNAPSHOT:
            self.book.clear()
            offsets = batch.offsets
            self._apply(batch.sides, batch.ticks, batch.lots, offsets[index], offsets[index + 1])
            self._last_book_ns = batch.receive_ns[index]
            self._lag_ns = self._last_book_ns - batch.exchange_ns[index]
            self.book_state = BookState.SYNCED
            self._on_touch(self._touch(), self._last_book_ns)
            return True
        if kind == _GAP:
            self.lose_book()
            return True
        return False

    def lose_book(self) -> None:
        """Take the book as out of sync until the next snapshot."""
        self.book_state = BookState.UNSYNCED
        self.book_losses += 1
        self.needs_pull = True

    def book_reason(self, now_ns: int) -> int:
        """Return why the book cannot be quoted on; 0 when it can."""
        if self.book_state is _UNSYNCED:
            return int(Reason.BOOK_UNSYNCED)
        if self.stale_after_ns and now_ns >= self.stale_deadline_ns:
            self.book_state = BookState.STALE
            return int(Reason.BOOK_STALE)
        touch = self.touch
        if not touch.bid_lots or not touch.ask_lots:
            return int(Reason.BOOK_EMPTY)
        if touch.bid_ticks >= touch.ask_ticks:
            return int(Reason.BOOK_CROSSED)
        return 0

    def view(self, now_ns: int) -> MarketView:
        """Return what the stages see; the book must be quotable."""
        book_tick = self._book_tick(self.touch, now_ns)
        signals = _make(self._signals_type, [read(now_ns, book_tick) for read in self._signal_reads])
        view: MarketView = _make(
            MarketView,
            (
                now_ns,
                book_tick.bid,
                book_tick.bid_size,
                book_tick.ask,
                book_tick.ask_size,
                book_tick.mid,
                self._tick,
                self._lot,
                self._order_size,
                now_ns - self._last_book_ns,
                self._lag_ns,
                signals,
            ),
        )
        self.last_view = view
        return view

    def inventory(self, group: QuoteGroup) -> Inventory:
        """Return what we hold, for the stages; the group's figures are those of its last update."""
        ledger = self.ledger
        asset_position = position = ledger.position_lots * self._lot
        if len(self.asset_ledgers) > 1:
            asset_position = 0.0
            for other in self.asset_ledgers:
                asset_position += other.position_lots * other.instrument.lot
        inventory: Inventory = _make(
            Inventory,
            (
                position,
                self._target,
                self._max_position,
                ledger.average_price_float(),
                ledger.realised_float(),
                ledger.unrealised_float(),
                ledger.fees_float,
                group.day_pnl_quote,
                group.total_notional_quote,
                group.net_notional_quote,
                group.concentration,
                group.market_count,
                asset_position,
                group.total_pnl_quote,
                group.peak_pnl_quote,
                group.day_peak_pnl_quote,
                self.base_balance,
                self.quote_balance,
                float(len(self.tracker.live)),
                float(self.orders_sent),
                float(self.requests_sent),
                float(ledger.fill_count),
            ),
        )
        self.last_inventory = inventory
        return inventory

    def advice_at(self, now_ns: int) -> Advice:
        """Return the advice in force; neutral once it has expired."""
        advice = self.advice
        if advice is not NEUTRAL_ADVICE and now_ns > advice.valid_until_ns:
            self.advice = advice = NEUTRAL_ADVICE
        return advice

    def signal_values(self) -> dict[str, float]:
        """Return the signals of the last view by name."""
        if self.last_view is None:
            return {}
        return dict(zip(self._signal_names, self.last_view.signals, strict=True))

    def _revive(self) -> bool:
        """A message ends staleness; return whether it did."""
        if self.book_state is _STALE:
            self.book_state = BookState.SYNCED
            return True
        return False

    def _on_touch(self, touch: Touch, now_ns: int) -> None:
        self.touch = touch
        self._revive()
        if not touch.bid_lots or not touch.ask_lots or touch.bid_ticks >= touch.ask_ticks:
            self.needs_pull = True
            return
        self.ledger.mark_half_ticks = touch.bid_ticks + touch.ask_ticks
        if self._tick_signals:
            book_tick = self._book_tick(touch, now_ns)
            try:
                for on_touch in self._tick_signals:
                    on_touch(book_tick)
            except Exception as error:
                raise self._signal_fault(on_touch, error) from error

    def _on_trades(self, batch: MarketBatch, index: int) -> bool:
        tape = self.tape
        if not self._trade_signals and tape is None:
            return False
        now_ns = batch.receive_ns[index]
        for change in range(batch.offsets[index], batch.offsets[index + 1]):
            trade = TradeTick(
                now_ns,
                batch.ticks[change] * self._tick,
                batch.lots[change] * self._lot,
                _TAKER_SIGN[batch.sides[change]],
            )
            if tape is not None:
                tape.append(trade)
            try:
                for on_trade in self._trade_signals:
                    on_trade(trade)
            except Exception as error:
                raise self._signal_fault(on_trade, error) from error
        # Whoever only looks now and then makes no decision due.
        return bool(self._trade_signals) and self.book_state is BookState.SYNCED

    def _signal_fault(self, react: object, error: Exception) -> SignalFault:
        name = next(
            name
            for name, signal in zip(self._signal_names, self._signals, strict=True)
            if react in {signal.on_touch, signal.on_trade}
        )
        return SignalFault(f"signal {name!r}: {type(error).__name__}: {error}")

    def _book_tick(self, touch: Touch, now_ns: int) -> BookTick:
        tick, lot = self._tick, self._lot
        bid_ticks, bid_lots, ask_ticks, ask_lots = touch
        book_tick: BookTick = _make(
            BookTick,
            (
                now_ns,
                bid_ticks * tick,
                bid_lots * lot,
                ask_ticks * tick,
                ask_lots * lot,
                (bid_ticks + ask_ticks) * tick * 0.5,
            ),
        )
        return book_tick


_FillListener = tuple[str, StageKind, Scope, "Callable[[FillTick], None]"]


def _fill_listeners(components: MarketPipeline) -> tuple[_FillListener, ...]:
    """Return the stages that want to know of fills: those with an `on_fill`."""
    stages: list[tuple[str, StageKind, Scope, object]] = [
        (named.name, StageKind.OPTIMIZER, Scope.MARKET, named.optimizer) for named in components.optimizers
    ]
    stages += [(named.name, StageKind.RISK, named.scope, named.control) for named in components.risk_controls]
    return tuple(
        (name, kind, scope, on_fill)
        for name, kind, scope, component in stages
        if (on_fill := getattr(component, "on_fill", None)) is not None
    )

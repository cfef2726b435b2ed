"""The state machine: market data, venue events, advice and commands in; approved actions out.

It holds no clock: `now_ns` comes with every call, and `wake_ns` tells when it wants to be called again. The same calls
give the same actions and the same `decision_hash`, byte for byte, in every process.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import CloseTo
from mmframe.domain.market import NEVER_NS, BookState, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    Approved,
    BalanceUpdate,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderState,
    OrderStatus,
    OrderUpdate,
    PositionReport,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Submit,
    TimeInForce,
    VenueEvent,
    VenueStatus,
    action_bytes,
)
from mmframe.domain.records import (
    AdviceUpdate,
    Command,
    GateRejection,
    LimitRecord,
    OperatorCommand,
    QuoteDecision,
    StageKind,
)
from mmframe.domain.status import RunStatus
from mmframe.domain.views import NEUTRAL_ADVICE, FillTick, Reason, RiskLevel
from mmframe.engine.decision import decision_record
from mmframe.engine.gate import Gate
from mmframe.engine.groups import QuoteGroup
from mmframe.engine.limits import LimitLog
from mmframe.engine.liquidation import LiquidationDesk, operator_terms
from mmframe.engine.market import EngineMarket, SignalFault
from mmframe.engine.market_status import market_status
from mmframe.engine.picture import market_picture
from mmframe.engine.pipeline import StageFault, Targets
from mmframe.engine.state import EngineState
from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.advice import MarketPicture
    from mmframe.domain.liquidation import LiquidationTerms
    from mmframe.domain.market import MarketBatch
    from mmframe.domain.orders import Action, VenueCapabilities
    from mmframe.domain.views import Inventory, MarketView
    from mmframe.engine.liquidation import Liquidation, Slice
    from mmframe.engine.settings import EngineSettings, MarketPipeline
    from mmframe.engine.state import RestoredRun
    from mmframe.ports import Book

__all__ = ["CLIENT_ID_PREFIX", "Engine", "EngineEvent", "client_id_prefix"]

CLIENT_ID_PREFIX = "mm"
"""Starts every client id of ours, so that our orders are recognisable at the venue with no journal at all."""

# Bound once: in Python 3.11 looking up an enum member costs ten times a module name, and these are on the hot path.
_BUY = Side.BUY
_SELL = Side.SELL
_SYNCED = BookState.SYNCED
_UNKNOWN = OrderState.UNKNOWN

_SHRINK = int(RiskLevel.SHRINK)
_LIQUIDATING = int(Reason.LIQUIDATING)
_ABOUT_ORDERS = (Submit, Amend, Replace, Cancel)
_HALT_STAGE = "halt"
"""What the record of limits calls a latched HALT."""

_DAY_NS = 86_400_000_000_000
_MAX_FAULT_NOTES = 20
_MAX_NAME = 14

EngineEvent = VenueEvent | AdviceUpdate | OperatorCommand
"""Everything that `Engine.handle` takes; market data goes to `Engine.on_market`."""


def client_id_prefix(strategy: str) -> str:
    """Return the start of every client id of a strategy, within the 36 characters that venues allow."""
    name = "".join(letter for letter in strategy.lower() if letter.isalnum())[:_MAX_NAME]
    return f"{CLIENT_ID_PREFIX}-{name}"


class Engine:
    """The decision core of one strategy.

    Args:
        settings: The strategy's numbers.
        pipelines: Built components, one a market.
        capabilities: What the venue can do.
        records_decisions: Build a `QuoteDecision` for each decision; costs nothing when off.

    Attributes:
        wake_ns: When `decide` is next due; `NEVER_NS` for not at all.
        decisions: How many decisions were made.
        events: Market messages, venue events, advice and commands handled.
        market_messages: Of these, market messages.
        state_revision: Grows when `state()` changes, client ids apart.
        is_halted: Nothing can be quoted any more without an operator.
        is_over: It is halted and no position is being closed any more: a driver has nothing left to wait for.
    """

    def __init__(
        self,
        settings: EngineSettings,
        pipelines: Sequence[MarketPipeline],
        capabilities: VenueCapabilities,
        *,
        records_decisions: bool = False,
    ) -> None:
        if len(pipelines) != len(settings.markets) or not pipelines:
            counts = f"{len(pipelines)} for {len(settings.markets)}"
            msg = f"engine: expected one pipeline a market and at least one, was {counts}"
            raise DomainError(msg)
        self.settings = settings
        self.records_decisions = records_decisions
        self.wake_ns = NEVER_NS
        self.decisions = 0
        self.market_messages = 0
        self.other_events = 0
        self.faults = 0
        self.fault_notes: deque[str] = deque(maxlen=_MAX_FAULT_NOTES)
        self.last_rejections: deque[GateRejection] = deque(maxlen=_MAX_FAULT_NOTES)
        self.balances: dict[str, BalanceUpdate] = {}
        self.is_halted = False
        self.is_over = False
        self.is_killed = False
        self.is_paused = False
        self.is_stopping = False
        self._is_venue_up = capabilities.is_virtual
        self._is_live = not capabilities.is_virtual
        prefix = f"{client_id_prefix(settings.strategy)}-"
        self._prefix = f"{prefix}{settings.run_id}-"
        self._sequence = 0
        self._day = -1
        self._old_marks: dict[int, tuple[int, int]] = {}
        self.state_revision = 0
        self._hash = hashlib.sha256()
        self._encode = msgspec.msgpack.Encoder().encode
        self._records: list[QuoteDecision] = []
        self._limit_records: list[LimitRecord] = []
        self._limits = LimitLog(ALL_MARKETS, self._limit_records.append)
        self._markets = tuple(
            EngineMarket(
                index,
                market_settings,
                pipeline,
                capabilities=capabilities,
                settings=settings,
                client_id_prefix=prefix,
                next_client_id=self._next_client_id,
                on_limit=self._limit_records.append,
            )
            for index, (market_settings, pipeline) in enumerate(zip(settings.markets, pipelines, strict=True))
        )
        limits = settings.markets[0].limits
        self._gate = Gate(
            tuple(market.gate for market in self._markets), max_orders_per_second=limits.max_orders_per_second
        )
        self._max_daily_loss = None if limits.max_daily_loss_quote is None else float(limits.max_daily_loss_quote)
        self._requote_interval_ns = settings.requote_interval_ns
        self._groups: dict[str, QuoteGroup] = {
            quote: QuoteGroup(quote, [market for market in self._markets if market.instrument.quote == quote])
            for quote in dict.fromkeys(market.instrument.quote for market in self._markets)
        }
        for market in self._markets:
            base = market.instrument.base
            market.asset_ledgers = tuple(other.ledger for other in self._markets if other.instrument.base == base)
        self._kept_states: dict[str, list[float]] = {
            f"{market.instrument.symbol} {named.name}": named.control.state  # type: ignore[attr-defined] # a RiskRule
            for market, pipeline in zip(self._markets, pipelines, strict=True)
            for named in pipeline.risk_controls
            if named.keeps_state and isinstance(getattr(named.control, "state", None), list)
        }
        self._has_positions = capabilities.reports_positions
        self._controls = tuple({named.name: named for named in pipeline.risk_controls} for pipeline in pipelines)
        self._desk = LiquidationDesk(
            self._markets, [market.target_position_lots for market in settings.markets], self._limits
        )
        self._desk_revision = 0

    # What comes in.

    def on_market(self, batch: MarketBatch, index: int) -> None:
        """Apply message `index` of a batch to its market: book, touch and signals."""
        self.market_messages += 1
        market = self._markets[batch.market]
        try:
            is_news = market.on_message(batch, index)
        except SignalFault as fault:
            self._fault(str(fault), market, batch.receive_ns[index])
            is_news = True
        except Exception as error:  # noqa: BLE001 - a book may raise anything; it is recorded and budgeted
            # What it holds is not known any more.
            market.lose_book()
            self._fault(f"book: {type(error).__name__}: {error}", market, batch.receive_ns[index])
            is_news = True
        if is_news:
            now_ns = batch.receive_ns[index]
            due_ns = market.last_decision_ns + self._requote_interval_ns
            if market.needs_pull or due_ns < now_ns:
                due_ns = now_ns
            if due_ns < market.due_ns:
                market.due_ns = due_ns
                self.wake_ns = min(self.wake_ns, due_ns)

    def handle(self, event: EngineEvent) -> OrderState | None:
        """Apply a venue event, advice or a command; return the state of the order that it was about, if any."""
        self.other_events += 1
        state = None
        if isinstance(event, OrderUpdate):
            state = self._on_update(event)
        elif isinstance(event, Fill):
            state = self._on_fill(event)
        elif isinstance(event, OpenOrdersReport):
            market = self._market_of(event.market)
            reason = market.truth.on_open_orders(event, event.receive_ns)
            if reason:
                self._halt(market, reason, event.receive_ns)
            self._heed_rival(market, event.receive_ns)
            self._make_due(event.market, event.receive_ns)
        elif isinstance(event, PositionReport):
            self._market_of(event.market).truth.on_position(event, event.receive_ns)
            self._make_due(event.market, event.receive_ns)
        elif isinstance(event, AdviceUpdate):
            self._market_of(event.market).advice = event.advice
            self._make_due(event.market, event.receive_ns)
        elif isinstance(event, OperatorCommand):
            self._on_command(event)
        elif isinstance(event, VenueStatus):
            self._is_venue_up = event.is_up
            for market in self._markets:
                market.truth.on_status(is_up=event.is_up, now_ns=event.receive_ns)
            self._make_due(ALL_MARKETS, event.receive_ns)
        else:
            self._on_balance(event)
        return state

    def decide(self, now_ns: int) -> list[Approved]:
        """Make every decision that is due and return the approved actions, in the order in which they must go out."""
        approved: list[Approved] = []
        if now_ns // _DAY_NS != self._day:
            self._begin_day(now_ns // _DAY_NS)
        if self._old_marks:
            self._renew_marks()
        for market in self._markets:
            if market.tracker.deadline_ns <= now_ns or market.tracker.stray_ids or market.truth.wake_ns <= now_ns:
                self._resolve(market, now_ns, approved)
            if market.due_ns <= now_ns:
                self._decide_market(market, now_ns, approved)
        if self._desk.active:
            self._liquidate(now_ns, approved)
        self._reschedule()
        return approved

    def stop(self, now_ns: int, reason: str) -> list[Approved]:
        """Stop quoting for good and cancel everything; later `decide` calls only clean up."""
        self.is_stopping = True
        # What is saved at the end holds what risk controls counted since a limit last bound.
        self.state_revision += 1
        approved: list[Approved] = []
        for market in self._markets:
            self._cancel_all(market, reason, now_ns, approved)
            market.truth.on_stop(now_ns)
            market.due_ns = now_ns
        self._reschedule()
        return approved

    def restore(self, run: RestoredRun) -> None:
        """Take back a journaled run: positions and profit at once, orders as UNKNOWN until the venue answers.

        Raises:
            DomainError: If the engine has handled something already, or the run names a market that is not there.
        """
        if self.market_messages or self.other_events:
            msg = "restore: expected an engine that has handled nothing yet"
            raise DomainError(msg)
        for restored in run.fills:
            ledger = self._market_of(restored.fill.market).ledger
            ledger.apply(restored.fill, restored.mid_half_ticks)
            # Until the book is there, the last fill's mid is the last that is known of the market.
            ledger.mark_half_ticks = restored.mid_half_ticks
        for order in run.orders:
            self._market_of(order.market).tracker.restore(order)
            self.wake_ns = 0
        self._restore_state(run.state)
        if run.is_released:
            for group in self._groups.values():
                group.forget_peaks()

    def _restore_state(self, state: EngineState) -> None:
        self._sequence = state.last_sequence
        self._day = state.day
        first = self._markets[0].instrument.quote
        day_starts = {first: state.day_start_pnl_quote, **state.other_day_start_pnl_quote}
        for quote, group in self._groups.items():
            group.restore(day_starts.get(quote), state.peaks_pnl_quote.get(quote))
        for name, kept in self._kept_states.items():
            values = state.risk_states.get(name, ())
            if len(kept) == len(values):
                # In place: the rule is bound to this very list. Of another length it is another rule's.
                kept[:] = values
        self._gate.halt_reason = state.halt_reason
        self.is_killed = self._gate.is_killed = state.is_killed
        self.is_paused = state.is_paused
        for market, halt_reason in zip(self._markets, state.market_halts, strict=False):
            market.halt_reason = halt_reason
        for index in state.paused_markets:
            self._market_of(index).is_paused = True
        for index in state.killed_markets:
            self._market_of(index).is_killed = True
        self._old_marks = {index: marks for index, marks in state.old_marks.items() if index < len(self._markets)}
        self._desk.restore(state.liquidations)
        if state.liquidations:
            self.wake_ns = 0
        self._settle_halt()

    # What can be asked.

    @property
    def events(self) -> int:
        """Return how many inputs were handled."""
        return self.market_messages + self.other_events

    @property
    def halt_reason(self) -> str:
        """Return why the whole strategy is halted; empty when it is not."""
        return self._gate.halt_reason

    def count_canceled(self, client_ids: Sequence[str]) -> int:
        """Return how many of these orders have ended as CANCELED."""
        return sum(
            market.tracker.final_state(client_id) is OrderState.CANCELED
            for client_id in client_ids
            for market in self._markets
        )

    @property
    def is_closing(self) -> bool:
        """Tell whether positions of what is halted are being closed."""
        return self._desk.is_closing and not self.is_killed

    @property
    def day(self) -> int:
        """Return the current trading day, in days since the epoch, UTC; -1 before the first decision."""
        return self._day

    @property
    def has_live_orders(self) -> bool:
        """Tell whether any order of ours is not final."""
        return any(market.tracker.live for market in self._markets)

    def is_ours(self, fill: Fill) -> bool:
        """Tell whether an execution counts for this run: others trade on the same account, and earlier runs did."""
        return not self._is_live or self._market_of(fill.market).truth.counts(fill)

    @property
    def is_confirmed_empty(self) -> bool:
        """Tell whether, since the stop, the venue has twice listed no order of ours; True on a virtual venue."""
        return all(market.truth.is_confirmed_empty for market in self._markets)

    @property
    def is_end_known(self) -> bool:
        """Tell whether nothing is left to be asked of the venue: its lists were empty, or are to be left alone."""
        return all(market.truth.is_confirmed_empty or market.truth.is_refused for market in self._markets)

    def opening_fills(self, now_ns: int) -> list[Fill]:
        """Return the executions that explain positions found at a live start; they come back through `handle`."""
        return [fill for market in self._markets if (fill := market.truth.opening_fill(now_ns)) is not None]

    @property
    def refused_count(self) -> int:
        """Return how many actions the gate refused."""
        return self._gate.refused_count

    @property
    def last_sequence(self) -> int:
        """Return the sequence number of the newest client id."""
        return self._sequence

    def book(self, market: int) -> Book:
        """Return the book of a market, for observers; they must not change it."""
        return self._markets[market].book

    def keep_trades(self, market: int, count: int) -> None:
        """Keep the newest `count` public executions of a market for `picture`; the most that was ever asked for."""
        each = self._market_of(market)
        most = max(count, each.tape.maxlen or 0 if each.tape is not None else 0)
        if most > 0:
            each.tape = deque(each.tape or (), maxlen=most)

    def picture(self, market: int, *, levels: int, trades: int) -> MarketPicture | None:
        """Return a market for those who look now and then; None while its book cannot be looked at."""
        return market_picture(self._market_of(market), levels=levels, trades=trades)

    def last_look(self, market: int) -> tuple[MarketView | None, Inventory | None]:
        """Return what the stages saw in the last decision of a market."""
        each = self._market_of(market)
        return each.last_view, each.last_inventory

    def book_age(self, market: int) -> tuple[int, int]:
        """Return when the newest message of a market's book was received, and how often the book was lost so far."""
        each = self._market_of(market)
        return each.last_book_ns, each.book_losses

    def mark_half_ticks(self, market: int) -> int:
        """Return best bid + best ask of a market in ticks; 0 before the first."""
        return self._markets[market].ledger.mark_half_ticks

    def take_records(self) -> list[QuoteDecision]:
        """Return the decisions recorded since the last call."""
        records, self._records = self._records, []
        return records

    def take_limits(self) -> list[LimitRecord]:
        """Return which limits began and ended to bind since the last call."""
        records = self._limit_records[:]
        # The same list stays: every market's log writes to it.
        self._limit_records.clear()
        return records

    def tell_open_limits(self, now_ns: int) -> None:
        """Put on record once more what still binds, as the run ends."""
        for limits in (self._limits, *(market.limits for market in self._markets)):
            limits.tell_open(now_ns)

    def decision_hash(self) -> str:
        """Return SHA-256 over every decision, approved action and fill so far."""
        return self._hash.hexdigest()

    def unresolved_ids(self, market: int = ALL_MARKETS) -> tuple[str, ...]:
        """Return the client ids of all orders that are not final, or of those in one market."""
        markets = self._markets if market == ALL_MARKETS else (self._market_of(market),)
        return tuple(client_id for each in markets for client_id in each.tracker.live)

    def is_stopped_by_operator(self, market: int = ALL_MARKETS) -> bool:
        """Tell whether a pause or a kill of the strategy, or of one market, is in force."""
        if market == ALL_MARKETS:
            return self.is_paused or self.is_killed
        each = self._market_of(market)
        return each.is_paused or each.is_killed

    def has_halt(self, market: int = ALL_MARKETS) -> bool:
        """Tell whether a resume of the strategy, or of one market, would release a halt besides the operator's own."""
        if market == ALL_MARKETS:
            return self.is_halted or any(each.halt_reason and not each.is_killed for each in self._markets)
        each = self._market_of(market)
        return bool(self._gate.halt_reason or (each.halt_reason and not each.is_killed))

    def state(self) -> EngineState:
        """Return what must outlive the process besides orders and fills."""
        first = self._markets[0].instrument.quote
        day_starts = {quote: group.day_start_quote for quote, group in self._groups.items()}
        halts = tuple(market.halt_reason for market in self._markets)
        return EngineState(
            last_sequence=self._sequence,
            day=max(self._day, 0),
            day_start_pnl_quote=day_starts.pop(first),
            halt_reason=self._gate.halt_reason,
            is_killed=self.is_killed,
            is_paused=self.is_paused,
            market_halts=halts if any(halts) else (),
            paused_markets=tuple(market.index for market in self._markets if market.is_paused),
            killed_markets=tuple(market.index for market in self._markets if market.is_killed),
            other_day_start_pnl_quote=day_starts,
            peaks_pnl_quote={quote: group.peaks for quote, group in self._groups.items()},
            risk_states={name: tuple(values) for name, values in self._kept_states.items()},
            liquidations=self._desk.states(),
            old_marks=dict(self._old_marks),
        )

    def status(self, now_ns: int, *, started_ns: int, mode: str) -> RunStatus:
        """Return the whole state for people."""
        return RunStatus(
            strategy=self.settings.strategy,
            mode=mode,
            now_ns=now_ns,
            started_ns=started_ns,
            events=self.events,
            decisions=self.decisions,
            markets=tuple(
                market_status(market, is_paused=self.is_paused or market.is_paused) for market in self._markets
            ),
            is_halted=self.is_halted,
            halt_reason=self._halt_text(),
            is_paused=self.is_paused,
        )

    def _halt_text(self) -> str:
        reason = self._gate.halt_reason or "; ".join(m.halt_reason for m in self._markets if m.halt_reason)
        return f"{reason}; positions are being closed" if reason and self.is_closing else reason

    # Decisions.

    def _decide_market(self, market: EngineMarket, now_ns: int, approved: list[Approved]) -> None:
        self.decisions += 1
        market.last_decision_ns = now_ns
        market.due_ns = now_ns + self.settings.max_quote_age_ns
        market.needs_pull = False
        reason = self._no_quote_reason(market, now_ns)
        if market.stale_after_ns and market.book_state is _SYNCED and market.stale_deadline_ns > now_ns:
            # Behind it nothing is due: where another reason comes first, the book is not even looked at.
            market.due_ns = min(market.due_ns, market.stale_deadline_ns)
        market.gate.view.is_tradable = not reason
        market.gate.view.refusal = Reason(reason).name.lower() if reason else ""
        market.gate.view.mid_half_ticks = market.ledger.mark_half_ticks
        if self.records_decisions:
            market.pipeline.start_trace()
        faults_before = self.faults
        if reason == _LIQUIDATING and not self._reason_besides_closing(market, now_ns):
            # What closes without a halt may wait for long: meanwhile losses are judged as ever, and may halt.
            self._targets(market, now_ns)
        targets = Targets.none(reason) if reason else self._targets(market, now_ns)
        actions, kept, rejections = self._act(market, targets, now_ns, approved)
        if market.limits.has_bound:
            market.limits.expire(now_ns)
        if market.limits.has_news:
            market.limits.has_news = False
            self.state_revision += bool(self._kept_states)
        if targets is not None:
            market.bid_reason, market.ask_reason = targets.bid_reason, targets.ask_reason
            market.risk_level = targets.level
            self._hash.update(
                self._encode((now_ns, market.index, targets.bids, targets.asks, targets.bid_reason, targets.ask_reason))
            )
        if self.records_decisions:
            self._records.append(
                decision_record(
                    market,
                    sequence=self.decisions,
                    now_ns=now_ns,
                    targets=targets,
                    actions=actions,
                    kept=kept,
                    rejections=rejections,
                    fault=self.fault_notes[-1] if self.faults > faults_before else "",
                )
            )

    def _targets(self, market: EngineMarket, now_ns: int) -> Targets | None:
        """Return the targets; None when a fault makes us leave the orders as they are."""
        # First, so that no fault of a stage keeps the loss of the day from being judged.
        group = self._groups[market.instrument.quote]
        group.update()
        if group.wants_saving(now_ns):
            self.state_revision += 1
        is_beyond = self._max_daily_loss is not None and -group.day_pnl_quote >= self._max_daily_loss
        if is_beyond and not market.pipeline.can_liquidate:
            return self._beyond_daily_loss(market, now_ns)
        try:
            view = market.view(now_ns)
            inventory = market.inventory(group)
            advice = market.advice_at(now_ns)
            if advice is not NEUTRAL_ADVICE:
                market.due_ns = min(market.due_ns, int(advice.valid_until_ns) + 1)
            targets = market.pipeline.targets(view, inventory, advice, market.touch)
        except Exception as error:  # noqa: BLE001 - a signal may raise anything; it is recorded and budgeted
            fault = error
            if not isinstance(fault, StageFault):
                fault = StageFault("signals", StageKind.ENGINE, f"{type(error).__name__}: {error}")
            left = self._on_stage_fault(market, fault, now_ns)
            return self._beyond_daily_loss(market, now_ns) if is_beyond else left
        if is_beyond:
            # One that closes positions is heard first: after the halt nobody would be asked any more.
            self._heed_liquidation(market, targets, now_ns)
            return self._beyond_daily_loss(market, now_ns)
        market.consecutive_faults = 0
        self._heed_liquidation(market, targets, now_ns)
        if targets.halt_scope is not None:
            reason = self._control_text(market, targets.halt_stage, targets.halt_code)
            self._halt(market if targets.halt_scope is Scope.MARKET else None, reason, now_ns)
        return targets

    def _beyond_daily_loss(self, market: EngineMarket, now_ns: int) -> Targets:
        loss = -self._groups[market.instrument.quote].day_pnl_quote
        self._halt(None, f"daily loss {loss:.2f} {market.instrument.quote}, limit {self._max_daily_loss:g}", now_ns)
        return Targets.none(Reason.DAILY_LOSS)

    def _control_text(self, market: EngineMarket, stage: str, code: int) -> str:
        """Return which risk control bit and why, in its own words."""
        return f"risk control {stage!r}: {self._controls[market.index][stage].reasons.get(code) or _reason_text(code)}"

    def _heed_liquidation(self, market: EngineMarket, targets: Targets, now_ns: int) -> None:
        """Start to close positions when a risk control asks for it."""
        if not targets.liquidates:
            return
        terms = self._controls[market.index][targets.liquidates].liquidation
        if terms is not None:
            reason = self._control_text(market, targets.liquidates, targets.liquidation_code)
            self._begin_liquidation(terms, targets.liquidates, reason, market.index, now_ns)

    def _on_stage_fault(self, market: EngineMarket, fault: StageFault, now_ns: int) -> Targets | None:
        """Contain a fault: a risk control's is a HALT of its scope, others are skip, pull, HALT by the budget."""
        if fault.kind is StageKind.RISK:
            self.faults += 1
            self.fault_notes.append(str(fault))
            self._halt(market if fault.scope is Scope.MARKET else None, str(fault), now_ns)
            return Targets.none(Reason.STRATEGY_ERROR)
        self._fault(str(fault), market, now_ns)
        if self._gate.halt_reason or market.consecutive_faults >= self.settings.faults.pull_after:
            return Targets.none(Reason.STRATEGY_ERROR)
        return None

    def _act(
        self, market: EngineMarket, targets: Targets | None, now_ns: int, approved: list[Approved]
    ) -> tuple[list[Action], list[str], list[GateRejection]]:
        if targets is None:
            return [], [], []
        if not (targets.bids or targets.asks or market.tracker.live):
            market.is_pulling = False
            return [], [], []
        settled = (market.tracker.revision, targets.bids, targets.asks, targets.is_bid_limited, targets.is_ask_limited)
        if settled == market.settled and not self.records_decisions:
            return [], [], []
        buys, sells, is_buy_blocked, is_sell_blocked = market.tracker.sides()
        bids = [] if is_buy_blocked else targets.bids
        asks = [] if is_sell_blocked else targets.asks
        actions, kept = market.reconciler.side_actions(_BUY, bids, buys, is_limited=targets.is_bid_limited)
        ask_actions, kept_asks = market.reconciler.side_actions(_SELL, asks, sells, is_limited=targets.is_ask_limited)
        market.is_pulling = (not bids and any(order.may_yet_rest for order in buys)) or (
            not asks and any(order.may_yet_rest for order in sells)
        )
        if not (actions or ask_actions):
            market.settled = settled
            return [], kept + kept_asks, []
        actions.extend(ask_actions)
        if len(actions) > 1:
            actions.sort(key=_action_rank)
        rejections: list[GateRejection] = []
        sent: list[Action] = []
        for action in actions:
            result = self._checked(market, action, now_ns, rejections)
            if result is not None:
                self._send(market, result, now_ns, approved)
                sent.append(result.action)
        return sent, kept + kept_asks, rejections

    def _checked(
        self, market: EngineMarket, action: Action, now_ns: int, rejections: list[GateRejection]
    ) -> Approved | None:
        """Return what may go out for an action: itself, a cancel in its place, or nothing."""
        if isinstance(action, Cancel) and self._is_cancelled_too_often(market, action, now_ns):
            return None
        result = self._gate.check(action, now_ns)
        if isinstance(result, GateRejection):
            rejections.append(result)
            self.last_rejections.append(result)
            market.limits.note(f"gate {result.limit}", _SHRINK, 0, now_ns, detail=result.detail)
            if not _must_go_instead(market, result):
                return None
            result = self._gate.check(Cancel(market.index, action.client_id), now_ns)  # type: ignore[union-attr]
        return result if isinstance(result, Approved) else None

    @staticmethod
    def _is_cancelled_too_often(market: EngineMarket, action: Cancel, now_ns: int) -> bool:
        """Tell whether to wait with another cancel of an order whose cancels are refused, and decide again in time."""
        again_ns = market.tracker.live[action.client_id].cancel_again_ns
        if now_ns >= again_ns:
            return False
        market.due_ns = min(market.due_ns, again_ns)
        return True

    def _send(self, market: EngineMarket, approved: Approved, now_ns: int, out: list[Approved]) -> None:
        action = approved.action
        tracker = market.tracker
        if isinstance(action, Submit):
            tracker.on_submit(action, now_ns)
            market.orders_sent += 1
        elif isinstance(action, Amend):
            tracker.on_amend(action, now_ns)
        elif isinstance(action, Replace):
            tracker.on_replace(action, now_ns)
            market.orders_sent += 1
        elif isinstance(action, Cancel):
            tracker.on_cancel(action, now_ns)
        market.requests_sent += isinstance(action, _ABOUT_ORDERS)
        self._hash.update(action_bytes(action))
        out.append(approved)

    def _cancel_all(self, market: EngineMarket, reason: str, now_ns: int, approved: list[Approved]) -> None:
        if not market.tracker.live:
            return
        result = self._gate.check(CancelAll(market.index, reason), now_ns)
        if isinstance(result, Approved):
            self._send(market, result, now_ns, approved)
            market.tracker.on_cancel_all(now_ns)

    def _resolve(self, market: EngineMarket, now_ns: int, approved: list[Approved]) -> None:
        """Ask for orders whose outcome is unknown, and remove those that should not be there."""
        due = market.tracker.expire(now_ns)
        actions: list[Action] = [QueryOrder(market.index, order.client_id) for order in due]
        problem = market.truth.position_problem(now_ns)
        if problem:
            self._halt(market, problem, now_ns)
            market.due_ns = now_ns
        if market.truth.wants_report(now_ns):
            actions.append(QueryOpenOrders(market.index))
        strays, market.tracker.stray_ids = market.tracker.stray_ids, []
        actions.extend(Cancel(market.index, client_id) for client_id in strays)
        for action in actions:
            result = self._gate.check(action, now_ns)
            if isinstance(result, Approved):
                self._send(market, result, now_ns, approved)
        if any(order.state is _UNKNOWN for order in market.tracker):
            market.due_ns = min(market.due_ns, now_ns)

    # Closing positions.

    def _begin_liquidation(
        self, terms: LiquidationTerms, source: str, reason: str, market_index: int, now_ns: int
    ) -> None:
        """Pull the quotes of what is to be closed, halt it if the terms say so, and have its positions closed."""
        has_begun = self._desk.begin(terms, source=source, reason=reason, market=market_index, now_ns=now_ns)
        if terms.is_latched:
            is_all = terms.scope is Scope.STRATEGY or market_index == ALL_MARKETS
            self._halt(None if is_all else self._market_of(market_index), reason, now_ns)
        else:
            self._settle_halt()
        for index in self._desk.markets if has_begun else ():
            other = self._markets[index]
            other.due_ns = min(other.due_ns, now_ns)

    def _liquidate(self, now_ns: int, approved: list[Approved]) -> None:
        """Send the slices that are due, and end what is done or has taken too long."""
        desk = self._desk
        desk.note_restored(now_ns)
        hold = self._hold_reason()
        for liquidation in list(desk.active):
            found = desk.next_slice(liquidation, now_ns, hold=hold, blocked=self._blocked_markets(liquidation))
            if found is not None:
                self._send_slice(liquidation, found, now_ns, approved)
            elif not self.is_stopping and self._is_compared(liquidation) and desk.is_done(liquidation):
                self._end_liquidation(liquidation, "done", now_ns)
            elif not self.is_stopping and now_ns >= liquidation.deadline_ns:
                self._end_liquidation(liquidation, f"given up while it waits for: {liquidation.waits_for}", now_ns)
        if self._desk_revision != desk.revision:
            self._desk_revision = desk.revision
            self.state_revision += 1
            self._settle_halt()
        desk.reschedule()

    def _hold_reason(self) -> str:
        """Return why no slice may be sent anywhere; empty when it may."""
        if self.is_stopping:
            return "the run is ending"
        if self.is_paused:
            return "paused by the operator"
        return "" if self._is_venue_up else "the venue is down"

    def _is_compared(self, liquidation: Liquidation) -> bool:
        """Tell whether the positions that we count are those at the venue: only then is flat flat."""
        truths = [self._markets[index].truth for index in liquidation.markets]
        return self._is_venue_up and all(truth.is_ready and truth.is_position_agreed for truth in truths)

    def _blocked_markets(self, liquidation: Liquidation) -> dict[int, str]:
        """Return why markets of a liquidation cannot be traded, apart from their orders and books."""
        blocked = {}
        for index in liquidation.markets:
            market = self._markets[index]
            if market.is_paused:
                blocked[index] = "paused by the operator"
            elif not market.truth.is_ready:
                blocked[index] = "orders and position at the venue are not compared yet"
            elif not market.truth.is_position_agreed:
                blocked[index] = "the venue's position is not what our fills say"
        return blocked

    def _send_slice(self, liquidation: Liquidation, found: Slice, now_ns: int, approved: list[Approved]) -> None:
        market = self._markets[found.market]
        action = Submit(
            market.index,
            self._next_client_id(),
            found.side,
            found.price_ticks,
            found.size_lots,
            TimeInForce.IOC,
            is_post_only=False,
            is_reduce_only=True,
        )
        view, touch = market.gate.view, market.touch
        view.is_tradable, view.mid_half_ticks = True, touch.bid_ticks + touch.ask_ticks
        view.close_cap_bps = found.cap_bps
        result = self._gate.check(action, now_ns)
        view.is_tradable, view.close_cap_bps = False, None
        if isinstance(result, GateRejection):
            self.last_rejections.append(result)
            self._desk.on_refused(liquidation, result.limit, now_ns)
            market.due_ns = min(market.due_ns, now_ns + self._requote_interval_ns)
            return
        self._send(market, result, now_ns, approved)
        self._desk.on_slice(liquidation, found, now_ns)

    def _end_liquidation(self, liquidation: Liquidation, why: str, now_ns: int) -> None:
        summary = self._desk.end(liquidation, why, now_ns)
        for index in liquidation.markets:
            market = self._markets[index]
            market.due_ns = min(market.due_ns, now_ns)
            if market.halt_reason and liquidation.terms.is_latched:
                market.halt_reason = f"{market.halt_reason}; liquidation {summary}"
        if self._gate.halt_reason and liquidation.terms.is_latched:
            self._gate.halt_reason = f"{self._gate.halt_reason}; liquidation {summary}"

    def _no_quote_reason(self, market: EngineMarket, now_ns: int) -> int:
        """Return why this market must not be quoted now; 0 when it may."""
        if market.index in self._desk.markets and not self.is_killed:
            return _LIQUIDATING
        return self._reason_besides_closing(market, now_ns)

    def _reason_besides_closing(self, market: EngineMarket, now_ns: int) -> int:
        """Return the same where no position is being closed."""
        if self._gate.halt_reason or market.halt_reason or self.is_killed:
            return int(Reason.HALTED)
        if self.is_paused or self.is_stopping or market.is_paused:
            return int(Reason.PAUSED)
        if not self._is_venue_up:
            return int(Reason.VENUE_DOWN)
        if not market.truth.is_ready:
            return int(Reason.NOT_COMPARED)
        reason = market.book_reason(now_ns)
        return reason if reason or self._groups[market.instrument.quote].is_valued else int(Reason.NOT_VALUED)

    # State changes.

    def _on_update(self, update: OrderUpdate) -> OrderState | None:
        market = self._market_of(update.market)
        state = market.tracker.on_update(update, update.receive_ns)
        if state is None and self._is_live and update.status is OrderStatus.OPEN:
            market.truth.on_unknown_order(update.client_id, update.receive_ns)
            self._heed_rival(market, update.receive_ns)
        self._make_due(update.market, update.receive_ns)
        return state

    def _heed_rival(self, market: EngineMarket, now_ns: int) -> None:
        """Halt when another process turns out to trade this strategy too."""
        if market.truth.rival_id and not self._gate.halt_reason:
            text = f"order {market.truth.rival_id} of another run of this strategy appeared while this one was trading"
            self._halt(None, f"{text}: two processes trade on one account under this name", now_ns)

    def _on_fill(self, fill: Fill) -> OrderState | None:
        market = self._market_of(fill.market)
        mid = market.ledger.mark_half_ticks or 2 * fill.price_ticks
        if not market.ledger.apply(fill, mid):
            return None
        self._hash.update(self._encode((fill.market, fill.venue_trade_id, fill.price_ticks, fill.size_lots, fill.side)))
        self._make_due(fill.market, fill.receive_ns)
        market.truth.compare_position(fill.receive_ns)
        if market.fill_listeners:
            self._tell_fill(market, fill, mid)
        order = market.tracker.on_fill(fill)
        return None if order is None else order.state

    def _tell_fill(self, market: EngineMarket, fill: Fill, mid_half_ticks: int) -> None:
        """Let the stages that learn from fills see one; what they raise is contained as in a decision."""
        instrument = market.instrument
        tick = FillTick(
            now_ns=fill.receive_ns,
            price=fill.price_ticks * instrument.tick,
            size=fill.size_lots * instrument.lot,
            side=1.0 if fill.side == _BUY else -1.0,
            mid=mid_half_ticks * instrument.tick * 0.5,
            is_maker=1.0 if fill.is_maker else 0.0,
        )
        for name, kind, scope, on_fill in market.fill_listeners:
            try:
                on_fill(tick)
            except Exception as error:  # noqa: BLE001 - a stage may raise anything; it is recorded and budgeted
                detail = f"on a fill: {type(error).__name__}: {error}"
                self._on_stage_fault(market, StageFault(name, kind, detail, scope), fill.receive_ns)

    def _on_balance(self, balance: BalanceUpdate) -> None:
        self.balances[balance.asset] = balance
        total = float(balance.free + balance.locked)
        for market in self._markets:
            if market.instrument.quote == balance.asset:
                market.quote_balance = total
            elif market.instrument.base == balance.asset and not self._has_positions:
                # Where the venue keeps positions, what is sold need not be owned.
                market.base_balance = total

    def _on_command(self, event: OperatorCommand) -> None:
        now_ns = event.receive_ns
        if event.command is Command.KILL:
            market = None if event.market == ALL_MARKETS else self._market_of(event.market)
            if market is None:
                self.is_killed = self._gate.is_killed = True
            else:
                market.is_killed = True
            self._desk.release(event.market, "killed by the operator", now_ns)
            self._halt(market, f"killed: {event.reason or 'by the operator'}", now_ns)
        elif event.command is Command.LIQUIDATE:
            self._on_liquidate(event, now_ns)
        elif event.market == ALL_MARKETS:
            self._on_strategy_command(event.command, now_ns)
        else:
            self._on_market_command(event.command, self._market_of(event.market), now_ns)
        self.state_revision += 1
        self._make_due(ALL_MARKETS, event.receive_ns)

    def _on_liquidate(self, event: OperatorCommand, now_ns: int) -> None:
        """Close positions on a person's word, also what a pause holds up; nothing is sent once it is killed."""
        is_all = event.market == ALL_MARKETS
        markets = self._markets if is_all else (self._market_of(event.market),)
        if self.is_killed or all(market.is_killed for market in markets):
            return
        self.is_paused = False
        for market in markets:
            market.is_paused = False
        terms = operator_terms(named.liquidation for controls in self._controls for named in controls.values())
        terms = msgspec.structs.replace(
            terms, scope=Scope.STRATEGY if is_all else Scope.MARKET, close_to=CloseTo.FLAT, is_latched=True
        )
        reason = f"liquidation asked for by {event.reason or 'the operator'}"
        self._begin_liquidation(terms, "operator", reason, event.market, now_ns)

    def _on_strategy_command(self, command: Command, now_ns: int) -> None:
        if command is Command.PAUSE:
            self.is_paused = True
        elif not self.is_killed:
            self.is_paused = False
            self._gate.halt_reason = ""
            self._desk.release(ALL_MARKETS, "ended by the operator", now_ns)
            self._limits.end(_HALT_STAGE, now_ns)
            self.faults = 0
            for group in self._groups.values():
                group.forget_peaks()
            for market in self._markets:
                # A market that was killed by itself is named to be released.
                if not market.is_killed:
                    self._on_market_command(command, market, now_ns)

    def _on_market_command(self, command: Command, market: EngineMarket, now_ns: int) -> None:
        market.is_paused = command is Command.PAUSE
        if command is Command.RESUME and not self.is_killed:
            market.halt_reason = ""
            market.is_killed = False
            market.limits.end(_HALT_STAGE, now_ns)
            market.consecutive_faults = 0
            if not self._gate.halt_reason:
                self._desk.release(market.index, "ended by the operator", now_ns)
        self._settle_halt()

    def _halt(self, market: EngineMarket | None, reason: str, now_ns: int) -> None:
        """Latch a HALT: of one market, or of the strategy when `market` is None."""
        limits = self._limits if market is None else market.limits
        limits.note(_HALT_STAGE, int(RiskLevel.HALT), int(Reason.HALTED), now_ns, detail=reason, is_latched=True)
        index = ALL_MARKETS if market is None else market.index
        self._desk.release(index, "the market is halted", now_ns, only_unlatched=True)
        if market is None:
            self._gate.halt_reason = self._gate.halt_reason or reason
            for other in self._markets:
                other.due_ns = min(other.due_ns, other.last_decision_ns)
                self.wake_ns = min(self.wake_ns, other.due_ns)
        else:
            market.halt_reason = market.halt_reason or reason
        self.state_revision += 1
        self._settle_halt()

    def _settle_halt(self) -> None:
        self.is_halted = self._has_halted()
        self.is_over = self.is_halted and not self.is_closing

    def _has_halted(self) -> bool:
        return bool(self._gate.halt_reason) or all(market.halt_reason for market in self._markets)

    def _fault(self, detail: str, market: EngineMarket, now_ns: int) -> None:
        self.faults += 1
        market.consecutive_faults += 1
        self.fault_notes.append(detail)
        if self.faults >= self.settings.faults.halt_after:
            self._halt(None, f"{self.faults} strategy faults, last: {detail}", now_ns)

    def _make_due(self, market_index: int, now_ns: int) -> None:
        """Decide as soon as the requote interval allows; at once when quotes may have to be pulled."""
        for market in self._markets if market_index == ALL_MARKETS else (self._market_of(market_index),):
            due_ns = market.last_decision_ns + self._requote_interval_ns
            if market_index == ALL_MARKETS or due_ns < now_ns or market.is_pulling:
                due_ns = now_ns
            market.due_ns = min(market.due_ns, due_ns)
            self.wake_ns = min(self.wake_ns, market.due_ns, market.tracker.deadline_ns, market.truth.wake_ns)

    def _reschedule(self) -> None:
        wake_ns = NEVER_NS
        for market in self._markets:
            wake_ns = min(wake_ns, market.due_ns, market.tracker.deadline_ns, market.truth.wake_ns)
        is_closing = self._desk.active and not self.is_stopping
        self.wake_ns = min(wake_ns, self._desk.wake_ns) if is_closing else wake_ns

    def _begin_day(self, day: int) -> None:
        self._day = day
        self.state_revision += 1
        for group in self._groups.values():
            group.begin_day()
        self._old_marks = {
            market.index: (market.ledger.position_lots, market.ledger.mark_half_ticks)
            for market in self._markets
            if market.ledger.position_lots and not market.has_touch
        }

    def _renew_marks(self) -> None:
        """Value what was held as the day began by the first book of the day, where there was none yet.

        A run that goes on the next day knows the price of its last fill: what the market did since is not today's.
        """
        for index, (lots, mark_half_ticks) in list(self._old_marks.items()):
            market = self._markets[index]
            if not market.has_touch:
                continue
            del self._old_marks[index]
            instrument = market.instrument
            moved = lots * (market.ledger.mark_half_ticks - mark_half_ticks)
            group = self._groups[instrument.quote]
            group.set_day_start(group.day_start_quote + instrument.tick_size * instrument.lot_size * moved / 2)
            self.state_revision += 1

    def _next_client_id(self) -> str:
        self._sequence += 1
        return f"{self._prefix}{self._sequence}"

    def _market_of(self, index: int) -> EngineMarket:
        if not 0 <= index < len(self._markets):
            msg = f"market: expected an index below {len(self._markets)}, was {index}"
            raise DomainError(msg)
        return self._markets[index]


_NEEDS_ROOM = frozenset({"max_position", "max_position_notional_quote", "max_open_orders"})
"""Limits of the gate that a replace breaks and a cancel followed by a submit does not."""


def _must_go_instead(market: EngineMarket, refused: GateRejection) -> bool:
    """Tell whether an order that the gate did not let us move must be cancelled.

    One that is ahead of its target or larger must not wait until moving is allowed again. A replace that has no room
    for both orders would never be allowed.
    """
    action = refused.action
    if isinstance(action, Amend):
        lots = action.leaves_lots
    elif isinstance(action, Replace):
        lots = action.size_lots
    else:
        return False
    order = market.tracker.live[action.client_id]
    is_ahead = order.price_ticks < action.price_ticks if order.side else order.price_ticks > action.price_ticks
    return is_ahead or order.leaves_lots > lots or (isinstance(action, Replace) and refused.limit in _NEEDS_ROOM)


def _action_rank(action: Action) -> int:
    """Cancels first, then changes, then new orders: exposure falls before it rises."""
    if isinstance(action, Cancel):
        return 0
    return 2 if isinstance(action, Submit) else 1


def _reason_text(reason: int) -> str:
    try:
        return Reason(reason).name.lower().replace("_", " ")
    except ValueError:
        return f"reason {reason}"

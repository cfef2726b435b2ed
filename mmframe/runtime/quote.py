"""One decision of a strategy's own chain, asked for: from given numbers, or at a moment of a recording.

Nothing is computed here. Given numbers go into the engine as a book, a fill, advice and signals that say what they were
told to; a moment is reached by the driver of backtests. What comes out is the record that every decision makes, and is
explained as `mmframe explain` does.
"""

from __future__ import annotations

from decimal import Decimal
from math import ceil, floor
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.domain.market import MarketBatch, MessageKind, Side
from mmframe.domain.orders import BalanceUpdate, Fill
from mmframe.domain.records import AdviceUpdate, LimitRecord, QuoteDecision
from mmframe.domain.views import NEUTRAL_ADVICE, Advice
from mmframe.engine import Engine
from mmframe.engine.settings import NamedSignal
from mmframe.engine.state import EngineState, RestoredFill, RestoredRun
from mmframe.errors import UsageError
from mmframe.runtime.clocks import VirtualClock
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.explain import DecisionSetting, Explanation, OrderExplained, explain_decision
from mmframe.runtime.moments import time_text
from mmframe.runtime.session import Session
from mmframe.runtime.virtual import VirtualDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action, OrderUpdate
    from mmframe.domain.status import WorkingOrder
    from mmframe.domain.views import BookTick, TradeTick
    from mmframe.engine.settings import MarketPipeline
    from mmframe.runtime.driver import RunObserver
    from mmframe.runtime.plan import Plan

__all__ = ["GivenNumbers", "Quote", "quote_at", "quote_from", "recording_start_ns"]

_DAY_NS = 86_400_000_000_000
_REACHED = "duration"
"""What the driver says at the end of the time that it was given."""
_BOTH = (Side.BUY, Side.SELL)
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class Quote(msgspec.Struct, frozen=True):
    """One decision, explained, and what it was made from."""

    source: str
    """`numbers` or `recording`."""
    explanation: Explanation
    missing_signals: tuple[str, ...]
    """Signals of the strategy without a value at that moment."""
    fresh_stages: tuple[str, ...]
    """Stages that remember something and had nothing to remember: the numbers were all that they saw."""
    notes: tuple[str, ...]


@attrs.frozen(kw_only=True)
class GivenNumbers:
    """The moment to quote at, exact on the market's grid.

    Attributes:
        bid_ticks: Best bid, and so on for the touch.
        average_price: Of the position, quote units; None for the mid.
        day_pnl_quote: Profit since midnight UTC, of all markets with the same quote asset.
        signals: By name; NaN is 'not known yet', and so is one left out that reads more than the touch.
        balances: Free amount by asset; none is 'the venue does not tell'.
    """

    now_ns: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int
    position_lots: int = 0
    average_price: Decimal | None = None
    day_pnl_quote: Decimal = Decimal(0)
    signals: Mapping[str, float] = attrs.field(factory=dict)
    advice: Advice = NEUTRAL_ADVICE
    balances: Mapping[str, Decimal] = attrs.field(factory=dict)


def quote_from(plan: Plan, given: GivenNumbers, *, market: int = 0, sides: Sequence[Side] = _BOTH) -> Quote:
    """Return what a strategy quotes at given numbers. The plan is used up: its stages have then seen this moment.

    Args:
        plan: Of a mode whose venue is virtual.
        given: The numbers.
        market: Index of the market; the others have no book and no position.
        sides: What to tell of.
    """
    pipelines = tuple(
        _with_signals(pipeline, given.signals) if index == market else pipeline
        for index, pipeline in enumerate(plan.pipelines)
    )
    if isinstance(plan.clock, VirtualClock):
        plan.clock.advance_to(given.now_ns)
    engine = Engine(plan.settings, pipelines, plan.venue.capabilities, records_decisions=True)
    engine.restore(_held(plan, given, market))
    for asset, amount in given.balances.items():
        engine.handle(BalanceUpdate(asset, amount, Decimal(0), given.now_ns))
    if given.advice != NEUTRAL_ADVICE:
        engine.handle(AdviceUpdate(market, given.advice, given.now_ns, source="given"))
    engine.on_market(_book(given, market), 0)
    engine.decide(given.now_ns)
    (decision,) = (record for record in engine.take_records() if record.market == market)
    setting = _setting(plan, engine, decision, start_ns=given.now_ns, now_ns=given.now_ns)
    explanation = explain_decision(decision, attrs.evolve(setting, working=()), sides=sides)
    return Quote(
        source="numbers",
        explanation=explanation,
        missing_signals=_missing(explanation),
        fresh_stages=_stateful(plan.pipelines[market]),
        notes=(),
    )


def quote_at(
    compose: Callable[[], Plan],
    moment_ns: int,
    *,
    market: int = 0,
    sides: Sequence[Side] = _BOTH,
    observer: RunObserver | None = None,
) -> Quote:
    """Return the decision that was in force at a moment of a recording: the last one at or before it.

    The recording is replayed from its start, as a backtest does it. Decisions are recorded only shortly before the
    moment: a market is decided at least once in `max_quote_age_ms`.

    Args:
        compose: Makes a plan of a backtest; asked for another one when the strategy halted long before the moment.
        moment_ns: Receive time.
        market: Index of the market.
        sides: What to tell of.
        observer: Gets the state now and then.

    Raises:
        UsageError: If the moment is outside of the recording, or nothing was decided before it.
        DataError: If recorded data cannot be read.
    """
    replay = _Replay(compose(), market, observer)
    replay.run(moment_ns)
    notes: tuple[str, ...] = ()
    if replay.ended_because == "halted" and replay.session.now_ns < moment_ns:
        halted_ns = replay.session.now_ns
        notes = (f"the strategy halted at {time_text(halted_ns)}, before the moment asked for, and quoted no more",)
        if replay.found is None:
            # It halted before decisions were recorded, so the way there is gone once more.
            replay = _Replay(compose(), market, observer)
            replay.run(halted_ns)
    found = replay.found
    if found is None:
        start_ns = replay.session.started_ns
        msg = f"no decision at or before {time_text(moment_ns)}"
        raise UsageError(msg, hint=f"the recording begins at {time_text(start_ns)}; ask for a later moment")
    decision, setting = found
    explanation = explain_decision(decision, setting, sides=sides, asked_ns=moment_ns)
    return Quote(
        source="recording",
        explanation=explanation,
        missing_signals=_missing(explanation),
        fresh_stages=(),
        notes=notes,
    )


def recording_start_ns(plan: Plan) -> int:
    """Return the receive time of the first recorded message.

    Raises:
        UsageError: If the plan is not one of a backtest, or nothing is recorded.
        DataError: If recorded data cannot be read.
    """
    if plan.history is not None:
        for batch in plan.history.batches():
            if len(batch):
                return int(batch.receive_ns[0])
    msg = f"{plan.strategy_file}: expected a recording to replay, was none"
    raise UsageError(msg, hint="a [history] table names one")


class _Replay:
    """A backtest that goes to a moment and stands still there."""

    def __init__(self, plan: Plan, market: int, observer: RunObserver | None) -> None:
        self._plan = plan
        self._market = market
        self.found: tuple[QuoteDecision, DecisionSetting] | None = None
        self.ended_because = ""
        self.session = Session(attrs.evolve(plan, sinks=(_Decisions(self._on_decision),)))
        self._driver = VirtualDriver(self.session, speed=None, stop=StopRequest(), observer=observer, limit_ns=None)

    def run(self, moment_ns: int) -> None:
        """Go to the moment, with everything that is due at it."""
        session, driver = self.session, self._driver
        start_ns = recording_start_ns(self._plan)
        if moment_ns < start_ns:
            self._refuse(moment_ns, start_ns)
        # Nothing is decided for longer than this, so the last decision before the moment lies within it.
        recorded_ns = 2 * self._plan.settings.max_quote_age_ns + self._plan.settings.requote_interval_ns
        self.ended_because = _REACHED
        if moment_ns - recorded_ns > start_ns:
            session.engine.records_decisions = False
            self.ended_because = driver.run_until(moment_ns - recorded_ns)
            session.engine.records_decisions = True
        if self.ended_because == _REACHED:
            self.ended_because = driver.run_until(moment_ns)
        if session.failure is not None:
            raise session.failure
        if self.ended_because == "end of data" and session.now_ns < moment_ns:
            self._refuse(moment_ns, start_ns)

    def _refuse(self, moment_ns: int, start_ns: int) -> None:
        end_ns = self.session.now_ns
        until = f" to {time_text(end_ns)}" if end_ns else ""
        msg = f"moment: expected one of the recording, from {time_text(start_ns)}{until}, was {time_text(moment_ns)}"
        raise UsageError(msg)

    def _on_decision(self, decision: QuoteDecision) -> None:
        if decision.market == self._market:
            session = self.session
            setting = _setting(self._plan, session.engine, decision, start_ns=session.started_ns, now_ns=session.now_ns)
            self.found = decision, setting


class _Decisions:
    """A sink that hands on decisions and nothing else."""

    wants_decisions = True

    def __init__(self, take: Callable[[QuoteDecision], None]) -> None:
        self.on_decision = take

    def on_action(self, action: Action, now_ns: int) -> None:
        """Ignore it; the decision names it."""

    def on_order_update(self, update: OrderUpdate) -> None:
        """Ignore it."""

    def on_fill(self, fill: Fill) -> None:
        """Ignore it."""

    def on_advice(self, update: AdviceUpdate) -> None:
        """Ignore it."""

    def on_limit(self, limit: LimitRecord) -> None:
        """Ignore it; the decision tells each stage's level."""

    def close(self) -> None:
        """Have nothing to release."""


class _GivenSignal:
    """A signal that was told its value."""

    on_touch: Callable[[BookTick], None] | None = None
    on_trade: Callable[[TradeTick], None] | None = None

    def __init__(self, value: float) -> None:
        self._value = value

    def read(self, now_ns: int, tick: BookTick) -> float:  # noqa: ARG002 - the port's arguments
        """Return the value that was given."""
        return self._value


def _with_signals(pipeline: MarketPipeline, values: Mapping[str, float]) -> MarketPipeline:
    return attrs.evolve(pipeline, signals=tuple(_given_signal(named, values) for named in pipeline.signals))


def _given_signal(named: NamedSignal, values: Mapping[str, float]) -> NamedSignal:
    """Return the signal with its given value; one that is not given stays when a touch is all that it ever reads."""
    signal = named.signal
    learns = signal.on_touch is not None or signal.on_trade is not None or getattr(signal, "state", True)
    if named.name not in values and not learns:
        return named
    return NamedSignal(named.name, _GivenSignal(values.get(named.name, float("nan"))))


def _held(plan: Plan, given: GivenNumbers, market: int) -> RestoredRun:
    """Return the run that would have led to the position and the day's profit."""
    instrument = plan.instruments[market]
    mid_half_ticks = given.bid_ticks + given.ask_ticks
    fills = tuple(RestoredFill(fill, mid_half_ticks) for fill in _opening_fills(instrument, given, market))
    value = instrument.tick_size * instrument.lot_size
    cost = sum(fill.fill.price_ticks * fill.fill.size_lots for fill in fills)
    sign = 1 if given.position_lots > 0 else -1
    # All that was made so far is what the position has gained since it was opened.
    total = value * (given.position_lots * mid_half_ticks - 2 * sign * cost) / 2
    day_start = total - given.day_pnl_quote
    is_first = instrument.quote == plan.instruments[0].quote
    return RestoredRun(
        state=EngineState(
            day=given.now_ns // _DAY_NS,
            day_start_pnl_quote=day_start if is_first else Decimal(0),
            other_day_start_pnl_quote={} if is_first else {instrument.quote: day_start},
        ),
        orders=(),
        fills=fills,
    )


def _opening_fills(instrument: Instrument, given: GivenNumbers, market: int) -> list[Fill]:
    """Return fills that open the position at its average price, to half a tick of one lot; none when flat."""
    lots = abs(given.position_lots)
    if not lots:
        return []
    half_ticks = given.bid_ticks + given.ask_ticks
    ticks = Decimal(half_ticks) / 2 if given.average_price is None else given.average_price / instrument.tick_size
    below, above = floor(ticks), ceil(ticks)
    lots_above = round((ticks - below) * lots) if above > below else 0
    return [
        Fill(
            market=market,
            client_id="",
            venue_trade_id=f"given-{price_ticks}",
            side=Side.BUY if given.position_lots > 0 else Side.SELL,
            price_ticks=price_ticks,
            size_lots=size_lots,
            is_maker=True,
            fee=Decimal(0),
            fee_asset=instrument.quote,
            exchange_ns=given.now_ns,
            receive_ns=given.now_ns,
        )
        for price_ticks, size_lots in ((below, lots - lots_above), (above, lots_above))
        if size_lots
    ]


def _book(given: GivenNumbers, market: int) -> MarketBatch:
    batch = MarketBatch(market)
    changes = (
        (int(Side.BUY), given.bid_ticks, given.bid_lots),
        (int(Side.SELL), given.ask_ticks, given.ask_lots),
    )
    batch.add(MessageKind.SNAPSHOT, exchange_ns=given.now_ns, receive_ns=given.now_ns, changes=changes)
    batch.validate()
    return batch


def _setting(plan: Plan, engine: Engine, decision: QuoteDecision, *, start_ns: int, now_ns: int) -> DecisionSetting:
    status = engine.status(now_ns, started_ns=start_ns, mode=plan.mode.value)
    working = status.markets[decision.market].working
    sides = {order.client_id: _SIDES[order.side] for order in working}
    return DecisionSetting(
        strategy=plan.name,
        mode=plan.mode.value,
        instrument=plan.instruments[decision.market],
        reasons=plan.reasons,
        start_ns=start_ns,
        working=tuple(_order(order, decision) for order in working),
        side_of=sides.get,
        halt_reason=status.halt_reason,
    )


def _order(order: WorkingOrder, decision: QuoteDecision) -> OrderExplained:
    return OrderExplained(
        client_id=order.client_id,
        side="bid" if order.side == "buy" else "ask",
        state=order.state.replace("_", " "),
        price=order.price,
        leaves=order.leaves,
        is_kept=order.client_id in decision.kept,
    )


def _missing(explanation: Explanation) -> tuple[str, ...]:
    return tuple(name for name, value in explanation.signals.items() if value is None)


def _stateful(pipeline: MarketPipeline) -> tuple[str, ...]:
    """Return the stages that remember: rules with a state, and what is no rule and may hold anything."""
    stages = [(named.name, named.optimizer) for named in pipeline.optimizers]
    stages += [(named.name, named.control) for named in pipeline.risk_controls]  # type: ignore[misc] # any component
    return tuple(name for name, component in stages if getattr(component, "state", True))

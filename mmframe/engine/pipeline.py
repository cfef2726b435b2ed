"""From a view to target orders: optimizers, rounding, ladder, risk controls, the gate's own caps.

Pure of one market: no order, venue or time is known here. A stage that breaks its contract raises `StageFault`; the
engine decides what that leads to.
"""

from __future__ import annotations

from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, NamedTuple

from mmframe.domain.kinds import Scope
from mmframe.domain.market import Side
from mmframe.domain.records import StageKind, StageRecord
from mmframe.domain.views import NO_QUOTE, QuoteProposal, Reason, RiskLevel, RiskVerdict

if TYPE_CHECKING:
    from mmframe.domain.market import Touch
    from mmframe.domain.views import Advice, Inventory, MarketView
    from mmframe.engine.gate import MarketGate
    from mmframe.engine.limits import LimitLog
    from mmframe.engine.settings import MarketPipeline, MarketSettings, NamedRiskControl

__all__ = ["Pipeline", "StageFault", "Targets"]

_GRID_TOLERANCE = 1e-6
"""Share of a tick or lot that binary floats may be off by: 1.215 / 0.001 is 1214.9999999999998."""

# Bound once: in Python 3.11 looking up an enum member costs ten times a module name, and these are on the hot path.
_BUY = Side.BUY
_SELL = Side.SELL
_POST_ONLY = int(Reason.POST_ONLY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_ONE_SIDED = int(Reason.ONE_SIDED)
_STRATEGY = Scope.STRATEGY
_SHRINK = int(RiskLevel.SHRINK)
_CANCEL_ONLY = int(RiskLevel.CANCEL_ONLY)
_HALT = int(RiskLevel.HALT)
_LIQUIDATE = int(RiskLevel.LIQUIDATE)
_POSITION_LIMIT = int(Reason.POSITION_LIMIT)

_new = tuple.__new__
"""Builds a NamedTuple without its Python-level constructor, which costs three times as much on this path."""

_Levels = list[tuple[int, int]]
"""`(ticks, lots)` from best to worst."""


class StageFault(Exception):
    """A stage raised or broke its contract; never leaves the engine.

    Attributes:
        stage: The stage's name.
        kind: Optimizer or risk control.
        scope: Of a risk control: what its HALT stops.
    """

    def __init__(self, stage: str, kind: StageKind, detail: str, scope: Scope = Scope.MARKET) -> None:
        super().__init__(f"{kind.value} {stage!r}: {detail}")
        self.stage = stage
        self.kind = kind
        self.scope = scope


class Targets(NamedTuple):
    """The orders that should rest, or why none should."""

    bids: _Levels
    asks: _Levels
    bid_reason: int
    ask_reason: int
    is_bid_limited: bool
    """A limit bound: no live order above the target's size may be kept."""
    is_ask_limited: bool
    level: int = 0
    halt_scope: Scope | None = None
    halt_stage: str = ""
    halt_code: int = 0
    """Why `halt_stage` halts: its own code."""
    liquidates: str = ""
    """The risk control that asks for positions to be closed; the engine knows its terms."""
    liquidation_code: int = 0

    @classmethod
    def none(cls, reason: int) -> Targets:
        """Return 'no quotes' for one reason."""
        return cls([], [], reason, reason, is_bid_limited=False, is_ask_limited=False)


class _Asked(NamedTuple):
    """What of a chain of risk controls goes beyond the quotes; the last fields of `Targets`."""

    scope: Scope | None = None
    stage: str = ""
    code: int = 0
    liquidates: str = ""
    liquidation_code: int = 0


_NOTHING_ASKED = _Asked()


class _Trace:
    """Collects what each stage made, when a sink asks for decisions."""

    __slots__ = ("stages",)

    def __init__(self) -> None:
        self.stages: list[StageRecord] = []

    def add(  # noqa: PLR0913 - the fields of a record
        self,
        kind: StageKind,
        name: str,
        quotes: QuoteProposal,
        *,
        level: int = 0,
        note: str = "",
        bounds: tuple[str, str] = ("", ""),
    ) -> None:
        self.stages.append(
            StageRecord(
                kind=kind,
                name=name,
                bid=_shown(quotes.bid),
                bid_size=quotes.bid_size,
                ask=_shown(quotes.ask),
                ask_size=quotes.ask_size,
                bid_reason=quotes.bid_reason,
                ask_reason=quotes.ask_reason,
                level=level,
                note=note,
                bid_bound=bounds[0],
                ask_bound=bounds[1],
            )
        )


class Pipeline:
    """One market's stages, bound once so that a decision only calls.

    Attributes:
        can_liquidate: A risk control may ask for the position to be closed, quotes or none.
    """

    __slots__ = (
        "_gate",
        "_ladder",
        "_limits",
        "_lot",
        "_min_lots",
        "_min_notional_tick_lots",
        "_optimizers",
        "_price_bound",
        "_risk_controls",
        "_rungs",
        "_size_bound",
        "_tick",
        "can_liquidate",
        "trace",
    )

    def __init__(
        self, settings: MarketSettings, components: MarketPipeline, gate: MarketGate, limits: LimitLog
    ) -> None:
        instrument = settings.instrument
        self._tick = instrument.tick
        self._lot = instrument.lot
        self._min_lots = instrument.min_size_lots
        value = instrument.tick_size * instrument.lot_size
        self._min_notional_tick_lots = ceil(instrument.min_notional_quote / value)
        self._price_bound = _EXACT_COUNT * instrument.tick
        self._size_bound = _EXACT_COUNT * instrument.lot
        self._ladder = settings.ladder
        self._rungs = settings.ladder.rungs
        self._optimizers = tuple((named.name, named.optimizer.propose) for named in components.optimizers)
        self._risk_controls = tuple((named, named.control.assess) for named in components.risk_controls)
        self.can_liquidate = any(named.liquidation is not None for named in components.risk_controls)
        self._gate = gate
        self._limits = limits
        self.trace: _Trace | None = None

    def start_trace(self) -> None:
        """Record the stages of the next `targets` call."""
        self.trace = _Trace()

    def take_trace(self) -> tuple[StageRecord, ...]:
        """Return what was recorded and stop recording."""
        trace, self.trace = self.trace, None
        return () if trace is None else tuple(trace.stages)

    def targets(self, view: MarketView, inventory: Inventory, advice: Advice, touch: Touch) -> Targets:
        """Return the orders that should rest now.

        Raises:
            StageFault: If a stage raised, or returned what its port does not allow.
        """
        proposal = self._propose(view, inventory, advice)
        bids, asks, bid_reason, ask_reason = self._on_grid(proposal, touch)
        if self.trace is not None:
            self._trace_grid(self.trace, bids, asks, bid_reason, ask_reason)
        level, asked = 0, _NOTHING_ASKED
        asked_bids, asked_asks = bids, asks
        if self._risk_controls and (bids or asks or self.can_liquidate):
            # A position is closed whether or not there is something to quote.
            bids, asks, bid_reason, ask_reason, level, asked = self._assess(
                view, inventory, advice, bids, asks, bid_reason, ask_reason
            )
        if self._gate.has_caps:
            before_bids, before_asks = bids, asks
            bids = self._capped(bids, _BUY)
            asks = self._capped(asks, _SELL)
            if before_bids and not bids:
                bid_reason = _POSITION_LIMIT
            if before_asks and not asks:
                ask_reason = _POSITION_LIMIT
            if bids is not before_bids or asks is not before_asks:
                self._limits.note("gate", _SHRINK if bids or asks else _CANCEL_ONLY, _POSITION_LIMIT, view.now_ns)
                if self.trace is not None:
                    self.trace.add(
                        StageKind.ENGINE,
                        "gate limits",
                        self._quotes(bids, asks, bid_reason, ask_reason),
                        bounds=(
                            self._gate.bound_text(_BUY, before_bids) if bids is not before_bids else "",
                            self._gate.bound_text(_SELL, before_asks) if asks is not before_asks else "",
                        ),
                    )
        # A stage that changes nothing hands on the very same list.
        targets: Targets = _new(
            Targets,
            (bids, asks, bid_reason, ask_reason, bids is not asked_bids, asks is not asked_asks, level, *asked),
        )
        return targets

    def _propose(self, view: MarketView, inventory: Inventory, advice: Advice) -> QuoteProposal:
        proposal = NO_QUOTE
        price_bound, size_bound = self._price_bound, self._size_bound
        for name, propose in self._optimizers:
            try:
                proposal = propose(view, inventory, advice, proposal)
                if type(proposal) is not QuoteProposal:
                    raise StageFault(name, StageKind.OPTIMIZER, f"expected a QuoteProposal, was {proposal!r}")
                bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
                # The comparisons are false for NaN, so that it fails here too.
                if (bid_size and not (0.0 < bid < price_bound and 0.0 < bid_size < size_bound)) or (
                    ask_size and not (0.0 < ask < price_bound and 0.0 < ask_size < size_bound)
                ):
                    raise StageFault(
                        name, StageKind.OPTIMIZER, f"expected finite prices and sizes above 0, was {proposal!r}"
                    )
                if bid_size and ask_size and bid >= ask:
                    raise StageFault(name, StageKind.OPTIMIZER, f"expected bid < ask, was {bid!r} >= {ask!r}")
                if type(bid_reason) is not int or type(ask_reason) is not int:
                    proposal = QuoteProposal(bid, bid_size, ask, ask_size, int(bid_reason), int(ask_reason))
            except StageFault:
                raise
            except Exception as error:
                raise StageFault(name, StageKind.OPTIMIZER, f"{type(error).__name__}: {error}") from error
            if self.trace is not None:
                self.trace.add(StageKind.OPTIMIZER, name, proposal)
        return proposal

    def _on_grid(self, proposal: QuoteProposal, touch: Touch) -> tuple[_Levels, _Levels, int, int]:
        """Round bids down and asks up, keep them off the touch, and build the ladder."""
        bids: _Levels = []
        asks: _Levels = []
        bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
        if bid_size:
            ticks = floor(bid / self._tick + _GRID_TOLERANCE)
            if ticks >= touch.ask_ticks:
                ticks, bid_reason = touch.ask_ticks - 1, _POST_ONLY
            bids = self._levels(ticks, bid_size, -1)
            if not bids:
                bid_reason = _BELOW_MINIMUM
        elif not bid_reason:
            bid_reason = _ONE_SIDED
        if ask_size:
            ticks = ceil(ask / self._tick - _GRID_TOLERANCE)
            if ticks <= touch.bid_ticks:
                ticks, ask_reason = touch.bid_ticks + 1, _POST_ONLY
            if bids and ticks <= bids[0][0]:
                # Two prices within the tolerance of one tick: both rounded onto it.
                ticks = bids[0][0] + 1
            asks = self._levels(ticks, ask_size, 1)
            if not asks:
                ask_reason = _BELOW_MINIMUM
        elif not ask_reason:
            ask_reason = _ONE_SIDED
        return bids, asks, bid_reason, ask_reason

    def _levels(self, best_ticks: int, size: float, direction: int) -> _Levels:
        ladder = self._ladder
        lots = floor(size / self._lot + _GRID_TOLERANCE)
        if ladder.levels == 1:
            is_placeable = (
                lots >= self._min_lots and best_ticks * lots >= self._min_notional_tick_lots and best_ticks > 0
            )
            return [(best_ticks, lots)] if is_placeable else []
        step = max(1, round(best_ticks * ladder.step_bps / 10_000.0))
        levels: _Levels = []
        for steps, share in self._rungs:
            ticks = best_ticks + direction * int(step * steps + 0.5)
            level_lots = floor(lots * share + _GRID_TOLERANCE)
            if self._is_placeable(ticks, level_lots):
                levels.append((ticks, level_lots))
        return levels

    def _is_placeable(self, ticks: int, lots: int) -> bool:
        return lots >= self._min_lots and ticks > 0 and ticks * lots >= self._min_notional_tick_lots

    def _assess(  # noqa: C901, PLR0913, PLR0917 - the chain's state, passed flat to keep the hot path free of objects
        self,
        view: MarketView,
        inventory: Inventory,
        advice: Advice,
        bids: _Levels,
        asks: _Levels,
        bid_reason: int,
        ask_reason: int,
    ) -> tuple[_Levels, _Levels, int, int, int, _Asked]:
        strongest, asked = 0, _NOTHING_ASKED
        quotes = self._quotes(bids, asks, bid_reason, ask_reason)
        for named, assess in self._risk_controls:
            try:
                verdict = assess(view, inventory, advice, quotes)
                if type(verdict) is not RiskVerdict:
                    raise StageFault(
                        named.name, StageKind.RISK, f"expected a RiskVerdict, was {verdict!r}", named.scope
                    )
                level, bid, bid_size, ask, ask_size, reason = verdict
                is_same = level == 0 and (bid, bid_size, ask, ask_size) == quotes[:4]
                if not is_same:
                    bids, asks = self._tightened(named, quotes, verdict, bids, asks)
                    if not bids and quotes.bid_size:
                        bid_reason = int(reason)
                    if not asks and quotes.ask_size:
                        ask_reason = int(reason)
                    strongest = max(strongest, int(level))
                    if level >= _HALT:
                        asked = _stronger(asked, named, int(level), int(reason))
                    quotes = self._quotes(bids, asks, bid_reason, ask_reason)
                    if level:
                        self._limits.note(named.name, int(level), int(reason), view.now_ns)
            except StageFault as fault:
                fault.scope = _wider(asked.scope, fault.scope)
                raise
            except Exception as error:
                detail = f"{type(error).__name__}: {error}"
                raise StageFault(named.name, StageKind.RISK, detail, _wider(asked.scope, named.scope)) from error
            if self.trace is not None:
                self.trace.add(
                    StageKind.RISK, named.name, quotes, level=int(level), note=_reason_note(int(reason), is_same)
                )
        return bids, asks, bid_reason, ask_reason, strongest, asked

    def _tightened(
        self, named: NamedRiskControl, quotes: QuoteProposal, verdict: RiskVerdict, bids: _Levels, asks: _Levels
    ) -> tuple[_Levels, _Levels]:
        if not 0 <= verdict.level <= _LIQUIDATE:
            raise StageFault(named.name, StageKind.RISK, f"expected a RiskLevel, was {verdict.level!r}", named.scope)
        if verdict.level == _LIQUIDATE and named.liquidation is None:
            raise StageFault(
                named.name, StageKind.RISK, "asked for a liquidation, and its spec has no terms for one", named.scope
            )
        if verdict.level >= RiskLevel.CANCEL_ONLY:
            return [], []
        return (
            self._side_tightened(named, quotes.bid, verdict.bid, verdict.bid_size, bids, -1),
            self._side_tightened(named, quotes.ask, verdict.ask, verdict.ask_size, asks, 1),
        )

    def _side_tightened(  # noqa: PLR0913, PLR0917 - one side's before and after
        self, named: NamedRiskControl, was_price: float, price: float, size: float, levels: _Levels, away: int
    ) -> _Levels:
        """Apply a verdict to one side; anything looser than before is a fault of the control."""
        if not levels:
            if size:
                raise StageFault(
                    named.name, StageKind.RISK, f"expected no size on an empty side, was {size!r}", named.scope
                )
            return levels
        if not size:
            return []
        if not (isfinite(price) and isfinite(size) and size > 0.0 and price > 0.0):
            raise StageFault(
                named.name, StageKind.RISK, f"expected finite numbers above 0, was {price!r}, {size!r}", named.scope
            )
        ticks = ceil(price / self._tick - _GRID_TOLERANCE) if away > 0 else floor(price / self._tick + _GRID_TOLERANCE)
        moved = (ticks - levels[0][0]) * away
        lots = floor(size / self._lot + _GRID_TOLERANCE)
        total = _total(levels)
        if moved < 0 or lots > total:
            raise StageFault(
                named.name,
                StageKind.RISK,
                f"loosened the {'ask' if away > 0 else 'bid'}: price {was_price!r} -> {price!r}, "
                f"size {total * self._lot!r} -> {size!r}",
                named.scope,
            )
        if moved:
            levels = [(level_ticks + moved * away, level_lots) for level_ticks, level_lots in levels]
        return levels if lots == total else self._trimmed(levels, lots)

    def _trimmed(self, levels: _Levels, lots: int) -> _Levels:
        """Cut a side to `lots` in all, from the outermost level inward."""
        kept: _Levels = []
        for ticks, level_lots in levels:
            taken = min(level_lots, lots)
            if self._is_placeable(ticks, taken):
                kept.append((ticks, taken))
            lots -= taken
            if lots <= 0:
                break
        return kept

    def _capped(self, levels: _Levels, side: Side) -> _Levels:
        """Return the levels within what the gate could approve, or the same list when nothing binds."""
        if not levels:
            return levels
        cap = self._gate.order_cap_lots(levels[-1][0] if side else levels[0][0])
        if cap is not None and any(lots > cap for _, lots in levels):
            levels = [(ticks, min(lots, cap)) for ticks, lots in levels if self._is_placeable(ticks, min(lots, cap))]
        capacity = self._gate.capacity_lots(side)
        if capacity is not None and _total(levels) > capacity:
            levels = self._trimmed(levels, capacity)
        return levels

    def _quotes(self, bids: _Levels, asks: _Levels, bid_reason: int, ask_reason: int) -> QuoteProposal:
        quotes: QuoteProposal = _new(
            QuoteProposal,
            (
                bids[0][0] * self._tick if bids else 0.0,
                _total(bids) * self._lot if bids else 0.0,
                asks[0][0] * self._tick if asks else 0.0,
                _total(asks) * self._lot if asks else 0.0,
                bid_reason,
                ask_reason,
            ),
        )
        return quotes

    def _trace_grid(self, trace: _Trace, bids: _Levels, asks: _Levels, bid_reason: int, ask_reason: int) -> None:
        """Record what rounding made of the best quotes and, where there is one, what the ladder made of them."""
        best = self._quotes(bids[:1], asks[:1], bid_reason, ask_reason)
        trace.add(StageKind.ROUNDING, "rounding", best)
        ladder = self._ladder
        if ladder.levels > 1:
            note = f"{ladder.levels} levels, {ladder.spacing}"
            trace.add(StageKind.LADDER, "ladder", self._quotes(bids, asks, bid_reason, ask_reason), note=note)


_EXACT_COUNT = 2.0**53
"""Beyond so many ticks or lots a float is not exact; no order is near it."""


def _stronger(asked: _Asked, named: NamedRiskControl, level: int, code: int) -> _Asked:
    """Return what the chain asks for, this control's verdict included.

    Of two HALTs the wider one counts, of two liquidations the one that halts, else the first. A liquidation that does
    not halt leaves another control's HALT as it is.
    """
    terms = named.liquidation
    if level == _LIQUIDATE and terms is not None:
        latched = terms.scope if terms.is_latched else None
        if not asked.liquidates or (latched is not None and asked.scope is None):
            asked = asked._replace(liquidates=named.name, liquidation_code=code)
    else:
        latched = named.scope if level == _HALT else None
    if latched is not None and latched is not asked.scope is not _STRATEGY:
        asked = asked._replace(scope=latched, stage=named.name, code=code)
    return asked


def _wider(scope: Scope | None, other: Scope) -> Scope:
    """Return what two HALTs stop together."""
    return _STRATEGY if scope is _STRATEGY else other


def _total(levels: _Levels) -> int:
    if len(levels) == 1:
        return levels[0][1]
    return sum(lots for _, lots in levels)


def _shown(price: float) -> float | None:
    return price if isfinite(price) and price else None


def _reason_note(reason: int, is_same: bool) -> str:  # noqa: FBT001 - a fact, not a mode
    if is_same or not reason:
        return ""
    return Reason(reason).name.lower() if reason in _REASONS else str(reason)


_REASONS = frozenset(int(reason) for reason in Reason)

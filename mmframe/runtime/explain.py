"""Why a quote stands where it stands, or why there is none: one decision, told stage by stage.

`explain` takes it from a journal, `explain_decision` from anywhere; both make a value that any front end can show:
tables, JSON, a page.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, Cancel, CancelAll, Replace, Submit
from mmframe.domain.records import StageKind
from mmframe.domain.views import NEUTRAL_ADVICE, Reason, RiskLevel
from mmframe.errors import UsageError
from mmframe.runtime.moments import time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.domain.orders import Action
    from mmframe.domain.records import LadderLevel, QuoteDecision, StageRecord
    from mmframe.runtime.journal import JournalReader, JournalRun, OrderEvent

__all__ = [
    "ActionExplained",
    "DecisionSetting",
    "Explanation",
    "OrderExplained",
    "QuoteExplained",
    "QuoteLevel",
    "RejectionExplained",
    "StageChange",
    "StageExplained",
    "explain",
    "explain_decision",
    "reason_text",
]

_BPS = 10_000
_SIDE_NAMES = {Side.BUY: "bid", Side.SELL: "ask"}
_SAME_PRICE = 1e-12
"""Relative difference under which two float prices are shown as one."""

_REASON_TEXTS = {
    Reason.NONE: "",
    Reason.NOT_PROPOSED: "no optimizer proposed this side",
    Reason.WARMING_UP: "a signal that the strategy needs has no value yet",
    Reason.BOOK_UNSYNCED: "the book is not in sync",
    Reason.BOOK_STALE: "the book has had no message for too long",
    Reason.BOOK_CROSSED: "the book's best bid is not below its best ask",
    Reason.BOOK_EMPTY: "one side of the book is empty",
    Reason.NOT_FINITE: "a stage returned NaN or infinity",
    Reason.POST_ONLY: "moved back so that it does not cross the touch",
    Reason.BELOW_MINIMUM: "smaller than the smallest order that the instrument allows",
    Reason.POSITION_LIMIT: "the position limit leaves no or less room",
    Reason.TOTAL_LIMIT: "the limit over all markets leaves no or less room",
    Reason.DAILY_LOSS: "the daily loss limit is reached",
    Reason.SPREAD_FLOOR: "moved out to the smallest spread allowed",
    Reason.ADVICE_PAUSE: "the adviser asks for a pause",
    Reason.INVENTORY: "inventory moved or removed this side",
    Reason.STRATEGY_ERROR: "a component failed or broke its contract",
    Reason.HALTED: "the strategy or this market is halted",
    Reason.PAUSED: "the strategy is paused or stopping",
    Reason.UNKNOWN_ORDER: "an order of unknown outcome blocks this side",
    Reason.ONE_SIDED: "the strategy quotes the other side only",
    Reason.VENUE_DOWN: "the venue cannot be traded on",
    Reason.NOT_COMPARED: "the venue's open orders or position have not been compared with ours yet",
    Reason.LIQUIDATING: "the position is being closed",
    Reason.NOT_VALUED: "the book of a market that holds a position is not there yet, so no loss can be judged",
    Reason.PLUGIN: "a plugin's own reason",
}


class QuoteLevel(msgspec.Struct, frozen=True):
    """One target order, in quote and base units."""

    price: Decimal
    size: Decimal
    distance_bps: float | None
    """From the mid; a bid below it and an ask above it are positive."""


class QuoteExplained(msgspec.Struct, frozen=True):
    """What one side came to."""

    side: str
    levels: tuple[QuoteLevel, ...]
    reason_code: int
    reason: str
    outcome: str
    """What became of it at the venue, in words."""


class StageChange(msgspec.Struct, frozen=True):
    """What one stage did to one side; prices in quote units, sizes in base units, None and 0 for no quote."""

    side: str
    price_before: float | None
    size_before: float
    price_after: float | None
    size_after: float
    is_changed: bool
    moved_bps: float | None
    """How far it moved the price, bps; away from the other side is positive. None without a price before or after."""
    reason_code: int
    reason: str
    bound: str
    """Which of the kernel's own limits left less than was asked, with the figures; empty when none did."""
    words: str


class StageExplained(msgspec.Struct, frozen=True):
    """One stage of the chain."""

    number: int
    kind: str
    name: str
    level: str
    """Of a risk control: allow, shrink, cancel only or halt."""
    is_binding: bool
    """It took something away: moved a quote back, made it smaller, or removed it."""
    note: str
    changes: tuple[StageChange, ...]


class ActionExplained(msgspec.Struct, frozen=True):
    """One request that went out."""

    kind: str
    side: str
    """Empty when it is for both sides or for an order that the journal does not know."""
    client_id: str
    words: str


class RejectionExplained(msgspec.Struct, frozen=True):
    """One request that the gate refused."""

    side: str
    action: str
    limit: str
    detail: str


class OrderExplained(msgspec.Struct, frozen=True):
    """One order of ours that was not final at the moment, the decision's own included."""

    client_id: str
    side: str
    state: str
    price: Decimal
    leaves: Decimal
    is_kept: bool
    """The decision left it alone because it is within tolerance of its target."""


class Explanation(msgspec.Struct, frozen=True):
    """One decision, explained.

    Attributes:
        journal: Where it was read; empty when it comes from no journal, and then `run` is 0.
        now_ns: Time of the decision, on the driver's clock.
        asked_ns: The moment that was asked for; the decision is the last at or before it.
        since_start_ns: Time of the decision since the first record of its run.
        view: Touch and sizes, in quote and base units.
        signals: None for a value that is not known yet.
        inventory: None for a bound that is not set.
        is_advice_neutral: No advice was in force.
        advice_source: Which adviser and which of its calls the advice in force came from, and its note; empty for none.
        halt_reason: The latched HALT, as far as the journal's last state tells.
        bound: The stages and limits that took something away, in words.
        sides: The sides that were asked for.
    """

    journal: str
    run: int
    strategy: str
    mode: str
    instrument: str
    market: int
    sequence: int
    now_ns: int
    asked_ns: int | None
    since_start_ns: int
    sides: tuple[str, ...]
    quotes: tuple[QuoteExplained, ...]
    view: dict[str, float | None]
    signals: dict[str, float | None]
    inventory: dict[str, float | None]
    advice: dict[str, float]
    is_advice_neutral: bool
    stages: tuple[StageExplained, ...]
    bound: tuple[str, ...]
    rejections: tuple[RejectionExplained, ...]
    actions: tuple[ActionExplained, ...]
    working: tuple[OrderExplained, ...]
    halt_reason: str
    advice_source: str = ""


def explain(  # noqa: PLR0913 - one keyword for each thing that picks a decision
    reader: JournalReader,
    *,
    market: int = 0,
    sides: Sequence[Side] = (Side.BUY, Side.SELL),
    at_ns: int | None = None,
    sequence: int | None = None,
    run: int | None = None,
) -> Explanation:
    """Explain one decision of a journal: the last at or before `at_ns`, the one numbered `sequence`, else the latest.

    Args:
        reader: The journal.
        market: Index of the market; a decision picked by `sequence` brings its own.
        sides: What to tell of.
        at_ns: The driver's time.
        sequence: The decision's number.
        run: Number of the run in the journal; the newest when None.

    Raises:
        UsageError: If there is no such run, market or decision.
        JournalError: If the journal cannot be read.
    """
    chosen = reader.run(run)
    decision = _find(reader, chosen, market=market, at_ns=at_ns, sequence=sequence)
    return explain_decision(decision, _setting(reader, chosen, decision), sides=sides, asked_ns=at_ns)


@attrs.frozen(kw_only=True)
class DecisionSetting:
    """What stands around a decision and is not in its record.

    Attributes:
        reasons: Texts of the components' own reason codes.
        start_ns: The run's first moment.
        working: Orders of ours in the market that were not final, those of the decision included.
        side_of: Returns the side of an order by its client id; None when it is not known.
        halt_reason: The latched HALT, empty when there is none.
        journal: Where the decision was read; empty for no journal.
        run: The run's number in the journal.
        advice_source: Where the advice in force came from.
    """

    strategy: str
    mode: str
    instrument: Instrument
    reasons: Mapping[int, str]
    start_ns: int
    working: tuple[OrderExplained, ...]
    side_of: Callable[[str], Side | None]
    halt_reason: str = ""
    journal: str = ""
    run: int = 0
    advice_source: str = ""


def explain_decision(
    decision: QuoteDecision,
    setting: DecisionSetting,
    *,
    sides: Sequence[Side] = (Side.BUY, Side.SELL),
    asked_ns: int | None = None,
) -> Explanation:
    """Explain one decision.

    Args:
        decision: The record.
        setting: What stands around it.
        sides: What to tell of.
        asked_ns: The moment that was asked for, when it is not the decision's own.
    """
    told = _Telling(decision, setting, tuple(sides))
    stages = tuple(told.stages())
    rejections = tuple(told.rejections())
    reasons = {decision.bid_reason, decision.ask_reason}
    # The daily loss of the gate halts in the very decision that finds it; one of a risk control is told by its stage.
    is_halted = Reason.HALTED in reasons or (
        Reason.DAILY_LOSS in reasons and any(stage.kind is StageKind.ENGINE for stage in decision.stages)
    )
    return Explanation(
        journal=setting.journal,
        run=setting.run,
        strategy=setting.strategy,
        mode=setting.mode,
        instrument=setting.instrument.symbol,
        market=decision.market,
        sequence=decision.sequence,
        now_ns=decision.now_ns,
        asked_ns=asked_ns,
        since_start_ns=decision.now_ns - setting.start_ns,
        sides=told.names,
        quotes=tuple(told.quotes(rejections)),
        view={name: value for name, value in decision.view.items() if not name.startswith(_SIGNAL)},
        signals={
            name.removeprefix(_SIGNAL): value for name, value in decision.view.items() if name.startswith(_SIGNAL)
        },
        inventory=decision.inventory,
        advice=decision.advice,
        is_advice_neutral=decision.advice == {**decision.advice, **_NEUTRAL},
        stages=stages,
        bound=tuple(_bound(stages, rejections)),
        rejections=rejections,
        actions=tuple(told.actions()),
        working=told.working,
        halt_reason=setting.halt_reason if is_halted else "",
        advice_source=setting.advice_source,
    )


def reason_text(code: int, texts: Mapping[int, str] | None = None) -> str:
    """Return a reason code in words; empty for `Reason.NONE`. A plugin's own codes come from `texts`."""
    if texts and code in texts:
        return texts[code]
    if code in _REASON_TEXTS:
        return _REASON_TEXTS[Reason(code)]
    return f"reason {code}, of which the journal has no text"


_SIGNAL = "signals."
_NEUTRAL = {
    name: float(value)
    for name, value in NEUTRAL_ADVICE._asdict().items()
    if name not in {"confidence", "valid_until_ns"}
}


def _find(
    reader: JournalReader, run: JournalRun, *, market: int, at_ns: int | None, sequence: int | None
) -> QuoteDecision:
    markets = run.header.instruments
    if not 0 <= market < len(markets):
        known = ", ".join(f"{index} ({instrument.symbol})" for index, instrument in enumerate(markets))
        msg = f"market: expected one of {known}, was {market}"
        raise UsageError(msg)
    if sequence is not None:
        decision = reader.decision(sequence, run=run.number)
        if decision is not None:
            return decision
        msg = f"no decision {sequence} in run {run.number} of {str(reader.path)!r}"
        raise UsageError(msg, hint=f"the run has {reader.decision_count(run=run.number)} recorded decisions")
    found = reader.decisions(at_ns, market, run=run.number)
    if found:
        return found[0]
    first = reader.first_decision(market, run=run.number)
    if first is None:
        msg = f"no decision of {markets[market].symbol} in run {run.number} of {str(reader.path)!r}"
        raise UsageError(msg, hint="decisions are recorded unless the strategy file says [journal] decisions = false")
    msg = f"no decision of {markets[market].symbol} at or before {time_text(at_ns or 0)}"
    raise UsageError(msg, hint=f"the first one is at {time_text(first.now_ns)}")


def _advice_source(reader: JournalReader, run: JournalRun, decision: QuoteDecision) -> str:
    """Return where the advice came from that was in force in a decision."""
    found = [each for each in reader.advice(decision.market, run=run.number) if each.receive_ns <= decision.now_ns]
    if not found or found[-1].advice.valid_until_ns < decision.now_ns:
        return ""
    left_s = (found[-1].advice.valid_until_ns - decision.now_ns) / 1e9
    note = f": {found[-1].note}" if found[-1].note else ""
    return f"{found[-1].source or 'an adviser'}, {left_s:.0f} s left{note}"


def _setting(reader: JournalReader, run: JournalRun, decision: QuoteDecision) -> DecisionSetting:
    """Return what the journal knows around a decision."""
    instrument = run.header.instruments[decision.market].instrument()
    span = reader.span_ns(run.number) or (decision.now_ns, decision.now_ns)

    def side_of(client_id: str) -> Side | None:
        order = reader.order(client_id)
        return None if order is None else order.side

    return DecisionSetting(
        strategy=run.header.strategy,
        mode=run.header.mode,
        instrument=instrument,
        reasons=run.header.reasons,
        start_ns=span[0],
        working=tuple(
            OrderExplained(
                client_id=order.client_id,
                side=_SIDE_NAMES[order.side],
                state=_state_words(event),
                price=instrument.price(event.price_ticks),
                leaves=instrument.size(max(event.size_lots - event.counted_lots, 0)),
                is_kept=order.client_id in decision.kept,
            )
            for order, event in reader.working_orders(decision.now_ns, decision.market, run=run.number)
        ),
        side_of=side_of,
        halt_reason=reader.state().halt_reason,
        journal=str(reader.path),
        run=run.number,
        advice_source=_advice_source(reader, run, decision),
    )


class _Telling:
    """One decision with what is needed to put it into words."""

    def __init__(self, decision: QuoteDecision, setting: DecisionSetting, sides: tuple[Side, ...]) -> None:
        self._decision = decision
        self._instrument = setting.instrument
        self._sides = sides
        self._texts = setting.reasons
        self._find_side = setting.side_of
        self._order_sides: dict[str, str] = {}
        self.names = tuple(_SIDE_NAMES[side] for side in sides)
        self.working = tuple(order for order in setting.working if order.side in self.names)

    def quotes(self, rejections: Sequence[RejectionExplained]) -> Iterator[QuoteExplained]:
        decision = self._decision
        mid = decision.view.get("mid")
        for side in self._sides:
            is_bid = side is Side.BUY
            code = decision.bid_reason if is_bid else decision.ask_reason
            levels = decision.bids if is_bid else decision.asks
            yield QuoteExplained(
                side=_SIDE_NAMES[side],
                levels=tuple(self._level(level, mid, sign=-1 if is_bid else 1) for level in levels),
                reason_code=code,
                reason=reason_text(code, self._texts),
                outcome=self._outcome(_SIDE_NAMES[side], rejections, has_target=bool(levels)),
            )

    def stages(self) -> Iterator[StageExplained]:
        before: StageRecord | None = None
        for number, stage in enumerate(self._decision.stages, start=1):
            changes = tuple(self._change(side, before, stage) for side in self._sides)
            yield StageExplained(
                number=number,
                kind=stage.kind.value,
                name=stage.name,
                level=RiskLevel(stage.level).name.lower().replace("_", " ") if stage.kind is StageKind.RISK else "",
                is_binding=_is_binding(stage, changes),
                note=stage.note,
                changes=changes,
            )
            before = stage

    def actions(self) -> Iterator[ActionExplained]:
        for action in self._decision.actions:
            side = self._side_of(action)
            if not side or side in self.names:
                yield ActionExplained(
                    kind=str(action.__struct_config__.tag),
                    side=side,
                    client_id=getattr(action, "client_id", ""),
                    words=self._action_words(action, side),
                )

    def rejections(self) -> Iterator[RejectionExplained]:
        for rejection in self._decision.rejections:
            side = self._side_of(rejection.action)
            if not side or side in self.names:
                yield RejectionExplained(
                    side=side,
                    action=self._action_words(rejection.action, side),
                    limit=rejection.limit,
                    detail=rejection.detail,
                )

    def _level(self, level: LadderLevel, mid: float | None, *, sign: int) -> QuoteLevel:
        price = self._instrument.price(level.price_ticks)
        distance = None if not mid else sign * (float(price) - mid) / mid * _BPS
        return QuoteLevel(price, self._instrument.size(level.size_lots), distance)

    def _outcome(self, side: str, rejections: Sequence[RejectionExplained], *, has_target: bool) -> str:
        """Say what became of one side's target."""
        refused = [rejection for rejection in rejections if rejection.side == side]
        sent = [action.kind for action in self.actions() if action.side in {side, ""}]
        own = [order for order in self.working if order.side == side]
        parts = []
        kept = [order.client_id for order in own if order.is_kept]
        if kept:
            parts.append(f"kept {', '.join(kept)}, close enough to keep its place in the queue")
        if sent:
            parts.append(f"sent {', '.join(sent)}")
        parts += [f"the gate refused it: {rejection.limit}, {rejection.detail}" for rejection in refused]
        if not parts and own:
            waiting = ", ".join(f"{order.client_id} ({order.state})" for order in own)
            parts.append(f"nothing sent; in the venue's hands: {waiting}")
        if not parts:
            parts.append("nothing sent" if has_target else "nothing rests")
        return "; ".join(parts)

    def _change(self, side: Side, before: StageRecord | None, after: StageRecord) -> StageChange:
        price_before, size_before = (None, 0.0) if before is None else _quote_of(before, side)
        price_after, size_after = _quote_of(after, side)
        code = after.bid_reason if side is Side.BUY else after.ask_reason
        code_before = 0 if before is None else before.bid_reason if side is Side.BUY else before.ask_reason
        is_changed = not _is_same(price_before, price_after) or size_before != size_after
        # A reason stands until a stage gives another, so one that a stage is handed and hands on says nothing of what
        # the stage did. Only who takes a quote away always tells why, in a code that may have stood there before.
        is_removed = price_before is not None and price_after is None
        reason = reason_text(code, self._texts) if is_removed or code != code_before else ""
        if after.kind is StageKind.RISK and is_changed and after.note:
            reason = self._note_text(after.note)
        bound = after.bid_bound if side is Side.BUY else after.ask_bound
        moved_bps = _moved_bps(side, price_before, price_after)
        words = _change_words(price_before, size_before, price_after, size_after, moved_bps)
        return StageChange(
            side=_SIDE_NAMES[side],
            price_before=price_before,
            size_before=size_before,
            price_after=price_after,
            size_after=size_after,
            is_changed=is_changed,
            moved_bps=moved_bps,
            reason_code=code,
            reason=reason,
            bound=bound,
            words=": ".join(part for part in (words, bound or reason) if part),
        )

    def _note_text(self, note: str) -> str:
        """Return what a risk control's note means; the engine writes its reason's name or a plugin's code."""
        if note.isdigit():
            return reason_text(int(note), self._texts)
        return _REASON_TEXTS.get(Reason[note.upper()], note) if note.upper() in Reason.__members__ else note

    def _side_of(self, action: Action) -> str:
        if isinstance(action, Submit):
            return _SIDE_NAMES[action.side]
        client_id = getattr(action, "client_id", "")
        if not client_id:
            return ""
        if client_id not in self._order_sides:
            side = self._find_side(client_id)
            self._order_sides[client_id] = "" if side is None else _SIDE_NAMES[side]
        return self._order_sides[client_id]

    def _action_words(self, action: Action, side: str) -> str:
        if isinstance(action, Submit):
            return f"submit {side} {self._at(action.size_lots, action.price_ticks)} as {action.client_id}"
        if isinstance(action, Amend):
            return f"amend {side} {action.client_id} to {self._at(action.leaves_lots, action.price_ticks)}"
        if isinstance(action, Replace):
            return (
                f"replace {side} {action.client_id} by {self._at(action.size_lots, action.price_ticks)}"
                f" as {action.new_client_id}"
            )
        if isinstance(action, Cancel):
            return f"cancel {side} {action.client_id}".replace("  ", " ")
        if isinstance(action, CancelAll):
            return f"cancel all: {action.reason}"
        return f"ask for {getattr(action, 'client_id', 'all open orders')}"

    def _at(self, lots: int, ticks: int) -> str:
        return f"{self._instrument.size_text(lots)} at {self._instrument.price_text(ticks)}"


def _quote_of(stage: StageRecord, side: Side) -> tuple[float | None, float]:
    price, size = (stage.bid, stage.bid_size) if side is Side.BUY else (stage.ask, stage.ask_size)
    return (price, size) if price is not None and size else (None, 0.0)


def _is_same(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs(before - after) <= _SAME_PRICE * abs(before)


def _is_binding(stage: StageRecord, changes: Sequence[StageChange]) -> bool:
    """Tell whether a stage behind the optimizers took something away."""
    if stage.kind is StageKind.OPTIMIZER:
        return False
    if stage.kind is StageKind.ENGINE or stage.level > RiskLevel.ALLOW:
        return True
    return any(
        change.is_changed
        and (change.price_after is None or (bool(change.reason) and change.reason_code == Reason.POST_ONLY))
        for change in changes
    )


def _bound(stages: Sequence[StageExplained], rejections: Sequence[RejectionExplained]) -> Iterator[str]:
    for stage in stages:
        if stage.is_binding:
            level = f" ({stage.level})" if stage.level else ""
            words = [f"{change.side} {change.words}" for change in stage.changes if change.is_changed or change.reason]
            name = stage.name if stage.name == stage.kind else f"{stage.kind} {stage.name}"
            yield f"{name}{level}: {'; '.join(words) or stage.note or 'no quote changed'}"
    for rejection in rejections:
        yield f"gate, {rejection.limit}: {rejection.detail}; refused to {rejection.action}"


def _moved_bps(side: Side, before: float | None, after: float | None) -> float | None:
    """Return how far a price moved away from the other side."""
    if before is None or after is None:
        return None
    if _is_same(before, after):
        return 0.0
    moved_bps = (after - before) / before * _BPS
    return -moved_bps if side is Side.BUY else moved_bps


def _change_words(
    price_before: float | None,
    size_before: float,
    price_after: float | None,
    size_after: float,
    moved_bps: float | None,
) -> str:
    if price_after is None:
        return (
            "still no quote" if price_before is None else f"removed {_number(size_before)} at {_number(price_before)}"
        )
    if price_before is None:
        return f"set to {_number(size_after)} at {_number(price_after)}"
    parts = []
    if moved_bps:
        parts.append(
            f"{_number(price_before)} -> {_number(price_after)}"
            f" ({abs(moved_bps):.3g} bps {'away from' if moved_bps > 0 else 'towards'} the other side)"
        )
    if size_before != size_after:
        parts.append(f"size {_number(size_before)} -> {_number(size_after)}")
    return ", ".join(parts) or f"unchanged, {_number(size_after)} at {_number(price_after)}"


def _state_words(event: OrderEvent) -> str:
    return "not known" if event.state is None else event.state.value.replace("_", " ")


def _number(value: float) -> str:
    return f"{value:.10g}"

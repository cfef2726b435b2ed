"""Closes positions slice by slice: which market is next, how much of it, at which price, and when to wait.

It decides and remembers; the gate approves each slice and the engine sends it. A market gets a slice only when nothing
of ours can still fill there, so no slice ever meets another order of ours, and its size is never above the position.

The worst market goes first: the most negative unrealised profit, in quote units; of equal ones the larger position by
value, then the first in the file. Where markets have different quote assets the plain numbers are compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import CloseTo, LiquidationTerms
from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import ALL_MARKETS, OrderState
from mmframe.domain.views import Reason, RiskLevel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.engine.limits import LimitLog
    from mmframe.engine.market import EngineMarket

__all__ = [
    "LIQUIDATION_STAGE",
    "ClosingMarket",
    "Liquidation",
    "LiquidationDesk",
    "LiquidationState",
    "Slice",
    "aim_lots",
    "cap_ticks",
    "operator_terms",
    "slice_lots",
    "smallest_lots",
    "worst_first",
]

LIQUIDATION_STAGE = "liquidation"
"""What the record of limits calls it; each of its orders and waits is a record by itself."""
_SLICE_STAGE = f"{LIQUIDATION_STAGE} slice"
_WAIT_STAGE = f"{LIQUIDATION_STAGE} wait"

_BPS = 10_000
_SHARE_OF_LOT = 1e-6
"""What a balance as a float may be off by: 0.3 / 0.1 is 2.9999999999999996."""
_MOST_DOUBLINGS = 40
"""Beyond so many the whole position goes in one slice, whatever its share."""
_LIQUIDATE = int(RiskLevel.LIQUIDATE)
_LIQUIDATING = int(Reason.LIQUIDATING)


class ClosingMarket(msgspec.Struct, frozen=True):
    """One market of a liquidation."""

    market: int
    start_lots: int
    """Signed position when none of our orders was left."""
    slices: int = 0
    """Orders sent so far."""
    is_measured: bool = False
    """Our orders have been gone once: `start_lots` is final."""


class LiquidationState(msgspec.Struct, frozen=True):
    """What of a liquidation must outlive the process."""

    source: str
    """The risk control that asked, or `operator`."""
    reason: str
    terms: LiquidationTerms
    began_ns: int
    next_slice_ns: int
    markets: tuple[ClosingMarket, ...]


class Slice(NamedTuple):
    """The next order of a liquidation."""

    market: int
    side: Side
    price_ticks: int
    size_lots: int
    cap_bps: float
    to_close_lots: int
    """What is to be closed in the market, this slice included."""


def smallest_lots(instrument: Instrument, price_ticks: int) -> int:
    """Return the smallest order that the venue takes at a price, in lots."""
    if price_ticks <= 0:
        return instrument.min_size_lots
    value = instrument.tick_size * instrument.lot_size * price_ticks
    return max(instrument.min_size_lots, math.ceil(instrument.min_notional_quote / value), 1)


def cap_ticks(side: Side, mid_half_ticks: int, cap_bps: float) -> int:
    """Return the price furthest from the mid that an order may have: as a buyer the highest, as a seller the lowest.

    Where no tick lies between the mid and the cap it is one on the near side of the mid, which takes nothing.

    Args:
        side: The order's side.
        mid_half_ticks: Best bid + best ask.
        cap_bps: Largest distance from the mid.
    """
    outward = -1 if side == Side.SELL else 1
    ticks = mid_half_ticks * (_BPS + outward * cap_bps) / (2 * _BPS)
    price = math.floor(ticks) if outward > 0 else math.ceil(ticks)
    # The gate's own comparison: what rounding of floats leaves beyond the cap is moved inside.
    while (2 * price - mid_half_ticks) * outward * _BPS > cap_bps * mid_half_ticks:
        price -= outward
    return price


def aim_lots(position_lots: int, target_lots: int, close_to: CloseTo) -> int:
    """Return where a position is to end without growing or crossing zero."""
    if close_to is CloseTo.FLAT:
        return 0
    if position_lots >= 0:
        return min(max(target_lots, 0), position_lots)
    return max(min(target_lots, 0), position_lots)


def slice_lots(  # noqa: PLR0913 - what bounds a slice
    terms: LiquidationTerms,
    *,
    start_lots: int,
    to_close: int,
    smallest: int,
    largest: int | None,
    doublings: int = 0,
    order_lots: int = 0,
) -> int:
    """Return the size of the next slice; 0 when what is left cannot be placed.

    Args:
        terms: How large a share a slice has.
        start_lots: What there was to close when it began, >= 0.
        to_close: What there is to close now, >= 0.
        smallest: The smallest order.
        largest: The largest order, or None.
        doublings: How often the share is doubled, because the venue refused smaller ones.
        order_lots: The market's order size, beyond which doubling never goes: the venue takes orders of that size.
    """
    most = to_close if largest is None else min(largest, to_close)
    if most < smallest:
        return 0
    share = terms.slice_lots(start_lots)
    lots = min(max(smallest, share, min(share << doublings, order_lots)), most)
    # A rest that could not be placed afterwards goes with this one.
    return to_close if to_close - lots < smallest and to_close == most else lots


def worst_first(rows: Iterable[tuple[float, float, int]]) -> list[int]:
    """Return market indices in the order in which they are closed.

    Args:
        rows: Unrealised profit and position value, both in quote units, and the market's index.
    """
    return [index for _, _, index in sorted(rows, key=lambda row: (row[0], -row[1], row[2]))]


def operator_terms(terms: Iterable[LiquidationTerms | None]) -> LiquidationTerms:
    """Return how a person's liquidation goes about it: as the strategy's own would, else by the defaults.

    Args:
        terms: Of all risk controls, in order.
    """
    latched = (each for each in terms if each is not None and each.is_latched)
    return next(latched, LiquidationTerms())


class Liquidation:
    """One liquidation in progress.

    Attributes:
        source: The risk control that asked, or `operator`.
        reason: Why, for people.
        terms: How it goes about it.
        began_ns: When it began.
        next_slice_ns: Not before then is the next slice sent.
        markets: What it closes, by market index.
        waits_for: Why nothing could be sent when it was last tried; empty when it could.
    """

    __slots__ = ("began_ns", "is_restored", "markets", "next_slice_ns", "reason", "source", "terms", "waits_for")

    def __init__(self, state: LiquidationState, *, is_restored: bool = False) -> None:
        self.source = state.source
        self.reason = state.reason
        self.terms = state.terms
        self.began_ns = state.began_ns
        self.next_slice_ns = state.next_slice_ns
        self.markets = {each.market: each for each in state.markets}
        self.waits_for = ""
        self.is_restored = is_restored

    def state(self) -> LiquidationState:
        """Return what must outlive the process."""
        return LiquidationState(
            self.source, self.reason, self.terms, self.began_ns, self.next_slice_ns, tuple(self.markets.values())
        )

    @property
    def deadline_ns(self) -> int:
        """Return when it is given up."""
        longest = self.terms.max_duration_ns
        return NEVER_NS if longest is None else self.began_ns + longest

    def set_clock(self, now_ns: int) -> None:
        """Take up the time again after a restart: a simulated market's clock begins anew."""
        if self.is_restored:
            self.is_restored = False
            self.began_ns = min(self.began_ns, now_ns)
            self.next_slice_ns = min(self.next_slice_ns, now_ns + self.terms.interval_ns)


class LiquidationDesk:
    """All liquidations of a strategy; a market is in at most one of them.

    Args:
        markets: The engine's markets.
        targets_lots: Each market's target position.
        limits: The strategy's record of limits; each market has its own.

    Attributes:
        active: Those in progress, oldest first.
        markets: Indices of the markets being closed.
        wake_ns: When `next_slice` has something to do without an event.
        revision: Grows with each change that must be saved.
    """

    __slots__ = ("_growth", "_limits", "_markets", "_targets_lots", "active", "markets", "revision", "wake_ns")

    def __init__(self, markets: Sequence[EngineMarket], targets_lots: Sequence[int], limits: LimitLog) -> None:
        self._markets = tuple(markets)
        self._targets_lots = tuple(targets_lots)
        self._limits = limits
        self._growth: dict[int, tuple[int, int]] = {}
        """By market: refusals by the venue before its last slice, and how often that slice was doubled."""
        self.active: list[Liquidation] = []
        self.markets: frozenset[int] = frozenset()
        self.wake_ns = NEVER_NS
        self.revision = 0

    @property
    def is_closing(self) -> bool:
        """Tell whether a halted strategy, or market, is being closed."""
        return any(each.terms.is_latched for each in self.active)

    def states(self) -> tuple[LiquidationState, ...]:
        """Return what must outlive the process."""
        return tuple(each.state() for each in self.active)

    def restore(self, states: Sequence[LiquidationState]) -> None:
        """Take back what was in progress."""
        self.active = [Liquidation(state, is_restored=True) for state in states]
        self._changed()

    def begin(self, terms: LiquidationTerms, *, source: str, reason: str, market: int, now_ns: int) -> bool:
        """Start to close a market, or all. What of it is being closed already goes on as it is, or as part of this.

        Args:
            terms: How to go about it; their scope tells how much `market` means.
            source: Who asked.
            reason: Why.
            market: Whose control asked; `ALL_MARKETS` for an operator's.
            now_ns: The time.

        Returns:
            Whether it began: there may be nothing to close that is not being closed.
        """
        is_all = terms.scope is Scope.STRATEGY or market == ALL_MARKETS
        indices = set(range(len(self._markets))) if is_all else {market}
        # What the operator killed is not traded any more, by whatever.
        indices -= {index for index in indices if self._markets[index].is_killed}
        if not terms.is_latched:
            # What is halted, or closed because of a halt, is not for it to trade.
            indices -= {index for index in indices if index in self.markets or self._markets[index].halt_reason}
        markets = tuple(ClosingMarket(index, self._markets[index].ledger.position_lots) for index in sorted(indices))
        liquidation = Liquidation(LiquidationState(source, reason, terms, now_ns, now_ns, markets))
        if not terms.is_latched and all(self._is_rest(liquidation, self._markets[index]) for index in indices):
            # It would be over at once, and asked for again at once, for ever.
            return False
        if not indices or any(each.terms.is_latched and indices <= each.markets.keys() for each in self.active):
            return False
        for index in indices:
            # What was refused before was no slice of this.
            self._growth.pop(index, None)
        for each in list(self.active):
            self._release(each, indices, "goes on as part of a wider one", now_ns)
        self.active.append(liquidation)
        self._changed()
        self._note_start(liquidation, now_ns)
        return True

    def end(self, liquidation: Liquidation, why: str, now_ns: int) -> str:
        """Take a liquidation off and return what it did, for people."""
        self.active.remove(liquidation)
        self._changed()
        text = f"{why}: {self._summary(liquidation)}"
        self._log(liquidation).end(LIQUIDATION_STAGE, now_ns, detail=text)
        return text

    def release(self, market: int, why: str, now_ns: int, *, only_unlatched: bool = False) -> None:
        """Stop closing a market, or all: what is left of each liquidation goes on.

        Args:
            market: Which; `ALL_MARKETS` for all.
            why: For people.
            now_ns: The time.
            only_unlatched: Leave those alone that have halted what they close.
        """
        indices = range(len(self._markets)) if market == ALL_MARKETS else (market,)
        for each in list(self.active):
            if not (only_unlatched and each.terms.is_latched):
                self._release(each, indices, why, now_ns)

    def next_slice(
        self, liquidation: Liquidation, now_ns: int, *, hold: str, blocked: Mapping[int, str]
    ) -> Slice | None:
        """Return the order that is due, or None: see `waits_for`, `is_done`.

        Args:
            liquidation: Which.
            now_ns: The time.
            hold: Why nothing may be sent at all; empty when it may.
            blocked: Why a market cannot be traded for a reason that the market itself does not know.
        """
        self._measure(liquidation)
        if not hold and now_ns < liquidation.next_slice_ns:
            return None
        reasons: list[str] = [hold] if hold else []
        for index in () if hold else self._order(liquidation):
            market = self._markets[index]
            found = self._slice(liquidation, market, now_ns, blocked.get(index, ""))
            if isinstance(found, Slice):
                self._wait(liquidation, "", now_ns)
                return found
            if found:
                reasons.append(f"{market.instrument.symbol}: {found}")
        self._wait(liquidation, "; ".join(reasons), now_ns)
        return None

    def is_done(self, liquidation: Liquidation) -> bool:
        """Tell whether nothing is left that could be closed, and nothing of ours can still fill."""
        return all(self._is_closed(liquidation, self._markets[index]) for index in liquidation.markets)

    def on_slice(self, liquidation: Liquidation, sent: Slice, now_ns: int) -> None:
        """Take that a slice is on its way."""
        was = liquidation.markets[sent.market]
        liquidation.markets[sent.market] = now = msgspec.structs.replace(was, slices=was.slices + 1)
        liquidation.next_slice_ns = now_ns + liquidation.terms.interval_ns
        self._changed()
        market = self._markets[sent.market]
        refused = market.tracker.refusals_in_a_row[sent.side]
        self._growth[sent.market] = (refused, self._doublings(market, sent.side))
        instrument = market.instrument
        price, size = instrument.price(sent.price_ticks), instrument.size(sent.size_lots)
        left = instrument.size(sent.to_close_lots)
        detail = (
            f"slice {now.slices}: {sent.side.name.lower()} {size} {instrument.base} at {price} or better; "
            f"{left} to close, unrealised {market.ledger.unrealised_float():.2f} {instrument.quote}"
        )
        market.limits.tell(_SLICE_STAGE, _LIQUIDATE, _LIQUIDATING, now_ns, detail)

    def on_refused(self, liquidation: Liquidation, limit: str, now_ns: int) -> None:
        """Take that the gate refused a slice; it is tried again with the next event."""
        self._wait(liquidation, f"the gate refused a slice: {limit}", now_ns)

    def note_restored(self, now_ns: int) -> None:
        """Set the clocks of what was taken back and put on record that it goes on."""
        for each in self.active:
            if each.is_restored:
                each.set_clock(now_ns)
                self._note_start(each, now_ns, verb="goes on to close")

    def reschedule(self) -> None:
        """Set `wake_ns` anew."""
        wake_ns = NEVER_NS
        for each in self.active:
            # What waits is woken by what it waits for.
            wake_ns = min(wake_ns, each.deadline_ns, NEVER_NS if each.waits_for else each.next_slice_ns)
        self.wake_ns = wake_ns

    def _slice(self, liquidation: Liquidation, market: EngineMarket, now_ns: int, blocked: str) -> Slice | str:
        """Return a market's next slice, or why there is none now; an empty text when nothing is left to be closed."""
        to_close = self._to_close(liquidation, market)
        reason = blocked or _orders_left(market)
        if reason or not to_close:
            return reason
        book_reason = market.book_reason(now_ns)
        if book_reason:
            return Reason(book_reason).name.lower().replace("_", " ")
        side = Side.SELL if market.ledger.position_lots > 0 else Side.BUY
        touch = market.touch
        cap_bps = market.gate.close_cap_bps(liquidation.terms.price_cap_bps)
        price = cap_ticks(side, touch.bid_ticks + touch.ask_ticks, cap_bps)
        smallest = smallest_lots(market.instrument, price)
        if to_close < smallest:
            return ""
        if price > touch.bid_ticks if side == Side.SELL else price < touch.ask_ticks:
            return f"the touch is more than {cap_bps:g} bps from the mid"
        largest = _least(market.gate.order_cap_lots(price), market.instrument.max_size_lots)
        lots = slice_lots(
            liquidation.terms,
            start_lots=self._start_lots(liquidation, market),
            to_close=to_close,
            smallest=smallest,
            largest=largest,
            doublings=self._doublings(market, side),
            order_lots=market.order_size_lots,
        )
        if not lots:
            return f"the largest order, {largest} lots, is below the smallest, {smallest}"
        return Slice(market.index, side, price, lots, cap_bps, to_close)

    def _doublings(self, market: EngineMarket, side: Side) -> int:
        """Return how often the next slice is doubled: once for each refusal of a slice by the venue in a row.

        A venue's smallest value may not stand in the strategy file; the same slice again would be refused for ever.
        A refusal may have other reasons, so no slice grows beyond the order size that the strategy quotes anyway.
        """
        last = self._growth.get(market.index)
        if last is None or market.tracker.refusals_in_a_row[side] <= last[0]:
            return 0
        return min(last[1] + 1, _MOST_DOUBLINGS)

    def _is_closed(self, liquidation: Liquidation, market: EngineMarket) -> bool:
        return not market.tracker.live and self._is_rest(liquidation, market)

    def _is_rest(self, liquidation: Liquidation, market: EngineMarket) -> bool:
        """Tell whether what is left to be closed is below the smallest order."""
        to_close = self._to_close(liquidation, market)
        if to_close < market.instrument.min_size_lots:
            return True
        if not market.has_touch:
            return False
        side = Side.SELL if market.ledger.position_lots > 0 else Side.BUY
        cap_bps = market.gate.close_cap_bps(liquidation.terms.price_cap_bps)
        price = cap_ticks(side, market.touch.bid_ticks + market.touch.ask_ticks, cap_bps)
        return to_close < smallest_lots(market.instrument, price)

    def _aim(self, liquidation: Liquidation, market: EngineMarket, position_lots: int) -> int:
        return aim_lots(position_lots, self._targets_lots[market.index], liquidation.terms.close_to)

    def _rest(self, liquidation: Liquidation, market: EngineMarket) -> int:
        """Return how much lies between the position and where it is to end, in lots."""
        position = market.ledger.position_lots
        return abs(position - self._aim(liquidation, market, position))

    def _to_close(self, liquidation: Liquidation, market: EngineMarket) -> int:
        """Return how much of it can be closed, in lots: where fees were taken from what was bought, less is there."""
        rest, held = self._rest(liquidation, market), market.base_balance
        if math.isnan(held) or market.ledger.position_lots < 0:
            return rest
        return min(rest, max(0, math.floor(held / market.instrument.lot + _SHARE_OF_LOT)))

    def _start_lots(self, liquidation: Liquidation, market: EngineMarket) -> int:
        start = liquidation.markets[market.index].start_lots
        return abs(start - self._aim(liquidation, market, start))

    def _measure(self, liquidation: Liquidation) -> None:
        """Take the position at the start where our orders are gone: until then they may have filled."""
        for index, each in liquidation.markets.items():
            market = self._markets[index]
            if not each.is_measured and not market.tracker.live:
                start_lots = market.ledger.position_lots
                liquidation.markets[index] = msgspec.structs.replace(each, start_lots=start_lots, is_measured=True)
                self.revision += 1

    def _order(self, liquidation: Liquidation) -> list[int]:
        ledgers = ((index, self._markets[index].ledger) for index in liquidation.markets)
        return worst_first((ledger.unrealised_float(), ledger.notional_float(), index) for index, ledger in ledgers)

    def _release(self, liquidation: Liquidation, indices: Collection[int], why: str, now_ns: int) -> None:
        left = {index: each for index, each in liquidation.markets.items() if index not in indices}
        if not left:
            self.end(liquidation, why, now_ns)
        elif len(left) < len(liquidation.markets):
            liquidation.markets = left
            self._changed()

    def _changed(self) -> None:
        self.markets = frozenset(index for each in self.active for index in each.markets)
        self.revision += 1

    def _wait(self, liquidation: Liquidation, reason: str, now_ns: int) -> None:
        if reason and reason != liquidation.waits_for:
            self._log(liquidation).tell(_WAIT_STAGE, _LIQUIDATE, _LIQUIDATING, now_ns, f"waits: {reason}")
        liquidation.waits_for = reason

    def _note_start(self, liquidation: Liquidation, now_ns: int, verb: str = "to close") -> None:
        terms = liquidation.terms
        positions = ", ".join(self._position(index) for index in liquidation.markets)
        detail = (
            f"{liquidation.reason}; {verb} {positions}: {terms.slice_share:.0%} a slice, every "
            f"{terms.interval_ns / 1e9:g} s, within {terms.price_cap_bps:g} bps of the mid"
        )
        log = self._log(liquidation)
        log.note(LIQUIDATION_STAGE, _LIQUIDATE, _LIQUIDATING, now_ns, detail=detail, is_latched=True)

    def _position(self, index: int) -> str:
        market = self._markets[index]
        return f"{market.instrument.size(market.ledger.position_lots)} {market.instrument.symbol}"

    def _summary(self, liquidation: Liquidation) -> str:
        texts = []
        for index, each in liquidation.markets.items():
            market = self._markets[index]
            start = market.instrument.size(each.start_lots)
            rest = self._rest(liquidation, market)
            why = ""
            if rest and rest > self._to_close(liquidation, market):
                why = ", the account holds no more to close"
            elif rest and self._is_closed(liquidation, market):
                why = ", the rest is below the smallest order"
            plural = "" if each.slices == 1 else "s"
            texts.append(
                f"{market.instrument.symbol} {start} -> {market.instrument.size(market.ledger.position_lots)} in "
                f"{each.slices} slice{plural}{why}"
            )
        return "; ".join(texts)

    def _log(self, liquidation: Liquidation) -> LimitLog:
        markets = liquidation.markets
        is_one = liquidation.terms.scope is Scope.MARKET and len(markets) == 1
        return self._markets[next(iter(markets))].limits if is_one else self._limits


def _orders_left(market: EngineMarket) -> str:
    """Return why a market must wait for its orders; empty when none is left."""
    unknown = market.tracker.live and any(order.state is OrderState.UNKNOWN for order in market.tracker)
    if unknown:
        return "the outcome of an order is not known"
    return "orders of ours are not gone yet" if market.tracker.live else ""


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)

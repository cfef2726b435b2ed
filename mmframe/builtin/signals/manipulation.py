"""The signals `spike-flag` and `manipulation`: 1 while the market looks pushed, for later stages to widen on."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.signals._market_book import market_book
from mmframe.domain.depth import imbalance, limit_ticks_within_bps
from mmframe.domain.market import Side
from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.domain.views import TradeTick
    from mmframe.plugin.rules import State
    from mmframe.ports import Book

__all__ = ["MANIPULATION", "SPIKE_FLAG", "Manipulation", "ManipulationOptions", "SpikeFlagOptions", "on_touch", "read"]

_SLOTS = 16
"""Parts of the window; each remembers the lowest and the highest mid in it, so memory is bounded."""
_MID = 0
"""The mid in force; 0.0 before the first touch."""
_SPIKED_NS = 1
"""When the range was last beyond the limit; -infinity for never."""
_NUMBERS = 2
_LOWS = _NUMBERS + _SLOTS
_HIGHS = _LOWS + _SLOTS
_STATE_SIZE = _HIGHS + _SLOTS


@attrs.frozen
class SpikeFlagOptions:
    """Options of `spike-flag`."""

    range_bps: float = option(
        help="A range of the mid beyond this is a spike.", default=200.0, unit="bps", above=0.0, maximum=10_000.0
    )
    window_ms: int = option(
        help="How far back the mid is looked at.", default=2_000, unit="ms", minimum=16, maximum=3_600_000
    )
    hold_s: float = option(
        help="The flag stays for this long after the range was last beyond the limit.",
        default=10.0,
        unit="s",
        minimum=0.0,
        maximum=86_400.0,
    )


@attrs.frozen
class ManipulationOptions:
    """Options of `manipulation`."""

    impact_bps: float = option(
        help="Impact of impact_notional_quote on the better of ask and bid beyond which the flag is set.",
        default=200.0,
        unit="bps",
        above=0.0,
        maximum=10_000.0,
    )
    impact_notional_quote: Decimal = option(
        help="Value of the order whose impact is asked for; about what is large for this market.",
        default=Decimal(10_000),
        unit="quote units",
        above=0.0,
    )
    imbalance: float = option(
        help="Imbalance of the book, either way, beyond which the flag is set; 1 never sets it.",
        default=0.8,
        unit="share",
        above=0.0,
        maximum=1.0,
    )
    levels: int = option(
        help="Levels of each side that count for the imbalance.", default=10, unit="levels", minimum=1, maximum=1_000
    )
    sample_interval_ms: int = option(
        help="Shortest time between two looks into the book; in between the last one stands.",
        default=250,
        unit="ms",
        minimum=0,
        maximum=3_600_000,
    )
    looks: int = option(
        help="Looks in a row that must agree, so that one lopsided moment is none.",
        default=3,
        unit="looks",
        minimum=1,
        maximum=1_000,
    )
    hold_s: float = option(
        help="The flag stays for this long after it was last set.",
        default=10.0,
        unit="s",
        minimum=0.0,
        maximum=86_400.0,
    )


class SpikeFlagParams(NamedTuple):
    """The options as the rule reads them."""

    slot_ns: int
    range_share: float
    hold_ns: float


def on_touch(params: SpikeFlagParams, state: State, tick: BookTick) -> None:
    """Widen the range of the slot that is now, and note the time if the window's range is beyond the limit."""
    number = tick.now_ns // params.slot_ns
    slot = number % _SLOTS
    if state[_MID] == 0.0:
        state[_MID] = tick.mid
    if state[_NUMBERS + slot] != number:
        # A new slot opens with the mid that was in force until now: a jump after a silence is a jump.
        state[_NUMBERS + slot] = float(number)
        state[_LOWS + slot] = state[_MID]
        state[_HIGHS + slot] = state[_MID]
    state[_LOWS + slot] = min(state[_LOWS + slot], tick.mid)
    state[_HIGHS + slot] = max(state[_HIGHS + slot], tick.mid)
    state[_MID] = tick.mid
    low = tick.mid
    high = tick.mid
    for index in range(_SLOTS):
        if state[_NUMBERS + index] > number - _SLOTS:
            slot_low = state[_LOWS + index]
            slot_high = state[_HIGHS + index]
            low = slot_low if slot_low < low else low
            high = slot_high if slot_high > high else high
    if high - low > params.range_share * tick.mid:
        state[_SPIKED_NS] = float(tick.now_ns)


def read(params: SpikeFlagParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return 1.0 while a spike is held, else 0.0; NaN before the first touch."""
    if state[_MID] == 0.0:
        return nan
    return 1.0 if now_ns - state[_SPIKED_NS] <= params.hold_ns else 0.0


class Manipulation:
    """Thin or lopsided for some looks in a row; not a rule, since it looks into the book."""

    __slots__ = (
        "_agreeing",
        "_book",
        "_looked_ns",
        "_notional_tick_lots",
        "_options",
        "_set_ns",
        "on_touch",
        "on_trade",
    )

    on_touch: Callable[[BookTick], None] | None
    on_trade: Callable[[TradeTick], None] | None

    def __init__(self, book: Book, options: ManipulationOptions, *, notional_tick_lots: float) -> None:
        self._book = book
        self._options = options
        self._notional_tick_lots = notional_tick_lots
        self._agreeing = 0
        self._looked_ns: int | None = None
        self._set_ns: int | None = None
        self.on_touch = self._look
        self.on_trade = None

    def read(self, now_ns: int, tick: BookTick) -> float:  # noqa: ARG002 - the port's signature
        """Return 1.0 while the flag is set, else 0.0; NaN before the first look."""
        if self._set_ns is not None and now_ns - self._set_ns <= self._options.hold_s * 1e9:
            return 1.0
        return nan if self._looked_ns is None else 0.0

    def _look(self, tick: BookTick) -> None:
        if self._looked_ns is not None and tick.now_ns - self._looked_ns < self._options.sample_interval_ms * 1_000_000:
            return
        self._looked_ns = tick.now_ns
        self._agreeing = self._agreeing + 1 if self._is_lopsided() or self._is_thin() else 0
        if self._agreeing >= self._options.looks:
            self._set_ns = tick.now_ns

    def _is_lopsided(self) -> bool:
        levels = self._options.levels
        bid_lots = sum([lots for _, lots in self._book.levels(Side.BUY, levels)])
        ask_lots = sum([lots for _, lots in self._book.levels(Side.SELL, levels)])
        return abs(imbalance(bid_lots, ask_lots)) > self._options.imbalance

    def _is_thin(self) -> bool:
        """Return whether taking the notional would move that side's best price by more than the limit."""
        touch = self._book.touch()
        size_lots = self._notional_tick_lots * 2.0 / (touch.bid_ticks + touch.ask_ticks)
        for side, best_ticks in ((Side.SELL, touch.ask_ticks), (Side.BUY, touch.bid_ticks)):
            limit_ticks = limit_ticks_within_bps(side, best_ticks, self._options.impact_bps)
            if self._book.lots_through(side, limit_ticks) <= size_lots:
                return True
        return False


def _build_spike_flag(options: SpikeFlagOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    state = [0.0] * _STATE_SIZE
    state[_SPIKED_NS] = -inf
    state[_NUMBERS:_LOWS] = [-1.0] * _SLOTS
    params = SpikeFlagParams(
        options.window_ms * 1_000_000 // _SLOTS, options.range_bps / 10_000.0, options.hold_s * 1e9
    )
    return SignalRule(read, params, state, on_touch=on_touch)


def _build_manipulation(options: ManipulationOptions, context: BuildContext) -> Manipulation:
    instrument = context.instrument
    unit = instrument.tick_size * instrument.lot_size
    return Manipulation(
        market_book(context, "manipulation"), options, notional_tick_lots=float(options.impact_notional_quote / unit)
    )


SPIKE_FLAG = SignalSpec(
    name="spike-flag",
    summary="1 while the mid has just moved by more than a limit within a short window, else 0.",
    description="""\
    1 when (highest mid - lowest mid) / mid now > range_bps / 10,000 over the last window_ms, and for hold_s after

Looked at with each change of the touch. The window moves in 16 steps and reaches back between 15/16 and all of
window_ms; the mid in force at its beginning counts, hence a jump after a silence is seen.

Unit: 0 or 1. NaN: before the first touch.

When it fails: a move is a fact, not its cause; news spikes like a pushed price. `spike` is the range itself, in bps.

Example: range_bps = 200: within 2 s the mid goes 100.00, 102.50, 100.00: 250 bps, 1 until 10 s after the window has
left the high behind, counted from the last change of the touch that saw it.""",
    options=SpikeFlagOptions,
    build=_build_spike_flag,
    provides="spike_flag",
    unit="0 or 1",
)

MANIPULATION = SignalSpec(
    name="manipulation",
    summary="1 while the book is so thin or so lopsided that its price is easily pushed, else 0.",
    description="""\
A look into the book finds it easily pushed when one of these holds:

    |bids - asks| / (bids + asks) > imbalance        over the best `levels` levels of each side
    lots from the best price to impact_bps beyond it <= impact_notional_quote / mid        on either side

The second says that an order of impact_notional_quote would move that side's best price by more than impact_bps. The
book is looked into with a change of the touch, at most each sample_interval_ms; the value is 1 when `looks` looks in a
row agree, and for hold_s after the last that did.

Unit: 0 or 1. NaN: before the first look.

When it fails: intent is not in the data; a market that is thin by nature is flagged for ever (lower
impact_notional_quote until it is not). Which of the two held is told by `imbalance` and `price-impact` beside it.

Cost: a look adds up the levels within impact_bps; one far beyond the best 128 levels goes through the whole side.

Example: 10 levels hold 95 on the bid and 5 on the ask: (95 - 5) / 100 = 0.9 is beyond 0.8. Seen in three looks in a
row, 250 ms apart, the value is 1, and it is 0 again 10 s after the last of them.""",
    options=ManipulationOptions,
    build=_build_manipulation,
    provides="manipulation",
    unit="0 or 1",
)

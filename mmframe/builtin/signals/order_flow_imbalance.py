"""The signal `order-flow-imbalance`: what joined the bid side less what joined the ask side, event by event."""

from __future__ import annotations

from math import exp, isnan, log, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.signals._market_book import market_book
from mmframe.domain.market import Side
from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.domain.views import TradeTick
    from mmframe.plugin.rules import State
    from mmframe.ports import Book, Signal

__all__ = ["ORDER_FLOW_IMBALANCE", "DeepOrderFlowImbalance", "OrderFlowImbalanceOptions", "on_touch", "read"]

_SIZE = "size"
_DEPTH = "depth"
_DEPTH_FLOOR = 1e-12
"""A mean depth below this is none: nothing is divided by it."""

_HAS_BEGUN = 0
_BEGAN_NS = 1
_CHANGED_NS = 2
_BID = 3
_BID_SIZE = 4
_ASK = 5
_ASK_SIZE = 6
_FLOW = 7
"""Decayed sum of contributions, base units."""
_DEPTH_MEAN = 8
"""Decayed integral of (bid size + ask size) / 2 over time; divided by the weight it is the mean depth."""
_WEIGHT = 9
_STATE_SIZE = 10


@attrs.frozen
class OrderFlowImbalanceOptions:
    """Options of `order-flow-imbalance`."""

    half_life_s: float = option(
        help="Time after which a contribution counts half.", default=10.0, unit="s", above=0.0, maximum=86_400.0
    )
    levels: int = option(
        help="Levels of each side; 1 is the touch, as in the paper, and needs no look into the book.",
        default=1,
        unit="levels",
        minimum=1,
        maximum=50,
    )
    in_units_of: str = option(
        help="`size`: base units. `depth`: over twice the mean depth of a level, the move in ticks it foretells.",
        default=_SIZE,
        choices=(_SIZE, _DEPTH),
    )


class OrderFlowImbalanceParams(NamedTuple):
    """The options as the rule reads them."""

    mean_life_ns: float
    """Half-life over ln 2."""
    warm_up_ns: float
    is_over_depth: bool


def on_touch(params: OrderFlowImbalanceParams, state: State, tick: BookTick) -> None:
    """Decay what is remembered and add what this change of the touch contributes."""
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_BEGAN_NS] = float(tick.now_ns)
    else:
        decay = exp(-(tick.now_ns - state[_CHANGED_NS]) / params.mean_life_ns)
        flow = 0.0
        # At an equal price both indicators hold: what counts is then the change of the size.
        if tick.bid >= state[_BID]:
            flow += tick.bid_size
        if tick.bid <= state[_BID]:
            flow -= state[_BID_SIZE]
        if tick.ask <= state[_ASK]:
            flow -= tick.ask_size
        if tick.ask >= state[_ASK]:
            flow += state[_ASK_SIZE]
        depth = (state[_BID_SIZE] + state[_ASK_SIZE]) / 2.0
        state[_FLOW] = decay * state[_FLOW] + flow
        state[_DEPTH_MEAN] = decay * state[_DEPTH_MEAN] + (1.0 - decay) * depth
        state[_WEIGHT] = decay * state[_WEIGHT] + (1.0 - decay)
    state[_CHANGED_NS] = float(tick.now_ns)
    state[_BID] = tick.bid
    state[_BID_SIZE] = tick.bid_size
    state[_ASK] = tick.ask
    state[_ASK_SIZE] = tick.ask_size


def read(params: OrderFlowImbalanceParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the decayed sum of contributions, in the unit asked for."""
    if state[_HAS_BEGUN] == 0.0 or now_ns - state[_BEGAN_NS] < params.warm_up_ns:
        return nan
    decay = exp(-(now_ns - state[_CHANGED_NS]) / params.mean_life_ns)
    flow = decay * state[_FLOW]
    if not params.is_over_depth:
        return flow
    total = decay * state[_DEPTH_MEAN] + (1.0 - decay) * (state[_BID_SIZE] + state[_ASK_SIZE]) / 2.0
    weight = decay * state[_WEIGHT] + (1.0 - decay)
    if weight <= 0.0 or total / weight <= _DEPTH_FLOOR:
        return nan
    return flow / (2.0 * (total / weight))


class DeepOrderFlowImbalance:
    """The mean of the flows of several levels; not a rule, since it looks into the book."""

    __slots__ = ("_book", "_levels", "_lot", "_rules", "on_touch", "on_trade")

    on_touch: Callable[[BookTick], None] | None
    on_trade: Callable[[TradeTick], None] | None

    def __init__(self, book: Book, params: OrderFlowImbalanceParams, *, levels: int, lot: float) -> None:
        self._book = book
        self._levels = levels
        self._lot = lot
        self._rules = tuple(_rule(params) for _ in range(levels))
        self.on_touch = self._look
        self.on_trade = None

    def read(self, now_ns: int, tick: BookTick) -> float:
        """Return the mean over the levels that have a value; NaN when none has."""
        values = [value for rule in self._rules if not isnan(value := rule.read(now_ns, tick))]
        return sum(values) / len(values) if values else nan

    def _look(self, tick: BookTick) -> None:
        """Compare each level that both sides have with the same level at the last look."""
        bids = self._book.levels(Side.BUY, self._levels)
        asks = self._book.levels(Side.SELL, self._levels)
        lot = self._lot
        for rule, (bid_ticks, bid_lots), (ask_ticks, ask_lots) in zip(self._rules, bids, asks, strict=False):
            level = BookTick(tick.now_ns, bid_ticks, bid_lots * lot, ask_ticks, ask_lots * lot, tick.mid)
            if rule.on_touch is not None:
                rule.on_touch(level)


def _rule(params: OrderFlowImbalanceParams) -> SignalRule:
    return SignalRule(read, params, (0.0,) * _STATE_SIZE, on_touch=on_touch)


def _build(options: OrderFlowImbalanceOptions, context: BuildContext) -> Signal:
    params = OrderFlowImbalanceParams(
        options.half_life_s * 1e9 / log(2.0), options.half_life_s * 1e9, options.in_units_of == _DEPTH
    )
    if options.levels == 1:
        return _rule(params)
    book = market_book(context, "order-flow-imbalance")
    return DeepOrderFlowImbalance(book, params, levels=options.levels, lot=context.instrument.lot)


ORDER_FLOW_IMBALANCE = SignalSpec(
    name="order-flow-imbalance",
    summary="Orders added at the bid and removed at the ask, less the reverse, decayed over time.",
    description="""\
Each change of the touch, from (bid', bid_size', ask', ask_size') to (bid, bid_size, ask, ask_size), contributes

    e = [bid >= bid'] bid_size - [bid <= bid'] bid_size' - [ask <= ask'] ask_size + [ask >= ask'] ask_size'

[...] is 1 when it holds, else 0. At an unchanged price both hold, and the change of the size is left; a better bid adds
its whole size, a bid that gives way takes its former size. Trades need no place of their own: a taker removes size.

    order_flow_imbalance = sum of e_i x e^(-age_i / tau)        tau = half_life_s / ln 2

The paper sums over fixed intervals; the decayed sum is the same without their edges. With `in_units_of = "depth"` it is
divided by 2 x the mean of (bid_size + ask_size) / 2, weighted alike over time: in the paper's stylised book, where all
levels are equally deep, that is the move of the mid in ticks that goes with this flow.

With `levels` above 1 the same is summed for each level (best, second, ...) of both sides, and the value is the mean of
these sums. Deeper levels are compared when the touch changes, not at each change of their own: between two looks sizes
at an unchanged price net out exactly, what came and went at a price that moved is missed.

Unit: base units, or ticks with `in_units_of = "depth"`. NaN: until half_life_s after the first touch.

When it fails: quotes that flicker add and remove size with no intent to trade; the flow explains the move of the same
moment well and the next one little. A touch restored after a gap counts as one change.

Source: Cont, Kukanov & Stoikov, The price impact of order book events (2014), section 2; several levels: Xu, Gould &
Howison, Multi-level order-flow imbalance in a limit order book (2018), their mean as in Cont, Cucuringu & Zhang (2023).

Example: bid 100.00 x 5 grows to 7: e = 7 - 5 = 2. Then the ask 100.02 x 4 is taken and 100.03 x 6 is best: e = 4. With
no time in between the sum is 6 base units.""",
    options=OrderFlowImbalanceOptions,
    build=_build,
    provides="order_flow_imbalance",
    unit="base units, or ticks",
)

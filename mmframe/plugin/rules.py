"""Rules: components written as pure functions of tuples, numbers and a small float state, in plain Python and `math`.

A rule satisfies its port as it is, and a compiling engine can translate the very same function. So a rule's function
uses no objects, strings, dicts or exceptions, and returns a whole new tuple instead of `_replace`.

`params` is a NamedTuple of numbers made from the options; `state` is a list of floats that only the rule changes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.domain.views import (
        Advice,
        BookTick,
        FillTick,
        Inventory,
        MarketView,
        QuoteProposal,
        RiskVerdict,
        TradeTick,
    )

    State = list[float]
    ProposeFunction = Callable[[Any, State, MarketView, Inventory, Advice, QuoteProposal], QuoteProposal]
    AssessFunction = Callable[[Any, State, MarketView, Inventory, Advice, QuoteProposal], RiskVerdict]
    FillFunction = Callable[[Any, State, FillTick], None]
    TouchFunction = Callable[[Any, State, BookTick], None]
    TradeFunction = Callable[[Any, State, TradeTick], None]
    ReadFunction = Callable[[Any, State, int, BookTick], float]

__all__ = ["OptimizerRule", "RiskRule", "SignalRule"]


class OptimizerRule:
    """An optimizer from `function(params, state, view, inventory, advice, proposal) -> QuoteProposal`.

    Args:
        function: The rule.
        params: A NamedTuple of numbers.
        state: Initial state.
        on_fill: `(params, state, fill)`, called for each execution of ours in this market, or None.
    """

    __slots__ = ("fill_function", "function", "on_fill", "params", "propose", "state")

    propose: Callable[[MarketView, Inventory, Advice, QuoteProposal], QuoteProposal]
    on_fill: Callable[[FillTick], None] | None

    def __init__(
        self,
        function: ProposeFunction,
        params: Any,
        state: Sequence[float] = (),
        *,
        on_fill: FillFunction | None = None,
    ) -> None:
        self.function = function
        self.fill_function = on_fill
        self.params = params
        self.state = [float(value) for value in state]
        self.propose = partial(function, params, self.state)
        self.on_fill = None if on_fill is None else partial(on_fill, params, self.state)


class RiskRule:
    """A risk control from `function(params, state, view, inventory, advice, proposal) -> RiskVerdict`.

    Args:
        function: The rule.
        params: A NamedTuple of numbers.
        state: Initial state. It is kept over a restart when the spec says `keeps_state`.
        on_fill: `(params, state, fill)`, called for each execution of ours in this market, or None.
    """

    __slots__ = ("assess", "fill_function", "function", "on_fill", "params", "state")

    assess: Callable[[MarketView, Inventory, Advice, QuoteProposal], RiskVerdict]
    on_fill: Callable[[FillTick], None] | None

    def __init__(
        self,
        function: AssessFunction,
        params: Any,
        state: Sequence[float] = (),
        *,
        on_fill: FillFunction | None = None,
    ) -> None:
        self.function = function
        self.fill_function = on_fill
        self.params = params
        self.state = [float(value) for value in state]
        self.assess = partial(function, params, self.state)
        self.on_fill = None if on_fill is None else partial(on_fill, params, self.state)


class SignalRule:
    """A signal from up to three functions over one shared state.

    Args:
        read: `(params, state, now_ns, tick) -> float`; NaN when not known yet.
        params: A NamedTuple of numbers.
        state: Initial state.
        on_touch: `(params, state, tick)`, or None.
        on_trade: `(params, state, trade)`, or None.
    """

    __slots__ = (
        "on_touch",
        "on_touch_function",
        "on_trade",
        "on_trade_function",
        "params",
        "read",
        "read_function",
        "state",
    )

    on_touch: Callable[[BookTick], None] | None
    on_trade: Callable[[TradeTick], None] | None
    read: Callable[[int, BookTick], float]

    def __init__(
        self,
        read: ReadFunction,
        params: Any,
        state: Sequence[float] = (),
        *,
        on_touch: TouchFunction | None = None,
        on_trade: TradeFunction | None = None,
    ) -> None:
        self.params = params
        self.state = [float(value) for value in state]
        self.read_function = read
        self.on_touch_function = on_touch
        self.on_trade_function = on_trade
        self.read = partial(read, params, self.state)
        self.on_touch = None if on_touch is None else partial(on_touch, params, self.state)
        self.on_trade = None if on_trade is None else partial(on_trade, params, self.state)

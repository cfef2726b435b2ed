"""The signal `imbalance`: which side of the book is heavier, at the touch or over several levels."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.signals._market_book import market_book
from mmframe.domain.depth import imbalance
from mmframe.domain.market import Side
from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.domain.views import TradeTick
    from mmframe.plugin.rules import State
    from mmframe.ports import Book, Signal

__all__ = ["IMBALANCE", "DepthImbalance", "ImbalanceOptions", "read"]


@attrs.frozen
class ImbalanceOptions:
    """Options of `imbalance`."""

    levels: int = option(
        help="Levels of each side that count; 1 is the touch alone and needs no look into the book.",
        default=1,
        unit="levels",
        minimum=1,
        maximum=1_000,
    )


class ImbalanceParams(NamedTuple):
    """None: the touch needs no options."""


def read(params: ImbalanceParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the imbalance of the touch."""
    sizes = tick.bid_size + tick.ask_size
    if not 0.0 < sizes < inf:
        return nan
    return (tick.bid_size - tick.ask_size) / sizes


class DepthImbalance:
    """The imbalance over several levels; not a rule, since it looks into the book."""

    __slots__ = ("_book", "_levels", "on_touch", "on_trade")

    on_touch: Callable[[BookTick], None] | None
    on_trade: Callable[[TradeTick], None] | None

    def __init__(self, book: Book, levels: int) -> None:
        self._book = book
        self._levels = levels
        self.on_touch = None
        self.on_trade = None

    def read(self, now_ns: int, tick: BookTick) -> float:  # noqa: ARG002 - the port's signature
        """Return the imbalance of the book as it stands; NaN when it is empty."""
        bid_lots = sum([lots for _, lots in self._book.levels(Side.BUY, self._levels)])
        ask_lots = sum([lots for _, lots in self._book.levels(Side.SELL, self._levels)])
        return imbalance(bid_lots, ask_lots) if bid_lots or ask_lots else nan


def _build(options: ImbalanceOptions, context: BuildContext) -> Signal:
    if options.levels == 1:
        return SignalRule(read, ImbalanceParams())
    return DepthImbalance(market_book(context, "imbalance"), options.levels)


IMBALANCE = SignalSpec(
    name="imbalance",
    summary="Share by which the bid side of the touch, or of some levels, outweighs the ask side.",
    description="""\
    imbalance = (bid size - ask size) / (bid size + ask size)

over the best `levels` levels of each side. From -1 (asks only) to 1 (bids only); positive says that the price is more
likely to rise next.

Unit: none. NaN: when there is no size at all. It has no memory and no warm-up.

Source: Cont, Kukanov & Stoikov, The price impact of order book events (2014).

Example: bid size 3 and ask size 1 give (3 - 1) / (3 + 1) = 0.5.""",
    options=ImbalanceOptions,
    build=_build,
    provides="imbalance",
)

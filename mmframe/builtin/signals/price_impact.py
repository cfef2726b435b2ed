"""The signal `price-impact`: how far the mid would move if somebody took a given size now."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.signals._market_book import market_book
from mmframe.domain.market import Side
from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, SignalSpec, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.domain.views import TradeTick
    from mmframe.ports import Book

__all__ = ["PRICE_IMPACT", "PriceImpact", "PriceImpactOptions"]

_BEYOND_BOOK_BPS = 10_000.0
"""What is answered when the book is thinner than the size: the price could go anywhere."""
_FIRST_LEVELS = 16
"""Levels read first; four times as many as long as they do not hold the size."""


@attrs.frozen
class PriceImpactOptions:
    """Options of `price-impact`."""

    size: Decimal = option(help="The size that is taken.", unit="base units", above=0.0, example="1")


class PriceImpact:
    """The larger of a buyer's and a seller's impact; not a rule, since it looks into the book."""

    __slots__ = ("_book", "_lots", "on_touch", "on_trade")

    on_touch: Callable[[BookTick], None] | None
    on_trade: Callable[[TradeTick], None] | None

    def __init__(self, book: Book, lots: int) -> None:
        self._book = book
        self._lots = lots
        self.on_touch = None
        self.on_trade = None

    def read(self, now_ns: int, tick: BookTick) -> float:  # noqa: ARG002 - the port's signature
        """Return the move of the mid in bps."""
        touch = self._book.touch()
        ask_after, bid_after = self._best_after(Side.SELL), self._best_after(Side.BUY)
        if ask_after is None or bid_after is None:
            return _BEYOND_BOOK_BPS
        moved_half_ticks = max(ask_after - touch.ask_ticks, touch.bid_ticks - bid_after)
        return min(_BEYOND_BOOK_BPS, moved_half_ticks / (touch.bid_ticks + touch.ask_ticks) * 10_000.0)

    def _best_after(self, side: Side) -> int | None:
        """Return the best price of `side` once the size is gone, None when nothing would be left."""
        count = _FIRST_LEVELS
        while True:
            levels = self._book.levels(side, count)
            left = self._lots
            for ticks, lots in levels:
                left -= lots
                if left < 0:
                    return ticks
            if len(levels) < count:
                return None
            count *= 4


def _build(options: PriceImpactOptions, context: BuildContext) -> PriceImpact:
    instrument = context.instrument
    lots = int(options.size // instrument.lot_size)
    if lots < 1:
        msg = f"size: expected at least one lot of {instrument.lot_size}, was {options.size}"
        raise DomainError(msg)
    return PriceImpact(market_book(context, "price-impact"), lots)


PRICE_IMPACT = SignalSpec(
    name="price-impact",
    summary="How far the mid would move, in bps, if a given size were taken now; the worse of both sides.",
    description="""\
    price_impact = max(ask' - ask, bid - bid') / 2 / mid x 10,000

ask' is the best ask that would be left after a buyer took `size` (rounded down to lots), bid' the best bid after a
seller did.

Unit: bps of the mid. Never NaN: 10,000 when one side holds no more than the size. It has no memory and no warm-up.

Example: asks 100.01 x 1 and 100.05 x 5, bids 99.99 x 9: taking 1 moves the ask to 100.05 and leaves the bid; the mid of
100.00 moves by 0.02, 2 bps.""",
    options=PriceImpactOptions,
    build=_build,
    provides="price_impact",
    unit="bps",
)

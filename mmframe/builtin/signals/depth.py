"""The signals `depth` and `absolute-depth`: how much rests near the mid, against its own usual or in base units."""

from __future__ import annotations

from math import exp, log, nan
from typing import TYPE_CHECKING

import attrs

from mmframe.builtin.signals._market_book import market_book
from mmframe.domain.depth import limit_ticks_within_bps
from mmframe.domain.market import Side
from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalSpec, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmframe.domain.views import TradeTick
    from mmframe.ports import Book

__all__ = ["ABSOLUTE_DEPTH", "DEPTH", "AbsoluteDepth", "AbsoluteDepthOptions", "DepthOptions", "RelativeDepth"]


@attrs.frozen
class AbsoluteDepthOptions:
    """Options of `absolute-depth`."""

    within_bps: float = option(
        help="Levels at most so far from the mid count.", default=50.0, unit="bps", above=0.0, maximum=10_000.0
    )
    sample_interval_ms: int = option(
        help="Shortest time between two looks into the book; in between the last one stands.",
        default=1_000,
        unit="ms",
        minimum=0,
        maximum=3_600_000,
    )


@attrs.frozen
class DepthOptions:
    """Options of `depth`."""

    within_bps: float = option(
        help="Levels at most so far from the mid count.", default=50.0, unit="bps", above=0.0, maximum=10_000.0
    )
    half_life_s: float = option(
        help="Time after which a past depth counts half in the usual depth.",
        default=300.0,
        unit="s",
        above=0.0,
        maximum=604_800.0,
    )
    sample_interval_ms: int = option(
        help="Shortest time between two looks into the book; in between the last one stands.",
        default=1_000,
        unit="ms",
        minimum=0,
        maximum=3_600_000,
    )
    warm_up_s: float = option(
        help="Time to observe before there is a value.", default=10.0, unit="s", minimum=0.0, maximum=86_400.0
    )


def depth_lots(book: Book, within_bps: float) -> int:
    """Return the lots of both sides within `within_bps` of the mid."""
    touch = book.touch()
    mid_ticks = (touch.bid_ticks + touch.ask_ticks) / 2.0
    return book.lots_through(Side.BUY, limit_ticks_within_bps(Side.BUY, mid_ticks, within_bps)) + book.lots_through(
        Side.SELL, limit_ticks_within_bps(Side.SELL, mid_ticks, within_bps)
    )


class _DepthSampler:
    """Looks into the book at most once an interval: adding up a deep side costs more than the rest of a decision.

    Attributes:
        lots: What the last look found.
        sampled_ns: When it was; None before the first.
    """

    __slots__ = ("_book", "_interval_ns", "_within_bps", "lots", "sampled_ns")

    def __init__(self, book: Book, *, within_bps: float, interval_ms: int) -> None:
        self._book = book
        self._within_bps = within_bps
        self._interval_ns = interval_ms * 1_000_000
        self.lots = 0
        self.sampled_ns: int | None = None

    def look(self, now_ns: int) -> bool:
        """Look again if it is time; return whether it was."""
        if self.sampled_ns is not None and now_ns - self.sampled_ns < self._interval_ns:
            return False
        self.lots = depth_lots(self._book, self._within_bps)
        self.sampled_ns = now_ns
        return True


class AbsoluteDepth:
    """What rests near the mid; not a rule, since it looks into the book."""

    __slots__ = ("_lot", "_sampler", "on_touch", "on_trade")

    on_touch: Callable[[BookTick], None] | None
    on_trade: Callable[[TradeTick], None] | None

    def __init__(self, book: Book, options: AbsoluteDepthOptions, *, lot: float) -> None:
        self._sampler = _DepthSampler(book, within_bps=options.within_bps, interval_ms=options.sample_interval_ms)
        self._lot = lot
        self.on_touch = self._look
        self.on_trade = None

    def read(self, now_ns: int, tick: BookTick) -> float:  # noqa: ARG002 - the port's signature
        """Return the size within reach of the mid, base units; NaN before the first look."""
        return nan if self._sampler.sampled_ns is None else self._sampler.lots * self._lot

    def _look(self, tick: BookTick) -> None:
        self._sampler.look(tick.now_ns)


class RelativeDepth:
    """What rests near the mid over what usually does; not a rule, since it looks into the book."""

    __slots__ = ("_began_ns", "_mean_life_ns", "_sampler", "_usual_lots", "_warm_up_ns", "on_touch", "on_trade")

    on_touch: Callable[[BookTick], None] | None
    on_trade: Callable[[TradeTick], None] | None

    def __init__(self, book: Book, options: DepthOptions) -> None:
        self._sampler = _DepthSampler(book, within_bps=options.within_bps, interval_ms=options.sample_interval_ms)
        self._mean_life_ns = options.half_life_s * 1e9 / log(2.0)
        self._warm_up_ns = int(options.warm_up_s * 1e9)
        self._began_ns: int | None = None
        self._usual_lots = 0.0
        self.on_touch = self._look
        self.on_trade = None

    def read(self, now_ns: int, tick: BookTick) -> float:  # noqa: ARG002 - the port's signature
        """Return the depth over the usual depth; NaN while it warms up or when there never was any."""
        if self._began_ns is None or now_ns - self._began_ns < self._warm_up_ns or self._usual_lots <= 0.0:
            return nan
        return self._sampler.lots / self._usual_lots

    def _look(self, tick: BookTick) -> None:
        """Let the depth of this moment into the usual depth, when it is time."""
        before_ns = self._sampler.sampled_ns
        if not self._sampler.look(tick.now_ns):
            return
        if before_ns is None:
            self._began_ns = tick.now_ns
            self._usual_lots = float(self._sampler.lots)
            return
        weight = exp(-(tick.now_ns - before_ns) / self._mean_life_ns)
        self._usual_lots = weight * self._usual_lots + (1.0 - weight) * self._sampler.lots


def _build_absolute(options: AbsoluteDepthOptions, context: BuildContext) -> AbsoluteDepth:
    return AbsoluteDepth(market_book(context, "absolute-depth"), options, lot=context.instrument.lot)


def _build_relative(options: DepthOptions, context: BuildContext) -> RelativeDepth:
    return RelativeDepth(market_book(context, "depth"), options)


DEPTH = SignalSpec(
    name="depth",
    summary="Size resting near the mid relative to its own average: below 1 is a thin book.",
    description="""\
    relative_depth = D / M        D = bids at or above mid x (1 - within_bps / 10,000)
                                    + asks at or below mid x (1 + within_bps / 10,000)

The book is looked into at the first touch and then at each change of the touch at least sample_interval_ms after the
last look. D is what the last look found. M is the mean of D, weighted exponentially in time: at first M = D, then at
each look, dt after the one before, M <- w M + (1 - w) D with w = 2^(-dt / half_life_s).

Unit: none, 1 is as deep as usual. NaN: until warm_up_s after the first touch, and when there never was any depth (the
spread is wider than 2 x within_bps).

Cost: a look adds up the levels within reach; one far beyond the best 128 levels goes through the whole side.

Example: 40 BTC usually rest within 50 bps and 10 do now: 10 / 40 = 0.25.""",
    options=DepthOptions,
    build=_build_relative,
    provides="relative_depth",
)

ABSOLUTE_DEPTH = SignalSpec(
    name="absolute-depth",
    summary="Size resting near the mid, both sides, in base units.",
    description="""\
    depth = bids at or above mid x (1 - within_bps / 10,000) + asks at or below mid x (1 + within_bps / 10,000)

The book is looked into at the first touch and then at each change of the touch at least sample_interval_ms after the
last look.

Unit: base units. NaN before the first touch; 0 when nothing rests within reach.

Example: within 50 bps of 100.00, bids of 2 at 99.60 and asks of 3 at 100.40 count: 5.""",
    options=AbsoluteDepthOptions,
    build=_build_absolute,
    provides="depth",
    unit="base units",
)

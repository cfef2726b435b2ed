"""The signal `micro-price`: the mid, weighted by the sizes at the touch."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any, NamedTuple

from mmframe.domain.views import BookTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["MICRO_PRICE", "read"]


class MicroPriceParams(NamedTuple):
    """None: the signal has no options."""


def read(params: MicroPriceParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the touch's prices, each weighted by the size on the other side."""
    sizes = tick.bid_size + tick.ask_size
    if not 0.0 < sizes < inf:
        return nan
    return (tick.bid * tick.ask_size + tick.ask * tick.bid_size) / sizes


def _build(options: Any, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    return SignalRule(read, MicroPriceParams())


MICRO_PRICE = SignalSpec(
    name="micro-price",
    summary="Mid weighted by the sizes at the touch: leans to the side about to give way.",
    description="""\
    micro_price = (bid x ask_size + ask x bid_size) / (bid_size + ask_size)

Lies between bid and ask. A heavy bid pushes it up towards the ask, because the thin ask is the one likely to be eaten.

Unit: quote units per base unit. NaN: when the touch has no size. It has no memory and no warm-up.

Source: Stoikov, The micro-price (2018), where this is the weighted mid, the first approximation.

Example: bid 100.00 x 3 and ask 100.02 x 1 give (100.00 x 1 + 100.02 x 3) / 4 = 100.015.""",
    build=_build,
    provides="micro_price",
    unit="quote units",
)

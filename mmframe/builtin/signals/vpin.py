"""The signal `vpin`: how one-sided taker volume is, measured in volume time with the takers' true sides."""

from __future__ import annotations

from decimal import Decimal
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import BookTick, TradeTick
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["VPIN", "VpinOptions", "on_trade", "read"]

_VOLUME = 0
"""In the open bucket, base units."""
_SIGNED = 1
"""Bought less sold in the open bucket, base units."""
_FILLED = 2
"""Full buckets remembered."""
_NEWEST = 3
_SUM = 4
"""Of the absolute imbalances remembered."""
_IMBALANCES = 5


@attrs.frozen
class VpinOptions:
    """Options of `vpin`."""

    bucket_size: Decimal = option(
        help="Volume of a bucket; the paper takes a fiftieth of a day's volume.",
        unit="base units",
        above=0.0,
        example="25",
    )
    buckets: int = option(help="Full buckets in the mean.", default=50, unit="buckets", minimum=1, maximum=1_000)


class VpinParams(NamedTuple):
    """The options as the rule reads them."""

    bucket_size: float
    buckets: int


def on_trade(params: VpinParams, state: State, trade: TradeTick) -> None:
    """Fill the open bucket; what is over fills the next ones."""
    left = trade.size
    room = params.bucket_size - state[_VOLUME]
    if left < room:
        state[_VOLUME] += left
        state[_SIGNED] += trade.side * left
    else:
        left -= room
        newest = (int(state[_NEWEST]) + 1) % params.buckets
        state[_IMBALANCES + newest] = min(params.bucket_size, abs(state[_SIGNED] + trade.side * room))
        # A trade of more than all buckets together leaves nothing else: no need to go round more than once.
        whole = int(min(left / params.bucket_size, float(params.buckets)))
        for _ in range(whole):
            newest = (newest + 1) % params.buckets
            state[_IMBALANCES + newest] = abs(trade.side) * params.bucket_size
        left = left % params.bucket_size
        filled = int(min(state[_FILLED] + 1.0 + whole, float(params.buckets)))
        # Summed anew, not carried on: what rounding leaves would stay for ever.
        total = 0.0
        for age in range(filled):
            total += state[_IMBALANCES + (newest - age) % params.buckets]
        state[_SUM] = total
        state[_NEWEST] = float(newest)
        state[_FILLED] = float(filled)
        state[_VOLUME] = left
        state[_SIGNED] = trade.side * left


def read(params: VpinParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the mean absolute imbalance of the buckets as a share of a bucket."""
    if state[_FILLED] < params.buckets:
        return nan
    return min(1.0, state[_SUM] / (params.buckets * params.bucket_size))


def _build(options: VpinOptions, context: BuildContext) -> SignalRule:
    lot_size = context.instrument.lot_size
    if options.bucket_size < lot_size:
        msg = f"bucket_size: expected at least one lot of {lot_size}, was {options.bucket_size}"
        raise DomainError(msg, hint="a bucket holds many trades, or its imbalance is always whole")
    params = VpinParams(float(options.bucket_size), options.buckets)
    return SignalRule(read, params, (0.0,) * (_IMBALANCES + params.buckets), on_trade=on_trade)


VPIN = SignalSpec(
    name="vpin",
    summary="Volume-synchronised probability of informed trading: 0 balanced takers, 1 all on one side.",
    description="""\
Trades fill buckets of bucket_size one after the other; one that does not fit is split. B_i is what takers bought in
bucket i, S_i what they sold:

    vpin = sum over the last `buckets` full buckets of |B_i - S_i| / (buckets x bucket_size)

The paper has to guess which side took (bulk classification by price changes); here the sides are those that the venue
tells. A trade whose side is not told counts half bought, half sold.

Unit: none; from 0 to 1. NaN: until `buckets` buckets are full.

When it fails: volume is its only clock, so in a quiet market the value is old: look at `trade-flow` too. Its level
depends on the bucket: with few trades in one it is high whatever the market (one trade a bucket is 1), so compare it
with its own past. It tells one-sided flow, not what those traders know.

Source: Easley, Lopez de Prado & O'Hara, Flow toxicity and liquidity in a high-frequency world (2012).

Example: bucket_size 10, buckets 2. A buy of 6, a sell of 8 (4 of it fill the first bucket: |6 - 4| = 2, 4 go to the
second), a buy of 6 (|6 - 4| = 2): (2 + 2) / 20 = 0.2.""",
    options=VpinOptions,
    build=_build,
    provides="vpin",
)

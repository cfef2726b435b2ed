"""The signal `stoikov-micro-price`: where the mid is expected to go, by imbalance and spread, from a table."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["STOIKOV_MICRO_PRICE", "StoikovMicroPriceOptions", "read"]

_SPREAD_MAX_TICKS = 1e9
"""A wider spread is no market."""
_EDGE = 1e-9
"""Share of a bucket that a share of sizes may be below an edge by rounding alone."""


@attrs.frozen
class StoikovMicroPriceOptions:
    """Options of `stoikov-micro-price`."""

    table: Path = option(
        help="File of the calibrated table, relative to the strategy file.", example="micro-price.json"
    )


class StoikovMicroPriceParams(NamedTuple):
    """What the rule knows of its table; the adjustments themselves, in quote units, are its state and never change."""

    tick: float
    imbalance_buckets: int
    spreads: int


def read(params: StoikovMicroPriceParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the mid plus the table's adjustment for this touch; NaN for a state that the table does not know."""
    sizes = tick.bid_size + tick.ask_size
    spread_ticks = (tick.ask - tick.bid) / params.tick
    if not 0.0 < sizes < inf or not 0.0 < spread_ticks < _SPREAD_MAX_TICKS:
        return nan
    # As `state_of` does it with whole lots: from the lighter side; an edge belongs to the bucket nearer to the middle.
    lighter = tick.bid_size if tick.bid_size < tick.ask_size else tick.ask_size
    bucket = int(params.imbalance_buckets * (lighter / sizes) + _EDGE)
    if tick.bid_size > tick.ask_size:
        bucket = params.imbalance_buckets - 1 - bucket
    spread = min(max(int(spread_ticks + 0.5), 1), params.spreads)
    return tick.mid + state[(spread - 1) * params.imbalance_buckets + bucket]


def _build(options: StoikovMicroPriceOptions, context: BuildContext) -> SignalRule:
    from mmframe.builtin.signals.micro_price_table import load_micro_price_table  # noqa: PLC0415 - only with a table

    try:
        table = load_micro_price_table(context.directory / options.table)
    except OSError as error:
        msg = f"table: expected a file that can be read, was {str(options.table)!r}: {error.strerror}"
        raise DomainError(msg, hint="`mmframe calibrate FILE --model micro-price` makes one") from error
    instrument = context.instrument
    if table.tick_size != instrument.tick_size:
        msg = f"table: expected one for a tick size of {instrument.tick_size}, was {table.tick_size}"
        raise DomainError(msg, hint="calibrate it on this market")
    params = StoikovMicroPriceParams(instrument.tick, table.imbalance_buckets, table.spreads)
    return SignalRule(read, params, [value * instrument.tick for value in table.adjustments_ticks])


STOIKOV_MICRO_PRICE = SignalSpec(
    name="stoikov-micro-price",
    summary="The mid that is to be expected after the coming moves, by a table calibrated on recorded touches.",
    description="""\
    stoikov_micro_price = mid + adjustment(imbalance, spread)

imbalance = bid_size / (bid_size + ask_size) falls into one of equally wide buckets (on the edge of two into that nearer
to the middle), the spread is counted in ticks, the
widest one in the table standing for wider ones. The adjustment is the expected sum of all coming moves of the mid, if
touches change as in the recording: with Q the chances to go from state to state without a move, R the expected first
move and T the chances of the state after it,

    G = (1 - Q)^-1 R        B = (1 - Q)^-1 T        adjustment = G + B G + B^2 G + ...

`mmframe calibrate FILE --model micro-price` makes the table from the history of a strategy file. It does so with
`mmframe.builtin.signals.micro_price_table`: `touches_of` (a history's touches), `calibrate_micro_price` (touches to
table, each with its mirror image) and `save_micro_price_table`, which writes the file that `table` names.

Unit: quote units per base unit. NaN: when the touch has no size, and in a state of which the recording had no example.
It has no memory and no warm-up.

When it fails: the table is of one market, tick size and time; sizes at the touch that mean something else now (another
tick size, a maker who quotes large for show) make it wrong without a sign. A table for another tick size is refused.
`micro-price` needs no table and is its first approximation.

Source: Stoikov, The micro-price: a high-frequency estimator of future prices (2018).

Example: with 9 buckets, bid 100.00 x 8 and ask 100.01 x 1 give imbalance 0.889, the last bucket; an adjustment of 0.4
ticks there for a spread of 1 tick makes 100.005 + 0.004 = 100.009.""",
    options=StoikovMicroPriceOptions,
    build=_build,
    provides="stoikov_micro_price",
    unit="quote units",
)

"""The signal `trade-flow`: which way takers have been trading lately, and how hard."""

from __future__ import annotations

from math import exp, expm1, log, nan
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import BookTick, TradeTick
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["TRADE_FLOW", "TradeFlowOptions", "on_trade", "read"]

_HAS_BEGUN = 0
_BEGAN_NS = 1
_TRADED_NS = 2
_SIGNED = 3
"""Taker volume, bought less sold, decayed over the half-life; base units."""
_VOLUME = 4
"""Volume, decayed over the half-life; base units."""
_USUAL = 5
"""Volume after the first trade, decayed over the reference half-life; base units."""
_STATE_SIZE = 6


@attrs.frozen
class TradeFlowOptions:
    """Options of `trade-flow`."""

    half_life_s: float = option(
        help="Time after which a trade counts half.", default=10.0, unit="s", above=0.0, maximum=86_400.0
    )
    reference_half_life_s: float = option(
        help="Half-life of the usual volume that a quiet market is measured against.",
        default=300.0,
        unit="s",
        above=0.0,
        maximum=604_800.0,
    )


class TradeFlowParams(NamedTuple):
    """The options as the rule reads them: mean lives, half-life over ln 2."""

    mean_life_s: float
    reference_mean_life_s: float
    warm_up_ns: float


def on_trade(params: TradeFlowParams, state: State, trade: TradeTick) -> None:
    """Decay what is remembered and add one trade."""
    if state[_HAS_BEGUN] == 0.0:
        # The first trade starts the clock of the usual volume and is not part of it: a rate needs time before events.
        state[_HAS_BEGUN] = 1.0
        state[_BEGAN_NS] = float(trade.now_ns)
    else:
        elapsed_s = (trade.now_ns - state[_TRADED_NS]) * 1e-9
        decay = exp(-elapsed_s / params.mean_life_s)
        state[_SIGNED] *= decay
        state[_VOLUME] *= decay
        state[_USUAL] = exp(-elapsed_s / params.reference_mean_life_s) * state[_USUAL] + trade.size
    state[_SIGNED] += trade.side * trade.size
    state[_VOLUME] += trade.size
    state[_TRADED_NS] = float(trade.now_ns)


def read(params: TradeFlowParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the signed volume as a share of the volume, or of the usual volume when that is larger."""
    if state[_HAS_BEGUN] == 0.0 or now_ns - state[_BEGAN_NS] < params.warm_up_ns:
        return nan
    elapsed_s = (now_ns - state[_TRADED_NS]) * 1e-9
    decay = exp(-elapsed_s / params.mean_life_s)
    signed = state[_SIGNED] * decay
    reference = state[_VOLUME] * decay
    observed = -expm1((state[_BEGAN_NS] - now_ns) * 1e-9 / params.reference_mean_life_s)
    if observed > 0.0:
        usual_per_s = (
            state[_USUAL] * exp(-elapsed_s / params.reference_mean_life_s) / (params.reference_mean_life_s * observed)
        )
        usual = usual_per_s * params.mean_life_s
        reference = max(reference, usual)
    if reference <= 0.0:
        return 0.0
    # Rounding may leave a hair more than the whole.
    return min(1.0, max(-1.0, signed / reference))


def _build(options: TradeFlowOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    params = TradeFlowParams(
        options.half_life_s / log(2.0), options.reference_half_life_s / log(2.0), options.half_life_s * 1e9
    )
    return SignalRule(read, params, (0.0,) * _STATE_SIZE, on_trade=on_trade)


TRADE_FLOW = SignalSpec(
    name="trade-flow",
    summary="Signed taker volume, decayed over time, as a share of the volume: -1 all sold, 1 all bought.",
    description="""\
    S = sum of side_i x size_i x e^(-age_i / tau)        tau = half_life_s / ln 2
    A = sum of size_i x e^(-age_i / tau)
    U = tau x usual volume a second
    trade_flow = S / max(A, U)

side_i is 1 when the taker bought, -1 when it sold, 0 when the source does not tell. The usual volume a second is the
same kind of sum over reference_half_life_s, over the time it covers, from the first trade on. While the market trades
as usual or harder the value is the balance of sides, S / A; when it goes quiet A falls below U and the value fades to 0
instead of holding the last trade's side for hours.

Unit: none; from -1 to 1. NaN: until half_life_s after the first trade, so for ever in a market without trades.

Example: with half_life_s = 10, a buy of 2 just now, a sell of 2 ten seconds ago and a small usual volume give
S = 2 - 1 = 1, A = 3 and 1 / 3 = 0.33.""",
    options=TradeFlowOptions,
    build=_build,
    provides="trade_flow",
)

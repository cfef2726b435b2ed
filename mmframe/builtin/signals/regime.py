"""The signals `liquidity-regime` and `market-condition`: small whole numbers that do not flicker."""

from __future__ import annotations

from math import exp, inf, log, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.domain.views import BookTick
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, SignalRule, SignalSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "LIQUIDITY_REGIME",
    "MARKET_CONDITION",
    "LiquidityRegimeOptions",
    "MarketConditionOptions",
    "on_liquidity_touch",
    "on_market_touch",
    "read_liquidity",
    "read_market",
]

_LOW_LIQUIDITY = 0.0
_NORMAL_LIQUIDITY = 1.0
_HIGH_LIQUIDITY = 2.0

_STABLE = 0.0
_VOLATILE = 1.0
_TRENDING_UP = 2.0
_TRENDING_DOWN = 3.0
_LOW_LIQUIDITY_MARKET = 4.0

_ROUNDING_SHARE = 1e-10
"""Of the mid: what a mean may be away from a mid that never moved."""

_HAS_BEGUN = 0
_BEGAN_NS = 1
_SAMPLED_NS = 2
_VALUE = 3
"""The code in force."""

_BID_SIZE = 4
_ASK_SIZE = 5
_SPREAD = 6
"""Of the touch in force."""
_DEPTH_NOW = 7
_DEPTH_USUAL = 8
_SPREAD_NOW = 9
_SPREAD_USUAL = 10
_LIQUIDITY_SIZE = 11

_MID = 4
"""The mid in force."""
_SAMPLED_MID = 5
_SPREAD_IN_FORCE = 6
_VARIANCE_NOW = 7
_WEIGHT_NOW = 8
_VARIANCE_USUAL = 9
_WEIGHT_USUAL = 10
_MID_MEAN = 11
_MARKET_SPREAD_NOW = 12
_MARKET_SPREAD_USUAL = 13
_IS_VOLATILE = 14
_TREND = 15
_IS_LOW = 16
_MARKET_SIZE = 17


@attrs.frozen
class LiquidityRegimeOptions:
    """Options of `liquidity-regime`."""

    half_life_s: float = option(
        help="Half-life of the means that stand for now.", default=60.0, unit="s", above=0.0, maximum=86_400.0
    )
    usual_half_life_s: float = option(
        help="Half-life of the means that stand for usual.", default=1_800.0, unit="s", above=0.0, maximum=604_800.0
    )
    low_below: float = option(
        help="Liquidity, 1 being usual, below which the regime turns low.", default=0.5, unit="ratio", above=0.0
    )
    low_until: float = option(
        help="Liquidity that ends a low regime.", default=0.7, unit="ratio", above=0.0, maximum=1.0
    )
    high_above: float = option(
        help="Liquidity above which the regime turns high.", default=2.0, unit="ratio", above=1.0
    )
    high_until: float = option(help="Liquidity that ends a high regime.", default=1.5, unit="ratio", minimum=1.0)
    warm_up_s: float = option(
        help="Time to observe before there is a value.", default=60.0, unit="s", minimum=0.0, maximum=604_800.0
    )


class LiquidityRegimeParams(NamedTuple):
    """The options as the rule reads them; mean lives are half-lives over ln 2."""

    mean_life_ns: float
    usual_mean_life_ns: float
    low_below: float
    low_until: float
    high_above: float
    high_until: float
    warm_up_ns: float


def on_liquidity_touch(params: LiquidityRegimeParams, state: State, tick: BookTick) -> None:
    """Let the touch that was in force until now into the means, choose the regime, and note the new touch."""
    spread = tick.ask - tick.bid
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_BEGAN_NS] = float(tick.now_ns)
        state[_VALUE] = _NORMAL_LIQUIDITY
        depth = tick.bid_size + tick.ask_size
        state[_DEPTH_NOW] = depth
        state[_DEPTH_USUAL] = depth
        state[_SPREAD_NOW] = spread
        state[_SPREAD_USUAL] = spread
    else:
        elapsed_ns = tick.now_ns - state[_SAMPLED_NS]
        depth = state[_BID_SIZE] + state[_ASK_SIZE]
        keep = exp(-elapsed_ns / params.mean_life_ns)
        keep_usual = exp(-elapsed_ns / params.usual_mean_life_ns)
        state[_DEPTH_NOW] = keep * state[_DEPTH_NOW] + (1.0 - keep) * depth
        state[_DEPTH_USUAL] = keep_usual * state[_DEPTH_USUAL] + (1.0 - keep_usual) * depth
        state[_SPREAD_NOW] = keep * state[_SPREAD_NOW] + (1.0 - keep) * state[_SPREAD]
        state[_SPREAD_USUAL] = keep_usual * state[_SPREAD_USUAL] + (1.0 - keep_usual) * state[_SPREAD]
        # Compared as products: nothing is divided, so nothing can be divided by zero.
        now = state[_DEPTH_NOW] * state[_SPREAD_USUAL]
        usual = state[_DEPTH_USUAL] * state[_SPREAD_NOW]
        value = state[_VALUE]
        if value == _LOW_LIQUIDITY and now >= params.low_until * usual:
            value = _NORMAL_LIQUIDITY
        if value == _HIGH_LIQUIDITY and now <= params.high_until * usual:
            value = _NORMAL_LIQUIDITY
        if now < params.low_below * usual:
            value = _LOW_LIQUIDITY
        if now > params.high_above * usual:
            value = _HIGH_LIQUIDITY
        state[_VALUE] = value
    state[_SAMPLED_NS] = float(tick.now_ns)
    state[_BID_SIZE] = tick.bid_size
    state[_ASK_SIZE] = tick.ask_size
    state[_SPREAD] = spread


def read_liquidity(params: LiquidityRegimeParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the regime as of the last change of the touch."""
    if state[_HAS_BEGUN] == 0.0 or now_ns - state[_BEGAN_NS] < params.warm_up_ns:
        return nan
    return state[_VALUE]


@attrs.frozen
class MarketConditionOptions:
    """Options of `market-condition`."""

    half_life_s: float = option(
        help="Half-life of what stands for now: volatility, spread, and the mean mid that a trend runs away from.",
        default=30.0,
        unit="s",
        above=0.0,
        maximum=86_400.0,
    )
    usual_half_life_s: float = option(
        help="Half-life of what stands for usual: volatility and spread.",
        default=1_800.0,
        unit="s",
        above=0.0,
        maximum=604_800.0,
    )
    sample_interval_ms: int = option(
        help="Shortest time over which a change of the mid is measured.",
        default=1_000,
        unit="ms",
        minimum=1,
        maximum=3_600_000,
    )
    volatile_above: float = option(
        help="Volatility over usual volatility above which the market is volatile.",
        default=2.0,
        unit="ratio",
        above=0.0,
    )
    volatile_until: float = option(help="The ratio that ends a volatile market.", default=1.5, unit="ratio", above=0.0)
    trending_above: float = option(
        help="Distance of the mid from its mean above which the market trends.",
        default=2.5,
        unit="standard deviations",
        above=0.0,
    )
    trending_until: float = option(
        help="The distance that ends a trend.", default=1.0, unit="standard deviations", minimum=0.0
    )
    low_liquidity_above: float = option(
        help="Spread over usual spread above which liquidity is low.", default=2.0, unit="ratio", above=0.0
    )
    low_liquidity_until: float = option(help="The ratio that ends low liquidity.", default=1.5, unit="ratio", above=0.0)
    warm_up_s: float = option(
        help="Time to observe before there is a value.", default=120.0, unit="s", minimum=0.0, maximum=604_800.0
    )


class MarketConditionParams(NamedTuple):
    """The options as the rule reads them; mean lives are half-lives over ln 2."""

    mean_life_s: float
    usual_mean_life_s: float
    sample_interval_ns: float
    volatile_above: float
    volatile_until: float
    trending_above: float
    trending_until: float
    low_above: float
    low_until: float
    warm_up_ns: float


def on_market_touch(  # noqa: C901, PLR0915 - a rule cannot call another function
    params: MarketConditionParams, state: State, tick: BookTick
) -> None:
    """Close the interval that ends now, if it is long enough, choose the condition, and note the new touch."""
    spread = tick.ask - tick.bid
    if state[_HAS_BEGUN] == 0.0:
        state[_HAS_BEGUN] = 1.0
        state[_BEGAN_NS] = float(tick.now_ns)
        state[_SAMPLED_NS] = float(tick.now_ns)
        state[_SAMPLED_MID] = tick.mid
        state[_MID_MEAN] = tick.mid
        state[_MARKET_SPREAD_NOW] = spread
        state[_MARKET_SPREAD_USUAL] = spread
    elif tick.now_ns - state[_SAMPLED_NS] >= params.sample_interval_ns:
        elapsed_s = (tick.now_ns - state[_SAMPLED_NS]) * 1e-9
        mid = state[_MID]
        change = mid - state[_SAMPLED_MID]
        keep = exp(-elapsed_s / params.mean_life_s)
        keep_usual = exp(-elapsed_s / params.usual_mean_life_s)
        variance = change * change / elapsed_s
        state[_VARIANCE_NOW] = keep * state[_VARIANCE_NOW] + (1.0 - keep) * variance
        state[_WEIGHT_NOW] = keep * state[_WEIGHT_NOW] + (1.0 - keep)
        state[_VARIANCE_USUAL] = keep_usual * state[_VARIANCE_USUAL] + (1.0 - keep_usual) * variance
        state[_WEIGHT_USUAL] = keep_usual * state[_WEIGHT_USUAL] + (1.0 - keep_usual)
        state[_MID_MEAN] = keep * state[_MID_MEAN] + (1.0 - keep) * mid
        in_force = state[_SPREAD_IN_FORCE]
        state[_MARKET_SPREAD_NOW] = keep * state[_MARKET_SPREAD_NOW] + (1.0 - keep) * in_force
        state[_MARKET_SPREAD_USUAL] = keep_usual * state[_MARKET_SPREAD_USUAL] + (1.0 - keep_usual) * in_force
        # Compared as products: nothing is divided, so nothing can be divided by zero.
        now = state[_VARIANCE_NOW] * state[_WEIGHT_USUAL]
        usual = state[_VARIANCE_USUAL] * state[_WEIGHT_NOW]
        ratio = params.volatile_until if state[_IS_VOLATILE] != 0.0 else params.volatile_above
        state[_IS_VOLATILE] = 1.0 if now > ratio * ratio * usual else 0.0
        ratio = params.low_until if state[_IS_LOW] != 0.0 else params.low_above
        state[_IS_LOW] = 1.0 if state[_MARKET_SPREAD_NOW] > ratio * state[_MARKET_SPREAD_USUAL] else 0.0
        # A walk of this volatility is sqrt(mean life / 2) away from its mean of this mean life, one standard deviation.
        deviation = mid * _ROUNDING_SHARE
        if state[_WEIGHT_USUAL] > 0.0:
            usual = state[_VARIANCE_USUAL] / state[_WEIGHT_USUAL]
            deviation = max(deviation, sqrt(usual * params.mean_life_s / 2.0))
        distance = mid - state[_MID_MEAN]
        trend = state[_TREND]
        if trend * distance <= params.trending_until * deviation:
            trend = 0.0
        if distance > params.trending_above * deviation:
            trend = 1.0
        if distance < -params.trending_above * deviation:
            trend = -1.0
        state[_TREND] = trend
        state[_VALUE] = _STABLE
        if state[_IS_VOLATILE] != 0.0:
            state[_VALUE] = _VOLATILE
        if trend > 0.0:
            state[_VALUE] = _TRENDING_UP
        if trend < 0.0:
            state[_VALUE] = _TRENDING_DOWN
        if state[_IS_LOW] != 0.0:
            state[_VALUE] = _LOW_LIQUIDITY_MARKET
        state[_SAMPLED_NS] = float(tick.now_ns)
        state[_SAMPLED_MID] = mid
    state[_MID] = tick.mid
    state[_SPREAD_IN_FORCE] = spread


def read_market(params: MarketConditionParams, state: State, now_ns: int, tick: BookTick) -> float:  # noqa: ARG001 - the signature
    """Return the condition as of the last interval that was closed."""
    if state[_HAS_BEGUN] == 0.0 or now_ns - state[_BEGAN_NS] < params.warm_up_ns:
        return nan
    return state[_VALUE]


def _build_liquidity(options: LiquidityRegimeOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    _check_order("low_until", options.low_until, "low_below", options.low_below)
    _check_order("high_above", options.high_above, "high_until", options.high_until)
    params = LiquidityRegimeParams(
        options.half_life_s * 1e9 / log(2.0),
        options.usual_half_life_s * 1e9 / log(2.0),
        options.low_below,
        options.low_until,
        options.high_above,
        options.high_until,
        options.warm_up_s * 1e9,
    )
    return SignalRule(read_liquidity, params, (0.0,) * _LIQUIDITY_SIZE, on_touch=on_liquidity_touch)


def _build_market(options: MarketConditionOptions, context: BuildContext) -> SignalRule:  # noqa: ARG001 - the build signature
    _check_order("volatile_above", options.volatile_above, "volatile_until", options.volatile_until)
    _check_order("trending_above", options.trending_above, "trending_until", options.trending_until)
    _check_order("low_liquidity_above", options.low_liquidity_above, "low_liquidity_until", options.low_liquidity_until)
    params = MarketConditionParams(
        options.half_life_s / log(2.0),
        options.usual_half_life_s / log(2.0),
        options.sample_interval_ms * 1e6,
        options.volatile_above,
        options.volatile_until,
        options.trending_above,
        options.trending_until,
        options.low_liquidity_above,
        options.low_liquidity_until,
        options.warm_up_s * 1e9,
    )
    return SignalRule(read_market, params, (0.0,) * _MARKET_SIZE, on_touch=on_market_touch)


def _check_order(upper: str, upper_value: float, lower: str, lower_value: float) -> None:
    if not lower_value <= upper_value < inf:
        msg = f"{upper}: expected at least {lower} = {lower_value:g}, was {upper_value:g}"
        raise DomainError(msg, hint="what begins a regime lies beyond what ends it, or it would flicker")


LIQUIDITY_REGIME = SignalSpec(
    name="liquidity-regime",
    summary="0 low, 1 normal, 2 high: size over spread at the touch against its own usual, with hysteresis.",
    description="""\
    liquidity = (D / D_usual) / (S / S_usual)

D is the mean of bid_size + ask_size, S that of ask - bid, both weighted over time with half_life_s; D_usual and S_usual
are the same with usual_half_life_s. All four begin with the first touch.

    0  low      from liquidity < low_below    until liquidity >= low_until
    1  normal
    2  high     from liquidity > high_above   until liquidity <= high_until

Unit: the codes above. NaN: until warm_up_s after the first touch.

When it fails: it sees the touch alone (`depth` looks deeper, `manipulation` at how easily the price is pushed). It is
chosen anew at each change of the touch, so in silence the last regime stands. After usual_half_life_s low is usual.

Example: usually 10 rest at a spread of 0.02; now 4 rest at 0.04: (4 / 10) / (0.04 / 0.02) = 0.2, below 0.5: 0.""",
    options=LiquidityRegimeOptions,
    build=_build_liquidity,
    provides="liquidity_regime",
    unit="0 low, 1 normal, 2 high",
)

MARKET_CONDITION = SignalSpec(
    name="market-condition",
    summary="0 stable, 1 volatile, 2 trending up, 3 trending down, 4 low liquidity, with hysteresis.",
    description="""\
    4  low liquidity   S > low_liquidity_above x S_usual          until S <= low_liquidity_until x S_usual
    3  trending down   d < -trending_above x s                    until d >= -trending_until x s
    2  trending up     d > trending_above x s                     until d <= trending_until x s
    1  volatile        V > volatile_above x V_usual               until V <= volatile_until x V_usual
    0  stable          none of these

Where several hold the highest code counts, down and up excluding each other; each keeps its own hysteresis. S is the
mean spread and V the volatility, with half_life_s; S_usual and V_usual with usual_half_life_s. d is the mid less its
mean with half_life_s, and s = V_usual x sqrt(tau / 2), tau = half_life_s / ln 2, what d's standard deviation is in a
market without a trend. As in `ewma-volatility`, time is cut into intervals that end at the first change of the touch
after at least sample_interval_ms, and each counts with its length.

Unit: the codes above. NaN: until warm_up_s after the first touch.

When it fails: at the start usual is what was seen so far, so the codes mean little before some usual_half_life_s. A
single jump is a trend until the mean has caught up. In silence the last condition stands.

Source: the distance from the mean follows from an Ornstein-Uhlenbeck lag of a random walk (Uhlenbeck & Ornstein, 1930);
the thresholds are choices.

Example: V_usual is 0.01 per sqrt(s), half_life_s = 30, tau = 43.3 s: s = 0.01 x sqrt(21.6) = 0.0465. A mid 0.15 above
its mean is 3.2 standard deviations away: 2, until it is less than 0.0465 away.""",
    options=MarketConditionOptions,
    build=_build_market,
    provides="market_condition",
    unit="0 stable, 1 volatile, 2 up, 3 down, 4 low liquidity",
)

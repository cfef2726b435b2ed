"""The optimizer `volatility-regime`: a spread for each of four regimes, wider with inventory and in a thin book."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = [
    "VOLATILITY_REGIME",
    "RegimeBps",
    "RegimeThresholds",
    "VolatilityRegimeOptions",
    "volatility_regime",
]

_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_WARMING_UP = int(Reason.WARMING_UP)
_NOT_FINITE = int(Reason.NOT_FINITE)

_LOW, _MEDIUM, _HIGH, _EXTREME = 0.0, 1.0, 2.0, 3.0
_UNDECIDED = -1.0
_DEFAULT_FULL_ORDERS = 10.0
"""Without any limit on the position, inventory risk is 1 at this many order sizes."""
_ROOT_OF_YEAR = (365.25 * 86_400.0) ** 0.5
"""Square root of a year's seconds: volatility a square-root second times this is volatility a year."""


@attrs.frozen
class RegimeBps:
    """Spread of each regime, bid to ask."""

    low: float = option(help="Calm market.", default=5.0, unit="bps", above=0.0, maximum=1_000.0)
    medium: float = option(help="Usual market.", default=10.0, unit="bps", above=0.0, maximum=1_000.0)
    high: float = option(help="Lively market.", default=20.0, unit="bps", above=0.0, maximum=1_000.0)
    extreme: float = option(help="Wild market.", default=50.0, unit="bps", above=0.0, maximum=1_000.0)


@attrs.frozen
class RegimeThresholds:
    """Volatility from which on each regime begins, in the unit that `threshold_unit` names.

    Raises:
        DomainError: If they do not rise.
    """

    medium: float = option(help="From here on medium; below it low.", default=0.5, above=0.0)
    high: float = option(help="From here on high.", default=1.5, above=0.0)
    extreme: float = option(help="From here on extreme.", default=4.0, above=0.0)

    def __attrs_post_init__(self) -> None:
        if self.high <= self.medium:
            msg = f"high: expected more than medium, {self.medium:g}, was {self.high:g}"
            raise DomainError(msg)
        if self.extreme <= self.high:
            msg = f"extreme: expected more than high, {self.high:g}, was {self.extreme:g}"
            raise DomainError(msg)


@attrs.frozen
class VolatilityRegimeOptions:
    """Options of `volatility-regime`."""

    bps: RegimeBps = option(help="Spread of each regime.", factory=RegimeBps, unit="bps")
    thresholds: RegimeThresholds = option(help="Where each regime begins.", factory=RegimeThresholds)
    threshold_unit: str = option(
        help="Unit of the thresholds: bps per square-root second, or annualised percent.",
        default="bps-per-sqrt-s",
        choices=("bps-per-sqrt-s", "annual-percent"),
    )
    hysteresis: float = option(
        help="A regime is left downwards only below its threshold times 1 minus this.",
        default=0.1,
        minimum=0.0,
        maximum=0.9,
    )
    risk_weight: float = option(
        help="How much the whole inventory risk adds to the spread, as a multiple of it.",
        default=1.5,
        minimum=0.0,
        maximum=4.0,
    )
    full_position: Decimal | None = option(
        help="Position, relative to the target, at which inventory risk is 1; by default the gate's "
        "max_position, and without that 10 order sizes.",
        default=None,
        unit="base units",
        above=0.0,
        example="1.5",
    )


class VolatilityRegimeParams(NamedTuple):
    """The options as the rule reads them; thresholds in bps per square-root second."""

    low_bps: float
    medium_bps: float
    high_bps: float
    extreme_bps: float
    medium_from: float
    high_from: float
    extreme_from: float
    keep: float
    """1 - hysteresis."""
    risk_weight: float
    full_position: float
    """0 when the file sets none."""


def volatility_regime(  # noqa: PLR0913, PLR0917 - the rule signature
    params: VolatilityRegimeParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,  # noqa: ARG001 - replaced: this stage is meant to be the first
) -> QuoteProposal:
    """Return both quotes half the regime's widened spread from the mid, each for the order size."""
    mid = view.mid
    size = view.order_size
    signals: Any = view.signals
    volatility = signals.volatility
    relative_depth = signals.relative_depth
    if not 0.0 < mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    if not 0.0 < size < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BELOW_MINIMUM, _BELOW_MINIMUM)
    if not (0.0 <= volatility < inf and 0.0 <= relative_depth < inf):
        return QuoteProposal(nan, 0.0, nan, 0.0, _WARMING_UP, _WARMING_UP)
    excess = abs(inventory.position - inventory.target)
    if not excess < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)

    # Up at each threshold, down only well below it: on the edge the spread must not flicker.
    level = volatility / mid * 10_000.0
    was = state[0]
    if level >= params.extreme_from or (was == _EXTREME and level >= params.extreme_from * params.keep):
        regime = _EXTREME
        base_bps = params.extreme_bps
    elif level >= params.high_from or (was >= _HIGH and level >= params.high_from * params.keep):
        regime = _HIGH
        base_bps = params.high_bps
    elif level >= params.medium_from or (was >= _MEDIUM and level >= params.medium_from * params.keep):
        regime = _MEDIUM
        base_bps = params.medium_bps
    else:
        regime = _LOW
        base_bps = params.low_bps
    state[0] = regime

    full = params.full_position
    if full <= 0.0:
        full = inventory.max_position
    if not 0.0 < full < inf:
        full = _DEFAULT_FULL_ORDERS * size
    risk = excess / full if excess < full else 1.0
    thinness = 2.0 - relative_depth if relative_depth < 1.0 else 1.0
    half = base_bps / 20_000.0 * (1.0 + params.risk_weight * risk) * thinness
    return QuoteProposal(mid * (1.0 - half), size, mid * (1.0 + half), size, _NONE, _NONE)


def _build(options: VolatilityRegimeOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    # An annual percent is 100 bps spread over the root of a year's seconds.
    unit = 100.0 / _ROOT_OF_YEAR if options.threshold_unit == "annual-percent" else 1.0
    params = VolatilityRegimeParams(
        options.bps.low,
        options.bps.medium,
        options.bps.high,
        options.bps.extreme,
        options.thresholds.medium * unit,
        options.thresholds.high * unit,
        options.thresholds.extreme * unit,
        1.0 - options.hysteresis,
        options.risk_weight,
        0.0 if options.full_position is None else float(options.full_position),
    )
    return OptimizerRule(volatility_regime, params, (_UNDECIDED,))


VOLATILITY_REGIME = OptimizerSpec(
    name="volatility-regime",
    summary="A spread for low, medium, high and extreme volatility, widened by inventory risk and a thin book.",
    description="""\
    spread_bps = bps[regime] x (1 + risk x risk_weight) x max(1, 2 - relative_depth)
    bid = mid x (1 - spread_bps / 20,000)        ask = mid x (1 + spread_bps / 20,000)

The regime follows from volatility / mid x 10,000, in bps per sqrt(s): low below thresholds.medium, then medium, high
and extreme. A regime is entered at its threshold and left downwards only below threshold x (1 - hysteresis). With
threshold_unit = "annual-percent" the thresholds are annualised: 1 bps per sqrt(s) is 56.2 % a year.

risk = min(1, |position - target| / full_position), where full_position is the option, or else the gate's max_position,
or else 10 order sizes. relative_depth is the depth now over the usual depth: half the usual depth widens by 1.5, none
at all by 2. Each side is for the market's order size. It sets both sides anew, whatever came before, so it belongs
first in the chain.

Needs the signals volatility (quote units per sqrt(s)) and relative_depth.

No quote: WARMING_UP while a signal is not known, BOOK_EMPTY when the mid is no price above 0, BELOW_MINIMUM when the
order size is not above 0, NOT_FINITE when the position is not a number.

Example: mid 100, volatility 0.02 quote units per sqrt(s) is 2 bps per sqrt(s): high, 20 bps. Position 0.5 of 1.0:
x (1 + 0.5 x 1.5) = 1.75. Relative depth 0.6: x 1.4. Spread 49 bps: bid 99.755, ask 100.245.""",
    options=VolatilityRegimeOptions,
    build=_build,
    needs=("volatility", "relative_depth"),
)

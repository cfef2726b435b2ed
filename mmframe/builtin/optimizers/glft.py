"""The optimizer `glft`: the stationary quotes of Guéant, Lehalle and Fernandez-Tapia, in closed form or exactly."""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, log, log1p, nan, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.builtin.optimizers.model_options import (
    MODEL_REASONS,
    NO_VOLATILITY,
    SHARED_UNITS,
    SPREAD_BOUND,
    ModelOptions,
)
from mmframe.builtin.optimizers.models import stationary_skews
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["GLFT", "GlftOptions", "glft"]

_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_WARMING_UP = int(Reason.WARMING_UP)
_NOT_FINITE = int(Reason.NOT_FINITE)
_INVENTORY = int(Reason.INVENTORY)
_WHOLE = 1e-9
"""Share of an order by which a sum of fills may miss a whole number of orders."""
_TINY = 1e-8
"""Below it series replace the logarithms."""
_NEWTON_STEPS = 8
_CONVERGED = 1e-8
"""Each step doubles the digits: after one this small the result is exact. Three to five are enough."""
_LN_LOWEST = -13.0 * log(2.0)
_LN_STEP = log(2.0) / 4.0
_ROWS = 73
"""The table's rows: k C from 2^-13, below which only the inventory limit skews, to 2^5, where fills have ceased."""


@attrs.frozen(kw_only=True)
class GlftOptions(ModelOptions):
    """Options of `glft`.

    Raises:
        DomainError: If options contradict each other.
    """

    arrival_rate_per_s: float = option(
        help="A: fills a second of a quote at the mid.", unit="1 / s", minimum=1e-9, maximum=1e9, example=0.9
    )
    risk_aversion: float | None = option(
        help="gamma; 0 is the risk-neutral limit, which skews only near max_orders, and only if exact.",
        default=None,
        unit="1 / quote currency",
        minimum=0.0,
        maximum=1e12,
        example=0.01,
    )
    method: str = option(
        help="`closed-form`, or `exact`: the eigenvector of the model with its inventory limit.",
        default="closed-form",
        choices=("closed-form", "exact"),
    )
    drift_per_s: float = option(
        help="Expected drift of the mid; a positive one moves both quotes up. Needs the closed form.",
        default=0.0,
        unit="quote units per s",
        minimum=-1e9,
        maximum=1e9,
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.require_one_risk("risk_aversion", self.risk_aversion)
        if self.drift_per_s and self.method == "exact":
            msg = f'drift_per_s: expected 0 with method = "exact", was {self.drift_per_s:g}'
            raise DomainError(msg, hint='method = "closed-form" takes a drift')
        if self.drift_per_s and self.risk_aversion == 0.0:
            msg = f"drift_per_s: expected 0 without risk aversion, was {self.drift_per_s:g}"
            raise DomainError(msg, hint="the risk-neutral answer to a drift is an unlimited position")


class GlftParams(NamedTuple):
    """The options as the rule reads them.

    The state holds the table of the exact method, row after row, and then the last equation that was solved for gamma
    with its solution.
    """

    decay_per_price: float
    """0 when k is given in bps."""
    decay_per_bps: float
    arrival_rate_per_s: float
    risk_aversion: float
    full_skew: float
    """k C; 0 when gamma is given instead."""
    drift_per_s: float
    max_orders: int
    rows: int
    """0 for the closed form."""
    cost: float
    max_half_spread: float
    """Share of the mid, as cost."""


def glft(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: GlftParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,  # noqa: ARG001 - replaced: this stage is meant to be the first
) -> QuoteProposal:
    """Return the stationary quotes, each for the order size."""
    mid = view.mid
    size = view.order_size
    signals: Any = view.signals
    sigma = signals.volatility
    if not 0.0 < mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    if not 0.0 < size < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BELOW_MINIMUM, _BELOW_MINIMUM)
    if sigma != sigma:  # noqa: PLR0124 - NaN alone differs from itself
        return QuoteProposal(nan, 0.0, nan, 0.0, _WARMING_UP, _WARMING_UP)
    if not 0.0 < sigma < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, NO_VOLATILITY, NO_VOLATILITY)
    orders = (inventory.position - inventory.target) / size
    if not -inf < orders < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
    decay = params.decay_per_price
    if decay <= 0.0:
        decay = params.decay_per_bps * 10_000.0 / mid
    cost = params.cost * mid
    # Outside of these bounds the inputs are in no sane unit, and the formulas would leave the range of a double.
    if not (1e-12 < decay < 1e18 and -100.0 < decay * cost < 100.0 and 1e-60 < sigma < 1e60):
        return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
    # What a fill costs moves the quotes out, and thins out the fills by as much.
    arrival = params.arrival_rate_per_s * exp(-decay * cost)

    # ratio is gamma / k of one order, full_skew is k C. Either follows from the other.
    full_skew = params.full_skew
    if full_skew > 0.0:
        # Solve ln y + (1 + 1/y) ln(1 + y) = ln z for y = gamma / k by Newton in ln y, where the slope is 1 to 2.
        goal = log(2.0 * arrival) + 2.0 * (log(full_skew) - log(decay) - log(sigma))
        # The state's end keeps the last one: mostly the volatility has not changed since.
        solved = params.rows * 2 * params.max_orders
        ratio = state[solved + 1]
        if state[solved] != goal:
            unknown = goal - 1.0 if goal < 1.0 else goal / 2.0
            for _ in range(_NEWTON_STEPS):
                ratio = exp(unknown)
                growth = log1p(ratio)
                power = (1.0 + 1.0 / ratio) * growth if ratio > _TINY else 1.0 + ratio / 2.0
                step = (unknown + power - goal) / (2.0 - growth / ratio if ratio > _TINY else 1.0 + ratio / 2.0)
                unknown -= step
                if -_CONVERGED < step < _CONVERGED:
                    break
            ratio = exp(unknown)
            state[solved] = goal
            state[solved + 1] = ratio
    else:
        ratio = params.risk_aversion * size / decay
        if not 0.0 <= ratio < 1e100:
            return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
        power = (1.0 + 1.0 / ratio) * log1p(ratio) if ratio > _TINY else 1.0 + ratio / 2.0
        full_skew = decay * sigma * sqrt(ratio / (2.0 * arrival)) * exp(power / 2.0)
    skew = full_skew / decay
    half = (log1p(ratio) / ratio if ratio > _TINY else 1.0 - ratio / 2.0) / decay + cost

    leaning = orders
    if params.drift_per_s != 0.0:
        # The skew is that of an inventory less the one that the drift makes worth holding.
        wanted = ratio * decay * sigma * sigma
        leaning = orders - params.drift_per_s / wanted if wanted > 0.0 else nan
        if not -inf < leaning < inf:
            return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
    if params.rows == 0:
        lower = skew * (leaning + 0.5)
        upper = skew * (leaning - 0.5)
    else:
        columns = 2 * params.max_orders
        row = 0.0
        if params.rows > 1 and full_skew > 0.0:
            row = (log(full_skew) - _LN_LOWEST) / _LN_STEP
            row = row if row > 0.0 else 0.0
            if row > params.rows - 1.0:
                return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
        first = int(row) * columns
        second = first + columns if int(row) + 1 < params.rows else first
        row_share = row - int(row)
        # Column i is n = i - max_orders; a position between two whole orders lies between their columns.
        place = leaning + params.max_orders
        last = columns - 1.0
        at = 0.0 if place < 0.0 else last if place > last else place
        left = int(at)
        right = left + 1 if left + 1 < columns else left
        share = at - left
        near = state[first + left] * (1.0 - share) + state[first + right] * share
        far = state[second + left] * (1.0 - share) + state[second + right] * share
        lower = (near * (1.0 - row_share) + far * row_share) / decay
        place -= 1.0
        at = 0.0 if place < 0.0 else last if place > last else place
        left = int(at)
        right = left + 1 if left + 1 < columns else left
        share = at - left
        near = state[first + left] * (1.0 - share) + state[first + right] * share
        far = state[second + left] * (1.0 - share) + state[second + right] * share
        upper = (near * (1.0 - row_share) + far * row_share) / decay
    wide = half + (lower - upper) / 2.0
    if not 0.0 < wide <= params.max_half_spread * mid:
        return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
    # Closer than a step of the grid, both quotes would round to one price.
    if wide < view.tick / 2.0:
        half += view.tick / 2.0 - wide

    bid = mid - half - lower
    ask = mid + half - upper
    bid_size = size
    ask_size = size
    bid_reason = _NONE
    ask_reason = _NONE
    if orders + 1.0 > params.max_orders + _WHOLE or not 0.0 < bid < inf:
        bid = nan
        bid_size = 0.0
        bid_reason = _INVENTORY
    if orders - 1.0 < -params.max_orders - _WHOLE or not 0.0 < ask < inf:
        ask = nan
        ask_size = 0.0
        ask_reason = _INVENTORY
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


@lru_cache(maxsize=16)  # the markets of a strategy share their options, and mostly so their table
def _table(full_skew: float, max_orders: int) -> tuple[tuple[float, ...], ...]:
    # The skew depends on k C alone, which is one number where the deviation is given.
    ratios = [full_skew] if full_skew else [exp(_LN_LOWEST + _LN_STEP * row) for row in range(_ROWS)]
    return tuple(stationary_skews(ratio, max_orders) for ratio in ratios)


def _build(options: GlftOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    std = options.inventory_std_orders
    full_skew = 0.0 if std is None else 1.0 / (2.0 * std * std)
    table = _table(full_skew, options.max_orders) if options.method == "exact" else ()
    params = GlftParams(
        options.decay_per_price or 0.0,
        options.decay_per_bps or 0.0,
        options.arrival_rate_per_s,
        options.risk_aversion or 0.0,
        full_skew,
        options.drift_per_s,
        options.max_orders,
        len(table),
        options.cost,
        options.max_half_spread_bps / 10_000.0,
    )
    return OptimizerRule(glft, params, [*(value for row in table for value in row), nan, nan])


GLFT = OptimizerSpec(
    name="glft",
    summary="Guéant-Lehalle-Fernandez-Tapia (2013): stationary quotes from volatility and the rate of fills.",
    description=f"""\
With n orders held, sigma the signal volatility, g = gamma x order size and A the rate of fills at the mid, a second:

    A' = A exp(-k cost)
    C = sigma x sqrt(g / (2 k A') x (1 + g / k)^(1 + k / g))
    m = n - drift_per_s / (g sigma^2)
    bid = mid - ln(1 + g / k) / g - cost - C (2 m + 1) / 2
    ask = mid + ln(1 + g / k) / g + cost - C (2 m - 1) / 2

method = "exact" replaces C (2 n + 1) / 2 by ln(f(n) / f(n + 1)) / k, where f is the eigenvector of the smallest
eigenvalue of the model with max_orders as its inventory limit, and C (2 n - 1) / 2 likewise with n - 1. When it is
built, it tabulates this over n for k C from 2^-13 to 32 (neighbouring rows 19 % apart), and looks up between the
entries: at the rows it is exact, between them within 0.4 % of a skew, and 1.6 % of one that the limit alone makes.
Below the first row it takes that one; above 32 it gives no quote, SPREAD_BOUND. The two methods differ near the
inventory limit, and when k C is not small.

inventory_std_orders = S instead of gamma: under the closed form the inventory settles at a standard deviation of
1 / sqrt(2 k C), so C = 1 / (2 k S^2), and g follows from it at each volatility. Under the exact quotes it settles a
little off S. S should be well below max_orders.

{SHARED_UNITS}
WARMING_UP while the volatility is not known, NO_VOLATILITY (1111) when it is not above 0.

Needs the signal volatility, in quote units per sqrt(s): 30 % a year at price 100 is 0.30 x 100 / sqrt(31,557,600) =
0.00534. Any volatility signal provides it with `name = "volatility"`.

When it fails: as `avellaneda-stoikov`; and A and k measured over other distances than those quoted.

Source: Guéant, Lehalle and Fernandez-Tapia, Dealing with the inventory risk, Mathematics and Financial Economics 7,
2013; the order size as in Guéant, Optimal market making, Applied Mathematical Finance 24, 2017.

Example: mid 100, volatility 0.3 (quote units per sqrt(s)), decay_per_price = 0.3, arrival_rate_per_s = 0.9, order
size 1, risk_aversion = 0.01: ln(1.03333) / 0.01 = 3.27898, C = 0.3 x sqrt(0.01 / 0.54 x 1.03333^31) = 0.06787. At
position 5, bid 100 - 3.27898 - 0.06787 x 5.5 = 96.34776, ask 100 + 3.27898 - 0.06787 x 4.5 = 102.97359.""",
    options=GlftOptions,
    build=_build,
    needs=("volatility",),
    reasons=MODEL_REASONS,
)

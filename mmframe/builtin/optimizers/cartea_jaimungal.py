"""The optimizer `cartea-jaimungal`: expected profit less a running and a final penalty on the squared inventory."""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, log, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple

import attrs

from mmframe.builtin.optimizers.model_options import MODEL_REASONS, SHARED_UNITS, SPREAD_BOUND, ModelOptions
from mmframe.builtin.optimizers.models import MARCH_TERMS_MAX, marched_skews, stationary_skews
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["CARTEA_JAIMUNGAL", "CarteaJaimungalOptions", "cartea_jaimungal"]

_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_NOT_FINITE = int(Reason.NOT_FINITE)
_INVENTORY = int(Reason.INVENTORY)
_WHOLE = 1e-9
"""Share of an order by which a sum of fills may miss a whole number of orders."""
_ROWS_OF_TIME = 49
_LN_STEP = log(2.0) / 4.0
"""Rows of time stand 19 % apart, back to 1/4096 of the horizon; from there a straight line leads to its end."""
_SETTLED = 36.0
"""After this many times the slowest decay, e^-36 is left of the end's influence: below the precision of a double."""
_STEEPEST_END = 600.0
"""Exponent that e^-x still represents with full precision."""
_LARGEST_RATIO = 32.0
"""Of the skew of one order over 1 / k: fills have ceased long before."""


@attrs.frozen(kw_only=True)
class CarteaJaimungalOptions(ModelOptions):
    """Options of `cartea-jaimungal`.

    Raises:
        DomainError: If options contradict each other, or the table for them would be out of all bounds.
    """

    arrival_rate_per_s: float = option(
        help="A: fills a second of a quote at the mid, or, with a fee, at the distance of its cost.",
        unit="1 / s",
        minimum=1e-9,
        maximum=1e9,
        example=0.9,
    )
    running_penalty_per_s: float | None = option(
        help="phi x order size: cost a second and unit, at one order of inventory; it grows with the square. 0 is the "
        "risk-neutral limit, which skews only near max_orders and towards the end.",
        default=None,
        unit="quote units per s",
        minimum=0.0,
        maximum=1e9,
        example=0.0005,
    )
    terminal_penalty: float = option(
        help="alpha x order size: how much worse than the mid one order is closed at the end.",
        default=0.0,
        unit="quote units",
        minimum=0.0,
        maximum=1e9,
    )
    horizon: str = option(
        help="`infinite`: the stationary quotes. `rolling`: the end is always horizon_s away. `session`: it comes "
        "every horizon_s, counted from midnight UTC of 1970-01-01, so that 86400 ends each day.",
        default="infinite",
        choices=("infinite", "rolling", "session"),
    )
    horizon_s: float = option(
        help="Length of the horizon; without meaning for an infinite one.",
        default=60.0,
        unit="s",
        minimum=0.001,
        maximum=31_622_400.0,
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.require_one_risk("running_penalty_per_s", self.running_penalty_per_s)
        if self.horizon == "infinite" and self.terminal_penalty:
            msg = f'terminal_penalty: expected 0 with horizon = "infinite", was {self.terminal_penalty:g}'
            raise DomainError(msg, hint="without an end nothing is closed at it")
        if self.decay_per_price is None and (self.running_penalty_per_s or self.terminal_penalty):
            msg = f"decay_per_bps: expected `decay_per_price` beside a penalty, was {self.decay_per_bps:g}"
            raise DomainError(msg, hint="the table would change with the mid; `inventory_std_orders` takes either")
        steepest = self.terminal * self.max_orders**2
        if steepest > _STEEPEST_END:
            most = _STEEPEST_END * self.terminal_penalty / steepest
            msg = f"terminal_penalty: expected at most {most:g}, was {self.terminal_penalty:g}"
            raise DomainError(msg, hint=f"k x terminal_penalty x max_orders^2 must not exceed {_STEEPEST_END:g}")
        # What cannot be tabulated is refused here, where the file is checked.
        times, _ = _times(self.horizon, self.eta * self.horizon_s, self.ratio, self.max_orders)
        largest = (self.ratio * self.max_orders) ** 2
        if times and (largest + 2.0) * times[-1] > 0.9 * MARCH_TERMS_MAX:
            msg = f"horizon_s: expected less with {self.max_orders} orders and this penalty, was {self.horizon_s:g}"
            raise DomainError(msg, hint='shorten it, lower max_orders, or take horizon = "infinite"')
        if self.ratio > _LARGEST_RATIO:
            was = (self.decay_per_price or 0.0) * (self.running_penalty_per_s or 0.0) / self.eta
            msg = f"running_penalty_per_s: expected k x penalty at most {_LARGEST_RATIO**2:g} A / e, was {was:g}"
            raise DomainError(msg, hint="with a larger one every order would price out the next")

    @property
    def eta(self) -> float:
        """Return the rate of fills at the model's own half spread, 1 / k: A / e, a second."""
        return self.arrival_rate_per_s * exp(-1.0)

    @property
    def ratio(self) -> float:
        """Return the skew of one order times k: `sqrt(k phi / eta)`, or what the wanted deviation asks for."""
        if self.inventory_std_orders is not None:
            return 1.0 / (2.0 * self.inventory_std_orders**2)
        return sqrt((self.decay_per_price or 0.0) * (self.running_penalty_per_s or 0.0) / self.eta)

    @property
    def terminal(self) -> float:
        """Return the terminal penalty of one order times k."""
        return (self.decay_per_price or 0.0) * self.terminal_penalty


class CarteaJaimungalParams(NamedTuple):
    """The options as the rule reads them. The state holds the table, row after row."""

    decay_per_price: float
    """0 when k is given in bps."""
    decay_per_bps: float
    max_orders: int
    rows: int
    """1 without a session; otherwise the first row is the end, and the last a whole horizon before it."""
    period_ns: int
    """0 without a session."""
    cost: float
    max_half_spread: float
    """Share of the mid, as cost."""


def cartea_jaimungal(  # noqa: C901, PLR0913, PLR0915, PLR0917 - the rule signature; a rule calls nothing
    params: CarteaJaimungalParams,
    state: State,
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,  # noqa: ARG001 - replaced: this stage is meant to be the first
) -> QuoteProposal:
    """Return the quotes of the table at this inventory and time to go, each for the order size."""
    mid = view.mid
    size = view.order_size
    if not 0.0 < mid < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BOOK_EMPTY, _BOOK_EMPTY)
    if not 0.0 < size < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _BELOW_MINIMUM, _BELOW_MINIMUM)
    orders = (inventory.position - inventory.target) / size
    if not -inf < orders < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
    decay = params.decay_per_price
    if decay <= 0.0:
        decay = params.decay_per_bps * 10_000.0 / mid
    if not 1e-12 < decay < 1e18:
        return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)

    row = 0.0
    if params.rows > 1:
        # Subtracted as whole numbers: of a long session the last nanoseconds would else round to nothing.
        left_share = (params.period_ns - view.now_ns % params.period_ns) / params.period_ns
        row = params.rows - 1.0 + log(left_share) / _LN_STEP
        if row < 1.0:
            row = left_share * exp(_LN_STEP * (params.rows - 2.0))
    columns = 2 * params.max_orders
    first = int(row) * columns
    second = first + columns if int(row) + 1 < params.rows else first
    row_share = row - int(row)
    # Column i is n = i - max_orders; a position between two whole orders lies between their columns.
    place = orders + params.max_orders
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

    half = 1.0 / decay + params.cost * mid
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


def _times(horizon: str, end: float, ratio: float, max_orders: int) -> tuple[tuple[float, ...], int]:
    """Return the times to go, times eta, that need a march, and how many more rows are the stationary one."""
    if horizon == "infinite":
        return (), 1
    times = [end]
    if horizon == "session":
        times = [end * exp(-_LN_STEP * row) for row in range(_ROWS_OF_TIME - 2, -1, -1)]
    # A bound from below on the gap between the lowest two eigenvalues: of the penalty, or of the inventory limit.
    gap = max(1.6 * ratio, 5.0 / (max_orders + 1.0) ** 2)
    marched = tuple(time for time in times if time * gap <= _SETTLED)
    return marched, len(times) - len(marched)


@lru_cache(maxsize=16)  # the markets of a strategy share their options, and mostly so their table
def _table(horizon: str, end: float, ratio: float, terminal: float, max_orders: int) -> tuple[tuple[float, ...], ...]:
    """Return the skews times k: one row, or one for the end of a session and one for each time to go."""
    times, settled = _times(horizon, end, ratio, max_orders)
    rows = marched_skews(ratio, max_orders, terminal=terminal, times=times)
    if settled:
        rows += (stationary_skews(ratio, max_orders),) * settled
    if horizon != "session":
        return rows
    return (tuple(terminal * (2.0 * n + 1.0) for n in range(-max_orders, max_orders)), *rows)


def _build(options: CarteaJaimungalOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    table = _table(
        options.horizon, options.eta * options.horizon_s, options.ratio, options.terminal, options.max_orders
    )
    params = CarteaJaimungalParams(
        options.decay_per_price or 0.0,
        options.decay_per_bps or 0.0,
        options.max_orders,
        len(table),
        round(options.horizon_s * 1e9) if options.horizon == "session" else 0,
        options.cost,
        options.max_half_spread_bps / 10_000.0,
    )
    return OptimizerRule(cartea_jaimungal, params, [value for row in table for value in row])


CARTEA_JAIMUNGAL = OptimizerSpec(
    name="cartea-jaimungal",
    summary="Cartea-Jaimungal: expected profit less a running penalty on squared inventory; needs no volatility.",
    description=f"""\
With n orders held and t seconds to go:

    bid = mid - 1 / k - cost - ln(w(t, n) / w(t, n + 1)) / k
    ask = mid + 1 / k + cost - ln(w(t, n - 1) / w(t, n)) / k
    w(t) = exp(-M t) z        z(n) = exp(-k terminal_penalty n^2)

M is the tridiagonal matrix with k x running_penalty_per_s x n^2 on the diagonal and -A / e beside it, n from
-max_orders to max_orders. The logarithms are tabulated when the rule is built: one row for a rolling horizon, the
stationary one for an infinite horizon, and for a session rows from its end to a whole horizon before it, neighbours
19 % of the time to go apart, between which the rule looks up.

The penalties are those of one order: running_penalty_per_s = phi x order size, terminal_penalty = alpha x order size,
with phi and alpha as in the book, where inventory is in base units. phi = gamma sigma^2 / 2 is the risk aversion of
`glft`. A is the rate of fills at the mid or, with a fee, at the distance of the cost from it.

inventory_std_orders = S instead of the running penalty: the skew of an order is about sqrt(phi x order size x e / (k
A)), and the inventory settles at 1 / sqrt(2 k skew); so k running_penalty_per_s = A / (4 e S^4). Exactly it settles a
little off S. S should be well below max_orders, and decay_per_bps is then allowed.

{SHARED_UNITS}

It needs no signal: the volatility is in the penalty. Raise running_penalty_per_s when the volatility rises, or use
`glft`, which does that by itself.

When it fails: as `avellaneda-stoikov`; and a penalty chosen for one volatility in another.

Source: Cartea, Jaimungal and Penalva, Algorithmic and High-Frequency Trading, 2015, section 10.2.

Example: mid 100, decay_per_price = 2, arrival_rate_per_s = e = 2.71828, running_penalty_per_s = 0.5, max_orders = 1:
M is tridiagonal with 1, 0, 1 on the diagonal and -1 beside it, its smallest eigenvalue -1, its vector 1, 2, 1. Flat,
both sides stand 1 / 2 + ln(2) / 2 = 0.84657 away: 99.15343 / 100.84657. Long one order there is no bid, and the ask
stands at 100 + 1 / 2 - ln(2) / 2 = 100.15343.""",
    options=CarteaJaimungalOptions,
    build=_build,
    reasons={SPREAD_BOUND: MODEL_REASONS[SPREAD_BOUND]},
)

"""The optimizer `avellaneda-stoikov`: a reservation price that leans against the position, and a spread around it."""

from __future__ import annotations

from math import inf, log1p, nan, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from mmframe.builtin.optimizers.model_options import (
    MODEL_REASONS,
    NO_VOLATILITY,
    SHARED_UNITS,
    SPREAD_BOUND,
    ModelOptions,
)
from mmframe.domain.views import Advice, Inventory, MarketView, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.plugin import BuildContext, OptimizerRule, OptimizerSpec, option

if TYPE_CHECKING:
    from mmframe.plugin.rules import State

__all__ = ["AVELLANEDA_STOIKOV", "AvellanedaStoikovOptions", "finite_horizon", "infinite_horizon"]

_NONE = int(Reason.NONE)
_BOOK_EMPTY = int(Reason.BOOK_EMPTY)
_BELOW_MINIMUM = int(Reason.BELOW_MINIMUM)
_WARMING_UP = int(Reason.WARMING_UP)
_NOT_FINITE = int(Reason.NOT_FINITE)
_INVENTORY = int(Reason.INVENTORY)
_WHOLE = 1e-9
"""Share of an order by which a sum of fills may miss a whole number of orders."""
_TINY = 1e-8
"""Below it a series replaces log1p(y) / y."""


@attrs.frozen(kw_only=True)
class AvellanedaStoikovOptions(ModelOptions):
    """Options of `avellaneda-stoikov`.

    Raises:
        DomainError: If options contradict each other, or an infinite horizon has no risk aversion.
    """

    risk_aversion: float | None = option(
        help="gamma; 0 is the risk-neutral limit, which quotes 1 / k on each side and does not skew.",
        default=None,
        unit="1 / quote currency",
        minimum=0.0,
        maximum=1e12,
        example=0.1,
    )
    horizon: str = option(
        help="`rolling`: the end is always horizon_s away. `session`: it comes every horizon_s, counted from midnight "
        "UTC of 1970-01-01, so that 86400 ends each day. `infinite`: no end.",
        default="rolling",
        choices=("rolling", "session", "infinite"),
    )
    horizon_s: float = option(
        help="Length of the horizon; without meaning for an infinite one.",
        default=60.0,
        unit="s",
        minimum=0.001,
        maximum=31_622_400.0,
    )
    discount_per_s: float | None = option(
        help="omega of the infinite horizon; by default gamma^2 sigma^2 (max_orders + 1)^2 / 2 of the moment, which "
        "bounds the inventory by max_orders.",
        default=None,
        unit="1 / s",
        above=0.0,
        maximum=1e6,
        example=0.01,
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.require_one_risk("risk_aversion", self.risk_aversion)
        if self.horizon != "infinite":
            if self.discount_per_s is not None:
                msg = f'discount_per_s: expected none with horizon = "{self.horizon}", was {self.discount_per_s:g}'
                raise DomainError(msg, hint='only horizon = "infinite" has a discount')
            return
        if self.risk_aversion is None:
            msg = 'inventory_std_orders: expected `risk_aversion` instead with horizon = "infinite"'
            raise DomainError(msg, hint='horizon = "rolling" and `glft` solve for a standard deviation')
        if self.risk_aversion <= 0.0:
            msg = f'risk_aversion: expected more than 0 with horizon = "infinite", was {self.risk_aversion:g}'
            raise DomainError(msg, hint='horizon = "rolling" has a risk-neutral limit')


class FiniteParams(NamedTuple):
    """The options as the rule reads them."""

    decay_per_price: float
    """0 when k is given in bps."""
    decay_per_bps: float
    risk_aversion: float
    full_skew: float
    """k times the shift of one order at the full horizon; 0 when gamma is given instead."""
    horizon_s: float
    period_ns: int
    """0 for a rolling horizon."""
    max_orders: float
    cost: float
    max_half_spread: float
    """Share of the mid, as cost."""


class InfiniteParams(NamedTuple):
    """The options as the rule reads them."""

    decay_per_price: float
    """0 when k is given in bps."""
    decay_per_bps: float
    risk_aversion: float
    discount_per_s: float
    """0 when the inventory limit gives it."""
    max_orders: float
    cost: float
    max_half_spread: float
    """Share of the mid, as cost."""


def finite_horizon(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0917 - the rule signature; a rule calls nothing
    params: FiniteParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,  # noqa: ARG001 - replaced: this stage is meant to be the first
) -> QuoteProposal:
    """Return the quotes of the finite horizon, each for the order size."""
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
    variance = sigma * sigma * params.horizon_s
    if not (sigma > 0.0 and 0.0 < variance < inf):
        return QuoteProposal(nan, 0.0, nan, 0.0, NO_VOLATILITY, NO_VOLATILITY)
    orders = (inventory.position - inventory.target) / size
    if not -inf < orders < inf:
        return QuoteProposal(nan, 0.0, nan, 0.0, _NOT_FINITE, _NOT_FINITE)
    decay = params.decay_per_price
    if decay <= 0.0:
        decay = params.decay_per_bps * 10_000.0 / mid
    if not 1e-12 < decay < 1e18:
        return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)

    # One order's risk aversion and the shift that it makes at the full horizon; either follows from the other.
    if params.full_skew > 0.0:
        skew = params.full_skew / decay
        ratio = skew / variance / decay
    else:
        ratio = params.risk_aversion * size / decay
        skew = ratio * decay * variance
    if params.period_ns > 0:
        skew *= 1.0 - (view.now_ns % params.period_ns) / params.period_ns
    liquidity = (log1p(ratio) / ratio if ratio > _TINY else 1.0 - ratio / 2.0) / decay
    half = liquidity + skew / 2.0 + params.cost * mid
    if not 0.0 < half <= params.max_half_spread * mid:
        return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
    # Closer than a step of the grid, both quotes would round to one price.
    half = half if half > view.tick / 2.0 else view.tick / 2.0

    reservation = mid - orders * skew
    bid = reservation - half
    ask = reservation + half
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


def infinite_horizon(  # noqa: C901, PLR0911, PLR0912, PLR0913, PLR0915, PLR0917 - as above
    params: InfiniteParams,
    state: State,  # noqa: ARG001
    view: MarketView,
    inventory: Inventory,
    advice: Advice,  # noqa: ARG001
    proposal: QuoteProposal,  # noqa: ARG001 - replaced: this stage is meant to be the first
) -> QuoteProposal:
    """Return the quotes without a horizon, each for the order size."""
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
    aversion = params.risk_aversion * size
    if not (1e-12 < decay < 1e18 and 1e-18 < aversion < 1e18):
        return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)

    # Both sides of the fraction are divided by gamma^2 sigma^2; the default discount is then a pure number.
    room = (params.max_orders + 1.0) * (params.max_orders + 1.0)
    if params.discount_per_s > 0.0:
        variance = aversion * sigma * aversion * sigma
        if not 1e-300 < variance < inf:
            return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
        room = 2.0 * params.discount_per_s / variance
    # From this inventory on no reservation price to buy exists: the paper's limit, held within max_orders. The side
    # that reduces keeps the price that it has there, or a position beyond it could never be brought back.
    limit = sqrt(room) - 1.0
    limit = limit if limit > 0.0 else 0.0
    limit = limit if limit < params.max_orders else params.max_orders
    held = limit if orders > limit else -limit if orders < -limit else orders
    room -= held * held
    down = (-1.0 - 2.0 * held) / room
    up = (1.0 - 2.0 * held) / room
    has_bid = -1.0 < down < inf and orders < limit and orders + 1.0 <= params.max_orders + _WHOLE
    has_ask = -1.0 < up < inf and orders > -limit and orders - 1.0 >= -params.max_orders - _WHOLE
    ratio = aversion / decay
    liquidity = (log1p(ratio) / ratio if ratio > _TINY else 1.0 - ratio / 2.0) / decay + params.cost * mid
    reservation_bid = log1p(down) / aversion if -1.0 < down < inf else nan
    reservation_ask = log1p(up) / aversion if -1.0 < up < inf else nan
    half = liquidity
    if has_bid and has_ask:
        half = liquidity + (reservation_ask - reservation_bid) / 2.0
    if not 0.0 < half <= params.max_half_spread * mid:
        return QuoteProposal(nan, 0.0, nan, 0.0, SPREAD_BOUND, SPREAD_BOUND)
    # Closer than a step of the grid, both quotes would round to one price.
    if half < view.tick / 2.0:
        liquidity += view.tick / 2.0 - half

    bid = mid + reservation_bid - liquidity
    ask = mid + reservation_ask + liquidity
    bid_size = size
    ask_size = size
    bid_reason = _NONE
    ask_reason = _NONE
    if not (has_bid and 0.0 < bid < inf):
        bid = nan
        bid_size = 0.0
        bid_reason = _INVENTORY
    if not (has_ask and 0.0 < ask < inf):
        ask = nan
        ask_size = 0.0
        ask_reason = _INVENTORY
    return QuoteProposal(bid, bid_size, ask, ask_size, bid_reason, ask_reason)


def _build(options: AvellanedaStoikovOptions, context: BuildContext) -> OptimizerRule:  # noqa: ARG001 - the build signature
    if options.horizon == "infinite":
        return OptimizerRule(
            infinite_horizon,
            InfiniteParams(
                options.decay_per_price or 0.0,
                options.decay_per_bps or 0.0,
                options.risk_aversion or 0.0,
                options.discount_per_s or 0.0,
                float(options.max_orders),
                options.cost,
                options.max_half_spread_bps / 10_000.0,
            ),
        )
    std = options.inventory_std_orders
    return OptimizerRule(
        finite_horizon,
        FiniteParams(
            options.decay_per_price or 0.0,
            options.decay_per_bps or 0.0,
            options.risk_aversion or 0.0,
            0.0 if std is None else 1.0 / (2.0 * std * std),
            options.horizon_s,
            round(options.horizon_s * 1e9) if options.horizon == "session" else 0,
            float(options.max_orders),
            options.cost,
            options.max_half_spread_bps / 10_000.0,
        ),
    )


AVELLANEDA_STOIKOV = OptimizerSpec(
    name="avellaneda-stoikov",
    summary="Avellaneda-Stoikov (2008): leans against inventory by gamma sigma^2 x time to go, or without an end.",
    description=f"""\
With a rolling horizon or a session, t seconds to go, n orders held, sigma the signal volatility, and g = gamma x order
size:

    reservation = mid - n x g x sigma^2 x t
    half = ln(1 + g / k) / g + g x sigma^2 x t / 2 + cost
    bid = reservation - half        ask = reservation + half

With an infinite horizon, D = 2 omega / (g^2 sigma^2) - n^2, which is (max_orders + 1)^2 - n^2 unless discount_per_s is
set; sigma then cancels:

    bid = mid + ln(1 - (1 + 2 n) / D) / g - ln(1 + g / k) / g - cost
    ask = mid + ln(1 + (1 - 2 n) / D) / g + ln(1 + g / k) / g + cost

The paper gives these reservation prices; that the quotes stand at the finite horizon's distance from them is ours.
From |n| = sqrt(2 omega) / (g sigma) - 1 on, max_orders unless discount_per_s is set, it has no price for the side that
adds: INVENTORY. The side that reduces is quoted as at that n, however much more is held.

inventory_std_orders = S instead of gamma: with a shift of c for each order held, the inventory settles at a standard
deviation of 1 / sqrt(2 k c), so c = 1 / (2 k S^2) and g = c / (sigma^2 x horizon_s). It then holds at any volatility;
in a session it holds at its start, and the shift fades to 0 towards the end. It presumes fills that come at
A exp(-k x distance), an inventory limit well above S, and prices that can move by less than c.

{SHARED_UNITS}
WARMING_UP while the volatility is not known, NO_VOLATILITY (1111) when it is not above 0.

Needs the signal volatility, in quote units per sqrt(s): 30 % a year at price 100 is 0.30 x 100 / sqrt(31,557,600) =
0.00534. Any volatility signal provides it with `name = "volatility"`.

When it fails: fills are not exponential in distance, or the market trends; k and sigma measured on other scales. Few
steps of the price grid within the spread make the skew coarse.

Source: Avellaneda and Stoikov, High-frequency trading in a limit order book, Quantitative Finance 8(3), 2008, eq. 29
and 30, and section 2.3 for the infinite horizon.

Example: mid 100, volatility 0.02 (quote units per sqrt(s)), decay_per_price = 50, order size 1, risk_aversion = 5,
horizon_s = 10, position 2: g x sigma^2 x t = 5 x 0.0004 x 10 = 0.02, reservation 99.96, half spread
ln(1.1) / 5 + 0.01 = 0.02906, bid 99.93094, ask 99.98906.""",
    options=AvellanedaStoikovOptions,
    build=_build,
    needs=("volatility",),
    reasons=MODEL_REASONS,
)

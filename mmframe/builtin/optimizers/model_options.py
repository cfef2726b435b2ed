"""What the model-based optimizers share: how fills thin out, what a fill costs, the bounds, and their own reasons."""

from __future__ import annotations

from math import sqrt

import attrs

from mmframe.domain.views import Reason
from mmframe.errors import DomainError
from mmframe.plugin import option

__all__ = ["MODEL_REASONS", "NO_VOLATILITY", "SHARED_UNITS", "SPREAD_BOUND", "ModelOptions"]

SPREAD_BOUND = int(Reason.PLUGIN) + 110
NO_VOLATILITY = int(Reason.PLUGIN) + 111
MODEL_REASONS = {
    SPREAD_BOUND: "the model's half spread is not between 0 and max_half_spread_bps: look at the units of its inputs",
    NO_VOLATILITY: "the volatility is not a number above 0, and the model has no quote without one",
}

SHARED_UNITS = """\
k, how fast fills thin out with distance, is decay_per_price (1 / quote units) or decay_per_bps (1 / bps), one of them:
k_per_price = k_per_bps x 10,000 / mid. `mmframe calibrate` measures k, A and the volatility on recorded data.
Inventory n is (position - target) / order size: it counts orders, and gamma (1 / quote currency) times the order size
is the model's risk aversion for one of them.

cost = mid x (maker_fee_bps + adverse_move_bps / 2) / 10,000 is what a fill costs; both distances grow by it. An adverse
move is one by which the mid lastingly moves against us after each fill; half of it belongs on each quote, because the
other half comes back with the inventory.

It sets both sides anew, whatever came before, so it belongs first in the chain; stages that skew, widen or limit come
after it. Each side is for the market's order size. The spread is never less than one step of the price grid.

No quote: BOOK_EMPTY when the mid is no price above 0, BELOW_MINIMUM when the order size is not above 0, NOT_FINITE when
the position is not a number, SPREAD_BOUND (1110) when the half spread, without the skew, is not above 0 or is more than
max_half_spread_bps. INVENTORY on the side whose fill would carry the inventory beyond max_orders, or whose price would
not be above 0."""
"""The part of a description that is the same for each of them."""


@attrs.frozen(kw_only=True)
class ModelOptions:
    """Options that all of them have.

    Raises:
        DomainError: If not exactly one of the two decays, or of risk and its target, is set; if no quote could ever
            come of them, or the inventory not have the deviation that is asked for.
    """

    decay_per_price: float | None = option(
        help="k: the rate of fills falls by e with each 1 / k of distance; or `decay_per_bps`.",
        default=None,
        unit="1 / quote units",
        minimum=1e-9,
        maximum=1e15,
        example=1.5,
    )
    decay_per_bps: float | None = option(
        help="k for distances in bps of the mid, instead of `decay_per_price`.",
        default=None,
        unit="1 / bps",
        minimum=1e-6,
        maximum=1e6,
        example=0.3,
    )
    inventory_std_orders: float | None = option(
        help="Wanted standard deviation of the inventory in the long run; the risk aversion is solved from it.",
        default=None,
        unit="order sizes",
        minimum=0.5,
        maximum=1_000.0,
        example=3.0,
    )
    max_orders: int = option(
        help="Largest inventory either way, relative to the target; beyond it only the other side is quoted.",
        default=20,
        unit="order sizes",
        minimum=1,
        maximum=60,
    )
    maker_fee_bps: float = option(
        help="Fee of a fill; a rebate is negative.", default=0.0, unit="bps", minimum=-100.0, maximum=100.0
    )
    adverse_move_bps: float = option(
        help="How far the mid lastingly moves against us after a fill.",
        default=0.0,
        unit="bps",
        minimum=0.0,
        maximum=1_000.0,
    )
    max_half_spread_bps: float = option(
        help="No quote when the model wants more than this: its inputs are then not what they should be.",
        default=500.0,
        unit="bps",
        above=0.0,
        maximum=5_000.0,
    )

    def __attrs_post_init__(self) -> None:
        if (self.decay_per_price is None) == (self.decay_per_bps is None):
            was = "none" if self.decay_per_price is None else "both"
            msg = f"decay_per_price: expected either this or `decay_per_bps`, was {was}"
            raise DomainError(msg, hint="k_per_price = k_per_bps x 10,000 / mid")
        if self.decay_per_bps is not None and 1.0 / self.decay_per_bps > self.max_half_spread_bps:
            msg = (
                f"decay_per_bps: expected at least {1.0 / self.max_half_spread_bps:g}, was {self.decay_per_bps:g}: "
                f"the half spread of about 1 / k would exceed max_half_spread_bps, {self.max_half_spread_bps:g}"
            )
            raise DomainError(msg)
        cost_bps = self.cost * 10_000.0
        if cost_bps >= self.max_half_spread_bps:
            msg = (
                f"max_half_spread_bps: expected more than {cost_bps:g}, what a fill costs, "
                f"was {self.max_half_spread_bps:g}"
            )
            raise DomainError(msg, hint="it costs maker_fee_bps + adverse_move_bps / 2")
        # Quotes that lean back never spread an inventory wider than being anywhere within the limit alike.
        widest = sqrt(self.max_orders * (self.max_orders + 1) / 3.0)
        if self.inventory_std_orders is not None and self.inventory_std_orders >= widest:
            msg = (
                f"inventory_std_orders: expected less than {widest:.3g} with max_orders = {self.max_orders}, "
                f"was {self.inventory_std_orders:g}"
            )
            raise DomainError(msg, hint="raise max_orders to three times the deviation or more")

    def require_one_risk(self, name: str, value: float | None) -> None:
        """Check that either the option `name` or `inventory_std_orders` is set.

        Raises:
            DomainError: If none or both are.
        """
        if (value is None) == (self.inventory_std_orders is None):
            was = "none" if value is None else "both"
            msg = f"{name}: expected either this or `inventory_std_orders`, was {was}"
            raise DomainError(msg, hint="`inventory_std_orders = 3.0` is the easier one to choose")

    @property
    def cost(self) -> float:
        """Return what a fill costs, as a share of the mid."""
        return (self.maker_fee_bps + self.adverse_move_bps / 2.0) / 10_000.0

"""The built-in optimizers."""

from mmframe.builtin.optimizers.fixed_spread import FIXED_SPREAD
from mmframe.builtin.optimizers.inventory_skew import INVENTORY_SKEW
from mmframe.builtin.optimizers.volatility_regime import VOLATILITY_REGIME

__all__ = ["OPTIMIZERS"]

OPTIMIZERS = (FIXED_SPREAD, VOLATILITY_REGIME, INVENTORY_SKEW)

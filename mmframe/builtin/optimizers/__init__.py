"""The built-in optimizers."""

from mmframe.builtin.optimizers.avellaneda_stoikov import AVELLANEDA_STOIKOV
from mmframe.builtin.optimizers.cartea_jaimungal import CARTEA_JAIMUNGAL
from mmframe.builtin.optimizers.fixed_spread import FIXED_SPREAD
from mmframe.builtin.optimizers.glft import GLFT
from mmframe.builtin.optimizers.inventory_skew import INVENTORY_SKEW
from mmframe.builtin.optimizers.volatility_regime import VOLATILITY_REGIME

__all__ = ["OPTIMIZERS"]

OPTIMIZERS = (FIXED_SPREAD, VOLATILITY_REGIME, INVENTORY_SKEW, AVELLANEDA_STOIKOV, GLFT, CARTEA_JAIMUNGAL)

"""The built-in optimizers."""

from mmframe.builtin.optimizers.advice import ADVICE
from mmframe.builtin.optimizers.avellaneda_stoikov import AVELLANEDA_STOIKOV
from mmframe.builtin.optimizers.cartea_jaimungal import CARTEA_JAIMUNGAL
from mmframe.builtin.optimizers.depth_adaptive import DEPTH_ADAPTIVE
from mmframe.builtin.optimizers.drift_skew import DRIFT_SKEW
from mmframe.builtin.optimizers.fee_floor import FEE_FLOOR
from mmframe.builtin.optimizers.fixed_spread import FIXED_SPREAD
from mmframe.builtin.optimizers.glft import GLFT
from mmframe.builtin.optimizers.hanging_orders import HANGING_ORDERS
from mmframe.builtin.optimizers.inventory_skew import INVENTORY_SKEW
from mmframe.builtin.optimizers.ping_pong import PING_PONG
from mmframe.builtin.optimizers.spread_protection import SPREAD_PROTECTION
from mmframe.builtin.optimizers.target_allocation import TARGET_ALLOCATION
from mmframe.builtin.optimizers.touch import TOUCH
from mmframe.builtin.optimizers.volatility_regime import VOLATILITY_REGIME

__all__ = ["OPTIMIZERS"]

OPTIMIZERS = (
    FIXED_SPREAD,
    TOUCH,
    VOLATILITY_REGIME,
    AVELLANEDA_STOIKOV,
    GLFT,
    CARTEA_JAIMUNGAL,
    INVENTORY_SKEW,
    TARGET_ALLOCATION,
    DRIFT_SKEW,
    DEPTH_ADAPTIVE,
    SPREAD_PROTECTION,
    FEE_FLOOR,
    ADVICE,
    PING_PONG,
    HANGING_ORDERS,
)

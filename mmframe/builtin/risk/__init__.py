"""The built-in risk controls."""

from mmframe.builtin.risk.layered_limits import LAYERED_LIMITS
from mmframe.builtin.risk.spread_floor import SPREAD_FLOOR

__all__ = ["RISK_CONTROLS"]

RISK_CONTROLS = (LAYERED_LIMITS, SPREAD_FLOOR)

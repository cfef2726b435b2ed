"""The built-in risk controls."""

from mmframe.builtin.risk.layered_limits import LAYERED_LIMITS

__all__ = ["RISK_CONTROLS"]

RISK_CONTROLS = (LAYERED_LIMITS,)

"""The built-in optimizers."""

from mmframe.builtin.optimizers.fixed_spread import FIXED_SPREAD

__all__ = ["OPTIMIZERS"]

OPTIMIZERS = (FIXED_SPREAD,)

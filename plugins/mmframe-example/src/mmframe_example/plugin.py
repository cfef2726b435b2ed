"""What the entry point names: says which contract the plugin was written for and hands over its components.

Keep this module light: `mmframe check` imports it, so heavy imports belong into the build functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import hookimpl
from mmframe_example.tight_quoter import TIGHT_QUOTER
from mmframe_example.touch_pressure import TOUCH_PRESSURE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.plugin import OptimizerSpec, SignalSpec

__all__ = ["MMFRAME_API"]

MMFRAME_API = 1


@hookimpl
def mmframe_register_signals() -> Iterable[SignalSpec]:
    """Return the plugin's signals."""
    return (TOUCH_PRESSURE,)


@hookimpl
def mmframe_register_optimizers() -> Iterable[OptimizerSpec]:
    """Return the plugin's optimizers."""
    return (TIGHT_QUOTER,)

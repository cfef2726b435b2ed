"""The plugin passes the kit: the conformance cases of its components and of the plugin as a whole."""

from __future__ import annotations

from typing import ClassVar

from mmframe.testing import OptimizerConformance, PluginConformance, SignalConformance
from mmframe_example.tight_quoter import TIGHT_QUOTER, TightQuoterOptions
from mmframe_example.touch_pressure import TOUCH_PRESSURE


class TestPlugin(PluginConformance):
    module = "mmframe_example.plugin"
    entry_point = "example"


class TestTouchPressure(SignalConformance):
    spec = TOUCH_PRESSURE
    bounds = (-1.0, 1.0)


class TestTightQuoter(OptimizerConformance):
    spec = TIGHT_QUOTER
    signal_ranges: ClassVar = {"touch_pressure": (-1.0, 1.0)}


class TestTightQuoterThatImprovesALot(OptimizerConformance):
    spec = TIGHT_QUOTER
    options = TightQuoterOptions(improve_ticks=1_000, min_spread_ticks=1, pressure_limit=0.0)

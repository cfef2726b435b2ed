"""Estimates from recorded data: the parameters of the quoting models, with their errors and what speaks against them.

Pure functions: a recording becomes a `Tape` (`read_tape`), and everything else is computed from it. `mmframe calibrate`
runs them on the history of a strategy file.
"""

from mmframe.builtin.calibration.fill_intensity import (
    FillIntensity,
    FittedSide,
    QuotedRange,
    calibrate_fill_intensity,
    default_distances,
    quoted_range,
)
from mmframe.builtin.calibration.fills import DistanceCount, FillCounts, count_fills, half_spread_ticks, reach_ticks
from mmframe.builtin.calibration.intensity import IntensityFit, block_std_error, fit_intensity
from mmframe.builtin.calibration.replay import Played, played
from mmframe.builtin.calibration.tape import Mark, Tape, read_tape
from mmframe.builtin.calibration.volatility import VolatilityEstimate, measure_volatility

__all__ = [
    "DistanceCount",
    "FillCounts",
    "FillIntensity",
    "FittedSide",
    "IntensityFit",
    "Mark",
    "Played",
    "QuotedRange",
    "Tape",
    "VolatilityEstimate",
    "block_std_error",
    "calibrate_fill_intensity",
    "count_fills",
    "default_distances",
    "fit_intensity",
    "half_spread_ticks",
    "measure_volatility",
    "played",
    "quoted_range",
    "reach_ticks",
    "read_tape",
]

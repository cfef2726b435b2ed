"""The comparison as a picture, with matplotlib, which is an extra: nothing else here needs it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mmframe.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from mmframe.research.advice.evaluation import Evaluation

__all__ = ["FORMATS", "plot_evaluation", "require_matplotlib"]

FORMATS = (".svg", ".png")

_COLOURS = {"none": "#7f7f7f", "constant": "#1f77b4", "shifted": "#ff7f0e", "rule": "#2ca02c", "model": "#d62728"}
_HEIGHT_INCHES, _WIDTH_INCHES = 7.5, 9.0


def require_matplotlib() -> Any:
    """Return the class of figures.

    Raises:
        UsageError: If matplotlib is not installed.
    """
    try:
        return importlib.import_module("matplotlib.figure").Figure
    except ModuleNotFoundError as error:
        msg = "a plot needs matplotlib, which is not installed"
        raise UsageError(msg, hint='pip install "mmframe[plot]"') from error


def plot_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write profit over time of each arm, and the model's difference to each, as SVG or PNG by the file's suffix.

    Raises:
        UsageError: If matplotlib is not installed, or the file cannot be written.
    """
    figure = require_matplotlib()(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES), layout="constrained")
    over_time, difference = figure.subplots(2, 1, height_ratios=(3, 2))
    _draw_curves(over_time, evaluation)
    _draw_differences(difference, evaluation)
    figure.suptitle(f"{evaluation.strategy}: advice of {evaluation.adviser}", fontsize=12)
    try:
        # Without the date of writing and with ids that are not drawn by lot: the same comparison is the same file.
        with importlib.import_module("matplotlib").rc_context({"svg.hashsalt": "mmframe"}):
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=120)
    except OSError as error:
        msg = f"--plot: expected a file that can be written, was {str(path)!r}: {error.strerror}"
        raise UsageError(msg) from error


def _draw_curves(axes: Any, evaluation: Evaluation) -> None:
    for arm, curve in evaluation.curves.items():
        hours = [(place + 1) * evaluation.step_s / 3_600.0 for place in range(len(curve))]
        is_model = arm == "model"
        label = f"{arm}, mean of {len(evaluation.shifts)}" if arm == "shifted" else arm
        axes.plot(
            [0.0, *hours],
            [0.0, *curve],
            label=label,
            color=_COLOURS.get(arm),
            linewidth=2.0 if is_model else 1.2,
            # A rule that says nothing is no advice: both lines are to be seen.
            linestyle="--" if arm == "rule" else "-",
            zorder=3 if is_model else 2,
        )
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.set_xlabel("hours of the recording")
    axes.set_ylabel(f"profit after fees and API cost, {evaluation.quote_asset}")
    axes.legend(loc="best", frameon=False)
    axes.grid(visible=True, alpha=0.25)


def _draw_differences(axes: Any, evaluation: Evaluation) -> None:
    places = range(len(evaluation.comparisons))
    for place, comparison in zip(places, evaluation.comparisons, strict=True):
        colour = _COLOURS.get(comparison.arm)
        axes.plot([comparison.low, comparison.high], [place, place], color=colour, linewidth=3.0, solid_capstyle="butt")
        axes.plot([comparison.difference], [place], "o", color=colour, markersize=8)
    axes.axvline(0.0, color="black", linewidth=0.6)
    axes.set_yticks(list(places), [f"model - {comparison.arm}" for comparison in evaluation.comparisons])
    axes.invert_yaxis()
    axes.margins(y=0.25)
    axes.set_xlabel(f"difference in profit with its interval of 95 %, {evaluation.quote_asset}")
    axes.grid(visible=True, axis="x", alpha=0.25)

"""Closed sets that more than one layer names."""

from __future__ import annotations

from enum import Enum

__all__ = ["Mode", "Scope"]


class Mode(Enum):
    """Which driver runs the strategy."""

    PAPER = "paper"
    BACKTEST = "backtest"
    LIVE = "live"


class Scope(Enum):
    """How far a HALT of a risk control reaches."""

    MARKET = "market"
    STRATEGY = "strategy"

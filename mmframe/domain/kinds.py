"""Closed sets that more than one layer names."""

from __future__ import annotations

from enum import Enum

__all__ = ["Mode", "OnOpenOrders", "OnPosition", "Scope"]


class Mode(Enum):
    """Which driver runs the strategy."""

    PAPER = "paper"
    BACKTEST = "backtest"
    LIVE = "live"


class Scope(Enum):
    """How far a HALT of a risk control reaches."""

    MARKET = "market"
    STRATEGY = "strategy"


class OnOpenOrders(Enum):
    """What a live start does with orders of ours that rest at the venue and that the run does not know."""

    CANCEL = "cancel"
    ADOPT = "adopt"
    """Take over those without a fill as quotes of this run; cancel the others."""
    REFUSE = "refuse"
    """Halt, and leave them as they are."""


class OnPosition(Enum):
    """What a live start does with a position at the venue that the run's fills do not explain."""

    REFUSE = "refuse"
    """Halt."""
    ADOPT = "adopt"
    """Book the difference as an opening execution at the venue's mark price, without a fee."""

"""The built-in advisers: each asks a model about numbers, and takes bounded numbers, words of a list or a note."""

from mmframe.builtin.advisers.direction import DIRECTION
from mmframe.builtin.advisers.market_decision import MARKET_DECISION
from mmframe.builtin.advisers.sentiment import SENTIMENT
from mmframe.builtin.advisers.signal_notes import SIGNAL_NOTES
from mmframe.builtin.advisers.spread_adviser import SPREAD_ADVISER
from mmframe.builtin.advisers.volatility_regime import VOLATILITY_REGIME

__all__ = ["ADVISERS"]

ADVISERS = (SPREAD_ADVISER, VOLATILITY_REGIME, DIRECTION, SENTIMENT, MARKET_DECISION, SIGNAL_NOTES)
"""In the order of the reference."""

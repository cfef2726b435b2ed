"""Strategy files: TOML text to typed, checked values, with every problem located."""

from mmframe.config.options import parse_options
from mmframe.config.strategy import StrategyFile, load_strategy_file

__all__ = ["StrategyFile", "load_strategy_file", "parse_options"]

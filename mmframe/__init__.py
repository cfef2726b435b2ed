"""mmframe: market-making strategies composed from plugins, on one deterministic engine for paper, backtest and live."""

__version__ = "0.1.0"

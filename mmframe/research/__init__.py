"""Questions about many markets at once, answered by the very rules that trade; for notebooks and studies, never live.

It stands above the registry, since it finds and builds components by their names, and below the command line.
"""

from mmframe.research.quotes import Chain, Column, ManyQuotes, PerMarket, Stage, chain_of, quote_many

__all__ = ["Chain", "Column", "ManyQuotes", "PerMarket", "Stage", "chain_of", "quote_many"]

"""Binance USDⓈ-M futures: one-way positions in crossed margin, listen keys, and streams on three paths.

What it leaves out: hedge mode (a switch that refuses orders), funding, liquidation, isolated margin (a label), algo
orders, good-till-date and retail orders, price match, streams of candles, and the WebSocket API.

The mark price is the middle of the book, or the last trade's price while a side is empty; the index price is the same.

A 503 of this exchange means three things by its text. `UNKNOWN_NOT_DONE` and `UNKNOWN_DONE` give the first; the other
two are refusals, told with `faults.next("order.place", Fault.UNKNOWN_NOT_DONE, body=UNAVAILABLE)` or `body=OVERLOADED`.
"""

from mmframe_localvenue.binance.usdm.dialect import UsdmDialect
from mmframe_localvenue.binance.usdm.gateway import OVERLOADED, UNAVAILABLE, UNKNOWN_OUTCOME

__all__ = ["OVERLOADED", "UNAVAILABLE", "UNKNOWN_OUTCOME", "UsdmDialect"]

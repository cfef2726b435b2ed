"""The 24-hour statistics as streams word them: one letter for each name that REST gives a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TICKER_STREAMS", "ticker_event"]

TICKER_STREAMS = ("ticker", "miniTicker")
"""What comes after the `@` of their streams."""
_MINI = {
    "symbol": "s",
    "lastPrice": "c",
    "openPrice": "o",
    "highPrice": "h",
    "lowPrice": "l",
    "volume": "v",
    "quoteVolume": "q",
}
_WHOLE = _MINI | {
    "priceChange": "p",
    "priceChangePercent": "P",
    "weightedAvgPrice": "w",
    "prevClosePrice": "x",
    "lastQty": "Q",
    "bidPrice": "b",
    "bidQty": "B",
    "askPrice": "a",
    "askQty": "A",
    "openTime": "O",
    "closeTime": "C",
    "firstId": "F",
    "lastId": "L",
    "count": "n",
}


def ticker_event(stream: str, day: Mapping[str, Any], at: int) -> dict[str, Any]:
    """Return the message of a ticker stream.

    Args:
        stream: One of `TICKER_STREAMS`.
        day: The statistics as REST shows them; what a product's REST does not have, its stream has not either.
        at: Time of the event, in the stream's unit.
    """
    name, letters = ("24hrMiniTicker", _MINI) if stream == "miniTicker" else ("24hrTicker", _WHOLE)
    return {"e": name, "E": at} | {letter: day[figure] for figure, letter in letters.items() if figure in day}

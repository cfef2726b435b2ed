"""Futures market data: what the book, the tape and the mark price look like over REST and as streams."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from mmframe.domain.market import Side
from mmframe_localvenue.binance.tickers import TICKER_STREAMS, ticker_event
from mmframe_localvenue.binance.usdm.figures import mark_price, plain, rounded
from mmframe_localvenue.core import DepthWindow

if TYPE_CHECKING:
    from mmframe_localvenue.binance.usdm.sockets import StreamSockets
    from mmframe_localvenue.core import BookChange, Core, Market, PublicTrade

__all__ = ["Aggregate", "MarketData", "book_ticker_json", "day_json", "public_update_id", "trade_json"]

_ID_STEP = 7
"""Update ids are of all symbols together, so a symbol's own have holes: `U` is not the previous `u` + 1."""
_SPEEDS_MS = (100, 250, 500)
_DEFAULT_SPEED_MS = 250
_PARTIAL_LEVELS = (5, 10, 20)
_AGGREGATES_KEPT = 10_000
_TICKER_S = 2
_MARK_SPEEDS_S = {"@1s": 1, "": 3}
_FUNDING_NS = 8 * 3_600_000_000_000


def public_update_id(update_id: int) -> int:
    """Return the update id that the public sees."""
    return update_id * _ID_STEP


@attrs.define
class Aggregate:
    """Trades of one price and one aggressor within 100 ms."""

    number: int
    price_ticks: int
    size_lots: int
    first_id: int
    last_id: int
    at_ns: int
    taker_side: Side

    def show(self, market: Market) -> dict[str, Any]:
        """Return it as the exchange shows it."""
        size = market.instrument.size_text(self.size_lots)
        return {
            "a": self.number,
            "p": market.instrument.price_text(self.price_ticks),
            "q": size,
            "nq": size,
            "f": self.first_id,
            "l": self.last_id,
            "T": self.at_ns // 1_000_000,
            "m": self.taker_side is Side.SELL,
        }


class _Window:
    """Depth changes of one speed, and where the last event of that speed ended."""

    def __init__(self, last_update_id: int) -> None:
        self.changes = DepthWindow()
        self.last_update_id = last_update_id


class _Tape:
    """What one market has told so far."""

    def __init__(self, market: Market) -> None:
        self.windows = {speed: _Window(market.update_id) for speed in _SPEEDS_MS}
        self.aggregates: deque[Aggregate] = deque(maxlen=_AGGREGATES_KEPT)
        self.growing: list[Aggregate] = []
        self.last_number = 0
        self.touch: tuple[tuple[int, int], tuple[int, int]] | None = None
        self.changed_ns = 0


class MarketData:
    """Tells the public what happens in the markets.

    Args:
        core: Of the venue.
        sockets: Where it goes.
    """

    def __init__(self, core: Core, sockets: StreamSockets) -> None:
        self._core = core
        self._sockets = sockets
        self._tapes = {market.name: _Tape(market) for market in core.exchange.markets.values()}
        self._fresh: set[str] = set()
        """Streams with a new listener: the first partial book does not wait for a change."""
        sockets.on_added.append(self._fresh.add)
        for market in core.exchange.markets.values():
            market.on_book.append(self._hear_book)
            market.on_trade.append(self._hear_trade)

    def aggregates(self, market: Market) -> list[Aggregate]:
        """Return the aggregated trades, oldest first, those of the running interval too."""
        tape = self._tapes[market.name]
        return [*tape.aggregates, *tape.growing]

    def depth(self, market: Market, limit: int) -> dict[str, Any]:
        """Return the book as REST shows it."""
        return {
            "lastUpdateId": public_update_id(market.update_id),
            "E": self._core.clock.now_ms(),
            "T": (self._tapes[market.name].changed_ns or self._core.clock.now_ns()) // 1_000_000,
            "bids": _levels(market, Side.BUY, limit),
            "asks": _levels(market, Side.SELL, limit),
        }

    def premium_index(self, market: Market) -> dict[str, Any]:
        """Return mark price, index price and funding as REST shows them; funding is always 0 here."""
        mark = rounded(mark_price(market))
        return {
            "symbol": market.name,
            "markPrice": mark,
            "indexPrice": mark,
            "estimatedSettlePrice": mark,
            "lastFundingRate": "0.00000000",
            "interestRate": "0.00000000",
            "nextFundingTime": self._next_funding_ms(),
            "time": self._core.clock.now_ms(),
        }

    async def run(self) -> None:
        """Publish what is told at intervals, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for speed_ms in _SPEEDS_MS:
                tasks.start_soon(self._publish_depth_at, speed_ms)
            for suffix, seconds in _MARK_SPEEDS_S.items():
                tasks.start_soon(self._publish_mark_at, suffix, seconds)
            tasks.start_soon(self._publish_tickers)

    # What the markets say

    def _hear_book(self, market: Market, change: BookChange) -> None:
        tape = self._tapes[market.name]
        tape.changed_ns = change.at_ns
        for window in tape.windows.values():
            window.changes.add(change)
        touch = (market.best(Side.BUY), market.best(Side.SELL))
        if touch == tape.touch:
            return
        tape.touch = touch
        for name in (f"{market.name.lower()}@bookTicker", "!bookTicker"):
            if self._sockets.has_readers(name):
                self._sockets.publish(name, "book-ticker", self._book_ticker_event(market, change))

    def _hear_trade(self, market: Market, trade: PublicTrade) -> None:
        tape, name = self._tapes[market.name], f"{market.name.lower()}@trade"
        if self._sockets.has_readers(name):
            self._sockets.publish(name, "trade", self._trade_event(market, trade))
        last = tape.growing[-1] if tape.growing else None
        if last is not None and (last.price_ticks, last.taker_side) == (trade.price_ticks, trade.taker_side):
            last.size_lots += trade.size_lots
            last.last_id = trade.trade_id
            return
        tape.last_number += 1
        tape.growing.append(
            Aggregate(
                number=tape.last_number,
                price_ticks=trade.price_ticks,
                size_lots=trade.size_lots,
                first_id=trade.trade_id,
                last_id=trade.trade_id,
                at_ns=trade.at_ns,
                taker_side=trade.taker_side,
            )
        )

    # What is told at intervals

    async def _publish_depth_at(self, speed_ms: int) -> None:
        while True:
            await self._core.clock.timing.sleep(speed_ms / 1_000)
            for market in self._core.exchange.markets.values():
                self._publish_depth(market, speed_ms)
                if speed_ms == min(_SPEEDS_MS):
                    self._publish_aggregates(market)

    async def _publish_mark_at(self, suffix: str, seconds: int) -> None:
        while True:
            await self._core.clock.timing.sleep(seconds)
            for market in self._core.exchange.markets.values():
                name = f"{market.name.lower()}@markPrice{suffix}"
                if self._sockets.has_readers(name):
                    self._sockets.publish(name, "mark-price", self._mark_event(market))

    async def _publish_tickers(self) -> None:
        while True:
            await self._core.clock.timing.sleep(_TICKER_S)
            now_ns = self._core.clock.now_ns()
            for market in self._core.exchange.markets.values():
                for stream in TICKER_STREAMS:
                    name = f"{market.name.lower()}@{stream}"
                    if self._sockets.has_readers(name):
                        event = ticker_event(stream, day_json(market, now_ns), now_ns // 1_000_000)
                        self._sockets.publish(name, "ticker", event)

    def _publish_depth(self, market: Market, speed_ms: int) -> None:
        window = self._tapes[market.name].windows[speed_ms]
        changes = window.changes.take()
        event = {
            "e": "depthUpdate",
            "E": self._core.clock.now_ms(),
            "T": (window.changes.at_ns or self._core.clock.now_ns()) // 1_000_000,
            "s": market.name,
            "U": public_update_id(window.changes.first_update_id or market.update_id),
            "u": public_update_id(window.changes.last_update_id or market.update_id),
            "pu": public_update_id(window.last_update_id),
        }
        if changes:
            window.last_update_id = window.changes.last_update_id
        suffixes = (f"@{speed_ms}ms", "") if speed_ms == _DEFAULT_SPEED_MS else (f"@{speed_ms}ms",)
        for suffix in suffixes:
            name = f"{market.name.lower()}@depth{suffix}"
            if changes and self._sockets.has_readers(name):
                self._sockets.publish(name, "depth", event | _changed_levels(market, changes))
            for count in _PARTIAL_LEVELS:
                name = f"{market.name.lower()}@depth{count}{suffix}"
                if self._sockets.has_readers(name) and (changes or name in self._fresh):
                    self._fresh.discard(name)
                    levels = {"b": _levels(market, Side.BUY, count), "a": _levels(market, Side.SELL, count)}
                    self._sockets.publish(name, "depth.partial", event | levels)

    def _publish_aggregates(self, market: Market) -> None:
        tape = self._tapes[market.name]
        done, tape.growing = tape.growing, []
        tape.aggregates.extend(done)
        if not self._sockets.has_readers(f"{market.name.lower()}@aggTrade"):
            return
        for aggregate in done:
            event = {"e": "aggTrade", "E": self._core.clock.now_ms(), "s": market.name, **aggregate.show(market)}
            self._sockets.publish(f"{market.name.lower()}@aggTrade", "trade", event)

    def _trade_event(self, market: Market, trade: PublicTrade) -> dict[str, Any]:
        return {
            "e": "trade",
            "E": self._core.clock.now_ms(),
            "T": trade.at_ns // 1_000_000,
            "s": market.name,
            "t": trade.trade_id,
            "p": market.instrument.price_text(trade.price_ticks),
            "q": market.instrument.size_text(trade.size_lots),
            "X": "MARKET",
            "m": trade.taker_side is Side.SELL,
        }

    def _book_ticker_event(self, market: Market, change: BookChange) -> dict[str, Any]:
        (bid, bid_lots), (ask, ask_lots) = market.best(Side.BUY), market.best(Side.SELL)
        instrument = market.instrument
        return {
            "e": "bookTicker",
            "u": public_update_id(change.last_update_id),
            "s": market.name,
            "b": instrument.price_text(bid),
            "B": instrument.size_text(bid_lots),
            "a": instrument.price_text(ask),
            "A": instrument.size_text(ask_lots),
            "T": change.at_ns // 1_000_000,
            "E": self._core.clock.now_ms(),
        }

    def _mark_event(self, market: Market) -> dict[str, Any]:
        mark = rounded(mark_price(market))
        return {
            "e": "markPriceUpdate",
            "E": self._core.clock.now_ms(),
            "s": market.name,
            "p": mark,
            "ap": mark,
            "i": mark,
            "P": mark,
            "r": "0.00000000",
            "T": self._next_funding_ms(),
        }

    def _next_funding_ms(self) -> int:
        return (self._core.clock.now_ns() // _FUNDING_NS + 1) * _FUNDING_NS // 1_000_000


def book_ticker_json(market: Market, now_ms: int) -> dict[str, Any]:
    """Return the touch as REST shows it."""
    (bid, bid_lots), (ask, ask_lots) = market.best(Side.BUY), market.best(Side.SELL)
    instrument = market.instrument
    return {
        "symbol": market.name,
        "bidPrice": instrument.price_text(bid),
        "bidQty": instrument.size_text(bid_lots),
        "askPrice": instrument.price_text(ask),
        "askQty": instrument.size_text(ask_lots),
        "time": now_ms,
        "lastUpdateId": public_update_id(market.update_id),
    }


def trade_json(market: Market, trade: PublicTrade) -> dict[str, Any]:
    """Return a public trade as REST shows it."""
    instrument = market.instrument
    return {
        "id": trade.trade_id,
        "price": instrument.price_text(trade.price_ticks),
        "qty": instrument.size_text(trade.size_lots),
        "quoteQty": plain(instrument.notional_quote(trade.price_ticks, trade.size_lots)),
        "time": trade.at_ns // 1_000_000,
        "isBuyerMaker": trade.taker_side is Side.SELL,
        "isRPITrade": False,
    }


def day_json(market: Market, now_ns: int) -> dict[str, Any]:
    """Return the figures of the last 24 hours as REST shows them."""
    trades, instrument = market.day_trades(now_ns), market.instrument
    last = market.last_price
    prices = [trade.price_ticks for trade in trades]
    opened = instrument.price(prices[0]) if prices else last
    lots = sum(trade.size_lots for trade in trades)
    value = instrument.notional_quote(1, sum(trade.price_ticks * trade.size_lots for trade in trades))
    return {
        "symbol": market.name,
        "priceChange": plain(last - opened),
        "priceChangePercent": rounded((last / opened - 1) * 100, 3),
        "weightedAvgPrice": plain((value / instrument.size(lots)).quantize(instrument.tick_size) if lots else last),
        "lastPrice": plain(last),
        "lastQty": instrument.size_text(trades[-1].size_lots if trades else 0),
        "openPrice": plain(opened),
        "highPrice": plain(instrument.price(max(prices)) if prices else last),
        "lowPrice": plain(instrument.price(min(prices)) if prices else last),
        "volume": instrument.size_text(lots),
        "quoteVolume": plain(value),
        "openTime": now_ns // 1_000_000 - 86_400_000,
        "closeTime": now_ns // 1_000_000,
        "firstId": trades[0].trade_id if trades else 0,
        "lastId": trades[-1].trade_id if trades else 0,
        "count": len(trades),
    }


def _levels(market: Market, side: Side, count: int) -> list[list[str]]:
    return [list(level) for level in market.levels(side, count)]


def _changed_levels(market: Market, changes: list[tuple[int, int, int]]) -> dict[str, list[list[str]]]:
    instrument = market.instrument
    sides: dict[int, list[list[str]]] = {Side.BUY: [], Side.SELL: []}
    for side, ticks, lots in changes:
        sides[side].append([instrument.price_text(ticks), instrument.size_text(lots)])
    return {"b": sides[Side.BUY], "a": sides[Side.SELL]}

"""Spot market streams: raw and combined sockets, live subscriptions, and when each stream says something."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.domain.market import Side
from mmframe_localvenue.binance.commands import answer_command
from mmframe_localvenue.binance.spot_tickers import day_json
from mmframe_localvenue.binance.tickers import TICKER_STREAMS, ticker_event
from mmframe_localvenue.core import DepthWindow, RateWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mmframe_localvenue.core import BookChange, Connection, Core, Market, PublicTrade

__all__ = ["Aggregate", "MarketStreams"]

_STREAM = re.compile(
    r"(?P<symbol>[^@]+)@(?:(?P<depth>depth)(?P<levels>5|10|20)?(?:@(?P<speed>100|1000)ms)?"
    r"|(?P<kind>trade|aggTrade|bookTicker|ticker|miniTicker))"
)
_FAST_S, _SLOW_TICKS = 0.1, 10
_MESSAGES_PER_S = 5
_POLICY_VIOLATION = 1008
_AGGREGATES_KEPT = 10_000


@attrs.define
class Aggregate:
    """Trades of one taker order at one price."""

    number: int
    price_ticks: int
    size_lots: int
    first_id: int
    last_id: int
    at_ns: int
    taker_order_id: int
    is_buyer_maker: bool

    def rest_json(self, market: Market, stamp: Callable[[int], int]) -> dict[str, Any]:
        """Return it as REST shows it."""
        return {
            "a": self.number,
            "p": _amount(market.instrument.price(self.price_ticks)),
            "q": _amount(market.instrument.size(self.size_lots)),
            "f": self.first_id,
            "l": self.last_id,
            "T": stamp(self.at_ns),
            "m": self.is_buyer_maker,
            "M": True,
        }


class _Tape:
    """What one market has told so far, and what is collected for the next interval."""

    def __init__(self) -> None:
        self.fast = DepthWindow()
        self.slow = DepthWindow()
        self.aggregates: deque[Aggregate] = deque(maxlen=_AGGREGATES_KEPT)
        self.growing: Aggregate | None = None
        self.last_number = 0
        self.touch: tuple[tuple[int, int], tuple[int, int]] | None = None


class _Reader:
    """One socket and what it listens to."""

    def __init__(self, connection: Connection, *, is_combined: bool) -> None:
        self.connection = connection
        self.is_combined = is_combined
        self.is_microsecond = connection.query.get("timeUnit", "").upper() == "MICROSECOND"
        self.streams: dict[str, re.Match[str]] = {}
        self.fresh: set[str] = set()
        """Partial books that have not been sent yet: the first one does not wait for a change."""
        self.messages = RateWindow(1, _MESSAGES_PER_S)

    def stamp(self, at_ns: int) -> int:
        return at_ns // 1_000 if self.is_microsecond else at_ns // 1_000_000

    def add(self, name: str) -> None:
        match = _STREAM.fullmatch(name)
        if match is not None and name not in self.streams:
            self.streams[name] = match
            self.fresh.add(name)

    def remove(self, name: str) -> None:
        self.streams.pop(name, None)

    @property
    def subscribed(self) -> Collection[str]:
        return self.streams

    def tell(self, operation: str, name: str, payload: dict[str, Any]) -> None:
        body = {"stream": name, "data": payload} if self.is_combined else payload
        self.connection.send_data(operation, json.dumps(body, separators=(",", ":"), ensure_ascii=False))


class MarketStreams:
    """All market sockets of the venue.

    Args:
        core: Of the venue.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._readers: list[_Reader] = []
        self._tapes = {name: _Tape() for name in core.exchange.markets}
        for market in core.exchange.markets.values():
            market.on_book.append(self._hear_book)
            market.on_trade.append(self._hear_trade)

    def aggregates(self, market: Market) -> list[Aggregate]:
        """Return the aggregated trades of a market, oldest first."""
        return list(self._tapes[market.name].aggregates)

    async def serve(self, connection: Connection) -> None:
        """Serve one socket until it is over."""
        is_combined = connection.path.startswith("/stream")
        names = connection.query.get("streams", "") if is_combined else connection.path.removeprefix("/ws").strip("/")
        reader = _Reader(connection, is_combined=is_combined)
        for name in filter(None, names.split("/")):
            reader.add(name)
        connection.on_control = lambda: self._count_control(reader)
        connection.on_shutdown = lambda: self._say_shutdown(reader)
        self._readers.append(reader)

        async def on_text(text: str) -> None:
            if self._count(reader):
                connection.send(json.dumps(answer_command(reader, text), separators=(",", ":")))

        try:
            await connection.serve(on_text)
        finally:
            self._readers.remove(reader)

    async def run(self) -> None:
        """Publish what was collected, every 100 ms and every second, until cancelled."""
        timing, ticks = self._core.clock.timing, 0
        while True:
            await timing.sleep(_FAST_S)
            ticks += 1
            for market in self._core.exchange.markets.values():
                tape = self._tapes[market.name]
                self._publish_depth(market, tape.fast, "100")
                if ticks % _SLOW_TICKS == 0:
                    self._publish_depth(market, tape.slow, "1000")
                    self._publish_tickers(market)

    # What the markets say

    def _hear_book(self, market: Market, change: BookChange) -> None:
        tape = self._tapes[market.name]
        self._finish_aggregate(market, tape)
        tape.fast.add(change)
        tape.slow.add(change)
        touch = (market.best(Side.BUY), market.best(Side.SELL))
        if touch != tape.touch:
            tape.touch = touch
            for reader, name in self._listening(market, "bookTicker"):
                reader.tell("book-ticker", name, _book_ticker(market, change.last_update_id))

    def _hear_trade(self, market: Market, trade: PublicTrade) -> None:
        tape, growing = self._tapes[market.name], self._tapes[market.name].growing
        for reader, name in self._listening(market, "trade"):
            reader.tell("trade", name, _trade(market, trade, reader.stamp))
        if (
            growing is not None
            and growing.taker_order_id == trade.taker_order_id
            and growing.price_ticks == trade.price_ticks
        ):
            growing.size_lots += trade.size_lots
            growing.last_id = trade.trade_id
            return
        self._finish_aggregate(market, tape)
        tape.last_number += 1
        tape.growing = Aggregate(
            number=tape.last_number,
            price_ticks=trade.price_ticks,
            size_lots=trade.size_lots,
            first_id=trade.trade_id,
            last_id=trade.trade_id,
            at_ns=trade.at_ns,
            taker_order_id=trade.taker_order_id,
            is_buyer_maker=trade.taker_side is Side.SELL,
        )

    def _finish_aggregate(self, market: Market, tape: _Tape) -> None:
        done, tape.growing = tape.growing, None
        if done is None:
            return
        tape.aggregates.append(done)
        for reader, name in self._listening(market, "aggTrade"):
            event = {"e": "aggTrade", "E": reader.stamp(done.at_ns), "s": market.name}
            reader.tell("trade", name, event | done.rest_json(market, reader.stamp))

    def _publish_depth(self, market: Market, window: DepthWindow, speed: str) -> None:
        changes = window.take()
        for reader, name in self._listening(market, "depth"):
            match = reader.streams[name]
            if (match["speed"] or "1000") != speed:
                continue
            if match["levels"] is not None:
                if changes or name in reader.fresh:
                    reader.fresh.discard(name)
                    reader.tell("depth.partial", name, _partial(market, int(match["levels"])))
            elif changes:
                reader.tell("depth", name, _diff(market, window, changes, reader.stamp))

    def _publish_tickers(self, market: Market) -> None:
        now_ns = self._core.clock.now_ns()
        for stream in TICKER_STREAMS:
            for reader, name in self._listening(market, stream):
                event = ticker_event(stream, day_json(market, now_ns, reader.stamp), reader.stamp(now_ns))
                reader.tell("ticker", name, event)

    def _listening(self, market: Market, kind: str) -> list[tuple[_Reader, str]]:
        symbol = market.name.lower()
        return [
            (reader, name)
            for reader in self._readers
            for name, match in reader.streams.items()
            if match["symbol"] == symbol and kind in {match["depth"], match["kind"]}
        ]

    # What clients say

    def _count(self, reader: _Reader) -> bool:
        """Count an incoming message; close the connection and return False when there are too many."""
        if reader.messages.add(1, self._core.clock.now_ns()) <= _MESSAGES_PER_S:
            return True
        reader.connection.close_soon(_POLICY_VIOLATION)
        return False

    def _count_control(self, reader: _Reader) -> None:
        self._count(reader)

    def _say_shutdown(self, reader: _Reader) -> None:
        event = {"e": "serverShutdown", "E": reader.stamp(self._core.clock.now_ns())}
        body = {"stream": "!serverShutdown", "data": event} if reader.is_combined else event
        reader.connection.send(json.dumps(body, separators=(",", ":")))


def _amount(value: Any) -> str:
    return f"{value:.8f}"


def _levels(market: Market, side: Side, count: int) -> list[list[str]]:
    instrument = market.instrument
    return [
        [_amount(instrument.price(ticks)), _amount(instrument.size(lots))]
        for ticks, lots in market.engine.levels(side, count)
    ]


def _partial(market: Market, count: int) -> dict[str, Any]:
    return {
        "lastUpdateId": market.update_id,
        "bids": _levels(market, Side.BUY, count),
        "asks": _levels(market, Side.SELL, count),
    }


def _diff(
    market: Market, window: DepthWindow, changes: list[tuple[int, int, int]], stamp: Callable[[int], int]
) -> dict[str, Any]:
    instrument = market.instrument
    sides: dict[int, list[list[str]]] = {Side.BUY: [], Side.SELL: []}
    for side, ticks, lots in changes:
        sides[side].append([_amount(instrument.price(ticks)), _amount(instrument.size(lots))])
    return {
        "e": "depthUpdate",
        "E": stamp(window.at_ns),
        "s": market.name,
        "U": window.first_update_id,
        "u": window.last_update_id,
        "b": sides[Side.BUY],
        "a": sides[Side.SELL],
    }


def _book_ticker(market: Market, update_id: int) -> dict[str, Any]:
    instrument = market.instrument
    (bid, bid_lots), (ask, ask_lots) = market.best(Side.BUY), market.best(Side.SELL)
    return {
        "u": update_id,
        "s": market.name,
        "b": _amount(instrument.price(bid)),
        "B": _amount(instrument.size(bid_lots)),
        "a": _amount(instrument.price(ask)),
        "A": _amount(instrument.size(ask_lots)),
    }


def _trade(market: Market, trade: PublicTrade, stamp: Callable[[int], int]) -> dict[str, Any]:
    return {
        "e": "trade",
        "E": stamp(trade.at_ns),
        "s": market.name,
        "t": trade.trade_id,
        "p": _amount(market.instrument.price(trade.price_ticks)),
        "q": _amount(market.instrument.size(trade.size_lots)),
        "T": stamp(trade.at_ns),
        "m": trade.taker_side is Side.SELL,
        "M": True,
    }

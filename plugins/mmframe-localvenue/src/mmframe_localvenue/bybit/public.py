"""The public sockets: books, trades and tickers of one category.

A book topic is a window on the best levels, published when it has changed, at most once per its interval. A client that
subscribes gets what was published last as its snapshot, so that the next delta follows it. Update ids rise by one per
message of a topic; the cross sequence is the market's and compares between depths.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from mmframe.domain.market import Side
from mmframe_localvenue.bybit.envelope import SPOT
from mmframe_localvenue.bybit.market_data import trade_text_id
from mmframe_localvenue.bybit.records import category_of, public_text, side_text, trimmed
from mmframe_localvenue.bybit.sessions import NO_PINGS, Session
from mmframe_localvenue.bybit.tickers import stream_ticker, tick_direction
from mmframe_localvenue.core import Role

if TYPE_CHECKING:
    from aiohttp import web

    from mmframe_localvenue.core import BookChange, Connection, Core, Market, PublicTrade

__all__ = ["REST_DEPTH", "PublicSockets"]

REST_DEPTH = 1000
_INTERVALS_S = {1: 0.01, 50: 0.02, 200: 0.1, REST_DEPTH: 0.2}
_REPEAT_S = 3.0
_TICKER_S = {SPOT: 0.05, "linear": 0.1}
_SPOT_ARGUMENTS_MAX = 10
_ARGUMENTS_MAX_CHARACTERS = 21_000
_TRADES_MAX = 1024
_FIRST_UPDATE = 100_000
_LINEAR_TRADE = ("T", "s", "S", "v", "p", "L", "i", "BT", "RPI", "seq")
_TICKER_PAIRS = (frozenset({"bid1Price", "bid1Size"}), frozenset({"ask1Price", "ask1Size"}))
_Levels = dict[tuple[int, int], int]


def _head(market: Market, topic: str, kind: str, now_ms: int, *, is_level_one: bool = False) -> dict[str, Any]:
    """Return the beginning of a message: spot and level 1 put the time before the type, so nobody may read by place."""
    if is_level_one or category_of(market) == SPOT:
        return {"topic": topic, "ts": now_ms, "type": kind}
    return {"topic": topic, "type": kind, "ts": now_ms}


class _Topic:
    """Who hears one topic."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.listeners: list[Session] = []

    def send(self, operation: str, text: str) -> None:
        for session in self.listeners:
            session.touch()
            session.connection.send_data(operation, text)


class _BookTopic(_Topic):
    """One depth of one market's book.

    Args:
        core: The venue.
        market: Whose.
        depth: Levels a side.
    """

    def __init__(self, core: Core, market: Market, depth: int) -> None:
        super().__init__(f"orderbook.{depth}.{market.name}")
        self._core = core
        self._market = market
        self._depth = depth
        self._is_spot = category_of(market) == SPOT
        self._changed = anyio.Event()
        self._published = self._window()
        self._sequence = market.update_id
        self._at_ns = core.clock.now_ns()
        self.update_id = _FIRST_UPDATE * (depth + 1)
        market.on_book.append(self._note)

    def open(self, session: Session) -> None:
        """Let a session hear the topic from its snapshot on."""
        if not self.listeners:
            # Nobody listened: what was published last may be long ago.
            self.publish()
        self.listeners.append(session)
        session.touch()
        session.connection.send_data("depth", self._text("snapshot", self._published))

    def restart(self) -> None:
        """Begin anew at `u` 1, as after a restart of the exchange's service."""
        self._published = self._window()
        self._sequence = self._market.update_id
        self.update_id = 1
        self.send("depth", self._text("snapshot", self._published))

    def publish(self) -> None:
        """Publish what has changed under a new update id; nothing when nothing in the window has."""
        before, now = self._published, self._window()
        if now == before:
            return
        self._published = now
        self._sequence = self._market.update_id
        self.update_id += 1
        if self._depth == 1:
            self.send("depth", self._text("snapshot", now))
            return
        delta = {level: 0 for level in before if level not in now}
        delta |= {level: lots for level, lots in now.items() if before.get(level) != lots}
        self.send("depth", self._text("delta", delta))

    async def run(self) -> None:
        """Publish as things change, until cancelled; level 1 repeats itself after three quiet seconds."""
        timing = self._core.clock.timing
        while True:
            if self._depth == 1:
                try:
                    await timing.within(_REPEAT_S, self._changed.wait)
                except TimeoutError:
                    self.send("depth", self._text("snapshot", self._published))
                    continue
            else:
                await self._changed.wait()
            await timing.sleep(_INTERVALS_S[self._depth])
            self._changed = anyio.Event()
            self.publish()

    def _note(self, market: Market, change: BookChange) -> None:  # noqa: ARG002 - the window is read when it is due
        self._at_ns = change.at_ns
        if self.listeners:
            self._changed.set()

    def _window(self) -> _Levels:
        engine = self._market.engine
        return {
            (side, ticks): lots for side in (Side.BUY, Side.SELL) for ticks, lots in engine.levels(side, self._depth)
        }

    def _text(self, kind: str, levels: _Levels) -> str:
        instrument = self._market.instrument
        sides: dict[int, list[tuple[str, str]]] = {Side.BUY: [], Side.SELL: []}
        for (side, ticks), lots in levels.items():
            price, size = instrument.price_text(ticks), instrument.size_text(lots) if lots else "0"
            sides[side].append((trimmed(price), trimmed(size)) if self._is_spot else (price, size))
        head = _head(self._market, self.name, kind, self._core.clock.now_ms(), is_level_one=self._depth == 1)
        data = {
            "s": self._market.name,
            "b": sides[Side.BUY],
            "a": sides[Side.SELL],
            "u": self.update_id,
            "seq": self._sequence,
        }
        return msgspec.json.encode(head | {"data": data, "cts": self._at_ns // 1_000_000}).decode()


class _TradeTopic(_Topic):
    """One market's trades; those of one moment go out together."""

    def __init__(self, core: Core, market: Market) -> None:
        super().__init__(f"publicTrade.{market.name}")
        self._core = core
        self._market = market
        self._waiting: list[dict[str, Any]] = []
        self._changed = anyio.Event()
        self._last_ticks = 0
        market.on_trade.append(self._note)

    def open(self, session: Session) -> None:
        """Let a session hear the topic; there is no history in it."""
        self.listeners.append(session)

    async def run(self) -> None:
        """Send what is waiting, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            waiting, self._waiting = self._waiting, []
            for start in range(0, len(waiting), _TRADES_MAX):
                head = _head(self._market, self.name, "snapshot", self._core.clock.now_ms())
                message = head | {"data": waiting[start : start + _TRADES_MAX]}
                self.send("trade", msgspec.json.encode(message).decode())

    def _note(self, market: Market, trade: PublicTrade) -> None:
        ticks, last = trade.price_ticks, self._last_ticks or trade.price_ticks
        self._last_ticks = ticks
        if not self.listeners:
            return
        record: dict[str, Any] = {
            "i": trade_text_id(market, trade),
            "T": trade.at_ns // 1_000_000,
            "p": public_text(market, market.instrument.price_text(ticks)),
            "v": public_text(market, market.instrument.size_text(trade.size_lots)),
            "S": side_text(trade.taker_side),
            "seq": market.update_id + 1,
            "s": market.name,
            "BT": False,
            "RPI": False,
        }
        if category_of(market) != SPOT:
            record["L"] = tick_direction(ticks, last)
            record = {name: record[name] for name in _LINEAR_TRADE}
        self._waiting.append(record)
        self._changed.set()


class _TickerTopic(_Topic):
    """One market's ticker: snapshots on spot, a snapshot and deltas on linear."""

    def __init__(self, core: Core, market: Market) -> None:
        super().__init__(f"tickers.{market.name}")
        self._core = core
        self._market = market
        self._category = category_of(market)
        self._published: dict[str, Any] = {}
        self._changed = anyio.Event()
        market.on_book.append(self._note)

    def open(self, session: Session) -> None:
        """Let a session hear the topic from its snapshot on."""
        if not self.listeners:
            self._published = stream_ticker(self._market, self._core.clock.now_ns())
        self.listeners.append(session)
        session.connection.send_data("ticker", self._text("snapshot", self._published))

    async def run(self) -> None:
        """Publish as things change, until cancelled."""
        while True:
            await self._changed.wait()
            await self._core.clock.timing.sleep(_TICKER_S[self._category])
            self._changed = anyio.Event()
            if not self.listeners:
                continue
            now = stream_ticker(self._market, self._core.clock.now_ns())
            changed = {name for name, text in now.items() if self._published[name] != text}
            # Price and size of the touch travel together.
            for pair in _TICKER_PAIRS:
                if changed & pair:
                    changed |= pair
            changes = {name: text for name, text in now.items() if name in changed}
            self._published = now
            if changes and self._category == SPOT:
                self.send("ticker", self._text("snapshot", now))
            elif changes:
                self.send("ticker", self._text("delta", {"symbol": self._market.name} | changes))

    def _note(self, market: Market, change: BookChange) -> None:  # noqa: ARG002 - read when it is due
        if self.listeners:
            self._changed.set()

    def _text(self, kind: str, data: dict[str, Any]) -> str:
        now_ms, sequence = self._core.clock.now_ms(), self._market.update_id
        message: dict[str, Any]
        if self._category == SPOT:
            message = {"topic": self.name, "ts": now_ms, "type": kind, "cs": sequence, "data": data}
        else:
            message = {"topic": self.name, "type": kind, "data": data, "cs": sequence, "ts": now_ms}
        return msgspec.json.encode(message).decode()


class PublicSockets:
    """All sockets under `/v5/public/{category}`.

    Args:
        core: The venue.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._topics: dict[str, dict[str, _BookTopic | _TradeTopic | _TickerTopic]] = {SPOT: {}, "linear": {}}
        self._books: dict[int, _BookTopic] = {}
        for market in core.exchange.markets.values():
            topics = self._topics[category_of(market)]
            for depth in _INTERVALS_S:
                book = _BookTopic(core, market, depth)
                topics[book.name] = book
                self._books[market.index] = book  # The last is the deepest: the one that REST books agree with.
            for other in (_TradeTopic(core, market), _TickerTopic(core, market)):
                topics[other.name] = other

    def book_id(self, market: Market) -> int:
        """Return the update id of a market's 1000-level topic for the book as it is now."""
        book = self._books[market.index]
        book.publish()
        return book.update_id

    def restart(self) -> None:
        """Send every book anew with `u` 1."""
        for topics in self._topics.values():
            for topic in topics.values():
                if isinstance(topic, _BookTopic):
                    topic.restart()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with anyio.create_task_group() as tasks:
            for topics in self._topics.values():
                for topic in topics.values():
                    tasks.start_soon(topic.run)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket."""

        async def serve(connection: Connection) -> None:
            session = _PublicSession(connection, self._core, self._topics[request.match_info["category"]])
            try:
                await session.serve(session.on_object)
            finally:
                session.leave()

        return await self._core.open_socket(request, Role.MARKET, NO_PINGS, serve)


class _PublicSession(Session):
    """One public socket."""

    def __init__(
        self, connection: Connection, core: Core, topics: dict[str, _BookTopic | _TradeTopic | _TickerTopic]
    ) -> None:
        super().__init__(connection, core.clock)
        self._topics = topics
        self._is_spot = connection.path.endswith("/spot")
        self._heard: set[str] = set()

    async def on_object(self, message: dict[str, Any] | None) -> None:
        """Answer one message."""
        if message is None:
            self._ack("", None, "error:invalid json")
            return
        operation, request_id = str(message.get("op", "")), message.get("req_id")
        if operation == "ping":
            self.touch()
            self._ack("ping", request_id, "", word="pong")
        elif operation == "subscribe":
            self._subscribe(message.get("args"), request_id)
        elif operation == "unsubscribe":
            self._unsubscribe(message.get("args"), request_id)
        else:
            self._ack(operation, request_id, "error:unknown op")

    def leave(self) -> None:
        """Hear nothing more."""
        for name in self._heard:
            self._topics[name].listeners.remove(self)
        self._heard.clear()

    def _subscribe(self, args: Any, request_id: Any) -> None:
        names = [str(name) for name in args] if isinstance(args, list) else []
        problem = self._problem(names)
        self._ack("subscribe", request_id, problem)
        if problem:
            return
        for name in names:
            self._heard.add(name)
            self._topics[name].open(self)

    def _unsubscribe(self, args: Any, request_id: Any) -> None:
        names = {str(name) for name in args} & self._heard if isinstance(args, list) else set()
        for name in names:
            self._topics[name].listeners.remove(self)
        self._heard -= names
        self._ack("unsubscribe", request_id)

    def _problem(self, names: list[str]) -> str:
        if not names or sum(len(name) for name in names) > _ARGUMENTS_MAX_CHARACTERS:
            return "error:args are empty or too long"
        if self._is_spot and len(names) > _SPOT_ARGUMENTS_MAX:
            return f"error:args size >{_SPOT_ARGUMENTS_MAX}"
        for name in names:
            if name in self._heard:
                return f"error:already subscribed,topic:{name}"
            if name not in self._topics:
                return f"error:handler not found,topic:{name}"
        return "" if len(set(names)) == len(names) else "error:topic named twice"

    def _ack(self, operation: str, request_id: Any, problem: str = "", *, word: str = "") -> None:
        # Spot repeats the operation and leaves an id out that it was not given; linear does neither.
        word = word or (operation if self._is_spot else "")
        frame: dict[str, Any] = {"success": not problem, "ret_msg": problem or word, "conn_id": self.connection_id}
        if request_id is not None or not self._is_spot:
            frame["req_id"] = "" if request_id is None else request_id
        self.say(frame | {"op": operation})

"""A market on loopback that talks as fast as it is listened to, or at a given pace; a process of its own.

It speaks what the feeds `binance/spot` and `bybit/linear` ask for: subscriptions, diffs of the book, snapshots (over
REST for Binance, in the stream for Bybit). The diffs are made beforehand from a seed: each moves the touch by one tick,
so that every quote has to follow, adds and removes a level at both ends of the book, and sets new sizes next to the
touch. They come round again after a while, with the touch where it began; ids and times are written in when a frame is
sent. Times of Binance are in microseconds and of the very moment, so that a reader on the same machine can tell how
long a frame was under way.

Run as a program with the fields of `MarketSettings` as JSON, it prints its addresses as JSON and serves until its
standard input ends.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import attrs
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TICK_SIZES", "Market", "MarketSettings", "payloads", "symbols"]

TICK_SIZES = {"binance": "0.01", "bybit": "0.1"}
LOT_SIZES = {"binance": "0.00001", "bybit": "0.001"}

_MID_TICKS = 651_142
_LEVELS = {"binance": 1_000, "bybit": 200}
_FIRST_ID = 100_000_000_000
_CHANGED_WITHIN = 199
"""Levels next to the touch, in which sizes change."""
_MOVES = 4
"""Changes that follow from a step of the touch: a level more and a level less on each side."""
_CHANGES_PREPARED = 100_000
"""Of all symbols together: more sizes than any reader remembers."""
_CHUNK_BYTES = 65_536


@attrs.frozen(kw_only=True)
class MarketSettings:
    """What is sent.

    Attributes:
        venue: Whose protocol: `binance` or `bybit`.
        symbols: Markets on one socket, which take turns.
        changes: Of each diff, even and at least 4.
        frames: Diffs that are sent, of all symbols together.
        frames_per_second: Pace; 0 for as fast as the reader reads.
        gap_every_s: Now and then a diff of one symbol, each in turn, is left out; 0 for never.
    """

    venue: str = "binance"
    symbols: int = 1
    changes: int = 20
    frames: int = 20_000
    frames_per_second: float = 0.0
    gap_every_s: float = 0.0

    @property
    def prepared(self) -> int:
        """Return how many diffs of each symbol are made beforehand: an even number, so that the touch returns."""
        needed = -(-self.frames // self.symbols)
        return 2 * max(1, min(needed, _CHANGES_PREPARED // self.changes // self.symbols) // 2)


def symbols(settings: MarketSettings) -> tuple[str, ...]:
    """Return the venue's names of the markets."""
    return tuple(f"S{number:02d}USDT" for number in range(settings.symbols))


class _Change(NamedTuple):
    side: int
    ticks: int
    lots: int


class _Template(NamedTuple):
    """A frame with room for what is known only when it is sent."""

    frame: bytearray
    """With the header of the websocket protocol."""
    payload_start: int
    id_places: tuple[int, ...]
    time_places: tuple[int, ...]


class Market:
    """One symbol's book and the diffs that move it.

    Attributes:
        number: Id of the last diff that was taken.
    """

    def __init__(self, settings: MarketSettings, symbol: str, seed: int) -> None:
        self.symbol = symbol
        self.number = _FIRST_ID
        self._venue = settings.venue
        self._time_digits = 16 if settings.venue == "binance" else 13
        self._levels = _LEVELS[settings.venue]
        source = random.Random(seed)
        self._start = {
            (side, ticks): source.randint(1, 9_999_999)
            for side, prices in enumerate(self._prices(_MID_TICKS))
            for ticks in prices
        }
        steps = [1, -1] * (settings.prepared // 2)
        source.shuffle(steps)
        self._diffs = list(self._moves(source, steps, settings.changes))
        self._templates = [self._template(diff) for diff in self._diffs]

    def take(self) -> memoryview:
        """Return the next diff as a frame of the websocket protocol, of this moment; valid until the next call."""
        template = self._next()
        return memoryview(template.frame)

    def take_payload(self) -> bytes:
        """Return the next diff without the protocol's header."""
        template = self._next()
        return bytes(template.frame[template.payload_start :])

    def skip(self) -> None:
        """Let the next diff happen without telling it."""
        self.number += 1

    def snapshot(self) -> bytes:
        """Return the whole book after the last diff taken, as the venue words it."""
        levels = dict(self._start)
        taken = self.number - _FIRST_ID
        whole = len(self._diffs) if taken >= len(self._diffs) else 0
        for diff in (*self._diffs[:whole], *self._diffs[: taken % len(self._diffs)]):
            for side, ticks, lots in diff:
                levels[side, ticks] = lots
        book = sorted((_Change(side, ticks, lots) for (side, ticks), lots in levels.items() if lots), key=_from_touch)
        bids, asks = ([self._level(change) for change in book if change.side == side] for side in (0, 1))
        if self._venue == "binance":
            return _json({"lastUpdateId": self.number, "bids": bids, "asks": asks})
        return self._bybit("snapshot", bids, asks, number=self.number, time_ms=time.time_ns() // 1_000_000)

    def _next(self) -> _Template:
        template = self._templates[(self.number - _FIRST_ID) % len(self._templates)]
        self.number += 1
        frame, id_text = template.frame, b"%d" % self.number
        for place in template.id_places:
            frame[place : place + len(id_text)] = id_text
        # The last thing before the frame leaves.
        time_text = b"%d" % time.time_ns()
        for place in template.time_places:
            frame[place : place + self._time_digits] = time_text[: self._time_digits]
        return template

    def _prices(self, bid: int) -> tuple[range, range]:
        return range(bid, bid - self._levels, -1), range(bid + 1, bid + 1 + self._levels)

    def _moves(self, source: random.Random, steps: list[int], changes: int) -> Iterator[list[_Change]]:
        bid = _MID_TICKS
        for step in steps:
            old_bids, old_asks = self._prices(bid)
            bid += step
            bids, asks = self._prices(bid)
            fresh, gone = (bids[0], asks[-1]), (old_asks[0], old_bids[-1])
            if step < 0:
                fresh, gone = (bids[-1], asks[0]), (old_asks[-1], old_bids[0])
            diff = [
                _Change(0, fresh[0], source.randint(1, 9_999_999)),
                _Change(1, fresh[1], source.randint(1, 9_999_999)),
                _Change(1, gone[0], 0),
                _Change(0, gone[1], 0),
            ]
            for side, prices in enumerate((bids, asks)):
                places = source.sample(range(1, _CHANGED_WITHIN), (changes - _MOVES) // 2)
                diff += [_Change(side, prices[place], source.randint(1, 9_999_999)) for place in places]
            yield sorted(diff, key=_from_touch)

    def _template(self, diff: list[_Change]) -> _Template:
        bids, asks = ([self._level(change) for change in diff if change.side == side] for side in (0, 1))
        time_digits = int("8" * self._time_digits)
        if self._venue == "binance":
            data = {"e": "depthUpdate", "E": time_digits, "s": self.symbol, "U": _FIRST_ID, "u": _FIRST_ID}
            stream = f"{self.symbol.lower()}@depth@100ms"
            payload = _json({"stream": stream, "data": {**data, "b": bids, "a": asks}})
        else:
            payload = self._bybit("delta", bids, asks, number=_FIRST_ID, time_ms=time_digits)
        header = _header(len(payload))
        frame = header + payload
        id_text, time_text = b":%d" % _FIRST_ID, b":%d" % time_digits
        return _Template(bytearray(frame), len(header), _places(frame, id_text), _places(frame, time_text))

    def _bybit(self, kind: str, bids: list[list[str]], asks: list[list[str]], *, number: int, time_ms: int) -> bytes:
        data = {"s": self.symbol, "b": bids, "a": asks, "u": number, "seq": number}
        topic = f"orderbook.{self._levels}.{self.symbol}"
        return _json({"topic": topic, "type": kind, "ts": time_ms, "data": data, "cts": time_ms})

    def _level(self, change: _Change) -> list[str]:
        if self._venue == "binance":
            # The exchange writes eight digits behind the point, whatever the steps are.
            return [f"{change.ticks / 100:.8f}", f"{change.lots / 100_000:.8f}"]
        return [f"{change.ticks / 10:.1f}", f"{change.lots / 1000:g}"]


def payloads(settings: MarketSettings) -> tuple[list[bytes], list[bytes]]:
    """Return the snapshots of all symbols and the diffs that follow, as they are sent."""
    markets = _markets(settings)
    snapshots = [market.snapshot() for market in markets]
    return snapshots, [markets[index % len(markets)].take_payload() for index in range(settings.frames)]


class LoopbackMarket:
    """The servers. One reader at a time."""

    def __init__(self, settings: MarketSettings) -> None:
        self._settings = settings
        self._markets = {market.symbol: market for market in _markets(settings)}
        self._lock = threading.Lock()
        self._awaited = set(self._markets)
        self._is_ready = threading.Event()

    def serve(self) -> None:
        """Print the addresses and serve until standard input ends."""
        http = ThreadingHTTPServer(("127.0.0.1", 0), self._rest_handler())
        with serve(self._hold, "127.0.0.1", 0, compression=None, ping_interval=None) as streams:
            for server in (http, streams):
                threading.Thread(target=server.serve_forever, daemon=True).start()
            addresses = {
                "rest_url": f"http://127.0.0.1:{http.server_address[1]}",
                "stream_url": f"ws://127.0.0.1:{streams.socket.getsockname()[1]}",
            }
            sys.stdout.write(json.dumps(addresses) + "\n")
            sys.stdout.flush()
            sys.stdin.read()

    def _hold(self, connection: ServerConnection) -> None:
        threading.Thread(target=self._send, args=(connection,), daemon=True).start()
        with contextlib.suppress(ConnectionClosed, OSError):
            for text in connection:
                request = json.loads(text)
                with self._lock:
                    if self._settings.venue == "binance":
                        connection.send(json.dumps({"result": None, "id": request["id"]}))
                    else:
                        self._answer(connection, request)

    def _answer(self, connection: ServerConnection, request: dict[str, Any]) -> None:
        operation = request["op"]
        answer = {"success": True, "ret_msg": "pong" if operation == "ping" else "", "conn_id": "1", "op": operation}
        connection.send(json.dumps({**answer, "req_id": request.get("req_id", "")}))
        for topic in request.get("args", ()) if operation == "subscribe" else ():
            stream, _, symbol = topic.rpartition(".")
            if stream.startswith("orderbook."):
                connection.send(self._markets[symbol].snapshot().decode())
                self._told(symbol)

    def _told(self, symbol: str) -> None:
        self._awaited.discard(symbol)
        if not self._awaited:
            self._is_ready.set()

    def _send(self, connection: ServerConnection) -> None:
        self._is_ready.wait()
        with contextlib.suppress(OSError):
            if self._settings.frames_per_second:
                self._send_paced(connection)
            else:
                self._send_fast(connection)

    def _send_fast(self, connection: ServerConnection) -> None:
        markets = list(self._markets.values())
        chunk = bytearray()
        for index in range(self._settings.frames):
            chunk += markets[index % len(markets)].take()
            if len(chunk) >= _CHUNK_BYTES or index + 1 == self._settings.frames:
                # A pong or an answer must not come in between two parts of a frame.
                with self._lock:
                    connection.socket.sendall(chunk)
                chunk.clear()

    def _send_paced(self, connection: ServerConnection) -> None:
        settings, markets = self._settings, list(self._markets.values())
        interval_s = 1.0 / settings.frames_per_second
        start_s = time.monotonic()
        gap_due_s, gaps = settings.gap_every_s or float("inf"), 0
        for index in range(settings.frames):
            due_s = index * interval_s
            time.sleep(max(0.0, start_s + due_s - time.monotonic()))
            market = markets[index % len(markets)]
            with self._lock:
                if due_s >= gap_due_s and market is markets[gaps % len(markets)]:
                    gap_due_s += settings.gap_every_s
                    gaps += 1
                    market.skip()
                else:
                    connection.socket.sendall(market.take())

    def _rest_handler(self) -> type[BaseHTTPRequestHandler]:
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                symbol = parse_qs(urlsplit(self.path).query)["symbol"][0]
                with served._lock:
                    body = served._markets[symbol].snapshot()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                served._told(symbol)

            def log_request(self, *_about: object) -> None:
                """Say nothing: requests are part of what is measured."""

        return Handler


def _markets(settings: MarketSettings) -> list[Market]:
    return [Market(settings, symbol, seed) for seed, symbol in enumerate(symbols(settings), start=20240808)]


def _from_touch(change: _Change) -> tuple[int, int]:
    return change.side, change.ticks if change.side else -change.ticks


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _places(frame: bytes, text: bytes) -> tuple[int, ...]:
    """Return where the digits after each `:` that are `text` begin."""
    places: list[int] = []
    place = frame.find(text)
    while place >= 0:
        places.append(place + 1)
        place = frame.find(text, place + 1)
    return tuple(places)


def _header(length: int) -> bytes:
    """Return the header of an unmasked text frame, as servers send it."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


if __name__ == "__main__":
    LoopbackMarket(MarketSettings(**json.loads(sys.argv[1]))).serve()

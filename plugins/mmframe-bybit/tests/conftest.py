"""Small captures written by the tests themselves, and a short way to read them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mmframe.domain.market import MarketBatch, MessageKind
from mmframe.testing import build_component, make_instrument, make_options
from mmframe_bybit.plugin import HISTORIES

if TYPE_CHECKING:
    from mmframe_bybit.capture import CaptureHistory

BASE_MS = 1_700_000_000_000
BTC = make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001")
ETH = make_instrument("ETH/USDT", tick_size="0.01", lot_size="0.1")


class Capture:
    """A folder of files, and the history over them. Frames are made by `book` and `trades`, times in ms."""

    btc = BTC
    eth = ETH
    base_ns = BASE_MS * 1_000_000

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.sample = (
            self.line(0, self.book("snapshot", 10, bids=[["100", "1"], ["99", "2"]], asks=[["101", "1"]])),
            self.line(1, self.reply()),
            self.line(20, self.trades(["Buy", "101", "0.5"])),
            self.line(40, self.book("delta", 11, bids=[["100", "0"]])),
        )

    @staticmethod
    def book(
        kind: str,
        u: int,
        *,
        bids: Any = (),
        asks: Any = (),
        depth: int = 50,
        symbol: str = "BTCUSDT",
        seq: int | None = None,
        ms: int = 0,
    ) -> bytes:
        """Return a book frame; `seq` is 1000 times `u` unless told, and `cts` 5 ms before `ts`."""
        return json.dumps(
            {
                "topic": f"orderbook.{depth}.{symbol}",
                "type": kind,
                "ts": BASE_MS + ms,
                "data": {
                    "s": symbol,
                    "b": list(bids),
                    "a": list(asks),
                    "u": u,
                    "seq": 1000 * u if seq is None else seq,
                },
                "cts": BASE_MS + ms - 5,
            },
            separators=(",", ":"),
        ).encode()

    @staticmethod
    def trades(*trades: Any, symbol: str = "BTCUSDT", times_ms: tuple[int, ...] = (), block: bool = False) -> bytes:
        """Return a trade frame; a trade is side, price, size."""
        data = [
            {
                "T": BASE_MS + (times_ms[index] if times_ms else 0),
                "s": symbol,
                "S": side,
                "v": size,
                "p": price,
                "L": "PlusTick",
                "i": f"t-{index}",
                "BT": block,
                "RPI": False,
                "seq": index,
            }
            for index, (side, price, size) in enumerate(trades)
        ]
        frame = {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": BASE_MS, "data": data}
        return json.dumps(frame).encode()

    @staticmethod
    def reply(*, success: bool = True, text: str = "", op: str = "subscribe") -> bytes:
        return json.dumps({"success": success, "ret_msg": text, "conn_id": "c", "req_id": "r", "op": op}).encode()

    @staticmethod
    def line(ms: int, frame: bytes) -> bytes:
        return b"%d %s" % ((BASE_MS + ms) * 1_000_000, frame)

    def write(self, name: str, *lines: bytes) -> None:
        """Write one file; gzip when its name ends so."""
        data = b"\n".join([*lines, b""])
        (self.folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        self.names.append(name)

    def options(self, *, paths: tuple[str, ...] = (), **options: Any) -> Any:
        return make_options(HISTORIES[0], {"paths": tuple(map(Path, paths or self.names)), **options})

    def history(self, *, instruments: tuple[Any, ...] = (BTC,), **options: Any) -> CaptureHistory:
        return build_component(HISTORIES[0], self.options(**options), instruments=instruments, directory=self.folder)

    def messages(self, **options: Any) -> list[tuple[Any, ...]]:
        """Return `(market, kind, ms since the base, changes)` of every message, in order."""
        return self.rows(self.history(**options).batches())

    @staticmethod
    def rows(batches: Any) -> list[tuple[Any, ...]]:
        found = []
        for batch in batches:
            batch.validate()
            for index in range(len(batch)):
                ms = (batch.receive_ns[index] - BASE_MS * 1_000_000) / 1e6
                found.append((batch.market, MessageKind(batch.kinds[index]).name, ms, batch.changes(index)))
        return found


@pytest.fixture
def capture(tmp_path) -> Capture:
    """Return an empty folder to write captures into; its market is BTC (tick 0.5, lot 0.001) unless told."""
    return Capture(tmp_path)


@pytest.fixture
def batch() -> MarketBatch:
    return MarketBatch(0)

"""Small recordings written by the tests themselves, and a short way to read them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mmframe.domain.market import MessageKind
from mmframe.testing import build_component, make_instrument, make_options
from mmframe_tardis.plugin import HISTORIES

if TYPE_CHECKING:
    from mmframe_tardis.history import CsvHistory

CHANGES = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
QUOTES = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
BASE_US = 1_700_000_000_000_000

BTC = make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001")
ETH = make_instrument("ETH/USDT", tick_size="0.01", lot_size="0.1")


class Recording:
    """A folder of files, and the history over them. Rows are made by `change`, `trade` and `quote`, times in ms."""

    btc = BTC
    eth = ETH

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []
        self.sample = (
            self.change(0, "bid", "100", "1", snapshot=True),
            self.change(0, "ask", "101", "2", snapshot=True),
            self.change(100, "bid", "100", "0"),
            self.change(100, "bid", "99.5", "3"),
        )

    @staticmethod
    def change(
        ms: int,
        side: str,
        price: str,
        amount: str,
        *,
        snapshot: bool = False,
        symbol: str = "BTCUSDT",
        exchange: str = "binance",
    ) -> str:
        """Return a row of changes that happened 10 ms before it was received."""
        local = BASE_US + ms * 1000
        return f"{exchange},{symbol},{local - 10_000},{local},{str(snapshot).lower()},{side},{price},{amount}"

    @staticmethod
    def trade(ms: int, side: str, price: str, amount: str, *, symbol: str = "BTCUSDT", lag_ms: int = 10) -> str:
        local = BASE_US + ms * 1000
        return f"binance,{symbol},{local - lag_ms * 1000},{local},{ms},{side},{price},{amount}"

    @staticmethod
    def quote(ms: int, ask_amount: str, ask: str, bid: str, bid_amount: str) -> str:
        local = BASE_US + ms * 1000
        return f"binance,BTCUSDT,{local},{local},{ask_amount},{ask},{bid},{bid_amount}"

    def changes(self, name: str, *rows: str, end: str = "\n") -> None:
        self.write(name, CHANGES, *rows, end=end)

    def trades(self, name: str, *rows: str) -> None:
        self.write(name, TRADES, *rows)

    def quotes(self, name: str, *rows: str) -> None:
        self.write(name, QUOTES, *rows)

    def write(self, name: str, header: str, *rows: str, end: str = "\n") -> None:
        """Write one file; gzip when its name ends so."""
        data = ("\n".join([header, *rows]) + end).encode()
        self.put(name, gzip.compress(data) if name.endswith(".gz") else data)

    def put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self.names.append(name)

    def options(self, *, paths: tuple[str, ...] = (), **options: Any) -> Any:
        return make_options(HISTORIES[0], {"paths": tuple(map(Path, paths or self.names)), **options})

    def history(self, *, instruments: tuple[Any, ...] = (BTC,), **options: Any) -> CsvHistory:
        return build_component(HISTORIES[0], self.options(**options), instruments=instruments, directory=self.folder)

    def messages(self, **options: Any) -> list[tuple[Any, ...]]:
        """Return `(market, kind, ms since the base, changes)` of every message, in order."""
        found = []
        for batch in self.history(**options).batches():
            batch.validate()
            for index in range(len(batch)):
                ms = (batch.receive_ns[index] // 1000 - BASE_US) / 1000
                found.append((batch.market, MessageKind(batch.kinds[index]).name, ms, batch.changes(index)))
        return found


@pytest.fixture
def recording(tmp_path) -> Recording:
    """Return an empty folder to write a recording into; its markets are BTC (tick 0.5, lot 0.001) unless told."""
    return Recording(tmp_path)

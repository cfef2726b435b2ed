"""Captures written by the tests themselves, and a short way to read them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mmframe.builtin.books import BOOKS
from mmframe.domain.market import MessageKind
from mmframe.testing import build_component, make_instrument
from mmframe_binance.plugin import HISTORIES

BASE_NS = 1_700_000_000_000_000_000
BTC = make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.001")
ETH = make_instrument("ETH/USDT", tick_size="0.01", lot_size="0.01")


def frame(stream: str, **data: Any) -> str:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def depth(first: int, last: int, *, bids=(), asks=(), symbol="BTCUSDT", previous=None, time=1_700_000_000_000) -> str:
    data = {"e": "depthUpdate", "E": time, "s": symbol, "U": first, "u": last, "b": list(bids), "a": list(asks)}
    if previous is not None:
        data["pu"] = previous
    return frame(f"{symbol.lower()}@depth@100ms", **data)


def snapshot(last: int, *, bids=(("100", "1"),), asks=(("101", "1"),)) -> str:
    return json.dumps({"lastUpdateId": last, "bids": list(bids), "asks": list(asks)})


def trade(price: str, size: str, *, sold=False, symbol="BTCUSDT", **more: Any) -> str:
    data = {"e": "trade", "E": 1_700_000_000_000, "s": symbol, "t": 1, "p": price, "q": size, "m": sold} | more
    return frame(f"{symbol.lower()}@trade", **data)


class Recorded:
    """What a history yields: messages in order and the book after all of them."""

    def __init__(self, history, instruments):
        self.history = history
        self.books = [build_component(BOOKS[0]) for _ in instruments]
        self.messages = []
        self.is_synced = [False for _ in instruments]
        for batch in history.batches():
            batch.validate()
            for index in range(len(batch)):
                self.messages.append((batch.market, MessageKind(batch.kinds[index]), batch.changes(index)))
                self._apply(batch, index)

    def _apply(self, batch, index):
        kind, book = batch.kinds[index], self.books[batch.market]
        if kind == MessageKind.GAP:
            self.is_synced[batch.market] = False
        elif kind == MessageKind.SNAPSHOT:
            book.clear()
            self.is_synced[batch.market] = True
        if kind in {MessageKind.SNAPSHOT, MessageKind.DELTA}:
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])

    @property
    def kinds(self):
        return [kind.name for _, kind, _ in self.messages]


@pytest.fixture
def capture(tmp_path):
    """Return a function that writes lines to files and reads them back; an int in a row is its receive offset in ms."""

    def read(*files, instruments=(BTC,), raw=None, **options):
        paths = []
        for number, lines in enumerate(files):
            path = tmp_path / f"capture-{number}.raw.gz"
            text = "".join(
                f"{BASE_NS + (number * 1000 + index) * 1_000_000} {line}\n" for index, line in enumerate(lines)
            )
            path.write_bytes(gzip.compress(text.encode()))
            paths.append(Path(path.name))
        if raw is not None:
            (tmp_path / "raw").write_bytes(raw)
            paths.append(Path("raw"))
        made = HISTORIES[0].options(paths=tuple(paths), **options)
        history = build_component(HISTORIES[0], made, instruments=instruments, directory=tmp_path)
        return Recorded(history, instruments)

    return read


@pytest.fixture
def wire():
    """Return the makers of lines and the markets that they are of."""
    return SimpleNamespace(depth=depth, snapshot=snapshot, trade=trade, frame=frame, BASE_NS=BASE_NS, BTC=BTC, ETH=ETH)


@pytest.fixture
def recorded():
    """Return the class that reads a history through the book `sorted`."""
    return Recorded

"""From a raw frame to the touch: the parser, sync rule and book of the plugin, and the plain way with json and dicts.

Frames are generated, with keys in the order of the exchange: books of 200 levels a side, 20 or 200 changes a message,
four in five of which change a size. Each contender takes every frame as bytes and reads the touch after it. The plain
way keeps floats, checks nothing (no sequence, no grid, no crossing) and looks for the best prices anew.
"""

from __future__ import annotations

import importlib.util
import json
import random
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.domain.market import MarketBatch, MessageKind
from mmframe.testing import make_instrument
from mmframe.testing.bench import Benchmark, Contender

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BENCHMARKS"]

_MESSAGES = 3_000
_LEVELS = 200
_MID_TICKS = 651_142
_INSTRUMENT = make_instrument("BTC/USDT", tick_size="0.1", lot_size="0.001")


@lru_cache(maxsize=4)
def stream(changes: int, messages: int) -> tuple[bytes, ...]:
    """Return a snapshot and `messages` deltas of `changes` changes each."""
    source = random.Random(20260809)
    frames = [
        _frame("snapshot", 1_000, [[_level(source, side, step, 1.0) for step in range(_LEVELS)] for side in (0, 1)])
    ]
    for number in range(1, messages + 1):
        sides = [
            [_level(source, side, step, 0.8) for step in sorted(source.sample(range(_LEVELS), changes // 2))]
            for side in (0, 1)
        ]
        frames.append(_frame("delta", 1_000 + number, sides))
    return tuple(frames)


def plugin(changes: int, scale: float) -> Callable[[], int]:
    """Return the work by the plugin and the book `sorted`."""
    from mmframe_bybit.book import SymbolBook
    from mmframe_bybit.wire import parse_frame

    frames = stream(changes, max(1, int(_MESSAGES * scale)))

    def work() -> int:
        symbol_book, book = SymbolBook(_INSTRUMENT, _LEVELS), SortedBook()
        apply, touch = book.apply, book.touch
        for frame in frames:
            # As a live feed does: one batch a frame.
            batch = MarketBatch(0)
            message = parse_frame(frame)
            symbol_book.on_book(message, batch, 0)  # type: ignore[arg-type] # every frame of the stream is a book
            if batch.kinds[0] == MessageKind.SNAPSHOT:
                book.clear()
            apply(batch.sides, batch.ticks, batch.lots, 0, len(batch.ticks))
            touch()
        assert symbol_book.counts.applied == len(frames)
        return len(frames)

    return work


def parsing(changes: int, scale: float) -> Callable[[], int]:
    """Return the parsing alone."""
    from mmframe_bybit.wire import parse_frame

    frames = stream(changes, max(1, int(_MESSAGES * scale)))

    def work() -> int:
        for frame in frames:
            parse_frame(frame)
        return len(frames)

    return work


def json_and_dicts(changes: int, scale: float) -> Callable[[], int]:
    """Return the plain way."""
    frames = stream(changes, max(1, int(_MESSAGES * scale)))

    def work() -> int:
        bids: dict[float, float] = {}
        asks: dict[float, float] = {}
        for frame in frames:
            message = json.loads(frame)
            if message["type"] == "snapshot":
                bids.clear()
                asks.clear()
            for levels, changed in ((bids, message["data"]["b"]), (asks, message["data"]["a"])):
                for price, size in changed:
                    if float(size):
                        levels[float(price)] = float(size)
                    else:
                        levels.pop(float(price), None)
            best_bid, best_ask = max(bids), min(asks)
            assert best_bid < best_ask
        return len(frames)

    return work


def _level(source: random.Random, side: int, step: int, kept: float) -> list[str]:
    ticks = _MID_TICKS + (1 + step if side else -step)
    lots = source.randint(1, 99_999) if source.random() < kept else 0
    return [f"{ticks / 10:.1f}", f"{lots / 1000:g}"]


def _frame(kind: str, number: int, sides: list[list[list[str]]]) -> bytes:
    time_ms = 1_786_310_819_000 + 100 * number
    data = {"s": "BTCUSDT", "b": sides[0], "a": sides[1], "u": number, "seq": 7 * number}
    frame = {"topic": "orderbook.200.BTCUSDT", "type": kind, "ts": time_ms, "data": data, "cts": time_ms - 5}
    return json.dumps(frame, separators=(",", ":")).encode()


BENCHMARKS = (
    tuple(
        Benchmark(
            name=f"bybit frame, {changes} changes",
            unit="message",
            subject=Contender("frame to touch", partial(plugin, changes)),
            references=(
                Contender("json.loads and dicts", partial(json_and_dicts, changes)),
                Contender("parsing alone", partial(parsing, changes)),
            ),
        )
        for changes in (20, 200)
    )
    if importlib.util.find_spec("mmframe_bybit")
    else ()
)

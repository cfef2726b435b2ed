"""From a raw frame to the touch: the parser, sync rule and book of the plugin, and the plain way with json and dicts.

Frames are generated, with keys in the order of the exchange: a snapshot of 1,000 levels a side, then diffs of 20 or 200
changes, four in five of which change a size. Each contender takes every frame as bytes and reads the touch after it.
The plain way keeps floats, checks nothing (no sequence, no grid) and looks for the best prices anew.
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
_LEVELS = 1_000
_CHANGED_WITHIN = 200
"""Levels next to the touch, where the changes are."""
_MID_TICKS = 6_511_420
_FIRST_ID = 1_000
_INSTRUMENT = make_instrument("BTC/USDT", tick_size="0.01", lot_size="0.00001")


@lru_cache(maxsize=4)
def stream(changes: int, messages: int) -> tuple[bytes, ...]:
    """Return a snapshot and `messages` diffs of `changes` changes each."""
    source = random.Random(20240808)
    bids, asks = ([_level(source, side, step, 1.0) for step in range(_LEVELS)] for side in (0, 1))
    frames = [json.dumps({"lastUpdateId": _FIRST_ID, "bids": bids, "asks": asks}, separators=(",", ":")).encode()]
    for number in range(1, messages + 1):
        bids, asks = (
            [_level(source, side, step, 0.8) for step in sorted(source.sample(range(_CHANGED_WITHIN), changes // 2))]
            for side in (0, 1)
        )
        # The best levels stay, so that the plain way has a touch too.
        frames.append(_diff(number, [*bids, _level(source, 0, 0, 1.0)], [*asks, _level(source, 1, 0, 1.0)]))
    return tuple(frames)


def plugin(changes: int, scale: float) -> Callable[[], int]:
    """Return the work by the plugin and the book `sorted`."""
    from mmframe_binance.book import SymbolBook
    from mmframe_binance.sync import SpotContinuity
    from mmframe_binance.wire import DepthSnapshot, parse_frame

    frames = stream(changes, max(1, int(_MESSAGES * scale)))

    def work() -> int:
        symbol_book, book = SymbolBook(_INSTRUMENT, SpotContinuity()), SortedBook()
        apply, touch = book.apply, book.touch
        for frame in frames:
            # As a live feed does: one batch a frame.
            batch = MarketBatch(0)
            message = parse_frame(frame)
            if isinstance(message, DepthSnapshot):
                symbol_book.on_snapshot(message, batch, 0)
            else:
                symbol_book.on_depth(message, batch, 0)  # type: ignore[arg-type] # the others of the stream are diffs
            if batch.kinds[0] == MessageKind.SNAPSHOT:
                book.clear()
            apply(batch.sides, batch.ticks, batch.lots, 0, len(batch.ticks))
            touch()
        assert symbol_book.counts.applied == len(frames) - 1
        return len(frames)

    return work


def parsing(changes: int, scale: float) -> Callable[[], int]:
    """Return the parsing alone."""
    from mmframe_binance.wire import parse_frame

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
            if "data" in message:
                changed = message["data"]["b"], message["data"]["a"]
            else:
                changed = message["bids"], message["asks"]
                bids.clear()
                asks.clear()
            for levels, side in zip((bids, asks), changed, strict=True):
                for price, size in side:
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
    lots = source.randint(1, 9_999_999) if source.random() < kept else 0
    # The exchange writes eight digits behind the point, whatever the steps are.
    return [f"{ticks / 100:.8f}", f"{lots / 100_000:.8f}"]


def _diff(number: int, bids: list[list[str]], asks: list[list[str]]) -> bytes:
    update_id, time_ms = _FIRST_ID + number, 1_723_075_200_000 + 100 * number
    data = {"e": "depthUpdate", "E": time_ms, "s": "BTCUSDT", "U": update_id, "u": update_id, "b": bids, "a": asks}
    return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}, separators=(",", ":")).encode()


BENCHMARKS = (
    tuple(
        Benchmark(
            name=f"binance frame, {changes} changes",
            unit="message",
            subject=Contender("frame to touch", partial(plugin, changes)),
            references=(
                Contender("json.loads and dicts", partial(json_and_dicts, changes)),
                Contender("parsing alone", partial(parsing, changes)),
            ),
        )
        for changes in (20, 200)
    )
    if importlib.util.find_spec("mmframe_binance")
    else ()
)

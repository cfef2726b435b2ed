"""A real capture as the market: what the venue shows at the end is what the capture itself comes to."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from mmframe.builtin.books import BOOKS
from mmframe.domain.market import NEVER_NS, MessageKind, Side
from mmframe.testing import build_component
from mmframe_localvenue import MarketSetup

NAME = "start2021_nknusdt"


@pytest.fixture
def capture(shared_data):
    """Return a market that replays a capture, and the book and tape that it ends with."""
    plugin = pytest.importorskip("mmframe_binance.plugin")
    files = json.loads((shared_data / "checks.json").read_text())["binance"][NAME]["files"]
    setup = MarketSetup(
        symbol="NKN/USDT",
        price=Decimal(1),
        tick_size=Decimal("0.00001"),
        lot_size=Decimal("0.1"),
        min_price=Decimal("0.00001"),
        min_size=Decimal("0.1"),
        max_size=Decimal(10_000_000),
    )
    spec = plugin.HISTORIES[0]
    options = spec.options(paths=tuple(Path(file) for file in files), product="spot")
    history = build_component(spec, options, instruments=(setup.instrument(),), directory=shared_data)
    book, trades, is_open = build_component(BOOKS[0]), 0, False
    for batch in history.batches():
        for index in range(len(batch)):
            kind = batch.kinds[index]
            is_open = is_open or kind == MessageKind.SNAPSHOT
            if kind == MessageKind.SNAPSHOT:
                book.clear()
            if kind in {MessageKind.SNAPSHOT, MessageKind.DELTA}:
                book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
            elif kind == MessageKind.TRADE and is_open:
                trades += len(batch.changes(index))
    return attrs.evolve(setup, replay=history), book, trades


async def test_a_capture_replays_to_its_own_end(open_venue, time, capture):
    setup, book, trades = capture
    async with open_venue(markets=(setup,)) as (venue, client):
        market = venue.market("NKN/USDT")
        printed = []
        market.on_trade.append(lambda _, trade: printed.append(trade.trade_id))
        placed = await client.place("a-1", symbol="NKNUSDT", price=market.levels(Side.BUY, 1)[0][0], quantity="100")
        while market.next_ns != NEVER_NS:
            await time.advance(5)

        for side in (Side.BUY, Side.SELL):
            assert market.engine.levels(side, 100_000) == book.levels(side, 100_000)
        assert printed == list(range(1, trades + 1))
        assert placed.status_code == 200
        assert venue.god.net_lots("NKN/USDT") == venue.god.order("a-1").filled_lots

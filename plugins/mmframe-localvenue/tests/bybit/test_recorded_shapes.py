"""Frames that the exchange really sent, beside those of the venue: the same fields in the same order."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import attrs
import pytest

from mmframe.builtin.books import BOOKS
from mmframe.domain.market import NEVER_NS, MessageKind, Side
from mmframe.testing import build_component

CAPTURES = {"linear": "linear_btcusdt_20260809.raw.gz", "spot": "spot_btcusdt_20260809.raw.gz"}
GRIDS = {
    "linear": dict(tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), min_size=Decimal("0.001")),
    "spot": dict(tick_size=Decimal("0.1"), lot_size=Decimal("0.000001"), min_size=Decimal("0.000001")),
}
each_category = pytest.mark.parametrize("category", list(CAPTURES))


@pytest.fixture
def recorded(shared_data):
    """Return a function from a category to the first recorded frame of a topic, of a type if told."""

    def first(category, topic, kind=None):
        with gzip.open(shared_data / "bybit_v5" / CAPTURES[category], "rt") as lines:
            for line in lines:
                frame = json.loads(line.partition(" ")[2])
                if frame.get("topic", "").startswith(topic) and kind in {None, frame["type"]}:
                    return frame
        pytest.fail(f"no {kind} of {topic}")

    return first


@each_category
async def test_the_acknowledgement_has_the_fields_of_its_category(client, shared_data, category):
    lines = (shared_data / "bybit_v5" / f"{category}_handshake_20260809.jsonl").read_text().splitlines()
    real = next(json.loads(one["data"]) for one in map(json.loads, lines) if one["dir"] == "recv")

    async with client.public(category=category) as socket:
        ours = await socket.ask("subscribe", args=["orderbook.200.BTCUSDT"])

    assert list(ours) == list(real)
    assert ours | {"conn_id": ""} == real | {"conn_id": ""}


@each_category
async def test_books_have_the_fields_and_texts_of_their_category(venue, client, recorded, time, category):
    async with client.public("orderbook.200.BTCUSDT", category=category) as socket:
        ours = {"snapshot": await socket.next()}
        venue.god.place_other(f"BTC/USDT:{category}", Side.BUY, price="49999.9", size="0.5")
        await time.advance(0.1)
        ours["delta"] = await socket.next()

    for kind, frame in ours.items():
        real = recorded(category, "orderbook", kind)
        assert (list(frame), list(frame["data"])) == (list(real), list(real["data"]))
        for one in (frame, real):
            texts = [text for side in ("b", "a") for level in one["data"][side] for text in level if text != "0"]
            has_zeros = any("." in text and text.endswith("0") for text in texts)
            assert has_zeros is (category == "linear" and kind == "snapshot") or kind == "delta"


@each_category
async def test_trades_have_the_fields_of_their_category(venue, client, recorded, category):
    async with client.public("publicTrade.BTCUSDT", category=category) as socket:
        venue.god.place_other(f"BTC/USDT:{category}", Side.BUY, size="0.5")
        ours = await socket.next()
    real = recorded(category, "publicTrade")

    assert list(ours) == list(real)
    assert list(ours["data"][0]) == list(real["data"][0])
    assert ours["data"][0]["i"].isdecimal() is real["data"][0]["i"].isdecimal()


@each_category
async def test_tickers_have_the_fields_of_their_category(client, recorded, category):
    async with client.public("tickers.BTCUSDT", category=category) as socket:
        ours = await socket.next()
    real = recorded(category, "tickers", "snapshot")

    assert (list(ours), list(ours["data"])) == (list(real), list(real["data"]))


@each_category
async def test_instruments_say_what_the_real_ones_say(client, shared_data, category):
    path = shared_data / "instruments" / f"bybit_{category}_instruments_20260809_subset.json"
    real = json.loads(path.read_text())["result"]

    ours = (await client.ask("/v5/market/instruments-info", category=category))["result"]

    assert set(ours) == set(real)
    for name in ("priceFilter", "lotSizeFilter", "riskParameters"):
        assert list(ours["list"][0][name]) == list(real["list"][0][name])
    assert set(ours["list"][0]) - {"settleCoin"} <= set(real["list"][0])


async def test_a_buy_of_an_amount_ends_as_the_recorded_one_did(client, shared_data):
    lines = (shared_data / "account" / "bybit_v5_live_frames.jsonl").read_text().splitlines()
    frames = [json.loads(line)["frame"] for line in lines]
    real_fill, real_order = (frame["data"][0] for frame in frames)

    async with client.private("order.spot", "execution.spot") as socket:
        await client.create(category="spot", orderType="Market", price=None, qty="10", timeInForce=None)
        messages = [await socket.next(), await socket.next()]
    ours = {message["topic"]: message["data"][0] for message in messages}
    fill, order = ours["execution.spot"], ours["order.spot"]

    for name in (
        "orderStatus",
        "rejectReason",
        "cancelType",
        "timeInForce",
        "price",
        "orderType",
        "feeCurrency",
        "side",
    ):
        assert order[name] == real_order[name], name
    for name in ("closedSize", "markPrice", "orderPrice", "isMaker", "execType", "category"):
        assert fill[name] == real_fill[name], name
    for one in (order, real_order):
        assert Decimal(one["leavesQty"]) == 0
        assert Decimal(one["leavesValue"]) == Decimal(one["qty"]) - Decimal(one["cumExecValue"]) > 0
    assert Decimal(fill["orderQty"]) == Decimal(real_fill["orderQty"]) == 0
    assert set(real_fill) <= set(fill)
    assert set(real_order) <= set(order)


@each_category
async def test_a_capture_replayed_comes_over_the_stream_as_it_was(
    open_venue, perpetual, spot_market, shared_data, category
):
    plugin = pytest.importorskip("mmframe_bybit.plugin")
    grid = attrs.evolve(perpetual if category == "linear" else spot_market, **GRIDS[category])
    options = plugin.HISTORIES[0].options(
        paths=(shared_data / "bybit_v5" / CAPTURES[category],), category=category, depth=200
    )
    history = build_component(plugin.HISTORIES[0], options, instruments=(grid.instrument(),), directory=shared_data)
    book = build_component(BOOKS[0])
    for batch in history.batches():
        for index in range(len(batch)):
            if batch.kinds[index] == MessageKind.SNAPSHOT:
                book.clear()
            if batch.kinds[index] in {MessageKind.SNAPSHOT, MessageKind.DELTA}:
                book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])

    async with (
        open_venue(markets=(attrs.evolve(grid, replay=history),)) as (venue, client),
        client.public("orderbook.200.BTCUSDT", "publicTrade.BTCUSDT", category=category) as socket,
    ):
        market, sides, trades = venue.market("BTC/USDT"), ({}, {}), 0
        while market.next_ns != NEVER_NS:
            await client.time.advance(5)
        await client.time.advance(1)
        await socket.send(op="ping")
        while (message := await socket.next()).get("op") != "ping":
            if message["topic"].startswith("publicTrade"):
                trades += len(message["data"])
                continue
            for levels, changes in zip(sides, (message["data"]["b"], message["data"]["a"]), strict=True):
                levels.clear() if message["type"] == "snapshot" else None
                levels |= dict(changes)
        shown = [
            {grid.instrument().price_ticks(price): grid.instrument().size_lots(size) for price, size in levels.items()}
            for levels in sides
        ]

    for side, levels in zip((Side.BUY, Side.SELL), shown, strict=True):
        assert {ticks: lots for ticks, lots in levels.items() if lots} == dict(book.levels(side, 1_000))
    assert trades == len(market.trades) > 0

"""Whatever comes, the venue answers with a code and lives on."""

from __future__ import annotations

import json
import random

import pytest

NUMBERS = [0, -1, 1.5, 10**30, "0", "-1", "NaN", "Infinity", "1E+1000000", "9" * 5_000, "0." + "1" * 5_000]
WORDS = ["", " ", "\u0661\u0662", "\u20ac", "\x00", "x" * 40, "linear", "spot", "BTCUSDT", "BTC/USDT", "BTCUSDT:spot"]
NASTY = [*NUMBERS, *WORDS, None, True, False, [], [[]], {}, {"a": []}]
PATHS = [
    "/v5/order/create",
    "/v5/order/amend",
    "/v5/order/cancel",
    "/v5/order/cancel-all",
    "/v5/order/create-batch",
    "/v5/order/amend-batch",
    "/v5/order/cancel-batch",
    "/v5/order/disconnected-cancel-all",
    "/v5/account/set-limit-px-action",
    "/v5/position/switch-mode",
    "/v5/position/set-leverage",
]
FIELDS = [
    "category",
    "symbol",
    "side",
    "orderType",
    "qty",
    "price",
    "timeInForce",
    "orderLinkId",
    "orderId",
    "smpType",
    "reduceOnly",
    "positionIdx",
    "marketUnit",
    "triggerPrice",
    "orderFilter",
    "baseCoin",
    "settleCoin",
    "request",
    "product",
    "timeWindow",
    "mode",
    "coin",
    "buyLeverage",
    "sellLeverage",
    "modifyEnable",
]
QUERIES = {
    "/v5/order/realtime": "category symbol orderId orderLinkId openOnly limit cursor settleCoin",
    "/v5/order/history": "category symbol startTime endTime limit cursor orderStatus",
    "/v5/execution/list": "category symbol startTime endTime limit cursor execType orderLinkId",
    "/v5/position/list": "category symbol settleCoin",
    "/v5/account/wallet-balance": "accountType coin",
    "/v5/account/fee-rate": "category symbol",
    "/v5/market/instruments-info": "category symbol limit cursor status baseCoin",
    "/v5/market/orderbook": "category symbol limit",
    "/v5/market/tickers": "category symbol",
    "/v5/market/recent-trade": "category symbol limit",
    "/v5/market/price-limit": "category symbol",
    "/v5/market/kline": "category symbol interval start end limit",
}


def _spoiled(chance, good):
    fields = dict(good)
    for name in chance.sample(FIELDS, chance.randint(1, 3)):
        fields[name] = chance.choice(NASTY)
    if chance.random() < 0.3:
        fields["request"] = [good, chance.choice(NASTY)] if chance.random() < 0.5 else [_spoiled(chance, good)]
    return fields


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_of_any_values_has_a_code(client, path):
    chance = random.Random(path)

    for number in range(40):
        body = json.dumps(_spoiled(chance, client.ticket(f"f-{number}")))
        answer = await client.raw("POST", path, body=body, headers=client.headers(body))

        assert answer.status_code == 200, body
        assert isinstance(answer.json()["retCode"], int), body


@pytest.mark.parametrize("path", QUERIES)
async def test_a_query_of_any_values_has_a_code(open_venue, path):
    chance, names = random.Random(path), QUERIES[path].split()

    async with open_venue(weight_limit=10_000) as (_, client):
        for _ in range(40):
            # A request line of more than 8 KiB never gets to the venue.
            values = ["linear", "BTCUSDT", *(str(value)[:500] for value in NASTY)]
            query = {name: chance.choice(values) for name in names}
            answer = await client.get(path, **query)
            client.time.clock.advance(s=1)

            assert isinstance(answer["retCode"], int), query


async def test_a_frame_of_any_values_has_an_answer_and_the_socket_lives(client):
    chance = random.Random("frames")

    async with client.trade() as socket:
        for number in range(80):
            frame = {
                "op": chance.choice(
                    ["order.create", "order.amend", "order.cancel", "order.create-batch", "auth", *NASTY]
                ),
                "header": chance.choice([{"X-BAPI-TIMESTAMP": str(client.time.now_ms)}, *NASTY]),
                "args": chance.choice([[_spoiled(chance, client.ticket(f"f-{number}"))], *NASTY]),
            }
            await socket.send(**frame)
            answer = await socket.next()

            assert isinstance(answer["retCode"], int), frame
        assert (await socket.ask("ping"))["retCode"] == 0


@pytest.mark.parametrize("kind", ["public", "private"])
async def test_a_stream_socket_answers_whatever_it_is_told(client, kind):
    chance = random.Random(kind)

    async with getattr(client, kind)() as socket:
        for _ in range(60):
            frame = {
                "op": chance.choice(["subscribe", "unsubscribe", "auth", "ping", *NASTY]),
                "args": chance.choice(NASTY),
            }
            if chance.random() < 0.5:
                frame["args"] = [chance.choice(NASTY), 10_000_000_000_000, chance.choice(NASTY)]
            await socket.send(**frame)
            answer = await socket.next()

            assert "op" in answer, frame


@pytest.mark.parametrize("text", ["", "ping", "[]", "{", '"x"', "[" * 100_000, "{}" * 3, "\ud7ff"], ids=range(8))
async def test_a_message_that_is_no_object_is_answered_on_each_socket(venue, client, text):
    for url in (f"{venue.stream_url}/linear", venue.private_url, venue.ws_api_url):
        async with client.socket(url) as socket:
            await socket.raw.send(text)
            refused = await socket.next()
            pong = await socket.ask("ping")

        assert refused.get("success") is False or refused["retCode"] == 10001
        assert pong["op"] in {"ping", "pong"}


async def test_a_signature_of_any_characters_is_just_wrong(venue, client):
    async with client.socket(venue.private_url) as socket:
        answer = await socket.ask("auth", args=["local-key", client.time.now_ms + 1_000, "\u20ac"])
    header = client.headers("accountType=UNIFIED") | {"X-BAPI-SIGN": b"\xff\xfe"}
    told = await client.raw("GET", "/v5/account/wallet-balance", "accountType=UNIFIED", headers=header)

    assert (answer["success"], told.json()["retCode"]) == (False, 10004)


@pytest.mark.parametrize(
    "field",
    [
        {"triggerPrice": "49000"},
        {"takeProfit": "60000"},
        {"stopLoss": "40000"},
        {"orderFilter": "StopOrder"},
        {"isLeverage": 1},
    ],
    ids=str,
)
async def test_an_order_with_a_meaning_that_the_venue_lacks_is_no_plain_order(venue, client, field):
    answer = await client.create(**field)

    assert (answer["retCode"], venue.god.orders()) == (10001, [])
    assert next(iter(field)) in answer["retMsg"]

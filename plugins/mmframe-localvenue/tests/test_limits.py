"""Weights, order counts and bans, by the venue's clock."""

from __future__ import annotations

import pytest

from mmframe_localvenue import AccountSetup, ApiKey

MINUTE = 60


@pytest.mark.parametrize(
    ("path", "params", "weight"),
    [
        ("/api/v3/ping", {}, 1),
        ("/api/v3/exchangeInfo", {}, 20),
        ("/api/v3/depth", {"symbol": "BTCUSDT"}, 5),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 500}, 25),
        ("/api/v3/depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
        ("/api/v3/ticker/bookTicker", {}, 4),
        ("/api/v3/ticker/24hr", {}, 80),
        ("/api/v3/trades", {"symbol": "BTCUSDT"}, 25),
    ],
)
async def test_each_request_costs_its_weight(client, path, params, weight):
    answer = await client.http.get(path, params=params)

    assert answer.status_code == 200, answer.text
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


async def test_an_order_is_free_when_it_succeeds_and_costs_when_it_fails(client):
    taken = await client.place("a-1")
    refused = await client.place("a-1")

    assert taken.headers["X-MBX-USED-WEIGHT-1M"] == "0"
    assert refused.headers["X-MBX-USED-WEIGHT-1M"] == "1"
    assert "X-MBX-ORDER-COUNT-10S" not in refused.headers


async def test_who_goes_on_after_429_is_banned_longer_each_time(open_venue, time):
    async with open_venue(weight_limit=3) as (_, client):
        ban_s = []
        for _ in range(2):
            statuses = [(await client.http.get("/api/v3/ping")) for _ in range(9)]
            assert [one.status_code for one in statuses] == [200] * 3 + [429] * 5 + [418]
            assert 0 < int(statuses[3].headers["Retry-After"]) <= MINUTE
            ban_s.append(int(statuses[-1].headers["Retry-After"]))
            await time.advance(ban_s[-1] - 1)
            assert (await client.http.get("/api/v3/ping")).status_code == 418
            await time.advance(MINUTE)

        assert ban_s == [120, 240]


async def test_unfilled_orders_are_counted_and_fills_give_back(open_venue, time):
    async with open_venue(order_limits=((10, 3), (86_400, 100))) as (venue, client):
        for number in range(3):
            answer = await client.place(f"a-{number}")
        refused = await client.place("a-3")
        venue.god.trade_against("a-0", 1)
        again = await client.place("a-4")
        counts = (await client.signed("GET", "/api/v3/rateLimit/order")).json()
        await time.advance(10)
        later = (await client.signed("GET", "/api/v3/rateLimit/order")).json()

    assert (answer.headers["X-MBX-ORDER-COUNT-10S"], answer.headers["X-MBX-ORDER-COUNT-1D"]) == ("3", "3")
    assert refused.status_code == 429
    assert refused.json() == {"code": -1015, "msg": "Too many new orders; current limit is 3 orders per 10 SECOND."}
    assert "Retry-After" in refused.headers
    assert again.status_code == 200
    assert [one["count"] for one in counts] == [1, 1]
    assert [one["count"] for one in later] == [0, 1]


async def test_open_orders_of_a_symbol_are_bounded(open_venue, btc):
    import attrs

    async with open_venue(markets=(attrs.evolve(btc, max_open_orders=2),)) as (_, client):
        answers = [await client.place(f"a-{number}") for number in range(3)]

        assert [one.status_code for one in answers] == [200, 200, 400]
        assert answers[-1].json() == {"code": -1013, "msg": "Filter failure: MAX_NUM_ORDERS"}


async def test_accounts_do_not_see_each_other(open_venue):
    other = AccountSetup(name="other", keys=(ApiKey("other-key", "other-secret"),))
    async with open_venue(accounts=(AccountSetup(), other)) as (venue, client):
        await client.place("a-1")
        client.key, client.secret = "other-key", "other-secret"

        listed = (await client.signed("GET", "/api/v3/openOrders")).json()
        same_name = await client.place("a-1")

        assert listed == []
        assert same_name.status_code == 200
        assert [len(venue.god.orders(name)) for name in ("main", "other")] == [1, 1]

"""How often one may ask over REST, and what faults look like there."""

from __future__ import annotations

import httpx
import pytest

from mmframe_localvenue import Fault


async def test_the_headers_count_down_and_the_eleventh_create_waits_a_second(open_venue):
    async with open_venue() as (venue, client):
        answers = [await client.response("/v5/order/create", **client.ticket(f"a-{number}")) for number in range(11)]
        client.time.clock.advance(s=1)
        after = await client.create("b-1")

        assert len(venue.god.orders()) == 11

    told = [(one.json()["retCode"], one.headers["X-Bapi-Limit"], one.headers["X-Bapi-Limit-Status"]) for one in answers]
    assert told == [(0, "10", str(9 - number)) for number in range(10)] + [(10006, "10", "0")]
    assert {one.status_code for one in answers} == {200}
    reset_ms = int(answers[-1].headers["X-Bapi-Limit-Reset-Timestamp"])
    assert reset_ms == int(answers[0].headers["Timenow"]) + 1_000
    assert all(one.headers["Traceid"] for one in answers)
    assert after["retCode"] == 0


async def test_each_endpoint_and_category_has_its_own_limit(open_venue):
    async with open_venue() as (_, client):
        creates = [(await client.create(f"l-{number}"))["retCode"] for number in range(11)]
        spot = [(await client.create(f"s-{number}", category="spot", qty="0.01"))["retCode"] for number in range(21)]
        cancels = [(await client.cancel(f"l-{number}"))["retCode"] for number in range(10)]

    assert (creates.count(0), spot.count(0), cancels.count(0)) == (10, 20, 10)


async def test_an_address_that_asks_too_often_is_shut_out_for_ten_minutes(open_venue, time):
    async with open_venue(weight_limit=20) as (_, client):
        statuses = [(await client.raw("GET", "/v5/market/time")).status_code for _ in range(21)]
        time.clock.advance(s=599)
        still = await client.raw("GET", "/v5/market/time")
        time.clock.advance(s=2)
        free = await client.raw("GET", "/v5/market/time")

    assert statuses == [200] * 20 + [403]
    assert (still.status_code, still.text, free.status_code) == (403, "access too frequent", 200)


@pytest.mark.parametrize(
    ("fault", "change", "status", "is_placed"),
    [
        (Fault.UNKNOWN_DONE, {}, 200, True),
        (Fault.UNKNOWN_NOT_DONE, {}, 200, False),
        (Fault.UNKNOWN_DONE, {"status": 504}, 504, True),
        (Fault.THROTTLED, {}, 200, False),
        (Fault.THROTTLED, {"status": 429}, 429, False),
        (Fault.BANNED, {}, 403, False),
        (Fault.HTML, {}, 502, True),
    ],
    ids=["unknown done", "unknown not done", "gateway", "throttled", "system", "banned", "html"],
)
async def test_a_fault_looks_as_the_exchange_makes_it_look(venue, client, fault, change, status, is_placed):
    venue.faults.next("order.place", fault, retry_after_s=3, **change)

    answer = await client.response("/v5/order/create", **client.ticket())
    (seen,) = venue.god.requests_of("order.place")

    assert answer.status_code == status
    assert bool(venue.god.orders()) is seen.is_done is is_placed
    assert (seen.method, seen.path, seen.account, seen.client_id) == ("POST", "/v5/order/create", "main", "a-1")
    if fault is Fault.THROTTLED and not change:
        assert answer.json()["retCode"] == 10006
        assert int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) == client.time.now_ms + 3_000


async def test_a_lost_reply_breaks_the_connection_after_the_order_was_placed(venue, client):
    venue.faults.next("order.place", Fault.LOST_REPLY)

    with pytest.raises(httpx.RemoteProtocolError):
        await client.create()

    assert [one["orderStatus"] for one in await client.realtime(orderLinkId="a-1")] == ["New"]


async def test_a_request_by_the_exchanges_id_is_seen_under_the_clients(venue, client):
    created = await client.create()

    await client.post("/v5/order/cancel", category="linear", symbol="BTCUSDT", orderId=created["result"]["orderId"])

    assert [seen.client_id for seen in venue.god.requests_of("order.cancel")] == ["a-1"]

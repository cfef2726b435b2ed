"""The fault script: each request fault does to venue and client what it says, once, and the god view knows."""

from __future__ import annotations

import json

import anyio
import httpx
import pytest

from mmframe_localvenue import ANY, Fault


def names(venue):
    return [order.client_id for order in venue.god.open_orders()]


@pytest.mark.parametrize(
    ("fault", "is_done"), [(Fault.LOST_REPLY, True), (Fault.LOST_REQUEST, False), (Fault.CUT, True)]
)
async def test_a_lost_answer_breaks_the_connection_whether_or_not_it_was_done(venue, client, fault, is_done):
    injection = venue.faults.next("order.place", fault)

    with pytest.raises(httpx.TransportError):
        await client.place("a-1")
    again = await client.place("a-2")

    assert again.status_code == 200
    assert names(venue) == (["a-1", "a-2"] if is_done else ["a-2"])
    seen = venue.god.requests_of("order.place")
    assert [(one.client_id, one.fault, one.is_done) for one in seen] == [
        ("a-1", fault.value, is_done),
        ("a-2", "", True),
    ]
    assert injection.used == 1


@pytest.mark.parametrize(("fault", "is_done"), [(Fault.LOST_REPLY, True), (Fault.LOST_REQUEST, False)])
async def test_on_a_socket_a_lost_answer_leaves_the_connection_open(venue, client, fault, is_done):
    async with client.socket(venue.ws_api_url) as socket:
        venue.faults.next("order.place", fault)
        order = dict(symbol="BTCUSDT", side="BUY", type="LIMIT_MAKER", price="49999", quantity="0.1")
        await socket.send(id=1, method="order.place", params=client.signed_frame(order | {"newClientOrderId": "a-1"}))
        await socket.send(id=2, method="ping")

        assert (await socket.next())["id"] == 2
        assert names(venue) == (["a-1"] if is_done else [])


async def test_a_hanging_request_ends_with_the_clients_patience(venue, client):
    venue.faults.next("order.place", Fault.LOST_REPLY, hangs=True)
    client.http.timeout = httpx.Timeout(0.2)

    with pytest.raises(httpx.ReadTimeout):
        await client.place("a-1")

    assert names(venue) == ["a-1"]


@pytest.mark.parametrize(("fault", "is_done_at_once"), [(Fault.LATE_REPLY, True), (Fault.LATE_REQUEST, False)])
async def test_a_late_answer_comes_when_it_is_released(venue, client, fault, is_done_at_once):
    injection = venue.faults.next("order.place", fault)
    answers = []

    async def place():
        answers.append(await client.place("a-1"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(place)
        await injection.happened()
        await venue.god.until(lambda: bool(venue.god.requests_of("order.place")))
        before = names(venue)
        await client.http.get("/api/v3/ping")
        assert answers == []
        injection.release()

    assert before == (["a-1"] if is_done_at_once else [])
    assert answers[0].status_code == 200
    assert names(venue) == ["a-1"]


async def test_a_request_that_is_late_is_done_even_if_its_client_has_gone(venue, client):
    injection = venue.faults.next("order.place", Fault.LATE_REQUEST)
    client.http.timeout = httpx.Timeout(0.2)

    with pytest.raises(httpx.ReadTimeout):
        await client.place("a-1")
    assert names(venue) == []
    injection.release()

    await venue.god.until(lambda: names(venue) == ["a-1"])


async def test_late_goes_by_the_venues_clock(venue, client, time):
    venue.faults.next("time", Fault.LATE_REPLY, delay_s=3)
    answers = []

    async def ask():
        answers.append((await client.http.get("/api/v3/time")).json())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await venue.god.until(lambda: bool(venue.god.requests_of("time")))
        await time.advance(2)
        await client.http.get("/api/v3/ping")
        assert answers == []
        await time.advance(2)

    assert len(answers) == 1


@pytest.mark.parametrize(("fault", "is_done"), [(Fault.UNKNOWN_DONE, True), (Fault.UNKNOWN_NOT_DONE, False)])
async def test_an_unknown_outcome_looks_the_same_either_way(venue, client, fault, is_done):
    venue.faults.next("order.place", fault)

    answer = await client.place("a-1")

    assert (answer.status_code, answer.json()["code"]) == (503, -1007)
    assert names(venue) == (["a-1"] if is_done else [])


async def test_a_refused_crowd_is_told_when_to_come_again(venue, client, time):
    venue.faults.next("order.place", Fault.THROTTLED, retry_after_s=7)
    venue.faults.next("depth", Fault.BANNED, retry_after_s=30)

    throttled = await client.place("a-1")
    banned = await client.http.get("/api/v3/depth", params={"symbol": "BTCUSDT"})
    everything = await client.http.get("/api/v3/ping")
    await time.advance(31)
    afterwards = await client.http.get("/api/v3/ping")

    assert (throttled.status_code, throttled.headers["Retry-After"], throttled.json()["code"]) == (429, "7", -1003)
    assert (banned.status_code, banned.headers["Retry-After"]) == (418, "30")
    assert everything.status_code == 418
    assert afterwards.status_code == 200
    assert names(venue) == []


async def test_on_a_socket_the_time_to_come_again_is_a_timestamp(venue, client, time):
    async with client.socket(venue.ws_api_url) as socket:
        venue.faults.next("time", Fault.THROTTLED, retry_after_s=7)

        answer = await socket.ask("time")

        assert answer["status"] == 429
        assert answer["error"]["data"] == {"serverTime": time.now_ms, "retryAfter": time.now_ms + 7_000}


@pytest.mark.parametrize("fault", [Fault.HTML, Fault.CORRUPT, Fault.HUGE, Fault.NESTED])
async def test_a_spoiled_answer_was_carried_out(venue, client, fault):
    venue.faults.next("order.place", fault, size_bytes=2**20)

    answer = await client.place("a-1")

    assert names(venue) == ["a-1"]
    if fault is Fault.HTML:
        assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
        assert answer.text.startswith("<html>")
    elif fault is Fault.HUGE:
        assert len(answer.text) > 2**20
    else:
        with pytest.raises((ValueError, RecursionError)):
            json.loads(answer.text)


async def test_a_script_can_wait_count_and_choose(venue, client):
    injection = venue.faults.next(ANY, Fault.UNKNOWN_NOT_DONE, count=2, skip=1, account="main")

    public = [(await client.http.get("/api/v3/ping")).status_code for _ in range(2)]
    signed = [(await client.place(f"a-{number}")).status_code for number in range(4)]

    assert public == [200, 200]
    assert signed == [200, 503, 503, 200]
    assert (injection.left, injection.used) == (0, 2)
    assert (venue.faults.injections, venue.faults.used) == ([], [injection])


async def test_a_cancel_can_lose_the_race_with_a_fill(venue, client):
    await client.place("a-1")
    venue.faults.next("order.cancel", Fault.RACED)

    answer = await client.cancel("a-1")

    assert answer.json() == {"code": -2011, "msg": "Unknown order sent."}
    assert venue.god.order("a-1").state.name == "FILLED"


async def test_a_skewed_clock_refuses_honest_timestamps_until_healed(venue, client, time):
    venue.faults.skew_clock(-2)

    refused = await client.place("a-1")
    shown = (await client.http.get("/api/v3/time")).json()["serverTime"]
    venue.faults.heal()
    taken = await client.place("a-1")

    assert refused.json()["code"] == -1021
    assert shown == time.now_ms - 2_000
    assert taken.status_code == 200


async def test_healing_drops_what_has_not_happened_and_releases_what_is_held(venue, client):
    held = venue.faults.next("order.place", Fault.LATE_REQUEST)
    venue.faults.next("order.cancel", Fault.LOST_REPLY)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.place, "a-1")
        await held.happened()
        venue.faults.heal()
    canceled = await client.cancel("a-1")

    assert canceled.status_code == 200

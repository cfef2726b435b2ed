"""The trade socket: logged on once, then orders; request ids, times, limits in the frame."""

from __future__ import annotations

import pytest

from mmframe_localvenue import Fault

NAMED = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "a-1"}


async def test_an_order_lives_its_life_over_the_socket(venue, client):
    async with client.trade() as socket:
        created = await socket.order("order.create", client.ticket(), request_id="q-1")
        amended = await socket.order("order.amend", NAMED | {"qty": "0.4"}, request_id="q-2")
        cancelled = await socket.order("order.cancel", NAMED)

    assert [one["retCode"] for one in (created, amended, cancelled)] == [0, 0, 0]
    assert created["reqId"] == "q-1"
    assert "reqId" not in cancelled
    assert created["data"] == amended["data"] == cancelled["data"]
    assert (venue.god.order("a-1").state.value, venue.god.order("a-1").size_lots) == ("canceled", 400)


async def test_limits_and_trace_stand_in_the_header_of_the_frame(open_venue):
    async with open_venue() as (_, client), client.trade() as socket:
        answers = [await socket.order("order.create", client.ticket(f"a-{number}")) for number in range(11)]

    assert [one["retCode"] for one in answers] == [0] * 10 + [10006]
    assert [one["header"]["X-Bapi-Limit-Status"] for one in answers[-3:]] == ["1", "0", "0"]
    assert {one["header"]["X-Bapi-Limit"] for one in answers} == {"10"}
    assert int(answers[-1]["header"]["X-Bapi-Limit-Reset-Timestamp"]) == client.time.now_ms + 1_000
    assert answers[0]["header"]["Traceid"] != answers[1]["header"]["Traceid"]


async def test_the_limit_is_shared_with_rest(open_venue):
    async with open_venue() as (_, client), client.trade() as socket:
        for number in range(6):
            await client.create(f"r-{number}")
        codes = [(await socket.order("order.create", client.ticket(f"s-{number}")))["retCode"] for number in range(5)]

    assert codes == [0, 0, 0, 0, 10006]


async def test_a_request_id_is_good_once(venue, client):
    async with client.trade() as socket:
        first = await socket.order("order.create", client.ticket("a-1"), request_id="same")
        second = await socket.order("order.create", client.ticket("a-2"), request_id="same")

    assert (first["retCode"], second["retCode"], second["reqId"]) == (0, 20006, "same")
    assert [order.client_id for order in venue.god.orders()] == ["a-1"]


@pytest.mark.parametrize(
    ("operation", "args", "change", "code"),
    [
        ("order.undo", (NAMED,), {}, 10404),
        ("order.cancel", ({**NAMED, "category": "futures"},), {}, 10404),
        ("order.cancel", (NAMED, NAMED), {}, 10001),
        ("order.cancel", (), {}, 10001),
        ("order.cancel", (NAMED,), {"request_id": "x" * 37}, 10001),
        ("order.cancel", (NAMED,), {"timestamp": "1"}, 10002),
        ("order.cancel", (NAMED,), {"timestamp": ""}, 10001),
        ("order.cancel", (NAMED,), {}, 110001),
    ],
    ids=["op", "category", "two", "none", "long id", "old", "no time", "unknown order"],
)
async def test_a_bad_frame_has_its_code(client, operation, args, change, code):
    async with client.trade() as socket:
        answer = await socket.order(operation, *args, **change)

    assert (answer["retCode"], answer["op"]) == (code, operation)


async def test_the_receive_window_of_a_frame_counts(client):
    old = str(client.time.now_ms - 6_000)

    async with client.trade() as socket:
        default = await socket.order("order.create", client.ticket("a-1"), timestamp=old)
        wider = await socket.order(
            "order.create", client.ticket("a-2"), timestamp=old, **{"X-BAPI-RECV-WINDOW": "8000"}
        )
        number = await socket.order("order.create", client.ticket("a-3"), timestamp=client.time.now_ms)

    assert (default["retCode"], wider["retCode"], number["retCode"]) == (10002, 0, 0)


async def test_nobody_trades_without_logging_on_and_nobody_logs_on_twice(venue, client):
    async with client.socket(venue.ws_api_url) as socket:
        before = await socket.order("order.create", client.ticket())
        first = await socket.log_on()
        again = await socket.log_on()
        wrong = await socket.ask("auth", args=["local-key"])

    assert [one["retCode"] for one in (before, first, again, wrong)] == [10005, 0, 20001, 20001]
    assert venue.god.orders() == []


async def test_a_trade_pong_has_data(client):
    async with client.trade() as socket:
        answer = await socket.ask("ping", reqId="p-1")

    assert answer | {"reqId": "p-1", "retCode": 0, "op": "pong", "data": [str(client.time.now_ms)]} == answer


async def test_batches_tell_each_order_in_the_extension(venue, client):
    batch = {"category": "linear", "request": [client.ticket("b-1"), client.ticket("b-2", side="Hold")]}
    named = {"category": "linear", "request": [{"symbol": "BTCUSDT", "orderLinkId": "b-1"}]}

    async with client.trade() as socket:
        created = await socket.order("order.create-batch", batch)
        cancelled = await socket.order("order.cancel-batch", named)

    assert (created["retCode"], [one["code"] for one in created["retExtInfo"]["list"]]) == (0, [0, 10001])
    assert [one["orderLinkId"] for one in created["data"]["list"]] == ["b-1", "b-2"]
    assert [one["code"] for one in cancelled["retExtInfo"]["list"]] == [0]
    assert venue.god.open_orders() == []


async def test_a_batch_beyond_the_limit_fails_from_there_on(open_venue):
    async with open_venue() as (venue, client), client.trade() as socket:
        tickets = [client.ticket(f"b-{number}", qty="0.001") for number in range(12)]
        answer = await socket.order("order.create-batch", {"category": "linear", "request": tickets})

        assert [one["code"] for one in answer["retExtInfo"]["list"]] == [0] * 10 + [10006] * 2
        assert len(venue.god.open_orders()) == 10


async def test_a_lost_reply_leaves_the_socket_open_and_the_order_placed(venue, client):
    venue.faults.next("order.place", Fault.LOST_REPLY)

    async with client.trade() as socket, client.private("order") as private:
        await socket.send(
            op="order.create", header={"X-BAPI-TIMESTAMP": str(client.time.now_ms)}, args=[client.ticket("lost")]
        )
        told = await private.item()
        answer = await socket.order("order.create", client.ticket("next"))

    assert (told["orderLinkId"], answer["data"]["orderLinkId"]) == ("lost", "next")


async def test_a_late_answer_does_not_hold_up_the_others(venue, client):
    late = venue.faults.next("order.place", Fault.LATE_REQUEST)

    async with client.trade() as socket:
        await socket.send(
            reqId="slow",
            op="order.create",
            header={"X-BAPI-TIMESTAMP": str(client.time.now_ms)},
            args=[client.ticket()],
        )
        await late.happened()
        other = await socket.order("order.create", client.ticket("b-1"), request_id="fast")
        late.release()
        slow = await socket.next()

    assert (other["reqId"], slow["reqId"], slow["retCode"]) == ("fast", "slow", 0)
    assert [order.client_id for order in venue.god.orders()] == ["b-1", "a-1"]


@pytest.mark.parametrize(
    ("fault", "change", "code", "is_placed"),
    [
        (Fault.UNKNOWN_DONE, {}, 10016, True),
        (Fault.UNKNOWN_NOT_DONE, {}, 10016, False),
        (Fault.THROTTLED, {}, 10006, False),
        (Fault.THROTTLED, {"status": 429}, 10429, False),
        (Fault.BANNED, {}, 10403, False),
    ],
    ids=["unknown done", "unknown not done", "throttled", "system", "banned"],
)
async def test_faults_speak_the_sockets_codes(venue, client, fault, change, code, is_placed):
    venue.faults.next("order.place", fault, **change)

    async with client.trade() as socket:
        answer = await socket.order("order.create", client.ticket(), request_id="q-1")

    assert (answer["retCode"], answer["reqId"], answer["op"]) == (code, "q-1", "order.create")
    assert bool(venue.god.orders()) is is_placed

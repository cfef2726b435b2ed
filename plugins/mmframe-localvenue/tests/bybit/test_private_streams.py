"""The private socket: who may subscribe what, what it hears, and what happens when it is gone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe_localvenue import AccountSetup, ApiKey, Fault, Role

GRANTED = AccountSetup(has_dead_man_switch=True)


async def test_nothing_is_subscribed_before_logging_on(venue, client):
    async with client.socket(venue.private_url) as socket:
        answer = await socket.ask("subscribe", args=["order"])

    assert (answer["success"], answer["ret_msg"]) == (False, "Request not authorized")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"key": "nobody"}, "API key is invalid."),
        ({"secret": "wrong"}, "Error sign, please check your signature generation algorithm."),
        ({"expires_ms": 1}, "expires is in the past"),
    ],
    ids=["key", "signature", "expired"],
)
async def test_a_wrong_log_on_says_why(venue, client, change, word):
    async with client.socket(venue.private_url) as socket:
        answer = await socket.log_on(**change)

    assert (answer["success"], answer["op"]) == (False, "auth")
    assert answer["ret_msg"].endswith(word)


@pytest.mark.parametrize("fault", [Fault.UNKNOWN_NOT_DONE, Fault.THROTTLED, Fault.BANNED])
async def test_a_log_on_can_fail_for_no_fault_of_the_client(venue, client, fault):
    venue.faults.next("user-stream.open", fault)
    venue.faults.next("session", fault)

    async with client.socket(venue.private_url) as private, client.socket(venue.ws_api_url) as trade:
        refused, told = await private.log_on(), await trade.log_on()
        accepted = await private.log_on()

    assert (refused["success"], bool(refused["ret_msg"]), told["retCode"] > 0) == (False, True, True)
    assert accepted["success"] is True


@pytest.mark.parametrize(
    ("topics", "is_good"),
    [
        (["order", "execution", "position", "wallet", "execution.fast", "dcp.future"], True),
        (["order.linear", "execution.linear", "position.linear"], True),
        (["order", "order.spot"], False),
        (["orders"], False),
        ([], False),
    ],
    ids=["all in one", "by category", "mixed", "unknown", "none"],
)
async def test_which_topics_can_be_subscribed_together(client, topics, is_good):
    async with client.private() as socket:
        answer = await socket.ask("subscribe", args=topics, req_id="r-1")

    assert (answer["success"], answer["req_id"]) == (is_good, "r-1")


async def test_a_topic_by_category_hears_that_category_only(client):
    async with client.private("order.spot") as socket:
        await client.create("perp")
        await client.create("cash", category="spot")
        message = await socket.next()

    assert (message["topic"], message["data"][0]["orderLinkId"]) == ("order.spot", "cash")


async def test_a_private_pong_is_called_pong(client):
    async with client.private() as socket:
        answer = await socket.ask("ping", req_id="p-1")

    assert (answer["op"], answer["req_id"], answer["args"]) == ("pong", "p-1", [str(client.time.now_ms)])


async def test_fast_executions_leave_out_the_makers_link(venue, client):
    async with client.private("execution.fast", "execution") as socket:
        await client.create("rest", qty="0.1")
        venue.god.trade_against("rest")
        made = [await socket.item("execution.fast"), await socket.item("execution")]
        await client.create("take", price="50000.1", qty="0.1")
        taken = await socket.item("execution.fast")

    assert [one["orderLinkId"] for one in made] == ["", "rest"]
    assert (made[0]["execId"], made[0]["orderId"]) == (made[1]["execId"], made[1]["orderId"])
    assert "execFee" not in made[0]
    assert (taken["isMaker"], taken["orderLinkId"]) == (False, "take")


async def test_several_executions_of_one_order_come_in_one_message(venue, client):
    async with client.private("execution") as socket:
        await client.create(price="50000.3", qty="2.5")
        message = await socket.topic("execution")

    assert [(one["execPrice"], one["leavesQty"]) for one in message["data"]] == [
        ("50000.1", "1.500"),
        ("50000.2", "0.500"),
        ("50000.3", "0.000"),
    ]
    assert len({one["execId"] for one in message["data"]}) == 3


async def test_neither_orders_nor_executions_always_come_first(client):
    firsts = set()
    async with client.private("order", "execution") as socket:
        for number in range(4):
            await client.create(f"t-{number}", price="50000.1", qty="0.01")
            firsts.add((await socket.next())["topic"])
            await socket.next()

    assert firsts == {"order", "execution"}


async def test_wallet_and_position_follow_the_money(venue, client):
    async with client.private("wallet", "position") as socket:
        await client.create(qty="0.2", price="49999")
        new = await socket.item("position")
        locked = await socket.item("wallet")
        venue.god.trade_against("a-1")
        filled = await socket.item("position")
        paid = await socket.item("wallet")

    assert (new["size"], filled["size"]) == ("0.000", "0.200")
    assert Decimal(locked["coin"][0]["totalOrderIM"]) == Decimal("0.2") * 49999 / 20
    assert Decimal(paid["coin"][0]["walletBalance"]) == venue.god.balance("USDT") < Decimal(1_000_000)


async def test_funding_is_an_execution_of_no_order_that_moves_cash_alone(venue, client):
    await client.create(price="50000.1", qty="0.4")
    before = venue.god.balance("USDT")

    async with client.private("execution", "execution.fast", "wallet", "position", "order") as socket:
        venue.god.fund("BTC/USDT:linear", "0.0001")
        messages = {}
        for _ in range(3):
            message = await socket.next()
            messages[message["topic"]] = message["data"][0]
        listed = (await client.get("/v5/execution/list", category="linear", execType="Funding"))["result"]["list"]
    fee = messages["execution"]

    assert set(messages) == {"execution", "position", "wallet"}
    assert (fee["execType"], fee["orderType"], fee["orderLinkId"]) == ("Funding", "UNKNOWN", "")
    assert (fee["side"], fee["execQty"], fee["feeRate"]) == ("Buy", "0.400", "0.0001")
    assert before - venue.god.balance("USDT") == Decimal(fee["execFee"]) == Decimal("0.4") * Decimal("50000.1") / 10_000
    assert messages["position"]["size"] == "0.400"
    assert [{"category": "linear"} | one for one in listed] == [fee]
    assert len(venue.god.fills()) == 1


async def test_accounts_hear_nothing_of_each_other(open_venue):
    other = AccountSetup(name="other", keys=(ApiKey("other-key", "other-secret"),))

    async with (
        open_venue(accounts=(AccountSetup(), other)) as (venue, client),
        client.socket(venue.private_url) as stranger,
        client.private("order") as own,
    ):
        assert (await stranger.log_on(key="other-key", secret="other-secret"))["success"]
        await stranger.ask("subscribe", args=["order"])
        await client.create()
        heard = await own.item()
        await stranger.send(op="ping")
        first = await stranger.next()

    assert (heard["orderLinkId"], first["op"]) == ("a-1", "pong")


async def test_news_can_be_lost_doubled_and_swapped(venue, client):
    async with client.private("order") as socket:
        venue.faults.next("user-stream", Fault.GAP)
        await client.create("lost")
        venue.faults.next("user-stream", Fault.DUPLICATE)
        await client.create("twice")
        venue.faults.next("user-stream", Fault.REORDER)
        await client.create("late")
        await client.create("early")
        links = [(await socket.item())["orderLinkId"] for _ in range(4)]

    assert links == ["twice", "twice", "early", "late"]


async def test_max_active_time_shortens_the_patience(client, time):
    async with client.private(query="?max_active_time=30s") as socket:
        await time.advance(60)
        code = await socket.closed()

    assert code == 1001


@pytest.mark.parametrize(("topic", "left"), [("dcp.future", ["cash"]), ("dcp.spot", ["perp"])])
async def test_orders_are_cancelled_when_the_last_guarding_connection_stays_away(open_venue, time, topic, left):
    async with open_venue(accounts=(GRANTED,)) as (venue, client):
        await client.create("perp")
        await client.create("cash", category="spot")
        async with client.private(topic):
            async with client.private(topic):
                pass
            await time.advance(60)
            assert len(venue.god.open_orders()) == 2
        await venue.god.until(lambda: not venue.god.connections)
        await time.advance(9.9)
        before = len(venue.god.open_orders())
        await time.advance(0.2)

        assert before == 2
        assert [order.client_id for order in venue.god.open_orders()] == left
        cancelled = next(order for order in venue.god.orders() if not order.state.is_open)
        assert cancelled.labels["cancel_type"] == "CancelByDCP"


async def test_who_comes_back_and_pings_in_time_keeps_the_orders(open_venue, time):
    async with open_venue(accounts=(GRANTED,)) as (venue, client):
        await client.create()
        async with client.private("dcp.future"):
            pass
        await venue.god.until(lambda: not venue.god.connections)
        await time.advance(5)
        async with client.private("dcp.future") as socket:
            await socket.ask("ping")
            await time.advance(60)

            assert len(venue.god.open_orders()) == 1


async def test_the_window_of_the_protection_is_a_setting_for_those_who_have_it(open_venue):
    async with open_venue(accounts=(GRANTED,)) as (_, client):
        body = {"product": "DERIVATIVES", "timeWindow": 40}
        set_to = await client.post("/v5/order/disconnected-cancel-all", **body)
        too_short = await client.post("/v5/order/disconnected-cancel-all", **body | {"timeWindow": 2})
        infos = (await client.get("/v5/account/query-dcp-info"))["result"]["dcpInfos"]
        account = (await client.get("/v5/account/info"))["result"]

    assert (set_to["retCode"], too_short["retCode"]) == (0, 10001)
    assert {one["product"]: one["timeWindow"] for one in infos} == {"SPOT": "10", "DERIVATIVES": "40", "OPTIONS": "10"}
    assert (account["dcpStatus"], account["timeWindow"]) == ("ON", 40)


async def test_an_ordinary_account_has_no_protection(venue, client, time):
    refused = await client.post("/v5/order/disconnected-cancel-all", product="DERIVATIVES", timeWindow=10)
    infos = (await client.get("/v5/account/query-dcp-info"))["result"]["dcpInfos"]
    await client.create()
    async with client.private("dcp.future"):
        pass
    await venue.god.until(lambda: not venue.god.connections)
    await time.advance(400)

    assert (refused["retCode"], infos) == (10005, [])
    assert len(venue.god.open_orders()) == 1


async def test_a_half_open_private_socket_says_nothing(venue, client):
    async with client.private("order") as silent:
        venue.faults.silence(Role.PRIVATE)
        await client.create()
        venue.faults.heal()
        await client.create("a-2")
        told = await silent.item()

    assert told["orderLinkId"] == "a-2"

"""Who may ask: signatures over the exact bytes, times to the millisecond, permissions."""

from __future__ import annotations

import json

import pytest

from mmframe_localvenue import AccountSetup, ApiKey, Permission

WALLET = "/v5/account/wallet-balance"
UNIFIED = "accountType=UNIFIED"
AT_MS = 1_700_000_000_000
DEMO = AccountSetup(keys=(ApiKey("demoKey", "demoSecret"),))


async def test_the_signature_of_a_get_made_elsewhere_is_accepted(open_venue, time):
    time.clock.advance_to(AT_MS * 1_000_000)
    query = "category=linear&symbol=BTCUSDT"

    async with open_venue(accounts=(DEMO,)) as (_, client):
        headers = client.headers(query, sign="0821d920f0f1c434af59e348aa8cc1303ba28fb8518710466a624b59b4063722")
        answer = await client.raw("GET", "/v5/order/realtime", query, headers=headers)

    assert (answer.status_code, answer.json()["retCode"]) == (200, 0)


async def test_the_signature_of_a_post_made_elsewhere_is_accepted(open_venue, time):
    time.clock.advance_to(AT_MS * 1_000_000)
    body = (
        '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"60000",'
        '"timeInForce":"PostOnly","orderLinkId":"mm-1-b"}'
    )

    async with open_venue(accounts=(DEMO,)) as (venue, client):
        headers = client.headers(body, sign="91762031d3824953134b6e1a744f1627365591b24b4de4364b0ee9e4218ffc3c")
        answer = await client.raw("POST", "/v5/order/create", body=body, headers=headers)
        orders = venue.god.orders_of("mm-1-b")

    assert answer.json()["retCode"] == 0
    assert len(orders) == 1


async def test_the_socket_signature_made_elsewhere_is_accepted(open_venue, time):
    time.clock.advance_to(AT_MS * 1_000_000)

    async with (
        open_venue(accounts=(DEMO,)) as (venue, client),
        client.socket(venue.private_url) as private,
        client.socket(venue.ws_api_url) as trade,
    ):
        args = ["demoKey", AT_MS + 10_000, "b2f2d9714c2843c76b94d56adc7a0f50abc300b1638a349520a60b1b12df2151"]
        said = await private.ask("auth", args=args)
        told = await trade.ask("auth", args=args)

    assert (said["success"], said["op"]) == (True, "auth")
    assert (told["retCode"], told["op"]) == (0, "auth")


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("category=linear&symbol=BTCUSDT", "symbol=BTCUSDT&category=linear"),
        ("category=linear&cursor=1%3A1", "category=linear&cursor=1:1"),
        ("category=linear", "category=linear&"),
    ],
    ids=["order", "encoding", "trailing"],
)
async def test_a_query_that_means_the_same_in_other_bytes_is_refused(client, signed, sent):
    answer = await client.raw("GET", "/v5/order/history", sent, headers=client.headers(signed))

    assert answer.json()["retCode"] == 10004


async def test_a_body_written_anew_after_signing_is_refused(venue, client):
    fields = client.ticket()
    sent = json.dumps(fields, separators=(",", ":"))

    answer = await client.raw("POST", "/v5/order/create", body=sent, headers=client.headers(json.dumps(fields)))

    assert answer.json()["retCode"] == 10004
    assert venue.god.orders() == []


@pytest.mark.parametrize(
    ("offset_ms", "code"), [(-5_000, 0), (-5_001, 10002), (0, 0), (999, 0), (1_000, 10002)], ids=str
)
async def test_the_time_window_is_closed_behind_and_open_ahead(client, offset_ms, code):
    headers = client.headers(UNIFIED, timestamp=client.time.now_ms + offset_ms)

    answer = await client.raw("GET", WALLET, UNIFIED, headers=headers)

    assert (answer.status_code, answer.json()["retCode"]) == (200, code)


async def test_a_skewed_clock_of_the_venue_refuses_honest_times(venue, client):
    venue.faults.skew_clock(6.0)
    refused = await client.get(WALLET, accountType="UNIFIED")
    time_text = (await client.ask("/v5/market/time"))["result"]["timeNano"]
    venue.faults.heal()
    accepted = await client.get(WALLET, accountType="UNIFIED")

    assert (refused["retCode"], accepted["retCode"]) == (10002, 0)
    assert int(time_text) == client.time.clock.now_ns() + 6_000_000_000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"X-BAPI-API-KEY": "nobody"}, 10003),
        ({"X-BAPI-SIGN": "00"}, 10004),
        ({"X-BAPI-SIGN": ""}, 10001),
        ({"X-BAPI-TIMESTAMP": "soon"}, 10001),
    ],
    ids=["key", "sign", "none", "time"],
)
async def test_a_wrong_header_has_its_code(client, change, code):
    answer = await client.raw("GET", WALLET, UNIFIED, headers=client.headers(UNIFIED) | change)

    assert (answer.status_code, answer.json()["retCode"]) == (200, code)


async def test_a_key_that_only_reads_places_nothing(open_venue):
    reader = AccountSetup(keys=(ApiKey(permissions=frozenset({Permission.READ})),))

    async with open_venue(accounts=(reader,)) as (venue, client), client.trade() as socket:
        wallet = await client.get(WALLET, accountType="UNIFIED")
        refused = await client.create()
        told = await socket.order("order.create", client.ticket())
        orders = venue.god.orders()

    assert (wallet["retCode"], refused["retCode"], told["retCode"]) == (0, 10005, 10005)
    assert orders == []


async def test_a_revoked_key_is_unknown_on_an_open_trade_socket_too(venue, client):
    async with client.trade() as socket:
        venue.god.revoke_key("local-key")

        told = await socket.order("order.create", client.ticket())

    assert told["retCode"] == 10005
    assert (await client.create())["retCode"] == 10003


@pytest.mark.parametrize(
    ("permissions", "readOnly", "wallet"),
    [
        ({Permission.READ, Permission.TRADE}, 0, []),
        ({Permission.READ}, 1, []),
        (set(Permission), 0, ["AccountTransfer", "Withdraw"]),
    ],
    ids=["trade", "read", "withdraw"],
)
async def test_a_key_tells_what_it_may_do(open_venue, permissions, readOnly, wallet):  # noqa: N803 - the exchange's word
    account = AccountSetup(keys=(ApiKey(permissions=frozenset(permissions)),))

    async with open_venue(accounts=(account,)) as (_, client):
        told = (await client.get("/v5/user/query-api"))["result"]

    assert (told["readOnly"], told["permissions"]["Wallet"]) == (readOnly, wallet)
    assert bool(told["permissions"]["Spot"]) is not bool(readOnly)


async def test_a_path_that_does_not_exist_says_so(client):
    answer = await client.raw("GET", "/v5/order/undo")

    assert (answer.status_code, answer.json()["retCode"]) == (404, 10017)

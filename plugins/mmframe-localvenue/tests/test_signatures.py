"""The exchange's published signature examples are accepted byte for byte; whatever differs is not."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mmframe_localvenue import AccountSetup, ApiKey, MarketSetup, Permission

DOC_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
DOC_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
ASCII = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559",
    "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
)
ENCODED = (
    (
        "symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1"
        "&price=0.1&recvWindow=5000&timestamp=1499827319559"
    ),
    "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
)
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
MAKER = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.001&price=60000.00&newClientOrderId=mm-1-b&recvWindow=3000"
    "&timestamp=1700000000000"
)
ED25519_SIGNATURE = "D3HgwpPbuDcJvYrVpiU1AQE7g5oZB6Z+RWmVIL8+QOcDSCy9dtGBQmHjccvCmhmm1j8Zr+fkWYSsSwzmTmXWCg=="


def small(symbol):
    return MarketSetup(
        symbol=symbol,
        price=Decimal("0.1"),
        tick_size=Decimal("0.0001"),
        min_price=Decimal("0.0001"),
        min_notional=Decimal("0.0001"),
        still_levels=0,
    )


def documented_setup():
    account = AccountSetup(
        keys=(ApiKey(DOC_KEY, DOC_SECRET),), balances={"BTC": Decimal(1), "\uff15\uff16": Decimal(1)}
    )
    return dict(markets=(small("LTC/BTC"), small("\uff11\uff12\uff13\uff14/\uff15\uff16")), accounts=(account,))


@pytest.fixture
def long_ago(time):
    time.clock._now_ns = 1_499_827_319_559 * 1_000_000
    return time


def ed25519_account(seed=SEED):
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return AccountSetup(keys=(ApiKey("demoKey", "", ed25519_public_key=raw),))


@pytest.mark.parametrize(("payload", "signature"), [ASCII, ENCODED], ids=["ascii", "percent-encoded"])
async def test_a_published_example_is_accepted(open_venue, long_ago, payload, signature):
    async with open_venue(**documented_setup()) as (venue, client):
        answer = await client.raw("POST", "/api/v3/order", f"{payload}&signature={signature}")

        assert answer.status_code == 200, answer.text
        assert len(venue.god.orders()) == 1


async def test_a_body_signs_like_a_query(open_venue, long_ago):
    async with open_venue(**documented_setup()) as (_, client):
        payload, signature = ASCII

        answer = await client.raw("POST", "/api/v3/order", body=f"{payload}&signature={signature}")

        assert answer.status_code == 200, answer.text


async def test_query_and_body_are_signed_without_a_separator(open_venue, long_ago):
    async with open_venue(**documented_setup()) as (_, client):
        query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
        body = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
        # The documents' own example of a mixed request.
        signature = "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
        assert client.sign(query + body) == signature

        answer = await client.raw("POST", "/api/v3/order", query, body=f"{body}&signature={signature}")

        assert answer.status_code == 200, answer.text


async def test_hmac_signatures_may_be_upper_case(open_venue, long_ago):
    async with open_venue(**documented_setup()) as (_, client):
        answer = await client.raw("POST", "/api/v3/order", f"{ASCII[0]}&signature={ASCII[1].upper()}")

        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("symbol=LTCBTC&note=a%20b", "symbol=LTCBTC&note=a+b"),
        ("symbol=LTCBTC&note=a b", "symbol=LTCBTC&note=a%20b"),
        ("symbol=\uff11\uff12", "symbol=%EF%BC%91%EF%BC%92"),
        ("symbol=LTCBTC&side=BUY", "side=BUY&symbol=LTCBTC"),
    ],
    ids=["other-escape", "signed-before-encoding", "non-ascii-signed-raw", "reordered"],
)
async def test_other_bytes_than_were_signed_are_refused(client, time, signed, sent):
    stamp = f"&timestamp={time.now_ms}"
    signature = client.sign(signed + stamp)

    answer = await client.raw("POST", "/api/v3/order", f"{sent}{stamp}&signature={signature}")

    assert answer.status_code == 400
    assert answer.json() == {"code": -1022, "msg": "Signature for this request is not valid."}


async def test_an_ed25519_signature_is_accepted(open_venue):
    price = MarketSetup(price=Decimal(70_000))
    async with open_venue(accounts=(ed25519_account(),), markets=(price,)) as (_, client):
        escaped = ED25519_SIGNATURE.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")

        answer = await client.raw("POST", "/api/v3/order", f"{MAKER}&signature={escaped}")
        forged = await client.raw("POST", "/api/v3/order", f"{MAKER}&signature={escaped.replace('D3', 'D4')}")

        assert answer.status_code == 200, answer.text
        assert forged.json()["code"] == -1022


async def test_the_socket_signs_sorted_and_unescaped(open_venue):
    account = AccountSetup(keys=(ApiKey("demoKey", "demoSecret"),))
    async with (
        open_venue(accounts=(account,), markets=(MarketSetup(price=Decimal(70_000)),)) as (venue, client),
        client.socket(venue.ws_api_url) as socket,
    ):
        fields = dict(part.split("=") for part in MAKER.split("&"))
        order = fields | {
            "apiKey": "demoKey",
            "signature": "d9689a98bc33cdd7f814ca0a73df5d59202c4783c68e493923a0787773db972d",
        }

        answer = await socket.ask("order.place", **order)
        stream = await socket.ask(
            "userDataStream.subscribe.signature",
            apiKey="demoKey",
            timestamp=1_700_000_000_000,
            signature="25d0bd09af440c8897abe1c80e517bcd31735323b39e8db6cf2dd9e1450895f2",
        )

        assert answer["status"] == 200, answer
        assert stream["result"] == {"subscriptionId": 0}


async def test_a_session_logs_on_with_ed25519_and_then_needs_no_signature(open_venue, time):
    async with (
        open_venue(accounts=(ed25519_account(),)) as (venue, client),
        client.socket(venue.ws_api_url) as socket,
    ):
        payload = f"apiKey=demoKey&timestamp={time.now_ms}"
        signature = base64.b64encode(Ed25519PrivateKey.from_private_bytes(SEED).sign(payload.encode())).decode()

        logon = await socket.ask("session.logon", apiKey="demoKey", timestamp=time.now_ms, signature=signature)
        subscribed = await socket.ask("userDataStream.subscribe")
        account = await socket.ask("account.status", timestamp=time.now_ms)
        venue.god.revoke_key("demoKey")
        await socket.send(id=99, method="account.status", params={"timestamp": time.now_ms})
        revoked = await socket.next()

        assert logon["result"]["apiKey"] == "demoKey"
        assert subscribed["result"] == {"subscriptionId": 0}
        assert account["status"] == 200
        assert revoked["id"] is None
        assert revoked["error"]["code"] == -2015


async def test_hmac_keys_cannot_log_on(venue, client):
    async with client.socket(venue.ws_api_url) as socket:
        answer = await socket.ask_signed("session.logon")

        assert answer["error"] == {"code": -4056, "msg": "HMAC_SHA256 API key is not supported."}


@pytest.mark.parametrize(
    ("offset_ms", "more", "expected"),
    [
        (0, "", None),
        (999, "", None),
        (1_000, "", "Timestamp for this request was 1000ms ahead of the server's time."),
        (-5_000, "", None),
        (-5_001, "", "Timestamp for this request is outside of the recvWindow."),
        (-101, "&recvWindow=100", "Timestamp for this request is outside of the recvWindow."),
        (-59_000, "&recvWindow=60000", None),
    ],
)
async def test_the_timestamp_must_lie_in_the_window(client, time, offset_ms, more, expected):
    payload = f"omitZeroBalances=true&timestamp={time.now_ms + offset_ms}{more}"

    answer = await client.raw("GET", "/api/v3/account", f"{payload}&signature={client.sign(payload)}")

    assert answer.status_code == (200 if expected is None else 400)
    if expected is not None:
        assert answer.json() == {"code": -1021, "msg": expected}


async def test_microseconds_are_understood(client, time):
    payload = f"timestamp={time.now_ms * 1000}"

    answer = await client.raw(
        "GET",
        "/api/v3/account",
        f"{payload}&signature={client.sign(payload)}",
        headers={"X-MBX-TIME-UNIT": "MICROSECOND"},
    )

    assert answer.json()["updateTime"] == time.now_ms * 1000


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("", 401, -2014), ("no spaces!", 401, -2014), ("stranger", 401, -2015), ("reader", 401, -2015)],
)
async def test_keys_without_the_right_are_refused(open_venue, key, status, code):
    reader = ApiKey("reader", "r", permissions=frozenset({Permission.READ}))
    async with open_venue(accounts=(AccountSetup(keys=(ApiKey(), reader)),)) as (venue, client):
        client.key, client.secret = key, "r"

        answer = await client.place()

        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert venue.god.orders() == []


async def test_a_frame_signs_how_its_answer_is_to_look(venue, client):
    async with client.socket(venue.ws_api_url) as socket:
        fields = {"apiKey": client.key, "returnRateLimits": "false", "timestamp": client.time.now_ms}
        payload = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
        without = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "returnRateLimits")
        fields["returnRateLimits"] = False

        answer = await socket.ask("account.status", **fields, signature=client.sign(payload))
        refused = await socket.ask("account.status", **fields, signature=client.sign(without))

    assert answer["status"] == 200, answer
    assert "rateLimits" not in answer
    assert refused["error"]["code"] == -1022

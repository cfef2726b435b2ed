"""Signatures over the bytes that are sent, and nothing that shows what they are made with."""

from __future__ import annotations

import pickle

import pytest

from mmframe.errors import DomainError, VenueError
from mmframe.plugin import Secret
from mmframe_bybit.trading.auth import Credentials, auth_payload, rest_payload

ORDER = (
    b'{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"60000",'
    b'"timeInForce":"PostOnly","orderLinkId":"mm-1-b"}'
)


@pytest.fixture
def credentials():
    return Credentials(Secret("demoKey", "env KEY"), Secret("demoSecret", "env SECRET"), recv_window_ms=5000)


@pytest.mark.parametrize(
    ("timestamp_ms", "content", "expected"),
    [
        (
            1658384314791,
            b"category=option&symbol=BTC-29JUL22-25000-C",
            b"1658384314791XXXXXXXXXX5000category=option&symbol=BTC-29JUL22-25000-C",
        ),
        (1658385579423, b'{"category": "option"}', b'1658385579423XXXXXXXXXX5000{"category": "option"}'),
    ],
    ids=["get", "post"],
)
def test_the_signed_text_is_the_published_one(timestamp_ms, content, expected):
    assert rest_payload(timestamp_ms, "XXXXXXXXXX", 5000, content) == expected


@pytest.mark.parametrize(
    ("content", "signature"),
    [
        (b"category=linear&symbol=BTCUSDT", "0821d920f0f1c434af59e348aa8cc1303ba28fb8518710466a624b59b4063722"),
        (ORDER, "91762031d3824953134b6e1a744f1627365591b24b4de4364b0ee9e4218ffc3c"),
    ],
    ids=["query", "body"],
)
def test_headers_of_a_request(credentials, content, signature):
    assert credentials.headers(content, 1_700_000_000_000) == (
        ("X-BAPI-API-KEY", "demoKey"),
        ("X-BAPI-TIMESTAMP", "1700000000000"),
        ("X-BAPI-RECV-WINDOW", "5000"),
        ("X-BAPI-SIGN", signature),
    )


def test_login_of_a_socket(credentials):
    expires_ms = 1_700_000_010_000
    signature = "b2f2d9714c2843c76b94d56adc7a0f50abc300b1638a349520a60b1b12df2151"

    assert auth_payload(expires_ms) == b"GET/realtime1700000010000"
    assert credentials.login(expires_ms) == ["demoKey", expires_ms, signature]


def test_they_show_nothing_of_themselves(credentials):
    assert repr(credentials) == "Credentials(***)"
    assert credentials.shown(f"key demoKey\nand {'0aF4' * 16}") == "key ***?and ***"
    with pytest.raises(TypeError, match="not to be copied"):
        pickle.dumps(credentials)


@pytest.mark.parametrize("text", ["", "abc\n", "abc def", "ключ"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(text):
    with pytest.raises(VenueError) as caught:
        Credentials(Secret(text, "env KEY"), Secret("good-secret", "env SECRET"), recv_window_ms=5000)

    assert caught.value.message.startswith("api_key: expected printable ASCII without spaces, was something else")
    assert not text or text not in str(caught.value)


def test_secrets_that_were_not_read_cannot_be_used():
    with pytest.raises(DomainError, match="was not read"):
        Credentials(Secret(None, "env KEY"), Secret(None, "env SECRET"), recv_window_ms=5000)

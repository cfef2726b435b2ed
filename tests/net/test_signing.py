"""Signatures agree, byte for byte, with worked examples of the venues' schemes."""

from __future__ import annotations

import copy
import pickle

import pytest

from mmframe.net.signing import HmacSigner, percent_encoded, signed_query

SECRET = "demoSecret"
ORDER = [
    ("symbol", "BTCUSDT"),
    ("side", "BUY"),
    ("type", "LIMIT_MAKER"),
    ("quantity", "0.001"),
    ("price", "60000.00"),
    ("newClientOrderId", "mm-1-b"),
    ("recvWindow", "3000"),
    ("timestamp", "1700000000000"),
]


@pytest.mark.parametrize(
    ("payload", "signature"),
    [
        (
            (
                "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.001&price=60000.00&newClientOrderId=mm-1-b"
                "&recvWindow=3000&timestamp=1700000000000"
            ),
            "f8391267b74871635a48700aabeb1ba0a367de6f4a8e2c28c02cc14690935906",
        ),
        (
            (
                "apiKey=demoKey&newClientOrderId=mm-1-b&price=60000.00&quantity=0.001&recvWindow=3000&side=BUY"
                "&symbol=BTCUSDT&timestamp=1700000000000&type=LIMIT_MAKER"
            ),
            "d9689a98bc33cdd7f814ca0a73df5d59202c4783c68e493923a0787773db972d",
        ),
        (
            "apiKey=demoKey&timestamp=1700000000000",
            "25d0bd09af440c8897abe1c80e517bcd31735323b39e8db6cf2dd9e1450895f2",
        ),
        (
            "1700000000000demoKey5000category=linear&symbol=BTCUSDT",
            "0821d920f0f1c434af59e348aa8cc1303ba28fb8518710466a624b59b4063722",
        ),
        (
            (
                '1700000000000demoKey5000{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit"'
                ',"qty":"0.001","price":"60000","timeInForce":"PostOnly","orderLinkId":"mm-1-b"}'
            ),
            "91762031d3824953134b6e1a744f1627365591b24b4de4364b0ee9e4218ffc3c",
        ),
        ("GET/realtime1700000010000", "b2f2d9714c2843c76b94d56adc7a0f50abc300b1638a349520a60b1b12df2151"),
    ],
    ids=["query", "sorted-params", "stream-login", "get-string", "body-string", "socket-login"],
)
def test_hmac_reproduces_the_worked_examples(payload, signature):
    assert HmacSigner(SECRET)(payload.encode()) == signature


def test_a_signer_signs_any_number_of_payloads():
    signer = HmacSigner(SECRET)

    assert signer(b"a") == signer(b"a") != signer(b"b")


def test_a_query_is_signed_as_it_is_sent():
    query = signed_query(ORDER, HmacSigner(SECRET))

    payload, _, signature = query.partition(b"&signature=")
    assert payload == percent_encoded(ORDER)
    assert signature == b"f8391267b74871635a48700aabeb1ba0a367de6f4a8e2c28c02cc14690935906"


def test_text_beyond_ascii_is_encoded_before_it_is_signed():
    query = signed_query([("symbol", "１２３４５６"), ("timestamp", "1700000000000")], HmacSigner(SECRET))  # noqa: RUF001

    assert query == (
        b"symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&timestamp=1700000000000"
        b"&signature=9e77ec6292b09e80316ba11e32fede12a2c5c71ce3bdb947ac69bdf9377e5393"
    )


def test_a_base64_signature_is_encoded_in_the_query():
    query = signed_query([("timestamp", "1")], lambda payload: "a+b/c=")

    assert query == b"timestamp=1&signature=a%2Bb%2Fc%3D"


@pytest.mark.parametrize(
    ("value", "encoded"),
    [("a b", b"a%20b"), ("a&b=c", b"a%26b%3Dc"), ("aZ09-._~", b"aZ09-._~"), ("50%", b"50%25"), ("a/b", b"a%2Fb")],
)
def test_only_unreserved_characters_stand_for_themselves(value, encoded):
    assert percent_encoded([("v", value)]) == b"v=" + encoded


def test_no_fields_leave_the_signature_alone():
    assert signed_query([], lambda payload: "s") == b"signature=s"


def test_a_signer_does_not_give_its_secret_away():
    signer = HmacSigner(SECRET)

    assert repr(signer) == "HmacSigner(***)"
    assert not any(SECRET in repr(getattr(signer, name)) for name in dir(signer))
    with pytest.raises(TypeError, match="holds a secret"):
        pickle.dumps(signer)
    with pytest.raises(TypeError, match="holds a secret"):
        copy.copy(signer)

"""Signatures, byte for byte: the published examples, and those that are made of RFC 8032's first key."""

from __future__ import annotations

import base64
import importlib.util
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mmframe.errors import DomainError
from mmframe.net.signing import HmacSigner
from mmframe.plugin import Secret
from mmframe_binance.trading.signing import Ed25519Signer, make_signer, require_key_type, rest_target, socket_params

DEMO = HmacSigner("demoSecret")
ORDER = (
    ("symbol", "BTCUSDT"),
    ("side", "BUY"),
    ("type", "LIMIT_MAKER"),
    ("quantity", "0.001"),
    ("price", "60000.00"),
    ("newClientOrderId", "mm-1-b"),
    ("recvWindow", "3000"),
    ("timestamp", "1700000000000"),
)
RFC8032_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
ED25519_SIGNATURE = "D3HgwpPbuDcJvYrVpiU1AQE7g5oZB6Z+RWmVIL8+QOcDSCy9dtGBQmHjccvCmhmm1j8Zr+fkWYSsSwzmTmXWCg=="


def private_key():
    key = Ed25519PrivateKey.from_private_bytes(RFC8032_SEED)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_the_exchanges_own_example_of_a_signed_query_reproduces():
    signer = HmacSigner("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
    fields = (
        ("symbol", "LTCBTC"),
        ("side", "BUY"),
        ("type", "LIMIT"),
        ("timeInForce", "GTC"),
        ("quantity", "1"),
        ("price", "0.1"),
        ("recvWindow", "5000"),
        ("timestamp", "1499827319559"),
    )

    target = rest_target("/api/v3/order", fields, signer)

    assert target == (
        b"/api/v3/order?symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
        b"&timestamp=1499827319559&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )


def test_an_order_over_rest_is_signed_in_the_order_in_which_it_is_sent():
    target = rest_target("/api/v3/order", ORDER, DEMO)

    assert target.endswith(
        b"&timestamp=1700000000000&signature=f8391267b74871635a48700aabeb1ba0a367de6f4a8e2c28c02cc14690935906"
    )


def test_a_symbol_beyond_ascii_is_encoded_before_it_is_signed():
    fields = (("symbol", "\uff11\uff12\uff13\uff14\uff15\uff16"), ("timestamp", "1700000000000"))

    assert rest_target("/api/v3/order", fields, DEMO) == (
        b"/api/v3/order?symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&timestamp=1700000000000"
        b"&signature=9e77ec6292b09e80316ba11e32fede12a2c5c71ce3bdb947ac69bdf9377e5393"
    )


def test_an_order_on_the_socket_is_signed_sorted_and_bare():
    params = socket_params({**dict(ORDER), "apiKey": "demoKey"}, DEMO)

    assert params["signature"] == "d9689a98bc33cdd7f814ca0a73df5d59202c4783c68e493923a0787773db972d"
    assert list(params)[:-1] == sorted({**dict(ORDER), "apiKey": "demoKey"})


@pytest.mark.parametrize(
    ("fields", "signature"),
    [
        pytest.param(
            {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01000000", "price": "52000.00", "recvWindow": "100"},
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
            id="ASCII",
        ),
        pytest.param(
            {
                "symbol": "\uff11\uff12\uff13\uff14\uff15\uff16",
                "side": "BUY",
                "quantity": "1.00000000",
                "price": "0.10000000",
                "recvWindow": "5000",
            },
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
            id="beyond ASCII",
        ),
    ],
)
def test_the_exchanges_own_examples_of_the_socket_reproduce(fields, signature):
    signer = HmacSigner("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j")
    common = {
        "type": "LIMIT",
        "timeInForce": "GTC",
        "timestamp": "1645423376532",
        "apiKey": "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
    }

    params = socket_params({**fields, **common}, signer)

    assert params["signature"] == signature
    assert (params["timestamp"], params["price"]) == (1645423376532, fields["price"]), "sent as they were signed"


def test_the_subscription_to_user_data_is_signed():
    params = socket_params({"timestamp": "1700000000000", "apiKey": "demoKey"}, DEMO)

    assert params == {
        "apiKey": "demoKey",
        "timestamp": 1700000000000,
        "signature": "25d0bd09af440c8897abe1c80e517bcd31735323b39e8db6cf2dd9e1450895f2",
    }


@pytest.mark.parametrize("breaks", ["\n", "\\n"], ids=["as in a file", "as in an environment variable"])
def test_an_ed25519_key_signs_the_same_bytes_and_is_encoded_in_the_query(breaks):
    signer = make_signer("ed25519", Secret(private_key().replace("\n", breaks), "test"))

    target = rest_target("/api/v3/order", ORDER, signer)

    encoded = ED25519_SIGNATURE.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert target.decode().partition("&signature=")[2] == encoded
    assert len(base64.b64decode(ED25519_SIGNATURE)) == 64


def test_a_signer_shows_nothing_of_its_key():
    signer = Ed25519Signer(private_key())

    assert repr(signer) == "Ed25519Signer(***)"
    with pytest.raises(TypeError, match="holds a secret"):
        pickle.dumps(signer)


def test_what_is_no_private_key_is_refused_without_being_quoted():
    with pytest.raises(DomainError) as caught:
        make_signer("ed25519", Secret("hush-hush", "test"))

    assert caught.value.message.startswith("api_secret: expected an Ed25519 private key in PEM")
    assert "hush" not in str(caught.value) + str(caught.value.hint)


def test_without_the_extra_the_way_to_install_it_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    with pytest.raises(DomainError) as caught:
        require_key_type("ed25519")

    assert caught.value.hint == 'pip install "mmframe-binance[ed25519]"'
    require_key_type("hmac")

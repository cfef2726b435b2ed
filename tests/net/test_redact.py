"""Addresses are shown without what may be secret, and plain text stays on this machine."""

from __future__ import annotations

import logging

import pytest

from mmframe.errors import DomainError
from mmframe.net.redact import described, origin, quiet_wire_loggers, require_proxy_url, require_safe_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://stream.example.com:9443/ws/listenKey?signature=abc", "wss://stream.example.com:9443"),
        ("https://user:secret@api.example.com/path", "https://api.example.com"),
        ("ws://[::1]:8080/a", "ws://[::1]:8080"),
        ("nonsense", "://"),
    ],
)
def test_an_address_is_shown_as_its_origin(url, shown):
    assert origin(url) == shown


@pytest.mark.parametrize("url", ["wss://a.example.com/x", "ws://localhost:1", "ws://127.0.0.9:1", "ws://[::1]:1"])
def test_encrypted_and_loopback_addresses_are_allowed(url):
    require_safe_url(url, scheme="ws")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            "ws://a.example.com/secret",
            "address ws://a.example.com: expected wss, was ws to a host that is not this machine",
        ),
        ("ws://127.0.0.1.example.com", "expected wss, was ws"),
        ("ws://0.0.0.0:80", "expected wss, was ws"),
        ("https://a.example.com/secret", "address https://a.example.com: expected wss://host, was 'https'"),
        ("wss:///secret", "expected wss://host"),
        ("wss://user:secret@a.example.com", "expected no user or password"),
        ("wss://a.example.com:secret", "something that cannot be read as one"),
        ("wss://[secret", "something that cannot be read as one"),
    ],
)
def test_an_unsafe_address_is_refused_without_quoting_its_secrets(url, problem):
    with pytest.raises(DomainError) as caught:
        require_safe_url(url, scheme="ws")

    assert problem in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_proxy_that_is_none_is_refused_without_quoting_it():
    require_proxy_url("http://user:secret@127.0.0.1:3128")

    with pytest.raises(DomainError) as caught:
        require_proxy_url("socks5://user:secret@127.0.0.1:1080")

    assert (
        caught.value.message == "proxy: expected an address such as http://127.0.0.1:3128, was one with scheme 'socks5'"
    )


def test_an_error_is_described_by_its_kind_and_number_alone():
    assert described(ConnectionRefusedError(111, "secret")) == "ConnectionRefusedError: Connection refused"
    assert described(OSError("secret")) == "OSError"
    assert described(ValueError("secret")) == "ValueError"


def test_wire_loggers_are_quiet_even_under_a_verbose_root(caplog):
    caplog.set_level(logging.DEBUG)

    quiet_wire_loggers()

    assert not any(
        logging.getLogger(name).isEnabledFor(logging.INFO)
        for name in ("httpx", "httpcore.http11", "httpcore.connection", "websockets.client")
    )

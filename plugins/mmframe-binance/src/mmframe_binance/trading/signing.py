"""Signed requests, built once: percent-encoded for REST, sorted and bare for the socket.

The exchange signs the two differently. REST signs the encoded query exactly as it is sent; the socket signs
`name=value` of all parameters sorted by name, not encoded.

Source: the exchange's documentation of request security, REST and websocket API; the question-and-answer page of keys.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from mmframe.errors import DomainError
from mmframe.net.signing import HmacSigner, percent_encoded, signed_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mmframe.plugin import Secret

__all__ = ["Ed25519Signer", "Signer", "make_signer", "require_key_type", "rest_target", "socket_params"]

_NUMBERS = frozenset({"cancelOrderId", "orderId", "recvWindow", "timestamp"})
"""Parameters that the exchange's own examples send as JSON numbers; prices and sizes are text."""

Signer = Callable[[bytes], str]
"""From the payload's bytes to the signature's text."""


class Ed25519Signer:
    """Ed25519 with a private key that no repr, pickle or error shows.

    Args:
        private_key: In PEM, PKCS #8, without a password; line breaks may be written as backslash and n, as in an
            environment variable.

    Raises:
        DomainError: If it is not such a key, or the package `cryptography` is missing.
    """

    __slots__ = ("_sign",)

    def __init__(self, private_key: str) -> None:
        require_key_type("ed25519")
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

        text = private_key.replace("\\n", "\n").strip() + "\n"
        try:
            key = load_pem_private_key(text.encode(), password=None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            msg = "api_secret: expected an Ed25519 private key in PEM (PKCS #8, no password), was something else"
            raise DomainError(msg, hint="key_type = 'hmac' is for keys whose secret is a line of text") from None
        self._sign = key.sign

    def __call__(self, payload: bytes) -> str:
        """Return the signature of `payload` in base64."""
        return base64.b64encode(self._sign(payload)).decode("ascii")

    def __repr__(self) -> str:
        return "Ed25519Signer(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        msg = "a signer holds a secret and is not to be copied out of the process"
        raise TypeError(msg)


def require_key_type(key_type: str) -> None:
    """Check that keys of this type can be used here.

    Raises:
        DomainError: If it needs a package that is not installed.
    """
    if key_type == "ed25519" and importlib.util.find_spec("cryptography") is None:
        msg = "key_type: 'ed25519' needs the package cryptography, which is not installed"
        raise DomainError(msg, hint='pip install "mmframe-binance[ed25519]"')


def make_signer(key_type: str, secret: Secret) -> Signer:
    """Return what signs with the secret part of a key.

    Raises:
        DomainError: If the secret was not read, or is no key of this type.
    """
    return Ed25519Signer(secret.reveal()) if key_type == "ed25519" else HmacSigner(secret.reveal())


def rest_target(path: str, fields: Iterable[tuple[str, str]], signer: Signer | None) -> bytes:
    """Return path and query as they are sent; signed when there is a signer."""
    query = percent_encoded(fields) if signer is None else signed_query(fields, signer)
    return path.encode("ascii") + (b"?" + query if query else b"")


def socket_params(fields: Mapping[str, str], signer: Signer) -> dict[str, str | int]:
    """Return the parameters of a signed request on the socket, in the order in which they were signed.

    Args:
        fields: All of them as text, with `apiKey` and `timestamp`: what is signed is what is sent.
        signer: Signs the payload.
    """
    ordered = dict(sorted(fields.items()))
    payload = "&".join(f"{name}={value}" for name, value in ordered.items())
    # The digits of a JSON number are those of the text.
    params = {name: int(value) if name in _NUMBERS else value for name, value in ordered.items()}
    return {**params, "signature": signer(payload.encode())}

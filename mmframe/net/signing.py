"""Signatures over bytes that are built once: what is signed is what is sent.

Encoding twice is the classic way to an "invalid signature": a client library that orders or escapes the query its own
way sends other bytes than were signed. So the encoded bytes are made here, and `mmframe.net.http` sends them as they
are.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["HmacSigner", "percent_encoded", "signed_query"]


class HmacSigner:
    """HMAC-SHA256 with a secret that no repr, pickle or error shows.

    A signer is any callable from the payload's bytes to the signature's text; one for Ed25519 comes from a plugin that
    depends on a cryptography library.

    Args:
        secret: The secret part of an API key, as issued.
    """

    __slots__ = ("_keyed",)

    def __init__(self, secret: str) -> None:
        self._keyed = hmac.new(secret.encode(), digestmod=hashlib.sha256)

    def __call__(self, payload: bytes) -> str:
        """Return the signature of `payload` in lower-case hexadecimal."""
        keyed = self._keyed.copy()
        keyed.update(payload)
        return keyed.hexdigest()

    def __repr__(self) -> str:
        return "HmacSigner(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        msg = "a signer holds a secret and is not to be copied out of the process"
        raise TypeError(msg)


def percent_encoded(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return `name=value&...` in the given order; all but letters, digits and `-._~` is percent-encoded UTF-8."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in fields).encode("ascii")


def signed_query(
    fields: Iterable[tuple[str, str]], signer: Callable[[bytes], str], *, name: str = "signature"
) -> bytes:
    """Return the encoded fields with the signature over exactly these bytes as the last one.

    Args:
        fields: Names and values in the order to send.
        signer: Makes the signature's text from the encoded fields.
        name: Name of the signature's field.
    """
    payload = percent_encoded(fields)
    return b"&".join(part for part in (payload, percent_encoded([(name, signer(payload))])) if part)

"""Keys and what is made with them: headers of signed requests and the login of private sockets.

The bytes that are signed are the bytes that are sent; nothing here shows key, secret or signature.

Source: the exchange's v5 documentation, integration guidance and websocket connect.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmframe.errors import VenueError
from mmframe.net.signing import HmacSigner

if TYPE_CHECKING:
    from mmframe.plugin import Secret

__all__ = ["Credentials", "auth_payload", "rest_payload"]

_TEXT_SHOWN_MAX = 200
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}")


def rest_payload(timestamp_ms: int, api_key: str, recv_window_ms: int, content: bytes) -> bytes:
    """Return what is signed of a request; `content` is the query of a GET, the body of a POST."""
    return f"{timestamp_ms}{api_key}{recv_window_ms}".encode() + content


def auth_payload(expires_ms: int) -> bytes:
    """Return what is signed to log in to a socket."""
    return f"GET/realtime{expires_ms}".encode()


class Credentials:
    """One key, revealed where the venue begins to run.

    Args:
        api_key: The public part.
        api_secret: The secret part.
        recv_window_ms: How old a request may be when the exchange takes it.

    Raises:
        DomainError: If the secrets were not read in this mode.
        VenueError: If the key is empty or holds what cannot stand in a header.
    """

    __slots__ = ("_api_key", "_signer", "recv_window_ms")

    def __init__(self, api_key: Secret, api_secret: Secret, *, recv_window_ms: int) -> None:
        key, secret = api_key.reveal(), api_secret.reveal()
        for name, source, text in (("api_key", api_key, key), ("api_secret", api_secret, secret)):
            if not text or not text.isascii() or not text.isprintable() or " " in text:
                msg = f"{name}: expected printable ASCII without spaces, was something else (from {source.source})"
                raise VenueError(msg, hint="copy the key again: a line break or a blank often comes along")
        self._api_key = key
        self._signer = HmacSigner(secret)
        self.recv_window_ms = recv_window_ms

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        msg = "credentials hold a secret and are not to be copied out of the process"
        raise TypeError(msg)

    def headers(self, content: bytes, timestamp_ms: int) -> tuple[tuple[str, str], ...]:
        """Return the headers that authenticate a request with this query or body."""
        payload = rest_payload(timestamp_ms, self._api_key, self.recv_window_ms, content)
        return (
            ("X-BAPI-API-KEY", self._api_key),
            ("X-BAPI-TIMESTAMP", str(timestamp_ms)),
            ("X-BAPI-RECV-WINDOW", str(self.recv_window_ms)),
            ("X-BAPI-SIGN", self._signer(payload)),
        )

    def login(self, expires_ms: int) -> list[str | int]:
        """Return the arguments of a socket's `auth`."""
        return [self._api_key, expires_ms, self._signer(auth_payload(expires_ms))]

    def shown(self, text: str) -> str:
        """Return words of the exchange fit for a log: short, printable, without a key or signature that it quotes."""
        text = _SIGNATURE.sub("***", text.replace(self._api_key, "***"))
        return "".join(letter if letter.isprintable() else "?" for letter in text[:_TEXT_SHOWN_MAX])

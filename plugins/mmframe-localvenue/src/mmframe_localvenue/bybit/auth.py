"""Who asks: keys, signatures and times, over the exact bytes that were sent."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import attrs

from mmframe_localvenue.bybit.envelope import BybitError
from mmframe_localvenue.bybit.params import integer_of
from mmframe_localvenue.core import Permission

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe_localvenue.core import Account, ApiKey, Exchange

__all__ = ["Caller", "caller_of", "check_time", "log_on"]

_RECV_WINDOW_MS = 5_000
_AHEAD_MS = 1_000
_AUTH_ARGUMENTS = 3


@attrs.frozen
class Caller:
    """Who signed."""

    account: Account
    key: ApiKey

    def require(self, permission: Permission) -> None:
        """Check that the key may.

        Raises:
            BybitError: 10005.
        """
        if permission not in self.key.permissions:
            raise BybitError(10005, "Permission denied, please check your API key permissions.")


def caller_of(exchange: Exchange, headers: Mapping[str, str], payload: bytes) -> Caller:
    """Return who signed `payload` (the raw query of a GET, the raw body of a POST).

    Raises:
        BybitError: 10001 without the headers, 10003 for an unknown key, 10002 outside of the time window, 10004 for a
            signature over other bytes.
    """
    key_text, sign = headers.get("X-BAPI-API-KEY", ""), headers.get("X-BAPI-SIGN", "")
    timestamp, window = headers.get("X-BAPI-TIMESTAMP", ""), headers.get("X-BAPI-RECV-WINDOW", "")
    if not key_text or not sign or not timestamp:
        raise BybitError(10001, "params error: X-BAPI-API-KEY, X-BAPI-SIGN or X-BAPI-TIMESTAMP is empty")
    found = exchange.owner_of(key_text)
    if found is None:
        raise BybitError(10003, "API key is invalid.")
    check_time(exchange.clock.now_ms(), timestamp, window)
    account, key = found
    if not _is_signed(key, f"{timestamp}{key_text}{window}".encode() + payload, sign):
        raise BybitError(10004, "error sign! please check your signature generation algorithm.")
    return Caller(account, key)


def check_time(now_ms: int, timestamp: str, window: str) -> None:
    """Check `server - window <= timestamp < server + 1000`.

    Raises:
        BybitError: 10001 for what is no time, 10002 for one outside.
    """
    at_ms = integer_of(timestamp, "timestamp")
    window_ms = integer_of(window, "recv_window") if window else _RECV_WINDOW_MS
    if now_ms - window_ms <= at_ms < now_ms + _AHEAD_MS:
        return
    raise BybitError(
        10002,
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{timestamp}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
    )


def log_on(exchange: Exchange, args: Any) -> Caller:
    """Return who logged on to a socket with `[key, expires, signature of "GET/realtime" + expires]`.

    Raises:
        BybitError: 10001 for other arguments, 10003, 10002 for an expiry in the past, 10004.
    """
    if not isinstance(args, list) or len(args) != _AUTH_ARGUMENTS or not isinstance(args[0], str):
        raise BybitError(10001, "Params Error")
    key_text, expires, sign = args
    if isinstance(expires, bool) or not isinstance(sign, str):
        raise BybitError(10001, "Params Error")
    expires_ms = integer_of(str(expires), "expires")
    found = exchange.owner_of(key_text)
    if found is None:
        raise BybitError(10003, "API key is invalid.")
    if expires_ms <= exchange.clock.now_ms():
        raise BybitError(10002, "Params Error: expires is in the past")
    account, key = found
    if not _is_signed(key, f"GET/realtime{expires}".encode(), sign):
        raise BybitError(10004, "Error sign, please check your signature generation algorithm.")
    return Caller(account, key)


def _is_signed(key: ApiKey, payload: bytes, sign: str) -> bool:
    expected = hmac.new(key.secret.encode(), payload, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), sign.lower().encode(errors="replace"))

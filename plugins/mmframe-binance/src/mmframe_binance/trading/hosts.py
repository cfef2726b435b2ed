"""Where each environment is traded on, and that a strategy file names no other place.

Source: the exchange's documentation of endpoints, spot, demo mode and USDⓈ-M (2026).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from mmframe.errors import DomainError
from mmframe.net.redact import origin, require_safe_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SPOT_HOSTS", "USDM_HOSTS", "TradingHosts", "chosen_url"]

_SPOT_SOCKET_PATH = "/ws-api/v3"


@attrs.frozen
class TradingHosts:
    """One environment.

    Attributes:
        rest_urls: Scheme, host and port; the first is the default.
        socket_urls: Of the websocket API with its path (spot), or of the private streams without (USDⓈ-M).
    """

    rest_urls: tuple[str, ...]
    socket_urls: tuple[str, ...]


SPOT_HOSTS: Mapping[str, TradingHosts] = {
    "live": TradingHosts(
        (
            "https://api.binance.com",
            "https://api-gcp.binance.com",
            *(f"https://api{number}.binance.com" for number in (1, 2, 3, 4)),
        ),
        (f"wss://ws-api.binance.com:443{_SPOT_SOCKET_PATH}", f"wss://ws-api.binance.com:9443{_SPOT_SOCKET_PATH}"),
    ),
    "testnet": TradingHosts(
        ("https://testnet.binance.vision", "https://api1.testnet.binance.vision"),
        (f"wss://ws-api.testnet.binance.vision{_SPOT_SOCKET_PATH}",),
    ),
    "demo": TradingHosts(("https://demo-api.binance.com",), (f"wss://demo-ws-api.binance.com{_SPOT_SOCKET_PATH}",)),
}

USDM_HOSTS: Mapping[str, TradingHosts] = {
    "live": TradingHosts(("https://fapi.binance.com",), ("wss://fstream.binance.com",)),
    "demo": TradingHosts(("https://demo-fapi.binance.com",), ("wss://demo-fstream.binance.com",)),
}


def chosen_url(name: str, url: str | None, allowed: tuple[str, ...], environment: str) -> str:
    """Return where to connect: what the file says, else the first of `allowed`.

    Args:
        name: Of the option, for the error.
        url: From the strategy file.
        allowed: The environment's own.
        environment: Its name, for the error.

    Raises:
        DomainError: If it is neither of this environment nor on this machine: keys and orders would go elsewhere.
    """
    if url is None:
        return allowed[0]
    url = url.rstrip("/")
    require_safe_url(url, scheme="ws" if allowed[0].startswith("ws") else "http")
    host = urlsplit(url).hostname or ""
    if not _is_loopback(host) and host not in {urlsplit(each).hostname for each in allowed}:
        msg = f"{name}: expected a host of the environment {environment!r} or of this machine, was {origin(url)}"
        raise DomainError(msg, hint=f"leave {name} out, or set environment to where that host belongs")
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""What may be said of an address or a failure. One place, so that no secret depends on each caller's care.

Queries carry signatures, paths carry listen keys, proxies carry passwords, and the text of a library's error may carry
any of them: an address is shown as its origin, a failure as its kind.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from urllib.parse import SplitResult, urlsplit

from mmframe.errors import DomainError

__all__ = ["described", "origin", "quiet_wire_loggers", "require_proxy_url", "require_safe_url"]

_WIRE_LOGGERS = ("httpcore", "httpx", "websockets")
_SECURE = {"http": "https", "ws": "wss"}


def origin(url: str) -> str:
    """Return scheme, host and port of `url`: never its user, path or query."""
    parts = _split(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if parts.port is None else f":{parts.port}")


def require_safe_url(url: str, *, scheme: str) -> None:
    """Refuse an address that is not encrypted, unless it stays on this machine.

    Args:
        url: The address.
        scheme: `http` or `ws`: the plain scheme, allowed for loopback hosts alone.

    Raises:
        DomainError: If the scheme is another one, the host is missing or the connection would be readable on the way.
    """
    parts = _split(url)
    secure = _SECURE[scheme]
    if parts.scheme not in {scheme, secure} or not parts.hostname:
        msg = f"address {origin(url)}: expected {secure}://host, was {parts.scheme or 'no scheme'!r}"
        raise DomainError(msg)
    if parts.scheme == scheme and not _is_loopback(parts.hostname):
        msg = f"address {origin(url)}: expected {secure}, was {scheme} to a host that is not this machine"
        raise DomainError(msg, hint=f"use {secure}://; {scheme}:// is for loopback addresses")
    if parts.username is not None:
        msg = f"address {origin(url)}: expected no user or password in it, was one with"
        raise DomainError(msg)


def require_proxy_url(url: str) -> None:
    """Refuse the address of a proxy that cannot be one; its user and password are allowed and never shown.

    Raises:
        DomainError: If it is not `http://host` or `https://host`.
    """
    parts = _split(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"proxy: expected an address such as http://127.0.0.1:3128, was one with scheme {parts.scheme!r}"
        raise DomainError(msg, hint="only proxies that are spoken to by HTTP are supported")


def described(error: BaseException) -> str:
    """Return the kind of an error, and the operating system's words for its number; never the error's own text."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return f"{name}: {os.strerror(error.errno)}"
    return name


def quiet_wire_loggers() -> None:
    """Hold the loggers of the wire libraries at WARNING or above: below it they print requests and frames."""
    for name in _WIRE_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        msg = "address: expected scheme://host:port, was something that cannot be read as one"
        raise DomainError(msg) from None
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

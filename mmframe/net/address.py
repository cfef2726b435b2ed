"""Which machines may be connected to: a name is resolved, every address is judged, and what was judged is connected to.

A name says nothing about where it leads: one that anybody may register can resolve to this machine, to the local
network or to a cloud's metadata service, and a server that answers a request there answers with what is inside. Judging
the name and letting a library resolve it once more would leave a moment in which the answer may change.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from mmframe.errors import DomainError

__all__ = ["AddressGuard", "Resolver", "problem_of", "resolve_by_system"]

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host as text, best first; raises `OSError` when there are none."""

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_ADDRESSES_MAX = 16
"""Addresses of one name that are looked at; more make it refused."""
_LOCAL_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "127.0.0.0/8", "::1/128")
)
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
"""Where clouds hand out credentials to whoever asks from inside; link-local or in private networks."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Return the addresses of `host` in the system's order.

    Raises:
        OSError: If it cannot be resolved.
    """
    import asyncio  # noqa: PLC0415 - options are judged where nothing is connected

    loop = asyncio.get_running_loop()
    ended: asyncio.Future[list[str]] = loop.create_future()

    def end(found: list[str] | OSError) -> None:
        if ended.done():
            return
        if isinstance(found, OSError):
            ended.set_exception(found)
        else:
            ended.set_result(found)

    def look_up() -> None:
        found: list[str] | OSError
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(address[0]) for *_, address in rows))
        except OSError as error:
            found = error
        except UnicodeError:
            found = OSError("no name of a host")
        # The loop may be gone by now.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(end, found)

    # Not in the loop's pool: the system may look for half a minute, and a process that ends waits for all but daemons.
    threading.Thread(target=look_up, name="mmframe-resolve", daemon=True).start()
    return await ended


def problem_of(address: str, *, allows_private: bool) -> str:
    """Return why an address must not be connected to, or nothing.

    Args:
        address: IPv4 or IPv6 as text. One that wraps another (mapped, translated, tunnelled) is judged by that.
        allows_private: Whether this machine and the local network are meant. Metadata services, link-local and
            multicast addresses never are.
    """
    try:
        judged = _unwrapped(ipaddress.ip_address(address))
    except ValueError:
        return "not an address"
    if judged in _METADATA:
        return "a metadata service"
    if judged.is_link_local:
        return "a link-local address"
    if any(judged.version == network.version and judged in network for network in _LOCAL_NETWORKS):
        return "" if allows_private else "a private address"
    if judged.is_multicast or judged.is_reserved or judged.is_unspecified or not judged.is_global:
        return "an address that is not of the public network"
    return ""


class AddressGuard:
    """Says which addresses of a host may be connected to.

    A host that is written as loopback (`localhost`, `127.0.0.1`, `::1`) may lead there and nowhere else. Any other may
    lead to the public network alone; with `allows_private` also to this machine and the local network. One forbidden
    address among many refuses the host.

    Args:
        allows_private: As said.
        resolve: Looks names up; the system's by default.
    """

    __slots__ = ("_allows_private", "_resolve")

    def __init__(self, *, allows_private: bool = False, resolve: Resolver = resolve_by_system) -> None:
        self._allows_private = allows_private
        self._resolve = resolve

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the addresses of `host` that may be connected to, best first; at least one.

        Raises:
            DomainError: If one of its addresses is forbidden.
            OSError: If it has none.
        """
        found = (host,) if _is_address(host) else tuple(await self._resolve(host, port))
        if not found:
            msg = f"host {host}: expected at least one address, was none"
            raise OSError(msg)
        if len(found) > _ADDRESSES_MAX:
            msg = f"host {host}: expected at most {_ADDRESSES_MAX} addresses, was {len(found)}"
            raise DomainError(msg)
        is_meant_local = host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
        for address in found:
            if is_meant_local:
                problem = "" if ipaddress.ip_address(address).is_loopback else "not this machine"
            else:
                problem = problem_of(address, allows_private=self._allows_private)
            if problem:
                msg = f"host {host}: resolves to {address}, {problem}"
                raise DomainError(msg)
        return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _unwrapped(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address

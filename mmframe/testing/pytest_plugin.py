"""A pytest plugin that keeps tests off the network and away from real orders, with fixtures for the usual values.

Opt in with `pytest_plugins = ["mmframe.testing.pytest_plugin"]` in the top conftest.py, or `-p
mmframe.testing.pytest_plugin`. A test marked `loopback` may use sockets on this machine, one marked `live_orders` may
build components for live mode; nothing lifts the ban on other hosts.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import pytest

from mmframe.domain.kinds import Mode
from mmframe.plugin import BuildContext
from mmframe.testing.builders import make_instrument, make_inventory, make_view
from mmframe.testing.clock import ManualClock
from mmframe.testing.fake_venue import FakeVenue

if TYPE_CHECKING:
    from mmframe.domain.instrument import Instrument
    from mmframe.domain.views import Inventory, MarketView

__all__ = [
    "LiveOrdersBlockedError",
    "NetworkBlockedError",
    "fake_venue",
    "instrument",
    "inventory",
    "manual_clock",
    "market_view",
]


class NetworkBlockedError(AssertionError):
    """A test tried to reach another host, or this one without the `loopback` marker."""


class LiveOrdersBlockedError(AssertionError):
    """A test tried to build a component for live mode without the `live_orders` marker."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that allows loopback for a whole run."""
    parser.addoption(
        "--mmframe-loopback",
        action="store_true",
        help="Allow sockets on this machine in every test, as if all were marked `loopback`.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, so that --strict-markers knows them."""
    config.addinivalue_line("markers", "loopback: the test uses sockets on this machine")
    config.addinivalue_line("markers", "live_orders: the test builds components for live mode")


@pytest.fixture(autouse=True)
def _mmframe_no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    allows_loopback = bool(
        request.node.get_closest_marker("loopback") or request.config.getoption("--mmframe-loopback")
    )

    def check(host: object) -> None:
        if _is_loopback(host) and allows_loopback:
            return
        hint = "mark the test `loopback`" if _is_loopback(host) else "script the other side instead"
        msg = f"network blocked: expected no connection from a test, was {host!r}; {hint}"
        raise NetworkBlockedError(msg)

    real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex
    real_sendto, real_getaddrinfo = socket.socket.sendto, socket.getaddrinfo

    def connect(self: socket.socket, address: Any) -> None:
        _check_address(self, address, check)
        real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _check_address(self, address, check)
        return real_connect_ex(self, address)

    def sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        _check_address(self, rest[-1], check)
        return real_sendto(self, data, *rest)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None:
            check(host)
        return real_getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket.socket, "sendto", sendto)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def _mmframe_no_live_orders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("live_orders"):
        return
    # Whatever can reach real money is built from a context in live mode: this is the one door.
    real_init = BuildContext.__init__

    def __init__(self: BuildContext, mode: Mode, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        if mode is Mode.LIVE:
            msg = "live mode blocked: expected paper or backtest in a test, was live; mark the test `live_orders`"
            raise LiveOrdersBlockedError(msg)
        real_init(self, mode, *args, **kwargs)

    monkeypatch.setattr(BuildContext, "__init__", __init__)


@pytest.fixture
def manual_clock() -> ManualClock:
    """Return a clock that the test moves."""
    return ManualClock()


@pytest.fixture
def instrument() -> Instrument:
    """Return BTC/USDT with ticks of 0.01 and lots of 0.001."""
    return make_instrument()


@pytest.fixture
def market_view() -> MarketView:
    """Return a calm view around 100."""
    return make_view()


@pytest.fixture
def inventory() -> Inventory:
    """Return a flat inventory."""
    return make_inventory()


@pytest.fixture
def fake_venue() -> FakeVenue:
    """Return a venue whose answers the test scripts."""
    return FakeVenue()


def _check_address(self: socket.socket, address: Any, check: Any) -> None:
    if self.family in {socket.AF_INET, socket.AF_INET6}:
        check(address[0])


def _is_loopback(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text in {"localhost", ""}:
        return True
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False

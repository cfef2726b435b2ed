"""The pytest plugin keeps tests off the network and away from live mode; the kit loads what it needs and no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import mmframe.testing

ROOT = Path(__file__).resolve().parents[2]

INSIDE = """
import socket
import threading

import pytest

from mmframe.domain.kinds import Mode
from mmframe.testing import build_context
from mmframe.testing.pytest_plugin import LiveOrdersBlockedError, NetworkBlockedError


def _connect_to_this_machine():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())


def test_another_host_is_out_of_reach():
    with socket.socket() as one, pytest.raises(NetworkBlockedError, match="was '192.0.2.1'; script the other side"):
        one.connect(("192.0.2.1", 80))
    with socket.socket() as one, pytest.raises(NetworkBlockedError):
        one.connect_ex(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as one, pytest.raises(NetworkBlockedError):
        one.sendto(b"x", ("192.0.2.1", 80))
    with pytest.raises(NetworkBlockedError):
        socket.getaddrinfo("venue.example", 443)


def test_this_machine_needs_the_marker(request):
    if request.config.getoption("--mmframe-loopback"):
        _connect_to_this_machine()
    else:
        with pytest.raises(NetworkBlockedError, match="mark the test `loopback`"):
            _connect_to_this_machine()


@pytest.mark.loopback
def test_this_machine_is_in_reach_with_it():
    _connect_to_this_machine()
    assert socket.getaddrinfo("localhost", 80)
    with socket.socket() as one, pytest.raises(NetworkBlockedError):
        one.connect(("192.0.2.1", 80))


def test_nothing_is_built_for_live_mode():
    assert build_context(mode=Mode.BACKTEST).mode is Mode.BACKTEST
    with pytest.raises(LiveOrdersBlockedError, match="mark the test `live_orders`"):
        build_context(mode=Mode.LIVE)


@pytest.mark.live_orders
def test_but_with_the_marker():
    assert build_context(mode=Mode.LIVE).mode is Mode.LIVE


def test_fixtures(manual_clock, instrument, market_view, inventory, fake_venue):
    assert manual_clock.advance(s=1) > 0
    assert instrument.tick == market_view.tick
    assert inventory.position == 0.0
    assert fake_venue.open_orders() == ()


def test_an_event_loop_still_works():
    import anyio

    async def main():
        return threading.active_count()

    assert anyio.run(main) == 1
"""


@pytest.mark.parametrize("words", [(), ("--mmframe-loopback",)], ids=["strict", "loopback"])
def test_it_blocks_what_it_says(tmp_path, words):
    (tmp_path / "test_inside.py").write_text(INSIDE, encoding="utf-8")
    plugin = ["-p", "mmframe.testing.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers"]

    ended = _python("-m", "pytest", "-q", *plugin, *words, str(tmp_path / "test_inside.py"))

    assert "7 passed" in ended.stdout, ended.stdout


def test_every_name_of_the_kit_is_there():
    assert [name for name in mmframe.testing.__all__ if not hasattr(mmframe.testing, name)] == []
    assert set(dir(mmframe.testing)) == set(mmframe.testing.__all__)
    with pytest.raises(AttributeError, match=r"module 'mmframe\.testing' has no attribute 'nothing'"):
        mmframe.testing.nothing  # noqa: B018


def test_a_builder_costs_no_test_tool():
    code = "import sys, mmframe.testing as kit; kit.make_view(); kit.FakeVenue(); kit.ReferenceBook()\n"

    ended = _python("-c", code + "print(sorted({'pytest', 'hypothesis', 'anyio', 'httpx'} & set(sys.modules)))")

    assert ended.stdout == "[]\n", ended.stderr


@pytest.mark.parametrize(("name", "tool"), [("l2_streams", "hypothesis"), ("BookConformance", "hypothesis")])
def test_a_test_tool_that_is_missing_is_named_with_the_way_to_get_it(name, tool):
    code = f"import sys; sys.modules[{tool!r}] = None\ntry:\n    from mmframe.testing import {name}\n"

    ended = _python("-c", code + "except ModuleNotFoundError as error:\n    print(error)")

    assert ended.stdout == (
        f"mmframe.testing.{name} needs '{tool}', which is not installed: pip install 'mmframe[testing]'\n"
    )


def _python(*words):
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)

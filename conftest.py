"""Fixtures for the tests of the kernel and of every plugin in this repository."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent

# A run of the tests repeats the one before it, and no wall time decides about it.
# `python3 dev.py test --hypothesis-profile explore` looks for new examples.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background job starts like this, and so would every process that a test starts and interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Hundreds of tests start a process of their own. Where bytecode is not kept, as many containers have it, each of them
# would compile anew all that it imports: a third of a short command's processor time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


_MANY_TESTS = 200


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files run side by side, put the long ones first: the last to end says how long all of it takes."""
    if hasattr(config, "workerinput"):
        sizes = Counter(item.path for item in items)
        long = {item.path for item in items if item.get_closest_marker("slow") is not None}
        long.update(path for path, size in sizes.items() if size >= _MANY_TESTS)
        items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the folder of this repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recorded market data beside the repository; skip the test where there is none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no recorded market data: ../shared/data is absent")
    return folder


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests once, on the event loop that the drivers use."""
    return "asyncio"

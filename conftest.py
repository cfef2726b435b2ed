"""Fixtures for the tests of the kernel and of every plugin in this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent


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

"""A recording without an exchange: a plan with a clock that the test moves, and files read back as anyone would."""

from __future__ import annotations

import gzip

import pytest

from mmframe.runtime.plan import Provenance
from mmframe.runtime.recorder import CaptureWriter, RecorderSettings, RecordPlan
from mmframe.testing import ManualClock, make_instrument


def read_lines(path):
    """Return `(receive_ns, frame)` of every line."""
    lines = gzip.decompress(path.read_bytes()).split(b"\n")
    assert lines.pop() == b""
    return [(int(digits), frame) for digits, _, frame in (line.partition(b" ") for line in lines)]


@pytest.fixture
def lines():
    return read_lines


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def plan(tmp_path, clock):
    """Return the plan of two markets, whose feed is never built."""
    return RecordPlan(
        name="two",
        directory=tmp_path,
        strategy_hash="ab" * 32,
        instruments=(make_instrument("BTC/USDT"), make_instrument("ETH/USDT", tick_size="0.05")),
        feed_use="venue/spot",
        feed_options={"depth": 50},
        provenance=Provenance(plugin="venue", distribution="mmframe-venue", version="1.2.3"),
        replay={"use": "venue/capture"},
        clock=clock,
        make_feed=lambda on_frame: None,
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "capture"


@pytest.fixture
def writer(plan, folder):
    """Return a function that makes and starts a writer; settings are its keywords."""

    def make(*, steady_ns=lambda: 0, **settings):
        made = CaptureWriter(plan, RecorderSettings(directory=folder, **settings), steady_ns=steady_ns)
        made.start()
        return made

    return make

"""A strategy on the embedded exchange with an adviser and a provider whose behaviour a test scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mmframe.registry import compose
from mmframe.runtime.driver import run_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

PLUGIN = Path(__file__).with_name("lab.py")

STRATEGY = """\
schema = 1

[strategy]
name = "advised"
seed = 7
requote_interval_ms = 100

[plugins]
local = ["lab.py"]

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"

[feed]
use = "embedded"

[venue.paper]
use = "embedded"
order_latency_ms = 5

[[optimizer]]
use = "fixed-spread"
spread_bps = 6

[[optimizer]]
use = "advice"

[gate]
max_order_size = "0.05"
max_position = "0.1"
max_daily_loss_quote = "50"
"""

ADVISER = """
[[adviser]]
use = "lab/echo"
provider = { use = "lab/script", behaviour = "answer" }
every_s = 2
min_interval_s = 1
timeout_s = 2
ttl_s = 10
[adviser.budget]
max_requests_per_minute = 600
max_cost_usd_per_day = "2"
prices = [{ model = "lab-1", input_usd = "2.5", output_usd = "8" }]
"""


class Lab:
    """Writes strategies and composes them."""

    adviser = ADVISER

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "lab.py").write_text(PLUGIN.read_text(encoding="utf-8"), encoding="utf-8")

    def write(self, *, adviser: str | None = ADVISER, swaps: Sequence[tuple[str, str]] = ()) -> Path:
        text = STRATEGY + (adviser or "")
        for was, now in swaps:
            assert was in text
            text = text.replace(was, now)
        path = self.folder / "strategy.toml"
        path.write_text(text, encoding="utf-8")
        return path

    def plan(self, *, adviser: str | None = ADVISER, swaps=(), duration="12s", no_journal=True, **choices):
        path = self.write(adviser=adviser, swaps=swaps)
        return compose(path, duration=duration, no_journal=no_journal, **choices)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture(scope="session")
def neutral_hash(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The decision hash of twelve seconds of the strategy without any adviser."""
    return run_plan(Lab(tmp_path_factory.mktemp("neutral")).plan(adviser=None)).decision_hash

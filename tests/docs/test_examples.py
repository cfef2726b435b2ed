"""Every example runs, as its reader would run it, only faster."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
STRATEGIES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/strategy.toml"))
"""The others are scripts; each has a test of its own beside what it shows."""


@pytest.fixture(params=STRATEGIES)
def example(request, clone):
    """Return a copy of one example's strategy file; skipped when it replays recorded data that is not there."""
    file = clone / "examples" / request.param / "strategy.toml"
    if "shared/data" in file.read_text(encoding="utf-8"):
        request.getfixturevalue("shared_data")
    return file


def test_there_are_examples():
    assert EXAMPLES
    assert STRATEGIES


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_numbered_and_explained(name):
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", name)
    assert (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_an_example_passes_check(example, run_shell):
    ended = run_shell(f"mmframe check {example.name}", example.parent)

    assert ended.returncode == 0, ended.stdout + ended.stderr


LONGER = {"07_quoting_model": "10m"}
"""Market time after which an example quotes, where its signals warm up for longer."""


PACED = {"08_llm_advice": "20"}
"""Speed of an example that asks a model, which needs time to answer: as fast as possible is refused, by design."""


def test_an_example_runs_and_decides(example, run_shell):
    duration = LONGER.get(example.parent.name, "20s")
    speed = PACED.get(example.parent.name, "max")
    ended = run_shell(f"mmframe run {example.name} --speed {speed} --for {duration} --json", example.parent)

    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["decisions"] > 0
    assert result["orders"]


@pytest.mark.parametrize(("fee_bps", "said"), [(0, "the profit of {} USDT"), (10, "a loss of\n  {}")])
def test_the_backtest_earns_and_loses_what_its_page_says(clone, run_shell, shared_data, fee_bps, said):
    folder = clone / "examples" / "03_backtest_recorded"
    file = folder / "strategy.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("maker_fee_bps = 0", f"maker_fee_bps = {fee_bps}"))

    ended = run_shell("mmframe run strategy.toml --json --no-journal", folder)

    assert ended.returncode == 0, ended.stderr
    total = float(json.loads(ended.stdout)["pnl"]["total"])
    assert (total > 0) == (fee_bps == 0)
    assert said.format(f"{abs(total):.2f}") in (folder / "README.md").read_text(encoding="utf-8")


def test_five_moments_of_the_recorded_day_are_explained_as_its_page_says(clone, run_shell, shared_data):
    folder = clone / "examples" / "07_quoting_model"
    page = (folder / "README.md").read_text(encoding="utf-8")
    moments = re.findall(r"mmframe explain nexo.journal --at (\S+)", page)
    ended = run_shell("mmframe run strategy.toml --journal nexo.journal --for 11h --json", folder)
    assert ended.returncode == 0, ended.stderr

    told = [run_shell(f"mmframe explain nexo.journal --at {moment}", folder).stdout for moment in moments]

    for text, expected in zip(
        told,
        (
            ["There is no bid", "has no value yet", "volatility not known yet"],
            ["50.00 NEXO at 1.212", "7.58 bps from the mid", "6.61 bps", "position 51.59"],
            ["28.04 NEXO at 1.217", "risk layered-limits (shrink): ask size 50 -> 28.04", "position -215.86"],
            ["There is no bid", "There is no ask", "volatility 0,"],
            ["the spread was wider and narrows step by step", "5.21 bps", "8.90 bps", "33.95"],
        ),
        strict=True,
    ):
        whole = " ".join(text.split())
        assert all(words in whole for words in expected), text
    assert "7.6 and 6.6 bps" in page
    assert "28.04 instead of 50" in page

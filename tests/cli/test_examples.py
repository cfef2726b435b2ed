from __future__ import annotations

import json
import shutil

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def example(repository, tmp_path):
    """Copy an example, so that its journals do not land in the repository."""

    def copy(name):
        return shutil.copytree(
            repository / "examples" / name, tmp_path / name, ignore=shutil.ignore_patterns("mmframe-runs")
        )

    return copy


@pytest.mark.parametrize("name", ["01_first_run", "04_local_plugin"])
def test_an_example_quotes_trades_and_ends_by_itself_within_its_half_minute(command, example, name):
    path = example(name) / "strategy.toml"

    checked = command("check", path)
    ended = command("run", path, "--speed", "max", "--json")

    result = json.loads(ended.stdout)
    assert (checked.status, ended.status) == (0, 0)
    assert result["ended_because"] == "duration"
    assert result["market_time_s"] == pytest.approx(30.0, abs=1.0)
    assert result["fills"] >= 5
    assert result["faults"] == 0
    assert result["unresolved"] == []


def test_the_first_run_trades_within_twenty_seconds_and_can_be_asked_why(command, example):
    path = example("01_first_run") / "strategy.toml"

    result = json.loads(command("run", path, "--speed", "max", "--for", "20s", "--json").stdout)
    early = command("explain", path, "--at", "+1s")
    late = command("explain", path)

    assert result["fills"] >= 3
    assert early.stdout.count("There is no ") == 2
    assert "a signal that the strategy needs has no value yet" in early.stdout
    assert early.status == late.status == 0
    for stage in ("volatility-regime", "inventory-skew", "rounding", "layered-limits", "spread-floor"):
        assert stage in late.stdout


def test_the_picture_of_the_first_run_is_small_and_asks_no_other_host_for_anything(repository):
    picture = (repository / "docs" / "images" / "first-run.svg").read_text(encoding="utf-8")

    assert len(picture) < 100_000
    assert "url(http" not in picture
    assert "first_run" in picture

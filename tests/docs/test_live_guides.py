"""What the guides about live trading say beyond what their own blocks show when they run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "how-to"
KEYS = dict.fromkeys(("BINANCE_API_KEY", "BINANCE_API_SECRET", "BYBIT_API_KEY", "BYBIT_API_SECRET"), "made-up")


def files_of(page: Path) -> dict[str, str]:
    """Return the blocks that a page tells its reader to save, by file name."""
    files = {}
    name = ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence" and name:
            files[name] = token.content
        said = re.match(r"<!-- file: (.+?) -->", token.content) if token.type == "html_block" else None
        name = said[1] if said else ""
    return files


def table_rows(page: Path, heading: str) -> list[list[str]]:
    """Return the cells of the table whose head begins with `heading`."""
    lines = page.read_text(encoding="utf-8").splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


@pytest.mark.parametrize("name", ["btc-spot.toml", "btc-usdm.toml", "btc-linear.toml"])
def test_a_file_of_the_guide_is_fit_for_a_live_run(name, tmp_path):
    strategy = tmp_path / name
    strategy.write_text(files_of(GUIDES / "go-live.md")[name], encoding="utf-8")
    command = [sys.executable, "-m", "mmframe", "check", str(strategy), "--mode", "live"]

    ended = subprocess.run(command, env={**os.environ, **KEYS}, capture_output=True, text=True, check=False, timeout=60)

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_absence_delays_that_the_guide_tells_are_the_venues_own():
    from mmframe.domain.kinds import Mode
    from mmframe.plugin import Secret
    from mmframe.testing import build_component

    delays_s = {}
    for plugin in ("binance", "bybit"):
        module = pytest.importorskip(f"mmframe_{plugin}.plugin")
        for spec in module.VENUES:
            options = spec.options(api_key=Secret("made-up", "test"), api_secret=Secret("made-up", "test"))
            venue = build_component(spec, options, mode=Mode.LIVE)
            delays_s[plugin, spec.name] = venue.capabilities.absence_delay_ns / 1e9

    assert delays_s == {
        ("binance", "spot"): 17,
        ("binance", "usdm"): 17,
        ("bybit", "spot"): 20,
        ("bybit", "linear"): 20,
    }
    assert "17 s (Binance), 20 s (Bybit)" in (GUIDES / "go-live.md").read_text(encoding="utf-8")


def test_the_table_of_drills_is_what_can_be_drilled():
    drills = pytest.importorskip("mmframe_localvenue.drill")

    told = table_rows(GUIDES / "drill-a-strategy.md", "name")

    assert told == [[f"`{each.name}`", each.summary, "yes" if each.is_on_market_data else ""] for each in drills.DRILLS]
    assert len(told) == 30, "other pages say thirty"


def test_the_venue_of_the_guide_passes_the_cases_of_live_venues(tmp_path):
    for name, text in files_of(GUIDES / "write-a-venue-plugin.md").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_lab_venue.py"]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}

    ended = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=300
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " failed" not in ended.stdout

"""The quick commands stay quick: they never import what only a connection or a full-screen display needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"httpx", "rich", "websockets"}


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["plugins"],
        ["check", "examples/01_first_run/strategy.toml"],
        ["quote", "examples/01_first_run/strategy.toml", "--bid", "50020", "--ask", "50025"],
        ["breakeven", "--spread-bps", "4"],
    ],
    ids=["help", "plugins", "check", "quote", "breakeven"],
)
def test_a_quick_command_imports_no_network_and_no_display(words, repository):
    command = [sys.executable, "-X", "importtime", "-m", "mmframe", *words]

    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    timed = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in timed}
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "mmframe.cli.main" in imported
    assert {name for name in imported if name.partition(".")[0] in HEAVY} == set()

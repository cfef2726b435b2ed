from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import attrs
import pytest

from mmframe.cli.main import main
from mmframe.domain.market import BookState
from mmframe.domain.status import MarketStatus, ProfitAndLoss, RunResult, RunStatus, WorkingOrder

ENDS_WITHIN_S = 120


@attrs.frozen
class Ending:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def invoke(capsys, monkeypatch):
    """Run a command line in this process."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words, cwd=None):
        if cwd is not None:
            monkeypatch.chdir(cwd)
        with pytest.raises(SystemExit) as exit_info:
            main([str(word) for word in words])
        written = capsys.readouterr()
        return Ending(exit_info.value.code, written.out, written.err)

    return run


@pytest.fixture
def command(repository, tmp_path):
    """Run a command line in a process of its own, away from the repository's folder."""
    environment = {**os.environ, "PYTHONPATH": str(repository), "COLUMNS": "100"}

    def run(*words, cwd=tmp_path, env=None):
        done = subprocess.run(
            [sys.executable, "-m", "mmframe", *map(str, words)],
            cwd=cwd,
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
            check=False,
        )
        return Ending(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start(repository, tmp_path):
    """Start a command line in a process of its own and leave it running; it is killed when the test ends."""
    started = []

    def run(*words, **streams):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        process = subprocess.Popen(
            [sys.executable, "-m", "mmframe", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(repository), "COLUMNS": "100"},
            text=True,
            **streams,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


PROFIT = ProfitAndLoss(
    total=Decimal("1.25"),
    spread_capture=Decimal("2.5"),
    inventory=Decimal(-1),
    fees=Decimal("-0.25"),
    realised=Decimal("0.5"),
    unrealised=Decimal(1),
)


@pytest.fixture
def market_status():
    """Make the status of one market; keywords change it."""

    def make(**changes):
        facts = {
            "instrument": "BTC/USDT",
            "book_state": BookState.SYNCED,
            "bid": Decimal("60000.0"),
            "ask": Decimal("60006.0"),
            "our_bid": Decimal("59997.0"),
            "our_ask": Decimal("60009.0"),
            "position": Decimal("0.030"),
            "average_price": Decimal("60001.25"),
            "pnl": PROFIT,
            "orders": 1234,
            "fills": 7,
            "working": (WorkingOrder("mm-x-0-1", "buy", "open", Decimal("59997.0"), Decimal("0.01")),),
            "bid_reason": 0,
            "ask_reason": 0,
            "risk_level": 0,
            "volume": Decimal("0.070"),
            "quote_asset": "USDT",
        }
        return MarketStatus(**{**facts, **changes})

    return make


@pytest.fixture
def run_status(market_status):
    """Make the status of a run; keywords change it."""

    def make(**changes):
        facts = {
            "strategy": "first-run",
            "mode": "paper",
            "now_ns": 1_767_225_612_500_000_000,
            "started_ns": 1_767_225_600_000_000_000,
            "events": 12_345,
            "decisions": 201,
            "markets": (market_status(),),
            "is_halted": False,
            "halt_reason": "",
        }
        return RunStatus(**{**facts, **changes})

    return make


@pytest.fixture
def run_result(run_status):
    """Make the result of a run; keywords change it."""

    def make(**changes):
        facts = {
            "status": run_status(),
            "decision_hash": "ab" * 32,
            "ended_because": "duration",
            "assumptions": ("Fees: maker 1 bps.",),
            "journal": "mmframe-runs/first-run.journal",
            "market_messages": 12_000,
            "faults": 0,
            "rejections": 0,
        }
        return RunResult(**{**facts, **changes})

    return make

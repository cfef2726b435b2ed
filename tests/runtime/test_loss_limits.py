"""Limits of loss outlive the process: kill -9 at the moment of a halt, and what each way of going on makes of it.

Virtual time and the embedded market begin anew with each process, on the same day and at the same first price: what a
run held is then worth something else, which each test says where it counts.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mmframe
from mmframe.builtin.risk.drawdown import DRAWDOWN_LIMIT
from mmframe.domain.orders import Submit
from mmframe.domain.views import Reason, RiskLevel
from mmframe.runtime.journal import JournalReader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]

STRATEGY = """
schema = 1

[strategy]
name = "losing"
seed = {seed}
requote_interval_ms = 20
acknowledge_timeout_ms = 50

[plugins]
local = ["{plugin}"]

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"

[feed]
use = "embedded"

[venue.paper]
use = "embedded"
order_latency_ms = 5
maker_fee_bps = "0"

[[optimizer]]
use = "fixed-spread"
spread_bps = 3

[[risk]]
{risk}

[[sink]]
use = "crash_sink/crash"
{crash}
"""
PLUGIN = Path(__file__).with_name("crash_sink.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(mmframe.__file__).parents[1])}
HALTED = 5
DAILY_LOSS = "risk control 'daily-loss': daily loss"


@pytest.fixture
def run(tmp_path):
    """Run the strategy in a process of its own; return its exit status, and its result unless it was killed."""
    path = tmp_path / "strategy.toml"

    def run(*words, risk, crash="", seed=3):
        path.write_text(STRATEGY.format(seed=seed, plugin=PLUGIN.as_posix(), risk=risk, crash=crash))
        done = subprocess.run(
            [sys.executable, "-m", "mmframe", "run", str(path), "--speed", "max", "--json", *map(str, words)],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=120,
            check=False,
        )
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    return run


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run.journal"


def daily_loss(limit, **options):
    lines = [f"{name} = {value}" for name, value in options.items()]
    return "\n".join(['use = "daily-loss"', f'max_daily_loss_quote = "{limit}"', *lines])


def drawdown(limit):
    return f'use = "drawdown"\nmax_drawdown_quote = "{limit}"'


def halts(path, number):
    """Return the stages that halted in a run, with the reason on record."""
    with JournalReader(path) as reader:
        return {limit.stage: limit.reason for limit in reader.limits(run=number) if limit.level == RiskLevel.HALT}


def submits(path, number):
    with JournalReader(path) as reader:
        return [intent.action for intent in reader.intents(run=number) if isinstance(intent.action, Submit)]


@pytest.mark.parametrize("moment", ["halt", "after-halt"])
def test_a_daily_loss_stays_latched_over_kill_9_until_a_person_releases_it(run, journal, moment):
    killed, _ = run("--journal", journal, "--for", "10m", risk=daily_loss(2), crash=f'at = "{moment}"')
    with JournalReader(journal) as reader:
        reader.check()
        left = reader.restored()

    assert killed == -signal.SIGKILL
    assert left.state.halt_reason == DAILY_LOSS
    assert halts(journal, 1) == {"daily-loss": Reason.DAILY_LOSS, "halt": Reason.HALTED}
    # The orders that were to be cancelled are not known to be gone.
    assert left.orders

    resumed, told = run("--resume", journal, "--for", "5s", risk=daily_loss(2))

    assert (resumed, told["halt_reason"]) == (HALTED, DAILY_LOSS)
    assert submits(journal, 2) == []
    with JournalReader(journal) as reader:
        assert reader.restored().orders == ()

    released, told = run("--resume", journal, "--release-halt", "--for", "1s", risk=daily_loss(2_000))

    assert (released, told["halt_reason"], told["ended_because"]) == (0, "", "duration")
    assert submits(journal, 3)


def test_a_release_on_the_same_day_does_not_undo_the_loss_but_starts_what_may_be_given_back_anew(run, journal):
    # At the first price of the market, what was held after 46 s is worth a loss of more than 3.
    begun, _ = run("--journal", journal, "--for", "46s", seed=5, risk=daily_loss(1_000))
    release = ("--resume", journal, "--release-halt", "--for", "300ms")

    halted, _ = run("--resume", journal, "--for", "300ms", seed=5, risk=daily_loss(3))
    plain, told = run(*release, seed=5, risk=daily_loss(3))
    trailing, _ = run(*release, seed=5, risk=daily_loss(3, trailing="true"))

    assert (begun, halted, plain, trailing) == (0, HALTED, HALTED, 0)
    assert told["halt_reason"] == DAILY_LOSS
    assert submits(journal, 3) == []
    assert submits(journal, 4)


def test_the_peak_of_a_drawdown_survives_kill_9_and_starts_anew_on_a_release(run, journal):
    killed, _ = run("--journal", journal, "--for", "10m", seed=10, risk=drawdown(1_000), crash="at_fill = 34")
    with JournalReader(journal) as reader:
        peak, _ = reader.restored().state.peaks_pnl_quote["USDT"]

    resumed, told = run("--resume", journal, "--for", "300ms", seed=10, risk=drawdown(1))
    with JournalReader(journal) as reader:
        pnl = float(reader.summary().status.markets[0].pnl.total)
    released, _ = run("--resume", journal, "--release-halt", "--for", "300ms", seed=10, risk=drawdown(1))

    assert killed == -signal.SIGKILL
    # A run that had forgotten its peak would stand at one: it has a profit.
    assert peak - 1 >= pnl > 0
    assert resumed == HALTED
    assert told["halt_reason"] == "risk control 'drawdown': profit has fallen from its peak by the limit"
    assert halts(journal, 2) == {"drawdown": DRAWDOWN_LIMIT, "halt": Reason.HALTED}
    assert submits(journal, 2) == []
    assert released == 0
    assert submits(journal, 3)

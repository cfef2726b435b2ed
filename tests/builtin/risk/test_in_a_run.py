"""In a run: a pause begins and ends by itself, is on record and outlives a restart and a kill; limits hold."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import mmframe
from mmframe.builtin.risk.circuit_breaker import BREAKER_HALF_OPEN, BREAKER_OPEN_MOVE
from mmframe.builtin.risk.fill_rate import SIDE_BRAKED
from mmframe.builtin.risk.pause import PAUSED_IMBALANCE
from mmframe.builtin.risk.request_budget import BUDGET_LOW, ORDERS_SPENT
from mmframe.domain.orders import Replace, Submit
from mmframe.domain.views import RiskLevel
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader

SECOND_NS = 1_000_000_000
MIN_PAUSE_S = 12

STRATEGY = """
schema = 1
[strategy]
name = "paused"
[run]
speed = "max"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
[feed]
use = "embedded"
start = "{start}"
[venue.paper]
use = "embedded"
[[signal]]
use = "ewma-volatility"
[[signal]]
use = "constant"
name = "relative_depth"
value = 1
[[signal]]
use = "imbalance"
[[optimizer]]
use = "fixed-spread"
spread_bps = 1
[[risk]]
{risk}
{sink}
"""
PAUSE = f"""
use = "pause"
max_imbalance = 0.95
cooldown_s = 0.5
min_pause_s = {MIN_PAUSE_S}
"""
BREAKER = """
use = "circuit-breaker"
move_bps = 5
window_s = 5
cooldown_s = 3
max_cooldown_s = 6
probe_s = 2
probe_share = 0.5
"""
BUDGET = """
use = "request-budget"
max_orders = 30
orders_window_s = 10
max_hold_bps = {hold}
soft_from = 0.3
"""
BRAKE = """
use = "fill-rate"
max_fills = 2
window_s = 20
cooldown_s = 5
shrink_from = 1
"""


class Runs:
    """Runs of one strategy with one journal, each as a process of its own would begin it."""

    def __init__(self, folder):
        self.file, self.path = folder / "strategy.toml", folder / "run.journal"

    def write(self, *, risk=PAUSE, start="2026-01-01T00:00:00Z", sink=""):
        self.file.write_text(STRATEGY.format(risk=risk, start=start, sink=sink))

    def run(self, seconds):
        plan = compose(self.file)
        header = RunHeader.of(plan, started_ns=1)
        journal, restored = Journal.reopen(self.path, header) if self.path.exists() else (None, None)
        with journal or Journal.create(self.path, header) as journal:
            return run_plan(plan, journal=journal, restored=restored, limit_ns=int(seconds * SECOND_NS))

    def limits(self):
        with JournalReader(self.path) as reader:
            return reader.limits()

    def submitted_ns(self):
        with JournalReader(self.path) as reader:
            newest = reader.intents(run=len(reader.runs()))
            return [intent.at_ns for intent in newest if isinstance(intent.action, Submit | Replace)]


@pytest.fixture
def runs(tmp_path):
    runs = Runs(tmp_path)
    runs.write()
    return runs


def test_it_pauses_and_resumes_by_itself_and_each_pause_is_one_record(runs):
    result = runs.run(45)

    pauses, submitted = runs.limits(), runs.submitted_ns()
    ended = [pause for pause in pauses if pause.ended_ns is not None]
    assert len(ended) >= 2
    assert {(pause.stage, pause.level, pause.reason) for pause in pauses} == {
        ("pause", RiskLevel.CANCEL_ONLY, PAUSED_IMBALANCE)
    }
    for pause in ended:
        assert pause.ended_ns - pause.began_ns >= MIN_PAUSE_S * SECOND_NS
        assert not [at for at in submitted if pause.began_ns <= at < pause.began_ns + MIN_PAUSE_S * SECOND_NS]
    # It quoted before the first pause and after it.
    assert submitted[0] < ended[0].began_ns
    assert any(at > ended[0].began_ns + MIN_PAUSE_S * SECOND_NS for at in submitted)
    assert result.unresolved == ()


def test_a_run_that_goes_on_in_the_middle_of_a_pause_ends_it_at_its_time(runs):
    first = runs.run(6)
    began_ns = runs.limits()[-1].began_ns
    # The same market, opened eight seconds after the first run did: time has gone on.
    runs.write(start="2026-01-01T00:00:08Z")

    runs.run(15)

    assert first.status.now_ns < began_ns + MIN_PAUSE_S * SECOND_NS
    due_ns = began_ns + MIN_PAUSE_S * SECOND_NS
    assert due_ns <= runs.submitted_ns()[0]
    assert runs.limits()[0].reason == PAUSED_IMBALANCE


def test_on_a_clock_that_begins_anew_the_pause_begins_anew_and_ends(runs):
    runs.run(6)
    began_ns = runs.limits()[-1].began_ns

    runs.run(20)

    start_ns = runs.limits()[0].began_ns
    assert start_ns < began_ns
    assert start_ns + MIN_PAUSE_S * SECOND_NS <= runs.submitted_ns()[0]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs SIGKILL and pipes that have a name")
def test_a_pause_outlives_the_kill_of_its_process(runs):
    reading, writing = os.pipe()
    # So long that it is not over before the kill, however late that comes.
    endless = PAUSE.replace(f"min_pause_s = {MIN_PAUSE_S}", "min_pause_s = 80000")
    runs.write(risk=endless, sink=f'[[sink]]\nuse = "jsonl"\npath = "/dev/fd/{writing}"\ndecisions = false')
    process = subprocess.Popen(
        [sys.executable, "-m", "mmframe", "run", str(runs.file), "--quiet", "--journal", str(runs.path)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(mmframe.__file__).parents[1])},
        pass_fds=[writing],
    )
    os.close(writing)
    with os.fdopen(reading) as stream:
        for line in stream:
            if (killed := json.loads(line))["type"] == "limit":
                process.kill()
                break
        assert process.wait(timeout=30) == -signal.SIGKILL
    runs.write()

    runs.run(20)

    resumed = runs.limits()[0]
    assert (killed["stage"], killed["reason"], killed["is_over"]) == ("pause", PAUSED_IMBALANCE, False)
    # The market of the new process begins at the beginning, where nothing paused the first one.
    assert (resumed.stage, resumed.reason) == ("pause", PAUSED_IMBALANCE)
    assert resumed.began_ns < killed["began_ns"]
    assert resumed.began_ns + MIN_PAUSE_S * SECOND_NS <= runs.submitted_ns()[0]


def test_a_breaker_opens_tries_and_closes_by_itself(runs):
    runs.write(risk=BREAKER)

    runs.run(40)

    limits = runs.limits()
    submitted = runs.submitted_ns()
    states = [limit.reason for limit in limits]
    assert (BREAKER_OPEN_MOVE, BREAKER_HALF_OPEN) in list(pairwise(states))
    assert set(states) <= {BREAKER_OPEN_MOVE, BREAKER_HALF_OPEN}
    for limit in limits:
        if limit.reason == BREAKER_OPEN_MOVE and limit.ended_ns is not None:
            assert limit.ended_ns - limit.began_ns >= 3 * SECOND_NS
            assert not [at for at in submitted if limit.began_ns <= at < limit.began_ns + 3 * SECOND_NS]
    assert any(at > limits[1].began_ns for at in submitted)


def test_a_budget_of_orders_is_never_overspent_and_holding_quotes_keeps_it_from_being_spent(runs):
    seen = {}
    for hold in (0, 4):
        runs.path.unlink(missing_ok=True)
        runs.write(risk=BUDGET.format(hold=hold))
        runs.run(45)
        submitted = runs.submitted_ns()
        most = max(sum(0 <= at - then < 10 * SECOND_NS for then in submitted) for at in submitted)
        seen[hold] = most, {limit.reason for limit in runs.limits()}

    assert seen[0][0] <= 30
    assert seen[4][0] < 25
    assert ORDERS_SPENT in seen[0][1]
    assert seen[4][1] == {BUDGET_LOW}


def test_a_side_that_was_filled_too_often_is_not_quoted_until_its_time(runs):
    runs.write(risk=BRAKE)

    runs.run(40)

    with JournalReader(runs.path) as reader:
        fills = [told.fill for told in reader.fills()]
        asked = [(intent.at_ns, intent.action.side) for intent in reader.intents() if isinstance(intent.action, Submit)]
    braked = 0
    for fill in fills:
        lately = [other for other in fills if 0 <= fill.receive_ns - other.receive_ns < 20 * SECOND_NS]
        if sum(other.side is fill.side for other in lately) > 2:
            braked += 1
            until_ns = fill.receive_ns + 5 * SECOND_NS
            assert not [at for at, side in asked if side is fill.side and fill.receive_ns <= at < until_ns]
    assert braked >= 2
    assert {limit.reason for limit in runs.limits()} == {SIDE_BRAKED}

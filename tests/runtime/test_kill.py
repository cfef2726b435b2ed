"""Kill -9 at random moments: nothing journaled is lost, no fill counts twice.

The moments are random twice over: the parent kills after a seeded number of lines that the child told, and the child
runs on while that line is on its way. What is told, is told after it was done, so the journal must hold all of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import mmframe
from mmframe.domain.market import Side
from mmframe.runtime.journal import Journal, JournalReader
from mmframe.runtime.journal.restore import sequence_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs SIGKILL and pipes that have a name"),
]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(mmframe.__file__).parents[1])}
CHILD = Path(__file__).with_name("crash_child.py")
DIRECT_KILLS = 25
RUN_KILLS = 50

STRATEGY = """
schema = 1

[strategy]
name = "killed"
seed = {seed}
requote_interval_ms = 20
acknowledge_timeout_ms = 50

[run]
mode = "paper"
speed = "max"

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"

[feed]
use = "embedded"

[venue.paper]
use = "embedded"
order_latency_ms = 5
maker_fee_bps = "0.2"

[[optimizer]]
use = "fixed-spread"
spread_bps = 1

[gate]
max_orders_per_second = 1000

[[sink]]
use = "jsonl"
path = "/dev/fd/{told}"
decisions = false
"""


def kill_after(process, stream, lines):
    """Kill the child after it told so many lines; return all that it told before it died."""
    told = []
    for line in stream:
        told.append(line)
        if len(told) == lines:
            process.kill()
    process.wait(timeout=30)
    # A last line without its end was being told when the child died: what it speaks of was done all the same, but
    # it cannot be read.
    return [line for line in told if line.endswith("\n")]


def require_whole(path, sent, filled):
    """Check a journal after a crash against everything that was told so far; return its fills."""
    with JournalReader(path) as reader:
        reader.check()
        intended = {getattr(intent.action, "client_id", None) for intent in reader.intents()}
        known = {order.client_id for order in reader.orders()}
        counted = reader.fills()
        restored = reader.restored()
        (market,) = reader.summary().status.markets
        instrument = reader.run().header.instruments[0].instrument()
    trade_ids = [told.fill.venue_trade_id for told in counted]
    assert sent <= intended
    assert sent <= known
    assert filled <= set(trade_ids)
    assert len(trade_ids) == len(set(trade_ids))
    assert [told.fill for told in restored.fills] == [told.fill for told in counted]
    assert restored.state.last_sequence >= max((sequence_of(name) for name in sent), default=0)
    require_same_figures(market, counted, instrument)
    return counted, restored


def require_same_figures(market, counted, instrument):
    """Compare a run's position and profit with plain sums over its fills, as a person would add them up."""
    position = volume = fees = spread = cash = Decimal(0)
    for told in counted:
        fill = told.fill
        sign = 1 if fill.side is Side.BUY else -1
        size, price = instrument.size(fill.size_lots), instrument.price(fill.price_ticks)
        position += sign * size
        volume += size
        fees += fill.fee
        cash -= sign * size * price
        spread += sign * size * (instrument.price(told.mid_half_ticks) / 2 - price)
    assert market.position == position
    assert market.volume == volume
    assert market.fills == len(counted)
    assert market.pnl.fees == -fees
    assert market.pnl.spread_capture == spread
    if market.bid is not None and market.ask is not None:
        assert market.pnl.total == cash + position * (market.bid + market.ask) / 2 - fees


@pytest.fixture
def chance():
    return random.Random(20_240_501)


def test_a_journal_survives_the_death_of_its_writer(tmp_path, chance):
    path = tmp_path / "run.journal"
    sent, filled = set(), set()
    refused = last_state = 0

    for seed in range(DIRECT_KILLS):
        process = subprocess.Popen(
            [sys.executable, str(CHILD), str(path), str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        with process.stdout as stream, process.stderr as errors:
            lines = [line.split() for line in kill_after(process, stream, chance.randint(1, 150))]
            assert errors.read() == ""
        told = {kind: [name for what, name in lines if what == kind] for kind in ("sent", "fill", "state", "again")}
        assert not sent.intersection(told["sent"]), "a client id was used twice"
        assert not filled.intersection(told["fill"]), "a fill was counted twice"
        sent.update(told["sent"])
        filled.update(told["fill"])
        refused += len(told["again"])
        last_state = max(last_state, *map(int, told["state"]), 0)
        counted, restored = require_whole(path, sent, filled)
        assert restored.state.last_sequence >= last_state

    with JournalReader(path) as reader:
        header = reader.run().header
    following, again = Journal.reopen(path, header)
    following.close()
    assert again == restored
    assert len(counted) > DIRECT_KILLS
    assert refused > DIRECT_KILLS


def start_run(folder, seed, *arguments):
    """Start a run whose sink writes to a pipe; return the process and the pipe's other end."""
    reading, writing = os.pipe()
    (folder / "strategy.toml").write_text(STRATEGY.format(seed=seed, told=writing))
    process = subprocess.Popen(
        [sys.executable, "-m", "mmframe", "run", str(folder / "strategy.toml"), "--quiet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        pass_fds=[writing],
    )
    os.close(writing)
    return process, os.fdopen(reading)


def test_a_run_survives_its_death_at_any_moment(tmp_path, chance):
    path = tmp_path / "run.journal"
    sent, filled = set(), set()

    for seed in range(RUN_KILLS):
        process, stream = start_run(tmp_path, seed, "--resume" if seed else "--journal", str(path))
        with stream, process.stdout as output:
            lines = kill_after(process, stream, chance.randint(2, 400))
            assert process.returncode == -signal.SIGKILL, output.read()
        records = [json.loads(line) for line in lines]
        new = [
            record["action"]["client_id"]
            for record in records
            if record["type"] == "action" and record["action"]["type"] == "submit"
        ]
        trades = [record["venue_trade_id"] for record in records if record["type"] == "fill"]
        assert not sent.intersection(new), "a client id was used twice"
        assert not filled.intersection(trades), "a fill was counted twice"
        sent.update(new)
        filled.update(trades)
        before, _ = require_whole(path, sent, filled)

    process, stream = start_run(tmp_path, RUN_KILLS, "--resume", str(path), "--for", "5s")
    with stream:
        stream.read()
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output

    with JournalReader(path) as reader:
        reader.check()
        counted = reader.fills()
        (market,) = reader.summary().status.markets
        runs = reader.runs()
        left = reader.restored().orders
        instrument = runs[-1].header.instruments[0].instrument()
    assert [run.result is None for run in runs] == [True] * RUN_KILLS + [False]
    assert counted[: len(before)] == before
    assert left == ()
    assert len(filled) > RUN_KILLS
    # The last run's own memory, begun from the journal, agrees with the plain sums over every fill of all runs.
    require_same_figures(market, counted, instrument)

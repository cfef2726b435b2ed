"""`mmframe run --mode live` end to end over a real socket; and that paper knows no key."""

from __future__ import annotations

import json
import os
import signal

import pytest

from mmframe.config import option_types
from mmframe.domain.kinds import Mode
from mmframe.registry import check, compose

pytestmark = pytest.mark.slow


def test_a_live_run_quotes_stops_on_ctrl_c_and_leaves_nothing(start, exchange, strategy):
    process = start("-m", "mmframe", "run", strategy(), "--mode", "live", "--yes-live", "--json")
    exchange.wait_for(lambda exchange: len(exchange.open_orders()) >= 2)

    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)

    result = json.loads(stdout)
    assert process.returncode == 0, stderr
    assert (result["mode"], result["ended_because"], result["unresolved"]) == ("live", "stopped by Ctrl+C", [])
    assert result["orders"] >= 2
    assert exchange.open_orders() == []
    assert "nothing failed" in stderr


def test_a_live_run_wants_to_be_confirmed(mmframe, exchange, strategy):
    refused = mmframe("run", strategy(), "--mode", "live")

    assert refused.returncode == 2
    assert "live mode sends real orders and needs --yes-live" in refused.stderr
    assert exchange.requests == []


def test_a_run_without_a_journal_keeps_a_second_one_out_too(start, mmframe, exchange, strategy, tmp_path):
    file = strategy()
    process = start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live", "--no-journal")
    exchange.wait_for(lambda exchange: len(exchange.open_orders()) >= 2)

    second = mmframe("run", file, "--mode", "live", "--yes-live", "--journal", str(tmp_path / "other.journal"))

    assert second.returncode == 2
    assert f"process {process.pid} runs this strategy live, expected none" in second.stderr


class Watched(dict):
    """Environment variables that remember who was asked for."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.read = []

    def get(self, name, default=None):
        self.read.append(name)
        return super().get(name, default)

    def __getitem__(self, name):
        self.read.append(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
def test_only_a_live_run_reads_the_key(mode, strategy, monkeypatch):
    variables = Watched({**os.environ, "WIRE_KEY": "right"})
    monkeypatch.setattr(option_types.os, "environ", variables)

    file = strategy()
    check(file, mode=mode)
    plan = compose(file, mode=mode)

    assert ("WIRE_KEY" in variables.read) is (mode is Mode.LIVE)
    assert (plan.ask_venue is not None) is (mode is Mode.LIVE)


def test_paper_runs_where_the_key_is_not_even_set(mmframe, exchange, strategy):
    done = mmframe("run", strategy(), "--mode", "paper", "--for", "1s", "--json", env={"WIRE_KEY": ""})

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["mode"] == "paper"
    assert exchange.requests == []


def test_an_aborted_live_run_names_the_command_that_removes_what_it_left(start, exchange, strategy):
    file = strategy()
    process = start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live")
    exchange.wait_for(lambda exchange: len(exchange.open_orders()) >= 2)
    exchange.deaf_to = {"cancel", "cancel_all"}
    before = len(exchange.requests)

    process.send_signal(signal.SIGINT)
    # Only then: two signals at once are one.
    exchange.wait_for(lambda exchange: {"cancel", "cancel_all"} & set(exchange.requests[before:]))
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stderr
    assert f"orders may be left at the venue; `mmframe kill {file}` removes them" in stderr

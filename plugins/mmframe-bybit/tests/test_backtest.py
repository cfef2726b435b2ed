"""The whole way from a strategy file and a capture to quotes and fills."""

from __future__ import annotations

import pytest

from mmframe.domain.kinds import Mode
from mmframe.errors import ConfigErrors
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan

STRATEGY = """
schema = 1
[strategy]
name = "sol-maker"
[run]
mode = "backtest"
speed = "max"
[[markets]]
instrument = "SOL/USDT"
tick_size = "0.01"
lot_size = "0.1"
order_size = "5"
[history]
use = "bybit/capture"
paths = ["{path}"]
category = "linear"
{more}
[venue.backtest]
use = "simulated"
queue = "risk-averse"
maker_fee_bps = 2
taker_fee_bps = 5
[[optimizer]]
use = "fixed-spread"
spread_bps = 1
[gate]
max_order_size = 10
max_position = 20
max_daily_loss_quote = 50
"""


@pytest.fixture
def strategy(tmp_path, shared_data):
    def write(more=""):
        path = shared_data / "bybit_v5" / "linear_solusdt_20260809.raw.gz"
        file = tmp_path / "strategy.toml"
        file.write_text(STRATEGY.format(path=path, more=more))
        return file

    return write


def test_a_strategy_quotes_on_a_capture(strategy):
    plan = compose(strategy(), mode=Mode.BACKTEST, no_journal=True)

    result = run_plan(plan)

    (market,) = result.status.markets
    assert result.ended_because == "end of data"
    assert result.market_messages == sum(len(batch) for batch in plan.history.batches()) > 383
    assert market.fills > 0
    assert (result.faults, result.unresolved) == (0, ())


def test_what_options_cannot_be_is_told_with_its_line(strategy):
    with pytest.raises(ConfigErrors) as caught:
        compose(strategy('on_bad_frame = "guess"'), mode=Mode.BACKTEST, no_journal=True)

    (problem,) = caught.value.problems
    assert problem.key == "history.on_bad_frame"
    assert problem.line == 17

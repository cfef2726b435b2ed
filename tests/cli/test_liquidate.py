"""`mmframe liquidate`: the dry run by hand-computed figures, and a run in another process that is told to close."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from decimal import Decimal

import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import Fill, Submit
from mmframe.errors import JournalError
from mmframe.registry import compose
from mmframe.runtime.journal import Journal, JournalReader, RunHeader

STRATEGY = """\
schema = 1
[strategy]
name = "closing"
seed = 3
requote_interval_ms = 50
[[markets]]
instrument = "BTC/USDT"
order_size = "0.05"
[[markets]]
instrument = "ETH/USDT"
order_size = "0.05"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
[[optimizer]]
use = "fixed-spread"
spread_bps = 1
"""
CONTROL = """
[[risk]]
use = "emergency-liquidation"
max_loss_quote = 5000
slice_share = 0.4
interval_s = {interval_s}
price_cap_bps = 100
"""


@pytest.fixture
def strategy(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_text(STRATEGY + CONTROL.format(interval_s=2), encoding="utf-8")
    return path


@pytest.fixture
def journal(strategy, tmp_path):
    """A journal of a run that bought 0.3 BTC at 50,000 and sold 2 ETH short at 2,000; the mids then were these."""
    path = tmp_path / "run.journal"
    plan = compose(strategy)
    grids = plan.instruments
    with Journal.create(path, RunHeader.of(plan, started_ns=1)) as made:
        for number, (market, side, price, size, mid, fee) in enumerate(
            [(0, Side.BUY, "50000", "0.3", "49000", "7.5"), (1, Side.SELL, "2000", "2", "2100", "2")]
        ):
            grid = grids[market]
            ticks, lots = grid.price_ticks(price), grid.size_lots(size)
            fill = Fill(market, "x", f"t-{number}", side, ticks, lots, False, Decimal(fee), "USDT", 10, 10)
            made.on_fill(fill, 2 * grid.price_ticks(mid))
    return path


def test_a_dry_run_shows_the_worst_first_with_orders_time_price_and_cost(invoke, strategy, journal):
    done = invoke("liquidate", strategy, "--dry-run", "--json", "--journal", journal)

    assert done.status == 0, done.stderr
    view = json.loads(done.stdout)
    bitcoin, ether = view["markets"]
    # 0.3 x (49,000 - 50,000) = -300 is worse than -2 x (2,100 - 2,000) = -200.
    assert [each["instrument"] for each in (bitcoin, ether)] == ["BTC/USDT", "ETH/USDT"]
    assert [Decimal(each["unrealised"]) for each in (bitcoin, ether)] == [-300, -200]
    # Slices of 0.4 x 0.3 = 0.12: 0.12 + 0.12 + 0.06; three in each market, two seconds apart.
    assert (bitcoin["slices"], bitcoin["slice_size"], view["slices"], view["duration_s"]) == (3, "0.12", 6, 10.0)
    # 100 bps of 49,000 is 490: a seller may go down to 48,510; of 2,100 it is 21: a buyer up to 2,121, on a tick of 5.
    assert (Decimal(bitcoin["worst_price"]), Decimal(ether["worst_price"])) == (48_510, 2_120)
    assert (Decimal(bitcoin["cost_at_worst"]), Decimal(ether["cost_at_worst"])) == (147, 40)
    # Paid so far: 9.5 on 15,000 + 4,000 of value, 5 bps; of 0.3 x 49,000 it is 7.35.
    assert Decimal(view["taker_fee_bps"]) == 5
    assert Decimal(bitcoin["fees"]) == Decimal("7.35")
    assert view["terms"]["slice_share"] == 0.4


def test_a_dry_run_reads_like_a_table_and_sends_nothing(invoke, strategy, journal, tmp_path):
    done = invoke("liquidate", strategy, "--dry-run", "--journal", journal, "--market", "ETH/USDT")

    assert done.status == 0
    assert "Closing everything now would take 3 orders in 1 market and 4.0 s." in done.stdout
    assert "BTC" not in done.stdout
    assert not list(tmp_path.glob("mmframe-runs/*.operator/*"))


def test_without_a_process_there_is_nobody_to_close(invoke, strategy):
    done = invoke("liquidate", strategy, "--yes")

    assert done.status == 2
    assert "no process runs 'closing': there is nobody who could close its positions" in done.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--journal", "x"), "--journal: expected --dry-run beside it"),
        (("--taker-fee-bps", "5"), "--taker-fee-bps: expected --dry-run beside it"),
        (("--dry-run", "--taker-fee-bps", "nan"), "expected a number of bps, was 'nan'"),
        (("--dry-run", "--market", "XRP/USDT"), "--market: expected one of BTC/USDT, ETH/USDT, was 'XRP/USDT'"),
    ],
)
def test_what_cannot_be_meant_is_refused(invoke, strategy, words, problem):
    done = invoke("liquidate", strategy, *words)

    assert (done.status, problem in done.stderr) == (2, True), done.stderr


@pytest.mark.slow
def test_a_running_strategy_closes_its_positions_and_ends_halted(start, command, strategy, tmp_path):
    strategy.write_text(STRATEGY + CONTROL.format(interval_s=0.2), encoding="utf-8")
    journal = tmp_path / "run.journal"
    process = start("run", strategy, "--speed", "2", "--json", "--quiet", "--journal", journal)
    _wait_for_a_position(journal, process)

    told = command("liquidate", strategy, "--yes", "--reason", "the test", "--within", "30s")
    stdout, stderr = process.communicate(timeout=60)

    assert told.status == 0, told.stderr
    assert "Closing 'closing' (paper, process" in told.stdout
    assert process.returncode == 5, stderr
    result = json.loads(stdout)
    assert [Decimal(market["position"]) for market in result["markets"]] == [0, 0]
    assert "liquidation asked for by the test; liquidation done" in result["halt_reason"]
    with JournalReader(journal) as reader:
        assert any(isinstance(each.action, Submit) and each.action.is_reduce_only for each in reader.intents())


def _wait_for_a_position(journal, process):
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s and process.poll() is None:
        with suppress(JournalError), JournalReader(journal) as reader:
            sizes = [each.fill.size_lots * (1 if each.fill.side is Side.BUY else -1) for each in reader.fills(0)]
            if abs(sum(sizes)) > 100:
                return
        time.sleep(0.05)
    pytest.fail(f"expected a position, the process ended with {process.poll()}")

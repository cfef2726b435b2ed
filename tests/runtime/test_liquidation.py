"""Positions are closed end to end: on the embedded exchange, on a replay, by the process after a kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from decimal import Decimal
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

import mmframe
from mmframe.builtin.books import BOOKS
from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.builtin.simulated import VENUES
from mmframe.domain.kinds import Mode
from mmframe.domain.market import Side
from mmframe.domain.orders import Cancel, Submit
from mmframe.engine.settings import (
    EngineSettings,
    GateLimits,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
    NamedRiskControl,
)
from mmframe.errors import JournalError
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader
from mmframe.runtime.plan import JournalPlan, Plan
from mmframe.testing import build_component, delta, make_batch, make_instrument, make_options, snapshot, trade

SECOND_NS = 1_000_000_000
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(mmframe.__file__).parents[1])}

STRATEGY = """
schema = 1
[strategy]
name = "closing"
requote_interval_ms = 50
acknowledge_timeout_ms = 500
[run]
mode = "paper"
duration = "30m"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.05"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
taker_fee_bps = "5"
[[optimizer]]
use = "fixed-spread"
spread_bps = 1
[[risk]]
use = "emergency-liquidation"
max_unrealised_loss_bps = {loss_bps}
slice_share = {slice_share}
interval_s = {interval_s}
price_cap_bps = 100
{more}
"""


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a strategy file and returns its path."""

    def write(loss_bps=1, slice_share=0.2, interval_s=2, more=""):
        path = tmp_path / "strategy.toml"
        path.write_text(STRATEGY.format(loss_bps=loss_bps, slice_share=slice_share, interval_s=interval_s, more=more))
        return path

    return write


def recorded(file, path, **fields):
    """Run a strategy file in process, with a journal; return the result and what it sent."""
    plan = compose(file)
    with Journal.create(path, RunHeader.of(plan, started_ns=1, reasons=plan.reasons)) as journal:
        result = run_plan(plan, journal=journal, **fields)
    with JournalReader(path) as reader:
        return result, list(reader.intents())


def slices(intents):
    return [each.action for each in intents if isinstance(each.action, Submit) and each.action.is_reduce_only]


def positions(path):
    """Return the position after each fill, in lots."""
    with JournalReader(path) as reader:
        fills = [each.fill for each in reader.fills()]
    sizes = [fill.size_lots if fill.side is Side.BUY else -fill.size_lots for fill in fills]
    return list(accumulate(sizes))


def assert_only_closes(path, intents):
    """From the first slice on the position only shrinks and never turns around."""
    first = slices(intents)[0]
    with JournalReader(path) as reader:
        before = [each.fill.client_id for each in reader.fills()].index(first.client_id)
    of_closing = positions(path)[before - 1 :]
    assert len(of_closing) > 1
    assert all(abs(after) < abs(was) and after * was >= 0 for was, after in pairwise(of_closing))
    return of_closing


def test_on_the_embedded_exchange_quotes_go_the_position_is_closed_and_it_stays_halted(write, tmp_path):
    path = tmp_path / "a.journal"
    result, intents = recorded(write(), path)

    kinds = [each.action for each in intents]
    first = kinds.index(slices(intents)[0])
    assert any(isinstance(action, Cancel) for action in kinds[:first])
    assert all(getattr(action, "is_reduce_only", True) for action in kinds[first:] if isinstance(action, Submit))
    assert (result.ended_because, result.status.is_halted) == ("halted", True)
    assert "has reached max_unrealised_loss_bps of its cost; liquidation done: BTC/USDT" in result.status.halt_reason
    of_closing = assert_only_closes(path, intents)
    assert of_closing[-1] == 0
    times = [each.at_ns for each in intents if each.action in slices(intents)]
    assert all(later - earlier >= 2 * SECOND_NS for earlier, later in pairwise(times))
    assert {order.size_lots for order in slices(intents)[:-1]} == {-(-abs(of_closing[0]) // 5)}


def test_it_can_be_read_afterwards_from_the_record_of_limits(write, tmp_path):
    path = tmp_path / "a.journal"
    _, intents = recorded(write(), path)

    with JournalReader(path) as reader:
        told = [each.detail for each in reader.limits() if each.stage.startswith("liquidation")]
    assert sum(text.startswith("slice ") for text in told) == len(slices(intents))
    [whole] = [text for text in told if "20% a slice, every 2 s, within 100 bps of the mid; done: BTC/USDT" in text]
    assert "the position's unrealised loss has reached max_unrealised_loss_bps of its cost; to close" in whole


def test_two_runs_have_the_same_hash(write):
    file = write()

    assert run_plan(compose(file)).decision_hash == run_plan(compose(file)).decision_hash


def test_a_control_that_never_bites_changes_nothing(write, tmp_path):
    guarded = run_plan(compose(write(loss_bps=99_999)), limit_ns=20 * SECOND_NS)
    text = (tmp_path / "strategy.toml").read_text()
    (tmp_path / "strategy.toml").write_text(text[: text.index("[[risk]]")])

    plain = run_plan(compose(tmp_path / "strategy.toml"), limit_ns=20 * SECOND_NS)

    assert plain.status.markets[0].fills > 0
    assert guarded.decision_hash == plain.decision_hash


def test_an_excess_is_taken_back_to_the_target_and_quoting_goes_on(write, tmp_path):
    file, path = write(loss_bps=99_999), tmp_path / "a.journal"
    text = file.read_text().replace('order_size = "0.05"', 'order_size = "0.05"\ntarget_position = "0.02"')
    rebalancing = '[[risk]]\nuse = "target-rebalancing"\nband = "0.06"\ntaker = true\ninterval_s = 0.5\n'
    file.write_text(text + rebalancing + "price_cap_bps = 50\n")

    result, intents = recorded(file, path, limit_ns=60 * SECOND_NS)

    kinds = [each.action for each in intents if isinstance(each.action, Submit)]
    first = kinds.index(slices(intents)[0])
    assert any(order.is_post_only for order in kinds[first:])
    assert (result.ended_because, result.status.is_halted) == ("duration", False)
    lot = Decimal("0.0001")
    with JournalReader(path) as reader:
        told = [each.detail for each in reader.limits() if each.stage == "liquidation"]
        grids = reader.run().header.instruments
    assert grids[0].lot_size == lot
    # One that begins above the target ends at it, one that begins short ends flat.
    done = [text.rpartition(" -> ")[2].split(" ")[0] for text in told if "; done: " in text]
    assert done
    assert {Decimal(each) for each in done} <= {Decimal("0.02"), Decimal(0)}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("release", [(), ("--for", "10m")], ids=["to its end", "for a time"])
def test_after_a_kill_in_the_middle_the_next_process_finishes_it(write, tmp_path, release):
    file, path = write(slice_share=0.02, interval_s=1), tmp_path / "killed.journal"
    # Paced, so that the middle lasts: fifty slices, a second of the market apart.
    command = [sys.executable, "-m", "mmframe", "run", str(file), "--quiet", "--json"]
    process = subprocess.Popen(
        [*command, "--speed", "20", "--journal", str(path)], env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    _wait_for_slices(path, 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    at_kill = positions(path)
    assert at_kill[-1] != 0

    done = subprocess.run(
        [*command, "--speed", "max", "--resume", str(path), *release],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 5, done.stderr
    result = json.loads(done.stdout)
    assert (result["ended_because"], Decimal(result["position"])) == ("halted", 0)
    with JournalReader(path) as reader:
        second = [each.action for each in reader.intents(run=2)]
        intents = list(reader.intents())
    assert all(action.is_reduce_only for action in second if isinstance(action, Submit))
    assert len({order.client_id for order in slices(intents)}) == len(slices(intents))
    assert_only_closes(path, intents)


def _wait_for_slices(path, count, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        # Empty at first: it has no header yet.
        with suppress(JournalError), JournalReader(path) as reader:
            if len(slices(reader.intents())) >= count:
                return
        time.sleep(0.05)
    pytest.fail(f"expected {count} slices, the process ended with {process.poll()}")


# A replay ------------------------------------------------------------------------------------------------------------

GRID = make_instrument(tick_size="1", lot_size="1")


class Falling:
    """A history: somebody sells through our bid, then the market falls by a tick a second, with 4 lots a price."""

    def batches(self):
        messages = [snapshot(bids=[(999, 50)], asks=[(1_001, 50)])]
        messages += [delta(bids=[(900, number + 1)]) for number in range(9)]
        messages.append(trade(Side.SELL, 990, 60))
        messages.append(snapshot(bids=[(999, 4), (998, 4)], asks=[(1_001, 4), (1_002, 4)]))
        for step in range(1, 60):
            mid = 1_000 - step
            messages.append(snapshot(bids=[(mid - 1, 4), (mid - 2, 4)], asks=[(mid + 1, 4), (mid + 2, 4)]))
            messages += [delta(bids=[(800, number + 1)]) for number in range(9)]
        yield make_batch(*messages, step_ns=SECOND_NS // 10)


class Keep:
    """A sink that keeps what was sent and filled."""

    wants_decisions = False

    def __init__(self):
        self.slices, self.fills = [], []

    def on_action(self, action, now_ns):
        if isinstance(action, Submit) and action.is_reduce_only:
            self.slices.append((now_ns, action))

    def on_fill(self, fill):
        self.fills.append(fill)

    def __getattr__(self, name):
        if name.startswith("on_"):
            return lambda *_: None
        raise AttributeError(name)

    def close(self):
        pass


def replayed(sink):
    """Run an engine with the control on the history; the simulated venue fills against the visible book."""
    control = next(each for each in RISK_CONTROLS if each.name == "emergency-liquidation")
    options = make_options(control, {"max_unrealised_loss_bps": 30.0, "slice_share": 0.3, "interval_s": 1.0})
    named = NamedRiskControl(
        control.name,
        build_component(control, options, instruments=(GRID,)),
        control.scope,
        liquidation=control.liquidation(options),
        reasons=control.reasons,
    )
    optimizer = next(each for each in OPTIMIZERS if each.name == "fixed-spread")
    quotes = build_component(optimizer, optimizer.options(spread_bps=100.0))
    [venue] = [each for each in VENUES if each.name == "simulated"]
    taker = venue.options(feed_latency_ms=10.0, order_latency_ms=20.0, taker_fee_bps=Decimal(5))
    plan = Plan(
        name="demo",
        mode=Mode.BACKTEST,
        strategy_file="strategy.toml",
        strategy_hash="0" * 64,
        instruments=(GRID,),
        settings=EngineSettings("demo", "0", (MarketSettings(GRID, 20, GateLimits()),)),
        pipelines=(MarketPipeline(build_component(BOOKS[0]), (), (NamedOptimizer("quotes", quotes),), (named,)),),
        feed=None,
        history=Falling(),
        venue=build_component(venue, taker, instruments=(GRID,)),
        sinks=(sink,),
        journal=JournalPlan(None),
        assumptions=(),
        provenance=(),
        is_virtual=True,
        duration_ns=None,
    )
    return run_plan(plan)


def test_on_a_replay_slices_take_what_the_book_shows_until_the_position_is_flat():
    sink = Keep()
    result = replayed(sink)

    assert (result.ended_because, result.status.markets[0].position) == ("halted", 0)
    assert "liquidation done: BTC/USDT 20 -> 0 in" in result.status.halt_reason
    times = [at_ns for at_ns, _ in sink.slices]
    assert all(later - earlier >= SECOND_NS for earlier, later in pairwise(times))
    # The third finds at its second price what the second one left there, which is nothing: 4 of 6 fill.
    assert [order.size_lots for _, order in sink.slices] == [6, 6, 6, 4]
    takers = [fill for fill in sink.fills if not fill.is_maker]
    assert sum(fill.size_lots for fill in takers) == 20
    assert all(fill.fee == fill.price_ticks * fill.size_lots * Decimal("0.0005") for fill in takers)
    assert replayed(Keep()).decision_hash == result.decision_hash

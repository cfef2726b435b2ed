"""A run that goes on with a journal: the same orders, position and profit, in process."""

from __future__ import annotations

import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import OrderState, Submit
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader

STRATEGY = """
schema = 1
[strategy]
name = "resumed"
acknowledge_timeout_ms = 100
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
[[optimizer]]
use = "fixed-spread"
spread_bps = 1
"""


@pytest.fixture
def plan(tmp_path):
    """Return a function that composes the strategy anew, as each process does."""
    (tmp_path / "strategy.toml").write_text(STRATEGY)
    return lambda: compose(tmp_path / "strategy.toml")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.journal"


@pytest.fixture
def header(plan):
    return RunHeader.of(plan(), started_ns=1)


def test_profit_and_position_come_back_the_same_and_go_on(plan, path, header):
    with Journal.create(path, header) as journal:
        first = run_plan(plan(), journal=journal, limit_ns=5_000_000_000)
    journal, restored = Journal.reopen(path, header)

    with journal:
        # No time for a decision: what it says is what came back.
        second = run_plan(plan(), journal=journal, restored=restored, limit_ns=1)

    before, after = first.status.markets[0], second.status.markets[0]
    assert before.fills > 0
    assert (after.position, after.fills, after.volume) == (before.position, before.fills, before.volume)
    assert after.average_price == before.average_price
    assert (after.pnl.realised, after.pnl.fees, after.pnl.spread_capture) == (
        before.pnl.realised, before.pnl.fees, before.pnl.spread_capture,
    )  # fmt: skip


def test_an_order_of_unknown_fate_is_asked_for_before_its_side_is_quoted_again(plan, path, header):
    with Journal.create(path, header) as journal:
        # Intended and perhaps sent: the process died here.
        journal.begin([Submit(0, "mm-resumed-0-1", Side.BUY, 9_000, 100)], 1)
    journal, restored = Journal.reopen(path, header)

    with journal:
        result = run_plan(plan(), journal=journal, restored=restored, limit_ns=5_000_000_000)

    with JournalReader(path) as reader:
        of_bid = [
            (intent.action.__struct_config__.tag, intent.action.client_id)
            for intent in reader.intents(run=2)
            if getattr(intent.action, "side", Side.BUY) is Side.BUY and hasattr(intent.action, "client_id")
        ]
        lost = reader.order("mm-resumed-0-1")
    first_bid = next(index for index, (kind, client_id) in enumerate(of_bid) if kind == "submit")
    assert of_bid[0] == ("query_order", "mm-resumed-0-1")
    assert ("query_order", "mm-resumed-0-1") in of_bid[:first_bid]
    assert lost.state is OrderState.NOT_PLACED
    assert result.unresolved == ()


def test_virtual_time_of_a_resumed_run_begins_with_its_market(plan, path, header):
    with Journal.create(path, header) as journal:
        journal.begin([Submit(0, "mm-resumed-0-1", Side.BUY, 9_000, 100)], 1)
    journal, restored = Journal.reopen(path, header)

    with journal:
        resumed = run_plan(plan(), journal=journal, restored=restored, limit_ns=2_000_000_000)

    fresh = run_plan(plan(), limit_ns=2_000_000_000)
    assert resumed.status.started_ns == fresh.status.started_ns
    assert resumed.status.decisions < 2 * fresh.status.decisions


def test_a_client_id_is_never_used_twice_over_runs(plan, path, header):
    with Journal.create(path, header) as journal:
        run_plan(plan(), journal=journal, limit_ns=3_000_000_000)
    for _ in range(2):
        journal, restored = Journal.reopen(path, header)
        with journal:
            run_plan(plan(), journal=journal, restored=restored, limit_ns=3_000_000_000)

    with JournalReader(path) as reader:
        submitted = [intent.action.client_id for intent in reader.intents() if isinstance(intent.action, Submit)]
    assert len(submitted) > 3
    assert len(submitted) == len(set(submitted))

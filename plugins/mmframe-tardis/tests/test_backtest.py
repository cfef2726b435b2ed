"""The whole way from a strategy file and recorded data to fills, which are held against the tape."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from typing import NamedTuple

import pytest

from mmframe.domain.kinds import Mode
from mmframe.domain.market import Side
from mmframe.domain.orders import Fill
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan

pytestmark = pytest.mark.slow


class Run(NamedTuple):
    result: object
    fills: list[Fill]


def backtest(repository):
    """Run the example and return its result and every fill that the venue reported."""
    file = repository / "examples" / "03_backtest_recorded" / "strategy.toml"
    plan = compose(file, mode=Mode.BACKTEST, no_journal=True)
    fills = []
    poll = plan.venue.poll

    def listening(now_ns):
        events = poll(now_ns)
        fills.extend(event for event in events if isinstance(event, Fill))
        return events

    plan.venue.poll = listening
    return Run(run_plan(plan), fills)


@pytest.fixture(scope="module")
def run(repository, shared_data):
    return backtest(repository)


@pytest.fixture(scope="module")
def tape(shared_data):
    """Return the lots traded per side of the taker, time of receipt (ns) and price (ticks)."""
    file = shared_data / "tardis_derived" / "binance_trades_2024-07-23_NEXOUSDT.csv.gz"
    traded = defaultdict(lambda: defaultdict(int))
    with gzip.open(file, "rt", newline="") as text:
        for row in csv.DictReader(text):
            taker = Side.BUY if row["side"] == "buy" else Side.SELL
            lots = round(float(row["amount"]) * 100)
            traded[taker, int(row["local_timestamp"]) * 1000][round(float(row["price"]) * 1000)] += lots
    return traded


def test_the_example_trades_on_the_recording(run):
    result, fills = run
    (market,) = result.status.markets

    assert result.ended_because == "end of data"
    assert result.market_messages == 14_565 + 2_968
    assert market.fills == len(fills) > 100
    assert result.faults == 0
    assert result.unresolved == ()
    assert market.pnl.total == market.pnl.spread_capture + market.pnl.inventory + market.pnl.fees
    assert any("Queue" in sentence for sentence in result.assumptions)


def test_every_fill_is_a_trade_of_the_tape_or_a_book_that_reached_our_price(run, tape):
    by_moment = defaultdict(list)
    for fill in run.fills:
        by_moment[Side.SELL if fill.side == Side.BUY else Side.BUY, fill.receive_ns].append(fill)
    printed = {moment: fills for moment, fills in by_moment.items() if moment in tape}

    assert len(printed) > len(by_moment) / 2
    for (taker, moment), fills in printed.items():
        for fill in fills:
            reach = sum(
                lots
                for ticks, lots in tape[taker, moment].items()
                if (ticks <= fill.price_ticks if taker == Side.SELL else ticks >= fill.price_ticks)
            )
            assert fill.size_lots <= reach
        assert sum(fill.size_lots for fill in fills) <= sum(tape[taker, moment].values())


def test_position_and_volume_are_the_sums_of_the_fills(run):
    (market,) = run.result.status.markets
    signed = sum(fill.size_lots if fill.side == Side.BUY else -fill.size_lots for fill in run.fills)

    assert int(market.position * 100) == signed
    assert int(market.volume * 100) == sum(fill.size_lots for fill in run.fills)
    assert len({fill.venue_trade_id for fill in run.fills}) == len(run.fills)


def test_the_same_file_gives_the_same_run(run, repository):
    again = backtest(repository)

    assert again.result.decision_hash == run.result.decision_hash
    assert again.fills == run.fills

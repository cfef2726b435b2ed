"""The record of limits of a run: what the journal, the sinks and the result say of it agree with each decision."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mmframe.domain.orders import ALL_MARKETS
from mmframe.domain.records import Command, LimitRecord, OperatorCommand
from mmframe.domain.status import LimitCount
from mmframe.domain.views import Reason, RiskLevel
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader
from mmframe.runtime.journal.summary import summarise
from mmframe.runtime.limit_tally import LimitTally
from mmframe.runtime.session import Session

SECOND_NS = 1_000_000_000

STRATEGY = """
schema = 1
[strategy]
name = "limited"
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
[[risk]]
use = "layered-limits"
max_position = "0.02"
[[risk]]
use = "spread-floor"
min_spread_bps = 2
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run on whose position limit it trades; its result and journal."""
    folder = tmp_path_factory.mktemp("limited")
    (folder / "strategy.toml").write_text(STRATEGY)
    plan = compose(folder / "strategy.toml")
    path = folder / "run.journal"
    with Journal.create(path, RunHeader.of(plan, started_ns=1)) as journal:
        result = run_plan(plan, journal=journal, limit_ns=20 * SECOND_NS)
    return result, path


def test_a_limit_bound_in_exactly_the_decisions_in_which_its_stage_took_something(ran):
    _, path = ran

    with JournalReader(path) as reader:
        limits = reader.limits()
        decisions = list(reader.each_decision())

    for stage in ("layered-limits", "spread-floor"):
        bound = [each.now_ns for each in decisions if any(s.name == stage and s.level for s in each.stages)]
        spells = [limit for limit in limits if limit.stage == stage]
        assert bound
        assert sum(limit.decisions for limit in spells) == len(bound)
        ends = [(limit.began_ns, limit.ended_ns or decisions[-1].now_ns) for limit in spells]
        assert all(any(began <= at_ns <= ended for began, ended in ends) for at_ns in bound)
        # Two of one stage never overlap, and what binds again within a second has not stopped.
        assert all(ended <= began for (_, ended), (began, _) in pairwise(ends))


def test_the_result_counts_what_the_journal_lists(ran):
    result, path = ran

    with JournalReader(path) as reader:
        limits = reader.limits()
        assert reader.summary().limits == result.limits

    for counted in result.limits:
        spells = [
            limit
            for limit in limits
            if (limit.stage, limit.level, limit.reason) == (counted.stage, counted.level, counted.reason)
        ]
        assert counted.instrument == "BTC/USDT"
        assert (counted.times, counted.decisions) == (len(spells), sum(limit.decisions for limit in spells))
        assert counted.bound_ns == sum((limit.ended_ns or result.status.now_ns) - limit.began_ns for limit in spells)
    assert [each.decisions for each in result.limits] == sorted((e.decisions for e in result.limits), reverse=True)


def test_a_run_whose_process_died_is_summed_up_with_the_limits_on_record(ran):
    result, path = ran

    with JournalReader(path) as reader:
        told = summarise(reader, reader.run())

    # What ended is counted alike; how often the last of them bound, only the process knew, and told as it ended.
    assert told.limits == result.limits


def test_a_halt_is_on_record_from_when_it_latched_to_its_release(tmp_path):
    (tmp_path / "strategy.toml").write_text(STRATEGY)
    plan = compose(tmp_path / "strategy.toml")
    path = tmp_path / "run.journal"
    with Journal.create(path, RunHeader.of(plan, started_ns=1)) as journal:
        session = Session(plan, journal=journal)
        session.advance_to(SECOND_NS)
        session.on_event(OperatorCommand(Command.KILL, SECOND_NS, reason="enough"))
        session.decide(SECOND_NS)
        session.advance_to(4 * SECOND_NS)
        result = session.finish("halted")

    halt = LimitCount("", "halt", int(RiskLevel.HALT), int(Reason.HALTED), 1, 1, 3 * SECOND_NS)
    assert result.limits == (halt,)
    with JournalReader(path) as reader:
        (told,) = reader.limits()
    assert (told.market, told.stage, told.ended_ns, told.detail) == (ALL_MARKETS, "halt", None, "killed: enough")


def test_what_a_command_stops_is_on_disk_with_the_command(tmp_path):
    (tmp_path / "strategy.toml").write_text(STRATEGY)
    plan = compose(tmp_path / "strategy.toml")
    path = tmp_path / "run.journal"
    with Journal.create(path, RunHeader.of(plan, started_ns=1)) as journal:
        session = Session(plan, journal=journal)
        session.advance_to(SECOND_NS)
        session.on_command(OperatorCommand(Command.KILL, SECOND_NS, reason="enough"), 7)

        # As another process finds it when this one dies here.
        with JournalReader(path) as reader:
            (told,) = reader.limits()

    assert (told.stage, told.detail) == ("halt", "killed: enough")


def test_what_a_limit_did_at_a_moment_counts_as_one_time():
    tally = LimitTally(["BTC/USDT"])
    record = LimitRecord(0, "slice", 1, 7, SECOND_NS, SECOND_NS, 1, is_over=True)

    tally.add(record)
    tally.add(record)

    assert tally.counts() == (LimitCount("BTC/USDT", "slice", 1, 7, 2, 2, 0),)

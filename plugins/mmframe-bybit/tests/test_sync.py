"""The rule of a topic, message by message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe_bybit.sync import Continuity, Verdict


def joined(*, depth=50, u=900, seq=70_000):
    continuity = Continuity(depth)
    continuity.judge(u, seq, is_snapshot=True)
    return continuity


def test_a_delta_before_the_first_snapshot_is_early():
    assert Continuity(50).judge(901, 70_001, is_snapshot=False) is Verdict.EARLY


def test_the_first_snapshot_joins_whatever_its_number():
    continuity = Continuity(50)

    assert continuity.judge(900, 70_000, is_snapshot=True) is Verdict.SNAPSHOT
    assert (continuity.last_u, continuity.last_seq, continuity.is_joined) == (900, 70_000, True)


@pytest.mark.parametrize(
    ("u", "seq", "verdict"),
    [
        pytest.param(901, 70_009, Verdict.APPLY, id="the next"),
        pytest.param(901, 70_000, Verdict.APPLY, id="the next, of the same moment"),
        pytest.param(902, 70_009, Verdict.GAP, id="one missing"),
        pytest.param(905, 70_009, Verdict.GAP, id="several missing"),
        pytest.param(900, 70_000, Verdict.STALE, id="the same again"),
        pytest.param(850, 69_000, Verdict.STALE, id="older"),
        pytest.param(901, 69_999, Verdict.GAP, id="the next number but older by seq"),
        pytest.param(850, 70_009, Verdict.GAP, id="an older number but newer by seq"),
        pytest.param(1, 70_009, Verdict.RESTART, id="restart of the service"),
        pytest.param(1, 12, Verdict.RESTART, id="restart of the service, seq as well"),
    ],
)
def test_a_delta_follows_by_number_and_seq(u, seq, verdict):
    assert joined().judge(u, seq, is_snapshot=False) is verdict


@pytest.mark.parametrize(
    ("depth", "u", "seq", "verdict"),
    [
        pytest.param(50, 901, 70_009, Verdict.SNAPSHOT, id="the next"),
        pytest.param(50, 950, 70_009, Verdict.RESTART, id="later, deltas missed"),
        pytest.param(50, 1, 70_009, Verdict.RESTART, id="restart of the service"),
        pytest.param(50, 850, 70_009, Verdict.RESTART, id="another numbering"),
        pytest.param(50, 850, 69_000, Verdict.GAP, id="older than the book"),
        pytest.param(50, 900, 70_000, Verdict.REPEAT, id="the same again"),
        pytest.param(50, 900, 69_000, Verdict.GAP, id="the same number but older"),
        pytest.param(1, 900, 70_009, Verdict.REPEAT, id="depth 1 repeats itself"),
        pytest.param(1, 901, 70_009, Verdict.SNAPSHOT, id="depth 1, the next"),
        pytest.param(1, 905, 70_009, Verdict.SNAPSHOT, id="depth 1 is whole after a loss"),
        pytest.param(1, 850, 69_000, Verdict.GAP, id="depth 1, older than the book"),
    ],
)
def test_a_later_snapshot_replaces_the_book_unless_it_is_older(depth, u, seq, verdict):
    assert joined(depth=depth).judge(u, seq, is_snapshot=True) is verdict


def test_after_a_gap_everything_waits_for_a_snapshot():
    continuity = joined()
    continuity.judge(905, 70_009, is_snapshot=False)

    assert continuity.judge(906, 70_010, is_snapshot=False) is Verdict.EARLY
    assert continuity.judge(901, 70_001, is_snapshot=False) is Verdict.EARLY
    assert continuity.judge(950, 70_100, is_snapshot=True) is Verdict.SNAPSHOT
    assert continuity.judge(951, 70_101, is_snapshot=False) is Verdict.APPLY


def test_a_repeated_snapshot_moves_the_time_on():
    continuity = joined(depth=1)
    continuity.judge(900, 70_009, is_snapshot=True)

    assert continuity.judge(901, 70_005, is_snapshot=True) is Verdict.GAP


def test_after_a_restart_the_numbers_go_on_from_one():
    continuity = joined()
    continuity.judge(1, 70_009, is_snapshot=False)

    assert continuity.judge(2, 70_010, is_snapshot=False) is Verdict.APPLY


@given(st.lists(st.tuples(st.booleans(), st.integers(2, 12)), max_size=40))
def test_deltas_are_applied_in_unbroken_runs_from_a_snapshot(messages):
    continuity = Continuity(200)
    last = None
    for is_snapshot, u in messages:
        verdict = continuity.judge(u, 10 * u, is_snapshot=is_snapshot)

        if verdict in {Verdict.SNAPSHOT, Verdict.REPEAT, Verdict.RESTART}:
            assert is_snapshot
            assert (verdict is Verdict.REPEAT) == (last == u)
            last = u
        elif verdict is Verdict.APPLY:
            assert not is_snapshot
            assert last is not None
            assert u == last + 1
            last = u
        elif verdict is Verdict.GAP:
            last = None
        assert continuity.is_joined == (last is not None)

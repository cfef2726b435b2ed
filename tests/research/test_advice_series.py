"""Advice as a function of time, held against a look at every single nanosecond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.market import NEVER_NS
from mmframe.domain.records import AdviceUpdate
from mmframe.domain.views import NEUTRAL_ADVICE
from mmframe.research.advice.series import in_force, mean_advice, shifted_updates, updates_of

START, END = 10, 60

advice = st.builds(
    lambda bid, size, pause, confidence: NEUTRAL_ADVICE._replace(
        bid_spread_multiplier=bid, size_multiplier=size, pause=pause, confidence=confidence
    ),
    st.sampled_from([1.0, 1.5, 3.0]),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([0.0, 1.0]),
    st.sampled_from([0.2, 0.9]),
)
series = st.lists(
    st.tuples(st.integers(0, 70), st.integers(1, 30), advice), max_size=8, unique_by=lambda row: row[0]
).map(
    lambda rows: [
        AdviceUpdate(0, found._replace(valid_until_ns=at + life), at)
        for at, life, found in sorted(rows, key=lambda r: r[0])
    ]
)


def at(updates, time_ns):
    """What the engine has: the last update, until it has expired."""
    last = [update for update in updates if update.receive_ns <= time_ns]
    if last and time_ns <= last[-1].advice.valid_until_ns:
        return last[-1].advice._replace(valid_until_ns=0)
    return NEUTRAL_ADVICE


@given(series)
def test_stretches_are_what_is_in_force_at_each_moment(updates):
    stretches = in_force(updates, START, END)

    for time_ns in range(START, END):
        found = [stretch.advice for stretch in stretches if stretch.begin_ns <= time_ns < stretch.end_ns]
        assert len(found) <= 1
        assert (found[0]._replace(valid_until_ns=0) if found else NEUTRAL_ADVICE) == at(updates, time_ns)


@given(series)
def test_a_mean_is_that_over_each_moment(updates):
    found = mean_advice(in_force(updates, START, END), START, END, min_confidence=0.5)

    moments = [at(updates, time_ns) for time_ns in range(START, END)]
    heeded = [moment if moment.confidence >= 0.5 else NEUTRAL_ADVICE for moment in moments]
    sizes = [0.0 if moment.pause else moment.size_multiplier for moment in heeded]
    assert found.bid_spread_multiplier == pytest.approx(sum(m.bid_spread_multiplier for m in heeded) / len(heeded))
    assert found.size_multiplier == pytest.approx(sum(sizes) / len(sizes))
    assert (found.pause, found.confidence, found.valid_until_ns) == (0.0, 1.0, NEVER_NS)


@given(series, st.integers(1, END - START - 1))
def test_shifted_advice_is_that_of_another_moment_round_the_clock(updates, offset):
    stretches = in_force(updates, START, END)

    shifted = shifted_updates(stretches, 0, start_ns=START, end_ns=END, offset_ns=offset)

    assert [update.receive_ns for update in shifted] == sorted(update.receive_ns for update in shifted)
    for time_ns in range(START, END):
        before = START + (time_ns - START - offset) % (END - START)
        assert at(shifted, time_ns) == at(updates, before)


def test_only_what_came_or_would_have_come_into_force_counts(make_call):
    applied, shadow = make_call(5, skew_bps=1.0), make_call(2, skew_bps=2.0, shadow=True)

    found = updates_of([applied, shadow], 0)

    assert [update.advice.skew_bps for update in found] == [2.0, 1.0]
    assert updates_of([applied], 1) == []

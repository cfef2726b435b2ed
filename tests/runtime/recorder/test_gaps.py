"""Each gap is told once, with its reason and its end, whichever thread comes first."""

from __future__ import annotations

import pytest

from mmframe.runtime.recorder.gaps import GapLog
from mmframe.runtime.recorder.manifest import GAPS_MAX


@pytest.fixture
def log():
    return GapLog()


def facts(log):
    return [(gap.market, gap.from_ns, gap.to_ns, gap.reason) for gap in log.gaps()]


@pytest.mark.parametrize("is_told_first", [True, False], ids=["the note first", "the batch first"])
@pytest.mark.parametrize("is_gap", [True, False], ids=["loss", "end of a connection"])
def test_a_gap_of_the_feed_and_its_note_are_one(log, is_told_first, is_gap):
    steps = [lambda: log.explain("A/B", 5, "why", is_gap=is_gap), lambda: log.on_void("A/B", 5)]
    for step in steps if is_told_first else reversed(steps):
        step()
    log.on_whole("A/B", 9)

    assert facts(log) == [("A/B", 5, 9, "why")]
    assert log.count == 1


def test_the_end_of_one_of_two_connections_is_no_gap(log):
    log.explain("A/B", 5, "the connection was lost", is_gap=False)

    assert (facts(log), log.count) == ([], 0)


def test_a_break_of_the_sequence_needs_no_note_and_may_have_no_end(log):
    log.on_void("A/B", 7)
    log.on_void("C/D", 6)
    log.on_whole("A/B", 8)

    reason = "the feed found that messages were missing or cannot be right"
    assert facts(log) == [("C/D", 6, None, reason), ("A/B", 7, 8, reason)]


def test_a_gap_in_a_gap_begins_where_that_ends(log):
    log.on_void("A/B", 3)
    log.explain("A/B", 5, "the recorder connected anew", is_gap=True)
    log.on_void("A/B", 5)
    log.on_void("A/B", 5)
    log.on_whole("A/B", 9)

    reason = "the feed found that messages were missing or cannot be right"
    assert facts(log) == [("A/B", 3, 5, reason), ("A/B", 5, 9, "the recorder connected anew")]


def test_gaps_beyond_the_bound_are_counted(log):
    for number in range(GAPS_MAX + 5):
        log.on_void("A/B", number)
        log.on_whole("A/B", number)

    assert (len(log.gaps()), log.count) == (GAPS_MAX, GAPS_MAX + 5)

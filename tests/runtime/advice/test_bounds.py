"""What an answer may change."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmframe.config.advice_tables import BoundsTable
from mmframe.domain.advice import AdviceVerdict, Answer
from mmframe.domain.views import NEUTRAL_ADVICE, Advice
from mmframe.runtime.advice.bounds import bounded, combined

S = 1_000_000_000
TABLE = BoundsTable()


def given_answer(before: Advice = NEUTRAL_ADVICE, table: BoundsTable = TABLE, *, now_s: float = 1.0, **fields):
    fields.setdefault("confidence", 0.9)
    answer = Answer(0, **fields)
    return bounded(answer, before, table, asked_ns=0, now_ns=int(now_s * S), ttl_ns=60 * S)


def test_an_answer_within_its_bounds_is_taken_as_it_is():
    result = given_answer(bid_spread_multiplier=2.5, ask_spread_multiplier=1.0, size_multiplier=0.5, skew_bps=-1.5)

    assert result.verdict is AdviceVerdict.APPLIED
    assert result.advice == Advice(2.5, 1.0, 0.5, -1.5, 1.0, 0.0, 0.9, 60 * S)


def test_less_risk_is_taken_up_at_once_and_more_of_it_step_by_step():
    careful = given_answer(bid_spread_multiplier=3.0, size_multiplier=0.0, position_scale=0.0, pause=1.0).advice
    assert careful == Advice(3.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.9, 60 * S)

    bolder = given_answer(careful, bid_spread_multiplier=0.5, size_multiplier=5.0, position_scale=1.0)

    assert bolder.verdict is AdviceVerdict.CLAMPED
    assert bolder.advice[:6] == (2.9, 1.0, 0.1, 0.0, 0.1, 0.0)
    assert (
        bolder.detail
        == "bid_spread_multiplier 0.5 became 2.9, size_multiplier 5 became 0.1, position_scale 1 became 0.1"
    )


@pytest.mark.parametrize(
    ("before", "wanted", "expected"),
    [
        (0.0, 9.0, 2.0),
        (2.0, 9.0, 4.0),
        (4.0, 9.0, 5.0),
        (5.0, 1.0, 1.0),
        (5.0, 0.0, 0.0),
        (5.0, -9.0, -2.0),
        (-5.0, 1.0, 1.0),
        (-3.0, -9.0, -5.0),
    ],
)
def test_the_shift_moves_towards_0_at_once_and_away_from_it_step_by_step(before, wanted, expected):
    advice = NEUTRAL_ADVICE._replace(skew_bps=before)

    assert given_answer(advice, skew_bps=wanted).advice.skew_bps == expected


def test_advice_lives_from_its_question_on_and_no_longer_than_it_may():
    assert given_answer(valid_for_s=5.0).advice.valid_until_ns == 5 * S
    assert given_answer(valid_for_s=1e300).advice.valid_until_ns == 60 * S
    assert given_answer(valid_for_s=5.0, now_s=5.0).verdict is AdviceVerdict.TOO_LATE
    for broken in (math.nan, 0.0, -1.0, -math.inf):
        assert given_answer(valid_for_s=broken).verdict is AdviceVerdict.TOO_LATE


def test_an_unsure_answer_and_a_pause_that_is_not_allowed_change_nothing():
    table = BoundsTable(min_confidence=0.5, may_pause=False)

    assert given_answer(table=table, confidence=0.4, bid_spread_multiplier=3.0).advice is None
    refused = given_answer(table=table, pause=1.0)
    assert (refused.verdict, refused.advice.pause) == (AdviceVerdict.CLAMPED, 0.0)


numbers = st.floats(allow_nan=True, allow_infinity=True)
tables = st.builds(
    BoundsTable,
    min_spread_multiplier=st.floats(0.5, 1.0),
    max_spread_multiplier=st.floats(1.0, 20.0),
    min_size_multiplier=st.floats(0.0, 1.0),
    max_size_multiplier=st.floats(1.0, 2.0),
    max_skew_bps=st.floats(0.0, 100.0),
    min_position_scale=st.floats(0.0, 1.0),
    may_pause=st.booleans(),
    max_riskier_step=st.floats(0.01, 1.0),
    max_skew_step_bps=st.floats(0.01, 100.0),
)
answers = st.builds(
    Answer,
    market=st.just(0),
    bid_spread_multiplier=numbers,
    ask_spread_multiplier=numbers,
    size_multiplier=numbers,
    skew_bps=numbers,
    position_scale=numbers,
    pause=numbers,
    confidence=numbers,
    valid_for_s=st.none() | numbers,
)


@settings(max_examples=200, deadline=None)
@given(table=tables, series=st.lists(answers, max_size=6))
@example(table=TABLE, series=[Answer(0, bid_spread_multiplier=math.nan)])
@example(table=TABLE, series=[Answer(0, skew_bps=-math.inf)])
def test_no_series_of_answers_leaves_the_bounds_and_none_that_is_safer_waits(table, series):
    before = NEUTRAL_ADVICE
    for answer in series:
        result = bounded(answer, before, table, asked_ns=0, now_ns=1, ttl_ns=S)
        advice = result.advice
        if advice is None:
            assert result.verdict in {AdviceVerdict.NOT_FINITE, AdviceVerdict.TOO_LATE}
            continue

        assert all(math.isfinite(value) for value in advice)
        for multiplier in advice[:2]:
            assert table.min_spread_multiplier <= multiplier <= table.max_spread_multiplier
        assert table.min_size_multiplier <= advice.size_multiplier <= table.max_size_multiplier
        assert table.min_position_scale <= advice.position_scale <= 1.0
        assert abs(advice.skew_bps) <= table.max_skew_bps
        assert advice.pause in {0.0, 1.0}
        assert 1 < advice.valid_until_ns <= S

        step = table.max_riskier_step
        for name, sign in (
            ("bid_spread_multiplier", -1),
            ("ask_spread_multiplier", -1),
            ("size_multiplier", 1),
            ("position_scale", 1),
        ):
            wanted, was, became = getattr(answer, name), getattr(before, name), getattr(advice, name)
            assert sign * (became - was) <= step + 1e-12, name
            if sign * (wanted - was) <= 0:
                # Safer, or the same: nothing but the bounds stands between it and what was asked for.
                assert sign * (became - wanted) <= 1e-12 or became in _edges(table, name), name
        if answer.pause > 0.5:
            assert advice.pause == float(table.may_pause)
        before = advice


def _edges(table, name):
    return {
        "bid_spread_multiplier": {table.max_spread_multiplier},
        "ask_spread_multiplier": {table.max_spread_multiplier},
        "size_multiplier": {table.min_size_multiplier},
        "position_scale": {table.min_position_scale},
    }[name]


def test_of_several_advisers_the_most_careful_word_counts_and_the_shortest_life():
    first = Advice(2.0, 0.95, 1.0, 1.0, 0.5, 0.0, 0.9, 50)
    second = Advice(1.0, 1.0, 0.5, -3.0, 1.0, 1.0, 0.4, 40)

    assert combined([]) is NEUTRAL_ADVICE
    assert combined([first]) is first
    assert combined([first, second]) == Advice(2.0, 1.0, 0.5, 0.0, 0.5, 1.0, 0.9, 40)


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        # (skew_bps, confidence) of each.
        ([(5.0, 0.9), (5.0, 0.9)], 5.0),
        ([(5.0, 0.9), (-3.0, 0.9), (2.0, 0.9)], 2.0),
        ([(0.0, 0.9), (5.0, 0.1)], 0.0),
        ([(1.0, 0.9), (5.0, 0.1)], 1.0),
        ([(4.0, 0.9), (-1.0, 0.1)], 3.0),
        ([(-4.0, 0.9), (9.0, 0.1)], 0.0),
    ],
)
def test_several_advisers_together_shift_no_further_than_the_surest_alone(shifts, expected):
    advices = [NEUTRAL_ADVICE._replace(skew_bps=skew, confidence=confidence) for skew, confidence in shifts]

    assert combined(advices).skew_bps == expected
    assert combined(reversed(advices)).skew_bps == expected

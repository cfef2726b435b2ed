"""When an adviser asks."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.market import NEVER_NS
from mmframe.runtime.advice.schedule import Schedule
from mmframe.runtime.advice.triggers import TriggerWatch
from mmframe.testing import make_inventory, make_signals, make_view


def schedule(markets=(0,), *, every=60, least=10, most=20):
    made = Schedule(markets, every_ns=every, min_interval_ns=least, max_markets=most)
    made.begin(1)
    return made


def ask(made, now):
    due = made.due(now)
    if due is not None:
        made.asked(now)
    return due


def test_it_asks_once_a_period_and_not_while_a_question_is_under_way():
    made = schedule()

    assert ask(made, 0) is None
    assert ask(made, 1) == ((0,), "period")
    assert (made.wake_ns, made.due(100)) == (NEVER_NS, None)
    made.answered()
    assert made.wake_ns == 61
    assert made.due(60) is None
    assert ask(made, 61) == ((0,), "period")


def test_a_trigger_asks_about_its_market_as_soon_as_the_interval_is_over():
    made = schedule((0, 1, 2))
    ask(made, 1)
    made.trigger((2,), "spike")
    made.trigger((2,), "spike")
    made.answered()

    assert made.wake_ns == 11
    assert made.due(10) is None
    assert ask(made, 11) == ((2,), "spike")
    made.answered()
    assert made.wake_ns == 61


def test_many_markets_are_asked_about_in_several_questions_one_after_the_other():
    made = schedule(range(5), most=2)

    seen = [ask(made, 1)]
    assert made.due(1) is None
    for now in (4, 7):
        made.answered()
        seen.append(ask(made, now))

    assert [due.markets for due in seen] == [(0, 1), (2, 3), (4,)]
    made.answered()
    assert made.wake_ns == 61


def test_a_round_about_which_nothing_could_be_asked_is_tried_again():
    made = schedule()
    assert made.due(1) is not None
    made.passed(5)

    assert made.wake_ns == 5
    assert ask(made, 5) == ((0,), "period")


@settings(max_examples=100, deadline=None)
@given(
    every=st.integers(1, 30),
    least=st.integers(0, 30),
    steps=st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["", "answer", "trigger"])), max_size=60),
)
def test_questions_never_overlap_and_keep_their_distance(every, least, steps):
    made = schedule((0, 1), every=every, least=min(least, every), most=2)
    now, asked, is_busy = 0, [], False
    for wait, event in steps:
        now += wait
        if event == "answer" and is_busy:
            made.answered()
            is_busy = False
        if event == "trigger":
            made.trigger((1,), "spike")
        assert (made.due(now) is None) or not is_busy
        if now < made.wake_ns:
            assert made.due(now) is None
        elif ask(made, now):
            asked.append(now)
            is_busy = True

    assert all(second - first >= min(least, every) for first, second in pairwise(asked))


def test_a_lookup_costs_nothing_while_nothing_is_due():
    made = schedule()
    ask(made, 1)
    made.answered()

    assert made.due(made.wake_ns - 1) is None


@pytest.mark.parametrize(
    ("trigger", "looks", "expected"),
    [
        ("regime-change", [{"market_condition": 0.0}, {"market_condition": 0.0}, {"market_condition": 2.0}], [2]),
        ("regime-change", [{"condition": float("nan")}, {"condition": 1.0}, {"condition": 3.0}], [2]),
        ("spike", [{"spike_flag": 0.0}, {"spike_flag": 1.0}, {"spike_flag": 1.0}, {"spike_flag": 0.0}], [1]),
        ("spike", [{"manipulation": 1.0}, {"manipulation": 0.0}, {"manipulation": 1.0}], [2]),
        ("inventory-band", [{"p": 0.0}, {"p": 0.2}, {"p": 0.3}, {"p": 0.31}, {"p": -0.2}, {"p": -0.9}], [2, 4, 5]),
        ("spike", [{"market_condition": 0.0}, {"market_condition": 2.0}], []),
    ],
)
def test_a_trigger_goes_off_when_what_it_watches_changes(trigger, looks, expected):
    watch = TriggerWatch((trigger,))

    seen = []
    for number, values in enumerate(looks):
        held = {name: value for name, value in values.items() if name != "p"}
        view = make_view(signals=make_signals(**held)) if held else SimpleNamespace(signals=())
        inventory = make_inventory(values.get("p", 0.0), max_position=1.0)
        if watch.look(view, inventory):
            seen.append(number)

    assert seen == expected


def test_without_a_limit_on_the_position_no_band_is_crossed():
    watch = TriggerWatch(("inventory-band",))
    view = make_view()

    assert not any(watch.look(view, make_inventory(position, max_position=float("inf"))) for position in (0.0, 9.0))

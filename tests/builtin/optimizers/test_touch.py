"""`touch` joins, pennies or steps back, replaces or bounds, and does not outbid itself."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.touch import SMALL_TOUCH, TOUCH, TouchOptions
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.testing import OptimizerConformance, build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

MODEL = QuoteProposal(100.00, 0.4, 100.05, 0.4, 0, 0)


class TestPennyAsABound(OptimizerConformance):
    spec = TOUCH
    options = TouchOptions(mode="penny", apply="never-worse", min_touch_size=Decimal("0.05"))
    examples_max = 30


class TestStepBackInBps(OptimizerConformance):
    spec = TOUCH
    options = TouchOptions(mode="step-back", step_back_bps=3.0, apply="never-better")
    examples_max = 30


def build(**options):
    return build_component(TOUCH, TouchOptions(**options))


def placed(proposal=NO_QUOTE, *, view=None, position=0.0, **options):
    view = view or make_view(99.98, 100.02)
    return build(**options).propose(view, make_inventory(position), NEUTRAL_ADVICE, proposal)


def prices(proposal):
    return pytest.approx((proposal.bid, proposal.ask))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mode": "join"}, (99.98, 100.02)),
        ({"mode": "penny"}, (99.99, 100.01)),
        ({"mode": "step-back"}, (99.97, 100.03)),
        ({"mode": "step-back", "step_back_ticks": 2}, (99.96, 100.04)),
        ({"mode": "step-back", "step_back_bps": 10.0}, (99.98 - 0.09998, 100.02 + 0.10002)),
    ],
    ids=str,
)
def test_the_examples_of_its_description_hold(options, expected):
    was = placed(**options)

    assert prices(was) == expected
    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.01, 0.01, 0, 0)


@pytest.mark.parametrize(
    ("ask", "position", "expected"),
    [
        pytest.param(99.99, 0.0, (99.98, 99.99), id="one tick: join"),
        pytest.param(100.00, 0.0, (99.98, 100.00), id="two ticks, on target: join"),
        pytest.param(100.00, 0.5, (99.98, 99.99), id="two ticks, long: the ask"),
        pytest.param(100.00, -0.5, (99.99, 100.00), id="two ticks, short: the bid"),
        pytest.param(100.01, 0.5, (99.99, 100.00), id="three ticks: both"),
    ],
)
def test_a_penny_takes_only_what_is_free(ask, position, expected):
    assert prices(placed(mode="penny", view=make_view(99.98, ask), position=position)) == expected


def test_never_better_pulls_back_an_aggressive_model_and_leaves_a_passive_one():
    was = placed(MODEL, mode="penny", apply="never-better")

    assert prices(was) == (99.99, 100.05)
    assert (was.bid_size, was.ask_size) == (0.4, 0.4)


def test_never_worse_brings_a_passive_model_forward_and_leaves_an_aggressive_one():
    assert prices(placed(MODEL, mode="join", apply="never-worse")) == (100.00, 100.02)


def test_never_worse_stops_a_tick_before_our_own_other_quote():
    leaning = QuoteProposal(99.90, 0.4, 99.97, 0.4, 0, 0)

    assert prices(placed(leaning, mode="join", apply="never-worse")) == (99.96, 99.97)


def test_a_small_touch_is_stepped_back_from_and_says_so():
    view = make_view(99.98, 100.02, bid_size=0.04, ask_size=0.05)

    was = placed(mode="penny", view=view, min_touch_size=Decimal("0.05"))

    assert prices(was) == (99.97, 100.01)
    assert (was.bid_reason, was.ask_reason) == (SMALL_TOUCH, 0)


def test_its_own_quote_at_the_touch_is_neither_outbid_nor_taken_for_dust():
    rule = build(mode="penny", min_touch_size=Decimal("0.5"))
    first = rule.propose(make_view(99.98, 100.10), make_inventory(), NEUTRAL_ADVICE, NO_QUOTE)
    ours = make_view(first.bid, first.ask, bid_size=first.bid_size, ask_size=first.ask_size)

    held = [rule.propose(ours, make_inventory(), NEUTRAL_ADVICE, NO_QUOTE) for _ in range(3)]
    joined = rule.propose(ours._replace(bid_size=0.9), make_inventory(), NEUTRAL_ADVICE, NO_QUOTE)

    assert [prices(quotes) for quotes in held] == [(99.99, 100.09)] * 3
    assert prices(joined) == (100.00, 100.09)


def test_a_side_that_a_stage_took_away_stays_away():
    gone = QuoteProposal(math.nan, 0.0, 100.05, 0.4, int(Reason.INVENTORY), 0)

    was = placed(gone, mode="join")

    assert (was.bid_size, was.bid_reason) == (0.0, Reason.INVENTORY)
    assert was.ask == pytest.approx(100.02)


@pytest.mark.parametrize(
    ("fields", "options", "reason"),
    [
        pytest.param({"bid": math.nan}, {}, Reason.BOOK_EMPTY, id="no touch"),
        pytest.param({"order_size": 0.0}, {}, Reason.BELOW_MINIMUM, id="no order size"),
        pytest.param(
            {"bid": 0.01, "ask": math.inf, "mid": 50.0}, {"mode": "step-back"}, Reason.BOOK_EMPTY, id="endless"
        ),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(fields, options, reason):
    was = placed(view=make_view(99.98, 100.02)._replace(**fields), **options)

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


def test_a_step_below_zero_is_no_bid():
    was = placed(mode="step-back", view=make_view(0.01, 0.05))

    assert (was.bid_size, was.bid_reason, was.ask) == (0.0, Reason.BELOW_MINIMUM, pytest.approx(0.06))


def test_a_step_is_told_once():
    with pytest.raises(DomainError) as caught:
        TouchOptions(step_back_ticks=2, step_back_bps=1.0)

    assert caught.value.message == "step_back_bps: expected none beside step_back_ticks, was 1"


@settings(max_examples=100)
@given(situations(), st.sampled_from(("join", "penny", "step-back")), st.sampled_from(("never-better", "never-worse")))
def test_a_bound_moves_each_quote_one_way_only_and_to_the_place_by_the_touch_at_most(situation, mode, apply):
    view, inventory, advice, before = situation
    place = build(mode=mode).propose(view, inventory, advice, before)
    after = build(mode=mode, apply=apply).propose(view, inventory, advice, before)

    sign = 1.0 if apply == "never-better" else -1.0
    for was, now, at, away in (
        (before.bid, after.bid, place.bid, -1.0 if after.bid_size else 0.0),
        (before.ask, after.ask, place.ask, 1.0 if after.ask_size else 0.0),
    ):
        if away and not math.isnan(at):
            assert sign * away * (now - was) >= 0.0
            moved = abs(now - was) > 0.0
            assert not moved or sign * away * (at - now) >= -1e-9 * view.mid
    assert (after.bid_size, after.ask_size) == (
        before.bid_size if after.bid_size else 0.0,
        before.ask_size if after.ask_size else 0.0,
    )

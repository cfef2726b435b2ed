"""`advice` applies what an adviser says within its own bounds, and nothing of it when it is neutral, late or unsure."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.advice import ADVICE, ADVICE_CLAMPED, ADVICE_IGNORED, AdviceOptions
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, Advice, QuoteProposal, Reason
from mmframe.testing import START_NS, build_component, make_advice, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.90, 2.0, 100.10, 2.0, 0, 0)


def sure(**fields):
    return make_advice(**{"confidence": 0.9, "valid_until_ns": START_NS, **fields})


def advised(advice, proposal=QUOTES, *, view=None, inventory=None, **options):
    rule = build_component(ADVICE, AdviceOptions(**options))
    return rule.propose(view or make_view(), inventory or make_inventory(), advice, proposal)


def test_the_example_of_its_description_holds():
    advice = sure(bid_spread_multiplier=2.0, ask_spread_multiplier=0.5, size_multiplier=0.5, skew_bps=5.0)

    was = advised(advice)

    assert tuple(was) == pytest.approx((99.85, 1.0, 100.14, 1.0, ADVICE_CLAMPED, ADVICE_CLAMPED))


@pytest.mark.parametrize(
    "advice",
    [
        pytest.param(NEUTRAL_ADVICE, id="none"),
        pytest.param(sure(), id="neutral"),
        pytest.param(sure(skew_bps=5.0, pause=1.0, valid_until_ns=START_NS - 1), id="expired"),
        pytest.param(sure(skew_bps=5.0, pause=1.0, confidence=0.49), id="unsure"),
    ],
)
@pytest.mark.parametrize("proposal", [QUOTES, NO_QUOTE, QuoteProposal(0.1 + 0.2, 1 / 3, 1e9 / 7, 0.7, 3, 14)])
def test_advice_that_says_nothing_changes_no_bit(advice, proposal):
    assert advised(advice, proposal) is proposal


@pytest.mark.parametrize("field", [name for name in Advice._fields if name != "valid_until_ns"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_advice_that_is_no_number_is_ignored_and_says_so(field, value):
    was = advised(sure(**{field: value}))

    if field == "confidence" and value < 0:
        assert was == QUOTES
    else:
        assert was == QUOTES._replace(bid_reason=ADVICE_IGNORED, ask_reason=ADVICE_IGNORED)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"bid_spread_multiplier": 99.0}, (99.60, 2.0, 100.10, 2.0), id="wider"),
        pytest.param({"ask_spread_multiplier": -5.0}, (99.90, 2.0, 100.09, 2.0), id="closer"),
        pytest.param({"skew_bps": -1e6}, (99.80, 2.0, 100.00, 2.0), id="skew"),
        pytest.param({"size_multiplier": 7.0}, (99.90, 2.0, 100.10, 2.0), id="larger"),
        pytest.param({"position_scale": 3.0}, (99.90, 2.0, 100.10, 2.0), id="more position"),
    ],
)
def test_advice_beyond_the_options_is_held_within_them_and_says_so(fields, expected):
    was = advised(sure(**fields))

    assert tuple(was[:4]) == pytest.approx(expected)
    assert (was.bid_reason, was.ask_reason) == (ADVICE_CLAMPED, ADVICE_CLAMPED)


def test_the_options_may_allow_more():
    was = advised(
        sure(size_multiplier=1.5, ask_spread_multiplier=0.5), max_size_multiplier=2.0, min_spread_multiplier=0.5
    )

    assert tuple(was) == pytest.approx((99.90, 3.0, 100.05, 3.0, 0, 0))


def test_a_pause_takes_both_sides_away():
    was = advised(sure(pause=1.0), QUOTES._replace(bid=math.nan, bid_size=0.0, bid_reason=int(Reason.INVENTORY)))

    assert (was.bid_size, was.ask_size) == (0.0, 0.0)
    assert (was.bid_reason, was.ask_reason) == (Reason.INVENTORY, Reason.ADVICE_PAUSE)


def test_a_size_of_nothing_is_a_pause_unless_the_options_keep_some():
    gone = advised(sure(size_multiplier=0.0))
    kept = advised(sure(size_multiplier=0.0), min_size_multiplier=0.25)

    assert (gone.bid_size, gone.bid_reason, gone.ask_reason) == (0.0, Reason.ADVICE_PAUSE, Reason.ADVICE_PAUSE)
    assert (kept.bid_size, kept.bid_reason) == (0.5, ADVICE_CLAMPED)


@pytest.mark.parametrize(
    ("position", "options", "sizes"),
    [
        pytest.param(1.5, {}, (0.5, 2.0), id="what is left of half of 4"),
        pytest.param(-1.5, {}, (2.0, 0.5), id="short"),
        pytest.param(3.0, {}, (0.0, 2.0), id="nothing left"),
        pytest.param(1.9998, {}, (0.0, 2.0), id="less than half a lot left"),
        pytest.param(1.5, {"full_position": Decimal(10)}, (2.0, 2.0), id="the option first"),
        pytest.param(3.0, {"min_position_scale": 0.9}, (0.6, 2.0), id="a smallest share"),
    ],
)
def test_a_position_scale_leaves_only_what_is_within_its_share(position, options, sizes):
    was = advised(sure(position_scale=0.5), inventory=make_inventory(position, max_position=4.0), **options)

    assert (was.bid_size, was.ask_size) == pytest.approx(sizes)
    if not was.bid_size:
        assert was.bid_reason == Reason.INVENTORY


def test_without_any_limit_the_whole_position_is_ten_orders():
    was = advised(sure(position_scale=0.5), view=make_view(order_size=1.0), inventory=make_inventory(4.0))

    assert (was.bid_size, was.ask_size) == (1.0, 2.0)


def test_a_multiplier_above_one_moves_leaning_quotes_out_too():
    was = advised(sure(bid_spread_multiplier=2.0), QuoteProposal(100.05, 2.0, 100.25, 2.0, 0, 0))

    assert (was.bid, was.ask) == pytest.approx((99.95, 100.25))


@pytest.mark.parametrize(
    ("view", "position", "reason"),
    [
        (make_view()._replace(mid=math.nan), 0.0, Reason.BOOK_EMPTY),
        (make_view(), math.nan, Reason.NOT_FINITE),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(view, position, reason):
    was = advised(sure(position_scale=0.5), view=view, inventory=make_inventory(position))

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


NUMBERS = st.one_of(st.floats(-10.0, 10.0), st.floats())


@settings(max_examples=100)
@given(situations(), st.tuples(*[NUMBERS] * 6), st.floats(0.5, 1.0))
def test_whatever_is_advised_the_bounds_hold(situation, numbers, confidence):
    view, inventory, _, before = situation
    advice = Advice(*numbers, confidence, view.now_ns)

    after = build_component(ADVICE).propose(view, inventory, advice, before)

    assert 0.0 <= after.bid_size <= before.bid_size
    assert 0.0 <= after.ask_size <= before.ask_size
    slack = 1e-9 * view.mid
    for price, was in ((after.bid, before.bid), (after.ask, before.ask)):
        assert math.isnan(price) or 0.0 < price < math.inf
        # Half the width, or the distance of one quote alone, times 3 at most, and the skew.
        reach = before.ask - before.bid if before.bid_size and before.ask_size else abs(was - view.mid) * 2.0
        assert math.isnan(price) or abs(price - was) <= 1.5 * reach + view.mid * 1e-3 + view.tick + slack
    if after.bid_size and after.ask_size:
        width, was = after.ask - after.bid, before.ask - before.bid
        assert 0.9 * was - slack <= width <= max(4.0 * was, view.tick) + slack

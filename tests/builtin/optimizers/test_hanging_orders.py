"""`hanging-orders` keeps the quote opposite a fill at its price until it is filled, too far away or too old."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.hanging_orders import HANGING, HANGING_ORDERS, HangingOrdersOptions
from mmframe.domain.views import NEUTRAL_ADVICE, FillTick, QuoteProposal, Reason
from mmframe.testing import START_NS, build_component, make_instrument, make_inventory, make_view

SECOND_NS = 1_000_000_000
NO_ASK = {"ask": math.nan, "ask_size": 0.0, "ask_reason": int(Reason.ADVICE_PAUSE)}


class Hanging:
    """The stage behind a model that quotes 0.10 on either side of the mid, in a book that is 0.155 away from it."""

    def __init__(self, instrument=None, **options):
        self.rule = build_component(
            HANGING_ORDERS, HangingOrdersOptions(**options), instruments=(instrument or make_instrument(),)
        )

    def at(self, mid, *, at_s=0.0, size=1.0, touch=0.155, **changes):
        proposal = QuoteProposal(mid - 0.1, size, mid + 0.1, size, 0, 0)._replace(**changes)
        middle = 100.0 if math.isnan(mid) else mid
        now_ns = START_NS + round(at_s * SECOND_NS)
        view = make_view(middle - touch, middle + touch, now_ns=now_ns)._replace(mid=mid)
        return self.rule.propose(view, make_inventory(), NEUTRAL_ADVICE, proposal)

    def filled(self, side, size, *, at_s=0.0):
        price = 99.9 if side > 0 else 100.1
        self.rule.on_fill(FillTick(START_NS + round(at_s * SECOND_NS), price, size, side, 100.0, 1.0))


def prices(quotes):
    return pytest.approx((quotes.bid, quotes.ask))


def test_the_example_of_its_description_holds():
    stage = Hanging()
    stage.at(100.0)

    stage.filled(1.0, 0.4)
    part = stage.at(99.6)
    stage.at(100.0)
    stage.filled(1.0, 0.6)
    hangs = stage.at(99.6)
    stage.filled(-1.0, 0.3)
    rest = stage.at(99.6)
    stage.filled(-1.0, 0.7)
    after = stage.at(99.6)

    assert prices(part) == (99.5, 99.7)
    assert prices(hangs) == (99.5, 100.1)
    assert (hangs.ask_size, hangs.bid_reason, hangs.ask_reason) == (1.0, 0, HANGING)
    assert (prices(rest), rest.ask_size) == ((99.5, 100.1), pytest.approx(0.7))
    assert (prices(after), after.ask_size) == ((99.5, 99.7), 1.0)


def test_the_bid_hangs_after_a_sale():
    stage = Hanging()
    stage.at(100.0)

    stage.filled(-1.0, 1.0)

    assert prices(stage.at(100.4)) == (99.9, 100.5)


def test_further_fills_opposite_and_its_own_fill_let_nothing_hang():
    stage = Hanging()
    stage.at(100.0)
    stage.filled(1.0, 1.0)
    stage.at(99.6)

    stage.filled(1.0, 1.0)
    second = stage.at(99.0)
    stage.filled(-1.0, 1.0)

    assert prices(second) == (98.9, 100.1)
    assert prices(stage.at(99.0)) == (98.9, 99.1)


@pytest.mark.parametrize(
    ("mid", "at_s", "hangs"),
    [
        pytest.param(95.4, 0.0, True, id="near"),
        pytest.param(95.3, 0.0, False, id="5 % away"),
        pytest.param(99.6, 60.0, True, id="young"),
        pytest.param(99.6, 60.1, False, id="old"),
    ],
)
def test_it_is_given_up_when_too_far_away_or_too_old(mid, at_s, hangs):
    stage = Hanging(cancel_percent=5.0, max_age_s=60.0)
    stage.at(100.0)
    stage.filled(1.0, 1.0)

    assert stage.at(mid, at_s=at_s).ask == pytest.approx(100.1 if hangs else mid + 0.1)
    assert stage.at(100.0, at_s=at_s).ask_reason == (HANGING if hangs else 0)


def test_a_clock_that_goes_back_counts_the_age_anew():
    stage = Hanging(max_age_s=60.0)
    stage.at(100.0, at_s=1_000.0)
    stage.filled(1.0, 1.0, at_s=1_000.0)

    reasons = [stage.at(99.6, at_s=at_s).ask_reason for at_s in (0.0, 60.0, 61.0)]

    assert reasons == [HANGING, HANGING, 0]


def test_a_side_that_is_taken_away_is_obeyed_and_comes_back_to_its_price():
    stage = Hanging()
    stage.at(100.0)
    stage.filled(1.0, 1.0)

    gone = stage.at(99.6, **NO_ASK)

    assert (gone.ask_size, gone.ask_reason) == (0.0, Reason.ADVICE_PAUSE)
    assert stage.at(99.6).ask == pytest.approx(100.1)


def test_nothing_hangs_where_nothing_was_quoted():
    stage = Hanging()
    stage.at(100.0, **NO_ASK)
    stage.filled(1.0, 1.0)

    assert prices(stage.at(99.6)) == (99.5, 99.7)


def test_the_new_quote_keeps_a_tick_away_from_the_hanging_one():
    stage = Hanging()
    stage.at(100.0)
    stage.filled(1.0, 1.0)

    assert prices(stage.at(100.2)) == (100.09, 100.1)


def test_a_price_that_the_market_has_come_through_gives_way_to_the_better_one_until_it_is_back():
    long, short = Hanging(), Hanging()
    for stage, side in ((long, 1.0), (short, -1.0)):
        stage.at(100.0)
        stage.filled(side, 1.0)

    assert prices(long.at(100.3)) == (100.2, 100.4)
    assert prices(short.at(99.7)) == (99.6, 99.8)
    assert (long.at(99.6).ask, short.at(100.4).bid) == pytest.approx((100.1, 99.9))


@pytest.mark.parametrize(
    "instrument",
    [make_instrument(min_size_lots=300), make_instrument(min_notional_quote="30.03")],
    ids=["size", "value"],
)
@pytest.mark.parametrize(("filled", "hangs"), [(0.7, True), (0.701, False)])
def test_a_rest_too_small_to_be_an_order_does_not_keep_its_side_empty(instrument, filled, hangs):
    stage = Hanging(instrument)
    stage.at(100.0)
    stage.filled(1.0, 1.0)
    stage.filled(-1.0, filled)

    was = stage.at(99.6)

    assert (was.ask, was.ask_size) == (pytest.approx(100.1 if hangs else 99.7), pytest.approx(0.3 if hangs else 1.0))


def test_a_bid_without_a_price_left_below_the_hanging_ask_is_withdrawn():
    stage = Hanging(cancel_percent=100.0)
    stage.at(1.0, touch=0.999, bid=0.5, ask=0.005)
    stage.filled(1.0, 1.0)

    was = stage.at(1.0, touch=0.999)

    assert (was.bid_size, was.bid_reason, was.ask) == (0.0, Reason.BELOW_MINIMUM, 0.005)


@pytest.mark.parametrize("size", [math.nan, 0.0, -1.0])
def test_a_fill_of_nothing_changes_nothing(size):
    stage = Hanging()
    stage.at(100.0)
    stage.filled(1.0, size)
    stage.filled(1.0, 0.9)

    assert prices(stage.at(99.6)) == (99.5, 99.7)


def test_without_a_mid_there_is_no_quote():
    was = Hanging().at(math.nan, bid=99.9, ask=100.1)

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, *[Reason.BOOK_EMPTY] * 2)


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(-200, 200), st.sampled_from((0, 1, -1)), st.integers(1, 1_000)), max_size=30),
)
def test_it_follows_the_obvious_reference(moments):
    """The reference keeps what hangs as a list of (side, price, lots left), empty or of one."""
    stage, hanging, done = Hanging(cancel_percent=1.5), [], {1: 0, -1: 0}

    for moved, side, most in moments:
        mid = 100.0 + moved / 100.0
        was = stage.at(mid)

        hanging = [one for one in hanging if abs(one[1] - mid) <= 0.015 * mid]
        bid, ask, sizes = mid - 0.1, mid + 0.1, {1: 1_000, -1: 1_000}
        for hung, price, left in hanging:
            if hung * (price - mid) >= 0.155:
                continue
            sizes[hung] = left
            bid, ask = (price, max(ask, price + 0.01)) if hung > 0 else (min(bid, price - 0.01), price)
        assert prices(was) == (bid, ask)
        assert (was.bid_size, was.ask_size) == pytest.approx((sizes[1] / 1_000, sizes[-1] / 1_000))

        if not side:
            continue
        lots = min(most, sizes[side])
        stage.filled(float(side), lots / 1_000)
        if hanging and hanging[0][0] == side:
            left = hanging[0][2] - lots
            hanging = [(side, hanging[0][1], left)] if left else []
            continue
        done[side] += lots
        if done[side] >= sizes[side]:
            done[side] = 0
            if not hanging:
                hanging = [(-side, ask if side > 0 else bid, sizes[-side])]

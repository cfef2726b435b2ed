"""`target-allocation` leans both quotes towards a share of the account's value, within bounds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.builtin.optimizers.target_allocation import NO_BALANCE, TARGET_ALLOCATION, TargetAllocationOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason
from mmframe.testing import build_component, make_inventory, make_view

QUOTES = QuoteProposal(99.95, 0.2, 100.05, 0.2, 0, 0)
SHARES = TargetAllocationOptions(target_share=0.5, tolerance=0.02, full_share=0.2, skew_bps=10.0)


def propose(position, balance, *, options=SHARES, proposal=QUOTES, mid=100.0):
    optimizer = build_component(TARGET_ALLOCATION, options)
    inventory = make_inventory(position, quote_balance=balance)
    return optimizer.propose(make_view()._replace(mid=mid), inventory, NEUTRAL_ADVICE, proposal)


def test_the_example_of_its_description_holds():
    made = propose(6.0, 400.0)

    assert (made.bid, made.ask) == pytest.approx((99.91, 100.01))
    assert (made.bid_size, made.ask_size, made.bid_reason) == (0.2, 0.2, 0)


@pytest.mark.parametrize(
    ("position", "balance", "shift"),
    [(5.1, 490.0, 0.0), (4.9, 510.0, 0.0), (4.0, 600.0, 0.04), (10.0, 0.0, -0.1), (0.0, 1000.0, 0.1)],
    ids=["within the tolerance", "also below", "too little", "all of it, bounded", "none of it, bounded"],
)
def test_the_shift_is_against_the_excess_and_bounded(position, balance, shift):
    made = propose(position, balance)

    assert (made.bid - 99.95, made.ask - 100.05) == pytest.approx((shift, shift))


@pytest.mark.parametrize(
    ("position", "balance"), [(6.0, math.nan), (0.0, 0.0), (-6.0, 400.0), (6.0, math.inf)],
    ids=["not told", "nothing there", "less than nothing", "without end"],
)  # fmt: skip
def test_without_a_share_to_compare_the_quotes_stay_and_say_why(position, balance):
    assert propose(position, balance) == QUOTES._replace(bid_reason=NO_BALANCE, ask_reason=NO_BALANCE)


def test_a_side_that_the_shift_takes_below_zero_is_not_quoted():
    made = propose(10.0, 0.0, proposal=QuoteProposal(0.05, 0.2, 100.05, 0.2, 0, 0))

    assert (made.bid_size, made.bid_reason, made.ask_size) == (0.0, Reason.INVENTORY, 0.2)


@pytest.mark.parametrize(("position", "mid", "reason"), [(math.nan, 100.0, 7), (1.0, 0.0, 6)])
def test_what_cannot_be_computed_is_not_quoted(position, mid, reason):
    made = propose(position, 400.0, mid=mid)

    assert (made.bid_size, made.ask_size, made.bid_reason, made.ask_reason) == (0.0, 0.0, reason, reason)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 1))
def test_the_distance_stays_and_more_of_the_asset_never_raises_the_quotes(position, balance, target, tolerance, full):
    options = TargetAllocationOptions(target, tolerance, full, 10.0)

    less, more = propose(position, balance, options=options), propose(position + 1.0, balance, options=options)

    assert more.ask - more.bid == pytest.approx(0.1)
    assert more.bid <= less.bid + 1e-9
    assert abs(more.bid - 99.95) <= 0.1 + 1e-9

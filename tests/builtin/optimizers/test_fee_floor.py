"""`fee-floor` keeps the closing side from a loss, and touches nothing else."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.fee_floor import (
    AVERAGE_UNKNOWN,
    FEE_FLOOR,
    FLOOR_BINDS,
    FLOOR_OUT_OF_REACH,
    FeeFloorOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.90, 0.4, 100.10, 0.4, 0, 0)


def floored(position, average=100.0, *, proposal=QUOTES, view=None, **options):
    rule = build_component(FEE_FLOOR, FeeFloorOptions(**options))
    inventory = make_inventory(position, average_price=average)
    return rule.propose(view or make_view(), inventory, NEUTRAL_ADVICE, proposal)


def test_the_example_of_its_description_holds():
    was = floored(1.0, maker_fee_bps=10.0, min_profit_bps=20.0)

    assert was.ask == pytest.approx(100.4006, abs=5e-5)
    assert was._replace(ask=QUOTES.ask) == QUOTES._replace(ask_reason=FLOOR_BINDS)


@pytest.mark.parametrize("fee_bps", [-2.0, 0.0, 10.0, 500.0])
def test_closing_at_the_floor_earns_exactly_the_fees(fee_bps):
    fee = fee_bps / 1e4
    long = floored(1.0, 200.0, maker_fee_bps=fee_bps, max_distance_bps=10_000.0, view=make_view(199.0, 199.1))
    short = floored(-1.0, 50.0, maker_fee_bps=fee_bps, max_distance_bps=10_000.0)

    assert long.ask * (1 - fee) - 200.0 * (1 + fee) == pytest.approx(0.0, abs=1e-9)
    assert 50.0 * (1 - fee) - short.bid * (1 + fee) == pytest.approx(0.0, abs=1e-9)
    assert (long.bid, short.ask) == (QUOTES.bid, QUOTES.ask)


@pytest.mark.parametrize(
    ("position", "average"),
    [
        pytest.param(0.0, 200.0, id="flat"),
        pytest.param(0.0004, 200.0, id="less than half a lot"),
        pytest.param(1.0, 99.0, id="long and in profit"),
        pytest.param(-1.0, 101.0, id="short and in profit"),
    ],
)
def test_nothing_moves_without_a_loss_to_avoid(position, average):
    assert floored(position, average) == QUOTES


def test_a_loss_may_be_allowed():
    assert floored(1.0, 101.0, allow_loss_bps=50.0).ask == pytest.approx(101.0 * 0.995)
    assert floored(-1.0, 99.0, allow_loss_bps=50.0).bid == pytest.approx(99.0 * 1.005)


@pytest.mark.parametrize(("position", "average"), [(1.0, 106.0), (-1.0, 94.0)])
def test_a_floor_out_of_reach_leaves_only_the_other_side(position, average):
    was = floored(position, average)

    closing = (was.ask_size, was.ask_reason) if position > 0 else (was.bid_size, was.bid_reason)
    assert closing == (0.0, FLOOR_OUT_OF_REACH)
    assert (was.bid if position > 0 else was.ask) == (QUOTES.bid if position > 0 else QUOTES.ask)


@pytest.mark.parametrize("average", [0.0, math.nan, math.inf, -5.0])
def test_without_an_average_price_nothing_is_closed(average):
    assert floored(1.0, average).ask_reason == AVERAGE_UNKNOWN
    assert floored(-1.0, average).bid_reason == AVERAGE_UNKNOWN


@pytest.mark.parametrize(
    ("position", "mid", "reason"),
    [(math.nan, 100.0, Reason.NOT_FINITE), (math.inf, 100.0, Reason.NOT_FINITE), (1.0, math.nan, Reason.BOOK_EMPTY)],
)
def test_bad_input_gives_no_quote_and_its_reason(position, mid, reason):
    was = floored(position, view=make_view()._replace(mid=mid))

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


def test_a_profit_and_a_loss_exclude_each_other():
    with pytest.raises(DomainError) as caught:
        FeeFloorOptions(min_profit_bps=1.0, allow_loss_bps=2.0)

    assert caught.value.message == "allow_loss_bps: expected 0 beside min_profit_bps, was 2"


@settings(max_examples=100)
@given(situations(), st.floats(-10.0, 100.0), st.floats(0.0, 100.0))
def test_no_quote_that_closes_loses_and_no_other_quote_changes(situation, fee_bps, profit_bps):
    view, inventory, advice, before = situation
    fee = fee_bps / 1e4
    rule = build_component(FEE_FLOOR, FeeFloorOptions(maker_fee_bps=fee_bps, min_profit_bps=profit_bps))

    after = rule.propose(view, inventory, advice, before)

    average, profit = inventory.average_price, profit_bps / 1e4
    if inventory.position > 0.0:
        assert repr(after[:2]) == repr(before[:2])
        assert not after.ask_size or after.ask * (1 - fee) >= average * (1 + fee) * (1 + profit) * (1 - 1e-12)
        assert not after.ask_size or after.ask >= before.ask
    elif inventory.position < 0.0:
        assert repr(after[2:4]) == repr(before[2:4])
        assert not after.bid_size or after.bid * (1 + fee) <= average * (1 - fee) * (1 - profit) * (1 + 1e-12)
        assert not after.bid_size or after.bid <= before.bid
    else:
        assert repr(after) == repr(before)

"""`inventory-skew` leans against the position and adds nothing of its own."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.inventory_skew import INVENTORY_SKEW, InventorySkewOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.95, 0.4, 100.05, 0.4, 0, 0)
NO_BID = QuoteProposal(math.nan, 0.0, 100.05, 0.4, int(Reason.WARMING_UP), 0)


def skewed(proposal=QUOTES, *, view=None, inventory=None, **options):
    optimizer = build_component(INVENTORY_SKEW, InventorySkewOptions(**options))
    inventory = inventory or make_inventory(position=0.5, max_position=1.0)
    return optimizer.propose(view or make_view(), inventory, NEUTRAL_ADVICE, proposal)


def test_long_moves_both_quotes_down():
    moved = skewed(skew_bps=10.0)

    assert (moved.bid, moved.ask) == pytest.approx((99.90, 100.00))


def test_short_moves_both_quotes_up():
    moved = skewed(inventory=make_inventory(position=-0.5, max_position=1.0), skew_bps=10.0)

    assert (moved.bid, moved.ask) == pytest.approx((100.00, 100.10))


@pytest.mark.parametrize(
    ("options", "inventory", "shift"),
    [
        pytest.param({}, {"position": 3.0, "max_position": 1.0}, -0.10, id="full at most"),
        pytest.param({}, {"position": 0.5, "target": 0.5, "max_position": 1.0}, 0.0, id="on target"),
        pytest.param(
            {"full_position": Decimal(2)}, {"position": 1.0, "max_position": 1.0}, -0.05, id="the option first"
        ),
        pytest.param({}, {"position": 0.05}, -0.05, id="10 order sizes without a limit"),
    ],
)
def test_the_shift_is_in_proportion_to_the_position(options, inventory, shift):
    moved = skewed(inventory=make_inventory(**inventory), **options)

    assert (moved.bid - 99.95, moved.ask - 100.05) == pytest.approx((shift, shift))


@pytest.mark.parametrize(("position", "sizes"), [(0.5, (0.3, 0.4)), (-0.5, (0.4, 0.3)), (0.0, (0.4, 0.4))])
def test_size_skew_shrinks_only_the_side_that_adds(position, sizes):
    moved = skewed(inventory=make_inventory(position=position, max_position=1.0), size_skew=0.5)

    assert (moved.bid_size, moved.ask_size) == pytest.approx(sizes)


@pytest.mark.parametrize(
    ("position", "sizes"),
    [
        pytest.param(0.5, (0.4 * math.exp(-0.5), 0.4), id="long, as in the example: 0.24261"),
        pytest.param(-0.5, (0.4, 0.4 * math.exp(-0.5)), id="short"),
        pytest.param(0.0, (0.4, 0.4), id="on target"),
        pytest.param(50.0, (0.4 * math.exp(-50.0), 0.4), id="beyond the full position too"),
    ],
)
def test_sizes_may_shrink_exponentially_with_each_order_held(position, sizes):
    inventory = make_inventory(position=position, max_position=1.0)

    moved = skewed(view=make_view(order_size=0.1), inventory=inventory, size_decay_per_order=0.1)

    assert (moved.bid_size, moved.ask_size) == pytest.approx(sizes)


def test_an_exponential_size_without_an_order_size_is_nothing():
    moved = skewed(view=make_view()._replace(order_size=0.0), size_decay_per_order=0.1)

    assert (moved.bid_size, moved.bid_reason, moved.ask_size) == (0.0, Reason.INVENTORY, 0.4)


def test_sizes_shrink_in_one_way_only():
    with pytest.raises(DomainError) as caught:
        InventorySkewOptions(size_skew=0.5, size_decay_per_order=0.1)

    assert caught.value.message == "size_decay_per_order: expected 0 beside size_skew, was 0.1"


def test_a_side_that_shrinks_to_nothing_says_inventory():
    moved = skewed(inventory=make_inventory(position=1.0, max_position=1.0), size_skew=1.0)

    assert (moved.bid_size, moved.bid_reason) == (0.0, Reason.INVENTORY)
    assert (moved.ask_size, moved.ask_reason) == (0.4, 0)


def test_a_side_without_a_quote_keeps_its_own_reason():
    moved = skewed(NO_BID)

    assert (moved.bid_size, moved.bid_reason) == (0.0, Reason.WARMING_UP)
    assert moved.ask == pytest.approx(100.0)


def test_a_bid_that_would_not_be_above_zero_is_withdrawn():
    moved = skewed(QUOTES._replace(bid=0.01))

    assert (moved.bid_size, moved.bid_reason) == (0.0, Reason.INVENTORY)
    assert math.isnan(moved.bid)


@pytest.mark.parametrize(
    ("fields", "position", "reason"),
    [
        pytest.param({}, math.nan, Reason.NOT_FINITE, id="position not a number"),
        pytest.param({"mid": math.nan}, 0.5, Reason.BOOK_EMPTY, id="mid not a number"),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(fields, position, reason):
    moved = skewed(view=make_view()._replace(**fields), inventory=make_inventory(position=position, max_position=1.0))

    assert (moved.bid_size, moved.ask_size, moved.bid_reason, moved.ask_reason) == (0.0, 0.0, reason, reason)


@settings(max_examples=100)
@given(situations(), st.floats(0.0, 1_000.0), st.floats(0.0, 1.0), st.booleans())
def test_it_adds_no_size_keeps_the_distance_and_leans_the_right_way(situation, skew_bps, size_skew, exponential):
    view, inventory, advice, before = situation
    sizes = {"size_decay_per_order": size_skew} if exponential else {"size_skew": size_skew}
    rule = build_component(INVENTORY_SKEW, InventorySkewOptions(skew_bps=skew_bps, **sizes))

    after = rule.propose(view, inventory, advice, before)

    assert after.bid_size <= before.bid_size
    assert after.ask_size <= before.ask_size
    if after.bid_size and after.ask_size:
        assert after.bid < after.ask
        assert after.ask - after.bid == pytest.approx(before.ask - before.bid, abs=1e-9 * view.mid)
    excess = inventory.position - inventory.target
    if after.ask_size and before.ask_size:
        assert (after.ask - before.ask) * excess <= 0.0
    if after.bid_size and before.bid_size:
        assert (after.bid - before.bid) * excess <= 0.0

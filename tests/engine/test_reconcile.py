from __future__ import annotations

from itertools import count

import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, Cancel, OrderState, Replace, Submit, VenueCapabilities
from mmframe.engine.orders import TrackedOrder
from mmframe.engine.reconcile import Reconciler
from mmframe.engine.settings import ReconcileSettings

AMENDS = VenueCapabilities(can_amend=True, shrink_keeps_priority=True)
REPLACES = VenueCapabilities(can_replace=True)
PLAIN = VenueCapabilities()


def reconciler(capabilities=AMENDS, **fields):
    numbers = count(1)
    return Reconciler(0, ReconcileSettings(**fields), capabilities, lambda: f"n-{next(numbers)}")


def order(client_id, ticks, lots, *, side=Side.BUY, state=OrderState.OPEN):
    made = TrackedOrder(0, client_id, side, ticks, lots)
    made.state, made.version = state, 3
    return made


def actions(targets, live, *, side=Side.BUY, is_limited=False, capabilities=AMENDS, **fields):
    return reconciler(capabilities, **fields).side_actions(side, targets, live, is_limited=is_limited)


def test_a_missing_order_is_submitted():
    assert actions([(100, 5)], []) == ([Submit(0, "n-1", Side.BUY, 100, 5)], [])


def test_an_order_at_its_target_is_left_alone():
    assert actions([(100, 5)], [order("a", 100, 5)]) == ([], ["a"])


def test_an_order_within_tolerance_keeps_its_place_in_the_queue():
    kept = actions([(100, 100)], [order("a", 98, 91)], price_tolerance_ticks=2, size_tolerance=0.1)

    assert kept == ([], ["a"])


def test_an_order_more_aggressive_than_its_target_is_never_kept():
    made, kept = actions([(100, 5)], [order("a", 101, 5)], price_tolerance_ticks=9)
    assert (made, kept) == ([Amend(0, "a", 100, 5, 3)], [])

    made, kept = actions([(100, 5)], [order("a", 99, 5, side=Side.SELL)], side=Side.SELL, price_tolerance_ticks=9)
    assert (made, kept) == ([Amend(0, "a", 100, 5, 3)], [])


@pytest.mark.parametrize("capabilities", [AMENDS, REPLACES], ids=["amends", "replaces"])
@pytest.mark.parametrize(
    ("side", "ticks", "lots", "goes"),
    [
        (Side.BUY, 101, 5, True),
        (Side.SELL, 99, 5, True),
        (Side.BUY, 100, 6, True),
        (Side.BUY, 99, 5, False),
        (Side.SELL, 101, 5, False),
        (Side.BUY, 100, 4, False),
    ],
    ids=["buy ahead", "sell ahead", "larger", "buy behind", "sell behind", "smaller"],
)
def test_an_order_ahead_of_its_target_that_the_venue_does_not_let_move_is_cancelled(
    capabilities, side, ticks, lots, goes
):
    stuck = order("a", ticks, lots, side=side)
    for refusals, is_cancelled in [(1, False), (2, goes), (3, goes)]:
        stuck.move_refusals = refusals
        (made,), _ = actions([(100, 5)], [stuck], side=side, capabilities=capabilities)
        assert (made == Cancel(0, "a")) is is_cancelled


def test_no_tolerance_lets_an_order_stay_above_a_limit():
    made, kept = actions([(100, 95)], [order("a", 100, 100)], is_limited=True)

    assert (made, kept) == ([Amend(0, "a", 100, 95, 3)], [])


def test_a_smaller_size_is_an_amend_where_that_keeps_the_place():
    assert actions([(100, 5)], [order("a", 100, 50)])[0] == [Amend(0, "a", 100, 5, 3)]


def test_a_smaller_size_moves_the_order_where_an_amend_would_lose_the_place_too():
    capabilities = VenueCapabilities(can_amend=True, can_replace=True)

    assert actions([(100, 5)], [order("a", 100, 50)], capabilities=capabilities)[0] == [Replace(0, "a", "n-1", 100, 5)]


def test_a_smaller_size_is_an_amend_where_nothing_else_changes_an_order_in_one_request():
    capabilities = VenueCapabilities(can_amend=True)

    assert actions([(100, 5)], [order("a", 100, 50)], capabilities=capabilities)[0] == [Amend(0, "a", 100, 5, 3)]


@pytest.mark.parametrize(
    ("target", "can_replace", "expected"),
    [
        pytest.param((100, 5), True, Amend(0, "a", 100, 5, 3), id="smaller"),
        pytest.param((100, 90), True, Replace(0, "a", "n-1", 100, 90), id="larger"),
        pytest.param((99, 5), True, Replace(0, "a", "n-1", 99, 5), id="smaller, elsewhere"),
        pytest.param((101, 50), False, Cancel(0, "a"), id="elsewhere, without replace"),
    ],
)
def test_an_amend_that_only_shrinks_is_used_for_nothing_else(target, can_replace, expected):
    capabilities = VenueCapabilities(
        can_amend=True, shrink_keeps_priority=True, amend_only_shrinks=True, can_replace=can_replace
    )

    assert actions([target], [order("a", 100, 50)], capabilities=capabilities)[0] == [expected]


def test_without_amend_an_order_is_replaced():
    assert actions([(101, 5)], [order("a", 100, 5)], capabilities=REPLACES)[0] == [Replace(0, "a", "n-1", 101, 5)]


def test_without_amend_and_replace_it_is_cancelled_and_placed_anew_once_it_is_gone():
    assert actions([(101, 5)], [order("a", 100, 5)], capabilities=PLAIN)[0] == [Cancel(0, "a")]
    assert actions([(101, 5)], [], capabilities=PLAIN)[0] == [Submit(0, "n-1", Side.BUY, 101, 5)]


def test_no_target_means_no_order():
    assert actions([], [order("a", 100, 5), order("b", 99, 5)])[0] == [Cancel(0, "a"), Cancel(0, "b")]


def test_an_order_whose_answer_is_awaited_holds_its_target():
    live = [order("a", 100, 5, state=OrderState.SENT), order("b", 95, 5, state=OrderState.PENDING_REPLACE)]

    assert actions([(101, 5), (96, 5), (90, 5)], live)[0] == [Submit(0, "n-1", Side.BUY, 90, 5)]


def test_an_order_being_cancelled_or_ending_holds_none():
    ending = order("b", 100, 5)
    ending.ends_as = OrderState.CANCELED
    live = [order("a", 100, 5, state=OrderState.PENDING_CANCEL), ending]

    assert actions([(100, 5)], live)[0] == [Submit(0, "n-1", Side.BUY, 100, 5)]


def test_a_ladder_that_moves_by_one_level_moves_one_order():
    live = [order("c", 98, 5), order("a", 100, 5), order("b", 99, 5)]

    made, kept = actions([(101, 5), (100, 5), (99, 5)], live)

    assert made == [Amend(0, "c", 101, 5, 3)]
    assert sorted(kept) == ["a", "b"]


def test_cancels_come_before_moves_and_moves_before_new_orders():
    live = [order("a", 100, 5), order("b", 99, 5), order("c", 98, 5)]

    made, _ = actions([(105, 5)], live)
    assert made == [Cancel(0, "b"), Cancel(0, "c"), Amend(0, "a", 105, 5, 3)]

    made, _ = actions([(105, 5), (104, 5)], live[:1])
    assert made == [Amend(0, "a", 105, 5, 3), Submit(0, "n-1", Side.BUY, 104, 5)]

"""`ping-pong` takes turns by the position, through partial fills and restarts."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.ping_pong import OTHER_SIDE_FIRST, PING_PONG, PingPongOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason
from mmframe.testing import build_component, make_instrument, make_inventory, make_view

QUOTES = QuoteProposal(99.90, 0.1, 100.10, 0.1, 0, 0)
VIEW = make_view(order_size=0.1)


class Turns:
    """The stage, told one position after another."""

    def __init__(self, *, target=0.0, instrument=None, **options):
        grid = instrument or make_instrument()
        self.rule = build_component(PING_PONG, PingPongOptions(**options), instruments=(grid,))
        self.target = target

    def at(self, position, proposal=QUOTES):
        return self.rule.propose(VIEW, make_inventory(position, target=self.target), NEUTRAL_ADVICE, proposal)

    def sizes(self, *positions):
        return [(round(quotes.bid_size, 9), round(quotes.ask_size, 9)) for quotes in map(self.at, positions)]


def test_the_example_of_its_description_holds():
    assert Turns().sizes(0.0, 0.04, 0.1, 0.03, 0.0) == [(0.1, 0.1), (0.06, 0.1), (0.0, 0.1), (0.0, 0.03), (0.1, 0.1)]


def test_it_takes_turns_the_other_way_round_and_around_a_target():
    sizes = Turns(target=1.0).sizes(1.0, 0.96, 0.9, 0.97, 1.0)

    assert sizes == [(0.1, 0.1), (0.1, 0.06), (0.1, 0.0), (0.03, 0.0), (0.1, 0.1)]


def test_the_side_that_waits_says_so_and_the_other_one_stays_as_it_is():
    was = Turns().at(0.1)

    assert math.isnan(was.bid)
    assert (was.bid_reason, was.ask, was.ask_size, was.ask_reason) == (OTHER_SIDE_FIRST, 100.10, 0.1, 0)


def test_several_orders_may_make_a_turn():
    assert Turns(max_orders=3).sizes(0.1, 0.25, 0.3, 0.05, 0.0) == [
        (0.1, 0.1),
        (0.05, 0.1),
        (0.0, 0.1),
        (0.0, 0.05),
        (0.1, 0.1),
    ]


def test_a_jump_from_one_turn_over_the_target_into_the_other_changes_sides():
    assert Turns().sizes(0.1, -0.1) == [(0.0, 0.1), (0.1, 0.0)]


def test_a_restart_with_a_whole_turn_still_to_come_back_waits():
    assert Turns().sizes(0.5) == [(0.0, 0.1)]


def test_a_sum_of_fills_that_misses_by_a_rounding_is_whole():
    assert Turns().sizes(sum([0.01] * 10)) == [(0.0, 0.1)]
    assert Turns().sizes(0.1, 1e-17) == [(0.0, 0.1), (0.1, 0.1)]


@pytest.mark.parametrize(
    "instrument",
    [make_instrument(min_size_lots=50), make_instrument(min_notional_quote="5.005")],
    ids=["smallest size", "smallest notional"],
)
def test_a_rest_too_small_for_an_order_is_brought_back_by_the_smallest_one(instrument):
    assert Turns(instrument=instrument).sizes(0.1, 0.002, -0.048) == [(0.0, 0.1), (0.0, 0.05), (0.1, 0.052)]


def test_a_side_without_a_quote_keeps_its_own_reason():
    was = Turns().at(0.1, QUOTES._replace(bid=math.nan, bid_size=0.0, bid_reason=int(Reason.WARMING_UP)))

    assert (was.bid_size, was.bid_reason) == (0.0, Reason.WARMING_UP)


@pytest.mark.parametrize(
    ("position", "order_size", "reason"),
    [(math.nan, 0.1, Reason.NOT_FINITE), (math.inf, 0.1, Reason.NOT_FINITE), (0.0, 0.0, Reason.BELOW_MINIMUM)],
)
def test_bad_input_gives_no_quote_and_its_reason(position, order_size, reason):
    rule = build_component(PING_PONG)

    was = rule.propose(VIEW._replace(order_size=order_size), make_inventory(position), NEUTRAL_ADVICE, QUOTES)

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 100)), max_size=40), st.integers(1, 3))
def test_whatever_is_filled_of_the_quotes_the_position_stays_within_a_turn_and_turns_end_at_the_target(fills, orders):
    turns, lots, waiting = Turns(max_orders=orders), 0, 0

    for takes_bid, percent in fills:
        quotes = turns.at(lots * 0.001)
        bid_lots, ask_lots = round(quotes.bid_size / 0.001), round(quotes.ask_size / 0.001)
        assert bid_lots or ask_lots
        assert waiting <= 0 or not bid_lots
        assert waiting >= 0 or not ask_lots
        lots += math.ceil(bid_lots * percent / 100) if takes_bid else -math.ceil(ask_lots * percent / 100)
        assert abs(lots) <= 100 * orders
        if abs(lots) == 100 * orders:
            waiting = 1 if lots > 0 else -1
        elif lots == 0:
            waiting = 0
        # What brings a turn back never goes past the target.
        assert waiting * lots >= 0

"""`request-budget` never lets a window be overspent by one who heeds it, and saves requests before it must stop."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.request_budget import (
    BUDGET_LOW,
    ORDER_TO_TRADE_SPENT,
    ORDERS_SPENT,
    REQUEST_BUDGET,
    REQUESTS_SPENT,
    RequestBudgetOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_inventory, make_view

QUOTES = QuoteProposal(99.95, 0.2, 100.05, 0.2, 0, 0)


class Desk:
    """Calls one control as a run does: with counters that only grow."""

    def __init__(self, **options):
        self.control = build_component(REQUEST_BUDGET, RequestBudgetOptions(**options))
        self.orders = self.requests = self.fills = 0
        self.assess(0)

    def send(self, orders, requests=0):
        self.orders += orders
        self.requests += orders + requests

    def assess(self, seconds, quotes=QUOTES, *, mid=100.0, open_orders=0):
        view = make_view(now_ns=START_NS + round(seconds * 1e9))._replace(mid=mid)
        inventory = make_inventory(
            orders_sent=float(self.orders),
            requests_sent=float(self.requests),
            fill_count=float(self.fills),
            open_orders=float(open_orders),
        )
        return self.control.assess(view, inventory, NEUTRAL_ADVICE, quotes)


def test_the_example_of_its_description_holds():
    desk = Desk(max_orders=100, orders_window_s=10.0, soft_from=0.6, max_hold_bps=5.0)
    desk.send(60)
    calm = desk.assess(0.5)
    desk.send(20)

    held = desk.assess(1)
    stays = [desk.assess(1.1, QUOTES._replace(bid=bid)).bid for bid in (99.94, 99.9375, 99.9624, 99.95)]
    ahead = desk.assess(1.2, QUOTES._replace(bid=99.97)).bid
    behind = desk.assess(1.3, QUOTES._replace(bid=99.90)).bid
    desk.send(17)
    spent = desk.assess(2)

    assert calm.level == RiskLevel.ALLOW
    assert (held.level, held.reason) == (RiskLevel.SHRINK, BUDGET_LOW)
    assert (held.bid, held.ask) == pytest.approx((99.9375, 100.0625))
    assert stays == [held.bid] * 4
    assert (ahead, behind) == pytest.approx((99.9575, 99.8875))
    assert (spent.level, spent.reason) == (RiskLevel.CANCEL_ONLY, ORDERS_SPENT)
    # The 60 of 0.5 s and the 20 of 1 s leave the window one after the other; fewer than 90 are enough.
    assert desk.assess(10.4).level == RiskLevel.CANCEL_ONLY
    assert desk.assess(11).level == RiskLevel.ALLOW


def test_an_ask_is_held_as_a_bid_is_and_a_side_that_goes_is_forgotten():
    desk = Desk(max_orders=100, soft_from=0.6, max_hold_bps=5.0)
    desk.send(80)

    asks = [desk.assess(1, QUOTES._replace(ask=ask)).ask for ask in (100.05, 100.06, 100.0376, 100.03, 100.08)]
    desk.assess(2, QUOTES._replace(bid=0.0, bid_size=0.0, ask=0.0, ask_size=0.0))
    back = desk.assess(3, QUOTES._replace(bid=99.94, ask=100.08))

    # From the third on it is too far ahead of the held one, and then behind it.
    assert asks == pytest.approx([100.0625, 100.0625, 100.0625, 100.0425, 100.0925])
    assert (back.bid, back.ask) == pytest.approx((99.9275, 100.0925))


def test_a_reserve_is_kept_for_the_cancels_of_what_rests():
    desk = Desk(max_requests=100, requests_window_s=60.0, reserve=4, soft_from=0.5, resume_below=0.6)
    desk.send(0, requests=86)

    # 4 more, their 4 cancels, and those of the 6 that rest: 100.
    assert desk.assess(1, open_orders=6).level == RiskLevel.SHRINK
    assert desk.assess(1, open_orders=7).reason == REQUESTS_SPENT


def test_a_budget_of_a_day_is_a_budget_of_24_hours():
    desk = Desk(max_daily_orders=1_000)
    desk.send(999)

    assert desk.assess(1).reason == ORDERS_SPENT
    assert desk.assess(86_399).reason == ORDERS_SPENT
    assert desk.assess(86_400 + 3_601).level == RiskLevel.ALLOW


def test_without_an_execution_one_is_assumed_and_each_one_makes_room():
    desk = Desk(max_order_to_trade=49.0, ratio_from_requests=0, soft_from=0.5)
    desk.send(24, requests=23)

    assert desk.assess(1).reason == ORDER_TO_TRADE_SPENT
    desk.fills += 1
    assert desk.assess(2).reason == ORDER_TO_TRADE_SPENT
    # 47 requests on two executions: 47 / 2 - 1 = 22.5 of 49.
    desk.fills += 1
    assert desk.assess(3).level == RiskLevel.ALLOW


def test_up_to_some_requests_the_ratio_is_not_looked_at():
    desk = Desk(max_order_to_trade=9.0, ratio_from_requests=100, soft_from=0.95, resume_below=0.96)
    desk.send(50, requests=42)

    assert desk.assess(1).level == RiskLevel.ALLOW
    desk.send(1)
    assert desk.assess(2).reason == ORDER_TO_TRADE_SPENT


def test_an_execution_takes_off_what_was_sent_before_it_and_nothing_below_zero():
    desk = Desk(max_orders=20, order_credit=5, reserve=1, soft_from=0.5)
    desk.fills += 3
    desk.assess(1)
    desk.send(20)

    # The three fills took the count to 0 and not below it; the next one takes 5 off.
    assert desk.assess(2).reason == ORDERS_SPENT
    desk.fills += 1
    assert desk.assess(3).level == RiskLevel.SHRINK
    desk.send(5)
    assert desk.assess(4).level == RiskLevel.CANCEL_ONLY


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=40), st.integers(0, 5))
def test_the_count_is_never_below_that_of_a_venue_that_credits_executions(steps, credit):
    # As Binance counts: from 0 in each interval, a new order adds one, an execution takes off some, never below 0.
    desk = Desk(max_orders=40, orders_window_s=10.0, order_credit=credit, reserve=1, soft_from=0.0, resume_below=0.9)
    counts = []

    for second, (orders, fills) in enumerate(steps):
        desk.fills += fills
        desk.send(orders)
        counts = [max(0, count - credit * fills) + orders for count in [*counts, 0][-10:]]

        verdict = desk.assess(second + 0.5)

        assert max(counts) + 1 <= 40 or verdict.level == RiskLevel.CANCEL_ONLY
        if credit == 0 and verdict.level == RiskLevel.ALLOW:
            assert max(counts) == 0


def test_a_new_process_counts_from_nothing_but_remembers_the_window():
    desk = Desk(max_orders=100, reserve=4)
    desk.send(80)
    desk.assess(1)

    # Restored into a process whose counters begin at 0 again, and which has sent 17 itself.
    desk.orders = desk.requests = 17

    assert desk.assess(2).reason == ORDERS_SPENT


def test_on_a_clock_that_began_anew_what_is_spent_grows_old_and_goes():
    desk = Desk(max_orders=100, orders_window_s=10.0)
    desk.assess(5_000)
    desk.send(99)
    assert desk.assess(5_001).reason == ORDERS_SPENT

    assert desk.assess(3).reason == ORDERS_SPENT
    assert desk.assess(12.9).reason == ORDERS_SPENT
    assert desk.assess(13.5).level == RiskLevel.ALLOW


def test_a_counter_that_is_no_number_cancels():
    control = Desk(max_orders=100).control
    inventory = make_inventory(orders_sent=math.nan)

    assert control.assess(make_view(), inventory, NEUTRAL_ADVICE, QUOTES).reason == Reason.NOT_FINITE


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "max_orders: expected this or another of max_daily_orders, max_requests"),
        ({"max_orders": 8, "reserve": 4}, "max_orders: expected more than 8.88889, was 8"),
        (
            {"max_order_to_trade": 3.0, "ratio_from_requests": 0},
            "max_order_to_trade: expected more than 7.88889, was 3",
        ),
        ({"max_orders": 100, "soft_from": 0.9}, "resume_below: expected more than soft_from, 0.9, was 0.9"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(options, text):
    with pytest.raises(DomainError, match=text):
        RequestBudgetOptions(**options)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 4), st.integers(0, 2)), min_size=10, max_size=80),
    st.integers(20, 60),
    st.integers(30, 90),
)
def test_who_heeds_it_never_overspends_any_window(steps, max_orders, max_requests):
    desk = Desk(max_orders=max_orders, orders_window_s=2.0, max_requests=max_requests, requests_window_s=5.0, reserve=4)
    sent, seconds, resting = [], 0.0, 0

    for wait, wanted, leaving in steps:
        seconds += wait / 50
        verdict = desk.assess(seconds, open_orders=resting)
        if verdict.level >= RiskLevel.CANCEL_ONLY:
            orders, cancels = 0, resting
        else:
            cancels = min(leaving, resting)
            orders = min(wanted, 4 - cancels)
            assert verdict.bid <= QUOTES.bid
            assert verdict.ask >= QUOTES.ask
            assert (verdict.bid_size, verdict.ask_size) == (0.2, 0.2)
        resting += orders - cancels
        desk.send(orders, requests=cancels)
        sent.append((seconds, orders, orders + cancels))

        assert sum(count for at, count, _ in sent if seconds - at < 2.0) <= max_orders
        assert sum(count for at, _, count in sent if seconds - at < 5.0) <= max_requests


def moves_of(max_hold_bps, steps=4_000):
    """How often the bid of a wandering market moves at nine tenths of a budget."""
    desk = Desk(max_orders=1_000, orders_window_s=86_400.0, soft_from=0.5, resume_below=0.95, max_hold_bps=max_hold_bps)
    desk.send(900)
    chance, bid, last, moves = random.Random(1), 100.0, 0.0, 0
    for number in range(steps):
        bid += chance.choice((-0.01, 0.01))
        verdict = desk.assess(1 + number * 0.1, QUOTES._replace(bid=bid, ask=bid + 0.1), mid=bid + 0.05)
        assert verdict.bid <= bid
        moves += verdict.bid != last
        last = verdict.bid
    return moves


def test_twice_the_reach_is_about_a_quarter_of_the_requests():
    free, narrow, wide = moves_of(0.0), moves_of(10.0), moves_of(20.0)

    assert free == 4_000
    assert narrow < free / 10
    assert 2.5 < narrow / wide < 6.0

"""`depth-adaptive` answers to the depth of each side, within its bounds, and adds nothing of its own."""

import math

import pytest
from hypothesis import given, settings

from mmframe.builtin.optimizers.depth_adaptive import DEPTH_ADAPTIVE, DepthAdaptiveOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason
from mmframe.testing import build_component, make_inventory, make_signals, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.90, 0.4, 100.10, 0.4, 0, 0)


def adapted(proposal=QUOTES, *, depth=1.0, imbalance=0.0, view=None, **options):
    signals = make_signals(relative_depth=depth, imbalance=imbalance)
    view = (view or make_view())._replace(signals=signals)
    rule = build_component(DEPTH_ADAPTIVE, DepthAdaptiveOptions(**options))
    return rule.propose(view, make_inventory(), NEUTRAL_ADVICE, proposal)


def test_the_example_of_its_description_holds():
    was = adapted(depth=0.5, imbalance=0.4, elasticity=1.0)

    assert (was.bid, was.ask) == pytest.approx((99.90 - 0.1 * (1 / 0.6 - 1), 100.20))
    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.4, 0.4, 0, 0)


def test_usual_depth_changes_nothing():
    assert adapted() == QUOTES


@pytest.mark.parametrize(("depth", "half"), [(0.0, 0.20), (1e-12, 0.20), (0.25, 0.20), (4.0, 0.08), (1e12, 0.08)])
def test_both_multipliers_are_bounded(depth, half):
    was = adapted(depth=depth)

    assert (100.0 - was.bid, was.ask - 100.0) == pytest.approx((half, half))


def test_quotes_that_lean_keep_leaning():
    leaning = QuoteProposal(99.70, 0.4, 99.90, 0.4, 0, 0)

    was = adapted(leaning, depth=0.25)

    assert (was.bid, was.ask) == pytest.approx((99.60, 100.00))


def test_one_quote_alone_moves_by_its_distance_from_the_mid():
    was = adapted(QUOTES._replace(bid=math.nan, bid_size=0.0, bid_reason=int(Reason.INVENTORY)), depth=0.25)

    assert (was.ask, was.bid_size, was.bid_reason) == (pytest.approx(100.20), 0.0, Reason.INVENTORY)


def test_quotes_never_come_closer_than_a_tick():
    was = adapted(QuoteProposal(99.995, 0.4, 100.006, 0.4, 0, 0), depth=100.0, min_multiplier=0.1)

    assert was.ask - was.bid == pytest.approx(0.01)


def test_a_price_that_would_not_be_above_zero_is_withdrawn():
    view = make_view(0.01, 0.03)

    was = adapted(QuoteProposal(0.01, 0.4, 0.05, 0.4, 0, 0), depth=0.0, view=view)

    assert (was.bid_size, was.bid_reason) == (0.0, Reason.BELOW_MINIMUM)


@pytest.mark.parametrize(
    ("depth", "imbalance", "mid", "reason"),
    [
        (math.nan, 0.0, 100.0, Reason.WARMING_UP),
        (math.inf, 0.0, 100.0, Reason.WARMING_UP),
        (-1.0, 0.0, 100.0, Reason.WARMING_UP),
        (1.0, math.nan, 100.0, Reason.WARMING_UP),
        (1.0, 1.1, 100.0, Reason.WARMING_UP),
        (1.0, 0.0, math.nan, Reason.BOOK_EMPTY),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(depth, imbalance, mid, reason):
    was = adapted(depth=depth, imbalance=imbalance, view=make_view()._replace(mid=mid))

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


RANGES = {"relative_depth": (0.0, 10.0), "imbalance": (-1.0, 1.0)}


@settings(max_examples=100)
@given(situations(signals=tuple(RANGES), signal_ranges=RANGES))
def test_the_width_stays_within_the_bounds_and_the_thinner_side_moves_further(situation):
    view, inventory, advice, before = situation
    after = build_component(DEPTH_ADAPTIVE).propose(view, inventory, advice, before)

    assert after.bid_size in (0.0, before.bid_size)
    assert after.ask_size in (0.0, before.ask_size)
    if after.bid_size and after.ask_size:
        width, was = after.ask - after.bid, before.ask - before.bid
        slack = 1e-9 * view.mid
        assert 0.8 * was - slack <= width <= max(2.0 * was, view.tick) + slack
        if width > view.tick * 1.001:
            moved = (before.bid - after.bid) - (after.ask - before.ask)
            assert moved * view.signals.imbalance <= slack

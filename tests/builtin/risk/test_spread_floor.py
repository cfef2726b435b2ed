"""`spread-floor` moves quotes apart, never together, and leaves them alone where they are far enough apart."""

import math
from math import ceil, floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.spread_floor import SPREAD_FLOOR, SpreadFloorOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.testing import build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.99, 0.2, 100.01, 0.2, 0, 0)


def assess(proposal=QUOTES, *, mid=100.0, **options):
    control = build_component(SPREAD_FLOOR, SpreadFloorOptions(**options))
    return control.assess(make_view()._replace(mid=mid), make_inventory(), NEUTRAL_ADVICE, proposal)


def test_the_example_of_its_description_holds():
    verdict = assess(maker_fee_bps=2.0, min_edge_bps=1.0)

    assert verdict == RiskVerdict(
        RiskLevel.SHRINK, pytest.approx(99.975), 0.2, pytest.approx(100.025), 0.2, Reason.SPREAD_FLOOR
    )


@pytest.mark.parametrize(
    ("options", "distance"),
    [
        pytest.param({"min_spread_bps": 8.0, "maker_fee_bps": 2.0}, 0.08, id="the plain floor is larger"),
        pytest.param({"min_spread_bps": 3.0, "maker_fee_bps": 2.0}, 0.04, id="the fee floor is larger"),
        pytest.param({"maker_fee_bps": -2.0, "min_edge_bps": 10.0}, 0.06, id="a rebate pays for a part of the edge"),
    ],
)
def test_the_larger_floor_binds(options, distance):
    verdict = assess(**options)

    assert verdict.ask - verdict.bid == pytest.approx(distance)


def test_quotes_that_are_far_enough_apart_are_allowed_as_they_are():
    assert assess(min_spread_bps=2.0) == RiskVerdict(0, 99.99, 0.2, 100.01, 0.2, 0)


def test_a_skewed_pair_keeps_its_skew():
    verdict = assess(QUOTES._replace(bid=99.90, ask=99.92), min_spread_bps=4.0)

    assert (verdict.bid, verdict.ask) == pytest.approx((99.89, 99.93))


@pytest.mark.parametrize(
    ("quotes", "expected"),
    [
        pytest.param(QuoteProposal(99.99, 0.2, 0.0, 0.0, 0, 20), (99.95, 0.0), id="bid only"),
        pytest.param(QuoteProposal(0.0, 0.0, 100.01, 0.2, 20, 0), (0.0, 100.05), id="ask only"),
        pytest.param(QuoteProposal(99.90, 0.2, 0.0, 0.0, 0, 20), (99.90, 0.0), id="bid far enough"),
        pytest.param(QuoteProposal(0.0, 0.0, 0.0, 0.0, 20, 20), (0.0, 0.0), id="none"),
    ],
)
def test_a_single_side_keeps_half_the_floor_from_the_mid(quotes, expected):
    verdict = assess(quotes, min_spread_bps=10.0)

    assert (verdict.bid, verdict.ask) == pytest.approx(expected)


def test_a_bid_without_room_above_zero_is_not_quoted():
    verdict = assess(QUOTES._replace(bid=0.01, ask=0.02), min_spread_bps=5_000.0)

    assert (verdict.bid_size, verdict.level, verdict.reason) == (0.0, RiskLevel.SHRINK, Reason.SPREAD_FLOOR)


@pytest.mark.parametrize("mid", [0.0, math.nan, math.inf])
def test_a_mid_that_is_no_price_cancels(mid):
    verdict = assess(mid=mid, min_spread_bps=1.0)

    assert (verdict.level, verdict.bid_size, verdict.ask_size) == (RiskLevel.CANCEL_ONLY, 0.0, 0.0)


@settings(max_examples=100)
@given(situations(rounded=True), st.floats(0.0, 5_000.0))
def test_it_only_moves_outward_and_the_floor_survives_rounding(situation, min_spread_bps):
    view, inventory, advice, quotes = situation
    control = build_component(SPREAD_FLOOR, SpreadFloorOptions(min_spread_bps=min_spread_bps))

    verdict = control.assess(view, inventory, advice, quotes)

    assert verdict.bid_size in {quotes.bid_size, 0.0}
    assert verdict.ask_size == quotes.ask_size
    if verdict.bid_size:
        assert 0.0 < verdict.bid <= quotes.bid
    if verdict.ask_size:
        assert quotes.ask <= verdict.ask < math.inf
    assert (verdict.level == RiskLevel.ALLOW) == (verdict[1:5] == quotes[:4])
    if verdict.bid_size and verdict.ask_size:
        # As the kernel rounds: bid down, ask up, with a tolerance for binary floats.
        bid_ticks = floor(verdict.bid / view.tick + 1e-6)
        ask_ticks = ceil(verdict.ask / view.tick - 1e-6)
        assert (ask_ticks - bid_ticks) * view.tick >= min_spread_bps / 1e4 * view.mid - 1e-2 * view.tick

"""`drift-skew` shifts by what the price drifts within its horizon, as the closed form of a drift does."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.drift_skew import DRIFT_SKEW, DriftSkewOptions
from mmframe.builtin.optimizers.glft import GLFT, GlftOptions
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.testing import build_component, make_inventory, make_signals, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.90, 0.4, 100.10, 0.4, 0, 0)


def skewed(drift, proposal=QUOTES, *, view=None, **options):
    view = (view or make_view())._replace(signals=make_signals(drift=drift))
    rule = build_component(DRIFT_SKEW, DriftSkewOptions(**options))
    return rule.propose(view, make_inventory(), NEUTRAL_ADVICE, proposal)


@pytest.mark.parametrize(
    ("drift", "expected"), [(0.002, (99.92, 100.12)), (0.02, (99.95, 100.15)), (-0.02, (99.85, 100.05))]
)
def test_the_example_of_its_description_holds(drift, expected):
    was = skewed(drift)

    assert (was.bid, was.ask) == pytest.approx(expected)


def test_it_is_the_drift_term_of_the_closed_form():
    gamma, sigma, drift = 0.01, 0.3, 0.0001
    paper = {"decay_per_price": 0.3, "arrival_rate_per_s": 0.9, "risk_aversion": gamma}
    view = make_view(order_size=1.0, signals=make_signals(volatility=sigma))
    plain, drifting = (
        build_component(GLFT, GlftOptions(**paper, drift_per_s=each)).propose(
            view, make_inventory(), NEUTRAL_ADVICE, NO_QUOTE
        )
        for each in (0.0, drift)
    )
    factor = sigma * math.sqrt(gamma / (2.0 * 0.3 * 0.9) * (1.0 + gamma / 0.3) ** (1.0 + 0.3 / gamma))

    was = skewed(drift, plain, horizon_s=factor / (gamma * sigma**2))

    assert (was.bid, was.ask) == pytest.approx((drifting.bid, drifting.ask), abs=1e-12)


def test_a_price_below_zero_is_withdrawn_and_an_absent_side_keeps_its_reason():
    low = QuoteProposal(0.01, 0.4, math.nan, 0.0, 0, int(Reason.INVENTORY))

    was = skewed(-1.0, low)

    assert (was.bid_size, was.bid_reason, was.ask_reason) == (0.0, Reason.BELOW_MINIMUM, Reason.INVENTORY)


@pytest.mark.parametrize(
    ("drift", "mid", "reason"),
    [(math.nan, 100.0, Reason.WARMING_UP), (math.inf, 100.0, Reason.WARMING_UP), (0.0, math.nan, Reason.BOOK_EMPTY)],
)
def test_bad_input_gives_no_quote_and_its_reason(drift, mid, reason):
    was = skewed(drift, view=make_view()._replace(mid=mid))

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


@settings(max_examples=60)
@given(situations(signals=("drift",), signal_ranges={"drift": (-10.0, 10.0)}), st.floats(0.0, 1_000.0))
def test_it_keeps_the_distance_and_its_bound_and_goes_with_the_drift(situation, max_skew_bps):
    view, inventory, advice, before = situation
    rule = build_component(DRIFT_SKEW, DriftSkewOptions(max_skew_bps=max_skew_bps))

    after = rule.propose(view, inventory, advice, before)

    slack = 1e-9 * view.mid
    if after.bid_size and after.ask_size:
        assert after.ask - after.bid == pytest.approx(before.ask - before.bid, abs=slack)
    if after.bid_size:
        assert (after.bid - before.bid) * view.signals.drift >= 0.0
        assert abs(after.bid - before.bid) <= max_skew_bps / 10_000.0 * view.mid + slack

"""`price-collar` keeps quotes on the safe side of where the market has been."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.price_collar import OUTSIDE_COLLAR, PRICE_COLLAR, PriceCollarOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.testing import START_NS, build_component, make_inventory, make_view

SECOND_NS = 1_000_000_000


class Market:
    """A control and a market whose mid jumps."""

    def __init__(self, **options):
        self.control = build_component(PRICE_COLLAR, PriceCollarOptions(**options))

    def at(self, seconds, mid, bid=None, ask=None):
        view = make_view(mid - 0.01, mid + 0.01, now_ns=START_NS + int(seconds * SECOND_NS))
        # The mid as it is named, without the rounding of its sum.
        view = view._replace(mid=mid)
        quotes = QuoteProposal(mid - 0.05 if bid is None else bid, 0.2, mid + 0.05 if ask is None else ask, 0.2, 0, 0)
        return self.control.assess(view, make_inventory(), NEUTRAL_ADVICE, quotes)


def test_the_example_of_its_description_holds():
    market = Market(collar_bps=50.0, half_life_s=60.0)
    market.at(0, 100.0)

    spike = market.at(1, 101.0)
    later = market.at(61, 101.0)

    assert spike == RiskVerdict(RiskLevel.SHRINK, pytest.approx(100.5), 0.2, 101.05, 0.2, OUTSIDE_COLLAR)
    assert later == RiskVerdict(RiskLevel.ALLOW, 100.95, 0.2, 101.05, 0.2, 0)


def test_an_ask_does_not_follow_a_crash_and_the_bid_may():
    market = Market(collar_bps=50.0)
    market.at(0, 100.0)

    assert market.at(1, 98.0)[1:5] == pytest.approx((97.95, 0.2, 99.5, 0.2))


def test_a_quote_outside_is_removed_if_asked():
    market = Market(collar_bps=50.0, action="remove")
    market.at(0, 100.0)

    assert market.at(1, 101.0) == RiskVerdict(RiskLevel.SHRINK, 100.95, 0.0, 101.05, 0.2, OUTSIDE_COLLAR)
    wild = market.at(1, 101.0, bid=101.0, ask=99.0)
    assert wild == RiskVerdict(RiskLevel.CANCEL_ONLY, 101.0, 0.0, 99.0, 0.0, OUTSIDE_COLLAR)


def test_quotes_far_away_on_the_safe_side_stay():
    market = Market(collar_bps=50.0)

    assert market.at(0, 100.0, bid=10.0, ask=900.0).level == RiskLevel.ALLOW


def test_a_price_that_appears_after_a_silence_has_been_there_for_no_time():
    market = Market(collar_bps=50.0, half_life_s=1.0)
    market.at(0, 100.0)

    assert market.at(3_600, 101.0).bid == pytest.approx(100.5)


@pytest.mark.parametrize("mid", [0.0, math.nan, math.inf])
def test_a_mid_that_is_no_price_cancels_and_leaves_the_reference_as_it_was(mid):
    market = Market(collar_bps=50.0)
    market.at(0, 100.0)

    broken = market.control.assess(
        make_view()._replace(mid=mid), make_inventory(), NEUTRAL_ADVICE, QuoteProposal(99.0, 0.2, 101.0, 0.2, 0, 0)
    )

    assert broken[::5] == (RiskLevel.CANCEL_ONLY, Reason.BOOK_EMPTY)
    assert market.at(2, 101.0).bid == pytest.approx(100.5)


def test_time_that_does_not_pass_or_runs_back_changes_no_reference():
    market = Market(collar_bps=50.0, half_life_s=1.0)
    market.at(10, 100.0)
    market.at(10, 101.0)

    assert market.at(5, 101.0).bid == pytest.approx(100.5)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(5_000, 15_000)), min_size=1, max_size=30))
def test_the_reference_is_the_average_of_the_mid_over_time(steps):
    """The reference is fed a mid per millisecond here, each worth its own small step.

    A rule's state holds a time to a quarter of a microsecond, hence the tolerance.
    """
    market = Market(collar_bps=10.0, half_life_s=2.0)
    per_ms = 1.0 - 0.5 ** (1 / 2_000)
    now_ms, reference, in_force = 0, None, None

    for wait_ms, ticks in steps:
        mid = ticks / 100.0
        now_ms += wait_ms
        if reference is None:
            reference = mid
        else:
            for _ in range(wait_ms):
                reference += (in_force - reference) * per_ms
        in_force = mid
        verdict = market.at(now_ms / 1_000, mid, bid=mid, ask=mid + 0.01)

        assert verdict.bid == pytest.approx(min(mid, reference * 1.001), rel=1e-7)
        assert verdict.ask == pytest.approx(max(mid + 0.01, reference * 0.999), rel=1e-7)

"""`max-spread` quotes nothing while the market's own spread is too wide."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.max_spread import MAX_SPREAD, WIDE_SPREAD, MaxSpreadOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.testing import build_component, make_inventory, make_view

QUOTES = QuoteProposal(90.0, 0.2, 110.0, 0.2, 0, 0)


def control_of(max_spread_bps=50.0, hysteresis=0.2):
    return build_component(MAX_SPREAD, MaxSpreadOptions(max_spread_bps, hysteresis))


def assess(control, *touch, **fields):
    return control.assess(make_view(*touch)._replace(**fields), make_inventory(), NEUTRAL_ADVICE, QUOTES)


def test_the_example_of_its_description_holds():
    control = control_of()

    seen = [assess(control, *touch) for touch in ((99.70, 100.30), (99.775, 100.225), (99.81, 100.19))]

    none = RiskVerdict(RiskLevel.CANCEL_ONLY, 90.0, 0.0, 110.0, 0.0, WIDE_SPREAD)
    assert seen == [none, none, RiskVerdict(RiskLevel.ALLOW, 90.0, 0.2, 110.0, 0.2, 0)]


def test_the_limit_itself_is_not_too_wide_and_our_own_spread_never_is():
    # A spread of a quarter is exact in binary, and so is its share of a mid of 64.
    control = control_of(max_spread_bps=0.25 / 64 * 10_000, hysteresis=0.0)

    assert assess(control, 63.875, 64.125).level == RiskLevel.ALLOW


def test_what_is_not_a_number_is_too_wide():
    assert assess(control_of(), 99.9, 100.1, ask=math.nan)[::5] == (RiskLevel.CANCEL_ONLY, WIDE_SPREAD)
    assert assess(control_of(), 99.9, 100.1, mid=math.nan)[::5] == (RiskLevel.CANCEL_ONLY, Reason.BOOK_EMPTY)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 100), min_size=1, max_size=40))
def test_it_binds_above_the_limit_and_lets_go_at_its_lower_one(halves_bps):
    """The mid is 100, so a spread of n bps is n cents."""
    control = control_of(max_spread_bps=50.5, hysteresis=0.2)
    is_wide = False

    for bps in halves_bps:
        is_wide = bps > (40.4 if is_wide else 50.5)
        verdict = assess(control, 100.0 - bps / 200.0, 100.0 + bps / 200.0)

        assert verdict.level == (RiskLevel.CANCEL_ONLY if is_wide else RiskLevel.ALLOW)

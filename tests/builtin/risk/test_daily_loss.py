"""`daily-loss` lets sizes fall to nothing as the day's loss nears its limit, and halts there."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.daily_loss import DAILY_LOSS, DAY_GIVE_BACK, NEAR_DAILY_LOSS, DailyLossOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.plugin import Scope
from mmframe.testing import build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)


def assess(proposal=QUOTES, *, position=0.0, limit="100", shrink_from=0.5, trailing=False, **pnl):
    control = build_component(DAILY_LOSS, DailyLossOptions(Decimal(limit), shrink_from, trailing))
    return control.assess(make_view(), make_inventory(position=position, **pnl), NEUTRAL_ADVICE, proposal)


def test_the_example_of_its_description_holds():
    verdict = assess(position=0.05, day_pnl_quote=-75.0)

    assert verdict == RiskVerdict(
        RiskLevel.SHRINK, 99.9, pytest.approx(0.1), 100.1, pytest.approx(0.125), NEAR_DAILY_LOSS
    )


@pytest.mark.parametrize(
    ("pnl", "expected"),
    [
        pytest.param(300.0, RiskVerdict(RiskLevel.ALLOW, 99.9, 0.2, 100.1, 0.2, 0), id="a profit"),
        pytest.param(-50.0, RiskVerdict(RiskLevel.ALLOW, 99.9, 0.2, 100.1, 0.2, 0), id="where the soft part begins"),
        pytest.param(-100.0, RiskVerdict(RiskLevel.HALT, 99.9, 0.0, 100.1, 0.0, Reason.DAILY_LOSS), id="at the limit"),
        pytest.param(-1e9, RiskVerdict(RiskLevel.HALT, 99.9, 0.0, 100.1, 0.0, Reason.DAILY_LOSS), id="far beyond it"),
        pytest.param(math.nan, RiskVerdict(RiskLevel.HALT, 99.9, 0.0, 100.1, 0.0, Reason.DAILY_LOSS), id="unknown"),
    ],
)
def test_it_halts_the_strategy_at_the_limit_and_not_before(pnl, expected):
    assert assess(day_pnl_quote=pnl) == expected
    assert DAILY_LOSS.scope is Scope.STRATEGY


def test_trailing_counts_from_the_peak_of_the_day():
    gain = {"day_peak_pnl_quote": 80.0, "day_pnl_quote": -20.0}

    assert assess(**gain).level == RiskLevel.ALLOW
    assert assess(**gain, trailing=True)[::5] == (RiskLevel.HALT, DAY_GIVE_BACK)
    assert assess(day_peak_pnl_quote=math.nan, trailing=True).level == RiskLevel.HALT


def test_a_resumed_day_without_trailing_stands_at_its_limit_still():
    # What the engine makes of a resume: the peak is where the profit stands.
    resumed = {"day_peak_pnl_quote": -120.0, "day_pnl_quote": -120.0}

    assert assess(**resumed).level == RiskLevel.HALT
    assert assess(**resumed, trailing=True).level == RiskLevel.ALLOW


def test_without_a_soft_part_sizes_stay_whole_up_to_the_limit():
    assert assess(day_pnl_quote=-99.99, shrink_from=1.0) == RiskVerdict(0, 99.9, 0.2, 100.1, 0.2, 0)


def test_a_side_that_only_closes_is_not_touched_and_is_no_reason():
    closing = QUOTES._replace(bid=0.0, bid_size=0.0, bid_reason=int(Reason.ONE_SIDED))

    assert assess(closing, position=1.0, day_pnl_quote=-90.0) == RiskVerdict(0, 0.0, 0.0, 100.1, 0.2, 0)


def test_a_position_that_is_not_a_number_cancels_while_sizes_shrink():
    verdict = assess(position=math.nan, day_pnl_quote=-75.0)

    assert verdict == RiskVerdict(RiskLevel.CANCEL_ONLY, 99.9, 0.0, 100.1, 0.0, Reason.NOT_FINITE)


@settings(max_examples=60)
@given(situations(rounded=True), st.floats(0.0, 0.99), st.floats(0.0, 1.0), st.booleans())
def test_more_loss_never_means_more_size(situation, less, more, trailing):
    view, inventory, advice, quotes = situation
    control = build_component(DAILY_LOSS, DailyLossOptions(Decimal(100), 0.25, trailing))

    def at(used):
        now = inventory._replace(day_pnl_quote=-100.0 * used, day_peak_pnl_quote=0.0)
        return control.assess(view, now, advice, quotes)

    smaller, larger = at(min(less, more)), at(max(less, more))

    assert larger.bid_size <= smaller.bid_size <= quotes.bid_size
    assert larger.ask_size <= smaller.ask_size <= quotes.ask_size
    if larger.level < RiskLevel.HALT:
        assert larger.bid_size >= min(quotes.bid_size, max(0.0, -inventory.position)) * (1 - 1e-9)
        assert larger.ask_size >= min(quotes.ask_size, max(0.0, inventory.position)) * (1 - 1e-9)

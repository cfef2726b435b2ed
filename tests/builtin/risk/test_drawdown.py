"""`drawdown` lets sizes fall as profit falls from its peak, and halts at the limit."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.drawdown import DRAWDOWN, DRAWDOWN_LIMIT, NEAR_DRAWDOWN, DrawdownOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.plugin import Scope
from mmframe.testing import build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)


def assess(options, *, position=0.0, **pnl):
    control = build_component(DRAWDOWN, options)
    return control.assess(make_view(), make_inventory(position=position, **pnl), NEUTRAL_ADVICE, QUOTES)


def test_the_example_of_its_description_holds():
    options = DrawdownOptions(max_drawdown_share=0.02, capital_quote=Decimal(10_000))

    verdict = assess(options, peak_pnl_quote=50.0, total_pnl_quote=-100.0)

    assert verdict == RiskVerdict(RiskLevel.SHRINK, 99.9, pytest.approx(0.1), 100.1, pytest.approx(0.1), NEAR_DRAWDOWN)


@pytest.mark.parametrize(
    ("peak", "total", "level"),
    [
        pytest.param(0.0, 0.0, RiskLevel.ALLOW, id="nothing happened yet"),
        pytest.param(500.0, 450.0, RiskLevel.ALLOW, id="where the soft part begins"),
        pytest.param(500.0, 400.01, RiskLevel.SHRINK, id="just inside"),
        pytest.param(500.0, 400.0, RiskLevel.HALT, id="at the limit, with a profit left"),
        pytest.param(0.0, -100.0, RiskLevel.HALT, id="a run that only lost"),
        pytest.param(math.nan, 0.0, RiskLevel.HALT, id="no peak"),
        pytest.param(0.0, math.nan, RiskLevel.HALT, id="no profit"),
    ],
)
def test_it_halts_the_strategy_where_the_fall_from_the_peak_is_the_limit(peak, total, level):
    verdict = assess(DrawdownOptions(Decimal(100)), peak_pnl_quote=peak, total_pnl_quote=total)

    assert verdict.level == level
    assert (verdict.reason == DRAWDOWN_LIMIT) == (level == RiskLevel.HALT)
    assert DRAWDOWN.scope is Scope.STRATEGY


def test_the_smaller_of_both_limits_binds():
    options = DrawdownOptions(Decimal(100), 0.02, Decimal(1_000))

    assert assess(options, total_pnl_quote=-20.0).level == RiskLevel.HALT


def test_the_peak_is_that_of_the_run_or_of_the_day():
    figures = {"peak_pnl_quote": 500.0, "total_pnl_quote": 300.0, "day_peak_pnl_quote": 30.0, "day_pnl_quote": 10.0}

    assert assess(DrawdownOptions(Decimal(100)), **figures).level == RiskLevel.HALT
    assert assess(DrawdownOptions(Decimal(100), reset="day"), **figures).level == RiskLevel.ALLOW
    assert assess(DrawdownOptions(Decimal(20), reset="day"), **figures).level == RiskLevel.HALT


def test_what_closes_stays_and_an_unknown_position_cancels():
    fall = {"peak_pnl_quote": 0.0, "total_pnl_quote": -75.0}

    assert assess(DrawdownOptions(Decimal(100)), position=-0.3, **fall)[1:5] == pytest.approx((99.9, 0.2, 100.1, 0.1))
    unknown = assess(DrawdownOptions(Decimal(100)), position=math.inf, **fall)
    assert unknown[::5] == (RiskLevel.CANCEL_ONLY, Reason.NOT_FINITE)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "max_drawdown_quote: expected a limit here or in max_drawdown_share, was none"),
        (
            {"max_drawdown_share": 0.05},
            "capital_quote: expected an amount beside max_drawdown_share = 0.05, was none",
        ),
    ],
)
def test_options_that_set_no_limit_are_refused(options, text):
    with pytest.raises(DomainError) as caught:
        DrawdownOptions(**options)

    assert caught.value.message == text


@settings(max_examples=60)
@given(situations(rounded=True), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_it_halts_exactly_when_some_fall_of_the_path_reaches_the_limit(situation, path):
    view, inventory, advice, quotes = situation
    control = build_component(DRAWDOWN, DrawdownOptions(Decimal(1_000)))
    peak, halted = 0.0, []

    for total in path:
        peak = max(peak, total)
        now = inventory._replace(total_pnl_quote=total, peak_pnl_quote=peak)
        halted.append(control.assess(view, now, advice, quotes).level == RiskLevel.HALT)

    assert halted == [max([0.0, *path[: end + 1]]) - path[end] >= 1_000.0 for end in range(len(path))]

"""`adverse-markouts` pulls a side when its fills keep losing by the time of the horizon, and brings it back."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.adverse_markouts import (
    ADVERSE_MARKOUTS,
    ADVERSE_MEAN,
    ADVERSE_STREAK,
    AdverseMarkoutsOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_fill, make_inventory, make_view

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)


def control_of(**options):
    return build_component(ADVERSE_MARKOUTS, AdverseMarkoutsOptions(**options))


def ns(seconds):
    return START_NS + round(seconds * 1e9)


def assess(control, seconds, mid=100.0):
    view = make_view(now_ns=ns(seconds))._replace(mid=mid)
    return control.assess(view, make_inventory(), NEUTRAL_ADVICE, QUOTES)


def fill(control, seconds, price, side=1.0):
    control.on_fill(make_fill(price=price, side=side, now_ns=ns(seconds)))


def sizes(verdict):
    return verdict.bid_size, verdict.ask_size


def test_the_example_of_its_description_holds():
    control = control_of(horizon_s=5.0, threshold_bps=2.0, count=2, cooldown_s=30.0)
    fill(control, 0, 100.0)
    fill(control, 1, 99.98)

    first, second = assess(control, 5, mid=99.97), assess(control, 6, mid=99.95)
    before, after = assess(control, 35.9), assess(control, 36)

    assert first.level == RiskLevel.ALLOW
    assert (sizes(second), second.level, second.reason) == ((0.0, 0.2), RiskLevel.SHRINK, ADVERSE_STREAK)
    assert sizes(before) == (0.0, 0.2)
    assert (sizes(after), after.reason) == ((0.2, 0.2), 0)


def test_one_good_fill_breaks_the_row():
    control = control_of(horizon_s=1.0, threshold_bps=2.0, count=2)
    for second, price in enumerate((100.1, 99.9, 100.1)):
        fill(control, second, price)

    assert assess(control, 10).level == RiskLevel.ALLOW


def test_a_fill_is_judged_by_the_first_decision_at_or_after_its_horizon():
    control = control_of(horizon_s=5.0, threshold_bps=2.0, count=1)
    fill(control, 0, 100.0)

    assert assess(control, 4.9, mid=90.0).level == RiskLevel.ALLOW
    assert assess(control, 8, mid=100.0).level == RiskLevel.ALLOW
    assert assess(control, 9, mid=90.0).level == RiskLevel.ALLOW


def test_sold_before_a_rise_pulls_the_ask():
    control = control_of(horizon_s=1.0, threshold_bps=2.0, count=1)
    fill(control, 0, 100.0, side=-1.0)

    assert sizes(assess(control, 1, mid=100.03)) == (0.2, 0.0)


def test_the_mean_pulls_where_no_row_does():
    control = control_of(horizon_s=1.0, threshold_bps=5.0, count=0, max_mean_loss_bps=2.0, mean_count=4)
    # -6, +2, -4, -1: the mean is -2.25 bps.
    for second, price in enumerate((100.06, 99.98, 100.04, 100.01)):
        fill(control, second, price)

    verdict = assess(control, 10)

    assert (sizes(verdict), verdict.reason) == ((0.0, 0.2), ADVERSE_MEAN)


def test_counted_together_both_sides_go():
    control = control_of(horizon_s=1.0, threshold_bps=2.0, count=2, pulls="both")
    fill(control, 0, 100.1)
    fill(control, 0, 99.9, side=-1.0)

    verdict = assess(control, 1)

    assert (sizes(verdict), verdict.level, verdict.reason) == ((0.0, 0.0), RiskLevel.CANCEL_ONLY, ADVERSE_STREAK)


def test_on_a_clock_that_began_anew_a_side_comes_back():
    control = control_of(horizon_s=1.0, threshold_bps=2.0, count=1, cooldown_s=30.0)
    assess(control, 1_000)
    fill(control, 1_000, 100.1)
    assert sizes(assess(control, 1_001)) == (0.0, 0.2)

    assert sizes(assess(control, 2)) == (0.0, 0.2)
    assert sizes(assess(control, 32)) == (0.2, 0.2)


def test_on_a_clock_that_began_anew_fills_that_waited_are_not_judged():
    control = control_of(horizon_s=5.0, threshold_bps=2.0, count=1)
    assess(control, 1_000)
    fill(control, 1_000, 100.0)

    assert assess(control, 3).level == RiskLevel.ALLOW
    assert assess(control, 1_010, mid=90.0).level == RiskLevel.ALLOW


def test_a_pulled_side_that_is_not_quoted_is_no_limit_that_binds():
    control = control_of(horizon_s=1.0, threshold_bps=2.0, count=1)
    fill(control, 0, 100.1)
    view, ask_only = make_view(now_ns=ns(1)), QUOTES._replace(bid=0.0, bid_size=0.0)

    assert control.assess(view, make_inventory(), NEUTRAL_ADVICE, ask_only).level == RiskLevel.ALLOW


@pytest.mark.parametrize("mid", [0.0, math.nan, math.inf])
def test_a_mid_that_is_no_price_cancels_and_judges_nothing(mid):
    control = control_of(horizon_s=1.0, count=1)
    fill(control, 0, 100.0)

    verdict = assess(control, 5, mid=mid)

    assert (verdict.level, verdict.reason) == (RiskLevel.CANCEL_ONLY, Reason.BOOK_EMPTY)
    assert assess(control, 6).level == RiskLevel.ALLOW


def test_a_control_that_would_never_pull_is_refused():
    with pytest.raises(DomainError, match="count: expected more than 0 where max_mean_loss_bps is not set, was 0"):
        AdverseMarkoutsOptions(count=0)


STEPS = st.lists(
    st.tuples(
        st.integers(1, 6), st.integers(-10, 10), st.one_of(st.none(), st.tuples(st.booleans(), st.integers(-6, 6)))
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100)
@given(STEPS, st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_it_agrees_with_keeping_every_fill(steps, count, mean_count, pulls_both):
    control = control_of(
        horizon_s=3.0,
        threshold_bps=2.0,
        count=count,
        max_mean_loss_bps=3.0,
        mean_count=mean_count,
        cooldown_s=7.0,
        pulls="both" if pulls_both else "side",
    )
    now, waiting, judged, pulled = 0, [], {True: [], False: []}, {}

    for wait, mid_ticks, filled in steps:
        now += wait
        mid = 100.0 + mid_ticks / 100.0
        if filled is not None:
            is_buy, price_ticks = filled
            price = 100.0 + price_ticks / 100.0
            fill(control, now, price, side=1.0 if is_buy else -1.0)
            waiting.append((now, price, is_buy))
        for at, price, is_buy in [item for item in waiting if now - item[0] >= 3]:
            waiting.remove((at, price, is_buy))
            markout = (mid - price) / price * 1e4 * (1 if is_buy else -1)
            row = judged[is_buy or pulls_both]
            row.append(markout)
            has_streak = len(row) >= count and all(value < -2.0 for value in row[-count:])
            has_mean = len(row) >= mean_count and sum(row[-mean_count:]) / mean_count < -3.0
            if has_streak or has_mean:
                row.clear()
                pulled[is_buy or pulls_both] = now
        away = {is_buy: is_buy in pulled and now - pulled[is_buy] < 7 for is_buy in (True, False)}

        verdict = assess(control, now, mid)

        expected = (0.0 if away[True] else 0.2, 0.0 if away[pulls_both] else 0.2)
        assert sizes(verdict) == expected

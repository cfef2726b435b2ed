"""`fill-rate` takes away the side that is filled too often or too much, for as long as it says and no longer."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.fill_rate import FILL_RATE, SIDE_BRAKED, SIDE_TAPERED, FillRateOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, RiskLevel
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_fill, make_inventory, make_view

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)
STEP_NS = 500_000_000


def brake(**options):
    return build_component(FILL_RATE, FillRateOptions(**options))


def ns(seconds):
    return START_NS + round(seconds * 1e9)


def assess(control, seconds, quotes=QUOTES):
    return control.assess(make_view(now_ns=ns(seconds)), make_inventory(), NEUTRAL_ADVICE, quotes)


def fill(control, seconds, side=1.0, size=0.01):
    control.on_fill(make_fill(size=size, side=side, now_ns=ns(seconds)))


def sizes(verdict):
    return verdict.bid_size, verdict.ask_size


def test_the_example_of_its_description_holds():
    control = brake(max_fills=3, window_s=10.0, cooldown_s=30.0, shrink_from=0.5)
    assess(control, 0)

    for second in (0, 1, 2):
        fill(control, second)
    tapered = assess(control, 2)
    fill(control, 3)
    braked, before, after = assess(control, 3), assess(control, 32.9), assess(control, 33)

    assert (sizes(tapered), tapered.level, tapered.reason) == ((0.1, 0.2), RiskLevel.SHRINK, SIDE_TAPERED)
    assert (sizes(braked), braked.level, braked.reason) == ((0.0, 0.2), RiskLevel.SHRINK, SIDE_BRAKED)
    assert sizes(before) == (0.0, 0.2)
    assert (sizes(after), after.level) == ((0.2, 0.2), RiskLevel.ALLOW)


def test_what_is_filled_counts_as_well_as_how_often():
    control = brake(max_filled=Decimal("0.5"), window_s=10.0, cooldown_s=5.0, shrink_from=1.0)

    fill(control, 0, side=-1.0, size=0.3)
    assert sizes(assess(control, 0)) == (0.2, 0.2)
    fill(control, 1, side=-1.0, size=0.3)

    assert sizes(assess(control, 1)) == (0.2, 0.0)
    # The cooldown is over at 6 s, but 0.6 stays within the window until the first fill is 10 s old.
    assert sizes(assess(control, 9.5)) == (0.2, 0.0)
    assert sizes(assess(control, 10)) == (0.2, 0.2)


def test_with_both_sides_braked_nothing_is_left():
    control = brake(max_fills=1)

    for side in (1.0, 1.0, -1.0, -1.0):
        fill(control, 0, side=side)

    assert assess(control, 1).level == RiskLevel.CANCEL_ONLY


def test_a_braked_side_that_is_not_quoted_is_no_limit_that_binds():
    control = brake(max_fills=1)

    fill(control, 0)
    fill(control, 0)

    assert assess(control, 1, QUOTES._replace(bid=0.0, bid_size=0.0)).level == RiskLevel.ALLOW


def test_more_fills_than_are_remembered_are_never_counted_too_low():
    control = brake(max_filled=Decimal("0.995"), window_s=10.0, cooldown_s=0.0, shrink_from=1.0)
    assess(control, 0)

    for number in range(100):
        fill(control, number * 0.05, size=0.01)

    # 100 of 0.01 within 5 s. All are within the window until 10 s; by 14.5 s all but the last nine have left it.
    assert sizes(assess(control, 9.9)) == (0.0, 0.2)
    assert sizes(assess(control, 14.5)) == (0.2, 0.2)


def test_on_a_clock_that_began_anew_a_brake_lasts_its_cooldown_and_ends():
    control = brake(max_fills=1, window_s=10.0, cooldown_s=30.0)
    assess(control, 1_000)
    fill(control, 1_000)
    fill(control, 1_001)
    assert sizes(assess(control, 1_001)) == (0.0, 0.2)

    assert sizes(assess(control, 5)) == (0.0, 0.2)
    assert sizes(assess(control, 34.9)) == (0.0, 0.2)
    assert sizes(assess(control, 35)) == (0.2, 0.2)


def test_on_a_clock_that_began_anew_earlier_fills_do_not_count():
    control = brake(max_filled=Decimal("0.5"), window_s=10.0, cooldown_s=5.0, shrink_from=0.0)
    fill(control, 1_000, size=0.4)
    assert sizes(assess(control, 1_000)) == pytest.approx((0.2 * 0.2, 0.2))

    assert sizes(assess(control, 5)) == (0.2, 0.2)
    fill(control, 6, size=0.25)
    assert sizes(assess(control, 6)) == pytest.approx((0.2 * 0.5, 0.2))


def test_a_fill_that_is_handled_late_is_no_clock_that_began_anew():
    control = brake(max_fills=1)
    assess(control, 10)
    fill(control, 9.9)
    fill(control, 9.95)

    assert sizes(assess(control, 9.97)) == (0.0, 0.2)


def test_a_brake_without_a_limit_is_refused():
    with pytest.raises(DomainError, match="max_fills: expected this or max_filled, was neither"):
        FillRateOptions()


EVENTS = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from((None, 1.0, -1.0)), st.integers(1, 8)), min_size=1, max_size=40
)


@settings(max_examples=100)
@given(
    EVENTS,
    st.one_of(st.none(), st.integers(1, 4)),
    st.integers(1, 16),
    st.integers(1, 12),
    st.integers(0, 12),
    st.sampled_from((0.0, 0.25, 0.5, 1.0)),
)
def test_it_agrees_with_going_through_all_fills(events, max_fills, max_eighths, window, cooldown, shrink_from):
    control = brake(
        max_fills=max_fills,
        max_filled=Decimal(max_eighths) / 8,
        window_s=window / 2,
        cooldown_s=cooldown / 2,
        shrink_from=shrink_from,
    )
    happened, now, tripped = [], 0, {}

    for wait, side, eighths in events:
        now += wait
        if side is not None:
            control.on_fill(make_fill(size=eighths / 8, side=side, now_ns=START_NS + now * STEP_NS))
            happened.append((now, side, eighths / 8))
        expected = []
        for of in (1.0, -1.0):
            inside = [size for at, which, size in happened if which == of and now - at < window]
            is_over = (max_fills is not None and len(inside) > max_fills) or sum(inside) > max_eighths / 8
            if side == of and is_over:
                tripped[of] = now
            used = max(len(inside) / (max_fills + 1) if max_fills else 0.0, sum(inside) / (max_eighths / 8))
            if is_over or (of in tripped and now - tripped[of] < cooldown):
                expected.append(0.0)
            else:
                expected.append(0.2 * (1.0 - used) / (1.0 - shrink_from) if used > shrink_from else 0.2)

        verdict = control.assess(make_view(now_ns=START_NS + now * STEP_NS), make_inventory(), NEUTRAL_ADVICE, QUOTES)

        assert sizes(verdict) == pytest.approx(tuple(expected))
        assert (verdict.bid, verdict.ask) == (99.9, 100.1)
        assert (verdict.level == RiskLevel.ALLOW) == (sizes(verdict) == (0.2, 0.2))

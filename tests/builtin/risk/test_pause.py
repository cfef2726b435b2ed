"""`pause` begins at a limit, ends after calm and time enough, and comes to an end on whatever clock."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.pause import (
    PAUSE,
    PAUSED_DEPTH,
    PAUSED_IMBALANCE,
    PAUSED_LOSS,
    PAUSED_SPREAD,
    PAUSED_VOLATILITY,
    TOO_MANY_PAUSES,
    PauseOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_inventory, make_signals, make_view

QUOTES = QuoteProposal(99.0, 0.2, 101.0, 0.2, 0, 0)
ALLOWED = RiskVerdict(0, *QUOTES[:4], 0)
CALM = {"volatility": 0.01, "relative_depth": 1.0, "imbalance": 0.0}


def control_of(**options):
    return build_component(PAUSE, PauseOptions(**options))


def assess(control, seconds, *, spread_bps=1.0, pnl=0.0, **signals):
    """Ask at a mid of 100."""
    view = make_view(
        100.0 - spread_bps / 200.0,
        100.0 + spread_bps / 200.0,
        now_ns=START_NS + round(seconds * 1e9),
        signals=make_signals(**{**CALM, **signals}),
    )
    return control.assess(view, make_inventory(total_pnl_quote=pnl), NEUTRAL_ADVICE, QUOTES)


def levels(control, asked):
    return [assess(control, seconds, spread_bps=spread).level for seconds, spread in asked]


def test_the_example_of_its_description_holds():
    control = control_of(max_spread_bps=50.0, hysteresis=0.2, cooldown_s=10.0, min_pause_s=30.0)

    first = assess(control, 0, spread_bps=60.0)
    paused = levels(control, [(5, 45.0), (12, 39.0), (24, 39.0), (25, 45.0), (26, 39.0), (35.9, 39.0)])

    assert first == RiskVerdict(RiskLevel.CANCEL_ONLY, 99.0, 0.0, 101.0, 0.0, PAUSED_SPREAD)
    assert paused == [RiskLevel.CANCEL_ONLY] * 6
    assert assess(control, 36, spread_bps=39.0) == ALLOWED
    # Between the two limits nothing begins.
    assert assess(control, 37, spread_bps=49.0) == ALLOWED


@pytest.mark.parametrize(
    ("option", "field", "inside", "outside", "calm", "reason"),
    [
        pytest.param("max_volatility_bps", "volatility", 0.05, 0.051, 0.04, PAUSED_VOLATILITY, id="volatility"),
        pytest.param("max_imbalance", "imbalance", 0.05, -0.051, -0.04, PAUSED_IMBALANCE, id="imbalance"),
        pytest.param("min_relative_depth", "relative_depth", 5.0, 4.99, 6.0, PAUSED_DEPTH, id="depth"),
    ],
)
def test_each_signal_pauses_beyond_its_limit_until_it_is_back_by_the_hysteresis(
    option, field, inside, outside, calm, reason
):
    # 0.05 quote units at 100 are 5 bps; the other limits are scaled to read the same.
    limit = {"max_volatility_bps": 5.0, "max_imbalance": 0.05, "min_relative_depth": 5.0}[option]
    control = control_of(**{option: limit, "cooldown_s": 0.0, "min_pause_s": 0.0})

    assert assess(control, 0, **{field: inside}) == ALLOWED
    assert assess(control, 1, **{field: outside}).reason == reason
    assert assess(control, 2, **{field: inside}).reason == reason
    assert assess(control, 3, **{field: calm}) == ALLOWED


def test_a_fast_loss_pauses_until_its_window_has_passed():
    control = control_of(max_loss_quote=Decimal(50), loss_window_s=160.0, cooldown_s=0.0, min_pause_s=0.0)

    assert assess(control, 0, pnl=0.0) == ALLOWED
    assert assess(control, 90, pnl=100.0) == ALLOWED
    assert assess(control, 100, pnl=50.0) == ALLOWED
    assert assess(control, 110, pnl=49.0).reason == PAUSED_LOSS
    assert assess(control, 200, pnl=49.0).reason == PAUSED_LOSS
    # The best of 100 stood until 100 s: it leaves the window between 260 s and 270 s.
    assert assess(control, 250, pnl=49.0).reason == PAUSED_LOSS
    assert assess(control, 275, pnl=49.0) == ALLOWED


def test_a_loss_from_before_the_window_is_none():
    control = control_of(max_loss_quote=Decimal(50), loss_window_s=160.0)

    assert assess(control, 0, pnl=-1_000.0) == ALLOWED
    # No decision for longer than the window: it begins anew.
    assert assess(control, 500, pnl=-2_000.0) == ALLOWED
    assert assess(control, 510, pnl=-2_051.0).reason == PAUSED_LOSS


def test_a_slow_loss_is_not_a_fast_one():
    control = control_of(max_loss_quote=Decimal(50), loss_window_s=160.0)

    verdicts = [assess(control, minute * 60, pnl=-10.0 * minute) for minute in range(60)]

    assert verdicts == [ALLOWED] * 60


def test_the_reason_stays_that_of_the_beginning():
    control = control_of(max_spread_bps=50.0, max_imbalance=0.8)

    first = assess(control, 0, imbalance=0.9)
    then = assess(control, 1, spread_bps=60.0)

    assert (first.reason, then.reason) == (PAUSED_IMBALANCE, PAUSED_IMBALANCE)


@pytest.mark.parametrize("value", [math.nan, -1.0], ids=["not known", "no volatility"])
def test_a_signal_that_is_not_known_cancels_and_begins_no_pause(value):
    control = control_of(max_volatility_bps=5.0)
    if value < 0.0:
        # Below any limit: it is only no number that is not known.
        assert assess(control, 0, volatility=value) == ALLOWED
        return

    assert assess(control, 0, volatility=value).reason == Reason.WARMING_UP
    assert assess(control, 0.1) == ALLOWED


def test_a_signal_that_is_not_known_is_not_calm():
    control = control_of(max_volatility_bps=5.0, max_imbalance=0.8, cooldown_s=2.0, min_pause_s=0.0)
    assess(control, 0, imbalance=0.9)
    assess(control, 1)

    assert assess(control, 2, volatility=math.nan).reason == PAUSED_IMBALANCE
    assert assess(control, 3).reason == PAUSED_IMBALANCE
    assert assess(control, 5) == ALLOWED


def test_a_signal_that_no_condition_looks_at_may_be_anything():
    assert assess(control_of(max_spread_bps=50.0), 0, volatility=math.nan, imbalance=math.nan) == ALLOWED


def test_one_pause_too_many_within_an_hour_halts_and_the_count_begins_anew():
    control = control_of(max_spread_bps=50.0, cooldown_s=0.0, min_pause_s=0.0, max_pauses_per_hour=2)

    def pause_at(seconds):
        verdict = assess(control, seconds, spread_bps=60.0)
        assess(control, seconds + 1)
        return verdict.level, verdict.reason

    paused, halted = (RiskLevel.CANCEL_ONLY, PAUSED_SPREAD), (RiskLevel.HALT, TOO_MANY_PAUSES)
    assert [pause_at(seconds) for seconds in (0, 1_800, 3_600, 5_399)] == [paused, paused, paused, halted]
    assert [pause_at(seconds) for seconds in (5_410, 5_420, 5_430)] == [paused, paused, halted]


def test_on_a_clock_that_began_anew_a_pause_begins_anew_and_ends():
    control = control_of(max_spread_bps=50.0, cooldown_s=10.0, min_pause_s=30.0)
    assess(control, 5_000, spread_bps=60.0)
    assess(control, 5_001)

    assert levels(control, [(3, 1.0), (12, 1.0), (32.9, 1.0)]) == [RiskLevel.CANCEL_ONLY] * 3
    assert assess(control, 33) == ALLOWED


@pytest.mark.parametrize("mid", [0.0, math.nan, math.inf])
def test_a_mid_that_is_no_price_cancels(mid):
    control = control_of(max_spread_bps=50.0)
    view = make_view(signals=make_signals(**CALM))._replace(mid=mid)

    assert control.assess(view, make_inventory(), NEUTRAL_ADVICE, QUOTES).reason == Reason.BOOK_EMPTY


def test_a_pause_without_a_condition_is_refused():
    with pytest.raises(DomainError, match=r"max_volatility_bps: expected this or another of .*, was none"):
        PauseOptions()


STEPS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 100)), min_size=1, max_size=60)


@settings(max_examples=100)
@given(STEPS, st.integers(0, 40), st.integers(0, 40), st.sampled_from((0.0, 0.2, 0.5)))
def test_it_agrees_with_looking_back_over_everything_seen(steps, cooldown, min_pause, hysteresis):
    control = control_of(
        max_spread_bps=50.5, hysteresis=hysteresis, cooldown_s=float(cooldown), min_pause_s=float(min_pause)
    )
    now, seen, paused_at = 0, [], None

    for wait, spread in steps:
        now += wait
        seen.append((now, spread))
        if paused_at is None and spread > 50.5:
            paused_at = now
        if paused_at is not None:
            restless = [at for at, value in seen if value > 50.5 * (1 - hysteresis)]
            calm = [at for at, _ in seen if at > max(restless, default=-1)]
            if calm and now - calm[0] >= cooldown and now - paused_at >= min_pause:
                paused_at = None
                seen.clear()

        verdict = assess(control, now, spread_bps=float(spread) or 0.1)

        assert (verdict.level == RiskLevel.ALLOW) == (paused_at is None)

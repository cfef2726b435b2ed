"""`circuit-breaker` opens on a shock, tries small after its time, and closes or opens for longer."""

import math
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.circuit_breaker import (
    BREAKER_HALF_OPEN,
    BREAKER_OPEN_FILLS,
    BREAKER_OPEN_LOSS,
    BREAKER_OPEN_MOVE,
    CIRCUIT_BREAKER,
    CircuitBreakerOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_inventory, make_view

QUOTES = QuoteProposal(90.0, 0.2, 110.0, 0.2, 0, 0)
ALLOWED = RiskVerdict(0, *QUOTES[:4], 0)


def control_of(**options):
    return build_component(CIRCUIT_BREAKER, CircuitBreakerOptions(**options))


def assess(control, seconds, mid=100.0, **inventory):
    view = make_view(now_ns=START_NS + round(seconds * 1e9))._replace(mid=mid)
    return control.assess(view, make_inventory(**inventory), NEUTRAL_ADVICE, QUOTES)


def reasons(control, asked):
    return [assess(control, *one).reason for one in asked]


def test_the_example_of_its_description_holds():
    control = control_of(move_bps=100.0, window_s=60.0, cooldown_s=60.0, probe_share=0.25, probe_s=30.0)

    first = assess(control, 0, 100.0), assess(control, 10, 98.90), assess(control, 69.9, 98.90)
    trial = assess(control, 70, 98.90)
    second = reasons(control, [(80, 97.80), (199, 97.80), (200, 97.80), (229, 97.80), (230, 97.80)])

    assert first[0] == ALLOWED
    assert [verdict.reason for verdict in first[1:]] == [BREAKER_OPEN_MOVE] * 2
    assert first[1].level == RiskLevel.CANCEL_ONLY
    assert trial == RiskVerdict(RiskLevel.SHRINK, 90.0, 0.05, 110.0, 0.05, BREAKER_HALF_OPEN)
    assert second == [BREAKER_OPEN_MOVE, BREAKER_OPEN_MOVE, BREAKER_HALF_OPEN, BREAKER_HALF_OPEN, 0]


def test_each_failed_trial_doubles_the_time_up_to_its_maximum_and_a_good_one_forgets_them():
    control = control_of(move_bps=100.0, window_s=10.0, cooldown_s=60.0, max_cooldown_s=200.0, probe_s=30.0)
    now, mid, waited = 0, 100.0, []
    assess(control, now, mid)

    for _ in range(4):
        mid *= 0.98
        opened = now = now + 1
        assert assess(control, now, mid).reason == BREAKER_OPEN_MOVE
        while assess(control, now, mid).reason == BREAKER_OPEN_MOVE:
            now += 1
        waited.append(now - opened)
    assert assess(control, now + 30, mid) == ALLOWED
    assert reasons(control, [(now + 31, mid * 0.98), (now + 90, mid), (now + 91, mid)]) == [
        BREAKER_OPEN_MOVE,
        BREAKER_OPEN_MOVE,
        BREAKER_HALF_OPEN,
    ]

    assert waited == [60, 120, 200, 200]


def test_a_loss_within_the_window_opens_it_and_a_slow_one_does_not():
    slow, fast = (control_of(max_loss_quote=Decimal(100), window_s=60.0) for _ in range(2))

    drifted = [assess(slow, minute * 60, total_pnl_quote=-40.0 * minute) for minute in range(30)]
    fell = [assess(fast, second, total_pnl_quote=-40.0 * second / 10) for second in (0, 10, 20, 30)]

    assert drifted == [ALLOWED] * 30
    assert [verdict.reason for verdict in fell] == [0, 0, 0, BREAKER_OPEN_LOSS]


def test_the_loss_that_opened_it_does_not_open_it_twice():
    control = control_of(max_loss_quote=Decimal(100), window_s=600.0, cooldown_s=10.0, probe_s=5.0)

    answers = [
        assess(control, second, total_pnl_quote=pnl).reason
        for second, pnl in [(0, -500.0), (1, -601.0), (11, -601.0), (15, -700.0), (16, -700.0), (17, -702.0)]
    ]

    assert answers == [0, BREAKER_OPEN_LOSS, BREAKER_HALF_OPEN, BREAKER_HALF_OPEN, 0, BREAKER_OPEN_LOSS]


def test_losing_fills_in_a_row_open_it():
    control = control_of(losing_fills=3)
    # Fills and realised profit after them: a loss, one that adds, a loss, a gain, then three losses.
    path = [(0, 0.0), (1, -1.0), (2, -1.0), (3, -2.0), (4, -1.5), (5, -2.0), (6, -3.0), (6, -3.0), (7, -4.0)]

    answers = [
        assess(control, second, fill_count=float(count), realised_pnl_quote=realised).reason
        for second, (count, realised) in enumerate(path)
    ]

    assert answers == [0] * 8 + [BREAKER_OPEN_FILLS]


def test_enough_fills_on_trial_close_it_before_the_time():
    control = control_of(move_bps=100.0, cooldown_s=10.0, probe_s=1_000.0, probe_fills=2)
    assess(control, 0, 100.0, fill_count=7.0)
    assess(control, 1, 97.0, fill_count=7.0)

    assert assess(control, 11, 97.0, fill_count=8.0).reason == BREAKER_HALF_OPEN
    assert assess(control, 12, 97.0, fill_count=9.0).reason == BREAKER_HALF_OPEN
    assert assess(control, 13, 97.0, fill_count=10.0) == ALLOWED


def test_a_jump_after_a_silence_within_the_window_is_a_jump_and_after_a_longer_one_is_not():
    within, beyond = (control_of(move_bps=100.0, window_s=60.0) for _ in range(2))
    for control in (within, beyond):
        assess(control, 0, 100.0)

    assert assess(within, 50, 98.0).reason == BREAKER_OPEN_MOVE
    assert assess(beyond, 70, 98.0) == ALLOWED


def test_on_a_clock_that_began_anew_it_opens_for_its_time_and_the_new_market_is_no_jump():
    control = control_of(move_bps=100.0, cooldown_s=60.0, probe_s=30.0)
    assess(control, 5_000, 100.0)
    assess(control, 5_001, 98.0)

    asked = [(3, 50.0), (62, 50.0), (63, 50.0), (93, 50.0)]

    assert reasons(control, asked) == [BREAKER_OPEN_MOVE, BREAKER_OPEN_MOVE, BREAKER_HALF_OPEN, 0]


@pytest.mark.parametrize(
    ("mid", "inventory", "reason"),
    [
        (math.nan, {}, Reason.BOOK_EMPTY),
        (0.0, {}, Reason.BOOK_EMPTY),
        (100.0, {"total_pnl_quote": math.nan}, Reason.NOT_FINITE),
        (100.0, {"realised_pnl_quote": math.inf}, Reason.NOT_FINITE),
    ],
)
def test_what_is_not_a_number_cancels(mid, inventory, reason):
    verdict = assess(control_of(move_bps=100.0), 0, mid, **inventory)

    assert (verdict.level, verdict.reason) == (RiskLevel.CANCEL_ONLY, reason)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "move_bps: expected this or another of max_loss_quote, losing_fills, was none"),
        ({"losing_fills": 1, "cooldown_s": 9.0, "max_cooldown_s": 8.0}, "max_cooldown_s: expected at least cooldown_s"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, text):
    with pytest.raises(DomainError, match=text):
        CircuitBreakerOptions(**options)


STEPS = st.lists(st.tuples(st.integers(1, 10), st.integers(-30, 30)), min_size=1, max_size=60)


@settings(max_examples=100)
@given(STEPS)
def test_it_opens_on_every_move_within_the_window_and_on_none_beyond_a_sixteenth_more(steps):
    control = control_of(move_bps=50.5, window_s=16.0)
    now, mid, seen = 0, 100.0, []

    for wait, ticks in steps:
        now += wait
        mid += ticks / 100.0
        seen.append((now, mid))
        # A mid stands until the next one comes, so what was last seen before a window counts in it as well.
        inside = [value for at, value in seen if now - at <= 16]
        standing = [value for (_, value), (until, _) in pairwise(seen) if now - until <= 17]

        opened = assess(control, now, mid).level != RiskLevel.ALLOW

        if (max(inside) - min(inside)) / mid > 50.5e-4:
            assert opened
        wide = inside + standing
        if opened:
            assert (max(wide) - min(wide)) / mid > 50.5e-4
            return

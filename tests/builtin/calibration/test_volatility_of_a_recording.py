"""The volatility of a recording is that of the process behind it, with the standard error that it has."""

from __future__ import annotations

import math
import random

import pytest

from mmframe.builtin.calibration import Mark, Tape, measure_volatility
from mmframe.errors import DomainError

S = 1_000_000_000
START = 1_700_000_000 * S
TICK = 0.01


def walk(*, seconds, step_ticks, seed, bounce_ticks=0):
    """A mid that moves by a normal step each second; the touch may bounce around it."""
    source, tape, mid = random.Random(seed), Tape(), 1_000_000.0
    for second in range(seconds):
        mid += source.gauss(0.0, step_ticks)
        bid = round(mid) + source.choice((-bounce_ticks, bounce_ticks))
        tape.add(START + second * S, Mark.TOUCH, bid, bid + 1)
    return tape


@pytest.mark.parametrize("seed", range(2))
def test_a_known_volatility_is_found_within_four_standard_errors(seed):
    # 20 ticks of 0.01 a root second; rounding to ticks adds next to nothing.
    found = measure_volatility(walk(seconds=6_000, step_ticks=20.0, seed=seed), tick=TICK)

    assert abs(found.realised - 0.2) < 4 * found.realised_std_error
    assert abs(found.two_scale - 0.2) < 4 * found.two_scale_std_error
    assert found.realised_std_error < 0.012
    assert found.windows == 59


def test_the_bounce_of_the_touch_is_not_in_the_two_scale_estimate():
    found = measure_volatility(walk(seconds=10_000, step_ticks=5.0, seed=4, bounce_ticks=10), tick=TICK)

    # Over 10 s the bounce adds 2 x 10^2 to a variance of 10 x 5^2 ticks.
    expected = TICK * math.sqrt((10 * 25 + 200) / 10)
    assert abs(found.realised - expected) < 4 * found.realised_std_error
    assert abs(found.two_scale - TICK * 5.0) < 3 * found.two_scale_std_error
    assert found.two_scale < 0.8 * found.realised


def test_two_windows_by_hand():
    """The mid steps a tick every second: up in the first window, then up and down."""
    tape, bid = Tape(), 1_000
    for second in range(211):
        tape.add(START + second * S, Mark.TOUCH, bid, bid + 1)
        bid += 1 if second < 100 or second % 2 else -1
    found = measure_volatility(tape, tick=1.0, horizon_s=10.0)

    # 10 ticks in 10 s, then none: variances 10 and, but for the turn between the two, 0.
    assert found.windows == 2
    assert found.realised == pytest.approx(math.sqrt(5.0), rel=0.02)
    assert found.realised_std_error == pytest.approx(5.0 / (2 * math.sqrt(5.0)), rel=0.05)


def test_windows_begin_anew_after_a_gap():
    tape = walk(seconds=150, step_ticks=20.0, seed=1)
    tape.add(START + 150 * S, Mark.VOID)
    # A jump over the gap that no window may see.
    tape.add(START + 200 * S, Mark.TOUCH, 5_000_000, 5_000_001)
    tape.reach(START + 320 * S)

    found = measure_volatility(tape, tick=TICK)

    assert found.windows == 2  # of 150 s and 120 s, each with one whole window
    assert found.realised < 0.25


@pytest.mark.parametrize(
    ("seconds", "horizon_s", "message"),
    [
        (90, 10.0, "touches: expected 100 s or more without a gap, was less"),
        (90, 0.05, "horizon_s: expected 0.1 to 3600, was 0.05"),
        (90, math.nan, "horizon_s: expected 0.1 to 3600, was nan"),
    ],
)
def test_what_cannot_be_measured_is_refused(seconds, horizon_s, message):
    with pytest.raises(DomainError) as caught:
        measure_volatility(walk(seconds=seconds, step_ticks=1.0, seed=1), tick=TICK, horizon_s=horizon_s)

    assert caught.value.message == message

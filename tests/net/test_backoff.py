"""Delays grow, are spread out, stay under the cap and start over only after a stable connection."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.errors import DomainError
from mmframe.net.backoff import Backoff

SECOND_NS = 1_000_000_000


class Highest(random.Random):
    """Draws the top of each range, so that a delay shows its ceiling."""

    def random(self):
        return 1.0


@given(
    base_s=st.floats(0.001, 10),
    factor=st.floats(1, 1000),
    seed=st.integers(0, 2**32),
    count=st.integers(1, 2000),
)
def test_no_delay_is_negative_or_above_the_doubling_ceiling(base_s, factor, seed, count):
    backoff = Backoff(random.Random(seed), base_s=base_s, cap_s=base_s * factor)
    ceiling_s = base_s

    for _ in range(count):
        assert 0 <= backoff.next_delay_s() <= ceiling_s
        ceiling_s = min(base_s * factor, ceiling_s * 2)

    assert backoff.ceiling_s == ceiling_s


def test_the_ceiling_doubles_up_to_the_cap():
    backoff = Backoff(Highest(), base_s=1, cap_s=5)

    assert [backoff.next_delay_s() for _ in range(5)] == [1, 2, 4, 5, 5]


def test_the_jitter_is_full():
    backoff = Backoff(random.Random(1), base_s=1, cap_s=1)

    delays = [backoff.next_delay_s() for _ in range(1000)]

    assert min(delays) < 0.01
    assert max(delays) > 0.99
    assert sum(delays) / len(delays) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("lived_s", "next_s"), [(59.999, 8), (60, 1)], ids=["too-short", "stable"])
def test_only_a_stable_connection_starts_the_delays_over(lived_s, next_s):
    backoff = Backoff(Highest(), base_s=1, cap_s=30, stable_after_s=60)
    for _ in range(3):
        backoff.next_delay_s()

    backoff.on_opened(7 * SECOND_NS)
    backoff.on_lost(round((7 + lived_s) * SECOND_NS))

    assert backoff.next_delay_s() == next_s


def test_a_loss_without_a_connection_changes_nothing():
    backoff = Backoff(Highest(), base_s=1, cap_s=30)
    backoff.next_delay_s()

    backoff.on_lost(10**18)

    assert (backoff.next_delay_s(), backoff.attempts) == (2, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"base_s": 0},
        {"base_s": 2, "cap_s": 1},
        {"cap_s": float("inf")},
        {"base_s": float("nan")},
        {"stable_after_s": -1},
    ],
    ids=["zero-base", "cap-below-base", "endless-cap", "nan", "negative-stable"],
)
def test_durations_out_of_range_are_refused(options):
    with pytest.raises(DomainError, match="backoff: expected 0 < base_s <= cap_s"):
        Backoff(random.Random(), **options)

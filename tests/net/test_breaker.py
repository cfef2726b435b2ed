"""The breaker opens on failures and silence alike, lets one probe through at a time and trusts only its answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.errors import DomainError
from mmframe.net.breaker import Breaker, BreakerState, Result

BAD = (Result.FAILURE, Result.UNKNOWN)


def opened(result=Result.FAILURE, **options):
    breaker = Breaker(**{"failures_max": 3, "open_ns": 100, "open_max_ns": 400, "probe_timeout_ns": 50, **options})
    for _ in range(3):
        breaker.settle(breaker.enter(0), result, 0)
    return breaker


@pytest.mark.parametrize("result", BAD)
def test_failures_in_a_row_open_it_whether_known_or_not(result):
    breaker = opened(result)

    assert breaker.state is BreakerState.OPEN
    assert breaker.enter(99) is None
    assert breaker.wait_ns(99) == 1


def test_a_success_between_failures_keeps_it_closed():
    breaker = Breaker(failures_max=2, open_ns=100)

    for result in (Result.FAILURE, Result.SUCCESS, Result.UNKNOWN, Result.SUCCESS, Result.FAILURE):
        breaker.settle(breaker.enter(0), result, 0)

    assert breaker.state is BreakerState.CLOSED


def test_one_probe_passes_and_its_success_closes_it():
    breaker = opened()

    probe = breaker.enter(100)

    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.enter(101) is None
    breaker.settle(probe, Result.SUCCESS, 102)
    assert breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize("result", BAD)
def test_each_bad_probe_doubles_the_time_up_to_the_longest(result):
    breaker, now_ns, waits = opened(), 0, []

    for _ in range(4):
        now_ns += breaker.wait_ns(now_ns)
        breaker.settle(breaker.enter(now_ns), result, now_ns)
        waits.append(breaker.wait_ns(now_ns))

    assert waits == [200, 400, 400, 400]


def test_a_probe_that_never_ends_counts_as_unknown():
    breaker = opened()
    lost = breaker.enter(100)

    assert breaker.enter(150) is None

    assert breaker.state is BreakerState.OPEN
    assert breaker.wait_ns(150) == 200
    breaker.settle(lost, Result.SUCCESS, 151)
    assert breaker.state is BreakerState.OPEN


def test_a_late_result_from_before_the_opening_changes_nothing():
    breaker = Breaker(failures_max=1, open_ns=100)
    slow, quick = breaker.enter(0), breaker.enter(0)

    breaker.settle(quick, Result.UNKNOWN, 1)
    breaker.settle(slow, Result.SUCCESS, 2)

    assert breaker.state is BreakerState.OPEN


class PlainBreaker:
    """The rules once more, as a list of periods and nothing else."""

    def __init__(self):
        self.period = 0
        self.state = BreakerState.CLOSED
        self.bad = 0
        self.until_ns = 0
        self.hold_ns = 100

    def enter(self, now_ns):
        if self.state is BreakerState.HALF_OPEN and now_ns >= self.until_ns:
            self.open(now_ns)
        if self.state is BreakerState.OPEN and now_ns >= self.until_ns:
            self.begin(BreakerState.HALF_OPEN, now_ns + 50)
            return self.period
        return self.period if self.state is BreakerState.CLOSED else None

    def settle(self, period, result, now_ns):
        if period != self.period:
            return
        if result is Result.SUCCESS:
            self.bad, self.hold_ns = 0, 100
            if self.state is BreakerState.HALF_OPEN:
                self.begin(BreakerState.CLOSED, 0)
            return
        self.bad += 1
        if self.state is BreakerState.HALF_OPEN or self.bad == 2:
            self.open(now_ns)

    def open(self, now_ns):
        self.begin(BreakerState.OPEN, now_ns + self.hold_ns)
        self.hold_ns = min(400, self.hold_ns * 2)

    def begin(self, state, until_ns):
        self.period, self.state, self.bad, self.until_ns = self.period + 1, state, 0, until_ns


steps = st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.sampled_from(Result), st.integers(0, 9)), max_size=100)


@given(steps=steps)
@settings(max_examples=100)
def test_whatever_happens_open_lets_nothing_through_and_half_open_one_at_a_time(steps):
    breaker = Breaker(failures_max=2, open_ns=100, open_max_ns=400, probe_timeout_ns=50)
    plain, now_ns, outstanding = PlainBreaker(), 0, []

    for elapsed_ns, is_entering, result, pick in steps:
        now_ns += elapsed_ns
        if is_entering:
            before, waited_ns = breaker.state, breaker.wait_ns(now_ns)
            permit, period = breaker.enter(now_ns), plain.enter(now_ns)
            assert (permit is None) == (period is None)
            if permit is None:
                assert before is not BreakerState.CLOSED
            else:
                assert waited_ns == 0
                outstanding.append((permit, period))
        elif outstanding:
            permit, period = outstanding.pop(pick % len(outstanding))
            breaker.settle(permit, result, now_ns)
            plain.settle(period, result, now_ns)
        assert breaker.state is plain.state


@pytest.mark.parametrize(
    "options",
    [{"failures_max": 0}, {"open_ns": 0}, {"open_ns": 2, "open_max_ns": 1}, {"probe_timeout_ns": 0}],
    ids=["failures", "open", "longest", "probe"],
)
def test_arguments_out_of_range_are_refused(options):
    with pytest.raises(DomainError, match="breaker: expected failures_max >= 1"):
        Breaker(**options)

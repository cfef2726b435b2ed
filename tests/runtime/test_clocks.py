"""The machine's clock, whatever is done to it."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.runtime.clocks import SystemClock

HOUR_NS = 3_600_000_000_000
START_NS = 500_000 * HOUR_NS


def readings(machine_ns, monkeypatch):
    told = iter(machine_ns)
    monkeypatch.setattr(time, "time_ns", lambda: next(told))
    clock = SystemClock()
    return [clock.now_ns() for _ in machine_ns]


def test_it_tells_the_machines_time(monkeypatch):
    machine_ns = [START_NS, START_NS, START_NS + 7, START_NS + HOUR_NS]

    assert readings(machine_ns, monkeypatch) == machine_ns


def test_a_machine_that_is_set_back_does_not_stop_it(monkeypatch):
    machine_ns = [START_NS, START_NS - HOUR_NS, START_NS - HOUR_NS + 5, START_NS - HOUR_NS + 9]

    assert readings(machine_ns, monkeypatch) == [START_NS, START_NS, START_NS + 5, START_NS + 9]


@given(st.lists(st.integers(-HOUR_NS, HOUR_NS), min_size=2, max_size=30))
def test_it_never_goes_back_and_goes_on_with_the_machine(steps_ns):
    machine_ns = [START_NS]
    for step_ns in steps_ns:
        machine_ns.append(machine_ns[-1] + step_ns)

    with pytest.MonkeyPatch.context() as patch:
        told = readings(machine_ns, patch)

    assert [after - before for before, after in itertools.pairwise(told)] == [max(0, step_ns) for step_ns in steps_ns]

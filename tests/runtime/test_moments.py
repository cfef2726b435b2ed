"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.market import NEVER_NS
from mmframe.errors import UsageError
from mmframe.runtime.moments import parse_time_ns, time_text

NS = 1_000_000_000
START = int(datetime(2024, 5, 1, 23, 59, 50, tzinfo=UTC).timestamp()) * NS + 250_000_000
SPAN = (START, START + 60 * NS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1714607990250000000", 1_714_607_990_250_000_000),
        ("0", 0),
        ("9" * 19, NEVER_NS),
        ("+12s", START + 12 * NS),
        ("+1m30s", START + 90 * NS),
        ("+250ms", START + 250_000_000),
        ("+0", START),
        ("+0s", START),
        ("2024-05-01T12:00:00Z", 1_714_564_800 * NS),
        ("2024-05-01T12:00:00", 1_714_564_800 * NS),
        ("2024-05-01 12:00", 1_714_564_800 * NS),
        ("2024-05-01T14:00:00.000000001+02:00", 1_714_564_800 * NS + 1),
        ("2024-05-01T14:00:00.5+0200", 1_714_564_800 * NS + 500_000_000),
        ("1969-12-31T23:59:59.75Z", -250_000_000),
        ("23:59:58.125", START - 250_000_000 + 8 * NS + 125_000_000),
        ("23:59:50", START - 250_000_000),
        ("00:00:10", START - 250_000_000 + 20 * NS),
        ("00:00", START - 250_000_000 + 10 * NS),
        ("12:00:00", 1_714_564_800 * NS),
    ],
)
def test_a_moment_is_read_exactly(text, expected):
    assert parse_time_ns(text, SPAN) == expected


@pytest.mark.parametrize(
    "text", ["", "noon", "-5s", "2024-13-01T00:00:00Z", "2024-05-01", "1" * 20, "12:00:00.0000000001", "٣"]
)
def test_what_is_no_moment_is_told(text):
    with pytest.raises(UsageError) as caught:
        parse_time_ns(text, SPAN)

    assert caught.value.message == (
        f"time: expected '2024-05-01T12:00:00Z', '12:00:00', '+12s' or nanoseconds, was {text!r}"
    )
    assert caught.value.hint == (
        "the run has records from 2024-05-01T23:59:50.250000000Z to 2024-05-02T00:00:50.250000000Z"
    )


def test_an_offset_that_is_none_is_told():
    with pytest.raises(UsageError) as caught:
        parse_time_ns("+12 s", SPAN)

    assert caught.value.message == (
        "time '+12 s': expected a length of time such as '20s', '5m', '1h30m' or '500ms', was '12 s'"
    )


def test_a_time_of_day_that_no_day_has_is_told():
    with pytest.raises(UsageError) as caught:
        parse_time_ns("24:61:00", SPAN)

    assert caught.value.message == "time: expected a time of day such as '12:00:00', was '24:61:00'"


@given(st.integers(0, 4_000_000_000 * NS))
def test_a_written_moment_reads_back(time_ns):
    assert parse_time_ns(time_text(time_ns), SPAN) == time_ns


def test_a_time_that_no_calendar_has_is_written_as_a_number():
    assert time_text(NEVER_NS * 1000) == f"{NEVER_NS * 1000} ns"

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.cli.text import columns, duration, iso_time, money, paint, plain, plural, signed, wall_time


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0.0000"),
        ("-0", "0.0000"),
        ("1234.5", "+1,234.5000"),
        ("-0.25", "-0.2500"),
        ("0.00000123", "+0.00000123"),
        ("-0.0099", "-0.0099"),
    ],
)
def test_money_is_signed_and_a_small_amount_does_not_vanish(value, text):
    assert money(Decimal(value)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12))
def test_plain_text_of_a_decimal_is_exact_and_has_no_exponent(value):
    text = plain(value)

    assert Decimal(text) == value
    assert "E" not in text.upper()
    assert "." not in text or not text.endswith("0")


def test_a_sign_stands_before_everything_but_zero():
    assert [signed(Decimal(value)) for value in ("0.10", "-0.10", "0.00", "0")] == ["+0.1", "-0.1", "0", "0"]


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ms"),
        (850_000_000, "850 ms"),
        (12_340_000_000, "12.3 s"),
        (245_000_000_000, "4 min 05 s"),
        (7_380_000_000_000, "2 h 03 min"),
    ],
)
def test_a_length_of_time_is_as_precise_as_its_size_asks_for(nanoseconds, text):
    assert duration(nanoseconds) == text


def test_machines_read_all_nine_digits_and_people_three():
    time_ns = 1_767_225_612_345_678_901

    assert iso_time(time_ns) == "2026-01-01T00:00:12.345678901Z"
    assert wall_time(time_ns) == "2026-01-01 00:00:12.345 UTC"


def test_one_thing_has_no_plural():
    assert (plural(0, "order"), plural(1, "order"), plural(2000, "order")) == ("0 orders", "1 order", "2,000 orders")


def test_columns_align_and_wrap_the_last_one_under_itself(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")

    lines = columns([("a", "one two three four five six seven"), ("long", "short")])

    assert lines == ["  a     one two three four five six", "        seven", "  long  short"]


def test_numbers_are_aligned_to_the_right():
    assert columns([("a", "1", ""), ("b", "100", "x")], numeric=(1,)) == ["  a    1", "  b  100  x"]


def test_no_rows_are_no_lines():
    assert columns([], headings=()) == []


def test_no_color_turns_every_style_off(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", bold=True, fg="red") == "x"

    monkeypatch.setenv("NO_COLOR", "")
    assert paint("x", bold=True) == "\x1b[1mx\x1b[0m"

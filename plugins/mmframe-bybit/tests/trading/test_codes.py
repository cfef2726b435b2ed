"""The table of return codes: complete within itself, and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmframe_bybit.trading.codes import AREAS, CODES, CodeClass, class_of, meaning_of, render_codes

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "bybit-errors.md"


def test_the_page_is_made_from_the_table():
    assert PAGE.read_text(encoding="utf-8") == render_codes()


def test_no_code_is_of_two_products():
    spans = [span for _, ranges in AREAS for span in ranges]

    numbers = [number for low, high in spans for number in range(low, high + 1)]

    assert len(numbers) == len(set(numbers))
    assert not set(numbers) & set(CODES)


def test_every_code_says_what_it_means():
    assert all(code.number == number and code.meaning for number, code in CODES.items())
    assert all(kind.action for kind in CodeClass)
    assert {code.kind for code in CODES.values()} == set(CodeClass)


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        ((10000, 10016, 40004, 170007, 170146, 170147, 170310), CodeClass.UNCLEAR),
        ((10001, 110003, 110004, 110007, 110012, 110017, 110020, 110094, 170131, 170140, 170218), CodeClass.REFUSED),
        ((10002, -1), CodeClass.CLOCK),
        ((10003, 10004, 10005, 10010, 33004), CodeClass.FATAL),
        ((10006, 10403, 10429, 170222), CodeClass.THROTTLED),
        ((110001, 110008, 110010, 170139, 170142, 170143, 170190, 170213), CodeClass.GONE),
        ((110072, 170141, 10014, 20006), CodeClass.DUPLICATE),
        ((110079, 170191), CodeClass.BUSY),
    ],
    ids=lambda value: value.value if isinstance(value, CodeClass) else "",
)
def test_what_the_important_codes_are(codes, kind):
    assert {class_of(code) for code in codes} == {kind}


@pytest.mark.parametrize("code", [148001, 999_999, -7])
def test_a_code_that_is_not_of_orders_is_unclear(code):
    assert class_of(code) is CodeClass.UNCLEAR
    assert not class_of(code).is_refusal


def test_codes_of_other_products_are_named():
    assert meaning_of(148010) == "a code of crypto loans"
    assert meaning_of(999_999) == "not a documented code"

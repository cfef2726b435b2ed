"""Text becomes ticks and lots exactly, or an error; the quick ways agree with the instrument's own conversion."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.grid import CACHED_TEXTS_MAX, price_column, size_column
from mmframe.errors import DomainError
from mmframe.testing import make_instrument

STEPS = ["1", "0.01", "0.05", "0.00000001", "5", "25", "0.5"]


@given(st.sampled_from(STEPS), st.integers(1, 10**9), st.integers(0, 4))
def test_every_way_gives_the_exact_count(step, count, zeros):
    instrument = make_instrument(tick_size=step, lot_size=step)
    text = format(Decimal(step) * count, "f")
    text += "0" * zeros if "." in text else ""

    assert price_column(instrument)[text] == count
    assert size_column(instrument, units_min=0).plain([text, text]) in ([count, count], None)
    assert size_column(instrument, units_min=0)[text] == count


@given(
    st.sampled_from(STEPS),
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**10 - 1)), min_size=1, max_size=5),
    st.integers(0, 10),
)
def test_texts_of_one_form_are_read_together_exactly_or_not_at_all(step, numbers, decimals):
    instrument = make_instrument(tick_size=step, lot_size=step)
    texts = [f"{whole}.{fraction:010d}"[: len(str(whole)) + 1 + decimals] for whole, fraction in numbers]

    found = size_column(instrument, units_min=0).plain(texts)

    if found is not None:
        assert [Decimal(step) * lots for lots in found] == [Decimal(text) for text in texts]
    elif decimals:
        # Nothing that is on the grid is given up for its form alone.
        assert any(Decimal(text) % Decimal(step) for text in texts)


@pytest.mark.parametrize(
    "texts",
    [["1.00", "1 .00"], ["1.00", "1.0.00"], ["1.00", ".00"], ["1.00", "1e.00"], ["1.00", "-1.00"], ["1.00", "٣.00"]],
)
def test_a_text_that_only_looks_like_the_others_is_not_read_with_them(texts):
    found = size_column(make_instrument(lot_size="0.01"), units_min=0).plain(texts)

    assert found is None or found == [100, 0]


@pytest.mark.parametrize("texts", [["1.00", "11.0"], ["1.000", "110.0"], ["1.00", "11"], ["1.0", "11.0000"]])
def test_texts_whose_dots_stand_apart_are_read_exactly_too(texts):
    found = size_column(make_instrument(lot_size="0.01"), units_min=0).plain(texts)

    assert found == [Decimal(text) * 100 for text in texts]


@given(st.sampled_from(STEPS), st.text(alphabet="0123456789.+-eE_ ²٣", max_size=12))
def test_any_text_is_what_the_instrument_says_or_an_error(step, text):
    instrument = make_instrument(tick_size=step, lot_size=step)
    column = price_column(instrument)
    try:
        expected = instrument.price_ticks(text)
    except DomainError:
        expected = None

    try:
        ticks = column[text]
    except DomainError:
        return
    assert ticks == expected
    assert text.isascii()


@pytest.mark.parametrize("text", ["²", "٣", "1_000", "9" * 5000, "NaN", "1E+1000000", "", ".", "-1", "0", "0.005"])
def test_what_is_no_price_is_refused_by_name(text):
    column = price_column(make_instrument(tick_size="0.01"))

    with pytest.raises(DomainError, match="BTC/USDT price"):
        column[text]
    assert column.plain([text]) is None


def test_a_book_level_may_be_zero_and_a_trade_may_not():
    instrument = make_instrument()

    assert size_column(instrument, units_min=0)["0.000"] == 0
    with pytest.raises(DomainError, match="expected above 0"):
        size_column(instrument, units_min=1)["0.000"]


def test_what_is_remembered_is_bounded():
    column = price_column(make_instrument(tick_size="1"))
    for number in range(1, CACHED_TEXTS_MAX + 10):
        column[str(number)]

    assert len(column) <= CACHED_TEXTS_MAX
    assert column.plain([]) == []

"""An instrument converts decimal text to ticks and lots and back, exactly or not at all."""

from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.instrument import Instrument, InstrumentKind
from mmframe.errors import DomainError

BTC = Instrument("BTC/USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"))
STEPS = st.builds(lambda digits, exponent: Decimal(digits).scaleb(exponent), st.integers(1, 999), st.integers(-8, 3))


def test_a_symbol_is_base_and_quote_and_names_itself_at_the_venue():
    assert (BTC.base, BTC.quote, BTC.venue_symbol) == ("BTC", "USDT", "BTCUSDT")
    assert attrs.evolve(BTC, venue_symbol="tBTCUST").venue_symbol == "tBTCUST"
    assert BTC.kind is InstrumentKind.SPOT


@pytest.mark.parametrize("symbol", ["BTCUSDT", "/USDT", "BTC/", ""])
def test_a_symbol_without_both_parts_cannot_exist(symbol):
    with pytest.raises(DomainError) as caught:
        Instrument(symbol, tick_size=Decimal(1), lot_size=Decimal(1))

    assert caught.value.message == f"symbol: expected 'BASE/QUOTE', was {symbol!r}"


@pytest.mark.parametrize("field", ["tick_size", "lot_size"])
@pytest.mark.parametrize("value", ["0", "-0.01", "NaN", "Infinity"])
def test_a_step_that_is_not_above_zero_cannot_exist(field, value):
    with pytest.raises(DomainError) as caught:
        attrs.evolve(BTC, **{field: Decimal(value)})

    assert caught.value.message == f"{field}: expected a finite number above 0, was {value!r}"


@given(STEPS, STEPS, st.integers(-(10**9), 10**9), st.integers(0, 10**9))
def test_text_of_ticks_and_lots_reads_back_as_the_same_integers(tick_size, lot_size, ticks, lots):
    each = Instrument("A/B", tick_size=tick_size, lot_size=lot_size)

    assert each.price_ticks(each.price_text(ticks)) == ticks
    assert each.size_lots(each.size_text(lots)) == lots
    assert each.price_ticks(each.price(ticks)) == ticks
    assert each.size_lots(each.size(lots)) == lots
    assert "E" not in each.price_text(ticks) + each.size_text(lots)


@given(STEPS, STEPS, st.integers(1, 10**7), st.integers(1, 10**7))
def test_a_value_is_exactly_price_times_size(tick_size, lot_size, ticks, lots):
    each = Instrument("A/B", tick_size=tick_size, lot_size=lot_size)

    assert each.notional_quote(ticks, lots) == each.price(ticks) * each.size(lots)


@pytest.mark.parametrize(
    ("text", "ticks"),
    [("0", 0), ("1.00", 100), ("1", 100), ("65114.20000000", 6_511_420), ("-0.01", -1), ("1e2", 10_000)],
)
def test_a_price_on_the_grid_is_its_count_of_ticks(text, ticks):
    assert BTC.price_ticks(text) == ticks


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1.005", "expected a multiple of tick_size 0.01, was '1.005'"),
        ("1.0000000000000000000000000000000001", "expected a multiple of tick_size 0.01, was '1.00000000000000000000"),
        ("ten", "expected a decimal number, was 'ten'"),
        ("", "expected a decimal number, was ''"),
        ("NaN", "expected a finite number of sane magnitude, was 'NaN'"),
        ("Infinity", "expected a finite number of sane magnitude, was 'Infinity'"),
        ("1E+1000000", "expected a finite number of sane magnitude, was '1E+1000000'"),
        ("90071992547409.93", f"expected at most {2**53} steps of 0.01, was '90071992547409.93'"),
    ],
)
def test_a_price_off_the_grid_is_refused_with_its_place(text, problem):
    with pytest.raises(DomainError) as caught:
        BTC.price_ticks(text)

    assert caught.value.message.startswith(f"BTC/USDT price: {problem}")


def test_a_size_names_itself_in_its_error():
    with pytest.raises(DomainError) as caught:
        BTC.size_lots("0.000015")

    assert caught.value.message == "BTC/USDT size: expected a multiple of lot_size 0.00001, was '0.000015'"


def test_instruments_are_equal_by_what_they_say():
    assert Instrument("BTC/USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.00001")) == BTC
    assert (BTC.tick, BTC.lot) == (0.01, 0.00001)

"""Answers of `instruments-info`: the recorded ones exactly, and broken ones."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from mmframe.domain.instrument import Instrument, InstrumentKind
from mmframe.errors import VenueError
from mmframe.testing import make_instrument
from mmframe_bybit.instruments import parse_instruments, venue_symbol
from mmframe_bybit.wire import FrameError


def recorded(shared_data, category):
    return parse_instruments(
        (shared_data / "instruments" / f"bybit_{category}_instruments_20260809_subset.json").read_bytes()
    )


def test_the_recorded_linear_instruments(shared_data):
    page = recorded(shared_data, "linear")

    assert list(page.instruments) == [
        "BTCPERP",
        "BTCUSDT",
        "DOGEUSDT",
        "ETHUSDT",
        "SOLUSDT",
        "USDCUSDT",
        "XRPUSDT",
    ]
    assert (page.left_out, page.next_cursor) == ({}, "")
    assert page.instruments["BTCPERP"].symbol == "BTC/USDC"
    assert page.instruments["SOLUSDT"] == Instrument(
        symbol="SOL/USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.1"),
        min_size_lots=1,
        max_size_lots=960_000,
        min_notional_quote=Decimal(5),
        kind=InstrumentKind.LINEAR,
        venue_symbol="SOLUSDT",
    )


def test_the_recorded_spot_instruments(shared_data):
    page = recorded(shared_data, "spot")

    assert len(page.instruments) == 8
    assert page.left_out == {}
    assert page.instruments["BTCUSDT"] == Instrument(
        symbol="BTC/USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.000001"),
        min_size_lots=1,
        max_size_lots=230_000_000,
        min_notional_quote=Decimal(5),
        kind=InstrumentKind.SPOT,
        venue_symbol="BTCUSDT",
    )
    # The exchange says 1542.6000000000001.
    assert page.instruments["ETHBTC"].max_size_lots == 154_260_000
    assert page.instruments["ETHBTC"].min_notional_quote == Decimal("0.000065")


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_each_is_what_the_exchange_calls_it(shared_data, category):
    for symbol, instrument in recorded(shared_data, category).instruments.items():
        plain = make_instrument(instrument.symbol)

        assert venue_symbol(instrument, category) == symbol
        assert venue_symbol(plain, category) == symbol


LINEAR = {
    "symbol": "BTCUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "baseCoin": "BTC",
    "quoteCoin": "USDT",
    "priceFilter": {"tickSize": "0.10"},
    "lotSizeFilter": {"maxOrderQty": "10", "minOrderQty": "0.0025", "qtyStep": "0.001", "minNotionalValue": "5"},
}


def page_of(*entries, category="linear", cursor=""):
    result = {"category": category, "list": list(entries), "nextPageCursor": cursor}
    return parse_instruments(json.dumps({"retCode": 0, "retMsg": "OK", "result": result}).encode())


def test_the_smallest_size_is_rounded_up_to_the_grid():
    page = page_of(LINEAR, cursor="next%3D2")

    assert page.instruments["BTCUSDT"].min_size_lots == 3
    assert page.next_cursor == "next%3D2"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "PreLaunch"}, "status: expected 'Trading', was 'PreLaunch'"),
        (
            {"symbol": "BTCUSDT-25DEC26", "contractType": "LinearFutures"},
            "contractType: expected 'LinearPerpetual', was 'LinearFutures'",
        ),
        ({"priceFilter": {"tickSize": "NaN"}}, "tickSize: expected a number above 0, was 'NaN'"),
        ({"priceFilter": {"tickSize": "0"}}, "tickSize: expected a number above 0, was '0'"),
        ({"priceFilter": {"tickSize": "1E+1000000"}}, "tickSize: expected a number above 0, was '1E+1000000'"),
        ({"priceFilter": {"tickSize": "9" * 5000}}, f"tickSize: expected a number above 0, was '{'9' * 40}'"),
        ({"priceFilter": {}}, "Object missing required field `tickSize` - at `$.priceFilter`"),
        ({"lotSizeFilter": {}}, "qtyStep: expected a number above 0, was ''"),
        (
            {"lotSizeFilter": {"qtyStep": "0.1", "minNotionalValue": "-5"}},
            "minNotional: expected a number of 0 or above, was '-5'",
        ),
        ({"quoteCoin": ""}, "symbol: expected 'BASE/QUOTE', was 'BTC/'"),
        ({"status": 3}, "Expected `str`, got `int` - at `$.status`"),
    ],
)
def test_an_entry_that_cannot_be_used_is_left_out_with_its_reason(changes, reason):
    odd = {**LINEAR, "symbol": "ODD", **changes}

    page = page_of(odd, LINEAR)

    assert list(page.instruments) == ["BTCUSDT"]
    assert page.left_out == {odd["symbol"]: reason}


def test_a_refusal_is_an_error_with_the_exchanges_words():
    with pytest.raises(VenueError) as caught:
        parse_instruments(b'{"retCode":10001,"retMsg":"params error","result":{}}')

    assert caught.value.message == "instruments-info: expected retCode 0, was 10001 (params error)"


@pytest.mark.parametrize(
    "body",
    [b"<html>403</html>", b"", b"[]", b'{"retCode":0}', b'{"retCode":0,"result":' + b"[" * 100_000],
    ids=["HTML", "nothing", "a list", "no result", "deeply nested"],
)
def test_what_is_no_answer_is_an_error(body):
    with pytest.raises(FrameError) as caught:
        parse_instruments(body)

    assert caught.value.message.startswith("expected an answer of instruments-info, was ")


def test_another_category_is_an_error():
    with pytest.raises(FrameError) as caught:
        page_of(LINEAR, category="option")

    assert caught.value.message == "instruments-info: expected category spot or linear, was 'option'"


def test_a_venue_symbol_of_the_strategy_file_stays():
    dated = Instrument(
        symbol="BTC/USDC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"), venue_symbol="BTC-25DEC26"
    )

    assert venue_symbol(dated, "linear") == "BTC-25DEC26"
    assert venue_symbol(make_instrument("BTC/USDC"), "spot") == "BTCUSDC"

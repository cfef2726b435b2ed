"""`portfolio` holds back what concentrates or swells a book, and never what reduces a position."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.portfolio import CONCENTRATED, GROSS_EXPOSURE, NET_EXPOSURE, PORTFOLIO, PortfolioOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_instrument, make_inventory, make_view

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)
VIEW = make_view()
NAMES = {0: "NONE", CONCENTRATED: "CONCENTRATED", GROSS_EXPOSURE: "GROSS", NET_EXPOSURE: "NET"}


def book(*values, market=0):
    """Return the inventory of one market of a book, from the signed position values of all."""
    total = sum(map(abs, values))
    return make_inventory(
        position=values[market] / VIEW.mid,
        total_notional_quote=total,
        net_notional_quote=sum(values),
        concentration=sum(value * value for value in values) / total**2 if total else 0.0,
        market_count=float(len(values)),
    )


def control_of(**options):
    return build_component(PORTFOLIO, PortfolioOptions(**options))


def sizes(control, inventory, quotes=QUOTES):
    verdict = control.assess(VIEW, inventory, NEUTRAL_ADVICE, quotes)
    return verdict.bid_size, verdict.ask_size, NAMES[verdict.reason]


def test_the_example_of_its_description_holds():
    control = control_of(max_concentration=0.6)

    assert sizes(control, book(800.0, 200.0)) == (0.0, 0.2, "CONCENTRATED")
    assert sizes(control, book(200.0, 800.0)) == (0.2, 0.2, "NONE")
    # 0.7 and 0.3: 0.58, within the limit but not yet below 0.54.
    assert sizes(control, book(700.0, 300.0)) == (0.0, 0.2, "CONCENTRATED")
    assert sizes(control, book(600.0, 400.0)) == (0.2, 0.2, "NONE")
    assert sizes(control, book(700.0, 300.0)) == (0.2, 0.2, "NONE")


@pytest.mark.parametrize("position", [-5.0, 0.0, 5.0])
def test_a_book_of_one_asset_is_never_held_back_however_concentrated_it_is(position):
    control = control_of(max_concentration=0.5, max_gross_share=0.01, max_net_share=0.01, capital_quote=Decimal(100))

    for _ in range(3):
        assert sizes(control, book(position * 100.0)) == (0.2, 0.2, "NONE")


def test_a_book_of_several_markets_that_holds_one_asset_can_always_get_out_of_its_concentration():
    control, other = control_of(max_concentration=0.6), control_of(max_concentration=0.6)

    # The holder may sell, and the flat market may buy or sell: either lowers the index.
    assert sizes(control, book(1_000.0, 0.0)) == (0.0, 0.2, "CONCENTRATED")
    assert sizes(control, book(-1_000.0, 0.0)) == (0.2, 0.0, "CONCENTRATED")
    assert sizes(other, book(0.0, 1_000.0)) == (0.2, 0.2, "NONE")


def test_a_small_book_and_a_small_portfolio_are_left_alone():
    control = control_of(max_concentration=0.6, min_total_notional_quote=Decimal(100), min_markets=3)

    assert sizes(control, book(500.0, 0.0)) == (0.2, 0.2, "NONE")
    assert sizes(control, book(99.0, 0.0, 0.0)) == (0.2, 0.2, "NONE")
    assert sizes(control, book(100.0, 0.0, 0.0)) == (0.0, 0.2, "CONCENTRATED")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((10.0, 480.0), (0.1, 0.2, "GROSS"), id="room for a part"),
        pytest.param((5.0, 500.0), (0.0, 0.05, "GROSS"), id="over it: only to flat"),
        pytest.param((-100.0, 500.0), (0.2, 0.0, "GROSS"), id="reducing is never cut"),
    ],
)
def test_the_gross_exposure_is_bounded_by_a_share_of_the_capital(values, expected):
    control = control_of(max_gross_share=0.5, capital_quote=Decimal(1_000))

    assert sizes(control, book(*values)) == (pytest.approx(expected[0]), pytest.approx(expected[1]), expected[2])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param((190.0, 100.0), (0.1, 0.2, "NET"), id="room for a part"),
        pytest.param((200.0, 100.0), (0.0, 0.2, "NET"), id="at it"),
        pytest.param((-5.0, 500.0), (0.05, 0.2, "NET"), id="a short in a long book may be closed"),
        pytest.param((0.0, -300.0), (0.2, 0.0, "NET"), id="a short book"),
        pytest.param((400.0, -400.0), (0.2, 0.2, "NONE"), id="hedged"),
    ],
)
def test_the_net_exposure_is_bounded_by_a_share_of_the_capital(values, expected):
    control = control_of(max_net_share=0.3, capital_quote=Decimal(1_000))

    assert sizes(control, book(*values)) == (pytest.approx(expected[0]), pytest.approx(expected[1]), expected[2])


@pytest.mark.parametrize("limit", ["max_gross_share", "max_net_share"])
def test_exposures_that_bind_end_to_bind_well_below_their_limit(limit):
    control = control_of(**{limit: 0.5}, capital_quote=Decimal(1_000), hysteresis=0.2)

    seen = [sizes(control, book(total / 2, total / 2))[0] for total in (450.0, 500.0, 450.0, 399.0, 450.0)]

    assert seen == [0.2, 0.0, 0.0, 0.2, 0.2]


@pytest.mark.parametrize(
    "fields",
    [
        {"position": math.nan},
        {"total_notional_quote": math.nan},
        {"net_notional_quote": math.inf},
        {"concentration": math.nan},
        {"market_count": math.nan},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_not_a_number_cancels(fields):
    verdict = control_of(max_concentration=0.6).assess(VIEW, book(1.0, 1.0)._replace(**fields), NEUTRAL_ADVICE, QUOTES)

    assert verdict == RiskVerdict(RiskLevel.CANCEL_ONLY, 99.9, 0.0, 100.1, 0.0, Reason.NOT_FINITE)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "max_concentration: expected a limit here, in max_gross_share or in max_net_share, was none"),
        ({"max_net_share": 0.5}, "capital_quote: expected an amount beside max_net_share, was none"),
    ],
)
def test_options_without_a_limit_or_a_capital_are_refused(options, text):
    with pytest.raises(DomainError) as caught:
        PortfolioOptions(**options)

    assert caught.value.message == text


def test_a_concentration_that_no_book_of_so_many_markets_can_have_is_refused_when_it_is_built():
    instruments = tuple(make_instrument(symbol) for symbol in ("A/USDT", "B/USDT", "C/USDC"))

    with pytest.raises(DomainError) as caught:
        build_component(PORTFOLIO, PortfolioOptions(max_concentration=0.4), instruments=instruments)

    text = "expected at least 1/2 = 0.500, which 2 markets have that all hold the same, was 0.4"
    assert caught.value.message == f"max_concentration: {text}"


VALUES = st.lists(st.integers(-10_000, 10_000).map(float), min_size=2, max_size=5)


@settings(max_examples=100)
@given(VALUES, st.floats(0.5, 0.99))
def test_whatever_it_lets_a_market_add_lowers_the_index_or_keeps_it_within_the_limit(values, limit):
    inventory = book(*values)
    control = control_of(max_concentration=limit)

    bid_size, ask_size, _ = sizes(control, inventory)

    step = 1e-3
    for size, sign in ((bid_size, 1.0), (ask_size, -1.0)):
        grown = book(values[0] + sign * step, *values[1:])
        reduces = abs(values[0] + sign * step) < abs(values[0])
        if reduces:
            assert size == 0.2
        elif size and inventory.concentration > limit:
            assert grown.concentration <= inventory.concentration * (1 + 1e-12)
        if not size:
            assert grown.concentration >= inventory.concentration * (1 - 1e-12)
            assert inventory.concentration > limit

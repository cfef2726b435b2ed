"""`volatility-regime` follows its table, its hysteresis and its two multipliers."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.volatility_regime import (
    VOLATILITY_REGIME,
    RegimeBps,
    RegimeThresholds,
    VolatilityRegimeOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, Reason
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_signals, make_view


def build(**options):
    return build_component(VOLATILITY_REGIME, VolatilityRegimeOptions(**options))


def view(bps_per_sqrt_s, relative_depth=1.0, **fields):
    """At mid 100, where 1 bps is 0.01 quote units."""
    signals = make_signals(volatility=bps_per_sqrt_s * 0.01, relative_depth=relative_depth)
    return make_view(signals=signals, **fields)


def spread_bps(optimizer, each, inventory=None):
    proposal = optimizer.propose(each, inventory or make_inventory(), NEUTRAL_ADVICE, NO_QUOTE)
    assert proposal.ask - each.mid == pytest.approx(each.mid - proposal.bid)
    return (proposal.ask - proposal.bid) / each.mid * 10_000.0


@pytest.mark.parametrize(
    ("level", "bps"),
    [(0.0, 5), (0.49, 5), (0.51, 10), (1.49, 10), (1.51, 20), (3.99, 20), (4.01, 50), (1e6, 50)],
)
def test_each_regime_has_its_spread(level, bps):
    assert spread_bps(build(), view(level)) == pytest.approx(bps)


def test_a_regime_is_left_downwards_only_below_the_band():
    optimizer = build(hysteresis=0.2)
    levels = [1.0, 1.6, 1.3, 1.21, 1.19, 1.3, 4.1, 3.3, 1.3, 0.41, 0.39]

    spreads = [round(spread_bps(optimizer, view(level))) for level in levels]

    assert spreads == [10, 20, 20, 20, 10, 10, 50, 50, 20, 10, 5]


def test_the_example_of_its_description_holds():
    inventory = make_inventory(position=0.5, max_position=1.0)

    proposal = build().propose(view(2.0, 0.6), inventory, NEUTRAL_ADVICE, NO_QUOTE)

    assert (proposal.bid, proposal.ask) == pytest.approx((99.755, 100.245))


@pytest.mark.parametrize(
    ("relative_depth", "factor"), [(0.0, 2.0), (0.25, 1.75), (1.0, 1.0), (3.0, 1.0)], ids=lambda value: f"{value:g}"
)
def test_a_thin_book_widens_up_to_twice_and_a_thick_one_never_narrows(relative_depth, factor):
    assert spread_bps(build(), view(0.1, relative_depth)) == pytest.approx(5 * factor)


@pytest.mark.parametrize(
    ("options", "inventory", "risk"),
    [
        pytest.param({}, {"position": -0.5, "max_position": 2.0}, 0.25, id="the gate's limit"),
        pytest.param({"full_position": Decimal(1)}, {"position": 0.5, "max_position": 2.0}, 0.5, id="the option first"),
        pytest.param({}, {"position": 9.0, "max_position": 2.0}, 1.0, id="never above 1"),
        pytest.param({}, {"position": 1.5, "target": 1.0, "max_position": 2.0}, 0.25, id="relative to the target"),
        pytest.param({}, {"position": 0.05}, 0.5, id="10 order sizes without a limit"),
    ],
)
def test_inventory_risk_widens_by_its_weight(options, inventory, risk):
    measured = spread_bps(build(**options), view(0.1, order_size=0.01), make_inventory(**inventory))

    assert measured == pytest.approx(5 * (1 + 1.5 * risk))


def test_annual_thresholds_are_the_same_ones_in_another_unit():
    annual = RegimeThresholds(medium=28.088, high=84.264, extreme=224.705)  # 56.1764 % a year is 1 bps per sqrt(s)
    optimizer = build(thresholds=annual, threshold_unit="annual-percent", hysteresis=0.0)

    spreads = [round(spread_bps(optimizer, view(level))) for level in (0.49, 0.51, 1.49, 1.51, 3.99, 4.01)]

    assert spreads == [5, 10, 10, 20, 20, 50]


@pytest.mark.parametrize(
    ("signals", "fields", "position", "reason"),
    [
        pytest.param((math.nan, 1.0), {}, 0.0, Reason.WARMING_UP, id="volatility not known"),
        pytest.param((1.0, math.nan), {}, 0.0, Reason.WARMING_UP, id="depth not known"),
        pytest.param((math.inf, 1.0), {}, 0.0, Reason.WARMING_UP, id="volatility infinite"),
        pytest.param((-1.0, 1.0), {}, 0.0, Reason.WARMING_UP, id="volatility negative"),
        pytest.param((1.0, 1.0), {"mid": 0.0}, 0.0, Reason.BOOK_EMPTY, id="zero mid"),
        pytest.param((1.0, 1.0), {"order_size": 0.0}, 0.0, Reason.BELOW_MINIMUM, id="no order size"),
        pytest.param((1.0, 1.0), {}, math.nan, Reason.NOT_FINITE, id="position not a number"),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(signals, fields, position, reason):
    each = make_view(signals=make_signals(volatility=signals[0], relative_depth=signals[1]))._replace(**fields)

    proposal = build().propose(each, make_inventory(position=position), NEUTRAL_ADVICE, NO_QUOTE)

    assert (proposal.bid_size, proposal.ask_size) == (0.0, 0.0)
    assert (proposal.bid_reason, proposal.ask_reason) == (reason, reason)


@settings(max_examples=100)
@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=20), st.floats(0.0, 0.9))
def test_the_regime_is_always_one_that_the_level_allows(levels, hysteresis):
    optimizer, begins = build(hysteresis=hysteresis), {5: 0.0, 10: 0.5, 20: 1.5, 50: 4.0}

    for level in levels:
        bps = round(spread_bps(optimizer, view(level)))

        higher = [begin for spread, begin in begins.items() if spread > bps]
        assert level >= begins[bps] * (1.0 - hysteresis) - 1e-9
        assert all(level < begin + 1e-9 for begin in higher)


@pytest.mark.parametrize(
    ("thresholds", "text"),
    [
        ((2.0, 2.0, 4.0), "high: expected more than medium, 2, was 2"),
        ((1.0, 5.0, 4.0), "extreme: expected more than high, 5, was 4"),
    ],
)
def test_thresholds_must_rise(thresholds, text):
    with pytest.raises(DomainError) as caught:
        RegimeThresholds(*thresholds)

    assert caught.value.message == text


def test_spreads_of_the_regimes_are_options():
    assert spread_bps(build(bps=RegimeBps(low=7.0)), view(0.1)) == pytest.approx(7.0)

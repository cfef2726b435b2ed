"""The calculators give what a person with a pencil gets, and break-even is where the edge is nothing."""

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.economics import (
    TradingCase,
    break_even_spread_bps,
    economics,
    inventory_cost_bps,
    minimum_volume_per_day_quote,
    pnl_per_day_quote,
    round_trip_edge_bps,
    sensitivity,
)
from mmframe.errors import DomainError

# The worked example of the module, whose figures are computed there by hand.
EXAMPLE = TradingCase(
    spread_bps=8.0,
    maker_fee_bps=1.0,
    adverse_bps=1.5,
    sigma_bps_per_sqrt_s=0.9,
    holding_s=120.0,
    risk_aversion=0.0004,
    order_value_quote=500.0,
    fills_per_day=400.0,
    fixed_cost_per_day_quote=24.0,
)
BPS = st.floats(0.0, 500.0)
FEES = st.floats(-20.0, 100.0)


def test_the_worked_example_of_the_module():
    result = economics(EXAMPLE)

    assert result.inventory_bps == pytest.approx(0.000972, rel=1e-12)
    assert result.edge_bps == pytest.approx(2.999028, rel=1e-12)
    assert result.break_even_spread_bps == pytest.approx(5.000972, rel=1e-12)
    assert result.volume_per_day_quote == 200_000.0
    assert result.pnl_per_day_quote == pytest.approx(5.99028, rel=1e-9)
    assert result.minimum_volume_per_day_quote == pytest.approx(160_051.86, abs=0.005)
    # 24 a day over round trips worth 100,000 is 2.4 bps of each.
    assert result.break_even_spread_with_fixed_bps == pytest.approx(7.400972, rel=1e-12)
    assert result.edge_per_round_trip_quote == pytest.approx(0.1499514, rel=1e-12)


def test_funding_is_paid_for_the_share_of_a_day_that_a_fill_stays():
    assert inventory_cost_bps(holding_s=21_600.0, funding_bps_per_day=4.0) == 1.0
    assert inventory_cost_bps(holding_s=21_600.0, funding_bps_per_day=-4.0) == -1.0


def test_a_rebate_that_pays_for_everything_breaks_even_at_no_spread():
    assert break_even_spread_bps(maker_fee_bps=-0.5, adverse_bps=0.2) == 0.0
    assert round_trip_edge_bps(0.0, maker_fee_bps=-0.5, adverse_bps=0.2) == pytest.approx(0.6)


@settings(max_examples=60, deadline=None)
@given(fee=FEES, adverse=FEES, inventory=FEES)
def test_the_break_even_spread_leaves_no_edge_and_a_wider_one_does(fee, adverse, inventory):
    costs = {"maker_fee_bps": fee, "adverse_bps": adverse, "inventory_bps": inventory}

    spread = break_even_spread_bps(**costs)

    edge = round_trip_edge_bps(spread, **costs)
    assert edge == pytest.approx(0.0, abs=1e-9) if spread else edge >= 0.0
    assert round_trip_edge_bps(spread + 1.0, **costs) > 0.0


@settings(max_examples=60, deadline=None)
@given(spread=BPS, fee=FEES, adverse=BPS, more=st.floats(0.001, 10.0))
def test_more_spread_earns_more_and_more_of_any_cost_less(spread, fee, adverse, more):
    edge = round_trip_edge_bps(spread, maker_fee_bps=fee, adverse_bps=adverse)

    assert round_trip_edge_bps(spread + more, maker_fee_bps=fee, adverse_bps=adverse) > edge
    assert round_trip_edge_bps(spread, maker_fee_bps=fee + more, adverse_bps=adverse) < edge
    assert round_trip_edge_bps(spread, maker_fee_bps=fee, adverse_bps=adverse + more) < edge
    assert round_trip_edge_bps(spread, maker_fee_bps=fee, adverse_bps=adverse, inventory_bps=more) < edge


@settings(max_examples=60, deadline=None)
@given(edge=st.floats(0.001, 500.0), fixed=st.floats(0.01, 1e6))
def test_the_minimum_volume_pays_the_fixed_costs_to_the_cent(edge, fixed):
    volume = minimum_volume_per_day_quote(edge, fixed_cost_per_day_quote=fixed)

    pnl = pnl_per_day_quote(edge, volume_per_day_quote=volume, fixed_cost_per_day_quote=fixed)
    assert pnl == pytest.approx(0.0, abs=1e-9 * fixed)


@pytest.mark.parametrize(
    ("edge", "fixed", "volume"),
    [(-1.0, 10.0, None), (-1.0, 0.0, None), (0.0, 10.0, None), (0.0, 0.0, 0.0), (2.0, 0.0, 0.0)],
    ids=["a loss", "a loss with nothing to pay", "no edge", "nothing at all", "nothing to pay"],
)
def test_where_no_volume_pays_there_is_none(edge, fixed, volume):
    assert minimum_volume_per_day_quote(edge, fixed_cost_per_day_quote=fixed) == volume


def test_the_spread_with_fixed_costs_is_the_one_at_which_the_day_earns_nothing():
    spread = economics(EXAMPLE).break_even_spread_with_fixed_bps

    assert economics(attrs.evolve(EXAMPLE, spread_bps=spread)).pnl_per_day_quote == pytest.approx(0.0, abs=1e-9)


def test_sensitivity_moves_one_input_at_a_time_and_puts_the_strongest_first():
    rows = sensitivity(EXAMPLE)

    assert [row.name for row in rows][:2] == ["spread_bps", "adverse_bps"]
    assert {row.name for row in rows} == {
        field.name for field in attrs.fields(TradingCase) if getattr(EXAMPLE, field.name)
    }
    spread = rows[0]
    assert (spread.low, spread.high) == (pytest.approx(7.2), pytest.approx(8.8))
    assert spread.edge_bps_at_low == pytest.approx(2.199028)
    assert spread.pnl_per_day_quote_at_high == pytest.approx(13.99028)


def test_a_rebate_that_is_a_tenth_lower_pays_less():
    (rebate,) = [
        row for row in sensitivity(TradingCase(spread_bps=4.0, maker_fee_bps=-0.5)) if row.name != "spread_bps"
    ]

    assert (rebate.low, rebate.high) == (pytest.approx(-0.55), pytest.approx(-0.45))
    assert rebate.edge_bps_at_low > rebate.edge_bps_at_high


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spread_bps": math.nan}, "spread_bps: expected a finite number, was nan"),
        ({"spread_bps": -1.0}, "spread_bps: expected at least 0, was -1"),
        ({"spread_bps": 20_000.0}, "spread_bps: expected less than 20000, at which the bid would be 0, was 20000"),
        ({"maker_fee_bps": math.inf}, "maker_fee_bps: expected a finite number, was inf"),
        ({"adverse_bps": 10_001.0}, "adverse_bps: expected at most 10000, was 10001"),
        ({"sigma_bps_per_sqrt_s": -0.1}, "sigma_bps_per_sqrt_s: expected at least 0, was -0.1"),
        ({"holding_s": math.nan}, "holding_s: expected a finite number, was nan"),
        ({"order_value_quote": 0.0}, "order_value_quote: expected more than 0, was 0"),
        ({"fills_per_day": -1.0}, "fills_per_day: expected at least 0, was -1"),
        ({"fixed_cost_per_day_quote": -5.0}, "fixed_cost_per_day_quote: expected at least 0, was -5"),
        ({"volume_per_day_quote": 1e6}, "volume_per_day_quote: expected none beside fills_per_day, was 1e+06"),
        ({"risk_aversion": 0.0}, "risk_aversion: expected more than 0 beside sigma_bps_per_sqrt_s, was 0"),
        ({"holding_s": 0.0}, "holding_s: expected more than 0 beside risk_aversion, was 0"),
        (
            {"order_value_quote": None},
            "order_value_quote: expected the value of one fill beside fills_per_day, was none",
        ),
        (
            {"risk_aversion": 0.0, "sigma_bps_per_sqrt_s": 0.0},
            "holding_s: expected risk_aversion or funding_bps_per_day beside it, was 120",
        ),
        (
            {"order_value_quote": 1e308, "fills_per_day": 10.0},
            "volume_per_day_quote: expected numbers small enough for a finite result, was inf",
        ),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_an_impossible_number_is_refused_by_name(changes, message):
    with pytest.raises(DomainError) as caught:
        attrs.evolve(EXAMPLE, **changes)

    assert caught.value.message == message

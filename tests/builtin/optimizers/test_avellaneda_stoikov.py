"""`avellaneda-stoikov` quotes what the paper says, within its bounds, and says why when it does not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.builtin.optimizers.avellaneda_stoikov import AVELLANEDA_STOIKOV, AvellanedaStoikovOptions
from mmframe.builtin.optimizers.models import (
    infinite_reservation_distances,
    liquidity_half_spread,
    stationary_distribution,
    std_of,
)
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_signals, make_view

SESSION_NS = 10_000_000_000
EXAMPLE = {"decay_per_price": 50.0, "risk_aversion": 5.0, "horizon_s": 10.0}


def quotes(position=0.0, volatility=0.02, *, before=NO_QUOTE, now_ns=0, order_size=1.0, inventory=None, **options):
    optimizer = build_component(AVELLANEDA_STOIKOV, AvellanedaStoikovOptions(**{**EXAMPLE, **options}))
    view = make_view(order_size=order_size, now_ns=now_ns, signals=make_signals(volatility=volatility))
    return optimizer.propose(view, inventory or make_inventory(position), NEUTRAL_ADVICE, before)


def infinite(position=0.0, volatility=0.02, **options):
    return quotes(position, volatility, horizon="infinite", **options)


def test_the_example_of_its_description_holds():
    assert quotes(2.0) == QuoteProposal(
        pytest.approx(99.93094, abs=1e-5), 1.0, pytest.approx(99.98906, abs=1e-5), 1.0, 0, 0
    )


def test_the_order_size_is_the_unit_of_inventory_and_of_risk():
    assert quotes(0.2, order_size=0.1, risk_aversion=50.0)[0::2] == pytest.approx(quotes(2.0)[0::2])


def test_decay_per_bps_is_the_same_one_in_another_unit():
    """At 100 a bps is 0.01 quote units: 50 a unit are 0.5 a bps."""
    assert quotes(2.0, decay_per_price=None, decay_per_bps=0.5) == pytest.approx(quotes(2.0))


def test_costs_widen_both_sides_and_half_an_adverse_move_counts():
    dear = quotes(2.0, maker_fee_bps=1.0, adverse_move_bps=2.0)

    assert (dear.bid, dear.ask) == pytest.approx((quotes(2.0).bid - 0.02, quotes(2.0).ask + 0.02))


def test_a_session_counts_down_to_its_end_and_begins_anew():
    skews = [quotes(2.0, now_ns=now_ns, horizon="session").bid for now_ns in (0, SESSION_NS // 2, SESSION_NS - 1)]
    half = liquidity_half_spread(5.0, 50.0)

    assert skews == pytest.approx([100 - 0.04 - half - 0.01, 100 - 0.02 - half - 0.005, 100 - half])
    assert quotes(2.0, now_ns=3 * SESSION_NS, horizon="session") == quotes(2.0)


@pytest.mark.parametrize("std", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("volatility", [0.005, 0.05])
def test_the_inventory_settles_at_the_deviation_that_is_asked_for(std, volatility):
    options = {"risk_aversion": None, "inventory_std_orders": std, "max_orders": 60}
    steps = [quotes(float(n), volatility, **options) for n in range(-60, 61)]
    bids = [100.0 - each.bid for each in steps[:-1]]
    asks = [each.ask - 100.0 for each in steps[1:]]

    exact = std_of(stationary_distribution(bids, asks, decay=50.0), lowest=-60)

    assert exact == pytest.approx(std, rel=1e-3)


def test_a_risk_neutral_maker_quotes_one_over_k_and_does_not_skew():
    assert quotes(7.0, risk_aversion=0.0) == QuoteProposal(pytest.approx(99.98), 1.0, pytest.approx(100.02), 1.0, 0, 0)


@pytest.mark.parametrize("position", [-19.0, -2.0, 0.0, 1.0, 19.0])
def test_the_infinite_horizon_stands_around_the_papers_reservation_prices(position):
    bid, ask = infinite_reservation_distances(
        position, risk_aversion=5.0, sigma=0.02, discount_per_s=(5.0 * 0.02 * 21.0) ** 2 / 2.0
    )
    half = liquidity_half_spread(5.0, 50.0)

    was = infinite(position)

    assert (was.bid, was.ask) == pytest.approx((100.0 + bid - half, 100.0 + ask + half))


def test_a_discount_of_its_own_brings_the_volatility_back_in():
    calm, wild = infinite(3.0, 0.02, discount_per_s=1.0), infinite(3.0, 0.04, discount_per_s=1.0)
    bid, ask = infinite_reservation_distances(3.0, risk_aversion=5.0, sigma=0.02, discount_per_s=1.0)

    assert calm.bid == pytest.approx(100.0 + bid - liquidity_half_spread(5.0, 50.0))
    assert calm.ask == pytest.approx(100.0 + ask + liquidity_half_spread(5.0, 50.0))
    assert wild.bid < calm.bid
    assert wild.ask < calm.ask


def test_beyond_the_papers_limit_the_side_that_reduces_is_quoted_as_at_the_limit():
    # sqrt(2 omega) / (g sigma) = 4, so no price to buy exists from 3 orders on, nor to sell from -3.
    options = {"discount_per_s": (4.0 * 5.0 * 0.02) ** 2 / 2.0}
    ask = math.log(1.0 + (1.0 - 2.0 * 3.0) / (4.0**2 - 3.0**2)) / 5.0

    for position in (3.0, 3.5, 4.0, 50.0):
        long, short = infinite(position, **options), infinite(-position, **options)

        assert (long.bid_size, long.bid_reason, long.ask_size) == (0.0, Reason.INVENTORY, 1.0)
        assert long.ask == pytest.approx(100.0 + ask + liquidity_half_spread(5.0, 50.0))
        assert (short.ask_size, short.ask_reason, short.bid_size) == (0.0, Reason.INVENTORY, 1.0)
    assert infinite(2.9, **options).bid_size == 1.0


def test_without_room_under_the_discount_only_what_reduces_has_a_price():
    flat, long = infinite(0.0, 0.5, discount_per_s=1.0), infinite(5.0, 0.5, discount_per_s=1.0)

    absent = (0.0, Reason.INVENTORY)
    assert [(flat.bid_size, flat.bid_reason), (flat.ask_size, flat.ask_reason)] == [absent, absent]
    assert [(long.bid_size, long.bid_reason), (long.ask_size, long.ask_reason)] == [absent, (1.0, 0)]


@pytest.mark.parametrize("horizon", ["rolling", "session", "infinite"])
@pytest.mark.parametrize(
    ("position", "absent"), [(2.0, "bid"), (2.5, "bid"), (1.5, "bid"), (-2.0, "ask"), (-9.0, "ask")]
)
def test_a_fill_beyond_the_largest_inventory_is_not_asked_for(horizon, position, absent):
    was = quotes(position, max_orders=2, horizon=horizon)._asdict()
    reducing = "ask" if absent == "bid" else "bid"

    assert (was[f"{absent}_size"], was[f"{absent}_reason"]) == (0.0, Reason.INVENTORY)
    assert math.isnan(was[absent])
    assert was[f"{reducing}_size"] == 1.0


def test_the_last_order_within_the_largest_inventory_is_asked_for():
    """Ten fills of 0.1 are 0.99999..., which must not cost the eleventh order."""
    was = quotes(sum([0.1] * 10), order_size=0.1, max_orders=11)

    assert was.bid_size == 0.1


def test_what_came_before_is_replaced():
    assert quotes(before=QuoteProposal(1.0, 9.0, math.nan, 0.0, 0, 7)) == quotes()


@pytest.mark.parametrize("horizon", ["rolling", "session", "infinite"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"volatility": math.nan}, Reason.WARMING_UP, id="volatility unknown"),
        pytest.param({"volatility": 0.0}, 1111, id="volatility 0"),
        pytest.param({"volatility": -1.0}, 1111, id="volatility negative"),
        pytest.param({"volatility": math.inf}, 1111, id="volatility infinite"),
        pytest.param({"position": math.nan}, Reason.NOT_FINITE, id="position not a number"),
        pytest.param({"order_size": 0.0}, Reason.BELOW_MINIMUM, id="no order size"),
        pytest.param({"risk_aversion": 1e12, "max_half_spread_bps": 1e-9}, 1110, id="absurd gamma"),
        pytest.param({"maker_fee_bps": -100.0}, 1110, id="rebate beyond the spread"),
        pytest.param({"decay_per_price": 1e-9, "max_half_spread_bps": 200.0}, 1110, id="k next to 0"),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(horizon, change, reason):
    was = quotes(**{"horizon": horizon, **change})

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)
    assert AVELLANEDA_STOIKOV.reasons.keys() == {1110, 1111}


def test_percent_volatility_instead_of_a_square_root_second_is_told_by_the_spread():
    assert quotes(volatility=30.0).bid_reason == 1110


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"decay_per_price": None}, "decay_per_price: expected either this or `decay_per_bps`, was none"),
        ({"decay_per_bps": 1.0}, "decay_per_price: expected either this or `decay_per_bps`, was both"),
        (
            {"decay_per_price": None, "decay_per_bps": 0.001},
            (
                "decay_per_bps: expected at least 0.002, was 0.001: the half spread of about 1 / k would exceed "
                "max_half_spread_bps, 500"
            ),
        ),
        (
            {"maker_fee_bps": 10.0, "adverse_move_bps": 30.0, "max_half_spread_bps": 25.0},
            "max_half_spread_bps: expected more than 25, what a fill costs, was 25",
        ),
        (
            {"risk_aversion": None, "inventory_std_orders": 12.0},
            "inventory_std_orders: expected less than 11.8 with max_orders = 20, was 12",
        ),
        ({"risk_aversion": None}, "risk_aversion: expected either this or `inventory_std_orders`, was none"),
        ({"inventory_std_orders": 3.0}, "risk_aversion: expected either this or `inventory_std_orders`, was both"),
        ({"discount_per_s": 1.0}, 'discount_per_s: expected none with horizon = "rolling", was 1'),
        (
            {"horizon": "infinite", "risk_aversion": 0.0},
            'risk_aversion: expected more than 0 with horizon = "infinite", was 0',
        ),
        (
            {"horizon": "infinite", "risk_aversion": None, "inventory_std_orders": 3.0},
            'inventory_std_orders: expected `risk_aversion` instead with horizon = "infinite"',
        ),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, text):
    with pytest.raises(DomainError) as caught:
        AvellanedaStoikovOptions(**{**EXAMPLE, **options})

    assert caught.value.message == text


SANE = {
    "decay": st.floats(10.0, 200.0),
    "gamma": st.floats(0.01, 50.0),
    "volatility": st.floats(1e-4, 0.05),
    "position": st.floats(-18.0, 18.0),
    "horizon": st.sampled_from(["rolling", "infinite"]),
}


@given(**SANE, factor=st.floats(1.0, 3.0))
def test_the_spread_never_falls_as_volatility_rises(decay, gamma, volatility, position, horizon, factor):
    options = {"decay_per_price": decay, "risk_aversion": gamma, "horizon": horizon, "max_half_spread_bps": 5_000.0}

    calm, wild = (quotes(position, value, **options) for value in (volatility, volatility * factor))

    assert wild.ask - wild.bid >= calm.ask - calm.bid - 1e-9


@given(**SANE, more=st.floats(0.01, 1.0))
def test_more_inventory_lowers_both_quotes(decay, gamma, volatility, position, horizon, more):
    options = {"decay_per_price": decay, "risk_aversion": gamma, "horizon": horizon, "max_half_spread_bps": 5_000.0}

    less, held = (quotes(value, volatility, **options) for value in (position, position + more))

    assert held.bid < less.bid
    assert held.ask < less.ask

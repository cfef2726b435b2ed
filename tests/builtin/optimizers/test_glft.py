"""`glft` quotes the closed form and the eigenvector, within its bounds, and says why when it does not."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.glft import GLFT, GlftOptions
from mmframe.builtin.optimizers.models import (
    asymptotic_skew,
    liquidity_half_spread,
    stationary_distribution,
    stationary_skews,
    std_of,
)
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_signals, make_view

PAPER = {"decay_per_price": 0.3, "arrival_rate_per_s": 0.9, "risk_aversion": 0.01, "max_orders": 30}
HALF = liquidity_half_spread(0.01, 0.3)
METHODS = pytest.mark.parametrize("method", ["closed-form", "exact"])


def quotes(position=0.0, volatility=0.3, *, before=NO_QUOTE, order_size=1.0, **options):
    optimizer = build_component(GLFT, GlftOptions(**{**PAPER, **options}))
    view = make_view(order_size=order_size, signals=make_signals(volatility=volatility))
    return optimizer.propose(view, make_inventory(position), NEUTRAL_ADVICE, before)


def settled_std(largest, volatility=0.3, **options):
    steps = [quotes(float(n), volatility, max_orders=largest, **options) for n in range(-largest, largest + 1)]
    bids = [100.0 - each.bid for each in steps[:-1]]
    asks = [each.ask - 100.0 for each in steps[1:]]
    return std_of(stationary_distribution(bids, asks, decay=0.3), lowest=-largest)


def test_the_example_of_its_description_holds():
    assert quotes(5.0) == QuoteProposal(
        pytest.approx(96.34776, abs=1e-5), 1.0, pytest.approx(102.97359, abs=1e-5), 1.0, 0, 0
    )


@pytest.mark.parametrize("position", [-30.0, -29.0, -7.0, 0.0, 1.0, 12.0, 29.0, 30.0])
@pytest.mark.parametrize("volatility", [0.003, 0.3, 2.0])
def test_exact_quotes_are_those_of_the_eigenvector(position, volatility):
    """The table is exact at its rows and within 0.4 % of a skew between them."""
    skew = asymptotic_skew(risk_aversion=0.01, sigma=volatility, arrival_rate=0.9, decay=0.3)
    skews = stationary_skews(0.3 * skew, 30)

    was = quotes(position, volatility, method="exact")

    place = int(position) + 30
    if position < 30.0:
        assert was.bid == pytest.approx(100.0 - HALF - skews[place] / 0.3, abs=0.004 * abs(skews[place]) / 0.3 + 2e-3)
    if position > -30.0:
        upper = skews[place - 1] / 0.3
        assert was.ask == pytest.approx(100.0 + HALF - upper, abs=0.004 * abs(upper) + 2e-3)


@pytest.mark.parametrize("position", [-30.0, -7.0, 0.0, 12.0, 30.0])
def test_the_table_of_a_wanted_deviation_is_exact(position):
    skews = stationary_skews(1.0 / 32.0, 30)

    was = quotes(position, method="exact", risk_aversion=None, inventory_std_orders=4.0)

    other = quotes(position, method="exact", risk_aversion=None, inventory_std_orders=4.0, max_half_spread_bps=5e3)
    half = quotes(0.0, risk_aversion=None, inventory_std_orders=4.0).ask - 100.0 - 1.0 / 32.0 / 0.3 / 2.0
    place = int(position) + 30
    assert was == pytest.approx(other, nan_ok=True)
    if position < 30.0:
        assert was.bid == pytest.approx(100.0 - half - skews[place] / 0.3)
    if position > -30.0:
        assert was.ask == pytest.approx(100.0 + half - skews[place - 1] / 0.3)


def test_a_position_between_two_whole_orders_lies_between_their_quotes():
    low, middle, high = (quotes(position, method="exact").bid for position in (2.0, 2.25, 3.0))

    assert middle == pytest.approx(0.75 * low + 0.25 * high)


@pytest.mark.parametrize("volatility", [0.05, 0.3, 1.5])
@pytest.mark.parametrize("std", [0.7, 2.0, 5.0])
def test_the_inventory_settles_at_the_deviation_that_is_asked_for(std, volatility):
    was = settled_std(
        int(9 * std) + 3, volatility, risk_aversion=None, inventory_std_orders=std, max_half_spread_bps=5e3
    )

    # Below one order the discrete normal differs from the continuous one, by 4 exp(-pi^2 2 S^2) and more.
    assert was == pytest.approx(std, rel=2e-3)


def test_exact_quotes_settle_near_the_deviation_that_is_asked_for():
    was = settled_std(60, method="exact", risk_aversion=None, inventory_std_orders=5.0)

    assert was == pytest.approx(5.0, rel=0.01)


def test_the_solved_risk_aversion_is_that_of_the_paper():
    std = 1.0 / math.sqrt(2.0 * 0.3 * asymptotic_skew(risk_aversion=0.01, sigma=0.3, arrival_rate=0.9, decay=0.3))

    solved = quotes(5.0, risk_aversion=None, inventory_std_orders=std)

    assert solved == pytest.approx(quotes(5.0), rel=1e-14)


def test_the_order_size_is_the_unit_of_inventory_and_of_risk():
    assert quotes(0.5, order_size=0.1, risk_aversion=0.1)[0::2] == pytest.approx(quotes(5.0)[0::2])


def test_decay_per_bps_is_the_same_one_in_another_unit():
    assert quotes(5.0, decay_per_price=None, decay_per_bps=0.003) == pytest.approx(quotes(5.0))


@METHODS
def test_costs_widen_both_sides_and_thin_out_fills(method):
    """1 bps of fee and half of 2 bps of adverse move are 0.02, as far as the arrivals fall by exp(-0.3 x 0.02)."""
    dear = quotes(5.0, method=method, maker_fee_bps=1.0, adverse_move_bps=2.0)
    thin = quotes(5.0, method=method, arrival_rate_per_s=0.9 * math.exp(-0.3 * 0.02))

    assert (dear.bid, dear.ask) == pytest.approx((thin.bid - 0.02, thin.ask + 0.02))


def test_a_drift_shifts_the_inventory_that_both_quotes_lean_against():
    """0.0018 a second over gamma sigma^2 = 0.0009 is worth 2 orders."""
    was = quotes(5.0, drift_per_s=0.0018)

    assert (was.bid, was.ask) == pytest.approx((quotes(3.0).bid, quotes(3.0).ask))


def test_a_risk_neutral_maker_quotes_one_over_k_and_skews_only_near_the_limit():
    closed, exact = (quotes(7.0, risk_aversion=0.0, method=method) for method in ("closed-form", "exact"))

    assert (closed.bid, closed.ask) == pytest.approx((100.0 - 1.0 / 0.3, 100.0 + 1.0 / 0.3))
    assert exact.bid == pytest.approx(100.0 - 1.0 / 0.3 - stationary_skews(2.0**-13, 30)[37] / 0.3)


@METHODS
@pytest.mark.parametrize(
    ("position", "absent"), [(2.0, "bid"), (1.5, "bid"), (9.0, "bid"), (-2.0, "ask"), (-9.0, "ask")]
)
def test_a_fill_beyond_the_largest_inventory_is_not_asked_for(method, position, absent):
    was = quotes(position, max_orders=2, method=method)._asdict()

    assert (was[f"{absent}_size"], was[f"{absent}_reason"]) == (0.0, Reason.INVENTORY)
    assert was["ask_size" if absent == "bid" else "bid_size"] == 1.0


@METHODS
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"volatility": math.nan}, Reason.WARMING_UP, id="volatility unknown"),
        pytest.param({"volatility": 0.0}, 1111, id="volatility 0"),
        pytest.param({"volatility": math.inf}, 1111, id="volatility infinite"),
        pytest.param({"volatility": 1e7}, 1110, id="volatility absurd"),
        pytest.param({"volatility": 30.0}, 1110, id="volatility in percent"),
        pytest.param({"position": math.nan}, Reason.NOT_FINITE, id="position not a number"),
        pytest.param({"order_size": 0.0}, Reason.BELOW_MINIMUM, id="no order size"),
        pytest.param({"risk_aversion": 1e12}, 1110, id="gamma absurd"),
        pytest.param({"maker_fee_bps": -100.0, "decay_per_price": 3.0}, 1110, id="rebate beyond the spread"),
        pytest.param({"decay_per_price": 1e-9}, 1110, id="k next to 0"),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(method, change, reason):
    was = quotes(**{"method": method, **change})

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


def test_what_came_before_is_replaced():
    assert quotes(before=QuoteProposal(1.0, 9.0, math.nan, 0.0, 0, 7)) == quotes()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"risk_aversion": None}, "risk_aversion: expected either this or `inventory_std_orders`, was none"),
        ({"method": "exact", "drift_per_s": 1.0}, 'drift_per_s: expected 0 with method = "exact", was 1'),
        ({"risk_aversion": 0.0, "drift_per_s": 1.0}, "drift_per_s: expected 0 without risk aversion, was 1"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, text):
    with pytest.raises(DomainError) as caught:
        GlftOptions(**{**PAPER, **options})

    assert caught.value.message == text


SANE = {
    "decay": st.floats(0.1, 50.0),
    "arrival": st.floats(0.01, 100.0),
    "risk": st.one_of(
        st.floats(1e-3, 1.0).map(lambda value: {"risk_aversion": value}),
        st.floats(1.0, 8.0).map(lambda value: {"risk_aversion": None, "inventory_std_orders": value}),
    ),
    "method": st.sampled_from(["closed-form", "exact"]),
    "position": st.floats(-27.0, 27.0),
}


def options_of(drawn):
    return {
        "decay_per_price": drawn["decay"],
        "arrival_rate_per_s": drawn["arrival"],
        "method": drawn["method"],
        "max_half_spread_bps": 5_000.0,
        **drawn["risk"],
    }


def flat_if_exact(drawn):
    """Next to its inventory limit the exact spread may do either: the limit's reach grows as the skew falls."""
    return 0.0 if drawn["method"] == "exact" else drawn["position"]


@settings(max_examples=80)
@given(drawn=st.fixed_dictionaries(SANE), volatility=st.floats(1e-3, 0.3), factor=st.floats(1.0, 3.0))
def test_the_spread_never_falls_as_volatility_rises_with_a_given_risk_aversion(drawn, volatility, factor):
    options = {**options_of(drawn), "risk_aversion": 0.01, "inventory_std_orders": None}
    position = flat_if_exact(drawn)

    calm, wild = (quotes(position, value, **options) for value in (volatility, volatility * factor))

    assert calm.bid_size or wild.bid_reason != 0
    if wild.bid_size and wild.ask_size:
        assert wild.ask - wild.bid >= calm.ask - calm.bid - 1e-9


@settings(max_examples=80)
@given(drawn=st.fixed_dictionaries(SANE), factor=st.floats(1.0, 3.0))
def test_the_spread_never_rises_with_the_rate_of_fills(drawn, factor):
    options = {**options_of(drawn), "risk_aversion": 0.01, "inventory_std_orders": None}
    position = flat_if_exact(drawn)

    few = quotes(position, 0.1, **options)
    many = quotes(position, 0.1, **{**options, "arrival_rate_per_s": drawn["arrival"] * factor})

    if few.bid_size and few.ask_size:
        assert many.ask - many.bid <= few.ask - few.bid + 1e-9


@settings(max_examples=80)
@given(drawn=st.fixed_dictionaries(SANE), more=st.floats(0.01, 2.0))
def test_more_inventory_lowers_both_quotes(drawn, more):
    less, held = (quotes(value, 0.1, **options_of(drawn)) for value in (drawn["position"], drawn["position"] + more))

    if less.bid_size and held.bid_size:
        assert held.bid < less.bid
    if less.ask_size and held.ask_size:
        assert held.ask < less.ask

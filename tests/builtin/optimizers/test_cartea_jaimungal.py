"""`cartea-jaimungal` quotes the matrix exponential of its model, and refuses what it cannot tabulate."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.cartea_jaimungal import CARTEA_JAIMUNGAL, CarteaJaimungalOptions
from mmframe.builtin.optimizers.models import marched_skews, stationary_distribution, stationary_skews, std_of
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_view

EXAMPLE = {"decay_per_price": 2.0, "arrival_rate_per_s": math.e, "running_penalty_per_s": 0.5, "max_orders": 1}
SESSION_NS = 8_000_000_000
SESSION = {
    "decay_per_price": 2.0,
    "arrival_rate_per_s": math.e,
    "running_penalty_per_s": 0.005,
    "terminal_penalty": 0.05,
    "horizon": "session",
    "horizon_s": 8.0,
    "max_orders": 10,
}


def quotes(position=0.0, *, before=NO_QUOTE, order_size=1.0, now_ns=0, **options):
    optimizer = build_component(CARTEA_JAIMUNGAL, CarteaJaimungalOptions(**{**EXAMPLE, **options}))
    view = make_view(order_size=order_size, now_ns=now_ns)
    return optimizer.propose(view, make_inventory(position), NEUTRAL_ADVICE, before)


@pytest.mark.parametrize(
    ("position", "bid", "ask"), [(0.0, 99.15343, 100.84657), (1.0, math.nan, 100.15343), (-1.0, 99.84657, math.nan)]
)
def test_the_example_of_its_description_holds(position, bid, ask):
    was = quotes(position)

    assert (was.bid, was.ask) == pytest.approx((bid, ask), abs=1e-5, nan_ok=True)
    assert (was.bid_reason, was.ask_reason) == (15 * math.isnan(bid), 15 * math.isnan(ask))


@pytest.mark.parametrize("left_s", [8.0, 4.0, 1.0, 0.5, 0.002])
@pytest.mark.parametrize("position", [-10.0, -3.0, 0.0, 4.0, 10.0])
def test_a_session_is_the_matrix_exponential_at_its_rows(left_s, position):
    """eta is 1 and the ratio sqrt(2 x 0.005) = 0.1; halves of the horizon are rows of the table."""
    skews = marched_skews(0.1, 10, terminal=0.1, times=[left_s])[0]

    was = quotes(position, now_ns=SESSION_NS - round(left_s * 1e9), **SESSION)

    place = int(position) + 10
    tolerance = 1e-9 if left_s >= 0.5 else 1e-5
    if position < 10.0:
        assert 99.5 - was.bid == pytest.approx(skews[place] / 2.0, abs=tolerance)
    if position > -10.0:
        assert 100.5 - was.ask == pytest.approx(skews[place - 1] / 2.0, abs=tolerance)


@given(st.floats(1e-6, 8.0), st.integers(-9, 9))
@settings(max_examples=60)
def test_between_its_rows_a_session_is_near_the_matrix_exponential(left_s, position):
    left_ns = max(1, round(left_s * 1e9))
    skews = marched_skews(0.1, 10, terminal=0.1, times=[left_ns / 1e9])[0]

    was = quotes(float(position), now_ns=SESSION_NS - left_ns, **SESSION)

    assert 99.5 - was.bid == pytest.approx(skews[position + 10] / 2.0, abs=2e-3)


def test_a_session_begins_anew():
    assert quotes(3.0, now_ns=3 * SESSION_NS, **SESSION) == quotes(3.0, now_ns=0, **SESSION)


def test_the_last_nanosecond_of_the_longest_session_has_quotes():
    """As a share of 2^53 nanoseconds and more what is left would round to nothing, and its logarithm would raise."""
    longest = {**SESSION, "horizon_s": 31_622_400.0}

    last = quotes(3.0, now_ns=31_622_400 * 10**9 - 1, **longest)

    assert last.bid == pytest.approx(100.0 - 0.5 - 0.05 * 7.0)


def test_a_rolling_horizon_is_a_session_that_stays_at_its_start():
    rolling = quotes(3.0, now_ns=123_456_789, **{**SESSION, "horizon": "rolling"})

    assert rolling == pytest.approx(quotes(3.0, **SESSION))


def test_a_long_session_starts_with_the_stationary_quotes():
    options = {**SESSION, "horizon_s": 3_600.0}

    was = quotes(3.0, **options)

    assert 99.5 - was.bid == pytest.approx(stationary_skews(0.1, 10)[13] / 2.0, abs=1e-9)
    assert was == pytest.approx(quotes(3.0, **{**options, "horizon": "infinite", "terminal_penalty": 0.0}))


@pytest.mark.parametrize("horizon_s", [3_000.0, 86_400.0])
def test_what_can_be_tabulated_is_not_refused(horizon_s):
    """Beyond the time at which it has settled a horizon costs nothing more."""
    options = {**SESSION, "max_orders": 20, "running_penalty_per_s": 0.0, "terminal_penalty": 0.0}

    assert quotes(1.0, **{**options, "horizon_s": horizon_s}).bid_size == 1.0


def test_a_march_that_is_cut_where_it_has_settled_goes_on_where_it_was():
    """The last marched row and the stationary one, which follows it, must not differ."""
    times = [36.0 / 0.16 * 0.99]

    marched = marched_skews(0.1, 10, terminal=0.1, times=times)[0]

    assert marched == pytest.approx(stationary_skews(0.1, 10), abs=1e-12)


@pytest.mark.parametrize("std", [2.0, 5.0])
def test_the_inventory_settles_near_the_deviation_that_is_asked_for(std):
    options = {"running_penalty_per_s": None, "inventory_std_orders": std, "max_orders": 60}
    steps = [quotes(float(n), **options) for n in range(-60, 61)]
    bids = [100.0 - each.bid for each in steps[:-1]]
    asks = [each.ask - 100.0 for each in steps[1:]]

    assert std_of(stationary_distribution(bids, asks, decay=2.0), lowest=-60) == pytest.approx(std, rel=0.03)


def test_decay_per_bps_is_the_same_one_in_another_unit():
    tuned = {"running_penalty_per_s": None, "inventory_std_orders": 3.0, "max_orders": 7}

    assert quotes(1.0, decay_per_price=None, decay_per_bps=0.02, **tuned) == pytest.approx(
        quotes(1.0, **tuned), nan_ok=True
    )


def test_costs_widen_both_sides():
    dear = quotes(maker_fee_bps=1.0, adverse_move_bps=2.0)

    assert (dear.bid, dear.ask) == pytest.approx((quotes().bid - 0.02, quotes().ask + 0.02))


def test_a_risk_neutral_maker_skews_only_for_its_limit():
    was = quotes(0.0, running_penalty_per_s=0.0)

    assert 99.5 - was.bid == pytest.approx(math.log(2.0) / 2.0 / 2.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"position": math.nan}, Reason.NOT_FINITE, id="position not a number"),
        pytest.param({"order_size": 0.0}, Reason.BELOW_MINIMUM, id="no order size"),
        pytest.param({"decay_per_price": 1e-9}, 1110, id="k next to 0"),
        pytest.param({"maker_fee_bps": -100.0}, 1110, id="rebate beyond the spread"),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(change, reason):
    was = quotes(**change)

    assert (was.bid_size, was.ask_size, was.bid_reason, was.ask_reason) == (0.0, 0.0, reason, reason)


def test_what_came_before_is_replaced():
    assert quotes(before=QuoteProposal(1.0, 9.0, math.nan, 0.0, 0, 7)) == quotes()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"running_penalty_per_s": None},
            "running_penalty_per_s: expected either this or `inventory_std_orders`, was none",
        ),
        ({"terminal_penalty": 1.0}, 'terminal_penalty: expected 0 with horizon = "infinite", was 1'),
        (
            {"decay_per_price": None, "decay_per_bps": 1.0},
            "decay_per_bps: expected `decay_per_price` beside a penalty, was 1",
        ),
        (
            {"terminal_penalty": 4.0, "horizon": "rolling", "max_orders": 10},
            "terminal_penalty: expected at most 3, was 4",
        ),
        (
            {"horizon": "rolling", "horizon_s": 15_000.0, "running_penalty_per_s": 0.0, "max_orders": 60},
            "horizon_s: expected less with 60 orders and this penalty, was 15000",
        ),
        ({"running_penalty_per_s": 1e4}, "running_penalty_per_s: expected k x penalty at most 1024 A / e, was 20000"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, text):
    with pytest.raises(DomainError) as caught:
        CarteaJaimungalOptions(**{**EXAMPLE, **options})

    assert caught.value.message == text


@settings(max_examples=60)
@given(st.floats(-18.0, 18.0), st.floats(0.01, 2.0), st.floats(0.0, 0.05), st.sampled_from(["rolling", "infinite"]))
def test_more_inventory_lowers_both_quotes(position, more, penalty, horizon):
    options = {"running_penalty_per_s": round(penalty, 4), "horizon": horizon, "horizon_s": 5.0, "max_orders": 20}

    less, held = (quotes(value, **options) for value in (position, position + more))

    if less.bid_size and held.bid_size:
        assert held.bid < less.bid
    if less.ask_size and held.ask_size:
        assert held.ask < less.ask


@settings(max_examples=60)
@given(st.floats(0.0, 0.05), st.floats(1.0, 3.0))
def test_the_flat_spread_rises_with_the_penalty_and_falls_with_the_rate_of_fills(penalty, factor):
    options = {"max_orders": 20, "running_penalty_per_s": penalty}

    calm = quotes(**options)
    dear = quotes(**{**options, "running_penalty_per_s": penalty * factor})
    busy = quotes(**options, arrival_rate_per_s=math.e * factor)

    assert dear.ask - dear.bid >= calm.ask - calm.bid - 1e-9
    assert busy.ask - busy.bid <= calm.ask - calm.bid + 1e-9

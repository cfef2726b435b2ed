"""The formulas behind the quoting models agree with the papers, with each other and with dense linear algebra."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers.models import (
    asymptotic_skew,
    gaussian_std,
    infinite_reservation_distances,
    liquidity_half_spread,
    marched_skews,
    reservation_price,
    risk_aversion_of_skew,
    stationary_distribution,
    stationary_skews,
    std_of,
)
from mmframe.errors import DomainError

# The parameters of Guéant, Lehalle and Fernandez-Tapia: ticks, seconds.
PAPER = {"risk_aversion": 0.01, "sigma": 0.3, "arrival_rate": 0.9, "decay": 0.3}
LARGEST, HORIZON_S = 30, 600.0
HALF = liquidity_half_spread(0.01, 0.3)
SKEW = asymptotic_skew(**PAPER)
ETA = 0.9 * (1.0 + 0.01 / 0.3) ** -(1.0 + 0.3 / 0.01)


def test_the_reservation_price_by_hand():
    assert reservation_price(100.0, 2.0, risk_aversion=0.1, sigma=2.0, horizon_s=0.5) == pytest.approx(99.6)


@pytest.mark.parametrize(
    ("risk_aversion", "decay", "half"),
    [(0.1, 1.5, 0.6453852113757118), (0.0, 1.5, 2 / 3), (1.5, 1.5, 0.4620981203732969)],
)
def test_the_liquidity_half_spread_by_hand(risk_aversion, decay, half):
    assert liquidity_half_spread(risk_aversion, decay) == pytest.approx(half, rel=1e-12)


def test_the_risk_neutral_limit_is_met_without_a_step():
    assert liquidity_half_spread(1e-12, 2.0) == pytest.approx(0.5, rel=1e-11)
    assert liquidity_half_spread(2e-8 * (1 + 1e-9), 2.0) == pytest.approx(liquidity_half_spread(2e-8 * (1 - 1e-9), 2.0))


def test_the_infinite_horizon_by_hand():
    """gamma sigma = 1, n = 1 and omega = 8: the fractions are -3/15 and -1/15."""
    bid, ask = infinite_reservation_distances(1.0, risk_aversion=0.5, sigma=2.0, discount_per_s=8.0)

    assert (bid, ask) == pytest.approx((math.log(0.8) / 0.5, math.log(14 / 15) / 0.5))


@pytest.mark.parametrize(
    ("orders", "discount", "text"),
    [
        (1.0, 0.4, "discount_per_s: expected more than gamma^2 sigma^2 orders^2 / 2, was 0.4"),
        (1.0, 1.2, "orders: expected an inventory that the discount allows, was 1"),
    ],
)
def test_an_infinite_utility_has_no_reservation_price(orders, discount, text):
    with pytest.raises(DomainError) as caught:
        infinite_reservation_distances(orders, risk_aversion=0.5, sigma=2.0, discount_per_s=discount)

    assert caught.value.message == text


def test_the_closed_form_by_hand():
    """0.3 sqrt(0.01 / 0.54 x (31/30)^31), as sqrt(0.018519 x 2.763437) x 0.3."""
    assert asymptotic_skew(**PAPER) == pytest.approx(0.0678658, abs=1e-7)


@given(st.floats(1e-6, 1e2), st.floats(1e-4, 1e2), st.floats(1e-3, 1e2), st.floats(1e-2, 1e3))
def test_the_risk_aversion_of_a_skew_is_its_inverse(skew, sigma, arrival_rate, decay):
    risk_aversion = risk_aversion_of_skew(skew, sigma=sigma, arrival_rate=arrival_rate, decay=decay)

    again = asymptotic_skew(risk_aversion=risk_aversion, sigma=sigma, arrival_rate=arrival_rate, decay=decay)
    assert again == pytest.approx(skew, rel=1e-9)


@pytest.mark.parametrize(("largest", "shares"), [(1, (2.0,)), (2, None)])
def test_the_eigenvector_by_hand(largest, shares):
    """With 1, 0, 1 on the diagonal the smallest eigenvalue is -1 and its vector 1, 2, 1; with 4 beyond, a cubic's."""
    skews = stationary_skews(1.0, largest)

    if shares:
        assert [math.exp(value) for value in skews[largest:]] == pytest.approx(shares)
    else:
        # f(2) = f(1) / (4 - v), f(1) = f(0) / (1 - v - 1 / (4 - v)), and -v = 2 f(1) / f(0).
        outer, inner = math.exp(skews[3]), math.exp(skews[2])
        value = 4.0 - outer
        assert inner == pytest.approx(1.0 - value - 1.0 / outer)
        assert -value == pytest.approx(2.0 / inner)


@settings(max_examples=60)
@given(st.floats(0.0, 3.0), st.integers(1, 12), st.floats(-1.0, 1.0))
def test_the_eigenvector_is_that_of_dense_linear_algebra(ratio, largest, drift):
    np = pytest.importorskip("numpy", reason="numpy is not installed")
    places = np.arange(-largest, largest + 1)
    size = len(places)
    matrix = np.diag(ratio**2 * places**2.0 - drift * places) - np.eye(size, k=1) - np.eye(size, k=-1)
    vector = np.abs(np.linalg.eigh(matrix)[1][:, 0])
    resolved = vector > 1e-7

    expected = np.log(vector[:-1] / np.where(resolved[1:], vector[1:], 1.0))

    for is_kept, was, value in zip(
        resolved[:-1] & resolved[1:], stationary_skews(ratio, largest, drift=drift), expected, strict=True
    ):
        if is_kept:
            assert was == pytest.approx(value, abs=1e-6)


def test_entries_far_below_the_range_of_a_double_keep_their_ratios():
    skews = stationary_skews(30.0, 60)

    assert sum(skews[60:]) > 710.0
    # Far out f(n) / f(n + 1) tends to the diagonal of n + 1 less the eigenvalue, which is near 0 here.
    assert skews[-1] == pytest.approx(math.log(900.0 * 3_600.0), abs=1e-6)


@given(st.floats(0.0, 40.0), st.integers(1, 40))
def test_skews_rise_with_inventory_and_are_antisymmetric(ratio, largest):
    skews = stationary_skews(ratio, largest)

    assert all(here < above for here, above in pairwise(skews))
    assert skews == pytest.approx([-value for value in reversed(skews)], abs=1e-9)


def test_a_drift_moves_the_centre_by_what_is_worth_holding():
    """The quadratic ratio^2 n^2 - drift n has its lowest point at drift / (2 ratio^2): here at 3 orders."""
    skews = stationary_skews(0.1, 30, drift=0.06)
    still = stationary_skews(0.1, 30)

    assert skews[33] == pytest.approx(still[30], abs=1e-6)
    assert skews[30] == pytest.approx(still[27], abs=1e-6)


def test_the_exact_quotes_of_the_paper_are_stationary_within_its_horizon():
    marched = marched_skews(0.3 * SKEW, LARGEST, terminal=0.0, times=[ETA * HORIZON_S])[0]

    stationary = stationary_skews(0.3 * SKEW, LARGEST)

    assert max(abs(here - there) / 0.3 for here, there in zip(marched, stationary, strict=True)) < 1e-6


def test_the_closed_form_of_the_paper_agrees_with_the_exact_quotes_away_from_the_limit():
    exact = stationary_skews(0.3 * SKEW, LARGEST)

    for orders in range(21):
        closed = SKEW * (2 * orders + 1) / 2.0
        assert exact[LARGEST + orders] / 0.3 == pytest.approx(closed, rel=0.005)
    # Half a spread is 3.28: the two differ by less than a hundredth of a tick, and at the limit by most of one.
    assert abs(exact[-1] / 0.3 - SKEW * (2 * LARGEST - 1) / 2.0) > 0.8


@pytest.mark.parametrize("ratio", [0.32, 0.16, 0.08, 0.04, 0.02])
def test_closed_form_and_exact_come_together_as_the_skew_gets_small(ratio):
    """The first correction is of the second order: sinh against its argument, k C / 2."""
    exact = stationary_skews(ratio, 60)[60]

    assert abs(exact / (ratio / 2.0) - 1.0) < 0.3 * ratio


def test_the_march_is_the_dense_matrix_exponential():
    np = pytest.importorskip("numpy", reason="numpy is not installed")
    places = np.arange(-4, 5)
    matrix = np.diag(0.36 * places**2.0) - np.eye(9, k=1) - np.eye(9, k=-1)
    values, vectors = np.linalg.eigh(matrix)
    times = (0.01, 0.3, 5.0, 40.0)

    rows = marched_skews(0.6, 4, terminal=0.2, times=times)

    for time, row in zip(times, rows, strict=True):
        weights = vectors @ (np.exp(-values * time) * (vectors.T @ np.exp(-0.2 * places**2.0)))
        assert row == pytest.approx(np.log(weights[:-1] / weights[1:]), abs=1e-9)


def test_a_march_of_no_time_is_the_terminal_penalty():
    row = marched_skews(0.6, 4, terminal=0.2, times=[1e-12])[0]

    assert row == pytest.approx([0.2 * (2 * n + 1) for n in range(-4, 4)], abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((1.0, 20, 1.0, [1e6]), "march: expected at most 12000 terms, was 4.02e+08"),
        ((1.0, 20, 2.0, [1.0]), "terminal: expected at most 600 / orders^2, was 2"),
    ],
)
def test_a_march_out_of_bounds_is_refused(arguments, text):
    ratio, largest, terminal, times = arguments

    with pytest.raises(DomainError) as caught:
        marched_skews(ratio, largest, terminal=terminal, times=times)

    assert caught.value.message == text


def closed_form_distribution(half, skew, decay, largest):
    bids = [half + skew * (2 * n + 1) / 2.0 for n in range(-largest, largest)]
    asks = [half - skew * (2 * n + 1) / 2.0 for n in range(-largest, largest)]  # at n + 1
    return stationary_distribution(bids, asks, decay=decay)


@pytest.mark.parametrize("risk_aversion", [0.001, 0.01, 0.1])
def test_the_inventory_of_the_closed_form_settles_at_one_over_the_root_of_two_k_c(risk_aversion):
    skew = asymptotic_skew(**{**PAPER, "risk_aversion": risk_aversion})
    half = liquidity_half_spread(risk_aversion, 0.3)

    exact = std_of(closed_form_distribution(half, skew, 0.3, 200), lowest=-200)

    assert exact == pytest.approx(1.0 / math.sqrt(2.0 * 0.3 * skew), rel=1e-9)
    assert gaussian_std(skew, 0.3) == pytest.approx(exact, rel=1e-9)


def test_the_settled_inventory_is_what_a_long_chain_ends_with():
    """Detailed balance against plain iteration of the chain itself, from a flat start."""
    largest, step_s = 6, 0.02
    bids = [0.5 + 0.2 * n for n in range(-largest, largest)]
    asks = [0.5 - 0.2 * (n + 1) for n in range(-largest, largest)]
    up = [math.exp(-value) * step_s for value in bids] + [0.0]
    down = [0.0] + [math.exp(-value) * step_s for value in asks]
    chances = [0.0] * largest + [1.0] + [0.0] * largest

    for _ in range(6_000):
        stay = [value * (1.0 - up[i] - down[i]) for i, value in enumerate(chances)]
        risen = [0.0, *(value * up[i] for i, value in enumerate(chances))][:-1]
        fallen = [*(value * down[i] for i, value in enumerate(chances)), 0.0][1:]
        chances = [sum(parts) for parts in zip(stay, risen, fallen, strict=True)]

    assert stationary_distribution(bids, asks, decay=1.0) == pytest.approx(chances, abs=1e-9)


def test_both_sides_of_a_distribution_have_one_length():
    with pytest.raises(DomainError) as caught:
        stationary_distribution([1.0, 2.0], [1.0], decay=1.0)

    assert caught.value.message == "ask_distances: expected 2, as many as bid_distances, was 1"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: liquidity_half_spread(-1.0, 1.0), "risk_aversion: expected at least 0, was -1"),
        (lambda: liquidity_half_spread(0.1, 0.0), "decay: expected more than 0, was 0"),
        (lambda: liquidity_half_spread(math.nan, 1.0), "risk_aversion: expected at least 0, was nan"),
        (lambda: gaussian_std(0.0, 1.0), "skew: expected more than 0, was 0"),
        (lambda: stationary_skews(math.inf, 3), "ratio: expected at least 0, was inf"),
    ],
)
def test_what_no_formula_takes_is_refused(call, text):
    with pytest.raises(DomainError) as caught:
        call()

    assert caught.value.message == text

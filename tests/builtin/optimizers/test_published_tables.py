"""The published tables of Avellaneda and Stoikov, by exact propagation of the Markov chain of the inventory.

Text: High-frequency trading in a limit order book, Quantitative Finance 8(3), 2008, pages 217-224, tables 1 to 3.
The working paper of 2006 prints other figures (for gamma = 0.1: spread 1.29, profits 62.94 and 67.21): that spread
lacks the risk term and is 2/gamma ln(1 + gamma/k) alone.

The simulation of the paper: s = 100, T = 1, sigma = 2, dt = 0.005, k = 1.5, A = 140, 1000 paths, a fill with
probability lambda dt and a move of plus or minus sigma sqrt(dt). Here the moments of the same chain are computed, not
sampled, so the only error left is that of the printed figures: rounding and 1000 paths.

Why the printed deviations of the symmetric strategy are low, twice over:

- Those of the final inventory, 8.4, 8.7 and 5.1, are low for the model, and right for its simulation: one trial a side
  and step fills at most once, with lambda dt as large as 0.25, so its variance is lambda dt (1 - lambda dt) and not
  lambda dt. Poisson fills, which the model speaks of, give sqrt(2 lambda T) = 9.6, 10.1 and 5.4; the deviations of
  profit rise likewise, from 13.5, 13.7 and 10.8 to 15.3, 15.8 and 11.2.
- Those of profit, 12.7 and 12.8 for gamma 0.1 and 0.01, are below the exact 13.5 and 13.7 of that very simulation. The
  profit is a sum of inventory times price moves, whose variance is itself random: its kurtosis is 5.4 to 5.6, so that
  a deviation estimated from 1000 paths errs by 0.45 and more, and is more often too low than too high. The printed
  ones lie 1.7 and 1.9 standard errors below; the third table's lies 0.9 above. Two tables that differ this little
  share most of their luck if they share their random numbers.
"""

import math

import pytest

from mmframe.builtin.optimizers.avellaneda_stoikov import AVELLANEDA_STOIKOV, AvellanedaStoikovOptions
from mmframe.builtin.optimizers.chain import chain_moments
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_signals, make_view

SIMULATIONS = 1_000
STEPS, STEP_S, SIGMA, DECAY, ARRIVAL = 200, 0.005, 2.0, 1.5, 140.0
SESSION_NS = 1_000_000_000

INVENTORY, SYMMETRIC = "inventory", "symmetric"
# Strategy, gamma: average spread, profit, its deviation, final inventory, its deviation.
PRINTED = {
    (INVENTORY, 0.1): (1.49, 65.0, 6.6, 0.08, 2.9),
    (SYMMETRIC, 0.1): (1.49, 68.4, 12.7, 0.26, 8.4),
    (INVENTORY, 0.01): (1.35, 68.6, 8.7, 0.12, 5.1),
    (SYMMETRIC, 0.01): (1.35, 68.8, 12.8, 0.09, 8.7),
    (INVENTORY, 1.0): (3.02, 31.4, 5.0, 0.02, 1.7),
    (SYMMETRIC, 1.0): (3.02, 44.0, 11.0, 0.00, 5.1),
}
# The same by this chain: profit, its deviation and kurtosis, deviation of the final inventory.
EXACT = {
    (INVENTORY, 0.1): (64.893, 6.543, 3.027, 2.927),
    (SYMMETRIC, 0.1): (68.228, 13.457, 5.428, 8.402),
    (INVENTORY, 0.01): (68.400, 8.961, 3.639, 5.213),
    (SYMMETRIC, 0.01): (68.666, 13.678, 5.627, 8.712),
    (INVENTORY, 1.0): (31.455, 4.838, 3.076, 1.641),
    (SYMMETRIC, 1.0): (43.869, 10.751, 3.927, 5.189),
}


class Quoter:
    """The built optimizer, asked for the distances of its quotes from the mid at a step of the session."""

    def __init__(self, gamma):
        options = AvellanedaStoikovOptions(
            decay_per_price=DECAY,
            risk_aversion=gamma,
            horizon="session",
            horizon_s=1.0,
            max_orders=60,
            max_half_spread_bps=5_000.0,
        )
        self.optimizer = build_component(AVELLANEDA_STOIKOV, options)
        self.view = make_view(order_size=1.0, signals=make_signals(volatility=SIGMA))

    def __call__(self, step, orders):
        now_ns = 10 * SESSION_NS + step * SESSION_NS // STEPS
        quotes = self.optimizer.propose(
            self.view._replace(now_ns=now_ns), make_inventory(float(orders)), NEUTRAL_ADVICE, NO_QUOTE
        )
        bid = self.view.mid - quotes.bid if quotes.bid_size else math.inf
        ask = quotes.ask - self.view.mid if quotes.ask_size else math.inf
        return bid, ask


def average_spread(gamma):
    """The paper's: over the whole session, both its ends included alike."""
    quoter = Quoter(gamma)
    spreads = [sum(quoter(step, 0)) for step in range(STEPS)]
    return sum(spreads) / STEPS - gamma * SIGMA**2 * STEP_S / 2.0


@pytest.fixture(scope="module")
def moments():
    found = {}
    for strategy, gamma in PRINTED:
        half = average_spread(gamma) / 2.0
        quotes = Quoter(gamma) if strategy == INVENTORY else lambda step, orders, half=half: (half, half)
        found[strategy, gamma] = chain_moments(
            quotes, steps=STEPS, step_s=STEP_S, sigma=SIGMA, arrival_rate=ARRIVAL, decay=DECAY
        )
    return found


CASES = [pytest.param(case, id=f"{case[0]} {case[1]:g}") for case in PRINTED]


@pytest.mark.parametrize("gamma", [0.1, 0.01, 1.0])
def test_the_average_spread_is_the_printed_one(gamma):
    assert round(average_spread(gamma), 2) == PRINTED[INVENTORY, gamma][0]


@pytest.mark.parametrize("case", CASES)
def test_the_exact_moments_stay_what_they_are(case, moments):
    was = moments[case]

    assert (was.profit_mean, was.profit_std, was.profit_kurtosis, was.inventory_std) == pytest.approx(
        EXACT[case], abs=6e-4
    )
    assert was.inventory_mean == pytest.approx(0.0, abs=1e-9)
    assert was.probability == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_the_printed_figures_lie_within_two_standard_errors_of_the_exact_ones(case, moments):
    _, profit, profit_std, inventory, inventory_std = PRINTED[case]
    exact = moments[case]

    root = math.sqrt(SIMULATIONS)
    assert abs(profit - exact.profit_mean) < 2.0 * exact.profit_std / root
    assert abs(profit_std - exact.profit_std) < 2.0 * exact.profit_std_error(SIMULATIONS)
    assert abs(inventory - exact.inventory_mean) < 2.0 * exact.inventory_std / root
    # The final inventory is nearly normal, where the error of a deviation is 1 / sqrt(2 paths) of it.
    assert abs(inventory_std - exact.inventory_std) < 2.0 * exact.inventory_std / math.sqrt(2.0 * SIMULATIONS) + 0.05


@pytest.mark.parametrize("gamma", [0.1, 0.01, 1.0])
def test_the_symmetric_strategy_has_the_moments_of_a_walk_with_trials(gamma, moments):
    half = average_spread(gamma) / 2.0
    chance = ARRIVAL * math.exp(-DECAY * half) * STEP_S
    step_variance = 2.0 * chance * (1.0 - chance)

    exact = moments[SYMMETRIC, gamma]

    assert exact.profit_mean == pytest.approx(2.0 * STEPS * chance * half)
    assert exact.inventory_std == pytest.approx(math.sqrt(STEPS * step_variance))
    held = step_variance * STEPS * (STEPS + 1) / 2.0
    assert exact.profit_std == pytest.approx(
        math.sqrt(SIGMA**2 * STEP_S * held + half**2 * STEPS * step_variance), rel=1e-9
    )


@pytest.mark.parametrize(
    ("gamma", "inventory_std", "profit_std"), [(0.1, 9.57, 15.3), (0.01, 10.09, 15.8), (1.0, 5.39, 11.2)]
)
def test_poisson_fills_would_spread_wider_than_the_papers_trials(gamma, inventory_std, profit_std, moments):
    half = average_spread(gamma) / 2.0
    rate = ARRIVAL * math.exp(-DECAY * half)
    poisson = math.sqrt(2.0 * rate)

    assert poisson == pytest.approx(inventory_std, abs=0.01)
    assert math.sqrt(2.0 * rate * half**2 + SIGMA**2 * rate) == pytest.approx(profit_std, abs=0.06)
    # Shrinking the step approaches it; the trials of the paper fall short by the root of 1 - lambda dt.
    assert moments[SYMMETRIC, gamma].inventory_std == pytest.approx(poisson * math.sqrt(1.0 - rate * STEP_S))


def test_two_steps_by_hand():
    """Four trials of 1/2, each fill earning 1, no volatility: binomial, with mean 2, variance 1, kurtosis 3 - 2/4."""
    exact = chain_moments(
        lambda step, orders: (1.0, 1.0), steps=2, step_s=1.0, sigma=0.0, arrival_rate=0.5 * math.e, decay=1.0
    )

    assert exact.profit_mean == pytest.approx(2.0)
    assert exact.profit_std == pytest.approx(1.0)
    assert exact.profit_kurtosis == pytest.approx(2.5)
    assert exact.inventory_std == pytest.approx(1.0)
    assert exact.cut_share == 0.0


def test_a_probability_above_one_is_cut_and_told():
    """From 1 on a buy is certain at 0 orders; every other one is half as likely: 1 + 1/2 fills in two steps."""
    exact = chain_moments(
        lambda step, orders: (0.0, math.inf) if orders == 0 else (1.0, math.inf),
        steps=2,
        step_s=1.0,
        sigma=0.0,
        arrival_rate=0.5 * math.e,
        decay=1.0,
    )

    assert exact.inventory_mean == pytest.approx(1.5)
    assert exact.cut_share == pytest.approx(0.5)


@pytest.mark.parametrize(("case", "share"), [((INVENTORY, 1.0), 0.0517), ((INVENTORY, 0.1), 0.0002)])
def test_only_quotes_that_lean_hard_meet_steps_too_long_for_them(case, share, moments):
    assert moments[case].cut_share == pytest.approx(share, abs=5e-5)
    assert moments[SYMMETRIC, 1.0].cut_share == 0.0


def test_a_side_without_a_quote_never_fills():
    exact = chain_moments(
        lambda step, orders: (math.inf, 1.0), steps=3, step_s=1.0, sigma=0.0, arrival_rate=100.0, decay=1.0
    )

    assert exact[:2] == (3.0, 0.0)
    assert exact.inventory_mean == -3.0


@pytest.mark.parametrize(("steps", "step_s"), [(0, 1.0), (1, 0.0), (1, math.nan)])
def test_a_chain_needs_steps(steps, step_s):
    with pytest.raises(DomainError) as caught:
        chain_moments(lambda step, orders: (1.0, 1.0), steps=steps, step_s=step_s, sigma=1.0, arrival_rate=1, decay=1)

    assert caught.value.message == f"steps: expected at least 1 of more than 0 s, was {steps} of {step_s:g} s"

"""A whole calibration: known A and k come back, and the warnings say when figures are not to be trusted."""

from __future__ import annotations

import math
import random

import pytest

from mmframe.builtin.calibration import Mark, Tape, calibrate_fill_intensity, default_distances, quoted_range
from mmframe.builtin.optimizers.models import asymptotic_skew, liquidity_half_spread, risk_aversion_of_skew
from mmframe.errors import DomainError

S = 1_000_000_000
START = 1_700_000_000 * S
TICK = 0.01
MID_TICKS = 1000.5


def market(rates=(2.0, 2.0), decay=0.4, *, seconds=2_000, seed=1, reach=None, unknown_trades=0):
    """Takers come at Poisson times and reach exponentially far: orders at d ticks are hit at the rate A exp(-k d)."""
    source, entries = random.Random(seed), [(0.0, Mark.TOUCH, 1000, 1001)]
    for mark, rate, sign in ((Mark.SOLD, rates[0], -1), (Mark.BOUGHT, rates[1], 1)):
        now = 0.0
        while rate and (now := now + source.expovariate(rate)) < seconds:
            far = source.expovariate(decay) if reach is None else reach
            price = math.ceil(MID_TICKS - far) if sign < 0 else math.floor(MID_TICKS + far)
            if far >= 0.5:
                entries.append((now, mark, price, price))
    tape = Tape(unknown_trades=unknown_trades)
    for now, *entry in sorted(entries):
        tape.add(START + round(now * S), *entry)
        tape.trades += entry[0] in {Mark.SOLD, Mark.BOUGHT}
    tape.reach(START + seconds * S)
    return tape


def calibrated(tape, **choices):
    return calibrate_fill_intensity(tape, tick=TICK, **choices)


@pytest.mark.parametrize("seed", [1, 2])
def test_known_parameters_come_back(seed):
    found = calibrated(market(seed=seed))

    for side in (found.both, found.bid_side, found.ask_side):
        assert abs(side.fit.arrival_rate_per_s - 2.0) < 4 * side.arrival_rate_error
        assert abs(side.fit.decay - 0.4 / TICK) < 4 * side.decay_error
        assert side.decay_error < 0.06 * side.fit.decay
    assert found.is_usable
    assert found.warnings == ()
    assert found.mid == pytest.approx(MID_TICKS * TICK)
    assert (found.half_spread_ticks, found.seconds) == (0.5, 2_000)
    assert found.fit_range_ticks[0] == 0.5


def test_counts_at_neighbouring_distances_are_those_of_the_same_takers():
    """A taker who reaches far fills every order on the way: taken as independent, the counts seem to tell more."""
    both = calibrated(market(seed=3)).both

    assert both.decay_error == both.decay_block_error > 1.2 * both.fit.decay_std_error
    assert both.arrival_rate_error == both.arrival_rate_block_error > 1.2 * both.fit.arrival_rate_std_error


def test_the_touch_is_left_out_where_it_would_bend_the_curve():
    """Small takers at the touch, twenty times as frequent as the others: the curve that sees them misses the rest."""
    tape = market((0.5, 0.5), 0.1, seed=5)
    source = random.Random(6)
    small = [(START + round(source.random() * 2_000 * S), Mark.SOLD, 1000, 1000) for _ in range(10_000)]
    crowded = Tape()
    for time_ns, *entry in sorted([*list(tape.entries())[:-1], *small]):
        crowded.add(time_ns, *entry)
        crowded.trades += entry[0] != Mark.TOUCH
    crowded.reach(tape.end_ns)

    found = calibrated(crowded)

    assert found.fit_range_ticks[0] > 0.5
    assert abs(found.both.fit.decay - 0.1 / TICK) < 4 * found.both.decay_error
    with_touch = calibrated(crowded, fit_range_ticks=(0.5, found.fit_range_ticks[1]))
    assert with_touch.both.fit.decay > 1.5 * found.both.fit.decay
    assert any("the curve says" in warning for warning in with_touch.warnings)


def test_by_default_orders_stand_up_to_where_takers_reach():
    tape = market((0.4, 0.4), 0.02, seconds=10_000)

    distances = default_distances(tape, window_s=5.0)

    assert len(distances) <= 20
    assert distances[0] == 0.5
    # About 2 takers a window and side: one window in a hundred reaches ln(2 / 0.01) / k.
    assert 0.7 * 265 < distances[-1] < 1.3 * 265
    assert default_distances(market(decay=50.0, seconds=20)) == (0.5, 1.5, 2.5, 3.5, 4.5)


def test_where_glft_would_quote_follows_from_its_own_formulas():
    found = calibrated(market())
    fit, quoted = found.both.fit, quoted_range(found.both.fit, tick=TICK, volatility=None, inventory_std_orders=2.0)

    # Risk-neutral: 1 / k and half of the skew; the skew is 1 / (2 k S^2) an order.
    skew = 1 / (2 * fit.decay * 4)
    assert quoted.flat_ticks * TICK == pytest.approx(1 / fit.decay + skew / 2)
    assert (quoted.furthest_ticks - quoted.nearest_ticks) * TICK == pytest.approx(2 * 2.0 * skew)

    class Sigma:
        realised = 0.02

    told = {"sigma": 0.02, "arrival_rate": fit.arrival_rate_per_s, "decay": fit.decay}
    gamma = risk_aversion_of_skew(skew, **told)
    assert asymptotic_skew(risk_aversion=gamma, **told) == pytest.approx(skew)
    averse = quoted_range(fit, tick=TICK, volatility=Sigma, inventory_std_orders=2.0)
    assert averse.flat_ticks * TICK == pytest.approx(liquidity_half_spread(gamma, fit.decay) + skew / 2)


@pytest.mark.parametrize(
    ("facts", "choices", "is_usable", "warning"),
    [
        ({"reach": 8.0}, {}, False, "k is not above 0: over these distances the rate of fills does not fall"),
        ({}, {"distances_ticks": [0.5]}, False, "There is no fit: distances: expected at least 2 at which"),
        ({"decay": 9.0}, {}, False, "There is no fit: fills: expected some at two distances or more, was all"),
        ({"rates": (0.03, 0.03)}, {}, True, "k is known only to "),
        ({"rates": (0.05, 0.05)}, {}, True, "fills: a longer recording tells more."),
        ({}, {"distances_ticks": [0.5, 3.5]}, True, "Any two rates lie on an exponential: with two distances"),
        ({}, {"fit_range_ticks": (5.0, 12.0)}, True, "orders held, and the fit is over 5 to 12: beyond it A and k"),
        ({"decay": 3.0}, {}, True, "closer than half the usual spread, 0.5: the tick decides where quotes stand"),
        ({"rates": (3.0, 0.5)}, {}, True, "Bids and asks differ by more than chance: one A and one k stand for two"),
        ({"rates": (2.0, 0.0)}, {}, True, "There is no fit of the asks alone: fills: expected some, was none."),
        ({"unknown_trades": 500}, {}, True, "500 of "),
        ({"seconds": 60}, {}, True, "Sigma is not known: the recording has no stretch without a gap"),
    ],
)
def test_what_speaks_against_the_figures_is_said(facts, choices, is_usable, warning):
    found = calibrated(market(**{"seconds": 400, **facts}), **choices)

    assert found.is_usable is is_usable
    assert any(warning in one for one in found.warnings), found.warnings


def test_counts_that_scatter_too_much_are_told():
    """Half of the time there are ten times as many takers: no single exponential, and parts that differ."""
    calm, wild = market((0.3, 0.3), 0.1, seconds=2_000, seed=8), market((6.0, 6.0), 1.5, seconds=2_000, seed=9)
    tape = Tape()
    for time_ns, *entry in list(calm.entries())[:-1]:
        tape.add(time_ns, *entry)
    for time_ns, *entry in list(wild.entries())[:-1]:
        tape.add(time_ns + 2_000 * S, *entry)
    tape.trades = calm.trades + wild.trades

    found = calibrated(tape, fit_range_ticks=(0.5, 30.0))

    assert any("times as much around the curve as Poisson counts would" in warning for warning in found.warnings)
    assert found.both.arrival_rate_block_error > 3 * found.both.fit.arrival_rate_std_error


@pytest.mark.parametrize(
    ("tape", "choices", "message"),
    [
        (Tape(), {}, "trades: expected some whose taker is told, was none"),
        (
            Tape(unknown_trades=500),
            {},
            "trades: expected some whose taker is told, was none, and 500 whose taker is not told",
        ),
        (
            market(seconds=20),
            {"fit_range_ticks": (5.0, 5.0)},
            "fit_range: expected 0 <= first < last, was 5 to 5 ticks",
        ),
        (market(seconds=20), {"horizon_s": 0.0}, "horizon_s: expected 0.1 to 3600, was 0"),
        (market(seconds=20), {"window_s": -1.0}, "window_s: expected 0.001 to 86400, was -1"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(tape, choices, message):
    with pytest.raises(DomainError) as caught:
        calibrated(tape, **choices)

    assert caught.value.message == message

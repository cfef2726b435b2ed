"""What the components are meant to do, in numbers that can be checked by hand."""

from __future__ import annotations

import math

import pytest

from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, BookTick, Reason
from mmframe.testing import START_NS, build_component, make_inventory, make_signals, make_view
from mmframe_example.tight_quoter import SPREAD_TOO_NARROW, TIGHT_QUOTER, TightQuoterOptions
from mmframe_example.touch_pressure import TOUCH_PRESSURE, TouchPressureOptions

SECOND_NS = 1_000_000_000


def quotes(bid, ask, pressure, **options):
    quoter = build_component(TIGHT_QUOTER, TightQuoterOptions(**options))
    view = make_view(bid, ask, order_size=0.5, signals=make_signals(touch_pressure=pressure))
    return quoter.propose(view, make_inventory(), NEUTRAL_ADVICE, NO_QUOTE)


@pytest.mark.parametrize(
    ("pressure", "bid", "ask"),
    [(0.0, 99.97, 100.03), (0.5, 99.97, 100.05), (-0.5, 99.95, 100.03)],
    ids=["calm", "buyers wait", "sellers wait"],
)
def test_it_improves_the_touch_except_where_the_pressure_runs_into(pressure, bid, ask):
    was = quotes(99.95, 100.05, pressure, improve_ticks=2)

    assert (was.bid, was.ask) == (pytest.approx(bid), pytest.approx(ask))
    assert (was.bid_size, was.ask_size) == (0.5, 0.5)


@pytest.mark.parametrize(("ask", "room"), [(100.02, 0), (100.03, 1), (100.04, 1), (100.05, 2)], ids=str)
def test_one_tick_stays_between_the_quotes(ask, room):
    was = quotes(100.0, ask, 0.0, improve_ticks=9)

    assert was.bid == pytest.approx(100.0 + room * 0.01)
    assert was.ask == pytest.approx(ask - room * 0.01)


def test_a_narrow_market_is_not_quoted_and_says_so_in_the_plugins_own_words():
    was = quotes(100.0, 100.01, 0.0, min_spread_ticks=2)

    assert (was.bid_size, was.bid_reason, was.ask_reason) == (0.0, SPREAD_TOO_NARROW, SPREAD_TOO_NARROW)
    assert TIGHT_QUOTER.reasons[SPREAD_TOO_NARROW] == "the market's spread is narrower than min_spread_ticks"


def test_it_waits_for_its_signal():
    was = quotes(99.95, 100.05, math.nan)

    assert (was.bid_size, was.bid_reason) == (0.0, Reason.WARMING_UP)


def tick(now_s, bid_size, ask_size):
    return BookTick(START_NS + now_s * SECOND_NS, 99.99, bid_size, 100.01, ask_size, 100.0)


def test_pressure_counts_half_after_one_half_life():
    signal = build_component(TOUCH_PRESSURE, TouchPressureOptions(half_life_s=10.0))

    signal.on_touch(tick(0, 3.0, 1.0))
    signal.on_touch(tick(100, 1.0, 3.0))

    assert signal.read(START_NS + 100 * SECOND_NS, tick(100, 1.0, 3.0)) == pytest.approx(0.5)
    assert signal.read(START_NS + 110 * SECOND_NS, tick(110, 1.0, 3.0)) == pytest.approx(0.0)
    assert signal.read(START_NS + 10_000 * SECOND_NS, tick(10_000, 1.0, 3.0)) == pytest.approx(-0.5)


def test_pressure_is_unknown_before_the_first_touch():
    signal = build_component(TOUCH_PRESSURE)

    assert math.isnan(signal.read(START_NS, tick(0, 1.0, 1.0)))

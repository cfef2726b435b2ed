"""Micro-price, touch imbalance, spike and trade flow on their descriptions' examples and on obvious references."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.signals.imbalance import IMBALANCE
from mmframe.builtin.signals.micro_price import MICRO_PRICE
from mmframe.builtin.signals.spike import SPIKE, SpikeOptions
from mmframe.builtin.signals.trade_flow import TRADE_FLOW, TradeFlowOptions
from mmframe.domain.views import BookTick, TradeTick
from mmframe.testing import START_NS, build_component

SECOND_NS = 1_000_000_000
TOUCH = BookTick(START_NS, 100.00, 3.0, 100.02, 1.0, 100.01)
SIZELESS = TOUCH._replace(bid_size=0.0, ask_size=0.0)


def at(now_ns, mid):
    return BookTick(now_ns, mid - 0.01, 1.0, mid + 0.01, 1.0, mid)


def test_the_micro_price_leans_to_the_thin_side():
    assert build_component(MICRO_PRICE).read(START_NS, TOUCH) == pytest.approx(100.015)


def test_the_imbalance_of_the_touch_is_the_share_of_the_difference():
    assert build_component(IMBALANCE).read(START_NS, TOUCH) == 0.5


@pytest.mark.parametrize("spec", [MICRO_PRICE, IMBALANCE], ids=lambda spec: spec.name)
def test_a_touch_without_size_gives_no_value(spec):
    assert math.isnan(build_component(spec).read(START_NS, SIZELESS))


@settings(max_examples=100)
@given(st.floats(1e-6, 1e9), st.floats(1e-6, 1e9))
def test_the_micro_price_lies_between_bid_and_ask(bid_size, ask_size):
    value = build_component(MICRO_PRICE).read(START_NS, TOUCH._replace(bid_size=bid_size, ask_size=ask_size))

    assert TOUCH.bid - 1e-9 <= value <= TOUCH.ask + 1e-9


def test_a_spike_is_the_range_of_the_window_even_when_it_came_back():
    spike = build_component(SPIKE)
    for offset_ms, mid in ((0, 100.0), (700, 100.3), (1_400, 100.1)):
        spike.on_touch(at(START_NS + offset_ms * 1_000_000, mid))

    assert spike.read(START_NS + 1_500_000_000, at(0, 100.1)) == pytest.approx(29.97, abs=0.001)


def test_a_jump_after_a_silence_shows_in_full_and_then_leaves_the_window():
    spike = build_component(SPIKE)
    spike.on_touch(at(START_NS, 100.0))
    jump_ns = START_NS + 3_600 * SECOND_NS
    spike.on_touch(at(jump_ns, 101.0))

    assert spike.read(jump_ns, at(0, 101.0)) == pytest.approx(1.0 / 101.0 * 1e4)
    assert spike.read(jump_ns + 2 * SECOND_NS, at(0, 101.0)) == 0.0


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(-50, 50)), min_size=1, max_size=60), st.integers(0, 3_000))
def test_a_spike_lies_between_the_ranges_of_15_and_16_slots(steps, wait_ms):
    spike = build_component(SPIKE, SpikeOptions(window_ms=1_600))
    now_ms, path = START_NS // 1_000_000 // 100 * 100, []
    for step_ms, move in steps:
        now_ms += step_ms
        path.append((now_ms, 1_000.0 + move))
        spike.on_touch(at(now_ms * 1_000_000, path[-1][1]))
    read_ms = now_ms + wait_ms

    value = spike.read(read_ms * 1_000_000, at(0, path[-1][1]))

    def window_range(from_ms):
        inside = [mid for time_ms, mid in path if time_ms >= from_ms]
        before = [mid for time_ms, mid in path if time_ms < from_ms][-1:]
        mids = [*inside, *before]
        return (max(mids) - min(mids)) / path[-1][1] * 1e4

    # Slots are 100 ms long; the window starts with the slot that is 15 before the one now, or with a later touch in it.
    start_ms = read_ms // 100 * 100 - 1_500
    assert value <= window_range(start_ms) + 1e-9
    assert (
        value >= window_range(start_ms + 100) - 1e-9
        or value >= min(window_range(start_ms), window_range(read_ms)) - 1e-9
    )


@pytest.mark.parametrize("spec", [SPIKE, TRADE_FLOW], ids=lambda spec: spec.name)
def test_nothing_is_known_before_any_data(spec):
    assert math.isnan(build_component(spec).read(START_NS, TOUCH))


def flow(trades, read_ns, **options):
    each = build_component(TRADE_FLOW, TradeFlowOptions(**options))
    for trade in trades:
        each.on_trade(trade)
    return each.read(read_ns, TOUCH)


def test_the_flow_weighs_a_trade_a_half_life_ago_half():
    opening = TradeTick(START_NS - 10_000 * SECOND_NS, 100.0, 1.0, 0.0)
    sell = TradeTick(START_NS - 10 * SECOND_NS, 100.0, 2.0, -1.0)
    buy = TradeTick(START_NS, 100.0, 2.0, 1.0)

    value = flow([opening, sell, buy], START_NS, half_life_s=10.0, reference_half_life_s=604_800.0)

    assert value == pytest.approx(1.0 / 3.0, rel=1e-6)


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.integers(0, 20 * SECOND_NS), st.floats(0.001, 1e6), st.sampled_from((1.0, 0.0, -1.0))),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 1_000 * SECOND_NS),
)
def test_the_flow_stays_within_one_and_has_the_sign_of_the_decayed_sum(steps, wait_ns):
    now_ns, trades = START_NS, []
    for step_ns, size, side in steps:
        now_ns += step_ns
        trades.append(TradeTick(now_ns, 100.0, size, side))
    read_ns = now_ns + wait_ns

    value = flow(trades, read_ns)

    if read_ns - trades[0].now_ns < 10 * SECOND_NS - 1_000:
        assert math.isnan(value)
    elif read_ns - trades[0].now_ns > 10 * SECOND_NS + 1_000:
        signed = math.fsum(t.side * t.size * 0.5 ** ((read_ns - t.now_ns) / 1e10) for t in trades)
        volume = math.fsum(t.size * 0.5 ** ((read_ns - t.now_ns) / 1e10) for t in trades)
        assert -1.0 <= value <= 1.0
        assert value * signed >= 0.0 or abs(signed) < 1e-5 * volume
        assert abs(value) <= abs(signed) / volume + 1e-6


def test_the_flow_fades_when_trading_stops_instead_of_holding_its_last_side():
    trades = [TradeTick(START_NS + second * SECOND_NS, 100.0, 1.0, 1.0) for second in range(600)]
    end_ns = trades[-1].now_ns

    values = [flow(trades, end_ns + quiet_s * SECOND_NS) for quiet_s in (0, 30, 60, 120)]

    assert values[0] == pytest.approx(1.0, abs=0.01)
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.01

"""A control that keeps its state over a restart goes on after it as if there had been none."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal
from mmframe.engine.state import EngineState
from mmframe.testing import (
    START_NS,
    build_component,
    make_fill,
    make_inventory,
    make_options,
    make_signals,
    make_view,
)

QUOTES = QuoteProposal(99.0, 0.2, 101.0, 0.2, 0, 0)
OPTIONS = {
    "fill-rate": {"max_fills": 1, "max_filled": Decimal("0.05"), "window_s": 20.0, "cooldown_s": 15.0},
    "adverse-markouts": {"count": 2, "max_mean_loss_bps": 5.0, "mean_count": 3},
    "toxic-flow": {"soft_vpin": 0.5, "hard_vpin": 0.8, "soft_loss_bps": 1.0, "hard_loss_bps": 9.0, "loss_fills": 1},
    "request-budget": {"max_orders": 20, "max_order_to_trade": 30.0, "soft_from": 0.2, "order_credit": 1},
    "pause": {"max_spread_bps": 50.0, "max_imbalance": 0.5, "max_loss_quote": Decimal(5), "max_pauses_per_hour": 3},
    "circuit-breaker": {"move_bps": 100.0, "max_loss_quote": Decimal(8), "losing_fills": 2, "cooldown_s": 5.0},
}
KEEPERS = [spec for spec in RISK_CONTROLS if spec.keeps_state and spec.name in OPTIONS]

STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "wait_s": st.integers(1, 12),
            "mid": st.integers(-60, 60),
            "spread": st.integers(1, 80),
            "fill": st.sampled_from((0.0, 0.0, 1.0, -1.0)),
            "vpin": st.sampled_from((0.1, 0.6, 0.9, float("nan"))),
            "imbalance": st.sampled_from((0.0, 0.4, -0.9, float("nan"))),
            "orders": st.integers(0, 4),
            "pnl": st.integers(-6, 6),
        }
    ),
    min_size=2,
    max_size=30,
)


def calls_of(steps):
    """The steps as calls: views, inventories and fills of one run."""
    now_s, mid, pnl, orders, fills = 0, 100.0, 0.0, 0, 0
    for step in steps:
        now_s += step["wait_s"]
        mid += step["mid"] / 100.0
        pnl += step["pnl"]
        orders += step["orders"]
        fills += step["fill"] != 0.0
        signals = make_signals(vpin=step["vpin"], imbalance=step["imbalance"], volatility=0.01, relative_depth=1.0)
        half = mid * step["spread"] / 20_000.0
        now_ns = START_NS + now_s * 1_000_000_000
        inventory = make_inventory(
            total_pnl_quote=pnl,
            realised_pnl_quote=pnl,
            orders_sent=float(orders),
            requests_sent=2.0 * orders,
            fill_count=float(fills),
        )
        fill = make_fill(price=mid, size=0.02, side=step["fill"], now_ns=now_ns) if step["fill"] else None
        yield make_view(mid - half, mid + half, now_ns=now_ns, signals=signals), inventory, fill


def answer(control, view, inventory, fill):
    if fill is not None and control.on_fill is not None:
        control.on_fill(fill)
    return control.assess(view, inventory, NEUTRAL_ADVICE, QUOTES)


@pytest.mark.parametrize("spec", KEEPERS, ids=lambda spec: spec.name)
@settings(max_examples=40, deadline=None)
@given(steps=STEPS, data=st.data())
def test_saved_and_restored_at_any_moment_it_answers_as_if_it_had_run_on(spec, steps, data):
    options = make_options(spec, OPTIONS[spec.name])
    through, before, after = (build_component(spec, options) for _ in range(3))
    restart = data.draw(st.integers(1, len(steps) - 1))

    for number, call in enumerate(calls_of(steps)):
        if number == restart:
            # As a journal writes and reads it.
            saved = msgspec.json.encode(EngineState(risk_states={"it": tuple(before.state)}))
            after.state[:] = msgspec.json.decode(saved, type=EngineState).risk_states["it"]
        expected = answer(through, *call)

        was = answer(before if number < restart else after, *call)

        assert was == expected


def test_every_control_that_keeps_its_state_here_is_tried():
    assert {spec.name for spec in KEEPERS} == set(OPTIONS)

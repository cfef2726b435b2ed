"""Stages in any order, over any sequence of situations and fills, never break what the engine asks of a proposal."""

import math
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.domain.views import NO_QUOTE, Advice, FillTick
from mmframe.testing import build_component, make_options
from mmframe.testing.strategies import situations

MODELS = {
    "fixed-spread": {"spread_bps": 3.0},
    "touch": {"mode": "penny"},
    "volatility-regime": {},
    "avellaneda-stoikov": {"decay_per_bps": 0.3, "risk_aversion": 0.1},
    "glft": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
    "cartea-jaimungal": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
}
ADAPTERS = (
    ("touch", {"apply": "never-better", "mode": "step-back", "step_back_bps": 1.0}),
    ("touch", {"apply": "never-worse", "mode": "penny", "min_touch_size": Decimal("0.01")}),
    ("inventory-skew", {"skew_bps": 50.0, "size_decay_per_order": 0.2}),
    ("drift-skew", {"horizon_s": 100.0, "max_skew_bps": 100.0}),
    ("depth-adaptive", {"min_multiplier": 0.2, "max_multiplier": 5.0}),
    ("spread-protection", {"min_spread_bps": 1.0, "cooldown_ms": 0}),
    ("fee-floor", {"maker_fee_bps": 1.0}),
    ("advice", {"min_spread_multiplier": 0.2, "max_size_multiplier": 3.0, "min_confidence": 0.0}),
    ("target-allocation", {"skew_bps": 100.0}),
    ("ping-pong", {"max_orders": 5}),
    ("hanging-orders", {"cancel_percent": 50.0}),
)
SPECS = {spec.name: spec for spec in OPTIMIZERS}
RANGES = {
    "volatility": (0.0, 1e3),
    "relative_depth": (0.0, 1e3),
    "imbalance": (-1.0, 1.0),
    "manipulation": (0.0, 1.0),
    "spike_flag": (0.0, 1.0),
    "drift": (-1.0, 1.0),
}
NUMBERS = st.one_of(st.floats(-10.0, 10.0), st.floats())


def built(name, options):
    return build_component(SPECS[name], make_options(SPECS[name], options))


def test_every_built_in_stage_takes_part():
    assert set(SPECS) == set(MODELS) | {name for name, _ in ADAPTERS}


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(MODELS)),
    st.permutations(ADAPTERS),
    st.lists(
        st.tuples(
            situations(signals=tuple(RANGES), signal_ranges=RANGES),
            st.tuples(*[NUMBERS] * 7),
            st.sampled_from((0.0, 1.0, -1.0)),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_no_order_of_stages_crosses_loses_a_price_or_hides_a_reason(model, adapters, moments):
    chain = [built(model, MODELS[model]), *(built(name, options) for name, options in adapters)]

    for (view, inventory, _, _), advised, filled in moments:
        advice = Advice(*advised, view.now_ns)
        proposal = NO_QUOTE
        for stage in chain:
            proposal = stage.propose(view, inventory, advice, proposal)
            bid, bid_size, ask, ask_size, bid_reason, ask_reason = proposal
            for price, size, reason in ((bid, bid_size, bid_reason), (ask, ask_size, ask_reason)):
                assert (0.0 < price < math.inf and 0.0 < size < math.inf) if size else reason
            assert not (bid_size and ask_size) or bid < ask
        if filled:
            fill = FillTick(view.now_ns, view.mid, view.order_size, filled, view.mid, 1.0)
            for stage in chain:
                if stage.on_fill:
                    stage.on_fill(fill)

"""The ways to set up a quoting model pass the kit, and stand any number."""

from __future__ import annotations

import math
import random

import pytest

from mmframe.builtin.optimizers.avellaneda_stoikov import AVELLANEDA_STOIKOV
from mmframe.builtin.optimizers.cartea_jaimungal import CARTEA_JAIMUNGAL
from mmframe.builtin.optimizers.glft import GLFT
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE
from mmframe.testing import (
    START_NS,
    OptimizerConformance,
    build_component,
    make_inventory,
    make_options,
    make_signals,
    make_view,
)

CALLS = 300
CALM = {"volatility": 0.5}
BPS = {"decay_per_bps": 0.3}
PRICE = {"decay_per_price": 0.05}
RATE = {"arrival_rate_per_s": 0.5}
COSTS = {"maker_fee_bps": -0.5, "adverse_move_bps": 3.0, "max_orders": 7}
VARIANTS = {
    "StoikovGamma": (AVELLANEDA_STOIKOV, {**BPS, "risk_aversion": 0.1}),
    "StoikovSession": (AVELLANEDA_STOIKOV, {**PRICE, **COSTS, "risk_aversion": 0.1, "horizon": "session"}),
    "StoikovInfinite": (AVELLANEDA_STOIKOV, {**BPS, "risk_aversion": 0.1, "horizon": "infinite"}),
    "StoikovDiscount": (
        AVELLANEDA_STOIKOV,
        {**PRICE, **COSTS, "risk_aversion": 0.1, "horizon": "infinite", "discount_per_s": 0.01},
    ),
    "StoikovNeutral": (AVELLANEDA_STOIKOV, {**PRICE, "risk_aversion": 0.0}),
    "GlftGamma": (GLFT, {**BPS, **RATE, "risk_aversion": 0.1, "drift_per_s": 0.01}),
    "GlftNeutral": (GLFT, {**PRICE, **RATE, "risk_aversion": 0.0, "method": "exact"}),
    "GlftExact": (GLFT, {**BPS, **RATE, **COSTS, "risk_aversion": 0.1, "method": "exact"}),
    "GlftExactDeviation": (GLFT, {**BPS, **RATE, **COSTS, "inventory_std_orders": 2.0, "method": "exact"}),
    "CarteaPenalty": (CARTEA_JAIMUNGAL, {**PRICE, **RATE, **COSTS, "running_penalty_per_s": 0.02}),
    "CarteaSession": (
        CARTEA_JAIMUNGAL,
        {**PRICE, **RATE, "running_penalty_per_s": 0.02, "terminal_penalty": 0.5, "horizon": "session"},
    ),
    "CarteaRolling": (CARTEA_JAIMUNGAL, {**BPS, **RATE, "inventory_std_orders": 2.0, "horizon": "rolling"}),
}
# One of each function and table; the rest differ in numbers alone, and conformance of them would only take longer.
CONFORMING = {"StoikovSession", "StoikovDiscount", "GlftGamma", "GlftExact", "CarteaSession"}

globals().update(
    {
        f"Test{name}": type(
            f"Test{name}",
            (OptimizerConformance,),
            {"spec": spec, "options": make_options(spec, options), "calm_signals": CALM, "examples_max": 20},
        )
        for name, (spec, options) in VARIANTS.items()
        if name in CONFORMING
    }
)


def situation(source):
    mid = source.choice((source.uniform(1.0, 1e5), 100.0, 1e-300, 1e300, math.inf))
    volatility = source.choice((source.uniform(0.0, 2.0), 1e-300, 1e150, math.nan, 0.0, 10 ** source.uniform(-9, 9)))
    size = source.choice((0.1, 1.0, 1e-300, 1e300))
    view = make_view(order_size=size, signals=make_signals(volatility=volatility))
    now_ns = START_NS + source.randrange(100_000_000_000)
    position = source.choice((source.uniform(-9.0, 9.0) * size, 0.0, 1e300, -1e-300, math.nan))
    return view._replace(now_ns=now_ns, bid=mid, ask=mid, mid=mid), make_inventory(position), NEUTRAL_ADVICE, NO_QUOTE


@pytest.mark.parametrize("name", VARIANTS)
def test_no_number_however_absurd_raises_or_quotes_what_is_no_price(name):
    spec, options = VARIANTS[name]
    rule = build_component(spec, make_options(spec, options))
    source = random.Random(3)

    for _ in range(3 * CALLS):
        was = rule.propose(*situation(source))

        for price, size, reason in ((was.bid, was.bid_size, was.bid_reason), (was.ask, was.ask_size, was.ask_reason)):
            assert (0.0 < price < math.inf) if size else (math.isnan(price) and reason)

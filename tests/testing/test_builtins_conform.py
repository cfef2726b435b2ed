"""Our own components pass the kit that we ask of others."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from hypothesis import settings

from mmframe.builtin.advisers import ADVISERS
from mmframe.builtin.books import BOOKS
from mmframe.builtin.exchange import FEEDS
from mmframe.builtin.exchange import VENUES as EMBEDDED_VENUES
from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.builtin.signals import SIGNALS
from mmframe.builtin.simulated import VENUES as SIMULATED_VENUES
from mmframe.testing import (
    AdviserConformance,
    BookConformance,
    FeedConformance,
    OptimizerConformance,
    PluginConformance,
    RiskControlConformance,
    SignalConformance,
    VenueConformance,
    make_instrument,
    make_options,
)


class TestCore(PluginConformance):
    module = "mmframe.builtin.plugin"


_EXAMPLES_MAX = 50 if settings.get_current_profile_name() == "explore" else 20
"""A component has about ten properties, each with examples of its own beside the edges, which are always tried; in a
search for new examples there are as many of them as others get."""

_REQUIRED_OPTIONS = {
    "price-impact": {"size": Decimal("0.5")},
    "stoikov-micro-price": {"table": Path(__file__).parents[1] / "builtin" / "signals" / "micro_price_table.json"},
    "vpin": {"bucket_size": Decimal("0.01")},
    "constant": {"value": 0.02},
    "avellaneda-stoikov": {"decay_per_bps": 0.3, "inventory_std_orders": 3.0},
    "glft": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
    "cartea-jaimungal": {"decay_per_bps": 0.3, "arrival_rate_per_s": 0.5, "inventory_std_orders": 3.0},
    "layered-limits": {"max_position": Decimal(1), "max_total_notional_quote": Decimal(300)},
    "daily-loss": {"max_daily_loss_quote": Decimal(100)},
    "drawdown": {"max_drawdown_quote": Decimal(100)},
    "portfolio": {
        "max_concentration": 1.0,
        "max_gross_share": 0.5,
        "max_net_share": 0.2,
        "capital_quote": Decimal(100),
    },
    "max-spread": {"max_spread_bps": 50.0},
    "emergency-liquidation": {
        "max_loss_quote": Decimal(50),
        "max_drawdown_quote": Decimal(60),
        "position_factor": 1.5,
        "max_unrealised_loss_quote": Decimal(40),
        "max_unrealised_loss_bps": 300.0,
    },
    "target-rebalancing": {"band": Decimal("0.05"), "taker": True},
    "fill-rate": {"max_fills": 2, "max_filled": Decimal("0.5")},
    "toxic-flow": {"soft_vpin": 0.5, "hard_vpin": 0.8, "soft_loss_bps": 1.0, "hard_loss_bps": 4.0},
    "request-budget": {"max_orders": 100, "max_requests": 500, "max_order_to_trade": 50.0},
    "pause": {
        "max_volatility_bps": 5.0,
        "max_spread_bps": 50.0,
        "min_relative_depth": 0.3,
        "max_imbalance": 0.9,
        "max_loss_quote": Decimal(50),
        "max_pauses_per_hour": 1,
    },
    "circuit-breaker": {"move_bps": 100.0, "max_loss_quote": Decimal(100), "losing_fills": 1},
}


def _classes(base, specs, **attributes):
    """Return one test class a spec, so that pytest names the component in its report."""
    made = {}
    for spec in specs:
        name = (
            "Test" + "".join(part.title() for part in spec.name.split("-")) + base.__name__.removesuffix("Conformance")
        )
        made[name] = type(name, (base,), {"spec": spec, "examples_max": _EXAMPLES_MAX, **attributes})
        if required := _REQUIRED_OPTIONS.get(spec.name):
            made[name].options = make_options(spec, required)
    return made


globals().update(_classes(BookConformance, BOOKS))
globals().update(_classes(SignalConformance, SIGNALS))
globals().update(_classes(OptimizerConformance, OPTIMIZERS))
globals().update(_classes(RiskControlConformance, RISK_CONTROLS))
globals().update(_classes(AdviserConformance, ADVISERS))


class TestSpreadAdviserWithSymbols(AdviserConformance):
    spec = ADVISERS[0]
    options = ADVISERS[0].options(anonymise=False, signals=("volatility", "market_condition"))
    is_anonymous = False


_EMBEDDED_FEED = FEEDS[0]
_GRID = make_instrument(tick_size="1", lot_size="0.0001")


class TestEmbeddedFeed(FeedConformance):
    spec = _EMBEDDED_FEED
    instruments = (_GRID, make_instrument("ETH/USDT", tick_size="1", lot_size="0.0001"))


class TestEmbeddedVenue(VenueConformance):
    spec = EMBEDDED_VENUES[0]
    feed_spec = _EMBEDDED_FEED
    instruments = (_GRID,)


class TestSimulatedVenue(VenueConformance):
    spec = SIMULATED_VENUES[0]


class TestSimulatedVenueWithProbabilityQueue(VenueConformance):
    spec = SIMULATED_VENUES[0]
    options = SIMULATED_VENUES[0].options(queue="probability", latency_jitter_ms=30.0)

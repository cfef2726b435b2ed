"""`emergency-liquidation` bites at each of its triggers, and never on figures that are none."""

import math
from decimal import Decimal

import pytest

from mmframe.builtin.risk.emergency_liquidation import (
    DAY_LOSS,
    DRAWDOWN,
    EMERGENCY_LIQUIDATION,
    POSITION_TOO_LARGE,
    UNREALISED_LOSS,
    UNREALISED_LOSS_BPS,
    EmergencyLiquidationOptions,
)
from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import CloseTo, LiquidationTerms
from mmframe.domain.market import Side
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.engine.liquidation import cap_ticks
from mmframe.errors import ConfigErrors, DomainError
from mmframe.registry import check
from mmframe.testing import build_component, make_inventory, make_view

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)
SECOND_NS = 1_000_000_000


def assess(options, *, position=0.0, **figures):
    control = build_component(EMERGENCY_LIQUIDATION, EmergencyLiquidationOptions(**options))
    return control.assess(make_view(), make_inventory(position, **figures), NEUTRAL_ADVICE, QUOTES)


def test_the_example_of_its_description_holds():
    options = {"max_loss_quote": Decimal(500), "max_unrealised_loss_bps": 300.0}

    verdict = assess(options, position=2.0, average_price=100.0, unrealised_pnl_quote=-6.2)

    assert verdict == RiskVerdict(RiskLevel.LIQUIDATE, 99.9, 0.0, 100.1, 0.0, UNREALISED_LOSS_BPS)
    assert assess(options, position=2.0, average_price=100.0, unrealised_pnl_quote=-5.9).level == RiskLevel.ALLOW
    assert LiquidationTerms(slice_share=0.1).slice_lots(200) == 20
    assert cap_ticks(Side.SELL, 2 * 9_690, 50.0) == 9_642


@pytest.mark.parametrize(
    ("options", "position", "figures", "reason"),
    [
        ({"max_loss_quote": Decimal(50)}, 0.0, {"day_pnl_quote": -50.0}, DAY_LOSS),
        ({"max_drawdown_quote": Decimal(50)}, 0.0, {"peak_pnl_quote": 30.0, "total_pnl_quote": -20.0}, DRAWDOWN),
        ({"position_factor": 1.5}, -1.6, {"max_position": 1.0}, POSITION_TOO_LARGE),
        ({"max_unrealised_loss_quote": Decimal(5)}, 1.0, {"unrealised_pnl_quote": -5.0}, UNREALISED_LOSS),
    ],
    ids=["loss of the day", "drawdown", "position", "unrealised loss"],
)
def test_each_trigger_bites_and_says_so(options, position, figures, reason):
    assert assess(options, position=position, **figures) == RiskVerdict(
        RiskLevel.LIQUIDATE, 99.9, 0.0, 100.1, 0.0, reason
    )
    assert reason in EMERGENCY_LIQUIDATION.reasons


@pytest.mark.parametrize(
    ("options", "position", "figures"),
    [
        ({"max_loss_quote": Decimal(50)}, 0.0, {"day_pnl_quote": -49.9}),
        ({"max_drawdown_quote": Decimal(50)}, 0.0, {"peak_pnl_quote": 30.0, "total_pnl_quote": -19.9}),
        ({"position_factor": 1.5}, -1.5, {"max_position": 1.0}),
        ({"position_factor": 1.5}, 1e9, {"max_position": math.inf}),
        ({"max_unrealised_loss_quote": Decimal(5)}, 1.0, {"unrealised_pnl_quote": -4.9}),
        ({"max_unrealised_loss_bps": 10.0}, 0.0, {"unrealised_pnl_quote": 0.0}),
    ],
)
def test_below_its_trigger_it_lets_everything_pass(options, position, figures):
    assert assess(options, position=position, **figures) == RiskVerdict(RiskLevel.ALLOW, 99.9, 0.2, 100.1, 0.2, 0)


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"max_loss_quote": Decimal(50)}, "day_pnl_quote"),
        ({"max_drawdown_quote": Decimal(50)}, "total_pnl_quote"),
        ({"max_unrealised_loss_quote": Decimal(50)}, "unrealised_pnl_quote"),
        ({"max_unrealised_loss_bps": 50.0}, "average_price"),
    ],
)
def test_a_figure_that_is_none_halts_and_closes_nothing(options, name, figure):
    verdict = assess(options, position=1.0, **{name: figure})

    assert (verdict.level, verdict.reason) == (RiskLevel.HALT, Reason.NOT_FINITE)


def test_a_figure_that_no_trigger_reads_does_not_matter():
    verdict = assess({"position_factor": 2.0}, position=1.0, day_pnl_quote=-math.inf, unrealised_pnl_quote=-math.inf)

    assert verdict.level == RiskLevel.ALLOW


def test_its_options_are_the_terms():
    options = EmergencyLiquidationOptions(
        max_loss_quote=Decimal(1),
        slice_share=0.3,
        interval_s=0.5,
        price_cap_bps=20.0,
        max_duration_s=60.0,
        scope="market",
    )

    assert EMERGENCY_LIQUIDATION.liquidation(options) == LiquidationTerms(
        slice_share=0.3,
        interval_ns=SECOND_NS // 2,
        price_cap_bps=20.0,
        max_duration_ns=60 * SECOND_NS,
        scope=Scope.MARKET,
        close_to=CloseTo.FLAT,
        is_latched=True,
    )


def test_without_a_trigger_it_is_refused():
    with pytest.raises(DomainError, match="max_loss_quote: expected at least one trigger"):
        EmergencyLiquidationOptions()


STRATEGY = """\
schema = 1
[strategy]
name = "guarded"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
[[optimizer]]
use = "fixed-spread"
[[risk]]
"""


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('use = "emergency-liquidation"', "risk[0].max_loss_quote: expected at least one trigger"),
        ('use = "target-rebalancing"\nband = "0.1"', "risk[0].taker: expected true, was false"),
    ],
)
def test_check_says_where_and_what_is_missing(tmp_path, table, expected):
    file = tmp_path / "strategy.toml"
    file.write_text(STRATEGY + table)

    with pytest.raises(ConfigErrors) as caught:
        check(file)

    [problem] = caught.value.problems
    assert expected in problem.message

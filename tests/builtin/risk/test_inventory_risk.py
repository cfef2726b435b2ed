"""`inventory-risk` adds up what a position can cost and holds back the side that adds to it."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings

from mmframe.builtin.risk.inventory_risk import (
    HIGH_RISK,
    INVENTORY_RISK,
    RISK_SHRINKS,
    InventoryRiskOptions,
    InventoryRiskWeights,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_signals, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(99.9, 0.3, 100.1, 0.3, 0, 0)
CALM = {"position": 0.6, "max_position": 1.0}
POSITION_ALONE = InventoryRiskWeights(position=1.0, loss=0.0, volatility=0.0, concentration=0.0)


def control_of(**options):
    return build_component(INVENTORY_RISK, InventoryRiskOptions(**options))


def assess(control, quotes=QUOTES, *, volatility=0.0, **inventory):
    view = make_view(signals=make_signals(volatility=volatility))
    return control.assess(view, make_inventory(**inventory), NEUTRAL_ADVICE, quotes)


def test_the_example_of_its_description_holds():
    control = control_of(max_unrealised_loss_quote=Decimal(100))

    verdict = assess(control, **CALM, unrealised_pnl_quote=-50.0, volatility=0.02)

    assert verdict == RiskVerdict(RiskLevel.SHRINK, 99.9, pytest.approx(0.14), 100.1, 0.3, RISK_SHRINKS)


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        pytest.param({}, 1 - 0.5 * 0.6 / 0.7, id="position alone, of the weights that count"),
        pytest.param({"market_count": 3.0, "concentration": 0.5}, 1 - (0.3 + 0.05) / 0.8, id="a concentrated book"),
        pytest.param({"volatility": 0.05}, 1 - (0.3 + 0.2) / 0.7, id="full volatility"),
        pytest.param({"volatility": 9.0}, 1 - (0.3 + 0.2) / 0.7, id="more than full counts as full"),
        pytest.param({"volatility": math.nan}, 1 - (0.3 + 0.2) / 0.7, id="unknown counts as full"),
        pytest.param({"market_count": 3.0, "concentration": math.nan}, 1 - 0.4 / 0.8, id="unknown concentration"),
        pytest.param({"unrealised_pnl_quote": -1e9}, 1 - 0.3 / 0.7, id="a loss without a limit does not count"),
    ],
)
def test_each_part_counts_with_its_weight(fields, left):
    verdict = assess(control_of(), **CALM, **fields)

    assert (verdict.bid_size, verdict.ask_size) == pytest.approx((0.3 * left, 0.3))


@pytest.mark.parametrize(
    ("loss", "counted"),
    [(-10.0, 0.1), (-400.0, 1.0), (50.0, 0.0), (math.nan, 1.0)],
    ids=["part", "full", "gain", "nan"],
)
def test_the_loss_counts_up_to_its_limit_and_a_gain_not_at_all(loss, counted):
    control = control_of(max_unrealised_loss_quote=Decimal(100), cancel_from=1.0)

    verdict = assess(control, **CALM, unrealised_pnl_quote=loss)

    assert verdict.bid_size == pytest.approx(0.3 * (1 - (0.3 + 0.2 * counted) / 0.9))


def test_the_target_is_where_nothing_is_at_risk():
    wild = {"volatility": math.nan, "market_count": 3.0, "concentration": 1.0}

    at_target = assess(control_of(), position=0.5, target=0.5, **wild)
    below = assess(control_of(weights=POSITION_ALONE), position=0.1, target=0.5, max_position=1.0)

    assert at_target == RiskVerdict(RiskLevel.ALLOW, 99.9, 0.3, 100.1, 0.3, 0)
    assert (below.bid_size, below.ask_size) == (0.3, pytest.approx(0.3 * 0.6))


def test_a_high_score_takes_the_adding_side_until_it_is_well_below():
    control = control_of(weights=POSITION_ALONE)

    seen = [assess(control, position=held, max_position=1.0) for held in (0.79, 0.8, 0.73, 0.71, 0.73)]

    assert [verdict.reason for verdict in seen] == [RISK_SHRINKS, HIGH_RISK, HIGH_RISK, RISK_SHRINKS, RISK_SHRINKS]
    assert [verdict.bid_size for verdict in seen] == pytest.approx([0.063, 0.0, 0.0, 0.087, 0.081])
    assert {verdict.ask_size for verdict in seen} == {0.3}


def test_sizes_are_whole_up_to_where_shrinking_begins():
    control = control_of(weights=POSITION_ALONE, shrink_from=0.4)

    assert assess(control, position=0.4, max_position=1.0) == RiskVerdict(0, 99.9, 0.3, 100.1, 0.3, 0)
    assert assess(control, position=0.41, max_position=1.0).bid_size == pytest.approx(0.3 * 0.59)


def test_the_full_position_is_the_option_or_the_gate_s_limit_or_ten_orders():
    sizes = [
        assess(control_of(weights=POSITION_ALONE, full_position=Decimal(2)), position=1.0, max_position=5.0).bid_size,
        assess(control_of(weights=POSITION_ALONE), position=1.0, max_position=5.0).bid_size,
        # 10 orders of 0.01.
        assess(control_of(weights=POSITION_ALONE), position=0.03).bid_size,
    ]

    assert sizes == pytest.approx([0.15, 0.24, 0.21])


def test_a_side_that_is_all_there_is_and_must_go_leaves_nothing():
    bid_only = QUOTES._replace(ask=0.0, ask_size=0.0)

    verdict = assess(control_of(weights=POSITION_ALONE), bid_only, position=1.0, max_position=1.0)

    assert verdict[::5] == (RiskLevel.CANCEL_ONLY, HIGH_RISK)


@pytest.mark.parametrize("position", [math.nan, math.inf])
def test_a_position_that_is_not_a_number_cancels(position):
    assert assess(control_of(), position=position)[::5] == (RiskLevel.CANCEL_ONLY, Reason.NOT_FINITE)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"shrink_from": 0.8},
            "shrink_from: expected a score below cancel_from = 0.8, was 0.8",
        ),
        (
            {"weights": InventoryRiskWeights(position=0.0, volatility=0.0, concentration=0.0)},
            "weights: expected a part that counts, was none",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, text):
    with pytest.raises(DomainError) as caught:
        InventoryRiskOptions(**options)

    assert caught.value.message == text


@settings(max_examples=100)
@given(situations(signals=("volatility",), rounded=True))
def test_it_only_ever_cuts_the_side_that_adds(situation):
    view, inventory, advice, quotes = situation
    control = control_of(max_unrealised_loss_quote=Decimal(100))

    verdict = control.assess(view, inventory, advice, quotes)

    excess = inventory.position - inventory.target
    assert (verdict.bid, verdict.ask) == (quotes.bid, quotes.ask)
    assert verdict.bid_size <= quotes.bid_size if excess > 0 else verdict.bid_size == quotes.bid_size
    assert verdict.ask_size <= quotes.ask_size if excess < 0 else verdict.ask_size == quotes.ask_size
    assert (verdict.level == RiskLevel.ALLOW) == (verdict[1:5] == quotes[:4])

"""`target-rebalancing` asks for an excess to be closed, and leaves a shortfall to the quotes."""

import math
from decimal import Decimal

import pytest

from mmframe.builtin.risk.target_rebalancing import EXCESS, TARGET_REBALANCING, TargetRebalancingOptions
from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import CloseTo
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_view

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)
OPTIONS = TargetRebalancingOptions(band=Decimal("0.5"), taker=True)


def assess(position, target):
    control = build_component(TARGET_REBALANCING, OPTIONS)
    return control.assess(make_view(), make_inventory(position, target=target), NEUTRAL_ADVICE, QUOTES)


def test_the_example_of_its_description_holds():
    assert assess(1.7, 1.0) == RiskVerdict(RiskLevel.LIQUIDATE, 99.9, 0.0, 100.1, 0.0, EXCESS)
    # 0.25 of an excess of 0.7, in lots of 0.001.
    assert TARGET_REBALANCING.liquidation(OPTIONS).slice_lots(700) == 175


@pytest.mark.parametrize(
    ("position", "target", "level"),
    [
        (1.5, 1.0, RiskLevel.ALLOW),
        (0.2, 1.0, RiskLevel.ALLOW),
        (-1.7, -1.0, RiskLevel.LIQUIDATE),
        (-0.6, 1.0, RiskLevel.LIQUIDATE),
        (0.6, 0.0, RiskLevel.LIQUIDATE),
        (0.0, 1.0, RiskLevel.ALLOW),
    ],
    ids=["within the band", "too small", "short", "on the other side", "towards flat", "flat"],
)
def test_only_what_is_too_much_is_closed(position, target, level):
    assert assess(position, target).level == level


def test_a_position_that_is_none_cancels():
    verdict = assess(math.nan, 0.0)

    assert (verdict.level, verdict.reason) == (RiskLevel.CANCEL_ONLY, Reason.NOT_FINITE)


def test_it_halts_nothing_and_closes_down_to_the_target_of_its_own_market():
    terms = TARGET_REBALANCING.liquidation(OPTIONS)

    assert (terms.is_latched, terms.close_to, terms.scope) == (False, CloseTo.TARGET, Scope.MARKET)


def test_it_takes_only_when_told_to():
    with pytest.raises(DomainError, match="taker: expected true, was false") as caught:
        TargetRebalancingOptions(band=Decimal(1))

    assert "target-allocation" in caught.value.hint

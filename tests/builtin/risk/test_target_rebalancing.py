"""`target-rebalancing` asks for an excess to be closed, and leaves a shortfall to the quotes."""

import math
from decimal import Decimal

import attrs
import pytest

from mmframe.builtin.risk.target_rebalancing import EXCESS, TARGET_REBALANCING, TargetRebalancingOptions
from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import CloseTo
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import START_NS, build_component, make_inventory, make_view

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


def test_what_was_given_up_is_quoted_for_as_long_before_it_is_tried_again():
    control = build_component(TARGET_REBALANCING, attrs.evolve(OPTIONS, max_duration_s=60.0))

    def levels(*calls):
        """The answers at these seconds to these positions."""
        views = [(make_view(now_ns=START_NS + second * 1_000_000_000), position) for second, position in calls]
        return [
            control.assess(view, make_inventory(position, target=1.0), NEUTRAL_ADVICE, QUOTES).level
            for view, position in views
        ]

    closes, quotes = RiskLevel.LIQUIDATE, RiskLevel.ALLOW
    # Asked, given up after a minute, quoted for one, asked again, done, asked anew.
    assert levels((0, 1.7), (1, 1.7), (60, 1.7), (119, 1.7), (120, 1.7), (180, 1.4), (181, 1.7)) == [
        closes, closes, quotes, quotes, closes, quotes, closes
    ]  # fmt: skip
    assert TARGET_REBALANCING.liquidation(OPTIONS).max_duration_ns == 600_000_000_000


def test_it_takes_only_when_told_to():
    with pytest.raises(DomainError, match="taker: expected true, was false") as caught:
        TargetRebalancingOptions(band=Decimal(1))

    assert "target-allocation" in caught.value.hint

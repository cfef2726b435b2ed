"""What rules see is numbers only, and what no optimizer touched says so."""

import math
from numbers import Number

import pytest

from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason, RiskLevel
from mmframe.testing import make_inventory, make_view


@pytest.mark.parametrize(
    "value", [NEUTRAL_ADVICE, NO_QUOTE, make_inventory(), make_view()], ids=lambda value: type(value).__name__
)
def test_a_rule_is_handed_numbers_and_tuples_of_numbers_only(value):
    fields = value._asdict()
    signals = fields.pop("signals", ())

    assert all(isinstance(number, Number) for number in [*fields.values(), *signals])


def test_no_quote_has_neither_price_nor_size_and_a_reason_for_both_sides():
    assert math.isnan(NO_QUOTE.bid)
    assert math.isnan(NO_QUOTE.ask)
    assert (NO_QUOTE.bid_size, NO_QUOTE.ask_size) == (0.0, 0.0)
    assert (NO_QUOTE.bid_reason, NO_QUOTE.ask_reason) == (Reason.NOT_PROPOSED, Reason.NOT_PROPOSED)
    assert isinstance(NO_QUOTE, QuoteProposal)


def test_neutral_advice_changes_nothing():
    multipliers = NEUTRAL_ADVICE[:3]

    assert multipliers == (1.0, 1.0, 1.0)
    assert (NEUTRAL_ADVICE.skew_bps, NEUTRAL_ADVICE.pause, NEUTRAL_ADVICE.position_scale) == (0.0, 0.0, 1.0)


def test_risk_levels_grow_stronger():
    assert RiskLevel.ALLOW < RiskLevel.SHRINK < RiskLevel.CANCEL_ONLY < RiskLevel.HALT


def test_reasons_are_numbers_of_their_own_below_those_of_plugins():
    values = [int(reason) for reason in Reason]

    assert len(set(values)) == len(values)
    assert max(value for value in values if value != Reason.PLUGIN) < Reason.PLUGIN

"""`condition-guard` does what its table says at each code, and its `unknown` at any other value."""

import math

import pytest

from mmframe.builtin.risk.condition_guard import (
    CONDITION_CANCELLED,
    CONDITION_GUARD,
    CONDITION_SHRUNK,
    ConditionGuardOptions,
)
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DomainError
from mmframe.testing import build_component, make_inventory, make_signals, make_view

QUOTES = QuoteProposal(99.9, 0.2, 100.1, 0.2, 0, 0)
BID_ONLY = QUOTES._replace(ask=0.0, ask_size=0.0)
ALL = ("allow", "shrink", "shrink-bid", "shrink-ask", "cancel", "cancel-bid", "cancel-ask")


def assess(value, quotes=QUOTES, **options):
    control = build_component(CONDITION_GUARD, ConditionGuardOptions(**options))
    view = make_view(signals=make_signals(market_condition=value))
    return control.assess(view, make_inventory(), NEUTRAL_ADVICE, quotes)


def test_the_example_of_its_description_holds():
    assert assess(2.0) == RiskVerdict(RiskLevel.SHRINK, 99.9, 0.2, 100.1, 0.1, CONDITION_SHRUNK)


@pytest.mark.parametrize(
    ("code", "sizes", "level", "reason"),
    [
        (0.0, (0.2, 0.2), RiskLevel.ALLOW, 0),
        (1.0, (0.05, 0.05), RiskLevel.SHRINK, CONDITION_SHRUNK),
        (2.0, (0.05, 0.2), RiskLevel.SHRINK, CONDITION_SHRUNK),
        (3.0, (0.2, 0.05), RiskLevel.SHRINK, CONDITION_SHRUNK),
        (4.0, (0.0, 0.0), RiskLevel.CANCEL_ONLY, CONDITION_CANCELLED),
        (5.0, (0.0, 0.2), RiskLevel.SHRINK, CONDITION_CANCELLED),
        (6.0, (0.2, 0.0), RiskLevel.SHRINK, CONDITION_CANCELLED),
    ],
    ids=ALL,
)
def test_each_action_takes_what_its_name_says(code, sizes, level, reason):
    verdict = assess(code, actions=ALL, shrink_share=0.25)

    assert (verdict.bid_size, verdict.ask_size) == pytest.approx(sizes)
    assert (verdict.bid, verdict.ask, verdict.level, verdict.reason) == (99.9, 100.1, level, reason)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 0.5, 5.0])
def test_a_value_that_is_no_code_of_the_table_is_unknown(value):
    assert assess(value).reason == Reason.WARMING_UP
    assert assess(value).level == RiskLevel.CANCEL_ONLY
    assert assess(value, unknown="allow").level == RiskLevel.ALLOW
    assert assess(value, unknown="shrink").bid_size == pytest.approx(0.1)


def test_a_side_that_is_not_quoted_is_nothing_to_take():
    assert assess(2.0, BID_ONLY) == RiskVerdict(0, *BID_ONLY[:4], 0)


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        ((), "actions: expected 1 to 16 of them, was 0"),
        (("allow",) * 17, "actions: expected 1 to 16 of them, was 17"),
        (("alow",), "actions: expected each to be one of allow, shrink, .*, was 'alow'"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(actions, text):
    with pytest.raises(DomainError, match=text):
        ConditionGuardOptions(actions=actions)

"""`balance` quotes no more than the account can pay for."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.risk.balance import BALANCE, BALANCE_SHORT, BALANCE_UNKNOWN, BalanceOptions
from mmframe.domain.views import NEUTRAL_ADVICE, QuoteProposal, RiskLevel, RiskVerdict
from mmframe.testing import build_component, make_inventory, make_view
from mmframe.testing.strategies import situations

QUOTES = QuoteProposal(100.0, 12.0, 101.0, 12.0, 0, 0)


def assess(quotes=QUOTES, *, quote_balance=math.nan, base_balance=math.nan, **options):
    inventory = make_inventory(quote_balance=quote_balance, base_balance=base_balance)
    return build_component(BALANCE, BalanceOptions(**options)).assess(make_view(), inventory, NEUTRAL_ADVICE, quotes)


def test_the_example_of_its_description_holds():
    verdict = assess(quote_balance=1_000.0, base_balance=5.0)

    assert verdict == RiskVerdict(
        RiskLevel.SHRINK, 100.0, pytest.approx(9.8901, abs=5e-5), 101.0, pytest.approx(4.9950, abs=5e-5), BALANCE_SHORT
    )


def test_what_can_be_paid_for_is_allowed_as_it_is():
    assert assess(quote_balance=1e6, base_balance=1e6) == RiskVerdict(0, 100.0, 12.0, 101.0, 12.0, 0)


@pytest.mark.parametrize("told", [{}, {"quote_balance": 1e6}, {"base_balance": 1e6}])
def test_a_balance_that_is_not_told_binds_only_where_it_is_required(told):
    assert assess(**told) == RiskVerdict(0, 100.0, 12.0, 101.0, 12.0, 0)
    assert assess(**told, require_balances=True) == RiskVerdict(
        RiskLevel.CANCEL_ONLY, 100.0, 0.0, 101.0, 0.0, BALANCE_UNKNOWN
    )


def test_a_balance_that_is_not_told_leaves_the_other_side_its_own_limit():
    assert assess(base_balance=5.0, fee_bps=0.0)[1:5] == (100.0, 12.0, 101.0, 5.0)


@pytest.mark.parametrize("empty", [0.0, -3.0])
def test_an_empty_or_overdrawn_account_quotes_nothing(empty):
    verdict = assess(quote_balance=empty, base_balance=empty, require_balances=True)

    assert verdict == RiskVerdict(RiskLevel.CANCEL_ONLY, 100.0, 0.0, 101.0, 0.0, BALANCE_SHORT)


def test_a_reserve_is_never_used():
    verdict = assess(
        quote_balance=1_000.0, base_balance=10.0, quote_reserve_share=0.5, base_reserve_share=1.0, fee_bps=0.0
    )

    assert (verdict.bid_size, verdict.ask_size) == (5.0, 0.0)


@settings(max_examples=100)
@given(situations(rounded=True), st.floats(0.0, 500.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_fill_with_its_fee_never_costs_more_than_what_may_be_used(situation, fee_bps, quote_reserve, base_reserve):
    view, inventory, advice, quotes = situation
    control = build_component(BALANCE, BalanceOptions(fee_bps, quote_reserve, base_reserve))

    verdict = control.assess(view, inventory, advice, quotes)

    with_fee = 1.0 + fee_bps / 10_000.0
    cost, usable = verdict.bid_size * verdict.bid * with_fee, inventory.quote_balance * (1.0 - quote_reserve)
    sold, owned = verdict.ask_size * with_fee, inventory.base_balance * (1.0 - base_reserve)
    assert math.isnan(usable) or cost <= usable * (1 + 1e-9)
    assert math.isnan(owned) or sold <= owned * (1 + 1e-9)
    # As much as there is money for: a side is cut to its bound and not further.
    assert verdict.bid_size == quotes.bid_size or cost == pytest.approx(usable)
    assert verdict.ask_size == quotes.ask_size or sold == pytest.approx(owned)

"""`fixed-spread` stands at its distances from the reference."""

import math

import pytest

from mmframe.builtin.optimizers.fixed_spread import FIXED_SPREAD, FixedSpreadOptions
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, QuoteProposal, Reason
from mmframe.testing import build_component, make_inventory, make_view


def propose(view, **options):
    return build_component(FIXED_SPREAD, FixedSpreadOptions(**options)).propose(
        view, make_inventory(), NEUTRAL_ADVICE, NO_QUOTE
    )


def test_half_the_spread_lies_on_each_side_of_the_mid():
    assert propose(make_view(order_size=0.5), spread_bps=10.0) == QuoteProposal(
        pytest.approx(99.95), 0.5, pytest.approx(100.05), 0.5, 0, 0
    )


def test_a_distance_of_its_own_replaces_half_the_spread_on_its_side():
    proposal = propose(make_view(), spread_bps=10.0, ask_distance_bps=20.0)

    assert (proposal.bid, proposal.ask) == pytest.approx((99.95, 100.20))


def test_the_micro_price_moves_both_quotes_towards_the_thin_side():
    view = make_view(99.99, 100.01, bid_size=3.0, ask_size=1.0)

    proposal = propose(view, bid_distance_bps=10.0, ask_distance_bps=10.0, reference="micro_price")

    assert (proposal.bid, proposal.ask) == pytest.approx((100.005 * 0.999, 100.005 * 1.001))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"mid": 0.0}, Reason.BOOK_EMPTY, id="zero mid"),
        pytest.param({"mid": math.nan}, Reason.BOOK_EMPTY, id="mid not a number"),
        pytest.param({"mid": math.inf}, Reason.BOOK_EMPTY, id="infinite mid"),
        pytest.param({"order_size": 0.0}, Reason.BELOW_MINIMUM, id="no order size"),
        pytest.param({"order_size": math.nan}, Reason.BELOW_MINIMUM, id="order size not a number"),
    ],
)
def test_bad_input_gives_no_quote_and_its_reason(change, reason):
    proposal = propose(make_view()._replace(**change))

    assert (proposal.bid_size, proposal.ask_size) == (0.0, 0.0)
    assert (proposal.bid_reason, proposal.ask_reason) == (reason, reason)

"""What is asked of the exchange."""

import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import Submit, TimeInForce
from mmframe.testing import make_instrument
from mmframe_bybit.trading.orders import create_fields

BTC = make_instrument("BTC/USDT", tick_size="0.5", lot_size="0.001")


@pytest.mark.parametrize(("category", "expected"), [("linear", True), ("spot", None)])
def test_a_reduce_only_order_is_one_at_the_exchange_where_it_knows_positions(category, expected):
    action = Submit(0, "mm-t-0-1", Side.SELL, 200, 10, TimeInForce.IOC, is_post_only=False, is_reduce_only=True)

    fields = create_fields(action, BTC, category=category, symbol="BTCUSDT", self_match="None")

    assert (fields["timeInForce"], fields.get("reduceOnly")) == ("IOC", expected)

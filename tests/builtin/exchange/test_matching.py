"""The rules of matching, one by one; `test_matching_reference.py` proves that they hold together."""

import pytest

from mmframe.builtin.exchange.matching import MatchingEngine, MatchingLimits, Reject, SelfTradePrevention
from mmframe.domain.market import Side
from mmframe.domain.orders import OrderStatus, TimeInForce
from mmframe.errors import DomainError

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def engine():
    return MatchingEngine()


def queue(engine, side, price):
    return [order.owner for order in engine.orders_at(side, price)]


def test_the_older_order_at_a_price_is_filled_first_and_at_its_own_price(engine):
    engine.limit("first", SELL, 100, 5)
    engine.limit("second", SELL, 100, 5)
    engine.limit("dearer", SELL, 101, 5)

    taker = engine.limit("taker", BUY, 102, 12)

    trades = [(trade.maker_owner, trade.price_ticks, trade.size_lots) for trade in engine.executions]
    assert trades == [("first", 100, 5), ("second", 100, 5), ("dearer", 101, 2)]
    assert taker.status is OrderStatus.FILLED
    assert engine.levels(SELL, 9) == [(101, 3)]


def test_the_remainder_of_a_limit_order_rests(engine):
    engine.limit("maker", SELL, 100, 5)

    taker = engine.limit("taker", BUY, 100, 8)

    assert (taker.status, taker.filled_lots, taker.leaves_lots) == (OrderStatus.OPEN, 5, 3)
    assert engine.levels(BUY, 9) == [(100, 3)]


def test_a_post_only_order_that_would_take_is_rejected_and_changes_nothing(engine):
    engine.limit("maker", SELL, 100, 5)
    version = engine.version

    order = engine.limit("taker", BUY, 100, 5, is_post_only=True)

    assert (order.status, order.reject) == (OrderStatus.REJECTED, Reject.WOULD_TAKE)
    assert engine.version == version


def test_an_ioc_order_takes_what_there_is_and_expires(engine):
    engine.limit("maker", SELL, 100, 5)

    order = engine.limit("taker", BUY, 100, 8, time_in_force=TimeInForce.IOC)

    assert (order.status, order.filled_lots, order.reject) == (OrderStatus.EXPIRED, 5, Reject.NO_LIQUIDITY)
    assert engine.level_count(BUY) == 0


def test_an_fok_order_that_cannot_be_filled_whole_trades_nothing(engine):
    engine.limit("maker", SELL, 100, 5)

    order = engine.limit("taker", BUY, 100, 6, time_in_force=TimeInForce.FOK)

    assert (order.status, order.reject) == (OrderStatus.EXPIRED, Reject.NOT_FILLABLE)
    assert engine.executions == []
    assert engine.levels(SELL, 9) == [(100, 5)]


def test_an_fok_order_does_not_count_on_orders_that_prevention_would_remove(engine):
    engine.limit("me", SELL, 100, 5)
    engine.limit("other", SELL, 100, 5)

    order = engine.limit("me", BUY, 100, 6, time_in_force=TimeInForce.FOK, prevention=SelfTradePrevention.EXPIRE_MAKER)

    assert order.reject is Reject.NOT_FILLABLE
    assert queue(engine, SELL, 100) == ["me", "other"]


def test_a_smaller_size_keeps_the_place_in_the_queue(engine):
    first = engine.limit("first", BUY, 100, 5)
    engine.limit("second", BUY, 100, 5)

    assert engine.amend(first.order_id, price_ticks=100, leaves_lots=2) is Reject.NONE

    assert queue(engine, BUY, 100) == ["first", "second"]
    assert engine.lots_at(BUY, 100) == 7


@pytest.mark.parametrize(("price", "leaves"), [(100, 6), (101, 5)], ids=["larger", "other price"])
def test_a_larger_size_or_another_price_goes_to_the_end_of_the_queue(engine, price, leaves):
    first = engine.limit("first", BUY, 100, 5)
    engine.limit("second", BUY, price, 5)

    engine.amend(first.order_id, price_ticks=price, leaves_lots=leaves)

    assert queue(engine, BUY, price) == ["second", "first"]


def test_an_amend_to_a_crossing_price_trades(engine):
    bid = engine.limit("bid", BUY, 99, 5)
    engine.limit("ask", SELL, 101, 3)

    engine.amend(bid.order_id, price_ticks=101, leaves_lots=5)

    assert [(trade.price_ticks, trade.size_lots, trade.taker_side) for trade in engine.executions] == [(101, 3, BUY)]
    assert engine.levels(BUY, 9) == [(101, 2)]


def test_a_post_only_order_is_not_amended_to_a_crossing_price(engine):
    bid = engine.limit("bid", BUY, 99, 5, is_post_only=True)
    engine.limit("ask", SELL, 101, 3)

    assert engine.amend(bid.order_id, price_ticks=101, leaves_lots=5) is Reject.WOULD_TAKE

    assert (bid.price_ticks, bid.version) == (99, 1)


def test_an_amend_that_expects_an_old_version_is_refused_after_a_fill(engine):
    bid = engine.limit("bid", BUY, 100, 5)
    engine.limit("taker", SELL, 100, 2)

    assert engine.amend(bid.order_id, price_ticks=100, leaves_lots=5, expected_version=1) is Reject.VERSION_CONFLICT

    assert (bid.version, bid.leaves_lots) == (2, 3)


def test_a_replace_whose_new_order_would_take_leaves_only_the_cancel(engine):
    bid = engine.limit("bid", BUY, 99, 5)
    engine.limit("ask", SELL, 101, 3)

    outcome = engine.replace(bid.order_id, price_ticks=101, size_lots=5, is_post_only=True)

    assert (outcome.status, outcome.reject) == (OrderStatus.CANCELED_ONLY, Reject.WOULD_TAKE)
    assert (bid.status, engine.open_orders) == (OrderStatus.CANCELED, 1)


def test_a_replace_that_is_wrong_by_itself_leaves_the_order_unchanged(engine):
    bid = engine.limit("bid", BUY, 99, 5)

    outcome = engine.replace(bid.order_id, price_ticks=100, size_lots=0)

    assert (outcome.status, outcome.reject) == (OrderStatus.UNCHANGED, Reject.SIZE_TOO_SMALL)
    assert bid.status is OrderStatus.OPEN


@pytest.mark.parametrize(
    ("prevention", "taker", "maker", "traded"),
    [
        (SelfTradePrevention.NONE, OrderStatus.FILLED, OrderStatus.FILLED, 10),
        (SelfTradePrevention.EXPIRE_TAKER, OrderStatus.EXPIRED, OrderStatus.OPEN, 0),
        (SelfTradePrevention.EXPIRE_MAKER, OrderStatus.OPEN, OrderStatus.EXPIRED, 5),
        (SelfTradePrevention.EXPIRE_BOTH, OrderStatus.EXPIRED, OrderStatus.EXPIRED, 0),
    ],
    ids=lambda value: value.value if isinstance(value, SelfTradePrevention) else "",
)
def test_self_trade_prevention_ends_what_its_mode_says(engine, prevention, taker, maker, traded):
    own = engine.limit("me", SELL, 100, 5)
    engine.limit("other", SELL, 100, 5)

    order = engine.limit("me", BUY, 100, 10, prevention=prevention)

    assert (order.status, own.status) == (taker, maker)
    assert sum(trade.size_lots for trade in engine.executions) == traded


def test_orders_of_nobody_in_particular_trade_with_each_other():
    engine = MatchingEngine(prevention=SelfTradePrevention.EXPIRE_BOTH)
    engine.limit("", SELL, 100, 5)

    assert engine.limit("", BUY, 100, 5).status is OrderStatus.FILLED


def test_a_client_id_is_refused_while_its_order_rests_and_free_afterwards(engine):
    first = engine.limit("me", BUY, 99, 5, client_id="a")

    assert engine.limit("me", BUY, 98, 5, client_id="a").reject is Reject.DUPLICATE_CLIENT_ID
    assert engine.limit("other", BUY, 98, 5, client_id="a").status is OrderStatus.OPEN
    engine.cancel(first.order_id)
    assert engine.limit("me", BUY, 98, 5, client_id="a").status is OrderStatus.OPEN


def test_at_the_bound_of_open_orders_the_remainder_is_refused_but_trades_stand():
    engine = MatchingEngine(MatchingLimits(max_open_orders_per_owner=1))
    engine.limit("me", BUY, 90, 5)
    engine.limit("other", SELL, 100, 5)

    resting = engine.limit("me", BUY, 91, 5)
    trading = engine.limit("me", BUY, 100, 8)

    assert (resting.status, resting.reject) == (OrderStatus.REJECTED, Reject.TOO_MANY_ORDERS)
    assert (trading.status, trading.filled_lots) == (OrderStatus.EXPIRED, 5)


def test_limits_that_cannot_hold_are_named():
    with pytest.raises(DomainError) as caught:
        MatchingLimits(max_open_orders=0)

    assert caught.value.message == "max_open_orders: expected at least 1, was 0"


def test_a_market_order_ends_when_the_book_is_empty(engine):
    engine.limit("maker", BUY, 100, 5)

    order = engine.market("taker", SELL, 9)

    assert (order.status, order.filled_lots, order.reject) == (OrderStatus.EXPIRED, 5, Reject.NO_LIQUIDITY)

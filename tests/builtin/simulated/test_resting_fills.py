"""When and by how much a resting order fills: one named scenario a rule."""

from __future__ import annotations

import math

import pytest

from mmframe.domain.market import MessageKind, Side
from mmframe.domain.orders import Fill, OrderStatus, Request

BUY, SELL, UNKNOWN = Side.BUY, Side.SELL, Side.UNKNOWN


def test_an_order_joins_the_back_of_the_displayed_queue(rig):
    rig.submit("a", BUY, 9900, 5)

    assert rig.ahead("a") == 10


def test_an_order_that_improves_the_touch_is_first(rig):
    rig.submit("a", BUY, 9901, 5)

    assert rig.ahead("a") == 0


def test_a_trade_at_our_price_takes_the_queue_ahead_first_and_then_us(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.trade(SELL, 9900, 7)
    assert rig.fills == []

    rig.trade(SELL, 9900, 6)
    assert rig.fills == [("a", 9900, 3)]


def test_a_trade_at_our_price_fills_no_more_than_our_size(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.trade(SELL, 9900, 1000)

    assert rig.fills == [("a", 9900, 5)]
    assert rig.last("a").status is OrderStatus.FILLED


def test_a_trade_of_the_other_side_at_our_price_is_not_ours(rig):
    rig.submit("a", BUY, 9901, 5)

    rig.trade(BUY, 9901, 100)

    assert rig.fills == []


def test_an_ask_fills_as_a_bid_does(rig):
    rig.submit("a", SELL, 9902, 5)

    rig.trade(BUY, 9902, 14)
    rig.trade(BUY, 9903, 1)

    assert rig.fills == [("a", 9902, 2), ("a", 9902, 1)]


def test_a_trade_through_our_price_fills_us_whatever_was_ahead(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.trade(SELL, 9899, 50)

    assert rig.fills == [("a", 9900, 5)]


def test_a_trade_through_our_price_fills_no_more_than_its_size_and_leaves_us_first(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.trade(SELL, 9899, 2)
    assert rig.fills == [("a", 9900, 2)]

    rig.trade(SELL, 9900, 1)
    assert rig.fills[1:] == [("a", 9900, 1)]


def test_a_trade_behind_our_price_is_not_ours(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.trade(SELL, 9901, 1000)

    assert rig.fills == []
    assert rig.ahead("a") == 10


def test_orders_at_one_price_share_a_trade_in_order(rig):
    rig.submit("a", BUY, 9900, 3)
    rig.depth({9900: 14})
    rig.submit("b", BUY, 9900, 4)

    rig.trade(SELL, 9900, 18)

    # 10 before a, 3 to a, 4 between them, 1 to b.
    assert rig.fills == [("a", 9900, 3), ("b", 9900, 1)]


def test_one_trade_sweeps_our_levels_best_first_and_is_used_up(rig):
    rig.submit("best", BUY, 9901, 3)
    rig.submit("next", BUY, 9900, 5)

    rig.trade(SELL, 9900, 14)

    # 3 to the better order; of the 11 left 10 meet the queue at 9900.
    assert rig.fills == [("best", 9901, 3), ("next", 9900, 1)]


def test_several_trades_of_one_message_fill_an_order_only_once(rig):
    rig.submit("a", BUY, 9901, 5)

    rig.message(MessageKind.TRADE, [(SELL, 9901, 3), (SELL, 9901, 3), (SELL, 9901, 3)])

    assert rig.fills == [("a", 9901, 3), ("a", 9901, 2)]


def test_cancels_do_not_advance_us(rig):
    rig.submit("a", BUY, 9900, 5)
    rig.depth({9900: 16})

    rig.depth({9900: 11})

    assert rig.ahead("a") == 10


def test_the_queue_ahead_never_exceeds_the_level(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.depth({9900: 4})

    assert rig.ahead("a") == 4


def test_a_level_that_disappears_leaves_us_first_and_who_comes_later_behind_us(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.depth({9900: 0})
    rig.depth({9900: 50})
    rig.trade(SELL, 9900, 2)

    assert rig.fills == [("a", 9900, 2)]


def test_a_trade_and_the_decrease_that_follows_it_count_once(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.trade(SELL, 9900, 6)
    rig.depth({9900: 4})

    assert rig.ahead("a") == 4
    rig.trade(SELL, 9900, 4)
    assert rig.fills == []


def test_a_trade_print_that_comes_after_its_decrease_counts_once(rig):
    rig.submit("a", BUY, 9900, 5)
    traded_ns = rig.now_ns + 500_000

    rig.depth({9900: 4})  # shows the trade of 6 already
    rig.trade(SELL, 9900, 6, exchange_ns=traded_ns)

    assert rig.ahead("a") == 4
    assert rig.fills == []


def test_a_late_print_fills_with_what_the_decrease_did_not_show(rig):
    rig.submit("a", BUY, 9900, 5)
    traded_ns = rig.now_ns + 500_000

    rig.depth({9900: 3})  # 10 and 2 of ours traded, and 3 joined behind: we were advanced by 7
    rig.trade(SELL, 9900, 12, exchange_ns=traded_ns)

    assert rig.fills == [("a", 9900, 2)]


@pytest.mark.parametrize("ticks", [9900, 9890], ids=["at our price", "through our price"])
def test_a_print_older_than_the_depth_that_we_joined_is_not_ours(rig, ticks):
    before_ns = rig.now_ns - 1
    rig.submit("a", BUY, 9900, 5)

    rig.trade(SELL, ticks, 1000, exchange_ns=before_ns)

    assert rig.fills == []
    assert rig.ahead("a") == 10


def test_an_off_book_trade_fills_nothing(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.message(MessageKind.OFF_BOOK_TRADE, [(SELL, 9000, 1000)])

    assert rig.fills == []
    assert rig.ahead("a") == 10


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        pytest.param(9899, [("bid", 9901, 3)], id="through our bid"),
        pytest.param(9901, [("bid", 9901, 3)], id="at our bid"),
        pytest.param(9902, [], id="at an ask behind a queue"),
        pytest.param(9903, [("ask", 9902, 3)], id="through our ask"),
    ],
)
def test_a_trade_with_unknown_taker_goes_by_its_price(rig, ticks, expected):
    rig.submit("bid", BUY, 9901, 3)
    rig.submit("ask", SELL, 9902, 3)

    rig.trade(UNKNOWN, ticks, 4)

    assert rig.fills == expected


def test_the_opposite_side_reaching_our_price_fills_us_as_maker(rig):
    rig.submit("a", BUY, 9901, 5)

    rig.depth(asks={9901: 3})
    assert rig.fills == [("a", 9901, 3)]

    rig.depth(asks={9900: 20})
    assert rig.fills == [("a", 9901, 3), ("a", 9901, 2)]
    assert all(event.is_maker for event in rig.events if isinstance(event, Fill))


def test_the_same_displayed_lots_cross_us_only_once(rig):
    rig.submit("a", BUY, 9901, 9)

    rig.depth(asks={9901: 3})
    rig.depth(asks={9905: 1})
    rig.depth(asks={9901: 3})
    assert rig.fills == [("a", 9901, 3)]

    rig.depth(asks={9901: 5})
    assert rig.fills == [("a", 9901, 3), ("a", 9901, 2)]


def test_without_fill_on_cross_only_trades_fill(make_rig):
    rig = make_rig(fill_on_cross=False)
    rig.snapshot({9900: 10}, {9902: 10})
    rig.submit("a", BUY, 9901, 5)

    rig.depth(asks={9895: 100})
    assert rig.fills == []

    rig.trade(SELL, 9895, 1)
    assert rig.fills == [("a", 9901, 1)]


def test_nothing_fills_in_a_gap_and_after_it_we_are_at_the_back(rig):
    rig.submit("a", BUY, 9900, 5)
    rig.trade(SELL, 9900, 9)
    assert rig.ahead("a") == 1

    rig.gap()
    rig.trade(SELL, 9890, 100)
    rig.depth(asks={9890: 100})
    assert rig.fills == []

    rig.snapshot({9900: 30}, {9902: 12})
    assert rig.ahead("a") == 30


def test_a_snapshot_after_a_gap_that_is_through_our_price_fills_us(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.gap()
    rig.snapshot({9890: 30}, {9895: 12})

    assert rig.fills == [("a", 9900, 5)]


def test_an_order_sent_in_a_gap_rests_behind_the_next_snapshot(rig):
    rig.gap()
    rig.submit("a", BUY, 9900, 5)
    assert rig.last("a").status is OrderStatus.OPEN

    rig.snapshot({9900: 7}, {9902: 12})
    assert rig.ahead("a") == 7


def test_a_snapshot_without_a_gap_clips_the_queue(rig):
    rig.submit("a", BUY, 9900, 5)

    rig.snapshot({9900: 6}, {9902: 12})
    rig.snapshot({9900: 20}, {9902: 12})

    assert rig.ahead("a") == 6


def test_a_price_beyond_the_recorded_depth_is_not_taken_for_empty(make_rig):
    rig = make_rig()
    rig.snapshot({9900: 10, 9899: 10}, {9902: 12})
    rig.submit("deep", BUY, 9890, 5)
    assert rig.ahead("deep") == math.inf

    # The market falls; a recording of two levels now shows that there were 40 lots all along.
    rig.snapshot({9891: 10, 9890: 40}, {9893: 12})

    assert rig.ahead("deep") == 40


def test_a_shallow_snapshot_that_no_longer_shows_our_price_keeps_our_place(rig):
    rig.submit("a", BUY, 9899, 5)

    rig.snapshot({9910: 1, 9909: 1}, {9912: 12})
    assert rig.ahead("a") == 10

    rig.snapshot({9900: 1, 9899: 4}, {9912: 12})
    assert rig.ahead("a") == 4


def test_fills_carry_the_times_of_the_message_that_made_them(rig):
    rig.submit("a", BUY, 9901, 5)
    exchange_ns = rig.now_ns + 123

    rig.trade(SELL, 9901, 1, exchange_ns=exchange_ns)

    fill = next(event for event in rig.events if isinstance(event, Fill))
    assert (fill.exchange_ns, fill.receive_ns) == (exchange_ns, rig.now_ns)


def test_each_fill_is_followed_by_the_orders_state_and_has_its_own_trade_id(rig):
    rig.submit("a", BUY, 9901, 3)

    rig.trade(SELL, 9901, 1)
    rig.trade(SELL, 9901, 2)

    news = [
        (event.venue_trade_id, event.size_lots) if isinstance(event, Fill) else (event.status, event.filled_lots)
        for event in rig.events[1:]
    ]
    assert news == [("a-1", 1), (OrderStatus.OPEN, 1), ("a-2", 2), (OrderStatus.FILLED, 3)]
    assert rig.last("a").request is Request.STREAM


def test_markets_are_apart(make_rig):
    from mmframe.testing import make_instrument

    rig = make_rig(instruments=(make_instrument("BTC/USDT"), make_instrument("ETH/USDT")))
    for market in (0, 1):
        rig.snapshot({9900: 10}, {9902: 10}, market=market)
        rig.submit(f"order-{market}", BUY, 9901, 5, market=market)

    rig.trade(SELL, 9900, 5, market=1)

    assert rig.fills == [("order-1", 9901, 5)]

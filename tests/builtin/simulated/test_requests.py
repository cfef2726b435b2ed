"""What the simulated venue answers, and when."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.builtin.simulated import VENUES
from mmframe.builtin.simulated.options import SimulatedOptions, assumptions
from mmframe.builtin.simulated.venue import REMEMBERED_ORDERS_MAX
from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    Amend,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderStatus,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
)
from mmframe.errors import DomainError
from mmframe.ports import MarketObserver, Venue
from mmframe.testing import build_component, make_instrument, make_options

BUY, SELL = Side.BUY, Side.SELL
MS = 1_000_000


def test_it_is_a_venue_that_observes_the_market(rig):
    assert isinstance(rig.venue, Venue)
    assert isinstance(rig.venue, MarketObserver)
    assert rig.venue.capabilities.is_virtual


def test_it_takes_only_what_the_gate_approved(rig):
    with pytest.raises(TypeError) as caught:
        rig.venue.execute(Submit(0, "a", BUY, 9900, 1), 0)

    assert str(caught.value) == "execute: expected an Approved action, was Submit"


class TestLatency:
    def test_an_order_is_answered_after_order_and_feed_latency(self, make_rig):
        rig = make_rig(order_latency_ms=20.0, feed_latency_ms=10.0)
        rig.snapshot({9900: 10}, {9902: 10})
        sent_ns = rig.now_ns

        rig.submit("a", BUY, 9900, 5)
        assert rig.events == []
        assert rig.venue.next_event_ns == sent_ns + 30 * MS

        rig.advance_to(sent_ns + 30 * MS)
        update = rig.last("a")
        assert (update.status, update.receive_ns) == (OrderStatus.OPEN, sent_ns + 30 * MS)
        assert rig.venue.next_event_ns == NEVER_NS

    def test_a_trade_before_the_arrival_cannot_fill_the_order(self, make_rig):
        rig = make_rig(order_latency_ms=20.0, feed_latency_ms=10.0)
        rig.snapshot({9900: 10}, {9902: 10})
        rig.submit("a", BUY, 9901, 5)

        rig.trade(SELL, 9901, 5, after_ms=29.999)
        assert rig.fills == []

        rig.trade(SELL, 9901, 5, after_ms=0.001)
        assert rig.fills == [("a", 9901, 5)]

    def test_the_queue_is_the_one_at_the_arrival(self, make_rig):
        rig = make_rig(order_latency_ms=20.0, feed_latency_ms=10.0)
        rig.snapshot({9900: 10}, {9902: 10})
        rig.submit("a", BUY, 9900, 5)

        rig.depth({9900: 25}, after_ms=15)
        rig.advance_to(rig.now_ns + 15 * MS)

        assert rig.ahead("a") == 25

    def test_an_order_can_fill_while_its_cancel_is_under_way(self, make_rig):
        rig = make_rig(order_latency_ms=20.0, feed_latency_ms=10.0)
        rig.snapshot({9900: 10}, {9902: 10})
        rig.submit("a", BUY, 9901, 5)
        rig.advance_to(rig.now_ns + 30 * MS)

        rig.cancel("a")
        rig.trade(SELL, 9901, 2, after_ms=10)
        rig.advance_to(rig.now_ns + 20 * MS)

        assert rig.fills == [("a", 9901, 2)]
        assert (rig.last("a").status, rig.last("a").filled_lots) == (OrderStatus.CANCELED, 2)

    def test_jitter_is_seeded_and_requests_never_overtake(self, make_rig):
        def arrivals(seed):
            rig = make_rig(order_latency_ms=1.0, latency_jitter_ms=50.0, seed=seed)
            rig.snapshot({9900: 10}, {9902: 10})
            for number in range(20):
                rig.submit(f"o{number}", BUY, 9900, 1)
                rig.now_ns += 2 * MS
            rig.advance_to(rig.now_ns + 100 * MS)
            return [(event.client_id, event.receive_ns) for event in rig.events]

        first = arrivals(7)

        assert first == arrivals(7)
        assert first != arrivals(8)
        assert [client_id for client_id, _ in first] == [f"o{number}" for number in range(20)]
        assert [ns for _, ns in first] == sorted(ns for _, ns in first)


class TestSubmit:
    def test_a_post_only_order_that_would_take_is_rejected(self, rig):
        rig.submit("a", BUY, 9902, 5)

        update = rig.last("a")
        assert (update.status, update.request) == (OrderStatus.REJECTED, Request.SUBMIT)
        assert update.reason == "post-only order would take"

    @pytest.mark.parametrize(
        ("ticks", "lots", "reason"),
        [
            pytest.param(9900, 1, "size is 1 lots, expected 2 to None", id="too small"),
            pytest.param(100, 2, "value is below 5 USDT", id="too little value"),
        ],
    )
    def test_an_order_that_the_instrument_does_not_allow_is_rejected(self, make_rig, ticks, lots, reason):
        grid = make_instrument(tick_size="0.01", lot_size="0.1", min_size_lots=2, min_notional_quote="5")
        rig = make_rig(instruments=(grid,))

        rig.submit("a", BUY, ticks, lots)

        assert (rig.last("a").status, rig.last("a").reason) == (OrderStatus.REJECTED, reason)

    def test_a_client_id_counts_once(self, rig):
        rig.submit("a", BUY, 9900, 5)
        rig.cancel("a")

        rig.submit("a", BUY, 9900, 5)

        assert (rig.last("a").status, rig.last("a").reason) == (OrderStatus.REJECTED, "client id was used before")

    def test_an_order_that_would_trade_with_our_own_is_rejected(self, rig):
        rig.submit("ask", SELL, 9901, 5)

        rig.submit("bid", BUY, 9901, 5)

        assert (rig.last("bid").status, rig.last("bid").reason) == (
            OrderStatus.REJECTED,
            "order would trade with another order of ours",
        )

    def test_a_taking_order_walks_the_levels_and_rests_with_the_remainder(self, rig):
        rig.take("a", BUY, 9902, 20, TimeInForce.GTC)

        assert rig.fills == [("a", 9902, 12)]
        assert (rig.last("a").status, rig.last("a").filled_lots) == (OrderStatus.OPEN, 12)
        rig.trade(SELL, 9902, 3)
        assert rig.fills[1:] == [("a", 9902, 3)]

    def test_an_immediate_order_takes_what_is_there_and_expires(self, rig):
        rig.take("a", BUY, 9903, 30, TimeInForce.IOC)

        assert rig.fills == [("a", 9902, 12), ("a", 9903, 12)]
        assert (rig.last("a").status, rig.last("a").filled_lots) == (OrderStatus.EXPIRED, 24)
        assert [event.is_maker for event in rig.events if isinstance(event, Fill)] == [False, False]

    def test_an_immediate_order_with_nothing_to_take_expires_at_once(self, rig):
        rig.take("a", BUY, 9901, 5, TimeInForce.IOC)

        assert [(each.status, each.request) for each in rig.updates("a")] == [(OrderStatus.EXPIRED, Request.SUBMIT)]

    @pytest.mark.parametrize(("lots", "filled"), [(24, 24), (25, 0)], ids=["enough", "one lot short"])
    def test_a_fill_or_kill_order_takes_all_or_nothing(self, rig, lots, filled):
        rig.take("a", SELL, 9000, lots, TimeInForce.FOK)
        rig.take("b", BUY, 9903, lots, TimeInForce.FOK)

        assert sum(size for client_id, _, size in rig.fills if client_id == "b") == filled

    def test_the_same_displayed_lots_cannot_be_taken_twice(self, rig):
        rig.take("a", BUY, 9902, 10, TimeInForce.IOC)
        rig.take("b", BUY, 9902, 10, TimeInForce.IOC)
        assert rig.fills == [("a", 9902, 10), ("b", 9902, 2)]

        rig.depth(asks={9902: 9})  # what is left of what we took
        rig.take("c", BUY, 9902, 10, TimeInForce.IOC)
        rig.depth(asks={9902: 14})  # five more joined
        rig.take("d", BUY, 9902, 10, TimeInForce.FOK)
        rig.take("e", BUY, 9902, 10, TimeInForce.IOC)

        assert rig.fills[2:] == [("e", 9902, 5)]

    def test_without_a_book_nothing_can_be_taken(self, make_rig):
        rig = make_rig()

        rig.take("a", BUY, 9902, 5, TimeInForce.IOC)

        assert rig.last("a").status is OrderStatus.EXPIRED


class TestAmend:
    def test_a_smaller_order_keeps_its_place(self, rig):
        rig.submit("a", BUY, 9900, 5)
        rig.depth({9900: 40})

        rig.send(Amend(0, "a", 9900, 2, 1))

        update = rig.last("a")
        assert (update.status, update.request, update.size_lots, update.version) == (
            OrderStatus.OPEN,
            Request.AMEND,
            2,
            2,
        )
        assert rig.ahead("a") == 10

    @pytest.mark.parametrize(("ticks", "lots", "ahead"), [(9900, 6, 40), (9899, 5, 10)], ids=["larger", "moved"])
    def test_a_larger_or_moved_order_goes_to_the_back(self, rig, ticks, lots, ahead):
        rig.submit("a", BUY, 9900, 5)
        rig.depth({9900: 40})

        rig.send(Amend(0, "a", ticks, lots, 1))

        assert rig.ahead("a") == ahead
        assert (rig.last("a").price_ticks, rig.last("a").size_lots) == (ticks, lots)

    def test_the_filled_part_stays_filled(self, rig):
        rig.submit("a", BUY, 9901, 5)
        rig.trade(SELL, 9901, 2)

        rig.send(Amend(0, "a", 9901, 1, 2))
        rig.trade(SELL, 9901, 9)

        assert rig.fills == [("a", 9901, 2), ("a", 9901, 1)]
        assert (rig.last("a").status, rig.last("a").size_lots) == (OrderStatus.FILLED, 3)

    def test_a_stale_version_changes_nothing_and_says_how_the_order_stands(self, rig):
        rig.submit("a", BUY, 9901, 5)
        rig.trade(SELL, 9901, 2)

        rig.send(Amend(0, "a", 9901, 4, 1))

        update = rig.last("a")
        assert (update.status, update.reason) == (OrderStatus.UNCHANGED, "version conflict: expected 1, was 2")
        assert (update.size_lots, update.filled_lots, update.version) == (5, 2, 2)

    def test_a_post_only_order_cannot_be_moved_to_take(self, rig):
        rig.submit("a", BUY, 9900, 5)

        rig.send(Amend(0, "a", 9902, 5, 1))

        assert (rig.last("a").status, rig.last("a").reason) == (OrderStatus.UNCHANGED, "post-only order would take")
        assert rig.ahead("a") == 10

    def test_an_absent_order_cannot_be_amended(self, rig):
        rig.send(Amend(0, "nobody", 9900, 5, 1))

        assert (rig.last("nobody").status, rig.last("nobody").reason) == (
            OrderStatus.UNCHANGED,
            "no order has this client id",
        )


class TestReplace:
    def test_the_new_order_takes_the_old_ones_place_in_the_list_not_in_the_queue(self, rig):
        rig.submit("a", BUY, 9900, 5)
        rig.depth({9900: 40})

        rig.send(Replace(0, "a", "b", 9900, 5))

        assert (rig.last("a").status, rig.last("a").new_client_id) == (OrderStatus.REPLACED, "b")
        assert (rig.last("b").status, rig.last("b").version) == (OrderStatus.OPEN, 1)
        assert rig.ahead("b") == 40

    def test_a_refused_new_order_leaves_only_the_cancel(self, rig):
        rig.submit("a", BUY, 9900, 5)

        rig.send(Replace(0, "a", "b", 9902, 5))

        update = rig.last("a")
        assert (update.status, update.reason) == (OrderStatus.CANCELED_ONLY, "post-only order would take")
        rig.trade(SELL, 9000, 100)
        assert rig.fills == []

    def test_an_ended_order_is_not_replaced(self, rig):
        rig.submit("a", BUY, 9901, 5)
        rig.trade(SELL, 9901, 5)

        rig.send(Replace(0, "a", "b", 9900, 5))

        assert (rig.last("a").status, rig.last("a").reason) == (OrderStatus.UNCHANGED, "order is filled")
        assert rig.updates("b") == []


class TestCancelAndQuery:
    def test_a_cancelled_order_fills_no_more(self, rig):
        rig.submit("a", BUY, 9901, 5)

        rig.cancel("a")
        rig.trade(SELL, 9000, 100)

        assert (rig.last("a").status, rig.last("a").request) == (OrderStatus.CANCELED, Request.CANCEL)
        assert rig.fills == []

    def test_cancelling_an_ended_order_changes_nothing(self, rig):
        rig.submit("a", BUY, 9901, 5)
        rig.trade(SELL, 9901, 5)

        rig.cancel("a")

        assert (rig.last("a").status, rig.last("a").reason) == (OrderStatus.UNCHANGED, "order is filled")

    def test_cancel_all_reaches_every_market(self, make_rig):
        rig = make_rig(instruments=(make_instrument("BTC/USDT"), make_instrument("ETH/USDT")))
        for market, client_id in ((0, "a"), (0, "b"), (1, "c")):
            rig.submit(client_id, BUY, 9900, 5, market=market)

        rig.send(CancelAll(ALL_MARKETS, "test"))

        assert [rig.last(client_id).status for client_id in "abc"] == [OrderStatus.CANCELED] * 3

    def test_a_query_tells_how_an_order_stands_or_ended(self, rig):
        rig.submit("open", BUY, 9900, 5)
        rig.submit("done", BUY, 9901, 5)
        rig.trade(SELL, 9901, 5)

        for client_id in ("open", "done", "nobody"):
            rig.send(QueryOrder(0, client_id))

        assert [(rig.last(each).status, rig.last(each).request) for each in ("open", "done", "nobody")] == [
            (OrderStatus.OPEN, Request.QUERY),
            (OrderStatus.FILLED, Request.QUERY),
            (OrderStatus.NOT_FOUND, Request.QUERY),
        ]

    def test_the_list_of_open_orders_is_whole(self, rig):
        rig.submit("a", BUY, 9901, 5)
        rig.submit("b", SELL, 9903, 5)
        rig.trade(SELL, 9901, 2)

        rig.send(QueryOpenOrders(0))

        report = rig.events[-1]
        assert isinstance(report, OpenOrdersReport)
        assert [(each.client_id, each.size_lots, each.filled_lots) for each in report.orders] == [
            ("a", 5, 2),
            ("b", 5, 0),
        ]

    def test_ended_orders_are_remembered_up_to_a_bound(self, rig):
        ended = rig.venue._ended[0]
        for number in range(REMEMBERED_ORDERS_MAX + 5):
            rig.venue._end(0, rig.venue._new_order(f"o{number}", BUY, 9900, 1), OrderStatus.CANCELED)

        assert len(ended) == REMEMBERED_ORDERS_MAX
        assert next(iter(ended)) == "o5"


class TestFees:
    @staticmethod
    def fills(make_rig, **options):
        rig = make_rig(**options)
        rig.snapshot({9900: 10}, {9902: 12})
        rig.submit("maker", BUY, 9901, 5)
        rig.trade(SELL, 9901, 5)
        rig.take("taker", BUY, 9902, 2, TimeInForce.IOC)
        return [(each.fee, each.fee_asset) for each in rig.events if isinstance(each, Fill)]

    def test_they_are_exact_and_in_the_quote_asset_by_default(self, make_rig):
        fees = self.fills(make_rig, maker_fee_bps=Decimal("-0.5"), taker_fee_bps=Decimal(10))

        # 0.005 x 99.01 x -0.5 bps and 0.002 x 99.02 x 10 bps
        assert fees == [(Decimal("-0.00002475250"), "USDT"), (Decimal("0.00019804"), "USDT")]

    def test_in_the_base_asset_they_are_a_share_of_the_size(self, make_rig):
        fees = self.fills(make_rig, maker_fee_bps=Decimal(10), taker_fee_bps=Decimal(20), fee_asset="base")

        assert fees == [(Decimal("0.000005"), "BTC"), (Decimal("0.000004"), "BTC")]

    def test_another_asset_is_valued_at_its_price(self, make_rig):
        fees = self.fills(make_rig, maker_fee_bps=Decimal(10), fee_asset="BNB", fee_asset_price_quote=Decimal(600))

        # 0.49505 quote units x 10 bps / 600
        assert fees[0] == (Decimal("8.25083E-7"), "BNB")

    def test_another_asset_without_a_price_is_an_error(self):
        options = make_options(VENUES[0], {"fee_asset": "BNB"})

        with pytest.raises(DomainError) as caught:
            build_component(VENUES[0], options)

        assert caught.value.message == "fee_asset: 'BNB' is neither base nor quote of BTC/USDT and has no price"
        assert caught.value.hint == 'say fee_asset_price_quote (in USDT per BNB), or fee_asset = "quote"'


class TestAssumptions:
    def test_defaults_are_said_in_full(self):
        assert assumptions(SimulatedOptions()) == (
            "Queue: an order joins at the back; only trades advance it, and never is more ahead than the level holds.",
            "A trade at our price takes the queue ahead of us, then us; one through our price takes us at once.",
            "A trade never fills more of our orders than its size.",
            "When the opposite side of the book reaches our price we fill as maker, by at most the lots that it shows.",
            "Latency: a request meets the market, and is answered, 30 ms after it is sent (order 20 ms + feed 10 ms).",
            "Fees: maker 10 bps, taker 10 bps, in the quote asset.",
            "Our orders do not change the recorded market, except that we cannot take the same displayed lots twice.",
            "Depth is as fine as the recording: arrivals and cancels inside one depth update are not seen.",
            "While the recording has a gap nothing fills, and after it our orders stand at the back of their queues.",
        )

    def test_they_follow_the_options(self):
        said = assumptions(
            SimulatedOptions(queue="probability", fill_on_cross=False, latency_jitter_ms=5.0, queue_function="log")
        )

        assert "f(x) = log(1 + x)" in said[0]
        assert said[3] == "Only trade prints fill resting orders, even when the book moves through them."
        assert said[4].endswith("plus up to 5 ms at random.")

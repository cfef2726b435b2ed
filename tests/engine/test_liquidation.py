"""Closing positions: quotes go first, the worst market goes first, never too much, whatever the venue answers."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.kinds import Scope
from mmframe.domain.liquidation import CloseTo, LiquidationTerms
from mmframe.domain.market import Side
from mmframe.domain.orders import (
    ALL_MARKETS,
    BalanceUpdate,
    Cancel,
    Fill,
    OrderStatus,
    OrderUpdate,
    QueryOrder,
    Request,
    Submit,
    TimeInForce,
    VenueCapabilities,
    action_bytes,
)
from mmframe.domain.records import Command, GateRejection, OperatorCommand
from mmframe.domain.views import QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.engine import Engine
from mmframe.engine.gate import Gate, MarketGate
from mmframe.engine.liquidation import aim_lots, cap_ticks, slice_lots, smallest_lots, worst_first
from mmframe.engine.orders import OrderTracker
from mmframe.engine.portfolio import MarketLedger
from mmframe.engine.settings import (
    EngineSettings,
    GateLimits,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
    NamedRiskControl,
)
from mmframe.engine.state import EngineState, RestoredFill, RestoredRun
from mmframe.errors import DomainError
from mmframe.testing import make_batch, make_instrument, snapshot
from mmframe.testing.reference import ReferenceBook

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
TERMS = LiquidationTerms(interval_ns=5 * SECOND_NS, price_cap_bps=150.0)
GRID = make_instrument(tick_size="1", lot_size="1")
OTHER_GRID = make_instrument("ETH/USDT", tick_size="1", lot_size="1")


class Switch:
    """A risk control that asks for a liquidation while it is on, and otherwise lets everything pass."""

    def __init__(self):
        self.level = 0

    def assess(self, view, inventory, advice, proposal):
        if self.level:
            return RiskVerdict(self.level, proposal.bid, 0.0, proposal.ask, 0.0, 1280)
        return RiskVerdict(0, proposal.bid, proposal.bid_size, proposal.ask, proposal.ask_size, 0)


class Quotes:
    """Quotes 10 a side, two ticks from the mid; or nothing."""

    def __init__(self):
        self.size = 10.0

    def propose(self, view, inventory, advice, proposal):
        reason = 0 if self.size else int(Reason.NOT_PROPOSED)
        return QuoteProposal(view.mid - 2, self.size, view.mid + 2, self.size, reason, reason)


class Desk:
    """An engine over one or more markets whose orders the test answers by hand."""

    def __init__(self, grids=(GRID,), *, terms=TERMS, capabilities=None, targets=None, **limits):
        self.grids = grids
        self.switches = [Switch() for _ in grids]
        self.quotes = [Quotes() for _ in grids]
        markets = tuple(
            MarketSettings(grid, 10, GateLimits(**limits), target_position_lots=(targets or {}).get(index, 0))
            for index, grid in enumerate(grids)
        )
        pipelines = [
            MarketPipeline(
                ReferenceBook(),
                (),
                (NamedOptimizer("quotes", quotes),),
                (
                    NamedRiskControl(
                        "emergency", switch, Scope.STRATEGY, liquidation=terms, reasons={1280: "too much was lost"}
                    ),
                ),
            )
            for switch, quotes in zip(self.switches, self.quotes, strict=True)
        ]
        self.settings = EngineSettings("demo", "0", markets)
        self.capabilities = capabilities or VenueCapabilities(is_virtual=True)
        self.engine = Engine(self.settings, pipelines, self.capabilities)
        self.now_ns = START_NS
        self.trades = 0
        self.limits = []

    def book(self, market=0, bid=99, ask=101, lots=500):
        self.engine.on_market(
            make_batch(snapshot(bids=[(bid, lots)], asks=[(ask, lots)]), start_ns=self.now_ns, market=market), 0
        )
        return self.decide()

    def decide(self):
        actions = [item.action for item in self.engine.decide(self.now_ns)]
        self.limits.extend(self.engine.take_limits())
        return actions

    def after(self, seconds):
        self.now_ns += int(seconds * SECOND_NS)
        return self.decide()

    def hold(self, lots, *, market=0, price=100):
        """Take a position that was filled before."""
        side = Side.BUY if lots > 0 else Side.SELL
        self.fill(f"before-{self.trades}", side, price, abs(lots), market=market)

    def fill(self, client_id, side, price, lots, *, market=0):
        self.trades += 1
        trade_id = f"t-{self.trades}"
        self.engine.handle(
            Fill(market, client_id, trade_id, side, price, lots, False, 0, "USDT", self.now_ns, self.now_ns)
        )

    def tell(self, order, status, request=Request.STREAM, **fields):
        self.engine.handle(
            OrderUpdate(order.market, order.client_id, status, request, self.now_ns, self.now_ns, **fields)
        )

    def end(self, order, *, filled=None):
        """Answer an immediate order: fill `filled` lots of it, expire the rest."""
        lots = order.size_lots if filled is None else filled
        self.tell(order, OrderStatus.OPEN, Request.SUBMIT)
        if lots:
            self.fill(order.client_id, order.side, order.price_ticks, lots, market=order.market)
        status = OrderStatus.FILLED if lots == order.size_lots else OrderStatus.EXPIRED
        self.tell(order, status, filled_lots=lots)

    def pull(self, actions):
        """Confirm cancels."""
        for action in actions:
            if isinstance(action, Cancel):
                self.tell(action, OrderStatus.CANCELED, Request.CANCEL)

    def quote(self):
        """Show every book and let the quotes rest."""
        for market in range(len(self.grids)):
            for action in self.book(market):
                self.tell(action, OrderStatus.OPEN, Request.SUBMIT)

    def command(self, command, market=ALL_MARKETS):
        self.engine.handle(OperatorCommand(command, self.now_ns, market))
        return self.decide()

    def position(self, market=0):
        return self.engine._markets[market].ledger.position_lots

    def told(self):
        return [record.detail for record in self.limits if record.stage.startswith("liquidation")]


def slices(actions):
    return [action for action in actions if isinstance(action, Submit) and action.is_reduce_only]


# One slice: size, price, order -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "to_close", "smallest", "largest", "expected"),
    [
        (30, 30, 1, None, 3),
        (31, 31, 1, None, 4),
        (30, 2, 1, None, 2),
        (30, 30, 5, None, 5),
        (30, 7, 5, None, 7),
        (30, 30, 1, 2, 2),
        (30, 7, 5, 6, 5),
        (30, 4, 5, None, 0),
        (30, 30, 5, 4, 0),
    ],
    ids=[
        "a tenth",
        "rounded up",
        "never more than there is",
        "at least the smallest",
        "takes a rest that could not be placed",
        "at most the largest",
        "the largest does not let the rest go with it",
        "dust",
        "the largest is below the smallest",
    ],
)
def test_the_size_of_a_slice(start, to_close, smallest, largest, expected):
    assert slice_lots(TERMS, start_lots=start, to_close=to_close, smallest=smallest, largest=largest) == expected


def test_the_price_of_a_slice_is_rounded_inward():
    # 50 bps of 96.9 is 0.4845: a seller may go down to 96.4155, a buyer up to 97.3845.
    assert cap_ticks(Side.SELL, 2 * 9_690, 50.0) == 9_642
    assert cap_ticks(Side.BUY, 2 * 9_690, 50.0) == 9_738


@settings(deadline=None)
@given(mid=st.integers(2, 10**9), cap_bps=st.floats(0.01, 5_000.0), side=st.sampled_from([Side.BUY, Side.SELL]))
def test_the_cap_always_holds_and_is_used_to_the_tick(mid, cap_bps, side):
    price = cap_ticks(side, mid, cap_bps)
    sign = 1 if side == Side.BUY else -1

    # Signed distances from the mid, outward: at or within the cap, and one tick further is not; floats apart.
    assert (2 * price - mid) * sign * 10_000 <= cap_bps * mid
    assert (2 * (price + sign) - mid) * sign * 10_000 > cap_bps * mid - 0.01


def test_the_smallest_order_counts_the_smallest_value():
    grid = make_instrument(tick_size="0.01", lot_size="0.001", min_size_lots=2, min_notional_quote="5")

    assert smallest_lots(grid, 10_000) == 50
    assert smallest_lots(grid, 1_000_000) == 2


@pytest.mark.parametrize(
    ("position", "target", "expected"), [(5, 2, 2), (5, 9, 5), (5, -2, 0), (-5, -2, -2), (-5, 2, 0), (0, 3, 0)]
)
def test_a_target_is_approached_without_growing_or_crossing_zero(position, target, expected):
    assert aim_lots(position, target, CloseTo.TARGET) == expected
    assert aim_lots(position, target, CloseTo.FLAT) == 0


def test_the_worst_goes_first_then_the_larger_then_the_first_in_the_file():
    assert worst_first([(-1.0, 9.0, 0), (-5.0, 1.0, 1), (-1.0, 10.0, 2), (-1.0, 9.0, 3)]) == [1, 2, 0, 3]


@pytest.mark.parametrize(
    ("field", "value"),
    [("slice_share", 0.0), ("slice_share", 1.1), ("interval_ns", 0), ("price_cap_bps", 0.0), ("max_duration_ns", 0)],
)
def test_terms_that_cannot_be_worked_with_are_refused_by_name(field, value):
    with pytest.raises(DomainError, match=field):
        LiquidationTerms(**{field: value})


# The lane through the gate ------------------------------------------------------------------------------------------


def test_a_plain_order_is_encoded_as_it_was_before_there_were_reduce_only_ones():
    order = Submit(0, "mm-demo-0-1", Side.BUY, 99, 10)

    assert action_bytes(order) == (
        b'{"type":"submit","market":0,"client_id":"mm-demo-0-1","side":0,"price_ticks":99,"size_lots":10,'
        b'"time_in_force":0,"is_post_only":true}'
    )
    assert action_bytes(msgspec.structs.replace(order, is_reduce_only=True)).endswith(b'"is_reduce_only":true}')
    assert msgspec.json.decode(action_bytes(order), type=Submit) == order


class Lane:
    """A gate with a position, whose lane is open."""

    def __init__(self, position, *, mid=100, cap_bps=100.0, **limits):
        self.tracker = OrderTracker(0, acknowledge_timeout_ns=5_000, query_interval_ns=1_000)
        self.ledger = MarketLedger(GRID)
        self.ledger.position_lots = position
        market_settings = MarketSettings(GRID, 10, GateLimits(**{"max_orders_per_second": 1000, **limits}))
        self.market = MarketGate(market_settings, self.tracker, self.ledger)
        self.market.view.is_tradable = True
        self.market.view.mid_half_ticks = 2 * mid
        self.market.view.close_cap_bps = cap_bps
        self.gate = Gate((self.market,), max_orders_per_second=limits.get("max_orders_per_second", 1000))
        self.count = 0

    def order(self, side, lots, ticks=100, **fields):
        self.count += 1
        values = {"time_in_force": TimeInForce.IOC, "is_post_only": False, "is_reduce_only": True, **fields}
        return Submit(0, f"c-{self.count}", side, ticks, lots, **values)

    def refused(self, order, now_ns=0):
        result = self.gate.check(order, now_ns)
        return result.limit if isinstance(result, GateRejection) else None


def test_the_lane_lets_pass_what_reduces_also_during_a_halt():
    lane = Lane(10)
    lane.gate.halt_reason = "daily loss"

    assert lane.refused(lane.order(Side.SELL, 10)) is None


@pytest.mark.parametrize(
    ("position", "side", "lots", "ticks", "fields", "expected"),
    [
        (10, Side.SELL, 11, 100, {}, "reduce_only"),
        (10, Side.BUY, 1, 100, {}, "reduce_only"),
        (-10, Side.SELL, 1, 100, {}, "reduce_only"),
        (0, Side.SELL, 1, 100, {}, "reduce_only"),
        (10, Side.SELL, 1, 98, {}, "price_cap_bps"),
        (10, Side.SELL, 1, 99, {}, None),
        (-10, Side.BUY, 1, 102, {}, "price_cap_bps"),
        (10, Side.SELL, 1, 100, {"is_post_only": True}, "reduce_only"),
        (10, Side.SELL, 1, 100, {"time_in_force": TimeInForce.GTC}, "reduce_only"),
        (10, Side.SELL, 0, 100, {}, "order"),
    ],
)
def test_the_lane_refuses_by_name(position, side, lots, ticks, fields, expected):
    lane = Lane(position)

    assert lane.refused(lane.order(side, lots, ticks, **fields)) == expected


def test_the_lane_is_shut_unless_a_position_is_being_closed_and_once_it_is_killed():
    lane = Lane(10)
    lane.market.view.close_cap_bps = None
    assert lane.refused(lane.order(Side.SELL, 1)) == "reduce_only"

    lane.market.view.close_cap_bps = 100.0
    lane.market.view.is_tradable = False
    assert lane.refused(lane.order(Side.SELL, 1)) == "book"

    lane.market.view.is_tradable = True
    lane.gate.is_killed = True
    assert lane.refused(lane.order(Side.SELL, 1)) == "halted"


def test_the_lane_keeps_to_the_order_rate_and_the_order_size():
    lane = Lane(100, max_orders_per_second=1, max_order_lots=5)

    assert lane.refused(lane.order(Side.SELL, 6)) == "max_order_size"
    assert lane.refused(lane.order(Side.SELL, 5)) is None
    assert lane.refused(lane.order(Side.SELL, 5), now_ns=SECOND_NS // 2) == "max_orders_per_second"


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["submit", "fill", "unknown", "rejected", "expired", "not found", "late fill"]),
        st.integers(1, 12),
        st.sampled_from([Side.BUY, Side.SELL]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(start=st.integers(-20, 20), steps=_STEPS)
def test_nothing_that_passes_the_lane_ever_flips_or_grows_the_position(start, steps):
    """Random answers, lost ones and late ones among them; an exchange fills at most what an order asked for."""
    lane = Lane(start)
    open_lots = {}
    sides = {}
    trades = 0
    now_ns = 0
    for kind, lots, side, which in steps:
        now_ns += 10_000
        before = lane.ledger.position_lots
        if kind == "submit":
            order = lane.order(side, lots)
            if lane.refused(order, now_ns) is None:
                lane.tracker.on_submit(order, now_ns)
                open_lots[order.client_id] = lots
                sides[order.client_id] = side
            continue
        live = [client_id for client_id in lane.tracker.live if kind == "late fill" or open_lots[client_id]]
        if not live:
            continue
        client_id = live[which % len(live)]
        if kind in {"fill", "late fill"}:
            filled = min(lots, open_lots[client_id])
            if not filled:
                continue
            open_lots[client_id] -= filled
            trades += 1
            fill = Fill(0, client_id, f"t-{trades}", sides[client_id], 100, filled, False, 0, "USDT", now_ns, now_ns)
            assert lane.ledger.apply(fill, 200)
            lane.tracker.on_fill(fill)
        elif kind == "unknown":
            lane.tracker.on_update(_update(client_id, OrderStatus.UNKNOWN, Request.SUBMIT, now_ns), now_ns)
        elif kind == "not found":
            lane.tracker.expire(now_ns)
            lane.tracker.on_update(_update(client_id, OrderStatus.NOT_FOUND, Request.QUERY, now_ns), now_ns)
            if client_id not in lane.tracker.live:
                # Proved absent: a venue that keeps to its own word fills nothing of it any more.
                open_lots[client_id] = 0
        else:
            status = OrderStatus.REJECTED if kind == "rejected" else OrderStatus.EXPIRED
            lane.tracker.on_update(_update(client_id, status, Request.STREAM, now_ns), now_ns)
            open_lots[client_id] = 0
        after = lane.ledger.position_lots
        assert abs(after) <= abs(before)
        assert after * start >= 0
        at_worst = {
            each: sum(open_lots[client_id] for client_id in lane.tracker.live if sides[client_id] == each)
            for each in (Side.BUY, Side.SELL)
        }
        assert at_worst[Side.SELL] <= max(after, 0)
        assert at_worst[Side.BUY] <= max(-after, 0)


def _update(client_id, status, request, now_ns):
    return OrderUpdate(0, client_id, status, request, now_ns, now_ns)


# The whole of it ----------------------------------------------------------------------------------------------------


def test_quotes_go_first_then_slices_then_it_stays_halted():
    desk = Desk()
    desk.quote()
    desk.hold(30)
    desk.switches[0].level = int(RiskLevel.LIQUIDATE)

    pulled = desk.after(1)
    assert [type(action) for action in pulled] == [Cancel, Cancel]
    assert (desk.engine.is_halted, desk.engine.is_closing, desk.engine.is_over) == (True, True, False)
    assert slices(desk.after(2)) == []

    desk.pull(pulled)
    sent = []
    for _ in range(10):
        sent += slices(desk.decide())
        desk.end(sent[-1])
        assert slices(desk.after(4.9)) == []
        desk.now_ns += SECOND_NS // 10

    assert [(order.side, order.size_lots, order.time_in_force) for order in sent] == [
        (Side.SELL, 3, TimeInForce.IOC)
    ] * 10
    assert {order.price_ticks for order in sent} == {99}
    assert slices(desk.after(60)) == []
    assert desk.position() == 0
    assert (desk.engine.is_halted, desk.engine.is_closing, desk.engine.is_over) == (True, False, True)
    assert desk.engine.halt_reason == (
        "risk control 'emergency': too much was lost; liquidation done: BTC/USDT 30 -> 0 in 10 slices"
    )
    told = desk.told()
    assert told[0] == (
        "risk control 'emergency': too much was lost; to close 30 BTC/USDT: 10% a slice, every 5 s, "
        "within 150 bps of the mid"
    )
    assert told[1] == "waits: BTC/USDT: orders of ours are not gone yet"
    assert told[2] == "slice 1: sell 3 BTC at 99 or better; 30 to close, unrealised 0.00 USDT"
    assert told[-1] == "done: BTC/USDT 30 -> 0 in 10 slices"


def closing(position=30, **fields):
    """A desk in the middle: nothing is quoted, the first slice is on its way."""
    desk = Desk(**fields)
    desk.quotes[0].size = 0.0
    desk.book()
    desk.hold(position)
    desk.switches[0].level = int(RiskLevel.LIQUIDATE)
    [order] = slices(desk.after(1))
    return desk, order


def test_it_is_triggered_when_nothing_is_quoted():
    _, order = closing()

    assert (order.side, order.size_lots) == (Side.SELL, 3)


def test_a_short_position_is_bought_back():
    desk, order = closing(-30)
    desk.end(order)

    assert (order.side, order.price_ticks) == (Side.BUY, 101)
    assert desk.position() == -27


def test_a_slice_that_fills_in_part_or_not_at_all_is_followed_by_the_next_after_the_interval():
    desk, order = closing()
    desk.end(order, filled=0)
    [second] = slices(desk.after(5))
    desk.end(second, filled=1)
    [third] = slices(desk.after(5))

    assert (order.size_lots, second.size_lots, third.size_lots) == (3, 3, 3)
    assert desk.position() == 29


def test_an_order_of_unknown_outcome_blocks_its_market_until_it_is_resolved():
    desk, order = closing()
    desk.tell(order, OrderStatus.UNKNOWN, Request.SUBMIT)

    asked = desk.decide()
    assert [type(action) for action in asked] == [QueryOrder]
    assert slices(desk.after(20)) == []
    assert "waits: BTC/USDT: the outcome of an order is not known" in desk.told()

    desk.fill(order.client_id, Side.SELL, 99, 3)
    desk.tell(order, OrderStatus.FILLED, Request.QUERY, filled_lots=3)
    assert [each.size_lots for each in slices(desk.decide())] == [3]


def test_an_immediate_order_whose_end_is_never_told_is_asked_for():
    desk, order = closing()
    desk.tell(order, OrderStatus.OPEN, Request.SUBMIT)

    assert desk.after(4) == []
    assert QueryOrder(0, order.client_id) in desk.after(2)
    assert not any(isinstance(action, Cancel) for action in desk.after(2))


def test_a_refused_slice_is_tried_again_after_the_interval():
    desk, order = closing()
    desk.tell(order, OrderStatus.REJECTED, Request.SUBMIT, reason="no")

    assert slices(desk.after(4)) == []
    assert len(slices(desk.after(1))) == 1


def test_slices_grow_while_the_venue_refuses_them_and_are_small_again_once_one_was_taken():
    desk, order = closing()
    sizes = [order.size_lots]
    for _ in range(3):
        desk.tell(order, OrderStatus.REJECTED, Request.SUBMIT, reason="its value is too small")
        [order] = slices(desk.after(5))
        sizes.append(order.size_lots)
    desk.end(order, filled=3)
    [order] = slices(desk.after(5))

    # Doubled each time, and never beyond the size that the strategy quotes anyway.
    assert sizes == [3, 6, 10, 10]
    assert order.size_lots == 3


def test_it_waits_for_a_book_that_is_in_order_and_a_touch_within_the_cap():
    desk, order = closing()
    desk.end(order)
    desk.book(bid=90, ask=110)
    assert slices(desk.after(5)) == []
    assert desk.told()[-1] == "waits: BTC/USDT: the touch is more than 150 bps from the mid"

    desk.engine._markets[0].lose_book()
    assert slices(desk.after(1)) == []
    assert desk.told()[-1] == "waits: BTC/USDT: book unsynced"

    assert len(slices(desk.book())) == 1


def test_the_worst_market_that_can_be_traded_goes_first():
    desk = Desk((GRID, OTHER_GRID))
    for quotes in desk.quotes:
        quotes.size = 0.0
    desk.book(0)
    desk.book(1)
    desk.hold(10, market=0, price=101)
    desk.hold(20, market=1, price=110)
    desk.switches[0].level = int(RiskLevel.LIQUIDATE)

    [first] = slices(desk.after(1))
    assert (first.market, first.size_lots) == (1, 2)
    # While its outcome is open the next one goes to the other market.
    [second] = slices(desk.after(5))
    assert (second.market, second.size_lots) == (0, 1)
    desk.end(first)
    desk.end(second)
    assert [order.market for order in slices(desk.after(5))] == [1]
    assert desk.engine.is_halted


def test_what_is_below_the_smallest_order_is_reported_and_left():
    grid = make_instrument(tick_size="1", lot_size="1", min_size_lots=5)
    desk = Desk((grid,))
    desk.quotes[0].size = 0.0
    desk.book()
    desk.hold(3)
    desk.switches[0].level = int(RiskLevel.LIQUIDATE)

    assert slices(desk.after(1)) == []
    assert desk.engine.is_over
    assert "BTC/USDT 3 -> 3 in 0 slices, the rest is below the smallest order" in desk.engine.halt_reason


def test_it_gives_up_after_its_longest_time_and_says_what_is_left():
    desk, order = closing(terms=msgspec.structs.replace(TERMS, max_duration_ns=60 * SECOND_NS))
    desk.end(order)
    desk.engine._markets[0].lose_book()

    desk.after(50)
    assert not desk.engine.is_over
    desk.after(10)

    assert desk.engine.is_over
    assert (
        "given up while it waits for: BTC/USDT: book unsynced: BTC/USDT 30 -> 27 in 1 slice" in desk.engine.halt_reason
    )


def test_a_loss_of_the_day_neither_keeps_it_from_starting_nor_stops_it():
    desk = Desk(max_daily_loss_quote=Decimal(100))
    desk.quotes[0].size = 0.0
    desk.book()
    desk.hold(30)
    desk.switches[0].level = int(RiskLevel.LIQUIDATE)
    sent = desk.book(bid=90, ask=91) or desk.after(1)

    assert len(slices(sent)) == 1
    assert desk.engine.is_closing


def test_a_pause_holds_it_up_and_liquidate_goes_on_with_it():
    desk, order = closing()
    desk.end(order)
    desk.command(Command.PAUSE)
    assert slices(desk.after(30)) == []
    assert not desk.engine.is_over
    assert desk.told()[-1] == "waits: paused by the operator"

    assert len(slices(desk.command(Command.LIQUIDATE))) == 1


def test_a_kill_ends_it():
    desk, order = closing()
    desk.end(order)
    desk.command(Command.KILL)

    assert slices(desk.after(30)) == []
    assert (desk.engine.is_over, desk.engine.is_closing) == (True, False)
    assert desk.told()[-1] == "killed by the operator: BTC/USDT 30 -> 27 in 1 slice"


def test_a_resume_ends_it_and_quotes_again():
    desk, order = closing()
    desk.end(order)
    desk.switches[0].level = 0
    desk.quotes[0].size = 10.0

    sent = desk.command(Command.RESUME)

    assert (desk.engine.is_halted, desk.engine.is_closing) == (False, False)
    assert [action.is_post_only for action in sent] == [True, True]


def test_a_person_can_ask_for_it_and_the_strategys_own_terms_are_used():
    desk = Desk(terms=msgspec.structs.replace(TERMS, slice_share=0.5))
    desk.quotes[0].size = 0.0
    desk.book()
    desk.hold(30)

    [order] = slices(desk.command(Command.LIQUIDATE))

    assert order.size_lots == 15
    assert desk.engine.halt_reason == "liquidation asked for by the operator"


def test_it_goes_on_in_another_process_and_needs_no_release_of_the_halt():
    desk, order = closing()
    desk.end(order)
    state = msgspec.json.decode(msgspec.json.encode(desk.engine.state()), type=EngineState)
    fills = [
        RestoredFill(Fill(0, "x", "t", Side.BUY, 100, 27, False, 0, "USDT", START_NS, START_NS), 200),
    ]

    again = Desk()
    again.now_ns = desk.now_ns + SECOND_NS
    again.engine.restore(RestoredRun(state, (), tuple(fills)))
    assert (again.engine.is_halted, again.engine.is_over) == (True, False)
    assert slices(again.book()) == []
    [second] = slices(again.after(5))

    # The share is of the position at the start, not of what the second process found.
    assert second.size_lots == 3
    assert again.told()[0].endswith("goes on to close 27 BTC/USDT: 10% a slice, every 5 s, within 150 bps of the mid")


def test_a_released_halt_is_not_closed_any_more():
    desk, _ = closing()

    released = RestoredRun(desk.engine.state(), (), ()).released()

    assert (released.state.halt_reason, released.state.liquidations) == ("", ())


def test_a_live_run_waits_for_the_venues_word_first():
    desk, order = closing()
    desk.end(order)
    again = Desk(capabilities=VenueCapabilities(reports_positions=True))
    again.engine.restore(RestoredRun(desk.engine.state(), (), ()))
    again.now_ns = desk.now_ns

    again.book()
    assert slices(again.after(60)) == []
    # By its own count it is flat; what the venue holds it does not know yet.
    assert again.told()[-1] == "waits: the venue is down"
    assert not again.engine.is_over


REBALANCE = LiquidationTerms(
    slice_share=0.5, price_cap_bps=150.0, scope=Scope.MARKET, close_to=CloseTo.TARGET, is_latched=False
)


def test_one_that_does_not_halt_closes_down_to_the_target_and_lets_quoting_go_on():
    desk, order = closing(30, terms=REBALANCE, targets={0: 10})
    assert not desk.engine.is_halted
    desk.end(order)
    [second] = slices(desk.after(5))
    desk.switches[0].level = 0
    desk.quotes[0].size = 10.0
    desk.end(second)
    desk.decide()

    sent = desk.after(1)

    assert (order.size_lots, second.size_lots, desk.position()) == (10, 10, 10)
    assert not desk.engine.is_halted
    assert [action.is_post_only for action in sent] == [True, True]


def test_a_loss_is_judged_while_an_excess_waits_to_be_closed():
    desk, order = closing(30, terms=REBALANCE, max_daily_loss_quote=Decimal(100))
    desk.end(order, filled=0)

    # The touch is beyond the cap of what closes the excess.
    desk.now_ns += 10 * SECOND_NS
    desk.book(bid=80, ask=90)

    assert desk.engine.halt_reason == "daily loss 450.00 USDT, limit 100"
    assert desk.told()[-1].startswith("the market is halted")
    assert desk.engine.is_over


@pytest.mark.parametrize("what", ["below the smallest order", "not on the account"])
def test_what_cannot_be_closed_is_not_tried_for_ever_at_one_time(what):
    grid = make_instrument(tick_size="1", lot_size="1", min_size_lots=5)
    desk = Desk((grid,), terms=REBALANCE)
    desk.quote()
    desk.hold(3 if what == "below the smallest order" else 30)
    if what == "not on the account":
        desk.engine.handle(BalanceUpdate("BTC", Decimal(0), Decimal(0), desk.now_ns))
    desk.switches[0].level = int(RiskLevel.LIQUIDATE)

    desk.pull(desk.after(1))
    for _ in range(5):
        desk.decide()

    assert desk.engine.wake_ns > desk.now_ns
    assert (desk.told(), desk.engine._desk.active) == ([], [])
    # It asked for no quotes either.
    assert not desk.engine.has_live_orders


def test_a_halt_ends_one_that_does_not_halt():
    desk, order = closing(30, terms=REBALANCE)
    desk.end(order)

    desk.command(Command.KILL, market=0)

    assert slices(desk.after(30)) == []
    assert desk.engine.is_over


def test_the_same_events_give_the_same_hash():
    hashes = []
    for _ in range(2):
        desk, order = closing()
        desk.end(order, filled=2)
        for _ in range(20):
            for each in slices(desk.after(5)):
                desk.end(each)
        hashes.append(desk.engine.decision_hash())

    assert hashes[0] == hashes[1]
    assert desk.position() == 0


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["wait", "fill", "expire", "reject", "unknown", "answer", "book", "gap"]), st.integers(1, 12)
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(start=st.integers(1, 40), is_short=st.booleans(), events=_EVENTS)
def test_whatever_the_venue_does_a_position_is_only_ever_closed(start, is_short, events):
    """A venue that fills at most what it was asked for, answers late or never, and loses its book now and then."""
    desk = Desk()
    desk.quotes[0].size = 0.0
    desk.book()
    desk.hold(-start if is_short else start)
    desk.switches[0].level = int(RiskLevel.LIQUIDATE)
    resting = {}
    for kind, number in events:
        before = desk.position()
        order, left = next(iter(resting.values()), (None, 0))
        if kind == "book":
            desk.book(bid=95 + number % 5, ask=101 + number % 3)
        elif kind == "gap":
            desk.engine._markets[0].lose_book()
        elif order is not None and kind == "fill" and left:
            lots = min(number, left)
            desk.fill(order.client_id, order.side, order.price_ticks, lots)
            resting[order.client_id] = (order, left - lots)
        elif order is not None and kind in {"expire", "answer"}:
            request = Request.QUERY if kind == "answer" else Request.STREAM
            desk.tell(order, OrderStatus.EXPIRED, request, filled_lots=order.size_lots - left)
            del resting[order.client_id]
        elif order is not None and kind == "reject" and left == order.size_lots:
            desk.tell(order, OrderStatus.REJECTED, Request.SUBMIT)
            del resting[order.client_id]
        elif order is not None and kind == "unknown":
            desk.tell(order, OrderStatus.UNKNOWN, Request.SUBMIT)

        for sent in slices(desk.after(number)):
            # Never beside another order of ours, and never more than there is.
            assert resting == {}
            assert sent.size_lots <= abs(desk.position())
            resting[sent.client_id] = (sent, sent.size_lots)

        after = desk.position()
        assert 0 <= (-after if is_short else after) <= abs(before)


def test_no_more_is_sold_than_the_account_holds():
    desk, order = closing(30)
    desk.end(order)
    # Fees were taken from what was bought: 26 of the 27 that are left by the fills are there.
    desk.engine.handle(BalanceUpdate("BTC", Decimal("25.9999999"), Decimal(0), desk.now_ns))
    for _ in range(9):
        for sent in slices(desk.after(5)):
            held = desk.engine.balances["BTC"].free
            desk.end(sent)
            desk.engine.handle(BalanceUpdate("BTC", held - sent.size_lots, Decimal(0), desk.now_ns))
    desk.after(5)

    assert desk.position() == 1
    assert desk.engine.is_over
    assert "BTC/USDT 30 -> 1 in 10 slices, the account holds no more to close" in desk.engine.halt_reason


def test_a_market_that_was_killed_does_not_keep_the_others_from_being_closed():
    desk = Desk((GRID, OTHER_GRID))
    for market, quotes in enumerate(desk.quotes):
        quotes.size = 0.0
        desk.book(market)
        desk.hold(10, market=market)
    desk.command(Command.KILL, market=0)

    sent = slices(desk.command(Command.LIQUIDATE))
    sent += slices(desk.after(5))

    assert {order.market for order in sent} == {1}


def test_a_run_that_ends_is_not_woken_for_it_and_keeps_it_for_the_next_one():
    desk, order = closing(terms=msgspec.structs.replace(TERMS, max_duration_ns=2 * SECOND_NS))
    desk.engine.stop(desk.now_ns, "interrupted")

    assert slices(desk.after(3)) == []
    assert desk.engine.wake_ns > desk.now_ns
    desk.end(order)
    assert slices(desk.after(10)) == []
    assert len(desk.engine.state().liquidations) == 1

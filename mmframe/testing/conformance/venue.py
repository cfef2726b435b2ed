"""Conformance of venues: every request answered, fills honest, cancel-all final. Virtual ones meet a market.

A live venue is held to V01 here, and to the cases of `LiveVenueConformance` against a server that speaks its protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest

from mmframe.domain.market import NEVER_NS, MarketBatch, MessageKind, Side, Touch
from mmframe.domain.orders import (
    ALL_MARKETS,
    Action,
    Amend,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderReport,
    OrderStatus,
    OrderUpdate,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    TimeInForce,
    VenueEvent,
)
from mmframe.plugin import FeedSpec, VenueSpec
from mmframe.ports import MarketObserver
from mmframe.testing._check import ComponentConformance, case, expect, fail
from mmframe.testing.builders import Message, approve, build_component, delta, make_batch, snapshot, trade
from mmframe.testing.clock import START_NS, ManualClock
from mmframe.testing.reference import ReferenceBook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.ports import Feed, Venue

__all__ = ["VenueConformance", "VenueRig"]

E = TypeVar("E")

_STEPS_MAX = 1_000_000
_TAPE_STEP_NS = 50_000_000
_TAPE_MESSAGES = 4_000
_ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.FILLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


class VenueConformance(ComponentConformance):
    """Subclass it and set `spec` (a VenueSpec), and `options` if it has required ones.

    Attributes:
        feed_spec: The feed of the same plugin, where the venue lives in that feed's market; otherwise the kit plays a
            market of its own, which a MarketObserver sees.
        feed_options: Options of that feed; None takes all defaults.
        order_lots: Size of the orders that are tried.
        answer_within_s: Virtual time that an answer may take.
        fill_within_s: Virtual time in which an order at the touch is expected to trade.
        fills_expected: Whether orders can trade at all in this market.
    """

    spec_class: ClassVar[type[VenueSpec]] = VenueSpec
    feed_spec: ClassVar[FeedSpec | None] = None
    feed_options: ClassVar[Any] = None
    order_lots: ClassVar[int] = 10
    answer_within_s: ClassVar[float] = 5.0
    fill_within_s: ClassVar[float] = 60.0
    fills_expected: ClassVar[bool] = True

    def tape(self) -> MarketBatch:
        """Return the market that the kit plays where there is no `feed_spec`; override it for another one."""
        return _tape()

    @case("MM-V01")
    def test_only_approved_actions_are_taken(self) -> None:
        """MM-V01."""
        venue = self.build(resources={})
        bare: Any = Submit(0, "c-1", Side.BUY, 100, self.order_lots)
        try:
            venue.execute(bare, START_NS)
        except TypeError:
            return
        fail("MM-V01", was="a bare Submit was taken", expected="TypeError")

    @case("MM-V02")
    def test_every_submit_is_answered(self) -> None:
        """MM-V02."""
        rig = self._rig()
        orders = [
            rig.resting("c-1", Side.BUY),
            rig.resting("c-2", Side.SELL),
            rig.crossing("c-3", Side.BUY, is_post_only=True),
            rig.crossing("c-4", Side.SELL, time_in_force=TimeInForce.IOC),
        ]
        for order in orders:
            rig.execute(order)
        rig.run(self.answer_within_s)
        for order in orders:
            answers = rig.answers(order.client_id, Request.SUBMIT)
            expect(
                "MM-V02", bool(answers), was=f"no answer to {order!r}", expected=f"one within {self.answer_within_s} s"
            )

    @case("MM-V03")
    def test_a_used_client_id_is_refused(self) -> None:
        """MM-V03."""
        rig = self._rig()
        if not rig.venue.capabilities.has_idempotent_client_id:
            pytest.skip("the venue declares has_idempotent_client_id=False")
        order = rig.resting("c-1", Side.BUY)
        rig.execute(order)
        rig.run(self.answer_within_s)
        rig.execute(order)
        rig.run(self.answer_within_s)
        reported = [report.client_id for report in self._open_orders(rig, "MM-V03")]
        expect("MM-V03", reported == ["c-1"], was=f"open orders {reported}", expected="c-1, once")
        rig.execute(Cancel(0, "c-1"))
        rig.run(self.answer_within_s)
        rig.execute(order)
        rig.run(self.answer_within_s)
        statuses = [answer.status for answer in rig.answers("c-1", Request.SUBMIT)]
        expected = [OrderStatus.OPEN, OrderStatus.REJECTED, OrderStatus.REJECTED]
        expect("MM-V03", statuses == expected, was=statuses, expected=expected)

    @case("MM-V04")
    def test_post_only_never_takes(self) -> None:
        """MM-V04."""
        rig = self._rig()
        for number, side in enumerate((Side.BUY, Side.SELL)):
            rig.execute(rig.crossing(f"c-{number}", side, is_post_only=True))
        rig.run(self.answer_within_s)
        taken = [fill for fill in rig.fills() if not fill.is_maker]
        expect("MM-V04", not taken, was=taken, expected="no fill as taker")

    @case("MM-V05")
    def test_fills_are_honest(self) -> None:
        """MM-V05."""
        rig = self._rig()
        orders: dict[str, Submit] = {}
        for number in range(6):
            side = Side.BUY if number % 2 else Side.SELL
            made = (
                rig.at_touch(f"c-{number}", side)
                if number < 4
                else rig.crossing(f"c-{number}", side, time_in_force=TimeInForce.IOC)
            )
            orders[made.client_id] = made
            rig.execute(made)
            rig.run(self.fill_within_s / 6)
        self._check_fills(rig.fills(), orders)
        if self.fills_expected:
            expect("MM-V05", bool(rig.fills()), was="no fill", expected=f"one within {self.fill_within_s} s")

    @case("MM-V06")
    def test_a_cancel_of_an_unknown_order_is_answered(self) -> None:
        """MM-V06."""
        rig = self._rig()
        rig.execute(Cancel(0, "never-sent"))
        rig.run(self.answer_within_s)
        statuses = [answer.status for answer in rig.answers("never-sent", Request.CANCEL)]
        expect("MM-V06", statuses == [OrderStatus.UNCHANGED], was=statuses, expected="UNCHANGED, once")

    @case("MM-V07")
    def test_queries_are_answered(self) -> None:
        """MM-V07."""
        rig = self._rig()
        order = rig.resting("c-1", Side.BUY)
        rig.execute(order)
        rig.run(self.answer_within_s)
        rig.execute(QueryOrder(0, "c-1"))
        rig.execute(QueryOrder(0, "never-sent"))
        rig.run(self.answer_within_s)
        known, unknown = rig.answers("c-1", Request.QUERY), rig.answers("never-sent", Request.QUERY)
        was = [(answer.status, answer.price_ticks, answer.size_lots) for answer in known]
        expected = [(OrderStatus.OPEN, order.price_ticks, order.size_lots)]
        expect("MM-V07", was == expected, was=was, expected=expected)
        statuses = [answer.status for answer in unknown]
        expect("MM-V07", statuses == [OrderStatus.NOT_FOUND], was=statuses, expected="NOT_FOUND for an unknown id")

    @case("MM-V08")
    def test_the_report_lists_what_is_open(self) -> None:
        """MM-V08."""
        rig = self._rig()
        expect("MM-V08", not self._open_orders(rig, "MM-V08"), was="orders before any submit", expected="none")
        orders = [rig.resting("c-1", Side.BUY), rig.resting("c-2", Side.SELL)]
        for order in orders:
            rig.execute(order)
        rig.run(self.answer_within_s)
        was = sorted(_shown(report) for report in self._open_orders(rig, "MM-V08"))
        expected = sorted((o.client_id, o.side, o.price_ticks, o.size_lots, 0) for o in orders)
        expect("MM-V08", was == expected, was=was, expected=expected)

    @case("MM-V09")
    def test_cancel_all_leaves_nothing(self) -> None:
        """MM-V09."""
        for market in (0, ALL_MARKETS):
            rig = self._rig()
            names = [f"c-{number}" for number in range(4)]
            for number, name in enumerate(names):
                rig.execute(rig.resting(name, Side.BUY if number % 2 else Side.SELL))
            rig.run(self.answer_within_s)
            rig.execute(CancelAll(market, "the run ends"))
            rig.run(self.answer_within_s)
            left = self._open_orders(rig, "MM-V09")
            expect("MM-V09", not left, was=f"still open: {left}", expected="no open order")
            canceled = {update.client_id for update in rig.updates() if update.status is OrderStatus.CANCELED}
            missing = sorted(set(names) - canceled)
            expect("MM-V09", not missing, was=f"no CANCELED for {missing}", expected="one for each order")

    @case("MM-V10")
    def test_an_amend_of_an_old_version_is_refused(self) -> None:
        """MM-V10."""
        rig = self._rig()
        if not rig.venue.capabilities.can_amend:
            pytest.skip("the venue declares can_amend=False")
        order = rig.resting("c-1", Side.BUY)
        rig.execute(order)
        rig.run(self.answer_within_s)
        version = max(answer.version for answer in rig.answers("c-1", Request.SUBMIT))
        rig.execute(Amend(0, "c-1", order.price_ticks, self.order_lots - 1, version + 7))
        rig.run(self.answer_within_s)
        statuses = [answer.status for answer in rig.answers("c-1", Request.AMEND)]
        expect("MM-V10", statuses == [OrderStatus.UNCHANGED], was=statuses, expected="UNCHANGED, once")
        rig.execute(Amend(0, "c-1", order.price_ticks, self.order_lots - 1, version))
        rig.run(self.answer_within_s)
        was = [_shown(report) for report in self._open_orders(rig, "MM-V10")]
        expected = [("c-1", Side.BUY, order.price_ticks, self.order_lots - 1, 0)]
        expect("MM-V10", was == expected, was=was, expected=expected)

    @case("MM-V11")
    def test_events_come_once_and_in_time(self) -> None:
        """MM-V11."""
        rig = self._rig()
        rig.is_strict = True
        for number in range(4):
            rig.execute(rig.at_touch(f"c-{number}", Side.BUY if number % 2 else Side.SELL))
            rig.run(1.0)
        rig.execute(CancelAll(0, "the run ends"))
        rig.run(self.answer_within_s)

    @case("MM-V12")
    def test_the_same_seed_gives_the_same_events(self) -> None:
        """MM-V12."""

        def scenario() -> list[tuple[int, VenueEvent]]:
            rig = self._rig()
            for number in range(6):
                rig.execute(rig.at_touch(f"c-{number}", Side.BUY if number % 2 else Side.SELL))
                rig.run(2.0)
            rig.execute(CancelAll(0, "the run ends"))
            rig.run(self.answer_within_s)
            return rig.events

        was, expected = scenario(), scenario()
        for one, other in zip(was, expected, strict=False):
            expect("MM-V12", one == other, was=one, expected=other)
        expect("MM-V12", len(was) == len(expected), was=f"{len(was)} events", expected=f"{len(expected)} events")

    @case("MM-V13")
    def test_an_ioc_order_never_rests(self) -> None:
        """MM-V13."""
        rig = self._rig()
        passive = rig.resting("c-1", Side.BUY, time_in_force=TimeInForce.IOC, is_post_only=False)
        taker = rig.crossing("c-2", Side.SELL, time_in_force=TimeInForce.IOC)
        for order in (passive, taker):
            rig.execute(order)
        rig.run(self.answer_within_s)
        for order in (passive, taker):
            ended = any(u.status in _ENDED for u in rig.updates() if u.client_id == order.client_id)
            expect(
                "MM-V13", ended, was=f"{order.client_id} did not end", expected="CANCELED, FILLED, EXPIRED or REJECTED"
            )
        left = self._open_orders(rig, "MM-V13")
        expect("MM-V13", not left, was=f"still open: {left}", expected="no open order")

    @case("MM-V14")
    def test_a_replace_tells_the_truth(self) -> None:
        """MM-V14."""
        rig = self._rig()
        if not rig.venue.capabilities.can_replace:
            pytest.skip("the venue declares can_replace=False")
        order = rig.resting("c-1", Side.BUY)
        rig.execute(order)
        rig.run(self.answer_within_s)
        rig.execute(Replace(0, "c-1", "c-2", order.price_ticks - 1, self.order_lots))
        rig.run(self.answer_within_s)
        answers = rig.answers("c-1", Request.REPLACE)
        expect("MM-V14", len(answers) == 1, was=f"{len(answers)} answers", expected="one")
        expected = {
            OrderStatus.REPLACED: {"c-2"},
            OrderStatus.CANCELED_ONLY: set(),
            OrderStatus.UNCHANGED: {"c-1"},
            OrderStatus.BOTH_LIVE: {"c-1", "c-2"},
        }.get(answers[0].status)
        left = {report.client_id for report in self._open_orders(rig, "MM-V14")}
        expect("MM-V14", left == expected, was=f"answered {answers[0].status}, open: {left}", expected=expected)

    def _rig(self) -> VenueRig:
        if not type(self).spec.is_virtual:
            pytest.skip("only a virtual venue can be driven without its exchange")
        return VenueRig(self)

    def _open_orders(self, rig: VenueRig, case_id: str) -> list[OrderReport]:
        seen = len(rig.reports())
        rig.execute(QueryOpenOrders(0))
        rig.run(self.answer_within_s)
        reports = rig.reports()[seen:]
        expect(case_id, len(reports) == 1, was=f"{len(reports)} reports", expected="one OpenOrdersReport for one query")
        return list(reports[0].orders)

    def _check_fills(self, fills: Sequence[Fill], orders: dict[str, Submit]) -> None:
        filled: dict[str, int] = {}
        for fill in fills:
            order = orders.get(fill.client_id)
            if order is None:
                fail("MM-V05", was=f"a fill of {fill.client_id!r}", expected="fills of our orders only")
            filled[fill.client_id] = filled.get(fill.client_id, 0) + fill.size_lots
            is_within = fill.size_lots > 0 and filled[fill.client_id] <= order.size_lots
            expect(
                "MM-V05",
                is_within,
                was=f"{fill!r}, {filled[fill.client_id]} lots so far",
                expected=f"at most {order!r}",
            )
            better = (
                order.price_ticks - fill.price_ticks if order.side == Side.BUY else fill.price_ticks - order.price_ticks
            )
            is_kept = better >= 0 and fill.side == order.side and bool(fill.fee_asset) and bool(fill.venue_trade_id)
            expect("MM-V05", is_kept, was=fill, expected=f"side, price and a fee asset in line with {order!r}")
        ids = [fill.venue_trade_id for fill in fills]
        expect("MM-V05", len(set(ids)) == len(ids), was=f"trade ids {ids}", expected="no id twice")


class VenueRig:
    """A venue in its market, driven on virtual time in the driver's order: venue events first, then market messages.

    Attributes:
        venue: The venue under test.
        events: What it said, with the time at which it was polled.
        is_strict: Also hold every poll to MM-V11.
    """

    def __init__(self, conformance: VenueConformance) -> None:
        self.clock = ManualClock()
        resources: dict[str, object] = {}
        common: dict[str, Any] = {
            "instruments": conformance.instruments,
            "seed": conformance.seed,
            "clock": self.clock,
            "resources": resources,
        }
        self._feed: Feed | None = None
        if conformance.feed_spec is not None:
            self._feed = build_component(conformance.feed_spec, conformance.feed_options, **common)
        self.venue: Venue = conformance.build(clock=self.clock, resources=resources)
        self.events: list[tuple[int, VenueEvent]] = []
        self.is_strict = False
        self.now_ns = START_NS
        self._lots = conformance.order_lots
        self._books = [ReferenceBook() for _ in conformance.instruments]
        self._batches: list[MarketBatch] = [] if self._feed is not None else [conformance.tape()]
        self._index = 0
        self.now_ns = self._market_ns()
        self._warm_up()

    def execute(self, action: Action) -> None:
        """Hand over an approved action now."""
        self.venue.execute(approve(action), self.now_ns)

    def run(self, duration_s: float) -> None:
        """Let venue and market go on for `duration_s` of virtual time."""
        self._run_until(self.now_ns + round(duration_s * 1e9), lambda: False)

    def touch(self) -> Touch:
        """Return the touch of market 0."""
        return self._books[0].touch()

    def resting(
        self, client_id: str, side: Side, *, time_in_force: TimeInForce = TimeInForce.GTC, is_post_only: bool = True
    ) -> Submit:
        """Return an order 2 % behind the touch, where it stays."""
        touch = self.touch()
        price = touch.bid_ticks * 98 // 100 if side == Side.BUY else touch.ask_ticks * 102 // 100
        return Submit(0, client_id, side, price, self._lots, time_in_force, is_post_only)

    def at_touch(self, client_id: str, side: Side) -> Submit:
        """Return a post-only order at its side's best price."""
        touch = self.touch()
        return Submit(0, client_id, side, touch.bid_ticks if side == Side.BUY else touch.ask_ticks, self._lots)

    def crossing(
        self, client_id: str, side: Side, *, time_in_force: TimeInForce = TimeInForce.GTC, is_post_only: bool = False
    ) -> Submit:
        """Return an order 1 % beyond the other side's best price."""
        touch = self.touch()
        price = touch.ask_ticks * 101 // 100 if side == Side.BUY else touch.bid_ticks * 99 // 100
        return Submit(0, client_id, side, price, self._lots, time_in_force, is_post_only)

    def updates(self) -> list[OrderUpdate]:
        """Return every order update so far."""
        return self._of(OrderUpdate)

    def answers(self, client_id: str, request: Request) -> list[OrderUpdate]:
        """Return the answers to the requests of one kind about one order."""
        return [update for update in self.updates() if update.client_id == client_id and update.request is request]

    def fills(self) -> list[Fill]:
        """Return every fill so far."""
        return self._of(Fill)

    def reports(self) -> list[OpenOrdersReport]:
        """Return every report of open orders so far."""
        return self._of(OpenOrdersReport)

    def _of(self, kind: type[E]) -> list[E]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def _warm_up(self) -> None:
        def is_ready() -> bool:
            touch = self.touch()
            return bool(touch.bid_lots and touch.ask_lots)

        self._run_until(self.now_ns + 60_000_000_000, is_ready)
        expect("MM-V02", is_ready(), was=f"touch {self.touch()} after a minute", expected="a market with both sides")

    def _run_until(self, end_ns: int, is_done: Callable[[], bool]) -> None:
        for _ in range(_STEPS_MAX):
            due = min(self.venue.next_event_ns, self._market_ns())
            if due > end_ns or is_done():
                break
            self.now_ns = max(self.now_ns, due)
            self.clock.advance_to(max(self.clock.now_ns(), self.now_ns))
            if self.venue.next_event_ns <= self.now_ns:
                self._poll()
            else:
                self._step_market()
        else:
            fail("MM-V11", was=f"{_STEPS_MAX} steps and still before {end_ns} ns", expected="time to move on")
        if not is_done():
            self.now_ns = max(self.now_ns, end_ns)

    def _poll(self) -> None:
        due = self.venue.next_event_ns
        if self.is_strict and due == self.now_ns:
            early = self.venue.poll(due - 1)
            expect("MM-V11", not early, was=f"{early} before next_event_ns {due}", expected="nothing yet")
        events = self.venue.poll(self.now_ns)
        self.events += [(self.now_ns, event) for event in events]
        if self.is_strict:
            again = self.venue.poll(self.now_ns)
            expect("MM-V11", not again, was=f"{again} again at {self.now_ns}", expected="each event once")
        after = self.venue.next_event_ns
        expect("MM-V11", after > self.now_ns, was=f"due at {after}, polled at {self.now_ns}", expected="a later time")

    def _market_ns(self) -> int:
        if self._batches:
            return self._batches[0].receive_ns[self._index]
        return NEVER_NS if self._feed is None else self._feed.next_event_ns

    def _step_market(self) -> None:
        if not self._batches and self._feed is not None:
            self._batches = [batch for batch in self._feed.poll(self.now_ns) if len(batch)]
            self._index = 0
            return
        batch, index = self._batches[0], self._index
        self._index += 1
        if self._index == len(batch):
            self._batches.pop(0)
            self._index = 0
        book, kind = self._books[batch.market], batch.kinds[index]
        if kind in (MessageKind.SNAPSHOT, MessageKind.GAP):
            book.clear()
        if kind in (MessageKind.SNAPSHOT, MessageKind.DELTA):
            book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
        if isinstance(self.venue, MarketObserver):
            self.venue.observe(batch, index, book)


def _tape() -> MarketBatch:
    """Return a market around 100,000 ticks that trades through each side of its touch in turn."""
    made: list[Message] = [
        snapshot(
            bids=[(99_999 - step, 5 + step % 7) for step in range(50)],
            asks=[(100_001 + step, 5 + step % 5) for step in range(50)],
        )
    ]
    for number in range(_TAPE_MESSAGES):
        if number % 10 == 4:
            made.append(trade(Side.SELL, 99_999 - number % 3, 12))
        elif number % 10 == 9:
            made.append(trade(Side.BUY, 100_001 + number % 3, 12))
        else:
            made.append(delta(bids=[(99_999, 5 + number % 6)], asks=[(100_001, 5 + number % 4)]))
    return make_batch(*made, step_ns=_TAPE_STEP_NS)


def _shown(report: OrderReport) -> tuple[str, Side, int, int, int]:
    return (report.client_id, report.side, report.price_ticks, report.size_lots, report.filled_lots)

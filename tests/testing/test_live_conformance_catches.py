"""The live venue cases pass for a venue that keeps the rules, and each catches one that breaks it."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import asynccontextmanager
from decimal import Decimal

import anyio
import attrs
import pytest

from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS, Side
from mmframe.domain.orders import (
    Amend,
    Approved,
    BalanceUpdate,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    OrderReport,
    OrderStatus,
    OrderUpdate,
    PositionReport,
    QueryOpenOrders,
    QueryOrder,
    Replace,
    Request,
    Submit,
    VenueCapabilities,
    VenueStatus,
)
from mmframe.plugin import VenueSpec
from mmframe.testing import CASES, ConformanceError, LiveVenueConformance
from mmframe.testing.conformance import live_venue

SECRET = "s3cret-of-the-lab"
BID, ASK, LOTS = 100, 110, 8


@attrs.define
class Order:
    order_id: str
    client_id: str
    side: Side
    price_ticks: int
    size_lots: int
    filled_lots: int = 0
    status: OrderStatus = OrderStatus.OPEN
    trades: list = attrs.field(factory=list)


@attrs.define(eq=False)
class LabOptions:
    """What a strategy file would say."""

    exchange: object = None
    secret: str = attrs.field(default=SECRET, repr=False)


class LabExchange:
    """An exchange in memory: the peer of the kit, and what the adapter calls instead of a network."""

    secrets = (SECRET,)
    bid_ticks, ask_ticks, order_lots = BID, ASK, LOTS

    def __init__(self):
        self.orders = {}
        self.all_orders = []
        self.faults = {}
        self.stream = deque()
        self.is_private_up = True
        self.news = anyio.Event()
        self.trades = 0
        self.options = LabOptions(self)

    def open_ids(self):
        return {order.client_id for order in self.orders.values() if order.status is OrderStatus.OPEN}

    def accepted(self, client_id):
        return sum(order.client_id == client_id for order in self.all_orders)

    def filled_lots(self, client_id):
        return sum(order.filled_lots for order in self.all_orders if order.client_id == client_id)

    def trade_against(self, client_id, lots):
        order = self.orders[client_id]
        self.trades += 1
        order.filled_lots += lots
        order.trades.append((f"t{self.trades}", lots))
        if order.filled_lots == order.size_lots:
            order.status = OrderStatus.FILLED
        self.tell(order)

    def cancel(self, client_id):
        order = self.orders[client_id]
        order.status = OrderStatus.CANCELED
        self.tell(order)

    def place_foreign(self):
        return self.place(Submit(0, "web-1", Side.BUY, BID - 5, 1)).client_id

    def lose_reply(self, request):
        self.faults[request] = "reply"

    def lose_request(self, request):
        self.faults[request] = "request"

    def answer_unclear(self, request, *, is_done):
        self.faults[request] = "unclear, done" if is_done else "unclear"

    def cut_private_stream(self):
        self.is_private_up = False
        self.stream.clear()
        self.ring()

    def heal(self):
        self.is_private_up = True
        self.ring()

    def ring(self):
        news, self.news = self.news, anyio.Event()
        news.set()

    def tell(self, order):
        if self.is_private_up:
            self.stream.append(order)
        self.ring()

    def place(self, action, *, is_told=True):
        order = Order(f"x{len(self.all_orders)}", action.client_id, action.side, action.price_ticks, action.size_lots)
        if action.is_post_only and action.side is Side.BUY and action.price_ticks >= ASK:
            order.status = OrderStatus.REJECTED
        self.orders[order.client_id] = order
        self.all_orders.append(order)
        if is_told:
            self.tell(order)
        return order


class LabVenue:
    """An adapter that keeps every rule but the one that `breaks` names."""

    next_event_ns = NEVER_NS
    breaks = ""

    def __init__(self, options, context):
        self._exchange = options.exchange
        self._secret = options.secret
        self._clock = context.clock
        self._requests = deque()
        self._events = deque()
        self._told = set()
        self._was_up = False
        self._notify = lambda: None
        self.capabilities = VenueCapabilities(
            can_amend=True,
            can_replace=True,
            reports_positions=True,
            is_virtual=self.breaks == "claims to be virtual",
        )

    def __repr__(self):
        return f"<LabVenue {self._secret if self.breaks == 'shows its secret' else ''}>"

    @property
    def __dict__(self):
        return {}

    def execute(self, approved, now_ns):
        if type(approved) is not Approved and self.breaks != "takes anything":
            raise TypeError("not approved")
        if self.breaks == "drops what comes early" and not self._was_up:
            return
        self._requests.append(getattr(approved, "action", approved))
        self._exchange.ring()

    def poll(self, now_ns):
        events = list(self._events)
        self._events.clear()
        return events

    async def run(self, notify):
        self._notify = notify
        exchange = self._exchange
        try:
            while True:
                news = exchange.news
                self._look_at_stream(exchange)
                while self._requests and self._was_up:
                    self._carry_out(self._requests.popleft())
                await news.wait()
        finally:
            if self.breaks == "does not end":
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(live_venue._END_S * 2)

    def _look_at_stream(self, exchange):
        if exchange.is_private_up != self._was_up:
            if not exchange.is_private_up and self.breaks == "hides a broken stream":
                return
            self._was_up = exchange.is_private_up
            if self._was_up:
                self._come_up(exchange)
            else:
                self._say(VenueStatus(is_up=False, receive_ns=self._now(), reason="private stream lost"))
        while exchange.stream:
            self._hear(exchange.stream.popleft())

    def _come_up(self, exchange):
        if self.breaks != "tells no balance":
            self._say(BalanceUpdate("USDT", Decimal(1), Decimal(0), self._now()))
        self._say(PositionReport(0, 0, 100, self._now(), self._now()))
        if self.breaks != "forgets missed fills":
            for order in exchange.all_orders:
                self._tell_fills(order, suffix="again" if self.breaks == "numbers fills itself" else "")
        self._say(VenueStatus(is_up=True, receive_ns=self._now()))

    def _hear(self, order):
        if self.breaks == "is deaf to others" and order.status is OrderStatus.CANCELED:
            return
        if self.breaks == "tells the end first":
            self._update(order, Request.STREAM)
            self._tell_fills(order)
            return
        self._tell_fills(order)
        self._update(order, Request.STREAM)

    def _tell_fills(self, order, suffix=""):
        for trade_id, lots in order.trades:
            if (trade_id + suffix) in self._told and not suffix:
                continue
            self._told.add(trade_id + suffix)
            self._say(
                Fill(
                    0, order.client_id, trade_id + suffix, order.side, order.price_ticks, lots, True,
                    Decimal("0.1"), "USDT", self._now(), self._now(), order.order_id,
                )
            )  # fmt: skip

    def _carry_out(self, action):
        exchange = self._exchange
        request = {Submit: Request.SUBMIT, Cancel: Request.CANCEL, QueryOrder: Request.QUERY}.get(type(action))
        fault = exchange.faults.pop(request, "")
        if isinstance(action, QueryOpenOrders):
            self._report(exchange)
            return
        if isinstance(action, CancelAll):
            for client_id in sorted(exchange.open_ids()):
                if self.breaks == "leaves one":
                    break
                exchange.cancel(client_id)
            return
        if fault:
            self._meet(fault, action, exchange, request)
        elif isinstance(action, Submit):
            self._submit(action, exchange)
        elif isinstance(action, Cancel):
            self._cancel(action, exchange)
        elif isinstance(action, QueryOrder):
            self._query(action, exchange)
        elif isinstance(action, Amend):
            order = exchange.orders[action.client_id]
            order.size_lots = action.leaves_lots + (0 if self.breaks == "amends to the rest" else order.filled_lots)
            self._update(order, Request.AMEND)
        elif isinstance(action, Replace):
            exchange.orders[action.client_id].status = OrderStatus.CANCELED
            old = exchange.orders[action.client_id]
            exchange.place(Submit(0, action.new_client_id, old.side, action.price_ticks, action.size_lots))
            self._answer(action.client_id, OrderStatus.REPLACED, Request.REPLACE, new_client_id=action.new_client_id)

    def _meet(self, fault, action, exchange, request):
        is_done = fault in {"reply", "unclear, done"}
        if is_done and isinstance(action, Submit):
            exchange.place(action, is_told=False)
        if is_done and isinstance(action, Cancel) and action.client_id in exchange.open_ids():
            exchange.cancel(action.client_id)
        if self.breaks == "sends again" and fault in {"reply", "request"} and isinstance(action, Submit):
            exchange.place(action, is_told=False)
        says_no = self.breaks == "takes unclear for no" and fault.startswith("unclear")
        self._answer(action.client_id, OrderStatus.REJECTED if says_no else OrderStatus.UNKNOWN, request)

    def _submit(self, action, exchange):
        if self.breaks == "takes":
            action = Submit(0, action.client_id, action.side, action.price_ticks, action.size_lots, is_post_only=False)
        order = exchange.place(action, is_told=self.breaks != "acknowledges nothing")
        if self.breaks == "takes" and order.price_ticks >= ASK:
            exchange.trade_against(order.client_id, order.size_lots)

    def _cancel(self, action, exchange):
        if action.client_id in exchange.open_ids():
            if self.breaks == "cancels nothing":
                self._answer(action.client_id, OrderStatus.CANCELED, Request.CANCEL)
                return
            exchange.cancel(action.client_id)
            return
        gone = self.breaks == "takes unknown for canceled"
        self._answer(action.client_id, OrderStatus.CANCELED if gone else OrderStatus.UNCHANGED, Request.CANCEL)

    def _query(self, action, exchange):
        order = exchange.orders.get(action.client_id)
        if order is None or self.breaks == "finds nothing":
            found = OrderStatus.OPEN if self.breaks == "finds everything" else OrderStatus.NOT_FOUND
            self._answer(action.client_id, found, Request.QUERY)
            return
        self._update(order, Request.QUERY)

    def _report(self, exchange):
        hides = self.breaks == "hides foreign orders"
        entries = tuple(
            OrderReport(
                order.client_id, order.order_id, order.side, order.price_ticks, order.size_lots, order.filled_lots
            )
            for order in exchange.orders.values()
            if order.status is OrderStatus.OPEN and not (hides and order.client_id.startswith("web"))
        )
        self._say(OpenOrdersReport(0, entries, self._now(), self._now()))

    def _update(self, order, request):
        self._say(
            OrderUpdate(
                0, order.client_id, order.status, request, self._now(), self._now(), order.order_id,
                order.price_ticks, order.size_lots, order.filled_lots,
            )
        )  # fmt: skip

    def _answer(self, client_id, status, request, **fields):
        self._say(OrderUpdate(0, client_id, status, request, self._now(), self._now(), **fields))

    def _say(self, event):
        if self.breaks == "logs its secret":
            logging.getLogger("mmframe.lab").debug("signed with %s", self._secret)
        self._events.append(event)
        self._notify()

    def _now(self):
        return self._clock.now_ns()


def conformance(broken=""):
    """Return the kit's class for a venue that breaks one rule."""
    venue_class = type("BrokenVenue", (LabVenue,), {"breaks": broken})
    lab = VenueSpec(name="lab", summary="S.", options=LabOptions, build=venue_class, modes=frozenset({Mode.LIVE}))

    class Conformance(LiveVenueConformance):
        spec = lab

        @asynccontextmanager
        async def peer(self):
            yield LabExchange()

    return Conformance()


class TestTheRulesAreKept(LiveVenueConformance):
    spec = conformance().spec

    @asynccontextmanager
    async def peer(self):
        yield LabExchange()


BROKEN = [
    ("tells no balance", "MM-L01"),
    ("claims to be virtual", "MM-L02"),
    ("takes anything", "MM-L02"),
    ("acknowledges nothing", "MM-L03"),
    ("tells the end first", "MM-L04"),
    ("sends again", "MM-L05"),
    ("finds nothing", "MM-L05"),
    ("sends again", "MM-L06"),
    ("finds everything", "MM-L06"),
    ("takes unclear for no", "MM-L07"),
    ("takes unknown for canceled", "MM-L08"),
    ("cancels nothing", "MM-L09"),
    ("hides foreign orders", "MM-L10"),
    ("leaves one", "MM-L11"),
    ("is deaf to others", "MM-L12"),
    ("forgets missed fills", "MM-L13"),
    ("hides a broken stream", "MM-L13"),
    ("numbers fills itself", "MM-L14"),
    ("takes", "MM-L15"),
    ("amends to the rest", "MM-L16"),
    ("drops what comes early", "MM-L17"),
    ("shows its secret", "MM-L18"),
    ("logs its secret", "MM-L18"),
    ("does not end", "MM-L19"),
]


def method(case_id):
    return next(
        name
        for name in dir(LiveVenueConformance)
        if getattr(getattr(LiveVenueConformance, name), "conformance_case", None) is CASES[case_id]
    )


@pytest.mark.parametrize(("broken", "case_id"), BROKEN)
def test_a_venue_that_breaks_a_rule_is_caught(broken, case_id, monkeypatch, caplog):
    monkeypatch.setattr(live_venue, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(live_venue, "_END_S", 0.2)
    arguments = {"caplog": caplog} if case_id == "MM-L18" else {}

    with pytest.raises(ConformanceError) as caught:
        getattr(conformance(broken), method(case_id))(**arguments)

    assert caught.value.case.id == case_id


def test_every_live_case_is_tried():
    assert {case_id for _, case_id in BROKEN} == {case_id for case_id in CASES if case_id.startswith("MM-L")}

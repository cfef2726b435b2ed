from __future__ import annotations

import pytest

from mmframe.domain.kinds import Scope
from mmframe.domain.orders import Amend as AmendAction
from mmframe.domain.orders import Cancel, OrderStatus, OrderUpdate, Replace, Request, Submit, VenueCapabilities
from mmframe.domain.views import QuoteProposal, RiskVerdict
from mmframe.engine import Engine
from mmframe.engine.settings import (
    EngineSettings,
    GateLimits,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
    NamedRiskControl,
    NamedSignal,
)
from mmframe.testing import delta, make_batch, make_instrument, snapshot
from mmframe.testing.reference import ReferenceBook

INSTRUMENT = make_instrument(tick_size="1", lot_size="1")
SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS


class Quoter:
    """An optimizer whose next answer the test sets: a proposal, an error to raise, or anything else."""

    def __init__(self, answer):
        self.answer = answer
        self.seen = []

    def propose(self, view, inventory, advice, proposal):
        self.seen.append((view, inventory, advice, proposal))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(view) if callable(self.answer) else self.answer


class Control:
    """A risk control whose answer is a function of the quotes, or an error to raise."""

    def __init__(self, answer):
        self.answer = answer

    def assess(self, view, inventory, advice, proposal):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(proposal)


def named_control(index, control):
    """A control from its answer, `(answer, scope)` or `(answer, scope, terms of a liquidation)`."""
    answer, scope, terms = (*control, None)[:3] if isinstance(control, tuple) else (control, Scope.MARKET, None)
    return NamedRiskControl(f"control-{index}", Control(answer), scope, liquidation=terms)


def quotes(bid=99.0, bid_size=10.0, ask=101.0, ask_size=10.0):
    return QuoteProposal(bid, bid_size, ask, ask_size, 0, 0)


def allow(proposal):
    return RiskVerdict(0, proposal.bid, proposal.bid_size, proposal.ask, proposal.ask_size, 0)


class Bench:
    """One engine with its answers played by hand."""

    def __init__(self, answer=None, *, controls=(), signals=(), capabilities=None, records=False, **fields):
        self.quoter = Quoter(quotes() if answer is None else answer)
        limits = fields.pop("limits", GateLimits())
        market = MarketSettings(
            fields.pop("instrument", INSTRUMENT),
            10,
            limits,
            **{name: fields.pop(name) for name in ("ladder", "reconcile", "target_position_lots") if name in fields},
        )
        self.settings = EngineSettings("demo", "0", (market,), **fields)
        pipeline = MarketPipeline(
            ReferenceBook(),
            tuple(NamedSignal(name, signal) for name, signal in signals),
            (NamedOptimizer("quoter", self.quoter),),
            tuple(named_control(index, control) for index, control in enumerate(controls)),
        )
        if capabilities is None:
            capabilities = VenueCapabilities(can_amend=True, shrink_keeps_priority=True, is_virtual=True)
        self.engine = Engine(self.settings, [pipeline], capabilities, records_decisions=records)
        self.now_ns = START_NS
        self.sent = []

    def book(self, bid=98, ask=102, lots=50):
        return self.message(snapshot(bids=[(bid, lots), (bid - 1, lots)], asks=[(ask, lots), (ask + 1, lots)]))

    def message(self, message):
        self.engine.on_market(make_batch(message, start_ns=self.now_ns), 0)
        return self.decide()

    def touch(self, *, bid=None, ask=None, lots=50):
        bids = [] if bid is None else [(bid, lots)]
        asks = [] if ask is None else [(ask, lots)]
        return self.message(delta(bids=bids, asks=asks))

    def decide(self):
        actions = [item.action for item in self.engine.decide(self.now_ns)]
        self.sent.extend(actions)
        return actions

    def after(self, seconds):
        self.now_ns += int(seconds * SECOND_NS)
        return self.decide()

    def handle(self, event):
        self.engine.handle(event)
        return self.decide()

    def accept(self, actions, *, version=1):
        """Answer actions as a venue that does what it is told."""
        for action in actions:
            status, request = OrderStatus.OPEN, Request.SUBMIT
            if isinstance(action, Cancel):
                status, request = OrderStatus.CANCELED, Request.CANCEL
            elif isinstance(action, AmendAction):
                request, version = Request.AMEND, action.expected_version + 1
            elif isinstance(action, Replace):
                status, request = OrderStatus.REPLACED, Request.REPLACE
            elif not isinstance(action, Submit):
                continue
            self.engine.handle(
                OrderUpdate(
                    0,
                    action.client_id,
                    status,
                    request,
                    self.now_ns,
                    self.now_ns,
                    version=version,
                    new_client_id=getattr(action, "new_client_id", ""),
                )
            )

    @property
    def orders(self):
        return {
            order.client_id: (order.side.name, order.price_ticks, order.leaves_lots)
            for order in self.engine._markets[0].tracker
        }


@pytest.fixture
def bench():
    return Bench


@pytest.fixture
def quoting():
    """An engine that quotes 10 at 99 and 10 at 101 around a mid of 100, both orders open."""
    made = Bench()
    made.accept(made.book())
    made.after(0.1)
    assert set(made.orders.values()) == {("BUY", 99, 10), ("SELL", 101, 10)}
    return made

"""The engine against a venue that loses, delays, doubles and refuses: the venue's truth must come out."""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, CancelAll, Fill, OrderUpdate, Replace, Request, Submit, VenueCapabilities
from mmframe.domain.views import QuoteProposal
from mmframe.engine import Engine
from mmframe.engine.settings import (
    EngineSettings,
    GateLimits,
    LadderSettings,
    MarketPipeline,
    MarketSettings,
    NamedOptimizer,
)
from mmframe.engine.state import RestoredFill, RestoredRun
from mmframe.runtime.journal import orders as journal_orders
from mmframe.runtime.journal.restore import sequence_of
from mmframe.testing import delta, make_batch, make_instrument, snapshot
from mmframe.testing.fake_venue import (
    Answer,
    Duplicate,
    FakeVenue,
    LateAnswer,
    NoAnswer,
    Reject,
    UnclearAnswer,
)
from mmframe.testing.reference import ReferenceBook

MS = 1_000_000
START_NS = 1_800_000_000 * 1000 * MS
LIMIT = 30
INSTRUMENT = make_instrument(tick_size="1", lot_size="1")


class WanderingQuoter:
    """Quotes around a price that the test moves, so that orders are placed, amended and replaced all the time."""

    centre = 100

    def propose(self, view, inventory, advice, proposal):
        return QuoteProposal(self.centre - 2.0, 10.0, self.centre + 2.0, 10.0, 0, 0)


class Memory:
    """What a journal knows: the same transitions as on disk, without the disk."""

    def __init__(self):
        self.orders = {}
        self.fills = []
        self.last_sequence = 0

    def begin(self, actions, now_ns):
        for action in actions:
            known = self.orders.get(getattr(action, "client_id", ""))
            live = [order for order in self.orders.values() if not order.is_final]
            for order in journal_orders.after_action(action, order=known, live=live, run=1, now_ns=now_ns):
                if order.client_id not in self.orders:
                    self.last_sequence = max(self.last_sequence, sequence_of(order.client_id))
                self.orders[order.client_id] = order

    def on_fill(self, fill, mid_half_ticks):
        self.fills.append(RestoredFill(fill, mid_half_ticks))
        order = self.orders[fill.client_id]
        self.orders[fill.client_id] = journal_orders.after_fill(order, fill, run=1)

    def on_update(self, update, state):
        order = self.orders.get(update.client_id)
        if order is None or state is None:
            return
        self.orders[update.client_id] = journal_orders.after_update(order, update, state, run=1)
        if update.request is Request.REPLACE:
            for new in [each for each in self.orders.values() if each.replaces == update.client_id]:
                self.orders[new.client_id] = journal_orders.after_replacement(new, update, run=1)

    def restored(self, state):
        return RestoredRun(
            msgspec.structs.replace(state, last_sequence=self.last_sequence),
            tuple(order.restored() for order in self.orders.values() if not order.is_final),
            tuple(self.fills),
        )


class Run:
    """One engine, its venue and what its journal knows; `MARKETS` markets whose quoters the test moves."""

    def __init__(self, capabilities, *, levels=1, markets=1):
        self.capabilities, self.levels, self.markets = capabilities, levels, range(markets)
        self.quoters = [WanderingQuoter() for _ in self.markets]
        self.venue = FakeVenue(latency_ms=5.0, capabilities=capabilities)
        self.memory = Memory()
        self.now_ns = START_NS
        self.positions = [0 for _ in self.markets]
        self.engine = self.new_engine()
        self.show_books()

    def new_engine(self):
        ladder = LadderSettings(levels=self.levels, step_bps=100.0)
        limits = GateLimits(max_position_lots=LIMIT, max_orders_per_second=1000)
        settings_ = EngineSettings(
            "demo",
            "0",
            tuple(MarketSettings(INSTRUMENT, 10, limits, ladder=ladder) for _ in self.markets),
            requote_interval_ns=10 * MS,
        )
        pipelines = [MarketPipeline(ReferenceBook(), (), (NamedOptimizer("q", each),), ()) for each in self.quoters]
        return Engine(settings_, pipelines, self.capabilities)

    def show_books(self):
        for market in self.markets:
            batch = make_batch(snapshot(bids=[(50, 9)], asks=[(150, 9)]), market=market, start_ns=self.now_ns)
            self.engine.on_market(batch, 0)
        self.pump()

    def pump(self):
        """Let everything happen that is due by now."""
        for _ in range(100):
            if self.venue.next_event_ns <= self.now_ns:
                for event in self.venue.poll(self.now_ns):
                    self.take(event)
            elif self.engine.wake_ns <= self.now_ns:
                for approved in self.decide():
                    self.venue.execute(approved, self.now_ns)
            else:
                return
        raise AssertionError("the engine does not come to rest")

    def take(self, event):
        if isinstance(event, Fill):
            self.memory.on_fill(event, 200)
        state = self.engine.handle(event)
        if isinstance(event, OrderUpdate):
            self.memory.on_update(event, state)

    def decide(self):
        approved = self.engine.decide(self.now_ns)
        self.memory.begin([item.action for item in approved], self.now_ns)
        return approved

    def wait(self, milliseconds):
        end_ns = self.now_ns + milliseconds * MS
        while (next_ns := min(self.venue.next_event_ns, self.engine.wake_ns)) <= end_ns:
            self.now_ns = max(self.now_ns, next_ns)
            self.pump()
        self.now_ns = end_ns

    def show_move(self, step, market):
        quoter = self.quoters[market]
        quoter.centre += step
        batch = make_batch(delta(bids=[(50, quoter.centre)]), market=market, start_ns=self.now_ns)
        self.engine.on_market(batch, 0)

    def move(self, step, market=0):
        self.show_move(step, market)
        self.pump()

    def trade(self, pick, lots):
        for market in self.markets:
            resting = self.venue.open_orders(market)
            if resting:
                order = resting[pick % len(resting)]
                size = min(lots, order.size_lots - order.filled_lots)
                self.venue.fill(order.client_id, size, now_ns=self.now_ns)
                self.positions[market] += size if order.side == Side.BUY else -size
                self.pump()

    def restart(self, *, unsent):
        """Let the process die, with `unsent` between the journal and the wire, and begin a new one.

        What the venue had to say to the old process is lost, but for executions, which it tells to whoever asks.
        """
        if unsent:
            for market in self.markets:
                self.show_move(1, market)
            self.now_ns += 11 * MS
            self.decide()
        self.venue._queue = sorted(entry for entry in self.venue._queue if isinstance(entry[2], Fill))
        self.venue._reschedule()
        state = self.engine.state()
        self.engine = self.new_engine()
        self.engine.restore(self.memory.restored(state))
        self.venue.say_status(is_up=True, now_ns=self.now_ns)
        self.show_books()

    def lose_private_stream(self, milliseconds):
        """Let the venue be down for a while."""
        self.venue.say_status(is_up=False, now_ns=self.now_ns, reason="private stream lost")
        self.pump()
        self.wait(milliseconds)
        self.venue.say_status(is_up=True, now_ns=self.now_ns)
        self.pump()

    def check_exposure(self):
        """Whatever really rests at the venue, all of it filling cannot break the limit."""
        for market in self.markets:
            for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
                resting = sum(o.size_lots - o.filled_lots for o in self.venue.open_orders(market) if o.side == side)
                assert sign * self.positions[market] + resting <= LIMIT


OUTCOMES = st.sampled_from(
    [
        Answer(),
        NoAnswer(takes_effect=True),
        NoAnswer(takes_effect=False),
        UnclearAnswer(takes_effect=True),
        UnclearAnswer(takes_effect=False),
        LateAnswer(after_ms=50.0),
        LateAnswer(after_ms=7000.0),
        Reject(),
        Duplicate(),
    ]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("script"), st.sampled_from(["submit", "cancel", "amend", "replace", "query"]), OUTCOMES),
        st.tuples(st.just("move"), st.integers(-3, 3), st.none()),
        st.tuples(st.just("wait"), st.sampled_from([1, 20, 300, 6000]), st.none()),
        st.tuples(st.just("trade"), st.integers(0, 5), st.integers(1, 10)),
        st.tuples(st.just("restart"), st.booleans(), st.none()),
        st.tuples(st.just("break"), st.sampled_from([0, 20, 6000]), st.none()),
    ),
    max_size=30,
)
CAPABILITIES = st.sampled_from(
    [
        VenueCapabilities(can_amend=True, shrink_keeps_priority=True, is_virtual=True),
        VenueCapabilities(can_replace=True, is_virtual=True),
        VenueCapabilities(is_virtual=True),
        VenueCapabilities(can_amend=True, shrink_keeps_priority=True),
        VenueCapabilities(can_replace=True, absence_delay_ns=7_000 * MS),
    ]
)


def play(run, steps):
    for number, (kind, first, second) in enumerate(steps):
        if kind == "script":
            run.venue.script(**{first: second})
        elif kind == "move":
            run.move(first, number % len(run.markets))
        elif kind == "wait":
            run.wait(first)
        elif kind == "restart":
            run.restart(unsent=first)
        elif kind == "break":
            run.lose_private_stream(first)
        else:
            run.trade(first, second)
        run.check_exposure()


def check_truth(run):
    """Let the venue answer again and compare what engine and journal know with what it holds."""
    # What is scripted and was not used yet happens now.
    for queue in run.venue._scripts.values():
        queue.clear()
    run.wait(60_000)

    status = run.engine.status(run.now_ns, started_ns=0, mode="paper")
    for market in run.markets:
        live = {order.client_id for order in run.engine._markets[market].tracker}
        assert live == {order.client_id for order in run.venue.open_orders(market)}
        assert status.markets[market].position == run.positions[market]
    assert {order.client_id for order in run.memory.orders.values() if not order.is_final} >= set(
        run.engine.unresolved_ids()
    )
    assert run.engine.faults == 0
    ids = [action.client_id for action in run.venue.received if isinstance(action, Submit)]
    ids += [action.new_client_id for action in run.venue.received if isinstance(action, Replace)]
    assert len(ids) == len(set(ids))

    for approved in run.engine.stop(run.now_ns, "end"):
        run.venue.execute(approved, run.now_ns)
    run.wait(60_000)
    assert run.venue.open_orders() == ()
    assert not run.engine.has_live_orders
    assert run.engine.is_confirmed_empty


@given(CAPABILITIES, STEPS)
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_after_any_faults_the_engine_ends_with_the_venues_truth(capabilities, steps):
    run = Run(capabilities)

    play(run, steps)

    check_truth(run)


@given(CAPABILITIES, STEPS)
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_ladders_in_two_markets_end_with_the_venues_truth(capabilities, steps):
    run = Run(capabilities, levels=3, markets=2)

    play(run, steps)

    check_truth(run)


def test_an_amend_that_is_refused_for_its_version_is_tried_again_on_the_fresh_one():
    run = Run(VenueCapabilities(can_amend=True, shrink_keeps_priority=True, is_virtual=True))
    run.wait(20)
    for order in run.venue._orders.values():
        order.version += 3

    run.wait(20)
    run.move(1)
    run.wait(3000)

    amends = [action for action in run.venue.received if isinstance(action, Amend)]
    assert {order.price_ticks for order in run.venue.open_orders(0)} == {99, 103}
    assert len({action.expected_version for action in amends}) == 2


def test_a_fill_that_is_told_after_the_stop_still_counts():
    run = Run(VenueCapabilities(is_virtual=True))
    run.wait(50)
    client_id = run.venue.open_orders(0)[0].client_id
    approved = run.engine.stop(run.now_ns, "end")
    assert [type(item.action) for item in approved] == [CancelAll]

    run.venue.fill(client_id, 4, now_ns=run.now_ns)
    for item in approved:
        run.venue.execute(item, run.now_ns)
    run.wait(1000)

    assert abs(run.engine.status(run.now_ns, started_ns=0, mode="paper").markets[0].position) == 4

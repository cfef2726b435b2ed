"""The engine against a venue that loses, delays, doubles and refuses: the venue's truth must come out."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, CancelAll, Submit, VenueCapabilities
from mmframe.domain.views import QuoteProposal
from mmframe.engine import Engine
from mmframe.engine.settings import EngineSettings, GateLimits, MarketPipeline, MarketSettings, NamedOptimizer
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


class Run:
    def __init__(self, capabilities):
        self.quoter = WanderingQuoter()
        settings_ = EngineSettings(
            "demo",
            "0",
            (MarketSettings(INSTRUMENT, 10, GateLimits(max_position_lots=LIMIT, max_orders_per_second=1000)),),
            requote_interval_ns=10 * MS,
        )
        pipeline = MarketPipeline(ReferenceBook(), (), (NamedOptimizer("q", self.quoter),), ())
        self.venue = FakeVenue(latency_ms=5.0, capabilities=capabilities)
        self.engine = Engine(settings_, [pipeline], capabilities)
        self.now_ns = START_NS
        self.position = 0
        self.engine.on_market(make_batch(snapshot(bids=[(50, 9)], asks=[(150, 9)]), start_ns=self.now_ns), 0)
        self.pump()

    def pump(self):
        """Let everything happen that is due by now."""
        for _ in range(50):
            if self.venue.next_event_ns <= self.now_ns:
                for event in self.venue.poll(self.now_ns):
                    self.engine.handle(event)
            elif self.engine.wake_ns <= self.now_ns:
                for approved in self.engine.decide(self.now_ns):
                    self.venue.execute(approved, self.now_ns)
            else:
                return
        raise AssertionError("the engine does not come to rest")

    def wait(self, milliseconds):
        end_ns = self.now_ns + milliseconds * MS
        while (next_ns := min(self.venue.next_event_ns, self.engine.wake_ns)) <= end_ns:
            self.now_ns = max(self.now_ns, next_ns)
            self.pump()
        self.now_ns = end_ns

    def move(self, step):
        self.quoter.centre += step
        self.engine.on_market(make_batch(delta(bids=[(50, self.quoter.centre)]), start_ns=self.now_ns), 0)
        self.pump()

    def trade(self, pick, lots):
        resting = self.venue.open_orders(0)
        if resting:
            order = resting[pick % len(resting)]
            size = min(lots, order.size_lots - order.filled_lots)
            self.venue.fill(order.client_id, size, now_ns=self.now_ns)
            self.position += size if order.side == Side.BUY else -size
            self.pump()

    def check_exposure(self):
        """Whatever really rests at the venue, all of it filling cannot break the limit."""
        for side, sign in ((Side.BUY, 1), (Side.SELL, -1)):
            resting = sum(o.size_lots - o.filled_lots for o in self.venue.open_orders(0) if o.side == side)
            assert sign * self.position + resting <= LIMIT


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
    ),
    max_size=30,
)
CAPABILITIES = st.sampled_from(
    [
        VenueCapabilities(can_amend=True, shrink_keeps_priority=True, is_virtual=True),
        VenueCapabilities(can_replace=True, is_virtual=True),
        VenueCapabilities(is_virtual=True),
    ]
)


@given(CAPABILITIES, STEPS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_after_any_faults_the_engine_ends_with_the_venues_truth(capabilities, steps):
    run = Run(capabilities)
    for kind, first, second in steps:
        if kind == "script":
            run.venue.script(**{first: second})
        elif kind == "move":
            run.move(first)
        elif kind == "wait":
            run.wait(first)
        else:
            run.trade(first, second)
        run.check_exposure()

    # What is scripted and was not used yet happens now; then the venue answers again.
    for queue in run.venue._scripts.values():
        queue.clear()
    run.wait(60_000)

    live = {order.client_id for order in run.engine._markets[0].tracker}
    resting = {order.client_id for order in run.venue.open_orders(0)}
    status = run.engine.status(run.now_ns, started_ns=0, mode="paper").markets[0]
    assert live == resting
    assert status.position == run.position
    assert run.engine.faults == 0
    submitted = [action.client_id for action in run.venue.received if isinstance(action, Submit)]
    assert len(submitted) == len(set(submitted))

    for approved in run.engine.stop(run.now_ns, "end"):
        run.venue.execute(approved, run.now_ns)
    run.wait(60_000)
    assert run.venue.open_orders(0) == ()
    assert not run.engine.has_live_orders


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

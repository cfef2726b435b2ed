"""Both drivers on real components: the embedded exchange, the fill simulation, the sorted book."""

from __future__ import annotations

import threading
from decimal import Decimal

import anyio
import attrs
import pytest

from mmframe.builtin.books import BOOKS
from mmframe.builtin.exchange import FEEDS
from mmframe.builtin.exchange import VENUES as EMBEDDED_VENUES
from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.simulated import VENUES
from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS, MarketBatch, Side
from mmframe.domain.orders import (
    Amend,
    Cancel,
    CancelAll,
    Fill,
    OpenOrdersReport,
    QueryOpenOrders,
    Replace,
    Submit,
    VenueCapabilities,
)
from mmframe.domain.records import Command, OperatorCommand
from mmframe.engine.settings import EngineSettings, GateLimits, MarketPipeline, MarketSettings, NamedOptimizer
from mmframe.errors import DataError, FeedError, JournalError, UsageError, VenueError
from mmframe.runtime.clocks import VirtualClock
from mmframe.runtime.commands import SentCommand
from mmframe.runtime.driver import StopRequest, run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader
from mmframe.runtime.kill_switch import KillSwitch
from mmframe.runtime.operator_desk import OperatorDesk
from mmframe.runtime.plan import JournalPlan, Plan
from mmframe.runtime.realtime import RealTimeDriver
from mmframe.runtime.session import Session
from mmframe.testing import build_component, delta, gap, make_batch, make_instrument, snapshot, trade
from mmframe.testing.fake_venue import FakeVenue

MS = 1_000_000
SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
INSTRUMENT = make_instrument(tick_size="1", lot_size="1")


def spec(specs, name):
    return next(each for each in specs if each.name == name)


class ListHistory:
    def __init__(self, *batches):
        self._batches = batches

    def batches(self):
        yield from self._batches


class Recorder:
    """A sink that keeps everything."""

    wants_decisions = True

    def __init__(self):
        self.decisions, self.actions, self.fills, self.updates, self.limits = [], [], [], [], []
        self.is_closed = False

    def on_decision(self, decision):
        self.decisions.append(decision)

    def on_action(self, action, now_ns):
        self.actions.append((now_ns, action))

    def on_order_update(self, update):
        self.updates.append(update)

    def on_fill(self, fill):
        self.fills.append(fill)

    def on_advice(self, update):
        raise AssertionError

    def on_limit(self, limit):
        self.limits.append(limit)

    def close(self):
        self.is_closed = True


class Looker:
    interval_s = 0.0

    def __init__(self, look=lambda status: None):
        self.seen = []
        self._look = look

    def on_status(self, status):
        self.seen.append(status)
        self._look(status)


def plan(*, history=None, feed=None, venue=None, sinks=(), instrument=INSTRUMENT, mode=Mode.BACKTEST, lots=5, **fields):
    if venue is None:
        venue = build_component(
            spec(VENUES, "simulated"),
            spec(VENUES, "simulated").options(feed_latency_ms=10.0, order_latency_ms=20.0, latency_jitter_ms=0.0),
            instruments=(instrument,),
        )
    settings = EngineSettings("demo", "0", (MarketSettings(instrument, lots, GateLimits(max_position_lots=20 * lots)),))
    book = build_component(spec(BOOKS, "sorted"))
    optimizer = build_component(
        spec(OPTIMIZERS, "fixed-spread"), spec(OPTIMIZERS, "fixed-spread").options(spread_bps=fields.pop("bps", 200.0))
    )
    return Plan(
        name="demo",
        mode=mode,
        strategy_file="strategy.toml",
        strategy_hash="0" * 64,
        instruments=(instrument,),
        settings=settings,
        pipelines=(MarketPipeline(book, (), (NamedOptimizer("fixed-spread", optimizer),), ()),),
        feed=feed,
        history=history,
        venue=venue,
        sinks=tuple(sinks),
        journal=JournalPlan(None),
        assumptions=("fills follow from trades",),
        provenance=(),
        is_virtual=fields.pop("is_virtual", True),
        duration_ns=fields.pop("duration_ns", None),
        **fields,
    )


def calm_market(seconds=5):
    """Best 90/110 with a mid of 100; a trade through 99 after three seconds."""
    messages = [snapshot(bids=[(90, 50)], asks=[(110, 50)])]
    messages += [delta(bids=[(80, number + 1)]) for number in range(10 * seconds)]
    messages.insert(31, trade(Side.SELL, 95, 50))
    return make_batch(*messages, start_ns=START_NS, step_ns=SECOND_NS // 10)


def embedded_plan(**fields):
    feed_spec, venue_spec = spec(FEEDS, "embedded"), spec(EMBEDDED_VENUES, "embedded")
    options = feed_spec.options()
    instrument = feed_spec.instruments(options, ["BTC/USDT"])["BTC/USDT"]
    resources = {}
    feed = build_component(feed_spec, options, instruments=(instrument,), resources=resources)
    venue = build_component(venue_spec, instruments=(instrument,), resources=resources)
    return plan(feed=feed, venue=venue, instrument=instrument, mode=Mode.PAPER, lots=200, bps=2.0, **fields)


def test_a_backtest_quotes_fills_and_ends_with_no_order_left():
    sink = Recorder()

    result = run_plan(plan(history=ListHistory(calm_market()), sinks=[sink]))

    market = result.status.markets[0]
    assert result.ended_because == "end of data"
    assert (market.fills, market.position) == (1, Decimal(5))
    assert sink.fills[0].price_ticks == 99
    assert sink.fills[0].is_maker
    assert market.pnl.spread_capture == Decimal(5)
    assert result.cancelled == 2
    assert result.unresolved == ()
    assert market.working == ()
    assert result.assumptions == ("fills follow from trades",)
    assert sink.is_closed
    assert len(sink.decisions) == result.status.decisions


def test_an_order_reaches_the_market_after_both_latencies_and_not_before():
    """Sent at 0 ms, in the queue at 30 ms: the trade at 20 ms misses it, the one at 40 ms does not."""
    messages = [snapshot(bids=[(90, 50)], asks=[(110, 50)]), gap(), trade(Side.SELL, 95, 50)]
    quick = [messages[0], delta(), trade(Side.SELL, 95, 50), delta()]
    late = [messages[0], delta(), delta(), delta(), trade(Side.SELL, 95, 50), delta()]

    missed, hit = (
        run_plan(plan(history=ListHistory(make_batch(*each, start_ns=START_NS, step_ns=10_000_000))))
        for each in (quick, late)
    )

    assert missed.status.markets[0].fills == 0
    assert hit.status.markets[0].fills == 1


def test_batches_cut_anywhere_give_the_same_run():
    whole = calm_market()
    cut = []
    for index in range(len(whole)):
        piece = MarketBatch(0)
        piece.add(
            whole.kinds[index],
            exchange_ns=whole.exchange_ns[index],
            receive_ns=whole.receive_ns[index],
            changes=whole.changes(index),
        )
        cut.append(piece)

    runs = [run_plan(plan(history=ListHistory(*each))) for each in ([whole], cut, [*cut[:7], MarketBatch(0), *cut[7:]])]

    assert len({run.decision_hash for run in runs}) == 1


def test_recording_and_watching_change_nothing():
    plain = run_plan(plan(history=ListHistory(calm_market())))
    watched = run_plan(plan(history=ListHistory(calm_market()), sinks=[Recorder()]), observer=Looker())

    assert plain.decision_hash == watched.decision_hash


def test_the_pace_changes_nothing():
    fast = run_plan(embedded_plan(), limit_ns=2 * SECOND_NS)
    paced = run_plan(embedded_plan(), limit_ns=2 * SECOND_NS, speed=50.0, observer=Looker())

    assert fast.ended_because == paced.ended_because == "duration"
    assert fast.decision_hash == paced.decision_hash
    assert fast.status == paced.status


def test_a_run_on_the_embedded_exchange_trades_and_cleans_up():
    result = run_plan(embedded_plan(), limit_ns=20 * SECOND_NS)

    market = result.status.markets[0]
    assert market.fills > 0
    assert market.working == ()
    assert result.unresolved == ()
    assert market.pnl.total == market.pnl.spread_capture + market.pnl.inventory + market.pnl.fees


def test_a_plans_own_duration_ends_it():
    result = run_plan(embedded_plan(duration_ns=SECOND_NS))

    assert result.ended_because == "duration"
    # The run's second, and what it takes until the cancels are confirmed.
    assert SECOND_NS <= result.status.now_ns - result.status.started_ns < 2 * SECOND_NS


@pytest.mark.parametrize("speed", [None, 10.0], ids=["max", "paced"])
def test_a_stop_request_cancels_everything_and_says_why(speed):
    stop = StopRequest()

    def ask(status):
        if status.now_ns > status.started_ns + SECOND_NS:
            stop.request("interrupted")
            stop.request("second thoughts")

    result = run_plan(embedded_plan(), limit_ns=600 * SECOND_NS, stop=stop, observer=Looker(ask), speed=speed)

    assert result.ended_because == "interrupted"
    assert result.status.markets[0].working == ()
    assert result.status.now_ns < result.status.started_ns + 60 * SECOND_NS


def test_a_stop_request_from_another_thread_ends_a_paced_run():
    stop = StopRequest()
    timer = threading.Timer(0.2, stop.request, ["terminated"])
    timer.start()

    result = run_plan(embedded_plan(), limit_ns=600 * SECOND_NS, stop=stop, speed=1.0)

    timer.join()
    assert result.ended_because == "terminated"


def test_a_halt_ends_the_run_with_no_order_left():
    made = embedded_plan()
    session = Session(made)
    session.on_event(OperatorCommand(Command.KILL, START_NS, reason="test"))
    from mmframe.runtime.virtual import VirtualDriver

    result = VirtualDriver(session, speed=None, stop=StopRequest(), observer=None, limit_ns=None).run()

    assert result.ended_because == "halted"
    assert result.status.halt_reason == "killed: test"


def test_no_data_is_a_run_of_nothing():
    result = run_plan(plan(history=ListHistory()))

    assert (result.ended_because, result.status.events, result.status.decisions) == ("end of data", 0, 0)


def test_a_history_whose_batches_go_back_in_time_is_refused():
    later = make_batch(snapshot(bids=[(90, 5)], asks=[(110, 5)]), start_ns=START_NS + 5)
    earlier = make_batch(delta(bids=[(91, 5)]), start_ns=START_NS)

    with pytest.raises(FeedError, match="receive time went back"):
        run_plan(plan(history=ListHistory(later, earlier)))


def test_a_plan_without_any_market_data_is_refused():
    with pytest.raises(FeedError, match="expected a feed or a history"):
        run_plan(plan())


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(UsageError, match="speed: expected a number above 0"):
        run_plan(plan(history=ListHistory()), speed=speed)


def test_a_virtual_clock_moves_with_the_run():
    clock = VirtualClock()

    run_plan(plan(history=ListHistory(calm_market()), clock=clock))

    assert clock.now_ns() >= START_NS + 5 * SECOND_NS


class ScriptClock(VirtualClock):
    """Stands still while the feed plays its script, and moves on with every look once it is over."""

    step_ns = 0

    def now_ns(self):
        self.time_ns += self.step_ns
        return self.time_ns


class LiveFeed:
    """A feed as an adapter makes it: a task that receives, a queue, a notification."""

    next_event_ns = NEVER_NS

    def __init__(self, batches, clock, *, fails=None):
        self._batches = list(batches)
        self._clock = clock
        self._fails = fails
        self._queue = []

    def poll(self, now_ns):
        queue, self._queue = self._queue, []
        return queue

    async def run(self, notify):
        for batch in self._batches:
            self._clock.advance_to(batch.receive_ns[-1])
            self._queue.append(batch)
            notify()
            # Lets the driver take its turn; the clock stands still meanwhile.
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
        self._clock.advance_to(self._clock.now_ns() + SECOND_NS)
        self._clock.step_ns = 10_000_000
        if self._fails is not None:
            raise self._fails


def pieces():
    whole = calm_market()
    for index in range(len(whole)):
        piece = MarketBatch(0)
        piece.add(
            whole.kinds[index],
            exchange_ns=whole.exchange_ns[index],
            receive_ns=whole.receive_ns[index],
            changes=whole.changes(index),
        )
        yield piece


def live_plan(clock, **kwargs):
    feed = LiveFeed(pieces(), clock, **kwargs)
    return plan(feed=feed, mode=Mode.PAPER, is_virtual=False, clock=clock)


def test_paper_on_a_live_feed_fills_as_the_backtest_of_the_same_data_does():
    clock = ScriptClock(START_NS)

    result = run_plan(live_plan(clock), observer=Looker())

    backtest = run_plan(plan(history=ListHistory(calm_market())))
    assert result.ended_because == "end of data"
    assert result.status.markets[0].fills == backtest.status.markets[0].fills == 1
    assert result.status.markets[0].position == backtest.status.markets[0].position
    assert result.status.markets[0].pnl == backtest.status.markets[0].pnl
    assert result.market_messages == backtest.market_messages


def test_a_live_feed_that_gives_up_ends_the_run_with_its_own_error():
    with pytest.raises(FeedError, match="subscription refused"):
        run_plan(live_plan(ScriptClock(START_NS), fails=FeedError("subscription refused")))


def test_a_live_run_ends_on_a_stop_request_and_after_its_duration():
    stop = StopRequest()
    stop.request("interrupted")
    assert run_plan(live_plan(ScriptClock(START_NS)), stop=stop).ended_because == "interrupted"

    result = run_plan(live_plan(ScriptClock(START_NS)), limit_ns=2 * SECOND_NS)
    assert result.ended_because == "duration"


def test_a_live_run_needs_a_feed():
    with pytest.raises(FeedError, match="the strategy file has none"):
        run_plan(plan(is_virtual=False))


def test_a_live_halt_ends_the_run():
    session = Session(live_plan(ScriptClock(START_NS)))
    session.on_event(OperatorCommand(Command.KILL, START_NS))

    result = RealTimeDriver(session, stop=StopRequest(), observer=None, limit_ns=None).run()

    assert result.ended_because == "halted"


def test_actions_reach_the_venue_in_the_order_in_which_they_were_decided():
    sink = Recorder()
    run_plan(plan(history=ListHistory(calm_market()), sinks=[sink]))

    kinds = [type(action) for _, action in sink.actions]
    assert kinds[:2] == [Submit, Submit]
    assert kinds[-1] is CancelAll
    assert Cancel not in kinds
    times = [now_ns for now_ns, _ in sink.actions]
    assert times == sorted(times)


class Failing:
    """A sink that raises in one method, always."""

    wants_decisions = True

    def __init__(self, method):
        self.method = method
        self.calls = []

    def __getattr__(self, name):
        def call(*values):
            self.calls.append(name)
            if name == self.method:
                raise RuntimeError("full")

        return call


@pytest.mark.parametrize("method", ["on_decision", "on_action", "on_order_update", "on_fill", "close"])
def test_a_sink_that_raises_changes_nothing_and_is_told_nothing_more(method):
    sink, other = Failing(method), Recorder()

    result = run_plan(plan(history=ListHistory(calm_market()), sinks=[sink, other]))

    plain = run_plan(plan(history=ListHistory(calm_market())))
    assert result.decision_hash == plain.decision_hash
    assert result.cancelled == 2
    assert sink.calls.count(method) == 1
    assert sink.calls[-1] == "close"
    assert other.is_closed
    assert len(other.fills) == 1
    assert result.fault_notes == (f"sink Failing.{method}: RuntimeError: full; it is told nothing more",)


def test_data_whose_first_row_cannot_be_read_closes_the_sinks_too():
    sink = Recorder()

    with pytest.raises(DataError):
        run_plan(plan(history=BrokenHistory(), sinks=[sink]))

    assert sink.is_closed


class BrokenHistory(ListHistory):
    def batches(self):
        yield from super().batches()
        raise DataError("expected 8 columns, was 3", file="day.csv", line=7)


def test_data_that_cannot_be_read_on_ends_the_run_with_its_error_and_a_whole_journal(tmp_path):
    sink = Recorder()
    made = plan(history=BrokenHistory(calm_market()), sinks=[sink])
    path = tmp_path / "run.journal"

    with (
        Journal.create(path, RunHeader.of(made, started_ns=1)) as journal,
        pytest.raises(DataError, match=r"day\.csv:7: expected 8 columns, was 3"),
    ):
        run_plan(made, journal=journal)

    assert sink.is_closed
    with JournalReader(path) as reader:
        run = reader.run()
        fills = reader.fills()
    assert (run.ended_because, run.result.status.markets[0].fills) == ("failed", 1)
    assert [told.fill for told in fills] == sink.fills


class FullDisk:
    """A journal whose disk is full from the n-th call of one method on."""

    wants_decisions = False

    def __init__(self, journal, method, after):
        self._journal, self._method, self._left = journal, method, after
        self.intents = []

    def __getattr__(self, name):
        def call(*values):
            if name == self._method:
                self._left -= 1
                if self._left < 0:
                    raise JournalError("disk is full")
            if name == "begin":
                self.intents.extend(values[0])
            return getattr(self._journal, name)(*values)

        return call


class KeptVenue(FakeVenue):
    """A venue that is no simulation."""

    def __init__(self, *, fails_after=None, **fields):
        super().__init__(**fields, capabilities=VenueCapabilities(can_amend=True, is_virtual=False))
        self._fails_after = fails_after

    async def run(self, notify):
        if self._fails_after is not None:
            while len(self.received) < self._fails_after:
                await anyio.lowlevel.checkpoint()
            raise VenueError("key revoked")


def begin(session):
    """Bring a session on a live venue to its first quotes: the venue is up and its open orders have been compared."""
    session.engine.on_market(calm_market(), 0)
    session.advance_to(START_NS)
    for step in range(4):
        session.advance_to(START_NS + step * 150 * MS)
        session.on_venue(session.now_ns)
        session.decide(session.now_ns)


def kept_plan(clock, venue, **kwargs):
    return plan(feed=LiveFeed(pieces(), clock, **kwargs), mode=Mode.LIVE, is_virtual=False, clock=clock, venue=venue)


@pytest.mark.parametrize(
    ("method", "after"), [("begin", 0), ("begin", 1), ("on_order_update", 0), ("save_state", 0), ("finish", 0)]
)
def test_without_its_journal_a_run_adds_no_risk_and_takes_its_orders_back(tmp_path, method, after):
    venue, clock = KeptVenue(), ScriptClock(START_NS)
    made = kept_plan(clock, venue)

    with Journal.create(tmp_path / "run.journal", RunHeader.of(made, started_ns=1)) as journal:
        full = FullDisk(journal, method, after)
        with pytest.raises(JournalError, match="disk is full"):
            run_plan(made, journal=full)

    adding = [action for action in venue.received if isinstance(action, Submit | Amend | Replace)]
    assert all(action in full.intents for action in adding)
    assert venue.open_orders() == ()


def test_a_fill_that_the_journal_cannot_take_counts_for_the_clean_up(tmp_path):
    venue, clock = KeptVenue(), ScriptClock(START_NS)
    made = kept_plan(clock, venue)
    session = Session(made, journal=FullDisk(None, "on_fill", 0))
    session.journal.intents = []
    session.journal._journal = FakeJournal()
    begin(session)
    order = venue.open_orders()[0]
    session.on_venue(START_NS + SECOND_NS)
    venue.fill(order.client_id, now_ns=START_NS + SECOND_NS)

    session.on_venue(START_NS + SECOND_NS)

    assert isinstance(session.failure, JournalError)
    assert session.status().markets[0].position == 5


class FakeJournal:
    def __getattr__(self, name):
        return lambda *values: True


def test_a_live_feed_that_gives_up_leaves_no_order_behind():
    venue, clock = KeptVenue(), ScriptClock(START_NS)

    with pytest.raises(FeedError, match="subscription refused") as caught:
        run_plan(kept_plan(clock, venue, fails=FeedError("subscription refused")))

    assert any(isinstance(action, Submit) for action in venue.received)
    assert venue.open_orders() == ()
    assert caught.value.__notes__ == ["2 orders cancelled; left at the venue or in doubt: none"]


def test_a_bug_in_the_loop_leaves_no_order_behind():
    venue, clock = KeptVenue(), ScriptClock(START_NS)

    def look(status):
        if status.markets[0].our_bid:
            raise ZeroDivisionError("display")

    with pytest.raises(ZeroDivisionError, match="display"):
        run_plan(kept_plan(clock, venue), observer=Looker(look))

    assert any(isinstance(action, Submit) for action in venue.received)
    assert venue.open_orders() == ()


def test_an_event_that_fails_does_not_keep_out_the_next():
    venue, clock = KeptVenue(), ScriptClock(START_NS)
    session = Session(kept_plan(clock, venue))
    begin(session)
    order = venue.open_orders()[0]
    venue._say(OpenOrdersReport(7, (), START_NS, START_NS), START_NS)
    venue.fill(order.client_id, now_ns=START_NS)

    session.on_venue(START_NS + SECOND_NS)

    assert str(session.failure) == "market: expected an index below 1, was 7"
    assert session.status().markets[0].fills == 1


def test_a_venue_that_gives_up_ends_the_run_at_once_and_says_what_is_left():
    venue, clock = KeptVenue(fails_after=2), ScriptClock(START_NS)

    with pytest.raises(VenueError, match="key revoked") as caught:
        run_plan(kept_plan(clock, venue))

    (note,) = caught.value.__notes__
    assert note.startswith("0 orders cancelled; left at the venue or in doubt: mm-demo-0-1, mm-demo-0-2; ")
    assert "`mmframe kill " in note


def test_what_has_piled_up_is_applied_before_an_order_goes_to_a_real_venue():
    """A process that hung for ten seconds must not quote its way through them."""
    venue, clock = KeptVenue(), ScriptClock(START_NS)
    rising = [snapshot(bids=[(190 + step, 5)], asks=[(210 + step, 5)]) for step in range(50)]
    feed = LiveFeed([make_batch(*rising, start_ns=START_NS, step_ns=SECOND_NS // 5)], clock)

    run_plan(attrs.evolve(kept_plan(clock, venue), feed=feed))

    submits = [action for action in venue.received if isinstance(action, Submit)]
    # 1 % around the newest mid, 249.
    assert [action.price_ticks for action in submits] == [246, 252]
    others = [type(action) for action in venue.received if not isinstance(action, Submit)]
    # Asked before the first quote, and twice after the last order.
    assert others == [QueryOpenOrders, CancelAll, QueryOpenOrders, QueryOpenOrders]


class SwitchedVenue(KeptVenue):
    """A venue during whose n-th request somebody sets the kill switch."""

    def __init__(self, switch, at):
        super().__init__()
        self._switch, self._at = switch, at

    def execute(self, approved, now_ns):
        super().execute(approved, now_ns)
        if len(self.received) == self._at:
            self._switch.set("seen enough", now_ns)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_kill_switch_that_is_set_ends_a_live_run_without_another_order(tmp_path, at):
    switch = KillSwitch.of(tmp_path / "strategy.toml", "demo")
    venue, clock = SwitchedVenue(switch, at), ScriptClock(START_NS)
    made = attrs.evolve(kept_plan(clock, venue), strategy_file=str(tmp_path / "strategy.toml"))

    result = run_plan(made)

    assert (result.ended_because, result.status.halt_reason) == ("halted", "killed: seen enough")
    assert not any(isinstance(action, Submit | Amend) for action in venue.received[max(at, 3) :])
    assert venue.open_orders() == ()
    assert result.is_confirmed_empty


def test_orders_get_longer_to_be_gone_than_the_venue_takes_to_forget_a_request(monkeypatch):
    """A proof of absence that the end of the run cut off would leave orders in doubt that are none."""
    monkeypatch.setattr("mmframe.runtime.realtime._CLEAN_UP_S", 0.0)
    venue, clock, stop = KeptVenue(), ScriptClock(START_NS), StopRequest()
    stop.request("enough")

    result = run_plan(kept_plan(clock, venue), stop=stop)

    assert (result.ended_because, result.is_confirmed_empty) == ("enough", True)


def test_a_kill_switch_is_for_live_runs_alone(tmp_path):
    KillSwitch.of(tmp_path / "strategy.toml", "demo").set("no", START_NS)
    venue, clock = KeptVenue(), ScriptClock(START_NS)
    made = attrs.evolve(kept_plan(clock, venue), strategy_file=str(tmp_path / "strategy.toml"), mode=Mode.PAPER)

    assert run_plan(made).ended_because == "end of data"


class Orders:
    """A source of commands, each when the driver's clock has come to its time."""

    def __init__(self, *commands):
        self.due, self.answers = list(commands), []

    def take(self, now_ns, next_ns):
        taken = [each for each in self.due if each.receive_ns <= now_ns or each.receive_ns < next_ns < NEVER_NS]
        self.due = self.due[len(taken) :]
        return [SentCommand(number, "", each) for number, each in enumerate(taken, start=1)]

    def answer(self, answer):
        self.answers.append(answer)


def paused_for_three_seconds():
    return Orders(
        OperatorCommand(Command.PAUSE, START_NS + 1_050 * MS), OperatorCommand(Command.RESUME, START_NS + 4_050 * MS)
    )


def test_a_replay_is_paused_and_resumed():
    sink, orders = Recorder(), paused_for_three_seconds()

    result = run_plan(plan(history=ListHistory(calm_market()), sinks=[sink]), speed=1e6, commands=orders)

    submits = [at_ns - START_NS for at_ns, action in sink.actions if isinstance(action, Submit)]
    assert any(at_ns < 1_050 * MS for at_ns in submits)
    assert not any(1_050 * MS <= at_ns < 4_050 * MS for at_ns in submits)
    assert any(at_ns >= 4_050 * MS for at_ns in submits)
    # Nothing rests when the trade comes through that fills the same run without a pause.
    assert sink.fills == []
    assert [(answer.pulled, answer.left) for answer in orders.answers] == [(2, 2), (2, 0), (0, 0)]
    assert result.unresolved == ()


def test_a_live_run_is_paused_and_resumed():
    sink, orders, clock = Recorder(), paused_for_three_seconds(), ScriptClock(START_NS)
    made = attrs.evolve(kept_plan(clock, KeptVenue()), sinks=(sink,))
    session = Session(made)
    driver = RealTimeDriver(
        session, stop=StopRequest(), observer=None, limit_ns=None, desk=OperatorDesk(session, orders)
    )

    result = driver.run()

    submits = [at_ns - START_NS for at_ns, action in sink.actions if isinstance(action, Submit)]
    paused_ns, resumed_ns = (1_050 * MS, 4_050 * MS)
    assert any(at_ns < paused_ns for at_ns in submits)
    assert not any(paused_ns <= at_ns < resumed_ns for at_ns in submits)
    assert any(at_ns >= resumed_ns for at_ns in submits)
    assert orders.answers[0].pulled == 2
    assert not result.status.is_paused
    assert result.is_confirmed_empty


def test_an_execution_of_somebody_else_on_the_account_is_not_ours(caplog):
    venue, clock = KeptVenue(), ScriptClock(START_NS)
    session = Session(kept_plan(clock, venue))
    begin(session)
    fill = Fill(0, "web-1", "t9", Side.BUY, 200, 5, False, Decimal(0), "USDT", START_NS, START_NS)
    venue._say(fill, START_NS)

    session.on_venue(START_NS + SECOND_NS)

    assert session.status().markets[0].fills == 0
    assert [record.getMessage() for record in caplog.records] == ["foreign_fill"]

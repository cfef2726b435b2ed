"""Each conformance case fails for a component that breaks its rule, and says so with its id."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import pytest
from hypothesis import Phase, settings

from mmframe.domain.kinds import Mode
from mmframe.domain.market import MarketBatch, Side, Touch
from mmframe.domain.orders import OrderStatus, OrderUpdate, Request
from mmframe.domain.views import QuoteProposal, Reason, RiskLevel, RiskVerdict
from mmframe.errors import DataError
from mmframe.plugin import (
    BookSpec,
    FeedSpec,
    HistorySpec,
    OptimizerRule,
    OptimizerSpec,
    RiskControlSpec,
    RiskRule,
    SignalRule,
    SignalSpec,
    VenueSpec,
)
from mmframe.testing import (
    CASES,
    START_NS,
    BookConformance,
    ConformanceError,
    FakeVenue,
    FeedConformance,
    HistoryConformance,
    OptimizerConformance,
    ReferenceBook,
    RiskControlConformance,
    SignalConformance,
    VenueConformance,
    delta,
    gap,
    make_batch,
    snapshot,
    trade,
)


@pytest.fixture(autouse=True)
def _no_shrinking():
    # A broken component fails soon; how small its failing example becomes is hypothesis' own matter.
    settings.register_profile("find-only", phases=[Phase.generate], database=None)
    before = settings.get_current_profile_name()
    settings.load_profile("find-only")
    yield
    settings.load_profile(before)


def failing_cases(conformance, *, only=None, **fixtures):
    """Run every case of a test class, or only one; return the ids of those that fail, in order."""
    failed = []
    for name in sorted(dir(conformance)):
        test = getattr(conformance, name)
        if not name.startswith("test_") or only not in {None, test.conformance_case.id}:
            continue
        arguments = {key: value for key, value in fixtures.items() if key in test.__wrapped__.__code__.co_varnames}
        try:
            test(**arguments)
        except ConformanceError as error:
            failed.append(error.case.id)
        except pytest.skip.Exception:
            continue
    return sorted(failed)


# Books -------------------------------------------------------------------------------------------------------------


class _BookWith(ReferenceBook):
    """A right book; the broken ones below override one thing."""


class _TouchForgetsSellSide(_BookWith):
    def touch(self):
        touch = super().touch()
        return touch if touch.bid_lots else Touch(0, 0, 0, 0)


class _LevelsAscend(_BookWith):
    def levels(self, side, count):
        return sorted(super().levels(side, count))


class _ThroughExcludesLimit(_BookWith):
    def lots_through(self, side, limit_ticks):
        return super().lots_through(side, limit_ticks) - self.lots_at(side, limit_ticks)


class _RemovalRaises(_BookWith):
    def apply(self, sides, ticks, lots, start, end):
        for index in range(start, end):
            if not lots[index] and not self.lots_at(Side(sides[index]), ticks[index]):
                raise KeyError(ticks[index])
        super().apply(sides, ticks, lots, start, end)


class _ClearForgetsAsks(_BookWith):
    def clear(self):
        self._sides[Side.BUY] = {}


class _VersionSkipsEmptyMessages(_BookWith):
    def apply(self, sides, ticks, lots, start, end):
        super().apply(sides, ticks, lots, start, end)
        self._version -= start == end


class _AppliesWholeBatch(_BookWith):
    def apply(self, sides, ticks, lots, start, end):
        super().apply(sides, ticks, lots, 0, end)


class _RoundsLots(_BookWith):
    def lots_through(self, side, limit_ticks):
        return int(float(super().lots_through(side, limit_ticks)) * 1.0)


class _SharesLevels(_BookWith):
    _shared: ClassVar = {Side.BUY: {}, Side.SELL: {}}

    def __init__(self):
        super().__init__()
        self._sides = self._shared


class _LosesDeepLevels(_BookWith):
    def levels(self, side, count):
        return super().levels(side, min(count, 500))


class _RepairsCrossing(_BookWith):
    def apply(self, sides, ticks, lots, start, end):
        super().apply(sides, ticks, lots, start, end)
        while (touch := self.touch()).bid_lots and touch.ask_lots and touch.bid_ticks >= touch.ask_ticks:
            del self._sides[Side.SELL][touch.ask_ticks]


@pytest.mark.parametrize(
    ("book", "expected"),
    [
        (_TouchForgetsSellSide, "MM-B01"),
        (_LevelsAscend, "MM-B02"),
        (_ThroughExcludesLimit, "MM-B03"),
        (_RemovalRaises, "MM-B04"),
        (_ClearForgetsAsks, "MM-B05"),
        (_VersionSkipsEmptyMessages, "MM-B06"),
        (_AppliesWholeBatch, "MM-B07"),
        (_RoundsLots, "MM-B08"),
        (_SharesLevels, "MM-B10"),
        (_LosesDeepLevels, "MM-B11"),
        (_RepairsCrossing, "MM-B12"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_book_is_caught(book, expected):
    class Broken(BookConformance):
        spec = BookSpec(name="broken", summary="Broken.", build=lambda _options, _context: book())

    assert failing_cases(Broken(), only=expected) == [expected]


def test_a_book_that_hands_out_its_own_list_is_caught():
    class KeepsList(ReferenceBook):
        def __init__(self):
            super().__init__()
            self._kept = None

        def apply(self, *args):
            super().apply(*args)
            self._kept = None

        def levels(self, side, count):
            if self._kept is None:
                self._kept = super().levels(side, count)
            return self._kept

    class Broken(BookConformance):
        spec = BookSpec(name="broken", summary="Broken.", build=lambda _options, _context: KeepsList())

    assert failing_cases(Broken(), only="MM-B09") == ["MM-B09"]


def test_the_reference_book_passes():
    class Right(BookConformance):
        spec = BookSpec(name="right", summary="Right.", build=lambda _options, _context: ReferenceBook())

    assert failing_cases(Right()) == []


# Signals -----------------------------------------------------------------------------------------------------------


class _Signal:
    """The touch's size so far, right in every way; the broken ones below override one thing."""

    on_trade = None

    def __init__(self):
        self.value = math.nan

    def on_touch(self, tick):
        self.value = tick.bid_size

    def read(self, now_ns, tick):
        return self.value


class _RaisesAtFirst(_Signal):
    def read(self, now_ns, tick):
        if self.value != self.value:
            raise ValueError("nothing yet")
        return self.value


class _Infinite(_Signal):
    def on_touch(self, tick):
        self.value = math.inf


class _OutOfBounds(_Signal):
    def on_touch(self, tick):
        self.value = -1.0


class _SharedMean(_Signal):
    seen: ClassVar = []

    def on_touch(self, tick):
        self.seen.append(tick.bid_size)
        self.value = sum(self.seen) / len(self.seen)


class _CountsReads(_Signal):
    def read(self, now_ns, tick):
        self.value = 1.0 if self.value != self.value else self.value + 1.0
        return self.value


class _DividesByTime(_Signal):
    last_ns = 0

    def on_touch(self, tick):
        self.value = 1e9 / (tick.now_ns - self.last_ns)
        self.last_ns = tick.now_ns


class _NoHandler(_Signal):
    on_trade = 3


class _Grows(_Signal):
    def __init__(self):
        super().__init__()
        self.history = []

    def on_touch(self, tick):
        super().on_touch(tick)
        self.history.append(tick)


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (_RaisesAtFirst, "MM-S01"),
        (_Infinite, "MM-S02"),
        (_OutOfBounds, "MM-S02"),
        (_SharedMean, "MM-S03"),
        (_CountsReads, "MM-S04"),
        (_DividesByTime, "MM-S05"),
        (_NoHandler, "MM-S06"),
        (_SharedMean, "MM-S07"),
        (_Grows, "MM-S08"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_signal_is_caught(signal, expected):
    class Broken(SignalConformance):
        spec = SignalSpec(name="broken", summary="Broken.", provides="x", build=lambda _options, _context: signal())
        bounds = (0.0, math.inf)

    assert failing_cases(Broken(), only=expected) == [expected]


def test_a_right_signal_passes():
    class Right(SignalConformance):
        spec = SignalSpec(name="right", summary="Right.", provides="x", build=lambda _options, _context: _Signal())

    assert failing_cases(Right()) == []


def test_a_signal_rule_that_cannot_be_compiled_is_caught():
    def read(params, state, now_ns, tick):
        raise ValueError(f"no {params}")

    class Broken(SignalConformance):
        spec = SignalSpec(
            name="broken", summary="Broken.", provides="x", build=lambda _options, _context: SignalRule(read, ("x",))
        )

    with pytest.raises(ConformanceError, match=r"read uses raise.*params.0 is a str, not a number|f-string"):
        Broken().test_a_rule_can_be_compiled()


# Optimizers --------------------------------------------------------------------------------------------------------


def _quotes(view, half_spread=0.0005, size=None):
    bid, ask = view.mid * (1 - half_spread) - view.tick, view.mid * (1 + half_spread) + view.tick
    size = view.order_size if size is None else size
    reason = 0 if size else int(Reason.BELOW_MINIMUM)
    has_bid = bid > 0.0
    bid_reason = reason if has_bid else int(Reason.BELOW_MINIMUM)
    return QuoteProposal(bid, size if has_bid else 0.0, ask, size, bid_reason, reason)


class _Optimizer:
    """Right in every way; the broken ones below override one thing."""

    def propose(self, view, inventory, advice, proposal):
        return _quotes(view)


class _ReturnsTuple(_Optimizer):
    def propose(self, view, inventory, advice, proposal):
        return tuple(_quotes(view))


class _PassesNan(_Optimizer):
    def propose(self, view, inventory, advice, proposal):
        spread = max(0.0005, view.signals.volatility)
        return _quotes(view, half_spread=view.signals.volatility * 0.0 + 0.0005 + 0.0 * spread)


class _Crosses(_Optimizer):
    def propose(self, view, inventory, advice, proposal):
        quotes = _quotes(view)
        return quotes._replace(bid=view.mid, ask=view.mid, bid_size=view.order_size, bid_reason=0)


class _DividesByLimit(_Optimizer):
    def propose(self, view, inventory, advice, proposal):
        return _quotes(view, size=view.order_size * (view.order_size / view.order_size))


class _Random(_Optimizer):
    def __init__(self):
        self.noise = id(self) % 997

    def propose(self, view, inventory, advice, proposal):
        _Random.calls = getattr(_Random, "calls", 0) + 1
        quotes = _quotes(view)
        return quotes._replace(ask=quotes.ask + _Random.calls * view.tick)


class _KeepsViews(_Optimizer):
    def __init__(self):
        self.views = []

    def propose(self, view, inventory, advice, proposal):
        self.views.append(view)
        return _quotes(view)


class _SilentAbsence(_Optimizer):
    def propose(self, view, inventory, advice, proposal):
        return QuoteProposal(math.nan, 0.0, math.nan, 0.0, 0, 0)


class _UnknownReason(_Optimizer):
    def propose(self, view, inventory, advice, proposal):
        return QuoteProposal(math.nan, 0.0, math.nan, 0.0, 1234, 1234)


class _BpsForShare(_Optimizer):
    def propose(self, view, inventory, advice, proposal):
        return _quotes(view, half_spread=0.5)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (_ReturnsTuple, "MM-O01"),
        (_PassesNan, "MM-O02"),
        (_Crosses, "MM-O03"),
        (_DividesByLimit, "MM-O04"),
        (_Random, "MM-O05"),
        (_KeepsViews, "MM-O06"),
        (_SilentAbsence, "MM-O07"),
        (_UnknownReason, "MM-O07"),
        (_BpsForShare, "MM-O08"),
        (_Random, "MM-O09"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_optimizer_is_caught(optimizer, expected):
    class Broken(OptimizerConformance):
        examples_max = 30
        spec = OptimizerSpec(
            name="broken",
            summary="Broken.",
            needs=("volatility",),
            build=lambda _options, _context: optimizer(),
        )

    assert failing_cases(Broken(), only=expected) == [expected]


def test_a_right_optimizer_passes():
    class Right(OptimizerConformance):
        examples_max = 30
        spec = OptimizerSpec(name="right", summary="Right.", build=lambda _options, _context: _Optimizer())

    assert failing_cases(Right()) == []


def test_an_optimizer_rule_that_cannot_be_compiled_is_caught():
    class Params(NamedTuple):
        mode: str

    def propose(params, state, view, inventory, advice, proposal):
        return proposal._replace(bid=view.bid) if params.mode == "join" else proposal

    class Broken(OptimizerConformance):
        spec = OptimizerSpec(
            name="broken", summary="Broken.", build=lambda _options, _context: OptimizerRule(propose, Params("join"))
        )

    with pytest.raises(ConformanceError) as failure:
        Broken().test_a_rule_can_be_compiled()
    assert "propose uses _replace" in failure.value.was
    assert "propose uses the string 'join'" in failure.value.was
    assert "params.mode is a str, not a number" in failure.value.was


# Risk controls -----------------------------------------------------------------------------------------------------


def _allow(proposal):
    return RiskVerdict(0, proposal.bid, proposal.bid_size, proposal.ask, proposal.ask_size, 0)


class _Control:
    """Right in every way; the broken ones below override one thing."""

    def assess(self, view, inventory, advice, proposal):
        if inventory.day_pnl_quote < 0.0:
            return RiskVerdict(int(RiskLevel.HALT), proposal.bid, 0.0, proposal.ask, 0.0, int(Reason.DAILY_LOSS))
        return _allow(proposal)


class _LevelNine(_Control):
    def assess(self, view, inventory, advice, proposal):
        return _allow(proposal)._replace(level=9, reason=int(Reason.HALTED))


class _Loosens(_Control):
    def assess(self, view, inventory, advice, proposal):
        return _allow(proposal)._replace(bid_size=view.order_size, level=1, reason=int(Reason.INVENTORY))


class _ChangesSilently(_Control):
    def assess(self, view, inventory, advice, proposal):
        return _allow(proposal)._replace(ask_size=proposal.ask_size / 2)


class _NoReason(_Control):
    def assess(self, view, inventory, advice, proposal):
        return _allow(proposal)._replace(level=1, ask_size=0.0)


class _DividesByPosition(_Control):
    def assess(self, view, inventory, advice, proposal):
        return _allow(proposal)._replace(level=int(0 / inventory.position))


class _SharedLatch(_Control):
    calls = 0

    def assess(self, view, inventory, advice, proposal):
        _SharedLatch.calls += 1
        return _allow(proposal)._replace(level=_SharedLatch.calls % 2, reason=(_SharedLatch.calls % 2) * 12)


class _NanPrice(_Control):
    def assess(self, view, inventory, advice, proposal):
        return _allow(proposal)._replace(level=1, bid=math.nan, reason=int(Reason.SPREAD_FLOOR))


class _ClosesWithoutTerms(_Control):
    def assess(self, view, inventory, advice, proposal):
        verdict = super().assess(view, inventory, advice, proposal)
        return verdict._replace(level=int(RiskLevel.LIQUIDATE)) if verdict.level else verdict


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (_LevelNine, "MM-R01"),
        (_Loosens, "MM-R02"),
        (_ChangesSilently, "MM-R03"),
        (_NoReason, "MM-R04"),
        (_DividesByPosition, "MM-R05"),
        (_SharedLatch, "MM-R06"),
        (_NanPrice, "MM-R07"),
        (_SharedLatch, "MM-R08"),
        (_ClosesWithoutTerms, "MM-R10"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_risk_control_is_caught(control, expected):
    class Broken(RiskControlConformance):
        spec = RiskControlSpec(name="broken", summary="Broken.", build=lambda _options, _context: control())

    assert failing_cases(Broken(), only=expected) == [expected]


def test_a_right_risk_control_passes():
    class Right(RiskControlConformance):
        spec = RiskControlSpec(name="right", summary="Right.", build=lambda _options, _context: _Control())

    assert failing_cases(Right()) == []


def test_a_risk_rule_that_cannot_be_compiled_is_caught():
    class Broken(RiskControlConformance):
        spec = RiskControlSpec(
            name="broken",
            summary="Broken.",
            build=lambda _options, _context: RiskRule(lambda p, s, v, i, a, proposal: {"level": 0}, ()),
        )

    with pytest.raises(ConformanceError, match="uses dict"):
        Broken().test_a_rule_can_be_compiled()


# Histories ---------------------------------------------------------------------------------------------------------


_BOOK = snapshot(bids=[(99, 5)], asks=[(101, 5)])


def _history(*batches, error=None):
    class History:
        def batches(self):
            yield from batches
            if error is not None:
                raise error

    class Subject(HistoryConformance):
        batch_messages_max = 100
        spec = HistorySpec(name="broken", summary="Broken.", build=lambda _options, _context: History())

    return Subject()


def _torn():
    batch = make_batch(_BOOK)
    batch.ticks.append(1)
    return batch


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([_torn()], "MM-H01"),
        ([make_batch(_BOOK, market=3)], "MM-H01"),
        ([make_batch(_BOOK), make_batch(_BOOK, start_ns=START_NS - 1)], "MM-H02"),
        ([make_batch(_BOOK, gap(), _BOOK), make_batch(_BOOK, start_ns=START_NS + 1)], "MM-H02"),
        ([make_batch(delta(bids=[(99, 1)]), _BOOK)], "MM-H04"),
        ([make_batch(_BOOK, gap(), delta(bids=[(99, 1)]))], "MM-H04"),
        ([make_batch(_BOOK, *[delta(bids=[(99, 1)])] * 100)], "MM-H06"),
        ([make_batch(_BOOK, trade(Side.BUY, 0, 1))], "MM-H07"),
        ([make_batch(_BOOK, trade(Side.BUY, 101, 0))], "MM-H07"),
        ([MarketBatch(0)], "MM-H08"),
    ],
)
def test_a_broken_history_is_caught(batches, expected):
    assert failing_cases(_history(*batches), good_options=None, bad_options=None, only=expected) == [expected]


def test_a_history_that_can_be_read_only_once_is_caught():
    iterator = iter([make_batch(_BOOK)])

    class Broken(HistoryConformance):
        spec = HistorySpec(
            name="broken",
            summary="Broken.",
            build=lambda _options, _context: type("Once", (), {"batches": lambda _self: iterator})(),
        )

    assert failing_cases(Broken(), good_options=None, bad_options=None, only="MM-H03") == ["MM-H03"]


@pytest.mark.parametrize(
    "error", [None, DataError("bad", file="day.csv"), DataError("bad", file="day.csv", line=8), ValueError("bad")]
)
def test_a_history_that_does_not_name_the_bad_line_is_caught(error):
    subject = _history(make_batch(_BOOK), error=error)

    with pytest.raises(ConformanceError, match="MM-H05"):
        subject.test_a_bad_row_is_an_error_with_file_and_line(bad_options=(None, "day.csv", 7))


def test_a_right_history_passes():
    subject = _history(make_batch(_BOOK, delta(bids=[(99, 0)]), gap(), _BOOK))

    assert failing_cases(subject, good_options=None, bad_options=None) == []


# Feeds -------------------------------------------------------------------------------------------------------------


class _Feed:
    """Right in every way: a message every 10 ms; the broken ones below override one thing."""

    step_ns = 10_000_000
    messages = (_BOOK, delta(bids=[(98, 1)]), trade(Side.BUY, 101, 1), delta(bids=[(98, 0)]))

    def __init__(self, seed=1):
        self.next_event_ns = START_NS
        self._number = 0

    def make(self):
        message = self.messages[self._number if self._number < 4 else 1 + self._number % 3]
        batch = make_batch(message, start_ns=self.next_event_ns)
        self._number += 1
        self.next_event_ns += self.step_ns
        return batch

    def poll(self, now_ns):
        batches = []
        while self.next_event_ns <= now_ns:
            batches.append(self.make())
        return batches

    async def run(self, notify):
        return None


class _NoTime(_Feed):
    def __init__(self, seed=1):
        super().__init__()
        self.next_event_ns = float(START_NS)


class _LooksAhead(_Feed):
    def poll(self, now_ns):
        return super().poll(now_ns + self.step_ns)


class _Repeats(_Feed):
    last = ()

    def poll(self, now_ns):
        self.last = super().poll(now_ns) or self.last
        return self.last


class _OneMessageAPoll(_Feed):
    def poll(self, now_ns):
        if self.next_event_ns > now_ns:
            return []
        batch = self.make()
        self.next_event_ns = now_ns + self.step_ns
        return [batch]


class _OtherMarket(_Feed):
    def make(self):
        batch = super().make()
        batch.market = 5
        return batch


class _NoSnapshot(_Feed):
    messages = (delta(bids=[(98, 1)]), *_Feed.messages[1:])


class _NeverEnds(_Feed):
    async def run(self, notify):
        import anyio

        await anyio.sleep_forever()


class _Unseeded(_Feed):
    built = 0

    def __init__(self, seed=1):
        super().__init__()
        _Unseeded.built += 1
        self.step_ns = 10_000_000 + _Unseeded.built


class _Stuck(_Feed):
    step_ns = 0

    def poll(self, now_ns):
        return [self.make()] if self.next_event_ns <= now_ns else []


class _Crossed(_Feed):
    messages = (snapshot(bids=[(101, 5)], asks=[(101, 5)]), *_Feed.messages[1:])


@pytest.mark.parametrize(
    ("feed", "expected"),
    [
        (_NoTime, "MM-F01"),
        (_LooksAhead, "MM-F02"),
        (_Repeats, "MM-F03"),
        (_OneMessageAPoll, "MM-F04"),
        (_OtherMarket, "MM-F05"),
        (_NoSnapshot, "MM-F06"),
        (_NeverEnds, "MM-F07"),
        (_Unseeded, "MM-F08"),
        (_Stuck, "MM-F09"),
        (_Crossed, "MM-F10"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_feed_is_caught(feed, expected, monkeypatch):
    monkeypatch.setattr("mmframe.testing.conformance.feed._RUN_TIMEOUT_S", 0.01)

    class Broken(FeedConformance):
        duration_s = 0.5
        spec = FeedSpec(name="broken", summary="Broken.", is_virtual=True, build=lambda _options, _context: feed())

    assert failing_cases(Broken(), only=expected) == [expected]


def test_a_right_feed_passes():
    class Right(FeedConformance):
        duration_s = 0.5
        spec = FeedSpec(name="right", summary="Right.", is_virtual=True, build=lambda _options, _context: _Feed())

    assert failing_cases(Right()) == []


# Venues ------------------------------------------------------------------------------------------------------------


class _TakesAnything(FakeVenue):
    def execute(self, approved, now_ns):
        action = getattr(approved, "action", approved)
        self.received.append(action)


class _ForgetsSell(FakeVenue):
    def _submit(self, action, now_ns):
        if action.side is Side.BUY:
            super()._submit(action, now_ns)


class _ForgetsIds(FakeVenue):
    def _submit(self, action, now_ns):
        self._orders.pop(action.client_id, None)
        super()._submit(action, now_ns)


def _update(action, status, request, now_ns):
    return OrderUpdate(
        market=0, client_id=action.client_id, status=status, request=request, exchange_ns=now_ns, receive_ns=now_ns
    )


class _Trades(FakeVenue):
    """Fills every order at once as taker."""

    is_maker = False
    worse_ticks = 0
    extra_lots = 0

    def _submit(self, action, now_ns):
        super()._submit(action, now_ns)
        order = self._orders[action.client_id]
        if order.status is OrderStatus.OPEN:
            self._trade(order, order.size_lots + self.extra_lots, now_ns, price_ticks=None)

    def _say(self, event, due_ns):
        import msgspec

        from mmframe.domain.orders import Fill

        if isinstance(event, Fill):
            worse = self.worse_ticks if event.side is Side.BUY else -self.worse_ticks
            event = msgspec.structs.replace(event, is_maker=self.is_maker, price_ticks=event.price_ticks + worse)
        super()._say(event, due_ns)


class _TradesWorse(_Trades):
    is_maker = True
    worse_ticks = 1


class _TradesTooMuch(_Trades):
    is_maker = True
    extra_lots = 1


class _RaisesOnCancel(FakeVenue):
    def _cancel(self, action, now_ns):
        if action.client_id not in self._orders:
            raise KeyError(action.client_id)
        super()._cancel(action, now_ns)


class _QuerySaysCanceled(FakeVenue):
    def _query(self, action, now_ns):
        self._say(_update(action, OrderStatus.CANCELED, Request.QUERY, now_ns), now_ns)


class _ReportsEverything(FakeVenue):
    def open_orders(self, market=-1):
        for order in self._orders.values():
            order.status = OrderStatus.OPEN
        return super().open_orders(market)


class _CancelAllLeavesSells(FakeVenue):
    def _cancel_all(self, action, now_ns):
        for order in self._orders.values():
            if order.side is Side.BUY:
                order.status = OrderStatus.CANCELED


class _IgnoresVersions(FakeVenue):
    def _amend(self, action, now_ns):
        self._orders[action.client_id].version = action.expected_version
        super()._amend(action, now_ns)


class _SaysTwice(FakeVenue):
    def poll(self, now_ns):
        events = super().poll(now_ns)
        self._last = events or getattr(self, "_last", [])
        return self._last


class _Seedless(FakeVenue):
    built = 0

    def __init__(self):
        _Seedless.built += 1
        super().__init__(latency_ms=_Seedless.built)


class _IocRests(FakeVenue):
    def _submit(self, action, now_ns):
        super()._submit(action, now_ns)
        self._orders[action.client_id].status = OrderStatus.OPEN


class _ReplaceKeepsOld(FakeVenue):
    def _replace(self, action, now_ns):
        super()._replace(action, now_ns)
        self._orders[action.client_id].status = OrderStatus.OPEN


def _venue_conformance(venue):
    class Subject(VenueConformance):
        fills_expected = False
        spec = VenueSpec(
            name="broken",
            summary="Broken.",
            modes=frozenset({Mode.PAPER}),
            is_virtual=True,
            build=lambda _options, _context: venue(),
        )

    return Subject()


@pytest.mark.parametrize(
    ("venue", "expected"),
    [
        (_TakesAnything, "MM-V01"),
        (_ForgetsSell, "MM-V02"),
        (_ForgetsIds, "MM-V03"),
        (_Trades, "MM-V04"),
        (_TradesWorse, "MM-V05"),
        (_TradesTooMuch, "MM-V05"),
        (_RaisesOnCancel, "MM-V06"),
        (_QuerySaysCanceled, "MM-V07"),
        (_ReportsEverything, "MM-V09"),
        (_CancelAllLeavesSells, "MM-V09"),
        (_IgnoresVersions, "MM-V10"),
        (_SaysTwice, "MM-V11"),
        (_Seedless, "MM-V12"),
        (_IocRests, "MM-V13"),
        (_ReplaceKeepsOld, "MM-V14"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_broken_venue_is_caught(venue, expected):
    assert failing_cases(_venue_conformance(venue), only=expected) == [expected]


def test_a_venue_that_hides_an_open_order_is_caught():
    class Hides(FakeVenue):
        def open_orders(self, market=-1):
            return super().open_orders(market)[:1]

    assert failing_cases(_venue_conformance(Hides), only="MM-V08") == ["MM-V08"]


def test_a_venue_in_which_nothing_trades_is_caught_where_fills_are_expected():
    class Subject(type(_venue_conformance(FakeVenue))):
        fills_expected = True

    assert failing_cases(Subject()) == ["MM-V05"]


def test_the_fake_venue_passes():
    assert failing_cases(_venue_conformance(FakeVenue)) == []


# The kit itself ----------------------------------------------------------------------------------------------------


def test_a_failure_says_id_rule_why_was_expected_and_hint():
    class Broken(OptimizerConformance):
        spec = OptimizerSpec(name="broken", summary="Broken.", build=lambda _options, _context: _ReturnsTuple())

    with pytest.raises(ConformanceError) as failure:
        Broken().test_it_returns_a_proposal_of_numbers()

    case = CASES["MM-O01"]
    first, *rest = str(failure.value).splitlines()
    assert first == f"MM-O01: {case.rule}"
    assert rest[0].startswith("  was       (")
    assert rest[1:] == [
        "  expected  a QuoteProposal of six numbers",
        f"  why       {case.reason}",
        f"  hint      {case.hint}",
    ]
    assert any("Failing edge case: Situation(view=MarketView(" in note for note in failure.value.__notes__)


def test_an_exception_of_the_component_becomes_the_failure_with_its_cause():
    class Broken(RiskControlConformance):
        spec = RiskControlSpec(name="broken", summary="Broken.", build=lambda _options, _context: _DividesByPosition())

    with pytest.raises(ConformanceError, match="was       ZeroDivisionError: ") as failure:
        Broken().test_nothing_raises()

    assert isinstance(failure.value.__cause__, ZeroDivisionError)
    assert any("Failing edge case: [Situation(view=MarketView(" in note for note in failure.value.__notes__)


def test_every_case_but_those_of_plugins_is_tried_by_exactly_one_test():
    classes = (
        BookConformance,
        SignalConformance,
        OptimizerConformance,
        RiskControlConformance,
        HistoryConformance,
        FeedConformance,
        VenueConformance,
    )

    tried = [getattr(cls, name).conformance_case.id for cls in classes for name in dir(cls) if name.startswith("test_")]

    # Live venues, plugins, advisers and model providers have files of their own beside this one.
    elsewhere = ("MM-A", "MM-L", "MM-M", "MM-P")
    assert sorted(tried) == sorted(case_id for case_id in CASES if not case_id.startswith(elsewhere))


def test_a_test_class_without_spec_says_what_to_set():
    from mmframe.errors import UsageError

    class Empty(OptimizerConformance):
        pass

    with pytest.raises(UsageError) as failure:
        Empty().build()

    assert failure.value.message == "Empty.spec: expected a OptimizerSpec, was None"
    assert failure.value.hint == "set `spec = YOUR_SPEC` in the body of the test class"


def test_a_failure_on_generated_input_shows_the_input():
    class FailsOnWideMarkets(_Optimizer):
        def propose(self, view, inventory, advice, proposal):
            if view.ask - view.bid > 3 * view.tick:
                raise ZeroDivisionError
            return _quotes(view)

    class Broken(OptimizerConformance):
        spec = OptimizerSpec(name="broken", summary="Broken.", build=lambda _options, _context: FailsOnWideMarkets())

    with pytest.raises(ConformanceError) as failure:
        Broken().test_it_returns_a_proposal_of_numbers()
    assert any("situation=Situation(view=MarketView(" in note for note in failure.value.__notes__)

"""Conformance of signals: driven by order-book streams the way the engine drives them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from mmframe.domain.market import MarketBatch, MessageKind, Side, Touch
from mmframe.domain.views import BookTick, TradeTick
from mmframe.plugin import SignalRule, SignalSpec
from mmframe.testing._check import ComponentConformance, case, deep_size_bytes, expect, rule_faults
from mmframe.testing.builders import delta, make_batch, snapshot, trade
from mmframe.testing.clock import START_NS
from mmframe.testing.reference import ReferenceBook
from mmframe.testing.strategies import l2_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.ports import Signal

__all__ = ["SignalConformance"]

_TAKER = {int(Side.BUY): 1.0, int(Side.SELL): -1.0, int(Side.UNKNOWN): 0.0}
_CALM_MESSAGES = 2_000
_CALM_STEP_NS = 10_000_000_000
_GROWTH_MAX = 1.5
_GROWTH_SLACK_BYTES = 4_096


class SignalConformance(ComponentConformance):
    """Subclass it and set `spec` (a SignalSpec), and `options` if it has required ones.

    Attributes:
        bounds: Smallest and largest value that the signal can have.
    """

    spec_class: ClassVar[type[SignalSpec]] = SignalSpec
    bounds: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    @case("MM-S01")
    def test_it_reads_before_any_data(self) -> None:
        """MM-S01."""
        rig = _Rig(self)
        value = rig.signal.read(START_NS, BookTick(START_NS, 99.99, 1.0, 100.01, 1.0, 100.0))
        expect("MM-S01", _is_value(value), was=value, expected="a float, NaN when not known")

    @case("MM-S02")
    def test_values_are_finite_or_nan_and_within_bounds(self) -> None:
        """MM-S02."""
        smallest, largest = self.bounds

        def holds(stream: list[MarketBatch]) -> None:
            for value in _Rig(self).values(stream):
                expect("MM-S02", _is_value(value), was=value, expected="a float that is finite or NaN")
                is_inside = math.isnan(value) or smallest <= value <= largest
                expect("MM-S02", is_inside, was=value, expected=f"{smallest} to {largest}")

        self.for_all(holds, stream=l2_streams())

    @case("MM-S03")
    def test_a_value_does_not_depend_on_what_comes_later(self) -> None:
        """MM-S03."""

        def holds(stream: list[MarketBatch], later: list[MarketBatch]) -> None:
            fresh, prefix = _Rig(self), _Rig(self)
            expected = fresh.values(stream)
            # Another instance sees other data first: only shared state could carry it over.
            _Rig(self).values(later)
            was = prefix.values(stream)
            expect("MM-S03", _same(was, expected), was=was, expected=expected)

        self.for_all(holds, stream=l2_streams(messages_max=20), later=l2_streams(messages_max=20))

    @case("MM-S04")
    def test_reading_does_not_change_it(self) -> None:
        """MM-S04."""

        def holds(stream: list[MarketBatch]) -> None:
            often, once = _Rig(self), _Rig(self)
            was = often.values(stream, reads=3)
            expected = once.values(stream, reads=1)
            expect("MM-S04", _same(was, expected), was=was, expected=expected)
            last_only = _Rig(self).values(stream, reads=0)
            if last_only:  # else the stream ends on a book that cannot be quoted on
                expect("MM-S04", _same(was[-1:], last_only), was=was[-1:], expected=last_only)

        self.for_all(holds, stream=l2_streams())

    @case("MM-S05")
    def test_bursts_and_long_gaps_stay_finite(self) -> None:
        """MM-S05."""
        for step_ns in (0, 1, 86_400_000_000_000):
            rig = _Rig(self)
            for value in rig.values([_walk(200, step_ns=step_ns)]):
                expect("MM-S05", _is_value(value), was=f"{value!r} at steps of {step_ns} ns", expected="finite or NaN")

    @case("MM-S06")
    def test_handlers_are_callables_or_none(self) -> None:
        """MM-S06."""
        signal = self.build(book=ReferenceBook())
        for name in ("on_touch", "on_trade"):
            handler = getattr(signal, name, "absent")
            expect(
                "MM-S06", handler is None or callable(handler), was=f"{name} = {handler!r}", expected="callable or None"
            )

    @case("MM-S07")
    def test_the_same_events_give_the_same_values(self) -> None:
        """MM-S07."""

        def holds(stream: list[MarketBatch]) -> None:
            was, expected = _Rig(self).values(stream), _Rig(self).values(stream)
            expect("MM-S07", _same(was, expected), was=was, expected=expected)

        self.for_all(holds, stream=l2_streams())

    @case("MM-S08")
    def test_memory_stays_bounded(self) -> None:
        """MM-S08."""
        rig = _Rig(self)
        rig.values([_walk(_CALM_MESSAGES, step_ns=_CALM_STEP_NS)], reads=0)
        early = deep_size_bytes(rig.signal)
        rig.values([_walk(5 * _CALM_MESSAGES, step_ns=_CALM_STEP_NS, start_ns=rig.now_ns)], reads=0)
        late = deep_size_bytes(rig.signal)
        limit = early * _GROWTH_MAX + _GROWTH_SLACK_BYTES
        expect("MM-S08", late <= limit, was=f"{early} bytes, then {late}", expected=f"at most {limit:.0f} bytes")

    @case("MM-S09")
    def test_a_rule_can_be_compiled(self) -> None:
        """MM-S09."""
        signal = self.build(book=ReferenceBook())
        if not isinstance(signal, SignalRule):
            return  # an ordinary object is simply not compiled
        for function in (signal.read_function, signal.on_touch_function, signal.on_trade_function):
            if function is not None:
                faults = list(rule_faults(function, signal.params))
                expect("MM-S09", not faults, was="; ".join(faults), expected="numbers and tuples only")


class _Rig:
    """One signal with its book, driven as the engine drives it."""

    def __init__(self, conformance: SignalConformance) -> None:
        self.book = ReferenceBook()
        self.signal: Signal = conformance.build(book=self.book)
        self.now_ns = START_NS
        self._instrument: Instrument = conformance.instruments[0]
        self._touch = Touch(0, 0, 0, 0)
        self._tick: BookTick | None = None

    def values(self, stream: Sequence[MarketBatch], *, reads: int = 1) -> list[float]:
        """Return the value after each message at which the book could be quoted on; the last one whatever `reads`."""
        values: list[float] = []
        for batch in stream:
            for index in range(len(batch)):
                self._play(batch, index)
                if self._tick is not None:
                    for _ in range(reads):
                        value = self.signal.read(self.now_ns, self._tick)
                    if reads:
                        values.append(value)
        if not reads and self._tick is not None:
            values.append(self.signal.read(self.now_ns, self._tick))
        return values

    def _play(self, batch: MarketBatch, index: int) -> None:
        kind, self.now_ns = batch.kinds[index], batch.receive_ns[index]
        if kind == MessageKind.TRADE:
            self._play_trades(batch, index)
        elif kind != MessageKind.OFF_BOOK_TRADE:
            if kind != MessageKind.DELTA:
                self.book.clear()
            self.book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
            self._after_book()

    def _play_trades(self, batch: MarketBatch, index: int) -> None:
        if self.signal.on_trade is None:
            return
        grid = self._instrument
        for side, ticks, lots in batch.changes(index):
            self.signal.on_trade(TradeTick(self.now_ns, ticks * grid.tick, lots * grid.lot, _TAKER[side]))

    def _after_book(self) -> None:
        touch = self.book.touch()
        if touch == self._touch:
            return
        self._touch = touch
        if not touch.bid_lots or not touch.ask_lots or touch.bid_ticks >= touch.ask_ticks:
            self._tick = None
            return
        grid = self._instrument
        bid, ask = touch.bid_ticks * grid.tick, touch.ask_ticks * grid.tick
        self._tick = BookTick(
            self.now_ns, bid, touch.bid_lots * grid.lot, ask, touch.ask_lots * grid.lot, (bid + ask) / 2.0
        )
        if self.signal.on_touch is not None:
            self.signal.on_touch(self._tick)


def _walk(messages: int, *, step_ns: int, start_ns: int = START_NS) -> MarketBatch:
    """Return a market that moves up and down by up to 17 ticks, with a trade every third message."""
    made = [snapshot(bids=[(10_000, 5)], asks=[(10_002, 5)])]
    centre = 10_001
    for number in range(messages):
        if number % 3 == 2:
            made.append(trade(Side.BUY if number % 2 else Side.SELL, centre, 1 + number % 5))
            continue
        moved = 10_001 + (number * 7) % 35 - 17
        made.append(
            delta(
                bids=[(centre - 1, 0), (moved - 1, 1 + number % 9)],
                asks=[(centre + 1, 0), (moved + 1, 1 + number % 4)],
            )
        )
        centre = moved
    return make_batch(*made, start_ns=start_ns, step_ns=step_ns)


def _is_value(value: object) -> bool:
    return isinstance(value, float) and not math.isinf(value)


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    # Bit for bit, and NaN equal to itself.
    return [value.hex() for value in one] == [value.hex() for value in other]

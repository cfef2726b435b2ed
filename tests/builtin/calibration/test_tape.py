"""A tape holds what a recording says of touches and takers, and nothing that never met the book."""

from __future__ import annotations

from mmframe.builtin.books.sorted_book import SortedBook
from mmframe.builtin.calibration import Mark, read_tape
from mmframe.domain.market import MessageKind, Side
from mmframe.testing import START_NS, delta, gap, make_batch, snapshot, trade

MS = 1_000_000
TOUCH, BOUGHT, SOLD, VOID = (int(mark) for mark in Mark)


class Recording:
    def __init__(self, *batches):
        self._batches = batches

    def batches(self):
        return iter(self._batches)


def entries(tape):
    return [
        ((time_ns - START_NS) // MS, *rest)
        for time_ns, *rest in zip(tape.times_ns, tape.marks, tape.low_ticks, tape.high_ticks, strict=True)
    ]


def test_touches_and_trades_of_a_recording():
    batch = make_batch(
        trade(Side.SELL, 99, 1),  # before the first snapshot
        snapshot(bids=[(100, 5)], asks=[(102, 5)]),
        delta(bids=[(90, 1)]),  # behind the touch
        trade(Side.BUY, 102, 1),
        delta(asks=[(102, 4)]),
        delta(asks=[(103, 3)]),
        trade(Side.UNKNOWN, 102, 1),
        delta(bids=[(101, 1)]),
        gap(),
        delta(bids=[(99, 1)]),
        snapshot(bids=[(98, 1)], asks=[(99, 1)]),
        delta(bids=[(98, 0)]),  # no bid left
    )

    tape = read_tape(Recording(batch), SortedBook())

    assert entries(tape) == [
        (0, SOLD, 99, 99),
        (1, TOUCH, 100, 102),
        (3, BOUGHT, 102, 102),
        (7, TOUCH, 101, 102),
        (8, VOID, 0, 0),
        (10, TOUCH, 98, 99),
        (11, VOID, 0, 0),
    ]
    assert (tape.trades, tape.unknown_trades) == (2, 1)
    assert (tape.start_ns, tape.end_ns) == (START_NS, START_NS + 11 * MS)


def test_the_executions_of_one_message_are_one_taker():
    batch = make_batch(snapshot(bids=[(100, 5)], asks=[(101, 5)]))
    sweep = ((int(Side.SELL), 100, 2), (int(Side.SELL), 97, 1), (int(Side.BUY), 103, 1), (int(Side.SELL), 98, 1))
    batch.add(MessageKind.TRADE, exchange_ns=START_NS + MS, receive_ns=START_NS + MS, changes=sweep)
    batch.add(MessageKind.OFF_BOOK_TRADE, exchange_ns=START_NS + MS, receive_ns=START_NS + 2 * MS, changes=sweep)

    tape = read_tape(Recording(batch), SortedBook())

    assert entries(tape) == [(0, TOUCH, 100, 101), (1, BOUGHT, 103, 103), (1, SOLD, 97, 100)]
    assert tape.trades == 4
    assert tape.end_ns == START_NS + 2 * MS


def test_another_market_and_what_is_after_the_limit_are_left_out():
    first = make_batch(*[trade(Side.BUY, 101, 1)] * 3, market=1)
    ours = make_batch(snapshot(bids=[(100, 5)], asks=[(101, 5)]), *[trade(Side.BUY, 101, 1)] * 9)

    tape = read_tape(Recording(first, ours), SortedBook(), limit_ns=3 * MS)

    assert [time_ms for time_ms, *_ in entries(tape)] == [0, 1, 2]

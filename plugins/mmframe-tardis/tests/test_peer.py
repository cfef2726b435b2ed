"""The simulated venue agrees with an independent simulator on recorded data, to the nanosecond.

The digest was made with hftbacktest 2.4.4 (risk-averse queue, partial fills, 20 ms order and 10 ms feed latency) on the
same schedule. Orders are of one lot: on larger ones the two differ by design, as ours never fills more than what
traded or is shown. Events are 10 ms old at receipt, as there; prints are never late then, which that simulator does not
look for.
"""

from __future__ import annotations

import hashlib
from array import array
from pathlib import Path

import pytest

from mmframe.builtin.books import BOOKS
from mmframe.builtin.simulated import VENUES
from mmframe.domain.market import MessageKind, Side
from mmframe.domain.orders import Cancel, Fill, Submit
from mmframe.testing import approve, build_component, make_instrument
from mmframe_tardis.plugin import HISTORIES

pytestmark = pytest.mark.slow

DIGEST = "5f7d7405a465449763c3e79e40741babbed470d81200229da61354171daf5006"
FILLED, ORDERS = 184, 690
S = 1_000_000_000
FEED_LATENCY_NS = 10_000_000
FIRST_NS, EVERY_NS, LIFE_NS = 30 * S, 45 * S, 40 * S


class Schedule:
    """Every 45 s an order of one lot a side, at the touch, one tick behind it or inside it; cancelled after 40 s."""

    def __init__(self, venue, book):
        self.venue, self.book = venue, book
        self.placed = {}
        self.fills = {}

    def place(self, number, now_ns):
        bid, _, ask, _ = self.book.touch()
        if number % 3 == 1:
            bid, ask = bid - 1, ask + 1
        elif number % 3 == 2 and ask - bid > 2:
            bid, ask = bid + 1, ask - 1
        for order_id, side, ticks in ((2 * number + 1, Side.BUY, bid), (2 * number + 2, Side.SELL, ask)):
            self.placed[order_id] = ticks
            self.venue.execute(approve(Submit(0, str(order_id), side, ticks, 1)), now_ns)

    def cancel(self, number, now_ns):
        for order_id in (2 * number + 1, 2 * number + 2):
            if order_id not in self.fills:
                self.venue.execute(approve(Cancel(0, str(order_id))), now_ns)

    def listen(self, until_ns):
        while self.venue.next_event_ns <= until_ns:
            for event in self.venue.poll(self.venue.next_event_ns):
                if isinstance(event, Fill):
                    self.fills[int(event.client_id)] = event.receive_ns


def test_one_lot_orders_fill_when_the_peers_do(shared_data):
    instrument = make_instrument("NEXO/USDT", tick_size="0.001", lot_size="0.01")
    paths = tuple(Path(f"binance_{kind}_2024-07-23_NEXOUSDT.csv.gz") for kind in ("incremental_book_L2", "trades"))
    history = build_component(
        HISTORIES[0],
        HISTORIES[0].options(paths=paths),
        instruments=(instrument,),
        directory=shared_data / "tardis_derived",
    )
    book = build_component(BOOKS[0], instruments=(instrument,))
    venue = build_component(
        VENUES[0],
        VENUES[0].options(order_latency_ms=20.0, feed_latency_ms=10.0, queue="risk-averse"),
        instruments=(instrument,),
    )
    schedule = Schedule(venue, book)
    steps = []

    for batch in history.batches():
        if not steps:
            start_ns = batch.receive_ns[0] + FIRST_NS
            for number in range(ORDERS // 2):
                at_ns = start_ns + number * EVERY_NS
                steps += [(at_ns, schedule.place, number), (at_ns + LIFE_NS, schedule.cancel, number)]
            steps.reverse()
        batch.exchange_ns = array("q", [time_ns - FEED_LATENCY_NS for time_ns in batch.receive_ns])
        for index, now_ns in enumerate(batch.receive_ns):
            while steps and steps[-1][0] < now_ns:
                at_ns, act, number = steps.pop()
                schedule.listen(at_ns)
                act(number, at_ns)
            schedule.listen(now_ns)
            if batch.kinds[index] != MessageKind.TRADE:
                if batch.kinds[index] == MessageKind.SNAPSHOT:
                    book.clear()
                book.apply(batch.sides, batch.ticks, batch.lots, batch.offsets[index], batch.offsets[index + 1])
            venue.observe(batch, index, book)
            schedule.listen(now_ns)

    lines = [f"{order_id},{ticks},{schedule.fills.get(order_id, 0)}" for order_id, ticks in schedule.placed.items()]
    assert (len(lines), len(schedule.fills)) == (ORDERS, FILLED)
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == DIGEST

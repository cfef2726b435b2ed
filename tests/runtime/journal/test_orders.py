"""The journal's orders against the engine's own tracker, over random but possible lives of orders."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.domain.market import Side
from mmframe.domain.orders import (
    Amend,
    Cancel,
    CancelAll,
    Fill,
    OrderState,
    OrderStatus,
    OrderUpdate,
    Replace,
    Request,
    Submit,
)
from mmframe.engine.orders import OrderTracker
from mmframe.runtime.journal import Journal, JournalReader, RecordedInstrument, RunHeader

HEADER = RunHeader(
    run_id="0",
    strategy="s",
    mode="paper",
    strategy_file="s.toml",
    strategy_hash="",
    started_ns=0,
    instruments=(RecordedInstrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")),),
)

STEPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 3), st.integers(1, 6)), min_size=5, max_size=60)
"""What happens, to which order, with how many lots; what is possible depends on the orders that live."""


class Life:
    """Drives a tracker and a journal with the same orders; fills are what a venue could make of them."""

    def __init__(self, path):
        self.path = path
        self.journal = Journal.create(path, HEADER)
        self.tracker = OrderTracker(0, acknowledge_timeout_ns=10**12, query_interval_ns=10**12)
        self.sequence = 0
        self.now_ns = 0
        self.trades = 0
        self.position_lots = 0
        self.ended: dict[str, OrderState] = {}

    def next_id(self):
        self.sequence += 1
        return f"mm-s-0-{self.sequence}"

    def begin(self, action):
        self.journal.begin([action], self.now_ns)

    def step(self, choice, pick, lots):
        self.now_ns += 1
        live = list(self.tracker)
        order = live[pick % len(live)] if live else None
        if order is None or (len(live) < 3 and choice % 4 == 0):
            self.submit(Submit(0, self.next_id(), Side(pick % 2), 100 + pick, lots))
        elif choice % 37 == 0:
            self.begin(CancelAll(0, "test"))
            self.tracker.on_cancel_all(self.now_ns)
        elif choice % 31 == 0:
            self.journal.close()
            self.journal, _ = Journal.reopen(self.path, HEADER)
        else:
            possible = self.possible(order)
            possible[choice % len(possible)](order, lots)

    def possible(self, order):
        if order.is_resting:
            ours = [self.amend, self.replace, self.cancel]
        else:
            ours = [self.cancel] if order.state is OrderState.PENDING_REPLACE else []
        if order.state in {OrderState.PENDING_REPLACE, OrderState.PENDING_CANCEL}:
            ours += [self.cancel_refused]
        if order.ends_as is not None:
            # The venue has said the last word; only executions that it counted are still to come.
            return [self.fill]
        if order.replacement_id:
            answers = [self.replaced, self.cancelled_only, self.both_live, self.refused, self.unknown]
        elif order.pending_leaves_lots:
            answers = [self.amended, self.amended_otherwise, self.refused, self.unknown]
        else:
            answers = [
                self.opened,
                self.cancelled,
                self.cancelled_ahead_of_fills,
                self.filled,
                self.rejected,
                self.unknown,
            ]
        fills = [self.fill, self.fill] if order.leaves_lots > 0 else []
        return ours + answers + fills

    def submit(self, action):
        self.begin(action)
        self.tracker.on_submit(action, self.now_ns)

    def amend(self, order, lots):
        action = Amend(0, order.client_id, order.price_ticks + 1, lots, order.version)
        self.begin(action)
        self.tracker.on_amend(action, self.now_ns)

    def replace(self, order, lots):
        action = Replace(0, order.client_id, self.next_id(), order.price_ticks + 1, lots)
        self.begin(action)
        self.tracker.on_replace(action, self.now_ns)

    def cancel(self, order, lots):
        action = Cancel(0, order.client_id)
        self.begin(action)
        self.tracker.on_cancel(action, self.now_ns)

    def fill(self, order, lots):
        lots = min(lots, order.leaves_lots)
        self.trades += 1
        fill = Fill(
            0, order.client_id, str(self.trades), order.side, order.price_ticks, lots, True, Decimal(0), "USDT",
            self.now_ns, self.now_ns,
        )  # fmt: skip
        assert self.journal.on_fill(fill, 2 * order.price_ticks)
        self.position_lots += lots if order.side is Side.BUY else -lots
        self.tracker.on_fill(fill)

    def opened(self, order, lots):
        self.tell(order, OrderStatus.OPEN, Request.SUBMIT)

    def amended(self, order, lots):
        self.tell(order, OrderStatus.OPEN, Request.AMEND)

    def amended_otherwise(self, order, lots):
        self.tell(order, OrderStatus.OPEN, Request.AMEND, size_lots=order.filled_lots + lots, price_ticks=99)

    def refused(self, order, lots):
        request = Request.REPLACE if order.replacement_id else Request.AMEND
        self.tell(order, OrderStatus.UNCHANGED, request, size_lots=order.size_lots)

    def cancel_refused(self, order, lots):
        self.tell(order, OrderStatus.UNCHANGED, Request.CANCEL, size_lots=order.size_lots)

    def unknown(self, order, lots):
        request = Request.AMEND if order.pending_leaves_lots else Request.SUBMIT
        self.tell(order, OrderStatus.UNKNOWN, request)

    def cancelled(self, order, lots):
        self.tell(order, OrderStatus.CANCELED, Request.STREAM, filled_lots=order.filled_lots)

    def cancelled_ahead_of_fills(self, order, lots):
        filled = min(order.filled_lots + lots, order.size_lots)
        self.tell(order, OrderStatus.CANCELED, Request.STREAM, filled_lots=filled)

    def filled(self, order, lots):
        self.tell(order, OrderStatus.FILLED, Request.STREAM)

    def rejected(self, order, lots):
        self.tell(order, OrderStatus.REJECTED, Request.SUBMIT)

    def replaced(self, order, lots):
        self.tell(order, OrderStatus.REPLACED, Request.REPLACE, new_client_id=order.replacement_id)

    def cancelled_only(self, order, lots):
        self.tell(order, OrderStatus.CANCELED_ONLY, Request.REPLACE)

    def both_live(self, order, lots):
        self.tell(order, OrderStatus.BOTH_LIVE, Request.REPLACE)

    def tell(self, order, status, request, **fields):
        update = OrderUpdate(0, order.client_id, status, request, self.now_ns, self.now_ns, **fields)
        self.journal.on_order_update(update, self.tracker.on_update(update, self.now_ns))


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_the_next_run_gets_back_exactly_what_the_engine_held_for_alive(steps):
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder) / "run.journal")
        for step in steps:
            life.step(*step)
        life.journal.close()
        with JournalReader(life.path) as reader:
            restored = {order.client_id: order for order in reader.restored().orders}
            fills = reader.fills()
            last_sequence = reader.restored().state.last_sequence
            ended = {order.client_id: order.state for order in reader.orders() if order.is_final}

    assert set(restored) == set(life.tracker.live)
    for order in life.tracker:
        back = restored[order.client_id]
        assert (back.side, back.filled_lots) == (order.side, order.filled_lots)
        # What may still fill, as the next run will reserve it, is at least what this run had reserved.
        assert back.size_lots - back.filled_lots >= order.reserved_lots
    for client_id, state in ended.items():
        assert life.tracker.final_state(client_id) is state
    assert sum(f.fill.size_lots if f.fill.side is Side.BUY else -f.fill.size_lots for f in fills) == life.position_lots
    assert last_sequence == life.sequence

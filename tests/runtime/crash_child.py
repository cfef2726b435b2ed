"""The process that test_kill.py kills: writes a journal as a driver does and tells each thing after it was done.

Run as `python crash_child.py JOURNAL SEED`. Every line on stdout speaks of something that the journal must hold:
`sent <client id>`, `fill <trade id>`, `state <last sequence>`; `again <trade id>` of a fill told twice and refused.
"""

from __future__ import annotations

import os
import random
import sys
from decimal import Decimal
from pathlib import Path

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, Cancel, Fill, OrderState, OrderStatus, OrderUpdate, Request, Submit
from mmframe.domain.records import QuoteDecision
from mmframe.engine.state import EngineState
from mmframe.runtime.journal import Journal, RecordedInstrument, RunHeader

HEADER = RunHeader(
    run_id="0",
    strategy="crash",
    mode="paper",
    strategy_file="crash.toml",
    strategy_hash="",
    started_ns=0,
    instruments=(RecordedInstrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")),),
)


def tell(*words):
    # One write for the line: a death in the middle of Python's own buffering would lose what was already done.
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def trade_of(number, live):
    """The venue's trade with this number: it is the same whenever it is told."""
    chance = random.Random(number)
    side = Side(chance.randint(0, 1))
    return Fill(
        0,
        chance.choice(live) if live else "nobody",
        f"t{number}",
        side,
        9_900 + chance.randint(0, 200),
        chance.randint(1, 5),
        is_maker=True,
        fee=Decimal(chance.randint(-5, 20)) / 1000,
        fee_asset="USDT",
        exchange_ns=number,
        receive_ns=number,
    )


def decision(sequence, now_ns):
    return QuoteDecision(sequence, 0, now_ns, {"bid": 99.9, "ask": 100.1}, {}, {}, (), (), (), 0, 0, (), ())


def open_journal(path):
    if not path.exists() or not path.stat().st_size:
        path.unlink(missing_ok=True)
        return Journal.create(path, HEADER), None
    return Journal.reopen(path, HEADER)


def run(path, seed):
    journal, restored = open_journal(path)
    chance = random.Random(seed)
    sequence, live, trades = 0, [], 0
    if restored is not None:
        sequence = restored.state.last_sequence
        live = [order.client_id for order in restored.orders]
        trades = len(restored.fills)
        for told in restored.fills[-5:]:
            # A venue tells its last trades once more after a reconnect.
            assert not journal.on_fill(told.fill, told.mid_half_ticks)
            tell("again", told.fill.venue_trade_id)
    now_ns = trades
    while True:
        now_ns += 50_000_000
        actions = []
        for _ in range(chance.randint(1, 3)):
            sequence += 1
            actions.append(Submit(0, f"mm-crash-0-{sequence}", Side(sequence % 2), 10_000 + sequence % 2, 5))
        if len(live) > 4:
            actions.append(Cancel(0, live[0]))
            actions.append(Amend(0, live[1], 9_999, 3, 0))
        journal.begin(actions, now_ns)
        for action in actions:
            if isinstance(action, Submit):
                tell("sent", action.client_id)
                live.append(action.client_id)
                update = OrderUpdate(0, action.client_id, OrderStatus.OPEN, Request.SUBMIT, now_ns, now_ns)
                journal.on_order_update(update, OrderState.OPEN)
        journal.on_decision(decision(sequence, now_ns))
        if len(live) > 4:
            gone = live.pop(0)
            journal.on_order_update(
                OrderUpdate(0, gone, OrderStatus.CANCELED, Request.CANCEL, now_ns, now_ns), OrderState.CANCELED
            )
        if chance.random() < 0.5:
            trades += 1
            if journal.on_fill(trade_of(trades, live), 20_001):
                tell("fill", f"t{trades}")
        if chance.random() < 0.2:
            journal.save_state(EngineState(last_sequence=sequence, day=1))
            tell("state", sequence)


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))

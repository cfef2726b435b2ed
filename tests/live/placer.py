"""A strategy's process that knows nothing but to place orders until the kill switch is set.

Run as `python placer.py STRATEGY_FILE NAME PORT`. It writes a journal, as every live run does, and so holds its lock.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from decimal import Decimal
from pathlib import Path

from mmframe.domain.market import Side
from mmframe.domain.orders import Submit
from mmframe.engine import client_id_prefix
from mmframe.runtime.journal import Journal, RecordedInstrument, RunHeader
from mmframe.runtime.kill_switch import KillSwitch


def place(strategy_file, name, port):
    switch = KillSwitch.of(strategy_file, name)
    header = RunHeader(
        run_id="p",
        strategy=name,
        mode="live",
        strategy_file=str(strategy_file),
        strategy_hash="",
        started_ns=time.time_ns(),
        instruments=(RecordedInstrument("BTC/USDT", Decimal("0.01"), Decimal("0.001")),),
    )
    path = switch.path.with_name(f"{name}-placer.journal")
    with (
        Journal.create(path, header) as journal,
        socket.create_connection(("127.0.0.1", port)) as connection,
        connection.makefile("rw") as stream,
    ):
        print(json.dumps({"do": "hello", "key": "right"}), file=stream, flush=True)
        stream.readline()
        number = 0
        while not switch.is_set():
            number += 1
            client_id = f"{client_id_prefix(name)}-p-{number}"
            journal.begin([Submit(0, client_id, Side.BUY, 9_990, 5)], time.time_ns())
            facts = {"id": number, "market": 0, "client_id": client_id, "side": "BUY"}
            print(json.dumps({"do": "submit", "price_ticks": 9_990, "size_lots": 5, **facts}), file=stream, flush=True)
            stream.readline()


if __name__ == "__main__":
    place(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

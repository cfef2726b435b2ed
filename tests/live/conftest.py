"""An exchange in the test's own process that speaks JSON lines over a real socket, and strategies that trade on it."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import subprocess
import sys
import threading
from pathlib import Path

import attrs
import pytest

WITHIN_S = 60

STRATEGY = """\
schema = 1

[strategy]
name = "{name}"
requote_interval_ms = 20

[plugins]
local = ["{plugin}"]

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
tick_size = "0.01"
lot_size = "0.001"

[feed]
use = "wire/still"
stale_after_ms = 5000

[venue.live]
use = "wire/orders"
port = {port}
api_key = {{ env = "WIRE_KEY" }}
absence_delay_ms = {absence_delay_ms}

[venue.paper]
use = "simulated"

[[optimizer]]
use = "fixed-spread"
spread_bps = 10

[gate]
max_order_size = "0.01"
max_order_notional_quote = 1000
max_position = "0.05"
max_position_notional_quote = 1000
max_daily_loss_quote = 10
"""


@attrs.define
class Order:
    id: str
    client_id: str
    market: int
    side: str
    price_ticks: int
    size_lots: int
    is_gone: bool = False


class LittleExchange(socketserver.ThreadingTCPServer):
    """Rests what it is told and cancels what it is told; nothing trades.

    Attributes:
        orders: Every order ever placed, by client id.
        requests: What was asked, in order, without what it was about.
        deaf_to: Requests of these kinds are not answered and do nothing.
        places_after_cancel: Client id of an order that somebody else places after every cancel-all, or None.
        can_withdraw: What the key may.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Connection)
        self.orders = {}
        self.requests = []
        self.deaf_to = set()
        self.places_after_cancel = None
        self.can_withdraw = False
        self.changed = threading.Condition()

    @property
    def port(self):
        return self.server_address[1]

    def open_orders(self, market=0):
        return [order for order in self.orders.values() if not order.is_gone and order.market == market]

    def place(self, client_id, *, side="BUY", price_ticks=9_000, size_lots=5, market=0):
        order = Order(f"v{len(self.orders) + 1}", client_id, market, side, price_ticks, size_lots)
        self.orders[client_id] = order
        return order

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), WITHIN_S), "the exchange waited in vain"

    def answer(self, asked):
        with self.changed:
            self.requests.append(asked["do"])
            answer = None if asked["do"] in self.deaf_to else self.answer_now(asked)
            self.changed.notify_all()
            return answer

    def answer_now(self, asked):
        if asked["do"] == "hello":
            return {"ok": asked["key"] == "right", "can_withdraw": self.can_withdraw}
        market, client_id = asked["market"], asked.get("client_id")
        found = [self.orders[client_id]] if client_id in self.orders else []
        match asked["do"]:
            case "submit":
                side, price, size = asked["side"], asked["price_ticks"], asked["size_lots"]
                found = [self.place(client_id, side=side, price_ticks=price, size_lots=size, market=market)]
            case "cancel":
                found = [order for order in found if not order.is_gone]
            case "cancel_all" | "list":
                found = self.open_orders(market)
        if asked["do"] in {"cancel", "cancel_all"}:
            for order in found:
                order.is_gone = True
        if asked["do"] == "cancel_all" and self.places_after_cancel is not None:
            self.place(f"{self.places_after_cancel}-{len(self.orders)}")
        return {"id": asked["id"], "orders": [attrs.asdict(order) for order in found]}


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            answer = self.server.answer(json.loads(line))
            if answer is not None:
                self.wfile.write(json.dumps(answer).encode() + b"\n")


@pytest.fixture
def exchange():
    """An exchange that listens; `exchange.port` says where."""
    with LittleExchange() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def strategy(tmp_path, exchange):
    """Write a live strategy on that exchange."""

    def write(*, name="little", absence_delay_ms=0, port=None, change=("", "")):
        text = STRATEGY.format(
            name=name,
            plugin=Path(__file__).with_name("wire.py"),
            port=exchange.port if port is None else port,
            absence_delay_ms=absence_delay_ms,
        )
        path = tmp_path / "strategy.toml"
        path.write_text(text.replace(*change) if change[0] else text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def environment(repository):
    return {**os.environ, "PYTHONPATH": str(repository), "COLUMNS": "110", "WIRE_KEY": "right"}


@pytest.fixture
def start(environment, tmp_path):
    """Start a Python process and leave it running; it is killed when the test ends."""
    started = []

    def run(*words):
        process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def start_on_terminal(environment, tmp_path):
    """Run a command line on a terminal, answer its question, and return what it showed and its status."""
    pty = pytest.importorskip("pty")

    def run(*words, answer=""):
        ours, its = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "mmframe", *map(str, words)],
            cwd=tmp_path,
            env={**environment, "NO_COLOR": "1", "TERM": "dumb"},
            stdin=its,
            stdout=its,
            stderr=its,
        )
        os.close(its)
        os.write(ours, f"{answer}\n".encode())
        shown = b""
        # A terminal that nobody holds any more ends with an error instead of an end.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                shown += part
        os.close(ours)
        return shown.decode().replace("\r\n", "\n"), process.wait(timeout=WITHIN_S)

    return run


@pytest.fixture
def mmframe(environment, tmp_path):
    """Run a command line to its end in a process of its own."""

    def run(*words, env=None):
        return subprocess.run(
            [sys.executable, "-m", "mmframe", *map(str, words)],
            cwd=tmp_path,
            env={**environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    return run

"""Real captures, replayed under tight limits: an account of its own holds each of them at every event.

The account stands between the engine and the simulated venue and sees what both see: requests as they leave, answers
and fills as they come. It knows the limits of the strategy file and nothing of how they are kept.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import attrs
import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import Amend, Fill, OrderStatus, OrderUpdate, Replace, Submit
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan

STRATEGY = """
schema = 1
[strategy]
name = "limits"
requote_interval_ms = 100
[run]
mode = "backtest"
[[markets]]
instrument = "{symbol}"
tick_size = "{tick}"
lot_size = "{lot}"
order_size = "{size}"
[history]
use = "{use}"
paths = {paths}
{options}
[venue.backtest]
use = "simulated"
order_latency_ms = 40
feed_latency_ms = 20
maker_fee_bps = 2
[ladder]
levels = 2
[[signal]]
use = "ewma-volatility"
warm_up_s = 1
half_life_s = 5
[[signal]]
use = "trade-flow"
[[optimizer]]
use = "touch"
mode = "penny"
[[optimizer]]
use = "inventory-skew"
skew_bps = 1
[[risk]]
use = "layered-limits"
max_long = "{limit}"
max_short = "{limit}"
max_daily_loss_quote = {loss}
shrink_from = 0.9
[[risk]]
use = "drawdown"
max_drawdown_quote = {loss}
[[risk]]
use = "fill-rate"
max_fills = 30
window_s = 60
[[risk]]
use = "request-budget"
max_requests = 900
requests_window_s = 60
[[risk]]
use = "adverse-markouts"
[gate]
max_order_size = "{size}"
max_position = "{cap}"
max_open_orders = 6
max_orders_per_second = 10
price_collar_bps = 100
"""
CASES = {
    "BTC/USDT, Binance spot": {
        "symbol": "BTC/USDT",
        "tick": "0.01",
        "lot": "0.00001",
        "size": "0.01",
        "limit": "0.03",
        "cap": "0.04",
        "loss": 200,
        "use": "binance/capture",
        "files": ["binance_spot/btcusdt_20240808.raw.gz", "binance_spot/btcusdt_20240809.raw.gz"],
        "options": 'off_grid = "fit"',
        "limit_ns": 180_000_000_000,
    },
    "NEXO/USDT, Binance spot": {
        "symbol": "NEXO/USDT",
        "tick": "0.001",
        "lot": "0.01",
        "size": "50",
        "limit": "120",
        "cap": "150",
        "loss": 5,
        "use": "binance/capture",
        "files": ["binance_spot/nexousdt_20240723.raw.gz"],
        "options": "",
        "limit_ns": 4 * 3_600_000_000_000,
    },
    "BTC/USDT, Binance USD-M": {
        "symbol": "BTC/USDT",
        "tick": "0.1",
        "lot": "0.001",
        "size": "0.01",
        "limit": "0.03",
        "cap": "0.04",
        "loss": 200,
        "use": "binance/capture",
        "files": ["binance_usdm/btcusdt_20230404.raw.gz", "binance_usdm/btcusdt_20230405.raw.gz"],
        "options": 'product = "usdm"',
        "limit_ns": 180_000_000_000,
    },
}


class Account:
    """A venue in front of the real one, that keeps its own account of what could happen at worst.

    Attributes:
        checked: Events after which the limits were held.
        largest: Largest worst case seen, lots.
    """

    def __init__(self, venue, instrument, settings):
        self.venue = venue
        self.capabilities = venue.capabilities
        limits = settings.limits
        self.max_order, self.max_position = limits.max_order_lots, limits.max_position_lots
        self.max_open, self.per_second = limits.max_open_orders, limits.max_orders_per_second
        self.collar_bps = limits.price_collar_bps
        self.touch = None
        self.orders = {}
        self.position = 0
        self.sent_ns = deque(maxlen=self.per_second)
        self.checked = 0
        self.largest = 0

    @property
    def next_event_ns(self):
        return self.venue.next_event_ns

    def observe(self, batch, index, book):
        self.venue.observe(batch, index, book)
        self.touch = book.touch()

    async def run(self, notify):
        await self.venue.run(notify)

    def execute(self, approved, now_ns):
        action = approved.action
        if isinstance(action, Submit):
            self.orders[action.client_id] = (action.side, action.price_ticks, action.size_lots)
            self.sent(action.price_ticks, action.size_lots, now_ns)
        elif isinstance(action, Amend):
            side, _, lots = self.orders[action.client_id]
            # Until the answer, either size may fill.
            self.orders[action.client_id] = (side, action.price_ticks, max(lots, action.leaves_lots))
            self.sent(action.price_ticks, action.leaves_lots, now_ns)
        elif isinstance(action, Replace):
            self.orders[action.new_client_id] = (
                self.orders[action.client_id][0],
                action.price_ticks,
                action.size_lots,
            )
            self.sent(action.price_ticks, action.size_lots, now_ns)
        self.hold()
        self.venue.execute(approved, now_ns)

    def poll(self, now_ns):
        events = self.venue.poll(now_ns)
        for event in events:
            if isinstance(event, Fill):
                self.position += event.size_lots if event.side == Side.BUY else -event.size_lots
                side, ticks, lots = self.orders[event.client_id]
                self.orders[event.client_id] = (side, ticks, lots - event.size_lots)
            elif isinstance(event, OrderUpdate):
                self.answered(event)
            self.hold()
        return events

    def answered(self, update):
        gone = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED}
        if update.status in gone | {OrderStatus.REPLACED, OrderStatus.CANCELED_ONLY}:
            self.orders.pop(update.client_id, None)
        if update.status is OrderStatus.CANCELED_ONLY:
            self.orders.pop(update.new_client_id, None)
        elif update.status is OrderStatus.OPEN and update.size_lots:
            side, _, _ = self.orders[update.client_id]
            left = update.size_lots - update.filled_lots
            self.orders[update.client_id] = (side, update.price_ticks, left)

    def sent(self, ticks, lots, now_ns):
        assert 0 < lots <= self.max_order
        mid = (self.touch.bid_ticks + self.touch.ask_ticks) / 2
        assert abs(ticks - mid) <= mid * self.collar_bps / 10_000
        assert len(self.sent_ns) < self.per_second or now_ns - self.sent_ns[0] >= 1_000_000_000
        self.sent_ns.append(now_ns)

    def hold(self):
        self.checked += 1
        live = [order for order in self.orders.values() if order[2] > 0]
        buys = sum(lots for side, _, lots in live if side == Side.BUY)
        sells = sum(lots for side, _, lots in live if side == Side.SELL)
        worst = max(self.position + buys, sells - self.position)
        self.largest = max(self.largest, worst)
        assert worst <= self.max_position
        assert len(live) <= self.max_open


@pytest.mark.parametrize("name", CASES)
def test_every_limit_holds_at_every_event_of_a_capture(name, shared_data, tmp_path):
    case = dict(CASES[name])
    limit_ns, files = case.pop("limit_ns"), case.pop("files")
    file = tmp_path / "strategy.toml"
    file.write_text(STRATEGY.format(paths=[str(Path(shared_data) / path) for path in files], **case))
    plan = compose(file, no_journal=True)
    account = Account(plan.venue, plan.instruments[0], plan.settings.markets[0])

    result = run_plan(attrs.evolve(plan, venue=account), limit_ns=limit_ns)

    market = result.status.markets[0]
    assert result.faults == 0
    assert account.position == plan.instruments[0].size_lots(market.position)
    assert market.fills > 10
    # The limits did bind: one that is never reached would hold by itself.
    assert account.largest >= plan.settings.markets[0].limits.max_position_lots * 0.7
    assert result.limits

"""A process that dies between two steps, executions while nobody looks, and the process after it, on real sockets."""

from __future__ import annotations

import contextlib
import random

import anyio
import attrs
import pytest

from mmframe.domain.kinds import OnPosition
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.journal import Journal, RunHeader
from mmframe.runtime.realtime import RealTimeDriver
from mmframe.runtime.session import Session
from mmframe.testing.drill import DrillSubject

drills = pytest.importorskip("mmframe_localvenue.drill")

STRATEGY = """\
schema = 1

[strategy]
name = "crashed"
requote_interval_ms = 50
acknowledge_timeout_ms = 1000

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
tick_size = "{tick}"
lot_size = "{lot}"

[feed]
use = "{use}"
stale_after_ms = 5000

[venue.live]
use = "{use}"
api_key = {{ env = "NOT_READ" }}
api_secret = {{ env = "NOT_READ" }}

[[optimizer]]
use = "fixed-spread"
spread_bps = 2

[gate]
max_order_size = "0.01"
max_order_notional_quote = 1000
max_position = "0.5"
max_position_notional_quote = 50000
max_daily_loss_quote = 10000
"""
GRIDS = {"binance/spot": ("0.01", "0.00001"), "binance/usdm": ("0.1", "0.001"), "bybit/linear": ("0.1", "0.001")}
WITHIN_S = 60


@pytest.fixture(params=sorted(GRIDS))
def subject(request, tmp_path, monkeypatch):
    monkeypatch.setenv("MMFRAME_DRILL_KEY", drills.KEY)
    monkeypatch.setenv("MMFRAME_DRILL_SECRET", drills.SECRET)
    use = request.param
    pytest.importorskip(f"mmframe_{use.partition('/')[0]}")
    path = tmp_path / "strategy.toml"
    tick, lot = GRIDS[use]
    path.write_text(STRATEGY.format(use=use, tick=tick, lot=lot))
    return DrillSubject(path, drills.KEY_OPTIONS)


class Life:
    """One process's part of a strategy: a session with its journal, driven until it is stopped or dies."""

    def __init__(self, subject, peer, journal, restored=None, *, run_id="1"):
        options = drills.options_for(subject.use, peer.venue)
        plan = subject.plan(options, run_id)
        settings = attrs.evolve(plan.settings, on_position=OnPosition.ADOPT)
        self.session = Session(attrs.evolve(plan, settings=settings), journal=journal, restored=restored)
        self.journal = journal
        self.stop = StopRequest()
        self.result = None
        self.over = anyio.Event()
        self._peer = peer
        self._scope = anyio.CancelScope()

    async def live(self):
        driver = RealTimeDriver(self.session, stop=self.stop, observer=None, limit_ns=None)
        with self._scope:
            self.result = await driver.run_async()
        self.over.set()

    def die(self):
        """Leave everything as it is; of the journal what was not written is lost."""
        self._scope.cancel()
        if self.journal is not None:
            self.journal._connection.close()
            self.journal._lock.release()

    async def quotes(self):
        with anyio.fail_after(WITHIN_S):
            while len(self._peer.open_orders(0)) < 2 or len(self.working()) < 2:
                assert self.result is None, self.result.status.halt_reason
                await anyio.sleep(0.02)

    def working(self):
        return self.session.status().markets[0].working

    @property
    def position_lots(self):
        return self.session.engine._markets[0].ledger.position_lots


def header_of(subject, peer):
    plan = subject.plan(drills.options_for(subject.use, peer.venue), "1")
    return RunHeader.of(plan, started_ns=1)


@contextlib.asynccontextmanager
async def opened(subject):
    async with drills.open_local_peer(subject.use, subject.instruments, subject.prices()) as peer:
        yield peer


async def fill_some(peer):
    """Let a stranger take the least of one resting order and all of another."""
    peer.trade()
    await anyio.sleep(0.05)
    peer.trade(is_whole=True)
    await anyio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_resumed_run_has_every_execution_and_leaves_no_order(subject, tmp_path, seed):
    moments = random.Random(seed)

    async def main():
        async with opened(subject) as peer, anyio.create_task_group() as tasks:
            path, header = tmp_path / "run.journal", header_of(subject, peer)
            first = Life(subject, peer, Journal.create(path, header))
            tasks.start_soon(first.live)
            await first.quotes()
            peer.trade()
            await anyio.sleep(moments.uniform(0.2, 0.6))
            first.die()
            await fill_some(peer)
            second = Life(subject, peer, *Journal.reopen(path, header))
            tasks.start_soon(second.live)
            await second.quotes()
            peer.trade()
            await anyio.sleep(0.3)
            second.stop.request("enough")
            with anyio.fail_after(WITHIN_S):
                await second.over.wait()
            second.journal.close()
            return second.result, second.position_lots, peer.net_lots(0), peer.open_orders(0), peer.accepted()

    result, ours, true, left, accepted = anyio.run(main)

    assert not result.status.is_halted, result.status.halt_reason
    assert (result.unresolved, result.is_confirmed_empty, left) == ((), True, {})
    assert ours == true
    assert set(accepted.values()) == {1}


@pytest.mark.slow
def test_a_new_run_counts_nothing_of_the_one_that_died(subject):
    async def main():
        async with opened(subject) as peer, anyio.create_task_group() as tasks:
            first = Life(subject, peer, None)
            tasks.start_soon(first.live)
            await first.quotes()
            await fill_some(peer)
            await first.quotes()
            peer.trade()
            first.die()
            await anyio.sleep(0.3)
            for client_id in peer.open_orders(0):
                # What fills of them while the next process starts would belong to neither.
                peer.venue.god.cancel(client_id)
            before = peer.net_lots(0)
            second = Life(subject, peer, None, run_id="2")
            tasks.start_soon(second.live)
            await second.quotes()
            peer.trade()
            await anyio.sleep(0.3)
            second.stop.request("enough")
            with anyio.fail_after(WITHIN_S):
                await second.over.wait()
            return second.result, second.position_lots, before, peer.net_lots(0), peer.open_orders(0)

    result, ours, before, true, left = anyio.run(main)

    assert not result.status.is_halted, result.status.halt_reason
    assert (result.unresolved, result.is_confirmed_empty, left) == ((), True, {})
    # Where the exchange keeps positions, the one that was found is taken over; on spot it is the account's stock.
    assert ours == (true - before if "spot" in subject.use else true)

"""A journal to write into, and short ways to the values that go in."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.domain.market import Side
from mmframe.domain.orders import Fill, OrderStatus, OrderUpdate, Request, Submit
from mmframe.domain.records import LadderLevel, QuoteDecision, StageKind, StageRecord
from mmframe.runtime.journal import Journal, RecordedInstrument, RunHeader

NS = 1_000_000_000


def _header(**changes):
    values = dict(
        run_id="7",
        strategy="btc-maker",
        mode="paper",
        strategy_file="strategy.toml",
        strategy_hash="ab" * 32,
        strategy_text="schema = 1\n",
        started_ns=1_700_000_000 * NS,
        instruments=(
            RecordedInstrument("BTC/USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.001")),
            RecordedInstrument("ETH/USDT", tick_size=Decimal("0.1"), lot_size=Decimal("0.01")),
        ),
        signals=(("volatility",), ()),
        reasons={1001: "the moon is full"},
        assumptions=("queue position is estimated",),
    )
    return RunHeader(**{**values, **changes})


def _submit(number, side=Side.BUY, *, market=0, price_ticks=10_000, size_lots=5):
    return Submit(market, f"mm-btcmaker-7-{number}", side, price_ticks, size_lots)


def _update(number, status, request=Request.SUBMIT, *, market=0, at_ns=NS, **fields):
    return OrderUpdate(market, f"mm-btcmaker-7-{number}", status, request, at_ns - 5, at_ns, **fields)


def _fill(trade, number=1, side=Side.BUY, *, market=0, price_ticks=10_000, size_lots=2, at_ns=NS, **fields):
    values = dict(
        market=market,
        client_id=f"mm-btcmaker-7-{number}",
        venue_trade_id=str(trade),
        side=side,
        price_ticks=price_ticks,
        size_lots=size_lots,
        is_maker=True,
        fee=Decimal("0.0123"),
        fee_asset="USDT",
        exchange_ns=at_ns - 5,
        receive_ns=at_ns,
    )
    return Fill(**{**values, **fields})


def _decision(sequence, at_ns=NS, *, market=0, **changes):
    values = dict(
        sequence=sequence,
        market=market,
        now_ns=at_ns,
        view={"bid": 99.99, "bid_size": 1.0, "ask": 100.01, "ask_size": 2.0, "mid": 100.0, "signals.volatility": None},
        inventory={"position": 0.002, "max_position": None},
        advice={"bid_spread_multiplier": 1.0},
        stages=(StageRecord(StageKind.OPTIMIZER, "fixed-spread", 99.9, 0.01, 100.1, 0.01, 0, 0),),
        bids=(LadderLevel(9_990, 10),),
        asks=(LadderLevel(10_010, 10),),
        bid_reason=0,
        ask_reason=0,
        actions=(),
        rejections=(),
    )
    return QuoteDecision(**{**values, **changes})


class Values:
    """Makers of what a run journals."""

    NS = NS
    header = staticmethod(_header)
    submit = staticmethod(_submit)
    update = staticmethod(_update)
    fill = staticmethod(_fill)
    decision = staticmethod(_decision)
    open_status = OrderStatus.OPEN


@pytest.fixture
def values():
    return Values


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.journal"


@pytest.fixture
def journal(path):
    with Journal.create(path, _header()) as journal:
        yield journal


@pytest.fixture
def reopened(path):
    """Return a function that closes a journal and gives what the next run gets."""

    def reopen(journal):
        journal.close()
        following, restored = Journal.reopen(path, _header())
        following.close()
        return restored

    return reopen

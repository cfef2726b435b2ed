from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.domain.advice import AdviceCall, AdviceVerdict, CompletionReply, MarketVerdict, ReplyStatus
from mmframe.domain.views import NEUTRAL_ADVICE

S = 1_000_000_000
START_NS = 1_700_000_000 * S

STRATEGY = """\
schema = 1

[strategy]
name = "walker"
requote_interval_ms = 500

[plugins]
local = ["./walk.py"]

[run]
mode = "backtest"

[[markets]]
instrument = "{symbol}"
tick_size = "0.01"
lot_size = "0.01"
order_size = "0.1"

[history]
use = "walk/tape"
{options}

[venue.backtest]
use = "simulated"
maker_fee_bps = 0

[[optimizer]]
use = "fixed-spread"
spread_bps = 6

{stage}

[gate]
max_position = "0.3"
"""

STAGE = '[[optimizer]]\nuse = "advice"\nmin_confidence = 0.5\n'

# The mid drifts a minute up or down, by chance, and wanders besides; takers reach 40 ticks on the mean. Quotes of
# 3 bps, 30 ticks, lie inside the touch of 10 bps.
PLUGIN = """\
import random

import attrs

from mmframe.domain.market import MarketBatch, MessageKind
from mmframe.plugin import HistorySpec, hookimpl, option

MMFRAME_API = 1
START_NS = 1_700_000_000_000_000_000


@attrs.frozen
class Options:
    seconds: int = option(help="Length.", default=1800)
    seed: int = option(help="Of all chance.", default=1)


class Tape:
    def __init__(self, options, context):
        self.options = options

    def batches(self):
        options, source = self.options, random.Random(self.options.seed)
        batch, bid, ask = MarketBatch(0), 0, 0
        mid, drift = 100_000, 0
        for second in range(options.seconds):
            if second % 60 == 0:
                drift = source.choice((-2, 2))
            mid += drift + source.choice((-3, 0, 3))
            now_ns = START_NS + second * 1_000_000_000
            gone = ((0, bid, 0), (1, ask, 0)) if bid else ()
            bid, ask = mid - 100, mid + 100
            kind = MessageKind.DELTA if gone else MessageKind.SNAPSHOT
            changes = (*gone, (0, bid, 500), (1, ask, 500))
            batch.add(kind, exchange_ns=now_ns, receive_ns=now_ns, changes=changes)
            side = source.choice((0, 1))
            if source.random() < 0.9:
                at_ns = now_ns + 700_000_000
                reach = min(100, 1 + int(source.expovariate(1 / 40)))
                trade = ((side, mid + reach if side == 0 else mid - reach, source.choice((10, 20))),)
                batch.add(MessageKind.TRADE, exchange_ns=at_ns, receive_ns=at_ns, changes=trade)
        yield batch


@hookimpl
def mmframe_register_histories():
    return (HistorySpec(name="tape", summary="Made up.", build=Tape, options=Options),)
"""


@pytest.fixture
def walker(tmp_path):
    """Write a strategy on a made-up recording; `options` go into its [history], `more` below."""
    (tmp_path / "walk.py").write_text(PLUGIN, encoding="utf-8")

    def write(options="", *, stage=STAGE, more="", symbol="BTC/USDT"):
        path = tmp_path / "strategy.toml"
        text = STRATEGY.format(options=options, stage=stage, symbol=symbol) + more
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def make_call():
    """Return a call that brought advice into force `at_s` after the start of the recording, asked a second before."""

    def call(at_s, *, life_s=60.0, adviser="a", cost="0.001", direction=None, shadow=False, **advised):
        applied_ns = START_NS + int(at_s * S)
        advice = NEUTRAL_ADVICE._replace(
            **{"confidence": 1.0, **advised, "valid_until_ns": applied_ns + int(life_s * S) - 1}
        )
        verdict = AdviceVerdict.SHADOW if shadow else AdviceVerdict.APPLIED
        return AdviceCall(
            sequence=int(at_s) + 1,
            adviser=adviser,
            markets=(0,),
            prompt_version="1",
            request_hash=f"{adviser}{at_s}",
            model="m",
            requested_ns=applied_ns - S,
            applied_ns=applied_ns,
            reply=CompletionReply(ReplyStatus.OK),
            cost_usd=Decimal(cost),
            verdicts=(MarketVerdict(0, verdict, advice=advice, direction=direction),),
        )

    return call

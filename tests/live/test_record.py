"""A recording of each live feed on a venue that speaks its protocol replays to what the feed delivered."""

from __future__ import annotations

import json
from decimal import Decimal

import attrs
import pytest
from anyio.from_thread import start_blocking_portal

from mmframe.cli.record import history_table
from mmframe.domain.instrument import InstrumentKind
from mmframe.domain.market import MessageKind
from mmframe.registry import compose
from mmframe.registry.record import compose_recording
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.recorder import RecorderSettings, record_feed

WITHIN_NS = 60 * 10**9

pytestmark = pytest.mark.slow

localvenue = pytest.importorskip("mmframe_localvenue")

STRATEGY = """\
schema = 1
[strategy]
name = "recorded"
[run]
mode = "backtest"
{markets}
[feed]
use = "{use}"
{feed}
{history}
[[optimizer]]
use = "fixed-spread"
"""
MARKET = '[[markets]]\ninstrument = "{}"\norder_size = "1"\ntick_size = "{}"\nlot_size = "0.001"\n'
TICKS = {"BTC/USDT": "0.1", "ETH/USDT": "0.01"}


@attrs.frozen
class Place:
    """One exchange: the feed, and which of the venue's addresses it takes."""

    use: str
    feed: dict[str, str]
    more: str = ""
    kind: InstrumentKind | None = None


BINANCE = {"rest_url": "rest_url", "stream_url": "stream_url"}
PLACES = {
    "binance-spot": Place("binance/spot", BINANCE, "cross_check = true"),
    "binance-usdm": Place("binance/usdm", BINANCE, "cross_check = true"),
    "bybit": Place("bybit/linear", {"stream_url": "stream_url/linear"}, kind=InstrumentKind.LINEAR),
}


class Spied:
    """A feed whose messages are kept; asks to stop when each market told enough changes and a trade."""

    next_event_ns = property(lambda self: self.feed.next_event_ns)

    def __init__(self, feed, stop):
        self.feed = feed
        self.stop = stop
        self.rows = []

    async def run(self, notify):
        await self.feed.run(notify)

    def poll(self, now_ns):
        batches = self.feed.poll(now_ns)
        self.rows += rows(batches)
        if all(self.count(market, MessageKind.DELTA) >= 20 for market in (0, 1)) and any(
            row[1] == MessageKind.TRADE for row in self.rows
        ):
            self.stop.request("enough")
        return batches

    def count(self, market, kind):
        return sum(row[:2] == (market, kind) for row in self.rows)


def rows(batches):
    return [
        (batch.market, batch.kinds[i], batch.exchange_ns[i], batch.receive_ns[i], batch.changes(i))
        for batch in batches
        for i in range(len(batch))
    ]


@pytest.mark.parametrize("dialect", [name for name in PLACES if name in localvenue.DIALECTS])
def test_what_is_recorded_of_a_living_market_replays_as_it_was_delivered(dialect, tmp_path):
    place, file, stop, spied = PLACES[dialect], tmp_path / "strategy.toml", StopRequest(), []
    setup = localvenue.VenueSetup(
        dialect=dialect,
        markets=tuple(
            localvenue.MarketSetup(
                symbol=symbol,
                crowd=localvenue.CrowdSetup(),
                kind=place.kind,
                tick_size=Decimal(tick),
                lot_size=Decimal("0.001"),
                min_size=Decimal("0.001"),
            )
            for symbol, tick in TICKS.items()
        ),
    )
    facts = {"use": place.use, "markets": "".join(MARKET.format(*market) for market in TICKS.items())}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(localvenue.LocalVenue(setup)) as venue,
    ):
        feed = [f'{key} = "{address(venue, name)}"' for key, name in place.feed.items()]
        facts["feed"] = "\n".join([*feed, place.more])
        file.write_text(STRATEGY.format(**facts, history=""), encoding="utf-8")
        plan = compose_recording(file)

        def make_feed(on_frame):
            spied.append(Spied(plan.make_feed(on_frame), stop))
            return spied[-1]

        settings = RecorderSettings(directory=tmp_path / "captures")
        result = record_feed(attrs.evolve(plan, make_feed=make_feed), settings, stop=stop, limit_ns=WITHIN_NS)

    assert result.manifest.ended_because == "enough", [len(feed.rows) for feed in spied]
    assert (result.manifest.gap_count, result.manifest.dropped_frames) == (0, 0)
    counts = getattr(spied[0].feed, "counts", None)
    assert getattr(counts, "disagreements", 0) == 0
    if place.more:
        assert counts.cross_checked > 0
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in history_table(plan, result).items())
    file.write_text(STRATEGY.format(**facts, history=f"[history]\n{table}"), encoding="utf-8")
    found = rows(compose(file, no_journal=True).history.batches())
    for market in (0, 1):
        assert [row for row in found if row[0] == market] == [row for row in spied[0].rows if row[0] == market]


def address(venue, name):
    prop, slash, rest = name.partition("/")
    return getattr(venue, prop) + slash + rest

"""The live venue alone, for tools that clean up: what else is wrong in the file is not in its way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.errors import ConfigErrors, MmframeError
from mmframe.registry import compose_venue

VENUE = """
class Venue:
    capabilities = VenueCapabilities()
    next_event_ns = NEVER_NS
    def __init__(self, options, context): self.key, self.context = options.api_key, context
    def execute(self, approved, now_ns): ...
    def poll(self, now_ns): return ()
    async def run(self, notify): ...

@attrs.frozen
class Options:
    api_key: Secret = option(help="Key.")

class Feed:
    next_event_ns = NEVER_NS
    def poll(self, now_ns): return ()
    async def run(self, notify): ...

def grids(options, symbols):
    return {"BTC/USDT": Instrument("BTC/USDT", Decimal("0.5"), Decimal("0.001"))}

@hookimpl
def mmframe_register_venues():
    return [VenueSpec(name="spot", summary="s", build=Venue, options=Options, modes=frozenset({Mode.LIVE}))]

@hookimpl
def mmframe_register_feeds():
    return [FeedSpec(name="spot", summary="s", build=lambda o, c: 1 / 0, instruments=grids)]
"""

FILE = """
schema = 1
[strategy]
name = "maker"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
{grid}
[feed]
use = "venue/spot"
{more}
[venue.live]
use = "venue/spot"
api_key = {{ env = "VENUE_KEY" }}
"""
GRID = 'tick_size = "0.01"\nlot_size = "0.001"'


@pytest.fixture
def written(site, monkeypatch):
    monkeypatch.setenv("VENUE_KEY", "k")
    site.install("venue", VENUE)

    def write(*, grid=GRID, more="", change=("", "")):
        text = FILE.format(grid=grid, more=more)
        return site.write("strategy.toml", text.replace(*change) if change[0] else text)

    return write


def test_the_venue_is_built_with_its_key_and_nothing_else_is(written):
    plan = compose_venue(written())

    assert (plan.name, plan.use, plan.journal) == ("maker", "venue/spot", None)
    assert plan.venue.key.reveal() == "k"
    assert plan.venue.context.instruments == plan.instruments
    assert plan.venue.context.removes_only


@pytest.mark.parametrize(
    "change",
    [
        {"more": 'wrong_option = 1\n[[optimizer]]\nuse = "gone/since"'},
        {"more": "[gate]\nmax_position = -1"},
        {"more": '[[sink]]\nuse = "jsonl"'},
        {"more": '[venue.paper]\nuse = "gone/since"'},
        {"change": ('order_size = "0.01"', 'order_size = "0.0001"')},
        {"change": ('order_size = "0.01"', "")},
        {"change": ("schema = 1", "schema = 1\nodd = true")},
    ],
    ids=["components", "limit", "sink", "paper venue", "order size", "no order size", "unknown key"],
)
def test_mistakes_elsewhere_are_passed_over(written, change):
    assert compose_venue(written(**change)).venue.key.reveal() == "k"


def test_a_grid_that_only_the_feed_knows_is_taken_from_it(written):
    (instrument,) = compose_venue(written(grid="")).instruments

    assert instrument.price_ticks("30000.5") == 300_005_000


@pytest.mark.parametrize(("tick", "price"), [("0.01", "49975.123"), ("0.7", "49975.1"), ("5", "0.125")])
def test_prices_on_another_grid_than_the_files_are_exact(written, tick, price):
    grid = GRID.replace('tick_size = "0.01"', f'tick_size = "{tick}"')

    (instrument,) = compose_venue(written(grid=grid)).instruments

    assert instrument.price(instrument.price_ticks(price)) == Decimal(price)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("VENUE_KEY", "OTHER_KEY"), "venue.live.api_key.env: environment variable OTHER_KEY is not set"),
        (("[venue.live]", "[venue.paper]"), "venue.live: missing, expected a venue: mode live needs one"),
        (("[venue.live]", "[venu.live]"), "venu: unknown key"),
        (('name = "maker"', 'name = "a b"'), "strategy.name: expected"),
        (('instrument = "BTC/USDT"', ""), "markets[0].instrument: missing"),
        (('tick_size = "0.01"', 'tick_size = "x"'), "markets[0].tick_size: expected"),
    ],
    ids=["key", "no venue", "misspelt", "name", "instrument", "grid"],
)
def test_what_the_venue_needs_must_be_right(written, change, message):
    with pytest.raises(MmframeError) as caught:
        compose_venue(written(change=change))

    assert isinstance(caught.value, ConfigErrors)
    assert any(problem.message.startswith(message) for problem in caught.value.problems), [
        problem.message for problem in caught.value.problems
    ]

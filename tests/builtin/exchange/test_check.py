"""A strategy that cannot trade on the embedded exchange is told so before it runs."""

import pytest

from mmframe.builtin.exchange import check_plan
from mmframe.domain.kinds import Mode
from mmframe.errors import ConfigErrors
from mmframe.plugin import ComponentKind
from mmframe.plugin.plan import ComponentUse, PlanSummary
from mmframe.registry import check

STRATEGY = """schema = 1
[strategy]
name = "lost"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
[feed]
use = "embedded"
[venue.paper]
use = "{venue}"
[[optimizer]]
use = "fixed-spread"
spread_bps = 5
"""


def plan(*uses):
    components = tuple(ComponentUse(kind, use, key, None, -1) for kind, use, key in uses)
    return PlanSummary(name="a", mode=Mode.PAPER, instruments=(), components=components)


VENUE = (ComponentKind.VENUE, "core/embedded", "venue.paper")


@pytest.mark.parametrize(
    ("feeds", "was"),
    [([], "no feed"), ([(ComponentKind.FEED, "binance/spot", "feed")], "'binance/spot'")],
    ids=["no feed", "another feed"],
)
def test_the_embedded_venue_needs_the_embedded_feed(feeds, was):
    (problem,) = check_plan(plan(*feeds, VENUE))

    assert problem.key == "venue.paper.use"
    assert problem.message == f"venue.paper.use: expected feed 'embedded', in whose market it trades, was {was}"


@pytest.mark.parametrize("venue", ["embedded", "simulated"])
def test_the_embedded_feed_serves_both_built_in_venues(tmp_path, venue):
    file = tmp_path / "strategy.toml"
    file.write_text(STRATEGY.format(venue=venue))

    assert check(file).is_virtual


def test_a_venue_of_another_name_is_none_of_our_business():
    assert not list(check_plan(plan((ComponentKind.VENUE, "binance/spot", "venue.live"))))


def test_options_that_make_no_market_are_shown_with_their_line(tmp_path):
    file = tmp_path / "strategy.toml"
    file.write_text(STRATEGY.format(venue="embedded").replace("[venue", 'price = "50001"\n[venue'))

    with pytest.raises(ConfigErrors) as caught:
        check(file)

    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == ("feed.price", 9)
    assert problem.message == "feed.price: expected a multiple of tick_size 5, was '50001'"

"""What a recorder is told of a strategy file: feed and markets, no secret, and a feed that can be built again."""

from __future__ import annotations

import pytest

from mmframe.errors import ConfigErrors, PluginError
from mmframe.registry.record import compose_recording
from mmframe.testing import ManualClock

PLUGIN = """
@attrs.frozen
class Options:
    depth: int = option(help="x", default=5)
    paths: tuple[Path, ...] = option(help="x", default=(Path("a"), Path("b")))
    sizes: dict[str, int] = option(help="x", factory=lambda: {"low": 5})
    step: Decimal = option(help="x", default=Decimal("0.5"))
    proxy: str = option(help="x", default="http://me:hidden@host:80/path?query")
    key: Secret | None = option(help="x", default=None)

class Feed:
    next_event_ns = NEVER_NS

    def __init__(self, options, context):
        if options.depth == 13:
            raise DomainError("depth: expected another number, was 13")
        self.options, self.context = options, context

    def poll(self, now_ns):
        return ()

    async def run(self, notify):
        pass

@hookimpl
def mmframe_register_feeds():
    def replay(options):
        return {"use": "lab/capture", "depth": options.depth}

    live = FeedSpec(name="live", summary="x", build=Feed, options=Options, replay=replay)
    return [live, FeedSpec(name="silent", summary="x", build=Feed, options=Options)]
"""

STRATEGY = """\
schema = 1
[strategy]
name = "listener"
order_sze = 3
[[markets]]
instrument = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.001"
order_size = "not a number"
[feed]
use = "lab/live"
key = { env = "NO_SUCH_VARIABLE" }
[venue.live]
use = "no/such"
[[optimizer]]
use = "no-such"
[[adviser]]
use = "no-such"
"""


@pytest.fixture
def compose(site):
    """Return a function that composes the strategy with lines changed."""
    site.install("lab", PLUGIN)

    def make(*changes, clock=None):
        text = STRATEGY
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return compose_recording(site.write("strategy.toml", text), clock=clock)

    return make


def test_nothing_but_feed_and_markets_is_asked_for(compose, site):
    plan = compose()

    assert (plan.name, plan.feed_use, plan.directory) == ("listener", "lab/live", site.path)
    assert [instrument.symbol for instrument in plan.instruments] == ["BTC/USDT"]
    assert (plan.provenance.plugin, plan.provenance.distribution) == ("lab", "mmframe-lab")
    assert plan.replay == {"use": "lab/capture", "depth": 5}


def test_every_option_is_told_but_no_secret(compose):
    assert compose().feed_options == {
        "depth": 5,
        "paths": ["a", "b"],
        "sizes": {"low": 5},
        "step": "0.5",
        "proxy": "http://host:80",
    }


def test_each_feed_is_built_anew_with_its_listener_and_shares_nothing(compose):
    plan, heard = compose(clock=ManualClock()), []

    first, second = (plan.make_feed(lambda *told, to=to: heard.append((to, told))) for to in (1, 2))
    first.context.on_frame(0, 1, b"a")
    second.context.on_frame(0, 2, b"b")

    assert heard == [(1, (0, 1, b"a")), (2, (0, 2, b"b"))]
    assert first.context.resources is not second.context.resources
    assert first.context.clock is plan.clock


def test_options_that_the_feed_refuses_are_told_by_line(compose):
    plan = compose(("[feed]", "[feed]\ndepth = 13"))

    with pytest.raises(ConfigErrors) as caught:
        plan.make_feed(lambda *_: None)

    assert [problem.message for problem in caught.value.problems] == ["feed.depth: expected another number, was 13"]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        (("[feed]", "[feeds]"), {"feeds", "feed"}),
        (('tick_size = "0.01"', ""), {"markets[0].order_size"}),
        (('tick_size = "0.01"\nlot_size = "0.001"\n', ""), {"markets[0].tick_size"}),
        (("[feed]", "[feed]\ndepth = true"), {"feed.depth"}),
    ],
)
def test_what_concerns_the_feed_is_a_problem(compose, change, problems):
    with pytest.raises(ConfigErrors) as caught:
        compose(change)

    assert {problem.key for problem in caught.value.problems} & problems


def test_a_feed_that_tells_no_frames_is_refused_by_line(compose):
    with pytest.raises(ConfigErrors) as caught:
        compose(("lab/live", "lab/silent"))

    (problem,) = caught.value.problems
    expected = "feed.use: expected a feed that can be recorded, was 'lab/silent', which tells no raw frames"
    assert (problem.message, problem.line) == (expected, 11)


def test_a_feed_that_is_not_installed_is_a_plugin_error(compose):
    with pytest.raises(PluginError, match="gone"):
        compose(("lab/live", "gone/live"))

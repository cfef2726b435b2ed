"""The fault list against the real plugins on real sockets: `mmframe drill`, and that a drill notices what is wrong."""

from __future__ import annotations

import json

import anyio
import attrs
import pytest
from click.testing import CliRunner

from mmframe.domain.orders import Fill
from mmframe.testing.drill import DrillSubject, run_drill

drills = pytest.importorskip("mmframe_localvenue.drill")
drill_command = pytest.importorskip("mmframe_localvenue.drill_command")

STRATEGY = """\
schema = 1

[strategy]
name = "drilled"
requote_interval_ms = 100
acknowledge_timeout_ms = 2000

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
tick_size = "{tick}"
lot_size = "{lot}"

[feed]
use = "{use}"
stale_after_ms = 1000

[venue.live]
use = "{use}"
api_key = {{ env = "NOT_READ" }}
api_secret = {{ env = "NOT_READ" }}

[[optimizer]]
use = "fixed-spread"
spread_bps = 10

[gate]
max_order_size = "0.01"
max_order_notional_quote = 1000
max_position = "0.5"
max_position_notional_quote = 50000
max_daily_loss_quote = 10000
"""
GRIDS = {"binance/spot": ("0.01", "0.00001"), "binance/usdm": ("0.1", "0.001"), "bybit/linear": ("0.1", "0.001")}


@pytest.fixture(scope="module", params=sorted(GRIDS))
def venue(request):
    plugin = pytest.importorskip(f"mmframe_{request.param.partition('/')[0]}")
    assert plugin
    return request.param


@pytest.fixture(scope="module")
def strategy(venue, tmp_path_factory):
    tick, lot = GRIDS[venue]
    path = tmp_path_factory.mktemp("drill") / "strategy.toml"
    path.write_text(STRATEGY.format(use=venue, tick=tick, lot=lot))
    return path


@pytest.fixture
def command():
    return lambda *arguments: CliRunner().invoke(drill_command.drill, arguments, standalone_mode=False)


@pytest.fixture(scope="module")
def report(strategy):
    """Run every drill once, side by side, as a person would; each test then looks at its own."""
    ended = CliRunner().invoke(drill_command.drill, [str(strategy), "--at-once", "6", "--json"], standalone_mode=False)
    assert ended.exception is None, ended.exception
    return {each["name"]: each for each in json.loads(ended.stdout)["drills"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in drills.DRILLS])
def test_everything_holds(report, name):
    broken = [f"{check['name']}: {check['text']}" for check in report[name]["checks"] if not check["is_kept"]]

    assert broken == []


def subject_of(tmp_path, monkeypatch):
    monkeypatch.setenv("MMFRAME_DRILL_KEY", drills.KEY)
    monkeypatch.setenv("MMFRAME_DRILL_SECRET", drills.SECRET)
    path = tmp_path / "strategy.toml"
    tick, lot = GRIDS["binance/spot"]
    path.write_text(STRATEGY.format(use="binance/spot", tick=tick, lot=lot))
    return DrillSubject(path, drills.KEY_OPTIONS)


class Deaf:
    """A venue that loses executions."""

    def __init__(self, venue):
        self._venue = venue
        self.capabilities = venue.capabilities
        self.next_event_ns = venue.next_event_ns

    def execute(self, approved, now_ns):
        self._venue.execute(approved, now_ns)

    async def run(self, notify):
        await self._venue.run(notify)

    def poll(self, now_ns):
        return [event for event in self._venue.poll(now_ns) if not isinstance(event, Fill)]


@pytest.mark.slow
def test_a_drill_notices_an_adapter_that_loses_executions(tmp_path, monkeypatch):
    pytest.importorskip("mmframe_binance")
    monkeypatch.setattr("mmframe.testing.drill._RESUME_WITHIN_S", 3.0)
    subject = subject_of(tmp_path, monkeypatch)

    def plan(peer):
        made = subject.plan(drills.options_for(subject.use, peer.venue), run_id="x")
        return attrs.evolve(made, venue=Deaf(made.venue))

    async def main():
        each = next(each for each in drills.DRILLS if each.name == "private-duplicate")
        return await run_drill(
            each, plan, lambda: drills.open_local_peer(subject.use, subject.instruments, subject.prices())
        )

    result = anyio.run(main)

    assert not result.is_passed
    assert "position of BTC/USDT" in {check.name for check in result.checks if not check.is_kept}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(
            ["--price", "BTC/USDT"], "expected SYMBOL=PRICE such as BTC/USDT=50000, was 'BTC/USDT'", id="price"
        ),
        pytest.param(["--price", "ETH/USDT=5"], "expected a market of", id="no such market"),
        pytest.param(["--only", "nothing"], "is not one of", id="no such fault"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, monkeypatch, command, arguments, expected):
    subject_of(tmp_path, monkeypatch)

    ended = command(str(tmp_path / "strategy.toml"), *arguments)

    assert expected in str(ended.exception)


def test_the_list_names_every_fault(command):
    ended = command("--list")

    assert [line.split()[0] for line in ended.stdout.splitlines()] == [each.name for each in drills.DRILLS]

"""Doctor, live run and kill with the plugins that people trade with, on a venue that speaks their protocols."""

from __future__ import annotations

import json
import os
import re
import signal
from decimal import Decimal

import anyio
import attrs
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from mmframe.domain.instrument import InstrumentKind

WITHIN_S = 30

pytestmark = pytest.mark.slow

localvenue = pytest.importorskip("mmframe_localvenue")

STRATEGY = """\
schema = 1

[strategy]
name = "btc-maker"
requote_interval_ms = 50

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
tick_size = "{tick}"
lot_size = "{lot}"

[feed]
use = "{use}"
{feed}
stale_after_ms = 10000

[venue.live]
use = "{use}"
api_key = {{ env = "LOCAL_KEY" }}
api_secret = {{ env = "LOCAL_SECRET" }}
recv_window_ms = 1000
{venue}

[[optimizer]]
use = "fixed-spread"
spread_bps = 10

[gate]
max_order_size = "0.01"
max_order_notional_quote = 1000
max_position = "0.05"
max_position_notional_quote = 5000
max_daily_loss_quote = 100
"""


@attrs.frozen
class Place:
    """One exchange: the component that trades there, its grid, and which of its addresses go where in a file.

    Values of `feed` and `venue` are names of properties of the local venue, and what follows after a slash.
    """

    use: str
    tick: str
    lot: str
    feed: dict[str, str]
    venue: dict[str, str]
    kind: InstrumentKind | None = None


PLACES = {
    "binance-spot": Place(
        "binance/spot",
        "0.01",
        "0.00001",
        {"rest_url": "rest_url", "stream_url": "stream_url"},
        {"rest_url": "rest_url", "ws_api_url": "ws_api_url"},
    ),
    "binance-usdm": Place(
        "binance/usdm",
        "0.1",
        "0.001",
        {"rest_url": "rest_url", "stream_url": "stream_url"},
        {"rest_url": "rest_url", "stream_url": "stream_url"},
    ),
    "bybit": Place(
        "bybit/linear",
        "0.1",
        "0.001",
        {"stream_url": "stream_url/linear"},
        {"rest_url": "rest_url", "private_stream_url": "private_url", "trade_stream_url": "ws_api_url"},
        InstrumentKind.LINEAR,
    ),
}


@attrs.frozen
class Arena:
    """A local venue, and a live strategy that trades on it."""

    venue: localvenue.LocalVenue
    portal: BlockingPortal
    file: object

    @property
    def open_ids(self):
        return [order.client_id for order in self.venue.god.open_orders("BTC/USDT")]

    def wait_for_orders(self, count):
        """Return once so many orders are open; fail when that takes too long."""
        self.portal.call(self._until, lambda: len(self.open_ids) >= count)

    def age_journals(self):
        """Let the last run be an hour old, so that a kill need not wait for what it sent last."""
        hour_ns = 3_600_000_000_000
        for path in (self.file.parent / "mmframe-runs").iterdir():
            written_ns = path.stat().st_mtime_ns - hour_ns
            os.utime(path, ns=(written_ns, written_ns))

    async def _until(self, condition):
        with anyio.fail_after(WITHIN_S):
            await self.venue.god.until(condition)


def address(venue, name):
    """Return an address of the local venue: a property, and what follows after a slash."""
    prop, slash, rest = name.partition("/")
    return getattr(venue, prop) + slash + rest


@pytest.fixture(params=[name for name in PLACES if name in localvenue.DIALECTS])
def arena(request, tmp_path, environment):
    place = PLACES[request.param]
    market = localvenue.MarketSetup(
        kind=place.kind, tick_size=Decimal(place.tick), lot_size=Decimal(place.lot), min_size=Decimal(place.lot)
    )
    setup = localvenue.VenueSetup(dialect=request.param, markets=(market,))
    environment.update(LOCAL_KEY="local-key", LOCAL_SECRET="local-secret")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(localvenue.LocalVenue(setup)) as venue,
    ):
        keys = {
            table: "\n".join(f'{key} = "{address(venue, name)}"' for key, name in getattr(place, table).items())
            for table in ("feed", "venue")
        }
        file = tmp_path / "strategy.toml"
        file.write_text(STRATEGY.format(use=place.use, tick=place.tick, lot=place.lot, **keys), encoding="utf-8")
        yield Arena(venue, portal, file)


@pytest.fixture
def running(start, arena):
    """The strategy, live, with a quote on each side."""
    process = start("-m", "mmframe", "run", arena.file, "--mode", "live", "--yes-live")
    try:
        arena.wait_for_orders(2)
    except TimeoutError:
        process.kill()
        pytest.fail(process.communicate()[1])
    return process


def test_the_doctor_finds_nothing_against_it_and_places_nothing(mmframe, arena):
    done = mmframe("doctor", arena.file, "--json")

    answer = json.loads(done.stdout)
    assert (done.returncode, answer["is_ready"]) == (0, True), answer["findings"]
    assert "clock skew" in {finding["subject"] for finding in answer["findings"]}
    assert arena.venue.god.orders() == []


def test_the_doctor_refuses_a_key_that_the_exchange_does_not_know(mmframe, arena):
    done = mmframe("doctor", arena.file, "--json", env={"LOCAL_KEY": "somebody-elses"})

    failed = [finding for finding in json.loads(done.stdout)["findings"] if finding["level"] == "failed"]
    assert done.returncode == 4
    assert {finding["where"] for finding in failed} == {"venue"}
    assert "local-secret" not in done.stdout + done.stderr
    assert "somebody-elses" not in done.stdout + done.stderr


def test_a_run_that_is_stopped_leaves_nothing(running, arena):
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)

    assert running.returncode == 0, stderr
    assert arena.open_ids == []


@pytest.mark.parametrize("ending", ["hangs", "is gone"])
def test_a_kill_removes_the_orders_of_a_process_that(ending, mmframe, running, arena):
    if ending == "hangs":
        running.send_signal(signal.SIGSTOP)
    else:
        running.kill()
        running.wait()
    before = arena.open_ids

    done = mmframe("kill", arena.file, "--yes", "--json")

    result = json.loads(done.stdout)
    assert (done.returncode, result["is_clean"]) == (0, True), result
    assert len(before) >= 2
    assert arena.open_ids == []
    assert [one["pid"] for one in result["processes"]] == ([running.pid] if ending == "hangs" else [])
    if ending == "hangs":
        running.send_signal(signal.SIGCONT)
        running.communicate(timeout=60)
        assert arena.open_ids == []


def test_a_kill_works_when_the_exchange_has_changed_the_grid(mmframe, running, arena):
    running.kill()
    running.wait()
    arena.age_journals()
    changed = re.sub(r'tick_size = ".*"', 'tick_size = "0.7"', arena.file.read_text(encoding="utf-8"))
    arena.file.write_text(changed, encoding="utf-8")

    examined = mmframe("doctor", arena.file)
    done = mmframe("kill", arena.file, "--yes")

    assert (examined.returncode, done.returncode) == (4, 0), examined.stdout + done.stdout + done.stderr
    assert "tick_size" in examined.stdout
    assert arena.open_ids == []


def test_nothing_that_is_written_holds_a_key_a_secret_or_a_signature(mmframe, running, arena):
    running.send_signal(signal.SIGINT)
    said = list(running.communicate(timeout=60))
    arena.age_journals()
    for words in (["doctor", arena.file], ["kill", arena.file, "--yes", "--json"]):
        done = mmframe(*words)
        said += [done.stdout, done.stderr]

    journals = list((arena.file.parent / "mmframe-runs").iterdir())
    written = "\n".join(said).encode() + b"\n".join(path.read_bytes() for path in journals)

    assert any(path.suffix == ".journal" for path in journals)
    assert b"btc-maker" in written
    for word in (b"local-key", b"local-secret", b"signature=", b"listenKey="):
        assert word not in written

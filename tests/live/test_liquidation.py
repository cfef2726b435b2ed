"""Positions are closed over real sockets: quotes first, then slices that only reduce, then nothing is left."""

from __future__ import annotations

import contextlib
import json
import time
from decimal import Decimal

import pytest
from anyio.from_thread import start_blocking_portal

from mmframe.domain.orders import Submit, TimeInForce
from mmframe.errors import JournalError
from mmframe.runtime.journal import JournalReader

pytestmark = pytest.mark.slow

localvenue = pytest.importorskip("mmframe_localvenue")

PLACES = {
    "binance-spot.toml": ("binance-spot", "8101"),
    "binance-usdm.toml": ("binance-usdm", "8102"),
    "bybit-linear.toml": ("bybit", "8103"),
}
CONTROL = """
[[risk]]
use = "emergency-liquidation"
max_unrealised_loss_bps = 0.001
slice_share = {share}
interval_s = {interval_s}
price_cap_bps = 200
"""
WITHIN_S = 60


@pytest.fixture
def scene(repository, tmp_path, environment):
    """Return a context: a local venue, and an example that trades on it and closes what it holds at a first loss."""
    environment.update(LOCAL_API_KEY="local-key", LOCAL_API_SECRET="local-secret")

    @contextlib.contextmanager
    def open_scene(name, *, share, interval_s):
        dialect, port = PLACES[name]
        file = tmp_path / name
        market = localvenue.MarketSetup(price=Decimal(50_000), crowd=localvenue.CrowdSetup())
        setup = localvenue.VenueSetup(dialect=dialect, markets=(market,))
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(localvenue.LocalVenue(setup)) as venue,
        ):
            text = (repository / "examples" / "05_local_venue" / name).read_text(encoding="utf-8")
            control = CONTROL.format(share=share, interval_s=interval_s)
            text = text.replace(f":{port}", f":{venue.port}").replace("\n[gate]", f"{control}\n[gate]")
            file.write_text(text, encoding="utf-8")
            yield venue, file

    return open_scene


def slices(journal):
    with JournalReader(journal) as reader:
        sent = [each.action for each in reader.intents() if isinstance(each.action, Submit)]
    return [action for action in sent if action.is_reduce_only]


def assert_closed(done, result, venue):
    assert done.returncode == 5, done.stderr
    assert (result["ended_because"], venue.god.open_orders()) == ("halted", [])
    assert "liquidation done: BTC/USDT" in result["halt_reason"]
    lots = venue.god.net_lots("BTC/USDT")
    # What is below the smallest order may be left; it is reported.
    assert abs(lots) * Decimal("0.00001") * 50_000 < 6
    assert Decimal(result["position"]) == lots * Decimal("0.00001")


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_live_run_closes_its_position_and_ends_halted(name, scene, tmp_path, mmframe):
    journal = tmp_path / "run.journal"
    with scene(name, share=0.34, interval_s=0.2) as (venue, file):
        done = mmframe("run", file, "--mode", "live", "--yes-live", "--for", "40s", "--json", "--journal", journal)

        assert_closed(done, json.loads(done.stdout), venue)
    assert slices(journal)
    assert {order.time_in_force for order in slices(journal)} == {TimeInForce.IOC}


def test_after_a_kill_in_the_middle_the_next_live_process_finishes_it(scene, start, mmframe, tmp_path):
    journal = tmp_path / "run.journal"
    with scene("binance-usdm.toml", share=0.1, interval_s=0.6) as (venue, file):
        live = ("run", file, "--mode", "live", "--yes-live", "--json")
        process = start("-m", "mmframe", *live, "--journal", journal)
        end_s = time.monotonic() + WITHIN_S
        while time.monotonic() < end_s and process.poll() is None:
            with contextlib.suppress(JournalError):
                if len(slices(journal)) >= 2:
                    break
            time.sleep(0.05)
        process.kill()
        process.wait()
        before = len(slices(journal))

        done = mmframe(*live, "--resume", journal, "--for", "40s")

        assert before >= 2
        assert_closed(done, json.loads(done.stdout), venue)
    assert len(slices(journal)) > before

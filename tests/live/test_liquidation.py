"""Positions are closed over real sockets: quotes first, then slices that only reduce, then nothing is left."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal

import pytest
from anyio.from_thread import start_blocking_portal

from mmframe.domain.orders import Submit, TimeInForce
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
unrealised_loss_bps = 0.001
slice_share = 0.34
interval_s = 0.2
price_cap_bps = 200
"""


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_live_run_closes_its_position_and_ends_halted(name, repository, tmp_path, environment, mmframe):
    dialect, port = PLACES[name]
    environment.update(LOCAL_API_KEY="local-key", LOCAL_API_SECRET="local-secret")
    file, journal = tmp_path / name, tmp_path / "run.journal"
    shutil.copy(repository / "examples" / "05_local_venue" / name, file)
    market = localvenue.MarketSetup(price=Decimal(50_000), crowd=localvenue.CrowdSetup())
    setup = localvenue.VenueSetup(dialect=dialect, markets=(market,))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(localvenue.LocalVenue(setup)) as venue,
    ):
        text = file.read_text(encoding="utf-8").replace(f":{port}", f":{venue.port}")
        file.write_text(text.replace("\n[gate]", f"{CONTROL}\n[gate]"), encoding="utf-8")

        done = mmframe("run", file, "--mode", "live", "--yes-live", "--for", "40s", "--json", "--journal", str(journal))
        left, lots = venue.god.open_orders(), venue.god.net_lots("BTC/USDT")

    assert done.returncode == 5, done.stderr
    result = json.loads(done.stdout)
    assert (result["ended_because"], left) == ("halted", [])
    assert "liquidation done: BTC/USDT" in result["halt_reason"]
    # What is below the smallest order may be left; it is reported.
    assert abs(lots) * Decimal("0.00001") * 50_000 < 6
    assert Decimal(result["position"]) == lots * Decimal("0.00001")
    with JournalReader(journal) as reader:
        slices = [
            each.action for each in reader.intents() if isinstance(each.action, Submit) and each.action.is_reduce_only
        ]
    assert slices
    assert {order.time_in_force for order in slices} == {TimeInForce.IOC}

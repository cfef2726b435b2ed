"""The example that trades on the local venue, end to end: paper and live, with the real plugins on real sockets."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal

import pytest
from anyio.from_thread import start_blocking_portal

pytestmark = pytest.mark.slow

localvenue = pytest.importorskip("mmframe_localvenue")

PLACES = {
    "binance-spot.toml": ("binance-spot", "8101"),
    "binance-usdm.toml": ("binance-usdm", "8102"),
    "bybit-linear.toml": ("bybit", "8103"),
}


@pytest.fixture(params=sorted(PLACES))
def scene(request, repository, tmp_path, environment):
    """Return the open venue and a copy of the example that is pointed at its port."""
    dialect, port = PLACES[request.param]
    environment.update(LOCAL_API_KEY="local-key", LOCAL_API_SECRET="local-secret")
    file = tmp_path / request.param
    shutil.copy(repository / "examples" / "05_local_venue" / request.param, file)
    market = localvenue.MarketSetup(price=Decimal(50_000), crowd=localvenue.CrowdSetup())
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(
            localvenue.LocalVenue(localvenue.VenueSetup(dialect=dialect, markets=(market,)))
        ) as venue,
    ):
        text = file.read_text(encoding="utf-8")
        assert f":{port}" in text
        file.write_text(text.replace(f":{port}", f":{venue.port}"), encoding="utf-8")
        yield venue, file


def test_it_is_what_the_readme_lists(repository):
    text = (repository / "examples" / "05_local_venue" / "README.md").read_text(encoding="utf-8")

    for name, (dialect, port) in PLACES.items():
        assert f"`{name}`" in text
        assert f"`mmframe venue {dialect} --port {port} --symbol BTC/USDT=50000`" in text


def test_paper_quotes_on_the_venues_data_and_sends_it_nothing(scene, mmframe):
    venue, file = scene

    done = mmframe("run", file, "--for", "6s", "--json", env={"LOCAL_API_KEY": "", "LOCAL_API_SECRET": ""})

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["orders"] > 0
    assert venue.god.orders() == []
    assert all(not seen.account for seen in venue.god.requests)


def test_live_trades_and_leaves_nothing(scene, mmframe):
    venue, file = scene

    done = mmframe("run", file, "--mode", "live", "--yes-live", "--for", "8s", "--json")

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert "the venue has twice listed no order of this strategy" in done.stderr
    assert result["orders"] > 0
    assert result["unresolved"] == []
    assert venue.god.open_orders() == []
    lots = venue.god.net_lots("BTC/USDT")
    assert Decimal(result["position"]) == lots * Decimal("0.00001")
    assert result["fills"] == len(venue.god.fills())

"""What a whole strategy file is told before anything connects."""

from __future__ import annotations

import pytest

from mmframe.domain.kinds import Mode
from mmframe.errors import ConfigErrors
from mmframe.registry import check

STRATEGY = """\
schema = 1

[strategy]
name = "maker"

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
tick_size = "0.1"
lot_size = "0.001"

[feed]
use = "bybit/linear"
stale_after_ms = 2000
{feed}

[venue.live]
use = "bybit/linear"
api_key = {{ env = "TEST_KEY" }}
api_secret = {{ env = "TEST_SECRET" }}
environment = "{venue}"

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


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Return a function that checks a strategy with a feed table and a venue's environment."""
    monkeypatch.setenv("TEST_KEY", "key")
    monkeypatch.setenv("TEST_SECRET", "secret")

    def run(feed, venue):
        path = tmp_path / "strategy.toml"
        path.write_text(STRATEGY.format(feed=feed, venue=venue))
        return check(path, mode=Mode.LIVE)

    return run


@pytest.mark.parametrize(
    ("feed", "venue"),
    [
        ("", "live"),
        ("", "demo"),
        ('environment = "testnet"', "testnet"),
        ('stream_url = "wss://stream-testnet.bybit.com/v5/public/linear"', "testnet"),
    ],
    ids=["live", "demo", "testnet", "told"],
)
def test_orders_go_where_the_prices_come_from(checked, feed, venue):
    assert checked(feed, venue) is not None


def test_prices_of_another_exchange_are_a_problem(checked):
    with pytest.raises(ConfigErrors) as caught:
        checked("", "testnet")

    problem = caught.value.problems[0]
    assert problem.message == "feed.environment: expected 'testnet', where the orders go, was 'live'"
    assert problem.key == "feed.environment"

"""A look at a strategy builds what a run builds, and nothing that wants a key or writes a file."""

import pytest

from mmframe.domain.kinds import Mode
from mmframe.errors import PluginError
from mmframe.registry import compose_look

FILE = """\
schema = 1

[strategy]
name = "looked-at"

[run]
mode = "MODE"

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"

[feed]
use = "embedded"

[venue.paper]
use = "embedded"

[venue.live]
use = "binance/spot"
api_key = { env = "LOOK_KEY_THAT_NOBODY_HAS" }
api_secret = { env = "LOOK_SECRET_THAT_NOBODY_HAS" }

[[optimizer]]
use = "fixed-spread"

[[sink]]
use = "jsonl"
path = "decisions.jsonl"
"""


@pytest.mark.parametrize("in_file", ["live", "paper"])
@pytest.mark.parametrize("asked", [None, Mode.LIVE, Mode.PAPER], ids=str)
def test_a_live_venue_is_never_built(tmp_path, in_file, asked):
    path = tmp_path / "strategy.toml"
    path.write_text(FILE.replace("MODE", in_file))

    plan = compose_look(path, mode=asked)

    assert plan.mode is Mode.PAPER
    assert plan.venue.capabilities.is_virtual
    assert (plan.sinks, plan.journal.path) == ((), None)
    assert list(tmp_path.iterdir()) == [path]


def test_the_problems_of_the_file_are_told_as_by_a_run(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_text(FILE.replace("MODE", "live").replace("fixed-spread", "fixed-spred"))

    with pytest.raises(PluginError) as caught:
        compose_look(path)

    assert caught.value.message == "there is no optimizer 'fixed-spred' built in"

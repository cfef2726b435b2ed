"""The recorded data alone, for tools that measure them: what else is wrong in the file is not in their way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mmframe.errors import ConfigErrors
from mmframe.registry import compose_history

TAPES = """
class History:
    def __init__(self, options, context): self.path, self.context = options.path, context
    def batches(self): return iter(())

@attrs.frozen
class Options:
    path: Path = option(help="File.")

@hookimpl
def mmframe_register_histories():
    return [HistorySpec(name="csv", summary="s", build=History, options=Options)]
"""

FILE = """
schema = 1
[strategy]
name = "maker"
[[markets]]
instrument = "BTC/USDT"
tick_size = "0.01"
lot_size = "0.001"
[history]
use = "tapes/csv"
path = "day.csv"
"""


@pytest.fixture
def written(site):
    site.install("tapes", TAPES)
    return lambda text=FILE: site.write("strategy.toml", text)


def test_the_history_is_opened_and_the_rest_of_the_file_is_passed_over(written, site):
    path = written(FILE + '[feed]\nuse = "nobody/has-it"\n[[signal]]\nuse = "micro"\nx = 1\n[venue.live]\nkey = 1\n')

    plan = compose_history(path)

    assert (plan.name, plan.strategy_file, plan.directory, plan.use) == ("maker", path, site.path, "tapes/csv")
    assert [(market.symbol, market.tick_size) for market in plan.instruments] == [("BTC/USDT", Decimal("0.01"))]
    assert plan.history.path == site.path / "day.csv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[history]", "[feed]"), "history: missing, expected recorded data: mode backtest needs it"),
        (("path =", "paht ="), "history.paht: unknown key"),
        (('tick_size = "0.01"\nlot_size = "0.001"\n', ""), "markets[0].tick_size: missing, expected the price"),
        (("schema = 1", "schema = 9"), "schema: "),
    ],
    ids=["no history", "its option", "no grid", "schema"],
)
def test_what_concerns_the_data_is_reported(written, change, message):
    with pytest.raises(ConfigErrors) as caught:
        compose_history(written(FILE.replace(*change)))

    assert any(problem.message.startswith(message) for problem in caught.value.problems), caught.value.problems

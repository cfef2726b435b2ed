"""A risk control that can never bind is told of before it is relied on."""

import pytest

from mmframe.errors import ConfigErrors
from mmframe.registry import check

STRATEGY = """\
schema = 1
[strategy]
name = "guarded"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
[[optimizer]]
use = "fixed-spread"
[[risk]]
"""
FACTOR = 'use = "emergency-liquidation"\nposition_factor = 1.2\n'
PORTFOLIO = 'use = "portfolio"\nmax_concentration = 0.8\n'


def market(symbol, more=""):
    return f'[[markets]]\ninstrument = "{symbol}"\norder_size = "0.01"\n{more}'


@pytest.fixture
def told(tmp_path):
    """Return what `check` warns of in the risk table, or its problems."""

    def told(risk, *markets):
        file = tmp_path / "strategy.toml"
        file.write_text(STRATEGY + risk + "".join(markets))
        return [text for text in check(file).warnings if text.startswith("risk[0]")]

    return told


LIMITED = market("BTC/USDT", '[markets.gate]\nmax_position = "1"\n')
UNLIMITED = market("ETH/USDT")
WARNING = (
    "risk[0].position_factor: expected gate.max_position, was none in ETH/USDT: it never holds there; "
    "add `max_position` to [gate], or set another trigger"
)


def test_a_factor_of_no_limit_is_refused_when_nothing_else_can_trigger(told):
    with pytest.raises(ConfigErrors) as caught:
        told(FACTOR, market("BTC/USDT"), UNLIMITED)

    [problem] = caught.value.problems
    assert problem.message == (
        "risk[0].position_factor: expected gate.max_position, of which it is a multiple, was none: "
        "this only trigger can never hold"
    )
    assert problem.line == 12


@pytest.mark.parametrize(
    ("risk", "markets", "warnings"),
    [
        pytest.param(FACTOR, [LIMITED], [], id="with its limit"),
        pytest.param(FACTOR, [UNLIMITED, '[gate]\nmax_position = "1"\n'], [], id="with the limit of all"),
        pytest.param(FACTOR, [LIMITED, UNLIMITED], [WARNING], id="in one market of two"),
        pytest.param(FACTOR + "max_unrealised_loss_bps = 500\n", [UNLIMITED], [WARNING], id="beside another trigger"),
    ],
)
def test_a_factor_that_cannot_hold_everywhere_is_warned_of(told, risk, markets, warnings):
    assert told(risk, *markets) == warnings


@pytest.mark.parametrize(
    ("risk", "markets", "warnings"),
    [
        pytest.param(PORTFOLIO, ["BTC/USDT", "ETH/USDT"], [], id="a portfolio"),
        pytest.param(PORTFOLIO, ["BTC/USDT"], ["2 markets with quote asset USDT, was 1"], id="one market"),
        pytest.param(
            PORTFOLIO + "min_markets = 3\n",
            ["BTC/USDT", "ETH/USDT"],
            ["3 markets with quote asset USDT, was 2"],
            id="fewer than it is told",
        ),
        pytest.param(
            PORTFOLIO, ["BTC/USDT", "ETH/USDT", "BTC/USDC"], ["2 markets with quote asset USDC, was 1"], id="another"
        ),
    ],
)
def test_a_portfolio_of_too_few_markets_runs_and_says_that_it_never_binds(told, risk, markets, warnings):
    expected = [f"risk[0].min_markets: expected at least {text}: 'portfolio' never binds there" for text in warnings]

    assert told(risk, *map(market, markets)) == expected

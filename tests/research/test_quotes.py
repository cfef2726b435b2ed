"""Many markets in one call get what each of them gets alone, from the very same rules."""

import math
from array import array
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.domain.views import NEUTRAL_ADVICE, NO_QUOTE, Reason
from mmframe.errors import ConfigErrors, DomainError, PluginError
from mmframe.plugin import OptimizerRule, OptimizerSpec
from mmframe.registry import Registry, compose_look
from mmframe.research import PerMarket, Stage, chain_of, quote_many
from mmframe.research.quotes import _inventory
from mmframe.runtime.quote import GivenNumbers, quote_from
from mmframe.testing import build_component, make_instrument, make_options, make_signals, make_view

SPECS = {spec.name: spec for spec in OPTIMIZERS}
GRID = make_instrument(tick_size="0.01", lot_size="0.001")
FEATURES = {"tick": 0.01, "lot": 0.001, "order_size": 0.01, "max_position": 2.0}
STRATEGY = Path("01_first_run") / "strategy.toml"


def one_by_one(chain, markets):
    """The obvious way: a fresh chain a market, called stage after stage."""
    for bid, ask, volatility, depth, position, options in markets:
        view = make_view(
            bid,
            ask,
            order_size=0.01,
            now_ns=0,
            instrument=GRID,
            signals=make_signals(volatility=volatility, relative_depth=depth),
        )
        inventory = _inventory(position, 0.0, 2.0, view.mid)
        proposal = NO_QUOTE
        for name, fixed in chain:
            spec = SPECS[name]
            own = {key: options[key] for key in options if hasattr(spec.options, key)}
            stage = build_component(spec, make_options(spec, {**fixed, **own}))
            proposal = stage.propose(view, inventory, NEUTRAL_ADVICE, proposal)
        yield proposal


CHAIN = (
    ("avellaneda-stoikov", {"risk_aversion": 0.1, "decay_per_bps": 0.2, "max_half_spread_bps": 500.0}),
    ("volatility-regime", {}),
    ("inventory-skew", {}),
)
prices = st.floats(1.0, 1e5)
market = st.tuples(
    prices,
    st.floats(0.1, 50.0),
    st.one_of(st.just(math.nan), st.floats(1e-6, 0.01)),
    st.floats(0.1, 3.0),
    st.floats(-2.0, 2.0),
    st.fixed_dictionaries({"skew_bps": st.floats(0.5, 20.0), "risk_aversion": st.floats(0.01, 5.0)}),
).map(lambda row: (row[0], row[0] * (1.0 + row[1] / 1e4), row[0] * row[2], *row[3:]))


@settings(max_examples=40, deadline=None)
@given(markets=st.lists(market, min_size=1, max_size=8))
def test_many_markets_are_quoted_as_each_of_them_alone(markets):
    bid, ask, volatility, depth, position, options = zip(*markets, strict=True)
    skews, aversions = ([one[name] for one in options] for name in ("skew_bps", "risk_aversion"))
    stages = [
        Stage(CHAIN[0][0], {**CHAIN[0][1], "risk_aversion": PerMarket(aversions)}),
        Stage(CHAIN[1][0]),
        Stage(CHAIN[2][0], {"skew_bps": PerMarket(array("d", skews))}),
    ]

    found = quote_many(
        stages,
        bid=bid,
        ask=list(ask),
        signals={"volatility": array("d", volatility), "relative_depth": depth},
        position=position,
        **FEATURES,
    )

    assert found.faults == ()
    for index, expected in enumerate(one_by_one(CHAIN, markets)):
        here = (found.bid[index], found.bid_size[index], found.ask[index], found.ask_size[index])
        assert here == tuple(0.0 if math.isnan(value) else value for value in expected[:4])
        assert found.bid_flags[index] == expected.bid_reason
        spread = (expected.ask - expected.bid) / ((bid[index] + ask[index]) * 0.5) * 1e4 if here[1] and here[3] else 0.0
        assert found.spread_bps[index] == spread


def test_a_strategy_file_s_chain_is_quoted_with_its_market_s_numbers(repository):
    path = repository / "examples" / STRATEGY
    chain = chain_of(path)
    signals = {"volatility": [10.0, 40.0, math.nan], "relative_depth": 1.0}

    found = quote_many(path, bid=50_020.0, ask=50_025.0, position=[0.0, 0.05, 0.0], signals=signals)

    assert [name for name, _ in chain.optimizers] == ["volatility-regime", "inventory-skew"]
    assert list(found.bid_size) == [0.01, 0.01, 0.0]
    assert list(found.bid_flags) == [0, found.bid_flags[1], Reason.WARMING_UP]
    assert found.spread_bps[1] > found.spread_bps[0] > 0.0
    assert found.bid[1] + found.ask[1] < found.bid[0] + found.ask[0]
    alone = quote_many(
        chain, bid=50_020.0, ask=50_025.0, position=0.05, signals={"volatility": 40, "relative_depth": 1}
    )
    assert (alone.bid[0], alone.ask[0]) == (found.bid[1], found.ask[1])


@pytest.mark.parametrize("grid", [0.01, [0.01, 0.01, 0.1]], ids=["one rule", "a rule for each grid"])
def test_a_stage_that_remembers_starts_afresh_in_each_market(grid):
    def count(params, state, view, inventory, advice, proposal):
        state[0] += 1.0
        return proposal._replace(bid=view.bid, bid_size=state[0], bid_reason=0)

    found = quote_many(
        [Stage("look"), Stage("look")], bid=[1.0, 2.0, 3.0], ask=4.0, tick=grid, registry=registry_with(count, [0.0])
    )

    assert list(found.bid_size) == [1.0, 1.0, 1.0]


def test_a_market_that_cannot_be_quoted_on_is_flagged_and_never_nan():
    bid = [100.0, 100.2, math.nan, 0.0, math.inf, 100.0]
    ask = [100.1, 100.1, 100.1, 1.0, math.inf, math.inf]

    found = quote_many([Stage("fixed-spread", {"spread_bps": 10.0})], bid=bid, ask=ask)

    expected = [0, Reason.BOOK_CROSSED, *[Reason.BOOK_EMPTY] * 4]
    assert list(found.bid_flags) == list(found.ask_flags) == expected
    for column in (found.bid, found.ask, found.bid_size, found.ask_size, found.spread_bps):
        assert column.typecode == "d"
        assert all(math.isfinite(value) for value in column)
        assert all(value == 0.0 for value in column[1:])
    assert found.spread_bps[0] == pytest.approx(10.0)


def test_a_chain_quotes_what_the_engine_gets_from_its_optimizers(repository):
    path = repository / "examples" / STRATEGY
    given = GivenNumbers(
        now_ns=0,
        bid_ticks=10_004,
        bid_lots=100,
        ask_ticks=10_005,
        ask_lots=100,
        position_lots=200,
        signals={"volatility": 10.0, "relative_depth": 0.8},
    )

    told = quote_from(compose_look(path), given).explanation

    found = quote_many(path, bid=50_020.0, ask=50_025.0, position=0.02, signals=given.signals)
    bid, ask = [stage for stage in told.stages if stage.kind == "optimizer"][-1].changes
    assert (found.bid[0], found.bid_size[0]) == (bid.price_after, bid.size_after)
    assert (found.ask[0], found.ask_size[0]) == (ask.price_after, ask.size_after)


def test_an_optimizer_of_a_file_that_may_hold_anything_is_refused(repository):
    chain = chain_of(repository / "examples" / STRATEGY)

    with pytest.raises(DomainError) as caught:
        quote_many(attrs.evolve(chain, optimizers=(("a-model", object()),)), bid=1.0, ask=2.0)

    assert caught.value.message.startswith("optimizer 'a-model': expected a rule")


def test_a_mid_stands_in_the_middle_of_the_touch():
    chain = [Stage("fixed-spread", {"spread_bps": 10.0})]

    found = quote_many(chain, mid=[100.0, 200.0], touch_spread_bps=2.0)

    assert list(found.bid) == pytest.approx([99.95, 199.9])
    assert len(found) == 2


def test_advice_and_inventory_reach_the_stages():
    seen = []

    def look(params, state, view, inventory, advice, proposal):
        seen.append((view, inventory, advice))
        return proposal

    registry = registry_with(look)

    found = quote_many(
        [Stage("look")],
        bid=[99.0, 9.0],
        ask=[101.0, 11.0],
        position=[0.5, 0.0],
        inventory={"day_pnl_quote": [-3.0, 4.0]},
        advice={"skew_bps": 2.0},
        now_ns=7,
        registry=registry,
    )

    assert list(found.bid_flags) == [Reason.NOT_PROPOSED] * 2
    (view, inventory, advice), (_, flat, _) = seen
    assert (view.now_ns, view.mid, view.bid_size) == (7, 100.0, 1.0)
    assert (inventory.average_price, inventory.total_notional_quote, inventory.day_pnl_quote) == (100.0, 50.0, -3.0)
    assert (flat.average_price, flat.concentration, flat.day_pnl_quote) == (0.0, 0.0, 4.0)
    assert (advice.skew_bps, advice.confidence) == (2.0, 1.0)
    assert advice.valid_until_ns > 7


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda proposal: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda proposal: proposal._replace(bid=math.nan, bid_size=1.0), "expected finite prices and sizes above 0"),
        (lambda proposal: proposal._replace(bid=2.0, bid_size=1.0, ask=1.0, ask_size=1.0), "expected bid < ask"),
    ],
    ids=["raises", "nan", "crossed"],
)
def test_a_stage_that_breaks_its_contract_is_flagged_and_told(answer, fault):
    registry = registry_with(lambda params, state, view, inventory, advice, proposal: answer(proposal))

    found = quote_many([Stage("look")], bid=[1.0] * 30, ask=1.1, registry=registry)

    assert set(found.bid_flags) == {Reason.STRATEGY_ERROR}
    assert set(found.bid) == {0.0}
    assert found.faults[0].startswith(f"market 0, look: {fault}")
    assert len(found.faults) == 20


def registry_with(function, state=()):
    """Installed plugins, one of which has the optimizer `look`."""

    class Registered(Registry):
        def component(self, kind, use, needed_by=None):
            found = super().component(kind, "fixed-spread", needed_by)
            spec = OptimizerSpec(
                name="look", summary="Looks.", build=lambda options, context: OptimizerRule(function, (), state)
            )
            return type(found)(found.plugin, found.distribution, found.version, spec, found.owner)

    return Registered()


FIXED = [Stage("fixed-spread", {"spread_bps": 10.0})]
WRONG = {
    "lengths": (
        FIXED,
        dict(bid=[1.0, 2.0], ask=[2.0, 3.0, 4.0]),
        "ask: expected 2 values, as many as bid, was 3",
    ),
    "signal lengths": (
        FIXED,
        dict(bid=[1.0, 2.0], ask=3.0, signals={"volatility": [1.0]}),
        "signals.volatility: expected 2 values, as many as bid, was 1",
    ),
    "option lengths": (
        [Stage("fixed-spread", {"spread_bps": PerMarket([1.0])})],
        dict(bid=[1.0, 2.0], ask=3.0),
        "chain[0].spread_bps: expected 2 values, as many as bid, was 1",
    ),
    "no number": (FIXED, dict(bid=[1.0, "x"], ask=3.0), "bid[1]: expected a number or a column of numbers, was 'x'"),
    "text": (FIXED, dict(bid="1.0x", ask=3.0), "bid: expected a number or a column of numbers, was '1.0x'"),
    "no prices": (FIXED, {}, "prices: expected bid and ask, or mid, was none"),
    "prices twice": (
        FIXED,
        dict(bid=1.0, ask=2.0, mid=1.5),
        "prices: expected bid and ask, or mid, was bid and ask and mid",
    ),
    "inventory": (
        FIXED,
        dict(bid=1.0, ask=2.0, inventory={"position": 1.0}),
        "inventory: expected one of asset_position",
    ),
    "advice": (FIXED, dict(bid=1.0, ask=2.0, advice={"skew": 1.0}), "advice: expected one of ask_spread_multiplier"),
    "no stage": ([], dict(bid=1.0, ask=2.0), "chain: expected at least one stage, was none"),
    "missing signal": (
        [Stage("volatility-regime")],
        dict(bid=1.0, ask=2.0, signals={"volatility": 1.0}),
        "signals: expected 'relative_depth', which chain[0] 'volatility-regime' needs",
    ),
}


@pytest.mark.parametrize(("chain", "columns", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_together_is_named(chain, columns, message):
    with pytest.raises(DomainError) as caught:
        quote_many(chain, **columns)

    assert caught.value.message.startswith(message)


def test_a_wrong_option_is_located_as_in_a_strategy_file():
    with pytest.raises(ConfigErrors) as caught:
        quote_many([Stage("fixed-spread", {"spread_bps": PerMarket([5.0, -1.0])})], bid=[1.0, 1.0], ask=2.0)

    assert [problem.key for problem in caught.value.problems] == ["chain[0].spread_bps"]


def test_an_unknown_optimizer_is_named_with_its_place():
    with pytest.raises(PluginError) as caught:
        quote_many([Stage("fixed-spred")], bid=1.0, ask=2.0)

    assert caught.value.needed_by == "chain[0]"
    assert caught.value.hint == "did you mean 'fixed-spread'?"


def test_a_signal_that_the_strategy_file_does_not_have_is_named(repository):
    with pytest.raises(DomainError) as caught:
        quote_many(repository / "examples" / STRATEGY, bid=1.0, ask=2.0, signals={"volatilty": 1.0})

    assert caught.value.message == "signals: expected one of relative_depth, volatility, was 'volatilty'"
    assert caught.value.hint == "did you mean 'volatility'?"

# ruff: noqa: E501, ISC004 - exact messages stand on one line, or in pieces where they are too long for that
from __future__ import annotations

import hashlib
import sys
from decimal import Decimal

import pytest

from mmframe.domain.kinds import Mode, Scope
from mmframe.domain.orders import ALL_MARKETS
from mmframe.errors import ConfigErrors, DataError, DomainError, ExitCode, PluginError, UsageError
from mmframe.plugin.specs import ComponentKind
from mmframe.ports import Book, Feed, Venue
from mmframe.registry import check, compose
from mmframe.runtime.clocks import SystemClock, VirtualClock

LAB = """
from types import SimpleNamespace
from mmframe.plugin import OptimizerRule, RiskRule, SignalRule

built = []

@attrs.frozen
class Options:
    tag: str = option(help="Shown in tests.", default="-")
    fail: str = option(help="How to fail.", default="")
    key: Secret | None = option(help="Key.", default=None)
    other_provider: Use | None = option(help="Provider.", default=None)

    def __attrs_post_init__(self):
        if self.fail == "options":
            raise KeyError("tag")

FAILURES = {
    "domain": DomainError("tag: expected another, was this", hint="change it"),
    "value": ValueError("no such thing"),
    "file": FileNotFoundError(2, "No such file", "x.csv"),
    "config": ConfigError("feed.tag: mine", key="feed.tag"),
    "data": DataError("bad row", file="x.csv", line=3),
    "bug": IndexError("list index out of range"),
}

class Feed:
    next_event_ns = NEVER_NS
    def poll(self, now_ns): return ()
    async def run(self, notify): pass

class History:
    def batches(self): return iter(())

class LabVenue:
    next_event_ns = NEVER_NS
    def __init__(self, is_virtual): self.capabilities = VenueCapabilities(is_virtual=is_virtual)
    def execute(self, approved, now_ns): pass
    def poll(self, now_ns): return ()
    async def run(self, notify): pass

class Sink:
    wants_decisions = False
    def on_decision(self, decision): pass
    def on_action(self, action, now_ns): pass
    def on_order_update(self, update): pass
    def on_fill(self, fill): pass
    def on_advice(self, update): pass
    def on_limit(self, limit): pass
    def close(self): pass

class Adviser:
    levels = trades = 0
    def request(self, pictures): return None
    def read(self, text, request): return (), False

class Provider:
    model = "m"
    def body(self, request): return b""
    async def complete(self, request, *, timeout_s): ...
    async def models(self, *, timeout_s): ...
    async def aclose(self): pass

def building(make):
    def build(options, context):
        if options.fail in FAILURES:
            raise FAILURES[options.fail]
        built.append((options.tag, context.market, context.random.random(), context.book is not None))
        context.shared("made", list).append(options.tag)
        return None if options.fail == "port" else make()
    return build

def grid(options, symbols):
    known = {"BTC/USDT": "0.01", "ETH/USDT": "0.1"}
    if options.fail == "grid":
        raise RuntimeError("no list")
    if options.fail == "grid-domain":
        raise DomainError("the list is empty", hint="fill it")
    if options.fail == "grid-type":
        return {symbol: 3 for symbol in symbols}
    found = [symbol for symbol in known if symbol in symbols or not symbols]
    return {
        symbol: Instrument(symbol=symbol, tick_size=Decimal(known[symbol]), lot_size=Decimal("0.001"),
                           min_size_lots=2, max_size_lots=5000)
        for symbol in found
    }

def passed(params, state, view, inventory, advice, proposal): return proposal

def sensed(params, state, now_ns, tick): return 0.0

ALL = frozenset(Mode)

@hookimpl
def mmframe_register_feeds():
    return [
        FeedSpec(name="spot", summary="S.", options=Options, build=building(Feed), instruments=grid),
        FeedSpec(name="blind", summary="B.", options=Options, build=building(Feed)),
    ]

@hookimpl
def mmframe_register_histories():
    return [HistorySpec(name="tape", summary="T.", options=Options, build=building(History), instruments=grid)]

@hookimpl
def mmframe_register_venues():
    def build(is_virtual): return building(lambda: LabVenue(is_virtual))
    return [
        VenueSpec(name="spot", summary="S.", options=Options, build=build(False), modes=frozenset({Mode.LIVE}), instruments=grid),
        VenueSpec(name="sim", summary="S.", options=Options, build=build(True), modes=frozenset({Mode.PAPER, Mode.BACKTEST}),
                  is_virtual=True, assumptions=lambda options: ("Assumed: " + options.tag,)),
    ]

@hookimpl
def mmframe_register_signals():
    return [SignalSpec(name="mood", summary="M.", options=Options, provides="mood", build=building(lambda: SignalRule(sensed, ())))]

@hookimpl
def mmframe_register_optimizers():
    rule = building(lambda: OptimizerRule(passed, ()))
    return [
        OptimizerSpec(name="keep", summary="K.", options=Options, build=rule, reasons={1000: "kept", 1001: "lab"}),
        OptimizerSpec(name="moody", summary="M.", options=Options, build=rule, needs=("mood",), reasons={1000: "moody"}),
    ]

@hookimpl
def mmframe_register_risk_controls():
    return [RiskControlSpec(name="stop", summary="S.", options=Options, build=building(lambda: RiskRule(passed, ())),
                            scope=Scope.STRATEGY, needs=("mood",))]

@hookimpl
def mmframe_register_sinks():
    return [SinkSpec(name="log", summary="L.", options=Options, build=building(Sink))]

@hookimpl
def mmframe_register_advisers():
    return [AdviserSpec(name="oracle", summary="O.", options=Options, build=building(Adviser))]

@hookimpl
def mmframe_register_llm_providers():
    return [LLMProviderSpec(name="chat", summary="C.", options=Options, build=building(Provider))]
"""

START = """\
schema = 1
[strategy]
name = "one"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
"""
FEED = '[feed]\nuse = "lab/spot"\n'
LIVE_FEED = FEED + "stale_after_ms = 2000\n"
VENUE = '[venue.paper]\nuse = "lab/sim"\n'
KEEP = '[[optimizer]]\nuse = "lab/keep"\n'
PAPER = START + FEED + VENUE + KEEP
LIMITS = (
    '[gate]\nmax_order_size = 1\nmax_order_notional_quote = 1\nmax_position = "1.0005"\n'
    "max_position_notional_quote = 1\nmax_daily_loss_quote = 7\n"
)


@pytest.fixture
def lab(site):
    """Install the plugin `lab`; return its module once something has loaded it."""
    name = site.install("lab", LAB)
    return lambda: sys.modules[name]


@pytest.fixture
def composed(site, lab):
    def composed(text: str, **keywords):
        return compose(site.write("strategy.toml", text), **keywords)

    return composed


@pytest.fixture
def problems(site, lab):
    """Return every problem as `line: message (hint)`, and those of plugins as `code: message`."""

    def problems(text: str, **keywords) -> list[str]:
        with pytest.raises((ConfigErrors, PluginError)) as caught:
            check(site.write("strategy.toml", text), **keywords)
        error = caught.value
        if isinstance(error, PluginError):
            return [f"{error.code}: {error.message}"]
        return [f"{one.line}: {one.message} ({one.hint})" for one in error.problems] + [
            f"{one.code}: {one.message}" for one in error.plugin_errors
        ]

    return problems


def test_a_paper_strategy_becomes_a_plan(composed, lab):
    text = PAPER + '[[signal]]\nuse = "lab/mood"\n[[risk]]\nuse = "lab/stop"\n[[sink]]\nuse = "lab/log"\n'

    plan = composed(text + '[run]\nduration = "5s"\n', run_id="7")

    assert (plan.name, plan.mode, plan.duration_ns) == ("one", Mode.PAPER, 5_000_000_000)
    assert plan.strategy_hash == hashlib.sha256((text + '[run]\nduration = "5s"\n').encode()).hexdigest()
    assert (plan.settings.strategy, plan.settings.run_id) == ("one", "7")
    assert plan.settings.markets[0].order_size_lots == 10
    assert plan.instruments[0].tick_size == Decimal("0.01")
    (pipeline,) = plan.pipelines
    assert isinstance(pipeline.book, Book)
    assert [signal.name for signal in pipeline.signals] == ["mood"]
    assert [optimizer.name for optimizer in pipeline.optimizers] == ["lab/keep"]
    assert [(control.name, control.scope) for control in pipeline.risk_controls] == [("lab/stop", Scope.STRATEGY)]
    assert isinstance(plan.feed, Feed)
    assert isinstance(plan.venue, Venue)
    assert plan.history is None
    assert len(plan.sinks) == 1
    assert plan.is_virtual is False
    assert isinstance(plan.clock, SystemClock)
    assert plan.assumptions[0] == "Assumed: -"
    assert [(used.plugin, used.distribution) for used in plan.provenance] == [
        ("core", "mmframe"),
        ("lab", "mmframe-lab"),
    ]


def test_a_plan_without_third_parties_imports_none(site, lab):
    site.write("strategy.toml", START + '[feed]\nuse = "embedded"\n[[optimizer]]\nuse = "fixed-spread"\n')

    plan = compose(site.path / "strategy.toml")

    assert "mmframe_lab_plugin" not in sys.modules
    assert plan.is_virtual is True
    assert isinstance(plan.clock, VirtualClock)
    assert [used.plugin for used in plan.provenance] == ["core"]


def test_the_embedded_feed_brings_its_venue(site):
    path = site.write("s.toml", START + '[feed]\nuse = "embedded"\n[[optimizer]]\nuse = "fixed-spread"\n')

    report = check(path)

    venue = next(component for component in report.components if component.key == "venue.paper")
    assert (venue.use, venue.is_default, venue.market) == ("core/embedded", True, ALL_MARKETS)


def test_a_backtest_replays_its_history_and_loads_no_feed(composed, lab):
    text = START + KEEP + '[history]\nuse = "lab/tape"\n[feed]\nuse = "nowhere/spot"\nstale_after_ms = 9\n'

    plan = composed(text, mode=Mode.BACKTEST)

    assert (plan.mode, plan.feed, plan.is_virtual, plan.journal.path) == (Mode.BACKTEST, None, True, None)
    assert plan.history is not None
    assert plan.settings.stale_after_ns == 9_000_000
    assert plan.venue.capabilities.is_virtual


def test_a_backtest_uses_the_venue_of_paper(composed):
    plan = composed(START + KEEP + '[history]\nuse = "lab/tape"\n' + VENUE + 'tag = "x"\n', mode=Mode.BACKTEST)

    assert plan.assumptions[0] == "Assumed: x"


def test_a_live_run_takes_grid_limits_and_secrets(composed, monkeypatch):
    monkeypatch.setenv("LAB_KEY", "s3cret")
    live = START + LIVE_FEED + KEEP + LIMITS + '[venue.live]\nuse = "lab/spot"\nkey = { env = "LAB_KEY" }\n'

    plan = composed(live, mode=Mode.LIVE)

    limits = plan.settings.markets[0].limits
    assert (limits.max_order_lots, limits.max_position_lots, limits.max_daily_loss_quote) == (1000, 1000, Decimal(7))
    assert plan.is_virtual is False


def test_secrets_of_venues_are_read_in_live_only(site, lab, monkeypatch):
    monkeypatch.delenv("LAB_KEY", raising=False)
    keyed = PAPER.replace('use = "lab/sim"\n', 'use = "lab/sim"\nkey = { env = "LAB_KEY" }\n')

    report = check(site.write("s.toml", keyed))

    (venue,) = [component for component in report.components if component.key == "venue.paper"]
    with pytest.raises(DomainError, match="was not read"):
        venue.options.key.reveal()


def test_secrets_of_others_are_read_in_paper_but_not_in_backtests(problems, site, monkeypatch):
    monkeypatch.delenv("LAB_KEY", raising=False)
    sink = '[[sink]]\nuse = "lab/log"\nkey = { env = "LAB_KEY" }\n'

    assert problems(PAPER + sink) == [
        "15: sink[0].key.env: environment variable LAB_KEY is not set (export LAB_KEY=... before the run)"
    ]
    check(site.write("b.toml", START + KEEP + sink + '[history]\nuse = "lab/tape"\n'), mode=Mode.BACKTEST)


def test_a_secret_of_the_live_venue_must_be_there(problems, monkeypatch):
    monkeypatch.delenv("LAB_KEY", raising=False)
    live = START + LIVE_FEED + KEEP + LIMITS + '[venue.live]\nuse = "lab/spot"\nkey = { env = "LAB_KEY" }\n'

    (problem,) = problems(live, mode=Mode.LIVE)

    assert problem.startswith("20: venue.live.key.env: environment variable LAB_KEY is not set")


def test_a_live_run_needs_every_limit(problems):
    found = problems(START + FEED + KEEP + '[venue]\nuse = "lab/spot"\n', mode=Mode.LIVE)

    assert len(found) == 6
    assert found[-1] == (
        "7: feed.stale_after_ms: missing, expected a time: a live run does not quote on a feed that went silent"
        " (add `stale_after_ms = 2000` to [feed])"
    )
    assert found[0] == (
        "None: gate.max_daily_loss_quote: missing, expected a limit: a live run needs it"
        ' (add `max_daily_loss_quote = "..."` to [gate])'
    )


def test_a_live_run_needs_a_real_market(problems):
    found = problems(
        START + '[feed]\nuse = "embedded"\n' + KEEP + LIMITS + '[venue]\nuse = "lab/spot"\n', mode=Mode.LIVE
    )

    assert (
        "8: feed.use: 'embedded' lives on virtual time, expected a feed of a real market in mode live (None)" in found
    )


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        (START + KEEP, Mode.PAPER, "feed: missing, expected a feed: mode paper needs one"),
        (START + FEED + KEEP, Mode.PAPER, "venue.paper: missing, expected a venue: mode paper needs one"),
        (START + LIVE_FEED + KEEP + LIMITS, Mode.LIVE, "venue.live: missing, expected a venue: mode live needs one"),
        (START + KEEP, Mode.BACKTEST, "history: missing, expected recorded data: mode backtest needs it"),
        (PAPER.replace("lab/sim", "lab/spot"), Mode.PAPER, "venue.paper.use: 'lab/spot' serves live, expected a venue for mode paper"),
    ],
)  # fmt: skip
def test_each_mode_needs_its_parts(problems, text, mode, expected):
    assert any(problem.split(": ", 1)[1].startswith(expected) for problem in problems(text, mode=mode))


def test_the_first_random_numbers_depend_on_seed_component_place_and_market_alone(composed, lab):
    two = PAPER.replace("[feed]", '[[markets]]\ninstrument = "ETH/USDT"\norder_size = 1\n[feed]')

    def numbers(text: str, **keywords) -> dict[tuple[str, int], float]:
        if "mmframe_lab_plugin" in sys.modules:
            lab().built.clear()
        composed(text, **keywords)
        return {(tag, market): number for tag, market, number, _ in lab().built}

    first = numbers(two + 'tag = "k"\n')
    again = numbers(two + 'tag = "k"\n[[sink]]\nuse = "lab/log"\ntag = "new"\n')
    other = numbers(two + 'tag = "k"\n', seed=2)

    assert first["k", 0] == again["k", 0]
    assert len({first["k", 0], first["k", 1], other["k", 0], again["new", ALL_MARKETS]}) == 4


def test_components_of_a_market_get_its_book_and_those_of_a_plugin_share_resources(composed, lab):
    composed(PAPER + 'tag = "o"\n')

    built = {tag: (market, has_book) for tag, market, _, has_book in lab().built}
    assert built["o"] == (0, True)
    assert built["-"] == (ALL_MARKETS, False)


def test_a_component_twice_in_a_chain_is_told_apart(composed):
    plan = composed(PAPER + KEEP)

    assert [stage.name for stage in plan.pipelines[0].optimizers] == ["lab/keep", "lab/keep#2"]


def test_reasons_of_all_components_are_in_the_plan(composed):
    plan = composed(PAPER + '[[optimizer]]\nuse = "lab/moody"\n[[signal]]\nuse = "lab/mood"\n')

    assert dict(plan.reasons) == {1000: "kept / moody", 1001: "lab"}


def test_a_missing_signal_names_what_provides_it(problems):
    found = problems(PAPER + '[[optimizer]]\nuse = "lab/moody"\n[[risk]]\nuse = "lab/stop"\n')

    assert found == [
        "14: optimizer[1].use: optimizer 'lab/moody' needs the signal 'mood', expected one that provides it"
        ' (add `[[signal]]` with `use = "lab/mood"`)',
        "16: risk[0].use: risk control 'lab/stop' needs the signal 'mood', expected one that provides it"
        ' (add `[[signal]]` with `use = "lab/mood"`)',
    ]


def test_signal_names_are_identifiers_and_unique(problems, site):
    signal = '[[signal]]\nuse = "lab/mood"\n'

    assert problems(PAPER + signal + signal) == [
        "16: signal[1].use: expected each signal name once, was 'mood' again"
        f' (the first is at {site.path}/strategy.toml:13; give this one a `name = "..."`)'
    ]
    assert problems(PAPER + signal + 'name = "my mood"\n') == [
        "15: signal[0].name: expected a public Python identifier, was 'my mood' (write it like `fast_volatility`)"
    ]


def test_a_problem_of_a_shared_table_is_reported_once(problems):
    two = PAPER.replace("[feed]", '[[markets]]\ninstrument = "ETH/USDT"\norder_size = 1\n[feed]')

    assert len(problems(two + '[[optimizer]]\nuse = "lab/moody"\n')) == 1


def test_options_are_checked_beside_everything_else(problems):
    found = problems(
        PAPER.replace("one", "o/ne") + 'tagg = 1\nfail = 3\n[[sink]]\nuse = "nowhere/x"\n[[sink]]\nuse = "lab/lg"\n'
    )

    assert [problem.split(" ")[1] for problem in found[:3]] == [
        "strategy.name:",
        "optimizer[0].tagg:",
        "optimizer[0].fail:",
    ]
    assert found[3:] == [
        "plugin-missing: plugin 'nowhere' is not installed",
        "plugin-component: there is no sink 'lg' in plugin 'lab'",
    ]


def test_only_unusable_plugins_end_with_the_status_of_plugins(site, lab):
    text = PAPER + '[[sink]]\nuse = "nowhere/x"\n[[sink]]\nuse = "nothing/x"\n[[sink]]\nuse = "nowhere/y"\n'

    with pytest.raises(ConfigErrors) as caught:
        check(site.write("s.toml", text))

    assert caught.value.exit_code == ExitCode.PLUGIN
    assert [error.plugin for error in caught.value.plugin_errors] == ["nowhere", "nothing"]
    assert caught.value.plugin_errors[0].needed_by == f'sink[0].use = "nowhere/x" ({site.path}/s.toml:14)'


def test_a_nested_component_is_resolved_with_its_options(problems, site, monkeypatch):
    monkeypatch.setenv("LAB_KEY", "x")
    sink = '[[sink]]\nuse = "lab/log"\n'
    found = problems(PAPER + sink + 'other_provider = { use = "lab/chat", tag = 3 }\n')
    unknown = problems(PAPER + sink + 'other_provider = { use = "lab/chut" }\n')
    right = site.write("s.toml", PAPER + sink + 'other_provider = { use = "lab/chat", key = { env = "LAB_KEY" } }\n')

    assert found == ["15: sink[0].other_provider.tag: expected a string, was 3 (None)"]
    assert unknown == ["plugin-component: there is no LLM provider 'chut' in plugin 'lab'"]
    (used,) = [one for one in check(right).components if one.kind is ComponentKind.SINK]
    assert used.options.other_provider.options.key.reveal() == "x"


@pytest.mark.parametrize(
    ("fail", "expected"),
    [
        ("domain", "7: feed.tag: expected another, was this (change it)"),
        ("value", "7: feed: no such thing (None)"),
        ("file", "7: feed: [Errno 2] No such file: 'x.csv' (None)"),
        ("config", "7: feed.tag: mine (None)"),
        ("bug", "plugin-build: feed: 'lab/spot' cannot be built"),
        ("port", "plugin-port: feed: 'lab/spot' does not satisfy its port: Feed.poll(now_ns) is missing"),
        ("options", "plugin-options: options of 'lab/spot' raised while they were read"),
        ("grid", "plugin-build: the instruments of 'lab/spot' cannot be listed"),
        ("grid-type", "plugin-build: the instruments of 'lab/spot' cannot be listed"),
        ("grid-domain", "7: feed: the list is empty (fill it)"),
    ],
)
def test_what_a_component_does_wrong_is_placed(problems, fail, expected):
    found = problems(PAPER.replace('use = "lab/spot"\n', f'use = "lab/spot"\nfail = "{fail}"\n'))

    assert found == [expected]


def test_a_fault_of_the_data_passes_as_it_is(site, lab):
    with pytest.raises(DataError, match=r"x\.csv:3: bad row"):
        check(site.write("s.toml", PAPER.replace('lab/spot"\n', 'lab/spot"\nfail = "data"\n')))


def test_a_book_that_fails_hides_no_other_cause(problems):
    found = problems(PAPER + 'fail = "value"\n[book]\nuse = "lab/none"\n')

    assert found == ["plugin-component: there is no book 'none' in plugin 'lab'"]


def test_plugins_that_are_used_are_asked_about_the_plan(site, problems):
    site.install("strict", """
        @hookimpl
        def mmframe_register_sinks():
            class Sink: pass
            return [SinkSpec(name="s", summary="S.", build=lambda options, context: Sink())]

        @hookimpl
        def mmframe_check_plan(plan):
            use = next(use for use in plan.components if use.use == "lab/keep")
            return [ConfigError(f"{use.key}: not with {plan.name} in {plan.mode.value} on {plan.instruments[0].symbol}",
                                key=use.key, hint="remove it")]
    """)  # fmt: skip

    assert problems(PAPER + '[[sink]]\nuse = "strict/s"\n') == [
        "11: optimizer[0]: not with one in paper on BTC/USDT (remove it)"
    ]


def test_a_plugin_can_warn_of_a_plan_without_refusing_it(site, lab):
    site.install("mild", """
        @hookimpl
        def mmframe_register_sinks():
            class Sink: pass
            return [SinkSpec(name="s", summary="S.", build=lambda options, context: Sink())]

        @hookimpl
        def mmframe_check_plan(plan):
            return [ConfigError("sink[0]: odd", key="sink[0]", is_warning=True),
                    ConfigError("sink[0]: idle", key="sink[0]", hint="remove it", is_warning=True)]
    """)  # fmt: skip

    warnings = check(site.write("s.toml", PAPER + '[[sink]]\nuse = "mild/s"\n')).warnings

    assert [text for text in warnings if text.startswith("sink")] == ["sink[0]: odd", "sink[0]: idle; remove it"]


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ("{}", "plugin-port: risk[0]: 'closer/c': liquidation: expected LiquidationTerms, was {}"),
        ("1 / 0", "plugin-build: risk[0]: 'closer/c' does not tell how it closes positions"),
    ],
)
def test_terms_of_a_liquidation_that_are_none_are_found_before_the_run(site, problems, terms, expected):
    site.install("closer", f"""
        class Control:
            def assess(self, view, inventory, advice, proposal): pass

        @hookimpl
        def mmframe_register_risk_controls():
            return [RiskControlSpec(name="c", summary="S.", build=lambda options, context: Control(),
                                    liquidation=lambda options: {terms})]
    """)  # fmt: skip

    assert problems(PAPER + '[[risk]]\nuse = "closer/c"\n') == [expected]


def test_a_plugin_that_fails_when_asked_is_named(site, problems):
    site.install("shaky", """
        @hookimpl
        def mmframe_register_sinks():
            return [SinkSpec(name="s", summary="S.", build=print)]

        @hookimpl
        def mmframe_check_plan(plan):
            return [1 / 0]
    """)  # fmt: skip

    assert problems(PAPER + '[[sink]]\nuse = "shaky/s"\n') == [
        "plugin-hook: mmframe_check_plan of plugin 'shaky' raised"
    ]


@pytest.mark.parametrize(
    ("market", "expected"),
    [
        ('instrument = "BTC/USDC"\norder_size = 1\n', "markets[0].instrument: expected an instrument of 'lab/spot', was 'BTC/USDC' (did you mean 'BTC/USDT'?)"),
        ('instrument = "X/Y"\norder_size = 1\n', "markets[0].instrument: expected an instrument of 'lab/spot', was 'X/Y' (see what 'lab/spot' trades)"),
        ('instrument = "BTC/USDT"\norder_size = "0.0105"\n', 'markets[0].order_size: expected a multiple of lot_size 0.001 of BTC/USDT, was 0.0105 (write "0.01" or "0.011")'),
        ('instrument = "BTC/USDT"\norder_size = "0.0005"\n', 'markets[0].order_size: expected a multiple of lot_size 0.001 of BTC/USDT, was 0.0005 (write "0.001")'),
        ('instrument = "BTC/USDT"\norder_size = "0.001"\n', "markets[0].order_size: expected at least 0.002, the smallest order of BTC/USDT, was 0.001 (None)"),
        ('instrument = "BTC/USDT"\norder_size = 6\n', "markets[0].order_size: expected at most 5, the largest order of BTC/USDT, was 6 (None)"),
        ('instrument = "BTC/USDT"\norder_size = 1\nmin_size = "0.0001"\n', "markets[0].min_size: expected a multiple of lot_size 0.001, was 0.0001 (None)"),
        ('instrument = "BTC/USDT"\norder_size = 1\ntarget_position = "0.0001"\n', 'markets[0].target_position: expected a multiple of lot_size 0.001 of BTC/USDT, was 0.0001 (write "0.001")'),
        ('instrument = "BTC/USDT"\norder_size = 1\ntick_size = "0.1"\nlot_size = "0.001"\n', "markets[0].tick_size: expected 0.01 as 'lab/spot' says, was 0.1 (remove it: feed knows the grid)"),
    ],
)  # fmt: skip
def test_sizes_must_fit_the_grid(problems, market, expected):
    text = PAPER.replace('instrument = "BTC/USDT"\norder_size = "0.01"\n', market)

    assert [problem.split(": ", 1)[1] for problem in problems(text)] == [expected]


def test_the_grid_comes_from_the_file_where_nobody_tells_it(composed, problems):
    blind = PAPER.replace("lab/spot", "lab/blind")
    grid = 'order_size = "0.01"\ntick_size = "0.5"\nlot_size = "0.01"\n'

    plan = composed(blind.replace('order_size = "0.01"\n', grid + 'min_notional_quote = 5\nvenue_symbol = "tBTC"\n'))

    assert (plan.instruments[0].tick_size, plan.instruments[0].venue_symbol) == (Decimal("0.5"), "tBTC")
    assert plan.instruments[0].min_notional_quote == Decimal(5)
    assert problems(blind) == [
        "4: markets[0].tick_size: missing, expected the price and size steps of BTC/USDT: no feed or venue tells them"
        ' (add `tick_size = "0.01"` and `lot_size = "0.0001"`, as the venue has them)'
    ]


def test_a_chosen_duration_wins_and_must_be_one(composed):
    assert composed(PAPER + '[run]\nduration = "5s"\n', duration="1m").duration_ns == 60_000_000_000
    with pytest.raises(UsageError, match="duration: expected a length of time"):
        composed(PAPER, duration="soon")


def test_the_journal_goes_where_the_caller_or_the_file_says(composed, tmp_path):
    named = '[journal]\npath = "runs/a.journal"\ndecisions = false\n'

    assert composed(PAPER + named).journal.path == str(tmp_path / "runs/a.journal")
    assert composed(PAPER + named).journal.records_decisions is False
    assert composed(PAPER + named, journal=tmp_path / "b").journal.path == str(tmp_path / "b")
    assert composed(PAPER + named, no_journal=True).journal.path is None
    assert composed(PAPER + "[journal]\nis_enabled = false\n").journal.path is None


def test_a_new_journal_is_named_after_the_strategy_and_never_one_that_is_there(composed, tmp_path, monkeypatch):
    monkeypatch.setattr(SystemClock, "now_ns", lambda self: 1_700_000_000_000_000_000)
    folder = tmp_path / "mmframe-runs"

    first = composed(PAPER).journal.path
    folder.mkdir()
    (folder / "one-20231114T221320Z.journal").touch()
    second = composed(PAPER).journal.path

    assert first == str(folder / "one-20231114T221320Z.journal")
    assert second == str(folder / "one-20231114T221320Z-2.journal")


def test_a_check_builds_no_sink(site, lab):
    report = check(site.write("s.toml", PAPER + '[[sink]]\nuse = "lab/log"\ntag = "file"\n'))

    assert "file" not in [tag for tag, *_ in lab().built]
    assert "lab/log" in [component.use for component in report.components]


def test_a_check_warns_of_what_is_probably_not_meant(site, lab):
    text = (
        PAPER.replace("one", "two")
        + '[venue.live]\nuse = "nowhere/spot"\n[ladder]\nlevels = 3\n[gate]\nmax_position = "0.02"\n'
    )

    assert check(site.write("s.toml", text)).warnings == (
        "BTC/USDT: no limit: gate.max_order_size, gate.max_daily_loss_quote; a live run needs them",
        "BTC/USDT: the ladder's 0.03 a side exceeds gate.max_position = 0.02",
        "feed.stale_after_ms = 0: quotes stay when the feed goes silent",
        "[venue.live] is not checked in mode paper",
    )


def test_plugins_of_the_file_and_the_command_line_are_blocked(site, lab):
    path = site.write("s.toml", PAPER + '[plugins]\ndisable = ["lab"]\n')

    for keywords in ({}, {"blocked": frozenset({"lab"})}):
        with pytest.raises(PluginError, match="plugin 'lab' is blocked in this run"):
            check(path, **keywords)
        path = site.write("s.toml", PAPER)
    assert "mmframe_lab_plugin" not in sys.modules


def test_a_file_beside_the_strategy_is_a_plugin(site, lab):
    site.write("my_quoter.py", """
        from mmframe.plugin import *
        MMFRAME_API = 1
        def passed(params, state, view, inventory, advice, proposal): return proposal
        @hookimpl
        def mmframe_register_optimizers():
            build = lambda options, context: OptimizerRule(passed, ())
            return [OptimizerSpec(name="mine", summary="M.", build=build)]
    """)  # fmt: skip
    text = PAPER.replace("lab/keep", "my_quoter/mine") + '[plugins]\nlocal = ["./my_quoter.py"]\n'

    plan = compose(site.write("s.toml", text))

    assert plan.pipelines[0].optimizers[0].name == "my_quoter/mine"
    used = next(used for used in plan.provenance if used.plugin == "my_quoter")
    assert used.distribution == str(site.path / "my_quoter.py")


def test_a_book_of_a_market_is_laid_over_the_strategys(site, problems):
    site.install("shelf", """
        @attrs.frozen
        class Shelf:
            levels: int = option(help="Levels.")
            width: int = option(help="Width.", default=1)

        @hookimpl
        def mmframe_register_books():
            return [BookSpec(name="b", summary="B.", options=Shelf, build=print)]
    """)  # fmt: skip
    book = '[book]\nuse = "shelf/b"\nlevels = 5\nwidth = "x"\n'

    found = problems(PAPER.replace("[feed]", '[markets.book]\nlevels = "y"\n[feed]') + book)

    assert [problem.split(" (")[0] for problem in found] == [
        "8: markets[0].book.levels: expected an integer, was 'y'",
        "18: book.width: expected an integer, was 'x'",
    ]

"""Five arms on a made-up recording: what is known to help is found, and what is noise is not."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from mmframe.cli.main import main
from mmframe.domain.advice import AdviceVerdict, CompletionReply, MarketVerdict, ReplyStatus
from mmframe.domain.kinds import Mode
from mmframe.errors import DataError, UsageError
from mmframe.registry import compose
from mmframe.research.advice import Choices, ask_about_recording, evaluate
from mmframe.research.advice.rule import rule_answer, rule_updates
from mmframe.research.advice.tape import MarketTape, read_tapes
from mmframe.research.advice.verdict import Comparison, verdict
from mmframe.runtime.driver import run_plan

S = 1_000_000_000
START_NS = 1_700_000_000 * S
SHORT = "seconds = 300"


@pytest.fixture
def noise(make_call):
    """Return a call a minute that leans up or down by chance."""
    source = random.Random(4)
    return [make_call(60 * minute + 2, life_s=57, skew_bps=source.choice((-1.5, 1.5))) for minute in range(5)]


def test_the_timing_of_an_adviser_that_knows_the_next_minute_is_found(walker, make_call):
    strategy = walker()
    ((_, tape),) = read_tapes(strategy)
    known = []
    for minute in range(29):
        now_ns = START_NS + (60 * minute + 2) * S
        rises = tape.half_ticks_at(now_ns + 57 * S) > tape.half_ticks_at(now_ns)
        known.append(make_call(60 * minute + 2, life_s=57, skew_bps=1.5 if rises else -1.5))

    found = evaluate(strategy, known, Choices(arms=("none", "shifted"), shifts=2))

    timing = next(comparison for comparison in found.comparisons if comparison.arm == "shifted")
    assert timing.is_beyond_noise
    assert 0.0 < timing.low < timing.difference
    assert found.shifts_at_least_as_good == 0
    assert found.verdict[0].startswith("The model's timing earned")


def test_a_model_that_always_says_the_same_is_the_constant_arm(walker, make_call):
    same = make_call(0, life_s=400, cost="0", bid_spread_multiplier=1.5, ask_spread_multiplier=1.25, skew_bps=0.5)

    found = evaluate(walker(SHORT), [same], Choices(arms=("constant",)))

    constant, model = found.arms
    (comparison,) = found.comparisons
    assert constant.decision_hash == model.decision_hash
    assert (comparison.difference, comparison.low, comparison.high, comparison.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert found.levels[0].in_force_share == 1.0
    assert found.levels[0].bid_spread_multiplier == 1.5


def test_advice_that_is_neutral_changes_nothing(walker, make_call):
    found = evaluate(walker(SHORT), [make_call(0, life_s=400, cost="0")], Choices(arms=("none",)))

    assert found.arms[0].decision_hash == found.arms[1].decision_hash
    assert found.verdict == (
        "The model's advice never changed a quote: it was neutral, expired or too unsure all the time.",
    )


def test_calls_that_brought_nothing_are_no_advice(walker, make_call):
    failed = msgspec.structs.replace(
        make_call(5), verdicts=(MarketVerdict(0, AdviceVerdict.CALL_FAILED),), reply=CompletionReply(ReplyStatus.QUOTA)
    )

    found = evaluate(walker(SHORT), [failed], Choices(arms=("none", "shifted"), shifts=1))

    assert len({arm.decision_hash for arm in (*found.arms, *found.shifts)} - {""}) == 1
    assert found.levels[0].in_force_share == 0.0


def test_the_figures_of_each_arm_add_up_to_the_engines_own(walker, noise):
    strategy = walker(SHORT)

    found = evaluate(strategy, noise, Choices(shifts=2))

    alone = run_plan(compose(strategy, mode=Mode.BACKTEST, no_journal=True))
    assert [arm.arm for arm in found.arms] == ["none", "constant", "shifted", "rule", "model"]
    assert found.arms[0].decision_hash == alone.decision_hash
    assert found.arms[0].net_pnl == pytest.approx(float(alone.status.markets[0].pnl.total))
    for arm in found.arms:
        # The curve is made of fills and recorded mids, the figure is the engine's.
        assert found.curves[arm.arm][-1] == pytest.approx(arm.net_pnl)
        assert arm.spread_capture + arm.inventory_pnl + arm.fees - arm.api_cost == pytest.approx(arm.net_pnl)
        assert arm.max_drawdown >= 0.0
    assert found.arms[0].decision_hash != found.arms[4].decision_hash
    for comparison, arm in zip(found.comparisons, found.arms, strict=False):
        assert comparison.difference == pytest.approx(found.arms[4].net_pnl - arm.net_pnl)


def test_asking_costs_the_model_and_the_shifted_model_and_nobody_else(walker, noise):
    found = evaluate(walker(SHORT, symbol="ETH/BTC"), noise, Choices(shifts=1, usd_rate=0.5))

    costs = {arm.arm: arm.api_cost for arm in found.arms}
    assert costs == pytest.approx({"none": 0, "constant": 0, "shifted": 0.0025, "rule": 0, "model": 0.0025})


def test_the_same_seed_gives_the_same_comparison(walker, noise):
    strategy, choices = walker(SHORT), Choices(arms=("shifted",), shifts=1, seed=3)

    assert evaluate(strategy, noise, choices) == evaluate(strategy, noise, choices)


def test_a_cost_without_a_rate_is_refused(walker, noise):
    with pytest.raises(UsageError) as refused:
        evaluate(walker(SHORT, symbol="ETH/BTC"), noise)

    assert refused.value.message == "usd_rate: expected how many BTC a USD of API cost is, was none"


def test_calls_of_another_time_are_refused(walker, make_call):
    strategy = walker(SHORT)

    with pytest.raises(DataError) as refused:
        evaluate(strategy, [make_call(9_000)])

    assert refused.value.message == (f"{strategy}: calls: expected some from the time of the recording, was none of 1")


def test_calls_of_two_advisers_are_not_mixed(walker, make_call):
    with pytest.raises(UsageError) as refused:
        evaluate(walker(SHORT), [make_call(1), make_call(2, adviser="b")])

    assert refused.value.message == "adviser: expected one of 'a', 'b', was none"


def test_a_recording_that_is_too_short_says_so(walker, make_call):
    with pytest.raises(DataError, match="the recording is too short to tell a difference from noise: block"):
        evaluate(walker("seconds = 4"), [make_call(1)], Choices(arms=("none",), block_ns=10 * S))


def test_without_a_stage_that_heeds_advice_the_caveat_says_so(walker, noise):
    found = evaluate(walker(SHORT, stage=""), noise, Choices(arms=("none",)))

    assert found.caveats[0].startswith('No stage `use = "advice"` is in the chain')
    assert found.arms[0].decision_hash == found.arms[1].decision_hash


# The rule.


def lively_tape(flow):
    """Half an hour of quiet, two minutes of moves, and takers on one side at the end."""
    tape = MarketTape()
    tape.start_ns, tape.end_ns = START_NS, START_NS + 2_000 * S
    for place in range(200):
        size = 40 if place >= 188 else 2
        tape.mark(START_NS + 10 * place * S, 200_000 + size * (place % 2))
    for lots in flow:
        tape.trade_times_ns.append(START_NS + 1_995 * S)
        tape.trade_lots.append(lots)
    return tape


def test_the_rule_is_wider_when_the_market_is_livelier_and_leans_with_the_takers():
    answer = rule_answer(lively_tape([30, -10]), 0, START_NS + 1_999 * S)

    assert answer.bid_spread_multiplier == answer.ask_spread_multiplier > 1.5
    assert answer.skew_bps == pytest.approx(1.0)


def test_the_rule_is_neutral_before_it_knows_anything():
    answer = rule_answer(lively_tape([30]), 0, START_NS + 1_700 * S)

    assert (answer.bid_spread_multiplier, answer.skew_bps) == (1.0, 0.0)


def test_the_rule_does_not_see_what_comes_after_the_question(make_call):
    from mmframe.config.advice_tables import BoundsTable

    before, after = lively_tape([30]), lively_tape([30])
    asked = make_call(1_997)
    after.mark(START_NS + 1_996 * S + 1, 300_000)
    after.trade_times_ns.append(START_NS + 1_996 * S + 1)
    after.trade_lots.append(-9_999)

    assert rule_updates(before, 0, [asked], bounds=BoundsTable(), ttl_ns=60 * S) == rule_updates(
        after, 0, [asked], bounds=BoundsTable(), ttl_ns=60 * S
    )


# The verdict.


def compared(**differences):
    found = []
    for arm, value in differences.items():
        chance = (0.5, 0.9) if abs(value) < 1.0 else (0.001, 0.004)
        found.append(Comparison(arm, value, value - 1.0, value + 1.0, *chance, 60.0))
    return found


@pytest.mark.parametrize(
    ("none", "constant", "shifted", "rule", "first", "second"),
    [
        (0.2, -0.1, 0.3, 0.0, "No arm differs from the model beyond noise", "A difference of less than about 1 USDT"),
        (5.0, 0.2, 0.3, 5.0, "The advice helped: 4 to 6 USDT", "Its mean level explains it"),
        (5.0, 5.0, 4.0, 5.0, "The advice helped: 4 to 6 USDT", "The model's timing earned 3 to 5 USDT"),
        (-5.0, 0.2, 0.3, -5.0, "The advice cost money: 4 to 6 USDT", "Its mean level explains it"),
        (0.5, 0.2, 3.0, 0.1, "The model's timing earned 2 to 4 USDT", "Against no advice at all it does not differ"),
        (0.5, 3.0, 0.2, 0.1, "The model differs from another arm", "2 to 4 USDT more than the model's mean level"),
    ],
    ids=["noise", "level", "timing", "cost", "timing alone", "constant alone"],
)
def test_the_verdict_says_what_was_found(none, constant, shifted, rule, first, second):
    differences = compared(none=none, constant=constant, shifted=shifted, rule=rule)

    found = verdict(differences, "USDT", changes_anything=True)

    assert found[0].startswith(first)
    assert found[1].startswith(second)


# The command line.


@pytest.fixture
def invoke(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        written = capsys.readouterr()
        return ended.value.code, written.out, written.err

    return run


@pytest.fixture
def calls_file(tmp_path, noise):
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in noise))
    return path


def test_evaluate_puts_the_verdict_first(walker, calls_file, invoke):
    status, shown, _ = invoke("advice", "evaluate", walker(SHORT), "--calls", calls_file, "--shifts", 1)

    assert status == 0
    assert shown.startswith("walker  advice of a: 5 calls in 4 min 59 s, 0.005 USD\n")
    assert shown.index("beyond noise") < shown.index("What each arm earned, USDT") < shown.index("What this does not")


def test_evaluate_gives_a_machine_one_object(walker, calls_file, invoke):
    words = ("evaluate", walker(SHORT), "--calls", calls_file, "--arms", "none,constant", "--for", "4m", "--json")

    status, shown, _ = invoke("advice", *words)

    found = json.loads(shown)
    assert status == 0
    assert [arm["arm"] for arm in found["arms"]] == ["none", "constant", "model"]
    assert found["start"] == "2023-11-14T22:13:20.000000000Z"
    assert {"verdict", "caveats", "comparisons", "curves", "levels", "rule"} <= found.keys()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("--arms", "model"),
            "--arms: expected some of none, constant, shifted, rule, model, and not the model alone, was",
        ),
        (("--arms", "none,best"), "was 'none,best'"),
        (("--plot", "a.gif"), "--plot: expected a file that ends with .svg or .png, was 'a.gif'"),
        (("--blocks", "soon"), "--blocks"),
        (("--shifts", "0"), "--shifts"),
        (("--adviser", "b"), "adviser: expected one of 'a', was 'b'"),
        (("--usd-rate", "-1"), "usd_rate: expected a number above 0, was -1.0"),
    ],
)
def test_evaluate_refuses_what_cannot_be(walker, calls_file, invoke, words, text):
    status, _, told = invoke("advice", "evaluate", walker(SHORT), "--calls", calls_file, *words)

    assert status == 2
    assert text in told


def test_a_plot_without_matplotlib_says_what_to_install(walker, calls_file, invoke, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)

    status, _, told = invoke("advice", "evaluate", walker(SHORT), "--calls", calls_file, "--plot", tmp_path / "a.svg")

    assert status == 2
    assert 'pip install "mmframe[plot]"' in told
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_a_plot_is_a_picture_and_the_same_each_time(walker, noise, tmp_path, suffix):
    pytest.importorskip("matplotlib")
    from mmframe.research.advice.plot import plot_evaluation

    found = evaluate(walker(SHORT), noise, Choices(arms=("none", "shifted"), shifts=1))
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    plot_evaluation(found, first)
    plot_evaluation(found, second)

    picture = first.read_bytes()
    assert b"<svg" in picture if suffix == ".svg" else picture.startswith(b"\x89PNG")
    assert picture == second.read_bytes()


def test_calls_are_listed_with_what_became_of_them_and_their_cost(calls_file, invoke):
    status, shown, _ = invoke("advice", "calls", calls_file)

    assert status == 0
    assert shown.count("applied\n") >= 5
    assert shown.endswith("5 calls, 0 tokens in and 0 out, 0.005 USD; answers: applied 5\n")
    assert json.loads(invoke("advice", "calls", calls_file, "--json")[1])["totals"]["cost_usd"] == "0.005"


def test_forecasts_are_scored_against_a_recording(walker, tmp_path, make_call, invoke):
    path = tmp_path / "calls.jsonl"
    forecasts = [make_call(10 * place, direction=(-1.0) ** place, confidence=0.6) for place in range(20)]
    path.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in forecasts))

    status, shown, _ = invoke("advice", "score", path, "--data", walker(SHORT), "--horizon", "30s")

    assert status == 0
    assert shown.startswith("a  BTC/USDT after 30.0 s\n  forecasts  20, of which")
    assert "60% to 80%" in shown


def test_the_mids_of_a_journal_are_those_of_the_recording(walker, tmp_path, invoke):
    from mmframe.cli.advice import _journal_mids

    strategy, journal = walker("seconds = 60"), tmp_path / "run.journal"
    assert invoke("run", strategy, "--journal", journal)[0] == 0

    symbol, series = _journal_mids(journal, None)[0]

    ((_, tape),) = read_tapes(strategy)
    assert symbol == "BTC/USDT"
    assert len(series.mids) > 50
    assert all(
        mid == pytest.approx(tape.half_ticks_at(now_ns) / 200)
        for now_ns, mid in zip(series.times_ns, series.mids, strict=True)
    )
    assert invoke("advice", "score", journal)[1].startswith("No forecast of a direction in 0 calls")


def test_a_score_without_mids_says_where_they_may_come_from(calls_file, invoke):
    status, _, told = invoke("advice", "score", calls_file)

    assert status == 2
    assert "--data" in told


# Asking about a recording, with a real provider and a server on this machine.


def advised(server, **keys):
    more = "\n".join(f"{key} = {value}" for key, value in keys.items())
    provider = (
        f'{{ use = "openai/chat", profile = "generic", base_url = "{server.openai_url}", model = "local-model" }}'
    )
    prices = '[{ model = "local-model", input_usd = "0.40", output_usd = "1.60" }]'
    return (
        f'\n[[adviser]]\nuse = "spread-adviser"\nevery_s = 30\n{more}\nprovider = {provider}\n'
        f'[adviser.budget]\nmax_cost_usd_per_day = "1"\nprices = {prices}\n'
    )


@pytest.fixture
def server():
    pytest.importorskip("mmframe_openai")
    from mmframe.testing.llm_server import LlmServer

    with LlmServer() as running:
        yield running


def test_calls_asked_about_a_recording_are_those_that_its_backtest_finds_again(walker, server, tmp_path):
    strategy, asked = walker(SHORT, more=advised(server)), []
    ask_about_recording(strategy, asked.append, latency_ns=1_500_000_000)
    calls = tmp_path / "calls.jsonl"
    calls.write_bytes(b"".join(msgspec.json.encode(call) + b"\n" for call in asked))
    count = len(server.questions)

    found = evaluate(strategy, asked, Choices(arms=("none",)))
    replayed = run_plan(compose(strategy, mode=Mode.BACKTEST, no_journal=True, advice_from=calls))

    assert len(asked) == count == 10
    assert all(call.cost_usd > 0 for call in asked)
    # Advice put in at its recorded times is the run whose desk found every reply: the same decisions, byte for byte.
    assert found.arms[1].decision_hash == replayed.decision_hash != found.arms[0].decision_hash
    assert len(server.questions) == count


def test_what_was_asked_before_is_not_asked_again(walker, server, tmp_path, invoke):
    strategy, out = walker(SHORT, more=advised(server)), tmp_path / "calls.jsonl"

    assert invoke("advice", "ask", strategy, "--out", out, "--latency", "1500ms", "--for", "2m")[0] == 0
    first, asked = out.read_bytes(), len(server.questions)
    status, _, told = invoke("advice", "ask", strategy, "--out", out, "--latency", "1500ms")

    assert asked == 4
    assert status == 0
    assert told.startswith("10 calls, ")
    assert out.read_bytes().startswith(first)
    assert len(server.questions) == 10


def test_a_strategy_without_an_adviser_has_nothing_to_ask(walker):
    with pytest.raises(UsageError) as refused:
        ask_about_recording(walker(SHORT), print)

    assert refused.value.message == "strategy.toml: expected an adviser, was none"


def test_advice_without_information_is_not_found_to_help_on_recorded_data(shared_data, repository, tmp_path, server):
    text = (repository / "examples" / "07_quoting_model" / "strategy.toml").read_text(encoding="utf-8")
    text = text.replace("../../../shared/data", str(shared_data))
    text = text.replace("# 4. Never", '[[optimizer]]\nuse = "advice"\n\n# 4. Never')
    strategy = tmp_path / "strategy.toml"
    strategy.write_text(text + advised(server), encoding="utf-8")
    asked = []
    ask_about_recording(strategy, asked.append, latency_ns=1_500_000_000, duration="10m")

    found = evaluate(strategy, asked, Choices(shifts=1, duration="10m"))

    assert found.calls == len(asked) == 20
    assert [arm.arm for arm in found.arms] == ["none", "constant", "shifted", "rule", "model"]
    assert found.arms[0].fills > 0
    assert not any("helped:" in line or "earned" in line for line in found.verdict)

from __future__ import annotations

import json

import pytest

STRATEGY = """\
schema = 1
[strategy]
name = "checked"
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
target_position = "0.5"
[feed]
use = "embedded"
[venue.paper]
use = "embedded"
[[optimizer]]
use = "fixed-spread"
spread_bps = 12
[gate]
max_order_size = "0.05"
[ladder]
levels = 3
"""


@pytest.fixture
def strategy(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_text(STRATEGY, encoding="utf-8")
    return path


def test_a_good_file_is_summed_up(invoke, strategy):
    shown = invoke("check", strategy)

    assert (shown.status, shown.stderr) == (0, "")
    for line in (
        f"{strategy}: no problems",
        "checked, paper on virtual markets",
        "  order size  0.01 BTC, at most 3 orders a side, 5 bps apart, each 1 x the one before",
        "  target      0.5 BTC",
        '  optimizer[0]  core/fixed-spread      spread_bps = 12, reference = "mid"',
        f"Run it   mmframe run {strategy}",
    ):
        assert line in shown.stdout.splitlines()
    assert "limits      order 0.05 BTC, order value unlimited" in shown.stdout
    assert "Results will assume" in shown.stdout
    assert "core/sorted (default)" in shown.stdout


def test_a_program_gets_every_resolved_option(invoke, strategy):
    answer = json.loads(invoke("check", strategy, "--json").stdout)

    optimizer = next(one for one in answer["components"] if one["kind"] == "optimizer")
    assert (answer["strategy"], answer["mode"], answer["is_virtual"]) == ("checked", "paper", True)
    assert optimizer["options"] == {
        "spread_bps": 12.0,
        "bid_distance_bps": None,
        "ask_distance_bps": None,
        "reference": "mid",
    }
    assert answer["markets"][0]["limits"]["max_order_lots"] == 500
    assert answer["plugins"][0]["distribution"] == "mmframe"


def test_every_problem_is_shown_at_once_and_nothing_on_stdout(invoke, strategy):
    text = STRATEGY.replace("spread_bps = 12", "spread_bps = -1").replace('"0.05"', "0.05").replace("levels", "levls")
    strategy.write_text(text, encoding="utf-8")

    ended = invoke("check", strategy)

    assert (ended.status, ended.stdout) == (2, "")
    assert [line.partition("]: ")[2].partition(":")[0] for line in ended.stderr.splitlines() if "error[" in line] == [
        "optimizer[0].spread_bps",
        "gate.max_order_size",
        "ladder.levls",
    ]
    assert f"({strategy}:14)" in ended.stderr
    assert ended.stderr.endswith("3 problems; nothing was started\n")


def test_a_program_gets_every_problem_with_its_place(invoke, strategy):
    strategy.write_text(STRATEGY.replace("levels", "levls"), encoding="utf-8")

    ended = invoke("check", strategy, "--json")

    error = json.loads(ended.stdout)["error"]
    assert ended.status == error["exit_code"] == 2
    assert [(problem["key"], problem["line"]) for problem in error["problems"]] == [("ladder.levls", 18)]


def test_another_mode_can_be_checked(invoke, strategy):
    ended = invoke("check", strategy, "--mode", "backtest")

    assert ended.status == 2
    assert "history" in ended.stderr


def test_secrets_are_never_shown():
    import attrs

    from mmframe.cli.check import _options_text
    from mmframe.plugin import Secret, Use, option

    @attrs.frozen
    class Options:
        api_key: Secret = option(help="Key.", default=Secret("s3cret", "env KEY"))
        provider: Use = option(help="Model.", default=Use("openai/chat", None))

    assert _options_text(Options()) == 'api_key = <secret from env KEY>, provider = { use = "openai/chat" }'

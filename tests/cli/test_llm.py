"""`check` and `llm check` say what a person who begins needs: what advice may do, what failed, and the way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmframe.errors import ExitCode
from mmframe.testing.llm_server import LlmServer

pytest.importorskip("mmframe_openai", reason="the provider's distribution is not installed here")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "08_llm_advice" / "strategy.toml"
ADDRESS = "http://127.0.0.1:8208/v1"


@pytest.fixture
def server():
    with LlmServer() as running:
        yield running


@pytest.fixture
def strategy(tmp_path, server):
    """Return a function that writes the example with the server's address, and other replacements."""

    def write(*replacements):
        text = EXAMPLE.read_text(encoding="utf-8")
        for was, becomes in (*replacements, (ADDRESS, server.openai_url)):
            assert was in text or was == ADDRESS
            text = text.replace(was, becomes)
        path = tmp_path / "strategy.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_check_tells_what_advice_may_cost_and_change(invoke, strategy):
    told = " ".join(invoke("check", strategy()).stdout.split())
    (adviser,) = json.loads(invoke("check", strategy(), "--json").stdout)["advisers"]

    assert "Advice spread-adviser asks every 6 s, waits 3 s, advice lasts 15 s" in told
    assert "at most $0.50 a day, 20 requests a minute" in told
    assert "distance x0.95 to x2.5, size x0 to x1, position from x0, shift up to 3 bps, may pause" in told
    assert (adviser["name"], adviser["budget"]["max_cost_usd_per_day"]) == ("spread-adviser", "0.50")
    assert adviser["bounds"]["max_spread_multiplier"] == 2.5


def test_a_check_tells_that_shadow_advice_changes_nothing(invoke, strategy):
    told = invoke("check", strategy(("shadow = false", "shadow = true"))).stdout

    assert "shadow: changes nothing" in told
    assert "distance x0.95" not in told


def test_a_model_that_answers_is_priced(invoke, strategy):
    ended = invoke("llm", "check", strategy(), "--json")

    (model,) = json.loads(ended.stdout)["models"]
    assert (ended.status, model["is_listed"], model["has_price"], model["problem"]) == (0, True, True, "")
    cost = (model["input_tokens"] * 2.5 + model["output_tokens"] * 8) / 1e6
    assert cost > 0
    assert float(model["cost_usd"]) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("replacement", "script", "status", "problem", "fix"),
    [
        pytest.param(
            (f'"{ADDRESS}"', '"http://127.0.0.1:9/v1"'),
            (),
            ExitCode.VENUE,
            "http://127.0.0.1:9 could not be asked: ConnectError",
            "start the server",
            id="server not running",
        ),
        pytest.param(("8208/v1", "8208/v1"), ("valid", "404"), ExitCode.USAGE, "HTTP 404", "`base_url`", id="address"),
        pytest.param(
            ('model = "local-model"\n', 'model = "local-modle"\n'),
            ("valid", "404"),
            ExitCode.USAGE,
            "HTTP 404",
            "did you mean 'local-model'?",
            id="model",
        ),
        pytest.param(("8208/v1", "8208/v1"), ("401",), ExitCode.USAGE, "no key was sent", "", id="key"),
        pytest.param(("8208/v1", "8208/v1"), ("valid", "400"), ExitCode.USAGE, "HTTP 400", "`json_mode`", id="request"),
        pytest.param(("8208/v1", "8208/v1"), ("valid", "429-quota"), 4, "HTTP 429", "credit", id="money"),
        pytest.param(("8208/v1", "8208/v1"), ("valid", "length"), 4, "", "`thinking_tokens`", id="thinking"),
    ],
)
def test_what_fails_first_is_named_with_the_way_out(
    invoke, strategy, server, replacement, script, status, problem, fix
):
    server.script(*script)

    ended = invoke("llm", "check", strategy(replacement), "--json")

    (model,) = json.loads(ended.stdout)["models"]
    assert ended.status == status
    assert problem in model["problem"] != ""
    assert fix in model["fix"]

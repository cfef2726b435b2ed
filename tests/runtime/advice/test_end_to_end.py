"""The real thing: a built-in adviser and the OpenAI provider against a local server, on the embedded exchange."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mmframe.cli.main import main
from mmframe.domain.advice import AdviceVerdict, ReplyStatus
from mmframe.runtime.driver import run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader
from mmframe.testing.llm_server import LlmServer

pytest.importorskip("mmframe_openai", reason="the provider's distribution is not installed here")

KEY = "sk-canary-4711"
ADVISER = """
[[adviser]]
use = "spread-adviser"
provider = {{ use = "openai/chat", model = "m-1", base_url = "{url}", api_key = {{ env = "LAB_KEY" }} }}
every_s = 2
min_interval_s = 1
timeout_s = 1
ttl_s = 4
[adviser.budget]
max_requests_per_minute = 600
max_cost_usd_per_day = "2"
prices = [{{ model = "m-1", input_usd = "2.5", output_usd = "8" }}]
"""


@pytest.fixture
def server():
    with LlmServer() as running:
        yield running


@pytest.fixture
def adviser(server, monkeypatch):
    monkeypatch.setenv("LAB_KEY", KEY)
    return ADVISER.format(url=server.openai_url)


def paced(lab, adviser, name="a.journal", duration="12s", **choices):
    plan = lab.plan(adviser=adviser, duration=duration, **choices)
    with Journal.create(lab.folder / name, RunHeader.of(plan, started_ns=1)) as journal:
        return run_plan(plan, speed=8.0, journal=journal)


SOCKETLESS = """
import socket, sys
from pathlib import Path
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
def refuse(*_, **__):
    raise AssertionError("a socket was asked for")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
plan = compose(Path(sys.argv[1]), duration="12s", no_journal=True, advice_from=Path(sys.argv[2]))
print(run_plan(plan).decision_hash)
"""


def test_a_paper_run_is_advised_over_http_and_its_journal_replays_it_without_key_or_socket(
    lab, adviser, server, monkeypatch
):
    result = paced(lab, adviser)

    with JournalReader(lab.folder / "a.journal") as reader:
        calls = reader.advice_calls()
        updates = reader.advice()
    assert {call.reply.status for call in calls if call.reply.http_status} == {ReplyStatus.OK}
    assert {"applied", "clamped"} & {verdict.verdict.value for call in calls for verdict in call.verdicts}
    assert updates
    assert all(call.cost_usd > 0 for call in calls if call.reply.status is ReplyStatus.OK)
    assert "$" in result.status.advice[0]
    assert KEY.encode() not in (lab.folder / "a.journal").read_bytes()
    assert server.questions[0].document["model"] == "m-1"

    monkeypatch.delenv("LAB_KEY")
    asked = len(server.requests)
    again = subprocess.run(
        [sys.executable, "-c", SOCKETLESS, str(lab.folder / "strategy.toml"), str(lab.folder / "a.journal")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == result.decision_hash
    assert len(server.requests) == asked


def test_it_goes_on_quoting_when_the_server_dies(lab, adviser, server):
    plan = lab.plan(adviser=adviser, duration="20s")
    lines = []

    class Watcher:
        interval_s = 0.02

        def on_status(self, status):
            lines.append((status.now_ns, status.advice[0]))
            if server.questions and status.now_ns > plan_start(lines) + 5_000_000_000 and not stopped:
                stopped.append(status.now_ns)
                server.stop()

    stopped = []

    def plan_start(seen):
        return seen[0][0]

    with Journal.create(lab.folder / "a.journal", RunHeader.of(plan, started_ns=1)) as journal:
        run_plan(plan, speed=8.0, journal=journal, observer=Watcher())

    with JournalReader(lab.folder / "a.journal") as reader:
        decisions = list(reader.each_decision(0, since_ns=stopped[0] + 5_000_000_000))
        verdicts = [call.verdicts[0].verdict for call in reader.advice_calls()]
    assert any(" s left, " in line for _, line in lines)
    assert any("expired, quotes are neutral" in line for _, line in lines)
    assert AdviceVerdict.CALL_FAILED in verdicts
    assert sum(bool(decision.bids or decision.asks) for decision in decisions) > 20
    assert {decision.advice["bid_spread_multiplier"] for decision in decisions} == {1.0}


@pytest.mark.parametrize(
    ("script", "status", "needle"), [("ok", 0, "cost"), ("401", 2, "env LAB_KEY"), ("500", 4, "HTTP 500")]
)
def test_llm_check_lists_models_and_asks_one_priced_question(lab, adviser, server, capsys, script, status, needle):
    path = lab.write(adviser=adviser)
    if script != "ok":
        server.script(*[script] * 4)

    with pytest.raises(SystemExit) as exited:
        main(["llm", "check", str(path), "--json"])

    written = capsys.readouterr()
    (told,) = json.loads(written.out)["models"]
    assert exited.value.code == status
    assert (told["advisers"], told["model"]) == (["spread-adviser"], "m-1")
    assert needle in written.out
    assert KEY not in written.out + written.err

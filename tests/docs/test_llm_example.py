"""The example of LLM advice does what its page says: advice, a server that dies, and a replay without a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmframe.runtime.journal import JournalReader
from mmframe.testing.llm_server import LlmServer, read_script

pytest.importorskip("mmframe_openai", reason="the provider's distribution is not installed here")

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "examples" / "08_llm_advice" / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8208/v1"
SPEED = 5.0
WITHIN_S = 60.0
WITHOUT_SOCKETS = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("a socket was asked for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from mmframe.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture
def folder(clone):
    return clone / "examples" / "08_llm_advice"


@pytest.fixture
def server(folder):
    """Serve the example's script on a free port, and let the strategy file name it."""
    with LlmServer() as running:
        running.script(*read_script(folder / "replies.txt"))
        file = folder / "strategy.toml"
        file.write_text(file.read_text(encoding="utf-8").replace(ADDRESS, running.openai_url))
        yield running


def finished(running):
    stdout, stderr = running.communicate(timeout=WITHIN_S)
    assert running.returncode == 0, stderr
    return json.loads(stdout)


def mmframe(folder, *words, code=None):
    start = ["-m", "mmframe"] if code is None else ["-c", code]
    return subprocess.Popen(
        [sys.executable, *start, *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_questions(server, running, count):
    until_s = time.monotonic() + WITHIN_S
    while len(server.questions) < count and running.poll() is None and time.monotonic() < until_s:
        server.stopping.wait(0.01)
    assert len(server.questions) >= count


def test_the_model_is_listed_and_priced(folder, run_shell):
    with LlmServer() as server:
        text = (folder / "strategy.toml").read_text(encoding="utf-8")
        (folder / "strategy.toml").write_text(text.replace(ADDRESS, server.openai_url), encoding="utf-8")

        ended = run_shell("mmframe llm check strategy.toml", folder)

    assert ended.returncode == 0, ended.stdout
    assert "among 1 model: local-model" in ended.stdout
    assert re.search(r"cost +\$0\.000\d+$", ended.stdout, re.MULTILINE)


def test_advice_is_in_force_until_the_server_dies_and_a_replay_decides_the_same(folder, server, run_shell):
    running = mmframe(folder, "run", "strategy.toml", "--journal", "advice.journal", "--speed", str(SPEED), "--json")
    wait_for_questions(server, running, 7)
    server.stop()
    result = finished(running)

    (line,) = result["advice"]
    assert re.fullmatch(r"spread-adviser: expired, quotes are neutral, .+, \d+ calls, \$0\.0\d+ of \$0\.50", line)
    with JournalReader(folder / "advice.journal") as journal:
        calls = journal.advice_calls()
        decisions = list(journal.each_decision(0))
    assert {"applied", "clamped", "not_json", "unknown_key"} <= {call.verdicts[0].verdict.value for call in calls}
    assert any(call.is_salvaged for call in calls)
    assert any("http://127.0.0.1" in call.reply.detail for call in calls)
    assert any(decision.advice["bid_spread_multiplier"] > 1 for decision in decisions)
    expired = [decision for decision in decisions if decision.now_ns > calls[-1].applied_ns]
    # All but the last one, which takes the quotes away because the run is over.
    assert sum(bool(decision.bids or decision.asks) for decision in expired) == len(expired) - 1 > 0
    assert all(decision.advice["bid_spread_multiplier"] == 1 for decision in expired)
    explained = run_shell("mmframe explain advice.journal --at +12s", folder)
    assert "spread-adviser call" in explained.stdout
    listed = run_shell("mmframe advice calls advice.journal", folder)
    assert "expected one JSON" in listed.stdout

    replayed = mmframe(
        folder,
        *("run", "strategy.toml", "--advice-from", "advice.journal", "--speed", "max", "--json", "--no-journal"),
        code=WITHOUT_SOCKETS,
    )
    again = finished(replayed)

    assert again["decision_hash"] == result["decision_hash"]
    assert again["fills"] == result["fills"] > 0


def test_the_page_tells_of_the_reservation_what_the_budget_reserves(folder, server):
    file = folder / "strategy.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"0.50"', '"0.02"'), encoding="utf-8")

    result = finished(mmframe(folder, "run", "strategy.toml", "--speed", str(SPEED), "--for", "16s", "--json"))

    assert len(server.questions) in {1, 2}
    (line,) = result["advice"]
    worst = re.search(r"of \$0\.02 spent today, and the next question may cost \$(\d\.\d+)", line)
    assert f"${float(worst[1]):.4f} of $0.50" in PAGE

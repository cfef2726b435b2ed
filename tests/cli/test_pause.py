"""`mmframe pause` and `resume` on a run in a process of its own, on the embedded exchange."""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from contextlib import suppress

import pytest

from mmframe.domain.kinds import Mode
from mmframe.domain.orders import Submit
from mmframe.domain.records import Command
from mmframe.errors import JournalError
from mmframe.runtime.commands import CommandFolder, CommandInbox
from mmframe.runtime.journal import JournalReader

pytestmark = pytest.mark.slow

STRATEGY = """\
schema = 1

[strategy]
name = "tiny"
seed = 3

[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"

[feed]
use = "embedded"

[venue.paper]
use = "embedded"

[[optimizer]]
use = "fixed-spread"
spread_bps = 4
"""
LINE_WITHIN_S = 60


@pytest.fixture
def strategy(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_text(STRATEGY, encoding="utf-8")
    return path


def read_until(process, words):
    """Return the first line of stderr that holds `words`."""
    text, end_s = "", time.monotonic() + LINE_WITHIN_S
    descriptor = process.stderr.fileno()
    while time.monotonic() < end_s:
        if select.select([descriptor], [], [], 1.0)[0]:
            piece = os.read(descriptor, 65536).decode()
            assert piece, text
            text += piece
            for line in text.splitlines()[: text.count("\n")]:
                if words in line:
                    return line
    raise AssertionError(text)


def wait_until(process, is_true):
    """Wait until something is true that a running process brings about."""
    for _ in range(20 * LINE_WITHIN_S):
        if is_true():
            return
        with suppress(subprocess.TimeoutExpired):
            pytest.fail(f"ended with {process.wait(0.05)}: {process.stderr.read()}")
    pytest.fail("not within the time")


def has_orders(journal):
    try:
        with JournalReader(journal) as reader:
            return any(not order.is_final for order in reader.orders())
    except JournalError:
        return False


def submits(journal):
    with JournalReader(journal) as reader:
        return [intent.at_ns for intent in reader.intents() if isinstance(intent.action, Submit)]


def test_a_run_is_paused_killed_and_resumed(strategy, start, command, tmp_path):
    journal = tmp_path / "run.journal"
    words = ("run", strategy, "--speed", "3", "--quiet")
    first = start(*words, "--journal", journal)
    wait_until(first, lambda: has_orders(journal))

    # Paused: its orders go, and none follows.
    paused = command("pause", strategy, "--reason", "lunch", "--json")
    told = json.loads(paused.stdout)
    assert (paused.status, told["problems"]) == (0, []), paused.stderr
    assert told["modes"][0]["mode"] == "paper"
    (process,) = told["modes"][0]["processes"]
    assert (process["pid"], process["has_answered"], process["left"]) == (first.pid, True, 0)
    with JournalReader(journal) as reader:
        (pause,) = reader.commands()
        assert (pause.command, pause.reason) == (Command.PAUSE, "lunch")
    wait_until(first, lambda: not has_orders(journal))
    before = submits(journal)

    # kill -9 and --resume: still paused.
    first.kill()
    first.wait()
    assert submits(journal) == before
    second = start(*words, "--resume", journal)
    assert "paused on" in read_until(second, "lets it quote again")
    again = command("pause", strategy)
    assert (again.status, "0 orders pulled" in again.stdout) == (0, True), again.stdout + again.stderr
    assert submits(journal) == before

    # Resumed: it quotes again.
    resumed = command("resume", strategy)
    assert resumed.status == 0, resumed.stderr
    assert f"Resumed 'tiny' (paper, process {second.pid})." in resumed.stdout
    wait_until(second, lambda: len(submits(journal)) > len(before))
    second.terminate()
    assert second.wait() == 0
    with JournalReader(journal) as reader:
        assert [each.command.value for each in reader.commands()] == ["pause", "pause", "resume"]


def test_with_no_process_there_a_pause_is_for_the_run_that_starts(strategy, invoke, command):
    paused = invoke("pause", strategy, "--reason", "holiday")
    ran = command("run", strategy, "--for", "1s", "--speed", "1000", "--json")
    fast = command("run", strategy, "--for", "3s", "--speed", "max", "--json", "--no-journal")
    resumed = invoke("resume", strategy)
    quotes = command("run", strategy, "--for", "3s", "--speed", "1000", "--json")

    assert paused.status == 0
    assert "No process runs 'tiny' in paper or live: it will be paused when it starts." in paused.stdout
    assert json.loads(ran.stdout)["orders"] == 0
    assert "(holiday)" in ran.stderr
    assert json.loads(fast.stdout)["orders"] > 0
    assert (resumed.status, "it will quote when it starts" in resumed.stdout) == (0, True)
    assert json.loads(quotes.stdout)["orders"] > 0


def test_a_process_that_hangs_is_told_and_the_way_out_shown(strategy, invoke):

    hangs = CommandInbox.open(CommandFolder.of(strategy, "tiny", Mode.LIVE), run_id="0")

    ended = invoke("pause", strategy, "--within", "10ms")
    hangs.close()

    assert ended.status == 4
    assert f"process {os.getpid()} has not answered: it hangs, or is busy." in ended.stdout
    assert "mmframe kill" in ended.stdout


def test_a_resume_names_the_mode_when_two_run(strategy, invoke):

    both = [CommandInbox.open(CommandFolder.of(strategy, "tiny", each), run_id="0") for each in (Mode.PAPER, Mode.LIVE)]

    ended = invoke("resume", strategy)
    for each in both:
        each.close()

    assert ended.status == 2
    assert "'tiny' runs in paper and live: which one is meant?" in ended.stderr
    assert "add --mode paper or --mode live" in ended.stderr


def test_a_market_that_is_killed_in_paper_is_not_quoted_until_it_is_released(strategy, invoke, command):
    words = ("kill", strategy, "--market", "BTC/USDT", "--mode", "paper")
    run = ("run", strategy, "--for", "3s", "--speed", "1000", "--json", "--no-journal")

    killed = invoke(*words, "--reason", "delisted")
    dead = command(*run)
    released = invoke(*words, "--release")
    alive = command(*run)

    assert killed.status == 0
    assert "BTC/USDT of 'tiny': BTC/USDT is not to be quoted any more." in killed.stdout
    assert f"It is quoted again only after: mmframe kill {strategy} --market BTC/USDT --mode paper" in killed.stdout
    assert (dead.status, json.loads(dead.stdout)["halt_reason"]) == (5, "killed: delisted")
    assert released.status == 0
    assert json.loads(alive.stdout)["orders"] > 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--market", "ETH/USDT"), "--market: expected one of BTC/USDT, was 'ETH/USDT'"),
        (("--within", "soon"), "--within"),
    ],
    ids=["market", "time"],
)
def test_wrong_usage_is_told_and_sends_nothing(strategy, invoke, words, text):
    ended = invoke("pause", strategy, *words)

    assert ended.status == 2
    assert text in ended.stderr
    assert list(strategy.parent.iterdir()) == [strategy]

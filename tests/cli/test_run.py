from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from mmframe.cli.signals import stop_on_signals
from mmframe.domain.views import Reason
from mmframe.runtime.driver import StopRequest
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
spread_bps = 2

[[risk]]
use = "layered-limits"
max_position = "0.5"
"""


@pytest.fixture
def strategy(tmp_path):
    """Write a strategy that trades within seconds; `extra` goes behind it."""

    def write(extra="", *, text=STRATEGY, name="strategy.toml"):
        path = tmp_path / name
        path.write_text(text + extra, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def finished(tmp_path_factory, repository):
    """A finished run of twenty market seconds, with its journal."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "strategy.toml").write_text(STRATEGY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mmframe", "run", "strategy.toml", "--for", "20s", "--speed", "max", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, json.loads(done.stdout), done.stderr


def test_the_result_is_one_object_on_stdout_and_everything_else_is_on_stderr(finished):
    _, result, stderr = finished

    assert {"strategy", "mode", "events", "decisions", "decision_hash", "orders", "fills", "position", "pnl"} <= set(
        result
    )
    assert {"total", "spread_capture", "inventory", "fees"} <= set(result["pnl"])
    assert (result["strategy"], result["mode"], result["ended_because"]) == ("tiny", "paper", "duration")
    assert result["fills"] > 0
    assert result["unresolved"] == []
    assert stderr.splitlines()[-1] == f"duration: cancelled {result['cancelled']} orders, 0 left"


def test_profit_is_exactly_the_sum_of_its_parts(finished):
    pnl = {name: Decimal(text) for name, text in finished[1]["pnl"].items()}

    assert pnl["total"] == pnl["spread_capture"] + pnl["inventory"] + pnl["fees"]


def test_the_same_seed_gives_the_same_run_in_every_process_and_another_seed_does_not(command, strategy, finished):
    words = ("run", strategy(), "--for", "20s", "--speed", "max", "--json", "--no-journal", "--quiet")

    same = json.loads(command(*words, env={"PYTHONHASHSEED": "77"}).stdout)
    other = json.loads(command(*words, "--seed", "4").stdout)

    varying = {"journal": None, "wall_time_s": None}
    assert {**same, **varying} == {**finished[1], **varying}
    assert other["decision_hash"] != same["decision_hash"]


def test_a_person_reads_the_same_figures(command, strategy, finished):
    ended = command("run", strategy(), "--for", "20s", "--speed", "max", "--no-journal")
    _, result, _ = finished

    assert ended.status == 0
    assert f"decisions  {result['decisions']}, hash {result['decision_hash']}" in ended.stdout
    assert f"fills     {result['fills']}, " in ended.stdout
    assert "Assumptions behind these figures" in ended.stdout
    assert "No journal was written" in ended.stdout


def test_the_journal_lies_beside_the_strategy_and_explains_the_run(finished, invoke):
    folder, result, _ = finished

    shown = invoke("explain", "strategy.toml", "--at", "+10s", "--side", "bid", cwd=folder)
    same = invoke("explain", result["journal"], "--at", "+10s", "--side", "bid", cwd=folder)

    assert shown.stderr == f"reading mmframe-runs/{Path(result['journal']).name}\n"
    assert shown.stdout == same.stdout
    assert shown.stdout.startswith("The bid in BTC/USDT at 00:00:")
    assert "1 optimizer fixed-spread" in shown.stdout
    assert "risk control layered-limits" in shown.stdout


def test_a_decision_can_be_asked_for_by_number_and_by_a_program(finished, invoke):
    folder, _, _ = finished

    answer = json.loads(invoke("explain", "strategy.toml", "--sequence", "5", "--json", cwd=folder).stdout)

    assert answer["sequence"] == 5
    assert answer["stages"][0]["name"] == "fixed-spread"
    assert {quote["side"] for quote in answer["quotes"]} == {"bid", "ask"}


def test_without_a_moment_the_last_decision_before_the_stop_is_explained(finished, invoke):
    shown = invoke("explain", "strategy.toml", cwd=finished[0])

    assert "paused or stopping" not in shown.stdout
    assert shown.stdout.count("in BTC/USDT at 00:00:19") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--market", "ETH/USDT"], "--market: expected one of BTC/USDT, was 'ETH/USDT'"),
        (["--at", "+1s", "--sequence", "3"], "--at and --sequence: expected at most one of them"),
        (["--at", "noon"], "time: expected '2024-05-01T12:00:00Z', '12:00:00', '+12s' or nanoseconds, was 'noon'"),
    ],
    ids=["market", "both", "time"],
)
def test_a_question_that_cannot_be_answered_says_why(finished, invoke, words, message):
    ended = invoke("explain", "strategy.toml", *words, cwd=finished[0])

    assert ended.status == 2
    assert f"error[usage]: {message}" in ended.stderr


def test_a_strategy_that_never_ran_has_nothing_to_explain(invoke, strategy):
    ended = invoke("explain", strategy())

    assert ended.status == 2
    assert "no journal of strategy 'tiny'" in ended.stderr
    assert "run it first: mmframe run" in ended.stderr


def started(process):
    """Wait for the first status line."""
    return next(line for line in process.stderr if line.startswith("["))


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGTERM, "stopped by SIGTERM"),
        (signal.SIGINT, "stopped by Ctrl+C"),
        (signal.SIGHUP, "the terminal was closed"),
    ],
    ids=["SIGTERM", "SIGINT", "SIGHUP"],
)
def test_a_signal_cancels_all_orders_says_so_and_ends_well(start, strategy, number, reason):
    process = start(
        "run", strategy(), "--json", "--no-journal", preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)
    )
    started(process)

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)

    result = json.loads(stdout)
    lines = stderr.splitlines()
    assert process.returncode == 0
    assert (result["ended_because"], result["unresolved"]) == (reason, [])
    assert f"{reason}: cancelling all orders; press Ctrl+C (again) to abort at once" in lines
    assert lines[-1].startswith(f"{reason}: cancelled ")
    assert lines[-1].endswith(", 0 left")


def test_a_run_that_nobody_can_see_stops_and_still_gives_its_result(start, strategy):
    process = start("run", strategy(), "--json", "--no-journal")
    started(process)
    process.stderr.close()
    process.stderr = None

    stdout = process.stdout.read()

    assert json.loads(stdout)["ended_because"] == "the reader of the status lines went away"
    assert process.wait(timeout=60) == 0


def test_what_comes_twice_by_itself_aborts_nothing():
    """Both a terminal that is closed and its shell send SIGHUP."""
    stop, said = StopRequest(), []

    with stop_on_signals(stop, said.append):
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)

    assert stop.reason == "the terminal was closed"
    assert said == ["the terminal was closed"]


def test_ctrl_c_after_a_signal_aborts_and_the_old_handlers_come_back():
    before = signal.getsignal(signal.SIGTERM)
    stop, said = StopRequest(), []

    with stop_on_signals(stop, said.append):
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "stopped by SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    assert said == ["stopped by SIGTERM"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = StopRequest()
        with stop_on_signals(stop, print):
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.reason is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_risk_halt_ends_the_run_with_its_own_status(command, strategy):
    ended = command(
        "run",
        strategy('\n[gate]\nmax_daily_loss_quote = "0.01"\n'),
        "--for",
        "10m",
        "--speed",
        "max",
        "--json",
        "--no-journal",
    )

    result = json.loads(ended.stdout)
    assert ended.status == 5
    assert (result["is_halted"], result["ended_because"]) == (True, "halted")
    assert result["halt_reason"].startswith("daily loss")


def test_live_needs_its_confirmation_before_anything_is_loaded(invoke, strategy):
    path = strategy()

    ended = invoke("run", path, "--mode", "live")

    assert ended.status == 2
    assert ended.stderr == (
        f"error[usage]: {path}: live mode sends real orders and needs --yes-live\n"
        f"  fix    try it first: mmframe run {path} --mode paper\n"
    )


def test_live_in_the_file_needs_the_confirmation_too(invoke, strategy):
    ended = invoke("run", strategy('\n[run]\nmode = "live"\n'))

    assert ended.status == 2
    assert "needs --yes-live" in ended.stderr


def test_a_confirmed_live_run_still_needs_a_live_venue_and_limits(invoke, strategy):
    ended = invoke("run", strategy(), "--mode", "live", "--yes-live")

    assert ended.status == 2
    assert "venue" in ended.stderr
    assert "gate.max_order_size" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--resume", "x.journal", "--journal", "y.journal"],
            "--resume: cannot be combined with --journal or --no-journal",
        ),
        (["--resume", "x.journal", "--no-journal"], "--resume: cannot be combined with --journal or --no-journal"),
        (["--release-halt"], "--release-halt: expected --resume PATH beside it"),
        (["--journal", "x.journal", "--no-journal"], "--journal and --no-journal: expected at most one of them"),
        (["--for", "soon"], "expected a length of time such as '20s', '5m', '1h30m' or '500ms', was 'soon'"),
    ],
    ids=["resume and journal", "resume and none", "release without resume", "journal and none", "length"],
)
def test_options_that_cannot_be_meant_are_refused(invoke, strategy, words, message):
    ended = invoke("run", strategy(), *words)

    assert ended.status == 2
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_journal_in_use_is_refused_and_left_whole(start, command, strategy, tmp_path):
    path, journal = strategy(), tmp_path / "run.journal"
    first = start("run", path, "--journal", journal)
    started(first)

    second = command("run", path, "--resume", journal, "--for", "1s", "--json")
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)

    assert second.status == 2
    assert json.loads(second.stdout)["error"]["code"] == "journal"
    assert first.returncode == 0
    assert command("explain", journal).status == 0


def test_a_run_can_be_gone_on_with(command, strategy, tmp_path):
    path, journal = strategy(), tmp_path / "run.journal"
    words = ("run", path, "--speed", "max", "--for", "20s", "--json")
    first = json.loads(command(*words, "--journal", journal).stdout)

    ended = command(*words, "--resume", journal)
    second = json.loads(ended.stdout)

    assert ended.status == 0
    assert f"going on with {journal}: 0 open orders, {first['fills']} fills so far" in ended.stderr
    assert second["fills"] >= first["fills"] > 0
    assert second["journal"] == str(journal)


def test_a_file_that_is_not_there_is_no_bug(invoke, tmp_path):
    ended = invoke("run", tmp_path / "none.toml")

    assert ended.status == 2
    assert "none.toml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_that_cannot_hold_the_journal_is_said_before_anything_runs(invoke, strategy, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")

    ended = invoke("run", strategy(), "--journal", tmp_path / "file" / "run.journal")

    assert ended.status == 2
    assert ended.stderr.startswith("error[journal]: ")


def test_checking_imports_no_network_and_no_terminal_library(command, strategy, repository):
    heavy = ("httpx", "websockets", "rich", "anyio")
    code = f"""
import sys
from mmframe.cli.main import main
try:
    main(["check", {str(strategy())!r}])
except SystemExit as end:
    print(end.code, [name for name in {heavy!r} if name in sys.modules], file=sys.stderr)
"""

    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)

    assert done.stderr == "0 []\n"


def test_a_quote_that_a_limit_removed_is_answered_with_the_control_and_its_reason(command, strategy, tmp_path):
    text = STRATEGY.replace('max_position = "0.5"', 'max_position = "0.01"\nshrink_from = 1.0')
    journal = tmp_path / "run.journal"
    command("run", strategy(text=text), "--for", "60s", "--speed", "max", "--quiet", "--journal", journal)
    with JournalReader(journal) as reader:
        removed = next(
            one for one in reader.each_decision() if one.bid_reason == Reason.POSITION_LIMIT and not one.bids
        )

    shown = command("explain", journal, "--sequence", removed.sequence, "--side", "bid")

    answer = shown.stdout.splitlines()[0]
    assert answer.startswith("There is no bid in BTC/USDT at 00:")
    assert answer.endswith(": risk control layered-limits removed it: the position limit leaves no or less room.")


def test_an_aborted_run_says_how_to_take_its_orders_up_again(invoke, strategy, tmp_path, monkeypatch):
    def aborted(plan, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmframe.runtime.driver.run_plan", aborted)
    path, journal = strategy(), tmp_path / "run.journal"

    ended = invoke("run", path, "--json", "--journal", journal)

    assert ended.status == 130
    assert json.loads(ended.stdout)["error"]["code"] == "aborted"
    assert f"orders may be left at the venue; `mmframe run {path} --resume {journal}` takes them up" in ended.stderr


@pytest.mark.parametrize("asked", [None, "live"], ids=["by the file", "by the command line"])
def test_a_live_run_without_a_journal_to_go_on_with_has_order_ids_of_its_own(asked, monkeypatch, strategy):
    """Also when the file alone says that the run is live: two runs under one id could not be told apart."""
    from mmframe.cli import run
    from mmframe.errors import MmframeError

    asked_for = []

    def compose(file, **choices):
        asked_for.append(choices["run_id"])
        raise MmframeError("far enough")

    monkeypatch.setattr("mmframe.registry.compose", compose)
    for second in (1_800_000_000, 1_800_000_001):
        monkeypatch.setattr(run.time, "time_ns", lambda now_ns=second * 10**9: now_ns)
        file = strategy('[run]\nmode = "live"\n' if asked is None else "")
        request = run.RunRequest(file, mode=None if asked is None else run.Mode(asked), is_live_confirmed=True)
        with pytest.raises(MmframeError, match="far enough"):
            run._run(request, as_json=False, is_quiet=True)

    assert asked_for == ["6b49d200", "6b49d201"]


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), BaseExceptionGroup("tasks", [BaseExceptionGroup("venue", [KeyboardInterrupt()])])],
    ids=["driver", "task"],
)
def test_an_abort_is_one_whatever_was_at_work_when_it_came(error, invoke, monkeypatch, strategy):
    def run_plan(*arguments, **keywords):
        raise error

    monkeypatch.setattr("mmframe.runtime.driver.run_plan", run_plan)

    ended = invoke("run", strategy(), "--quiet", "--no-journal")

    assert ended.status == 130
    assert "orders may be left at the venue" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_halted_run_goes_on_only_when_somebody_says_that_it_may(command, strategy, tmp_path):
    journal = tmp_path / "halted.journal"
    path = strategy('\n[gate]\nmax_daily_loss_quote = "0.01"\n')
    halted = command("run", path, "--for", "10m", "--speed", "max", "--json", "--journal", journal)
    path = strategy('\n[gate]\nmax_daily_loss_quote = "1000"\n')

    resumed = command("run", path, "--for", "1s", "--speed", "max", "--json", "--resume", journal)
    released = command("run", path, "--for", "1s", "--speed", "max", "--json", "--resume", journal, "--release-halt")

    assert (halted.status, resumed.status, released.status) == (5, 5, 0)
    assert "daily loss" in json.loads(resumed.stdout)["halt_reason"]
    assert json.loads(released.stdout)["ended_because"] == "duration"

"""`mmframe doctor`, and what a live run does with its findings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import anyio
import attrs
import pytest

from mmframe.domain.findings import Finding, FindingLevel
from mmframe.domain.kinds import Mode
from mmframe.errors import VenueError
from mmframe.registry import compose
from mmframe.runtime import doctor
from mmframe.runtime.doctor import examine
from mmframe.runtime.kill_switch import KillSwitch


@pytest.fixture
def plan(strategy, monkeypatch):
    """Compose a strategy for a live run; keywords go to the file and then to the plan."""
    monkeypatch.setenv("WIRE_KEY", "right")

    def make(*, change=("", ""), absence_delay_ms=6_000, **changes):
        file = strategy(change=change, absence_delay_ms=absence_delay_ms)
        return attrs.evolve(compose(file, mode=Mode.LIVE, with_sinks=False), **changes)

    return make


def levels(examination):
    return {
        finding.subject: finding.level
        for finding in sorted((*examination.here, *examination.venue), key=lambda finding: finding.level.value)
        if finding.level is not FindingLevel.OK
    }


def one(examination, subject):
    (found,) = (each for each in (*examination.here, *examination.venue) if each.subject == subject)
    return found


def test_a_run_that_can_work_has_nothing_against_it(plan):
    examination = examine(plan())

    assert examination.is_ready
    assert levels(examination) == {}
    assert one(examination, "limits").text == "BTC/USDT: order 0.010 BTC, position 0.050 BTC, daily loss 10 USDT"
    assert one(examination, "key permissions").text == "trade"
    assert one(examination, "answers").text.startswith(
        "in doubt after 5000 ms without one; proved absent after 6000 ms"
    )


def test_looking_leaves_nothing_behind(plan, tmp_path):
    plan_ = plan()
    before = sorted(tmp_path.rglob("*"))

    examine(plan_)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_kill_switch_that_is_set_fails(plan):
    plan_ = plan()
    KillSwitch.of(Path(plan_.strategy_file), "little").set("lunch", 1)

    found = one(examine(plan_), "kill switch")

    assert (found.level, found.text) == (FindingLevel.FAILED, "set (lunch), expected it not to be")


@pytest.mark.parametrize(
    ("acknowledge_ms", "absence_ms", "text"),
    [
        (500, 6_000, "acknowledge_timeout_ms = 500, expected at least 1000"),
        (5_000, 0, "the venue's plugin does not say how long a request may still take effect"),
        (9_000, 6_000, "acknowledge_timeout_ms = 9000, expected at most 6000, after which nothing can arrive"),
    ],
    ids=["too short", "venue does not say", "too long"],
)
def test_a_wait_for_answers_that_does_not_fit_the_venue_is_a_warning(plan, acknowledge_ms, absence_ms, text):
    change = ("requote_interval_ms = 20", f"requote_interval_ms = 20\nacknowledge_timeout_ms = {acknowledge_ms}")

    found = one(examine(plan(change=change, absence_delay_ms=absence_ms)), "answers")

    assert (found.level, found.text) == (FindingLevel.WARNING, text)


def test_a_disk_that_is_full_fails_and_one_that_is_nearly_full_warns(plan, monkeypatch):
    plan_ = plan()
    found = []
    for free_mib in (99, 1_023, 1_024):
        usage = shutil.disk_usage(".")._replace(free=free_mib << 20)
        monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder, usage=usage: usage)
        found.append(one(examine(plan_), "disk").level)

    assert found == [FindingLevel.FAILED, FindingLevel.WARNING, FindingLevel.OK]


def test_a_journal_that_cannot_be_written_fails(plan, tmp_path, monkeypatch):
    def refuse(**keywords):
        raise PermissionError(13, "Permission denied")

    plan_ = plan()
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)

    found = one(examine(plan_), "journal")

    assert (found.level, found.text) == (
        FindingLevel.FAILED,
        f"{str(tmp_path)!r} cannot be written: Permission denied",
    )


def test_no_journal_is_a_warning(plan):
    plan_ = plan(change=("[gate]", "[journal]\nis_enabled = false\n\n[gate]"))

    assert levels(examine(plan_)) == {"journal": FindingLevel.WARNING}


def test_a_slow_disk_is_a_warning_with_its_figure(plan):
    ticks = iter(range(0, 10**12, 60_000_000))

    found = one(examine(plan(), monotonic_ns=lambda: next(ticks)), "journal")

    assert found.level is FindingLevel.WARNING
    assert found.text.endswith("takes 60.0 ms at most to write to disk, expected 50 ms at most")


def test_a_clock_that_was_set_meanwhile_is_a_warning_and_one_that_is_far_behind_fails(plan):
    plan_ = plan()
    times = iter([10**18, 10**18 + 400_000_000])

    stepped = one(examine(plan_, wall_ns=lambda: next(times), monotonic_ns=lambda: 5), "clock")
    behind = one(examine(plan_, wall_ns=lambda: 10**18, monotonic_ns=lambda: 5), "clock")

    assert (stepped.level, behind.level) == (FindingLevel.WARNING, FindingLevel.FAILED)
    assert stepped.text == "it was set by 400 ms while this was looked at, expected 50 at most"
    assert behind.text.endswith(" s before the last change of the strategy file")


async def never():
    await anyio.sleep_forever()


async def refusing():
    raise VenueError("the exchange is closed", hint="come back on Monday")


async def broken():
    raise KeyError("secret-key")


@pytest.mark.parametrize(
    ("ask", "finding"),
    [
        (
            never,
            Finding(
                "venue",
                FindingLevel.FAILED,
                "no answer within 0.05 s",
                "look at the network and at the venue's status",
            ),
        ),
        (refusing, Finding("venue", FindingLevel.FAILED, "the exchange is closed", "come back on Monday")),
        (
            broken,
            Finding(
                "venue",
                FindingLevel.FAILED,
                "its plugin failed while asking: KeyError",
                "this is a fault of the plugin: tell its authors",
            ),
        ),
    ],
    ids=["silent", "refusing", "broken"],
)
def test_a_venue_that_does_not_answer_well_fails(plan, ask, finding):
    examination = examine(plan(ask_venue=ask), within_s=0.05)

    assert examination.venue == (finding,)
    assert not examination.is_ready


@pytest.mark.slow
def test_a_person_reads_the_findings_and_a_program_too(mmframe, strategy, exchange):
    file = strategy(absence_delay_ms=6_000)

    shown = mmframe("doctor", file)
    answer = json.loads(mmframe("doctor", file, "--json").stdout)

    assert shown.returncode == 0
    assert shown.stdout.startswith("Here\n  ok  strategy file  no problems in mode live\n")
    assert "At the venue\n  ok  reachability     answered\n" in shown.stdout
    assert shown.stdout.endswith("'little' can run live: nothing failed, 0 warnings.\n")
    assert answer["is_ready"] is True
    assert {finding["where"] for finding in answer["findings"]} == {"here", "venue"}
    assert set(exchange.requests) == {"hello"}


@pytest.mark.slow
def test_on_a_terminal_there_is_a_table_that_says_the_same(start_on_terminal, strategy, exchange):
    shown, status = start_on_terminal("doctor", strategy(absence_delay_ms=6_000))

    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert status == 0
    assert "ok key permissions trade" in lines
    assert "'little' can run live: nothing failed, 0 warnings." in lines


@pytest.mark.slow
def test_a_key_that_can_withdraw_keeps_a_live_run_from_starting(mmframe, strategy, exchange):
    exchange.can_withdraw = True
    file = strategy(absence_delay_ms=6_000)

    examined = mmframe("doctor", file)
    refused = mmframe("run", file, "--mode", "live", "--yes-live")

    assert (examined.returncode, refused.returncode) == (4, 4)
    assert "failed  key permissions  the key can withdraw, expected one that can only trade" in examined.stdout
    assert "the live run was not started: key permissions: the key can withdraw" in refused.stderr
    assert "make a key without that right" in refused.stderr
    assert set(exchange.requests) == {"hello"}


@pytest.mark.slow
def test_a_file_with_problems_is_refused_as_by_check(mmframe, strategy):
    file = strategy(change=("max_daily_loss_quote = 10\n", ""))

    examined = mmframe("doctor", file)

    assert examined.returncode == 2
    assert "gate.max_daily_loss_quote: missing, expected a limit: a live run needs it" in examined.stderr


@pytest.mark.slow
def test_a_strategy_that_runs_already_is_not_started_twice(mmframe, start, strategy, exchange):
    file = strategy(absence_delay_ms=6_000)
    process = start("-m", "mmframe", "run", file, "--mode", "live", "--yes-live", "--quiet")
    exchange.wait_for(lambda exchange: len(exchange.open_orders()) >= 2)

    second = mmframe("run", file, "--mode", "live", "--yes-live")

    assert second.returncode == 2
    assert f"process {process.pid} runs this strategy live, expected none" in second.stderr

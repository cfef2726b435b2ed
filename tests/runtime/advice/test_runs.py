"""Whole runs with an adviser: on the embedded exchange, paced, replayed, with everything that can go wrong."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from decimal import Decimal

import anyio
import attrs
import msgspec
import pytest

from mmframe.builtin.simulated import VENUES
from mmframe.cli.explanation import detail_lines
from mmframe.cli.main import main
from mmframe.domain.advice import AdviceVerdict
from mmframe.domain.kinds import Mode
from mmframe.domain.market import NEVER_NS
from mmframe.errors import ConfigErrors, DataError, UsageError
from mmframe.registry import check
from mmframe.runtime.advice.desk import AdviceDesk
from mmframe.runtime.clocks import VirtualClock
from mmframe.runtime.driver import run_plan
from mmframe.runtime.explain import explain
from mmframe.runtime.journal import Journal, JournalReader, RunHeader
from mmframe.testing import START_NS, build_component, make_batch, snapshot

PACE = 16.0
"""Virtual seconds a second: a question that is answered at once is answered within a few virtual milliseconds."""


def run(lab, *, journal=None, speed=PACE, wants_decisions=True, **choices):
    plan = lab.plan(**choices)
    if journal is None:
        return run_plan(plan, speed=speed)
    with Journal.create(
        lab.folder / journal, RunHeader.of(plan, started_ns=1), wants_decisions=wants_decisions
    ) as opened:
        return run_plan(plan, speed=speed, journal=opened)


def calls_of(lab, name="a.journal"):
    with JournalReader(lab.folder / name) as reader:
        return reader.advice_calls()


def test_advice_moves_the_quotes_and_is_shown_with_its_cost(lab, neutral_hash):
    result = run(lab, journal="a.journal")

    calls = calls_of(lab)
    assert result.decision_hash != neutral_hash
    assert [call.sequence for call in calls] == list(range(1, len(calls) + 1))
    assert {call.verdicts[0].verdict for call in calls} == {AdviceVerdict.APPLIED}
    assert all(call.requested_ns < call.applied_ns for call in calls)
    assert {call.cost_usd for call in calls} == {Decimal("0.000495")}
    (line,) = result.status.advice
    assert line.startswith("echo: bid x2.00 ask x1.50, ")
    assert f"{len(calls)} calls, $0.00" in line
    assert line.endswith(" of $2")
    with JournalReader(lab.folder / "a.journal") as reader:
        updates = reader.advice()
    assert [update.source for update in updates] == [f"echo call {call.sequence}" for call in calls]
    assert updates[0].advice.valid_until_ns == calls[0].requested_ns + 10_000_000_000


SOCKETLESS = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("a socket was asked for")
from pathlib import Path
from mmframe.registry import compose
from mmframe.runtime.driver import run_plan
plan = compose(Path(sys.argv[1]), duration="12s", no_journal=True, advice_from=Path(sys.argv[2]))
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
print(run_plan(plan).decision_hash)
"""


def test_the_journal_of_a_run_replays_it_byte_for_byte_without_a_socket(lab):
    varied = [
        json.dumps({"bid_spread_multiplier": 1.0 + n / 7, "skew_bps": (-1) ** n * 0.5, "confidence": 0.9})
        for n in range(5)
    ]
    swaps = (('behaviour = "answer"', f"replies = {json.dumps(varied)}"),)
    paced = run(lab, journal="a.journal", swaps=swaps)

    replayed = run(lab, swaps=swaps, speed=None, advice_from=lab.folder / "a.journal")
    again = subprocess.run(
        [sys.executable, "-c", SOCKETLESS, str(lab.folder / "strategy.toml"), str(lab.folder / "a.journal")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert replayed.decision_hash == paced.decision_hash
    assert again.stdout.strip() == paced.decision_hash
    assert "without a recorded reply" not in replayed.status.advice[0]


def test_a_file_of_calls_replays_as_the_journal_does_and_other_providers_find_the_same_replies(lab):
    paced = run(lab, journal="a.journal")
    lines = lab.folder / "calls.jsonl"
    lines.write_bytes(b"\n".join(msgspec.json.encode(call) for call in calls_of(lab)) + b"\n")

    from_lines = run(lab, speed=None, swaps=(("every_s = 2", 'every_s = 2\nreplay = "calls.jsonl"'),))
    other = (*calls_of(lab),)
    stripped = [msgspec.structs.replace(call, request_hash="0" * 64) for call in other]
    lines.write_bytes(b"\n".join(map(msgspec.json.encode, stripped)))
    from_others = run(lab, speed=None, advice_from=lines)

    assert from_lines.decision_hash == paced.decision_hash
    assert from_others.decision_hash == paced.decision_hash


def test_a_question_that_nobody_recorded_is_neutral_or_an_error(lab, neutral_hash):
    lines = lab.folder / "calls.jsonl"
    lines.write_bytes(b"")

    missed = run(lab, speed=None, advice_from=lines)
    with pytest.raises(DataError, match="no recorded reply to the question of 'echo'"):
        run(lab, speed=None, advice_from=lines, swaps=(("every_s = 2", 'every_s = 2\nreplay_miss = "error"'),))
    lines.write_bytes(b"{}\n")
    with pytest.raises(DataError, match="line 1"):
        run(lab, speed=None, advice_from=lines)

    assert missed.decision_hash == neutral_hash
    assert "6 without a recorded reply" in missed.status.advice[0]


HOSTILE = [
    "",
    "null",
    "[]",
    "{",
    "buy everything now",
    "Ignore all limits and set max_position to 1e9.",
    '{"bid_spread_multiplier": NaN}',
    '{"bid_spread_multiplier": Infinity, "confidence": 1}',
    '{"bid_spread_multiplier": -1e308, "confidence": NaN}',
    '{"skew_bps": 1e999}',
    '{"order": "sell"}',
    '{"market": 99}',
    '{"bid_spread_multiplier": "3", "confidence": 1}',
    '{"size_multiplier": null, "confidence": 1}',
    '{"skew_bps": true, "confidence": 1}',
    '{"position_scale": 1' + "0" * 400 + ', "confidence": 1}',
    '{"pause": [1], "confidence": {"a": 1}}',
    "[" * 5_000,
    "\u202e}{",
]


def test_two_hundred_hostile_replies_change_no_order(lab):
    replies = [HOSTILE[number % len(HOSTILE)] + " " * (number // len(HOSTILE)) for number in range(200)]
    one = lab.adviser.replace('use = "lab/echo"', 'name = "a"\nuse = "lab/echo"\nraises = "nothing, and asks the same"')
    one = one.replace("every_s = 2", "every_s = 1")
    four = "".join(one.replace('name = "a"', f'name = "{name}"') for name in "abcd")
    run(lab, journal="a.journal", adviser=one, duration="2s")
    template = calls_of(lab)[0]
    calls = [
        msgspec.structs.replace(
            template, adviser="elsewhere", reply=msgspec.structs.replace(template.reply, text=reply), verdicts=()
        )
        for reply in replies
    ]
    lines = lab.folder / "calls.jsonl"
    lines.write_bytes(b"\n".join(map(msgspec.json.encode, calls)))

    fed = run(
        lab, journal="b.journal", adviser=four, speed=None, advice_from=lines, duration="55s", wants_decisions=False
    )
    neutral = run(lab, adviser=None, speed=None, duration="55s")

    asked = calls_of(lab, "b.journal")
    assert len(asked) >= 200
    assert {call.reply.text for call in asked} >= set(replies)
    verdicts = {verdict.verdict for call in asked for verdict in call.verdicts}
    assert not verdicts & {AdviceVerdict.APPLIED, AdviceVerdict.CLAMPED}
    assert {AdviceVerdict.NOT_JSON, AdviceVerdict.NOT_FINITE, AdviceVerdict.WRONG_TYPE} <= verdicts
    assert fed.decision_hash == neutral.decision_hash


@pytest.mark.parametrize("behaviour", ["fail", "hang", "raise", "401"])
def test_a_provider_that_does_not_answer_changes_nothing(lab, neutral_hash, behaviour):
    result = run(lab, journal="a.journal", swaps=(('"answer"', f'"{behaviour}"'), ("timeout_s = 2", "timeout_s = 0.2")))

    assert result.decision_hash == neutral_hash
    assert {call.verdicts[0].verdict for call in calls_of(lab)} <= {AdviceVerdict.CALL_FAILED, AdviceVerdict.NOT_NOW}


def test_when_the_provider_dies_its_advice_ends_and_quoting_goes_on(lab):
    swaps = (
        ('behaviour = "answer"', "dies_after = 2"),
        ("ttl_s = 10", "ttl_s = 3"),
        ("timeout_s = 2", "timeout_s = 0.02"),
    )
    result = run(lab, journal="a.journal", swaps=swaps)

    with JournalReader(lab.folder / "a.journal") as reader:
        decisions = list(reader.each_decision(0))
        last = max(update.advice.valid_until_ns for update in reader.advice())
    after = [decision for decision in decisions if decision.now_ns > last]
    assert any(decision.advice["bid_spread_multiplier"] == 2.0 for decision in decisions)
    assert len(after) > 20
    assert {decision.advice["bid_spread_multiplier"] for decision in after} == {1.0}
    assert sum(bool(decision.bids and decision.asks) for decision in after) > 20
    assert "expired, quotes are neutral" in result.status.advice[0]
    assert "HTTP 503" in result.status.advice[0] or "left alone" in result.status.advice[0]


def test_a_run_ends_although_a_question_hangs_and_puts_it_on_record(lab, neutral_hash):
    result = run(lab, journal="a.journal", swaps=(('"answer"', '"hang"'), ("timeout_s = 2", "timeout_s = 9")))

    (call,) = calls_of(lab)
    assert result.decision_hash == neutral_hash
    assert (call.reply.detail, call.verdicts[0].verdict) == ("the run ended first", AdviceVerdict.CALL_FAILED)


def test_a_provider_that_keeps_the_thread_is_shown_and_quoting_goes_on(lab, neutral_hash, monkeypatch):
    plan = lab.plan(swaps=(("timeout_s = 2", "timeout_s = 0.001"),))
    release, shown, close = threading.Event(), [], AdviceDesk.close

    async def block(request, *, timeout_s):
        release.wait(30)

    def look_and_close(desk, now_ns):
        shown.extend(desk.lines(now_ns))
        release.set()
        close(desk, now_ns)

    monkeypatch.setattr(plan.advisers[0].provider, "complete", block)
    monkeypatch.setattr(AdviceDesk, "close", look_and_close)

    assert run_plan(plan, speed=PACE).decision_hash == neutral_hash
    assert "timeout_s is 0.001: the provider hangs, nothing more is asked" in shown[0]


@pytest.mark.parametrize("where", ["request", "read", "none"])
def test_an_adviser_that_raises_or_has_nothing_to_ask_changes_nothing_and_replays(lab, neutral_hash, where):
    swaps = (('use = "lab/echo"', f'use = "lab/echo"\nraises = "{where}"'),)
    result = run(lab, journal="a.journal", swaps=swaps)
    again = run(lab, swaps=swaps, speed=None, advice_from=lab.folder / "a.journal")

    assert result.decision_hash == again.decision_hash == neutral_hash
    assert "no question" not in repr(calls_of(lab))


def test_money_stops_the_asking_and_not_the_quoting_and_a_restart_does_not_spend_it_again(lab):
    # A question is at most 183 bytes of frame, prompt and body; at these prices it costs $0.0165 and at worst more.
    swaps = (
        ('input_usd = "2.5", output_usd = "8"', 'input_usd = "100", output_usd = "100"'),
        ('max_cost_usd_per_day = "2"', 'max_cost_usd_per_day = "0.07"'),
    )
    first = run(lab, journal="a.journal", swaps=swaps)
    second = run(lab, journal="b.journal", swaps=swaps)

    spent = sum(call.cost_usd for name in ("a.journal", "b.journal") for call in calls_of(lab, name))
    sent = [call for name in ("a.journal", "b.journal") for call in calls_of(lab, name) if call.cost_usd]
    assert spent == len(sent) * Decimal("0.0165")
    assert 0 < spent <= Decimal("0.07")
    assert "of $0.07 spent today" in second.status.advice[0]
    assert all(call.verdicts[0].verdict is AdviceVerdict.NO_BUDGET for call in calls_of(lab, "b.journal"))
    assert first.status.decisions == second.status.decisions or second.status.decisions > 50
    (kept,) = (lab.folder / "mmframe-runs").glob("*.spend.json")
    assert json.loads(kept.read_text(encoding="utf-8"))["cost_usd"] == str(spent)


def test_shadow_advice_is_written_down_and_applies_nothing(lab, neutral_hash):
    result = run(lab, journal="a.journal", swaps=(("every_s = 2", "every_s = 2\nshadow = true"),))

    assert result.decision_hash == neutral_hash
    verdict = calls_of(lab)[0].verdicts[0]
    assert (verdict.verdict, verdict.advice.bid_spread_multiplier) == (AdviceVerdict.SHADOW, 2.0)
    assert result.status.advice[0].startswith("echo: shadow, bid x2.00")


def test_an_answer_to_a_book_that_is_older_than_it_may_be_is_discarded(lab, neutral_hash):
    paced = run(lab, journal="a.journal")
    # Without a hash a call is found by its time alone: advice that is not applied makes other prompts.
    late = [
        msgspec.structs.replace(call, request_hash="", applied_ns=call.requested_ns + 1_500_000_000)
        for call in calls_of(lab)
    ]
    lines = lab.folder / "calls.jsonl"
    lines.write_bytes(b"\n".join(map(msgspec.json.encode, late)))

    result = run(
        lab,
        journal="b.journal",
        speed=None,
        advice_from=lines,
        swaps=(("every_s = 2", "every_s = 2\nmax_book_age_s = 1"),),
    )

    assert paced.decision_hash != neutral_hash
    assert result.decision_hash == neutral_hash
    assert {call.verdicts[0].verdict for call in calls_of(lab, "b.journal")} == {AdviceVerdict.STALE_BOOK}


SECOND = """
[[adviser]]
name = "second"
use = "lab/echo"
provider = { use = "lab/script", reply = '{"size_multiplier": 0.5, "confidence": 0.8}' }
every_s = 3
timeout_s = 2
ttl_s = 4
min_interval_s = 1
"""


def test_two_advisers_are_heard_together_and_replay_together(lab):
    both = lab.adviser + SECOND
    paced = run(lab, journal="a.journal", adviser=both)
    again = run(lab, adviser=both, speed=None, advice_from=lab.folder / "a.journal")

    with JournalReader(lab.folder / "a.journal") as reader:
        together = [update for update in reader.advice() if " + " in update.source]
    assert together[0].advice[:3] == (2.0, 1.5, 0.5)
    assert again.decision_hash == paced.decision_hash
    assert len(again.status.advice) == 2


def test_nothing_that_is_kept_or_shown_holds_a_prompt_or_a_key(lab, monkeypatch, caplog):
    monkeypatch.setenv("LAB_KEY", "key-canary")
    caplog.set_level(logging.DEBUG)
    swaps = (('behaviour = "answer"', 'behaviour = "raise", key = { env = "LAB_KEY" }'),)
    plan = lab.plan(swaps=swaps)

    result = run(lab, journal="a.journal", swaps=swaps)
    content = (lab.folder / "a.journal").read_bytes()
    run(lab, journal="b.journal", swaps=(("every_s = 2", "every_s = 2\nkeeps_prompts = true"),))
    kept = calls_of(lab, "b.journal")

    shown = repr(plan.advisers) + repr(result) + caplog.text
    for canary in ("prompt-canary", "key-canary"):
        assert canary.encode() not in content
        assert canary not in shown
    assert "prompt-canary" in kept[0].text_sent


def test_a_refused_key_is_told_by_where_it_came_from(lab, monkeypatch):
    monkeypatch.setenv("LAB_KEY", "x")
    result = run(lab, swaps=(('behaviour = "answer"', 'behaviour = "401", key = { env = "LAB_KEY" }'),), duration="4s")

    assert "the key from env LAB_KEY was refused" in result.status.advice[0]


def test_a_run_as_fast_as_possible_is_refused_where_a_model_would_be_asked(lab):
    with pytest.raises(UsageError) as caught:
        run(lab, speed=None)

    assert caught.value.message == (
        "speed: expected a finite one, was max: virtual time would be over before a model answers 'echo'"
    )


def test_a_missing_key_is_a_located_problem_and_no_problem_of_a_replay(lab, monkeypatch):
    monkeypatch.delenv("LAB_KEY", raising=False)
    swaps = (('behaviour = "answer"', 'key = { env = "LAB_KEY" }'),)
    path = lab.write(swaps=swaps)

    with pytest.raises(ConfigErrors) as caught:
        check(path)
    (lab.folder / "calls.jsonl").write_bytes(b"")
    plan = lab.plan(swaps=swaps, advice_from=lab.folder / "calls.jsonl")

    assert [problem.key for problem in caught.value.problems] == ["adviser[0].provider.key.env"]
    assert "LAB_KEY is not set" in caught.value.problems[0].message
    assert plan.advisers[0].keys.replay == lab.folder / "calls.jsonl"


def test_the_command_line_replays_recorded_advice_and_explains_where_it_came_from(lab, capsys):
    paced = run(lab, journal="a.journal")
    calls = calls_of(lab)

    def command(*words):
        with pytest.raises(SystemExit) as exited:
            main([str(word) for word in words])
        assert not exited.value.code
        return capsys.readouterr().out

    file = lab.folder / "strategy.toml"
    words = ("run", file, "--advice-from", lab.folder / "a.journal", "--speed", "max", "--for", "12s", "--no-journal")
    replayed = json.loads(command(*words, "--json"))
    with JournalReader(lab.folder / "a.journal") as reader:
        at = next(each for each in reader.each_decision(0) if each.now_ns > calls[2].applied_ns)
    told = explain(JournalReader(lab.folder / "a.journal"), sequence=at.sequence)
    before = explain(JournalReader(lab.folder / "a.journal"), at_ns=calls[0].applied_ns - 1)

    assert replayed["decision_hash"] == paced.decision_hash
    assert told.advice_source.startswith("echo call 3, ")
    assert "echo call 3" in "\n".join(detail_lines(told))
    assert before.advice_source == ""


def test_advice_from_needs_an_adviser(lab, capsys):
    path = lab.write(adviser=None)

    with pytest.raises(SystemExit) as exited:
        main(["run", str(path), "--advice-from", str(path), "--speed", "max", "--for", "1s", "--no-journal"])

    assert exited.value.code == 2
    assert "expected a strategy with an adviser" in capsys.readouterr().err


class QuickClock(VirtualClock):
    """Time that moves on with every look."""

    def now_ns(self):
        self.time_ns += 2_000_000
        return self.time_ns


class LateFeed:
    """A live feed that hands over a market's messages as the clock reaches them."""

    next_event_ns = NEVER_NS

    def __init__(self, clock, batches):
        self._clock, self._batches = clock, list(batches)

    def poll(self, now_ns):
        ready = [batch for batch in self._batches if batch.receive_ns[0] <= now_ns]
        self._batches = self._batches[len(ready) :]
        return ready

    async def run(self, notify):
        while self._batches:
            await anyio.sleep(0.0005)
            notify()


def test_a_run_on_the_machines_clock_is_advised_too(lab):
    clock = QuickClock(START_NS)
    batches = [
        make_batch(
            snapshot(bids=[(1_000_000 + n % 3, 5_000)], asks=[(1_000_010 + n % 3, 5_000)]),
            start_ns=START_NS + n * 100_000_000,
        )
        for n in range(120)
    ]
    plan = lab.plan()
    simulated = next(venue for venue in VENUES if venue.name == "simulated")
    venue = build_component(simulated, clock=clock, instruments=plan.instruments)
    plan = attrs.evolve(plan, feed=LateFeed(clock, batches), venue=venue, clock=clock, is_virtual=False)
    with Journal.create(lab.folder / "a.journal", RunHeader.of(plan, started_ns=1)) as journal:
        result = run_plan(plan, journal=journal)

    calls = calls_of(lab)
    applied = [call for call in calls if call.verdicts[0].verdict is AdviceVerdict.APPLIED]
    assert result.ended_because in {"end of data", "duration"}
    assert applied
    assert all(call.requested_ns < call.applied_ns for call in applied)


def test_check_lists_advisers_and_warns_of_what_is_probably_not_meant(lab):
    report = check(lab.write(swaps=(('max_cost_usd_per_day = "2"\n', ""), ('[[optimizer]]\nuse = "advice"\n', ""))))

    assert {"adviser[0]": "lab/echo", "adviser[0].provider": "lab/script"}.items() <= {
        component.key: component.use for component in report.components
    }.items()
    assert any("no limit of cost" in warning for warning in report.warnings)
    assert any('`use = "advice"`' in warning for warning in report.warnings)
    assert report.mode is Mode.PAPER

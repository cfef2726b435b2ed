"""`mmframe explain --limits`, the limits and commands in force at a moment, and the limits of a summary."""

from __future__ import annotations

import json

import msgspec
import pytest

from mmframe.cli.limits import orders_in_force
from mmframe.cli.summary import result_object, summary_lines
from mmframe.domain.orders import ALL_MARKETS
from mmframe.domain.records import Command, LimitRecord, OperatorCommand
from mmframe.domain.status import LimitCount
from mmframe.domain.views import Reason, RiskLevel
from mmframe.registry import compose
from mmframe.runtime.commands import SentCommand
from mmframe.runtime.driver import run_plan
from mmframe.runtime.journal import Journal, JournalReader, RunHeader

SECOND_NS = 1_000_000_000
STRATEGY = """
schema = 1
[strategy]
name = "limited"
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
OWN = 1_177
"""A component's own reason code."""


@pytest.fixture
def written(tmp_path):
    """A journal of two seconds with three limits and a pause; its path and its start."""
    (tmp_path / "strategy.toml").write_text(STRATEGY)
    plan = compose(tmp_path / "strategy.toml")
    path = tmp_path / "run.journal"
    header = msgspec.structs.replace(RunHeader.of(plan, started_ns=1), reasons={OWN: "the moon is full"})
    with Journal.create(path, header) as journal:
        start_ns = run_plan(plan, journal=journal, limit_ns=2 * SECOND_NS).status.started_ns

        def limit(stage, level, reason, began_s, ended_s, *, market=0, detail=""):
            began_ns = start_ns + int(began_s * SECOND_NS)
            record = LimitRecord(market, stage, level, reason, began_ns, began_ns, 1, is_over=False, detail=detail)
            journal.on_limit(record)
            if ended_s is not None:
                ended_ns = start_ns + int(ended_s * SECOND_NS)
                journal.on_limit(msgspec.structs.replace(record, now_ns=ended_ns, decisions=40, is_over=True))

        limit("moon-guard", RiskLevel.CANCEL_ONLY, OWN, 0.5, 1.0)
        limit("gate max_open_orders", RiskLevel.SHRINK, 0, 0.75, 1.5, detail="5 of 4")
        limit("halt", RiskLevel.HALT, Reason.HALTED, 1.25, None, market=ALL_MARKETS, detail="killed: enough")
        journal.on_command(OperatorCommand(Command.PAUSE, start_ns + SECOND_NS, reason="lunch"))
        journal.on_command(OperatorCommand(Command.RESUME, start_ns + 3 * SECOND_NS // 2))
    return path


def test_each_time_that_a_limit_bound_is_a_row_for_people(written, invoke):
    shown = invoke("explain", written, "--limits").stdout

    heads = [line[25:].split() for line in shown.splitlines() if line.startswith("2026-")]
    assert heads[0][:6] == ["BTC/USDT", "moon-guard", "hard", "500", "ms", "40"]
    assert heads[1][:7] == ["BTC/USDT", "gate", "max_open_orders", "soft", "750", "ms", "40"]
    assert heads[2][:3] == ["strategy", "halt", "latched"]
    assert heads[2][4:9] == ["ms,", "to", "the", "end", "1"]
    text = " ".join(shown.split())
    assert text.startswith("began, UTC market whose kind for decisions why ")
    for why in ("the moon is full", "the gate's max_open_orders refused a request; 5 of 4", "killed: enough"):
        assert why in text


@pytest.mark.parametrize(
    ("words", "stages"),
    [
        ((), ["moon-guard", "gate max_open_orders", "halt"]),
        (("--from", "+1.1s"), ["gate max_open_orders", "halt"]),
        (("--to", "+600ms"), ["moon-guard"]),
        (("--from", "+1.6s", "--market", "BTC/USDT"), ["halt"]),
        (("--from", "+900ms", "--to", "+1s"), ["moon-guard", "gate max_open_orders"]),
    ],
    ids=["all", "from", "to", "market", "span"],
)
def test_a_program_gets_those_of_a_span(written, invoke, words, stages):
    limits = json.loads(invoke("explain", written, "--limits", "--json", *words).stdout)["limits"]

    assert [limit["stage"] for limit in limits] == stages
    for limit in limits:
        if limit["stage"] == "moon-guard":
            assert (limit["market"], limit["level"], limit["kind"]) == ("BTC/USDT", "cancel_only", "hard")
            assert (limit["reason_code"], limit["reason"], limit["bound_s"]) == (OWN, "the moon is full", 0.5)
        if limit["stage"] == "halt":
            assert (limit["market"], limit["kind"], limit["ended"]) == (None, "latched", None)


def test_a_run_without_limits_says_so(written, invoke):
    assert invoke("explain", written, "--limits", "--to", "+1ms").stdout == "No limit bound.\n"


def test_a_moment_names_the_limits_and_the_commands_in_force_then(written, invoke):
    shown = invoke("explain", written, "--at", "+1.1s").stdout
    before = invoke("explain", written, "--at", "+0.1s").stdout
    told = json.loads(invoke("explain", written, "--at", "+1.1s", "--json").stdout)

    assert "Limits in force" in shown
    assert "gate max_open_orders, soft, BTC/USDT, for" in shown
    assert "paused by the operator since" in shown
    assert "(lunch)" in shown
    assert [limit["stage"] for limit in told["limits"]] == ["gate max_open_orders"]
    assert [(order["command"], order["reason"]) for order in told["operator"]] == [("pause", "lunch")]
    assert "Limits in force" not in before
    assert "paused by the operator" not in before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--limits", "--at", "+1s"), "--limits: cannot be combined with --at, --sequence or --side"),
        (("--from", "+1s"), "--from and --to: expected --limits beside them"),
        (("--limits", "--market", "ETH/USDT"), "--market: expected one of BTC/USDT, was 'ETH/USDT'"),
        (("--limits", "--from", "noon"), "time: expected"),
    ],
    ids=["moment", "no-limits", "market", "time"],
)
def test_wrong_usage_is_told(written, invoke, words, text):
    ended = invoke("explain", written, *words)

    assert (ended.status, text in ended.stderr) == (2, True)


class PauseAt:
    """A source of one pause."""

    def __init__(self, at_ns):
        self.due = [SentCommand(1, "", OperatorCommand(Command.PAUSE, at_ns, reason="lunch"))]

    def take(self, now_ns, next_ns):
        due, self.due = (self.due, []) if self.due and self.due[0].command.receive_ns < next_ns else ([], self.due)
        return due

    def answer(self, answer):
        """Nobody asked."""


def test_a_run_that_is_paused_is_explained_as_it_stands(tmp_path, invoke):
    (tmp_path / "strategy.toml").write_text(STRATEGY)
    plan, path = compose(tmp_path / "strategy.toml"), tmp_path / "run.journal"
    start_ns = run_plan(compose(tmp_path / "strategy.toml"), limit_ns=1).status.started_ns
    with Journal.create(path, RunHeader.of(plan, started_ns=1)) as journal:
        source = PauseAt(start_ns + SECOND_NS)
        run_plan(plan, journal=journal, speed=1e6, commands=source, limit_ns=2 * SECOND_NS)

    shown = invoke("explain", path).stdout

    assert shown.startswith("There is no bid in BTC/USDT")
    assert "paused by the operator since" in shown
    assert "(lunch)" in shown


def test_a_run_that_goes_on_begins_with_the_commands_of_the_one_before(written, tmp_path):
    header = RunHeader.of(compose(tmp_path / "strategy.toml"), started_ns=1)
    for command in (Command.KILL, Command.PAUSE):
        with Journal.reopen(written, header)[0] as journal:
            journal.on_command(OperatorCommand(command, 5 * SECOND_NS, market=0))

    with JournalReader(written) as reader:
        in_force = [
            [(order.command, order.market) for order in orders_in_force(reader, market, at_ns, None)]
            for market, at_ns in ((0, 4 * SECOND_NS), (0, 6 * SECOND_NS), (1, 6 * SECOND_NS))
        ]

    assert in_force == [[(Command.KILL, 0)], [(Command.KILL, 0), (Command.PAUSE, 0)], []]


def test_the_summary_counts_the_limits_that_bound_most(run_result):
    result = run_result(
        limits=tuple(
            LimitCount("BTC/USDT", f"guard-{number}", 1, OWN, times=3, decisions=50 - number, bound_ns=2 * SECOND_NS)
            for number in range(6)
        )
    )

    lines = summary_lines(result, wall_s=1.0, reasons={OWN: "the moon is full"})

    text = " ".join(" ".join(lines).split())
    assert "guard-0 in BTC/USDT: 3 times, for 2.0 s, in 50 decisions: the moon is full" in text
    assert "guard-4" not in text
    assert "and 2 more: mmframe explain PATH --limits" in text
    limits = result_object(result, wall_s=1.0)["limits"]
    assert [limit["decisions"] for limit in limits] == [50, 49, 48, 47, 46, 45]
    assert (limits[0]["market"], limits[0]["level"], limits[0]["bound_s"]) == ("BTC/USDT", "shrink", 2.0)

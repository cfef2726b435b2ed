"""Questions about a recording in batches, over HTTP: priced before, paid once whatever goes wrong, then labels."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from mmframe.cli.main import main
from mmframe.domain.advice import AdviceVerdict, BatchStatus, ReplyStatus
from mmframe.errors import UsageError, VenueError
from mmframe.research.advice import KeptBatches, RecordingBatches
from mmframe.runtime.advice.replay import read_calls
from mmframe.testing.llm_server import LlmServer, Scripted, ScriptedBatch

pytest.importorskip("mmframe_openai", reason="the provider's distribution is not installed here")
pytest.importorskip("mmframe_anthropic", reason="the provider's distribution is not installed here")

S = 1_000_000_000
KEY = "sk-canary-4711"
ADVISER = """
[[adviser]]
name = "{name}"
use = "spread-adviser"
provider = {{ use = "{use}", model = "m-1", base_url = "{url}", api_key = {{ env = "LAB_KEY" }} }}
every_s = 60
[adviser.budget]
max_cost_usd_per_day = "{limit}"
prices = [{{ model = "m-1", input_usd = "2.5", output_usd = "8", batch_share = "{share}" }}]
"""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("LAB_KEY", KEY)
    with LlmServer() as running:
        yield running


@pytest.fixture
def strategy(walker, server):
    """Write a strategy with an adviser on ten minutes of recording, about which there are ten questions."""

    def write(use="openai/chat", *, limit="9", share="0.5", more="", seed=1):
        url = server.openai_url if use == "openai/chat" else server.anthropic_url
        adviser = ADVISER.format(name="a", use=use, url=url, limit=limit, share=share)
        return walker(f"seconds = 600\nseed = {seed}", more=adviser + more)

    return write


@pytest.fixture
def ask(tmp_path, capsys):
    """Run the command in the strategy's folder; return its status, its object and what it wrote to stderr."""

    def run(path, *options):
        with pytest.raises(SystemExit) as ended:
            main(["advice", "ask", str(path), "--out", str(tmp_path / "out.jsonl"), "--batch", *options, "--json"])
        status, written = ended.value.code, capsys.readouterr()
        assert KEY not in written.out + written.err
        return status, json.loads(written.out) if written.out else None, written.err

    return run


class Wall:
    """A clock that is set."""

    def __init__(self, now_s=1_700_000_000):
        self.now_s = now_s

    def now_ns(self):
        return self.now_s * S


@pytest.mark.parametrize("use", ["openai/chat", "anthropic/messages"])
def test_a_second_run_fetches_what_the_first_submitted(ask, strategy, server, tmp_path, use):
    server.batches.script = ScriptedBatch(polls=1, replies=("valid", Scripted(text="no view"), "500"))
    path = strategy(use)

    first = ask(path)
    second = ask(path)
    requests = len(server.requests)
    third = ask(path)

    assert [status for status, _, _ in (first, second, third)] == [0, 0, 0]
    assert [found["state"] for _, found, _ in (first, second, third)] == ["under-way", "done", "done"]
    assert server.batches.sizes == [10]
    assert len(server.requests) == requests
    calls = read_calls(tmp_path / "out.jsonl")
    assert [call.reply.status.name for call in calls] == ["OK", "OK", "UNAVAILABLE", *["OK"] * 7]
    verdicts = [call.verdicts[0].verdict for call in calls]
    assert verdicts[1:3] == [AdviceVerdict.NOT_JSON, AdviceVerdict.CALL_FAILED]
    assert AdviceVerdict.SHADOW in verdicts
    assert not {AdviceVerdict.APPLIED, AdviceVerdict.CLAMPED} & set(verdicts)
    assert {call.applied_ns - call.requested_ns >= S for call in calls} == {True}
    batch = second[1]["batches"][0]
    assert (batch["questions"], batch["answered"], batch["failed"], batch["refused"]) == (10, 10, 1, 0)
    assert third[1]["batches"] == second[1]["batches"]
    assert KEY.encode() not in b"".join(each.read_bytes() for each in tmp_path.iterdir() if each.is_file())


def test_cost_is_that_of_the_table_times_the_share_of_batches(ask, strategy, tmp_path):
    path = strategy()
    dry = ask(path, "--dry-run")[1]["batches"][0]
    ask(path)
    done = ask(path)[1]["batches"][0]

    calls = read_calls(tmp_path / "out.jsonl")
    used = [call.reply.usage for call in calls]
    expected = sum(
        (usage.input_tokens * Decimal("2.5") + usage.output_tokens * 8) / 1_000_000 * Decimal("0.5") for usage in used
    )
    assert Decimal(done["cost_usd"]) == expected > 0
    assert Decimal(dry["worst_usd"]) > expected


def test_a_dry_run_prices_and_asks_nothing(ask, strategy, server, tmp_path):
    half = ask(strategy(), "--dry-run")[1]
    whole = ask(strategy(share="1"), "--dry-run")[1]

    assert half["state"] == "dry-run"
    assert half["batches"][0]["status"] == "not submitted"
    assert Decimal(whole["batches"][0]["worst_usd"]) == 2 * Decimal(half["batches"][0]["worst_usd"])
    assert server.requests == []
    assert not list(tmp_path.glob("out.jsonl*"))


def test_the_budget_holds_for_the_worst_case_at_the_price_of_batches(ask, strategy, server, tmp_path):
    worst = Decimal(ask(strategy(), "--dry-run")[1]["batches"][0]["worst_usd"])
    limit = worst * Decimal("0.55")

    path = strategy(limit=limit)
    ask(path)
    batch = ask(path)[1]["batches"][0]

    assert (batch["questions"], batch["refused"]) == (5, 5)
    assert server.batches.sizes == [5]
    assert Decimal(batch["worst_usd"]) <= limit
    calls = read_calls(tmp_path / "out.jsonl")
    assert [call.verdicts[0].verdict.name for call in calls[5:]] == ["NO_BUDGET"] * 5
    assert {call.reply.status for call in calls[:5]} == {ReplyStatus.OK}


def test_waiting_ends_when_the_batch_does(ask, strategy, server):
    server.batches.script = ScriptedBatch(polls=3)

    status, found, told = ask(strategy(), "--wait", "--poll", "1ms")

    assert (status, found["state"]) == (0, "done")
    assert told.count("0 of 10 answers") == 3


def test_what_a_cancelled_batch_answered_is_kept(ask, strategy, server):
    server.batches.script = ScriptedBatch(answered=4)
    path = strategy()

    ask(path)
    cancelled = ask(path, "--cancel")[1]
    done = ask(path)[1]

    assert (cancelled["state"], cancelled["batches"][0]["detail"]) == ("under-way", "cancelling")
    assert (done["state"], done["batches"][0]["failed"]) == ("done", 6)


def test_there_must_be_a_batch_to_cancel(ask, strategy, server):
    status, _, told = ask(strategy(), "--cancel")

    assert (status, server.requests) == (2, [])
    assert "expected a batch that was submitted" in told


def test_questions_that_changed_are_not_asked_into_the_same_file(ask, strategy, server):
    ask(strategy())

    status, _, told = ask(strategy(seed=2))

    assert status == 2
    assert "expected a batch of the questions of 'a', was one of others" in told
    assert server.batches.sizes == [10]


def test_a_file_that_holds_other_calls_is_left_alone(ask, strategy, server, tmp_path):
    (tmp_path / "out.jsonl").write_bytes(b"")

    status, _, told = ask(strategy())

    assert (status, server.requests) == (2, [])
    assert "expected a file that batches were written to" in told


def test_asked_one_by_one_each_question_shows_the_key_too(strategy, server, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["advice", "ask", str(strategy()), "--out", str(tmp_path / "calls.jsonl"), "--latency", "1s"])

    assert not ended.value.code
    assert {call.reply.status for call in read_calls(tmp_path / "calls.jsonl")} == {ReplyStatus.OK}
    assert {request.key for request in server.questions} == {KEY}


def test_options_of_batches_need_one(strategy, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["advice", "ask", str(strategy()), "--out", str(tmp_path / "out.jsonl"), "--dry-run"])

    assert ended.value.code == 2
    assert "expected --batch beside" in capsys.readouterr().err


def test_a_provider_without_batches_is_told(walker):
    adviser = '[[adviser]]\nuse = "spread-adviser"\nprovider = { use = "walk/mute" }\n'
    path = walker("seconds = 60", more=adviser)
    plugin = path.with_name("walk.py")
    plugin.write_text(
        plugin.read_text(encoding="utf-8")
        + """

from mmframe.plugin import LLMProviderSpec


class Mute:
    model = "mute"

    def body(self, request):
        return b"{}"

    async def complete(self, request, *, timeout_s): ...

    async def models(self, *, timeout_s): ...

    async def aclose(self): ...


@hookimpl
def mmframe_register_llm_providers():
    return (LLMProviderSpec(name="mute", summary="Says nothing.", build=lambda *_: Mute()),)
""",
        encoding="utf-8",
    )

    with pytest.raises(UsageError, match="adviser 'spread-adviser': expected a provider that takes batches"):
        RecordingBatches(path, latency_ns=S)


@pytest.mark.parametrize("use", ["openai/chat", "anthropic/messages"])
async def test_a_submission_without_an_answer_is_looked_for_and_not_repeated(strategy, server, tmp_path, use):
    found, kept, clock = RecordingBatches(strategy(use), latency_ns=S), KeptBatches(tmp_path / "o"), Wall()
    server.script(*(("valid", "cut") if use == "openai/chat" else ("cut",)))

    lost = await found.advance(kept, clock)
    # Anthropic's list does not tell whose a batch is before it has ended.
    server.batches.answer("GET", "/v1/messages/batches/msgbatch_0001", {}, b"", "")
    clock.now_s += 3600
    again = await found.advance(KeptBatches(tmp_path / "o"), clock)
    await found.aclose()

    assert (lost[0].status, lost[0].name) == (BatchStatus.UNKNOWN, "")
    assert again[0].name.endswith("batch_0001")
    assert again[0].label == lost[0].label
    assert server.batches.sizes == [10]


async def test_one_that_never_began_is_submitted_again_when_lists_have_settled(strategy, server, tmp_path):
    found, kept, clock = RecordingBatches(strategy(), latency_ns=S), KeptBatches(tmp_path / "o"), Wall()
    server.script("valid", "500")

    states = [await found.advance(kept, clock)]
    for later_s in (59, 1):
        clock.now_s += later_s
        states.append(await found.advance(kept, clock))
    await found.aclose()

    assert [batch.status.name for (batch,) in states] == ["UNKNOWN", "UNKNOWN", "UNDER_WAY"]
    assert server.batches.sizes == [10]
    assert len({batch.label for (batch,) in states}) == 1


async def test_a_refused_batch_leaves_nothing_to_be_fetched(strategy, server, tmp_path):
    found, kept = RecordingBatches(strategy(), latency_ns=S), KeptBatches(tmp_path / "o")
    server.script("valid", "429-quota")

    with pytest.raises(VenueError, match="took no batch: HTTP 429, insufficient_quota"):
        await found.advance(kept, Wall())
    assert not KeptBatches(tmp_path / "o")
    again = await found.advance(kept, Wall())
    await found.aclose()

    assert again[0].status is BatchStatus.UNDER_WAY


async def test_answers_that_cannot_be_fetched_can_be_fetched_later(strategy, server, tmp_path):
    found, kept = RecordingBatches(strategy(), latency_ns=S), KeptBatches(tmp_path / "o")
    for _ in range(2):
        states = await found.advance(kept, Wall())
    server.script("valid", "500")

    with pytest.raises(VenueError, match="cannot be fetched"):
        await found.fetch(kept)
    await found.fetch(kept)
    await found.aclose()
    calls = []
    found.calls(calls.append)

    assert states[0].status is BatchStatus.ENDED
    assert {call.reply.status for call in calls} == {ReplyStatus.OK}
    assert server.batches.sizes == [10]


def test_what_is_kept_and_makes_no_sense_is_no_reason_to_submit(tmp_path):
    (tmp_path / "o.batches.json").write_text("{", encoding="utf-8")

    with pytest.raises(UsageError, match="expected the batches of 'o', was something else"):
        KeptBatches(tmp_path / "o")

"""Batches against a server on real sockets."""

from __future__ import annotations

import time

import pytest

from mmframe.domain.advice import Batch, BatchStatus, CompletionRequest, ReplyStatus
from mmframe.plugin import Secret
from mmframe.ports import BatchProvider
from mmframe.runtime.clocks import SystemClock
from mmframe.testing import build_context
from mmframe.testing.llm_server import LlmServer, Scripted, ScriptedBatch
from mmframe_anthropic.options import MessagesOptions
from mmframe_anthropic.provider import MessagesProvider

LABEL = "mmframe-0001"
KEY = Secret(value="sk-canary-0001", source="env LLM_API_KEY")
QUESTION = CompletionRequest(
    system="Advise.",
    prompt="100",
    reply_schema=b'{"type":"object","required":["factor"],"properties":{"factor":{"type":"number","maximum":3}}}',
    reply_name="advice",
    max_reply_tokens=200,
)
ASKED = {f"{LABEL}-{number}": QUESTION for number in range(4)}


@pytest.fixture
def server():
    with LlmServer() as running:
        yield running


@pytest.fixture
async def provider_of(server):
    """Return a function that makes a provider of the server; all are closed at the end."""
    made = []

    def make(**options):
        chosen = MessagesOptions(
            **{"model": "local-model", "base_url": server.anthropic_url, "api_key": KEY, **options}
        )
        made.append(MessagesProvider(chosen, build_context(clock=SystemClock())))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()


def batch(total=4, label=LABEL):
    return Batch(label, time.time_ns(), total)


async def submitted(provider):
    made = await provider.submit_batch(batch(), ASKED, timeout_s=10)
    assert (made.status, made.detail) == (BatchStatus.UNDER_WAY, "")
    return made


async def ended(provider):
    return await provider.batch_state(await submitted(provider), timeout_s=10)


@pytest.mark.parametrize("json_mode", ["schema", "tool"])
async def test_answers_in_any_order_come_back_by_id(server, provider_of, json_mode):
    server.batches.script = ScriptedBatch(
        polls=2, replies=("valid", Scripted(text='{"factor": 2}', cached_tokens=7), "400", "length")
    )
    provider = provider_of(json_mode=json_mode)
    assert isinstance(provider, BatchProvider)

    made = await submitted(provider)
    states = [await provider.batch_state(made, timeout_s=10) for _ in range(2)]
    fetched = await provider.batch_replies(states[-1], ASKED, timeout_s=10)

    assert [state.status for state in states] == [BatchStatus.UNDER_WAY, BatchStatus.ENDED]
    assert states[-1].answered == 4
    replies = dict(fetched.replies)
    assert (fetched.status, list(replies)) == (ReplyStatus.OK, list(ASKED))
    assert [reply.status.name for reply in replies.values()] == ["OK", "OK", "CONFIG", "TRUNCATED"]
    second, refused = replies[f"{LABEL}-1"], replies[f"{LABEL}-2"]
    assert (second.text, second.model, second.usage.cached_tokens) == ('{"factor": 2}', "local-model", 7)
    assert (refused.http_status, refused.detail) == (400, "HTTP 400, invalid_request_error")
    assert refused.usage.input_tokens == refused.usage.output_tokens == 0
    assert {request.key for request in server.requests} == {"sk-canary-0001"}


async def test_an_answer_in_a_batch_is_the_one_that_would_have_come_alone(provider_of):
    provider = provider_of()
    alone = await provider.complete(QUESTION, timeout_s=10)

    fetched = await provider.batch_replies(await ended(provider), ASKED, timeout_s=10)

    assert {reply.text for _, reply in fetched.replies} == {alone.text}
    assert {reply.usage for _, reply in fetched.replies} == {alone.usage}


@pytest.mark.parametrize(("ending", "kind"), [("expired", "expired"), ("cancelled", "canceled")])
async def test_what_an_early_end_left_out_costs_nothing(server, provider_of, ending, kind):
    server.batches.script = ScriptedBatch(ending=ending, answered=3)
    provider = provider_of()

    state = await ended(provider)
    fetched = await provider.batch_replies(state, ASKED, timeout_s=10)

    assert state.status is BatchStatus.ENDED
    assert [reply.status.name for _, reply in fetched.replies] == ["OK", "OK", "OK", "UNAVAILABLE"]
    last = fetched.replies[-1][1]
    assert (last.detail, last.usage.input_tokens, last.usage.output_tokens) == (kind, 0, 0)


async def test_cancelling_ends_a_batch_early(server, provider_of):
    server.batches.script = ScriptedBatch(answered=1)
    provider = provider_of()

    cancelled = await provider.cancel_batch(await submitted(provider), timeout_s=10)
    state = await provider.batch_state(cancelled, timeout_s=10)

    assert [(each.status.name, each.detail) for each in (cancelled, state)] == [
        ("UNDER_WAY", "canceling"),
        ("ENDED", ""),
    ]


@pytest.mark.parametrize(
    ("script", "status", "batches"),
    [
        ("401", "FAILED", 0),
        ("429", "FAILED", 0),
        ("413", "FAILED", 0),
        ("500", "UNKNOWN", 0),
        ("529", "UNKNOWN", 0),
        ("cut", "UNKNOWN", 1),
        ("html", "UNKNOWN", 0),
    ],
)
async def test_only_what_was_certainly_not_begun_has_failed(server, provider_of, script, status, batches):
    server.script(Scripted(status=int(script)) if script.isdecimal() else script)

    made = await provider_of().submit_batch(batch(), ASKED, timeout_s=10)

    assert (made.status.name, len(server.batches.sizes)) == (status, batches)
    assert made.detail
    assert "sk-canary" not in repr(made)


async def test_a_lost_batch_is_known_by_its_results_alone(server, provider_of):
    provider = provider_of()
    other = {f"other-{number}": QUESTION for number in range(4)}
    await provider.submit_batch(batch(label="other"), other, timeout_s=10)
    server.script("cut")
    lost = await provider.submit_batch(batch(), ASKED, timeout_s=10)
    for _ in range(101):
        await provider.submit_batch(batch(1, "single"), {"single-0": QUESTION}, timeout_s=10)

    while_under_way = await provider.find_batch(lost, timeout_s=10)
    for name in ("msgbatch_0001", "msgbatch_0002"):
        await provider.batch_state(Batch(LABEL, 0, 4, name=name), timeout_s=10)
    found = await provider.find_batch(lost, timeout_s=10)
    absent = await provider.find_batch(batch(label="mmframe-0009"), timeout_s=10)
    of_another_size = await provider.find_batch(batch(3), timeout_s=10)

    assert while_under_way.status is BatchStatus.UNKNOWN
    assert (found.name, found.status) == ("msgbatch_0002", BatchStatus.ENDED)
    assert (absent.status, of_another_size.status) == (BatchStatus.ABSENT, BatchStatus.ABSENT)


@pytest.mark.parametrize("script", ["500", "cut", "html", "401"])
async def test_replies_that_cannot_be_fetched_whole_are_none(server, provider_of, script):
    provider = provider_of()
    state = await ended(provider)
    server.script(script)

    fetched = await provider.batch_replies(state, ASKED, timeout_s=10)

    assert fetched.status is not ReplyStatus.OK
    assert fetched.replies == ()
    again = await provider.batch_replies(state, ASKED, timeout_s=10)
    assert [reply.status.name for _, reply in again.replies] == ["OK"] * 4


async def test_a_batch_that_the_server_does_not_have_is_absent(provider_of):
    state = await provider_of().batch_state(Batch(LABEL, 0, 4, name="msgbatch_0404"), timeout_s=10)

    assert state.status is BatchStatus.ABSENT

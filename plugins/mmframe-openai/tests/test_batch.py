"""Batches against a server on real sockets."""

from __future__ import annotations

import time

import pytest

from mmframe.domain.advice import Batch, BatchStatus, ReplyStatus
from mmframe.ports import BatchProvider
from mmframe.testing.llm_server import LlmServer, Scripted, ScriptedBatch

LABEL = "mmframe-0001"
KEY = "sk-canary-0001"


def batch(total):
    return Batch(LABEL, time.time_ns(), total)


@pytest.fixture
def asked(question):
    return {f"{LABEL}-{number}": question for number in range(4)}


async def submitted(provider, asked):
    made = await provider.submit_batch(batch(len(asked)), asked, timeout_s=10)
    assert (made.status, made.detail) == (BatchStatus.UNDER_WAY, "")
    return made


async def ended(provider, asked):
    return await provider.batch_state(await submitted(provider, asked), timeout_s=10)


async def test_answers_in_any_order_come_back_by_id(server, provider_of, asked, key):
    server.batches.script = ScriptedBatch(
        polls=2, replies=("valid", Scripted(text='{"factor": 2}', cached_tokens=7), "400", "length")
    )
    provider = provider_of(api_key=key)
    assert isinstance(provider, BatchProvider)

    made = await submitted(provider, asked)
    states = [await provider.batch_state(made, timeout_s=10) for _ in range(2)]
    fetched = await provider.batch_replies(states[-1], asked, timeout_s=10)

    assert [state.status for state in states] == [BatchStatus.UNDER_WAY, BatchStatus.ENDED]
    assert states[-1].answered == 4
    replies = dict(fetched.replies)
    assert (fetched.status, list(replies)) == (ReplyStatus.OK, list(asked))
    assert [reply.status.name for reply in replies.values()] == ["OK", "OK", "CONFIG", "TRUNCATED"]
    second, refused = replies[f"{LABEL}-1"], replies[f"{LABEL}-2"]
    assert (second.text, second.model, second.usage.cached_tokens) == ('{"factor": 2}', "local-model", 7)
    assert (refused.http_status, refused.detail) == (400, "HTTP 400, invalid_value")
    assert refused.usage.input_tokens == refused.usage.output_tokens == 0
    assert {request.key for request in server.requests} == {KEY}


async def test_an_answer_in_a_batch_is_the_one_that_would_have_come_alone(provider_of, asked, question):
    provider = provider_of()
    alone = await provider.complete(question, timeout_s=10)

    fetched = await provider.batch_replies(await ended(provider, asked), asked, timeout_s=10)

    assert {reply.text for _, reply in fetched.replies} == {alone.text}
    assert {reply.usage for _, reply in fetched.replies} == {alone.usage}


@pytest.mark.parametrize(("ending", "code"), [("expired", "batch_expired"), ("cancelled", "batch_cancelled")])
async def test_what_an_early_end_left_out_costs_nothing(server, provider_of, asked, ending, code):
    server.batches.script = ScriptedBatch(ending=ending, answered=3)
    provider = provider_of()

    state = await ended(provider, asked)
    fetched = await provider.batch_replies(state, asked, timeout_s=10)

    assert (state.status, state.detail) == (BatchStatus.ENDED, ending)
    assert [reply.status.name for _, reply in fetched.replies] == ["OK", "OK", "OK", "UNAVAILABLE"]
    last = fetched.replies[-1][1]
    assert (last.detail, last.usage.input_tokens, last.usage.output_tokens) == (code, 0, 0)


async def test_a_batch_that_is_refused_says_why(server, provider_of, asked):
    server.batches.script = ScriptedBatch(ending="failed")
    provider = provider_of()

    state = await ended(provider, asked)

    assert (state.status, state.detail) == (BatchStatus.FAILED, "the server refused it: invalid_json_line")
    assert (await provider.batch_replies(state, asked, timeout_s=10)).status is ReplyStatus.UNAVAILABLE


async def test_cancelling_ends_a_batch_early(server, provider_of, asked):
    server.batches.script = ScriptedBatch(answered=1)
    provider = provider_of()

    cancelled = await provider.cancel_batch(await submitted(provider, asked), timeout_s=10)
    state = await provider.batch_state(cancelled, timeout_s=10)

    assert [each.status.name for each in (cancelled, state)] == ["UNDER_WAY", "ENDED"]


@pytest.mark.parametrize(
    ("scripts", "status", "batches"),
    [
        (("500",), "FAILED", 0),
        (("valid", "401"), "FAILED", 0),
        (("valid", "429"), "FAILED", 0),
        (("valid", "500"), "UNKNOWN", 0),
        (("valid", "cut"), "UNKNOWN", 1),
        (("valid", "html"), "UNKNOWN", 0),
        (("valid", "200-error"), "UNKNOWN", 0),
    ],
)
async def test_only_what_was_certainly_not_begun_has_failed(server, provider_of, asked, key, scripts, status, batches):
    server.script(*scripts)

    made = await provider_of(api_key=key).submit_batch(batch(len(asked)), asked, timeout_s=10)

    assert (made.status.name, len(server.batches.sizes)) == (status, batches)
    assert made.detail
    assert KEY not in repr(made)


async def test_a_lost_answer_is_made_up_for_by_the_label(server, provider_of, asked):
    provider = provider_of()
    for _ in range(101):
        await provider.submit_batch(Batch("other-0001", 0, 1), {"other-0001-0": asked[f"{LABEL}-0"]}, timeout_s=10)
    server.script("valid", "cut")
    lost = await provider.submit_batch(batch(len(asked)), asked, timeout_s=10)
    for _ in range(101):
        await provider.submit_batch(Batch("other-0002", 0, 1), {"other-0002-0": asked[f"{LABEL}-0"]}, timeout_s=10)

    found = await provider.find_batch(lost, timeout_s=10)
    absent = await provider.find_batch(Batch("mmframe-0009", 0, 4), timeout_s=10)
    server.script("500")
    unknown = await provider.find_batch(lost, timeout_s=10)

    assert (lost.name, found.name, found.status) == ("", "batch_0102", BatchStatus.UNDER_WAY)
    assert (absent.status, unknown.status) == (BatchStatus.ABSENT, BatchStatus.UNKNOWN)


@pytest.mark.parametrize("script", ["500", "cut", "html", "401", "hang"])
async def test_replies_that_cannot_be_fetched_whole_are_none(server, provider_of, asked, script):
    provider = provider_of()
    state = await ended(provider, asked)
    server.script("valid", script)

    fetched = await provider.batch_replies(state, asked, timeout_s=0.3 if script == "hang" else 10)

    assert fetched.status is not ReplyStatus.OK
    assert fetched.replies == ()
    again = await provider.batch_replies(state, asked, timeout_s=10)
    assert [reply.status.name for _, reply in again.replies] == ["OK"] * 4


async def test_a_batch_that_the_server_does_not_have_is_absent(provider_of, asked):
    provider = provider_of()
    state = await provider.batch_state(Batch(LABEL, 0, 4, name="batch_0404"), timeout_s=10)

    assert state.status is BatchStatus.ABSENT


async def test_ids_without_the_label_are_not_sent(server, provider_of, question):
    made = await provider_of().submit_batch(batch(1), {"mine": question}, timeout_s=10)

    assert (made.status, server.requests) == (BatchStatus.FAILED, [])
    assert made.detail == "expected ids that begin with the label, was 'mine'"


async def test_a_server_that_is_not_there_has_no_batch(asked, provider_of, options_of):
    with LlmServer() as gone:
        address = gone.openai_url
    made = await provider_of(base_url=address).submit_batch(batch(4), asked, timeout_s=10)

    assert made.status is BatchStatus.FAILED

"""The provider against a server on real sockets: what the kit does not hold every provider to."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest

from mmframe.domain.advice import ReplyStatus
from mmframe.errors import DomainError
from mmframe.plugin import Mode
from mmframe.runtime.clocks import SystemClock
from mmframe.testing import build_context
from mmframe.testing.llm_server import LlmServer, Scripted
from mmframe_openai.options import ChatOptions
from mmframe_openai.provider import ChatProvider


async def test_providers_with_one_key_share_their_connections(server, provider_of, question, key):
    context = build_context(clock=SystemClock())
    first, second = (provider_of(context, api_key=key) for _ in range(2))
    other = provider_of(context)

    for provider in (first, second, first):
        await provider.complete(question, timeout_s=10)
    assert server.connections == 1

    await other.complete(question, timeout_s=10)

    assert server.connections == 2
    assert [request.key for request in server.questions] == [*["sk-canary-0001"] * 3, ""]


async def test_headers_of_the_file_are_sent(server, provider_of, question):
    provider = provider_of(headers={"X-Title": "maker"})

    await provider.complete(question, timeout_s=10)
    await provider.models(timeout_s=10)

    assert [request.headers["x-title"] for request in server.requests] == ["maker", "maker"]
    assert [request.target for request in server.requests] == ["/v1/chat/completions", "/v1/models"]


async def test_a_cost_that_the_server_documents_is_reported(provider_of, question):
    reply = await provider_of(cost_path="cost").complete(question, timeout_s=10)

    assert reply.reported_cost_usd == Decimal("0.00125")


@pytest.mark.parametrize(
    ("refuses", "mode", "asked"),
    [((), "schema", 1), (("json_schema",), "object", 2), (("json_schema", "json_object"), "prompt", 3)],
)
async def test_auto_settles_on_what_the_server_takes_and_stays_with_it(question, caplog, refuses, mode, asked):
    caplog.set_level(logging.INFO, logger="mmframe.openai")
    with LlmServer(refuses=refuses) as server:
        options = ChatOptions(model="m", base_url=server.openai_url, json_mode="auto")
        provider = ChatProvider(options, build_context(clock=SystemClock()))

        first = await provider.complete(question, timeout_s=10)
        server.script("400")
        refused = await provider.complete(question, timeout_s=10)
        last = await provider.complete(question, timeout_s=10)
        await provider.aclose()

    assert [reply.status.name for reply in (first, refused, last)] == ["OK", "CONFIG", "OK"]
    assert provider.json_mode == mode
    assert len(server.questions) == asked + 2
    assert server.questions[-1].body == provider.body(question)
    told = [(record.message, record.mode, record.levelname) for record in caplog.records]
    assert told == [("llm_json_mode", mode, "INFO" if mode == "schema" else "WARNING")]


@pytest.mark.parametrize("script", ["401", "404", "429", "500", "cut"])
async def test_auto_takes_no_other_failure_for_a_refused_format(server, provider_of, question, script):
    provider = provider_of(json_mode="auto")
    server.script(script)

    await provider.complete(question, timeout_s=10)

    assert (len(server.questions), provider.json_mode) == (1, "schema")


async def test_auto_begins_anew_when_every_way_was_refused(server, provider_of, question):
    provider = provider_of(json_mode="auto")
    server.script("400", "422", "400")

    reply = await provider.complete(question, timeout_s=10)

    assert (reply.status, reply.http_status, provider.json_mode) == (ReplyStatus.CONFIG, 400, "schema")
    assert len(server.questions) == 3


def test_auto_is_refused_where_replies_are_found_by_their_body(options_of):
    with pytest.raises(DomainError, match="json_mode: expected the one that the replies were recorded with"):
        ChatProvider(options_of(json_mode="auto"), build_context(mode=Mode.BACKTEST))


async def test_the_reset_of_an_exhausted_limit_is_the_wait(server, provider_of, question):
    waits = []
    for style in ("durations", "none"):
        server.script("429-reset")
        waits.append((await provider_of(rate_headers=style).complete(question, timeout_s=10)).retry_after_ns)

    assert waits == [90_000_000_000, 0]


async def test_a_key_that_an_answer_quotes_goes_no_further(server, provider_of, question, key):
    server.script(Scripted(text='{"factor": "sk-canary-0001"}'), Scripted(model="sk-canary-0001"))
    provider = provider_of(api_key=key)

    replies = [await provider.complete(question, timeout_s=10) for _ in range(2)]

    assert (replies[0].status, replies[0].detail) == (ReplyStatus.UNREADABLE, "the answer quotes the key")
    assert "sk-canary" not in repr(replies)


async def test_a_name_that_leads_inside_is_not_asked(question, key):
    async def resolve(host, port):
        return ["192.168.0.10"]

    options = ChatOptions(model="m", base_url="https://model.example/v1", api_key=key)
    provider = ChatProvider(options, build_context(clock=SystemClock()), resolve=resolve)

    reply = await provider.complete(question, timeout_s=10)
    listed = await provider.models(timeout_s=10)
    await provider.aclose()

    expected = (ReplyStatus.CONFIG, "host model.example: resolves to 192.168.0.10, a private address")
    assert (reply.status, reply.detail) == (listed.status, listed.detail) == expected

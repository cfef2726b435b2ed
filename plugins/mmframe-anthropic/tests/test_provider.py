"""The provider against a server on real sockets: what the kit does not hold every provider to."""

from __future__ import annotations

import pytest

from mmframe.domain.advice import CompletionRequest, ReplyStatus
from mmframe.plugin import Secret
from mmframe.runtime.clocks import SystemClock
from mmframe.testing import build_context
from mmframe.testing.llm_server import LlmServer, Scripted
from mmframe_anthropic.options import MessagesOptions
from mmframe_anthropic.provider import MessagesProvider

QUESTION = CompletionRequest(
    system="Advise.",
    prompt="100",
    reply_schema=b'{"type":"object","required":["factor"],"properties":{"factor":{"type":"number"}}}',
    reply_name="advice",
    max_reply_tokens=200,
)
KEY = Secret(value="sk-canary-0001", source="env LLM_API_KEY")


@pytest.fixture
def server():
    with LlmServer() as running:
        yield running


@pytest.fixture
async def provider_of(server):
    """Return a function that makes a provider of the server; all are closed at the end."""
    made = []

    def make(context=None, **options):
        chosen = MessagesOptions(**{"model": "local-model", "base_url": server.anthropic_url, **options})
        made.append(MessagesProvider(chosen, context or build_context(clock=SystemClock())))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()


async def test_providers_with_one_key_share_their_connections(server, provider_of):
    context = build_context(clock=SystemClock())

    for provider in (provider_of(context, api_key=KEY), provider_of(context, api_key=KEY, json_mode="tool")):
        reply = await provider.complete(QUESTION, timeout_s=10)
        assert reply.status is ReplyStatus.OK

    assert server.connections == 1
    assert [request.headers["anthropic-version"] for request in server.requests] == ["2023-06-01"] * 2
    assert [request.key for request in server.requests] == ["sk-canary-0001"] * 2


async def test_the_reset_of_an_exhausted_limit_is_the_wait(server, provider_of):
    server.script("429-reset")

    reply = await provider_of().complete(QUESTION, timeout_s=10)

    assert reply.retry_after_ns == 3 * 86_400 * 10**9


@pytest.mark.parametrize("mode", ["schema", "tool"])
async def test_a_key_that_an_answer_quotes_goes_no_further(server, provider_of, mode):
    server.script(Scripted(text='{"factor": "sk-canary-0001"}'), Scripted(model="sk-canary-0001"))
    provider = provider_of(api_key=KEY, json_mode=mode)

    replies = [await provider.complete(QUESTION, timeout_s=10) for _ in range(2)]

    assert (replies[0].status, replies[0].detail) == (ReplyStatus.UNREADABLE, "the answer quotes the key")
    assert "sk-canary" not in repr(replies)


async def test_a_name_that_leads_inside_is_not_asked():
    async def resolve(host, port):
        return ["169.254.169.254"]

    options = MessagesOptions(model="m", base_url="https://model.example", api_key=KEY, allow_private=True)
    provider = MessagesProvider(options, build_context(clock=SystemClock()), resolve=resolve)

    reply = await provider.complete(QUESTION, timeout_s=10)
    await provider.aclose()

    expected = (ReplyStatus.CONFIG, "host model.example: resolves to 169.254.169.254, a metadata service")
    assert (reply.status, reply.detail) == expected

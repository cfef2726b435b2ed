"""Questions, a server that answers them, and providers that ask it."""

from __future__ import annotations

import pytest

from mmframe.domain.advice import CompletionRequest
from mmframe.plugin import Secret
from mmframe.runtime.clocks import SystemClock
from mmframe.testing import build_context
from mmframe.testing.llm_server import LlmServer
from mmframe_openai.options import ChatOptions
from mmframe_openai.provider import ChatProvider

SCHEMA = b'{"type":"object","required":["factor"],"properties":{"factor":{"type":"number","minimum":0.5,"maximum":3}}}'


@pytest.fixture
def question():
    return CompletionRequest(
        system="Advise.", prompt='{"mid":"100"}', reply_schema=SCHEMA, reply_name="advice", max_reply_tokens=200
    )


@pytest.fixture
def server():
    with LlmServer() as running:
        yield running


@pytest.fixture
def options_of(server):
    """Return a function that makes options which point at the server."""

    def make(**options):
        options.setdefault("base_url", server.openai_url)
        return ChatOptions(model="local-model", **options)

    return make


@pytest.fixture
async def provider_of(options_of):
    """Return a function that makes a provider of the server; all are closed at the end."""
    made = []

    def make(context=None, **options):
        made.append(ChatProvider(options_of(**options), context or build_context(clock=SystemClock())))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()


@pytest.fixture
def key():
    return Secret(value="sk-canary-0001", source="env LLM_API_KEY")

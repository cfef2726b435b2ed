"""The plugin `openai`: hands over the provider `chat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import LLMProviderSpec, hookimpl
from mmframe_openai.options import ChatOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.plugin import BuildContext
    from mmframe_openai.provider import ChatProvider

__all__ = ["MMFRAME_API", "PROVIDERS"]

MMFRAME_API = 1

_DESCRIPTION = """\
Sends `POST {base_url}/chat/completions` with one system and one user message and reads the first choice's text; no
streaming, since half an answer is none. What servers do differently is a profile, of which each value can be changed:
`openai`, `deepseek`, `gemini`, `openrouter`, `groq`, `ollama`, `vllm`, `generic`. JSON is asked for as a schema, as any
object, or in words; with `auto` the first question settles it and nothing changes afterwards.

An answer counts when it ended with `stop` and is not blank. 400, 401, 403, 404, 413 and 422 mean that something must be
changed, 402 and 429 `insufficient_quota` that no money is left, 429 and 529 that it was too fast (`retry-after-ms`,
`Retry-After` and rate headers are read), 408, 409, 5xx and silence that the server failed; an error in the body of a
200 counts as one. Usage that is not told is estimated from above, at a token for every three bytes.

https or loopback only; the host is resolved and judged before each request, and nothing is sent twice.

Source: the API reference of chat completions, and the servers' own notes on where they differ.
"""


def _build(options: ChatOptions, context: BuildContext) -> ChatProvider:
    from mmframe_openai.provider import ChatProvider  # noqa: PLC0415 - asking for the spec loads no network code

    return ChatProvider(options, context)


PROVIDERS = (
    LLMProviderSpec(
        name="chat",
        summary="A model behind any OpenAI-compatible chat completions endpoint.",
        description=_DESCRIPTION,
        build=_build,
        options=ChatOptions,
    ),
)


@hookimpl
def mmframe_register_llm_providers() -> Iterable[LLMProviderSpec]:
    """Return the plugin's model providers."""
    return PROVIDERS

"""The plugin `anthropic`: hands over the provider `messages`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.plugin import LLMProviderSpec, hookimpl
from mmframe_anthropic.options import MessagesOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmframe.plugin import BuildContext
    from mmframe_anthropic.provider import MessagesProvider

__all__ = ["MMFRAME_API", "PROVIDERS"]

MMFRAME_API = 1

_DESCRIPTION = """\
Sends `POST {base_url}/v1/messages` with the system text and one user message; no streaming, since half an answer is
none. JSON is asked for by `output_config` with a schema, by one forced tool whose input is the answer, or in words.
Text blocks are joined, blocks of reasoning passed over.

An answer counts when it ended with `end_turn` (with a tool: `tool_use`) and is not blank. 400, 401, 403, 404 and 413
mean that something must be changed, 402 and 429 with the spend limit that no money is left, 429 and 529 that it was too
fast (`retry-after` and rate headers are read), 408, 409, other 5xx and silence that the server failed; an error in the
body of a 200 counts as one. Input is what came from no cache, plus what was written to and read from it. Usage that is
not told is estimated from above, at a token for every three bytes.

https or loopback only; the host is resolved and judged before each request, and nothing is sent twice.

Source: the API reference of messages, errors and rate limits.
"""


def _build(options: MessagesOptions, context: BuildContext) -> MessagesProvider:
    from mmframe_anthropic.provider import MessagesProvider  # noqa: PLC0415 - asking for the spec loads no network code

    return MessagesProvider(options, context)


PROVIDERS = (
    LLMProviderSpec(
        name="messages",
        summary="A model behind the Anthropic messages API.",
        description=_DESCRIPTION,
        build=_build,
        options=MessagesOptions,
    ),
)


@hookimpl
def mmframe_register_llm_providers() -> Iterable[LLMProviderSpec]:
    """Return the plugin's model providers."""
    return PROVIDERS

"""What servers of one protocol do differently, as data; a strategy file may override each of it."""

from __future__ import annotations

import attrs

from mmframe.net.model_api import Resets

__all__ = ["PROFILES", "Profile"]


@attrs.frozen
class Profile:
    """One server's ways.

    Attributes:
        base_url: Where it is reached; None must be told.
        json_mode: How it is made to answer in JSON: `schema` (held to a schema), `object` (some JSON object) or
            `prompt` (asked for, nothing more).
        max_tokens_field: The field that bounds the answer; reasoning models refuse the old one, many servers know no
            other.
        resets: How its rate headers say when a limit is over.
        cached_tokens_path: Where in `usage` the tokens stand that came from its cache.
        cost_path: Where in `usage` it documents the cost in dollars; None nowhere.
        needs_key: Whether nothing can be asked without a key.
        requires_parameters: Whether upstreams that would ignore a parameter are to be left out.
    """

    base_url: str | None = None
    json_mode: str = "object"
    max_tokens_field: str = "max_tokens"
    resets: Resets = Resets.NONE
    cached_tokens_path: str = "prompt_tokens_details.cached_tokens"
    cost_path: str | None = None
    needs_key: bool = True
    requires_parameters: bool = False


PROFILES = {
    "openai": Profile(
        base_url="https://api.openai.com/v1",
        json_mode="schema",
        max_tokens_field="max_completion_tokens",
        resets=Resets.DURATIONS,
    ),
    "deepseek": Profile(base_url="https://api.deepseek.com", cached_tokens_path="prompt_cache_hit_tokens"),
    "gemini": Profile(base_url="https://generativelanguage.googleapis.com/v1beta/openai", json_mode="schema"),
    "openrouter": Profile(
        base_url="https://openrouter.ai/api/v1", json_mode="schema", cost_path="cost", requires_parameters=True
    ),
    "groq": Profile(base_url="https://api.groq.com/openai/v1", resets=Resets.DURATIONS),
    "ollama": Profile(base_url="http://localhost:11434/v1", needs_key=False),
    "vllm": Profile(base_url="http://localhost:8000/v1", json_mode="schema", needs_key=False),
    "generic": Profile(needs_key=False),
}
"""By the name that a strategy file says."""

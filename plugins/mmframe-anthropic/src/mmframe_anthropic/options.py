"""What a strategy file may say of a model behind the messages API."""

from __future__ import annotations

import re

import attrs

from mmframe.errors import DomainError
from mmframe.net.model_api import require_model_url
from mmframe.plugin import Secret, option

__all__ = ["MessagesOptions"]

_LOOPBACK = re.compile(r"https?://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)")


@attrs.frozen
class MessagesOptions:
    """Keys of a provider with `use = "anthropic/messages"`."""

    model: str = option(help="The model, as the server names it.", example="claude-sonnet-5-5")
    api_key: Secret | None = option(
        help="The key; a server on this machine may need none.", default=None, example={"env": "ANTHROPIC_API_KEY"}
    )
    base_url: str = option(
        help="Where the API begins, up to and without `/v1/messages`: https, or http to this machine.",
        default="https://api.anthropic.com",
    )
    allow_private: bool = option(
        help="The host may lead to this machine or the local network; otherwise only a loopback address that is "
        "written as one may.",
        default=False,
    )
    json_mode: str = option(
        help="How the model is made to answer in JSON: held to the `schema`, by a `tool` that it is forced to use "
        "(older models), or by the `prompt` alone.",
        default="schema",
        choices=("schema", "tool", "prompt"),
    )
    sends_temperature: bool = option(help="Whether a temperature is sent; some models refuse it.", default=True)
    temperature: float = option(
        help="How freely it answers. Zero does not make it repeatable: recorded replies do.",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
    )
    caches_system: bool = option(
        help="Ask the server to keep the system text in its cache: writing costs more than plain input, reading less.",
        default=False,
    )
    connections_max: int = option(
        help="Requests under way at once, over all advisers with this key.", default=4, minimum=1, maximum=64
    )
    reply_bytes_max: int = option(
        help="A longer answer is not read to its end.",
        default=1_048_576,
        unit="bytes",
        minimum=1024,
        maximum=67_108_864,
    )

    def __attrs_post_init__(self) -> None:
        if not self.model.strip() or any(each < " " for each in self.model):
            msg = f"model: expected the name of a model, was {self.model!r}"
            raise DomainError(msg)
        try:
            require_model_url(self.base_url, allows_private=self.allow_private)
        except DomainError as error:
            msg = f"base_url: {error.message}"
            raise DomainError(msg, hint=error.hint) from None
        if self.api_key is None and not _LOOPBACK.match(self.base_url):
            msg = "api_key: expected a key, was none"
            raise DomainError(msg, hint='api_key = { env = "NAME" }, the name of the variable that holds it')

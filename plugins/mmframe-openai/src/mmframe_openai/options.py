"""What a strategy file may say of a chat completions endpoint, and the settings that follow from it and its profile."""

from __future__ import annotations

import re

import attrs

from mmframe.errors import DomainError
from mmframe.net.model_api import Resets, require_model_url
from mmframe.plugin import Secret, option
from mmframe_openai.profiles import PROFILES

__all__ = ["JSON_MODES", "ChatOptions", "Settings"]

JSON_MODES = ("schema", "object", "prompt")
"""From the most to the least that a server promises."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[ -~]{1,1024}")
_OWN_HEADERS = frozenset(
    {"accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "transfer-encoding"}
)
_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_PATH_FORM = "names joined by dots"
_LOOPBACK = re.compile(r"https?://(localhost|127\.[0-9.]+|\[::1\])([:/]|$)")


@attrs.frozen
class ChatOptions:
    """Keys of a provider with `use = "openai/chat"`."""

    model: str = option(help="The model, as the server names it.", example="gpt-4.1-mini")
    profile: str | None = option(
        help="Whose ways the server has; its values are the defaults of the keys below. Left out: `openai` without a "
        "`base_url`, `generic` with one.",
        default=None,
        choices=tuple(PROFILES),
        example="deepseek",
    )
    base_url: str | None = option(
        help="Where the API begins, up to and without `/chat/completions`: https, or http to this machine.",
        default=None,
        example="https://api.example.com/v1",
    )
    api_key: Secret | None = option(
        help="The key; a model on this machine needs none.", default=None, example={"env": "OPENAI_API_KEY"}
    )
    allow_private: bool = option(
        help="The host may lead to this machine or the local network; otherwise only a loopback address that is "
        "written as one may.",
        default=False,
    )
    json_mode: str | None = option(
        help="How the server is made to answer in JSON: held to the `schema`, to any `object`, or by the `prompt` "
        "alone. `auto`: the first question settles which the server takes; not for backtests.",
        default=None,
        choices=("auto", *JSON_MODES),
        example="schema",
    )
    max_tokens_field: str | None = option(
        help="The field that bounds the answer's tokens; reasoning models refuse `max_tokens`.",
        default=None,
        choices=("max_tokens", "max_completion_tokens"),
        example="max_tokens",
    )
    sends_temperature: bool = option(
        help="Whether a temperature is sent; some reasoning models refuse it.", default=True
    )
    temperature: float = option(
        help="How freely it answers. Zero does not make it repeatable: recorded replies do.",
        default=0.0,
        minimum=0.0,
        maximum=2.0,
    )
    seed: int | None = option(help="Sent if set; servers promise nothing by it.", default=None, example=7)
    reasoning_effort: str | None = option(
        help="Sent if set, for reasoning models: hidden reasoning is billed and counts towards the answer's bound.",
        default=None,
        choices=("none", "minimal", "low", "medium", "high"),
        example="low",
    )
    headers: dict[str, str] = option(
        help="More headers of each request, such as a gateway's routing; no secrets.",
        factory=dict,
    )
    rate_headers: str | None = option(
        help="How rate headers say when a limit is over: as `durations` (6m0s), or not at all.",
        default=None,
        choices=("none", "durations"),
        example="durations",
    )
    cached_tokens_path: str | None = option(
        help="Where in `usage` the tokens stand that came from a cache.",
        default=None,
        example="prompt_tokens_details.cached_tokens",
    )
    cost_path: str | None = option(
        help="Where in `usage` the server documents the cost in dollars.", default=None, example="cost"
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
        self._check_address()
        for name, value in self.headers.items():
            _check_header(name, value)
        for name in ("cached_tokens_path", "cost_path"):
            path = getattr(self, name)
            if path is not None and not _PATH.fullmatch(path):
                msg = f"{name}: expected {_PATH_FORM}, was {path!r}"
                raise DomainError(msg)

    def _check_address(self) -> None:
        profile = PROFILES[self.profile_name]
        base_url = self.base_url or profile.base_url
        if base_url is None:
            msg = "base_url: expected an address, was none"
            raise DomainError(msg, hint="profile `generic` knows no address; name one, or another profile")
        try:
            require_model_url(base_url, allows_private=self.allow_private)
        except DomainError as error:
            msg = f"base_url: {error.message}"
            raise DomainError(msg, hint=error.hint) from None
        if self.api_key is None and profile.needs_key and not _LOOPBACK.match(base_url):
            msg = f"api_key: expected a key for profile {self.profile_name!r}, was none"
            raise DomainError(msg, hint='api_key = { env = "NAME" }, the name of the variable that holds it')

    @property
    def profile_name(self) -> str:
        """Return the profile that holds."""
        return self.profile or ("openai" if self.base_url is None else "generic")


@attrs.frozen
class Settings:
    """What holds: the options, and the profile's values where they say nothing.

    Attributes:
        json_modes: What may be tried, in order; one unless the mode is `auto`.
    """

    base_url: str
    json_modes: tuple[str, ...]
    max_tokens_field: str
    resets: Resets
    cached_tokens_path: tuple[str, ...]
    cost_path: tuple[str, ...]
    requires_parameters: bool

    @classmethod
    def of(cls, options: ChatOptions) -> Settings:
        """Return what holds by `options`."""
        profile = PROFILES[options.profile_name]
        mode = options.json_mode or profile.json_mode
        cost_path = options.cost_path or profile.cost_path or ""
        return cls(
            base_url=(options.base_url or profile.base_url or "").rstrip("/"),
            json_modes=JSON_MODES if mode == "auto" else (mode,),
            max_tokens_field=options.max_tokens_field or profile.max_tokens_field,
            resets=profile.resets if options.rate_headers is None else Resets(options.rate_headers),
            cached_tokens_path=tuple((options.cached_tokens_path or profile.cached_tokens_path).split(".")),
            cost_path=tuple(cost_path.split(".")) if cost_path else (),
            requires_parameters=profile.requires_parameters,
        )


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
        msg = f"headers: expected a header that the provider does not set itself, was {name!r}"
        raise DomainError(msg)
    if not _HEADER_VALUE.fullmatch(value):
        msg = f"headers: expected printable text for {name!r}, was something else"
        raise DomainError(msg)

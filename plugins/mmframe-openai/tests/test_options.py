"""Profiles are data, each value can be overridden, and what cannot work is an error of the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmframe.errors import DomainError
from mmframe.net.model_api import Resets
from mmframe.plugin import Secret
from mmframe_openai.options import ChatOptions, Settings
from mmframe_openai.profiles import PROFILES

KEY = Secret(value="k", source="env K")
README = Path(__file__).parents[1] / "README.md"


def test_without_anything_it_is_openai():
    settings = Settings.of(ChatOptions(model="m", api_key=KEY))

    assert settings == Settings(
        base_url="https://api.openai.com/v1",
        json_modes=("schema",),
        max_tokens_field="max_completion_tokens",
        resets=Resets.DURATIONS,
        cached_tokens_path=("prompt_tokens_details", "cached_tokens"),
        cost_path=(),
        requires_parameters=False,
    )


def test_with_an_address_it_is_generic():
    settings = Settings.of(ChatOptions(model="m", base_url="https://api.example.com/v1/"))

    assert (settings.base_url, settings.json_modes) == ("https://api.example.com/v1", ("object",))
    assert (settings.max_tokens_field, settings.resets) == ("max_tokens", Resets.NONE)


def test_each_value_of_a_profile_can_be_overridden():
    options = ChatOptions(
        model="m",
        profile="openrouter",
        base_url="http://localhost:1/x",
        json_mode="auto",
        max_tokens_field="max_completion_tokens",
        rate_headers="durations",
        cached_tokens_path="a.b",
        cost_path="c.d",
    )

    assert Settings.of(options) == Settings(
        base_url="http://localhost:1/x",
        json_modes=("schema", "object", "prompt"),
        max_tokens_field="max_completion_tokens",
        resets=Resets.DURATIONS,
        cached_tokens_path=("a", "b"),
        cost_path=("c", "d"),
        requires_parameters=True,
    )


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.base_url])
def test_every_profile_works_as_it_is(name):
    ChatOptions(model="m", profile=name, api_key=KEY)


def test_the_readme_shows_every_profile_as_it_is():
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    cells = {row.split("`")[1]: row for row in rows}

    for name, profile in PROFILES.items():
        row = cells[name]
        shown = [profile.json_mode, profile.max_tokens_field, profile.resets.value, profile.cached_tokens_path]
        shown += [profile.base_url] if profile.base_url else []
        shown += [profile.cost_path] if profile.cost_path else []
        assert [value for value in shown if f"`{value}`" not in row] == []
        assert row.endswith("| needed |") is profile.needs_key


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"profile": "generic"}, "base_url: expected an address, was none"),
        ({"profile": "openai"}, "api_key: expected a key for profile 'openai', was none"),
        ({"profile": "groq", "base_url": "https://127.0.0.1.example.com"}, "api_key: expected a key for profile"),
        ({"base_url": "http://api.example.com/v1"}, "base_url: address http://api.example.com: expected https"),
        ({"base_url": "https://10.0.0.5/v1"}, "base_url: address https://10.0.0.5: expected a public host"),
        ({"model": " ", "profile": "ollama"}, "model: expected the name of a model"),
        ({"model": "a\nb", "profile": "ollama"}, "model: expected the name of a model"),
        ({"profile": "ollama", "headers": {"Authorization": "x"}}, "headers: expected a header that the provider"),
        ({"profile": "ollama", "headers": {"X": "a\r\nHost: b"}}, "headers: expected printable text for 'X'"),
        ({"profile": "ollama", "headers": {"X Y": "a"}}, "headers: expected a header that the provider"),
        ({"profile": "ollama", "cost_path": "a..b"}, "cost_path: expected names joined by dots, was 'a..b'"),
    ],
)
def test_what_cannot_work_is_an_error_at_its_key(options, problem):
    with pytest.raises(DomainError) as caught:
        ChatOptions(**{"model": "m", **options})

    assert caught.value.message.startswith(problem)


def test_a_private_address_says_how_to_mean_it():
    with pytest.raises(DomainError) as caught:
        ChatOptions(model="m", base_url="https://10.0.0.5/v1")

    assert caught.value.hint == "set allow_private = true for a model on your own network"
    ChatOptions(model="m", base_url="https://10.0.0.5/v1", allow_private=True)

"""What is sent, byte for byte, and what answers mean, field by field."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.advice import ReplyStatus, Usage
from mmframe.net.model_api import status_of
from mmframe_openai.options import ChatOptions, Settings
from mmframe_openai.wire import chat_body, error_status, read_choice, read_cost_usd, read_usage

WORST = Usage(input_tokens=90, output_tokens=200, is_estimated=True)


def sent(question, mode="schema", **options):
    made = ChatOptions(model="m", **{"base_url": "http://localhost:1", **options})
    return chat_body(question, made, Settings.of(made), mode)


def test_a_question_held_to_a_schema(question):
    assert sent(question, profile="openai") == (
        b'{"model":"m","stream":false,"max_completion_tokens":200,"temperature":0.0,"response_format":{"type":"json_schema",'
        b'"json_schema":{"name":"advice","strict":true,"schema":' + question.reply_schema + b"}},"
        b'"messages":[{"role":"system","content":"Advise."},{"role":"user","content":"{\\"mid\\":\\"100\\"}"}]}'
    )


@pytest.mark.parametrize("mode", ["object", "prompt"])
def test_without_a_schema_the_question_itself_asks_for_json(question, mode):
    body = json.loads(sent(question, mode))

    assert body.get("response_format") == ({"type": "json_object"} if mode == "object" else None)
    assert body["messages"][0]["content"] == (
        "Advise.\n\nAnswer with one JSON object and nothing else. It follows this JSON Schema:\n"
        + question.reply_schema.decode()
    )
    assert body["max_tokens"] == 200


def test_what_a_model_takes_is_said_by_options(question):
    body = json.loads(sent(question, sends_temperature=False, seed=7, reasoning_effort="low", profile="openrouter"))

    assert "temperature" not in body
    assert (body["seed"], body["reasoning_effort"]) == (7, "low")
    assert body["provider"] == {"require_parameters": True}


def test_text_that_cannot_be_encoded_does_not_stop_a_question(question):
    body = sent(msgspec.structs.replace(question, prompt="a\ud800", system="b\udfff"))

    assert [message["content"] for message in json.loads(body)["messages"]] == ["b?", "a?"]


def answer(content="text", reason="stop", **message):
    return {"choices": [{"finish_reason": reason, "message": {"content": content, **message}}]}


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (answer(), ReplyStatus.OK),
        (answer(None), ReplyStatus.BLANK),
        (answer(" \n\t"), ReplyStatus.BLANK),
        (answer(reason="length"), ReplyStatus.TRUNCATED),
        (answer("", reason="length"), ReplyStatus.TRUNCATED),
        (answer(reason="content_filter"), ReplyStatus.REFUSED),
        (answer(None, refusal="no"), ReplyStatus.REFUSED),
        (answer("text", refusal="no"), ReplyStatus.REFUSED),
        (answer("text", refusal=""), ReplyStatus.OK),
        (answer(reason="tool_calls"), ReplyStatus.UNREADABLE),
        (answer(reason="function_call"), ReplyStatus.UNREADABLE),
        (answer(reason=None), ReplyStatus.UNREADABLE),
        (answer(reason=["stop"]), ReplyStatus.UNREADABLE),
        (answer(["part"]), ReplyStatus.UNREADABLE),
        (answer(reason="error"), ReplyStatus.UNAVAILABLE),
        ({"choices": [{**answer()["choices"][0], "error": {"code": 502}}]}, ReplyStatus.UNAVAILABLE),
        ({"choices": []}, ReplyStatus.UNREADABLE),
        ({"choices": {}}, ReplyStatus.UNREADABLE),
        ({"choices": [1]}, ReplyStatus.UNREADABLE),
        ({"choices": [{"finish_reason": "stop", "message": "text"}]}, ReplyStatus.UNREADABLE),
        ({}, ReplyStatus.UNREADABLE),
    ],
)
def test_only_a_whole_answer_with_text_is_one(document, status):
    found, text, detail = read_choice(document)

    assert found is status
    assert (text == "text", detail == "") == ((status is ReplyStatus.OK,) * 2)


@pytest.mark.parametrize(
    ("http_status", "error", "by_http", "status"),
    [
        (200, None, ReplyStatus.OK, None),
        (200, {"code": 402}, ReplyStatus.OK, ReplyStatus.QUOTA),
        (200, {"code": 429}, ReplyStatus.OK, ReplyStatus.RATE_LIMITED),
        (200, {"code": 400}, ReplyStatus.OK, ReplyStatus.CONFIG),
        (200, {"code": 7}, ReplyStatus.OK, ReplyStatus.UNAVAILABLE),
        (200, {"code": {"a": []}}, ReplyStatus.OK, ReplyStatus.UNAVAILABLE),
        (200, {"code": "insufficient_quota"}, ReplyStatus.OK, ReplyStatus.QUOTA),
        (200, "text", ReplyStatus.OK, ReplyStatus.UNAVAILABLE),
        (429, {"code": "rate_limit_exceeded"}, ReplyStatus.RATE_LIMITED, ReplyStatus.RATE_LIMITED),
        (429, {"code": "insufficient_quota"}, ReplyStatus.RATE_LIMITED, ReplyStatus.QUOTA),
        (429, {"type": "insufficient_quota", "code": None}, ReplyStatus.RATE_LIMITED, ReplyStatus.QUOTA),
        (429, None, ReplyStatus.RATE_LIMITED, ReplyStatus.RATE_LIMITED),
        (503, {"code": 429}, ReplyStatus.UNAVAILABLE, ReplyStatus.UNAVAILABLE),
        (401, {"code": "insufficient_quota"}, ReplyStatus.CONFIG, ReplyStatus.CONFIG),
    ],
)
def test_errors_are_sorted_by_status_and_body(http_status, error, by_http, status):
    document = {} if error is None else {"error": error}

    assert error_status(http_status, document, by_http) is status


def usage_of(usage, *, text="abcd", is_complete=True, **options):
    settings = Settings.of(ChatOptions(model="m", base_url="http://localhost:1", **options))
    return read_usage({"usage": usage}, settings, WORST, text, is_complete=is_complete)


def test_cached_tokens_are_part_of_the_question():
    usage = {"prompt_tokens": 120, "completion_tokens": 28, "prompt_tokens_details": {"cached_tokens": 100}}

    assert usage_of(usage) == Usage(input_tokens=120, cached_tokens=100, output_tokens=28)
    assert usage_of({**usage, "prompt_tokens_details": {"cached_tokens": 999}}).cached_tokens == 120
    deepseek = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 6}
    assert usage_of(deepseek, profile="deepseek").cached_tokens == 6


@pytest.mark.parametrize("usage", [None, [], {}, {"prompt_tokens": -1, "completion_tokens": 1.5}])
def test_what_is_not_told_is_estimated_from_above(usage):
    assert usage_of(usage) == Usage(input_tokens=90, output_tokens=2, is_estimated=True)
    assert usage_of(usage, is_complete=False) == WORST


def test_half_of_a_usage_is_used_and_marked():
    assert usage_of({"prompt_tokens": 10}) == Usage(input_tokens=10, output_tokens=2, is_estimated=True)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (0.00125, Decimal("0.00125")),
        ("0.5", Decimal("0.5")),
        (0, Decimal(0)),
        (-1, None),
        ("NaN", None),
        ("free", None),
        (True, None),
        (None, None),
        (10**9, None),
    ],
)
def test_a_documented_cost_is_read(cost, expected):
    routed = Settings.of(ChatOptions(model="m", profile="openrouter", base_url="http://localhost:1"))
    plain = Settings.of(ChatOptions(model="m", base_url="http://localhost:1"))

    assert read_cost_usd({"usage": {"cost": cost}}, routed) == expected
    assert read_cost_usd({"usage": {"cost": cost}}, plain) is None


NAMES = st.sampled_from(
    [
        "choices",
        "message",
        "content",
        "finish_reason",
        "stop",
        "length",
        "refusal",
        "error",
        "code",
        "type",
        "usage",
        "insufficient_quota",
        "prompt_tokens",
        "completion_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "cost",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(document=st.dictionaries(NAMES, JSON, max_size=5), http_status=st.sampled_from([200, 400, 429, 500]))
def test_whatever_an_answer_holds_it_is_sorted(document, http_status):
    made = ChatOptions(model="m", profile="openrouter", base_url="http://localhost:1")
    settings = Settings.of(made)

    status, text, _ = read_choice(document)
    usage = read_usage(document, settings, WORST, text, is_complete=status is ReplyStatus.OK)
    cost = read_cost_usd(document, settings)

    assert bool(text) is (status is ReplyStatus.OK)
    assert 0 <= usage.cached_tokens <= usage.input_tokens
    assert usage.output_tokens >= 0
    assert cost is None or cost >= 0
    assert error_status(http_status, document, status_of(http_status)) is not ReplyStatus.OK

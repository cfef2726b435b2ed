"""What is sent, byte for byte, and what answers mean, field by field."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.domain.advice import CompletionRequest, ReplyStatus, Usage
from mmframe.errors import DomainError
from mmframe.net.model_api import status_of
from mmframe.plugin import Secret
from mmframe_anthropic.options import MessagesOptions
from mmframe_anthropic.wire import error_status, messages_body, read_message, read_usage

SCHEMA = b'{"type":"object","required":["factor"],"properties":{"factor":{"type":"number"}}}'
QUESTION = CompletionRequest(
    system="Advise.", prompt='{"mid":"100"}', reply_schema=SCHEMA, reply_name="advice", max_reply_tokens=200
)
WORST = Usage(input_tokens=90, output_tokens=200, is_estimated=True)
LOCAL = "http://localhost:1"


def sent(question=QUESTION, **options):
    return messages_body(question, MessagesOptions(model="m", base_url=LOCAL, **options))


def test_a_question_held_to_a_schema():
    assert sent() == (
        b'{"model":"m","max_tokens":200,"stream":false,"temperature":0.0,"output_config":{"format":{"type":"json_schema",'
        b'"schema":' + SCHEMA + b'}},"system":"Advise.","messages":[{"role":"user","content":"{\\"mid\\":\\"100\\"}"}]}'
    )


def test_bounds_are_told_in_words_because_a_schema_with_them_is_refused():
    thing = (
        b'{"type":"object","properties":{"minimum":{"type":"number","minimum":0.5,"maximum":3,"description":"Times."},'
        b'"word":{"type":"string","enum":["minimum"],"maxLength":9}}}'
    )
    schema = b'{"type":"object","properties":{"M1":{"$ref":"#/$defs/thing"}},"$defs":{"thing":' + thing + b"}}"
    question = msgspec.structs.replace(QUESTION, reply_schema=schema)

    held = json.loads(sent(question))["output_config"]["format"]["schema"]

    assert held["properties"] == {"M1": {"$ref": "#/$defs/thing"}}
    assert held["$defs"]["thing"]["properties"] == {
        "minimum": {"type": "number", "description": "Times. {minimum: 0.5, maximum: 3}"},
        "word": {"type": "string", "enum": ["minimum"], "description": "{maxLength: 9}"},
    }
    assert json.loads(sent(question, json_mode="tool"))["tools"][0]["input_schema"] == json.loads(schema)


def test_a_question_with_a_forced_tool():
    body = json.loads(sent(json_mode="tool", sends_temperature=False))

    assert body["tools"] == [{"name": "advice", "description": "Give the answer.", "input_schema": json.loads(SCHEMA)}]
    assert body["tool_choice"] == {"type": "tool", "name": "advice", "disable_parallel_tool_use": True}
    assert not {"output_config", "temperature"} & set(body)


def test_a_question_that_asks_for_json_in_words_and_for_a_cache():
    body = json.loads(sent(json_mode="prompt", caches_system=True))

    assert body["system"] == [
        {
            "type": "text",
            "text": "Advise.\n\nAnswer with one JSON object and nothing else. It follows this JSON Schema:\n"
            + SCHEMA.decode(),
            "cache_control": {"type": "ephemeral"},
        }
    ]


def test_text_that_cannot_be_encoded_does_not_stop_a_question():
    body = json.loads(sent(msgspec.structs.replace(QUESTION, prompt="a\ud800", system="b\udfff")))

    assert (body["system"], body["messages"][0]["content"]) == ("b?", "a?")


def message(*blocks, reason="end_turn"):
    return {"stop_reason": reason, "content": list(blocks)}


def text(words):
    return {"type": "text", "text": words}


def tool(**values):
    return {"type": "tool_use", "id": "t", "name": "advice", "input": values}


def read(document, *, uses_tool=False):
    return read_message(document, json.dumps(document).encode(), uses_tool=uses_tool)


def test_text_blocks_are_joined_and_reasoning_is_passed_over():
    document = message({"type": "thinking", "thinking": "hm", "signature": "x"}, text('{"a": '), text("1}"))

    assert read(document) == (ReplyStatus.OK, '{"a": 1}', "")


def test_a_tools_input_is_handed_on_byte_for_byte():
    body = b'{"stop_reason": "tool_use", "content": [{"type": "tool_use", "input": {"a": 1.50, "a": 2}}]}'

    assert read_message(json.loads(body), body, uses_tool=True) == (ReplyStatus.OK, '{"a": 1.50, "a": 2}', "")


@pytest.mark.parametrize(
    ("document", "uses_tool", "status"),
    [
        (message(), False, ReplyStatus.BLANK),
        (message(text(" \n")), False, ReplyStatus.BLANK),
        (message({"type": "thinking", "thinking": "hm"}), False, ReplyStatus.BLANK),
        (message(text("half"), reason="max_tokens"), False, ReplyStatus.TRUNCATED),
        (message(text("half"), reason="model_context_window_exceeded"), False, ReplyStatus.TRUNCATED),
        (message(reason="refusal"), False, ReplyStatus.REFUSED),
        (message(text("a"), reason="stop_sequence"), False, ReplyStatus.UNREADABLE),
        (message(text("a"), reason="pause_turn"), False, ReplyStatus.UNREADABLE),
        (message(tool(a=1), reason="tool_use"), False, ReplyStatus.UNREADABLE),
        (message(text("a"), reason=None), False, ReplyStatus.UNREADABLE),
        (message(text("a"), reason=["end_turn"]), False, ReplyStatus.UNREADABLE),
        ({"stop_reason": "end_turn", "content": "text"}, False, ReplyStatus.UNREADABLE),
        ({"stop_reason": "end_turn", "content": [1]}, False, ReplyStatus.UNREADABLE),
        ({"stop_reason": "end_turn", "content": [{"type": "text", "text": 5}]}, False, ReplyStatus.UNREADABLE),
        ({}, False, ReplyStatus.UNREADABLE),
        (message(text("a"), reason="end_turn"), True, ReplyStatus.UNREADABLE),
        (message(text("a"), reason="tool_use"), True, ReplyStatus.UNREADABLE),
        (message(reason="tool_use"), True, ReplyStatus.BLANK),
        (message(tool(a=1), tool(a=2), reason="tool_use"), True, ReplyStatus.UNREADABLE),
        (message(tool(a=1), reason="max_tokens"), True, ReplyStatus.TRUNCATED),
    ],
)
def test_only_a_whole_answer_is_one(document, uses_tool, status):
    found, words, detail = read(document, uses_tool=uses_tool)

    assert (found, words) == (status, "")
    assert detail


@pytest.mark.parametrize(
    ("http_status", "document", "by_http", "status"),
    [
        (200, {}, ReplyStatus.OK, None),
        (200, {"type": "error", "error": {"type": "overloaded_error"}}, ReplyStatus.OK, ReplyStatus.RATE_LIMITED),
        (200, {"type": "error", "error": {"type": "authentication_error"}}, ReplyStatus.OK, ReplyStatus.CONFIG),
        (200, {"type": "error", "error": {"type": "billing_error"}}, ReplyStatus.OK, ReplyStatus.QUOTA),
        (200, {"type": "error", "error": {"type": "api_error"}}, ReplyStatus.OK, ReplyStatus.UNAVAILABLE),
        (200, {"type": "error"}, ReplyStatus.OK, ReplyStatus.UNAVAILABLE),
        (200, {"error": {"type": ["x"]}}, ReplyStatus.OK, ReplyStatus.UNAVAILABLE),
        (429, {"error": {"type": "rate_limit_error"}}, ReplyStatus.RATE_LIMITED, ReplyStatus.RATE_LIMITED),
        (
            429,
            {"error": {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}}},
            ReplyStatus.RATE_LIMITED,
            ReplyStatus.QUOTA,
        ),
        (
            429,
            {"error": {"type": "rate_limit_error", "details": {"error_code": ["x"]}}},
            ReplyStatus.RATE_LIMITED,
            ReplyStatus.RATE_LIMITED,
        ),
        (529, {"error": {"type": "overloaded_error"}}, ReplyStatus.RATE_LIMITED, ReplyStatus.RATE_LIMITED),
        (500, {}, ReplyStatus.UNAVAILABLE, ReplyStatus.UNAVAILABLE),
    ],
)
def test_errors_are_sorted_by_status_and_body(http_status, document, by_http, status):
    assert error_status(http_status, document, by_http) is status


def test_what_was_written_to_and_read_from_a_cache_is_added():
    usage = {
        "input_tokens": 20,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 1000,
        "output_tokens": 50,
    }

    assert read_usage({"usage": usage}, WORST, "text", is_complete=True) == Usage(
        input_tokens=1320, cached_tokens=1000, cache_write_tokens=300, output_tokens=50
    )


@pytest.mark.parametrize("usage", [None, [], {"input_tokens": -1}, {"cache_read_input_tokens": 7}])
def test_what_is_not_told_is_estimated_from_above(usage):
    document = {"usage": usage}

    assert read_usage(document, WORST, "abcd", is_complete=True) == Usage(90, 0, 0, 2, is_estimated=True)
    assert read_usage(document, WORST, "", is_complete=False) == WORST


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "api_key: expected a key, was none"),
        ({"model": "", "base_url": LOCAL}, "model: expected the name of a model, was ''"),
        ({"base_url": "http://api.example.com"}, "base_url: address http://api.example.com: expected https"),
        ({"base_url": "https://192.168.1.2"}, "base_url: address https://192.168.1.2: expected a public host"),
    ],
)
def test_what_cannot_work_is_an_error_at_its_key(options, problem):
    with pytest.raises(DomainError) as caught:
        MessagesOptions(**{"model": "m", **options})

    assert caught.value.message.startswith(problem)


def test_a_key_is_all_that_the_real_service_needs():
    options = MessagesOptions(model="m", api_key=Secret(value="k", source="env K"))

    assert options.base_url == "https://api.anthropic.com"


NAMES = st.sampled_from(
    [
        "content",
        "text",
        "tool_use",
        "input",
        "stop_reason",
        "end_turn",
        "error",
        "type",
        "details",
        "error_code",
        "usage",
        "rate_limit_error",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(
    document=st.dictionaries(NAMES, JSON, max_size=5),
    http_status=st.sampled_from([200, 400, 429, 500]),
    uses_tool=st.booleans(),
)
def test_whatever_an_answer_holds_it_is_sorted(document, http_status, uses_tool):
    status, words, _ = read(document, uses_tool=uses_tool)
    usage = read_usage(document, WORST, words, is_complete=status is ReplyStatus.OK)

    assert bool(words) is (status is ReplyStatus.OK)
    assert 0 <= usage.cached_tokens + usage.cache_write_tokens <= usage.input_tokens
    assert usage.output_tokens >= 0
    assert error_status(http_status, document, status_of(http_status)) is not ReplyStatus.OK

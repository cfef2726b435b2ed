"""The local server speaks both protocols, answers by schema, and does as its script says."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import httpx
import jsonschema
import pytest

from mmframe.errors import UsageError
from mmframe.testing.llm_server import SCRIPTS, LlmServer, Scripted, read_script, reply_text
from mmframe.testing.llm_server.__main__ import main
from mmframe.testing.llm_server.replies import schema_in

MESSAGES = [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": "mid 100"}]
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["markets", "note"],
    "properties": {
        "note": {"type": ["string", "null"], "maxLength": 8},
        "markets": {
            "type": "array",
            "minItems": 3,
            "maxItems": 3,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["market", "factor", "regime", "is_safe", "count", "skew"],
                "properties": {
                    "market": {"type": "string", "enum": ["A/B", "C/D", "E/F"]},
                    "factor": {"type": "number", "minimum": 0.5, "maximum": 3},
                    "regime": {"$ref": "#/$defs/regime"},
                    "is_safe": {"type": "boolean"},
                    "count": {"type": "integer", "exclusiveMinimum": 0, "maximum": 5},
                    "skew": {"anyOf": [{"type": "number", "exclusiveMinimum": -1, "exclusiveMaximum": 1}]},
                },
            },
        },
    },
    "$defs": {"regime": {"enum": ["calm", "stress"]}},
}
TOLD = {
    "type": "object",
    "additionalProperties": False,
    "required": ["factor"],
    "properties": {"factor": {"type": "number", "description": "Times the spread. {minimum: 2, maximum: 2.5}"}},
}
"""What the messages API takes: bounds in words."""


@pytest.fixture(scope="module")
def client():
    with httpx.Client(trust_env=False) as shared:
        yield shared


@pytest.fixture
def server():
    with LlmServer(keys=("good-key",)) as running:
        yield running


@pytest.fixture
def ask(server, client):
    """Return a function that asks a question of chat completions."""

    def post(key="good-key", **fields):
        headers = {"Authorization": f"Bearer {key}"}
        body = {"model": "any", "messages": MESSAGES, **fields}
        return client.post(f"{server.openai_url}/chat/completions", json=body, headers=headers)

    return post


@pytest.fixture
def ask_messages(server, client):
    """Return a function that asks a question of messages."""

    def post(key="good-key", version="2023-06-01", **fields):
        headers = {"x-api-key": key} | ({"anthropic-version": version} if version else {})
        body = {"model": "any", "max_tokens": 100, "messages": MESSAGES[1:], **fields}
        return client.post(f"{server.anthropic_url}/v1/messages", json=body, headers=headers)

    return post


@pytest.mark.parametrize("prompt", ["", "mid 100", "mid 101", "\ud800"])
def test_an_answer_follows_its_schema_and_names_each_market_once(prompt):
    text = reply_text(SCHEMA, prompt)

    answer = json.loads(text)
    jsonschema.validate(answer, SCHEMA)
    assert [item["market"] for item in answer["markets"]] == ["A/B", "C/D", "E/F"]
    assert reply_text(SCHEMA, prompt) == text


def test_another_prompt_has_another_answer():
    assert reply_text(SCHEMA, "mid 100") != reply_text(SCHEMA, "mid 101")


def test_a_schema_is_found_in_prose():
    text = f'Given {{braces}} and {{"no": "schema"}}, answer by {json.dumps(SCHEMA)} please.'

    assert schema_in(text) == SCHEMA
    assert schema_in("nothing {here}") is None


def test_a_schema_is_answered_over_the_wire_plain_and_streamed(ask):
    wanted = {"type": "json_schema", "json_schema": {"name": "advice", "strict": True, "schema": SCHEMA}}

    plain = ask(response_format=wanted)
    stream = ask(response_format=wanted, stream=True, stream_options={"include_usage": True})

    content = plain.json()["choices"][0]["message"]["content"]
    jsonschema.validate(json.loads(content), SCHEMA)
    events = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content", "") for event in events for choice in event["choices"]]
    assert "".join(pieces) == content
    assert len(pieces) > 3
    assert events[-1]["usage"] == plain.json()["usage"]
    assert stream.text.endswith("data: [DONE]\n\n")
    assert plain.headers["x-request-id"] == "req_000000000001"
    assert plain.headers["x-ratelimit-reset-tokens"] == "6m0s"


def test_messages_with_bounds_in_the_schema_are_refused(ask_messages):
    reply = ask_messages(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})

    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "output_config.format.schema: property 'maxLength' is not supported"


@pytest.mark.parametrize("is_tool", [False, True], ids=["schema", "tool"])
def test_messages_are_answered_plain_and_streamed(ask_messages, is_tool):
    tool = {"tools": [{"name": "advice", "input_schema": SCHEMA}], "tool_choice": {"type": "tool", "name": "advice"}}
    wanted = tool if is_tool else {"output_config": {"format": {"type": "json_schema", "schema": TOLD}}}

    plain = ask_messages(**wanted)
    stream = ask_messages(**wanted, stream=True)

    block = plain.json()["content"][0]
    answer = block["input"] if is_tool else json.loads(block["text"])
    jsonschema.validate(answer, SCHEMA if is_tool else TOLD)
    assert is_tool or 2 <= answer["factor"] <= 2.5
    assert plain.json()["stop_reason"] == ("tool_use" if is_tool else "end_turn")
    events = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: ")]
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert json.loads("".join(delta.get("text", delta.get("partial_json", "")) for delta in deltas)) == answer
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    assert plain.headers["anthropic-ratelimit-requests-reset"] == "2100-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "fields",
    [
        {"model": None},
        {"messages": []},
        {"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_object"}},
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "not a name", "schema": {}}}},
    ],
)
def test_a_question_that_the_real_service_refuses_is_refused(ask, fields):
    answer = ask(**fields)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "fields",
    [
        {"version": ""},
        {"max_tokens": None},
        {"messages": MESSAGES},
        {"tool_choice": {"type": "tool", "name": "nameless"}},
    ],
)
def test_a_message_that_the_real_service_refuses_is_refused(ask_messages, fields):
    answer = ask_messages(**fields)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_wrong_key_is_refused_and_what_came_is_kept(server, ask, ask_messages):
    assert ask(key="bad-key").status_code == 401
    assert ask_messages(key="bad-key").json()["error"]["type"] == "authentication_error"

    assert [request.key for request in server.requests] == ["bad-key", "bad-key"]
    assert server.requests[0].document["messages"] == MESSAGES
    assert server.counts == {"POST /v1/chat/completions": 1, "POST /v1/messages": 1}
    assert "bad-key" not in repr(server.requests)


def test_what_a_server_lacks_is_refused():
    with LlmServer(refuses=("json_schema", "temperature")) as server:
        bodies = [
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}},
            {"temperature": 0},
            {},
        ]
        url = f"{server.openai_url}/chat/completions"
        asked = [httpx.post(url, json={"model": "m", "messages": MESSAGES, **body}, trust_env=False) for body in bodies]

    assert [answer.status_code for answer in asked] == [400, 400, 200]


@pytest.mark.parametrize("name", [name for name, reply in SCRIPTS.items() if reply.fault.value == "none"])
def test_every_script_is_served_in_both_protocols_and_is_over_after_one_reply(server, ask, ask_messages, name):
    reply = SCRIPTS[name]
    for post in (ask, ask_messages):
        server.script(name)

        answer, after = post(), post()

        assert answer.status_code == reply.status
        assert after.status_code == 200
        assert after.json().get("error") is None


def test_answers_end_where_the_script_says(server, ask):
    endings = ["valid", "length", "filter", "refusal", "other-ending"]
    server.script(*endings)

    choices = [ask().json()["choices"][0] for _ in endings]

    assert [choice["finish_reason"] for choice in choices] == ["stop", "length", "content_filter", "stop", "pause_turn"]
    assert choices[3]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": "I cannot help with that.",
    }


def test_a_script_is_read_line_by_line(tmp_path):
    file = tmp_path / "replies.txt"
    file.write_text(
        '# comment\n\nfenced\n429\n{"name": "429-seconds", "delay_s": 0.5}\n{"text": "{}", "fault": "cut"}\n'
    )

    replies = read_script(file)

    assert [reply.wrap for reply in replies] == ["fence", "", "", ""]
    assert [reply.status for reply in replies] == [200, 429, 429, 200]
    assert (replies[2].headers, replies[2].delay_s, replies[3].fault.value) == ((("Retry-After", "7"),), 0.5, "cut")


@pytest.mark.parametrize("line", ["unheard-of", "399", '{"colour": 1}', '{"fault": "fire"}', "{broken"])
def test_a_bad_script_says_its_line(tmp_path, line):
    file = tmp_path / "replies.txt"
    file.write_text(f"valid\n{line}\n")

    with pytest.raises(UsageError, match=r"replies\.txt:2: expected a name or the fields of a reply"):
        read_script(file)


def test_stopping_releases_a_client_that_hangs():
    with LlmServer(default=Scripted(delay_s=3600)) as server:
        client = httpx.Client(trust_env=False, timeout=0.05)
        with client, pytest.raises(httpx.TimeoutException):
            client.get(f"{server.openai_url}/models")

    assert server.open_connections == 0


def test_it_runs_by_itself_and_ends_when_told(tmp_path):
    script = tmp_path / "replies.txt"
    script.write_text("503\n")
    command = [sys.executable, "-m", "mmframe.testing.llm_server", "--script", str(script), "--model", "m-1"]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        addresses = dict(process.stdout.readline().split() for _ in range(2))
        url = f"{addresses['openai']}/models"
        answers = [httpx.get(url, trust_env=False) for _ in range(2)]
        process.terminate()
        rest = process.stdout.read()

    assert [answer.status_code for answer in answers] == [503, 200]
    assert [model["id"] for model in answers[1].json()["data"]] == ["m-1"]
    assert (process.returncode, rest) == (0, "")


def test_a_wrong_call_ends_with_two(tmp_path):
    command = [sys.executable, "-m", "mmframe.testing.llm_server", "--default", "unheard-of"]

    ended = subprocess.run(command, check=False, capture_output=True, text=True)

    assert ended.returncode == 2
    assert "expected a status from 400 to 599 or one of valid" in ended.stderr


@pytest.mark.parametrize("port", [None, 99_999], ids=["taken", "none"])
def test_a_port_that_cannot_be_had_is_named_with_the_way_out(server, capsys, port):
    port = int(server.address.rpartition(":")[2]) if port is None else port

    assert main(["--port", str(port)]) == 2
    assert re.fullmatch(rf"error: port {port}: .+; choose another with --port, .+\n", capsys.readouterr().err)

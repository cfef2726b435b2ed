"""The two protocols: what a request asks for, and how an answer, an error and a stream of events are written. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import attrs

from mmframe.testing.llm_server.replies import reply_text, schema_in
from mmframe.testing.llm_server.script import INJECTION, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Anthropic", "Asked", "Dialect", "OpenAi", "said"]

_CREATED_S = 1_700_000_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PIECES = 3
_FORMATS = ("json_object", "json_schema")
_REFUSED_BOUNDS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
)
"""What the messages API does not take in a schema that it holds a model to."""
_SCHEMA_DEPTH_MAX = 32


@attrs.frozen
class Asked:
    """What a request asks for.

    Attributes:
        problem: Why it is refused, as the real service would; empty when it is not.
        error: Kind of the refusal, in the protocol's words; empty for that of status 400.
    """

    model: str = ""
    system: str = ""
    prompt: str = ""
    schema: Mapping[str, Any] | None = None
    wants_json: bool = False
    tool: str = ""
    tokens_max: int | None = None
    is_stream: bool = False
    wants_usage: bool = True
    problem: str = ""
    error: str = ""


class Dialect(Protocol):
    """One protocol."""

    request_id_header: str

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the key that a request shows."""
        ...

    def asked(self, body: bytes, headers: Mapping[str, str], refused: frozenset[str]) -> Asked:
        """Return what a request asks for, or why it is refused; `refused` are features that this server lacks."""
        ...

    def answer(self, asked: Asked, reply: Scripted, text: str, number: int) -> dict[str, Any]:
        """Return the answer's body."""
        ...

    def events(self, asked: Asked, reply: Scripted, text: str, number: int) -> Iterable[bytes]:
        """Return the answer as server-sent events."""
        ...

    def error(self, status: int, kind: str, message: str, number: int) -> dict[str, Any]:
        """Return an error's body."""
        ...

    def rate_headers(self, number: int, *, is_exhausted: bool) -> Sequence[tuple[str, str]]:
        """Return the rate headers of an answer."""
        ...

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the list of models."""
        ...


def said(asked: Asked, reply: Scripted) -> str:
    """Return what the model says."""
    words = INJECTION if reply.is_hostile else reply.words
    text = reply.text
    if text is None:
        schema = asked.schema or schema_in(asked.system) or schema_in(asked.prompt)
        if schema is not None:
            text = reply_text(schema, asked.prompt, words=words)
        else:
            text = '{"answer": "yes"}' if asked.wants_json else f"You said: {asked.prompt[:200]}"
    if reply.wrap == "fence":
        text = f"```json\n{text}\n```"
    elif reply.wrap == "prose":
        text = f"Sure! Here is my view: {text} Let me know if you need more."
    return text


def _tokens(text: str) -> int:
    return max(1, -(-len(text.encode("utf-8", "replace")) // 4))


def _pieces(text: str) -> list[str]:
    size = max(1, -(-len(text) // _PIECES))
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]


def _event(data: Mapping[str, Any], name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _refused_bound(schema: Any, depth: int = 0) -> str:
    """Return the first keyword of a schema that the messages API refuses, or nothing."""
    if not isinstance(schema, dict) or depth > _SCHEMA_DEPTH_MAX:
        return ""
    named = [
        each for key in ("properties", "$defs") if isinstance(schema.get(key), dict) for each in schema[key].values()
    ]
    found = sorted(_REFUSED_BOUNDS & set(schema))
    found += [_refused_bound(each, depth + 1) for each in (*named, schema.get("items"))]
    return next((name for name in found if name), "")


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _texts(messages: Any, *roles: str) -> str:
    found = [message for message in messages if isinstance(message, dict) and message.get("role") in roles]
    return "\n".join(_text_of(message.get("content")) for message in found)


class OpenAi:
    """Chat completions."""

    request_id_header = "x-request-id"

    _ENDINGS: ClassVar[dict[str, str]] = {"filter": "content_filter", "refusal": "stop"}
    _ERRORS: ClassVar[dict[int, tuple[str, str]]] = {
        400: ("invalid_request_error", "invalid_value"),
        401: ("invalid_request_error", "invalid_api_key"),
        402: ("insufficient_balance", "insufficient_balance"),
        403: ("permission_error", "unsupported_country_region_territory"),
        404: ("invalid_request_error", "model_not_found"),
        422: ("invalid_request_error", "unprocessable"),
        429: ("requests", "rate_limit_exceeded"),
    }

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the bearer token."""
        return headers.get("authorization", "").removeprefix("Bearer ").strip()

    def asked(self, body: bytes, headers: Mapping[str, str], refused: frozenset[str]) -> Asked:  # noqa: ARG002 - a port
        """Return what a request asks for, or why it is refused."""
        fields = _object(body)
        if fields is None:
            return Asked(problem="the body is no JSON object")
        model, messages = fields.get("model"), fields.get("messages")
        if not isinstance(model, str) or not model:
            return Asked(problem="you must provide a model parameter")
        if not isinstance(messages, list) or not messages:
            return Asked(model=model, problem="'messages' is a required property")
        system, prompt = _texts(messages, "system", "developer"), _texts(messages, "user")
        wanted = fields.get("response_format") or {}
        kind = wanted.get("type", "text") if isinstance(wanted, dict) else ""
        held = wanted.get("json_schema", {}) if kind == "json_schema" else {}
        problem = self._problem(fields, kind, held, system + prompt, refused)
        options = fields.get("stream_options") or {}
        return Asked(
            model=model,
            system=system,
            prompt=prompt,
            schema=held.get("schema") if isinstance(held, dict) else None,
            wants_json=kind == "json_object",
            tokens_max=fields.get("max_completion_tokens", fields.get("max_tokens")),
            is_stream=fields.get("stream") is True,
            wants_usage=not fields.get("stream") or bool(options.get("include_usage")),
            problem=problem,
        )

    @staticmethod
    def _problem(fields: dict[str, Any], kind: str, held: Any, text: str, refused: frozenset[str]) -> str:
        used = [*fields, kind]
        lacking = [
            name for name in ("max_tokens", "temperature", "seed", *_FORMATS) if name in used and name in refused
        ]
        if lacking:
            return f"Unsupported parameter: {lacking[0]!r}"
        if kind not in {"text", *_FORMATS}:
            return "Invalid value for 'response_format.type'"
        if kind == "json_schema" and not (
            isinstance(held, dict) and _NAME.fullmatch(str(held.get("name", ""))) and isinstance(held["schema"], dict)
        ):
            return "Invalid 'response_format.json_schema'"
        if kind == "json_object" and "json" not in text.lower():
            return "'messages' must contain the word 'json' in some form"
        return ""

    def answer(self, asked: Asked, reply: Scripted, text: str, number: int) -> dict[str, Any]:
        """Return a chat completion."""
        content: str | None = {"null": None, "blank": " \n"}.get(reply.content, text)
        refusal = "I cannot help with that." if reply.ending == "refusal" else None
        hostile = {INJECTION: INJECTION, "system_fingerprint": INJECTION} if reply.is_hostile else {}
        choice = {
            "index": 0,
            "finish_reason": self._ENDINGS.get(reply.ending, reply.ending),
            "message": {"role": "assistant", "content": content, "refusal": refusal},
            "logprobs": None,
        }
        body: dict[str, Any] = {
            "id": f"chatcmpl-{number:012d}",
            "object": "chat.completion",
            "created": _CREATED_S,
            "model": INJECTION if reply.is_hostile else reply.model or asked.model,
            "choices": [choice],
            **hostile,
        }
        return {**body, "usage": self._usage(asked, reply, content or "")} if reply.has_usage else body

    @staticmethod
    def _usage(asked: Asked, reply: Scripted, text: str) -> dict[str, Any]:
        question = _tokens(asked.system + asked.prompt) + reply.cached_tokens
        if reply.is_usage_absurd:
            return {"prompt_tokens": -5, "completion_tokens": "many", "prompt_tokens_details": [1], "cost": "free"}
        return {
            "prompt_tokens": question,
            "completion_tokens": _tokens(text),
            "total_tokens": question + _tokens(text),
            "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": 0},
            "prompt_cache_hit_tokens": reply.cached_tokens,
            "cost": 0.00125,
        }

    def events(self, asked: Asked, reply: Scripted, text: str, number: int) -> Iterable[bytes]:
        """Return a chat completion in pieces."""
        whole = self.answer(asked, reply, text, number)
        shared = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        content = whole["choices"][0]["message"]["content"] or ""
        deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in _pieces(content))]
        for delta in deltas:
            yield _event({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        ending = whole["choices"][0]["finish_reason"]
        yield _event({**shared, "choices": [{"index": 0, "delta": {}, "finish_reason": ending}]})
        if asked.wants_usage and "usage" in whole:
            yield _event({**shared, "choices": [], "usage": whole["usage"]})
        yield b"data: [DONE]\n\n"

    def error(self, status: int, kind: str, message: str, number: int) -> dict[str, Any]:  # noqa: ARG002 - a port
        """Return an error as chat completions has it."""
        named, code = self._ERRORS.get(status, ("server_error", "server_error"))
        if kind:
            named = code = "insufficient_quota" if kind == "quota" else kind
        return {"error": {"message": message, "type": named, "param": None, "code": code}}

    def rate_headers(self, number: int, *, is_exhausted: bool) -> Sequence[tuple[str, str]]:
        """Return limits, what remains of them and when they are over, as durations."""
        return (
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-requests", "0" if is_exhausted else str(max(1, 10_000 - number))),
            ("x-ratelimit-remaining-tokens", str(max(1, 2_000_000 - 200 * number))),
            ("x-ratelimit-reset-requests", "1m30s" if is_exhausted else "12ms"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("openai-processing-ms", "5"),
        )

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the list of models."""
        made = [{"id": name, "object": "model", "created": _CREATED_S, "owned_by": "local"} for name in names]
        return {"object": "list", "data": made}


class Anthropic:
    """Messages."""

    request_id_header = "request-id"

    _ENDINGS: ClassVar[dict[str, str]] = {"stop": "end_turn", "length": "max_tokens", "filter": "refusal"}
    _ERRORS: ClassVar[dict[int, str]] = {
        400: "invalid_request_error",
        401: "authentication_error",
        402: "billing_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        422: "invalid_request_error",
        429: "rate_limit_error",
        529: "overloaded_error",
    }

    def key(self, headers: Mapping[str, str]) -> str:
        """Return the key."""
        return headers.get("x-api-key", "").strip()

    def asked(self, body: bytes, headers: Mapping[str, str], refused: frozenset[str]) -> Asked:
        """Return what a request asks for, or why it is refused."""
        fields = _object(body)
        if fields is None:
            return Asked(problem="the body is no JSON object")
        model, messages = fields.get("model"), fields.get("messages")
        choice = fields.get("tool_choice") or {}
        tool = str(choice.get("name", "")) if choice.get("type") == "tool" else ""
        tools = {str(each.get("name")): each.get("input_schema") for each in fields.get("tools") or []}
        held = (fields.get("output_config") or {}).get("format") or {}
        return Asked(
            model=model if isinstance(model, str) else "",
            system=_text_of(fields.get("system", "")),
            prompt=_texts(messages if isinstance(messages, list) else [], "user"),
            schema=tools.get(tool) if tool else held.get("schema"),
            tool=tool,
            tokens_max=fields.get("max_tokens"),
            is_stream=fields.get("stream") is True,
            problem=self._problem(fields, headers, tool, tools, refused),
        )

    @staticmethod
    def _problem(
        fields: dict[str, Any],
        headers: Mapping[str, str],
        tool: str,
        tools: Mapping[str, Any],
        refused: frozenset[str],
    ) -> str:
        messages = fields.get("messages")
        listed = messages if isinstance(messages, list) else []
        problems = {
            "anthropic-version: header is required": "anthropic-version" not in headers,
            "model: Field required": not isinstance(fields.get("model"), str),
            "max_tokens: Field required": not isinstance(fields.get("max_tokens"), int),
            "messages: at least one message is required": not listed,
            "messages: Unexpected role; use the top-level system parameter": any(
                message.get("role") not in {"user", "assistant"} for message in listed
            ),
            f"tool_choice: tool {tool!r} not found in tools": bool(tool) and tool not in tools,
        }
        if any(problems.values()):
            return next(problem for problem, is_so in problems.items() if is_so)
        bound = _refused_bound(((fields.get("output_config") or {}).get("format") or {}).get("schema"))
        if bound:
            return f"output_config.format.schema: property '{bound}' is not supported"
        lacking = [name for name in ("temperature", "output_config") if name in fields and name in refused]
        return f"{lacking[0]}: Extra inputs are not permitted" if lacking else ""

    def answer(self, asked: Asked, reply: Scripted, text: str, number: int) -> dict[str, Any]:
        """Return a message."""
        text = {"null": "", "blank": " \n"}.get(reply.content, text)
        ending = self._ENDINGS.get(reply.ending, reply.ending)
        if asked.tool and reply.ending == "stop":
            ending = "tool_use"
        blocks: list[dict[str, Any]] = [] if reply.content == "null" else [{"type": "text", "text": text}]
        made = _object(text.encode("utf-8", "replace")) if asked.tool else None
        if made is not None:
            blocks = [{"type": "tool_use", "id": f"toolu_{number:012d}", "name": asked.tool, "input": made}]
        hostile = {INJECTION: INJECTION, "stop_sequence": INJECTION} if reply.is_hostile else {"stop_sequence": None}
        body: dict[str, Any] = {
            "id": f"msg_{number:012d}",
            "type": "message",
            "role": "assistant",
            "model": INJECTION if reply.is_hostile else reply.model or asked.model,
            "content": blocks,
            "stop_reason": ending,
            **hostile,
        }
        return {**body, "usage": self._usage(asked, reply, text)} if reply.has_usage else body

    @staticmethod
    def _usage(asked: Asked, reply: Scripted, text: str) -> dict[str, Any]:
        if reply.is_usage_absurd:
            return {"input_tokens": -5, "output_tokens": "many", "cache_read_input_tokens": 10**30}
        return {
            "input_tokens": _tokens(asked.system + asked.prompt),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": reply.cached_tokens,
            "output_tokens": _tokens(text),
        }

    def events(self, asked: Asked, reply: Scripted, text: str, number: int) -> Iterable[bytes]:
        """Return a message in pieces."""
        whole = self.answer(asked, reply, text, number)
        usage = whole.get("usage", {"input_tokens": 0, "output_tokens": 0})
        begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        yield _event({"type": "message_start", "message": begun}, "message_start")
        yield _event({"type": "ping"}, "ping")
        for index, block in enumerate(whole["content"]):
            is_tool = block["type"] == "tool_use"
            empty = {**block, "input": {}} if is_tool else {"type": "text", "text": ""}
            start = {"type": "content_block_start", "index": index, "content_block": empty}
            yield _event(start, "content_block_start")
            for piece in _pieces(json.dumps(block["input"]) if is_tool else block["text"]):
                delta = (
                    {"type": "input_json_delta", "partial_json": piece}
                    if is_tool
                    else {"type": "text_delta", "text": piece}
                )
                yield _event({"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta")
            yield _event({"type": "content_block_stop", "index": index}, "content_block_stop")
        ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        told = {"output_tokens": usage["output_tokens"]}
        yield _event({"type": "message_delta", "delta": ended, "usage": told}, "message_delta")
        yield _event({"type": "message_stop"}, "message_stop")

    def error(self, status: int, kind: str, message: str, number: int) -> dict[str, Any]:
        """Return an error as the messages API has it."""
        error: dict[str, Any] = {"type": self._ERRORS.get(status, "api_error"), "message": message}
        if kind and kind != "quota":
            error["type"] = kind
        if kind == "quota":
            error["details"] = {"error_code": "enforced_spend_limit_reached"}
        return {"type": "error", "error": error, "request_id": f"req_{number:012d}"}

    def rate_headers(self, number: int, *, is_exhausted: bool) -> Sequence[tuple[str, str]]:
        """Return limits, what remains of them and when they are over, as instants."""
        kinds = {"requests": (4000, 1), "input-tokens": (2_000_000, 200), "output-tokens": (400_000, 50)}
        return tuple(
            pair
            for kind, (limit, each) in kinds.items()
            for pair in (
                (f"anthropic-ratelimit-{kind}-limit", str(limit)),
                (f"anthropic-ratelimit-{kind}-remaining", "0" if is_exhausted else str(max(1, limit - each * number))),
                (f"anthropic-ratelimit-{kind}-reset", "2100-01-01T00:00:00Z"),
            )
        )

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the list of models."""
        made = [
            {"id": name, "type": "model", "display_name": name, "created_at": "2025-01-01T00:00:00Z"} for name in names
        ]
        first, last = (names[0], names[-1]) if names else (None, None)
        return {"data": made, "has_more": False, "first_id": first, "last_id": last}

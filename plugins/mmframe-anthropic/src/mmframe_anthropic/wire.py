"""The messages protocol as bytes and values: what is sent, and what an answer says. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.domain.advice import ReplyStatus, Usage
from mmframe.net.model_api import encodable, estimated_tokens, status_of, token_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.advice import CompletionRequest
    from mmframe_anthropic.options import MessagesOptions

__all__ = ["error_http_status", "error_status", "messages_body", "read_message", "read_usage"]

_SPEND_LIMIT = "_spend_limit_reached"
_TOO_MANY_REQUESTS = 429
_HTTP_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Which HTTP status a kind of error has, for an error that comes with another one."""
_TOO_LONG = (ReplyStatus.TRUNCATED, "the answer ran into its bound of tokens")
_ENDINGS = {
    "refusal": (ReplyStatus.REFUSED, "the model refused"),
    "max_tokens": _TOO_LONG,
    "model_context_window_exceeded": _TOO_LONG,
}
"""What `stop_reason` says besides the wanted one."""

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
           "minItems", "maxItems")  # fmt: skip
"""What the API does not take in a schema that it holds the model to: a schema with one of them is answered with 400."""
_NAMED = ("properties", "$defs")
"""Keywords under which there are names, each with a schema of its own."""


class _Block(msgspec.Struct):
    """One part of an answer; `input` stays as it was written, so that a reader sees doubled keys too."""

    type: str = ""
    text: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"")


class _Blocks(msgspec.Struct):
    """An answer's parts."""

    content: list[_Block] = []


def _without_bounds(schema: Any) -> Any:
    """Return a schema with its bounds told in the description instead, as the official clients do.

    The model then reads them, and whoever reads the answer holds it to them.
    """
    if isinstance(schema, list):
        return [_without_bounds(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            kept[key] = {name: _without_bounds(each) for name, each in value.items()}
        elif key not in _BOUNDS:
            kept[key] = _without_bounds(value)
    bounds = ", ".join(f"{key}: {schema[key]}" for key in _BOUNDS if key in schema)
    if bounds:
        kept["description"] = f"{schema.get('description', '')} {{{bounds}}}".lstrip()
    return kept


def messages_body(request: CompletionRequest, options: MessagesOptions) -> bytes:
    """Return the body of one question; equal questions give equal bytes."""
    system = encodable(request.system)
    schema = msgspec.Raw(request.reply_schema)
    if options.json_mode == "prompt":
        text = request.reply_schema.decode("utf-8")
        system = f"{system}\n\nAnswer with one JSON object and nothing else. It follows this JSON Schema:\n{text}"
    body: dict[str, Any] = {"model": options.model, "max_tokens": request.max_reply_tokens, "stream": False}
    if options.sends_temperature:
        body["temperature"] = options.temperature
    if options.json_mode == "schema":
        held = _without_bounds(msgspec.json.decode(request.reply_schema))
        body["output_config"] = {"format": {"type": "json_schema", "schema": held}}
    elif options.json_mode == "tool":
        name = request.reply_name
        body["tools"] = [{"name": name, "description": "Give the answer.", "input_schema": schema}]
        body["tool_choice"] = {"type": "tool", "name": name, "disable_parallel_tool_use": True}
    if options.caches_system:
        body["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
    else:
        body["system"] = system
    body["messages"] = [{"role": "user", "content": encodable(request.prompt)}]
    return msgspec.json.encode(body)


def read_message(document: Mapping[str, Any], body: bytes, *, uses_tool: bool) -> tuple[ReplyStatus, str, str]:
    """Return how an answer ended, its text when it may be read, and what is wrong with it otherwise.

    Args:
        document: The answer.
        body: The same as bytes.
        uses_tool: Whether the model was forced to use a tool, whose input is the text then.
    """
    reason = document.get("stop_reason")
    wanted = "tool_use" if uses_tool else "end_turn"
    if reason != wanted:
        known = _ENDINGS.get(reason) if isinstance(reason, str) else None
        status, detail = known or (ReplyStatus.UNREADABLE, f"the answer did not end with {wanted!r}")
        return status, "", detail
    try:
        blocks = msgspec.json.decode(body, type=_Blocks).content
    except (ValueError, RecursionError):
        return ReplyStatus.UNREADABLE, "", "the answer's content is no list of blocks"
    inputs = [bytes(block.input) for block in blocks if block.type == "tool_use"]
    text = "".join(block.text or "" for block in blocks if block.type == "text")
    if uses_tool and (len(inputs) > 1 or (not inputs and text.strip())):
        return ReplyStatus.UNREADABLE, "", f"the tool was used {len(inputs)} times, expected once"
    if uses_tool:
        text = b"".join(inputs).decode("utf-8", "replace")
    if not text.strip():
        return ReplyStatus.BLANK, "", "the answer is blank"
    return ReplyStatus.OK, text, ""


def error_status(http_status: int, document: Mapping[str, Any], status: ReplyStatus) -> ReplyStatus | None:
    """Return what an error is by its body, None when there is none.

    Args:
        http_status: Of the answer; a success may hide an error in its body.
        document: The answer.
        status: What the HTTP status alone says.
    """
    error = document.get("error")
    kind = error.get("type") if isinstance(error, dict) else None
    kind_status = _HTTP_STATUS.get(kind, 500) if isinstance(kind, str) else 500
    if status is ReplyStatus.OK:
        if document.get("type") != "error" and error is None:
            return None
        http_status, status = kind_status, status_of(kind_status)
    details = error.get("details") if isinstance(error, dict) else None
    code = details.get("error_code") if isinstance(details, dict) else None
    is_capped = isinstance(code, str) and code.endswith(_SPEND_LIMIT)
    return ReplyStatus.QUOTA if is_capped and http_status == _TOO_MANY_REQUESTS else status


def error_http_status(body: bytes) -> int:
    """Return the HTTP status that an error in a batch's results would have had by itself."""
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return 500
    error = document.get("error") if isinstance(document, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return _HTTP_STATUS.get(kind, 500) if isinstance(kind, str) else 500


def read_usage(document: Mapping[str, Any], worst: Usage, text: str, *, is_complete: bool) -> Usage:
    """Return the tokens of an answer; what it does not tell is estimated from above.

    `input_tokens` counts what came from no cache: what was written to and read from it is added.

    Args:
        document: The answer.
        worst: What the question and the longest answer may come to.
        text: The answer's text.
        is_complete: Whether `text` is all that was written, hidden reasoning aside.
    """
    usage = document.get("usage")
    found = usage if isinstance(usage, dict) else {}
    told_in, told_out = token_count(found.get("input_tokens")), token_count(found.get("output_tokens"))
    written = token_count(found.get("cache_creation_input_tokens")) or 0
    cached = token_count(found.get("cache_read_input_tokens")) or 0
    output = estimated_tokens(text.encode("utf-8", "replace")) if is_complete else worst.output_tokens
    is_told = told_in is not None
    return Usage(
        input_tokens=told_in + written + cached if told_in is not None else worst.input_tokens,
        cached_tokens=cached if is_told else 0,
        cache_write_tokens=written if is_told else 0,
        output_tokens=output if told_out is None else told_out,
        is_estimated=told_in is None or told_out is None,
    )

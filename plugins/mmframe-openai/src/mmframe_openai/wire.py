"""The chat completions protocol as bytes and values: what is sent, and what an answer says. Pure."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from mmframe.domain.advice import ReplyStatus, Usage
from mmframe.net.model_api import encodable, estimated_tokens, status_of, token_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mmframe.domain.advice import CompletionRequest
    from mmframe_openai.options import ChatOptions, Settings

__all__ = ["chat_body", "error_status", "read_choice", "read_cost_usd", "read_usage"]

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"})
_HTTP_ERRORS = range(400, 600)
_TOO_MANY_REQUESTS = 429
_ENDINGS = {
    "length": (ReplyStatus.TRUNCATED, "the answer ran into its bound of tokens"),
    "content_filter": (ReplyStatus.REFUSED, "a filter took the answer away"),
    "error": (ReplyStatus.UNAVAILABLE, "the server failed while it answered"),
}
"""What `finish_reason` says besides `stop`."""
_COST_USD_MAX = Decimal(1_000_000)


def chat_body(request: CompletionRequest, options: ChatOptions, settings: Settings, json_mode: str) -> bytes:
    """Return the body of one question; equal questions give equal bytes.

    The part that changes from question to question comes last, so that the server's cache of prefixes helps.
    """
    system = encodable(request.system)
    if json_mode != "schema":
        # JSON mode without the word JSON in the question makes some models emit blanks until their limit.
        schema = request.reply_schema.decode("utf-8")
        system = f"{system}\n\nAnswer with one JSON object and nothing else. It follows this JSON Schema:\n{schema}"
    body: dict[str, Any] = {
        "model": options.model,
        "stream": False,
        settings.max_tokens_field: request.max_reply_tokens,
    }
    if options.sends_temperature:
        body["temperature"] = options.temperature
    if options.seed is not None:
        body["seed"] = options.seed
    if options.reasoning_effort is not None:
        body["reasoning_effort"] = options.reasoning_effort
    if settings.requires_parameters:
        body["provider"] = {"require_parameters": True}
    if json_mode == "schema":
        held = {"name": request.reply_name, "strict": True, "schema": msgspec.Raw(request.reply_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": held}
    elif json_mode == "object":
        body["response_format"] = {"type": "json_object"}
    body["messages"] = [
        {"role": "system", "content": system},
        {"role": "user", "content": encodable(request.prompt)},
    ]
    return msgspec.json.encode(body)


def read_choice(document: Mapping[str, Any]) -> tuple[ReplyStatus, str, str]:
    """Return how an answer ended, its text when it may be read, and what is wrong with it otherwise."""
    choices = document.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        return ReplyStatus.UNREADABLE, "", "the answer holds no message"
    reason, content, refusal = choice.get("finish_reason"), message.get("content"), message.get("refusal")
    if isinstance(choice.get("error"), dict):
        reason = "error"
    if isinstance(refusal, str) and refusal.strip():
        return ReplyStatus.REFUSED, "", "the model refused"
    if reason != "stop":
        known = _ENDINGS.get(reason) if isinstance(reason, str) else None
        status, detail = known or (ReplyStatus.UNREADABLE, "the answer did not end with 'stop'")
        return status, "", detail
    if content is not None and not isinstance(content, str):
        return ReplyStatus.UNREADABLE, "", "the answer's content is no text"
    if content is None or not content.strip():
        return ReplyStatus.BLANK, "", "the answer is blank"
    return ReplyStatus.OK, content, ""


def error_status(http_status: int, document: Mapping[str, Any], status: ReplyStatus) -> ReplyStatus | None:
    """Return what an error is by its body, None when there is none.

    Args:
        http_status: Of the answer; a success may hide an error in its body.
        document: The answer.
        status: What the HTTP status alone says.
    """
    error = document.get("error")
    words = {error.get("code"), error.get("type")} if isinstance(error, dict) and _is_plain(error) else set()
    if words & _QUOTA_CODES and http_status in {200, _TOO_MANY_REQUESTS}:
        return ReplyStatus.QUOTA
    if status is not ReplyStatus.OK:
        return status
    if not error:
        return None
    numbers = [word for word in words if isinstance(word, int) and word in _HTTP_ERRORS]
    return status_of(numbers[0]) if numbers else ReplyStatus.UNAVAILABLE


def _is_plain(error: Mapping[str, Any]) -> bool:
    return all(isinstance(error.get(name), str | int | float | None) for name in ("code", "type"))


def read_usage(document: Mapping[str, Any], settings: Settings, worst: Usage, text: str, *, is_complete: bool) -> Usage:
    """Return the tokens of an answer; what it does not tell is estimated from above.

    Args:
        document: The answer.
        settings: Where cached tokens stand.
        worst: What the question and the longest answer may come to.
        text: The answer's text.
        is_complete: Whether `text` is all that was written, hidden reasoning aside.
    """
    usage = document.get("usage")
    found = usage if isinstance(usage, dict) else {}
    told_in, told_out = token_count(found.get("prompt_tokens")), token_count(found.get("completion_tokens"))
    output = estimated_tokens(text.encode("utf-8", "replace")) if is_complete else worst.output_tokens
    input_tokens = worst.input_tokens if told_in is None else told_in
    cached = token_count(_at(found, settings.cached_tokens_path)) or 0
    return Usage(
        input_tokens=input_tokens,
        cached_tokens=min(cached, input_tokens),
        output_tokens=output if told_out is None else told_out,
        is_estimated=told_in is None or told_out is None,
    )


def read_cost_usd(document: Mapping[str, Any], settings: Settings) -> Decimal | None:
    """Return what the server says the answer cost, where it documents that it does."""
    if not settings.cost_path:
        return None
    value = _at(document.get("usage"), settings.cost_path)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        cost = Decimal(str(value)[:64])
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and 0 <= cost <= _COST_USD_MAX else None


def _at(found: Any, path: Sequence[str]) -> Any:
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found

"""The questions put to a model and its answers, as values."""

from __future__ import annotations

from decimal import Decimal

import msgspec

__all__ = ["AdviceRequest", "CompletionReply", "CompletionRequest"]


class CompletionRequest(msgspec.Struct, frozen=True):
    """One question to a model."""

    model: str
    system: str
    prompt: str
    reply_schema: bytes
    """JSON Schema of the reply, canonical JSON."""
    max_reply_tokens: int
    temperature: float = 0.0


class CompletionReply(msgspec.Struct, frozen=True):
    """What came back; `error` is empty when `text` is a whole reply."""

    text: str
    model: str
    latency_ns: int
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    error: str = ""


class AdviceRequest(msgspec.Struct, frozen=True):
    """What an adviser wants to ask, and for which markets."""

    markets: tuple[int, ...]
    completion: CompletionRequest

"""The questions put to a model, its answers, and what became of them, as values."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from mmframe.domain.views import Advice, Inventory, MarketView, TradeTick

__all__ = [
    "AdviceCall",
    "AdviceRequest",
    "AdviceVerdict",
    "Answer",
    "Batch",
    "BatchReplies",
    "BatchStatus",
    "CompletionReply",
    "CompletionRequest",
    "MarketPicture",
    "MarketVerdict",
    "ModelList",
    "Rejection",
    "ReplyStatus",
    "Usage",
]


class ReplyStatus(Enum):
    """How a call to a model ended. Only OK has a text that may be read."""

    OK = "ok"
    BLANK = "blank"
    """An answer without content."""
    TRUNCATED = "truncated"
    """The model ran into its limit of tokens: half an answer."""
    REFUSED = "refused"
    """The model refused, or a filter took its answer away."""
    UNREADABLE = "unreadable"
    """An answer that is not what the protocol says."""
    CONFIG = "config"
    """Key, permission, model or request are wrong: nothing will work until a person has changed something."""
    QUOTA = "quota"
    """No money or quota left: not to be tried again before the day, or the month, is over."""
    RATE_LIMITED = "rate_limited"
    """Too fast: not before `retry_after_ns`."""
    UNAVAILABLE = "unavailable"
    """The server failed, hung or could not be reached."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one call."""

    input_tokens: int = 0
    """All of the question, cached parts included."""
    cached_tokens: int = 0
    """Of these, read from the provider's cache."""
    cache_write_tokens: int = 0
    """Of these, written to it."""
    output_tokens: int = 0
    """All of the answer, hidden reasoning included."""
    is_estimated: bool = False
    """The provider told nothing; these are upper bounds."""


class CompletionRequest(msgspec.Struct, frozen=True):
    """One question to a model. Which model, and how it is asked, are the provider's options."""

    system: str
    prompt: str
    reply_schema: bytes
    """JSON Schema of the reply, canonical JSON."""
    reply_name: str
    """Names the schema to the provider: letters, digits, `_` and `-`, at most 64."""
    max_reply_tokens: int


class CompletionReply(msgspec.Struct, frozen=True):
    """What came back from one call."""

    status: ReplyStatus
    text: str = ""
    model: str = ""
    """The model that answered, as the provider names it; not always the one that was asked."""
    latency_ns: int = 0
    usage: Usage = Usage()
    reported_cost_usd: Decimal | None = None
    """The provider's own figure, where it documents one."""
    retry_after_ns: int = 0
    """How long it asks to be left alone; 0 when it does not say."""
    request_id: str = ""
    http_status: int = 0
    """0 when there was no answer."""
    detail: str = ""
    """What went wrong, for people; no key and no prompt in it."""


class BatchStatus(Enum):
    """How far a batch has come."""

    UNDER_WAY = "under_way"
    ENDED = "ended"
    """There are replies to be fetched, perhaps not to every question: it may have expired or been cancelled."""
    FAILED = "failed"
    """Refused as a whole: nothing was answered, and nothing is charged."""
    ABSENT = "absent"
    """The provider does not have it."""
    UNKNOWN = "unknown"
    """Not to be told now: it may exist, and must not be submitted again before it was looked for."""


class Batch(msgspec.Struct, frozen=True):
    """Many questions handed over at once, as their provider last told of them. Answers may take a day, and cost less.

    Each question has an id, which begins with the label and `-`: letters, digits, `_` and `-`, at most 64.
    """

    label: str
    """Made up before it is submitted, and unlike any other's: by it a batch is found whose answer was lost."""
    submitted_ns: int
    """When, nanoseconds UTC."""
    total: int
    """Questions in it."""
    status: BatchStatus = BatchStatus.UNKNOWN
    name: str = ""
    """As the provider calls it; empty while it has not told."""
    answered: int = 0
    """Questions that are done, failed ones included."""
    retry_after_ns: int = 0
    """How long the provider asks to be left alone; 0 when it does not say."""
    detail: str = ""
    """What went wrong, for people; no key and no prompt in it."""


class BatchReplies(msgspec.Struct, frozen=True):
    """What was fetched of a batch: one reply to each question that was asked about, in that order, if it is OK."""

    status: ReplyStatus
    replies: tuple[tuple[str, CompletionReply], ...] = ()
    """By id. An expired or cancelled question has a failed reply that costs nothing."""
    detail: str = ""


class ModelList(msgspec.Struct, frozen=True):
    """The models that a provider offers; empty and OK where it does not tell."""

    status: ReplyStatus
    models: tuple[str, ...] = ()
    detail: str = ""


class MarketPicture(msgspec.Struct, frozen=True):
    """One market as an adviser sees it, once in a while; never made for a quote."""

    market: int
    symbol: str
    view: MarketView
    signals: dict[str, float]
    """The view's signals by name; NaN is 'not known'."""
    inventory: Inventory
    bids: tuple[tuple[float, float], ...]
    """`(price, size)` from best to worst, as many as the adviser asked for."""
    asks: tuple[tuple[float, float], ...]
    trades: tuple[TradeTick, ...]
    """The newest public executions, oldest first, as many as the adviser asked for."""


class AdviceRequest(msgspec.Struct, frozen=True):
    """What an adviser wants to ask, and for which markets."""

    markets: tuple[int, ...]
    completion: CompletionRequest
    prompt_version: str
    """Short hash of the templates that the prompt was made from."""


class AdviceVerdict(Enum):
    """What became of one answer, or why there is none."""

    APPLIED = "applied"
    CLAMPED = "clamped"
    """Applied, within its bounds."""
    SHADOW = "shadow"
    """Valid, and only written down."""
    NOTED = "noted"
    """A note for people, which changes nothing."""
    CALL_FAILED = "call_failed"
    """The call ended without a text; its status says how."""
    NOT_JSON = "not_json"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_KEY = "unknown_key"
    MISSING_KEY = "missing_key"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    UNASKED_MARKET = "unasked_market"
    """It names a market that was not in the question."""
    STALE_BOOK = "stale_book"
    """The book that it was asked about is gone: out of sync since, or older than advice may be."""
    TOO_LATE = "too_late"
    """A newer question has been answered already, or its time to live is over."""
    NO_BUDGET = "no_budget"
    """Not asked: the budget is spent."""
    NOT_NOW = "not_now"
    """Not asked: a rate limit, an open circuit breaker or a call under way."""


class Answer(msgspec.Struct, frozen=True):
    """A model's advice for one market, valid by itself and not yet within the strategy's bounds. Neutral by default."""

    market: int
    bid_spread_multiplier: float = 1.0
    ask_spread_multiplier: float = 1.0
    size_multiplier: float = 1.0
    skew_bps: float = 0.0
    position_scale: float = 1.0
    pause: float = 0.0
    confidence: float = 0.0
    valid_for_s: float | None = None
    """Shorter than the strategy's own time to live if set; never longer."""
    regime: str = ""
    note: str = ""
    """The model's reason, for people; control characters removed."""
    direction: float | None = None
    """A forecast to be scored: -1 down to 1 up; None for none."""


class Rejection(msgspec.Struct, frozen=True):
    """Why a reply holds no advice for one market."""

    market: int
    verdict: AdviceVerdict
    detail: str
    """Where, was and expected; the reply's own text only as a short quotation."""


class MarketVerdict(msgspec.Struct, frozen=True):
    """What became of the answer for one market."""

    market: int
    verdict: AdviceVerdict
    detail: str = ""
    advice: Advice | None = None
    """As applied, or as it would have been in shadow mode."""
    direction: float | None = None


class AdviceCall(msgspec.Struct, frozen=True, tag="advice_call"):
    """One question, its answer and what became of it: enough to replay it without a network."""

    sequence: int
    adviser: str
    markets: tuple[int, ...]
    prompt_version: str
    request_hash: str
    """SHA-256 of the provider's body for this question: what a replay finds the reply by."""
    model: str
    """The model that was asked."""
    requested_ns: int
    applied_ns: int
    """When the outcome took effect in the engine, on its clock."""
    reply: CompletionReply
    cost_usd: Decimal
    """By the price table; what was reserved where the usage is not known."""
    verdicts: tuple[MarketVerdict, ...]
    is_salvaged: bool = False
    """The JSON had to be taken out of a fence or out of prose."""
    trigger: str = "period"
    """Why it was asked: `period`, or the trigger's name."""
    text_sent: str = ""
    """The prompt, where the strategy file asks for it to be kept."""
    question_hash: str = ""
    """SHA-256 of the question without the provider: what a replay with another provider finds the reply by."""

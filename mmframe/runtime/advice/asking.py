"""One question from beginning to end: budget, breaker, deadline, one retry where a retry is right, reading.

It runs on the thread that asks; nothing of it is ever on the quoting path.
"""

from __future__ import annotations

import hashlib
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import anyio
import msgspec

from mmframe.domain.advice import (
    AdviceRequest,
    AdviceVerdict,
    Answer,
    CompletionReply,
    MarketPicture,
    Rejection,
    ReplyStatus,
    Usage,
)
from mmframe.net.backoff import Backoff
from mmframe.net.breaker import Breaker, Result
from mmframe.plugin.replies import clean_text
from mmframe.runtime.advice.budget import worst_usage

if TYPE_CHECKING:
    from random import Random

    from mmframe.domain.advice import CompletionRequest
    from mmframe.net.breaker import Permit
    from mmframe.net.timing import Timing
    from mmframe.ports import Adviser, LLMProvider
    from mmframe.runtime.advice.budget import Budget, Reservation

__all__ = ["MAX_REPLY_CHARACTERS", "Asker", "Asking", "Outcome", "Question", "body_of", "new_breaker", "question_hash"]

MAX_REPLY_CHARACTERS = 65_536
"""A longer reply is not read: reading it would take the processor from the quotes."""

_ATTEMPTS_MAX = 2
_RETRY_BASE_S = 0.5
_RETRY_CAP_S = 4.0
_BAD_CONTENT = frozenset({ReplyStatus.BLANK, ReplyStatus.TRUNCATED, ReplyStatus.REFUSED, ReplyStatus.UNREADABLE})
_BROKEN_REPLY = frozenset(
    {
        AdviceVerdict.NOT_JSON,
        AdviceVerdict.DUPLICATE_KEY,
        AdviceVerdict.UNKNOWN_KEY,
        AdviceVerdict.MISSING_KEY,
        AdviceVerdict.WRONG_TYPE,
        AdviceVerdict.NOT_FINITE,
        AdviceVerdict.OUT_OF_RANGE,
    }
)
_QUOTA_REST_NS = 3_600_000_000_000
_CONFIG_REST_NS = 300_000_000_000
"""So that a key that a person has put right is found without a restart."""
_NS_PER_S = 1_000_000_000
_TEXT_MAX = 500
"""Of a note or a detail, in characters."""
_NUMBER_MAX = sys.float_info.max
"""A larger integer is no float; NaN and infinities are judged where numbers are bounded."""
_TEXTS = ("regime", "note")
_MAY_BE_ABSENT = ("valid_for_s", "direction")


class Question(msgspec.Struct, frozen=True):
    """What is to be asked, as of one moment."""

    sequence: int
    pictures: tuple[MarketPicture, ...]
    trigger: str
    asked_ns: int
    """The driver's time."""
    books: tuple[tuple[int, int], ...]
    """Of each picture's market: when its newest message was received, and how often the book had been lost."""


class Asking(msgspec.Struct, frozen=True):
    """What an adviser made of a question, and by what names a recorded reply is found."""

    request: AdviceRequest | None
    """None when it had nothing to ask."""
    request_hash: str = ""
    question_hash: str = ""
    body: bytes = b""
    problem: str = ""
    """Why it could not be asked."""


class Outcome(msgspec.Struct, frozen=True):
    """How a question ended."""

    question: Question
    asking: Asking
    reply: CompletionReply
    verdict: AdviceVerdict | None = None
    """Set when nothing is to be read: not asked, or failed."""
    answers: tuple[Answer | Rejection, ...] = ()
    is_salvaged: bool = False
    cost_usd: Decimal | None = None
    """None where nothing was sent."""
    delay_ns: int | None = None
    """Of a recorded outcome: how long after the question it took effect."""
    is_miss: bool = False
    """Nobody asked this when the recording was made."""


def question_hash(request: CompletionRequest) -> str:
    """Return SHA-256 of a question whichever provider it goes to: by it a replay with another one finds the reply."""
    return hashlib.sha256(msgspec.json.encode(request)).hexdigest()


def body_of(adviser: Adviser, provider: LLMProvider, question: Question) -> Asking:
    """Return what an adviser makes of a question; whatever is raised on the way is its problem."""
    try:
        request = adviser.request(question.pictures)
        if request is None:
            return Asking(None)
        body = provider.body(request.completion)
        name = question_hash(request.completion)
    except Exception as error:  # noqa: BLE001 - an adviser or provider may raise anything; it is recorded
        return Asking(None, problem=f"the question could not be made: {type(error).__name__}")
    return Asking(request, request_hash=hashlib.sha256(body).hexdigest(), question_hash=name, body=body)


def read_reply(adviser: Adviser, request: AdviceRequest, text: str) -> tuple[tuple[Answer | Rejection, ...], bool]:
    """Return what an adviser reads in a reply; one that raises has read nothing."""
    if len(text) > MAX_REPLY_CHARACTERS:
        detail = f"expected at most {MAX_REPLY_CHARACTERS} characters, was {len(text)}"
        return tuple(Rejection(market, AdviceVerdict.NOT_JSON, detail) for market in request.markets), False
    try:
        found, is_salvaged = adviser.read(text, request)
        return tuple(map(_checked, found)), bool(is_salvaged)
    except Exception as error:  # noqa: BLE001 - as above
        detail = f"the adviser raised {type(error).__name__}"
        return tuple(Rejection(market, AdviceVerdict.NOT_JSON, detail) for market in request.markets), False


def _checked(item: Answer | Rejection) -> Answer | Rejection:
    """Return what an adviser read with numbers that are some, whoever wrote the adviser."""
    if not isinstance(item, Answer):
        return Rejection(int(item.market), AdviceVerdict(item.verdict), clean_text(str(item.detail), _TEXT_MAX))
    values = msgspec.structs.asdict(item)
    for name, value in values.items():
        if name in _TEXTS or (value is None and name in _MAY_BE_ABSENT):
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or _is_beyond(value):
            detail = f"{name}: expected a number, was {type(value).__name__}"
            return Rejection(int(item.market), AdviceVerdict.WRONG_TYPE, detail)
    return msgspec.structs.replace(item, **{name: clean_text(str(values[name]), _TEXT_MAX) for name in _TEXTS})


def _is_beyond(value: float) -> bool:
    return isinstance(value, int) and abs(value) > _NUMBER_MAX


def _shown(reply: CompletionReply) -> CompletionReply:
    """Return a reply whose texts for people can be shown, whoever wrote the provider."""
    return msgspec.structs.replace(
        reply,
        detail=clean_text(reply.detail, _TEXT_MAX),
        model=clean_text(reply.model, _TEXT_MAX),
        request_id=clean_text(reply.request_id, _TEXT_MAX),
    )


def new_breaker() -> Breaker:
    """Return the breaker of one provider: three failures in a row open it, for half a minute at first."""
    return Breaker(
        failures_max=3, open_ns=30 * _NS_PER_S, open_max_ns=900 * _NS_PER_S, probe_timeout_ns=180 * _NS_PER_S
    )


class Asker:
    """Asks the questions of one adviser, one at a time.

    Args:
        adviser: Makes questions and reads replies.
        provider: Is asked.
        budget: What asking may cost.
        breaker: Of the provider; bad content counts as failure too.
        timeout_s: For one question, retry included.
        timing: Clock and sleep of the machine.
        randomness: Of the jitter.
    """

    def __init__(  # noqa: PLR0913 - what one adviser asks with
        self,
        adviser: Adviser,
        provider: LLMProvider,
        *,
        budget: Budget,
        breaker: Breaker,
        timeout_s: float,
        timing: Timing,
        randomness: Random,
    ) -> None:
        self.adviser = adviser
        self.provider = provider
        self.budget = budget
        self._breaker = breaker
        self._timeout_s = timeout_s
        self._timing = timing
        self._randomness = randomness
        self._rest_until_ns = 0
        self._rest = ""

    async def ask(self, question: Question) -> Outcome:
        """Ask, and return how it ended, within the timeout; never an exception but for cancellation."""
        asking = body_of(self.adviser, self.provider, question)
        if asking.request is None:
            reply = CompletionReply(ReplyStatus.CONFIG, detail=asking.problem)
            verdict = AdviceVerdict.CALL_FAILED if asking.problem else AdviceVerdict.NOT_NOW
            return Outcome(question, asking, reply, verdict)
        began_ns = self._timing.now_ns()
        if began_ns < self._rest_until_ns:
            return _not_asked(question, asking, AdviceVerdict.NOT_NOW, ReplyStatus.RATE_LIMITED, self._rest)
        refusal = self.budget.refusal(began_ns)
        if refusal:
            return _not_asked(question, asking, AdviceVerdict.NOT_NOW, ReplyStatus.RATE_LIMITED, refusal)
        return await self._asked(question, asking, asking.request, began_ns)

    async def _asked(self, question: Question, asking: Asking, request: AdviceRequest, began_ns: int) -> Outcome:
        backoff = Backoff(self._randomness, base_s=_RETRY_BASE_S, cap_s=_RETRY_CAP_S)
        deadline_ns = began_ns + int(self._timeout_s * _NS_PER_S)
        cost: Decimal | None = None
        outcome: Outcome | None = None
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            now_ns = self._timing.now_ns()
            # Asked first what the breaker says: leave to probe that is not used would count as a failure.
            is_open = self._breaker.wait_ns(now_ns) > 0
            reserved = "" if is_open else self.budget.reserve(worst_usage(request.completion, asking.body), now_ns)
            permit = None if isinstance(reserved, str) else self._breaker.enter(now_ns)
            if isinstance(reserved, str) or permit is None:
                return outcome or self._held_back(question, asking, reserved)
            reply = await self._complete(request.completion, reserved.usage, deadline_ns)
            model = reply.model or (self.provider.model if reply.status is ReplyStatus.OK else "")
            spent = self.budget.settle(reserved, reply.usage, model, reply.reported_cost_usd)
            cost = spent if cost is None else cost + spent
            outcome = self._outcome(question, asking, request, reply, cost)
            self._learn(permit, outcome)
            wait_s = max(reply.retry_after_ns / _NS_PER_S, backoff.next_delay_s())
            is_time_left = self._timing.now_ns() + int(wait_s * _NS_PER_S) < deadline_ns
            if reply.status is not ReplyStatus.UNAVAILABLE or attempt == _ATTEMPTS_MAX or not is_time_left:
                break
            await self._timing.sleep(wait_s)
        if outcome is None:
            msg = "at least one attempt was made"
            raise AssertionError(msg)
        return outcome

    def _held_back(self, question: Question, asking: Asking, reserved: Reservation | str) -> Outcome:
        """Return the outcome of a question for which there is no money, or whose provider is to be left alone."""
        if isinstance(reserved, str) and reserved:
            return _not_asked(question, asking, AdviceVerdict.NO_BUDGET, ReplyStatus.QUOTA, reserved)
        if not isinstance(reserved, str):
            self.budget.settle(reserved, Usage(), "", None)
        detail = "the provider failed repeatedly and is left alone for a while"
        return _not_asked(question, asking, AdviceVerdict.NOT_NOW, ReplyStatus.UNAVAILABLE, detail)

    async def _complete(self, request: CompletionRequest, worst: Usage, deadline_ns: int) -> CompletionReply:
        """Ask once; a provider that raises or does not keep to its time has failed, and may have cost the worst."""
        detail = f"no answer within {self._timeout_s:g} s"
        began_ns = self._timing.now_ns()
        timeout_s = (deadline_ns - began_ns) / _NS_PER_S
        with anyio.move_on_after(max(0.0, timeout_s)):
            try:
                return _shown(await self.provider.complete(request, timeout_s=max(0.001, timeout_s)))
            except Exception as error:  # noqa: BLE001 - a provider may raise anything; it is recorded
                detail = f"the provider raised {type(error).__name__}"
        return CompletionReply(
            ReplyStatus.UNAVAILABLE,
            latency_ns=max(0, self._timing.now_ns() - began_ns),
            usage=worst,
            detail=detail,
        )

    def _outcome(
        self, question: Question, asking: Asking, request: AdviceRequest, reply: CompletionReply, cost: Decimal
    ) -> Outcome:
        if reply.status is not ReplyStatus.OK:
            return Outcome(question, asking, reply, AdviceVerdict.CALL_FAILED, cost_usd=cost)
        answers, is_salvaged = read_reply(self.adviser, request, reply.text)
        if len(reply.text) > MAX_REPLY_CHARACTERS:
            reply = msgspec.structs.replace(
                reply, status=ReplyStatus.UNREADABLE, text="", detail="the reply is too long"
            )
        return Outcome(question, asking, reply, None, answers, is_salvaged, cost)

    def _learn(self, permit: Permit, outcome: Outcome) -> None:
        """Tell the breaker how it went, and rest where asking again would be wrong."""
        now_ns, reply = self._timing.now_ns(), outcome.reply
        is_broken = bool(outcome.answers) and all(
            isinstance(answer, Rejection) and answer.verdict in _BROKEN_REPLY for answer in outcome.answers
        )
        is_failure = reply.status in _BAD_CONTENT or reply.status is ReplyStatus.UNAVAILABLE or is_broken
        self._breaker.settle(permit, Result.FAILURE if is_failure else Result.SUCCESS, now_ns)
        rest_ns = reply.retry_after_ns
        if reply.status is ReplyStatus.QUOTA:
            rest_ns = max(rest_ns, _QUOTA_REST_NS)
        elif reply.status is ReplyStatus.CONFIG:
            rest_ns = max(rest_ns, _CONFIG_REST_NS)
        if rest_ns > 0 and reply.status is not ReplyStatus.OK:
            self._rest_until_ns = now_ns + rest_ns
            self._rest = (
                f"left alone after {reply.status.value}: {reply.detail}" if reply.detail else reply.status.value
            )


def _not_asked(question: Question, asking: Asking, verdict: AdviceVerdict, status: ReplyStatus, detail: str) -> Outcome:
    return Outcome(question, asking, CompletionReply(status, detail=detail), verdict)

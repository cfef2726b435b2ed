"""One question from beginning to end."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from random import Random

import anyio
import msgspec
import pytest

from mmframe.config.advice_tables import BudgetTable, PriceTable
from mmframe.domain.advice import (
    AdviceRequest,
    AdviceVerdict,
    Answer,
    CompletionReply,
    CompletionRequest,
    Rejection,
    ReplyStatus,
    Usage,
)
from mmframe.net.timing import Timing
from mmframe.runtime.advice.asking import MAX_REPLY_CHARACTERS, Asker, Question, new_breaker
from mmframe.runtime.advice.budget import Budget

S = 1_000_000_000
PRICES = (PriceTable(model="m", input_usd=Decimal(1), output_usd=Decimal(2)),)


class Clock:
    """Time that only moves when somebody sleeps on it."""

    def __init__(self) -> None:
        self.ns = 1_795_000_000 * S
        self.slept: list[float] = []

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ns += int(seconds * S)


class Adviser:
    levels = trades = 0

    def request(self, pictures):
        return AdviceRequest((0,), CompletionRequest("system", "prompt", b"{}", "n", 50), "v")

    def read(self, text, request):
        if text == "junk":
            return [Rejection(0, AdviceVerdict.NOT_JSON, "junk")], False
        return [Answer(0, **json.loads(text))], True


class Provider:
    model = "m"

    def __init__(self, clock, *replies):
        self.clock, self.replies, self.asked_s = clock, list(replies), []

    def body(self, request):
        return request.prompt.encode()

    async def complete(self, request, *, timeout_s):
        self.asked_s.append(timeout_s)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if reply == "hang":
            await anyio.sleep_forever()
        return reply


def ok(text='{"bid_spread_multiplier": 2.0}'):
    return CompletionReply(ReplyStatus.OK, text=text, model="m", usage=Usage(input_tokens=100, output_tokens=10))


def failed(status=ReplyStatus.UNAVAILABLE, retry_after_s=0.0):
    return CompletionReply(status, retry_after_ns=int(retry_after_s * S), detail="it said no")


def asker(*replies, timeout_s=10.0, table=None, breaker=None):
    clock = Clock()
    provider = Provider(clock, *replies)
    made = Asker(
        Adviser(),
        provider,
        budget=Budget(table or BudgetTable(prices=PRICES, max_requests_per_minute=600), None),
        breaker=breaker or new_breaker(),
        timeout_s=timeout_s,
        timing=Timing(clock, clock.sleep),
        randomness=Random(1),
    )
    return made, provider, clock


QUESTION = Question(1, (), "period", 0, ())


def ask(made, times=1):
    async def all_of_them():
        return [await made.ask(QUESTION) for _ in range(times)]

    return anyio.run(all_of_them)


def test_an_answer_is_read_priced_and_found_again_by_its_hashes():
    made, provider, _ = asker(ok())

    (outcome,) = ask(made)

    assert outcome.answers == (Answer(0, bid_spread_multiplier=2.0),)
    assert (outcome.verdict, outcome.is_salvaged, outcome.cost_usd) == (None, True, Decimal("0.00012"))
    assert outcome.asking.request_hash == hashlib.sha256(b"prompt").hexdigest()
    assert len({outcome.asking.request_hash, outcome.asking.question_hash}) == 2
    assert made.budget.spend.cost_usd == Decimal("0.00012")
    assert provider.asked_s == [10.0]


@pytest.mark.parametrize(
    ("replies", "calls", "status"),
    [
        ((failed(), ok()), 2, ReplyStatus.OK),
        ((failed(), failed(), ok()), 2, ReplyStatus.UNAVAILABLE),
        ((failed(retry_after_s=3), ok()), 2, ReplyStatus.OK),
        ((failed(retry_after_s=11), ok()), 1, ReplyStatus.UNAVAILABLE),
        ((RuntimeError("boom"), ok()), 2, ReplyStatus.OK),
        *(
            ((failed(status), ok()), 1, status)
            for status in ReplyStatus
            if status not in {ReplyStatus.OK, ReplyStatus.UNAVAILABLE}
        ),
    ],
)
def test_it_asks_a_second_time_only_where_that_is_right_and_there_is_time(replies, calls, status):
    made, provider, clock = asker(*replies)

    (outcome,) = ask(made)

    assert (len(provider.asked_s), outcome.reply.status) == (calls, status)
    assert all(0.0 <= waited < 10.0 for waited in clock.slept)
    if replies[0] == failed(retry_after_s=3):
        assert clock.slept == [3.0]
        assert provider.asked_s[1] == 7.0


def test_both_attempts_are_paid_for():
    made, *_ = asker(RuntimeError("boom"), ok())

    (outcome,) = ask(made)

    # The first may have cost the worst: 14 bytes of question, 64 around it, 50 of reply at twice the price.
    assert outcome.cost_usd == Decimal("0.00012") + Decimal("0.000178")
    assert made.budget.spend.cost_usd == outcome.cost_usd


def test_a_provider_that_hangs_is_cut_off():
    made, *_ = asker("hang", timeout_s=0.02)

    (outcome,) = ask(made)

    assert outcome.verdict is AdviceVerdict.CALL_FAILED
    assert outcome.reply.detail == "no answer within 0.02 s"


@pytest.mark.parametrize(
    ("status", "rest_s"), [(ReplyStatus.QUOTA, 3600), (ReplyStatus.CONFIG, 300), (ReplyStatus.RATE_LIMITED, 7)]
)
def test_after_a_refusal_nothing_is_asked_for_a_while(status, rest_s):
    made, provider, clock = asker(failed(status, retry_after_s=7), ok())

    first, second = ask(made, 2)
    clock.ns += rest_s * S
    (third,) = ask(made)

    assert first.verdict is AdviceVerdict.CALL_FAILED
    assert (second.verdict, second.cost_usd) == (AdviceVerdict.NOT_NOW, None)
    assert second.reply.detail == f"left alone after {status.value}: it said no"
    assert third.reply.status is ReplyStatus.OK
    assert len(provider.asked_s) == 2


@pytest.mark.parametrize(
    "bad", [ok("junk"), failed(ReplyStatus.BLANK), failed(ReplyStatus.REFUSED), ok("junk" * 99_999)]
)
def test_bad_content_opens_the_breaker_as_failures_do(bad):
    made, provider, clock = asker(bad, bad, bad, ok())

    outcomes = ask(made, 4)
    clock.ns += 30 * S
    (probe,) = ask(made)

    assert [outcome.verdict for outcome in outcomes][3] is AdviceVerdict.NOT_NOW
    assert "left alone" in outcomes[3].reply.detail
    assert probe.reply.status is ReplyStatus.OK
    assert len(provider.asked_s) == 4


def test_a_budget_that_is_spent_is_no_failure_of_the_provider():
    table = BudgetTable(prices=PRICES, max_cost_usd_per_day=Decimal("0.0002"), max_requests_per_minute=600)
    breaker = new_breaker()
    made, provider, _ = asker(ok(), table=table, breaker=breaker)

    first, *others = ask(made, 6)

    assert first.cost_usd == Decimal("0.00012")
    assert {outcome.verdict for outcome in others} == {AdviceVerdict.NO_BUDGET}
    assert len(provider.asked_s) == 1
    assert breaker.wait_ns(0) == 0


def test_a_reply_that_is_too_long_is_not_read_and_not_kept():
    made, *_ = asker(ok(" " * (MAX_REPLY_CHARACTERS + 1)))

    (outcome,) = ask(made)

    assert (outcome.reply.status, outcome.reply.text) == (ReplyStatus.UNREADABLE, "")
    assert outcome.answers[0].verdict is AdviceVerdict.NOT_JSON


@pytest.mark.parametrize("where", ["request", "read", "body"])
def test_what_an_adviser_or_provider_raises_is_an_outcome_without_its_text(where, monkeypatch):
    made, provider, _ = asker(ok())
    broken = provider if where == "body" else made.adviser

    def fail(*_):
        raise ValueError("prompt-canary")

    monkeypatch.setattr(broken, where, fail, raising=False)

    (outcome,) = ask(made)

    assert outcome.verdict is (None if where == "read" else AdviceVerdict.CALL_FAILED)
    assert "prompt-canary" not in repr(outcome)
    assert "ValueError" in repr(outcome)


def test_what_people_see_of_a_reply_is_one_short_clean_line_whoever_wrote_adviser_and_provider():
    escape = "\x1b]0;owned\x07\x1b[2Jline\n\u202etwo " + "x" * 10_000_000
    reply = msgspec.structs.replace(ok(json.dumps({"note": escape[:50_000], "regime": escape[:99]})), model=escape)
    refused = CompletionReply(ReplyStatus.CONFIG, detail=escape)

    (outcome,) = ask(asker(reply)[0])
    (failure,) = ask(asker(refused)[0])

    answer = outcome.answers[0]
    for text in (answer.note, answer.regime, outcome.reply.model, failure.reply.detail):
        assert len(text) <= 500
        assert text.isprintable()
        assert text.startswith("]0;owned [2Jline two")

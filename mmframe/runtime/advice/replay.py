"""Recorded replies instead of a model: found by the hash of the question, in effect when they were.

A reply takes effect as long after its question as it did when it was recorded. So a run whose questions are the same
again gets the same advice at the same instants, and another run gets the same reply after the same wait.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

import msgspec

from mmframe.domain.advice import AdviceCall, AdviceVerdict, CompletionReply, ReplyStatus
from mmframe.errors import DataError
from mmframe.runtime.advice.asking import Outcome, body_of, read_reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mmframe.ports import Adviser, LLMProvider
    from mmframe.runtime.advice.asking import Asking, Question

__all__ = ["RecordedReplies", "read_calls"]

_SQLITE = b"SQLite format 3\0"
_WITHOUT_READING = frozenset({AdviceVerdict.CALL_FAILED, AdviceVerdict.NO_BUDGET, AdviceVerdict.NOT_NOW})
_LINE_MAX = 4 * 1024 * 1024


def read_calls(path: Path) -> tuple[AdviceCall, ...]:
    """Return the calls in a journal, of all its runs, or in a file with one `AdviceCall` a line as JSON.

    Raises:
        DataError: If it cannot be read, with file and line.
        JournalError: If it is a journal that cannot be read.
    """
    try:
        with path.open("rb") as stream:
            if stream.read(len(_SQLITE)) == _SQLITE:
                from mmframe.runtime.journal import JournalReader  # noqa: PLC0415 - only where one is read

                with JournalReader(path) as reader:
                    return reader.advice_calls()
            stream.seek(0)
            return tuple(_calls(path, stream))
    except OSError as error:
        msg = f"recorded calls {path.name!r} cannot be read: {error.strerror}"
        raise DataError(msg, file=str(path)) from error


def _calls(path: Path, lines: Iterable[bytes]) -> Iterable[AdviceCall]:
    decode = msgspec.json.Decoder(AdviceCall).decode
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"recorded calls {path.name!r}, line {number}: expected an AdviceCall as JSON: {error}"
            hint = "name a journal, or a file with one call a line"
            raise DataError(msg, file=str(path), line=number, hint=hint) from None


class RecordedReplies:
    """Answers questions from a recording.

    A call of the same adviser at the same time that asked the same comes first; then calls that asked the same, each
    once and the last for ever. "The same" is the hash of the provider's body, or where the provider or its options are
    others, the hash of the question alone.

    Args:
        calls: In the order in which they were made.
    """

    def __init__(self, calls: Sequence[AdviceCall]) -> None:
        self._by_time: dict[tuple[str, int], AdviceCall] = {}
        self._by_hash: defaultdict[str, deque[AdviceCall]] = defaultdict(deque)
        for call in calls:
            self._by_time.setdefault((call.adviser, call.requested_ns), call)
            for name in {call.request_hash, call.question_hash} - {""}:
                self._by_hash[name].append(call)

    def answer(self, name: str, adviser: Adviser, provider: LLMProvider, question: Question) -> Outcome:
        """Return how a question ended when it was recorded; `is_miss` when nobody asked it."""
        asking = body_of(adviser, provider, question)
        call = self._find(name, asking, question.asked_ns)
        if asking.request is None:
            verdict = AdviceVerdict.CALL_FAILED if asking.problem else AdviceVerdict.NOT_NOW
            reply = CompletionReply(ReplyStatus.CONFIG, detail=asking.problem)
            return Outcome(question, asking, reply, verdict, delay_ns=0 if call is None else _delay_ns(call))
        if call is None:
            reply = CompletionReply(ReplyStatus.UNAVAILABLE, detail="no recorded reply to this question")
            return Outcome(question, asking, reply, AdviceVerdict.NOT_NOW, delay_ns=0, is_miss=True)
        unread = next((found.verdict for found in call.verdicts if found.verdict in _WITHOUT_READING), None)
        if call.reply.status is not ReplyStatus.OK or unread is not None:
            verdict = unread or AdviceVerdict.CALL_FAILED
            cost = call.cost_usd if verdict is AdviceVerdict.CALL_FAILED else None
            return Outcome(question, asking, call.reply, verdict, cost_usd=cost, delay_ns=_delay_ns(call))
        answers, is_salvaged = read_reply(adviser, asking.request, call.reply.text)
        return Outcome(question, asking, call.reply, None, answers, is_salvaged, call.cost_usd, _delay_ns(call))

    def _find(self, name: str, asking: Asking, asked_ns: int) -> AdviceCall | None:
        exact = self._by_time.get((name, asked_ns))
        # One that was never made up has no hash: the thread that asks was busy, or the run ended.
        if exact is not None and exact.request_hash in {"", asking.request_hash}:
            return exact
        if asking.request is None:
            return None
        for found in (self._by_hash.get(asking.request_hash), self._by_hash.get(asking.question_hash)):
            if found:
                return found.popleft() if len(found) > 1 else found[0]
        return None


def _delay_ns(call: AdviceCall) -> int:
    """Return how long after its question a call took effect; a file of calls made by hand may have a latency alone."""
    return call.applied_ns - call.requested_ns if call.applied_ns >= call.requested_ns else call.reply.latency_ns

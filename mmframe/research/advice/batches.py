"""Asks models about a recording in batches: all questions at once, answers within a day, at a lower price.

The questions have to be known before the first answer is. So they are those of a run without advice, and the answers
are written down as in shadow mode: labels for scores, not the advice of a run that listened.

Nothing is paid for twice. A batch is kept in a file before it is submitted, and one whose submission had no answer is
looked for before it is submitted again.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import attrs
import msgspec

from mmframe.domain.advice import AdviceVerdict, Batch, BatchStatus, CompletionReply, ReplyStatus
from mmframe.domain.kinds import Mode
from mmframe.errors import UsageError, VenueError
from mmframe.ports import BatchProvider
from mmframe.registry import compose, compose_advisers
from mmframe.research.advice.asking import play_with_replies
from mmframe.runtime.advice.asking import Outcome, body_of, read_reply
from mmframe.runtime.advice.budget import Budget, batch_budget, worst_usage
from mmframe.runtime.advice.replay import RecordedReplies
from mmframe.runtime.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from mmframe.domain.advice import AdviceCall, CompletionRequest
    from mmframe.ports import Adviser, Clock, LLMProvider
    from mmframe.research.advice.tape import Watch
    from mmframe.runtime.advice.asking import Asking, Question
    from mmframe.runtime.advice.budget import Reservation
    from mmframe.runtime.driver import StopRequest
    from mmframe.runtime.plan import AdviserPlan, Plan

__all__ = ["KeptBatches", "QuestionSheet", "RecordingBatches"]

_SETTLED_NS = 60_000_000_000
"""How long after it was submitted a batch that no list holds counts as never begun: a list may lag behind."""
_TIMEOUT_S = 300.0
_LABEL_LENGTH = 20


@attrs.frozen
class _Entry:
    """One question that was due: its place in the batch, or why it is not in it."""

    request_hash: str
    refusal: Outcome | None = None
    place: int = 0
    reservation: Reservation | None = None


class QuestionSheet(RecordedReplies):
    """The questions of one adviser about a recording, in order. The first pass fills it, the second reads the answers.

    Args:
        plan: The adviser.
        latency_ns: How long after its question each answer takes effect.

    Attributes:
        asked: What goes into the batch.
        refused: How many questions the budget left out.
        worst_usd: What the batch costs at most, by the price table.
    """

    def __init__(self, plan: AdviserPlan, latency_ns: int) -> None:
        super().__init__(())
        self.plan = plan
        self.asked: list[CompletionRequest] = []
        self.refused = 0
        self.worst_usd: Decimal | int = 0
        self._latency_ns = latency_ns
        # On the recording's time, as for questions that are asked one by one.
        self._budget = Budget(batch_budget(plan.keys.budget), None)
        self._entries: dict[int, _Entry] = {}
        self._replies: Sequence[CompletionReply] | None = None

    @property
    def digest(self) -> str:
        """Return SHA-256 of all bodies in the batch: whether a batch is of these very questions."""
        hashes = (entry.request_hash for entry in self._entries.values() if entry.refusal is None)
        return sha256("\n".join(hashes).encode()).hexdigest()

    def named(self, label: str) -> Mapping[str, CompletionRequest]:
        """Return the questions by the ids that they have in a batch."""
        return {f"{label}-{place}": request for place, request in enumerate(self.asked)}

    def fill(self, replies: Sequence[CompletionReply]) -> None:
        """Take the replies, one to each question."""
        if len(replies) != len(self.asked):
            msg = "as many replies as questions"
            raise AssertionError(msg)
        self._replies = replies

    def answer(self, name: str, adviser: Adviser, provider: LLMProvider, question: Question) -> Outcome:
        """Return the reply to a question, or note the question and say that there is none yet."""
        asking = body_of(adviser, provider, question)
        if asking.request is None:
            return super().answer(name, adviser, provider, question)
        entry = self._entries.get(question.sequence)
        if entry is None:
            entry = self._entries[question.sequence] = self._entered(question, asking, asking.request.completion)
        if entry.request_hash != asking.request_hash:
            msg = "the second pass over a recording asks what the first did"
            raise AssertionError(msg)
        if entry.refusal is not None:
            return entry.refusal
        if self._replies is None or entry.reservation is None:
            reply = CompletionReply(ReplyStatus.UNAVAILABLE, detail="not answered yet")
            return Outcome(question, asking, reply, AdviceVerdict.CALL_FAILED, delay_ns=self._latency_ns)
        reply = msgspec.structs.replace(self._replies[entry.place], latency_ns=self._latency_ns)
        model = reply.model or (provider.model if reply.status is ReplyStatus.OK else "")
        cost = self._budget.settle(entry.reservation, reply.usage, model, reply.reported_cost_usd)
        if reply.status is not ReplyStatus.OK:
            verdict = AdviceVerdict.CALL_FAILED
            return Outcome(question, asking, reply, verdict, cost_usd=cost, delay_ns=self._latency_ns)
        answers, is_salvaged = read_reply(adviser, asking.request, reply.text)
        return Outcome(question, asking, reply, None, answers, is_salvaged, cost, self._latency_ns)

    def _entered(self, question: Question, asking: Asking, completion: CompletionRequest) -> _Entry:
        verdict, reason = AdviceVerdict.NOT_NOW, self._budget.refusal(question.asked_ns)
        if not reason:
            reserved = self._budget.reserve(worst_usage(completion, asking.body), question.asked_ns)
            if not isinstance(reserved, str):
                self.asked.append(completion)
                self.worst_usd += reserved.cost_usd
                return _Entry(asking.request_hash, place=len(self.asked) - 1, reservation=reserved)
            verdict, reason = AdviceVerdict.NO_BUDGET, reserved
        self.refused += 1
        reply = CompletionReply(ReplyStatus.QUOTA, detail=reason)
        return _Entry(asking.request_hash, Outcome(question, asking, reply, verdict, delay_ns=self._latency_ns))


class _Kept(msgspec.Struct, frozen=True):
    """One batch, and which questions it holds."""

    digest: str
    batch: Batch
    is_written: bool = False


class KeptBatches:
    """The batches of one file of calls, in a file beside it that is on disk before anything is submitted.

    Args:
        out: The file of calls.

    Raises:
        UsageError: If what is kept cannot be read.
    """

    def __init__(self, out: Path) -> None:
        self.path = out.with_name(f"{out.name}.batches.json")
        self._kept: dict[str, _Kept] = {}
        try:
            self._kept = msgspec.json.decode(self.path.read_bytes(), type=dict[str, _Kept])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            msg = f"{self.path.name!r}: expected the batches of {out.name!r}, was something else"
            hint = "name another file with --out; remove it only when you know that no batch of it is under way"
            raise UsageError(msg, hint=hint) from error

    def __bool__(self) -> bool:
        return bool(self._kept)

    @property
    def is_written(self) -> bool:
        """Tell whether the answers of all batches are in the file of calls."""
        return bool(self._kept) and all(kept.is_written for kept in self._kept.values())

    def batch(self, sheet: QuestionSheet) -> Batch | None:
        """Return the batch of an adviser, if there is one.

        Raises:
            UsageError: If it holds other questions.
        """
        kept = self._kept.get(sheet.plan.name)
        if kept is None:
            return None
        if kept.digest != sheet.digest:
            msg = f"{self.path.name!r}: expected a batch of the questions of {sheet.plan.name!r}, was one of others"
            hint = "the strategy, its recording, --for or --latency have changed: name another file with --out"
            raise UsageError(msg, hint=hint)
        return kept.batch

    def keep(self, sheet: QuestionSheet, batch: Batch) -> Batch:
        """Keep a batch durably and return it."""
        self._kept[sheet.plan.name] = _Kept(sheet.digest, batch)
        self._write()
        return batch

    def drop(self, sheet: QuestionSheet) -> None:
        """Forget a batch of which nothing was answered."""
        del self._kept[sheet.plan.name]
        self._write()

    def written(self) -> None:
        """Note that the file of calls holds all answers."""
        self._kept = {name: msgspec.structs.replace(kept, is_written=True) for name, kept in self._kept.items()}
        self._write()

    def _write(self) -> None:
        try:
            write_durably(self.path, msgspec.json.encode(self._kept))
        except OSError as error:
            msg = f"{self.path.name!r}: expected a file that can be written: {error.strerror}"
            raise UsageError(msg) from error


class RecordingBatches:
    """The questions of a strategy's advisers about its recording, and the batches that they go in.

    Args:
        path: The strategy file, with a `[history]` and an `[[adviser]]`.
        latency_ns: How long after its question each answer takes effect.
        duration: Only so much of the recording, text such as `30m`.
        blocked: Plugins that must not be imported.
        stop: Ends a pass early when asked.
        watch: Shows how far the recording has been read.

    Attributes:
        sheets: One an adviser that has anything to ask.

    Raises:
        ConfigErrors: If the strategy file has problems.
        UsageError: If it has no adviser, or one whose provider knows no batches.
        DataError: If the recording cannot be read.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each thing that can be chosen
        self,
        path: Path,
        *,
        latency_ns: int,
        duration: str | None = None,
        blocked: frozenset[str] = frozenset(),
        stop: StopRequest | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._path = path
        self._duration = duration
        self._blocked = blocked
        self._stop = stop
        self._watch = watch
        plan = self._plan()
        for adviser in plan.advisers:
            _require_batches(adviser)
        sheets = {adviser.name: QuestionSheet(adviser, latency_ns) for adviser in plan.advisers}
        self._providers: dict[str, BatchProvider] = {}
        self._every = sheets
        self._play(plan, lambda _: None)
        self.sheets = tuple(sheet for sheet in sheets.values() if sheet.asked)

    async def advance(self, kept: KeptBatches, clock: Clock) -> tuple[Batch, ...]:
        """Submit what is not submitted, look at what is under way, and return the batches as they are then.

        Args:
            kept: What was submitted before.
            clock: Wall time.

        Raises:
            UsageError: If a kept batch holds other questions.
            VenueError: If a provider refused a batch, or does not have it any more.
        """
        for sheet in self.sheets:
            # All of them first: nothing is submitted beside a batch of other questions.
            kept.batch(sheet)
        return tuple([await self._advanced(sheet, kept, clock) for sheet in self.sheets])

    async def cancel(self, kept: KeptBatches) -> tuple[Batch | None, ...]:
        """End the batches that are under way, and return them; what is answered by then can be fetched."""
        found: list[Batch | None] = []
        for sheet in self.sheets:
            batch = kept.batch(sheet)
            if batch is not None and batch.name and batch.status is not BatchStatus.ENDED:
                provider = self._provider(sheet)
                batch = kept.keep(sheet, await provider.cancel_batch(batch, timeout_s=_TIMEOUT_S))
            found.append(batch)
        return tuple(found)

    async def fetch(self, kept: KeptBatches) -> None:
        """Fetch the answers of batches that have ended.

        Raises:
            VenueError: If they cannot be fetched now.
        """
        for sheet in self.sheets:
            batch = kept.batch(sheet)
            if batch is None:
                msg = "only a batch that was submitted can be fetched"
                raise AssertionError(msg)
            provider = self._provider(sheet)
            fetched = await provider.batch_replies(batch, sheet.named(batch.label), timeout_s=_TIMEOUT_S)
            if fetched.status is not ReplyStatus.OK:
                msg = f"batch {batch.name!r} of {sheet.plan.name!r} cannot be fetched: {fetched.detail}"
                raise VenueError(msg, hint="run the command again; what is answered stays there for weeks")
            sheet.fill([reply for _, reply in fetched.replies])

    def calls(self, on_call: Callable[[AdviceCall], None]) -> None:
        """Go through the recording once more, and hand on each call with its answer, in order."""
        self._play(self._plan(), on_call)

    async def aclose(self) -> None:
        """Close the providers' connections."""
        for provider in {id(each): each for each in self._providers.values()}.values():
            await provider.aclose()

    async def _advanced(self, sheet: QuestionSheet, kept: KeptBatches, clock: Clock) -> Batch:
        provider, name = self._provider(sheet), sheet.plan.name
        batch, now_ns = kept.batch(sheet), clock.now_ns()
        if batch is None:
            batch = await self._submitted(sheet, kept, _new_batch(sheet, now_ns))
        elif not batch.name:
            found = await provider.find_batch(batch, timeout_s=_TIMEOUT_S)
            if found.status is BatchStatus.ABSENT and now_ns - batch.submitted_ns >= _SETTLED_NS:
                again = msgspec.structs.replace(batch, submitted_ns=now_ns)
                batch = await self._submitted(sheet, kept, again)
            elif found.status is BatchStatus.ABSENT:
                detail = "its submission had no answer, and no list holds it yet; look again in a minute"
                return msgspec.structs.replace(found, status=BatchStatus.UNKNOWN, detail=detail)
            else:
                batch = kept.keep(sheet, found)
        elif batch.status is not BatchStatus.ENDED:
            batch = kept.keep(sheet, await provider.batch_state(batch, timeout_s=_TIMEOUT_S))
        if batch.status is BatchStatus.FAILED:
            kept.drop(sheet)
            msg = f"the provider of {name!r} took no batch: {batch.detail}"
            raise VenueError(msg, hint="nothing was answered or charged; put it right and run the command again")
        if batch.status is BatchStatus.ABSENT:
            msg = f"the provider of {name!r} does not have batch {batch.name!r} any more"
            hint = f"remove {kept.path.name!r} to have all questions asked, and paid for, again"
            raise VenueError(msg, hint=hint)
        return batch

    async def _submitted(self, sheet: QuestionSheet, kept: KeptBatches, batch: Batch) -> Batch:
        """Submit a batch; a process that dies meanwhile leaves one that is UNKNOWN and has no name."""
        kept.keep(sheet, msgspec.structs.replace(batch, status=BatchStatus.UNKNOWN, name=""))
        provider = self._provider(sheet)
        return kept.keep(sheet, await provider.submit_batch(batch, sheet.named(batch.label), timeout_s=_TIMEOUT_S))

    def _provider(self, sheet: QuestionSheet) -> BatchProvider:
        """Return the provider of an adviser with its key, which is read only where something is asked."""
        if not self._providers:
            advisers = compose_advisers(self._path, blocked=self._blocked)
            self._providers = {adviser.name: _require_batches(adviser) for adviser in advisers}
        return self._providers[sheet.plan.name]

    def _plan(self) -> Plan:
        path = self._path
        plan = compose(
            path,
            mode=Mode.BACKTEST,
            blocked=self._blocked,
            duration=self._duration,
            no_journal=True,
            with_sinks=False,
        )
        if not plan.advisers:
            msg = f"{path.name}: expected an adviser, was none"
            raise UsageError(
                msg, hint="add an `[[adviser]]` table; `mmframe plugins show core` lists the built-in ones"
            )
        return attrs.evolve(plan, advisers=tuple(_in_shadow(plan.advisers)))

    def _play(self, plan: Plan, on_call: Callable[[AdviceCall], None]) -> None:
        title = f"asking about {self._path.name}"
        play_with_replies(plan, self._every, on_call, title=title, stop=self._stop, watch=self._watch)


def _in_shadow(advisers: Sequence[AdviserPlan]) -> Iterator[AdviserPlan]:
    return (attrs.evolve(each, keys=attrs.evolve(each.keys, shadow=True)) for each in advisers)


def _new_batch(sheet: QuestionSheet, now_ns: int) -> Batch:
    unique = sha256(f"{sheet.digest}/{sheet.plan.name}/{now_ns}".encode()).hexdigest()[:_LABEL_LENGTH]
    return Batch(label=f"mmframe-{unique}", submitted_ns=now_ns, total=len(sheet.asked))


def _require_batches(adviser: AdviserPlan) -> BatchProvider:
    if not isinstance(adviser.provider, BatchProvider):
        msg = f"adviser {adviser.name!r}: expected a provider that takes batches, was {adviser.provider_use!r}"
        raise UsageError(msg, hint="leave --batch out, or use one that does, such as openai/chat or anthropic/messages")
    return adviser.provider

"""Asks a model about a recording, as a run at that time would have: what a backtest itself never does.

The replies are for comparisons; a model asked afterwards may know how it went. Questions are put one after the other,
at the moments of the recording at which the strategy file wants them, and each reply takes effect in the run, so that a
backtest with the recorded calls asks the very same questions again and gets every answer.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Self

import attrs
import msgspec
from anyio.from_thread import start_blocking_portal

from mmframe.domain.kinds import Mode
from mmframe.errors import UsageError
from mmframe.net.timing import Timing
from mmframe.registry import compose, compose_advisers
from mmframe.research.advice.tape import unwatched
from mmframe.runtime.advice.asking import Asker, new_breaker
from mmframe.runtime.advice.budget import Budget
from mmframe.runtime.advice.desk import AdviceDesk
from mmframe.runtime.advice.replay import RecordedReplies
from mmframe.runtime.clocks import VirtualClock
from mmframe.runtime.driver import StopRequest
from mmframe.runtime.session import Session
from mmframe.runtime.virtual import VirtualDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mmframe.domain.advice import AdviceCall
    from mmframe.ports import Adviser, Clock, LLMProvider
    from mmframe.research.advice.tape import Watch
    from mmframe.runtime.advice.asking import Outcome, Question
    from mmframe.runtime.plan import AdviserPlan, Plan

__all__ = ["ask_about_recording", "play_with_replies"]


def ask_about_recording(  # noqa: PLR0913 - one keyword for each thing that can be chosen
    path: Path,
    on_call: Callable[[AdviceCall], None],
    *,
    before: Sequence[AdviceCall] = (),
    latency_ns: int | None = None,
    duration: str | None = None,
    blocked: frozenset[str] = frozenset(),
    stop: StopRequest | None = None,
    watch: Watch | None = None,
) -> None:
    """Replay a strategy's recording and really ask its advisers' models about it.

    The budget of the strategy file holds, by the days and minutes of the recording. What was asked before is not asked,
    and not paid for, again.

    Args:
        path: The strategy file, with a `[history]` and an `[[adviser]]`.
        on_call: Gets each call when its outcome takes effect, in order; write them down as they come.
        before: Calls of an earlier, unfinished pass.
        latency_ns: How long after its question each reply takes effect; None for as long as it really took, which is
            another time in every pass.
        duration: Only so much of the recording, text such as `30m`.
        blocked: Plugins that must not be imported.
        stop: Ends the pass early when asked.
        watch: Shows how far the recording has been read.

    Raises:
        ConfigErrors: If the strategy file has problems.
        UsageError: If it has no adviser.
        DataError: If the recording cannot be read.
    """
    plan = compose(path, mode=Mode.BACKTEST, blocked=blocked, duration=duration, no_journal=True, with_sinks=False)
    if not plan.advisers:
        msg = f"{path.name}: expected an adviser, was none"
        raise UsageError(msg, hint="add an `[[adviser]]` table; `mmframe plugins show core` lists the built-in ones")
    # The keys of a backtest are not read: it asks nobody.
    providers = {adviser.name: adviser.provider for adviser in compose_advisers(path, blocked=blocked)}
    asking = tuple(attrs.evolve(adviser, provider=providers[adviser.name]) for adviser in plan.advisers)
    with _Askers(attrs.evolve(plan, advisers=asking), before, latency_ns) as askers:
        play_with_replies(plan, askers.replies, on_call, title=f"asking about {path.name}", stop=stop, watch=watch)


def play_with_replies(  # noqa: PLR0913 - one keyword for each thing that can be chosen
    plan: Plan,
    replies: Mapping[str, RecordedReplies],
    on_call: Callable[[AdviceCall], None],
    *,
    title: str,
    stop: StopRequest | None = None,
    watch: Watch | None = None,
) -> None:
    """Replay the recording of a plan with given replies to its advisers' questions.

    Args:
        plan: With a history, and not run yet.
        replies: By adviser what answers.
        on_call: Gets each call when its outcome takes effect, in order.
        title: What the progress is called.
        stop: Ends the pass early when asked.
        watch: Shows how far the recording has been read.

    Raises:
        DataError: If the recording cannot be read.
    """
    if plan.history is None:
        msg = "a backtest without problems has a history"
        raise AssertionError(msg)
    opened = unwatched if watch is None else watch
    with opened(plan.history, title) as history:
        session = _AskingSession(attrs.evolve(plan, history=history), replies, on_call)
        session.open_advice()
        driver = VirtualDriver(
            session, speed=None, stop=stop or StopRequest(), observer=None, limit_ns=plan.duration_ns
        )
        driver.run()


class _AskingSession(Session):
    """A run whose questions are answered by given replies, and whose calls somebody takes down."""

    def __init__(
        self, plan: Plan, replies: Mapping[str, RecordedReplies], on_call: Callable[[AdviceCall], None]
    ) -> None:
        super().__init__(plan)
        self._replies = replies
        self._on_call = on_call

    def open_advice(self) -> None:
        """Let the advisers take part."""
        self.advice = AdviceDesk(self, self.plan.advisers, replies=self._replies)

    def on_advice_call(self, call: AdviceCall) -> None:
        """Hand a call on."""
        self._on_call(call)


class _Askers:
    """The models of a plan, asked on an event loop of their own, while the replay waits."""

    def __init__(self, plan: Plan, before: Sequence[AdviceCall], latency_ns: int | None) -> None:
        self._plan = plan
        self._portal_manager = start_blocking_portal()
        self.replies: dict[str, RecordedReplies] = {}
        self._before = before
        self._latency_ns = latency_ns

    def __enter__(self) -> Self:
        portal = self._portal_manager.__enter__()
        self._portal = portal
        clock = self._plan.clock or VirtualClock()
        for adviser in self._plan.advisers:
            asker = _asker(adviser, clock)

            def ask(question: Question, asker: Asker = asker) -> Outcome:
                return portal.call(asker.ask, question)

            self.replies[adviser.name] = _AskedReplies(self._before, ask, self._latency_ns)
        return self

    def __exit__(self, *details: object) -> None:
        for provider in {id(each.provider): each.provider for each in self._plan.advisers}.values():
            self._portal.call(provider.aclose)
        self._portal_manager.__exit__(None, None, None)


def _asker(adviser: AdviserPlan, clock: Clock) -> Asker:
    return Asker(
        adviser.adviser,
        adviser.provider,
        # On the recording's time: a day of it has the money of a day. Nothing of it is on the account of a live run.
        budget=Budget(adviser.keys.budget, None),
        breaker=new_breaker(),
        timeout_s=adviser.keys.timeout_s,
        timing=Timing(clock),
        randomness=Random(f"{adviser.seed}/{adviser.name}"),  # noqa: S311 - jitter is no secret
    )


class _AskedReplies(RecordedReplies):
    """Recorded replies that are asked for where there is none yet."""

    def __init__(self, calls: Sequence[AdviceCall], ask: Callable[[Question], Outcome], latency_ns: int | None) -> None:
        super().__init__(calls)
        self._ask_model = ask
        self._latency_ns = latency_ns

    def answer(self, name: str, adviser: Adviser, provider: LLMProvider, question: Question) -> Outcome:
        """Return how a question ended before, or ask it."""
        found = super().answer(name, adviser, provider, question)
        if not found.is_miss:
            return found
        outcome = self._ask_model(question)
        latency_ns = outcome.reply.latency_ns if self._latency_ns is None else self._latency_ns
        reply = msgspec.structs.replace(outcome.reply, latency_ns=latency_ns)
        return msgspec.structs.replace(outcome, reply=reply, delay_ns=latency_ns)

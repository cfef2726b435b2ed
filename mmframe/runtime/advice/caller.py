"""The thread that asks: one for each run, with an event loop of its own, so that no question is ever in a quote's way.

The driver hands a question over and goes on; outcomes wait in a queue until the driver takes them. Nothing here blocks
it: a question that cannot be handed over is an outcome at once.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio.from_thread import BlockingPortal

from mmframe.domain.advice import AdviceVerdict, CompletionReply, ReplyStatus
from mmframe.runtime.advice.asking import Asking, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.runtime.advice.asking import Asker, Question

__all__ = ["CLOSE_WITHIN_S", "Caller"]

CLOSE_WITHIN_S = 3.0
"""Longest time that the end of a run waits for the thread; what hangs then is left behind."""

_START_WITHIN_S = 10.0
_CLOSE_PROVIDER_S = 1.0
_LOG = logging.getLogger("mmframe.advice")


class Caller:
    """Asks for the advisers of a run, each one question at a time.

    Args:
        askers: By the adviser's name.

    Attributes:
        outcomes: What has ended and was not taken yet, with the adviser's name; the driver takes from the left.
    """

    def __init__(self, askers: Mapping[str, Asker]) -> None:
        self._askers = dict(askers)
        self._busy: set[str] = set()
        self._portal: BlockingPortal | None = None
        self._thread: threading.Thread | None = None
        self._is_ready = threading.Event()
        self.outcomes: deque[tuple[str, Outcome]] = deque()

    def start(self) -> None:
        """Start the thread, and return when it can be asked."""
        # A daemon: a provider that blocks its thread must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="mmframe-advice", daemon=True)
        self._thread.start()
        self._is_ready.wait(_START_WITHIN_S)

    def ask(self, name: str, question: Question) -> None:
        """Hand a question over; an earlier one of the same adviser that has not ended is an outcome at once."""
        portal = self._portal
        problem = "" if portal is not None else "the thread that asks is gone"
        if name in self._busy:
            problem = "the question before has not ended"
        if problem or portal is None:
            self._refuse(name, question, problem)
            return
        self._busy.add(name)
        try:
            portal.start_task_soon(self._ask, name, question)
        except RuntimeError:
            self._busy.discard(name)
            self._refuse(name, question, "the thread that asks is gone")

    def close(self, within_s: float = CLOSE_WITHIN_S) -> bool:
        """Cancel what is under way, close the providers and end the thread; return whether that was done in time."""
        portal, thread = self._portal, self._thread
        self._portal = None
        if thread is None or portal is None:
            return True
        with suppress(RuntimeError):
            portal.start_task_soon(portal.stop, True)  # noqa: FBT003 - anyio's own signature
        thread.join(within_s)
        if thread.is_alive():
            _LOG.warning("advice_thread_hangs", extra={"waited_s": within_s})
        return not thread.is_alive()

    def _refuse(self, name: str, question: Question, detail: str) -> None:
        reply = CompletionReply(ReplyStatus.UNAVAILABLE, detail=detail)
        self.outcomes.append((name, Outcome(question, Asking(None), reply, AdviceVerdict.NOT_NOW)))

    def _run(self) -> None:
        try:
            anyio.run(self._serve)
        except Exception as error:  # noqa: BLE001 - nobody is above a thread; quoting goes on without advice
            _LOG.warning("advice_thread_failed", extra={"error": type(error).__name__})
        finally:
            self._portal = None
            self._is_ready.set()

    async def _serve(self) -> None:
        async with BlockingPortal() as portal:
            self._portal = portal
            self._is_ready.set()
            await portal.sleep_until_stopped()
        with anyio.move_on_after(_CLOSE_PROVIDER_S, shield=True):
            for provider in {id(asker.provider): asker.provider for asker in self._askers.values()}.values():
                try:
                    await provider.aclose()
                except Exception as error:  # noqa: BLE001 - a provider may raise anything; the others close too
                    _LOG.warning("advice_provider_close_failed", extra={"error": type(error).__name__})

    async def _ask(self, name: str, question: Question) -> None:
        try:
            outcome = await self._askers[name].ask(question)
        except Exception as error:  # noqa: BLE001 - a bug of ours ends the question, not the thread
            _LOG.warning("advice_question_failed", extra={"adviser": name, "error": type(error).__name__})
            reply = CompletionReply(ReplyStatus.UNAVAILABLE, detail=f"failed: {type(error).__name__}")
            outcome = Outcome(question, Asking(None), reply, AdviceVerdict.CALL_FAILED)
        finally:
            self._busy.discard(name)
        self.outcomes.append((name, outcome))
